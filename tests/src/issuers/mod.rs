//! The issuer suite: logins through identity providers that are not ours. `tests/issuers/run` installs them and runs
//! the binary `issuers`, which starts each for real, with the real samlgate in front of the harness's application.

mod documents;
mod keycloak;
mod kind;
mod login;
mod logout;
mod modes;
mod people;
mod process;
mod world;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};

use crate::gateway::Program;
use crate::issuer::Sign;
use crate::report::Report;
use kind::{Kind, Places};
use login::{Arrival, assert_admitted, assert_refused, sign_in, signed_parts};
use logout::Begun;
use modes::{Mode, Outcome};
use people::people;

use world::World;

/// Logins through real issuers.
#[derive(Parser)]
#[command(name = "issuers")]
struct Arguments {
    /// Only this issuer; may be given again
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,

    /// Names every scenario and runs none
    #[arg(long)]
    list: bool,

    /// Logs in N times and writes each response with its facts into DIR
    #[arg(long, num_args = 2, value_names = ["N", "DIR"])]
    collect: Option<Vec<String>>,

    /// tests/issuers
    #[arg(long, value_name = "DIR")]
    suite: PathBuf,

    /// Issuers that could not be installed, each with the reason: NAME=REASON
    #[arg(long, value_name = "NAME=REASON")]
    missing: Vec<String>,
}

pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no threads: {error}")),
    };
    // A failed check is told by the report, once.
    std::panic::set_hook(Box::new(|_| {}));
    runtime.block_on(async {
        let (mut terminate, mut interrupt) = match (signal(SignalKind::terminate()), signal(SignalKind::interrupt())) {
            (Ok(terminate), Ok(interrupt)) => (terminate, interrupt),
            _ => return failed("no signals"),
        };
        tokio::select! {
            outcome = run(arguments) => outcome.unwrap_or_else(|reason| failed(&reason)),
            _ = terminate.recv() => failed("stopped"),
            _ = interrupt.recv() => failed("stopped"),
        }
    })
}

fn failed(reason: &str) -> ExitCode {
    eprintln!("issuers: {reason}");
    ExitCode::FAILURE
}

