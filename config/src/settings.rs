//! The checked settings: what the rest of samlgate may rely on without looking again.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use saml_core::{
    Certificate, ClaimNames, EntityId, IdpId, IdpMetadata, IdpSloUrl, NewKeys, ServiceProvider, Sign, SloUrl, SsoUrl,
    Timestamp, TrustError, TrustedIdp,
};
use url::Url;

/// Scheme and authority of an address that browsers use, such as `https://app.example.com`.
/// The authority is lower case and carries a port only where it is not the scheme's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    pub scheme: Scheme,
    pub authority: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Http,
    Https,
}

impl Origin {
    /// The authority without its port.
    pub fn host_name(&self) -> &str {
        self.authority
            .rsplit_once(':')
            .filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()))
            .map_or(&self.authority, |(name, _)| name)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::Http => "http",
            Scheme::Https => "https",
        };
        write!(f, "{scheme}://{}", self.authority)
    }
}

/// All settings, checked. See `docs/configuration.md` for the file that they come from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `public_url`: the address that people type; ACS URL and entity ID come from it and from nothing else.
    pub public_url: Origin,
    /// `hosts`: the other origins that are accepted; of the scheme of `public_url`, and each once.
    pub hosts: Vec<Origin>,
    /// `listen`: the public listener.
    pub listen: SocketAddr,
    /// `admin_listen`: `/metrics`, `/healthz`, `/readyz` and nothing else.
    pub admin_listen: SocketAddr,
    /// `prefix`: where our endpoints lie, `/saml` by default; begins with `/`, does not end with one.
    pub prefix: String,
    /// `tls`: certificate and key of the public listener.
    pub tls: Option<TlsFiles>,
    /// `proxy_protocol`: connections come from `trusted_proxies` alone, and each says first whose it is.
    pub proxy_protocol: bool,
    /// `trusted_proxies`: whose X-Forwarded-For counts, and who may ask the verify endpoints.
    pub trusted_proxies: Vec<IpNet>,
    pub limits: LoginLimits,
    /// `threads`: worker threads of the public listener; the number of cores by default.
    pub threads: usize,
    /// What IdPs know us as: `sp_entity_id` (default `<public_url><prefix>/metadata`), `<public_url><prefix>/acs`, `clock_skew`.
    pub service_provider: ServiceProvider,
    /// `<public_url><prefix>/slo`, where IdPs send logout messages; served where [`Settings::single_logout`] says so.
    pub slo_url: SloUrl,
    /// `identity_providers`: at least one.
    pub identity_providers: Vec<IdentityProvider>,
    /// `login_page`: show the page with the buttons, or go straight to the one IdP.
    pub login_page: bool,
    /// `upstreams`; routes name them by index.
    pub upstreams: Vec<Upstream>,
    /// `routes`, in order; the first match decides.
    pub routes: Vec<Route>,
    pub session: SessionSettings,
    pub identity_headers: IdentityHeaders,
    /// `keys_dir`: where `samlgate keys generate` writes; keys are made in memory without it.
    pub keys_dir: Option<PathBuf>,
    /// `control_socket`: the Unix socket of the control API, which is off without it.
    pub control_socket: Option<PathBuf>,
    /// `upgrade_socket`: the Unix socket over which another samlgate takes the listeners over; off without it.
    pub upgrade_socket: Option<PathBuf>,
    /// `second_opinion`: samael must accept each login too. Only in a build that has it.
    pub second_opinion: bool,
    pub log: LogSettings,
    /// `audit`: the audit log; none where absent.
    pub audit: Option<AuditSettings>,
    /// `shutdown_delay`: how long after SIGTERM new connections are taken; default 0.
    pub shutdown_delay: Duration,
    /// `shutdown_timeout`: how long requests in flight may take after SIGTERM.
    pub shutdown_timeout: Duration,
}

