//! Where a Monday morning meets its first limit, and what moves it: prints a table, and with `UPDATE_DOCS=1` writes
//! `docs/scale.md` and its plot.

use std::fmt::Write as _;
use std::path::Path;

use benches::storm::figures::{REDIS_BYTES, RedisCosts, ReplicaCosts};
use benches::storm::pending::{MAX_IN_ALL, MAX_PER_ADDRESS, People};
use benches::storm::{Outcome, Scenario, Use, run};

const USERS: [f64; 3] = [1e5, 1e6, 5e6];
const REPLICAS: [f64; 3] = [2.0, 10.0, 50.0];
const NODES: [f64; 3] = [1.0, 3.0, 6.0];

const COLUMNS: &str = "logins/s | replicas | Redis | Redis memory | replica memory | pending | one address | refused | wait | first limit |";

/// Refused sign-ins that anybody would notice.
const NOTICED: f64 = 0.001;
/// Users of one gateway that anybody may have.
const MOST_TRIED: f64 = 50e6;

fn main() {
    let grid = grid();
    let moved = moved();
    println!("{grid}\n{moved}");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::write(docs.join("storm.svg"), plot()).expect("the plot is written");
        std::fs::write(docs.join("scale.md"), page(&grid, &moved)).expect("the page is written");
    }
}

/// The one that the page is about.
fn base() -> Scenario {
    Scenario::of(5e6, 50.0, true, 1.0)
}

fn grid() -> String {
    let mut table = format!("| users | at | sticky | nodes | {COLUMNS}\n{}\n", rule(4));
    for users in USERS {
        for replicas in REPLICAS {
            for sticky in [true, false] {
                for nodes in NODES {
                    let outcome = run(&Scenario::of(users, replicas, sticky, nodes));
                    let kept = if sticky { "yes" } else { "no" };
                    let _ = writeln!(table, "| {users} | {replicas} | {kept} | {nodes} | {}", cells(&outcome));
                }
            }
        }
    }
    table
}

fn rule(first: usize) -> String {
    format!("|{}", "---|".repeat(first + COLUMNS.matches('|').count()))
}

fn cells(outcome: &Outcome) -> String {
    let mut cells = format!("{:.0} | ", outcome.logins);
    for Use { share, .. } in outcome.uses() {
        let _ = write!(cells, "{} | ", percent(share));
    }
    let first = outcome.first();
    let first = if first.share > 1.0 { format!("**{}**", first.what) } else { first.what.to_owned() };
    let refused = if outcome.refused > NOTICED { percent(outcome.refused) } else { "none".to_owned() };
    let _ = write!(cells, "{refused} | {} | {first} |", seconds(outcome.wait));
    cells
}

fn percent(share: f64) -> String {
    let digits = usize::from(share < 0.1);
    format!("{:.digits$} %", share * 100.0)
}

fn seconds(time: f64) -> String {
    if time < 0.001 {
        "< 1 ms".to_owned()
    } else if time < 1.0 {
        format!("{:.0} ms", time * 1e3)
    } else {
        format!("{time:.0} s")
    }
}

