//! An application behind the gateway that shows exactly what reached it.
//!
//! The last segment of the path says how it answers, on whatever route it lies: `ws` echoes over a
//! WebSocket, `events` sends server-sent events (`?count=`, `?every_ms=`), `download` sends bytes (`?length=`),
//! `slow` waits (`?ms=`), `hold` waits for [`Upstream::release`]; anything else is an echo of the request. Each
//! `set_cookie=` and `header=Name:value` of the query becomes a response header, `status=` the status.

mod answer;
mod http2;
mod identity_jwt;
mod page;
mod tls;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use serde::Serialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use http2::{Http2Request, Http2Upstream};
pub use page::Application;
pub use tls::{Authority, Issued};

/// A request as it stood on the wire.
#[derive(Debug, Clone, Serialize)]
pub struct Received {
    /// Counts the connections of this upstream, so that it can be seen which requests shared one.
    pub connection: usize,
    pub method: String,
    pub target: String,
    pub version: String,
    /// Header lines in their order and spelling.
    pub header_lines: Vec<String>,
    /// The same, cut at the colon.
    pub headers: Vec<(String, String)>,
    pub body_length: usize,
    pub body: String,
    pub trailers: Vec<(String, String)>,
}

impl Received {
    /// Values of every header whose name is `name` in any case, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(each, _)| each.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The value of the header, which stands at most once.
    pub fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} reached the upstream {} times: {all:?}", all.len());
        all.first().copied()
    }

    pub fn path(&self) -> &str {
        self.target.split(['?', '#']).next().unwrap_or_default()
    }

    fn query(&self) -> Vec<(String, String)> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    fn asked(&self, name: &str) -> Option<String> {
        self.query().into_iter().find(|(each, _)| each == name).map(|(_, value)| value)
    }

    fn wants_html(&self) -> bool {
        self.all("Accept").iter().any(|accept| accept.contains("text/html"))
    }
}

/// The running upstream; it ends with this value.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    received: Mutex<Vec<Received>>,
    count: watch::Sender<usize>,
    /// How many connections have ended.
    closed: watch::Sender<usize>,
    released: Semaphore,
    application: Option<Application>,
}

impl Upstream {
    /// Answers with JSON only.
    pub async fn start() -> Self {
        Self::serve(None, None).await
    }

    /// Answers with JSON only, over TLS.
    pub async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::serve(None, Some(config.into())).await
    }

    /// Shows browsers a page; everybody else still gets JSON.
    pub async fn start_application(application: Application) -> Self {
        Self::serve(Some(application), None).await
    }

    async fn serve(application: Option<Application>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let shared = Arc::new(Shared {
            received: Mutex::new(Vec::new()),
            count: watch::Sender::new(0),
            closed: watch::Sender::new(0),
            released: Semaphore::new(0),
            application,
        });
        let server = tokio::spawn(accept(listener, tls, shared.clone()));
        Self { address, shared, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no holder of the lock panics").clone()
    }

    /// The requests so far, which are then forgotten.
    pub fn take_requests(&self) -> Vec<Received> {
        std::mem::take(&mut *self.shared.received.lock().expect("no holder of the lock panics"))
    }

    pub fn last_request(&self) -> Received {
        self.requests().pop().expect("a request reached the upstream")
    }

    /// Waits until `total` requests have arrived since the start.
    pub async fn arrived(&self, total: usize) {
        let mut count = self.shared.count.subscribe();
        count.wait_for(|&count| count >= total).await.expect("the upstream runs");
    }

    /// How many connections have ended since the start.
    pub fn count_closed(&self) -> usize {
        *self.shared.closed.borrow()
    }

    /// Waits until so many connections have ended.
    pub async fn closed(&self, total: usize) {
        let mut closed = self.shared.closed.subscribe();
        closed.wait_for(|&closed| closed >= total).await.expect("the upstream runs");
    }

    /// Lets one request to `hold` have its answer.
    pub fn release(&self) {
        self.shared.released.add_permits(1);
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn record(&self, request: Received) {
        self.received.lock().expect("no holder of the lock panics").push(request);
        self.count.send_modify(|count| *count += 1);
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    for number in 0.. {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        connections.spawn(serve_connection(stream, tls.clone(), number, shared.clone()));
        while connections.try_join_next().is_some() {}
    }
}

/// A connection that breaks is the client's affair: what was received stays recorded.
async fn serve_connection(stream: TcpStream, tls: Option<TlsAcceptor>, number: usize, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let _ = match tls {
        None => answer::serve(stream, number, &shared).await,
        Some(tls) => match tls.accept(stream).await {
            Ok(stream) => answer::serve(stream, number, &shared).await,
            Err(error) => Err(error),
        },
    };
    shared.closed.send_modify(|closed| *closed += 1);
}

/// What a request comes over.
trait Connection: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Connection for T {}
