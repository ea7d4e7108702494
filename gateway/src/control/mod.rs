//! The control API: who is signed in, and ending that from outside, over a Unix socket.
//!
//! It shows persons and signs everybody out, so it is on no network: `samlgate sessions` speaks it, on this machine and
//! as the user that the gateway runs as.

mod api;
mod types;

use std::sync::Arc;

use pingora::apps::ServerApp as _;
use pingora::protocols::l4::stream::Stream;
use pingora::server::ShutdownWatch;

use crate::unix_socket::PrivateSocket;

pub use api::Control;
pub use types::{
    Filter, ListedSession, Listing, MOST_LISTED, Problem, REVOCATIONS, Revoked, RevokedEffect, SESSIONS, Selector,
};

/// Answers, by the HTTP of Pingora, as long as the process runs.
pub async fn serve(control: Control, socket: PrivateSocket, shutdown: ShutdownWatch) {
    let control = Arc::new(control);
    loop {
        let stream = socket.accept().await;
        let (control, shutdown) = (Arc::clone(&control), shutdown.clone());
        tokio::spawn(async move { control.process_new(Box::new(Stream::from(stream)), &shutdown).await });
    }
}
