//! Sessions by the thousand and by the million: bytes, look-ups, start-up and eviction, in memory and over Redis.
//!
//! Each size is measured in a process of its own, whose resident memory is then nobody else's. `benches/run-scale`
//! starts a Redis for it and has it write `docs/scale-measured.md` and the plot.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use benches::sessions::{Order, cookie_header, find, key_in, record};
use benches::{Pace, commit, machine, medians_at};
use config::{RedisServer, RedisSettings, RedisTopology};
use gateway::keys::StoreKeys;
use gateway::session::{
    Browser, MemoryStore, RedisStore, Session, SessionKey, SessionLimits, SessionStore, Sessions, Ticket,
};
use saml_core::{IdpId, Timestamp};
use tokio::task::JoinSet;

/// As the gateway has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SIZES: [usize; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// Sessions that are opened, or read, at a time.
const AT_ONCE: usize = 64;

/// What a process of one size found out, as it prints it.
#[derive(Debug, Default, Clone)]
struct Found(HashMap<String, f64>);

impl Found {
    fn tell(&self) {
        self.0.iter().for_each(|(name, value)| println!("{name} {value}"));
    }

    fn hear(text: &str) -> Self {
        let read =
            |line: &str| line.split_once(' ').and_then(|(name, value)| Some((name.to_owned(), value.parse().ok()?)));
        Self(text.lines().filter_map(read).collect())
    }

    fn of(&self, name: &str) -> f64 {
        self.0.get(name).copied().unwrap_or(f64::NAN)
    }

