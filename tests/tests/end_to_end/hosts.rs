//! Several hosts under one sign-in: behind a front that ends TLS, as browsers see it.

use harness::browser::{Browser, Fetch, SameSite, SameSiteContext, Tab};
use harness::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::Sign;
use harness::raw::{self, RawResponse};
use harness::upstream::Upstream;
use serde_json::{Value, json};

use crate::support::{form, samlgate};

const APP: &str = "https://app.samlgate.test";
const B: &str = "https://b.samlgate.test:8443";
const SESSION: &str = "__Secure-samlgate";
const BINDING: &str = "__Host-samlgate-login";

struct Hosts {
    idp: Idp,
    upstream: Upstream,
    gateway: Gateway,
    browser: Browser,
    _keys: tempfile::TempDir,
}

impl Hosts {
    async fn start() -> Self {
        Self::start_with(json!({ "cookie_domain": "samlgate.test" })).await
    }

    async fn start_with(session: Value) -> Self {
        let keys = tempfile::tempdir().expect("a temporary folder");
        gateway::keys::generate(&keys.path().join("keys")).expect("keys can be made");
        let builder = GatewayBuilder::new(samlgate()).set("public_url", json!(APP)).set("hosts", json!([B]));
        let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
        of_idp.sign = Sign::Both;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let upstream = Upstream::start().await;
        let gateway = builder
            .trust(&idp)
            .protect(&upstream)
            .set("keys_dir", json!(keys.path().join("keys")))
            .set("session", session)
            // Open at the second host alone.
            .set("routes.0.host", json!("b.samlgate.test:8443"))
            .start()
            .await;
        let browser = Browser::new();
        browser.point("app.samlgate.test", gateway.address());
        browser.point("b.samlgate.test", gateway.address());
        Self { idp, upstream, gateway, browser, _keys: keys }
    }

    /// A tab that shows `url` to `ada`, who signs in on the way.
    async fn sign_in(&self, url: &str) -> Tab {
        let mut tab = self.browser.tab();
        tab.visit(url).await;
        self.past_login(&mut tab).await;
        tab
    }

    /// From the login page to where the sign-in leads.
    async fn past_login(&self, tab: &mut Tab) {
        let login = format!("{APP}/saml/login");
        assert!(tab.page().url.as_str().starts_with(&login), "{}", tab.page().url);
        tab.click("Login with JumpCloud").await;
        if tab.page().form().value("username").is_some() {
            self.idp.sign_in(tab, "ada").await;
        }
        tab.auto_submit().await;
    }

    /// The cookies of sessions that the browser keeps.
    fn session_cookies(&self) -> Vec<(String, String, bool)> {
        let jar = self.browser.jar();
        let of_session = jar.cookies().iter().filter(|cookie| cookie.name.starts_with(SESSION));
        of_session.map(|cookie| (cookie.name.clone(), cookie.domain.clone(), cookie.host_only)).collect()
    }

    async fn get(&self, host: &str, path: &str) -> RawResponse {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nConnection: close\r\n\r\n");
        raw::exchange(self.gateway.address(), request).await
    }
}

fn on_domain(name: &str) -> (String, String, bool) {
    (name.to_owned(), "samlgate.test".to_owned(), false)
}

fn claims(jwt: &str) -> Value {
    use base64::Engine as _;
    let payload = jwt.split('.').nth(1).expect("a JWT has three parts");
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).expect("base64url");
    serde_json::from_slice(&bytes).expect("JSON")
}

#[tokio::test]
async fn one_sign_in_serves_every_host() {
    let hosts = Hosts::start().await;
    let mut tab = hosts.sign_in(&format!("{B}/deep?x=1")).await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*format!("{B}/deep?x=1")));
    assert_eq!(hosts.session_cookies(), [on_domain(SESSION)]);
    let binding = hosts.browser.cookie("app.samlgate.test", BINDING).expect("the login's cookie");
    assert!(binding.host_only && binding.same_site == SameSite::None);

    let logins = hosts.idp.requests().len();
    for (origin, authority) in [(B, "b.samlgate.test:8443"), (APP, "app.samlgate.test")] {
        tab.visit(&format!("{origin}/admin/x")).await;
        assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*format!("{origin}/admin/x")));
        let request = hosts.upstream.last_request();
        assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
        assert_eq!(request.one("X-Forwarded-Host"), Some(authority));
        assert_eq!(request.one("X-Forwarded-Proto"), Some("https"));
        assert_eq!(request.one("Host"), Some(authority));
        assert!(request.all("Cookie").is_empty(), "{:?}", request.all("Cookie"));
        let jwt = claims(request.one("X-Samlgate-Jwt-Assertion").expect("a JWT"));
        assert_eq!((jwt["iss"].as_str(), jwt["aud"].as_str()), (Some(APP), Some(origin)));
        let userinfo = tab.fetch(Fetch::get("/saml/userinfo")).await;
        assert_eq!(userinfo.json()["email"], "ada@demo.example");
    }
    assert_eq!(hosts.idp.requests().len(), logins, "nobody signed in once more");
}

