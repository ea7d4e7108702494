//! Two replicas of samlgate under one address, with one Redis.

mod load;

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use super::redis::Server;
use super::relay::Relay;
use crate::browser::{Browser, Tab};
use crate::gateway::{GatewayBuilder, Program};
use crate::raw::{self, RawResponse};
use crate::replicas::{Replicas, until};

const SESSION: &str = "__Host-samlgate";
const BINDING: &str = "__Host-samlgate-login";
const SECOND: Duration = Duration::from_secs(1);

type Socket = WebSocketStream<TcpStream>;

struct Pair {
    both: Replicas,
    redis: Server,
    settings: Shared,
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

/// What both replicas are started with.
struct Shared {
    session: Value,
    keys: TempDir,
}

impl Shared {
    fn of(&self, builder: GatewayBuilder, redis: &str) -> GatewayBuilder {
        let mut session = json!({ "store": "redis", "redis": { "servers": [redis], "timeout": "500ms" } });
        if let (Some(session), Value::Object(more)) = (session.as_object_mut(), self.session.clone()) {
            session.extend(more);
        }
        builder.set("keys_dir", json!(self.keys.path())).set("session", session)
    }
}

/// It lies beside this program.
fn demo() -> Program {
    let own = std::env::current_exe().expect("this program has a file");
    Program::demo(own.with_file_name("demo"))
}

impl Pair {
    async fn start() -> Self {
        Self::start_with(json!({})).await
    }

    async fn start_with(session: Value) -> Self {
        let redis = Server::start().await;
        let address = redis.address();
        Self::start_by(session, redis, &address).await
    }

    /// The first replica goes to Redis by a way of its own.
    async fn start_by(session: Value, redis: Server, first: &str) -> Self {
        let keys = tempfile::tempdir().expect("a temporary folder");
        ::gateway::keys::generate(keys.path()).expect("keys can be made");
        let settings = Shared { session, keys };
        let second = redis.address();
        let both = Replicas::start(demo(), |builder, _, replica| settings.of(builder, [first, &second][replica])).await;
        Self { both, redis, settings }
    }

    /// One that works, from a page that came by whichever replica.
    async fn websocket(&self, tab: &Tab, replica: usize) -> Socket {
        self.lead(tab.browser(), replica);
        let mut socket = tab.open_websocket("/ws").await.expect("it opens");
        assert!(echoes(&mut socket).await);
        socket
    }

    /// `samlgate sessions revoke` beside a replica, and what it says.
    async fn revoke(&self, replica: usize, whose: &[&str]) -> String {
        let (done, said) = self.sessions(replica, "revoke", whose).await;
        assert!(done, "{said}");
        said
    }

    /// The form that the tab shows, sent as its browser would, which does not see the answer.
    async fn post_form_of(&self, tab: &Tab, replica: usize) -> RawResponse {
        let response = tab.page().form().value("SAMLResponse").expect("it holds a response").to_owned();
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("SAMLResponse", &response).finish();
        let binding = tab.browser().cookie("localhost", BINDING).expect("the browser is bound").value;
        self.post(replica, &binding, &body).await
    }

    /// As the browser with that binding would.
    async fn post(&self, replica: usize, binding: &str, body: &str) -> RawResponse {
        self.post_to_acs(replica, &format!("{BINDING}={binding}"), body).await
    }
}

fn cookie(browser: &Browser) -> String {
    let cookie = browser.cookie("localhost", SESSION).expect("somebody is signed in");
    format!("{SESSION}={}", cookie.value)
}

async fn echoes(socket: &mut Socket) -> bool {
    let message = Message::text("hello");
    socket.send(message.clone()).await.is_ok() && matches!(socket.next().await, Some(Ok(echo)) if echo == message)
}

/// Waits for the end of a WebSocket that nothing is sent over, and says when it was.
async fn closed(socket: &mut Socket) -> Instant {
    let end = socket.next().await;
    assert!(!matches!(end, Some(Ok(_))), "cut off, without a Close frame: {end:?}");
    Instant::now()
}

async fn sign_out(pair: &Pair, tab: &mut Tab) {
    tab.visit(&pair.url("/saml/logout")).await;
    let form = tab.page().form();
    tab.submit(form).await;
    assert_eq!(tab.page().status, 200);
}

pub(super) async fn share_logins() {
    let pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.at_idp(&browser, "/deep?x=1").await;
    pair.idp.sign_in(&mut tab, "ada").await;
    pair.lead(&browser, 1);
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*pair.url("/deep?x=1")));
    let cookie = cookie(&browser);
    for replica in [0, 1] {
        assert_eq!(pair.status(replica, &cookie).await, 200);
        assert_eq!(pair.upstream.last_request().one("X-Forwarded-Email"), Some("ada@demo.example"));
    }
}

