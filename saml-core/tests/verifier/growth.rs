//! No accepted document canonicalises to more than eight times its size: canonicalization writes a namespace again on
//! each sibling that uses it, and is paid for before a digest can be wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saml_core::{LogoutMessage, Sign, SloUrl, Timestamp};

use crate::parties::{IDP, NOW, REQUEST, assert_accepted, assert_refused, good, idp, key, service_provider};

const SLO: &str = "https://app.example.com/saml/slo";

/// A response with `count` attributes, each with two attributes of foreign namespaces that the root declares.
fn with_foreign(count: usize, length_of_namespace: usize) -> String {
    let name = |letter: &str| format!("urn:{}", letter.repeat(length_of_namespace - 4));
    let xml = good().issue(key()).xml;
    let attributes = "<A:Attribute Name=\"a\" p:a=\"\" q:a=\"\"></A:Attribute>".repeat(count);
    let at = xml.rfind("<saml:Attribute ").unwrap();
    let root = xml.find("Response").unwrap() + "Response".len();
    let declarations = format!(
        " xmlns:A=\"urn:oasis:names:tc:SAML:2.0:assertion\" xmlns:p=\"{}\" xmlns:q=\"{}\"",
        name("p"),
        name("q")
    );
    [&xml[..root], &declarations, &xml[root..at], &attributes, &xml[at..]].concat()
}

#[test]
fn refuses_namespaces_by_which_a_canonical_form_grows_without_measure() {
    assert_accepted(&good().issue(key()).xml, Sign::AssertionAndResponse);
    assert_refused(&with_foreign(2_000, 256), Sign::AssertionAndResponse, "xml_limit_exceeded");
    assert_refused(&with_foreign(1, 81), Sign::AssertionAndResponse, "xml_limit_exceeded");
    // Of the right form: what is wrong with it is that it was not signed so.
    assert_refused(&with_foreign(1, 80), Sign::AssertionAndResponse, "digest_mismatch");
}

#[test]
fn a_reference_in_a_namespace_name_does_not_evade_its_bound() {
    let xml = with_foreign(1, 80).replace("urn:p", "urn:&amp;");
    assert_refused(&xml, Sign::AssertionAndResponse, "xml_namespace_forbidden");
}

#[test]
fn a_key_info_has_a_bound_of_its_own() {
    let with = |count: usize| {
        let xml = good().issue(key()).xml;
        let key_info = format!("<ds:KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\">{}", "<b/>".repeat(count));
        let at = xml.rfind("<ds:KeyInfo>").unwrap();
        [&xml[..at], &key_info, &xml[at + "<ds:KeyInfo>".len()..]].concat()
    };
    // X509Data and X509Certificate are in it.
    assert_refused(&with(62), Sign::AssertionAndResponse, "digest_mismatch");
    assert_refused(&with(63), Sign::AssertionAndResponse, "shape_forbidden");
}

/// A LogoutResponse that nobody signed, with the Signature of somebody's login, which is found to hold before the digest
/// is found to differ; what stands below its StatusDetail is not read.
#[test]
fn a_logout_response_does_not_grow_by_what_is_not_read_in_it() {
    let login = good().issue(key()).xml;
    let (start, end) = (login.find("<ds:Signature").unwrap(), login.find("</ds:Signature>").unwrap());
    let signature = &login[start..end + "</ds:Signature>".len()];
    let id = signature.split("URI=\"#").nth(1).unwrap().split('"').next().unwrap();
    let instant = Timestamp::from_unix(NOW, 0);
    let refusal = |detail: &str| {
        let xml = format!(
            "<s:LogoutResponse xmlns:s=\"urn:oasis:names:tc:SAML:2.0:protocol\" xmlns:t=\"urn:oasis:names:tc:SAML:2.0:assertion\" \
             ID=\"{id}\" Version=\"2.0\" IssueInstant=\"{instant}\" Destination=\"{SLO}\" InResponseTo=\"{REQUEST}\">\
             <t:Issuer>{IDP}</t:Issuer>{signature}<s:Status>\
             <s:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"/>{detail}</s:Status></s:LogoutResponse>"
        );
        let body =
            form_urlencoded::Serializer::new(String::new()).append_pair("SAMLResponse", &STANDARD.encode(xml)).finish();
        let message =
            LogoutMessage::from_form(Some("application/x-www-form-urlencoded"), None, body.as_bytes()).unwrap();
        let (idp, slo) = (idp(&[key()], Sign::AssertionAndResponse), SloUrl::parse(SLO).unwrap());
        message.verify(&[&idp], &service_provider(), &slo, instant).map(drop).map_err(|rejection| rejection.code())
    };
    assert_eq!(refusal(""), Err("digest_mismatch"));
    let detail = |length: usize, count: usize| {
        format!("<s:StatusDetail xmlns=\"u:{}\">{}</s:StatusDetail>", "x".repeat(length), "<X/>".repeat(count))
    };
    assert_eq!(refusal(&detail(250, 10)), Err("digest_mismatch"));
    assert_eq!(refusal(&detail(250, 3_900)), Err("xml_limit_exceeded"));
}
