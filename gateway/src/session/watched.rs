//! The memory store, watched: what the tests of [`Sessions`] stand on.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use saml_core::{IdpId, NamedSessions, ReplayKey, RequestId, Timestamp};

use super::browser::Browser;
use super::cache::{SessionLimits, Sessions, lock};
use super::memory::MemoryStore;
use super::revocation::{Effect, Revocation};
use super::store::{ClaimOutcome, Cursor, PendingState, Place, SessionStore, StoreError, TakeOutcome};
use super::ticket::{SessionKey, Ticket};
use super::types::{PendingLogin, PendingLogout, SessionRecord, StoredSession};

/// The memory store, as several processes would share it, counting what it is asked and failing when told to.
pub(super) struct Watched {
    pub(super) inner: MemoryStore,
    pub(super) loads: AtomicUsize,
    pub(super) touches: AtomicUsize,
    pub(super) published: Mutex<Vec<Revocation>>,
    /// How often somebody read what is published.
    pub(super) reads: AtomicUsize,
    pub(super) is_down: AtomicBool,
    /// It answers, and takes nothing.
    pub(super) is_full: AtomicBool,
}

impl Watched {
    fn answer(&self) -> Result<(), StoreError> {
        if self.is_down.load(Ordering::Relaxed) { Err(StoreError::Away { problem: "down".to_owned() }) } else { Ok(()) }
    }
}

#[async_trait]
impl SessionStore for Watched {
    async fn insert(&self, ticket: &Ticket, record: SessionRecord, browser: &Browser<'_>) -> Result<(), StoreError> {
        self.inner.insert(ticket, record, browser).await
    }
    async fn load(
        &self,
        key: &SessionKey,
        ticket: &Ticket,
        browser: &Browser<'_>,
    ) -> Result<Option<(Arc<SessionRecord>, Timestamp)>, StoreError> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        self.answer()?;
        tokio::task::yield_now().await;
        self.inner.load(key, ticket, browser).await
    }
    async fn touch(
        &self,
        key: &SessionKey,
        ticket: Option<&Ticket>,
        seen: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<bool, StoreError> {
        self.touches.fetch_add(1, Ordering::Relaxed);
        self.answer()?;
        self.inner.touch(key, ticket, seen, browser).await
    }
    async fn remove(&self, key: &SessionKey) -> Result<bool, StoreError> {
        self.answer()?;
        self.inner.remove(key).await
    }
    async fn sessions_of(&self, idp: &IdpId, unique_id: &str) -> Result<Vec<StoredSession>, StoreError> {
        self.answer()?;
        self.inner.sessions_of(idp, unique_id).await
    }
    async fn walk(&self, from: Option<Cursor>) -> Result<(Vec<StoredSession>, Option<Cursor>), StoreError> {
        self.answer()?;
        self.inner.walk(from).await
    }
    fn is_shared(&self) -> bool {
        true
    }
    async fn publish(&self, revocation: &Revocation) -> Result<Effect, StoreError> {
        self.answer()?;
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Away { problem: "full".to_owned() });
        }
        lock(&self.published).push(revocation.clone());
        Ok(Effect::Done)
    }
    async fn published(&self, since: Option<&Place>) -> Result<(Place, Vec<Revocation>), StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
        self.answer()?;
        let published = lock(&self.published).clone();
        let known = since.map_or(0, |place| place.0[0].parse().unwrap());
        Ok((Place(vec![published.len().to_string()]), published[known..].to_vec()))
    }
    async fn sessions_named(&self, named: &NamedSessions<'_>) -> Result<Vec<StoredSession>, StoreError> {
        self.answer()?;
        self.inner.sessions_named(named).await
    }
    async fn put_pending_logout(
        &self,
        id: &RequestId,
        logout: PendingLogout,
        client: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError> {
        self.inner.put_pending_logout(id, logout, client, browser).await
    }
    async fn take_pending_logout(
        &self,
        id: &str,
        now: Timestamp,
        browser: &Browser<'_>,
    ) -> Result<Option<PendingLogout>, StoreError> {
        self.inner.take_pending_logout(id, now, browser).await
    }
    async fn put_pending(
        &self,
        id: &RequestId,
        login: PendingLogin,
        client: IpAddr,
        browser: &Browser<'_>,
    ) -> Result<(), StoreError> {
        self.inner.put_pending(id, login, client, browser).await
    }
    async fn pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<PendingState, StoreError> {
        self.inner.pending(id, now, browser).await
    }
    async fn take_pending(&self, id: &str, now: Timestamp, browser: &Browser<'_>) -> Result<TakeOutcome, StoreError> {
        self.inner.take_pending(id, now, browser).await
    }
    async fn count_refusal(&self, id: &str) -> Result<(), StoreError> {
        self.inner.count_refusal(id).await
    }
    async fn claim_assertion(
        &self,
        key: &ReplayKey,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<ClaimOutcome, StoreError> {
        self.inner.claim_assertion(key, until, now).await
    }
}

pub(super) fn store() -> Arc<Watched> {
    Arc::new(Watched {
        inner: MemoryStore::new(100),
        loads: AtomicUsize::new(0),
        touches: AtomicUsize::new(0),
        published: Mutex::default(),
        reads: AtomicUsize::new(0),
        is_down: AtomicBool::new(false),
        is_full: AtomicBool::new(false),
    })
}

/// Idle after 1,000 seconds: the store hears of a session every 100.
pub(super) fn sessions(store: &Arc<Watched>) -> Sessions {
    let limits = SessionLimits {
        idle_timeout: Duration::from_secs(1_000),
        max_cached: 100,
        outage_limit: Duration::from_secs(900),
        max_per_user: None,
        idps: ["jumpcloud", "okta"].map(|id| IdpId::parse(id).unwrap()).to_vec(),
    };
    Sessions::new(Arc::clone(store) as Arc<dyn SessionStore>, &limits)
}