impl Settings {
    /// Our address for logout messages, where some IdP has single logout.
    pub fn single_logout(&self) -> Option<&SloUrl> {
        let is_on = self.identity_providers.iter().any(|idp| idp.single_logout != SingleLogout::Off);
        is_on.then_some(&self.slo_url)
    }

    /// The settings, by their names, in which `other` differs and which are read at the start alone.
    pub fn fixed_that_differ(&self, other: &Self) -> Vec<&'static str> {
        let entity_id = |settings: &Self| settings.service_provider.entity_id.clone();
        [
            ("listen", self.listen != other.listen),
            ("admin_listen", self.admin_listen != other.admin_listen),
            ("tls (there or not)", self.tls.is_some() != other.tls.is_some()),
            ("proxy_protocol", self.proxy_protocol != other.proxy_protocol),
            ("prefix", self.prefix != other.prefix),
            ("threads", self.threads != other.threads),
            ("sp_entity_id (without one, public_url)", entity_id(self) != entity_id(other)),
            ("session", self.session != other.session),
            ("keys_dir", self.keys_dir != other.keys_dir),
            ("control_socket", self.control_socket != other.control_socket),
            ("upgrade_socket", self.upgrade_socket != other.upgrade_socket),
            ("second_opinion", self.second_opinion != other.second_opinion),
            ("log", self.log != other.log),
            ("audit", self.audit != other.audit),
        ]
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
    }
}

/// `limits`: how many logins may be begun, and as many responses come, in a minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLimits {
    /// Of an IPv4 address or an IPv6 /64; default 600.
    pub per_address: NonZeroU32,
    /// Default 30,000.
    pub in_all: NonZeroU32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    pub certificate_file: PathBuf,
    pub key_file: PathBuf,
}

/// What the settings say of an IdP; which keys it signs with may be learned later, see [`Trust`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityProvider {
    pub id: IdpId,
    pub entity_id: EntityId,
    pub trust: Trust,
    pub sign: Sign,
    pub claims: ClaimNames,
    /// The domains that it speaks for, in lower case; with several IdPs never empty. Empty: every domain.
    pub email_domains: Vec<String>,
    /// The IdPs whose users are known to upstreams as `<id>:<unique id>`, of the one whose users have no prefix.
    pub reserved: Vec<IdpId>,
    pub binding: Binding,
    pub button: Button,
    pub expired_certificates: ExpiredCertificates,
    /// AuthnRequests are signed; `keys_dir` then holds a key for it.
    pub sign_requests: bool,
    /// The user must sign in anew at the IdP at each login.
    pub force_authn: bool,
    /// Responses that answer no request of ours may open sessions.
    pub allow_idp_initiated: bool,
    /// Where it is on, `keys_dir` holds a key to sign with.
    pub single_logout: SingleLogout,
}

impl IdentityProvider {
    /// The certificates in the settings; none where they are fetched.
    pub fn certificates(&self) -> &[Certificate] {
        match &self.trust {
            Trust::Pinned { certificates, .. } => certificates,
            Trust::Fetched(_) => &[],
        }
    }

    /// The address in the settings or in the metadata file; `None` where fetched metadata will say.
    pub fn sso_url(&self) -> Option<&SsoUrl> {
        match &self.trust {
            Trust::Pinned { sso_url, .. } => Some(sso_url),
            Trust::Fetched(source) => source.sso_url.as_ref(),
        }
    }

    /// The IdP as responses are held against it, with these keys.
    ///
    /// # Errors
    /// Fewer than one or more than four different certificates.
    pub fn trusting(&self, certificates: Vec<Certificate>) -> Result<TrustedIdp, TrustError> {
        let (id, entity_id) = (self.id.clone(), self.entity_id.clone());
        let trusted = TrustedIdp::new(id, entity_id, certificates, self.sign, self.claims.clone())?;
        let trusted = trusted.reserving(self.reserved.clone());
        let trusted = if self.allow_idp_initiated { trusted.allow_idp_initiated() } else { trusted };
        Ok(match self.email_domains.as_slice() {
            [] => trusted,
            domains => trusted.speaking_for(domains.to_vec()),
        })
    }
}

