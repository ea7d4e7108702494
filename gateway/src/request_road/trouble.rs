//! When a request fails on its way: an answer instead of silence.

use pingora::proxy::Session as Exchange;
use pingora::{Error, ErrorSource, ErrorType};

use super::{Journey, turn_away};
use crate::exchange::{self, Afterwards};
use crate::refusal::{Refusal, UpstreamFault};
use crate::shared::Gateway;
use crate::upstream::TlsFault;

/// The status that was answered, or 0: the client is gone, or was answered already.
pub async fn apologise(gateway: &Gateway, exchange: &mut Exchange, error: &Error, journey: &mut Journey) -> u16 {
    let Some(refusal) = journey.unanswered.take().or_else(|| refusal_of(error, journey)) else {
        return 0;
    };
    let answer = turn_away(gateway, exchange.req_header(), journey, &refusal);
    let is_answered = exchange.response_written().is_some_and(|header| !header.status.is_informational());
    if is_answered {
        return 0;
    }
    let status = answer.status().as_u16();
    // The client may be gone by now, which is no concern of ours.
    let _ = exchange::answer(exchange, answer, &journey.request_id, Afterwards::Close).await;
    status
}

/// None where the client itself went away.
fn refusal_of(error: &Error, journey: &Journey) -> Option<Refusal> {
    // The error's text may quote headers; its kind does not.
    let kind = error.etype();
    match error.esource() {
        ErrorSource::Upstream => {
            let server = journey.server.map(|server| format!(" at {server}")).unwrap_or_default();
            let fault = fault(error);
            let said = match fault {
                UpstreamFault::Tls(fault) => fault.to_string(),
                _ => kind.as_str().to_owned(),
            };
            Some(Refusal::UpstreamUnavailable { fault, problem: format!("{said}{server}") })
        }
        ErrorSource::Downstream => match kind {
            ErrorType::InvalidHTTPHeader => Some(Refusal::RequestMalformed { problem: "its header cannot be read" }),
            // Pingora's own, which it does not export.
            _ if matches!(kind.as_str(), "InvalidChunk" | "InvalidTrailerEnd") => {
                Some(Refusal::RequestMalformed { problem: "its chunked body cannot be read" })
            }
            _ => None,
        },
        ErrorSource::Internal | ErrorSource::Unset => Some(Refusal::Internal { problem: kind.as_str().to_owned() }),
    }
}

fn fault(error: &Error) -> UpstreamFault {
    match error.etype() {
        ErrorType::ConnectTimedout
        | ErrorType::ReadTimedout
        | ErrorType::WriteTimedout
        | ErrorType::TLSHandshakeTimedout => UpstreamFault::TimedOut,
        ErrorType::TLSHandshakeFailure => UpstreamFault::Tls(TlsFault::of(&error.to_string())),
        // With TLS 1.3 a server says so when the handshake is over for us.
        _ if error.root_cause().to_string().contains("received fatal alert") => UpstreamFault::Tls(TlsFault::RefusedUs),
        _ => UpstreamFault::Broken,
    }
}
