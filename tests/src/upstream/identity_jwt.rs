//! What an application does with `X-Samlgate-Jwt-Assertion`: fetch the gateway's keys and verify.

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::Value;

pub(super) const HEADER: &str = "X-Samlgate-Jwt-Assertion";

/// The claims, if the token is signed by a key of the gateway at `origin`, for that origin, and still lives.
pub(super) async fn verify(token: &str, origin: &str) -> Result<Value, String> {
    let url = format!("{origin}/saml/jwks.json");
    let keys = fetch_keys(&url).await.map_err(|error| format!("cannot fetch {url}: {error}"))?;
    verify_with(token, origin, &keys)
}

async fn fetch_keys(url: &str) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let body = client.get(url).send().await?.error_for_status()?.bytes().await?;
    Ok(serde_json::from_slice(&body)?)
}

fn verify_with(token: &str, origin: &str, keys: &JwkSet) -> Result<Value, String> {
    let header = jsonwebtoken::decode_header(token).map_err(|error| format!("the header is no JWT header: {error}"))?;
    let id = header.kid.ok_or("the header names no key (kid)")?;
    let key = keys.find(&id).ok_or_else(|| format!("the gateway publishes no key {id}"))?;
    let key = DecodingKey::from_jwk(key).map_err(|error| format!("key {id} is unusable: {error}"))?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_issuer(&[origin]);
    validation.set_audience(&[origin]);
    validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
    let verified = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(|error| error.to_string())?;
    Ok(verified.claims)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::{EncodingKey, Header};
    use serde_json::json;

    const ORIGIN: &str = "http://localhost:8080";

    fn token(claims: &Value) -> (String, JwkSet) {
        let pair = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let point = pair.public_key_raw();
        let (x, y) = (URL_SAFE_NO_PAD.encode(&point[1..33]), URL_SAFE_NO_PAD.encode(&point[33..]));
        let keys =
            json!({"keys": [{"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "kid": "k", "x": x, "y": y}]});
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some("k".to_owned());
        let key = EncodingKey::from_ec_der(pair.serialized_der());
        (jsonwebtoken::encode(&header, claims, &key).unwrap(), serde_json::from_value(keys).unwrap())
    }

    fn claims() -> Value {
        let now = time::OffsetDateTime::now_utc().unix_timestamp();
        json!({"iss": ORIGIN, "aud": ORIGIN, "sub": "1", "iat": now, "exp": now + 600})
    }

    #[test]
    fn accepts_a_token_of_the_gateway() {
        let (token, keys) = token(&claims());
        assert_eq!(verify_with(&token, ORIGIN, &keys).unwrap()["sub"], "1");
    }

    #[test]
    fn refuses_a_token_of_another_issuer_audience_time_or_key() {
        let expired = time::OffsetDateTime::now_utc().unix_timestamp() - 3600;
        for (claim, value) in [("iss", json!("http://other")), ("aud", json!("http://other")), ("exp", json!(expired))]
        {
            let mut claims = claims();
            claims[claim] = value;
            let (token, keys) = token(&claims);
            assert!(verify_with(&token, ORIGIN, &keys).is_err(), "{claim}");
        }
        let (signed, _) = token(&claims());
        let (_, keys_of_another) = token(&claims());
        assert!(verify_with(&signed, ORIGIN, &keys_of_another).is_err());
    }
}