type Change = (&'static str, fn(&mut Scenario));

const CHANGES: &[Change] = &[
    ("as it is", |_| ()),
    ("everybody within half the time (deviation 10 min)", |it| it.spread = 600.0),
    ("everybody within twice the time (40 min)", |it| it.spread = 2_400.0),
    ("10 s at the identity provider", |it| it.people.away = 10.0),
    ("2 min at the identity provider", |it| it.people.away = 120.0),
    ("1 % give up", |it| it.people.given_up = 0.01),
    ("20 % give up", |it| it.people.given_up = 0.2),
    ("a bound of 500,000 on pending logins", |it| it.max_pending = 500_000.0),
    ("a tenth behind one address", |it| it.people.behind = 0.1),
    ("all behind one address, as behind a balancer that ends connections", |it| it.people.behind = 1.0),
    ("not sticky", |it| it.sticky = false),
    ("not sticky, three nodes", |it| (it.sticky, it.redis) = (false, 3.0)),
    ("not sticky, six nodes", |it| (it.sticky, it.redis) = (false, 6.0)),
    ("not sticky, sixteen commands a packet", |it| (it.sticky, it.redis_costs) = (false, RedisCosts::pipelined())),
    ("not sticky, idle limit 8 h", |it| (it.sticky, it.idle) = (false, 8.0 * 3_600.0)),
    ("not sticky, `max_sessions` 5,000,000", |it| (it.sticky, it.max_cached) = (false, 5e6)),
    ("not sticky, both", |it| (it.sticky, it.idle, it.max_cached) = (false, 8.0 * 3_600.0, 5e6)),
    ("idle limit 5 min", |it| it.idle = 300.0),
    ("three nodes", |it| it.redis = 3.0),
    ("six nodes", |it| it.redis = 6.0),
    ("sixteen commands a packet", |it| it.redis_costs = RedisCosts::pipelined()),
    ("10 requests a minute", |it| it.a_minute = 10.0),
    ("100 requests at once after the login", |it| it.first_requests = 100.0),
    ("a request costs three times as much", |it| it.costs.proxy *= 3.0),
    ("six handshakes a person", |it| it.handshakes = 6.0),
    ("TLS ends in front", |it| it.handshakes = 0.0),
    ("10 replicas", |it| it.replicas = 10.0),
    ("5 replicas", |it| it.replicas = 5.0),
];

fn moved() -> String {
    let mut table = format!("| what | {COLUMNS}\n{}\n", rule(1));
    for (name, change) in CHANGES {
        let mut scenario = base();
        change(&mut scenario);
        let _ = writeln!(table, "| {name} | {}", cells(&run(&scenario)));
    }
    table
}

/// The most users with which it holds.
fn most_users(change: fn(&mut Scenario), holds: fn(&Outcome) -> bool) -> String {
    let (mut low, mut high) = (0.0, MOST_TRIED);
    while high - low > 10_000.0 {
        let middle = f64::midpoint(low, high);
        let mut scenario = Scenario { users: middle, ..base() };
        change(&mut scenario);
        if holds(&run(&scenario)) { low = middle } else { high = middle }
    }
    let million = low / 1e6;
    if high < MOST_TRIED { format!("{million:.1} million") } else { format!("more than {million:.0} million") }
}

fn page(grid: &str, moved: &str) -> String {
    let base = base();
    let costs = ReplicaCosts::measured();
    let redis = RedisCosts::alone();
    let People { away, given_up, behind } = base.people;
    let us = |time: f64| format!("{:.1} us", time * 1e6);
    let mut page = String::from(
        "# 5 million people on a Monday morning: simulated\n\n\
         Written by `UPDATE_DOCS=1 cargo run -p benches --features scale --bin storm`. Nothing here was measured at that size: a program\n\
         counts, second by second from eight to ten, what people who sign in around nine ask of each part, with costs measured on one\n\
         machine and assumptions that are listed below. It shows which part fills first and by what order of magnitude.\n\n",
    );
    let _ = write!(
        page,
        "## The answer\n\nWith 50 replicas, sticky, and one Redis, each limit as if the others were not there:\n\n\
         - The bound on pending logins ({MAX_IN_ALL}) is reached first, with {} users: less by people at the identity provider than by\n\
         \x20 those who never come back, who count for 30 minutes. The oldest go first, so nobody who waits is hit until {} users; from\n\
         \x20 then on slow people are refused (`login_unknown`) and begin again.\n\
         - The bound on one address ({MAX_PER_ADDRESS}) is reached with {} users if {:.0} % come from one. If all do, with {}; people who wait are\n\
         \x20 refused from {} on.\n\
         - One Redis is full with {} users, or with {} if the balancer is not sticky: then each replica reads each session and tells when it\n\
         \x20 was seen. Its memory is full with {}.\n\
         - The processors of the replicas are full with {} users.\n\n\
         Behind a balancer that ends connections all do come from one address, its own, until `trusted_proxies` names it: for more than\n\
         a few hundred thousand users, name it. Then, in this order: keep browsers at a replica, more Redis, more replicas. The bound\n\
         in all is a constant.\n\n\
         ![use of each part over users](storm.svg)\n\n",
        most_users(|_| (), |it| it.pending.share < 1.0),
        most_users(|_| (), |it| it.refused < NOTICED),
        most_users(|_| (), |it| it.address.share < 1.0),
        behind * 100.0,
        most_users(|it| it.people.behind = 1.0, |it| it.address.share < 1.0),
        most_users(|it| it.people.behind = 1.0, |it| it.refused < NOTICED),
        most_users(|it| it.max_pending = f64::INFINITY, |it| it.redis.share < 1.0),
        most_users(|it| (it.sticky, it.max_pending) = (false, f64::INFINITY), |it| it.redis.share < 1.0),
        most_users(|it| it.max_pending = f64::INFINITY, |it| it.redis_memory.share < 1.0),
        most_users(|it| it.max_pending = f64::INFINITY, |it| it.replicas.share < 1.0),
    );
    let _ = write!(
        page,
        "## Users, replicas, balancer, nodes\n\nShares are of the busiest second; above 100 % more came than could be done. *Redis*: the busiest node. *Pending*: as if nothing\n\
         were dropped. *Refused*: of all sign-ins begun, those that came back to a login no longer known (*none*: less than {}). *Wait*: the most\n\
         that a sign-in waits for processors and Redis, without the network. Bold: it is too much.\n\n{grid}\n\
         ## What moves it\n\nOne thing at a time, from 5 million users, 50 replicas, sticky, one Redis.\n\n{moved}\n",
        percent(NOTICED)
    );
    let _ = write!(
        page,
        "## Costs\n\n| what | cost | from |\n|---|---|---|\n\
         | verification | {} | [verification-cost.md](verification-cost.md), 20 groups |\n\
         | a session into Redis, Redis with it | {} | [scale-measured.md](scale-measured.md), redis, 100000, *opened* |\n\
         | one command to Redis and back, Redis with it | {} | the same, *read* |\n\
         | a session from the cache | {}, {:.0} bytes | the same, *hit* and *bytes* |\n\
         | a request through bare Pingora | {} | measured once with Pingora 0.9, fat LTO, mimalloc: 1 kB, 64 connections, no TLS; not repeated by a bench here |\n\
         | an RSA-2048 signature of a handshake | {} | `benches/baselines/peers.md` |\n\
         | Redis: `HMGET`, `HSET`, `SET NX`, `ZREM` | {}, {}, {}, {} | `redis-benchmark -c 50`, Redis 7.0.15, loopback, its processor time |\n\
         | Redis: scripts `REMEMBER` (own set, set of all), `TAKE`, `TOUCH` | {}, {}, {}, {} | the same, with `EVALSHA` |\n\
         | Redis: a session | {REDIS_BYTES:.0} bytes | `used_memory` over 100,000 keys of each kind, a record of 1,000 bytes |\n\n\
         No script here repeats the `redis-benchmark` runs. Sixteen commands a packet: `TAKE` and `SET NX` were not measured so, and\n\
         take what a like command took; `XREAD` keeps its cost alone.\n\n",
        us(costs.verify),
        us(costs.open),
        us(costs.ask),
        us(costs.hit),
        costs.cached_bytes,
        us(costs.proxy),
        us(costs.sign),
        us(redis.read),
        us(redis.write),
        us(redis.claim),
        us(redis.forget),
        us(redis.remember),
        us(redis.remember_in_all),
        us(redis.take),
        us(redis.touch),
    );
    let _ = write!(
        page,
        "The machine of all of these: AMD EPYC, 2 cores, shared with what was measured.\n\n\
         A login is, as `gateway/src/session/redis/mod.rs` has it: `HSET` and `EXPIRE` in a transaction and `REMEMBER` for browser, address and all\n\
         when it begins; `HMGET`, `TAKE`, three `ZREM`, `SET NX`, `REMEMBER` for bucket, user and name and a transaction when it ends. Then one\n\
         `HMGET` at each replica that the session meets, one `TOUCH` a replica and tenth of the idle limit, and of each replica `XREAD` four times a\n\
         second ({} of one Redis for 50).\n\n",
        percent(50.0 * 4.0 * redis.follow)
    );
    let _ = write!(
        page,
        "## Assumptions\n\n| what | value | reason |\n|---|---|---|\n\
         | arrivals | a bell around nine, deviation {:.0} min | two thirds come between 8:40 and 9:20 |\n\
         | at the identity provider | {away:.0} s on average, exponential | a password and a second factor |\n\
         | never come back | {:.0} % | closed tabs, a page that asks twice; nobody measured it |\n\
         | from one address | {:.0} % | a large office behind one NAT |\n\
         | requests | {:.0} at once, then {} a minute until ten | a page with its parts, then work; an application that polls asks more |\n\
         | connections | {:.0} handshake with RSA-2048 a person, {} beside the signature | one HTTP/2 connection; resumption is not counted |\n\
         | cores of a replica | {} | what was measured has two |\n\
         | memory | {:.0} GB a replica, {:.0} GB a Redis | common sizes; a Redis that saves itself by fork wants up to twice what it holds |\n\
         | to begin a login | costs a replica what a session into Redis does | it writes about as much |\n\
         | replicas, nodes | share evenly | a real balancer is off by some per cent |\n\
         | `idle_timeout`, `max_sessions` | 1 h, 1,000,000 | the defaults |\n\n",
        base.spread / 60.0,
        given_up * 100.0,
        behind * 100.0,
        base.first_requests,
        base.a_minute,
        base.handshakes,
        us(base.handshake),
        base.cores,
        base.replica_memory / 1e9,
        base.redis_memory / 1e9,
    );
    page.push_str(
        "## What this is not\n\n\
         - No measurement. The network, the kernel's limits on connections, the application behind, and other machines are not in it.\n\
         - The identity provider is not in it. It sees each of these logins too, and may well be the first limit of all.\n\
         - Redis without replicas of its own, without TLS, without persistence. Each of them costs.\n\
         - Costs do not fall with load, except where the table says sixteen commands a packet. Real ones lie between.\n\
         - A cluster has one hot node: the set of all logins and the two streams are on one. The other keys of that node's share are counted\n\
         \x20 as everywhere.\n\
         - Nobody reloads a slow page. Above 100 % people do, commands time out (`session.redis.timeout`), and it becomes worse than shown.\n\
         - Above 100 % of pending logins nobody need be refused: *refused* says whether anybody was. Refused people begin again at once,\n\
         \x20 and that is where the logins a second above the arrivals come from.\n\
         - No revocations, no sign-outs, no kept forms (they have [bounds of their own](forms.md)), no identity JWTs.\n",
    );
    page
}

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
const MARGIN: f64 = 60.0;

/// Its name, its colour, what it is of, and how much that is used.
type Line<'a> = (&'static str, &'static str, &'a [Outcome], fn(&Outcome) -> f64);

