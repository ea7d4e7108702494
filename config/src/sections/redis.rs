//! The Redis or Valkey that sessions are kept in.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Word, accept, file};
use crate::check::{self, Fault};
use crate::settings::{RedisServer, RedisSettings, RedisTls, RedisTopology};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Place, Section, Table, seconds};

pub(super) static TABLE: Table = Table {
    title: "session.redis",
    about: "Redis or Valkey, for `store: redis`. What a session holds is encrypted before it goes there.",
    keys: &[
        Key::optional(
            "mode",
            Kind::Choice(MODES.words),
            "`single`",
            "what `servers` are: one server; sentinels, which say who the master is; or nodes of a cluster, which name the others",
        ),
        Key::required(
            "servers",
            Kind::List(&Kind::Text),
            "`host:port` of each; exactly one with `mode: single`; names are resolved when a connection is made",
        ),
        Key::optional(
            "master_name",
            Kind::Text,
            "none; required with `mode: sentinel`",
            "what the sentinels call the master, such as `mymaster`",
        ),
        Key::optional(
            "database",
            Kind::Count { min: 0, max: 1_000_000 },
            "`0`",
            "number of the database; a cluster has `0` alone",
        ),
        Key::optional("username", Kind::Text, "the user `default`", "the ACL user; needs `password_file`"),
        Key::optional(
            PASSWORD_FILE,
            Kind::File,
            "no password",
            "a file with the password on its one line; a file that others can read is refused",
        ),
        Key::optional(
            "sentinel_username",
            Kind::Text,
            "the user `default`",
            "the ACL user at the sentinels; needs `sentinel_password_file`",
        ),
        Key::optional(
            SENTINEL_PASSWORD_FILE,
            Kind::File,
            "no password",
            "the password for the sentinels, which have their own",
        ),
        Key::optional("tls", Kind::Boolean, "`false`", "TLS to the servers, and to the sentinels"),
        Key::optional(
            "ca_file",
            Kind::File,
            "the authorities that this system trusts",
            "PEM of the only authorities that may have issued the servers' certificates; needs `tls: true`",
        ),
        Key::optional(
            "key_prefix",
            Kind::Text,
            "`samlgate`",
            "what all keys begin with: letters, digits, `_`, `.`, `:` and `-`, at most 64",
        ),
        Key::optional(
            "timeout",
            Kind::Duration { min: Duration::from_millis(50), max: seconds(30) },
            "`1s`",
            "how long one answer may take",
        ),
    ],
    later: &[],
};

const PASSWORD_FILE: &str = "password_file";
const SENTINEL_PASSWORD_FILE: &str = "sentinel_password_file";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Single,
    Sentinel,
    Cluster,
}

static MODES: Word<Mode> = Word {
    words: &Choices { values: &["single", "sentinel", "cluster"], later: &[] },
    meanings: &[Mode::Single, Mode::Sentinel, Mode::Cluster],
};

const DEFAULT_KEY_PREFIX: &str = "samlgate";
const DEFAULT_TIMEOUT: Duration = seconds(1);

/// `None` where something is wrong with it, which was reported.
pub(super) fn read(redis: &Section<'_>, findings: &mut Findings) -> Option<RedisSettings> {
    let mode = if redis.has("mode") { MODES.meaning(redis.choice("mode")) } else { Some(Mode::Single) };
    let servers = servers(redis, mode, findings);
    let topology = topology(redis, mode, findings);
    let (username, password_file) = account(redis, "username", PASSWORD_FILE, findings);
    warn_of_clear_text(redis, &servers, findings);
    Some(RedisSettings {
        topology: topology?,
        servers,
        database: database(redis, mode, findings),
        username,
        password_file,
        tls: tls(redis, findings),
        key_prefix: key_prefix(redis, findings),
        timeout: redis.duration("timeout").unwrap_or(DEFAULT_TIMEOUT),
    })
}

/// The servers as far as they can be read.
fn servers(redis: &Section<'_>, mode: Option<Mode>, findings: &mut Findings) -> Vec<RedisServer> {
    let usual_port = if mode == Some(Mode::Sentinel) { 26379 } else { 6379 };
    let texts = redis.texts("servers");
    if mode == Some(Mode::Single) && texts.len() > 1 {
        let problem = format!("names {} servers, and `mode: single` is one", texts.len());
        let cure = "keep one of them; or write `mode: sentinel` or `mode: cluster`, whichever they are";
        findings.refuse(redis.place("servers"), problem, cure);
    }
    let mut servers = Vec::new();
    for (index, text) in texts {
        let place = || {
            let place = redis.place_in_list("servers", index);
            // What stands before an `@` is a password, and an address without a scheme does not look like it.
            if text.contains('@') { Place { value: None, ..place } } else { place }
        };
        let Some(server) = accept(check::redis_server(text, usual_port), place, findings) else { continue };
        if servers.contains(&server) {
            findings.refuse_twin(place());
        }
        servers.push(server);
    }
    servers
}

