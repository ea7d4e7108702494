//! `GET /saml/replay`: sends a kept form on, once its user has signed in.
//!
//! The page holds the handle and not the form, whose bytes stay where they are until the handle arrives at the form's own
//! address. Looking at the page uses nothing up.

use http::StatusCode;

use super::Call;
use crate::pages::{Answer, Reach, ReplayPage, page, redirect};
use crate::refusal::Refusal;
use crate::session::Landing;

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    let (gateway, landing) = (call.gateway, call.landing());
    if call.session.is_none() {
        let login = landing.carried_by(gateway.login_url(&call.return_url()));
        return Ok(redirect(StatusCode::FOUND, &login));
    }
    send(call, landing).await.inspect_err(|refusal| gateway.metrics.form("refused", refusal.code()))
}

async fn send(call: &Call<'_>, landing: Landing) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    let cookie = call.own_forms().into_iter().find(|cookie| landing == Landing::Form(cookie.secret.key().id()));
    let secret = cookie.ok_or(Refusal::FormOfOtherBrowser)?.secret;
    let sealed = gateway.stored("form", gateway.store().form(&secret.key()).await)?;
    let form = sealed.and_then(|sealed| gateway.forms.open(&secret, &sealed, call.now));
    let form = form.ok_or(Refusal::FormExpired)?;
    let handle = secret.to_text();
    let template =
        ReplayPage { site: &gateway.site, host: &call.host.authority, action: &form.target, handle: &handle };
    Ok(page(&gateway.site, StatusCode::OK, Reach::FormLeaves, &template))
}
