//! Every response of the public corpus, and its code. Each is judged under the facts that it asks for itself (its own
//! issuer, audience, recipient, request, moment and certificates; any signature is enough), so that nothing but the
//! document decides. What is not listed as accepted in `responses.txt` is refused.
//!
//! Accepted are Google's responses and ADFS's, and of ruby-saml's one, `adfs_response_xmlns.xml`: a proper response with
//! RSA-SHA256 that names Assertion and Signature without prefixes. xmlsec1 and samael agree.
//!
//! `UPDATE_DOCS=1 cargo test -p saml-core --test corpus` writes the list anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::{Document, Node, ParsingOptions};
use saml_core::{
    AcceptedLogin, AcsUrl, Authentication, Certificate, DecryptionKeys, EntityId, IdpId, Rejection, RequestId,
    SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};

use crate::{claims, corpus};

const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";

#[test]
fn every_response_of_the_corpus_has_the_outcome_that_is_listed() {
    let Some(folder) = corpus_folder() else { return };
    let fallback = Certificate::parse_all(&corpus("../jumpcloud/jumpcloud-idp-cert-2025.pem").unwrap()).unwrap();
    let mut outcomes = BTreeMap::new();
    let mut certificates = BTreeMap::new();
    for path in files(&folder) {
        let Some(xml) = response(&std::fs::read(&path).unwrap()) else { continue };
        let facts = Facts::of(&xml);
        let project = path.strip_prefix(&folder).unwrap().components().next().unwrap();
        let others = certificates
            .entry(project.as_os_str().to_owned())
            .or_insert_with(|| every_certificate(&folder.join(project)));
        let first = facts.judge(&xml, if facts.certificates.is_empty() { &fallback } else { &facts.certificates });
        let outcome = match first {
            // A test's key may stand beside it and not in it.
            Err(Rejection::SignedByUnknownKey { .. }) => {
                let mut verdicts = others.chunks(4).map(|some| facts.judge(&xml, some));
                let known = |verdict: &Verdict| !matches!(verdict, Err(Rejection::SignedByUnknownKey { .. }));
                verdicts.find(known).unwrap_or(first)
            }
            first => first,
        };
        let outcome = match outcome {
            Ok(login) => format!("ACCEPTED {}", login.identity().email),
            Err(rejection) => rejection.code().to_owned(),
        };
        outcomes.insert(path.strip_prefix(&folder).unwrap().display().to_string(), outcome);
    }
    let mut seen = String::new();
    for (path, outcome) in &outcomes {
        writeln!(seen, "{outcome:<36} {path}").unwrap();
    }
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/responses.txt");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&list, &seen).unwrap();
    }
    let listed = std::fs::read_to_string(&list).unwrap();
    for (seen, listed) in seen.lines().zip(listed.lines()) {
        assert_eq!(seen, listed);
    }
    assert_eq!(seen.lines().count(), listed.lines().count());
}

