//! A server as a child process: it leads a process group of its own, which ends with this value.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

const POLL: Duration = Duration::from_millis(100);
const END: Duration = Duration::from_secs(10);

pub(super) struct Server {
    child: Child,
    group: Pid,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, whose output goes to `log`, and waits until `ready` answers with a 2xx or 3xx.
    pub(super) async fn start(
        mut command: Command,
        log: &Path,
        ready: &str,
        patience: Duration,
    ) -> Result<Self, String> {
        let output = File::create(log).map_err(|error| format!("{}: {error}", log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("{}: {error}", log.display()))?;
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0).kill_on_drop(true);
        let child = command.spawn().map_err(|error| format!("{:?} cannot be started: {error}", command.as_std()))?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).ok_or("a server ended at once")?;
        let mut server = Self { child, group: Pid::from_raw(id), log: log.to_owned() };
        server.becomes_ready(ready, patience).await?;
        Ok(server)
    }

    async fn becomes_ready(&mut self, url: &str, patience: Duration) -> Result<(), String> {
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        let client = client.map_err(|error| error.to_string())?;
        let deadline = Instant::now() + patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("it ended ({status}):\n{}", self.last_lines()));
            }
            let answer = client.get(url).timeout(patience).send().await;
            match answer.map(|answer| answer.status()) {
                Ok(status) if status.is_success() || status.is_redirection() => return Ok(()),
                _ if Instant::now() < deadline => sleep(POLL).await,
                Ok(status) => return Err(format!("{url} answers {status}:\n{}", self.last_lines())),
                Err(error) => return Err(format!("{url} does not answer: {error:?}\n{}", self.last_lines())),
            }
        }
    }

    pub(super) fn last_lines(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// SIGTERM to the leader, then the end of whatever is left of its group.
    pub(super) async fn stop(mut self) {
        if self.child.id().is_some() {
            let _ = kill(self.group, Signal::SIGTERM);
            let _ = timeout(END, self.child.wait()).await;
        }
    }
}

impl Drop for Server {
    /// An error says that the group is gone already.
    fn drop(&mut self) {
        let _ = killpg(self.group, Signal::SIGKILL);
    }
}
