//! Listeners, TLS files, prefix, threads, keys, the control socket and logs.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::thread;

use ipnet::IpNet;

use super::{Word, accept, file};
use crate::check;
use crate::settings::{AuditIdentity, AuditSettings, LogFormat, LogSettings, LoginLimits, TlsFiles};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Section, Table};

pub(crate) static TLS: Table = Table {
    title: "tls",
    about: "TLS on the public listener. Without it the listener speaks plain http, as where TLS ends in front.",
    keys: &[
        Key::required("certificate_file", Kind::File, "PEM: the server's certificate, then its intermediates"),
        Key::required("key_file", Kind::File, "PEM: the private key; a file that others can read is refused"),
    ],
    later: &[],
};

pub(crate) static LIMITS: Table = Table {
    title: "limits",
    about: "More is answered with 429 until the minute has room again. Responses of IdPs, and logout messages, are counted apart \
            from logins that are begun, up to the same numbers.",
    keys: &[
        Key::optional(
            "logins_per_address",
            Kind::Count { min: 1, max: 10_000_000 },
            "`600`",
            "logins begun in a minute by one IPv4 address, or one /64 of IPv6; behind a proxy that is not one of `trusted_proxies` \
             all come from its address",
        ),
        Key::optional("logins", Kind::Count { min: 1, max: 10_000_000 }, "`30000`", "logins begun in a minute in all"),
    ],
    later: &[],
};

pub(crate) static LOG: Table = Table {
    title: "log",
    about: "Logs go to standard error.",
    keys: &[
        Key::optional("level", Kind::Choice(&LEVELS), "`info`", "how much is logged"),
        Key::optional("format", Kind::Choice(FORMATS.words), "`json`", "one JSON object per line, or text for people"),
        Key::optional("access", Kind::Boolean, "`true`", "one line for each request"),
    ],
    later: &[],
};

pub(crate) static AUDIT: Table = Table {
    title: "audit",
    about: "Security events as lines of JSON, see docs/audit.md; apart from the log, for they are kept for longer.",
    keys: &[
        Key::required(
            "file",
            Kind::File,
            "where lines are appended; made where it is not there. `/dev/stderr` in a container",
        ),
        Key::optional(
            "identity",
            Kind::Choice(IDENTITIES.words),
            "`hash`",
            "how persons are named: `hash`, by the reference that the log has; `clear`, by unique id and e-mail address as well",
        ),
    ],
    later: &[],
};

static IDENTITIES: Word<AuditIdentity> = Word {
    words: &Choices { values: &["hash", "clear"], later: &[] },
    meanings: &[AuditIdentity::Hash, AuditIdentity::Clear],
};

static LEVELS: Choices = Choices { values: &["trace", "debug", "info", "warn", "error"], later: &[] };

static FORMATS: Word<LogFormat> =
    Word { words: &Choices { values: &["json", "text"], later: &[] }, meanings: &[LogFormat::Json, LogFormat::Text] };

const DEFAULT_LISTEN: &str = "0.0.0.0:8080";
const DEFAULT_ADMIN_LISTEN: &str = "127.0.0.1:9090";
const DEFAULT_PREFIX: &str = "/saml";

/// `listen` and `admin_listen`.
pub(crate) fn listeners(root: &Section<'_>, findings: &mut Findings) -> (Option<SocketAddr>, Option<SocketAddr>) {
    let mut read = |key, default| {
        let outcome = check::socket(root.text(key).unwrap_or(default));
        accept(outcome, || root.place(key), findings)
    };
    let listen = read("listen", DEFAULT_LISTEN);
    let admin_listen = read("admin_listen", DEFAULT_ADMIN_LISTEN);
    if let (Some(public), Some(admin)) = (listen, admin_listen)
        && collide(public, admin)
    {
        let key = if root.has("admin_listen") { "admin_listen" } else { "listen" };
        let problem = format!("is taken by both `listen` ({public}) and `admin_listen` ({admin})");
        findings.refuse(root.place(key), problem, "give the two listeners different ports");
    }
    (listen, admin_listen)
}

/// Whether binding one would keep the other from its address. Port 0 is another port each time.
fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let same_address = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() != 0 && a.port() == b.port() && same_address
}

pub(crate) fn prefix(root: &Section<'_>, findings: &mut Findings) -> String {
    let prefix = root.text("prefix").unwrap_or(DEFAULT_PREFIX);
    match accept(check::endpoint_prefix(prefix), || root.place("prefix"), findings) {
        Some(()) => prefix.to_owned(),
        None => DEFAULT_PREFIX.to_owned(),
    }
}

