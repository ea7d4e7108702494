//! One request of a browser through its redirects: what it is, and which headers it carries at each hop.

use url::Url;

use super::csp::FormAction;
use super::site::{SameSiteContext, is_trustworthy, same_origin, same_site};

/// What a request is for. It decides `Sec-Fetch-Mode`, `Sec-Fetch-Dest`, `Accept`, and how SameSite is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The page of a tab.
    Document,
    /// The page of an `<iframe>`.
    Frame,
    /// `fetch()` or XMLHttpRequest.
    Fetch,
    Image,
    /// `<link rel="prefetch">`
    Prefetch,
    WebSocket,
}

impl Kind {
    fn mode(self) -> &'static str {
        match self {
            Self::Document | Self::Frame => "navigate",
            Self::Fetch => "cors",
            Self::Image | Self::Prefetch => "no-cors",
            Self::WebSocket => "websocket",
        }
    }

    fn destination(self) -> &'static str {
        match self {
            Self::Document => "document",
            Self::Frame => "iframe",
            Self::Image => "image",
            Self::Fetch | Self::Prefetch => "empty",
            Self::WebSocket => "websocket",
        }
    }

    fn accept(self) -> Option<&'static str> {
        match self {
            Self::Document | Self::Frame => {
                Some("text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8")
            }
            Self::Image => Some("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"),
            Self::Fetch | Self::Prefetch => Some("*/*"),
            Self::WebSocket => None,
        }
    }
}

/// Whether `fetch()` sends cookies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    Omit,
    /// `fetch()`'s default.
    SameOrigin,
    Include,
}

/// The page that causes a request.
#[derive(Debug, Clone)]
pub(super) struct Initiator {
    pub(super) url: Url,
    pub(super) referrer_policy: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestBody {
    pub(super) content_type: String,
    pub(super) bytes: Vec<u8>,
}

/// A request at one hop of its way.
#[derive(Debug, Clone)]
pub(super) struct Load {
    pub(super) kind: Kind,
    pub(super) method: String,
    /// Every URL of the chain; the last is where the request goes now.
    pub(super) chain: Vec<Url>,
    pub(super) body: Option<RequestBody>,
    /// `None`: the user typed the address.
    pub(super) initiator: Option<Initiator>,
    pub(super) user_activated: bool,
    pub(super) credentials: Credentials,
    /// Of the page whose form this is.
    pub(super) form_action: Option<FormAction>,
    /// Headers that a script added.
    pub(super) extra_headers: Vec<(String, String)>,
}

impl Load {
    /// By a script, with cookies, without a body.
    pub(super) fn new(kind: Kind, method: &str, url: Url, initiator: Option<Initiator>) -> Self {
        Self {
            kind,
            method: method.to_owned(),
            chain: vec![url],
            body: None,
            initiator,
            user_activated: false,
            credentials: Credentials::Include,
            form_action: None,
            extra_headers: Vec::new(),
        }
    }

    pub(super) fn url(&self) -> &Url {
        self.chain.last().expect("a chain begins with one URL")
    }

    /// Chromium compares initiator and present URL, not the URLs between them: the GET that follows a
    /// cross-site POST is still caused by the other site, and carries Lax cookies but no Strict ones.
    pub(super) fn same_site_context(&self) -> SameSiteContext {
        let is_same_site = self.initiator.as_ref().is_none_or(|initiator| same_site(&initiator.url, self.url()));
        let is_safe = matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE");
        match (is_same_site, self.kind, is_safe) {
            (true, _, _) => SameSiteContext::SameSite,
            (false, Kind::Document, true) => SameSiteContext::CrossSiteNavigation,
            (false, Kind::Document, false) => SameSiteContext::CrossSitePost,
            (false, _, _) => SameSiteContext::CrossSite,
        }
    }

    /// Whether the page whose form this is lets it go where it goes now.
    pub(super) fn is_blocked(&self) -> bool {
        self.form_action.as_ref().is_some_and(|form_action| !form_action.allows(self.url()))
    }

    pub(super) fn sends_cookies(&self) -> bool {
        match self.credentials {
            Credentials::Omit => false,
            Credentials::Include => true,
            Credentials::SameOrigin => self
                .initiator
                .as_ref()
                .is_none_or(|initiator| self.chain.iter().all(|url| same_origin(&initiator.url, url))),
        }
    }

    /// Everything but Host, Cookie and what frames the body.
    pub(super) fn headers(&self) -> Vec<(String, String)> {
        let mut headers: Vec<(String, String)> = Vec::new();
        let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
        if matches!(self.kind, Kind::Document | Kind::Frame) {
            add("Upgrade-Insecure-Requests", "1");
        }
        add("User-Agent", USER_AGENT);
        if let Some(accept) = self.kind.accept().filter(|_| !self.has_extra("Accept")) {
            add("Accept", accept);
        }
        if let Some(origin) = self.origin() {
            add("Origin", &origin);
        }
        if let Some(body) = &self.body {
            add("Content-Type", &body.content_type);
        }
        if self.kind == Kind::Prefetch {
            add("Purpose", "prefetch");
            add("Sec-Purpose", "prefetch");
        }
        if is_trustworthy(self.url()) {
            add("Sec-Fetch-Site", self.sec_fetch_site());
            add("Sec-Fetch-Mode", self.kind.mode());
            if self.user_activated && self.kind == Kind::Document {
                add("Sec-Fetch-User", "?1");
            }
            add("Sec-Fetch-Dest", self.kind.destination());
        }
        if let Some(referer) = self.referer() {
            add("Referer", &referer);
        }
        add("Accept-Language", "en-US,en;q=0.9");
        headers.extend(self.extra_headers.iter().cloned());
        headers
    }

