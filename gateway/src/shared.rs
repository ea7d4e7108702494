//! What every request shares: settings, sessions, keys and the rest, built once.

use std::io;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use config::{Origin, Settings, StoreSettings};
use http::header::InvalidHeaderName;
use saml_core::{IdpId, Signer, TrustError};

use crate::audit::{Audit, AuditError, Person};
use crate::decide::{Hosts, Policy};
use crate::forms::Forms;
use crate::identity_headers::{ClaimValues, IdentityHeaders};
use crate::identity_jwt::{IdentityJwts, JwtKeyError};
use crate::idps::{Idp, IdpRegistry};
use crate::keys::{KeyError, Keys};
use crate::lifecycle::Lifecycle;
use crate::limits::Limits;
use crate::login::Entropy;
use crate::metrics::{Metrics, RequestMetrics};
use crate::pages::Site;
use crate::refusal::Refusal;
use crate::return_url::{ReturnUrl, origin_of};
use crate::rooms::Rooms;
use crate::session::{
    CookieScope, FormKey, Landing, MemoryStore, RandomError, RedisStore, SealedStore, SessionLimits, SessionStore,
    Sessions, StoreError,
};
use crate::trusted_proxies::TrustedProxies;
use crate::upstream::{UpstreamTlsError, Upstreams};
use crate::verify::Verifier;

pub struct Gateway {
    pub settings: Arc<Settings>,
    pub policy: Policy,
    pub idps: IdpRegistry,
    pub site: Site,
    pub cookies: CookieScope,
    pub sessions: Arc<Sessions>,
    pub proxies: TrustedProxies,
    pub upstreams: Upstreams,
    pub limits: Arc<Limits>,
    pub rooms: Rooms,
    pub verifier: Arc<Verifier>,
    pub forms: Arc<Forms>,
    pub audit: Arc<Audit>,
    pub metrics: Arc<Metrics>,
    pub requests: RequestMetrics,
    pub lifecycle: Arc<Lifecycle>,
    pub random: SystemRandom,
    pub identity_headers: IdentityHeaders,
    pub identity_jwts: IdentityJwts,
    keys: Arc<Keys>,
}

