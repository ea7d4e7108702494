//! Exchanges that last end with their session: events, transfers, whatever waits; over HTTP/2 the stream alone.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::gateway::{GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::Sign;
use harness::raw::{Asked, RawConnection, RawResponse};
use harness::upstream::Upstream;
use harness::world::World;
use reqwest::header::{COOKIE, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::redirect::Policy;
use serde_json::json;
use time::OffsetDateTime;
use tokio::time::timeout;

use crate::support::{Awaiting, SESSION, another, form, samlgate, session_cookie, sign_out};

/// A second, and what a busy machine adds.
const PROMPTLY: Duration = Duration::from_secs(2);
const ENDLESS_EVENTS: &str = "/api/events?count=1000000&every_ms=20";

/// An answer that does not come to its end.
struct Stream(reqwest::Response);

impl Stream {
    async fn open(world: &World, path: &str, cookie: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Self::of(client.get(world.gateway.url(path)).header(COOKIE, cookie)).await
    }

    async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut stream = Self(response);
        assert!(stream.goes_on().await);
        stream
    }

    async fn goes_on(&mut self) -> bool {
        matches!(self.0.chunk().await, Ok(Some(_)))
    }

    async fn is_cut_off(&mut self, within: Duration) {
        let cut_off = async {
            loop {
                match self.0.chunk().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("it ended as if it were whole"),
                    Err(_) => break,
                }
            }
        };
        timeout(within, cut_off).await.expect("it is cut off");
    }
}

/// Counted when the connection is closed already.
async fn counted(world: &World, reason: &str, number: f64) {
    let name = "samlgate_streams_ended_total";
    world.gateway.metric_reaches(name, &[("reason", reason)], number).await;
    assert_eq!(world.gateway.metric(name, &[]).await, number);
}

#[tokio::test]
async fn events_and_downloads_end_at_sign_out_and_those_of_others_go_on() {
    let mut world = World::start(samlgate()).await;
    for path in [ENDLESS_EVENTS, "/api/download?length=1000000000000"] {
        let (ada, ben) = (another(&mut world, "ada").await, another(&mut world, "ben").await);
        let (ada, ben) = (session_cookie(&ada), session_cookie(&ben));
        let mut kept = Stream::open(&world, path, &ben).await;
        let mut public = Stream::open(&world, &path.replace("/api/", "/public/"), &ada).await;
        let mut cut_off = Stream::open(&world, path, &ada).await;
        let closed = world.upstream.count_closed();
        sign_out(&world, &ada).await;
        cut_off.is_cut_off(PROMPTLY).await;
        world.upstream.closed(closed + 1).await;
        assert!(kept.goes_on().await && public.goes_on().await, "{path}");
    }
    counted(&world, "ended", 2.0).await;
}

