//! Encrypts assertions as an IdP does (XML Encryption 1.1), and as none should.

use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{self, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPublicEncryptingKey, Pkcs1PublicEncryptingKey,
    PrivateDecryptingKey, PublicEncryptingKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::SigningKey;
use super::random_id;
use super::sign::DS;
use super::xml::{Element, Namespace};

const SAML: Namespace = super::SAML;
const XENC: Namespace = Namespace { prefix: "xenc", uri: "http://www.w3.org/2001/04/xmlenc#" };
const XENC11: Namespace = Namespace { prefix: "xenc11", uri: "http://www.w3.org/2009/xmlenc11#" };

const ELEMENT: &str = "http://www.w3.org/2001/04/xmlenc#Element";
const ENCRYPTED_KEY: &str = "http://www.w3.org/2001/04/xmlenc#EncryptedKey";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentCipher {
    Aes128Gcm,
    Aes192Gcm,
    Aes256Gcm,
    Aes128Cbc,
    Aes256Cbc,
}

impl ContentCipher {
    fn uri(self) -> &'static str {
        match self {
            Self::Aes128Gcm => "http://www.w3.org/2009/xmlenc11#aes128-gcm",
            Self::Aes192Gcm => "http://www.w3.org/2009/xmlenc11#aes192-gcm",
            Self::Aes256Gcm => "http://www.w3.org/2009/xmlenc11#aes256-gcm",
            Self::Aes128Cbc => "http://www.w3.org/2001/04/xmlenc#aes128-cbc",
            Self::Aes256Cbc => "http://www.w3.org/2001/04/xmlenc#aes256-cbc",
        }
    }

    fn key_length(self) -> usize {
        match self {
            Self::Aes128Gcm | Self::Aes128Cbc => 16,
            Self::Aes192Gcm => 24,
            Self::Aes256Gcm | Self::Aes256Cbc => 32,
        }
    }

    fn encrypt(self, key: &[u8], plaintext: &str) -> Vec<u8> {
        match self {
            Self::Aes128Gcm => gcm(&aead::AES_128_GCM, key, plaintext),
            Self::Aes192Gcm => gcm(&aead::AES_192_GCM, key, plaintext),
            Self::Aes256Gcm => gcm(&aead::AES_256_GCM, key, plaintext),
            Self::Aes128Cbc => cbc(&cipher::AES_128, key, plaintext),
            Self::Aes256Cbc => cbc(&cipher::AES_256, key, plaintext),
        }
    }
}

/// XML Encryption 1.1 §5.2.4: IV, ciphertext, tag.
fn gcm(algorithm: &'static aead::Algorithm, key: &[u8], plaintext: &str) -> Vec<u8> {
    let iv = random::<12>();
    let mut sealed = plaintext.as_bytes().to_vec();
    LessSafeKey::new(UnboundKey::new(algorithm, key).expect("the key fits"))
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(iv), Aad::empty(), &mut sealed)
        .expect("GCM seals");
    [iv.as_slice(), &sealed].concat()
}

/// §5.2.2: IV, ciphertext.
fn cbc(algorithm: &'static cipher::Algorithm, key: &[u8], plaintext: &str) -> Vec<u8> {
    let key = UnboundCipherKey::new(algorithm, key).expect("the key fits");
    let mut ciphertext = plaintext.as_bytes().to_vec();
    let context = PaddedBlockEncryptingKey::cbc_pkcs7(key).and_then(|key| key.encrypt(&mut ciphertext));
    let context = context.expect("CBC encrypts");
    let iv: &[u8] = (&context).try_into().expect("CBC has an IV");
    [iv, &ciphertext].concat()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).expect("the system has randomness");
    bytes
}

/// How the content's key is encrypted for the recipient, and what its EncryptionMethod says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyTransport {
    /// `rsa-oaep-mgf1p` with a DigestMethod of SHA-1.
    OaepSha1,
    /// The same without a DigestMethod.
    OaepSilent,
    /// xmlenc11 `rsa-oaep` with SHA-256 and MGF1 of SHA-256.
    OaepSha256,
    Rsa15,
}

