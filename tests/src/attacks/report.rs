//! The table: as text, as JSON, and as a page of `docs/proof`.

use std::fmt::Write as _;

use super::{Outcome, Row};

/// A row with what its proofs came to.
pub struct Shown {
    pub number: &'static str,
    pub name: &'static str,
    pub outcomes: Vec<Outcome>,
}

impl Shown {
    pub fn of(row: &Row) -> Self {
        Self { number: row.number, name: row.name, outcomes: row.proofs.iter().map(super::run).collect() }
    }

    /// Something answers the row, and all of it holds.
    pub fn holds(&self) -> bool {
        !self.outcomes.is_empty() && self.outcomes.iter().all(|outcome| outcome.problems.is_empty())
    }
}

pub fn text(rows: &[Shown]) -> String {
    let mut out = String::new();
    for row in rows {
        let _ = writeln!(out, "{:>3}  {}{}", row.number, row.name, if row.holds() { "" } else { "  DOES NOT HOLD" });
        for outcome in &row.outcomes {
            let _ = match &outcome.control {
                Some(control) => writeln!(out, "       {}: control {control}; attack {}", outcome.name, outcome.answer),
                None => writeln!(out, "       {}", outcome.name),
            };
            if let Some((fooled, gain)) = &outcome.fools {
                let _ = writeln!(out, "         fools what {fooled}: {gain}");
            }
            for problem in &outcome.problems {
                let _ = writeln!(out, "         PROBLEM {problem}");
            }
        }
    }
    out
}

pub fn json(rows: &[Shown]) -> serde_json::Value {
    let outcome = |outcome: &Outcome| {
        serde_json::json!({
            "name": outcome.name,
            "control": outcome.control,
            "answer": outcome.answer,
            "fools": outcome.fools.as_ref().map(|(fooled, gain)| serde_json::json!({ "verifier": fooled, "gain": gain })),
            "problems": outcome.problems,
        })
    };
    let row = |row: &Shown| {
        serde_json::json!({
            "row": row.number,
            "name": row.name,
            "holds": row.holds(),
            "cases": row.outcomes.iter().map(outcome).collect::<Vec<_>>(),
        })
    };
    serde_json::json!({ "rows": rows.iter().map(row).collect::<Vec<_>>() })
}

/// `docs/proof/attacks.md`.
pub fn markdown(rows: &[Shown], commit: &str, transplant: &str) -> String {
    let cases: usize = rows.iter().map(|row| row.outcomes.len()).sum();
    let mut out = format!(
        "# Attacks\n\nMade at commit `{commit}` by\n\n```\ntests/attacks/run --markdown\n```\n\n\
         {} rows, {cases} cases, each beside a control. Rows 1 to 92 are documents: the control was accepted by the verifier \
         and by the weak verifier named; the attack was answered as shown, fooled that weak verifier, and did not fool the \
         same verifier without its weakness. Rows from 93 on are raw requests to a running gateway: the control reached the \
         application as shown; the attack was refused and nothing arrived, or it arrived byte for byte as its control did. \
         The cases are in `tests/src/attacks`, the weak verifiers in `tests/src/weak`.\n\n\
         | row | attack | case | control | answer | fools a verifier that | which |\n|---|---|---|---|---|---|---|\n",
        rows.len()
    );
    for row in rows {
        for outcome in &row.outcomes {
            let (fooled, gain) = outcome.fools.as_ref().map_or(("", ""), |(fooled, gain)| (*fooled, gain.as_str()));
            let answer = if outcome.problems.is_empty() { outcome.answer.as_str() } else { "DOES NOT HOLD" };
            let control = outcome.control.as_deref().unwrap_or_default();
            let cells = [row.number, row.name, outcome.name.as_str(), control, answer, fooled, gain]
                .map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
    }
    let _ = write!(out, "\n## Transplants\n\n{transplant}");
    out
}
