//! From a message to a login: which signatures are looked at, and which element is read.

use std::cell::RefCell;

use roxmltree::{Document, Node};

use super::form::Message;
use super::reading::{Texts, parse};
use super::signature::Covered;
use super::weakness::Weakness as W;
use super::{DS, Effects, Login, SAML, SAMLP, Trust, Verdict, Wanted};

pub(super) type Refused = std::borrow::Cow<'static, str>;

/// Judges `message` as a service provider that trusts `trust` and has the one weakness, or none.
pub fn judge(trust: &Trust, weakness: Option<W>, message: &Message) -> Verdict {
    let verifier = Verifier { trust, weakness, effects: RefCell::default() };
    let login = verifier.login(message).map_err(Refused::into_owned);
    Verdict { login, effects: verifier.effects.into_inner() }
}

pub(super) struct Verifier<'t> {
    pub(super) trust: &'t Trust,
    weakness: Option<W>,
    effects: RefCell<Effects>,
}

/// What the signatures say.
pub(super) struct Proof<'a, 'i> {
    pub(super) response: Option<Covered<'a, 'i>>,
    pub(super) assertion: Option<Covered<'a, 'i>>,
}

impl Verifier<'_> {
    pub(super) fn has(&self, weakness: W) -> bool {
        self.weakness == Some(weakness)
    }

    pub(super) fn has_one_of(&self, weaknesses: &[W]) -> bool {
        self.weakness.is_some_and(|own| weaknesses.contains(&own))
    }

    pub(super) fn work(&self, units: usize) {
        self.effects.borrow_mut().work += units as u64;
    }

    pub(super) fn fetch(&self, url: &str) {
        self.effects.borrow_mut().fetched.push(url.to_owned());
    }

    fn login(&self, message: &Message) -> Result<Login, Refused> {
        let submitted = self.submitted(message)?;
        let texts = self.texts(&submitted)?;
        let document = parse(&texts.verified)?;
        let root = self.response_root(&document)?;
        self.status(root)?;
        let decrypted = self.decrypted(root)?;
        if let Some(decrypted) = decrypted {
            let document = parse(&decrypted)?;
            return self.read_decrypted(document.root_element(), root);
        }
        let proof = self.proof(root)?;
        self.read(root, &proof, &texts)
    }

    fn response_root<'a, 'i>(&self, document: &'a Document<'i>) -> Result<Node<'a, 'i>, Refused> {
        let root = document.root_element();
        let response = match self.has_one_of(&[W::SeveralRoots, W::AnyContentType]) {
            true => root.descendants().find(|node| self.is(*node, SAMLP, "Response")),
            false => Some(root).filter(|node| self.is(*node, SAMLP, "Response")),
        };
        response.ok_or("the root is no Response".into())
    }

    fn status(&self, response: Node<'_, '_>) -> Result<(), Refused> {
        if self.has_one_of(&[W::NoStatusCheck, W::StripsEverySignature]) {
            return Ok(());
        }
        let code = self
            .child(response, SAMLP, "Status")
            .and_then(|status| self.child(status, SAMLP, "StatusCode"))
            .and_then(|code| code.attribute("Value"));
        match code {
            Some("urn:oasis:names:tc:SAML:2.0:status:Success") => Ok(()),
            _ => Err("the status is not Success".into()),
        }
    }

    /// Whether signatures are looked for everywhere, one good one being enough.
    fn searches(&self) -> bool {
        self.has_one_of(&[
            W::LooksUpIds,
            W::ReadsFirstAnywhere,
            W::ReadsLastAnywhere,
            W::StripsEverySignature,
            W::PrefixComparison,
            W::LocalNames,
            W::NamespaceBlindAttributes,
            W::EntityIds,
            W::SeveralRoots,
            W::DigestAnywhere,
            W::SignatureByPosition,
            W::UnescapesSections,
        ])
    }

    fn proof<'a, 'i>(&self, root: Node<'a, 'i>) -> Result<Proof<'a, 'i>, Refused> {
        if self.searches() {
            return self.any_proof(root);
        }
        let assertions: Vec<_> = self.children(root, SAML, "Assertion").collect();
        let [assertion] = assertions.as_slice() else {
            return Err("not exactly one Assertion".into());
        };
        let response_signature = self.one_signature(root)?;
        let assertion_signature = self.one_signature(*assertion)?;
        if self.has(W::NoSignatureIsFine) && response_signature.is_none() && assertion_signature.is_none() {
            return Ok(Proof { response: None, assertion: None });
        }
        let enough = match self.trust.wanted {
            _ if self.has(W::OneSignatureIsEnough) => response_signature.is_some() || assertion_signature.is_some(),
            Wanted::Both => response_signature.is_some() && assertion_signature.is_some(),
            Wanted::Response => response_signature.is_some(),
            Wanted::Assertion => assertion_signature.is_some(),
            Wanted::Any => response_signature.is_some() || assertion_signature.is_some(),
        };
        if !enough {
            return Err("a signature is missing".into());
        }
        let response = response_signature.map(|signature| self.check(root, signature)).transpose()?;
        let assertion = assertion_signature.map(|signature| self.check(root, signature)).transpose()?;
        Ok(Proof { response, assertion })
    }

    fn one_signature<'a, 'i>(&self, parent: Node<'a, 'i>) -> Result<Option<Node<'a, 'i>>, Refused> {
        let mut signatures = self.children(parent, DS, "Signature");
        let first = signatures.next();
        if signatures.next().is_some() { Err("two signatures".into()) } else { Ok(first) }
    }

    fn any_proof<'a, 'i>(&self, root: Node<'a, 'i>) -> Result<Proof<'a, 'i>, Refused> {
        let everything = match self.has(W::SeveralRoots) {
            true => root.document().root(),
            false => root,
        };
        let mut last = Err("there is no signature".into());
        for signature in everything.descendants().filter(|node| self.is(*node, DS, "Signature")) {
            last = self.check(root, signature);
            if last.is_ok() {
                break;
            }
        }
        let covered = last?;
        let is_response = self.is(covered.target, SAMLP, "Response");
        Ok(match is_response {
            true => Proof { response: Some(covered), assertion: None },
            false => Proof { response: None, assertion: Some(covered) },
        })
    }

    /// Reads what the signatures cover, or what this verifier takes for it.
    fn read(&self, root: Node<'_, '_>, proof: &Proof<'_, '_>, texts: &Texts) -> Result<Login, Refused> {
        let response_signed = proof.response.is_some()
            || self.has_one_of(&[W::TrustsUnsignedResponse, W::OneSignatureIsEnough, W::LooksUpLastOfOneId]);
        if let Some(text) = &texts.read {
            return self.read_text(text, response_signed);
        }
        let in_tree = match self.weakness {
            Some(
                W::LooksUpIds
                | W::PrefixComparison
                | W::LocalNames
                | W::NamespaceBlindAttributes
                | W::EntityIds
                | W::SeveralRoots
                | W::UnescapesSections
                | W::DigestAnywhere
                | W::SignatureByPosition
                | W::AnySignedElement
                | W::LooksUpLastOfOneId
                | W::ReadsUnverifiedTree
                | W::FirstTextNode
                | W::CommentsCanonical
                | W::DigestFromFirstNode
                | W::SecondSignedInfo
                | W::FirstReferenceOnly
                | W::LastReferenceOnly
                | W::RunsXPath
                | W::EmptyDigest
                | W::MissingUri
                | W::NoSignatureIsFine,
            ) => self.child(root, SAML, "Assertion"),
            Some(W::ReadsFirstAnywhere | W::StripsEverySignature) => {
                root.descendants().find(|node| self.is(*node, SAML, "Assertion"))
            }
            Some(W::ReadsLastAnywhere) => root.descendants().filter(|node| self.is(*node, SAML, "Assertion")).last(),
            _ => return self.read_canonical(root, proof, response_signed),
        };
        self.identity(in_tree.ok_or("there is no Assertion")?, root, response_signed)
    }

    fn read_canonical(&self, root: Node<'_, '_>, proof: &Proof<'_, '_>, signed: bool) -> Result<Login, Refused> {
        let response = proof.response.as_ref().map(|covered| parse(&covered.canonical)).transpose()?;
        let response_root = response.as_ref().map_or(root, Document::root_element);
        match &proof.assertion {
            Some(covered) => {
                let document = parse(&covered.canonical)?;
                self.identity(document.root_element(), response_root, signed)
            }
            None => {
                let assertion = self.child(response_root, SAML, "Assertion").ok_or("there is no Assertion")?;
                self.identity(assertion, response_root, signed)
            }
        }
    }

    // ---- Names

    pub(super) fn is(&self, node: Node<'_, '_>, namespace: &str, local: &str) -> bool {
        if !node.is_element() {
            return false;
        }
        if self.has(W::PrefixComparison) {
            let prefix = match namespace {
                SAML => "saml",
                SAMLP => "samlp",
                _ => "ds",
            };
            return super::canonical::written_name(node) == format!("{prefix}:{local}");
        }
        let name = node.tag_name();
        name.name() == local && (self.has(W::LocalNames) || name.namespace() == Some(namespace))
    }

    pub(super) fn children<'a, 'i>(
        &self,
        parent: Node<'a, 'i>,
        namespace: &str,
        local: &str,
    ) -> std::vec::IntoIter<Node<'a, 'i>> {
        parent.children().filter(|node| self.is(*node, namespace, local)).collect::<Vec<_>>().into_iter()
    }

    pub(super) fn child<'a, 'i>(&self, parent: Node<'a, 'i>, namespace: &str, local: &str) -> Option<Node<'a, 'i>> {
        parent.children().find(|node| self.is(*node, namespace, local))
    }
}
