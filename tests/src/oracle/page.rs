//! What the judges said, as a table of `docs/proof/oracle.md`.

use std::fmt::Write;

use super::judge::Report;

/// A row for each origin, and the documents of the corpus that were accepted.
pub fn page(report: &Report) -> String {
    let mut page = "| origin | accepted, and agreed on | beyond samael | refused by a rule of ours \
                    | signature broken for us and xmlsec1 | disagreements |\n|---|---|---|---|---|---|\n"
        .to_owned();
    for (name, origin) in &report.origins {
        let by_rule: Vec<String> = origin.by_rule.iter().map(|(code, count)| format!("{count} as `{code}`")).collect();
        let broken = ["signature_invalid", "digest_mismatch"].iter().filter_map(|code| origin.refused.get(*code));
        let row = [
            name.clone(),
            origin.agreed.len().to_string(),
            origin.beyond_samael.to_string(),
            by_rule.join(", "),
            broken.map(Vec::len).sum::<usize>().to_string(),
            origin.disagreed.len().to_string(),
        ];
        let _ = writeln!(page, "| {} |", row.join(" | "));
    }
    let (all, foreign) = (report.agreed(|_| true), report.agreed(|origin| origin != "ours"));
    let disagreements: usize = report.origins.values().map(|origin| origin.disagreed.len()).sum();
    let _ = writeln!(page, "| together | {all}, of these {foreign} not by our issuer | | | | {disagreements} |");
    page.push_str(
        "\nBeyond samael: accepted, every signature good for xmlsec1, and samael reads no Assertion whose NameID is empty; \
         not counted as agreed on. With `second_opinion` switched on such a login is refused.\n",
    );
    if let Some(corpus) = report.origins.get("corpus") {
        page.push_str("\nOf the corpus, the judges agreed on:\n\n");
        for name in &corpus.agreed {
            let _ = writeln!(page, "- `{name}`");
        }
    }
    page
}
