//! WebSockets of the application, through the gateway.

use futures_util::{SinkExt as _, StreamExt as _};
use harness::raw;
use harness::world::World;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{samlgate, session_cookie};

#[tokio::test]
async fn a_websocket_of_a_signed_in_person_echoes() {
    let world = World::start(samlgate()).await;
    let tab = world.sign_in("ada", "/").await;
    let mut socket = tab.open_websocket("/ws").await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
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
