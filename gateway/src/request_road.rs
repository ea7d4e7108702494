//! The request road: from a Pingora session to a decision, and from the decision to what Pingora does.

mod asked;
mod form;
mod journey;
mod record;
mod trouble;
pub mod under_way;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use config::Origin;
use http::header::{COOKIE, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora::Result;
use pingora::http::RequestHeader;
use pingora::proxy::Session as Exchange;

use crate::decide::{ClientKind, Decision, Endpoint, OfferedToken, Permit, RequestFacts, decide, is_preflight};
use crate::endpoints::{self, BAD_COOKIE, Call};
use crate::exchange::{self, Afterwards};
use crate::ingress;
use crate::pages::{Answer, redirect};
use crate::proxy::Handled;
use crate::refusal::Refusal;
use crate::respond::{self, Asker, Reader};
use crate::session::{Browser, Credential, Landing, Session};
use crate::shared::Gateway;

pub use journey::{
    Journey, clean_response, clean_trailers, dress_request, hear, let_server_rest, may_try_another_server,
    measure_body, peer, swap_body,
};
pub use record::{record, record_ended};
pub use trouble::apologise;

use form::Fate;
use journey::Outcome;

/// A client that reads nothing for so long holds an answer, and an upstream's connection, for nothing.
const DOWNSTREAM_WRITE: Duration = Duration::from_secs(60);

/// Judges a request, and answers it unless it may go on.
pub async fn enter(gateway: &Arc<Gateway>, exchange: &mut Exchange, journey: &mut Journey) -> Result<Handled> {
    exchange.as_downstream_mut().set_write_timeout(Some(DOWNSTREAM_WRITE));
    if let Err(refusal) = receive(exchange) {
        return refuse(gateway, exchange, journey, &refusal, Afterwards::Close).await;
    }
    if let Some((proxy, below)) = gateway.policy.asked_by(exchange.req_header().uri.path()) {
        let below = below.to_owned();
        return asked::answer(gateway, exchange, journey, proxy, &below).await;
    }
    journey.session = match session_of(gateway, exchange.req_header(), journey).await {
        Ok(session) => session,
        Err(refusal) => return refuse(gateway, exchange, journey, &refusal, Afterwards::KeepOpen).await,
    };
    let session = journey.session.as_ref();
    match decide(&gateway.policy, &facts(exchange.req_header(), session.is_some()), session, journey.now) {
        Decision::Forward(permit) if !leads_somewhere(gateway, &permit) => {
            refuse(gateway, exchange, journey, &Refusal::NoUpstream, Afterwards::KeepOpen).await
        }
        Decision::Forward(permit) => {
            if let Err(refusal) = journey.take_seat(gateway, exchange.req_header(), permit.route()) {
                return refuse(gateway, exchange, journey, &refusal, Afterwards::Close).await;
            }
            if form::may_replay(gateway, exchange.req_header(), journey) {
                match form::replay(gateway, exchange, journey).await? {
                    Ok(replay) => journey.replay = replay,
                    Err(refusal) => return refuse(gateway, exchange, journey, &refusal, Afterwards::KeepOpen).await,
                }
            }
            gateway.metrics.forwarded(permit.identity());
            journey.outcome = Outcome::Forward;
            journey.permit = Some(permit);
            under_way::begin(gateway, exchange, journey);
            Ok(Handled::Continue)
        }
        Decision::Serve(endpoint) => serve(gateway, exchange, journey, endpoint).await,
        Decision::StartLogin { client } => start_login(gateway, exchange, journey, client).await,
        Decision::Refuse(refusal) => refuse(gateway, exchange, journey, &refusal, Afterwards::KeepOpen).await,
    }
}

/// The request in the form that is judged, or the reason not to look at it.
fn receive(exchange: &mut Exchange) -> Result<(), Refusal> {
    ingress::normalise(exchange.req_header_mut());
    let raw_head = exchange.as_downstream().as_http1().map(|http1| http1.get_headers_raw_bytes());
    ingress::check(exchange.req_header(), raw_head.as_deref())?;
    ingress::forget_spelling(exchange.req_header_mut());
    Ok(())
}

/// A ticket that is bad counts as none; a store that does not answer does not.
async fn session_of(
    gateway: &Gateway,
    request: &RequestHeader,
    journey: &mut Journey,
) -> Result<Option<Arc<Session>>, Refusal> {
    let now = journey.now;
    let own = gateway.cookies.read_own(request.headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes));
    let ticket = match own.session {
        Credential::Good(ticket) => ticket,
        Credential::None => return Ok(None),
        Credential::Bad => {
            journey.has_bad_cookie = true;
            journey.set_cookies.extend(gateway.cookies.clear_bad_session_cookie());
            return Ok(None);
        }
    };
    if let Some(session) = gateway.sessions.cached(&ticket.key(), now) {
        gateway.metrics.session_cache_hits.inc();
        return Ok(Some(session));
    }
    gateway.metrics.session_cache_misses.inc();
    let browser = Browser::of(&request.headers);
    let found = gateway.sessions.lookup(&ticket, &browser, now).await;
    journey.set_cookies.extend(browser.take_lines());
    gateway.stored("load", found)
}

