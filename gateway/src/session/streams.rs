//! Exchanges that last, and the end of the sessions that they stand on.
//!
//! A request is judged when it comes. One that lasts (a WebSocket, a stream of events, a long transfer) is watched from
//! then on, and is over when its session is. That costs those that last: the others come and go between two beats.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use saml_core::Timestamp;
use tokio::sync::oneshot;

use super::browser::Browser;
use super::cache::{Sessions, lock};
use super::store::StoreError;
use super::ticket::{KeyHasher, SessionKey};
use super::types::Session;

/// The waiters for a beat are spread, lest all threads fight over the lock of one list.
const LISTS: usize = 16;
/// What is under way after so many lasts. The first may come at once.
const A_WHILE: u64 = 2;
/// Idleness is looked at every tenth of the idle limit, and at least so often.
const MOST_SECONDS_BETWEEN_LOOKS: u64 = 30;
/// A store that is slow for so long cuts nobody off, however short `session.outage_limit` is.
const LEAST_SILENCE_SECONDS: i64 = 10;

/// Why an exchange is over before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamEnd {
    /// Its session was ended or revoked, or the store has lost it.
    Ended,
    Expired,
    Idle,
    /// Nobody can say any more whether its session was ended.
    StoreAway,
    /// Other settings do not let it in.
    Refused,
}

impl StreamEnd {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Idle => "idle",
            Self::StoreAway => "store_away",
            Self::Refused => "refused",
        }
    }
}

#[derive(Default)]
pub(super) struct Streams {
    /// How many there were.
    beats: AtomicU64,
    /// Who waits for the next.
    waiting: [Waiting; LISTS],
    /// How many there ever were: the number of the next.
    count: AtomicU64,
    open: Mutex<HashMap<SessionKey, OfSession, BuildHasherDefault<KeyHasher>>>,
}

/// On cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Waiting(Mutex<Vec<Waker>>);

tokio::task_local! {
    /// The beat that this task waits for, if any: one place in the list is enough for all requests of a connection.
    static AWAITED: Cell<u64>;
}

/// For the task of a connection, whose requests come one after the other.
pub async fn on_one_connection<F: Future>(connection: F) -> F::Output {
    AWAITED.scope(Cell::new(0), connection).await
}

/// Ready after [`A_WHILE`].
struct AWhile<'s> {
    streams: &'s Streams,
    /// When it was asked first.
    since: Option<u64>,
    awaited: u64,
}

impl Future for AWhile<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let beats = self.streams.beats.load(Ordering::Acquire);
        if beats >= self.since.get_or_insert(beats).saturating_add(A_WHILE) {
            return Poll::Ready(());
        }
        let next = beats.saturating_add(1);
        let is_waiting = self.awaited == next || AWAITED.try_with(|awaited| awaited.replace(next)) == Ok(next);
        if !is_waiting {
            self.streams.wake_at_beat(context.waker(), beats);
        }
        self.awaited = next;
        Poll::Pending
    }
}

/// By number: one user may have very many, and each of them goes by itself.
type OfSession = BTreeMap<u64, Stream>;

struct Stream {
    /// The cache may hold another one of the same key by now, or none.
    session: Arc<Session>,
    over: oneshot::Sender<StreamEnd>,
}

/// An exchange under way; it is forgotten when this is dropped.
pub struct Watch<'s> {
    streams: &'s Streams,
    key: SessionKey,
    number: u64,
    over: oneshot::Receiver<StreamEnd>,
}

impl Watch<'_> {
    /// Returns when the exchange may not go on.
    pub async fn ended(&mut self) -> StreamEnd {
        // The other end is there until it says something; without it nobody would.
        (&mut self.over).await.unwrap_or(StreamEnd::Ended)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut open = lock(&self.streams.open);
        if let Some(streams) = open.get_mut(&self.key) {
            streams.remove(&self.number);
            if streams.is_empty() {
                open.remove(&self.key);
            }
        }
    }
}

