//! The AuthnRequest that begins a login, and the two bindings that carry it to the IdP.

use crate::ids::{RequestId, SsoUrl};
use crate::outgoing::{
    Element, Header, Message, Parameter, PostForm, Signer, SigningError, post_form, redirect_url, signed_redirect_url,
};
use crate::time::Timestamp;
use crate::trust::ServiceProvider;

/// A request for authentication (SAML Core 2.0 §3.4.1). It names our ACS URL (SDP-SP05) and asks for
/// neither a NameID format nor an authentication context (SDP-SP04, SDP-SP07): JumpCloud's answers to
/// such wishes are unknown.
#[derive(Debug, Clone, Copy)]
pub struct AuthnRequest<'a> {
    pub id: &'a RequestId,
    pub issue_instant: Timestamp,
    pub sso_url: &'a SsoUrl,
    pub sp: &'a ServiceProvider,
    /// The user must sign in anew, whatever session the IdP still has.
    pub force_authn: bool,
}

impl AuthnRequest<'_> {
    pub fn to_xml(&self) -> String {
        self.message().unsigned()
    }

    /// The address to send the browser to by HTTP-Redirect, unsigned.
    pub fn redirect_url(&self, relay_state: &str) -> String {
        redirect_url(self.sso_url.as_str(), Parameter::SamlRequest, &self.to_xml(), Some(relay_state))
    }

    /// As [`redirect_url`](Self::redirect_url), signed over the query; the message itself carries no Signature
    /// (SAML Bindings 2.0 §3.4.4.1).
    ///
    /// # Errors
    /// The key does not sign.
    pub fn signed_redirect_url(&self, relay_state: &str, signer: &Signer<'_>) -> Result<String, SigningError> {
        signed_redirect_url(self.sso_url.as_str(), Parameter::SamlRequest, &self.to_xml(), Some(relay_state), signer)
    }

    /// The form that the browser posts, unsigned.
    pub fn post_form(&self, relay_state: &str) -> PostForm {
        post_form(self.sso_url.as_str(), Parameter::SamlRequest, &self.to_xml(), Some(relay_state))
    }

    /// As [`post_form`](Self::post_form), with an enveloped Signature.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn signed_post_form(&self, relay_state: &str, signer: &Signer<'_>) -> Result<PostForm, SigningError> {
        let xml = self.message().signed(signer)?;
        Ok(post_form(self.sso_url.as_str(), Parameter::SamlRequest, &xml, Some(relay_state)))
    }

    fn message(&self) -> Message<'_> {
        let header = Header {
            id: self.id,
            issue_instant: self.issue_instant,
            destination: self.sso_url.as_str(),
            issuer: &self.sp.entity_id,
        };
        let root = Element::new("samlp:AuthnRequest")
            .attribute("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
            .attribute("AssertionConsumerServiceURL", self.sp.acs_url.as_str())
            .optional_attribute("ForceAuthn", self.force_authn.then_some("true"));
        Message::new(&header, root, &[])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use flate2::read::DeflateDecoder;

    use super::*;
    use crate::ids::{AcsUrl, EntityId};

    fn service_provider() -> ServiceProvider {
        ServiceProvider {
            entity_id: EntityId::parse(r#"a<b>&"c"#).unwrap(),
            acs_url: AcsUrl::parse("https://app.example.com/saml/acs").unwrap(),
            skew_seconds: 180,
        }
    }

    const EXPECTED: &str = concat!(
        r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol""#,
        r#" AssertionConsumerServiceURL="https://app.example.com/saml/acs" Destination="https://idp.example/sso?a=b&amp;c=d""#,
        r#" ID="_0101010101010101010101010101010101010101" IssueInstant="2026-11-23T14:44:31.000Z""#,
        r#" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Version="2.0">"#,
        r#"<saml:Issuer xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion">a&lt;b&gt;&amp;"c</saml:Issuer></samlp:AuthnRequest>"#,
    );

    #[test]
    fn travels_whole_by_both_bindings() {
        let id = RequestId::from_random([1; 20]);
        let sso_url = SsoUrl::parse("https://idp.example/sso?a=b&c=d").unwrap();
        let sp = service_provider();
        let issue_instant = Timestamp::from_unix(1_795_445_071, 0);
        let request = AuthnRequest { id: &id, issue_instant, sso_url: &sso_url, sp: &sp, force_authn: false };
        assert_eq!(request.to_xml(), EXPECTED);

        let url = request.redirect_url("r/+ &");
        let query = url.strip_prefix("https://idp.example/sso?a=b&c=d&").unwrap();
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(pairs[1], ("RelayState".to_owned(), "r/+ &".to_owned()));
        assert_eq!(pairs[0].0, "SAMLRequest");
        let mut xml = String::new();
        DeflateDecoder::new(STANDARD.decode(&pairs[0].1).unwrap().as_slice()).read_to_string(&mut xml).unwrap();
        assert_eq!(xml, EXPECTED);

        let form = request.post_form("r");
        assert_eq!((form.field, STANDARD.decode(&form.message).unwrap()), ("SAMLRequest", EXPECTED.into()));
        assert_eq!((form.action.as_str(), form.relay_state.as_deref()), (sso_url.as_str(), Some("r")));

        let forced = AuthnRequest { force_authn: true, ..request }.to_xml();
        assert_eq!(forced, EXPECTED.replace(" ID=", " ForceAuthn=\"true\" ID="));
    }
}
