//! A Response of which every signature is verified, by a key of the one IdP that was asked.

use super::encryption;
use super::shape::{self, AssertionShape, ResponseContent, ResponseShape};
use super::signature::{self, Parent, SignedElement};
use super::unverified::{UnverifiedResponse, refuse_conflict};
use crate::rejection::Rejection;
use crate::trust::{Certificate, DecryptionKeys, Fingerprint, Sign, TrustedIdp};
use crate::xml::{Attr, Document};

const RESPONSE: &str = "Response";

/// An Assertion read from the bytes whose digest was verified. That is not a login yet: see
/// [`Verified::accept`](Self::accept).
///
/// Nobody outside can make one:
///
/// ```compile_fail
/// let verified = saml_core::Verified { .. };
/// ```
#[derive(Debug)]
pub struct Verified<'a> {
    /// Whose keys verified it: no other IdP's entity ID or claims can be asked of it.
    pub(super) idp: &'a TrustedIdp,
    /// The canonical bytes of the Assertion, where it has a Signature of its own, else of the Response, or
    /// what was decrypted from those.
    pub(super) document: Document,
    pub(super) assertion: AssertionShape,
    pub(super) response: ResponseFacts,
    pub(super) signed_with: Fingerprint,
}

/// What the Response says around its Assertion.
#[derive(Debug)]
pub(super) struct ResponseFacts {
    /// Read from the Response's own verified bytes. Otherwise these facts may refuse and never grant.
    pub(super) signed: bool,
    /// Whose key made that signature; the Assertion's own may be by another key of the same IdP.
    pub(super) signed_with: Option<Fingerprint>,
    pub(super) issuer: Option<String>,
    pub(super) destination: Option<String>,
    pub(super) in_response_to: Option<String>,
    pub(super) issue_instant: String,
}

impl UnverifiedResponse {
    /// Verifies every Signature that is present, with the keys of `idp` alone, and asks that what its
    /// setting `sign` names is signed. An encrypted assertion is decrypted with `keys`, once the
    /// Response's signature holds.
    ///
    /// # Errors
    /// A signature is missing, one of them is bad, or what was signed is not of the grammar.
    pub fn verify<'a>(&self, idp: &'a TrustedIdp, keys: &DecryptionKeys) -> Result<Verified<'a>, Rejection> {
        match &self.shape.content {
            ResponseContent::Plain(assertion) => self.verify_plain(assertion, idp),
            ResponseContent::Encrypted(_) => self.verify_encrypted(idp, keys),
        }
    }

    fn verify_plain<'a>(&self, assertion: &AssertionShape, idp: &'a TrustedIdp) -> Result<Verified<'a>, Rejection> {
        refuse_missing_signatures(idp.sign(), self.shape.signature.is_some(), assertion.signature.is_some())?;
        self.verify_signatures(assertion, idp)
    }

    /// Whatever `sign` says. An explanation goes on here to say what else is wrong; no login comes of it.
    pub(super) fn verify_signatures<'a>(
        &self,
        assertion: &AssertionShape,
        idp: &'a TrustedIdp,
    ) -> Result<Verified<'a>, Rejection> {
        let response = self.verify_response(idp.certificates())?;
        let assertion = verify_assertion(&self.document, assertion, idp.certificates())?;
        let facts = match &response {
            Some((signed, shape)) => ResponseFacts::read(&signed.document, shape, Some(signed.signed_with)),
            None => ResponseFacts::read(&self.document, &self.shape, None),
        };
        match (assertion, response) {
            (Some((signed, shape)), _) => Ok(Verified::of(idp, signed, shape, facts)),
            (None, Some((signed, shape))) => match shape.content {
                ResponseContent::Plain(assertion) => Ok(Verified::of(idp, signed, assertion, facts)),
                ResponseContent::Encrypted(_) => Err(Rejection::CanonicalFormUnstable { element: RESPONSE }),
            },
            (None, None) => Err(Rejection::NotSigned),
        }
    }

    fn verify_encrypted<'a>(&self, idp: &'a TrustedIdp, keys: &DecryptionKeys) -> Result<Verified<'a>, Rejection> {
        let decrypted = self.decrypt(idp, keys)?;
        refuse_missing_signatures(idp.sign(), true, decrypted.assertion.signature.is_some())?;
        decrypted.verify(idp)
    }

    /// Encryption proves nothing, for anybody may have our public key. So the Response's signature comes
    /// first, whatever `sign` says; what is decrypted is read from its verified bytes, and `sign` is asked
    /// of the Assertion that comes out. Identity is read from that, or from the bytes of its own signature.
    pub(super) fn decrypt(&self, idp: &TrustedIdp, keys: &DecryptionKeys) -> Result<Decrypted, Rejection> {
        if keys.is_empty() {
            return Err(Rejection::EncryptionUnsupported);
        }
        let verified = self.verify_response(idp.certificates())?;
        let (response, shape) = verified.ok_or(Rejection::EncryptedResponseNotSigned)?;
        let ResponseContent::Encrypted(encrypted) = &shape.content else {
            return Err(Rejection::CanonicalFormUnstable { element: RESPONSE });
        };
        let facts = ResponseFacts::read(&response.document, &shape, Some(response.signed_with));
        let (document, assertion) = encryption::decrypt(&response.document, encrypted, keys, &self.document)?;
        refuse_conflict(facts.in_response_to.as_deref().into_iter().chain(assertion.in_response_to(&document)))?;
        Ok(Decrypted { document, assertion, facts, signed_with: response.signed_with })
    }

    pub(super) fn verify_response(
        &self,
        pinned: &[Certificate],
    ) -> Result<Option<(SignedElement, ResponseShape)>, Rejection> {
        let Some(signature) = &self.shape.signature else { return Ok(None) };
        let parent = Parent { node: self.shape.node, id: &self.shape.id, name: RESPONSE };
        let signed = signature::verify(&self.document, &parent, signature, pinned)?;
        let shape = shape::response(&signed.document)?;
        Ok(Some((signed, shape)))
    }
}

