//! The settings of the pretend JumpCloud, under the names that JumpCloud gives them, and its users.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::issuer::{Sign, UNSPECIFIED_1_0};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub username: String,
    pub password: String,
    pub email: String,
    /// 24 hex characters, as JumpCloud's own.
    pub id: String,
    pub firstname: String,
    pub lastname: String,
    pub groups: Vec<String>,
}

impl User {
    /// `ada` is an administrator, `ben` is not, `cyd` is in no group that is bound to the application.
    pub fn demo_users() -> Vec<Self> {
        vec![
            Self::demo("ada", "Ada", "Lovelace", "5f1e0000000000000000ada1", &["admins", "engineers"]),
            Self::demo("ben", "Ben", "Franklin", "5f1e0000000000000000be02", &["engineers"]),
            Self::demo("cyd", "Cyd", "Charisse", "5f1e0000000000000000cd03", &["dancers"]),
        ]
    }

    /// An engineer whose address holds the number.
    pub fn numbered(number: usize) -> Self {
        Self::demo(&format!("user{number}"), "Some", "Body", &format!("{number:024x}"), &["engineers"])
    }

    fn demo(username: &str, firstname: &str, lastname: &str, id: &str, groups: &[&str]) -> Self {
        Self {
            username: username.to_owned(),
            password: format!("{username}-password"),
            email: format!("{username}@demo.example"),
            id: id.to_owned(),
            firstname: firstname.to_owned(),
            lastname: lastname.to_owned(),
            groups: groups.iter().map(|&group| group.to_owned()).collect(),
        }
    }

    /// A property by its name in JumpCloud, as the right column of "User attributes" has it.
    pub fn property(&self, name: &str) -> Option<&str> {
        Some(match name {
            "email" => &self.email,
            "id" => &self.id,
            "username" => &self.username,
            "firstname" => &self.firstname,
            "lastname" => &self.lastname,
            _ => return None,
        })
    }
}

/// What a user gets who is in no group that is bound to the application.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unbound {
    /// JumpCloud's own page; the service provider hears nothing.
    Page,
    /// A response whose status says so.
    DeniedResponse,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdpSettings {
    pub idp_entity_id: String,
    pub sp_entity_id: String,
    pub acs_url: String,
    pub sign: Sign,
    /// Only changes the metadata, as at JumpCloud: requests by Redirect are taken either way.
    pub declare_redirect_endpoint: bool,
    /// The property that becomes the NameID.
    pub subject_field: String,
    pub name_id_format: String,
    /// Name at the service provider, and property.
    pub user_attributes: Vec<(String, String)>,
    /// Name and value; a Name may stand several times.
    pub constant_attributes: Vec<(String, String)>,
    pub include_groups: bool,
    pub groups_attribute_name: String,
    pub bound_groups: Vec<String>,
    pub unbound: Unbound,
    /// RelayState of a response that nobody asked for.
    pub default_relay_state: Option<String>,
    pub padded_to: Option<usize>,
    /// Names of attributes that are left out, or sent without a value.
    pub dropped_attributes: BTreeSet<String>,
    pub emptied_attributes: BTreeSet<String>,
    pub misbehaviours: BTreeSet<Misbehaviour>,
    /// JumpCloud has no single logout; this is for IdPs that have.
    pub single_logout: SingleLogout,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SingleLogout {
    /// Whether the metadata says so.
    pub declared: bool,
    /// Where the service provider takes logout messages.
    pub sp_slo_url: String,
    /// How the IdP's own messages travel.
    pub by_post: bool,
    pub answer: LogoutAnswer,
}

/// What the IdP says to a LogoutRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogoutAnswer {
    Success,
    Partial,
    Denied,
    /// Nothing: a page of its own.
    Silence,
    Unsigned,
    SignedByStranger,
    ToAnotherRequest,
}

