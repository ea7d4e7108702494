//! Single logout, by both bindings and from both sides, and what must not sign anybody out.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::browser::{Browser, Tab};
use harness::gateway::GatewayBuilder;
use harness::idp::{Binding, LogoutAnswer, LogoutMessage};
use harness::issuer::logout::{LogoutBody, LogoutSpec, Query};
use harness::issuer::{Sign, SigningKey, test_keys};
use harness::raw::{self, RawResponse};
use harness::world::World;
use serde_json::{Value, json};

use crate::support::{SESSION, another, key_file, post_acs, samlgate, session_cookie};

const BINDINGS: [&str; 2] = ["redirect", "post"];

fn keys(gateway: GatewayBuilder) -> GatewayBuilder {
    gateway.file("keys/sp-signing.current", &key_file(test_keys::p256())).set("keys_dir", json!("keys"))
}

/// The gateway's messages and the IdP's travel by `binding`.
async fn world(binding: &str) -> World {
    let by_post = binding == "post";
    // The IdP's address is known once it runs.
    let world = World::start_with_idp(samlgate(), |gateway, idp| {
        idp.change(|settings| settings.single_logout.by_post = by_post);
        let single_logout = json!({ "url": idp.slo_url(), "binding": binding });
        keys(gateway).set("identity_providers.0.single_logout", single_logout)
    });
    world.await
}

async fn is_signed_in(world: &World, browser: &Browser) -> bool {
    let Some(cookie) = browser.cookie("localhost", SESSION) else { return false };
    has_session(world, &format!("{SESSION}={}", cookie.value)).await
}

/// Whether the session lives, whatever the browser still holds.
async fn has_session(world: &World, cookie: &str) -> bool {
    let (address, host) = (world.gateway.address(), world.gateway.authority());
    let answer = raw::get(address, host, "/saml/userinfo", &[&format!("Cookie: {cookie}")]).await;
    assert!(matches!(answer.status, 200 | 401), "{}", answer.text());
    answer.status == 200
}

async fn post_slo(world: &World, field: &str, xml: &str) -> RawResponse {
    post(world, "/saml/slo", field, xml).await
}

async fn post(world: &World, path: &str, field: &str, xml: &str) -> RawResponse {
    let body = form_urlencoded::Serializer::new(String::new())
        .append_pair(field, &STANDARD.encode(xml))
        .append_pair("RelayState", "of the IdP")
        .finish();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nAccept: text/html\r\nSec-Fetch-Site: cross-site\r\n\
         Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        world.gateway.authority(),
        world.idp.origin(),
        body.len(),
    );
    raw::exchange(world.gateway.address(), request).await
}

async fn get_slo(world: &World, query: &str) -> RawResponse {
    let target = format!("/saml/slo?{query}");
    raw::get(world.gateway.address(), world.gateway.authority(), &target, &["Accept: text/html"]).await
}

/// By the binding, signed with `key`.
async fn send(world: &World, binding: &str, spec: &LogoutSpec, key: &SigningKey) -> RawResponse {
    match binding {
        "post" => post_slo(world, spec.parameter(), &spec.signed(key)).await,
        _ => get_slo(world, &spec.query(Some("of the IdP"), key).text()).await,
    }
}

async fn logouts(world: &World, initiator: &str, result: &str) -> f64 {
    world.gateway.metric("samlgate_logouts_total", &[("initiator", initiator), ("result", result)]).await
}

async fn press_sign_out(world: &World, tab: &mut Tab, button: &str) {
    tab.visit(&world.gateway.url("/saml/logout")).await;
    let form = tab.page().form().press(button);
    tab.submit(form).await;
}

fn last(world: &World, name: &str) -> LogoutMessage {
    let all = world.idp.logout_messages();
    all.iter().rev().find(|message| message.name == name).unwrap_or_else(|| panic!("no {name}: {all:?}")).clone()
}

