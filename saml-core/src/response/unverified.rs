//! A Response as a stranger sent it: of the right form, and nothing more is known of it.

use super::shape::{self, ResponseContent, ResponseShape};
use crate::base64_text;
use crate::form::AcsForm;
use crate::rejection::Rejection;
use crate::xml::{Attr, Comments, Document, Limits, XmlText, parse};

/// The largest response that is read; the largest public one has 21 kB.
const MAX_RESPONSE_BYTES: usize = 128 * 1024;

/// Shows which request it claims to answer, which finds the pending login, which fixes the IdP. Nothing
/// else can be read from it.
#[derive(Debug)]
pub struct UnverifiedResponse {
    pub(super) document: Document,
    pub(super) shape: ResponseShape,
}

/// The request that a response claims to answer; unsigned, so it only selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InResponseTo<'a> {
    /// Present somewhere, even if empty.
    Request(&'a str),
    /// No InResponseTo stands anywhere.
    Unsolicited,
}

impl UnverifiedResponse {
    /// # Errors
    /// Not base64, not XML as we read it, outside the grammar, or of a status other than Success.
    pub fn from_form(form: &AcsForm) -> Result<Self, Rejection> {
        Self::from_xml(form.decoded()?)
    }

    /// As [`Self::from_form`], of the decoded XML.
    pub fn from_xml(xml: Vec<u8>) -> Result<Self, Rejection> {
        if xml.len() > MAX_RESPONSE_BYTES {
            return Err(Rejection::ResponseTooLarge { size: xml.len(), limit: MAX_RESPONSE_BYTES });
        }
        let document = parse(XmlText::admit(xml)?, &Limits::RESPONSE, Comments::Refuse)?;
        let shape = shape::response(&document)?;
        shape::check_ids(&[&document])?;
        let response = Self { document, shape };
        response.refuse_conflict()?;
        Ok(response)
    }

    pub fn in_response_to(&self) -> InResponseTo<'_> {
        match self.every_in_response_to().next() {
            Some(id) => InResponseTo::Request(id),
            None => InResponseTo::Unsolicited,
        }
    }

    /// Who the Response says it comes from; unsigned, so of a response that answers no request it only selects the
    /// IdP that it is then held against.
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.shape.issuer.and_then(|issuer| self.document.text_only(issuer))
    }

    /// Of the Response first, then of each SubjectConfirmationData; of an encrypted one nobody knows yet.
    fn every_in_response_to(&self) -> impl Iterator<Item = &str> {
        let of_assertion = match &self.shape.content {
            ResponseContent::Plain(assertion) => Some(assertion.in_response_to(&self.document)),
            ResponseContent::Encrypted(_) => None,
        };
        self.in_response_to_of_response().into_iter().chain(of_assertion.into_iter().flatten())
    }

    pub(super) fn in_response_to_of_response(&self) -> Option<&str> {
        self.document.attribute(self.shape.node, Attr::InResponseTo)
    }

    fn refuse_conflict(&self) -> Result<(), Rejection> {
        refuse_conflict(self.every_in_response_to())
    }
}

/// # Errors
/// Two of them differ.
pub(super) fn refuse_conflict<'a>(mut ids: impl Iterator<Item = &'a str>) -> Result<(), Rejection> {
    let first = ids.next();
    if ids.any(|id| Some(id) != first) { Err(Rejection::InResponseToConflict) } else { Ok(()) }
}

impl AcsForm {
    /// The bytes that SAMLResponse holds, as a second opinion is to see them.
    ///
    /// # Errors
    /// Not base64.
    pub fn decoded(&self) -> Result<Vec<u8>, Rejection> {
        decode(self.saml_response())
    }
}

/// The standard alphabet and canonical padding; CR, LF and space are tolerated.
pub(super) fn decode(encoded: &[u8]) -> Result<Vec<u8>, Rejection> {
    if encoded.is_empty() {
        return Err(Rejection::Base64Invalid { problem: "it is empty" });
    }
    base64_text::decode(encoded, |byte| matches!(byte, b'\r' | b'\n' | b' ')).ok_or(Rejection::Base64Invalid {
        problem: "wanted the standard alphabet, canonical padding and no other character",
    })
}
