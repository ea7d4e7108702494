//! Starting, stopping, and TLS.

use std::time::Duration;

use harness::browser::{Browser, Fetch};
use harness::gateway::GatewayBuilder;
use harness::load::{Load, Person, Shape};
use harness::raw;
use harness::world::World;
use serde_json::json;
use tempfile::TempDir;

use crate::support::{SESSION, samlgate, session_cookie};

#[tokio::test]
async fn sigterm_lets_a_request_in_flight_finish_and_takes_no_new_ones() {
    let mut world = World::start(samlgate()).await;
    world.sign_in("ada", "/").await;
    let cookie = session_cookie(&world.browser);
    let before = world.upstream.requests().len();
    let mut connection = raw::RawConnection::open(world.gateway.address()).await.unwrap();
    let request = format!(
        "GET /hold HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n",
        world.gateway.authority()
    );
    connection.send(request).await.unwrap();
    world.upstream.arrived(before + 1).await;
    world.gateway.terminate();
    world.gateway.logged("finishing requests").await;
    world.upstream.release();
    let answer = connection.response(raw::Asked::Other).await.unwrap().expect("the request in flight is answered");
    assert_eq!(answer.status, 200);
    assert_eq!(world.gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn sigquit_ends_in_order_too_and_a_second_one_cuts_nothing_off() {
    let mut world = World::start(samlgate()).await;
    let mut connection = raw::RawConnection::open(world.gateway.address()).await.unwrap();
    let host = world.gateway.authority().to_owned();
    connection.send(format!("GET /public/hold HTTP/1.1\r\nHost: {host}\r\n\r\n")).await.unwrap();
    world.upstream.arrived(1).await;
    world.gateway.quit();
    world.gateway.logged("finishing requests").await;
    world.gateway.quit();
    tokio::time::sleep(Duration::from_millis(100)).await;
    world.upstream.release();
    let answer = connection.response(raw::Asked::Other).await.unwrap().expect("the request in flight is answered");
    assert_eq!((answer.status, answer.header("Connection").as_deref()), (200, Some("close")));
    assert_eq!(world.gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn a_kept_connection_is_told_with_its_next_answer_that_it_is_the_last() {
    let mut world = World::start(samlgate()).await;
    let host = world.gateway.authority().to_owned();
    let request = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let mut connection = raw::RawConnection::open(world.gateway.address()).await.unwrap();
    connection.send(&request).await.unwrap();
    let answer = connection.response(raw::Asked::Other).await.unwrap().unwrap();
    assert!(!answer.head.has_token("Connection", "close"), "{:?}", answer.head);
    world.gateway.terminate();
    world.gateway.logged("finishing requests").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    connection.send(&request).await.unwrap();
    let answer = connection.response(raw::Asked::Other).await.unwrap().expect("it is answered");
    assert_eq!((answer.status, answer.header("Connection").as_deref()), (200, Some("close")));
    assert_eq!(world.gateway.ended().await.code(), Some(0));
}

#[tokio::test]
async fn new_connections_are_taken_until_a_balancer_has_noticed() {
    let settings = |gateway: GatewayBuilder| gateway.set("shutdown_delay", json!("1s"));
    let mut world = World::start_with(samlgate(), settings).await;
    let host = world.gateway.authority().to_owned();
    world.gateway.terminate();
    world.gateway.logged("finishing requests").await;
    assert_eq!(world.gateway.admin_get("/readyz").await.0, 503);
    assert_eq!(raw::get(world.gateway.address(), &host, "/public/x", &[]).await.status, 200);
    assert_eq!(world.gateway.ended().await.code(), Some(0));
}

/// Sessions that outlive the process, and a socket to hand the listeners over by.
async fn upgradable(folder: &TempDir) -> World {
    gateway::keys::generate(&folder.path().join("keys")).expect("keys can be made");
    let settings = |gateway: GatewayBuilder| {
        gateway
            .set("keys_dir", json!(folder.path().join("keys")))
            .set("session", json!({ "store": "sealed" }))
            .set("control_socket", json!("control.sock"))
            .set("upgrade_socket", json!("upgrade.sock"))
    };
    World::start_with(samlgate(), settings).await
}

async fn people(world: &mut World) -> Vec<Person> {
    let mut people = Vec::new();
    for name in ["ada", "ben"] {
        world.browser = Browser::new();
        world.sign_in(name, "/x").await;
        let jar = world.browser.jar();
        let cookies = jar.cookies().iter().filter(|cookie| cookie.name.starts_with(SESSION));
        let cookie = cookies.map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect::<Vec<_>>().join("; ");
        people.push(Person { cookie, email: format!("{name}@demo.example") });
    }
    people
}

#[tokio::test]
async fn another_process_takes_over_without_a_request_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = upgradable(&folder).await;
    let people = people(&mut world).await;
    let (address, host) = (world.gateway.address(), world.gateway.authority().to_owned());
    let shape = Shape { kept: 8, fresh: 4, pause: Duration::from_millis(5) };
    let load = Load::start(address, &host, people, shape);
    for _ in 0..2 {
        let before = world.gateway.process_id();
        let ended = world.gateway.upgrade().await.unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!(ended.code(), Some(0));
        assert_ne!(world.gateway.process_id(), before);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let tally = load.finish().await;
    assert!(tally.failures.is_empty(), "{} of {}: {:#?}", tally.failures.len(), tally.requests, tally.failures);
    assert!(tally.requests > 200, "{}", tally.requests);
    // The sockets are the successor's, and only its.
    let settings = world.gateway.config_file().parent().unwrap().to_owned();
    for socket in ["control.sock", "upgrade.sock"] {
        std::os::unix::net::UnixStream::connect(settings.join(socket)).unwrap_or_else(|_| panic!("{socket}"));
    }
    assert_eq!(world.gateway.stop().await.code(), Some(0));
    for socket in ["control.sock", "upgrade.sock", "control.sock.new", "upgrade.sock.new"] {
        assert!(!settings.join(socket).exists(), "{socket}");
    }
}

#[tokio::test]
async fn a_successor_that_cannot_start_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = upgradable(&folder).await;
    for (change, told) in [
        (
            (|settings| settings["admin_listen"] = json!("127.0.0.1:1")) as fn(&mut serde_json::Value),
            "listeners cannot change",
        ),
        (|settings| settings["upstreams"] = json!({}), "upstreams"),
        (|settings| settings["upgrade_socket"] = json!("other.sock"), "no samlgate answers"),
    ] {
        let file = world.gateway.config_file().to_owned();
        let good = std::fs::read_to_string(&file).unwrap();
        world.gateway.change_settings(change);
        let failure = world.gateway.upgrade().await.expect_err("it cannot start");
        assert_eq!(failure.status.and_then(|status| status.code()), Some(1), "{failure}");
        assert!(failure.output.contains(told), "{failure}");
        std::fs::write(&file, good).unwrap();
        let host = world.gateway.authority().to_owned();
        assert_eq!(raw::get(world.gateway.address(), &host, "/public/x", &[]).await.status, 200);
    }
    world.gateway.upgrade().await.unwrap_or_else(|failure| panic!("{failure}"));
}

#[tokio::test]
async fn an_idle_gateway_stops_at_once_and_cleanly() {
    let mut world = World::start(samlgate()).await;
    let start = std::time::Instant::now();
    assert_eq!(world.gateway.stop().await.code(), Some(0));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_taken_address_is_named_and_not_panicked_about() {
    let world = World::start(samlgate()).await;
    let taken = world.gateway.address().to_string();
    let builder =
        GatewayBuilder::new(samlgate()).trust(&world.idp).protect(&world.upstream).set("listen", json!(taken));
    let Err(failure) = builder.try_start().await else { panic!("two listen on {taken}") };
    assert_eq!(failure.status.and_then(|status| status.code()), Some(1), "{failure}");
    assert!(failure.output.contains(&taken) && !failure.output.contains("panicked"), "{failure}");
}

#[tokio::test]
async fn sessions_end_with_the_process_and_say_so_by_asking_again() {
    let mut world = World::start(samlgate()).await;
    let tab = world.sign_in("ada", "/").await;
    assert_eq!(tab.fetch(Fetch::get("/x")).await.status, 200);
    world.gateway.stop().await;
}

#[tokio::test]
async fn keys_of_the_folder_are_used_and_a_readable_one_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let status =
        samlgate().command(["keys", "generate", "--dir", keys.to_str().unwrap()]).as_std_mut().status().unwrap();
    assert!(status.success());
    let with_keys = |gateway: GatewayBuilder| gateway.set("keys_dir", json!(keys.to_str().unwrap()));
    let jwks = |world: &World| {
        let (address, authority) = (world.gateway.address(), world.gateway.authority().to_owned());
        async move { raw::get(address, &authority, "/saml/jwks.json", &[]).await.text() }
    };
    let first = World::start_with(samlgate(), with_keys).await;
    let second = World::start_with(samlgate(), with_keys).await;
    assert_eq!(jwks(&first).await, jwks(&second).await);

    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(keys.join("jwt.current"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let builder = with_keys(GatewayBuilder::new(samlgate()).trust(&first.idp).protect(&first.upstream));
    let Err(failure) = builder.try_start().await else { panic!("a key that others can read was used") };
    assert!(failure.output.contains("jwt.current"), "{failure}");
}

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_request() {
    let world = World::start(samlgate()).await;
    let listen = std::net::SocketAddr::from(([127, 0, 0, 1], harness::gateway::free_port()));
    let admin = std::net::SocketAddr::from(([127, 0, 0, 1], harness::gateway::free_port()));
    let mut command =
        samlgate().command([std::ffi::OsStr::new("run"), "--config".as_ref(), world.gateway.config_file().as_os_str()]);
    command.env("SAMLGATE_LISTEN", listen.to_string()).env("SAMLGATE_ADMIN_LISTEN", admin.to_string());
    let unread = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    while tokio::net::TcpStream::connect(listen).await.is_err() {
        tokio::task::yield_now().await;
    }
    // A pipe holds 64 KiB; each of these writes a line of several hundred bytes.
    for _ in 0..400 {
        let answer = raw::get(listen, world.gateway.authority(), "/x", &[]);
        let answer = tokio::time::timeout(Duration::from_secs(10), answer).await.expect("still answered");
        assert_eq!(answer.status, 401);
    }
    drop(unread);
}