    fn set(&mut self, name: &str, value: f64) {
        self.0.insert(name.to_owned(), value);
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
    let redis = value("--redis");
    if let Some(size) = value("--size") {
        let size = size.parse().expect("a number of sessions");
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        return runtime.block_on(measure(size, redis.as_deref())).tell();
    }
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let sizes: Vec<usize> = SIZES.into_iter().filter(|size| !quick || *size <= 10_000).collect();
    let stores: Vec<Option<&str>> = [Some(None), redis.as_deref().map(Some)].into_iter().flatten().collect();
    let mut rows = Vec::new();
    for store in stores {
        for size in &sizes {
            let found = in_its_own_process(*size, store, quick);
            let name = if store.is_some() { "redis" } else { "memory" };
            println!(
                "session_scale {name} {size}: {:.0} bytes a session, hit {:.2} us, bare moka {:.2} us, hash map {:.2} us, \
                 read {:.1} us, opened {:.1} us",
                found.of("bytes"),
                found.of("hit"),
                found.of("moka"),
                found.of("map"),
                found.of("read"),
                found.of("opened")
            );
            rows.push((name, *size, found));
        }
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::write(docs.join("scale.svg"), plot(&rows)).expect("the plot is written");
        std::fs::write(docs.join("scale-measured.md"), page(&rows)).expect("the page is written");
    }
}

fn in_its_own_process(size: usize, redis: Option<&str>, quick: bool) -> Found {
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.args(["--bench", "--size", &size.to_string()]);
    if let Some(redis) = redis {
        command.args(["--redis", redis]);
    }
    if quick {
        command.arg("--quick");
    }
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Found::hear(&String::from_utf8_lossy(&output.stdout))
}

async fn measure(size: usize, redis: Option<&str>) -> Found {
    let now: Timestamp = std::time::SystemTime::now().into();
    let store: Arc<dyn SessionStore> = match redis {
        None => Arc::new(MemoryStore::new(size as u64 * 2)),
        Some(address) => {
            Arc::new(RedisStore::new(&settings(address, size), StoreKeys::made().expect("keys"), "benches"))
        }
    };
    let sessions = Arc::new(Sessions::new(Arc::clone(&store), &limits(size)));
    sessions.follow(now).await.expect("the store answers");
    let mut found = Found::default();
    let before = resident();

    let start = Instant::now();
    let mut tickets = opened(&sessions, size, now).await;
    let each = |start: Instant, count: usize| start.elapsed().as_secs_f64() * 1e6 / count as f64;
    found.set("opened", each(start, size));
    let kept = resident();

    let start = Instant::now();
    tickets = read(&sessions, tickets, now).await;
    found.set("read", each(start, size));
    // With the memory store a record is held once, by store and cache together.
    let tickets_alone = (size_of::<Ticket>() * size) as f64;
    found.set("bytes", (resident() - if redis.is_some() { kept } else { before + tickets_alone }) / size as f64);

    let headers: Vec<String> = tickets.iter().map(cookie_header).collect();
    look_up(&sessions, &headers, now, &mut found);
    evict(&store, &tickets, size, now, &mut found).await;
    found
}

fn settings(address: &str, size: usize) -> RedisSettings {
    let (host, port) = address.rsplit_once(':').expect("host:port");
    RedisSettings {
        topology: RedisTopology::Single,
        servers: vec![RedisServer { host: host.to_owned(), port: port.parse().expect("a port") }],
        database: 0,
        username: None,
        password_file: None,
        tls: None,
        key_prefix: format!("scale{size}"),
        timeout: Duration::from_secs(30),
    }
}

fn limits(size: usize) -> SessionLimits {
    SessionLimits {
        idle_timeout: Duration::from_secs(3_600),
        max_cached: size as u64,
        outage_limit: Duration::from_secs(900),
        max_per_user: None,
        idps: vec![IdpId::parse("jumpcloud").expect("an id")],
    }
}

async fn opened(sessions: &Arc<Sessions>, size: usize, now: Timestamp) -> Vec<Ticket> {
    let mut tasks = JoinSet::new();
    for lane in 0..AT_ONCE {
        let sessions = Arc::clone(sessions);
        tasks.spawn(async move {
            let mut tickets = Vec::with_capacity(size / AT_ONCE + 1);
            for user in (lane..size).step_by(AT_ONCE) {
                tickets.push(sessions.open(record(user, now), &Browser::none()).await.expect("opened"));
            }
            tickets
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// As requests would, each once, from the store into the cache.
async fn read(sessions: &Arc<Sessions>, mut tickets: Vec<Ticket>, now: Timestamp) -> Vec<Ticket> {
    let mut tasks = JoinSet::new();
    let share = tickets.len().div_ceil(AT_ONCE);
    while !tickets.is_empty() {
        let mine = tickets.split_off(tickets.len().saturating_sub(share));
        let sessions = Arc::clone(sessions);
        tasks.spawn(async move {
            for ticket in &mine {
                assert!(sessions.lookup(ticket, &Browser::none(), now).await.expect("the store answers").is_some());
            }
            mine
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn look_up(sessions: &Sessions, headers: &[String], now: Timestamp, found: &mut Found) {
    // The cache admits by use: what it turned away in a full house is no hit.
    let cached: Vec<&String> =
        headers.iter().filter(|header| sessions.cached(&key_in(header), now).is_some()).collect();
    found.set("cached", cached.len() as f64 / headers.len() as f64);
    let keys: Vec<SessionKey> = cached.iter().map(|header| key_in(header)).collect();
    let moka = moka::sync::Cache::new(headers.len() as u64 * 2);
    let mut map: HashMap<SessionKey, Arc<Session>> = HashMap::new();
    for key in &keys {
        if let Some(session) = sessions.cached(key, now) {
            moka.insert(*key, Arc::clone(&session));
            map.insert(*key, session);
        }
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    let (mut one, mut other) = (Order::among(keys.len()), Order::among(keys.len()));
    let (hit, bare) = medians_at(
        Pace::brisk(),
        || drop(black_box(find(sessions, cached[one.next()], now))),
        || drop(black_box(moka.get(black_box(&keys[other.next()])))),
    );
    found.set("hit", micros(hit));
    found.set("moka", micros(bare));
    let (mut one, mut other) = (Order::among(keys.len()), Order::among(keys.len()));
    let (_, bare) = medians_at(
        Pace::brisk(),
        || drop(black_box(find(sessions, cached[one.next()], now))),
        || drop(black_box(map.get(black_box(&keys[other.next()])).cloned())),
    );
    found.set("map", micros(bare));
}

/// A cache of half the size, asked for all: how many it holds, and what a request costs that it must read.
async fn evict(store: &Arc<dyn SessionStore>, tickets: &[Ticket], size: usize, now: Timestamp, found: &mut Found) {
    let sessions = Sessions::new(Arc::clone(store), &limits(size / 2));
    sessions.follow(now).await.expect("the store answers");
    let start = Instant::now();
    let some = &tickets[..tickets.len().min(100_000)];
    for ticket in some {
        assert!(sessions.lookup(ticket, &Browser::none(), now).await.expect("the store answers").is_some());
    }
    found.set("restart", start.elapsed().as_secs_f64() * 1e6 / some.len() as f64);
    found.set("held", sessions.count_cached() as f64 / some.len().min(size / 2) as f64);
}

/// Bytes of this process in memory.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0
}

type Row<'a> = (&'a str, usize, Found);

fn page(rows: &[Row<'_>]) -> String {
    let mut page = String::from(
        "# Sessions by the million: measured\n\nWritten by `benches/run-scale`. Users of 20 groups, each session used once; a process a size. *Bytes* are\n\
         resident memory: with `memory` what store and cache take together, with `redis` what the cache takes. *Hit*: Cookie\n\
         header in, session out, random sessions, processor time, with the header in cold memory too (`session_lookup` has one\n\
         that has just arrived); beside it the bare cache and a bare hash map in the same run. *Read*: from the store into the cache, 64 at a time; *alone*: one after the other, as the first request after a\n\
         restart. *Opened*: a new session, 64 at a time. *Held*: of a cache that is asked for more than it may hold (up to 100,000), the\n\
         share of its limit.\n\nMachine: MACHINE. Commit: COMMIT.\n\n![look-ups over sessions](scale.svg)\n\n\
         | store | sessions | bytes | hit us | bare moka us | hash map us | read us | alone us | opened us | held |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    )
    .replace("MACHINE", &machine())
    .replace("COMMIT", &commit());
    for (store, size, found) in rows {
        let _ = writeln!(
            page,
            "| {store} | {size} | {:.0} | {:.2} | {:.2} | {:.2} | {:.1} | {:.1} | {:.1} | {:.2} |",
            found.of("bytes"),
            found.of("hit"),
            found.of("moka"),
            found.of("map"),
            found.of("read"),
            found.of("restart"),
            found.of("opened"),
            found.of("held")
        );
    }
    page
}

fn plot(rows: &[Row<'_>]) -> String {
    const WIDTH: f64 = 720.0;
    const HEIGHT: f64 = 420.0;
    const MARGIN: f64 = 60.0;
    let most = rows.iter().map(|(_, _, found)| found.of("hit").max(found.of("moka"))).fold(0.1, f64::max);
    let x = |size: usize| MARGIN + ((size as f64).log10() - 3.0) / 3.0 * (WIDTH - 2.0 * MARGIN);
    let y = |micros: f64| HEIGHT - MARGIN - micros / most * (HEIGHT - 2.0 * MARGIN);
    let (bottom, right) = (HEIGHT - MARGIN, WIDTH - MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#555\"/>\n\
         <text x=\"{MARGIN}\" y=\"{}\">microseconds a look-up (up to {most:.2})</text>\n",
        MARGIN - 12.0
    );
    for size in SIZES {
        let _ =
            writeln!(svg, "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{size}</text>", x(size), bottom + 20.0);
    }
    let lines = [
        ("memory", "hit", "#1f6feb"),
        ("redis", "hit", "#d1242f"),
        ("memory", "moka", "#57606a"),
        ("memory", "map", "#8c959f"),
    ];
    for (number, (store, what, colour)) in lines.into_iter().enumerate() {
        let points = rows.iter().filter(|(of, _, _)| *of == store);
        let path: Vec<String> =
            points.map(|(_, size, found)| format!("{:.1} {:.1}", x(*size), y(found.of(what)))).collect();
        if path.is_empty() {
            continue;
        }
        let label = match what {
            "hit" => format!("store {store}: header in, session out"),
            "moka" => "bare moka".to_owned(),
            _ => "bare hash map".to_owned(),
        };
        let _ = writeln!(svg, "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>", path.join("L"));
        let top = MARGIN + 16.0 * number as f64;
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{top}\" fill=\"{colour}\">{label}</text>", MARGIN + 12.0);
    }
    svg.push_str("</svg>\n");
    svg
}
