//! The closed grammar of a Response (SAML Core 2.0, cut down to the Web Browser SSO profile). What it
//! does not name is refused, so that a signed part has nowhere to be hidden and nothing to be wrapped in.

use std::cmp::Ordering;

use super::encryption_shape::{EncryptedShape, encrypted_assertion};
use super::grammar::{Content, attributes, count, empty_with, refused, required_attribute, text_with};
use super::signature_shape::{SignatureShape, signature};
use crate::rejection::{Rejection, shortened};
use crate::xml::{Attr, AttrSet, Document, NodeId, Tag};

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";

#[derive(Debug)]
pub(super) struct ResponseShape {
    pub(super) node: NodeId,
    pub(super) id: String,
    pub(super) issuer: Option<NodeId>,
    pub(super) signature: Option<SignatureShape>,
    pub(super) content: ResponseContent,
}

/// What a successful Response holds, exactly once.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one of them at a time, and it is not moved about")]
pub(super) enum ResponseContent {
    Plain(AssertionShape),
    Encrypted(EncryptedShape),
}

#[derive(Debug)]
pub(super) struct AssertionShape {
    pub(super) node: NodeId,
    pub(super) id: String,
    pub(super) issuer: NodeId,
    pub(super) signature: Option<SignatureShape>,
    pub(super) name_id: Option<NodeId>,
    pub(super) confirmations: Vec<Confirmation>,
    pub(super) conditions: NodeId,
    /// Of each AudienceRestriction its Audiences.
    pub(super) audiences: Vec<Vec<NodeId>>,
    pub(super) authn_statements: Vec<NodeId>,
    pub(super) attributes: Vec<AttributeShape>,
}

impl AssertionShape {
    /// Of each SubjectConfirmationData that has one.
    pub(super) fn in_response_to<'a>(&self, document: &'a Document) -> impl Iterator<Item = &'a str> {
        self.confirmations.iter().filter_map(|confirmation| document.attribute(confirmation.data, Attr::InResponseTo))
    }
}

#[derive(Debug)]
pub(super) struct Confirmation {
    pub(super) node: NodeId,
    pub(super) data: NodeId,
}

#[derive(Debug)]
pub(super) struct AttributeShape {
    pub(super) node: NodeId,
    /// The node whose text is the value; absent for `xsi:nil`.
    pub(super) values: Vec<Option<NodeId>>,
}

pub(crate) const ISSUER: AttrSet =
    AttrSet::EMPTY.with(Attr::Format).with(Attr::NameQualifier).with(Attr::SpNameQualifier);
pub(crate) const NAME_ID: AttrSet = ISSUER.with(Attr::SpProvidedId);

/// The shape of a whole message.
///
/// # Errors
/// Anything outside the grammar; [`Rejection::IdpDenied`] when the status is not Success.
pub(super) fn response(document: &Document) -> Result<ResponseShape, Rejection> {
    let node = Document::ROOT;
    if document.tag(node) != Tag::Response {
        return Err(refused(document, node, "the root is not a Response of SAML 2.0"));
    }
    let allowed = AttrSet::EMPTY
        .with(Attr::IdUpper)
        .with(Attr::Version)
        .with(Attr::IssueInstant)
        .with(Attr::Destination)
        .with(Attr::InResponseTo)
        .with(Attr::Consent);
    attributes(document, node, allowed)?;
    let id = message_id(document, node)?;
    let mut content = Content::of(document, node)?;
    let issuer = content.optional(Tag::Issuer);
    if let Some(issuer) = issuer {
        text_with(document, issuer, ISSUER)?;
    }
    let signature = content.optional(Tag::Signature).map(|node| signature(document, node)).transpose()?;
    let status = status(document, content.required(Tag::Status)?)?;
    if let Some(denied) = status {
        content.end()?;
        return Err(denied);
    }
    let held = match content.optional(Tag::EncryptedAssertion) {
        Some(encrypted) => ResponseContent::Encrypted(encrypted_assertion(document, encrypted)?),
        None => ResponseContent::Plain(assertion(document, content.required(Tag::Assertion)?)?),
    };
    content.end()?;
    Ok(ResponseShape { node, id, issuer, signature, content: held })
}

