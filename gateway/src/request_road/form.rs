//! Forms on the request road: kept where their session has ended, and put in place of the handle that replays them.

use bytes::Bytes;
use http::HeaderValue;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, TRANSFER_ENCODING};
use pingora::http::RequestHeader;
use pingora::proxy::Session as Exchange;
use pingora::{ErrorType, Result};

use super::host_of;
use super::journey::{self, Journey};
use crate::decide::form_type;
use crate::exchange;
use crate::forms::{self, KeptForm, Lost, MAX_FORM_BYTES, MAX_PER_BROWSER};
use crate::refusal::Refusal;
use crate::same_origin::is_same_origin;
use crate::session::{CookieScope, FormCookie, FormId, FormSecret, KeepOutcome};
use crate::shared::Gateway;

/// What becomes of a form whose session has ended.
pub(super) enum Fate {
    /// It comes from another site, where our Lax cookie does not go: a replay would add it. Or it is no form.
    Dropped,
    Kept(FormId),
    /// It is ours, and its user is told.
    Lost(Lost),
}

/// A kept form on its way to the application.
pub(super) struct Replay {
    content_type: HeaderValue,
    body: Bytes,
}

/// # Errors
/// The client went away.
pub(super) async fn keep(gateway: &Gateway, exchange: &mut Exchange, journey: &mut Journey) -> Result<Fate> {
    let request = exchange.req_header();
    if !is_same_origin(&request.headers, host_of(gateway, request)) {
        gateway.metrics.form("lost", "cross_site");
        return Ok(Fate::Dropped);
    }
    let Some(content_type) = form_type(&request.headers).map(str::to_owned) else {
        gateway.metrics.form("lost", "not_a_form");
        return Ok(Fate::Dropped);
    };
    let reading = gateway.forms.begin_reading(journey::client_address(gateway, exchange));
    let fate = match read(exchange, reading.as_ref()).await? {
        Ok(body) => match forms::handle_in(&body) {
            Some(handle) => kept_before(exchange, &handle),
            None => {
                let form = KeptForm { target: target(gateway, exchange.req_header()), content_type, body };
                store(gateway, exchange, journey, &form).await
            }
        },
        Err(lost) => {
            // A browser looks for the answer when it has sent everything. Where too much is read already, it has to do
            // without.
            if reading.is_some() {
                exchange::discard_body(exchange).await;
            }
            Fate::Lost(lost)
        }
    };
    match &fate {
        Fate::Kept(_) => gateway.metrics.form("kept", ""),
        Fate::Lost(lost) => gateway.metrics.form("lost", lost.code()),
        Fate::Dropped => {}
    }
    Ok(fate)
}

async fn read(exchange: &mut Exchange, leave: Option<&forms::Reading<'_>>) -> Result<Result<Bytes, Lost>> {
    if forms::is_too_large(&exchange.req_header().headers) {
        return Ok(Err(Lost::TooLarge));
    }
    if leave.is_none() {
        return Ok(Err(Lost::TooMuch));
    }
    match exchange::read_body(exchange, MAX_FORM_BYTES).await {
        Ok(body) if body.len() > MAX_FORM_BYTES => Ok(Err(Lost::TooLarge)),
        Ok(body) => Ok(Ok(body)),
        Err(error) if *error.etype() == ErrorType::ReadTimedout => Ok(Err(Lost::TooSlow)),
        Err(error) => Err(error),
    }
}

/// The session ended between the page that replays a form and its handle: the form itself is still kept.
fn kept_before(exchange: &Exchange, handle: &FormSecret) -> Fate {
    match cookies(exchange).into_iter().find(|cookie| cookie.secret.key() == handle.key()) {
        Some(cookie) => Fate::Kept(cookie.secret.key().id()),
        None => Fate::Lost(Lost::Gone),
    }
}

async fn store(gateway: &Gateway, exchange: &Exchange, journey: &mut Journey, form: &KeptForm) -> Fate {
    match put(gateway, exchange, journey, form).await {
        Ok(Ok(secret)) => {
            journey.set_cookies.extend(gateway.cookies.form_cookies(&secret, journey.now));
            for old in cookies(exchange).iter().skip(MAX_PER_BROWSER - 1) {
                journey.set_cookies.extend(gateway.forget_form(&old.secret.key()).await);
            }
            Fate::Kept(secret.key().id())
        }
        Ok(Err(lost)) => Fate::Lost(lost),
        Err(refusal) => {
            tracing::warn!(request.id = journey.request_id.as_str(), "a form is not kept: {refusal}");
            Fate::Lost(Lost::StoreAway)
        }
    }
}

async fn put(
    gateway: &Gateway,
    exchange: &Exchange,
    journey: &Journey,
    form: &KeptForm,
) -> Result<Result<FormSecret, Lost>, Refusal> {
    let random = |error: crate::session::RandomError| Refusal::Internal { problem: error.to_string() };
    let secret = gateway.forms.new_secret().map_err(random)?;
    let sealed = gateway.forms.seal(&secret, form, journey.now).map_err(random)?;
    let client = journey::client_address(gateway, exchange);
    let put = gateway.store().put_form(&secret.key(), sealed, journey.now, client).await;
    Ok(match gateway.stored("put_form", put)? {
        KeepOutcome::Kept => Ok(secret),
        KeepOutcome::TooMuch => Err(Lost::TooMuch),
        KeepOutcome::NotHere => Err(Lost::NotKeptHere),
    })
}

