//! What the control API answers.

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use config::IdentityProvider;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method, Response, StatusCode};
use pingora::apps::http_app::ServeHttp;
use pingora::protocols::http::ServerSession;
use saml_core::{IdpId, Timestamp};
use serde::Serialize;

use super::types::{Filter, ListedSession, Listing, Problem, REVOCATIONS, Revoked, RevokedEffect, SESSIONS, Selector};
use crate::audit::Event;
use crate::identity_jwt::session_reference;
use crate::live::Live;
use crate::session::{Effect, EndedSession, Revocation, SessionKey, StoreError, StoredSession, Target};
use crate::shared::Gateway;

const MAX_BODY_BYTES: usize = 64 * 1024;
const BODY_WITHIN: Duration = Duration::from_secs(10);

/// Why something cannot be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    #[error("nothing lies at this address")]
    AddressUnknown,
    #[error("this address takes {wanted}")]
    MethodForbidden { wanted: &'static str },
    #[error("the query cannot be used: {problem}")]
    Query { problem: String },
    #[error("the body cannot be used: {problem}")]
    Body { problem: String },
    #[error("the body is longer than {MAX_BODY_BYTES} bytes")]
    BodyTooLarge,
    #[error("there is no identity provider {seen:?}: the settings have {known}")]
    IdpUnknown { seen: String, known: String },
    #[error("the user is at one of several identity providers, and none is named")]
    IdpMissing { known: String },
    #[error("the store `sealed` keeps no list of sessions: browsers carry them")]
    NotListed,
    #[error(
        "the store `sealed` keeps only groups that a rule or a header names, and {group:?} is none: nobody's session would end"
    )]
    GroupNotKept { group: String },
    #[error("there is no such session")]
    SessionUnknown,
    #[error("{sessions} sessions have this reference")]
    SessionAmbiguous { sessions: usize },
    #[error("{0}")]
    StoreFailed(String),
}

