//! A closed loop of requests over kept connections, each answer held against the body that it must have.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

/// Requests as bytes, one of them for each turn.
pub type Requests = Arc<Vec<Vec<u8>>>;

#[derive(Debug, Default, Clone)]
pub struct Figures {
    pub requests: usize,
    pub wrong: usize,
    /// Of each request.
    pub times: Vec<Duration>,
}

impl Figures {
    /// Of the times: 0.5 is the median.
    pub fn quantile(&self, quantile: f64) -> Duration {
        let mut times = self.times.clone();
        times.sort_unstable();
        let index = (times.len().saturating_sub(1)) as f64 * quantile;
        times.get(index as usize).copied().unwrap_or_default()
    }
}

/// Asks `address` for so long, over so many connections. Each connection begins at another request and takes every
/// `stride`-th: 0 stays with the first.
pub fn run(
    address: SocketAddr,
    requests: &Requests,
    body: &'static [u8],
    connections: usize,
    stride: usize,
    duration: Duration,
) -> Figures {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(LocalSet::new().run_until(async {
        let until = Instant::now() + duration;
        let workers: Vec<_> = (0..connections)
            .map(|number| {
                let worker = Worker { address, requests: Arc::clone(requests), body, next: number, stride };
                tokio::task::spawn_local(worker.run(until))
            })
            .collect();
        let mut all = Figures::default();
        for worker in workers {
            let figures = worker.await.expect("no worker panics");
            all.requests += figures.requests;
            all.wrong += figures.wrong;
            all.times.extend(figures.times);
        }
        all
    }))
}

struct Worker {
    address: SocketAddr,
    requests: Requests,
    body: &'static [u8],
    next: usize,
    stride: usize,
}

impl Worker {
    async fn run(mut self, until: Instant) -> Figures {
        let mut figures = Figures::default();
        let mut kept: Option<TcpStream> = None;
        let mut buffer = vec![0; 16 * 1024];
        while Instant::now() < until {
            let requests = Arc::clone(&self.requests);
            let request = &requests[self.next % requests.len()];
            self.next = self.next.wrapping_add(self.stride);
            let begun = Instant::now();
            figures.requests += 1;
            match self.ask(kept.take(), request, &mut buffer).await {
                Some(connection) => {
                    figures.times.push(begun.elapsed());
                    kept = Some(connection);
                }
                None => figures.wrong += 1,
            }
        }
        figures
    }

    /// Nothing where the answer is not the one that it must be, or the connection is not kept open.
    async fn ask(&self, kept: Option<TcpStream>, request: &[u8], buffer: &mut [u8]) -> Option<TcpStream> {
        let mut connection = match kept {
            Some(connection) => connection,
            None => {
                let connection = TcpStream::connect(self.address).await.ok()?;
                connection.set_nodelay(true).ok()?;
                connection
            }
        };
        connection.write_all(request).await.ok()?;
        let mut length = 0;
        loop {
            let read = connection.read(buffer.get_mut(length..)?).await.ok().filter(|read| *read > 0)?;
            length += read;
            let answer = buffer.get(..length)?;
            if let Some(is_right) = self.judge(answer) {
                return is_right.then_some(connection);
            }
        }
    }

    /// Nothing while it is not all there. Every upstream answer here has a length.
    fn judge(&self, answer: &[u8]) -> Option<bool> {
        let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let (head, body) = answer.split_at(head_end);
        if !head.starts_with(b"HTTP/1.1 200 ") {
            return Some(false);
        }
        (body.len() >= self.body.len()).then(|| body == self.body)
    }
}

/// One that is kept, for answers that have a length.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// # Panics
    /// Nobody listens.
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("it listens");
        stream.set_nodelay(true).expect("a socket can be told so");
        Self { stream, buffer: Vec::new() }
    }

    /// The whole answer.
    ///
    /// # Panics
    /// It does not come.
    pub async fn ask(&mut self, request: &[u8]) -> String {
        self.stream.write_all(request).await.expect("it is read");
        self.buffer.clear();
        loop {
            let read = self.stream.read_buf(&mut self.buffer).await.expect("it answers");
            assert!(read > 0, "closed before the end: {}", self.buffer.escape_ascii());
            if let Some(answer) = whole(&self.buffer) {
                return String::from_utf8_lossy(answer).into_owned();
            }
        }
    }
}

/// Nothing while it is not all there.
fn whole(answer: &[u8]) -> Option<&[u8]> {
    let head_end = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(answer.get(..head_end)?).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    answer.get(..head_end + length.trim().parse::<usize>().ok()?)
}