    fn has_extra(&self, name: &str) -> bool {
        self.extra_headers.iter().any(|(each, _)| each.eq_ignore_ascii_case(name))
    }

    /// Fetch Metadata §2.3: the worst of the whole chain, seen from the initiator.
    pub(super) fn sec_fetch_site(&self) -> &'static str {
        let Some(initiator) = &self.initiator else {
            return "none";
        };
        if self.chain.iter().all(|url| same_origin(&initiator.url, url)) {
            "same-origin"
        } else if self.chain.iter().all(|url| same_site(&initiator.url, url)) {
            "same-site"
        } else {
            "cross-site"
        }
    }

    /// Fetch §3.2, "append a request `Origin` header".
    fn origin(&self) -> Option<String> {
        let initiator = self.initiator.as_ref()?;
        let is_cross_origin = !same_origin(&initiator.url, self.url());
        let is_safe = matches!(self.method.as_str(), "GET" | "HEAD");
        let speaks_cors = matches!(self.kind, Kind::Fetch | Kind::WebSocket);
        if is_safe && !(self.kind == Kind::WebSocket || self.kind == Kind::Fetch && is_cross_origin) {
            return None;
        }
        let hidden = !speaks_cors
            && match self.referrer_policy() {
                "no-referrer" => true,
                "same-origin" => is_cross_origin,
                "strict-origin" | "strict-origin-when-cross-origin" | "no-referrer-when-downgrade" => {
                    self.is_downgrade()
                }
                _ => false,
            };
        match hidden || self.is_tainted() {
            true => Some("null".to_owned()),
            false => Some(initiator.url.origin().ascii_serialization()),
        }
    }

    /// Fetch §2.2.5, "redirect-taint". Chromium goes further: a redirect to another origin hides the initiator's, even where the
    /// initiator's own server sends it.
    fn is_tainted(&self) -> bool {
        self.initiator.is_some() && self.chain.windows(2).any(|hop| !same_origin(&hop[0], &hop[1]))
    }

    /// Referrer Policy §8.3
    fn referer(&self) -> Option<String> {
        let initiator = &self.initiator.as_ref()?.url;
        let is_cross_origin = !same_origin(initiator, self.url());
        let whole = || {
            let mut url = initiator.clone();
            url.set_fragment(None);
            Some(url.to_string())
        };
        let origin = || Some(format!("{}/", initiator.origin().ascii_serialization()));
        match self.referrer_policy() {
            "no-referrer" => None,
            "same-origin" => {
                if is_cross_origin {
                    None
                } else {
                    whole()
                }
            }
            "origin" => origin(),
            "unsafe-url" => whole(),
            "origin-when-cross-origin" => {
                if is_cross_origin {
                    origin()
                } else {
                    whole()
                }
            }
            _ if self.is_downgrade() => None,
            "strict-origin" => origin(),
            "no-referrer-when-downgrade" => whole(),
            _ => {
                if is_cross_origin {
                    origin()
                } else {
                    whole()
                }
            }
        }
    }

    fn referrer_policy(&self) -> &str {
        let policy = self.initiator.as_ref().and_then(|initiator| initiator.referrer_policy.as_deref());
        policy.unwrap_or("strict-origin-when-cross-origin")
    }

    fn is_downgrade(&self) -> bool {
        self.initiator.as_ref().is_some_and(|initiator| is_trustworthy(&initiator.url)) && !is_trustworthy(self.url())
    }

    /// Fetch §4.4, "HTTP-redirect fetch": 303 makes everything but HEAD a GET, 301 and 302 only POST.
    pub(super) fn redirect(&mut self, status: u16, location: Url, referrer_policy: Option<String>) {
        let becomes_get = match status {
            301 | 302 => self.method == "POST",
            303 => !matches!(self.method.as_str(), "GET" | "HEAD"),
            _ => false,
        };
        if becomes_get {
            self.method = "GET".to_owned();
            self.body = None;
        }
        if let (Some(initiator), Some(policy)) = (&mut self.initiator, referrer_policy) {
            initiator.referrer_policy = Some(policy);
        }
        self.chain.push(location);
    }
}

const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";

#[cfg(test)]
mod tests {
    use super::*;

