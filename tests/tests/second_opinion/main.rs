//! The run-time second opinion: samlgate built with `second-opinion`, and switched on. Run by `tests/oracle/run`.

#[path = "../end_to_end/support.rs"]
#[allow(dead_code, reason = "shared with the end-to-end tests, which use all of it")]
mod support;

use harness::gateway::GatewayBuilder;
use harness::raw::RawResponse;
use harness::world::World;
use serde_json::json;

use support::{Awaiting, SESSION, refused_logins, samlgate};

const METRIC: &str = "samlgate_second_opinion_total";

fn switched_on(gateway: GatewayBuilder) -> GatewayBuilder {
    gateway.set("second_opinion", json!(true))
}

async fn judged(world: &World, result: &str) -> f64 {
    world.gateway.metric(METRIC, &[("result", result)]).await
}

#[tokio::test]
async fn logins_that_both_verifiers_accept_are_sessions() {
    let mut world = World::start_with(samlgate(), switched_on).await;
    assert_eq!(world.sign_in("ada", "/one").await.page().status, 200);
    // More at a time than the pool has lanes: several threads use the C libraries.
    let mut waiting = Vec::new();
    for number in 0..8 {
        waiting.push(Awaiting::start(&mut world, &format!("/{number}")).await);
    }
    let answers = waiting.iter().map(|awaiting| async {
        let body = awaiting.spec(&world).issue(world.idp.key()).form_body(None);
        awaiting.post(&world, &body).await
    });
    for answer in futures_util::future::join_all(answers).await {
        assert!(answer.header("set-cookie").is_some_and(|cookie| cookie.starts_with(SESSION)), "{}", answer.text());
    }
    assert_eq!(judged(&world, "agrees").await, 9.0);
}

/// samael takes an ID for none if it is no NCName; real IdPs begin one with a digit. saml-core looks nothing up by
/// ID, and so need not mind. It stands for whatever the two may come to differ on.
#[tokio::test]
async fn a_login_on_which_the_verifiers_differ_is_refused_with_an_alarm() {
    let mut world = World::start(samlgate()).await;
    let (control, _) = digits_login(&mut world).await;
    assert!(control.header("set-cookie").is_some_and(|cookie| cookie.starts_with(SESSION)), "the control is accepted");

    let mut world = World::start_with(samlgate(), switched_on).await;
    let (refused, again) = digits_login(&mut world).await;
    assert_eq!(refused.status, 403, "{}", refused.text());
    assert!(refused.header("set-cookie").is_none_or(|cookie| !cookie.starts_with(&format!("{SESSION}="))));
    assert_eq!(refused_logins(&world, "second_opinion_differs").await, 1.0);
    let alarm = world.gateway.logged("the second verifier differs").await;
    assert!(alarm.contains("ERROR") && !alarm.contains("ada@"), "{alarm}");
    assert_eq!(again.status, 303, "the response is used up and not judged again");
    assert_eq!(judged(&world, "differs").await, 1.0);
}

/// A login whose IDs begin with a digit, posted twice.
async fn digits_login(world: &mut World) -> (RawResponse, RawResponse) {
    let awaiting = Awaiting::start(world, "/deep").await;
    let mut spec = awaiting.spec(world);
    spec.response_id = Some("0f3c0de5".to_owned());
    spec.assertion_id = Some("1f3c0de5".to_owned());
    let body = spec.issue(world.idp.key()).form_body(None);
    (awaiting.post(world, &body).await, awaiting.post(world, &body).await)
}
