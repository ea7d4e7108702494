//! What things cost: measured figures, read from the pages that report them.

const SCALE: &str = include_str!("../../../docs/scale-measured.md");
const VERIFY: &str = include_str!("../../../docs/verification-cost.md");
const PEERS: &str = include_str!("../../baselines/peers.md");

const MICRO: f64 = 1e-6;

/// Processor time of a replica, in seconds.
#[derive(Debug, Clone)]
pub struct ReplicaCosts {
    /// A Response of 20 groups, from the form to the login.
    pub verify: f64,
    /// A session into Redis, the time of Redis on the same machine with it.
    pub open: f64,
    /// One command to Redis and back, 64 at a time, the time of Redis with it.
    pub ask: f64,
    /// A Cookie header in, a cached session out.
    pub hit: f64,
    /// A request through bare Pingora.
    pub proxy: f64,
    /// One RSA-2048 signature.
    pub sign: f64,
    /// Bytes of a cached session.
    pub cached_bytes: f64,
}

impl ReplicaCosts {
    /// # Panics
    /// A page lacks the figure.
    pub fn measured() -> Self {
        let scale = |column| cell(SCALE, "| redis | 100000 |", column);
        Self {
            verify: cell(VERIFY, "| 20 groups |", "us") * MICRO,
            open: scale("opened us") * MICRO,
            ask: scale("read us") * MICRO,
            hit: scale("hit us") * MICRO,
            proxy: 21.8 * MICRO,
            sign: between(PEERS, "one sign ", " us") * MICRO,
            cached_bytes: scale("bytes"),
        }
    }
}

/// Processor time of a Redis for one command, in seconds: Redis 7.0.15, `redis-benchmark` with 50 connections over
/// loopback, by `used_cpu_*_main_thread`.
#[derive(Debug, Clone)]
pub struct RedisCosts {
    /// `HMGET` of two fields.
    pub read: f64,
    /// `HSET` of 1,000 bytes, alone.
    pub write: f64,
    /// Each of `MULTI`, `EXPIRE` and `EXEC`, sent with it.
    pub beside: f64,
    /// The script that puts a member into a set of its own.
    pub remember: f64,
    /// The same, into the one set of all logins.
    pub remember_in_all: f64,
    pub take: f64,
    pub touch: f64,
    /// `SET` with `NX` and `EX`.
    pub claim: f64,
    /// `ZREM`.
    pub forget: f64,
    /// `XREAD` of both streams, nothing new.
    pub follow: f64,
}

impl RedisCosts {
    /// One command a packet: what a Redis of little load pays.
    pub fn alone() -> Self {
        Self {
            read: 8.4 * MICRO,
            write: 10.4 * MICRO,
            beside: 0.8 * MICRO,
            remember: 13.1 * MICRO,
            remember_in_all: 14.9 * MICRO,
            take: 9.7 * MICRO,
            touch: 10.0 * MICRO,
            claim: 9.3 * MICRO,
            forget: 8.2 * MICRO,
            follow: 9.3 * MICRO,
        }
    }

    /// Sixteen commands a packet, as replicas under load send them over their one connection; `take`
    /// and `claim` were not measured so and cost what their like does, and `follow` what it costs alone.
    pub fn pipelined() -> Self {
        Self {
            read: 0.8 * MICRO,
            write: 4.2 * MICRO,
            beside: 0.8 * MICRO,
            remember: 8.0 * MICRO,
            remember_in_all: 8.3 * MICRO,
            take: 2.2 * MICRO,
            touch: 2.2 * MICRO,
            claim: 0.9 * MICRO,
            forget: 0.9 * MICRO,
            follow: 9.3 * MICRO,
        }
    }

    /// `HSET` and `EXPIRE` in a transaction.
    fn transaction(&self) -> f64 {
        self.write + 3.0 * self.beside
    }

    /// `put_pending`, without the set of all.
    pub fn start(&self) -> f64 {
        self.transaction() + 2.0 * self.remember
    }

    /// `pending`, `take_pending`, `claim_assertion` and `insert`, without the set of all.
    pub fn finish(&self) -> f64 {
        self.read + self.take + 2.0 * self.forget + self.claim + 3.0 * self.remember + self.transaction()
    }
}

/// Bytes in Redis of a session: a hash of 1,000 bytes, two sets of one, a member of a set of many.
pub const REDIS_BYTES: f64 = 1_370.0 + 2.0 * 170.0 + 144.0;

/// The number in the row that begins with `row`, below the heading `column` of that table.
fn cell(page: &str, row: &str, column: &str) -> f64 {
    let found = page.lines().find(|line| line.starts_with(row)).expect("a row");
    let heads = page.lines().find(|line| line.starts_with('|') && of(line).any(|head| head == column));
    let place = of(heads.expect("a heading")).position(|head| head == column).expect("a column");
    of(found).nth(place).expect("a cell").parse().expect("a number")
}

fn of(line: &str) -> impl Iterator<Item = &str> {
    line.split('|').map(str::trim)
}

fn between(page: &str, before: &str, after: &str) -> f64 {
    let (_, rest) = page.split_once(before).expect("the words before it");
    rest.split_once(after).expect("the words after it").0.parse().expect("a number")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_found_by_its_row_and_its_heading() {
        let page = "| who | a | b |\n|---|---|---|\n| me | 1 | 2.5 |\n";
        assert_eq!((cell(page, "| me |", "a"), cell(page, "| me |", "b")), (1.0, 2.5));
    }

    #[test]
    fn the_pages_have_the_figures() {
        let costs = ReplicaCosts::measured();
        for time in [costs.verify, costs.open, costs.ask, costs.hit, costs.sign] {
            assert!(time > 1e-7 && time < 1e-3, "{time}");
        }
        assert!(costs.cached_bytes > 100.0);
    }
}
