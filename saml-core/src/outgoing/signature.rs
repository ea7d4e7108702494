//! Signatures by our own key: enveloped in a message (XML Signature 1.1), or over a query
//! (SAML Bindings 2.0 §3.4.4.1).

use std::fmt;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SecureRandom;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::key::SigningKey;
use super::xml::{DS, Element};

const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";

/// Our key, and the randomness that a signature may need.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    pub key: &'a SigningKey,
    pub random: &'a dyn SecureRandom,
}

/// The library did not sign with a key that it has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signing key does not sign: make another with `samlgate keys rotate`")]
pub struct SigningError;

impl Signer<'_> {
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningError> {
        self.key.sign(self.random, message)
    }

    /// The Signature for the element of that ID, whose canonical form without the Signature is `canonical`.
    pub(super) fn enveloped(&self, id: &str, canonical: &str) -> Result<String, SigningError> {
        let digest = STANDARD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()));
        // Apart from the message it declares its prefix itself; inside, the Signature does.
        let apart = self.signed_info(id, &digest).declaring(DS).write();
        let value = STANDARD.encode(self.sign(apart.as_bytes())?);
        let certificate = Element::new("ds:X509Certificate").text(&self.key.certificate().base64());
        let key_info = Element::new("ds:KeyInfo").child(&Element::new("ds:X509Data").child(&certificate));
        let signature = Element::new("ds:Signature")
            .declaring(DS)
            .child(&self.signed_info(id, &digest))
            .child(&Element::new("ds:SignatureValue").text(&value))
            .child(&key_info);
        Ok(signature.write())
    }

    fn signed_info(&self, id: &str, digest: &str) -> Element {
        let algorithm = |name, uri| Element::new(name).attribute("Algorithm", uri);
        let transforms = Element::new("ds:Transforms")
            .child(&algorithm("ds:Transform", ENVELOPED))
            .child(&algorithm("ds:Transform", EXCLUSIVE));
        let reference = Element::new("ds:Reference")
            .attribute("URI", &format!("#{id}"))
            .child(&transforms)
            .child(&algorithm("ds:DigestMethod", SHA256))
            .child(&Element::new("ds:DigestValue").text(digest));
        Element::new("ds:SignedInfo")
            .child(&algorithm("ds:CanonicalizationMethod", EXCLUSIVE))
            .child(&algorithm("ds:SignatureMethod", self.key.signature_method()))
            .child(&reference)
    }
}

impl fmt::Debug for Signer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("key", self.key).finish_non_exhaustive()
    }
}
