//! The main job: from a deep link to the page that knows who it is.

use harness::browser::{Browser, Fetch};
use harness::gateway::GatewayBuilder;
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::Sign;
use harness::upstream::Upstream;
use harness::world::World;
use serde_json::json;

use crate::support::{BINDING, SESSION, samlgate, session_cookie};

#[tokio::test]
async fn a_person_signs_in_and_lands_at_the_deep_link() {
    let world = World::start(samlgate()).await;
    let tab = world.sign_in("ada", "/deep/link?x=1&y=%20").await;
    assert_eq!(tab.page().status, 200);
    assert_eq!(tab.page().url.as_str(), world.gateway.url("/deep/link?x=1&y=%20"));

    let request = world.upstream.last_request();
    assert_eq!(request.target, "/deep/link?x=1&y=%20");
    assert_eq!(request.one("X-Forwarded-User"), Some("5f1e0000000000000000ada1"));
    assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
    assert_eq!(request.one("X-Forwarded-Preferred-Username"), Some("ada@demo.example"));
    assert_eq!(request.one("X-Forwarded-Groups"), Some("admins,engineers"));
    assert_eq!(request.one("X-Forwarded-Proto"), Some("http"));
    assert_eq!(request.one("X-Forwarded-Host"), Some(world.gateway.authority()));
    assert_eq!(request.one("X-Forwarded-For"), Some("127.0.0.1"));
    assert_eq!(request.one("Host"), Some(world.gateway.authority()));
    assert!(request.all("Cookie").iter().all(|cookie| !cookie.contains("samlgate")));
    assert_eq!(world.upstream.requests().len(), 1, "nothing reached the application before the sign-in");
}

#[tokio::test]
async fn the_answer_comes_with_the_binding_cookie_and_without_the_session() {
    let world = World::start(samlgate()).await;
    let mut tab = world.sign_in("ada", "/").await;
    assert!(session_cookie(&world.browser).len() > 40);
    // Once more, with a session: the cross-site POST still carries only the binding.
    tab.visit(&world.gateway.url("/saml/start/jumpcloud?rd=/again")).await;
    tab.auto_submit().await;
    assert_eq!(tab.page().url.path(), "/again");
    let post = world.browser.last_to("/saml/acs");
    assert!(post.sent_cookie(BINDING).is_some() && post.sent_cookie(SESSION).is_none());
    assert_eq!(post.header("sec-fetch-site"), Some("cross-site"));
}

#[tokio::test]
async fn a_reload_needs_no_new_login_and_a_new_session_has_a_new_ticket() {
    let world = World::start(samlgate()).await;
    let mut tab = world.sign_in("ada", "/a").await;
    let first = session_cookie(&world.browser);
    tab.reload().await;
    assert_eq!((tab.page().status, world.idp.requests().len()), (200, 1));
    tab.visit(&world.gateway.url("/saml/start/jumpcloud?rd=/b")).await;
    tab.auto_submit().await;
    let second = session_cookie(&world.browser);
    assert_ne!(first, second, "a login never keeps the ticket from before it");
    let old =
        harness::raw::get(world.gateway.address(), world.gateway.authority(), "/a", &[&format!("Cookie: {first}")])
            .await;
    assert_eq!(old.status, 401, "the session from before the login is over");
}

#[tokio::test]
async fn sign_out_ends_the_session_here() {
    let world = World::start(samlgate()).await;
    let mut tab = world.sign_in("ada", "/a").await;
    let cookie = session_cookie(&world.browser);
    tab.visit(&world.gateway.url("/saml/logout")).await;
    let form = tab.page().form();
    tab.submit(form).await;
    assert_eq!(tab.page().status, 200);
    assert!(
        world.browser.cookie("localhost", SESSION).is_none() && world.browser.cookie("localhost", BINDING).is_none()
    );
    let again =
        harness::raw::get(world.gateway.address(), world.gateway.authority(), "/a", &[&format!("Cookie: {cookie}")])
            .await;
    assert_eq!(again.status, 401, "the ticket is worth nothing any more");
}

