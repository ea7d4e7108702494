//! Encrypted assertions: what is decrypted, by which key, and what of a plaintext is refused. Every
//! ciphertext here is signed by the IdP, so that nothing but decryption itself can refuse it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use issuer::{ContentCipher, Encryption, Issued, KeyPlace, KeyTransport, ResponseSpec, Sign as Signed, test_keys};
use saml_core::{AcceptedLogin, DecryptionKeys, Rejection, Sign};

use crate::parties::{accept_with, decryption_key, decryption_keys, good, idp, key};

pub(crate) const ALL_SETTINGS: [Sign; 4] = [Sign::AssertionAndResponse, Sign::Response, Sign::Assertion, Sign::Any];

/// A response that is accepted with every setting of `sign`.
pub(crate) fn encrypted(change: impl FnOnce(&mut Encryption)) -> ResponseSpec {
    let mut encryption = Encryption::to(test_keys::decryption());
    change(&mut encryption);
    good().encrypt(encryption)
}

fn accept(xml: &str, sign: Sign) -> Result<AcceptedLogin, Rejection> {
    accept_with(xml, &idp(&[key()], sign), &decryption_keys())
}

pub(crate) fn verdict(xml: &str, sign: Sign) -> Result<String, &'static str> {
    crate::explains::assert_agreement(xml, &idp(&[key()], sign), decryption_keys());
    accept(xml, sign).map(|login| login.identity().email.clone()).map_err(|rejection| rejection.code())
}

#[track_caller]
pub(crate) fn assert_accepted(issued: &Issued, sign: Sign) {
    assert_eq!(verdict(&issued.xml, sign), Ok("ada@example.com".to_owned()));
}

#[track_caller]
pub(crate) fn assert_refused(issued: &Issued, sign: Sign, code: &str) {
    assert_eq!(verdict(&issued.xml, sign), Err(code));
}

/// The EncryptedAssertion is changed before the Response is signed; without the change it is accepted.
#[track_caller]
fn refused_when_written(place: KeyPlace, change: impl Fn(String) -> String + Send + Sync + 'static, code: &str) {
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

/// The Assertion, which has no signature of its own, is changed before it is encrypted.
fn with_plaintext(change: impl Fn(String) -> String + Send + Sync + 'static) -> ResponseSpec {
    encrypted(|encryption| encryption.plaintext = Some(Box::new(change))).sign(Signed::Response)
}

#[track_caller]
fn refused_plaintext(change: impl Fn(String) -> String + Send + Sync + 'static) {
    assert_refused(&with_plaintext(change).issue(key()), Sign::Response, "decryption_failed");
}

/// Puts what `change` makes of its bytes into the CipherValue of the given number.
pub(crate) fn with_cipher_value(text: &str, number: usize, change: impl Fn(&mut Vec<u8>)) -> String {
    const START: &str = "<xenc:CipherValue>";
    let at = text.match_indices(START).nth(number).unwrap().0 + START.len();
    let (before, rest) = text.split_at(at);
    let (value, after) = rest.split_once('<').unwrap();
    let mut bytes = STANDARD.decode(value).unwrap();
    change(&mut bytes);
    format!("{before}{}<{after}", STANDARD.encode(bytes))
}

#[test]
fn decrypts_every_cipher_key_transport_and_place_of_the_key() {
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::Aes192Gcm, ContentCipher::Aes256Gcm] {
        for transport in [KeyTransport::OaepSha1, KeyTransport::OaepSilent, KeyTransport::OaepSha256] {
            for place in [KeyPlace::InKeyInfo, KeyPlace::Beside, KeyPlace::Referenced] {
                let spec = encrypted(|encryption| {
                    encryption.cipher = cipher;
                    encryption.transport = transport;
                    encryption.place = place;
                });
                let xml = spec.issue(key()).xml;
                assert!(!xml.contains("ada@example.com"));
                let login = accept(&xml, Sign::AssertionAndResponse);
                let login = login.unwrap_or_else(|rejection| panic!("{cipher:?} {transport:?} {place:?}: {rejection}"));
                assert_eq!(login.identity().email, "ada@example.com");
                assert_eq!(login.identity().groups, ["admins", "staff"]);
            }
        }
    }
}

