//! Sessions that end from outside: here at once, in the store, and at every process that shares the store.
//!
//! Whoever ends sessions publishes it, and each process follows what is published. A revocation of many is kept and
//! every session that is read is held against it, so that it counts although the store still has the records. While
//! the store does not answer, what was said here holds here, and waits.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use saml_core::Timestamp;
use tokio::sync::Mutex as AsyncMutex;
use tokio::task::spawn_blocking;

use super::cache::{Sessions, lock};
use super::revocation::{ENDED_SECONDS, Effect, REVOCATION_SECONDS, Revocation, Revocations, Target};
use super::store::{Place, SessionStore, StoreError};
use super::streams::StreamEnd;
use super::types::{EndedSession, Session, StoredSession};

/// What waits for the store to come back; more is refused.
const MOST_QUEUED: usize = 10_000;
/// Whoever heard from the store so lately need not ask again before it reads a session.
const FRESH_SECONDS: i64 = 1;
/// No read of a session takes so long, nor is a store's clock so far ahead.
const LATELY_SECONDS: i64 = 10 * 60;
/// How much later than a revocation a session may seem to have begun that was in the store before it.
const SKEW_SECONDS: i64 = 60;

#[derive(Default)]
pub(super) struct Follower {
    known: RwLock<Revocations>,
    queued: Mutex<VecDeque<Revocation>>,
    /// Held by who reads what is published, and over nothing else.
    place: AsyncMutex<Option<Place>>,
    /// How often somebody who read had no answer.
    failures: AtomicU64,
    /// When the store last answered, in seconds; [`NEVER`] before the first time.
    heard: AtomicI64,
}

const NEVER: i64 = i64::MIN;

impl Follower {
    /// Where no other process shares the store, nobody is waited for.
    pub(super) fn of(store: &dyn SessionStore) -> Self {
        let heard = if store.is_shared() { NEVER } else { i64::MAX };
        Self { heard: AtomicI64::new(heard), ..Self::default() }
    }

    /// For how long the store has said nothing.
    pub(super) fn silence(&self, now: Timestamp) -> i64 {
        now.unix_seconds().saturating_sub(self.heard.load(Ordering::Relaxed))
    }

    pub(super) fn has_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed) != NEVER
    }

    pub(super) fn has_ended(&self, session: &Session) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).end(session.whose())
    }

    /// Forgets revocations that no session can be old enough for.
    pub(super) fn sweep(&self, now: Timestamp) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.forget(now.plus_seconds(-REVOCATION_SECONDS), now.plus_seconds(-LATELY_SECONDS));
    }
}

