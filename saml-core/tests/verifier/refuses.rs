//! One thing wrong at a time, signed by the right key: each is refused for that very reason.

use issuer::{ResponseSpec, Sign as Signed, Status, test_keys};
use saml_core::{Rejection, Sign, Timestamp};
use time::Duration;

use crate::parties::{IDP, NOW, accept, accept_by, assert_accepted, assert_refused, good, idp, key, now};

const BOTH: Sign = Sign::AssertionAndResponse;

#[track_caller]
fn refused_when(change: impl Fn(&mut ResponseSpec), code: &str) {
    assert_accepted(&good().issue(key()).xml, BOTH);
    let mut spec = good();
    change(&mut spec);
    assert_refused(&spec.issue(key()).xml, BOTH, code);
}

/// After signing, `from` becomes `to`.
#[track_caller]
fn refused_with(from: &str, to: &str, code: &str) {
    let xml = good().issue(key()).xml;
    assert_accepted(&xml, BOTH);
    assert!(xml.contains(from), "{from} is not in {xml}");
    assert_refused(&xml.replacen(from, to, 1), BOTH, code);
}

#[test]
fn refuses_missing_signatures_by_what_is_missing() {
    refused_when(|spec| spec.sign = Signed::Neither, "not_signed");
    refused_when(|spec| spec.sign = Signed::Assertion, "response_not_signed");
    refused_when(|spec| spec.sign = Signed::Response, "assertion_not_signed");
}

#[test]
fn refuses_a_key_that_is_not_pinned() {
    for key in [test_keys::stranger(), test_keys::rsa_4096(), test_keys::p256()] {
        assert_refused(&good().issue(key).xml, BOTH, "signed_by_unknown_key");
    }
    // The certificate in the message is not a key: naming the pinned one helps nobody.
    let pinned = key().certificate_base64();
    let xml = good().issue(test_keys::stranger()).xml.replace(&test_keys::stranger().certificate_base64(), &pinned);
    assert_refused(&xml, BOTH, "signature_invalid");
    let only_p256 = idp(&[test_keys::p256()], BOTH);
    assert_eq!(
        accept_by(&good().issue(key()).xml, &only_p256).map(drop).map_err(|r| r.code()),
        Err("signed_by_unknown_key")
    );
}

#[test]
fn refuses_what_is_meant_for_somebody_else() {
    refused_when(|spec| spec.audiences = vec!["https://other.example/".to_owned()], "audience_mismatch");
    refused_when(|spec| spec.audiences = vec![format!("{}/", crate::parties::SP)], "audience_mismatch");
    refused_when(|spec| spec.audiences.clear(), "audience_missing");
    refused_when(|spec| spec.recipient = Some("https://other.example/saml/acs".to_owned()), "recipient_mismatch");
    refused_when(|spec| spec.recipient = None, "bearer_incomplete");
    refused_when(|spec| spec.destination = Some("https://other.example/saml/acs".to_owned()), "destination_mismatch");
    refused_when(|spec| spec.destination = None, "destination_missing");
    refused_when(
        |spec| spec.confirmation_method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches".to_owned(),
        "bearer_missing",
    );
}

#[test]
fn refuses_another_issuer() {
    refused_when(|spec| spec.assertion_issuer = "JumpCloud-samlgate".to_owned(), "issuer_mismatch");
    refused_when(|spec| spec.response_issuer = Some("other".to_owned()), "issuer_mismatch");
    refused_when(|spec| spec.response_issuer = None, "issuer_missing");
}

