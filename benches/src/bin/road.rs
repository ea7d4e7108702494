//! samlgate's request road beside bare Pingora, nginx, HAProxy, Apache with mod_auth_mellon and oauth2-proxy, in one run.
//! `benches/run-road` installs and builds what it needs, and starts it on the second core.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use benches::road::contestants::{self, Application, BODY, Contestant, Mellon, Samlgate};
use benches::road::load;
use benches::road::process::{processor_time, resident};
use benches::road::report::{Row, median, plot, spread, table};
use serde_json::json;

/// How long it looks.
struct Pace {
    rounds: usize,
    slice: Duration,
    sessions: usize,
    logins: usize,
}

const THOROUGH: Pace = Pace { rounds: 15, slice: Duration::from_millis(1500), sessions: 100_000, logins: 200 };
const QUICK: Pace = Pace { rounds: 3, slice: Duration::from_millis(300), sessions: 200, logins: 10 };

const CONNECTIONS: usize = 64;
const HOT: usize = 64;
/// Over all sessions, in no order that a cache could know.
const STRIDE: usize = 7_919;

/// The bars: over bare Pingora, and over nginx's plain proxy.
const OVER_PINGORA: f64 = 1.03;
const OVER_NGINX: f64 = 1.45;
const AHEAD: f64 = 2.0;

const NGINX: &str = "nginx";
const AUTH_REQUEST: &str = "nginx + auth_request to nothing";
const HAPROXY: &str = "HAProxy";
const BARE: &str = "Pingora, bare";
const SAMLGATE: &str = "samlgate";
const LOGGED: &str = "samlgate, access log and JWT";
const RANDOM: &str = "samlgate, random sessions";
const MELLON: &str = "Apache + mod_auth_mellon";
const OAUTH2: &str = "oauth2-proxy";

/// Who takes part; all where nobody is named.
struct Only(Vec<String>);

impl Only {
    /// Of `--only NAME`, as often as it comes.
    fn of(arguments: &[String]) -> Self {
        let pairs = arguments.iter().zip(arguments.iter().skip(1));
        Self(pairs.filter(|(option, _)| *option == "--only").map(|(_, name)| name.clone()).collect())
    }

