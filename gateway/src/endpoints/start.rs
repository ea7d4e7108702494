//! `GET /saml/start/{idp}`: the only place that makes a pending login.

use config::IdentityProvider;
use http::{HeaderMap, HeaderName, Method, StatusCode};
use saml_core::Signer;

use super::{Call, depart, set_cookie};
use crate::login::{self, Wish};
use crate::pages::{Answer, Purpose, ours};
use crate::refusal::Refusal;
use crate::session::{BrowserBinding, Rounds, login_cookie};
use crate::shared::Gateway;

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    let wanted = call.path.rsplit('/').next().unwrap_or_default();
    let idp = gateway
        .identity_provider(wanted)
        .ok_or_else(|| Refusal::UnknownIdentityProvider { seen: wanted.chars().take(64).collect() })?;
    match kind_of_visit(call.method, call.headers) {
        Visit::Person => {}
        Visit::Look => return Ok(ours(StatusCode::OK, "text/plain; charset=utf-8", "")),
        Visit::Prefetch => return Ok(ours(StatusCode::SERVICE_UNAVAILABLE, "text/plain; charset=utf-8", "")),
        Visit::Background => return Err(Refusal::LoginRequired),
    }

    gateway.limits.start(call.client)?;
    let live = idp.ready()?;

    let known = call.binding();
    let is_new = known.is_none();
    let binding = match known {
        Some(binding) => binding,
        None => BrowserBinding::generate(&gateway.random).map_err(internal)?,
    };
    let rounds = call.parameter("round").map_or(Rounds::none(call.now), |text| Rounds::parse(&text, call.now));
    // A browser that is known and signs in again may have lost the session of a moment ago.
    let rounds = if is_new { rounds } else { rounds.at_least_one() };
    let wish = Wish {
        return_url: &call.return_url(),
        binding: binding.hash(),
        rounds,
        replaces: call.session.map(|session| session.key),
        landing: call.landing(),
        entropy: gateway.draw_entropy().map_err(internal)?,
    };
    let started = {
        let signer = signer(gateway, &idp.settings)?;
        let sp = &gateway.settings.service_provider;
        login::start(&idp.settings, &live.sso_url, sp, signer.as_ref(), &wish, call.now).map_err(internal)?
    };
    let stored = gateway.store().put_pending(&started.request_id, started.pending, call.client, call.browser).await;
    gateway.stored("put_pending", stored)?;

    let mut answer = depart(&gateway.site, StatusCode::FOUND, &started.departure, Purpose::SignIn);
    if is_new {
        set_cookie(&mut answer, &login_cookie(&binding));
    }
    Ok(answer)
}

/// A request that should be signed never leaves unsigned.
fn signer<'g>(gateway: &'g Gateway, idp: &IdentityProvider) -> Result<Option<Signer<'g>>, Refusal> {
    if !idp.sign_requests {
        return Ok(None);
    }
    gateway.signer().map(Some)
}

fn internal(error: impl std::fmt::Display) -> Refusal {
    Refusal::Internal { problem: error.to_string() }
}

#[derive(Debug, PartialEq, Eq)]
enum Visit {
    Person,
    /// HEAD: somebody tries the link.
    Look,
    /// The browser runs ahead of its user (Sec-Purpose, and Purpose of older ones).
    Prefetch,
    /// A script or an image of a page; polling must not pile up pending logins.
    Background,
}

fn kind_of_visit(method: &Method, headers: &HeaderMap) -> Visit {
    let says = |name: &'static str, word: &[u8]| {
        headers
            .get(HeaderName::from_static(name))
            .is_some_and(|value| value.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word)))
    };
    if method == Method::HEAD {
        Visit::Look
    } else if says("sec-purpose", b"prefetch") || says("purpose", b"prefetch") {
        Visit::Prefetch
    } else if headers.contains_key("sec-fetch-mode") && !says("sec-fetch-mode", b"navigate")
        || headers.contains_key("sec-fetch-dest") && !says("sec-fetch-dest", b"document")
    {
        // Frames too: a page of another site could push out a browser's own logins with a handful of them.
        Visit::Background
    } else {
        Visit::Person
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[track_caller]
    fn check(method: Method, headers: &[(&'static str, &'static str)], expected: &Visit) {
        assert_eq!(&kind_of_visit(&method, &testing::headers(headers)), expected);
    }

    #[test]
    fn only_a_person_who_goes_there_starts_a_login() {
        check(Method::GET, &[], &Visit::Person);
        check(Method::GET, &[("sec-fetch-mode", "navigate")], &Visit::Person);
        check(Method::HEAD, &[("sec-fetch-mode", "navigate")], &Visit::Look);
        check(Method::GET, &[("sec-purpose", "prefetch;prerender")], &Visit::Prefetch);
        check(Method::GET, &[("sec-fetch-mode", "navigate"), ("purpose", "prefetch")], &Visit::Prefetch);
        check(Method::GET, &[("sec-fetch-mode", "no-cors")], &Visit::Background);
        check(Method::GET, &[("sec-fetch-mode", "cors")], &Visit::Background);
        check(Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")], &Visit::Background);
        check(Method::GET, &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")], &Visit::Person);
    }
}
