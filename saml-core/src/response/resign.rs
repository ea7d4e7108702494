//! Signs a message anew, so that fuzzing gets past the signatures: for tests alone.

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::signature::algorithm;
use super::signature_shape::signature;
use crate::xml::canonical::canonicalize;
use crate::xml::{Comments, Document, Limits, NodeId, Tag, XmlText, parse};

/// The message with the DigestValue and SignatureValue of every Signature as they must be, innermost first;
/// `sign` gets the canonical SignedInfo. `None` where the parser or the grammar of a Signature refuses.
pub fn resigned(message: &[u8], sign: &dyn Fn(&[u8]) -> Vec<u8>) -> Option<Vec<u8>> {
    let mut message = message.to_vec();
    let count = signatures(&read(&message)?).len();
    for number in (0..count.min(2)).rev() {
        message = replaced(&message, number, |document, node| {
            let shape = signature(document, node).ok()?;
            let signed =
                canonicalize(document, document.with_ancestors(node).nth(1)?, Some(node), &shape.info.transform)
                    .ok()?;
            let value = digest::digest(algorithm(shape.info.digest_method), signed.as_slice());
            let place = document.descendants(node).find(|inner| document.tag(*inner) == Tag::DigestValue)?;
            Some((place, STANDARD.encode(value)))
        })?;
        message = replaced(&message, number, |document, node| {
            let shape = signature(document, node).ok()?;
            let signed_info = canonicalize(document, shape.signed_info, None, &shape.info.canonicalization).ok()?;
            Some((shape.signature_value, STANDARD.encode(sign(signed_info.as_slice()))))
        })?;
    }
    Some(message)
}

fn read(message: &[u8]) -> Option<Document> {
    parse(XmlText::admit(message.to_vec()).ok()?, &Limits::RESPONSE, Comments::Refuse).ok()
}

fn signatures(document: &Document) -> Vec<NodeId> {
    document.descendants(Document::ROOT).filter(|node| document.tag(*node) == Tag::Signature).collect()
}

/// Puts another text into one element of the Signature `number`.
fn replaced(
    message: &[u8],
    number: usize,
    find: impl Fn(&Document, NodeId) -> Option<(NodeId, String)>,
) -> Option<Vec<u8>> {
    let document = read(message)?;
    let (element, text) = find(&document, *signatures(&document).get(number)?)?;
    let place = document.text_place(element)?;
    // Line ends were normalised on the way in; where that moved anything the place is another.
    if message.contains(&b'\r') {
        return None;
    }
    let mut changed = message.get(..place.start)?.to_vec();
    changed.extend_from_slice(text.as_bytes());
    changed.extend_from_slice(message.get(place.end..)?);
    Some(changed)
}
