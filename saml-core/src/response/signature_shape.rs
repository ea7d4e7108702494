//! The closed grammar of a Signature (XML Signature 1.1 §4): one SignedInfo with one Reference, two
//! transforms, no Object, no Manifest, and a KeyInfo that is not read.

use super::grammar::{Content, attributes, empty_with, refused, required_attribute, text_with};
use crate::rejection::{Rejection, shortened};
use crate::trust::{HashAlgorithm, KeyFamily};
use crate::xml::canonical::Method;
use crate::xml::{Attr, AttrSet, Document, Namespace, NodeId, Tag};

#[derive(Debug)]
pub(crate) struct SignatureShape {
    pub(super) node: NodeId,
    pub(super) signed_info: NodeId,
    pub(super) info: SignedInfo,
    pub(super) signature_value: NodeId,
    pub(super) key_info: Option<NodeId>,
}

/// What a SignedInfo says. It is read twice, before the verification and from the verified bytes, and
/// must say the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedInfo {
    pub(super) canonicalization: Method,
    pub(super) signature_method: (KeyFamily, HashAlgorithm),
    pub(super) reference_uri: String,
    /// The canonicalization of the signed element.
    pub(super) transform: Method,
    pub(super) digest_method: HashAlgorithm,
    pub(super) digest_value: String,
}

const WITH_ID: AttrSet = AttrSet::EMPTY.with(Attr::Id);
const ALGORITHM: AttrSet = AttrSet::EMPTY.with(Attr::Algorithm);

pub(crate) fn signature(document: &Document, node: NodeId) -> Result<SignatureShape, Rejection> {
    attributes(document, node, WITH_ID)?;
    let mut content = Content::of(document, node)?;
    let signed_info = content.required(Tag::SignedInfo)?;
    let info = self::signed_info(document, signed_info)?;
    let signature_value = content.required(Tag::SignatureValue)?;
    text_with(document, signature_value, WITH_ID)?;
    let key_info = content.optional(Tag::KeyInfo);
    if let Some(key_info) = key_info {
        unread_key_info(document, key_info)?;
    }
    content.end()?;
    Ok(SignatureShape { node, signed_info, info, signature_value, key_info })
}

pub(super) fn signed_info(document: &Document, node: NodeId) -> Result<SignedInfo, Rejection> {
    if document.tag(node) != Tag::SignedInfo {
        return Err(refused(document, node, "it is not a SignedInfo"));
    }
    attributes(document, node, WITH_ID)?;
    let mut content = Content::of(document, node)?;
    let canonicalization = canonicalization(document, content.required(Tag::CanonicalizationMethod)?)?;
    let method = content.required(Tag::SignatureMethod)?;
    empty_with(document, method, ALGORITHM)?;
    let signature_method = signature_method(algorithm(document, method)?)?;
    let reference = content.required(Tag::Reference)?;
    content.end()?;

    attributes(document, reference, WITH_ID.with(Attr::Uri).with(Attr::Type))?;
    let reference_uri = required_attribute(document, reference, Attr::Uri, "URI")?.to_owned();
    let mut content = Content::of(document, reference)?;
    let transform = transforms(document, content.required(Tag::Transforms)?)?;
    let method = content.required(Tag::DigestMethod)?;
    empty_with(document, method, ALGORITHM)?;
    let digest_method = digest_method(algorithm(document, method)?)?;
    let value = content.required(Tag::DigestValue)?;
    content.end()?;
    let digest_value = text_with(document, value, AttrSet::EMPTY)?.to_owned();
    Ok(SignedInfo { canonicalization, signature_method, reference_uri, transform, digest_method, digest_value })
}

fn algorithm(document: &Document, node: NodeId) -> Result<&str, Rejection> {
    required_attribute(document, node, Attr::Algorithm, "Algorithm")
}

/// RFC 6931 §2.3.2 to §2.3.6. The key, not the message, decides which family is tried.
pub(crate) fn signature_method(uri: &str) -> Result<(KeyFamily, HashAlgorithm), Rejection> {
    match uri {
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256" => Ok((KeyFamily::Rsa, HashAlgorithm::Sha256)),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384" => Ok((KeyFamily::Rsa, HashAlgorithm::Sha384)),
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512" => Ok((KeyFamily::Rsa, HashAlgorithm::Sha512)),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => Ok((KeyFamily::Ecdsa, HashAlgorithm::Sha256)),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384" => Ok((KeyFamily::Ecdsa, HashAlgorithm::Sha384)),
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512" => Ok((KeyFamily::Ecdsa, HashAlgorithm::Sha512)),
        other => Err(Rejection::SignatureAlgorithmForbidden { seen: shortened(other) }),
    }
}

