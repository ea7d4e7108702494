//! Requests as bytes, for what no HTTP client would send: duplicate and misspelt headers, odd targets, broken framing.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::http1::{Body, Head, Unframed};

#[derive(Debug, Clone)]
pub struct RawResponse {
    pub status: u16,
    pub head: Head,
    pub body: Vec<u8>,
}

impl RawResponse {
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.header(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }
}

/// One connection over which bytes go out as they are given.
pub struct RawConnection {
    stream: BufReader<TcpStream>,
}

impl RawConnection {
    pub async fn open(address: SocketAddr) -> io::Result<Self> {
        Ok(Self { stream: BufReader::new(TcpStream::connect(address).await?) })
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// The next response that has a final status; `None` where the server closed the connection instead.
    pub async fn response(&mut self, to: Asked) -> io::Result<Option<RawResponse>> {
        loop {
            let Some(head) = Head::read(&mut self.stream).await? else {
                return Ok(None);
            };
            let status = status_of(&head)?;
            if (100..200).contains(&status) && status != 101 {
                continue;
            }
            let bodiless = to == Asked::Head || status == 101 || status == 204 || status == 304;
            let body = match bodiless {
                true => Vec::new(),
                false => Body::read(&head, Unframed::UntilClose, &mut self.stream).await?.bytes,
            };
            return Ok(Some(RawResponse { status, head, body }));
        }
    }
}

/// A response to HEAD has no body, whatever its head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Head,
    Other,
}

/// Sends `request` over a connection of its own and reads one response.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> RawResponse {
    let asked = if request.as_ref().starts_with(b"HEAD ") { Asked::Head } else { Asked::Other };
    let mut connection = RawConnection::open(address).await.expect("the server accepts");
    connection.send(request).await.expect("the server reads");
    connection.response(asked).await.expect("the server answers HTTP").expect("the server answers")
}

/// `GET target` with exactly these header lines, behind `Host` and before `Connection: close`.
pub async fn get(address: SocketAddr, host: &str, target: &str, header_lines: &[&str]) -> RawResponse {
    let lines: String = header_lines.iter().map(|line| format!("{line}\r\n")).collect();
    exchange(address, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n")).await
}

fn status_of(head: &Head) -> io::Result<u16> {
    let status = head.start_line.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("status line {:?}", head.start_line)))
}
