//! What a client says of itself never reaches the application as if we had said it.

use harness::raw;
use harness::upstream::Received;
use harness::world::World;
use serde_json::json;

use crate::support::{samlgate, session_cookie};

const FORGED: [&str; 22] = [
    "X-Forwarded-User: mallory",
    "x-forwarded-user: mallory",
    "X_Forwarded_User: mallory",
    "X-Forwarded_User: mallory",
    "x-forwarded-email: mallory@evil.example",
    "x-forwarded-email: mallory@evil.example",
    "X-Forwarded-Groups: admins",
    "X.Forwarded.Groups: admins",
    "X-Forwarded-Preferred-Username: mallory",
    "X-Forwarded-For: 10.0.0.1",
    "X-Forwarded-Host: evil.example",
    "X-Forwarded-Proto: https",
    "X-Real-IP: 10.0.0.1",
    "Forwarded: for=10.0.0.1;host=evil.example",
    "Remote-User: mallory",
    "REMOTE_USER: mallory",
    "X-Auth-Request-User: mallory",
    "X-Auth-Request-Groups: admins",
    "X-Samlgate-Jwt-Assertion: e30.e30.e30",
    "x_samlgate_jwt_assertion: e30.e30.e30",
    "X-Any_Thing: x",
    "Connection: X-Forwarded-User, X-Forwarded-Groups, keep-alive",
];

async fn forged(world: &World, path: &str, cookie: Option<&str>) -> Received {
    let mut lines = FORGED.to_vec();
    let cookie = cookie.map(|cookie| format!("Cookie: a=1; {cookie}; b=2"));
    lines.extend(cookie.as_deref());
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    world.upstream.last_request()
}

fn no_trace(request: &Received) {
    for line in &request.header_lines {
        let line = line.to_ascii_lowercase();
        for forged in [
            "mallory",
            "evil.example",
            "10.0.0.1",
            "e30.e30",
            "remote",
            "x-auth-request",
            "x-real-ip",
            "forwarded: for",
        ] {
            assert!(!line.contains(forged), "{line}");
        }
        assert!(!line.split(':').next().unwrap().contains('_'), "{line}");
    }
}

