//! What a route takes of a request, and the path that it makes of it.

use harness::gateway::GatewayBuilder;
use harness::raw::{self, Asked, RawConnection, RawResponse};
use harness::world::World;
use serde_json::{Value, json};

use crate::support::samlgate;

fn routes(gateway: GatewayBuilder) -> GatewayBuilder {
    let route = |path: &str, more: Value| {
        let mut route = json!({ "path_prefix": path, "access": "public", "upstream": "app" });
        route.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        route
    };
    gateway.set(
        "routes",
        json!([
            route("/strip/deep", json!({ "rewrite": { "strip_prefix": "/strip" } })),
            route("/move", json!({ "rewrite": { "strip_prefix": "/move", "add_prefix": "/to/here" } })),
            route("/add", json!({ "rewrite": { "add_prefix": "/before" } })),
            route("/small", json!({ "limits": { "max_body_bytes": 10 } })),
            route("/full", json!({ "id": "full", "limits": { "max_in_flight": 2 } })),
            route("/", json!({})),
        ]),
    )
}

async fn world() -> World {
    World::start_with(samlgate(), routes).await
}

async fn get(world: &World, target: &str, headers: &[&str]) -> RawResponse {
    raw::get(world.gateway.address(), world.gateway.authority(), target, headers).await
}

#[tokio::test]
async fn the_upstream_sees_the_path_that_the_route_makes() {
    let world = world().await;
    for (asked, seen, prefix) in [
        ("/strip/deep/a?b=/strip", "/deep/a?b=/strip", Some("/strip")),
        ("/strip/deep", "/deep", Some("/strip")),
        ("/strip/deep/%61%20b/", "/deep/%61%20b/", Some("/strip")),
        ("/move", "/to/here/", Some("/move")),
        ("/move/", "/to/here/", Some("/move")),
        ("/move?x", "/to/here/?x", Some("/move")),
        ("/move/a", "/to/here/a", Some("/move")),
        ("/add/a?", "/before/add/a?", None),
        ("/strip/a", "/strip/a", None),
    ] {
        let answer = get(&world, asked, &["X-Forwarded-Prefix: /evil"]).await;
        let request = world.upstream.last_request();
        assert_eq!((answer.status, request.target.as_str()), (200, seen), "{asked}");
        assert_eq!(request.all("X-Forwarded-Prefix"), prefix.into_iter().collect::<Vec<_>>(), "{asked}");
    }
    world.upstream.take_requests();
    for asked in
        ["/move/../move/x", "/move/..%2f..%2fx", "/move//x", "/move/%2e%2e/move/x", "/move/a;b", "/move/%252e%252e/"]
    {
        let answer = get(&world, asked, &[]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("path_ambiguous")), "{asked}");
    }
    assert!(world.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_does_not_arrive() {
    let world = world().await;
    let host = world.gateway.authority();
    let post = |framing: &str| format!("POST /small/x HTTP/1.1\r\nHost: {host}\r\n{framing}");
    for (request, status) in [
        (post("Content-Length: 10\r\n\r\n0123456789"), 200),
        (post("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), 200),
        // Refused by what it says: nothing of it is waited for.
        (post("Content-Length: 11\r\n\r\n"), 413),
        (post("Content-Length: 11\r\nExpect: 100-continue\r\n\r\n"), 413),
        (post("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n567890\r\n0\r\n\r\n"), 413),
    ] {
        let before = world.upstream.requests().len();
        let answer = raw::exchange(world.gateway.address(), &request).await;
        assert_eq!(answer.status, status, "{request}");
        if status == 413 {
            assert_eq!(answer.json()["code"], "body_too_large");
            assert_eq!(answer.header("Connection").as_deref(), Some("close"));
            assert_eq!(world.upstream.requests().len(), before, "{request}");
        }
    }
}

#[tokio::test]
async fn a_route_that_is_full_says_so_and_others_go_on() {
    let world = world().await;
    let (address, host) = (world.gateway.address(), world.gateway.authority());
    let mut held = Vec::new();
    for arrived in 1..=2 {
        let mut connection = RawConnection::open(address).await.unwrap();
        connection.send(format!("GET /full/hold HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
        held.push(connection);
        world.upstream.arrived(arrived).await;
    }
    for _ in 0..2 {
        let answer = get(&world, "/full/x", &[]).await;
        assert_eq!((answer.status, answer.header("Retry-After").as_deref()), (503, Some("5")));
        assert_eq!(answer.json()["code"], "route_full");
        // Who is under way counts on under other settings.
        world.gateway.change_settings(|settings| settings["routes"][0]["methods"] = json!(["GET"]));
        assert!(world.gateway.reload().await);
    }
    assert_eq!(get(&world, "/x", &[]).await.status, 200);
    // One ends well, the other goes away.
    world.upstream.release();
    let ended = held[0].response(Asked::Other).await.unwrap().map(|answer| answer.status);
    drop(held);
    world.upstream.release();
    assert_eq!(ended, Some(200));
    world.gateway.metric_reaches("samlgate_http_requests_total", &[("route", "full"), ("code", "2xx")], 1.0).await;
    for _ in 0..3 {
        assert_eq!(get(&world, "/full/x", &[]).await.status, 200);
    }
}
