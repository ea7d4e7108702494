//! Section F: encryption. Anybody can encrypt for us, so the Response's signature comes first.

use super::forge::{Signing, base, draft, element, evil, insert, sign, without_signature};
use super::parties::{EVE, RESPONSE_ID, spec};
use super::seal::{Cipher, Transport, encrypted};
use super::{Case, Gain, Proof, Row, case, row};
use crate::weak::{Wanted, Weakness as W};

const AS_EVE: Gain = Gain::Identity(EVE);

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("89", "CBC oracle", vec![by("aes128-cbc", Cipher::Cbc, Transport::Oaep, W::Cbc).into()]),
        row(
            "90",
            "RSA 1.5 key transport",
            vec![by("rsa-1_5", Cipher::Gcm, Transport::Pkcs1, W::Pkcs1KeyTransport).into()],
        ),
        row("91", "decrypted, then trusted", vec![unsigned().into()]),
        row("92", "EncryptedID, CipherReference, RetrievalMethod", pointers()),
    ]
}

/// Row 19.
pub(super) fn wrapping() -> Vec<Proof> {
    let original = signed(&draft(&spec()), Cipher::Gcm, Transport::Oaep);
    let forged = encrypted(&evil(&draft(&spec())), Cipher::Gcm, Transport::Oaep).replacen(RESPONSE_ID, "_evil-0001", 1);
    let in_object = {
        let signature = super::forge::signature(&original).to_owned();
        let object = format!("<ds:Object>{}</ds:Object></ds:Signature>", without_signature(&original));
        let at = forged.find("<samlp:Status>").expect("there is a Status");
        insert(&forged, at, &signature.replacen("</ds:Signature>", &object, 1))
    };
    let in_extensions = {
        let at = forged.find("<samlp:Status>").expect("there is a Status");
        insert(&forged, at, &format!("<samlp:Extensions>{original}</samlp:Extensions>"))
    };
    vec![
        of(
            "a signed Response in ds:Object around a forged EncryptedAssertion",
            in_object,
            "shape_forbidden",
            W::DecryptsUnsigned,
            AS_EVE,
        )
        .into(),
        of("the same in Extensions", in_extensions, "shape_forbidden", W::DecryptsUnsigned, AS_EVE).into(),
        beside_a_signed_one().into(),
    ]
}

/// Encrypted, then signed over.
fn signed(draft: &str, cipher: Cipher, transport: Transport) -> String {
    sign(&encrypted(draft, cipher, transport), RESPONSE_ID, &Signing::default())
}

fn control() -> String {
    signed(&draft(&spec()), Cipher::Gcm, Transport::Oaep)
}

fn of(name: &str, attack: String, code: &'static str, fooled: W, gain: Gain) -> Case {
    case(name, Wanted::Response, (control(), attack), code, fooled, gain)
}

fn by(name: &str, cipher: Cipher, transport: Transport, fooled: W) -> Case {
    of(name, signed(&draft(&spec()), cipher, transport), "encryption_algorithm_forbidden", fooled, Gain::Login)
}

fn unsigned() -> Case {
    let attack = encrypted(&evil(&draft(&spec())), Cipher::Gcm, Transport::Oaep);
    of("an EncryptedAssertion that nobody signed", attack, "encrypted_response_not_signed", W::DecryptsUnsigned, AS_EVE)
}

/// The signed Assertion stays, an encrypted one of the attacker's comes before it.
fn beside_a_signed_one() -> Case {
    let signed = base(Wanted::Assertion);
    let forged = encrypted(&evil(&draft(&spec())), Cipher::Gcm, Transport::Oaep);
    let sealed = element(&forged, "saml:EncryptedAssertion");
    let at = signed.find("<saml:Assertion").expect("there is an Assertion");
    let attack = insert(&signed, at, sealed);
    of("a forged EncryptedAssertion before a signed Assertion", attack, "shape_forbidden", W::DecryptsUnsigned, AS_EVE)
}

fn pointers() -> Vec<Proof> {
    const URL: &str = "http://evil.example/ciphertext";
    let reference = format!("<xenc:CipherReference URI=\"{URL}\"></xenc:CipherReference>");
    let control = control();
    let value = element(element(&control, "xenc:EncryptedKey"), "xenc:CipherValue").to_owned();
    let by_reference = control.replacen(&value, &reference, 1);
    let key = element(&control, "xenc:EncryptedKey").to_owned();
    let by_retrieval = control.replacen(&key, &format!("<ds:RetrievalMethod URI=\"{URL}\"></ds:RetrievalMethod>"), 1);
    let plain = base(Wanted::Response);
    let name_id = element(&plain, "saml:NameID").to_owned();
    let id = format!(
        "<saml:EncryptedID><xenc:EncryptedData xmlns:xenc=\"{}\"><xenc:CipherData>{reference}</xenc:CipherData></xenc:EncryptedData></saml:EncryptedID>",
        crate::weak::XENC
    );
    let by_id = plain.replacen(&name_id, &id, 1);
    vec![
        of("CipherReference", by_reference, "shape_forbidden", W::FetchesCiphertext, Gain::Fetch(URL)).into(),
        of("RetrievalMethod", by_retrieval, "shape_forbidden", W::FetchesCiphertext, Gain::Fetch(URL)).into(),
        of("EncryptedID", by_id, "shape_forbidden", W::FetchesCiphertext, Gain::Fetch(URL)).into(),
    ]
}
