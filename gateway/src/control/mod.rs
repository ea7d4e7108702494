//! The control API: who is signed in, and ending that from outside, over a Unix socket.
//!
//! It shows persons and signs everybody out, so it is on no network: `samlgate sessions` speaks it, on this machine and
//! as the user that the gateway runs as.

mod api;
mod socket;
mod types;

pub use api::Control;
pub use socket::{ControlSocket, SocketError, SocketFile};
pub use types::{
    Filter, ListedSession, Listing, MOST_LISTED, Problem, REVOCATIONS, Revoked, RevokedEffect, SESSIONS, Selector,
};
