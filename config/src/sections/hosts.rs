//! The hosts beside that of `public_url`, and the domain whose hosts share the session.

use super::accept;
use crate::check;
use crate::settings::Origin;
use crate::source::Findings;
use crate::table::Section;

/// `hosts`; `None` where one of them has a fault, which was reported.
pub(crate) fn read(root: &Section<'_>, public_url: Option<&Origin>, findings: &mut Findings) -> Option<Vec<Origin>> {
    let mut hosts: Vec<Origin> = Vec::new();
    for (index, text) in root.texts("hosts") {
        let place = || root.place_in_list("hosts", index);
        let Some(host) = accept(check::origin(text), place, findings) else { continue };
        let twin = |known: &Origin| known.authority == host.authority;
        if public_url.is_some_and(twin) {
            findings.refuse(place(), "is the host of public_url, which is accepted anyway", "remove it");
        } else if hosts.iter().any(twin) {
            findings.refuse_twin(place());
        } else if public_url.is_some_and(|public_url| public_url.scheme != host.scheme) {
            let problem = "has another scheme than public_url, and browsers share no session between the two";
            findings.refuse(place(), problem, "write the same scheme in both");
        } else {
            hosts.push(host);
        }
    }
    (hosts.len() == root.texts("hosts").len()).then_some(hosts)
}

/// `session.cookie_domain`, where all hosts share the session; `None` where it is absent or its fault was reported.
/// `accepted` has that of `public_url` in front, and is empty where one of them is wrong.
pub(crate) fn cookie_domain(root: &Section<'_>, accepted: &[&Origin], findings: &mut Findings) -> Option<String> {
    let session = root.section("session");
    let place = || session.place("cookie_domain");
    let Some(text) = session.text("cookie_domain") else {
        let [first, others @ ..] = accepted else { return None };
        let other = others.iter().find(|other| other.host_name() != first.host_name())?;
        if !session.has("cookie_domain") {
            let problem = format!("is missing, and {other} would not see the session that {first} opens");
            let cure = "write the domain that all hosts lie under, such as `cookie_domain: example.com`";
            findings.refuse(place(), problem, cure);
        }
        return None;
    };
    let domain = accept(check::cookie_domain(text), place, findings)?;
    if let Some(outside) = accepted.iter().find(|host| !check::is_of_domain(host.host_name(), &domain)) {
        let problem =
            format!("is no parent of {}: no browser would keep the session's cookie there", outside.host_name());
        let cure = "write a domain that all hosts lie under, or give hosts of another domain a gateway of their own";
        findings.refuse(place(), problem, cure);
        return None;
    }
    Some(domain)
}
