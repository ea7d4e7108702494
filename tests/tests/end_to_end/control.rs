//! The control API and `samlgate sessions`, as the real program asks the gateway that runs.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::Output;

use harness::browser::Browser;
use harness::gateway::GatewayBuilder;
use harness::raw;
use harness::world::World;
use reqwest::{Client, Method, Response};
use serde_json::{Value, json};

use crate::support::{SESSION, samlgate, session_cookie};

const ADA: &str = "5f1e0000000000000000ada1";
const BEN: &str = "5f1e0000000000000000be02";

async fn world() -> World {
    World::start_with(samlgate(), |gateway| gateway.set("control_socket", json!("control.sock"))).await
}

fn socket(world: &World) -> PathBuf {
    world.gateway.config_file().with_file_name("control.sock")
}

/// Another browser, of whoever.
async fn sign_in(world: &mut World, username: &str) -> Browser {
    world.browser = Browser::new();
    world.sign_in(username, "/a").await;
    world.browser.clone()
}

/// What its next request comes to: the application, or the way to login.
async fn goes_on(world: &World, browser: &Browser) -> bool {
    let cookie = format!("Cookie: {}", session_cookie(browser));
    let page = ["Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", &cookie];
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/a", &page).await;
    let location = answer.header("location").unwrap_or_default();
    match answer.status {
        200 => true,
        302 if location.contains("/saml/login?rd=") => false,
        other => panic!("{other} {location}: {}", answer.text()),
    }
}

async fn sessions(world: &World, arguments: &[&str]) -> Output {
    let config = world.gateway.config_file().to_str().unwrap();
    let (command, rest) = arguments.split_first().unwrap();
    let arguments = [&["sessions", command, "--config", config], rest].concat();
    samlgate().command(arguments).output().await.unwrap()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

async fn done(world: &World, arguments: &[&str]) -> String {
    let output = sessions(world, arguments).await;
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output));
    String::from_utf8(output.stdout).unwrap()
}

async fn listed(world: &World, arguments: &[&str]) -> Value {
    let arguments = [&["list", "--json"], arguments].concat();
    serde_json::from_str(&done(world, &arguments).await).unwrap()
}

async fn ask(world: &World, method: Method, path: &str, body: impl Into<reqwest::Body>) -> Response {
    let client = Client::builder().unix_socket(socket(world)).build().unwrap();
    client.request(method, format!("http://samlgate{path}")).body(body).send().await.unwrap()
}

#[tokio::test]
async fn the_list_says_who_is_signed_in_and_shows_no_ticket() {
    let mut world = world().await;
    let ada = sign_in(&mut world, "ada").await;
    let ben = sign_in(&mut world, "ben").await;
    let list = listed(&world, &[]).await;
    assert_eq!((list["more"].as_bool(), list["sessions"].as_array().map(Vec::len)), (Some(false), Some(2)), "{list}");
    let (newest, oldest) = (&list["sessions"][0], &list["sessions"][1]);
    assert_eq!((newest["user"].as_str(), newest["email"].as_str()), (Some(BEN), Some("ben@demo.example")));
    assert_eq!((oldest["user"].as_str(), oldest["email"].as_str()), (Some(ADA), Some("ada@demo.example")));
    assert_eq!(oldest["idp"], "jumpcloud");
    assert_eq!(oldest["groups"], json!(["admins", "engineers"]));
    let time = |name: &str| oldest[name].as_str().unwrap().to_owned();
    assert!(time("created") <= time("last_seen") && time("last_seen") < time("expires"), "{oldest}");
    assert!(time("expires").ends_with('Z'));

    let named = world.gateway.log_events();
    let is_in_log =
        |name: &str, value: &Value| named.iter().any(|event| event.to_string().contains(&format!("{name}\":{value}")));
    assert!(is_in_log("session.ref", &oldest["session"]) && is_in_log("user.ref", &oldest["user_ref"]), "{named:?}");

    let texts = [list.to_string(), done(&world, &["list"]).await];
    for browser in [&ada, &ben] {
        let ticket = browser.cookie("localhost", SESSION).unwrap().value;
        assert!(texts.iter().all(|text| !text.contains(&ticket)));
    }
    let lines: Vec<_> = texts[1].lines().collect();
    assert!(lines.len() == 4 && lines[0].starts_with("SESSION ") && lines[3] == "2 sessions", "{}", texts[1]);

    for (arguments, users) in [
        (&["--user", ADA][..], &[ADA][..]),
        (&["--user", ADA, "--idp", "jumpcloud"], &[ADA]),
        (&["--email", "BEN@demo.example"], &[BEN]),
        (&["--group", "engineers"], &[BEN, ADA]),
        (&["--group", "admins", "--idp", "jumpcloud"], &[ADA]),
        (&["--user", "nobody"], &[]),
    ] {
        let list = listed(&world, arguments).await;
        let found: Vec<_> =
            list["sessions"].as_array().unwrap().iter().map(|session| session["user"].as_str().unwrap()).collect();
        assert_eq!(found, users, "{arguments:?}");
    }
    let cut = done(&world, &["list", "--limit", "1"]).await;
    assert!(cut.ends_with("1 session, more are not shown: --limit\n"), "{cut}");
}