pub(crate) fn threads(root: &Section<'_>) -> usize {
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    root.count("threads").and_then(|count| usize::try_from(count).ok()).unwrap_or_else(cores)
}

pub(crate) fn tls(root: &Section<'_>, findings: &mut Findings) -> Option<TlsFiles> {
    if !root.has("tls") {
        return None;
    }
    let tls = root.section("tls");
    let certificate_file = file(&tls, "certificate_file", |path| check::tls_certificate(path), findings);
    let key_file = file(&tls, "key_file", |path| check::tls_key(path), findings);
    Some(TlsFiles { certificate_file: certificate_file?, key_file: key_file? })
}

/// `trusted_proxies`.
pub(crate) fn trusted_proxies(root: &Section<'_>, findings: &mut Findings) -> Vec<IpNet> {
    let mut networks = Vec::new();
    for (index, text) in root.texts("trusted_proxies") {
        let place = || root.place_in_list("trusted_proxies", index);
        let Some(network) = accept(check::network(text), place, findings) else { continue };
        if networks.contains(&network) {
            findings.refuse_twin(place());
        }
        if network.prefix_len() == 0 {
            let problem = "trusts everybody: any client can then say that it has another address";
            findings.warn(place(), problem, "name the addresses of your proxies");
        }
        networks.push(network);
    }
    networks
}

pub(crate) fn limits(root: &Section<'_>) -> LoginLimits {
    let limits = root.section("limits");
    let read = |key, default: NonZeroU32| {
        limits.count(key).and_then(|count| u32::try_from(count).ok()).and_then(NonZeroU32::new).unwrap_or(default)
    };
    LoginLimits {
        per_address: read("logins_per_address", const { NonZeroU32::new(600).unwrap() }),
        in_all: read("logins", const { NonZeroU32::new(30_000).unwrap() }),
    }
}

pub(crate) fn keys_dir(root: &Section<'_>, findings: &mut Findings) -> Option<PathBuf> {
    file(root, "keys_dir", |path| check::keys_dir(path), findings)
}

pub(crate) fn socket_file(key: &'static str, root: &Section<'_>, findings: &mut Findings) -> Option<PathBuf> {
    file(root, key, |path| check::socket_file(path), findings)
}

/// samael can decrypt neither what we can nor with our keys, so that such logins would all be refused.
pub(crate) fn second_opinion(root: &Section<'_>, keys_dir: Option<&Path>, findings: &mut Findings) -> bool {
    let wanted = root.boolean("second_opinion").unwrap_or(false);
    if wanted && !cfg!(feature = "second-opinion") {
        let cure = "build samlgate with `--features second-opinion` (it needs OpenSSL, libxml2 and xmlsec), or remove the line";
        findings.refuse(root.place("second_opinion"), "is not in this build", cure);
    }
    if wanted && keys_dir.is_some_and(check::holds_decryption_key) {
        let cure = "remove the files `sp-decryption.*` from `keys_dir` and have the IdP send assertions unencrypted, or remove the line";
        findings.refuse(root.place("second_opinion"), "stands beside a decryption key, and cannot decrypt", cure);
    }
    wanted
}

pub(crate) fn log(root: &Section<'_>) -> LogSettings {
    let log = root.section("log");
    LogSettings {
        level: log.choice("level").unwrap_or("info").to_owned(),
        format: FORMATS.meaning(log.choice("format")).unwrap_or(LogFormat::Json),
        access: log.boolean("access").unwrap_or(true),
    }
}

pub(crate) fn audit(root: &Section<'_>, findings: &mut Findings) -> Option<AuditSettings> {
    if !root.stands("audit") {
        return None;
    }
    let audit = root.section("audit");
    let identity = IDENTITIES.meaning(audit.choice("identity")).unwrap_or(AuditIdentity::Hash);
    let file = file(&audit, "file", |path| check::appended_file(path), findings)?;
    Some(AuditSettings { file, identity })
}

#[cfg(test)]
mod tests {
    use super::collide;

    #[test]
    fn listeners_collide_on_one_port_of_one_address() {
        for (a, b, expected) in [
            ("127.0.0.1:1", "127.0.0.1:1", true),
            ("0.0.0.0:1", "127.0.0.1:1", true),
            ("127.0.0.1:1", "127.0.0.2:1", false),
            ("127.0.0.1:1", "127.0.0.1:2", false),
            ("127.0.0.1:0", "127.0.0.1:0", false),
        ] {
            assert_eq!(collide(a.parse().unwrap(), b.parse().unwrap()), expected, "{a} {b}");
        }
    }
}