impl ControlError {
    pub(super) fn query(problem: String) -> Self {
        Self::Query { problem }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::AddressUnknown | Self::SessionUnknown => StatusCode::NOT_FOUND,
            Self::MethodForbidden { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Query { .. } | Self::Body { .. } | Self::IdpUnknown { .. } | Self::IdpMissing { .. } => {
                StatusCode::BAD_REQUEST
            }
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::SessionAmbiguous { .. } | Self::GroupNotKept { .. } => StatusCode::CONFLICT,
            Self::NotListed => StatusCode::NOT_IMPLEMENTED,
            Self::StoreFailed(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn cure(&self) -> String {
        match self {
            Self::AddressUnknown => format!("there are {SESSIONS} and {REVOCATIONS}; see docs/endpoints.md"),
            Self::MethodForbidden { .. } => "use that method".to_owned(),
            Self::Query { .. } => "see docs/endpoints.md for what may be asked".to_owned(),
            Self::Body { .. } => "send one JSON object such as {\"user\":\"...\"}; see docs/endpoints.md".to_owned(),
            Self::BodyTooLarge => "name one session, user, e-mail address or group a call".to_owned(),
            Self::IdpUnknown { known, .. } | Self::IdpMissing { known } => format!("name one as `idp`: {known}"),
            Self::SessionUnknown => "it may have ended; `samlgate sessions list` shows those that there are".to_owned(),
            Self::NotListed => "name a user, an e-mail address, a group or a session's key to end sessions; to list them, write `session.store: redis`".to_owned(),
            Self::GroupNotKept { .. } => "end the sessions of its users, or all; and name the group in `groups_filter` for the next time".to_owned(),
            Self::SessionAmbiguous { .. } => "name the session by its key, which the listing shows".to_owned(),
            Self::StoreFailed(_) => "ask again when the store answers".to_owned(),
        }
    }
}

/// The control API; each connection is one call.
pub struct Control(pub Arc<Live>);

/// One call, and the gateway as it is then.
struct Api(Arc<Gateway>);

#[async_trait]
impl ServeHttp for Control {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        // A body that was not read to its end must not be taken for the next call.
        session.set_keepalive(None);
        let now = SystemTime::now().into();
        Api(self.0.current()).respond(session, now).await.unwrap_or_else(|error| {
            let mut answer = json(error.status(), &Problem { error: error.to_string(), cure: error.cure() });
            if let ControlError::MethodForbidden { wanted } = error {
                answer.headers_mut().insert(ALLOW, HeaderValue::from_static(wanted));
            }
            answer
        })
    }
}

impl Api {
    async fn respond(&self, session: &mut ServerSession, now: Timestamp) -> Result<Response<Vec<u8>>, ControlError> {
        let request = session.req_header();
        match (request.uri.path(), &request.method) {
            (SESSIONS, &Method::GET) => {
                let filter = Filter::from_str(request.uri.query().unwrap_or_default())?;
                self.list(&filter, now).await.map(|listing| json(StatusCode::OK, &listing))
            }
            (REVOCATIONS, &Method::POST) => {
                let body = body(session).await?;
                let selector =
                    serde_json::from_slice(&body).map_err(|error| ControlError::Body { problem: error.to_string() })?;
                self.revoke(selector, now).await.map(|revoked| json(StatusCode::OK, &revoked))
            }
            (SESSIONS, _) => Err(ControlError::MethodForbidden { wanted: "GET" }),
            (REVOCATIONS, _) => Err(ControlError::MethodForbidden { wanted: "POST" }),
            _ => Err(ControlError::AddressUnknown),
        }
    }

    async fn list(&self, filter: &Filter, now: Timestamp) -> Result<Listing, ControlError> {
        if !self.0.store().keeps_sessions() {
            return Err(ControlError::NotListed);
        }
        let idp = filter.idp.as_deref().map(|id| self.idp(id)).transpose()?;
        let is_wanted = |session: &StoredSession| {
            idp.as_ref().is_none_or(|idp| *idp == session.idp)
                && filter.user.as_deref().is_none_or(|user| *user == *session.unique_id)
                && filter.email.as_deref().is_none_or(|email| email.eq_ignore_ascii_case(&session.email))
                && filter.group.as_deref().is_none_or(|group| session.groups.contains(group))
        };
        let mut found = match (&idp, &filter.user) {
            (Some(idp), Some(user)) => {
                let sessions = self.0.store().sessions_of(idp, user).await;
                let mut sessions = sessions.map_err(|error| self.failed("sessions_of", &error))?;
                sessions.retain(|session| session.expires > now && is_wanted(session));
                sessions
            }
            _ => self.walk(filter.limit, now, is_wanted).await?,
        };
        found.sort_by_key(|session| std::cmp::Reverse(session.created));
        let more = found.len() > filter.limit;
        found.truncate(filter.limit);
        Ok(Listing { sessions: found.iter().map(|session| self.listed(session)).collect(), more })
    }

    /// Ends when more than `limit` are found. What has expired may lie in the store for a while, and is left out.
    async fn walk(
        &self,
        limit: usize,
        now: Timestamp,
        is_wanted: impl Fn(&StoredSession) -> bool + Send,
    ) -> Result<Vec<StoredSession>, ControlError> {
        let (mut found, mut from) = (Vec::new(), None);
        loop {
            let walked = self.0.store().walk(from).await;
            let (sessions, next) = walked.map_err(|error| self.failed("walk", &error))?;
            found.extend(sessions.into_iter().filter(|session| session.expires > now && is_wanted(session)));
            if next.is_none() || found.len() > limit {
                return Ok(found);
            }
            from = next;
        }
    }

    fn listed(&self, session: &StoredSession) -> ListedSession {
        ListedSession {
            session: session_reference(&session.key),
            key: session.key.as_text(),
            user: session.unique_id.to_string(),
            user_ref: self.0.user_ref(&session.idp, &session.unique_id),
            idp: session.idp.to_string(),
            email: session.email.to_string(),
            groups: session.groups.iter().map(str::to_owned).collect(),
            created: session.created.to_string(),
            last_seen: session.seen.to_string(),
            expires: session.expires.to_string(),
        }
    }

    async fn revoke(&self, selector: Selector, now: Timestamp) -> Result<Revoked, ControlError> {
        let (target, known) = self.target(selector, now).await?;
        let revocation = Revocation { target: target.clone(), at: now };
        let outcome = self.0.sessions.revoke(revocation).await;
        let (effect, ended) = outcome.map_err(|error| self.failed("revoke", &error))?;
        // Of a single session, `revoke` does not say whether the store had it; the walk before did.
        let ended = match (effect, known) {
            (Effect::Done, Some(session)) => vec![session.ended()],
            _ => ended,
        };
        let revoked = Revoked { effect: effect.into(), ended: ended.len() };
        self.report(&target, &ended, &revoked);
        Ok(revoked)
    }

    /// What is meant; a session is found first, to know whose it is.
    async fn target(
        &self,
        selector: Selector,
        now: Timestamp,
    ) -> Result<(Target, Option<StoredSession>), ControlError> {
        let target = match selector {
            Selector::Session(name) => return self.session(&name, now).await,
            Selector::User { user, idp: Some(id) } => Target::User { idp: self.idp(&id)?, unique_id: user.into() },
            Selector::User { user, idp: None } => match self.idps() {
                [only] => Target::User { idp: only.id.clone(), unique_id: user.into() },
                _ => return Err(ControlError::IdpMissing { known: self.known_idps() }),
            },
            Selector::Email(email) => Target::Email(email.into()),
            Selector::Group(group) if !self.0.store().keeps_group(&group) => {
                return Err(ControlError::GroupNotKept { group });
            }
            Selector::Group(group) => Target::Group(group.into()),
            Selector::All => Target::All,
        };
        Ok((target, None))
    }

    async fn session(&self, name: &str, now: Timestamp) -> Result<(Target, Option<StoredSession>), ControlError> {
        let key = SessionKey::parse(name);
        if !self.0.store().keeps_sessions() {
            return key.map(|key| (Target::Session(key), None)).ok_or(ControlError::NotListed);
        }
        let is_named = |session: &StoredSession| match &key {
            Some(key) => *key == session.key,
            None => session_reference(&session.key) == name,
        };
        let mut found = match (self.walk(1, now, is_named).await, key) {
            (Ok(found), _) => found,
            // Ended here at once, and there when the store answers.
            (Err(ControlError::StoreFailed(_)), Some(key)) => return Ok((Target::Session(key), None)),
            (Err(error), _) => return Err(error),
        };
        match (found.pop(), found.len()) {
            (Some(session), 0) => Ok((Target::Session(session.key), Some(session))),
            (None, _) => Err(ControlError::SessionUnknown),
            (Some(_), others) => Err(ControlError::SessionAmbiguous { sessions: others.saturating_add(1) }),
        }
    }

    fn idps(&self) -> &[IdentityProvider] {
        &self.0.settings.identity_providers
    }

    /// A misspelt one would end nothing, and say that it is done.
    fn idp(&self, id: &str) -> Result<IdpId, ControlError> {
        let found = self.idps().iter().find(|idp| idp.id.as_str() == id).map(|idp| idp.id.clone());
        found.ok_or_else(|| ControlError::IdpUnknown { seen: id.to_owned(), known: self.known_idps() })
    }

    fn known_idps(&self) -> String {
        self.idps().iter().map(|idp| idp.id.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn failed(&self, operation: &'static str, error: &StoreError) -> ControlError {
        self.0.store_failed(operation, error);
        ControlError::StoreFailed(error.to_string())
    }

    /// Each session as single logout logs it, then what was asked; a person is named by the reference alone.
    fn report(&self, target: &Target, ended: &[EndedSession], revoked: &Revoked) {
        for session in ended {
            tracing::info!(
                idp.id = session.idp.as_str(),
                session.r#ref = session_reference(&session.key),
                user.r#ref = self.0.user_ref(&session.idp, &session.unique_id),
                "signed out by an administrator"
            );
            self.0.audit.note(&Event {
                event: "session_revoked",
                idp: Some(session.idp.as_str()),
                session: Some(session_reference(&session.key)),
                person: Some(self.0.audited(&session.idp, &session.unique_id, None)),
                ..Event::default()
            });
        }
        let (mut session, mut idp, mut user, mut group) = (None, None, None, None);
        let kind = match target {
            Target::Session(key) => {
                session = Some(session_reference(key));
                "session"
            }
            Target::User { idp: at, unique_id } => {
                idp = Some(at.as_str());
                user = Some(self.0.user_ref(at, unique_id));
                "user"
            }
            Target::Email(_) => "email",
            Target::Group(name) => {
                group = Some(&**name);
                "group"
            }
            Target::All => "all",
        };
        tracing::info!(
            revocation.target = kind,
            revocation.effect = revoked.effect.label(),
            session.r#ref = session,
            idp.id = idp,
            user.r#ref = user,
            group.name = group,
            sessions.ended = revoked.ended,
            "sessions revoked over the control socket"
        );
        self.0.audit.note(&Event {
            event: "revocation",
            target: Some(kind),
            group,
            ended: u64::try_from(revoked.ended).ok(),
            ..Event::default()
        });
    }
}

impl From<Effect> for RevokedEffect {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Done => Self::Done,
            Effect::Written => Self::Written,
            Effect::Local => Self::Local,
            Effect::Queued => Self::Queued,
        }
    }
}

async fn body(session: &mut ServerSession) -> Result<Bytes, ControlError> {
    let broken = |problem: &str| ControlError::Body { problem: problem.to_owned() };
    let read = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = session.read_request_body().await.map_err(|error| broken(error.etype().as_str()))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_BODY_BYTES {
                return Err(ControlError::BodyTooLarge);
            }
        }
        Ok(body.freeze())
    };
    tokio::time::timeout(BODY_WITHIN, read).await.map_err(|_| broken("it does not come"))?
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Vec<u8>> {
    // Strings, numbers and lists alone are written, which cannot fail.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let length = body.len();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::{Browser, contract};
    use crate::testing::{at, idp, settings};

    /// Sessions of three persons at two IdPs, begun at 1, 2, 3 and 4; the last has expired at 1000.
    async fn control() -> Api {
        let control = Api(Arc::new(Gateway::new(settings()).unwrap()));
        for (created, idp_id, user, email, groups) in [
            (1, "jumpcloud", "ada", "ada@example.com", &["staff", "admins"][..]),
            (2, "okta", "ada", "Ada@Example.com", &["staff"]),
            (3, "jumpcloud", "ben", "ben@example.com", &["staff"]),
            (4, "jumpcloud", "cleo", "cleo@example.com", &[]),
        ] {
            let mut record = contract::record(created, if user == "cleo" { 500 } else { 9_000 });
            record.idp = idp(idp_id);
            record.unique_id = user.into();
            record.email = email.into();
            record.groups = groups.iter().collect();
            control.0.sessions.open(record, &Browser::none()).await.unwrap();
        }
        control
    }

    async fn listed(control: &Api, query: &str) -> (Vec<String>, bool) {
        let listing = control.list(&query.parse().unwrap(), at(1_000)).await.unwrap();
        let shown = |session: &ListedSession| format!("{} {}", session.idp, session.user);
        (listing.sessions.iter().map(shown).collect(), listing.more)
    }

    async fn refused(control: &Api, selector: Selector) -> ControlError {
        control.revoke(selector, at(1_000)).await.unwrap_err()
    }

    #[tokio::test]
    async fn lists_what_is_asked_for_newest_first_and_nothing_that_has_expired() {
        let control = control().await;
        for (query, expected, more) in [
            ("", &["jumpcloud ben", "okta ada", "jumpcloud ada"][..], false),
            ("limit=3", &["jumpcloud ben", "okta ada", "jumpcloud ada"], false),
            ("limit=2", &["jumpcloud ben", "okta ada"], true),
            ("user=ada", &["okta ada", "jumpcloud ada"], false),
            ("user=ada&idp=okta", &["okta ada"], false),
            ("user=cleo&idp=jumpcloud", &[], false),
            ("user=ada&idp=jumpcloud&group=guests", &[], false),
            ("idp=jumpcloud", &["jumpcloud ben", "jumpcloud ada"], false),
            ("email=ADA@example.com", &["okta ada", "jumpcloud ada"], false),
            ("group=admins", &["jumpcloud ada"], false),
            ("group=Admins", &[], false),
        ] {
            let (sessions, is_cut) = listed(&control, query).await;
            assert_eq!(
                (sessions.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), is_cut),
                (expected, more),
                "{query}"
            );
        }
        let unknown = control.list(&"idp=ping".parse().unwrap(), at(1_000)).await.unwrap_err();
        assert!(unknown.to_string().contains("jumpcloud, okta"), "{unknown}");
    }

