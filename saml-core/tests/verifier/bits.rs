//! Every flipped bit, every deleted and every inserted byte of a signed document: refused, or the identical identity.

use saml_core::Sign;

use crate::parties::{accept_by, good, idp, key};

#[test]
fn no_change_of_a_byte_changes_who_somebody_is() {
    let xml = good().issue(key()).xml.into_bytes();
    let idp = idp(&[key()], Sign::AssertionAndResponse);
    let accept = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|xml| accept_by(xml, &idp).ok());
    let identity = accept(&xml).unwrap().identity().clone();
    let mut accepted = 0_usize;
    let mut check = |bytes: &[u8]| {
        if let Some(login) = accept(bytes) {
            accepted += 1;
            assert_eq!(*login.identity(), identity, "{}", String::from_utf8_lossy(bytes));
        }
    };
    for at in 0..xml.len() {
        for bit in 0..8 {
            let mut changed = xml.clone();
            changed[at] ^= 1 << bit;
            check(&changed);
        }
        let mut deleted = xml.clone();
        deleted.remove(at);
        check(&deleted);
        for byte in [b' ', b'<', b'>', b'"', b'a', b'&', 0] {
            let mut inserted = xml.clone();
            inserted.insert(at, byte);
            check(&inserted);
        }
    }
    // White space inside tags, and changes of the unread KeyInfo, are not part of what was signed.
    assert!(accepted > 0);
}
