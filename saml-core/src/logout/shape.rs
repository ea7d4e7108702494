//! The closed grammar of logout messages (SAML Core 2.0 §3.7).
//!
//! ```text
//! LogoutRequest(ID, Version=2.0, IssueInstant, Destination?, Consent?, Reason?(unread), NotOnOrAfter?)
//!   Issuer  Signature?  NameID  SessionIndex{0..64}
//! LogoutResponse(ID, Version=2.0, IssueInstant, Destination?, InResponseTo?, Consent?)
//!   Issuer  Signature?  Status
//! ```
//!
//! That Destination and InResponseTo are there is asked later, with a better word for it.

use crate::name_id::NameId;
use crate::outgoing::Parameter;
use crate::rejection::{Rejection, shortened};
use crate::response::grammar::{Content, attributes, count, refused, required_attribute, text_with};
use crate::response::shape::{ISSUER, NAME_ID, message_id};
use crate::response::signature_shape::{SignatureShape, signature};
use crate::xml::{Attr, AttrSet, Document, NodeId, Tag};

const MESSAGE: AttrSet = AttrSet::EMPTY
    .with(Attr::IdUpper)
    .with(Attr::Version)
    .with(Attr::IssueInstant)
    .with(Attr::Destination)
    .with(Attr::Consent);
const LOGOUT_REQUEST: AttrSet = MESSAGE.with(Attr::Reason).with(Attr::NotOnOrAfter);
const LOGOUT_RESPONSE: AttrSet = MESSAGE.with(Attr::InResponseTo);

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
pub(super) const PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

#[derive(Debug)]
pub(super) struct LogoutShape {
    pub(super) id: String,
    pub(super) issuer: String,
    pub(super) signature: Option<SignatureShape>,
    pub(super) content: LogoutContent,
}

#[derive(Debug)]
pub(super) enum LogoutContent {
    Request {
        name_id: NameId,
        session_indexes: Vec<String>,
    },
    /// The status codes, outermost first.
    Response {
        status: Vec<String>,
    },
}

/// The shape of a whole message that came as `parameter`.
///
/// # Errors
/// Anything outside the grammar; [`Rejection::LogoutNameIdEncrypted`].
pub(super) fn message(document: &Document, parameter: Parameter) -> Result<LogoutShape, Rejection> {
    let node = Document::ROOT;
    let allowed = match (document.tag(node), parameter) {
        (Tag::LogoutRequest, Parameter::SamlRequest) => LOGOUT_REQUEST,
        (Tag::LogoutResponse, Parameter::SamlResponse) => LOGOUT_RESPONSE,
        _ => return Err(refused(document, node, "the root is not the logout message that its parameter carries")),
    };
    attributes(document, node, allowed)?;
    let id = message_id(document, node)?;
    let mut content = Content::of(document, node)?;
    let issuer = text_with(document, content.required(Tag::Issuer)?, ISSUER)?.to_owned();
    let signature = content.optional(Tag::Signature).map(|node| signature(document, node)).transpose()?;
    let inner = match parameter {
        Parameter::SamlRequest => request(document, node, &mut content)?,
        Parameter::SamlResponse => {
            LogoutContent::Response { status: status(document, content.required(Tag::Status)?)? }
        }
    };
    content.end()?;
    Ok(LogoutShape { id, issuer, signature, content: inner })
}

fn request(document: &Document, node: NodeId, content: &mut Content<'_>) -> Result<LogoutContent, Rejection> {
    if content.optional(Tag::EncryptedId).is_some() {
        return Err(Rejection::LogoutNameIdEncrypted);
    }
    let name_id = name_id(document, content.required(Tag::NameId)?)?;
    let indexes = content.repeated(Tag::SessionIndex);
    count(document, node, Tag::SessionIndex, indexes.len(), 0, 64)?;
    let text = |index| text_with(document, index, AttrSet::EMPTY).map(str::to_owned);
    let session_indexes = indexes.into_iter().map(text).collect::<Result<_, _>>()?;
    Ok(LogoutContent::Request { name_id, session_indexes })
}

fn name_id(document: &Document, node: NodeId) -> Result<NameId, Rejection> {
    let value = text_with(document, node, NAME_ID)?;
    if value.is_empty() {
        return Err(refused(document, node, "it is empty"));
    }
    let attribute = |attr| document.attribute(node, attr).map(str::to_owned);
    Ok(NameId {
        value: value.to_owned(),
        format: attribute(Attr::Format),
        name_qualifier: attribute(Attr::NameQualifier),
        sp_name_qualifier: attribute(Attr::SpNameQualifier),
        sp_provided_id: attribute(Attr::SpProvidedId),
    })
}

fn status(document: &Document, node: NodeId) -> Result<Vec<String>, Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let mut codes = Vec::with_capacity(2);
    status_codes(document, content.required(Tag::StatusCode)?, &mut codes)?;
    if let Some(message) = content.optional(Tag::StatusMessage) {
        text_with(document, message, AttrSet::EMPTY.with(Attr::XmlLang))?;
    }
    if codes.first().is_none_or(|code| code != SUCCESS) {
        // Unread.
        content.optional(Tag::StatusDetail);
    }
    content.end()?;
    Ok(codes)
}

/// Nesting is bounded by the parser's limit of depth.
fn status_codes(document: &Document, node: NodeId, codes: &mut Vec<String>) -> Result<(), Rejection> {
    attributes(document, node, AttrSet::EMPTY.with(Attr::Value))?;
    codes.push(shortened(required_attribute(document, node, Attr::Value, "Value")?));
    let mut content = Content::of(document, node)?;
    if let Some(nested) = content.optional(Tag::StatusCode) {
        status_codes(document, nested, codes)?;
    }
    content.end()
}

/// Whether the codes say that it worked.
pub(super) fn is_success(codes: &[String]) -> bool {
    matches!(codes, [only] if only == SUCCESS)
}