#[tokio::test]
async fn the_user_signs_out_everywhere_by_both_bindings() {
    for binding in BINDINGS {
        let world = world(binding).await;
        let mut tab = world.sign_in("ada", "/a").await;
        let cookie = session_cookie(&world.browser);
        assert!(has_session(&world, &cookie).await && world.idp.has_session("ada"));
        press_sign_out(&world, &mut tab, "everywhere").await;
        assert!(!has_session(&world, &cookie).await, "{binding}: the session here ends first");
        assert!(world.browser.cookie("localhost", SESSION).is_none());
        if binding == "post" {
            assert!(world.idp.has_session("ada") && tab.page().visible_text().contains("Signing out"));
            tab.auto_submit().await;
            // And the IdP's answer, by POST as well.
            tab.auto_submit().await;
        }
        assert_eq!(tab.page().status, 200, "{binding}: {}", tab.page().body);
        assert!(tab.page().visible_text().contains("its own session has ended as well"), "{}", tab.page().body);
        assert!(!world.idp.has_session("ada"), "{binding}");

        let request = last(&world, "LogoutRequest");
        assert_eq!(request.binding == Binding::Post, binding == "post");
        assert!(request.is_signed_by(test_keys::p256()), "{binding}: {}", request.xml);
        assert!(!request.is_signed_by(test_keys::stranger()), "the control of the check");
        assert_eq!(request.destination, Some(world.idp.slo_url()));
        assert_eq!(request.name_id.as_deref(), Some("ada@demo.example"));
        assert!(request.xml.contains("Format=\"urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified\""));
        assert_eq!(request.session_indexes, world.idp.session_indexes("ada"));
        assert!(request.relay_state.is_some_and(|handle| handle.len() == 40));
        assert_eq!((logouts(&world, "user", "asked").await, logouts(&world, "user", "complete").await), (1.0, 1.0));
    }
}

#[tokio::test]
async fn the_page_says_what_the_idp_said() {
    for (answer, said, result) in [
        (LogoutAnswer::Partial, "could not end the session of every application", "partial"),
        (LogoutAnswer::Denied, "did not sign you out", "failed"),
    ] {
        let world = world("redirect").await;
        world.idp.change(|settings| settings.single_logout.answer = answer);
        let mut tab = world.sign_in("ada", "/a").await;
        press_sign_out(&world, &mut tab, "everywhere").await;
        assert!(tab.page().visible_text().contains(said), "{}", tab.page().body);
        assert!(tab.page().visible_text().contains("You are signed out"));
        assert_eq!(logouts(&world, "user", result).await, 1.0);
    }
}

#[tokio::test]
async fn an_answer_that_is_not_the_idps_says_nothing() {
    for (answer, code) in [
        (LogoutAnswer::Unsigned, "logout_not_signed"),
        (LogoutAnswer::SignedByStranger, "logout_signature_invalid"),
        (LogoutAnswer::ToAnotherRequest, "logout_in_response_to_mismatch"),
    ] {
        let world = world("redirect").await;
        world.idp.change(|settings| settings.single_logout.answer = answer);
        let mut tab = world.sign_in("ada", "/a").await;
        let cookie = session_cookie(&world.browser);
        press_sign_out(&world, &mut tab, "everywhere").await;
        assert!(tab.page().visible_text().contains(code), "{}", tab.page().body);
        assert!(!has_session(&world, &cookie).await, "signed out here all the same");
        assert_eq!(logouts(&world, "", "refused").await, 1.0);
    }
}

#[tokio::test]
async fn an_idp_that_never_answers_leaves_the_user_signed_out_here() {
    let world = world("redirect").await;
    world.idp.change(|settings| settings.single_logout.answer = LogoutAnswer::Silence);
    let mut tab = world.sign_in("ada", "/a").await;
    let cookie = session_cookie(&world.browser);
    press_sign_out(&world, &mut tab, "everywhere").await;
    assert!(!has_session(&world, &cookie).await);
    tab.visit(&world.gateway.url("/saml/logout")).await;
    assert!(tab.page().visible_text().contains("You are not signed in"));
}

