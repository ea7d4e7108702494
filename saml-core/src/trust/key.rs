//! A public key that signatures are verified with.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::certificate::CertificateError;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum HashAlgorithm {
    Sha256,
    Sha384,
    Sha512,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum KeyFamily {
    Rsa,
    Ecdsa,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum KeyShape {
    Rsa { bits: usize },
    P256,
    P384,
}

/// A key, parsed once for each hash that it may be used with.
#[derive(Clone)]
pub(crate) struct PinnedKey(Arc<Parsed>);

struct Parsed {
    shape: KeyShape,
    /// The subjectPublicKey: for RSA the RSAPublicKey of RFC 8017, for a curve the point.
    subject_public_key: Box<[u8]>,
    sha256: ParsedPublicKey,
    sha384: ParsedPublicKey,
    sha512: ParsedPublicKey,
}

const MIN_RSA_BITS: usize = 2048;
const MAX_RSA_BITS: usize = 8192;

impl PinnedKey {
    pub(super) fn from_spki(spki: &SubjectPublicKeyInfo<'_>) -> Result<Self, CertificateError> {
        let shape = shape_of(spki)?;
        let algorithms: [&'static dyn VerificationAlgorithm; 3] = match shape {
            KeyShape::Rsa { .. } => [
                &signature::RSA_PKCS1_2048_8192_SHA256,
                &signature::RSA_PKCS1_2048_8192_SHA384,
                &signature::RSA_PKCS1_2048_8192_SHA512,
            ],
            KeyShape::P256 => [
                &signature::ECDSA_P256_SHA256_ASN1,
                &signature::ECDSA_P256_SHA384_ASN1,
                &signature::ECDSA_P256_SHA512_ASN1,
            ],
            KeyShape::P384 => [
                &signature::ECDSA_P384_SHA256_ASN1,
                &signature::ECDSA_P384_SHA384_ASN1,
                &signature::ECDSA_P384_SHA512_ASN1,
            ],
        };
        let [sha256, sha384, sha512] = algorithms.map(|algorithm| ParsedPublicKey::new(algorithm, spki.raw));
        match (sha256, sha384, sha512) {
            (Ok(sha256), Ok(sha384), Ok(sha512)) => {
                let subject_public_key = spki.subject_public_key.data.as_ref().into();
                Ok(Self(Arc::new(Parsed { shape, subject_public_key, sha256, sha384, sha512 })))
            }
            _ => Err(CertificateError::KeyUnusable { problem: "its key does not parse".to_owned() }),
        }
    }

    pub(crate) fn family(&self) -> KeyFamily {
        match self.0.shape {
            KeyShape::Rsa { .. } => KeyFamily::Rsa,
            KeyShape::P256 | KeyShape::P384 => KeyFamily::Ecdsa,
        }
    }

    pub(crate) fn is_public_key(&self, subject_public_key: &[u8]) -> bool {
        *self.0.subject_public_key == *subject_public_key
    }

    /// The only length in bytes that a SignatureValue by this key has: the RSA modulus (RFC 8017 §8.2.2),
    /// or r and s side by side (XML Signature 1.1 §6.4.3).
    pub(crate) fn signature_length(&self) -> usize {
        match self.0.shape {
            KeyShape::Rsa { bits } => bits.div_ceil(8),
            KeyShape::P256 => 64,
            KeyShape::P384 => 96,
        }
    }

    pub(crate) fn verifies(&self, hash: HashAlgorithm, message: &[u8], signature_value: &[u8]) -> bool {
        if signature_value.len() != self.signature_length() {
            return false;
        }
        let key = match hash {
            HashAlgorithm::Sha256 => &self.0.sha256,
            HashAlgorithm::Sha384 => &self.0.sha384,
            HashAlgorithm::Sha512 => &self.0.sha512,
        };
        match self.family() {
            KeyFamily::Rsa => key.verify_sig(message, signature_value).is_ok(),
            KeyFamily::Ecdsa => key.verify_sig(message, &der_signature(signature_value)).is_ok(),
        }
    }
}

fn shape_of(spki: &SubjectPublicKeyInfo<'_>) -> Result<KeyShape, CertificateError> {
    let unusable = |problem: String| CertificateError::KeyUnusable { problem };
    match spki.parsed() {
        Ok(PublicKey::RSA(rsa)) => {
            let bits = significant_bits(rsa.modulus);
            if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
                return Err(unusable(format!(
                    "its RSA key has {bits} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted"
                )));
            }
            match rsa.try_exponent() {
                Ok(exponent) if exponent >= 65_537 && exponent % 2 == 1 => Ok(KeyShape::Rsa { bits }),
                _ => Err(unusable("its RSA exponent is even, below 65537 or longer than 64 bits".to_owned())),
            }
        }
        Ok(PublicKey::EC(point)) => match point.key_size() {
            256 => Ok(KeyShape::P256),
            384 => Ok(KeyShape::P384),
            bits => Err(unusable(format!("its elliptic curve key has {bits} bits; P-256 and P-384 are accepted"))),
        },
        _ => Err(unusable("its key is neither RSA nor on the curves P-256 and P-384".to_owned())),
    }
}

fn significant_bits(number: &[u8]) -> usize {
    let number = number.iter().position(|byte| *byte != 0).and_then(|first| number.get(first..)).unwrap_or_default();
    number.first().map_or(0, |first| number.len() * 8 - first.leading_zeros() as usize)
}

/// `r || s` as the DER `SEQUENCE { INTEGER, INTEGER }` that the library reads. At most 2 * 48 bytes go
/// in, so every length fits into one byte.
fn der_signature(fixed: &[u8]) -> Vec<u8> {
    let (r, s) = fixed.split_at(fixed.len() / 2);
    let mut body = Vec::with_capacity(fixed.len() + 8);
    for half in [r, s] {
        let digits = half.iter().position(|byte| *byte != 0).and_then(|first| half.get(first..)).unwrap_or(&[0]);
        let sign = digits.first().is_some_and(|first| *first >= 0x80);
        body.push(0x02);
        body.push((digits.len() + usize::from(sign)) as u8);
        if sign {
            body.push(0);
        }
        body.extend_from_slice(digits);
    }
    let mut der = Vec::with_capacity(body.len() + 2);
    der.push(0x30);
    der.push(body.len() as u8);
    der.append(&mut body);
    der
}

impl fmt::Display for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.shape {
            KeyShape::Rsa { bits } => write!(f, "RSA {bits}"),
            KeyShape::P256 => f.write_str("ECDSA P-256"),
            KeyShape::P384 => f.write_str("ECDSA P-384"),
        }
    }
}

impl fmt::Debug for PinnedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinnedKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::der_signature;

    #[test]
    fn writes_r_and_s_as_minimal_positive_integers() {
        let mut fixed = [0_u8; 64];
        fixed[31] = 0x7f;
        fixed[32] = 0x80;
        let mut expected = vec![0x30, 3 + 2 + 33, 0x02, 1, 0x7f, 0x02, 33, 0, 0x80];
        expected.extend([0; 31]);
        assert_eq!(der_signature(&fixed), expected);
        assert_eq!(der_signature(&[0; 64]), [0x30, 6, 0x02, 1, 0, 0x02, 1, 0]);
    }
}
