//! What is kept outside of this process, as bytes: a version, then the fields in their order (postcard). Seconds are whole, rounded
//! down: a session never lasts longer for having been stored.
//!
//! Another version's bytes are not read. A reader that must know two has both types.

use saml_core::{Authentication, IdpId, NameId, NamedSessions, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::session::revocation::{Revocation, Target};
use crate::session::rounds::Rounds;
use crate::session::ticket::{BindingHash, FormId, SessionKey};
use crate::session::types::{
    FurtherClaims, IdpSession, Landing, PendingLogin, PendingLogout, SessionRecord, StoredSession,
};

const VERSION: u8 = 1;

/// A session, readable with its ticket alone.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    idp: String,
    unique_id: String,
    email: String,
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    name_id: Option<String>,
    groups: Vec<String>,
    attributes: Vec<(String, Vec<String>)>,
    created: i64,
    expires: i64,
    idp_session: Option<AtIdp>,
}

#[derive(Serialize, Deserialize)]
struct AtIdp {
    name_id: Name,
    session_indexes: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Name {
    value: String,
    format: Option<String>,
    name_qualifier: Option<String>,
    sp_name_qualifier: Option<String>,
    sp_provided_id: Option<String>,
}

/// What is known of a session without its ticket: who ends or lists sessions reads it.
#[derive(Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) idp: String,
    pub(super) unique_id: String,
    pub(super) email: String,
    pub(super) groups: Vec<String>,
    pub(super) created: i64,
    pub(super) expires: i64,
    idp_session: Option<AtIdp>,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Login {
    idp: String,
    return_url: String,
    binding: [u8; 32],
    created: i64,
    /// When a fresh sign-in was asked for.
    since: Option<i64>,
    rounds: (u8, i64),
    replaces: Option<[u8; 32]>,
    landing: LandingPlace,
}

#[derive(Serialize, Deserialize)]
enum LandingPlace {
    ReturnUrl,
    Form([u8; 8]),
    PopUp,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Logout {
    idp: String,
    created: i64,
}

/// A revocation of more than one session.
#[derive(Serialize, Deserialize)]
pub(super) struct Revoked {
    target: RevokedTarget,
    at: i64,
}

#[derive(Serialize, Deserialize)]
enum RevokedTarget {
    User(String, String),
    Email(String),
    Group(String),
    All,
}

/// Nothing only where memory is at its end.
pub(super) fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_extend(value, vec![VERSION]).unwrap_or_default()
}

/// Nothing for what another version wrote.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes.strip_prefix(&[VERSION])?).ok()
}

impl Record {
    pub(super) fn of(record: &SessionRecord) -> Self {
        let boxed = |text: &Option<Box<str>>| text.as_deref().map(str::to_owned);
        let further = record.further.as_deref();
        Self {
            idp: record.idp.as_str().to_owned(),
            unique_id: record.unique_id.to_string(),
            email: record.email.to_string(),
            username: boxed(&record.username),
            first_name: boxed(&record.first_name),
            last_name: boxed(&record.last_name),
            name_id: further.and_then(|further| boxed(&further.name_id)),
            groups: record.groups.iter().map(str::to_owned).collect(),
            attributes: further
                .map_or(&[][..], |further| &further.attributes)
                .iter()
                .map(|(name, values)| (name.to_string(), values.iter().map(|value| value.to_string()).collect()))
                .collect(),
            created: record.created.unix_seconds(),
            expires: record.expires.unix_seconds(),
            idp_session: record.idp_session.as_deref().map(AtIdp::of),
        }
    }

    pub(super) fn keep_groups(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.groups.retain(|name| is_kept(name));
    }

    pub(super) fn into_record(self) -> Option<SessionRecord> {
        let boxed = |text: Option<String>| text.map(String::into_boxed_str);
        let attributes = self.attributes.into_iter();
        let further = FurtherClaims {
            name_id: boxed(self.name_id),
            attributes: attributes
                .map(|(name, values)| (name.into_boxed_str(), values.into_iter().map(String::into_boxed_str).collect()))
                .collect(),
        };
        Some(SessionRecord {
            idp: IdpId::parse(&self.idp).ok()?,
            unique_id: self.unique_id.into_boxed_str(),
            email: self.email.into_boxed_str(),
            username: boxed(self.username),
            first_name: boxed(self.first_name),
            last_name: boxed(self.last_name),
            groups: self.groups.iter().collect(),
            further: further.boxed(),
            created: at(self.created),
            expires: at(self.expires),
            idp_session: self.idp_session.as_ref().map(|session| Box::new(session.to_session())),
        })
    }
}

impl AtIdp {
    fn of(session: &IdpSession) -> Self {
        let NameId { value, format, name_qualifier, sp_name_qualifier, sp_provided_id } = session.name_id.clone();
        Self {
            name_id: Name { value, format, name_qualifier, sp_name_qualifier, sp_provided_id },
            session_indexes: session.session_indexes.clone(),
        }
    }

    fn to_session(&self) -> IdpSession {
        IdpSession { name_id: self.name_id.to_name_id(), session_indexes: self.session_indexes.clone() }
    }
}

impl Name {
    fn to_name_id(&self) -> NameId {
        let Self { value, format, name_qualifier, sp_name_qualifier, sp_provided_id } = self;
        NameId {
            value: value.clone(),
            format: format.clone(),
            name_qualifier: name_qualifier.clone(),
            sp_name_qualifier: sp_name_qualifier.clone(),
            sp_provided_id: sp_provided_id.clone(),
        }
    }
}

