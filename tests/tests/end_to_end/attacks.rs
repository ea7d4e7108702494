//! Responses that no honest IdP sends, posted with the right binding cookie: each refused with its code,
//! each beside its accepted control.

use harness::issuer::wrapping::WRAPPINGS;
use harness::issuer::{Sign, test_keys};
use harness::raw::RawResponse;
use harness::world::World;
use serde_json::json;

use crate::support::{Awaiting, BINDING, SESSION, form, post_acs, refused_logins, samlgate};

fn sets_session(answer: &RawResponse) -> bool {
    answer.head.header_lines.iter().any(|line| line.to_ascii_lowercase().starts_with("set-cookie: __host-samlgate="))
}

#[track_caller]
fn assert_session(answer: &RawResponse) {
    assert_eq!(answer.status, 303, "{}", answer.text());
    assert!(sets_session(answer));
}

#[track_caller]
fn assert_refused(answer: &RawResponse, code: &str, name: &str) {
    assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
    assert!(answer.text().contains(code), "{name}: {}", answer.text());
    assert!(!sets_session(answer), "{name}");
}

#[tokio::test]
async fn every_wrapping_is_refused_and_its_original_accepted() {
    let mut world =
        World::start_with(samlgate(), |gateway| gateway.set("identity_providers.0.sign", json!("any"))).await;
    for wrapping in &WRAPPINGS {
        let awaiting = Awaiting::start(&mut world, "/control").await;
        let issued = awaiting.spec(&world).sign(wrapping.sign).issue(world.idp.key());
        let attacked = wrapping.attack(&issued, "ada@demo.example", "eve@demo.example");
        assert_refused(&awaiting.post(&world, &form(&attacked)).await, "shape_forbidden", wrapping.name);
        // A refusal does not use the login up.
        assert_session(&awaiting.post(&world, &form(&issued.xml)).await);
    }
    assert_eq!(refused_logins(&world, "shape_forbidden").await, WRAPPINGS.len() as f64);
}

#[tokio::test]
async fn a_strangers_key_opens_nothing_whatever_certificate_it_brings() {
    let mut world = World::start(samlgate()).await;
    let awaiting = Awaiting::start(&mut world, "/x").await;
    let stranger = test_keys::stranger();
    let xml = awaiting.spec(&world).sign(Sign::Both).issue(stranger).xml;
    assert_refused(&awaiting.post(&world, &form(&xml)).await, "signed_by_unknown_key", "own certificate");
    let borrowed = xml.replace(&stranger.certificate_base64(), &world.idp.key().certificate_base64());
    assert_refused(&awaiting.post(&world, &form(&borrowed)).await, "signature_invalid", "the pinned certificate");
    let control = awaiting.spec(&world).sign(Sign::Both).issue(world.idp.key());
    assert_session(&awaiting.post(&world, &form(&control.xml)).await);
}

#[tokio::test]
async fn a_response_makes_one_session_and_its_repetition_none() {
    let mut world = World::start(samlgate()).await;
    let awaiting = Awaiting::start(&mut world, "/once").await;
    let body = form(&awaiting.spec(&world).sign(Sign::Both).issue(world.idp.key()).xml);
    assert_session(&awaiting.post(&world, &body).await);
    let again = awaiting.post(&world, &body).await;
    assert_eq!(again.status, 303);
    assert!(!sets_session(&again));
    let location = again.header("location").unwrap();
    assert!(location.contains("/saml/resume") && location.contains("once"), "{location}");
    assert_eq!(refused_logins(&world, "assertion_replayed").await, 1.0);
    world.gateway.logged("assertion_replayed").await;
}

#[tokio::test]
async fn an_assertion_is_claimed_once_also_under_another_request() {
    let mut world = World::start(samlgate()).await;
    let first = Awaiting::start(&mut world, "/one").await;
    let mut spec = first.spec(&world).sign(Sign::Both);
    spec.assertion_id = Some("_the-same".to_owned());
    assert_session(&first.post(&world, &form(&spec.issue(world.idp.key()).xml)).await);
    let second = Awaiting::start(&mut world, "/two").await;
    let mut spec = second.spec(&world).sign(Sign::Both);
    spec.assertion_id = Some("_the-same".to_owned());
    let answer = second.post(&world, &form(&spec.issue(world.idp.key()).xml)).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, false));
    assert_eq!(refused_logins(&world, "assertion_replayed").await, 1.0);
}

