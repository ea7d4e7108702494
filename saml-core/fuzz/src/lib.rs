//! The IdP, the service provider, the request and the moment that the targets know.

use std::sync::LazyLock;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use saml_core::{
    AcsUrl, Authentication, Certificate, ClaimNames, EntityId, IdpId, RequestId, SentRequest, ServiceProvider, Sign,
    SloUrl, Timestamp, TrustedIdp, test_support,
};

const KEY: &str = include_str!("../../../tests/keys/test-p256.pem");
pub const CERTIFICATE: &[u8] = include_bytes!("../../../tests/keys/test-p256.crt");

pub static IDP: LazyLock<TrustedIdp> = LazyLock::new(|| {
    let certificates = Certificate::parse_all(CERTIFICATE).expect("a certificate");
    let id = IdpId::parse("jumpcloud").expect("an id");
    let entity_id = EntityId::parse("jumpcloud-samlgate").expect("an entity ID");
    TrustedIdp::new(id, entity_id, certificates, Sign::Any, ClaimNames::default()).expect("an IdP")
});

pub static SP: LazyLock<ServiceProvider> = LazyLock::new(|| ServiceProvider {
    entity_id: EntityId::parse("https://app.example.com/saml/metadata").expect("an entity ID"),
    acs_url: AcsUrl::parse("https://app.example.com/saml/acs").expect("an address"),
    skew_seconds: 180,
});

pub static REQUEST: LazyLock<SentRequest> = LazyLock::new(|| SentRequest {
    id: RequestId::parse("_0123456789abcdef0123456789abcdef01234567").expect("an ID"),
    authentication: Authentication::Any,
});

pub static SLO: LazyLock<SloUrl> =
    LazyLock::new(|| SloUrl::parse("https://app.example.com/saml/slo").expect("an address"));

pub const FORM: &str = "application/x-www-form-urlencoded";

/// When the seeds of the corpora were issued.
pub fn at() -> Timestamp {
    Timestamp::from_unix(1_795_445_071, 0)
}

static SIGNER: LazyLock<EcdsaKeyPair> = LazyLock::new(|| {
    let body: String = KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).expect("base64");
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).expect("a key")
});

fn sign(message: &[u8]) -> Vec<u8> {
    SIGNER.sign(&SystemRandom::new(), message).expect("a signature").as_ref().to_vec()
}

/// `bytes` as the one field of a form.
pub fn form_body(parameter: &str, bytes: &[u8]) -> Vec<u8> {
    form_urlencoded::Serializer::new(String::new()).append_pair(parameter, &STANDARD.encode(bytes)).finish().into_bytes()
}

/// A query whose signature holds, whatever `compressed` is (SAML Bindings 2.0 §3.4.4.1).
pub fn signed_query(compressed: &[u8]) -> Vec<u8> {
    let mut query = form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLRequest", &STANDARD.encode(compressed))
        .append_pair("SigAlg", "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")
        .finish();
    let signature = STANDARD.encode(sign(query.as_bytes()));
    query.push('&');
    query.push_str(&form_urlencoded::Serializer::new(String::new()).append_pair("Signature", &signature).finish());
    query.into_bytes()
}

/// The message with the digest and the value of each Signature as they must be; `None` where there is none to mend.
pub fn resigned(message: &[u8]) -> Option<Vec<u8>> {
    test_support::resigned(message, &sign)
}