#[test]
fn refuses_the_answer_to_another_request() {
    refused_when(|spec| spec.in_response_to = Some("_other".to_owned()), "in_response_to_conflict");
    refused_when(|spec| spec.confirmation_in_response_to = Some("_other".to_owned()), "in_response_to_conflict");
    let other = |spec: &mut ResponseSpec| {
        spec.in_response_to = Some("_other".to_owned());
        spec.confirmation_in_response_to = Some("_other".to_owned());
    };
    refused_when(other, "in_response_to_mismatch");
    let only_the_bearer = |spec: &mut ResponseSpec| {
        spec.in_response_to = None;
        spec.confirmation_in_response_to = Some("_other".to_owned());
    };
    refused_when(only_the_bearer, "in_response_to_mismatch");
    let unsolicited = |spec: &mut ResponseSpec| {
        spec.in_response_to = None;
        spec.confirmation_in_response_to = None;
    };
    refused_when(unsolicited, "in_response_to_missing");
}

#[test]
fn an_unsigned_response_may_leave_out_what_a_signed_one_must_say() {
    let by_assertion = |change: fn(&mut ResponseSpec)| {
        let mut spec = good().sign(Signed::Assertion);
        change(&mut spec);
        spec.issue(key()).xml
    };
    let changes: [fn(&mut ResponseSpec); 2] = [|spec| spec.destination = None, |spec| spec.response_issuer = None];
    for change in changes {
        assert_accepted(&by_assertion(change), Sign::Assertion);
    }
    // What it does say may refuse.
    assert_refused(
        &by_assertion(|spec| spec.destination = Some("x".to_owned())),
        Sign::Assertion,
        "destination_mismatch",
    );
    assert_refused(
        &by_assertion(|spec| spec.response_issuer = Some("x".to_owned())),
        Sign::Assertion,
        "issuer_mismatch",
    );
    let answers_another = by_assertion(|spec| {
        spec.in_response_to = Some("_other".to_owned());
        spec.confirmation_in_response_to = None;
    });
    assert_refused(&answers_another, Sign::Assertion, "in_response_to_mismatch");
}

