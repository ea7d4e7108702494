//! What leaves the process is encrypted and authenticated under a key that is made for it alone.
//!
//! Sealed: a version, 16 random bytes, AES-256-GCM of the content (NIST SP 800-38D). Its key comes by HKDF-SHA256
//! (RFC 5869) from the secret, with those bytes as the salt and with what the content is for, and of whom, as `info`.
//! So no key encrypts twice, and nothing that is sealed can be passed off as something else.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use crate::keys::{Key, KeyRing};
use crate::session::RandomError;

const VERSION: u8 = 1;
const SALT_BYTES: usize = 16;

/// What a sealed content is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Session,
    SessionIndex,
    PendingLogin,
    PendingLogout,
    Revocation,
    CarriedSession,
    CarriedLogin,
    CarriedLogout,
    Form,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Session => b"samlgate session\0",
            Self::SessionIndex => b"samlgate session index\0",
            Self::PendingLogin => b"samlgate pending login\0",
            Self::PendingLogout => b"samlgate pending logout\0",
            Self::Revocation => b"samlgate revocation\0",
            Self::CarriedSession => b"samlgate carried session\0",
            Self::CarriedLogin => b"samlgate carried login\0",
            Self::CarriedLogout => b"samlgate carried logout\0",
            Self::Form => b"samlgate form\0",
        }
    }
}

/// The keys of one ring, in the hands of one application.
pub(crate) struct Seal {
    /// Our entity ID: what another application sealed, even under the same keys, does not open.
    pub(crate) owner: String,
    pub(crate) keys: Arc<KeyRing>,
}

impl Seal {
    pub(crate) fn new(owner: &str, keys: &Arc<KeyRing>) -> Self {
        Self { owner: owner.to_owned(), keys: Arc::clone(keys) }
    }

    /// Under the current key.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn seal(&self, purpose: Purpose, of: &[u8], content: &[u8]) -> Result<Vec<u8>, RandomError> {
        self.seal_with(&[], purpose, of, content)
    }

    /// As [`Seal::seal`], under the key and `secret` together: who has one of them alone opens nothing, and makes nothing
    /// that opens.
    pub(crate) fn seal_with(
        &self,
        secret: &[u8],
        purpose: Purpose,
        of: &[u8],
        content: &[u8],
    ) -> Result<Vec<u8>, RandomError> {
        seal(&together(self.keys.current(), secret), purpose, &self.of(of), content)
    }

    /// By whichever key of the ring.
    pub(crate) fn open(&self, purpose: Purpose, of: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_with(&[], purpose, of, sealed)
    }

    pub(crate) fn open_with(&self, secret: &[u8], purpose: Purpose, of: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let of = self.of(of);
        self.keys.all().find_map(|key| open(&together(key, secret), purpose, &of, sealed))
    }

    fn of(&self, what: &[u8]) -> Vec<u8> {
        // An entity ID holds no NUL.
        [self.owner.as_bytes(), b"\0", what].concat()
    }
}

fn together(key: &Key, secret: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new([key.bytes(), secret].concat())
}

/// `of` names whose content it is, such as a session's key: another's cannot be put in its place.
///
/// # Errors
/// The random source failed.
fn seal(secret: &[u8], purpose: Purpose, of: &[u8], content: &[u8]) -> Result<Vec<u8>, RandomError> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|aws_lc_rs::error::Unspecified| RandomError)?;
    let mut sealed = content.to_vec();
    let tag = key(secret, purpose, of, &salt)
        .and_then(|key| key.seal_in_place_separate_tag(nonce(), Aad::empty(), &mut sealed).ok())
        .ok_or(RandomError)?;
    let mut whole = Vec::with_capacity(1 + SALT_BYTES + sealed.len() + tag.as_ref().len());
    whole.push(VERSION);
    for part in [salt.as_slice(), &sealed, tag.as_ref()] {
        whole.extend_from_slice(part);
    }
    Ok(whole)
}

/// Nothing unless it was sealed with this secret, for this purpose and of the same.
fn open(secret: &[u8], purpose: Purpose, of: &[u8], whole: &[u8]) -> Option<Vec<u8>> {
    let (salt, sealed) = whole.strip_prefix(&[VERSION])?.split_first_chunk::<SALT_BYTES>()?;
    let mut content = sealed.to_vec();
    let length = key(secret, purpose, of, salt)?.open_in_place(nonce(), Aad::empty(), &mut content).ok()?.len();
    content.truncate(length);
    Some(content)
}

fn key(secret: &[u8], purpose: Purpose, of: &[u8], salt: &[u8]) -> Option<LessSafeKey> {
    let info = [purpose.label(), of];
    let secret = Salt::new(HKDF_SHA256, salt).extract(secret);
    let key = UnboundKey::from(secret.expand(&info, &AES_256_GCM).ok()?);
    Some(LessSafeKey::new(key))
}

/// Each key has one message.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_sealed_opens_for_the_same_and_for_nobody_else(
            content in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(),
            bit in 0..8_u8,
        ) {
            let sealed = seal(&[1; 32], Purpose::Session, b"a", &content).unwrap();
            prop_assert_eq!(open(&[1; 32], Purpose::Session, b"a", &sealed), Some(content));
            prop_assert_eq!(open(&[2; 32], Purpose::Session, b"a", &sealed), None);
            prop_assert_eq!(open(&[1; 32], Purpose::PendingLogin, b"a", &sealed), None);
            prop_assert_eq!(open(&[1; 32], Purpose::Session, b"b", &sealed), None);
            let mut altered = sealed;
            let place = at.index(altered.len());
            altered[place] ^= 1 << bit;
            prop_assert_eq!(open(&[1; 32], Purpose::Session, b"a", &altered), None);
        }

        #[test]
        fn what_was_not_sealed_does_not_open(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert_eq!(open(&[1; 32], Purpose::Session, b"a", &bytes), None);
        }
    }

    #[test]
    fn the_same_content_is_never_sealed_alike() {
        let once = || seal(&[1; 32], Purpose::Session, b"a", b"content").unwrap();
        assert_ne!(once(), once());
    }
}
