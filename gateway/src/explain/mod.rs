//! `samlgate explain`: why a captured response is accepted or refused.
//!
//! It reads a file or standard input, walks the verifier and writes what it saw. It opens no store, takes
//! nothing and uses nothing up, and no request reaches it.

mod arguments;
mod capture;
mod json;
mod show;
mod unpack;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use saml_core::explain::{Explanation, Outcome, Step, explain};

pub use arguments::Arguments;
use capture::{Capture, Unusable};

/// Whatever is longer is refused for its length, so no more of it is read.
const MAX_INPUT_BYTES: u64 = 1024 * 1024;

const REFUSED: u8 = 1;
const UNUSABLE: u8 = 2;

/// 0 accepted, 1 refused, 2 nothing to explain.
pub fn run(arguments: &Arguments) -> ExitCode {
    let facts = match arguments.facts() {
        Ok(facts) => facts,
        Err(problem) => {
            eprintln!("error: {problem}\n\nFor more information, try 'samlgate explain --help'.");
            return ExitCode::from(UNUSABLE);
        }
    };
    let capture = read(arguments.file.as_deref()).and_then(|bytes| capture::recognise(&bytes));
    match capture {
        Ok(capture) => {
            let explanation = explain(&capture.captured(), &facts);
            let input = input(&capture);
            let text = if arguments.json {
                json::explanation(&input, &explanation)
            } else {
                show::explanation(&input, &explanation, colours())
            };
            write(&text);
            code(&explanation)
        }
        Err(unusable) => {
            if arguments.json {
                write(&json::unusable(&unusable));
            } else {
                eprintln!("error: {unusable}");
            }
            ExitCode::from(UNUSABLE)
        }
    }
}

fn code(explanation: &Explanation) -> ExitCode {
    if explanation.is_accepted() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) }
}

/// Nobody reads a closed terminal.
fn write(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}");
}

fn colours() -> show::Colours {
    let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    if wanted && io::stdout().is_terminal() { show::Colours::Ansi } else { show::Colours::None }
}

/// What was taken for the response stands first among the steps.
fn input(capture: &Capture) -> Step {
    Step {
        seen: Some(capture.seen.clone()),
        wanted: Some("a SAMLResponse: base64, XML, or the whole form body".to_owned()),
        ..Step::new("input", Outcome::Passed)
    }
}

/// `None` and `-` are standard input.
fn read(file: Option<&Path>) -> Result<Vec<u8>, Unusable> {
    let mut bytes = Vec::new();
    let outcome = match file {
        Some(file) if file != Path::new("-") => {
            File::open(file).and_then(|file| file.take(MAX_INPUT_BYTES).read_to_end(&mut bytes))
        }
        _ => {
            if io::stdin().is_terminal() {
                eprintln!("paste the response, then Enter and Ctrl-D");
            }
            io::stdin().lock().take(MAX_INPUT_BYTES).read_to_end(&mut bytes)
        }
    };
    let name = || file.map_or_else(|| "standard input".to_owned(), |file| file.display().to_string());
    outcome.map_err(|error| Unusable::Unreadable { file: name(), error })?;
    Ok(bytes)
}
