//! Signing keys: made on the spot, or one of the committed test keys.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_SHA256, RsaKeyPair, UnparsedPublicKey,
};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, RsaKeySize};
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    Rsa2048,
    Rsa4096,
    P256,
}

/// A private key with the self-signed certificate that is given to service providers.
pub struct SigningKey {
    pair: Pair,
    key_pem: String,
    certificate_pem: String,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// A fresh key. The certificate looks like JumpCloud's: same subject fields, valid for five years.
    pub fn generate(kind: KeyKind, organisation: &str) -> Self {
        let pair = match kind {
            KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_2048),
            KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, RsaKeySize::_4096),
            KeyKind::P256 => KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256),
        }
        .expect("a key can be made");
        let certificate =
            certificate_like_jumpclouds(organisation).self_signed(&pair).expect("a certificate can be signed");
        Self::from_pem(&pair.serialize_pem(), &certificate.pem())
    }

    /// From a PKCS#8 key and its certificate, both PEM.
    pub fn from_pem(key_pem: &str, certificate_pem: &str) -> Self {
        let pkcs8 = der_of_pem(key_pem);
        let pair = match RsaKeyPair::from_pkcs8(&pkcs8) {
            Ok(rsa) => Pair::Rsa(rsa),
            Err(_) => Pair::P256(
                EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8)
                    .expect("the key is RSA or P-256, in PKCS#8"),
            ),
        };
        Self { pair, key_pem: key_pem.to_owned(), certificate_pem: certificate_pem.to_owned() }
    }

    pub fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The base64 lines of the certificate joined, as `ds:X509Certificate` holds them.
    pub fn certificate_base64(&self) -> String {
        base64_of_pem(&self.certificate_pem)
    }

    /// The identifier of XML Signature for what [`SigningKey::sign`] does.
    pub fn signature_algorithm(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Pair::P256(_) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
        }
    }

    /// RSA PKCS#1 v1.5, or ECDSA as r||s, over SHA-256 of `message`.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).expect("RSA signs");
                signature
            }
            Pair::P256(pair) => pair.sign(&random, message).expect("ECDSA signs").as_ref().to_vec(),
        }
    }

    /// Whether [`SigningKey::sign`] made `signature`.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let verified = match &self.pair {
            Pair::Rsa(pair) => UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
                .verify(message, signature),
            Pair::P256(pair) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref()).verify(message, signature)
            }
        };
        verified.is_ok()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("signature_algorithm", &self.signature_algorithm()).finish_non_exhaustive()
    }
}

fn certificate_like_jumpclouds(organisation: &str) -> CertificateParams {
    let mut subject = DistinguishedName::new();
    for (field, value) in [
        (DnType::CountryName, "US"),
        (DnType::StateOrProvinceName, "CO"),
        (DnType::LocalityName, "Boulder"),
        (DnType::OrganizationName, organisation),
        (DnType::OrganizationalUnitName, "JumpCloudSAMLIdP"),
        (DnType::CommonName, "JumpCloudSAMLUser"),
    ] {
        subject.push(field, value);
    }
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = OffsetDateTime::now_utc() - Duration::MINUTE;
    params.not_after = params.not_before + 5 * 365 * Duration::DAY;
    params
}

fn base64_of_pem(pem: &str) -> String {
    pem.lines().map(str::trim).filter(|line| !line.starts_with("-----")).collect()
}

pub(super) fn der_of_pem(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64_of_pem(pem)).expect("the PEM holds base64")
}

macro_rules! committed_key {
    ($(#[$doc:meta])* $function:ident, $file:literal) => {
        $(#[$doc])*
        pub fn $function() -> &'static Arc<SigningKey> {
            static KEY: OnceLock<Arc<SigningKey>> = OnceLock::new();
            KEY.get_or_init(|| {
                Arc::new(SigningKey::from_pem(
                    include_str!(concat!("../../tests/keys/", $file, ".pem")),
                    include_str!(concat!("../../tests/keys/", $file, ".crt")),
                ))
            })
        }
    };
}

/// The committed keys of `tests/keys`, for making an RSA-4096 key in every test is slow.
pub mod test_keys {
    use super::{Arc, OnceLock, SigningKey};

    committed_key!(rsa_4096, "test-rsa-4096");
    committed_key!(rsa_2048, "test-rsa-2048");
    committed_key!(
        /// A key that no service provider of a test has pinned.
        stranger,
        "test-stranger-rsa-2048"
    );
    committed_key!(p256, "test-p256");
    committed_key!(
        /// A service provider's, which assertions are encrypted for. It signs nothing.
        decryption,
        "test-decryption-rsa-2048"
    );
    committed_key!(decryption_previous, "test-decryption-previous-rsa-2048");
}
