//! Styles and scripts. The addresses that our own pages name carry a version, so browsers keep them for ever; pages of
//! the application name `/saml/client.js` without one, so browsers ask for it anew by its entity tag.

use http::header::{CACHE_CONTROL, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::Call;
use crate::pages::{Answer, CLIENT_JS, LOGIN_JS, POST_JS, SIGNED_IN_JS, STYLE_CSS, ours};

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn style() -> Answer {
    kept_for_ever(ours(StatusCode::OK, "text/css; charset=utf-8", STYLE_CSS))
}

pub(super) fn post_js() -> Answer {
    script(POST_JS)
}

pub(super) fn login_js() -> Answer {
    script(LOGIN_JS)
}

pub(super) fn signed_in_js() -> Answer {
    script(SIGNED_IN_JS)
}

pub(super) fn client_js(call: &Call<'_>) -> Answer {
    let tag = &call.gateway.site.client_js_tag;
    let (status, text) =
        if knows(call.headers, tag) { (StatusCode::NOT_MODIFIED, "") } else { (StatusCode::OK, CLIENT_JS) };
    let mut answer = ours(status, JAVASCRIPT, text);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, no-cache"));
    answer.headers_mut().insert(ETAG, tag.clone());
    answer
}

/// Compared weakly (RFC 9110 §13.1.2): a proxy that compresses makes the tag a weak one.
fn knows(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let known = headers.get_all(IF_NONE_MATCH).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    known.map(<[u8]>::trim_ascii).any(|known| known.strip_prefix(b"W/").unwrap_or(known) == tag.as_bytes())
}

fn script(text: &'static str) -> Answer {
    kept_for_ever(ours(StatusCode::OK, JAVASCRIPT, text))
}

fn kept_for_ever(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer
}
