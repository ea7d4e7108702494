//! `GET /saml/login`: a button for each IdP, or straight on to the only one.

use http::StatusCode;

use super::Call;
use crate::pages::{Answer, LoginButton, LoginPage, Reach, page, redirect};
use crate::refusal::Refusal;

pub(super) fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (gateway, return_url, landing) = (call.gateway, call.return_url(), call.landing());
    if call.session.is_some() {
        return Ok(redirect(StatusCode::SEE_OTHER, &gateway.landing_url(landing, &return_url)));
    }
    let idps = &gateway.settings.identity_providers;
    let start = |idp| landing.carried_by(gateway.start_url(idp, &return_url));
    if let (false, [only]) = (gateway.settings.login_page, idps.as_slice()) {
        return Ok(redirect(StatusCode::FOUND, &start(&only.id)));
    }
    let buttons = idps
        .iter()
        .map(|idp| LoginButton {
            text: &idp.button.text,
            image_url: idp.button.image_url.as_deref(),
            href: start(&idp.id),
        })
        .collect();
    Ok(page(&gateway.site, StatusCode::OK, Reach::Ours, &LoginPage { site: &gateway.site, buttons }))
}
