//! Metadata (SAML Metadata 2.0): an IdP's, from which keys and addresses are taken, and our own.
//!
//! Metadata is trusted for where it comes from, a file or an address in the settings. Its signature is
//! not looked at, and no key is ever taken from one.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ids::{EntityId, IdError, SsoUrl};
use crate::rejection::{Rejection, shortened};
use crate::time::Timestamp;
use crate::trust::{Certificate, CertificateError, ServiceProvider};
use crate::xml::escape::push_attribute_value;
use crate::xml::{Attr, Child, Comments, Document, Limits, NodeId, Tag, XmlText, parse};

const MAX_METADATA_BYTES: usize = 1024 * 1024;
const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

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
    #[error("metadata holds an address that cannot be used: {0}")]
    Address(#[source] IdError),
}

/// What of an IdP's metadata is used.
#[derive(Debug, Clone)]
pub struct IdpMetadata {
    /// Of KeyDescriptors whose `use` is absent or `signing`.
    pub certificates: Vec<Certificate>,
    /// SingleSignOnService by HTTP-Redirect; JumpCloud declares it only when told to.
    pub redirect: Option<SsoUrl>,
    /// SingleSignOnService by HTTP-POST.
    pub post: Option<SsoUrl>,
    /// The earliest `validUntil` that applies.
    pub valid_until: Option<Timestamp>,
}

impl IdpMetadata {
    /// Reads the one EntityDescriptor of `entity_id`.
    ///
    /// # Errors
    /// Not metadata, of another entity, of another role, or without a usable key.
    pub fn parse(xml: &[u8], entity_id: &EntityId) -> Result<Self, MetadataError> {
        let document = document(xml)?;
        let entity = entity(&document, entity_id)?;
        let role = role(&document, entity, entity_id)?;
        let mut metadata = Self { certificates: Vec::new(), redirect: None, post: None, valid_until: None };
        for node in [Document::ROOT, entity, role] {
            metadata.note_valid_until(&document, node);
        }
        for child in elements(&document, role) {
            match document.tag(child) {
                Tag::KeyDescriptor => metadata.take_keys(&document, child)?,
                Tag::SingleSignOnService => metadata.take_address(&document, child)?,
                _ => {}
            }
        }
        if metadata.certificates.is_empty() { Err(MetadataError::NoKey) } else { Ok(metadata) }
    }

    fn note_valid_until(&mut self, document: &Document, node: NodeId) {
        let found = document.attribute(node, Attr::ValidUntil).and_then(|text| Timestamp::parse(text).ok());
        self.valid_until = match (self.valid_until, found) {
            (Some(earlier), Some(found)) => Some(earlier.min(found)),
            (earlier, found) => earlier.or(found),
        };
    }

    /// A missing `use` means both purposes (SAML Metadata 2.0 §2.4.1.1).
    fn take_keys(&mut self, document: &Document, descriptor: NodeId) -> Result<(), MetadataError> {
        if !matches!(document.attribute(descriptor, Attr::Use), None | Some("signing")) {
            return Ok(());
        }
        for node in document.descendants(descriptor).filter(|node| document.tag(*node) == Tag::X509Certificate) {
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

fn entity(document: &Document, wanted: &EntityId) -> Result<NodeId, MetadataError> {
    let entities: Vec<NodeId> = match document.tag(Document::ROOT) {
        Tag::EntityDescriptor => vec![Document::ROOT],
        Tag::EntitiesDescriptor => {
            document.descendants(Document::ROOT).filter(|node| document.tag(*node) == Tag::EntityDescriptor).collect()
        }
        _ if document.written_name(Document::ROOT).eq_ignore_ascii_case("html") => return Err(MetadataError::WebPage),
        _ => return Err(MetadataError::NotMetadata { root: document.written_name(Document::ROOT).to_owned() }),
    };
    let id = |node: &NodeId| document.attribute(*node, Attr::EntityId).unwrap_or_default();
    let mut found = entities.iter().filter(|node| id(node) == wanted.as_str());
    match (found.next(), found.next()) {
        (Some(entity), None) => Ok(*entity),
        (Some(_), Some(_)) => Err(MetadataError::RepeatedEntity { wanted: wanted.to_string() }),
        (None, _) => {
            let seen = entities.iter().take(8).map(|node| shortened(id(node))).collect();
            Err(MetadataError::OtherEntity { seen, wanted: wanted.to_string() })
        }
    }
}

fn role(document: &Document, entity: NodeId, wanted: &EntityId) -> Result<NodeId, MetadataError> {
    let speaks_saml2 = |node: &NodeId| {
        let mut attributes = document.attributes(*node);
        attributes.any(|(_, name, value)| {
            name == "protocolSupportEnumeration" && value.split_ascii_whitespace().any(|protocol| protocol == PROTOCOL)
        })
    };
    let roles: Vec<NodeId> = elements(document, entity)
        .filter(|node| document.tag(*node) == Tag::IdpSsoDescriptor)
        .filter(speaks_saml2)
        .collect();
    match roles.as_slice() {
        [role] => Ok(*role),
        roles => Err(MetadataError::NoIdp { wanted: wanted.to_string(), found: roles.len() }),
    }
}

fn elements(document: &Document, parent: NodeId) -> impl Iterator<Item = NodeId> {
    document.children(parent).filter_map(|child| match child {
        Child::Element(node) => Some(node),
        Child::Text(_) => None,
    })
}

/// Our own metadata: what an IdP needs to know of us. No NameIDFormat is asked for (SDP-SP13).
pub fn sp_metadata(sp: &ServiceProvider) -> String {
    let mut xml = String::with_capacity(640);
    xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml.push_str("<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"");
    push_attribute_value(&mut xml, sp.entity_id.as_str());
    xml.push_str("\">\n  <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\" protocolSupportEnumeration=\"");
    xml.push_str(PROTOCOL);
    xml.push_str("\">\n    <md:AssertionConsumerService Binding=\"");
    xml.push_str(POST);
    xml.push_str("\" Location=\"");
    push_attribute_value(&mut xml, sp.acs_url.as_str());
    xml.push_str("\" index=\"0\" isDefault=\"true\"/>\n  </md:SPSSODescriptor>\n</md:EntityDescriptor>\n");
    xml
}
