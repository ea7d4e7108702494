//! Which request goes where, and who may make it.

use saml_core::IdpId;

use super::{accept, access, tokens};
use crate::check::{self, Fault, nearest};
use crate::settings::{Access, IdentityJwt, Origin, PathMatch, Rewrite, Route, RouteLimits, Timeouts, Upstream};
use crate::source::Findings;
use crate::table::value::or;
use crate::table::{Choices, Key, Kind, Section, Table, seconds};

pub(crate) static TABLE: Table = Table {
    title: "routes[]",
    about: "The first route that matches host, path and method decides; a request that none matches is refused. \
            Exactly one of `path` and `path_prefix` must be there; there are no patterns.",
    keys: &[
        Key::optional("id", Kind::Text, "`route-<n>`, counted from 1", "the name in logs and metrics"),
        Key::optional("host", Kind::Text, "every accepted host", "the host of `public_url`, or one of `hosts`"),
        Key::optional("path", Kind::Text, "none", "exactly this path"),
        Key::optional(
            "path_prefix",
            Kind::Text,
            "none",
            "this path and all below it: `/admin` matches `/admin` and `/admin/x`, not `/administrator`",
        ),
        Key::optional("methods", Kind::List(&Kind::Text), "every method", "such as `[GET, HEAD]`"),
        Key::required(
            "access",
            Kind::ChoiceOrSection(&access::WORDS, &access::TABLE),
            "`public`, `signed_in`, or a map of groups, emails and email_domains",
        ),
        Key::optional(
            "upstream",
            Kind::Text,
            "none: only `trusted_proxies` may ask about the route, at the verify endpoints",
            "the name of an upstream",
        ),
        Key::optional("api", Kind::Boolean, "`false`", "without a session: 401 JSON, never a redirect"),
        Key::optional(
            "preflight",
            Kind::Choice(&PREFLIGHTS),
            "judged as any request",
            "`forward`: CORS preflights, which browsers send without cookies, go on without a session and without an identity, so \
             that the application may answer them; a route with `methods` needs OPTIONS among them",
        ),
        Key::optional("host_header", Kind::Text, "the client's", "the Host that the upstream sees"),
        Key::optional(
            "identity_jwt",
            Kind::Boolean,
            "`false`",
            "send `X-Samlgate-Jwt-Assertion`, a signed token that says who the user is",
        ),
        Key::optional("jwt_audience", Kind::Text, "the origin that the request came to", "the `aud` of that token"),
        Key::optional(
            "tokens_file",
            Kind::File,
            "no machines",
            "machines that need no session: a file of hashed tokens, see below",
        ),
        Key::optional("rewrite", Kind::Section(&REWRITE), "the path as it came", "the path that the upstream sees"),
        Key::optional("limits", Kind::Section(&LIMITS), "none", "how much the route takes"),
        Key::optional("timeouts", Kind::Section(&TIMEOUTS), "its defaults", "how long the upstream may take"),
    ],
    later: &[],
};

static REWRITE: Table = Table {
    title: "routes[].rewrite",
    about: "The path that the upstream sees; the query stays. On such a route a path is refused that can be read in more than one way. \
            The upstream finds what was taken away in `X-Forwarded-Prefix`; the links and redirects that it makes are its own matter.",
    keys: &[
        Key::optional(
            "strip_prefix",
            Kind::Text,
            "nothing is taken away",
            "taken from the front: the path of the route itself, or one above it",
        ),
        Key::optional("add_prefix", Kind::Text, "nothing is put there", "put in front of what is left"),
    ],
    later: &[],
};

static LIMITS: Table = Table {
    title: "routes[].limits",
    about: "How much the route takes. What a form brought before the sign-in is bounded already, see docs/forms.md.",
    keys: &[
        Key::optional(
            "max_body_bytes",
            Kind::Count { min: 0, max: 1 << 50 },
            "no limit",
            "of the body of a request; more is answered with 413. What comes over a WebSocket does not count",
        ),
        Key::optional(
            "max_in_flight",
            Kind::Count { min: 1, max: 10_000_000 },
            "no limit",
            "requests, WebSockets among them, that may be under way at a time in one process; more are answered with 503",
        ),
    ],
    later: &[],
};

