//! A way to Redis that ends where a test wants it to: after Redis has done a command, before anybody hears of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

pub(super) struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// What the last command to pass contains.
    last: Mutex<Option<&'static str>>,
    reached: Notify,
    frozen: watch::Sender<bool>,
}

impl Relay {
    pub(super) async fn start(to: String) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let of_connections = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&to).await.expect("Redis accepts");
                tokio::spawn(pass(client, server, Arc::clone(&of_connections)));
            }
        });
        Self { address, shared }
    }

    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The first command that contains `part` is the last that passes; its answer does not come back.
    pub(super) fn end_with(&self, part: &'static str) {
        *self.shared.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(part);
    }

    /// Redis has answered that command.
    pub(super) async fn ended(&self) {
        self.shared.reached.notified().await;
    }
}

async fn pass(client: TcpStream, server: TcpStream, shared: Arc<Shared>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut frozen = shared.frozen.subscribe();
    let is_last = |bytes: &[u8]| {
        let last = shared.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.is_some_and(|part| bytes.windows(part.len()).any(|window| window == part.as_bytes()))
    };
    loop {
        tokio::select! {
            () = until_frozen(&mut frozen) => return std::future::pending().await,
            Some(bytes) = chunk(&mut from_client) => {
                if to_server.write_all(&bytes).await.is_err() {
                    return;
                }
                if is_last(&bytes) {
                    let _ = chunk(&mut from_server).await;
                    shared.frozen.send_replace(true);
                    shared.reached.notify_one();
                    return std::future::pending().await;
                }
            }
            Some(bytes) = chunk(&mut from_server) => {
                if to_client.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            else => return,
        }
    }
}

async fn until_frozen(frozen: &mut watch::Receiver<bool>) {
    let _ = frozen.wait_for(|is_frozen| *is_frozen).await;
}

/// Nothing where the connection has ended.
async fn chunk(from: &mut (impl AsyncRead + Unpin)) -> Option<Vec<u8>> {
    let mut bytes = vec![0; 64 * 1024];
    let length = from.read(&mut bytes).await.ok().filter(|length| *length > 0)?;
    bytes.truncate(length);
    Some(bytes)
}
