//! Metadata by URL: a change of keys without an outage, and nothing new that nobody approved.

use std::sync::Arc;

use harness::browser::{Browser, Tab};
use harness::gateway::{GatewayBuilder, IDP_ENTITY_ID, free_port};
use harness::idp::{Idp, IdpOptions, IdpSettings, Misbehaviour, Publication};
use harness::issuer::{Sign, SigningKey, test_keys};
use harness::raw;
use harness::upstream::Upstream;
use harness::world::World;
use saml_core::Certificate;
use serde_json::{Value, json};

use crate::support::samlgate;

const LOOKS: &str = "samlgate_idp_metadata_refresh_total";

fn fingerprint(key: &SigningKey) -> String {
    Certificate::parse_all(key.certificate_pem().as_bytes()).unwrap()[0].fingerprint().to_string()
}

fn old() -> &'static Arc<SigningKey> {
    test_keys::rsa_4096()
}

fn new() -> &'static Arc<SigningKey> {
    test_keys::rsa_2048()
}

fn trusting(keys: &[&Arc<SigningKey>]) -> Value {
    json!({ "trusted_keys": keys.iter().map(|key| fingerprint(key)).collect::<Vec<_>>() })
}

fn options(builder: &GatewayBuilder) -> IdpOptions {
    let mut settings = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
    settings.sign = Sign::Both;
    settings.declare_redirect_endpoint = true;
    IdpOptions::new(settings)
}

/// An IdP that signs with `old()` and publishes that key, and a gateway that has read so.
async fn world(more: Value) -> World {
    let world = world_that(more, |_| ()).await;
    world.gateway.metric_reaches(LOOKS, &[("result", "fetched")], 1.0).await;
    world
}

/// As [`world`], where the IdP is changed first and the gateway may not have read anything.
async fn world_that(more: Value, prepare: impl FnOnce(&Idp)) -> World {
    let builder = GatewayBuilder::new(samlgate());
    let idp = Idp::start(options(&builder)).await;
    prepare(&idp);
    let upstream = Upstream::start().await;
    let gateway = builder.trust_by_url(&idp, more).protect(&upstream).start().await;
    World { idp, upstream, gateway, browser: Browser::new() }
}

/// A login in a browser of its own.
async fn login(world: &World) -> Tab {
    let mut tab = Browser::new().tab();
    tab.visit(&world.gateway.url("/saml/start/jumpcloud?rd=/a")).await;
    if tab.page().status != 503 {
        world.idp.sign_in(&mut tab, "ada").await;
        tab.auto_submit().await;
    }
    tab
}

async fn accepted(world: &World, key: &Arc<SigningKey>) {
    world.idp.sign_with(key);
    let tab = login(world).await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/a"), "{}", tab.page().body);
}

async fn refused(world: &World, key: &Arc<SigningKey>, code: &str) {
    world.idp.sign_with(key);
    let tab = login(world).await;
    assert!(tab.page().status >= 400 && tab.page().visible_text().contains(code), "{code}: {}", tab.page().body);
}

/// A response by an unknown key makes the gateway look at the metadata before its time.
async fn make_it_look(world: &World) {
    let before = world.gateway.metric(LOOKS, &[]).await;
    world.idp.misbehave([Misbehaviour::SignByStranger]);
    assert_eq!(login(world).await.page().status, 403);
    world.idp.misbehave([]);
    world.gateway.metric_reaches(LOOKS, &[], before + 1.0).await;
}

#[tokio::test]
async fn a_change_of_keys_that_is_named_before_costs_no_login() {
    let world = world(trusting(&[old(), new()])).await;
    accepted(&world, old()).await;
    world.idp.publish_keys(&[old(), new()]);
    make_it_look(&world).await;
    world.gateway.logged(&format!("key {} is new in the metadata and is used", fingerprint(new()))).await;
    accepted(&world, new()).await;
    accepted(&world, old()).await;
    world.idp.publish_keys(&[new()]);
    make_it_look(&world).await;
    world.gateway.logged(&format!("key {} is no longer in the metadata", fingerprint(old()))).await;
    accepted(&world, new()).await;
    refused(&world, old(), "signed_by_unknown_key").await;
}

