//! `GET /saml/jwks.json`: the keys that upstreams verify the identity JWT with.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};

use super::Call;
use crate::pages::{Answer, ours};

pub(super) fn serve(call: &Call<'_>) -> Answer {
    let mut answer = ours(StatusCode::OK, "application/json", call.gateway.identity_jwts.jwks().to_owned());
    // Nothing secret, and verifiers fetch it often; short, so that a rotation is seen soon.
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=60"));
    answer
}
