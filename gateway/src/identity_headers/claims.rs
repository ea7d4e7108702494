//! Claims of a session as header values.

use std::borrow::Cow;
use std::collections::HashSet;

use config::{Access, Claim, MACHINES, Machine, Settings};
use saml_core::IdpId;

use crate::refusal::Refusal;
use crate::session::SessionRecord;

/// Upstreams take 8 kB of headers in all, many of them; past this only groups that are asked for are sent.
pub const GROUPS_LIMIT: usize = 4096;

pub struct ClaimValues {
    first_idp: Option<IdpId>,
    named_groups: HashSet<String>,
}

impl ClaimValues {
    pub fn from_settings(settings: &Settings) -> Self {
        Self {
            first_idp: settings.identity_providers.first().map(|idp| idp.id.clone()),
            named_groups: Self::named_groups(settings),
        }
    }

    /// Groups that rules or `groups_filter` name.
    pub fn named_groups(settings: &Settings) -> HashSet<String> {
        let of_rules = settings.routes.iter().flat_map(|route| match &route.access {
            Access::Allow(allow) => allow.groups.as_slice(),
            Access::Public | Access::SignedIn => &[],
        });
        of_rules.chain(&settings.identity_headers.groups_filter).cloned().collect()
    }

    /// The name of a user towards upstreams: the unique id, which for every IdP but the first is prefixed, for
    /// two IdPs may give the same one to two people, and for the first where it could be the name of a machine.
    pub fn user<'r>(&self, record: &'r SessionRecord) -> Cow<'r, str> {
        let is_like_a_machine = || record.unique_id.split_once(':').is_some_and(|(prefix, _)| prefix == MACHINES);
        if self.first_idp.as_ref() == Some(&record.idp) && !is_like_a_machine() {
            Cow::Borrowed(&record.unique_id)
        } else {
            Cow::Owned(format!("{}:{}", record.idp, record.unique_id))
        }
    }

    /// All groups, or, where they would make too long a header, those that somebody asks for.
    ///
    /// # Errors
    /// Even these are too long.
    pub fn groups<'r>(&self, record: &'r SessionRecord) -> Result<Vec<&'r str>, Refusal> {
        self.fitting(record.groups.iter().collect())
    }

    /// The same of a machine.
    ///
    /// # Errors
    /// Even those that somebody asks for are too long.
    pub fn groups_of_machine<'m>(&self, machine: &'m Machine) -> Result<Vec<&'m str>, Refusal> {
        self.fitting(machine.groups.iter().map(String::as_str).collect())
    }

    fn fitting<'g>(&self, all: Vec<&'g str>) -> Result<Vec<&'g str>, Refusal> {
        if encoded_list(&all).len() <= GROUPS_LIMIT {
            return Ok(all);
        }
        let named: Vec<_> = all.into_iter().filter(|group| self.named_groups.contains(*group)).collect();
        let bytes = encoded_list(&named).len();
        if bytes <= GROUPS_LIMIT { Ok(named) } else { Err(Refusal::GroupsTooLarge { bytes, limit: GROUPS_LIMIT }) }
    }

    /// `None` where the session has no such claim: then no header is set.
    pub(super) fn header(&self, claim: &Claim, record: &SessionRecord) -> Result<Option<String>, Refusal> {
        let one = |text: &Option<Box<str>>| text.as_deref().map(encoded);
        Ok(match claim {
            Claim::User => Some(encoded(&self.user(record))),
            Claim::Email => Some(encoded(&record.email)),
            Claim::Username => Some(encoded(username(record))),
            Claim::FirstName => one(&record.first_name),
            Claim::LastName => one(&record.last_name),
            Claim::NameId => record.further.as_ref().and_then(|further| one(&further.name_id)),
            Claim::Groups => Some(self.groups_header(record)?),
            Claim::Attribute(name) => {
                let attributes = record.further.as_ref().map_or(&[][..], |further| &further.attributes);
                attributes.iter().find(|(found, _)| **found == **name).map(|(_, values)| {
                    let values: Vec<&str> = values.iter().map(|value| &**value).collect();
                    encoded_list(&values)
                })
            }
        }
        .filter(|value| !value.is_empty()))
    }

    /// It has a name and groups, and nothing else that people have: no address, least of all one of theirs.
    pub(super) fn of_machine(&self, claim: &Claim, machine: &Machine) -> Result<Option<String>, Refusal> {
        Ok(match claim {
            Claim::User | Claim::Username => Some(machine_user(machine)),
            Claim::Groups => Some(encoded_list(&self.groups_of_machine(machine)?)).filter(|value| !value.is_empty()),
            Claim::Email | Claim::FirstName | Claim::LastName | Claim::NameId | Claim::Attribute(_) => None,
        })
    }

    pub(super) fn full_name(&self, record: &SessionRecord) -> Option<String> {
        let names: Vec<&str> =
            [&record.first_name, &record.last_name].into_iter().filter_map(Option::as_deref).collect();
        Some(if names.is_empty() { encoded(username(record)) } else { encoded(&names.join(" ")) })
    }

    fn groups_header(&self, record: &SessionRecord) -> Result<String, Refusal> {
        // As it becomes a header value it is copied where it has room to spare.
        let bytes: usize = record.groups.iter().map(|group| group.len() + 1).sum();
        let mut list = String::with_capacity(bytes.saturating_sub(1));
        record.groups.iter().for_each(|group| push_item(&mut list, group));
        if list.len() <= GROUPS_LIMIT { Ok(list) } else { self.groups(record).map(|groups| encoded_list(&groups)) }
    }
}

