//! Our own metadata: what an IdP needs to know of us. No NameIDFormat is asked for (SDP-SP13).

use super::{POST, PROTOCOL, REDIRECT};
use crate::ids::SloUrl;
use crate::outgoing::{DS, Element, OwnCertificate};
use crate::trust::ServiceProvider;

const MD: (&str, &str) = ("md", "urn:oasis:names:tc:SAML:2.0:metadata");
const XENC11: (&str, &str) = ("xenc11", "http://www.w3.org/2009/xmlenc11#");

/// What our metadata says. Key lists hold the current key first, then the next one, so that an IdP knows it
/// before it is used; the previous one is not told any more.
#[derive(Debug, Clone, Copy)]
pub struct SpMetadata<'a> {
    pub sp: &'a ServiceProvider,
    /// Of the keys that sign our requests; empty where nothing is signed.
    pub signing: &'a [&'a OwnCertificate],
    /// Of the keys that decrypt; empty where nothing is decrypted.
    pub encryption: &'a [&'a OwnCertificate],
    /// Whether AuthnRequests are signed: logout messages always are.
    pub authn_requests_signed: bool,
    /// Where single logout is on.
    pub slo_url: Option<&'a SloUrl>,
}

impl<'a> SpMetadata<'a> {
    /// Without keys and single logout.
    pub fn plain(sp: &'a ServiceProvider) -> Self {
        Self { sp, signing: &[], encryption: &[], authn_requests_signed: false, slo_url: None }
    }

    /// The document. The same facts give the same bytes. Elements stand in the order of the schema
    /// (SAML Metadata 2.0 §2.4.1, §2.4.2, §2.4.4): keys, logout, assertion consumer.
    pub fn to_xml(&self) -> String {
        let mut role = Element::new("md:SPSSODescriptor")
            .attribute("AuthnRequestsSigned", if self.authn_requests_signed { "true" } else { "false" })
            .attribute("WantAssertionsSigned", "true")
            .attribute("protocolSupportEnumeration", PROTOCOL);
        for child in self.children() {
            role = role.text("\n    ").child(&child);
        }
        let entity = Element::new("md:EntityDescriptor")
            .declaring(MD)
            .attribute("entityID", self.sp.entity_id.as_str())
            .text("\n  ")
            .child(&role.text("\n  "))
            .text("\n");
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", entity.write())
    }

    fn children(&self) -> Vec<Element> {
        let service =
            |name, binding, location| Element::new(name).attribute("Binding", binding).attribute("Location", location);
        let signing = self.signing.iter().map(|certificate| key_descriptor("signing", certificate));
        let encryption = self.encryption.iter().map(|certificate| {
            encryption_methods().iter().fold(key_descriptor("encryption", certificate), Element::child)
        });
        let logout = self.slo_url.into_iter().flat_map(|slo_url| {
            [REDIRECT, POST].map(|binding| service("md:SingleLogoutService", binding, slo_url.as_str()))
        });
        let acs = service("md:AssertionConsumerService", POST, self.sp.acs_url.as_str())
            .attribute("index", "0")
            .attribute("isDefault", "true");
        signing.chain(encryption).chain(logout).chain(std::iter::once(acs)).collect()
    }
}

fn key_descriptor(purpose: &str, certificate: &OwnCertificate) -> Element {
    let certificate = Element::new("ds:X509Certificate").text(&certificate.base64());
    let key_info = Element::new("ds:KeyInfo").declaring(DS).child(&Element::new("ds:X509Data").child(&certificate));
    Element::new("md:KeyDescriptor").attribute("use", purpose).child(&key_info)
}

/// What we decrypt, so that an IdP need not guess: no CBC, and each OAEP with its one hash.
fn encryption_methods() -> [Element; 4] {
    let method = |uri: &str| Element::new("md:EncryptionMethod").attribute("Algorithm", uri);
    let digest = |uri: &str| Element::new("ds:DigestMethod").declaring(DS).attribute("Algorithm", uri);
    let mgf = Element::new("xenc11:MGF")
        .declaring(XENC11)
        .attribute("Algorithm", "http://www.w3.org/2009/xmlenc11#mgf1sha256");
    [
        method("http://www.w3.org/2009/xmlenc11#aes256-gcm"),
        method("http://www.w3.org/2009/xmlenc11#aes128-gcm"),
        method("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p")
            .child(&digest("http://www.w3.org/2000/09/xmldsig#sha1")),
        method("http://www.w3.org/2009/xmlenc11#rsa-oaep")
            .child(&digest("http://www.w3.org/2001/04/xmlenc#sha256"))
            .child(&mgf),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AcsUrl, EntityId};

    fn service_provider() -> ServiceProvider {
        ServiceProvider {
            entity_id: EntityId::parse("https://app.example.com/saml/metadata?a&\"b\"").unwrap(),
            acs_url: AcsUrl::parse("https://app.example.com/saml/acs").unwrap(),
            skew_seconds: 180,
        }
    }

    fn certificate() -> OwnCertificate {
        let made = rcgen::generate_simple_self_signed(vec!["sp.example".to_owned()]).unwrap();
        OwnCertificate::from_der(made.cert.der().to_vec()).unwrap()
    }

    #[test]
    fn says_the_least_where_nothing_is_signed_or_decrypted() {
        let expected = concat!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
            "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"",
            " entityID=\"https://app.example.com/saml/metadata?a&amp;&quot;b&quot;\">\n",
            "  <md:SPSSODescriptor AuthnRequestsSigned=\"false\" WantAssertionsSigned=\"true\"",
            " protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n",
            "    <md:AssertionConsumerService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\"",
            " Location=\"https://app.example.com/saml/acs\" index=\"0\" isDefault=\"true\"></md:AssertionConsumerService>\n",
            "  </md:SPSSODescriptor>\n",
            "</md:EntityDescriptor>\n",
        );
        assert_eq!(SpMetadata::plain(&service_provider()).to_xml(), expected);
    }

    #[test]
    fn tells_current_and_next_keys_and_logout_in_the_order_of_the_schema() {
        let sp = service_provider();
        let slo_url = SloUrl::parse("https://app.example.com/saml/slo").unwrap();
        let [current, next, decryption] = [certificate(), certificate(), certificate()];
        let metadata = SpMetadata {
            sp: &sp,
            signing: &[&current, &next],
            encryption: &[&decryption],
            authn_requests_signed: true,
            slo_url: Some(&slo_url),
        };
        let xml = metadata.to_xml();
        assert_eq!(xml, metadata.to_xml());
        assert!(xml.contains("AuthnRequestsSigned=\"true\""));
        let places = [
            "<md:KeyDescriptor use=\"signing\">",
            &current.base64(),
            &next.base64(),
            "<md:KeyDescriptor use=\"encryption\">",
            &decryption.base64(),
            "#aes256-gcm",
            "#aes128-gcm",
            "#rsa-oaep-mgf1p",
            "#rsa-oaep\"",
            "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"https://app.example.com/saml/slo\">",
            "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://app.example.com/saml/slo\">",
            "<md:AssertionConsumerService ",
        ]
        .map(|part| xml.find(part).unwrap_or_else(|| panic!("{part} is not in {xml}")));
        assert!(places.is_sorted(), "{xml}");
        assert_eq!((xml.matches("use=\"signing\"").count(), xml.matches("use=\"encryption\"").count()), (2, 1));
        assert!(!xml.contains("cbc"));
    }
}
