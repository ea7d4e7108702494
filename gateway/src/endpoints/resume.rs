//! `GET /saml/resume`: where a late or repeated response lands.
//!
//! The ACS is called across sites, without the Lax cookie; here it shows. With a session the user goes
//! on; without one a fresh login begins, until it has gone round too often. Rounds are counted in the
//! URL, which survives a browser without cookies, and in a cookie, which survives a login that nobody
//! here remembers.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue, StatusCode};
use saml_core::Rejection;

use super::{Call, set_cookie};
use crate::pages::{Answer, redirect};
use crate::refusal::Refusal;
use crate::session::{Landing, Rounds};
use crate::shared::Gateway;

/// Begins like every cookie of ours, so that no upstream sees or sets it.
const ROUNDS_COOKIE: &str = "__Host-samlgate-rounds";

/// The address that a response without a session is sent to.
pub(super) fn url(
    gateway: &Gateway,
    (landing, return_url): (Landing, &str),
    idp: Option<&str>,
    rounds: Rounds,
    last: &str,
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("rd", return_url).append_pair("round", &rounds.to_string()).append_pair("last", last);
    if let Some(idp) = idp {
        query.append_pair("idp", idp);
    }
    landing.carried_by(format!("{}/resume?{}", gateway.settings.prefix, query.finish()))
}

pub(super) fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let return_url = call.return_url();
    if call.session.is_some() {
        return Ok(redirect(StatusCode::SEE_OTHER, &call.gateway.landing_url(call.landing(), &return_url)));
    }
    let in_url = call.parameter("round").map_or(Rounds::none(call.now), |text| Rounds::parse(&text, call.now));
    let in_cookie = rounds_cookie(call.headers).map_or(Rounds::none(call.now), |text| Rounds::parse(text, call.now));
    let rounds = in_url.or(in_cookie);
    if rounds.are_too_many() {
        return Err(Refusal::LoginLoop { last: known_code(call.parameter("last").as_deref()).to_owned() });
    }
    let rounds = rounds.and_one_more();
    let mut answer = redirect(StatusCode::FOUND, &next(call, &return_url, rounds));
    set_cookie(&mut answer, &format!("{ROUNDS_COOKIE}={rounds}; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=Lax"));
    Ok(answer)
}

/// The IdP that the login was begun with, or the only one; the login page where neither is known.
fn next(call: &Call<'_>, return_url: &str, rounds: Rounds) -> String {
    let gateway = call.gateway;
    let idps = &gateway.settings.identity_providers;
    let named = call.parameter("idp").and_then(|id| gateway.identity_provider(&id)).map(|idp| &idp.settings);
    let idp = named.or(match idps.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    let next = match idp {
        Some(idp) => format!("{}&round={rounds}", gateway.start_url(&idp.id, return_url)),
        None => gateway.site.with_return("login", return_url),
    };
    call.landing().carried_by(next)
}

fn rounds_cookie(headers: &HeaderMap) -> Option<&str> {
    let pairs = headers.get_all(COOKIE).iter().filter_map(|value: &HeaderValue| value.to_str().ok());
    pairs
        .flat_map(|header| header.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == ROUNDS_COOKIE)
        .map(|(_, value)| value)
}

/// The page shows only codes that exist, whatever the URL says.
fn known_code(text: Option<&str>) -> &'static str {
    let codes = Refusal::catalogue().iter().chain(Rejection::catalogue()).map(|(code, _)| *code);
    codes.into_iter().find(|code| Some(*code) == text).unwrap_or("login_unknown")
}
