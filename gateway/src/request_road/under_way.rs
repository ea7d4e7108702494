//! A request that was let through in somebody's name, as whoever may have to end it knows it.
//!
//! Pingora makes a request's context inside and gives nobody a handle on it. What is put down here lies with the task,
//! where it outlives the exchange that is dropped.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http::header::HOST;
use http::{HeaderValue, Method, StatusCode, Uri};
use pingora::proxy::Session as Exchange;
use saml_core::Timestamp;

use super::Journey;
use super::journey::client_address;
use crate::decide::{ClientKind, Decision, Policy, RequestFacts, decide};
use crate::session::Session;
use crate::shared::Gateway;
use crate::telemetry::HttpRequestId;

tokio::task_local! {
    static PLACE: Place;
}

/// Of one exchange.
#[derive(Default)]
struct Place {
    has_head: Cell<bool>,
    request: RefCell<Option<UnderWay>>,
}

pub struct UnderWay {
    /// As it was when the request came.
    pub(super) gateway: Arc<Gateway>,
    pub(super) session: Arc<Session>,
    pub(super) request_id: HttpRequestId,
    pub(super) begun: Instant,
    /// An index into the settings.
    pub(super) route: usize,
    pub(super) method: Method,
    pub(super) uri: Uri,
    host: Option<HeaderValue>,
    pub(super) client: IpAddr,
    /// The last that was passed on.
    pub(super) status: Option<StatusCode>,
}

impl UnderWay {
    fn is_permitted(&self, policy: &Policy, now: Timestamp) -> bool {
        let host = self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        let facts = RequestFacts {
            method: self.method.as_str(),
            authority: self.uri.authority().map_or(host, |authority| authority.as_str()),
            path: self.uri.path(),
            client: ClientKind::Background,
            upgrade_origin: None,
            is_preflight: false,
            token: None,
        };
        matches!(decide(policy, &facts, Some(&self.session), now), Decision::Forward(_))
    }
}

/// Gives one exchange its place; to be polled by no other task.
pub async fn scope<F: Future>(exchange: F) -> F::Output {
    PLACE.scope(Place::default(), exchange).await
}

/// The head of the request has been read.
pub fn note_head() {
    let _ = PLACE.try_with(|place| place.has_head.set(true));
}

/// Returns when the head of the request has been read. To be polled behind the exchange, which wakes the task: nothing
/// else does.
pub async fn head() {
    until(|place| place.has_head.get().then_some(())).await;
}

/// The session that the exchange of this task stands on, `a_while` after it came to stand on one. To be polled behind
/// the exchange, too.
pub async fn session_after(a_while: impl Future<Output = ()>) -> Arc<Session> {
    until(|place| place.request.borrow().is_some().then_some(())).await;
    a_while.await;
    // Not before: all requests of a session write to the one count.
    until(|place| place.request.borrow().as_ref().map(|request| Arc::clone(&request.session))).await
}

pub fn take() -> Option<UnderWay> {
    with(Option::take).flatten()
}

pub(super) fn begin(gateway: &Arc<Gateway>, exchange: &Exchange, journey: &Journey) {
    let Some((permit, session)) = journey.permit.as_ref().and_then(|permit| Some((permit, permit.session()?))) else {
        return;
    };
    let request = exchange.req_header();
    let request = UnderWay {
        gateway: Arc::clone(gateway),
        session: Arc::clone(session),
        request_id: journey.request_id,
        begun: journey.begun,
        route: permit.route(),
        method: request.method.clone(),
        uri: request.uri.clone(),
        host: request.headers.get(HOST).cloned(),
        client: client_address(gateway, exchange),
        status: None,
    };
    with(|slot| *slot = Some(request));
}

/// Whether the request of this task would be let in under another policy.
pub fn is_permitted(policy: &Policy, now: Timestamp) -> bool {
    with(|slot| slot.as_ref().is_none_or(|request| request.is_permitted(policy, now))).unwrap_or(true)
}

pub(super) fn answered(status: StatusCode) {
    with(|slot| {
        if let Some(request) = slot {
            request.status = Some(status);
        }
    });
}

/// Never, where no exchange has a place.
async fn until<T>(look: impl Fn(&Place) -> Option<T>) -> T {
    std::future::poll_fn(|_| match PLACE.try_with(&look).ok().flatten() {
        Some(seen) => Poll::Ready(seen),
        None => Poll::Pending,
    })
    .await
}

/// Nothing where no exchange has a place, as in a test.
fn with<T>(look: impl FnOnce(&mut Option<UnderWay>) -> T) -> Option<T> {
    PLACE.try_with(|place| look(&mut place.request.borrow_mut())).ok()
}
