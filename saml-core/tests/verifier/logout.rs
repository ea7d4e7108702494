//! Single logout: each attack beside the message that it was made from, which is accepted.

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use issuer::logout::{LogoutBody, LogoutSpec, PARTIAL_LOGOUT, Query, deflate};
use issuer::xml::{Element, Namespace};
use issuer::{RESPONDER, SUCCESS, SigningKey as IssuerKey, test_keys, verifies_enveloped};
use saml_core::{
    Certificate, ClaimNames, EntityId, IdpId, IdpSloUrl, LogoutMessage, LogoutOutcome, LogoutRequest, LogoutResponse,
    NameId, Rejection, RequestId, Sign, Signer, SloUrl, Timestamp, TrustedIdp, UnverifiedResponse, VerifiedLogout,
    VerifiedLogoutRequest, VerifiedLogoutResponse,
};
use time::Duration;

use crate::parties::{IDP, NOW, REQUEST, SP, assert_accepted, assert_refused, good, idp, key, now, service_provider};
use crate::requests::own;

const SLO: &str = "https://app.example.com/saml/slo";
const FORM: &str = "application/x-www-form-urlencoded";
const ADA: &str = "ada@example.com";

fn request() -> LogoutSpec {
    LogoutSpec::request(IDP, SLO, ADA, now())
}

fn response() -> LogoutSpec {
    LogoutSpec::response(IDP, SLO, REQUEST, now())
}

fn verify_by(message: LogoutMessage, idps: &[&TrustedIdp]) -> Result<VerifiedLogout, Rejection> {
    let slo_url = SloUrl::parse(SLO).unwrap();
    message.verify(idps, &service_provider(), &slo_url, Timestamp::from_unix(NOW, 0))
}

fn verify(message: Result<LogoutMessage, Rejection>) -> Result<VerifiedLogout, Rejection> {
    verify_by(message?, &[&idp(&[key()], Sign::AssertionAndResponse)])
}

fn by_query(query: &str) -> Result<VerifiedLogout, Rejection> {
    verify(LogoutMessage::from_query(query.as_bytes()))
}

fn form_body(parameter: &str, xml: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair(parameter, &STANDARD.encode(xml)).finish()
}

fn by_form(body: &str) -> Result<VerifiedLogout, Rejection> {
    verify(LogoutMessage::from_form(Some(FORM), None, body.as_bytes()))
}

fn by_post(parameter: &str, xml: &str) -> Result<VerifiedLogout, Rejection> {
    by_form(&form_body(parameter, xml))
}

/// Both bindings, right as they are.
fn by_both(spec: &LogoutSpec) -> [Result<VerifiedLogout, Rejection>; 2] {
    [by_query(&spec.query(None, key()).text()), by_post(spec.parameter(), &spec.signed(key()))]
}

fn code<T>(outcome: Result<T, Rejection>) -> Result<(), &'static str> {
    outcome.map(drop).map_err(|rejection| rejection.code())
}

#[track_caller]
fn accepted(outcome: Result<VerifiedLogout, Rejection>) {
    assert_eq!(code(outcome), Ok(()));
}

#[track_caller]
fn refused(outcome: Result<VerifiedLogout, Rejection>, wanted: &str) {
    assert_eq!(code(outcome), Err(wanted));
}

/// One thing wrong, signed by the right key, by both bindings.
#[track_caller]
fn refused_when(good: fn() -> LogoutSpec, change: impl Fn(&mut LogoutSpec), wanted: &str) {
    let mut spec = good();
    by_both(&spec).into_iter().for_each(accepted);
    change(&mut spec);
    by_both(&spec).into_iter().for_each(|outcome| refused(outcome, wanted));
}

fn verified_request(outcome: Result<VerifiedLogout, Rejection>) -> VerifiedLogoutRequest {
    match outcome.unwrap() {
        VerifiedLogout::Request(request) => request,
        VerifiedLogout::Response(response) => panic!("{response:?}"),
    }
}

fn verified_response(outcome: Result<VerifiedLogout, Rejection>) -> VerifiedLogoutResponse {
    match outcome.unwrap() {
        VerifiedLogout::Response(response) => response,
        VerifiedLogout::Request(request) => panic!("{request:?}"),
    }
}

fn jumpcloud() -> IdpId {
    IdpId::parse("jumpcloud").unwrap()
}

fn name_id(value: &str) -> NameId {
    NameId {
        value: value.to_owned(),
        format: None,
        name_qualifier: None,
        sp_name_qualifier: None,
        sp_provided_id: None,
    }
}

// ---- What holds

