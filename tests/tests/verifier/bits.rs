//! Every flipped bit, every deleted and every inserted byte of a signed document: refused, or the identical
//! identity. For each kind of canonicalization, and for an encrypted assertion.

use harness::attacks::forge::{INCLUSIVE, Signing, base, draft, sign};
use harness::attacks::parties::{ASSERTION_ID, RESPONSE_ID, Setting, spec};
use harness::attacks::seal::{Cipher, Transport, encrypted};
use harness::attacks::strict::{Strict, seen};
use harness::weak::Wanted;

/// One of each class that the parser, base64 or UTF-8 tells apart.
const INSERTED: [u8; 18] = *b" \t\r\0<>\"'&;=/:!a0+\x80";

#[track_caller]
fn holds(xml: &str, wanted: Wanted) {
    let setting = Setting::of(wanted);
    let original = seen(&Strict::of(&setting).accept_xml(xml).unwrap());
    let bytes = xml.as_bytes();
    let accepted: usize = std::thread::scope(|scope| {
        let halves = [0..bytes.len() / 2, bytes.len() / 2..bytes.len()].map(|places| {
            let (setting, original) = (&setting, &original);
            scope.spawn(move || {
                let strict = Strict::of(setting);
                let mut accepted = 0;
                each_change(bytes, places, &mut |changed| {
                    if let Ok(login) = strict.accept_xml(changed) {
                        accepted += 1;
                        assert_eq!(seen(&login), *original, "{}", String::from_utf8_lossy(changed));
                    }
                });
                accepted
            })
        });
        halves.into_iter().map(|half| half.join().unwrap()).sum()
    });
    // White space inside tags and changes of what is not read are no part of what was signed.
    assert!(accepted > 0);
}

fn each_change(bytes: &[u8], places: std::ops::Range<usize>, check: &mut dyn FnMut(&[u8])) {
    for at in places {
        let mut changed = bytes.to_vec();
        for bit in 0..8 {
            changed[at] = bytes[at] ^ (1 << bit);
            check(&changed);
        }
        changed.remove(at);
        check(&changed);
        changed.insert(at, bytes[at]);
        for byte in INSERTED {
            changed.insert(at, byte);
            check(&changed);
            changed.remove(at);
        }
    }
}

#[test]
fn no_change_of_a_byte_changes_who_somebody_is() {
    holds(&base(Wanted::Both), Wanted::Both);
}

#[test]
fn no_change_of_a_byte_under_inclusive_canonicalization_either() {
    let by = || Signing { canonicalization: INCLUSIVE, key_info: Some(String::new()), ..Signing::default() };
    holds(&sign(&sign(&draft(&spec()), ASSERTION_ID, &by()), RESPONSE_ID, &by()), Wanted::Both);
}

#[test]
fn no_change_of_a_byte_of_an_encrypted_response_either() {
    let sealed = encrypted(&draft(&spec()), Cipher::Gcm, Transport::Oaep);
    holds(
        &sign(&sealed, RESPONSE_ID, &Signing { key_info: Some(String::new()), ..Signing::default() }),
        Wanted::Response,
    );
}
