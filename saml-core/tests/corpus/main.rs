//! Public responses of real issuers: accepted, with `sign` as each is signed and `claims` set to names that it carries.

#![expect(clippy::disallowed_methods, reason = "tests read the corpus from files")]

mod every;

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use saml_core::{
    AcceptedLogin, AcsUrl, Authentication, Certificate, ClaimNames, ClaimSource, DecryptionKeys, EntityId, IdpId,
    IdpMetadata, Rejection, RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};

/// The corpus lies beside the project; in CI its absence is a failure.
fn corpus(path: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("SAMLGATE_CORPUS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus"), PathBuf::from);
    if !folder.is_dir() {
        assert!(std::env::var_os("CI").is_none(), "no corpus at {}: set SAMLGATE_CORPUS", folder.display());
        eprintln!("skipped: no corpus at {}", folder.display());
        return None;
    }
    Some(std::fs::read(folder.join(path)).unwrap())
}

#[derive(Clone)]
struct Facts<'a> {
    entity_id: &'a str,
    acs_url: &'a str,
    audience: &'a str,
    request_id: &'a str,
    now: &'a str,
    sign: Sign,
    claims: ClaimNames,
}

fn accept(xml: &[u8], certificates: Vec<Certificate>, facts: &Facts<'_>) -> Result<AcceptedLogin, Rejection> {
    let entity_id = EntityId::parse(facts.entity_id).unwrap();
    let idp = TrustedIdp::new(IdpId::parse("idp").unwrap(), entity_id, certificates, facts.sign, facts.claims.clone())
        .unwrap();
    let sp = ServiceProvider {
        entity_id: EntityId::parse(facts.audience).unwrap(),
        acs_url: AcsUrl::parse(facts.acs_url).unwrap(),
        skew_seconds: 180,
    };
    let response = UnverifiedResponse::from_xml(xml.to_vec())?;
    let request = SentRequest { id: RequestId::parse(facts.request_id).unwrap(), authentication: Authentication::Any };
    response.verify(&idp, &DecryptionKeys::none())?.accept(&request, &sp, Timestamp::parse(facts.now).unwrap())
}

fn claims(email: &str, unique_id: &str, groups: &str) -> ClaimNames {
    ClaimNames {
        email: ClaimSource::parse(email),
        unique_id: ClaimSource::parse(unique_id),
        first_name: "firstName".to_owned(),
        last_name: "lastName".to_owned(),
        groups: groups.to_owned(),
        username: None,
    }
}

#[test]
fn accepts_the_google_response() {
    let folder = "crewjam-saml/testdata/TestSPCanHandlePlaintextResponse_";
    let Some(encoded) = corpus(&format!("{folder}response")) else { return };
    let xml = STANDARD.decode(encoded.trim_ascii()).unwrap();
    let entity_id = "https://accounts.google.com/o/saml2?idpid=C02dfl1r1";
    let metadata = corpus(&format!("{folder}IDPMetadata")).unwrap();
    let metadata = IdpMetadata::parse(&metadata, &EntityId::parse(entity_id).unwrap()).unwrap();
    let facts = Facts {
        entity_id,
        acs_url: "https://29ee6d2e.ngrok.io/saml/acs",
        audience: "https://29ee6d2e.ngrok.io/saml/metadata",
        request_id: "id-fd419a5ab0472645427f8e07d87a3a5dd0b2e9a6",
        now: "2016-01-05T16:55:39Z",
        sign: Sign::Response,
        claims: claims("@NameID", "@NameID", "memberOf"),
    };
    let login = accept(&xml, metadata.certificates.clone(), &facts).unwrap();
    assert_eq!(login.identity().email, "ross@octolabs.io");
    assert_eq!(login.identity().first_name.as_deref(), Some("Ross"));
    assert_eq!(login.identity().last_name.as_deref(), Some("Kinder"));

    let code = |facts: &Facts<'_>| accept(&xml, metadata.certificates.clone(), facts).unwrap_err().code();
    assert_eq!(code(&Facts { now: "2016-01-05T17:10:00Z", ..facts.clone() }), "assertion_expired");
    assert_eq!(code(&Facts { now: "2016-01-05T16:00:00Z", ..facts.clone() }), "assertion_not_yet_valid");
    assert_eq!(code(&Facts { sign: Sign::Assertion, ..facts.clone() }), "assertion_not_signed");
    assert_eq!(code(&Facts { request_id: "id-other", ..facts.clone() }), "in_response_to_mismatch");
    assert_eq!(code(&Facts { audience: "https://other/", ..facts.clone() }), "audience_mismatch");
    assert_eq!(code(&Facts { claims: claims("email", "@NameID", "memberOf"), ..facts }), "email_missing");
}

