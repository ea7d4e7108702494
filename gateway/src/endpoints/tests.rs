//! The endpoints, called as the request road calls them.

use bytes::Bytes;
use config::Scheme;
use http::header::{CACHE_CONTROL, ETAG, LOCATION, SET_COOKIE};
use http::{HeaderName, StatusCode};
use saml_core::RequestId;

use super::*;
use crate::loop_cause::LoopCause;
use crate::session::{PendingState, Ticket};
use crate::testing;

struct Visitor {
    gateway: Gateway,
    headers: HeaderMap,
    session: Option<Arc<Session>>,
    host: &'static str,
}

impl Visitor {
    fn new(headers: &[(&'static str, &str)]) -> Self {
        let gateway = Gateway::new(testing::settings()).unwrap();
        Self { gateway, headers: testing::headers(headers), session: None, host: "app.example.com" }
    }

    /// Of the second of two hosts that share the sign-in.
    fn of_b(headers: &[(&'static str, &str)]) -> Self {
        let mut settings = testing::settings();
        settings.hosts = vec![Origin { scheme: Scheme::Https, authority: "b.example.com".to_owned() }];
        settings.session.cookie_domain = Some("example.com".to_owned());
        Self { gateway: Gateway::new(settings).unwrap(), host: "b.example.com", ..Self::new(headers) }
    }

    async fn call(&self, method: Method, endpoint: Endpoint, target: &str) -> Result<Answer, Refusal> {
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let call = Call {
            gateway: &self.gateway,
            method: &method,
            headers: &self.headers,
            host: self.gateway.hosts().named(self.host).unwrap(),
            path,
            query,
            body: b"",
            client: IpAddr::from([192, 0, 2, 1]),
            session: self.session.as_ref(),
            browser: &Browser::of(&self.headers),
            request_id: "0123",
            now: testing::at(1_000),
        };
        serve(endpoint, &call).await
    }

    async fn get(&self, endpoint: Endpoint, target: &str) -> Result<Answer, Refusal> {
        self.call(Method::GET, endpoint, target).await
    }

    async fn start(&self) -> Answer {
        self.get(Endpoint::Start, "/saml/start/jumpcloud?rd=/deep&round=2-990").await.unwrap()
    }
}

fn header(answer: &Answer, name: HeaderName) -> &str {
    answer.headers().get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
}

fn text(answer: &Answer) -> String {
    let body: &Bytes = answer.body();
    String::from_utf8(body.to_vec()).unwrap()
}

/// The request ID in the AuthnRequest of a redirect is not read here: each login has another one.
fn relay_state(answer: &Answer) -> String {
    let query = header(answer, LOCATION).split_once('?').unwrap().1;
    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "RelayState").unwrap().1.into_owned()
}

fn binding() -> String {
    format!("__Host-samlgate-login={}", "A".repeat(43))
}

#[tokio::test]
async fn start_sends_to_the_idp_and_binds_the_browser() {
    let visitor = Visitor::new(&[]);
    let answer = visitor.start().await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert!(header(&answer, LOCATION).starts_with("https://sso.example/saml2/app?SAMLRequest="));
    let cookie = header(&answer, SET_COOKIE);
    assert!(cookie.starts_with("__Host-samlgate-login=") && cookie.contains("SameSite=None"), "{cookie}");
    let (first, second) = (relay_state(&answer), relay_state(&visitor.start().await));
    assert!(first != second && first.len() <= 80);
}

#[tokio::test]
async fn start_keeps_the_binding_that_the_browser_has() {
    assert_eq!(header(&Visitor::new(&[("cookie", &binding())]).start().await, SET_COOKIE), "");
    for bad in [format!("{0}; {0}", binding()), "__Host-samlgate-login=x".to_owned()] {
        assert_ne!(header(&Visitor::new(&[("cookie", &bad)]).start().await, SET_COOKIE), "", "{bad}");
    }
}

#[tokio::test]
async fn start_makes_no_login_for_whoever_only_looks() {
    let prefetch = Visitor::new(&[("sec-purpose", "prefetch")]);
    assert_eq!(prefetch.start().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    let visitor = Visitor::new(&[]);
    let head = visitor.call(Method::HEAD, Endpoint::Start, "/saml/start/jumpcloud").await.unwrap();
    assert_eq!((head.status(), header(&head, LOCATION)), (StatusCode::OK, ""));
    let script = Visitor::new(&[("sec-fetch-mode", "cors")]);
    let refused = script.get(Endpoint::Start, "/saml/start/jumpcloud").await.unwrap_err();
    assert_eq!(refused, Refusal::LoginRequired);
    let unknown = visitor.get(Endpoint::Start, "/saml/start/nobody").await.unwrap_err();
    assert_eq!(unknown.code(), "unknown_identity_provider");
}

#[tokio::test]
async fn login_page_has_a_button_for_each_idp_and_sends_on_who_is_signed_in() {
    let mut visitor = Visitor::new(&[]);
    let page = visitor.get(Endpoint::Login, "/saml/login?rd=/a%3Fb").await.unwrap();
    for idp in ["jumpcloud", "okta"] {
        assert!(text(&page).contains(&format!("href=\"/saml/start/{idp}?rd=%2Fa%3Fb\"")));
    }
    visitor.session = Some(testing::session(|_| ()));
    let answer = visitor.get(Endpoint::Login, "/saml/login?rd=https://evil.example/").await.unwrap();
    assert_eq!((answer.status(), header(&answer, LOCATION)), (StatusCode::SEE_OTHER, "/"));
}

#[tokio::test]
async fn resume_goes_on_begins_anew_or_gives_up() {
    let mut visitor = Visitor::new(&[]);
    let again = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a&round=1-990&idp=okta").await.unwrap();
    assert_eq!(header(&again, LOCATION), "/saml/start/okta?rd=%2Fa&round=2-990");
    assert!(header(&again, SET_COOKIE).starts_with("__Host-samlgate-rounds=2-990;"));
    // Two IdPs, and nothing says which one.
    let choose = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a").await.unwrap();
    assert_eq!(header(&choose, LOCATION), "/saml/login?rd=%2Fa");
    let codes = [("assertion_replayed", LoopCause::Unknown), ("<b>", LoopCause::NotRemembered)];
    for (last, cause) in codes {
        let target = format!("/saml/resume?rd=/a&round=3-990&last={last}");
        let page = text(&visitor.get(Endpoint::Resume, &target).await.unwrap());
        assert!(page.contains("http-equiv=\"refresh\"") && !page.contains("<b>"), "{page}");
        let refused = visitor.get(Endpoint::Resume, &format!("{target}&look=2")).await.unwrap_err();
        assert_eq!(refused.likely_cause(), Some(cause));
        assert_eq!(refused.code(), "login_loop");
    }
    visitor.session = Some(testing::session(|_| ()));
    let home = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a&round=3-990").await.unwrap();
    assert_eq!(header(&home, LOCATION), "/a");
}

#[tokio::test]
async fn rounds_are_counted_without_the_url_too() {
    let visitor = Visitor::new(&[("cookie", "a=b; __Host-samlgate-rounds=3-990")]);
    let page = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a").await.unwrap();
    assert!(text(&page).contains("/saml/resume?rd=/a&#38;look=2"), "{}", text(&page));
    let refused = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a&look=2").await.unwrap_err();
    assert_eq!(refused.code(), "login_loop");
}

#[tokio::test]
async fn a_login_in_a_pop_up_ends_at_the_page_that_closes_it() {
    let mut visitor = Visitor::new(&[]);
    let page = visitor.get(Endpoint::Login, "/saml/login?rd=/a&popup=1").await.unwrap();
    assert!(text(&page).contains("href=\"/saml/start/okta?rd=%2Fa&#38;popup=1\""), "{}", text(&page));
    let again = visitor.get(Endpoint::Resume, "/saml/resume?rd=/a&round=1-990&idp=okta&popup=1").await.unwrap();
    assert_eq!(header(&again, LOCATION), "/saml/start/okta?rd=%2Fa&round=2-990&popup=1");
    visitor.session = Some(testing::session(|_| ()));
    for (endpoint, target) in [(Endpoint::Login, "/saml/login"), (Endpoint::Resume, "/saml/resume")] {
        let answer = visitor.get(endpoint, &format!("{target}?rd=/a&popup=1")).await.unwrap();
        assert_eq!(header(&answer, LOCATION), "/saml/signed-in");
    }
}

#[tokio::test]
async fn client_js_is_asked_for_anew_by_its_tag() {
    let first = Visitor::new(&[]).get(Endpoint::ClientJs, "/saml/client.js").await.unwrap();
    let tag = header(&first, ETAG).to_owned();
    assert_eq!((first.status(), header(&first, CACHE_CONTROL)), (StatusCode::OK, "public, no-cache"));
    for (known, status) in [(tag.clone(), 304), (format!("\"x\", W/{tag}"), 304), ("\"x\"".to_owned(), 200)] {
        let visitor = Visitor::new(&[("if-none-match", &known)]);
        let answer = visitor.get(Endpoint::ClientJs, "/saml/client.js").await.unwrap();
        assert_eq!((answer.status().as_u16(), text(&answer).is_empty()), (status, status == 304), "{known}");
        assert_eq!(header(&answer, ETAG), tag);
    }
}

#[tokio::test]
async fn a_session_that_shows_only_within_the_site_names_its_cause() {
    let mut visitor = Visitor::new(&[("cookie", &binding())]);
    visitor.session = Some(testing::session(|_| ()));
    let target = "/saml/resume?rd=/a&round=3-990&last=session_cookie_missing&look=2";
    let refused = visitor.get(Endpoint::Resume, target).await.unwrap_err();
    assert_eq!(refused, Refusal::LoginLoop { last: "session_cookie_missing", cause: LoopCause::SameSite });
    for site in ["cross-site", "same-site", "none"] {
        let from_elsewhere = Visitor { session: visitor.session.clone(), ..Visitor::new(&[("sec-fetch-site", site)]) };
        let home = from_elsewhere.get(Endpoint::Resume, target).await.unwrap();
        assert_eq!(header(&home, LOCATION), "/a", "a link from {site}");
    }
    let other = target.replace("session_cookie_missing", "login_of_other_browser");
    assert_eq!(header(&visitor.get(Endpoint::Resume, &other).await.unwrap(), LOCATION), "/a");
}

#[tokio::test]
async fn userinfo_says_who_is_signed_in() {
    let mut visitor = Visitor::new(&[]);
    assert_eq!(visitor.get(Endpoint::Userinfo, "/saml/userinfo").await.unwrap_err(), Refusal::LoginRequired);
    visitor.session = Some(testing::session(|record| record.groups = ["admins"].iter().collect()));
    let value: serde_json::Value =
        serde_json::from_str(&text(&visitor.get(Endpoint::Userinfo, "/saml/userinfo").await.unwrap())).unwrap();
    assert_eq!((&value["idp"], &value["groups"][0]), (&"jumpcloud".into(), &"admins".into()));
}

#[tokio::test]
async fn sign_out_ends_the_session_and_clears_both_cookies() {
    let mut visitor = Visitor::new(&[("origin", "https://app.example.com")]);
    let record = (*testing::session(|_| ()).record).clone();
    let now = testing::at(1_000);
    let ticket: Ticket = visitor.gateway.sessions.open(record, &Browser::none()).await.unwrap();
    visitor.session = visitor.gateway.sessions.lookup(&ticket, &Browser::none(), now).await.unwrap();
    assert!(visitor.session.is_some());
    let answer = visitor.call(Method::POST, Endpoint::Logout, "/saml/logout").await.unwrap();
    let cleared: Vec<_> = answer.headers().get_all(SET_COOKIE).iter().collect();
    assert_eq!(cleared.len(), 2);
    assert!(cleared.iter().all(|cookie| cookie.to_str().unwrap().contains("Max-Age=0")));
    assert!(visitor.gateway.sessions.lookup(&ticket, &Browser::none(), now).await.unwrap().is_none());
    let foreign = Visitor::new(&[("sec-fetch-site", "cross-site")]);
    let refused = foreign.call(Method::POST, Endpoint::Logout, "/saml/logout").await.unwrap_err();
    assert_eq!(refused, Refusal::CrossSiteRequest);
}

#[tokio::test]
async fn a_wrong_method_is_told_the_right_ones() {
    let visitor = Visitor::new(&[]);
    for (method, endpoint, wanted) in
        [(Method::GET, Endpoint::Acs, "POST"), (Method::PUT, Endpoint::Logout, "GET, HEAD, POST")]
    {
        let refused = visitor.call(method, endpoint, "/saml/x").await.unwrap_err();
        assert_eq!(refused, Refusal::EndpointMethod { wanted });
    }
}

#[tokio::test]
async fn acs_refuses_what_is_no_form_and_opens_nothing() {
    let visitor = Visitor::new(&[("content-type", "application/x-www-form-urlencoded")]);
    let refused = visitor.call(Method::POST, Endpoint::Acs, "/saml/acs").await.unwrap_err();
    assert_eq!(refused.code(), "saml_response_missing");
    let id = RequestId::from_random([1; 20]);
    let state = visitor.gateway.store().pending(id.as_str(), testing::at(1_000), &Browser::none()).await.unwrap();
    assert!(matches!(state, PendingState::Unknown));
}

#[tokio::test]
async fn logins_live_on_public_url() {
    let visitor = Visitor::of_b(&[]);
    for (endpoint, target, expected) in [
        (Endpoint::Login, "/saml/login", "/saml/login?rd=https%3A%2F%2Fb.example.com%2F"),
        (Endpoint::Login, "/saml/login?popup=1&rd=/a", "/saml/login?rd=https%3A%2F%2Fb.example.com%2Fa&popup=1"),
        (
            Endpoint::Start,
            "/saml/start/okta?rd=https://app.example.com/a",
            "/saml/start/okta?rd=https%3A%2F%2Fapp.example.com%2Fa",
        ),
        (Endpoint::Resume, "/saml/resume?rd=//evil.example", "/saml/resume?rd=https%3A%2F%2Fb.example.com%2F"),
        (Endpoint::Logout, "/saml/logout", "/saml/logout?rd=https%3A%2F%2Fb.example.com%2F"),
    ] {
        let answer = visitor.get(endpoint, target).await.unwrap();
        let location = format!("https://app.example.com{expected}");
        assert_eq!((answer.status(), header(&answer, LOCATION)), (StatusCode::FOUND, location.as_str()), "{target}");
    }
    for endpoint in [Endpoint::Acs, Endpoint::Slo] {
        let refused = visitor.call(Method::POST, endpoint, "/saml/acs").await.unwrap_err();
        let (seen, wanted) = ("b.example.com".to_owned(), "app.example.com".to_owned());
        assert_eq!(refused, Refusal::UnknownHost { seen, wanted });
    }
    for (endpoint, target) in [(Endpoint::Metadata, "/saml/metadata"), (Endpoint::Style, "/saml/style.css")] {
        assert_eq!(visitor.get(endpoint, target).await.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_login_leads_back_to_the_host_that_it_came_from() {
    let gateway = Visitor::of_b(&[]).gateway;
    let back = "https://b.example.com/a";
    assert_eq!(gateway.landing_url(Landing::ReturnUrl, back), back);
    assert_eq!(gateway.landing_url(Landing::PopUp, back), "https://b.example.com/saml/signed-in");
    let form = FormId::parse("0123456789abcdef").unwrap();
    let replay = gateway.landing_url(Landing::Form(form), back);
    assert!(
        replay.starts_with("https://b.example.com/saml/replay?rd=https%3A%2F%2Fb.example.com%2Fa&form="),
        "{replay}"
    );
    assert!(gateway.login_url(back).starts_with("https://app.example.com/saml/login?rd=https"));
    let home = Visitor { host: "app.example.com", ..Visitor::of_b(&[]) };
    let page = home.get(Endpoint::Login, "/saml/login?rd=https://b.example.com/a").await.unwrap();
    assert!(text(&page).contains("to continue to <strong>b.example.com</strong>"), "{}", text(&page));
}

#[tokio::test]
async fn a_page_of_another_host_signs_out_there() {
    for (origin, expected) in [("https://b.example.com", true), ("https://app.example.com", false), ("null", false)] {
        let visitor = Visitor::of_b(&[("origin", origin)]);
        let outcome = visitor.call(Method::POST, Endpoint::Logout, "/saml/logout").await;
        let Ok(answer) = outcome else {
            assert_eq!((outcome.unwrap_err(), expected), (Refusal::CrossSiteRequest, false));
            continue;
        };
        assert_eq!((answer.status(), expected), (StatusCode::OK, true));
        let cleared = "__Secure-samlgate=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.com; Max-Age=0";
        assert_eq!(header(&answer, SET_COOKIE), cleared);
    }
}
