//! What a logout will be asked for: the NameID with all its qualifiers, and the session indexes.

use issuer::{Encryption, Sign as Signed, test_keys};
use saml_core::{NameId, Sign};

use crate::parties::{accept, accept_with, decryption_keys, good, idp, key};

#[test]
fn the_name_id_is_kept_whole_and_byte_for_byte() {
    let mut spec = good();
    spec.name_id = Some("Ada & \"co\"".to_owned());
    spec.name_id_format = Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned());
    spec.name_qualifier = Some("https://idp.example/?a=b&c".to_owned());
    spec.sp_name_qualifier = Some(" padded ".to_owned());
    spec.sp_provided_id = Some(String::new());
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    let wanted = NameId {
        value: "Ada & \"co\"".to_owned(),
        format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".to_owned()),
        name_qualifier: Some("https://idp.example/?a=b&c".to_owned()),
        sp_name_qualifier: Some(" padded ".to_owned()),
        sp_provided_id: Some(String::new()),
    };
    assert_eq!(login.identity().name_id, Some(wanted));

    let mut spec = good();
    spec.name_id_format = None;
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    let wanted = NameId {
        value: "ada@example.com".to_owned(),
        format: None,
        name_qualifier: None,
        sp_name_qualifier: None,
        sp_provided_id: None,
    };
    assert_eq!(login.identity().name_id, Some(wanted));
    spec.name_id = None;
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    assert_eq!(login.identity().name_id, None);
}

#[test]
fn every_session_index_is_kept_in_order() {
    let mut spec = good();
    spec.session_index = Some("_s1".to_owned());
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    assert_eq!(login.session_indexes(), ["_s1"]);
    spec.session_index = None;
    let login = accept(&spec.issue(key()).xml, Sign::AssertionAndResponse).unwrap();
    assert!(login.session_indexes().is_empty());

    let mut encryption = Encryption::to(test_keys::decryption());
    encryption.plaintext = Some(Box::new(|text| {
        let start = text.find("<saml:AuthnStatement").unwrap();
        let end = text.find("</saml:AuthnStatement>").unwrap() + "</saml:AuthnStatement>".len();
        let second = text[start..end].replace("_s1", "_s2");
        format!("{}{second}{}", &text[..end], &text[end..])
    }));
    let mut spec = good().encrypt(encryption).sign(Signed::Response);
    spec.session_index = Some("_s1".to_owned());
    let login = accept_with(&spec.issue(key()).xml, &idp(&[key()], Sign::Response), &decryption_keys()).unwrap();
    assert_eq!(login.session_indexes(), ["_s1", "_s2"]);
}