/// The name of a machine towards upstreams; no user has it.
pub fn machine_user(machine: &Machine) -> String {
    format!("{MACHINES}:{}", machine.name)
}

/// The claim, or the e-mail address in its place.
pub(crate) fn username(record: &SessionRecord) -> &str {
    record.username.as_deref().unwrap_or(&record.email)
}

fn encoded(text: &str) -> String {
    let mut value = String::with_capacity(text.len());
    push_encoded(&mut value, text, Within::Text);
    value
}

fn encoded_list(items: &[&str]) -> String {
    let mut list = String::new();
    items.iter().for_each(|item| push_item(&mut list, item));
    list
}

fn push_item(list: &mut String, item: &str) {
    if !list.is_empty() {
        list.push(',');
    }
    push_encoded(list, item, Within::List);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Within {
    Text,
    List,
}

/// Percent-encodes what is not printable ASCII, `%`, a comma within a list, and a space at either end, which
/// parsers of headers trim. What a header carries can then be decoded to exactly what the IdP said.
fn push_encoded(value: &mut String, text: &str, within: Within) {
    let last = text.len().saturating_sub(1);
    let is_safe = |position: usize, byte: u8| match byte {
        b'%' => false,
        b',' => within == Within::Text,
        b' ' => position != 0 && position != last,
        byte => byte.is_ascii_graphic(),
    };
    if text.bytes().enumerate().all(|(position, byte)| is_safe(position, byte)) {
        return value.push_str(text);
    }
    for (position, byte) in text.bytes().enumerate() {
        if is_safe(position, byte) {
            value.push(char::from(byte));
        } else {
            value.push_str(percent_encoding::percent_encode_byte(byte));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::contract;
    use crate::testing::{groups, prefix, route, settings};
    use proptest::prelude::*;

    fn record(change: impl FnOnce(&mut SessionRecord)) -> SessionRecord {
        let mut record = contract::record(0, 1);
        change(&mut record);
        record
    }

    #[track_caller]
    fn check(claim: Claim, record: &SessionRecord, expected: Option<&str>) {
        let value = ClaimValues::from_settings(&settings()).header(&claim, record).unwrap();
        assert_eq!(value.as_deref(), expected, "{claim:?}");
    }

    #[test]
    fn each_claim_has_its_value() {
        let plain = record(|record| {
            record.further.as_mut().unwrap().attributes =
                Box::new([("team".into(), Box::new(["a,b".into(), "c".into()]))])
        });
        check(Claim::User, &plain, Some("5f3c"));
        check(Claim::Email, &plain, Some("ada@example.com"));
        check(Claim::Username, &plain, Some("ada"));
        check(Claim::FirstName, &plain, Some("Ada"));
        check(Claim::LastName, &plain, Some("Lovelace"));
        check(Claim::NameId, &plain, Some("ada@example.com"));
        check(Claim::Groups, &plain, Some("staff,admins"));
        check(Claim::Attribute("team".to_owned()), &plain, Some("a%2Cb,c"));
        check(Claim::Attribute("Team".to_owned()), &plain, None);
        let bare = record(|record| {
            (record.username, record.first_name, record.groups) = (None, None, Default::default());
        });
        check(Claim::Username, &bare, Some("ada@example.com"));
        check(Claim::FirstName, &bare, None);
        check(Claim::Groups, &bare, None);
    }

    #[test]
    fn users_of_a_second_idp_are_told_apart() {
        let other = record(|record| record.idp = IdpId::parse("okta").unwrap());
        check(Claim::User, &other, Some("okta:5f3c"));
        for (unique_id, user) in
            [("machine:ci", "jumpcloud:machine:ci"), ("machine", "machine"), ("a:machine:b", "a:machine:b")]
        {
            check(Claim::User, &record(|record| record.unique_id = unique_id.into()), Some(user));
        }
    }

    #[test]
    fn what_a_header_cannot_carry_is_percent_encoded() {
        for (text, expected) in [
            ("Zoë", "Zo%C3%AB"),
            ("100%", "100%25"),
            ("a\r\nX-Admin: 1", "a%0D%0AX-Admin: 1"),
            (" a b ", "%20a b%20"),
            (" ", "%20"),
            ("a,b", "a,b"),
            ("\u{0}\u{7f}\t", "%00%7F%09"),
        ] {
            assert_eq!(encoded(text), expected);
        }
        assert_eq!(encoded_list(&["a,b", "c d", "ü"]), "a%2Cb,c d,%C3%BC");
    }

    #[test]
    fn too_many_groups_are_cut_to_those_that_somebody_asks_for() {
        let mut settings = settings();
        settings.routes = vec![route(prefix("/"), groups(&["group-7", "never-arrives"]))];
        settings.identity_headers.groups_filter = vec!["group-9".to_owned()];
        let values = ClaimValues::from_settings(&settings);
        let many = record(|record| record.groups = (0..1_000).map(|number| format!("group-{number}")).collect());
        assert_eq!(values.groups_header(&many).unwrap(), "group-7,group-9");
        assert_eq!(values.groups(&many).unwrap(), ["group-7", "group-9"]);
        let few = record(|record| record.groups = (0..10).map(|number| format!("group-{number}")).collect());
        assert_eq!(values.groups(&few).unwrap().len(), 10);
    }

    #[test]
    fn groups_that_are_still_too_long_are_refused() {
        let long = "x".repeat(GROUPS_LIMIT);
        let mut settings = settings();
        settings.identity_headers.groups_filter = vec![long.clone(), "y".to_owned()];
        let values = ClaimValues::from_settings(&settings);
        let fits = record(|record| record.groups = [long.as_str(), "z"].into_iter().collect());
        assert_eq!(values.groups_header(&fits).unwrap(), long);
        let too_long = record(|record| record.groups = [long.as_str(), "y"].into_iter().collect());
        assert_eq!(
            values.groups_header(&too_long),
            Err(Refusal::GroupsTooLarge { bytes: GROUPS_LIMIT + 2, limit: GROUPS_LIMIT })
        );
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_a_header_value_and_decodes_to_itself(items in prop::collection::vec(".{1,20}", 1..6)) {
            let items: Vec<&str> = items.iter().map(String::as_str).collect();
            let list = encoded_list(&items);
            prop_assert!(list.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
            prop_assert_eq!(list.trim(), &list);
            let decoded: Vec<_> = list
                .split(',')
                .map(|item| percent_encoding::percent_decode_str(item).decode_utf8().unwrap().into_owned())
                .collect();
            prop_assert_eq!(decoded, items);
        }
    }
}
