//! An IdP's metadata.
//!
//! Metadata is trusted for where it comes from, a file or an address in the settings. Its signature is
//! not looked at, and no key is ever taken from one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{POST, PROTOCOL, REDIRECT};
use crate::ids::{EntityId, IdError, IdpSloUrl, SsoUrl};
use crate::rejection::{Rejection, shortened};
use crate::time::Timestamp;
use crate::trust::{Certificate, CertificateError};
use crate::xml::{Attr, Child, Comments, Document, Limits, NodeId, Tag, XmlText, parse};

const MAX_METADATA_BYTES: usize = 1024 * 1024;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    #[error("metadata has {size} bytes: at most {MAX_METADATA_BYTES} are read")]
    TooLarge { size: usize },
    #[error(
        "metadata is a web page: that is the SSO URL or a sign-in page; in JumpCloud choose Export Metadata and give that file"
    )]
    WebPage,
    #[error("metadata cannot be read: {0}")]
    NotXml(#[source] Box<Rejection>),
    #[error(
        "metadata has the root element {root:?}: wanted EntityDescriptor; in JumpCloud choose Export Metadata and give that file"
    )]
    NotMetadata { root: String },
    #[error(
        "metadata describes {seen:?} and not {wanted:?}: make `entity_id` equal to JumpCloud's field IdP Entity ID and export the metadata again"
    )]
    OtherEntity { seen: Vec<String>, wanted: String },
    #[error("metadata describes {wanted:?} more than once: export it again")]
    RepeatedEntity { wanted: String },
    #[error(
        "metadata of {wanted:?} holds {found} IDPSSODescriptors for SAML 2.0: wanted one; give the IdP's metadata, not a service provider's"
    )]
    NoIdp { wanted: String, found: usize },
    #[error("metadata holds no signing certificate: export it again")]
    NoKey,
    #[error("metadata holds a certificate that cannot be used: {0}")]
    Certificate(#[source] CertificateError),
    #[error(
        "metadata says validUntil={seen:?}: wanted an instant in UTC such as 2027-01-31T00:00:00Z; export it again, or take the attribute out of the file"
    )]
    ValidUntil { seen: String },
    #[error("metadata holds an address that cannot be used: {0}")]
    Address(#[source] IdError),
}

/// What of an IdP's metadata is used.
#[derive(Debug, Clone)]
pub struct IdpMetadata {
    pub entity_id: EntityId,
    /// Of KeyDescriptors whose `use` is absent or `signing`.
    pub certificates: Vec<Certificate>,
    /// SingleSignOnService by HTTP-Redirect; JumpCloud declares it only when told to.
    pub redirect: Option<SsoUrl>,
    /// SingleSignOnService by HTTP-POST.
    pub post: Option<SsoUrl>,
    /// SingleLogoutService by HTTP-Redirect.
    pub logout_redirect: Option<SingleLogoutService>,
    /// SingleLogoutService by HTTP-POST.
    pub logout_post: Option<SingleLogoutService>,
    /// Whether the IdP asks for signed AuthnRequests.
    pub want_authn_requests_signed: bool,
    /// The earliest `validUntil` that applies.
    pub valid_until: Option<Timestamp>,
}

/// Where an IdP takes logout messages by one binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SingleLogoutService {
    pub location: IdpSloUrl,
    /// Where LogoutResponses go, if not to the same address as LogoutRequests (SAML Metadata 2.0 §2.2.2).
    pub response_location: Option<IdpSloUrl>,
}

impl SingleLogoutService {
    pub fn for_responses(&self) -> &IdpSloUrl {
        self.response_location.as_ref().unwrap_or(&self.location)
    }
}

