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
