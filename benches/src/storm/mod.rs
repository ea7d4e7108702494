//! A Monday morning, simulated: everybody signs in around nine, and works.
//!
//! A step is a second; people are counted, not told apart. Costs are [`figures`], the rest are assumptions, each with
//! its reason in `docs/scale.md`.

pub mod figures;
pub mod pending;
pub mod queue;

use std::collections::VecDeque;

use figures::{REDIS_BYTES, RedisCosts, ReplicaCosts};
use pending::{MAX_IN_ALL, MAX_PER_ADDRESS, Pending, People};
use queue::{Queue, mean_wait};

/// From eight to ten.
pub const SECONDS: usize = 7_200;
const NINE: f64 = 3_600.0;
/// Each process reads what was revoked so often a second.
const FOLLOWS: f64 = 4.0;
/// One after the other, from the first request to the page: two to begin, six to end, one to read.
const ROUND_TRIPS: f64 = 9.0;

#[derive(Debug, Clone)]
pub struct Scenario {
    pub users: f64,
    pub replicas: f64,
    pub cores: f64,
    /// A balancer keeps a browser at one replica.
    pub sticky: bool,
    /// Nodes; 1 is a Redis alone.
    pub redis: f64,
    /// The standard deviation of arrivals, in seconds.
    pub spread: f64,
    pub people: People,
    /// Requests at once after the login.
    pub first_requests: f64,
    /// Requests of a signed-in person a minute, from then on.
    pub a_minute: f64,
    /// `session.idle_timeout`, in seconds.
    pub idle: f64,
    /// `session.max_sessions`: how many a cache holds.
    pub max_cached: f64,
    /// TLS handshakes of a person who signs in.
    pub handshakes: f64,
    /// Of a handshake, beside the signature; in seconds.
    pub handshake: f64,
    /// Pending logins in all.
    pub max_pending: f64,
    /// Memory of a Redis node, and of a replica, in bytes.
    pub redis_memory: f64,
    pub replica_memory: f64,
    pub costs: ReplicaCosts,
    pub redis_costs: RedisCosts,
}

impl Scenario {
    pub fn of(users: f64, replicas: f64, sticky: bool, redis: f64) -> Self {
        Self {
            users,
            replicas,
            cores: 2.0,
            sticky,
            redis,
            spread: 1_200.0,
            people: People { away: 30.0, given_up: 0.05, behind: 0.02 },
            first_requests: 20.0,
            a_minute: 2.0,
            idle: 3_600.0,
            max_cached: 1e6,
            handshakes: 1.0,
            handshake: 100e-6,
            max_pending: MAX_IN_ALL,
            redis_memory: 16e9,
            replica_memory: 4e9,
            costs: ReplicaCosts::measured(),
            redis_costs: RedisCosts::alone(),
        }
    }

    /// How many people come to sign in, each second; before eight and after ten nobody does.
    fn arrivals(&self) -> Vec<f64> {
        let bell = |second: usize| (-((second as f64 - NINE) / self.spread).powi(2) / 2.0).exp();
        let all: f64 = (0..SECONDS).map(bell).sum();
        (0..SECONDS).map(|second| self.users * bell(second) / all).collect()
    }

    /// Among how many replicas a browser's requests fall.
    fn among(&self) -> f64 {
        if self.sticky { 1.0 } else { self.replicas }
    }

    /// How long a replica tells the store nothing of a session that it sees.
    fn untold(&self) -> f64 {
        (self.idle / 10.0).max(30.0).min(self.idle / 3.0)
    }
}

/// At its peak, over what there is: above 1 it is too much.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    pub what: &'static str,
    pub share: f64,
}

#[derive(Debug)]
pub struct Outcome {
    pub replicas: Use,
    pub redis: Use,
    pub redis_memory: Use,
    pub replica_memory: Use,
    pub pending: Use,
    pub address: Use,
    /// The share of sign-ins that came back to a login no longer known.
    pub refused: f64,
    /// The most that a sign-in waits for processors and Redis, in seconds.
    pub wait: f64,
    /// The most pending logins at once, if nothing is dropped.
    pub most_pending: f64,
    /// Logins begun in the busiest second.
    pub logins: f64,
}

