//! Where a request goes: the servers of an upstream in turn, their names resolved and their health checked beside it.
//!
//! A request never waits for a name that is known: those are looked up again and again beside the request road. Where no
//! address is fit, one that is not is tried, for a connection tells more than we know.

mod health;
mod server;
mod tls;

pub use health::keep_checked;
pub use tls::{TlsFault, UpstreamTlsError};

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use config::{HealthCheck, ServerAddress, Timeouts, Upstream};
use futures_util::future::join_all;
use pingora::protocols::{ALPN, TcpKeepalive};
use pingora::upstreams::peer::HttpPeer;
use tokio::time::MissedTickBehavior;

use crate::live::Live;
use crate::refusal::Refusal;
use server::{Clock, Fitness, Server};
use tls::Credentials;

/// Names are looked up again after this; addresses of containers change.
const RESOLVED_FOR: Duration = Duration::from_secs(5);
/// On one HTTP/2 connection at a time; what RFC 9113 §6.5.2 has servers allow at least.
const STREAMS: usize = 100;

/// The kernel finds out about connections whose other end is gone without a word.
const KEEPALIVE: TcpKeepalive = TcpKeepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(10),
    count: 3,
    #[cfg(target_os = "linux")]
    user_timeout: Duration::ZERO,
};

/// What a request can go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Any,
    /// A WebSocket: Pingora opens none over HTTP/2 (RFC 8441).
    Http1,
}

pub struct Upstreams {
    upstreams: Vec<Servers>,
    clock: Clock,
}

struct Servers {
    /// Of the upstream.
    name: String,
    servers: Vec<Server>,
    next: AtomicUsize,
    /// Plain http where absent.
    credentials: Option<Credentials>,
    http2: bool,
    health_check: Option<HealthCheck>,
    /// Connections that are kept open are shared by this; what a server has proved it has proved to one upstream.
    pool: u64,
}

/// Pools of TLS upstreams are numbered from 1; those without share one, for an address is all there is to them.
static NEXT_POOL: AtomicU64 = AtomicU64::new(1);

impl Upstreams {
    /// # Errors
    /// A certificate or key cannot be used.
    pub fn new(upstreams: &[Upstream]) -> Result<Self, UpstreamTlsError> {
        let upstreams = upstreams.iter().map(Servers::new).collect::<Result<_, _>>()?;
        Ok(Self { upstreams, clock: Clock::new() })
    }

    /// The upstreams of new settings: what is known of servers that stay, and are checked alike, is kept.
    ///
    /// # Errors
    /// As [`Upstreams::new`].
    pub fn renewed(&self, upstreams: &[Upstream]) -> Result<Self, UpstreamTlsError> {
        let mut new = Self { clock: self.clock, ..Self::new(upstreams)? };
        for servers in &mut new.upstreams {
            let is_alike = |old: &&Servers| old.name == servers.name && old.health_check == servers.health_check;
            let Some(before) = self.upstreams.iter().find(is_alike) else { continue };
            for server in &mut servers.servers {
                if let Some(old) = before.servers.iter().find(|old| old.address == server.address) {
                    server.inherit(old);
                }
            }
        }
        Ok(new)
    }

    /// How many addresses there are to try.
    pub fn count(&self, upstream: usize) -> usize {
        self.upstreams.get(upstream).map_or(0, |servers| servers.servers.iter().map(Server::count).sum())
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
        let nowhere =
            || Refusal::Internal { problem: format!("the route names upstream {upstream}, which has no server") };
        let servers = self.upstreams.get(upstream).ok_or_else(nowhere)?;
        let turn = servers.turn().ok_or_else(nowhere)?;
        let (server, address) = match servers.choose(turn, &self.clock) {
            Some(chosen) => chosen,
            None => {
                let server = servers.servers.get(turn).ok_or_else(nowhere)?;
                (server, server.first_address(timeouts.connect).await?)
            }
        };
        Ok((address, servers.peer(server, address, protocol, timeouts)))
    }

    /// A connection to the address could not be made.
    pub fn rest(&self, upstream: usize, address: SocketAddr) {
        let Some(servers) = self.upstreams.get(upstream) else { return };
        servers.servers.iter().for_each(|server| server.rest(address, &self.clock));
    }

