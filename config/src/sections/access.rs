//! Who may use a route.

use crate::settings::{Access, Allow};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TABLE: Table = Table {
    title: "routes[].access",
    about: "Any one of these is enough. At least one list must be there, and none may be empty.",
    keys: &[
        Key::optional("groups", Kind::List(&Kind::Text), "none", "names of groups, compared byte for byte"),
        Key::optional("emails", Kind::List(&Kind::Text), "none", "e-mail addresses, in any case"),
        Key::optional(
            "email_domains",
            Kind::List(&Kind::Text),
            "none",
            "what stands behind the `@`, in any case and whole: `example.com` does not admit `a.example.com`",
        ),
    ],
    later: &["idps"],
};

pub(crate) static WORDS: Choices = Choices { values: &["public", "signed_in"], later: &[] };

pub(crate) fn read(route: &Section<'_>, findings: &mut Findings) -> Option<Access> {
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
    Some(Access::Allow(Allow {
        groups: section.texts("groups").into_iter().map(|(_, group)| group.to_owned()).collect(),
        emails: checked(&section, "emails", email_problem, "write an address such as `ann@example.com`", findings),
        email_domains: checked(
            &section,
            "email_domains",
            domain_problem,
            "write the part behind the @ alone, such as `example.com`; each domain is matched whole",
            findings,
        ),
    }))
}

fn checked(
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

fn domain_problem(text: &str) -> Option<&'static str> {
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
