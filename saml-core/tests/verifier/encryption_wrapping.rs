//! Attacks on the place of an EncryptedAssertion, and on what points at its parts. The attacker can
//! encrypt for us, has a signed response of their own or of somebody else, and no key of the IdP.

use issuer::{Encryption, Issued, KeyPlace, Sign as Signed, test_keys};
use saml_core::Sign;

use crate::encryption::{ALL_SETTINGS, assert_accepted, assert_refused, encrypted, verdict};
use crate::parties::{good, key};

/// What the attacker encrypts: an assertion that they made themselves.
fn forged() -> String {
    let forged = good().encrypt(Encryption::to(test_keys::decryption())).sign(Signed::Neither);
    forged.issue(test_keys::stranger()).encrypted_assertion.unwrap()
}

/// The same, signed by a key of the attacker's.
fn forged_and_signed() -> String {
    let forged = good().encrypt(Encryption::to(test_keys::decryption())).sign(Signed::Both);
    forged.issue(test_keys::stranger()).encrypted_assertion.unwrap()
}

fn victim() -> Issued {
    let issued = encrypted(|_| ()).issue(key());
    ALL_SETTINGS.into_iter().for_each(|setting| assert_accepted(&issued, setting));
    issued
}

#[track_caller]
fn refused_always(xml: &str, code: &str) {
    for setting in ALL_SETTINGS {
        assert_eq!(verdict(xml, setting), Err(code), "{setting:?}");
    }
}

fn replaced(issued: &Issued, other: &str) -> String {
    let own = issued.encrypted_assertion.as_deref().unwrap();
    assert!(issued.xml.contains(own));
    issued.xml.replacen(own, other, 1)
}

#[test]
fn an_encrypted_assertion_in_an_unsigned_response_is_refused() {
    let victim = victim();
    let unsigned = victim.xml.replacen(victim.response_signature.as_deref().unwrap(), "", 1);
    refused_always(&unsigned, "encrypted_response_not_signed");
    for forged in [forged(), forged_and_signed()] {
        let own = victim.encrypted_assertion.as_deref().unwrap();
        refused_always(&unsigned.replacen(own, &forged, 1), "encrypted_response_not_signed");
    }
}

#[test]
fn an_encrypted_assertion_that_was_swapped_is_refused() {
    let victim = victim();
    refused_always(&replaced(&victim, &forged()), "digest_mismatch");
    refused_always(&replaced(&victim, &forged_and_signed()), "digest_mismatch");
    let of_another_response = encrypted(|_| ()).issue(key()).encrypted_assertion.unwrap();
    refused_always(&replaced(&victim, &of_another_response), "digest_mismatch");
    // The same for its parts: another key, other data.
    for number in [0, 1] {
        let other = of_another_response.split("<xenc:CipherValue>").nth(number + 1).unwrap().split('<').next().unwrap();
        let own = victim.encrypted_assertion.as_deref().unwrap();
        let value = own.split("<xenc:CipherValue>").nth(number + 1).unwrap().split('<').next().unwrap();
        refused_always(&victim.xml.replacen(value, other, 1), "digest_mismatch");
    }
}

#[test]
fn a_plain_assertion_in_the_place_of_an_encrypted_one_is_refused() {
    let victim = victim();
    let plain = victim.assertion.clone().unwrap();
    refused_always(&replaced(&victim, &plain), "digest_mismatch");
    // And an encrypted one in the place of a plain one.
    let plain = good().issue(key());
    let swapped = plain.xml.replacen(plain.assertion.as_deref().unwrap(), &forged(), 1);
    refused_always(&swapped, "digest_mismatch");
}

#[test]
fn a_signed_response_inside_an_object_signs_nothing_around_it() {
    let victim = victim();
    let signature = victim.response_signature.clone().unwrap();
    let object = format!("<ds:Object>{}</ds:Object>", victim.xml);
    let with_object = signature.replacen("</ds:Signature>", &format!("{object}</ds:Signature>"), 1);
    let outer = replaced(&victim, &forged()).replacen(&signature, &with_object, 1);
    assert!(outer.contains(&object));
    let outer = outer.replacen(&format!(" ID=\"{}\"", victim.response_id), " ID=\"_outer\"", 1);
    refused_always(&outer, "shape_forbidden");
}

#[test]
fn a_second_assertion_of_either_kind_is_refused() {
    let victim = victim();
    let own = victim.encrypted_assertion.clone().unwrap();
    let plain = good().issue(key()).assertion.unwrap();
    for other in [forged(), plain] {
        refused_always(&replaced(&victim, &format!("{own}{other}")), "shape_forbidden");
        refused_always(&replaced(&victim, &format!("{other}{own}")), "shape_forbidden");
    }
}

