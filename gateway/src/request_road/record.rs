//! What is written down about a request: one line, its metrics, and why it was turned away.

use std::net::IpAddr;
use std::time::Duration;

use http::{Method, StatusCode};
use pingora::Error;
use pingora::proxy::Session as Exchange;

use super::Journey;
use super::journey::{Outcome, client_address};
use super::under_way::{self, UnderWay};
use crate::audit::Event;
use crate::decide::{Identity, Permit};
use crate::identity_jwt::session_reference;
use crate::loop_cause::LoopCause;
use crate::refusal::Refusal;
use crate::session::{Session, StreamEnd};
use crate::shared::Gateway;
use crate::telemetry::{HttpRequestId, trace_id};

pub(super) fn note_refusal(gateway: &Gateway, journey: &mut Journey, refusal: &Refusal) {
    journey.refusal = Some(refusal.code());
    gateway.metrics.refused(refusal.code());
    report(gateway, journey, refusal);
    if let (Some(session), Refusal::NotInAllowedGroup { .. } | Refusal::NotAllowed | Refusal::NotOfAllowedIdp { .. }) =
        (&journey.session, refusal)
    {
        let record = &session.record;
        gateway.audit.note(&Event {
            event: "access_denied",
            request: Some(journey.request_id.as_str()),
            idp: Some(record.idp.as_str()),
            session: Some(session_reference(&session.key)),
            person: Some(gateway.audited(&record.idp, &record.unique_id, Some(&record.email))),
            code: Some(refusal.code()),
            ..Event::default()
        });
    }
}

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

/// What is written down of a request.
struct Line<'a> {
    request_id: &'a HttpRequestId,
    trace: Option<&'a str>,
    /// An index into the settings.
    route: Option<usize>,
    client: IpAddr,
    method: &'a Method,
    path: &'a str,
    outcome: Outcome,
    refusal: Option<&'static str>,
    session: Option<&'a Session>,
    machine: Option<&'a str>,
    status: StatusCode,
    elapsed: Duration,
}

/// Counts the request and writes its line.
pub fn record(gateway: &Gateway, exchange: &Exchange, error: Option<&Error>, journey: &Journey) {
    // Whatever cuts it off now, it is not written down twice.
    drop(under_way::take());
    let request = exchange.req_header();
    write(
        gateway,
        &Line {
            request_id: &journey.request_id,
            trace: trace_id(&request.headers),
            route: route_index(journey),
            client: client_address(gateway, exchange),
            method: &request.method,
            path: request.uri.path(),
            outcome: journey.outcome,
            refusal: journey.refusal,
            session: journey.session.as_deref(),
            machine: journey.permit.as_ref().and_then(machine),
            status: status(exchange, error),
            elapsed: journey.begun.elapsed(),
        },
    );
}

/// The same for a request that was cut off, and why it was.
pub fn record_ended(ended: &UnderWay, end: StreamEnd) {
    let gateway = &*ended.gateway;
    let elapsed = ended.begun.elapsed();
    gateway.metrics.stream_ended(end);
    tracing::info!(
        request.id = ended.request_id.as_str(),
        route.id = route_id(gateway, Some(ended.route)),
        session.r#ref = session_reference(&ended.session.key),
        user.r#ref = gateway.user_ref(&ended.session.record.idp, &ended.session.record.unique_id),
        reason = end.label(),
        duration_ms = elapsed.as_secs_f64() * 1000.0,
        "request cut off with its session"
    );
    write(
        gateway,
        &Line {
            request_id: &ended.request_id,
            trace: None,
            route: Some(ended.route),
            client: ended.client,
            method: &ended.method,
            path: ended.uri.path(),
            outcome: Outcome::Forward,
            refusal: None,
            session: Some(&ended.session),
            machine: None,
            status: ended.status.unwrap_or_else(unanswered),
            elapsed,
        },
    );
}

fn write(gateway: &Gateway, line: &Line<'_>) {
    gateway.requests.request(line.route, line.status, line.method, line.elapsed.as_secs_f64());
    if !gateway.settings.log.access {
        return;
    }
    tracing::info!(
        request.id = line.request_id.as_str(),
        trace.id = line.trace,
        route.id = route_id(gateway, line.route),
        client.addr = %line.client,
        http.method = cut(line.method.as_str(), 32),
        http.path = cut_path(line.path),
        decision = line.outcome.name(),
        refusal.code = line.refusal,
        session.r#ref = line.session.map(|session| session_reference(&session.key)),
        user.r#ref = line.session.map(|session| gateway.user_ref(&session.record.idp, &session.record.unique_id)),
        machine.name = line.machine,
        status = line.status.as_u16(),
        duration_ms = line.elapsed.as_secs_f64() * 1000.0,
        "request"
    );
}

fn machine(permit: &Permit) -> Option<&str> {
    match permit.identity()? {
        Identity::Machine(machine) => Some(&machine.name),
        Identity::Person(_) => None,
    }
}

fn cut_path(path: &str) -> &str {
    cut(path, 1024)
}

/// At most `limit` bytes: a stranger's text must not make the log grow as it likes. Both are ASCII here.
fn cut(text: &str, limit: usize) -> &str {
    text.get(..limit).unwrap_or(text)
}

fn status(exchange: &Exchange, error: Option<&Error>) -> StatusCode {
    let written = exchange.response_written().map(|header| header.status);
    written.unwrap_or_else(|| if error.is_some() { unanswered() } else { StatusCode::OK })
}

/// 499, as others write it, where the client went away unanswered, or was sent away.
fn unanswered() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

fn route<'g>(gateway: &'g Gateway, journey: &Journey) -> Option<&'g str> {
    route_id(gateway, route_index(journey))
}

fn route_index(journey: &Journey) -> Option<usize> {
    journey.permit.as_ref().map(Permit::route)
}

fn route_id(gateway: &Gateway, index: Option<usize>) -> Option<&str> {
    let route = gateway.settings.routes.get(index?)?;
    Some(&route.id)
}