#[test]
fn a_request_says_whose_session_ends() {
    let mut spec = request();
    let LogoutBody::Request { session_indexes, reason, not_on_or_after, name_qualifier, .. } = &mut spec.body else {
        panic!();
    };
    *session_indexes = vec!["_1".to_owned(), "_2".to_owned()];
    *reason = Some("urn:oasis:names:tc:SAML:2.0:logout:user".to_owned());
    *not_on_or_after = Some(now() + Duration::MINUTE);
    *name_qualifier = Some(IDP.to_owned());
    let [first, second] = by_both(&spec).map(verified_request);
    for request in [&first, &second] {
        assert_eq!((request.id(), request.idp()), (spec.id.as_str(), &jumpcloud()));
        assert_eq!(*request.name_id(), NameId { name_qualifier: Some(IDP.to_owned()), ..name_id(ADA) });
        assert_eq!(request.session_indexes(), ["_1", "_2"]);
        assert_eq!(request.relay_state(), None);
    }
    // Claimed once, by whichever binding it came.
    assert_eq!(first.replay_key(), second.replay_key());
    assert_eq!(first.replay_until(), Timestamp::from_unix(NOW + 901, 0));
    assert_ne!(verified_request(by_query(&request().query(None, key()).text())).replay_key(), first.replay_key());
}

#[test]
fn a_response_says_what_came_of_our_request() {
    let ours = RequestId::parse(REQUEST).unwrap();
    for (codes, outcome) in [
        (vec![SUCCESS], LogoutOutcome::Complete),
        (vec![SUCCESS, PARTIAL_LOGOUT], LogoutOutcome::Partial),
        (vec![RESPONDER, PARTIAL_LOGOUT], LogoutOutcome::Partial),
        (vec![RESPONDER], LogoutOutcome::Failed { status: RESPONDER.to_owned() }),
        (vec![PARTIAL_LOGOUT], LogoutOutcome::Failed { status: PARTIAL_LOGOUT.to_owned() }),
        (vec![SUCCESS, RESPONDER], LogoutOutcome::Failed { status: format!("{SUCCESS} / {RESPONDER}") }),
    ] {
        let mut spec = response();
        spec.body = LogoutBody::Response { in_response_to: Some(REQUEST.to_owned()), status: codes };
        for response in by_both(&spec).map(verified_response) {
            assert_eq!(response.in_response_to(), REQUEST);
            assert_eq!(response.outcome(&jumpcloud(), &ours), Ok(outcome.clone()));
        }
    }
}

#[test]
fn a_response_answers_the_one_request_that_was_sent_to_its_idp() {
    let response = verified_response(by_query(&response().query(None, key()).text()));
    let outcome = |idp: &str, request: &str| {
        code(response.outcome(&IdpId::parse(idp).unwrap(), &RequestId::parse(request).unwrap()))
    };
    assert_eq!(outcome("jumpcloud", REQUEST), Ok(()));
    assert_eq!(outcome("okta", REQUEST), Err("logout_in_response_to_mismatch"));
    assert_eq!(outcome("jumpcloud", "_other"), Err("logout_in_response_to_mismatch"));
    let without = |spec: &mut LogoutSpec| {
        spec.body = LogoutBody::Response { in_response_to: None, status: vec![SUCCESS] };
    };
    refused_when(self::response, without, "logout_in_response_to_mismatch");
}

#[test]
fn a_request_ends_sessions_of_that_idp_name_and_index_alone() {
    let ends = |change: fn(&mut LogoutSpec), idp: &str, name: &NameId, indexes: &[&str]| {
        let mut spec = request();
        change(&mut spec);
        let request = verified_request(by_query(&spec.query(None, key()).text()));
        request.ends(&IdpId::parse(idp).unwrap(), name, indexes.iter().copied())
    };
    let plain = |_: &mut LogoutSpec| ();
    let indexed = |spec: &mut LogoutSpec| match &mut spec.body {
        LogoutBody::Request { session_indexes, .. } => *session_indexes = vec!["_1".to_owned(), "_2".to_owned()],
        LogoutBody::Response { .. } => panic!(),
    };
    let qualified = |spec: &mut LogoutSpec| match &mut spec.body {
        LogoutBody::Request { name_qualifier, sp_name_qualifier, format, .. } => {
            *name_qualifier = Some(IDP.to_owned());
            *sp_name_qualifier = Some(SP.to_owned());
            *format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned());
        }
        LogoutBody::Response { .. } => panic!(),
    };
    let ada = name_id(ADA);
    assert!(ends(plain, "jumpcloud", &ada, &[]));
    assert!(ends(plain, "jumpcloud", &ada, &["_9"]));
    assert!(!ends(plain, "okta", &ada, &[]));
    for other in ["Ada@example.com", "ada@example.com ", "ada@example.co", ""] {
        assert!(!ends(plain, "jumpcloud", &name_id(other), &[]), "{other:?}");
    }

    assert!(ends(indexed, "jumpcloud", &ada, &["_2"]));
    assert!(ends(indexed, "jumpcloud", &ada, &["_9", "_1"]));
    assert!(!ends(indexed, "jumpcloud", &ada, &["_9"]));
    assert!(!ends(indexed, "jumpcloud", &ada, &[]));

    let whole = NameId { name_qualifier: Some(IDP.to_owned()), sp_name_qualifier: Some(SP.to_owned()), ..name_id(ADA) };
    assert!(ends(qualified, "jumpcloud", &whole, &[]));
    assert!(!ends(qualified, "jumpcloud", &ada, &[]));
    assert!(!ends(plain, "jumpcloud", &whole, &[]));
    assert!(!ends(qualified, "jumpcloud", &NameId { name_qualifier: None, ..whole.clone() }, &[]));
    assert!(!ends(qualified, "jumpcloud", &NameId { sp_name_qualifier: None, ..whole }, &[]));
}

