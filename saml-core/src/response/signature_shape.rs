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

impl SignedInfo {
    /// Whether `canonical` says this and nothing beside it, letter by letter as nearly every signer has it:
    /// exclusive canonicalization without prefixes, and no Id, Type or white space. What is written in
    /// another way has to be parsed for an answer.
    pub(super) fn is_all_of(&self, canonical: &str) -> bool {
        let plain = Method::Exclusive { prefixes: Vec::new() };
        let named =
            (name_of(&SIGNATURE_METHODS, &self.signature_method), name_of(&DIGEST_METHODS, &self.digest_method));
        let (Some(signature_method), Some(digest_method)) = named else { return false };
        let (p, declared) = if canonical.starts_with("<ds:") { ("ds:", ":ds") } else { ("", "") };
        // Nothing that could be markup, so that the values end where they seem to.
        let simple = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"#_.-+/=".contains(&byte));
        if self.canonicalization != plain
            || self.transform != plain
            || !simple(&self.reference_uri)
            || !simple(&self.digest_value)
        {
            return false;
        }
        #[rustfmt::skip]
        let pieces = [
            "<", p, "SignedInfo xmlns", declared, "=\"http://www.w3.org/2000/09/xmldsig#\">",
            "<", p, "CanonicalizationMethod Algorithm=\"", EXCLUSIVE, "\"></", p, "CanonicalizationMethod>",
            "<", p, "SignatureMethod Algorithm=\"", signature_method, "\"></", p, "SignatureMethod>",
            "<", p, "Reference URI=\"", &self.reference_uri, "\">",
            "<", p, "Transforms>",
            "<", p, "Transform Algorithm=\"", ENVELOPED, "\"></", p, "Transform>",
            "<", p, "Transform Algorithm=\"", EXCLUSIVE, "\"></", p, "Transform>",
            "</", p, "Transforms>",
            "<", p, "DigestMethod Algorithm=\"", digest_method, "\"></", p, "DigestMethod>",
            "<", p, "DigestValue>", &self.digest_value, "</", p, "DigestValue>",
            "</", p, "Reference>",
            "</", p, "SignedInfo>",
        ];
        let rest = pieces.iter().try_fold(canonical, |rest, piece| rest.strip_prefix(*piece));
        rest == Some("")
    }
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

/// RFC 6931 §2.3.2 to §2.3.6.
const SIGNATURE_METHODS: [(&str, (KeyFamily, HashAlgorithm)); 6] = [
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", (KeyFamily::Rsa, HashAlgorithm::Sha256)),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", (KeyFamily::Rsa, HashAlgorithm::Sha384)),
    ("http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", (KeyFamily::Rsa, HashAlgorithm::Sha512)),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", (KeyFamily::Ecdsa, HashAlgorithm::Sha256)),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", (KeyFamily::Ecdsa, HashAlgorithm::Sha384)),
    ("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha512", (KeyFamily::Ecdsa, HashAlgorithm::Sha512)),
];

/// XML Encryption 1.1 §5.8, RFC 6931 §2.1.3.
const DIGEST_METHODS: [(&str, HashAlgorithm); 3] = [
    ("http://www.w3.org/2001/04/xmlenc#sha256", HashAlgorithm::Sha256),
    ("http://www.w3.org/2001/04/xmldsig-more#sha384", HashAlgorithm::Sha384),
    ("http://www.w3.org/2001/04/xmlenc#sha512", HashAlgorithm::Sha512),
];

const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";

fn meant_by<T: Copy>(methods: &[(&str, T)], uri: &str) -> Option<T> {
    methods.iter().find(|(name, _)| *name == uri).map(|(_, method)| *method)
}

fn name_of<'a, T: PartialEq>(methods: &[(&'a str, T)], wanted: &T) -> Option<&'a str> {
    methods.iter().find(|(_, method)| method == wanted).map(|(name, _)| *name)
}

/// The key, not the message, decides which family is tried.
pub(crate) fn signature_method(uri: &str) -> Result<(KeyFamily, HashAlgorithm), Rejection> {
    meant_by(&SIGNATURE_METHODS, uri).ok_or_else(|| Rejection::SignatureAlgorithmForbidden { seen: shortened(uri) })
}

