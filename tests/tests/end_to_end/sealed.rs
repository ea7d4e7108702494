//! Replicas that share keys and no server: browsers carry their sessions.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use harness::browser::{Browser, Tab};
use harness::gateway::GatewayBuilder;
use harness::idp::Idp;
use harness::issuer::test_keys;
use harness::raw::{self, RawResponse};
use harness::replicas::{Replicas, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::support::{BINDING, SESSION, key_file, samlgate};

const SECOND: Duration = Duration::from_secs(1);

struct Pair {
    both: Replicas,
    shared: Shared,
}

impl Deref for Pair {
    type Target = Replicas;

    fn deref(&self) -> &Replicas {
        &self.both
    }
}

impl DerefMut for Pair {
    fn deref_mut(&mut self) -> &mut Replicas {
        &mut self.both
    }
}

/// What replicas are started with.
struct Shared {
    session: Value,
    folder: TempDir,
}

impl Shared {
    fn of(&self, builder: GatewayBuilder) -> GatewayBuilder {
        builder
            .set("keys_dir", json!(self.folder.path().join("keys")))
            .set("session", self.session.clone())
            .set("identity_headers", json!({ "set": { "X-Noise": "attribute:noise" } }))
    }

    fn file(&self) -> std::path::PathBuf {
        self.folder.path().join("revocations")
    }
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(json!({}), |builder, _| builder).await
    }

    async fn start_with(more: Value, change: impl Fn(GatewayBuilder, &Idp) -> GatewayBuilder) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        gateway::keys::generate(&folder.path().join("keys")).expect("keys can be made");
        let sp_signing = folder.path().join("keys/sp-signing.current");
        std::fs::write(sp_signing, key_file(test_keys::p256())).expect("a key can be written");
        let mut session = json!({ "store": "sealed" });
        if let (Some(session), Value::Object(more)) = (session.as_object_mut(), more) {
            session.extend(more);
        }
        let mut shared = Shared { session, folder };
        std::fs::write(shared.file(), "").expect("a file can be written");
        if shared.session["revocations_file"] == true {
            shared.session["revocations_file"] = json!(shared.file());
        }
        let both = Replicas::start(samlgate(), |builder, idp, _| change(shared.of(builder), idp)).await;
        Self { both, shared }
    }

    async fn get(&self, replica: usize, cookies: &[(String, String)]) -> RawResponse {
        self.both.get(replica, &joined(cookies)).await
    }

    async fn status(&self, replica: usize, cookies: &[(String, String)]) -> u16 {
        self.get(replica, cookies).await.status
    }

    /// As the browser would post the form, whose answer it never sees.
    async fn post(&self, replica: usize, browser: &Browser, body: &str) -> RawResponse {
        let cookies = self.carried(browser);
        let to_acs: Vec<_> = cookies.into_iter().filter(|(name, _)| name.starts_with(BINDING)).collect();
        self.post_to_acs(replica, &joined(&to_acs), body).await
    }

    /// All cookies of ours.
    fn carried(&self, browser: &Browser) -> Vec<(String, String)> {
        let jar = browser.jar();
        let own = jar.cookies().iter().filter(|cookie| cookie.name.starts_with(SESSION));
        own.map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }
}

fn joined(cookies: &[(String, String)]) -> String {
    cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

async fn sign_out(pair: &Pair, tab: &mut Tab) {
    tab.visit(&pair.url("/saml/logout")).await;
    let form = tab.page().form().press("Sign out");
    tab.submit(form).await;
    assert_eq!(tab.page().status, 200);
}

#[tokio::test]
async fn a_login_begun_at_one_replica_ends_at_the_other_and_both_know_the_session() {
    let pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.at_idp(&browser, "/deep?x=1").await;
    pair.idp.sign_in(&mut tab, "ada").await;
    pair.lead(&browser, 1);
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*pair.url("/deep?x=1")));
    let cookies = pair.carried(&browser);
    assert!(cookies.iter().any(|(name, _)| name == "__Host-samlgate-1"), "{cookies:?}");
    for replica in [0, 1] {
        assert_eq!(pair.status(replica, &cookies).await, 200);
        let request = pair.upstream.last_request();
        assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
        assert_eq!(request.one("X-Forwarded-Groups"), Some("admins"), "the only one that a rule names");
        assert_eq!(request.one("Cookie"), None, "none of ours goes on");
    }
    let without: Vec<_> = cookies.iter().filter(|(name, _)| name != SESSION).cloned().collect();
    assert_eq!(pair.status(0, &without).await, 401, "the record alone opens nothing");
}

