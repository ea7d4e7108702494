//! The audit log: every event, and nothing that is nobody's business.

use std::collections::BTreeSet;
use std::path::PathBuf;

use harness::gateway::Gateway;
use harness::idp::Misbehaviour;
use harness::raw;
use harness::world::World;
use serde_json::{Value, json};

use crate::support::{samlgate, session_cookie, sign_out};

async fn world(identity: &str) -> World {
    World::start_with(samlgate(), |gateway| {
        gateway
            .set("audit", json!({ "file": "audit.jsonl", "identity": identity }))
            .set("control_socket", json!("control.sock"))
    })
    .await
}

fn file(gateway: &Gateway) -> PathBuf {
    gateway.config_file().with_file_name("audit.jsonl")
}

/// All that happened, with the events in order.
async fn through_everything(identity: &str) -> (World, Vec<Value>) {
    let mut world = world(identity).await;
    world.sign_in("ben", "/x?secret=in-the-query").await;
    let ben = session_cookie(&world.browser);
    let cookie = format!("Cookie: {ben}");
    let denied = raw::get(world.gateway.address(), world.gateway.authority(), "/admin/canary-path", &[&cookie]).await;
    assert_eq!(denied.status, 403);
    sign_out(&world, &ben).await;
    world.idp.misbehave([Misbehaviour::SignByStranger]);
    world.browser = harness::browser::Browser::new();
    let mut tab = world.at_idp("/x").await;
    world.idp.sign_in(&mut tab, "ben").await;
    tab.auto_submit().await;
    world.idp.misbehave([]);
    world.browser = harness::browser::Browser::new();
    world.sign_in("ada", "/x").await;
    let config = world.gateway.config_file().to_str().unwrap().to_owned();
    let arguments = ["sessions", "revoke", "--config", &config, "--email", "ada@demo.example"];
    let revoked = samlgate().command(arguments).output().await.unwrap();
    assert!(revoked.status.success(), "{}", String::from_utf8_lossy(&revoked.stderr));
    world.gateway.change_settings(|settings| settings["routes"][0]["upstream"] = json!("nowhere"));
    assert!(!world.gateway.reload().await);
    world.gateway.change_settings(|settings| settings["routes"][0]["upstream"] = json!("app"));
    assert!(world.gateway.reload().await);
    let file = file(&world.gateway);
    world.gateway.stop().await;
    let text = std::fs::read_to_string(file).unwrap();
    let events = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (world, events)
}

#[tokio::test]
async fn every_event_is_there_with_its_fields() {
    let (world, events) = through_everything("hash").await;
    let kinds: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "started",
            "login",
            "access_denied",
            "logout",
            "login_refused",
            "login",
            "session_revoked",
            "revocation",
            "settings_refused",
            "settings_taken",
            "ended"
        ]
    );
    let of = |kind: &str| events.iter().find(|event| event["event"] == kind).unwrap();
    let login = of("login");
    assert_eq!((&login["idp"], &login["client"]), (&json!("jumpcloud"), &json!("127.0.0.1")));
    assert!(login["assertion"].as_str().unwrap().len() > 8 && login["certificate"].as_str().unwrap().len() > 40);
    assert_eq!(of("access_denied")["code"], "not_in_allowed_group");
    assert_eq!(of("access_denied")["session"], login["session"]);
    assert_eq!(of("logout")["user"], login["user"]);
    assert_eq!(of("login_refused")["code"], "signed_by_unknown_key");
    assert_eq!((&of("revocation")["target"], &of("revocation")["ended"]), (&json!("email"), &json!(1)));
    assert_ne!(of("session_revoked")["user"], login["user"]);
    world.gateway.logged(login["user"].as_str().unwrap()).await;

    let page = include_str!("../../../docs/audit.md");
    let names: BTreeSet<&str> =
        events.iter().flat_map(|event| event.as_object().unwrap().keys()).map(String::as_str).collect();
    for name in names.into_iter().chain(kinds) {
        assert!(page.contains(&format!("`{name}`")), "docs/audit.md does not explain {name}");
    }
}

#[tokio::test]
async fn no_canary_is_in_it_or_in_the_log() {
    let (world, events) = through_everything("hash").await;
    let log = world.gateway.log().join("\n");
    let audit = serde_json::to_string(&events).unwrap();
    for canary in [
        "@demo.example",
        "5f1e0000000000000000",
        "in-the-query",
        "SAMLResponse",
        "RelayState",
        "__Host-samlgate",
        "<saml",
        "PHNhbW",
    ] {
        assert!(!audit.contains(canary), "the audit log has {canary}");
        assert!(!log.contains(canary), "the log has {canary}");
    }
    // A path is in the access log, and nowhere else.
    assert!(!audit.contains("canary-path") && log.contains("canary-path"));
}

#[tokio::test]
async fn persons_are_clear_where_the_settings_say_so() {
    let (_, events) = through_everything("clear").await;
    let login = events.iter().find(|event| event["event"] == "login").unwrap();
    assert_eq!(login["email"], "ben@demo.example");
    assert_eq!(login["unique_id"], "5f1e0000000000000000be02");
}
