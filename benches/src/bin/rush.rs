//! A rush of logins while others go on: how many sign-ins a second one core finishes, and what 80 % of that does to those who are
//! signed in. `benches/run-rush` builds what it needs, and starts it on the second core.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use benches::road::contestants::{Application, BODY, Samlgate};
use benches::road::load::{Connection, Figures};
use tokio::task::JoinSet;

/// How much.
struct Pace {
    /// In each of the two runs.
    logins: usize,
    alone: Duration,
}

const THOROUGH: Pace = Pace { logins: 6_000, alone: Duration::from_secs(10) };
const QUICK: Pace = Pace { logins: 200, alone: Duration::from_secs(1) };

/// Who is signed in: so many, each over a connection that is kept.
const USERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);
/// Connections that bring logins.
const LANES: usize = 64;
/// Of the logins a second that are finished with nothing else to do. A little more than what must be reached.
const SHARE: f64 = 0.82;
const REACHED: f64 = 0.80;
const SLOWER: f64 = 2.0;

fn main() -> ExitCode {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let pace = if quick { QUICK } else { THOROUGH };
    let own = std::env::current_exe().expect("this program has a file");
    let samlgate = own.with_file_name("samlgate");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(rush(&samlgate, &pace));
    let report = outcome.report();
    println!("{report}");
    let missed = outcome.missed();
    missed.iter().for_each(|line| println!("MISSED: {line}"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proof/rush.md");
        std::fs::write(page, outcome.page(&report, &missed)).expect("the page is written");
    }
    if missed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

struct Outcome {
    /// Logins a second with nothing else to do, and while others go on.
    most: f64,
    reached: f64,
    alone: Figures,
    during: Figures,
}

impl Outcome {
    fn slower(&self) -> f64 {
        self.during.quantile(0.99).as_secs_f64() / self.alone.quantile(0.99).as_secs_f64()
    }

    fn report(&self) -> String {
        let share = self.reached / self.most;
        let mut text = format!(
            "- Logins a second with nothing else to do: {:.0}.\n- While others go on: {:.0}, {:.0} % of that.\n",
            self.most,
            self.reached,
            share * 100.0
        );
        for (name, figures) in [("alone", &self.alone), ("during the rush", &self.during)] {
            let at = |quantile| figures.quantile(quantile).as_secs_f64() * 1e3;
            let _ = writeln!(
                text,
                "- {USERS} who are signed in, {name}: p50 {:.2} ms, p99 {:.2} ms, {} requests.",
                at(0.5),
                at(0.99),
                figures.requests
            );
        }
        let _ = writeln!(text, "- Their p99 is {:.2} x.", self.slower());
        text
    }

    fn missed(&self) -> Vec<String> {
        let mut missed = Vec::new();
        if self.reached < self.most * REACHED {
            missed.push(format!(
                "{:.0} % of the logins, at least {:.0} % are wanted",
                self.reached / self.most * 100.0,
                REACHED * 100.0
            ));
        }
        if self.slower() > SLOWER {
            missed.push(format!("p99 is {:.2} x, at most {SLOWER} is wanted", self.slower()));
        }
        missed
    }

    fn page(&self, report: &str, missed: &[String]) -> String {
        let missed: String = missed.iter().map(|line| format!("- Missed: {line}.\n")).collect();
        format!(
            "# A rush of logins\n\n{report}{missed}\nMade at commit `{}` on {} by `benches/run-rush`.\n\n\
             samlgate has one core, the load and the application the other. Responses of RSA-2048, both signatures, were signed \
             before; each is posted with its own login's cookie and must open a session. Those who are signed in ask every {PAUSE:?} \
             over connections that they keep, and every answer must be the application's.\n",
            benches::commit(),
            benches::machine(),
        )
    }
}

async fn rush(program: &Path, pace: &Pace) -> Outcome {
    let application = Application::start();
    let gateway = Samlgate::start(program, application.address, &[]).await;
    let address = gateway.address();
    let mut users = Vec::new();
    for number in 0..USERS {
        users.push(gateway.request(number).await);
    }
    // As many as one address may have under way.
    let logins = prepared(&gateway, pace.logins).await;
    let begun = Instant::now();
    post_all(address, logins, None).await;
    let most = pace.logins as f64 / begun.elapsed().as_secs_f64();
    let logins = prepared(&gateway, pace.logins).await;
    let alone = go_on(address, &users, Instant::now() + pace.alone).await;
    let begun = Instant::now();
    let until = begun + Duration::from_secs_f64(pace.logins as f64 / (most * SHARE));
    let (reached, during) = tokio::join!(
        async {
            post_all(address, logins, Some(most * SHARE)).await;
            pace.logins as f64 / begun.elapsed().as_secs_f64()
        },
        go_on(address, &users, until)
    );
    Outcome { most, reached, alone, during }
}

async fn prepared(gateway: &Samlgate, logins: usize) -> VecDeque<Vec<u8>> {
    let mut all = VecDeque::with_capacity(logins);
    for number in 0..logins {
        all.push_back(gateway.last_step(number).await);
    }
    all
}

/// Every one of them, so many a second, or as fast as they are taken.
///
/// # Panics
/// One did not sign anybody in.
async fn post_all(address: SocketAddr, logins: VecDeque<Vec<u8>>, a_second: Option<f64>) {
    let begun = Instant::now();
    let queue = Arc::new(Mutex::new((0_u32, logins)));
    let mut lanes = JoinSet::new();
    for _ in 0..LANES {
        let queue = Arc::clone(&queue);
        lanes.spawn(async move {
            let mut connection = Connection::open(address).await;
            loop {
                let (number, login) = {
                    let mut queue = queue.lock().expect("no holder panics");
                    let Some(login) = queue.1.pop_front() else { break };
                    queue.0 += 1;
                    (queue.0, login)
                };
                if let Some(a_second) = a_second {
                    tokio::time::sleep_until((begun + Duration::from_secs_f64(f64::from(number) / a_second)).into())
                        .await;
                }
                let answer = connection.ask(&login).await;
                assert!(answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.1 30"), "{answer}");
                assert!(answer.contains("__Host-samlgate="), "{answer}");
            }
        });
    }
    while let Some(lane) = lanes.join_next().await {
        lane.expect("every login succeeds");
    }
}

/// Those who are signed in, each at their own pace.
async fn go_on(address: SocketAddr, users: &[Vec<u8>], until: Instant) -> Figures {
    let mut all = Figures::default();
    let mut tasks = JoinSet::new();
    for (number, request) in users.iter().cloned().enumerate() {
        tasks.spawn(async move {
            let mut figures = Figures::default();
            let mut connection = Connection::open(address).await;
            tokio::time::sleep(PAUSE.mul_f64(number as f64 / USERS as f64)).await;
            while Instant::now() < until {
                let begun = Instant::now();
                let answer = connection.ask(&request).await;
                figures.times.push(begun.elapsed());
                figures.requests += 1;
                assert!(answer.as_bytes().ends_with(BODY), "{answer}");
                tokio::time::sleep(PAUSE).await;
            }
            figures
        });
    }
    while let Some(figures) = tasks.join_next().await {
        let figures = figures.expect("every answer is the application's");
        all.requests += figures.requests;
        all.times.extend(figures.times);
    }
    all
}
