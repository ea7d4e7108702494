//! An explanation says what the verifier says: accepted alike, refused for the same reason, whatever the
//! document. Every document of this suite that is held against the verifier is held against it too.

use issuer::{ResponseSpec, Sign as Signed, test_keys};
use saml_core::explain::{CHECKS, Captured, Explanation, Fact, Facts, Outcome, Step, explain};
use saml_core::{DecryptionKeys, EntityId, InResponseTo, RequestId, Sign, Timestamp, TrustedIdp, UnverifiedResponse};

use crate::parties::{NOW, REQUEST, SP, accept_with, good, idp, key, service_provider};

const BOTH: Sign = Sign::AssertionAndResponse;

fn facts(idp: &TrustedIdp) -> Facts {
    Facts {
        idp: Some(idp.clone()),
        sign: idp.sign(),
        sp: service_provider(),
        keys: DecryptionKeys::none().into(),
        request: RequestId::parse(REQUEST).ok(),
        now: Timestamp::from_unix(NOW, 0),
        unknown: Vec::new(),
    }
}

fn explained(xml: &str, facts: &Facts) -> Explanation {
    explain(&Captured::Xml(xml.as_bytes()), facts)
}

fn step<'a>(explanation: &'a Explanation, check: &str) -> &'a Step {
    explanation.steps().iter().find(|step| step.check == check).unwrap_or_else(|| panic!("no step {check}"))
}

/// The verifier and the explanation say the same of `xml`.
#[track_caller]
pub(crate) fn assert_agreement(xml: &str, idp: &TrustedIdp, keys: DecryptionKeys) {
    let verdict = accept_with(xml, idp, &keys);
    let explanation = explained(xml, &Facts { keys: keys.into(), ..facts(idp) });
    assert_whole(&explanation);
    assert_eq!(explanation.is_accepted(), verdict.is_ok(), "{explanation:#?} {verdict:?} {xml}");
    assert_eq!(explanation.identity(), verdict.as_ref().ok().map(|login| login.identity()));
    // The gateway refuses a response that answers nothing before it asks the verifier.
    let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec());
    let unsolicited = response.is_ok_and(|response| response.in_response_to() == InResponseTo::Unsolicited);
    let code = if unsolicited { Some("unsolicited_response") } else { verdict.err().map(|rejection| rejection.code()) };
    assert_eq!(explanation.refusal(), code, "{explanation:#?} {xml}");
}

/// Each check stands there once and in its place, and says why where it did not pass.
#[track_caller]
fn assert_whole(explanation: &Explanation) {
    let names: Vec<&str> = explanation.steps().iter().map(|step| step.check).collect();
    assert_eq!(names, CHECKS);
    for step in explanation.steps() {
        match step.outcome {
            Outcome::Passed => assert!(step.code.is_none() && step.reason.is_none(), "{step:?}"),
            Outcome::Refused => {
                assert!(step.code.is_some() && step.reason.is_some() && step.cure.is_some(), "{step:?}");
            }
            Outcome::NotRun | Outcome::NotApplicable => {
                assert!(step.code.is_none() && step.reason.is_some(), "{step:?}")
            }
        }
    }
    let refused = explanation.steps().iter().any(|step| step.outcome == Outcome::Refused);
    assert_eq!(refused, explanation.refusal().is_some());
    assert!(!(refused && explanation.is_accepted()));
}

#[test]
fn a_good_response_passes_every_check_that_applies() {
    let explanation = explained(&good().issue(key()).xml, &facts(&idp(&[key()], BOTH)));
    assert!(explanation.is_accepted(), "{explanation:#?}");
    for step in explanation.steps() {
        assert!(matches!(step.outcome, Outcome::Passed | Outcome::NotApplicable), "{step:?}");
    }
}

#[test]
fn every_changed_bit_is_explained_as_it_is_judged() {
    let xml = good().issue(key()).xml.into_bytes();
    let idp = idp(&[key()], BOTH);
    for at in 0..xml.len() {
        let mut changed = xml.clone();
        changed[at] ^= 1 << (at % 7);
        if let Ok(changed) = std::str::from_utf8(&changed) {
            assert_agreement(changed, &idp, DecryptionKeys::none());
        }
        if at % 16 == 0 {
            assert_agreement(std::str::from_utf8(&xml[..at]).unwrap(), &idp, DecryptionKeys::none());
        }
    }
}

