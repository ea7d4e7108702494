//! samlgate: a reverse proxy that lets nobody through to an application without a verified SAML session.
//!
//! `decide`, `identity_headers` and `login` are pure; `session` keeps state; `endpoints` answers what
//! lies under the prefix; `proxy` is the thin adapter to Pingora.

pub mod decide;
pub mod exchange;
pub mod ingress;
pub mod lifecycle;
pub mod login;
pub mod metrics;
pub mod pages;
pub mod refusal;
pub mod respond;
pub mod session;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod upstream;
pub mod verify;
