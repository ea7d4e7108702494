//! Servers that say whether they are well.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use harness::gateway::free_port;
use harness::raw;
use harness::world::World;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::samlgate;

/// An application that answers checks with the status that it is told.
#[derive(Clone)]
struct Server {
    address: SocketAddr,
    status: Arc<AtomicU16>,
    requests: Arc<AtomicUsize>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            status: Arc::new(AtomicU16::new(204)),
            requests: Arc::default(),
        };
        let (checked, asked) = (server.clone(), server.clone());
        let check = move |headers: HeaderMap| async move {
            let is_ours =
                headers["host"] == "app.internal" && headers["user-agent"].to_str().unwrap().contains("samlgate");
            let status = if is_ours { checked.status.load(Ordering::SeqCst) } else { 500 };
            StatusCode::from_u16(status).unwrap()
        };
        let application = move || async move {
            asked.requests.fetch_add(1, Ordering::SeqCst);
            "here"
        };
        let router = Router::new().route("/healthz", get(check)).fallback(application);
        tokio::spawn(async move { axum::serve(listener, router).await });
        server
    }

    fn say(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }

    fn take_requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }
}

fn check() -> Value {
    json!({ "path": "/healthz", "host_header": "App.internal", "interval": "100ms", "unhealthy_after": 2, "healthy_after": 2 })
}

async fn world(servers: &[SocketAddr]) -> World {
    let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
    World::start_with(samlgate(), |gateway| {
        gateway.set("upstreams.app.servers", json!(servers)).set("upstreams.app.health_check", check())
    })
    .await
}

async fn ask(world: &World, times: usize) {
    for _ in 0..times {
        let answer = raw::get(world.gateway.address(), world.gateway.authority(), "/public/x", &[]).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

async fn counts_as(world: &World, server: &Server, healthy: f64) {
    let labels = [("upstream", "app"), ("server", &*server.address.to_string())];
    world.gateway.metric_reaches("samlgate_upstream_healthy", &labels, healthy).await;
}

#[tokio::test]
async fn a_server_that_is_not_well_takes_no_requests_until_it_is_again() {
    let (first, second) = (Server::start().await, Server::start().await);
    let world = world(&[first.address, second.address]).await;
    counts_as(&world, &first, 1.0).await;
    counts_as(&world, &second, 1.0).await;
    ask(&world, 4).await;
    assert_eq!((first.take_requests(), second.take_requests()), (2, 2));
    first.say(503);
    world.gateway.logged("the server is not well: it answered 503").await;
    ask(&world, 4).await;
    assert_eq!((first.take_requests(), second.take_requests()), (0, 4));
    // What was learnt holds over a reload.
    world.gateway.change_settings(|settings| settings["routes"][0]["id"] = json!("open"));
    assert!(world.gateway.reload().await);
    ask(&world, 4).await;
    assert_eq!((first.take_requests(), second.take_requests()), (0, 4));
    let labels = [("upstream", "app"), ("server", &*first.address.to_string())];
    assert_eq!(world.gateway.metric("samlgate_upstream_healthy", &labels).await, 0.0);
    first.say(302);
    counts_as(&world, &first, 1.0).await;
    ask(&world, 4).await;
    assert_eq!((first.take_requests(), second.take_requests()), (2, 2));
    world.gateway.logged("the server is well again").await;
}

#[tokio::test]
async fn where_none_is_well_requests_are_tried_all_the_same() {
    let server = Server::start().await;
    let nobody = SocketAddr::from(([127, 0, 0, 1], free_port()));
    let world = world(&[nobody, server.address]).await;
    server.say(500);
    world.gateway.logged("the server is not well: it answered 500").await;
    world.gateway.logged(&format!("\"address\":\"{nobody}\"")).await;
    ask(&world, 4).await;
    assert_eq!(server.take_requests(), 4);
}
