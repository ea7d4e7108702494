//! `POST /saml/acs`: the assertion consumer service.
//!
//! A response is verified only if this browser started the login that it answers and the login is still
//! open. Then, in this order: signatures and policy, the pending login is taken, the assertion is
//! claimed, the second opinion is asked where there is one, the session is opened. Taking, claiming and opening have
//! one winner each.

use std::sync::Arc;
use std::time::Duration;

use config::IdentityProvider;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use saml_core::{
    AcceptedLogin, AcsForm, IdpId, InResponseTo, Rejection, RequestId, SentRequest, Timestamp, UnverifiedResponse,
};

use super::{Call, resume, set_cookie};
use crate::audit::Event;
use crate::identity_jwt::session_reference;
use crate::idps::{Idp, LiveIdp};
use crate::login::{self, Homecoming};
use crate::loop_cause::LoopCause;
use crate::pages::{Answer, redirect};
use crate::refusal::Refusal;
#[cfg(feature = "second-opinion")]
use crate::second_opinion;
use crate::session::{ClaimOutcome, Landing, OpenError, PendingLogin, Rounds, SessionKey, TakeOutcome, Ticket};
use crate::shared::Gateway;

/// How a call of the ACS ends without a session.
enum End {
    /// Nothing was accepted, and the user may well have a session or get one: on to resume.
    Home(Box<Homecoming>),
    /// The user is shown why.
    Refused { refusal: Refusal, idp: Option<IdpId> },
}

impl From<Box<Homecoming>> for End {
    fn from(homecoming: Box<Homecoming>) -> Self {
        Self::Home(homecoming)
    }
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, idp: None }
    }
}

impl From<Rejection> for End {
    fn from(rejection: Rejection) -> Self {
        Refusal::Saml(rejection).into()
    }
}

pub(super) async fn serve(call: &Call<'_>) -> Result<Answer, Refusal> {
    call.gateway.limits.respond(call.client)?;
    match sign_in(call).await {
        Ok(answer) => Ok(answer),
        Err(End::Home(homecoming)) => Ok(go_home(call, &homecoming)),
        Err(End::Refused { refusal, idp }) => {
            report(call, &refusal, idp.as_ref());
            Err(refusal)
        }
    }
}

async fn sign_in(call: &Call<'_>) -> Result<Answer, End> {
    let (response, posted) = read(call).await?;
    match response.in_response_to() {
        InResponseTo::Request(text) => {
            let request_id = RequestId::parse(text).map_err(|_| unknown())?;
            sign_in_answering(call, response, request_id, posted).await
        }
        InResponseTo::Unsolicited => sign_in_unsolicited(call, response, posted).await,
    }
}

async fn sign_in_answering(
    call: &Call<'_>,
    response: UnverifiedResponse,
    request_id: RequestId,
    posted: Posted,
) -> Result<Answer, End> {
    let gateway = call.gateway;
    let state = gateway.store().pending(request_id.as_str(), call.now, call.browser).await;
    let state = gateway.stored("pending", state)?;
    let pending = login::awaited(state, call.binding().as_ref())?;

    let idp = gateway.identity_provider(pending.idp.as_str()).ok_or_else(unknown)?;
    let idp_id = pending.idp.clone();
    let refused = |refusal| End::Refused { refusal, idp: Some(idp_id.clone()) };
    let live = idp.ready().map_err(refused)?;
    let request = SentRequest { id: request_id.clone(), authentication: pending.authentication };
    let login = match verify(call, idp, &live, response, Some(request), posted.parsed_in).await? {
        Ok(login) => login,
        Err(refusal) => {
            let counted = gateway.store().count_refusal(request_id.as_str()).await;
            gateway.stored("count_refusal", counted)?;
            return Err(refused(refusal));
        }
    };
    let pending = claim(call, &login, &request_id, pending).await?;
    let login = confirmed(gateway, &live, login, posted.form).await.map_err(refused)?;
    let mut answer = welcome(call, &idp.settings, &login, pending.replaces, &way_home(call, &pending)).await?;
    set_cookie(&mut answer, resume::PROBE);
    Ok(answer)
}

/// A response that answers no request of ours (SAML Profiles 2.0 §4.1.5), from an IdP that may send such. Its Issuer
/// picks the IdP and no more: what is checked is checked against that one. Nothing ties it to this browser, so it
/// leads to the front page and nowhere else.
async fn sign_in_unsolicited(call: &Call<'_>, response: UnverifiedResponse, posted: Posted) -> Result<Answer, End> {
    let gateway = call.gateway;
    let unsolicited = || home(Rejection::UnsolicitedResponse.into(), None);
    let idp = gateway.idps.initiator(response.claimed_issuer()).ok_or_else(unsolicited)?;
    let refused = |refusal| End::Refused { refusal, idp: Some(idp.settings.id.clone()) };
    let live = idp.ready().map_err(refused)?;
    let login = verify(call, idp, &live, response, None, posted.parsed_in).await?.map_err(refused)?;
    claim_assertion(gateway, &login, call.now, || None).await?;
    let login = confirmed(gateway, &live, login, posted.form).await.map_err(refused)?;
    welcome(call, &idp.settings, &login, None, "/").await
}

