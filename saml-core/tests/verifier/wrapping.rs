//! Signature wrapping, each attack beside the response that it was made from.

use issuer::Sign as Signed;
use issuer::wrapping::WRAPPINGS;
use saml_core::Sign;

use crate::parties::{assert_accepted, assert_refused, good, key};

#[test]
fn every_wrapping_is_refused_and_its_original_accepted() {
    for wrapping in &WRAPPINGS {
        let setting = match wrapping.sign {
            Signed::Response => Sign::Response,
            _ => Sign::Assertion,
        };
        let issued = good().sign(wrapping.sign).issue(key());
        assert_accepted(&issued.xml, setting);
        let attacked = wrapping.attack(&issued, "ada@example.com", "eve@example.com");
        assert!(attacked.contains("eve@example.com") && attacked.contains("ada@example.com"), "{}", wrapping.name);
        assert_refused(&attacked, setting, "shape_forbidden");
    }
}

#[test]
fn a_signature_moved_to_another_element_verifies_nothing() {
    let issued = good().sign(Signed::Assertion).issue(key());
    assert_accepted(&issued.xml, Sign::Assertion);
    let other_id = issued.xml.replacen(&format!(" ID=\"{}\"", issued.assertion_id), " ID=\"_other\"", 1);
    assert_refused(&other_id, Sign::Assertion, "signature_reference_mismatch");
    let other_text = issued.xml.replace("ada@example.com", "eve@example.com");
    assert_refused(&other_text, Sign::Assertion, "digest_mismatch");
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