/// Where the keys and the address of an IdP come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trust {
    /// From the settings and the files beside them: the same until a restart.
    Pinned { certificates: Vec<Certificate>, sso_url: SsoUrl },
    /// From `metadata_url`, read again and again while the process runs.
    Fetched(MetadataSource),
}

/// Metadata by URL, and what of it is believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataSource {
    /// https, or http on this machine.
    pub url: Url,
    /// `trusted_keys`, never empty; or `new_keys: accept`.
    pub new_keys: NewKeys,
    /// `metadata_refresh`: default 1 h.
    pub refresh: Duration,
    /// `metadata_ca_file`: the only authorities for that server, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `sso_url`: what the metadata says of it is then not used.
    pub sso_url: Option<SsoUrl>,
}

/// `expired_certificates`: what a certificate's date means for a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpiredCertificates {
    /// Nothing but a warning.
    Accept,
    Refuse,
}

/// `single_logout`: whether the IdP has single logout, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SingleLogout {
    Off,
    /// As the settings or the metadata file say.
    At(LogoutService),
    /// As fetched metadata declares.
    Fetched,
}

/// Where an IdP takes logout messages, and how they travel (SAML Bindings 2.0 §3.4, §3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutService {
    pub binding: Binding,
    pub url: IdpSloUrl,
    /// Where LogoutResponses go.
    pub response_url: IdpSloUrl,
}

impl LogoutService {
    /// What the metadata declares: HTTP-Redirect, else HTTP-POST.
    pub fn declared(metadata: &IdpMetadata) -> Option<Self> {
        let by_redirect = metadata.logout_redirect.as_ref().map(|service| (Binding::Redirect, service));
        let by_post = || metadata.logout_post.as_ref().map(|service| (Binding::Post, service));
        let (binding, service) = by_redirect.or_else(by_post)?;
        Some(Self { binding, url: service.location.clone(), response_url: service.for_responses().clone() })
    }
}

/// How the AuthnRequest travels (SAML Bindings 2.0 §3.4, §3.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    Redirect,
    Post,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    /// Default `Login with <id>`; `Login with JumpCloud` for an IdP whose id is `jumpcloud`.
    pub text: String,
    /// http(s) or same-site path; the page's `img-src` is widened by exactly its origin.
    pub image_url: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Upstream {
    pub name: String,
    /// `host:port` each.
    pub servers: Vec<ServerAddress>,
    /// Plain http where absent.
    pub tls: Option<UpstreamTls>,
    /// With TLS where the server takes it, else with prior knowledge.
    pub http2: bool,
    /// Servers count as healthy where absent.
    pub health_check: Option<HealthCheck>,
}

/// `health_check` of an upstream: a GET that each address of each server must answer with 200 to 399.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// Path and query.
    pub path: String,
    /// `host_header`; the server's `host:port` where absent.
    pub host_header: Option<String>,
    /// Between two checks; default 5 s.
    pub interval: Duration,
    /// For connection and head of the answer together; default 2 s.
    pub timeout: Duration,
    /// Failures in a row; default 3.
    pub unhealthy_after: u32,
    /// Successes in a row; default 2.
    pub healthy_after: u32,
}

