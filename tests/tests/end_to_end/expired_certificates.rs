//! A pinned key whose certificate has ended: accepted by default, refused where the settings say so.

use std::sync::Arc;

use harness::browser::Browser;
use harness::gateway::{GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::{Sign, SigningKey};
use harness::upstream::Upstream;
use harness::world::World;
use serde_json::json;
use time::{Duration, OffsetDateTime};

use crate::support::{SESSION, samlgate};

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
