//! Settings that are read again, on SIGHUP and when what they were read from changes: taken whole, or not at all.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_lc_rs::digest::{Context, SHA256};
use config::{ConfigErrors, Loaded, StoreSettings, Warning};
use tokio::signal::unix::Signal;

use crate::audit::Event;
use crate::idps::Refreshers;
use crate::live::Live;
use crate::shared::SetupError;
use crate::tls::{LiveCertificate, TlsError};

/// Between two looks at the files. A change is taken at the second look that finds the same: one that is being written
/// is left alone.
const LOOK: Duration = Duration::from_secs(2);
/// Of one file, as the settings read them.
const MOST_BYTES: u64 = 1024 * 1024;

/// Why settings are not taken.
#[derive(Debug, thiserror::Error)]
enum ReloadError {
    #[error("{0}")]
    Mistakes(#[from] ConfigErrors),
    #[error("{}: read at the start alone; restart samlgate to change them", .0.join(", "))]
    Fixed(Vec<&'static str>),
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Setup(#[from] SetupError),
    #[error("reading them broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

/// Where settings come from.
pub struct Source {
    pub file: PathBuf,
    /// What they name, see [`Loaded::files`].
    pub files: Vec<PathBuf>,
}

pub struct Reloader {
    pub live: Arc<Live>,
    pub source: Source,
    pub certificate: Option<Arc<LiveCertificate>>,
    pub refreshers: Refreshers,
}

/// Of all that settings are read from.
type Fingerprint = [u8; 32];

impl Reloader {
    /// Runs as long as the process.
    pub async fn watch(mut self, mut hangup: Signal) {
        let mut taken = self.look().await;
        let mut last = taken;
        loop {
            let asked = tokio::select! {
                _ = hangup.recv() => true,
                () = tokio::time::sleep(LOOK) => false,
            };
            let seen = self.look().await;
            if asked || (seen != taken && seen == last) {
                self.reload(if asked { "SIGHUP" } else { "a file changed" }).await;
                taken = seen;
            }
            last = seen;
        }
    }

    async fn look(&self) -> Option<Fingerprint> {
        let mut paths = self.source.files.clone();
        if let StoreSettings::Sealed { revocations_file } = &self.live.current().settings.session.store {
            // It grows with each revocation, and is followed by the store.
            paths.retain(|path| Some(path) != revocations_file.as_ref());
        }
        paths.push(self.source.file.clone());
        tokio::task::spawn_blocking(move || fingerprint(&paths)).await.ok()
    }

    async fn reload(&mut self, why: &str) {
        let metrics = Arc::clone(&self.live.current().metrics);
        match self.take().await {
            Ok(warnings) => {
                metrics.reloaded(true);
                metrics.settings_taken(SystemTime::now().into());
                warnings.iter().for_each(|warning| tracing::warn!("settings: {warning}"));
                tracing::info!("settings are read again ({why}) and hold from now on");
                self.audit("settings_taken");
            }
            Err(error) => {
                metrics.reloaded(false);
                tracing::error!("settings were read again ({why}) and are refused; those from before stay: {error}");
                self.audit("settings_refused");
            }
        }
    }

    fn audit(&self, event: &'static str) {
        self.live.current().audit.note(&Event { event, ..Event::default() });
    }

    async fn take(&mut self) -> Result<Vec<Warning>, ReloadError> {
        let before = self.live.current();
        let (file, known) = (self.source.file.clone(), Arc::clone(&before));
        let read = move || -> Result<_, ReloadError> {
            let Loaded { settings, warnings, files } = config::load(&file, config::process_environment())?;
            let fixed = known.settings.fixed_that_differ(&settings);
            if !fixed.is_empty() {
                return Err(ReloadError::Fixed(fixed));
            }
            let certificate = settings.tls.as_ref().map(LiveCertificate::read).transpose()?;
            Ok((known.renewed(settings)?, certificate, warnings, files))
        };
        let (gateway, certificate, warnings, files) = tokio::task::spawn_blocking(read).await??;
        if let (Some(own), Some(certificate)) = (&self.certificate, certificate) {
            own.replace(certificate);
        }
        // So that no request has to wait for names.
        gateway.upstreams.refresh().await;
        self.source.files = files;
        self.refreshers.serve(&gateway.idps, &gateway.metrics);
        self.live.replace(gateway);
        self.live.current().take_over(&before);
        if let Some(end) = self.certificate.as_ref().and_then(|certificate| certificate.not_after()) {
            before.metrics.listener_certificate_ends(end);
        }
        Ok(warnings)
    }
}

fn fingerprint(paths: &[PathBuf]) -> Fingerprint {
    let mut context = Context::new(&SHA256);
    for path in paths {
        let below = std::fs::read_dir(path).map(|entries| {
            let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
            files.sort();
            files
        });
        match below {
            Ok(files) => files.iter().for_each(|file| add(&mut context, file)),
            Err(_) => add(&mut context, path),
        }
    }
    let digest = context.finish();
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// One that cannot be read counts as what it is, too: it may come to be readable.
fn add(context: &mut Context, path: &Path) {
    let mut bytes = Vec::new();
    let is_file = std::fs::metadata(path).is_ok_and(|about| about.is_file());
    let is_read = is_file && File::open(path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes)).is_ok();
    context.update(path.as_os_str().as_encoded_bytes());
    context.update(&[0, u8::from(is_read)]);
    context.update(&bytes.len().to_le_bytes());
    context.update(&bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_read_changes_the_fingerprint() {
        let folder = tempfile::tempdir().unwrap();
        let (settings, keys) = (folder.path().join("samlgate.yaml"), folder.path().join("keys"));
        std::fs::create_dir(&keys).unwrap();
        let paths = [settings.clone(), keys.clone(), folder.path().join("later.pem")];
        let mut seen = vec![fingerprint(&paths)];
        assert_eq!(seen, [fingerprint(&paths)]);
        let mut write = |path: PathBuf, text: &str| {
            std::fs::write(path, text).unwrap();
            let found = fingerprint(&paths);
            assert!(!seen.contains(&found), "{text}");
            seen.push(found);
        };
        write(settings.clone(), "a");
        write(settings, "b");
        write(keys.join("jwt.current"), "a");
        write(keys.join("jwt.next"), "");
        write(folder.path().join("later.pem"), "a");
    }
}
