//! `/saml/slo`: logout messages of IdPs that have single logout, by HTTP-Redirect and HTTP-POST.
//!
//! A request ends sessions by what it names, not by the browser that carries it: from another site a POST comes
//! without our cookie. It is verified, claimed once, and then the sessions end, each in the cache and in the store.

use std::sync::Arc;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use saml_core::{
    IdpId, LogoutMessage, LogoutOutcome, Rejection, RequestId, VerifiedLogout, VerifiedLogoutRequest,
    VerifiedLogoutResponse,
};

use super::{Call, depart, logout, set_cookie};
use crate::audit::Event;
use crate::identity_jwt::session_reference;
use crate::idps::LiveIdp;
use crate::metrics::{Initiator, LogoutResult};
use crate::pages::{Answer, AtIdp, Purpose};
use crate::refusal::Refusal;
use crate::session::{ClaimOutcome, StoredSession, clear_login_cookie};
use crate::single_logout::Sender;

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    call.gateway.limits.respond(call.client)?;
    let answer = take(call).await;
    if answer.is_err() {
        call.gateway.metrics.logout("", Initiator::Unknown, LogoutResult::Refused);
    }
    answer
}

async fn take(call: &Call<'_>) -> Result<Answer, Refusal> {
    let idps = call.gateway.idps.with_logout();
    match verified(call, idps.clone()).await? {
        VerifiedLogout::Request(request) => end(call, &request, idp_of(&idps, request.idp())?).await,
        VerifiedLogout::Response(response) => conclude(call, &response).await,
    }
}

/// Read and verified off the event loop. Of an IdP whose metadata may name a new key by now, it is looked at early.
async fn verified(call: &Call<'_>, idps: Vec<Arc<LiveIdp>>) -> Result<VerifiedLogout, Refusal> {
    let (gateway, now) = (call.gateway, call.now);
    let settings = Arc::clone(&gateway.settings);
    let is_form = call.method == Method::POST;
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let (query, body) = (call.query.map(str::to_owned), call.body.to_vec());
    let work = move || {
        let message = if is_form {
            LogoutMessage::from_form(content_type.as_deref(), query.as_deref(), &body)?
        } else {
            LogoutMessage::from_query(query.unwrap_or_default().as_bytes())?
        };
        let trusted: Vec<_> = idps.iter().map(|live| &live.trusted).collect();
        message.verify(&trusted, &settings.service_provider, &settings.slo_url, now)
    };
    let (verdict, _) = gateway.verifier.run(work).await?;
    if matches!(verdict, Err(Rejection::SignedByUnknownKey { .. } | Rejection::LogoutSignatureInvalid)) {
        let with_logout = gateway.idps.iter().filter(|idp| idp.live().is_some_and(|live| live.logout.is_some()));
        with_logout.for_each(|idp| idp.look_early(now));
    }
    Ok(verdict?)
}

fn idp_of<'a>(idps: &'a [Arc<LiveIdp>], id: &IdpId) -> Result<&'a LiveIdp, Refusal> {
    let found = idps.iter().find(|live| live.trusted.id() == id);
    found
        .map(|live| &**live)
        .ok_or_else(|| Refusal::Internal { problem: "the IdP that was verified is gone".to_owned() })
}

