//! The PROXY protocol, versions 1 and 2: a balancer that passes connections on says whose each one is, before anything else.
//!
//! With `proxy_protocol` every connection must come from one of `trusted_proxies` and begin so. Whoever else connects could
//! say that they are anybody.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, ServerApp};
use pingora::listeners::PreTlsProcess;
use pingora::protocols::l4::stream::Stream as TcpStream;
use pingora::protocols::{GetSocketDigest as _, SocketDigest, Stream};
use pingora::server::ShutdownWatch;
use pingora::{Error, ErrorType, Result};
use ppp::{v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::live::Live;
use crate::session::on_one_connection;

/// It stands in the first packet.
const WITHIN: Duration = Duration::from_secs(10);
/// With the line end, as the specification has it (§2.1).
const V1_BYTES: usize = 107;
const V2_SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// What follows the fixed part: addresses, and what else a balancer tells.
const V2_BYTES: u16 = 2048;

/// Reads the header of each connection, where the settings say that there is one.
pub struct ProxyProtocol {
    live: Arc<Live>,
}

impl ProxyProtocol {
    pub fn new(live: Arc<Live>) -> Self {
        Self { live }
    }

    async fn admit(&self, stream: &mut TcpStream) -> io::Result<()> {
        let peer =
            stream.get_socket_digest().and_then(|digest| digest.peer_addr().and_then(|peer| peer.as_inet()).copied());
        let is_trusted = peer.is_some_and(|peer| self.live.current().proxies.trust(peer.ip()));
        if !is_trusted {
            return Err(refused("it comes from none of `trusted_proxies`"));
        }
        let header = tokio::time::timeout(WITHIN, read(stream));
        let client = header.await.map_err(|_| refused("its header has not come in time"))??;
        if let Some(client) = client {
            let digest = SocketDigest::from_raw_fd(stream.as_raw_fd());
            // It is new, and nobody has asked it.
            let _ = digest.peer_addr.set(Some(client.into()));
            stream.set_socket_digest(digest);
        }
        Ok(())
    }

    fn told(&self, outcome: io::Result<()>) -> Result<()> {
        outcome.map_err(|problem| {
            self.live.current().metrics.bad_proxy_headers.inc();
            tracing::debug!(%problem, "a connection is closed: `proxy_protocol`");
            Error::explain(ErrorType::InvalidHTTPHeader, "no PROXY protocol")
        })
    }
}

/// Behind TLS there is a place for it.
#[async_trait]
impl PreTlsProcess for ProxyProtocol {
    async fn process(&self, stream: &mut TcpStream) -> Result<()> {
        let outcome = self.admit(stream).await;
        self.told(outcome)
    }
}

/// The public listener's application; in plain http the header is read here.
pub struct Behind<A> {
    application: Arc<A>,
    header: Option<Arc<ProxyProtocol>>,
}

impl<A> Behind<A> {
    /// `header` where connections begin with one, and nobody has read it before.
    pub fn new(application: A, header: Option<Arc<ProxyProtocol>>) -> Self {
        Self { application: Arc::new(application), header }
    }
}

#[async_trait]
impl<A: HttpServerApp + Send + Sync + 'static> ServerApp for Behind<A> {
    async fn process_new(self: &Arc<Self>, mut stream: Stream, shutdown: &ShutdownWatch) -> Option<Stream> {
        if let Some(header) = &self.header {
            let mut connection = stream.into_any().downcast::<TcpStream>().ok()?;
            let outcome = header.admit(&mut connection).await;
            header.told(outcome).ok()?;
            stream = connection;
        }
        on_one_connection(async {
            let mut next = Some(stream);
            while let Some(stream) = next {
                next = self.application.process_new(stream, shutdown).await;
            }
        })
        .await;
        None
    }

    async fn cleanup(&self) {
        ServerApp::cleanup(&*self.application).await;
    }
}

