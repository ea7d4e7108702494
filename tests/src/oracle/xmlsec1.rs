//! The program xmlsec1: one signature of one file, with one pinned certificate.

use std::path::Path;
use std::process::{Command, Stdio};

const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";

#[derive(Debug, Clone, Copy)]
pub(super) enum Signed {
    Response,
    Assertion,
}

/// Whether xmlsec1 verifies the Signature of the Response or of the Assertion. Of a KeyInfo it takes nothing: a
/// certificate in it would need an issuer that is trusted, and no other kind of key is enabled.
pub(super) fn verifies(file: &Path, signed: Signed, certificate: &Path) -> bool {
    let path = match signed {
        Signed::Response => "/*/*[local-name()='Signature']",
        Signed::Assertion => "/*/*[local-name()='Assertion']/*[local-name()='Signature']",
    };
    let ids = [format!("{SAMLP}:Response"), format!("{SAML}:Assertion")];
    verify(file, path, &ids, certificate)
}

/// `ids` are the elements, `namespace:name`, whose attribute `ID` is one.
pub(super) fn verify(file: &Path, signature: &str, ids: &[String], certificate: &Path) -> bool {
    let mut command = Command::new("xmlsec1");
    command.args(["--verify", "--enabled-reference-uris", "same-doc", "--enabled-key-data", "raw-x509-cert"]);
    command.arg("--pubkey-cert-pem").arg(certificate);
    for id in ids {
        command.args(["--id-attr:ID", id]);
    }
    command.args(["--node-xpath", signature]).arg(file);
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.expect("xmlsec1 runs").success()
}