#[test]
fn every_kind_of_key_signs_by_both_bindings() {
    for key in [test_keys::rsa_2048(), test_keys::rsa_4096(), test_keys::p256()] {
        let trusted = idp(&[key], Sign::AssertionAndResponse);
        let spec = request();
        let query = LogoutMessage::from_query(spec.query(Some("r/+ &"), key).text().as_bytes()).unwrap();
        let body = format!("{}&RelayState=r%2F%2B+%26", form_body("SAMLRequest", &spec.signed(key)));
        let form = LogoutMessage::from_form(Some(FORM), None, body.as_bytes()).unwrap();
        for message in [query, form] {
            assert_eq!(verified_request(verify_by(message, &[&trusted])).relay_state(), Some("r/+ &"));
        }
    }
}

#[test]
fn the_idp_is_the_one_whose_key_signed_and_whose_issuer_stands_there() {
    let trusted = |id: &str, entity_id: &str, key: &IssuerKey| {
        let certificates = Certificate::parse_all(key.certificate_pem().as_bytes()).unwrap();
        let (id, entity_id) = (IdpId::parse(id).unwrap(), EntityId::parse(entity_id).unwrap());
        TrustedIdp::new(id, entity_id, certificates, Sign::Any, ClaimNames::default()).unwrap()
    };
    let (ours, other) = (test_keys::rsa_2048(), test_keys::p256());
    let [a, b, same_key] = [trusted("a", "A", ours), trusted("b", "B", other), trusted("c", "C", ours)];
    let all = [&a, &b, &same_key];
    let outcome = |issuer: &str, key: &IssuerKey| {
        let spec = LogoutSpec::request(issuer, SLO, ADA, now());
        let query = LogoutMessage::from_query(spec.query(None, key).text().as_bytes()).unwrap();
        let body = form_body("SAMLRequest", &spec.signed(key));
        let form = LogoutMessage::from_form(Some(FORM), None, body.as_bytes()).unwrap();
        [query, form].map(|message| match verify_by(message, &all) {
            Ok(VerifiedLogout::Request(request)) => Ok(request.idp().to_string()),
            Ok(VerifiedLogout::Response(_)) => panic!(),
            Err(rejection) => Err(rejection.code()),
        })
    };
    for (issuer, key, idp) in [("A", ours, "a"), ("B", other, "b"), ("C", ours, "c")] {
        assert_eq!(outcome(issuer, key), [Ok(idp.to_owned()), Ok(idp.to_owned())]);
    }
    // One IdP cannot speak for another.
    assert_eq!(outcome("A", other), [Err("logout_issuer_mismatch"), Err("signed_by_unknown_key")]);
    assert_eq!(outcome("B", ours), [Err("logout_issuer_mismatch"), Err("signed_by_unknown_key")]);
    assert_eq!(outcome("D", ours), [Err("logout_issuer_mismatch"), Err("logout_issuer_mismatch")]);
}

#[test]
fn what_honest_idps_do_beside_is_taken() {
    let lines = |text: &str| -> String {
        text.as_bytes().chunks(76).map(|line| format!("{}\r\n", String::from_utf8_lossy(line))).collect()
    };
    let xml = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{}\n", request().signed(key()));
    let message = lines(&STANDARD.encode(xml));
    let body = form_urlencoded::Serializer::new(String::new()).append_pair("SAMLRequest", &message).finish();
    accepted(by_form(&body));

    let xml = |from: &str, to: &str| {
        let xml = response().unsigned();
        assert!(xml.contains(from), "{xml}");
        by_query(&Query::signed("SAMLResponse", xml.replacen(from, to, 1).as_bytes(), None, key()).text())
    };
    let end = "</samlp:Status>";
    accepted(xml(end, "<samlp:StatusMessage xml:lang=\"en\">done</samlp:StatusMessage></samlp:Status>"));
    let detail = "<samlp:StatusDetail><x></x></samlp:StatusDetail></samlp:Status>";
    refused(xml(end, detail), "shape_forbidden");
    let failed = response().unsigned().replace("status:Success", "status:Responder").replace(end, detail);
    accepted(by_query(&Query::signed("SAMLResponse", failed.as_bytes(), None, key()).text()));

    let mut spec = request();
    if let LogoutBody::Request { session_indexes, .. } = &mut spec.body {
        *session_indexes = vec!["_1".to_owned(); 64];
    }
    by_both(&spec).into_iter().for_each(accepted);
}

