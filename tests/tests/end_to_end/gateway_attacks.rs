//! Section G of the attack catalogue.

use harness::attacks::gateway;

use crate::support::samlgate;

#[tokio::test]
async fn every_row_of_the_gateways_section_holds() {
    let shown = gateway::run(samlgate(), &[]).await;
    let numbers: Vec<&str> = shown.iter().map(|row| row.number).collect();
    let wanted: Vec<String> = (93..=117).map(|number| number.to_string()).collect();
    assert_eq!(numbers, wanted);
    let failed = shown.iter().flat_map(|row| row.outcomes.iter().map(move |outcome| (row.number, outcome)));
    let failed: Vec<String> = failed
        .filter(|(_, outcome)| !outcome.problems.is_empty())
        .map(|(number, outcome)| format!("{number} {}: {}", outcome.name, outcome.problems.join("; ")))
        .collect();
    assert!(failed.is_empty(), "{} do not hold:\n{}", failed.len(), failed.join("\n"));
    assert!(shown.iter().all(|row| row.holds()), "a row is empty");
}
