//! Forms whose session has ended: kept through the login, and sent once.

use harness::browser::{Browser, Tab};
use harness::raw;
use harness::world::World;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{SESSION, samlgate, session_cookie};

const URLENCODED: &str = "application/x-www-form-urlencoded";
const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const MEBIBYTE: usize = 1024 * 1024;

/// A tab of the application whose session has ended.
async fn signed_out(world: &World) -> Tab {
    end_session(world);
    let mut tab = world.at_idp("/page").await;
    past_idp(world, &mut tab).await;
    end_session(world);
    tab
}

/// As it ends by its age: browsers drop the cookie.
fn end_session(world: &World) {
    world.browser.change_jar(|jar| jar.remove("localhost", SESSION));
}

/// The IdP asks only those whom it does not know yet.
async fn past_idp(world: &World, tab: &mut Tab) {
    if tab.page().form().value("username").is_some() {
        world.idp.sign_in(tab, "ada").await;
    }
    tab.auto_submit().await;
}

/// From the login page to the page that replays the form.
async fn sign_in_again(world: &World, tab: &mut Tab) {
    let links = tab.page().links();
    let start = links.iter().find(|link| link.url.path().starts_with("/saml/start"));
    let start = start.unwrap_or_else(|| panic!("no link to the IdP: {}", tab.page().body)).url.clone();
    tab.follow(start.as_str()).await;
    past_idp(world, tab).await;
}

/// A tab with the page that replays a kept form `a=b` to `/orders`.
async fn at_replay(world: &World) -> Tab {
    let mut tab = signed_out(world).await;
    tab.post("/orders", URLENCODED, "a=b").await;
    sign_in_again(world, &mut tab).await;
    tab
}

fn handle_on(tab: &Tab) -> String {
    tab.page().form().value("samlgate-replay").unwrap().to_owned()
}

/// What the browser would send with the handle of its last form.
fn replay_cookies(browser: &Browser) -> String {
    format!("{}; {}", session_cookie(browser), form_cookies(browser).pop().unwrap())
}

fn form_cookies(browser: &Browser) -> Vec<String> {
    let jar = browser.jar();
    let cookies = jar.cookies().iter().filter(|cookie| cookie.name.starts_with("__Host-samlgate-form-"));
    cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect()
}

/// What reached the application by POST.
fn posts(world: &World) -> Vec<String> {
    let requests = world.upstream.requests();
    requests.iter().filter(|request| request.method == "POST").map(|request| request.body.clone()).collect()
}

async fn counted(world: &World, result: &str, reason: &str) -> f64 {
    world.gateway.metric("samlgate_forms_total", &[("result", result), ("reason", reason)]).await
}

/// A handle as the replay page posts it, from wherever `headers` say.
async fn post_handle(world: &World, target: &str, cookies: &str, handle: &str) -> raw::RawResponse {
    let body = format!("samlgate-replay={handle}");
    let request = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookies}\r\nAccept: text/html\r\nSec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nContent-Type: {URLENCODED}\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        world.gateway.authority(),
        body.len(),
    );
    raw::exchange(world.gateway.address(), request).await
}

#[tokio::test]
async fn a_form_is_sent_as_it_was_after_the_login_and_once() {
    let world = World::start(samlgate()).await;
    let mut tab = signed_out(&world).await;
    let mut body = b"--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.bin\"\r\n\r\n".to_vec();
    body.extend((0..=255u8).cycle().take(900 * 1024));
    body.extend_from_slice(b"\r\n--b--\r\n");
    tab.post("/orders?x=1&y=%2f", "multipart/form-data; boundary=b", body.clone()).await;
    assert_eq!(tab.page().url.path(), "/saml/login");
    assert!(tab.page().body.contains("The form that you sent is kept"), "{}", tab.page().body);
    assert!(posts(&world).is_empty());

    sign_in_again(&world, &mut tab).await;
    assert_eq!(tab.page().url.path(), "/saml/replay");
    tab.auto_submit().await;
    assert_eq!((tab.page().status, tab.page().url.as_str()), (200, &*world.gateway.url("/orders?x=1&y=%2f")));
    let request = world.upstream.last_request();
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/orders?x=1&y=%2f"));
    assert_eq!(request.one("Content-Type"), Some("multipart/form-data; boundary=b"));
    assert_eq!(request.one("Content-Length"), Some(&*body.len().to_string()));
    assert_eq!(request.body_length, body.len());
    assert!(request.body == String::from_utf8_lossy(&body), "byte for byte");
    assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
    assert!(request.all("Cookie").iter().all(|cookie| !cookie.contains("samlgate")));
    assert!(form_cookies(&world.browser).is_empty());

    tab.reload().await;
    assert_eq!(tab.page().status, 410);
    assert!(tab.page().body.contains("form_of_other_browser"), "{}", tab.page().body);
    assert_eq!(posts(&world).len(), 1);
    assert_eq!((counted(&world, "kept", "").await, counted(&world, "replayed", "").await), (1.0, 1.0));
    assert_eq!(counted(&world, "refused", "form_of_other_browser").await, 1.0);
}

