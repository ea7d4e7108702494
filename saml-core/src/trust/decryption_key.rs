//! Our own private keys, with which assertions are decrypted. They sign nothing: where one key serves two
//! purposes, the weakness of one becomes the weakness of the other.

use std::fmt;

use aws_lc_rs::aead;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    KeyPair, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use zeroize::Zeroizing;

const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;

/// How the key of an assertion's encryption travels: RSA-OAEP, with one hash for both of its purposes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyTransport {
    /// Inside OAEP nothing hangs on SHA-1's resistance to collisions, and most IdPs know only this.
    OaepSha1,
    OaepSha256,
}

impl KeyTransport {
    fn algorithm(self) -> &'static OaepAlgorithm {
        match self {
            Self::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
            Self::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
        }
    }
}

/// How an assertion is encrypted: AES-GCM, which tells when anything was changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum AesGcm {
    Bits128,
    Bits192,
    Bits256,
}

impl AesGcm {
    pub(crate) fn algorithm(self) -> &'static aead::Algorithm {
        match self {
            Self::Bits128 => &aead::AES_128_GCM,
            Self::Bits192 => &aead::AES_192_GCM,
            Self::Bits256 => &aead::AES_256_GCM,
        }
    }

    pub(crate) fn key_length(self) -> usize {
        self.algorithm().key_len()
    }
}

/// Text that holds no private key to decrypt with. Nothing of the text stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyPemError {
    #[error("decryption key is not PEM: give one whole block, from -----BEGIN PRIVATE KEY----- to its END line")]
    NotPem,
    #[error("decryption key file holds {found} PEM blocks: give one, the private key")]
    NotOne { found: usize },
    #[error(
        "decryption key is of another kind: give an RSA key as PRIVATE KEY (PKCS#8) or RSA PRIVATE KEY, without a password"
    )]
    OtherKind,
    #[error(
        "decryption key is not an RSA private key of {MIN_RSA_BITS} to {MAX_RSA_BITS} bits: make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`"
    )]
    NotRsa,
}

/// An RSA private key. It cannot be copied or printed. The library wipes it when it is dropped.
pub struct DecryptionKey {
    private: OaepPrivateDecryptingKey,
    public_der: Box<[u8]>,
}

impl DecryptionKey {
    /// Reads one PEM block: PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// Anything else, or a key of another size.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyPemError> {
        // What the PEM reader says of a damaged block quotes from it, so its words are not passed on.
        let Ok(blocks) = pem::parse_many(pem) else { return Err(KeyPemError::NotPem) };
        let found = blocks.len();
        let mut blocks =
            blocks.into_iter().map(|block| (block.tag().to_owned(), Zeroizing::new(block.into_contents())));
        let (tag, der) = match (blocks.next(), blocks.next()) {
            (Some(block), None) => block,
            (None, _) => return Err(KeyPemError::NotPem),
            (Some(_), Some(_)) => return Err(KeyPemError::NotOne { found }),
        };
        let key = match tag.as_str() {
            "PRIVATE KEY" => PrivateDecryptingKey::from_pkcs8(&der).ok(),
            "RSA PRIVATE KEY" => from_pkcs1(&der),
            _ => return Err(KeyPemError::OtherKind),
        };
        key.and_then(Self::of).ok_or(KeyPemError::NotRsa)
    }

    fn of(key: PrivateDecryptingKey) -> Option<Self> {
        let public: PublicKeyX509Der<'_> = key.public_key().as_der().ok()?;
        let public_der = public.as_ref().into();
        Some(Self { private: OaepPrivateDecryptingKey::new(key).ok()?, public_der })
    }

    /// The key that `wrapped` holds, for whatever cipher.
    pub(crate) fn unwrap_key(&self, transport: KeyTransport, wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let mut buffer = Zeroizing::new(vec![0; self.private.min_output_size()]);
        let unwrapped = self.private.decrypt(transport.algorithm(), wrapped, &mut buffer, None).ok()?;
        Some(Zeroizing::new(unwrapped.to_vec()))
    }

    /// SubjectPublicKeyInfo of the public half, for our metadata.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_der
    }
}

/// The library takes PKCS#8 only for this purpose, and writes it from PKCS#1.
fn from_pkcs1(der: &[u8]) -> Option<PrivateDecryptingKey> {
    let pkcs8 = KeyPair::from_der(der).ok()?.as_der().ok()?;
    PrivateDecryptingKey::from_pkcs8(pkcs8.as_ref()).ok()
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DecryptionKey(RSA {})", self.private.key_size_bits())
    }
}