/// Something that the gateway is built from cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    JwtKey(#[from] JwtKeyError),
    #[error("identity_providers: {0}")]
    Trust(#[from] TrustError),
    #[error(transparent)]
    Upstream(#[from] UpstreamTlsError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("the threads that verify cannot be started: {0}")]
    Threads(#[source] io::Error),
    #[error("identity_headers.set: {0}")]
    HeaderName(#[from] InvalidHeaderName),
    #[error("the keys `seal` or `index` in keys_dir are others: sessions lie under them, restart samlgate")]
    StoreKeys,
    #[error(
        "with the store `sealed`, sessions hold the groups that rules and headers name, and belong to IdPs by their entity_id: restart samlgate to change these"
    )]
    SealedClaims,
}

/// What a reload leaves as it is.
struct Lasting {
    cookies: CookieScope,
    sessions: Arc<Sessions>,
    verifier: Arc<Verifier>,
    forms: Arc<Forms>,
    metrics: Arc<Metrics>,
    audit: Arc<Audit>,
    lifecycle: Arc<Lifecycle>,
}

/// What a reload makes anew, keeping of the old what still holds.
struct Parts {
    idps: IdpRegistry,
    limits: Arc<Limits>,
    upstreams: Upstreams,
    rooms: Rooms,
    keys: Arc<Keys>,
}

impl Gateway {
    /// # Errors
    /// A key cannot be read or made.
    pub fn new(settings: Settings) -> Result<Self, SetupError> {
        let (keys, warnings) = Keys::load(&settings)?;
        warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
        let domain = settings.session.cookie_domain.as_deref();
        let cookies = domain.map_or(CookieScope::Host, |domain| CookieScope::Domain(domain.into()));
        let metrics = Arc::new(Metrics::new()?);
        let store = store(&settings, &keys, &cookies, &metrics)?;
        let limits = SessionLimits {
            idle_timeout: settings.session.idle_timeout,
            max_cached: settings.session.max_sessions,
            outage_limit: settings.session.outage_limit,
            max_per_user: settings.session.max_per_user,
            idps: idp_ids(&settings),
        };
        let lasting = Lasting {
            cookies,
            sessions: Arc::new(Sessions::new(store, &limits)),
            verifier: Arc::new(Verifier::new(settings.threads).map_err(SetupError::Threads)?),
            forms: Arc::new(Forms::new(&keys, settings.service_provider.entity_id.as_str())?),
            audit: Arc::new(Audit::open(settings.audit.as_ref(), metrics.audit_lost.clone())?),
            metrics,
            lifecycle: Arc::default(),
        };
        let limits = Arc::new(Limits::new(&settings.limits));
        let idps = IdpRegistry::from_settings(&settings)?;
        let upstreams = Upstreams::new(&settings.upstreams)?;
        let rooms = Rooms::new(&settings.routes);
        Self::of(settings, lasting, Parts { idps, limits, upstreams, rooms, keys: Arc::new(keys) })
    }

    /// The same gateway under other settings: sessions, counters and what is under way go on. What differs must not be
    /// fixed at the start, see [`Settings::fixed_that_differ`].
    ///
    /// # Errors
    /// A key cannot be read, or one that the session store uses is another one.
    pub fn renewed(&self, settings: Settings) -> Result<Self, SetupError> {
        // Those that were made in memory are not there to be read again.
        let keys = match settings.keys_dir {
            Some(_) => Arc::new(Keys::load(&settings)?.0),
            None => Arc::clone(&self.keys),
        };
        if !keys.stores_alike(&self.keys) {
            return Err(SetupError::StoreKeys);
        }
        let is_kept_in_sessions = |settings: &Settings| {
            let entity_ids: Vec<_> =
                settings.identity_providers.iter().map(|idp| (idp.id.clone(), idp.entity_id.clone())).collect();
            (entity_ids, ClaimValues::named_groups(settings))
        };
        if matches!(settings.session.store, StoreSettings::Sealed { .. })
            && is_kept_in_sessions(&settings) != is_kept_in_sessions(&self.settings)
        {
            return Err(SetupError::SealedClaims);
        }
        let lasting = Lasting {
            cookies: self.cookies.clone(),
            sessions: Arc::clone(&self.sessions),
            verifier: Arc::clone(&self.verifier),
            forms: Arc::clone(&self.forms),
            audit: Arc::clone(&self.audit),
            metrics: Arc::clone(&self.metrics),
            lifecycle: Arc::clone(&self.lifecycle),
        };
        let limits = if settings.limits == self.settings.limits {
            Arc::clone(&self.limits)
        } else {
            Arc::new(Limits::new(&settings.limits))
        };
        let idps = self.idps.renewed(&settings)?;
        let upstreams = self.upstreams.renewed(&settings.upstreams)?;
        let rooms = self.rooms.renewed(&settings.routes);
        Self::of(settings, lasting, Parts { idps, limits, upstreams, rooms, keys })
    }

    fn of(settings: Settings, lasting: Lasting, parts: Parts) -> Result<Self, SetupError> {
        let Lasting { cookies, sessions, verifier, forms, metrics, audit, lifecycle } = lasting;
        let Parts { idps, limits, upstreams, rooms, keys } = parts;
        Ok(Self {
            policy: Policy::from_settings(&settings),
            idps,
            site: Site::new(&settings),
            cookies,
            sessions,
            proxies: TrustedProxies::new(&settings.trusted_proxies),
            upstreams,
            limits,
            rooms,
            verifier,
            forms,
            requests: metrics.of_routes(&settings),
            audit,
            metrics,
            lifecycle,
            random: SystemRandom::new(),
            identity_headers: IdentityHeaders::from_settings(&settings)?,
            identity_jwts: IdentityJwts::new(&settings, &keys)?,
            keys,
            settings: Arc::new(settings),
        })
    }

    /// Where this gateway has taken the place of `before`: what stood on IdPs that are gone ends.
    pub fn take_over(&self, before: &Self) {
        self.sessions.only_of(idp_ids(&self.settings));
        for idp in &before.idps {
            if self.idps.get(idp.settings.id.as_str()).is_none() {
                self.metrics.forget_idp(idp.settings.id.as_str());
            }
        }
        self.tell_certificate_ends();
    }

    /// Of keys that are pinned; of others it is told when they are fetched.
    pub fn tell_certificate_ends(&self) {
        for idp in &self.settings.identity_providers {
            self.metrics.keys_end(idp.id.as_str(), idp.certificates());
        }
    }

    /// For pending logins and claims.
    pub fn store(&self) -> &dyn SessionStore {
        self.sessions.store()
    }

    /// # Errors
    /// The store did not answer: the request is refused, whatever it was.
    pub fn stored<T>(&self, operation: &'static str, outcome: Result<T, StoreError>) -> Result<T, Refusal> {
        outcome.map_err(|error| self.store_failed(operation, &error))
    }

    pub fn store_failed(&self, operation: &'static str, error: &StoreError) -> Refusal {
        if let StoreError::SessionTooLarge { bytes, limit } = *error {
            return Refusal::SessionTooLarge { bytes, limit };
        }
        self.metrics.store_failed(operation);
        Refusal::StoreUnavailable { problem: error.to_string() }
    }

    pub fn identity_provider(&self, id: &str) -> Option<&Idp> {
        self.idps.get(id)
    }

    pub fn hosts(&self) -> &Hosts {
        self.policy.hosts()
    }

    /// `rd`, a Referer or the address of a request, as a place of ours to come back to; where it names no host, `here`.
    pub fn return_url(&self, wanted: Option<&str>, here: &Origin) -> String {
        let parse = |text| ReturnUrl::parse(text, here, self.hosts(), &self.settings.prefix);
        wanted.map_or_else(|| ReturnUrl::home(here, self.hosts()), parse).as_str().to_owned()
    }

    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// With our own key.
    ///
    /// # Errors
    /// There is none, though something is to be signed: the start has refused that.
    pub fn signer(&self) -> Result<Signer<'_>, Refusal> {
        let missing = || Refusal::Internal { problem: KeyError::NoSigningKey.to_string() };
        let key = self.keys.saml().signing().ok_or_else(missing)?;
        Ok(Signer { key, random: &self.random })
    }

    /// How logs name a person.
    pub fn user_ref(&self, idp: &IdpId, unique_id: &str) -> String {
        self.keys.user_ref(idp, unique_id)
    }

    /// How the audit log names a person.
    pub fn audited(&self, idp: &IdpId, unique_id: &str, email: Option<&str>) -> Person {
        self.audit.person(self.user_ref(idp, unique_id), unique_id, email)
    }

    /// Where a login with this IdP begins.
    pub fn start_url(&self, idp: &IdpId, return_url: &str) -> String {
        self.site.with_return(&format!("start/{idp}"), return_url)
    }

    /// What takes its cookies from the browser. What the store cannot forget now it collects.
    pub async fn forget_form(&self, key: &FormKey) -> Vec<String> {
        let taken = self.store().take_form(key).await;
        let _ = self.stored("take_form", taken);
        self.cookies.clear_form_cookies(key.id())
    }

    /// Where a login that succeeded leads: windows that wait for a pop-up, and kept forms, are of the host that it came from.
    pub fn landing_url(&self, landing: Landing, return_url: &str) -> String {
        match landing {
            Landing::ReturnUrl => return_url.to_owned(),
            Landing::PopUp => format!("{}{}", origin_of(return_url), self.site.signed_in_url),
            Landing::Form(_) => {
                let replay = format!("{}{}", origin_of(return_url), self.site.with_return("replay", return_url));
                landing.carried_by(replay)
            }
        }
    }

    /// Where somebody without a session goes: the login page, or the only IdP where the page is off.
    pub fn login_url(&self, return_url: &str) -> String {
        self.on_public_url(match (self.settings.login_page, self.settings.identity_providers.as_slice()) {
            (false, [only]) => self.start_url(&only.id, return_url),
            _ => self.site.with_return("login", return_url),
        })
    }

    /// A path of ours on the host where logins live, as a browser understands it that is on any of our hosts.
    pub fn on_public_url(&self, path: String) -> String {
        if self.hosts().are_several() { format!("{}{path}", self.hosts().public()) } else { path }
    }

    /// # Errors
    /// The system gives no random bytes.
    pub fn draw_entropy(&self) -> Result<Entropy, RandomError> {
        let mut entropy = Entropy { request_id: [0; 20], relay_state: [0; 20] };
        for bytes in [&mut entropy.request_id, &mut entropy.relay_state] {
            self.random.fill(bytes).map_err(|aws_lc_rs::error::Unspecified| RandomError)?;
        }
        Ok(entropy)
    }

    /// Gauges are read when somebody looks.
    pub fn update_gauges(&self) {
        self.metrics.sessions_active.set(i64::try_from(self.sessions.count_cached()).unwrap_or(i64::MAX));
    }

    /// Nothing where requests are welcome.
    pub fn reasons_not_ready(&self) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        if self.lifecycle.is_draining() {
            reasons.push("draining");
        }
        // Later it does not count: cached sessions go on, and there is nobody better to send them to.
        if !self.sessions.has_heard() {
            reasons.push("session store not reached yet");
        }
        reasons
    }
}

