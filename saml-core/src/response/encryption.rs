//! Decryption of an assertion, and the reading of what comes out.
//!
//! It is done only with what a verified Response says, so whoever made the ciphertext holds the IdP's
//! key; a stranger gets no answer about ciphertext of their own. Even so every failure from the key
//! transport to the plaintext's grammar has one code, and a failed key transport takes the same way as a
//! failed decryption.

use aws_lc_rs::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::digest;
use zeroize::Zeroizing;

use super::encryption_shape::EncryptedShape;
use super::shape::{self, AssertionShape};
use super::signature::decode;
use crate::rejection::Rejection;
use crate::trust::{AesGcm, DecryptionKey, DecryptionKeys};
use crate::xml::{Comments, Document, Limits, XmlText, parse};

/// The Assertion that `encrypted` holds, as a document of its own: nothing of the Response around it, no
/// namespace either, is in force there. Its IDs are none of `shell`, the document as it arrived.
///
/// # Errors
/// [`Rejection::DecryptionFailed`].
pub(super) fn decrypt(
    document: &Document,
    encrypted: &EncryptedShape,
    keys: &DecryptionKeys,
    shell: &Document,
) -> Result<(Document, AssertionShape), Rejection> {
    let plaintext = open(document, encrypted, keys)?;
    read(plaintext, shell).map_err(|rejection| Rejection::DecryptionFailed {
        problem: format!("what was encrypted is refused ({}): {rejection}", rejection.code()),
    })
}

fn read(plaintext: Vec<u8>, shell: &Document) -> Result<(Document, AssertionShape), Rejection> {
    let document = parse(XmlText::admit(plaintext)?, &Limits::RESPONSE, Comments::Refuse)?;
    let shape = shape::assertion(&document, Document::ROOT)?;
    shape::check_ids(&[shell, &document])?;
    Ok((document, shape))
}

fn open(document: &Document, encrypted: &EncryptedShape, keys: &DecryptionKeys) -> Result<Vec<u8>, Rejection> {
    let failed = |problem: &str| Rejection::DecryptionFailed { problem: problem.to_owned() };
    let value = |node| decode(document.text_only(node).unwrap_or_default());
    let (Ok(wrapped), Ok(data)) = (value(encrypted.key), value(encrypted.data)) else {
        return Err(failed("a CipherValue is not canonical base64"));
    };
    keys.all()
        .find_map(|key| open_with(key, encrypted, &wrapped, &data))
        .ok_or_else(|| failed("none of our keys decrypts it, or it was damaged"))
}

/// One key transport and one decryption, whatever comes of the first: where the content key is not to be
/// had, the decryption is carried out with another of the same length and its result thrown away. OAEP's
/// own checks take constant time in the library, and so does the comparison of the tag.
fn open_with(key: &DecryptionKey, encrypted: &EncryptedShape, wrapped: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let length = encrypted.cipher.key_length();
    let unwrapped = key.unwrap_key(encrypted.transport, wrapped).filter(|content_key| content_key.len() == length);
    let genuine = unwrapped.is_some();
    let content_key = unwrapped.unwrap_or_else(|| substitute(wrapped, length));
    let opened = open_gcm(encrypted.cipher, &content_key, data);
    opened.filter(|_| genuine)
}

/// Anybody can compute it, so nothing that it opens is ever used.
fn substitute(wrapped: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let digest = digest::digest(&digest::SHA256, wrapped);
    Zeroizing::new(digest.as_ref().iter().copied().take(length).collect())
}

/// XML Encryption 1.1 §5.2.4: 96 bits of IV, the ciphertext, 128 bits of tag.
fn open_gcm(cipher: AesGcm, content_key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = data.split_at_checked(NONCE_LEN)?;
    let key = LessSafeKey::new(UnboundKey::new(cipher.algorithm(), content_key).ok()?);
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut plaintext = sealed.to_vec();
    let length = key.open_in_place(nonce, Aad::empty(), &mut plaintext).ok()?.len();
    plaintext.truncate(length);
    Some(plaintext)
}

#[cfg(test)]
mod tests {
    use super::*;

    // It stands in for a content key that was not to be had, so that the time tells no difference.
    #[test]
    fn the_substitute_is_a_key_of_the_length_asked_for_and_another_for_each_wrapped_key() {
        for cipher in [AesGcm::Bits128, AesGcm::Bits192, AesGcm::Bits256] {
            let length = cipher.key_length();
            let key = substitute(b"wrapped", length);
            assert_eq!(key.len(), length);
            assert!(UnboundKey::new(cipher.algorithm(), &key).is_ok());
            assert_ne!(*key, *substitute(b"another", length));
        }
    }
}
