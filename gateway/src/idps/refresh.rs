//! Keeps what is trusted of an IdP fresh, from its metadata by URL. Each process does so for itself.
//!
//! What fetched metadata may change is decided in saml-core (`refresh_metadata`); here it is fetched, put in
//! place, logged and counted. A failure changes nothing: what is in use stays in use.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand;
use config::{Binding, IdentityProvider, LogoutService, MetadataSource, SingleLogout, Trust};
use saml_core::{
    IdpMetadata, MetadataError, RefreshError, Refreshed, SsoUrl, Timestamp, TrustError, metadata_past_valid_until,
    refresh_metadata,
};

use super::fetch::{FetchError, Fetched, Fetcher, Validators};
use super::{Idp, LiveIdp};
use crate::metrics::Metrics;

/// After the first failure; then twice as long each time.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LAST_RETRY: Duration = Duration::from_secs(5 * 60);

const WANTS_SIGNATURES: &str = "the IdP wants AuthnRequests signed, and they are not: write `sign_requests: true`";

const NO_SINGLE_LOGOUT: &str = "it declares no SingleLogoutService, and `single_logout` takes the address from it: single logout is off until \
                                it does; or write its address";

/// Why metadata is not used.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Metadata(#[from] MetadataError),
    #[error(transparent)]
    Refresh(#[from] RefreshError),
    #[error(
        "metadata declares no SingleSignOnService by {0}: write the other `binding`, or set `sso_url`; JumpCloud: SSO tab, tick Declare Redirect Endpoint"
    )]
    NoAddress(&'static str),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// What came of one look at the metadata, as a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    Fetched,
    Unchanged,
    Failed,
}

impl Look {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Fetched => "fetched",
            Self::Unchanged => "unchanged",
            Self::Failed => "failed",
        }
    }
}

/// Runs as long as the IdP is one of ours; ends at once for one whose keys are pinned.
pub(super) async fn keep_fresh(idp: Arc<Idp>, metrics: Arc<Metrics>) {
    let Trust::Fetched(source) = &idp.settings.trust else { return };
    let mut fetcher = None;
    let mut memory = Memory::default();
    let mut failures = 0;
    loop {
        let outcome = look(&mut fetcher, source, &idp.settings, &mut memory, SystemTime::now().into()).await;
        let now = SystemTime::now().into();
        let look = settle(&metrics, &idp, &mut memory, outcome, now);
        metrics.metadata_looked_at(idp.settings.id.as_str(), look, now);
        failures = if look == Look::Failed { failures + 1 } else { 0 };
        let wait = spread(pause(source.refresh, failures), draw());
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = idp.early_look() => {}
        }
    }
}

/// What is remembered from one look to the next.
#[derive(Default)]
struct Memory {
    used: Option<IdpMetadata>,
    validators: Validators,
    /// What was said last, so that it is not said every hour.
    told: Vec<String>,
    problem: Option<String>,
}

enum Outcome {
    Unchanged,
    Judged { live: Arc<LiveIdp>, refreshed: Box<Refreshed>, validators: Validators },
}

async fn look(
    fetcher: &mut Option<Fetcher>,
    source: &MetadataSource,
    settings: &IdentityProvider,
    memory: &mut Memory,
    now: Timestamp,
) -> Result<Outcome, Problem> {
    let fetcher = match fetcher {
        Some(fetcher) => fetcher,
        None => fetcher.insert(Fetcher::new(source)?),
    };
    Ok(match fetcher.fetch(&memory.validators).await? {
        Fetched::Unchanged => Outcome::Unchanged,
        Fetched::Document { bytes, validators } => {
            let (live, refreshed) = judge(settings, source, memory.used.as_ref(), &bytes, now)?;
            Outcome::Judged { live: Arc::new(live), refreshed: Box::new(refreshed), validators }
        }
    })
}

/// From the bytes of new metadata to what is trusted from now on. Pure.
fn judge(
    settings: &IdentityProvider,
    source: &MetadataSource,
    used: Option<&IdpMetadata>,
    bytes: &[u8],
    now: Timestamp,
) -> Result<(LiveIdp, Refreshed), Problem> {
    let fetched = IdpMetadata::parse(bytes, &settings.entity_id)?;
    let refreshed = refresh_metadata(used, &fetched, &source.new_keys, now)?;
    let sso_url = match &source.sso_url {
        Some(explicit) => explicit.clone(),
        None => declared(&refreshed.used, settings.binding)?,
    };
    let trusted = settings.trusting(refreshed.used.certificates.clone())?;
    let logout = match &settings.single_logout {
        SingleLogout::Off => None,
        SingleLogout::At(service) => Some(service.clone()),
        SingleLogout::Fetched => LogoutService::declared(&refreshed.used),
    };
    Ok((LiveIdp { trusted, sso_url, logout }, refreshed))
}