#[tokio::test]
async fn what_is_uploaded_or_waited_for_ends_at_sign_out() {
    let mut world = World::start(samlgate()).await;
    for request in
        ["GET /api/hold HTTP/1.1\r\n\r\n", "POST /api/x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
    {
        let cookie = session_cookie(&another(&mut world, "ada").await);
        let own = format!("HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\n", world.gateway.authority());
        let mut connection = RawConnection::open(world.gateway.address()).await.unwrap();
        let forwarded = [("decision", "forward"), ("reason", "signed_in")];
        let before = world.gateway.metric("samlgate_auth_decisions_total", &forwarded).await;
        connection.send(request.replace("HTTP/1.1\r\n", &own)).await.unwrap();
        world.gateway.metric_reaches("samlgate_auth_decisions_total", &forwarded, before + 1.0).await;
        sign_out(&world, &cookie).await;
        let answer = timeout(PROMPTLY, connection.response(Asked::Other)).await.expect("it is cut off");
        assert!(!matches!(answer, Ok(Some(_))), "{answer:?}");
    }
    counted(&world, "ended", 2.0).await;
}

/// The cookie that an answer of the ACS sets.
fn session_of(answer: &RawResponse) -> String {
    let lines = &answer.head.header_lines;
    let value = lines.iter().find_map(|line| line.strip_prefix("Set-Cookie: ").filter(|set| set.starts_with(SESSION)));
    value.and_then(|set| set.split(';').next()).expect("it opens a session").to_owned()
}

#[tokio::test]
async fn a_stream_ends_when_the_idp_says_that_the_session_does() {
    let mut world = World::start(samlgate()).await;
    let mut cookies = Vec::new();
    for seconds in [3, 3_600] {
        let awaiting = Awaiting::start(&mut world, "/x").await;
        let mut spec = awaiting.spec(&world).sign(Sign::Both);
        spec.session_not_on_or_after = Some(OffsetDateTime::now_utc() + Duration::from_secs(seconds));
        cookies.push(session_of(&awaiting.post(&world, &form(&spec.issue(world.idp.key()).xml)).await));
    }
    let mut expiring = Stream::open(&world, ENDLESS_EVENTS, &cookies[0]).await;
    let mut kept = Stream::open(&world, ENDLESS_EVENTS, &cookies[1]).await;
    expiring.is_cut_off(Duration::from_secs(3) + PROMPTLY).await;
    assert!(kept.goes_on().await);
    counted(&world, "expired", 1.0).await;
}

#[tokio::test]
async fn only_receiving_lets_a_session_become_idle_and_sending_does_not() {
    let mut world = World::start_with(samlgate(), |gateway| gateway.set("session.idle_timeout", json!("2s"))).await;
    let mut tab = another(&mut world, "ben").await.tab();
    tab.visit(&world.gateway.url("/a")).await;
    let mut socket = tab.open_websocket("/ws").await.unwrap();
    let talking = async {
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        loop {
            pace.tick().await;
            socket.send("hello".into()).await.unwrap();
            socket.next().await.unwrap().unwrap();
        }
    };
    // One after the other: whoever talks outlasts the limit twice.
    let receiving = async {
        for number in [1.0, 2.0] {
            let cookie = session_cookie(&another(&mut world, "ada").await);
            let mut stream = Stream::open(&world, ENDLESS_EVENTS, &cookie).await;
            stream.is_cut_off(Duration::from_secs(4) + PROMPTLY).await;
            counted(&world, "idle", number).await;
        }
    };
    tokio::select! {
        () = receiving => {}
        () = talking => {}
    }
}

#[tokio::test]
async fn a_reload_ends_those_that_it_does_not_let_in_any_more() {
    let mut world = World::start(samlgate()).await;
    let mut streams = Vec::new();
    for username in ["ada", "ben"] {
        let cookie = session_cookie(&another(&mut world, username).await);
        streams.push(Stream::open(&world, ENDLESS_EVENTS, &cookie).await);
    }
    let [mut of_ada, mut of_ben] = <[_; 2]>::try_from(streams).ok().unwrap();
    world.gateway.change_settings(|settings| settings["routes"][2]["access"] = json!({ "groups": ["admins"] }));
    assert!(world.gateway.reload().await);
    of_ben.is_cut_off(PROMPTLY).await;
    assert!(of_ada.goes_on().await);
    counted(&world, "refused", 1.0).await;
}

#[tokio::test]
async fn of_two_streams_on_one_connection_one_ends() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let builder = GatewayBuilder::new(samlgate());
    let origin = format!("https://localhost:{}", builder.listen().port());
    let builder = builder.set("public_url", json!(origin));
    let mut settings = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
    settings.sign = Sign::Both;
    let idp = Idp::start(IdpOptions::new(settings)).await;
    let upstream = Upstream::start().await;
    let gateway = builder
        .trust(&idp)
        .protect(&upstream)
        .file("tls.crt", &certificate)
        .file("tls.key", &key)
        .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
        .set("identity_providers.0.allow_idp_initiated", json!(true))
        .set("replicas", json!(1))
        .start()
        .await;
    let authorities = reqwest::Certificate::from_pem_bundle(certificate.as_bytes()).unwrap();
    let client =
        reqwest::Client::builder().no_proxy().redirect(Policy::none()).tls_certs_only(authorities).build().unwrap();

    let mut streams = Vec::new();
    for username in ["ada", "ben"] {
        let xml = idp.response_spec(username, None).sign(Sign::Both).issue(idp.key()).xml;
        let post = client.post(format!("{origin}/saml/acs")).body(form(&xml));
        let answer = post.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
        assert_eq!(answer.headers()[LOCATION], "/");
        let cookie = answer.headers().get_all(SET_COOKIE).iter().find_map(|set| {
            let set = set.to_str().unwrap();
            set.starts_with(SESSION).then(|| set.split(';').next().unwrap().to_owned())
        });
        let cookie = cookie.expect("it opens a session");
        streams
            .push((Stream::of(client.get(format!("{origin}{ENDLESS_EVENTS}")).header(COOKIE, &cookie)).await, cookie));
    }
    let [(mut of_ada, cookie), (mut of_ben, _)] = <[_; 2]>::try_from(streams).ok().unwrap();
    assert_eq!(of_ada.0.version(), reqwest::Version::HTTP_2);
    let post = client.post(format!("{origin}/saml/logout")).header(ORIGIN, &origin).header(COOKIE, &cookie);
    assert_eq!(post.send().await.unwrap().status(), 200);
    of_ada.is_cut_off(PROMPTLY).await;
    assert!(of_ben.goes_on().await);
    gateway.metric_reaches("samlgate_streams_ended_total", &[("reason", "ended")], 1.0).await;
}

/// The most that the process ever held in memory.
fn peak_kib(world: &World) -> u64 {
    let id = world.gateway.process_id().expect("it runs");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux says so");
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test]
async fn a_large_download_is_not_held_in_memory() {
    const LENGTH: usize = 200 * 1024 * 1024;
    let mut world = World::start(samlgate()).await;
    let cookie = session_cookie(&another(&mut world, "ada").await);
    let before = peak_kib(&world);
    let mut stream = Stream::open(&world, &format!("/api/download?length={LENGTH}"), &cookie).await;
    while stream.0.chunk().await.unwrap().is_some() {}
    let grown = peak_kib(&world) - before;
    assert!(grown < 32 * 1024, "{grown} KiB");
}
