//! `docs/refusals.md` is made from the catalogues of codes: `UPDATE_DOCS=1 cargo test -p gateway --test documents`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use gateway::loop_cause::LoopCause;
use gateway::refusal::Refusal;
use saml_core::Rejection;

const HEAD: &str = "\
# Refusals

Everybody who is turned away is told a code: on the page, in the JSON, in the log (`refusal.code`) and in
the metrics. The log says beside it what was seen, what was wanted, and what to do, the cure below. The page shows
a request id; look for it in the log.

This page is made from the source: `UPDATE_DOCS=1 cargo test -p gateway --test documents`.
";

const CAUSES: &str = "
## Likely causes

A login loop (`login_loop`), and a response that is refused for its time, name a likely cause beside the last code: on the
page and in the log (`refusal.cause`). It is told from what the browser brings back to a page of samlgate's own.

| cause | cure |
|---|---|
";

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (title, catalogue) in [
        ("Of the gateway: requests and logins that are turned away", Refusal::catalogue()),
        ("Of the verifier: responses that are not a login", Rejection::catalogue()),
    ] {
        let _ = write!(text, "\n## {title}\n\n| code | cure |\n|---|---|\n");
        for (code, cure) in catalogue {
            let _ = writeln!(text, "| `{code}` | {} |", cure.replace('|', "\\|"));
        }
    }
    text.push_str(CAUSES);
    for (code, cure) in LoopCause::catalogue() {
        let _ = writeln!(text, "| `{code}` | {} |", cure.replace('|', "\\|"));
    }
    text
}

#[test]
fn every_code_has_its_entry_in_the_documents() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/refusals.md");
    let wanted = document();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == wanted, "docs/refusals.md is out of date: run with UPDATE_DOCS=1");
    for code in Refusal::catalogue().iter().chain(Rejection::catalogue()).map(|(code, _)| code) {
        assert_eq!(found.matches(&format!("| `{code}` |")).count(), 1, "{code}");
    }
}

/// Names of metrics, without what Prometheus puts behind those of a histogram.
fn metrics_of(text: &str) -> BTreeSet<String> {
    let families = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    families.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_metric_has_its_row_in_the_documents() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/endpoints.md");
    let page = fs::read_to_string(&path).unwrap();
    let (_, table) = page.split_once("## Metrics").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let names = table.lines().filter(|line| line.starts_with("| `samlgate_")).flat_map(|line| {
        let cell = line.split('|').nth(1).unwrap();
        cell.split('`').filter(|text| text.starts_with("samlgate_")).map(str::to_owned).collect::<Vec<_>>()
    });
    let documented: BTreeSet<String> = names.collect();
    let source = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/metrics.rs")).unwrap();
    let in_source = source.split('"').filter(|text| text.starts_with("samlgate_") && !text.contains(' '));
    let in_source: BTreeSet<String> =
        in_source.map(str::to_owned).filter(|name| !name.contains("second_opinion")).collect();
    assert_eq!(documented, in_source);
    // Those without labels are there from the start.
    let (text, _) = gateway::metrics::Metrics::new().unwrap().render();
    let there = metrics_of(&String::from_utf8(text).unwrap());
    assert!(there.is_subset(&documented), "{there:?}");
}

#[test]
fn every_check_of_explain_has_its_row_in_its_page() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/explain.md");
    let page = fs::read_to_string(&path).unwrap();
    let (_, table) = page.split_once("## The checks").unwrap();
    for check in saml_core::explain::CHECKS {
        assert!(table.contains(&format!("`{check}`")), "docs/explain.md has no row for {check}");
    }
}
