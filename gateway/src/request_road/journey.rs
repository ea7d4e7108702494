//! One request under way: what the phases hand to one another.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use config::{Origin, Rewrite, Route};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HOST};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::proxy::Session as Exchange;
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use saml_core::Timestamp;

use super::form::Replay;
use super::{host_of, under_way};
use crate::decide::{Identity, Permit};
use crate::exchange::REQUEST_ID;
use crate::identity_headers::{self, ForwardedContext};
use crate::ingress;
use crate::lifecycle::InFlight;
use crate::refusal::Refusal;
use crate::rooms::Seat;
use crate::session::Session;
use crate::shared::Gateway;
use crate::telemetry::HttpRequestId;
use crate::upstream::Protocol;

/// What was taken from the front of the path, for applications that make links.
const FORWARDED_PREFIX: &str = "X-Forwarded-Prefix";

pub struct Journey {
    pub request_id: HttpRequestId,
    pub(super) begun: Instant,
    /// The one reading of the clock that the request is judged by.
    pub(super) now: Timestamp,
    pub(super) session: Option<Arc<Session>>,
    /// It offered a session cookie that is none, or two.
    pub(super) has_bad_cookie: bool,
    /// Set-Cookie lines: what the browser must carry from now on, whatever the answer is.
    pub(super) set_cookies: Vec<String>,
    pub(super) outcome: Outcome,
    pub(super) permit: Option<Permit>,
    /// The form that goes on in place of its handle.
    pub(super) replay: Option<Replay>,
    pub(super) refusal: Option<&'static str>,
    /// A refusal of a phase that can only fail; answered by `apologise`.
    pub(super) unanswered: Option<Refusal>,
    /// How much of the body may still come, and the limit. None where there is none, and over a WebSocket.
    body_left: Option<(u64, u64)>,
    /// On a route that takes so many requests at a time.
    seat: Option<Seat>,
    /// Servers that were tried.
    pub(super) servers_tried: usize,
    /// The server that was tried last.
    pub(super) server: Option<SocketAddr>,
    _in_flight: InFlight,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Undecided,
    Forward,
    Serve,
    StartLogin,
    Refuse,
}

impl Outcome {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Forward => "forward",
            Self::Serve => "serve",
            Self::StartLogin => "start_login",
            Self::Refuse => "refuse",
        }
    }
}

impl Journey {
    /// When the head of a request has been read.
    pub fn begin(gateway: &Gateway) -> Self {
        under_way::note_head();
        Self {
            request_id: HttpRequestId::draw(),
            begun: Instant::now(),
            now: SystemTime::now().into(),
            session: None,
            has_bad_cookie: false,
            set_cookies: Vec::new(),
            outcome: Outcome::Undecided,
            permit: None,
            replay: None,
            refusal: None,
            unanswered: None,
            body_left: None,
            seat: None,
            servers_tried: 0,
            server: None,
            _in_flight: gateway.lifecycle.begin(),
        }
    }

    /// Of the route's `limits`.
    ///
    /// # Errors
    /// The route is full, or the request says that it brings too much.
    pub(super) fn take_seat(
        &mut self,
        gateway: &Gateway,
        request: &RequestHeader,
        route: usize,
    ) -> Result<(), Refusal> {
        let limits = gateway.settings.routes.get(route).map(|route| route.limits).unwrap_or_default();
        if let Some(limit) = limits.max_body_bytes.filter(|_| !ingress::is_websocket(request)) {
            if content_length(request).is_some_and(|length| length > limit) {
                return Err(Refusal::BodyTooLarge { limit });
            }
            self.body_left = Some((limit, limit));
        }
        self.seat = gateway.rooms.enter(route)?;
        Ok(())
    }

    /// # Errors
    /// There is none: the request must not go on.
    fn permit(&mut self) -> Result<&Permit> {
        if self.permit.is_none() {
            self.unanswered = Some(Refusal::Internal { problem: "a request without a permit went on".to_owned() });
        }
        self.permit.as_ref().ok_or_else(|| Error::explain(ErrorType::InternalError, "no permit"))
    }

    /// Ends the road in a phase that can only fail.
    fn fail(&mut self, refusal: Refusal) -> Box<Error> {
        self.unanswered = Some(refusal);
        Error::explain(ErrorType::InternalError, "refused")
    }
}

/// The server that the permit's route leads to.
///
/// # Errors
/// No permit, or the server's name has no address.
pub async fn peer(gateway: &Gateway, request: &RequestHeader, journey: &mut Journey) -> Result<HttpPeer> {
    let index = journey.permit()?.route();
    journey.servers_tried += 1;
    let Some(route) = gateway.settings.routes.get(index) else {
        return Err(journey.fail(Refusal::NoRoute));
    };
    let Some(upstream) = route.upstream else {
        return Err(journey.fail(Refusal::NoUpstream));
    };
    let protocol = if ingress::is_websocket(request) { Protocol::Http1 } else { Protocol::Any };
    match gateway.upstreams.peer(upstream, protocol, &route.timeouts).await {
        Ok((address, peer)) => {
            journey.server = Some(address);
            Ok(peer)
        }
        Err(refusal) => Err(journey.fail(refusal)),
    }
}