/// Opens the session of a login that was claimed; the one before it ends.
async fn welcome(
    call: &Call<'_>,
    idp: &IdentityProvider,
    login: &AcceptedLogin,
    replaces: Option<SessionKey>,
    landing: &str,
) -> Result<Answer, End> {
    let gateway = call.gateway;
    let (ticket, max_age) = open(call, idp, login).await?;
    for old in [replaces, call.session.map(|session| session.key)].into_iter().flatten() {
        end_replaced(gateway, &old, call.now).await;
    }

    gateway.metrics.login_accepted(login.idp().as_str());
    let session = ticket.key();
    tracing::info!(
        request.id = call.request_id,
        idp.id = login.idp().as_str(),
        session.r#ref = session_reference(&session),
        user.r#ref = gateway.user_ref(login.idp(), &login.identity().unique_id),
        "login accepted"
    );
    if gateway.audit.is_on() {
        let identity = login.identity();
        gateway.audit.note(&Event {
            event: "login",
            request: Some(call.request_id),
            client: Some(call.client.to_string()),
            idp: Some(login.idp().as_str()),
            session: Some(session_reference(&session)),
            person: Some(gateway.audited(login.idp(), &identity.unique_id, Some(&identity.email))),
            assertion: Some(login.assertion_id()),
            certificate: Some(login.signed_with().to_string()),
            ..Event::default()
        });
    }
    let mut answer = redirect(StatusCode::SEE_OTHER, landing);
    set_cookie(&mut answer, &call.gateway.cookies.session_cookie(&ticket, max_age));
    Ok(answer)
}

/// What a response was decoded from, for the second opinion, and how long that took.
struct Posted {
    form: AcsForm,
    parsed_in: Duration,
}

/// Form, base64, XML and shape. Nothing is believed yet.
async fn read(call: &Call<'_>) -> Result<(UnverifiedResponse, Posted), End> {
    let content_type = call.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = AcsForm::parse(content_type, call.query, call.body)?;
    let work = move || (UnverifiedResponse::from_form(&form), form);
    let ((response, form), parsed_in) = call.gateway.verifier.run(work).await?;
    Ok((response?, Posted { form, parsed_in }))
}

/// By the one IdP, as it is trusted now. `request` is what the response must answer; `None` for one that answers none.
async fn verify(
    call: &Call<'_>,
    idp: &Idp,
    live: &Arc<LiveIdp>,
    response: UnverifiedResponse,
    request: Option<SentRequest>,
    parsed_in: Duration,
) -> Result<Result<AcceptedLogin, Refusal>, End> {
    let (gateway, now) = (call.gateway, call.now);
    let (settings, trusted) = (Arc::clone(&gateway.settings), Arc::clone(live));
    let keys = Arc::clone(gateway.keys().saml().decryption());
    let work = move || {
        let verified = response.verify(&trusted.trusted, &keys)?;
        match &request {
            Some(request) => verified.accept(request, &settings.service_provider, now),
            None => verified.accept_unsolicited(&settings.service_provider, now),
        }
    };
    let (verdict, took) = gateway.verifier.run(work).await?;
    gateway.metrics.saml_verify_seconds.observe((parsed_in + took).as_secs_f64());
    if matches!(verdict, Err(Rejection::SignedByUnknownKey { .. })) {
        idp.look_early(now);
    }
    let login = match verdict {
        Ok(login) => login::check_signers(&idp.settings, &live.trusted, &login, now).map(|()| login),
        Err(rejection) => Err(rejection.into()),
    };
    Ok(login)
}

/// Used once: first the login, then the assertion.
async fn claim(
    call: &Call<'_>,
    login: &AcceptedLogin,
    request_id: &RequestId,
    pending: PendingLogin,
) -> Result<PendingLogin, End> {
    let (gateway, now) = (call.gateway, call.now);
    let taken = gateway.store().take_pending(request_id.as_str(), now, call.browser).await;
    let TakeOutcome::Taken = gateway.stored("take_pending", taken)? else {
        return Err(home(Refusal::AssertionReplayed, Some(pending)));
    };
    claim_assertion(gateway, login, now, || Some(pending.clone())).await?;
    Ok(pending)
}

async fn claim_assertion(
    gateway: &Gateway,
    login: &AcceptedLogin,
    now: Timestamp,
    pending: impl FnOnce() -> Option<PendingLogin>,
) -> Result<(), End> {
    let claimed = gateway.store().claim_assertion(login.replay_key(), login.replay_until(), now).await;
    match gateway.stored("claim_assertion", claimed)? {
        ClaimOutcome::Claimed => Ok(()),
        ClaimOutcome::AlreadyClaimed => Err(home(Refusal::AssertionReplayed, pending())),
    }
}

