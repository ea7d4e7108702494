//! The verify endpoints, asked as proxies ask: nginx, Traefik (and Caddy), Envoy. The real ones ask in `tests/fronts/run`.

use harness::raw::{self, RawResponse};
use harness::world::World;
use serde_json::json;

use crate::support::{samlgate, session_cookie};

const DOCUMENT: [&str; 3] = ["Accept: text/html", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];

struct Front {
    world: World,
}

impl Front {
    async fn start() -> Self {
        let trusted = json!(["127.0.0.1", "2001:db8::/32"]);
        let world = World::start_with(samlgate(), |gateway| gateway.set("trusted_proxies", trusted)).await;
        Self { world }
    }

    /// Asks by the headers of nginx and Traefik.
    async fn ask(&self, endpoint: &str, method: &str, uri: &str, more: &[&str]) -> RawResponse {
        let (method, uri) = (format!("X-Forwarded-Method: {method}"), format!("X-Forwarded-Uri: {uri}"));
        let host = format!("X-Forwarded-Host: {}", self.world.gateway.authority());
        let headers: Vec<&str> = [method.as_str(), &uri, &host].into_iter().chain(more.iter().copied()).collect();
        self.send("samlgate:8080", &format!("/saml/auth/{endpoint}"), &headers).await
    }

    async fn send(&self, host: &str, target: &str, headers: &[&str]) -> RawResponse {
        raw::get(self.world.gateway.address(), host, target, headers).await
    }

    async fn signed_in(&self, username: &str) -> String {
        self.world.sign_in(username, "/").await;
        format!("Cookie: a=b; {}; c=d", session_cookie(&self.world.browser))
    }
}

fn header(answer: &RawResponse, name: &str) -> String {
    answer.header(name).unwrap_or_else(|| panic!("no {name}: {:?}", answer.head))
}

#[tokio::test]
async fn who_may_enter_is_named_and_nobody_else() {
    let front = Front::start().await;
    let cookie = front.signed_in("ada").await;
    for endpoint in ["nginx", "traefik"] {
        let answer = front.ask(endpoint, "GET", "/admin/x?y=1", &[&cookie, "X-Forwarded-User: eve"]).await;
        assert_eq!((answer.status, answer.text().as_str()), (200, ""));
        assert_eq!(header(&answer, "X-Forwarded-Email"), "ada@demo.example");
        assert!(!header(&answer, "X-Forwarded-User").is_empty() && header(&answer, "X-Forwarded-User") != "eve");
        assert!(header(&answer, "X-Forwarded-Groups").contains("admins"));
        assert!(header(&answer, "X-Samlgate-Jwt-Assertion").matches('.').count() == 2);
        assert_eq!(header(&answer, "Cookie"), "a=b; c=d", "ours is not for the application");
        assert_eq!(header(&answer, "Cache-Control"), "no-store");
    }
    assert!(front.world.upstream.requests().iter().all(|request| request.path() != "/admin/x"), "it only asks");
}

#[tokio::test]
async fn a_public_route_names_nobody_in_every_header() {
    let front = Front::start().await;
    let cookie = front.signed_in("ada").await;
    let answer = front.ask("traefik", "GET", "/public/x", &[&cookie, "X-Forwarded-User: eve"]).await;
    assert_eq!(answer.status, 200);
    for name in [
        "X-Forwarded-User",
        "X-Forwarded-Email",
        "X-Forwarded-Preferred-Username",
        "X-Forwarded-Groups",
        "X-Samlgate-Jwt-Assertion",
    ] {
        assert_eq!(header(&answer, name), "", "{name}: copied, it takes the client's place");
    }
}

#[tokio::test]
async fn who_has_no_session_is_led_to_the_login_and_back() {
    let front = Front::start().await;
    let home = front.world.gateway.public_url().to_owned();
    let login = format!("{home}/saml/login?rd=%2Fdeep%3Fx%3D1");
    let answer = front.ask("nginx", "GET", "/deep?x=1", &DOCUMENT).await;
    assert_eq!((answer.status, header(&answer, "X-Samlgate-Login")), (401, login.clone()));
    for (method, status) in [("GET", 302), ("POST", 303)] {
        let form = [&DOCUMENT[..], &["Content-Type: text/plain", "Sec-Fetch-Site: cross-site"]].concat();
        let answer = front.ask("traefik", method, "/deep?x=1", &form).await;
        assert_eq!((answer.status, header(&answer, "Location")), (status, login.clone()));
    }
    let own_form = [&DOCUMENT[..], &["Content-Type: text/plain", "Sec-Fetch-Site: same-origin"]].concat();
    let answer = front.ask("traefik", "POST", "/deep?x=1", &own_form).await;
    assert_eq!(header(&answer, "Location"), format!("{login}&lost=not_kept_here"));

    for endpoint in ["nginx", "traefik"] {
        for (uri, headers) in [("/deep", &["Accept: */*"][..]), ("/api/x", &DOCUMENT)] {
            let answer = front.ask(endpoint, "GET", uri, headers).await;
            assert_eq!((answer.status, answer.header("X-Samlgate-Login")), (401, None), "{endpoint} {uri}");
            assert_eq!(answer.json()["code"], "login_required");
        }
    }
}

