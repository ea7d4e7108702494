//! HTTP/2 from the client to the application: what gRPC stands on.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use harness::gateway::{Gateway, GatewayBuilder, IDP_ENTITY_ID};
use harness::idp::{Idp, IdpOptions, IdpSettings};
use harness::issuer::Sign;
use harness::upstream::{Authority, Http2Upstream, Upstream};
use harness::world::World;
use http::{HeaderMap, Request, Response};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::support::{SESSION, form, samlgate};

/// A gateway that speaks TLS, and how to trust it.
struct Tls {
    gateway: Gateway,
    idp: Idp,
    authority: String,
}

impl Tls {
    async fn start(settings: impl FnOnce(GatewayBuilder) -> GatewayBuilder) -> Self {
        let authority = Authority::new();
        let issued = authority.issue(&["localhost"]);
        let builder = GatewayBuilder::new(samlgate());
        let origin = format!("https://localhost:{}", builder.listen().port());
        let builder = builder.set("public_url", json!(origin));
        let mut of_idp = IdpSettings::new(IDP_ENTITY_ID, &builder.sp_entity_id(), &builder.acs_url());
        of_idp.sign = Sign::Both;
        let idp = Idp::start(IdpOptions::new(of_idp)).await;
        let builder = builder
            .trust(&idp)
            .file("tls.crt", &issued.certificate)
            .file("tls.key", &issued.key)
            .set("tls", json!({ "certificate_file": "tls.crt", "key_file": "tls.key" }))
            .set("identity_providers.0.allow_idp_initiated", json!(true))
            .set("replicas", json!(1));
        Self { gateway: settings(builder).start().await, idp, authority: authority.pem() }
    }

    async fn client(&self) -> SendRequest<Bytes> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.authority.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = TcpStream::connect(self.gateway.address()).await.unwrap();
        let stream =
            TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap();
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// The Cookie header of whoever signs in from the IdP's portal.
    async fn sign_in(&self, client: &mut SendRequest<Bytes>, username: &str) -> String {
        let xml = self.idp.response_spec(username, None).sign(Sign::Both).issue(self.idp.key()).xml;
        let request = self.post("/saml/acs").header("content-type", "application/x-www-form-urlencoded");
        let answer = call(client, request.body(()).unwrap(), form(&xml).as_bytes(), None).await;
        let cookies = answer.head.headers().get_all("set-cookie");
        let cookie = cookies
            .iter()
            .find_map(|line| line.to_str().unwrap().split(';').next().filter(|one| one.starts_with(SESSION)));
        cookie.expect("it opens a session").to_owned()
    }

    fn post(&self, path: &str) -> http::request::Builder {
        Request::post(format!("{}{path}", self.gateway.public_url()))
    }
}

struct Answer {
    head: Response<()>,
    body: Vec<u8>,
    trailers: Option<HeaderMap>,
}

async fn call(
    client: &mut SendRequest<Bytes>,
    request: Request<()>,
    body: &[u8],
    trailers: Option<HeaderMap>,
) -> Answer {
    let (response, mut outgoing) = client.send_request(request, false).unwrap();
    outgoing.send_data(Bytes::copy_from_slice(body), trailers.is_none()).unwrap();
    if let Some(trailers) = trailers {
        outgoing.send_trailers(trailers).unwrap();
    }
    let (head, mut incoming) = response.await.unwrap().into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data.unwrap();
        incoming.flow_control().release_capacity(data.len()).unwrap();
        body.extend_from_slice(&data);
    }
    Answer { head: Response::from_parts(head, ()), body, trailers: incoming.trailers().await.unwrap() }
}

