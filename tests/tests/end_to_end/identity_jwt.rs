//! The signed identity, verified as an application would: against the JWKS that the gateway serves.

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
    let jwks = raw::get(world.gateway.address(), world.gateway.authority(), "/saml/jwks.json", &[]).await;
    let keys: JwkSet = serde_json::from_slice(&jwks.body).unwrap();
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
