//! An IdP's metadata: keys come from its one IDPSSODescriptor and nowhere else.

#![no_main]

use libfuzzer_sys::fuzz_target;
use saml_core::{EntityId, IdpMetadata};

fuzz_target!(|bytes: &[u8]| {
    let wanted = EntityId::parse("idp").expect("an entity ID");
    let Ok(metadata) = IdpMetadata::parse(bytes, &wanted) else { return };
    assert!(!metadata.certificates.is_empty());
    let text = std::str::from_utf8(bytes).expect("admitted");
    let other = roxmltree::Document::parse(text.trim_start_matches('\u{feff}')).expect("another parser admits it");
    let described = other.descendants().filter(|node| {
        node.tag_name().name() == "EntityDescriptor" && node.attribute("entityID") == Some("idp")
    });
    assert_eq!(described.count(), 1);
    if cfg!(feature = "planted-panic") && metadata.redirect.is_some_and(|url| url.as_str() != "https://idp.example/sso") {
        panic!("planted");
    }
});
