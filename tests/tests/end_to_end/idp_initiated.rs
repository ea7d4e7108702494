//! Logins that the IdP begins: off by default, and where they are on, once and by that IdP alone.

use harness::browser::Browser;
use harness::issuer::{Sign, test_keys};
use harness::world::World;
use serde_json::json;

use crate::support::{SESSION, form, post_acs, refused_logins, samlgate};

async fn world(allowed: bool) -> World {
    World::start_with(samlgate(), |gateway| {
        gateway.set("identity_providers.0.allow_idp_initiated", json!(allowed)).set("replicas", json!(1))
    })
    .await
}

/// A response that answers nothing, posted by a browser that has no cookie of ours.
fn unsolicited(world: &World) -> String {
    let mut spec = world.idp.response_spec("ada", None);
    spec.sign = Sign::Both;
    form(&spec.issue(world.idp.key()).xml)
}

#[tokio::test]
async fn the_portals_tile_signs_in_where_that_is_allowed() {
    let world = world(true).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.idp.sso_url()).await;
    world.idp.sign_in(&mut tab, "ada").await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/"), "{}", tab.page().body);
    assert!(world.browser.cookie("localhost", SESSION).is_some());
    assert_eq!(world.upstream.last_request().one("X-Forwarded-Email"), Some("ada@demo.example"));
}

#[tokio::test]
async fn elsewhere_it_contributes_nothing_and_a_fresh_login_begins() {
    let world = world(false).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.idp.sso_url()).await;
    world.idp.sign_in(&mut tab, "ada").await;
    let answer = post_acs(&world, "", &unsolicited(&world)).await;
    assert_eq!(answer.status, 303);
    assert!(!answer.text().to_ascii_lowercase().contains("set-cookie: __host-samlgate="), "{}", answer.text());
    assert_eq!(refused_logins(&world, "unsolicited_response").await, 1.0);
    // The browser goes round: to resume, to the IdP, which knows the person, and back with an answer.
    tab.auto_submit().await;
    assert!(world.browser.visited().iter().any(|visit| visit.contains("/saml/start/jumpcloud")));
    assert_eq!(refused_logins(&world, "unsolicited_response").await, 2.0);
}

#[tokio::test]
async fn such_a_response_is_used_once() {
    let world = world(true).await;
    let body = unsolicited(&world);
    let sets_session = |answer: &harness::raw::RawResponse| {
        answer
            .head
            .header_lines
            .iter()
            .any(|line| line.to_ascii_lowercase().starts_with("set-cookie: __host-samlgate="))
    };
    let first = post_acs(&world, "", &body).await;
    assert!(first.status == 303 && sets_session(&first), "{}", first.text());
    let again = post_acs(&world, "", &body).await;
    assert!(!sets_session(&again), "{}", again.text());
    assert_eq!(refused_logins(&world, "assertion_replayed").await, 1.0);
}

#[tokio::test]
async fn a_response_that_names_a_request_is_never_taken_for_one() {
    let world = world(true).await;
    for id in ["", "_unknown", "_0101010101010101010101010101010101010101"] {
        let mut spec = world.idp.response_spec("ada", Some(id));
        spec.sign = Sign::Both;
        let answer = post_acs(&world, "", &form(&spec.issue(world.idp.key()).xml)).await;
        assert_eq!(answer.status, 303, "{id:?}");
        let lines = &answer.head.header_lines;
        assert!(lines.iter().any(|line| line.to_ascii_lowercase().contains("last=login_unknown")), "{id:?}: {lines:?}");
    }
    assert_eq!(world.gateway.metric("samlgate_logins_total", &[("result", "accepted")]).await, 0.0);
    assert!(Browser::new().cookie("localhost", SESSION).is_none());
}

#[tokio::test]
async fn what_is_checked_is_checked_against_the_idp_that_the_issuer_picked() {
    let world = world(true).await;
    let mut spec = world.idp.response_spec("ada", None);
    spec.sign = Sign::Both;
    let answer = post_acs(&world, "", &form(&spec.issue(test_keys::stranger()).xml)).await;
    assert!(answer.status == 403 && answer.text().contains("signed_by_unknown_key"), "{}", answer.text());
    let mut spec = world.idp.response_spec("ada", None);
    spec.sign = Sign::Both;
    spec.response_issuer = Some("somebody-else".to_owned());
    let answer = post_acs(&world, "", &form(&spec.issue(world.idp.key()).xml)).await;
    assert_eq!(answer.status, 303);
    assert_eq!(refused_logins(&world, "unsolicited_response").await, 1.0);
}
