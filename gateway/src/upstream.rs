//! Where a request goes: the servers of an upstream in turn, their names resolved without blocking.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use config::{ServerAddress, Timeouts, Upstream};
use pingora::upstreams::peer::HttpPeer;

use crate::refusal::{Refusal, UpstreamFault};

/// A name is looked up again after this; addresses of containers change.
const RESOLVED_FOR: Duration = Duration::from_secs(5);

pub struct Upstreams(Vec<Servers>);

struct Servers {
    servers: Vec<Server>,
    next: AtomicUsize,
}

struct Server {
    address: ServerAddress,
    /// Where the settings give an address and no name.
    fixed: Option<SocketAddr>,
    resolved: ArcSwapOption<Resolved>,
}

struct Resolved {
    at: Instant,
    address: SocketAddr,
}

impl Upstreams {
    pub fn new(upstreams: &[Upstream]) -> Self {
        Self(
            upstreams
                .iter()
                .map(|upstream| Servers {
                    servers: upstream.servers.iter().cloned().map(Server::new).collect(),
                    next: AtomicUsize::new(0),
                })
                .collect(),
        )
    }

    pub fn servers_of(&self, upstream: usize) -> usize {
        self.0.get(upstream).map_or(0, |servers| servers.servers.len())
    }

    /// The next server.
    ///
    /// # Errors
    /// Its name has no address.
    pub async fn peer(&self, upstream: usize, timeouts: &Timeouts) -> Result<(SocketAddr, HttpPeer), Refusal> {
        let server = self.0.get(upstream).and_then(Servers::next).ok_or_else(|| Refusal::Internal {
            problem: format!("the route names upstream {upstream}, which has no server"),
        })?;
        let address = server.resolve(timeouts.connect).await?;
        let mut peer = HttpPeer::new(address, false, String::new());
        peer.options.connection_timeout = Some(timeouts.connect);
        peer.options.total_connection_timeout = Some(timeouts.connect);
        peer.options.read_timeout = Some(timeouts.read);
        peer.options.write_timeout = Some(timeouts.write);
        peer.options.idle_timeout = Some(Duration::from_secs(60));
        Ok((address, peer))
    }
}

impl Servers {
    fn next(&self) -> Option<&Server> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.servers.get(turn.checked_rem(self.servers.len())?)
    }
}

impl Server {
    fn new(address: ServerAddress) -> Self {
        let bare = address.host.trim_start_matches('[').trim_end_matches(']');
        let fixed = bare.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, address.port));
        Self { address, fixed, resolved: ArcSwapOption::empty() }
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
        Upstreams::new(&[Upstream { name: "app".to_owned(), servers }])
    }

    async fn next(upstreams: &Upstreams) -> String {
        upstreams.peer(0, &TIMEOUTS).await.unwrap().0.to_string()
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
        let refusal = upstreams(&["nobody.invalid"]).peer(0, &TIMEOUTS).await.err().unwrap();
        assert!(matches!(refusal, Refusal::UpstreamUnavailable { fault: UpstreamFault::NameUnknown, .. }));
    }
}
