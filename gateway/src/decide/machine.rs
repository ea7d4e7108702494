//! Machines that come with a token instead of a session.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{Access, Machine, TOKEN_PREFIX, TokenHash};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use saml_core::Timestamp;

use crate::refusal::Refusal;

/// What stands in Authorization where it is meant for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfferedToken {
    One(TokenHash),
    /// Two headers, of which it is not clear which one counts.
    Unclear,
}

impl OfferedToken {
    /// Applications have tokens of their own: theirs are none of ours, and pass.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(AUTHORIZATION).iter();
        let (first, second) = (lines.next()?, lines.next());
        if second.is_none() {
            return token(first.as_bytes()).map(|token| Self::One(hash(token)));
        }
        let is_ours = headers.get_all(AUTHORIZATION).iter().any(|line| token(line.as_bytes()).is_some());
        is_ours.then_some(Self::Unclear)
    }
}

/// The token of ours in a value of Authorization (RFC 6750 §2.1); schemes are the same in any case (RFC 9110 §11.1).
fn token(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, token) = value.split_at_checked("bearer".len())?;
    let token = token.strip_prefix(b" ")?.trim_ascii_start();
    (scheme.eq_ignore_ascii_case(b"bearer") && token.starts_with(TOKEN_PREFIX.as_bytes())).then_some(token)
}

/// Of 256 random bits: nobody finds them from it.
pub(crate) fn hash(token: &[u8]) -> TokenHash {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, token);
    TokenHash(digest.as_ref().first_chunk().copied().unwrap_or_default())
}

/// Those of one route.
pub(super) struct Machines(BTreeMap<TokenHash, Arc<Machine>>);

impl Machines {
    pub(super) fn new(machines: &[Machine]) -> Self {
        Self(machines.iter().map(|machine| (machine.token, Arc::new(machine.clone()))).collect())
    }

    /// # Errors
    /// The token is none of theirs, or no more, or the route is not for the machine.
    pub(super) fn admit(&self, token: OfferedToken, access: &Access, now: Timestamp) -> Result<&Arc<Machine>, Refusal> {
        let OfferedToken::One(hash) = token else { return Err(Refusal::TokenUnknown) };
        let machine = self.0.get(&hash).ok_or(Refusal::TokenUnknown)?;
        if machine.expires <= now {
            return Err(Refusal::TokenExpired { name: machine.name.clone(), at: machine.expires.to_string() });
        }
        match access {
            Access::Public | Access::SignedIn => Ok(machine),
            Access::Allow(allow) if allow.groups.iter().any(|group| machine.groups.contains(group)) => Ok(machine),
            Access::Allow(allow) if allow.groups.is_empty() => Err(Refusal::NotAllowed),
            Access::Allow(allow) => {
                Err(Refusal::NotInAllowedGroup { needed: allow.groups.clone(), arrived: machine.groups.clone() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, groups, headers, machine};

    #[test]
    fn only_tokens_of_ours_are_looked_at() {
        let of = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("authorization", *line)).collect();
            OfferedToken::of(&headers(&lines))
        };
        let found = Some(OfferedToken::One(hash(b"samlgate_abc")));
        for ours in ["Bearer samlgate_abc", "bearer samlgate_abc", "BEARER  samlgate_abc "] {
            assert_eq!(of(&[ours]), found, "{ours}");
        }
        for other in [
            "Bearer abc",
            "Basic samlgate_abc",
            "Bearersamlgate_abc",
            "samlgate_abc",
            "Bearer",
            "",
            "Bearer x samlgate_abc",
        ] {
            assert_eq!(of(&[other]), None, "{other}");
        }
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["Bearer samlgate_abc", "Basic x"]), Some(OfferedToken::Unclear));
        assert_eq!(of(&["Basic x", "Bearer samlgate_abc"]), Some(OfferedToken::Unclear));
        assert_eq!(of(&["Basic x", "Basic y"]), None);
    }

    #[track_caller]
    fn check(token: OfferedToken, access: &Access, now: i64, expected: Result<&str, &str>) {
        let machines = Machines::new(&[machine("ci", b"samlgate_abc", &["engineers"])]);
        let outcome = machines.admit(token, access, at(now));
        let shown = outcome.map(|machine| machine.name.as_str()).map_err(|refusal| refusal.code());
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_machine_is_let_in_by_its_token_until_it_ends() {
        let good = OfferedToken::One(hash(b"samlgate_abc"));
        check(good, &Access::SignedIn, 999, Ok("ci"));
        check(good, &Access::SignedIn, 1_000, Err("token_expired"));
        check(OfferedToken::Unclear, &Access::SignedIn, 0, Err("token_unknown"));
        check(OfferedToken::One(hash(b"samlgate_abd")), &Access::SignedIn, 0, Err("token_unknown"));
        check(good, &groups(&["admins", "engineers"]), 0, Ok("ci"));
        check(good, &groups(&["admins"]), 0, Err("not_in_allowed_group"));
        check(good, &groups(&[]), 0, Err("not_allowed"));
    }
}
