//! Every row of the refusal table that an IdP can cause: the page, the log and the metric name the same
//! code, and the log names the cure.

use harness::browser::Tab;
use harness::idp::{IdpSettings, Misbehaviour, Unbound};
use harness::issuer::Sign;
use harness::world::World;
use serde_json::json;

use crate::support::{SESSION, refused_logins, samlgate};

/// What the person and the administrator see of one refused login.
async fn refused(world: &World, tab: &Tab, code: &str, cure: &str) {
    assert!((400..500).contains(&tab.page().status), "{code}: {}", tab.page().status);
    let text = tab.page().visible_text();
    assert!(text.contains(code), "{code}: {text}");
    assert!(world.browser.cookie("localhost", SESSION).is_none());
    assert_eq!(refused_logins(world, code).await, 1.0, "{code}");
    let line = world.gateway.logged(&format!("\"{code}\"")).await;
    assert!(line.contains(cure), "{code}: {line}");
    let request_id = tab.page().header("x-request-id").expect("the page names its request").to_owned();
    assert!(text.contains(&request_id) && line.contains(&request_id), "{code}: one id on the page and in the log");
    assert!(!line.contains("ada@demo.example") && !line.contains("5f1e0000000000000000ada1"), "{line}");
}

async fn refused_by(change: impl FnOnce(&mut IdpSettings), code: &str, cure: &str) {
    let world = World::start(samlgate()).await;
    let accepted = world.sign_in("ben", "/control").await;
    assert_eq!(accepted.page().status, 200, "the control is accepted");
    let world = World { browser: harness::browser::Browser::new(), ..world };
    world.idp.change(change);
    let tab = world.sign_in("ada", "/deep").await;
    refused(&world, &tab, code, cure).await;
    assert_eq!(world.upstream.requests().len(), 1, "only the control reached the application");
}

fn misbehaving(how: Misbehaviour) -> impl FnOnce(&mut IdpSettings) {
    move |settings| {
        settings.misbehaviours.insert(how);
    }
}

#[tokio::test]
async fn response_not_signed() {
    refused_by(|idp| idp.sign = Sign::Assertion, "response_not_signed", "set Sign to").await;
}

#[tokio::test]
async fn assertion_not_signed() {
    refused_by(|idp| idp.sign = Sign::Response, "assertion_not_signed", "set Sign to").await;
}

#[tokio::test]
async fn not_signed() {
    refused_by(|idp| idp.sign = Sign::Neither, "not_signed", "set Sign to").await;
}

#[tokio::test]
async fn signed_by_unknown_key_with_both_fingerprints() {
    refused_by(misbehaving(Misbehaviour::SignByStranger), "signed_by_unknown_key", "Download Certificate").await;
}

#[tokio::test]
async fn digest_mismatch() {
    refused_by(misbehaving(Misbehaviour::BreakSignature), "digest_mismatch", "altered").await;
}

#[tokio::test]
async fn audience_mismatch() {
    refused_by(misbehaving(Misbehaviour::WrongAudience), "audience_mismatch", "SP Entity ID").await;
}

#[tokio::test]
async fn audience_missing() {
    refused_by(misbehaving(Misbehaviour::NoAudience), "audience_missing", "SP Entity ID").await;
}

#[tokio::test]
async fn recipient_mismatch() {
    refused_by(misbehaving(Misbehaviour::WrongRecipient), "recipient_mismatch", "ACS URL").await;
}

#[tokio::test]
async fn destination_mismatch() {
    refused_by(misbehaving(Misbehaviour::WrongDestination), "destination_mismatch", "ACS URL").await;
}

#[tokio::test]
async fn destination_missing() {
    refused_by(misbehaving(Misbehaviour::NoDestination), "destination_missing", "Destination").await;
}

#[tokio::test]
async fn issuer_mismatch() {
    refused_by(misbehaving(Misbehaviour::WrongIssuer), "issuer_mismatch", "IdP Entity ID").await;
}

#[tokio::test]
async fn assertion_expired() {
    refused_by(misbehaving(Misbehaviour::Expired), "assertion_expired", "NTP").await;
}

#[tokio::test]
async fn assertion_not_yet_valid() {
    refused_by(misbehaving(Misbehaviour::NotYetValid), "assertion_not_yet_valid", "NTP").await;
}

#[tokio::test]
async fn comment_in_the_name_id() {
    refused_by(misbehaving(Misbehaviour::CommentInNameId), "xml_comment_forbidden", "attack").await;
}

#[tokio::test]
async fn document_type() {
    refused_by(misbehaving(Misbehaviour::DocumentType), "xml_doctype_forbidden", "attack").await;
}

#[tokio::test]
async fn claim_ambiguous() {
    refused_by(misbehaving(Misbehaviour::TwoEmails), "claim_ambiguous", "Attributes").await;
}

#[tokio::test]
async fn idp_denied() {
    refused_by(misbehaving(Misbehaviour::DeniedStatus), "idp_denied", "User Groups").await;
}

#[tokio::test]
async fn idp_denied_to_a_user_without_a_bound_group() {
    let world = World::start(samlgate()).await;
    world.idp.change(|idp| idp.unbound = Unbound::DeniedResponse);
    let tab = world.sign_in("cyd", "/").await;
    refused(&world, &tab, "idp_denied", "User Groups").await;
}

