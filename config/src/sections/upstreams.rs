//! The applications behind us.

use std::net::IpAddr;
use std::time::Duration;

use super::{accept, file};
use crate::check;
use crate::settings::{HealthCheck, ServerAddress, TlsFiles, Upstream, UpstreamTls};
use crate::source::Findings;
use crate::table::{Key, Kind, Section, Table, seconds};

pub(crate) static TABLE: Table = Table {
    title: "upstreams.<name>",
    about: "An application. Its name appears in logs and metrics: letters, digits, `-`, `_` and `.`, at most 64.",
    keys: &[
        Key::required(
            "servers",
            Kind::List(&Kind::Text),
            "`host:port` of each server; names are looked up again every five seconds",
        ),
        Key::optional("tls", Kind::Section(&TLS), "plain http", "TLS to the servers; `tls: {}` takes every default"),
        Key::optional(
            "http2",
            Kind::Boolean,
            "`false`: HTTP/1.1",
            "HTTP/2 to the servers, as gRPC needs it: with `tls` where the server takes it (ALPN), without it from the first byte \
             (prior knowledge); WebSockets go by HTTP/1.1 all the same",
        ),
        Key::optional(
            "health_check",
            Kind::Section(&HEALTH_CHECK),
            "none: an address is left out for five seconds after a connection failed",
            "ask each server again and again whether it is well, and leave out those that are not while there are others",
        ),
    ],
    later: &[],
};

static HEALTH_CHECK: Table = Table {
    title: "upstreams.<name>.health_check",
    about: "A GET to each address of each server, by the protocol of the upstream. Well is who answers with 200 to 399. Servers count \
            as well until they were found not to be.",
    keys: &[
        Key::required("path", Kind::Text, "the path that is asked for, with its query if it has one"),
        Key::optional("host_header", Kind::Text, "the server as `servers` writes it", "the Host of the check"),
        Key::optional("interval", EVERY, "`5s`", "between two checks"),
        Key::optional("timeout", EVERY, "`2s`", "for the connection and the head of the answer together"),
        Key::optional("unhealthy_after", TIMES, "`3`", "failures in a row after which a server is left out"),
        Key::optional("healthy_after", TIMES, "`2`", "successes in a row after which it takes requests again"),
    ],
    later: &[],
};

const EVERY: Kind = Kind::Duration { min: Duration::from_millis(100), max: seconds(60 * 60) };
const TIMES: Kind = Kind::Count { min: 1, max: 1000 };

static TLS: Table = Table {
    title: "upstreams.<name>.tls",
    about: "TLS 1.2 or 1.3 to the servers. The certificate of each, its dates and its name are always verified; nothing turns \
            that off.",
    keys: &[
        Key::optional(
            "server_name",
            Kind::Text,
            "the host of each server, as `servers` writes it",
            "the DNS name or IP address that the certificates of all servers must hold",
        ),
        Key::optional(
            "ca_file",
            Kind::File,
            "the authorities that this system trusts",
            "PEM of the only authorities that may have issued the servers' certificates",
        ),
        Key::optional(
            CLIENT_CERTIFICATE,
            Kind::File,
            "we show none",
            "PEM: the certificate that we show, then its intermediates; needs `client_key_file`",
        ),
        Key::optional(CLIENT_KEY, Kind::File, "none", "PEM: its private key; a file that others can read is refused"),
    ],
    later: &[],
};

const CLIENT_CERTIFICATE: &str = "client_certificate_file";
const CLIENT_KEY: &str = "client_key_file";

/// Every upstream that has a name, its servers as far as they can be read: routes find it either way.
pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> Vec<Upstream> {
    root.named("upstreams").into_iter().map(|(name, section)| upstream(name, &section, findings)).collect()
}

const MAX_NAME_BYTES: usize = 64;

fn upstream(name: &str, section: &Section<'_>, findings: &mut Findings) -> Upstream {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(plain) {
        let problem = "has a name that is not made of letters, digits, `-`, `_` and `.`, at most 64";
        findings.refuse(section.itself(), problem, "choose a short name, such as `app`, here and in the routes");
    }
    let mut servers = Vec::new();
    for (index, text) in section.texts("servers") {
        let place = || section.place_in_list("servers", index);
        let Some(server) = accept(check::server(text), place, findings) else { continue };
        if servers.contains(&server) {
            findings.refuse_twin(place());
        }
        servers.push(server);
    }
    let tls = tls(section, &servers, findings);
    Upstream {
        name: name.to_owned(),
        servers,
        tls,
        http2: section.boolean("http2").unwrap_or(false),
        health_check: health_check(section, findings),
    }
}

fn health_check(upstream: &Section<'_>, findings: &mut Findings) -> Option<HealthCheck> {
    if !upstream.stands("health_check") {
        return None;
    }
    let check = upstream.section("health_check");
    let path = check.text("path").and_then(|path| accept(check::health_path(path), || check.place("path"), findings));
    let host_header = check
        .text("host_header")
        .and_then(|text| accept(check::authority(text), || check.place("host_header"), findings));
    let times = |key, default| check.count(key).and_then(|count| u32::try_from(count).ok()).unwrap_or(default);
    Some(HealthCheck {
        path: path?.to_owned(),
        host_header,
        interval: check.duration("interval").unwrap_or(seconds(5)),
        timeout: check.duration("timeout").unwrap_or(seconds(2)),
        unhealthy_after: times("unhealthy_after", 3),
        healthy_after: times("healthy_after", 2),
    })
}

/// `tls:` with nothing behind it is TLS with every default, and never plain http.
fn tls(upstream: &Section<'_>, servers: &[ServerAddress], findings: &mut Findings) -> Option<UpstreamTls> {
    if !upstream.stands("tls") {
        return None;
    }
    let tls = upstream.section("tls");
    let server_name = tls
        .text("server_name")
        .and_then(|name| accept(check::certificate_name(name), || tls.place("server_name"), findings));
    if !tls.has("server_name") {
        refuse_unverifiable_hosts(&tls, servers, findings);
    }
    Some(UpstreamTls {
        server_name,
        ca_file: file(&tls, "ca_file", |path| check::authorities(path), findings),
        client: client(&tls, findings),
    })
}

/// Names that a certificate cannot hold, or that would be verified as another.
fn refuse_unverifiable_hosts(tls: &Section<'_>, servers: &[ServerAddress], findings: &mut Findings) {
    let is_verifiable = |host: &str| host.parse::<IpAddr>().is_ok() || check::certificate_name(host).is_ok();
    if let Some(server) = servers.iter().find(|server| !is_verifiable(&server.host)) {
        let problem = format!("is missing, and no certificate holds the name {}", server.host);
        findings.refuse(tls.place("server_name"), problem, "write the name that the servers' certificates hold");
    }
}

/// A key without its certificate, or the other way round, would be left out in silence.
fn client(tls: &Section<'_>, findings: &mut Findings) -> Option<TlsFiles> {
    for (key, other) in [(CLIENT_CERTIFICATE, CLIENT_KEY), (CLIENT_KEY, CLIENT_CERTIFICATE)] {
        if tls.has(key) && !tls.has(other) {
            let cure = format!("write `{other}` as well, or remove it");
            findings.refuse(tls.place(key), format!("stands without `{other}`"), cure);
        }
    }
    let certificate_file = file(tls, CLIENT_CERTIFICATE, |path| check::client_certificate(path), findings);
    let key_file = file(tls, CLIENT_KEY, |path| check::tls_key(path), findings);
    Some(TlsFiles { certificate_file: certificate_file?, key_file: key_file? })
}
