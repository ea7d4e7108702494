//! The settings as decisions need them, compiled once.

use config::{Access, Origin, PathMatch, Settings};

use super::hosts::Hosts;
use super::machine::Machines;
use super::path::{Readings, is_under};
use super::{AskingProxy, Endpoint, RequestFacts};

use crate::refusal::Refusal;

pub struct Policy {
    hosts: Hosts,
    prefix: String,
    has_single_logout: bool,
    routes: Vec<CompiledRoute>,
}

pub(super) struct CompiledRoute {
    host: Option<String>,
    path: PathMatch,
    methods: Vec<String>,
    pub(super) access: Access,
    pub(super) api: bool,
    pub(super) forwards_preflights: bool,
    /// The upstream sees another path, which must not depend on who reads it.
    pub(super) rewrites: bool,
    pub(super) machines: Machines,
}

/// What one reading of a path leads to.
pub(super) enum Place<'p> {
    Endpoint(Endpoint),
    Route(usize, &'p CompiledRoute),
}

/// Routes are told apart by their place in the list.
impl PartialEq for Place<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Endpoint(one), Self::Endpoint(other)) => one == other,
            (Self::Route(one, _), Self::Route(other, _)) => one == other,
            (Self::Endpoint(_), Self::Route(..)) | (Self::Route(..), Self::Endpoint(_)) => false,
        }
    }
}

impl Policy {
    pub fn from_settings(settings: &Settings) -> Self {
        let routes = settings.routes.iter().map(|route| CompiledRoute {
            host: route.host.clone(),
            path: route.path.clone(),
            methods: route.methods.clone(),
            access: route.access.clone(),
            api: route.api,
            forwards_preflights: route.forwards_preflights,
            rewrites: route.rewrite.is_some(),
            machines: Machines::new(&route.machines),
        });
        Self {
            hosts: Hosts::from_settings(settings),
            prefix: settings.prefix.clone(),
            has_single_logout: settings.single_logout().is_some(),
            routes: routes.collect(),
        }
    }

    pub fn hosts(&self) -> &Hosts {
        &self.hosts
    }

    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// # Errors
    /// An unknown address under the prefix, or no route.
    pub(super) fn place(&self, host: &Origin, facts: &RequestFacts<'_>, reading: &str) -> Result<Place<'_>, Refusal> {
        if is_under(&self.prefix, reading) {
            return self.endpoint(reading).map(Place::Endpoint).ok_or(Refusal::EndpointUnknown);
        }
        self.routes
            .iter()
            .enumerate()
            .find(|(_, route)| matches(route, host, facts, reading))
            .map(|(index, route)| Place::Route(index, route))
            .ok_or(Refusal::NoRoute)
    }

    /// Who asks by calling this raw path, and what of it is the path that is asked about.
    pub fn asked_by<'p>(&self, path: &'p str) -> Option<(AskingProxy, &'p str)> {
        let endpoint = path.strip_prefix(self.prefix.as_str())?.strip_prefix("/auth/")?;
        match endpoint {
            "nginx" => Some((AskingProxy::Nginx, "")),
            "traefik" => Some((AskingProxy::Traefik, "")),
            _ => {
                let below = endpoint.strip_prefix("envoy").filter(|below| below.starts_with('/'))?;
                // A proxy may have taken another reading for an address that strangers may call.
                let here = format!("{}/auth/envoy", self.prefix);
                let stays = Readings::of(path)?.all().all(|reading| is_under(&here, reading));
                stays.then_some((AskingProxy::Envoy, below))
            }
        }
    }

    fn endpoint(&self, path: &str) -> Option<Endpoint> {
        match path.strip_prefix(self.prefix.as_str())? {
            "/login" => Some(Endpoint::Login),
            "/acs" => Some(Endpoint::Acs),
            "/resume" => Some(Endpoint::Resume),
            "/replay" => Some(Endpoint::Replay),
            "/metadata" => Some(Endpoint::Metadata),
            "/logout" => Some(Endpoint::Logout),
            "/slo" if self.has_single_logout => Some(Endpoint::Slo),
            "/userinfo" => Some(Endpoint::Userinfo),
            "/jwks.json" => Some(Endpoint::Jwks),
            "/post.js" => Some(Endpoint::PostJs),
            "/login.js" => Some(Endpoint::LoginJs),
            "/style.css" => Some(Endpoint::Style),
            "/client.js" => Some(Endpoint::ClientJs),
            "/signed-in" => Some(Endpoint::SignedIn),
            "/signed-in.js" => Some(Endpoint::SignedInJs),
            other => {
                let idp = other.strip_prefix("/start/")?;
                (!idp.is_empty() && !idp.contains('/')).then_some(Endpoint::Start)
            }
        }
    }
}

fn matches(route: &CompiledRoute, host: &Origin, facts: &RequestFacts<'_>, reading: &str) -> bool {
    let is_path = match &route.path {
        PathMatch::Exact(path) => path == reading,
        PathMatch::Prefix(prefix) => is_under(prefix, reading),
    };
    is_path
        && (route.methods.is_empty() || route.methods.iter().any(|method| method == facts.method))
        && route.host.as_ref().is_none_or(|wanted| *wanted == host.authority)
}