/// ID, Version and IssueInstant, which all messages and Assertions share; gives the ID.
pub(crate) fn message_id(document: &Document, node: NodeId) -> Result<String, Rejection> {
    if required_attribute(document, node, Attr::Version, "Version")? != "2.0" {
        return Err(refused(document, node, "its Version is not 2.0"));
    }
    required_attribute(document, node, Attr::IssueInstant, "IssueInstant")?;
    Ok(required_attribute(document, node, Attr::IdUpper, "ID")?.to_owned())
}

/// `None` on Success, else why not.
fn status(document: &Document, node: NodeId) -> Result<Option<Rejection>, Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let code_node = content.required(Tag::StatusCode)?;
    let code = status_code(document, code_node)?;
    let message = content.optional(Tag::StatusMessage);
    let message = message.map(|node| text_with(document, node, AttrSet::EMPTY.with(Attr::XmlLang))).transpose()?;
    let success = document.attribute(code_node, Attr::Value) == Some(SUCCESS);
    if !success {
        // Unread: the refusal that follows is all that comes of it.
        content.optional(Tag::StatusDetail);
    }
    content.end()?;
    let message = shortened(message.unwrap_or_default());
    Ok((!success).then_some(Rejection::IdpDenied { status: shortened(&code), message }))
}

/// The codes, outermost first. Nesting is bounded by the parser's limit of depth.
fn status_code(document: &Document, node: NodeId) -> Result<String, Rejection> {
    attributes(document, node, AttrSet::EMPTY.with(Attr::Value))?;
    let mut code = required_attribute(document, node, Attr::Value, "Value")?.to_owned();
    let mut content = Content::of(document, node)?;
    if let Some(nested) = content.optional(Tag::StatusCode) {
        code.push_str(" / ");
        code.push_str(&status_code(document, nested)?);
    }
    content.end()?;
    Ok(code)
}

/// The shape of an Assertion: inside a Response, or as the root of its own canonical bytes.
pub(super) fn assertion(document: &Document, node: NodeId) -> Result<AssertionShape, Rejection> {
    if document.tag(node) != Tag::Assertion {
        return Err(refused(document, node, "it is not an Assertion of SAML 2.0"));
    }
    attributes(document, node, AttrSet::EMPTY.with(Attr::IdUpper).with(Attr::Version).with(Attr::IssueInstant))?;
    let id = message_id(document, node)?;
    let mut content = Content::of(document, node)?;
    let issuer = content.required(Tag::Issuer)?;
    text_with(document, issuer, ISSUER)?;
    let signature = content.optional(Tag::Signature).map(|node| signature(document, node)).transpose()?;
    let (name_id, confirmations) = subject(document, content.required(Tag::Subject)?)?;
    let conditions = content.required(Tag::Conditions)?;
    let audiences = self::conditions(document, conditions)?;
    let mut authn_statements = Vec::with_capacity(1);
    let mut attribute_statements = 0;
    let mut attributes = Vec::with_capacity(8);
    while let Some(statement) = content.next() {
        match document.tag(statement) {
            Tag::AuthnStatement => {
                authn_statement(document, statement)?;
                authn_statements.push(statement);
            }
            Tag::AttributeStatement => {
                attribute_statements += 1;
                attribute_statement(document, statement, &mut attributes)?;
            }
            _ => return Err(content.unexpected(statement)),
        }
    }
    count(document, node, Tag::AuthnStatement, authn_statements.len(), 1, 4)?;
    count(document, node, Tag::AttributeStatement, attribute_statements, 0, 4)?;
    Ok(AssertionShape {
        node,
        id,
        issuer,
        signature,
        name_id,
        confirmations,
        conditions,
        audiences,
        authn_statements,
        attributes,
    })
}

fn subject(document: &Document, node: NodeId) -> Result<(Option<NodeId>, Vec<Confirmation>), Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    let name_id = optional_name_id(document, &mut content)?;
    let nodes = content.repeated(Tag::SubjectConfirmation);
    content.end()?;
    count(document, node, Tag::SubjectConfirmation, nodes.len(), 1, 4)?;
    let confirmations = nodes.into_iter().map(|node| confirmation(document, node)).collect::<Result<_, _>>()?;
    Ok((name_id, confirmations))
}

fn optional_name_id(document: &Document, content: &mut Content<'_>) -> Result<Option<NodeId>, Rejection> {
    let name_id = content.optional(Tag::NameId);
    if let Some(name_id) = name_id {
        text_with(document, name_id, NAME_ID)?;
    }
    Ok(name_id)
}