impl KeyTransport {
    fn method(self) -> Element {
        let method = |uri: &str| Element::new(XENC, "EncryptionMethod").attribute("Algorithm", uri);
        let digest = |uri: &str| Element::new(DS, "DigestMethod").attribute("Algorithm", uri);
        let mgf1p = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p";
        match self {
            Self::OaepSha1 => method(mgf1p).child(digest("http://www.w3.org/2000/09/xmldsig#sha1")),
            Self::OaepSilent => method(mgf1p),
            Self::OaepSha256 => method("http://www.w3.org/2009/xmlenc11#rsa-oaep")
                .child(digest("http://www.w3.org/2001/04/xmlenc#sha256"))
                .child(
                    Element::new(XENC11, "MGF").attribute("Algorithm", "http://www.w3.org/2009/xmlenc11#mgf1sha256"),
                ),
            Self::Rsa15 => method("http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        }
    }

    fn wrap(self, recipient: &SigningKey, content_key: &[u8]) -> Vec<u8> {
        let public = PublicEncryptingKey::from_der(&public_key(recipient)).expect("the recipient's key is RSA");
        let mut wrapped = vec![0; public.key_size_bytes()];
        let oaep = |algorithm: &'static OaepAlgorithm, wrapped: &mut [u8]| {
            let key = OaepPublicEncryptingKey::new(public.clone()).expect("the key fits");
            key.encrypt(algorithm, content_key, wrapped, None).expect("OAEP encrypts");
        };
        match self {
            Self::OaepSha1 | Self::OaepSilent => oaep(&OAEP_SHA1_MGF1SHA1, &mut wrapped),
            Self::OaepSha256 => oaep(&OAEP_SHA256_MGF1SHA256, &mut wrapped),
            Self::Rsa15 => {
                let key = Pkcs1PublicEncryptingKey::new(public.clone()).expect("the key fits");
                key.encrypt(content_key, &mut wrapped).expect("PKCS#1 encrypts");
            }
        }
        wrapped
    }
}

fn public_key(key: &SigningKey) -> Vec<u8> {
    let key = PrivateDecryptingKey::from_pkcs8(&super::key::der_of_pem(key.key_pem())).expect("the key is RSA");
    key.public_key().as_der().expect("a public key has a DER form").as_ref().to_vec()
}

/// Where the EncryptedKey stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    InKeyInfo,
    /// Behind the EncryptedData, without a word about it there.
    Beside,
    /// Behind the EncryptedData, with a RetrievalMethod and a ReferenceList that name one another.
    Referenced,
}

/// Changes a part of the message on its way.
pub type Change = Box<dyn Fn(String) -> String + Send + Sync>;

/// How an assertion is encrypted.
pub struct Encryption {
    /// For whom; only its public half is used.
    pub recipient: &'static SigningKey,
    pub cipher: ContentCipher,
    pub transport: KeyTransport,
    pub place: KeyPlace,
    /// Of the Assertion, before it is encrypted.
    pub plaintext: Option<Change>,
    /// Of the EncryptedAssertion, before the Response is signed. It must stay in canonical form.
    pub written: Option<Change>,
}

impl Encryption {
    pub fn to(recipient: &'static SigningKey) -> Self {
        Self {
            recipient,
            cipher: ContentCipher::Aes256Gcm,
            transport: KeyTransport::OaepSha1,
            place: KeyPlace::InKeyInfo,
            plaintext: None,
            written: None,
        }
    }

    /// The EncryptedAssertion, as a Response holds it.
    pub(super) fn encrypt(&self, assertion: &Element) -> Element {
        let plaintext = changed(self.plaintext.as_ref(), assertion.exclusive());
        let content_key = &random::<32>()[..self.cipher.key_length()];
        let data = cipher_data(&self.cipher.encrypt(content_key, &plaintext));
        let wrapped = cipher_data(&self.transport.wrap(self.recipient, content_key));
        let encrypted = self.element(data, wrapped).exclusive();
        Element::raw(changed(self.written.as_ref(), encrypted))
    }

    fn element(&self, data: Element, wrapped: Element) -> Element {
        let (data_id, key_id) = (random_id(), random_id());
        let method = Element::new(XENC, "EncryptionMethod").attribute("Algorithm", self.cipher.uri());
        let key_info = Element::new(DS, "KeyInfo");
        let encrypted =
            Element::new(XENC, "EncryptedData").attribute("Id", &data_id).attribute("Type", ELEMENT).child(method);
        let key =
            Element::new(XENC, "EncryptedKey").attribute("Id", &key_id).child(self.transport.method()).child(wrapped);
        let whole = Element::new(SAML, "EncryptedAssertion");
        match self.place {
            KeyPlace::InKeyInfo => whole.child(encrypted.child(key_info.child(key)).child(data)),
            KeyPlace::Beside => whole.child(encrypted.child(data)).child(key),
            KeyPlace::Referenced => {
                let to_key = Element::new(DS, "RetrievalMethod")
                    .attribute("Type", ENCRYPTED_KEY)
                    .attribute("URI", format!("#{key_id}"));
                let to_data = Element::new(XENC, "DataReference").attribute("URI", format!("#{data_id}"));
                let key = key.child(Element::new(XENC, "ReferenceList").child(to_data));
                whole.child(encrypted.child(key_info.child(to_key)).child(data)).child(key)
            }
        }
    }
}

fn changed(change: Option<&Change>, text: String) -> String {
    match change {
        Some(change) => change(text),
        None => text,
    }
}

