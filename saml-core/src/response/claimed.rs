//! The claims of a verified Assertion, each from its configured source and no other.

use super::shape::AttributeShape;
use super::verified::Verified;
use crate::claims::{ClaimNames, ClaimSource, Identity};
use crate::name_id::NameId;
use crate::rejection::{Rejection, shortened};
use crate::xml::{Attr, Document};

const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";

const MAX_CHARACTERS: usize = 256;

/// # Errors
/// A claim that must arrive is missing or empty, one that is single has two values, or one holds
/// characters that could deceive who reads it.
pub(super) fn identity(verified: &Verified<'_>) -> Result<Identity, Rejection> {
    let claims = Claims::of(verified);
    let name_id = claims.name_id()?;
    Ok(Identity {
        unique_id: claims.unique_id(name_id.as_ref())?,
        email: claims.email(name_id.as_ref())?,
        username: claims.username()?,
        groups: claims.groups()?,
        first_name: claims.first_name()?,
        last_name: claims.last_name()?,
        name_id,
        attributes: claims.attributes,
    })
}

/// The claims of one Assertion, each of which can be asked for by itself.
pub(super) struct Claims<'a> {
    verified: &'a Verified<'a>,
    names: &'a ClaimNames,
    attributes: Vec<(String, Vec<String>)>,
}

impl<'a> Claims<'a> {
    pub(super) fn of(verified: &'a Verified<'a>) -> Self {
        Self { verified, names: verified.idp.claims(), attributes: merged_attributes(verified) }
    }

    pub(super) fn name_id(&self) -> Result<Option<NameId>, Rejection> {
        let Some(node) = self.verified.assertion.name_id else { return Ok(None) };
        let value = self.verified.document.text_only(node).unwrap_or_default();
        if value.is_empty() {
            return Ok(None);
        }
        check_identifier(value).map_err(|problem| Rejection::NameIdInvalid { problem })?;
        let attribute = |attr| self.verified.document.attribute(node, attr).map(str::to_owned);
        Ok(Some(NameId {
            value: value.to_owned(),
            format: attribute(Attr::Format),
            name_qualifier: attribute(Attr::NameQualifier),
            sp_name_qualifier: attribute(Attr::SpNameQualifier),
            sp_provided_id: attribute(Attr::SpProvidedId),
        }))
    }

    pub(super) fn unique_id(&self, name_id: Option<&NameId>) -> Result<String, Rejection> {
        let source = &self.names.unique_id;
        let transient = name_id.is_some_and(|name_id| name_id.format.as_deref() == Some(TRANSIENT));
        if *source == ClaimSource::NameId && transient {
            return Err(Rejection::UniqueIdInvalid {
                problem: "would come from a NameID of the format transient, another at each login",
            });
        }
        let found = self
            .sourced(source, name_id)?
            .ok_or_else(|| Rejection::UniqueIdMissing { wanted: source.to_string(), arrived: self.arrived() })?;
        check_identifier(&found).map_err(|problem| Rejection::UniqueIdInvalid { problem })?;
        if self.verified.idp.is_reserved(&found) {
            return Err(Rejection::UniqueIdInvalid { problem: "begins as those of another identity provider do" });
        }
        Ok(found)
    }

    pub(super) fn email(&self, name_id: Option<&NameId>) -> Result<String, Rejection> {
        let source = &self.names.email;
        let email = self
            .sourced(source, name_id)?
            .ok_or_else(|| Rejection::EmailMissing { wanted: source.to_string(), arrived: self.arrived() })?;
        let domain = email_domain(&email)?;
        if !self.verified.idp.speaks_for(domain) {
            return Err(Rejection::EmailNotOfThisIdp { domain: shortened(domain) });
        }
        Ok(email)
    }

    pub(super) fn username(&self) -> Result<Option<String>, Rejection> {
        match &self.names.username {
            Some(name) => self.plain(name),
            None => Ok(None),
        }
    }

    pub(super) fn groups(&self) -> Result<Vec<String>, Rejection> {
        let groups = self.values(&self.names.groups);
        for group in groups {
            refuse_controls(&self.names.groups, group)?;
        }
        Ok(groups.to_vec())
    }

    pub(super) fn first_name(&self) -> Result<Option<String>, Rejection> {
        self.plain(&self.names.first_name)
    }

    pub(super) fn last_name(&self) -> Result<Option<String>, Rejection> {
        self.plain(&self.names.last_name)
    }