pub(super) async fn share_forms() {
    let pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    browser.change_jar(|jar| jar.remove("localhost", SESSION));
    tab.post("/orders?x=1", "multipart/form-data; boundary=b", "--b--\r\n").await;
    pair.lead(&browser, 1);
    tab.click("JumpCloud").await;
    // The IdP knows the user.
    tab.auto_submit().await;
    assert_eq!(tab.page().url.path(), "/saml/replay");
    let handle = tab.page().form().value("samlgate-replay").expect("a handle").to_owned();
    let cookies =
        browser.jar().cookies().iter().map(|each| format!("{}={}", each.name, each.value)).collect::<Vec<_>>();
    pair.lead(&browser, 0);
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*pair.url("/orders?x=1")));
    let request = pair.upstream.last_request();
    assert_eq!((request.method.as_str(), request.body.as_str()), ("POST", "--b--\r\n"));
    let body = format!("samlgate-replay={handle}");
    let again = format!(
        "POST /orders?x=1 HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nOrigin: {}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        pair.replicas[1].authority(),
        cookies.join("; "),
        pair.public_url(),
        body.len(),
    );
    let again = raw::exchange(pair.replicas[1].address(), again).await;
    assert_eq!((again.status, again.json()["code"].as_str()), (410, Some("form_expired")));
    assert_eq!(pair.upstream.requests().iter().filter(|request| request.method == "POST").count(), 1);
}

pub(super) async fn keep_no_form_in_an_outage() {
    let mut pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    browser.change_jar(|jar| jar.remove("localhost", SESSION));
    pair.redis.kill().await;
    tab.post("/orders", "text/plain", "a=b").await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/saml/login"));
    assert!(tab.page().body.contains("It cannot be kept at the moment"), "{}", tab.page().body);
}

pub(super) async fn share_sign_outs() {
    let pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.sign_in(&browser, "ada").await;
    let other = pair.browser(1);
    pair.sign_in(&other, "ada").await;
    let (ended, kept) = (cookie(&browser), cookie(&other));
    for replica in [0, 1] {
        assert_eq!((pair.status(replica, &ended).await, pair.status(replica, &kept).await), (200, 200));
    }
    sign_out(&pair, &mut tab).await;
    assert_eq!(pair.status(0, &ended).await, 401, "at once where it happened");
    until(SECOND, "signed out at the other", async || pair.status(1, &ended).await == 401).await;
    assert_eq!((pair.status(0, &kept).await, pair.status(1, &kept).await), (200, 200));
}

pub(super) async fn share_revocations() {
    let mut pair = Pair::start().await;
    let selectors: [&[&str]; 4] = [
        &["--user", "5f1e0000000000000000ada1"],
        &["--email", "ada@demo.example"],
        &["--group", "admins"],
        &["--all", "--yes"],
    ];
    for (number, whose) in selectors.into_iter().enumerate() {
        let (revoked, other) = (pair.browser(0), pair.browser(1));
        pair.sign_in(&revoked, "ada").await;
        pair.sign_in(&other, "ben").await;
        let (ended, kept) = (cookie(&revoked), cookie(&other));
        for replica in [0, 1] {
            assert_eq!((pair.status(replica, &ended).await, pair.status(replica, &kept).await), (200, 200));
        }
        let of_all = whose == ["--all", "--yes"];
        let said = pair.revoke(number % 2, whose).await;
        assert!(said.starts_with("done: "), "{said}");
        for replica in [0, 1] {
            until(SECOND, "revoked", async || pair.status(replica, &ended).await == 401).await;
        }
        until(SECOND, "others too", async || pair.status(0, &kept).await == if of_all { 401 } else { 200 }).await;
        // A revocation is of sessions that began up to its second.
        sleep(SECOND).await;
        let again = pair.browser(1);
        pair.sign_in(&again, "ada").await;
        assert_eq!(pair.status(0, &cookie(&again)).await, 200, "who signs in again is signed in");
    }
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    let cookie = cookie(&browser);
    assert_eq!((pair.status(0, &cookie).await, pair.status(1, &cookie).await), (200, 200));
    pair.redis.kill().await;
    let said = pair.revoke(0, &["--email", "ada@demo.example"]).await;
    assert!(said.starts_with("queued: "), "{said}");
    assert_eq!((pair.status(0, &cookie).await, pair.status(1, &cookie).await), (503, 200));
    pair.redis.restart().await;
    for replica in [0, 1] {
        until(SECOND * 3, "revoked afterwards", async || pair.status(replica, &cookie).await == 401).await;
    }
}

