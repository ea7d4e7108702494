//! A request that was let through in somebody's name, as whoever may have to end it knows it.
//!
//! Pingora makes a request's context inside and gives nobody a handle on it. What is put down here lies with the task,
//! where it outlives the exchange that is dropped.

use std::cell::{Cell, RefCell};
use std::net::IpAddr;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use http::{Method, StatusCode};
use pingora::proxy::Session as Exchange;

use super::Journey;
use super::journey::client_address;
use super::record::cut_path;
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
    pub(super) session: Arc<Session>,
    pub(super) request_id: HttpRequestId,
    pub(super) begun: Instant,
    /// An index into the settings.
    pub(super) route: usize,
    pub(super) method: Method,
    /// The last that was passed on.
    pub(super) status: Option<StatusCode>,
    /// Where requests are written down one by one.
    pub(super) origin: Option<Origin>,
}

/// Who asked, and for what.
pub(super) struct Origin {
    pub(super) client: IpAddr,
    pub(super) path: Box<str>,
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

pub(super) fn begin(gateway: &Gateway, exchange: &Exchange, journey: &Journey) {
    let Some((permit, session)) = journey.permit.as_ref().and_then(|permit| Some((permit, permit.session()?))) else {
        return;
    };
    let request = exchange.req_header();
    let origin = gateway
        .settings
        .log
        .access
        .then(|| Origin { client: client_address(gateway, exchange), path: cut_path(request.uri.path()).into() });
    let request = UnderWay {
        session: Arc::clone(session),
        request_id: journey.request_id,
        begun: journey.begun,
        route: permit.route(),
        method: request.method.clone(),
        status: None,
        origin,
    };
    with(|slot| *slot = Some(request));
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
