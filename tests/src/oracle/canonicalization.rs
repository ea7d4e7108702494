//! Canonicalization beside libxml2's, over generated documents: of whole documents by xmllint, of elements inside
//! others by xmlsec1, which verifies digests that saml-core's canonicalization made.

use std::path::Path;
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saml_core::test_support::{self, Method, Tree};

use super::random::Random;
use super::{Tally, xmlsec1};
use crate::issuer::{SigningKey, test_keys};

const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const INCLUSIVE_11: &str = "http://www.w3.org/2006/12/xml-c14n11";

/// None holds `&`: libxml2 writes a namespace name as it is, not escaped as Canonical XML 1.0 §2.3 has it.
const NAMESPACES: [&str; 6] =
    ["urn:one", "urn:two", "http://example.com/three", "http://example.com/a?b=1#c", "urn:five", "x-scheme:six"];
const PREFIXES: [&str; 8] = ["a", "b", "ns0", "Z", "_u", "x-y.z", "aa", "samlp"];
const LOCALS: [&str; 6] = ["a", "b", "data", "Data", "_x", "n-1.2"];
const TEXTS: [&str; 16] = [
    "plain",
    " ",
    "\n  ",
    "\r\n",
    "\r",
    "\t",
    "&amp;",
    "&lt;b&gt;",
    "&quot;&apos;'",
    "&#13;",
    "&#xD;&#xA;",
    "é田🦀",
    "]] &gt;",
    "&#x1F980;",
    "\"",
    "&#9;&#10;",
];

/// xmllint on whole documents, by every method that it has; as many in one process as come in `BATCH`.
pub fn whole_documents(count: u64, scratch: &Path) -> Tally {
    const BATCH: u64 = 250;
    let mut tally = Tally::default();
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap_or(usize::MAX)) {
        let seeds: Vec<u64> = (first..count.min(first + BATCH)).collect();
        let documents: Vec<String> = seeds.iter().map(|seed| Generator::new(*seed, Lang::Allowed).document()).collect();
        let files: Vec<_> = seeds.iter().map(|seed| scratch.join(format!("c14n-{seed}.xml"))).collect();
        for (file, xml) in files.iter().zip(&documents) {
            std::fs::write(file, xml).expect("the scratch folder can be written");
        }
        for (flag, method) in [
            ("--exc-c14n", Method::Exclusive { prefixes: Vec::new() }),
            ("--c14n", Method::Inclusive),
            ("--c14n11", Method::Inclusive),
        ] {
            let ours: Vec<Vec<u8>> = documents.iter().map(|xml| canonical(xml, &method)).collect();
            if xmllint(flag, &files) == ours.concat() {
                tally.passed += ours.len();
                continue;
            }
            for ((file, xml), ours) in files.iter().zip(&documents).zip(&ours) {
                if xmllint(flag, std::slice::from_ref(file)) == *ours {
                    tally.passed += 1;
                } else {
                    tally.failed += 1;
                    println!(
                        "xmllint {flag} differs on {}\n  {xml}\n  {}",
                        file.display(),
                        String::from_utf8_lossy(ours)
                    );
                }
            }
        }
        files.iter().for_each(|file| drop(std::fs::remove_file(file)));
    }
    tally
}

/// What canonicalization wrote must also be its own canonical form.
fn canonical(xml: &str, method: &Method) -> Vec<u8> {
    let written = test_support::canonicalize(xml.as_bytes(), method).unwrap_or_else(|error| panic!("{error}: {xml}"));
    let again = test_support::parse(&written).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert!(again.is_canonical_form(method), "{xml}");
    written
}

