//! The sessions of this process: a cache in front of the store, and the judge of expiry.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::BuildHasherDefault;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use aws_lc_rs::rand::SystemRandom;
use moka::sync::Cache;
use saml_core::{IdpId, Timestamp, VerifiedLogoutRequest};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use super::browser::Browser;
use super::follow::Follower;
use super::revocation::{Effect, Revocation, Target};
use super::store::{SessionStore, StoreError};
use super::streams::{StreamEnd, Streams};
use super::ticket::{KeyHasher, RandomError, SessionKey, Ticket};
use super::types::{Session, SessionRecord, StoredSession};

/// The store is told when a session was last seen at most this often, however short the idle limit.
const LEAST_SECONDS_BETWEEN_TOUCHES: i64 = 30;

/// A session could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

pub struct SessionLimits {
    pub idle_timeout: Duration,
    /// How many sessions the cache holds.
    pub max_cached: u64,
    /// How long a cached session counts while the store does not answer.
    pub outage_limit: Duration,
    /// How many sessions a user may have; the oldest ends for one more.
    pub max_per_user: Option<u64>,
    /// Of others no session counts.
    pub idps: Vec<IdpId>,
}

pub struct Sessions {
    pub(super) cache: Cache<SessionKey, Arc<Session>, BuildHasherDefault<KeyHasher>>,
    pub(super) store: Arc<dyn SessionStore>,
    pub(super) follower: Follower,
    pub(super) streams: Streams,
    /// Keys that are being read from the store right now: one at a time for each key, so that a burst of requests
    /// makes one read.
    lanes: Mutex<HashMap<SessionKey, Arc<AsyncMutex<()>>>>,
    random: SystemRandom,
    pub(super) idle_seconds: i64,
    pub(super) touch_seconds: i64,
    pub(super) outage_seconds: i64,
    max_per_user: Option<u64>,
    idps: ArcSwap<Vec<IdpId>>,
}

enum State {
    Live,
    /// Live, and the store should hear that it was seen.
    TouchDue,
    /// As far as this process knows: another replica may have seen it since.
    Idle,
    Expired,
}

