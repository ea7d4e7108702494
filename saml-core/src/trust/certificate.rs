//! A certificate as a container of a pinned key.

use std::fmt;

use aws_lc_rs::digest;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::key::PinnedKey;
use super::pem;
use crate::ids::push_hex;
use crate::time::Timestamp;

/// SHA-256 over the DER of a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(crate) fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(digest::digest(&digest::SHA256, der).as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// `sha256:` and 64 hexadecimal digits in either case, with or without the colons that OpenSSL puts
    /// between the bytes.
    ///
    /// # Errors
    /// Anything else; a fingerprint by another hash above all.
    pub fn parse(text: &str) -> Result<Self, FingerprintError> {
        let malformed = || FingerprintError { seen: text.chars().take(100).collect() };
        let digits = text.strip_prefix("sha256:").ok_or_else(malformed)?;
        let groups: Vec<&str> = digits.split(':').collect();
        let grouped = groups.len() == 32 && groups.iter().all(|group| group.len() == 2);
        if !grouped && groups.len() != 1 {
            return Err(malformed());
        }
        let digits = groups.concat();
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return Err(malformed());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            for digit in pair {
                let digit = char::from(*digit).to_digit(16).ok_or_else(malformed)?;
                *byte = *byte << 4 | digit as u8;
            }
        }
        Ok(Self(bytes))
    }
}

/// Text that is no fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "fingerprint is {seen:?}: write `sha256:` and the 64 hexadecimal digits that `openssl x509 -noout -fingerprint -sha256` shows"
)]
pub struct FingerprintError {
    pub seen: String,
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("sha256:");
        push_hex(&mut text, &self.0);
        f.write_str(&text)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text or bytes that hold no certificate that can be pinned. The code is `certificate_unreadable`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("certificate is empty: paste the whole of certificate.pem")]
    Empty,
    #[error(
        "certificate is a {found}: paste the whole of certificate.pem, the file that JumpCloud offers under IDP Certificate Valid, Download Certificate"
    )]
    NotACertificate { found: String },
    #[error("certificate has a line {begin} without its {end}: it is truncated; paste the whole of certificate.pem")]
    Truncated { begin: String, end: String },
    #[error("certificate is not base64 ({problem}): it is damaged or truncated; paste the whole of certificate.pem")]
    NotBase64 { problem: String },
    #[error(
        "certificate does not parse as X.509 ({problem}): it is damaged or truncated; paste the whole of certificate.pem"
    )]
    NotX509 { problem: String },
    #[error("certificate cannot be used: {problem}; have the IdP make another")]
    KeyUnusable { problem: String },
}

impl CertificateError {
    pub fn code(&self) -> &'static str {
        "certificate_unreadable"
    }
}

/// A certificate whose key is pinned.
#[derive(Clone, Debug)]
pub struct Certificate {
    der: Box<[u8]>,
    key: PinnedKey,
    fingerprint: Fingerprint,
    subject: Box<str>,
    not_before: Timestamp,
    not_after: Timestamp,
}

/// All of a certificate is in its DER.
impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl Certificate {
    /// Reads every certificate in `input`: PEM in any shape that people paste (with or without the
    /// BEGIN and END lines, CRLF, one line, `\n` written out, base64 of the PEM, several), or DER.
    ///
    /// # Errors
    /// There is none, or one of them is damaged, a key, a page, or holds a key that is too weak.
    pub fn parse_all(input: &[u8]) -> Result<Vec<Self>, CertificateError> {
        pem::certificates(input)?.iter().map(|der| Self::from_der(der)).collect()
    }

    pub(crate) fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let not_x509 = |problem: String| CertificateError::NotX509 { problem };
        let (rest, certificate) = X509Certificate::from_der(der).map_err(|error| not_x509(error.to_string()))?;
        if !rest.is_empty() {
            return Err(not_x509(format!("{} bytes follow it", rest.len())));
        }
        Ok(Self {
            der: der.into(),
            key: PinnedKey::from_spki(certificate.public_key())?,
            fingerprint: Fingerprint::of(der),
            subject: certificate.subject().to_string().into(),
            not_before: Timestamp::from_unix(certificate.validity().not_before.timestamp(), 0),
            not_after: Timestamp::from_unix(certificate.validity().not_after.timestamp(), 0),
        })
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(crate) fn key(&self) -> &PinnedKey {
        &self.key
    }

    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    pub fn subject(&self) -> &str {
        &self.subject
    }

    pub fn not_before(&self) -> Timestamp {
        self.not_before
    }

    pub fn not_after(&self) -> Timestamp {
        self.not_after
    }

    /// Such as `RSA 4096` or `ECDSA P-256`.
    pub fn key_description(&self) -> String {
        self.key.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_fingerprint_as_it_and_openssl_write_it() {
        let fingerprint = Fingerprint::of(b"a certificate");
        let written = fingerprint.to_string();
        assert_eq!(Fingerprint::parse(&written), Ok(fingerprint));
        let digits = written.strip_prefix("sha256:").unwrap().to_ascii_uppercase();
        assert_eq!(Fingerprint::parse(&format!("sha256:{digits}")), Ok(fingerprint));
        let pairs: Vec<&str> = (0..32).map(|at| &digits[2 * at..2 * at + 2]).collect();
        assert_eq!(Fingerprint::parse(&format!("sha256:{}", pairs.join(":"))), Ok(fingerprint));
    }

    #[test]
    fn refuses_what_is_no_sha256_fingerprint() {
        let digits = "ab".repeat(32);
        for text in [
            String::new(),
            digits.clone(),
            format!("sha1:{digits}"),
            format!("SHA256:{digits}"),
            format!("sha256: {digits}"),
            format!("sha256:{digits}ab"),
            format!("sha256:{}", "ab".repeat(31)),
            format!("sha256:{}", "ag".repeat(32)),
            format!("sha256:+{}", &digits[1..]),
            format!("sha256:\u{e4}{}", &digits[2..]),
            format!("sha256:{}", "ab:".repeat(32)),
            format!("sha256:{}", "abcd:".repeat(16).trim_end_matches(':')),
            format!("sha256:a:{}", "ab:".repeat(31)),
        ] {
            assert!(Fingerprint::parse(&text).is_err(), "{text}");
        }
    }
}
