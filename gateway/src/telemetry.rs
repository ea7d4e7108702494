//! Logs: JSON lines (or text) on stdout, and the request id that ties them together.
//!
//! Never in a line: a query, a cookie, a RelayState, a SAMLResponse, a NameID, an e-mail or a unique id.

use std::cell::RefCell;
use std::fmt;
use std::io::IsTerminal;

use aws_lc_rs::rand;
use config::{LogFormat, LogSettings};
use http::{HeaderMap, HeaderName, HeaderValue};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Of the trace that the client or a proxy began (W3C Trace Context §3.2.2); its headers go on to the application as they came.
pub fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut lines = headers.get_all(TRACEPARENT).iter();
    let (only, None) = (lines.next()?.to_str().ok()?, lines.next()) else { return None };
    let mut parts = only.split('-');
    let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_hex =
        |text: &str, length| text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let is_known = version == "00" && parts.next().is_none() || version != "00" && version != "ff";
    let is_whole = is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    (is_known && is_whole && trace.bytes().any(|byte| byte != b'0')).then_some(trace)
}

/// Lines that wait for whoever reads them. When they are more, lines are lost and not requests.
const WAITING_LINES: usize = 16 * 1024;

/// Starts logging. Called once, before anything is logged. What is still unwritten is written when the guard goes.
pub fn init(settings: &LogSettings) -> WorkerGuard {
    let level = settings.level.parse().unwrap_or(LevelFilter::INFO);
    // Libraries write headers and addresses at lower levels; whatever is asked for, theirs stay off.
    let filter = Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("gateway", level);
    let (writer, guard) =
        NonBlockingBuilder::default().buffered_lines_limit(WAITING_LINES).lossy(true).finish(std::io::stdout());
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    let layer = match settings.format {
        LogFormat::Json => layer.json().flatten_event(true).with_current_span(false).with_span_list(false).boxed(),
        LogFormat::Text => layer.with_ansi(std::io::stdout().is_terminal()).boxed(),
    };
    // A second initialisation, as in a test process, keeps the first.
    let _ = tracing_subscriber::registry().with(layer.with_filter(filter)).try_init();
    if log::set_logger(&LibraryLog).is_ok() {
        log::set_max_level(log::LevelFilter::Warn);
    }
    std::panic::set_hook(Box::new(|panic| {
        // The message may hold a stranger's input; only a literal one is shown.
        let message = panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("details withheld");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.location = location, "panic: {message}");
    }));
    guard
}

/// Pingora's own lines. Its errors are mostly what strangers do to a socket, so they count as warnings.
struct LibraryLog;

impl log::Log for LibraryLog {
    fn enabled(&self, metadata: &log::Metadata<'_>) -> bool {
        metadata.level() <= log::Level::Warn
    }

    fn log(&self, record: &log::Record<'_>) {
        if self.enabled(record.metadata()) {
            tracing::warn!(target: "gateway::library", library = record.target(), "{}", record.args());
        }
    }

    fn flush(&self) {}
}

/// 128 random bits in hexadecimal that name one request: in the log, on our pages and at the upstream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HttpRequestId([u8; 32]);

/// One draw from the system's generator serves this many requests of a thread.
const IDS_PER_DRAW: usize = 64;

struct IdPool {
    bytes: [u8; 16 * IDS_PER_DRAW],
    used: usize,
}

thread_local! {
    static ID_POOL: RefCell<IdPool> =
        const { RefCell::new(IdPool { bytes: [0; 16 * IDS_PER_DRAW], used: 16 * IDS_PER_DRAW }) };
}

impl HttpRequestId {
    pub fn draw() -> Self {
        ID_POOL.with_borrow_mut(|pool| {
            if pool.used >= pool.bytes.len() && rand::fill(&mut pool.bytes).is_ok() {
                pool.used = 0;
            }
            let bytes = pool.bytes.get(pool.used..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; 16]);
            pool.used += 16;
            Self::from_bytes(bytes)
        })
    }

    fn from_bytes(bytes: [u8; 16]) -> Self {
        let mut hex = [b'0'; 32];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(bytes) {
            for (digit, value) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = if value < 10 { b'0' + value } else { b'a' + value - 10 };
            }
        }
        Self(hex)
    }

    pub fn to_value(self) -> HeaderValue {
        // Hexadecimal digits only, see `from_bytes`.
        HeaderValue::from_bytes(&self.0).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    pub fn as_str(&self) -> &str {
        // Hexadecimal digits only, see `from_bytes`.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for HttpRequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn request_ids_are_32_hexadecimal_digits_and_do_not_repeat() {
        let ids: HashSet<String> = (0..1000).map(|_| HttpRequestId::draw().to_string()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())));
        assert_eq!(HttpRequestId::from_bytes([0xa9; 16]).as_str(), "a9".repeat(16));
    }

    #[test]
    fn a_trace_is_read_where_it_is_written_as_the_standard_says() {
        let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |lines: &[&str]| {
            let pairs: Vec<_> = lines.iter().map(|line| ("traceparent", *line)).collect();
            trace_id(&crate::testing::headers(&pairs)).map(str::to_owned)
        };
        let good = format!("00-{trace}-00f067aa0ba902b7-01");
        assert_eq!(read(&[&good]).as_deref(), Some(trace));
        assert_eq!(read(&[&format!("cc-{trace}-00f067aa0ba902b7-01-more")]).as_deref(), Some(trace));
        for bad in [
            "",
            "00",
            "a secret",
            &good.to_uppercase(),
            &format!("{good}-more"),
            &format!("ff-{trace}-00f067aa0ba902b7-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
        ] {
            assert_eq!(read(&[bad]), None, "{bad}");
        }
        assert_eq!(read(&[&good, &good]), None);
    }
}
