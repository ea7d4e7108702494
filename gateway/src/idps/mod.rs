//! Whom we trust right now. Settings say it for IdPs whose keys are pinned; of others it is learned while we run,
//! from their metadata.
//!
//! Whoever works on a login takes one [`LiveIdp`] and holds on to it: keys and address are of one reading.

mod expiry;
mod fetch;
mod refresh;
mod refreshers;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use config::{IdentityProvider, LogoutService, Settings, SingleLogout, Trust};
use saml_core::{SsoUrl, Timestamp, TrustError, TrustedIdp};
use tokio::sync::Notify;

use crate::refusal::Refusal;

pub use expiry::watch as watch_expiry;
pub(crate) use fetch::place as metadata_place;
pub use refresh::Look;
pub use refreshers::Refreshers;

/// Every IdP of the settings, in their order.
pub struct IdpRegistry(Vec<Arc<Idp>>);

/// An IdP, and what is trusted of it.
pub struct Idp {
    pub settings: IdentityProvider,
    /// Empty until metadata by URL was fetched for the first time.
    live: ArcSwapOption<LiveIdp>,
    early: Notify,
    early_looks: Mutex<EarlyLooks>,
}

/// Looks at metadata before their time, of the last ten minutes.
#[derive(Default)]
struct EarlyLooks {
    since: Option<Timestamp>,
    count: u32,
}

/// Whoever signs a response with a key of their own makes us look: they shall not make us look all day.
const MAX_EARLY_LOOKS: u32 = 5;
const EARLY_LOOKS_SECONDS: i64 = 600;

/// An IdP with the keys and the address of one reading.
#[derive(Debug)]
pub struct LiveIdp {
    pub trusted: TrustedIdp,
    pub sso_url: SsoUrl,
    /// Where single logout is on and the IdP has it.
    pub logout: Option<LogoutService>,
}

impl IdpRegistry {
    /// # Errors
    /// Pinned certificates that make no set of keys, which the settings have refused by now.
    pub fn from_settings(settings: &Settings) -> Result<Self, TrustError> {
        Self(Vec::new()).renewed(settings)
    }

    /// For other settings. An IdP that they leave as it is keeps what was learned of it.
    ///
    /// # Errors
    /// As [`IdpRegistry::from_settings`].
    pub fn renewed(&self, settings: &Settings) -> Result<Self, TrustError> {
        let idp = |settings: &IdentityProvider| match self.0.iter().find(|idp| idp.settings == *settings) {
            Some(known) => Ok(Arc::clone(known)),
            None => Idp::new(settings.clone()).map(Arc::new),
        };
        settings.identity_providers.iter().map(idp).collect::<Result<_, _>>().map(Self)
    }

    pub fn get(&self, id: &str) -> Option<&Idp> {
        self.iter().map(Arc::as_ref).find(|idp| idp.settings.id.as_str() == id)
    }

    /// The IdP that may begin logins and is called so.
    pub fn initiator(&self, entity_id: Option<&str>) -> Option<&Idp> {
        let entity_id = entity_id?;
        self.iter()
            .map(Arc::as_ref)
            .find(|idp| idp.settings.allow_idp_initiated && idp.settings.entity_id.as_str() == entity_id)
    }

    /// Those whose logout messages are taken.
    pub fn with_logout(&self) -> Vec<Arc<LiveIdp>> {
        self.iter().filter_map(|idp| idp.live()).filter(|live| live.logout.is_some()).collect()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, Arc<Idp>> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a IdpRegistry {
    type Item = &'a Arc<Idp>;
    type IntoIter = std::slice::Iter<'a, Arc<Idp>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Idp {
    fn new(settings: IdentityProvider) -> Result<Self, TrustError> {
        let live = match &settings.trust {
            Trust::Pinned { certificates, sso_url } => {
                let trusted = settings.trusting(certificates.clone())?;
                let logout = match &settings.single_logout {
                    SingleLogout::At(service) => Some(service.clone()),
                    SingleLogout::Off | SingleLogout::Fetched => None,
                };
                Some(Arc::new(LiveIdp { trusted, sso_url: sso_url.clone(), logout }))
            }
            Trust::Fetched(_) => None,
        };
        Ok(Self { settings, live: ArcSwapOption::new(live), early: Notify::new(), early_looks: Mutex::default() })
    }

    /// What is trusted now; nothing before metadata was fetched.
    pub fn live(&self) -> Option<Arc<LiveIdp>> {
        self.live.load_full()
    }

    /// # Errors
    /// Nothing is known of its keys yet: nobody can sign in there.
    pub fn ready(&self) -> Result<Arc<LiveIdp>, Refusal> {
        self.live().ok_or_else(|| Refusal::IdpUnavailable { idp: self.settings.id.to_string() })
    }

    fn replace(&self, live: Arc<LiveIdp>) {
        self.live.store(Some(live));
    }

    /// A response came that is signed with a key which is not trusted: the IdP may have changed its key, and its
    /// metadata may say so already.
    pub fn look_early(&self, now: Timestamp) {
        if matches!(self.settings.trust, Trust::Fetched(_)) && self.may_look_early(now) {
            self.early.notify_one();
        }
    }

    fn may_look_early(&self, now: Timestamp) -> bool {
        let mut looks = self.early_looks.lock().unwrap_or_else(PoisonError::into_inner);
        if looks.since.is_none_or(|since| since.plus_seconds(EARLY_LOOKS_SECONDS) <= now) {
            *looks = EarlyLooks { since: Some(now), count: 0 };
        }
        looks.count = looks.count.saturating_add(1);
        looks.count <= MAX_EARLY_LOOKS
    }

    async fn early_look(&self) {
        self.early.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, settings};

    #[test]
    fn strangers_make_us_look_at_metadata_only_so_often() {
        let registry = IdpRegistry::from_settings(&settings()).unwrap();
        let idp = registry.get("jumpcloud").unwrap();
        let looks = |from: i64| (from..from + 60).filter(|second| idp.may_look_early(at(*second))).count();
        assert_eq!((looks(0), looks(100), looks(600)), (5, 0, 5));
    }
}
