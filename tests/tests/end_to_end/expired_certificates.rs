//! A pinned key whose certificate has ended: accepted by default, refused where the settings say so.

use std::sync::Arc;

use harness::browser::Browser;
use harness::gateway::{GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::{Encryption, Sign, SigningKey, test_keys};
use harness::upstream::Upstream;
use harness::world::World;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::support::{Awaiting, SESSION, form, key_file, samlgate};

fn key_until(end: OffsetDateTime) -> Arc<SigningKey> {
    let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.not_before = end - Duration::DAY;
    params.not_after = end;
    Arc::new(SigningKey::from_pem(&pair.serialize_pem(), &params.self_signed(&pair).unwrap().pem()))
}

async fn world(end: OffsetDateTime, policy: &str) -> World {
    let gateway = GatewayBuilder::new(samlgate());
    let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &gateway.sp_entity_id(), &gateway.acs_url());
    of_idp.sign = Sign::Both;
    let idp = Idp::start(IdpOptions { key: key_until(end), ..IdpOptions::new(of_idp) }).await;
    let upstream = Upstream::start().await;
    let gateway =
        gateway.trust(&idp).protect(&upstream).set("identity_providers.0.expired_certificates", json!(policy));
    let gateway = gateway.start().await;
    World { idp, upstream, gateway, browser: Browser::new() }
}

#[tokio::test]
async fn the_end_of_a_certificate_breaks_no_login_by_default() {
    let world = world(OffsetDateTime::now_utc() - Duration::HOUR, "accept").await;
    let tab = world.sign_in("ada", "/a").await;
    assert_eq!(tab.page().status, 200, "{}", tab.page().body);
    let line = world.gateway.logged("it is accepted after that too").await;
    assert!(line.contains("ended at") && line.contains("sha256:"), "{line}");
}

#[tokio::test]
async fn an_ended_certificate_is_refused_by_name_where_the_settings_say_so() {
    let ended = world(OffsetDateTime::now_utc() - Duration::HOUR, "refuse").await;
    let tab = ended.sign_in("ada", "/a").await;
    assert_eq!(tab.page().status, 403);
    assert!(tab.page().visible_text().contains("certificate_expired"), "{}", tab.page().body);
    assert!(ended.browser.cookie("localhost", SESSION).is_none());
    let line = ended.gateway.logged("\"certificate_expired\"").await;
    assert!(line.contains("sha256:") && line.contains("expired_certificates: accept"), "{line}");
    let control = world(OffsetDateTime::now_utc() + Duration::HOUR, "refuse").await;
    assert_eq!(control.sign_in("ada", "/a").await.page().status, 200, "the control has not ended");
    control.gateway.logged("ends within a day").await;
}

/// An Assertion by a key that has not ended, encrypted, and around it a Response by `outer`.
async fn answer_of_two_keys(outer: OffsetDateTime) -> (u16, String) {
    let outer = key_until(outer);
    let keys = [test_keys::rsa_2048().certificate_pem(), outer.certificate_pem()].concat();
    let mut world = World::start_with(samlgate(), |gateway| {
        gateway
            .file("keys/index.current", &"0a".repeat(32))
            .file("keys/sp-decryption.current", &key_file(test_keys::decryption()))
            .file("certificate.pem", &keys)
            .set("keys_dir", json!("keys"))
            .set("identity_providers.0.expired_certificates", json!("refuse"))
    })
    .await;
    let awaiting = Awaiting::start(&mut world, "/a").await;
    let inner = awaiting.spec(&world).sign(Sign::Both).issue(test_keys::rsa_2048()).xml;
    let assertion = &inner[inner.find("<saml:Assertion").unwrap()..inner.find("</samlp:Response>").unwrap()];
    let assertion = assertion.to_owned();
    let mut encryption = Encryption::to(test_keys::decryption());
    encryption.plaintext = Some(Box::new(move |_| assertion.clone()));
    let xml = awaiting.spec(&world).sign(Sign::Both).encrypt(encryption).issue(&outer).xml;
    let answer = awaiting.post(&world, &form(&xml)).await;
    (answer.status, answer.text())
}

#[tokio::test]
async fn no_key_of_a_login_may_have_ended() {
    let (status, text) = answer_of_two_keys(OffsetDateTime::now_utc() - Duration::HOUR).await;
    assert!(status == 403 && text.contains("certificate_expired"), "{text}");
    let (status, text) = answer_of_two_keys(OffsetDateTime::now_utc() + Duration::HOUR).await;
    assert_eq!(status, 303, "{text}");
}