/// The keys that may decrypt: the current one, and those before and after it while IdPs learn of a change.
#[derive(Debug, Default)]
pub struct DecryptionKeys {
    current: Option<DecryptionKey>,
    previous: Option<DecryptionKey>,
    next: Option<DecryptionKey>,
}

impl DecryptionKeys {
    /// No key: every encrypted assertion is refused.
    pub fn none() -> Self {
        Self::default()
    }

    pub fn new(current: DecryptionKey, previous: Option<DecryptionKey>, next: Option<DecryptionKey>) -> Self {
        Self { current: Some(current), previous, next }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// The one that IdPs are told to encrypt for.
    pub fn current(&self) -> Option<&DecryptionKey> {
        self.current.as_ref()
    }

    /// Current first, for that is what most of what arrives was made for.
    pub fn all(&self) -> impl Iterator<Item = &DecryptionKey> {
        [&self.current, &self.previous, &self.next].into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::KeySize;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo};

    use super::*;

    fn pem(tag: &str, der: &[u8]) -> String {
        format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", STANDARD.encode(der))
    }

    /// PKCS#8 of a new RSA key.
    fn pkcs8(size: KeySize) -> Vec<u8> {
        let key = PrivateDecryptingKey::generate(size).unwrap();
        key.as_der().unwrap().as_ref().to_vec()
    }

    #[track_caller]
    fn check(text: &str, expected: Result<(), KeyPemError>) {
        assert_eq!(DecryptionKey::from_pem(text.as_bytes()).map(drop), expected);
    }

    #[test]
    fn reads_pkcs8_and_pkcs1_as_the_same_key() {
        let der = pkcs8(KeySize::Rsa2048);
        // RFC 5958 §2: version, algorithm, and then the RSAPrivateKey in an OCTET STRING.
        let pkcs1 = &der[26..];
        let new = DecryptionKey::from_pem(pem("PRIVATE KEY", &der).as_bytes()).unwrap();
        let old = DecryptionKey::from_pem(pem("RSA PRIVATE KEY", pkcs1).as_bytes()).unwrap();
        assert_eq!(new.public_key_der(), old.public_key_der());
        assert!(SubjectPublicKeyInfo::from_der(new.public_key_der()).is_ok());
    }

    #[test]
    fn refuses_everything_else_without_a_word_of_it() {
        let der = pkcs8(KeySize::Rsa2048);
        let good = pem("PRIVATE KEY", &der);
        check(&good, Ok(()));
        check("", Err(KeyPemError::NotPem));
        check("no PEM", Err(KeyPemError::NotPem));
        check(&good[..good.len() / 2], Err(KeyPemError::NotPem));
        check(&format!("{good}{good}"), Err(KeyPemError::NotOne { found: 2 }));
        check(&pem("ENCRYPTED PRIVATE KEY", &der), Err(KeyPemError::OtherKind));
        check(&pem("CERTIFICATE", &der), Err(KeyPemError::OtherKind));
        check(&pem("RSA PRIVATE KEY", &der), Err(KeyPemError::NotRsa));
        check(&pem("PRIVATE KEY", &der[..der.len() - 1]), Err(KeyPemError::NotRsa));
        let p256 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        check(&p256.serialize_pem(), Err(KeyPemError::NotRsa));
        check(WEAK, Err(KeyPemError::NotRsa));
    }

    /// A test key that protects nothing: `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024`.
    const WEAK: &str = include_str!("../../tests/vectors/test-weak-rsa-1024.pem");

    #[test]
    fn prints_nothing_of_itself() {
        let der = pkcs8(KeySize::Rsa2048);
        let key = DecryptionKey::from_pem(pem("PRIVATE KEY", &der).as_bytes()).unwrap();
        assert_eq!(format!("{key:?}"), "DecryptionKey(RSA 2048)");
        let keys = DecryptionKeys::new(key, None, None);
        assert!(!keys.is_empty() && DecryptionKeys::none().is_empty());
        assert!(format!("{keys:?}").len() < 120, "{keys:?}");
    }

    #[test]
    fn tries_the_current_key_first() {
        let key = || DecryptionKey::from_pem(pem("PRIVATE KEY", &pkcs8(KeySize::Rsa2048)).as_bytes()).unwrap();
        let (current, previous, next) = (key(), key(), key());
        let wanted = [&current, &previous, &next].map(|key| key.public_key_der().to_vec());
        let keys = DecryptionKeys::new(current, Some(previous), Some(next));
        let tried: Vec<Vec<u8>> = keys.all().map(|key| key.public_key_der().to_vec()).collect();
        assert_eq!(tried, wanted);
        assert_eq!(keys.current().unwrap().public_key_der(), wanted[0]);
    }
}
