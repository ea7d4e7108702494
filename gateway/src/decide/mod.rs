//! Access decisions: facts + session + policy + now -> Decision. Pure: no I/O, no clock.

use std::sync::Arc;

use crate::refusal::Refusal;
use crate::session::Session;

/// Everything a decision may see of a request.
pub struct RequestFacts<'a> {
    pub method: &'a str,
    /// Host of the request, as the client sent it.
    pub authority: &'a str,
    /// Raw path, without the query.
    pub path: &'a str,
    pub client: ClientKind,
}

/// What an unauthenticated caller is answered with; see DESIGN "Without a session".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientKind {
    /// A browser that goes somewhere: it may be sent to login.
    Navigation,
    /// A navigation that carries a form: its user lands on a GET after login.
    FormPost,
    /// A navigation inside a frame: a page with a link to the top.
    Frame,
    /// Everything else: 401 JSON.
    Background,
}

/// Leave to reach an upstream. Only [`decide`] makes one.
pub struct Permit {
    route: usize,
    identity: Option<Arc<Session>>,
}

impl Permit {
    pub fn route(&self) -> usize {
        self.route
    }

    /// Nobody on public routes.
    pub fn identity(&self) -> Option<&Arc<Session>> {
        self.identity.as_ref()
    }
}

/// Every request gets exactly one.
pub enum Decision {
    Forward(Permit),
    /// Under our prefix.
    Serve(Endpoint),
    /// No session, and the caller can be sent to sign in.
    StartLogin {
        client: ClientKind,
    },
    Refuse(Refusal),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Login,
    Start,
    Acs,
    Resume,
    Metadata,
    Logout,
    Userinfo,
    Jwks,
    PostJs,
    Style,
}
