//! ForceAuthn: an IdP that answers from an old session is found out by its AuthnInstant.

use issuer::{Encryption, ResponseSpec, Sign as Signed, test_keys};
use saml_core::{Authentication, SentRequest, Sign, Timestamp, UnverifiedResponse};
use time::Duration;

use crate::parties::{NOW, decryption_keys, good, idp, key, now, request, service_provider};

/// With a request that was sent a minute ago.
fn verdict(spec: &ResponseSpec, sign: Sign, forced: bool) -> Result<(), &'static str> {
    let since = Authentication::Since(Timestamp::from_unix(NOW - 60, 0));
    let authentication = if forced { since } else { Authentication::Any };
    let request = SentRequest { authentication, ..request() };
    let response = UnverifiedResponse::from_xml(spec.issue(key()).xml.into_bytes()).unwrap();
    let idp = idp(&[key()], sign);
    let verified = response.verify(&idp, &decryption_keys()).unwrap();
    let accepted = verified.accept(&request, &service_provider(), Timestamp::from_unix(NOW, 0));
    accepted.map(drop).map_err(|rejection| rejection.code())
}

#[test]
fn a_sign_in_before_the_request_is_refused_where_a_new_one_was_asked_for() {
    let signed_in = |seconds_ago: i64| {
        let mut spec = good();
        spec.authn_instant = now() - Duration::seconds(seconds_ago);
        spec
    };
    let both = Sign::AssertionAndResponse;
    // The skew of 180 seconds is counted from the request, not from now.
    for (seconds_ago, wanted) in [(0, Ok(())), (60, Ok(())), (240, Ok(())), (241, Err("authn_too_old"))] {
        assert_eq!(verdict(&signed_in(seconds_ago), both, true), wanted, "{seconds_ago}");
        assert_eq!(verdict(&signed_in(seconds_ago), both, false), Ok(()));
    }
    assert_eq!(verdict(&signed_in(86_400), both, true), Err("authn_too_old"));
    assert_eq!(verdict(&signed_in(86_400), both, false), Ok(()));
}

#[test]
fn every_statement_must_be_of_a_new_sign_in() {
    let with_second = |instant: &'static str| {
        let mut encryption = Encryption::to(test_keys::decryption());
        encryption.plaintext = Some(Box::new(move |text| {
            let start = text.find("<saml:AuthnStatement").unwrap();
            let end = text.find("</saml:AuthnStatement>").unwrap() + "</saml:AuthnStatement>".len();
            let (before, after) = text[start..end].split_once("AuthnInstant=\"").unwrap();
            let second = format!("{before}AuthnInstant=\"{instant}\"{}", after.split_once('"').unwrap().1);
            format!("{}{second}{}", &text[..end], &text[end..])
        }));
        good().encrypt(encryption).sign(Signed::Response)
    };
    let fresh = Timestamp::from_unix(NOW - 10, 0).to_string();
    assert_eq!(verdict(&with_second(fresh.leak()), Sign::Response, true), Ok(()));
    assert_eq!(verdict(&with_second("2020-01-01T00:00:00Z"), Sign::Response, true), Err("authn_too_old"));
    assert_eq!(verdict(&with_second("2020-01-01T00:00:00Z"), Sign::Response, false), Ok(()));
}
