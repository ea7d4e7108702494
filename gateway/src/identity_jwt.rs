//! The identity assertion for upstreams that verify instead of trusting the network: a JWT signed with
//! ES256, whose keys anybody may fetch.

use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use config::{MACHINES, Origin, Scheme, Settings};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use moka::sync::Cache;
use saml_core::Timestamp;
use serde::Serialize;

use crate::decide::Identity;
use crate::identity_headers::{ClaimValues, machine_user};
use crate::keys::{Key, Keys};
use crate::refusal::Refusal;
use crate::session::SessionKey;

const LIFE_SECONDS: i64 = 10 * 60;
/// An upstream that gets one has at least as long again to use it.
const RENEWED_AFTER_SECONDS: i64 = 5 * 60;
/// Of tokens in the cache.
const MAX_CACHED_BYTES: u64 = 64 * 1024 * 1024;
const ENTRY_OVERHEAD_BYTES: u32 = 192;

/// A key could not be used for signing.
#[derive(Debug, thiserror::Error)]
#[error("the key `jwt` cannot sign: make a new one with `samlgate keys generate`")]
pub struct JwtKeyError(#[from] jsonwebtoken::errors::Error);

pub struct IdentityJwts {
    issuer: String,
    header: Header,
    key: EncodingKey,
    jwks: String,
    values: ClaimValues,
    issued: Cache<[u8; 32], Issued>,
}

#[derive(Clone)]
struct Issued {
    token: Arc<str>,
    at: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    /// Of a machine, `machine`.
    idp: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    groups: Vec<&'a str>,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
}

impl IdentityJwts {
    /// # Errors
    /// The key `jwt` is not usable.
    pub fn new(settings: &Settings, keys: &Keys) -> Result<Self, JwtKeyError> {
        let (key, jwk) = signing_key(keys.jwt().current())?;
        let published = keys.jwt().all().map(|key| signing_key(key).map(|(_, jwk)| jwk));
        let set = JwkSet { keys: published.collect::<Result<_, _>>()? };
        let jwks = serde_json::to_string(&set).map_err(jsonwebtoken::errors::Error::from)?;
        Ok(Self {
            issuer: origin_text(&settings.public_url),
            header: Header { kid: jwk.common.key_id, ..Header::new(Algorithm::ES256) },
            key,
            jwks,
            values: ClaimValues::from_settings(settings),
            issued: Cache::builder()
                .max_capacity(MAX_CACHED_BYTES)
                .weigher(|_, issued: &Issued| {
                    u32::try_from(issued.token.len()).unwrap_or(u32::MAX).saturating_add(ENTRY_OVERHEAD_BYTES)
                })
                .build(),
        })
    }

    /// The JWT of a person or machine for one audience. Signing takes 25 us, and is done once in five minutes.
    ///
    /// # Errors
    /// The user's groups do not fit, or signing failed. The request must then not go on.
    pub fn issue(&self, identity: &Identity, audience: &str, now: Timestamp) -> Result<Arc<str>, Refusal> {
        let place = place(identity, audience);
        if let Some(issued) = self.issued.get(&place) {
            let is_fresh = issued.at <= now && now < issued.at.plus_seconds(RENEWED_AFTER_SECONDS);
            if is_fresh {
                return Ok(issued.token);
            }
        }
        let token: Arc<str> = self.sign(identity, audience, now)?.into();
        self.issued.insert(place, Issued { token: Arc::clone(&token), at: now });
        Ok(token)
    }

    /// The public keys, current, previous and next (RFC 7517 §5).
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    fn sign(&self, identity: &Identity, audience: &str, now: Timestamp) -> Result<String, Refusal> {
        let ends = now.plus_seconds(LIFE_SECONDS);
        let claims = match identity {
            Identity::Person(session) => {
                let record = &session.record;
                Claims {
                    iss: &self.issuer,
                    sub: &self.values.user(record),
                    aud: audience,
                    idp: record.idp.as_str(),
                    email: Some(&record.email),
                    groups: self.values.groups(record)?,
                    iat: now.unix_seconds(),
                    exp: ends.min(record.expires).unix_seconds(),
                    sid: Some(session_reference(&session.key)),
                }
            }
            Identity::Machine(machine) => Claims {
                iss: &self.issuer,
                sub: &machine_user(machine),
                aud: audience,
                idp: MACHINES,
                email: None,
                groups: self.values.groups_of_machine(machine)?,
                iat: now.unix_seconds(),
                exp: ends.min(machine.expires).unix_seconds(),
                sid: None,
            },
        };
        jsonwebtoken::encode(&self.header, &claims, &self.key)
            .map_err(|problem| Refusal::Internal { problem: format!("the identity JWT cannot be signed: {problem}") })
    }
}

/// The text of an origin, as `iss` and as the audience of a route that names none.
pub fn origin_text(origin: &Origin) -> String {
    let scheme = match origin.scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    };
    format!("{scheme}://{}", origin.authority)
}

fn signing_key(key: &Key) -> Result<(EncodingKey, Jwk), JwtKeyError> {
    let key = EncodingKey::from_ec_der(key.bytes());
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)?;
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    // RFC 7638: the same key has the same name on every replica.
    jwk.common.key_id = Some(jwk.thumbprint(ThumbprintHash::SHA256)?);
    Ok((key, jwk))
}

/// Where a token lies in the cache.
fn place(identity: &Identity, audience: &str) -> [u8; 32] {
    match identity {
        Identity::Person(session) => sha256(&[session.key.as_bytes(), audience.as_bytes()]),
        Identity::Machine(machine) => sha256(&[MACHINES.as_bytes(), &machine.token.0, audience.as_bytes()]),
    }
}

