//! Encrypted assertions: decrypted only from a Response whose signature holds, by AES-GCM and OAEP.

use aws_lc_rs::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{AES_128, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey, PrivateDecryptingKey};
use roxmltree::Node;

use super::signature::der_of_pem;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;
use super::{DS, Login, SAML, XENC};

const GCM: &str = "http://www.w3.org/2009/xmlenc11#aes128-gcm";
const CBC: &str = "http://www.w3.org/2001/04/xmlenc#aes128-cbc";
const OAEP: &str = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
const PKCS1: &str = "http://www.w3.org/2001/04/xmlenc#rsa-1_5";

impl Verifier<'_> {
    /// The text of the assertion inside an EncryptedAssertion, if the Response holds one.
    pub(super) fn decrypted(&self, response: Node<'_, '_>) -> Result<Option<String>, Refused> {
        if self.has(W::FetchesCiphertext) {
            let pointers = ["CipherReference", "RetrievalMethod"];
            for pointer in response.descendants().filter(|node| pointers.contains(&node.tag_name().name())) {
                self.fetch(pointer.attribute("URI").unwrap_or_default());
            }
        }
        let Some(encrypted) = self.child(response, SAML, "EncryptedAssertion") else { return Ok(None) };
        if !self.has(W::DecryptsUnsigned) {
            let signature = self.child(response, DS, "Signature").ok_or("encrypted and not signed")?;
            self.check(response, signature)?;
        }
        let data = self.child(encrypted, XENC, "EncryptedData").ok_or("no EncryptedData")?;
        let key_info = self.child(data, DS, "KeyInfo").ok_or("no KeyInfo")?;
        let key = self.child(key_info, XENC, "EncryptedKey").ok_or("no EncryptedKey")?;
        let content_key = self.content_key(key)?;
        let method = self.method(data)?;
        let plaintext = match method {
            GCM => open_gcm(&content_key, &self.cipher_value(data)?),
            CBC if self.has(W::Cbc) => open_cbc(&content_key, &self.cipher_value(data)?),
            _ => return Err("another cipher".into()),
        };
        let plaintext = plaintext.ok_or("it does not decrypt")?;
        Ok(Some(String::from_utf8(plaintext).map_err(|_| "not UTF-8")?))
    }

    pub(super) fn read_decrypted(&self, assertion: Node<'_, '_>, response: Node<'_, '_>) -> Result<Login, Refused> {
        self.identity(assertion, response, true)
    }

    fn method<'a>(&self, node: Node<'a, '_>) -> Result<&'a str, Refused> {
        let method = self.child(node, XENC, "EncryptionMethod").and_then(|method| method.attribute("Algorithm"));
        method.ok_or("no EncryptionMethod".into())
    }

    fn cipher_value(&self, node: Node<'_, '_>) -> Result<Vec<u8>, Refused> {
        let data = self.child(node, XENC, "CipherData").and_then(|data| self.child(data, XENC, "CipherValue"));
        self.base64(&self.text(data.ok_or("no CipherValue")?))
    }

    fn content_key(&self, key: Node<'_, '_>) -> Result<Vec<u8>, Refused> {
        let wrapped = self.cipher_value(key)?;
        let private = || PrivateDecryptingKey::from_pkcs8(&der_of_pem(&self.trust.decryption_key)).ok();
        let unwrapped = match self.method(key)? {
            OAEP => private().and_then(|key| OaepPrivateDecryptingKey::new(key).ok()).and_then(|private| {
                let mut buffer = vec![0; private.min_output_size()];
                let key = private.decrypt(&OAEP_SHA1_MGF1SHA1, &wrapped, &mut buffer, None).ok()?;
                Some(key.to_vec())
            }),
            PKCS1 if self.has(W::Pkcs1KeyTransport) => {
                private().and_then(|key| Pkcs1PrivateDecryptingKey::new(key).ok()).and_then(|private| {
                    let mut buffer = vec![0; private.min_output_size()];
                    Some(private.decrypt(&wrapped, &mut buffer).ok()?.to_vec())
                })
            }
            _ => return Err("another key transport".into()),
        };
        unwrapped.ok_or("the key does not decrypt".into())
    }
}

fn open_gcm(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = data.split_at_checked(12)?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key).ok()?);
    let mut plaintext = sealed.to_vec();
    let opened = key.open_in_place(Nonce::try_assume_unique_for_key(nonce).ok()?, Aad::empty(), &mut plaintext).ok()?;
    Some(opened.to_vec())
}

fn open_cbc(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (iv, sealed) = data.split_at_checked(16)?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_128, key).ok()?).ok()?;
    let mut plaintext = sealed.to_vec();
    let context = DecryptionContext::Iv128(FixedLength::<16>::try_from(iv).ok()?);
    Some(key.decrypt(&mut plaintext, context).ok()?.to_vec())
}
