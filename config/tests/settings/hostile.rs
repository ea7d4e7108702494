//! No input panics, whatever is done to a file.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::support::{Folder, NOW};

static FOLDER: LazyLock<Folder> = LazyLock::new(Folder::new);

const EXAMPLE: &str = include_str!("../../../docs/samlgate.example.yaml");

/// Pieces that YAML or the reader give a meaning.
const PIECES: [&str; 32] = [
    "&a ",
    "*a",
    "<<: ",
    "!x ",
    "!!str ",
    "? ",
    "- ",
    "{",
    "}",
    "[",
    "]",
    ": ",
    "|\n",
    ">\n",
    "'",
    "\"",
    "\n",
    "\t",
    "#",
    "---\n",
    "...\n",
    "%",
    "\u{feff}",
    "\u{0}",
    "null",
    "~",
    "1e999",
    "-1",
    "0x1f",
    ".nan",
    "99999999999999999999999",
    "é",
];

fn mutated() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), 0..PIECES.len(), 0..12_usize);
    prop::collection::vec(change, 1..6).prop_map(|changes| {
        let mut characters: Vec<char> = EXAMPLE.chars().collect();
        for (at, piece, removed) in changes {
            let at = at.index(characters.len());
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, PIECES[piece].chars());
        }
        characters.into_iter().collect()
    })
}

/// Every mistake is told, and the time stays bearable.
#[test]
fn a_large_file_of_mistakes_is_explained() {
    let yaml: String = (0..20_000).map(|number| format!("key{number}: x\n")).collect();
    assert_eq!(FOLDER.refused(&yaml).len(), 20_000 + 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_settings_are_read_or_explained(yaml in mutated()) {
        if let Err(errors) = FOLDER.parse(&yaml) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| !error.problem.is_empty() && !error.cure.is_empty()));
            prop_assert!(!errors.to_string().contains("got lost"));
        }
    }

    #[test]
    fn any_text_is_read_or_explained(yaml in "\\PC{0,200}") {
        prop_assert!(!FOLDER.refused(&yaml).is_empty());
    }

    #[test]
    fn any_variable_is_read_or_explained(name in "SAMLGATE_[A-Z_]{0,20}", value in "\\PC{0,20}") {
        let outcome = FOLDER.parse_at(EXAMPLE, &[(&name, &value)], NOW);
        prop_assert!(outcome.map_or_else(|errors| !errors.is_empty(), |_| true));
    }
}