/// The EncryptedAssertion is changed before the IdP signs the Response, so that only the grammar refuses.
#[track_caller]
fn refused_shape(place: KeyPlace, change: impl Fn(String) -> String + Send + Sync + 'static, code: &str) {
    assert_accepted(&encrypted(|encryption| encryption.place = place).issue(key()), Sign::Any);
    let spec = encrypted(|encryption| {
        encryption.place = place;
        encryption.written = Some(Box::new(move |text| {
            let changed = change(text.clone());
            assert_ne!(changed, text);
            changed
        }));
    });
    assert_refused(&spec.issue(key()), Sign::Any, code);
}

/// The element of this name, with all that it holds.
fn element<'a>(text: &'a str, name: &str) -> &'a str {
    let start = text.find(&format!("<{name}")).unwrap();
    let end = format!("</{name}>");
    &text[start..start + text[start..].find(&end).unwrap() + end.len()]
}

/// For an EncryptedKey that was cut out of where they are in scope.
const DECLARATIONS: &str =
    " xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" xmlns:xenc=\"http://www.w3.org/2001/04/xmlenc#\"";

#[test]
fn there_is_exactly_one_encrypted_key() {
    let twice = |text: String| {
        let key = element(&text, "xenc:EncryptedKey").to_owned();
        text.replacen(&key, &format!("{key}{}", key.replacen(" Id=\"", " Id=\"_", 1)), 1)
    };
    let none = |text: String| {
        let key = element(&text, "xenc:EncryptedKey").to_owned();
        text.replacen(&key, "", 1)
    };
    for place in [KeyPlace::InKeyInfo, KeyPlace::Beside, KeyPlace::Referenced] {
        refused_shape(place, twice, "shape_forbidden");
        refused_shape(place, none, "shape_forbidden");
    }
    let both_places = |text: String| {
        let key = element(&text, "xenc:EncryptedKey").replacen(" Id=\"", " Id=\"_", 1);
        let key = key.replacen("<xenc:EncryptedKey", &format!("<xenc:EncryptedKey{DECLARATIONS}"), 1);
        text.replacen("</saml:EncryptedAssertion>", &format!("{key}</saml:EncryptedAssertion>"), 1)
    };
    refused_shape(KeyPlace::InKeyInfo, both_places, "shape_forbidden");
    let two_of_data = |text: String| {
        let data = element(&text, "xenc:EncryptedData").to_owned();
        let other = data.replace(" Id=\"", " Id=\"_");
        text.replacen(&data, &format!("{data}{other}"), 1)
    };
    refused_shape(KeyPlace::InKeyInfo, two_of_data, "shape_forbidden");
}

#[test]
fn references_name_what_stands_beside_them_and_are_never_followed() {
    for (from, to) in [
        (" URI=\"#", " URI=\"#_"),
        (" URI=\"#", " URI=\""),
        (" URI=\"#", " URI=\"https://evil.example/#"),
        (
            "Type=\"http://www.w3.org/2001/04/xmlenc#EncryptedKey\"",
            "Type=\"http://www.w3.org/2000/09/xmldsig#rawX509Certificate\"",
        ),
        ("></ds:RetrievalMethod>", "><ds:Transforms></ds:Transforms></ds:RetrievalMethod>"),
        ("<ds:RetrievalMethod", "<ds:KeyName></ds:KeyName><ds:RetrievalMethod"),
        ("<xenc:DataReference URI=\"#", "<xenc:DataReference URI=\"#_"),
        ("<xenc:DataReference", "<xenc:KeyReference"),
    ] {
        let change = move |text: String| match from {
            "<xenc:DataReference" => text.replace("xenc:DataReference", "xenc:KeyReference"),
            from => text.replacen(from, to, 1),
        };
        refused_shape(KeyPlace::Referenced, change, "shape_forbidden");
    }
    // A key without an Id is named by nothing, not even by a reference without `#`.
    for uri in ["URI=\"https://evil.example/\"", "URI=\"\"", "URI=\"#\""] {
        let nameless = move |text: String| {
            let key = element(&text, "xenc:EncryptedKey").to_owned();
            let (before, after) = key.split_once(" Id=\"").unwrap();
            let without_id = format!("{before}{}", after.split_once('"').unwrap().1);
            let (before, after) = text.split_once("URI=\"").unwrap();
            let text = format!("{before}{uri}{}", after.split_once('"').unwrap().1);
            text.replacen(&key, &without_id, 1)
        };
        refused_shape(KeyPlace::Referenced, nameless, "shape_forbidden");
    }
    // A reference to the key where the key stands inside already.
    let reference = "<ds:RetrievalMethod URI=\"#_k\"></ds:RetrievalMethod>";
    for place in ["<xenc:EncryptedKey", "</ds:KeyInfo>"] {
        let change = move |text: String| text.replacen(place, &format!("{reference}{place}"), 1);
        refused_shape(KeyPlace::InKeyInfo, change, "shape_forbidden");
    }
}