impl Outcome {
    pub fn uses(&self) -> [Use; 6] {
        [self.replicas, self.redis, self.redis_memory, self.replica_memory, self.pending, self.address]
    }

    /// What runs out first if everything grows.
    pub fn first(&self) -> Use {
        let [first, rest @ ..] = self.uses();
        rest.into_iter().fold(first, |most, next| if next.share > most.share { next } else { most })
    }
}

/// Who is signed in, and at how many replicas each is known.
#[derive(Default)]
struct Sessions {
    count: f64,
    /// Pairs of a session and a replica that it may meet and has not met.
    unmet: f64,
    /// Pairs that have met, each second for as long as a replica tells the store nothing.
    met: VecDeque<f64>,
}

/// Commands of a second for the sake of sessions.
struct Asked {
    loads: f64,
    touches: f64,
}

impl Sessions {
    fn step(&mut self, scenario: &Scenario, signed_in: f64) -> Asked {
        let among = scenario.among();
        let rate = scenario.a_minute / 60.0;
        let at_once = among * (1.0 - (1.0 - 1.0 / among).powf(scenario.first_requests));
        let found = self.unmet * (1.0 - (-rate / among).exp());
        let requests = self.count * rate;
        self.unmet += signed_in * (among - at_once) - found;
        self.count += signed_in;
        let missing = 1.0 - (scenario.max_cached / self.at_a_replica(scenario).max(1.0)).min(1.0);
        self.met.push_back(self.pairs(scenario));
        let long_ago = if self.met.len() > scenario.untold() as usize { self.met.pop_front() } else { None };
        // A replica tells once in the time that it keeps silent and until the next request after it.
        let told = long_ago.unwrap_or_default() / (scenario.untold() + among / rate);
        Asked { loads: signed_in * at_once + found + requests * missing, touches: told * (1.0 - missing) }
    }

    fn pairs(&self, scenario: &Scenario) -> f64 {
        self.count * scenario.among() - self.unmet
    }

    fn at_a_replica(&self, scenario: &Scenario) -> f64 {
        self.pairs(scenario) / scenario.replicas
    }
}

