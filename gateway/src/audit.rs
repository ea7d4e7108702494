//! The audit log: who signed in and out, who was refused, who ended whose session, and which settings held.
//!
//! Apart from the log of the process, for it is kept for others and for longer. A person is a reference, as there, unless
//! the settings want it clear. Nothing waits for the file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use config::{AuditIdentity, AuditSettings};
use prometheus::IntCounter;
use saml_core::Timestamp;
use serde::Serialize;

/// Lines that wait for the file; more are lost, and counted.
const WAITING: usize = 16 * 1024;
/// The file may have been moved away meanwhile.
const LOOK: Duration = Duration::from_secs(5);

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
#[error(
    "{path} (`audit.file`) cannot be written: {source}; create its directory, or give samlgate leave to write there"
)]
pub struct AuditError {
    path: PathBuf,
    source: io::Error,
}

/// What happened. What is empty is left out of the line; `docs/audit.md` explains each.
#[derive(Debug, Default, Serialize)]
pub struct Event<'a> {
    pub event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    #[serde(flatten)]
    pub person: Option<Person>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assertion: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
}

/// As `audit.identity` says.
#[derive(Debug, Serialize)]
pub struct Person {
    user: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

/// Where events go: to the file of the settings, or nowhere.
pub struct Audit {
    lines: Option<SyncSender<String>>,
    writer: Option<JoinHandle<()>>,
    identity: AuditIdentity,
    lost: IntCounter,
}

impl Audit {
    /// # Errors
    /// The file cannot be written.
    pub fn open(settings: Option<&AuditSettings>, lost: IntCounter) -> Result<Self, AuditError> {
        let Some(settings) = settings else {
            return Ok(Self { lines: None, writer: None, identity: AuditIdentity::Hash, lost });
        };
        let log = Log::open(&settings.file).map_err(|source| AuditError { path: settings.file.clone(), source })?;
        let (lines, waiting) = sync_channel(WAITING);
        let counter = lost.clone();
        let writer = std::thread::Builder::new().name("audit".to_owned()).spawn(move || log.write(&waiting, &counter));
        let writer = writer.map_err(|source| AuditError { path: settings.file.clone(), source })?;
        Ok(Self { lines: Some(lines), writer: Some(writer), identity: settings.identity, lost })
    }

    pub fn is_on(&self) -> bool {
        self.lines.is_some()
    }

    /// `user` is how logs name the person.
    pub fn person(&self, user: String, unique_id: &str, email: Option<&str>) -> Person {
        let clear = |text: &str| (self.identity == AuditIdentity::Clear).then(|| text.to_owned());
        Person { user, unique_id: clear(unique_id), email: email.and_then(clear) }
    }

    pub fn note(&self, event: &Event<'_>) {
        let Some(lines) = &self.lines else { return };
        let time = Timestamp::from(SystemTime::now()).to_string();
        // Texts and numbers make JSON in any case.
        let Ok(mut line) = serde_json::to_string(&Line { time, event }) else { return };
        line.push('\n');
        if lines.try_send(line).is_err() {
            self.lost.inc();
        }
    }
}

/// What waits is written.
impl Drop for Audit {
    fn drop(&mut self) {
        self.lines = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

struct Log {
    path: PathBuf,
    file: File,
}

impl Log {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { path: path.to_owned(), file })
    }

    fn write(mut self, lines: &Receiver<String>, lost: &IntCounter) {
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    self.follow();
                    if let Err(problem) = self.file.write_all(line.as_bytes()) {
                        lost.inc();
                        tracing::error!(%problem, "the audit log cannot be written: events are lost");
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => self.follow(),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Opens the file anew where another lies at its path, or none, as behind a rotation.
    fn follow(&mut self) {
        let place = |found: std::fs::Metadata| (found.dev(), found.ino());
        let here = std::fs::metadata(&self.path).map(place).ok();
        if here.is_some() && here == self.file.metadata().map(place).ok() {
            return;
        }
        match Self::open(&self.path) {
            Ok(new) => *self = new,
            Err(problem) => tracing::error!(%problem, "the audit log cannot be opened anew; it goes on where it was"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audit(file: &Path, identity: AuditIdentity) -> Audit {
        let lost = IntCounter::new("lost", "x").unwrap();
        Audit::open(Some(&AuditSettings { file: file.to_owned(), identity }), lost).unwrap()
    }

    fn lines(file: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn note(audit: &Audit, event: &'static str) {
        let person = audit.person("abc".to_owned(), "5f1e", Some("ada@demo.example"));
        audit.note(&Event { event, person: Some(person), ..Event::default() });
    }

    #[test]
    fn a_person_is_a_reference_unless_it_is_to_be_clear() {
        let folder = tempfile::tempdir().unwrap();
        for (name, identity) in [("hash", AuditIdentity::Hash), ("clear", AuditIdentity::Clear)] {
            let file = folder.path().join(name);
            let log = audit(&file, identity);
            note(&log, "login");
            drop(log);
            let [line] = &lines(&file)[..] else { panic!("one line") };
            assert_eq!((&line["event"], &line["user"]), (&"login".into(), &"abc".into()));
            let is_clear = identity == AuditIdentity::Clear;
            assert_eq!(line.get("email").is_some(), is_clear, "{line}");
            assert_eq!(line.get("unique_id").is_some(), is_clear, "{line}");
            assert!(line["time"].as_str().unwrap().ends_with('Z'), "{line}");
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (file, moved) = (folder.path().join("audit"), folder.path().join("audit.1"));
        let log = audit(&file, AuditIdentity::Hash);
        note(&log, "first");
        while !file.exists() || lines(&file).is_empty() {
            std::thread::yield_now();
        }
        std::fs::rename(&file, &moved).unwrap();
        note(&log, "second");
        drop(log);
        assert_eq!((lines(&moved).len(), lines(&file).len()), (1, 1));
        assert_eq!(lines(&file)[0]["event"], "second");
    }

    #[test]
    fn a_file_that_cannot_be_written_is_told() {
        let settings = AuditSettings { file: "/no/such/folder/audit".into(), identity: AuditIdentity::Hash };
        let Err(error) = Audit::open(Some(&settings), IntCounter::new("lost", "x").unwrap()) else {
            panic!("it opened")
        };
        assert!(error.to_string().contains("/no/such/folder/audit"), "{error}");
    }
}
