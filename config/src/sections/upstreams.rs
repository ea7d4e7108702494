//! The applications behind us.

use super::accept;
use crate::check;
use crate::settings::Upstream;
use crate::source::Findings;
use crate::table::{Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "upstreams.<name>",
    about: "An application. Its name appears in logs and metrics: letters, digits, `-`, `_` and `.`, at most 64.",
    keys: &[Key::required(
        "servers",
        Kind::List(&Kind::Text),
        "`host:port` of each server, plain http; names are resolved when a connection is made",
    )],
    later: &["tls", "https", "ca_file", "health_check", "health_checks"],
};

/// Every upstream that has a name, its servers as far as they can be read: routes find it either way.
pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> Vec<Upstream> {
    root.named("upstreams").into_iter().map(|(name, section)| upstream(name, &section, findings)).collect()
}

const MAX_NAME_BYTES: usize = 64;

fn upstream(name: &str, section: &Section<'_>, findings: &mut Findings) -> Upstream {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
        let problem = "has a name that is not made of letters, digits, `-`, `_` and `.`, at most 64";
        findings.refuse(section.itself(), problem, "choose a short name, such as `app`, here and in the routes");
    }
    let mut servers = Vec::new();
    for (index, text) in section.texts("servers") {
        let place = || section.place_in_list("servers", index);
        let Some(server) = accept(check::server(text), place, findings) else { continue };
        if servers.contains(&server) {
            findings.refuse_twin(place());
        }
        servers.push(server);
    }
    Upstream { name: name.to_owned(), servers }
}