fn declared(metadata: &IdpMetadata, binding: Binding) -> Result<SsoUrl, Problem> {
    let (address, name) = match binding {
        Binding::Redirect => (&metadata.redirect, "HTTP-Redirect"),
        Binding::Post => (&metadata.post, "HTTP-POST"),
    };
    address.clone().ok_or(Problem::NoAddress(name))
}

/// Puts in place what was learned, and says what somebody should know.
fn settle(
    metrics: &Metrics,
    idp: &Idp,
    memory: &mut Memory,
    outcome: Result<Outcome, Problem>,
    now: Timestamp,
) -> Look {
    let id = idp.settings.id.as_str();
    match outcome {
        Err(problem) => {
            let problem = problem.to_string();
            if memory.problem.as_ref() != Some(&problem) {
                let state = if memory.used.is_some() { "what is in use stays" } else { "nobody can sign in there yet" };
                tracing::warn!(idp.id = id, "metadata is not taken, {state}: {problem}");
            }
            memory.problem = Some(problem);
            Look::Failed
        }
        Ok(Outcome::Unchanged) => {
            memory.recovered(id);
            if let Some(warning) = memory.used.as_ref().and_then(|used| metadata_past_valid_until(used, now)) {
                memory.tell(id, vec![warning.to_string()]);
            }
            Look::Unchanged
        }
        Ok(Outcome::Judged { live, refreshed, validators }) => {
            memory.recovered(id);
            if memory.used.is_none() {
                let keys: Vec<String> =
                    live.trusted.certificates().iter().map(|known| known.fingerprint().to_string()).collect();
                tracing::info!(idp.id = id, keys = keys.join(", "), sso_url = %live.sso_url, "metadata is fetched");
            }
            metrics.metadata_held(id, &refreshed.held);
            metrics.keys_end(id, live.trusted.certificates());
            let lacks_logout = idp.settings.single_logout == SingleLogout::Fetched && live.logout.is_none();
            idp.replace(live);
            let Refreshed { used, held, warnings } = *refreshed;
            let unsigned = used.want_authn_requests_signed && !idp.settings.sign_requests;
            let mut told: Vec<String> = held.iter().map(ToString::to_string).collect();
            told.extend(warnings.iter().map(ToString::to_string));
            told.extend(lacks_logout.then(|| NO_SINGLE_LOGOUT.to_owned()));
            told.extend(unsigned.then(|| WANTS_SIGNATURES.to_owned()));
            memory.used = Some(used);
            memory.validators = validators;
            memory.tell(id, told);
            Look::Fetched
        }
    }
}

impl Memory {
    /// What is new among what there is to say.
    fn tell(&mut self, id: &str, now: Vec<String>) {
        for text in now.iter().filter(|text| !self.told.contains(text)) {
            tracing::warn!(idp.id = id, "metadata: {text}");
        }
        self.told = now;
    }

    fn recovered(&mut self, id: &str) {
        if self.problem.take().is_some() {
            tracing::info!(idp.id = id, "metadata can be fetched again");
        }
    }
}

/// The interval of the settings; after a failure sooner, and then ever later up to the interval.
fn pause(refresh: Duration, failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => refresh,
        Some(again) => FIRST_RETRY.saturating_mul(1 << again.min(16)).min(LAST_RETRY).min(refresh),
    }
}

/// Up to a tenth more or less, so that replicas that started together do not ask together.
fn spread(pause: Duration, random: u8) -> Duration {
    pause.mul_f64(0.9 + 0.2 * f64::from(random) / f64::from(u8::MAX))
}

