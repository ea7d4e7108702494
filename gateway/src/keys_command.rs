//! `samlgate keys`: makes the gateway's own keys, and rotates them. It knows a directory and no settings.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::keys::{self, KeyError, KeyName, Rotate, Rotation, Step};

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Write the keys that are missing into a directory, readable by you alone
    ///
    /// Name the directory in the settings as `keys_dir`. Without it keys are made in memory, and sessions
    /// and identity JWTs end with the process. Keys that are there already are kept.
    Generate {
        /// Where to; made if it does not exist
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Take the next step in replacing keys by new ones
    ///
    /// The first call makes a next key, which every replica reads after a restart and none uses. The second one makes it
    /// the current key, and the current one the previous, which is still read. Between the two every replica must have
    /// restarted with the directory as the first call left it; else one uses a key that another does not know. A call
    /// that was cut off is finished by the same call; `--dry-run` says first which step comes now.
    ///
    /// A key that is not there stays away. What each key is for: docs/keys.md.
    ///
    /// Exit: 0 done, 1 refused or failed, 2 misused.
    Rotate(RotateArguments),
}

#[derive(Args)]
pub(crate) struct RotateArguments {
    /// The directory that the settings name as `keys_dir`
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// This key, and others that are named so; all that are there if none is named
    #[arg(long = "key", value_name = "NAME")]
    keys: Vec<KeyName>,
    /// Take both steps in one: for a single process, or where a new key cannot wait
    #[arg(long)]
    now: bool,
    /// Remove the previous keys, and take no step; what still needs them ends
    ///
    /// With `--now`, for keys that were stolen: new ones come in the place of all that are there, and of a next key too.
    #[arg(long)]
    retire: bool,
    /// Show what would be done, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Write one JSON object, for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(command: Command) -> ExitCode {
    let shown = match command {
        Command::Generate { dir } => generate(&dir),
        Command::Rotate(arguments) => rotate(&arguments),
    };
    match shown {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn generate(dir: &Path) -> Result<Vec<String>, KeyError> {
    Ok(keys::generate(dir)?.iter().map(|file| file.display().to_string()).collect())
}

fn rotate(arguments: &RotateArguments) -> Result<Vec<String>, KeyError> {
    let rotate = match (arguments.now, arguments.retire) {
        (false, false) => Rotate::Step,
        (true, false) => Rotate::AtOnce,
        (true, true) => Rotate::Anew,
        (false, true) => Rotate::Retire,
    };
    let rotation = Rotation::plan(&arguments.dir, &arguments.keys, rotate)?;
    if !arguments.dry_run {
        rotation.carry_out()?;
    }
    Ok(if arguments.json {
        vec![as_json(rotation.steps(), arguments.dry_run)]
    } else {
        as_text(rotation.steps(), arguments.dry_run)
    })
}

fn as_text(steps: &[(KeyName, Step)], dry_run: bool) -> Vec<String> {
    let mut lines = Vec::new();
    if dry_run {
        lines.push("nothing is written; without --dry-run this is done:".to_owned());
    }
    for (name, step) in steps {
        let next = next(*name, *step).map(|next| format!("; {next}"));
        lines.push(format!("{}: {}{}", name.as_str(), done(*step), next.unwrap_or_default()));
        lines.extend(ends(*name, *step).into_iter().map(|ends| format!("  {ends}")));
    }
    lines
}

fn as_json(steps: &[(KeyName, Step)], dry_run: bool) -> String {
    let keys = steps.iter().map(|(name, step)| {
        json!({
            "key": name,
            "step": step,
            "done": done(*step),
            "next": next(*name, *step),
            "ends": ends(*name, *step),
        })
    });
    json!({ "dry_run": dry_run, "keys": keys.collect::<Vec<_>>() }).to_string()
}

fn done(step: Step) -> &'static str {
    match step {
        Step::Announced => "next key made",
        Step::AlreadyAnnounced => "next key there already, and left until the others have theirs",
        Step::InUse => "the next key is now current, the current one previous",
        Step::AlreadyInUse => "left as it is, while others are finished that a call before left half way",
        Step::InUseAtOnce => "a new key is now current, the current one previous",
        Step::Replaced => "a new key is now current, and no other is left",
        Step::Retired => "the previous key is removed",
        Step::NothingToRetire => "no previous key there",
        Step::Absent => "no such key there, and none made",
    }
}

/// What the operator does next.
fn next(name: KeyName, step: Step) -> Option<&'static str> {
    match step {
        Step::Announced | Step::AlreadyAnnounced => Some(match name {
            KeyName::Seal | KeyName::Index | KeyName::SpDecryption => "restart every replica, then run this again",
            KeyName::Jwt => {
                "restart every replica, wait until who verifies has read the JWKS anew, then run this again"
            }
            KeyName::SpSigning => {
                "restart every replica, give the SP metadata to each IdP that verifies our signatures, then run this again"
            }
        }),
        Step::InUse | Step::InUseAtOnce | Step::Replaced => Some(match name {
            KeyName::Seal | KeyName::Index | KeyName::Jwt => "restart every replica",
            KeyName::SpSigning => {
                "restart every replica, and give the SP metadata to each IdP that verifies our signatures"
            }
            KeyName::SpDecryption => "restart every replica, and give the SP metadata to each IdP that encrypts",
        }),
        Step::Retired => Some("restart every replica"),
        Step::AlreadyInUse | Step::NothingToRetire | Step::Absent => None,
    }
}

