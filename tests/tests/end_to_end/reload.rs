//! Settings that are read again: whole or not at all, and nobody notices but whom they concern.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use harness::gateway::{Gateway, GatewayBuilder};
use harness::raw;
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

/// A certificate for localhost with its key.
struct Pair {
    certificate: String,
    key: String,
}

impl Pair {
    fn make(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), name.to_owned()]).unwrap();
        Self { certificate: made.cert.pem(), key: made.signing_key.serialize_pem() }
    }
}

/// A gateway behind TLS.
struct Tls {
    gateway: Gateway,
    origin: String,
    _world: World,
}

impl Tls {
    async fn start(pair: &Pair) -> Self {
        let builder = GatewayBuilder::new(samlgate());
        let origin = format!("https://localhost:{}", builder.listen().port());
        let world = World::start(samlgate()).await;
        let gateway = builder
            .set("public_url", json!(origin))
            .trust(&world.idp)
            .protect(&world.upstream)
            .file("tls.crt", &pair.certificate)
            .file("tls.key", &pair.key)
            .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
            .start()
            .await;
        Self { gateway, origin, _world: world }
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.gateway.config_file().parent().unwrap().join(name), text).unwrap();
    }

    async fn get(&self, client: &reqwest::Client) -> reqwest::Result<reqwest::Response> {
        client.get(format!("{}/public/x", self.origin)).send().await
    }
}

/// One that trusts these alone; `idle` connections are kept open.
fn trusting(pairs: &[&Pair], idle: usize) -> reqwest::Client {
    let authorities = pairs.iter().map(|pair| reqwest::Certificate::from_pem(pair.certificate.as_bytes()).unwrap());
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(idle).tls_certs_only(authorities).build().unwrap()
}

#[tokio::test]
async fn a_certificate_is_replaced_and_one_that_does_not_fit_is_not() {
    let (first, second) = (Pair::make("first.example"), Pair::make("second.example"));
    let tls = Tls::start(&first).await;
    let lasting = trusting(&[&first], 0);
    assert_eq!(tls.get(&lasting).await.unwrap().status(), 200);

    // The key of another certificate: both stay as they were.
    tls.write("tls.crt", &second.certificate);
    assert!(!tls.gateway.reload().await);
    tls.gateway.logged("do not fit together").await;
    assert_eq!(tls.get(&trusting(&[&first], 0)).await.unwrap().status(), 200);

    tls.write("tls.key", &second.key);
    assert!(tls.gateway.reload().await);
    assert_eq!(tls.get(&trusting(&[&second], 0)).await.unwrap().status(), 200);
    assert!(tls.get(&trusting(&[&first], 0)).await.is_err(), "new connections get the new one");
    assert!(tls.gateway.metric("samlgate_certificate_not_after_timestamp_seconds", &[("use", "tls")]).await > 0.0);
}

#[tokio::test]
async fn no_request_fails_while_certificates_are_replaced() {
    let pairs = [Pair::make("first.example"), Pair::make("second.example")];
    let tls = Tls::start(&pairs[0]).await;
    let all = [&pairs[0], &pairs[1]];
    let is_over = AtomicBool::new(false);
    let ask = async |client: reqwest::Client| {
        let mut asked = 0;
        while !is_over.load(Ordering::Relaxed) {
            let answer = tls.get(&client).await.unwrap();
            assert_eq!((answer.status(), answer.version()), (reqwest::StatusCode::OK, reqwest::Version::HTTP_2));
            asked += 1;
        }
        asked
    };
    let replace = async {
        for turn in 1..=6 {
            let pair = &pairs[turn % 2];
            tls.write("tls.crt", &pair.certificate);
            tls.write("tls.key", &pair.key);
            assert!(tls.gateway.reload().await);
            assert_eq!(tls.get(&trusting(&[pair], 0)).await.unwrap().status(), 200);
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (kept, fresh, again, ()) =
        tokio::join!(ask(trusting(&all, 1)), ask(trusting(&all, 0)), ask(trusting(&all, 0)), replace);
    assert!(kept > 20 && fresh + again > 20, "{kept} {fresh} {again}");
}
