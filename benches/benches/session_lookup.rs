//! Cookie header in, session out, among 100,000 sessions: the share of the hot path that is ours alone.
//!
//! Beside it, in the same run, the floor: the bare cache, asked for the same keys in the same order.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::{medians_side_by_side, print_ratio};
use criterion::Criterion;
use gateway::session::{
    MemoryStore, Session, SessionKey, SessionLimits, SessionRecord, SessionStore, Sessions, Ticket, read_own,
};
use moka::sync::Cache;
use saml_core::{IdpId, Timestamp};

const SESSIONS: usize = 100_000;

fn main() {
    let now = Timestamp::from_unix(1_795_445_071, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sessions, headers) = runtime.block_on(signed_in(now));
    let bare: Cache<SessionKey, Arc<Session>> = Cache::new(SESSIONS as u64 * 2);
    let keys: Vec<SessionKey> = headers.iter().map(|header| key_in(header)).collect();
    for key in &keys {
        bare.insert(*key, sessions.cached(key, now).expect("a session"));
    }

    let mut order = Order::default();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("session_lookup 100k");
    group.bench_function("cookie header to session", |bencher| {
        bencher.iter(|| find(&sessions, &headers[order.next()], now));
    });
    group.bench_function("floor: bare moka get", |bencher| {
        bencher.iter(|| bare.get(black_box(&keys[order.next()])));
    });
    group.finish();
    criterion.final_summary();

    let mut other_order = Order::default();
    let (ours, floor) = medians_side_by_side(
        || drop(black_box(find(&sessions, &headers[order.next()], now))),
        || drop(black_box(bare.get(black_box(&keys[other_order.next()])))),
    );
    print_ratio("session_lookup 100k", " (bare moka get)", ours, floor);
}

fn find(sessions: &Sessions, header: &str, now: Timestamp) -> Arc<Session> {
    let ticket = read_own([black_box(header).as_bytes()]).session.good().expect("a ticket");
    sessions.cached(&ticket.key(), now).expect("a session")
}

/// Sessions, all in the cache, and the Cookie header of each browser.
async fn signed_in(now: Timestamp) -> (Sessions, Vec<String>) {
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new(SESSIONS as u64 * 2));
    let limits = SessionLimits {
        idle_timeout: Duration::from_secs(3_600),
        max_cached: SESSIONS as u64 * 2,
        outage_limit: Duration::from_secs(900),
        max_per_user: None,
    };
    let sessions = Sessions::new(store, &limits);
    let mut headers = Vec::with_capacity(SESSIONS);
    for user in 0..SESSIONS {
        let ticket = sessions.open(record(user, now)).await.expect("opened");
        assert!(sessions.lookup(&ticket, now).await.expect("found").is_some());
        headers.push(cookie_header(&ticket));
    }
    (sessions, headers)
}

fn cookie_header(ticket: &Ticket) -> String {
    format!(
        "_ga=GA1.2.1718372611.1795445071; theme=dark; __Host-samlgate={}; csrftoken=7f3kq1Zk0m2Yp9sB4tQeXw8uL6nRvCdA; lang=en-GB",
        *ticket.to_cookie_value()
    )
}

fn key_in(header: &str) -> SessionKey {
    read_own([header.as_bytes()]).session.good().expect("a ticket").key()
}

fn record(user: usize, now: Timestamp) -> SessionRecord {
    SessionRecord {
        idp: IdpId::parse("jumpcloud").expect("an id"),
        unique_id: format!("65f1c0ffee{user:014x}").into(),
        email: format!("user{user}@example.com").into(),
        username: None,
        first_name: Some("Ada".into()),
        last_name: Some("Lovelace".into()),
        name_id: Some(format!("user{user}@example.com").into()),
        groups: (0..20).map(|group| format!("team-{group:02}")).collect(),
        attributes: Box::default(),
        created: now,
        expires: now.plus_seconds(28_800),
        assertion_id: format!("_{user:040x}").into(),
        idp_session: None,
    }
}

/// Random places, the same in every run (Numerical Recipes' generator): a browser's next request is not its neighbour's.
struct Order(u64);

impl Default for Order {
    fn default() -> Self {
        Self(u64::from_be_bytes(*b"samlgate"))
    }
}

impl Order {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % SESSIONS
    }
}
