//! What the command line says, and the facts that come of it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use config::{ConfigErrors, IdentityProvider};
use saml_core::explain::{Fact, Facts};
use saml_core::{
    AcsUrl, Certificate, CertificateError, ClaimNames, DecryptionKeys, EntityId, IdError, IdpId, RequestId,
    ServiceProvider, Sign, Timestamp, TrustError, TrustedIdp,
};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::MAX_INPUT_BYTES;
use crate::keys::{KeyError, decryption_keys};

/// `clock_skew` where no settings say otherwise.
const DEFAULT_SKEW_SECONDS: u16 = 180;

const EXAMPLE: &str = "\
Examples:
  samlgate explain response.txt --config samlgate.yaml --request-id _0f3c...
  samlgate explain response.txt --idp-certificate certificate.pem --idp-entity-id jumpcloud-samlgate \\
      --audience https://app.example.com/saml/metadata --acs-url https://app.example.com/saml/acs \\
      --request-id _0f3c... --at 2026-11-23T14:44:31Z
  pbpaste | samlgate explain --config samlgate.yaml --json

The response is the field SAMLResponse of the POST to the ACS URL: in the browser's developer tools, Network tab
with \"Preserve log\", sign in, choose the request to /saml/acs, Payload (Firefox: Request), copy it. It holds
personal data and, for some minutes, is a key to the application: keep it as you keep a password.

Exit: 0 accepted, 1 refused or not decided for want of a fact, 2 nothing to explain.";

#[derive(Args)]
#[command(after_help = EXAMPLE)]
pub struct Arguments {
    /// The captured response: base64, XML or the whole form body; `-` or nothing reads standard input
    pub(super) file: Option<PathBuf>,

    /// Take the facts from these settings; flags go before them
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Which identity provider of the settings, where there are several
    #[arg(long, value_name = "ID", requires = "config")]
    idp: Option<String>,

    /// A certificate of the IdP, for JumpCloud certificate.pem; up to four
    #[arg(long, value_name = "FILE")]
    idp_certificate: Vec<PathBuf>,

    /// JumpCloud: IdP Entity ID
    #[arg(long, value_name = "TEXT", value_parser = EntityId::parse as fn(&str) -> Result<EntityId, IdError>)]
    idp_entity_id: Option<EntityId>,

    /// JumpCloud: SP Entity ID, by default `<public_url>/saml/metadata`
    #[arg(long, value_name = "TEXT", value_parser = EntityId::parse as fn(&str) -> Result<EntityId, IdError>)]
    audience: Option<EntityId>,

    /// JumpCloud: ACS URL, by default `<public_url>/saml/acs`
    #[arg(long, value_name = "URL", value_parser = AcsUrl::parse as fn(&str) -> Result<AcsUrl, IdError>)]
    acs_url: Option<AcsUrl>,

    /// The ID of the AuthnRequest that the response answers; it stands for the pending login
    #[arg(long, value_name = "ID", value_parser = RequestId::parse as fn(&str) -> Result<RequestId, IdError>)]
    request_id: Option<RequestId>,

    /// Judge times as of then, such as 2026-11-23T14:44:31Z; by default now
    #[arg(long, value_name = "TIME", value_parser = instant)]
    at: Option<Timestamp>,

    /// What must be signed; by default assertion_and_response
    #[arg(long, value_name = "WHAT", value_parser = sign())]
    sign: Option<Sign>,

    /// Write one JSON object, for programs
    #[arg(long)]
    pub(super) json: bool,
}

fn sign() -> impl TypedValueParser<Value = Sign> {
    PossibleValuesParser::new(["assertion_and_response", "response", "assertion", "any"]).map(|word| match &*word {
        "response" => Sign::Response,
        "assertion" => Sign::Assertion,
        "any" => Sign::Any,
        _ => Sign::AssertionAndResponse,
    })
}

/// RFC 3339, of which SAML's own form is a part.
fn instant(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = Timestamp::parse(text) {
        return Ok(instant);
    }
    let instant = OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|error| format!("{error}; wanted a time such as 2026-11-23T14:44:31Z"))?;
    Ok(Timestamp::from_unix(instant.unix_timestamp(), instant.nanosecond()))
}

