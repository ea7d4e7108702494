//! `/saml/style.css` and `/saml/post.js`: their addresses carry a version, so browsers keep them for ever.

use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};

use crate::pages::{Answer, POST_JS, STYLE_CSS, ours};

pub(super) fn style() -> Answer {
    kept_for_ever(ours(StatusCode::OK, "text/css; charset=utf-8", STYLE_CSS))
}

pub(super) fn post_js() -> Answer {
    kept_for_ever(ours(StatusCode::OK, "text/javascript; charset=utf-8", POST_JS))
}

fn kept_for_ever(mut answer: Answer) -> Answer {
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    answer
}
