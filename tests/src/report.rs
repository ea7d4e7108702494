//! What is told, and counted.

use std::process::ExitCode;
use std::time::Instant;

use tokio::task::JoinError;

#[derive(Debug)]
pub(crate) struct Report {
    since: Instant,
    passed: usize,
    failed: usize,
    skipped: usize,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), passed: 0, failed: 0, skipped: 0 }
    }

    pub(crate) fn heading(&self, name: &str, version: &str) {
        println!("\n{name} {version}");
    }

    /// `last_lines` is asked for what the issuer wrote, if the check failed.
    pub(crate) fn check(&mut self, claim: &str, done: Result<(), JoinError>, last_lines: impl FnOnce() -> String) {
        match done {
            Ok(()) => {
                self.passed += 1;
                println!("  ok      {claim}");
            }
            Err(error) => {
                self.fail(claim, &reason(error));
                println!("{}", indented(&last_lines()));
            }
        }
    }

    pub(crate) fn fail(&mut self, claim: &str, reason: &str) {
        self.failed += 1;
        println!("  FAILED  {claim}\n{}", indented(reason));
    }

    /// What a machine lacks is no failure, unless it is one that must have everything.
    pub(crate) fn skip(&mut self, claim: &str, reason: &str) {
        if std::env::var("CI").is_ok_and(|value| value == "true") {
            return self.fail(claim, reason);
        }
        self.skipped += 1;
        let reason: Vec<_> = reason.split_whitespace().collect();
        println!("  skipped {claim}: {}", reason.join(" "));
    }

    pub(crate) fn finish(&self) -> ExitCode {
        println!("\n{} s", self.since.elapsed().as_secs());
        println!("{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped);
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

fn reason(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "it was cancelled".to_owned();
    };
    match (panic.downcast_ref::<String>(), panic.downcast_ref::<&str>()) {
        (Some(text), _) => text.clone(),
        (None, Some(text)) => (*text).to_owned(),
        (None, None) => "it panicked".to_owned(),
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("          {line}")).collect::<Vec<_>>().join("\n")
}