#[tokio::test]
async fn a_response_in_another_browser_is_not_verified() {
    let mut world = World::start(samlgate()).await;
    let victim = Awaiting::start(&mut world, "/victim").await;
    let attacker = Awaiting::start(&mut world, "/attacker").await;
    let body = form(&attacker.spec(&world).sign(Sign::Both).issue(world.idp.key()).xml);
    for cookies in [
        format!("{BINDING}={}", victim.browser.cookie("localhost", BINDING).unwrap().value),
        "other=1".to_owned(),
        format!("{BINDING}=x"),
        // Twice means none.
        {
            let own = attacker.browser.cookie("localhost", BINDING).unwrap().value;
            format!("{BINDING}={own}; {BINDING}={own}")
        },
    ] {
        let answer = post_acs(&world, &cookies, &body).await;
        assert_eq!((answer.status, sets_session(&answer)), (303, false), "{cookies}");
    }
    assert_eq!(refused_logins(&world, "login_of_other_browser").await, 4.0);
    assert_session(&attacker.post(&world, &body).await);
}

#[tokio::test]
async fn unknown_and_unsolicited_responses_start_a_login_and_contribute_nothing() {
    let mut world = World::start(samlgate()).await;
    let awaiting = Awaiting::start(&mut world, "/x").await;
    let unknown = world.idp.response_spec("ada", Some("_0000000000000000000000000000000000000000")).sign(Sign::Both);
    let answer = awaiting.post(&world, &form(&unknown.issue(world.idp.key()).xml)).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, false));
    assert_eq!(refused_logins(&world, "login_unknown").await, 1.0);

    let unsolicited = world.idp.response_spec("ada", None).sign(Sign::Both);
    let answer = awaiting.post(&world, &form(&unsolicited.issue(world.idp.key()).xml)).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, false));
    assert_eq!(refused_logins(&world, "unsolicited_response").await, 1.0);
    let empty = world.idp.response_spec("ada", Some("")).sign(Sign::Both);
    let answer = awaiting.post(&world, &form(&empty.issue(world.idp.key()).xml)).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, false));
    assert_eq!(refused_logins(&world, "login_unknown").await, 2.0);
}

#[tokio::test]
async fn five_refusals_drop_the_login() {
    let mut world = World::start(samlgate()).await;
    let awaiting = Awaiting::start(&mut world, "/x").await;
    let bad = form(&awaiting.spec(&world).sign(Sign::Assertion).issue(world.idp.key()).xml);
    for _ in 0..5 {
        assert_refused(&awaiting.post(&world, &bad).await, "response_not_signed", "bad");
    }
    let good = form(&awaiting.spec(&world).sign(Sign::Both).issue(world.idp.key()).xml);
    let answer = awaiting.post(&world, &good).await;
    assert_eq!((answer.status, sets_session(&answer)), (303, false));
}

#[tokio::test]
async fn forms_that_are_none_are_refused() {
    let mut world = World::start(samlgate()).await;
    let awaiting = Awaiting::start(&mut world, "/x").await;
    let good = form(&awaiting.spec(&world).sign(Sign::Both).issue(world.idp.key()).xml);
    for (body, code) in [
        ("".to_owned(), "saml_response_missing"),
        ("SAMLResponse=".to_owned(), "base64_invalid"),
        ("SAMLResponse=%3C%3E".to_owned(), "base64_invalid"),
        (format!("{good}&SAMLResponse=x"), "saml_response_repeated"),
        (format!("{good}&SAMLRequest=x"), "form_parameter_unexpected"),
        (format!("{good}&SigAlg=x"), "form_parameter_unexpected"),
        (form("<html>"), "xml_malformed"),
        (form("<a/>"), "shape_forbidden"),
        (format!("SAMLResponse={}", "A".repeat(300_000)), "form_too_large"),
        (format!("SAMLResponse={}", "A".repeat(200_000)), "response_too_large"),
    ] {
        let answer = awaiting.post(&world, &body).await;
        assert_refused(&answer, code, code);
    }
    assert_session(&awaiting.post(&world, &good).await);
    assert!(world.browser.cookie("localhost", SESSION).is_none());
}

#[tokio::test]
async fn a_status_writes_no_lines_of_its_own_into_the_log() {
    let mut world = World::start_with(samlgate(), |gateway| gateway.set("log", json!({ "format": "text" }))).await;
    let awaiting = Awaiting::start(&mut world, "/x").await;
    let mut spec = awaiting.spec(&world);
    spec.status = harness::issuer::Status::denied("no\nlogin accepted as root");
    spec.status.code = "x\nlogin accepted as root".to_owned();
    let answer = awaiting.post(&world, &form(&spec.issue(world.idp.key()).xml)).await;
    assert_refused(&answer, "idp_denied", "status");
    world.gateway.logged("idp_denied").await;
    assert!(!world.gateway.log().iter().any(|line| line.starts_with("login accepted")), "{:?}", world.gateway.log());
}
