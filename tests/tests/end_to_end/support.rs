//! What the end-to-end tests share.

use harness::browser::Browser;
use harness::gateway::Program;
use harness::issuer::{ResponseSpec, SigningKey};
use harness::raw::{self, RawResponse};
use harness::world::World;

pub(crate) const SESSION: &str = "__Host-samlgate";
pub(crate) const BINDING: &str = "__Host-samlgate-login";

pub(crate) fn samlgate() -> Program {
    Program::demo(env!("CARGO_BIN_EXE_demo"))
}

/// A login of `ada` that waits for the IdP's answer.
pub(crate) struct Awaiting {
    pub(crate) browser: Browser,
    pub(crate) request_id: String,
}

impl Awaiting {
    pub(crate) async fn start(world: &mut World, path: &str) -> Self {
        world.browser = Browser::new();
        world.at_idp(path).await;
        let request_id = world.idp.requests().last().expect("a request reached the IdP").id.clone();
        Self { browser: world.browser.clone(), request_id }
    }

    pub(crate) fn spec(&self, world: &World) -> ResponseSpec {
        world.idp.response_spec("ada", Some(&self.request_id))
    }

    /// Posts `body` to the ACS as the browser would, with its binding cookie and without a session.
    pub(crate) async fn post(&self, world: &World, body: &str) -> RawResponse {
        let cookie = self.browser.cookie("localhost", BINDING).expect("the browser keeps the binding cookie");
        post_acs(world, &format!("{BINDING}={}", cookie.value), body).await
    }
}

pub(crate) async fn post_acs(world: &World, cookies: &str, body: &str) -> RawResponse {
    let request = format!(
        "POST /saml/acs HTTP/1.1\r\nHost: {host}\r\nOrigin: {idp}\r\nAccept: text/html\r\nSec-Fetch-Site: cross-site\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nCookie: {cookies}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}",
        host = world.gateway.authority(),
        idp = world.idp.origin(),
        length = body.len(),
    );
    raw::exchange(world.gateway.address(), request).await
}

/// The body of a form that posts this response.
pub(crate) fn form(xml: &str) -> String {
    use base64::Engine as _;
    let encoded = base64::engine::general_purpose::STANDARD.encode(xml);
    form_urlencoded::Serializer::new(String::new())
        .append_pair("SAMLResponse", &encoded)
        .append_pair("RelayState", "x")
        .finish()
}

/// A key of ours as a file of `keys_dir` holds it.
pub(crate) fn key_file(key: &SigningKey) -> String {
    format!("{}{}", key.key_pem(), key.certificate_pem())
}

/// The Cookie header of whoever is signed in, in `browser`.
pub(crate) fn session_cookie(browser: &Browser) -> String {
    let cookie = browser.cookie("localhost", SESSION).expect("somebody is signed in");
    format!("{SESSION}={}", cookie.value)
}

/// Another browser of the same person, or of another.
pub(crate) async fn another(world: &mut World, username: &str) -> Browser {
    let first = std::mem::take(&mut world.browser);
    world.sign_in(username, "/a").await;
    std::mem::replace(&mut world.browser, first)
}

/// What our own page does, for whoever has this cookie.
pub(crate) async fn sign_out(world: &World, cookie: &str) {
    let request = format!(
        "POST /saml/logout HTTP/1.1\r\nHost: {}\r\nOrigin: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n",
        world.gateway.authority(),
        world.gateway.public_url(),
    );
    let answer = raw::exchange(world.gateway.address(), request).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

/// How often `code` was counted as the reason of a login's end; the IdP is unknown before a pending login is found.
pub(crate) async fn refused_logins(world: &World, code: &str) -> f64 {
    world.gateway.metric("samlgate_logins_total", &[("result", "refused"), ("reason", code)]).await
}
