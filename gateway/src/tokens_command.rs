//! `samlgate tokens`: makes tokens for machines. It knows a `tokens_file` and no settings.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::{Args, Subcommand};
use config::TOKEN_PREFIX;
use saml_core::Timestamp;
use zeroize::Zeroizing;

use crate::decide::hash;

const DAY_SECONDS: i64 = 24 * 60 * 60;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a token for a machine, and add its hash to a file
    ///
    /// Name the file as `tokens_file` in the routes that the machine may use. It sends the token as `Authorization:
    /// Bearer`. The token is written to standard output, once; the file holds no more than its hash.
    ///
    /// To replace a token, add a second one under the same name, give it to the machine, then remove the first entry.
    Add(AddArguments),
}

#[derive(Args)]
pub(crate) struct AddArguments {
    /// The file; made if it does not exist
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Whose token it is: letters, digits, `-`, `_` and `.`; applications learn it as `machine:NAME`
    #[arg(long)]
    name: String,
    /// A group of the machine, and others that are named so
    #[arg(long = "group", value_name = "NAME")]
    groups: Vec<String>,
    /// After how many days it ends to be valid
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3660))]
    days: u16,
}

#[derive(Debug, thiserror::Error)]
enum TokenError {
    #[error("{}: {error}", file.display())]
    File { file: PathBuf, error: io::Error },
    #[error("{0}")]
    Unfit(String),
    #[error("the system gives no random bytes")]
    Random,
}

pub(crate) fn run(command: &Command) -> ExitCode {
    let Command::Add(arguments) = command;
    match add(arguments, SystemTime::now().into()) {
        Ok(added) => {
            println!("{}", added.token.as_str());
            eprintln!(
                "{} may use it until {}. It is shown here alone; {} holds its hash.",
                arguments.name,
                added.expires,
                arguments.file.display()
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

struct Added {
    token: Zeroizing<String>,
    expires: Timestamp,
}

fn add(arguments: &AddArguments, now: Timestamp) -> Result<Added, TokenError> {
    let file = &arguments.file;
    let failed = |error| TokenError::File { file: file.clone(), error };
    let before = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(failed(error)),
    };
    let token = draw()?;
    let expires = now.plus_seconds(i64::from(arguments.days).saturating_mul(DAY_SECONDS));
    let entry = entry(arguments, &token, expires);
    let more = if before.trim().is_empty() { format!("tokens:\n{entry}") } else { entry };
    let more = if before.is_empty() || before.ends_with('\n') { more } else { format!("\n{more}") };
    fits(&before, &more, file, now)?;
    append(file, &more).map_err(failed)?;
    Ok(Added { token, expires })
}

fn draw() -> Result<Zeroizing<String>, TokenError> {
    let mut bytes = Zeroizing::new([0; 32]);
    rand::fill(&mut *bytes).map_err(|aws_lc_rs::error::Unspecified| TokenError::Random)?;
    let mut token = Zeroizing::new(String::with_capacity(64));
    token.push_str(TOKEN_PREFIX);
    URL_SAFE_NO_PAD.encode_string(*bytes, &mut token);
    Ok(token)
}

/// In the form of JSON, which is YAML in any case.
fn entry(arguments: &AddArguments, token: &str, expires: Timestamp) -> String {
    let mut entry = serde_json::json!({
        "name": arguments.name, "hash": hash(token.as_bytes()).to_string(), "expires": expires.to_string(),
    });
    if !arguments.groups.is_empty() {
        entry["groups"] = arguments.groups.as_slice().into();
    }
    format!("  - {entry}\n")
}

/// What was there must be right, and the entry must be one more of them.
fn fits(before: &str, more: &str, file: &Path, now: Timestamp) -> Result<(), TokenError> {
    let count = |text: &str| config::machines(text, file, now).map(|machines| machines.len());
    let known = if before.trim().is_empty() { 0 } else { count(before).map_err(TokenError::Unfit)? };
    let by_hand = || {
        let problem =
            "an entry cannot be added at its end: let it end with the list `tokens:`, each entry behind two spaces";
        TokenError::Unfit(format!("{}: {problem}", file.display()))
    };
    let found = match count(&format!("{before}{more}")) {
        Ok(found) => found,
        // The entry itself has a mistake where it has one alone, too.
        Err(_) => {
            count(&format!("tokens:\n{}", more.trim_start_matches("tokens:\n"))).map_err(TokenError::Unfit)?;
            return Err(by_hand());
        }
    };
    if found == known.saturating_add(1) { Ok(()) } else { Err(by_hand()) }
}

fn append(file: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).create(true).open(file)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::at;

    fn arguments(file: &Path, name: &str) -> AddArguments {
        AddArguments { file: file.to_owned(), name: name.to_owned(), groups: vec!["a: 'b', \"c\"".to_owned()], days: 1 }
    }

    #[test]
    fn what_is_added_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.yaml");
        let first = add(&arguments(&file, "ci"), at(0)).unwrap();
        let second = add(&arguments(&file, "ci"), at(0)).unwrap();
        assert!(first.token.starts_with("samlgate_") && first.token.len() == 52 && *first.token != *second.token);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(first.token.as_str()));
        let machines = config::machines(&text, &file, at(0)).unwrap();
        let found: Vec<_> = machines.iter().map(|machine| (machine.token, machine.expires)).collect();
        let expected = [&first, &second].map(|added| (hash(added.token.as_bytes()), at(DAY_SECONDS)));
        assert_eq!(found, expected);
        assert_eq!(machines[1].groups, ["a: 'b', \"c\""]);
    }

    #[test]
    fn a_file_that_does_not_fit_is_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tokens.yaml");
        for (before, name, part) in [
            ("tokens: []\n", "ci", "tokens"),
            ("nonsense", "ci", "tokens"),
            ("", "c i", "no name of a machine"),
            ("tokens:\n- { name: a, hash: x, expires: y }\n", "ci", "no hash"),
        ] {
            std::fs::write(&file, before).unwrap();
            let error = add(&arguments(&file, name), at(0)).err().unwrap().to_string();
            assert!(error.contains(part), "{error}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
        }
    }
}