fn refused(problem: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Whose connection it is; none where the balancer speaks for itself, as in a health check. Reads not one byte more.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<SocketAddr>> {
    let mut start = [0; V2_SIGNATURE.len()];
    stream.read_exact(&mut start).await?;
    if start == V2_SIGNATURE { read_v2(stream, &start).await } else { read_v1(stream, &start).await }
}

async fn read_v1(stream: &mut (impl AsyncRead + Unpin), start: &[u8]) -> io::Result<Option<SocketAddr>> {
    let mut line = start.to_vec();
    if !line.starts_with(b"PROXY ") {
        return Err(refused("it does not begin with a PROXY header"));
    }
    while !line.ends_with(b"\r\n") {
        if line.len() == V1_BYTES {
            return Err(refused("its PROXY header does not end"));
        }
        line.push(stream.read_u8().await?);
    }
    let header = v1::Header::try_from(line.as_slice()).map_err(|_| refused("its PROXY header cannot be read"))?;
    Ok(match header.addresses {
        v1::Addresses::Tcp4(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Tcp6(ip) => Some((ip.source_address, ip.source_port).into()),
        v1::Addresses::Unknown => None,
    })
}

async fn read_v2(stream: &mut (impl AsyncRead + Unpin), start: &[u8]) -> io::Result<Option<SocketAddr>> {
    let mut header = start.to_vec();
    let [version, family] = [stream.read_u8().await?, stream.read_u8().await?];
    let length = stream.read_u16().await?;
    if length > V2_BYTES {
        return Err(refused("its PROXY header is too long"));
    }
    header.extend([version, family]);
    header.extend(length.to_be_bytes());
    let fixed = header.len();
    header.resize(fixed + usize::from(length), 0);
    stream.read_exact(header.get_mut(fixed..).unwrap_or_default()).await?;
    let header = v2::Header::try_from(header.as_slice()).map_err(|_| refused("its PROXY header cannot be read"))?;
    Ok(match (header.command, header.addresses) {
        (v2::Command::Local, _) | (_, v2::Addresses::Unspecified | v2::Addresses::Unix(_)) => None,
        (v2::Command::Proxy, v2::Addresses::IPv4(ip)) => Some((ip.source_address, ip.source_port).into()),
        (v2::Command::Proxy, v2::Addresses::IPv6(ip)) => Some((ip.source_address, ip.source_port).into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut bytes: &[u8]) -> Result<(Option<String>, usize), String> {
        let client = read(&mut bytes).await.map_err(|error| error.to_string())?;
        Ok((client.map(|client| client.to_string()), bytes.len()))
    }

    fn v2(command: u8, family: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        [&V2_SIGNATURE[..], &[0x20 | command, family], &length, payload, b"GET"].concat()
    }

    #[tokio::test]
    async fn reads_the_client_and_nothing_behind_the_header() {
        let client = |address: &str| Ok((Some(address.to_owned()), 3));
        for (bytes, expected) in [
            (b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\nGET".to_vec(), client("192.0.2.7:56324")),
            (b"PROXY TCP6 2001:db8::7 2001:db8::1 1 443\r\nGET".to_vec(), client("[2001:db8::7]:1")),
            (b"PROXY UNKNOWN\r\nGET".to_vec(), Ok((None, 3))),
            (v2(1, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187]), client("192.0.2.7:80")),
            // With what a balancer tells beside it.
            (v2(1, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187, 4, 0, 1, 9]), client("192.0.2.7:80")),
            (v2(0, 0x00, &[]), Ok((None, 3))),
        ] {
            assert_eq!(read_all(&bytes).await, expected, "{}", bytes.escape_ascii());
        }
    }

    #[tokio::test]
    async fn refuses_what_is_no_header() {
        let long = format!("PROXY TCP4 {}\r\n", "1".repeat(200));
        for bytes in [
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            b"PROXY".to_vec(),
            b"PROXY TCP4 192.0.2.7 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 nobody 198.51.100.1 1 2\r\n".to_vec(),
            long.into_bytes(),
            v2(1, 0x11, &[192, 0, 2]),
            v2(5, 0x11, &[192, 0, 2, 7, 198, 51, 100, 1, 0, 80, 1, 187]),
            [&V2_SIGNATURE[..], &[0x21, 0x11, 0xff, 0xff]].concat(),
            [&V2_SIGNATURE[..], &[0x21]].concat(),
        ] {
            assert!(read_all(&bytes).await.is_err(), "{}", bytes.escape_ascii());
        }
    }
}