#[test]
fn a_relay_state_has_at_most_a_kilobyte_of_text() {
    let by_redirect = |relay_state: &str| by_query(&request().query(Some(relay_state), key()).text());
    let by_form = |escaped: &str| {
        by_form(&format!("{}&RelayState={escaped}", form_body("SAMLRequest", &request().signed(key()))))
    };
    for outcome in [by_redirect(&"r".repeat(1024)), by_form(&"r".repeat(1024)), by_redirect(""), by_form("")] {
        accepted(outcome);
    }
    for outcome in [by_redirect(&"r".repeat(1025)), by_form(&"r".repeat(1025)), by_form("%ff")] {
        refused(outcome, "logout_parameters_invalid");
    }
    let mut query = request().query(Some("r"), key());
    query.parameters[1].1 = "%ff".to_owned();
    refused(by_query(&query.text()), "logout_parameters_invalid");
    query.parameters[1].1 = "%f".to_owned();
    refused(by_query(&query.text()), "form_malformed");
}

// ---- What does not

#[test]
fn refuses_what_is_not_for_us_or_not_of_this_hour() {
    for good in [request, response] {
        refused_when(good, |spec| spec.destination = Some(format!("{SLO}/")), "logout_destination_mismatch");
        refused_when(good, |spec| spec.destination = None, "logout_destination_mismatch");
        refused_when(good, |spec| spec.issuer = format!("{IDP} "), "logout_issuer_mismatch");
        refused_when(good, |spec| spec.issue_instant = now() + Duration::seconds(181), "logout_not_yet_valid");
        refused_when(good, |spec| spec.issue_instant = now() - Duration::seconds(780), "logout_expired");
        refused_when(good, |spec| spec.id = "a b".to_owned(), "id_invalid");
        for seconds in [180, -779] {
            let mut spec = good();
            spec.issue_instant = now() + Duration::seconds(seconds);
            by_both(&spec).into_iter().for_each(accepted);
        }
    }
    let ending = |seconds: i64| {
        move |spec: &mut LogoutSpec| match &mut spec.body {
            LogoutBody::Request { not_on_or_after, .. } => *not_on_or_after = Some(now() + Duration::seconds(seconds)),
            LogoutBody::Response { .. } => panic!(),
        }
    };
    refused_when(request, ending(-180), "logout_expired");
    let mut spec = request();
    ending(-179)(&mut spec);
    by_both(&spec).into_iter().for_each(accepted);
}

#[test]
fn refuses_an_unpinned_key_and_a_missing_signature() {
    for spec in [request(), response()] {
        let stranger = test_keys::stranger();
        refused(by_query(&spec.query(None, stranger).text()), "logout_signature_invalid");
        refused(by_post(spec.parameter(), &spec.signed(stranger)), "signed_by_unknown_key");
        refused(by_post(spec.parameter(), &spec.unsigned()), "logout_not_signed");
        for stripped in [&["Signature"][..], &["SigAlg"], &["SigAlg", "Signature"]] {
            let mut query = spec.query(None, key());
            accepted(by_query(&query.text()));
            query.parameters.retain(|(name, _)| !stripped.contains(name));
            refused(by_query(&query.text()), "logout_not_signed");
        }
        // A message that is signed inside only is not signed by Redirect.
        let inside = Query::signed(spec.parameter(), spec.signed(key()).as_bytes(), None, stranger);
        refused(by_query(&inside.text()), "logout_signature_invalid");
        let both = Query::signed(spec.parameter(), spec.signed(key()).as_bytes(), None, key());
        refused(by_query(&both.text()), "shape_forbidden");
    }
}

/// ATTACKS 82: what is verified is what was sent, and nothing stands beside it.
#[test]
fn refuses_parameters_that_are_repeated_mixed_or_of_other_bindings() {
    let query = request().query(Some("relay"), key());
    accepted(by_query(&query.text()));
    let other = request().query(None, key());
    let message_of = |query: &Query| query.parameters[0].1.clone();
    for (name, value) in [
        ("SAMLRequest", message_of(&query)),
        ("SAMLRequest", message_of(&other)),
        ("SAMLResponse", message_of(&other)),
        ("RelayState", "relay".to_owned()),
        ("RelayState", "other".to_owned()),
        ("SigAlg", query.parameters[2].1.clone()),
        ("Signature", query.parameters[3].1.clone()),
        ("SAMLEncoding", "urn%3Aoasis%3Anames%3Atc%3ASAML%3A2.0%3Abindings%3AURL-Encoding%3ADEFLATE".to_owned()),
        ("SAMLart", "x".to_owned()),
        ("samlrequest", message_of(&other)),
        ("%53AMLRequest", message_of(&other)),
        ("", String::new()),
        ("x", String::new()),
    ] {
        for at in [0, query.parameters.len()] {
            let mut query = query.clone();
            query.parameters.insert(at, (name, value.clone()));
            refused(by_query(&query.text()), "logout_parameters_invalid");
        }
    }
    for text in ["", "&", "SAMLRequest", &format!("{}&", query.text()), &format!("&{}", query.text())] {
        refused(by_query(text), "logout_parameters_invalid");
    }

    let body = form_body("SAMLRequest", &request().signed(key()));
    accepted(by_form(&body));
    for beside in
        ["SAMLResponse=a", "SAMLRequest=a", "RelayState=a&RelayState=a", "SigAlg=a", "Signature=a", "x=a", "x"]
    {
        for body in [format!("{body}&{beside}"), format!("{beside}&{body}")] {
            refused(by_form(&body), "logout_parameters_invalid");
        }
    }
    refused(by_form(""), "logout_parameters_invalid");
    refused(by_form("RelayState=a"), "logout_parameters_invalid");
    refused(by_form("SAMLRequest=%zz"), "form_malformed");
    let from = |content_type, query| code(LogoutMessage::from_form(content_type, query, body.as_bytes()));
    assert_eq!(from(Some("multipart/form-data"), None), Err("form_content_type"));
    assert_eq!(from(None, None), Err("form_content_type"));
    assert_eq!(from(Some(FORM), Some("SAMLRequest=a")), Err("form_query_not_empty"));
    assert_eq!(from(Some(FORM), Some("")), Ok(()));
}

