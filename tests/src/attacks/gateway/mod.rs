//! Section G, the gateway itself: raw requests to a running samlgate, each beside a control that it serves.
//!
//! A control is a good request on one kind of route. An attack is that request with something written into it: it is
//! refused with the code named, and nothing arrives; or it arrives exactly as the control did.

mod access;
mod framing;
mod headers;
mod site;
mod wire;

use super::Held;
use super::report::Shown;
use crate::gateway::Program;
use site::Site;
use wire::Wire;

/// A row, and what is sent for it.
struct WireRow {
    number: &'static str,
    name: &'static str,
    wires: Vec<Wire>,
    /// What is no refusable request.
    held: Vec<Held>,
}

fn row(number: &'static str, name: &'static str, wires: Vec<Wire>, held: Vec<Held>) -> WireRow {
    WireRow { number, name, wires, held }
}

/// Runs the rows, in order: those of these numbers, or all.
pub async fn run(program: Program, chosen: &[String]) -> Vec<Shown> {
    let site = Site::start(program).await;
    let rows = [headers::rows(&site), access::rows(&site), framing::rows(&site)];
    let mut rows: Vec<WireRow> = rows.into_iter().flatten().collect();
    rows.sort_by_key(|row| row.number.parse::<u32>().ok());
    let mut shown = Vec::new();
    for row in rows {
        if !chosen.is_empty() && !chosen.iter().any(|number| number == row.number) {
            continue;
        }
        let mut outcomes = Vec::new();
        for wire in &row.wires {
            outcomes.push(wire.run(&site).await);
        }
        outcomes.extend(row.held.into_iter().map(|held| super::run(&held.into())));
        shown.push(Shown { number: row.number, name: row.name, outcomes });
    }
    shown
}