    #[tokio::test]
    async fn a_session_is_named_by_its_key_or_its_reference() {
        let control = control().await;
        let listing = control.list(&"idp=jumpcloud".parse().unwrap(), at(1_000)).await.unwrap();
        let names = [listing.sessions[0].key.clone(), listing.sessions[1].session.clone()];
        for name in names {
            let selector = Selector::Session(name);
            let revoked = control.revoke(selector.clone(), at(1_000)).await.unwrap();
            assert_eq!(revoked, Revoked { effect: RevokedEffect::Done, ended: 1 });
            assert_eq!(refused(&control, selector).await, ControlError::SessionUnknown);
        }
        assert_eq!(listed(&control, "").await.0, ["okta ada"]);
    }

    #[tokio::test]
    async fn a_user_is_named_with_the_identity_provider_where_there_are_several() {
        let control = control().await;
        let user = |idp: Option<&str>| Selector::User { user: "ada".to_owned(), idp: idp.map(str::to_owned) };
        assert!(matches!(refused(&control, user(None)).await, ControlError::IdpMissing { .. }));
        assert!(matches!(refused(&control, user(Some("ping"))).await, ControlError::IdpUnknown { .. }));
        assert_eq!(control.revoke(user(Some("okta")), at(1_000)).await.unwrap().ended, 1);
        assert_eq!(listed(&control, "").await.0, ["jumpcloud ben", "jumpcloud ada"]);
    }