/// `tls` of an upstream. The certificate of each server and the name in it are verified, always.
#[derive(Debug, Clone)]
pub struct UpstreamTls {
    /// `server_name`, a DNS name or an IP address; where absent, the host of each server, which then is one.
    pub server_name: Option<String>,
    /// The only authorities, instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// `client_certificate_file` and `client_key_file`: what we show.
    pub client: Option<TlsFiles>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// A name, or an IP address; IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[derive(Debug, Clone)]
pub struct Route {
    /// `id`, or `route-<n>` counted from 1: the label in logs and metrics.
    pub id: String,
    /// `host`: the authority of an accepted origin; matches every accepted host where absent.
    pub host: Option<String>,
    pub path: PathMatch,
    /// Empty: every method.
    pub methods: Vec<String>,
    pub access: Access,
    /// Index into [`Settings::upstreams`]; none where only other proxies may ask about the route.
    pub upstream: Option<usize>,
    /// `preflight: forward`: CORS preflights go on with nobody's name.
    pub forwards_preflights: bool,
    /// `tokens_file`: who may come without a session.
    pub machines: Vec<Machine>,
    /// `api: true`: 401 JSON, never a redirect.
    pub api: bool,
    /// `host_header`: what the upstream sees as Host; the client's where absent.
    pub host_header: Option<String>,
    /// `identity_jwt: true`, with `jwt_audience`.
    pub identity_jwt: Option<IdentityJwt>,
    /// `rewrite`: the path that the upstream sees.
    pub rewrite: Option<Rewrite>,
    pub limits: RouteLimits,
    pub timeouts: Timeouts,
}

/// Of the path as it came, character by character: never of another reading of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The path of the route lies at it or below; does not end with `/`.
    pub strip_prefix: Option<String>,
    /// Does not end with `/`.
    pub add_prefix: Option<String>,
}

/// `limits` of a route; none where absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RouteLimits {
    /// Of one request; what comes over a WebSocket does not count.
    pub max_body_bytes: Option<u64>,
    pub max_in_flight: Option<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathMatch {
    Exact(String),
    /// Matches on a `/` border: `/admin` matches `/admin` and `/admin/x`, not `/administrator`.
    Prefix(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    Public,
    SignedIn,
    /// Any of these is enough; never all empty.
    Allow(Allow),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allow {
    /// The IdPs whose word counts; never empty. Where there is one IdP and the rule names none, that one.
    pub idps: Vec<IdpId>,
    /// Compared byte for byte.
    pub groups: Vec<String>,
    /// Compared by `eq_ignore_ascii_case`.
    pub emails: Vec<String>,
    /// The part behind the one `@`, compared by `eq_ignore_ascii_case`; never a suffix match.
    pub email_domains: Vec<String>,
}

/// An entry of a `tokens_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    pub name: String,
    pub token: TokenHash,
    pub groups: Vec<String>,
    pub expires: Timestamp,
}

/// Before the name of a machine and a colon, where users have the id of their IdP.
pub const MACHINES: &str = "machine";

/// Every token of a machine begins like this, so that one is known wherever it turns up.
pub const TOKEN_PREFIX: &str = "samlgate_";

/// SHA-256 of a token as machines send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// From `sha256:` and 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("sha256:").filter(|digits| digits.len() == 64)?.as_bytes();
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(*pair.get(at)?).to_digit(16);
            *byte = u8::try_from(digit(0)? * 16 + digit(1)?).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sha256:")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityJwt {
    /// `jwt_audience`; the origin that the request came to where absent.
    pub audience: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Default 5 s.
    pub connect: Duration,
    /// Between two reads from the upstream; default 60 s.
    pub read: Duration,
    /// Between two writes to the upstream; default 60 s.
    pub write: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSettings {
    pub store: StoreSettings,
    /// Default 8 h.
    pub max_age: Duration,
    /// Default 1 h.
    pub idle_timeout: Duration,
    /// `max_sessions`: how many the memory store holds; default 1,000,000.
    pub max_sessions: u64,
    /// How long a session in the cache lives on while the store does not answer; default 15 min.
    pub outage_limit: Duration,
    /// `cookie_domain`: every host of it gets the session's cookies, each accepted one among them; where absent, all accepted
    /// hosts have one name. Lower case, no public suffix.
    pub cookie_domain: Option<String>,
    /// At most so many sessions of one user, of which the oldest ends; no limit by default.
    pub max_per_user: Option<u64>,
}

/// `store`: where sessions, pending logins and claims are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreSettings {
    /// In this process.
    Memory,
    /// `keys_dir` then holds the keys that all processes share.
    Redis(RedisSettings),
    /// Browsers carry their sessions; `keys_dir` then holds the keys that all processes share.
    Sealed {
        /// What ends sessions at every process that reads it.
        revocations_file: Option<PathBuf>,
    },
}

