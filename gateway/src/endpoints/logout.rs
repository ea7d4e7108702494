//! `/saml/logout`: a page that asks, and the end of the session in this browser.

use http::header::ORIGIN;
use http::{HeaderMap, Method, StatusCode};

use super::{Call, set_cookie};
use crate::identity_jwt::session_reference;
use crate::pages::{Answer, LogoutPage, Reach, SignedOutPage, page};
use crate::refusal::Refusal;
use crate::session::{clear_login_cookie, clear_session_cookie};

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    if call.method == Method::POST { sign_out(call).await } else { Ok(ask(call)) }
}

fn ask(call: &Call<'_>) -> Answer {
    let site = &call.gateway.site;
    let template = LogoutPage {
        site,
        email: call.session.map(|session| &*session.record.email),
        portal_url: site.portal_url.as_deref(),
    };
    page(site, StatusCode::OK, Reach::FormLeaves, &template)
}

async fn sign_out(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (gateway, site) = (call.gateway, &call.gateway.site);
    if !is_same_origin(call.headers, &site.origin) {
        return Err(Refusal::CrossSiteRequest);
    }
    if let Some(session) = call.session {
        let ended = gateway.sessions.end(&session.key).await;
        gateway.stored("remove", ended)?;
        tracing::info!(
            request.id = call.request_id,
            session.r#ref = session_reference(&session.key),
            user.r#ref = gateway.user_ref(&session.record.idp, &session.record.unique_id),
            "signed out"
        );
    }
    let template = SignedOutPage { site, portal_url: site.portal_url.as_deref() };
    let mut answer = page(site, StatusCode::OK, Reach::FormLeaves, &template);
    set_cookie(&mut answer, &clear_session_cookie());
    set_cookie(&mut answer, &clear_login_cookie());
    Ok(answer)
}

/// Sec-Fetch-Site where the browser sends it, else Origin; with neither the page is not known to be ours.
fn is_same_origin(headers: &HeaderMap, origin: &str) -> bool {
    match headers.get("sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => headers.get(ORIGIN).is_some_and(|value| value == origin),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &'static str)], expected: bool) {
        let headers = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        assert_eq!(is_same_origin(&headers, "https://app.example.com"), expected);
    }

    #[test]
    fn only_our_own_page_signs_out() {
        check(&[("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "https://app.example.com")], true);
        check(&[], false);
        check(&[("origin", "null")], false);
        check(&[("origin", "https://app.example.com.evil.example")], false);
        check(&[("sec-fetch-site", "same-site"), ("origin", "https://app.example.com")], false);
        check(&[("sec-fetch-site", "cross-site"), ("origin", "https://app.example.com")], false);
    }
}