#[test]
fn accepts_the_adfs_response() {
    let Some(form) = corpus("samlraider/scripts/samltest/saml_response") else { return };
    let (name, encoded) = form_urlencoded::parse(form.trim_ascii()).next().unwrap();
    assert_eq!(name, "SAMLResponse");
    let xml = STANDARD.decode(encoded.as_bytes()).unwrap();
    let text = std::str::from_utf8(&xml).unwrap();
    let certificate = text.split("X509Certificate>").nth(1).unwrap().trim_end_matches("</ds:");
    let facts = Facts {
        entity_id: "http://SAMLWIN.saml.lan/adfs/services/trust",
        acs_url: "https://samlcent/Shibboleth.sso/SAML2/POST",
        audience: "https://samlcent/shibboleth",
        request_id: "_545e60fe3602a06d25f241b622c5a773",
        now: "2015-04-06T06:43:00Z",
        sign: Sign::Assertion,
        claims: claims(
            "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
            "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
            "http://schemas.xmlsoap.org/claims/Group",
        ),
    };
    let login = accept(&xml, Certificate::parse_all(certificate.as_bytes()).unwrap(), &facts).unwrap();
    assert_eq!(login.identity().unique_id, "bowser@saml.lan");
    assert_eq!(login.identity().groups.len(), 1);
}

/// The policy asks for AES-GCM, and says so before it asks for a key or a signature.
#[test]
fn refuses_the_encrypted_ones_because_they_use_cbc() {
    for name in
        ["ResponseEncryptedAssertionBothSigned", "ResponseEncryptedSignedAssertion", "SignedResponseEncryptedAssertion"]
    {
        let Some(encoded) = corpus(&format!("crewjam-saml/testdata/TestSPCanHandleOkta{name}_response")) else {
            return;
        };
        let xml = STANDARD.decode(encoded.trim_ascii()).unwrap_or(encoded);
        let code = UnverifiedResponse::from_xml(xml).unwrap_err().code();
        assert_eq!(code, "encryption_algorithm_forbidden", "{name}");
    }
}

#[test]
fn loads_both_real_jumpcloud_certificates() {
    let Some(new) = corpus("../jumpcloud/jumpcloud-idp-cert-2025.pem") else { return };
    // The older one has an empty extensions sequence and a 21-byte serial number.
    let old = corpus("../jumpcloud/jumpcloud-idp-cert-2022.pem").unwrap();
    for pem in [old, new] {
        let [certificate] = <[Certificate; 1]>::try_from(Certificate::parse_all(&pem).unwrap()).unwrap();
        assert_eq!(certificate.key_description(), "RSA 4096");
        assert!(certificate.subject().contains("JumpCloudSAMLUser"));
    }
}

#[test]
fn reads_jumpclouds_metadata_with_and_without_the_redirect_endpoint() {
    let entity_id = EntityId::parse("jumpcloud-truefoundry").unwrap();
    for (file, redirect) in
        [("metadata-reconstructed-with-redirect.xml", true), ("metadata-reconstructed-post-only.xml", false)]
    {
        let Some(xml) = corpus(&format!("../jumpcloud/{file}")) else { return };
        let metadata = IdpMetadata::parse(&xml, &entity_id).unwrap();
        assert_eq!(metadata.redirect.is_some(), redirect, "{file}");
        assert!(metadata.post.is_some_and(|url| url.as_str().starts_with("https://sso.jumpcloud.com/saml2/")));
        assert_eq!(metadata.certificates.len(), 1);
    }
}