/// XML Encryption 1.1 §5.8, RFC 6931 §2.1.3.
fn digest_method(uri: &str) -> Result<HashAlgorithm, Rejection> {
    match uri {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(HashAlgorithm::Sha256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(HashAlgorithm::Sha384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(HashAlgorithm::Sha512),
        other => Err(Rejection::DigestAlgorithmForbidden { seen: shortened(other) }),
    }
}

/// Exactly enveloped-signature, then one canonicalization: nothing else can be put between the element
/// and its digest.
fn transforms(document: &Document, node: NodeId) -> Result<Method, Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let transforms = content.repeated(Tag::Transform);
    content.end()?;
    let [enveloped, canonical] = transforms.as_slice() else {
        let names: Vec<&str> =
            transforms.iter().filter_map(|node| document.attribute(*node, Attr::Algorithm)).collect();
        return Err(Rejection::TransformForbidden { seen: shortened(&names.join(", ")) });
    };
    let first = algorithm(document, *enveloped)?;
    if first != "http://www.w3.org/2000/09/xmldsig#enveloped-signature" {
        return Err(Rejection::TransformForbidden { seen: shortened(first) });
    }
    empty_with(document, *enveloped, ALGORITHM)?;
    canonicalization(document, *canonical)
}

/// A CanonicalizationMethod, or a Transform of that kind.
fn canonicalization(document: &Document, node: NodeId) -> Result<Method, Rejection> {
    attributes(document, node, ALGORITHM)?;
    let uri = algorithm(document, node)?;
    match uri {
        "http://www.w3.org/2001/10/xml-exc-c14n#" => Ok(Method::Exclusive { prefixes: prefix_list(document, node)? }),
        "http://www.w3.org/TR/2001/REC-xml-c14n-20010315" | "http://www.w3.org/2006/12/xml-c14n11" => {
            Content::of(document, node)?.end()?;
            Ok(Method::Inclusive)
        }
        other if document.tag(node) == Tag::Transform => Err(Rejection::TransformForbidden { seen: shortened(other) }),
        other => Err(Rejection::CanonicalizationForbidden { seen: shortened(other) }),
    }
}

/// Exclusive XML Canonicalization 1.0 §3: `#default` stands for the default namespace.
fn prefix_list(document: &Document, node: NodeId) -> Result<Vec<String>, Rejection> {
    let mut content = Content::of(document, node)?;
    let inclusive = content.optional(Tag::InclusiveNamespaces);
    content.end()?;
    let Some(inclusive) = inclusive else { return Ok(Vec::new()) };
    empty_with(document, inclusive, AttrSet::EMPTY.with(Attr::PrefixList))?;
    let list = required_attribute(document, inclusive, Attr::PrefixList, "PrefixList")?;
    let prefixes: Vec<String> = list
        .split([' ', '\t', '\n', '\r'])
        .filter(|prefix| !prefix.is_empty())
        .map(|prefix| if prefix == "#default" { String::new() } else { prefix.to_owned() })
        .collect();
    if prefixes.len() > 8 {
        return Err(refused(document, inclusive, "it lists more than 8 prefixes"));
    }
    Ok(prefixes)
}

/// A KeyInfo holds only elements of ds and dsig11, and none in which a second signature could hide. Keys
/// come from the settings; it is never read for one.
pub(super) fn unread_key_info(document: &Document, node: NodeId) -> Result<(), Rejection> {
    attributes(document, node, WITH_ID)?;
    for inner in document.descendants(node) {
        let foreign = !matches!(document.namespace(inner), Namespace::Ds | Namespace::Dsig11);
        let structural = !matches!(document.tag(inner), Tag::Unknown | Tag::X509Data | Tag::X509Certificate);
        if foreign || structural {
            return Err(refused(document, node, &format!("{} has no place there", document.written_name(inner))));
        }
        for (attr, name, _) in document.attributes(inner) {
            if name.contains(':') || matches!(attr, Attr::Foreign) {
                return Err(Rejection::XmlAttributeForbidden {
                    element: document.written_name(inner).to_owned(),
                    attribute: name.to_owned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::{Comments, Limits, XmlText, parse};

    #[track_caller]
    fn check(list: &str, expected: &[&str]) {
        let xml = format!(
            "<ds:Transform xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" \
             Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"><ec:InclusiveNamespaces PrefixList=\"{list}\"/></ds:Transform>"
        );
        let text = XmlText::admit(xml.into_bytes()).unwrap();
        let document = parse(text, &Limits::RESPONSE, Comments::Refuse).unwrap();
        let prefixes = expected.iter().map(|prefix| (*prefix).to_owned()).collect();
        assert_eq!(canonicalization(&document, Document::ROOT), Ok(Method::Exclusive { prefixes }));
    }

    #[test]
    fn a_prefix_list_is_separated_by_white_space_and_has_a_word_for_the_default() {
        check("", &[]);
        check("xs", &["xs"]);
        check("#default", &[""]);
        check(" xs  #default&#9;ds&#10;", &["xs", "", "ds"]);
    }
}
