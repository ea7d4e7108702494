//! Logins that an IdP begins: a way of their own, closed unless the settings open it, and closed to
//! everything that names a request.

use issuer::{Encryption, ResponseSpec, Sign as Signed, test_keys};
use saml_core::{InResponseTo, Sign, Timestamp, TrustedIdp, UnverifiedResponse};

use crate::parties::{NOW, REQUEST, accept_by, decryption_keys, good, idp, key, service_provider};

fn unsolicited() -> ResponseSpec {
    let mut spec = good();
    spec.in_response_to = None;
    spec.confirmation_in_response_to = None;
    spec
}

fn open() -> TrustedIdp {
    idp(&[key()], Sign::AssertionAndResponse).allow_idp_initiated()
}

fn verdict(xml: &str, idp: &TrustedIdp) -> Result<String, &'static str> {
    let accept = || {
        let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec())?;
        let verified = response.verify(idp, &decryption_keys())?;
        verified.accept_unsolicited(&service_provider(), Timestamp::from_unix(NOW, 0))
    };
    accept().map(|login| login.identity().email.clone()).map_err(|rejection| rejection.code())
}

fn ada() -> Result<String, &'static str> {
    Ok("ada@example.com".to_owned())
}

#[test]
fn is_accepted_only_where_the_settings_allow_it() {
    let xml = unsolicited().issue(key()).xml;
    let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec()).unwrap();
    assert_eq!(response.in_response_to(), InResponseTo::Unsolicited);
    assert_eq!(verdict(&xml, &open()), ada());
    assert_eq!(verdict(&xml, &idp(&[key()], Sign::AssertionAndResponse)), Err("unsolicited_response"));
}

#[test]
fn never_answers_a_request() {
    let xml = unsolicited().issue(key()).xml;
    assert_eq!(verdict(&xml, &open()), ada());
    let refused = accept_by(&xml, &open()).unwrap_err();
    assert_eq!(refused.code(), "in_response_to_missing");
}

#[test]
fn an_in_response_to_anywhere_is_refused_even_an_empty_one() {
    for id in [REQUEST, "_unknown", ""] {
        for change in [
            (|spec, id| spec.in_response_to = Some(id)) as fn(&mut ResponseSpec, String),
            |spec, id| spec.confirmation_in_response_to = Some(id),
            |spec, id| {
                spec.in_response_to = Some(id.clone());
                spec.confirmation_in_response_to = Some(id);
            },
        ] {
            let mut spec = unsolicited();
            change(&mut spec, id.to_owned());
            let xml = spec.issue(key()).xml;
            let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec()).unwrap();
            assert_eq!(response.in_response_to(), InResponseTo::Request(id));
            assert_eq!(verdict(&xml, &open()), Err("in_response_to_unexpected"), "{id:?}");
        }
    }
}

#[test]
fn an_unsigned_response_cannot_hide_that_it_answers_a_request() {
    let by_assertion = idp(&[key()], Sign::Assertion).allow_idp_initiated();
    let issued = unsolicited().sign(Signed::Assertion).issue(key());
    assert_eq!(verdict(&issued.xml, &by_assertion), ada());
    let named = issued.xml.replacen("<samlp:Response ", &format!("<samlp:Response InResponseTo=\"{REQUEST}\" "), 1);
    assert_eq!(verdict(&named, &by_assertion), Err("in_response_to_unexpected"));
    let mut answer = unsolicited().sign(Signed::Assertion);
    answer.confirmation_in_response_to = Some(REQUEST.to_owned());
    assert_eq!(verdict(&answer.issue(key()).xml, &by_assertion), Err("in_response_to_unexpected"));
}

#[test]
fn an_in_response_to_inside_an_encrypted_assertion_is_found() {
    let to_us = || Encryption::to(test_keys::decryption());
    assert_eq!(verdict(&unsolicited().encrypt(to_us()).issue(key()).xml, &open()), ada());
    let mut spec = unsolicited().encrypt(to_us());
    spec.confirmation_in_response_to = Some(REQUEST.to_owned());
    let xml = spec.issue(key()).xml;
    let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec()).unwrap();
    assert_eq!(response.in_response_to(), InResponseTo::Unsolicited);
    assert_eq!(verdict(&xml, &open()), Err("in_response_to_unexpected"));
    // In a second confirmation, which no login needs.
    let mut encryption = to_us();
    encryption.plaintext = Some(Box::new(|text| {
        let second = format!(
            "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:sender-vouches\"><saml:SubjectConfirmationData InResponseTo=\"{REQUEST}\"></saml:SubjectConfirmationData></saml:SubjectConfirmation>"
        );
        text.replacen("</saml:Subject>", &format!("{second}</saml:Subject>"), 1)
    }));
    let xml = unsolicited().encrypt(encryption).sign(Signed::Response).issue(key()).xml;
    let by_response = idp(&[key()], Sign::Response).allow_idp_initiated();
    assert_eq!(verdict(&xml, &by_response), Err("in_response_to_unexpected"));
}

#[test]
fn meets_the_same_policy_as_an_answer() {
    let refused_when = |change: fn(&mut ResponseSpec), code: &str| {
        let mut spec = unsolicited();
        change(&mut spec);
        assert_eq!(verdict(&spec.issue(key()).xml, &open()), Err(code));
    };
    refused_when(|spec| spec.audiences.clear(), "audience_missing");
    refused_when(|spec| spec.recipient = Some("https://other.example/".to_owned()), "recipient_mismatch");
    refused_when(|spec| spec.destination = None, "destination_missing");
    refused_when(|spec| spec.confirmation_not_on_or_after = None, "bearer_incomplete");
    refused_when(|spec| spec.sign = Signed::Assertion, "response_not_signed");
    refused_when(|spec| spec.response_issuer = Some("other".to_owned()), "issuer_mismatch");
}
