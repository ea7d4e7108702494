//! samlgate: a reverse proxy that lets nobody through to an application without a verified SAML session.
//!
//! `decide`, `identity_headers` and `login` are pure; `session` keeps state; `endpoints` answers what
//! lies under the prefix; `proxy` is the thin adapter to Pingora.

pub mod decide;
pub mod identity_headers;
pub mod identity_jwt;
pub mod keys;
pub mod refusal;
pub mod return_url;
pub mod session;
#[cfg(test)]
mod testing;
