//! Logout messages that hold: signed by an IdP of ours, for us, of this hour.

use super::shape::{LogoutContent, LogoutShape, PARTIAL_LOGOUT, is_success};
use crate::ids::{IdpId, RequestId, SloUrl};
use crate::name_id::NameId;
use crate::rejection::{Rejection, shortened};
use crate::response::ReplayKey;
use crate::time::Timestamp;
use crate::trust::{ServiceProvider, TrustedIdp};
use crate::xml::{Attr, Document};

/// A logout message is taken this long after it was issued.
const MAX_AGE_SECONDS: i64 = 600;

/// The largest skew that the settings allow; a claim is kept as if it were set.
const MAX_SKEW_SECONDS: i64 = 300;

/// Nobody outside can make one:
///
/// ```compile_fail
/// let request = saml_core::VerifiedLogoutRequest { .. };
/// ```
#[derive(Debug)]
pub enum VerifiedLogout {
    Request(VerifiedLogoutRequest),
    Response(VerifiedLogoutResponse),
}

/// An IdP asks us to end sessions. To be claimed once, under its [`ReplayKey`], before any is ended.
#[derive(Debug)]
pub struct VerifiedLogoutRequest {
    idp: IdpId,
    id: String,
    name_id: NameId,
    session_indexes: Vec<String>,
    relay_state: Option<String>,
    replay_key: ReplayKey,
    replay_until: Timestamp,
}

/// The sessions that a LogoutRequest is for (SAML Core 2.0 §3.7.3.1), as a store is asked for them. Anybody may make one;
/// only a [`VerifiedLogoutRequest`] gives a reason to end them.
#[derive(Debug, Clone, Copy)]
pub struct NamedSessions<'a> {
    pub idp: &'a IdpId,
    pub name_id: &'a NameId,
    /// Empty: every session of that name.
    pub session_indexes: &'a [String],
}

/// An IdP answers a LogoutRequest. What it says is shown only to whoever names the request that was sent.
#[derive(Debug)]
pub struct VerifiedLogoutResponse {
    idp: IdpId,
    in_response_to: String,
    status: Vec<String>,
}

/// What came of a LogoutRequest of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// Everywhere.
    Complete,
    /// Some service kept its session (SAML Core 2.0 §3.2.2.2, `PartialLogout`).
    Partial,
    Failed {
        status: String,
    },
}

impl VerifiedLogout {
    /// # Errors
    /// The first condition that does not hold.
    pub(super) fn of(
        idp: &TrustedIdp,
        document: &Document,
        shape: LogoutShape,
        relay_state: Option<String>,
        sp: &ServiceProvider,
        slo_url: &SloUrl,
        now: Timestamp,
    ) -> Result<Self, Rejection> {
        destination(document, slo_url)?;
        let issued = times(document, sp, now)?;
        let idp = idp.id().clone();
        match shape.content {
            LogoutContent::Request { name_id, session_indexes } => Ok(Self::Request(VerifiedLogoutRequest {
                replay_key: ReplayKey::of_logout_request(&idp, &shape.id),
                replay_until: issued.plus_seconds(MAX_AGE_SECONDS + MAX_SKEW_SECONDS + 1),
                idp,
                id: shape.id,
                name_id,
                session_indexes,
                relay_state,
            })),
            LogoutContent::Response { status } => {
                let in_response_to = document.attribute(Document::ROOT, Attr::InResponseTo);
                let in_response_to = in_response_to.ok_or(Rejection::LogoutInResponseToMismatch)?.to_owned();
                Ok(Self::Response(VerifiedLogoutResponse { idp, in_response_to, status }))
            }
        }
    }
}

/// Present and equal (SAML Bindings 2.0 §3.4.5.2, §3.5.5.2), whatever the binding.
fn destination(document: &Document, slo_url: &SloUrl) -> Result<(), Rejection> {
    let seen = document.attribute(Document::ROOT, Attr::Destination);
    if seen == Some(slo_url.as_str()) {
        return Ok(());
    }
    Err(Rejection::LogoutDestinationMismatch { seen: seen.map(shortened), wanted: slo_url.to_string() })
}

