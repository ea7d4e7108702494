//! Whether a request was made by a page of ours.

use http::HeaderMap;
use http::header::ORIGIN;

/// Sec-Fetch-Site where the browser sends it, else Origin; with neither the page is not known to be ours.
pub(crate) fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(ORIGIN).is_some_and(|value| value == origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: bool) {
        assert_eq!(is_same_origin(&testing::headers(headers), "https://app.example.com"), expected);
    }

    #[test]
    fn only_a_page_of_ours_is_of_the_same_origin() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "https://app.example.com")], true);
        check(&[], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "https://app.example.com.evil.example")], false);
        check(&[("sec-fetch-site", "same-site"), ("origin", "https://app.example.com")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], false);
    }
}
