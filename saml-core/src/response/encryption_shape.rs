//! The closed grammar of an EncryptedAssertion (SAML Core 2.0 §2.3.4, XML Encryption 1.1 §3): one
//! EncryptedData, one EncryptedKey for it, both with their bytes in place. What points elsewhere is
//! refused or compared, and never followed.

use super::grammar::{Content, attributes, empty_with, refused, required_attribute, text_with};
use super::signature_shape::unread_key_info;
use crate::rejection::{Rejection, shortened};
use crate::trust::{AesGcm, KeyTransport};
use crate::xml::{Attr, AttrSet, Document, NodeId, Tag};

#[derive(Debug)]
pub(super) struct EncryptedShape {
    pub(super) cipher: AesGcm,
    /// The CipherValue of the EncryptedData.
    pub(super) data: NodeId,
    pub(super) transport: KeyTransport,
    /// The CipherValue of the EncryptedKey.
    pub(super) key: NodeId,
}

const ELEMENT_TYPE: &str = "http://www.w3.org/2001/04/xmlenc#Element";
const KEY_TYPE: &str = "http://www.w3.org/2001/04/xmlenc#EncryptedKey";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const MGF1_SHA256: &str = "http://www.w3.org/2009/xmlenc11#mgf1sha256";

const ALGORITHM: AttrSet = AttrSet::EMPTY.with(Attr::Algorithm);
const WITH_ID: AttrSet = AttrSet::EMPTY.with(Attr::Id);

/// # Errors
/// Anything outside the grammar; [`Rejection::EncryptionAlgorithmForbidden`] before anything is decrypted.
pub(super) fn encrypted_assertion(document: &Document, node: NodeId) -> Result<EncryptedShape, Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let data_node = content.required(Tag::EncryptedData)?;
    let beside = content.repeated(Tag::EncryptedKey);
    content.end()?;

    attributes(document, data_node, WITH_ID.with(Attr::Type))?;
    check_type(document, data_node, ELEMENT_TYPE)?;
    let mut content = Content::of(document, data_node)?;
    let method = content.required(Tag::EncryptionMethod)?;
    let cipher = content_cipher(algorithm(document, method)?)?;
    empty_with(document, method, ALGORITHM)?;
    let pointer = content.optional(Tag::KeyInfo).map(|node| key_pointer(document, node)).transpose()?;
    let data = cipher_value(document, content.required(Tag::CipherData)?)?;
    content.end()?;

    let key_node = match (pointer, beside.as_slice()) {
        (Some(KeyPointer::Inside(key)), []) => key,
        (None, [key]) => *key,
        (Some(KeyPointer::Reference(reference)), [key]) => {
            refuse_other_reference(document, reference, *key)?;
            *key
        }
        _ => return Err(refused(document, node, "it holds no EncryptedKey, or more than one")),
    };
    let (transport, key) = encrypted_key(document, key_node, data_node)?;
    Ok(EncryptedShape { cipher, data, transport, key })
}

/// Where the KeyInfo of an EncryptedData says that the key is.
enum KeyPointer {
    Inside(NodeId),
    /// A RetrievalMethod.
    Reference(NodeId),
}

fn key_pointer(document: &Document, node: NodeId) -> Result<KeyPointer, Rejection> {
    attributes(document, node, WITH_ID)?;
    let mut content = Content::of(document, node)?;
    let pointer = match content.optional(Tag::RetrievalMethod) {
        Some(reference) => {
            empty_with(document, reference, AttrSet::EMPTY.with(Attr::Uri).with(Attr::Type))?;
            check_type(document, reference, KEY_TYPE)?;
            KeyPointer::Reference(reference)
        }
        None => KeyPointer::Inside(content.required(Tag::EncryptedKey)?),
    };
    content.end()?;
    Ok(pointer)
}

fn encrypted_key(document: &Document, node: NodeId, data: NodeId) -> Result<(KeyTransport, NodeId), Rejection> {
    attributes(document, node, WITH_ID.with(Attr::Type).with(Attr::Recipient))?;
    check_type(document, node, KEY_TYPE)?;
    let mut content = Content::of(document, node)?;
    let transport = key_transport(document, content.required(Tag::EncryptionMethod)?)?;
    if let Some(key_info) = content.optional(Tag::KeyInfo) {
        unread_key_info(document, key_info)?;
    }
    let key = cipher_value(document, content.required(Tag::CipherData)?)?;
    if let Some(list) = content.optional(Tag::ReferenceList) {
        attributes(document, list, AttrSet::EMPTY)?;
        let mut references = Content::of(document, list)?;
        let reference = references.required(Tag::DataReference)?;
        references.end()?;
        empty_with(document, reference, AttrSet::EMPTY.with(Attr::Uri))?;
        refuse_other_reference(document, reference, data)?;
    }
    content.end()?;
    Ok((transport, key))
}