/// IssueInstant, of at most ten minutes ago; NotOnOrAfter, where there is one, is ahead.
fn times(document: &Document, sp: &ServiceProvider, now: Timestamp) -> Result<Timestamp, Rejection> {
    let skew = i64::from(sp.skew_seconds).min(MAX_SKEW_SECONDS);
    let time = |attr, what| {
        let text = document.attribute(Document::ROOT, attr);
        let parsed =
            text.map(|text| Timestamp::parse(text).map_err(|_| Rejection::TimeInvalid { what, seen: shortened(text) }));
        parsed.transpose()
    };
    let what = "IssueInstant of the logout message";
    let issued = time(Attr::IssueInstant, what)?;
    // The shape has asked for it; an absent one is no time.
    let issued = issued.ok_or(Rejection::TimeInvalid { what, seen: String::new() })?;
    if issued > now.plus_seconds(skew) {
        return Err(Rejection::LogoutNotYetValid { seen: issued, now });
    }
    if now >= issued.plus_seconds(MAX_AGE_SECONDS + skew) {
        return Err(Rejection::LogoutExpired { what, seen: issued, now });
    }
    let what = "NotOnOrAfter of the LogoutRequest";
    match time(Attr::NotOnOrAfter, what)? {
        Some(end) if now >= end.plus_seconds(skew) => Err(Rejection::LogoutExpired { what, seen: end, now }),
        _ => Ok(issued),
    }
}

impl VerifiedLogoutRequest {
    pub fn idp(&self) -> &IdpId {
        &self.idp
    }

    /// For InResponseTo of our answer.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn name_id(&self) -> &NameId {
        &self.name_id
    }

    /// Empty where the request is for every session of that name.
    pub fn session_indexes(&self) -> &[String] {
        &self.session_indexes
    }

    /// Our answer carries it back (SAML Bindings 2.0 §3.4.3).
    pub fn relay_state(&self) -> Option<&str> {
        self.relay_state.as_deref()
    }

    pub fn replay_key(&self) -> &ReplayKey {
        &self.replay_key
    }

    /// The claim must be kept until then.
    pub fn replay_until(&self) -> Timestamp {
        self.replay_until
    }

    /// What it asks to be ended.
    pub fn sessions(&self) -> NamedSessions<'_> {
        NamedSessions { idp: &self.idp, name_id: &self.name_id, session_indexes: &self.session_indexes }
    }

    /// Whether a session that began with that name, at that IdP and with those SessionIndexes is to end.
    pub fn ends<'a>(&self, idp: &IdpId, name_id: &NameId, session_indexes: impl IntoIterator<Item = &'a str>) -> bool {
        self.sessions().include(idp, name_id, session_indexes)
    }
}

impl NamedSessions<'_> {
    /// Value and qualifiers are compared byte for byte, an absent one with an absent one alone. The Format is
    /// not compared: there are IdPs that write another one, or none, when they sign out. Where SessionIndexes
    /// are named, only sessions that have one of them are included.
    pub fn include<'a>(
        &self,
        idp: &IdpId,
        name_id: &NameId,
        session_indexes: impl IntoIterator<Item = &'a str>,
    ) -> bool {
        let asked = self.session_indexes;
        idp == self.idp
            && name_id.value == self.name_id.value
            && name_id.name_qualifier == self.name_id.name_qualifier
            && name_id.sp_name_qualifier == self.name_id.sp_name_qualifier
            && (asked.is_empty() || session_indexes.into_iter().any(|index| asked.iter().any(|one| one == index)))
    }
}

impl VerifiedLogoutResponse {
    pub fn idp(&self) -> &IdpId {
        &self.idp
    }

    /// Finds the logout that was begun here.
    pub fn in_response_to(&self) -> &str {
        &self.in_response_to
    }

    /// What came of `request`, which was sent to `idp`.
    ///
    /// # Errors
    /// It answers another request, or another IdP answers.
    pub fn outcome(&self, idp: &IdpId, request: &RequestId) -> Result<LogoutOutcome, Rejection> {
        if *idp != self.idp || self.in_response_to != request.as_str() {
            return Err(Rejection::LogoutInResponseToMismatch);
        }
        Ok(match self.status.as_slice() {
            status if is_success(status) => LogoutOutcome::Complete,
            [_, nested, ..] if nested == PARTIAL_LOGOUT => LogoutOutcome::Partial,
            status => LogoutOutcome::Failed { status: status.join(" / ") },
        })
    }
}