static PREFLIGHTS: Choices = Choices { values: &["forward"], later: &[] };

static TIMEOUTS: Table = Table {
    title: "routes[].timeouts",
    about: "How long the upstream may take.",
    keys: &[
        Key::optional("connect", TIMEOUT, "`5s`", "to accept a connection"),
        Key::optional("read", TIMEOUT, "`60s`", "between two reads from it"),
        Key::optional("write", TIMEOUT, "`60s`", "between two writes to it"),
    ],
    later: &[],
};

const TIMEOUT: Kind = Kind::Duration { min: std::time::Duration::from_millis(1), max: seconds(24 * 60 * 60) };

/// What routes are held against.
pub(crate) struct Surroundings<'s> {
    /// Empty where one of them is wrong.
    pub(crate) accepted: &'s [&'s Origin],
    pub(crate) prefix: &'s str,
    pub(crate) upstreams: &'s [Upstream],
    /// Of the identity providers.
    pub(crate) idps: &'s [IdpId],
    /// Other proxies may ask, so that a route need lead nowhere.
    pub(crate) has_askers: bool,
}

/// `None` where any of them has a mistake: a route that went missing could open what it was to close.
pub(crate) fn read(root: &Section<'_>, surroundings: &Surroundings<'_>, findings: &mut Findings) -> Option<Vec<Route>> {
    let sections = root.sections("routes");
    warn_of_unused_upstreams(root, &sections, surroundings.upstreams, findings);
    let mut ids: Vec<String> = Vec::new();
    let mut routes: Vec<Route> = Vec::new();
    for (index, section) in sections.iter().enumerate() {
        let id = section.text("id").map_or_else(|| format!("route-{}", index + 1), str::to_owned);
        accept(check_id(&id), || section.place("id"), findings);
        if ids.contains(&id) {
            findings.refuse(section.place("id"), format!("{id} is the id of another route too"), "choose another");
        }
        ids.push(id.clone());
        let Some(route) = route(id, section, surroundings, findings) else { continue };
        if let Some(earlier) = routes.iter().find(|earlier| covers(earlier, &route)) {
            let problem = format!("can never match: {} stands before it and matches all that it matches", earlier.id);
            findings.warn(section.itself(), problem, "move it up, or remove it");
        }
        routes.push(route);
    }
    (!routes.is_empty() && routes.len() == sections.len()).then_some(routes)
}

const MAX_ID_BYTES: usize = 64;

fn check_id(id: &str) -> Result<(), Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.len() <= MAX_ID_BYTES && id.bytes().all(plain) {
        return Ok(());
    }
    Err(Fault::new("is no plain name of at most 64 letters, digits, `-`, `_` and `.`", "write a name such as `admin`"))
}

fn route(id: String, section: &Section<'_>, surroundings: &Surroundings<'_>, findings: &mut Findings) -> Option<Route> {
    let path = path(section, surroundings.prefix, findings);
    let host = host(section, surroundings.accepted, findings);
    let methods = methods(section, findings);
    let access = access::read(section, surroundings.idps, findings);
    let upstream = upstream(section, surroundings, findings);
    let host_header = section
        .text("host_header")
        .and_then(|text| accept(check::authority(text), || section.place("host_header"), findings));
    let identity_jwt = identity_jwt(section, access.as_ref(), findings);
    let path = path?;
    Some(Route {
        id,
        host,
        rewrite: rewrite(section, &path, findings),
        path,
        forwards_preflights: forwards_preflights(section, &methods, findings),
        methods,
        machines: tokens::read(section, access.as_ref()?, findings),
        access: access?,
        upstream: upstream?,
        api: section.boolean("api").unwrap_or(false),
        host_header,
        identity_jwt,
        limits: limits(&section.section("limits")),
        timeouts: timeouts(&section.section("timeouts")),
    })
}

