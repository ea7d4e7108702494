//! One path, one meaning: what could be read as another route never reaches it.

use harness::raw;
use harness::world::World;

use crate::support::{samlgate, session_cookie};

/// Each could be read as `/admin` by some application.
const DISGUISED: [&str; 20] = [
    "/x/..;/admin",
    "/x/..;a=b/admin",
    "/x/%2e%2e/admin",
    "/x/%2E%2E/admin",
    "/x/.%2e/admin",
    "//admin",
    "///admin",
    "/./admin",
    "/%2e/admin",
    "/x/../admin",
    "/x/..%2fadmin",
    "/x/..%5cadmin",
    "/x\\..\\admin",
    "/\\admin",
    "/%2fadmin",
    "/%61dmin",
    "/x/%252e%252e/admin",
    "/%2561dmin",
    "/;/admin",
    "/x/..%3b/admin",
];

#[tokio::test]
async fn no_disguise_of_admin_reaches_it_without_the_group() {
    let world = World::start(samlgate()).await;
    world.sign_in("ben", "/control").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    for path in DISGUISED {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &[&cookie]).await;
        assert!(matches!(answer.status, 400 | 403), "{path}: {}", answer.status);
        let code = answer.json()["code"].as_str().unwrap().to_owned();
        assert!(matches!(code.as_str(), "path_ambiguous" | "not_in_allowed_group"), "{path}: {code}");
    }
    // Plain ways to write another path stay what they are.
    for path in ["/ADMIN", "/administrator", "/x/admin", "/a%20b", "/a;v=1/b", "/x/./y", "/a//b"] {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &[&cookie]).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(world.upstream.last_request().target, path, "what is forwarded is the raw path");
    }
    let reached: Vec<String> = world.upstream.requests().iter().map(|request| request.target.clone()).collect();
    assert!(DISGUISED.iter().all(|path| !reached.iter().any(|target| target == path)), "{reached:?}");
}

#[tokio::test]
async fn disguises_are_refused_for_strangers_too_and_public_is_no_door() {
    let world = World::start(samlgate()).await;
    // `/public/%61dmin` has one meaning, and it is public.
    let disguised = DISGUISED.iter().filter(|path| **path != "/%61dmin");
    for path in disguised.map(|path| format!("/public{path}")).chain(
        ["/public/..;/x", "/public/%2e%2e/x", "/public//x", "/public/x;y", "/public/.", "/public/%2e"]
            .map(str::to_owned),
    ) {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), &path, &[]).await;
        assert!(matches!(answer.status, 400 | 401), "{path}: {}", answer.status);
    }
    assert_eq!(raw::get(world.gateway.address(), world.gateway.authority(), "/public/x", &[]).await.status, 200);
    assert_eq!(world.upstream.requests().len(), 1);
}

#[tokio::test]
async fn paths_without_meaning_are_refused() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/control").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    for path in ["/%", "/%zz", "/%00", "/a%0ab", "/a%7fb", "/%2500", "*"] {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &[&cookie]).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.text());
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

#[tokio::test]
async fn nothing_under_the_prefix_is_forwarded() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/control").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    for path in [
        "/saml",
        "/saml/",
        "/saml/x",
        "/saml/acs/",
        "/saml//acs",
        "/saml/%61cs",
        "/x/../saml/acs",
        "/SAML/../saml/x",
        "/saml;x/acs",
    ] {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), path, &[&cookie]).await;
        assert!(matches!(answer.status, 400 | 404 | 405), "{path}: {}", answer.status);
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

#[tokio::test]
async fn only_the_accepted_host_is_served() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/control").await;
    let cookie = format!("Cookie: {}", session_cookie(&world.browser));
    let port = world.gateway.address().port();
    for host in [
        "localhost".to_owned(),
        format!("127.0.0.1:{port}"),
        "evil.example".to_owned(),
        format!("localhost.:{port}"),
        format!("localhost:{port}0"),
    ] {
        let answer = raw::get(world.gateway.address(), &host, "/x", &[&cookie]).await;
        assert_eq!(answer.status, 421, "{host}");
        assert_eq!(answer.json()["code"], "unknown_host");
    }
    assert_eq!(raw::get(world.gateway.address(), &format!("LOCALHOST:{port}"), "/x", &[&cookie]).await.status, 200);
}

#[tokio::test]
async fn requests_that_two_servers_would_read_differently_are_refused_and_the_connection_closed() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/control").await;
    let (cookie, host) = (session_cookie(&world.browser), world.gateway.authority().to_owned());
    for head in [
        format!("GET /x HTTP/1.1\r\nCookie: {cookie}\r\n\r\n"),
        format!("GET /x HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\nCookie: {cookie}\r\n\r\n"),
        format!(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        ),
        format!(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"
        ),
        format!(
            "POST /x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"
        ),
    ] {
        let answer = raw::exchange(world.gateway.address(), head.as_str()).await;
        assert_eq!(answer.status, 400, "{head}");
    }
    for method in ["TRACE", "CONNECT"] {
        let request = format!("{method} /x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        let answer = raw::exchange(world.gateway.address(), request).await;
        assert!((400..500).contains(&answer.status), "{method}: {}", answer.status);
    }
    assert_eq!(world.upstream.requests().len(), 1);
}

#[tokio::test]
async fn the_spelling_of_a_method_evades_no_rule() {
    let routes = serde_json::json!([
        { "path_prefix": "/api", "methods": ["POST", "DELETE"], "access": { "groups": ["admins"] }, "upstream": "app" },
        { "path_prefix": "/", "access": "signed_in", "upstream": "app" },
    ]);
    let world = World::start_with(samlgate(), |gateway| gateway.set("routes", routes)).await;
    world.sign_in("ben", "/control").await;
    let (cookie, host) = (session_cookie(&world.browser), world.gateway.authority().to_owned());
    for (method, status) in
        [("POST", 403), ("post", 405), ("Post", 405), ("dELETE", 405), ("connect", 405), ("trace", 405), ("GET", 200)]
    {
        let request = format!(
            "{method} /api/x HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nX-HTTP-Method-Override: DELETE\r\nConnection: close\r\n\r\n"
        );
        let answer = raw::exchange(world.gateway.address(), request).await;
        assert_eq!(answer.status, status, "{method}");
    }
    assert_eq!(world.upstream.last_request().one("X-HTTP-Method-Override"), None);
    assert_eq!(world.upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_length_that_is_not_one_number_is_refused() {
    let world = World::start(samlgate()).await;
    let host = world.gateway.authority().to_owned();
    for lengths in
        ["Content-Length: 3, 3", "Content-Length: 3\r\nContent-Length: 3", "Content-Length: +3", "Content-Length: 0x3"]
    {
        let request = format!("POST /public/x HTTP/1.1\r\nHost: {host}\r\n{lengths}\r\n\r\nabc");
        assert_eq!(raw::exchange(world.gateway.address(), request).await.status, 400, "{lengths}");
    }
    assert!(world.upstream.requests().is_empty());
}

#[tokio::test]
async fn what_strangers_write_is_cut_in_the_log() {
    let world = World::start(samlgate()).await;
    let long = "x".repeat(50_000);
    let request = format!("GET /x HTTP/1.1\r\nHost: {long}\r\nConnection: close\r\n\r\n");
    assert_eq!(raw::exchange(world.gateway.address(), request).await.status, 421);
    let line = world.gateway.logged("unknown_host").await;
    assert!(line.len() < 2_000, "{} bytes", line.len());
}