fn cipher_data(bytes: &[u8]) -> Element {
    Element::new(XENC, "CipherData").child(Element::new(XENC, "CipherValue").text(STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::cipher::{DecryptionContext, PaddedBlockDecryptingKey};
    use aws_lc_rs::iv::FixedLength;
    use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, Pkcs1PrivateDecryptingKey};

    use super::*;
    use crate::{key, test_keys};

    /// By cutting strings and with aws-lc-rs alone. What a verifier refuses for its algorithms must else be right.
    fn decrypted(encryption: &Encryption, text: &str) -> String {
        let values: Vec<Vec<u8>> = text
            .split("<xenc:CipherValue>")
            .skip(1)
            .map(|rest| STANDARD.decode(rest.split('<').next().unwrap()).unwrap())
            .collect();
        let [first, second] = values.try_into().unwrap();
        let (wrapped, data) = match encryption.place {
            KeyPlace::InKeyInfo => (first, second),
            KeyPlace::Beside | KeyPlace::Referenced => (second, first),
        };
        let pkcs8 = key::der_of_pem(encryption.recipient.key_pem());
        let private = PrivateDecryptingKey::from_pkcs8(&pkcs8).unwrap();
        let mut buffer = vec![0; wrapped.len()];
        let oaep = || OaepPrivateDecryptingKey::new(private.clone()).unwrap();
        let content_key = match encryption.transport {
            KeyTransport::OaepSha1 | KeyTransport::OaepSilent => {
                oaep().decrypt(&OAEP_SHA1_MGF1SHA1, &wrapped, &mut buffer, None).unwrap().to_vec()
            }
            KeyTransport::OaepSha256 => {
                oaep().decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped, &mut buffer, None).unwrap().to_vec()
            }
            KeyTransport::Rsa15 => {
                let key = Pkcs1PrivateDecryptingKey::new(private.clone()).unwrap();
                key.decrypt(&wrapped, &mut buffer).unwrap().to_vec()
            }
        };
        let plaintext = match encryption.cipher {
            ContentCipher::Aes128Gcm => open_gcm(&aead::AES_128_GCM, &content_key, &data),
            ContentCipher::Aes192Gcm => open_gcm(&aead::AES_192_GCM, &content_key, &data),
            ContentCipher::Aes256Gcm => open_gcm(&aead::AES_256_GCM, &content_key, &data),
            ContentCipher::Aes128Cbc => open_cbc(&cipher::AES_128, &content_key, &data),
            ContentCipher::Aes256Cbc => open_cbc(&cipher::AES_256, &content_key, &data),
        };
        String::from_utf8(plaintext).unwrap()
    }

    fn open_gcm(algorithm: &'static aead::Algorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
        let (iv, sealed) = data.split_at(12);
        let mut sealed = sealed.to_vec();
        let key = LessSafeKey::new(UnboundKey::new(algorithm, key).unwrap());
        let nonce = Nonce::try_assume_unique_for_key(iv).unwrap();
        key.open_in_place(nonce, Aad::empty(), &mut sealed).unwrap().to_vec()
    }

    fn open_cbc(algorithm: &'static cipher::Algorithm, key: &[u8], data: &[u8]) -> Vec<u8> {
        let (iv, ciphertext) = data.split_at(16);
        let mut ciphertext = ciphertext.to_vec();
        let key = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(algorithm, key).unwrap()).unwrap();
        let iv: [u8; 16] = iv.try_into().unwrap();
        key.decrypt(&mut ciphertext, DecryptionContext::Iv128(FixedLength::from(iv))).unwrap().to_vec()
    }

    #[test]
    fn what_it_encrypts_decrypts_to_the_assertion() {
        use ContentCipher::{Aes128Cbc, Aes128Gcm, Aes192Gcm, Aes256Cbc, Aes256Gcm};
        use KeyTransport::{OaepSha1, OaepSha256, OaepSilent, Rsa15};
        let assertion = Element::new(SAML, "Assertion").attribute("ID", "_a").text("plain & true");
        for cipher in [Aes128Gcm, Aes192Gcm, Aes256Gcm, Aes128Cbc, Aes256Cbc] {
            for transport in [OaepSha1, OaepSilent, OaepSha256, Rsa15] {
                for place in [KeyPlace::InKeyInfo, KeyPlace::Beside, KeyPlace::Referenced] {
                    let to = Encryption::to(test_keys::decryption());
                    let encryption = Encryption { cipher, transport, place, ..to };
                    let text = encryption.encrypt(&assertion).exclusive();
                    assert!(text.contains(cipher.uri()) && !text.contains("plain"));
                    assert_eq!(decrypted(&encryption, &text), assertion.exclusive());
                }
            }
        }
    }
}
