//! The key that signs our messages, and the file that it comes in.

use std::fmt;

use aws_lc_rs::rand::SecureRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    RSA_PKCS1_SHA256, RsaKeyPair,
};
use zeroize::Zeroizing;

use super::certificate::OwnCertificate;
use super::signature::SigningError;
use crate::trust::CertificateError;

/// A private key with the certificate of its public half.
///
/// The file that it is read from is PEM and holds, in any order,
/// * one private key without a password: RSA of 2048 to 8192 bits in PKCS#8 (`PRIVATE KEY`) or PKCS#1
///   (`RSA PRIVATE KEY`), or an elliptic curve key on P-256 or P-384 in PKCS#8 or SEC 1 (`EC PRIVATE KEY`;
///   the `EC PARAMETERS` that OpenSSL puts before it are skipped);
/// * one `CERTIFICATE` of that very key, self-signed as a rule. IdPs get it in our metadata and in what we sign.
///
/// Text between the blocks is skipped.
pub struct SigningKey {
    pair: Pair,
    certificate: OwnCertificate,
}

enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
}

/// A file that holds no key of ours. None of the texts shows what is in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    #[error("key file is not PEM: make a new one with `samlgate keys generate`")]
    NotPem,
    #[error("key file holds {found} private keys: wanted one, in PKCS#8, PKCS#1 or SEC 1, with its certificate")]
    KeyCount { found: usize },
    #[error("key file holds a private key under a password: remove the password with `openssl pkey`")]
    Encrypted,
    #[error("key file holds a private key that cannot be used: RSA of 2048 to 8192 bits, P-256 and P-384 are read")]
    KeyUnusable,
    #[error("key file holds {found} certificates: wanted one, that of its key")]
    CertificateCount { found: usize },
    #[error("key file holds a certificate that cannot be used: {0}")]
    Certificate(#[source] CertificateError),
    #[error("key file holds a certificate of another key: wanted that of its own key")]
    CertificateOfOtherKey,
    #[error("key file holds a block {label:?}: wanted one private key and its certificate")]
    OtherBlock { label: String },
}

impl SigningKey {
    /// # Errors
    /// Anything but the one key and its certificate.
    pub fn from_pem(pem: &str) -> Result<Self, KeyFileError> {
        let (mut keys, mut certificates) = (Vec::new(), Vec::new());
        for block in pem::parse_many(pem).map_err(|_| KeyFileError::NotPem)? {
            let label = block.tag().to_owned();
            let der = Zeroizing::new(block.into_contents());
            match label.as_str() {
                "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => keys.push(der),
                "CERTIFICATE" => certificates.push(der.to_vec()),
                "EC PARAMETERS" => {}
                "ENCRYPTED PRIVATE KEY" => return Err(KeyFileError::Encrypted),
                _ => return Err(KeyFileError::OtherBlock { label: label.chars().take(64).collect() }),
            }
        }
        let [key] = keys.as_slice() else { return Err(KeyFileError::KeyCount { found: keys.len() }) };
        let pair = Pair::from_der(key).ok_or(KeyFileError::KeyUnusable)?;
        let [certificate] = <[Vec<u8>; 1]>::try_from(certificates)
            .map_err(|certificates| KeyFileError::CertificateCount { found: certificates.len() })?;
        let certificate = OwnCertificate::from_der(certificate).map_err(KeyFileError::Certificate)?;
        if !certificate.is_of(pair.public_key()) {
            return Err(KeyFileError::CertificateOfOtherKey);
        }
        Ok(Self { pair, certificate })
    }

    pub fn certificate(&self) -> &OwnCertificate {
        &self.certificate
    }

    /// The identifier of RFC 6931 §2.3 for what [`sign`](Self::sign) does.
    pub(crate) fn signature_method(&self) -> &'static str {
        match self.pair {
            Pair::Rsa(_) => "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            Pair::P256(_) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256",
            Pair::P384(_) => "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
        }
    }

    /// RSA PKCS#1 v1.5, or ECDSA as r and s side by side (XML Signature 1.1 §6.4.3).
    pub(super) fn sign(&self, random: &dyn SecureRandom, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, random, message, &mut signature).map_err(|_| SigningError)?;
                Ok(signature)
            }
            Pair::P256(pair) | Pair::P384(pair) => {
                Ok(pair.sign(random, message).map_err(|_| SigningError)?.as_ref().to_vec())
            }
        }
    }
}

