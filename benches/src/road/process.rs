//! Processes that are measured: what they have used of the processor, and of the memory.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Ends with its value, and so do the processes that it started.
pub struct Process(Child);

impl Process {
    /// On the first core alone.
    ///
    /// # Panics
    /// It cannot be started.
    pub fn on_first_core(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::pinned("0", program, arguments, environment)
    }

    /// On the second, where the load is too.
    pub fn on_second_core(program: &str, arguments: &[&str]) -> Self {
        Self::pinned("1", program, arguments, &[])
    }

    fn pinned(core: &str, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new("taskset");
        command.args(["-c", core, program]).args(arguments).envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap_or_else(|error| panic!("{program}: {error}")))
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        for id in tree(self.0.id()) {
            let _ = Command::new("kill").args(["-TERM", &id.to_string()]).stderr(Stdio::null()).status();
        }
        let _ = self.0.wait();
    }
}

/// A process and all below it.
fn tree(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|id| Some((id, *fields(id)?.get(1)? as u32)))
        .collect();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        at += 1;
    }
    found
}

/// Of `/proc/<id>/stat`, from the state on, which counts as 0.
fn fields(id: u32) -> Option<Vec<u64>> {
    let text = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, behind) = text.rsplit_once(')')?;
    Some(behind.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect())
}

/// Time of the processor that the process and all below it have had.
pub fn processor_time(root: u32) -> Duration {
    // The kernel counts it in hundredths of a second here, and nanoseconds in schedstat of each thread.
    let threads = tree(root).into_iter().flat_map(|id| {
        fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten().map(|entry| entry.path())
    });
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

/// Resident memory of the process and all below it, in bytes.
pub fn resident(root: u32) -> u64 {
    let of = |id| {
        let text = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    tree(root).into_iter().filter_map(of).sum::<u64>() * 1024
}
