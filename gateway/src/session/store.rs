//! The border between the gateway and whatever keeps its state.
//!
//! Expiry is decided by our timestamps, given as `now`; a store's own time to live only collects garbage.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use saml_core::{IdpId, NamedSessions, ReplayKey, RequestId, Timestamp};

use super::browser::Browser;
use super::revocation::{Effect, Revocation};
use super::ticket::{FormKey, RandomError, SessionKey, Ticket};
use super::types::{PendingLogin, PendingLogout, SessionRecord, StoredSession};

/// A store could not answer. The gateway refuses; it never guesses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the session store is full ({limit} entries): raise session.max_sessions")]
    Full { limit: u64 },
    #[error("Redis does not answer as it should ({problem})")]
    Away { problem: String },
    #[error("session.revocations_file: {problem}")]
    Revocations { problem: String },
    #[error("the session takes {bytes} bytes of cookies, at most {limit} are set")]
    SessionTooLarge { bytes: usize, limit: usize },
    #[error("a session cannot be packed: {problem}")]
    Packing { problem: String },
    #[error(transparent)]
    Random(#[from] RandomError),
}

/// What is known about a request ID.
#[derive(Clone)]
pub enum PendingState {
    /// Never made here, or forgotten.
    Unknown,
    Open(PendingLogin),
    /// Taken; kept until its 15 minutes are over so that a repeated POST finds its way home.
    Used(PendingLogin),
    Expired(PendingLogin),
}

#[must_use]
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum TakeOutcome {
    Taken,
    /// Somebody else took it first, or it is gone.
    Lost,
}

#[must_use]
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum ClaimOutcome {
    Claimed,
    AlreadyClaimed,
}

/// What became of a form that was to be kept.
#[must_use]
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum KeepOutcome {
    Kept,
    /// Its address, or all together, have as much here as they may.
    TooMuch,
    /// This store keeps no forms.
    NotHere,
}

/// How far a process has read what others published. Only the store that made it understands it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place(pub(super) Vec<String>);

/// Where a walk over all sessions goes on. Only the store that made it understands it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor(pub(super) Whereabouts);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// The set of that number is next.
    Set(u8),
    /// What ends after that session is next.
    Behind(Timestamp, SessionKey),
}

#[async_trait]
pub trait SessionStore: Send + Sync {
    async fn insert(&self, ticket: &Ticket, record: SessionRecord, browser: &Browser<'_>) -> Result<(), StoreError>;
    /// The record and when it was last seen; the caller judges expiry.
    async fn load(
        &self,
        key: &SessionKey,
        ticket: &Ticket,
        browser: &Browser<'_>,
    ) -> Result<Option<(Arc<SessionRecord>, Timestamp)>, StoreError>;
    /// Never moves backwards; a session that is gone stays gone. Whether it is still there. Without a request, as where a
    /// stream is in use, there is no ticket.
    async fn touch(
        &self,
        key: &SessionKey,
        ticket: Option<&Ticket>,
        seen: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<bool, StoreError>;
    /// Whether it was there.
    async fn remove(&self, key: &SessionKey) -> Result<bool, StoreError>;

    /// The sessions of one user, in no order.
    async fn sessions_of(&self, idp: &IdpId, unique_id: &str) -> Result<Vec<StoredSession>, StoreError>;
    /// All sessions, some at a time; one that begins or ends meanwhile may be missed. Begins with `None`, and ends with it.
    async fn walk(&self, from: Option<Cursor>) -> Result<(Vec<StoredSession>, Option<Cursor>), StoreError>;

    /// Whether it can say which sessions there are. One that cannot finds none, and ends them by what is published.
    fn keeps_sessions(&self) -> bool {
        true
    }
    /// Whether sessions hold the group: one that is left out ends nobody's session.
    fn keeps_group(&self, _: &str) -> bool {
        true
    }

    /// Whether other processes use the store too.
    fn is_shared(&self) -> bool;
    /// Tells every process that uses the store.
    async fn publish(&self, revocation: &Revocation) -> Result<Effect, StoreError>;
    /// What was published since `place`, oldest first, and the place behind it; from `None`, all that may still count
    /// against a session in the store.
    async fn published(&self, since: Option<&Place>) -> Result<(Place, Vec<Revocation>), StoreError>;

    /// Every session for which [`SessionRecord::is_among`] holds. Value and qualifiers of the NameID are whole, so that
    /// a store may find them by a keyed hash and then look at the SessionIndexes.
    async fn sessions_named(&self, named: &NamedSessions<'_>) -> Result<Vec<StoredSession>, StoreError>;

    /// Bounded by browser (ten; the oldest goes) and by address (the oldest goes).
    async fn put_pending(
        &self,
        id: &RequestId,
        login: PendingLogin,
        client: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError>;
    async fn pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<PendingState, StoreError>;
    /// Atomically turns an open record into a used one: one winner.
    async fn take_pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<TakeOutcome, StoreError>;
    /// Counts a refused response against an open record; the fifth drops it.
    async fn count_refusal(&self, id: &str) -> Result<(), StoreError>;
    /// Bounded by address (the oldest goes).
    async fn put_pending_logout(
        &self,
        id: &RequestId,
        logout: PendingLogout,
        client: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError>;
    /// Gives it away once, and not after its 15 minutes.
    async fn take_pending_logout(
        &self,
        id: &str,
        now: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<Option<PendingLogout>, StoreError>;
    /// Insert if absent: one winner.
    async fn claim_assertion(
        &self,
        key: &ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimOutcome, StoreError>;

    /// `sealed` is for whoever has the form's secret; the store collects it some time after
    /// [`FORM_SECONDS`](super::FORM_SECONDS). Bounded in bytes, so that strangers cannot fill the store.
    async fn put_form(
        &self,
        _key: &FormKey,
        _sealed: Vec<u8>,
        _now: Timestamp,
        _client: IpAddr,
    ) -> Result<KeepOutcome, StoreError> {
        Ok(KeepOutcome::NotHere)
    }
    async fn form(&self, _key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
    /// Gives it away once: one winner.
    async fn take_form(&self, _key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}
