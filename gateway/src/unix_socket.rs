//! A Unix socket that is made for its owner alone, answered to the owner and root alone, and removed at the end.
//!
//! Not by Pingora: it removes whatever lies at the path, has others connect until the mode is set, and does not say who
//! the peer is.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixSocket, UnixStream};

const BACKLOG: u32 = 128;
const ROOT: u32 = 0;

/// Why there is no such socket. `setting` names its path.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("{path} (`{setting}`) is in use: another gateway listens there; stop it, or give each a path of its own")]
    InUse { setting: &'static str, path: PathBuf },
    #[error("{path} (`{setting}`) is no socket, and is left alone: name a path where nothing is")]
    NotASocket { setting: &'static str, path: PathBuf },
    #[error(
        "cannot listen on {path} (`{setting}`): {source}; its directory must be one that samlgate may write to, \
         and no other user"
    )]
    Failed { setting: &'static str, path: PathBuf, source: io::Error },
}

/// Listens, and nobody but its owner and root can connect.
pub struct PrivateSocket {
    listener: UnixListener,
    owner: u32,
}

/// Where the socket lies; it is removed with this value, unless another has taken its place.
pub struct SocketFile {
    path: PathBuf,
    owner: u32,
    identity: (u64, u64),
}

/// Whose place a socket takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instead {
    Nobodys,
    /// A process that is still there listens at the path, and loses it.
    Predecessors,
}

impl PrivateSocket {
    /// The socket, and the file that ends with the process. Needs a runtime. A socket that nobody listens on, left by a
    /// process that was killed, is replaced. Two gateways that start at once with one socket are told apart by `listen`,
    /// which is bound before.
    ///
    /// # Errors
    /// Somebody listens there, something else lies there, or the directory does not let us.
    pub fn bind(setting: &'static str, path: &Path, instead: Instead) -> Result<(Self, SocketFile), SocketError> {
        let failed = |source| SocketError::Failed { setting, path: path.to_owned(), source };
        let bound = match instead {
            Instead::Nobodys => path.to_owned(),
            Instead::Predecessors => [path.as_os_str(), OsStr::new(".new")].into_iter().collect::<OsString>().into(),
        };
        make_way(setting, &bound)?;
        let socket = UnixSocket::new_stream().map_err(failed)?;
        socket.bind(&bound).map_err(failed)?;
        let found = fs::symlink_metadata(&bound).map_err(failed)?;
        let mut file = SocketFile { path: bound.clone(), owner: found.uid(), identity: (found.dev(), found.ino()) };
        // Before it listens: until then nobody can connect, whatever the umask was.
        fs::set_permissions(&bound, Permissions::from_mode(0o600)).map_err(failed)?;
        let listener = socket.listen(BACKLOG).map_err(failed)?;
        if bound != path {
            // At no moment is there none.
            fs::rename(&bound, path).map_err(failed)?;
            path.clone_into(&mut file.path);
        }
        Ok((Self { listener, owner: file.owner }, file))
    }

    /// The next connection of somebody who may make one.
    pub async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => match stream.peer_cred().map(|peer| peer.uid()) {
                    Ok(uid) if is_trusted(uid, self.owner) => return stream,
                    Ok(uid) => tracing::warn!(peer.uid = uid, "a connection to our socket by another user is closed"),
                    Err(problem) => {
                        tracing::warn!(%problem, "a connection to our socket by nobody knows whom is closed");
                    }
                },
                Err(problem) => {
                    tracing::warn!(%problem, "our socket takes no connection");
                    // Too many files are open: without a rest this would be tried as fast as it fails.
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let is_ours = |found: fs::Metadata| (found.dev(), found.ino()) == self.identity;
        if fs::symlink_metadata(&self.path).is_ok_and(is_ours)
            && let Err(problem) = fs::remove_file(&self.path)
        {
            tracing::warn!(%problem, "our socket cannot be removed; the next start replaces it");
        }
    }
}

fn make_way(setting: &'static str, path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Failed { setting, path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket { setting, path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match StdUnixStream::connect(path) {
        Ok(_) => Err(SocketError::InUse { setting, path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        // Of another user, who may well listen.
        Err(error) => Err(failed(error)),
    }
}

/// The mode says the same; this holds also where somebody has changed it.
pub(crate) fn is_trusted(peer: u32, owner: u32) -> bool {
    peer == owner || peer == ROOT
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener as StdUnixListener;

    fn bind(path: &Path) -> Result<(PrivateSocket, SocketFile), SocketError> {
        PrivateSocket::bind("control_socket", path, Instead::Nobodys)
    }

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn is_made_for_its_owner_alone_and_removed_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = bind(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        StdUnixStream::connect(&path).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_one_in_use_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        drop(StdUnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let first = bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::InUse { .. })));
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
            assert!(matches!(bind(path), Err(SocketError::NotASocket { .. })));
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
        let nowhere = folder.path().join("no/control.sock");
        assert!(matches!(bind(&nowhere), Err(SocketError::Failed { .. })));
    }

    #[tokio::test]
    async fn a_socket_that_took_its_place_is_not_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let socket = bind(&path).unwrap();
        let _other = StdUnixListener::bind(folder.path().join("other")).unwrap();
        fs::rename(folder.path().join("other"), &path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_successor_takes_the_place_of_one_that_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.sock");
        let before = bind(&path).unwrap();
        let (after, file) = PrivateSocket::bind("control_socket", &path, Instead::Predecessors).unwrap();
        assert_eq!(mode(&path), 0o600);
        drop(before);
        let client = StdUnixStream::connect(&path).unwrap();
        after.accept().await;
        drop((client, after, file));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn root_and_the_owner_are_trusted_and_nobody_else() {
        for (peer, owner, trusted) in [(1000, 1000, true), (0, 1000, true), (1001, 1000, false), (1000, 0, false)] {
            assert_eq!(is_trusted(peer, owner), trusted, "{peer} {owner}");
        }
    }
}