impl IdpMetadata {
    /// Reads the one EntityDescriptor of `entity_id`.
    ///
    /// # Errors
    /// Not metadata, of another entity, of another role, without a usable key, or of a `validUntil` that is no instant.
    pub fn parse(xml: &[u8], entity_id: &EntityId) -> Result<Self, MetadataError> {
        let document = document(xml)?;
        let entity = entity(&document, entity_id)?;
        let role = role(&document, entity, entity_id)?;
        let mut metadata = Self {
            entity_id: entity_id.clone(),
            certificates: Vec::new(),
            redirect: None,
            post: None,
            logout_redirect: None,
            logout_post: None,
            want_authn_requests_signed: matches!(named(&document, role, "WantAuthnRequestsSigned"), Some("true" | "1")),
            valid_until: None,
        };
        // It holds for all that an element contains (SAML Metadata 2.0 §2.3.1).
        for node in document.with_ancestors(role) {
            metadata.note_valid_until(&document, node)?;
        }
        for child in elements(&document, role) {
            match document.tag(child) {
                Tag::KeyDescriptor => metadata.take_keys(&document, child)?,
                Tag::SingleSignOnService => metadata.take_address(&document, child)?,
                Tag::SingleLogoutService => metadata.take_logout_address(&document, child)?,
                _ => {}
            }
        }
        if metadata.certificates.is_empty() { Err(MetadataError::NoKey) } else { Ok(metadata) }
    }

    /// SAML Core 2.0 §1.3.3: in UTC. What cannot be read could have passed long ago, so it is not taken for absent.
    fn note_valid_until(&mut self, document: &Document, node: NodeId) -> Result<(), MetadataError> {
        let Some(text) = document.attribute(node, Attr::ValidUntil) else { return Ok(()) };
        let found = Timestamp::parse(text).map_err(|_| MetadataError::ValidUntil { seen: shortened(text) })?;
        self.valid_until = Some(self.valid_until.map_or(found, |earlier| earlier.min(found)));
        Ok(())
    }

    /// A missing `use` means both purposes (SAML Metadata 2.0 §2.4.1.1).
    fn take_keys(&mut self, document: &Document, descriptor: NodeId) -> Result<(), MetadataError> {
        if !matches!(document.attribute(descriptor, Attr::Use), None | Some("signing")) {
            return Ok(());
        }
        for node in certificates(document, descriptor) {
            let text = document.text_only(node).unwrap_or_default();
            let compact: String = text.chars().filter(|character| !character.is_whitespace()).collect();
            let der = STANDARD.decode(compact).map_err(|error| {
                MetadataError::Certificate(CertificateError::NotBase64 { problem: error.to_string() })
            })?;
            let certificate = Certificate::from_der(&der).map_err(MetadataError::Certificate)?;
            if !self.certificates.iter().any(|held| held.fingerprint() == certificate.fingerprint()) {
                self.certificates.push(certificate);
            }
        }
        Ok(())
    }

    fn take_address(&mut self, document: &Document, service: NodeId) -> Result<(), MetadataError> {
        let slot = match document.attribute(service, Attr::Binding) {
            Some(REDIRECT) => &mut self.redirect,
            Some(POST) => &mut self.post,
            _ => return Ok(()),
        };
        if slot.is_none() {
            let location = document.attribute(service, Attr::Location).unwrap_or_default();
            *slot = Some(SsoUrl::parse(location).map_err(MetadataError::Address)?);
        }
        Ok(())
    }

    fn take_logout_address(&mut self, document: &Document, service: NodeId) -> Result<(), MetadataError> {
        let slot = match document.attribute(service, Attr::Binding) {
            Some(REDIRECT) => &mut self.logout_redirect,
            Some(POST) => &mut self.logout_post,
            _ => return Ok(()),
        };
        if slot.is_none() {
            let address = |text| IdpSloUrl::parse(text).map_err(MetadataError::Address);
            let location = address(document.attribute(service, Attr::Location).unwrap_or_default())?;
            let response_location = named(document, service, "ResponseLocation").map(address).transpose()?;
            *slot = Some(SingleLogoutService { location, response_location });
        }
        Ok(())
    }
}