#[tokio::test]
async fn a_page_of_another_site_signs_nobody_out() {
    let world = World::start(samlgate()).await;
    let tab = world.sign_in("ada", "/a").await;
    let cookie = session_cookie(&world.browser);
    for headers in
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: http://evil.example", "Origin: null"]
    {
        let request = format!(
            "POST /saml/logout HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n{headers}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            world.gateway.authority()
        );
        let answer = harness::raw::exchange(world.gateway.address(), request).await;
        assert_eq!(answer.status, 403, "{headers}");
    }
    assert_eq!(tab.fetch(Fetch::get("/a")).await.status, 200, "still signed in");
}

#[tokio::test]
async fn background_requests_get_401_with_the_way_to_sign_in_and_start_no_login() {
    let world = World::start(samlgate()).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.gateway.url("/saml/login")).await;
    for fetch in [
        Fetch::get("/data"),
        Fetch::image("/logo.png"),
        Fetch::prefetch("/next"),
        Fetch::post("/data", "application/json", "{}"),
    ] {
        let page = tab.fetch(fetch).await;
        assert_eq!(page.status, 401);
        assert_eq!(page.json()["code"], "login_required");
        let login_url = page.json()["login_url"].as_str().unwrap().to_owned();
        assert!(login_url.starts_with(&world.gateway.url("/saml/login")), "{login_url}");
    }
    let page = tab.fetch(Fetch::frame("/framed")).await;
    assert_eq!(page.status, 401);
    assert!(page.header("content-type").unwrap().starts_with("text/html"));
    let api = tab.visit(&world.gateway.url("/api/x")).await;
    assert_eq!((api.status, api.json()["code"].as_str()), (401, Some("login_required")));
    assert!(world.browser.cookie("localhost", BINDING).is_none() && world.idp.requests().is_empty());
    assert!(world.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_public_route_carries_nobody_and_asks_nothing() {
    let world = World::start(samlgate()).await;
    let mut stranger = Browser::new().tab();
    assert_eq!(stranger.visit(&world.gateway.url("/public/x")).await.status, 200);
    let mut tab = world.sign_in("ada", "/").await;
    assert_eq!(tab.visit(&world.gateway.url("/public/x")).await.status, 200);
    for request in world.upstream.requests().iter().filter(|request| request.path() == "/public/x") {
        assert_eq!(request.one("X-Forwarded-User"), None);
        assert!(request.all("Cookie").iter().all(|cookie| !cookie.contains("samlgate")));
    }
}

#[tokio::test]
async fn the_post_binding_works_with_a_script_and_without() {
    let world =
        World::start_with(samlgate(), |gateway| gateway.set("identity_providers.0.binding", json!("post"))).await;
    let mut tab = world.at_idp("/deep").await;
    assert!(tab.page().forms().iter().any(|form| form.value("SAMLRequest").is_some()), "{}", tab.page().body);
    tab.auto_submit().await;
    world.idp.sign_in(&mut tab, "ada").await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/deep"));
}

#[tokio::test]
async fn the_idps_metadata_gives_the_same_trust() {
    for (declared, binding) in [(true, "redirect"), (false, "post")] {
        let builder = GatewayBuilder::new(samlgate());
        let mut settings = IdpSettings::new("jumpcloud", &builder.sp_entity_id(), &builder.acs_url());
        settings.sign = Sign::Both;
        settings.declare_redirect_endpoint = declared;
        let idp = Idp::start(IdpOptions::new(settings)).await;
        assert_eq!(idp.metadata().contains("HTTP-Redirect"), declared);
        let upstream = Upstream::start().await;
        let trust = json!([{ "id": "jumpcloud", "entity_id": "jumpcloud", "metadata_file": "metadata.xml", "binding": binding }]);
        let builder = builder.protect(&upstream).file("metadata.xml", &idp.metadata()).set("identity_providers", trust);
        let gateway = builder.start().await;

        let mut tab = Browser::new().tab();
        tab.visit(&gateway.url("/saml/start/jumpcloud?rd=/m")).await;
        if binding == "post" {
            tab.auto_submit().await;
        }
        idp.sign_in(&mut tab, "ada").await;
        tab.auto_submit().await;
        assert_eq!((tab.page().status, tab.page().url.path()), (200, "/m"), "{binding}");
    }
}

#[tokio::test]
async fn each_sign_option_of_jumpcloud_works_with_its_setting() {
    for (sign, setting) in [
        (Sign::Both, "assertion_and_response"),
        (Sign::Response, "response"),
        (Sign::Assertion, "assertion"),
        (Sign::Assertion, "any"),
    ] {
        let world =
            World::start_with(samlgate(), |gateway| gateway.set("identity_providers.0.sign", json!(setting))).await;
        world.idp.change(|settings| settings.sign = sign);
        let tab = world.sign_in("ben", "/x").await;
        assert_eq!((tab.page().status, tab.page().url.path()), (200, "/x"), "{setting}");
    }
}

#[tokio::test]
async fn the_login_page_shows_the_button_as_set_and_can_be_left_out() {
    let world = World::start_with(samlgate(), |gateway| {
        gateway.set(
            "identity_providers.0.button",
            json!({ "text": "Sign in with <Acme>", "image_url": "/public/acme.png" }),
        )
    })
    .await;
    let mut tab = world.browser.tab();
    tab.visit(&world.gateway.url("/x")).await;
    assert_eq!(tab.page().url.path(), "/saml/login");
    assert!(tab.page().visible_text().contains("Sign in with <Acme>"));
    assert!(tab.page().body.contains("/public/acme.png"));
    drop(world);

    let world = World::start_with(samlgate(), |gateway| gateway.set("login_page", json!(false))).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.gateway.url("/x")).await;
    assert!(tab.page().url.as_str().starts_with(world.idp.origin()), "{}", tab.page().url);
}

