//! What an honest IdP sends, in all its variety.

use issuer::{Canonicalization, KeyInfo, Sign as Signed, test_keys};
use saml_core::Sign;

use crate::parties::{REQUEST, accept, accept_by, assert_accepted, good, idp, key};

const SETTINGS: [Sign; 4] = [Sign::AssertionAndResponse, Sign::Response, Sign::Assertion, Sign::Any];

/// Whether a response signed so may satisfy the setting.
fn satisfies(signed: Signed, setting: Sign) -> Result<(), &'static str> {
    match (signed, setting) {
        (Signed::Neither, _) => Err("not_signed"),
        (Signed::Both, _)
        | (_, Sign::Any)
        | (Signed::Response, Sign::Response)
        | (Signed::Assertion, Sign::Assertion) => Ok(()),
        (Signed::Assertion, _) => Err("response_not_signed"),
        (Signed::Response, _) => Err("assertion_not_signed"),
    }
}

#[test]
fn each_sign_option_of_jumpcloud_meets_each_setting_as_documented() {
    for canonicalization in [Canonicalization::Exclusive, Canonicalization::Inclusive] {
        for signed in Signed::ALL {
            for setting in SETTINGS {
                let mut spec = good().sign(signed);
                spec.canonicalization = canonicalization;
                let verdict = accept(&spec.issue(key()).xml, setting).map(drop).map_err(|rejection| rejection.code());
                assert_eq!(verdict, satisfies(signed, setting), "{signed:?} {setting:?} {canonicalization:?}");
            }
        }
    }
}

#[test]
fn every_kind_of_key_verifies_with_and_without_a_certificate_in_the_message() {
    for key in [test_keys::rsa_4096(), test_keys::rsa_2048(), test_keys::p256()] {
        for key_info in [KeyInfo::Certificate, KeyInfo::Absent] {
            let mut spec = good();
            spec.key_info = key_info;
            let xml = spec.issue(key).xml;
            assert!(accept_by(&xml, &idp(&[key], Sign::AssertionAndResponse)).is_ok());
            let among_others = idp(
                &[test_keys::stranger(), test_keys::p256(), test_keys::rsa_4096(), test_keys::rsa_2048()],
                Sign::AssertionAndResponse,
            );
            assert!(accept_by(&xml, &among_others).is_ok());
        }
    }
}

#[test]
fn the_identity_is_the_one_that_was_signed() {
    let mut spec = good().attribute("firstname", &["Ada"]).attribute("lastname", &["Lovelace & <Co>"]);
    spec = spec.attribute("memberOf", &["a,b", "100%"]).attribute("empty", &[""]);
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    let identity = login.identity();
    assert_eq!(identity.unique_id, "5f3c0de5f3c0de5f3c0de5f3");
    assert_eq!(identity.email, "ada@example.com");
    assert_eq!(identity.name_id.as_ref().map(|name_id| name_id.value.as_str()), Some("ada@example.com"));
    assert_eq!(identity.first_name.as_deref(), Some("Ada"));
    assert_eq!(identity.last_name.as_deref(), Some("Lovelace & <Co>"));
    assert_eq!(identity.groups, ["admins", "staff", "a,b", "100%"]);
    assert!(identity.attributes.iter().all(|(name, _)| name != "empty"));
    assert_eq!(login.idp().as_str(), "jumpcloud");
}

#[test]
fn values_with_references_typed_values_and_white_space_survive() {
    let mut spec = good();
    spec.value_type = Some("xs:string".to_owned());
    assert_accepted(&spec.issue(key()).xml, Sign::AssertionAndResponse);

    let xml = good().issue(key()).xml;
    assert_accepted(&format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n{xml}\r\n"), Sign::AssertionAndResponse);
    // Another way of writing the same canonical form is the same document.
    assert_accepted(&xml.replace("ada@example.com", "&#97;da@example.com"), Sign::AssertionAndResponse);
    assert_accepted(&xml.replace("Version=\"2.0\"", "Version='2.0'"), Sign::AssertionAndResponse);
}

#[test]
fn in_response_to_of_a_signed_response_serves_where_the_bearer_has_none() {
    let mut spec = good();
    spec.confirmation_in_response_to = None;
    assert_accepted(&spec.issue(key()).xml, Sign::AssertionAndResponse);
    let mut spec = good().sign(Signed::Assertion);
    spec.confirmation_in_response_to = None;
    let verdict = accept(&spec.issue(key()).xml, Sign::Assertion).map(drop).map_err(|rejection| rejection.code());
    assert_eq!(verdict, Err("in_response_to_missing"));
    let mut spec = good();
    spec.in_response_to = None;
    assert_accepted(&spec.issue(key()).xml, Sign::AssertionAndResponse);
    assert!(spec.issue(key()).xml.contains(REQUEST));
}

#[test]
fn a_response_of_a_hundred_kilobytes_is_read() {
    let mut spec = good();
    spec.padded_to = Some(100 * 1024);
    assert_accepted(&spec.issue(key()).xml, Sign::AssertionAndResponse);
}