#[test]
fn the_response_must_be_signed_and_sign_is_asked_of_the_assertion_inside() {
    for signed in Signed::ALL {
        for setting in ALL_SETTINGS {
            let wanted = match (signed, setting) {
                (Signed::Neither | Signed::Assertion, _) => Err("encrypted_response_not_signed"),
                (Signed::Response, Sign::AssertionAndResponse | Sign::Assertion) => Err("assertion_not_signed"),
                (Signed::Response | Signed::Both, _) => Ok("ada@example.com".to_owned()),
            };
            let xml = encrypted(|_| ()).sign(signed).issue(key()).xml;
            assert_eq!(verdict(&xml, setting), wanted, "{signed:?} {setting:?}");
        }
    }
}

#[test]
fn a_signature_inside_is_verified_even_where_nobody_asks_for_one() {
    let altered = |from: &'static str, to: &'static str| {
        encrypted(|encryption| encryption.plaintext = Some(Box::new(move |text| text.replacen(from, to, 1))))
            .issue(key())
    };
    assert_refused(&altered("ada@example.com", "eve@example.com"), Sign::Response, "digest_mismatch");
    assert_refused(&altered("<ds:SignatureValue>", "<ds:SignatureValue>AAAA"), Sign::Response, "signature_invalid");
    assert_refused(&altered("URI=\"#", "URI=\"#_"), Sign::Response, "signature_reference_mismatch");
    let by_stranger = good().issue(test_keys::stranger()).assertion.unwrap();
    let spec = encrypted(|encryption| encryption.plaintext = Some(Box::new(move |_| by_stranger.clone())));
    assert_refused(&spec.issue(key()), Sign::Response, "signed_by_unknown_key");
}

#[test]
fn without_a_key_encryption_is_not_supported() {
    let xml = encrypted(|_| ()).issue(key()).xml;
    let refused = accept_with(&xml, &idp(&[key()], Sign::Any), &DecryptionKeys::none());
    assert_eq!(refused.map(drop).map_err(|rejection| rejection.code()), Err("encryption_unsupported"));
}

#[test]
fn the_current_the_previous_and_the_next_key_decrypt_and_no_other() {
    let ours = || decryption_key(test_keys::decryption());
    let other = || decryption_key(test_keys::decryption_previous());
    let third = || decryption_key(test_keys::rsa_4096());
    let xml = encrypted(|_| ()).issue(key()).xml;
    let code = |keys: DecryptionKeys| {
        accept_with(&xml, &idp(&[key()], Sign::Any), &keys).map(drop).map_err(|rejection| rejection.code())
    };
    assert_eq!(code(DecryptionKeys::new(ours(), None, None)), Ok(()));
    assert_eq!(code(DecryptionKeys::new(other(), Some(ours()), None)), Ok(()));
    assert_eq!(code(DecryptionKeys::new(other(), None, Some(ours()))), Ok(()));
    assert_eq!(code(DecryptionKeys::new(third(), Some(other()), Some(ours()))), Ok(()));
    assert_eq!(code(DecryptionKeys::new(other(), None, None)), Err("decryption_failed"));
    assert_eq!(code(DecryptionKeys::new(other(), Some(third()), None)), Err("decryption_failed"));
}

#[test]
fn other_algorithms_are_refused_by_name_before_anything_else_is_asked() {
    let forbidden = |change: fn(&mut Encryption)| {
        // Neither the missing signature nor the missing key comes first.
        for signed in [Signed::Both, Signed::Neither] {
            let xml = encrypted(change).sign(signed).issue(key()).xml;
            let refused = accept_with(&xml, &idp(&[key()], Sign::Any), &DecryptionKeys::none()).unwrap_err();
            assert_eq!(refused.code(), "encryption_algorithm_forbidden");
        }
    };
    assert_accepted(&encrypted(|_| ()).issue(key()), Sign::AssertionAndResponse);
    forbidden(|encryption| encryption.cipher = ContentCipher::Aes128Cbc);
    forbidden(|encryption| encryption.cipher = ContentCipher::Aes256Cbc);
    forbidden(|encryption| encryption.transport = KeyTransport::Rsa15);
}