/// `session.redis`: Redis or Valkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisSettings {
    pub topology: RedisTopology,
    /// Never empty: the one server; the sentinels; or nodes of the cluster, which name the others.
    pub servers: Vec<RedisServer>,
    /// 0 in a cluster.
    pub database: u32,
    /// The ACL user; only with a password.
    pub username: Option<String>,
    /// One line, whose end is not part of the password.
    pub password_file: Option<PathBuf>,
    /// Plain text where absent.
    pub tls: Option<RedisTls>,
    /// What all keys begin with; default `samlgate`.
    pub key_prefix: String,
    /// How long one answer may take; default 1 s.
    pub timeout: Duration,
}

/// `mode`: what the servers are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisTopology {
    Single,
    /// Sentinels, which have users and passwords of their own.
    Sentinel {
        master_name: String,
        username: Option<String>,
        password_file: Option<PathBuf>,
    },
    Cluster,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisServer {
    /// A name, or an IP address; IPv6 without its brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisTls {
    /// The only authorities, instead of the system's.
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct IdentityHeaders {
    pub preset: HeaderPreset,
    /// `set`: header name to claim (`user`, `email`, `username`, `first_name`, `last_name`, `groups`, `name_id`, or `attribute:<Name>`).
    pub set: Vec<(String, Claim)>,
    /// `groups_filter`: only these go into the groups header once it would pass 4 kB.
    pub groups_filter: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderPreset {
    XForwarded,
    RemoteUser,
    XAuthRequest,
}

impl HeaderPreset {
    pub const ALL: [Self; 3] = [Self::XForwarded, Self::RemoteUser, Self::XAuthRequest];

    /// The headers that the preset sets.
    pub const fn headers(self) -> [(&'static str, HeaderSource); 4] {
        use HeaderSource::{Claim as Of, FullName};
        match self {
            Self::XForwarded => [
                ("X-Forwarded-User", Of(Claim::User)),
                ("X-Forwarded-Email", Of(Claim::Email)),
                ("X-Forwarded-Preferred-Username", Of(Claim::Username)),
                ("X-Forwarded-Groups", Of(Claim::Groups)),
            ],
            Self::RemoteUser => [
                ("Remote-User", Of(Claim::User)),
                ("Remote-Email", Of(Claim::Email)),
                ("Remote-Name", FullName),
                ("Remote-Groups", Of(Claim::Groups)),
            ],
            Self::XAuthRequest => [
                ("X-Auth-Request-User", Of(Claim::User)),
                ("X-Auth-Request-Email", Of(Claim::Email)),
                ("X-Auth-Request-Preferred-Username", Of(Claim::Username)),
                ("X-Auth-Request-Groups", Of(Claim::Groups)),
            ],
        }
    }
}

/// Where the value of an identity header comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderSource {
    Claim(Claim),
    /// First and last name, else the user name.
    FullName,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    User,
    Email,
    Username,
    FirstName,
    LastName,
    Groups,
    NameId,
    Attribute(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditSettings {
    /// Lines are appended to it; it need not exist.
    pub file: PathBuf,
    pub identity: AuditIdentity,
}

/// How the audit log names persons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditIdentity {
    /// By a reference, as the log does.
    Hash,
    /// By unique id and e-mail address, too.
    Clear,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSettings {
    /// `trace`, `debug`, `info`, `warn` or `error`; default `info`.
    pub level: String,
    pub format: LogFormat,
    /// `access`: one line for each request; default true.
    pub access: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Json,
    Text,
}