#[tokio::test]
async fn every_kind_and_size_of_form_comes_back() {
    let world = World::start(samlgate()).await;
    for (content_type, body) in [
        (URLENCODED, Vec::new()),
        (URLENCODED, b"a=b&c=%20".to_vec()),
        (URLENCODED, format!("samlgate-replay={}", "=".repeat(43)).into_bytes()),
        ("text/plain", b"a=b\r\n".to_vec()),
        ("text/plain", vec![b'x'; MEBIBYTE]),
    ] {
        let mut tab = signed_out(&world).await;
        tab.post("/send", content_type, body.clone()).await;
        sign_in_again(&world, &mut tab).await;
        tab.auto_submit().await;
        assert_eq!(tab.page().status, 200, "{}", tab.page().body);
        let request = world.upstream.last_request();
        assert_eq!((request.method.as_str(), request.one("Content-Type")), ("POST", Some(content_type)));
        assert_eq!(request.one("Content-Length"), Some(&*body.len().to_string()));
        assert!(request.body.as_bytes() == body);
    }
}

#[tokio::test]
async fn a_form_of_another_site_is_not_kept() {
    let world = World::start(samlgate()).await;
    let mut tab = signed_out(&world).await;
    tab.visit(&format!("{}/", world.idp.origin())).await;
    tab.post(&world.gateway.url("/orders"), URLENCODED, "a=b").await;
    assert_eq!(tab.page().url.query(), Some("rd=%2Forders"));
    assert!(form_cookies(&world.browser).is_empty());
    sign_in_again(&world, &mut tab).await;
    assert_eq!((tab.page().status, tab.page().url.path()), (200, "/orders"));
    assert_eq!(world.upstream.last_request().method, "GET");
    assert_eq!(counted(&world, "lost", "cross_site").await, 1.0);
}

#[tokio::test]
async fn what_will_be_lost_is_said_before_the_login_even_where_the_page_is_off() {
    let world = World::start_with(samlgate(), |gateway| gateway.set("login_page", json!(false))).await;
    for (size, is_kept) in [(MEBIBYTE + 1, false), (9 * MEBIBYTE, false), (3, true)] {
        let mut tab = signed_out(&world).await;
        tab.post("/orders", URLENCODED, vec![b'a'; size]).await;
        let is_told = tab.page().body.contains("The form that you sent will be lost");
        assert_eq!(is_told, !is_kept, "{size}: {}", tab.page().body);
        if !is_kept {
            assert!(tab.page().body.contains("larger than 1 MiB"), "{}", tab.page().body);
            sign_in_again(&world, &mut tab).await;
            assert_eq!((tab.page().status, tab.page().url.path()), (200, "/orders"));
        }
    }
    assert_eq!((counted(&world, "lost", "too_large").await, counted(&world, "kept", "").await), (2.0, 1.0));
    assert!(posts(&world).is_empty());
}

#[tokio::test]
async fn a_form_of_unknown_length_is_cut_off_too() {
    let world = World::start(samlgate()).await;
    let chunk = "a".repeat(65_536);
    let chunks = format!("10000\r\n{chunk}\r\n").repeat(17);
    let request = format!(
        "POST /orders HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nContent-Type: {URLENCODED}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         {chunks}0\r\n\r\n",
        world.gateway.authority()
    );
    let answer = raw::exchange(world.gateway.address(), request).await;
    assert_eq!((answer.status, answer.header("set-cookie")), (303, None));
    assert!(answer.header("location").unwrap().ends_with("/saml/login?rd=%2Forders&lost=too_large"));
}

