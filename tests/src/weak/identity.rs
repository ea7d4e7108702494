//! Who somebody is, as an Assertion says it.

use roxmltree::Node;

use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;
use super::{Login, SAML};

impl Verifier<'_> {
    /// The policy on the assertion that this verifier chose to read, and the person in it.
    pub(super) fn identity(
        &self,
        assertion: Node<'_, '_>,
        response: Node<'_, '_>,
        response_signed: bool,
    ) -> Result<Login, Refused> {
        let session_end = self.policy(assertion, response, response_signed)?;
        let attributes = self.attributes(assertion)?;
        let subject = self.child(assertion, SAML, "Subject").ok_or("no Subject")?;
        let name_id = self.child(subject, SAML, "NameID");
        let name = name_id.map(|node| self.identifier(&self.text(node))).transpose()?;
        let transient = name_id.and_then(|node| node.attribute("Format")).is_some_and(|f| f.ends_with(":transient"));

        let email = self.address(&self.single(&attributes, "email")?.ok_or("no e-mail")?)?;
        let unique_id = match self.single(&attributes, "sub")? {
            Some(id) => self.identifier(&id)?,
            None if self.has(W::TransientIsIdentity) && transient => name.ok_or("no NameID")?,
            None => return Err("no unique id".into()),
        };
        let groups = attributes.iter().filter(|(name, _)| name == "memberOf").flat_map(|(_, values)| values.clone());
        Ok(Login {
            email,
            unique_id,
            groups: groups.collect(),
            assertion_id: self.id_of(assertion).unwrap_or_default().to_owned(),
            session_end,
        })
    }

    fn attributes(&self, assertion: Node<'_, '_>) -> Result<Vec<(String, Vec<String>)>, Refused> {
        let everywhere = self.has(W::ReadsUnverifiedTree);
        let mut found = Vec::new();
        for attribute in assertion.descendants().filter(|node| self.is(*node, SAML, "Attribute")) {
            let statement = attribute.parent_element().filter(|node| self.is(*node, SAML, "AttributeStatement"));
            if !everywhere && statement.and_then(|node| node.parent_element()) != Some(assertion) {
                continue;
            }
            let name = match self.has(W::UsesFriendlyName) {
                true => attribute.attribute("FriendlyName").or(attribute.attribute("Name")),
                false => attribute.attribute("Name"),
            };
            let values = self
                .children(attribute, SAML, "AttributeValue")
                .map(|value| self.attribute_value(value))
                .collect::<Result<_, _>>()?;
            found.push((name.unwrap_or_default().to_owned(), values));
        }
        Ok(found)
    }

    fn single(&self, attributes: &[(String, Vec<String>)], name: &str) -> Result<Option<String>, Refused> {
        let mut values = attributes
            .iter()
            .filter(|(other, _)| other == name)
            .flat_map(|(_, values)| values)
            .filter(|v| !v.is_empty());
        let takes_first = [W::FirstAttribute, W::UsesFriendlyName, W::ReadsUnverifiedTree];
        let Some(first) = values.next() else { return Ok(None) };
        if self.has_one_of(&takes_first) {
            return Ok(Some(first.clone()));
        }
        if self.has(W::LastAttribute) {
            return Ok(Some(values.next_back().unwrap_or(first).clone()));
        }
        if values.all(|other| other == first) { Ok(Some(first.clone())) } else { Err("two values".into()) }
    }
}
