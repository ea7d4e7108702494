//! Writes the seeds of the corpora anew: messages as an IdP makes them, and the smallest of each kind.
//!
//! `cargo run --manifest-path saml-core/fuzz/Cargo.toml --example seeds`, from the project's root.

use std::fs;
use std::io;
use std::path::Path;

use issuer::logout::{LogoutSpec, deflate};
use issuer::{Canonicalization, ResponseSpec, Sign, test_keys};
use known::form_body;
use time::OffsetDateTime;

const IDP: &str = "jumpcloud-samlgate";
const SP: &str = "https://app.example.com/saml/metadata";
const ACS: &str = "https://app.example.com/saml/acs";
const SLO: &str = "https://app.example.com/saml/slo";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";

fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(1_795_445_071).expect("a time")
}

fn response(sign: Sign, canonicalization: Canonicalization) -> String {
    let mut spec = ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now())
        .in_response_to(REQUEST)
        .sign(sign)
        .claims("ada@example.com", "5f3c0de5", &["admins", "staff & friends"]);
    spec.response_id = Some("_response".to_owned());
    spec.assertion_id = Some("_assertion".to_owned());
    spec.session_index = Some("_session".to_owned());
    spec.canonicalization = canonicalization;
    spec.issue(test_keys::p256()).xml
}

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(corpus.join(target))?;
        fs::write(corpus.join(target).join(name), bytes)
    };
    let both = response(Sign::Both, Canonicalization::Exclusive);
    let messages = [
        ("both", both.clone()),
        ("assertion", response(Sign::Assertion, Canonicalization::Exclusive)),
        ("response", response(Sign::Response, Canonicalization::Exclusive)),
        ("inclusive", response(Sign::Both, Canonicalization::Inclusive)),
    ];
    for (name, message) in &messages {
        for target in ["response", "shape", "parser", "bytes"] {
            write(target, name, message.as_bytes())?;
        }
        write("canonical", name, format!("\x10{message}").as_bytes())?;
        write("form", name, &form_body("SAMLResponse", message.as_bytes()))?;
    }
    let with_relay_state = [form_body("SAMLResponse", both.as_bytes()), b"&RelayState=abc".to_vec()].concat();
    write("form", "relay-state", &with_relay_state)?;
    write("bytes", "declared", b"<?xml version='1.0' encoding='UTF-8' standalone='yes'?>\r\n<a>\xc3\xa4</a>")?;
    for (name, document) in [
        ("namespaces", "<a:b xmlns:a=\"urn:a\" xmlns=\"urn:d\" a:x=\"1\" y=\"&lt;&#10;&amp;\"><c xmlns=\"\"/>t&#x41;&gt;</a:b>"),
        ("nested", "<a><b><c><d x='&quot;'>text</d><e/></c></b></a>"),
    ] {
        write("parser", name, document.as_bytes())?;
        write("canonical", name, format!("\x01{document}").as_bytes())?;
    }
    let certificate = test_keys::p256().certificate_base64();
    let metadata = format!(
        "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"idp\"><md:IDPSSODescriptor \
         protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"><md:KeyDescriptor use=\"signing\">\
         <ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data><ds:X509Certificate>{certificate}\
         </ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor><md:SingleLogoutService \
         Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST\" Location=\"https://idp.example/slo\"/>\
         <md:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.example/sso\"/></md:IDPSSODescriptor></md:EntityDescriptor>"
    );
    write("metadata", "redirect", metadata.as_bytes())?;
    write("metadata", "several", format!("<!-- c --><md:EntitiesDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\">{metadata}</md:EntitiesDescriptor>").as_bytes())?;

    let mut request = LogoutSpec::request(IDP, SLO, "ada@example.com", now());
    request.id = "_logout".to_owned();
    let mut answer = LogoutSpec::response(IDP, SLO, REQUEST, now());
    answer.id = "_answer".to_owned();
    write("logout", "request", request.signed(test_keys::p256()).as_bytes())?;
    write("logout", "response", answer.signed(test_keys::p256()).as_bytes())?;
    write("redirect", "message", request.unsigned().as_bytes())?;
    write("redirect", "compressed", &deflate(request.unsigned().as_bytes()))?;
    write("redirect", "query", request.query(None, test_keys::p256()).text().as_bytes())
}
