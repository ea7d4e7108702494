//! The grammar: a message of the right form shows which request it claims to answer and nothing else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use saml_core::{InResponseTo, UnverifiedResponse};

fuzz_target!(|bytes: &[u8]| {
    let Ok(response) = UnverifiedResponse::from_xml(bytes.to_vec()) else { return };
    let text = std::str::from_utf8(bytes).expect("the gate lets UTF-8 through");
    let other = roxmltree::Document::parse(text).expect("another parser admits it");
    let named = |name: &str| other.descendants().filter(|node| node.tag_name().name() == name).count();
    assert_eq!(named("Response"), 1);
    assert_eq!(named("Assertion") + named("EncryptedAssertion"), 1);
    assert!(named("Signature") <= 2);
    if let InResponseTo::Request(id) = response.in_response_to() {
        // Line ends were normalised, which the other parser does not do beside a reference.
        let dense = |value: &str| value.split_ascii_whitespace().collect::<String>();
        let mut claimed = other.descendants().filter_map(|node| node.attribute("InResponseTo"));
        assert!(claimed.any(|claimed| dense(claimed) == dense(id)));
    }
    if cfg!(feature = "planted-panic") && bytes.contains(&b'~') {
        panic!("planted");
    }
});
