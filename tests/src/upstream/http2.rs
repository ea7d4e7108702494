//! An application that speaks HTTP/2 only, with trailers behind its answers, as gRPC servers do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::Connection;

/// A request as it came over HTTP/2.
#[derive(Debug, Clone)]
pub struct Http2Request {
    pub method: String,
    pub authority: String,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
    pub trailers: Option<HeaderMap>,
}

/// The running application; it ends with this value. It answers with the request's body, and trailers behind it.
#[derive(Debug)]
pub struct Http2Upstream {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Http2Request>>>,
    server: JoinHandle<()>,
}

impl Http2Upstream {
    /// With prior knowledge, or over TLS.
    pub async fn start(tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let server = tokio::spawn(accept(listener, tls.map(TlsAcceptor::from), requests.clone()));
        Self { address, requests, server }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn requests(&self) -> Vec<Http2Request> {
        self.requests.lock().expect("no holder of the lock panics").clone()
    }
}

impl Drop for Http2Upstream {
    fn drop(&mut self) {
        self.server.abort();
    }
}

type Seen = Arc<Mutex<Vec<Http2Request>>>;

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, seen: Seen) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, seen) = (tls.clone(), seen.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, seen).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => serve(stream, seen).await,
                    Err(_) => Ok(()),
                },
            }
        });
    }
}

async fn serve(stream: impl Connection, seen: Seen) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(accepted) = connection.accept().await {
        let (request, respond) = accepted?;
        tokio::spawn(answer(request, respond, seen.clone()));
    }
    Ok(())
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, seen: Seen) -> Result<(), h2::Error> {
    let (parts, mut incoming) = request.into_parts();
    let mut body = Vec::new();
    while let Some(data) = incoming.data().await {
        let data = data?;
        incoming.flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let trailers = incoming.trailers().await?;
    seen.lock().expect("no holder of the lock panics").push(Http2Request {
        method: parts.method.to_string(),
        authority: parts.uri.authority().map(ToString::to_string).unwrap_or_default(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body: body.clone(),
        trailers,
    });
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a response");
    let mut outgoing = respond.send_response(head, false)?;
    outgoing.send_data(body.into(), false)?;
    outgoing.send_trailers(trailers_of_answer())
}

fn trailers_of_answer() -> HeaderMap {
    let lines = [("grpc-status", "0"), ("set-cookie", "__Host-samlgate=planted"), ("x-samlgate", "1")];
    lines.into_iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
}
