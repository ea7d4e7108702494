//! One process takes the listeners of another over, so that no connection is refused in between.
//!
//! The successor connects to the predecessor's `upgrade_socket`, is handed both listening sockets, and says when it is
//! ready; only then the predecessor takes no more connections and drains. A successor that ends before changes nothing.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::Settings;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg, sockopt,
};

use crate::unix_socket::{PrivateSocket, is_trusted};

/// A successor that is not ready by then never will be: it may have to wait for its store.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// For the predecessor to answer.
const HANDED_WITHIN: Duration = Duration::from_secs(10);
/// With the sockets: whom they come from.
const GREETING: &[u8] = b"samlgate listeners 1\n";
const READY: &[u8] = b"ready\n";

/// Why the listeners cannot be taken over.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error(
        "there is no socket to take the listeners over by: write `upgrade_socket` in the settings, and restart once for it"
    )]
    NoSocket,
    #[error("no samlgate answers at {path} (`upgrade_socket`): {source}; start without --upgrade if none runs")]
    Unreachable { path: PathBuf, source: io::Error },
    #[error("at {path} (`upgrade_socket`) somebody else listens: the user {uid}")]
    Foreign { path: PathBuf, uid: u32 },
    #[error("the other process did not hand its listeners over: {0}")]
    Refused(#[source] io::Error),
    #[error(
        "the other process listens on {found:?}, and the settings say `listen: {listen}`, `admin_listen: {admin}`: \
         listeners cannot change by an upgrade; restart for that"
    )]
    OtherListeners { found: Vec<SocketAddr>, listen: SocketAddr, admin: SocketAddr },
}

/// Bound and listening, and not blocking.
pub struct Listeners {
    pub public: TcpListener,
    pub admin: TcpListener,
}

impl Listeners {
    /// # Errors
    /// The process has too many files open.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { public: self.public.try_clone()?, admin: self.admin.try_clone()? })
    }
}

/// The process whose listeners we have.
pub struct Predecessor(UnixStream);

impl Predecessor {
    /// # Errors
    /// Nobody is there to be taken over from, or listens elsewhere.
    pub fn take_over(settings: &Settings) -> Result<(Listeners, Self), UpgradeError> {
        let path = settings.upgrade_socket.as_deref().ok_or(UpgradeError::NoSocket)?;
        let connection = connect(path)?;
        let sockets = receive(&connection).map_err(UpgradeError::Refused)?;
        let mut sockets = sockets.into_iter().map(TcpListener::from);
        let found: Vec<TcpListener> = sockets.by_ref().collect();
        let addresses: Vec<SocketAddr> = found.iter().flat_map(TcpListener::local_addr).collect();
        let (listen, admin) = (settings.listen, settings.admin_listen);
        match <[TcpListener; 2]>::try_from(found) {
            Ok([public, admin_listener]) if addresses == [listen, admin] => {
                Ok((Listeners { public, admin: admin_listener }, Self(connection)))
            }
            _ => Err(UpgradeError::OtherListeners { found: addresses, listen, admin }),
        }
    }

    /// We serve; the predecessor may go.
    pub fn dismiss(mut self) {
        if let Err(problem) = self.0.write_all(READY) {
            tracing::warn!(%problem, "the process before us cannot be told that we are ready, and may still serve: end it");
        }
    }
}

fn connect(path: &Path) -> Result<UnixStream, UpgradeError> {
    let unreachable = |source| UpgradeError::Unreachable { path: path.to_owned(), source };
    let connection = UnixStream::connect(path).map_err(unreachable)?;
    let peer = sockopt::socket_peercred(&connection).map_err(|error| unreachable(error.into()))?;
    let (uid, own) = (peer.uid.as_raw(), rustix::process::geteuid().as_raw());
    if !is_trusted(uid, own) {
        return Err(UpgradeError::Foreign { path: path.to_owned(), uid });
    }
    connection.set_read_timeout(Some(HANDED_WITHIN)).map_err(unreachable)?;
    Ok(connection)
}

