//! Cookie header in, session out, among 100,000 sessions: the share of the hot path that is ours alone.
//!
//! The header lies in the processor's cache, since a socket has just been read into it; the sessions lie in memory, since
//! they come in random order. Beside it, in the same run, the floors: the bare cache and a bare hash map, asked likewise.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use benches::sessions::{Order, cookie_header, find, key_in, record};
use benches::{medians_on_arrivals, print_ratio};
use criterion::{BatchSize, Criterion};
use gateway::session::{Browser, MemoryStore, Session, SessionKey, SessionLimits, SessionStore, Sessions};
use moka::sync::Cache;
use saml_core::{IdpId, Timestamp};

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SESSIONS: usize = 100_000;
/// Requests that arrive at a time.
const ARRIVALS: usize = 64;

struct Arrival {
    header: String,
    key: SessionKey,
}

fn main() {
    let now = Timestamp::from_unix(1_795_445_071, 0);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let (sessions, headers) = runtime.block_on(signed_in(now));
    let bare: Cache<SessionKey, Arc<Session>> = Cache::new(SESSIONS as u64 * 2);
    let keys: Vec<SessionKey> = headers.iter().map(|header| key_in(header)).collect();
    for key in &keys {
        bare.insert(*key, sessions.cached(key, now).expect("a session"));
    }

    let map: HashMap<SessionKey, Arc<Session>> = bare.iter().map(|(key, session)| (*key, session)).collect();

    let mut order = Order::among(SESSIONS);
    let mut arrival = || {
        let number = order.next();
        Arrival { header: headers[number].clone(), key: keys[number] }
    };
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("session_lookup 100k");
    group.bench_function("cookie header to session", |bencher| {
        bencher.iter_batched_ref(
            &mut arrival,
            |it| find(&sessions, &it.header, now),
            BatchSize::NumIterations(ARRIVALS as u64),
        );
    });
    group.bench_function("floor: bare moka get", |bencher| {
        bencher.iter_batched_ref(
            &mut arrival,
            |it| bare.get(black_box(&it.key)),
            BatchSize::NumIterations(ARRIVALS as u64),
        );
    });
    group.finish();
    criterion.final_summary();

    let mut arrive = || (0..ARRIVALS).map(|_| arrival()).collect();
    let (ours, floor) = medians_on_arrivals(
        &mut arrive,
        |it| drop(black_box(find(&sessions, &it.header, now))),
        |it| drop(black_box(bare.get(black_box(&it.key)))),
    );
    print_ratio("session_lookup 100k", " (bare moka get)", ours, floor);
    let (ours, floor) = medians_on_arrivals(
        &mut arrive,
        |it| drop(black_box(find(&sessions, &it.header, now))),
        |it| drop(black_box(map.get(black_box(&it.key)).cloned())),
    );
    print_ratio("session_lookup 100k", " (bare hash map)", ours, floor);
}

/// Sessions, all in the cache, and the Cookie header of each browser.
async fn signed_in(now: Timestamp) -> (Sessions, Vec<String>) {
    let store: Arc<dyn SessionStore> = Arc::new(MemoryStore::new(SESSIONS as u64 * 2));
    let limits = SessionLimits {
        idle_timeout: Duration::from_secs(3_600),
        max_cached: SESSIONS as u64 * 2,
        outage_limit: Duration::from_secs(900),
        max_per_user: None,
        idps: vec![IdpId::parse("jumpcloud").expect("an id")],
    };
    let sessions = Sessions::new(store, &limits);
    let mut headers = Vec::with_capacity(SESSIONS);
    for user in 0..SESSIONS {
        let ticket = sessions.open(record(user, now), &Browser::none()).await.expect("opened");
        assert!(sessions.lookup(&ticket, &Browser::none(), now).await.expect("found").is_some());
        headers.push(cookie_header(&ticket));
    }
    (sessions, headers)
}