impl Pair {
    /// The library tells the encodings apart; a key of another kind is none of them.
    fn from_der(der: &[u8]) -> Option<Self> {
        let rsa = || RsaKeyPair::from_pkcs8(der).or_else(|_| RsaKeyPair::from_der(der)).ok();
        let ecdsa = |curve: &'static EcdsaSigningAlgorithm| EcdsaKeyPair::from_private_key_der(curve, der).ok();
        ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)
            .map(Self::P256)
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING).map(Self::P384))
            .or_else(|| rsa().map(Self::Rsa))
    }

    fn public_key(&self) -> &[u8] {
        match self {
            Self::Rsa(pair) => pair.public_key().as_ref(),
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref(),
        }
    }
}

/// Nothing of the secret: the certificate alone says which key it is.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("certificate", &self.certificate.fingerprint()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der};
    use aws_lc_rs::rand::SystemRandom;

    use super::*;
    use crate::trust::{Certificate, HashAlgorithm};

    const RSA_KEY: &str = include_str!("../../../tests/keys/test-rsa-2048.pem");
    const RSA_CERTIFICATE: &str = include_str!("../../../tests/keys/test-rsa-2048.crt");

    fn block(label: &'static str, der: &[u8]) -> String {
        pem::encode(&pem::Pem::new(label, der))
    }

    #[track_caller]
    fn check(pem: &str, method: &str, hash: HashAlgorithm) {
        let key = SigningKey::from_pem(pem).unwrap();
        let signature = key.sign(&SystemRandom::new(), b"message").unwrap();
        assert!(key.signature_method().ends_with(method));
        let public = Certificate::parse_all(key.certificate().base64().as_bytes()).unwrap();
        assert!(public[0].key().verifies(hash, b"message", &signature));
        assert!(!public[0].key().verifies(hash, b"another", &signature));
    }

    #[test]
    fn signs_with_each_kind_of_key_in_each_encoding() {
        let pkcs8 = pem::parse(RSA_KEY).unwrap().into_contents();
        // PKCS#8 wraps the PKCS#1 key of RSA-2048 in 26 bytes.
        let pkcs1 = block("RSA PRIVATE KEY", &pkcs8[26..]);
        for pem in [RSA_KEY, &pkcs1] {
            check(&format!("{pem}{RSA_CERTIFICATE}"), "#rsa-sha256", HashAlgorithm::Sha256);
        }
        for (algorithm, signing, method, hash) in [
            (&rcgen::PKCS_ECDSA_P256_SHA256, &ECDSA_P256_SHA256_FIXED_SIGNING, "#ecdsa-sha256", HashAlgorithm::Sha256),
            (&rcgen::PKCS_ECDSA_P384_SHA384, &ECDSA_P384_SHA384_FIXED_SIGNING, "#ecdsa-sha384", HashAlgorithm::Sha384),
        ] {
            let pair = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
            let inner = EcdsaKeyPair::from_pkcs8(signing, &pair.serialize_der()).unwrap();
            let sec1: EcPrivateKeyRfc5915Der<'_> = inner.private_key().as_der().unwrap();
            let sec1 = block("EC PRIVATE KEY", sec1.as_ref());
            let parameters = block("EC PARAMETERS", &[6, 0]);
            for pem in [pair.serialize_pem(), sec1.clone(), parameters + &sec1] {
                check(&format!("{pem}{certificate}"), method, hash);
            }
        }
    }

    #[test]
    fn refuses_a_key_of_another_kind() {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let certificate = rcgen::CertificateParams::default().self_signed(&pair).unwrap().pem();
        let refusal = SigningKey::from_pem(&format!("{}{certificate}", pair.serialize_pem())).unwrap_err();
        assert_eq!(refusal, KeyFileError::KeyUnusable);
    }
}
