//! Responses as files, each beside the facts under which it was a login: material for other suites.

use std::path::Path;

use serde_json::json;
use time::format_description::well_known::Rfc3339;

use super::login::Posted;
use super::people::Person;
use super::world::{Protected, World};

/// Writes `<name>.xml` and `<name>.facts.json` into `folder`.
pub(super) fn write(
    folder: &Path,
    name: &str,
    world: &World,
    version: &str,
    protected: &Protected,
    person: &Person,
    posted: &Posted,
) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let request_id = roxmltree::Document::parse(&posted.xml)
        .ok()
        .and_then(|document| document.root_element().attribute("InResponseTo").map(str::to_owned));
    let facts = json!({
        "issuer": world.kind.name(),
        "issuer_version": version,
        "signs": protected.mode.signs,
        "sign": protected.mode.wants.unwrap_or("assertion_and_response"),
        "encryption": protected.mode.encryption,
        "outcome": protected.mode.outcome,
        "idp_entity_id": world.entity_id,
        "idp_certificate": world.key.certificate_pem(),
        "sp_entity_id": protected.sp.entity_id,
        "acs_url": protected.sp.acs_url,
        "request_id": request_id,
        "at": posted.at.format(&Rfc3339).unwrap_or_default(),
        "person": person,
    });
    std::fs::write(folder.join(format!("{name}.xml")), &posted.xml)?;
    std::fs::write(folder.join(format!("{name}.facts.json")), serde_json::to_string_pretty(&facts)?)
}
