//! The many shapes in which people paste a certificate, reduced to DER.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::certificate::CertificateError;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";

/// The DER of each certificate in `input`.
pub(super) fn certificates(input: &[u8]) -> Result<Vec<Vec<u8>>, CertificateError> {
    match std::str::from_utf8(input) {
        Ok(text) => from_text(text, Nesting::Outer),
        Err(_) if input.first() == Some(&0x30) => Ok(vec![input.to_vec()]),
        Err(_) => Err(not_a_certificate("file that is neither text nor DER")),
    }
}

/// JumpCloud's API hands out base64 of the PEM; that is unpacked once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nesting {
    Outer,
    Inner,
}

fn from_text(text: &str, nesting: Nesting) -> Result<Vec<Vec<u8>>, CertificateError> {
    let text = text.trim_start_matches('\u{feff}').replace("\\r", "").replace("\\n", "\n");
    let text = text.trim();
    if text.is_empty() {
        return Err(CertificateError::Empty);
    }
    if text.contains(BEGIN) { from_pem(text) } else { from_bare_base64(text, nesting) }
}

fn from_pem(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, block)) = rest.split_once(BEGIN) {
        let (label, body) = block.split_once(DASHES).ok_or_else(|| truncated("CERTIFICATE"))?;
        if !matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE") {
            return Err(not_a_certificate(match label {
                "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => "certificate request",
                label if label.ends_with("PRIVATE KEY") => "private key",
                label if label.ends_with("PUBLIC KEY") => "public key without its certificate",
                _ => "PEM block of another kind",
            }));
        }
        let end = format!("{END}{label}{DASHES}");
        let (body, after) = body.split_once(&end).ok_or_else(|| truncated(label))?;
        found.push(decode(body)?);
        rest = after;
    }
    Ok(found)
}

fn from_bare_base64(text: &str, nesting: Nesting) -> Result<Vec<Vec<u8>>, CertificateError> {
    if text.starts_with('<') {
        let lower = text.get(..text.len().min(2048)).unwrap_or(text).to_ascii_lowercase();
        return Err(not_a_certificate(match lower {
            lower if lower.contains("entitydescriptor") => "metadata document (it belongs under metadata_file)",
            lower if lower.contains("<html") || lower.contains("<!doctype html") => "web page",
            _ => "XML document",
        }));
    }
    if text.contains(END) {
        return Err(CertificateError::Truncated {
            begin: "-----END CERTIFICATE-----".to_owned(),
            end: "-----BEGIN CERTIFICATE-----".to_owned(),
        });
    }
    let blocks: Vec<&str> = blank_line_separated(text);
    let mut found = Vec::new();
    for block in blocks {
        let der = decode(block)?;
        match std::str::from_utf8(&der) {
            Ok(inner) if inner.contains(BEGIN) && nesting == Nesting::Outer => {
                found.append(&mut from_text(inner, Nesting::Inner)?);
            }
            _ => found.push(der),
        }
    }
    Ok(found)
}

fn blank_line_separated(text: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let mut start = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim().is_empty() {
            blocks.extend(text.get(start..offset));
            start = offset + line.len();
        }
        offset += line.len();
    }
    blocks.extend(text.get(start..));
    blocks.retain(|block| !block.trim().is_empty());
    blocks
}

fn decode(body: &str) -> Result<Vec<u8>, CertificateError> {
    let compact: String = body.chars().filter(|character| !character.is_whitespace()).collect();
    if compact.is_empty() {
        return Err(CertificateError::Empty);
    }
    STANDARD.decode(compact).map_err(|error| CertificateError::NotBase64 { problem: error.to_string() })
}

fn not_a_certificate(found: &str) -> CertificateError {
    CertificateError::NotACertificate { found: found.to_owned() }
}

fn truncated(label: &str) -> CertificateError {
    CertificateError::Truncated { begin: format!("-----BEGIN {label}-----"), end: format!("-----END {label}-----") }
}
