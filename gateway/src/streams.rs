//! An exchange that lasts ends with the session that it stands on.
//!
//! Pingora has no handle that ends an exchange. It is a future, though, and holds both connections (of HTTP/2, the
//! stream): dropping it closes them. The client sees its connection close, a WebSocket without a Close frame, a
//! transfer before its end. Pingora's `logging` does not run then, so it is written down here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use pingora::apps::{HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::H2Options;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::time::fast_timeout::fast_sleep;
use tokio::task::unconstrained;
use tokio::time::{Interval, MissedTickBehavior};

use crate::lifecycle::Lifecycle;
use crate::live::Live;
use crate::proxy::Proxy;
use crate::request_road::{self, under_way};
use crate::session::{Sessions, StreamEnd};
use crate::shared::Gateway;

/// With two of these an exchange counts as one that lasts.
const BEAT: Duration = Duration::from_millis(250);
/// From when a connection is ready for a request to the end of its head. Pingora ends one that is silent for a minute, and
/// bounds each read of one that is not, however many.
const HEAD_WITHIN: Duration = Duration::from_secs(70);

/// How long a connection that is kept open may bring another request when we end.
const LAST_REQUEST: Duration = Duration::from_secs(2);

/// Pingora's proxy, with each exchange raced against the end of its session.
pub struct UntilSessionEnds {
    proxy: Arc<HttpProxy<Proxy>>,
    live: Arc<Live>,
    sessions: Arc<Sessions>,
    lifecycle: Arc<Lifecycle>,
}

impl UntilSessionEnds {
    pub fn new(proxy: HttpProxy<Proxy>, live: Arc<Live>) -> Self {
        let gateway = live.current();
        let (sessions, lifecycle) = (Arc::clone(&gateway.sessions), Arc::clone(&gateway.lifecycle));
        Self { proxy: Arc::new(proxy), live, sessions, lifecycle }
    }
}

#[async_trait]
impl HttpServerApp for UntilSessionEnds {
    /// One request: HTTP/1.1 comes here again with what is left of the connection, HTTP/2 with each stream.
    async fn process_new_http(
        self: &Arc<Self>,
        exchange: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        let _open = self.lifecycle.open();
        let comes_in_pieces = exchange.as_http1().is_some();
        let mut exchange = self.proxy.process_new_http(exchange, shutdown);
        under_way::scope(async {
            let sessions = &self.sessions;
            let over = async {
                if comes_in_pieces && head_is_late(sessions.a_while(), HEAD_WITHIN).await {
                    return Over::LateHead;
                }
                let session = under_way::session_after(sessions.a_while()).await;
                let mut watch = sessions.watch(&session);
                tokio::select! {
                    end = watch.ended() => Over::Session(end),
                    () = refused(&self.live) => Over::Session(StreamEnd::Refused),
                }
            };
            match race(&mut exchange, over).await {
                Ok(reusable) => return reusable,
                Err(Over::Session(end)) => {
                    drop(exchange);
                    if let Some(ended) = under_way::take() {
                        request_road::record_ended(&ended, end);
                    }
                }
                Err(Over::LateHead) => {
                    drop(exchange);
                    self.live.current().metrics.late_heads.inc();
                }
            }
            None
        })
        .await
    }

    fn h2_options(&self) -> Option<H2Options> {
        self.proxy.h2_options()
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        HttpServerApp::server_options(&*self.proxy)
    }

    /// When no new connection is taken any more. Pingora closes those that are kept open between two requests at once, and
    /// with them a request that is on its way; left alone they are told with their next answer.
    async fn http_cleanup(&self) {
        let _ = tokio::time::timeout(LAST_REQUEST, self.lifecycle.until_closed()).await;
        self.proxy.http_cleanup().await;
    }
}

/// Ends where a reload does not let the request of this task in any more.
async fn refused(live: &Live) {
    let mut replacements = live.replacements();
    while under_way::is_permitted(&live.current().policy, SystemTime::now().into()) {
        // It fails where there is nobody who could replace anything.
        if replacements.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Why an exchange is cut off.
#[derive(Debug, PartialEq, Eq)]
enum Over {
    Session(StreamEnd),
    LateHead,
}

/// Whether the head of the request of this task has not come in time. Most come within `a_while`, and then no timer is
/// wound up.
async fn head_is_late(a_while: impl Future<Output = ()>, within: Duration) -> bool {
    a_while.await;
    tokio::select! {
        biased;
        () = under_way::head() => false,
        () = fast_sleep(within) => true,
    }
}

/// A transfer that never has to wait leaves nothing of the task's budget: what is constrained by it would never see the
/// end.
async fn race<T>(exchange: impl Future<Output = T>, over: impl Future<Output = Over>) -> Result<T, Over> {
    tokio::select! {
        // In this order: the exchange says first whose it is.
        biased;
        done = exchange => Ok(done),
        over = unconstrained(over) => Err(over),
    }
}

/// Finds out which sessions under open streams are over by the clock. It never waits for the store.
pub async fn keep_time(sessions: Arc<Sessions>) {
    let mut beats = every(BEAT);
    loop {
        beats.tick().await;
        sessions.beat(SystemTime::now().into());
    }
}

/// Finds out which are idle or lost.
pub async fn judge(gateway: Arc<Gateway>) {
    let mut looks = every(gateway.sessions.look_interval());
    loop {
        looks.tick().await;
        // Whoever follows the store says that it is away.
        let _ = gateway.stored("judge_streams", gateway.sessions.judge_streams(SystemTime::now().into()).await);
    }
}

fn every(period: Duration) -> Interval {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_exchange_that_never_waits_is_over_all_the_same() {
        let (end, over) = tokio::sync::oneshot::channel();
        let busy = async {
            loop {
                tokio::task::consume_budget().await;
            }
        };
        end.send(StreamEnd::Ended).unwrap();
        let outcome: Result<(), _> = race(busy, async { Over::Session(over.await.unwrap()) }).await;
        assert_eq!(outcome, Err(Over::Session(StreamEnd::Ended)));
    }

    #[tokio::test]
    async fn only_a_head_that_has_not_come_is_late() {
        let within = Duration::from_millis(20);
        assert!(under_way::scope(head_is_late(async {}, within)).await);
        let come = async {
            under_way::note_head();
            head_is_late(async {}, within).await
        };
        assert!(!under_way::scope(come).await, "one that has come is not");
    }
}
