//! Settings that are read again: whole or not at all, and nobody notices but whom they concern.

use std::time::Duration;

use futures_util::future::join_all;
use harness::gateway::{Gateway, GatewayBuilder};
use harness::raw;
use harness::upstream::Upstream;
use harness::world::World;
use serde_json::{Value, json};

use crate::support::{samlgate, session_cookie};

fn close_public(settings: &mut Value) {
    settings["routes"][0]["access"] = json!("signed_in");
}

async fn status(gateway: &Gateway, path: &str, headers: &[&str]) -> u16 {
    raw::get(gateway.address(), gateway.authority(), path, headers).await.status
}

#[tokio::test]
async fn other_settings_hold_from_sighup_on_and_sessions_go_on() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    let gateway = &world.gateway;
    assert_eq!(status(gateway, "/public/x", &[]).await, 200);
    gateway.change_settings(close_public);
    assert_eq!(status(gateway, "/public/x", &[]).await, 200, "nobody said so yet");
    assert!(gateway.reload().await);
    assert_eq!(status(gateway, "/public/x", &[]).await, 401);
    assert_eq!(status(gateway, "/public/x", &[&cookie]).await, 200);
    assert_eq!(world.upstream.last_request().one("X-Forwarded-Email"), Some("ada@demo.example"));
    gateway.logged("settings are read again (SIGHUP)").await;
}

#[tokio::test]
async fn a_file_that_changes_is_read_without_being_told() {
    let world = World::start(samlgate()).await;
    world.gateway.change_settings(close_public);
    world.gateway.metric_reaches("samlgate_reloads_total", &[("result", "applied")], 1.0).await;
    assert_eq!(status(&world.gateway, "/public/x", &[]).await, 401);
    world.gateway.logged("settings are read again (a file changed)").await;
    // Something that the settings name.
    let certificate = world.gateway.config_file().with_file_name("certificate.pem");
    let text = std::fs::read_to_string(&certificate).unwrap();
    std::fs::write(&certificate, format!("{text}\n")).unwrap();
    world.gateway.metric_reaches("samlgate_reloads_total", &[("result", "applied")], 2.0).await;
}

#[tokio::test]
async fn settings_with_a_mistake_are_refused_whole_and_told() {
    let world = World::start(samlgate()).await;
    for (change, told) in [
        ((|settings| settings["routes"][1]["upstream"] = json!("nowhere")) as fn(&mut Value), "is no upstream"),
        (|settings| settings["listen"] = json!("127.0.0.1:1"), "listen: read at the start alone"),
        (|settings| settings["session"] = json!({ "max_age": "1h" }), "session: read at the start alone"),
        (|settings| settings["prefix"] = json!("/sso"), "prefix"),
    ] {
        let before = std::fs::read_to_string(world.gateway.config_file()).unwrap();
        world.gateway.change_settings(close_public);
        world.gateway.change_settings(change);
        assert!(!world.gateway.reload().await, "{told}");
        world.gateway.logged(told).await;
        assert_eq!(status(&world.gateway, "/public/x", &[]).await, 200, "nothing of it holds");
        std::fs::write(world.gateway.config_file(), before).unwrap();
    }
    assert!(world.gateway.reload().await);
}

#[tokio::test]
async fn no_request_fails_while_settings_are_read() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    let asking = join_all((0..4).map(|_| async {
        let end = std::time::Instant::now() + Duration::from_secs(3);
        let mut count = 0;
        while std::time::Instant::now() < end {
            assert_eq!(status(&world.gateway, "/page", &[&cookie]).await, 200);
            count += 1;
        }
        count
    }));
    let reloading = async {
        for round in 0..10 {
            world.gateway.change_settings(|settings| {
                settings["routes"][1]["access"]["groups"] = json!([format!("group-{round}")]);
                settings["limits"] = if round % 5 == 4 { json!("nonsense") } else { json!({ "logins": 1000 + round }) };
            });
            assert_eq!(world.gateway.reload().await, round % 5 != 4);
        }
    };
    let (counts, ()) = tokio::join!(asking, reloading);
    assert!(counts.iter().sum::<usize>() > 100, "{counts:?}");
}

#[tokio::test]
async fn a_certificate_is_replaced_and_one_that_does_not_fit_is_not() {
    let certificate = |name: &str| {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), name.to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    };
    let (first, second) = (certificate("first.example"), certificate("second.example"));
    let builder = GatewayBuilder::new(samlgate());
    let origin = format!("https://localhost:{}", builder.listen().port());
    let world = World::start_with(samlgate(), |gateway| gateway).await;
    let upstream = Upstream::start().await;
    let gateway = builder
        .set("public_url", json!(origin))
        .trust(&world.idp)
        .protect(&upstream)
        .file("tls.crt", &first.0)
        .file("tls.key", &first.1)
        .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
        .start()
        .await;
    let client = |pem: &str| {
        let authorities = reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).tls_certs_only(authorities).build().unwrap()
    };
    let get = async |client: &reqwest::Client| client.get(format!("{origin}/public/x")).send().await;
    let lasting = client(&first.0);
    assert_eq!(get(&lasting).await.unwrap().status(), 200);

    let folder = gateway.config_file().parent().unwrap();
    // The key of another certificate: both stay as they were.
    std::fs::write(folder.join("tls.crt"), &second.0).unwrap();
    assert!(!gateway.reload().await);
    gateway.logged("do not fit together").await;
    assert_eq!(get(&client(&first.0)).await.unwrap().status(), 200);

    std::fs::write(folder.join("tls.key"), &second.1).unwrap();
    assert!(gateway.reload().await);
    assert_eq!(get(&client(&second.0)).await.unwrap().status(), 200);
    assert!(get(&client(&first.0)).await.is_err(), "new connections get the new one");
    assert!(gateway.metric("samlgate_certificate_not_after_timestamp_seconds", &[("use", "tls")]).await > 0.0);
}
