//! What is written down about a request: one line, its metrics, and why it was turned away.

use http::StatusCode;
use pingora::Error;
use pingora::proxy::Session as Exchange;

use super::Journey;
use super::journey::client_address;
use crate::identity_jwt::session_reference;
use crate::loop_cause::LoopCause;
use crate::refusal::Refusal;
use crate::shared::Gateway;

/// Why a request was turned away. Not for callers without a session: polling pages would fill the log.
pub(super) fn report(gateway: &Gateway, journey: &Journey, refusal: &Refusal) {
    match refusal {
        Refusal::LoginRequired | Refusal::LoginRequiredInFrame => {}
        Refusal::Internal { .. } => tracing::error!(
            request.id = journey.request_id.as_str(),
            refusal.code = refusal.code(),
            refusal.cure = refusal.cure(),
            "request refused: {refusal}"
        ),
        Refusal::StoreUnavailable { .. } | Refusal::UpstreamUnavailable { .. } => tracing::warn!(
            request.id = journey.request_id.as_str(),
            route.id = route(gateway, journey),
            refusal.code = refusal.code(),
            refusal.cure = refusal.cure(),
            "request refused: {refusal}"
        ),
        _ => tracing::info!(
            request.id = journey.request_id.as_str(),
            refusal.code = refusal.code(),
            refusal.cause = refusal.likely_cause().map(LoopCause::code),
            refusal.cure = refusal.cure(),
            "request refused: {refusal}"
        ),
    }
}

/// Counts the request and writes its line.
pub fn record(gateway: &Gateway, exchange: &Exchange, error: Option<&Error>, journey: &Journey) {
    let request = exchange.req_header();
    let elapsed = journey.begun.elapsed();
    let status = status(exchange, error);
    let route_index = journey.permit.as_ref().map(crate::decide::Permit::route);
    gateway.metrics.request(route_index, status, &request.method, elapsed.as_secs_f64());
    if !gateway.settings.log.access {
        return;
    }
    let session = journey.session.as_deref();
    tracing::info!(
        request.id = journey.request_id.as_str(),
        route.id = route(gateway, journey),
        client.addr = %client_address(exchange).ip(),
        http.method = cut(request.method.as_str(), 32),
        http.path = cut(request.uri.path(), 1024),
        decision = journey.outcome.name(),
        refusal.code = journey.refusal,
        session.r#ref = session.map(|session| session_reference(&session.key)),
        user.r#ref = session.map(|session| gateway.user_ref(&session.record.idp, &session.record.unique_id)),
        status = status.as_u16(),
        duration_ms = elapsed.as_secs_f64() * 1000.0,
        "request"
    );
}

/// At most `limit` bytes: a stranger's text must not make the log grow as it likes. Both are ASCII here.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..limit).unwrap_or(text)
}

/// 499, as others write it, where the client went away unanswered.
fn status(exchange: &Exchange, error: Option<&Error>) -> StatusCode {
    let written = exchange.response_written().map(|header| header.status);
    let gone = || StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
    written.unwrap_or_else(|| if error.is_some() { gone() } else { StatusCode::OK })
}

fn route<'g>(gateway: &'g Gateway, journey: &Journey) -> Option<&'g str> {
    let route = gateway.settings.routes.get(journey.permit.as_ref()?.route())?;
    Some(&route.id)
}
