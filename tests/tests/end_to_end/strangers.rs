//! What strangers may cost: heads that are slow or too large, and logins by the thousand.

use std::time::{Duration, Instant};

use harness::raw::{self, Asked, RawConnection};
use harness::world::World;
use serde_json::json;

use crate::support::{form, samlgate, session_cookie};

/// Longer than any head may take, and the minute that Pingora gives one read.
const TOO_LONG: Duration = Duration::from_secs(90);

#[tokio::test]
async fn a_head_that_trickles_in_is_cut_off() {
    let world = World::start(samlgate()).await;
    let mut slow = RawConnection::open(world.gateway.address()).await.unwrap();
    slow.send("GET /public HTTP/1.1\r\n").await.unwrap();
    let start = Instant::now();
    while slow.send("X-A: b\r\n").await.is_ok() {
        assert!(start.elapsed() < TOO_LONG, "it is still read");
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    assert!(start.elapsed() > Duration::from_secs(60), "{:?}", start.elapsed());
    world.gateway.metric_reaches("samlgate_late_heads_total", &[], 1.0).await;
    assert!(world.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_request_that_lasts_is_no_late_head() {
    let world = World::start(samlgate()).await;
    let mut connection = RawConnection::open(world.gateway.address()).await.unwrap();
    for _ in 0..2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let request = format!("GET /public/slow?ms=1500 HTTP/1.1\r\nHost: {}\r\n\r\n", world.gateway.authority());
        connection.send(request).await.unwrap();
        assert_eq!(connection.response(Asked::Other).await.unwrap().unwrap().status, 200);
    }
    assert_eq!(world.gateway.metric("samlgate_late_heads_total", &[]).await, 0.0);
}

#[tokio::test]
async fn a_head_may_have_64_kib() {
    let world = World::start(samlgate()).await;
    for (bytes, status) in [(60 * 1024, 200), (70 * 1024, 431)] {
        let long = format!("X-Long: {}", "a".repeat(bytes));
        let answer =
            raw::get(world.gateway.address(), world.gateway.authority(), "/public", &[&long, "Accept: */*"]).await;
        assert_eq!(answer.status, status, "{}", answer.text());
        if status == 431 {
            assert_eq!(answer.json()["code"], "head_too_large");
        }
    }
}

#[tokio::test]
async fn logins_are_limited_and_sessions_go_on() {
    let limits = json!({ "logins_per_address": 3, "logins": 5 });
    let world = World::start_with(samlgate(), |gateway| {
        gateway.set("limits", limits).set("trusted_proxies", json!(["127.0.0.1"]))
    })
    .await;
    world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    let start = async |client: &str| {
        let client = format!("X-Forwarded-For: {client}");
        raw::get(world.gateway.address(), world.gateway.authority(), "/saml/start/jumpcloud", &[&client]).await
    };
    let mut statuses = Vec::new();
    for client in ["192.0.2.1"; 5].iter().chain(&["192.0.2.2"; 3]) {
        statuses.push(start(client).await.status);
    }
    // One was begun above.
    assert_eq!(statuses, [302, 302, 302, 429, 429, 302, 429, 429]);
    let refused = start("192.0.2.1").await;
    assert_eq!(refused.header("Retry-After").as_deref(), Some("10"));
    let post = async || {
        let body = form("no XML");
        let request = format!(
            "POST /saml/acs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            world.gateway.authority(),
            body.len()
        );
        raw::exchange(world.gateway.address(), request).await.status
    };
    // One came above.
    assert_eq!([post().await, post().await, post().await], [403, 403, 429]);
    let page = raw::get(world.gateway.address(), world.gateway.authority(), "/page", &[&cookie]).await;
    assert_eq!(page.status, 200);
}
