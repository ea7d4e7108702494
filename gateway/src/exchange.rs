//! Answering by ourselves over a Pingora session: reading a bounded body, writing an [`Answer`].

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, EXPECT};
use http::{HeaderName, Method, StatusCode};
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};

use crate::pages::Answer;
use crate::telemetry::HttpRequestId;

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The whole body must arrive within this, however many reads it takes.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// A body that nobody wants is read up to these, so that the connection can be kept and the answer is not
/// lost to a reset.
const DRAIN_BYTES: usize = 1024 * 1024;
const DRAIN_WITHIN: Duration = Duration::from_secs(1);
/// Of a large form, so that its user reads why it will be lost.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;

/// Whether the connection may carry another request after this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Afterwards {
    KeepOpen,
    Close,
}

/// The body, cut off one byte behind `limit`.
///
/// # Errors
/// The client went away or was too slow.
pub async fn read_body(session: &mut Session, limit: usize) -> Result<Bytes> {
    if expects_continue(session) {
        session.as_downstream_mut().write_continue_response().await?;
    }
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = session.as_downstream_mut().read_request_body().await? {
            body.extend_from_slice(&chunk);
            if body.len() > limit {
                body.truncate(limit.saturating_add(1));
                break;
            }
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_WITHIN, read)
        .await
        .map_err(|_| Error::explain(ErrorType::ReadTimedout, "reading a form").into_down())?
}

/// Reads on to the end of a body and keeps nothing of it. One that does not end in time, or is too long, is left.
pub async fn discard_body(session: &mut Session) {
    if !expects_continue(session) {
        discard(session, DISCARD_BYTES, BODY_WITHIN).await;
    }
}

async fn discard(session: &mut Session, mut bytes: usize, within: Duration) {
    let downstream = session.as_downstream_mut();
    let read = async {
        while !downstream.is_body_done()
            && let Ok(Some(chunk)) = downstream.read_request_body().await
        {
            bytes = bytes.saturating_sub(chunk.len());
            if bytes == 0 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(within, read).await;
}

/// Writes an answer of ours.
///
/// # Errors
/// The client went away.
pub async fn answer(
    session: &mut Session,
    answer: Answer,
    request_id: &HttpRequestId,
    afterwards: Afterwards,
) -> Result<()> {
    drain(session, afterwards).await;
    let (parts, body) = answer.into_parts();
    let mut header = ResponseHeader::build(parts.status, Some(parts.headers.len() + 4))?;
    for (name, value) in &parts.headers {
        header.append_header(name.clone(), value.clone())?;
    }
    if parts.status != StatusCode::NOT_MODIFIED {
        header.insert_header(CONTENT_LENGTH, body.len())?;
    }
    header.insert_header(REQUEST_ID, request_id.as_str())?;
    let is_bare = body.is_empty() || session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header), is_bare).await?;
    if !is_bare {
        session.write_response_body(Some(body), true).await?;
    }
    Ok(())
}

/// Reads on to the end of the request, or closes the connection after the answer.
async fn drain(session: &mut Session, afterwards: Afterwards) {
    // A client that waits for 100 (Continue) sends nothing until then.
    if afterwards == Afterwards::KeepOpen && !expects_continue(session) {
        discard(session, DRAIN_BYTES, DRAIN_WITHIN).await;
    }
    let downstream = session.as_downstream_mut();
    if afterwards == Afterwards::Close || !downstream.is_body_done() {
        downstream.set_keepalive(None);
    }
}

fn expects_continue(session: &Session) -> bool {
    session.req_header().headers.get(EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
        && session.response_written().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncWriteExt, duplex};
    use tokio::time::Instant;

    /// A request that has come so far.
    async fn begun(sent: &str) -> (Session, tokio::io::DuplexStream) {
        let (mut client, server) = duplex(64 * 1024);
        client.write_all(sent.as_bytes()).await.unwrap();
        let mut session = Session::new_h1(Box::new(server));
        session.as_downstream_mut().read_request().await.unwrap();
        (session, client)
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_in_ends_with_its_time() {
        let (mut session, mut client) = begun("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n").await;
        let trickle = tokio::spawn(async move {
            while client.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let start = Instant::now();
        let error = read_body(&mut session, 1_000).await.unwrap_err();
        assert_eq!(*error.etype(), ErrorType::ReadTimedout);
        assert_eq!(start.elapsed().as_secs(), BODY_WITHIN.as_secs());
        let start = Instant::now();
        discard_body(&mut session).await;
        assert_eq!(start.elapsed().as_secs(), BODY_WITHIN.as_secs());
        trickle.abort();
    }

    #[tokio::test]
    async fn of_a_body_that_is_too_long_one_byte_more_is_held() {
        let (mut session, _client) = begun("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde").await;
        assert_eq!(read_body(&mut session, 3).await.unwrap(), "abcd");
    }
}
