//! A Response on its way to being a login: parsed, shaped, verified, accepted.

mod accepted;
mod claimed;
mod encryption;
mod encryption_shape;
pub(crate) mod explain;
pub(crate) mod grammar;
mod policy;
#[cfg(feature = "test-support")]
mod resign;
pub(crate) mod shape;
pub(crate) mod signature;
pub(crate) mod signature_shape;
mod unverified;
mod verified;

pub use accepted::{AcceptedLogin, ReplayKey};
#[cfg(feature = "test-support")]
pub use resign::resigned;
pub use unverified::{InResponseTo, UnverifiedResponse};
pub use verified::Verified;
