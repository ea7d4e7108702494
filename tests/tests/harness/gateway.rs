//! Starting and stopping a program, with small shell scripts in samlgate's place.

use harness::gateway::{Gateway, GatewayBuilder, Program};

/// A program that runs `script`, in which `$2` is the settings file.
fn shell(script: &str) -> Program {
    Program::new("/bin/sh").argument("-c").argument(script)
}

/// Answers on the admin listener with the means of a test: the script says when, this listener says 200.
async fn start(script: &str) -> Gateway {
    let builder = GatewayBuilder::new(shell(script));
    let admin = builder.admin_listen();
    let router = axum::Router::new()
        .route("/readyz", axum::routing::get(|| async { "ok" }))
        .route("/metrics", axum::routing::get(|| async { "logins_total{outcome=\"accepted\"} 3\n" }));
    let listener = tokio::net::TcpListener::bind(admin).await.unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    builder.start().await
}

#[tokio::test]
async fn program_that_ends_at_once_is_a_failure_with_its_output() {
    let program = shell("echo 'routes[0].path: wrong' >&2; exit 1");
    let Err(failure) = GatewayBuilder::new(program).try_start().await else { panic!("it started") };
    assert_eq!(failure.status.and_then(|status| status.code()), Some(1));
    assert_eq!(failure.output, "routes[0].path: wrong");
}

#[tokio::test]
async fn sigterm_reaches_the_program_and_its_log_is_kept() {
    let mut gateway = start("trap 'echo drained; exit 0' TERM; echo started; while :; do sleep 0.05; done").await;
    gateway.logged("started").await;
    assert_eq!(gateway.metric("logins_total", &[("outcome", "accepted")]).await, 3.0);
    let status = gateway.stop().await;
    gateway.logged("drained").await;
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn settings_file_and_its_neighbours_are_there_when_it_starts() {
    let program = shell(r#"cat "$2" certificate.pem; exit 3"#);
    let builder = GatewayBuilder::new(program).file("certificate.pem", "the certificate\n");
    let public_url = builder.public_url();
    let Err(failure) = builder.try_start().await else { panic!("it started") };
    assert!(failure.output.contains(&public_url) && failure.output.contains("the certificate"), "{failure}");
}

#[tokio::test]
async fn dropped_gateway_leaves_no_process() {
    let gateway = start("exec sleep 600").await;
    let id = nix::unistd::Pid::from_raw(i32::try_from(gateway.process_id().unwrap()).unwrap());
    assert!(nix::sys::signal::kill(id, None).is_ok());
    drop(gateway);
    // tokio reaps a dropped child in the background; until then it is a zombie that can still be signalled.
    let gone = async {
        while nix::sys::signal::kill(id, None).is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), gone).await.expect("the process is gone");
}
