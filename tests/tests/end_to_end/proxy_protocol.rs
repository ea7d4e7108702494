//! A balancer that passes connections on and says whose each one is.

use harness::gateway::GatewayBuilder;
use harness::raw::{Asked, RawConnection, RawResponse};
use harness::world::World;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

use crate::support::samlgate;

/// IPv4, from 192.0.2.7:80.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x00\x50\x01\xbb";
const V2_UNKNOWN_COMMAND: &[u8] =
    b"\r\n\r\n\0\r\nQUIT\n\x25\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\x00\x50\x01\xbb";
const V2_LOCAL: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00";

async fn world(trusted: &str) -> World {
    let settings =
        |gateway: GatewayBuilder| gateway.set("proxy_protocol", json!(true)).set("trusted_proxies", json!([trusted]));
    World::start_with(samlgate(), settings).await
}

async fn ask(world: &World, header: &[u8], requests: usize) -> Option<RawResponse> {
    let host = world.gateway.authority();
    let mut connection = RawConnection::open(world.gateway.address()).await.unwrap();
    let request = format!("GET /public/x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.9\r\n\r\n");
    // In one packet, as balancers send it.
    connection.send([header, request.as_bytes()].concat()).await.unwrap();
    let mut answer = connection.response(Asked::Other).await.ok().flatten();
    for _ in 1..requests {
        connection.send(&request).await.unwrap();
        answer = connection.response(Asked::Other).await.unwrap();
    }
    answer
}

#[tokio::test]
async fn a_trusted_balancer_says_whose_a_connection_is() {
    let world = world("127.0.0.1").await;
    for (header, client) in [
        (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n".as_slice(), "192.0.2.7"),
        (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\n", "2001:db8::7"),
        (V2, "192.0.2.7"),
    ] {
        let answer = ask(&world, header, 3).await.expect("it is answered");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = world.upstream.take_requests();
        assert_eq!(seen.len(), 3, "{client}");
        // What the client itself says counts for nothing: it is no proxy of ours.
        assert!(seen.iter().all(|request| request.one("X-Forwarded-For") == Some(client)), "{client}");
    }
    // A balancer that speaks for itself is a proxy like any other.
    for header in [V2_LOCAL, b"PROXY UNKNOWN\r\n"] {
        assert_eq!(ask(&world, header, 1).await.expect("it is answered").status, 200);
        assert_eq!(world.upstream.last_request().one("X-Forwarded-For"), Some("203.0.113.9"));
    }
    world.gateway.logged("192.0.2.7").await;
}

#[tokio::test]
async fn without_a_header_or_from_a_stranger_nothing_is_answered() {
    let world = world("127.0.0.1").await;
    for header in
        [b"".as_slice(), b"PROXY TCP4 nobody\r\n", V2_UNKNOWN_COMMAND, b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n"]
    {
        assert!(ask(&world, header, 1).await.is_none(), "{}", header.escape_ascii());
    }
    assert!(world.gateway.metric("samlgate_bad_proxy_headers_total", &[]).await >= 4.0);
    let strangers = self::world("192.0.2.1").await;
    assert!(ask(&strangers, V2, 1).await.is_none());
    assert!(world.upstream.requests().is_empty() && strangers.upstream.requests().is_empty());
}

#[tokio::test]
async fn the_header_stands_before_tls() {
    let balancer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("https://localhost:{}", balancer.local_addr().unwrap().port());
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let world = World::start_with(samlgate(), |gateway| {
        gateway
            .set("public_url", json!(origin))
            .file("tls.crt", &certificate.cert.pem())
            .file("tls.key", &certificate.signing_key.serialize_pem())
            .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
            .set("proxy_protocol", json!(true))
            .set("trusted_proxies", json!(["127.0.0.1"]))
    })
    .await;
    let behind = world.gateway.address();
    let passing = tokio::spawn(async move {
        loop {
            let (mut client, _) = balancer.accept().await.unwrap();
            let mut server = TcpStream::connect(behind).await.unwrap();
            server.write_all(V2).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let authority = reqwest::Certificate::from_pem(certificate.cert.pem().as_bytes()).unwrap();
    let client = reqwest::Client::builder().no_proxy().tls_certs_only([authority]).build().unwrap();
    let answer = client.get(format!("{origin}/public/x")).send().await.unwrap();
    assert_eq!((answer.status(), answer.version()), (reqwest::StatusCode::OK, reqwest::Version::HTTP_2));
    assert_eq!(world.upstream.last_request().one("X-Forwarded-For"), Some("192.0.2.7"));
    passing.abort();
}