/// From the moment at which somebody says so.
pub(super) async fn close_websockets() {
    let pair = Pair::start().await;
    for (replica, whose) in [(0, ["--email", "ada@demo.example"]), (1, ["--group", "admins"])] {
        let ada = pair.sign_in(&pair.browser(0), "ada").await;
        let ben = pair.sign_in(&pair.browser(1), "ben").await;
        let mut revoked = [pair.websocket(&ada, 0).await, pair.websocket(&ada, 1).await];
        let mut kept = [pair.websocket(&ben, 0).await, pair.websocket(&ben, 1).await];
        let begun = Instant::now();
        let ends = timeout(SECOND * 10, join_all(revoked.iter_mut().map(closed)));
        let (said, ends) = tokio::join!(pair.revoke(replica, &whose), ends);
        assert!(said.starts_with("done: "), "{said}");
        let after: Vec<_> = ends.expect("both close").iter().map(|end| end.duration_since(begun)).collect();
        assert!(after.iter().all(|after| *after < SECOND), "{after:?}");
        for socket in &mut kept {
            assert!(echoes(socket).await, "that of somebody else stays open");
        }
        // A revocation is of sessions that began up to its second.
        sleep(SECOND).await;
    }
}

pub(super) async fn claim_together() {
    let pair = Pair::start().await;
    for _ in 0..10 {
        let browser = pair.browser(0);
        pair.at_idp(&browser, "/page").await;
        let request_id = pair.idp.requests().last().expect("a request reached the IdP").id.clone();
        let body = pair.idp.response_spec("ada", Some(&request_id)).issue(pair.idp.key()).form_body(None);
        let binding = browser.cookie("localhost", BINDING).expect("the browser is bound").value;
        let answers = tokio::join!(pair.post(0, &binding, &body), pair.post(1, &binding, &body));
        let places =
            [answers.0, answers.1].map(|answer| (answer.status, answer.header("location").unwrap_or_default()));
        let signed_in = places.iter().filter(|(status, place)| *status == 303 && place.ends_with("/page")).count();
        let resumed = places.iter().filter(|(status, place)| *status == 303 && place.contains("/saml/resume")).count();
        assert_eq!((signed_in, resumed), (1, 1), "{places:?}");
    }
}

pub(super) async fn outlive_an_outage() {
    let mut pair = Pair::start().await;
    let (cached, uncached, leaving) = (pair.browser(0), pair.browser(0), pair.browser(0));
    pair.sign_in(&cached, "ada").await;
    pair.sign_in(&uncached, "ben").await;
    let mut tab = pair.sign_in(&leaving, "ada").await;
    let [cached, uncached, left] = [&cached, &uncached, &leaving].map(cookie);
    for replica in [0, 1] {
        assert_eq!((pair.status(replica, &cached).await, pair.status(replica, &left).await), (200, 200));
    }
    // The second replica has not seen this one.
    assert_eq!(pair.status(0, &uncached).await, 200);
    pair.redis.kill().await;
    for _ in 0..50 {
        for replica in [0, 1] {
            assert_eq!(pair.status(replica, &cached).await, 200, "a cached session goes on");
        }
        let refused = pair.get(1, &uncached).await;
        assert_eq!((refused.status, refused.header("retry-after").as_deref()), (503, Some("5")));
        assert_eq!(refused.json()["code"], "store_unavailable");
    }
    let (status, ready) = pair.replicas[0].admin_get("/readyz").await;
    assert_eq!(status, 200, "{ready}");
    sign_out(&pair, &mut tab).await;
    assert_eq!(pair.status(0, &left).await, 503, "here it has ended, and nobody can say that it is none");
    assert_eq!(pair.status(1, &left).await, 200, "there nobody could be told");
    pair.redis.restart().await;
    until(SECOND * 3, "signed out afterwards", async || pair.status(1, &left).await == 401).await;
    until(SECOND * 3, "known again", async || pair.status(1, &uncached).await == 200).await;
    assert_eq!((pair.status(0, &cached).await, pair.status(1, &cached).await), (200, 200));
}

pub(super) use load::carry_load_through_an_outage;

pub(super) async fn limit_an_outage() {
    let mut pair = Pair::start_with(json!({ "outage_limit": "2s" })).await;
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    let cookie = cookie(&browser);
    pair.redis.kill().await;
    assert_eq!(pair.status(0, &cookie).await, 200);
    until(SECOND * 6, "refused", async || pair.status(0, &cookie).await == 503).await;
    pair.redis.restart().await;
    until(SECOND * 3, "known again", async || pair.status(0, &cookie).await == 200).await;
}

pub(super) async fn forget_nobody() {
    let mut pair = Pair::start().await;
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    let mut waiting = pair.at_idp(&pair.browser(0), "/deep").await;
    pair.idp.sign_in(&mut waiting, "ben").await;
    pair.kill_the_first().await;
    assert_eq!(pair.status(1, &cookie(&browser)).await, 200);
    pair.lead(waiting.browser(), 1);
    waiting.auto_submit().await;
    assert_eq!((waiting.page().status, waiting.page().url.path()), (200, "/deep"));
}

