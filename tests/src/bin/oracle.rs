//! The judges of `tests/oracle/run`: `oracle issue`, `oracle judge` and `oracle canonicalization`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use harness::oracle::{self, Report, canonicalization};

/// The bars of the suite: documents that all judges accepted, and how many of them are not of our own issuer.
const DOCUMENTS: usize = 500;
const FOREIGN: usize = 150;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes documents of our own issuer.
    Issue { folder: PathBuf, count: u64 },
    /// Judges every `ORIGIN-NUMBER.xml` of the folders, and what is named beside them.
    Judge {
        folders: Vec<PathBuf>,
        /// The public corpus.
        #[arg(long)]
        corpus: Option<PathBuf>,
        /// Folders of responses and their facts, as `tests/issuers/run` writes them.
        #[arg(long)]
        documents: Vec<PathBuf>,
        /// Without the bars of the number of documents.
        #[arg(long)]
        short: bool,
        /// Where the table for `docs/proof/oracle.md` goes.
        #[arg(long)]
        page: Option<PathBuf>,
    },
    /// Compares canonicalization with xmllint (whole documents) and xmlsec1 (elements inside).
    Canonicalization { documents: u64, signed: u64 },
}

fn main() -> ExitCode {
    let scratch = tempfile::tempdir().expect("a scratch folder can be made");
    let tally = match Arguments::parse().command {
        Command::Issue { folder, count } => {
            oracle::issue(&folder, count).expect("the folder can be written");
            return ExitCode::SUCCESS;
        }
        Command::Judge { folders, corpus, documents, short, page } => {
            let mut cases: Vec<_> = folders.iter().flat_map(|folder| oracle::generated(folder)).collect();
            cases.extend(documents.iter().flat_map(|folder| oracle::stated(folder)));
            cases.extend(corpus.iter().flat_map(|corpus| oracle::corpus(corpus)));
            let report = oracle::judge(&cases, scratch.path());
            show(&report);
            if let Some(page) = page {
                std::fs::write(page, oracle::page(&report)).expect("the page can be written");
            }
            if short { report.tally() } else { bars(&report) }
        }
        Command::Canonicalization { documents, signed } => {
            let whole = canonicalization::whole_documents(documents, scratch.path());
            println!("xmllint, whole documents by three methods: {whole}");
            let elements = canonicalization::elements(signed, scratch.path());
            println!("xmlsec1, elements inside {signed} documents: {elements}");
            oracle::Tally { passed: whole.passed + elements.passed, failed: whole.failed + elements.failed }
        }
    };
    println!("{tally}");
    if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(report: &Report) {
    for (name, origin) in &report.origins {
        println!("{name}: {} accepted and agreed on, {} disagreements", origin.agreed.len(), origin.disagreed.len());
        if origin.beyond_samael > 0 {
            println!("  {} with an empty NameID, which samael cannot read; xmlsec1 agrees", origin.beyond_samael);
        }
        for (code, count) in &origin.by_rule {
            println!("  {count} refused by a rule of ours: {code} (every signature good for xmlsec1)");
        }
        for (code, names) in &origin.refused {
            let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            println!(
                "  {} refused by saml-core: {code} ({shown}{})",
                names.len(),
                if names.len() > 3 { ", ..." } else { "" }
            );
        }
        origin.disagreed.iter().for_each(|reason| println!("  DISAGREEMENT {reason}"));
    }
}

fn bars(report: &Report) -> oracle::Tally {
    let mut tally = report.tally();
    let (all, foreign) = (report.agreed(|_| true), report.agreed(|origin| origin != "ours"));
    println!("{all} documents that saml-core, xmlsec1 and samael agree on, {foreign} of them not by our issuer");
    for (what, seen, wanted) in [("documents", all, DOCUMENTS), ("foreign documents", foreign, FOREIGN)] {
        if seen < wanted {
            println!("too few {what}: {seen}, wanted {wanted}");
            tally.failed += 1;
        }
    }
    tally
}
