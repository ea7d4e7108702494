//! Encrypts assertions as IdPs do, and as they must not.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::forge::{EXCLUSIVE, canonical_of, element};
use super::parties::ASSERTION_ID;
use crate::issuer::{random_hex, test_keys};
use crate::weak::XENC;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    Gcm,
    Cbc,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Oaep,
    Pkcs1,
}

/// The response with an EncryptedAssertion in place of its Assertion.
pub fn encrypted(response: &str, cipher: Cipher, transport: Transport) -> String {
    let plaintext = canonical_of(response, ASSERTION_ID, EXCLUSIVE);
    let content_key = random(16);
    let (method, data) = match cipher {
        Cipher::Gcm => ("http://www.w3.org/2009/xmlenc11#aes128-gcm", seal_gcm(&content_key, plaintext.as_bytes())),
        Cipher::Cbc => ("http://www.w3.org/2001/04/xmlenc#aes128-cbc", seal_cbc(&content_key, plaintext.as_bytes())),
    };
    let (key_method, wrapped) = match transport {
        Transport::Oaep => ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", wrap_oaep(&content_key)),
        Transport::Pkcs1 => ("http://www.w3.org/2001/04/xmlenc#rsa-1_5", wrap_pkcs1(&content_key)),
    };
    let value = |bytes: &[u8]| {
        format!("<xenc:CipherData><xenc:CipherValue>{}</xenc:CipherValue></xenc:CipherData>", STANDARD.encode(bytes))
    };
    let key = format!(
        "<xenc:EncryptedKey><xenc:EncryptionMethod Algorithm=\"{key_method}\"></xenc:EncryptionMethod>{}</xenc:EncryptedKey>",
        value(&wrapped)
    );
    let sealed = format!(
        "<saml:EncryptedAssertion><xenc:EncryptedData xmlns:xenc=\"{XENC}\" Type=\"{XENC}Element\"><xenc:EncryptionMethod Algorithm=\"{method}\"></xenc:EncryptionMethod><ds:KeyInfo>{key}</ds:KeyInfo>{}</xenc:EncryptedData></saml:EncryptedAssertion>",
        value(&data)
    );
    response.replacen(element(response, "saml:Assertion"), &sealed, 1)
}

fn public_key() -> PublicEncryptingKey {
    let pem = test_keys::rsa_4096().key_pem();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).expect("PEM holds base64");
    PrivateDecryptingKey::from_pkcs8(&der).expect("it is a key").public_key()
}

fn wrap_oaep(content_key: &[u8]) -> Vec<u8> {
    let key = OaepPublicEncryptingKey::new(public_key()).expect("the key fits");
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA1_MGF1SHA1, content_key, &mut out, None).expect("a short key fits").to_vec()
}

fn wrap_pkcs1(content_key: &[u8]) -> Vec<u8> {
    let key = Pkcs1PublicEncryptingKey::new(public_key()).expect("the key fits");
    let mut out = vec![0; key.ciphertext_size()];
    key.encrypt(content_key, &mut out).expect("a short key fits").to_vec()
}

fn seal_gcm(content_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let nonce = random(12);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, content_key).expect("it has sixteen bytes"));
    let mut sealed = plaintext.to_vec();
    let iv = Nonce::try_assume_unique_for_key(&nonce).expect("it has twelve bytes");
    key.seal_in_place_append_tag(iv, Aad::empty(), &mut sealed).expect("it seals");
    [nonce, sealed].concat()
}

fn seal_cbc(content_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let key = UnboundCipherKey::new(&AES_128, content_key).expect("it has sixteen bytes");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("the cipher is AES");
    let mut sealed = plaintext.to_vec();
    let DecryptionContext::Iv128(iv) = key.encrypt(&mut sealed).expect("it seals") else {
        unreachable!("CBC has an IV")
    };
    [iv.as_ref().to_vec(), sealed].concat()
}

fn random(bytes: usize) -> Vec<u8> {
    let hex = random_hex(bytes);
    (0..bytes).map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("it is hex")).collect()
}
