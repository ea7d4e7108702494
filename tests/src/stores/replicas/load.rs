//! A Redis outage under load: many sessions, two replicas behind HAProxy.

use std::net::SocketAddr;
use std::process::Stdio;
use std::rc::Rc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::SystemTime;

use ::gateway::keys::Keys;
use ::gateway::session::contract::{record, ticket};
use ::gateway::session::{Browser, RedisStore, SessionRecord, SessionStore as _};
use config::StoreSettings;
use saml_core::Timestamp;
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, spawn_local};

use super::*;
use crate::gateway::{Gateway, free_port};
use crate::raw::{Asked, RawConnection};

const SESSIONS: usize = 500;
const OUTAGE: Duration = Duration::from_secs(30);
const CONNECTIONS: usize = 20;
const REVOKED: usize = 5;
/// Between two requests of a connection.
const PAUSE: Duration = Duration::from_millis(10);
/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(5);
const DOMAIN: &str = "@load.example";

struct Person {
    email: String,
    cookie: String,
    /// Answers that it had during the outage.
    answers: AtomicU64,
}

/// HAProxy, which gives each request to the other replica. It ends with this value.
struct Balancer {
    address: SocketAddr,
    _child: Child,
    _folder: TempDir,
}

impl Balancer {
    async fn start(replicas: &[Gateway; 2]) -> Self {
        let port = free_port();
        let [one, other] = [0, 1].map(|replica: usize| replicas[replica].address());
        let settings = format!(
            "defaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n\
             frontend public\n bind 127.0.0.1:{port}\n default_backend replicas\n\
             backend replicas\n balance roundrobin\n retries 0\n server one {one}\n server other {other}\n"
        );
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("haproxy.cfg");
        std::fs::write(&file, settings).expect("the settings can be written");
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().expect("haproxy can be started: tests/stores/run installs it");
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        until(SECOND * 10, "HAProxy listens", async || TcpStream::connect(address).await.is_ok()).await;
        Self { address, _child: child, _folder: folder }
    }
}

