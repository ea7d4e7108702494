//! The AuthnRequest that begins a login, and the two bindings that carry it to the IdP.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use crate::ids::{RequestId, SsoUrl};
use crate::time::Timestamp;
use crate::trust::ServiceProvider;
use crate::xml::escape::push_attribute_value;

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

/// The fields of a form that the browser posts to the IdP (SAML Bindings 2.0 §3.5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostForm {
    pub action: String,
    pub saml_request: String,
    pub relay_state: String,
}

impl AuthnRequest<'_> {
    pub fn to_xml(&self) -> String {
        let mut xml = String::with_capacity(640);
        xml.push_str(r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID=""#);
        xml.push_str(self.id.as_str());
        xml.push_str(r#"" Version="2.0" IssueInstant=""#);
        xml.push_str(&self.issue_instant.to_string());
        xml.push_str(r#"" Destination=""#);
        push_attribute_value(&mut xml, self.sso_url.as_str());
        if self.force_authn {
            xml.push_str(r#"" ForceAuthn="true"#);
        }
        xml.push_str(
            r#"" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" AssertionConsumerServiceURL=""#,
        );
        push_attribute_value(&mut xml, self.sp.acs_url.as_str());
        xml.push_str(r#""><saml:Issuer>"#);
        push_attribute_value(&mut xml, self.sp.entity_id.as_str());
        xml.push_str("</saml:Issuer></samlp:AuthnRequest>");
        xml
    }

    /// The address to send the browser to by HTTP-Redirect (SAML Bindings 2.0 §3.4.4.1): DEFLATE,
    /// base64, URL-encoding. A query that the SSO URL already has is kept.
    pub fn redirect_url(&self, relay_state: &str) -> String {
        let deflated = deflate(self.to_xml().as_bytes());
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("SAMLRequest", &STANDARD.encode(deflated))
            .append_pair("RelayState", relay_state)
            .finish();
        let separator = if self.sso_url.as_str().contains('?') { '&' } else { '?' };
        format!("{}{separator}{query}", self.sso_url)
    }

    pub fn post_form(&self, relay_state: &str) -> PostForm {
        PostForm {
            action: self.sso_url.as_str().to_owned(),
            saml_request: STANDARD.encode(self.to_xml()),
            relay_state: relay_state.to_owned(),
        }
    }
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len()), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

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
        r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#,
        r#" ID="_0101010101010101010101010101010101010101" Version="2.0" IssueInstant="2026-11-23T14:44:31.000Z""#,
        r#" Destination="https://idp.example/sso?a=b&amp;c=d" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST""#,
        r#" AssertionConsumerServiceURL="https://app.example.com/saml/acs"><saml:Issuer>a&lt;b&gt;&amp;&quot;c</saml:Issuer></samlp:AuthnRequest>"#,
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
        assert_eq!(STANDARD.decode(&form.saml_request).unwrap(), EXPECTED.as_bytes());
        assert_eq!((form.action.as_str(), form.relay_state.as_str()), (sso_url.as_str(), "r"));
    }

    #[test]
    fn asks_for_a_new_sign_in_where_that_is_wanted() {
        let id = RequestId::from_random([1; 20]);
        let sso_url = SsoUrl::parse("https://idp.example/sso?a=b&c=d").unwrap();
        let sp = service_provider();
        let issue_instant = Timestamp::from_unix(1_795_445_071, 0);
        let request = AuthnRequest { id: &id, issue_instant, sso_url: &sso_url, sp: &sp, force_authn: true };
        let forced = EXPECTED.replace(" ProtocolBinding=", " ForceAuthn=\"true\" ProtocolBinding=");
        assert_eq!(request.to_xml(), forced);
    }
}