impl Sessions {
    pub fn new(store: Arc<dyn SessionStore>, limits: &SessionLimits) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        let idle_seconds = seconds(limits.idle_timeout);
        Self {
            cache: Cache::builder()
                .max_capacity(limits.max_cached)
                .build_with_hasher(BuildHasherDefault::<KeyHasher>::default()),
            follower: Follower::of(&*store),
            store,
            streams: Streams::default(),
            lanes: Mutex::default(),
            random: SystemRandom::new(),
            idle_seconds,
            // Of a short limit a third: another replica must not take a session in use for an idle one.
            touch_seconds: (idle_seconds / 10).max(LEAST_SECONDS_BETWEEN_TOUCHES).min(idle_seconds / 3).max(1),
            outage_seconds: seconds(limits.outage_limit),
            max_per_user: limits.max_per_user,
            idps: ArcSwap::from_pointee(limits.idps.clone()),
        }
    }

    /// From now on sessions of other IdPs do not count, and those that are here end.
    pub fn only_of(&self, idps: Vec<IdpId>) {
        self.idps.store(Arc::new(idps));
        // In this order: a session that comes into the cache now finds that it does not count.
        for (key, session) in &self.cache {
            if !self.is_of_idp(&session) {
                self.lose(&key, StreamEnd::Ended);
            }
        }
        self.streams.end_where(StreamEnd::Ended, |session| !self.is_of_idp(session));
    }

    /// Whether its IdP is one of ours.
    pub(super) fn is_of_idp(&self, session: &Session) -> bool {
        self.idps.load().contains(&session.record.idp)
    }

    /// For pending logins and claims, which no cache stands in front of.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    /// The hit path: never waits. `None` means that [`Sessions::lookup`] must be asked: the session is not
    /// here, or it looks over, or the store is due to hear of it, or has been silent for too long.
    pub fn cached(&self, key: &SessionKey, now: Timestamp) -> Option<Arc<Session>> {
        if self.is_silent(now) {
            return None;
        }
        let session = self.cache.get(key)?;
        match self.state(&session, now) {
            State::Live => {
                session.see(now);
                Some(session)
            }
            State::TouchDue | State::Idle | State::Expired => None,
        }
    }

    /// The session that a ticket names, if it is neither expired nor idle.
    ///
    /// # Errors
    /// The store does not answer. The caller refuses; it never treats that as no session.
    pub async fn lookup(
        &self,
        ticket: &Ticket,
        browser: &Browser<'_>,
        now: Timestamp,
    ) -> Result<Option<Arc<Session>>, StoreError> {
        let key = ticket.key();
        if self.is_silent(now) || !self.cache.get(&key).is_some_and(|session| self.is_good(&session, now)) {
            // Without a lane: what is heard may end this very session.
            self.listen(now).await?;
        }
        let _lane = self.lane(key).await;
        let known = self.cache.get(&key);
        if let Some(session) = &known {
            match self.state(session, now) {
                State::Live | State::TouchDue => return Ok(self.admit(ticket, session, browser, now).await),
                State::Expired => return self.forget(&key, StreamEnd::Expired).await.map(|()| None),
                State::Idle => {}
            }
        }
        let Some((record, seen)) = self.store.load(&key, ticket, browser).await? else {
            self.lose(&key, StreamEnd::Ended);
            return Ok(None);
        };
        if !self.idps.load().contains(&record.idp) {
            return self.forget(&key, StreamEnd::Ended).await.map(|()| None);
        }
        // What this process saw and had not yet told the store counts as well; nobody saw it later than now.
        let session = Arc::new(Session::new(key, record, seen.min(now)));
        if let Some(known) = known {
            session.see(known.seen());
        }
        match self.state(&session, now) {
            State::Idle => self.forget(&key, StreamEnd::Idle).await.map(|()| None),
            State::Expired => self.forget(&key, StreamEnd::Expired).await.map(|()| None),
            State::Live | State::TouchDue => {
                self.cache.insert(key, Arc::clone(&session));
                // In this order: a revocation that comes now sees the cache, or is seen here.
                if self.follower.has_ended(&session) || !self.is_of_idp(&session) {
                    return self.forget(&key, StreamEnd::Ended).await.map(|()| None);
                }
                Ok(self.admit(ticket, &session, browser, now).await)
            }
        }
    }

    /// # Errors
    /// The store did not take the session, or no ticket could be drawn.
    pub async fn open(&self, record: SessionRecord, browser: &Browser<'_>) -> Result<Ticket, OpenError> {
        let ticket = Ticket::generate(&self.random)?;
        let (idp, unique_id, now) = (record.idp.clone(), record.unique_id.clone(), record.created);
        self.store.insert(&ticket, record, browser).await?;
        if let Some(most) = self.max_per_user {
            self.end_the_oldest((&idp, &unique_id), &ticket.key(), most, now).await?;
        }
        Ok(ticket)
    }

    /// So that a user has at most so many with the new one.
    async fn end_the_oldest(
        &self,
        (idp, unique_id): (&IdpId, &str),
        new: &SessionKey,
        most: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut sessions = self.store.sessions_of(idp, unique_id).await?;
        sessions.retain(|session| session.expires > now && session.key != *new);
        let past = sessions.len().saturating_add(1).saturating_sub(usize::try_from(most).unwrap_or(usize::MAX));
        sessions.sort_by_key(|session| session.created);
        sessions.truncate(past);
        self.end_all(&sessions, now).await
    }

    /// Ends a session here, in the store and at whoever shares it. Here it has ended even where the store does not
    /// answer, and there when it does.
    ///
    /// # Errors
    /// Too much waits for the store already.
    pub async fn end(&self, key: &SessionKey, now: Timestamp) -> Result<Effect, StoreError> {
        let revocation = Revocation { target: Target::Session(*key), at: now };
        self.revoke(revocation).await.map(|(effect, _)| effect)
    }

    /// The sessions that an IdP's LogoutRequest names.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn named(&self, request: &VerifiedLogoutRequest) -> Result<Vec<StoredSession>, StoreError> {
        self.store.sessions_named(&request.sessions()).await
    }

    /// As [`Sessions::end`], each of them.
    ///
    /// # Errors
    /// Too much waits for the store already.
    pub async fn end_all(&self, sessions: &[StoredSession], now: Timestamp) -> Result<(), StoreError> {
        for session in sessions {
            let _ = self.end(&session.key, now).await?;
        }
        Ok(())
    }

    /// Frees the cache of sessions whose browser never came back; to be called now and then.
    pub fn sweep(&self, now: Timestamp) {
        self.follower.sweep(now);
        for (key, session) in &self.cache {
            if matches!(self.state(&session, now), State::Expired | State::Idle) {
                self.cache.invalidate(&*key);
            }
        }
    }

    pub fn count_cached(&self) -> u64 {
        // Otherwise the count lags behind by what the cache has not yet put in order.
        self.cache.run_pending_tasks();
        self.cache.entry_count()
    }

    fn state(&self, session: &Session, now: Timestamp) -> State {
        if session.is_expired(now) {
            State::Expired
        } else if self.is_idle(session, now) {
            State::Idle
        } else if session.seconds_untold(now) >= self.touch_seconds {
            State::TouchDue
        } else {
            State::Live
        }
    }

    /// As far as this process knows.
    pub(super) fn is_idle(&self, session: &Session, now: Timestamp) -> bool {
        session.seconds_idle(now) >= self.idle_seconds
    }

    fn is_good(&self, session: &Session, now: Timestamp) -> bool {
        matches!(self.state(session, now), State::Live | State::TouchDue)
    }

    /// Whether what is cached no longer counts, since nobody can say whether it was ended.
    fn is_silent(&self, now: Timestamp) -> bool {
        self.follower.silence(now) > self.outage_seconds
    }

    /// A store that cannot take a touch does not end a session that is known to be good; one that has it no more does.
    async fn admit(
        &self,
        ticket: &Ticket,
        session: &Arc<Session>,
        browser: &Browser<'_>,
        now: Timestamp,
    ) -> Option<Arc<Session>> {
        let due = matches!(self.state(session, now), State::TouchDue);
        session.see(now);
        if due {
            session.told(now);
            match self.store.touch(&session.key, Some(ticket), now, browser).await {
                Ok(true) => {}
                Ok(false) => {
                    self.lose(&session.key, StreamEnd::Ended);
                    return None;
                }
                Err(problem) => tracing::warn!(%problem, "the store was not told that a session is in use"),
            }
        }
        Some(Arc::clone(session))
    }

    async fn forget(&self, key: &SessionKey, end: StreamEnd) -> Result<(), StoreError> {
        self.lose(key, end);
        self.store.remove(key).await.map(drop)
    }

    /// Here the session is no more, nor what stands on it.
    pub(super) fn lose(&self, key: &SessionKey, end: StreamEnd) {
        self.cache.invalidate(key);
        self.streams.end(key, end);
    }

    async fn lane(&self, key: SessionKey) -> Lane<'_> {
        let lock = Arc::clone(lock(&self.lanes).entry(key).or_default());
        // Made before waiting: a caller that goes away while it waits must clean up as well.
        let mut lane = Lane { lanes: &self.lanes, key, lock: Some(Arc::clone(&lock)), held: None };
        lane.held = Some(lock.lock_owned().await);
        lane
    }
}