#[tokio::test]
async fn a_host_has_its_own_routes_and_strangers_have_none() {
    let hosts = Hosts::start().await;
    for (host, status) in [
        ("b.samlgate.test:8443", 200),
        ("B.samlgate.test:8443", 200),
        ("app.samlgate.test", 302),
        ("app.samlgate.test:443", 302),
        ("b.samlgate.test", 421),
        ("b.samlgate.test:443", 421),
        ("b.samlgate.test:8443:443", 421),
        ("c.samlgate.test", 421),
        ("samlgate.test", 421),
    ] {
        let answer = hosts.get(host, "/public/x").await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
    }
    let answer = hosts.get("c.samlgate.test", "/saml/login?rd=https://c.samlgate.test/").await;
    assert!(answer.status == 421 && answer.text().contains("unknown_host"), "{}", answer.text());
    assert!(hosts.upstream.requests().iter().all(|request| request.one("X-Forwarded-Email").is_none()));
}

#[tokio::test]
async fn logins_live_on_public_url_alone() {
    let hosts = Hosts::start().await;
    let b = "b.samlgate.test:8443";
    let answer = hosts.get(b, "/saml/login?rd=/a").await;
    let location = format!("{APP}/saml/login?rd=https%3A%2F%2Fb.samlgate.test%3A8443%2Fa");
    assert_eq!((answer.status, answer.header("Location").as_deref()), (302, Some(location.as_str())));
    let answer = hosts.get(b, "/a").await;
    assert_eq!(
        (answer.status, answer.header("Location").as_deref()),
        (302, Some(location.as_str())),
        "without a way round"
    );

    let mut tab = hosts.browser.tab();
    tab.visit(&format!("{APP}/a")).await;
    tab.click("Login with JumpCloud").await;
    let request_id = hosts.idp.requests().last().expect("a request reached the IdP").id.clone();
    let response = hosts.idp.response_spec("ada", Some(&request_id)).sign(Sign::Both);
    let body = form(&response.issue(hosts.idp.key()).xml);
    let binding = hosts.browser.cookie("app.samlgate.test", BINDING).expect("the login's cookie").value;
    for (host, status) in [(b, 421), ("app.samlgate.test", 303)] {
        let request = format!(
            "POST /saml/acs HTTP/1.1\r\nHost: {host}\r\nCookie: {BINDING}={binding}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let answer = raw::exchange(hosts.gateway.address(), request).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text());
        assert_eq!(answer.text().contains("unknown_host"), status == 421);
    }
}

/// As a script of a page at the second host, or at another host of the domain, would set it.
fn toss(hosts: &Hosts, line: &str) {
    let url = url::Url::parse(&format!("{B}/deep")).expect("an address");
    let now = time::OffsetDateTime::now_utc();
    hosts.browser.change_jar(|jar| jar.set(&url, line, SameSiteContext::SameSite, now).expect("a browser takes it"));
}

#[tokio::test]
async fn a_second_session_cookie_is_cleared_or_told() {
    let hosts = Hosts::start().await;
    let mut tab = hosts.sign_in(&format!("{B}/deep")).await;
    toss(&hosts, "__Secure-samlgate=x; Secure; Path=/");
    tab.visit(&format!("{B}/deep")).await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/deep"), "{}", tab.page().body);

    toss(&hosts, "__Secure-samlgate=x; Secure; Path=/deep");
    tab.visit(&format!("{B}/deep")).await;
    let page = tab.page();
    assert_eq!((page.status, page.url.path()), (403, "/saml/login"), "{}", page.body);
    assert!(page.body.contains("login_loop") && page.body.contains("cookie_twice"), "{}", page.body);
    // Elsewhere everything goes on.
    tab.visit(&format!("{APP}/page")).await;
    assert_eq!(tab.page().status, 200);
}

#[tokio::test]
async fn another_host_can_neither_read_nor_set_what_a_kept_form_needs() {
    let hosts = Hosts::start().await;
    let mut tab = hosts.sign_in(&format!("{B}/page")).await;
    hosts.browser.change_jar(|jar| jar.remove("samlgate.test", SESSION));
    tab.post("/orders", "text/plain", "a=b").await;
    let jar = hosts.browser.jar();
    let secret = jar.cookies().iter().find(|cookie| cookie.name.contains("-form-")).expect("the form's cookie");
    assert!(secret.host_only && secret.domain == "b.samlgate.test" && secret.name.starts_with("__Host-"), "{secret:?}");
    let secret = secret.value.split('.').next().unwrap_or_default().to_owned();
    let shared: Vec<_> = jar.cookies().iter().filter(|cookie| !cookie.host_only).collect();
    assert!(shared.len() == 1 && !shared[0].value.contains(&secret), "{shared:?}");

    // A sign-out at public_url forgets it all the same.
    let mut other = hosts.sign_in(&format!("{APP}/saml/login?rd=/page")).await;
    other.visit(&format!("{APP}/saml/logout")).await;
    let form = other.page().form();
    other.submit(form).await;
    hosts.past_login(&mut tab).await;
    assert_eq!(tab.page().status, 410, "{}", tab.page().body);
    assert!(hosts.upstream.requests().iter().all(|request| request.method != "POST"));
}

#[tokio::test]
async fn a_form_goes_back_to_the_host_that_it_was_for() {
    let hosts = Hosts::start().await;
    let mut tab = hosts.sign_in(&format!("{B}/page")).await;
    hosts.browser.change_jar(|jar| jar.remove("samlgate.test", SESSION));
    tab.post("/orders", "text/plain", "a=b").await;
    assert!(tab.page().body.contains("The form that you sent is kept"), "{}", tab.page().body);
    hosts.past_login(&mut tab).await;
    assert!(tab.page().url.as_str().starts_with(&format!("{B}/saml/replay?")), "{}", tab.page().url);
    assert_eq!(tab.page().form().action.as_str(), format!("{B}/orders"));
    let handle = tab.page().form();
    let mut elsewhere = hosts.browser.tab();
    elsewhere.visit(&format!("{APP}/page")).await;
    let body = format!("samlgate-replay={}", handle.value("samlgate-replay").expect("a handle"));
    tab.submit(handle).await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*format!("{B}/orders")));
    let request = hosts.upstream.last_request();
    assert_eq!((request.one("Host"), request.body.as_str()), (Some("b.samlgate.test:8443"), "a=b"));
    elsewhere.post("/orders", "application/x-www-form-urlencoded", body).await;
    assert_eq!(elsewhere.page().status, 410, "{}", elsewhere.page().body);

    hosts.browser.change_jar(|jar| jar.remove("samlgate.test", SESSION));
    tab.follow("/page").await;
    hosts.past_login(&mut tab).await;
    hosts.browser.change_jar(|jar| jar.remove("samlgate.test", SESSION));
    tab.post("/orders", "text/plain", "c=d").await;
    hosts.past_login(&mut tab).await;
    let body = format!("samlgate-replay={}", tab.page().form().value("samlgate-replay").expect("a handle"));
    let posts = || hosts.upstream.requests().iter().filter(|request| request.method == "POST").count();
    let before = posts();
    elsewhere.visit(&format!("{APP}/page")).await;
    elsewhere.post("/orders", "application/x-www-form-urlencoded", body).await;
    assert!(elsewhere.page().status >= 400, "the same path of another host is another place");
    assert_eq!(posts(), before);
}

