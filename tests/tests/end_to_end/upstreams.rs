//! Applications behind TLS: whom the gateway believes, and what it shows.

use std::net::SocketAddr;

use harness::gateway::{Gateway, GatewayBuilder};
use harness::raw::{self, RawResponse};
use harness::upstream::{Authority, Upstream};
use harness::world::World;
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};

use crate::support::samlgate;

/// A gateway whose upstream `app` is at this address, over TLS as `tls` says.
async fn world(address: SocketAddr, tls: Value, files: &[(&str, &str)]) -> World {
    World::start_with(samlgate(), |gateway| with(gateway, address, tls, files)).await
}

fn with(gateway: GatewayBuilder, address: SocketAddr, tls: Value, files: &[(&str, &str)]) -> GatewayBuilder {
    let gateway = gateway.set("upstreams.app.servers", json!([address.to_string()])).set("upstreams.app.tls", tls);
    files.iter().fold(gateway, |gateway, (name, content)| gateway.file(name, content))
}

async fn get(gateway: &Gateway, target: &str) -> RawResponse {
    raw::get(gateway.address(), gateway.authority(), target, &[]).await
}

/// The refusal's log line, once a request for a public page has ended in it.
async fn refused(world: &World) -> Value {
    let answer = get(&world.gateway, "/public/x").await;
    assert_eq!(
        (answer.status, answer.json()["code"].as_str()),
        (502, Some("upstream_unavailable")),
        "{}",
        answer.text()
    );
    world.gateway.logged("\"refusal.code\":\"upstream_unavailable\"").await;
    let said = |event: &&Value| event["refusal.code"] == "upstream_unavailable" && event.get("refusal.cure").is_some();
    world.gateway.log_events().iter().find(said).cloned().expect("the refusal was logged with its cure")
}

