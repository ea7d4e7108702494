//! The echo upstream over the wire.

use futures_util::{SinkExt as _, StreamExt as _};
use harness::browser::{Browser, Form};
use harness::raw::{self, Asked, RawConnection};
use harness::upstream::{Application, Upstream};

#[tokio::test]
async fn shows_duplicates_order_and_spelling_of_headers() {
    let upstream = Upstream::start().await;
    let lines = ["X-Forwarded-User: a", "x_forwarded_user: b", "x-forwarded-user:c"];
    let answer = raw::get(upstream.address(), "h", "/x/..;/%2e//y?q=1", &lines).await;
    assert_eq!(answer.json()["target"], "/x/..;/%2e//y?q=1");
    let received = upstream.last_request();
    assert_eq!(received.header_lines, ["Host: h", lines[0], lines[1], lines[2], "Connection: close"]);
    assert_eq!(received.all("X-FORWARDED-USER"), ["a", "c"]);
}

#[tokio::test]
async fn keeps_the_connection_and_reads_chunked_bodies() {
    let upstream = Upstream::start().await;
    let mut connection = RawConnection::open(upstream.address()).await.unwrap();
    let chunked = "POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Trailer: t\r\n\r\n";
    for request in [chunked, "HEAD /b HTTP/1.1\r\n\r\n", "GET /c HTTP/1.1\r\n\r\n"] {
        let asked = if request.starts_with("HEAD") { Asked::Head } else { Asked::Other };
        connection.send(request).await.unwrap();
        assert_eq!(connection.response(asked).await.unwrap().unwrap().status, 200);
    }
    let received = upstream.requests();
    assert_eq!(received.len(), 3);
    assert!(received.iter().all(|request| request.connection == received[0].connection));
    assert_eq!((received[0].body.as_str(), received[0].body_length), ("hello", 5));
    assert_eq!(received[0].trailers, [("X-Trailer".to_owned(), "t".to_owned())]);
}

#[tokio::test]
async fn answers_as_the_query_asks() {
    let upstream = Upstream::start().await;
    let target = "/?status=404&set_cookie=a%3D1&set_cookie=b%3D2&header=X-Samlgate:1";
    let answer = raw::get(upstream.address(), "h", target, &[]).await;
    assert_eq!(answer.status, 404);
    let lines = &answer.head.header_lines;
    assert!(
        ["Set-Cookie: a=1", "Set-Cookie: b=2", "X-Samlgate:1"].iter().all(|line| lines.iter().any(|each| each == line))
    );
}

#[tokio::test]
async fn sends_events_and_holds_answers_back() {
    let upstream = Upstream::start().await;
    let events = raw::get(upstream.address(), "h", "/api/events?count=2&every_ms=1", &[]).await;
    assert_eq!(events.text(), "id: 1\ndata: event 1\n\nid: 2\ndata: event 2\n\n");

    let download = raw::get(upstream.address(), "h", "/download?length=100000", &[]).await;
    assert_eq!(download.body.len(), 100_000);

    let address = upstream.address();
    let held = tokio::spawn(async move { raw::get(address, "h", "/hold", &[]).await.status });
    upstream.arrived(3).await;
    assert!(!held.is_finished());
    upstream.release();
    assert_eq!(held.await.unwrap(), 200);
}

#[tokio::test]
async fn echoes_over_a_websocket() {
    let upstream = Upstream::start().await;
    let mut tab = Browser::new().tab();
    tab.visit(&format!("http://localhost:{}/?set_cookie=a=1", upstream.address().port())).await;
    let mut socket = tab.open_websocket("/public/ws").await.unwrap();
    socket.send("hello".into()).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap().into_text().unwrap().as_str(), "hello");
    let received = upstream.last_request();
    assert_eq!(received.one("Cookie"), Some("a=1"));
    assert_eq!(received.one("Sec-Fetch-Mode"), Some("websocket"));
}

#[tokio::test]
async fn application_page_tells_who_came_and_judges_the_identity_jwt() {
    let application = Application { gateway_origin: "http://127.0.0.1:9".to_owned(), links: Vec::new() };
    let upstream = Upstream::start_application(application).await;
    let lines = [
        "Accept: text/html",
        "X-Forwarded-User: 5f1e<b>",
        "X-Forwarded-Email: ada@demo.example",
        "X-Forwarded-Groups: admins,engineers",
        "X-Samlgate-Jwt-Assertion: not.a.token",
    ];
    let page = raw::get(upstream.address(), "h", "/", &lines).await.text();
    assert!(page.contains("ada@demo.example") && page.contains(">admins<") && page.contains("5f1e&#60;b&#62;"));
    assert!(page.contains("does not verify"));

    let anonymous = raw::get(upstream.address(), "h", "/", &["Accept: text/html"]).await.text();
    assert!(anonymous.contains("Nobody in particular"));
    assert!(raw::get(upstream.address(), "h", "/", &["Accept: application/json"]).await.json().is_object());
}

#[tokio::test]
#[should_panic(expected = "form-action of the page keeps its form from")]
async fn browser_heeds_form_action_as_chromium_does() {
    let upstream = Upstream::start().await;
    let mut tab = Browser::new().tab();
    let policy = "/?header=Content-Security-Policy:+form-action+'self'";
    let origin = format!("http://localhost:{}", upstream.address().port());
    tab.visit(&format!("{origin}{policy}")).await;
    let redirect = "/?status=303&header=Location:http://127.0.0.1:9/";
    let form = Form {
        id: None,
        action: format!("{origin}{redirect}").parse().unwrap(),
        method: "POST".to_owned(),
        fields: Vec::new(),
        buttons: Vec::new(),
    };
    tab.submit(form).await;
}