/// Whether a request may replay a form, so that its body has to be looked at before it goes on. The form's cookie is not
/// asked for: who reloads the page that followed sends the handle again, and the application must not see it.
pub(super) fn may_replay(gateway: &Gateway, request: &RequestHeader, journey: &Journey) -> bool {
    journey.session.is_some()
        && forms::may_be_handle(&request.method, &request.headers)
        && is_same_origin(&request.headers, host_of(gateway, request))
}

/// Takes the form whose handle the body is; any other body goes on as it came.
///
/// # Errors
/// The client went away; or, inside, the handle opens nothing here: it is not passed on.
pub(super) async fn replay(
    gateway: &Gateway,
    exchange: &mut Exchange,
    journey: &mut Journey,
) -> Result<Result<Option<Replay>, Refusal>> {
    // Pingora sends what was read on from this buffer, to each server that it tries.
    exchange.as_downstream_mut().enable_retry_buffering();
    let body = exchange::read_body(exchange, MAX_FORM_BYTES).await?;
    let Some(handle) = forms::handle_in(&body) else { return Ok(Ok(None)) };
    let taken = take(gateway, exchange, journey, &handle).await;
    match &taken {
        Ok(_) => {
            gateway.metrics.form("replayed", "");
            journey.set_cookies.extend(gateway.cookies.clear_form_cookies(handle.key().id()));
        }
        Err(refusal) => gateway.metrics.form("refused", refusal.code()),
    }
    Ok(taken.map(Some))
}

async fn take(
    gateway: &Gateway,
    exchange: &Exchange,
    journey: &Journey,
    handle: &FormSecret,
) -> Result<Replay, Refusal> {
    let key = handle.key();
    if !cookies(exchange).iter().any(|cookie| cookie.secret.key() == key) {
        return Err(Refusal::FormOfOtherBrowser);
    }
    let sealed = gateway.stored("form", gateway.store().form(&key).await)?;
    let form = sealed.and_then(|sealed| gateway.forms.open(handle, &sealed, journey.now));
    let form = form.ok_or(Refusal::FormExpired)?;
    if form.target != target(gateway, exchange.req_header()) {
        return Err(Refusal::FormMisdirected);
    }
    let content_type = HeaderValue::from_str(&form.content_type).map_err(|_| Refusal::FormExpired)?;
    // Of two who have come so far one alone takes it.
    gateway.stored("take_form", gateway.store().take_form(&key).await)?.ok_or(Refusal::FormExpired)?;
    Ok(Replay { content_type, body: form.body })
}

impl Replay {
    /// What the handle's headers say of its body gives way to what the form's said.
    pub(super) fn dress(&self, request: &mut RequestHeader) -> Result<()> {
        request.remove_header(&TRANSFER_ENCODING);
        request.remove_header(&CONTENT_ENCODING);
        request.insert_header(CONTENT_TYPE, self.content_type.clone())?;
        request.insert_header(CONTENT_LENGTH, self.body.len())
    }

    /// The form's bytes at the end of the handle's. `None` before would end the body.
    pub(super) fn swap(&self, body: &mut Option<Bytes>, is_end: bool) {
        *body = match is_end {
            true => Some(self.body.clone()).filter(|body| !body.is_empty()),
            false => Some(Bytes::new()),
        };
    }
}

fn cookies(exchange: &Exchange) -> Vec<FormCookie> {
    CookieScope::own_forms(exchange.req_header().headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes))
}

/// Where a form goes, as the page that replays it says it. Whole: `//host` alone would name another host.
fn target(gateway: &Gateway, request: &RequestHeader) -> String {
    let path = request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    format!("{}{path}", host_of(gateway, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replay(body: &'static [u8]) -> Replay {
        Replay { content_type: HeaderValue::from_static("text/plain"), body: Bytes::from_static(body) }
    }

    fn swapped(replay: &Replay, body: Option<&'static [u8]>, is_end: bool) -> Option<Bytes> {
        let mut body = body.map(Bytes::from_static);
        replay.swap(&mut body, is_end);
        body
    }

    #[test]
    fn the_form_takes_the_place_of_the_handle_once_and_at_its_end() {
        let form = replay(b"a=b");
        assert_eq!(swapped(&form, Some(b"samlgate-"), false), Some(Bytes::new()));
        assert_eq!(swapped(&form, Some(b"replay=x"), true), Some(Bytes::from_static(b"a=b")));
        assert_eq!(swapped(&form, None, true), Some(Bytes::from_static(b"a=b")));
        assert_eq!(swapped(&replay(b""), Some(b"samlgate-replay=x"), true), None);
    }

    #[test]
    fn headers_speak_of_the_form_and_not_of_the_handle() {
        let mut request = RequestHeader::build("POST", b"/", None).unwrap();
        for (name, value) in [
            ("content-length", "59"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("content-encoding", "br"),
        ] {
            request.append_header(name, value).unwrap();
        }
        replay(b"a=b").dress(&mut request).unwrap();
        let mut seen: Vec<_> = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        seen.sort();
        assert_eq!(seen, [("content-length", b"3".as_slice()), ("content-type", b"text/plain")]);
    }
}