#[test]
fn oaep_is_taken_with_one_hash_for_both_of_its_purposes() {
    type Written = fn(&str) -> String;
    let changes: [(KeyTransport, Written); 8] = [
        (KeyTransport::OaepSha1, |text| text.replacen("2000/09/xmldsig#sha1", "2001/04/xmlenc#sha256", 1)),
        (KeyTransport::OaepSha1, |text| text.replacen("2001/04/xmlenc#rsa-oaep-mgf1p", "2009/xmlenc11#rsa-oaep", 1)),
        (KeyTransport::OaepSilent, |text| text.replacen("2001/04/xmlenc#rsa-oaep-mgf1p", "2009/xmlenc11#rsa-oaep", 1)),
        (KeyTransport::OaepSha256, |text| text.replacen("2009/xmlenc11#rsa-oaep", "2001/04/xmlenc#rsa-oaep-mgf1p", 1)),
        (KeyTransport::OaepSha256, |text| text.replacen("xmlenc#sha256", "xmlenc#sha512", 1)),
        (KeyTransport::OaepSha256, |text| text.replacen("mgf1sha256", "mgf1sha1", 1)),
        // What is not said means SHA-1 (XML Encryption 1.1 §5.5.2).
        (KeyTransport::OaepSha256, |text| without(text, "<ds:DigestMethod", "</ds:DigestMethod>")),
        (KeyTransport::OaepSha256, |text| without(text, "<xenc11:MGF", "</xenc11:MGF>")),
    ];
    for (transport, change) in changes {
        assert_accepted(&encrypted(|encryption| encryption.transport = transport).issue(key()), Sign::Any);
        let spec = encrypted(|encryption| {
            encryption.transport = transport;
            encryption.written = Some(Box::new(move |text| change(&text)));
        });
        assert_refused(&spec.issue(key()), Sign::Any, "encryption_algorithm_forbidden");
    }
}

#[test]
fn each_parameter_of_oaep_is_said_once() {
    for (start, end) in [("<ds:DigestMethod", "</ds:DigestMethod>"), ("<xenc11:MGF", "</xenc11:MGF>")] {
        let twice = move |text: String| {
            let from = text.find(start).unwrap();
            let to = text.find(end).unwrap() + end.len();
            format!("{}{}{}", &text[..to], &text[from..to], &text[to..])
        };
        let spec = |twice: Option<issuer::Change>| {
            encrypted(|encryption| {
                encryption.transport = KeyTransport::OaepSha256;
                encryption.written = twice;
            })
        };
        assert_accepted(&spec(None).issue(key()), Sign::Any);
        assert_refused(&spec(Some(Box::new(twice))).issue(key()), Sign::Any, "shape_forbidden");
    }
}

/// Cuts from `start` to the end of `end`.
fn without(text: &str, start: &str, end: &str) -> String {
    let (before, rest) = text.split_once(start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    format!("{before}{after}")
}

#[test]
fn a_flipped_bit_anywhere_in_the_ciphertext_has_the_one_code() {
    // The key's EncryptedKey comes first in the document, the data second.
    for number in [0, 1] {
        for (byte, bit) in [(0, 0), (0, 7), (11, 3), (12, 0), (13, 5), (100, 1), (usize::MAX, 0), (usize::MAX, 7)] {
            let flip = move |bytes: &mut Vec<u8>| {
                let at = byte.min(bytes.len() - 1);
                bytes[at] ^= 1 << bit;
            };
            refused_when_written(
                KeyPlace::InKeyInfo,
                move |text| with_cipher_value(&text, number, flip),
                "decryption_failed",
            );
        }
    }
}

#[test]
fn truncated_and_lengthened_ciphertexts_have_the_one_code() {
    for length in [0, 1, 11, 12, 13, 27, 28, 29, 255] {
        for number in [0, 1] {
            let cut = move |bytes: &mut Vec<u8>| bytes.truncate(length);
            refused_when_written(
                KeyPlace::InKeyInfo,
                move |text| with_cipher_value(&text, number, cut),
                "decryption_failed",
            );
        }
    }
    for change in [
        (|bytes: &mut Vec<u8>| bytes.truncate(bytes.len() - 1)) as fn(&mut Vec<u8>),
        |bytes| bytes.push(0),
        |bytes| bytes.insert(0, 0),
        |bytes| *bytes = bytes[1..].to_vec(),
    ] {
        for number in [0, 1] {
            refused_when_written(
                KeyPlace::InKeyInfo,
                move |text| with_cipher_value(&text, number, change),
                "decryption_failed",
            );
        }
    }
    refused_when_written(
        KeyPlace::InKeyInfo,
        |text| text.replacen("<xenc:CipherValue>", "<xenc:CipherValue>!", 1),
        "decryption_failed",
    );
}

#[test]
fn a_content_key_of_another_cipher_or_another_message_has_the_one_code() {
    for other in ["aes128-gcm", "aes192-gcm"] {
        refused_when_written(
            KeyPlace::InKeyInfo,
            move |text| text.replacen("aes256-gcm", other, 1),
            "decryption_failed",
        );
    }
    let other = encrypted(|_| ()).issue(key()).encrypted_assertion.unwrap();
    let key_of_other = other.split("<xenc:CipherValue>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let key_of_other = STANDARD.decode(key_of_other).unwrap();
    refused_when_written(
        KeyPlace::InKeyInfo,
        move |text| with_cipher_value(&text, 0, |bytes| bytes.clone_from(&key_of_other)),
        "decryption_failed",
    );
}

/// Where the key transport fails, the data is decrypted with a key made from the ciphertext, so that the
/// failure takes its time. Who knows how it is made can encrypt with it, and gets nothing for it.
#[test]
fn what_opens_with_the_key_of_a_failed_transport_is_not_used() {
    let plaintext = good().sign(Signed::Both).issue(key()).assertion.unwrap();
    let wrapped = vec![7; 256];
    let content_key = digest(&SHA256, &wrapped);
    let mut sealed = plaintext.into_bytes();
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, content_key.as_ref()).unwrap())
        .seal_in_place_append_tag(Nonce::assume_unique_for_key([0; 12]), Aad::empty(), &mut sealed)
        .unwrap();
    let data = [[0; 12].as_slice(), &sealed].concat();
    refused_when_written(
        KeyPlace::InKeyInfo,
        move |text| {
            let text = with_cipher_value(&text, 0, |bytes| bytes.clone_from(&wrapped));
            with_cipher_value(&text, 1, |bytes| bytes.clone_from(&data))
        },
        "decryption_failed",
    );
}

