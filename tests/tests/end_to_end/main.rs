//! samlgate as a process, between a JumpCloud-like IdP, a browser with a strict cookie jar and an
//! application that shows what reached it.

mod attacks;
mod check;
mod endpoints;
mod explain;
mod headers;
mod identity_jwt;
mod life;
mod metadata_url;
mod paths;
mod refusals;
mod several_idps;
mod signing_in;
mod support;
mod websockets;
