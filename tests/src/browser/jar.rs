//! A cookie jar with the rules of RFC 6265bis, as Chromium applies them.

use cookie::{Cookie, Expiration};
use time::{Duration, OffsetDateTime};
use url::{Host, Url};

use super::site::{SameSiteContext, is_trustworthy};

/// Chromium sends a cookie without SameSite with a cross-site top-level POST while it is this young.
const LAX_ALLOWING_UNSAFE: Duration = Duration::minutes(2);
const MAX_NAME_AND_VALUE: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    None,
    Lax,
    Strict,
    /// No attribute: Lax, with the two minutes of grace.
    Unspecified,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCookie {
    pub name: String,
    pub value: String,
    /// The host that set it, or the Domain that it named.
    pub domain: String,
    pub host_only: bool,
    pub path: String,
    pub secure: bool,
    pub http_only: bool,
    pub same_site: SameSite,
    /// `None`: until the browser closes.
    pub expires: Option<OffsetDateTime>,
    created: OffsetDateTime,
}

/// Why the browser dropped a Set-Cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dropped {
    Unreadable,
    TooLarge,
    /// Secure, from a page that is not trustworthy.
    SecureFromPlainHttp,
    /// It would replace a Secure cookie from a page that is not trustworthy.
    WouldReplaceSecure,
    /// `__Host-` without Secure, with Domain, or with a Path other than `/`.
    HostPrefix,
    /// `__Secure-` without Secure.
    SecurePrefix,
    SameSiteNoneWithoutSecure,
    /// Not SameSite=None, in the answer to a background request from another site.
    SameSiteFromCrossSite,
    ForeignDomain,
}

#[derive(Debug, Clone, Default)]
pub struct Jar {
    cookies: Vec<StoredCookie>,
}

impl Jar {
    pub fn cookies(&self) -> &[StoredCookie] {
        &self.cookies
    }

    pub fn get(&self, host: &str, name: &str) -> Option<&StoredCookie> {
        self.cookies.iter().find(|cookie| cookie.name == name && cookie.domain == host)
    }

    pub fn remove(&mut self, host: &str, name: &str) {
        self.cookies.retain(|cookie| !(cookie.name == name && cookie.domain == host));
    }

    pub fn clear(&mut self) {
        self.cookies.clear();
    }

    /// The cookies of a request to `url`, in the order of the Cookie header: longer paths first, then older first.
    pub fn for_request(&self, url: &Url, context: SameSiteContext, now: OffsetDateTime) -> Vec<(String, String)> {
        let mut sent: Vec<_> = self.cookies.iter().filter(|cookie| cookie.goes_to(url, context, now)).collect();
        sent.sort_by_key(|cookie| (std::cmp::Reverse(cookie.path.len()), cookie.created));
        sent.iter().map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    /// Takes one Set-Cookie line of the answer from `url`.
    pub fn set(&mut self, url: &Url, line: &str, context: SameSiteContext, now: OffsetDateTime) -> Result<(), Dropped> {
        let mut cookie = read(url, line, now)?;
        let trustworthy = is_trustworthy(url);
        if cookie.secure && !trustworthy {
            return Err(Dropped::SecureFromPlainHttp);
        }
        if cookie.same_site == SameSite::None && !cookie.secure {
            return Err(Dropped::SameSiteNoneWithoutSecure);
        }
        if cookie.same_site != SameSite::None && context == SameSiteContext::CrossSite {
            return Err(Dropped::SameSiteFromCrossSite);
        }
        if !trustworthy && self.cookies.iter().any(|old| old.secure && old.name == cookie.name && old.is_for_host(url))
        {
            return Err(Dropped::WouldReplaceSecure);
        }
        if let Some(index) = self.cookies.iter().position(|old| old.is_same_as(&cookie)) {
            cookie.created = self.cookies.remove(index).created;
        }
        if cookie.lives(now) {
            self.cookies.push(cookie);
        }
        Ok(())
    }
}

impl StoredCookie {
    fn goes_to(&self, url: &Url, context: SameSiteContext, now: OffsetDateTime) -> bool {
        self.lives(now)
            && self.is_for_host(url)
            && path_matches(url.path(), &self.path)
            && (!self.secure || is_trustworthy(url))
            && self.same_site_allows(context, now)
    }

