//! Trust in an IdP from its metadata file.

use saml_core::{Sign, SsoUrl};

use crate::support::{END, Folder, instead};

const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

/// As JumpCloud exports it: one EntityDescriptor, the same address for each binding that it declares.
pub(crate) fn metadata(folder: &Folder, attributes: &str, bindings: &[(&str, &str)]) -> String {
    let certificate: String = folder.certificate.lines().filter(|line| !line.starts_with("-----")).collect();
    let services: String = bindings
        .iter()
        .map(|(binding, location)| format!("<md:SingleSignOnService Binding=\"{binding}\" Location=\"{location}\"/>\n"))
        .collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- exported -->\n\
         <md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"jumpcloud-samlgate\"{attributes}>\n\
         <md:IDPSSODescriptor WantAuthnRequestsSigned=\"false\" protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">\n\
         <md:KeyDescriptor use=\"signing\"><ds:KeyInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"><ds:X509Data>\
         <ds:X509Certificate>\n{certificate}\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>\n\
         {services}</md:IDPSSODescriptor></md:EntityDescriptor>\n"
    )
}

pub(crate) fn settings(more: &str) -> String {
    instead(
        "    sso_url: https://sso.jumpcloud.com/saml2/samlgate\n    certificate_file: certificate.pem\n",
        &format!("    metadata_file: metadata.xml\n{more}"),
    )
}

const BOTH: [(&str, &str); 2] = [(REDIRECT, "https://idp.example/redirect"), (POST, "https://idp.example/post")];

#[test]
fn metadata_gives_the_certificate_and_the_address_of_the_binding() {
    let folder = Folder::new();
    folder.write("metadata.xml", &metadata(&folder, "", &BOTH), 0o644);
    for (more, address) in [
        ("", "https://idp.example/redirect"),
        ("    binding: redirect\n", "https://idp.example/redirect"),
        ("    binding: post\n", "https://idp.example/post"),
        ("    sso_url: https://other.example/\n", "https://other.example/"),
    ] {
        let idp = folder.accepted(&settings(more)).settings.identity_providers.remove(0);
        assert_eq!(idp.sso_url().map(SsoUrl::as_str), Some(address));
        assert_eq!(idp.certificates().len(), 1);
        assert_eq!(idp.sign, Sign::AssertionAndResponse);
    }
}

#[test]
fn a_redirect_endpoint_that_jumpcloud_does_not_declare_is_named_with_its_cure() {
    let folder = Folder::new();
    folder.write("metadata.xml", &metadata(&folder, "", &BOTH[1..]), 0o644);
    let error = folder.only_mistake(&settings(""));
    assert_eq!(error.code, Some("idp_declares_no_redirect"), "{error}");
    assert_eq!(error.path, "identity_providers[0].metadata_file");
    assert!(error.cure.contains("Declare Redirect Endpoint") && error.cure.contains("binding: post"), "{error}");
    for more in ["    binding: post\n", "    sso_url: https://idp.example/post\n"] {
        folder.accepted(&settings(more));
    }
}

#[test]
fn metadata_that_is_none_or_of_somebody_else_is_one_mistake() {
    let folder = Folder::new();
    let good = metadata(&folder, "", &BOTH);
    for (text, part) in [
        (good.replace("entityID=\"jumpcloud-samlgate\"", "entityID=\"other\""), "other"),
        ("<!DOCTYPE html><html><head><link></head></html>".to_owned(), "web page"),
        (good.replace("use=\"signing\"", "use=\"encryption\""), "certificate"),
        (good.replace("IDPSSODescriptor", "SPSSODescriptor"), "IDPSSODescriptor"),
        (good.replace("</md:EntityDescriptor>", ""), "not closed"),
        (String::new(), "root element"),
        (format!("<!DOCTYPE x>{}", good.split_once("?>").unwrap().1), "document type"),
    ] {
        folder.write("metadata.xml", &text, 0o644);
        let error = folder.only_mistake(&settings(""));
        assert!(error.problem.contains(part), "{part}: {error}");
    }
}

#[test]
fn metadata_past_its_end_warns() {
    let folder = Folder::new();
    folder.write("metadata.xml", &metadata(&folder, " validUntil=\"2025-01-02T00:00:00Z\"", &BOTH), 0o644);
    assert_eq!(folder.accepted(&settings("")).warnings.len(), 1);
    folder.write("metadata.xml", &metadata(&folder, "", &BOTH), 0o644);
    assert_eq!(folder.accepted(&settings("")).warnings.len(), 0);
    assert_eq!(folder.parse_at(&settings(""), &[], END).unwrap().warnings.len(), 1);
}
