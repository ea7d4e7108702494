//! What kind of client asks: whom can we send to sign in, and who would only follow a redirect blindly.

use http::HeaderMap;

/// A boundary has at most 70 characters (RFC 2046 §5.1.1).
const MAX_CONTENT_TYPE_BYTES: usize = 256;
pub(crate) const URLENCODED: &str = "application/x-www-form-urlencoded";
/// What browsers send forms as (HTML, form submission).
const FORM_TYPES: [&str; 3] = [URLENCODED, "multipart/form-data", "text/plain"];

/// What an unauthenticated caller is answered with; see DESIGN "Without a session".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// A browser that goes somewhere: it may be sent to login.
    Navigation,
    /// A navigation that carries a form: it may be kept, or its user lands on a GET after login.
    FormPost,
    /// A navigation inside a frame: a page with a link to the top.
    Frame,
    /// Everything else: 401 JSON.
    Background,
}

impl ClientKind {
    /// Fetch metadata decides when present (W3C Fetch Metadata Request Headers §2); pages cannot set it.
    pub fn of(method: &str, headers: &HeaderMap) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if is_prefetch(header("sec-purpose")) || is_prefetch(header("purpose")) {
            return Self::Background;
        }
        let accepts_html = || header("accept").is_some_and(|accept| accept.to_ascii_lowercase().contains("text/html"));
        let (mode, destination) = (header("sec-fetch-mode"), header("sec-fetch-dest"));
        let is_top = match (mode, destination) {
            (_, Some("iframe" | "frame" | "embed" | "object")) => return Self::Frame,
            (Some("navigate"), Some("document")) => true,
            (Some("navigate"), None) => accepts_html(),
            (None, None) if !headers.contains_key("sec-fetch-site") => {
                // Browsers say where a form comes from (Fetch §3.2); programs rarely do.
                let may_navigate = matches!(method, "GET" | "HEAD")
                    || method == "POST" && headers.contains_key("origin") && form_type(headers).is_some();
                may_navigate && accepts_html() && !headers.contains_key("x-requested-with")
            }
            _ => false,
        };
        match method {
            "GET" | "HEAD" if is_top => Self::Navigation,
            "POST" if is_top => Self::FormPost,
            _ => Self::Background,
        }
    }
}

/// Whether a browser asks, without cookies, if a page of another origin may make a request (Fetch §4.8).
pub(crate) fn is_preflight(method: &str, headers: &HeaderMap) -> bool {
    method == "OPTIONS" && headers.contains_key("origin") && headers.contains_key("access-control-request-method")
}

/// The Content-Type of a request that carries a form as browsers send them.
pub(crate) fn form_type(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get("content-type")?.to_str().ok()?;
    let is_form = FORM_TYPES.iter().any(|form| is_of_type(content_type, form));
    let is_plain = content_type.len() <= MAX_CONTENT_TYPE_BYTES && !headers.contains_key("content-encoding");
    (is_form && is_plain).then_some(content_type)
}

pub(crate) fn is_of_type(content_type: &str, wanted: &str) -> bool {
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

fn is_prefetch(purpose: Option<&str>) -> bool {
    purpose.is_some_and(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        purpose.contains("prefetch") || purpose.contains("prerender")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::headers;

    #[track_caller]
    fn check(method: &str, pairs: &[(&'static str, &'static str)], expected: ClientKind) {
        let headers = headers(pairs);
        assert_eq!(ClientKind::of(method, &headers), expected, "{method} {headers:?}");
    }

    const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml;q=0.9");
    const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");

    #[test]
    fn a_browser_that_goes_somewhere_may_sign_in() {
        check("GET", &[NAVIGATE, ("sec-fetch-dest", "document")], ClientKind::Navigation);
        check(
            "GET",
            &[NAVIGATE, ("sec-fetch-dest", "document"), ("sec-fetch-site", "cross-site")],
            ClientKind::Navigation,
        );
        check("GET", &[NAVIGATE, HTML], ClientKind::Navigation);
        check("POST", &[NAVIGATE, ("sec-fetch-dest", "document"), HTML], ClientKind::FormPost);
        check("GET", &[HTML], ClientKind::Navigation);
        check("HEAD", &[HTML], ClientKind::Navigation);
    }

    #[test]
    fn a_browser_without_fetch_metadata_sends_forms_too() {
        const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
        const ORIGIN: (&str, &str) = ("origin", "https://app.example.com");
        check("POST", &[HTML, FORM, ORIGIN], ClientKind::FormPost);
        check("POST", &[HTML, FORM], ClientKind::Background);
        check("POST", &[FORM, ORIGIN], ClientKind::Background);
        check("POST", &[HTML, ORIGIN, ("content-type", "application/json")], ClientKind::Background);
        check("POST", &[HTML, FORM, ORIGIN, ("x-requested-with", "XMLHttpRequest")], ClientKind::Background);
        check("POST", &[HTML, FORM, ORIGIN, ("sec-fetch-site", "same-origin")], ClientKind::Background);
    }

    #[test]
    fn what_browsers_send_as_a_form_is_one() {
        let long = format!("multipart/form-data; boundary={}", "a".repeat(MAX_CONTENT_TYPE_BYTES));
        for (content_type, expected) in [
            (URLENCODED, true),
            ("Application/X-WWW-Form-Urlencoded;charset=utf-8", true),
            ("multipart/form-data; boundary=----WebKitFormBoundaryX", true),
            ("text/plain", true),
            ("application/json", false),
            ("text/plainer", false),
            ("", false),
            (&long, false),
        ] {
            let headers = headers(&[("content-type", content_type)]);
            assert_eq!(form_type(&headers), expected.then_some(content_type));
        }
        assert_eq!(form_type(&headers(&[])), None);
        assert_eq!(form_type(&headers(&[("content-type", URLENCODED), ("content-encoding", "gzip")])), None);
    }

    #[test]
    fn a_frame_is_told_to_go_to_the_top() {
        for destination in ["iframe", "frame", "embed", "object"] {
            let destination = ("sec-fetch-dest", destination);
            check("GET", &[NAVIGATE, destination, HTML], ClientKind::Frame);
        }
    }

    #[test]
    fn scripts_prefetches_and_tools_are_background() {
        let document = ("sec-fetch-dest", "document");
        check("GET", &[], ClientKind::Background);
        check("GET", &[("accept", "*/*")], ClientKind::Background);
        check("GET", &[("accept", "application/json")], ClientKind::Background);
        check("GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], ClientKind::Background);
        check("POST", &[HTML], ClientKind::Background);
        check("GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), HTML], ClientKind::Background);
        check("GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), HTML], ClientKind::Background);
        check("GET", &[("sec-fetch-mode", "websocket"), HTML], ClientKind::Background);
        check("GET", &[("sec-fetch-site", "same-origin"), HTML], ClientKind::Background);
        check("GET", &[NAVIGATE, ("accept", "*/*")], ClientKind::Background);
        check("GET", &[NAVIGATE, document, ("sec-purpose", "prefetch")], ClientKind::Background);
        check("GET", &[NAVIGATE, document, ("sec-purpose", "prefetch;prerender")], ClientKind::Background);
        check("GET", &[HTML, ("purpose", "prefetch")], ClientKind::Background);
        check("PUT", &[NAVIGATE, document, HTML], ClientKind::Background);
    }
}
