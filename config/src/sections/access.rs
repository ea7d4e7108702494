//! Who may use a route.

use saml_core::IdpId;

use crate::check::nearest;
use crate::settings::{Access, Allow};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "routes[].access",
    about: "Any one of groups, emails and email_domains is enough. At least one of these lists must be there, and none \
            may be empty. With several identity providers `idps` must be there too.",
    keys: &[
        Key::optional("groups", Kind::List(&Kind::Text), "none", "names of groups, compared byte for byte"),
        Key::optional("emails", Kind::List(&Kind::Text), "none", "e-mail addresses, in any case"),
        Key::optional(
            "email_domains",
            Kind::List(&Kind::Text),
            "none",
            "what stands behind the `@`, in any case and whole: `example.com` does not admit `a.example.com`",
        ),
        Key::optional(
            "idps",
            Kind::List(&Kind::Text),
            "the only identity provider",
            "ids of the identity providers whose word on groups and addresses counts here; others' users are refused",
        ),
    ],
    later: &[],
};

pub(crate) static WORDS: Choices = Choices { values: &["public", "signed_in"], later: &[] };

pub(super) const DOMAIN_CURE: &str =
    "write the part behind the @ alone, such as `example.com`; each domain is matched whole";

/// `known` are the ids of all IdPs.
pub(crate) fn read(route: &Section<'_>, known: &[IdpId], findings: &mut Findings) -> Option<Access> {
    match route.choice("access") {
        Some("public") => return Some(Access::Public),
        Some("signed_in") => return Some(Access::SignedIn),
        _ => {}
    }
    let section = route.section("access");
    if !section.is_map() {
        return None;
    }
    if !["groups", "emails", "email_domains"].iter().any(|key| section.has(key)) {
        let cure = "name at least one, or write `access: signed_in` for everybody who signed in";
        findings.refuse(route.place("access"), "names no groups, emails or email_domains", cure);
        return None;
    }
    let idps = idps(&section, known, findings);
    Some(Access::Allow(Allow {
        idps: idps?,
        groups: section.texts("groups").into_iter().map(|(_, group)| group.to_owned()).collect(),
        emails: checked(&section, "emails", email_problem, "write an address such as `ann@example.com`", findings),
        email_domains: checked(&section, "email_domains", domain_problem, DOMAIN_CURE, findings),
    }))
}

/// Two IdPs may each have a group `admins`: a rule says whose it means.
fn idps(section: &Section<'_>, known: &[IdpId], findings: &mut Findings) -> Option<Vec<IdpId>> {
    let all = || known.iter().map(IdpId::as_str).collect::<Vec<_>>();
    if !section.has("idps") {
        if let [_, _, ..] = known {
            let cure = format!("write `idps: [{}]` with those that may let people in here", all().join(", "));
            findings.refuse(section.place("idps"), "is missing, and there are several identity providers", cure);
            return None;
        }
        return Some(known.to_vec());
    }
    let mut named = Vec::new();
    for (index, text) in section.texts("idps") {
        match known.iter().find(|id| id.as_str() == text) {
            Some(id) if named.contains(id) => {
                findings.refuse_twin(section.place_in_list("idps", index));
            }
            Some(id) => named.push(id.clone()),
            None => {
                let cure = match nearest(text, &all()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("write the id of one under `identity_providers`: {}", all().join(", ")),
                };
                findings.refuse(section.place_in_list("idps", index), "is the id of no identity provider", cure);
            }
        }
    }
    (!named.is_empty()).then_some(named)
}

pub(super) fn checked(
    section: &Section<'_>,
    key: &str,
    problem: impl Fn(&str) -> Option<&'static str>,
    cure: &str,
    findings: &mut Findings,
) -> Vec<String> {
    let mut values = Vec::new();
    for (index, text) in section.texts(key) {
        if let Some(problem) = problem(text) {
            findings.refuse(section.place_in_list(key, index), problem, cure);
        }
        values.push(text.to_owned());
    }
    values
}

fn email_problem(text: &str) -> Option<&'static str> {
    match text.split_once('@') {
        None => Some("is no e-mail address: it has no `@`"),
        Some((_, domain)) if domain.contains('@') => Some("has more than one `@`"),
        Some((local, domain)) if local.is_empty() || domain.is_empty() => Some("lacks a part beside its `@`"),
        Some(_) if text.chars().any(char::is_whitespace) => Some("contains white space"),
        Some(_) => None,
    }
}

pub(super) fn domain_problem(text: &str) -> Option<&'static str> {
    if text.contains('@') {
        Some("contains `@`")
    } else if text.contains('*') || text.starts_with('.') || text.ends_with('.') {
        Some("is a pattern, or begins or ends with a dot")
    } else if text.chars().any(char::is_whitespace) {
        Some("contains white space")
    } else {
        None
    }
}
