//! Machines: what a route's `tokens_file` holds.

use std::path::{Path as FilePath, PathBuf};

use saml_core::Timestamp;

use super::accept;
use crate::check::Fault;
use crate::errors::{ConfigError, Warning};
use crate::path::Path;
use crate::settings::{Access, Machine, TokenHash};
use crate::source::{Findings, read_limited};
use crate::table::{self, Key, Kind, Place, Section, Table};
use crate::yaml;

pub(crate) static FILE: Table = Table {
    title: "The `tokens_file` of a route",
    about: "A YAML file of its own, which `samlgate tokens add` writes. Who sends `Authorization: Bearer` with one of its tokens \
            goes on without a session, as `machine:` and the token's name, where the route's `access` is `signed_in` or names one \
            of the token's groups. No application sees the token.",
    keys: &[Key::required("tokens", Kind::Sections(&ENTRY), "one entry for each token")],
    later: &[],
};

static ENTRY: Table = Table {
    title: "tokens[]",
    about: "The token itself stands nowhere.",
    keys: &[
        Key::required(
            "name",
            Kind::Text,
            "whose token it is, as applications and logs learn it: letters, digits, `-`, `_` and `.`, at most 64; a name may \
             have several tokens",
        ),
        Key::required("hash", Kind::Text, "`sha256:` and the SHA-256 of the token in hexadecimal digits"),
        Key::optional("groups", Kind::List(&Kind::Text), "none", "the machine's groups, for rules and applications"),
        Key::required("expires", Kind::Text, "when it ends to be valid, such as `2027-01-31T00:00:00Z`"),
    ],
    later: &[],
};

const MAX_NAME_BYTES: usize = 64;

/// The machines of a route; none where its file has a mistake, which was reported.
pub(crate) fn read(route: &Section<'_>, access: &Access, findings: &mut Findings) -> Vec<Machine> {
    let Some(name) = route.text("tokens_file") else { return Vec::new() };
    match access {
        Access::Public => {
            findings.warn(
                route.place("tokens_file"),
                "has no effect: a public route tells nobody's name",
                "remove it, or write `access: signed_in`",
            );
        }
        Access::Allow(allow) if allow.groups.is_empty() => {
            let problem = "has no effect: the route admits by addresses alone, and machines have none";
            findings.warn(route.place("tokens_file"), problem, "add groups to `access`, and to the tokens");
        }
        Access::Allow(_) | Access::SignedIn => {}
    }
    let path = findings.file(name);
    let read = accept(text(&path), || route.place("tokens_file"), findings);
    read.map_or_else(Vec::new, |text| entries(&text, &path, route, findings))
}

fn text(path: &FilePath) -> Result<String, Fault> {
    read_limited(path).map_err(|error| {
        let cure = "`samlgate tokens add --file FILE --name NAME` makes one";
        Fault::new(format!("cannot be read at {}: {error}", path.display()), cure)
    })
}

fn entries(text: &str, path: &FilePath, route: &Section<'_>, findings: &mut Findings) -> Vec<Machine> {
    let place = || route.place("tokens_file");
    let (machines, below) = parse(text, findings.now());
    let (errors, warnings) = below.with_lines(text);
    for error in errors {
        findings.refuse(place(), in_file(path, &error), error.cure);
    }
    for Warning { path: at, line, problem, cure } in warnings {
        findings.warn(place(), format!("{} {problem}", position(path, &at, line)), cure);
    }
    machines
}

/// The machines of a `tokens_file`, for who writes it.
///
/// # Errors
/// What is wrong with it, in words.
pub fn machines(text: &str, path: &FilePath, now: Timestamp) -> Result<Vec<Machine>, String> {
    let (machines, below) = parse(text, now);
    let (errors, _) = below.with_lines(text);
    if errors.is_empty() {
        return Ok(machines);
    }
    let said: Vec<String> = errors.iter().map(|error| format!("{}\n   {}", in_file(path, error), error.cure)).collect();
    Err(said.join("\n"))
}

fn parse(text: &str, now: Timestamp) -> (Vec<Machine>, Findings) {
    let mut findings = Findings::new(PathBuf::new(), now);
    let mut machines: Vec<Machine> = Vec::new();
    match yaml::parse(text) {
        Ok(root) => {
            table::check(&FILE, &root, &mut findings);
            for section in Section::root(&FILE, &root).sections("tokens") {
                let Some(machine) = entry(&section, &mut findings) else { continue };
                if machines.iter().any(|known| known.token == machine.token) {
                    findings.refuse_twin(section.place("hash"));
                }
                machines.push(machine);
            }
        }
        Err(malformed) => {
            let line = malformed.line.map(|line| format!(", in line {line}")).unwrap_or_default();
            let problem = format!("is no YAML{line}: {}", malformed.problem);
            findings.refuse(Place::bare(Path::default()), problem, "write `tokens:` and a list of entries");
        }
    }
    (machines, findings)
}

fn in_file(path: &FilePath, error: &ConfigError) -> String {
    let value = error.value.as_ref().map(|value| format!(" is {value:?} and")).unwrap_or_default();
    format!("{}{value} {}", position(path, &error.path, error.line), error.problem)
}

fn position(path: &FilePath, at: &str, line: Option<usize>) -> String {
    let line = line.map(|line| format!(", line {line}")).unwrap_or_default();
    let at = if at.is_empty() { String::new() } else { format!(": {at}") };
    format!("{}{line}{at}", path.display())
}

fn entry(section: &Section<'_>, findings: &mut Findings) -> Option<Machine> {
    let name = accept(name(section.text("name")?), || section.place("name"), findings);
    // Somebody may have put the token itself there.
    let hash_place = || Place { value: None, ..section.place("hash") };
    let token = accept(hash(section.text("hash")?), hash_place, findings);
    let expires = accept(time(section.text("expires")?), || section.place("expires"), findings)?;
    if expires <= findings.now() {
        findings.warn(section.place("expires"), "is over: the token is refused", "make a new one, and remove this one");
    }
    let groups = section.texts("groups").into_iter().map(|(_, group)| group.to_owned()).collect();
    Some(Machine { name: name?, token: token?, groups, expires })
}

fn name(text: &str) -> Result<String, Fault> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if text.len() <= MAX_NAME_BYTES && text.bytes().all(is_plain) {
        return Ok(text.to_owned());
    }
    Err(Fault::new("is no name of a machine", "use letters, digits, `-`, `_` and `.`, at most 64"))
}

fn hash(text: &str) -> Result<TokenHash, Fault> {
    let cure = "write what `samlgate tokens add` wrote: `sha256:` and 64 hexadecimal digits; never the token itself";
    TokenHash::parse(text).ok_or_else(|| Fault::new("is no hash of a token", cure))
}

fn time(text: &str) -> Result<Timestamp, Fault> {
    Timestamp::parse(text).map_err(|_| Fault::new("is no time", "write it in UTC, such as `2027-01-31T00:00:00Z`"))
}