#[tokio::test]
async fn each_selector_ends_its_sessions_and_no_others() {
    let mut world = world().await;
    let by_session = async |world: &World, name: &str| {
        listed(world, &["--user", ADA]).await["sessions"][0][name].as_str().unwrap().to_owned()
    };
    let mut ada = sign_in(&mut world, "ada").await;
    let ben = sign_in(&mut world, "ben").await;
    for round in ["session", "key", "user", "user and idp", "email", "group"] {
        let name = match round {
            "session" | "key" => by_session(&world, round).await,
            _ => String::new(),
        };
        let selector: &[&str] = match round {
            "session" | "key" => &["--session", &name],
            "user" => &["--user", ADA],
            "user and idp" => &["--user", ADA, "--idp", "jumpcloud"],
            "email" => &["--email", "Ada@Demo.Example"],
            _ => &["--group", "admins"],
        };
        assert!(goes_on(&world, &ada).await, "{round}");
        let said = done(&world, &[&["revoke"], selector].concat()).await;
        assert_eq!(said, "done: 1 session ended\n", "{round}");
        assert!(!goes_on(&world, &ada).await, "{round}");
        assert!(goes_on(&world, &ben).await, "{round}: another user");
        assert_eq!(listed(&world, &["--user", ADA]).await["sessions"], json!([]));
        // Who signs in again is signed in.
        ada = sign_in(&mut world, "ada").await;
    }

    let said = done(&world, &["revoke", "--group", "engineers", "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), json!({ "effect": "done", "ended": 2 }));
    assert!(!goes_on(&world, &ada).await && !goes_on(&world, &ben).await);
    let again = [sign_in(&mut world, "ada").await, sign_in(&mut world, "ben").await];
    assert_eq!(done(&world, &["revoke", "--all", "--yes"]).await, "done: 2 sessions ended\n");
    for browser in &again {
        assert!(!goes_on(&world, browser).await);
    }
    assert_eq!(done(&world, &["list"]).await, "0 sessions\n");
    let ada = sign_in(&mut world, "ada").await;
    assert!(goes_on(&world, &ada).await);
}

#[tokio::test]
async fn the_log_says_what_was_revoked_and_names_nobody() {
    let mut world = world().await;
    sign_in(&mut world, "ada").await;
    let session = listed(&world, &[]).await["sessions"][0].clone();
    done(&world, &["revoke", "--email", "ada@demo.example"]).await;
    sign_in(&mut world, "ada").await;
    done(&world, &["revoke", "--user", ADA]).await;
    world.gateway.logged("\"revocation.target\":\"user\"").await;
    let events = world.gateway.log_events();
    let all: Vec<_> = events.iter().map(Value::to_string).collect();
    let is_said = |parts: &[&str]| all.iter().any(|line| parts.iter().all(|part| line.contains(part)));
    let reference = format!("\"session.ref\":{}", session["session"]);
    let user = format!("\"user.ref\":{}", session["user_ref"]);
    assert!(is_said(&["signed out by an administrator", &reference, &user]), "{all:#?}");
    assert!(is_said(&["\"revocation.target\":\"email\"", "\"sessions.ended\":1"]), "{all:#?}");
    assert!(is_said(&["\"revocation.target\":\"user\"", "\"sessions.ended\":1", &user]), "{all:#?}");
    let log = world.gateway.log().join("\n");
    assert!(!log.contains("ada@demo.example") && !log.contains(ADA), "{log}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_with_a_cure() {
    let world = world().await;
    let long = format!("{{\"user\":\"{}\"}}", "a".repeat(64 * 1024));
    for (method, path, body, status) in [
        (Method::GET, "/v1/session", "", 404),
        (Method::GET, "/v1/revocations", "", 405),
        (Method::POST, "/v1/sessions", "", 405),
        (Method::GET, "/v1/sessions?limit=0", "", 400),
        (Method::GET, "/v1/sessions?name=ada", "", 400),
        (Method::GET, "/v1/sessions?idp=okta", "", 400),
        (Method::POST, "/v1/revocations", "{", 400),
        (Method::POST, "/v1/revocations", "{}", 400),
        (Method::POST, "/v1/revocations", r#"{"user":"a","email":"b"}"#, 400),
        (Method::POST, "/v1/revocations", r#"{"user":"a","idp":"okta"}"#, 400),
        (Method::POST, "/v1/revocations", r#"{"session":"nobody's"}"#, 404),
        (Method::POST, "/v1/revocations", &long, 413),
    ] {
        let answer = ask(&world, method.clone(), path, body.to_owned()).await;
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["cache-control"], "no-store", "{method} {path}");
        assert_eq!(answer.headers().contains_key("allow"), status == 405, "{method} {path}");
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        assert!(body["error"].is_string() && body["cure"].is_string(), "{method} {path}: {body}");
    }
    let answer = ask(&world, Method::GET, "/v1/sessions", "").await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
}

#[tokio::test]
async fn the_command_says_why_it_fails() {
    let world = world().await;
    for (arguments, code, said) in [
        (&["revoke", "--session", "nobody's"][..], 1, "there is no such session"),
        (&["revoke", "--user", "a", "--idp", "okta"], 1, "jumpcloud"),
        (&["revoke"], 2, "--session"),
        (&["revoke", "--user", "a", "--email", "b"], 2, "cannot be used with"),
        (&["revoke", "--email", "a", "--idp", "jumpcloud"], 2, "cannot be used with"),
        (&["revoke", "--all"], 2, "--yes"),
        (&["list", "--limit", "0"], 2, "--limit"),
        (&["list", "--socket", "/nowhere/control.sock"], 1, "no gateway answers on /nowhere/control.sock"),
    ] {
        let output = sessions(&world, arguments).await;
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(said), "{arguments:?}: {}", text(&output));
    }
    let without = World::start(samlgate()).await;
    let output = sessions(&without, &["list"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("sets no `control_socket`"), "{}", text(&output));
    assert!(!socket(&without).exists());
    // The settings of one gateway, the socket of another.
    let path = socket(&world);
    assert_eq!(done(&without, &["list", "--socket", path.to_str().unwrap()]).await, "0 sessions\n");
}

#[tokio::test]
async fn the_socket_is_for_its_owner_and_ends_with_the_process() {
    let mut world = world().await;
    let path = socket(&world);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(world.gateway.stop().await.code(), Some(0));
    assert!(!path.exists());
    let output = sessions(&world, &["list"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains(path.to_str().unwrap()), "{}", text(&output));
}

#[tokio::test]
async fn a_second_gateway_does_not_take_the_socket_of_the_first() {
    let world = world().await;
    let path = socket(&world);
    let builder = GatewayBuilder::new(samlgate()).trust(&world.idp).protect(&world.upstream);
    let Err(failure) = builder.set("control_socket", json!(path)).try_start().await else {
        panic!("two listen on {}", path.display())
    };
    assert_eq!(failure.status.and_then(|status| status.code()), Some(1), "{failure}");
    assert!(failure.output.contains("another gateway listens there"), "{failure}");
    assert_eq!(done(&world, &["list"]).await, "0 sessions\n");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let world = World::start_with(samlgate(), |gateway| gateway.set("control_socket", json!(path))).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(done(&world, &["list"]).await, "0 sessions\n");
}
