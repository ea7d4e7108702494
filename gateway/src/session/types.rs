//! What a session and a pending login hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use saml_core::{Authentication, IdpId, NameId, NamedSessions, Timestamp};

use super::groups::Groups;
use super::rounds::Rounds;
use super::ticket::{BindingHash, FormId, SessionKey};

/// A signed-in person, as kept by a store. A user is (`idp`, `unique_id`), never an e-mail alone.
#[derive(Clone)]
pub struct SessionRecord {
    pub idp: IdpId,
    pub unique_id: Box<str>,
    pub email: Box<str>,
    pub username: Option<Box<str>>,
    pub first_name: Option<Box<str>>,
    pub last_name: Option<Box<str>>,
    pub groups: Groups,
    /// Most sessions have none, and are smaller for it.
    pub further: Option<Box<FurtherClaims>>,
    pub created: Timestamp,
    /// The least of `session.max_age` and the IdP's SessionNotOnOrAfter.
    pub expires: Timestamp,
    /// Of IdPs with single logout alone: nobody asks for it elsewhere.
    pub idp_session: Option<Box<IdpSession>>,
}

/// What only some settings make headers from; what no header is made from is not kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FurtherClaims {
    pub name_id: Option<Box<str>>,
    pub attributes: Box<[Attribute]>,
}

impl FurtherClaims {
    /// `None` where there are none.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// The session at the IdP, as single logout names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdpSession {
    /// Whole, and byte for byte as the assertion had it.
    pub name_id: NameId,
    pub session_indexes: Vec<String>,
}

impl SessionRecord {
    /// Whether single logout is asked to end it.
    pub fn is_among(&self, named: &NamedSessions<'_>) -> bool {
        self.idp_session.as_ref().is_some_and(|session| session.is_among(&self.idp, named))
    }
}

impl IdpSession {
    pub(super) fn is_among(&self, idp: &IdpId, named: &NamedSessions<'_>) -> bool {
        named.include(idp, &self.name_id, self.session_indexes.iter().map(String::as_str))
    }
}

/// A session as its store knows it without the ticket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSession {
    pub key: SessionKey,
    pub idp: IdpId,
    pub unique_id: Box<str>,
    pub email: Box<str>,
    pub groups: Groups,
    pub created: Timestamp,
    pub expires: Timestamp,
    /// As the store was last told.
    pub seen: Timestamp,
}

impl StoredSession {
    pub(super) fn of(key: SessionKey, record: &SessionRecord, seen: Timestamp) -> Self {
        Self {
            key,
            idp: record.idp.clone(),
            unique_id: record.unique_id.clone(),
            email: record.email.clone(),
            groups: record.groups.clone(),
            created: record.created,
            expires: record.expires,
            seen,
        }
    }

    pub fn ended(&self) -> EndedSession {
        EndedSession { key: self.key, idp: self.idp.clone(), unique_id: self.unique_id.clone() }
    }

    pub(super) fn whose(&self) -> Whose<'_> {
        Whose {
            key: &self.key,
            idp: &self.idp,
            unique_id: &self.unique_id,
            email: &self.email,
            groups: &self.groups,
            created: self.created,
        }
    }
}

/// What a revocation looks at.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) key: &'a SessionKey,
    pub(super) idp: &'a IdpId,
    pub(super) unique_id: &'a str,
    pub(super) email: &'a str,
    pub(super) groups: &'a Groups,
    pub(super) created: Timestamp,
}

/// A session that was ended from outside, as logs name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedSession {
    pub key: SessionKey,
    pub idp: IdpId,
    pub unique_id: Box<str>,
}

/// A LogoutRequest of ours that the IdP has not answered; keyed by its ID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingLogout {
    pub idp: IdpId,
    pub created: Timestamp,
}

/// An attribute's Name and its values.
pub type Attribute = (Box<str>, Box<[Box<str>]>);

/// A [`SessionRecord`] in the cache of this process.
pub struct Session {
    pub key: SessionKey,
    /// Shared with the memory store, so that a session is held once.
    pub record: Arc<SessionRecord>,
    /// The record's, in Unix seconds, for the hit path: it then reads one place of memory and not two.
    expires: i64,
    /// Unix seconds; written by every request, to the store only now and then.
    pub last_seen: AtomicI64,
    /// What the store was last told.
    stored_seen: AtomicI64,
}

