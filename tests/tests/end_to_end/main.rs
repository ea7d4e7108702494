//! samlgate as a process, between a JumpCloud-like IdP, a browser with a strict cookie jar and an
//! application that shows what reached it.

mod asked;
mod attacks;
mod check;
mod control;
mod encrypted;
mod endpoints;
mod expired_certificates;
mod explain;
mod failover;
mod force_authn;
mod gateway_attacks;
mod grpc;
mod headers;
mod health;
mod hosts;
mod identity_jwt;
mod idp_initiated;
mod kept_forms;
mod life;
mod machines;
mod metadata_url;
mod paths;
mod refusals;
mod reload;
mod route_limits;
mod sealed;
mod several_idps;
mod signed_requests;
mod signing_in;
mod single_logout;
mod strangers;
mod streams;
mod support;
mod upstreams;
mod websockets;
