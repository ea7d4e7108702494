//! Reads a section whose shape was checked. A value of the wrong shape reads as absent: its mistake is known by then.

use std::collections::HashSet;
use std::time::Duration;

use super::{Key, Kind, Table, value};
use crate::path::Path;
use crate::yaml::{self, Node};

/// A place to complain about, with what may be shown of the value there.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: Path,
    pub(crate) value: Option<String>,
    /// The variable that the value came from.
    pub(crate) variable: Option<String>,
}

impl Place {
    pub(crate) fn bare(path: Path) -> Self {
        Self { path, value: None, variable: None }
    }

    pub(crate) fn of(path: Path, kind: &Kind, node: Option<&Node>) -> Self {
        let variable = match node {
            Some(Node::Variable { name, .. }) => Some(name.clone()),
            _ => None,
        };
        Self { path, value: node.and_then(|node| value::shown(kind, node)), variable }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Section<'n> {
    table: &'static Table,
    node: Option<&'n Node>,
    path: Path,
}

impl<'n> Section<'n> {
    pub(crate) fn root(table: &'static Table, node: &'n Node) -> Self {
        Self { table, node: Some(node), path: Path::default() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.node(name).is_some()
    }

    /// Whether the key is there, be it with nothing behind it.
    pub(crate) fn stands(&self, name: &str) -> bool {
        self.node.is_some_and(|node| node.get(name).is_some())
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node, Some(Node::Map(_)))
    }

    /// Where `name` stands, or would stand.
    pub(crate) fn place(&self, name: &str) -> Place {
        let kind = self.table.key(name).map_or(&Kind::Text, |key| &key.kind);
        Place::of(self.path.key(name), kind, self.node(name))
    }

    pub(crate) fn place_in_list(&self, name: &str, index: usize) -> Place {
        match self.node(name) {
            Some(Node::List(nodes)) => Place::of(self.path.key(name).index(index), &Kind::Text, nodes.get(index)),
            _ => self.place(name),
        }
    }

    pub(crate) fn place_in_map(&self, name: &str, entry: &str) -> Place {
        let node = self.node(name).and_then(|node| node.get(entry));
        Place::of(self.path.key(name).key(entry), &Kind::Text, node)
    }

    /// The section itself.
    pub(crate) fn itself(&self) -> Place {
        Place::bare(self.path.clone())
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'n str> {
        self.node(name).and_then(|node| value::line_of_text(node, name).ok())
    }

    pub(crate) fn pem(&self, name: &str) -> Option<&'n str> {
        self.node(name).and_then(|node| value::text(node, name).ok())
    }

    pub(crate) fn boolean(&self, name: &str) -> Option<bool> {
        self.node(name).and_then(|node| value::boolean(node, name).ok())
    }

    pub(crate) fn count(&self, name: &str) -> Option<u64> {
        match self.key(name)?.kind {
            Kind::Count { min, max } => self.node(name).and_then(|node| value::count(node, name, min, max).ok()),
            _ => None,
        }
    }

    pub(crate) fn duration(&self, name: &str) -> Option<Duration> {
        match self.key(name)?.kind {
            Kind::Duration { min, max } => self.node(name).and_then(|node| value::duration(node, name, min, max).ok()),
            _ => None,
        }
    }

    pub(crate) fn choice(&self, name: &str) -> Option<&'n str> {
        match self.key(name)?.kind {
            Kind::Choice(choices) | Kind::ChoiceOrSection(choices, _) => {
                self.node(name).and_then(|node| value::choice(node, name, choices).ok())
            }
            _ => None,
        }
    }

    /// The texts of a list, or the one that stands there, each with its index.
    pub(crate) fn texts(&self, name: &str) -> Vec<(usize, &'n str)> {
        let nodes = match self.node(name) {
            Some(Node::List(nodes)) => nodes.as_slice(),
            Some(node) => std::slice::from_ref(node),
            None => &[],
        };
        let read = |(index, node)| value::line_of_text(node, name).ok().map(|text| (index, text));
        nodes.iter().enumerate().filter_map(read).collect()
    }

    /// The section below; an empty one where it is absent.
    pub(crate) fn section(&self, name: &str) -> Section<'n> {
        let table = match self.key(name).map(|key| &key.kind) {
            Some(Kind::Section(table) | Kind::ChoiceOrSection(_, table)) => table,
            _ => self.table,
        };
        Section { table, node: self.node(name), path: self.path.key(name) }
    }

    pub(crate) fn sections(&self, name: &str) -> Vec<Section<'n>> {
        let (Some(Kind::Sections(table)), Some(Node::List(nodes))) =
            (self.key(name).map(|key| &key.kind), self.node(name))
        else {
            return Vec::new();
        };
        let path = self.path.key(name);
        let section = |(index, node)| Section { table, node: Some(node), path: path.index(index) };
        nodes.iter().enumerate().map(section).collect()
    }

    pub(crate) fn named(&self, name: &str) -> Vec<(&'n str, Section<'n>)> {
        let Some(Kind::Named(table)) = self.key(name).map(|key| &key.kind) else { return Vec::new() };
        let path = self.path.key(name);
        let section =
            |(entry, node): (&'n str, &'n Node)| (entry, Section { table, node: Some(node), path: path.key(entry) });
        self.entries(name).into_iter().map(section).collect()
    }

    pub(crate) fn map(&self, name: &str) -> Vec<(&'n str, &'n str)> {
        let text = |(entry, node)| value::line_of_text(node, entry).ok().map(|text| (entry, text));
        self.entries(name).into_iter().filter_map(text).collect()
    }

    fn entries(&self, name: &str) -> Vec<(&'n str, &'n Node)> {
        let mut found: Vec<(&str, &Node)> = Vec::new();
        let mut seen: HashSet<&str> = HashSet::new();
        if let Some(Node::Map(entries)) = self.node(name) {
            for (key, node) in entries {
                if let yaml::Key::Text(key) = key
                    && seen.insert(key)
                {
                    found.push((key, node));
                }
            }
        }
        found
    }

    fn key(&self, name: &str) -> Option<&'static Key> {
        self.table.key(name)
    }

    fn node(&self, name: &str) -> Option<&'n Node> {
        self.node.and_then(|node| node.get(name)).filter(|node| **node != Node::Null)
    }
}