    fn has(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|each| each == name)
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let only = Only::of(&arguments);
    let pace = if arguments.iter().any(|argument| argument == "--quick") { QUICK } else { THOROUGH };
    let programs = std::env::current_exe().expect("this program has a file");
    let programs = programs.parent().expect("it lies in a folder").to_owned();
    let oauth2_proxy = std::env::var_os("OAUTH2_PROXY").map(PathBuf::from);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let field = runtime.block_on(field(&programs, oauth2_proxy.as_deref(), &pace, &only));
    let rows = measure(&field, &pace);
    let report = report(&rows, &field);
    println!("{report}");
    let missed = missed(&rows);
    missed.iter().for_each(|line| println!("MISSED: {line}"));
    if std::env::var_os("UPDATE_DOCS").is_some() && only.0.is_empty() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        std::fs::write(docs.join("performance.svg"), plot(&rows)).expect("the plot is written");
        std::fs::write(docs.join("performance.md"), page(&report, &missed)).expect("the page is written");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Who runs, and what was measured while they were set up.
struct Field {
    contestants: Vec<Contestant>,
    application: Application,
    /// Lines of text.
    notes: Vec<String>,
}

async fn field(programs: &Path, oauth2_proxy: Option<&Path>, pace: &Pace, only: &Only) -> Field {
    let application = Application::start();
    let behind = application.address;
    let mut notes = Vec::new();
    let mut contestants = Vec::new();
    if only.has(NGINX) {
        contestants.push(contestants::nginx(NGINX, behind));
    }
    if only.has(AUTH_REQUEST) {
        contestants.push(contestants::nginx_that_asks(AUTH_REQUEST, behind));
    }
    if only.has(HAPROXY) {
        contestants.push(contestants::haproxy(HAPROXY, behind));
    }
    if only.has(BARE) {
        contestants.push(contestants::bare_pingora(BARE, &programs.join("bare"), behind));
    }
    let samlgate = programs.join("samlgate");
    let start = async |more: &[(&str, serde_json::Value)]| Samlgate::start(&samlgate, behind, more).await;
    if only.has(SAMLGATE) {
        contestants.push(start(&[]).await.contestant(SAMLGATE, HOT).await);
    }
    if only.has(LOGGED) {
        let logged = [("log", json!({ "access": true, "level": "info" })), ("routes.0.identity_jwt", json!(true))];
        contestants.push(start(&logged).await.contestant(LOGGED, HOT).await);
    }
    if only.has(RANDOM) {
        let many = start(&[]).await;
        let idle = resident(many.process());
        let many = many.contestant(RANDOM, pace.sessions).await;
        notes.push(format!(
            "- Memory of samlgate: {:.1} MB idle, {:.1} MB with {} sessions.",
            idle as f64 / 1e6,
            resident(many.process) as f64 / 1e6,
            pace.sessions
        ));
        contestants.push(many);
    }
    if only.has(MELLON) {
        let timed = start(&[]).await;
        let samlgates = cost_of_login(timed.process(), pace, async |number| timed.sign_in(number).await).await;
        drop(timed);
        let mellon = Mellon::start(behind).await;
        let mellons = cost_of_login(mellon.process(), pace, async |number| mellon.sign_in(number).await).await;
        notes.push(format!(
            "- CPU of a whole sign-in, every request of the browser with it: samlgate {:.2} ms, mod_auth_mellon {:.2} ms.",
            samlgates.as_secs_f64() * 1e3,
            mellons.as_secs_f64() * 1e3
        ));
        contestants.push(mellon.contestant(MELLON, HOT).await);
    }
    match oauth2_proxy {
        Some(program) if only.has(OAUTH2) => {
            contestants.push(contestants::oauth2_proxy(OAUTH2, program, behind, HOT).await);
        }
        Some(_) => {}
        None => notes.push("- oauth2-proxy was not there to be measured.".to_owned()),
    }
    Field { contestants, application, notes }
}

async fn cost_of_login(process: u32, pace: &Pace, sign_in: impl AsyncFn(usize) -> String) -> Duration {
    sign_in(0).await;
    let before = processor_time(process);
    for number in 0..pace.logins {
        sign_in(number).await;
    }
    (processor_time(process) - before) / u32::try_from(pace.logins).unwrap_or(1)
}

fn measure(field: &Field, pace: &Pace) -> Vec<Row> {
    let mut rows: Vec<Row> = field.contestants.iter().map(row).collect();
    for contestant in &field.contestants {
        // Pools, caches and pages.
        ask(contestant, CONNECTIONS, pace.slice);
    }
    for round in 0..pace.rounds {
        let mut spent = vec![Duration::ZERO; rows.len()];
        for turn in 0..rows.len() {
            // Another order each round.
            let index = (turn * 7 + round * 3) % rows.len();
            spent[index] = cost(&field.contestants[index], pace.slice);
        }
        let first = spent[0].as_secs_f64();
        for (row, spent) in rows.iter_mut().zip(spent) {
            row.cpu.push(spent);
            row.ratios.push(spent.as_secs_f64() / first);
        }
    }
    let alone = load::run(field.application.address, &field.contestants[0].requests, BODY, 1, 0, pace.slice);
    for (row, contestant) in rows.iter_mut().zip(&field.contestants) {
        let figures = ask(contestant, 1, pace.slice);
        let added =
            |quantile| (figures.quantile(quantile).as_secs_f64() - alone.quantile(quantile).as_secs_f64()) * 1e6;
        (row.p50_added, row.p99_added) = (added(0.5), added(0.99));
        row.resident = resident(contestant.process);
    }
    rows
}

fn row(contestant: &Contestant) -> Row {
    Row {
        name: contestant.name.to_owned(),
        authenticates: contestant.authenticates,
        cpu: Vec::new(),
        ratios: Vec::new(),
        p50_added: 0.0,
        p99_added: 0.0,
        resident: 0,
    }
}

/// # Panics
/// An answer was not the application's.
fn ask(contestant: &Contestant, connections: usize, slice: Duration) -> load::Figures {
    let stride = if contestant.requests.len() > HOT { STRIDE } else { 0 };
    let figures = load::run(contestant.address, &Arc::clone(&contestant.requests), BODY, connections, stride, slice);
    assert!(figures.wrong == 0, "{}: {} of {} wrong", contestant.name, figures.wrong, figures.requests);
    figures
}

/// Time of the processor per request.
fn cost(contestant: &Contestant, slice: Duration) -> Duration {
    let before = processor_time(contestant.process);
    let figures = ask(contestant, CONNECTIONS, slice);
    let spent = processor_time(contestant.process) - before;
    spent / u32::try_from(figures.requests.max(1)).unwrap_or(u32::MAX)
}

fn find<'r>(rows: &'r [Row], name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.name == name)
}