/// The use of each part over users, to twice what there is.
fn plot() -> String {
    let x = |users: f64| MARGIN + users / 1e7 * (WIDTH - 2.0 * MARGIN);
    let y = |share: f64| HEIGHT - MARGIN - share.min(2.0) / 2.0 * (HEIGHT - 2.0 * MARGIN);
    let (bottom, right, full) = (HEIGHT - MARGIN, WIDTH - MARGIN, y(1.0));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
         <path d=\"M{MARGIN} {MARGIN}V{bottom}H{right}\" fill=\"none\" stroke=\"#555\"/>\n\
         <path d=\"M{MARGIN} {full}H{right}\" stroke=\"#555\" stroke-dasharray=\"4 4\"/>\n\
         <text x=\"{}\" y=\"{full}\" text-anchor=\"end\">100 %</text>\n\
         <text x=\"{MARGIN}\" y=\"{}\">use in the busiest second, 50 replicas, one Redis</text>\n",
        MARGIN - 6.0,
        MARGIN - 12.0
    );
    for million in (0..=10).step_by(2) {
        let at = x(f64::from(million) * 1e6);
        let _ = writeln!(
            svg,
            "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{million} million</text>",
            bottom + 20.0
        );
    }
    let users: Vec<f64> = (1..=20).map(|half| f64::from(half) * 5e5).collect();
    // Without the bound, whose refusals bring people back and with them more load.
    let of = |users: f64, sticky| Scenario { max_pending: f64::INFINITY, ..Scenario::of(users, 50.0, sticky, 1.0) };
    let outcomes = |sticky| users.iter().map(move |users| run(&of(*users, sticky)));
    let (kept, spread): (Vec<Outcome>, Vec<Outcome>) = (outcomes(true).collect(), outcomes(false).collect());
    let lines: [Line<'_>; 6] = [
        ("pending logins", "#d1242f", &kept, |it| it.most_pending / MAX_IN_ALL),
        ("pending logins, all of one address", "#e5534b", &kept, |it| it.most_pending / MAX_PER_ADDRESS),
        ("Redis, not sticky", "#bc4c00", &spread, |it| it.redis.share),
        ("Redis, sticky", "#1f6feb", &kept, |it| it.redis.share),
        ("memory of Redis", "#8250df", &kept, |it| it.redis_memory.share),
        ("processors of the replicas, sticky", "#1a7f37", &kept, |it| it.replicas.share),
    ];
    for (number, (name, colour, outcomes, share)) in lines.into_iter().enumerate() {
        let points: Vec<String> = users
            .iter()
            .zip(outcomes)
            .take_while(|(_, outcome)| share(outcome) <= 2.0)
            .map(|(users, outcome)| format!("{:.1} {:.1}", x(*users), y(share(outcome))))
            .collect();
        let origin = format!("{:.1} {:.1}", x(0.0), y(0.0));
        let path = std::iter::once(origin).chain(points).collect::<Vec<_>>().join("L");
        let _ = writeln!(svg, "<path d=\"M{path}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>");
        let top = MARGIN + 16.0 * (number as f64);
        let _ = writeln!(svg, "<text x=\"{}\" y=\"{top}\" text-anchor=\"end\" fill=\"{colour}\">{name}</text>", right);
    }
    svg.push_str("</svg>\n");
    svg
}
