//! Start and finish a login. Pure: effects are returned as values, randomness and time are given.

use config::{Binding, Claim, ExpiredCertificates, IdentityHeaders, IdentityProvider, SessionSettings, SingleLogout};
use saml_core::{
    AcceptedLogin, Authentication, AuthnRequest, Identity, PostForm, RequestId, ServiceProvider, Signer, SigningError,
    SsoUrl, Timestamp, TrustedIdp,
};

use crate::refusal::Refusal;
use crate::session::{
    BindingHash, BrowserBinding, FurtherClaims, IdpSession, Landing, PendingLogin, PendingState, Rounds, SessionKey,
    SessionRecord,
};

/// What a new login is made from.
pub struct Wish<'a> {
    /// Already checked.
    pub return_url: &'a str,
    pub binding: BindingHash,
    pub rounds: Rounds,
    /// The session that this browser has now; it ends when the login succeeds.
    pub replaces: Option<SessionKey>,
    pub landing: Landing,
    pub entropy: Entropy,
}

/// Random bits, drawn by the caller.
#[derive(Clone, Copy)]
pub struct Entropy {
    pub request_id: [u8; 20],
    pub relay_state: [u8; 20],
}

/// A login that is to be stored, then sent on its way.
pub struct StartedLogin {
    pub request_id: RequestId,
    pub pending: PendingLogin,
    pub departure: Departure,
}

/// How the AuthnRequest leaves (SAML Bindings 2.0 §3.4, §3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    Redirect(String),
    Post(PostForm),
}

/// # Errors
/// The key for requests does not sign.
pub fn start(
    idp: &IdentityProvider,
    sso_url: &SsoUrl,
    sp: &ServiceProvider,
    signer: Option<&Signer<'_>>,
    wish: &Wish<'_>,
    now: Timestamp,
) -> Result<StartedLogin, SigningError> {
    let request_id = RequestId::from_random(wish.entropy.request_id);
    // What comes back is ignored: the handle is there because some IdPs fail without one.
    let relay_state: String = wish.entropy.relay_state.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = AuthnRequest { id: &request_id, issue_instant: now, sso_url, sp, force_authn: idp.force_authn };
    let departure = match (idp.binding, signer) {
        (Binding::Redirect, None) => Departure::Redirect(request.redirect_url(&relay_state)),
        (Binding::Redirect, Some(signer)) => Departure::Redirect(request.signed_redirect_url(&relay_state, signer)?),
        (Binding::Post, None) => Departure::Post(request.post_form(&relay_state)),
        (Binding::Post, Some(signer)) => Departure::Post(request.signed_post_form(&relay_state, signer)?),
    };
    let pending = PendingLogin {
        idp: idp.id.clone(),
        return_url: wish.return_url.into(),
        binding: wish.binding,
        created: now,
        authentication: if idp.force_authn { Authentication::Since(now) } else { Authentication::Any },
        rounds: wish.rounds,
        replaces: wish.replaces,
        landing: wish.landing,
    };
    Ok(StartedLogin { request_id, pending, departure })
}

/// A response that is not verified, because the login that it answers cannot be finished by this browser.
pub struct Homecoming {
    pub refusal: Refusal,
    /// The login that it answers, where one is known: it says where the user wanted to go.
    pub pending: Option<PendingLogin>,
}

/// The login that a response answers, if this browser started it and it is still open.
///
/// # Errors
/// Any other; the response is then not even verified.
pub fn awaited(state: PendingState, binding: Option<&BrowserBinding>) -> Result<PendingLogin, Box<Homecoming>> {
    let home = |refusal, pending| Err(Box::new(Homecoming { refusal, pending }));
    match state {
        PendingState::Unknown => home(Refusal::LoginUnknown, None),
        PendingState::Used(pending) => home(Refusal::AssertionReplayed, Some(pending)),
        PendingState::Expired(pending) => home(Refusal::LoginExpired, Some(pending)),
        PendingState::Open(pending) if binding.is_some_and(|binding| pending.binding.matches(binding)) => Ok(pending),
        PendingState::Open(pending) => home(Refusal::LoginOfOtherBrowser, Some(pending)),
    }
}

/// Whether the certificates behind the signatures may still be used: their dates count only where the settings say so.
///
/// # Errors
/// One has ended.
pub fn check_signers(
    idp: &IdentityProvider,
    trusted: &TrustedIdp,
    login: &AcceptedLogin,
    now: Timestamp,
) -> Result<(), Refusal> {
    if idp.expired_certificates == ExpiredCertificates::Accept {
        return Ok(());
    }
    let signers: Vec<_> = login.verified_with().collect();
    let mut ended = trusted.certificates().iter().filter(|known| known.not_after() <= now);
    match ended.find(|known| signers.contains(&known.fingerprint())) {
        Some(ended) => Err(Refusal::CertificateExpired { fingerprint: ended.fingerprint(), ended: ended.not_after() }),
        None => Ok(()),
    }
}