fn digest_method(uri: &str) -> Result<HashAlgorithm, Rejection> {
    meant_by(&DIGEST_METHODS, uri).ok_or_else(|| Rejection::DigestAlgorithmForbidden { seen: shortened(uri) })
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
    if first != ENVELOPED {
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
        EXCLUSIVE => Ok(Method::Exclusive { prefixes: prefix_list(document, node)? }),
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

/// A chain of certificates has some twenty elements. Without a bound a canonical form grows: a short element of the
/// default namespace has it declared again on each.
const MAX_KEY_INFO: usize = 64;

/// A KeyInfo holds only elements of ds and dsig11, and none in which a second signature could hide. Keys
/// come from the settings; it is never read for one.
pub(super) fn unread_key_info(document: &Document, node: NodeId) -> Result<(), Rejection> {
    attributes(document, node, WITH_ID)?;
    if document.descendants(node).nth(MAX_KEY_INFO).is_some() {
        return Err(refused(document, node, "it holds more than 64 elements"));
    }
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
    use proptest::prelude::*;

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

    /// The canonical form of a SignedInfo as signers write it, and what it says.
    fn plain(prefix: &str, signature: &str, digest: &str) -> (String, SignedInfo) {
        let (p, declared) = if prefix.is_empty() {
            (String::new(), String::new())
        } else {
            (format!("{prefix}:"), format!(":{prefix}"))
        };
        let canonical = format!(
            "<{p}SignedInfo xmlns{declared}=\"http://www.w3.org/2000/09/xmldsig#\">\
             <{p}CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></{p}CanonicalizationMethod>\
             <{p}SignatureMethod Algorithm=\"{signature}\"></{p}SignatureMethod><{p}Reference URI=\"#_1\"><{p}Transforms>\
             <{p}Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></{p}Transform>\
             <{p}Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"></{p}Transform></{p}Transforms>\
             <{p}DigestMethod Algorithm=\"{digest}\"></{p}DigestMethod><{p}DigestValue>AAAA</{p}DigestValue></{p}Reference>\
             </{p}SignedInfo>"
        );
        let said = said_by(&canonical).unwrap();
        (canonical, said)
    }

    fn said_by(xml: &str) -> Result<SignedInfo, Rejection> {
        let document = parse(XmlText::admit(xml.as_bytes().to_vec())?, &Limits::RESPONSE, Comments::Refuse)?;
        signed_info(&document, Document::ROOT)
    }

    #[test]
    fn what_every_signer_writes_is_known_without_parsing() {
        for prefix in ["ds", ""] {
            for (signature, _) in SIGNATURE_METHODS {
                for (digest, _) in DIGEST_METHODS {
                    let (canonical, said) = plain(prefix, signature, digest);
                    assert!(said.is_all_of(&canonical), "{canonical}");
                }
            }
        }
    }

    #[test]
    fn what_says_something_else_or_more_is_not_taken_for_it() {
        let (canonical, said) = plain("ds", SIGNATURE_METHODS[0].0, DIGEST_METHODS[0].0);
        for other in [
            plain("dsig", SIGNATURE_METHODS[0].0, DIGEST_METHODS[0].0).0,
            plain("ds", SIGNATURE_METHODS[1].0, DIGEST_METHODS[0].0).0,
            plain("ds", SIGNATURE_METHODS[0].0, DIGEST_METHODS[1].0).0,
            canonical.replace("#_1", "#_2"),
            canonical.replace(" URI=", " Id=\"_3\" URI="),
            canonical.replace("AAAA", "AAAB"),
            format!("{canonical} "),
            format!(" {canonical}"),
        ] {
            assert!(!said.is_all_of(&other), "{other}");
        }
        let exclusive = |prefix: &str| Method::Exclusive { prefixes: vec![prefix.to_owned()] };
        assert!(!SignedInfo { canonicalization: exclusive("xs"), ..said.clone() }.is_all_of(&canonical));
        assert!(!SignedInfo { transform: exclusive("xs"), ..said.clone() }.is_all_of(&canonical));
        assert!(!SignedInfo { transform: Method::Inclusive, ..said }.is_all_of(&canonical));
    }

    #[test]
    fn a_value_that_holds_markup_is_not_compared_as_text() {
        let (canonical, said) = plain("ds", SIGNATURE_METHODS[0].0, DIGEST_METHODS[0].0);
        let markup = "AAAA</ds:DigestValue><ds:DigestValue>BBBB";
        let in_text = SignedInfo { digest_value: markup.to_owned(), ..said.clone() };
        assert!(!in_text.is_all_of(&canonical.replace("AAAA", markup)));
        let markup = "#_1\" Type=\"x";
        let in_value = SignedInfo { reference_uri: markup.to_owned(), ..said };
        assert!(!in_value.is_all_of(&canonical.replace("#_1", markup)));
    }

    proptest! {
        #[test]
        fn the_short_comparison_never_says_more_than_the_long_one(
            place in any::<prop::sample::Index>(),
            length in 0_usize..30,
            text in "[<>/=\" a-zA-Z#]{0,8}",
            prefix in prop::sample::select(vec!["ds", ""]),
        ) {
            let (canonical, said) = plain(prefix, SIGNATURE_METHODS[0].0, DIGEST_METHODS[0].0);
            let place = place.index(canonical.len());
            let mut changed = canonical.clone();
            changed.replace_range(place..(place + length).min(canonical.len()), &text);
            prop_assert_eq!(said.is_all_of(&changed), changed == canonical);
            if let Ok(other) = said_by(&changed) {
                prop_assert!(!other.is_all_of(&canonical) || other == said);
            }
        }
    }
}