/// By the second verifier, where the settings ask for it. The response is used up by now, whatever it says.
#[cfg(feature = "second-opinion")]
async fn confirmed(
    gateway: &Gateway,
    live: &Arc<LiveIdp>,
    login: AcceptedLogin,
    form: AcsForm,
) -> Result<AcceptedLogin, Refusal> {
    if !gateway.settings.second_opinion {
        return Ok(login);
    }
    let (settings, live) = (Arc::clone(&gateway.settings), Arc::clone(live));
    let work = move || {
        let verdict = second_opinion::of_login(&login, &form, &live.trusted, &settings.service_provider);
        (login, verdict)
    };
    let ((login, verdict), _) = gateway.verifier.run(work).await?;
    gateway.metrics.second_opinion(verdict.is_ok());
    match verdict {
        Ok(()) => Ok(login),
        Err(difference) => {
            let idp = login.idp().as_str();
            tracing::error!(idp.id = idp, "the second verifier differs on a login that ours accepts: {difference}");
            Err(Refusal::SecondOpinionDiffers { problem: difference.to_string() })
        }
    }
}

#[cfg(not(feature = "second-opinion"))]
async fn confirmed(_: &Gateway, _: &Arc<LiveIdp>, login: AcceptedLogin, _: AcsForm) -> Result<AcceptedLogin, Refusal> {
    Ok(login)
}

async fn open(call: &Call<'_>, idp: &IdentityProvider, login: &AcceptedLogin) -> Result<(Ticket, Duration), End> {
    let (gateway, now) = (call.gateway, call.now);
    let settings = &gateway.settings;
    let record = login::session_of(login, idp, &settings.session, &settings.identity_headers, now);
    let seconds = record.expires.unix_seconds().saturating_sub(now.unix_seconds());
    let max_age = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
    match gateway.sessions.open(record, call.browser).await {
        Ok(ticket) => Ok((ticket, max_age)),
        Err(OpenError::Store(error)) => Err(gateway.store_failed("insert", &error).into()),
        Err(OpenError::Random(error)) => Err(Refusal::Internal { problem: error.to_string() }.into()),
    }
}

/// The browser has forgotten the old ticket already; a store that does not answer must not undo the login.
async fn end_replaced(gateway: &Gateway, key: &SessionKey, now: Timestamp) {
    if let Err(error) = gateway.sessions.end(key, now).await {
        gateway.store_failed("remove", &error);
        tracing::warn!(session.r#ref = session_reference(key), "the session before this login lives on: {error}");
    }
}

/// Where an accepted login leads. By way of resume, where it shows whether the session cookie came back, if this browser
/// went round before, or has nobody but that page to tell it.
fn way_home(call: &Call<'_>, pending: &PendingLogin) -> String {
    let (gateway, rounds) = (call.gateway, pending.rounds.at(call.now));
    if rounds.count() == 0 && pending.landing != Landing::PopUp {
        return gateway.landing_url(pending.landing, &pending.return_url);
    }
    let landing = (pending.landing, &*pending.return_url);
    resume::url(gateway, landing, Some(pending.idp.as_str()), rounds, Refusal::SessionCookieMissing.code())
}

fn go_home(call: &Call<'_>, homecoming: &Homecoming) -> Answer {
    let Homecoming { refusal, pending } = homecoming;
    report(call, refusal, pending.as_ref().map(|pending| &pending.idp));
    let (landing, idp, rounds) = match pending {
        Some(pending) => {
            ((pending.landing, &*pending.return_url), Some(pending.idp.as_str()), pending.rounds.at(call.now))
        }
        None => ((Landing::ReturnUrl, "/"), None, Rounds::none(call.now)),
    };
    let mut answer = redirect(StatusCode::SEE_OTHER, &resume::url(call.gateway, landing, idp, rounds, refusal.code()));
    set_cookie(&mut answer, resume::PROBE);
    answer
}

/// Every login that fails is counted and logged here, and nowhere else.
fn report(call: &Call<'_>, refusal: &Refusal, idp: Option<&IdpId>) {
    let idp = idp.map_or("", IdpId::as_str);
    call.gateway.metrics.login_refused(idp, refusal.code());
    tracing::info!(
        request.id = call.request_id,
        client.addr = %call.client,
        idp.id = idp,
        refusal.code = refusal.code(),
        refusal.cause = refusal.likely_cause().map(LoopCause::code),
        refusal.cure = refusal.cure(),
        "login refused: {refusal}"
    );
    call.gateway.audit.note(&Event {
        event: "login_refused",
        request: Some(call.request_id),
        client: Some(call.client.to_string()),
        idp: Some(idp).filter(|idp| !idp.is_empty()),
        code: Some(refusal.code()),
        ..Event::default()
    });
}

fn unknown() -> End {
    home(Refusal::LoginUnknown, None)
}

fn home(refusal: Refusal, pending: Option<PendingLogin>) -> End {
    End::Home(Box::new(Homecoming { refusal, pending }))
}