#[test]
fn the_bytes_stand_in_their_place_and_nothing_else_does() {
    let by_reference = |text: String| {
        let value = element(&text, "xenc:CipherValue").to_owned();
        text.replacen(&value, "<xenc:CipherReference URI=\"https://evil.example/\"></xenc:CipherReference>", 1)
    };
    refused_shape(KeyPlace::InKeyInfo, by_reference, "shape_forbidden");
    let into = |name: &'static str, added: &'static str| {
        move |text: String| text.replacen(&format!("</{name}>"), &format!("{added}</{name}>"), 1)
    };
    for (name, added) in [
        ("xenc:CipherData", "<xenc:CipherValue></xenc:CipherValue>"),
        ("xenc:CipherValue", "<xenc:CipherValue></xenc:CipherValue>"),
        ("xenc:EncryptionMethod", "<xenc:KeySize>256</xenc:KeySize>"),
        ("xenc:EncryptedKey", "<xenc:CarriedKeyName>k</xenc:CarriedKeyName>"),
        ("xenc:EncryptedKey", "<xenc:EncryptionProperties></xenc:EncryptionProperties>"),
        ("xenc:EncryptedData", "<xenc:EncryptionProperties></xenc:EncryptionProperties>"),
        ("xenc:EncryptedData", "text"),
        ("ds:DigestMethod", "<xenc:OAEPparams></xenc:OAEPparams>"),
    ] {
        refused_shape(KeyPlace::InKeyInfo, into(name, added), "shape_forbidden");
    }
    let content = |text: String| text.replacen("xmlenc#Element", "xmlenc#Content", 1);
    refused_shape(KeyPlace::InKeyInfo, content, "shape_forbidden");
    for attribute in ["Encoding=\"http://www.w3.org/2000/09/xmldsig#base64\"", "MimeType=\"text/xml\""] {
        let change =
            move |text: String| text.replacen("<xenc:EncryptedData", &format!("<xenc:EncryptedData {attribute}"), 1);
        let refused = encrypted(|encryption| encryption.written = Some(Box::new(change))).issue(key());
        assert_refused(&refused, Sign::Any, "xml_attribute_forbidden");
    }
}

#[test]
fn the_key_info_of_an_encrypted_key_is_not_read() {
    let with = |inner: &'static str| {
        encrypted(|encryption| {
            encryption.written = Some(Box::new(move |text| {
                let info = format!("<ds:KeyInfo>{inner}</ds:KeyInfo>");
                text.replacen(
                    "</xenc:EncryptionMethod><xenc:CipherData>",
                    &format!("</xenc:EncryptionMethod>{info}<xenc:CipherData>"),
                    1,
                )
            }));
        })
        .issue(key())
    };
    let certificate = "<ds:X509Data><ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>";
    assert!(with(certificate).xml.contains(certificate));
    assert_accepted(&with(certificate), Sign::AssertionAndResponse);
    assert_accepted(&with("<ds:KeyName>sp</ds:KeyName>"), Sign::AssertionAndResponse);
    for hiding_place in [
        "<ds:RetrievalMethod URI=\"https://evil.example/\"></ds:RetrievalMethod>",
        "<ds:Object></ds:Object>",
        "<xenc:EncryptedKey></xenc:EncryptedKey>",
        "<x:x xmlns:x=\"urn:example\"></x:x>",
    ] {
        assert_refused(&with(hiding_place), Sign::AssertionAndResponse, "shape_forbidden");
    }
}

#[test]
fn a_signature_names_no_key_elsewhere_either() {
    let victim = victim();
    let reference = "<ds:RetrievalMethod URI=\"https://evil.example/\"></ds:RetrievalMethod>";
    for place in ["<ds:X509Data>", "</ds:X509Data>", "</ds:KeyInfo>"] {
        refused_always(&victim.xml.replacen(place, &format!("{reference}{place}"), 1), "shape_forbidden");
    }
}

#[test]
fn no_change_of_a_byte_after_signing_changes_who_somebody_is() {
    let victim = victim();
    let own = victim.encrypted_assertion.as_deref().unwrap();
    let start = victim.xml.find(own).unwrap();
    for at in (start..start + own.len()).step_by(5) {
        let mut changed = victim.xml.clone().into_bytes();
        changed[at] ^= 1;
        let Ok(changed) = String::from_utf8(changed) else { continue };
        if let Ok(email) = verdict(&changed, Sign::AssertionAndResponse) {
            assert_eq!(email, "ada@example.com");
        }
    }
}
