//! YAML text to a tree of nodes. [`run`] is the only function that calls the YAML library, so that it can be replaced.
//!
//! The tree keeps what the library's own value type throws away or stops at: repeated keys, keys that
//! are no text, and (by reading once more up to a path) the line of each value.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, EnumAccess, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::path::{Path, Step};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Null,
    Boolean(bool),
    Whole(u64),
    /// Negative, with a fraction, or too large: as it reads.
    OtherNumber(String),
    Text(String),
    /// A scalar that a variable gave; its type is what the setting wants.
    Variable {
        name: String,
        value: String,
    },
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Key {
    Text(String),
    /// A number, `true`, a list: what it is called.
    Other(&'static str),
}

impl Node {
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        match self {
            Self::Map(entries) => {
                entries.iter().find(|(name, _)| matches!(name, Key::Text(n) if n == key)).map(|e| &e.1)
            }
            _ => None,
        }
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Boolean(_) => "true or false",
            Self::Whole(_) | Self::OtherNumber(_) => "a number",
            Self::Text(_) | Self::Variable { .. } => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }
}

/// YAML that does not parse.
#[derive(Debug)]
pub(crate) struct Malformed {
    pub(crate) line: Option<usize>,
    pub(crate) problem: String,
}

pub(crate) fn parse(text: &str) -> Result<Node, Malformed> {
    let budget = Budget { nodes: Cell::new(MAX_NODES), bytes: Cell::new(MAX_BYTES) };
    run(text, Tree(&budget))
        .map_err(|error| Malformed { line: error.location().map(|at| at.line()), problem: error.to_string() })
}

/// The line where `path` stands, or the nearest part of it that exists.
pub(crate) fn line_of(text: &str, path: &Path) -> Option<usize> {
    let mut steps = path.steps();
    while !steps.is_empty() {
        match run(text, Find { steps }) {
            Err(error) if error.to_string().contains(FOUND) => return error.location().map(|at| at.line()),
            Err(_) => return None,
            Ok(()) => steps = steps.split_last().map_or(&[], |(_, parents)| parents),
        }
    }
    None
}

fn run<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> serde_yaml::Result<S::Value> {
    seed.deserialize(serde_yaml::Deserializer::from_str(text))
}

/// Aliases make a small file a large tree ("billion laughs"): what they may unfold to is bounded.
const MAX_NODES: usize = 200_000;
const MAX_BYTES: usize = 4 * 1024 * 1024;

struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget {
    fn spend<E: Error>(&self, bytes: usize) -> Result<(), E> {
        match (self.nodes.get().checked_sub(1), self.bytes.get().checked_sub(bytes)) {
            (Some(nodes), Some(left)) => {
                self.nodes.set(nodes);
                self.bytes.set(left);
                Ok(())
            }
            _ => Err(E::custom("too many values: anchors and aliases unfold to more than settings can hold")),
        }
    }
}

#[derive(Clone, Copy)]
struct Tree<'b>(&'b Budget);

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Node, E> {
        self.visit_unit()
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::Boolean(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::Whole(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.0
            .spend(0)
            .map(|()| u64::try_from(value).map_or_else(|_| Node::OtherNumber(value.to_string()), Node::Whole))
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::OtherNumber(value.to_string()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::OtherNumber(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        self.0.spend(0).map(|()| Node::OtherNumber(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        self.0.spend(value.len()).map(|()| Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        self.0.spend(0)?;
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(self)? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        self.0.spend(0)?;
        let mut entries = Vec::new();
        while let Some(key) = map.next_key_seed(self)? {
            let key = match key {
                Node::Text(text) => Key::Text(text),
                other => Key::Other(other.kind()),
            };
            entries.push((key, map.next_value_seed(self)?));
        }
        Ok(Node::Map(entries))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<Node, A::Error> {
        Err(A::Error::custom("a tag (!name) has no meaning in settings: remove it"))
    }
}

/// Fails where `steps` lead, for the library notes the place of each failure.
struct Find<'p> {
    steps: &'p [Step],
}

const FOUND: &str = "the value looked for";

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value on the way")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        if let Some((Step::Index(index), steps)) = self.steps.split_first() {
            for _ in 0..*index {
                if list.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(());
                }
            }
            list.next_element_seed(Find { steps })?;
        } else if self.steps.is_empty() {
            return Err(A::Error::custom(FOUND));
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((Step::Key(name) | Step::Repeated(name), steps)) = self.steps.split_first() else {
            if self.steps.is_empty() {
                return Err(A::Error::custom(FOUND));
            }
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        };
        let mut to_skip = usize::from(matches!(self.steps.first(), Some(Step::Repeated(_))));
        while let Some(matches) = map.next_key_seed(FindKey { name, last: steps.is_empty() && to_skip == 0 })? {
            if !matches {
                map.next_value::<IgnoredAny>()?;
            } else if to_skip > 0 {
                to_skip -= 1;
                map.next_value::<IgnoredAny>()?;
            } else {
                map.next_value_seed(Find { steps })?;
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        self.scalar()
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<(), E> {
        self.scalar()
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<(), E> {
        self.scalar()
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.scalar()
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.scalar()
    }
}

impl Find<'_> {
    fn scalar<E: Error>(&self) -> Result<(), E> {
        if self.steps.is_empty() { Err(E::custom(FOUND)) } else { Ok(()) }
    }
}

/// Whether a key is `name`; fails on it where it is the last step.
struct FindKey<'p> {
    name: &'p str,
    last: bool,
}

impl<'de> DeserializeSeed<'de> for FindKey<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FindKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        match key == self.name {
            true if self.last => Err(E::custom(FOUND)),
            matches => Ok(matches),
        }
    }
}