    fn load(method: &str, from: Option<&str>, chain: &[&str]) -> Load {
        let mut urls = chain.iter().map(|url| url.parse().unwrap());
        let initiator = from.map(|url| Initiator { url: url.parse().unwrap(), referrer_policy: None });
        let mut load = Load::new(Kind::Document, method, urls.next().unwrap(), initiator);
        load.chain.extend(urls);
        load
    }

    fn header(load: &Load, name: &str) -> Option<String> {
        load.headers().into_iter().find(|(each, _)| each == name).map(|(_, value)| value)
    }

    const IDP: &str = "http://127.0.0.1:4000/saml2/app";
    const ACS: &str = "http://localhost:8080/saml/acs";
    const APP: &str = "http://localhost:8080/deep";

    #[test]
    fn post_from_the_idp_stays_cross_site_over_its_redirect() {
        let mut load = load("POST", Some(IDP), &[ACS]);
        assert_eq!(load.same_site_context(), SameSiteContext::CrossSitePost);
        load.redirect(303, APP.parse().unwrap(), None);
        assert_eq!(load.method, "GET");
        assert_eq!(load.same_site_context(), SameSiteContext::CrossSiteNavigation);
        assert_eq!(load.sec_fetch_site(), "cross-site");
    }

    #[test]
    fn chain_that_leaves_the_site_and_returns_is_cross_site_in_fetch_metadata_alone() {
        let load = load("GET", Some(APP), &[ACS, IDP, ACS]);
        assert_eq!(load.sec_fetch_site(), "cross-site");
        assert_eq!(load.same_site_context(), SameSiteContext::SameSite);
    }

    #[test]
    fn typed_address_is_same_site_everywhere() {
        let load = load("GET", None, &[APP, IDP]);
        assert_eq!(load.sec_fetch_site(), "none");
        assert_eq!(load.same_site_context(), SameSiteContext::SameSite);
        assert_eq!(header(&load, "Referer"), None);
    }

    #[test]
    fn another_port_is_same_site_but_another_origin() {
        assert_eq!(load("GET", Some("http://localhost:1/"), &[APP]).sec_fetch_site(), "same-site");
        assert_eq!(load("GET", Some("http://localhost:8080/"), &[APP]).sec_fetch_site(), "same-origin");
    }

    #[test]
    fn background_request_and_frame_from_another_site_are_cross_site() {
        for kind in [Kind::Fetch, Kind::Frame, Kind::Image, Kind::WebSocket] {
            let mut load = load("GET", Some(IDP), &[APP]);
            load.kind = kind;
            assert_eq!(load.same_site_context(), SameSiteContext::CrossSite, "{kind:?}");
        }
    }

    #[test]
    fn redirects_change_methods_as_fetch_says() {
        for (method, status, then) in [
            ("POST", 301, "GET"),
            ("POST", 302, "GET"),
            ("POST", 303, "GET"),
            ("POST", 307, "POST"),
            ("POST", 308, "POST"),
            ("PUT", 302, "PUT"),
            ("PUT", 303, "GET"),
            ("HEAD", 303, "HEAD"),
            ("GET", 302, "GET"),
        ] {
            let mut load = load(method, Some(IDP), &[ACS]);
            load.body = Some(RequestBody { content_type: "text/plain".to_owned(), bytes: vec![1] });
            load.redirect(status, APP.parse().unwrap(), None);
            assert_eq!(load.method, then, "{method} {status}");
            assert_eq!(load.body.is_some(), method == then, "{method} {status}");
        }
    }

    #[test]
    fn origin_goes_with_posts_and_is_null_when_hidden_or_tainted() {
        assert_eq!(header(&load("POST", Some(IDP), &[ACS]), "Origin").as_deref(), Some("http://127.0.0.1:4000"));
        assert_eq!(header(&load("GET", Some(IDP), &[ACS]), "Origin"), None);

        let mut hidden = load("POST", Some(APP), &[ACS]);
        hidden.initiator.as_mut().unwrap().referrer_policy = Some("no-referrer".to_owned());
        assert_eq!(header(&hidden, "Origin").as_deref(), Some("null"));
        assert_eq!(header(&hidden, "Referer"), None);

        for chain in [[IDP, ACS], [APP, IDP]] {
            let tainted = load("POST", Some(APP), &chain);
            assert_eq!(header(&tainted, "Origin").as_deref(), Some("null"), "{chain:?}");
        }
    }

    #[test]
    fn referer_shows_another_origin_only_the_origin() {
        assert_eq!(header(&load("GET", Some(APP), &[ACS]), "Referer").as_deref(), Some(APP));
        assert_eq!(header(&load("GET", Some(APP), &[IDP]), "Referer").as_deref(), Some("http://localhost:8080/"));
    }

    #[test]
    fn fetch_sends_cookies_to_its_own_origin_unless_told_otherwise() {
        let mut load = load("GET", Some(APP), &["http://localhost:9/"]);
        load.credentials = Credentials::SameOrigin;
        assert!(!load.sends_cookies());
        load.chain = vec![ACS.parse().unwrap()];
        assert!(load.sends_cookies());
        load.credentials = Credentials::Omit;
        assert!(!load.sends_cookies());
    }
}
