//! Canonicalization against the digests in public signatures (xmlsec1, Merlin, Phaos, the W3C's interop sets): each
//! same-document reference whose transforms we have must digest to what its signer wrote.
//!
//! What is skipped is counted by reason, and the counts are asserted: a vector that silently stops being one fails.

#![expect(clippy::disallowed_methods, reason = "tests read the corpus from files")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node, ParsingOptions};
use saml_core::test_support::{Method, Tree, parse};

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const INCLUSIVE_11: &str = "http://www.w3.org/2006/12/xml-c14n11";

/// References that nothing is said of, each with its reason.
const SKIPPED: [(&str, usize); 17] = [
    ("a reference by an ID of another kind, or by XPointer", 1),
    ("a reference to another document", 53),
    ("outside our XML: xml_comment_forbidden", 26),
    ("outside our XML: xml_doctype_forbidden", 22),
    ("outside our XML: xml_limit_exceeded", 1),
    ("outside our XML: xml_not_utf8", 4),
    ("the digest md5", 3),
    ("the digest ripemd160", 3),
    ("the digest sha224", 8),
    ("the digest sha3-224", 1),
    ("the digest sha3-256", 1),
    ("the digest sha3-384", 1),
    ("the digest sha3-512", 1),
    ("the transform ", 2),
    ("the transform REC-xpath-19991116", 99),
    ("the transform base64", 1),
    ("the transform xmldsig-filter2", 4),
];

fn corpus() -> Option<PathBuf> {
    let folder = std::env::var_os("SAMLGATE_CORPUS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no corpus at {}: set SAMLGATE_CORPUS", folder.display());
        eprintln!("skipped: no corpus at {}", folder.display());
        return None;
    }
    Some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    entries.into_iter().flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Digests that hold, those that do not, and what was skipped and why.
#[derive(Default)]
struct Tally {
    held: Vec<String>,
    broken: Vec<String>,
    skipped: BTreeMap<String, usize>,
}

enum Outcome {
    Held,
    Broken,
    Skipped(String),
}

#[test]
fn digests_of_public_signatures_hold() {
    let Some(corpus) = corpus() else { return };
    let mut tally = Tally::default();
    for path in files(&corpus.join("bergshamra-xmlsec-vectors/test-data")) {
        let Ok(text) = String::from_utf8(std::fs::read(&path).unwrap()) else { continue };
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let Ok(document) = Document::parse_with_options(&text, options) else { continue };
        let references: Vec<Node<'_, '_>> =
            document.descendants().filter(|node| node.has_tag_name((DS, "Reference"))).collect();
        // A template has no digest yet.
        let references = references.into_iter().filter(|reference| !text_of(*reference, "DigestValue").is_empty());
        let tree = parse(text.as_bytes()).map_err(|rejection| rejection.code());
        for reference in references {
            let outcome = match &tree {
                Ok(tree) => check(&document, tree, reference).unwrap_or_else(Outcome::Skipped),
                Err(code) => Outcome::Skipped(format!("outside our XML: {code}")),
            };
            let name = format!(
                "{} {}",
                path.file_name().unwrap().to_string_lossy(),
                reference.attribute("URI").unwrap_or("-")
            );
            match outcome {
                Outcome::Held => tally.held.push(name),
                Outcome::Broken => tally.broken.push(name),
                Outcome::Skipped(reason) => *tally.skipped.entry(reason).or_default() += 1,
            }
        }
    }
    assert_eq!(tally.broken, [""; 0], "digests that should hold");
    assert_eq!(tally.held.len(), 97);
    let skipped: Vec<(&str, usize)> = tally.skipped.iter().map(|(reason, count)| (reason.as_str(), *count)).collect();
    assert_eq!(skipped, SKIPPED);
}

