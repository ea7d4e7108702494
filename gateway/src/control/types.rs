//! What goes over the control socket, for both of its ends.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::api::ControlError;

pub const SESSIONS: &str = "/v1/sessions";
pub const REVOCATIONS: &str = "/v1/revocations";
/// In one answer: each is held in memory until it is written.
pub const MOST_LISTED: usize = 100_000;
const LISTED: usize = 1_000;

/// The query of `GET /v1/sessions`: what all sessions that are listed have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    pub user: Option<String>,
    pub email: Option<String>,
    pub group: Option<String>,
    pub idp: Option<String>,
    pub limit: usize,
}

/// The answer to it, newest first.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listing {
    pub sessions: Vec<ListedSession>,
    /// Whether the limit left some out.
    pub more: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct ListedSession {
    /// As logs and upstreams name it.
    pub session: String,
    /// The hash of the ticket, by which stores know it; it opens nothing.
    pub key: String,
    pub user: String,
    pub user_ref: String,
    pub idp: String,
    pub email: String,
    pub groups: Vec<String>,
    pub created: String,
    /// As the store was last told, which is now and then.
    pub last_seen: String,
    pub expires: String,
}

/// The body of `POST /v1/revocations`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Fields", into = "Fields")]
pub enum Selector {
    /// By its key, or by its reference.
    Session(String),
    User {
        user: String,
        /// The only one, where there is one.
        idp: Option<String>,
    },
    Email(String),
    Group(String),
    All,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idp: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    group: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
}

/// The answer to it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoked {
    pub effect: RevokedEffect,
    /// Those that the store had; where it does not answer, nobody knows.
    pub ended: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevokedEffect {
    Done,
    Written,
    Local,
    Queued,
}

/// The answer to what cannot be done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub error: String,
    pub cure: String,
}

impl RevokedEffect {
    pub fn label(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Written => "written",
            Self::Local => "local",
            Self::Queued => "queued",
        }
    }
}

impl Default for Filter {
    fn default() -> Self {
        Self { user: None, email: None, group: None, idp: None, limit: LISTED }
    }
}

impl FromStr for Filter {
    type Err = ControlError;

    fn from_str(query: &str) -> Result<Self, ControlError> {
        let (mut filter, mut limit) = (Self::default(), None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let place = match &*name {
                "user" => &mut filter.user,
                "email" => &mut filter.email,
                "group" => &mut filter.group,
                "idp" => &mut filter.idp,
                "limit" => &mut limit,
                _ => return Err(ControlError::query(format!("there is no parameter {name:?}"))),
            };
            if place.replace(value.into_owned()).is_some() {
                return Err(ControlError::query(format!("the parameter {name:?} stands there twice")));
            }
        }
        if let Some(limit) = limit {
            let number = limit.parse().ok().filter(|number| (1..=MOST_LISTED).contains(number));
            let problem = || format!("`limit` is {limit:?}, wanted a number from 1 to {MOST_LISTED}");
            filter.limit = number.ok_or_else(|| ControlError::query(problem()))?;
        }
        Ok(filter)
    }
}

impl Filter {
    pub fn to_query(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let Self { user, email, group, idp, limit } = self;
        for (name, value) in [("user", user), ("email", email), ("group", group), ("idp", idp)] {
            if let Some(value) = value {
                query.append_pair(name, value);
            }
        }
        query.append_pair("limit", &limit.to_string()).finish()
    }
}

impl TryFrom<Fields> for Selector {
    type Error = &'static str;

    fn try_from(fields: Fields) -> Result<Self, Self::Error> {
        let Fields { session, user, idp, email, group, all } = fields;
        let given = [&session, &user, &idp, &email, &group];
        if given.into_iter().flatten().any(String::is_empty) {
            return Err("a value is empty");
        }
        match (session, user, email, group, all, idp) {
            (Some(session), None, None, None, None, None) => Ok(Self::Session(session)),
            (None, Some(user), None, None, None, idp) => Ok(Self::User { user, idp }),
            (None, None, Some(email), None, None, None) => Ok(Self::Email(email)),
            (None, None, None, Some(group), None, None) => Ok(Self::Group(group)),
            (None, None, None, None, Some(true), None) => Ok(Self::All),
            (.., Some(false), _) => Err("`all` is not true"),
            _ => Err(
                "wanted exactly one of `session`, `user`, `email`, `group` and `all`, and `idp` beside `user` alone",
            ),
        }
    }
}

