//! Debian's Prometheus scrapes what we say of ourselves, while everything that is counted happens.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use saml_core::Certificate;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use super::server::{self, loopback};
use crate::browser::Browser;
use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program, free_port};
use crate::idp::{Idp, IdpOptions, IdpSettings, Misbehaviour, Publication};
use crate::issuer::{Sign, SigningKey, test_keys};
use crate::raw::{self, RawConnection};
use crate::replicas::until;
use crate::upstream::Upstream;
use crate::world::World;

const SCRAPED: Duration = Duration::from_secs(20);
/// A head that has not come is waited for 70 s.
const LATE: Duration = Duration::from_secs(90);
const STRANGERS: usize = 40;
const SESSION: &str = "__Host-samlgate";

/// What is measured: a gateway with all that counts, and one that wants the PROXY protocol, which no browser speaks.
struct Site {
    world: World,
    behind_a_balancer: Gateway,
    redis: Child,
    prometheus: Prometheus,
    _folder: TempDir,
}

struct Prometheus {
    address: String,
    client: reqwest::Client,
    _child: Child,
}

impl Prometheus {
    async fn start(folder: &Path, targets: &[String]) -> Self {
        let port = free_port();
        let settings = json!({
            "global": { "scrape_interval": "500ms" },
            "scrape_configs": [{ "job_name": "samlgate", "static_configs": [{ "targets": targets }] }],
        });
        let file = folder.join("prometheus.yml");
        std::fs::write(&file, settings.to_string()).expect("the settings can be written");
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = server::started(command, port).await;
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        Self { address: loopback(port).to_string(), client, _child: child }
    }

    async fn ask(&self, query: &str) -> Vec<Value> {
        let query = form_urlencoded::Serializer::new(String::new()).append_pair("query", query).finish();
        let url = format!("http://{}/api/v1/query?{query}", self.address);
        let answer = self.client.get(url).send().await.expect("Prometheus answers");
        let answer = answer.bytes().await.expect("it answers to the end");
        let answer: Value = serde_json::from_slice(&answer).expect("it answers in JSON");
        answer["data"]["result"].as_array().cloned().unwrap_or_default()
    }

    /// The greatest value that any of its series ever had.
    async fn greatest(&self, metric: &str) -> Option<f64> {
        // A histogram has no series of its own name.
        let found = self.ask(&format!(r#"max(max_over_time({{__name__=~"{metric}(_count)?"}}[10m]))"#)).await;
        found.first()?["value"][1].as_str()?.parse().ok()
    }

    /// Names with their labels.
    async fn series(&self) -> BTreeSet<String> {
        let found = self.ask(r#"{__name__=~"samlgate_.*"}"#).await;
        found.iter().map(|series| series["metric"].to_string()).collect()
    }
}

fn settings(gateway: GatewayBuilder, redis: u16, keys: &Path) -> GatewayBuilder {
    gateway
        .set("keys_dir", json!(keys))
        .set("session", json!({ "store": "redis", "redis": { "servers": [loopback(redis).to_string()] } }))
        .set("upstreams.app.health_check", json!({ "path": "/public/healthz", "interval": "500ms" }))
        // Whatever is written there is lost.
        .set("audit", json!({ "file": "/dev/full" }))
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = || {
            let own = std::env::current_exe().expect("this program has a file");
            Program::demo(own.with_file_name("demo"))
        };
        let port = free_port();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""]).current_dir(folder.path());
        let redis = server::started(command, port).await;
        let builder = GatewayBuilder::new(program());
        let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
        of_idp.sign = Sign::Both;
        of_idp.declare_redirect_endpoint = true;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let upstream = Upstream::start().await;
        let trusted = json!({ "trusted_keys": [fingerprint(test_keys::rsa_4096())] });
        let keys = folder.path().join("keys");
        gateway::keys::generate(&keys).expect("keys can be made");
        let gateway = settings(builder.trust_by_url(&idp, trusted).protect(&upstream), port, &keys).start().await;
        let behind_a_balancer = GatewayBuilder::new(program())
            .trust(&idp)
            .protect(&upstream)
            .set("trusted_proxies", json!(["127.0.0.1"]))
            .set("proxy_protocol", json!(true))
            .start()
            .await;
        let targets = [&gateway, &behind_a_balancer].map(|gateway| gateway.admin_address().to_string());
        let prometheus = Prometheus::start(folder.path(), &targets).await;
        let world = World { idp, upstream, gateway, browser: Browser::new() };
        Self { world, behind_a_balancer, redis, prometheus, _folder: folder }
    }

    async fn login(&self) -> u16 {
        let mut tab = Browser::new().tab();
        tab.visit(&self.world.gateway.url("/saml/start/jumpcloud?rd=/a")).await;
        self.world.idp.sign_in(&mut tab, "ada").await;
        tab.auto_submit().await;
        tab.page().status
    }

    /// A response by a key that nobody knows makes the gateway look at the metadata before its time.
    async fn look_again(&self) {
        let before = self.world.gateway.metric("samlgate_idp_metadata_refresh_total", &[]).await;
        self.world.idp.misbehave([Misbehaviour::SignByStranger]);
        assert_eq!(self.login().await, 403);
        self.world.idp.misbehave([]);
        self.world.gateway.metric_reaches("samlgate_idp_metadata_refresh_total", &[], before + 1.0).await;
    }

    /// Keys and addresses in the metadata that nobody approved.
    async fn metadata_changes(&self) {
        self.world.idp.publish_keys(&[test_keys::rsa_4096(), test_keys::rsa_2048()]);
        self.look_again().await;
        until(SCRAPED, "a key is held", async || self.is_counted("samlgate_idp_keys_held").await).await;
        let elsewhere = self.world.idp.metadata().replace(&self.world.idp.sso_url(), "https://elsewhere.example/sso");
        self.world.idp.publish(Publication::Body(elsewhere.into_bytes()));
        self.look_again().await;
    }