#[test]
fn what_is_wrong_besides_is_said_too() {
    let mut spec = good().sign(Signed::Assertion);
    spec.audiences = vec!["https://other.example/".to_owned()];
    spec.recipient = Some("https://other.example/acs".to_owned());
    spec.attributes.clear();
    let explanation = explained(&spec.issue(key()).xml, &facts(&idp(&[key()], BOTH)));
    assert_whole(&explanation);
    assert_eq!(explanation.refusal(), Some("response_not_signed"));
    let codes: Vec<&str> = explanation.steps().iter().filter_map(|step| step.code).collect();
    assert_eq!(
        codes,
        ["response_not_signed", "audience_mismatch", "recipient_mismatch", "unique_id_missing", "email_missing"]
    );
    assert!(explanation.identity().is_none());
    assert!(step(&explanation, "signed").cure.as_ref().unwrap().contains("Assertion and Response"));
}

#[test]
fn nothing_is_said_of_what_no_pinned_key_signed() {
    let mut spec = good();
    spec.audiences = vec!["https://other.example/".to_owned()];
    let explanation = explained(&spec.issue(test_keys::stranger()).xml, &facts(&idp(&[key()], BOTH)));
    assert_whole(&explanation);
    assert_eq!(explanation.refusal(), Some("signed_by_unknown_key"));
    let refused = step(&explanation, "response_signature.key");
    let offered = saml_core::Certificate::parse_all(test_keys::stranger().certificate_pem().as_bytes()).unwrap();
    let pinned = saml_core::Certificate::parse_all(key().certificate_pem().as_bytes()).unwrap();
    assert!(refused.seen.as_ref().unwrap().contains(&offered[0].fingerprint().to_string()), "{refused:?}");
    assert!(refused.wanted.as_ref().unwrap().contains(&pinned[0].fingerprint().to_string()), "{refused:?}");
    for check in ["audience", "issuer", "email", "verdict"] {
        assert_eq!(step(&explanation, check).outcome, Outcome::NotRun);
    }
}

type TakeAway = fn(&mut Facts);

#[test]
fn each_fact_that_is_missing_is_named_and_nothing_is_accepted_without_it() {
    let xml = good().issue(key()).xml;
    let idp = idp(&[key()], BOTH);
    let cases: [(Fact, TakeAway, &[&str]); 5] = [
        (
            Fact::Certificate,
            |facts| facts.idp = None,
            &["response_signature.key", "assertion_signature.key", "audience"],
        ),
        (Fact::IdpEntityId, |facts| facts.unknown.push(Fact::IdpEntityId), &["issuer"]),
        (Fact::Audience, |facts| facts.unknown.push(Fact::Audience), &["audience"]),
        (Fact::AcsUrl, |facts| facts.unknown.push(Fact::AcsUrl), &["destination", "bearer.recipient"]),
        (Fact::RequestId, |facts| facts.request = None, &["in_response_to", "bearer.in_response_to"]),
    ];
    for (fact, take_away, checks) in cases {
        let mut known = facts(&idp);
        assert!(explained(&xml, &known).is_accepted());
        take_away(&mut known);
        let explanation = explained(&xml, &known);
        assert_whole(&explanation);
        assert!(!explanation.is_accepted() && explanation.identity().is_none(), "{fact:?}");
        assert_eq!(explanation.refusal(), None, "{fact:?}");
        assert_eq!(explanation.missing_facts(), [fact]);
        for check in checks {
            let step = step(&explanation, check);
            assert_eq!((step.outcome, step.missing_fact), (Outcome::NotRun, Some(fact)), "{step:?}");
        }
    }
}

#[test]
fn an_unsolicited_response_is_explained_as_the_settings_have_it() {
    let mut spec = good();
    spec.in_response_to = None;
    spec.confirmation_in_response_to = None;
    let xml = spec.issue(key()).xml;
    let mut known = facts(&idp(&[key()], BOTH));
    let explanation = explained(&xml, &known);
    assert_whole(&explanation);
    assert_eq!(explanation.refusal(), Some("unsolicited_response"));
    assert_eq!(step(&explanation, "audience").outcome, Outcome::Passed);
    known.idp = known.idp.map(TrustedIdp::allow_idp_initiated);
    known.request = None;
    let explanation = explained(&xml, &known);
    assert_whole(&explanation);
    assert!(explanation.is_accepted(), "{explanation:#?}");
    // One that names a request is none of these.
    let explanation = explained(&good().issue(key()).xml, &known);
    assert!(!explanation.is_accepted());
    assert_eq!(explanation.missing_facts(), [Fact::RequestId]);
}

