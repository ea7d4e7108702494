//! samlgate as a child process: settings written, started, watched, stopped.

mod builder;
mod output;

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use output::Output;

pub use builder::{GatewayBuilder, free_port};
pub use output::LogFollower;

/// How long a start, a stop or an awaited log line may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);
const READINESS_POLL: Duration = Duration::from_millis(20);

/// What IdP and gateway call each other by default.
pub const IDP_ENTITY_ID: &str = "jumpcloud-samlgate";

/// The executable and what comes before samlgate's own arguments.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    arguments: Vec<OsString>,
    own_process_group: bool,
}

impl Program {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), arguments: Vec::new(), own_process_group: false }
    }

    /// The binary `demo`, which holds samlgate too: tests name it by `env!("CARGO_BIN_EXE_demo")`.
    pub fn demo(path: impl Into<PathBuf>) -> Self {
        Self::new(path).argument("samlgate")
    }

    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Ctrl-C in a terminal reaches a whole process group; a child in its own hears of it once, from its parent.
    pub fn in_own_process_group(mut self) -> Self {
        self.own_process_group = true;
        self
    }

    /// A command of samlgate, such as `check`, with its arguments.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        if self.own_process_group {
            command.process_group(0);
        }
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("SAMLGATE_")) {
            command.env_remove(name);
        }
        command
    }
}

/// samlgate ended, or did not become ready.
#[derive(Debug)]
pub struct StartFailure {
    pub status: Option<ExitStatus>,
    pub output: String,
}

impl std::fmt::Display for StartFailure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.status {
            Some(status) => write!(f, "samlgate ended instead of becoming ready ({status})")?,
            None => write!(f, "samlgate was not ready after {} s", PATIENCE.as_secs())?,
        }
        write!(f, "; it wrote:\n{}", self.output)
    }
}

impl std::error::Error for StartFailure {}

/// A running samlgate; it is killed with this value.
pub struct Gateway {
    public_url: String,
    listen: SocketAddr,
    admin_listen: SocketAddr,
    config: PathBuf,
    child: Child,
    output: Arc<Output>,
    launch: Launch,
    client: reqwest::Client,
    _folder: TempDir,
}

/// How the process was started, and another can be.
struct Launch {
    program: Program,
    environment: Vec<(String, String)>,
    folder: PathBuf,
}

impl Launch {
    fn run(&self, more: &[&str], config: &Path) -> (Child, Arc<Output>) {
        let arguments = ["run"].iter().chain(more).chain(["--config"].iter()).map(OsStr::new);
        let mut child = self
            .program
            .command(arguments.chain([config.as_os_str()]))
            .current_dir(&self.folder)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be started: {error}", self.program.path.display()));
        let output = Arc::new(Output::default());
        output.clone().read(child.stdout.take().expect("stdout is piped"));
        output.clone().read(child.stderr.take().expect("stderr is piped"));
        (child, output)
    }
}