#[test]
fn the_signature_is_over_the_octets_that_came() {
    let query = request().query(Some("a b/c"), key());
    accepted(by_query(&query.text()));
    // The order of the parameters is free, for what is signed has an order of its own (Bindings §3.4.4.1).
    let mut reordered = query.clone();
    reordered.parameters.reverse();
    accepted(by_query(&reordered.text()));
    // Another spelling of the same value is not what was signed.
    for (from, to) in [("a+b", "a%20b"), ("%2F", "%2f"), ("%2F", "/"), ("%3A", ":")] {
        let mut changed = query.clone();
        let (_, value) = changed.parameters.iter_mut().find(|(_, value)| value.contains(from)).unwrap();
        *value = value.replacen(from, to, 1);
        refused(by_query(&changed.text()), "logout_signature_invalid");
    }
    // Nor is another value, or none.
    for at in 0..2 {
        let mut changed = query.clone();
        changed.parameters[at].1.insert(0, 'A');
        refused(by_query(&changed.text()), "logout_signature_invalid");
    }
    let mut without = query.clone();
    without.parameters.remove(1);
    refused(by_query(&without.text()), "logout_signature_invalid");
    let mut added = request().query(None, key());
    accepted(by_query(&added.text()));
    added.parameters.insert(1, ("RelayState", String::new()));
    refused(by_query(&added.text()), "logout_signature_invalid");
    // An escape in front of the separator does not move a border between two values.
    let mut moved = query;
    moved.parameters[0].1.push_str("%26RelayState%3Da+b%2Fc");
    moved.parameters.remove(1);
    refused(by_query(&moved.text()), "logout_signature_invalid");
}

#[test]
fn refuses_other_algorithms_whatever_they_would_verify() {
    for algorithm in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "http://www.w3.org/2001/04/xmldsig-more#RSA-SHA256",
        " http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        "",
    ] {
        let mut query = request().query(None, key());
        accepted(by_query(&query.text()));
        query.parameters[1].1 = form_urlencoded::byte_serialize(algorithm.as_bytes()).collect();
        refused(by_query(&query.text()), "signature_algorithm_forbidden");
    }
    // A listed one that is not the one used.
    for algorithm in ["rsa-sha512", "ecdsa-sha256"] {
        let mut query = request().query(None, key());
        let other = format!("http://www.w3.org/2001/04/xmldsig-more#{algorithm}");
        query.parameters[1].1 = form_urlencoded::byte_serialize(other.as_bytes()).collect();
        refused(by_query(&query.text()), "logout_signature_invalid");
    }
    let xml = request().signed(key());
    accepted(by_post("SAMLRequest", &xml));
    let swapped = xml.replace("2001/04/xmldsig-more#rsa-sha256", "2000/09/xmldsig#rsa-sha1");
    refused(by_post("SAMLRequest", &swapped), "signature_algorithm_forbidden");
    let swapped = xml.replace("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1");
    refused(by_post("SAMLRequest", &swapped), "digest_algorithm_forbidden");
}

/// ATTACKS 58. What is not signed is not inflated; what is signed is inflated to 64 KiB.
#[test]
fn a_deflate_bomb_is_not_inflated() {
    let bomb = vec![b' '; 5_000_000];
    let unsigned = Query::signed("SAMLRequest", &bomb, None, test_keys::stranger());
    refused(by_query(&unsigned.text()), "logout_signature_invalid");
    let signed = Query::signed("SAMLRequest", &bomb, None, key());
    refused(by_query(&signed.text()), "logout_message_too_large");
    refused(by_query(&format!("SAMLRequest={}", "A".repeat(64 * 1024))), "logout_message_too_large");

    let padded = |size: usize| {
        let mut xml = request().unsigned().into_bytes();
        xml.resize(size, b' ');
        by_query(&Query::signed("SAMLRequest", &xml, None, key()).text())
    };
    accepted(padded(64 * 1024));
    refused(padded(64 * 1024 + 1), "logout_message_too_large");
    let mut posted = request().signed(key());
    posted.push_str(&" ".repeat(64 * 1024));
    refused(by_post("SAMLRequest", &posted), "logout_message_too_large");
}

