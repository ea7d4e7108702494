//! What an accepted login says besides who somebody is: under which key and until when it is claimed, and
//! when it ends.

use aws_lc_rs::digest::{SHA256, digest};
use issuer::test_keys::{decryption, stranger};
use issuer::{Encryption, ResponseSpec, SigningKey};
use saml_core::{AcceptedLogin, Certificate, ClaimNames, EntityId, Fingerprint, IdpId, Sign, Timestamp, TrustedIdp};
use time::Duration;

use crate::parties::{IDP, NOW, accept_by, accept_with, decryption_keys, edited, good, idp, key, now, try_edited};

fn login(spec: &ResponseSpec) -> AcceptedLogin {
    accept_by(&spec.issue(key()).xml, &idp(&[key()], Sign::AssertionAndResponse)).unwrap()
}

fn called(id: &str) -> TrustedIdp {
    let certificates = Certificate::parse_all(key().certificate_pem().as_bytes()).unwrap();
    let (id, entity_id) = (IdpId::parse(id).unwrap(), EntityId::parse(IDP).unwrap());
    TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, ClaimNames::default()).unwrap()
}

fn instant(seconds_from_now: i64) -> String {
    Timestamp::from_unix(NOW + seconds_from_now, 0).to_string()
}

#[test]
fn the_replay_key_is_of_the_idp_and_the_assertion_and_of_nothing_else() {
    let mut spec = good();
    spec.assertion_id = Some("_a1".to_owned());
    let login = login(&spec);
    assert_eq!(login.assertion_id(), "_a1");
    let mut wanted = Vec::new();
    for part in ["jumpcloud", "_a1"] {
        wanted.extend_from_slice(&(part.len() as u64).to_be_bytes());
        wanted.extend_from_slice(part.as_bytes());
    }
    assert_eq!(login.replay_key().as_bytes(), digest(&SHA256, &wanted).as_ref());
    let by = |id: &str| *accept_by(&spec.issue(key()).xml, &called(id)).unwrap().replay_key();
    assert_eq!(by("jumpcloud"), *login.replay_key());
    assert_ne!(by("jumpcloud2"), *login.replay_key());
}

#[test]
fn the_claim_is_kept_until_no_skew_could_accept_the_assertion_again() {
    let mut spec = good();
    spec.assertion_issue_instant = now() - Duration::seconds(100);
    spec.confirmation_not_on_or_after = Some(now() + Duration::days(1));
    assert_eq!(login(&spec).replay_until(), Timestamp::from_unix(NOW - 100 + 600 + 300 + 1, 0));
}

#[test]
fn the_earliest_end_of_a_session_counts() {
    assert_eq!(login(&good()).session_not_on_or_after(), None);
    let mut spec = good();
    spec.session_not_on_or_after = Some(now() + Duration::seconds(60));
    assert_eq!(login(&spec).session_not_on_or_after(), Some(Timestamp::from_unix(NOW + 60, 0)));
    // It is the one time to which no skew is added.
    spec.session_not_on_or_after = Some(now() + Duration::seconds(1));
    assert_eq!(login(&spec).session_not_on_or_after(), Some(Timestamp::from_unix(NOW + 1, 0)));

    let with_sessions = |ends: &'static [Option<i64>]| {
        move |text: String| {
            let start = text.find("<saml:AuthnStatement").unwrap();
            let end = text.find("</saml:AuthnStatement>").unwrap() + "</saml:AuthnStatement>".len();
            let statements: String = ends
                .iter()
                .map(|end_of_session| match end_of_session {
                    Some(seconds) => {
                        let end_of_session = format!(" SessionNotOnOrAfter=\"{}\" SessionIndex", instant(*seconds));
                        text[start..end].replacen(" SessionIndex", &end_of_session, 1)
                    }
                    None => text[start..end].to_owned(),
                })
                .collect();
            format!("{}{statements}{}", &text[..start], &text[end..])
        }
    };
    const ENDS: [&[Option<i64>]; 3] = [&[Some(50), Some(20), None, Some(30)], &[Some(20), Some(50)], &[None, Some(20)]];
    for ends in ENDS {
        let login = edited(with_sessions(ends));
        assert_eq!(login.session_not_on_or_after(), Some(Timestamp::from_unix(NOW + 20, 0)), "{ends:?}");
    }
    assert_eq!(try_edited(with_sessions(&[Some(20), Some(-1)])).map(drop), Err("idp_session_ended".to_owned()));
}

fn certificate(key: &SigningKey) -> Fingerprint {
    Certificate::parse_all(key.certificate_pem().as_bytes()).unwrap().first().unwrap().fingerprint()
}

#[test]
fn the_certificate_of_the_key_that_signed_is_named() {
    let among_others = idp(&[stranger(), key()], Sign::AssertionAndResponse);
    let login = accept_by(&good().issue(key()).xml, &among_others).unwrap();
    assert_eq!(login.signed_with(), certificate(key()));
    assert_eq!(login.verified_with().collect::<Vec<_>>(), [certificate(key())]);
}

#[test]
fn the_certificates_of_both_signatures_are_named() {
    let xml = good().issue(stranger()).xml;
    let (start, end) = (xml.find("<saml:Assertion").unwrap(), xml.find("</samlp:Response>").unwrap());
    let assertion = xml[start..end].to_owned();
    let mut encryption = Encryption::to(decryption());
    encryption.plaintext = Some(Box::new(move |_| assertion.clone()));
    let xml = good().encrypt(encryption).issue(key()).xml;
    let both = idp(&[stranger(), key()], Sign::AssertionAndResponse);
    let login = accept_with(&xml, &both, &decryption_keys()).unwrap();
    assert_eq!(login.signed_with(), certificate(stranger()));
    assert_eq!(login.verified_with().collect::<Vec<_>>(), [certificate(stranger()), certificate(key())]);
}

#[test]
fn each_value_is_told_with_the_name_of_its_attribute() {
    let spec = good().attribute("projects", &["apollo", "", "gemini"]);
    let wanted: Vec<(String, String)> = spec
        .attributes
        .iter()
        .flat_map(|(name, values)| values.iter().map(|value| (name.clone(), value.clone())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let login = login(&spec);
    let seen: Vec<_> = login.attribute_values().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(seen, wanted);
}
