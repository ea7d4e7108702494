//! The attack table: each row against the verifier, its control, the weak verifier that it fools, and that
//! verifier without its weakness.

use harness::attacks::report::Shown;
use harness::attacks::{Proof, rows};
use harness::weak::Weakness;

#[test]
fn every_row_of_the_catalogue_holds() {
    let shown: Vec<Shown> = rows().iter().map(Shown::of).collect();
    for row in &shown {
        let problems: Vec<_> = row.outcomes.iter().flat_map(|outcome| &outcome.problems).collect();
        assert!(row.holds(), "row {} ({}): {problems:#?}", row.number, row.name);
    }
}

#[test]
fn no_row_of_the_catalogue_is_missing() {
    let mut wanted: Vec<String> = (1..=92).map(|number| number.to_string()).collect();
    wanted.insert(19, "19b".to_owned());
    let rows = rows();
    let numbers: Vec<&str> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, wanted);
}

#[test]
fn every_weakness_is_what_some_attack_needs() {
    let rows = rows();
    let used = |weakness: &Weakness| {
        rows.iter().flat_map(|row| &row.proofs).any(|proof| match proof {
            Proof::Case(case) => case.fooled == *weakness,
            Proof::Live(live) => live.fooled == *weakness,
            Proof::Held(_) => false,
        })
    };
    let unused: Vec<_> = Weakness::ALL.iter().filter(|weakness| !used(weakness)).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

/// The keys are of openssl: RSA-1024, RSA-2048 with the exponent 3, and a curve that is not P-256 but as long.
#[test]
fn a_weak_or_odd_key_is_not_pinned() {
    for (name, certificate) in [
        ("1024 bits", include_str!("../../attacks/test-weak-rsa-1024.crt")),
        ("exponent 3", include_str!("../../attacks/test-weak-exponent-3.crt")),
        ("secp256k1", include_str!("../../attacks/test-weak-secp256k1.crt")),
    ] {
        let refused = saml_core::Certificate::parse_all(certificate.as_bytes()).map(|found| found.len());
        assert_eq!(refused.map_err(|error| error.code()), Err("certificate_unreadable"), "{name}");
    }
    let pinned = harness::issuer::test_keys::rsa_2048().certificate_pem();
    assert_eq!(saml_core::Certificate::parse_all(pinned.as_bytes()).unwrap().len(), 1);
}
