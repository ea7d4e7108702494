//! The groups of a user, in two allocations however many there are: a million sessions stay small.

/// Names of groups, in order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups {
    text: Box<str>,
    /// Where each name ends in `text`.
    ends: Box<[u32]>,
}

impl Groups {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut start = 0;
        self.ends.iter().filter_map(move |end| {
            let end = usize::try_from(*end).ok()?;
            let name = self.text.get(start..end);
            start = end;
            name
        })
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Byte for byte.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|group| group == name)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Groups {
    /// Names past 4 GiB of text cannot be addressed and are left out: fewer groups, never other ones.
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for name in names {
            let name = name.as_ref();
            let Ok(end) = u32::try_from(text.len().saturating_add(name.len())) else { break };
            text.push_str(name);
            ends.push(end);
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_come_back_as_they_went_in(names in prop::collection::vec(".{0,20}", 0..30)) {
            let groups: Groups = names.iter().collect();
            prop_assert_eq!(groups.iter().collect::<Vec<_>>(), names.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(groups.len(), names.len());
            prop_assert!(names.iter().all(|name| groups.contains(name)));
        }
    }

    #[test]
    fn two_names_side_by_side_are_not_a_third() {
        let groups: Groups = ["ad", "mins"].into_iter().collect();
        assert!(!groups.contains("admins"));
        assert!(!groups.contains("Ad"));
        assert!(!groups.is_empty());
    }
}