/// # Errors
/// Why it is not for us.
fn check(document: &Document<'_>, tree: &Tree, reference: Node<'_, '_>) -> Result<Outcome, String> {
    let apex = apex(document, reference)?;
    let (method, enveloped) = transforms(reference)?;
    let skip = match enveloped {
        false => None,
        true => Some(reference.ancestors().find(|node| node.has_tag_name((DS, "Signature"))).ok_or("no Signature")?),
    };
    let inherits = apex
        .ancestors()
        .skip(1)
        .flat_map(|node| node.attributes())
        .any(|attribute| attribute.namespace() == Some("http://www.w3.org/XML/1998/namespace"));
    if method == Method::Inclusive && inherits {
        return Err("an `xml:` attribute would be inherited, which the grammar of a response rules out".to_owned());
    }
    let bytes = tree.canonicalize(number(document, apex), skip.map(|skip| number(document, skip)), &method);
    let wanted = text_of(reference, "DigestValue");
    let wanted = STANDARD.decode(wanted).map_err(|_| "a DigestValue that is not base64".to_owned())?;
    let seen = digest(algorithm(reference)?, &bytes.unwrap());
    Ok(if seen.as_ref() == wanted { Outcome::Held } else { Outcome::Broken })
}

fn apex<'a>(document: &'a Document<'a>, reference: Node<'_, '_>) -> Result<Node<'a, 'a>, String> {
    match reference.attribute("URI") {
        Some("") => Ok(document.root_element()),
        Some(uri) => {
            let id = uri.strip_prefix('#').ok_or("a reference to another document")?;
            let id = id.strip_prefix("xpointer(id('").and_then(|id| id.strip_suffix("'))")).unwrap_or(id);
            let has_id = |node: &Node<'_, '_>| ["Id", "ID", "id"].iter().any(|name| node.attribute(*name) == Some(id));
            document
                .descendants()
                .find(has_id)
                .ok_or_else(|| "a reference by an ID of another kind, or by XPointer".to_owned())
        }
        None => Err("a reference without a URI".to_owned()),
    }
}

/// The place among all elements in document order, as [`Tree`] counts.
fn number(document: &Document<'_>, wanted: Node<'_, '_>) -> usize {
    document.descendants().filter(Node::is_element).position(|node| node.id() == wanted.id()).unwrap()
}

/// The method, and whether the Signature is taken out. Without a method of its own a reference is canonicalized
/// inclusively (XML Signature 1.1 §4.4.3.2).
fn transforms(reference: Node<'_, '_>) -> Result<(Method, bool), String> {
    let (mut method, mut enveloped) = (None, false);
    for transform in reference.descendants().filter(|node| node.has_tag_name((DS, "Transform"))) {
        match transform.attribute("Algorithm").unwrap_or_default() {
            "http://www.w3.org/2000/09/xmldsig#enveloped-signature" if method.is_none() => enveloped = true,
            INCLUSIVE | INCLUSIVE_11 if method.is_none() => method = Some(Method::Inclusive),
            EXCLUSIVE if method.is_none() => {
                let list = transform.descendants().find_map(|node| node.attribute("PrefixList")).unwrap_or_default();
                let prefixes = list.split_ascii_whitespace().map(|prefix| prefix.replace("#default", "")).collect();
                method = Some(Method::Exclusive { prefixes });
            }
            // No comment is in what our parser admits, so that this is the same.
            "http://www.w3.org/2001/10/xml-exc-c14n#WithComments" if method.is_none() => {
                let list = transform.descendants().find_map(|node| node.attribute("PrefixList")).unwrap_or_default();
                let prefixes = list.split_ascii_whitespace().map(|prefix| prefix.replace("#default", "")).collect();
                method = Some(Method::Exclusive { prefixes });
            }
            other => {
                let name = other.rsplit(['/', '#']).next().unwrap_or_default();
                return Err(format!("the transform {name}"));
            }
        }
    }
    Ok((method.unwrap_or(Method::Inclusive), enveloped))
}

fn algorithm(reference: Node<'_, '_>) -> Result<&'static Algorithm, String> {
    let method = reference.descendants().find(|node| node.has_tag_name((DS, "DigestMethod")));
    match method.and_then(|method| method.attribute("Algorithm")).unwrap_or_default().rsplit('#').next() {
        Some("sha1") => Ok(&SHA1_FOR_LEGACY_USE_ONLY),
        Some("sha256") => Ok(&SHA256),
        Some("sha384") => Ok(&SHA384),
        Some("sha512") => Ok(&SHA512),
        other => Err(format!("the digest {}", other.unwrap_or_default())),
    }
}

fn text_of(reference: Node<'_, '_>, name: &str) -> String {
    let node = reference.descendants().find(|node| node.has_tag_name((DS, name)));
    node.and_then(|node| node.text()).unwrap_or_default().split_ascii_whitespace().collect()
}
