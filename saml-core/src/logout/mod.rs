//! Single logout (SAML Core 2.0 §3.7, Profiles 2.0 §4.4): messages of an IdP that come in, and ours that go out.
//!
//! A logout message has its own grammar and its own types. Nothing of it can become a login, and no
//! Response can become a logout: they share the parser and the verification of one Signature, and no more.
//!
//! [`LogoutMessage`] is what a stranger sent. [`LogoutMessage::verify`] makes a [`VerifiedLogout`] of it, and
//! nobody outside can build one.

mod compose;
mod message;
mod query;
mod shape;
mod verified;

pub use compose::{LogoutRequest, LogoutResponse};
pub use message::LogoutMessage;
pub use verified::{LogoutOutcome, NamedSessions, VerifiedLogout, VerifiedLogoutRequest, VerifiedLogoutResponse};