fn facts(request: &RequestHeader, is_signed_in: bool) -> RequestFacts<'_> {
    RequestFacts {
        method: request.method.as_str(),
        authority: ingress::authority(request),
        path: request.uri.path(),
        client: if is_signed_in { ClientKind::Background } else { client_of(request) },
        upgrade_origin: upgrade_origin(&request.headers, ingress::is_websocket(request)),
        is_preflight: is_preflight(request.method.as_str(), &request.headers),
        token: OfferedToken::of(&request.headers),
    }
}

fn upgrade_origin(headers: &HeaderMap, is_websocket: bool) -> Option<&str> {
    let origin = headers.get(ORIGIN).filter(|_| is_websocket)?;
    Some(origin.to_str().unwrap_or("unreadable"))
}

fn leads_somewhere(gateway: &Gateway, permit: &Permit) -> bool {
    gateway.settings.routes.get(permit.route()).is_some_and(|route| route.upstream.is_some())
}

fn client_of(request: &RequestHeader) -> ClientKind {
    ClientKind::of(request.method.as_str(), &request.headers)
}

async fn serve(
    gateway: &Gateway,
    exchange: &mut Exchange,
    journey: &mut Journey,
    endpoint: Endpoint,
) -> Result<Handled> {
    journey.outcome = Outcome::Serve;
    gateway.metrics.served();
    let body = if endpoints::reads_body(endpoint, &exchange.req_header().method) {
        exchange::read_body(exchange, endpoints::MAX_BODY_BYTES).await?
    } else {
        Bytes::new()
    };
    let client = journey::client_address(gateway, exchange);
    let request = exchange.req_header();
    let browser = Browser::of(&request.headers);
    let call = Call {
        gateway,
        method: &request.method,
        headers: &request.headers,
        host: host_of(gateway, request),
        path: request.uri.path(),
        query: request.uri.query(),
        body: &body,
        client,
        session: journey.session.as_ref(),
        browser: &browser,
        request_id: journey.request_id.as_str(),
        now: journey.now,
    };
    let answer = match endpoints::serve(endpoint, &call).await {
        Ok(answer) => answer,
        Err(refusal) => {
            // The ACS has said all there is to say about a login.
            if endpoint != Endpoint::Acs {
                record::report(gateway, journey, &refusal);
            }
            journey.refusal = Some(refusal.code());
            let asker = Asker {
                reader: if endpoints::is_for_people(endpoint) { Reader::Page } else { Reader::Json },
                request_id: call.request_id,
                host: call.host,
                return_url: &call.return_url(),
            };
            respond::refuse(&gateway.site, &refusal, &asker)
        }
    };
    journey.set_cookies.extend(browser.take_lines());
    reply(exchange, answer, journey, Afterwards::KeepOpen).await
}