/// Of each round, so that the machine's pace drops out.
fn over(rows: &[Row], one: &str, other: &str) -> Vec<f64> {
    let (Some(one), Some(other)) = (find(rows, one), find(rows, other)) else { return Vec::new() };
    one.ratios.iter().zip(&other.ratios).map(|(one, other)| one / other).collect()
}

fn missed(rows: &[Row]) -> Vec<String> {
    let mut missed = Vec::new();
    let mut at_most = |one, other, bar: f64| {
        let found = median(&over(rows, one, other));
        if found > bar {
            missed.push(format!("{one} takes {found:.3} x {other}, at most {bar} is wanted"));
        }
    };
    at_most(SAMLGATE, BARE, OVER_PINGORA);
    at_most(SAMLGATE, NGINX, OVER_NGINX);
    at_most(SAMLGATE, MELLON, 1.0 / AHEAD);
    at_most(SAMLGATE, OAUTH2, 1.0 / AHEAD);
    missed
}

fn report(rows: &[Row], field: &Field) -> String {
    let mut text = table(rows);
    text.push('\n');
    for (one, other) in [(SAMLGATE, BARE), (SAMLGATE, NGINX), (MELLON, SAMLGATE), (OAUTH2, SAMLGATE)] {
        let ratios = over(rows, one, other);
        if !ratios.is_empty() {
            let (low, high) = spread(&ratios);
            let _ = writeln!(text, "- {one} over {other}: {:.3} x ({low:.3} to {high:.3})", median(&ratios));
        }
    }
    for note in &field.notes {
        let _ = writeln!(text, "{note}");
    }
    text
}

fn page(report: &str, missed: &[String]) -> String {
    let missed: String = missed.iter().map(|line| format!("- Missed: {line}.\n")).collect();
    format!(
        "# Performance\n\n\
         What a request costs that has a session, beside other proxies in the same run.\n\n\
         ![CPU per request](performance.svg)\n\n{report}{missed}\n\
         Made at commit `{}` on {} by\n\n```\nbenches/run-road\n```\n\n\
         ## How\n\n\
         - Each contestant alone on one core, the load and the application (nginx with a file of 1 kB) on another. {CONNECTIONS} \
         connections in a closed loop, kept open, a browser's headers with five cookies. Every answer must be 200 with the body of the \
         application, or there is no figure.\n\
         - {} rounds of {:?} each; in a round every contestant has its turn, in another order each time. CPU is what the kernel counts \
         for all threads of the contestant (schedstat), over the requests. Ratios are those within a round: their median, and in \
         brackets the middle half. The machine is a shared one: trust the ratios.\n\
         - p50 and p99 are of one request at a time over one connection, less the same without a proxy.\n\
         - samlgate: store `memory`, {HOT} sessions of real sign-ins, preset headers and metrics on, one thread; log and JWT off unless \
         it says so. Bare Pingora is `benches/src/bin/bare.rs`: the same profile (`dist`), features and allocator.\n\
         - Apache: mpm_event, mod_proxy_http, mod_auth_mellon with its sessions in shared memory, {HOT} real sign-ins at the same IdP. \
         oauth2-proxy: GOMAXPROCS=1, session in the cookie, a login by htpasswd, request logs off.\n\
         - Not measured: mod_shib and saml-auth-proxy, which this script does not set up.\n",
        benches::commit(),
        benches::machine(),
        THOROUGH.rounds,
        THOROUGH.slice,
    )
}