impl Sessions {
    /// Reads what was published since the last call. To be called several times a second.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn follow(&self, now: Timestamp) -> Result<(), StoreError> {
        if !self.store.is_shared() {
            return Ok(());
        }
        let mut place = self.follower.place.lock().await;
        self.read_published(&mut place, now).await
    }

    async fn read_published(&self, place: &mut Option<Place>, now: Timestamp) -> Result<(), StoreError> {
        let follower = &self.follower;
        let published = self.store.published(place.as_ref()).await;
        let (next, news) = published.inspect_err(|_| {
            follower.failures.fetch_add(1, Ordering::Relaxed);
        })?;
        if place.is_some() && follower.silence(now) >= ENDED_SECONDS {
            // The store no longer tells which sessions ended so long ago.
            self.cache.invalidate_all();
            self.streams.end_where(StreamEnd::StoreAway, |_| true);
        }
        self.apply(&news).await;
        *place = Some(next);
        follower.heard.store(now.unix_seconds(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether the store has answered yet: until then no session can be judged.
    pub fn has_heard(&self) -> bool {
        self.follower.has_heard()
    }

    /// Makes sure that no revocation is missed by a session that is read now.
    pub(super) async fn listen(&self, now: Timestamp) -> Result<(), StoreError> {
        let follower = &self.follower;
        if follower.silence(now) <= FRESH_SECONDS {
            return Ok(());
        }
        let failures = follower.failures.load(Ordering::Relaxed);
        let mut place = follower.place.lock().await;
        if follower.silence(now) <= FRESH_SECONDS {
            return Ok(());
        }
        // Somebody who read while we waited had no answer: a crowd must not try one after the other.
        if follower.failures.load(Ordering::Relaxed) > failures {
            return Err(StoreError::Away { problem: "no answer".to_owned() });
        }
        self.read_published(&mut place, now).await
    }

    /// Ends all sessions that are meant, and says which of them the store had; where it does not answer, they end
    /// there and at other processes when it does.
    ///
    /// # Errors
    /// Too much waits already.
    pub async fn revoke(&self, revocation: Revocation) -> Result<(Effect, Vec<EndedSession>), StoreError> {
        self.apply(std::slice::from_ref(&revocation)).await;
        match self.end_in_store(&revocation).await {
            Ok(done) => Ok(done),
            Err(error) => self.queue(revocation, error).map(|effect| (effect, Vec::new())),
        }
    }

    /// Here, in what is cached, what will be read and what is under way: whoever has read a session and not yet put it
    /// into the cache looks at what is known after that.
    async fn apply(&self, revocations: &[Revocation]) {
        let mut of_many = Vec::new();
        for revocation in revocations {
            self.follower.known.write().unwrap_or_else(PoisonError::into_inner).add(revocation);
            match &revocation.target {
                Target::Session(key) => self.lose(key, StreamEnd::Ended),
                Target::User { .. } | Target::Email(_) | Target::Group(_) | Target::All => {
                    of_many.push(revocation.clone());
                }
            }
        }
        if of_many.is_empty() {
            return;
        }
        let are_meant = move |session: &Session| of_many.iter().any(|revocation| revocation.ends(session.whose()));
        self.streams.end_where(StreamEnd::Ended, &are_meant);
        let cache = self.cache.clone();
        let scan = move || {
            for (key, session) in &cache {
                if are_meant(&session) {
                    cache.invalidate(&*key);
                }
            }
        };
        // A million sessions take a while, and other requests must not wait for it.
        if let Err(panic) = spawn_blocking(scan).await {
            tracing::error!("the cache could not be searched for revoked sessions, and is emptied: {panic}");
            self.cache.invalidate_all();
        }
    }

    /// In the store, and at whoever shares it.
    async fn end_in_store(&self, revocation: &Revocation) -> Result<(Effect, Vec<EndedSession>), StoreError> {
        let store = &self.store;
        let mut ended = Vec::new();
        let effect = match &revocation.target {
            // Removed first: who hears of it reads it no more.
            Target::Session(key) => {
                store.remove(key).await?;
                store.publish(revocation).await?
            }
            Target::User { idp, unique_id } => {
                let effect = store.publish(revocation).await?;
                let sessions = store.sessions_of(idp, unique_id).await?;
                self.remove_ended(revocation, &sessions, &mut ended).await?;
                effect
            }
            Target::Email(_) | Target::Group(_) | Target::All => {
                let effect = store.publish(revocation).await?;
                let mut from = None;
                loop {
                    let (sessions, next) = store.walk(from).await?;
                    self.remove_ended(revocation, &sessions, &mut ended).await?;
                    let Some(next) = next else { break };
                    from = Some(next);
                }
                effect
            }
        };
        Ok((effect, ended))
    }

    async fn remove_ended(
        &self,
        revocation: &Revocation,
        sessions: &[StoredSession],
        ended: &mut Vec<EndedSession>,
    ) -> Result<(), StoreError> {
        let with_skew = Revocation { at: revocation.at.plus_seconds(SKEW_SECONDS), ..revocation.clone() };
        for session in sessions.iter().filter(|session| with_skew.ends(session.whose())) {
            if !revocation.ends(session.whose()) {
                // Before it is removed: who repeats this after a failure finds what is still there.
                let target = Target::Session(session.key);
                let of_one = Revocation { target, at: revocation.at };
                self.apply(std::slice::from_ref(&of_one)).await;
                let _ = self.store.publish(&of_one).await?;
            }
            if self.store.remove(&session.key).await? {
                ended.push(session.ended());
            }
        }
        Ok(())
    }

    fn queue(&self, revocation: Revocation, error: StoreError) -> Result<Effect, StoreError> {
        let mut queued = lock(&self.follower.queued);
        if !matches!(error, StoreError::Away { .. }) || queued.len() >= MOST_QUEUED {
            return Err(error);
        }
        queued.push_back(revocation);
        Ok(Effect::Queued)
    }

    /// Tells the store what waits, each once: what fails again waits on, behind the others. To be called now and then,
    /// by one caller.
    pub async fn send_queued(&self) {
        for _ in 0..self.count_queued() {
            let Some(revocation) = lock(&self.follower.queued).front().cloned() else { return };
            let sent = self.end_in_store(&revocation).await;
            let mut queued = lock(&self.follower.queued);
            // It stays in the queue while it is sent: a caller that goes away loses nothing.
            queued.pop_front();
            if let Err(error) = sent {
                tracing::debug!(%error, "a revocation still waits for the session store");
                queued.push_back(revocation);
            }
        }
    }

    /// How many revocations wait for the store.
    pub fn count_queued(&self) -> usize {
        lock(&self.follower.queued).len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::browser::Browser;
    use crate::session::contract::{self, at};
    use crate::session::ticket::Ticket;
    use crate::session::watched::{Watched, sessions, store};
    use saml_core::IdpId;
    use std::sync::Arc;

    fn revocation(target: Target, time: i64) -> Revocation {
        Revocation { target, at: at(time) }
    }

    fn user(unique_id: &str) -> Target {
        Target::User { idp: IdpId::parse("jumpcloud").unwrap(), unique_id: unique_id.into() }
    }

    /// A session that began at `created`, read once by each of these.
    async fn open(at_processes: &[&Sessions], created: i64) -> Ticket {
        let ticket = at_processes[0].open(contract::record(created, 80_000), &Browser::none()).await.unwrap();
        for sessions in at_processes {
            assert!(sessions.lookup(&ticket, &Browser::none(), at(created)).await.unwrap().is_some());
        }
        ticket
    }

    async fn is_known(sessions: &Sessions, ticket: &Ticket, now: i64) -> bool {
        sessions.lookup(ticket, &Browser::none(), at(now)).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn a_session_that_ends_at_one_process_ends_at_the_other() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let (ended, kept) = (open(&[&here, &there], 0).await, open(&[&here, &there], 0).await);
        assert_eq!(here.end(&ended.key(), at(1)).await.unwrap(), Effect::Done);
        assert!(there.cached(&ended.key(), at(1)).is_some(), "nobody told it");
        there.follow(at(1)).await.unwrap();
        assert!(there.cached(&ended.key(), at(1)).is_none() && !is_known(&there, &ended, 1).await);
        assert!(there.cached(&kept.key(), at(1)).is_some());
    }

    #[tokio::test]
    async fn a_revocation_ends_what_began_before_it_everywhere() {
        for target in
            [user("5f3c"), Target::Email("ADA@example.com".into()), Target::Group("staff".into()), Target::All]
        {
            let store = store();
            let (here, there) = (sessions(&store), sessions(&store));
            let before = open(&[&here, &there], 100).await;
            let unread = here.open(contract::record(100, 80_000), &Browser::none()).await.unwrap();
            let (effect, ended) = here.revoke(revocation(target.clone(), 101)).await.unwrap();
            assert_eq!((effect, ended.len()), (Effect::Done, 2), "{target:?}");
            let after = open(&[&here], 200).await;
            there.follow(at(201)).await.unwrap();
            for sessions in [&here, &there] {
                for ticket in [&before, &unread] {
                    assert!(sessions.cached(&ticket.key(), at(201)).is_none(), "{target:?}");
                    assert!(!is_known(sessions, ticket, 201).await, "{target:?}");
                }
                assert!(is_known(sessions, &after, 201).await, "{target:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_revocation_of_others_ends_nothing() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = open(&[&sessions], 100).await;
        for target in [user("5f3d"), Target::Email("ben@example.com".into()), Target::Group("sta".into())] {
            let (_, ended) = sessions.revoke(revocation(target, 101)).await.unwrap();
            assert!(ended.is_empty() && sessions.cached(&ticket.key(), at(101)).is_some());
        }
    }

    /// Its record is still there: another process has said so and not yet removed it.
    #[tokio::test]
    async fn what_is_read_is_held_against_what_was_published() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(100, 80_000), &Browser::none()).await.unwrap();
        lock(&store.published).push(revocation(user("5f3c"), 101));
        assert!(!is_known(&sessions, &ticket, 102).await);
        assert!(sessions.cached(&ticket.key(), at(102)).is_none());
    }

    #[tokio::test]
    async fn a_clock_that_is_ahead_saves_no_session() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let ticket = open(&[&there], 130).await;
        let (_, ended) = here.revoke(revocation(user("5f3c"), 101)).await.unwrap();
        assert_eq!(ended.len(), 1);
        there.follow(at(131)).await.unwrap();
        assert!(there.cached(&ticket.key(), at(131)).is_none());
    }

    fn down(store: &Watched, is_down: bool) {
        store.is_down.store(is_down, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn what_is_ended_while_the_store_is_away_holds_here_and_later_there() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let (one, many) = (open(&[&here, &there], 0).await, open(&[&here, &there], 0).await);
        down(&store, true);
        assert_eq!(here.end(&one.key(), at(1)).await.unwrap(), Effect::Queued);
        let (effect, ended) = here.revoke(revocation(user("5f3c"), 1)).await.unwrap();
        assert_eq!((effect, ended.len()), (Effect::Queued, 0));
        assert!(here.cached(&one.key(), at(1)).is_none() && here.cached(&many.key(), at(1)).is_none());
        assert!(here.follow(at(2)).await.is_err());
        down(&store, false);
        here.follow(at(3)).await.unwrap();
        here.send_queued().await;
        there.follow(at(3)).await.unwrap();
        for ticket in [&one, &many] {
            assert!(there.cached(&ticket.key(), at(3)).is_none() && !is_known(&there, ticket, 3).await);
        }
        assert_eq!(here.count_queued(), 0);
    }

    #[tokio::test]
    async fn what_cannot_be_sent_keeps_nobody_from_hearing() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let (one, other) = (open(&[&here, &there], 0).await, open(&[&here, &there], 0).await);
        store.is_full.store(true, Ordering::Relaxed);
        assert_eq!(here.end(&one.key(), at(1)).await.unwrap(), Effect::Queued);
        here.send_queued().await;
        assert_eq!(here.count_queued(), 1);
        lock(&store.published).push(revocation(Target::Session(other.key()), 1));
        here.follow(at(2)).await.unwrap();
        assert!(here.cached(&other.key(), at(2)).is_none(), "it heard what others said");
        assert_eq!(here.follower.silence(at(2)), 0);
        store.is_full.store(false, Ordering::Relaxed);
        here.send_queued().await;
        there.follow(at(3)).await.unwrap();
        assert!(here.count_queued() == 0 && there.cached(&one.key(), at(3)).is_none());
    }

    #[tokio::test]
    async fn sessions_of_an_idp_that_is_gone_are_none() {
        let store = store();
        let sessions = sessions(&store);
        let mut record = contract::record(0, 80_000);
        record.idp = IdpId::parse("removed").unwrap();
        let ticket = sessions.open(record, &Browser::none()).await.unwrap();
        assert!(!is_known(&sessions, &ticket, 1).await);
    }

    #[tokio::test]
    async fn nobody_was_seen_later_than_now() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = sessions.open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        assert!(store.inner.touch(&ticket.key(), Some(&ticket), at(70_000), &Browser::none()).await.unwrap());
        assert!(is_known(&sessions, &ticket, 1).await);
        assert_eq!(sessions.cached(&ticket.key(), at(2)).unwrap().seen(), at(2));
    }

    #[tokio::test]
    async fn too_much_is_not_queued() {
        let store = store();
        let sessions = sessions(&store);
        sessions.follow(at(0)).await.unwrap();
        down(&store, true);
        for _ in 0..MOST_QUEUED {
            let _ = sessions.revoke(revocation(user("5f3c"), 1)).await.unwrap();
        }
        assert!(sessions.revoke(revocation(user("5f3c"), 1)).await.is_err());
    }

    #[tokio::test]
    async fn nobody_is_judged_before_the_store_has_answered() {
        let store = store();
        let ticket = sessions(&store).open(contract::record(0, 80_000), &Browser::none()).await.unwrap();
        let late = sessions(&store);
        down(&store, true);
        assert!(!late.has_heard() && late.lookup(&ticket, &Browser::none(), at(1)).await.is_err());
        down(&store, false);
        assert!(is_known(&late, &ticket, 1).await && late.has_heard());
    }

    #[tokio::test]
    async fn a_cached_session_outlives_an_outage_up_to_its_limit() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = open(&[&sessions], 0).await;
        down(&store, true);
        for second in [1, 99, 899, 900] {
            let found = match sessions.cached(&ticket.key(), at(second)) {
                Some(found) => Some(found),
                None => sessions.lookup(&ticket, &Browser::none(), at(second)).await.unwrap(),
            };
            assert!(found.is_some(), "{second}");
        }
        assert!(sessions.cached(&ticket.key(), at(901)).is_none());
        assert!(sessions.lookup(&ticket, &Browser::none(), at(901)).await.is_err());
        down(&store, false);
        assert!(is_known(&sessions, &ticket, 902).await);
    }

    #[tokio::test]
    async fn who_has_heard_nothing_for_an_hour_believes_no_cache() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let ticket = open(&[&here, &there], 0).await;
        let session = there.cached(&ticket.key(), at(0)).unwrap();
        let mut stream = there.watch(&session);
        assert_eq!(here.end(&ticket.key(), at(1)).await.unwrap(), Effect::Done);
        // By then the store has forgotten to tell.
        let place = Place(vec![lock(&store.published).len().to_string()]);
        *there.follower.place.lock().await = Some(place);
        there.follow(at(ENDED_SECONDS + 1)).await.unwrap();
        assert!(!there.cache.contains_key(&ticket.key()));
        assert_eq!(stream.ended().await, StreamEnd::StoreAway);
    }

    #[tokio::test]
    async fn a_crowd_asks_a_silent_store_twice_at_most() {
        let store = store();
        let sessions = Arc::new(sessions(&store));
        down(&store, true);
        let crowd: Vec<_> = (0..50)
            .map(|_| {
                let sessions = Arc::clone(&sessions);
                tokio::spawn(
                    async move { sessions.lookup(&contract::ticket(), &Browser::none(), at(1)).await.is_err() },
                )
            })
            .collect();
        for one in crowd {
            assert!(one.await.unwrap());
        }
        assert!(store.reads.load(Ordering::Relaxed) <= 2, "{}", store.reads.load(Ordering::Relaxed));
    }

    #[tokio::test]
    async fn a_session_that_the_store_lost_ends_when_the_store_hears_of_it() {
        let store = store();
        let sessions = sessions(&store);
        let ticket = open(&[&sessions], 0).await;
        store.inner.remove(&ticket.key()).await.unwrap();
        assert!(sessions.cached(&ticket.key(), at(50)).is_some());
        assert!(!is_known(&sessions, &ticket, 150).await);
        assert!(sessions.cached(&ticket.key(), at(151)).is_none());
    }
}
