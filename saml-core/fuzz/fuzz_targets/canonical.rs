//! Canonicalization: what it writes is admitted again, is its own canonical form, and is the same by another order
//! of steps.

#![no_main]

use libfuzzer_sys::fuzz_target;
use saml_core::test_support::{Method, canonicalize, parse};

fuzz_target!(|input: &[u8]| {
    // The first byte chooses the method and the element.
    let Some((&choice, bytes)) = input.split_first() else { return };
    let Ok(tree) = parse(bytes) else { return };
    let prefixes = ["", "a", "xs", "saml"].iter().take(usize::from(choice >> 1 & 3)).map(|p| (*p).to_owned()).collect();
    let method = if choice & 1 == 0 { Method::Exclusive { prefixes } } else { Method::Inclusive };
    let element = usize::from(choice >> 3) % tree.elements();
    // Nothing is written that is out of proportion.
    let Some(canonical) = tree.canonicalize(element, None, &method) else { return };
    assert!(canonical.len() <= 8 * bytes.len(), "the canonical form is out of proportion");
    assert!(canonical.starts_with(b"<") && canonical.ends_with(b">"));
    // Escapes are longer than what they stand for, so a limit may be over on the way back; nothing else may fail.
    let Ok(again) = parse(&canonical) else {
        assert!(canonical.len() > bytes.len(), "what was written is not read");
        return;
    };
    assert!(again.is_canonical_form(&method), "the canonical form is not canonical");
    assert_eq!(canonicalize(&canonical, &method).expect("read before"), canonical);
    if cfg!(feature = "planted-panic") && element > 2 && choice & 7 == 6 {
        panic!("planted");
    }
});
