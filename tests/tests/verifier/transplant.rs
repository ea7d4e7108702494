//! A sample of the transplants; `tests/attacks/run transplant` runs every one.

use harness::transplant::{Stride, run};

#[test]
fn no_transplant_gives_another_identity_and_weak_verifiers_are_fooled_by_some() {
    for tried in run(Stride { strict: 31, weak: 601 }) {
        assert!(tried.holds(), "{}: {:?}", tried.line(), tried.accepted_otherwise.first());
        assert!(tried.documents > 1_000 && tried.unchanged > 0, "{}", tried.line());
        assert!(tried.weak.iter().any(|(.., fooled)| *fooled > 0), "{}: {}", tried.line(), tried.weak_line());
    }
}
