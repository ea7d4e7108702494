//! The Unix socket: made for its owner alone, answered to the owner and root alone, removed at the end.
//!
//! Not by Pingora's `Service`: it removes whatever lies at the path, has others connect until the mode is set, and does
//! not say who the peer is. Its HTTP serves the connections.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pingora::apps::ServerApp;
use pingora::protocols::l4::stream::Stream;
use pingora::server::ShutdownWatch;
use tokio::net::{UnixListener, UnixSocket};

use super::Control;

const BACKLOG: u32 = 128;
const ROOT: u32 = 0;

/// Why the control API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "{path} (`control_socket`) is in use: another gateway listens there; stop it, or give each a path of its own"
    )]
    InUse { path: PathBuf },
    #[error("{path} (`control_socket`) is no socket, and is left alone: name a path where nothing is")]
    NotASocket { path: PathBuf },
    #[error(
        "cannot listen on {path} (`control_socket`): {source}; its directory must be one that samlgate may write to, \
         and no other user"
    )]
    Failed { path: PathBuf, source: io::Error },
}

/// Listens, and nobody but its owner and root can connect.
pub struct ControlSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// Where the socket lies; it is removed with this value, unless another has taken its place.
pub struct SocketFile {
    path: PathBuf,
    owner: u32,
    identity: (u64, u64),
}

impl ControlSocket {
    /// Needs a runtime. A socket that nobody listens on, left by a process that was killed, is replaced. Two gateways
    /// that start at once with one socket are told apart by `listen`, which is bound before.
    ///
    /// # Errors
    /// Somebody listens there, something else lies there, or the directory does not let us.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Failed { path: path.to_owned(), source };
        make_way(path)?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(path).map_err(failed)?;
        let file = SocketFile::of(path).map_err(failed)?;
        // Before it listens: until then nobody can connect, whatever the umask was.
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        Ok(Self { listener, file })
    }

    /// The loop that answers, and the file that ends with the process.
    pub fn serve(self, control: Control, shutdown: ShutdownWatch) -> (SocketFile, impl Future<Output = ()>) {
        let accepting = accept(self.listener, self.file.owner, Arc::new(control), shutdown);
        (self.file, accepting)
    }
}

impl SocketFile {
    fn of(path: &Path) -> io::Result<Self> {
        let found = fs::symlink_metadata(path)?;
        Ok(Self { path: path.to_owned(), owner: found.uid(), identity: (found.dev(), found.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours)
            && let Err(problem) = fs::remove_file(&self.path)
        {
            tracing::warn!(%problem, "the control socket cannot be removed; the next start replaces it");
        }
    }
}

fn make_way(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Failed { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        // Of another user, who may well listen.
        Err(error) => Err(failed(error)),
    }
}

async fn accept(listener: UnixListener, owner: u32, control: Arc<Control>, shutdown: ShutdownWatch) {
    loop {
        let peer = match listener.accept().await {
            Ok((stream, _)) => stream.peer_cred().map(|peer| (stream, peer.uid())),
            Err(problem) => {
                tracing::warn!(%problem, "the control socket takes no connection");
                // Too many files are open: without a rest this would be tried as fast as it fails.
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            }
        };
        match peer {
            Ok((stream, uid)) if is_trusted(uid, owner) => {
                let (control, shutdown) = (Arc::clone(&control), shutdown.clone());
                tokio::spawn(async move { control.process_new(Box::new(Stream::from(stream)), &shutdown).await });
            }
            Ok((_, uid)) => {
                tracing::warn!(peer.uid = uid, "a connection to the control socket by another user is closed")
            }
            Err(problem) => {
                tracing::warn!(%problem, "a connection to the control socket by nobody knows whom is closed")
            }
        }
    }
}

/// The mode says the same; this holds also where somebody has changed it.
fn is_trusted(peer: u32, owner: u32) -> bool {
    peer == owner || peer == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener as StdUnixListener;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn is_made_for_its_owner_alone_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        UnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(StdUnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = ControlSocket::bind(&path).unwrap();
        assert!(matches!(ControlSocket::bind(&path), Err(SocketError::InUse { .. })));
        assert_eq!(mode(&path), 0o600);
        drop(first);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn what_is_no_socket_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "kept").unwrap();
        std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
        for path in [&file, &link] {
            assert!(matches!(ControlSocket::bind(path), Err(SocketError::NotASocket { .. })));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        let nowhere = folder.path().join("no/control.sock");
        assert!(matches!(ControlSocket::bind(&nowhere), Err(SocketError::Failed { .. })));
    }

    #[tokio::test]
    async fn a_socket_that_took_its_place_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = ControlSocket::bind(&path).unwrap();
        let _other = StdUnixListener::bind(folder.path().join("other")).unwrap();
        fs::rename(folder.path().join("other"), &path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn root_and_the_owner_are_trusted_and_nobody_else() {
        for (peer, owner, trusted) in [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)] {
            assert_eq!(is_trusted(peer, owner), trusted, "{peer} {owner}");
        }
    }
}
