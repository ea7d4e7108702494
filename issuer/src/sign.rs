//! Enveloped XML signatures over elements that are canonical by construction.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::SigningKey;
use super::xml::{Element, Namespace, Scope};

pub(super) const DS: Namespace = Namespace { prefix: "ds", uri: "http://www.w3.org/2000/09/xmldsig#" };
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256_URI: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canonicalization {
    Exclusive,
    Inclusive,
}

impl Canonicalization {
    fn uri(self) -> &'static str {
        match self {
            Self::Exclusive => "http://www.w3.org/2001/10/xml-exc-c14n#",
            Self::Inclusive => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
        }
    }

    fn canonical(self, element: &Element, inherited: &Scope) -> String {
        match self {
            Self::Exclusive => element.exclusive(),
            Self::Inclusive => element.inclusive(inherited),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyInfo {
    Certificate,
    Absent,
}

/// How an issuer signs.
#[derive(Clone, Copy)]
pub(super) struct Signer<'a> {
    pub(super) key: &'a SigningKey,
    pub(super) canonicalization: Canonicalization,
    pub(super) key_info: KeyInfo,
}

impl Signer<'_> {
    /// The `ds:Signature` that belongs into `element`, whose ID is `id` and which stands where `inherited` is in scope.
    /// `element` does not hold the Signature yet: that is what the enveloped-signature transform makes of it.
    pub(super) fn signature(&self, element: &Element, id: &str, inherited: &Scope) -> Element {
        let digested = self.canonicalization.canonical(element, inherited);
        let signed_info = self.signed_info(id, &digested);
        let scope = Element::new(DS, "Signature").scope_for_children(&element.scope_for_children(inherited));
        let signed = self.canonicalization.canonical(&signed_info, &scope);
        let value = STANDARD.encode(self.key.sign(signed.as_bytes()));
        let signature =
            Element::new(DS, "Signature").child(signed_info).child(Element::new(DS, "SignatureValue").text(value));
        match self.key_info {
            KeyInfo::Absent => signature,
            KeyInfo::Certificate => {
                let certificate = Element::new(DS, "X509Certificate").text(self.key.certificate_base64());
                let data = Element::new(DS, "X509Data").child(certificate);
                signature.child(Element::new(DS, "KeyInfo").child(data))
            }
        }
    }

    fn signed_info(&self, id: &str, digested: &str) -> Element {
        let algorithm = |name, uri: &str| Element::new(DS, name).attribute("Algorithm", uri);
        let method = self.canonicalization.uri();
        let transforms = Element::new(DS, "Transforms")
            .child(algorithm("Transform", ENVELOPED))
            .child(algorithm("Transform", method));
        let value = STANDARD.encode(digest(&SHA256, digested.as_bytes()));
        let reference = Element::new(DS, "Reference")
            .attribute("URI", format!("#{id}"))
            .child(transforms)
            .child(algorithm("DigestMethod", SHA256_URI))
            .child(Element::new(DS, "DigestValue").text(value));
        Element::new(DS, "SignedInfo")
            .child(algorithm("CanonicalizationMethod", method))
            .child(algorithm("SignatureMethod", self.key.signature_algorithm()))
            .child(reference)
    }
}

/// Whether `xml` is `element` with an enveloped signature by `key`, made with exclusive canonicalisation. `element` is
/// what is expected, without the Signature; nothing is read from `xml` but the three values that cannot be foreseen.
pub fn verifies_enveloped(xml: &str, element: &Element, id: &str, key: &SigningKey) -> bool {
    let value_of = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<ds:{name}>"))?;
        rest.split_once(&format!("</ds:{name}>")).map(|(value, _)| value)
    };
    let signer = Signer { key, canonicalization: Canonicalization::Exclusive, key_info: KeyInfo::Certificate };
    let signed_info = signer.signed_info(id, &element.exclusive());
    let Some(signature_value) = value_of("SignatureValue") else { return false };
    let Ok(signature) = STANDARD.decode(signature_value) else { return false };
    let expected = {
        let certificate = Element::new(DS, "X509Certificate").text(key.certificate_base64());
        let key_info = Element::new(DS, "KeyInfo").child(Element::new(DS, "X509Data").child(certificate));
        let signature = Element::new(DS, "Signature")
            .child(signed_info.clone())
            .child(Element::new(DS, "SignatureValue").text(signature_value))
            .child(key_info);
        element.clone().with_child_at(1, signature).exclusive()
    };
    xml == expected && key.verifies(signed_info.exclusive().as_bytes(), &signature)
}