fn forwards_preflights(section: &Section<'_>, methods: &[String], findings: &mut Findings) -> bool {
    let is_on = section.choice("preflight") == Some("forward");
    if is_on && !methods.is_empty() && !methods.iter().any(|method| method == "OPTIONS") {
        let problem = "has no effect: `methods` has no OPTIONS, with which preflights come";
        findings.warn(section.place("preflight"), problem, "add OPTIONS to `methods`, or remove it");
    }
    is_on
}

fn path(section: &Section<'_>, prefix: &str, findings: &mut Findings) -> Option<PathMatch> {
    let (key, path) = match (section.text("path"), section.text("path_prefix")) {
        (Some(path), None) => ("path", path),
        (None, Some(path)) => ("path_prefix", path),
        (Some(_), Some(_)) => {
            let cure = "keep `path` for exactly that path, or `path_prefix` for all below it as well";
            findings.refuse(section.place("path_prefix"), "stands beside `path`", cure);
            return None;
        }
        (None, None) => {
            if !section.has("path") && !section.has("path_prefix") {
                let cure = "write `path: /exactly/this`, or `path_prefix: /` for every path";
                findings.refuse(section.itself(), "has neither `path` nor `path_prefix`", cure);
            }
            return None;
        }
    };
    accept(check::route_path(path), || section.place(key), findings)?;
    if path == prefix || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/')) {
        let problem = format!("lies under {prefix}, where samlgate's own endpoints are: it can never match");
        findings.refuse(section.place(key), problem, "remove the route, or move the endpoints with `prefix`");
        return None;
    }
    Some(match key {
        "path" => PathMatch::Exact(path.to_owned()),
        _ => PathMatch::Prefix(check::normalised_prefix(path).to_owned()),
    })
}

fn host(section: &Section<'_>, accepted: &[&Origin], findings: &mut Findings) -> Option<String> {
    let host = accept(check::authority(section.text("host")?), || section.place("host"), findings)?;
    if !accepted.is_empty() && !accepted.iter().any(|accepted| accepted.authority == host) {
        let hosts: Vec<String> = accepted.iter().map(|host| format!("`host: {}`", host.authority)).collect();
        let cure = format!("write {}, or add it to `hosts`", or(&hosts));
        findings.refuse(section.place("host"), "is not the host of public_url, nor one of `hosts`", cure);
    }
    Some(host)
}

/// CONNECT asks for a tunnel and TRACE echoes cookies: neither is for an application.
const REFUSED_METHODS: [&str; 2] = ["TRACE", "CONNECT"];

fn methods(section: &Section<'_>, findings: &mut Findings) -> Vec<String> {
    let mut methods: Vec<String> = Vec::new();
    for (index, method) in section.texts("methods") {
        let upper = method.to_ascii_uppercase();
        let place = || section.place_in_list("methods", index);
        if !method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-') {
            findings.refuse(place(), "is no method", "write methods such as `[GET, POST]`");
        } else if method != upper {
            findings.refuse(place(), "is not in upper case, and methods are", format!("write `{upper}`"));
        } else if REFUSED_METHODS.contains(&method) {
            findings.refuse(place(), "is never forwarded", "remove it");
        } else if methods.contains(&upper) {
            findings.refuse_twin(place());
        }
        methods.push(upper);
    }
    methods
}

/// `Some(None)` for a route that leads nowhere.
fn upstream(section: &Section<'_>, surroundings: &Surroundings<'_>, findings: &mut Findings) -> Option<Option<usize>> {
    let upstreams = surroundings.upstreams;
    let Some(name) = section.text("upstream") else {
        if section.has("upstream") {
            return None;
        }
        if !surroundings.has_askers {
            let cure = "write `upstream:` with the name of an upstream; or list the proxies that ask about it under `trusted_proxies`";
            findings.refuse(section.place("upstream"), "is missing", cure);
        }
        return Some(None);
    };
    let found = upstreams.iter().position(|upstream| upstream.name == name);
    if found.is_none() {
        let known: Vec<&str> = upstreams.iter().map(|upstream| upstream.name.as_str()).collect();
        let cure = match (nearest(name, &known), known.is_empty()) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, true) => "describe it under `upstreams`".to_owned(),
            (None, false) => format!("write one of {}, or describe it under `upstreams`", known.join(", ")),
        };
        findings.refuse(section.place("upstream"), "is no upstream", cure);
    }
    found.map(Some)
}