/// Simulates the morning.
pub fn run(scenario: &Scenario) -> Outcome {
    let (costs, redis_costs) = (&scenario.costs, &scenario.redis_costs);
    let mut replicas = Queue::of(scenario.replicas * scenario.cores);
    // The node with the set of all logins and the streams; the other keys are spread over all nodes alike.
    let mut redis = Queue::of(1.0);
    let mut pending = Pending::bounded(scenario.people, scenario.max_pending, MAX_PER_ADDRESS);
    let mut wanted = Pending::unbounded(scenario.people);
    let mut sessions = Sessions::default();
    let (mut again, mut begun, mut refused, mut logins): (f64, f64, f64, f64) = (0.0, 0.0, 0.0, 0.0);
    for arrivals in scenario.arrivals() {
        wanted.step(arrivals);
        let starts = arrivals + again;
        let came = pending.step(starts);
        // Whoever is refused tries once more, at once.
        again = came.refused;
        begun += starts;
        refused += came.refused;
        logins = logins.max(starts);
        let signed_in = came.signed_in;
        let requests = signed_in * scenario.first_requests + sessions.count * scenario.a_minute / 60.0;
        let asked = sessions.step(scenario, signed_in);

        let handshake = scenario.handshakes * (costs.sign + scenario.handshake);
        // To begin a login writes about what a session writes; to end one asks four times more.
        let begin = handshake + costs.open + costs.proxy;
        let finish = costs.verify + costs.open + 4.0 * costs.ask + costs.proxy;
        replicas.step(
            starts * begin
                + signed_in * finish
                + requests * (costs.proxy + costs.hit)
                + (asked.loads + asked.touches) * costs.ask,
        );
        let spread = starts * redis_costs.start()
            + signed_in * redis_costs.finish()
            + asked.loads * redis_costs.read
            + asked.touches * redis_costs.touch;
        let on_one_node = starts * redis_costs.remember_in_all
            + signed_in * redis_costs.forget
            + scenario.replicas * FOLLOWS * redis_costs.follow;
        redis.step(spread / scenario.redis + on_one_node);
    }
    let share = |what, share| Use { what, share };
    let cached = sessions.at_a_replica(scenario).min(scenario.max_cached) * costs.cached_bytes;
    let by_chance =
        mean_wait(replicas.busiest(), costs.verify) + ROUND_TRIPS * mean_wait(redis.busiest(), redis_costs.remember);
    Outcome {
        replicas: share("replicas", replicas.busiest()),
        redis: share("Redis", redis.busiest()),
        redis_memory: share("memory of Redis", sessions.count * REDIS_BYTES / scenario.redis / scenario.redis_memory),
        replica_memory: share("memory of a replica", cached / scenario.replica_memory),
        pending: share("pending logins", wanted.most() / scenario.max_pending),
        address: share("pending logins of one address", wanted.most_behind() / MAX_PER_ADDRESS),
        refused: refused / begun,
        wait: replicas.longest() + redis.longest() + by_chance,
        most_pending: wanted.most(),
        logins,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_comes_once() {
        let arrivals = Scenario::of(1_000.0, 2.0, true, 1.0).arrivals();
        assert!((arrivals.iter().sum::<f64>() - 1_000.0).abs() < 1e-6);
        assert!(arrivals.iter().all(|some| *some <= arrivals[3_600]), "nine is the peak");
        let ten: f64 = arrivals[3_600..3_610].iter().sum();
        // 1,000 over 1,200 s and the root of two pi, somewhat more for what the two hours cut off.
        assert!((ten - 3.33).abs() < 0.02, "{ten}");
    }

    #[test]
    fn a_session_is_read_once_at_each_replica_that_it_meets() {
        for (sticky, expected) in [(true, 1.0), (false, 5.0)] {
            let scenario = Scenario { a_minute: 60.0, ..Scenario::of(1.0, 5.0, sticky, 1.0) };
            let mut sessions = Sessions::default();
            let mut loads = sessions.step(&scenario, 100.0).loads;
            loads += (0..200).map(|_| sessions.step(&scenario, 0.0).loads).sum::<f64>();
            assert!((loads - 100.0 * expected).abs() < 0.1, "{loads}");
        }
    }

    #[test]
    fn a_session_in_use_is_told_of_ten_times_in_its_idle_limit() {
        let scenario = Scenario { a_minute: 600.0, ..Scenario::of(1.0, 5.0, true, 1.0) };
        let mut sessions = Sessions::default();
        sessions.step(&scenario, 100.0);
        let touches = (0..3_960).map(|_| sessions.step(&scenario, 0.0).touches).sum::<f64>();
        assert!((touches / 100.0 - 10.0).abs() < 0.05, "{touches}");
    }

    #[test]
    fn what_a_cache_cannot_hold_is_read_again() {
        let scenario = Scenario { a_minute: 60.0, max_cached: 50.0, ..Scenario::of(1.0, 1.0, true, 1.0) };
        let mut sessions = Sessions::default();
        sessions.step(&scenario, 100.0);
        assert_eq!(sessions.step(&scenario, 0.0).loads, 50.0);
    }

    #[test]
    fn more_replicas_are_less_busy_and_one_of_them_is_not_enough() {
        let of = |replicas| run(&Scenario { max_cached: 1e7, ..Scenario::of(4e6, replicas, true, 1.0) });
        let (one, ten) = (of(1.0), of(10.0));
        assert!((one.replicas.share / ten.replicas.share - 10.0).abs() < 1e-6);
        assert!(one.replicas.share > 1.0 && one.wait > 1.0 && ten.wait < 0.1, "{one:?} {ten:?}");
    }
}