const OF_SENTINELS: [&str; 3] = ["master_name", "sentinel_username", SENTINEL_PASSWORD_FILE];

fn topology(redis: &Section<'_>, mode: Option<Mode>, findings: &mut Findings) -> Option<RedisTopology> {
    let mode = mode?;
    if mode == Mode::Sentinel {
        return sentinel(redis, findings);
    }
    for key in OF_SENTINELS.into_iter().filter(|key| redis.has(key)) {
        let problem = "has a meaning only with `mode: sentinel`";
        findings.refuse(redis.place(key), problem, "remove it; or write `mode: sentinel`, if `servers` are sentinels");
    }
    Some(if mode == Mode::Cluster { RedisTopology::Cluster } else { RedisTopology::Single })
}

fn sentinel(redis: &Section<'_>, findings: &mut Findings) -> Option<RedisTopology> {
    if !redis.has("master_name") {
        let cure = "add it: the name in the sentinels' own settings, such as `mymaster` of `sentinel monitor mymaster`";
        findings.refuse(redis.place("master_name"), "is missing", cure);
    }
    let (username, password_file) = account(redis, "sentinel_username", SENTINEL_PASSWORD_FILE, findings);
    Some(RedisTopology::Sentinel { master_name: redis.text("master_name")?.to_owned(), username, password_file })
}

/// Who we are there. A name without a password would be tried and refused at each connection.
fn account(
    redis: &Section<'_>,
    username: &str,
    password_file: &str,
    findings: &mut Findings,
) -> (Option<String>, Option<PathBuf>) {
    if redis.has(username) && !redis.has(password_file) {
        let problem = format!("stands without `{password_file}`");
        let cure = format!("write `{password_file}: redis.password`, a file with the user's password, or remove it");
        findings.refuse(redis.place(username), problem, cure);
    }
    let password_file = file(redis, password_file, |path| check::password(path), findings);
    (redis.text(username).map(str::to_owned), password_file)
}

fn database(redis: &Section<'_>, mode: Option<Mode>, findings: &mut Findings) -> u32 {
    let database = redis.count("database").and_then(|number| u32::try_from(number).ok()).unwrap_or(0);
    if database != 0 && mode == Some(Mode::Cluster) {
        let cure = "remove it; `key_prefix` keeps the keys of several applications apart";
        findings.refuse(redis.place("database"), "is not 0, and a cluster has no other", cure);
    }
    database
}

fn tls(redis: &Section<'_>, findings: &mut Findings) -> Option<RedisTls> {
    if is_plain(redis) && redis.has("ca_file") {
        let problem = "has a meaning only beside `tls: true`";
        findings.refuse(redis.place("ca_file"), problem, "write `tls: true`, or remove it");
    }
    let wanted = redis.boolean("tls") == Some(true);
    wanted.then(|| RedisTls { ca_file: file(redis, "ca_file", |path| check::authorities(path), findings) })
}

/// Neither true nor a mistake.
fn is_plain(redis: &Section<'_>) -> bool {
    !redis.has("tls") || redis.boolean("tls") == Some(false)
}

fn warn_of_clear_text(redis: &Section<'_>, servers: &[RedisServer], findings: &mut Findings) {
    let password = [PASSWORD_FILE, SENTINEL_PASSWORD_FILE].into_iter().find(|key| redis.has(key));
    if let Some(key) = password
        && is_plain(redis)
        && servers.iter().any(|server| !is_loopback(server))
    {
        let problem =
            "the password crosses the network in clear: whoever sits between can sign in there and end every session";
        findings.warn(redis.place(key), problem, "write `tls: true`, and have the servers speak TLS");
    }
}

fn is_loopback(server: &RedisServer) -> bool {
    server.host == "localhost" || server.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn key_prefix(redis: &Section<'_>, findings: &mut Findings) -> String {
    let prefix = redis.text("key_prefix").unwrap_or(DEFAULT_KEY_PREFIX);
    accept(check_key_prefix(prefix), || redis.place("key_prefix"), findings);
    prefix.to_owned()
}

const MAX_KEY_PREFIX_BYTES: usize = 64;

/// Braces would put all keys on one node of a cluster.
fn check_key_prefix(prefix: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
    if prefix.bytes().all(plain) && (1..=MAX_KEY_PREFIX_BYTES).contains(&prefix.len()) {
        return Ok(());
    }
    let problem = "is not made of letters, digits, `_`, `.`, `:` and `-`, at most 64";
    Err(Fault::new(problem, "choose a short name, such as `key_prefix: samlgate`"))
}
