//! Where logins are kept and how long they last, and which users exist.

use std::path::Path;
use std::time::Duration;

use super::{Word, file, redis};
use crate::check;
use crate::settings::{SessionSettings, StoreSettings};
use crate::source::Findings;
use crate::table::value::or;
use crate::table::{Choices, Key, Kind, Section, Table, seconds};

pub(crate) static TABLE: Table = Table {
    title: "session",
    about: "A session ends at the first of: `max_age`, `idle_timeout`, what the IdP says (SessionNotOnOrAfter), sign-out. \
            What is under way in its name ends with it: a WebSocket, a stream of events, a long transfer. The connection \
            closes (of HTTP/2, the stream), and a WebSocket gets no Close frame.",
    keys: &[
        Key::optional(
            "store",
            Kind::Choice(STORES.words),
            "`memory`",
            "where sessions are kept. `memory`: in this process, and they end with it; `redis`: in Redis or Valkey, shared by \
             all processes, which needs the section `redis` and a `keys_dir`; `sealed`: encrypted in cookies of their browsers, \
             which needs a `keys_dir` and no server",
        ),
        Key::optional(
            "max_age",
            Kind::Duration { min: seconds(60), max: seconds(30 * DAY) },
            "`8h`",
            "how long a login lasts at most",
        ),
        Key::optional(
            "idle_timeout",
            Kind::Duration { min: seconds(1), max: seconds(30 * DAY) },
            "`1h`, or `max_age` where that is shorter",
            "how long a login lasts without a request; at most `max_age`. What a browser sends over a WebSocket or in a long \
             upload counts, its pongs too; what it only receives does not",
        ),
        Key::optional(
            "cookie_domain",
            Kind::Text,
            "none: a browser sends the session's cookie to the host that set it, and to no other",
            "the domain whose hosts share the session, such as `example.com`: needed where `hosts` has hosts of another name than \
             that of `public_url`, which all lie under it. Each host under it gets the session's cookie, those that this gateway \
             does not stand before too: use a domain whose hosts are all yours",
        ),
        Key::optional(
            "max_sessions",
            Kind::Count { min: 1, max: 100_000_000 },
            "`1000000`",
            "how many sessions the memory store holds",
        ),
        Key::optional(
            "outage_limit",
            Kind::Duration { min: seconds(0), max: seconds(DAY) },
            "`15m`",
            "how long a session that this process knows lives on while the store does not answer",
        ),
        Key::optional(
            "max_per_user",
            Kind::Count { min: 1, max: 1_000_000 },
            "no limit",
            "how many sessions a user has at most; with one more login the oldest ends",
        ),
        Key::optional(
            "revocations_file",
            Kind::File,
            "none: what is revoked ends at the process that is told, until its end",
            "with `store: sealed`: a file with a line for each revocation, which every process reads within a second and \
             `samlgate sessions revoke` writes to",
        ),
        Key::optional("redis", Kind::Section(&redis::TABLE), "none; required with `store: redis`", "where Redis is"),
    ],
    later: &[],
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Store {
    Memory,
    Redis,
    Sealed,
}

static STORES: Word<Store> = Word {
    words: &Choices { values: &["memory", "redis", "sealed"], later: &[] },
    meanings: &[Store::Memory, Store::Redis, Store::Sealed],
};

pub(crate) static PROVISIONING: Table = Table {
    title: "provisioning",
    about: "Which users exist.",
    keys: &[Key::optional(
        "mode",
        Kind::Choice(&MODES),
        "`jit`",
        "`jit`: whoever the IdP signs in, from the moment of the login",
    )],
    later: &["users_file"],
};

static MODES: Choices = Choices { values: &["jit"], later: &["invite_only", "scim"] };

const DAY: u64 = 24 * 60 * 60;
const DEFAULT_MAX_AGE: Duration = seconds(8 * 60 * 60);
const DEFAULT_IDLE_TIMEOUT: Duration = seconds(60 * 60);
const DEFAULT_MAX_SESSIONS: u64 = 1_000_000;
const DEFAULT_OUTAGE_LIMIT: Duration = seconds(15 * 60);

/// `None` where no store is called so, which was reported.
pub(crate) fn store(root: &Section<'_>) -> Option<Store> {
    let session = root.section("session");
    if session.has("store") { STORES.meaning(session.choice("store")) } else { Some(Store::Memory) }
}

/// With the memory store each process has its own sessions, pending logins and claims.
pub(crate) fn replicas(root: &Section<'_>, store: Option<Store>, findings: &mut Findings) -> Option<u64> {
    let replicas = root.count("replicas")?;
    if replicas > 1 && store == Some(Store::Memory) {
        let problem = "is more than one, and the memory store serves one process";
        let cure = "write `store: redis` or `store: sealed` under `session`; or `replicas: 1`, and run one process";
        findings.refuse(root.place("replicas"), problem, cure);
    }
    Some(replicas)
}

/// `None` where something is wrong with the store, which was reported.
pub(crate) fn read(
    root: &Section<'_>,
    store: Option<Store>,
    keys_dir: Option<&Path>,
    cookie_domain: Option<String>,
    findings: &mut Findings,
) -> Option<SessionSettings> {
    let session = root.section("session");
    let max_age = session.duration("max_age");
    let max_age_is_known = max_age.is_some() || !session.has("max_age");
    let max_age = max_age.unwrap_or(DEFAULT_MAX_AGE);
    let idle_timeout = session.duration("idle_timeout").unwrap_or(DEFAULT_IDLE_TIMEOUT.min(max_age));
    if idle_timeout > max_age && max_age_is_known {
        let written = humantime::format_duration(max_age);
        let problem = format!("is longer than max_age ({written}): it would never end a session");
        findings.refuse(session.place("idle_timeout"), problem, "write at most max_age, or raise max_age");
    }
    if matches!(store, Some(Store::Redis | Store::Sealed)) {
        check_shared_keys(root, keys_dir, findings);
    }
    if store == Some(Store::Sealed) && session.has("max_per_user") {
        let problem = "is asked of the store `sealed`, which cannot count sessions: their browsers carry them";
        findings.refuse(session.place("max_per_user"), problem, "remove it, or write `store: redis`");
    }
    Some(SessionSettings {
        store: store_settings(&session, store, findings)?,
        max_age,
        idle_timeout,
        max_sessions: session.count("max_sessions").unwrap_or(DEFAULT_MAX_SESSIONS),
        outage_limit: session.duration("outage_limit").unwrap_or(DEFAULT_OUTAGE_LIMIT),
        cookie_domain,
        max_per_user: session.count("max_per_user"),
    })
}

/// What one process wrote to the store with a key of its own no other could read, nor it itself after a restart.
fn check_shared_keys(root: &Section<'_>, keys_dir: Option<&Path>, findings: &mut Findings) {
    if keys_dir.is_none() && root.has("keys_dir") {
        return;
    }
    let missing = check::missing_shared_keys(keys_dir);
    if !missing.is_empty() {
        let problem = format!("asks for keys that all processes share, and there is no {} in `keys_dir`", or(&missing));
        let cure =
            "run `samlgate keys generate --dir keys`, write `keys_dir: keys`, and give every process the same files";
        findings.refuse(root.section("session").place("store"), problem, cure);
    }
}

fn store_settings(session: &Section<'_>, store: Option<Store>, findings: &mut Findings) -> Option<StoreSettings> {
    let redis = session.section("redis");
    let revocations_file = file(session, "revocations_file", |path| check::revocations_file(path), findings);
    if session.has("revocations_file") && matches!(store, Some(Store::Memory | Store::Redis)) {
        let problem = "stands beside a store that ends sessions itself, and would be ignored";
        findings.refuse(session.place("revocations_file"), problem, "write `store: sealed`, or remove it");
    }
    match (store, session.has("redis")) {
        (Some(Store::Memory), false) => Some(StoreSettings::Memory),
        (Some(Store::Sealed), false) => Some(StoreSettings::Sealed { revocations_file }),
        (Some(Store::Memory | Store::Sealed), true) => {
            let problem = "stands beside another store, and would be ignored";
            findings.refuse(redis.itself(), problem, "write `store: redis`, or remove it");
            None
        }
        (Some(Store::Redis), false) => {
            let cure = "add it: `redis: { servers: [\"10.0.0.1:6379\"] }`; or write `store: memory`";
            findings.refuse(redis.itself(), "is missing", cure);
            None
        }
        (Some(Store::Redis) | None, true) => redis::read(&redis, findings).map(StoreSettings::Redis),
        (None, false) => None,
    }
}