    fn sourced(&self, source: &ClaimSource, name_id: Option<&NameId>) -> Result<Option<String>, Rejection> {
        match source {
            ClaimSource::Attribute(name) => self.single(name),
            ClaimSource::NameId => Ok(name_id.map(|name_id| name_id.value.clone())),
        }
    }

    /// Names of the attributes that hold a value.
    pub(super) fn arrived(&self) -> Vec<String> {
        self.attributes.iter().map(|(name, _)| name.chars().take(128).collect()).take(64).collect()
    }

    pub(super) fn values(&self, name: &str) -> &[String] {
        self.attributes.iter().find(|(other, _)| other == name).map_or(&[], |(_, values)| values.as_slice())
    }

    /// # Errors
    /// Two different values.
    fn single(&self, name: &str) -> Result<Option<String>, Rejection> {
        match self.values(name) {
            [] => Ok(None),
            [first, rest @ ..] if rest.iter().all(|value| value == first) => Ok(Some(first.clone())),
            _ => Err(Rejection::ClaimAmbiguous { name: name.to_owned() }),
        }
    }

    fn plain(&self, name: &str) -> Result<Option<String>, Rejection> {
        let value = self.single(name)?;
        if let Some(value) = &value {
            refuse_controls(name, value)?;
        }
        Ok(value)
    }
}

/// JumpCloud sends constant attributes as repeated Attribute elements of one Name, so values are merged.
/// An empty value is a missing one.
fn merged_attributes(verified: &Verified<'_>) -> Vec<(String, Vec<String>)> {
    let document = &verified.document;
    let mut merged: Vec<(String, Vec<String>)> = Vec::with_capacity(verified.assertion.attributes.len());
    for attribute in &verified.assertion.attributes {
        let name = name_of(document, attribute);
        let values = values_of(document, attribute).map(str::to_owned);
        match merged.iter_mut().find(|(other, _)| other == name) {
            Some((_, held)) => held.extend(values),
            None => merged.push((name.to_owned(), values.collect())),
        }
    }
    merged.retain(|(_, values)| !values.is_empty());
    merged
}

/// As they stand, not merged.
pub(super) fn attribute_values<'a>(
    document: &'a Document,
    attributes: &'a [AttributeShape],
) -> impl Iterator<Item = (&'a str, &'a str)> {
    attributes.iter().flat_map(|attribute| {
        let name = name_of(document, attribute);
        values_of(document, attribute).map(move |value| (name, value))
    })
}

fn values_of<'a>(document: &'a Document, attribute: &'a AttributeShape) -> impl Iterator<Item = &'a str> {
    let values = attribute.values.iter().flatten().filter_map(|node| document.text_only(*node));
    values.filter(|value| !value.is_empty())
}

fn name_of<'a>(document: &'a Document, attribute: &AttributeShape) -> &'a str {
    document.attribute(attribute.node, Attr::Name).unwrap_or_default()
}

fn refuse_controls(name: &str, value: &str) -> Result<(), Rejection> {
    // Without an early exit the first question is vector code, and most values end there.
    let simple = value.bytes().fold(true, |simple, byte| simple & matches!(byte, b' '..=b'~'));
    if !simple && value.chars().any(char::is_control) {
        return Err(Rejection::ClaimInvalid { name: name.to_owned(), problem: "holds a control character" });
    }
    Ok(())
}

/// What stands behind the `@`.
fn email_domain(email: &str) -> Result<&str, Rejection> {
    let invalid = |problem| Rejection::EmailInvalid { problem };
    check_identifier(email).map_err(invalid)?;
    if !email.is_ascii() {
        return Err(invalid("holds a character outside ASCII"));
    }
    match email.split_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() && !domain.contains('@') => Ok(domain),
        _ => Err(invalid("is not of the form local@domain with exactly one `@`")),
    }
}

/// NameID, unique id and e-mail decide who somebody is, so nothing invisible may stand in them.
fn check_identifier(value: &str) -> Result<(), &'static str> {
    if value.chars().count() > MAX_CHARACTERS {
        return Err("is longer than 256 characters");
    }
    if value.starts_with(char::is_whitespace) || value.ends_with(char::is_whitespace) {
        return Err("begins or ends with white space");
    }
    if value.chars().any(is_deceptive) {
        return Err("holds a control, a line separator, a direction mark or a character of no width");
    }
    Ok(())
}

/// Controls, line separators, direction marks, and what Unicode calls default ignorable: drawn as nothing.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}
