//! Whom we trust, and who we are: an IdP with its pinned keys and entity ID, and our own names.
//!
//! A certificate is a container for a key and a date to warn about; it is never validated as a
//! certificate (no chain, no extensions), as SAML Metadata Interoperability Profile 1.0 §2.6 says.

mod certificate;
mod decryption_key;
mod key;
mod pem;

pub use certificate::{Certificate, CertificateError, Fingerprint, FingerprintError};
pub(crate) use decryption_key::{AesGcm, KeyTransport};
pub use decryption_key::{DecryptionKey, DecryptionKeys, KeyPemError};
pub(crate) use key::{HashAlgorithm, KeyFamily};

use crate::claims::ClaimNames;
use crate::ids::{AcsUrl, EntityId, IdpId};

/// What of a Response must be signed. Every signature that is present is verified in any case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sign {
    AssertionAndResponse,
    Response,
    Assertion,
    /// At least one signature that covers the Assertion.
    Any,
}

/// The number of keys tried against one signature bounds what a hostile response costs.
pub(crate) const MAX_KEYS: usize = 4;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error("no certificate is given: without one no signature can be verified; give the IdP's certificate")]
    NoKey,
    #[error(
        "{count} certificates are given: at most {MAX_KEYS} are tried; remove those that the IdP no longer signs with"
    )]
    TooManyKeys { count: usize },
}

/// An identity provider: the only entity ID and the only keys that a response to one of its requests may carry.
#[derive(Clone, Debug)]
pub struct TrustedIdp {
    id: IdpId,
    entity_id: EntityId,
    certificates: Vec<Certificate>,
    sign: Sign,
    claims: ClaimNames,
    idp_initiated: bool,
    email_domains: Option<Vec<String>>,
    reserved: Vec<IdpId>,
}

impl TrustedIdp {
    /// # Errors
    /// Fewer than one or more than four different certificates.
    pub fn new(
        id: IdpId,
        entity_id: EntityId,
        mut certificates: Vec<Certificate>,
        sign: Sign,
        claims: ClaimNames,
    ) -> Result<Self, TrustError> {
        let mut seen = Vec::with_capacity(certificates.len());
        certificates.retain(|certificate| {
            let new = !seen.contains(&certificate.fingerprint());
            seen.push(certificate.fingerprint());
            new
        });
        match certificates.len() {
            0 => Err(TrustError::NoKey),
            1..=MAX_KEYS => Ok(Self {
                id,
                entity_id,
                certificates,
                sign,
                claims,
                idp_initiated: false,
                email_domains: None,
                reserved: Vec::new(),
            }),
            count => Err(TrustError::TooManyKeys { count }),
        }
    }

    /// The same IdP with these facts in the place of its own, as whoever explains a response gives them.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with(self, entity_id: EntityId, certificates: Vec<Certificate>, sign: Sign) -> Result<Self, TrustError> {
        let Self { id, claims, idp_initiated, email_domains, reserved, .. } = self;
        Ok(Self { idp_initiated, email_domains, reserved, ..Self::new(id, entity_id, certificates, sign, claims)? })
    }

    /// Lets it begin logins: a response may answer no request of ours (SAML Profiles 2.0 §4.1.5).
    #[must_use]
    pub fn allow_idp_initiated(self) -> Self {
        Self { idp_initiated: true, ..self }
    }

    /// The only e-mail domains that its word counts for; without this, all. It stands where there are
    /// several IdPs, so that none can name the users of another.
    #[must_use]
    pub fn speaking_for(self, email_domains: Vec<String>) -> Self {
        Self { email_domains: Some(email_domains), ..self }
    }

    /// The other IdPs whose users are called `<id>:<unique id>` by applications: no unique id of this
    /// one, whose users are called by their unique id alone, may look like that.
    #[must_use]
    pub fn reserving(self, others: Vec<IdpId>) -> Self {
        Self { reserved: others, ..self }
    }

    pub fn id(&self) -> &IdpId {
        &self.id
    }

    pub fn entity_id(&self) -> &EntityId {
        &self.entity_id
    }

    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    pub fn sign(&self) -> Sign {
        self.sign
    }

    pub fn claims(&self) -> &ClaimNames {
        &self.claims
    }

    pub fn may_initiate(&self) -> bool {
        self.idp_initiated
    }

    /// The part of an e-mail behind `@`, without regard to the case of ASCII letters.
    pub(crate) fn speaks_for(&self, email_domain: &str) -> bool {
        let Some(domains) = &self.email_domains else { return true };
        domains.iter().any(|domain| domain.eq_ignore_ascii_case(email_domain))
    }

    /// Applications may fold case, so case is no difference.
    pub(crate) fn is_reserved(&self, unique_id: &str) -> bool {
        let Some((prefix, _)) = unique_id.split_once(':') else { return false };
        self.reserved.iter().any(|other| other.as_str().eq_ignore_ascii_case(prefix))
    }
}

/// Who we are to every IdP.
#[derive(Clone, Debug)]
pub struct ServiceProvider {
    pub entity_id: EntityId,
    pub acs_url: AcsUrl,
    /// How far the clocks may differ, in seconds; the settings allow 0 to 300.
    pub skew_seconds: u16,
}
