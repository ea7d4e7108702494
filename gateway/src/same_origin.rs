//! Whether a request was made by a page of ours.

use config::Origin;
use http::HeaderMap;
use http::header::ORIGIN;

use crate::decide::is_serialised;

/// By a page of the host that is asked, which another accepted one is not. Sec-Fetch-Site where the browser sends it, else Origin; with neither the page is not
/// known to be ours.
pub(crate) fn is_same_origin(headers: &HeaderMap, host: &Origin) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => {
            let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
            origin.is_some_and(|origin| is_serialised(host, origin))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: bool) {
        assert_eq!(is_same_origin(&testing::headers(headers), &testing::settings().public_url), expected);
    }

    #[test]
    fn only_a_page_of_ours_is_of_the_same_origin() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "https://app.example.com")], true);
        check(&[], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "https://app.example.com.evil.example")], false);
        check(&[("origin", "https://b.example.com")], false);
        check(&[("sec-fetch-site", "same-site"), ("origin", "https://app.example.com")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], false);
    }
}