    fn same_site_allows(&self, context: SameSiteContext, now: OffsetDateTime) -> bool {
        match (self.same_site, context) {
            (_, SameSiteContext::SameSite) | (SameSite::None, _) => true,
            (SameSite::Lax | SameSite::Unspecified, SameSiteContext::CrossSiteNavigation) => true,
            (SameSite::Unspecified, SameSiteContext::CrossSitePost) => now < self.created + LAX_ALLOWING_UNSAFE,
            _ => false,
        }
    }

    fn lives(&self, now: OffsetDateTime) -> bool {
        self.expires.is_none_or(|expires| now < expires)
    }

    fn is_for_host(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        match self.host_only {
            true => host == self.domain,
            false => domain_matches(host, &self.domain),
        }
    }

    fn is_same_as(&self, other: &Self) -> bool {
        self.name == other.name && self.domain == other.domain && self.path == other.path
    }
}

/// Reads a Set-Cookie line and checks what does not depend on the jar.
fn read(url: &Url, line: &str, now: OffsetDateTime) -> Result<StoredCookie, Dropped> {
    let cookie = Cookie::parse(line).map_err(|_| Dropped::Unreadable)?;
    if cookie.name().len() + cookie.value().len() > MAX_NAME_AND_VALUE {
        return Err(Dropped::TooLarge);
    }
    let secure = cookie.secure() == Some(true);
    check_prefix(&cookie, secure)?;
    let (domain, host_only) = domain_of(url, cookie.domain())?;
    Ok(StoredCookie {
        name: cookie.name().to_owned(),
        value: cookie.value().to_owned(),
        domain,
        host_only,
        path: cookie.path().filter(|path| path.starts_with('/')).map_or_else(|| default_path(url), str::to_owned),
        secure,
        http_only: cookie.http_only() == Some(true),
        same_site: match cookie.same_site() {
            Some(cookie::SameSite::None) => SameSite::None,
            Some(cookie::SameSite::Lax) => SameSite::Lax,
            Some(cookie::SameSite::Strict) => SameSite::Strict,
            None => SameSite::Unspecified,
        },
        expires: match (cookie.max_age(), cookie.expires()) {
            (Some(max_age), _) => Some(now + max_age),
            (None, Some(Expiration::DateTime(expires))) => Some(expires),
            (None, _) => None,
        },
        created: now,
    })
}

/// RFC 6265bis §4.1.3; browsers compare the prefixes without regard to case.
fn check_prefix(cookie: &Cookie<'_>, secure: bool) -> Result<(), Dropped> {
    let name = cookie.name().to_ascii_lowercase();
    if name.starts_with("__secure-") && !secure {
        return Err(Dropped::SecurePrefix);
    }
    let fit_for_host = secure && cookie.domain().is_none() && cookie.path() == Some("/");
    if name.starts_with("__host-") && !fit_for_host {
        return Err(Dropped::HostPrefix);
    }
    Ok(())
}

fn domain_of(url: &Url, attribute: Option<&str>) -> Result<(String, bool), Dropped> {
    let host = url.host_str().unwrap_or_default();
    let named = attribute.map(|domain| domain.trim_start_matches('.').to_ascii_lowercase());
    match named.filter(|domain| !domain.is_empty()) {
        None => Ok((host.to_owned(), true)),
        Some(domain) => {
            let is_name = matches!(url.host(), Some(Host::Domain(_))) && domain.contains('.');
            match (domain == host, is_name && domain_matches(host, &domain)) {
                (_, true) => Ok((domain, false)),
                (true, false) => Ok((domain, true)),
                (false, false) => Err(Dropped::ForeignDomain),
            }
        }
    }
}

/// RFC 6265 §5.1.3
fn domain_matches(host: &str, domain: &str) -> bool {
    host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

/// RFC 6265 §5.1.4
fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(slash) => url.path()[..slash].to_owned(),
    }
}

