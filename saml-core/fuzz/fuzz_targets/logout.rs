//! A logout message by HTTP-POST, signed anew before it is verified.

#![no_main]

use known::{FORM, IDP, SLO, SP, at, form_body, resigned};
use libfuzzer_sys::fuzz_target;
use saml_core::{LogoutMessage, VerifiedLogout};

fuzz_target!(|bytes: &[u8]| {
    let Some(signed) = resigned(bytes) else { return };
    for parameter in ["SAMLRequest", "SAMLResponse"] {
        let body = form_body(parameter, &signed);
        let Ok(message) = LogoutMessage::from_form(Some(FORM), None, &body) else { continue };
        let Ok(verified) = message.verify(&[&IDP], &SP, &SLO, at()) else { continue };
        let text = std::str::from_utf8(&signed).expect("admitted");
        let other = roxmltree::Document::parse(text).expect("another parser admits it");
        let root = other.root_element();
        match verified {
            VerifiedLogout::Request(request) => {
                assert_eq!((root.tag_name().name(), root.attribute("ID")), ("LogoutRequest", Some(request.id())));
                let named = other.descendants().find(|node| node.tag_name().name() == "NameID").expect("a NameID");
                let value: String = named.children().filter_map(|child| child.text()).collect();
                assert_eq!(value, request.name_id().value);
                if cfg!(feature = "planted-panic") && value != "ada@example.com" {
                    panic!("planted");
                }
            }
            VerifiedLogout::Response(response) => {
                assert_eq!(root.tag_name().name(), "LogoutResponse");
                assert_eq!(root.attribute("InResponseTo"), Some(response.in_response_to()));
            }
        }
    }
});
