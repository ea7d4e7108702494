//! The sections of the settings: for each its table of keys and what the values mean.

mod access;
mod hosts;
mod identity_headers;
mod identity_providers;
mod metadata_url;
mod redis;
mod routes;
mod server;
mod session;
mod single_logout;
mod sso_url;
pub(crate) mod tokens;
mod upstreams;

use std::path::PathBuf;

use saml_core::{AcsUrl, EntityId, IdError, ServiceProvider, SloUrl};

use crate::check::{self, Fault};
use crate::settings::{Origin, Settings};
use crate::source::Findings;
use crate::table::{Choices, Key, Kind, Place, Section, Table, seconds};

pub(crate) static ROOT: Table = Table {
    title: "Top level",
    about: "The file is one YAML map of these keys.",
    keys: &[
        Key::required(
            "public_url",
            Kind::Text,
            "the address that people type, such as `https://app.example.com`; ACS URL and entity ID come from it",
        ),
        Key::optional(
            "hosts",
            Kind::List(&Kind::Text),
            "that of `public_url` alone",
            "further addresses that people type, such as `https://admin.example.com`, under the one sign-in at `public_url`; hosts \
             of another name need `session.cookie_domain`",
        ),
        Key::optional("listen", Kind::Text, "`0.0.0.0:8080`", "IP address and port of the public listener"),
        Key::optional(
            "admin_listen",
            Kind::Text,
            "`127.0.0.1:9090`",
            "IP address and port of `/metrics`, `/healthz` and `/readyz`",
        ),
        Key::optional(
            "proxy_protocol",
            Kind::Boolean,
            "`false`",
            "connections to `listen` come from `trusted_proxies` alone, and each begins with a header of the PROXY protocol, version 1 \
             or 2, that says whose it is; others are closed",
        ),
        Key::optional(
            "trusted_proxies",
            Kind::List(&Kind::Text),
            "none",
            "addresses and networks of the proxies in front, such as `[10.0.0.0/8, 192.0.2.7]`: their `X-Forwarded-For` names the \
             client, and they may ask the verify endpoints",
        ),
        Key::optional("limits", Kind::Section(&server::LIMITS), "its defaults", "how much strangers may ask for"),
        Key::optional("prefix", Kind::Text, "`/saml`", "the path that our own endpoints lie under"),
        Key::optional("tls", Kind::Section(&server::TLS), "plain http", "TLS on the public listener"),
        Key::optional(
            "threads",
            Kind::Count { min: 1, max: 1024 },
            "the number of cores",
            "worker threads of the public listener",
        ),
        Key::optional(
            "sp_entity_id",
            Kind::Text,
            "`<public_url><prefix>/metadata`",
            "what IdPs know us as; JumpCloud: SP Entity ID",
        ),
        Key::optional(
            "clock_skew",
            Kind::Duration { min: seconds(0), max: seconds(300) },
            "`180s`",
            "how far our clock and the IdP's may differ, in whole seconds",
        ),
        Key::required(
            "identity_providers",
            Kind::Sections(&identity_providers::TABLE),
            "who signs people in; where there are several, each says for which e-mail domains it speaks, and rules say whose word counts",
        ),
        Key::optional(
            "login_page",
            Kind::Boolean,
            "`true`",
            "show the page with the login buttons; `false` goes straight to the IdP where there is one (and the fragment of the address, `#...`, is then lost)",
        ),
        Key::optional(
            "upstreams",
            Kind::Named(&upstreams::TABLE),
            "none, where other proxies reach the applications",
            "the applications, each under a name that routes use",
        ),
        Key::required(
            "routes",
            Kind::Sections(&routes::TABLE),
            "who may reach what, in order: the first match decides",
        ),
        Key::optional(
            "session",
            Kind::Section(&session::TABLE),
            "its defaults",
            "where logins are kept, and how long they last",
        ),
        Key::optional("provisioning", Kind::Section(&session::PROVISIONING), "its defaults", "which users exist"),
        Key::optional(
            "identity_headers",
            Kind::Section(&identity_headers::TABLE),
            "its defaults",
            "how the application learns who the user is",
        ),
        Key::optional(
            "keys_dir",
            Kind::File,
            "keys are made in memory",
            "the directory that `samlgate keys generate` writes to; its files must be readable by their owner alone",
        ),
        Key::optional(
            "replicas",
            Kind::Count { min: 1, max: 1000 },
            "not said",
            "how many processes serve this address; more than one need the store `redis`; `1` is asked for by settings that are safe \
             in one process alone",
        ),
        Key::optional(
            "second_opinion",
            Kind::Boolean,
            "`false`",
            "have a second verifier (samael, on libxml2 and xmlsec) judge each login that ours accepts, and refuse it where \
             they differ (it reads no Assertion whose NameID is empty, so such a login is refused); only in a build \
             with the feature `second-opinion`, and not with a decryption key",
        ),
        Key::optional(
            "control_socket",
            Kind::File,
            "no control API",
            "path of the Unix socket of the control API, at most 100 bytes; its directory must exist",
        ),
        Key::optional(
            "upgrade_socket",
            Kind::File,
            "no `samlgate run --upgrade`",
            "path of the Unix socket over which a new process takes the listeners over, at most 100 bytes; its directory must exist",
        ),
        Key::optional("log", Kind::Section(&server::LOG), "its defaults", "what is logged, and how"),
        Key::optional(
            "audit",
            Kind::Section(&server::AUDIT),
            "no audit log",
            "who signed in and out, and who was refused",
        ),
        Key::optional(
            "shutdown_delay",
            Kind::Duration { min: seconds(0), max: seconds(3600) },
            "`0s`",
            "how long after SIGTERM new connections are still taken while `/readyz` says no, so that a balancer has noticed",
        ),
        Key::optional(
            "shutdown_timeout",
            Kind::Duration { min: seconds(0), max: seconds(3600) },
            "`30s`",
            "how long requests in flight may take after that",
        ),
    ],
    later: &["control_token_file", "branding", "tracing", "otlp"],
};

