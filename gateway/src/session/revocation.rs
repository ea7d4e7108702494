//! What ends sessions from outside: whose, and those that began up to when.

use std::collections::HashMap;

use saml_core::{IdpId, Timestamp};

use super::ticket::SessionKey;
use super::types::Whose;

/// How long a revocation of many counts. No session is older: the longest `session.max_age`, and a day.
pub(super) const REVOCATION_SECONDS: i64 = 31 * 24 * 60 * 60;
/// How long a store tells that a session ended. Whoever has not read for so long empties its cache, see
/// `Sessions::follow`.
pub(super) const ENDED_SECONDS: i64 = 60 * 60;

/// Whose sessions end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    Session(SessionKey),
    User {
        idp: IdpId,
        unique_id: Box<str>,
    },
    /// At whatever IdP; letters of ASCII in either case.
    Email(Box<str>),
    /// By its name, at whatever IdP.
    Group(Box<str>),
    All,
}

/// Sessions that began later than `at` are not meant: who signs in again is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    pub target: Target,
    pub at: Timestamp,
}

/// How far it has taken effect. Here it has in all cases.
#[must_use]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Everywhere.
    Done,
    /// It stands in the file that every process reads within a second.
    Written,
    /// Nowhere else, and here until the process ends.
    Local,
    /// It waits for the store to answer.
    Queued,
}

impl Target {
    pub(super) fn includes(&self, session: Whose<'_>) -> bool {
        match self {
            Self::Session(key) => key == session.key,
            Self::User { idp, unique_id } => idp == session.idp && **unique_id == *session.unique_id,
            Self::Email(email) => email.eq_ignore_ascii_case(session.email),
            Self::Group(name) => session.groups.contains(name),
            Self::All => true,
        }
    }
}

impl Revocation {
    pub(super) fn ends(&self, session: Whose<'_>) -> bool {
        // A session ends for good, whatever a clock says; its key is used once.
        let is_meant = matches!(self.target, Target::Session(_)) || session.created <= self.at;
        is_meant && self.target.includes(session)
    }
}

/// The revocations that sessions of the store are held against, each until no session can be older.
#[derive(Default)]
pub(super) struct Revocations {
    /// Of these the store may still have been read when they ended.
    sessions: HashMap<SessionKey, Timestamp>,
    users: HashMap<(IdpId, Box<str>), Timestamp>,
    emails: HashMap<Box<str>, Timestamp>,
    groups: HashMap<Box<str>, Timestamp>,
    all: Option<Timestamp>,
}

impl Revocations {
    pub(super) fn add(&mut self, revocation: &Revocation) {
        let at = revocation.at;
        let later = |known: &mut Timestamp| *known = (*known).max(at);
        match &revocation.target {
            Target::Session(key) => {
                self.sessions.entry(*key).and_modify(later).or_insert(at);
            }
            Target::User { idp, unique_id } => {
                self.users.entry((idp.clone(), unique_id.clone())).and_modify(later).or_insert(at);
            }
            Target::Email(email) => {
                self.emails.entry(email.to_ascii_lowercase().into()).and_modify(later).or_insert(at);
            }
            Target::Group(name) => {
                self.groups.entry(name.clone()).and_modify(later).or_insert(at);
            }
            Target::All => self.all = Some(self.all.map_or(at, |known| known.max(at))),
        }
    }

    pub(super) fn end(&self, session: Whose<'_>) -> bool {
        let since = |at: Option<&Timestamp>| at.is_some_and(|at| session.created <= *at);
        self.sessions.contains_key(session.key)
            || since(self.all.as_ref())
            || !self.users.is_empty() && since(self.users.get(&(session.idp.clone(), session.unique_id.into())))
            || !self.emails.is_empty() && since(self.emails.get(session.email.to_ascii_lowercase().as_str()))
            || !self.groups.is_empty() && session.groups.iter().any(|name| since(self.groups.get(name)))
    }

    /// Forgets what was said of many before `oldest`, and of single sessions before `lately`: the store has removed them.
    pub(super) fn forget(&mut self, oldest: Timestamp, lately: Timestamp) {
        let is_kept = |at: &Timestamp| *at >= oldest;
        self.sessions.retain(|_, at| *at >= lately);
        self.users.retain(|_, at| is_kept(at));
        self.emails.retain(|_, at| is_kept(at));
        self.groups.retain(|_, at| is_kept(at));
        self.all = self.all.filter(is_kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::{self, at};
    use crate::session::types::Session;
    use std::sync::Arc;

    fn session(key: SessionKey, created: i64) -> Session {
        Session::new(key, Arc::new(contract::record(created, 9_000)), at(created))
    }

    fn idp(id: &str) -> IdpId {
        IdpId::parse(id).unwrap()
    }

    #[test]
    fn each_target_ends_what_it_names_and_what_began_before() {
        let key = contract::ticket().key();
        let other = contract::ticket().key();
        let user = |id: &str, unique_id: &str| Target::User { idp: idp(id), unique_id: unique_id.into() };
        for (target, ends) in [
            (Target::Session(key), true),
            (Target::Session(other), false),
            (user("jumpcloud", "5f3c"), true),
            (user("okta", "5f3c"), false),
            (user("jumpcloud", "5f3"), false),
            (Target::Email("Ada@Example.com".into()), true),
            (Target::Email("ada@example.co".into()), false),
            (Target::Group("admins".into()), true),
            (Target::Group("Admins".into()), false),
            (Target::All, true),
        ] {
            let is_single = matches!(target, Target::Session(_));
            let revocation = Revocation { target, at: at(1_000) };
            let mut known = Revocations::default();
            known.add(&revocation);
            for (created, is_before) in [(999, true), (1_000, true), (1_001, false)] {
                let session = session(key, created);
                let expected = ends && (is_before || is_single);
                assert_eq!(revocation.ends(session.whose()), expected, "{revocation:?} {created}");
                assert_eq!(known.end(session.whose()), expected, "{revocation:?} {created}");
            }
        }
    }

    #[test]
    fn the_latest_word_counts_and_old_ones_are_forgotten() {
        for target in [
            Target::User { idp: idp("jumpcloud"), unique_id: "5f3c".into() },
            Target::Email("ada@example.com".into()),
            Target::Group("staff".into()),
            Target::All,
        ] {
            let mut known = Revocations::default();
            for time in [5, 20, 10] {
                known.add(&Revocation { target: target.clone(), at: at(time) });
            }
            let ends = |known: &Revocations, created| known.end(session(contract::ticket().key(), created).whose());
            assert!(ends(&known, 20) && !ends(&known, 21), "{target:?}");
            known.forget(at(20), at(20));
            assert!(ends(&known, 20), "{target:?}");
            known.forget(at(21), at(21));
            assert!(!ends(&known, 1), "{target:?}");
        }
    }
}