#[tokio::test]
async fn who_may_not_enter_is_refused_as_each_proxy_understands_it() {
    let front = Front::start().await;
    let cookie = front.signed_in("ben").await;
    for (uri, by_traefik, code) in [
        ("/admin/x", 403, "not_in_allowed_group"),
        ("/public/..%2fadmin", 400, "path_ambiguous"),
        ("/public/%2e%2e/admin", 400, "path_ambiguous"),
        ("/public#/../admin", 400, "path_ambiguous"),
        ("/saml/login", 404, "asked_of_own"),
        ("/saml/no", 404, "endpoint_unknown"),
        ("http://localhost/public", 400, "asked_unclear"),
    ] {
        let answer = front.ask("traefik", "GET", uri, &[&cookie]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (by_traefik, Some(code)), "{uri}");
        let answer = front.ask("nginx", "GET", uri, &[&cookie]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some(code)), "{uri}");
    }
    let page = front.ask("traefik", "GET", "/admin/x", &[&[&*cookie], &DOCUMENT[..]].concat()).await;
    assert!(page.text().contains("<dd>not_in_allowed_group</dd>"), "{}", page.text());
    let answer = front.ask("traefik", "TRACE", "/public", &[]).await;
    assert_eq!(answer.json()["code"], "method_forbidden");
}

#[tokio::test]
async fn envoy_asks_with_the_request_itself() {
    let front = Front::start().await;
    let cookie = front.signed_in("ada").await;
    let host = front.world.gateway.authority().to_owned();
    // What a stranger writes there counts for nothing.
    let forged = ["X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "X-Forwarded-Host: evil.example"];
    let answer = front.send(&host, "/saml/auth/envoy/admin/x?y=1", &[&[&*cookie], &forged[..]].concat()).await;
    assert_eq!((answer.status, header(&answer, "X-Forwarded-Email").as_str()), (200, "ada@demo.example"));
    let answer = front.send(&host, "/saml/auth/envoy/admin/x?y=1", &[&DOCUMENT[..], &forged[..]].concat()).await;
    let login = format!("{}/saml/login?rd=%2Fadmin%2Fx%3Fy%3D1", front.world.gateway.public_url());
    assert_eq!((answer.status, header(&answer, "Location")), (302, login));
    let answer = front.send("evil.example", "/saml/auth/envoy/admin/x", &[&cookie]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (421, Some("unknown_host")));
    for target in ["/saml/auth/envoy", "/saml/auth/", "/saml/auth/nginx/x", "/saml/auth/envoyx"] {
        let answer = front.send(&host, target, &[&cookie]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("endpoint_unknown")), "{target}");
    }
    // Which a proxy may have taken for the login page.
    for target in ["/saml/auth/envoy/..%2f..%2flogin", "/saml/auth/envoy/../../login"] {
        let answer = front.send(&host, target, &[&cookie]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("path_ambiguous")), "{target}");
    }
}

#[tokio::test]
async fn a_proxy_that_lets_the_clients_word_through_is_refused() {
    let front = Front::start().await;
    let answer = front.ask("traefik", "GET", "/admin", &["X-Forwarded-Uri: /public/x"]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("asked_unclear")));
    let answer = front.send("samlgate:8080", "/saml/auth/nginx", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("asked_unclear")));
    let line = front.world.gateway.logged("X-Forwarded-Uri is missing").await;
    assert!(line.contains("docs/behind-proxies.md"), "{line}");
}

