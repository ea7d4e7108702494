//! What kind of client asks: whom can we send to sign in, and who would only follow a redirect blindly.

use http::HeaderMap;

/// What an unauthenticated caller is answered with; see DESIGN "Without a session".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// A browser that goes somewhere: it may be sent to login.
    Navigation,
    /// A navigation that carries a form: its user lands on a GET after login.
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
                let is_read = matches!(method, "GET" | "HEAD");
                is_read && accepts_html() && !headers.contains_key("x-requested-with")
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

fn is_prefetch(purpose: Option<&str>) -> bool {
    purpose.is_some_and(|purpose| {
        let purpose = purpose.to_ascii_lowercase();
        purpose.contains("prefetch") || purpose.contains("prerender")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[track_caller]
    fn check(method: &str, headers: &[(&'static str, &'static str)], expected: ClientKind) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
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