#[tokio::test]
async fn an_authority_of_ones_own_is_believed_for_names_and_addresses() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.issue(&["app.internal", "127.0.0.1"]).config(&[])).await;
    for tls in [json!({ "ca_file": "ca.pem", "server_name": "app.internal" }), json!({ "ca_file": "ca.pem" })] {
        let world = world(upstream.address(), tls, &[("ca.pem", &authority.pem())]).await;
        let answer = get(&world.gateway, "/public/x").await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(upstream.last_request().target, "/public/x");
    }
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_believed() {
    let upstream = Upstream::start_tls(Authority::new().issue(&["127.0.0.1"]).config(&[])).await;
    for (tls, files) in [
        (json!({ "ca_file": "ca.pem" }), vec![("ca.pem", Authority::new().pem())]),
        // Nothing behind the key is TLS all the same, with the authorities of the system.
        (Value::Null, vec![]),
        (json!({}), vec![]),
    ] {
        let files: Vec<(&str, &str)> = files.iter().map(|(name, content)| (*name, content.as_str())).collect();
        let world = world(upstream.address(), tls, &files).await;
        let event = refused(&world).await;
        assert!(event["refusal.cure"].as_str().unwrap().contains("ca_file"), "{event}");
        assert!(event["message"].as_str().unwrap().contains("issued by nobody whom we trust"), "{event}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn expired_certificates_are_refused() {
    let authority = Authority::new();
    let issued = authority.issue_until(&["127.0.0.1"], OffsetDateTime::now_utc() - Duration::hours(1));
    let upstream = Upstream::start_tls(issued.config(&[])).await;
    let world = world(upstream.address(), json!({ "ca_file": "ca.pem" }), &[("ca.pem", &authority.pem())]).await;
    let event = refused(&world).await;
    assert!(event["message"].as_str().unwrap().contains("has expired"), "{event}");
    assert!(event["refusal.cure"].as_str().unwrap().contains("renew"), "{event}");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn certificates_for_another_name_are_refused() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.issue(&["app.internal", "127.0.0.2"]).config(&[])).await;
    for tls in [json!({ "ca_file": "ca.pem" }), json!({ "ca_file": "ca.pem", "server_name": "other.internal" })] {
        let world = world(upstream.address(), tls, &[("ca.pem", &authority.pem())]).await;
        let event = refused(&world).await;
        assert!(event["message"].as_str().unwrap().contains("for another name"), "{event}");
        assert!(event["refusal.cure"].as_str().unwrap().contains("server_name"), "{event}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_us_gets_it() {
    let (authority, of_clients) = (Authority::new(), Authority::new());
    let server = authority.issue(&["127.0.0.1"]);
    let upstream = Upstream::start_tls(of_clients.wanted_by(&server, &[])).await;
    let (ours, strange) = (of_clients.issue(&["samlgate"]), Authority::new().issue(&["samlgate"]));
    let shown =
        json!({ "ca_file": "ca.pem", "client_certificate_file": "client.crt", "client_key_file": "client.key" });
    let ca = authority.pem();

    let files = [("ca.pem", ca.as_str()), ("client.crt", &ours.certificate), ("client.key", &ours.key)];
    let trusted = world(upstream.address(), shown.clone(), &files).await;
    assert_eq!(get(&trusted.gateway, "/public/x").await.status, 200);
    assert_eq!(upstream.take_requests().len(), 1);

    let files = [("ca.pem", ca.as_str()), ("client.crt", &strange.certificate), ("client.key", &strange.key)];
    for (tls, files) in [(shown, &files[..]), (json!({ "ca_file": "ca.pem" }), &files[..1])] {
        let world = world(upstream.address(), tls, files).await;
        let event = refused(&world).await;
        assert!(event["refusal.cure"].as_str().unwrap().contains("client_certificate_file"), "{event}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn upstreams_at_one_address_share_no_connection_that_only_one_believes() {
    let authority = Authority::new();
    let upstream = Upstream::start_tls(authority.issue(&["127.0.0.1"]).config(&[])).await;
    let world = World::start_with(samlgate(), |gateway| {
        let files = [("ca.pem", &*authority.pem()), ("other.pem", &*Authority::new().pem())];
        with(gateway, upstream.address(), json!({ "ca_file": "ca.pem" }), &files)
            .set(
                "upstreams.doubting",
                json!({ "servers": [upstream.address().to_string()], "tls": { "ca_file": "other.pem" } }),
            )
            .set("routes.0", json!({ "path": "/public/other", "access": "public", "upstream": "doubting" }))
            .set("routes.1", json!({ "path_prefix": "/public", "access": "public", "upstream": "app" }))
    })
    .await;
    assert_eq!(get(&world.gateway, "/public/x").await.status, 200);
    assert_eq!(get(&world.gateway, "/public/other").await.status, 502);
}

#[tokio::test]
async fn files_that_tls_cannot_use_keep_the_gateway_from_starting() {
    let authority = Authority::new();
    let (one, other) = (authority.issue(&["a"]), authority.issue(&["a"]));
    let ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (tls, files, said) in [
        (json!({ "ca_file": "ca.pem" }), vec![("ca.pem", ca)], "upstreams.app.tls.ca_file"),
        (
            json!({ "client_certificate_file": "a.crt", "client_key_file": "b.key" }),
            vec![("a.crt", one.certificate.as_str()), ("b.key", &other.key)],
            "do not fit together",
        ),
    ] {
        let gateway = with(GatewayBuilder::new(samlgate()), "127.0.0.1:1".parse().unwrap(), tls, &files);
        let idp =
            json!([{ "id": "x", "entity_id": "x", "sso_url": "https://x.example/", "certificate_file": "idp.pem" }]);
        let gateway = gateway.set("identity_providers", idp).file("idp.pem", &one.certificate);
        let failure = gateway.try_start().await.err().expect("it does not start");
        assert!(failure.output.contains(said), "{failure}");
        assert!(!failure.output.contains("panicked"), "{failure}");
    }
}