    #[tokio::test]
    async fn an_address_a_group_and_all_end_theirs() {
        for (selector, ended) in [
            (Selector::Email("ada@EXAMPLE.com".to_owned()), 2),
            (Selector::Group("staff".to_owned()), 3),
            (Selector::All, 4),
        ] {
            let control = control().await;
            assert_eq!(control.revoke(selector.clone(), at(1_000)).await.unwrap().ended, ended, "{selector:?}");
        }
    }

    #[test]
    fn each_error_has_its_status_and_a_cure() {
        let text = String::new;
        for (error, status) in [
            (ControlError::AddressUnknown, 404),
            (ControlError::MethodForbidden { wanted: "GET" }, 405),
            (ControlError::Query { problem: text() }, 400),
            (ControlError::Body { problem: text() }, 400),
            (ControlError::BodyTooLarge, 413),
            (ControlError::IdpUnknown { seen: text(), known: text() }, 400),
            (ControlError::IdpMissing { known: text() }, 400),
            (ControlError::NotListed, 501),
            (ControlError::GroupNotKept { group: text() }, 409),
            (ControlError::SessionUnknown, 404),
            (ControlError::SessionAmbiguous { sessions: 2 }, 409),
            (ControlError::StoreFailed(text()), 503),
        ] {
            assert_eq!(error.status().as_u16(), status, "{error:?}");
            assert!(!error.cure().is_empty());
        }
    }
}