fn confirmation(document: &Document, node: NodeId) -> Result<Confirmation, Rejection> {
    attributes(document, node, AttrSet::EMPTY.with(Attr::Method))?;
    required_attribute(document, node, Attr::Method, "Method")?;
    let mut content = Content::of(document, node)?;
    optional_name_id(document, &mut content)?;
    let data = content.required(Tag::SubjectConfirmationData)?;
    content.end()?;
    let allowed = AttrSet::EMPTY
        .with(Attr::NotBefore)
        .with(Attr::NotOnOrAfter)
        .with(Attr::Recipient)
        .with(Attr::InResponseTo)
        .with(Attr::Address);
    empty_with(document, data, allowed)?;
    Ok(Confirmation { node, data })
}

/// Unknown conditions make an assertion invalid (SAML Core 2.0 §2.5.1.1), so the list is closed.
fn conditions(document: &Document, node: NodeId) -> Result<Vec<Vec<NodeId>>, Rejection> {
    attributes(document, node, AttrSet::EMPTY.with(Attr::NotBefore).with(Attr::NotOnOrAfter))?;
    required_attribute(document, node, Attr::NotOnOrAfter, "NotOnOrAfter")?;
    let mut content = Content::of(document, node)?;
    let (mut restrictions, mut one_time_use, mut proxy_restriction) = (Vec::with_capacity(1), 0, 0);
    while let Some(condition) = content.next() {
        match document.tag(condition) {
            Tag::AudienceRestriction => {
                attributes(document, condition, AttrSet::EMPTY)?;
                restrictions.push(audiences(document, condition, 1)?);
            }
            Tag::OneTimeUse => {
                one_time_use += 1;
                empty_with(document, condition, AttrSet::EMPTY)?;
            }
            Tag::ProxyRestriction => {
                proxy_restriction += 1;
                attributes(document, condition, AttrSet::EMPTY.with(Attr::Count))?;
                audiences(document, condition, 0)?;
            }
            _ => return Err(content.unexpected(condition)),
        }
    }
    // That there is one at all is asked by the policy, which has a better word for it.
    count(document, node, Tag::AudienceRestriction, restrictions.len(), 0, 8)?;
    count(document, node, Tag::OneTimeUse, one_time_use, 0, 1)?;
    count(document, node, Tag::ProxyRestriction, proxy_restriction, 0, 1)?;
    Ok(restrictions)
}

fn audiences(document: &Document, node: NodeId, least: usize) -> Result<Vec<NodeId>, Rejection> {
    let mut content = Content::of(document, node)?;
    let audiences = content.repeated(Tag::Audience);
    content.end()?;
    count(document, node, Tag::Audience, audiences.len(), least, 16)?;
    for audience in &audiences {
        text_with(document, *audience, AttrSet::EMPTY)?;
    }
    Ok(audiences)
}

fn authn_statement(document: &Document, node: NodeId) -> Result<(), Rejection> {
    let allowed = AttrSet::EMPTY.with(Attr::AuthnInstant).with(Attr::SessionIndex).with(Attr::SessionNotOnOrAfter);
    attributes(document, node, allowed)?;
    required_attribute(document, node, Attr::AuthnInstant, "AuthnInstant")?;
    let mut content = Content::of(document, node)?;
    if let Some(locality) = content.optional(Tag::SubjectLocality) {
        empty_with(document, locality, AttrSet::EMPTY.with(Attr::Address).with(Attr::DnsName))?;
    }
    let context = content.required(Tag::AuthnContext)?;
    content.end()?;
    attributes(document, context, AttrSet::EMPTY)?;
    let mut content = Content::of(document, context)?;
    for tag in [Tag::AuthnContextClassRef, Tag::AuthnContextDeclRef] {
        if let Some(reference) = content.optional(tag) {
            text_with(document, reference, AttrSet::EMPTY)?;
        }
    }
    for authority in content.repeated(Tag::AuthenticatingAuthority) {
        text_with(document, authority, AttrSet::EMPTY)?;
    }
    content.end()
}

fn attribute_statement(document: &Document, node: NodeId, found: &mut Vec<AttributeShape>) -> Result<(), Rejection> {
    attributes(document, node, AttrSet::EMPTY)?;
    let mut content = Content::of(document, node)?;
    for attribute in content.repeated(Tag::Attribute) {
        found.push(self::attribute(document, attribute)?);
    }
    content.end()
}

