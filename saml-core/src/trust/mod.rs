//! Whom we trust, and who we are: an IdP with its pinned keys and entity ID, and our own names.
//!
//! A certificate is a container for a key and a date to warn about; it is never validated as a
//! certificate (no chain, no extensions), as SAML Metadata Interoperability Profile 1.0 §2.6 says.

mod certificate;
mod key;
mod pem;

pub use certificate::{Certificate, CertificateError, Fingerprint};
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
            1..=MAX_KEYS => Ok(Self { id, entity_id, certificates, sign, claims }),
            count => Err(TrustError::TooManyKeys { count }),
        }
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
}

/// Who we are to every IdP.
#[derive(Clone, Debug)]
pub struct ServiceProvider {
    pub entity_id: EntityId,
    pub acs_url: AcsUrl,
    /// How far the clocks may differ, in seconds; the settings allow 0 to 300.
    pub skew_seconds: u16,
}
