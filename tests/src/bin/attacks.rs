//! `attacks` prints the attack table; `attacks transplant` runs every transplant.

use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use harness::attacks::report::{Shown, json, markdown, text};
use harness::attacks::{gateway, rows, sha1_by_openssl};
use harness::gateway::Program;
use harness::transplant::{Stride, Tried, run};

/// Every document for the verifier, one in forty for the slow weak ones.
const WHOLE: Stride = Stride { strict: 1, weak: 40 };

#[derive(Parser)]
#[command(
    about = "The rows of the attack catalogue, each beside its control: A to F against the verifier and the weak verifier that \
             the attack fools, G against a running gateway"
)]
struct Arguments {
    /// For machines.
    #[arg(long)]
    json: bool,
    /// Only these rows.
    #[arg(long, value_delimiter = ',')]
    row: Vec<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Copies and moves every subtree of signed responses to every place, and between signed documents.
    Transplant,
    /// Writes `tests/attacks/rsa-sha1.xml` anew, with OpenSSL.
    Sha1,
    /// Both, as the page docs/proof/attacks.md.
    Page {
        /// At which commit.
        #[arg(long)]
        commit: String,
    },
}

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|word| word == "samlgate") {
        return harness::demo::main(std::env::args_os().collect());
    }
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Transplant) => {
            let (lines, passed, failed) = transplants();
            print!("{lines}");
            ended(passed, failed)
        }
        Some(Command::Sha1) => {
            println!("{}", sha1_by_openssl());
            ExitCode::SUCCESS
        }
        Some(Command::Page { commit }) => {
            let shown = table(&[]);
            let (lines, _, failed) = transplants();
            print!("{}", markdown(&shown, &commit, &lines));
            if failed == 0 && shown.iter().all(Shown::holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        None => {
            let shown = table(&arguments.row);
            let failed = shown.iter().filter(|row| !row.holds()).count();
            if arguments.json {
                println!("{}", json(&shown));
                return if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            print!("{}", text(&shown));
            ended(shown.len() - failed, failed)
        }
    }
}

fn table(chosen: &[String]) -> Vec<Shown> {
    let is_chosen = |number: &str| chosen.is_empty() || chosen.iter().any(|row| row == number);
    let mut shown: Vec<Shown> = rows().iter().filter(|row| is_chosen(row.number)).map(Shown::of).collect();
    shown.extend(gateway_table(chosen));
    shown
}

/// Against samlgate as a process: this program is it, too.
fn gateway_table(chosen: &[String]) -> Vec<Shown> {
    let numbers = 93..=117;
    if !chosen.is_empty() && !chosen.iter().any(|row| row.parse().is_ok_and(|number: u32| numbers.contains(&number))) {
        return Vec::new();
    }
    let this = std::env::current_exe().expect("the path of this program");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(gateway::run(Program::demo(this), chosen))
}

/// A line a pair, and how many pairs hold.
fn transplants() -> (String, usize, usize) {
    let start = Instant::now();
    let pairs = run(WHOLE);
    let took = start.elapsed().as_secs_f64();
    let mut lines = String::new();
    for pair in &pairs {
        lines += &format!("- {}\n  - {}\n", pair.line(), pair.weak_line());
        for login in pair.accepted_otherwise.iter().take(3) {
            lines += &format!("  - ACCEPTED {login}\n");
        }
    }
    let documents: usize = pairs.iter().map(|pair| pair.documents).sum();
    let unchanged: usize = pairs.iter().map(|pair| pair.unchanged).sum();
    lines +=
        &format!("\n{documents} documents in all, {unchanged} accepted unchanged, in {took:.0} s on two threads\n");
    let good =
        |pair: &&Tried| pair.holds() && pair.documents >= 20_000 && pair.weak.iter().any(|(.., fooled)| *fooled > 0);
    let passed = pairs.iter().filter(good).count();
    (lines, passed, pairs.len() - passed)
}

fn ended(passed: usize, failed: usize) -> ExitCode {
    println!("{passed} passed, {failed} failed, 0 skipped");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
