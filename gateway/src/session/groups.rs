//! The groups of a user, in one allocation however many there are: a million sessions stay small.

/// Names of groups, in order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Groups(Box<str>);

/// Behind each name. No name of XML holds it (XML 1.0 §2.2).
const END: char = '\0';

impl Groups {
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split_terminator(END)
    }

    pub fn len(&self) -> usize {
        self.0.matches(END).count()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Byte for byte.
    pub fn contains(&self, name: &str) -> bool {
        self.iter().any(|group| group == name)
    }
}

impl<S: AsRef<str>> FromIterator<S> for Groups {
    /// A name that would be taken for two is left out: fewer groups, never other ones.
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        let mut text = String::new();
        for name in names {
            let name = name.as_ref();
            if !name.contains(END) {
                text.push_str(name);
                text.push(END);
            }
        }
        Self(text.into_boxed_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn names_come_back_as_they_went_in(names in prop::collection::vec("[^\\x00]{0,20}", 0..30)) {
            let groups: Groups = names.iter().collect();
            prop_assert_eq!(groups.iter().collect::<Vec<_>>(), names.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(groups.len(), names.len());
            prop_assert!(names.iter().all(|name| groups.contains(name)));
        }
    }

    #[test]
    fn a_name_that_would_be_two_is_none() {
        let groups: Groups = ["staff", "guests\0admins", ""].into_iter().collect();
        assert_eq!(groups.iter().collect::<Vec<_>>(), ["staff", ""]);
        assert!(!groups.contains("admins") && !groups.contains("guests\0admins"));
    }

    #[test]
    fn two_names_side_by_side_are_not_a_third() {
        let groups: Groups = ["ad", "mins"].into_iter().collect();
        assert!(!groups.contains("admins"));
        assert!(!groups.contains("Ad"));
        assert!(!groups.is_empty());
    }
}