/// At a replica that has not seen the session; one that has goes by the ticket.
#[tokio::test]
async fn what_is_altered_missing_or_anothers_is_no_session() {
    let pair = Pair::start().await;
    let (ours, theirs) = (pair.browser(0), pair.browser(0));
    pair.sign_in(&ours, "ada").await;
    pair.sign_in(&theirs, "ben").await;
    let (ours, theirs) = (pair.carried(&ours), pair.carried(&theirs));
    let record = |cookies: &[(String, String)]| {
        cookies.iter().find(|(name, _)| name == "__Host-samlgate-1").expect("a record").1.clone()
    };
    let with = |value: Option<String>| -> Vec<(String, String)> {
        let rest = ours.iter().filter(|(name, _)| name != "__Host-samlgate-1").cloned();
        rest.chain(value.map(|value| ("__Host-samlgate-1".to_owned(), value))).collect()
    };
    let good = record(&ours);
    let last = if good.ends_with('A') { "B" } else { "A" };
    for (case, value) in [
        ("missing", None),
        ("another's", Some(record(&theirs))),
        ("cut", Some(good[..good.len() - 8].to_owned())),
        ("altered", Some(format!("{}{last}{}", &good[..20], &good[21..]))),
        ("more pieces", Some(format!("2{}", &good[1..]))),
        ("nonsense", Some("1.%%%".to_owned())),
    ] {
        assert_eq!(pair.status(1, &with(value)).await, 401, "{case}");
    }
    assert_eq!(pair.status(1, &with(Some(good))).await, 200, "the control");
}

#[tokio::test]
async fn use_renews_what_the_browser_carries() {
    let pair = Pair::start_with(json!({ "idle_timeout": "6s" }), |builder, _| builder).await;
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    let old = pair.carried(&browser);
    assert!(pair.get(0, &old).await.header("set-cookie").is_none(), "not at each request");
    let start = Instant::now();
    let mut cookies = old.clone();
    while start.elapsed() < SECOND * 8 {
        sleep(Duration::from_millis(500)).await;
        let answer = pair.get(0, &cookies).await;
        assert_eq!(answer.status, 200);
        let Some(line) = answer.header("set-cookie") else { continue };
        assert!(line.starts_with("__Host-samlgate-1=") && line.contains("SameSite=Lax"), "{line}");
        assert!(answer.header("cache-control").is_some_and(|value| value.contains("private")));
        let (name, value) = line.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
        cookies.retain(|(known, _)| known != name);
        cookies.push((name.to_owned(), value.to_owned()));
    }
    assert_ne!(cookies, old);
    assert_eq!(pair.status(1, &cookies).await, 200, "the other learns of it from the browser");
    assert_eq!(pair.status(1, &old).await, 200, "where it is known now, the ticket says it all");
}

#[tokio::test]
async fn a_sign_out_clears_the_browser_and_the_file_tells_the_others() {
    let pair = Pair::start_with(json!({ "revocations_file": true }), |builder, _| builder).await;
    let (browser, other) = (pair.browser(0), pair.browser(0));
    let mut tab = pair.sign_in(&browser, "ada").await;
    pair.sign_in(&other, "ada").await;
    let (ended, kept) = (pair.carried(&browser), pair.carried(&other));
    assert_eq!((pair.status(1, &ended).await, pair.status(1, &kept).await), (200, 200));
    sign_out(&pair, &mut tab).await;
    let left: Vec<String> = pair.carried(&browser).into_iter().map(|(name, _)| name).collect();
    assert!(!left.iter().any(|name| name == SESSION || name == "__Host-samlgate-1"), "{left:?}");
    assert_eq!(pair.status(0, &ended).await, 401, "at once where it happened");
    until(SECOND, "signed out at the other", async || pair.status(1, &ended).await == 401).await;
    assert_eq!((pair.status(0, &kept).await, pair.status(1, &kept).await), (200, 200));
}

#[tokio::test]
async fn revocations_are_written_for_all_or_said_to_be_local() {
    let settings = json!({ "revocations_file": true, "outage_limit": "1s" });
    let pair = Pair::start_with(settings, |builder, _| builder).await;
    for whose in [["--user", "5f1e0000000000000000ada1"], ["--email", "ada@demo.example"], ["--group", "admins"]] {
        let (revoked, other) = (pair.browser(0), pair.browser(1));
        pair.sign_in(&revoked, "ada").await;
        pair.sign_in(&other, "ben").await;
        let (ended, kept) = (pair.carried(&revoked), pair.carried(&other));
        let (done, said) = pair.sessions(0, "revoke", &whose).await;
        assert!(done && said.starts_with("written: "), "{said}");
        for replica in [0, 1] {
            until(SECOND, "revoked", async || pair.status(replica, &ended).await == 401).await;
            assert_eq!(pair.status(replica, &kept).await, 200);
        }
        // A revocation is of sessions that began up to its second.
        sleep(SECOND).await;
    }
    let (done, said) = pair.sessions(0, "list", &[]).await;
    assert!(!done && said.contains("keeps no list of sessions"), "{said}");
    let (done, said) = pair.sessions(0, "revoke", &["--group", "engineers"]).await;
    assert!(!done && said.contains("nobody's session would end"), "{said}");

    let third = pair.shared.of(pair.another()).start().await;
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    let cookies = pair.carried(&browser);
    std::fs::write(pair.shared.file(), "this is no line\n").expect("written");
    let line = format!("Cookie: {}", joined(&cookies));
    let status = async || raw::get(third.address(), third.authority(), "/page", &[&line]).await.status;
    until(SECOND * 4, "a line that cannot be read opens nothing", async || status().await == 503).await;
    std::fs::write(pair.shared.file(), "").expect("written");
    until(SECOND * 4, "and then", async || status().await == 200).await;

    let alone = Pair::start().await;
    let (done, said) = alone.sessions(0, "revoke", &["--email", "ada@demo.example"]).await;
    assert!(done && said.starts_with("local: "), "{said}");
}