#[tokio::test]
async fn a_call_goes_end_to_end_with_the_trailers_of_its_answer_alone() {
    let authority = Authority::new();
    for tls in [Some(authority.issue(&["127.0.0.1"]).config(&["h2"])), None] {
        let is_tls = tls.is_some();
        let upstream = Http2Upstream::start(tls).await;
        let world = Tls::start(|gateway| {
            let mut app = json!({ "servers": [upstream.address().to_string()], "http2": true });
            if is_tls {
                app["tls"] = json!({ "ca_file": "ca.pem" });
            }
            gateway.file("ca.pem", &authority.pem()).set("upstreams.app", app)
        })
        .await;
        let mut client = world.client().await;
        let stranger = call(&mut client, world.post("/shop.Orders/Place").body(()).unwrap(), b"x", None).await;
        assert_eq!(stranger.head.status(), 401);
        assert!(upstream.requests().is_empty());

        let cookie = world.sign_in(&mut client, "ada").await;
        let request = world
            .post("/shop.Orders/Place")
            .header("cookie", &cookie)
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            .header("x-forwarded-email", "root@demo.example");
        let forged = HeaderMap::from_iter([("x-forwarded-user".parse().unwrap(), "root".parse().unwrap())]);
        let answer = call(&mut client, request.body(()).unwrap(), b"\0\0\0\0\x01x", Some(forged)).await;
        assert_eq!((answer.head.status().as_u16(), answer.body.as_slice()), (200, &b"\0\0\0\0\x01x"[..]));
        let trailers = answer.trailers.expect("trailers arrive");
        assert_eq!(trailers["grpc-status"], "0");
        assert_eq!(trailers.len(), 1, "{trailers:?}");

        let seen = upstream.requests().pop().expect("it reached the application");
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", "/shop.Orders/Place"));
        assert_eq!(seen.authority, world.gateway.authority());
        assert_eq!(seen.headers["te"], "trailers");
        assert_eq!(seen.body, b"\0\0\0\0\x01x");
        assert!(seen.trailers.is_none(), "{:?}", seen.trailers);
        let emails: Vec<_> = seen.headers.get_all("x-forwarded-email").iter().collect();
        assert_eq!(emails, ["ada@demo.example"]);
        assert!(!seen.headers.contains_key("cookie"), "{:?}", seen.headers);
    }
}

#[tokio::test]
async fn an_http1_client_gets_the_whole_answer_of_an_http2_application() {
    let upstream = Http2Upstream::start(None).await;
    let world = World::start_with(samlgate(), |gateway| {
        let app = json!({ "servers": [upstream.address().to_string()], "http2": true });
        gateway.set("upstreams.app", app).set("routes.3.host_header", json!("app.internal"))
    })
    .await;
    let tab = world.sign_in("ada", "/x?y=1").await;
    assert_eq!(tab.page().status, 200);
    let seen = upstream.requests().pop().expect("it reached the application");
    assert_eq!((seen.path.as_str(), seen.authority.as_str()), ("/x?y=1", "app.internal"));
    assert_eq!(seen.headers["x-forwarded-email"], "ada@demo.example");
}

#[tokio::test]
async fn a_tls_server_that_takes_no_http2_gets_http1_and_websockets_do_always() {
    let authority = Authority::new();
    for offered in [&["http/1.1"][..], &["h2", "http/1.1"]] {
        let upstream = Upstream::start_tls(authority.issue(&["127.0.0.1"]).config(offered)).await;
        let world = World::start_with(samlgate(), |gateway| {
            let app =
                json!({ "servers": [upstream.address().to_string()], "http2": true, "tls": { "ca_file": "ca.pem" } });
            gateway.file("ca.pem", &authority.pem()).set("upstreams.app", app)
        })
        .await;
        if offered == ["http/1.1"] {
            let tab = world.sign_in("ada", "/").await;
            assert_eq!(tab.page().status, 200);
        }
        let upgrade = format!(
            "GET /public/ws HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            world.gateway.authority()
        );
        let answer = harness::raw::exchange(world.gateway.address(), upgrade).await;
        assert_eq!(answer.status, 101, "{offered:?}: {}", answer.text());
    }
}
