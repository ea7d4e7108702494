//! A Response on its way to being a login: parsed, shaped, verified, accepted.

mod accepted;
mod claimed;
mod encryption;
mod encryption_shape;
mod grammar;
mod policy;
mod shape;
mod signature;
mod signature_shape;
mod unverified;
mod verified;

pub use accepted::{AcceptedLogin, ReplayKey};
pub use unverified::{InResponseTo, UnverifiedResponse};
pub use verified::Verified;
