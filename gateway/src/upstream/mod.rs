//! Where a request goes: the servers of an upstream in turn, their names resolved without blocking.

mod tls;

pub use tls::{TlsFault, UpstreamTlsError};

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use config::{ServerAddress, Timeouts, Upstream};
use pingora::protocols::ALPN;
use pingora::upstreams::peer::HttpPeer;

use crate::refusal::{Refusal, UpstreamFault};
use tls::Credentials;

/// A name is looked up again after this; addresses of containers change.
const RESOLVED_FOR: Duration = Duration::from_secs(5);

/// On one HTTP/2 connection at a time; what RFC 9113 §6.5.2 has servers allow at least.
const STREAMS: usize = 100;

/// What a request can go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Any,
    /// A WebSocket: Pingora opens none over HTTP/2 (RFC 8441).
    Http1,
}

pub struct Upstreams(Vec<Servers>);

struct Servers {
    servers: Vec<Server>,
    next: AtomicUsize,
    /// Plain http where absent.
    credentials: Option<Credentials>,
    http2: bool,
    /// Connections that are kept open are shared by this; what a server has proved it has proved to one upstream.
    pool: u64,
}

/// Pools of TLS upstreams are numbered from 1; those without share one, for an address is all there is to them.
static NEXT_POOL: AtomicU64 = AtomicU64::new(1);

struct Server {
    address: ServerAddress,
    /// What its certificate must hold; empty for plain http.
    name: String,
    /// Where the settings give an address and no name.
    fixed: Option<SocketAddr>,
    resolved: ArcSwapOption<Resolved>,
}

struct Resolved {
    at: Instant,
    address: SocketAddr,
}

impl Upstreams {
    /// # Errors
    /// A certificate or key cannot be used.
    pub fn new(upstreams: &[Upstream]) -> Result<Self, UpstreamTlsError> {
        upstreams.iter().map(Servers::new).collect::<Result<_, _>>().map(Self)
    }

    pub fn servers_of(&self, upstream: usize) -> usize {
        self.0.get(upstream).map_or(0, |servers| servers.servers.len())
    }

    /// The next server.
    ///
    /// # Errors
    /// Its name has no address.
    pub async fn peer(
        &self,
        upstream: usize,
        protocol: Protocol,
        timeouts: &Timeouts,
    ) -> Result<(SocketAddr, HttpPeer), Refusal> {
        let found = self.0.get(upstream).and_then(|servers| Some((servers, servers.next()?)));
        let (servers, server) = found.ok_or_else(|| Refusal::Internal {
            problem: format!("the route names upstream {upstream}, which has no server"),
        })?;
        let address = server.resolve(timeouts.connect).await?;
        let mut peer = HttpPeer::new(address, servers.credentials.is_some(), server.name.clone());
        if let Some(credentials) = &servers.credentials {
            credentials.dress(&mut peer);
            peer.group_key = servers.pool;
        }
        if servers.http2 && protocol == Protocol::Any {
            peer.options.alpn = if peer.is_tls() { ALPN::H2H1 } else { ALPN::H2 };
            peer.options.max_h2_streams = STREAMS;
        }
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.read);
        peer.options.write_timeout = Some(timeouts.write);
        peer.options.idle_timeout = Some(Duration::from_secs(60));
        Ok((address, peer))
    }
}

impl Servers {
    fn new(upstream: &Upstream) -> Result<Self, UpstreamTlsError> {
        let credentials = Credentials::load(upstream)?;
        let server = |address: &ServerAddress| {
            let name = credentials.as_ref().map(|tls| tls.name_of(upstream, &address.host)).transpose()?;
            Ok(Server::new(address.clone(), name.unwrap_or_default()))
        };
        Ok(Self {
            servers: upstream.servers.iter().map(server).collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
            pool: NEXT_POOL.fetch_add(1, Ordering::Relaxed),
            http2: upstream.http2,
            credentials,
        })
    }

    fn next(&self) -> Option<&Server> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.servers.get(turn.checked_rem(self.servers.len())?)
    }
}

impl Server {
    fn new(address: ServerAddress, name: String) -> Self {
        let bare = address.host.trim_start_matches('[').trim_end_matches(']');
        let fixed = bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, address.port));
        Self { address, name, fixed, resolved: ArcSwapOption::empty() }
    }

    async fn resolve(&self, limit: Duration) -> Result<SocketAddr, Refusal> {
        if let Some(address) = self.fixed {
            return Ok(address);
        }
        let known = self.resolved.load();
        if let Some(known) = known.as_ref().filter(|known| known.at.elapsed() < RESOLVED_FOR) {
            return Ok(known.address);
        }
        let looked_up =
            tokio::time::timeout(limit, tokio::net::lookup_host((self.address.host.as_str(), self.address.port))).await;
        let found = match looked_up {
            Ok(Ok(mut addresses)) => addresses.next().ok_or_else(|| self.unknown("the name has no address".to_owned())),
            Ok(Err(error)) => Err(self.unknown(error.to_string())),
            Err(_) => Err(self.unknown(format!("no answer within {limit:?}"))),
        };
        match (found, known.as_ref()) {
            (Ok(address), _) => {
                self.resolved.store(Some(Arc::new(Resolved { at: Instant::now(), address })));
                Ok(address)
            }
            // Better an address that may have changed than none: a connection will tell.
            (Err(_), Some(known)) => Ok(known.address),
            (Err(refusal), None) => Err(refusal),
        }
    }

    fn unknown(&self, problem: String) -> Refusal {
        Refusal::UpstreamUnavailable {
            fault: UpstreamFault::NameUnknown,
            problem: format!("looking up {}: {problem}", self.address.host),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUTS: Timeouts =
        Timeouts { connect: Duration::from_secs(5), read: Duration::from_secs(60), write: Duration::from_secs(60) };

    fn upstreams(hosts: &[&str]) -> Upstreams {
        let servers = hosts.iter().map(|host| ServerAddress { host: (*host).to_owned(), port: 80 }).collect();
        Upstreams::new(&[Upstream { name: "app".to_owned(), servers, tls: None, http2: false }]).unwrap()
    }

    async fn next(upstreams: &Upstreams) -> String {
        upstreams.peer(0, Protocol::Any, &TIMEOUTS).await.unwrap().0.to_string()
    }

    #[tokio::test]
    async fn takes_servers_in_turn() {
        let upstreams = upstreams(&["127.0.0.1", "[::1]", "::2"]);
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(next(&upstreams).await);
        }
        assert_eq!(seen, ["127.0.0.1:80", "[::1]:80", "[::2]:80", "127.0.0.1:80"]);
    }

    #[tokio::test]
    async fn refuses_a_name_without_address() {
        let refusal = upstreams(&["nobody.invalid"]).peer(0, Protocol::Any, &TIMEOUTS).await.err().unwrap();
        assert!(matches!(refusal, Refusal::UpstreamUnavailable { fault: UpstreamFault::NameUnknown, .. }));
    }
}
