//! HTTP/1.1 messages as they stand on the wire: header lines in their order, spelling and number.
//!
//! HTTP libraries fold names and values into maps; what reached an application, or what a hostile client
//! sends, is seen only below them. Used by the echo upstream and by [`crate::raw`], nowhere else.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

const MAX_HEAD: usize = 256 * 1024;

/// The start line and the header lines, without their line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub start_line: String,
    pub header_lines: Vec<String>,
}

impl Head {
    /// `None` where the peer closed the connection instead of sending another message.
    pub async fn read(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Self>> {
        let mut lines = read_lines(reader).await?.into_iter();
        Ok(lines.next().map(|start_line| Self { start_line, header_lines: lines.collect() }))
    }

    /// Name as written, and value without the white space around it.
    pub fn headers(&self) -> Vec<(String, String)> {
        split_headers(&self.header_lines)
    }

    pub fn header(&self, name: &str) -> Option<String> {
        self.headers().into_iter().find(|(each, _)| each.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.headers()
            .iter()
            .filter(|(each, _)| each.eq_ignore_ascii_case(name))
            .flat_map(|(_, value)| value.split(','))
            .any(|each| each.trim().eq_ignore_ascii_case(token))
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Body {
    pub bytes: Vec<u8>,
    pub trailers: Vec<(String, String)>,
}

/// What follows a head that has neither Transfer-Encoding nor Content-Length (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unframed {
    /// Requests: nothing.
    Empty,
    /// Responses: everything until the connection closes.
    UntilClose,
}

impl Body {
    pub async fn read(head: &Head, unframed: Unframed, reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Self> {
        if head.has_token("Transfer-Encoding", "chunked") {
            return read_chunked(reader).await;
        }
        let mut bytes = Vec::new();
        match (head.header("Content-Length"), unframed) {
            (Some(length), _) => {
                bytes.resize(length.parse().map_err(|_| invalid(format!("Content-Length {length:?}")))?, 0);
                reader.read_exact(&mut bytes).await?;
            }
            (None, Unframed::Empty) => {}
            (None, Unframed::UntilClose) => {
                reader.read_to_end(&mut bytes).await?;
            }
        }
        Ok(Self { bytes, trailers: Vec::new() })
    }
}

async fn read_chunked(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Body> {
    let mut bytes = Vec::new();
    loop {
        let line = read_line(reader).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let size = line.split(';').next().unwrap_or_default().trim();
        let size = usize::from_str_radix(size, 16).map_err(|_| invalid(format!("chunk size {line:?}")))?;
        if size == 0 {
            break;
        }
        let start = bytes.len();
        bytes.resize(start + size, 0);
        reader.read_exact(&mut bytes[start..]).await?;
        read_line(reader).await?;
    }
    let trailers = split_headers(&read_lines(reader).await?);
    Ok(Body { bytes, trailers })
}

/// Lines up to an empty one.
async fn read_lines(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    let mut size = 0;
    while let Some(line) = read_line(reader).await? {
        if line.is_empty() {
            break;
        }
        size += line.len();
        if size > MAX_HEAD {
            return Err(invalid("a head of more than 256 KiB".to_owned()));
        }
        lines.push(line);
    }
    Ok(lines)
}

async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if reader.read_until(b'\n', &mut line).await? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

fn split_headers(lines: &[String]) -> Vec<(String, String)> {
    lines
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.trim().to_owned())
        })
        .collect()
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_order_spelling_and_duplicates_of_header_lines() {
        let mut wire: &[u8] = b"GET /a HTTP/1.1\r\nX-B: 1\r\nx-a:2\r\nX-B:  3 \r\n\r\n";
        let head = Head::read(&mut wire).await.unwrap().unwrap();
        assert_eq!(head.start_line, "GET /a HTTP/1.1");
        assert_eq!(head.header_lines, ["X-B: 1", "x-a:2", "X-B:  3 "]);
        let headers: Vec<_> = head.headers();
        assert_eq!(headers, [("X-B", "1"), ("x-a", "2"), ("X-B", "3")].map(|(n, v)| (n.to_owned(), v.to_owned())));
    }

    #[tokio::test]
    async fn reads_chunks_with_extensions_and_trailers() {
        let mut wire: &[u8] =
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-T: v\r\n\r\nnext";
        let head = Head::read(&mut wire).await.unwrap().unwrap();
        let body = Body::read(&head, Unframed::Empty, &mut wire).await.unwrap();
        assert_eq!(body.bytes, b"abc0123456789");
        assert_eq!(body.trailers, [("X-T".to_owned(), "v".to_owned())]);
        assert_eq!(wire, b"next");
    }

    #[tokio::test]
    async fn closed_connection_is_no_message() {
        let mut wire: &[u8] = b"";
        assert_eq!(Head::read(&mut wire).await.unwrap(), None);
    }
}