#[test]
fn white_space_in_a_cipher_value_is_nothing() {
    for space in ["\n", " \t", "&#xD;\n"] {
        let spec = encrypted(|encryption| {
            encryption.written = Some(Box::new(move |text| {
                text.replace("<xenc:CipherValue>", &format!("<xenc:CipherValue>{space}"))
                    .replace("</xenc:CipherValue>", &format!("{space}</xenc:CipherValue>"))
            }));
        });
        assert_accepted(&spec.issue(key()), Sign::AssertionAndResponse);
    }
}

#[test]
fn the_plaintext_is_one_assertion_and_nothing_around_it() {
    assert_accepted(&with_plaintext(|text| text).issue(key()), Sign::Response);
    assert_accepted(
        &with_plaintext(|text| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{text}\n")).issue(key()),
        Sign::Response,
    );
    refused_plaintext(|text| format!("junk{text}"));
    refused_plaintext(|text| format!("\u{feff}{text}"));
    refused_plaintext(|text| format!("\0{text}"));
    refused_plaintext(|text| format!("{text}junk"));
    refused_plaintext(|text| format!("{text}{text}"));
    refused_plaintext(|text| format!("<!DOCTYPE a>{text}"));
    refused_plaintext(|text| format!("<!DOCTYPE a [<!ENTITY e \"x\">]>{text}"));
    refused_plaintext(|text| format!("<!-- -->{text}"));
    refused_plaintext(|text| format!("<?x?>{text}"));
    refused_plaintext(|text| text.replacen("ada@", "ada<!-- -->@", 1));
    refused_plaintext(|text| text.replacen("ada@", "&ada;@", 1));
    refused_plaintext(|_| String::new());
    refused_plaintext(|text| text[..text.len() / 2].to_owned());
    let wrapper = |name: &'static str, uri: &'static str| {
        move |text: String| format!("<x:{name} xmlns:x=\"{uri}\">{text}</x:{name}>")
    };
    refused_plaintext(wrapper("Advice", "urn:oasis:names:tc:SAML:2.0:assertion"));
    refused_plaintext(wrapper("Assertion", "urn:example"));
    let response = good().sign(Signed::Both).issue(key()).xml;
    refused_plaintext(move |_| response.clone());
}

#[test]
fn nothing_in_the_plaintext_is_encrypted_again() {
    let nested = encrypted(|_| ()).issue(key()).encrypted_assertion.unwrap();
    refused_plaintext(move |_| nested.clone());
    let nested = encrypted(|_| ()).issue(key()).encrypted_assertion.unwrap();
    refused_plaintext(move |text| text.replacen("</saml:Issuer>", &format!("</saml:Issuer>{nested}"), 1));
    let data = |name: &str| {
        let nested = encrypted(|_| ()).issue(key()).encrypted_assertion.unwrap();
        nested.replace("saml:EncryptedAssertion", &format!("saml:{name}"))
    };
    let (id, attribute) = (data("EncryptedID"), data("EncryptedAttribute"));
    refused_plaintext(move |text| {
        let with_id = without(&text, "<saml:NameID", "</saml:NameID>");
        with_id.replacen("<saml:Subject>", &format!("<saml:Subject>{id}"), 1)
    });
    refused_plaintext(move |text| {
        text.replacen("<saml:AttributeStatement>", &format!("<saml:AttributeStatement>{attribute}"), 1)
    });
}

#[test]
fn the_plaintext_inherits_no_namespace() {
    let spec = with_plaintext(|text| text.replace(" xmlns:saml=\"urn:oasis:names:tc:SAML:2.0:assertion\"", ""));
    let issued = spec.issue(key());
    assert!(issued.xml.contains("xmlns:saml="), "the prefix is in scope around it");
    assert_refused(&issued, Sign::Response, "decryption_failed");
}

#[test]
fn ids_of_the_plaintext_are_not_those_of_the_response_around_it() {
    let with_ids = |response: &str, assertion: &str| {
        let mut spec = encrypted(|encryption| {
            encryption.written = Some(Box::new(|text| {
                let (before, after) = text.split_once(" Id=\"").unwrap();
                format!("{before} Id=\"_data\"{}", after.split_once('"').unwrap().1)
            }));
        });
        spec.response_id = Some(response.to_owned());
        spec.assertion_id = Some(assertion.to_owned());
        spec.issue(key())
    };
    assert_accepted(&with_ids("_response", "_assertion"), Sign::AssertionAndResponse);
    assert_refused(&with_ids("_same", "_same"), Sign::AssertionAndResponse, "decryption_failed");
    assert_refused(&with_ids("_same", "_SAME"), Sign::AssertionAndResponse, "decryption_failed");
    assert_refused(&with_ids("_response", "_data"), Sign::AssertionAndResponse, "decryption_failed");
    // Within the Response there is nothing secret about it.
    assert_refused(&with_ids("_data", "_assertion"), Sign::AssertionAndResponse, "id_duplicate");
}

#[test]
fn what_was_decrypted_meets_the_same_policy() {
    let refused_when = |change: fn(&mut ResponseSpec), code: &str| {
        let mut spec = encrypted(|_| ());
        change(&mut spec);
        assert_refused(&spec.issue(key()), Sign::AssertionAndResponse, code);
    };
    assert_accepted(&encrypted(|_| ()).issue(key()), Sign::AssertionAndResponse);
    refused_when(|spec| spec.audiences = vec!["https://other.example/".to_owned()], "audience_mismatch");
    refused_when(|spec| spec.recipient = Some("https://other.example/".to_owned()), "recipient_mismatch");
    refused_when(|spec| spec.assertion_issuer = "other".to_owned(), "issuer_mismatch");
    refused_when(|spec| spec.destination = None, "destination_missing");
    refused_when(|spec| spec.confirmation_in_response_to = Some("_other".to_owned()), "in_response_to_conflict");
    refused_when(
        |spec| {
            spec.in_response_to = None;
            spec.confirmation_in_response_to = Some("_other".to_owned());
        },
        "in_response_to_mismatch",
    );
    let mut spec = encrypted(|_| ());
    spec.confirmation_in_response_to = None;
    assert_accepted(&spec.issue(key()), Sign::AssertionAndResponse);
}

#[test]
fn a_cipher_value_may_be_as_long_as_a_response_and_no_longer() {
    let mut spec = encrypted(|_| ());
    spec.padded_to = Some(127 * 1024);
    let issued = spec.issue(key());
    let data = issued.xml.rsplit("<xenc:CipherValue>").next().unwrap().split('<').next().unwrap();
    assert!(data.len() > 110 * 1024, "{}", data.len());
    assert_accepted(&issued, Sign::AssertionAndResponse);
    let mut spec = encrypted(|_| ());
    spec.padded_to = Some(130 * 1024);
    assert_refused(&spec.issue(key()), Sign::AssertionAndResponse, "response_too_large");
    // The limits hold inside as they do outside.
    let with_value = |size: usize| {
        let value = "x".repeat(size);
        encrypted(|_| ()).attribute("long", &[&value]).issue(key())
    };
    assert_accepted(&with_value(64 * 1024), Sign::AssertionAndResponse);
    assert_refused(&with_value(64 * 1024 + 1), Sign::AssertionAndResponse, "decryption_failed");
}