#[test]
fn refuses_what_is_not_deflate_or_not_base64() {
    let deflated = deflate(request().unsigned().as_bytes());
    let raw = |message: &str| by_query(&Query::signed_raw("SAMLRequest", message, None, key()).text());
    let of = |bytes: &[u8]| raw(&STANDARD.encode(bytes));
    accepted(of(&deflated));
    refused(of(&deflated[..deflated.len() - 1]), "logout_deflate_invalid");
    refused(of(&[&deflated[..], b"x"].concat()), "logout_deflate_invalid");
    refused(of(&[&deflated[..], &deflated[..]].concat()), "logout_deflate_invalid");
    refused(of(request().unsigned().as_bytes()), "logout_deflate_invalid");
    refused(of(b""), "logout_deflate_invalid");
    // A zlib header is not DEFLATE as RFC 1951 has it.
    refused(of(&[&[0x78, 0x9c], &deflated[..]].concat()), "logout_deflate_invalid");
    let good = STANDARD.encode(&deflated);
    for damaged in [
        format!("{good} "),
        format!("\n{good}"),
        format!("{good}="),
        good.trim_end_matches('=').to_owned() + "!",
        good.replace(['+', '/'], "-"),
    ] {
        refused(raw(&damaged), "logout_parameters_invalid");
    }
    let mut query = request().query(None, key());
    query.parameters[2].1.push_str("%0A");
    refused(by_query(&query.text()), "logout_parameters_invalid");
}

#[test]
fn refuses_altered_content_under_a_good_signature() {
    let posted = |from: &str, to: &str, wanted: &str| {
        let xml = request().signed(key());
        accepted(by_post("SAMLRequest", &xml));
        assert!(xml.contains(from), "{from} is not in {xml}");
        refused(by_post("SAMLRequest", &xml.replacen(from, to, 1)), wanted);
    };
    posted(ADA, "eve@example.com", "digest_mismatch");
    posted("</saml:NameID>", "</saml:NameID><samlp:SessionIndex>_1</samlp:SessionIndex>", "digest_mismatch");
    posted("<ds:Reference URI=\"#", "<ds:Reference URI=\"", "signature_reference_mismatch");
    posted(" ID=\"", " ID=\"x", "signature_reference_mismatch");
    posted("ada@", "ada<!-- -->@", "xml_comment_forbidden");
    posted("<samlp:LogoutRequest", "<!DOCTYPE r><samlp:LogoutRequest", "xml_doctype_forbidden");
}

#[test]
fn refuses_everything_outside_the_grammar() {
    // Signed by the right key over the query, so that nothing but the grammar refuses.
    let by_redirect = |good: fn() -> LogoutSpec, from: &str, to: &str, wanted: &str| {
        let spec = good();
        let xml = spec.unsigned();
        assert!(xml.contains(from), "{from} is not in {xml}");
        let query = |xml: &str| Query::signed(spec.parameter(), xml.as_bytes(), None, key()).text();
        accepted(by_query(&query(&xml)));
        refused(by_query(&query(&xml.replacen(from, to, 1))), wanted);
    };
    let (start, end) = ("<saml:NameID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\">", "</saml:NameID>");
    let encrypted = "<saml:EncryptedID xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"></saml:EncryptedID>";
    let name = format!("{start}{ADA}{end}");
    by_redirect(request, &name, encrypted, "logout_name_id_encrypted");
    by_redirect(request, &name, "", "shape_forbidden");
    by_redirect(request, &name, &format!("{start}{end}"), "shape_forbidden");
    by_redirect(request, &name, &format!("{name}{name}"), "shape_forbidden");
    by_redirect(request, ADA, &format!("<x>{ADA}</x>"), "shape_forbidden");
    by_redirect(request, &name, &name.replace("NameID", "BaseID"), "shape_forbidden");
    by_redirect(request, &name, &format!("<samlp:Extensions></samlp:Extensions>{name}"), "shape_forbidden");
    by_redirect(request, &name, &format!("<samlp:SessionIndex>_1</samlp:SessionIndex>{name}"), "shape_forbidden");
    let many = "<samlp:SessionIndex>_1</samlp:SessionIndex>".repeat(65);
    by_redirect(request, &name, &format!("{name}{many}"), "shape_forbidden");
    by_redirect(request, &name, &format!("{name}text"), "shape_forbidden");
    by_redirect(request, " ID=", " InResponseTo=\"_1\" ID=", "xml_attribute_forbidden");
    by_redirect(request, " ID=", " xmlns:x=\"urn:x\" x:ID=\"_1\" ID=", "xml_attribute_forbidden");
    by_redirect(request, "Version=\"2.0\"", "Version=\"1.1\"", "shape_forbidden");
    by_redirect(request, "Version=\"2.0\"", "", "shape_forbidden");
    by_redirect(request, " IssueInstant=\"", " IssueInstant=\"x", "time_invalid");
    by_redirect(request, " ID=", " NotOnOrAfter=\"tomorrow\" ID=", "time_invalid");
    by_redirect(request, "<saml:Issuer", "<saml:Issuer x=\"\"", "xml_attribute_forbidden");

    by_redirect(response, "samlp:Status>", "samlp:Other>", "xml_malformed");
    let status = "<samlp:Status><samlp:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"></samlp:StatusCode></samlp:Status>";
    by_redirect(response, status, "", "shape_forbidden");
    by_redirect(response, status, "<samlp:Status></samlp:Status>", "shape_forbidden");
    by_redirect(response, status, &format!("{status}{status}"), "shape_forbidden");
    by_redirect(response, status, &format!("{name}{status}"), "shape_forbidden");
    by_redirect(response, status, &status.replace(" Value=", " Valu="), "xml_attribute_forbidden");
    by_redirect(response, " ID=", " Reason=\"x\" ID=", "xml_attribute_forbidden");
}

