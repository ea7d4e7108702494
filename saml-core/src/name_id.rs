//! The name that an IdP gives to somebody, whole: single logout compares all of it, byte for byte.

/// A `saml:NameID` (SAML Core 2.0 §2.2.2, §2.2.3). Qualifiers are part of the name: two of one value and
/// different qualifiers are two people.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameId {
    pub value: String,
    pub format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
    pub sp_provided_id: Option<String>,
}
