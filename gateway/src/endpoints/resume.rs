//! `GET /saml/resume`: where a late or repeated response lands.
//!
//! The ACS is called across sites, without the Lax cookie; here it shows. With a session the user goes
//! on; without one a fresh login begins, until it has gone round too often. Rounds are counted in the
//! URL, which survives a browser without cookies, and in a cookie, which survives a login that nobody
//! here remembers. A login that was accepted passes by here too, where its session cookie may get lost.
//!
//! After too many rounds a page of ours leads here once more: what the browser brings along then, within the site,
//! and did not bring across sites, tells the cause.

use http::StatusCode;
use saml_core::Rejection;

use super::{Call, set_cookie};
use crate::loop_cause::{Evidence, LoopCause};
use crate::pages::{Answer, LookAgainPage, Reach, page, redirect};
use crate::refusal::Refusal;
use crate::session::{LOGIN_COOKIE, Landing, Rounds};
use crate::shared::Gateway;

/// Begins like every cookie of ours, so that no upstream sees or sets it.
const ROUNDS_COOKIE: &str = "__Host-samlgate-rounds";

/// In the address of the login page: who leads there was offered a session cookie that is none, or two.
pub const BAD_COOKIE: &str = "bad_cookie";

/// Set by the ACS alone: where it shows again, the ACS and this page have the same host and cookies come back from there.
pub(super) const PROBE: &str = "__Host-samlgate-probe=1; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=Lax";
const PROBE_COOKIE: &str = "__Host-samlgate-probe";

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
    let last = known_code(call.parameter("last").as_deref());
    let is_second_look = is_second_look(call);
    // A session that shows only when a page of ours asks is no way out of a loop.
    let shows_late = is_second_look && last == Refusal::SessionCookieMissing.code();
    if call.session.is_some() && !shows_late {
        return Ok(redirect(StatusCode::SEE_OTHER, &call.gateway.landing_url(call.landing(), &return_url)));
    }
    let in_url = call.parameter("round").map_or(Rounds::none(call.now), |text| Rounds::parse(&text, call.now));
    let in_cookie =
        call.browser.first(ROUNDS_COOKIE).map_or(Rounds::none(call.now), |text| Rounds::parse(text, call.now));
    let rounds = in_url.or(in_cookie);
    if rounds.are_too_many() {
        return if is_second_look { Err(stopped(call, last)) } else { Ok(look_again(call)) };
    }
    let rounds = rounds.and_one_more();
    let mut answer = redirect(StatusCode::FOUND, &next(call, &return_url, rounds));
    set_cookie(&mut answer, &counted(rounds));
    Ok(answer)
}

/// From the login page to where somebody came from who has a session. A host that led here because it was offered a session
/// cookie that is none would do so for ever: such rounds are counted, too.
///
/// # Errors
/// There were too many.
pub(super) fn go_back(call: &Call<'_>, location: &str) -> Result<Answer, Refusal> {
    let mut answer = redirect(StatusCode::SEE_OTHER, location);
    if call.parameter(BAD_COOKIE).is_none() {
        return Ok(answer);
    }
    let rounds = call.browser.first(ROUNDS_COOKIE).map_or(Rounds::none(call.now), |text| Rounds::parse(text, call.now));
    if rounds.are_too_many() {
        let last = Refusal::SessionCookieMissing.code();
        return Err(Refusal::LoginLoop { last, cause: LoopCause::CookieTwice });
    }
    set_cookie(&mut answer, &counted(rounds.and_one_more()));
    Ok(answer)
}

fn counted(rounds: Rounds) -> String {
    format!("{ROUNDS_COOKIE}={rounds}; Path=/; Max-Age=120; Secure; HttpOnly; SameSite=Lax")
}

/// Our own page led here, and no link of somebody else: to a user who is signed in that would show a loop which is none. Old
/// browsers that do not say where they come from are believed.
fn is_second_look(call: &Call<'_>) -> bool {
    call.parameter("look").is_some() && call.headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// A page of ours that leads here, so that the next request comes from within the site.
fn look_again(call: &Call<'_>) -> Answer {
    let site = &call.gateway.site;
    let href = format!("{}?{}&look=2", call.path, call.query.unwrap_or_default());
    page(site, StatusCode::OK, Reach::Ours, &LookAgainPage { site, href: &href })
}

fn stopped(call: &Call<'_>, last: &'static str) -> Refusal {
    let has = |name| call.browser.first(name).is_some();
    let evidence = Evidence {
        last,
        has_session: call.session.is_some(),
        has_session_cookie: has(call.gateway.cookies.session_name()),
        has_login_cookie: has(LOGIN_COOKIE),
        has_probe: has(PROBE_COOKIE),
    };
    Refusal::LoginLoop { last, cause: evidence.cause() }
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

/// The page shows only codes that exist, whatever the URL says.
fn known_code(text: Option<&str>) -> &'static str {
    let codes = Refusal::catalogue().iter().chain(Rejection::catalogue()).map(|(code, _)| *code);
    codes.into_iter().find(|code| Some(*code) == text).unwrap_or("login_unknown")
}