impl From<Selector> for Fields {
    fn from(selector: Selector) -> Self {
        let none = Self::default();
        match selector {
            Selector::Session(session) => Self { session: Some(session), ..none },
            Selector::User { user, idp } => Self { user: Some(user), idp, ..none },
            Selector::Email(email) => Self { email: Some(email), ..none },
            Selector::Group(group) => Self { group: Some(group), ..none },
            Selector::All => Self { all: Some(true), ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_comes_back_as_it_went() {
        let user = |idp: Option<&str>| Selector::User { user: "5f3c".to_owned(), idp: idp.map(str::to_owned) };
        for (selector, json) in [
            (Selector::Session("abc".to_owned()), r#"{"session":"abc"}"#),
            (user(None), r#"{"user":"5f3c"}"#),
            (user(Some("okta")), r#"{"user":"5f3c","idp":"okta"}"#),
            (Selector::Email("ada@example.com".to_owned()), r#"{"email":"ada@example.com"}"#),
            (Selector::Group("staff".to_owned()), r#"{"group":"staff"}"#),
            (Selector::All, r#"{"all":true}"#),
        ] {
            assert_eq!(serde_json::to_string(&selector).unwrap(), json);
            assert_eq!(serde_json::from_str::<Selector>(json).unwrap(), selector);
        }
    }

    #[test]
    fn nothing_two_things_and_the_unknown_are_no_selector() {
        for (json, problem) in [
            ("{}", "exactly one"),
            (r#"{"user":"a","email":"b"}"#, "exactly one"),
            (r#"{"group":"a","all":true}"#, "exactly one"),
            (r#"{"idp":"okta"}"#, "exactly one"),
            (r#"{"email":"a","idp":"okta"}"#, "exactly one"),
            (r#"{"all":false}"#, "`all` is not true"),
            (r#"{"user":"a","all":false}"#, "`all` is not true"),
            (r#"{"email":""}"#, "empty"),
            (r#"{"user":"a","idp":""}"#, "empty"),
            (r#"{"users":"a"}"#, "unknown field"),
            (r#"{"user":"a","user":"b"}"#, "duplicate field"),
            (r#"{"user":1}"#, "invalid type"),
            ("[]", "exactly one"),
            ("", "EOF"),
        ] {
            let error = serde_json::from_str::<Selector>(json).unwrap_err().to_string();
            assert!(error.contains(problem), "{json}: {error}");
        }
    }

    #[test]
    fn a_filter_comes_back_as_it_went() {
        let filter = Filter {
            user: Some("a b&c".to_owned()),
            email: Some("ada+x@example.com".to_owned()),
            group: Some("größe".to_owned()),
            idp: None,
            limit: 7,
        };
        assert_eq!(filter.to_query().parse::<Filter>().unwrap(), filter);
        assert_eq!("".parse::<Filter>().unwrap(), Filter { limit: 1_000, ..Filter::default() });
    }

    #[test]
    fn a_query_that_says_something_else_is_refused() {
        for (query, problem) in [
            ("users=a", "no parameter \"users\""),
            ("user=a&user=b", "twice"),
            ("limit=0", "from 1 to 100000"),
            ("limit=100001", "from 1 to 100000"),
            ("limit=-1", "from 1 to 100000"),
            ("limit=all", "from 1 to 100000"),
        ] {
            let error = query.parse::<Filter>().unwrap_err().to_string();
            assert!(error.contains(problem), "{query}: {error}");
        }
        assert_eq!("limit=100000".parse::<Filter>().unwrap().limit, MOST_LISTED);
    }
}
