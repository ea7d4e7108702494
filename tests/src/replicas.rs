//! Two replicas of samlgate under one address, with an IdP and an application. What they share is the caller's.

use std::ffi::OsStr;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::browser::{Browser, Tab};
use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program, free_port};
use crate::idp::{Idp, IdpOptions, IdpSettings};
use crate::issuer::Sign;
use crate::raw::{self, RawResponse};
use crate::upstream::Upstream;

pub struct Replicas {
    pub idp: Idp,
    pub upstream: Upstream,
    pub replicas: [Gateway; 2],
    program: Program,
    public_url: String,
}

impl Replicas {
    /// `settings` completes those of the first replica and of the second.
    pub async fn start(program: Program, settings: impl Fn(GatewayBuilder, &Idp, usize) -> GatewayBuilder) -> Self {
        let ports = [free_port(), free_port()];
        let public_url = format!("http://localhost:{}", ports[0]);
        let metadata = format!("{public_url}/saml/metadata");
        let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &metadata, &format!("{public_url}/saml/acs"));
        of_idp.sign = Sign::Both;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let upstream = Upstream::start().await;
        let start = async |replica: usize| {
            let builder = builder(&program, ports[replica], &public_url).trust(&idp).protect(&upstream);
            settings(builder, &idp, replica).start().await
        };
        let replicas = [start(0).await, start(1).await];
        Self { idp, upstream, replicas, program, public_url }
    }

    /// Another replica of the same address, still without what `settings` adds.
    pub fn another(&self) -> GatewayBuilder {
        builder(&self.program, free_port(), &self.public_url).trust(&self.idp).protect(&self.upstream)
    }

    /// A browser whose requests reach that replica.
    pub fn browser(&self, replica: usize) -> Browser {
        let browser = Browser::new();
        self.lead(&browser, replica);
        browser
    }

    pub fn lead(&self, browser: &Browser, replica: usize) {
        browser.point("localhost", self.replicas[replica].address());
    }

    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// A tab with the IdP's form, after a visit to `path`.
    pub async fn at_idp(&self, browser: &Browser, path: &str) -> Tab {
        let mut tab = browser.tab();
        tab.visit(&self.url(path)).await;
        let links = tab.page().links();
        if let Some(start) = links.iter().find(|link| link.url.path().starts_with("/saml/start")) {
            tab.follow(start.url.as_str()).await;
        }
        tab
    }

    pub async fn sign_in(&self, browser: &Browser, username: &str) -> Tab {
        let mut tab = self.at_idp(browser, "/page").await;
        self.idp.sign_in(&mut tab, username).await;
        tab.auto_submit().await;
        assert_eq!((tab.page().status, tab.page().url.path()), (200, "/page"), "{}", tab.page().body);
        tab
    }

    /// `/page`, with that Cookie header.
    pub async fn get(&self, replica: usize, cookies: &str) -> RawResponse {
        let gateway = &self.replicas[replica];
        raw::get(gateway.address(), gateway.authority(), "/page", &[&format!("Cookie: {cookies}")]).await
    }

    pub async fn status(&self, replica: usize, cookies: &str) -> u16 {
        self.get(replica, cookies).await.status
    }

    /// Posts a form to the ACS as the browser with those cookies would.
    pub async fn post_to_acs(&self, replica: usize, cookies: &str, body: &str) -> RawResponse {
        let request = format!(
            "POST /saml/acs HTTP/1.1\r\nHost: {host}\r\nOrigin: {idp}\r\nAccept: text/html\r\nCookie: {cookies}\r\n\
             Connection: close\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}",
            host = self.replicas[replica].authority(),
            idp = self.idp.origin(),
            length = body.len(),
        );
        raw::exchange(self.replicas[replica].address(), request).await
    }

    /// Runs `samlgate sessions` beside a replica: whether it went well, and what it says.
    pub async fn sessions(&self, replica: usize, subcommand: &str, arguments: &[&str]) -> (bool, String) {
        let config = self.replicas[replica].config_file().as_os_str();
        let all = ["sessions", subcommand, "--config"].map(OsStr::new).into_iter().chain([config]);
        let output = self.program.command(all.chain(arguments.iter().map(OsStr::new))).output().await;
        let output = output.expect("samlgate can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        (output.status.success(), said)
    }

    /// As `kill -9`.
    pub async fn kill_the_first(&mut self) {
        let id = self.replicas[0].process_id().expect("it runs");
        kill(Pid::from_raw(i32::try_from(id).expect("a process id fits")), Signal::SIGKILL).expect("an own child");
        self.replicas[0].ended().await;
    }
}

fn builder(program: &Program, port: u16, public_url: &str) -> GatewayBuilder {
    GatewayBuilder::on_port(program.clone(), port)
        .set("public_url", json!(public_url))
        .set("replicas", json!(2))
        .set("control_socket", json!("control.sock"))
}

/// Waits until `is` holds, and says for how long.
pub async fn until(patience: Duration, what: &str, is: impl AsyncFn() -> bool) -> Duration {
    let start = Instant::now();
    while !is().await {
        assert!(start.elapsed() < patience, "{what}: not within {patience:?}");
        sleep(Duration::from_millis(20)).await;
    }
    start.elapsed()
}
