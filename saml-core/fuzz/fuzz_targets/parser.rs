//! The parser against another one: what ours admits, roxmltree admits too, with the same elements and texts.

#![no_main]

use libfuzzer_sys::fuzz_target;
use saml_core::test_support;

fuzz_target!(|bytes: &[u8]| {
    let Ok(tree) = test_support::parse(bytes) else { return };
    // With line ends as XML 1.0 §2.11 has them: roxmltree keeps a carriage return that stands right before a reference.
    let text = std::str::from_utf8(bytes).expect("the gate lets UTF-8 through").replace("\r\n", "\n").replace('\r', "\n");
    let other = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("only ours admits it: {error}"));
    let elements: Vec<_> = other.descendants().filter(roxmltree::Node::is_element).collect();
    assert_eq!(tree.elements(), elements.len());
    for (number, element) in elements.iter().enumerate() {
        assert_eq!(tree.local_name(number).as_deref(), Some(element.tag_name().name()));
        let attributes: Vec<(&str, &str)> =
            element.attributes().map(|attribute| (attribute.name(), attribute.value())).collect();
        let ours = tree.attributes(number);
        assert_eq!(ours.len(), attributes.len());
        for (name, value) in attributes {
            assert!(ours.iter().any(|(other, held)| other.rsplit(':').next() == Some(name) && *held == value));
        }
        if let Some(text) = tree.text_only(number) {
            let other: String = element.children().filter_map(|child| child.text()).collect();
            assert_eq!(text, other);
        }
    }
    if cfg!(feature = "planted-panic") && tree.elements() > 3 && text.contains('~') {
        panic!("planted");
    }
});
