//! WebSockets of the application, through the gateway.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use harness::browser::Browser;
use harness::raw;
use harness::world::World;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{another, samlgate, session_cookie, sign_out};

type Socket = WebSocketStream<TcpStream>;

#[tokio::test]
async fn a_websocket_of_a_signed_in_person_echoes() {
    let world = World::start(samlgate()).await;
    let tab = world.sign_in("ada", "/").await;
    let mut socket = tab.open_websocket("/ws").await.unwrap();
    assert!(echoes(&mut socket).await);
    let request = world.upstream.requests().into_iter().find(|request| request.path() == "/ws").unwrap();
    assert_eq!(request.one("X-Forwarded-Email"), Some("ada@demo.example"));
}

#[tokio::test]
async fn strangers_and_pages_of_other_origins_open_none() {
    let world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let cookie = session_cookie(&world.browser);
    let upgrade = |headers: &str| {
        format!(
            "GET /ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n",
            world.gateway.authority()
        )
    };
    for (headers, status) in [
        (String::new(), 401),
        (format!("Cookie: {cookie}\r\nOrigin: http://evil.example\r\n"), 403),
        (format!("Cookie: {cookie}\r\nOrigin: null\r\n"), 403),
        (format!("Cookie: {cookie}\r\nOrigin: {}\r\n", world.gateway.public_url()), 101),
    ] {
        let mut connection = raw::RawConnection::open(world.gateway.address()).await.unwrap();
        connection.send(upgrade(&headers)).await.unwrap();
        let answer = connection.response(raw::Asked::Other).await.unwrap().unwrap();
        assert_eq!(answer.status, status, "{headers}");
    }
}

async fn open(world: &World, browser: &Browser) -> Socket {
    let mut tab = browser.tab();
    tab.visit(&world.gateway.url("/a")).await;
    let mut socket = tab.open_websocket("/ws").await.unwrap();
    assert!(echoes(&mut socket).await);
    socket
}

async fn echoes(socket: &mut Socket) -> bool {
    let message = Message::text("hello");
    socket.send(message.clone()).await.is_ok() && matches!(socket.next().await, Some(Ok(echo)) if echo == message)
}

#[tokio::test]
async fn a_websocket_ends_with_its_session_and_no_other() {
    let mut world = World::start(samlgate()).await;
    let (ada, ben) = (another(&mut world, "ada").await, another(&mut world, "ben").await);
    let (mut of_ada, mut of_ben) = (open(&world, &ada).await, open(&world, &ben).await);
    let closed = world.upstream.count_closed();
    sign_out(&world, &session_cookie(&ada)).await;
    let end = timeout(Duration::from_secs(2), of_ada.next()).await.expect("it ends at once");
    assert!(!matches!(end, Some(Ok(_))), "cut off, without a Close frame: {end:?}");
    world.upstream.closed(closed + 1).await;
    assert!(echoes(&mut of_ben).await);
    world.gateway.metric_reaches("samlgate_streams_ended_total", &[("reason", "ended")], 1.0).await;
    world.gateway.logged(r#""http.path":"/ws""#).await;
    let line = |message: &str| {
        let lines = world.gateway.log_events();
        lines.into_iter().rfind(|line| line["message"] == message && line["session.ref"].is_string()).unwrap()
    };
    let (ended, request) = (line("request cut off with its session"), line("request"));
    assert_eq!(ended["reason"], "ended");
    assert_eq!(
        (&request["http.path"], &request["status"], &request["decision"]),
        (&"/ws".into(), &101.into(), &"forward".into())
    );
    for field in ["request.id", "session.ref", "user.ref", "route.id", "duration_ms"] {
        assert_eq!(ended[field], request[field], "{field}");
    }

    drop(of_ben);
    world.gateway.terminate();
    timeout(Duration::from_secs(5), world.gateway.ended()).await.expect("nothing is thought to be under way");
}
