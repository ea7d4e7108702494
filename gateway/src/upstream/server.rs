//! A server of an upstream: its addresses, and which of them takes the next request.
//!
//! What is known of the addresses outlives a reload.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use config::ServerAddress;
use tokio::time::timeout;

use super::health::Health;
use crate::refusal::{Refusal, UpstreamFault};

/// An address that could not be connected to is left out for so long, while there are others.
const REST: Duration = Duration::from_secs(5);
/// How long a look-up in the background may take.
const LOOKUP: Duration = Duration::from_secs(5);

pub(super) struct Server {
    pub(super) address: ServerAddress,
    /// What its certificate must hold; empty for plain http.
    pub(super) name: String,
    place: Arc<Place>,
}

enum Place {
    /// Where the settings give an address and no name.
    Fixed(Arc<Target>),
    Named(Named),
}

struct Named {
    /// Empty until the name was looked up.
    targets: ArcSwap<Vec<Arc<Target>>>,
    next: AtomicUsize,
    is_unknown: AtomicBool,
}

/// One address.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    /// Milliseconds of [`Clock`], or 0.
    rests_until: AtomicU64,
    pub(super) health: Health,
}

impl Target {
    fn new(address: SocketAddr) -> Self {
        Self { address, rests_until: AtomicU64::new(0), health: Health::default() }
    }

    fn rests(&self, clock: &Clock) -> bool {
        let until = self.rests_until.load(Ordering::Relaxed);
        until != 0 && clock.now() < until
    }
}

/// Milliseconds since it was made, so that an instant fits into an atomic.
#[derive(Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// How good an address must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fitness {
    WellAndRested,
    /// Where none is better.
    Well,
    /// Nor this.
    Any,
}

impl Fitness {
    pub(super) const IN_ORDER: [Self; 3] = [Self::WellAndRested, Self::Well, Self::Any];

    fn suits(self, target: &Target, clock: &Clock) -> bool {
        match self {
            Self::WellAndRested => target.health.is_well() && !target.rests(clock),
            Self::Well => target.health.is_well(),
            Self::Any => true,
        }
    }
}

impl Server {
    pub(super) fn new(address: ServerAddress, name: String) -> Self {
        let place = match address.host.parse::<IpAddr>() {
            Ok(ip) => Place::Fixed(Arc::new(Target::new(SocketAddr::new(ip, address.port)))),
            Err(_) => Place::Named(Named {
                targets: ArcSwap::default(),
                next: AtomicUsize::new(0),
                is_unknown: AtomicBool::new(false),
            }),
        };
        Self { address, name, place: Arc::new(place) }
    }

    /// Goes on with what another knows of the same addresses.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.place = Arc::clone(&before.place);
    }

    /// Those that are known.
    pub(super) fn targets(&self) -> Vec<Arc<Target>> {
        match &*self.place {
            Place::Fixed(target) => vec![Arc::clone(target)],
            Place::Named(named) => named.targets.load().to_vec(),
        }
    }

    /// The next of its addresses that is fit; none where its name has not been looked up.
    pub(super) fn next(&self, fitness: Fitness, clock: &Clock) -> Option<SocketAddr> {
        match &*self.place {
            Place::Fixed(target) => fitness.suits(target, clock).then_some(target.address),
            Place::Named(named) => {
                let targets = named.targets.load();
                let turn = named.next.fetch_add(1, Ordering::Relaxed).checked_rem(targets.len())?;
                let (before, from) = targets.split_at_checked(turn)?;
                let found = from.iter().chain(before).find(|target| fitness.suits(target, clock));
                found.map(|target| target.address)
            }
        }
    }

    /// How many addresses it has; a name that was not looked up counts as one.
    pub(super) fn count(&self) -> usize {
        match &*self.place {
            Place::Fixed(_) => 1,
            Place::Named(named) => named.targets.load().len().max(1),
        }
    }

    /// A connection to the address failed.
    pub(super) fn rest(&self, address: SocketAddr, clock: &Clock) {
        let until = clock.now().saturating_add(u64::try_from(REST.as_millis()).unwrap_or(u64::MAX));
        for target in self.targets().iter().filter(|target| target.address == address) {
            target.rests_until.store(until, Ordering::Relaxed);
        }
    }

    /// For a request that came before the name was known: the only one that waits.
    ///
    /// # Errors
    /// It has no address.
    pub(super) async fn first_address(&self, limit: Duration) -> Result<SocketAddr, Refusal> {
        let found = match &*self.place {
            Place::Fixed(target) => return Ok(target.address),
            Place::Named(named) => self.look_up(named, limit).await,
        };
        found.map_err(|problem| Refusal::UpstreamUnavailable {
            fault: UpstreamFault::NameUnknown,
            problem: format!("looking up {}: {problem}", self.address.host),
        })
    }

    /// Looks the name up again, where there is one. A name that is gone keeps the addresses that it had: a connection
    /// will tell.
    pub(super) async fn refresh(&self, upstream: &str) {
        let Place::Named(named) = &*self.place else { return };
        let server = &self.address;
        match self.look_up(named, LOOKUP).await {
            Ok(_) if named.is_unknown.swap(false, Ordering::Relaxed) => {
                tracing::info!(upstream, %server, "the name of the server has an address again");
            }
            Err(problem) if !named.is_unknown.swap(true, Ordering::Relaxed) => tracing::warn!(
                upstream,
                %server,
                "the name of the server cannot be looked up: {problem}; the addresses that it had are used on"
            ),
            Ok(_) | Err(_) => {}
        }
    }

    async fn look_up(&self, named: &Named, limit: Duration) -> Result<SocketAddr, String> {
        let asked = tokio::net::lookup_host((self.address.host.as_str(), self.address.port));
        let found = match timeout(limit, asked).await {
            Ok(Ok(addresses)) => named.adopt(addresses),
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err(format!("no answer within {limit:?}")),
        };
        found.ok_or_else(|| "the name has no address".to_owned())
    }
}

