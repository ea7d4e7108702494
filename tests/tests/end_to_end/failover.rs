//! Servers that fail: what is tried elsewhere, and what is never sent twice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use harness::gateway::{Gateway, free_port};
use harness::http1::{Body, Head, Unframed};
use harness::raw::{self, RawResponse};
use harness::upstream::Upstream;
use harness::world::World;
use serde_json::json;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::samlgate;

async fn world(servers: &[String]) -> World {
    World::start_with(samlgate(), |gateway| gateway.set("upstreams.app.servers", json!(servers))).await
}

async fn send(gateway: &Gateway, method: &str) -> RawResponse {
    let host = gateway.authority();
    let request =
        format!("{method} /public/x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    raw::exchange(gateway.address(), request).await
}

#[tokio::test]
async fn whatever_was_not_sent_goes_to_a_server_that_can_be_reached() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    let nobody = format!("127.0.0.1:{}", free_port());
    let world = world(&[first.address().to_string(), nobody, second.address().to_string()]).await;
    for method in ["GET", "POST", "POST", "PUT", "POST", "GET"] {
        assert_eq!(send(&world.gateway, method).await.status, 200);
    }
    let (first, second) = (first.requests(), second.requests());
    assert_eq!(first.len() + second.len(), 6);
    assert!(!first.is_empty() && !second.is_empty());
    assert!(first.iter().chain(&second).all(|request| request.body == "hi"));
}

#[tokio::test]
async fn every_address_of_a_name_is_used() {
    let upstream = Upstream::start().await;
    // `localhost` is ::1 as well on most machines, where nobody listens.
    let world = world(&[format!("localhost:{}", upstream.address().port())]).await;
    for _ in 0..4 {
        assert_eq!(send(&world.gateway, "POST").await.status, 200);
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn where_nobody_can_be_reached_each_is_tried_once_and_the_answer_is_502() {
    let world = world(&[format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port())]).await;
    for _ in 0..3 {
        let answer = send(&world.gateway, "GET").await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (502, Some("upstream_unavailable")));
    }
}

/// Answers so many requests of each connection, and breaks off when it has read the next.
struct Breaking {
    address: SocketAddr,
    methods: Arc<Mutex<Vec<String>>>,
}

impl Breaking {
    async fn start(answered: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let methods = Arc::new(Mutex::new(Vec::new()));
        let seen = methods.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answered, seen.clone()));
            }
        });
        Self { address, methods }
    }

    fn methods(&self) -> Vec<String> {
        self.methods.lock().unwrap().clone()
    }
}

async fn serve(stream: TcpStream, answered: usize, seen: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    for number in 0.. {
        let Ok(Some(head)) = Head::read(&mut stream).await else { return };
        if Body::read(&head, Unframed::Empty, &mut stream).await.is_err() {
            return;
        }
        seen.lock().unwrap().push(head.start_line.split(' ').next().unwrap().to_owned());
        if number == answered || stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn what_was_sent_over_a_new_connection_is_never_sent_again() {
    let (breaking, other) = (Breaking::start(0).await, Upstream::start().await);
    let world = world(&[breaking.address.to_string(), other.address().to_string()]).await;
    let mut statuses = Vec::new();
    for method in ["POST", "POST", "GET", "GET"] {
        statuses.push(send(&world.gateway, method).await.status);
    }
    assert_eq!(statuses, [502, 200, 502, 200]);
    assert_eq!(breaking.methods(), ["POST", "GET"]);
    assert_eq!(other.requests().len(), 2);
}

#[tokio::test]
async fn over_a_kept_connection_that_breaks_only_what_may_be_repeated_is() {
    let breaking = Breaking::start(1).await;
    let world = world(&[breaking.address.to_string()]).await;
    // The first is answered; the second meets the kept connection as it breaks.
    assert_eq!(send(&world.gateway, "GET").await.status, 200);
    assert_eq!(send(&world.gateway, "GET").await.status, 200);
    assert_eq!(breaking.methods(), ["GET", "GET", "GET"]);
    assert_eq!(send(&world.gateway, "POST").await.status, 502);
    assert_eq!(breaking.methods(), ["GET", "GET", "GET", "POST"]);
}
