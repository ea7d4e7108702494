//! A whole response by a pinned key: each input is signed anew before it is verified, so that fuzzing gets past
//! the signatures. Whoever is let in is who another parser reads in the one Assertion.

#![no_main]

use known::{IDP, REQUEST, SP, at, resigned};
use libfuzzer_sys::fuzz_target;
use saml_core::{DecryptionKeys, UnverifiedResponse};

fuzz_target!(|bytes: &[u8]| {
    let Some(signed) = resigned(bytes) else { return };
    let Ok(response) = UnverifiedResponse::from_xml(signed.clone()) else { return };
    let Ok(verified) = response.verify(&IDP, &DecryptionKeys::none()) else { return };
    let Ok(login) = verified.accept(&REQUEST, &SP, at()) else { return };

    let text = std::str::from_utf8(&signed).expect("admitted");
    let other = roxmltree::Document::parse(text).expect("another parser admits it");
    let assertion = other.descendants().find(|node| node.tag_name().name() == "Assertion").expect("there is one");
    assert_eq!(assertion.attribute("ID"), Some(login.assertion_id()));
    let values = |wanted: &str| -> Vec<String> {
        let attributes = assertion.descendants().filter(|node| {
            node.tag_name().name() == "Attribute" && node.attribute("Name") == Some(wanted)
        });
        let values = attributes.flat_map(|node| node.children()).filter(|node| node.tag_name().name() == "AttributeValue");
        values.map(|node| node.descendants().filter(|node| node.is_text()).filter_map(|node| node.text()).collect()).collect()
    };
    let identity = login.identity();
    assert!(values("email").contains(&identity.email));
    assert!(values("sub").contains(&identity.unique_id));
    assert!(identity.groups.iter().all(|group| values("memberOf").contains(group)));
    if cfg!(feature = "planted-panic") && identity.email != "ada@example.com" {
        panic!("planted");
    }
});