#[tokio::test]
async fn return_addresses_lead_nowhere_else() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let mut tab = world.browser.tab();
    for rd in [
        "https://evil.example/",
        "//evil.example/",
        "/%5cevil.example",
        "/\\evil.example",
        "https:evil.example",
        "/saml/logout",
        "javascript:alert(1)",
        "/\t/evil.example",
    ] {
        let mut url = url::Url::parse(&world.gateway.url("/saml/start/jumpcloud")).unwrap();
        url.query_pairs_mut().append_pair("rd", rd);
        tab.visit(url.as_str()).await;
        tab.auto_submit().await;
        let landed = tab.page().url.as_str().to_owned();
        assert!(landed.starts_with(&world.gateway.url("/")), "{rd} led to {landed}");
        assert!(!tab.page().url.path().starts_with("/saml"), "{rd} led to {landed}");
    }
}

#[tokio::test]
async fn tabs_of_one_browser_finish_in_any_order() {
    let world = World::start(samlgate()).await;
    let mut tabs = Vec::new();
    for number in 0..5 {
        tabs.push((number, world.at_idp(&format!("/tab/{number}")).await));
    }
    tabs.reverse();
    for (number, tab) in &mut tabs {
        if tab.page().forms().iter().any(|form| form.value("password").is_some()) {
            world.idp.sign_in(tab, "ada").await;
        }
        tab.auto_submit().await;
        assert_eq!((tab.page().status, tab.page().url.path()), (200, format!("/tab/{number}").as_str()));
    }
}

#[tokio::test]
async fn a_login_in_a_pop_up_ends_at_our_own_page() {
    let world = World::start(samlgate()).await;
    let mut tab = world.browser.tab();
    tab.visit(&world.gateway.url("/saml/login?rd=/app&popup=1")).await;
    tab.click("Login with JumpCloud").await;
    world.idp.sign_in(&mut tab, "ada").await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/saml/signed-in"));
    assert!(tab.page().sources("script").iter().any(|script| script.path() == "/saml/signed-in.js"));
    session_cookie(&world.browser);
    assert!(world.upstream.requests().is_empty(), "the application is shown in no pop-up");
}
