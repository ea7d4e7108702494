//! Reads AuthnRequests as they come in by HTTP-Redirect and HTTP-POST.

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::issuer::xml::{Element, Namespace};
use crate::issuer::{SigningKey, verifies_enveloped};

const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const MAX_INFLATED: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Binding {
    Redirect,
    Post,
}

/// A request as the IdP read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthnRequest {
    pub binding: Binding,
    pub xml: String,
    pub id: String,
    pub issuer: Option<String>,
    pub acs_url: Option<String>,
    pub destination: Option<String>,
    pub force_authn: bool,
    pub relay_state: Option<String>,
    /// By Redirect, as it came: a signature covers its very octets.
    pub query: Option<String>,
}

impl AuthnRequest {
    /// Whether this key signed it: the query by Redirect, the message by POST.
    pub fn is_signed_by(&self, key: &SigningKey) -> bool {
        match self.binding {
            Binding::Redirect => self.query.as_deref().is_some_and(|query| is_query_signed(query, key)),
            Binding::Post => {
                expected(&self.xml).is_some_and(|element| verifies_enveloped(&self.xml, &element, &self.id, key))
            }
        }
    }

    pub(super) fn read(binding: Binding, message: &str, relay_state: Option<String>) -> Result<Self, String> {
        let bytes = STANDARD.decode(message).map_err(|error| format!("SAMLRequest is not base64: {error}"))?;
        let xml = match binding {
            Binding::Post => String::from_utf8(bytes).map_err(|error| format!("SAMLRequest is not UTF-8: {error}"))?,
            Binding::Redirect => inflate(&bytes)?,
        };
        let document = roxmltree::Document::parse(&xml).map_err(|error| format!("SAMLRequest is not XML: {error}"))?;
        let root = document.root_element();
        if !root.has_tag_name((SAMLP, "AuthnRequest")) {
            return Err(format!("SAMLRequest holds a {}, not an AuthnRequest", root.tag_name().name()));
        }
        let attribute = |name| root.attribute(name).map(str::to_owned);
        let issuer = root.children().find(|child| child.has_tag_name((SAML, "Issuer")));
        Ok(Self {
            binding,
            id: attribute("ID").ok_or("the AuthnRequest has no ID")?,
            issuer: issuer.and_then(|issuer| issuer.text()).map(str::to_owned),
            acs_url: attribute("AssertionConsumerServiceURL"),
            destination: attribute("Destination"),
            force_authn: matches!(root.attribute("ForceAuthn"), Some("true" | "1")),
            relay_state,
            query: None,
            xml: xml.clone(),
        })
    }
}

/// SAML Bindings 2.0 §3.4.4.1: what is signed is all that stands before the signature.
pub(super) fn is_query_signed(query: &str, key: &SigningKey) -> bool {
    let Some((signed, signature)) = query.split_once("&Signature=") else { return false };
    let signature: String = form_urlencoded::parse(signature.as_bytes()).map(|(value, _)| value).collect();
    STANDARD.decode(signature).is_ok_and(|signature| key.verifies(signed.as_bytes(), &signature))
}

/// Those of an AuthnRequest that may stand in a signed one.
const ATTRIBUTES: [&str; 7] =
    ["ID", "Version", "IssueInstant", "Destination", "ProtocolBinding", "AssertionConsumerServiceURL", "ForceAuthn"];

/// The request as it was before it was signed.
fn expected(xml: &str) -> Option<Element> {
    let document = roxmltree::Document::parse(xml).ok()?;
    let root = document.root_element();
    let issuer = root.children().find(|child| child.has_tag_name((SAML, "Issuer")))?.text()?;
    let request = Element::new(Namespace { prefix: "samlp", uri: SAMLP }, "AuthnRequest");
    let request =
        ATTRIBUTES.iter().fold(request, |request, name| request.optional_attribute(name, root.attribute(*name)));
    Some(request.child(Element::new(Namespace { prefix: "saml", uri: SAML }, "Issuer").text(issuer)))
}

pub(super) fn inflate(bytes: &[u8]) -> Result<String, String> {
    let mut xml = String::new();
    let mut inflated = flate2::read::DeflateDecoder::new(bytes).take(MAX_INFLATED + 1);
    inflated.read_to_string(&mut xml).map_err(|error| format!("SAMLRequest cannot be inflated: {error}"))?;
    match xml.len() as u64 > MAX_INFLATED {
        true => Err(format!("SAMLRequest inflates to more than {MAX_INFLATED} bytes")),
        false => Ok(xml),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn deflated(xml: &str) -> String {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(xml.as_bytes()).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    }

    const REQUEST: &str = r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1" AssertionConsumerServiceURL="https://a/acs"><i:Issuer xmlns:i="urn:oasis:names:tc:SAML:2.0:assertion">sp &amp; co</i:Issuer></samlp:AuthnRequest>"#;

    #[test]
    fn reads_the_same_request_by_redirect_and_by_post() {
        for (binding, message) in [(Binding::Redirect, deflated(REQUEST)), (Binding::Post, STANDARD.encode(REQUEST))] {
            let request = AuthnRequest::read(binding, &message, Some("r".to_owned())).unwrap();
            assert_eq!(request.id, "_1");
            assert_eq!(request.issuer.as_deref(), Some("sp & co"));
            assert_eq!(request.acs_url.as_deref(), Some("https://a/acs"));
        }
    }

    #[test]
    fn refuses_a_request_that_inflates_beyond_its_bound() {
        let bomb = deflated(&" ".repeat(1_000_000));
        let refusal = AuthnRequest::read(Binding::Redirect, &bomb, None).unwrap_err();
        assert!(refusal.contains("inflates to more"), "{refusal}");
    }

    #[test]
    fn refuses_another_message() {
        let message =
            STANDARD.encode(r#"<samlp:LogoutRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" ID="_1"/>"#);
        assert!(AuthnRequest::read(Binding::Post, &message, None).unwrap_err().contains("LogoutRequest"));
    }
}