/// What stops working, for a while or for good.
fn ends(name: KeyName, step: Step) -> Vec<&'static str> {
    let until_all_know_it = match name {
        KeyName::Seal => {
            "until every replica has restarted, who goes from one to another signs in again, and `samlgate sessions \
             revoke` may not reach all"
        }
        KeyName::Index => {
            "until every replica has restarted, single logout, `samlgate sessions list` and `max_per_user` miss sessions \
             that began at another"
        }
        KeyName::Jwt => "until who verifies has read the JWKS anew, it refuses every JWT",
        KeyName::SpSigning => "until an IdP has the new SP metadata, it refuses what we sign",
        KeyName::SpDecryption => "until every replica has restarted, it refuses what an IdP encrypts for the new key",
    };
    let without_the_old = match name {
        KeyName::Seal => {
            "with the store `redis` everybody who is signed in signs in again, and logins under way begin again"
        }
        KeyName::Index => {
            "sessions that began under the old key go on, and are not found by single logout, `samlgate sessions list` and \
             `max_per_user`; `samlgate sessions revoke --all` ends them"
        }
        KeyName::Jwt => "JWTs of the old key are refused by who reads the JWKS anew; they live ten minutes at most",
        KeyName::SpSigning => "nothing needs it here; an IdP may trust it until it has the new SP metadata",
        KeyName::SpDecryption => "logins fail at each IdP that still encrypts for the old key",
    };
    match step {
        Step::InUseAtOnce => vec![until_all_know_it],
        Step::Replaced => vec![until_all_know_it, without_the_old],
        Step::Retired => vec![without_the_old],
        Step::Announced
        | Step::AlreadyAnnounced
        | Step::InUse
        | Step::AlreadyInUse
        | Step::NothingToRetire
        | Step::Absent => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(line: &str) -> Result<RotateArguments, clap::Error> {
        let words = ["keys", "rotate", "--dir", "keys"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| match line.command {
            Command::Rotate(arguments) => arguments,
            Command::Generate { .. } => panic!("rotate was asked for"),
        })
    }

    #[test]
    fn keys_are_named_as_their_files_are() {
        for name in KeyName::ALL {
            assert_eq!(parse(&format!("--key {}", name.as_str())).unwrap().keys, [name]);
            assert_eq!(json!(name), name.as_str());
        }
        assert_eq!(parse("--key jwt --key seal").unwrap().keys, [KeyName::Jwt, KeyName::Seal]);
        assert_eq!(parse("").unwrap().keys, []);
        assert!(parse("--key tls").is_err());
    }

    #[test]
    fn each_step_says_what_comes_next_and_what_it_ends() {
        let steps = [
            (KeyName::Seal, Step::Announced),
            (KeyName::Jwt, Step::InUse),
            (KeyName::SpSigning, Step::Absent),
            (KeyName::SpDecryption, Step::Retired),
        ];
        let expected = [
            "nothing is written; without --dry-run this is done:",
            "seal: next key made; restart every replica, then run this again",
            "jwt: the next key is now current, the current one previous; restart every replica",
            "sp-signing: no such key there, and none made",
            "sp-decryption: the previous key is removed; restart every replica",
            "  logins fail at each IdP that still encrypts for the old key",
        ];
        assert_eq!(as_text(&steps, true), expected);
        assert_eq!(as_text(&steps, false), expected[1..]);
        let shown: serde_json::Value = serde_json::from_str(&as_json(&steps[1..2], false)).unwrap();
        let key = json!({
            "key": "jwt", "step": "in_use", "done": "the next key is now current, the current one previous",
            "next": "restart every replica", "ends": [],
        });
        assert_eq!(shown, json!({ "dry_run": false, "keys": [key] }));
    }
}
