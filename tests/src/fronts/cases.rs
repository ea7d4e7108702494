//! What each proxy is held to.

use std::net::SocketAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::Kind;
use super::server::{Addresses, Front};
use crate::browser::{Browser, Fetch, Tab};
use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program, free_port};
use crate::idp::{Idp, IdpOptions, IdpSettings};
use crate::issuer::Sign;
use crate::raw::{self, Asked, RawConnection, RawResponse};
use crate::upstream::Upstream;

const SESSION: &str = "__Host-samlgate";
const TOKEN: &str = "samlgate_of-a-machine";
/// Its hash is SHA-256 of the token.
const TOKENS: &str = "tokens:\n  - { name: ci, expires: '2999-01-01T00:00:00Z', \
                      hash: 'sha256:69867a21d1ffb3194173956188f4b8a7fed0ab277d5b8f153c91717163e547ab' }\n";

/// The browser, the proxy in front, samlgate beside it, the application behind.
struct Site {
    idp: Idp,
    application: Upstream,
    gateway: Gateway,
    front: Front,
    browser: Browser,
    public_url: String,
}

impl Site {
    async fn start(kind: Kind) -> Self {
        let listen = free_port();
        let public_url = format!("http://localhost:{listen}");
        let mut of_idp =
            IdpSettings::new(IDP_ENTITY_ID, &format!("{public_url}/saml/metadata"), &format!("{public_url}/saml/acs"));
        of_idp.sign = Sign::Both;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let application = Upstream::start().await;
        let own = std::env::current_exe().expect("this program has a file");
        let gateway = GatewayBuilder::new(Program::demo(own.with_file_name("demo")))
            .set("public_url", json!(public_url))
            .set("trusted_proxies", json!(["127.0.0.1"]))
            .unset("upstreams")
            .set(
                "routes",
                json!([
                    { "path_prefix": "/public", "access": "public" },
                    { "path_prefix": "/admin", "access": { "groups": ["admins"] } },
                    { "path_prefix": "/hook", "access": "signed_in", "tokens_file": "tokens.yaml" },
                    { "path_prefix": "/", "access": "signed_in", "identity_jwt": true },
                ]),
            )
            .file("tokens.yaml", TOKENS)
            .trust(&idp)
            .start()
            .await;
        let addresses = Addresses { listen, samlgate: gateway.address(), application: application.address() };
        let front = Front::start(kind, &addresses).await;
        Self { idp, application, gateway, front, browser: Browser::new(), public_url }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    async fn signed_in(&self, username: &str, path: &str) -> Tab {
        let mut tab = self.browser.tab();
        tab.visit(&self.url(path)).await;
        assert_eq!(tab.page().url.path(), "/saml/login", "{}", tab.page().body);
        tab.click("Login with JumpCloud").await;
        self.idp.sign_in(&mut tab, username).await;
        tab.auto_submit().await;
        tab
    }

    fn cookie(&self) -> String {
        format!("{SESSION}={}", self.browser.cookie("localhost", SESSION).expect("somebody is signed in").value)
    }

    /// A request to the front, as it stands on the wire.
    async fn send(&self, target: &str, headers: &[&str]) -> RawResponse {
        let host = self.public_url.trim_start_matches("http://");
        raw::get(self.front.address(), host, target, headers).await
    }

    /// What the application got of requests for that path.
    fn reached(&self, path: &str) -> usize {
        self.application.requests().iter().filter(|request| request.path() == path).count()
    }
}

pub(super) async fn sign_in(kind: Kind) {
    let site = Site::start(kind).await;
    let tab = site.signed_in("ada", "/deep?x=1&rd=//evil.example").await;
    let page = tab.page();
    assert_eq!((page.status, page.url.as_str()), (200, &*site.url("/deep?x=1&rd=//evil.example")), "{}", page.body);
    let request = site.application.last_request();
    assert_eq!(request.target, "/deep?x=1&rd=//evil.example");
    assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
    assert!(request.one("X-Forwarded-Groups").is_some_and(|groups| groups.contains("admins")));
    assert!(request.one("X-Samlgate-Jwt-Assertion").is_some_and(|jwt| jwt.matches('.').count() == 2));
}

pub(super) async fn background(kind: Kind) {
    let site = Site::start(kind).await;
    let tab = site.signed_in("ada", "/").await;
    site.browser.change_jar(|jar| *jar = Default::default());
    let answer = tab.fetch(Fetch::get("/data")).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    assert_eq!((answer.header("Location"), site.reached("/data")), (None, 0));
}

pub(super) async fn excluded(kind: Kind) {
    let site = Site::start(kind).await;
    let mut tab = site.signed_in("ben", "/").await;
    tab.visit(&site.url("/admin/x")).await;
    assert_eq!((tab.page().status, site.reached("/admin/x")), (403, 0));
}

/// What an application could take for the word of samlgate.
const FORGED: [&str; 6] = [
    "X-Forwarded-User: eve",
    "X-Forwarded-Email: eve@evil.example",
    "x-forwarded-groups: admins",
    "X_Forwarded_User: eve",
    "X-Forwarded_Email: eve@evil.example",
    "X-Samlgate-Jwt-Assertion: a.b.c",
];

fn names_eve(site: &Site) -> bool {
    let request = site.application.last_request();
    request.header_lines.iter().any(|line| {
        let line = line.to_ascii_lowercase();
        line.contains("eve") || line.contains("a.b.c") || line.contains("groups: admins")
    })
}

pub(super) async fn public(kind: Kind) {
    let site = Site::start(kind).await;
    let answer = site.send("/public/x", &FORGED).await;
    assert_eq!((answer.status, site.reached("/public/x")), (200, 1), "{}", answer.text());
    assert!(!names_eve(&site), "{:?}", site.application.last_request().header_lines);
}

pub(super) async fn forged_identity(kind: Kind) {
    let site = Site::start(kind).await;
    site.signed_in("ben", "/").await;
    let cookie = format!("Cookie: {}", site.cookie());
    let answer = site.send("/mine", &[&[&*cookie], &FORGED[..]].concat()).await;
    assert_eq!((answer.status, site.reached("/mine")), (200, 1), "{}", answer.text());
    assert!(!names_eve(&site), "{:?}", site.application.last_request().header_lines);
    assert_eq!(site.application.last_request().one("X-Forwarded-Email"), Some("ben@demo.example"));
}

pub(super) async fn forged_request(kind: Kind) {
    let site = Site::start(kind).await;
    for forged in [
        &["X-Forwarded-Uri: /public/x"][..],
        &["X-Forwarded-Uri: /public/x", "X-Forwarded-Method: GET", "X-Forwarded-Host: localhost"],
        &["X-Original-URL: /public/x", "X-Original-URI: /public/x", "X-Rewrite-URL: /public/x"],
        &["Connection: X-Forwarded-Uri, X-Forwarded-Host, X-Forwarded-Method"],
    ] {
        let answer = site.send("/secret", forged).await;
        assert!((400..404).contains(&answer.status), "{forged:?}: {} {}", answer.status, answer.text());
    }
    assert!(site.application.requests().is_empty());
}

pub(super) async fn ambiguous(kind: Kind) {
    let site = Site::start(kind).await;
    for target in [
        "/public/../secret",
        "/public/%2e%2e/secret",
        "/public/..%2fsecret",
        "/public/..;/secret",
        "/public\\..\\secret",
        "//public/../secret",
        "/public/%252e%252e/secret",
    ] {
        let answer = site.send(target, &[]).await;
        assert!((400..500).contains(&answer.status), "{target}: {} {}", answer.status, answer.text());
    }
    assert!(site.application.requests().is_empty(), "{:?}", site.application.last_request());
}

pub(super) async fn other_host(kind: Kind) {
    let site = Site::start(kind).await;
    let host = site.public_url.trim_start_matches("http://");
    for request in [
        "GET /public/x HTTP/1.1\r\nHost: evil.example\r\n".to_owned(),
        format!("GET http://{host}/public/x HTTP/1.1\r\nHost: evil.example\r\n"),
        format!("GET http://evil.example/public/x HTTP/1.1\r\nHost: {host}\r\n"),
    ] {
        raw::exchange(site.front.address(), format!("{request}Connection: close\r\n\r\n")).await;
    }
    let hosts: Vec<String> = site.application.requests().iter().map(|request| request.all("Host").join(",")).collect();
    assert!(hosts.iter().all(|seen| seen == host), "{hosts:?}");
}

pub(super) async fn upgrades(kind: Kind) {
    let site = Site::start(kind).await;
    for upgrade in [
        &["Upgrade: h2c"][..],
        &["Upgrade: h2c", "HTTP2-Settings: AAMAAABk"],
        &["Upgrade: websocket", "Upgrade: h2c"],
        &["Upgrade: websocket, h2c"],
        &["Upgrade: tls/1.0"],
    ] {
        let host = site.public_url.trim_start_matches("http://");
        let lines: String = upgrade.iter().map(|line| format!("{line}\r\n")).collect();
        let request = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nConnection: close, Upgrade\r\n{lines}\r\n");
        raw::exchange(site.front.address(), request).await;
    }
    for request in site.application.requests() {
        assert!(request.all("Upgrade").iter().all(|seen| *seen == "websocket"), "{:?}", request.header_lines);
    }
}

pub(super) async fn websocket(kind: Kind) {
    let site = Site::start(kind).await;
    let tab = site.signed_in("ada", "/").await;
    assert!(tab.open_websocket("/ws").await.is_ok());
    let host = site.public_url.trim_start_matches("http://");
    let request = format!(
        "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nOrigin: http://evil.localhost\r\nCookie: {}\r\n\r\n",
        site.cookie()
    );
    let before = site.reached("/ws");
    let mut connection = RawConnection::open(site.front.address()).await.expect("it listens");
    connection.send(request).await.expect("it takes it");
    let answer = connection.response(Asked::Other).await.expect("an answer").expect("an answer");
    assert_eq!((answer.status, site.reached("/ws")), (403, before));
}

pub(super) async fn hidden_identity(kind: Kind) {
    let site = Site::start(kind).await;
    site.signed_in("ada", "/").await;
    let host = site.public_url.trim_start_matches("http://");
    for name in ["X-Forwarded-User", "X-Forwarded-Email", "Cookie"] {
        let request = format!(
            "GET /mine HTTP/1.1\r\nHost: {host}\r\nCookie: a=b; {}\r\nConnection: close, {name}\r\n\r\n",
            site.cookie()
        );
        let before = site.reached("/mine");
        let answer = raw::exchange(site.front.address(), request).await;
        if site.reached("/mine") == before {
            assert!((400..500).contains(&answer.status), "{name}: {}", answer.status);
            continue;
        }
        let seen = site.application.last_request();
        assert!(seen.one("X-Forwarded-User").is_some_and(|user| !user.is_empty()), "{name}: {:?}", seen.header_lines);
        assert_eq!(seen.one("X-Forwarded-Email"), Some("ada@demo.example"), "{name}");
    }
}

pub(super) async fn large_cookies(kind: Kind) {
    let site = Site::start(kind).await;
    site.signed_in("ada", "/").await;
    let cookie = format!("Cookie: a={}; {}", "b".repeat(6_000), site.cookie());
    let answer = site.send("/cookies", &[&cookie]).await;
    assert_eq!((answer.status, site.reached("/cookies")), (200, 1), "{}", answer.text());
}

pub(super) async fn cookies(kind: Kind) {
    let site = Site::start(kind).await;
    site.signed_in("ada", "/").await;
    for (sent, arrives) in [
        (format!("Cookie: a=b; {}; c=d", site.cookie()), vec!["a=b; c=d"]),
        (format!("Cookie: {}", site.cookie()), vec![]),
    ] {
        assert_eq!(site.send("/cookies", &[&sent]).await.status, 200);
        let request = site.application.last_request();
        let cookies: Vec<_> = request.all("Cookie").into_iter().filter(|cookie| !cookie.is_empty()).collect();
        assert_eq!(cookies, arrives, "{sent}");
    }
}

pub(super) async fn machine(kind: Kind) {
    let site = Site::start(kind).await;
    for (token, status) in [(TOKEN, 200), ("samlgate_other", 401)] {
        assert_eq!(site.send("/hook", &[&format!("Authorization: Bearer {token}")]).await.status, status, "{token}");
    }
    let request = site.application.last_request();
    assert_eq!(request.one("X-Forwarded-User"), Some("machine:ci"));
    assert!(!request.header_lines.iter().any(|line| line.contains(TOKEN)), "{:?}", request.header_lines);
    site.send("/public", &["Authorization: Bearer of-the-application"]).await;
    assert_eq!(site.application.last_request().one("Authorization"), Some("Bearer of-the-application"));
    site.send("/public", &[&format!("Authorization: Bearer {TOKEN}")]).await;
    let request = site.application.last_request();
    assert!(!request.header_lines.iter().any(|line| line.contains(TOKEN)), "{:?}", request.header_lines);
}

pub(super) async fn closed(kind: Kind) {
    let site = Site::start(kind).await;
    site.signed_in("ada", "/").await;
    let cookie = format!("Cookie: {}", site.cookie());
    for target in ["/saml/auth/nginx", "/saml/auth/traefik", "/saml/auth/envoy/", "/saml//auth/nginx", "/.samlgate"] {
        let asked = ["X-Forwarded-Method: GET", "X-Forwarded-Host: localhost", "X-Forwarded-Uri: /", &cookie];
        let answer = site.send(target, &asked).await;
        let is_the_applications = target == "/.samlgate" && kind == Kind::Caddy;
        assert!(is_the_applications || (400..500).contains(&answer.status), "{target}: {}", answer.status);
        assert_eq!(answer.header("X-Forwarded-Email"), None, "{target}");
    }
}

/// A request from another address of this machine.
async fn send_from(source: &str, to: SocketAddr, request: &str) {
    let socket = TcpSocket::new_v4().expect("a socket can be made");
    let source: std::net::IpAddr = source.parse().expect("an address");
    socket.bind(SocketAddr::new(source, 0)).expect("an address of this machine");
    let mut stream = socket.connect(to).await.expect("it listens");
    stream.write_all(request.as_bytes()).await.expect("it takes it");
    stream.read_to_end(&mut Vec::new()).await.expect("it answers");
}

pub(super) async fn client_address(kind: Kind) {
    let site = Site::start(kind).await;
    let host = site.public_url.trim_start_matches("http://");
    let request = format!(
        "GET /mine HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.9\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    send_from("127.0.0.2", site.front.address(), &request).await;
    let line = site.gateway.logged("/saml/auth/").await;
    assert!(line.contains("\"127.0.0.2\""), "{line}");
}

pub(super) async fn sign_out(kind: Kind) {
    let site = Site::start(kind).await;
    let mut tab = site.signed_in("ada", "/").await;
    let cookie = format!("Cookie: {}", site.cookie());
    assert_eq!(site.send("/page", &[&cookie]).await.status, 200);
    tab.visit(&site.url("/saml/logout")).await;
    let form = tab.page().form();
    tab.submit(form).await;
    assert_eq!(tab.page().status, 200, "{}", tab.page().body);
    assert_eq!(site.send("/page", &[&cookie]).await.status, 401);
}

pub(super) async fn samlgate_gone(kind: Kind) {
    let mut site = Site::start(kind).await;
    site.signed_in("ada", "/").await;
    let before = site.application.requests().len();
    let cookie = format!("Cookie: {}", site.cookie());
    site.gateway.stop().await;
    for target in ["/page", "/public/x"] {
        let answer = site.send(target, &[&cookie]).await;
        assert!(answer.status >= 500, "{target}: {}", answer.status);
    }
    assert_eq!(site.application.requests().len(), before);
}