#[tokio::test]
async fn what_does_not_fit_into_cookies_signs_nobody_in() {
    let pair = Pair::start().await;
    let browser = pair.browser(0);
    pair.at_idp(&browser, "/page").await;
    let request_id = pair.idp.requests().last().expect("a request reached the IdP").id.clone();
    let noise: Vec<String> =
        (0..200_u64).map(|number| format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let noise: Vec<&str> = noise.iter().map(String::as_str).collect();
    let spec = pair
        .idp
        .response_spec("ada", Some(&request_id))
        .attribute("noise", &[&noise.concat(), &noise.join("-").repeat(2)]);
    let many: Vec<String> =
        (0..400_u64).map(|number| format!("{:x}", (number + 7).wrapping_mul(0xbf58_476d_1ce4_e5b9))).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let body = spec.attribute("noise", &many).issue(pair.idp.key()).form_body(None);
    let answer = pair.post(0, &browser, &body).await;
    assert_eq!(answer.status, 403, "{}", answer.text());
    assert!(answer.text().contains("session_too_large"), "{}", answer.text());
    assert!(answer.header("set-cookie").is_none_or(|line| line.starts_with(BINDING)), "no session");
}

/// The person sends the form again to whoever lives, and is signed in where they wanted to go.
#[tokio::test]
async fn a_replica_that_dies_costs_nobody_a_login() {
    for point in ["after the start", "before the answer arrives", "after the session"] {
        let mut pair = Pair::start().await;
        let browser = pair.browser(0);
        let mut tab = pair.at_idp(&browser, "/deep?x=1").await;
        if point == "after the start" {
            pair.kill_the_first().await;
            pair.lead(&browser, 1);
        }
        pair.idp.sign_in(&mut tab, "ada").await;
        let response = tab.page().form().value("SAMLResponse").expect("it holds a response").to_owned();
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("SAMLResponse", &response).finish();
        let asked = pair.idp.requests().len();
        match point {
            // Claimed, and the session is written: what it sent never arrives.
            "before the answer arrives" => {
                assert_eq!(pair.post(0, &browser, &body).await.status, 303);
                pair.kill_the_first().await;
                pair.lead(&browser, 1);
                tab.auto_submit().await;
            }
            "after the session" => {
                tab.auto_submit().await;
                pair.kill_the_first().await;
                pair.lead(&browser, 1);
                tab.reload().await;
            }
            _ => {
                tab.auto_submit().await;
            }
        }
        assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*pair.url("/deep?x=1")), "{point}");
        assert_eq!(pair.idp.requests().len(), asked, "{point}: no further round");
        let again = pair.post(1, &browser, &body).await;
        let place = again.header("location").unwrap_or_default();
        assert!(again.status == 303 && place.starts_with("/saml/resume?rd=%2Fdeep"), "{point}: used, {place}");
    }
}

async fn with_single_logout(binding: &str) -> Pair {
    Pair::start_with(json!({}), |builder, idp| {
        idp.change(|settings| settings.single_logout.by_post = binding == "post");
        builder.set("identity_providers.0.single_logout", json!({ "url": idp.slo_url(), "binding": binding }))
    })
    .await
}

#[tokio::test]
async fn single_logout_finds_the_session_in_the_browser_that_carries_it() {
    let pair = with_single_logout("redirect").await;
    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    let cookies = pair.carried(&browser);
    // The other replica has not seen the session.
    pair.lead(&browser, 1);
    tab.visit(&pair.idp.begin_logout_url()).await;
    assert_eq!(tab.page().title(), "Signed out", "{}", tab.page().body);
    assert_eq!(pair.status(1, &cookies).await, 401);
    assert!(
        browser.cookie("localhost", SESSION).is_none() && browser.cookie("localhost", "__Host-samlgate-1").is_none()
    );

    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    tab.visit(&pair.url("/saml/logout")).await;
    let form = tab.page().form().press("everywhere");
    tab.submit(form).await;
    assert!(tab.page().visible_text().contains("its own session has ended as well"), "{}", tab.page().body);
    tab.reload().await;
    assert!(tab.page().visible_text().contains("logout_in_response_to_mismatch"), "taken once: {}", tab.page().body);
}

#[tokio::test]
async fn a_logout_request_by_post_says_that_it_cannot_find_the_session() {
    let pair = with_single_logout("post").await;
    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    let cookies = pair.carried(&browser);
    tab.visit(&pair.idp.begin_logout_url()).await;
    tab.auto_submit().await;
    assert_eq!(tab.page().status, 400);
    assert!(tab.page().visible_text().contains("logout_by_post"), "{}", tab.page().body);
    assert_eq!(pair.status(0, &cookies).await, 200);
}
