//! What a session and a pending login hold.

use std::sync::atomic::AtomicI64;

use saml_core::{IdpId, Timestamp};

use super::ticket::BindingHash;

/// A signed-in person, as kept by a store. A user is (`idp`, `unique_id`), never an e-mail alone.
#[derive(Clone)]
pub struct SessionRecord {
    pub idp: IdpId,
    pub unique_id: Box<str>,
    pub email: Box<str>,
    pub username: Option<Box<str>>,
    pub first_name: Option<Box<str>>,
    pub last_name: Option<Box<str>>,
    pub name_id: Option<Box<str>>,
    pub groups: Box<[Box<str>]>,
    /// Only attributes that a header is made from.
    pub attributes: Box<[(Box<str>, Box<[Box<str>]>)]>,
    pub created: Timestamp,
    /// The least of `session.max_age` and the IdP's SessionNotOnOrAfter.
    pub expires: Timestamp,
    pub assertion_id: Box<str>,
    pub session_index: Option<Box<str>>,
}

/// A [`SessionRecord`] in the cache of this process.
pub struct Session {
    pub record: SessionRecord,
    /// Unix seconds; written by every request, to the store only now and then.
    pub last_seen: AtomicI64,
}

/// A login that was started and not yet finished; keyed by its request ID.
#[derive(Clone)]
pub struct PendingLogin {
    pub idp: IdpId,
    /// Already checked; a path or a URL of an accepted host.
    pub return_url: Box<str>,
    pub binding: BindingHash,
    pub created: Timestamp,
}