/// Takes every identity header of the client away and sets ours from the permit.
///
/// # Errors
/// No permit, or the identity does not fit into headers.
pub fn dress_request(
    gateway: &Gateway,
    exchange: &Exchange,
    request: &mut RequestHeader,
    journey: &mut Journey,
) -> Result<()> {
    let index = journey.permit()?.route();
    let identity = journey.permit()?.identity().cloned();
    let Some(route) = gateway.settings.routes.get(index) else {
        return Err(journey.fail(Refusal::NoRoute));
    };
    let host = host_of(gateway, exchange.req_header());
    let context =
        ForwardedContext { client_addr: client_address(gateway, exchange), scheme: host.scheme, host: &host.authority };
    let jwt = jwt(gateway, route, host, identity.as_ref(), journey.now).map_err(|refusal| journey.fail(refusal))?;
    let mut parts = ingress::take(request);
    let dressed = gateway.identity_headers.apply(&mut parts.headers, identity.as_ref(), jwt.as_deref(), &context);
    parts.headers.insert(REQUEST_ID, journey.request_id.to_value());
    *request = RequestHeader::from(parts);
    dressed.map_err(|refusal| journey.fail(refusal))?;
    if let Some(host) = &route.host_header {
        request.insert_header(HOST, host)?;
    }
    if let Some(rewrite) = &route.rewrite {
        rewrite_target(rewrite, request)?;
    }
    journey.replay.as_ref().map_or(Ok(()), |replay| replay.dress(request))
}

/// A rewriting route takes only paths that have one reading, so that what is left cannot lead out of what is put before it.
///
/// # Errors
/// The path does not begin with what is to be taken away, which the settings and the decision have made sure of.
fn rewrite_target(rewrite: &Rewrite, request: &mut RequestHeader) -> Result<()> {
    let path = request.uri.path();
    let strip = rewrite.strip_prefix.as_deref().unwrap_or_default();
    let Some(rest) = path.strip_prefix(strip).filter(|rest| rest.is_empty() || rest.starts_with('/')) else {
        return Error::e_explain(ErrorType::InternalError, "the path does not begin with strip_prefix");
    };
    let mut target = rewrite.add_prefix.clone().unwrap_or_default();
    target.push_str(if rest.is_empty() { "/" } else { rest });
    if let Some(query) = request.uri.query() {
        target.push('?');
        target.push_str(query);
    }
    if !strip.is_empty() {
        request.insert_header(FORWARDED_PREFIX, strip)?;
    }
    request.set_raw_path(target.as_bytes())
}

pub(super) fn jwt(
    gateway: &Gateway,
    route: &Route,
    host: &Origin,
    identity: Option<&Identity>,
    now: Timestamp,
) -> Result<Option<Arc<str>>, Refusal> {
    let (Some(wanted), Some(identity)) = (&route.identity_jwt, identity) else { return Ok(None) };
    let audience = wanted.audience.as_deref().map_or_else(|| Cow::Owned(host.to_string()), Cow::Borrowed);
    gateway.identity_jwts.issue(identity, &audience, now).map(Some)
}

pub fn swap_body(body: &mut Option<Bytes>, is_end: bool, journey: &Journey) {
    if let Some(replay) = &journey.replay {
        replay.swap(body, is_end);
    }
}

/// # Errors
/// More has come than the route takes.
pub fn measure_body(body: Option<&Bytes>, journey: &mut Journey) -> Result<()> {
    let (Some((left, limit)), Some(body)) = (journey.body_left, body) else { return Ok(()) };
    match u64::try_from(body.len()).ok().and_then(|came| left.checked_sub(came)) {
        Some(left) => {
            journey.body_left = Some((left, limit));
            Ok(())
        }
        None => Err(journey.fail(Refusal::BodyTooLarge { limit })),
    }
}

/// Pingora has refused one that is no number.
fn content_length(request: &RequestHeader) -> Option<u64> {
    request.headers.get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

pub fn clean_response(response: &mut ResponseHeader, journey: &Journey) {
    let is_signed_in = journey.permit.as_ref().is_some_and(|permit| permit.identity().is_some());
    identity_headers::clean_response(response, is_signed_in);
    // Behind the cleaning: the upstream's cookies of our names are gone, and these are ours.
    identity_headers::hand_cookies(response, &journey.set_cookies);
    under_way::answered(response.status);
}

/// Trailers come behind the header that was cleaned.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    identity_headers::clean_trailers(trailers);
}

/// What a client sends counts as use of its session, however long ago the exchange began.
pub fn hear(journey: &Journey) {
    if let Some(session) = &journey.session {
        session.see(SystemTime::now().into());
    }
}

/// The server that was tried last could not be connected to: for a while others go before it.
pub fn let_server_rest(gateway: &Gateway, journey: &Journey) {
    if let (Some(upstream), Some(server)) = (upstream_of(gateway, journey), journey.server) {
        gateway.upstreams.rest(upstream, server);
    }
}

/// As many as there are.
pub fn may_try_another_server(gateway: &Gateway, journey: &Journey) -> bool {
    upstream_of(gateway, journey).is_some_and(|upstream| journey.servers_tried < gateway.upstreams.count(upstream))
}

/// An index into the settings.
fn upstream_of(gateway: &Gateway, journey: &Journey) -> Option<usize> {
    gateway.settings.routes.get(journey.permit.as_ref()?.route())?.upstream
}

/// Who asks: the other end of the connection, or whom trusted proxies name.
pub(super) fn client_address(gateway: &Gateway, exchange: &Exchange) -> IpAddr {
    gateway.proxies.client(peer_address(exchange), &exchange.req_header().headers)
}

/// The other end of the connection.
pub(super) fn peer_address(exchange: &Exchange) -> IpAddr {
    let address = exchange.as_downstream().client_addr().and_then(|address| address.as_inet());
    address.map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip)
}
