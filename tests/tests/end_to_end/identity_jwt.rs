//! The signed identity, verified as an application would: against the JWKS that the gateway serves.

use std::path::Path;

use harness::browser::Browser;
use harness::gateway::GatewayBuilder;
use harness::raw;
use harness::world::World;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, jwk::JwkSet};
use serde_json::{Value, json};

use crate::support::{samlgate, session_cookie};

#[tokio::test]
async fn the_identity_jwt_verifies_against_the_jwks() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/x").await;
    let token = world.upstream.last_request().one("X-Samlgate-Jwt-Assertion").unwrap().to_owned();
    let keys = jwks(&world).await;
    let header = decode_header(&token).unwrap();
    assert_eq!(header.alg, Algorithm::ES256);
    let key = keys.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[world.gateway.public_url()]);
    validation.set_issuer(&[world.gateway.public_url()]);
    let claims = decode::<Value>(&token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap().claims;
    assert_eq!(claims["sub"], "5f1e0000000000000000ada1");
    assert_eq!(claims["idp"], "jumpcloud");
    assert_eq!(claims["email"], "ada@demo.example");
    assert_eq!(claims["groups"], json!(["admins", "engineers"]));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 600);
    assert!(claims["sid"].as_str().is_some_and(|sid| !session_cookie(&world.browser).contains(sid)));

    let altered = token.replace('.', ".e");
    assert!(decode::<Value>(&altered, &DecodingKey::from_jwk(key).unwrap(), &validation).is_err());
}

#[tokio::test]
async fn a_route_names_its_own_audience_and_others_carry_no_token() {
    let routes = json!([
        { "path_prefix": "/jwt", "access": "signed_in", "upstream": "app", "identity_jwt": true, "jwt_audience": "grafana" },
        { "path_prefix": "/", "access": "signed_in", "upstream": "app" },
    ]);
    let world = World::start_with(samlgate(), |gateway| gateway.set("routes", routes)).await;
    let mut tab = world.sign_in("ada", "/plain").await;
    assert_eq!(world.upstream.last_request().one("X-Samlgate-Jwt-Assertion"), None);
    tab.visit(&world.gateway.url("/jwt")).await;
    let token = world.upstream.last_request().one("X-Samlgate-Jwt-Assertion").unwrap().to_owned();
    let claims = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap().claims;
    assert_eq!(claims["aud"], "grafana");
}

async fn jwks(world: &World) -> JwkSet {
    let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/saml/jwks.json", &[]).await;
    serde_json::from_slice(&answer.body).unwrap()
}

/// By the key that it names; nothing where that is not among `keys`.
fn verifies(world: &World, token: &str, keys: &JwkSet) -> bool {
    let kid = decode_header(token).unwrap().kid.unwrap();
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[world.gateway.public_url()]);
    keys.find(&kid).is_some_and(|key| {
        decode::<Value>(token, &DecodingKey::from_jwk(key).unwrap(), &validation).unwrap();
        true
    })
}

/// What a new sign-in brings; the memory store has lost the one before a restart.
async fn new_token(world: &mut World) -> String {
    world.browser = Browser::new();
    world.sign_in("ada", "/x").await;
    world.upstream.last_request().one("X-Samlgate-Jwt-Assertion").unwrap().to_owned()
}

async fn run(arguments: &[&str]) -> String {
    let output = samlgate().command(arguments).output().await.unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?}: {text}");
    text
}

/// One call of the command, the settings checked, and the gateway started again at its address.
async fn rotate(world: &mut World, keys_dir: &Path, more: &[&str], step: &str) {
    let rotate = ["keys", "rotate", "--dir", keys_dir.to_str().unwrap(), "--key", "jwt", "--json"];
    let told: Value = serde_json::from_str(run(&[&rotate, more].concat()).await.trim()).unwrap();
    assert_eq!((&told["keys"][0]["key"], &told["keys"][0]["step"]), (&json!("jwt"), &json!(step)), "{told}");
    let config = world.gateway.config_file().to_str().unwrap().to_owned();
    assert!(run(&["check", "--config", &config]).await.contains("no mistakes"));
    world.gateway.stop().await;
    let again = GatewayBuilder::on_port(samlgate(), world.gateway.address().port());
    let again = again.trust(&world.idp).protect(&world.upstream).set("keys_dir", json!(keys_dir));
    world.gateway = again.start().await;
}

#[tokio::test]
async fn a_jwt_from_before_a_rotation_verifies_after_each_step_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let keys_dir = folder.path().join("keys");
    run(&["keys", "generate", "--dir", keys_dir.to_str().unwrap()]).await;
    let mut world = World::start_with(samlgate(), |gateway| gateway.set("keys_dir", json!(keys_dir))).await;
    let before = new_token(&mut world).await;
    assert_eq!(jwks(&world).await.keys.len(), 1);

    rotate(&mut world, &keys_dir, &[], "announced").await;
    let announced = jwks(&world).await;
    let between = new_token(&mut world).await;
    assert_eq!(announced.keys.len(), 2);
    assert!(verifies(&world, &before, &announced) && verifies(&world, &between, &announced));

    rotate(&mut world, &keys_dir, &[], "in_use").await;
    let in_use = jwks(&world).await;
    let after = new_token(&mut world).await;
    let kid = |token: &str| decode_header(token).unwrap().kid;
    assert_eq!(kid(&between), kid(&before));
    assert_ne!(kid(&after), kid(&before));
    for token in [&before, &between, &after] {
        assert!(verifies(&world, token, &in_use));
    }
    assert!(verifies(&world, &after, &announced), "who read the JWKS after the first step need not read it again");

    rotate(&mut world, &keys_dir, &["--retire"], "retired").await;
    let retired = jwks(&world).await;
    assert!(verifies(&world, &after, &retired) && !verifies(&world, &before, &retired));
}
