//! `GET /saml/login`: a button for each IdP, or straight on to the only one.

use http::StatusCode;

use super::{Call, resume};
use crate::forms::Lost;
use crate::pages::{Answer, FormNotice, LoginButton, LoginPage, Reach, page, redirect};
use crate::refusal::Refusal;
use crate::return_url::origin_of;
use crate::session::Landing;

pub(super) fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (gateway, return_url, landing) = (call.gateway, call.return_url(), call.landing());
    if call.session.is_some() {
        return resume::go_back(call, &gateway.landing_url(landing, &return_url));
    }
    let idps = &gateway.settings.identity_providers;
    let form = form(call, landing);
    let is_shown = gateway.settings.login_page || matches!(form, Some(FormNotice::Lost(_)));
    let start = |idp| landing.carried_by(gateway.start_url(idp, &return_url));
    if let (false, [only]) = (is_shown, idps.as_slice()) {
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
    let site = &gateway.site;
    let host = origin_of(&return_url).split_once("://").map_or(site.host.as_str(), |(_, authority)| authority);
    Ok(page(site, StatusCode::OK, Reach::Ours, &LoginPage { site, host, form, buttons }))
}

/// What the page says of a form that brought its user here. Of one that this browser cannot send it says nothing.
fn form(call: &Call<'_>, landing: Landing) -> Option<FormNotice> {
    if let Some(lost) = call.parameter("lost").and_then(|code| Lost::parse(&code)) {
        return Some(FormNotice::Lost(lost.reason()));
    }
    let is_here = call.noticed_forms().iter().any(|key| landing == Landing::Form(key.id()));
    is_here.then_some(FormNotice::Kept)
}