#[tokio::test]
async fn signing_out_anywhere_is_signing_out_everywhere() {
    let hosts = Hosts::start().await;
    let mut tab = hosts.sign_in(&format!("{B}/page")).await;
    // As a button of the application would.
    tab.post("/saml/logout?everywhere=1", "application/x-www-form-urlencoded", "").await;
    assert_eq!((tab.page().status, tab.page().url.origin().ascii_serialization().as_str()), (200, B));
    assert!(hosts.session_cookies().is_empty());
    for origin in [APP, B] {
        tab.visit(&format!("{origin}/page")).await;
        assert_eq!(tab.page().url.path(), "/saml/login");
    }
    hosts.past_login(&mut tab).await;
    // From the link that the application shows, by the page that asks.
    tab.follow("/saml/logout").await;
    assert_eq!(tab.page().url.origin().ascii_serialization(), APP);
    let form = tab.page().form().press("Sign out");
    tab.submit(form).await;
    assert_eq!(tab.page().status, 200);
    assert!(hosts.session_cookies().is_empty());
    assert!(hosts.browser.cookie("app.samlgate.test", BINDING).is_none());
}

#[tokio::test]
async fn browsers_carry_a_sealed_session_to_every_host() {
    let hosts = Hosts::start_with(json!({ "store": "sealed", "cookie_domain": "samlgate.test" })).await;
    let mut tab = hosts.sign_in(&format!("{B}/page")).await;
    assert_eq!(tab.page().url.as_str(), format!("{B}/page"));
    let mut carried = hosts.session_cookies();
    carried.sort();
    assert_eq!(carried, [on_domain(SESSION), on_domain("__Secure-samlgate-1")]);
    tab.visit(&format!("{APP}/admin/x")).await;
    assert_eq!(tab.page().status, 200);
    tab.post("/saml/logout", "text/plain", "").await;
    assert!(hosts.session_cookies().is_empty(), "{:?}", hosts.session_cookies());
}

#[tokio::test]
async fn a_background_request_is_told_a_login_address_of_its_own_host() {
    let hosts = Hosts::start().await;
    let tab = hosts.sign_in(&format!("{B}/page")).await;
    hosts.browser.change_jar(|jar| jar.remove("samlgate.test", SESSION));
    let answer = tab.fetch(Fetch::get("/api/x")).await;
    assert_eq!(answer.status, 401);
    let login_url = answer.json()["login_url"].as_str().expect("an address").to_owned();
    assert!(login_url.starts_with(&format!("{B}/saml/login?rd=")), "{login_url}");
    let mut pop_up = hosts.browser.tab();
    pop_up.visit(&format!("{login_url}&popup=1")).await;
    hosts.past_login(&mut pop_up).await;
    assert_eq!(pop_up.page().url.as_str(), format!("{B}/saml/signed-in"), "the page that waits is of this origin");
    assert_eq!(tab.fetch(Fetch::get("/api/x")).await.status, 200);
}
