//! The signatures, checked by cutting strings and with aws-lc-rs alone.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

const NOW: OffsetDateTime = time::macros::datetime!(2026-03-04 05:06:07.089 UTC);

fn spec() -> ResponseSpec {
    ResponseSpec::new(
        "jumpcloud & co <\"idp\">",
        "https://app.example/saml/metadata",
        "https://app.example/saml/acs",
        "a@b.example",
        NOW,
    )
    .in_response_to("_request")
    .claims("a@b.example", "0123456789abcdef01234567", &["admins", "R&D"])
}

/// The text from `from` up to and including `to`.
fn cut<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap_or_else(|| panic!("{from} in {text}"));
    let length = text[start..].find(to).unwrap_or_else(|| panic!("{to} in {text}"));
    &text[start..start + length + to.len()]
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let (_, rest) = text.split_once(from).unwrap_or_else(|| panic!("{from} in {text}"));
    rest.split_once(to).unwrap_or_else(|| panic!("{to} in {rest}")).0
}

fn verify_bytes(key: &SigningKey, message: &str, signature: &[u8]) -> bool {
    use rcgen::PublicKeyData as _;
    let public = rcgen::KeyPair::from_pem(key.key_pem()).unwrap().der_bytes().to_vec();
    let algorithm: &'static dyn VerificationAlgorithm = match key.signature_algorithm() {
        "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256" => &ECDSA_P256_SHA256_FIXED,
        _ => &RSA_PKCS1_2048_8192_SHA256,
    };
    UnparsedPublicKey::new(algorithm, public).verify(message.as_bytes(), signature).is_ok()
}

/// Declarations that the apex of the digested element and of SignedInfo have and that the document writes elsewhere.
#[derive(Default, Clone, Copy)]
struct Inherited {
    by_element: &'static str,
    by_signed_info: &'static str,
}

const XMLNS_DS: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#""#;
const XMLNS_ALL: &str = r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol""#;
const XMLNS_DS_SAMLP: &str =
    r#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol""#;
const XMLNS_SAML: &str = r#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion""#;
const XMLNS_SAML_SAMLP: &str =
    r#" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol""#;

/// Panics unless `signature`, as it stands in `element`, is a right signature over `element`.
fn assert_signed(element: &str, signature: &str, key: &SigningKey, inherited: Inherited) {
    let id = between(element, " ID=\"", "\"");
    assert_eq!(between(signature, "URI=\"#", "\""), id);

    assert_eq!(element.matches(signature).count(), 1, "the signature stands in the element");
    let mut digested = element.replace(signature, "");
    if !inherited.by_element.is_empty() {
        digested = digested.replacen(XMLNS_SAML, inherited.by_element, 1);
    }
    let wanted = STANDARD.encode(digest(&SHA256, digested.as_bytes()));
    assert_eq!(between(signature, "<ds:DigestValue>", "</ds:DigestValue>"), wanted);

    let signed_info = cut(signature, "<ds:SignedInfo>", "</ds:SignedInfo>").replacen(
        "<ds:SignedInfo>",
        &format!("<ds:SignedInfo{}>", inherited.by_signed_info),
        1,
    );
    let value = STANDARD.decode(between(signature, "<ds:SignatureValue>", "</ds:SignatureValue>")).unwrap();
    assert!(verify_bytes(key, &signed_info, &value), "the signature verifies over {signed_info}");
}

const EXCLUSIVE: Inherited = Inherited { by_element: "", by_signed_info: XMLNS_DS };

#[test]
fn each_kind_of_key_signs_response_and_assertion() {
    for key in [test_keys::rsa_2048(), test_keys::rsa_4096(), test_keys::p256()] {
        let issued = spec().sign(Sign::Both).issue(key);
        let assertion = issued.assertion.as_deref().unwrap();
        assert!(issued.xml.contains(assertion));
        assert_signed(&issued.xml, issued.response_signature.as_deref().unwrap(), key, EXCLUSIVE);
        assert_signed(assertion, issued.assertion_signature.as_deref().unwrap(), key, EXCLUSIVE);
    }
}

#[test]
fn inclusive_canonicalization_covers_the_namespaces_of_ancestors() {
    let key = test_keys::rsa_2048();
    let mut spec = spec().sign(Sign::Both);
    spec.canonicalization = Canonicalization::Inclusive;
    let issued = spec.issue(key);
    let of_response = Inherited { by_element: "", by_signed_info: XMLNS_DS_SAMLP };
    let of_assertion = Inherited { by_element: XMLNS_SAML_SAMLP, by_signed_info: XMLNS_ALL };
    assert_signed(&issued.xml, issued.response_signature.as_deref().unwrap(), key, of_response);
    assert_signed(
        issued.assertion.as_deref().unwrap(),
        issued.assertion_signature.as_deref().unwrap(),
        key,
        of_assertion,
    );
}

