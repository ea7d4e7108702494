//! AuthnRequests that are signed, by both bindings, with the key that our metadata tells.

use harness::idp::AuthnRequest;
use harness::issuer::test_keys;
use harness::world::World;
use serde_json::json;

use crate::support::{key_file, samlgate};

async fn request(binding: &str, sign: bool) -> (World, AuthnRequest) {
    let world = World::start_with(samlgate(), |gateway| {
        gateway
            .file("keys/sp-signing.current", &key_file(test_keys::p256()))
            .set("keys_dir", json!("keys"))
            .set("identity_providers.0.binding", json!(binding))
            .set("identity_providers.0.sign_requests", json!(sign))
    })
    .await;
    let mut tab = world.at_idp("/a").await;
    if binding == "post" {
        tab.auto_submit().await;
    }
    world.idp.sign_in(&mut tab, "ada").await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/a"), "{}", tab.page().body);
    let request = world.idp.requests().last().expect("a request reached the IdP").clone();
    (world, request)
}

#[tokio::test]
async fn a_request_is_signed_by_redirect_and_by_post() {
    for binding in ["redirect", "post"] {
        let (_world, request) = request(binding, true).await;
        assert!(request.is_signed_by(test_keys::p256()), "{binding}: {}", request.xml);
        assert!(!request.is_signed_by(test_keys::stranger()), "{binding}: the control of the check");
    }
}

#[tokio::test]
async fn nothing_is_signed_unless_the_settings_say_so() {
    for binding in ["redirect", "post"] {
        let (_world, request) = request(binding, false).await;
        assert!(!request.is_signed_by(test_keys::p256()), "{binding}");
        assert!(!request.xml.contains("Signature") && !request.query.unwrap_or_default().contains("Signature"));
    }
}

#[tokio::test]
async fn our_metadata_tells_the_keys_and_that_requests_are_signed() {
    let world = World::start_with(samlgate(), |gateway| {
        gateway
            .file("keys/sp-signing.current", &key_file(test_keys::p256()))
            .file("keys/sp-signing.next", &key_file(test_keys::rsa_2048()))
            .file("keys/sp-decryption.current", &key_file(test_keys::rsa_4096()))
            .set("keys_dir", json!("keys"))
            .set("identity_providers.0.sign_requests", json!(true))
    })
    .await;
    let mut tab = world.browser.tab();
    let metadata = tab.visit(&world.gateway.url("/saml/metadata")).await.body.clone();
    let places = [
        "AuthnRequestsSigned=\"true\"",
        "use=\"signing\"",
        &test_keys::p256().certificate_base64(),
        &test_keys::rsa_2048().certificate_base64(),
        "use=\"encryption\"",
        &test_keys::rsa_4096().certificate_base64(),
    ]
    .map(|part| metadata.find(part));
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}: {metadata}");
}