/// A choice that the settings offer, by its word.
pub(crate) struct Word<T: 'static> {
    words: &'static Choices,
    meanings: &'static [T],
}

impl<T: Copy> Word<T> {
    fn meaning(&self, word: Option<&str>) -> Option<T> {
        let position = self.words.values.iter().position(|value| Some(*value) == word)?;
        self.meanings.get(position).copied()
    }
}

/// The settings; `None` only where a mistake was reported, here or by the check of the shape.
pub(crate) fn read(root: &Section<'_>, findings: &mut Findings) -> Option<Settings> {
    let public_url = root.text("public_url").and_then(|text| {
        let outcome = check::origin(text);
        accept(outcome, || root.place("public_url"), findings)
    });
    let hosts = hosts::read(root, public_url.as_ref(), findings);
    let prefix = server::prefix(root, findings);
    let (listen, admin_listen) = server::listeners(root, findings);
    let tls = server::tls(root, findings);
    let trusted_proxies = server::trusted_proxies(root, findings);
    let proxy_protocol = root.boolean("proxy_protocol").unwrap_or(false);
    if proxy_protocol && !root.has("trusted_proxies") {
        let cure = "write the addresses of the balancers under `trusted_proxies`";
        findings.refuse(
            root.place("proxy_protocol"),
            "stands without `trusted_proxies`, so that nobody could connect",
            cure,
        );
    }
    let service_provider =
        public_url.as_ref().and_then(|public_url| service_provider(root, public_url, &prefix, findings));
    let slo_url = public_url.as_ref().and_then(|public_url| {
        let outcome = SloUrl::parse(&format!("{public_url}{prefix}/slo")).map_err(Fault::from);
        accept(outcome, || root.place("public_url"), findings)
    });
    let keys_dir = server::keys_dir(root, findings);
    let second_opinion = server::second_opinion(root, keys_dir.as_deref(), findings);
    let control_socket = server::socket_file("control_socket", root, findings);
    let upgrade_socket = server::socket_file("upgrade_socket", root, findings);
    if control_socket.is_some() && control_socket == upgrade_socket {
        findings.refuse(root.place("upgrade_socket"), "is that of `control_socket`", "give each a path of its own");
    }
    let store = session::store(root);
    let replicas = session::replicas(root, store, findings);
    let around = identity_providers::Surroundings { keys_dir: keys_dir.as_deref(), store, replicas };
    let identity_providers = identity_providers::read(root, &around, findings);
    let upstreams = upstreams::read(root, findings);
    let idps = identity_providers::ids(root);
    let accepted: Vec<&Origin> = match (&public_url, &hosts) {
        (Some(public_url), Some(hosts)) => std::iter::once(public_url).chain(hosts).collect(),
        _ => Vec::new(),
    };
    let cookie_domain = hosts::cookie_domain(root, &accepted, findings);
    let surroundings = routes::Surroundings {
        accepted: &accepted,
        prefix: &prefix,
        upstreams: &upstreams,
        idps: &idps,
        has_askers: root.has("trusted_proxies"),
    };
    let routes = routes::read(root, &surroundings, findings);
    let session = session::read(root, store, keys_dir.as_deref(), cookie_domain, findings);
    let identity_headers = identity_headers::read(root, findings);
    Some(Settings {
        public_url: public_url?,
        hosts: hosts?,
        listen: listen?,
        admin_listen: admin_listen?,
        prefix,
        tls,
        proxy_protocol,
        trusted_proxies,
        limits: server::limits(root),
        threads: server::threads(root),
        service_provider: service_provider?,
        slo_url: slo_url?,
        identity_providers: identity_providers?,
        login_page: root.boolean("login_page").unwrap_or(true),
        upstreams,
        routes: routes?,
        session: session?,
        identity_headers,
        keys_dir,
        control_socket,
        upgrade_socket,
        second_opinion,
        log: server::log(root),
        audit: server::audit(root, findings),
        shutdown_delay: root.duration("shutdown_delay").unwrap_or_default(),
        shutdown_timeout: root.duration("shutdown_timeout").unwrap_or(seconds(30)),
    })
}

