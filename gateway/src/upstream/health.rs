//! Whether servers are well: each is asked again and again, beside the requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use config::HealthCheck;
use futures_util::future::{join_all, pending};
use http::header::{HOST, USER_AGENT};
use pingora::connectors::http::Connector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use tokio::time::{MissedTickBehavior, timeout};

use super::server::{Server, Target};
use super::{Protocol, Servers, Upstreams};
use crate::live::Live;
use crate::metrics::Metrics;

const AGENT: &str = concat!("samlgate/", env!("CARGO_PKG_VERSION"), " health check");

/// What the checks of one address have shown. It counts as well until they show that it is not.
#[derive(Default)]
pub(super) struct Health {
    is_unwell: AtomicBool,
    /// Checks in a row that speak against what it counts as.
    against: AtomicU32,
}

impl Health {
    pub(super) fn is_well(&self) -> bool {
        !self.is_unwell.load(Ordering::Relaxed)
    }

    /// Whether it counts as another from now on. Called by one task alone.
    fn learn(&self, is_well: bool, check: &HealthCheck) -> bool {
        if is_well == self.is_well() {
            self.against.store(0, Ordering::Relaxed);
            return false;
        }
        let needed = if is_well { check.healthy_after } else { check.unhealthy_after };
        if self.against.fetch_add(1, Ordering::Relaxed) + 1 < needed {
            return false;
        }
        self.against.store(0, Ordering::Relaxed);
        self.is_unwell.store(!is_well, Ordering::Relaxed);
        true
    }
}

/// Asks the servers of the settings that count now.
pub async fn keep_checked(live: Arc<Live>) {
    let mut replacements = live.replacements();
    loop {
        let gateway = live.current();
        tokio::select! {
            () = gateway.upstreams.check_on(&gateway.metrics) => {}
            _ = replacements.changed() => {}
        }
    }
}

impl Upstreams {
    /// Does not return.
    async fn check_on(&self, metrics: &Metrics) {
        metrics.forget_upstreams();
        let checked = self.upstreams.iter().filter_map(|upstream| Some((upstream, upstream.health_check.as_ref()?)));
        join_all(checked.map(|(upstream, check)| upstream.check_on(check, metrics))).await;
        pending().await
    }
}

impl Servers {
    async fn check_on(&self, check: &HealthCheck, metrics: &Metrics) {
        let connector = Connector::new(None);
        let mut ticks = tokio::time::interval(check.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            join_all(self.servers.iter().map(|server| self.check_server(server, check, &connector, metrics))).await;
        }
    }

    async fn check_server(&self, server: &Server, check: &HealthCheck, connector: &Connector, metrics: &Metrics) {
        let targets = server.targets();
        join_all(targets.iter().map(|target| self.check_target(server, target, check, connector))).await;
        let is_well = targets.iter().any(|target| target.health.is_well());
        metrics.upstream_is_healthy(&self.name, &server.address.to_string(), is_well);
    }

    async fn check_target(&self, server: &Server, target: &Target, check: &HealthCheck, connector: &Connector) {
        let timeouts = config::Timeouts { connect: check.timeout, read: check.timeout, write: check.timeout };
        let peer = self.peer(server, target.address, Protocol::Any, &timeouts);
        let host = check.host_header.clone().unwrap_or_else(|| server.address.to_string());
        let outcome = match timeout(check.timeout, ask(connector, &peer, &check.path, &host)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(late(check.timeout)),
        };
        let is_changed = target.health.learn(outcome.is_ok(), check);
        let (upstream, address) = (&self.name, target.address);
        match outcome {
            Ok(()) if is_changed => tracing::info!(upstream, %server.address, %address, "the server is well again"),
            Err(problem) if is_changed => tracing::warn!(
                upstream,
                %server.address,
                %address,
                "the server is not well: {problem}; it takes no requests while there are others"
            ),
            Ok(()) | Err(_) => {}
        }
    }
}

fn late(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}

/// # Errors
/// Why it is not well.
async fn ask(connector: &Connector, peer: &HttpPeer, path: &str, host: &str) -> Result<(), String> {
    let said = |error: Box<pingora::Error>| error.etype().as_str().to_owned();
    let (mut session, _) = connector.get_http_session(peer).await.map_err(said)?;
    let outcome = answer(&mut session, path, host).await;
    // Not kept: a server that takes no new connections is not well.
    session.shutdown().await;
    let status = outcome.map_err(said)?;
    if (200..400).contains(&status) { Ok(()) } else { Err(format!("it answered {status}")) }
}

async fn answer(session: &mut HttpSession, path: &str, host: &str) -> pingora::Result<u16> {
    let mut request = RequestHeader::build("GET", path.as_bytes(), None)?;
    request.insert_header(HOST, host)?;
    request.insert_header(USER_AGENT, AGENT)?;
    session.write_request_header(Box::new(request)).await?;
    session.finish_request_body().await?;
    session.read_response_header().await?;
    Ok(session.response_header().map_or(0, |answer| answer.status.as_u16()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_results_in_a_row_change_what_a_server_counts_as() {
        let check = HealthCheck {
            path: "/".to_owned(),
            host_header: None,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            unhealthy_after: 3,
            healthy_after: 2,
        };
        let health = Health::default();
        let seen: Vec<_> = "ffgfffgfgg"
            .chars()
            .map(|result| {
                health.learn(result == 'g', &check);
                health.is_well()
            })
            .collect();
        assert_eq!(seen, [true, true, true, true, true, false, false, false, false, true]);
    }
}
