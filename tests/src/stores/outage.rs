//! Redis goes away, and comes back.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ::gateway::session::contract::{self, ticket};
use ::gateway::session::{Browser, SessionLimits, SessionStore, Sessions, StoreError, Ticket};
use saml_core::{IdpId, Timestamp};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::contract::Stores;
use super::redis::{Cluster, Sentinels, Server};

fn now() -> Timestamp {
    SystemTime::now().into()
}

async fn opened(store: &dyn SessionStore) -> Ticket {
    let ticket = ticket();
    let now = now().unix_seconds();
    store.insert(&ticket, contract::record(now, now + 3_600), &Browser::none()).await.expect("inserted");
    ticket
}

async fn has(store: &dyn SessionStore, ticket: &Ticket) -> Result<bool, StoreError> {
    Ok(store.load(&ticket.key(), ticket, &Browser::none()).await?.is_some())
}

/// Within half a minute.
async fn has_again(store: &dyn SessionStore, ticket: &Ticket) {
    let start = Instant::now();
    loop {
        match has(store, ticket).await {
            Ok(true) => return,
            Ok(false) => panic!("the session is lost"),
            Err(error) => assert!(start.elapsed() < Duration::from_secs(30), "{error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}

pub(super) async fn killed() {
    let mut server = Server::start().await;
    let store = Stores::of(json!({ "servers": [server.address()] })).new_store();
    let ticket = opened(&store).await;
    server.kill().await;
    let start = Instant::now();
    for _ in 0..20 {
        assert!(matches!(has(&store, &ticket).await, Err(StoreError::Away { .. })));
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    server.restart().await;
    has_again(&store, &ticket).await;
}

pub(super) async fn stopped() {
    let server = Server::start().await;
    let store = Stores::of(json!({ "servers": [server.address()], "timeout": "300ms" })).new_store();
    let ticket = Arc::new(opened(&store).await);
    let limits = SessionLimits {
        idle_timeout: Duration::from_secs(3_600),
        max_cached: 100,
        outage_limit: Duration::from_secs(900),
        max_per_user: None,
        idps: vec![IdpId::parse("jumpcloud").expect("an id")],
    };
    let sessions = Arc::new(Sessions::new(Arc::new(store), &limits));
    sessions.follow(now()).await.expect("it answers");
    server.pause();
    for wave in 0..3 {
        let start = Instant::now();
        let crowd: Vec<_> = (0..50)
            .map(|_| {
                let (sessions, ticket) = (Arc::clone(&sessions), Arc::new(contract::ticket()));
                tokio::spawn(async move { sessions.lookup(&ticket, &Browser::none(), now()).await.is_err() })
            })
            .collect();
        for one in crowd {
            assert!(one.await.expect("it ran"), "no answer is an error");
        }
        assert!(start.elapsed() < Duration::from_secs(3), "wave {wave}: {:?}", start.elapsed());
        sleep(Duration::from_millis(600)).await;
    }
    server.resume();
    let start = Instant::now();
    while !sessions.lookup(&ticket, &Browser::none(), now()).await.is_ok_and(|found| found.is_some()) {
        assert!(start.elapsed() < Duration::from_secs(10));
        sleep(Duration::from_millis(50)).await;
    }
}

pub(super) async fn cluster_node_killed() {
    let mut cluster = Cluster::start().await;
    let store = Stores::of(json!({ "mode": "cluster", "servers": cluster.addresses() })).new_store();
    let mut tickets = Vec::new();
    for _ in 0..30 {
        tickets.push(opened(&store).await);
    }
    cluster.nodes[1].kill().await;
    let mut away = 0;
    for ticket in &tickets {
        match has(&store, ticket).await {
            Ok(is_there) => assert!(is_there, "never no session"),
            Err(_) => away += 1,
        }
    }
    assert!(away > 0, "a third of them is away");
    cluster.nodes[1].restart().await;
    cluster.is_up().await;
    for ticket in &tickets {
        has_again(&store, ticket).await;
    }
}

pub(super) async fn master_killed() {
    let mut sentinels = Sentinels::start().await;
    let settings = json!({ "mode": "sentinel", "master_name": Sentinels::MASTER, "servers": sentinels.addresses() });
    let store = Stores::of(settings).new_store();
    let ticket = opened(&store).await;
    // Replication is asynchronous: what was not yet passed on dies with the master.
    assert_eq!(sentinels.servers[0].cli(&["wait", "2", "5000"]).await.trim(), "2");
    sentinels.servers[0].kill().await;
    has_again(&store, &ticket).await;
    let after = opened(&store).await;
    assert!(has(&store, &after).await.expect("it answers"));
}