/// Names a session to upstreams (`sid`) and in logs (`session.ref`) without naming its key.
pub(crate) fn session_reference(session: &SessionKey) -> String {
    let hash = sha256(&[b"sid\0", session.as_bytes()]);
    URL_SAFE_NO_PAD.encode(hash.first_chunk::<16>().map_or(&[][..], |short| short))
}

fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut hash = [0; 32];
    hash.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    hash
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;
    use crate::session::SessionRecord;
    use crate::testing::{at, machine, session, settings};
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::Value;

    fn person(change: impl FnOnce(&mut SessionRecord)) -> Identity {
        Identity::Person(session(change))
    }

    fn jwts() -> IdentityJwts {
        let (keys, _) = Keys::load(&settings()).unwrap();
        IdentityJwts::new(&settings(), &keys).unwrap()
    }

    /// What an upstream does: the key by `kid` from the JWKS, the algorithm fixed, issuer and audience checked.
    fn verify(jwts: &IdentityJwts, token: &str, audience: &str) -> Option<Value> {
        let set: JwkSet = serde_json::from_str(jwts.jwks()).unwrap();
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(set.find(&kid).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&["https://app.example.com"]);
        validation.set_audience(&[audience]);
        validation.validate_exp = false;
        jsonwebtoken::decode::<Value>(token, &key, &validation).ok().map(|data| data.claims)
    }

    #[test]
    fn an_upstream_verifies_who_it_is_with_the_published_key() {
        let jwts = jwts();
        let session = session(|_| {});
        let token = jwts.issue(&Identity::Person(session.clone()), "https://app.example.com", at(1_000)).unwrap();
        let claims = verify(&jwts, &token, "https://app.example.com").unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": "https://app.example.com", "sub": "5f3c", "aud": "https://app.example.com", "idp": "jumpcloud",
                "email": "ada@example.com", "groups": ["staff", "admins"], "iat": 1_000, "exp": 1_600,
                "sid": session_reference(&session.key),
            })
        );
        assert!(verify(&jwts, &token, "https://other.example").is_none());
    }

    #[test]
    fn a_machine_has_a_token_of_its_own() {
        let jwts = jwts();
        let identity = Identity::Machine(machine("ci", b"samlgate_x", &["engineers"]).into());
        let claims = verify(&jwts, &jwts.issue(&identity, "a", at(900)).unwrap(), "a").unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "iss": "https://app.example.com", "sub": "machine:ci", "aud": "a", "idp": "machine",
                "groups": ["engineers"], "iat": 900, "exp": 1_000,
            })
        );
    }

    #[test]
    fn a_token_of_another_key_does_not_verify() {
        let (ours, other) = (jwts(), jwts());
        let token = other.issue(&person(|_| {}), "a", at(0)).unwrap();
        let set: JwkSet = serde_json::from_str(ours.jwks()).unwrap();
        assert!(set.find(&jsonwebtoken::decode_header(&*token).unwrap().kid.unwrap()).is_none());
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_audience(&["a"]);
        validation.validate_exp = false;
        let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&*token, &key, &validation).is_err());
    }

    #[test]
    fn is_signed_anew_after_five_minutes_and_for_each_session_and_audience() {
        let jwts = jwts();
        let (one, other) = (person(|_| {}), person(|_| {}));
        let first = jwts.issue(&one, "a", at(0)).unwrap();
        assert_eq!(jwts.issue(&one, "a", at(299)).unwrap(), first);
        assert_ne!(jwts.issue(&one, "a", at(300)).unwrap(), first);
        assert_ne!(jwts.issue(&one, "b", at(0)).unwrap(), first);
        assert_ne!(jwts.issue(&other, "a", at(0)).unwrap(), first);
    }

    #[test]
    fn does_not_outlive_the_session() {
        let jwts = jwts();
        let person = person(|record| record.expires = at(100));
        let claims = verify(&jwts, &jwts.issue(&person, "a", at(0)).unwrap(), "a").unwrap();
        assert_eq!(claims["exp"], 100);
    }

    #[test]
    fn all_three_ages_of_the_key_are_published_under_their_thumbprints() {
        let directory = tempfile::tempdir().unwrap();
        for age in ["previous", "next", "current"] {
            keys::generate(directory.path()).unwrap();
            if age != "current" {
                let file = |age: &str| directory.path().join(format!("jwt.{age}"));
                std::fs::rename(file("current"), file(age)).unwrap();
            }
        }
        let settings = Settings { keys_dir: Some(directory.path().to_owned()), ..settings() };
        let (keys, _) = Keys::load(&settings).unwrap();
        let jwts = IdentityJwts::new(&settings, &keys).unwrap();
        let set: Value = serde_json::from_str(jwts.jwks()).unwrap();
        let published = set["keys"].as_array().unwrap();
        assert_eq!(published.len(), 3);
        assert_eq!(published[0]["kid"], *jwts.header.kid.as_ref().unwrap());
        for key in published {
            assert_eq!(
                (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
                (&"EC".into(), &"P-256".into(), &"ES256".into(), &"sig".into())
            );
            assert!(key.get("d").is_none());
            let canonical = format!(r#"{{"crv":"P-256","kty":"EC","x":{},"y":{}}}"#, key["x"], key["y"]);
            assert_eq!(key["kid"], URL_SAFE_NO_PAD.encode(sha256(&[canonical.as_bytes()])));
        }
    }
}
