//! What the upstream learns of the person: every client copy goes, then ours are set from the permit.

mod claims;
mod names;
#[cfg(test)]
mod tests;

use std::io::{Cursor, Write as _};
use std::net::IpAddr;

use config::{HeaderPreset, HeaderSource, IdentityHeaders as IdentityHeaderSettings, Scheme, Settings};
use http::header::{AUTHORIZATION, CACHE_CONTROL, COOKIE, InvalidHeaderName, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue};
use pingora::http::ResponseHeader;

pub use claims::{ClaimValues, GROUPS_LIMIT, machine_user};
use names::REWRITES;
pub use names::{METHOD_OVERRIDES, SuspiciousNames};

use crate::decide::{Identity, OfferedToken};
use crate::refusal::Refusal;
use crate::session::{Stripped, is_own_set_cookie, strip_own};

/// Carries the identity JWT, on routes that ask for it.
pub const JWT_HEADER: &str = "X-Samlgate-Jwt-Assertion";

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const JWT: HeaderName = HeaderName::from_static("x-samlgate-jwt-assertion");
const SAMLGATE: HeaderName = HeaderName::from_static("x-samlgate");
/// Those that a request may get beside the identity headers: room is made for all at once.
const OTHERS: usize = 6;
/// An IPv6 address that holds an IPv4 one, in bytes of text.
const MAX_ADDRESS: usize = 45;

pub struct IdentityHeaders {
    names: SuspiciousNames,
    values: ClaimValues,
    set: Vec<(HeaderName, HeaderSource)>,
}

/// What the upstream may know of the connection.
pub struct ForwardedContext<'a> {
    pub client_addr: IpAddr,
    /// Of the accepted origin, not of the socket.
    pub scheme: Scheme,
    pub host: &'a str,
}

/// Only where a rule looks at methods, or lets OPTIONS alone through: elsewhere applications may use them.
fn method_overrides(settings: &Settings) -> impl Iterator<Item = &str> {
    let decisive = settings.routes.iter().any(|route| !route.methods.is_empty() || route.forwards_preflights);
    METHOD_OVERRIDES.into_iter().filter(move |_| decisive)
}

impl IdentityHeaders {
    /// # Errors
    /// `identity_headers.set` has a name that is none.
    pub fn from_settings(settings: &Settings) -> Result<Self, InvalidHeaderName> {
        let IdentityHeaderSettings { preset, set: own, .. } = &settings.identity_headers;
        let of_preset = preset.headers().into_iter();
        let named = own.iter().map(|(name, claim)| (name.as_str(), HeaderSource::Claim(claim.clone())));
        let set = of_preset.chain(named).map(|(name, source)| Ok((HeaderName::try_from(name)?, source)));
        Ok(Self {
            names: SuspiciousNames::new(own.iter().map(|(name, _)| name.as_str()).chain(method_overrides(settings))),
            values: ClaimValues::from_settings(settings),
            set: set.collect::<Result<_, _>>()?,
        })
    }