/// The IdP asks us to end sessions.
///
/// The answer is Success also where no session of that name was found. What the IdP asks is that none be left
/// (SAML Core 2.0 §3.7.3.1), sessions end by themselves before it asks, and another status would only make it tell its
/// user that signing out did not work.
async fn end(call: &Call<'_>, request: &VerifiedLogoutRequest, idp: &LiveIdp) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    // In this order: a request that could not find its sessions can come again, and one that is used up has ended them,
    // or they end when the store answers.
    let ended = if gateway.store().keeps_sessions() {
        gateway.stored("sessions_named", gateway.sessions.named(request).await)?
    } else {
        carried(call, request)?
    };
    let claimed = gateway.store().claim_assertion(request.replay_key(), request.replay_until(), call.now).await;
    if gateway.stored("claim_assertion", claimed)? == ClaimOutcome::AlreadyClaimed {
        return Err(Refusal::LogoutReplayed);
    }
    gateway.stored("remove", gateway.sessions.end_all(&ended, call.now).await)?;
    for session in &ended {
        tracing::info!(
            request.id = call.request_id,
            idp.id = request.idp().as_str(),
            session.r#ref = session_reference(&session.key),
            user.r#ref = gateway.user_ref(request.idp(), &session.unique_id),
            "signed out by the identity provider"
        );
        gateway.audit.note(&Event {
            event: "logout_by_idp",
            request: Some(call.request_id),
            client: Some(call.client.to_string()),
            idp: Some(request.idp().as_str()),
            session: Some(session_reference(&session.key)),
            person: Some(gateway.audited(request.idp(), &session.unique_id, None)),
            ..Event::default()
        });
    }
    let result = if ended.is_empty() { LogoutResult::NoSession } else { LogoutResult::Ended };
    gateway.metrics.logout(request.idp().as_str(), Initiator::Idp, result);
    tracing::info!(
        request.id = call.request_id,
        idp.id = request.idp().as_str(),
        sessions.ended = ended.len(),
        "logout request of the identity provider"
    );

    let mut answer = reply(call, request, idp)?;
    // Another's session is not ended by having its browser carry the request, and its cookie stays.
    if call.session.is_some_and(|own| ended.iter().any(|session| session.key == own.key)) {
        call.browser.forget_record(&call.gateway.cookies);
        let lines = call.gateway.cookies.clear_session_cookies();
        lines.iter().for_each(|line| set_cookie(&mut answer, line));
        set_cookie(&mut answer, &clear_login_cookie());
    }
    Ok(answer)
}

/// Where browsers carry their sessions, none is found but that of the browser that carries the request; and it shows its
/// cookie only if it was sent here by HTTP-Redirect.
fn carried(call: &Call<'_>, request: &VerifiedLogoutRequest) -> Result<Vec<StoredSession>, Refusal> {
    if call.method == Method::POST {
        return Err(Refusal::LogoutByPost);
    }
    let own = call.session.filter(|own| own.record.is_among(&request.sessions()));
    Ok(own.map(|own| own.stored()).into_iter().collect())
}

fn reply(call: &Call<'_>, request: &VerifiedLogoutRequest, idp: &LiveIdp) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    let service = idp.logout.as_ref().ok_or_else(|| logout::internal("the IdP has no single logout"))?;
    let sender = Sender {
        service,
        sp: &gateway.settings.service_provider,
        signer: &gateway.signer()?,
        entropy: gateway.draw_entropy().map_err(logout::internal)?,
        now: call.now,
    };
    let departure = sender.answer(request).map_err(logout::internal)?;
    Ok(depart(&gateway.site, StatusCode::SEE_OTHER, &departure, Purpose::SignOut))
}

/// The IdP answers a request of ours. The session here ended before it was sent.
async fn conclude(call: &Call<'_>, response: &VerifiedLogoutResponse) -> Result<Answer, Refusal> {
    let gateway = call.gateway;
    let mismatch = || Refusal::Saml(Rejection::LogoutInResponseToMismatch);
    let id = RequestId::parse(response.in_response_to()).map_err(|_| mismatch())?;
    let taken = gateway.store().take_pending_logout(id.as_str(), call.now, call.browser).await;
    let pending = gateway.stored("take_pending_logout", taken)?.ok_or_else(mismatch)?;
    let outcome = response.outcome(&pending.idp, &id)?;
    let (result, at_idp) = match &outcome {
        LogoutOutcome::Complete => (LogoutResult::Complete, AtIdp::Ended),
        LogoutOutcome::Partial => (LogoutResult::Partial, AtIdp::EndedInPart),
        LogoutOutcome::Failed { .. } => (LogoutResult::Failed, AtIdp::Refused),
    };
    gateway.metrics.logout(pending.idp.as_str(), Initiator::User, result);
    let status = match &outcome {
        LogoutOutcome::Failed { status } => Some(status.as_str()),
        LogoutOutcome::Complete | LogoutOutcome::Partial => None,
    };
    tracing::info!(
        request.id = call.request_id,
        idp.id = pending.idp.as_str(),
        logout.result = result.label(),
        logout.status = status,
        "the identity provider has answered a logout request"
    );
    Ok(logout::signed_out(call, at_idp))
}
