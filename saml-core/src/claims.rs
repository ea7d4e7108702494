//! Which attributes carry which claim, and the identity that an accepted login gives.

/// Where the unique id of a user comes from. Never from a transient NameID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UniqueIdSource {
    Attribute(String),
    /// `@NameID` in the settings.
    NameId,
}

/// Attribute Names, compared byte for byte. FriendlyName is never used
/// (SAML V2.0 Implementation Profile for Federation Interoperability, IIP-SP11).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    pub email: String,
    pub unique_id: UniqueIdSource,
    pub username: Option<String>,
    pub first_name: String,
    pub last_name: String,
    /// A list: repeated Attributes and values of this name are merged.
    pub groups: String,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self {
            email: "email".to_owned(),
            unique_id: UniqueIdSource::Attribute("sub".to_owned()),
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
    pub name_id: Option<String>,
    pub name_id_format: Option<String>,
    /// Every attribute with a value, merged by Name, in order of arrival.
    pub attributes: Vec<(String, Vec<String>)>,
}
