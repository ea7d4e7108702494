//! `/saml/logout`: a page that asks, and the end of the session: in this browser, or at the IdP as well.

use std::sync::Arc;

use http::{Method, StatusCode};

use super::{Call, depart, set_cookie};
use crate::audit::Event;
use crate::identity_jwt::session_reference;
use crate::idps::{Idp, LiveIdp};
use crate::login::Departure;
use crate::metrics::{Initiator, LogoutResult};
use crate::pages::{Answer, AtIdp, LogoutPage, Purpose, Reach, SignedOutPage, page};
use crate::refusal::Refusal;
use crate::same_origin::is_same_origin;
use crate::session::{Effect, IdpSession, PendingLogout, Session, clear_login_cookie};
use crate::shared::Gateway;
use crate::single_logout::Sender;

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    if call.method == Method::POST { sign_out(call).await } else { Ok(ask(call)) }
}

fn ask(call: &Call<'_>) -> Answer {
    let site = &call.gateway.site;
    let template = LogoutPage {
        site,
        email: call.session.map(|session| &*session.record.email),
        everywhere: call.session.is_some_and(|session| single_logout(call.gateway, session).is_some()),
        portal_url: site.portal_url.as_deref(),
    };
    page(site, StatusCode::OK, Reach::FormLeaves, &template)
}

/// The session here ends first, whatever becomes of the IdP's (saml2int: an unreachable IdP must not keep anybody signed in).
async fn sign_out(call: &Call<'_>) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    if !is_same_origin(call.headers, call.host) {
        return Err(Refusal::CrossSiteRequest);
    }
    let mut departure = None;
    if let Some(session) = call.session {
        end(call, session).await?;
        departure = match single_logout(gateway, session).filter(|_| is_everywhere(call)) {
            Some((idp, at_idp)) => ask_idp(call, session, &idp, at_idp).await,
            None => None,
        };
        let result = if departure.is_some() { LogoutResult::Asked } else { LogoutResult::Ended };
        gateway.metrics.logout(session.record.idp.as_str(), Initiator::User, result);
    }
    let mut answer = match departure {
        Some(departure) => depart(&gateway.site, StatusCode::SEE_OTHER, &departure, Purpose::SignOut),
        None => signed_out(call, AtIdp::Unasked),
    };
    call.browser.forget_record(&gateway.cookies);
    let mut lines = gateway.cookies.clear_session_cookies();
    lines.push(clear_login_cookie());
    for form in call.noticed_forms() {
        // Whoever signs in here next does not send it.
        lines.extend(gateway.forget_form(&form).await);
    }
    lines.iter().for_each(|line| set_cookie(&mut answer, line));
    Ok(answer)
}

/// The IdP answers at `public_url`, where alone our page asks for it: a browser that carries the logout would not bring it
/// there from another host.
fn is_everywhere(call: &Call<'_>) -> bool {
    call.parameter("everywhere").is_some() && call.host == call.gateway.hosts().public()
}

async fn end(call: &Call<'_>, session: &Session) -> Result<(), Refusal> {
    let gateway = call.gateway;
    let ended = gateway.sessions.end(&session.key, call.now).await;
    let effect = gateway.stored("remove", ended)?;
    tracing::info!(
        request.id = call.request_id,
        queued = effect == Effect::Queued,
        session.r#ref = session_reference(&session.key),
        user.r#ref = gateway.user_ref(&session.record.idp, &session.record.unique_id),
        "signed out"
    );
    let (idp, record) = (&session.record.idp, &session.record);
    gateway.audit.note(&Event {
        event: "logout",
        request: Some(call.request_id),
        client: Some(call.client.to_string()),
        idp: Some(idp.as_str()),
        session: Some(session_reference(&session.key)),
        person: Some(gateway.audited(idp, &record.unique_id, Some(&record.email))),
        ..Event::default()
    });
    Ok(())
}

/// Where the session's IdP can be asked to end its own, and what that is called there.
fn single_logout<'s>(gateway: &Gateway, session: &'s Session) -> Option<(Arc<LiveIdp>, &'s IdpSession)> {
    let at_idp = session.record.idp_session.as_deref()?;
    let idp = gateway.identity_provider(session.record.idp.as_str()).and_then(Idp::live)?;
    idp.logout.is_some().then_some((idp, at_idp))
}

/// `None` where it does not work out: the user is signed out here all the same, and the page says no more.
async fn ask_idp(call: &Call<'_>, session: &Session, idp: &LiveIdp, at_idp: &IdpSession) -> Option<Departure> {
    match request(call, session, idp, at_idp).await {
        Ok(departure) => departure,
        Err(refusal) => {
            tracing::warn!(
                request.id = call.request_id,
                idp.id = session.record.idp.as_str(),
                refusal.code = refusal.code(),
                "the identity provider is not asked to sign out: {refusal}"
            );
            None
        }
    }
}

async fn request(
    call: &Call<'_>,
    session: &Session,
    idp: &LiveIdp,
    at_idp: &IdpSession,
) -> Result<Option<Departure>, Refusal> {
    let gateway = call.gateway;
    let Some(service) = &idp.logout else { return Ok(None) };
    let (id, departure) = {
        let signer = gateway.signer()?;
        let (sp, entropy) = (&gateway.settings.service_provider, gateway.draw_entropy().map_err(internal)?);
        let sender = Sender { service, sp, signer: &signer, entropy, now: call.now };
        sender.ask(at_idp).map_err(internal)?
    };
    let pending = PendingLogout { idp: session.record.idp.clone(), created: call.now };
    let stored = gateway.store().put_pending_logout(&id, pending, call.client, call.browser).await;
    gateway.stored("put_pending_logout", stored)?;
    Ok(Some(departure))
}

pub(super) fn signed_out(call: &Call<'_>, at_idp: AtIdp) -> Answer {
    let site = &call.gateway.site;
    let template = SignedOutPage { site, portal_url: site.portal_url.as_deref(), at_idp };
    page(site, StatusCode::OK, Reach::FormLeaves, &template)
}

pub(super) fn internal(error: impl std::fmt::Display) -> Refusal {
    Refusal::Internal { problem: error.to_string() }
}