fn path_matches(path: &str, cookie_path: &str) -> bool {
    let rest = path.strip_prefix(cookie_path);
    rest.is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use SameSiteContext::{CrossSite, CrossSiteNavigation, CrossSitePost, SameSite as Same};

    const NOW: OffsetDateTime = time::macros::datetime!(2026-03-04 05:06:07 UTC);

    fn url(url: &str) -> Url {
        url.parse().unwrap()
    }

    fn set(jar: &mut Jar, from: &str, line: &str) -> Result<(), Dropped> {
        jar.set(&url(from), line, Same, NOW)
    }

    fn sent(jar: &Jar, to: &str, context: SameSiteContext, now: OffsetDateTime) -> String {
        let cookies = jar.for_request(&url(to), context, now);
        cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    #[test]
    fn same_site_table() {
        let later = NOW + Duration::minutes(3);
        for (attribute, context, at, goes) in [
            ("; SameSite=Strict", Same, NOW, true),
            ("; SameSite=Strict", CrossSiteNavigation, NOW, false),
            ("; SameSite=Strict", CrossSitePost, NOW, false),
            ("; SameSite=Strict", CrossSite, NOW, false),
            ("; SameSite=Lax", Same, NOW, true),
            ("; SameSite=Lax", CrossSiteNavigation, NOW, true),
            ("; SameSite=Lax", CrossSitePost, NOW, false),
            ("; SameSite=Lax", CrossSite, NOW, false),
            ("; SameSite=None; Secure", Same, NOW, true),
            ("; SameSite=None; Secure", CrossSiteNavigation, NOW, true),
            ("; SameSite=None; Secure", CrossSitePost, NOW, true),
            ("; SameSite=None; Secure", CrossSite, NOW, true),
            ("", Same, later, true),
            ("", CrossSiteNavigation, later, true),
            ("", CrossSitePost, NOW, true),
            ("", CrossSitePost, later, false),
            ("", CrossSite, NOW, false),
        ] {
            let mut jar = Jar::default();
            set(&mut jar, "http://localhost/", &format!("a=1{attribute}")).unwrap();
            assert_eq!(sent(&jar, "http://localhost/", context, at) == "a=1", goes, "{attribute:?} {context:?}");
        }
    }

    #[test]
    fn drops_what_chromium_drops() {
        for (from, line, dropped) in [
            ("http://example.com", "a=1; Secure", Dropped::SecureFromPlainHttp),
            ("http://localhost", "a=1; SameSite=None", Dropped::SameSiteNoneWithoutSecure),
            ("https://a.example", "__Host-a=1; Path=/", Dropped::HostPrefix),
            ("https://a.example", "__Host-a=1; Secure", Dropped::HostPrefix),
            ("https://a.example", "__Host-a=1; Secure; Path=/a", Dropped::HostPrefix),
            ("https://a.example", "__Host-a=1; Secure; Path=/; Domain=a.example", Dropped::HostPrefix),
            ("https://a.example", "__hOST-a=1; Path=/", Dropped::HostPrefix),
            ("https://a.example", "__Secure-a=1", Dropped::SecurePrefix),
            ("https://a.example", "a=1; Domain=b.example", Dropped::ForeignDomain),
            ("https://a.example", "a=1; Domain=example", Dropped::ForeignDomain),
            ("http://127.0.0.1", "a=1; Domain=0.0.1", Dropped::ForeignDomain),
            ("https://a.example", "no cookie at all", Dropped::Unreadable),
        ] {
            assert_eq!(set(&mut Jar::default(), from, line), Err(dropped), "{from} {line}");
        }
        let large = format!("a={}", "x".repeat(4096));
        assert_eq!(set(&mut Jar::default(), "https://a.example", &large), Err(Dropped::TooLarge));
    }

    #[test]
    fn keeps_host_and_secure_cookies_on_plain_loopback() {
        for from in ["http://localhost:8080/x", "http://127.0.0.1/x"] {
            let mut jar = Jar::default();
            set(&mut jar, from, "__Host-a=1; Secure; HttpOnly; Path=/; SameSite=Lax").unwrap();
            assert_eq!(sent(&jar, from, Same, NOW), "__Host-a=1");
        }
    }

    #[test]
    fn cross_site_background_answer_may_set_only_same_site_none() {
        let mut jar = Jar::default();
        let from = url("https://a.example/");
        assert_eq!(jar.set(&from, "a=1; Secure", CrossSite, NOW), Err(Dropped::SameSiteFromCrossSite));
        assert_eq!(jar.set(&from, "a=1; Secure; SameSite=None", CrossSite, NOW), Ok(()));
        assert_eq!(jar.set(&from, "b=1; SameSite=Lax", CrossSitePost, NOW), Ok(()));
    }

    #[test]
    fn plain_http_cannot_replace_a_secure_cookie() {
        let mut jar = Jar::default();
        set(&mut jar, "https://a.example/", "a=1; Secure").unwrap();
        assert_eq!(set(&mut jar, "http://a.example/", "a=2"), Err(Dropped::WouldReplaceSecure));
        assert_eq!(sent(&jar, "http://a.example/", Same, NOW), "");
    }

    #[test]
    fn cookie_without_domain_stays_on_its_host_whatever_the_port() {
        let mut jar = Jar::default();
        set(&mut jar, "http://a.example:1/", "a=1").unwrap();
        assert_eq!(sent(&jar, "http://a.example:2/", Same, NOW), "a=1");
        assert_eq!(sent(&jar, "http://b.a.example/", Same, NOW), "");
    }

    #[test]
    fn cookie_with_domain_goes_to_its_subdomains() {
        let mut jar = Jar::default();
        set(&mut jar, "http://b.a.example/", "a=1; Domain=.A.example").unwrap();
        assert_eq!(sent(&jar, "http://c.a.example/", Same, NOW), "a=1");
        assert_eq!(sent(&jar, "http://xa.example/", Same, NOW), "");
    }

    #[test]
    fn path_matches_on_segment_borders_and_longer_paths_go_first() {
        let mut jar = Jar::default();
        set(&mut jar, "http://localhost/", "a=root").unwrap();
        set(&mut jar, "http://localhost/", "a=deep; Path=/app").unwrap();
        assert_eq!(sent(&jar, "http://localhost/app/x", Same, NOW), "a=deep; a=root");
        assert_eq!(sent(&jar, "http://localhost/apple", Same, NOW), "a=root");
        set(&mut jar, "http://localhost/dir/page", "b=1").unwrap();
        assert_eq!(jar.cookies().last().unwrap().path, "/dir");
    }

    #[test]
    fn max_age_wins_over_expires_and_zero_removes() {
        let mut jar = Jar::default();
        set(&mut jar, "http://localhost/", "a=1; Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
        assert_eq!(sent(&jar, "http://localhost/", Same, NOW + Duration::seconds(59)), "a=1");
        assert_eq!(sent(&jar, "http://localhost/", Same, NOW + Duration::seconds(60)), "");
        set(&mut jar, "http://localhost/", "a=; Max-Age=0").unwrap();
        assert!(jar.cookies().is_empty());
        set(&mut jar, "http://localhost/", "b=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT").unwrap();
        assert!(jar.cookies().is_empty());
    }

    #[test]
    fn new_value_replaces_the_old_and_keeps_its_place() {
        let mut jar = Jar::default();
        set(&mut jar, "http://localhost/", "a=1").unwrap();
        jar.set(&url("http://localhost/"), "b=1", Same, NOW + Duration::SECOND).unwrap();
        jar.set(&url("http://localhost/"), "a=2", Same, NOW + Duration::MINUTE).unwrap();
        assert_eq!(sent(&jar, "http://localhost/", Same, NOW), "a=2; b=1");
    }
}