/// Facts that cannot be had as the command line says.
#[derive(Debug, thiserror::Error)]
pub(super) enum FactsError {
    #[error("{0}")]
    Settings(#[from] ConfigErrors),
    #[error("`keys_dir`: {0}")]
    Keys(#[from] KeyError),
    #[error("the settings name no identity provider {wanted:?}: give --idp one of {known}")]
    UnknownIdp { wanted: String, known: String },
    #[error("the settings name several identity providers: give --idp one of {known}")]
    SeveralIdps { known: String },
    #[error("--idp-certificate {} cannot be read: {source}", file.display())]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("--idp-certificate {}: {source}", file.display())]
    Certificate { file: PathBuf, source: CertificateError },
    #[error("--idp-certificate: {0}")]
    Trust(#[from] TrustError),
    #[error("{0}")]
    Placeholder(#[from] IdError),
}

impl Arguments {
    pub(super) fn facts(&self) -> Result<Facts, FactsError> {
        let now = self.at.unwrap_or_else(|| std::time::SystemTime::now().into());
        let certificates = self.certificates()?;
        match &self.config {
            Some(file) => self.with_settings(file, certificates, now),
            None => self.bare(certificates, now),
        }
    }

    fn certificates(&self) -> Result<Vec<Certificate>, FactsError> {
        let mut certificates = Vec::new();
        for file in &self.idp_certificate {
            let mut bytes = Vec::new();
            File::open(file)
                .and_then(|opened| opened.take(MAX_INPUT_BYTES).read_to_end(&mut bytes))
                .map_err(|source| FactsError::Unreadable { file: file.clone(), source })?;
            let found = Certificate::parse_all(&bytes);
            certificates.extend(found.map_err(|source| FactsError::Certificate { file: file.clone(), source })?);
        }
        Ok(certificates)
    }

    fn with_settings(&self, file: &Path, certificates: Vec<Certificate>, now: Timestamp) -> Result<Facts, FactsError> {
        let settings = config::load(file, config::process_environment())?.settings;
        let idp = self.chosen(&settings.identity_providers)?;
        let sign = self.sign.unwrap_or(idp.sign);
        let entity_id = self.idp_entity_id.clone().unwrap_or_else(|| idp.entity_id.clone());
        // Those of `metadata_url` are not fetched for this: they must be given.
        let certificates = if certificates.is_empty() { idp.certificates().to_vec() } else { certificates };
        let idp = idp.trusting(certificates.clone())?.with(entity_id, certificates, sign)?;
        let known = &settings.service_provider;
        let sp = ServiceProvider {
            entity_id: self.audience.clone().unwrap_or_else(|| known.entity_id.clone()),
            acs_url: self.acs_url.clone().unwrap_or_else(|| known.acs_url.clone()),
            skew_seconds: known.skew_seconds,
        };
        let keys = decryption_keys(&settings)?;
        Ok(Facts { idp: Some(idp), sign, sp, keys, request: self.request_id.clone(), now, unknown: Vec::new() })
    }

    fn chosen<'a>(&self, idps: &'a [IdentityProvider]) -> Result<&'a IdentityProvider, FactsError> {
        let known = || idps.iter().map(|idp| idp.id.as_str()).collect::<Vec<_>>().join(", ");
        match (&self.idp, idps) {
            (Some(wanted), idps) => idps
                .iter()
                .find(|idp| idp.id.as_str() == wanted)
                .ok_or_else(|| FactsError::UnknownIdp { wanted: wanted.clone(), known: known() }),
            (None, [only]) => Ok(only),
            (None, _) => Err(FactsError::SeveralIdps { known: known() }),
        }
    }

    /// What is not given is named as unknown; what stands in its place is compared with nothing.
    fn bare(&self, certificates: Vec<Certificate>, now: Timestamp) -> Result<Facts, FactsError> {
        let sign = self.sign.unwrap_or(Sign::AssertionAndResponse);
        let given = [
            (Fact::IdpEntityId, self.idp_entity_id.is_some()),
            (Fact::Audience, self.audience.is_some()),
            (Fact::AcsUrl, self.acs_url.is_some()),
        ];
        let unknown = given.into_iter().filter(|(_, given)| !given).map(|(fact, _)| fact).collect();
        let entity_id = |given: &Option<EntityId>| given.clone().map_or_else(|| EntityId::parse("unknown"), Ok);
        let idp = if certificates.is_empty() {
            None
        } else {
            let id = IdpId::parse("idp")?;
            let entity_id = entity_id(&self.idp_entity_id)?;
            Some(TrustedIdp::new(id, entity_id, certificates, sign, ClaimNames::default())?)
        };
        let sp = ServiceProvider {
            entity_id: entity_id(&self.audience)?,
            acs_url: self.acs_url.clone().map_or_else(|| AcsUrl::parse("https://unknown.invalid/"), Ok)?,
            skew_seconds: DEFAULT_SKEW_SECONDS,
        };
        Ok(Facts { idp, sign, sp, keys: DecryptionKeys::none().into(), request: self.request_id.clone(), now, unknown })
    }
}
