//! Two IdPs: what one says of a person is never taken for the word of the other (ATTACKS row 75).

use harness::browser::{Browser, Tab};
use harness::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings, User};
use harness::issuer::{Sign, test_keys};
use harness::upstream::Upstream;
use serde_json::json;

use crate::support::{BINDING, SESSION, form, samlgate};

/// `jumpcloud` with the users of demo.example, `staff` with a user whose group is called as one of theirs.
struct Two {
    jumpcloud: Idp,
    staff: Idp,
    upstream: Upstream,
    gateway: Gateway,
}

fn user(email: &str, id: &str) -> User {
    User {
        username: "boss".to_owned(),
        password: "boss-password".to_owned(),
        email: email.to_owned(),
        id: id.to_owned(),
        firstname: "B".to_owned(),
        lastname: "Oss".to_owned(),
        groups: vec!["admins".to_owned()],
    }
}

impl Two {
    async fn start() -> Self {
        Self::start_with(user("boss@staff.example", "boss")).await
    }

    async fn start_with(boss: User) -> Self {
        let builder = GatewayBuilder::new(samlgate());
        let settings = |entity_id: &str| {
            let mut settings = IdpSettings::new(entity_id, &builder.sp_entity_id(), &builder.acs_url());
            settings.sign = Sign::Both;
            settings
        };
        let mut options = IdpOptions::new(settings("staff"));
        options.key = test_keys::rsa_2048().clone();
        options.users = vec![boss];
        let staff = Idp::start(options).await;
        let jumpcloud = Idp::start(IdpOptions::new(settings(IDP_ENTITY_ID))).await;
        let upstream = Upstream::start().await;
        let rule =
            |path: &str, access: serde_json::Value| json!({ "path_prefix": path, "access": access, "upstream": "app" });
        let gateway = builder
            .trust(&jumpcloud)
            .trust_too("staff", &staff, &["staff.example"], &["demo.example"])
            .protect(&upstream)
            .set(
                "routes",
                json!([
                    rule("/admin", json!({ "groups": ["admins"], "idps": ["jumpcloud"] })),
                    rule("/both", json!({ "groups": ["admins"], "idps": ["jumpcloud", "staff"] })),
                    rule("/", json!("signed_in")),
                ]),
            )
            .start()
            .await;
        Self { jumpcloud, staff, upstream, gateway }
    }

    /// The IdP's login form, by the button on the login page.
    async fn at_idp(&self, browser: &Browser, id: &str, path: &str) -> Tab {
        let mut tab = browser.tab();
        tab.visit(&self.gateway.url(path)).await;
        let buttons = tab.page().links();
        let starts: Vec<_> = buttons.iter().filter(|link| link.url.path().starts_with("/saml/start/")).collect();
        assert_eq!(starts.len(), 2, "one button each");
        let start = starts.iter().find(|link| link.url.path().ends_with(id)).expect("a button for it");
        tab.follow(start.url.as_str()).await;
        tab
    }

    async fn sign_in(&self, browser: &Browser, id: &str, username: &str, path: &str) -> Tab {
        let mut tab = self.at_idp(browser, id, path).await;
        let idp = if id == "staff" { &self.staff } else { &self.jumpcloud };
        idp.sign_in(&mut tab, username).await;
        tab.auto_submit().await;
        tab
    }
}

#[tokio::test]
async fn sessions_of_an_idp_that_a_reload_removes_end() {
    let two = Two::start().await;
    let (ada, boss) = (Browser::new(), Browser::new());
    let (mut of_ada, mut of_boss) =
        (two.sign_in(&ada, "jumpcloud", "ada", "/a").await, two.sign_in(&boss, "staff", "boss", "/a").await);
    two.gateway.change_settings(|settings| {
        settings["identity_providers"].as_array_mut().unwrap().pop();
        settings["identity_providers"][0].as_object_mut().unwrap().remove("email_domains");
        settings["routes"] = json!([{ "path_prefix": "/", "access": "signed_in", "upstream": "app" }]);
    });
    assert!(two.gateway.reload().await, "{:?}", two.gateway.log());
    of_ada.visit(&two.gateway.url("/page")).await;
    assert_eq!((of_ada.page().status, of_ada.page().url.path()), (200, "/page"));
    of_boss.visit(&two.gateway.url("/page")).await;
    assert_eq!(of_boss.page().url.path(), "/saml/login");
}

#[tokio::test]
async fn each_signs_in_its_own_people_and_the_application_can_tell_them_apart() {
    let two = Two::start().await;
    let tab = two.sign_in(&Browser::new(), "jumpcloud", "ada", "/a").await;
    assert_eq!(tab.page().status, 200, "{}", tab.page().body);
    assert_eq!(two.upstream.last_request().one("X-Forwarded-User"), Some("5f1e0000000000000000ada1"));
    let tab = two.sign_in(&Browser::new(), "staff", "boss", "/a").await;
    assert_eq!(tab.page().status, 200, "{}", tab.page().body);
    assert_eq!(two.upstream.last_request().one("X-Forwarded-User"), Some("staff:boss"));
    assert_eq!(two.upstream.last_request().one("X-Forwarded-Email"), Some("boss@staff.example"));
}