#[tokio::test]
async fn another_browser_sends_nothing_and_takes_nothing() {
    let world = World::start(samlgate()).await;
    let mut tab = signed_out(&world).await;
    tab.post("/orders", URLENCODED, "a=b").await;
    let cookie = form_cookies(&world.browser).pop().unwrap();
    let (name, value) = cookie.split_once('=').unwrap();
    let id = name.strip_prefix("__Host-samlgate-form-").unwrap();
    let handle = value.split('.').next().unwrap();

    let other = World { browser: Browser::new(), ..world };
    let mut elsewhere = other.sign_in("ada", "/").await;
    elsewhere.visit(&other.gateway.url(&format!("/saml/replay?form={id}&rd=/orders"))).await;
    assert_eq!(elsewhere.page().status, 410);
    assert!(elsewhere.page().body.contains("form_of_other_browser"), "{}", elsewhere.page().body);
    let session = session_cookie(&other.browser);
    // The handle itself, stolen, without the cookie; and with it at another address.
    let stolen = post_handle(&other, "/orders", &session, handle).await;
    assert_eq!(stolen.status, 410);
    assert!(posts(&other).is_empty());

    sign_in_again(&other, &mut tab).await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, posts(&other)), (200, vec!["a=b".to_owned()]));
}

#[tokio::test]
async fn a_form_goes_to_its_own_address_alone() {
    let world = World::start(samlgate()).await;
    let mut tab = at_replay(&world).await;
    let (handle, cookies) = (handle_on(&tab), replay_cookies(&world.browser));
    let answer = post_handle(&world, "/admin/orders", &cookies, &handle).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("form_misdirected"));
    assert!(posts(&world).is_empty());
    // It waits there still.
    tab.auto_submit().await;
    assert_eq!((tab.page().status, posts(&world)), (200, vec!["a=b".to_owned()]));
}

#[tokio::test]
async fn of_two_that_send_a_form_at_once_one_does() {
    let world = World::start(samlgate()).await;
    let tab = at_replay(&world).await;
    let (handle, cookies) = (handle_on(&tab), replay_cookies(&world.browser));
    let (one, other) = tokio::join!(
        post_handle(&world, "/orders", &cookies, &handle),
        post_handle(&world, "/orders", &cookies, &handle)
    );
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 410]);
    assert_eq!(posts(&world), ["a=b"]);
    assert_eq!(counted(&world, "refused", "form_expired").await, 1.0);
}

#[tokio::test]
async fn without_a_session_the_handle_leads_to_the_login_and_back() {
    let world = World::start(samlgate()).await;
    let mut tab = at_replay(&world).await;
    end_session(&world);
    tab.auto_submit().await;
    assert_eq!(tab.page().url.path(), "/saml/login");
    sign_in_again(&world, &mut tab).await;
    tab.auto_submit().await;
    assert_eq!((tab.page().status, posts(&world)), (200, vec!["a=b".to_owned()]));
}

#[tokio::test]
async fn a_browser_has_four_forms_and_sign_out_forgets_them() {
    let world = World::start(samlgate()).await;
    let mut tab = signed_out(&world).await;
    let back = tab.page().url.clone();
    for number in 0..5 {
        tab.visit(&world.gateway.url("/public/form")).await;
        tab.post("/orders", URLENCODED, format!("number={number}")).await;
        assert_eq!(form_cookies(&world.browser).len(), 4.min(number + 1));
    }
    sign_in_again(&world, &mut tab).await;
    let handle = handle_on(&tab);
    let cookies = form_cookies(&world.browser).join("; ");
    tab.visit(&world.gateway.url("/saml/logout")).await;
    let form = tab.page().form();
    tab.submit(form).await;
    assert!(form_cookies(&world.browser).is_empty());
    tab.visit(back.as_str()).await;
    sign_in_again(&world, &mut tab).await;
    let cookies = format!("{}; {cookies}", session_cookie(&world.browser));
    let answer = post_handle(&world, "/orders", &cookies, &handle).await;
    assert!(answer.status == 410 && answer.text().contains("form_expired"), "{}", answer.text());
    assert!(posts(&world).is_empty());
}

#[tokio::test]
async fn one_address_that_sends_slowly_leaves_room() {
    let world = World::start(samlgate()).await;
    let head = format!(
        "POST /orders HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: navigate\r\n\
         Sec-Fetch-Dest: document\r\nContent-Type: {URLENCODED}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\
         Connection: close\r\n\r\n",
        world.gateway.authority()
    );
    let mut slow = Vec::new();
    for _ in 0..8 {
        let mut connection = TcpStream::connect(world.gateway.address()).await.unwrap();
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; GO_ON.len()];
        connection.read_exact(&mut go_on).await.unwrap();
        assert_eq!(str::from_utf8(&go_on), Ok(GO_ON));
        slow.push(connection);
    }
    let answer = raw::exchange(world.gateway.address(), &head).await;
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().ends_with("&lost=too_much"));
    for mut connection in slow {
        connection.write_all(b"a=b").await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("&form="), "{answer}");
    }
    let (kept, lost) = (counted(&world, "kept", "").await, counted(&world, "lost", "too_much").await);
    assert_eq!((kept, lost), (8.0, 1.0));
}