#[test]
fn every_fact_that_is_missing_is_named_at_once() {
    let mut known = facts(&idp(&[key()], BOTH));
    known.idp = None;
    known.request = None;
    known.unknown = vec![Fact::IdpEntityId, Fact::Audience, Fact::AcsUrl];
    let explanation = explained(&good().issue(key()).xml, &known);
    assert_whole(&explanation);
    let missing = explanation.missing_facts();
    for fact in [Fact::Certificate, Fact::IdpEntityId, Fact::Audience, Fact::AcsUrl, Fact::RequestId] {
        assert!(missing.contains(&fact), "{fact:?}");
    }
}

/// What stands in the place of a fact is never compared, not even where it would match.
#[test]
fn an_unknown_fact_grants_nothing_even_if_its_placeholder_would_match() {
    let idp = idp(&[key()], BOTH);
    let mut known = facts(&idp);
    known.unknown = vec![Fact::Audience, Fact::AcsUrl, Fact::IdpEntityId];
    known.sp.entity_id = EntityId::parse(SP).unwrap();
    let explanation = explained(&good().issue(key()).xml, &known);
    assert!(!explanation.is_accepted());
    assert_eq!(explanation.missing_facts().len(), 3);
}

#[test]
fn the_three_captures_of_one_response_are_explained_alike() {
    let idp = idp(&[key()], BOTH);
    let issued = good().issue(key());
    let form = issued.form_body(Some("relay"));
    let base64 = issued.base64();
    for captured in
        [Captured::Form(form.as_bytes()), Captured::Base64(base64.as_bytes()), Captured::Xml(issued.xml.as_bytes())]
    {
        let explanation = explain(&captured, &facts(&idp));
        assert_whole(&explanation);
        assert!(explanation.is_accepted(), "{explanation:#?}");
    }
    let twice = format!("{form}&{form}");
    assert_eq!(explain(&Captured::Form(twice.as_bytes()), &facts(&idp)).refusal(), Some("saml_response_repeated"));
    let url_safe = base64.replace('+', "-").replace('/', "_").trim_end_matches('=').to_owned() + "-_";
    let explanation = explain(&Captured::Base64(url_safe.as_bytes()), &facts(&idp));
    assert_eq!(explanation.refusal(), Some("base64_invalid"));
    assert!(step(&explanation, "base64").seen.as_ref().unwrap().contains("URL-safe"));
}

#[test]
fn another_message_is_called_what_it_is() {
    let idp = idp(&[key()], BOTH);
    let samlp = "urn:oasis:names:tc:SAML:2.0:protocol";
    for (xml, word) in [
        (format!("<samlp:AuthnRequest xmlns:samlp='{samlp}' ID='_1' Version='2.0'/>"), "SAMLRequest"),
        ("<md:EntityDescriptor xmlns:md='urn:oasis:names:tc:SAML:2.0:metadata' entityID='x'/>".to_owned(), "metadata"),
        (format!("<samlp:LogoutResponse xmlns:samlp='{samlp}' ID='_1' Version='2.0'/>"), "logout"),
        (good().issue(key()).assertion.unwrap(), "without its Response"),
        ("<a/>".to_owned(), "another kind"),
    ] {
        let explanation = explained(&xml, &facts(&idp));
        assert_whole(&explanation);
        assert_eq!(explanation.refusal(), Some("shape_forbidden"));
        let message = step(&explanation, "message");
        assert_eq!(message.outcome, Outcome::Refused);
        assert!(message.cure.as_ref().unwrap().contains(word), "{message:?}");
    }
}

#[test]
fn steps_never_say_who_somebody_is() {
    let idp = idp(&[key()], BOTH);
    let mut spec: ResponseSpec = good().attribute("firstname", &["Ada"]).attribute("lastname", &["Lovelace"]);
    spec.audiences.push("https://another.example/".to_owned());
    for xml in [spec.issue(key()).xml, good().issue(test_keys::stranger()).xml] {
        let steps = format!("{:?}", explained(&xml, &facts(&idp)).steps());
        for secret in ["ada@example.com", "5f3c0de5f3c0de5f3c0de5f3", "Ada", "Lovelace"] {
            assert!(!steps.contains(secret), "{steps}");
        }
        assert!(steps.contains(REQUEST));
    }
}
