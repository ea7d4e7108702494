//! What is written down of each check.

use super::facts::Fact;
use crate::rejection::Rejection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Refused,
    NotRun,
    NotApplicable,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NotRun => "not_run",
            Self::NotApplicable => "not_applicable",
        }
    }
}

/// One check. Texts may hold what a stranger wrote: whoever shows them escapes them.
#[derive(Debug, Clone)]
pub struct Step {
    pub check: &'static str,
    pub outcome: Outcome,
    pub seen: Option<String>,
    pub wanted: Option<String>,
    /// Why it was refused or not run.
    pub reason: Option<String>,
    pub code: Option<&'static str>,
    pub cure: Option<String>,
    pub missing_fact: Option<Fact>,
}

impl Step {
    pub fn new(check: &'static str, outcome: Outcome) -> Self {
        Self { check, outcome, seen: None, wanted: None, reason: None, code: None, cure: None, missing_fact: None }
    }
}

/// The longest text that is kept of a value.
const MAX_CHARACTERS: usize = 600;

fn kept(text: impl Into<Option<String>>) -> Option<String> {
    let text = text.into()?;
    if text.chars().nth(MAX_CHARACTERS).is_none() {
        return Some(text);
    }
    Some(text.chars().take(MAX_CHARACTERS).chain(['\u{2026}']).collect())
}

/// A text, or none.
pub(super) struct Text(Option<String>);

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<String>> for Text {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

/// The steps so far.
#[derive(Default)]
pub(super) struct Walk {
    steps: Vec<Step>,
    /// Why nothing after it can be read.
    stopped: Option<String>,
    missing: Option<Fact>,
}

impl Walk {
    pub(super) fn passed(&mut self, check: &'static str, seen: impl Into<Text>, wanted: impl Into<Text>) {
        self.steps.push(Step {
            seen: kept(seen.into().0),
            wanted: kept(wanted.into().0),
            ..Step::new(check, Outcome::Passed)
        });
    }

    pub(super) fn refused(
        &mut self,
        check: &'static str,
        rejection: &Rejection,
        seen: impl Into<Text>,
        wanted: impl Into<Text>,
    ) {
        self.steps.push(Step {
            seen: kept(seen.into().0),
            wanted: kept(wanted.into().0),
            reason: kept(rejection.to_string()),
            code: Some(rejection.code()),
            cure: Some(rejection.cure().to_owned()),
            ..Step::new(check, Outcome::Refused)
        });
    }

    /// Passed or refused, as `outcome` says.
    pub(super) fn judged(
        &mut self,
        check: &'static str,
        outcome: Result<(), Rejection>,
        seen: impl Into<Text>,
        wanted: impl Into<Text>,
    ) {
        match outcome {
            Ok(()) => self.passed(check, seen, wanted),
            Err(rejection) => self.refused(check, &rejection, seen, wanted),
        }
    }

    /// In JumpCloud's words, where the rejection's own cure is too general.
    pub(super) fn cure(&mut self, cure: &str) {
        if let Some(step) = self.steps.last_mut() {
            step.cure = Some(cure.to_owned());
        }
    }

    pub(super) fn not_run(&mut self, check: &'static str, reason: &str) {
        self.steps.push(Step { reason: Some(reason.to_owned()), ..Step::new(check, Outcome::NotRun) });
    }

    pub(super) fn lacking(&mut self, check: &'static str, fact: Fact, seen: impl Into<Text>) {
        self.steps.push(Step {
            seen: kept(seen.into().0),
            reason: Some(format!("{} is not known: give it with {}", fact.description(), fact.flag())),
            missing_fact: Some(fact),
            ..Step::new(check, Outcome::NotRun)
        });
    }

    pub(super) fn not_applicable(&mut self, check: &'static str, reason: &str) {
        self.steps.push(Step { reason: Some(reason.to_owned()), ..Step::new(check, Outcome::NotApplicable) });
    }

    /// Nothing after it can be read.
    pub(super) fn stop(&mut self, reason: impl Into<String>) {
        self.stopped.get_or_insert_with(|| reason.into());
    }

    /// Nothing after it can be believed for want of `fact`.
    pub(super) fn stop_for(&mut self, fact: Fact) {
        self.missing = Some(fact);
        self.stop(format!("nothing is verified: {} is not known: give it with {}", fact.description(), fact.flag()));
    }

    pub(super) fn has(&self, check: &str) -> bool {
        self.steps.iter().any(|step| step.check == check)
    }

    /// The first code, in the verifier's order: steps are written down in that order.
    pub(super) fn refusal(&self) -> Option<&'static str> {
        self.steps.iter().find_map(|step| step.code)
    }

    pub(super) fn lacks_a_fact(&self) -> bool {
        self.missing.is_some() || self.steps.iter().any(|step| step.missing_fact.is_some())
    }

    /// Every check of `order`, each once.
    pub(super) fn finish(mut self, order: &[&'static str]) -> Vec<Step> {
        let reason = self.stopped.take().unwrap_or_else(|| "a check before it does not pass".to_owned());
        for check in order {
            if !self.has(check) {
                self.not_run(check, &reason);
                if let (Some(step), Some(fact)) = (self.steps.last_mut(), self.missing) {
                    step.missing_fact = Some(fact);
                }
            }
        }
        let place = |step: &Step| order.iter().position(|check| *check == step.check);
        self.steps.sort_by_key(place);
        self.steps
    }
}