impl Named {
    /// The first address. What is known of those that were there before is kept.
    fn adopt(&self, addresses: impl Iterator<Item = SocketAddr>) -> Option<SocketAddr> {
        let known = self.targets.load();
        let mut targets: Vec<Arc<Target>> = Vec::new();
        for address in addresses {
            if targets.iter().any(|target| target.address == address) {
                continue;
            }
            let before = known.iter().find(|target| target.address == address);
            targets.push(before.map_or_else(|| Arc::new(Target::new(address)), Arc::clone));
        }
        let first = targets.first()?.address;
        if targets.len() != known.len() || targets.iter().zip(known.iter()).any(|(new, old)| !Arc::ptr_eq(new, old)) {
            self.targets.store(Arc::new(targets));
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(addresses: &[&str]) -> Server {
        let server = Server::new(ServerAddress { host: "app".to_owned(), port: 1 }, String::new());
        adopt(&server, addresses);
        server
    }

    fn adopt(server: &Server, addresses: &[&str]) {
        let Place::Named(named) = &*server.place else { panic!("it has a name") };
        named.adopt(addresses.iter().map(|address| address.parse().unwrap()));
    }

    fn next(server: &Server, clock: &Clock) -> String {
        let found = Fitness::IN_ORDER.into_iter().find_map(|fitness| server.next(fitness, clock));
        found.map_or_else(|| "none".to_owned(), |address| address.to_string())
    }

    #[test]
    fn takes_all_addresses_of_a_name_in_turn() {
        let (server, clock) = (named(&["10.0.0.1:1", "10.0.0.2:1", "10.0.0.1:1"]), Clock::new());
        assert_eq!([next(&server, &clock), next(&server, &clock)], ["10.0.0.1:1", "10.0.0.2:1"]);
        assert_eq!((next(&server, &clock).as_str(), server.count()), ("10.0.0.1:1", 2));
    }

    #[test]
    fn lets_an_address_rest_that_failed_as_long_as_there_is_another() {
        let (server, clock) = (named(&["10.0.0.1:1", "10.0.0.2:1"]), Clock::new());
        server.rest("10.0.0.1:1".parse().unwrap(), &clock);
        for _ in 0..3 {
            assert_eq!(next(&server, &clock), "10.0.0.2:1");
        }
        // It rests on when the name is looked up again.
        adopt(&server, &["10.0.0.1:1", "10.0.0.3:1"]);
        assert_eq!(next(&server, &clock), "10.0.0.3:1");
        server.rest("10.0.0.3:1".parse().unwrap(), &clock);
        assert_ne!(next(&server, &clock), "none");
    }

    #[test]
    fn rests_for_a_while_only() {
        let (server, early) = (named(&["10.0.0.1:1"]), Clock::new());
        server.rest("10.0.0.1:1".parse().unwrap(), &early);
        assert_eq!(server.next(Fitness::WellAndRested, &early), None);
        let Some(begun) = Instant::now().checked_sub(REST * 2) else { return };
        assert!(server.next(Fitness::WellAndRested, &Clock(begun)).is_some());
    }

    #[test]
    fn keeps_what_it_had_where_a_name_has_nothing_any_more() {
        let (server, clock) = (named(&["10.0.0.1:1"]), Clock::new());
        adopt(&server, &[]);
        assert_eq!(next(&server, &clock), "10.0.0.1:1");
    }
}
