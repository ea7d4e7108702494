//! `docs/configuration.md`, made from the tables that the reader uses.

use crate::environment;
use crate::sections::{ROOT, tokens};
use crate::table::value::{or, written};
use crate::table::{Choices, Key, Kind, Presence, Table};

const INTRODUCTION: &str = "# Settings

This page is generated from the tables that the reader of the settings uses; `docs/samlgate.example.yaml` is a
commented example. `samlgate check` reads a file without binding a port and shows every mistake at once, with its
place, its value and what to write instead.

The file is YAML of at most 1 MiB. Unknown keys are mistakes. Files that it names are relative to the directory it
stands in. Durations carry their units: `30s`, `15m`, `8h`, `1h30m`, `2d`. Lists hold at least one entry.
";

const ENVIRONMENT: &str = "
## Environment

A variable sets a single value outside lists and maps, and wins over the file: `SAMLGATE_` and the path of the key in
upper case, with `__` between levels. `SAMLGATE_CONFIG` names the settings file itself. Every other `SAMLGATE_`
variable is a mistake, except those that Kubernetes makes for Services (`SAMLGATE_SERVICE_HOST`,
`SAMLGATE_PORT_8080_TCP` and their kin), which are ignored.

";

/// The reference of all settings, in Markdown.
pub fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut later = Vec::new();
    section(&ROOT, &mut page, &mut later);
    section(&tokens::FILE, &mut page, &mut later);
    page.push_str(ENVIRONMENT);
    for name in environment::names(&ROOT) {
        line(&mut page, &format!("- `{name}`"));
    }
    page.push_str("\n## Not in this version\n\nThese keys and values are known and refused until the version that brings them:\n\n");
    for entry in later {
        line(&mut page, &entry);
    }
    line(&mut page, "- `https://` servers of upstreams");
    page
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

fn section(table: &Table, page: &mut String, later: &mut Vec<String>) {
    let title = if table.title.contains(' ') { table.title.to_owned() } else { format!("`{}`", table.title) };
    line(page, &format!("\n## {title}\n\n{}\n", table.about));
    line(page, "| key | value | default | meaning |");
    line(page, "|---|---|---|---|");
    for key in table.keys {
        let default = match key.presence {
            Presence::Required => "**required**",
            Presence::Optional(default) => default,
        };
        line(page, &format!("| `{}` | {} | {default} | {} |", key.name, value(&key.kind), key.about));
    }
    if !table.later.is_empty() {
        let names: Vec<String> = table.later.iter().map(|name| format!("`{name}`")).collect();
        later.push(format!("- {title}: {}", names.join(", ")));
    }
    for key in table.keys {
        below(key, table, page, later);
    }
}

/// The sections that a key opens, and its values of later versions.
fn below(key: &Key, table: &Table, page: &mut String, later: &mut Vec<String>) {
    match &key.kind {
        Kind::Section(inner) | Kind::Sections(inner) | Kind::Named(inner) | Kind::ChoiceOrSection(_, inner) => {
            section(inner, page, later);
        }
        Kind::Choice(Choices { later: values, .. }) if !values.is_empty() => {
            let values: Vec<String> = values.iter().map(|value| format!("`{}: {value}`", key.name)).collect();
            later.push(format!("- `{}`: {}", table.title, values.join(", ")));
        }
        _ => {}
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Pem => "text of several lines".to_owned(),
        Kind::File => "path".to_owned(),
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Count { min, max } => format!("number, {min} to {max}"),
        Kind::Duration { min, max } => format!("duration, {} to {}", written(*min), written(*max)),
        Kind::Choice(choices) => words(choices),
        Kind::List(inner) => format!("list of {}", plural(inner)),
        Kind::OneOrMany(inner) => format!("{}, or a list of them", value(inner)),
        Kind::Section(_) => "map, see below".to_owned(),
        Kind::Sections(_) => "list of maps, see below".to_owned(),
        Kind::Named(_) => "map of names to maps, see below".to_owned(),
        Kind::Texts => "map of texts".to_owned(),
        Kind::ChoiceOrSection(choices, _) => format!("{}, or a map, see below", words(choices)),
    }
}

fn plural(kind: &Kind) -> String {
    match kind {
        Kind::Text => "texts".to_owned(),
        other => value(other),
    }
}

fn words(choices: &Choices) -> String {
    or(&choices.values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>())
}
