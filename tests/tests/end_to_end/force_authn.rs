//! A new sign-in at the IdP is asked for at each login, and an old one refused.

use harness::issuer::Sign;
use harness::world::World;
use serde_json::json;
use time::Duration;

use crate::support::{Awaiting, form, samlgate};

async fn world(force: bool) -> World {
    World::start_with(samlgate(), |gateway| gateway.set("identity_providers.0.force_authn", json!(force))).await
}

#[tokio::test]
async fn the_idp_asks_again_though_it_knows_the_person() {
    for (force, asked_again) in [(true, true), (false, false)] {
        let world = world(force).await;
        let mut tab = world.sign_in("ada", "/a").await;
        assert_eq!(tab.page().status, 200, "{}", tab.page().body);
        assert_eq!(world.idp.requests().last().map(|request| request.force_authn), Some(force));
        tab.visit(&world.gateway.url("/saml/start/jumpcloud?rd=/b")).await;
        let asks = tab.page().body.contains("name=\"password\"");
        assert_eq!(asks, asked_again, "{}", tab.page().body);
        if asks {
            world.idp.sign_in(&mut tab, "ada").await;
        }
        tab.auto_submit().await;
        assert_eq!((tab.page().status, tab.page().url.path()), (200, "/b"));
    }
}

#[tokio::test]
async fn a_sign_in_from_before_the_request_is_refused() {
    let mut world = world(true).await;
    let awaiting = Awaiting::start(&mut world, "/a").await;
    let issued = |minutes: i64| {
        let mut spec = awaiting.spec(&world).sign(Sign::Both);
        spec.authn_instant -= Duration::minutes(minutes);
        form(&spec.issue(world.idp.key()).xml)
    };
    let old = awaiting.post(&world, &issued(60)).await;
    assert_eq!(old.status, 403);
    assert!(old.text().contains("authn_too_old"), "{}", old.text());
    assert_eq!(awaiting.post(&world, &issued(0)).await.status, 303, "the control");
}

#[tokio::test]
async fn an_old_sign_in_serves_where_no_new_one_is_asked_for() {
    let mut world = world(false).await;
    let awaiting = Awaiting::start(&mut world, "/a").await;
    let mut spec = awaiting.spec(&world).sign(Sign::Both);
    spec.authn_instant -= Duration::HOUR;
    assert_eq!(awaiting.post(&world, &form(&spec.issue(world.idp.key()).xml)).await.status, 303);
}