pub(super) fn refuse_missing_signatures(sign: Sign, response: bool, assertion: bool) -> Result<(), Rejection> {
    match sign {
        _ if !response && !assertion => Err(Rejection::NotSigned),
        Sign::AssertionAndResponse | Sign::Response if !response => Err(Rejection::ResponseNotSigned),
        Sign::AssertionAndResponse | Sign::Assertion if !assertion => Err(Rejection::AssertionNotSigned),
        Sign::AssertionAndResponse | Sign::Response | Sign::Assertion | Sign::Any => Ok(()),
    }
}

pub(super) fn verify_assertion(
    document: &Document,
    assertion: &AssertionShape,
    pinned: &[Certificate],
) -> Result<Option<(SignedElement, AssertionShape)>, Rejection> {
    let Some(signature) = &assertion.signature else { return Ok(None) };
    let parent = Parent { node: assertion.node, id: &assertion.id, name: "Assertion" };
    let signed = signature::verify(document, &parent, signature, pinned)?;
    let shape = shape::assertion(&signed.document, Document::ROOT)?;
    Ok(Some((signed, shape)))
}

/// The Assertion of a Response whose signature holds, as a document of its own.
pub(super) struct Decrypted {
    pub(super) document: Document,
    pub(super) assertion: AssertionShape,
    facts: ResponseFacts,
    signed_with: Fingerprint,
}

impl Decrypted {
    /// Its own Signature too, where it has one.
    pub(super) fn verify(self, idp: &TrustedIdp) -> Result<Verified<'_>, Rejection> {
        let Self { document, assertion, facts, signed_with } = self;
        match verify_assertion(&document, &assertion, idp.certificates())? {
            Some((signed, shape)) => Ok(Verified::of(idp, signed, shape, facts)),
            None => Ok(Verified { idp, document, assertion, response: facts, signed_with }),
        }
    }
}

impl<'a> Verified<'a> {
    fn of(idp: &'a TrustedIdp, signed: SignedElement, assertion: AssertionShape, response: ResponseFacts) -> Self {
        Self { idp, document: signed.document, assertion, response, signed_with: signed.signed_with }
    }
}

impl ResponseFacts {
    fn read(document: &Document, shape: &ResponseShape, signed_with: Option<Fingerprint>) -> Self {
        let attribute = |attr| document.attribute(shape.node, attr).map(str::to_owned);
        Self {
            signed: signed_with.is_some(),
            signed_with,
            issuer: shape.issuer.and_then(|issuer| document.text_only(issuer)).map(str::to_owned),
            destination: attribute(Attr::Destination),
            in_response_to: attribute(Attr::InResponseTo),
            issue_instant: attribute(Attr::IssueInstant).unwrap_or_default(),
        }
    }
}
