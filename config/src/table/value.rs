//! Nodes read as values. Each reader answers with what is wrong, so that the check of the shape can
//! report it and the sections can ask again without.

use std::time::Duration;

use super::{Choices, Kind};
use crate::path::short;
use crate::yaml::Node;

/// Why a node is not the value that the key wants, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) problem: String,
    pub(crate) cure: String,
}

fn wrong<T>(problem: impl Into<String>, cure: impl Into<String>) -> Result<T, Wrong> {
    Err(Wrong { problem: problem.into(), cure: cure.into() })
}

/// What may be shown of a value: nothing of what may be a key, no password of a URL.
pub(crate) fn shown(kind: &Kind, node: &Node) -> Option<String> {
    let text = match node {
        Node::Boolean(value) => value.to_string(),
        Node::Whole(number) => number.to_string(),
        Node::OtherNumber(text) => text.clone(),
        Node::Text(text) | Node::Variable { value: text, .. } => text.clone(),
        Node::Null | Node::List(_) | Node::Map(_) => return None,
    };
    let may_be_secret = matches!(kind, Kind::Pem) || text.contains("-----") || has_password(&text);
    (!may_be_secret).then(|| short(&text))
}

fn has_password(text: &str) -> bool {
    text.split_once("://").is_some_and(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@'))
}

pub(crate) fn text<'n>(node: &'n Node, name: &str) -> Result<&'n str, Wrong> {
    let text = match node {
        Node::Text(text) | Node::Variable { value: text, .. } => text,
        Node::Null => return wrong("is empty", format!("write a value behind `{name}:`, or remove the line")),
        Node::Boolean(_) | Node::Whole(_) | Node::OtherNumber(_) => {
            return wrong(format!("must be a text, and is {}", node.kind()), "put it in quotes");
        }
        Node::List(_) | Node::Map(_) => {
            return wrong(format!("must be one text, and is {}", node.kind()), format!("write `{name}: value`"));
        }
    };
    if text.trim().is_empty() {
        return wrong("is empty", format!("write a value behind `{name}:`, or remove the line"));
    }
    Ok(text)
}

pub(crate) fn line_of_text<'n>(node: &'n Node, name: &str) -> Result<&'n str, Wrong> {
    let text = text(node, name)?;
    if text.chars().any(char::is_control) {
        return wrong("contains a line break or another control character", "write it on one line");
    }
    Ok(text)
}

pub(crate) fn boolean(node: &Node, name: &str) -> Result<bool, Wrong> {
    match node {
        Node::Boolean(value) => Ok(*value),
        Node::Variable { value, .. } if value == "true" => Ok(true),
        Node::Variable { value, .. } if value == "false" => Ok(false),
        other => wrong(
            format!("must be true or false, and is {}", other.kind()),
            format!("write `{name}: true` or `{name}: false`, without quotes"),
        ),
    }
}

pub(crate) fn count(node: &Node, name: &str, min: u64, max: u64) -> Result<u64, Wrong> {
    let number = match node {
        Node::Whole(number) => Some(*number),
        Node::Variable { value, .. } => value.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if (min..=max).contains(&number) => Ok(number),
        Some(_) => wrong(format!("must lie between {min} and {max}"), format!("write `{name}: {min}` or more")),
        None => wrong(
            format!("must be a whole number between {min} and {max}"),
            format!("write a number without quotes, such as `{name}: {min}`"),
        ),
    }
}

pub(crate) fn duration(node: &Node, name: &str, min: Duration, max: Duration) -> Result<Duration, Wrong> {
    let text = match node {
        Node::Text(text) | Node::Variable { value: text, .. } if text.bytes().all(|b| b.is_ascii_digit()) => {
            return without_unit(name, text);
        }
        Node::Whole(number) => return without_unit(name, &number.to_string()),
        Node::Text(text) | Node::Variable { value: text, .. } => text,
        other => {
            return wrong(
                format!("must be a duration, and is {}", other.kind()),
                format!("write a number with its unit, such as `{name}: 15m` or `{name}: 1h30m`"),
            );
        }
    };
    let Ok(duration) = humantime::parse_duration(text) else {
        return wrong(
            "is not a duration",
            format!("write numbers with their units (ms, s, m, h, d), such as `{name}: 15m` or `{name}: 1h30m`"),
        );
    };
    if duration < min || duration > max {
        return wrong(
            format!("must lie between {} and {}", written(min), written(max)),
            format!("write `{name}: {}`", written(duration.clamp(min, max))),
        );
    }
    Ok(duration)
}

fn without_unit<T>(name: &str, number: &str) -> Result<T, Wrong> {
    let number = if number.is_empty() { "30" } else { number };
    wrong("has no unit", format!("write `{name}: {number}s` for seconds, or another unit: ms, s, m, h, d"))
}

/// A duration as the settings write it.
pub(crate) fn written(duration: Duration) -> String {
    humantime::format_duration(duration).to_string().replace(' ', "").replace("days", "d").replace("day", "d")
}

pub(crate) fn choice<'n>(node: &'n Node, name: &str, choices: &Choices) -> Result<&'n str, Wrong> {
    let text = line_of_text(node, name).map_err(|wrong| Wrong { cure: offer(name, choices), ..wrong })?;
    if choices.later.contains(&text) {
        return wrong("is not in this version", offer(name, choices));
    }
    if !choices.values.contains(&text) {
        return wrong(format!("must be {}", or(choices.values)), offer(name, choices));
    }
    Ok(text)
}

fn offer(name: &str, choices: &Choices) -> String {
    let forms: Vec<String> = choices.values.iter().map(|value| format!("`{name}: {value}`")).collect();
    format!("write {}", or(&forms))
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn or<T: AsRef<str>>(values: &[T]) -> String {
    let values: Vec<&str> = values.iter().map(AsRef::as_ref).collect();
    match values.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}
