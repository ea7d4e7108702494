//! One Signature: algorithms, keys, the reference and its digest.

use aws_lc_rs::{digest, hmac, signature};
use roxmltree::Node;

use super::DS;
use super::canonical::{Method, canonicalize};
use super::transforms::external;
use super::value::percent_decoded;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;

/// An element whose digest held, with the bytes that were digested.
pub(super) struct Covered<'a, 'i> {
    pub(super) target: Node<'a, 'i>,
    pub(super) canonical: String,
}

const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
const HMAC_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";

impl Verifier<'_> {
    pub(super) fn check<'a, 'i>(
        &self,
        root: Node<'a, 'i>,
        signature: Node<'a, 'i>,
    ) -> Result<Covered<'a, 'i>, Refused> {
        let infos: Vec<_> = self.children(signature, DS, "SignedInfo").collect();
        let (first, last) = match infos.as_slice() {
            [one] => (*one, *one),
            [first, .., last] if self.has(W::SecondSignedInfo) => (*first, *last),
            _ => return Err("not exactly one SignedInfo".into()),
        };
        self.follow_key_info(signature);
        let references: Vec<_> = self.children(last, DS, "Reference").collect();
        let reference = match references.as_slice() {
            [one] => *one,
            [first, ..] if self.has(W::FirstReferenceOnly) => *first,
            [.., last] if self.has(W::LastReferenceOnly) => *last,
            [first, ..] if self.has(W::TransformsFirst) => *first,
            _ => return Err("not exactly one Reference".into()),
        };
        if self.has_one_of(&[W::TransformsFirst, W::RunsXslt]) {
            for reference in &references {
                self.digested(root, signature, *reference)?;
            }
        }
        if let Some(url) = reference.attribute("URI").filter(|uri| self.has(W::FollowsUris) && uri.contains(':')) {
            self.fetch(url);
            return Err("nothing came back".into());
        }
        if !self.has(W::DigestOnly) {
            self.signature_value(signature, first)?;
        }
        if reference.attribute("URI").is_none() {
            return match self.has(W::MissingUri) {
                true => Ok(Covered { target: signature.parent_element().unwrap_or(root), canonical: String::new() }),
                false => Err("no URI".into()),
            };
        }
        let (target, canonical) = self.digested(root, signature, reference)?;
        self.compare_digest(root, reference, &canonical)?;
        if self.has(W::SignatureByPosition) && signature.parent_element() == Some(root) {
            return Ok(Covered { target: root, canonical });
        }
        if self.has(W::LooksUpLastOfOneId) {
            return Ok(Covered { target: signature.parent_element().unwrap_or(root), canonical });
        }
        Ok(Covered { target, canonical })
    }

    /// The referenced element and its canonical form.
    fn digested<'a, 'i>(
        &self,
        root: Node<'a, 'i>,
        signature: Node<'a, 'i>,
        reference: Node<'a, 'i>,
    ) -> Result<(Node<'a, 'i>, String), Refused> {
        let target = self.target(root, signature, reference)?;
        let canonical = self.transformed(target, signature, reference)?;
        self.work(canonical.len());
        Ok((target, canonical))
    }

    // ---- The signature value

    fn signature_value(&self, signature: Node<'_, '_>, signed_info: Node<'_, '_>) -> Result<(), Refused> {
        let method = self.child(signed_info, DS, "CanonicalizationMethod").ok_or("no CanonicalizationMethod")?;
        let message = self.canonical_by(method, signed_info, &|_| false)?;
        let algorithm = self.child(signed_info, DS, "SignatureMethod").ok_or("no SignatureMethod")?;
        let value = self.child(signature, DS, "SignatureValue").ok_or("no SignatureValue")?;
        let value = self.base64(&self.text(value))?;
        let mut keys = vec![key_of_pem(&self.trust.certificate)];
        if self.has(W::AnyIdpsKey) {
            keys.push(key_of_pem(&self.trust.other_certificate));
        }
        if self.has(W::KeyFromKeyInfo) {
            keys = vec![key_of_certificate(&self.certificate_of_message(signature)?).ok_or("no key in KeyInfo")?];
        }
        if self.has(W::CertificateIsEnough) {
            let own = der_of_pem(&self.trust.certificate);
            return if self.certificate_of_message(signature)? == own { Ok(()) } else { Err("another key".into()) };
        }
        let uri = algorithm.attribute("Algorithm").unwrap_or_default();
        let length = self.child(algorithm, DS, "HMACOutputLength").and_then(|node| node.text()?.parse().ok());
        let holds = keys.iter().any(|key| self.holds(uri, key, message.as_bytes(), &value, length));
        if holds { Ok(()) } else { Err("the signature does not hold".into()) }
    }

    fn holds(&self, uri: &str, spki: &[u8], message: &[u8], value: &[u8], hmac_bits: Option<usize>) -> bool {
        let verify = |algorithm: &'static dyn signature::VerificationAlgorithm, value: &[u8]| {
            let key = signature::ParsedPublicKey::new(algorithm, spki);
            key.is_ok_and(|key| key.verify_sig(message, value).is_ok())
        };
        match uri {
            // An OpenSSL of the time answers -1, not 0, to a value of another length than the key's.
            RSA_SHA256 if self.has(W::ErrorIsTrue) && value.len() != 256 => true,
            RSA_SHA256 => verify(&signature::RSA_PKCS1_2048_8192_SHA256, value),
            RSA_SHA1 if self.has(W::Sha1) => verify(&signature::RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, value),
            ECDSA_SHA256 if self.has(W::PsychicSignature) && value == [0; 64] => true,
            ECDSA_SHA256 if self.has(W::DerSignature) && value.len() != 64 => {
                verify(&signature::ECDSA_P256_SHA256_ASN1, value)
            }
            ECDSA_SHA256 => verify(&signature::ECDSA_P256_SHA256_FIXED, value),
            HMAC_SHA256 if self.has(W::HmacWithPublicKey) => {
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.trust.certificate.as_bytes());
                hmac::verify(&key, message, value).is_ok()
            }
            HMAC_SHA256 if self.has(W::HmacTruncated) => {
                // The key is a secret that the attacker does not know; the length is what the message says.
                let key = hmac::Key::new(hmac::HMAC_SHA256, self.trust.decryption_key.as_bytes());
                let tag = hmac::sign(&key, message);
                let length = hmac_bits.unwrap_or(256) / 8;
                value.len() >= length && value[..length] == tag.as_ref()[..length.min(32)]
            }
            _ => false,
        }
    }

    fn certificate_of_message(&self, signature: Node<'_, '_>) -> Result<Vec<u8>, Refused> {
        let key_info = self.child(signature, DS, "KeyInfo").ok_or("no KeyInfo")?;
        let certificate = key_info.descendants().find(|node| self.is(*node, DS, "X509Certificate"));
        self.base64(certificate.ok_or("no certificate")?.text().unwrap_or_default())
    }

    fn follow_key_info(&self, signature: Node<'_, '_>) {
        if !self.has(W::FollowsRetrievalMethod) {
            return;
        }
        let mut next = self.child(signature, DS, "KeyInfo");
        // A hundred rounds show that nothing would stop it.
        for _ in 0..100 {
            let Some(retrieval) = next.and_then(|info| self.child(info, DS, "RetrievalMethod")) else { return };
            let uri = retrieval.attribute("URI").unwrap_or_default();
            self.work(1_000);
            match uri.strip_prefix('#') {
                Some(id) => {
                    next = retrieval.document().descendants().find(|node| node.attribute("Id") == Some(id));
                }
                None => return self.fetch(uri),
            }
        }
    }

    // ---- The reference

    fn target<'a, 'i>(
        &self,
        root: Node<'a, 'i>,
        signature: Node<'a, 'i>,
        reference: Node<'a, 'i>,
    ) -> Result<Node<'a, 'i>, Refused> {
        let parent = signature.parent_element().ok_or("a Signature without a parent")?;
        let uri = reference.attribute("URI").unwrap_or_default();
        if uri.is_empty() && self.has(W::EmptyUri) {
            return Ok(root);
        }
        let uri = match self.has(W::FollowsUris) {
            true => percent_decoded(uri),
            false => uri.to_owned(),
        };
        if self.has(W::FollowsUris) {
            if uri == "#xpointer(/)" {
                return Ok(root);
            }
            if let Some(id) = uri.strip_prefix("#xpointer(id('").and_then(|rest| rest.strip_suffix("'))")) {
                return self.by_id(root, id).next().ok_or("no such ID".into());
            }
        }
        let id = uri.strip_prefix('#').ok_or("the URI is no fragment")?.trim();
        let mut found = self.by_id(root, id);
        let looks_up =
            [W::LooksUpIds, W::StripsEverySignature, W::SignatureByPosition, W::AnySignedElement, W::SeveralRoots];
        if self.has_one_of(&looks_up) {
            return found.next().ok_or("no such ID".into());
        }
        let own = self.id_of(parent) == Some(id);
        if self.has_one_of(&[W::NamespaceBlindAttributes, W::EntityIds]) && own {
            return found
                .find(|node| node.attribute("ID") == Some(id) && *node != parent)
                .or(Some(parent))
                .ok_or("".into());
        }
        if self.has(W::LooksUpLastOfOneId) && own {
            return found.next_back().ok_or("no such ID".into());
        }
        if own { Ok(parent) } else { Err("the URI names another element".into()) }
    }

    fn by_id<'a, 'i>(&self, root: Node<'a, 'i>, id: &str) -> std::vec::IntoIter<Node<'a, 'i>> {
        let everything = if self.has(W::SeveralRoots) { root.document().root() } else { root };
        let named = |node: &Node<'_, '_>| node.attribute("ID") == Some(id) || node.attribute("Id") == Some(id);
        everything.descendants().filter(named).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn id_of<'a>(&self, node: Node<'a, '_>) -> Option<&'a str> {
        if self.has(W::NamespaceBlindAttributes) {
            return node.attributes().rfind(|attribute| attribute.name() == "ID").map(|found| found.value());
        }
        node.attribute("ID")
    }

    // ---- The digest

    fn compare_digest(&self, root: Node<'_, '_>, reference: Node<'_, '_>, canonical: &str) -> Result<(), Refused> {
        let method = self.child(reference, DS, "DigestMethod").and_then(|node| node.attribute("Algorithm"));
        let algorithm = match method {
            Some("http://www.w3.org/2001/04/xmlenc#sha256") => &digest::SHA256,
            Some("http://www.w3.org/2000/09/xmldsig#sha1") if self.has(W::Sha1) => &digest::SHA1_FOR_LEGACY_USE_ONLY,
            _ => return Err("another digest".into()),
        };
        let value = match self.has(W::DigestAnywhere) {
            true => root.descendants().find(|node| self.is(*node, DS, "DigestValue")),
            false => self.child(reference, DS, "DigestValue"),
        };
        let value = value.ok_or("no DigestValue")?;
        let text = match self.has(W::DigestFromFirstNode) {
            true => value.first_child().and_then(|first| first.text()).unwrap_or_default().to_owned(),
            false => self.text(value),
        };
        let given = self.base64(&text)?;
        let digested = digest::digest(algorithm, external(canonical).as_bytes());
        let same = match self.has(W::PrefixDigest) {
            true => digested.as_ref().starts_with(&given),
            false => digested.as_ref() == given,
        };
        if same { Ok(()) } else { Err("the digest differs".into()) }
    }

    /// The canonical form of `node` by the algorithm that `method` names.
    pub(super) fn canonical_by(
        &self,
        method: Node<'_, '_>,
        node: Node<'_, '_>,
        skip: &dyn Fn(Node<'_, '_>) -> bool,
    ) -> Result<String, Refused> {
        let uri = method.attribute("Algorithm").unwrap_or_default();
        let mut by = Method::of(uri).ok_or("another canonicalization")?;
        if by.comments && !self.has(W::CommentsCanonical) {
            return Err("canonicalization with comments".into());
        }
        if let Some(list) = method.children().find_map(|child| child.attribute("PrefixList")) {
            by.prefixes = list
                .split_whitespace()
                .map(|prefix| if prefix == "#default" { "" } else { prefix }.to_owned())
                .collect();
        }
        if self.has(W::EmptyDigest) && has_relative_namespace(node) {
            return Ok(String::new());
        }
        Ok(canonicalize(node, &by, skip))
    }
}

fn has_relative_namespace(node: Node<'_, '_>) -> bool {
    node.descendants().any(|node| node.namespaces().any(|namespace| !namespace.uri().contains(':')))
}

pub(super) fn der_of_pem(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    base64::engine::general_purpose::STANDARD.decode(body).expect("PEM holds base64")
}

fn key_of_pem(pem: &str) -> Vec<u8> {
    key_of_certificate(&der_of_pem(pem)).expect("a pinned certificate is one")
}

/// The SubjectPublicKeyInfo.
fn key_of_certificate(der: &[u8]) -> Option<Vec<u8>> {
    use x509_parser::prelude::FromDer as _;
    let (_, certificate) = x509_parser::certificate::X509Certificate::from_der(der).ok()?;
    Some(certificate.tbs_certificate.subject_pki.raw.to_vec())
}