#[tokio::test]
async fn a_change_without_an_overlap_is_seen_at_the_first_response() {
    let world = world(trusting(&[old(), new()])).await;
    world.idp.publish_keys(&[new()]);
    refused(&world, new(), "signed_by_unknown_key").await;
    world.gateway.metric_reaches(LOOKS, &[("result", "fetched")], 2.0).await;
    accepted(&world, new()).await;
}

#[tokio::test]
async fn a_key_that_nobody_named_is_held_while_the_old_one_goes_on() {
    let world = world(trusting(&[old()])).await;
    world.idp.publish_keys(&[old(), new()]);
    make_it_look(&world).await;
    let line = world.gateway.logged(&fingerprint(new())).await;
    assert!(line.contains("is not used") && line.contains("`trusted_keys`"), "{line}");
    assert_eq!(world.gateway.metric("samlgate_idp_keys_held", &[("idp", "jumpcloud")]).await, 1.0);
    accepted(&world, old()).await;
    refused(&world, new(), "signed_by_unknown_key").await;
    // Even where the old one is no longer published: a fetch locks nobody out.
    world.idp.publish_keys(&[new()]);
    make_it_look(&world).await;
    world.gateway.logged("the keys in use are kept").await;
    accepted(&world, old()).await;
    refused(&world, new(), "signed_by_unknown_key").await;
}

#[tokio::test]
async fn new_keys_are_taken_where_the_settings_accept_them() {
    let world = world(json!({ "new_keys": "accept" })).await;
    world.idp.publish_keys(&[new()]);
    make_it_look(&world).await;
    accepted(&world, new()).await;
}

#[tokio::test]
async fn an_address_that_changes_is_held() {
    let world = world(trusting(&[old()])).await;
    let elsewhere = world.idp.metadata().replace(&world.idp.sso_url(), "https://evil.example/sso");
    world.idp.publish(Publication::Body(elsewhere.into_bytes()));
    make_it_look(&world).await;
    world.gateway.logged("https://evil.example/sso in the new metadata").await;
    assert!(world.gateway.metric("samlgate_idp_addresses_held", &[("idp", "jumpcloud")]).await >= 1.0);
    accepted(&world, old()).await;
}

#[tokio::test]
async fn until_the_first_success_logins_wait_and_the_rest_works() {
    let builder = GatewayBuilder::new(samlgate());
    let mut of_idp = options(&builder);
    of_idp.port = free_port();
    let upstream = Upstream::start().await;
    let gateway = builder
        .set(
            "identity_providers",
            json!([{
                "id": "jumpcloud",
                "entity_id": IDP_ENTITY_ID,
                "metadata_url": format!("http://127.0.0.1:{}/metadata.xml", of_idp.port),
                "trusted_keys": [fingerprint(old())],
            }]),
        )
        .protect(&upstream)
        .start()
        .await;
    gateway.logged("nobody can sign in there yet").await;
    let mut tab = Browser::new().tab();
    tab.visit(&gateway.url("/saml/start/jumpcloud?rd=/a")).await;
    assert_eq!((tab.page().status, tab.page().header("retry-after")), (503, Some("10")));
    assert!(tab.page().visible_text().contains("idp_unavailable"), "{}", tab.page().body);
    let public = raw::get(gateway.address(), gateway.authority(), "/public/x", &[]).await;
    assert_eq!((public.status, gateway.admin_get("/readyz").await.0), (200, 200));

    let idp = Idp::start(of_idp).await;
    gateway.metric_reaches(LOOKS, &[("result", "fetched")], 1.0).await;
    let world = World { idp, upstream, gateway, browser: Browser::new() };
    accepted(&world, old()).await;
}

