//! Signature wrapping: XSW 1 to 8 (Somorovsky et al., "On Breaking SAML"), made from a freshly signed
//! response. Each moves the signed part somewhere and puts a forged one in its place.

use harness::issuer::{Issued, Sign as Signed, random_id};
use saml_core::Sign;

use crate::parties::{assert_accepted, assert_refused, good, key};

/// A signed response taken apart.
struct Parts {
    issued: Issued,
    /// The whole Response without its own Signature.
    unsigned_response: String,
    /// The Assertion without its own Signature.
    unsigned_assertion: String,
}

fn signed(sign: Signed) -> Parts {
    let issued = good().sign(sign).issue(key()).to_owned();
    let cut =
        |text: &str, part: &Option<String>| part.as_deref().map_or(text.to_owned(), |part| text.replacen(part, "", 1));
    let unsigned_response = cut(&issued.xml, &issued.response_signature);
    let assertion = issued.assertion.clone().unwrap();
    let unsigned_assertion = cut(&assertion, &issued.assertion_signature);
    Parts { issued, unsigned_response, unsigned_assertion }
}

fn forged(text: &str) -> String {
    text.replace("ada@example.com", "eve@example.com")
}

fn with_new_id(text: &str, id: &str) -> String {
    text.replace(id, &random_id())
}

/// `text` without the first and with what stands before the last `</name>` kept: puts `inner` at the end.
fn append(text: &str, close: &str, inner: &str) -> String {
    let at = text.rfind(close).unwrap();
    format!("{}{inner}{}", &text[..at], &text[at..])
}

fn after_issuer(text: &str, inner: &str) -> String {
    let at = text.find("</saml:Issuer>").unwrap() + "</saml:Issuer>".len();
    format!("{}{inner}{}", &text[..at], &text[at..])
}

#[track_caller]
fn wrapped(sign: Signed, setting: Sign, attack: impl Fn(&Parts) -> String, code: &str) {
    let parts = signed(sign);
    assert_accepted(&parts.issued.xml, setting);
    let attacked = attack(&parts);
    assert!(attacked.contains("eve@example.com") && attacked.contains("ada@example.com"));
    assert_refused(&attacked, setting, code);
}

#[test]
fn xsw1_original_response_inside_the_signature_of_a_forged_one() {
    wrapped(
        Signed::Response,
        Sign::Response,
        |parts| {
            let signature = parts.issued.response_signature.clone().unwrap();
            let signature = append(&signature, "</ds:Signature>", &parts.unsigned_response);
            after_issuer(&with_new_id(&forged(&parts.unsigned_response), &parts.issued.response_id), &signature)
        },
        "shape_forbidden",
    );
}

#[test]
fn xsw2_original_response_beside_a_detached_signature() {
    wrapped(
        Signed::Response,
        Sign::Response,
        |parts| {
            let signature = parts.issued.response_signature.clone().unwrap();
            let inner = format!("{}{signature}", parts.unsigned_response);
            after_issuer(&with_new_id(&forged(&parts.unsigned_response), &parts.issued.response_id), &inner)
        },
        "shape_forbidden",
    );
}

#[test]
fn xsw3_forged_assertion_before_the_signed_one() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            parts.issued.xml.replacen(&assertion, &format!("{evil}{assertion}"), 1)
        },
        "shape_forbidden",
    );
}

#[test]
fn forged_assertion_after_the_signed_one() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            parts.issued.xml.replacen(&assertion, &format!("{assertion}{evil}"), 1)
        },
        "shape_forbidden",
    );
}

#[test]
fn xsw4_signed_assertion_inside_the_forged_one() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            let evil = append(&evil, "</saml:Assertion>", &assertion);
            parts.issued.xml.replacen(&assertion, &evil, 1)
        },
        "shape_forbidden",
    );
}

/// The forged Assertion keeps the Signature that refers to the original, which stands at the end.
fn xsw5(parts: &Parts) -> String {
    let assertion = parts.issued.assertion.clone().unwrap();
    let signature = parts.issued.assertion_signature.clone().unwrap();
    let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
    let evil = after_issuer(&evil, &signature);
    parts.issued.xml.replacen(&assertion, &format!("{evil}{}", parts.unsigned_assertion), 1)
}

#[test]
fn xsw5_original_assertion_at_the_end() {
    wrapped(Signed::Assertion, Sign::Assertion, xsw5, "shape_forbidden");
}

#[test]
fn xsw6_original_assertion_inside_the_signature_of_the_forged_one() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let signature = parts.issued.assertion_signature.clone().unwrap();
            let signature = append(&signature, "</ds:Signature>", &parts.unsigned_assertion);
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            parts.issued.xml.replacen(&assertion, &after_issuer(&evil, &signature), 1)
        },
        "shape_forbidden",
    );
}

#[test]
fn xsw7_forged_assertion_of_the_same_id_in_extensions() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let extensions = format!("<samlp:Extensions>{}</samlp:Extensions>", forged(&parts.unsigned_assertion));
            after_issuer(&parts.issued.xml, &extensions)
        },
        "shape_forbidden",
    );
}

#[test]
fn xsw8_original_assertion_inside_an_object_of_the_forged_ones_signature() {
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let object = format!("<ds:Object>{}</ds:Object>", parts.unsigned_assertion);
            let signature = append(&parts.issued.assertion_signature.clone().unwrap(), "</ds:Signature>", &object);
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            parts.issued.xml.replacen(&assertion, &after_issuer(&evil, &signature), 1)
        },
        "shape_forbidden",
    );
}

#[test]
fn a_signature_moved_to_another_element_verifies_nothing() {
    // The Signature of the genuine Assertion on a forged one with an ID of its own.
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            let assertion = parts.issued.assertion.clone().unwrap();
            let signature = parts.issued.assertion_signature.clone().unwrap();
            let evil = with_new_id(&forged(&parts.unsigned_assertion), &parts.issued.assertion_id);
            let evil = after_issuer(&evil, &signature).replacen("eve@example.com", "ada@example.com", 1);
            parts.issued.xml.replacen(&assertion, &evil, 1)
        },
        "signature_reference_mismatch",
    );
    // The same with the genuine ID: the digest tells.
    wrapped(
        Signed::Assertion,
        Sign::Assertion,
        |parts| {
            parts.issued.xml.replacen(
                "ada@example.com</saml:AttributeValue>",
                "eve@example.com</saml:AttributeValue>",
                1,
            )
        },
        "digest_mismatch",
    );
}

#[test]
fn two_elements_of_one_id_are_refused_in_every_case_of_letters() {
    for change in [str::to_owned as fn(&str) -> String, str::to_ascii_uppercase] {
        let mut spec = good().sign(Signed::Assertion);
        spec.response_id = Some("_abc".to_owned());
        spec.assertion_id = Some(change("_abc"));
        assert_refused(&spec.issue(key()).xml, Sign::Assertion, "id_duplicate");
    }
}