#[test]
fn sign_option_decides_which_signatures_stand() {
    for (sign, response, assertion) in [
        (Sign::Neither, false, false),
        (Sign::Assertion, false, true),
        (Sign::Response, true, false),
        (Sign::Both, true, true),
    ] {
        let issued = spec().sign(sign).issue(test_keys::rsa_2048());
        assert_eq!(issued.response_signature.is_some(), response, "{sign:?}");
        assert_eq!(issued.assertion_signature.is_some(), assertion, "{sign:?}");
        assert_eq!(issued.xml.matches("<ds:Signature ").count(), usize::from(response) + usize::from(assertion));
    }
}

#[test]
fn default_is_what_jumpcloud_does() {
    let issued = spec().issue(test_keys::rsa_4096());
    assert!(issued.response_signature.is_none());
    assert!(issued.assertion_signature.is_some());
    assert!(issued.xml.contains(r#"Format="urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified""#));
}

#[test]
fn error_response_carries_no_assertion_and_can_be_signed() {
    let mut spec = spec().sign(Sign::Both);
    spec.status = Status::denied("not <bound>");
    let issued = spec.issue(test_keys::rsa_2048());
    assert!(issued.assertion.is_none());
    assert_signed(&issued.xml, issued.response_signature.as_deref().unwrap(), test_keys::rsa_2048(), EXCLUSIVE);
    assert!(issued.xml.contains("<samlp:StatusMessage>not &lt;bound&gt;</samlp:StatusMessage>"));

    assert!(spec.sign(Sign::Neither).issue(test_keys::rsa_2048()).response_signature.is_none());
}

#[test]
fn padding_reaches_the_size_exactly() {
    let size = spec().issue(test_keys::rsa_2048()).xml.len();
    for padded_to in [size + 400, 8 * 1024, 100_000] {
        let mut spec = spec();
        spec.padded_to = Some(padded_to);
        let issued = spec.issue(test_keys::rsa_2048());
        assert_eq!(issued.xml.len(), padded_to);
        let assertion = issued.assertion.as_deref().unwrap();
        assert_signed(assertion, issued.assertion_signature.as_deref().unwrap(), test_keys::rsa_2048(), EXCLUSIVE);
    }
}

#[test]
fn ids_are_new_each_time() {
    let (one, other) = (spec().issue(test_keys::rsa_2048()), spec().issue(test_keys::rsa_2048()));
    assert_ne!(one.assertion_id, other.assertion_id);
    assert_ne!(one.response_id, other.response_id);
}

#[test]
fn key_info_can_be_left_out() {
    let mut spec = spec();
    assert!(spec.issue(test_keys::rsa_2048()).xml.contains(&test_keys::rsa_2048().certificate_base64()));
    spec.key_info = KeyInfo::Absent;
    assert!(!spec.issue(test_keys::rsa_2048()).xml.contains("KeyInfo"));
}

#[test]
fn tamper_changes_the_xml_after_signing() {
    let issued = spec().tamper(|xml| xml.replacen("a@b.example", "<!---->a@b.example", 1)).issue(test_keys::rsa_2048());
    assert!(issued.xml.contains("<!---->"));
    assert!(!issued.assertion.unwrap().contains("<!---->"));
}

#[test]
fn written_response_is_what_a_parser_reads() {
    let issued = spec().attribute("role", &["one"]).attribute("role", &["two"]).issue(test_keys::rsa_2048());
    let document = roxmltree::Document::parse(&issued.xml).unwrap();
    let texts = |name: &str| -> Vec<String> {
        let named = document.descendants().filter(|node| node.has_tag_name((SAML.uri, name)));
        named.map(|node| node.text().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(texts("Issuer"), ["jumpcloud & co <\"idp\">", "jumpcloud & co <\"idp\">"]);
    assert_eq!(texts("NameID"), ["a@b.example"]);
    assert_eq!(texts("AttributeValue"), ["a@b.example", "0123456789abcdef01234567", "admins", "R&D", "one", "two"]);
    assert_eq!(document.root_element().attribute("IssueInstant"), Some("2026-03-04T05:06:07.089Z"));
}

#[test]
fn generated_key_is_of_its_kind_and_signs() {
    for (kind, bytes) in [(KeyKind::Rsa2048, 256), (KeyKind::P256, 64)] {
        let key = SigningKey::generate(kind, "An organisation");
        let signature = key.sign(b"message");
        assert_eq!(signature.len(), bytes);
        assert!(verify_bytes(&key, "message", &signature));
        assert!(key.certificate_pem().contains("BEGIN CERTIFICATE"));
    }
}