#[tokio::test]
async fn an_answer_is_taken_once() {
    let world = world("redirect").await;
    let mut tab = world.sign_in("ada", "/a").await;
    press_sign_out(&world, &mut tab, "everywhere").await;
    assert!(tab.page().visible_text().contains("its own session has ended"));
    tab.reload().await;
    assert_eq!(tab.page().status, 400);
    assert!(tab.page().visible_text().contains("logout_in_response_to_mismatch"), "{}", tab.page().body);
}

#[tokio::test]
async fn signing_out_here_asks_the_idp_nothing() {
    let world = world("redirect").await;
    let mut tab = world.sign_in("ada", "/a").await;
    press_sign_out(&world, &mut tab, "Sign out").await;
    assert!(tab.page().visible_text().contains("may still know you"), "{}", tab.page().body);
    assert!(world.idp.logout_messages().is_empty() && world.idp.has_session("ada"));
    assert_eq!(logouts(&world, "user", "ended").await, 1.0);
}

#[tokio::test]
async fn the_idp_signs_the_user_out_by_both_bindings() {
    for binding in BINDINGS {
        let mut world = world(binding).await;
        let bystander = another(&mut world, "ben").await;
        let mut tab = world.sign_in("ada", "/a").await;
        let cookie = session_cookie(&world.browser);
        tab.visit(&world.idp.begin_logout_url()).await;
        if binding == "post" {
            // The request to us, then our answer: the Lax cookie comes with neither.
            tab.auto_submit().await;
            assert!(world.browser.last_to("/saml/slo").sent_cookie(SESSION).is_none());
            tab.auto_submit().await;
        }
        assert_eq!(tab.page().title(), "Signed out", "{binding}: {}", tab.page().body);
        assert!(!has_session(&world, &cookie).await, "{binding}");
        assert!(is_signed_in(&world, &bystander).await, "{binding}: another user");
        if binding == "redirect" {
            assert!(world.browser.cookie("localhost", SESSION).is_none(), "the cookie that came goes");
        }
        let response = last(&world, "LogoutResponse");
        assert_eq!(response.status, ["urn:oasis:names:tc:SAML:2.0:status:Success"]);
        assert_eq!(response.relay_state.as_deref(), Some("idp-relay-state"));
        assert_eq!(response.destination, Some(world.idp.slo_url()));
        assert!(response.in_response_to.is_some() && response.is_signed_by(test_keys::p256()), "{}", response.xml);
        assert_eq!(logouts(&world, "idp", "ended").await, 1.0);
    }
}

#[tokio::test]
async fn a_session_index_ends_its_session_and_none_ends_all() {
    let mut world = world("redirect").await;
    world.sign_in("ada", "/a").await;
    let first = world.browser.clone();
    let second = another(&mut world, "ada").await;
    let third = another(&mut world, "ada").await;
    let indexes = world.idp.session_indexes("ada");
    assert_eq!(indexes.len(), 3);
    let mut spec = world.idp.logout_request("ada");
    let LogoutBody::Request { session_indexes, .. } = &mut spec.body else { panic!("a request") };
    *session_indexes = vec![indexes[1].clone()];
    assert_eq!(send(&world, "redirect", &spec, world.idp.key()).await.status, 303);
    let alive = async || {
        [is_signed_in(&world, &first).await, is_signed_in(&world, &second).await, is_signed_in(&world, &third).await]
    };
    assert_eq!(alive().await, [true, false, true]);
    assert_eq!(send(&world, "redirect", &world.idp.logout_request("ada"), world.idp.key()).await.status, 303);
    assert_eq!(alive().await, [false, false, false]);
}

#[tokio::test]
async fn a_request_that_names_nobody_here_is_success() {
    let world = world("post").await;
    world.sign_in("ada", "/a").await;
    let answer = send(&world, "post", &world.idp.logout_request("ben"), world.idp.key()).await;
    assert!(answer.status == 200 && answer.text().contains("SAMLResponse"), "{}", answer.text());
    assert!(is_signed_in(&world, &world.browser).await);
    assert_eq!(logouts(&world, "idp", "no_session").await, 1.0);
}

