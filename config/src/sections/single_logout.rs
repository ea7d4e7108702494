//! Single logout of an IdP: where it takes logout messages, from the settings or from its metadata.

use saml_core::{IdpMetadata, IdpSloUrl};

use super::{identity_providers::BINDINGS, parsed, sso_url};
use crate::settings::{Binding, LogoutService, SingleLogout};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

const KEY: &str = "single_logout";
const METADATA: &str = "metadata";

pub(super) static CHOICES: Choices = Choices { values: &[METADATA], later: &[] };

pub(super) static TABLE: Table = Table {
    title: "identity_providers[].single_logout",
    about: "Where the IdP takes logout messages. Ours are always signed, and one that is not signed by a key of the IdP is refused.",
    keys: &[
        Key::required("url", Kind::Text, "the IdP's single logout address"),
        Key::optional("response_url", Kind::Text, "`url`", "where our LogoutResponses go, if not there"),
        Key::optional(
            "binding",
            Kind::Choice(BINDINGS.words),
            "`redirect`",
            "how ours travel; the IdP's are taken by both",
        ),
    ],
    later: &[],
};

/// `None` where something is wrong with it, which was reported. `metadata` is that of a file; what is fetched says it later.
pub(super) fn read(
    section: &Section<'_>,
    metadata: Option<&IdpMetadata>,
    findings: &mut Findings,
) -> Option<SingleLogout> {
    if !section.has(KEY) {
        return Some(SingleLogout::Off);
    }
    if section.choice(KEY) == Some(METADATA) {
        return declared(section, metadata, findings);
    }
    let own = section.section(KEY);
    let binding = BINDINGS.meaning(own.choice("binding")).unwrap_or(Binding::Redirect);
    let url = address(&own, "url", findings);
    let response_url = if own.has("response_url") { address(&own, "response_url", findings) } else { url.clone() };
    Some(SingleLogout::At(LogoutService { binding, url: url?, response_url: response_url? }))
}

fn declared(section: &Section<'_>, metadata: Option<&IdpMetadata>, findings: &mut Findings) -> Option<SingleLogout> {
    if section.has("metadata_url") {
        return Some(SingleLogout::Fetched);
    }
    if !section.has("metadata_file") {
        let cure =
            "write `single_logout: { url: https://idp.example/slo }`, or `metadata_file` in place of the certificate";
        findings.refuse(section.place(KEY), "takes the address from the metadata, and there is none", cure);
        return None;
    }
    let service = LogoutService::declared(metadata?);
    if service.is_none() {
        let problem =
            "takes the address from the metadata, which declares no SingleLogoutService by HTTP-Redirect or HTTP-POST";
        let cure = "remove it, if the IdP has no single logout (JumpCloud has none); or write its address as `url`";
        findings.refuse(section.place(KEY), problem, cure);
    }
    service.map(SingleLogout::At)
}

fn address(section: &Section<'_>, key: &str, findings: &mut Findings) -> Option<IdpSloUrl> {
    let url = parsed(section, key, IdpSloUrl::parse, findings)?;
    if sso_url::is_exposed(url.as_str()) {
        let problem = "is plain http: whoever sits between reads who signs out";
        findings.warn(section.place(key), problem, "write the https address");
    }
    Some(url)
}
