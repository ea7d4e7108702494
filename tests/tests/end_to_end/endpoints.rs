//! What lies under the prefix, and the admin listener.

use harness::raw;
use harness::world::World;

use crate::support::{samlgate, session_cookie};

#[tokio::test]
async fn userinfo_says_who_i_am() {
    let world = World::start(samlgate()).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.gateway.url("/saml/userinfo")).await;
    assert_eq!((tab.page().status, tab.page().json()["code"].as_str()), (401, Some("login_required")));
    let mut tab = world.sign_in("ada", "/").await;
    let info = tab.visit(&world.gateway.url("/saml/userinfo")).await.json();
    assert_eq!(info["email"], "ada@demo.example");
    assert_eq!(info["user"], "5f1e0000000000000000ada1");
    assert_eq!(info["idp"], "jumpcloud");
    assert_eq!(info["groups"], serde_json::json!(["admins", "engineers"]));
}

#[tokio::test]
async fn metadata_names_our_entity_and_acs() {
    let world = World::start(samlgate()).await;
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/saml/metadata", &[]).await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/samlmetadata+xml"));
    assert!(answer.text().contains(&format!("entityID=\"{}\"", world.gateway.url("/saml/metadata"))));
    assert!(answer.text().contains(&format!("Location=\"{}\"", world.gateway.url("/saml/acs"))));
}

#[tokio::test]
async fn our_pages_are_never_kept_framed_or_scripted_from_elsewhere() {
    let world = World::start(samlgate()).await;
    for path in ["/saml/login", "/saml/logout", "/saml/nothing", "/saml/resume"] {
        let answer = raw::get(
            world.gateway.address(),
            world.gateway.authority(),
            path,
            &["Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"],
        )
        .await;
        assert_eq!(answer.header("x-samlgate").as_deref(), Some("1"), "{path}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"), "{path}");
        if (300..400).contains(&answer.status) {
            continue;
        }
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("script-src 'self'"), "{path}: {policy}");
        assert!(!policy.contains("unsafe-inline"), "{path}");
        assert_eq!(policy.contains("form-action"), path != "/saml/logout", "{path}: {policy}");
        let text = answer.text();
        assert!(!text.contains("<script>") && !text.contains("style=\"") && !text.contains("onclick"), "{path}");
    }
}

#[tokio::test]
async fn wrong_methods_are_told_the_right_one() {
    let world = World::start(samlgate()).await;
    for (method, path) in
        [("GET", "/saml/acs"), ("POST", "/saml/login"), ("DELETE", "/saml/logout"), ("POST", "/saml/start/jumpcloud")]
    {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            world.gateway.authority()
        );
        let answer = raw::exchange(world.gateway.address(), request).await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert!(answer.header("allow").is_some());
    }
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/saml/start/nobody", &[]).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("unknown_identity_provider"));
}

#[tokio::test]
async fn a_prefetch_or_a_head_starts_no_login() {
    let world = World::start(samlgate()).await;
    for (method, header) in
        [("HEAD", "Accept: text/html"), ("GET", "Sec-Purpose: prefetch"), ("GET", "Purpose: prefetch")]
    {
        let request = format!(
            "{method} /saml/start/jumpcloud HTTP/1.1\r\nHost: {}\r\n{header}\r\nConnection: close\r\n\r\n",
            world.gateway.authority()
        );
        let mut connection = raw::RawConnection::open(world.gateway.address()).await.unwrap();
        connection.send(request).await.unwrap();
        let asked = if method == "HEAD" { raw::Asked::Head } else { raw::Asked::Other };
        let answer = connection.response(asked).await.unwrap().unwrap();
        assert!(answer.header("set-cookie").is_none(), "{method} {header}");
        assert!(
            !answer.header("location").is_some_and(|location| location.contains("SAMLRequest")),
            "{method} {header}"
        );
    }
}

#[tokio::test]
async fn the_admin_listener_serves_health_and_metrics_and_nothing_else() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    assert_eq!(world.gateway.admin_get("/healthz").await.0, 200);
    assert_eq!(world.gateway.admin_get("/readyz").await.0, 200);
    for path in ["/", "/saml/login", "/metrics/x", "/x"] {
        assert_eq!(world.gateway.admin_get(path).await.0, 404, "{path}");
    }
    let metrics = world.gateway.metrics().await;
    for name in [
        "samlgate_build_info",
        "samlgate_logins_total",
        "samlgate_http_requests_total",
        "samlgate_auth_decisions_total",
        "samlgate_saml_verify_duration_seconds",
        "samlgate_sessions_active",
        "samlgate_certificate_not_after_timestamp_seconds",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    for personal in ["ada", "5f1e0000000000000000ada1", "demo.example"] {
        assert!(!metrics.contains(personal), "{personal}");
    }
    let accepted = world.gateway.metric("samlgate_logins_total", &[("idp", "jumpcloud"), ("result", "accepted")]).await;
    assert_eq!(accepted, 1.0);
    for path in ["/metrics", "/healthz", "/readyz"] {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &[]).await;
        assert_eq!(answer.status, 401, "{path} of the public listener is a path like any other");
    }
}

#[tokio::test]
async fn no_secret_and_no_name_stands_in_the_log() {
    let world =
        World::start_with(samlgate(), |gateway| gateway.set("log", serde_json::json!({ "level": "debug" }))).await;
    let mut tab = world.sign_in("ada", "/canary?secret=query-canary").await;
    let session = session_cookie(&world.browser);
    let binding = world.browser.cookie("localhost", crate::support::BINDING).map(|cookie| cookie.value);
    world.idp.change(|idp| idp.sign = Sign::Assertion);
    tab.visit(&world.gateway.url("/saml/start/jumpcloud")).await;
    tab.auto_submit().await;
    world.gateway.logged("response_not_signed").await;
    let posted = world.browser.log().into_iter().filter(|exchange| exchange.url.path() == "/saml/acs").count();
    assert_eq!(posted, 2);
    let ticket = session.split_once('=').unwrap().1.to_owned();
    let log = world.gateway.log().join("\n");
    let mut canaries = vec![
        "ada@demo.example".to_owned(),
        "5f1e0000000000000000ada1".to_owned(),
        "query-canary".to_owned(),
        ticket,
        "SAMLResponse".to_owned(),
        "PHNhbWxwOl".to_owned(),
        "Lovelace".to_owned(),
    ];
    canaries.extend(binding);
    for canary in canaries {
        assert!(!log.contains(&canary), "{canary} stands in the log");
    }
    for line in world.gateway.log() {
        let event: serde_json::Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(event.is_object());
    }
}

use harness::issuer::Sign;