/// A request of the sender's own, carried by the browser of somebody else, ends nothing there.
#[tokio::test]
async fn the_browser_that_carries_a_request_keeps_its_own_session() {
    let world = world("redirect").await;
    let mut tab = world.sign_in("ada", "/a").await;
    let query = world.idp.logout_request("ben").query(None, world.idp.key()).text();
    tab.visit(&world.gateway.url(&format!("/saml/slo?{query}"))).await;
    assert!(is_signed_in(&world, &world.browser).await);
}

#[tokio::test]
async fn a_forged_request_ends_nothing() {
    for binding in BINDINGS {
        let world = world(binding).await;
        world.sign_in("ada", "/a").await;
        let refused = async |answer: RawResponse, status: u16, code: &str| {
            assert!(answer.text().contains(code), "{binding} {code}: {}", answer.text());
            assert_eq!(answer.status, status, "{binding} {code}");
            assert!(is_signed_in(&world, &world.browser).await, "{binding} {code}");
        };
        let request = || world.idp.logout_request("ada");
        let unsigned = if binding == "post" {
            post_slo(&world, "SAMLRequest", &request().unsigned()).await
        } else {
            let mut query: Query = request().query(None, world.idp.key());
            query.parameters.retain(|(name, _)| !matches!(*name, "SigAlg" | "Signature"));
            get_slo(&world, &query.text()).await
        };
        refused(unsigned, 400, "logout_not_signed").await;
        let code = if binding == "post" { "signed_by_unknown_key" } else { "logout_signature_invalid" };
        let status = if binding == "post" { 403 } else { 400 };
        refused(send(&world, binding, &request(), test_keys::stranger()).await, status, code).await;
        let mut spec = request();
        spec.destination = Some(world.gateway.url("/saml/acs"));
        refused(send(&world, binding, &spec, world.idp.key()).await, 400, "logout_destination_mismatch").await;
        let mut spec = request();
        spec.issuer = "somebody-else".to_owned();
        refused(send(&world, binding, &spec, world.idp.key()).await, 400, "logout_issuer_mismatch").await;
        let mut spec = request();
        spec.issue_instant -= time::Duration::HOUR;
        refused(send(&world, binding, &spec, world.idp.key()).await, 400, "logout_expired").await;
        assert_eq!(logouts(&world, "", "refused").await, 5.0);
        assert!(matches!(send(&world, binding, &request(), world.idp.key()).await.status, 200 | 303), "the control");
        assert!(!is_signed_in(&world, &world.browser).await, "the control");
    }
}

#[tokio::test]
async fn a_request_is_carried_out_once() {
    for binding in BINDINGS {
        let mut world = world(binding).await;
        world.sign_in("ada", "/a").await;
        let spec = world.idp.logout_request("ada");
        assert!(matches!(send(&world, binding, &spec, world.idp.key()).await.status, 200 | 303));
        assert!(!is_signed_in(&world, &world.browser).await);
        let later = another(&mut world, "ada").await;
        // By the other binding too: it is the request that is used, not its envelope.
        for binding in BINDINGS {
            let again = send(&world, binding, &spec, world.idp.key()).await;
            assert!(again.status == 400 && again.text().contains("logout_replayed"), "{}", again.text());
        }
        assert!(is_signed_in(&world, &later).await);
    }
}

#[tokio::test]
async fn a_login_is_no_logout_and_a_logout_is_no_login() {
    let world = world("post").await;
    world.sign_in("ada", "/a").await;
    let mut login = world.idp.response_spec("ada", None);
    login.sign = Sign::Both;
    let answer = post_slo(&world, "SAMLResponse", &login.issue(world.idp.key()).xml).await;
    assert!(answer.status == 403 && answer.text().contains("shape_forbidden"), "{}", answer.text());
    assert!(is_signed_in(&world, &world.browser).await);
    let request = world.idp.logout_request("ada").signed(world.idp.key());
    for (field, code) in [("SAMLRequest", "form_parameter_unexpected"), ("SAMLResponse", "shape_forbidden")] {
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair(field, &STANDARD.encode(&request)).finish();
        let answer = post_acs(&world, "", &body).await;
        assert!(answer.text().contains(code), "{field}: {}", answer.text());
        assert!(is_signed_in(&world, &world.browser).await);
    }
}