async fn run(arguments: Arguments) -> Result<ExitCode, String> {
    let is_wanted = |kind: Kind| arguments.only.is_empty() || arguments.only.iter().any(|only| only == kind.name());
    let kinds: Vec<_> = Kind::ALL.into_iter().filter(|kind| is_wanted(*kind)).collect();
    if kinds.is_empty() {
        return Err(format!("no issuer {:?}", arguments.only));
    }
    if arguments.list {
        for kind in kinds {
            let modes = kind.modes();
            modes.iter().flat_map(|mode| claims(kind, mode)).for_each(|claim| println!("{}: {claim}", kind.name()));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let suite = std::fs::canonicalize(&arguments.suite).map_err(|error| format!("{:?}: {error}", arguments.suite))?;
    let cache = suite.join(".cache");
    let suite = Suite::new(Places { suite, cache })?;
    let mut report = Report::new();
    let present = kinds.len() - arguments.missing.len().min(kinds.len());
    for (index, kind) in kinds.into_iter().enumerate() {
        let missing = arguments.missing.iter().find_map(|missing| missing.strip_prefix(kind.name())?.strip_prefix('='));
        if let Some(reason) = missing {
            report.skip(kind.name(), reason);
            continue;
        }
        match &arguments.collect {
            None => suite.scenarios(kind, &mut report).await,
            Some(collect) => {
                let total: usize = collect[0].parse().map_err(|error| format!("{:?}: {error}", collect[0]))?;
                let share = total / present.max(1) + usize::from(index < total % present.max(1));
                suite.collect(kind, share, Path::new(&collect[1]), &mut report).await;
            }
        }
    }
    Ok(report.finish())
}

struct Suite {
    places: Places,
    program: Program,
    versions: String,
    folder: tempfile::TempDir,
}

impl Suite {
    fn new(places: Places) -> Result<Self, String> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find its own executable: {error}"))?;
        let folder = tempfile::Builder::new().prefix("samlgate-issuers-").tempdir();
        Ok(Self {
            program: Program::new(own.with_file_name("samlgate")),
            versions: std::fs::read_to_string(places.cache.join("versions")).unwrap_or_default(),
            folder: folder.map_err(|error| format!("no temporary folder: {error}"))?,
            places,
        })
    }

    /// From the file that `run` writes: a name and a version a line.
    fn version(&self, kind: Kind) -> &str {
        let mut versions = self.versions.lines().filter_map(|line| line.split_once(' '));
        versions.find(|(name, _)| *name == kind.name()).map_or("", |(_, version)| version)
    }

    async fn start(&self, kind: Kind, people_count: usize, report: &mut Report) -> Option<Arc<World>> {
        report.heading(kind.name(), self.version(kind));
        let folder = self.folder.path().join(kind.name());
        let started = match std::fs::create_dir_all(&folder) {
            Ok(()) => World::start(kind, &self.places, &folder, &self.program, people(people_count)).await,
            Err(error) => Err(format!("{}: {error}", folder.display())),
        };
        match started {
            Ok(world) => Some(Arc::new(world)),
            Err(reason) => {
                report.fail("starts", &reason);
                None
            }
        }
    }

    /// Every row of the table; where people are admitted, each of the hard ones.
    async fn scenarios(&self, kind: Kind, report: &mut Report) {
        let Some(world) = self.start(kind, 5, report).await else { return };
        for (mode, reason) in &world.broken {
            claims(kind, mode).iter().for_each(|claim| report.fail(claim, reason));
        }
        for (index, protected) in world.protected.iter().enumerate() {
            if let Some(binding) = protected.mode.logout {
                for begun in Begun::BOTH {
                    let shared = world.clone();
                    let done = tokio::spawn(async move { logout::scenario(&shared, index, begun).await });
                    report.check(&begun.claim(kind, binding), done.await, || world.last_lines());
                }
                continue;
            }
            let claim = protected.mode.claim();
            let done = tokio::spawn(scenario(
                world.clone(),
                index,
                self.places.cache.join("responses"),
                self.version(kind).to_owned(),
            ));
            report.check(&claim, done.await, || world.last_lines());
        }
        stop(world).await;
    }

    async fn collect(&self, kind: Kind, count: usize, folder: &Path, report: &mut Report) {
        let Some(world) = self.start(kind, count, report).await else { return };
        let (folder, version) = (folder.to_owned(), self.version(kind).to_owned());
        let shared = world.clone();
        let done = tokio::spawn(async move {
            // What is encrypted only its addressee could check.
            let is_wanted = |mode: &Mode| mode.outcome == Outcome::Admitted && mode.encryption.is_none();
            let admitting: Vec<_> = shared.protected.iter().filter(|each| is_wanted(&each.mode)).collect();
            for number in 0..count {
                let protected = admitting[number % admitting.len()];
                let person = &shared.people[number % shared.people.len()];
                let arrival = sign_in(&shared, protected, person, "/collect").await;
                assert_admitted(&shared, person, arrival.tab.page(), "/collect");
                let name = format!("{}-{number:03}-{}-{}", kind.name(), protected.mode.name, person.username);
                write(&folder, &name, &shared, &version, protected, person, &arrival);
            }
        });
        report.check(&format!("{count} responses collected, each admitted"), done.await, || world.last_lines());
        stop(world).await;
    }
}

/// What is shown with one gateway.
fn claims(kind: Kind, mode: &Mode) -> Vec<String> {
    match mode.logout {
        Some(binding) => Begun::BOTH.map(|begun| begun.claim(kind, binding)).to_vec(),
        None => vec![mode.claim()],
    }
}

async fn scenario(world: Arc<World>, index: usize, folder: PathBuf, version: String) {
    let protected = &world.protected[index];
    let mode = protected.mode;
    for person in &world.people {
        let arrival = sign_in(&world, protected, person, "/reports").await;
        let name = format!("{}-{}-{}", world.kind.name(), mode.name, person.username);
        write(&folder, &name, &world, &version, protected, person, &arrival);
        // Inside an encrypted assertion nobody sees a signature.
        let seen = if mode.encryption.is_some() { Sign::Response } else { mode.signs };
        assert_eq!(signed_parts(&arrival.posted.xml), seen, "the issuer signs what this row is about");
        match mode.outcome {
            Outcome::Admitted => assert_admitted(&world, person, arrival.tab.page(), "/reports"),
            Outcome::Refused(code) => return assert_refused(&world, protected, &arrival, code).await,
        }
    }
}

fn write(
    folder: &Path,
    name: &str,
    world: &World,
    version: &str,
    protected: &world::Protected,
    person: &people::Person,
    arrival: &Arrival,
) {
    let written = documents::write(folder, name, world, version, protected, person, &arrival.posted);
    written.unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
}

async fn stop(world: Arc<World>) {
    if let Ok(world) = Arc::try_unwrap(world) {
        world.stop().await;
    }
}