impl Gateway {
    /// The public listener, for raw requests.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    pub fn admin_address(&self) -> SocketAddr {
        self.admin_listen
    }

    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// `localhost:<port>`: what Host must say.
    pub fn authority(&self) -> &str {
        self.public_url.split_once("://").map_or("", |(_, authority)| authority)
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    pub fn config_file(&self) -> &Path {
        &self.config
    }

    pub fn process_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Everything that it wrote so far to stdout and stderr, by lines.
    pub fn log(&self) -> Vec<String> {
        self.output.lines()
    }

    /// The lines that are JSON objects.
    pub fn log_events(&self) -> Vec<Value> {
        self.log().iter().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
    }

    /// Waits for a line that contains `text`, and returns it.
    pub async fn logged(&self, text: &str) -> String {
        let mut log = self.follow_log();
        let waiting = async {
            loop {
                let line = log.next().await;
                if line.contains(text) {
                    return line;
                }
            }
        };
        let found = timeout(PATIENCE, waiting).await;
        found.unwrap_or_else(|_| panic!("no line with {text:?} in the log:\n{}", self.log().join("\n")))
    }

    /// Status and body of an endpoint of the admin listener.
    pub async fn admin_get(&self, path: &str) -> (u16, String) {
        let response = self.client.get(format!("http://{}{path}", self.admin_listen)).send().await;
        let response = response.unwrap_or_else(|error| panic!("{path} on the admin listener: {error:?}"));
        (response.status().as_u16(), response.text().await.unwrap_or_default())
    }

    pub async fn metrics(&self) -> String {
        self.admin_get("/metrics").await.1
    }

    /// The sum over the samples of a metric that have all these labels; 0 where there is none.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        sum_of_samples(&self.metrics().await, name, labels)
    }

    /// Waits until [`Gateway::metric`] is at least `wanted`.
    pub async fn metric_reaches(&self, name: &str, labels: &[(&str, &str)], wanted: f64) {
        let waiting = async {
            while self.metric(name, labels).await < wanted {
                tokio::time::sleep(READINESS_POLL).await;
            }
        };
        let reached = timeout(PATIENCE, waiting).await;
        reached
            .unwrap_or_else(|_| panic!("{name} {labels:?} stays below {wanted}; the log:\n{}", self.log().join("\n")));
    }

    /// Its log from the first line on, line by line as they come.
    pub fn follow_log(&self) -> LogFollower {
        LogFollower::new(self.output.clone())
    }

    /// Sends SIGTERM and does not wait; nothing where the end was already seen.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    fn signal(&self, signal: Signal) {
        let Some(id) = self.child.id() else { return };
        let id = Pid::from_raw(i32::try_from(id).expect("a process id fits"));
        kill(id, signal).expect("an own child can be signalled");
    }

    /// Writes its settings anew, and says nothing to it.
    pub fn change_settings(&self, change: impl FnOnce(&mut Value)) {
        let text = std::fs::read_to_string(&self.config).expect("the settings can be read");
        let mut settings = serde_json::from_str(&text).expect("they are JSON");
        change(&mut settings);
        std::fs::write(&self.config, settings.to_string()).expect("the settings can be written");
    }

    /// Sends SIGHUP, and waits until it has read its settings again; whether it took them.
    pub async fn reload(&self) -> bool {
        let applied = self.metric("samlgate_reloads_total", &[("result", "applied")]).await;
        let refused = self.metric("samlgate_reloads_total", &[("result", "refused")]).await;
        self.signal(Signal::SIGHUP);
        let outcome = async {
            loop {
                if self.metric("samlgate_reloads_total", &[("result", "applied")]).await > applied {
                    break true;
                }
                if self.metric("samlgate_reloads_total", &[("result", "refused")]).await > refused {
                    break false;
                }
                tokio::time::sleep(READINESS_POLL).await;
            }
        };
        timeout(PATIENCE, outcome).await.expect("it reads its settings")
    }

    /// Waits for the end of the process, however long it takes.
    pub async fn wait(&mut self) -> ExitStatus {
        self.child.wait().await.expect("an own child can be waited for")
    }

    /// Waits for the end of a process that should end now.
    pub async fn ended(&mut self) -> ExitStatus {
        match timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => status.expect("an own child can be waited for"),
            Err(_) => panic!("samlgate still runs; its log:\n{}", self.log().join("\n")),
        }
    }

    /// Starts another process that takes the place of this one, waits until this one has ended, and says how it did. From
    /// then on this value stands for the other.
    ///
    /// # Errors
    /// The other process ended instead.
    pub async fn upgrade(&mut self) -> Result<ExitStatus, StartFailure> {
        let (mut child, output) = self.launch.run(&["--upgrade"], &self.config);
        let status = tokio::select! {
            status = self.child.wait() => status.expect("an own child can be waited for"),
            failed = child.wait() => {
                output.closed().await;
                return Err(StartFailure { status: failed.ok(), output: output.lines().join("\n") });
            }
            () = tokio::time::sleep(PATIENCE) => {
                return Err(StartFailure { status: None, output: output.lines().join("\n") });
            }
        };
        self.child = child;
        self.output = output;
        Ok(status)
    }

    /// SIGTERM, the end of the process, and another one with its settings; how the first ended.
    ///
    /// # Errors
    /// The other process did not become ready.
    pub async fn restart(&mut self) -> Result<ExitStatus, StartFailure> {
        let status = self.stop().await;
        (self.child, self.output) = self.launch.run(&[], &self.config);
        self.becomes_ready().await.map(|()| status)
    }

    /// Sends SIGQUIT and does not wait.
    pub fn quit(&self) {
        self.signal(Signal::SIGQUIT);
    }

    /// SIGTERM, then the end of the process.
    pub async fn stop(&mut self) -> ExitStatus {
        self.terminate();
        self.ended().await
    }

    async fn becomes_ready(&mut self) -> Result<(), StartFailure> {
        let url = format!("http://{}/readyz", self.admin_listen);
        let client = self.client.clone();
        let ready = async {
            while !client.get(&url).send().await.is_ok_and(|response| response.status().is_success()) {
                tokio::time::sleep(READINESS_POLL).await;
            }
        };
        let status = tokio::select! {
            status = self.child.wait() => Some(status.expect("an own child can be waited for")),
            ready = timeout(PATIENCE, ready) => match ready {
                Ok(()) => return Ok(()),
                Err(_) => None,
            },
        };
        if status.is_some() {
            self.output.closed().await;
        }
        Err(StartFailure { status, output: self.log().join("\n") })
    }
}

/// Prometheus text format: `name{label="value",...} number`.
fn sum_of_samples(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let has_all = |sample: &str| labels.iter().all(|(label, value)| sample.contains(&format!("{label}=\"{value}\"")));
    text.lines()
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(sample, _)| sample.split('{').next() == Some(name) && has_all(sample))
        .filter_map(|(_, number)| number.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_by_name_and_labels() {
        let text = "# HELP a_total x\na_total{code=\"x\",idp=\"j\"} 2\na_total{code=\"y\",idp=\"j\"} 3\na_total_created 9\nb 1\n";
        assert_eq!(sum_of_samples(text, "a_total", &[]), 5.0);
        assert_eq!(sum_of_samples(text, "a_total", &[("code", "y")]), 3.0);
        assert_eq!(sum_of_samples(text, "b", &[]), 1.0);
        assert_eq!(sum_of_samples(text, "c", &[]), 0.0);
    }
}