impl Streams {
    /// At the one that follows on that many.
    fn wake_at_beat(&self, waker: &Waker, beats: u64) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static THREAD: usize = THREADS.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(waiting) = self.waiting.get(THREAD.with(|thread| thread % LISTS)) {
            lock(&waiting.0).push(waker.clone());
        }
        // It may have come meanwhile, and found nobody.
        if self.beats.load(Ordering::Acquire) != beats {
            waker.wake_by_ref();
        }
    }

    fn beat(&self) {
        // In this order: who asks from now on waits in a list that the next beat takes. Taken behind the count, it could have
        // been woken by this beat, waiting for the next already, and by none after that.
        let wakers: Vec<Waker> = self.waiting.iter().flat_map(|list| std::mem::take(&mut *lock(&list.0))).collect();
        self.beats.fetch_add(1, Ordering::AcqRel);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn open(&self, session: &Arc<Session>) -> Watch<'_> {
        let (sender, over) = oneshot::channel();
        let stream = Stream { session: Arc::clone(session), over: sender };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        lock(&self.open).entry(session.key).or_default().insert(number, stream);
        Watch { streams: self, key: session.key, number, over }
    }

    pub(super) fn end(&self, key: &SessionKey, end: StreamEnd) {
        let streams = lock(&self.open).remove(key);
        tell(streams.into_iter().flat_map(BTreeMap::into_values), end);
    }

    /// Ends those of every session that is meant.
    pub(super) fn end_where(&self, end: StreamEnd, is_meant: impl Fn(&Session) -> bool) {
        let is_over = |streams: &OfSession| streams.values().next().is_some_and(|stream| is_meant(&stream.session));
        let over: Vec<_> = lock(&self.open).extract_if(|_, streams| is_over(streams)).collect();
        tell(over.into_iter().flat_map(|(_, streams)| streams.into_values()), end);
    }

    /// The sessions under open exchanges, each as one of them knows it, but seen when the last of them was.
    fn sessions(&self) -> Vec<Arc<Session>> {
        let seen_by_all = |streams: &OfSession| {
            let session = &streams.values().next()?.session;
            streams.values().for_each(|stream| session.see(stream.session.seen()));
            Some(Arc::clone(session))
        };
        lock(&self.open).values().filter_map(seen_by_all).collect()
    }
}

/// Who has gone by itself does not listen.
fn tell(streams: impl Iterator<Item = Stream>, end: StreamEnd) {
    for stream in streams {
        let _ = stream.over.send(end);
    }
}

impl Sessions {
    /// One whole beat: what is still under way then lasts, and is worth a [`Sessions::watch`].
    pub fn a_while(&self) -> impl Future<Output = ()> {
        AWhile { streams: &self.streams, since: None, awaited: 0 }
    }