fn receive(connection: &UnixStream) -> io::Result<Vec<OwnedFd>> {
    let mut greeting = [0; GREETING.len()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(connection, &mut [IoSliceMut::new(&mut greeting)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    if received.bytes != GREETING.len() || greeting != GREETING {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no samlgate that can"));
    }
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            sockets.extend(rights);
        }
    }
    Ok(sockets)
}

/// Hands the listeners to whoever comes, and returns when one of them serves.
pub async fn handed_over(socket: &PrivateSocket, listeners: &Listeners) {
    loop {
        let outcome = match socket.accept().await.into_std() {
            Ok(successor) => hand(successor, listeners).await,
            Err(problem) => Err(problem),
        };
        match outcome {
            Ok(()) => return,
            Err(problem) => tracing::warn!(
                %problem,
                "a process that asked for our listeners ended before it was ready; we serve on"
            ),
        }
    }
}

async fn hand(successor: UnixStream, listeners: &Listeners) -> io::Result<()> {
    let listeners = listeners.try_clone()?;
    let waiting = move || {
        successor.set_nonblocking(false)?;
        successor.set_read_timeout(Some(READY_WITHIN))?;
        send(&successor, &listeners)?;
        tracing::info!("another process has our listeners; we serve on until it is ready");
        // Two processes wait in one queue of connections from here on; ours must not outlive us.
        drop(listeners);
        let mut said = [0; READY.len()];
        (&successor).read_exact(&mut said)?;
        if said == READY { Ok(()) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it did not say so")) }
    };
    tokio::task::spawn_blocking(waiting).await.map_err(io::Error::other)?
}

fn send(successor: &UnixStream, listeners: &Listeners) -> io::Result<()> {
    let sockets = [listeners.public.as_fd(), listeners.admin.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&sockets)) {
        return Err(io::Error::other("two sockets do not fit into a message"));
    }
    let sent = sendmsg(successor, &[IoSlice::new(GREETING)], &mut ancillary, SendFlags::NOSIGNAL)?;
    if sent == GREETING.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;
    use crate::unix_socket::Instead;

    fn listeners() -> Listeners {
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        Listeners { public: bind(), admin: bind() }
    }

    fn settings(path: &Path, listeners: &Listeners) -> Settings {
        Settings {
            upgrade_socket: Some(path.to_owned()),
            listen: listeners.public.local_addr().unwrap(),
            admin_listen: listeners.admin.local_addr().unwrap(),
            ..testing::settings()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_predecessor_goes_only_when_a_successor_is_ready() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade.sock");
        let (socket, _file) = PrivateSocket::bind("upgrade_socket", &path, Instead::Nobodys).unwrap();
        let ours = listeners();
        let settings = settings(&path, &ours);
        let gone = tokio::spawn(async move { handed_over(&socket, &ours).await });
        let take = |settings: Settings| tokio::task::spawn_blocking(move || Predecessor::take_over(&settings));
        let (_, early) = take(settings.clone()).await.unwrap().unwrap();
        drop(early);
        let other = Settings { listen: "127.0.0.1:1".parse().unwrap(), ..settings.clone() };
        assert!(matches!(take(other).await.unwrap(), Err(UpgradeError::OtherListeners { .. })));
        let (taken, predecessor) = take(settings.clone()).await.unwrap().unwrap();
        assert_eq!(taken.public.local_addr().unwrap(), settings.listen);
        assert!(!gone.is_finished());
        predecessor.dismiss();
        tokio::time::timeout(Duration::from_secs(10), gone).await.unwrap().unwrap();
        // The predecessor's are closed, and connections are taken all the same.
        let client = std::net::TcpStream::connect(settings.listen).unwrap();
        taken.public.accept().unwrap();
        drop(client);
    }

    #[tokio::test]
    async fn without_a_predecessor_there_is_nothing_to_take() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("upgrade.sock");
        let ours = listeners();
        let settings = settings(&path, &ours);
        assert!(matches!(Predecessor::take_over(&settings), Err(UpgradeError::Unreachable { .. })));
        let none = Settings { upgrade_socket: None, ..settings };
        assert!(matches!(Predecessor::take_over(&none), Err(UpgradeError::NoSocket)));
    }
}
