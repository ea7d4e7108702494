//! `samlgate sessions`: asks the gateway that runs, over its control socket.

use std::error::Error as _;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};
use config::ConfigErrors;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Builder;

use crate::cli::{ConfigFile, load};
use crate::control::{Filter, Listing, Problem, REVOCATIONS, Revoked, RevokedEffect, SESSIONS, Selector};

const USAGE: u8 = 2;
/// A walk over all sessions comes before the first byte.
const SILENCE: Duration = Duration::from_secs(300);

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show who is signed in, newest first
    ///
    /// Exit: 0 shown, 1 refused or no gateway answers, 2 misused.
    List {
        #[command(flatten)]
        socket: Socket,
        /// Of this unique id
        #[arg(long, value_name = "ID")]
        user: Option<String>,
        /// Of this address, in either case
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        /// Of this group
        #[arg(long, value_name = "NAME")]
        group: Option<String>,
        /// Signed in by this identity provider
        #[arg(long, value_name = "ID")]
        idp: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
        /// Write one JSON object, for programs
        #[arg(long)]
        json: bool,
    },
    /// End sessions, at every process that shares the store
    ///
    /// Those that began until now end; who signs in again is signed in. To keep somebody out, do so at the identity
    /// provider first. While the session store does not answer, they end here at once, and elsewhere when it does.
    ///
    /// Exit: 0 done, written, local or queued, 1 refused or no gateway answers, 2 misused.
    Revoke {
        #[command(flatten)]
        socket: Socket,
        #[command(flatten)]
        whose: Whose,
        /// The identity provider of the user, where there are several
        // Not `requires`, which holds nothing against an argument that excludes the required one.
        #[arg(long, value_name = "ID", conflicts_with_all = ["session", "email", "group", "all"])]
        idp: Option<String>,
        /// Do not ask before all sessions end
        #[arg(long, conflicts_with_all = ["session", "user", "email", "group"])]
        yes: bool,
        /// Write one JSON object, for programs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args)]
pub(crate) struct Socket {
    #[command(flatten)]
    config: ConfigFile,
    /// The gateway's socket, instead of `control_socket` of the settings
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
pub(crate) struct Whose {
    /// One session, as the list, logs and upstreams name it, or by its key
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// All of the user with this unique id
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// All of this address, in either case
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// All of this group
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// Every session
    #[arg(long)]
    all: bool,
}

/// Why there is no answer to show.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Settings(#[from] ConfigErrors),
    #[error(
        "{} sets no `control_socket`, so its gateway cannot be asked: set it, start the gateway again, and run this \
         as the same user", file.display()
    )]
    NoSocket { file: PathBuf },
    #[error(
        "no gateway answers on {} ({problem}): see that `control_socket` is set, that the gateway runs, and that this \
         is run as the same user", socket.display()
    )]
    Unreachable { socket: PathBuf, problem: String },
    #[error("{}: {}", escaped(&.0.error), escaped(&.0.cure))]
    Refused(Problem),
    #[error("what answers on {} is no gateway of this version ({status}): see what listens there", socket.display())]
    Strange { socket: PathBuf, status: StatusCode },
    #[error("the runtime cannot start: {0}")]
    Runtime(#[source] io::Error),
    #[error("nothing was ended")]
    Declined,
}

