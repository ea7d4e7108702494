//! Prometheus metrics. Labels come from closed sets; a request looks no label up by name.

use std::sync::OnceLock;

use config::Settings;
use http::{Method, StatusCode};
use prometheus::{
    Encoder, Gauge, GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec,
    Opts, Registry, TextEncoder,
};
use saml_core::{Certificate, Held, Timestamp};

use crate::decide::Identity;
use crate::idps::Look;
use crate::session::StreamEnd;

/// Label of requests that no route takes: our own endpoints and refusals before routing.
const NO_ROUTE: &str = "samlgate";

const REQUEST_BUCKETS: &[f64] = &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
const STORE_BUCKETS: &[f64] = &[0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5];
const VERIFY_BUCKETS: &[f64] = &[0.000_025, 0.000_05, 0.000_1, 0.000_2, 0.000_4, 0.001, 0.0025, 0.01, 0.05];

pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    seconds: HistogramVec,
    decisions: IntCounterVec,
    forwarded_public: IntCounter,
    forwarded_signed_in: IntCounter,
    forwarded_machine: IntCounter,
    logins: IntCounterVec,
    logouts: IntCounterVec,
    streams_ended: IntCounterVec,
    store_errors: IntCounterVec,
    /// Of Redis alone.
    pub store_seconds: Histogram,
    forms: IntCounterVec,
    metadata_refresh: IntCounterVec,
    metadata_success: IntGaugeVec,
    keys_held: IntGaugeVec,
    addresses_held: IntGaugeVec,
    certificate_not_after: GaugeVec,
    upstream_healthy: IntGaugeVec,
    /// Connections closed for the want of a PROXY header that may be believed.
    pub bad_proxy_headers: IntCounter,
    /// Events that did not reach the audit log.
    pub audit_lost: IntCounter,
    reloads: IntCounterVec,
    reload_success: IntGauge,
    #[cfg(feature = "second-opinion")]
    second_opinions: IntCounterVec,
    pub saml_verify_seconds: Histogram,
    pub sessions_active: IntGauge,
    pub session_cache_hits: IntCounter,
    pub session_cache_misses: IntCounter,
    pub late_heads: IntCounter,
}

/// Of the routes of one reading of the settings, by their index.
pub struct RequestMetrics {
    routes: Vec<RouteMetrics>,
    no_route: RouteMetrics,
}

impl RequestMetrics {
    /// `route` is an index into the settings; none for what no route took.
    pub fn request(&self, route: Option<usize>, status: StatusCode, method: &Method, seconds: f64) {
        let metrics = route.and_then(|route| self.routes.get(route)).unwrap_or(&self.no_route);
        metrics.observe(status, method, seconds);
    }
}

/// Who began a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Initiator {
    User,
    Idp,
    /// A message that was refused says nothing.
    Unknown,
}

impl Initiator {
    pub const fn label(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Idp => "idp",
            Self::Unknown => "",
        }
    }
}

/// What came of a logout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutResult {
    /// Here.
    Ended,
    /// Here, and the IdP is asked to end its own.
    Asked,
    /// The IdP says so.
    Complete,
    Partial,
    Failed,
    /// The IdP named a session that is not here.
    NoSession,
    Refused,
}

impl LogoutResult {
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Asked => "asked",
            Self::Complete => "complete",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::NoSession => "no_session",
            Self::Refused => "refused",
        }
    }
}

/// The series of one route; each counter is resolved once, at its first use.
struct RouteMetrics {
    route: String,
    requests: IntCounterVec,
    seconds: Histogram,
    by_class: [[OnceLock<IntCounter>; METHODS.len()]; CODES.len()],
}

const CODES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
const METHODS: [&str; 4] = ["read", "write", "options", "other"];

impl RouteMetrics {
    fn new(route: &str, requests: &IntCounterVec, seconds: &HistogramVec) -> Self {
        Self {
            route: route.to_owned(),
            requests: requests.clone(),
            seconds: seconds.with_label_values(&[route]),
            by_class: Default::default(),
        }
    }

