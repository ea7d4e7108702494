//! The store of one process: everything is gone when it ends.
//!
//! One lock for each kind of thing. Behind the cache the store is asked once a session and then only now
//! and then, and no lock is held across an await.

use std::collections::{BTreeSet, HashMap};
use std::hash::BuildHasherDefault;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use aws_lc_rs::digest::{Context, SHA256};
use saml_core::{IdpId, NameId, NamedSessions, ReplayKey, RequestId, Timestamp};

use super::browser::Browser;
use super::claims::Claims;
use super::kept_forms::KeptForms;
use super::pending::PendingLogins;
use super::pending_logout::PendingLogouts;
use super::revocation::{Effect, Revocation};
use super::store::{
    ClaimOutcome, Cursor, KeepOutcome, PendingState, Place, SessionStore, StoreError, TakeOutcome, Whereabouts,
};
use super::ticket::{FormKey, KeyHasher, SessionKey, Ticket};
use super::types::{PendingLogin, PendingLogout, SessionRecord, StoredSession};

/// How many sessions are read under the lock.
const AT_ONCE: usize = 1_000;

pub struct MemoryStore {
    max_sessions: u64,
    sessions: Mutex<Records>,
    pending: Mutex<PendingLogins>,
    pending_logouts: Mutex<PendingLogouts>,
    claims: Mutex<Claims>,
    forms: Mutex<KeptForms>,
}

#[derive(Default)]
struct Records {
    by_key: HashMap<SessionKey, (Arc<SessionRecord>, Timestamp), BuildHasherDefault<KeyHasher>>,
    by_expiry: BTreeSet<(Timestamp, SessionKey)>,
    /// By [`name_key`]; only sessions that single logout can name.
    by_name: BTreeSet<([u8; 32], SessionKey)>,
    /// By [`user_hash`], which two users may share.
    by_user: BTreeSet<(u64, SessionKey)>,
}

impl MemoryStore {
    pub fn new(max_sessions: u64) -> Self {
        Self {
            max_sessions,
            sessions: Mutex::default(),
            pending: Mutex::default(),
            pending_logouts: Mutex::default(),
            claims: Mutex::default(),
            forms: Mutex::default(),
        }
    }
}

#[async_trait]
impl SessionStore for MemoryStore {
    async fn insert(&self, ticket: &Ticket, record: SessionRecord, _: &Browser<'_>) -> Result<(), StoreError> {
        let mut sessions = lock(&self.sessions);
        sessions.sweep(record.created);
        if u64::try_from(sessions.by_key.len()).is_ok_and(|held| held >= self.max_sessions) {
            return Err(StoreError::Full { limit: self.max_sessions });
        }
        sessions.insert(ticket.key(), record);
        Ok(())
    }

    async fn load(
        &self,
        key: &SessionKey,
        _ticket: &Ticket,
        _: &Browser<'_>,
    ) -> Result<Option<(Arc<SessionRecord>, Timestamp)>, StoreError> {
        Ok(lock(&self.sessions).by_key.get(key).cloned())
    }

    async fn touch(
        &self,
        key: &SessionKey,
        _: Option<&Ticket>,
        seen: Timestamp,
        _: &Browser<'_>,
    ) -> Result<bool, StoreError> {
        let mut sessions = lock(&self.sessions);
        let Some((_, last_seen)) = sessions.by_key.get_mut(key) else { return Ok(false) };
        *last_seen = seen.max(*last_seen);
        Ok(true)
    }

    async fn remove(&self, key: &SessionKey) -> Result<bool, StoreError> {
        Ok(lock(&self.sessions).remove(key))
    }

    async fn sessions_of(&self, idp: &IdpId, unique_id: &str) -> Result<Vec<StoredSession>, StoreError> {
        Ok(lock(&self.sessions).of_user(idp, unique_id))
    }

    async fn walk(&self, from: Option<Cursor>) -> Result<(Vec<StoredSession>, Option<Cursor>), StoreError> {
        Ok(lock(&self.sessions).some(from))
    }