#[tokio::test]
async fn what_could_arrive_as_another_request_is_refused() {
    let front = Front::start().await;
    let cookie = front.signed_in("ada").await;
    for header in [
        "X_Forwarded_User: eve",
        "X.Forwarded.User: eve",
        "Remote-User: eve",
        "X-Auth-Request-Groups: admins",
        "X-HTTP-Method-Override: DELETE",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "HTTP2-Settings: AAMAAABk",
    ] {
        let answer = front.ask("traefik", "GET", "/public/x", &[&cookie, header]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("asked_unclear")), "{header}");
    }
    // What proxies write themselves, and what the answer writes over.
    let usual = ["X-Forwarded-Proto: https", "X-Forwarded-Port: 443", "X-Real-Ip: 192.0.2.1", "X-Forwarded-User: eve"];
    assert_eq!(front.ask("traefik", "GET", "/public/x", &usual).await.status, 200);
    for (origin, status) in [("https://evil.example", 403), (front.world.gateway.public_url(), 200)] {
        let socket = [&*cookie, "Sec-WebSocket-Version: 13", &format!("Origin: {origin}")];
        assert_eq!(front.ask("nginx", "GET", "/ws", &socket).await.status, status, "{origin}");
    }
    let latin = "Cookie: a=\u{e9}";
    let answer = front.ask("traefik", "GET", "/public/x", &[latin]).await;
    assert!(answer.head.header_lines.iter().any(|line| line.contains("a=\u{e9}")), "{:?}", answer.head);
}

#[tokio::test]
async fn a_page_of_one_host_does_not_ask_for_another() {
    let world = World::start_with(samlgate(), |gateway| {
        let other = format!("http://localhost:{}", gateway.listen().port() - 1);
        gateway.set("trusted_proxies", json!(["127.0.0.1"])).set("hosts", json!([other]))
    })
    .await;
    let front = Front { world };
    let cookie = front.signed_in("ada").await;
    let other = format!("localhost:{}", front.world.gateway.address().port() - 1);
    let asked = ["X-Forwarded-Method: GET", "X-Forwarded-Uri: /", &format!("X-Forwarded-Host: {other}"), &cookie];
    let answer = front.send(front.world.gateway.authority(), "/saml/auth/nginx", &asked).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("asked_unclear")));
    for host in [&*other, "samlgate:8080"] {
        assert_eq!(front.send(host, "/saml/auth/nginx", &asked).await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn a_stranger_who_asks_learns_nothing() {
    let world = World::start(samlgate()).await;
    let front = Front { world };
    let cookie = front.signed_in("ada").await;
    for endpoint in ["nginx", "traefik", "envoy/admin"] {
        let answer = front.ask(endpoint, "GET", "/public", &[&cookie]).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("untrusted_proxy")), "{endpoint}");
        assert_eq!(answer.header("X-Forwarded-Email"), None);
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client_and_a_stranger_does_not() {
    let front = Front::start().await;
    let host = front.world.gateway.authority().to_owned();
    for (forwarded, seen) in [
        ("X-Forwarded-For: 198.51.100.7", "198.51.100.7"),
        ("X-Forwarded-For: 10.0.0.1, 198.51.100.7, 2001:db8::1", "198.51.100.7"),
        ("X-Forwarded-For: nonsense", "127.0.0.1"),
    ] {
        assert_eq!(front.send(&host, "/public/x", &[forwarded]).await.status, 200);
        assert_eq!(front.world.upstream.last_request().one("X-Forwarded-For"), Some(seen), "{forwarded}");
    }
    let stranger = World::start(samlgate()).await;
    let answer = raw::get(
        stranger.gateway.address(),
        stranger.gateway.authority(),
        "/public/x",
        &["X-Forwarded-For: 198.51.100.7"],
    );
    assert_eq!(answer.await.status, 200);
    assert_eq!(stranger.upstream.last_request().one("X-Forwarded-For"), Some("127.0.0.1"));
}

#[tokio::test]
async fn a_route_without_upstream_is_only_asked_about() {
    let routes = json!([
        { "path_prefix": "/public", "access": "public" },
        { "path_prefix": "/", "access": "signed_in", "upstream": "app" },
    ]);
    let settings = |gateway: harness::gateway::GatewayBuilder| {
        gateway.set("trusted_proxies", json!(["127.0.0.1"])).set("routes", routes)
    };
    let front = Front { world: World::start_with(samlgate(), settings).await };
    assert_eq!(front.ask("traefik", "GET", "/public/x", &[]).await.status, 200);
    let host = front.world.gateway.authority().to_owned();
    let answer = front.send(&host, "/public/x", &[]).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (404, Some("no_upstream")));
}