    /// Looks up every name.
    pub async fn refresh(&self) {
        let each = self.upstreams.iter().flat_map(|of| of.servers.iter().map(|server| server.refresh(&of.name)));
        join_all(each).await;
    }
}

/// Looks up the names of all servers, again and again.
pub async fn keep_resolved(live: Arc<Live>) {
    let mut ticks = tokio::time::interval(RESOLVED_FOR);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        live.current().upstreams.refresh().await;
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
            name: upstream.name.clone(),
            servers: upstream.servers.iter().map(server).collect::<Result<_, _>>()?,
            next: AtomicUsize::new(0),
            pool: NEXT_POOL.fetch_add(1, Ordering::Relaxed),
            http2: upstream.http2,
            health_check: upstream.health_check.clone(),
            credentials,
        })
    }

    fn turn(&self) -> Option<usize> {
        self.next.fetch_add(1, Ordering::Relaxed).checked_rem(self.servers.len())
    }

    /// From the server whose turn it is, the first that has a fit address.
    fn choose(&self, turn: usize, clock: &Clock) -> Option<(&Server, SocketAddr)> {
        let (before, from) = self.servers.split_at_checked(turn)?;
        Fitness::IN_ORDER.into_iter().find_map(|fitness| {
            let mut servers = from.iter().chain(before);
            servers.find_map(|server| Some((server, server.next(fitness, clock)?)))
        })
    }

    fn peer(&self, server: &Server, address: SocketAddr, protocol: Protocol, timeouts: &Timeouts) -> HttpPeer {
        let mut peer = HttpPeer::new(address, self.credentials.is_some(), server.name.clone());
        if let Some(credentials) = &self.credentials {
            credentials.dress(&mut peer);
            peer.group_key = self.pool;
        }
        if self.http2 && protocol == Protocol::Any {
            peer.options.alpn = if peer.is_tls() { ALPN::H2H1 } else { ALPN::H2 };
            peer.options.max_h2_streams = STREAMS;
        }
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.read);
        peer.options.write_timeout = Some(timeouts.write);
        // Pingora's `idle_timeout` would wind a timer up behind each request.
        peer.options.tcp_keepalive = Some(KEEPALIVE);
        peer
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::UpstreamFault;

    const TIMEOUTS: Timeouts =
        Timeouts { connect: Duration::from_secs(5), read: Duration::from_secs(60), write: Duration::from_secs(60) };

    fn upstreams(hosts: &[&str]) -> Upstreams {
        let servers = hosts.iter().map(|host| ServerAddress { host: (*host).to_owned(), port: 80 }).collect();
        Upstreams::new(&[Upstream { name: "app".to_owned(), servers, tls: None, http2: false, health_check: None }])
            .unwrap()
    }

    async fn next(upstreams: &Upstreams) -> String {
        upstreams.peer(0, Protocol::Any, &TIMEOUTS).await.unwrap().0.to_string()
    }

    #[tokio::test]
    async fn takes_servers_in_turn() {
        let upstreams = upstreams(&["127.0.0.1", "::1", "::2"]);
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

    #[tokio::test]
    async fn a_server_that_failed_or_has_no_address_keeps_nobody_waiting_while_there_is_another() {
        let upstreams = upstreams(&["127.0.0.1", "nobody.invalid", "127.0.0.2"]);
        upstreams.rest(0, "127.0.0.1:80".parse().unwrap());
        for _ in 0..4 {
            assert_eq!(next(&upstreams).await, "127.0.0.2:80");
        }
        upstreams.rest(0, "127.0.0.2:80".parse().unwrap());
        assert_eq!(upstreams.count(0), 3);
        next(&upstreams).await;
    }

    #[tokio::test]
    async fn names_are_known_before_anybody_asks() {
        let upstreams = upstreams(&["localhost"]);
        let servers = &upstreams.upstreams[0];
        assert!(servers.choose(0, &upstreams.clock).is_none());
        upstreams.refresh().await;
        assert!(servers.choose(0, &upstreams.clock).is_some_and(|(_, address)| address.ip().is_loopback()));
    }
}