/// The right to read one session; the last one out removes the lane.
struct Lane<'a> {
    lanes: &'a Mutex<HashMap<SessionKey, Arc<AsyncMutex<()>>>>,
    key: SessionKey,
    lock: Option<Arc<AsyncMutex<()>>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for Lane<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut lanes = lock(self.lanes);
        self.lock = None;
        if let Entry::Occupied(lane) = lanes.entry(self.key) {
            // Only the map's is left, and new ones are handed out under its lock.
            if Arc::strong_count(lane.get()) == 1 {
                lane.remove();
            }
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::{self, at};
    use crate::session::watched::{sessions, store};
    use saml_core::NamedSessions;
    use std::sync::atomic::Ordering;

    #[tokio::test]
    async fn a_session_is_read_once_and_then_comes_from_the_cache() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 8_000), &Browser::none()).await.unwrap();
        assert!(sessions.cached(&ticket.key(), at(1)).is_none());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some());
        for second in 1..100 {
            assert_eq!(&*sessions.cached(&ticket.key(), at(second)).unwrap().record.email, "ada@example.com");
        }
        assert_eq!(store.loads.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_burst_for_one_session_makes_one_read() {
        let store = store();
        let sessions = Arc::new(sessions(&store));
        let ticket = Arc::new(sessions.open(contract::record(0, 8_000), &Browser::none()).await.unwrap());
        let burst: Vec<_> = (0..32)
            .map(|_| {
                let (sessions, ticket) = (Arc::clone(&sessions), Arc::clone(&ticket));
                tokio::spawn(async move { sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some() })
            })
            .collect();
        for one in burst {
            assert!(one.await.unwrap());
        }
        assert_eq!(store.loads.load(Ordering::Relaxed), 1);
        assert!(lock(&sessions.lanes).is_empty());
    }

    #[tokio::test]
    async fn single_logout_ends_what_is_cached_and_what_is_being_read() {
        let store = store();
        let sessions = Arc::new(sessions(&store));
        let cached = sessions.open(contract::record(0, 8_000), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&cached, &Browser::none(), at(1)).await.unwrap().is_some());
        let read = sessions.open(contract::record(0, 8_000), &Browser::none()).await.unwrap();
        // It has the record of the store in hand and has not put it into the cache.
        let browser = Browser::none();
        let mut reading = Box::pin(sessions.lookup(&read, &browser, at(1)));
        assert!(futures_poll(&mut reading).await.is_none());
        let record = contract::record(0, 8_000);
        let (idp, name_id) = (record.idp, record.idp_session.unwrap().name_id);
        let named = NamedSessions { idp: &idp, name_id: &name_id, session_indexes: &[] };
        let found = store.sessions_named(&named).await.unwrap();
        assert_eq!(found.len(), 2);
        let (ended, _) = tokio::join!(sessions.end_all(&found, at(1)), reading);
        ended.unwrap();
        for ticket in [&cached, &read] {
            assert!(sessions.cached(&ticket.key(), at(2)).is_none());
            assert!(sessions.lookup(ticket, &Browser::none(), at(2)).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn a_caller_that_goes_away_leaves_no_lane_behind() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = contract::ticket();
        let held = sessions.lane(ticket.key()).await;
        let browser = Browser::none();
        let mut waiting = Box::pin(sessions.lookup(&ticket, &browser, at(1)));
        assert!(futures_poll(&mut waiting).await.is_none());
        drop(waiting);
        drop(held);
        assert!(lock(&sessions.lanes).is_empty());
    }

    /// One poll: the value if it is there already.
    async fn futures_poll<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
        std::future::poll_fn(|context| {
            std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
                std::task::Poll::Ready(value) => Some(value),
                std::task::Poll::Pending => None,
            })
        })
        .await
    }

    #[tokio::test]
    async fn absolute_expiry_ends_a_session_that_is_in_use() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 500), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&ticket, &Browser::none(), at(499)).await.unwrap().is_some());
        assert!(sessions.cached(&ticket.key(), at(500)).is_none());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(500)).await.unwrap().is_none());
        assert!(store.inner.load(&ticket.key(), &ticket, &Browser::none()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn an_expired_record_of_the_store_is_no_session() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 500), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&ticket, &Browser::none(), at(500)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn use_keeps_a_session_from_being_idle_and_disuse_ends_it() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        for second in (0..5_000).step_by(90) {
            let hit = match sessions.cached(&ticket.key(), at(second)) {
                Some(session) => Some(session),
                None => sessions.lookup(&ticket, &Browser::none(), at(second)).await.unwrap(),
            };
            assert!(hit.is_some(), "{second}");
        }
        assert!(sessions.cached(&ticket.key(), at(4_950 + 1_000)).is_none());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(4_950 + 1_000)).await.unwrap().is_none());
        assert!(store.inner.load(&ticket.key(), &ticket, &Browser::none()).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn the_store_hears_of_use_every_tenth_of_the_idle_limit() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        store.touches.store(0, Ordering::Relaxed);
        for second in 0..=1_000 {
            if sessions.cached(&ticket.key(), at(second)).is_none() {
                assert!(sessions.lookup(&ticket, &Browser::none(), at(second)).await.unwrap().is_some());
            }
        }
        assert_eq!(store.touches.load(Ordering::Relaxed), 10);
        let (_, seen) = store.inner.load(&ticket.key(), &ticket, &Browser::none()).await.unwrap().unwrap();
        assert_eq!(seen, at(1_000));
    }

    #[tokio::test]
    async fn a_session_seen_by_another_replica_is_not_idle_here() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let ticket = here.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        assert!(here.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some());
        assert!(there.lookup(&ticket, &Browser::none(), at(900)).await.unwrap().is_some());
        assert!(here.cached(&ticket.key(), at(1_200)).is_none());
        assert!(here.lookup(&ticket, &Browser::none(), at(1_200)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn what_was_seen_here_and_not_told_counts_against_idleness() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some());
        assert!(sessions.cached(&ticket.key(), at(99)).is_some());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1_098)).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_ended_session_is_gone_here_and_in_the_store() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some());
        let _ = sessions.end(&ticket.key(), at(1)).await.unwrap();
        assert!(sessions.cached(&ticket.key(), at(1)).is_none());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_read_under_way_does_not_bring_back_a_session_that_ends() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        let browser = Browser::none();
        let mut reading = Box::pin(sessions.lookup(&ticket, &browser, at(1)));
        assert!(futures_poll(&mut reading).await.is_none());
        let key = ticket.key();
        let (read, ended) = tokio::join!(reading, sessions.end(&key, at(1)));
        assert!(read.unwrap().is_none() && ended.is_ok());
        assert!(sessions.cached(&ticket.key(), at(1)).is_none());
    }

    #[tokio::test]
    async fn a_store_that_is_away_is_an_error_and_never_no_session() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        store.is_down.store(true, Ordering::Relaxed);
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.is_err());
        store.is_down.store(false, Ordering::Relaxed);
        assert!(sessions.lookup(&ticket, &Browser::none(), at(1)).await.unwrap().is_some());
        store.is_down.store(true, Ordering::Relaxed);
        assert!(sessions.cached(&ticket.key(), at(50)).is_some());
        assert!(
            sessions.lookup(&ticket, &Browser::none(), at(150)).await.unwrap().is_some(),
            "a touch that fails ends nothing"
        );
        assert!(
            sessions.lookup(&ticket, &Browser::none(), at(2_000)).await.is_err(),
            "idle cannot be judged without the store"
        );
    }

    #[tokio::test]
    async fn sweeping_frees_what_nobody_comes_back_for() {
        let store = store();
        let sessions = sessions(&store);
        let gone = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        let here = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        assert!(sessions.lookup(&gone, &Browser::none(), at(1)).await.unwrap().is_some());
        assert!(sessions.lookup(&here, &Browser::none(), at(900)).await.unwrap().is_some());
        sessions.sweep(at(1_200));
        assert!(!sessions.cache.contains_key(&gone.key()));
        assert!(sessions.cache.contains_key(&here.key()));
    }
}
