//! `GET /saml/login`: a button for each IdP, or straight on to the only one.

use http::StatusCode;

use super::Call;
use crate::pages::{Answer, LoginButton, LoginPage, Reach, page, redirect};
use crate::refusal::Refusal;

pub(super) fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (gateway, return_url) = (call.gateway, call.return_url());
    if call.session.is_some() {
        return Ok(redirect(StatusCode::SEE_OTHER, &return_url));
    }
    let idps = &gateway.settings.identity_providers;
    if let (false, [only]) = (gateway.settings.login_page, idps.as_slice()) {
        return Ok(redirect(StatusCode::FOUND, &gateway.start_url(&only.id, &return_url)));
    }
    let buttons = idps
        .iter()
        .map(|idp| LoginButton {
            text: &idp.button.text,
            image_url: idp.button.image_url.as_deref(),
            href: gateway.start_url(&idp.id, &return_url),
        })
        .collect();
    Ok(page(&gateway.site, StatusCode::OK, Reach::Ours, &LoginPage { site: &gateway.site, buttons }))
}
