//! Certificates in every shape that people paste.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};
use saml_core::{Certificate, ClaimNames, EntityId, IdpId, Sign, TrustError, TrustedIdp};

struct Made {
    pem: String,
    der: Vec<u8>,
    key_pem: String,
}

fn made() -> Made {
    made_with(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap())
}

fn made_with(key: &KeyPair) -> Made {
    let certificate = CertificateParams::new(vec!["idp.example".to_owned()]).unwrap().self_signed(key).unwrap();
    Made { pem: certificate.pem(), der: certificate.der().to_vec(), key_pem: key.serialize_pem() }
}

fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn reads(input: &[u8], expected: &[&Made]) {
    let shown = String::from_utf8_lossy(input);
    let found = Certificate::parse_all(input).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let fingerprints = |list: &[Certificate]| list.iter().map(Certificate::fingerprint).collect::<Vec<_>>();
    let wanted: Vec<Certificate> =
        expected.iter().flat_map(|made| Certificate::parse_all(&made.der).unwrap()).collect();
    assert_eq!(fingerprints(&found), fingerprints(&wanted), "{shown}");
}

#[track_caller]
fn refuses(input: &[u8], part: &str) {
    let error = Certificate::parse_all(input).map(|found| found.len()).unwrap_err();
    assert_eq!(error.code(), "certificate_unreadable");
    assert!(error.to_string().contains(part), "{part}: {error}");
}

#[test]
fn reads_one_certificate_in_any_shape() {
    let made = made();
    let one_line = body(&made.pem).replace('\n', "");
    for text in [
        made.pem.clone(),
        made.pem.replace('\n', "\r\n"),
        made.pem.replace('\n', " "),
        made.pem.replace('\n', ""),
        made.pem.replace('\n', "\\n"),
        made.pem.replace('\n', "\\r\\n"),
        format!("\u{feff}{}", made.pem),
        format!("\n\n  {}\n\n", made.pem.replace('\n', "\n  ")),
        format!("Bag Attributes\n  friendlyName: x\nsubject=CN = x\n{}", made.pem),
        body(&made.pem),
        body(&made.pem).replace('\n', "\r\n"),
        body(&made.pem).replace('\n', "\\r\\n"),
        one_line,
        made.pem.replace("CERTIFICATE", "TRUSTED CERTIFICATE"),
        // As JumpCloud's API gives it.
        STANDARD.encode(&made.pem),
    ] {
        reads(text.as_bytes(), &[&made]);
    }
    reads(&made.der, &[&made]);
}

#[test]
fn reads_several_certificates() {
    let (one, two) = (made(), made());
    reads(format!("{}{}", one.pem, two.pem).as_bytes(), &[&one, &two]);
    reads(format!("{} {}", one.pem.replace('\n', ""), two.pem.replace('\n', "")).as_bytes(), &[&one, &two]);
    reads(format!("{}\n\n{}", body(&one.pem), body(&two.pem)).as_bytes(), &[&one, &two]);
}

#[test]
fn refuses_everything_else_and_says_what_it_is() {
    let made = made();
    refuses(b"", "empty");
    refuses(b"  \r\n", "empty");
    refuses(made.key_pem.as_bytes(), "private key");
    refuses(format!("{}{}", made.pem, made.key_pem).as_bytes(), "private key");
    refuses(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "public key");
    refuses(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----", "certificate request");
    refuses(b"<!DOCTYPE html><html></html>", "web page");
    refuses(b"<md:EntityDescriptor xmlns:md=\"x\"/>", "metadata_file");
    refuses(b"hello", "base64");
    refuses(b"\xff\xfe\0", "neither text nor DER");
    let half = &made.pem[..made.pem.len() / 2];
    refuses(half.as_bytes(), "truncated");
    refuses(body(half).as_bytes(), "damaged or truncated");
    refuses(made.pem.replace("-----BEGIN CERTIFICATE-----", "").as_bytes(), "BEGIN CERTIFICATE");
    let mut longer = made.der.clone();
    longer.push(0);
    refuses(&longer, "follow");
}

#[test]
fn refuses_keys_that_are_weak_or_of_another_kind() {
    refuses(made_with(&KeyPair::generate_for(&PKCS_ED25519).unwrap()).pem.as_bytes(), "neither RSA nor");
    let p384 = made_with(&KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap());
    assert_eq!(Certificate::parse_all(p384.pem.as_bytes()).unwrap()[0].key_description(), "ECDSA P-384");
}

#[test]
fn an_idp_has_one_to_four_different_keys() {
    let trust = |certificates: &[&Made]| {
        let certificates = certificates.iter().flat_map(|made| Certificate::parse_all(&made.der).unwrap()).collect();
        let (id, entity_id) = (IdpId::parse("idp").unwrap(), EntityId::parse("idp").unwrap());
        TrustedIdp::new(id, entity_id, certificates, Sign::Any, ClaimNames::default())
    };
    let made: Vec<Made> = (0..5).map(|_| made()).collect();
    let all: Vec<&Made> = made.iter().collect();
    assert_eq!(trust(&[]).unwrap_err(), TrustError::NoKey);
    assert_eq!(trust(&[all[0], all[0]]).unwrap().certificates().len(), 1);
    assert_eq!(trust(&all[..4]).unwrap().certificates().len(), 4);
    assert_eq!(trust(&all).unwrap_err(), TrustError::TooManyKeys { count: 5 });
}
