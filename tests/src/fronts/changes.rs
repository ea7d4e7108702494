//! What changes under load: settings, the process, a replica behind HAProxy. Five hundred people go on, and whatever goes
//! wrong for one of them counts.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::time::sleep;

use super::server::{self, loopback};
use crate::browser::Browser;
use crate::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID, Program, free_port};
use crate::idp::{Idp, IdpOptions, IdpSettings, User};
use crate::issuer::Sign;
use crate::load::{Load, Person, Shape, Tally};
use crate::upstream::Upstream;

const PEOPLE: usize = 500;
const SHAPE: Shape = Shape { kept: 24, fresh: 8, pause: Duration::from_millis(20) };
const RELOADS: usize = 10;
/// Those whose file has a mistake.
const REFUSED: [usize; 2] = [3, 7];

/// Two replicas that share their keys, and HAProxy with the sample of `docs/fronts`.
struct Site {
    replicas: [Gateway; 2],
    front: SocketAddr,
    host: String,
    people: Vec<Person>,
    _haproxy: Child,
    _idp: Idp,
    _application: Upstream,
    _folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keys = folder.path().join("keys");
        gateway::keys::generate(&keys).expect("keys can be made");
        let listen = free_port();
        let host = format!("localhost:{listen}");
        let public_url = format!("http://{host}");
        let mut of_idp =
            IdpSettings::new(IDP_ENTITY_ID, &format!("{public_url}/saml/metadata"), &format!("{public_url}/saml/acs"));
        of_idp.sign = Sign::Both;
        let mut options = IdpOptions::new(of_idp);
        options.users.extend((0..PEOPLE).map(User::numbered));
        let idp = Idp::start(options).await;
        let application = Upstream::start().await;
        let own = std::env::current_exe().expect("this program has a file");
        let start = async || {
            GatewayBuilder::new(Program::demo(own.with_file_name("demo")))
                .set("public_url", json!(public_url))
                .set("trusted_proxies", json!(["127.0.0.1"]))
                .set("keys_dir", json!(keys))
                .set("session", json!({ "store": "sealed" }))
                .set("replicas", json!(2))
                .set("limits", json!({ "logins_per_address": 100_000, "logins": 100_000 }))
                .set("upgrade_socket", json!("upgrade.sock"))
                .set("shutdown_delay", json!("2s"))
                .set("log.access", json!(false))
                .trust(&idp)
                .protect(&application)
                .start()
                .await
        };
        let replicas = [start().await, start().await];
        let haproxy = server::balancer(folder.path(), listen, &replicas).await;
        let front = loopback(listen);
        let mut site = Self {
            replicas,
            front,
            host,
            people: Vec::new(),
            _haproxy: haproxy,
            _idp: idp,
            _application: application,
            _folder: folder,
        };
        for number in 0..PEOPLE {
            let person = site.sign_in(&User::numbered(number)).await;
            site.people.push(person);
        }
        site
    }

    async fn sign_in(&self, user: &User) -> Person {
        let browser = Browser::new();
        let mut tab = browser.tab();
        tab.visit(&format!("http://{}/x", self.host)).await;
        tab.click("Login with JumpCloud").await;
        self._idp.sign_in(&mut tab, &user.username).await;
        tab.auto_submit().await;
        let jar = browser.jar();
        let own = jar.cookies().iter().filter(|cookie| cookie.name.starts_with("__Host-samlgate"));
        let cookie: Vec<String> = own.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        assert!(!cookie.is_empty(), "{}", tab.page().body);
        Person { cookie: cookie.join("; "), email: user.email.clone() }
    }

    fn load(&self, address: SocketAddr) -> Load {
        Load::start(address, &self.host, self.people.clone(), SHAPE)
    }
}

fn told(tally: &Tally, at_least: usize) {
    println!("          {} requests of {PEOPLE} people, {} failed", tally.requests, tally.failures.len());
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures.iter().take(20).collect::<Vec<_>>());
    assert!(tally.requests >= at_least, "{} requests are no load", tally.requests);
}

pub(super) async fn reloads_and_an_upgrade() {
    let mut site = Site::start().await;
    let load = site.load(site.replicas[0].address());
    for number in 1..=RELOADS {
        let gateway = &site.replicas[0];
        let is_good = !REFUSED.contains(&number);
        let good = std::fs::read_to_string(gateway.config_file()).expect("the settings can be read");
        gateway.change_settings(|settings| match is_good {
            true => settings["routes"][0]["id"] = json!(format!("open-{number}")),
            false => settings["routes"][0]["upstream"] = Value::Null,
        });
        assert_eq!(gateway.reload().await, is_good, "reload {number}");
        if !is_good {
            std::fs::write(gateway.config_file(), good).expect("the settings can be written");
        }
        sleep(Duration::from_millis(200)).await;
    }
    let before = site.replicas[0].process_id();
    let ended = site.replicas[0].upgrade().await.unwrap_or_else(|failure| panic!("{failure}"));
    assert_eq!(ended.code(), Some(0));
    assert_ne!(site.replicas[0].process_id(), before);
    sleep(Duration::from_secs(1)).await;
    told(&load.finish().await, 1_000);
}

pub(super) async fn a_rolling_restart() {
    let mut site = Site::start().await;
    let load = site.load(site.front);
    for replica in &mut site.replicas {
        let before = replica.process_id();
        assert_eq!(replica.restart().await.unwrap_or_else(|failure| panic!("{failure}")).code(), Some(0));
        assert_ne!(replica.process_id(), before);
        // HAProxy must have seen it before the other goes.
        sleep(Duration::from_secs(2)).await;
    }
    told(&load.finish().await, 1_000);
}
