//! The explanation for people: a line for each check, then the verdict and what to do.

use std::fmt::Write;

use saml_core::Identity;
use saml_core::explain::{Explanation, Outcome, Step};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    Ansi,
    None,
}

/// The longest value that a line shows; a refusal's own line shows more.
const MAX_VALUE: usize = 110;
const MAX_REASON: usize = 700;

pub(super) fn explanation(input: &Step, explanation: &Explanation, colours: Colours) -> String {
    let page = Page { colours };
    let mut text = String::new();
    let mut left_out: Option<(&str, Vec<&str>)> = None;
    for step in std::iter::once(input).chain(explanation.steps()) {
        let reason = step.reason.as_deref().unwrap_or_default();
        let silent = step.outcome == Outcome::NotRun && step.seen.is_none();
        match &mut left_out {
            Some((held, checks)) if silent && *held == reason => checks.push(step.check),
            _ => {
                page.left_out(&mut text, left_out.take());
                if silent {
                    left_out = Some((reason, vec![step.check]));
                } else {
                    page.step(&mut text, step);
                }
            }
        }
    }
    page.left_out(&mut text, left_out);
    text.push('\n');
    page.verdict(&mut text, explanation);
    text.truncate(text.trim_end().len());
    text
}

struct Page {
    colours: Colours,
}

impl Page {
    fn mark(&self, outcome: Outcome) -> String {
        let (word, colour) = match outcome {
            Outcome::Passed => ("passed ", "32"),
            Outcome::Refused => ("REFUSED", "1;31"),
            Outcome::NotRun => ("not run", "33"),
            Outcome::NotApplicable => ("   -   ", "2"),
        };
        self.coloured(word, colour)
    }

    fn coloured(&self, text: &str, colour: &str) -> String {
        match self.colours {
            Colours::Ansi => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            Colours::None => text.to_owned(),
        }
    }

    fn step(&self, text: &mut String, step: &Step) {
        let mut line = format!("{}  {:36}", self.mark(step.outcome), step.check);
        let value = |value: &Option<String>| value.as_deref().map(|value| printable(value, MAX_VALUE));
        let wanted = value(&step.wanted).filter(|_| step.outcome == Outcome::Refused);
        let _ = match (value(&step.seen), wanted) {
            (Some(seen), Some(wanted)) => write!(line, "  {seen}; wanted: {wanted}"),
            (Some(seen), None) => write!(line, "  {seen}"),
            (None, Some(wanted)) => write!(line, "  wanted: {wanted}"),
            (None, None) => Ok(()),
        };
        if let (Outcome::NotRun | Outcome::NotApplicable, Some(reason)) = (step.outcome, &step.reason) {
            let _ = write!(line, "  ({})", printable(reason, MAX_VALUE));
        }
        let _ = writeln!(text, "{}", line.trim_end());
        if step.outcome == Outcome::Refused {
            let code = step.code.unwrap_or_default();
            let reason = printable(step.reason.as_deref().unwrap_or_default(), MAX_REASON);
            let _ = writeln!(text, "         {code}: {reason}");
            if let Some(cure) = &step.cure {
                let _ = writeln!(text, "         what to do: {}", printable(cure, MAX_REASON));
            }
        }
    }

    /// Checks that were not run for one reason, in one line.
    fn left_out(&self, text: &mut String, left_out: Option<(&str, Vec<&str>)>) {
        let Some((reason, checks)) = left_out else { return };
        let reason = printable(reason, MAX_REASON);
        let _ = match checks.as_slice() {
            [only] => writeln!(text, "{}  {only:36}  ({reason})", self.mark(Outcome::NotRun)),
            [first, .., last] => {
                let range = format!("{first} to {last}");
                writeln!(text, "{}  {range:36}  ({} checks: {reason})", self.mark(Outcome::NotRun), checks.len())
            }
            [] => Ok(()),
        };
    }

    fn verdict(&self, text: &mut String, explanation: &Explanation) {
        if let Some(identity) = explanation.identity() {
            let _ = writeln!(text, "{}: the gateway would sign this user in.", self.coloured("ACCEPTED", "1;32"));
            return who(text, identity);
        }
        let refused: Vec<&Step> = explanation.steps().iter().filter(|step| step.outcome == Outcome::Refused).collect();
        if let [first, others @ ..] = refused.as_slice() {
            let code = first.code.unwrap_or_default();
            let reason = printable(first.reason.as_deref().unwrap_or_default(), MAX_REASON);
            let _ = writeln!(text, "{}: {code}: {reason}", self.coloured("REFUSED", "1;31"));
            let _ = writeln!(text, "What to do: {}", printable(first.cure.as_deref().unwrap_or_default(), MAX_REASON));
            for other in others {
                let _ = writeln!(
                    text,
                    "Then, {}: {}",
                    other.code.unwrap_or_default(),
                    printable(other.cure.as_deref().unwrap_or_default(), MAX_REASON)
                );
            }
        } else {
            let _ = writeln!(
                text,
                "{}: nothing is refused, but not every check could be run.",
                self.coloured("NOT DECIDED", "1;33")
            );
        }
        for fact in explanation.missing_facts() {
            let _ = writeln!(text, "Missing: {}, {}", fact.flag(), fact.description());
        }
    }
}

fn who(text: &mut String, identity: &Identity) {
    let one = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".to_owned());
    let groups = if identity.groups.is_empty() { "none".to_owned() } else { identity.groups.join(", ") };
    for (label, value) in [
        ("NameID", one(&identity.name_id.as_ref().map(|name_id| name_id.value.clone()))),
        ("unique id", identity.unique_id.clone()),
        ("e-mail", identity.email.clone()),
        ("first name", one(&identity.first_name)),
        ("last name", one(&identity.last_name)),
        ("groups", groups),
    ] {
        let _ = writeln!(text, "  {label:11} {}", printable(&value, MAX_REASON));
    }
}

/// Cut, and without anything that a terminal would obey or draw as nothing.
fn printable(text: &str, limit: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(limit));
    for (at, character) in text.chars().enumerate() {
        if at >= limit {
            shown.push('\u{2026}');
            break;
        }
        if is_visible(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// Whether it stands for itself on a terminal: no control, no direction mark, nothing of no width.
pub(super) fn is_visible(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}
