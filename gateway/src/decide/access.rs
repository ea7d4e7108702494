//! Whether a session satisfies a route.

use std::sync::Arc;

use config::{Access, Allow};

use crate::refusal::Refusal;
use crate::session::{Session, SessionRecord};

pub(super) enum Verdict<'s> {
    /// A public route; it carries no identity even where there is one.
    Anonymous,
    Admitted(&'s Arc<Session>),
    NobodySignedIn,
    Excluded(Refusal),
}

/// A public route whose path is not plain is judged as if it said `signed_in`.
pub(super) fn admits<'s>(access: &Access, is_plain: bool, session: Option<&'s Arc<Session>>) -> Verdict<'s> {
    match (access, session) {
        (Access::Public, _) if is_plain => Verdict::Anonymous,
        (_, None) => Verdict::NobodySignedIn,
        (Access::Public | Access::SignedIn, Some(session)) => Verdict::Admitted(session),
        (Access::Allow(allow), Some(session)) if is_allowed(allow, &session.record) => Verdict::Admitted(session),
        (Access::Allow(allow), Some(session)) => Verdict::Excluded(exclusion(allow, &session.record)),
    }
}

/// Two IdPs may each have a group `admins`, or say the same address: a rule counts the word of those it names.
fn is_allowed(allow: &Allow, record: &SessionRecord) -> bool {
    allow.idps.contains(&record.idp) && has_any(allow, record)
}

fn has_any(allow: &Allow, record: &SessionRecord) -> bool {
    allow.groups.iter().any(|group| record.groups.contains(group))
        || allow.emails.iter().any(|email| email.eq_ignore_ascii_case(&record.email))
        || domain(&record.email)
            .is_some_and(|domain| allow.email_domains.iter().any(|allowed| allowed.eq_ignore_ascii_case(domain)))
}

/// The part behind the one `@`. An address with two (a quoted local part, `a@good.example@evil.example`)
/// has no domain here: parsers differ about it.
fn domain(email: &str) -> Option<&str> {
    let (local, domain) = email.split_once('@')?;
    (!local.is_empty() && !domain.is_empty() && !domain.contains('@')).then_some(domain)
}

fn exclusion(allow: &Allow, record: &SessionRecord) -> Refusal {
    if !allow.idps.contains(&record.idp) {
        let wanted = allow.idps.iter().map(ToString::to_string).collect();
        return Refusal::NotOfAllowedIdp { wanted, seen: record.idp.to_string() };
    }
    if allow.groups.is_empty() {
        return Refusal::NotAllowed;
    }
    Refusal::NotInAllowedGroup {
        needed: allow.groups.clone(),
        arrived: record.groups.iter().map(str::to_owned).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract;
    use saml_core::IdpId;

    #[track_caller]
    fn check(groups: &[&str], emails: &[&str], domains: &[&str], email: &str, allowed: bool) {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let idps = vec![IdpId::parse("jumpcloud").unwrap()];
        let allow = Allow { idps, groups: owned(groups), emails: owned(emails), email_domains: owned(domains) };
        let record = SessionRecord { email: email.into(), ..contract::record(0, 1) };
        assert_eq!(is_allowed(&allow, &record), allowed, "{allow:?} {email}");
        let of_other = SessionRecord { idp: IdpId::parse("okta").unwrap(), ..record };
        assert!(!is_allowed(&allow, &of_other), "the word of another IdP: {allow:?} {email}");
        let nobodys = Allow { idps: Vec::new(), ..allow };
        assert!(!is_allowed(&nobodys, &of_other), "a rule that counts nobody's word");
    }

    #[test]
    fn any_of_groups_addresses_and_domains_is_enough() {
        check(&["admins"], &[], &[], "ada@example.com", true);
        check(&["x", "staff"], &[], &[], "ada@example.com", true);
        check(&["x"], &["ADA@example.com"], &[], "ada@Example.com", true);
        check(&["x"], &["bob@example.com"], &["EXAMPLE.com"], "ada@example.com", true);
    }

    #[test]
    fn groups_are_compared_byte_for_byte() {
        for group in ["Admins", "admins ", "admin", "adminss", ""] {
            check(&[group], &[], &[], "ada@example.com", false);
        }
    }

    #[test]
    fn a_domain_is_no_suffix_and_an_address_has_one_at() {
        for email in [
            "ada@evil-example.com",
            "ada@sub.example.com",
            "ada@example.com.evil.com",
            "ada@evil.com@example.com",
            "\"ada@evil.com\"@example.com",
            "@example.com",
            "example.com",
            "ada@",
            "",
        ] {
            check(&[], &[], &["example.com"], email, false);
        }
    }

    #[test]
    fn what_excludes_is_named() {
        let record = contract::record(0, 1);
        let idps = vec![IdpId::parse("jumpcloud").unwrap()];
        let by_group = Allow { idps: idps.clone(), groups: vec!["ops".to_owned()], ..Allow::default() };
        assert_eq!(
            exclusion(&by_group, &record),
            Refusal::NotInAllowedGroup {
                needed: vec!["ops".to_owned()],
                arrived: vec!["staff".to_owned(), "admins".to_owned()]
            }
        );
        let by_domain = Allow { idps, email_domains: vec!["x.example".to_owned()], ..Allow::default() };
        assert_eq!(exclusion(&by_domain, &record), Refusal::NotAllowed);
        let by_other = Allow { idps: vec![IdpId::parse("okta").unwrap()], ..by_domain };
        let wanted = vec!["okta".to_owned()];
        assert_eq!(exclusion(&by_other, &record), Refusal::NotOfAllowedIdp { wanted, seen: "jumpcloud".to_owned() });
    }
}
