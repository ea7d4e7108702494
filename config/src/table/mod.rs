//! The tables of keys: what may stand in a section, of which shape, with which default, and what it means.
//!
//! One table per section, beside the code that reads it. The reader, the JSON schema and the reference
//! page all come from them.

mod read;
mod shape;
pub(crate) mod value;

pub(crate) use read::{Place, Section};
pub(crate) use shape::check;

use std::time::Duration;

/// A section of the settings.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its heading in the reference.
    pub(crate) title: &'static str,
    pub(crate) about: &'static str,
    pub(crate) keys: &'static [Key],
    /// Keys that a later version brings: refused, and not offered as what somebody might have meant.
    pub(crate) later: &'static [&'static str],
}

#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) about: &'static str,
    pub(crate) presence: Presence,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    Required,
    /// With what holds where it is absent, in words for the reference.
    Optional(&'static str),
}

#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    /// Text of several lines that is never shown.
    Pem,
    File,
    Boolean,
    Count {
        min: u64,
        max: u64,
    },
    Duration {
        min: Duration,
        max: Duration,
    },
    Choice(&'static Choices),
    List(&'static Kind),
    /// One value, or a list of them.
    OneOrMany(&'static Kind),
    Section(&'static Table),
    Sections(&'static Table),
    /// A map of names, chosen by the administrator, to sections.
    Named(&'static Table),
    /// A map of names to texts.
    Texts,
    ChoiceOrSection(&'static Choices, &'static Table),
}

#[derive(Debug)]
pub(crate) struct Choices {
    pub(crate) values: &'static [&'static str],
    pub(crate) later: &'static [&'static str],
}

impl Key {
    pub(crate) const fn required(name: &'static str, kind: Kind, about: &'static str) -> Self {
        Self { name, kind, about, presence: Presence::Required }
    }

    pub(crate) const fn optional(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Self {
        Self { name, kind, about, presence: Presence::Optional(default) }
    }
}

impl Table {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Kind {
    /// Whether one variable of the environment can hold it.
    pub(crate) fn is_scalar(&self) -> bool {
        match self {
            Self::Text
            | Self::Pem
            | Self::File
            | Self::Boolean
            | Self::Count { .. }
            | Self::Duration { .. }
            | Self::Choice(_) => true,
            Self::OneOrMany(kind) => kind.is_scalar(),
            Self::List(_)
            | Self::Section(_)
            | Self::Sections(_)
            | Self::Named(_)
            | Self::Texts
            | Self::ChoiceOrSection(..) => false,
        }
    }
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