#[tokio::test]
async fn signed_in_only_our_values_arrive_once_each() {
    let world = World::start(samlgate()).await;
    world.sign_in("ben", "/").await;
    let cookie = session_cookie(&world.browser);
    let request = forged(&world, "/x", Some(&cookie)).await;
    no_trace(&request);
    assert_eq!(request.one("X-Forwarded-User"), Some("5f1e0000000000000000be02"));
    assert_eq!(request.one("X-Forwarded-Email"), Some("ben@demo.example"));
    assert_eq!(request.one("X-Forwarded-Groups"), Some("engineers"));
    assert_eq!(request.one("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(request.one("Cookie"), Some("a=1; b=2"));
}

#[tokio::test]
async fn on_a_public_route_none_arrives_signed_in_or_not() {
    let world = World::start(samlgate()).await;
    world.sign_in("ben", "/").await;
    let cookie = session_cookie(&world.browser);
    for cookie in [None, Some(cookie.as_str())] {
        let request = forged(&world, "/public/x", cookie).await;
        no_trace(&request);
        for name in ["X-Forwarded-User", "X-Forwarded-Email", "X-Forwarded-Groups", "X-Forwarded-Preferred-Username"] {
            assert_eq!(request.one(name), None);
        }
    }
}

#[tokio::test]
async fn values_outside_printable_ascii_are_encoded() {
    let world = World::start(samlgate()).await;
    world.idp.change(|idp| {
        for group in ["a,b", "100%", "K\u{e4}se", "two words"] {
            idp.constant_attributes.push(("memberOf".to_owned(), group.to_owned()));
        }
    });
    world.sign_in("ben", "/").await;
    let groups = world.upstream.last_request().one("X-Forwarded-Groups").unwrap().to_owned();
    let mut seen: Vec<&str> = groups.split(',').collect();
    seen.sort_unstable();
    assert_eq!(seen, ["100%25", "K%C3%A4se", "a%2Cb", "engineers", "two words"]);
}

#[tokio::test]
async fn other_presets_and_headers_from_any_claim() {
    for (preset, user, email) in [
        ("remote-user", "Remote-User", "Remote-Email"),
        ("x-auth-request", "X-Auth-Request-User", "X-Auth-Request-Email"),
    ] {
        let headers = json!({ "preset": preset, "set": { "X-First-Name": "first_name", "X-Department": "attribute:department" } });
        let world = World::start_with(samlgate(), |gateway| gateway.set("identity_headers", headers.clone())).await;
        world.idp.change(|idp| idp.constant_attributes.push(("department".to_owned(), "R, D".to_owned())));
        world.sign_in("ada", "/x").await;
        let request = world.upstream.last_request();
        assert_eq!(request.one(user), Some("5f1e0000000000000000ada1"), "{preset}");
        assert_eq!(request.one(email), Some("ada@demo.example"), "{preset}");
        assert_eq!(request.one("X-First-Name"), Some("Ada"));
        assert_eq!(request.one("X-Department"), Some("R%2C D"));
        assert_eq!(request.one("X-Forwarded-User"), None);
    }
}

#[tokio::test]
async fn the_application_cannot_set_our_cookies() {
    let world = World::start(samlgate()).await;
    let mut tab = world.sign_in("ada", "/").await;
    let before = session_cookie(&world.browser);
    tab.visit(&world.gateway.url(
        "/x?set_cookie=__Host-samlgate%3Dstolen%3B%20Path%3D%2F%3B%20Secure&set_cookie=mine%3D1&header=X-Samlgate:1",
    ))
    .await;
    assert_eq!(session_cookie(&world.browser), before);
    assert!(world.browser.cookie("localhost", "mine").is_some());
    assert_eq!(tab.page().header("x-samlgate"), None);
    assert_eq!(tab.page().header("cache-control"), Some("private, no-cache"));
}

#[tokio::test]
async fn trailers_carry_no_identity() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let cookie = session_cookie(&world.browser);
    let request = format!(
        "POST /x HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\nTrailer: X-Forwarded-User\r\nConnection: close\r\n\r\n\
         3\r\nabc\r\n0\r\nX-Forwarded-User: mallory\r\n\r\n",
        world.gateway.authority()
    );
    let answer = raw::exchange(world.gateway.address(), request).await;
    assert_eq!(answer.status, 200);
    let request = world.upstream.last_request();
    no_trace(&request);
    assert!(request.trailers.is_empty(), "{:?}", request.trailers);
    assert_eq!(request.body, "abc");
}

#[tokio::test]
async fn a_preflight_goes_on_in_nobodys_name_where_the_route_says_so() {
    let world = World::start_with(samlgate(), |gateway| gateway.set("routes.2.preflight", json!("forward"))).await;
    world.sign_in("ada", "/").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    let ask = async |path: &str, lines: &[&str]| {
        let lines: String = FORGED.iter().chain(lines).map(|line| format!("{line}\r\n")).collect();
        let host = world.gateway.authority();
        let request = format!("OPTIONS {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n");
        raw::exchange(world.gateway.address(), request).await.status
    };
    let preflight = [
        &*cookie,
        "Origin: https://other.example",
        "Access-Control-Request-Method: PUT",
        "X-HTTP-Method-Override: PUT",
    ];
    assert_eq!(ask("/api/x", &preflight).await, 200);
    let request = world.upstream.last_request();
    assert_eq!((request.method.as_str(), request.path()), ("OPTIONS", "/api/x"));
    for name in
        ["X-Forwarded-User", "X-Forwarded-Email", "X-Samlgate-Jwt-Assertion", "X-HTTP-Method-Override", "Cookie"]
    {
        assert_eq!(request.one(name), None, "{:?}", request.header_lines);
    }
    let reached = world.upstream.requests().len();
    assert_eq!(ask("/api/x", &preflight[1..2]).await, 401, "not every OPTIONS is one");
    assert_eq!(ask("/admin/x", &preflight[1..]).await, 401, "not every route lets them through");
    assert_eq!(ask("/api//x", &preflight[1..]).await, 401, "nor every spelling of a path");
    assert_eq!(world.upstream.requests().len(), reached);
}

#[tokio::test]
async fn a_trace_goes_on_as_it_came_and_the_log_names_it() {
    let world = World::start(samlgate()).await;
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let lines = [parent.as_str(), "tracestate: congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"];
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/public/x", &lines).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = world.upstream.last_request();
    assert!(lines.iter().all(|line| seen.header_lines.iter().any(|seen| seen == line)), "{:?}", seen.header_lines);
    world.gateway.logged(&format!(r#""trace.id":"{trace}""#)).await;
}

#[tokio::test]
async fn every_field_of_a_request_in_the_log_is_documented() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/page").await;
    raw::get(world.gateway.address(), world.gateway.authority(), "/api/x", &[]).await;
    world.gateway.logged(r#""refusal.code":"login_required""#).await;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/log.md")).unwrap();
    let mut fields = std::collections::BTreeSet::new();
    for event in world.gateway.log_events().iter().filter(|event| event["message"] == "request") {
        fields.extend(event.as_object().unwrap().keys().cloned());
    }
    assert!(fields.len() > 12, "{fields:?}");
    let undocumented: Vec<_> = fields.iter().filter(|field| !page.contains(&format!("| `{field}` |"))).collect();
    assert!(undocumented.is_empty(), "{undocumented:?}");
}