    fn observe(&self, status: StatusCode, method: &Method, seconds: f64) {
        let (code, method) = (code_class(status), method_class(method));
        if let Some(cell) = self.by_class.get(code).and_then(|methods| methods.get(method)) {
            cell.get_or_init(|| {
                self.requests.with_label_values(&[&self.route, label(&CODES, code), label(&METHODS, method)])
            })
            .inc();
        }
        self.seconds.observe(seconds);
    }
}

fn label(labels: &[&'static str], index: usize) -> &'static str {
    labels.get(index).copied().unwrap_or("other")
}

fn code_class(status: StatusCode) -> usize {
    usize::from(status.as_u16() / 100).clamp(1, 5) - 1
}

fn method_class(method: &Method) -> usize {
    match *method {
        Method::GET | Method::HEAD => 0,
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE => 1,
        Method::OPTIONS => 2,
        _ => 3,
    }
}

impl Metrics {
    /// # Errors
    /// Two metrics of one name, which would be a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let requests = counters(
            &registry,
            "samlgate_http_requests_total",
            "Requests answered, by route, class of status and class of method.",
            &["route", "code", "method"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new(
                "samlgate_http_request_duration_seconds",
                "From the request's header to the end of the answer.",
            )
            .buckets(REQUEST_BUCKETS.to_vec()),
            &["route"],
        )?;
        registry.register(Box::new(seconds.clone()))?;
        let decisions = counters(
            &registry,
            "samlgate_auth_decisions_total",
            "Access decisions; the reason of a refusal is its code.",
            &["decision", "reason"],
        )?;
        describe_build(&registry)?;
        Ok(Self {
            requests,
            seconds,
            forwarded_public: decisions.with_label_values(&["forward", "public"]),
            forwarded_machine: decisions.with_label_values(&["forward", "machine"]),
            forwarded_signed_in: decisions.with_label_values(&["forward", "signed_in"]),
            decisions,
            logins: counters(
                &registry,
                "samlgate_logins_total",
                "Logins that came to an end; the reason of a refused one is its code.",
                &["idp", "result", "reason"],
            )?,
            logouts: counters(
                &registry,
                "samlgate_logouts_total",
                "Logouts, by who began them and what came of them.",
                &["idp", "initiator", "result"],
            )?,
            streams_ended: counters(
                &registry,
                "samlgate_streams_ended_total",
                "Exchanges under way that were cut off because of their session, by what became of it.",
                &["reason"],
            )?,
            store_errors: counters(
                &registry,
                "samlgate_session_store_errors_total",
                "Operations that the session store did not answer.",
                &["op"],
            )?,
            store_seconds: histogram(
                &registry,
                HistogramOpts::new(
                    "samlgate_session_store_duration_seconds",
                    "One command to the session store, or several at once, and back; with Redis alone.",
                )
                .buckets(STORE_BUCKETS.to_vec()),
            )?,
            forms: counters(
                &registry,
                "samlgate_forms_total",
                "Forms whose session had ended: kept, replayed, lost before the login or refused after it, and why.",
                &["result", "reason"],
            )?,
            metadata_refresh: counters(
                &registry,
                "samlgate_idp_metadata_refresh_total",
                "Looks at an identity provider's metadata_url, by what came of them.",
                &["idp", "result"],
            )?,
            metadata_success: gauges(
                &registry,
                "samlgate_idp_metadata_last_success_timestamp_seconds",
                "When metadata_url last answered with metadata that is used, or that it has not changed.",
                &["idp"],
            )?,
            keys_held: gauges(
                &registry,
                "samlgate_idp_keys_held",
                "Keys in the fetched metadata that are not used: their fingerprints are not in trusted_keys.",
                &["idp"],
            )?,
            addresses_held: gauges(
                &registry,
                "samlgate_idp_addresses_held",
                "Changed addresses in the fetched metadata that are not used until somebody approves them.",
                &["idp"],
            )?,
            certificate_not_after: not_after(&registry)?,
            #[cfg(feature = "second-opinion")]
            second_opinions: counters(
                &registry,
                "samlgate_second_opinion_total",
                "Accepted logins that the second verifier judged too; any that differs is an alarm.",
                &["result"],
            )?,
            saml_verify_seconds: histogram(
                &registry,
                HistogramOpts::new(
                    "samlgate_saml_verify_duration_seconds",
                    "Work on a response: parsing, signatures and all checks.",
                )
                .buckets(VERIFY_BUCKETS.to_vec()),
            )?,
            sessions_active: gauge(&registry, "samlgate_sessions_active", "Sessions that this process keeps.")?,
            session_cache_hits: counter(
                &registry,
                "samlgate_session_cache_hits_total",
                "Session look-ups answered by the cache.",
            )?,
            session_cache_misses: counter(
                &registry,
                "samlgate_session_cache_misses_total",
                "Session look-ups that went to the store.",
            )?,
            late_heads: counter(
                &registry,
                "samlgate_late_heads_total",
                "Connections that were cut off because the head of a request took too long.",
            )?,
            bad_proxy_headers: counter(
                &registry,
                "samlgate_bad_proxy_headers_total",
                "Connections that were closed because they did not begin with a PROXY header of a trusted proxy.",
            )?,
            audit_lost: counter(
                &registry,
                "samlgate_audit_events_lost_total",
                "Events that did not reach the audit log: its file could not be written fast enough, or not at all.",
            )?,
            upstream_healthy: gauges(
                &registry,
                "samlgate_upstream_healthy",
                "1 where a server of an upstream with a health_check is well by it, else 0.",
                &["upstream", "server"],
            )?,
            reloads: counters(
                &registry,
                "samlgate_reloads_total",
                "Settings that were read again, by what came of them.",
                &["result"],
            )?,
            reload_success: gauge(
                &registry,
                "samlgate_reload_last_success_timestamp_seconds",
                "When the settings were last taken, at the start or by a reload.",
            )?,
            registry,
        })
    }

    /// The series of requests, for the routes of these settings.
    pub fn of_routes(&self, settings: &Settings) -> RequestMetrics {
        let route = |id: &str| RouteMetrics::new(id, &self.requests, &self.seconds);
        RequestMetrics {
            routes: settings.routes.iter().map(|known| route(&known.id)).collect(),
            no_route: route(NO_ROUTE),
        }
    }

    /// Before the servers of other settings are checked.
    pub fn forget_upstreams(&self) {
        self.upstream_healthy.reset();
    }

    /// Both are names of the settings.
    pub fn upstream_is_healthy(&self, upstream: &str, server: &str, is_healthy: bool) {
        self.upstream_healthy.with_label_values(&[upstream, server]).set(i64::from(is_healthy));
    }

    pub fn settings_taken(&self, now: Timestamp) {
        self.reload_success.set(now.unix_seconds());
    }

    pub fn reloaded(&self, is_applied: bool) {
        self.reloads.with_label_values(&[if is_applied { "applied" } else { "refused" }]).inc();
    }

    pub fn forwarded(&self, identity: Option<&Identity>) {
        let counter = match identity {
            Some(Identity::Person(_)) => &self.forwarded_signed_in,
            Some(Identity::Machine(_)) => &self.forwarded_machine,
            None => &self.forwarded_public,
        };
        counter.inc();
    }

    pub fn served(&self) {
        self.decisions.with_label_values(&["serve", "endpoint"]).inc();
    }

    pub fn login_wanted(&self) {
        self.decisions.with_label_values(&["start_login", "no_session"]).inc();
    }

    pub fn refused(&self, code: &'static str) {
        self.decisions.with_label_values(&["refuse", code]).inc();
    }

    pub fn login_accepted(&self, idp: &str) {
        self.logins.with_label_values(&[idp, "accepted", ""]).inc();
    }

    /// `idp` is an id of the settings, or empty where the response names no login of ours.
    pub fn login_refused(&self, idp: &str, code: &'static str) {
        self.logins.with_label_values(&[idp, "refused", code]).inc();
    }

    #[cfg(feature = "second-opinion")]
    pub fn second_opinion(&self, agrees: bool) {
        self.second_opinions.with_label_values(&[if agrees { "agrees" } else { "differs" }]).inc();
    }

    /// `idp` is an id of the settings, or empty where a message was refused.
    pub fn logout(&self, idp: &str, initiator: Initiator, result: LogoutResult) {
        self.logouts.with_label_values(&[idp, initiator.label(), result.label()]).inc();
    }

    pub fn stream_ended(&self, end: StreamEnd) {
        self.streams_ended.with_label_values(&[end.label()]).inc();
    }

    pub fn store_failed(&self, operation: &'static str) {
        self.store_errors.with_label_values(&[operation]).inc();
    }

    pub fn form(&self, result: &'static str, reason: &'static str) {
        self.forms.with_label_values(&[result, reason]).inc();
    }

    pub fn metadata_looked_at(&self, idp: &str, look: Look, now: Timestamp) {
        self.metadata_refresh.with_label_values(&[idp, look.label()]).inc();
        if look != Look::Failed {
            self.metadata_success.with_label_values(&[idp]).set(now.unix_seconds());
        }
    }

    /// What the fetched metadata offers and is not used.
    pub fn metadata_held(&self, idp: &str, held: &[Held]) {
        let addresses = held.iter().filter(|held| matches!(held, Held::Address { .. })).count();
        let set = |gauges: &IntGaugeVec, count: usize| {
            gauges.with_label_values(&[idp]).set(i64::try_from(count).unwrap_or(i64::MAX));
        };
        set(&self.keys_held, held.len().saturating_sub(addresses));
        set(&self.addresses_held, addresses);
    }

    /// The keys of an IdP have changed, and with them the day on which the first of their certificates ends.
    pub fn keys_end(&self, idp: &str, certificates: &[Certificate]) {
        if let Some(first) = certificates.iter().map(Certificate::not_after).min() {
            self.set_end(&format!("idp:{idp}"), first);
        }
    }

    pub fn listener_certificate_ends(&self, at: Timestamp) {
        self.set_end("tls", at);
    }

    // Seconds since 1970 fit into the 53 bits of a float.
    #[expect(clippy::cast_precision_loss, reason = "see above")]
    fn set_end(&self, of: &str, at: Timestamp) {
        self.certificate_not_after.with_label_values(&[of]).set(at.unix_seconds() as f64);
    }

    /// Of an IdP that is no more.
    pub fn forget_idp(&self, idp: &str) {
        // What was never set is not there to be removed.
        let _ = self.certificate_not_after.remove_label_values(&[&format!("idp:{idp}")]);
        for gauges in [&self.metadata_success, &self.keys_held, &self.addresses_held] {
            let _ = gauges.remove_label_values(&[idp]);
        }
    }

    /// The text that Prometheus reads, and its content type.
    pub fn render(&self) -> (Vec<u8>, String) {
        let encoder = TextEncoder::new();
        let mut text = Vec::new();
        // Writing to a Vec cannot fail, and the families are well-formed by construction.
        let _ = encoder.encode(&self.registry.gather(), &mut text);
        (text, encoder.format_type().to_owned())
    }
}

/// What does not change while the process runs.
fn describe_build(registry: &Registry) -> Result<(), prometheus::Error> {
    let build = Gauge::with_opts(
        Opts::new("samlgate_build_info", "Always 1; the labels say which version runs.")
            .const_label("version", env!("CARGO_PKG_VERSION")),
    )?;
    build.set(1.0);
    registry.register(Box::new(build))
}

fn not_after(registry: &Registry) -> Result<GaugeVec, prometheus::Error> {
    let not_after = GaugeVec::new(
        Opts::new(
            "samlgate_certificate_not_after_timestamp_seconds",
            "When a certificate ends; of several of one IdP, the one that ends first.",
        ),
        &["use"],
    )?;
    registry.register(Box::new(not_after.clone()))?;
    Ok(not_after)
}

fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntCounterVec, prometheus::Error> {
    let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> Result<IntGaugeVec, prometheus::Error> {
    let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let metric = IntCounter::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn gauge(registry: &Registry, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    let metric = IntGauge::new(name, help)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn histogram(registry: &Registry, options: HistogramOpts) -> Result<Histogram, prometheus::Error> {
    let metric = Histogram::with_opts(options)?;
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}