    async fn is_counted(&self, metric: &str) -> bool {
        self.prometheus.greatest(metric).await.is_some_and(|value| value > 0.0)
    }

    /// A stream that ends at the sign-out, and a form that comes behind it.
    async fn a_session_ends_under_a_stream(&self) {
        let mut tab = self.world.sign_in("ada", "/page").await;
        let cookie = self.world.browser.cookie("localhost", SESSION).expect("somebody is signed in").value;
        let host = self.world.gateway.authority();
        let mut stream = RawConnection::open(self.world.gateway.address()).await.expect("it is accepted");
        let request = format!("GET /api/hold HTTP/1.1\r\nHost: {host}\r\nCookie: {SESSION}={cookie}\r\n\r\n");
        stream.send(request).await.expect("it is read");
        self.world.gateway.metric_reaches("samlgate_auth_decisions_total", &[("reason", "signed_in")], 2.0).await;
        let sign_out = format!(
            "POST /saml/logout HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nCookie: {SESSION}={cookie}\r\nConnection: close\r\n\
             Content-Length: 0\r\n\r\n",
            self.world.gateway.public_url(),
        );
        assert_eq!(raw::exchange(self.world.gateway.address(), sign_out).await.status, 200);
        tab.post("/orders", "application/x-www-form-urlencoded", "a=b").await;
        self.world.gateway.metric_reaches("samlgate_streams_ended_total", &[("reason", "ended")], 1.0).await;
    }

    /// Each with another path, method, host, agent and cookie.
    async fn strangers(&self, from: usize) {
        for number in from..from + STRANGERS {
            for (method, host) in [("GET", self.world.gateway.authority()), ("X", "stranger.example")] {
                let request = format!(
                    "{method}{number} /stranger/{number}?{number} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {number}\r\n\
                     Cookie: {SESSION}={number}\r\nX-Request-Id: {number}\r\nConnection: close\r\n\r\n"
                );
                let answer = raw::exchange(self.world.gateway.address(), request).await;
                assert!(answer.status >= 300, "{}", answer.text());
            }
            let login = format!(
                "GET /saml/start/idp{number}?rd=/{number} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.world.gateway.authority()
            );
            raw::exchange(self.world.gateway.address(), login).await;
            let body = format!("SAMLResponse=!{number}&RelayState={number}");
            let response = format!(
                "POST /saml/acs HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}",
                self.world.gateway.authority(),
                body.len()
            );
            raw::exchange(self.world.gateway.address(), response).await;
        }
    }

    /// Those that there are when all that was counted was scraped.
    async fn settled_series(&self) -> BTreeSet<String> {
        tokio::time::sleep(Duration::from_secs(2)).await;
        self.prometheus.series().await
    }

    async fn store_goes_away(&mut self) {
        self.redis.kill().await.expect("an own child can be ended");
        let cookie = format!("Cookie: {SESSION}={}", "A".repeat(43));
        let host = self.world.gateway.authority();
        let answer = raw::get(self.world.gateway.address(), host, "/page", &[cookie.as_str()]).await;
        assert_eq!(answer.status, 503);
    }
}

fn fingerprint(key: &Arc<SigningKey>) -> String {
    let parsed = Certificate::parse_all(key.certificate_pem().as_bytes()).expect("our own certificate");
    parsed.first().expect("there is one").fingerprint().to_string()
}

/// One line after the other, and no end.
async fn slow_head(gateway: SocketAddr) {
    let mut connection = RawConnection::open(gateway).await.expect("it is accepted");
    let mut line = "GET / HTTP/1.1\r\n";
    while connection.send(line).await.is_ok() {
        line = "X: y\r\n";
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
}

/// Those of the table in `docs/endpoints.md`.
fn documented() -> BTreeSet<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/endpoints.md");
    let page = std::fs::read_to_string(page).expect("the page can be read");
    let rows = page.lines().filter(|line| line.starts_with("| `samlgate_"));
    let first_cells = rows.filter_map(|line| line.split('|').nth(1));
    let names = first_cells.flat_map(|cell| cell.split('`').filter(|text| text.starts_with("samlgate_")));
    names.map(str::to_owned).collect()
}

/// Everything that is counted happens once.
pub(super) async fn every_metric_is_scraped() {
    let mut site = Site::start().await;
    let slow = tokio::task::spawn_local(slow_head(site.world.gateway.address()));
    site.world.gateway.metric_reaches("samlgate_idp_metadata_refresh_total", &[("result", "fetched")], 1.0).await;
    site.a_session_ends_under_a_stream().await;
    site.metadata_changes().await;
    assert!(site.world.gateway.reload().await);
    let mut no_header = RawConnection::open(site.behind_a_balancer.address()).await.expect("it is accepted");
    no_header.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("it is sent");
    site.world.gateway.metric_reaches("samlgate_sessions_active", &[], 0.0).await;
    assert_eq!(site.login().await, 200);
    until(SCRAPED, "a session is seen", async || site.is_counted("samlgate_sessions_active").await).await;
    site.store_goes_away().await;
    let names = documented();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        until(LATE, &name, async || site.is_counted(&name).await).await;
    }
    slow.abort();
}

/// Whatever strangers write, it makes no series.
pub(super) async fn strangers_make_no_series() {
    let site = Site::start().await;
    site.strangers(0).await;
    until(SCRAPED, "there are series", async || site.prometheus.series().await.len() > 100).await;
    let before = site.settled_series().await;
    site.strangers(1000).await;
    let after = site.settled_series().await;
    let new: Vec<_> = after.difference(&before).collect();
    assert!(new.is_empty(), "{new:#?}");
}
