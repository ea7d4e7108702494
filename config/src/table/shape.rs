//! Holds a tree of nodes against a table: unknown keys, missing keys, wrong types, values out of range.

use std::collections::HashSet;

use super::value::{self, Wrong, or};
use super::{Choices, Kind, Place, Presence, Table};
use crate::check::nearest;
use crate::path::Path;
use crate::source::Findings;
use crate::yaml::{Key, Node};

pub(crate) fn check(table: &Table, node: &Node, findings: &mut Findings) {
    section(table, node, &Path::default(), findings);
}

fn section(table: &Table, node: &Node, path: &Path, findings: &mut Findings) {
    let Some(entries) = entries(node, path, &keys_of(table), findings) else { return };
    for (name, _) in &entries {
        if table.key(name).is_none() {
            refuse_key(table, name, path, findings);
        }
    }
    for key in table.keys {
        match entries.iter().find(|(name, _)| *name == key.name) {
            Some((_, node)) => value(&key.kind, node, &path.key(key.name), findings),
            None if key.presence == Presence::Required => {
                findings.refuse(Place::bare(path.key(key.name)), "is missing", format!("add it: {}", key.about));
            }
            None => {}
        }
    }
}

/// The entries of a map whose keys are texts; reports the others. Nothing counts as an empty map.
fn entries<'n>(node: &'n Node, path: &Path, holds: &str, findings: &mut Findings) -> Option<Vec<(&'n str, &'n Node)>> {
    let map = match node {
        Node::Map(map) => map,
        Node::Null => return Some(Vec::new()),
        other => {
            let problem = format!("must be a map, and is {}", other.kind());
            let cure = format!("write `key: value` lines below it, indented; {holds}");
            findings.refuse(Place::of(path.clone(), &Kind::Text, Some(other)), problem, cure);
            return None;
        }
    };
    let mut found: Vec<(&str, &Node)> = Vec::with_capacity(map.len());
    let mut seen: HashSet<&str> = HashSet::with_capacity(map.len());
    let mut repeated: HashSet<&str> = HashSet::new();
    for (key, node) in map {
        match key {
            Key::Text(name) if !seen.insert(name) => {
                if repeated.insert(name) {
                    let cure = "keep one of them";
                    findings.refuse(Place::bare(path.repeated(name)), "stands twice in the same map", cure);
                }
            }
            Key::Text(name) if name == "<<" => {
                let cure = "write its keys out here";
                findings.refuse(Place::bare(path.key(name)), "merge keys are not followed", cure);
            }
            Key::Text(name) => found.push((name, node)),
            Key::Other(kind) => {
                let problem = format!("has a key that is {kind}: keys must be texts");
                findings.refuse(Place::bare(path.clone()), problem, "put the key in quotes, or remove it");
            }
        }
    }
    Some(found)
}

fn keys_of(table: &Table) -> String {
    let names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
    format!("the keys are {}", names.join(", "))
}

fn refuse_key(table: &Table, name: &str, path: &Path, findings: &mut Findings) {
    let place = Place::bare(path.key(name));
    if table.later.contains(&name) {
        findings.refuse(place, "is not in this version", "remove it");
        return;
    }
    let names: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
    let cure = match nearest(name, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("remove it; {}", keys_of(table)),
    };
    findings.refuse(place, "is no known key", cure);
}

fn value(kind: &Kind, node: &Node, path: &Path, findings: &mut Findings) {
    let name = path.last_key();
    match kind {
        Kind::List(inner) => list(inner, node, path, findings),
        Kind::OneOrMany(inner) if matches!(node, Node::List(_)) => list(inner, node, path, findings),
        Kind::OneOrMany(inner) => value(inner, node, path, findings),
        Kind::Section(table) => section(table, node, path, findings),
        Kind::Sections(table) => elements(node, path, findings, |node, path, findings| {
            section(table, node, path, findings);
        }),
        Kind::Named(table) => named(node, path, findings, |node, path, findings| section(table, node, path, findings)),
        Kind::Texts => named(node, path, findings, |node, path, findings| value(&Kind::Text, node, path, findings)),
        Kind::ChoiceOrSection(_, table) if matches!(node, Node::Map(_)) => section(table, node, path, findings),
        Kind::ChoiceOrSection(choices, table) => choice_or_section(choices, table, node, path, findings),
        Kind::Text | Kind::File => report(kind, node, path, value::line_of_text(node, name), findings),
        Kind::Pem => report(kind, node, path, value::text(node, name), findings),
        Kind::Boolean => report(kind, node, path, value::boolean(node, name), findings),
        Kind::Count { min, max } => report(kind, node, path, value::count(node, name, *min, *max), findings),
        Kind::Duration { min, max } => report(kind, node, path, value::duration(node, name, *min, *max), findings),
        Kind::Choice(choices) => report(kind, node, path, value::choice(node, name, choices), findings),
    }
}

fn report<T>(kind: &Kind, node: &Node, path: &Path, outcome: Result<T, Wrong>, findings: &mut Findings) {
    if let Err(Wrong { problem, cure }) = outcome {
        findings.refuse(Place::of(path.clone(), kind, Some(node)), problem, cure);
    }
}

fn choice_or_section(choices: &Choices, table: &Table, node: &Node, path: &Path, findings: &mut Findings) {
    let name = path.last_key();
    if let Err(Wrong { problem, cure }) = value::choice(node, name, choices) {
        let keys: Vec<&str> = table.keys.iter().map(|key| key.name).collect();
        let cure = format!("{cure}, or a map with {}", or(&keys));
        findings.refuse(Place::of(path.clone(), &Kind::Text, Some(node)), problem, cure);
    }
}

fn list(kind: &Kind, node: &Node, path: &Path, findings: &mut Findings) {
    elements(node, path, findings, |node, path, findings| value(kind, node, path, findings));
}

fn elements(node: &Node, path: &Path, findings: &mut Findings, check: impl Fn(&Node, &Path, &mut Findings)) {
    let name = path.last_key();
    let place = || Place::of(path.clone(), &Kind::Text, Some(node));
    match node {
        Node::List(nodes) if nodes.is_empty() => {
            findings.refuse(place(), "is an empty list", "name at least one, or remove the key");
        }
        Node::List(nodes) => {
            nodes.iter().enumerate().for_each(|(index, node)| check(node, &path.index(index), findings));
        }
        Node::Null => findings.refuse(place(), "is empty", "name at least one, or remove the key"),
        Node::Text(text) => {
            let problem = "must be a list, and is a text";
            match value::shown(&Kind::Text, node) {
                Some(shown) if shown == *text => findings.refuse(place(), problem, format!("write `{name}: [{text}]`")),
                _ => findings.refuse(
                    place(),
                    problem,
                    format!("write `{name}:` and below it lines that begin with `- `"),
                ),
            }
        }
        other => {
            let problem = format!("must be a list, and is {}", other.kind());
            findings.refuse(place(), problem, format!("write `{name}:` and below it lines that begin with `- `"));
        }
    }
}

fn named(node: &Node, path: &Path, findings: &mut Findings, check: impl Fn(&Node, &Path, &mut Findings)) {
    let Some(entries) = entries(node, path, "each key is a name of your choice", findings) else { return };
    if entries.is_empty() {
        findings.refuse(Place::bare(path.clone()), "is empty", "name at least one, or remove the key");
    }
    for (name, node) in entries {
        check(node, &path.key(name), findings);
    }
}
