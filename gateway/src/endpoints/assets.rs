//! `/saml/style.css`, `/saml/post.js` and `/saml/login.js`: their addresses carry a version, so browsers keep them for ever.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};

use crate::pages::{Answer, LOGIN_JS, POST_JS, STYLE_CSS, ours};

pub(super) fn style() -> Answer {
    kept_for_ever(ours(StatusCode::OK, "text/css; charset=utf-8", STYLE_CSS))
}

pub(super) fn post_js() -> Answer {
    script(POST_JS)
}

pub(super) fn login_js() -> Answer {
    script(LOGIN_JS)
}

fn script(text: &'static str) -> Answer {
    kept_for_ever(ours(StatusCode::OK, "text/javascript; charset=utf-8", text))
}

fn kept_for_ever(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer
}