#[tokio::test]
async fn email_missing_names_what_arrived() {
    let drop = |idp: &mut IdpSettings| {
        idp.dropped_attributes.insert("email".to_owned());
    };
    refused_by(drop, "email_missing", "email -> email").await;
    let empty = |idp: &mut IdpSettings| {
        idp.emptied_attributes.insert("email".to_owned());
    };
    refused_by(empty, "email_missing", "memberOf").await;
}

#[tokio::test]
async fn unique_id_missing_names_what_arrived() {
    let drop = |idp: &mut IdpSettings| {
        idp.dropped_attributes.insert("sub".to_owned());
    };
    refused_by(drop, "unique_id_missing", "sub -> id").await;
}

#[tokio::test]
async fn not_in_allowed_group_names_needed_and_arrived() {
    let world = World::start(samlgate()).await;
    let tab = world.sign_in("ben", "/admin/x").await;
    assert_eq!(tab.page().status, 403);
    assert!(tab.page().visible_text().contains("not_in_allowed_group"));
    let line = world.gateway.logged("not_in_allowed_group").await;
    assert!(
        line.contains("admins") && line.contains("engineers") && line.contains("include group attribute"),
        "{line}"
    );
    assert!(world.upstream.requests().is_empty());

    world.idp.change(|idp| idp.include_groups = false);
    let world = World { browser: harness::browser::Browser::new(), ..world };
    let tab = world.sign_in("ada", "/admin/x").await;
    assert_eq!(tab.page().status, 403, "no group arrived at all");
}

#[tokio::test]
async fn not_allowed_by_address_or_domain() {
    let route = |access: serde_json::Value| json!([{ "path_prefix": "/", "access": access, "upstream": "app" }]);
    for (access, status) in [
        (json!({ "emails": ["ADA@demo.example"] }), 200),
        (json!({ "email_domains": ["demo.example"] }), 200),
        (json!({ "emails": ["ben@demo.example"] }), 403),
        (json!({ "email_domains": ["example"] }), 403),
    ] {
        let world = World::start_with(samlgate(), |gateway| gateway.set("routes", route(access.clone()))).await;
        let tab = world.sign_in("ada", "/x").await;
        assert_eq!(tab.page().status, status, "{access}");
        assert_eq!(tab.page().visible_text().contains("not_allowed"), status == 403);
    }
}

#[tokio::test]
async fn groups_too_large_for_a_header_and_the_filter_that_helps() {
    let many = |idp: &mut IdpSettings| {
        idp.constant_attributes
            .extend((0..300).map(|n| ("memberOf".to_owned(), format!("a-group-with-a-long-name-{n}"))));
    };
    let world = World::start(samlgate()).await;
    world.idp.change(many);
    let tab = world.sign_in("ada", "/x").await;
    // The default routes name the group `admins`: only such groups are sent once all are too many.
    assert_eq!(tab.page().status, 200);
    assert_eq!(world.upstream.last_request().one("X-Forwarded-Groups"), Some("admins"));
    drop(world);

    let filter: Vec<String> = (0..300).map(|n| format!("a-group-with-a-long-name-{n}")).collect();
    let world =
        World::start_with(samlgate(), |gateway| gateway.set("identity_headers", json!({ "groups_filter": filter })))
            .await;
    world.idp.change(many);
    let tab = world.sign_in("ada", "/x").await;
    assert!(tab.page().visible_text().contains("groups_too_large"), "{}", tab.page().visible_text());
    assert!(world.upstream.requests().is_empty());
}

#[tokio::test]
async fn upstream_unavailable() {
    let port = harness::gateway::free_port();
    let world = World::start_with(samlgate(), |gateway| {
        gateway.set("upstreams.app.servers", json!([format!("127.0.0.1:{port}")]))
    })
    .await;
    let tab = world.sign_in("ada", "/x").await;
    assert_eq!(tab.page().status, 502);
    assert!(tab.page().visible_text().contains("upstream_unavailable"));
}

#[tokio::test]
async fn a_person_without_the_login_cookie_is_told_so_after_three_rounds() {
    let world = World::start(samlgate()).await;
    let mut tab = world.at_idp("/x").await;
    world.idp.sign_in(&mut tab, "ada").await;
    // A browser that keeps no cookies of the gateway.
    for _ in 0..8 {
        world.browser.change_jar(|jar| {
            jar.remove("localhost", crate::support::BINDING);
            jar.remove("localhost", SESSION);
        });
        if tab.page().forms().iter().any(|form| form.value("SAMLResponse").is_some()) {
            tab.auto_submit().await;
        } else {
            break;
        }
    }
    // A look from within the site: what comes back then tells the cause.
    world.browser.change_jar(|jar| jar.remove("localhost", crate::support::BINDING));
    tab.click("Continue").await;
    assert!(tab.page().visible_text().contains("cookie_not_returned"), "{}", tab.page().visible_text());
    assert!(tab.page().visible_text().contains("login_loop"), "{} {}", tab.page().url, tab.page().visible_text());
    assert!(tab.page().visible_text().contains("login_of_other_browser"), "{}", tab.page().visible_text());
}