    fn is_shared(&self) -> bool {
        false
    }

    async fn publish(&self, _: &Revocation) -> Result<Effect, StoreError> {
        Ok(Effect::Done)
    }

    async fn published(&self, _: Option<&Place>) -> Result<(Place, Vec<Revocation>), StoreError> {
        Ok((Place::default(), Vec::new()))
    }

    async fn sessions_named(&self, named: &NamedSessions<'_>) -> Result<Vec<StoredSession>, StoreError> {
        Ok(lock(&self.sessions).named(named))
    }

    async fn put_pending(
        &self,
        id: &RequestId,
        login: PendingLogin,
        client: IpAddr,
        _: &Browser<'_>,
    ) -> Result<(), StoreError> {
        lock(&self.pending).put(id, login, client);
        Ok(())
    }

    async fn pending(&self, id: &str, now: Timestamp, _: &Browser<'_>) -> Result<PendingState, StoreError> {
        Ok(lock(&self.pending).state(id, now))
    }

    async fn take_pending(&self, id: &str, now: Timestamp, _: &Browser<'_>) -> Result<TakeOutcome, StoreError> {
        Ok(lock(&self.pending).take(id, now))
    }

    async fn count_refusal(&self, id: &str) -> Result<(), StoreError> {
        lock(&self.pending).count_refusal(id);
        Ok(())
    }

    async fn put_pending_logout(
        &self,
        id: &RequestId,
        logout: PendingLogout,
        client: IpAddr,
        _: &Browser<'_>,
    ) -> Result<(), StoreError> {
        lock(&self.pending_logouts).put(id, logout, client);
        Ok(())
    }

    async fn take_pending_logout(
        &self,
        id: &str,
        now: Timestamp,
        _: &Browser<'_>,
    ) -> Result<Option<PendingLogout>, StoreError> {
        Ok(lock(&self.pending_logouts).take(id, now))
    }

    async fn claim_assertion(
        &self,
        key: &ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimOutcome, StoreError> {
        Ok(lock(&self.claims).claim(*key.as_bytes(), until, now))
    }

    async fn put_form(
        &self,
        key: &FormKey,
        sealed: Vec<u8>,
        now: Timestamp,
        client: IpAddr,
    ) -> Result<KeepOutcome, StoreError> {
        lock(&self.forms).put(*key, sealed, now, client);
        Ok(KeepOutcome::Kept)
    }

    async fn form(&self, key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.forms).get(key))
    }

    async fn take_form(&self, key: &FormKey) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(lock(&self.forms).take(key))
    }
}

impl Records {
    fn insert(&mut self, key: SessionKey, record: SessionRecord) {
        self.by_expiry.insert((record.expires, key));
        self.by_name.extend(name_of(&record).map(|name| (name, key)));
        self.by_user.insert((user_hash(&record.idp, &record.unique_id), key));
        let seen = record.created;
        self.by_key.insert(key, (Arc::new(record), seen));
    }

    fn remove(&mut self, key: &SessionKey) -> bool {
        let Some((record, _)) = self.by_key.remove(key) else { return false };
        self.by_expiry.remove(&(record.expires, *key));
        self.by_user.remove(&(user_hash(&record.idp, &record.unique_id), *key));
        if let Some(name) = name_of(&record) {
            self.by_name.remove(&(name, *key));
        }
        true
    }

    fn of_user(&self, idp: &IdpId, unique_id: &str) -> Vec<StoredSession> {
        let hash = user_hash(idp, unique_id);
        let keys = self.by_user.range((hash, SessionKey::FIRST)..).take_while(|(other, _)| *other == hash);
        let sessions = keys.filter_map(|(_, key)| self.stored(key));
        sessions.filter(|session| session.idp == *idp && *session.unique_id == *unique_id).collect()
    }

