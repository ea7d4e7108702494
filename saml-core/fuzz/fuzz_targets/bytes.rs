//! The byte gate: what passes is text of XML characters without a carriage return.

#![no_main]

use libfuzzer_sys::fuzz_target;
use saml_core::test_support;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = test_support::admit(bytes) else { return };
    assert!(text.chars().all(|character| matches!(character,
        '\t' | '\n' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')));
    assert!(text.len() <= bytes.len());
    if cfg!(feature = "planted-panic") && bytes.starts_with(b"<?xml version='1.0' encoding") && bytes.contains(&b'~') {
        panic!("planted");
    }
});