impl IdpSettings {
    /// JumpCloud's defaults, with the attributes that samlgate's guide asks for.
    pub fn new(idp_entity_id: &str, sp_entity_id: &str, acs_url: &str) -> Self {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Self {
            idp_entity_id: idp_entity_id.to_owned(),
            sp_entity_id: sp_entity_id.to_owned(),
            acs_url: acs_url.to_owned(),
            sign: Sign::Assertion,
            declare_redirect_endpoint: false,
            subject_field: "email".to_owned(),
            name_id_format: UNSPECIFIED_1_0.to_owned(),
            user_attributes: vec![
                pair("email", "email"),
                pair("sub", "id"),
                pair("firstname", "firstname"),
                pair("lastname", "lastname"),
            ],
            constant_attributes: Vec::new(),
            include_groups: true,
            groups_attribute_name: "memberOf".to_owned(),
            bound_groups: vec!["admins".to_owned(), "engineers".to_owned()],
            unbound: Unbound::Page,
            default_relay_state: None,
            padded_to: None,
            dropped_attributes: BTreeSet::new(),
            emptied_attributes: BTreeSet::new(),
            misbehaviours: BTreeSet::new(),
            single_logout: SingleLogout {
                declared: false,
                sp_slo_url: acs_url.replace("/acs", "/slo"),
                by_post: false,
                answer: LogoutAnswer::Success,
            },
        }
    }

    pub fn misbehaves(&self, how: Misbehaviour) -> bool {
        self.misbehaviours.contains(&how)
    }

    /// The groups of `user` that are bound to the application: the only ones a service provider hears of.
    pub fn bound_groups_of(&self, user: &User) -> Vec<String> {
        user.groups.iter().filter(|group| self.bound_groups.contains(group)).cloned().collect()
    }
}

/// What the IdP can be told to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misbehaviour {
    SignByStranger,
    BreakSignature,
    WrongAudience,
    NoAudience,
    WrongRecipient,
    WrongDestination,
    NoDestination,
    WrongIssuer,
    WrongInResponseTo,
    NoInResponseTo,
    Expired,
    NotYetValid,
    DeniedStatus,
    SameAssertionIdAgain,
    CommentInNameId,
    DocumentType,
    NoNameId,
    TwoEmails,
}

impl Misbehaviour {
    pub const ALL: [Self; 18] = [
        Self::SignByStranger,
        Self::BreakSignature,
        Self::WrongAudience,
        Self::NoAudience,
        Self::WrongRecipient,
        Self::WrongDestination,
        Self::NoDestination,
        Self::WrongIssuer,
        Self::WrongInResponseTo,
        Self::NoInResponseTo,
        Self::Expired,
        Self::NotYetValid,
        Self::DeniedStatus,
        Self::SameAssertionIdAgain,
        Self::CommentInNameId,
        Self::DocumentType,
        Self::NoNameId,
        Self::TwoEmails,
    ];

    /// As the settings page words it.
    pub fn label(self) -> &'static str {
        match self {
            Self::SignByStranger => "sign by a key that is not in the certificate",
            Self::BreakSignature => "change the assertion after signing",
            Self::WrongAudience => "another SP Entity ID as audience",
            Self::NoAudience => "no audience",
            Self::WrongRecipient => "another URL as recipient",
            Self::WrongDestination => "another URL as destination",
            Self::NoDestination => "no destination",
            Self::WrongIssuer => "another IdP Entity ID as issuer",
            Self::WrongInResponseTo => "answer to a request that nobody sent",
            Self::NoInResponseTo => "answer as if unsolicited",
            Self::Expired => "an hour too late",
            Self::NotYetValid => "an hour too early",
            Self::DeniedStatus => "a status other than success",
            Self::SameAssertionIdAgain => "the same assertion ID each time",
            Self::CommentInNameId => "a comment in the NameID",
            Self::DocumentType => "a document type declaration",
            Self::NoNameId => "no NameID",
            Self::TwoEmails => "two different e-mail addresses",
        }
    }

    /// As serde writes it, for forms.
    pub fn name(self) -> String {
        serde_json::to_value(self).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.name() == name)
    }
}