fn corpus_folder() -> Option<PathBuf> {
    corpus("../jumpcloud/jumpcloud-idp-cert-2025.pem")?;
    let folder = std::env::var_os("SAMLGATE_CORPUS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    Some(folder)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Each certificate in a file of its own or in a document below `folder`, once.
fn every_certificate(folder: &Path) -> Vec<Certificate> {
    let mut all: Vec<Certificate> = Vec::new();
    let mut paths = files(folder);
    paths.sort();
    for bytes in paths.iter().map(|path| std::fs::read(path).unwrap()) {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let inside =
            text.split("X509Certificate>").skip(1).step_by(2).map(|part| part.split('<').next().unwrap_or_default());
        let inside: Vec<Certificate> =
            inside.flat_map(|part| Certificate::parse_all(part.as_bytes()).unwrap_or_default()).collect();
        for certificate in Certificate::parse_all(&bytes).unwrap_or_default().into_iter().chain(inside) {
            if all.iter().all(|known| known.fingerprint() != certificate.fingerprint()) {
                all.push(certificate);
            }
        }
    }
    all
}

/// A Response in plain, in base64, deflated or as a form.
fn response(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.trim_ascii();
    let form =
        form_urlencoded::parse(text).find(|(name, _)| name == "SAMLResponse").map(|(_, value)| value.into_owned());
    let text = form.as_deref().map_or(text, str::as_bytes);
    let xml = if text.first() == Some(&b'<') {
        text.to_vec()
    } else {
        let compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        let decoded = STANDARD.decode(compact).ok()?;
        let mut inflated = Vec::new();
        match flate2::read::DeflateDecoder::new(&*decoded).read_to_end(&mut inflated) {
            Ok(_) if inflated.first() == Some(&b'<') => inflated,
            _ => decoded,
        }
    };
    let text = String::from_utf8_lossy(&xml).into_owned();
    let is_response = text.split('<').any(|tag| {
        let name = tag.split(|byte: char| byte.is_ascii_whitespace() || byte == '>').next().unwrap_or_default();
        name == "Response" || (name.ends_with(":Response") && !name.starts_with('/'))
    });
    is_response.then_some(xml)
}

type Verdict = Result<AcceptedLogin, Rejection>;

/// What a document asks for; what it lacks is something that nothing equals.
struct Facts {
    issuer: String,
    recipient: String,
    audience: String,
    request: String,
    now: String,
    email: String,
    certificates: Vec<Certificate>,
}

impl Facts {
    fn of(xml: &[u8]) -> Self {
        let text = String::from_utf8_lossy(xml);
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&text, options).ok();
        let nodes = || document.iter().flat_map(Document::descendants);
        let first = |name: &str| nodes().find(|node| node.has_tag_name((SAML, name)));
        let attribute =
            |node: Option<Node<'_, '_>>, name: &str| node.and_then(|node| node.attribute(name)).map(str::to_owned);
        let root = document.as_ref().map(Document::root_element);
        let data = first("SubjectConfirmationData");
        let email = nodes()
            .filter(|node| node.has_tag_name((SAML, "Attribute")))
            .find(|node| node.descendants().any(|node| node.text().is_some_and(|text| text.contains('@'))));
        let assertion = first("Assertion");
        let issuer =
            assertion.into_iter().flat_map(|node| node.children()).find(|node| node.has_tag_name((SAML, "Issuer")));
        let certificates =
            nodes().filter(|node| node.tag_name().name() == "X509Certificate").filter_map(|node| node.text());
        let mut certificates: Vec<Certificate> =
            certificates.flat_map(|text| Certificate::parse_all(text.as_bytes()).unwrap_or_default()).collect();
        certificates.dedup_by_key(|certificate| certificate.fingerprint());
        Self {
            issuer: issuer.and_then(|node| node.text()).unwrap_or("none").trim().to_owned(),
            recipient: attribute(data, "Recipient").unwrap_or_else(|| "https://none.example/acs".to_owned()),
            audience: first("Audience").and_then(|node| node.text()).unwrap_or("none").trim().to_owned(),
            request: attribute(root, "InResponseTo")
                .or_else(|| attribute(data, "InResponseTo"))
                .unwrap_or_else(|| "_none".to_owned()),
            now: attribute(assertion, "IssueInstant").unwrap_or_default(),
            email: attribute(email, "Name").unwrap_or_else(|| "@NameID".to_owned()),
            certificates,
        }
    }

    fn judge(&self, xml: &[u8], pinned: &[Certificate]) -> Verdict {
        let response = UnverifiedResponse::from_xml(xml.to_vec())?;
        let id = IdpId::parse("idp").unwrap();
        let issuer = EntityId::parse(&self.issuer).unwrap_or(EntityId::parse("none").unwrap());
        let claims = claims(&self.email, &self.email, "memberOf");
        let idp = TrustedIdp::new(id, issuer, pinned.to_vec(), Sign::Any, claims).unwrap();
        let sp = ServiceProvider {
            entity_id: EntityId::parse(&self.audience).unwrap_or(EntityId::parse("none").unwrap()),
            acs_url: AcsUrl::parse(&self.recipient).unwrap_or(AcsUrl::parse("https://none.example/acs").unwrap()),
            skew_seconds: 180,
        };
        let id = RequestId::parse(&self.request).unwrap_or(RequestId::parse("_none").unwrap());
        let request = SentRequest { id, authentication: Authentication::Any };
        let now = Timestamp::parse(&self.now).unwrap_or(Timestamp::from_unix(0, 0));
        response.verify(&idp, &DecryptionKeys::none())?.accept(&request, &sp, now)
    }
}

/// What the specification says of single files, with the reason and not only the code.
#[test]
fn the_files_that_the_specification_names_end_as_it_says() {
    let Some(folder) = corpus_folder() else { return };
    let judged = |path: &str| {
        let xml = response(&std::fs::read(folder.join(path)).unwrap()).unwrap();
        let facts = Facts::of(&xml);
        let pinned = every_certificate(&folder.join(path.split('/').next().unwrap()));
        let pinned = if facts.certificates.is_empty() { &pinned[..pinned.len().min(4)] } else { &facts.certificates };
        facts.judge(&xml, pinned)
    };
    let refused = |path: &str, code: &str, because: &str| {
        let rejection = judged(path).unwrap_err();
        assert_eq!(rejection.code(), code, "{path}: {rejection}");
        assert!(rejection.to_string().contains(because), "{path}: {rejection}");
    };
    // Each holds an EncryptedAssertion by AES-CBC.
    for name in
        ["ResponseEncryptedAssertionBothSigned", "ResponseEncryptedSignedAssertion", "SignedResponseEncryptedAssertion"]
    {
        refused(&format!("crewjam-saml/testdata/TestSPCanHandleOkta{name}_response"), ENCRYPTED, "-cbc");
    }
    refused("ruby-saml/test/responses/response_with_retrieval_method.xml", ENCRYPTED, "-cbc");
    refused("samael/test_vectors/ancestor_attack_signed.xml", "shape_forbidden", "");
    let boxyhq = "boxyhq-jackson/npm/test/identity-federation/data/response.xml";
    refused(boxyhq, "shape_forbidden", "SubjectConfirmation");
    refused("samael/test_vectors/response_signed_by_idp_ecdsa.xml", "digest_algorithm_forbidden", "sha1");
    // It lacks an AudienceRestriction too; its RSA key has 1,024 bits, which nobody can pin.
    refused("samael/test_vectors/multi_saml_response_signed_2.xml", "signed_by_unknown_key", "");
    let weak =
        Certificate::parse_all(&std::fs::read(folder.join("samael/test_vectors/cert.pem")).unwrap()).unwrap_err();
    assert!(weak.to_string().contains("1024"), "{weak}");
}

const ENCRYPTED: &str = "encryption_algorithm_forbidden";