fn idp_ids(settings: &Settings) -> Vec<IdpId> {
    settings.identity_providers.iter().map(|idp| idp.id.clone()).collect()
}

fn store(
    settings: &Settings,
    keys: &Keys,
    cookies: &CookieScope,
    metrics: &Metrics,
) -> Result<Arc<dyn SessionStore>, KeyError> {
    match &settings.session.store {
        StoreSettings::Memory => Ok(Arc::new(MemoryStore::new(settings.session.max_sessions))),
        StoreSettings::Redis(redis) => {
            let keys = keys.store().ok_or(KeyError::NotShared { name: "seal" })?;
            let owner = settings.service_provider.entity_id.as_str();
            Ok(Arc::new(RedisStore::new(redis, keys.clone(), owner).timed(metrics.store_seconds.clone())))
        }
        StoreSettings::Sealed { revocations_file } => {
            let keys = keys.store().ok_or(KeyError::NotShared { name: "seal" })?;
            let owner = settings.service_provider.entity_id.as_str();
            let idps = settings.identity_providers.iter();
            let entity_ids = idps.map(|idp| (idp.id.clone(), idp.entity_id.as_str().to_owned())).collect();
            let groups = ClaimValues::named_groups(settings);
            let scope = cookies.clone();
            Ok(Arc::new(SealedStore::new(keys, owner, scope, entity_ids, groups, revocations_file.clone())))
        }
    }
}
