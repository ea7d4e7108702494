//! Constant load of many sessions, over kept and new connections: whatever goes wrong counts.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::raw::{Asked, RawConnection, RawResponse};

/// A request that has no answer by then has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who asks: the Cookie header, and the address that the application must read.
#[derive(Debug, Clone)]
pub struct Person {
    pub cookie: String,
    pub email: String,
}

/// How much.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Workers that keep their connection.
    pub kept: usize,
    /// Workers that open one for each request.
    pub fresh: usize,
    /// Of each worker between two requests.
    pub pause: Duration,
}

/// Load that goes on until [`Load::finish`].
pub struct Load {
    stop: watch::Sender<bool>,
    workers: JoinSet<Tally>,
}

#[derive(Debug, Default)]
pub struct Tally {
    pub requests: usize,
    /// One line each: what was asked by whom, and what came instead.
    pub failures: Vec<String>,
}

impl Load {
    /// Asks for `/x` at `address`, as `host`; everybody takes their turn.
    pub fn start(address: SocketAddr, host: &str, people: Vec<Person>, shape: Shape) -> Self {
        let stop = watch::Sender::new(false);
        let turns = Arc::new(Turns { people, next: Mutex::new(0) });
        let mut workers = JoinSet::new();
        for number in 0..shape.kept + shape.fresh {
            let worker = Worker {
                address,
                host: host.to_owned(),
                turns: Arc::clone(&turns),
                keeps: number < shape.kept,
                pause: shape.pause,
            };
            workers.spawn(worker.run(stop.subscribe()));
        }
        Self { stop, workers }
    }

    /// Stops it, and says what came of it.
    pub async fn finish(mut self) -> Tally {
        self.stop.send_replace(true);
        let mut all = Tally::default();
        while let Some(tally) = self.workers.join_next().await {
            let tally = tally.expect("no worker panics");
            all.requests += tally.requests;
            all.failures.extend(tally.failures);
        }
        all
    }
}

struct Turns {
    people: Vec<Person>,
    next: Mutex<usize>,
}

impl Turns {
    fn next(&self) -> &Person {
        let mut next = self.next.lock().expect("no holder of the lock panics");
        *next = (*next + 1) % self.people.len();
        &self.people[*next]
    }
}

struct Worker {
    address: SocketAddr,
    host: String,
    turns: Arc<Turns>,
    keeps: bool,
    pause: Duration,
}

impl Worker {
    async fn run(self, stop: watch::Receiver<bool>) -> Tally {
        let mut tally = Tally::default();
        let mut kept = None;
        while !*stop.borrow() {
            let person = self.turns.next();
            tally.requests += 1;
            match timeout(PATIENCE, self.ask(person, kept.take())).await {
                Ok(Ok(connection)) => kept = connection,
                Ok(Err(problem)) => tally.failures.push(format!("{}: {problem}", person.email)),
                Err(_) => tally.failures.push(format!("{}: no answer within {PATIENCE:?}", person.email)),
            }
            tokio::time::sleep(self.pause).await;
        }
        tally
    }

    /// The connection, where it may be used again.
    async fn ask(&self, person: &Person, kept: Option<RawConnection>) -> Result<Option<RawConnection>, String> {
        let told = |error: std::io::Error| error.to_string();
        let is_kept = kept.is_some();
        let mut connection = match kept {
            Some(connection) => connection,
            None => RawConnection::open(self.address).await.map_err(told)?,
        };
        let ending = if self.keeps { "" } else { "Connection: close\r\n" };
        let request = format!("GET /x HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n{ending}\r\n", self.host, person.cookie);
        connection.send(request).await.map_err(told)?;
        let answer = connection.response(Asked::Other).await.map_err(told)?;
        let answer = answer.ok_or_else(|| format!("closed without an answer, kept: {is_kept}"))?;
        judge(&answer, person)?;
        let is_last = answer.head.has_token("Connection", "close");
        Ok((self.keeps && !is_last).then_some(connection))
    }
}

fn judge(answer: &RawResponse, person: &Person) -> Result<(), String> {
    if answer.status != 200 {
        return Err(format!("{}: {}", answer.status, answer.text()));
    }
    let body: serde_json::Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    let headers = body["headers"].as_array().ok_or("no echo of the application")?;
    let is_it = |header: &&serde_json::Value| {
        header[0].as_str().is_some_and(|name| name.eq_ignore_ascii_case("X-Forwarded-Email"))
    };
    let named: Vec<_> = headers.iter().filter(is_it).map(|header| &header[1]).collect();
    if named == [person.email.as_str()] { Ok(()) } else { Err(format!("the application was told {named:?}")) }
}