/// ATTACKS 13, 77: a good signature of the IdP under something else than what it was made for.
#[test]
fn no_message_passes_for_another() {
    let login = good().issue(key()).xml;
    assert_accepted(&login, Sign::AssertionAndResponse);
    let (logout, answer) = (request().signed(key()), response().signed(key()));
    accepted(by_post("SAMLRequest", &logout));
    accepted(by_post("SAMLResponse", &answer));

    // Under the other parameter, and a login where a logout is awaited.
    for (parameter, xml) in
        [("SAMLResponse", &logout), ("SAMLRequest", &answer), ("SAMLResponse", &login), ("SAMLRequest", &login)]
    {
        refused(by_post(parameter, xml), "shape_forbidden");
        let query = Query::signed(parameter, xml.as_bytes(), None, key());
        refused(by_query(&query.text()), "shape_forbidden");
    }
    // A signed query under the other name.
    for spec in [request(), response()] {
        let mut query = spec.query(None, key());
        query.parameters[0].0 = if spec.parameter() == "SAMLRequest" { "SAMLResponse" } else { "SAMLRequest" };
        refused(by_query(&query.text()), "logout_signature_invalid");
    }
    // A logout where a login is awaited.
    for xml in [&logout, &answer] {
        assert_eq!(code(UnverifiedResponse::from_xml(xml.clone().into_bytes())), Err("shape_forbidden"));
    }
    // The signature of one in the body of the other, with the ID that it refers to.
    let signature_of = |xml: &str| {
        let start = xml.find("<ds:Signature ").unwrap();
        let end = xml.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        xml[start..end].to_owned()
    };
    let id_of = |xml: &str| {
        let (_, rest) = xml.split_once(" ID=\"").unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    for (from, to, parameter) in [
        (&login, &logout, "SAMLRequest"),
        (&answer, &logout, "SAMLRequest"),
        (&login, &answer, "SAMLResponse"),
        (&logout, &answer, "SAMLResponse"),
    ] {
        let with_signature = to.replace(&signature_of(to), &signature_of(from));
        refused(by_post(parameter, &with_signature), "signature_reference_mismatch");
        let with_id = with_signature.replacen(&id_of(to), &id_of(from), 1);
        refused(by_post(parameter, &with_id), "digest_mismatch");
    }
    let response_signature = signature_of(&login);
    let forged = login.replacen(&response_signature, &signature_of(&logout), 1);
    let forged = forged.replacen(&id_of(&login), &id_of(&logout), 1);
    assert_refused(&forged, Sign::AssertionAndResponse, "digest_mismatch");
}

/// A signed message inside an unsigned one, and beside it.
#[test]
fn refuses_wrapped_logout_requests() {
    let signed = request().signed(key());
    accepted(by_post("SAMLRequest", &signed));
    let evil = request().unsigned().replace(ADA, "eve@example.com");
    let signature = {
        let start = signed.find("<ds:Signature ").unwrap();
        let end = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
        &signed[start..end]
    };
    let close = "</samlp:LogoutRequest>";
    let issuer_end = "</saml:Issuer>";
    let object = signature.replace("</ds:Signature>", &format!("<ds:Object>{signed}</ds:Object></ds:Signature>"));
    for wrapped in [
        evil.replace(close, &format!("{signed}{close}")),
        evil.replace(issuer_end, &format!("{issuer_end}{signed}")),
        evil.replace(issuer_end, &format!("{issuer_end}{signature}{signed}")),
        evil.replace(issuer_end, &format!("{issuer_end}{object}")),
        evil.replace(issuer_end, &format!("{issuer_end}<samlp:Extensions>{signed}</samlp:Extensions>{signature}")),
    ] {
        refused(by_post("SAMLRequest", &wrapped), "shape_forbidden");
    }
    refused(by_post("SAMLRequest", &format!("{signed}{evil}")), "xml_malformed");
    let with_signature = evil.replace(issuer_end, &format!("{issuer_end}{signature}"));
    refused(by_post("SAMLRequest", &with_signature), "signature_reference_mismatch");
}

/// Every flipped bit of a signed query: refused, or the same request.
#[test]
fn no_change_of_a_bit_changes_whose_session_ends() {
    let spec = request();
    let text = spec.query(Some("r"), key()).text().into_bytes();
    let trusted = idp(&[key()], Sign::AssertionAndResponse);
    for at in 0..text.len() {
        for bit in 0..8 {
            let mut changed = text.clone();
            changed[at] ^= 1 << bit;
            let outcome = LogoutMessage::from_query(&changed).and_then(|message| verify_by(message, &[&trusted]));
            if let Ok(VerifiedLogout::Request(request)) = outcome {
                // The case of an escape's digits in the Signature, which is not under itself.
                assert_eq!((request.id(), request.relay_state()), (spec.id.as_str(), Some("r")));
                assert_eq!(*request.name_id(), name_id(ADA));
            }
        }
    }
    accepted(verify(LogoutMessage::from_query(&text)));
}

// ---- What we send

const SAMLP: Namespace = Namespace { prefix: "samlp", uri: "urn:oasis:names:tc:SAML:2.0:protocol" };
const SAML: Namespace = Namespace { prefix: "saml", uri: "urn:oasis:names:tc:SAML:2.0:assertion" };
const IDP_SLO: &str = "https://idp.example/slo";

fn expected(name: &'static str) -> Element {
    Element::new(SAMLP, name)
        .attribute("ID", REQUEST)
        .attribute("Version", "2.0")
        .attribute("IssueInstant", Timestamp::from_unix(NOW, 0).to_string())
        .attribute("Destination", IDP_SLO)
        .child(Element::new(SAML, "Issuer").text(SP))
}

#[test]
fn our_messages_are_signed_by_both_bindings() {
    let (id, sp, random) = (RequestId::parse(REQUEST).unwrap(), service_provider(), SystemRandom::new());
    let destination = IdpSloUrl::parse(IDP_SLO).unwrap();
    let issue_instant = Timestamp::from_unix(NOW, 0);
    let name_id = NameId {
        value: "a&b \"c\"".to_owned(),
        format: Some("f".to_owned()),
        name_qualifier: Some("n".to_owned()),
        sp_name_qualifier: Some("s".to_owned()),
        sp_provided_id: Some("p".to_owned()),
    };
    let indexes = ["_1".to_owned(), "_2".to_owned()];
    let name = Element::new(SAML, "NameID")
        .attribute("Format", "f")
        .attribute("NameQualifier", "n")
        .attribute("SPNameQualifier", "s")
        .attribute("SPProvidedID", "p")
        .text("a&b \"c\"");
    let request_element = expected("LogoutRequest")
        .attribute("NotOnOrAfter", Timestamp::from_unix(NOW + 300, 0).to_string())
        .child(name)
        .children(indexes.iter().map(|index| Element::new(SAMLP, "SessionIndex").text(index)));
    let code = |value: &str| Element::new(SAMLP, "StatusCode").attribute("Value", value);
    for key in [test_keys::rsa_2048(), test_keys::p256()] {
        let own = own(key);
        let signer = Signer { key: &own, random: &random };
        let request = LogoutRequest {
            id: &id,
            issue_instant,
            destination: &destination,
            sp: &sp,
            name_id: &name_id,
            session_indexes: &indexes,
        };
        let form = request.post_form(None, &signer).unwrap();
        let xml = String::from_utf8(STANDARD.decode(&form.message).unwrap()).unwrap();
        assert_eq!((form.action.as_str(), form.field, form.relay_state), (IDP_SLO, "SAMLRequest", None));
        assert!(verifies_enveloped(&xml, &request_element, REQUEST, key), "{xml}");
        assert_redirect(&request.redirect_url(Some("r"), &signer).unwrap(), "SAMLRequest", key);

        for (outcome, status) in [
            (LogoutOutcome::Complete, code(SUCCESS)),
            (LogoutOutcome::Partial, code(SUCCESS).child(code(PARTIAL_LOGOUT))),
            (LogoutOutcome::Failed { status: "secret".to_owned() }, code(RESPONDER)),
        ] {
            let element = expected("LogoutResponse")
                .attribute("InResponseTo", "_theirs")
                .child(Element::new(SAMLP, "Status").child(status));
            let response = LogoutResponse {
                id: &id,
                issue_instant,
                destination: &destination,
                sp: &sp,
                in_response_to: "_theirs",
                outcome: &outcome,
            };
            let form = response.post_form(Some("r"), &signer).unwrap();
            let xml = String::from_utf8(STANDARD.decode(&form.message).unwrap()).unwrap();
            assert_eq!((form.field, form.relay_state.as_deref()), ("SAMLResponse", Some("r")));
            assert!(verifies_enveloped(&xml, &element, REQUEST, key), "{xml}");
            assert_redirect(&response.redirect_url(Some("r"), &signer).unwrap(), "SAMLResponse", key);
        }
    }
}

#[track_caller]
fn assert_redirect(url: &str, parameter: &str, key: &IssuerKey) {
    let query = url.strip_prefix(&format!("{IDP_SLO}?")).unwrap();
    let (signed, signature) = query.split_once("&Signature=").unwrap();
    let signature: String = form_urlencoded::parse(signature.as_bytes()).map(|(value, _)| value).collect();
    assert!(key.verifies(signed.as_bytes(), &STANDARD.decode(signature).unwrap()), "{url}");
    assert!(signed.starts_with(&format!("{parameter}=")) && signed.contains("&RelayState=r&SigAlg="), "{url}");
}