#[tokio::test]
async fn a_rule_that_names_one_is_not_met_by_the_same_group_at_the_other() {
    let two = Two::start().await;
    let ada = two.sign_in(&Browser::new(), "jumpcloud", "ada", "/admin").await;
    assert_eq!(ada.page().status, 200, "the control: an admin of the first");
    let browser = Browser::new();
    let mut boss = two.sign_in(&browser, "staff", "boss", "/both").await;
    assert_eq!(boss.page().status, 200, "the control: the rule that names both");
    boss.visit(&two.gateway.url("/admin")).await;
    assert_eq!(boss.page().status, 403);
    assert!(boss.page().visible_text().contains("not_of_allowed_idp"), "{}", boss.page().body);
    let line = two.gateway.logged("\"not_of_allowed_idp\"").await;
    assert!(line.contains("jumpcloud") && line.contains("staff"), "{line}");
}

#[tokio::test]
async fn an_address_that_the_idp_does_not_speak_for_is_refused() {
    let two = Two::start_with(user("ada@demo.example", "boss")).await;
    let browser = Browser::new();
    let tab = two.sign_in(&browser, "staff", "boss", "/a").await;
    assert_eq!(tab.page().status, 403);
    assert!(tab.page().visible_text().contains("email_not_of_this_idp"), "{}", tab.page().body);
    assert!(browser.cookie("localhost", SESSION).is_none() && two.upstream.requests().is_empty());
}

/// Applications know the boss of `staff` as `staff:boss`: nobody of the first IdP may be called so.
#[tokio::test]
async fn a_unique_id_of_the_first_that_looks_like_a_user_of_the_other_is_refused() {
    let two = Two::start().await;
    two.jumpcloud.change(|settings| {
        settings.user_attributes.retain(|(name, _)| name != "sub");
        settings.constant_attributes = vec![("sub".to_owned(), "staff:boss".to_owned())];
    });
    let browser = Browser::new();
    let tab = two.sign_in(&browser, "jumpcloud", "ada", "/a").await;
    assert_eq!(tab.page().status, 403);
    assert!(tab.page().visible_text().contains("unique_id_invalid"), "{}", tab.page().body);
    assert!(browser.cookie("localhost", SESSION).is_none());
    two.jumpcloud.change(|settings| settings.constant_attributes[0].1 = "other:boss".to_owned());
    let tab = two.sign_in(&Browser::new(), "jumpcloud", "ada", "/a").await;
    assert_eq!(tab.page().status, 200, "the control: {}", tab.page().body);
}

/// The pending login fixes the one IdP: the other's keys and name are not even tried.
#[tokio::test]
async fn a_response_of_one_to_a_login_at_the_other_is_refused() {
    let two = Two::start().await;
    let browser = Browser::new();
    two.at_idp(&browser, "jumpcloud", "/a").await;
    let request_id = two.jumpcloud.requests().last().expect("a request reached the IdP").id.clone();
    let post = async |xml: &str| {
        let cookie = browser.cookie("localhost", BINDING).expect("the browser keeps the binding cookie").value;
        let body = form(xml);
        let request = format!(
            "POST /saml/acs HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nCookie: {BINDING}={cookie}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            two.gateway.authority(),
            body.len()
        );
        harness::raw::exchange(two.gateway.address(), request).await
    };
    let of_staff = || {
        let mut spec = two.staff.response_spec("boss", Some(&request_id));
        spec.sign = Sign::Both;
        spec
    };
    let answer = post(&of_staff().issue(two.staff.key()).xml).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("signed_by_unknown_key"), "{}", answer.text());
    // Were the keys of the first stolen for the other's name, the name would still be wrong.
    let answer = post(&of_staff().issue(two.jumpcloud.key()).xml).await;
    assert_eq!(answer.status, 403);
    assert!(answer.text().contains("issuer_mismatch"), "{}", answer.text());
    // And an answer in the first's name by the other's key.
    let mut in_its_name = two.jumpcloud.response_spec("ada", Some(&request_id));
    in_its_name.sign = Sign::Both;
    let answer = post(&in_its_name.issue(two.staff.key()).xml).await;
    assert!(answer.text().contains("signed_by_unknown_key"), "{}", answer.text());
    let mut own = two.jumpcloud.response_spec("ada", Some(&request_id));
    own.sign = Sign::Both;
    assert_eq!(post(&own.issue(two.jumpcloud.key()).xml).await.status, 303, "the control");
}