fn xmllint(flag: &str, files: &[impl AsRef<std::ffi::OsStr>]) -> Vec<u8> {
    let mut command = Command::new("xmllint");
    let output = command.arg(flag).args(files).stdin(Stdio::null()).output().expect("xmllint runs");
    assert!(output.status.success(), "xmllint: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Elements inside documents: each document holds a Signature of references whose digests are saml-core's, over
/// elements in every depth, by every method and with PrefixLists; the SignedInfo too. xmlsec1 verifies them all or
/// none. Each document is shown once more with one digest of another element, which must fail.
pub fn elements(count: u64, scratch: &Path) -> Tally {
    let mut tally = Tally::default();
    let key = test_keys::rsa_2048();
    let certificate = scratch.join("c14n.pem");
    std::fs::write(&certificate, key.certificate_pem()).expect("the scratch folder can be written");
    let ids: Vec<String> = NAMESPACES
        .iter()
        .flat_map(|namespace| LOCALS.map(|local| format!("{}:{local}", namespace)))
        .chain(LOCALS.map(str::to_owned))
        .collect();
    for seed in 0..count {
        let signed = SignedDocument::make(seed, key);
        let verifies = |xml: &str| {
            let file = scratch.join(format!("elements-{seed}.xml"));
            std::fs::write(&file, xml).expect("the scratch folder can be written");
            let verified = xmlsec1::verify(&file, &format!("/*/*[namespace-uri()='{DS}']"), &ids, &certificate);
            drop(std::fs::remove_file(&file));
            verified
        };
        if verifies(&signed.xml) && !verifies(&signed.control) {
            tally.passed += signed.references + 1;
        } else {
            tally.failed += 1;
            println!("xmlsec1 differs on elements of document {seed}\n  {}", signed.xml);
        }
    }
    tally
}

struct SignedDocument {
    xml: String,
    /// The same, signed, with a digest that is another element's.
    control: String,
    references: usize,
}

const PLACE: &str = "<!--here-->";

impl SignedDocument {
    fn make(seed: u64, key: &SigningKey) -> Self {
        let mut generator = Generator::new(seed, Lang::Never);
        let document = generator.document();
        let bare = test_support::parse(document.as_bytes()).unwrap_or_else(|error| panic!("{error}: {document}"));
        // As the last child of the root.
        let end = document.rfind("</").expect("the root has an end tag");
        let frame = [&document[..end], PLACE, &document[end..]].concat();
        let mut references = Vec::new();
        let mut digests = Vec::new();
        for id in 0..generator.ids {
            let Some(element) = bare.find("ID", &format!("i{id}")) else { continue };
            let (method, transform) = generator.method("Transform");
            let bytes = bare.canonicalize(element, None, &method).expect("there is such an element");
            digests.push(STANDARD.encode(digest(&SHA256, &bytes)));
            // The root holds the Signature, so that its digest is taken without it.
            let enveloped = format!("<Transform Algorithm=\"{DS}enveloped-signature\"/>");
            references.push((id, format!("{}{transform}", if element == 0 { &*enveloped } else { "" })));
        }
        let info = generator.method("CanonicalizationMethod");
        let with = |digests: &[String]| sign(&frame, &references, digests, &info, key);
        let xml = with(&digests);
        let mut other = digests.clone();
        let last = other.len() - 1;
        other[last] = STANDARD.encode(digest(&SHA256, b"another element"));
        Self { xml, control: with(&other), references: references.len() }
    }
}

/// Writes the Signature into `frame`; its value is made of the SignedInfo as saml-core canonicalizes it there.
fn sign(
    frame: &str,
    references: &[(usize, String)],
    digests: &[String],
    (method, written): &(Method, String),
    key: &SigningKey,
) -> String {
    let references: String = references
        .iter()
        .zip(digests)
        .map(|((id, transforms), digest)| {
            format!(
                "<Reference URI=\"#i{id}\"><Transforms>{transforms}</Transforms>\
                 <DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"/><DigestValue>{digest}</DigestValue></Reference>"
            )
        })
        .collect();
    let info = format!(
        "<SignedInfo Id=\"info\">{written}<SignatureMethod Algorithm=\"{}\"/>{references}</SignedInfo>",
        key.signature_algorithm()
    );
    let whole = |value: &str| {
        let signature = format!("<Signature xmlns=\"{DS}\">{info}<SignatureValue>{value}</SignatureValue></Signature>");
        frame.replace(PLACE, &signature)
    };
    let tree: Tree = test_support::parse(whole("").as_bytes()).expect("a Signature is admitted");
    let info = tree.find("Id", "info").and_then(|info| tree.canonicalize(info, None, method));
    whole(&STANDARD.encode(key.sign(&info.expect("there is a SignedInfo"))))
}

/// Whether `xml:lang` may stand anywhere: the inclusive form of an inner element would inherit it, which the grammar
/// of a response rules out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lang {
    Allowed,
    Never,
}

/// Documents that the parser admits: namespaces in every odd place, attributes, references, white space.
struct Generator {
    random: Random,
    lang: Lang,
    /// What each prefix stands for; a named prefix may not change within a document.
    meanings: Vec<&'static str>,
    ids: usize,
    elements: usize,
}

/// What is in scope.
#[derive(Clone, Default)]
struct Scope {
    prefixes: Vec<usize>,
}

impl Generator {
    fn new(seed: u64, lang: Lang) -> Self {
        let mut random = Random::new(seed);
        let meanings = PREFIXES.iter().map(|_| random.pick(&NAMESPACES)).collect::<Vec<&str>>();
        let meanings =
            meanings.into_iter().map(|meaning| *NAMESPACES.iter().find(|n| **n == meaning).expect("one of them"));
        Self { meanings: meanings.collect(), random, lang, ids: 0, elements: 0 }
    }

    fn document(&mut self) -> String {
        let declaration =
            self.random.pick(&["", "<?xml version=\"1.0\"?>", "<?xml version='1.0' encoding='UTF-8'?>\r\n"]);
        format!("{declaration}{}{}", self.element(&Scope::default(), 0), self.random.pick(&["", "\n", " \r\n"]))
    }

    fn element(&mut self, above: &Scope, depth: usize) -> String {
        self.elements += 1;
        let mut scope = above.clone();
        let mut attributes: Vec<String> = Vec::new();
        if self.random.chance(35) {
            let uri = if self.random.chance(25) { "" } else { self.random.pick(&NAMESPACES) };
            attributes.push(self.attribute("xmlns", uri));
        }
        for (prefix, name) in PREFIXES.iter().enumerate() {
            if self.random.chance(if depth == 0 { 40 } else { 15 }) {
                attributes.push(self.attribute(&format!("xmlns:{name}"), self.meanings[prefix]));
                scope.prefixes.push(prefix);
            }
        }
        if depth == 0 || self.random.chance(50) {
            attributes.push(self.attribute("ID", &format!("i{}", self.ids)));
            self.ids += 1;
        }
        attributes.extend(self.plain_attributes(&scope));
        self.random.shuffle(&mut attributes);
        let name = match scope.prefixes.as_slice() {
            prefixes if !prefixes.is_empty() && self.random.chance(60) => {
                let prefix = prefixes[self.random.below(prefixes.len())];
                format!("{}:{}", PREFIXES[prefix], self.random.pick(&LOCALS))
            }
            _ => self.random.pick(&LOCALS).to_owned(),
        };
        let head = format!("<{name}{}{}", attributes.concat(), self.random.pick(&["", " ", "\n"]));
        let content = self.content(&scope, depth);
        // The root keeps its end tag: a Signature is put before it.
        if content.is_empty() && depth > 0 && self.random.chance(60) {
            return format!("{head}/>");
        }
        format!("{head}>{content}</{name}{}>", self.random.pick(&["", "", " ", "\n"]))
    }

    fn content(&mut self, scope: &Scope, depth: usize) -> String {
        let children = if depth >= 7 || self.elements > 40 { 0 } else { self.random.below(5) };
        let mut content = String::new();
        for _ in 0..children {
            for _ in 0..self.random.below(3) {
                content.push_str(self.random.pick(&TEXTS));
            }
            content.push_str(&self.element(scope, depth + 1));
        }
        for _ in 0..self.random.below(3) {
            content.push_str(self.random.pick(&TEXTS));
        }
        // `]]` and `>` of two texts would make what no text may hold.
        content.replace("]]>", "]] >")
    }

    fn plain_attributes(&mut self, scope: &Scope) -> Vec<String> {
        let mut seen: Vec<(&str, &str)> = Vec::new();
        let mut written = Vec::new();
        for _ in 0..self.random.below(5) {
            let local = self.random.pick(&["k", "K", "attr", "b", "z", "_1"]);
            let prefix = match scope.prefixes.as_slice() {
                prefixes if !prefixes.is_empty() && self.random.chance(50) => {
                    Some(prefixes[self.random.below(prefixes.len())])
                }
                _ => None,
            };
            let namespace = prefix.map_or("", |prefix| self.meanings[prefix]);
            if seen.contains(&(namespace, local)) {
                continue;
            }
            seen.push((namespace, local));
            let name = prefix.map_or_else(|| local.to_owned(), |prefix| format!("{}:{local}", PREFIXES[prefix]));
            let value: String = (0..self.random.below(4)).map(|_| self.random.pick(&TEXTS)).collect();
            written.push(self.attribute(&name, &value));
        }
        if self.lang == Lang::Allowed && self.random.chance(10) {
            written.push(self.attribute("xml:lang", "en-IE"));
        }
        written
    }

    fn attribute(&mut self, name: &str, value: &str) -> String {
        let gap = self.random.pick(&[" ", " ", "  ", "\n", "\t", "\r\n"]);
        let equals = self.random.pick(&["=", "=", " = ", "\n="]);
        match self.random.chance(50) {
            true => format!("{gap}{name}{equals}\"{}\"", value.replace('"', "&quot;")),
            false => format!("{gap}{name}{equals}'{}'", value.replace('\'', "&apos;")),
        }
    }

    /// A method, and how it is written as `element`.
    fn method(&mut self, element: &str) -> (Method, String) {
        match self.random.below(4) {
            0 => (Method::Inclusive, format!("<{element} Algorithm=\"{INCLUSIVE}\"/>")),
            1 => (Method::Inclusive, format!("<{element} Algorithm=\"{INCLUSIVE_11}\"/>")),
            2 => (Method::Exclusive { prefixes: Vec::new() }, format!("<{element} Algorithm=\"{EXCLUSIVE}\"/>")),
            _ => {
                let mut list: Vec<&str> = PREFIXES.iter().copied().chain(["#default", "gone"]).collect();
                self.random.shuffle(&mut list);
                list.truncate(1 + self.random.below(4));
                let written = format!(
                    "<{element} Algorithm=\"{EXCLUSIVE}\"><InclusiveNamespaces xmlns=\"{EXCLUSIVE}\" PrefixList=\"{}\"/></{element}>",
                    list.join(" ")
                );
                let prefixes = list.iter().map(|prefix| prefix.replace("#default", "")).collect();
                (Method::Exclusive { prefixes }, written)
            }
        }
    }
}