/// The session that an accepted login opens.
pub fn session_of(
    login: &AcceptedLogin,
    idp: &IdentityProvider,
    settings: &SessionSettings,
    headers: &IdentityHeaders,
    now: Timestamp,
) -> SessionRecord {
    let identity = login.identity();
    let max_age = i64::try_from(settings.max_age.as_secs()).unwrap_or(i64::MAX);
    let latest = now.plus_seconds(max_age);
    SessionRecord {
        idp: login.idp().clone(),
        unique_id: identity.unique_id.as_str().into(),
        email: identity.email.as_str().into(),
        username: boxed(identity.username.as_deref()),
        first_name: boxed(identity.first_name.as_deref()),
        last_name: boxed(identity.last_name.as_deref()),
        groups: identity.groups.iter().collect(),
        further: further_claims(identity, headers).boxed(),
        created: now,
        expires: login.session_not_on_or_after().map_or(latest, |end| end.min(latest)),
        idp_session: idp_session(idp, login),
    }
}

fn further_claims(identity: &Identity, headers: &IdentityHeaders) -> FurtherClaims {
    let name_id = identity.name_id.as_ref().filter(|_| is_sent(headers, |claim| *claim == Claim::NameId));
    FurtherClaims {
        name_id: boxed(name_id.map(|name_id| name_id.value.as_str())),
        attributes: identity
            .attributes
            .iter()
            .filter(|(name, _)| is_sent(headers, |claim| matches!(claim, Claim::Attribute(sent) if sent == name)))
            .map(|(name, values)| (name.as_str().into(), values.iter().map(|value| value.as_str().into()).collect()))
            .collect(),
    }
}

/// What single logout needs, where the IdP has it.
fn idp_session(idp: &IdentityProvider, login: &AcceptedLogin) -> Option<Box<IdpSession>> {
    let name_id = login.identity().name_id.clone().filter(|_| idp.single_logout != SingleLogout::Off)?;
    Some(Box::new(IdpSession { name_id, session_indexes: login.session_indexes().to_vec() }))
}

fn boxed(text: Option<&str>) -> Option<Box<str>> {
    text.map(Into::into)
}

/// Whether some header is made from what `is_it` takes; other claims are not kept.
fn is_sent(headers: &IdentityHeaders, is_it: impl Fn(&Claim) -> bool) -> bool {
    headers.set.iter().any(|(_, claim)| is_it(claim))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, settings};

    fn started(binding: &BrowserBinding, change: impl FnOnce(&mut IdentityProvider)) -> StartedLogin {
        let settings = settings();
        let mut idp = settings.identity_providers[0].clone();
        change(&mut idp);
        let wish = Wish {
            return_url: "/deep",
            binding: binding.hash(),
            rounds: Rounds::none(at(5)).and_one_more(),
            replaces: None,
            landing: Landing::ReturnUrl,
            entropy: Entropy { request_id: [1; 20], relay_state: [2; 20] },
        };
        let sso_url = idp.sso_url().unwrap().clone();
        start(&idp, &sso_url, &settings.service_provider, None, &wish, at(7)).unwrap()
    }

    fn browser(letter: &str) -> BrowserBinding {
        BrowserBinding::parse(letter.repeat(43).as_bytes()).unwrap()
    }

    #[test]
    fn remembers_what_the_response_will_be_held_against() {
        let login = started(&browser("A"), |_| ());
        assert_eq!(login.request_id.as_str(), format!("_{}", "01".repeat(20)));
        assert_eq!((&*login.pending.return_url, login.pending.created), ("/deep", at(7)));
        assert_eq!(login.pending.idp.as_str(), "jumpcloud");
        assert_eq!(login.pending.rounds.count(), 1);
        assert!(login.pending.binding.matches(&browser("A")));
    }

    #[test]
    fn leaves_by_the_binding_of_the_idp() {
        assert!(matches!(started(&browser("A"), |_| ()).departure, Departure::Redirect(_)));
        let Departure::Post(form) = started(&browser("A"), |idp| idp.binding = Binding::Post).departure else {
            panic!("wanted a form");
        };
        assert_eq!((form.action.as_str(), form.relay_state), ("https://sso.example/saml2/app", Some("02".repeat(20))));
    }

    #[test]
    fn a_new_sign_in_is_asked_for_and_remembered() {
        let forced = started(&browser("A"), |idp| idp.force_authn = true);
        assert_eq!(forced.pending.authentication, Authentication::Since(at(7)));
        assert_eq!(started(&browser("A"), |_| ()).pending.authentication, Authentication::Any);
    }

    #[test]
    fn only_the_browser_that_started_an_open_login_may_finish_it() {
        let (ours, other) = (browser("A"), browser("E"));
        let pending = || started(&ours, |_| ()).pending;
        let check = |state: PendingState, binding: Option<&BrowserBinding>, expected: &str, is_known: bool| {
            let home = awaited(state, binding).err().unwrap();
            assert_eq!((home.refusal.code(), home.pending.is_some()), (expected, is_known));
        };
        assert!(awaited(PendingState::Open(pending()), Some(&ours)).is_ok());
        check(PendingState::Open(pending()), Some(&other), "login_of_other_browser", true);
        check(PendingState::Open(pending()), None, "login_of_other_browser", true);
        check(PendingState::Used(pending()), Some(&ours), "assertion_replayed", true);
        check(PendingState::Expired(pending()), Some(&ours), "login_expired", true);
        check(PendingState::Unknown, Some(&ours), "login_unknown", false);
    }
}