/// A reference is only compared with the Id of the one element that it can mean.
fn refuse_other_reference(document: &Document, reference: NodeId, target: NodeId) -> Result<(), Rejection> {
    let uri = required_attribute(document, reference, Attr::Uri, "URI")?;
    let id = document.attribute(target, Attr::Id);
    if id.is_some() && uri.strip_prefix('#') == id {
        return Ok(());
    }
    Err(refused(document, reference, &format!("it does not refer to the {} there", document.tag(target).local_name())))
}

/// Bytes in place: no CipherReference, which would be fetched.
fn cipher_value(document: &Document, node: NodeId) -> Result<NodeId, Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let value = content.required(Tag::CipherValue)?;
    content.end()?;
    text_with(document, value, AttrSet::EMPTY)?;
    Ok(value)
}

fn check_type(document: &Document, node: NodeId, wanted: &str) -> Result<(), Rejection> {
    match document.attribute(node, Attr::Type) {
        Some(seen) if seen != wanted => Err(refused(document, node, "its Type is of something else")),
        _ => Ok(()),
    }
}

fn algorithm(document: &Document, node: NodeId) -> Result<&str, Rejection> {
    required_attribute(document, node, Attr::Algorithm, "Algorithm")
}

/// XML Encryption 1.1 §5.2.4. CBC is refused: how its padding fails tells the plaintext to who may ask
/// often (Jager and Somorovsky, CCS 2011).
fn content_cipher(uri: &str) -> Result<AesGcm, Rejection> {
    match uri {
        "http://www.w3.org/2009/xmlenc11#aes128-gcm" => Ok(AesGcm::Bits128),
        "http://www.w3.org/2009/xmlenc11#aes192-gcm" => Ok(AesGcm::Bits192),
        "http://www.w3.org/2009/xmlenc11#aes256-gcm" => Ok(AesGcm::Bits256),
        other => Err(Rejection::EncryptionAlgorithmForbidden { seen: shortened(other) }),
    }
}

/// XML Encryption 1.1 §5.5. PKCS#1 v1.5 is refused (Bleichenbacher's attack), and so is whatever
/// mixture of hashes the two identifiers of OAEP can be given.
fn key_transport(document: &Document, node: NodeId) -> Result<KeyTransport, Rejection> {
    attributes(document, node, ALGORITHM)?;
    let uri = algorithm(document, node)?;
    let forbidden = |seen: &str| Rejection::EncryptionAlgorithmForbidden { seen: shortened(seen) };
    if !matches!(uri, "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p" | "http://www.w3.org/2009/xmlenc11#rsa-oaep") {
        return Err(forbidden(uri));
    }
    let (digest, mask) = oaep_parameters(document, node)?;
    match (uri, digest, mask) {
        // §5.5.2: its mask generation function is fixed, and its digest is SHA-1 unless it says otherwise.
        ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", None | Some(SHA1), None) => Ok(KeyTransport::OaepSha1),
        ("http://www.w3.org/2009/xmlenc11#rsa-oaep", Some(SHA256), Some(MGF1_SHA256)) => Ok(KeyTransport::OaepSha256),
        (uri, digest, mask) => Err(forbidden(&format!(
            "{uri}, DigestMethod {}, MGF {}",
            digest.unwrap_or("absent"),
            mask.unwrap_or("absent")
        ))),
    }
}

/// The DigestMethod and the MGF, in any order.
fn oaep_parameters(document: &Document, node: NodeId) -> Result<(Option<&str>, Option<&str>), Rejection> {
    let mut content = Content::of(document, node)?;
    let (mut digest, mut mask) = (None, None);
    while let Some(parameter) = content.next() {
        let slot = match document.tag(parameter) {
            Tag::DigestMethod if digest.is_none() => &mut digest,
            Tag::Mgf if mask.is_none() => &mut mask,
            _ => return Err(content.unexpected(parameter)),
        };
        empty_with(document, parameter, ALGORITHM)?;
        *slot = Some(algorithm(document, parameter)?);
    }
    Ok((digest, mask))
}