    /// Whether a request header of this name, in any spelling, could be taken for one of ours by an upstream.
    /// For trailers and names listed in `Connection` too.
    pub fn could_be_identity(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Makes a request fit for the upstream. Nobody's request (`identity` absent) is stripped just the same.
    ///
    /// # Errors
    /// The user's groups do not fit into a header. The request must then not go on.
    pub fn apply(
        &self,
        headers: &mut HeaderMap,
        identity: Option<&Identity>,
        jwt: Option<&str>,
        context: &ForwardedContext<'_>,
    ) -> Result<(), Refusal> {
        headers.reserve(self.set.len() + OTHERS);
        self.strip(headers);
        strip_cookies(headers)?;
        strip_token(headers);
        headers.insert(FORWARDED_FOR, address(context.client_addr)?);
        headers.insert(FORWARDED_PROTO, scheme(context.scheme));
        headers.insert(FORWARDED_HOST, written(&FORWARDED_HOST, HeaderValue::from_str(context.host))?);
        if let Some(identity) = identity {
            for (name, value) in self.values_of(identity) {
                if let Some(value) = value? {
                    headers.insert(name, written(name, HeaderValue::try_from(value))?);
                }
            }
            if let Some(jwt) = jwt {
                headers.insert(JWT, written(&JWT, HeaderValue::from_str(jwt))?);
            }
        }
        Ok(())
    }

    /// Whether a request that another proxy passes on must not have a header of this name: written so that only some read it
    /// as one of ours, or one of ours that is not chosen here, which the answer does not write over; or one that makes
    /// frameworks take another method or path than was judged.
    pub fn may_mislead(&self, name: &str) -> bool {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let is_ours = || {
            name.eq_ignore_ascii_case(JWT_HEADER)
                || self.set.iter().any(|(own, _)| name.eq_ignore_ascii_case(own.as_str()))
        };
        let is_another = || {
            let of_presets = HeaderPreset::ALL.into_iter().flat_map(HeaderPreset::headers).map(|(other, _)| other);
            METHOD_OVERRIDES.into_iter().chain(REWRITES).chain(of_presets).any(|other| name.eq_ignore_ascii_case(other))
        };
        !is_plain && self.names.contains(name) || !is_ours() && is_another()
    }

    /// For a proxy that copies them from our answer over what the client sent: each header that could be set, empty where it
    /// has no value, and Cookie and Authorization without what is ours.
    ///
    /// # Errors
    /// The user's groups do not fit into a header.
    pub fn fill(
        &self,
        headers: &mut HeaderMap,
        request: &HeaderMap,
        identity: Option<&Identity>,
        jwt: Option<&str>,
    ) -> Result<(), Refusal> {
        headers.insert(COOKIE, written(&COOKIE, HeaderValue::try_from(foreign_cookies(request)))?);
        headers.insert(AUTHORIZATION, foreign_authorization(request));
        let nothing = HeaderValue::from_static("");
        let mut set = |name: &HeaderName, value: Option<String>| {
            let value = value.map_or(Ok(nothing.clone()), HeaderValue::try_from);
            headers.insert(name, written(name, value)?);
            Ok(())
        };
        set(&JWT, jwt.map(str::to_owned))?;
        match identity {
            Some(identity) => self.values_of(identity).try_for_each(|(name, value)| set(name, value?)),
            None => self.set.iter().try_for_each(|(name, _)| set(name, None)),
        }
    }

    fn strip(&self, headers: &mut HeaderMap) {
        let found: Vec<_> = headers.keys().filter(|name| self.names.contains(name.as_str())).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Each header with what it says of the person or machine, if it says anything.
    fn values_of(&self, identity: &Identity) -> impl Iterator<Item = (&HeaderName, Result<Option<String>, Refusal>)> {
        self.set.iter().map(move |(name, source)| {
            let value = match (identity, source) {
                (Identity::Person(session), HeaderSource::Claim(claim)) => self.values.header(claim, &session.record),
                (Identity::Person(session), HeaderSource::FullName) => Ok(self.values.full_name(&session.record)),
                (Identity::Machine(machine), HeaderSource::Claim(claim)) => self.values.of_machine(claim, machine),
                (Identity::Machine(machine), HeaderSource::FullName) => Ok(Some(machine_user(machine))),
            };
            (name, value)
        })
    }
}

/// Makes an answer of the upstream fit for the browser: our names are ours to set, and what a person sees
/// when signed in must not be shown to the next one by a shared cache.
pub fn clean_response(response: &mut ResponseHeader, signed_in: bool) {
    response.remove_header(&SAMLGATE);
    let is_foreign = |value: &&HeaderValue| !is_own_set_cookie(value.as_bytes());
    let cookies = response.headers.get_all(SET_COOKIE);
    if cookies.iter().any(|value| !is_foreign(&value)) {
        let foreign: Vec<_> = cookies.iter().filter(is_foreign).cloned().collect();
        response.remove_header(&SET_COOKIE);
        for value in foreign {
            // Appending a value that was there before fails only where the header map is full, which it was not.
            let _ = response.append_header(SET_COOKIE, value);
        }
    }
    if signed_in && !response.headers.contains_key(CACHE_CONTROL) {
        let _ = response.insert_header(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
}

/// No client should take a cookie from there (RFC 9110 §6.5.1), and none is to be tried with one of ours.
pub fn clean_trailers(trailers: &mut HeaderMap) {
    trailers.remove(SAMLGATE);
    trailers.remove(SET_COOKIE);
}

/// Sets cookies of ours on an answer of the upstream, which no shared cache may then keep: it would hand one person's
/// to another.
pub fn hand_cookies(response: &mut ResponseHeader, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let is_kept_private = |value: &HeaderValue| {
        value.to_str().is_ok_and(|value| value.split(',').any(|word| matches!(word.trim(), "no-store" | "private")))
    };
    if !response.headers.get_all(CACHE_CONTROL).iter().any(is_kept_private) {
        let _ = response.insert_header(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    for line in lines {
        // Only where the header map is full: the browser then keeps what it has.
        let _ = response.append_header(SET_COOKIE, line);
    }
}

fn strip_cookies(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let stripped: Vec<_> =
        headers.get_all(COOKIE).iter().map(|value| (value.clone(), strip_own(value.as_bytes()))).collect();
    if stripped.iter().all(|(_, one)| *one == Stripped::Unchanged) {
        return Ok(());
    }
    headers.remove(COOKIE);
    for (before, stripped) in stripped {
        let value = match stripped {
            Stripped::Nothing => continue,
            Stripped::Unchanged => before,
            Stripped::Rest(rest) => written(&COOKIE, HeaderValue::try_from(rest))?,
        };
        headers.append(COOKIE, value);
    }
    Ok(())
}

/// No application learns what it could itself call others with.
fn strip_token(headers: &mut HeaderMap) {
    if OfferedToken::of(headers).is_some() {
        headers.remove(AUTHORIZATION);
    }
}

/// The one that is for the application; empty where there is none, or two.
fn foreign_authorization(request: &HeaderMap) -> HeaderValue {
    let mut lines = request.get_all(AUTHORIZATION).iter();
    match (lines.next(), lines.next()) {
        (Some(only), None) if OfferedToken::of(request).is_none() => only.clone(),
        _ => HeaderValue::from_static(""),
    }
}

/// The Cookie headers of a request as one, without ours.
fn foreign_cookies(request: &HeaderMap) -> Vec<u8> {
    let rest = request.get_all(COOKIE).iter().filter_map(|value| match strip_own(value.as_bytes()) {
        Stripped::Nothing => None,
        Stripped::Unchanged => Some(value.as_bytes().to_vec()),
        Stripped::Rest(rest) => Some(rest),
    });
    rest.collect::<Vec<_>>().join(b"; ".as_slice())
}

fn scheme(scheme: Scheme) -> HeaderValue {
    HeaderValue::from_static(match scheme {
        Scheme::Https => "https",
        Scheme::Http => "http",
    })
}

fn address(address: IpAddr) -> Result<HeaderValue, Refusal> {
    let mut text = Cursor::new([0; MAX_ADDRESS]);
    write!(text, "{address}").map_err(|problem| unwritable(&FORWARDED_FOR, &problem))?;
    let length = usize::try_from(text.position()).unwrap_or_default();
    let text = text.get_ref().get(..length).unwrap_or_default();
    written(&FORWARDED_FOR, HeaderValue::from_bytes(text))
}

fn written<E: std::fmt::Display>(name: &HeaderName, value: Result<HeaderValue, E>) -> Result<HeaderValue, Refusal> {
    value.map_err(|problem| unwritable(name, &problem))
}

fn unwritable(name: &HeaderName, problem: &dyn std::fmt::Display) -> Refusal {
    Refusal::Internal { problem: format!("the header {name} cannot be written: {problem}") }
}