#[tokio::test]
async fn what_cannot_be_metadata_changes_nothing() {
    let world = world(trusting(&[old()])).await;
    let page = b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec();
    let cases = [
        (Publication::Body(page), "is a web page"),
        (Publication::Body(vec![b' '; 1024 * 1024 + 1]), "more than 1048576 bytes"),
        (Publication::Status(500), "answers 500"),
        (Publication::Body(world.idp.metadata().replace(IDP_ENTITY_ID, "other").into_bytes()), "describes"),
    ];
    for (publication, said) in cases {
        world.idp.publish(publication);
        make_it_look(&world).await;
        let line = world.gateway.logged(said).await;
        assert!(line.contains("what is in use stays"), "{line}");
        accepted(&world, old()).await;
    }
    // It tries again by itself as well.
    assert!(world.gateway.metric(LOOKS, &[("result", "failed")]).await >= 4.0);
}

#[tokio::test]
async fn a_redirect_is_followed_on_the_same_host_alone() {
    let other = world_that(trusting(&[old()]), |_| ()).await;
    let leads_away = other.idp.metadata_url();
    let world = world_that(trusting(&[old()]), |idp| idp.publish(Publication::RedirectTo(leads_away))).await;
    world.gateway.logged("it redirects to another place").await;
    assert_eq!(login(&world).await.page().status, 503);

    let builder = GatewayBuilder::new(samlgate());
    let idp = Idp::start(options(&builder)).await;
    let upstream = Upstream::start().await;
    let moved = idp.metadata_url().replace("metadata.xml", "moved.xml");
    let builder = builder.trust_by_url(&idp, trusting(&[old()])).set("identity_providers.0.metadata_url", json!(moved));
    let gateway = builder.protect(&upstream).start().await;
    gateway.metric_reaches(LOOKS, &[("result", "fetched")], 1.0).await;
    accepted(&World { idp, upstream, gateway, browser: Browser::new() }, old()).await;
}

/// The server is a samlgate with TLS, whose own metadata is that of no IdP: to learn so is to have read it.
#[tokio::test]
async fn https_is_believed_by_the_authorities_that_the_settings_name() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let upstream = Upstream::start().await;
    let builder = GatewayBuilder::new(samlgate());
    let address = format!("https://localhost:{}", builder.listen().port());
    let idp = Idp::start(options(&builder)).await;
    let _server = builder
        .trust(&idp)
        .protect(&upstream)
        .file("tls.crt", &certificate)
        .file("tls.key", &key)
        .set("public_url", json!(address))
        .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
        .start()
        .await;
    for (authorities, said) in [(Some("ca.pem"), "metadata describes"), (None, "invalid peer certificate")] {
        let mut more = trusting(&[old()]);
        if let Some(authorities) = authorities {
            more["metadata_ca_file"] = json!(authorities);
        }
        let builder = GatewayBuilder::new(samlgate()).file("ca.pem", &certificate).trust_by_url(&idp, more);
        let url = json!(format!("{address}/saml/metadata"));
        let gateway = builder.set("identity_providers.0.metadata_url", url).protect(&upstream).start().await;
        let line = gateway.logged("metadata is not taken").await;
        assert!(line.contains(said), "{authorities:?}: {line}");
    }
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let world = world(trusting(&[old()])).await;
    make_it_look(&world).await;
    assert_eq!(world.idp.metadata_answers(), [200, 304]);
    assert_eq!(world.gateway.metric(LOOKS, &[("result", "unchanged")]).await, 1.0);
    let success = world.gateway.metric("samlgate_idp_metadata_last_success_timestamp_seconds", &[]).await;
    assert!(success > 1_700_000_000.0, "{success}");
    accepted(&world, old()).await;
}

#[tokio::test]
async fn strangers_cannot_make_the_gateway_fetch_without_end() {
    let world = world(trusting(&[old()])).await;
    world.idp.misbehave([Misbehaviour::SignByStranger]);
    for _ in 0..8 {
        assert_eq!(login(&world).await.page().status, 403);
    }
    world.idp.misbehave([]);
    accepted(&world, old()).await;
    assert!(world.idp.metadata_answers().len() <= 6, "{:?}", world.idp.metadata_answers());
}
