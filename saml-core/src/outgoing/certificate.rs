//! A certificate of our own: the container in which an IdP is told our public key.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::time::Timestamp;
use crate::trust::{Certificate, CertificateError, Fingerprint};

/// Self-signed and long-lived: an IdP takes the key out of it and nothing else
/// (SAML Metadata Interoperability Profile 1.0 §2.6).
#[derive(Debug, Clone)]
pub struct OwnCertificate {
    der: Box<[u8]>,
    certificate: Certificate,
}

impl OwnCertificate {
    /// # Errors
    /// Not X.509, or of a key that we would not trust either.
    pub fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        Ok(Self { certificate: Certificate::from_der(&der)?, der: der.into() })
    }

    /// As `ds:X509Certificate` holds it.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.certificate.fingerprint()
    }

    pub fn not_after(&self) -> Timestamp {
        self.certificate.not_after()
    }

    /// Such as `RSA 2048` or `ECDSA P-256`.
    pub fn key_description(&self) -> String {
        self.certificate.key_description()
    }

    /// Whether it is of the key whose public half, as the library writes it, is `public`.
    pub(crate) fn is_of(&self, public: &[u8]) -> bool {
        self.certificate.key().is_public_key(public)
    }
}
