//! How long logins last, and which users exist.

use std::time::Duration;

use crate::settings::SessionSettings;
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table, seconds};

pub(crate) static TABLE: Table = Table {
    title: "session",
    about: "A session ends at the first of: `max_age`, `idle_timeout`, what the IdP says (SessionNotOnOrAfter), sign-out.",
    keys: &[
        Key::optional(
            "store",
            Kind::Choice(&STORES),
            "`memory`",
            "where sessions are kept: in this process; they end with it",
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
            "how long a login lasts without a request; at most `max_age`",
        ),
        Key::optional(
            "max_sessions",
            Kind::Count { min: 1, max: 100_000_000 },
            "`1000000`",
            "how many sessions the memory store holds",
        ),
    ],
    later: &["cookie_domain", "outage_limit", "redis", "sealed"],
};

static STORES: Choices = Choices { values: &["memory"], later: &["redis", "sealed"] };

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

/// With the memory store each process has its own sessions, pending logins and claims.
pub(crate) fn replicas(root: &Section<'_>, findings: &mut Findings) -> Option<u64> {
    let replicas = root.count("replicas")?;
    if replicas > 1 {
        let problem =
            "is more than one, and the memory store serves one process; shared stores are not in this version";
        findings.refuse(root.place("replicas"), problem, "write `replicas: 1`, and run one process");
    }
    Some(replicas)
}

pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> SessionSettings {
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
    SessionSettings {
        max_age,
        idle_timeout,
        max_sessions: session.count("max_sessions").unwrap_or(DEFAULT_MAX_SESSIONS),
    }
}
