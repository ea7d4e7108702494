//! What all our messages have in common (SAML Core 2.0 §3.2): a header, an Issuer, and a Signature right
//! behind it.

use super::signature::{Signer, SigningError};
use super::xml::{Element, SAML, SAMLP};
use crate::ids::{EntityId, RequestId};
use crate::time::Timestamp;

/// Who says it, when, to whom.
#[derive(Clone, Copy)]
pub(crate) struct Header<'a> {
    pub(crate) id: &'a RequestId,
    pub(crate) issue_instant: Timestamp,
    pub(crate) destination: &'a str,
    pub(crate) issuer: &'a EntityId,
}

/// A message that can still be signed.
pub(crate) struct Message<'a> {
    id: &'a RequestId,
    /// Up to and with the Issuer.
    head: String,
    tail: String,
}

impl<'a> Message<'a> {
    /// `root` declares nothing and holds nothing yet.
    pub(crate) fn new(header: &Header<'a>, root: Element, content: &[Element]) -> Self {
        let root = root
            .declaring(SAMLP)
            .attribute("ID", header.id.as_str())
            .attribute("Version", "2.0")
            .attribute("IssueInstant", &header.issue_instant.to_string())
            .attribute("Destination", header.destination);
        let issuer = Element::new("saml:Issuer").declaring(SAML).text(header.issuer.as_str());
        let mut tail: String = content.iter().map(Element::write).collect();
        tail.push_str(&root.end_tag());
        Self { id: header.id, head: root.start_tag() + &issuer.write(), tail }
    }

    pub(crate) fn unsigned(&self) -> String {
        format!("{}{}", self.head, self.tail)
    }

    /// With an enveloped Signature.
    ///
    /// # Errors
    /// The key does not sign.
    pub(crate) fn signed(&self, signer: &Signer<'_>) -> Result<String, SigningError> {
        let signature = signer.enveloped(self.id.as_str(), &self.unsigned())?;
        Ok(format!("{}{signature}{}", self.head, self.tail))
    }
}