    fn some(&self, from: Option<Cursor>) -> (Vec<StoredSession>, Option<Cursor>) {
        let from = match from {
            Some(Cursor(Whereabouts::Behind(expires, key))) => Bound::Excluded((expires, key)),
            _ => Bound::Unbounded,
        };
        let some: Vec<_> = self.by_expiry.range((from, Bound::Unbounded)).take(AT_ONCE).copied().collect();
        let next = some.last().filter(|_| some.len() == AT_ONCE);
        let next = next.map(|(expires, key)| Cursor(Whereabouts::Behind(*expires, *key)));
        (some.iter().filter_map(|(_, key)| self.stored(key)).collect(), next)
    }

    fn stored(&self, key: &SessionKey) -> Option<StoredSession> {
        self.by_key.get(key).map(|(record, seen)| StoredSession::of(*key, record, *seen))
    }

    fn named(&self, named: &NamedSessions<'_>) -> Vec<StoredSession> {
        let name = name_key(named.idp, named.name_id);
        let of_name = self.by_name.range((name, SessionKey::FIRST)..).take_while(|(other, _)| *other == name);
        let is_meant = |key: &SessionKey| self.by_key.get(key).is_some_and(|(record, _)| record.is_among(named));
        of_name.filter(|(_, key)| is_meant(key)).filter_map(|(_, key)| self.stored(key)).collect()
    }

    fn sweep(&mut self, now: Timestamp) {
        while let Some((expires, key)) = self.by_expiry.first().copied() {
            if expires > now {
                return;
            }
            self.remove(&key);
            self.by_expiry.remove(&(expires, key));
        }
    }
}

fn user_hash(idp: &IdpId, unique_id: &str) -> u64 {
    let mut context = Context::new(&SHA256);
    // An IdP id holds no NUL.
    [idp.as_str().as_bytes(), b"\0", unique_id.as_bytes()].iter().for_each(|part| context.update(part));
    context.finish().as_ref().first_chunk::<8>().map_or(0, |first| u64::from_be_bytes(*first))
}

fn name_of(record: &SessionRecord) -> Option<[u8; 32]> {
    record.idp_session.as_ref().map(|session| name_key(&record.idp, &session.name_id))
}

/// What single logout compares of a name, of any length, as a key of fixed length. The Format is not compared.
fn name_key(idp: &IdpId, name_id: &NameId) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    let qualifiers = [name_id.name_qualifier.as_deref(), name_id.sp_name_qualifier.as_deref()];
    for part in [Some(idp.as_str()), Some(name_id.value.as_str())].into_iter().chain(qualifiers) {
        // An absent part is not an empty one.
        context.update(&[u8::from(part.is_some())]);
        let part = part.unwrap_or_default();
        context.update(&part.len().to_be_bytes());
        context.update(part.as_bytes());
    }
    context.finish().as_ref().first_chunk().copied().unwrap_or_default()
}

/// A panic elsewhere while the lock was held leaves maps that are whole: each change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract;
    use aws_lc_rs::rand::SystemRandom;

    #[tokio::test]
    async fn keeps_the_contract_of_a_store() {
        contract::run(&|| Arc::new(MemoryStore::new(10_000))).await;
    }

    #[tokio::test]
    async fn refuses_a_session_past_the_limit_until_one_has_expired() {
        let store = MemoryStore::new(2);
        let ticket = || Ticket::generate(&SystemRandom::new()).unwrap();
        store.insert(&ticket(), contract::record(0, 100), &Browser::none()).await.unwrap();
        store.insert(&ticket(), contract::record(0, 200), &Browser::none()).await.unwrap();
        let full = store.insert(&ticket(), contract::record(99, 300), &Browser::none()).await;
        assert!(matches!(full, Err(StoreError::Full { limit: 2 })));
        store.insert(&ticket(), contract::record(100, 300), &Browser::none()).await.unwrap();
        assert_eq!(lock(&store.sessions).by_key.len(), 2);
        assert_eq!(lock(&store.sessions).by_expiry.len(), 2);
        assert_eq!(lock(&store.sessions).by_name.len(), 2);
    }
}
