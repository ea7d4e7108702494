//! Variables such as `SAMLGATE_SESSION__MAX_AGE`, laid over the file.

use crate::check::nearest;
use crate::path::Path;
use crate::source::Findings;
use crate::table::{Kind, Place, Table};
use crate::yaml::{Key, Node};

const PREFIX: &str = "SAMLGATE_";
/// Read by the command line: the settings file itself.
const RESERVED: &[&str] = &["SAMLGATE_CONFIG"];

/// The variables of this process. One whose name is no Unicode cannot be ours; in a value, what is no
/// Unicode is replaced, and refused by the check of the value.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| name.into_string().ok().map(|name| (name, value.to_string_lossy().into_owned())))
}

pub(crate) fn lay_over(
    root: &mut Node,
    table: &'static Table,
    variables: impl Iterator<Item = (String, String)>,
    findings: &mut Findings,
) {
    let mut ours: Vec<(String, String)> = variables
        .filter(|(name, value)| {
            name.starts_with(PREFIX) && !RESERVED.contains(&name.as_str()) && !is_service_link(name, value)
        })
        .collect();
    ours.sort();
    for (name, value) in ours {
        match target(table, name.strip_prefix(PREFIX).unwrap_or_default()) {
            Target::Scalar(keys) => put(root, &keys, Node::Variable { name, value }),
            Target::NoScalar(path) => {
                let problem = format!("points at {path}, which is no single value");
                findings.refuse(
                    variable(name),
                    problem,
                    "write it in the settings file; variables set scalar keys only",
                );
            }
            Target::Later => findings.refuse(variable(name), "is not in this version", "remove it"),
            Target::Unknown => {
                let known = names(table);
                let cure = match nearest(&name, &known.iter().map(String::as_str).collect::<Vec<_>>()) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => "remove it; names are SAMLGATE_ and the path of a key, with __ between levels".to_owned(),
                };
                findings.refuse(variable(name), "is no known setting", cure);
            }
        }
    }
}

/// The variables that settings can come from.
pub(crate) fn names(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    collect(table, PREFIX, &mut found);
    found
}

fn collect(table: &Table, prefix: &str, found: &mut Vec<String>) {
    for key in table.keys {
        let name = format!("{prefix}{}", key.name.to_ascii_uppercase());
        match &key.kind {
            Kind::Section(table) => collect(table, &format!("{name}__"), found),
            kind if kind.is_scalar() => found.push(name),
            _ => {}
        }
    }
}

/// What Kubernetes puts into every container for each Service of its namespace. A Service named
/// `samlgate` would otherwise keep the pod from starting.
fn is_service_link(name: &str, value: &str) -> bool {
    let is_address = |value: &str| ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    let of_port = ["_TCP", "_UDP", "_SCTP"].iter().any(|protocol| {
        name.split_once("_PORT_").is_some_and(|(_, rest)| {
            rest.starts_with(|first: char| first.is_ascii_digit())
                && (rest.ends_with(protocol) || rest.contains(&format!("{protocol}_")))
        })
    });
    name.ends_with("_SERVICE_HOST")
        || name.ends_with("_SERVICE_PORT")
        || name.contains("_SERVICE_PORT_")
        || (name.ends_with("_PORT") && is_address(value))
        || of_port
}

enum Target {
    Scalar(Vec<&'static str>),
    NoScalar(Path),
    Later,
    Unknown,
}

fn target(table: &'static Table, name: &str) -> Target {
    let mut table = table;
    let mut keys: Vec<&'static str> = Vec::new();
    let mut path = Path::default();
    let mut levels = name.split("__").peekable();
    while let Some(level) = levels.next() {
        let named = |key: &str| key.to_ascii_uppercase() == level;
        if table.later.iter().any(|key| named(key)) {
            return Target::Later;
        }
        let Some(key) = table.keys.iter().find(|key| named(key.name)) else { return Target::Unknown };
        path = path.key(key.name);
        keys.push(key.name);
        match (&key.kind, levels.peek()) {
            (Kind::Section(inner), Some(_)) => table = inner,
            (kind, None) if kind.is_scalar() => return Target::Scalar(keys),
            (kind, Some(_)) if kind.is_scalar() => return Target::Unknown,
            _ => return Target::NoScalar(path),
        }
    }
    Target::Unknown
}

/// A parent that is no map stays as it is: that mistake is the file's.
fn put(node: &mut Node, keys: &[&'static str], value: Node) {
    let Some((first, rest)) = keys.split_first() else {
        *node = value;
        return;
    };
    if *node == Node::Null {
        *node = Node::Map(Vec::new());
    }
    let Node::Map(entries) = node else { return };
    let is_first = |key: &Key| matches!(key, Key::Text(name) if name == first);
    match entries.iter_mut().find(|(key, _)| is_first(key)) {
        Some((_, child)) => put(child, rest, value),
        None => {
            let mut child = Node::Null;
            put(&mut child, rest, value);
            entries.push((Key::Text((*first).to_owned()), child));
        }
    }
}

fn variable(name: String) -> Place {
    Place { path: Path::default(), value: None, variable: Some(name) }
}

#[cfg(test)]
mod tests {
    use super::is_service_link;

    #[test]
    fn knows_the_variables_of_kubernetes_services() {
        for (name, value) in [
            ("SAMLGATE_SERVICE_HOST", "10.0.0.1"),
            ("SAMLGATE_SERVICE_PORT", "80"),
            ("SAMLGATE_SERVICE_PORT_HTTP", "80"),
            ("SAMLGATE_PORT", "tcp://10.0.0.1:80"),
            ("SAMLGATE_PORT_80_TCP", "tcp://10.0.0.1:80"),
            ("SAMLGATE_PORT_80_TCP_ADDR", "10.0.0.1"),
            ("SAMLGATE_ADMIN_PORT_9090_TCP_PROTO", "tcp"),
        ] {
            assert!(is_service_link(name, value), "{name}");
        }
        for (name, value) in
            [("SAMLGATE_PORT", "8080"), ("SAMLGATE_LISTEN", "tcp://1.2.3.4:5"), ("SAMLGATE_PREFIX", "/s")]
        {
            assert!(!is_service_link(name, value), "{name}");
        }
    }
}