/// Metadata has a gate of its own: a byte order mark and comments are allowed.
fn document(xml: &[u8]) -> Result<Document, MetadataError> {
    if xml.len() > MAX_METADATA_BYTES {
        return Err(MetadataError::TooLarge { size: xml.len() });
    }
    let xml = xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(xml);
    let parsed = XmlText::admit(xml.to_vec()).and_then(|text| parse(text, &Limits::METADATA, Comments::Skip));
    parsed.map_err(|rejection| {
        let start = String::from_utf8_lossy(xml.get(..xml.len().min(2048)).unwrap_or_default()).to_ascii_lowercase();
        if start.contains("<html") || start.contains("<!doctype html") {
            MetadataError::WebPage
        } else {
            MetadataError::NotXml(Box::new(rejection))
        }
    })
}

/// The one EntityDescriptor of that entity ID: the root, or reached from it through EntitiesDescriptors alone.
/// A second one anywhere, inside an Extensions for instance, refuses the whole.
fn entity(document: &Document, wanted: &EntityId) -> Result<NodeId, MetadataError> {
    match document.tag(Document::ROOT) {
        Tag::EntityDescriptor | Tag::EntitiesDescriptor => {}
        _ if document.written_name(Document::ROOT).eq_ignore_ascii_case("html") => return Err(MetadataError::WebPage),
        _ => return Err(MetadataError::NotMetadata { root: document.written_name(Document::ROOT).to_owned() }),
    }
    let id = |node: NodeId| document.attribute(node, Attr::EntityId).unwrap_or_default();
    let is_wanted = |node: &NodeId| document.tag(*node) == Tag::EntityDescriptor && id(*node) == wanted.as_str();
    let everywhere = std::iter::once(Document::ROOT).chain(document.descendants(Document::ROOT));
    if everywhere.filter(is_wanted).count() > 1 {
        return Err(MetadataError::RepeatedEntity { wanted: wanted.to_string() });
    }
    let mut entities = Vec::new();
    collect_entities(document, Document::ROOT, &mut entities);
    entities.iter().copied().find(is_wanted).ok_or_else(|| {
        let seen = entities.iter().take(8).map(|node| shortened(id(*node))).collect();
        MetadataError::OtherEntity { seen, wanted: wanted.to_string() }
    })
}

/// Nesting is bounded by the parser's limit of depth.
fn collect_entities(document: &Document, node: NodeId, found: &mut Vec<NodeId>) {
    match document.tag(node) {
        Tag::EntityDescriptor => found.push(node),
        Tag::EntitiesDescriptor => elements(document, node).for_each(|child| collect_entities(document, child, found)),
        _ => {}
    }
}

fn role(document: &Document, entity: NodeId, wanted: &EntityId) -> Result<NodeId, MetadataError> {
    let speaks_saml2 = |node: &NodeId| {
        named(document, *node, "protocolSupportEnumeration")
            .is_some_and(|protocols| protocols.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL))
    };
    let roles: Vec<NodeId> = children(document, entity, Tag::IdpSsoDescriptor).filter(speaks_saml2).collect();
    match roles.as_slice() {
        [role] => Ok(*role),
        roles => Err(MetadataError::NoIdp { wanted: wanted.to_string(), found: roles.len() }),
    }
}

/// Certificates in their one place, so that none is taken from what else a KeyDescriptor may be made to hold.
fn certificates(document: &Document, descriptor: NodeId) -> impl Iterator<Item = NodeId> {
    children(document, descriptor, Tag::KeyInfo)
        .flat_map(|key_info| children(document, key_info, Tag::X509Data))
        .flat_map(|data| children(document, data, Tag::X509Certificate))
}

fn children(document: &Document, parent: NodeId, tag: Tag) -> impl Iterator<Item = NodeId> {
    elements(document, parent).filter(move |node| document.tag(*node) == tag)
}

fn elements(document: &Document, parent: NodeId) -> impl Iterator<Item = NodeId> {
    document.children(parent).filter_map(|child| match child {
        Child::Element(node) => Some(node),
        Child::Text(_) => None,
    })
}

/// An attribute that only metadata has. A written name without a prefix is in no namespace.
fn named<'a>(document: &'a Document, node: NodeId, wanted: &str) -> Option<&'a str> {
    document.attributes(node).find(|(_, name, _)| *name == wanted).map(|(_, _, value)| value)
}
