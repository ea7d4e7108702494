//! A Response of which every signature is verified, by a key of the one IdP that was asked.

use super::shape::{self, AssertionShape, ResponseShape};
use super::signature::{self, Parent, SignedElement};
use super::unverified::UnverifiedResponse;
use crate::rejection::Rejection;
use crate::trust::{Certificate, DecryptionKeys, Fingerprint, Sign, TrustedIdp};
use crate::xml::{Attr, Document};

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
    /// The canonical bytes of the Assertion, where it has a Signature of its own, else of the Response.
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
    pub fn verify<'a>(&self, idp: &'a TrustedIdp, _keys: &DecryptionKeys) -> Result<Verified<'a>, Rejection> {
        self.refuse_missing_signatures(idp.sign())?;
        let response = self.verify_response(idp.certificates())?;
        let assertion = self.verify_assertion(idp.certificates())?;
        let facts = match &response {
            Some((signed, shape)) => ResponseFacts::read(&signed.document, shape, true),
            None => ResponseFacts::read(&self.document, &self.shape, false),
        };
        match (assertion, response) {
            (Some((signed, shape)), _) => Ok(Verified::of(idp, signed, shape, facts)),
            (None, Some((signed, shape))) => Ok(Verified::of(idp, signed, shape.assertion, facts)),
            (None, None) => Err(Rejection::NotSigned),
        }
    }

    fn refuse_missing_signatures(&self, sign: Sign) -> Result<(), Rejection> {
        let response = self.shape.signature.is_some();
        let assertion = self.shape.assertion.signature.is_some();
        match sign {
            _ if !response && !assertion => Err(Rejection::NotSigned),
            Sign::AssertionAndResponse | Sign::Response if !response => Err(Rejection::ResponseNotSigned),
            Sign::AssertionAndResponse | Sign::Assertion if !assertion => Err(Rejection::AssertionNotSigned),
            Sign::AssertionAndResponse | Sign::Response | Sign::Assertion | Sign::Any => Ok(()),
        }
    }

    fn verify_response(&self, pinned: &[Certificate]) -> Result<Option<(SignedElement, ResponseShape)>, Rejection> {
        let Some(signature) = &self.shape.signature else { return Ok(None) };
        let parent = Parent { node: self.shape.node, id: &self.shape.id, name: "Response" };
        let signed = signature::verify(&self.document, &parent, signature, pinned)?;
        let shape = shape::response(&signed.document)?;
        Ok(Some((signed, shape)))
    }

    fn verify_assertion(&self, pinned: &[Certificate]) -> Result<Option<(SignedElement, AssertionShape)>, Rejection> {
        let assertion = &self.shape.assertion;
        let Some(signature) = &assertion.signature else { return Ok(None) };
        let parent = Parent { node: assertion.node, id: &assertion.id, name: "Assertion" };
        let signed = signature::verify(&self.document, &parent, signature, pinned)?;
        let shape = shape::assertion(&signed.document, Document::ROOT)?;
        Ok(Some((signed, shape)))
    }
}

impl<'a> Verified<'a> {
    fn of(idp: &'a TrustedIdp, signed: SignedElement, assertion: AssertionShape, response: ResponseFacts) -> Self {
        Self { idp, document: signed.document, assertion, response, signed_with: signed.signed_with }
    }
}

impl ResponseFacts {
    fn read(document: &Document, shape: &ResponseShape, signed: bool) -> Self {
        let attribute = |attr| document.attribute(shape.node, attr).map(str::to_owned);
        Self {
            signed,
            issuer: shape.issuer.and_then(|issuer| document.text_only(issuer)).map(str::to_owned),
            destination: attribute(Attr::Destination),
            in_response_to: attribute(Attr::InResponseTo),
            issue_instant: attribute(Attr::IssueInstant).unwrap_or_default(),
        }
    }
}