/// 0 done or queued, 1 refused or not reachable, 2 misused.
pub(crate) fn run(command: Command) -> ExitCode {
    let shown = match command {
        Command::List { socket, user, email, group, idp, limit, json } => {
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            list(&socket, &Filter { user, email, group, idp, limit }, json)
        }
        Command::Revoke { whose: Whose { all: true, .. }, yes: false, .. } if !io::stdin().is_terminal() => {
            eprintln!("error: --all ends every session: give --yes where nobody can be asked");
            return ExitCode::from(USAGE);
        }
        Command::Revoke { socket, whose, idp, yes, json } => {
            let confirmed = if whose.all && !yes { confirm() } else { Ok(()) };
            confirmed.and_then(|()| revoke(&socket, &whose.selector(idp), json))
        }
    };
    match shown {
        Ok(text) => {
            // Nobody reads a closed terminal.
            let _ = writeln!(io::stdout().lock(), "{text}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

impl Whose {
    /// The group of arguments has exactly one.
    fn selector(self, idp: Option<String>) -> Selector {
        match (self.session, self.user, self.email, self.group) {
            (Some(session), ..) => Selector::Session(session),
            (_, Some(user), ..) => Selector::User { user, idp },
            (_, _, Some(email), _) => Selector::Email(email),
            (.., Some(group)) => Selector::Group(group),
            _ => Selector::All,
        }
    }
}

impl Socket {
    fn path(&self) -> Result<PathBuf, Failure> {
        if let Some(path) = &self.socket {
            return Ok(path.clone());
        }
        let file = &self.config.config;
        load(file)?.settings.control_socket.ok_or_else(|| Failure::NoSocket { file: file.clone() })
    }
}

fn confirm() -> Result<(), Failure> {
    eprint!("Every session ends, and everybody signs in again. Go on? [y/N] ");
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    let is_yes = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if is_yes { Ok(()) } else { Err(Failure::Declined) }
}

fn list(socket: &Socket, filter: &Filter, json: bool) -> Result<String, Failure> {
    let target = format!("{SESSIONS}?{}", filter.to_query());
    let listing: Listing = ask(&socket.path()?, |client, origin| client.get(format!("{origin}{target}")))?;
    Ok(if json { json_text(&listing) } else { table(&listing) })
}

fn revoke(socket: &Socket, selector: &Selector, json: bool) -> Result<String, Failure> {
    let body = json_text(selector);
    let revoked: Revoked =
        ask(&socket.path()?, |client, origin| client.post(format!("{origin}{REVOCATIONS}")).body(body))?;
    Ok(if json { json_text(&revoked) } else { outcome(&revoked) })
}

fn ask<T: DeserializeOwned>(
    socket: &Path,
    request: impl FnOnce(&Client, &str) -> RequestBuilder,
) -> Result<T, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::Runtime)?;
    runtime.block_on(exchange(socket, request))
}

async fn exchange<T: DeserializeOwned>(
    socket: &Path,
    request: impl FnOnce(&Client, &str) -> RequestBuilder,
) -> Result<T, Failure> {
    let unreachable =
        |error: reqwest::Error| Failure::Unreachable { socket: socket.to_owned(), problem: innermost(&error) };
    // No TLS is spoken, and a container may hold no authorities to read.
    let builder = Client::builder().unix_socket(socket).no_proxy().read_timeout(SILENCE).tls_certs_only([]);
    let client = builder.build().map_err(unreachable)?;
    // The name is looked up nowhere.
    let response = request(&client, "http://samlgate").send().await.map_err(unreachable)?;
    let status = response.status();
    let body = response.bytes().await.map_err(unreachable)?;
    let strange = |_: serde_json::Error| Failure::Strange { socket: socket.to_owned(), status };
    if status == StatusCode::OK {
        serde_json::from_slice(&body).map_err(strange)
    } else {
        Err(serde_json::from_slice(&body).map_or_else(strange, Failure::Refused))
    }
}

/// The reason itself; what stands around it names the made-up address.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

fn outcome(revoked: &Revoked) -> String {
    match revoked.effect {
        RevokedEffect::Done => format!("done: {} ended", sessions(revoked.ended)),
        RevokedEffect::Written => {
            "written: it stands in `session.revocations_file`, and every process that reads the file \
                                   follows within a second"
                .to_owned()
        }
        RevokedEffect::Local => "local: it has taken effect in this process alone, until it ends: add the line to the \
                                 `session.revocations_file` that every process reads, or revoke at each of them"
            .to_owned(),
        RevokedEffect::Queued => "queued: it has taken effect here; the session store does not answer, and the others \
                                  follow when it does"
            .to_owned(),
    }
}

fn sessions(number: usize) -> String {
    if number == 1 { "1 session".to_owned() } else { format!("{number} sessions") }
}

/// A line for each session, and how many there are.
fn table(listing: &Listing) -> String {
    let mut rows = vec![["SESSION", "USER", "E-MAIL", "IDP", "LAST SEEN", "EXPIRES"].map(str::to_owned)];
    rows.extend(listing.sessions.iter().map(|session| {
        let columns =
            [&session.session, &session.user, &session.email, &session.idp, &session.last_seen, &session.expires];
        columns.map(|value| escaped(value))
    }));
    let mut widths = [0; 6];
    for row in &rows {
        for (width, value) in widths.iter_mut().zip(row) {
            *width = value.chars().count().max(*width);
        }
    }
    let line = |row: &[String; 6]| {
        let padded = row.iter().zip(widths).map(|(value, width)| format!("{value:width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let count = sessions(listing.sessions.len());
    let count = if listing.more { format!("{count}, more are not shown: --limit") } else { count };
    let shown = if listing.sessions.is_empty() { &[] } else { rows.as_slice() };
    shown.iter().map(line).chain([count]).collect::<Vec<_>>().join("\n")
}

/// A user id comes from outside, and could tell a terminal what to do.
fn escaped(value: &str) -> String {
    let escape = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    value.chars().map(escape).collect()
}

/// One line. What JSON lets stand of control characters stands in strings alone, and terminals heed it as well.
fn json_text(value: &impl Serialize) -> String {
    // Strings, numbers and lists alone are written, which cannot fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    let escape = |character: char| match character.is_control() {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    text.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::ListedSession;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(subcommand)]
        command: Command,
    }

    fn parse(line: &str) -> Result<Command, clap::Error> {
        Line::try_parse_from(std::iter::once("sessions").chain(line.split_whitespace())).map(|line| line.command)
    }

    fn listed(user: &str, email: &str) -> ListedSession {
        ListedSession {
            session: "rGf0".to_owned(),
            key: "key".to_owned(),
            user: user.to_owned(),
            user_ref: "u".to_owned(),
            idp: "okta".to_owned(),
            email: email.to_owned(),
            groups: Vec::new(),
            created: "c".to_owned(),
            last_seen: "2026-11-23T14:44:31.000Z".to_owned(),
            expires: "2026-11-23T22:44:31.000Z".to_owned(),
        }
    }

    #[test]
    fn one_thing_is_revoked_at_a_time() {
        let user = |idp: Option<&str>| Selector::User { user: "5f3c".to_owned(), idp: idp.map(str::to_owned) };
        for (line, expected) in [
            ("revoke --session abc", Selector::Session("abc".to_owned())),
            ("revoke --user 5f3c", user(None)),
            ("revoke --user 5f3c --idp okta", user(Some("okta"))),
            ("revoke --email a@b", Selector::Email("a@b".to_owned())),
            ("revoke --group staff --json", Selector::Group("staff".to_owned())),
            ("revoke --all --yes --socket x", Selector::All),
        ] {
            let Ok(Command::Revoke { whose, idp, .. }) = parse(line) else { panic!("{line}") };
            assert_eq!(whose.selector(idp), expected, "{line}");
        }
        for line in [
            "revoke",
            "revoke --user a --email b",
            "revoke --session a --all",
            "revoke --email a --idp okta",
            "revoke --user a --yes",
            "revoke --user",
            "list --all",
            "list --limit 0",
            "list --limit 100001",
        ] {
            assert!(parse(line).is_err_and(|error| error.use_stderr()), "{line}");
        }
    }

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let sessions = vec![listed("5f3c", "ada@example.com"), listed("größer", "b@c.d")];
        let text = table(&Listing { sessions, more: false });
        let expected = "\
SESSION  USER    E-MAIL           IDP   LAST SEEN                 EXPIRES
rGf0     5f3c    ada@example.com  okta  2026-11-23T14:44:31.000Z  2026-11-23T22:44:31.000Z
rGf0     größer  b@c.d            okta  2026-11-23T14:44:31.000Z  2026-11-23T22:44:31.000Z
2 sessions";
        assert_eq!(text, expected);
        assert_eq!(table(&Listing { sessions: Vec::new(), more: false }), "0 sessions");
        let cut = table(&Listing { sessions: vec![listed("a", "b")], more: true });
        assert!(cut.ends_with("\n1 session, more are not shown: --limit"), "{cut}");
    }

    #[test]
    fn control_characters_of_a_value_do_not_reach_the_terminal() {
        let hostile = "\u{1b}[2J\u{9b}1mä\r\n\u{7f}";
        let listing = Listing { sessions: vec![listed(hostile, "b")], more: false };
        let text = table(&listing);
        assert!(text.contains(r"\u{1b}[2J\u{9b}1mä\r\n\u{7f}"), "{text}");
        assert_eq!(text.lines().count(), 3);
        let json = json_text(&listing);
        assert!(!json.chars().any(char::is_control), "{json}");
        let back: Listing = serde_json::from_str(&json).unwrap();
        assert_eq!(back.sessions[0].user, hostile);
        let refused = Failure::Refused(Problem { error: hostile.to_owned(), cure: hostile.to_owned() });
        assert!(!refused.to_string().chars().any(char::is_control));
    }

    #[test]
    fn what_was_done_is_said() {
        let said = |effect, ended| outcome(&Revoked { effect, ended });
        assert_eq!(said(RevokedEffect::Done, 3), "done: 3 sessions ended");
        assert_eq!(said(RevokedEffect::Done, 1), "done: 1 session ended");
        assert!(said(RevokedEffect::Queued, 0).starts_with("queued: it has taken effect here; the session store"));
        assert!(said(RevokedEffect::Written, 0).starts_with("written: it stands in `session.revocations_file`"));
        assert!(said(RevokedEffect::Local, 0).starts_with("local: it has taken effect in this process alone"));
    }

    #[test]
    fn a_gateway_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("control.sock");
        let failure = ask::<Listing>(&nowhere, |client, origin| client.get(origin)).unwrap_err().to_string();
        for part in [nowhere.to_str().unwrap(), "No such file", "`control_socket`", "same user"] {
            assert!(failure.contains(part), "{part}: {failure}");
        }
    }
}