/// Where a login stands when the replica that has it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    Started,
    /// The user has signed in at the IdP, whose form has not been sent.
    BeforeAcs,
    /// Redis has written a key that holds this text, and the replica hears no answer.
    Written(&'static str),
}

const CLAIM_WRITTEN: Point = Point::Written(":c:");
const SESSION_WRITTEN: Point = Point::Written(":s:");

/// The person goes on with whoever lives, sending the form again where it was not answered, and is signed in where they
/// wanted to go.
pub(super) async fn die_at_each_point() {
    for point in [Point::Started, Point::BeforeAcs, CLAIM_WRITTEN, SESSION_WRITTEN] {
        let redis = Server::start().await;
        let relay = Relay::start(redis.address()).await;
        let mut pair = Pair::start_by(json!({}), redis, &relay.address()).await;
        let browser = pair.browser(0);
        let mut tab = pair.at_idp(&browser, "/deep?x=1").await;
        if point == Point::Started {
            pair.kill_the_first().await;
            pair.lead(&browser, 1);
        }
        pair.idp.sign_in(&mut tab, "ada").await;
        if let Point::Written(key) = point {
            relay.end_with(key);
            tokio::select! {
                () = relay.ended() => {}
                answer = pair.post_form_of(&tab, 0) => panic!("{key} was not reached: {}", answer.status),
            }
        }
        if point != Point::Started {
            pair.kill_the_first().await;
            pair.lead(&browser, 1);
        }
        let asked = pair.idp.requests().len();
        tab.auto_submit().await;
        let mut rounds = 0;
        while tab.page().url.path() != "/deep" {
            rounds += 1;
            assert!(rounds == 1 && tab.page().forms().len() == 1, "{point:?}: {}", tab.page().url);
            tab.auto_submit().await;
        }
        assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*pair.url("/deep?x=1")), "{point:?}");
        assert_eq!(rounds, usize::from(matches!(point, Point::Written(_))), "{point:?}");
        assert_eq!(pair.idp.requests().len() - asked, rounds);
    }
}

pub(super) async fn die_after_the_answer() {
    let mut pair = Pair::start().await;
    let browser = pair.browser(0);
    let mut tab = pair.at_idp(&browser, "/page").await;
    pair.idp.sign_in(&mut tab, "ada").await;
    let answer = pair.post_form_of(&tab, 0).await;
    pair.kill_the_first().await;
    assert_eq!((answer.status, answer.header("Location").as_deref()), (303, Some("/page")));
    let headers = answer.head.headers();
    let (_, set) = headers.iter().find(|(_, value)| value.starts_with("__Host-samlgate=")).expect("a session");
    assert_eq!(pair.status(1, set.split(';').next().unwrap_or_default()).await, 200);
}

pub(super) async fn wait_for_redis() {
    let mut pair = Pair::start().await;
    let browser = pair.browser(0);
    pair.sign_in(&browser, "ada").await;
    pair.redis.kill().await;
    let builder = pair.settings.of(pair.another(), &pair.redis.address());
    let (address, admin) = (builder.listen(), builder.admin_listen());
    let starting = tokio::spawn(builder.start());
    let ready = || async { raw::get(admin, "localhost", "/readyz", &[]).await };
    until(SECOND * 20, "listening", async || tokio::net::TcpStream::connect(admin).await.is_ok()).await;
    let answer = ready().await;
    assert_eq!(answer.status, 503);
    assert!(answer.text().contains("session store"), "{}", answer.text());
    let authority = pair.replicas[0].authority().to_owned();
    let lines = format!("Cookie: {}", cookie(&browser));
    assert_eq!(raw::get(address, &authority, "/page", &[&lines]).await.status, 503, "nobody can be judged");
    pair.redis.restart().await;
    let _third = starting.await.expect("it becomes ready");
    assert_eq!(raw::get(address, &authority, "/page", &[&lines]).await.status, 200);
}

pub(super) async fn limit_users() {
    let pair = Pair::start_with(json!({ "max_per_user": 2 })).await;
    let mut cookies = Vec::new();
    for replica in [0, 1, 0] {
        let browser = pair.browser(replica);
        pair.sign_in(&browser, "ada").await;
        cookies.push(cookie(&browser));
        // Sessions are told apart by their second.
        sleep(SECOND).await;
    }
    let other = pair.browser(0);
    pair.sign_in(&other, "ben").await;
    cookies.push(cookie(&other));
    until(SECOND, "the oldest ends", async || pair.status(1, &cookies[0]).await == 401).await;
    for replica in [0, 1] {
        let mut seen = Vec::new();
        for cookie in &cookies {
            seen.push(pair.status(replica, cookie).await);
        }
        assert_eq!(seen, [401, 200, 200, 200]);
    }
}
