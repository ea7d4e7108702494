//! Which attributes carry which claim, and the identity that an accepted login gives.

use std::fmt;

use crate::name_id::NameId;

/// Where the unique id or the e-mail of a user comes from. The unique id never comes from a transient NameID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    Attribute(String),
    NameId,
}

impl ClaimSource {
    /// `@NameID` reads the NameID, everything else is the Name of an attribute.
    pub fn parse(text: &str) -> Self {
        if text == "@NameID" { Self::NameId } else { Self::Attribute(text.to_owned()) }
    }
}

impl fmt::Display for ClaimSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(name) => f.write_str(name),
            Self::NameId => f.write_str("@NameID"),
        }
    }
}

/// Attribute Names, compared byte for byte. FriendlyName is never used
/// (SAML V2.0 Implementation Profile for Federation Interoperability, IIP-SP11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub email: ClaimSource,
    pub unique_id: ClaimSource,
    pub username: Option<String>,
    pub first_name: String,
    pub last_name: String,
    /// A list: repeated Attributes and values of this name are merged.
    pub groups: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            email: ClaimSource::parse("email"),
            unique_id: ClaimSource::parse("sub"),
            username: None,
            first_name: "firstname".to_owned(),
            last_name: "lastname".to_owned(),
            groups: "memberOf".to_owned(),
        }
    }
}

/// Who signed in, as the verified Assertion says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub unique_id: String,
    pub email: String,
    pub username: Option<String>,
    pub first_name: Option<String>,
    pub last_name: Option<String>,
    pub groups: Vec<String>,
    pub name_id: Option<NameId>,
    /// Every attribute with a value, merged by Name, in order of arrival.
    pub attributes: Vec<(String, Vec<String>)>,
}
