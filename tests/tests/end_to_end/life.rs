//! Starting, stopping, and TLS.

use harness::browser::Fetch;
use harness::gateway::GatewayBuilder;
use harness::raw;
use harness::world::World;
use serde_json::json;

use crate::support::{samlgate, session_cookie};

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
async fn an_idle_gateway_stops_at_once_and_cleanly() {
    let mut world = World::start(samlgate()).await;
    let start = std::time::Instant::now();
    assert_eq!(world.gateway.stop().await.code(), Some(0));
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
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
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), answer).await.expect("still answered");
        assert_eq!(answer.status, 401);
    }
    drop(unread);
}
