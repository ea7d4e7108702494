//! samlgate: a reverse proxy that lets nobody through to an application without a verified SAML session.
//!
//! `decide`, `identity_headers` and `login` are pure; `session` keeps state; `endpoints` answers what
//! lies under the prefix; `proxy` is the thin adapter to Pingora.

pub mod admin;
pub mod audit;
pub mod cli;
pub mod control;
pub mod decide;
pub mod endpoints;
pub mod exchange;
pub mod explain;
pub mod forms;
pub mod identity_headers;
pub mod identity_jwt;
pub mod idps;
pub mod ingress;
pub mod keys;
mod keys_command;
pub mod lifecycle;
pub mod limits;
pub mod live;
pub mod login;
pub mod loop_cause;
pub mod metrics;
pub mod pages;
pub mod proxy;
pub mod proxy_protocol;
pub mod refusal;
pub mod reload;
pub mod request_road;
pub mod respond;
pub mod return_url;
pub mod rooms;
mod same_origin;
mod sealing;
#[cfg(feature = "second-opinion")]
pub mod second_opinion;
pub mod server;
pub mod session;
mod sessions_command;
pub mod shared;
pub mod single_logout;
pub mod streams;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod tls;
mod tokens_command;
pub mod trusted_proxies;
mod unix_socket;
pub mod upgrade;
pub mod upstream;
pub mod verify;