#[test]
fn what_was_seen_and_wanted_is_told_and_cut() {
    let mut spec = good();
    spec.assertion_issuer = "x".repeat(1_000);
    match accept(&spec.issue(key()).xml, BOTH) {
        Err(Rejection::IssuerMismatch { element, seen, wanted }) => {
            assert_eq!((element, wanted.as_str()), ("Assertion", IDP));
            assert_eq!(seen, "x".repeat(200));
        }
        other => panic!("{other:?}"),
    }
    spec.assertion_issuer = "other".to_owned();
    match accept(&spec.issue(key()).xml, BOTH) {
        Err(Rejection::IssuerMismatch { seen, .. }) => assert_eq!(seen, "other"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_time_is_told_by_how_much_it_is_missed() {
    let expired = |what: &'static str, seen: i64, late_seconds: i64| {
        let (seen, now) = (Timestamp::from_unix(NOW + seen, 0), Timestamp::from_unix(NOW, 0));
        Err(Rejection::AssertionExpired { what, seen, now, late_seconds })
    };
    let seconds = |seconds: i64| now() + Duration::seconds(seconds);
    let verdict = |issued: i64, bearer: i64| {
        let mut spec = good();
        spec.assertion_issue_instant = seconds(issued);
        spec.confirmation_not_on_or_after = Some(seconds(bearer));
        accept(&spec.issue(key()).xml, BOTH).map(drop)
    };
    assert_eq!(verdict(-800, -200), expired("NotOnOrAfter of the bearer", -200, 20));
    assert_eq!(verdict(-801, -200), expired("ten minutes after IssueInstant of the Assertion", -201, 21));
    assert_eq!(verdict(-700, -200), expired("NotOnOrAfter of the bearer", -200, 20));
    let mut spec = good();
    spec.assertion_issue_instant = seconds(190);
    let early = Rejection::AssertionNotYetValid {
        what: "IssueInstant of the Assertion",
        seen: Timestamp::from_unix(NOW + 190, 0),
        now: Timestamp::from_unix(NOW, 0),
        early_seconds: 10,
    };
    assert_eq!(accept(&spec.issue(key()).xml, BOTH).map(drop), Err(early));
}

#[test]
fn a_canonicalization_with_comments_is_refused_by_its_place() {
    let comments = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments\"></ds:";
    let without = "http://www.w3.org/2001/10/xml-exc-c14n#\"></ds:";
    for (element, code) in
        [("CanonicalizationMethod", "canonicalization_forbidden"), ("Transform", "transform_forbidden")]
    {
        refused_with(&format!("{without}{element}>"), &format!("{comments}{element}>"), code);
    }
}

#[test]
fn refuses_outside_its_time_and_accepts_just_inside() {
    let seconds = |seconds: i64| now() + Duration::seconds(seconds);
    let bearer = move |end: i64| move |spec: &mut ResponseSpec| spec.confirmation_not_on_or_after = Some(seconds(end));
    refused_when(bearer(-180), "assertion_expired");
    let mut spec = good();
    bearer(-179)(&mut spec);
    assert_accepted(&spec.issue(key()).xml, BOTH);

    let conditions =
        move |end: i64| move |spec: &mut ResponseSpec| spec.conditions_not_on_or_after = Some(seconds(end));
    refused_when(conditions(-180), "assertion_expired");
    let mut spec = good();
    conditions(-179)(&mut spec);
    assert_accepted(&spec.issue(key()).xml, BOTH);

    refused_when(move |spec| spec.conditions_not_before = Some(seconds(181)), "assertion_not_yet_valid");
    refused_when(move |spec| spec.confirmation_not_before = Some(seconds(181)), "assertion_not_yet_valid");
    refused_when(move |spec| spec.assertion_issue_instant = seconds(181), "assertion_not_yet_valid");
    refused_when(move |spec| spec.response_issue_instant = seconds(181), "assertion_not_yet_valid");
    let mut spec = good();
    spec.conditions_not_before = Some(seconds(180));
    spec.confirmation_not_before = Some(seconds(180));
    spec.assertion_issue_instant = seconds(180);
    assert_accepted(&spec.issue(key()).xml, BOTH);

    // However long the IdP lets its assertion live, ten minutes after it was issued it is over.
    let long = move |age: i64| {
        move |spec: &mut ResponseSpec| {
            spec.assertion_issue_instant = seconds(-age);
            spec.confirmation_not_on_or_after = Some(seconds(86_400));
        }
    };
    refused_when(long(780), "assertion_expired");
    let mut spec = good();
    long(779)(&mut spec);
    assert_accepted(&spec.issue(key()).xml, BOTH);

    refused_when(move |spec| spec.session_not_on_or_after = Some(now()), "idp_session_ended");
    refused_when(|spec| spec.confirmation_not_on_or_after = None, "bearer_incomplete");
    refused_when(|spec| spec.conditions_not_on_or_after = None, "shape_forbidden");
}

#[test]
fn refuses_a_status_other_than_success() {
    refused_when(|spec| spec.status = Status::denied("you are not authorized"), "idp_denied");
    // A Response that failed may not carry an Assertion (CVE-2022-39299).
    refused_with("status:Success", "status:Responder", "shape_forbidden");
}

#[test]
fn refuses_missing_and_ambiguous_claims() {
    let without =
        |name: &'static str| move |spec: &mut ResponseSpec| spec.attributes.retain(|(other, _)| other != name);
    refused_when(without("email"), "email_missing");
    refused_when(without("sub"), "unique_id_missing");
    let with = |name: &'static str, value: &'static str| {
        move |spec: &mut ResponseSpec| {
            spec.attributes.retain(|(other, _)| other != name);
            spec.attributes.push((name.to_owned(), vec![value.to_owned()]));
        }
    };
    refused_when(with("email", ""), "email_missing");
    refused_when(with("sub", ""), "unique_id_missing");
    for email in [
        "ada",
        "ada@",
        "@example.com",
        "ada@evil@example.com",
        "\u{e4}da@example.com",
        " ada@example.com",
        "ada@example.com\u{200b}",
    ] {
        refused_when(with("email", email), "email_invalid");
    }
    for id in ["a\nb", "a\u{202e}b", "a ", "\u{feff}a", "a\u{2028}b", "a\u{ad}b", "\u{3164}", "a\u{fe0f}", "a\u{e0001}"]
    {
        refused_when(with("sub", id), "unique_id_invalid");
    }
    refused_when(with("firstname", "A\u{85}B"), "claim_invalid");
    refused_when(
        |spec| spec.attributes.push(("email".to_owned(), vec!["eve@example.com".to_owned()])),
        "claim_ambiguous",
    );
    refused_when(|spec| spec.attributes.push(("sub".to_owned(), vec!["other".to_owned()])), "claim_ambiguous");
    refused_when(|spec| spec.name_id = Some("ada\u{0}".replace('\u{0}', "\t")), "name_id_invalid");
}

#[test]
fn refuses_altered_content_under_a_good_signature() {
    refused_with("ada@example.com</saml:AttributeValue>", "eve@example.com</saml:AttributeValue>", "digest_mismatch");
    refused_with("admins", "Admins", "digest_mismatch");
    refused_with("<ds:SignatureValue>", "<ds:SignatureValue>A", "signature_value_invalid");
    refused_with("<ds:DigestValue>", "<ds:DigestValue>\u{a0}", "signature_value_invalid");
}

#[test]
fn refuses_what_parsers_disagree_about() {
    // The classic: canonicalization drops the comment, a naive reader stops at it (VU#475445).
    refused_with(
        "ada@example.com</saml:NameID>",
        "ada@example.com<!---->.evil.example</saml:NameID>",
        "xml_comment_forbidden",
    );
    refused_with("ada@example.com</saml:NameID>", "ada<!-- x -->@example.com</saml:NameID>", "xml_comment_forbidden");
    refused_with("ada@example.com</saml:NameID>", "<![CDATA[ada@example.com]]></saml:NameID>", "xml_cdata_forbidden");
    refused_with(
        "ada@example.com</saml:NameID>",
        "<?x?>ada@example.com</saml:NameID>",
        "xml_processing_instruction_forbidden",
    );
    refused_with(
        "<samlp:Response",
        "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><samlp:Response",
        "xml_doctype_forbidden",
    );
    refused_with("<samlp:Response", "<!DOCTYPE r><samlp:Response", "xml_doctype_forbidden");
    refused_with("ada@example.com</saml:NameID>", "&ada;</saml:NameID>", "xml_entity_forbidden");
    refused_with(" ID=", " xml:ID=\"x\" ID=", "xml_attribute_forbidden");
    refused_with(" ID=", " samlp:ID=\"x\" ID=", "xml_attribute_forbidden");
    refused_with("<samlp:Status>", "<samlp:Extensions></samlp:Extensions><samlp:Status>", "shape_forbidden");
    refused_with("<ds:SignatureValue>", "<ds:Object></ds:Object><ds:SignatureValue>", "shape_forbidden");
    refused_with("<ds:DigestValue>", "<ds:DigestValue>AAAA</ds:DigestValue><ds:DigestValue>", "shape_forbidden");
    refused_with("xmldsig#enveloped-signature", "xmldsig#base64", "transform_forbidden");
    refused_with("xmldsig-more#rsa-sha256", "xmldsig-more#hmac-sha256", "signature_algorithm_forbidden");
    refused_with(
        "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "signature_algorithm_forbidden",
    );
    refused_with(
        "http://www.w3.org/2001/04/xmlenc#sha256",
        "http://www.w3.org/2000/09/xmldsig#sha1",
        "digest_algorithm_forbidden",
    );
    refused_with("URI=\"#", "URI=\"", "signature_reference_mismatch");
    refused_with("URI=\"#", "URI=\"#xpointer(/)", "signature_reference_mismatch");
}