#[tokio::test]
async fn another_site_signs_nobody_out() {
    let world = world("redirect").await;
    world.sign_in("ada", "/a").await;
    let cookie = session_cookie(&world.browser);
    let (address, host) = (world.gateway.address(), world.gateway.authority());
    for target in ["/saml/logout", "/saml/logout?everywhere=1"] {
        let answer = raw::get(address, host, target, &["Accept: text/html", &format!("Cookie: {cookie}")]).await;
        assert!(answer.status == 200 && answer.text().contains("Sign out?"), "{}", answer.text());
        let request = format!(
            "POST {target} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nSec-Fetch-Site: cross-site\r\nCookie: {cookie}\r\n\
             Connection: close\r\nContent-Length: 0\r\n\r\n",
            world.idp.origin()
        );
        let answer = raw::exchange(address, request).await;
        assert!(answer.status == 403 && answer.text().contains("cross_site_request"), "{}", answer.text());
    }
    assert!(is_signed_in(&world, &world.browser).await && world.idp.logout_messages().is_empty());
    for method in ["PUT", "HEAD"] {
        let request =
            format!("{method} /saml/slo HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        assert_eq!(raw::exchange(address, request).await.status, 405, "{method}");
    }
}

#[tokio::test]
async fn where_it_is_off_there_is_nothing_of_it() {
    let world = World::start_with(samlgate(), keys).await;
    let mut tab = world.sign_in("ada", "/a").await;
    let answer = send(&world, "redirect", &world.idp.logout_request("ada"), world.idp.key()).await;
    assert!(answer.status == 404 && answer.text().contains("endpoint_unknown"), "{}", answer.text());
    assert!(is_signed_in(&world, &world.browser).await);
    assert!(!tab.visit(&world.gateway.url("/saml/logout")).await.body.contains("everywhere"));
    assert!(!tab.visit(&world.gateway.url("/saml/metadata")).await.body.contains("SingleLogoutService"));
}

#[tokio::test]
async fn our_metadata_says_where_and_theirs_is_believed() {
    let world = World::start_with_idp(samlgate(), |gateway, idp| {
        idp.change(|settings| {
            settings.single_logout.declared = true;
            settings.declare_redirect_endpoint = true;
        });
        let trust: Value = json!({ "new_keys": "accept", "single_logout": "metadata" });
        keys(gateway.trust_by_url(idp, trust))
    })
    .await;
    world.gateway.logged("metadata is fetched").await;
    let mut tab = world.sign_in("ada", "/a").await;
    let metadata = tab.visit(&world.gateway.url("/saml/metadata")).await.body.clone();
    let slo_url = world.gateway.url("/saml/slo");
    for binding in ["HTTP-Redirect", "HTTP-POST"] {
        let service = format!("Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:{binding}\" Location=\"{slo_url}\"");
        assert!(metadata.contains(&format!("<md:SingleLogoutService {service}")), "{metadata}");
    }
    assert!(metadata.contains("use=\"signing\"") && metadata.contains(&test_keys::p256().certificate_base64()));
    press_sign_out(&world, &mut tab, "everywhere").await;
    assert!(tab.page().visible_text().contains("its own session has ended"), "{}", tab.page().body);
    assert_eq!(last(&world, "LogoutRequest").binding, Binding::Redirect);
}

#[tokio::test]
async fn no_name_of_a_person_stands_in_the_log() {
    let world = world("redirect").await;
    let mut tab = world.sign_in("ada", "/a").await;
    tab.visit(&world.idp.begin_logout_url()).await;
    let line = world.gateway.logged("signed out by the identity provider").await;
    assert!(line.contains("user.ref") && line.contains("session.ref"), "{line}");
    assert!(!world.gateway.log().concat().contains("ada@demo.example"));
}