fn warn_of_unused_upstreams(
    root: &Section<'_>,
    routes: &[Section<'_>],
    upstreams: &[Upstream],
    findings: &mut Findings,
) {
    for upstream in upstreams {
        if !routes.iter().any(|route| route.text("upstream") == Some(&upstream.name)) {
            let place = root.place_in_map("upstreams", &upstream.name);
            findings.warn(place, "is used by no route", "name it in a route, or remove it");
        }
    }
}

fn identity_jwt(section: &Section<'_>, access: Option<&Access>, findings: &mut Findings) -> Option<IdentityJwt> {
    let audience = section.text("jwt_audience").map(str::to_owned);
    if section.boolean("identity_jwt") == Some(true) {
        if access == Some(&Access::Public) {
            let problem = "has no effect on a public route, which carries no identity";
            findings.warn(section.place("identity_jwt"), problem, "remove it");
        }
        return Some(IdentityJwt { audience });
    }
    if audience.is_some() {
        let cure = "write `identity_jwt: true` as well, or remove it";
        findings.warn(section.place("jwt_audience"), "has no effect without `identity_jwt: true`", cure);
    }
    None
}

fn rewrite(route: &Section<'_>, path: &PathMatch, findings: &mut Findings) -> Option<Rewrite> {
    if !route.stands("rewrite") {
        return None;
    }
    let section = route.section("rewrite");
    if route.has("rewrite") && !section.is_map() {
        return None;
    }
    let mut read = |key| {
        let text = section.text(key)?;
        accept(check::rewrite_prefix(text), || section.place(key), findings)
    };
    let strip_prefix = read("strip_prefix");
    let add_prefix = read("add_prefix");
    if !section.has("strip_prefix") && !section.has("add_prefix") {
        let cure = "write `strip_prefix`, `add_prefix` or both, or remove it";
        findings.refuse(route.place("rewrite"), "has neither `strip_prefix` nor `add_prefix`", cure);
    }
    let (PathMatch::Exact(matched) | PathMatch::Prefix(matched)) = path;
    if let Some(prefix) = &strip_prefix
        && !is_below(prefix, matched)
    {
        let problem = format!("is not above {matched}, so that the route matches paths that do not begin with it");
        findings.refuse(section.place("strip_prefix"), problem, format!("write `{matched}`, or a path above it"));
    }
    Some(Rewrite { strip_prefix, add_prefix })
}

fn limits(section: &Section<'_>) -> RouteLimits {
    RouteLimits {
        max_body_bytes: section.count("max_body_bytes"),
        max_in_flight: section.count("max_in_flight").and_then(|count| usize::try_from(count).ok()),
    }
}

fn timeouts(section: &Section<'_>) -> Timeouts {
    let read = |key, default| section.duration(key).unwrap_or(seconds(default));
    Timeouts { connect: read("connect", 5), read: read("read", 60), write: read("write", 60) }
}

/// At `prefix`, which does not end with `/` unless it is that, or below.
fn is_below(prefix: &str, path: &str) -> bool {
    prefix == "/" || path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether everything that `later` matches is taken by `earlier`.
fn covers(earlier: &Route, later: &Route) -> bool {
    let path = match (&earlier.path, &later.path) {
        (PathMatch::Exact(earlier), PathMatch::Exact(later)) => earlier == later,
        (PathMatch::Exact(_), PathMatch::Prefix(_)) => false,
        (PathMatch::Prefix(prefix), PathMatch::Exact(path) | PathMatch::Prefix(path)) => is_below(prefix, path),
    };
    let methods = earlier.methods.is_empty()
        || (!later.methods.is_empty() && later.methods.iter().all(|method| earlier.methods.contains(method)));
    let host = earlier.host.is_none() || earlier.host == later.host;
    path && methods && host
}
