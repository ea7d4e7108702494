//! Settings and sessions for the unit tests of this crate.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use config::{
    Access, Allow, Binding, Button, ExpiredCertificates, HeaderPreset, IdentityHeaders, IdentityProvider, LogFormat,
    LogSettings, LoginLimits, Machine, Origin, PathMatch, RedisServer, RedisSettings, RedisTopology, Route,
    RouteLimits, Scheme, SessionSettings, Settings, SingleLogout, StoreSettings, Timeouts, Trust,
};
use http::{HeaderMap, HeaderName, HeaderValue};
use saml_core::{AcsUrl, Certificate, ClaimNames, EntityId, IdpId, ServiceProvider, Sign, SloUrl, SsoUrl, Timestamp};

use crate::decide::hash;
use crate::session::{Session, SessionRecord, contract};

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0)
}

/// `https://app.example.com`, IdPs `jumpcloud` and `okta`, no routes.
pub(crate) fn settings() -> Settings {
    Settings {
        public_url: Origin { scheme: Scheme::Https, authority: "app.example.com".to_owned() },
        hosts: Vec::new(),
        listen: ([127, 0, 0, 1], 0).into(),
        admin_listen: ([127, 0, 0, 1], 0).into(),
        prefix: "/saml".to_owned(),
        tls: None,
        trusted_proxies: Vec::new(),
        limits: LoginLimits { per_address: NonZeroU32::new(600).unwrap(), in_all: NonZeroU32::new(30_000).unwrap() },
        threads: 1,
        service_provider: ServiceProvider {
            entity_id: EntityId::parse("https://app.example.com/saml/metadata").unwrap(),
            acs_url: AcsUrl::parse("https://app.example.com/saml/acs").unwrap(),
            skew_seconds: 60,
        },
        slo_url: SloUrl::parse("https://app.example.com/saml/slo").unwrap(),
        identity_providers: vec![identity_provider("jumpcloud"), identity_provider("okta")],
        login_page: true,
        upstreams: Vec::new(),
        routes: Vec::new(),
        session: SessionSettings {
            store: StoreSettings::Memory,
            max_age: Duration::from_secs(28_800),
            idle_timeout: Duration::from_secs(3_600),
            max_sessions: 1_000,
            outage_limit: Duration::from_secs(900),
            cookie_domain: None,
            max_per_user: None,
        },
        identity_headers: IdentityHeaders {
            preset: HeaderPreset::XForwarded,
            set: Vec::new(),
            groups_filter: Vec::new(),
        },
        keys_dir: None,
        control_socket: None,
        second_opinion: false,
        log: LogSettings { level: "info".to_owned(), format: LogFormat::Json, access: true },
        upgrade_socket: None,
        proxy_protocol: false,
        audit: None,
        shutdown_delay: Duration::ZERO,
        shutdown_timeout: Duration::from_secs(30),
    }
}

fn identity_provider(id: &str) -> IdentityProvider {
    let made = rcgen::generate_simple_self_signed(vec!["idp.example".to_owned()]).unwrap();
    let certificates = Certificate::parse_all(made.cert.pem().as_bytes()).unwrap();
    IdentityProvider {
        id: idp(id),
        entity_id: EntityId::parse(id).unwrap(),
        trust: Trust::Pinned { certificates, sso_url: SsoUrl::parse("https://sso.example/saml2/app").unwrap() },
        sign: Sign::AssertionAndResponse,
        claims: ClaimNames::default(),
        email_domains: Vec::new(),
        reserved: Vec::new(),
        expired_certificates: ExpiredCertificates::Accept,
        sign_requests: false,
        force_authn: false,
        allow_idp_initiated: false,
        single_logout: SingleLogout::Off,
        binding: Binding::Redirect,
        button: Button { text: "Login".to_owned(), image_url: None },
    }
}

pub(crate) fn idp(id: &str) -> IdpId {
    IdpId::parse(id).unwrap()
}

pub(crate) fn route(path: PathMatch, access: Access) -> Route {
    Route {
        id: String::new(),
        host: None,
        path,
        methods: Vec::new(),
        access,
        upstream: Some(0),
        forwards_preflights: false,
        machines: Vec::new(),
        api: false,
        host_header: None,
        identity_jwt: None,
        rewrite: None,
        limits: RouteLimits::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
        },
    }
}

/// Until second 1,000.
pub(crate) fn machine(name: &str, token: &[u8], groups: &[&str]) -> Machine {
    let groups = groups.iter().map(|group| (*group).to_owned()).collect();
    Machine { name: name.to_owned(), token: hash(token), groups, expires: at(1_000) }
}

pub(crate) fn prefix(path: &str) -> PathMatch {
    PathMatch::Prefix(path.to_owned())
}

pub(crate) fn groups(names: &[&str]) -> Access {
    Access::Allow(Allow {
        idps: vec![idp("jumpcloud")],
        groups: names.iter().map(|name| (*name).to_owned()).collect(),
        ..Allow::default()
    })
}

/// A session from second 0 to 10,000 whose record is changed first.
pub(crate) fn session(change: impl FnOnce(&mut SessionRecord)) -> Arc<Session> {
    let mut record = contract::record(0, 10_000);
    change(&mut record);
    Arc::new(Session::new(contract::ticket().key(), Arc::new(record), at(0)))
}

/// Lower-case names and their values.
pub(crate) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let header =
        |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    pairs.iter().map(header).collect()
}

/// A Redis that nobody asks anything.
pub(crate) fn redis() -> RedisSettings {
    RedisSettings {
        topology: RedisTopology::Single,
        servers: vec![RedisServer { host: "127.0.0.1".to_owned(), port: 6379 }],
        database: 0,
        username: None,
        password_file: None,
        tls: None,
        key_prefix: "samlgate".to_owned(),
        timeout: Duration::from_secs(1),
    }
}
