//! A suite of checks with real servers around: each check is a claim, and what shows it.

use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

use crate::report::Report;

/// No check waits for anything longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// A claim, and what shows it.
pub(crate) type Check = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! checks {
    ($($claim:literal => $check:expr),+ $(,)?) => {
        vec![$((
            $claim,
            (|| Box::pin($check)) as fn() -> std::pin::Pin<Box<dyn Future<Output = ()>>>,
        )),+]
    };
}
pub(crate) use checks;

/// Runs the parts in order, and ends with what failed; at once when it is told to.
pub(crate) fn run(parts: impl Iterator<Item = (String, Vec<Check>)>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("the runtime cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    // What failed is told by the report; here, where.
    std::panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            eprintln!("          at {place}");
        }
    }));
    runtime.block_on(async {
        let mut stopped = signal(SignalKind::terminate()).expect("a handler can be set");
        tokio::select! {
            code = run_all(parts) => code,
            _ = stopped.recv() => ExitCode::FAILURE,
        }
    })
}

async fn run_all(parts: impl Iterator<Item = (String, Vec<Check>)>) -> ExitCode {
    let mut report = Report::new();
    for (name, checks) in parts {
        report.heading(&name, "");
        for (claim, check) in checks {
            let check = async move { timeout(PATIENCE, check()).await.expect("it took too long") };
            let done = LocalSet::new().run_until(async { spawn_local(check).await }).await;
            report.check(claim, done, String::new);
        }
    }
    report.finish()
}
