//! Access decisions: facts + session + policy + now -> Decision. Pure: no I/O, no clock.
//!
//! The order is fixed: host, method, readings of the path, our own prefix, routes, access. Each step
//! refuses or goes on; only the last one gives a [`Permit`].

mod access;
mod client;
mod hosts;
mod machine;
mod path;
mod policy;
#[cfg(test)]
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use config::{Machine, Origin};
use saml_core::Timestamp;

use crate::refusal::{Refusal, shortened};
use crate::session::Session;

pub use client::ClientKind;
pub(crate) use client::{URLENCODED, form_type, is_of_type, is_preflight};
pub use hosts::{Hosts, is_serialised};
pub use machine::OfferedToken;
pub(crate) use machine::hash;
pub(crate) use path::{Readings, is_under};
pub use policy::Policy;

use access::{Verdict, admits};
use policy::{CompiledRoute, Place};

/// Everything a decision may see of a request.
pub struct RequestFacts<'a> {
    pub method: &'a str,
    /// Host of the request, as the client sent it; empty where there is none.
    pub authority: &'a str,
    /// Raw path, without the query. A path that is not UTF-8 is [`Refusal::PathAmbiguous`] before it gets here.
    pub path: &'a str,
    /// Looked at only where there is no session.
    pub client: ClientKind,
    /// Origin of a request that asks for a WebSocket; `None` for other requests and where the client sent none.
    pub upgrade_origin: Option<&'a str>,
    /// A browser asks whether a page of another origin may make a request, without cookies (Fetch §4.8).
    pub is_preflight: bool,
    /// Wins over a session: who sends it says what they come as.
    pub token: Option<OfferedToken>,
}

/// Whom an upstream is told of.
#[derive(Clone)]
pub enum Identity {
    Person(Arc<Session>),
    Machine(Arc<Machine>),
}

/// Leave to reach an upstream. Only [`decide`] makes one:
///
/// ```compile_fail
/// let forged = gateway::decide::Permit { route: 0, identity: None };
/// ```
pub struct Permit {
    route: usize,
    identity: Option<Identity>,
}

impl Permit {
    /// Index into the routes of the settings.
    pub fn route(&self) -> usize {
        self.route
    }

    /// Nobody on public routes.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Nobody where it is a machine.
    pub fn session(&self) -> Option<&Arc<Session>> {
        match self.identity()? {
            Identity::Person(session) => Some(session),
            Identity::Machine(_) => None,
        }
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

/// A proxy that asks us about a request, by how it asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskingProxy {
    /// `auth_request`: the status counts, and 401 is all it knows of logins.
    Nginx,
    /// ForwardAuth, and Caddy's `forward_auth`: an answer other than 2xx goes to the client.
    Traefik,
    /// ext_authz over HTTP: the same, and the path that is asked about stands behind that of the endpoint.
    Envoy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    Login,
    /// The id of the IdP is the last segment of the path.
    Start,
    Acs,
    Resume,
    Replay,
    Metadata,
    Logout,
    Slo,
    Userinfo,
    Jwks,
    PostJs,
    LoginJs,
    Style,
    ClientJs,
    /// Where a login in a pop-up ends.
    SignedIn,
    SignedInJs,
}

/// Judges one request. A session that has expired counts as none, whoever handed it in.
pub fn decide(policy: &Policy, facts: &RequestFacts<'_>, session: Option<&Arc<Session>>, now: Timestamp) -> Decision {
    let session = session.filter(|session| !session.is_expired(now));
    match place(policy, facts) {
        Ok(Placed { place: Place::Endpoint(endpoint), .. }) => Decision::Serve(endpoint),
        Ok(Placed { place: Place::Route(index, route), host, is_plain }) => {
            enter(facts, session, host, Route { index, route, is_plain }, now)
        }
        Err(refusal) => Decision::Refuse(refusal),
    }
}

/// Methods are case-sensitive (RFC 9110 §9.1), but frameworks turn `post` into `POST`: a rule on methods must not
/// be evaded by a spelling. TRACE and CONNECT have no place behind a gateway.
fn is_forwardable(method: &str) -> bool {
    let is_usual = method.len() <= 32 && !method.bytes().any(|byte| byte.is_ascii_lowercase());
    is_usual && !matches!(method, "TRACE" | "CONNECT")
}

struct Placed<'p> {
    place: Place<'p>,
    /// The accepted one that the request is for.
    host: &'p Origin,
    /// Every reading, compared as once-decoded text, is the same.
    is_plain: bool,
}

/// What the request is for, with every reading of its path in agreement.
fn place<'p>(policy: &'p Policy, facts: &RequestFacts<'_>) -> Result<Placed<'p>, Refusal> {
    let host = policy.hosts().accept(facts.authority)?;
    if !is_forwardable(facts.method) {
        return Err(Refusal::MethodForbidden { seen: shortened(facts.method) });
    }
    let readings = Readings::of(facts.path).ok_or(Refusal::PathAmbiguous)?;
    let place = policy.place(host, facts, facts.path);
    // An unknown address under the prefix is compared as well: one reading there and one on a route disagree.
    if readings.others().any(|reading| policy.place(host, facts, reading) != place) {
        return Err(Refusal::PathAmbiguous);
    }
    let (place, is_plain) = (place?, readings.are_one_text());
    if matches!(place, Place::Route(_, route) if route.rewrites && !is_plain) {
        return Err(Refusal::PathAmbiguous);
    }
    Ok(Placed { place, host, is_plain })
}

/// The route that every reading leads to.
struct Route<'p> {
    index: usize,
    route: &'p CompiledRoute,
    /// Every reading, compared as once-decoded text, is the same.
    is_plain: bool,
}

fn enter(
    facts: &RequestFacts<'_>,
    session: Option<&Arc<Session>>,
    host: &Origin,
    Route { index, route, is_plain }: Route<'_>,
    now: Timestamp,
) -> Decision {
    // Browsers send cookies with a WebSocket from any page and apply no CORS to it; a client without Origin is no browser.
    if let Some(seen) = facts.upgrade_origin.filter(|origin| !is_serialised(host, origin)) {
        return Decision::Refuse(Refusal::UpgradeOriginForbidden { seen: shortened(seen) });
    }
    let forward = |identity| Decision::Forward(Permit { route: index, identity });
    if facts.is_preflight && route.forwards_preflights && is_plain {
        return forward(None);
    }
    match (admits(&route.access, is_plain, session), facts.token) {
        (Verdict::Anonymous, _) => forward(None),
        (_, Some(token)) => match route.machines.admit(token, &route.access, now) {
            Ok(machine) => forward(Some(Identity::Machine(Arc::clone(machine)))),
            Err(refusal) => Decision::Refuse(refusal),
        },
        (Verdict::Admitted(session), None) => forward(Some(Identity::Person(Arc::clone(session)))),
        (Verdict::Excluded(refusal), None) => Decision::Refuse(refusal),
        (Verdict::NobodySignedIn, None) => ask_to_sign_in(route, facts.client),
    }
}

fn ask_to_sign_in(route: &CompiledRoute, client: ClientKind) -> Decision {
    match client {
        _ if route.api => Decision::Refuse(Refusal::LoginRequired),
        ClientKind::Navigation | ClientKind::FormPost => Decision::StartLogin { client },
        ClientKind::Frame => Decision::Refuse(Refusal::LoginRequiredInFrame),
        ClientKind::Background => Decision::Refuse(Refusal::LoginRequired),
    }
}