    /// From now on the end of the session ends the exchange, whatever ended it since the exchange began.
    pub fn watch(&self, session: &Arc<Session>) -> Watch<'_> {
        let watch = self.streams.open(session);
        // In this order: an end that comes now finds it, or is seen here.
        if self.follower.has_ended(session) || !self.is_of_idp(session) {
            self.streams.end(&session.key, StreamEnd::Ended);
        } else if !self.cache.contains_key(&session.key) {
            // Pushed out by another, or lost meanwhile: the store will say when it hears of it.
            session.untold();
        }
        watch
    }

    /// Ends what is over by the clock, and lets exchanges that have lasted be watched. To be called several times a
    /// second.
    pub fn beat(&self, now: Timestamp) {
        if self.follower.silence(now) > self.outage_seconds.max(LEAST_SILENCE_SECONDS) {
            self.streams.end_where(StreamEnd::StoreAway, |_| true);
        }
        self.streams.end_where(StreamEnd::Expired, |session| session.is_expired(now));
        self.streams.beat();
    }

    /// Ends what is idle or lost, and tells the store of use. To be called every [`Sessions::look_interval`].
    ///
    /// # Errors
    /// The store does not answer for one session at least, which is left as it is until the next time.
    pub async fn judge_streams(&self, now: Timestamp) -> Result<(), StoreError> {
        let mut outcome = Ok(());
        for open in self.streams.sessions() {
            // The cache may hold another one of the same key by now.
            let session = self.cache.get(&open.key).unwrap_or_else(|| Arc::clone(&open));
            session.see(open.seen());
            // One part of a store may answer where another does not.
            match self.judge(&session, now).await {
                Ok(None) => {}
                Ok(Some(end)) => self.lose(&session.key, end),
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    async fn judge(&self, session: &Session, now: Timestamp) -> Result<Option<StreamEnd>, StoreError> {
        if self.is_idle(session, now) {
            if !self.store.keeps_sessions() {
                return Ok(Some(StreamEnd::Idle));
            }
            // Without its ticket, which nobody keeps, the record cannot be read.
            let stored = self.store.sessions_of(&session.record.idp, &session.record.unique_id).await?;
            match stored.into_iter().find(|stored| stored.key == session.key) {
                None => return Ok(Some(StreamEnd::Ended)),
                Some(stored) => session.see(stored.seen.min(now)),
            }
            if self.is_idle(session, now) {
                return Ok(Some(StreamEnd::Idle));
            }
        }
        if session.is_news(self.touch_seconds) {
            let seen = session.seen();
            if !self.store.touch(&session.key, None, seen, &Browser::none()).await? {
                return Ok(Some(StreamEnd::Ended));
            }
            // A browser is told with its next request.
            if self.store.keeps_sessions() {
                session.told(seen);
            }
        }
        Ok(None)
    }

    /// How often idleness is looked at.
    pub fn look_interval(&self) -> Duration {
        let idle_seconds = u64::try_from(self.idle_seconds).unwrap_or_default();
        Duration::from_secs((idle_seconds / 10).clamp(1, MOST_SECONDS_BETWEEN_LOOKS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract::{self, at};
    use crate::session::revocation::{Revocation, Target};
    use crate::session::store::SessionStore as _;
    use crate::session::ticket::Ticket;
    use crate::session::watched::{Watched, sessions, store};
    use saml_core::IdpId;

    /// A session of `ada` that began at 100 and was seen then.
    async fn open(sessions: &Sessions) -> (Ticket, Arc<Session>) {
        let ticket = sessions.open(contract::record(100, 80_000), &Browser::none()).await.unwrap();
        let session = sessions.lookup(&ticket, &Browser::none(), at(100)).await.unwrap().unwrap();
        (ticket, session)
    }

    fn over(watch: &mut Watch<'_>) -> Option<StreamEnd> {
        watch.over.try_recv().ok()
    }

    fn is_empty(sessions: &Sessions) -> bool {
        lock(&sessions.streams.open).is_empty()
    }

    fn down(store: &Watched, is_down: bool) {
        store.is_down.store(is_down, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn every_target_ends_the_exchanges_that_it_means_here_and_at_the_others() {
        let user =
            |unique_id: &str| Target::User { idp: IdpId::parse("jumpcloud").unwrap(), unique_id: unique_id.into() };
        for (target, is_meant) in [
            (user("5f3c"), true),
            (user("5f3d"), false),
            (Target::Email("ADA@example.com".into()), true),
            (Target::Email("ben@example.com".into()), false),
            (Target::Group("staff".into()), true),
            (Target::Group("sta".into()), false),
            (Target::All, true),
        ] {
            let store = store();
            let (here, there) = (sessions(&store), sessions(&store));
            let (ticket, session) = open(&here).await;
            let session_there = there.lookup(&ticket, &Browser::none(), at(100)).await.unwrap().unwrap();
            let (mut first, mut second) = (here.watch(&session), here.watch(&session));
            let mut third = there.watch(&session_there);
            let _ = here.revoke(Revocation { target: target.clone(), at: at(101) }).await.unwrap();
            there.follow(at(101)).await.unwrap();
            for watch in [&mut first, &mut second, &mut third] {
                assert_eq!(over(watch), is_meant.then_some(StreamEnd::Ended), "{target:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_session_that_ends_takes_its_own_exchanges_along_and_no_others() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let ((ticket, ended), (_, kept)) = (open(&here).await, open(&here).await);
        let ended_there = there.lookup(&ticket, &Browser::none(), at(100)).await.unwrap().unwrap();
        let (mut ended_here, mut kept) = (here.watch(&ended), here.watch(&kept));
        let mut ended_there = there.watch(&ended_there);
        let _ = here.end(&ticket.key(), at(101)).await.unwrap();
        assert_eq!(ended_here.ended().await, StreamEnd::Ended);
        assert_eq!(over(&mut ended_there), None, "nobody told it");
        there.follow(at(101)).await.unwrap();
        assert_eq!(ended_there.ended().await, StreamEnd::Ended);
        assert_eq!(over(&mut kept), None);
    }

    /// As another may have pushed it out.
    #[tokio::test]
    async fn a_session_that_is_no_longer_cached_ends_its_exchanges() {
        let store = store();
        let sessions = sessions(&store);
        let ((one, by_key), (_, by_group)) = (open(&sessions).await, open(&sessions).await);
        let (mut by_key, mut by_group) = (sessions.watch(&by_key), sessions.watch(&by_group));
        sessions.cache.invalidate_all();
        let _ = sessions.end(&one.key(), at(101)).await.unwrap();
        assert_eq!((over(&mut by_key), over(&mut by_group)), (Some(StreamEnd::Ended), None));
        let group = Revocation { target: Target::Group("staff".into()), at: at(101) };
        let _ = sessions.revoke(group).await.unwrap();
        assert_eq!(over(&mut by_group), Some(StreamEnd::Ended));
    }

    #[tokio::test]
    async fn what_ended_before_anybody_watched_ends_as_well() {
        let store = store();
        let sessions = sessions(&store);
        let ((one, by_key), (_, by_user)) = (open(&sessions).await, open(&sessions).await);
        let _ = sessions.end(&one.key(), at(101)).await.unwrap();
        assert_eq!(over(&mut sessions.watch(&by_key)), Some(StreamEnd::Ended));
        let _ = sessions.revoke(Revocation { target: Target::All, at: at(101) }).await.unwrap();
        assert_eq!(over(&mut sessions.watch(&by_user)), Some(StreamEnd::Ended));
    }

    #[tokio::test]
    async fn a_session_that_was_only_pushed_out_of_the_cache_ends_nothing() {
        let store = store();
        let sessions = sessions(&store);
        let (_, session) = open(&sessions).await;
        sessions.cache.invalidate_all();
        let mut watch = sessions.watch(&session);
        sessions.judge_streams(at(101)).await.unwrap();
        assert_eq!(over(&mut watch), None);
        down(&store, true);
        sessions.judge_streams(at(102)).await.expect("there is nothing to ask any more");
    }

    /// As when the store came back after more than an hour, while nobody watched yet.
    #[tokio::test]
    async fn a_session_that_was_lost_before_anybody_watched_ends_at_the_next_look() {
        let store = store();
        let sessions = sessions(&store);
        let (ticket, session) = open(&sessions).await;
        store.inner.remove(&ticket.key()).await.unwrap();
        sessions.cache.invalidate_all();
        let mut watch = sessions.watch(&session);
        sessions.judge_streams(at(101)).await.unwrap();
        assert_eq!(over(&mut watch), Some(StreamEnd::Ended));
    }

    #[tokio::test]
    async fn the_clock_ends_what_has_expired() {
        let store = store();
        let sessions = sessions(&store);
        let (_, session) = open(&sessions).await;
        sessions.follow(at(79_999)).await.unwrap();
        let mut watch = sessions.watch(&session);
        sessions.beat(at(79_999));
        assert_eq!(over(&mut watch), None);
        sessions.beat(at(80_000));
        assert_eq!(over(&mut watch), Some(StreamEnd::Expired));
        drop(watch);
        assert!(is_empty(&sessions));
    }

    #[tokio::test]
    async fn only_receiving_is_no_use_of_a_session() {
        let store = store();
        let sessions = sessions(&store);
        let (_, session) = open(&sessions).await;
        let mut watch = sessions.watch(&session);
        for (second, end) in [(1_099, None), (1_100, Some(StreamEnd::Idle))] {
            sessions.judge_streams(at(second)).await.unwrap();
            assert_eq!(over(&mut watch), end, "{second}");
        }
    }

    #[tokio::test]
    async fn a_client_that_sends_keeps_its_session_and_the_store_hears_of_it() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let (ticket, session) = open(&here).await;
        let mut watch = here.watch(&session);
        // The cache has another one of it by now.
        here.cache.invalidate_all();
        let _ = here.lookup(&ticket, &Browser::none(), at(101)).await.unwrap();
        for second in (130..5_000).step_by(30) {
            session.see(at(second));
            here.judge_streams(at(second)).await.unwrap();
        }
        assert_eq!(over(&mut watch), None);
        assert!(here.lookup(&ticket, &Browser::none(), at(5_000)).await.unwrap().is_some());
        assert!(
            there.lookup(&ticket, &Browser::none(), at(5_000)).await.unwrap().is_some(),
            "elsewhere it is not idle either"
        );
        let touches = store.touches.load(Ordering::Relaxed);
        assert!((30..=50).contains(&touches), "{touches}: every tenth of the idle limit");
    }

    #[tokio::test]
    async fn a_session_in_use_elsewhere_is_not_idle_here() {
        let store = store();
        let (here, there) = (sessions(&store), sessions(&store));
        let (ticket, session) = open(&here).await;
        let mut watch = here.watch(&session);
        assert!(there.lookup(&ticket, &Browser::none(), at(1_000)).await.unwrap().is_some());
        here.judge_streams(at(1_200)).await.unwrap();
        assert_eq!(over(&mut watch), None);
        here.judge_streams(at(2_000)).await.unwrap();
        assert_eq!(over(&mut watch), Some(StreamEnd::Idle));
    }

    #[tokio::test]
    async fn a_session_that_the_store_has_lost_ends_when_somebody_notices() {
        let store = store();
        let sessions = sessions(&store);
        for is_by_request in [true, false] {
            let (ticket, session) = open(&sessions).await;
            let mut watch = sessions.watch(&session);
            store.inner.remove(&ticket.key()).await.unwrap();
            if is_by_request {
                assert!(sessions.lookup(&ticket, &Browser::none(), at(250)).await.unwrap().is_none());
            } else {
                session.see(at(250));
                sessions.judge_streams(at(250)).await.unwrap();
            }
            assert_eq!(over(&mut watch), Some(StreamEnd::Ended));
        }
    }

    #[tokio::test]
    async fn a_store_that_is_away_ends_nothing_before_the_limit() {
        let store = store();
        let sessions = sessions(&store);
        let (_, session) = open(&sessions).await;
        let mut watch = sessions.watch(&session);
        down(&store, true);
        session.see(at(800));
        assert!(sessions.judge_streams(at(800)).await.is_err());
        // The limit of the others.
        sessions.beat(at(100 + 900));
        assert_eq!(over(&mut watch), None);
        down(&store, false);
        sessions.judge_streams(at(1_000)).await.unwrap();
        assert_eq!(over(&mut watch), None);
        assert_eq!(
            store.inner.walk(None).await.unwrap().0[0].seen,
            at(800),
            "it hears then what it was not told before"
        );
        sessions.beat(at(100 + 901));
        assert_eq!(over(&mut watch), Some(StreamEnd::StoreAway));
    }

    #[tokio::test]
    async fn who_goes_leaves_nothing_behind() {
        let store = store();
        let sessions = sessions(&store);
        let (ticket, session) = open(&sessions).await;
        let (first, mut second) = (sessions.watch(&session), sessions.watch(&session));
        drop(first);
        assert!(!is_empty(&sessions));
        let _ = sessions.end(&ticket.key(), at(101)).await.unwrap();
        assert_eq!(over(&mut second), Some(StreamEnd::Ended));
        assert!(is_empty(&sessions));
        drop(second);
        let (_, session) = open(&sessions).await;
        drop(sessions.watch(&session));
        assert!(is_empty(&sessions));
    }

    #[tokio::test]
    async fn an_exchange_that_begins_between_two_beats_waits_for_a_whole_one() {
        let sessions = sessions(&store());
        let mut waiting = std::pin::pin!(sessions.a_while());
        for _ in 0..2 {
            assert!(futures_util::poll!(&mut waiting).is_pending());
            sessions.beat(at(100));
        }
        waiting.await;
    }

    /// Each asks at another moment of a beat, and is woken by IO in between.
    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn no_beat_is_missed_by_those_that_ask_while_it_comes() {
        let streams = Arc::new(Streams::default());
        let beating = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let heart = std::thread::spawn({
            let (streams, beating) = (Arc::clone(&streams), Arc::clone(&beating));
            move || {
                while beating.load(Ordering::Relaxed) {
                    streams.beat();
                    std::thread::yield_now();
                }
            }
        });
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let streams = Arc::clone(&streams);
            tasks.spawn(on_one_connection(async move {
                for _ in 0..2_000 {
                    let mut waiting = std::pin::pin!(AWhile { streams: &streams, since: None, awaited: 0 });
                    if futures_util::poll!(&mut waiting).is_pending() {
                        tokio::task::yield_now().await;
                        waiting.await;
                    }
                }
            }));
        }
        tokio::time::timeout(Duration::from_secs(60), tasks.join_all()).await.expect("all are woken");
        beating.store(false, Ordering::Relaxed);
        heart.join().unwrap();
    }
}
