//! What no verifier can do without: two signatures over two SignedInfos with a parsed key, two digests of
//! exactly the digested bytes.

use std::hint::black_box;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use issuer::{Issued, SigningKey};

pub struct Floor {
    key: ParsedPublicKey,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
    digested: Vec<Vec<u8>>,
}

impl Floor {
    pub fn of(issued: &Issued, key: &SigningKey) -> Self {
        let signatures = [&issued.response_signature, &issued.assertion_signature]
            .map(|signature| signature.as_deref().expect("signed"));
        let signed = signatures.map(|signature| {
            let value = STANDARD.decode(text_of(signature, "SignatureValue")).expect("base64");
            (signed_info(signature).into_bytes(), value)
        });
        let assertion = issued.assertion.as_deref().expect("an Assertion").replacen(signatures[1], "", 1);
        let response = issued.xml.replacen(signatures[0], "", 1);
        let floor = Self {
            key: public_key(key),
            signed: signed.to_vec(),
            digested: vec![response.into_bytes(), assertion.into_bytes()],
        };
        // A floor that does other work than the verifier would prove nothing.
        for (element, (info, _)) in floor.digested.iter().zip(&floor.signed) {
            let value = STANDARD.encode(digest(&SHA256, element));
            assert!(String::from_utf8_lossy(info).contains(&value), "the floor digests what was digested");
        }
        floor
    }

    #[inline(never)]
    pub fn run(&self) {
        for (info, value) in &self.signed {
            self.key.verify_sig(black_box(info), black_box(value)).expect("a good signature");
        }
        for element in &self.digested {
            black_box(digest(&SHA256, black_box(element)));
        }
    }
}

/// What the signature is over: canonical, the SignedInfo has the declaration that stands on the Signature.
pub(crate) fn signed_info(signature: &str) -> String {
    let content = text_of(signature, "SignedInfo");
    format!("<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">{content}</ds:SignedInfo>")
}

/// What stands between the tags of the first `ds:name`.
pub(crate) fn text_of<'a>(xml: &'a str, name: &str) -> &'a str {
    let (_, rest) = xml.split_once(&format!("<ds:{name}>")).expect("the element");
    rest.split_once(&format!("</ds:{name}>")).expect("its end").0
}

fn public_key(key: &SigningKey) -> ParsedPublicKey {
    let pkcs8: String = key.key_pem().lines().filter(|line| !line.starts_with("-----")).collect();
    let pkcs8 = STANDARD.decode(pkcs8).expect("base64");
    if key.signature_algorithm().contains("rsa") {
        let pair = RsaKeyPair::from_pkcs8(&pkcs8).expect("an RSA key");
        return ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key()).expect("its public half");
    }
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &pkcs8).expect("a P-256 key");
    ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key()).expect("its public half")
}