const DEFAULT_SKEW_SECONDS: u16 = 180;

fn service_provider(
    root: &Section<'_>,
    public_url: &Origin,
    prefix: &str,
    findings: &mut Findings,
) -> Option<ServiceProvider> {
    let skew_seconds = match root.duration("clock_skew") {
        None => DEFAULT_SKEW_SECONDS,
        Some(skew) => {
            if skew.subsec_nanos() != 0 {
                let problem = "is no whole number of seconds";
                findings.refuse(root.place("clock_skew"), problem, "write whole seconds, such as `clock_skew: 180s`");
            }
            u16::try_from(skew.as_secs()).unwrap_or(DEFAULT_SKEW_SECONDS)
        }
    };
    let default = format!("{public_url}{prefix}/metadata");
    let entity_id = EntityId::parse(root.text("sp_entity_id").unwrap_or(&default));
    let acs_url = AcsUrl::parse(&format!("{public_url}{prefix}/acs"));
    let entity_id = accept(entity_id.map_err(Fault::from), || root.place("sp_entity_id"), findings);
    let acs_url = accept(acs_url.map_err(Fault::from), || root.place("public_url"), findings);
    Some(ServiceProvider { entity_id: entity_id?, acs_url: acs_url?, skew_seconds })
}

/// The value, or its fault reported.
fn accept<T>(outcome: Result<T, Fault>, place: impl FnOnce() -> Place, findings: &mut Findings) -> Option<T> {
    match outcome {
        Ok(value) => Some(value),
        Err(Fault { problem, cure }) => {
            findings.refuse(place(), problem, cure);
            None
        }
    }
}

/// The file that `key` names; `None` where it names none, or the file's fault was reported.
fn file(
    section: &Section<'_>,
    key: &str,
    check: impl Fn(&PathBuf) -> Result<(), Fault>,
    findings: &mut Findings,
) -> Option<PathBuf> {
    let path = findings.file(section.text(key)?);
    accept(check(&path), || section.place(key), findings).map(|()| path)
}

/// The identifier that stands at `key`; `None` where nothing does, or its fault was reported.
fn parsed<T>(
    section: &Section<'_>,
    key: &str,
    parse: impl Fn(&str) -> Result<T, IdError>,
    findings: &mut Findings,
) -> Option<T> {
    accept(parse(section.text(key)?).map_err(Fault::from), || section.place(key), findings)
}