impl Session {
    pub fn new(key: SessionKey, record: Arc<SessionRecord>, seen: Timestamp) -> Self {
        let (expires, seen) = (record.expires.unix_seconds(), seen.unix_seconds());
        Self { key, record, expires, last_seen: AtomicI64::new(seen), stored_seen: AtomicI64::new(seen) }
    }

    pub(super) fn whose(&self) -> Whose<'_> {
        let SessionRecord { idp, unique_id, email, groups, created, .. } = &*self.record;
        Whose { key: &self.key, idp, unique_id, email, groups, created: *created }
    }

    /// As its store would know it.
    pub fn stored(&self) -> StoredSession {
        StoredSession::of(self.key, &self.record, self.seen())
    }

    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires <= now.unix_seconds()
    }

    pub fn seen(&self) -> Timestamp {
        Timestamp::from_unix(self.last_seen.load(Ordering::Relaxed), 0)
    }

    pub(super) fn seconds_idle(&self, now: Timestamp) -> i64 {
        now.unix_seconds().saturating_sub(self.last_seen.load(Ordering::Relaxed))
    }

    pub(super) fn seconds_untold(&self, now: Timestamp) -> i64 {
        now.unix_seconds().saturating_sub(self.stored_seen.load(Ordering::Relaxed))
    }

    /// Whether it was seen so much later than the store was told.
    pub(super) fn is_news(&self, seconds: i64) -> bool {
        self.last_seen.load(Ordering::Relaxed).saturating_sub(self.stored_seen.load(Ordering::Relaxed)) >= seconds
    }

    /// Writes only when the second has changed: a hot session's cache line is not fought over.
    pub fn see(&self, now: Timestamp) {
        let now = now.unix_seconds();
        if self.last_seen.load(Ordering::Relaxed) < now {
            self.last_seen.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// As if the store had never been told: it will be before long.
    pub(super) fn untold(&self) {
        self.stored_seen.store(0, Ordering::Relaxed);
    }

    pub(super) fn told(&self, now: Timestamp) {
        self.stored_seen.fetch_max(now.unix_seconds(), Ordering::Relaxed);
    }
}

/// A login that was started and not yet finished; keyed by its request ID.
#[derive(Clone)]
pub struct PendingLogin {
    pub idp: IdpId,
    /// Already checked; a path or a URL of an accepted host.
    pub return_url: Box<str>,
    pub binding: BindingHash,
    pub created: Timestamp,
    /// What the AuthnRequest asked for.
    pub authentication: Authentication,
    /// Fresh logins that this browser needed before this one.
    pub rounds: Rounds,
    /// The session that this browser had; it ends when this login succeeds.
    pub replaces: Option<SessionKey>,
    pub landing: Landing,
}

/// Where a login that succeeded leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    ReturnUrl,
    /// To the page that replays this form.
    Form(FormId),
    /// To the page that tells the window which opened this one, and closes.
    PopUp,
}

impl Landing {
    /// The same URL, which has a query, with what brings the landing along.
    #[must_use]
    pub fn carried_by(self, url: String) -> String {
        match self {
            Self::ReturnUrl => url,
            Self::Form(id) => format!("{url}&form={id}"),
            Self::PopUp => format!("{url}&popup=1"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract;

    #[test]
    fn a_session_with_twenty_groups_stays_under_a_kilobyte() {
        /// What an allocator adds to each piece, generously.
        const OVERHEAD: usize = 16;
        let mut record = contract::record(0, 1);
        record.groups = (0..20).map(|number| format!("engineering-{number:02}")).collect();
        let texts = [
            Some(record.idp.as_str()),
            Some(&*record.unique_id),
            Some(&*record.email),
            record.username.as_deref(),
            record.first_name.as_deref(),
            record.last_name.as_deref(),
        ];
        let texts: usize = texts.into_iter().flatten().map(|text| text.len() + OVERHEAD).sum();
        let groups: usize = record.groups.iter().map(|group| group.len() + 1).sum();
        let whole = size_of::<Session>() + size_of::<SessionRecord>() + texts + groups + 4 * OVERHEAD;
        assert!(whole < 1_000, "{whole} bytes");
    }
}
