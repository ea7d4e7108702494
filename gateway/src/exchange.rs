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
