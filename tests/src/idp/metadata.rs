//! The IdP's metadata, in the shape that JumpCloud exports.

use std::sync::Arc;

use crate::issuer::SigningKey;
use crate::issuer::xml::{Element, Namespace};

const MD: Namespace = Namespace { prefix: "md", uri: "urn:oasis:names:tc:SAML:2.0:metadata" };
const DS: Namespace = Namespace { prefix: "ds", uri: "http://www.w3.org/2000/09/xmldsig#" };
const HTTP_POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
const HTTP_REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

pub(super) fn metadata(
    entity_id: &str,
    sso_url: &str,
    keys: &[Arc<SigningKey>],
    declares_redirect: bool,
    slo_url: Option<&str>,
) -> String {
    let key_descriptor = |key: &Arc<SigningKey>| {
        let certificate = Element::new(DS, "X509Certificate").text(key.certificate_base64());
        let key_info = Element::new(DS, "KeyInfo").child(Element::new(DS, "X509Data").child(certificate));
        Element::new(MD, "KeyDescriptor").attribute("use", "signing").child(key_info)
    };
    let service = |binding: &str| {
        Element::new(MD, "SingleSignOnService").attribute("Binding", binding).attribute("Location", sso_url)
    };
    let logout = |binding: &str, slo_url: &str| {
        Element::new(MD, "SingleLogoutService").attribute("Binding", binding).attribute("Location", slo_url)
    };
    let role = Element::new(MD, "IDPSSODescriptor")
        .attribute("WantAuthnRequestsSigned", "false")
        .attribute("protocolSupportEnumeration", "urn:oasis:names:tc:SAML:2.0:protocol")
        .children(keys.iter().map(key_descriptor))
        .children(
            slo_url.into_iter().flat_map(|slo_url| [HTTP_POST, HTTP_REDIRECT].map(|binding| logout(binding, slo_url))),
        )
        .child(service(HTTP_POST))
        .children(declares_redirect.then(|| service(HTTP_REDIRECT)));
    let descriptor = Element::new(MD, "EntityDescriptor").attribute("entityID", entity_id).child(role);
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}", descriptor.exclusive())
}
