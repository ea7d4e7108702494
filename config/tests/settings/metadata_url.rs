//! Metadata by URL: an address that can be believed, and who says which keys are.

use std::time::Duration;

use config::{ExpiredCertificates, MetadataSource, Trust};
use saml_core::{Certificate, NewKeys, SsoUrl};

use crate::support::{Folder, instead, with_idp};

const URL: &str = "https://idp.example/metadata";

/// With metadata by URL instead of the certificate and the address.
fn fetched(more: &str) -> String {
    instead(
        "    sso_url: https://sso.jumpcloud.com/saml2/samlgate\n    certificate_file: certificate.pem\n",
        &format!("    metadata_url: {URL}\n{more}"),
    )
}

fn source(yaml: &str, folder: &Folder) -> MetadataSource {
    match folder.accepted(yaml).settings.identity_providers.remove(0).trust {
        Trust::Fetched(source) => source,
        Trust::Pinned { .. } => panic!("pinned"),
    }
}

#[test]
fn keys_are_named_or_whatever_comes_is_taken() {
    let folder = Folder::new();
    let fingerprint = Certificate::parse_all(folder.certificate.as_bytes()).unwrap()[0].fingerprint();
    let named = source(&fetched(&format!("    trusted_keys: ['{fingerprint}']\n")), &folder);
    assert_eq!((named.url.as_str(), named.new_keys), (URL, NewKeys::Listed(vec![fingerprint])));
    assert_eq!((named.refresh, named.ca_file, named.sso_url), (Duration::from_secs(3600), None, None));

    let more = "    new_keys: accept\n    metadata_refresh: 5m\n    metadata_ca_file: certificate.pem\n    sso_url: https://idp.example/sso\n";
    let accepted = source(&fetched(more), &folder);
    assert_eq!((accepted.new_keys, accepted.refresh), (NewKeys::Accept, Duration::from_secs(300)));
    assert_eq!(accepted.sso_url.as_ref().map(SsoUrl::as_str), Some("https://idp.example/sso"));
    assert_eq!(accepted.ca_file, Some(folder.path().join("certificate.pem")));
}

#[test]
fn plain_http_is_for_this_machine() {
    let folder = Folder::new();
    for host in ["localhost:1", "127.0.0.1:1", "[::1]:1"] {
        let yaml = fetched("    new_keys: accept\n").replace("https://idp.example", &format!("http://{host}"));
        source(&yaml, &folder);
    }
}

#[test]
fn each_mistake_is_named_with_its_cure() {
    let folder = Folder::new();
    let fingerprint = format!("sha256:{}", "ab".repeat(32));
    let listed = format!("    trusted_keys: ['{fingerprint}']\n");
    let at = |key: &str| format!("identity_providers[0].{key}");
    let url = |value: &str| fetched(&listed).replace(URL, value);
    for (yaml, path, said) in [
        (fetched(""), at("trusted_keys"), "which of the keys at `metadata_url` are the IdP's / write `trusted_keys: "),
        (fetched(""), at("trusted_keys"), "`new_keys: accept`"),
        (fetched(&format!("{listed}    new_keys: accept\n")), at("new_keys"), "would void it / keep `trusted_keys`"),
        (fetched("    new_keys: hold\n"), at("new_keys"), "must be accept"),
        (fetched("    trusted_keys: []\n"), at("trusted_keys"), "empty list"),
        (fetched("    trusted_keys: [sha256:ab]\n"), at("trusted_keys[0]"), "openssl x509"),
        (fetched(&format!("    trusted_keys: ['{fingerprint}', '{fingerprint}']\n")), at("trusted_keys[1]"), "twice"),
        (url("idp.example/metadata"), at("metadata_url"), "is no address"),
        (url("ftp://idp.example/metadata"), at("metadata_url"), "neither https"),
        (
            url("http://idp.example/metadata"),
            at("metadata_url"),
            "could name keys of their own / write an https address",
        ),
        (url("http://localhost.example/metadata"), at("metadata_url"), "plain http"),
        (url("https://ann:secret@idp.example/metadata"), at("metadata_url"), "user name"),
        (url("https://idp.example/metadata#x"), at("metadata_url"), "fragment"),
        (fetched(&format!("{listed}    metadata_refresh: 1m\n")), at("metadata_refresh"), "between 5m and 7d"),
        (fetched(&format!("{listed}    metadata_ca_file: gone.pem\n")), at("metadata_ca_file"), "cannot be read"),
        (
            fetched(&format!("{listed}    certificate_file: certificate.pem\n")),
            at("metadata_url"),
            "another source of certificates (certificate_file, metadata_url)",
        ),
        (with_idp("new_keys: accept"), at("new_keys"), "only beside `metadata_url` / remove it"),
        (with_idp(listed.trim()), at("trusted_keys"), "only beside `metadata_url`"),
        (with_idp("metadata_refresh: 1h"), at("metadata_refresh"), "only beside `metadata_url`"),
        (with_idp("metadata_ca_file: certificate.pem"), at("metadata_ca_file"), "only beside `metadata_url`"),
        (with_idp("expired_certificates: warn"), at("expired_certificates"), "accept or refuse"),
    ] {
        let error = folder.only_mistake(&yaml);
        assert_eq!(error.path, path, "{error}\n{yaml}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said}: {error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn a_ca_file_must_hold_a_certificate() {
    let folder = Folder::new();
    folder.write("empty.pem", "nothing\n", 0o644);
    let error = folder.only_mistake(&fetched("    new_keys: accept\n    metadata_ca_file: empty.pem\n"));
    assert_eq!(error.path, "identity_providers[0].metadata_ca_file");
    assert!(error.problem.contains("no PEM certificate"), "{error}");
}

#[test]
fn expired_certificates_are_accepted_unless_said_otherwise() {
    let folder = Folder::new();
    let read = |more| folder.accepted(&with_idp(more)).settings.identity_providers.remove(0).expired_certificates;
    assert_eq!(read("sign: response"), ExpiredCertificates::Accept);
    assert_eq!(read("expired_certificates: refuse"), ExpiredCertificates::Refuse);
}