impl Entry {
    pub(super) fn of(record: &SessionRecord) -> Self {
        Self {
            idp: record.idp.as_str().to_owned(),
            unique_id: record.unique_id.to_string(),
            email: record.email.to_string(),
            groups: record.groups.iter().map(str::to_owned).collect(),
            created: record.created.unix_seconds(),
            expires: record.expires.unix_seconds(),
            idp_session: record.idp_session.as_deref().map(AtIdp::of),
        }
    }

    pub(super) fn into_session(self, key: SessionKey, seen: i64) -> Option<StoredSession> {
        Some(StoredSession {
            key,
            idp: IdpId::parse(&self.idp).ok()?,
            unique_id: self.unique_id.into_boxed_str(),
            email: self.email.into_boxed_str(),
            groups: self.groups.iter().collect(),
            created: at(self.created),
            expires: at(self.expires),
            seen: at(seen),
        })
    }

    /// What single logout calls the session.
    pub(super) fn name(&self) -> Option<(&str, NameId)> {
        self.idp_session.as_ref().map(|session| (self.idp.as_str(), session.name_id.to_name_id()))
    }

    pub(super) fn is_among(&self, named: &NamedSessions<'_>) -> bool {
        let Ok(idp) = IdpId::parse(&self.idp) else { return false };
        self.idp_session.as_ref().is_some_and(|session| session.to_session().is_among(&idp, named))
    }
}

impl Login {
    pub(super) fn of(login: &PendingLogin) -> Self {
        Self {
            idp: login.idp.as_str().to_owned(),
            return_url: login.return_url.to_string(),
            binding: *login.binding.as_bytes(),
            created: login.created.unix_seconds(),
            since: match login.authentication {
                Authentication::Any => None,
                Authentication::Since(instant) => Some(instant.unix_seconds()),
            },
            rounds: login.rounds.to_parts(),
            replaces: login.replaces.map(|key| *key.as_bytes()),
            landing: match login.landing {
                Landing::ReturnUrl => LandingPlace::ReturnUrl,
                Landing::Form(id) => LandingPlace::Form(id.as_bytes()),
                Landing::PopUp => LandingPlace::PopUp,
            },
        }
    }

    pub(super) fn into_login(self) -> Option<PendingLogin> {
        Some(PendingLogin {
            idp: IdpId::parse(&self.idp).ok()?,
            return_url: self.return_url.into_boxed_str(),
            binding: BindingHash::from_bytes(self.binding),
            created: at(self.created),
            authentication: self.since.map_or(Authentication::Any, |since| Authentication::Since(at(since))),
            rounds: Rounds::from_parts(self.rounds),
            replaces: self.replaces.map(SessionKey::from_bytes),
            landing: match self.landing {
                LandingPlace::ReturnUrl => Landing::ReturnUrl,
                LandingPlace::Form(id) => Landing::Form(FormId::from_bytes(id)),
                LandingPlace::PopUp => Landing::PopUp,
            },
        })
    }
}

impl Logout {
    pub(super) fn of(logout: &PendingLogout) -> Self {
        Self { idp: logout.idp.as_str().to_owned(), created: logout.created.unix_seconds() }
    }

    pub(super) fn into_logout(self) -> Option<PendingLogout> {
        Some(PendingLogout { idp: IdpId::parse(&self.idp).ok()?, created: at(self.created) })
    }
}

impl Revoked {
    /// A single session has a place of its own.
    pub(super) fn of(revocation: &Revocation) -> Option<Self> {
        let target = match &revocation.target {
            Target::Session(_) => return None,
            Target::User { idp, unique_id } => RevokedTarget::User(idp.as_str().to_owned(), unique_id.to_string()),
            Target::Email(email) => RevokedTarget::Email(email.to_string()),
            Target::Group(name) => RevokedTarget::Group(name.to_string()),
            Target::All => RevokedTarget::All,
        };
        Some(Self { target, at: revocation.at.unix_seconds() })
    }

    pub(super) fn into_revocation(self) -> Option<Revocation> {
        let target = match self.target {
            RevokedTarget::User(idp, unique_id) => {
                Target::User { idp: IdpId::parse(&idp).ok()?, unique_id: unique_id.into_boxed_str() }
            }
            RevokedTarget::Email(email) => Target::Email(email.into_boxed_str()),
            RevokedTarget::Group(name) => Target::Group(name.into_boxed_str()),
            RevokedTarget::All => Target::All,
        };
        Some(Revocation { target, at: at(self.at) })
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix(seconds, 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract;

    #[test]
    fn a_record_comes_back_whole() {
        let mut record = contract::record(1_000, 2_000);
        record.further.as_mut().unwrap().attributes = Box::from([("team".into(), Box::from(["a".into(), "b".into()]))]);
        let back = decode::<Record>(&encode(&Record::of(&record))).and_then(Record::into_record).unwrap();
        // Every field: what one store keeps, another must not lose.
        let SessionRecord {
            idp,
            unique_id,
            email,
            username,
            first_name,
            last_name,
            groups,
            further,
            created,
            expires,
            idp_session,
        } = back;
        assert_eq!((idp, unique_id, email), (record.idp, record.unique_id, record.email));
        assert_eq!((username, first_name, last_name), (record.username, record.first_name, record.last_name));
        assert_eq!((groups, further), (record.groups, record.further));
        assert_eq!((created, expires), (record.created, record.expires));
        assert_eq!(idp_session, record.idp_session);
    }

    #[test]
    fn another_version_is_not_read() {
        let mut bytes = encode(&Record::of(&contract::record(1_000, 2_000)));
        bytes[0] = 2;
        assert!(decode::<Record>(&bytes).is_none());
        assert!(decode::<Record>(&[]).is_none());
    }
}