fn attribute(document: &Document, node: NodeId) -> Result<AttributeShape, Rejection> {
    let allowed = AttrSet::EMPTY.with(Attr::Name).with(Attr::NameFormat).with(Attr::FriendlyName).with(Attr::Foreign);
    attributes(document, node, allowed)?;
    required_attribute(document, node, Attr::Name, "Name")?;
    foreign_attributes(document, node)?;
    let mut content = Content::of(document, node)?;
    let values = content.repeated(Tag::AttributeValue);
    content.end()?;
    let values = values.into_iter().map(|value| attribute_value(document, value)).collect::<Result<_, _>>()?;
    Ok(AttributeShape { node, values })
}

/// Exclusive canonicalization writes the namespace of such an attribute again on each sibling, so the length of its
/// name is what bounds by how much a canonical form is longer than its source.
const MAX_FOREIGN_NAMESPACE: usize = 80;

fn foreign_attributes(document: &Document, node: NodeId) -> Result<(), Rejection> {
    let mut found = 0;
    for (name, namespace) in document.foreign_attributes(node) {
        found += 1;
        if found > 2 || name.rsplit(':').next().is_some_and(|local| local.eq_ignore_ascii_case("id")) {
            return Err(Rejection::XmlAttributeForbidden {
                element: document.written_name(node).to_owned(),
                attribute: name.to_owned(),
            });
        }
        if namespace.len() > MAX_FOREIGN_NAMESPACE {
            let what = "bytes in the namespace name of an attribute that is not SAML's";
            return Err(Rejection::XmlLimitExceeded { what, limit: MAX_FOREIGN_NAMESPACE });
        }
    }
    Ok(())
}

/// Text, nothing, `xsi:nil`, or one NameID whose text is the value (eduPersonTargetedID is sent so).
fn attribute_value(document: &Document, node: NodeId) -> Result<Option<NodeId>, Rejection> {
    attributes(document, node, AttrSet::EMPTY.with(Attr::XsiType).with(Attr::XsiNil).with(Attr::XmlLang))?;
    let nil = matches!(document.attribute(node, Attr::XsiNil), Some("true" | "1"));
    if nil {
        Content::of(document, node)?.end()?;
        return Ok(None);
    }
    if document.text_only(node).is_some() {
        return Ok(Some(node));
    }
    let mut content = Content::of(document, node)?;
    let name_id = content.required(Tag::NameId)?;
    content.end()?;
    text_with(document, name_id, NAME_ID)?;
    Ok(Some(name_id))
}

/// Every ID of the documents, which belong together, is well-formed, and none is used twice, even in
/// another case of letters.
/// Nothing is ever looked up by ID; this only takes away what other software could be confused with.
///
/// # Errors
/// [`Rejection::IdInvalid`], [`Rejection::IdDuplicate`].
pub(crate) fn check_ids(documents: &[&Document]) -> Result<(), Rejection> {
    let mut ids: Vec<FoldedId<'_>> = Vec::with_capacity(8);
    for document in documents {
        for (node, value) in document.ids() {
            if !is_id(value) {
                return Err(Rejection::IdInvalid { element: document.written_name(node).to_owned() });
            }
            ids.push(FoldedId::of(value));
        }
    }
    ids.sort_unstable_by(FoldedId::order);
    let twice = ids.windows(2).any(|pair| matches!(pair, [one, other] if one.order(other).is_eq()));
    if twice { Err(Rejection::IdDuplicate) } else { Ok(()) }
}

/// An ID in small letters. A stranger may send thousands, so they are compared by their first bytes, which differ.
struct FoldedId<'a> {
    /// Filled up with NUL, which no ID holds.
    first: [u8; 16],
    rest: &'a [u8],
}

impl<'a> FoldedId<'a> {
    fn of(id: &'a str) -> Self {
        let mut first = [0; 16];
        first.iter_mut().zip(id.bytes()).for_each(|(to, from)| *to = from.to_ascii_lowercase());
        Self { first, rest: id.as_bytes().get(16..).unwrap_or_default() }
    }

    fn order(&self, other: &Self) -> Ordering {
        let folded = |rest: &'a [u8]| rest.iter().map(u8::to_ascii_lowercase);
        let first = |id: &Self| u128::from_be_bytes(id.first);
        first(self).cmp(&first(other)).then_with(|| folded(self.rest).cmp(folded(other.rest)))
    }
}

fn is_id(value: &str) -> bool {
    (1..=128).contains(&value.len())
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
}
