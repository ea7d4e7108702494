//! A browser without a screen: tabs that share a strict cookie jar, and the headers that a real one sends.
//!
//! It runs no scripts. What a script on a page would do is asked for by name: [`Tab::auto_submit`],
//! [`Tab::fetch`]. Every request is in [`Browser::log`] with the cookies that it carried.

mod csp;
mod jar;
mod load;
mod page;
mod site;
mod tab;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use time::{Duration, OffsetDateTime};
use url::Url;

pub use jar::{Dropped, Jar, SameSite, StoredCookie};
pub use load::{Credentials, Kind};
pub use page::{Button, Form, Link, Page};
pub use site::{SameSiteContext, Site};
pub use tab::{Fetch, Tab};

use load::Load;

/// As Chromium's.
const MAX_REDIRECTS: usize = 20;

/// One request and its answer, as they went over the wire.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub kind: Kind,
    pub method: String,
    pub url: Url,
    pub headers: Vec<(String, String)>,
    pub cookies: Vec<(String, String)>,
    pub status: u16,
    pub response_headers: Vec<(String, String)>,
    /// Set-Cookie lines that the jar did not take, and why.
    pub dropped_cookies: Vec<(String, Dropped)>,
}

impl Exchange {
    pub fn sent_cookie(&self, name: &str) -> Option<&str> {
        self.cookies.iter().find(|(each, _)| each == name).map(|(_, value)| value.as_str())
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn response_header(&self, name: &str) -> Option<&str> {
        self.response_headers.iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn set_cookies(&self) -> Vec<&str> {
        let lines = self.response_headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
        lines.map(|(_, value)| value.as_str()).collect()
    }
}

/// A profile: one cookie jar, one log. Clones share both.
#[derive(Clone)]
pub struct Browser {
    client: reqwest::Client,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    jar: Jar,
    log: Vec<Exchange>,
    hosts: HashMap<String, SocketAddr>,
    clock_ahead: Duration,
}

impl State {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc() + self.clock_ahead
    }
}

impl Default for Browser {
    fn default() -> Self {
        Self::new()
    }
}

impl Browser {
    pub fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build();
        Self { client: client.expect("a client without TLS can be made"), state: Arc::default() }
    }

    pub fn tab(&self) -> Tab {
        Tab { browser: self.clone(), current: None }
    }

    /// Sends what is for `host`, whatever its port, to `address`, as plain http: for https the TLS ends in front of it.
    pub fn point(&self, host: &str, address: SocketAddr) {
        self.state().hosts.insert(host.to_owned(), address);
    }

    /// Puts the browser's clock ahead: cookies age.
    pub fn advance(&self, by: Duration) {
        self.state().clock_ahead += by;
    }

    /// A copy of the jar as it is now.
    pub fn jar(&self) -> Jar {
        self.state().jar.clone()
    }

    pub fn change_jar(&self, change: impl FnOnce(&mut Jar)) {
        change(&mut self.state().jar);
    }

    pub fn cookie(&self, host: &str, name: &str) -> Option<StoredCookie> {
        self.state().jar.get(host, name).cloned()
    }

    /// Every request so far.
    pub fn log(&self) -> Vec<Exchange> {
        self.state().log.clone()
    }

    /// The last request to that path.
    pub fn last_to(&self, path: &str) -> Exchange {
        let found = self.state().log.iter().rev().find(|exchange| exchange.url.path() == path).cloned();
        found.unwrap_or_else(|| panic!("the browser sent nothing to {path}: {:?}", self.visited()))
    }

    /// Methods and URLs of every request so far.
    pub fn visited(&self) -> Vec<String> {
        self.state().log.iter().map(|exchange| format!("{} {}", exchange.method, exchange.url)).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// Follows a request through its redirects.
    async fn load(&self, mut load: Load) -> (Page, Load) {
        loop {
            assert!(!load.is_blocked(), "form-action of the page keeps its form from {}", load.url());
            let page = self.hop(&load).await;
            let location = page.header("Location").filter(|_| matches!(page.status, 301 | 302 | 303 | 307 | 308));
            let Some(location) = location else {
                return (page, load);
            };
            let next = load.url().join(location).unwrap_or_else(|error| panic!("Location {location:?}: {error}"));
            load.redirect(page.status, next, referrer_policy(&page));
            assert!(load.chain.len() <= MAX_REDIRECTS, "too many redirects: {:?}", self.visited());
        }
    }

    async fn hop(&self, load: &Load) -> Page {
        let (cookies, address) = {
            let state = self.state();
            let cookies = match load.sends_cookies() {
                true => state.jar.for_request(load.url(), load.same_site_context(), state.now()),
                false => Vec::new(),
            };
            (cookies, state.address_of(load.url()))
        };
        let headers = load.headers();
        let response = self.send(load, &headers, &cookies, address).await;
        let status = response.status().as_u16();
        let response_headers: Vec<_> = response
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
            .collect();
        let body = response.bytes().await.unwrap_or_else(|error| panic!("{}: {error:?}", load.url()));
        let dropped_cookies = self.state().take_cookies(load, &response_headers);
        self.state().log.push(Exchange {
            kind: load.kind,
            method: load.method.clone(),
            url: load.url().clone(),
            headers,
            cookies,
            status,
            response_headers: response_headers.clone(),
            dropped_cookies,
        });
        let body = String::from_utf8_lossy(&body).into_owned();
        Page { url: load.url().clone(), status, headers: response_headers, body }
    }

    async fn send(
        &self,
        load: &Load,
        headers: &[(String, String)],
        cookies: &[(String, String)],
        address: Option<SocketAddr>,
    ) -> reqwest::Response {
        let mut target = load.url().clone();
        if let Some(address) = address {
            target.set_ip_host(address.ip()).expect("an http URL can have an address as host");
            target.set_port(Some(address.port())).expect("an http URL can have a port");
            target.set_scheme("http").expect("https and http are of one kind");
        }
        let method = load.method.parse().unwrap_or_else(|error| panic!("method {:?}: {error}", load.method));
        let mut request = self.client.request(method, target).header("Host", authority(load.url()));
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if !cookies.is_empty() {
            request = request.header("Cookie", cookie_header(cookies));
        }
        if let Some(body) = &load.body {
            request = request.body(body.bytes.clone());
        }
        request.send().await.unwrap_or_else(|error| panic!("{} {}: {error:?}", load.method, load.url()))
    }
}

impl State {
    fn address_of(&self, url: &Url) -> Option<SocketAddr> {
        let host = url.host_str()?;
        let is_localhost = host == "localhost" || host.ends_with(".localhost");
        let loopback = || Some(SocketAddr::from(([127, 0, 0, 1], url.port_or_known_default()?)));
        self.hosts.get(host).copied().or_else(|| if is_localhost { loopback() } else { None })
    }

    fn take_cookies(&mut self, load: &Load, headers: &[(String, String)]) -> Vec<(String, Dropped)> {
        let now = self.now();
        let lines = headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, line)| line);
        lines
            .filter(|_| load.sends_cookies())
            .filter_map(|line| {
                let taken = self.jar.set(load.url(), line, load.same_site_context(), now);
                taken.err().map(|dropped| (line.clone(), dropped))
            })
            .collect()
    }
}

/// The last policy of the header counts.
fn referrer_policy(page: &Page) -> Option<String> {
    let policy = page.header("Referrer-Policy")?.rsplit(',').next()?.trim();
    Some(policy.to_ascii_lowercase()).filter(|policy| !policy.is_empty())
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn cookie_header(cookies: &[(String, String)]) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}
