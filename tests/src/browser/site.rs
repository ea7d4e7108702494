//! Origins, sites and trustworthiness, as Chromium judges them.

use url::{Host, Url};

/// Scheme and registrable domain: what SameSite and `Sec-Fetch-Site` compare. Ports do not count, so that
/// `http://localhost:1` and `http://localhost:2` are one site and `http://127.0.0.1:1` is another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    scheme: String,
    host: String,
}

impl Site {
    /// There is no public suffix list here: the registrable domain is taken to be the last two labels.
    pub fn of(url: &Url) -> Self {
        let host = match url.host() {
            Some(Host::Domain(domain)) => last_two_labels(domain).to_owned(),
            Some(address) => address.to_string(),
            None => String::new(),
        };
        Self { scheme: url.scheme().to_owned(), host }
    }
}

fn last_two_labels(domain: &str) -> &str {
    domain.rmatch_indices('.').nth(1).map_or(domain, |(dot, _)| &domain[dot + 1..])
}

pub(super) fn same_site(one: &Url, other: &Url) -> bool {
    Site::of(one) == Site::of(other)
}

pub(super) fn same_origin(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Secure Contexts §3.1: https, or a loopback host. There Chromium keeps and sends Secure cookies.
pub(super) fn is_trustworthy(url: &Url) -> bool {
    let is_loopback = match url.host() {
        Some(Host::Domain(domain)) => domain == "localhost" || domain.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    is_loopback || matches!(url.scheme(), "https" | "wss")
}

/// Whose word caused a request, for SameSite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSiteContext {
    /// Caused by a page of the same site, or by the user alone.
    SameSite,
    /// A top-level navigation from another site by a safe method.
    CrossSiteNavigation,
    /// A top-level navigation from another site by POST: the way every SAML response comes.
    CrossSitePost,
    /// Anything else from another site: background requests, frames.
    CrossSite,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(url: &str) -> Site {
        Site::of(&url.parse().unwrap())
    }

    #[test]
    fn ports_do_not_separate_sites() {
        assert_eq!(site("http://localhost:8080/a"), site("http://localhost:9090/b"));
        assert_eq!(site("https://a.example.com"), site("https://b.c.example.com:8443"));
    }

    #[test]
    fn scheme_and_host_separate_sites() {
        assert_ne!(site("http://localhost"), site("http://127.0.0.1"));
        assert_ne!(site("http://example.com"), site("https://example.com"));
        assert_ne!(site("https://example.com"), site("https://example.org"));
        assert_ne!(site("http://127.0.0.1"), site("http://127.0.0.2"));
    }

    #[test]
    fn plain_http_is_trusted_on_loopback_only() {
        for (url, trusted) in [
            ("http://localhost:1", true),
            ("http://a.localhost", true),
            ("http://127.0.0.1", true),
            ("http://[::1]:1", true),
            ("https://example.com", true),
            ("http://example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_trustworthy(&url.parse().unwrap()), trusted, "{url}");
        }
    }
}