async fn start_login(
    gateway: &Gateway,
    exchange: &mut Exchange,
    journey: &mut Journey,
    client: ClientKind,
) -> Result<Handled> {
    journey.outcome = Outcome::StartLogin;
    gateway.metrics.login_wanted();
    let fate = match client {
        ClientKind::FormPost => form::keep(gateway, exchange, journey).await?,
        ClientKind::Navigation | ClientKind::Frame | ClientKind::Background => Fate::Dropped,
    };
    let request = exchange.req_header();
    // The browser must come back with GET, whatever it asked with.
    let status = if request.method == Method::POST { StatusCode::SEE_OTHER } else { StatusCode::FOUND };
    let return_url = own_address(gateway, request);
    let page = || gateway.on_public_url(gateway.site.with_return("login", &return_url));
    // Only the page, even where the settings leave it out, counts rounds and says what is lost.
    let login =
        if journey.has_bad_cookie { format!("{}&{BAD_COOKIE}=1", page()) } else { gateway.login_url(&return_url) };
    let location = match fate {
        Fate::Dropped => login,
        Fate::Kept(id) => Landing::Form(id).carried_by(login),
        Fate::Lost(lost) => format!("{}&lost={}", page(), lost.code()),
    };
    reply(exchange, redirect(status, &location), journey, Afterwards::KeepOpen).await
}

async fn refuse(
    gateway: &Gateway,
    exchange: &mut Exchange,
    journey: &mut Journey,
    refusal: &Refusal,
    afterwards: Afterwards,
) -> Result<Handled> {
    journey.outcome = Outcome::Refuse;
    let answer = turn_away(gateway, exchange.req_header(), journey, refusal);
    reply(exchange, answer, journey, afterwards).await
}

/// With what the browser must carry from now on.
async fn reply(
    exchange: &mut Exchange,
    mut answer: Answer,
    journey: &Journey,
    afterwards: Afterwards,
) -> Result<Handled> {
    for line in &journey.set_cookies {
        endpoints::set_cookie(&mut answer, line);
    }
    exchange::answer(exchange, answer, &journey.request_id, afterwards).await?;
    Ok(Handled::Answered)
}

/// Counts and logs a refusal, and words it for whoever asked.
fn turn_away(gateway: &Gateway, request: &RequestHeader, journey: &mut Journey, refusal: &Refusal) -> Answer {
    record::note_refusal(gateway, journey, refusal);
    let reader = reader_of(client_of(request), refusal);
    let host = host_of(gateway, request);
    let return_url = match reader {
        Reader::Json => Call::page_of_referer(gateway, &request.headers, host),
        Reader::Page | Reader::Frame => own_address(gateway, request),
    };
    let asker = Asker { reader, request_id: journey.request_id.as_str(), host, return_url: &return_url };
    respond::refuse(&gateway.site, refusal, &asker)
}

fn reader_of(client: ClientKind, refusal: &Refusal) -> Reader {
    match (refusal, client) {
        (Refusal::LoginRequired | Refusal::TokenUnknown | Refusal::TokenExpired { .. }, _)
        | (_, ClientKind::Background) => Reader::Json,
        (Refusal::LoginRequiredInFrame, _) => Reader::Frame,
        (_, ClientKind::Navigation | ClientKind::FormPost | ClientKind::Frame) => Reader::Page,
    }
}

/// Where the request went, as a return URL.
fn own_address(gateway: &Gateway, request: &RequestHeader) -> String {
    let wanted = request.uri.path_and_query().map(http::uri::PathAndQuery::as_str);
    gateway.return_url(wanted, host_of(gateway, request))
}

/// The accepted host that the request names; that of `public_url` for one that names none and is refused for it.
fn host_of<'g>(gateway: &'g Gateway, request: &RequestHeader) -> &'g Origin {
    let hosts = gateway.hosts();
    hosts.named(ingress::authority(request)).unwrap_or(hosts.public())
}