/// Requests through the balancer, and which of them were not answered as they must be.
struct Load {
    balancer: SocketAddr,
    authority: String,
    is_away: AtomicBool,
    requests: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Load {
    /// Visits `people` in turn over one connection until it is over.
    async fn visit(&self, people: &[Rc<Person>], expected: u16, is_over: &AtomicBool) {
        let mut connection = None;
        for person in people.iter().cycle() {
            if is_over.load(Ordering::Relaxed) {
                return;
            }
            let request = format!(
                "GET /page HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nAccept: application/json\r\n\r\n",
                self.authority, person.cookie
            );
            let answer = timeout(PATIENCE, answer(&mut connection, self.balancer, &request)).await;
            self.judge(person, answer.unwrap_or_else(|_| Err("no answer in time".to_owned())), expected);
            person.answers.fetch_add(u64::from(self.is_away.load(Ordering::Relaxed)), Ordering::Relaxed);
            sleep(PAUSE).await;
        }
    }

    fn judge(&self, person: &Person, answer: Result<RawResponse, String>, expected: u16) {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let problem = match answer {
            Err(problem) => Some(problem),
            Ok(answer) if answer.status != expected => Some(format!("{}: {}", answer.status, answer.text())),
            Ok(answer) if expected == 200 && !names_only(&answer.text(), &person.email) => {
                Some(format!("it names somebody else: {}", answer.text()))
            }
            Ok(_) => None,
        };
        let told = problem.map(|problem| format!("{}: {problem}", person.email));
        self.failures.lock().expect("no panic under it").extend(told);
    }
}

async fn answer(
    connection: &mut Option<RawConnection>,
    address: SocketAddr,
    request: &str,
) -> Result<RawResponse, String> {
    let mut open = match connection.take() {
        Some(open) => open,
        None => RawConnection::open(address).await.map_err(|error| error.to_string())?,
    };
    open.send(request).await.map_err(|error| error.to_string())?;
    let answer = open.response(Asked::Other).await.map_err(|error| error.to_string())?.ok_or("closed")?;
    *connection = Some(open);
    Ok(answer)
}

fn names_only(body: &str, email: &str) -> bool {
    body.contains(email) && body.matches(DOMAIN).count() == body.matches(email).count()
}

/// Sessions as the replicas themselves would write them.
async fn opened(pair: &Pair, count: usize) -> Vec<Rc<Person>> {
    let settings = config::load(pair.replicas[0].config_file(), std::iter::empty::<(String, String)>());
    let settings = settings.unwrap_or_else(|mistakes| panic!("{mistakes}")).settings;
    let (keys, _) = Keys::load(&settings).expect("the keys can be read");
    let StoreSettings::Redis(redis) = &settings.session.store else { panic!("no redis") };
    let keys = keys.store().expect("a shared store has keys").clone();
    let store = RedisStore::new(redis, keys, settings.service_provider.entity_id.as_str());
    let now = Timestamp::from(SystemTime::now()).unix_seconds();
    let mut people = Vec::new();
    for number in 0..count {
        let (ticket, email) = (ticket(), format!("user{number:04}{DOMAIN}"));
        let record = SessionRecord {
            idp: settings.identity_providers[0].id.clone(),
            unique_id: format!("employee-{number:04}").into(),
            email: email.as_str().into(),
            username: None,
            ..record(now, now + 3_600)
        };
        store.insert(&ticket, record, &Browser::none()).await.expect("inserted");
        let cookie = format!("{SESSION}={}", *ticket.to_cookie_value());
        people.push(Rc::new(Person { email, cookie, answers: AtomicU64::new(0) }));
    }
    people
}

pub(in super::super) async fn carry_load_through_an_outage() {
    let mut pair = Pair::start().await;
    let balancer = Balancer::start(&pair.replicas).await;
    let mut people = opened(&pair, SESSIONS + REVOKED + CONNECTIONS).await;
    let uncached = people.split_off(SESSIONS + REVOKED);
    for person in &people {
        for replica in [0, 1] {
            assert_eq!(pair.status(replica, &person.cookie).await, 200);
        }
    }
    let revoked = people.split_off(SESSIONS);

    let load = Rc::new(Load {
        balancer: balancer.address,
        authority: pair.replicas[0].authority().to_owned(),
        is_away: AtomicBool::new(false),
        requests: AtomicU64::new(0),
        failures: Mutex::default(),
    });
    let visits = |people: &[Rc<Person>], expected, is_over: &Rc<AtomicBool>| -> Vec<JoinHandle<()>> {
        let of = |share: &[Rc<Person>]| {
            let (load, share, is_over) = (Rc::clone(&load), share.to_vec(), Rc::clone(is_over));
            spawn_local(async move { load.visit(&share, expected, &is_over).await })
        };
        people.chunks(SESSIONS / CONNECTIONS).map(of).collect()
    };
    let end = async |visits: Vec<JoinHandle<()>>, is_over: Rc<AtomicBool>| {
        is_over.store(true, Ordering::Relaxed);
        assert!(join_all(visits).await.iter().all(Result::is_ok));
    };
    let (over, over_for_uncached) = (Rc::new(AtomicBool::new(false)), Rc::new(AtomicBool::new(false)));
    let of_cached = visits(&people, 200, &over);
    sleep(SECOND * 3).await;

    pair.redis.kill().await;
    load.is_away.store(true, Ordering::Relaxed);
    let since = Instant::now();
    // Nobody has seen these before.
    let of_uncached = visits(&uncached, 503, &over_for_uncached);
    for person in &revoked {
        let _ = pair.revoke(0, &["--email", &person.email]).await;
        assert_eq!(pair.status(0, &person.cookie).await, 503, "here it has ended");
        assert_eq!(pair.status(1, &person.cookie).await, 200, "there nobody could be told");
    }
    sleep(OUTAGE.saturating_sub(since.elapsed())).await;
    end(of_uncached, over_for_uncached).await;
    load.is_away.store(false, Ordering::Relaxed);
    pair.redis.restart().await;
    for person in &revoked {
        for replica in [0, 1] {
            until(SECOND * 3, "revoked afterwards", async || pair.status(replica, &person.cookie).await == 401).await;
        }
    }
    sleep(SECOND * 3).await;
    end(of_cached, over).await;

    let requests = load.requests.load(Ordering::Relaxed);
    let failures = std::mem::take(&mut *load.failures.lock().expect("no panic under it"));
    assert!(failures.is_empty(), "{} of {requests} failed, the first: {}", failures.len(), failures[0]);
    let fewest = people.iter().chain(&uncached).map(|person| person.answers.load(Ordering::Relaxed)).min();
    assert!(fewest > Some(0), "each was asked for while Redis was away");
    for person in people.iter().chain(&uncached) {
        for replica in [0, 1] {
            let answer = pair.get(replica, &person.cookie).await;
            assert!(answer.status == 200 && names_only(&answer.text(), &person.email), "{}", answer.text());
        }
    }
    println!("          {requests} requests of {SESSIONS} sessions, none failed");
}