/// Without random bytes there is no spread, and nothing else depends on them here.
fn draw() -> u8 {
    let mut byte = [127];
    let _ = rand::fill(&mut byte);
    let [byte] = byte;
    byte
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, settings};
    use saml_core::{Certificate, NewKeys};

    const REDIRECT: &str = "HTTP-Redirect";
    const POST: &str = "HTTP-POST";

    fn certificate() -> Certificate {
        let made = rcgen::generate_simple_self_signed(vec!["idp.example".to_owned()]).unwrap();
        Certificate::parse_all(made.cert.pem().as_bytes()).unwrap().remove(0)
    }

    /// Metadata of `jumpcloud` with one key, whose fingerprint comes beside it.
    fn metadata(bindings: &[&str]) -> (String, saml_core::Fingerprint) {
        let made = rcgen::generate_simple_self_signed(vec!["idp.example".to_owned()]).unwrap();
        let pem = made.cert.pem();
        let fingerprint = Certificate::parse_all(pem.as_bytes()).unwrap()[0].fingerprint();
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let services: String = bindings
            .iter()
            .map(|binding| {
                let uri = format!("urn:oasis:names:tc:SAML:2.0:bindings:{binding}");
                format!("<md:SingleSignOnService Binding=\"{uri}\" Location=\"https://idp.example/{binding}\"/>")
            })
            .collect();
        let xml = format!(
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"jumpcloud\">\
             <md:IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\
             <md:KeyDescriptor><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
             <ds:X509Certificate>{base64}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\
             {services}</md:IDPSSODescriptor></md:EntityDescriptor>"
        );
        (xml, fingerprint)
    }

    fn source(new_keys: NewKeys) -> MetadataSource {
        let url = url::Url::parse("https://idp.example/metadata?token=secret").unwrap();
        MetadataSource { url, new_keys, refresh: Duration::from_secs(3600), ca_file: None, sso_url: None }
    }

    fn judged(source: &MetadataSource, xml: &str, binding: Binding) -> Result<LiveIdp, Problem> {
        let mut idp = settings().identity_providers.remove(0);
        idp.binding = binding;
        judge(&idp, source, None, xml.as_bytes(), at(0)).map(|(live, _)| live)
    }

    #[test]
    fn metadata_gives_the_keys_that_are_trusted_and_the_address_of_the_binding() {
        let (xml, fingerprint) = metadata(&[REDIRECT, POST]);
        let listed = source(NewKeys::Listed(vec![fingerprint]));
        for (binding, address) in [(Binding::Redirect, REDIRECT), (Binding::Post, POST)] {
            let live = judged(&listed, &xml, binding).unwrap();
            assert_eq!(live.trusted.certificates()[0].fingerprint(), fingerprint);
            assert_eq!(live.sso_url.as_str(), format!("https://idp.example/{address}"));
        }
    }

    #[test]
    fn a_key_that_nobody_named_is_no_beginning() {
        let (xml, fingerprint) = metadata(&[REDIRECT]);
        let other = source(NewKeys::Listed(vec![certificate().fingerprint()]));
        let problem = judged(&other, &xml, Binding::Redirect).err().unwrap().to_string();
        assert!(problem.contains(&fingerprint.to_string()) && problem.contains("trusted_keys"), "{problem}");
        assert!(judged(&source(NewKeys::Accept), &xml, Binding::Redirect).is_ok());
    }

    #[test]
    fn an_address_that_is_not_declared_must_be_in_the_settings() {
        let (xml, _) = metadata(&[POST]);
        let mut source = source(NewKeys::Accept);
        let problem = judged(&source, &xml, Binding::Redirect).err().unwrap().to_string();
        assert!(problem.contains("HTTP-Redirect") && problem.contains("Declare Redirect Endpoint"), "{problem}");
        source.sso_url = Some(SsoUrl::parse("https://idp.example/explicit").unwrap());
        assert_eq!(judged(&source, &xml, Binding::Redirect).unwrap().sso_url.as_str(), "https://idp.example/explicit");
    }

    #[test]
    fn a_web_page_is_called_one() {
        let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
        let problem = judged(&source(NewKeys::Accept), page, Binding::Redirect).err().unwrap();
        assert!(matches!(problem, Problem::Metadata(MetadataError::WebPage)), "{problem}");
    }

    #[test]
    fn failures_are_tried_again_soon_then_ever_later() {
        let hour = Duration::from_secs(3600);
        let seconds = |failures| pause(hour, failures).as_secs();
        assert_eq!([0, 1, 2, 3, 9, 10, 4_000_000].map(seconds), [3600, 1, 2, 4, 256, 300, 300]);
        assert_eq!(pause(Duration::from_secs(120), 20).as_secs(), 120, "never later than the interval");
    }

    #[test]
    fn replicas_do_not_ask_together() {
        let hour = Duration::from_secs(3600);
        assert_eq!((spread(hour, 0).as_secs(), spread(hour, 255).as_secs()), (3240, 3960));
        assert!(spread(hour, 100) < spread(hour, 101));
    }

    #[test]
    fn the_query_of_the_address_is_not_shown() {
        assert_eq!(super::super::fetch::place(&source(NewKeys::Accept)), "https://idp.example/metadata");
    }
}
