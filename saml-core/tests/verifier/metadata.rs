//! An IdP's metadata: keys come from one place alone, of the one entity that the settings name (ATTACKS 87).

use issuer::test_keys;
use saml_core::{Certificate, EntityId, IdpMetadata, MetadataError, Timestamp};

use crate::parties::IDP;

const MD: &str = "xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"";
const DS: &str = "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"";
const PROTOCOL: &str = "protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\"";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";

fn good_key() -> String {
    test_keys::rsa_2048().certificate_base64()
}

/// The key that an attacker would have us trust.
fn evil_key() -> String {
    test_keys::stranger().certificate_base64()
}

fn key_info(certificate: &str) -> String {
    format!(
        "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
    )
}

fn key_descriptor(attributes: &str, certificate: &str) -> String {
    format!("<md:KeyDescriptor{attributes}>{}</md:KeyDescriptor>", key_info(certificate))
}

fn role(name: &str, content: &str) -> String {
    format!("<md:{name} {PROTOCOL}>{content}</md:{name}>")
}

fn service(name: &str, binding: &str, location: &str) -> String {
    format!("<md:{name} Binding=\"{binding}\" Location=\"{location}\"/>")
}

/// What a good IDPSSODescriptor holds.
fn idp_content() -> String {
    let key = key_descriptor(" use=\"signing\"", &good_key());
    key + &service("SingleSignOnService", REDIRECT, "https://idp.example/sso")
}

fn entity(entity_id: &str, content: &str) -> String {
    format!("<md:EntityDescriptor {MD} {DS} entityID=\"{entity_id}\">{content}</md:EntityDescriptor>")
}

fn entities(content: &str) -> String {
    format!("<md:EntitiesDescriptor {MD} {DS}>{content}</md:EntitiesDescriptor>")
}

fn good() -> String {
    entity(IDP, &role("IDPSSODescriptor", &idp_content()))
}

fn parse(xml: &str) -> Result<IdpMetadata, MetadataError> {
    IdpMetadata::parse(xml.as_bytes(), &EntityId::parse(IDP).unwrap())
}

fn keys(metadata: &IdpMetadata) -> Vec<String> {
    metadata.certificates.iter().map(|certificate| certificate.fingerprint().to_string()).collect()
}

fn fingerprint(certificate: &str) -> String {
    Certificate::parse_all(certificate.as_bytes()).unwrap()[0].fingerprint().to_string()
}

/// Accepted, with the good key and no other.
#[track_caller]
fn only_the_good_key(xml: &str) {
    let metadata = parse(xml).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!(keys(&metadata), [fingerprint(&good_key())], "{xml}");
    assert_eq!(metadata.redirect.unwrap().as_str(), "https://idp.example/sso");
}

#[track_caller]
fn refused(xml: &str, wanted: fn(&MetadataError) -> bool) {
    only_the_good_key(&good());
    match parse(xml) {
        Ok(metadata) => panic!("{metadata:?}: {xml}"),
        Err(error) => assert!(wanted(&error), "{error}: {xml}"),
    }
}

#[test]
fn keys_come_from_the_idp_role_and_nowhere_else() {
    only_the_good_key(&good());
    let evil = key_descriptor("", &evil_key());
    let own = role("IDPSSODescriptor", &idp_content());
    let signature = format!("<ds:Signature><ds:SignedInfo/>{}</ds:Signature>", key_info(&evil_key()));
    let extensions = format!("<md:Extensions>{evil}{}</md:Extensions>", role("IDPSSODescriptor", &evil));
    for other in [
        "SPSSODescriptor",
        "AttributeAuthorityDescriptor",
        "AuthnAuthorityDescriptor",
        "RoleDescriptor",
        "PDPDescriptor",
    ] {
        only_the_good_key(&entity(IDP, &format!("{}{own}", role(other, &evil))));
        only_the_good_key(&entity(IDP, &format!("{own}{}", role(other, &evil))));
    }
    only_the_good_key(&entity(IDP, &format!("{signature}{own}")));
    only_the_good_key(&entity(IDP, &format!("{extensions}{own}")));
    only_the_good_key(&entity(IDP, &format!("{evil}{own}{evil}")));
    for inside in [
        &signature,
        &extensions,
        &format!("<md:Organization>{evil}</md:Organization>"),
        &format!("<x:KeyDescriptor xmlns:x=\"urn:x\">{}</x:KeyDescriptor>", key_info(&evil_key())),
        &key_info(&evil_key()),
    ] {
        only_the_good_key(&entity(IDP, &role("IDPSSODescriptor", &format!("{inside}{}", idp_content()))));
    }
    // The control: in its place the same key is taken, beside the good one.
    let both = entity(IDP, &role("IDPSSODescriptor", &format!("{evil}{}", idp_content())));
    assert_eq!(keys(&parse(&both).unwrap()), [fingerprint(&evil_key()), fingerprint(&good_key())]);
}

#[test]
fn keys_come_from_the_x509_data_of_their_descriptor_alone() {
    let certificate = format!("<ds:X509Certificate>{}</ds:X509Certificate>", evil_key());
    let data = format!("<ds:X509Data>{certificate}</ds:X509Data>");
    for inside in [
        format!("<md:EncryptionMethod Algorithm=\"x\">{}</md:EncryptionMethod>", key_info(&evil_key())),
        data.clone(),
        certificate.clone(),
        format!("<ds:KeyInfo>{certificate}</ds:KeyInfo>"),
        format!("<ds:KeyInfo><ds:Object>{data}</ds:Object></ds:KeyInfo>"),
        format!("<ds:KeyInfo><x:X509Data xmlns:x=\"urn:x\">{certificate}</x:X509Data></ds:KeyInfo>"),
        format!("<ds:Signature>{}</ds:Signature>", key_info(&evil_key())),
    ] {
        let content = idp_content().replace("</md:KeyDescriptor>", &format!("{inside}</md:KeyDescriptor>"));
        only_the_good_key(&entity(IDP, &role("IDPSSODescriptor", &content)));
    }
}

#[test]
fn the_use_of_a_key_is_absent_or_signing() {
    let with = |attributes: &str| {
        let content = format!("{}{}", idp_content(), key_descriptor(attributes, &evil_key()));
        keys(&parse(&entity(IDP, &role("IDPSSODescriptor", &content))).unwrap()).len()
    };
    assert_eq!(with(""), 2);
    assert_eq!(with(" use=\"signing\""), 2);
    for other in
        [" use=\"encryption\"", " use=\"\"", " use=\"Signing\"", " use=\" signing\"", " use=\"signing encryption\""]
    {
        assert_eq!(with(other), 1, "{other}");
    }
    let only_encryption = idp_content().replace("\"signing\"", "\"encryption\"");
    refused(&entity(IDP, &role("IDPSSODescriptor", &only_encryption)), |error| *error == MetadataError::NoKey);
}

#[test]
fn a_key_that_cannot_be_trusted_refuses_the_whole() {
    let weak: String = include_str!("../../../tests/keys/test-weak-rsa-1024.crt")
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    for bad in [&weak, "", "!", "AAAA", &good_key()[..200]] {
        for content in [
            format!("{}{}", key_descriptor("", bad), idp_content()),
            format!("{}{}", idp_content(), key_descriptor(" use=\"signing\"", bad)),
        ] {
            let refusal = |error: &MetadataError| matches!(error, MetadataError::Certificate(_));
            refused(&entity(IDP, &role("IDPSSODescriptor", &content)), refusal);
        }
    }
    // For a purpose that is not ours it is nothing to us.
    let content = format!("{}{}", idp_content(), key_descriptor(" use=\"encryption\"", &weak));
    only_the_good_key(&entity(IDP, &role("IDPSSODescriptor", &content)));
}

#[test]
fn the_entity_is_the_one_of_the_settings_and_stands_once() {
    let ours = good();
    let other = entity("other", &role("IDPSSODescriptor", &key_descriptor("", &evil_key())));
    only_the_good_key(&entities(&format!("{other}{ours}")));
    only_the_good_key(&entities(&format!("{ours}{}", entities(&other))));
    only_the_good_key(&entities(&entities(&format!("{other}{ours}"))));

    let twin = entity(IDP, &role("IDPSSODescriptor", &key_descriptor("", &evil_key())));
    let repeated = |error: &MetadataError| matches!(error, MetadataError::RepeatedEntity { .. });
    for twice in [
        entities(&format!("{ours}{twin}")),
        entities(&format!("{twin}{ours}")),
        entities(&format!("{}{ours}", entities(&twin))),
        entities(&format!("<md:Extensions>{twin}</md:Extensions>{ours}")),
        entity(IDP, &format!("<md:Extensions>{twin}</md:Extensions>{}", role("IDPSSODescriptor", &idp_content()))),
    ] {
        refused(&twice, repeated);
    }
    let another = |error: &MetadataError| matches!(error, MetadataError::OtherEntity { .. });
    refused(&entity("other", &role("IDPSSODescriptor", &idp_content())), another);
    refused(&entity(&format!("{IDP} "), &role("IDPSSODescriptor", &idp_content())), another);
    refused(&entity(&IDP.to_ascii_uppercase(), &role("IDPSSODescriptor", &idp_content())), another);
    // One that only an Extensions holds is none.
    refused(&entities(&format!("{other}<md:Extensions>{ours}</md:Extensions>")), another);
    refused(&entity("other", &format!("<md:Extensions>{ours}</md:Extensions>")), another);
}

#[test]
fn the_role_is_one_idp_for_saml_2() {
    let no_idp = |error: &MetadataError| matches!(error, MetadataError::NoIdp { .. });
    let own = role("IDPSSODescriptor", &idp_content());
    refused(&entity(IDP, &role("SPSSODescriptor", &idp_content())), no_idp);
    refused(&entity(IDP, &format!("{own}{own}")), no_idp);
    refused(&entity(IDP, &own.replace("SAML:2.0:protocol", "SAML:1.1:protocol")), no_idp);
    refused(&entity(IDP, &format!("<md:Extensions>{own}</md:Extensions>")), no_idp);
    only_the_good_key(&entity(IDP, &format!("{own}{}", own.replace("SAML:2.0:protocol", "SAML:1.1:protocol"))));
}

#[test]
fn the_gate_is_its_own() {
    let xml = good();
    for allowed in [
        format!("\u{feff}{xml}"),
        format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- exported -->{xml}<!-- -->\n"),
        xml.replace("<md:KeyDescriptor", "<!-- the key --><md:KeyDescriptor"),
    ] {
        only_the_good_key(&allowed);
    }
    let not_xml = |error: &MetadataError| matches!(error, MetadataError::NotXml(_));
    for forbidden in [
        format!("<!DOCTYPE md:EntityDescriptor>{xml}"),
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{xml}"),
        format!("<?xml-stylesheet href=\"x\"?>{xml}"),
        xml.replace("<md:KeyDescriptor", "<?x?><md:KeyDescriptor"),
        xml.replace("<md:KeyDescriptor", "<![CDATA[]]><md:KeyDescriptor"),
        format!("{xml}{xml}"),
        format!("\u{feff}\u{feff}{xml}"),
        xml.replace("jumpcloud", "&e;"),
    ] {
        refused(&forbidden, not_xml);
    }
    let padded = |size: usize| format!("{xml}{}", " ".repeat(size - xml.len()));
    only_the_good_key(&padded(1024 * 1024));
    refused(&padded(1024 * 1024 + 1), |error| matches!(error, MetadataError::TooLarge { .. }));
    refused("<html><body>Sign in</body></html>", |error| *error == MetadataError::WebPage);
    refused("<a/>", |error| matches!(error, MetadataError::NotMetadata { .. }));
    // A comment inside a value does not cut it: the value is refused.
    let certificate = good_key();
    let (start, end) = certificate.split_at(40);
    let cut = xml.replace(&certificate, &format!("{start}<!-- -->{end}"));
    refused(&cut, |error| matches!(error, MetadataError::Certificate(_)));
}

#[test]
fn an_end_that_cannot_be_read_is_not_taken_for_none() {
    for seen in ["2026-12-01T00:00:00+01:00", "2026-12-01", "", "never"] {
        for element in ["EntityDescriptor ", "IDPSSODescriptor "] {
            let xml = good().replacen(element, &format!("{element}validUntil=\"{seen}\" "), 1);
            assert_eq!(parse(&xml).map(drop), Err(MetadataError::ValidUntil { seen: seen.to_owned() }));
        }
    }
}

#[test]
fn the_end_of_a_group_is_that_of_all_in_it() {
    let within = |until: &str| {
        let group = format!("<md:EntitiesDescriptor validUntil=\"{until}\">{}</md:EntitiesDescriptor>", good());
        parse(&entities(&group)).map(|metadata| metadata.valid_until.map(|until| until.to_string()))
    };
    assert_eq!(within("2001-01-01T00:00:00Z"), Ok(Some("2001-01-01T00:00:00.000Z".to_owned())));
    assert_eq!(within("soon"), Err(MetadataError::ValidUntil { seen: "soon".to_owned() }));
}

#[test]
fn single_logout_addresses_and_wishes_are_read() {
    let plain = parse(&good()).unwrap();
    assert_eq!((plain.logout_redirect, plain.logout_post), (None, None));
    assert!(!plain.want_authn_requests_signed);
    assert_eq!(plain.valid_until, None);

    let both = service("SingleLogoutService", REDIRECT, "https://idp.example/slo?a=b&amp;c")
        + "<md:SingleLogoutService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:SOAP\" Location=\"https://idp.example/soap\"/>"
        + &service("SingleLogoutService", POST, "https://idp.example/slo-post")
            .replace("/>", " ResponseLocation=\"https://idp.example/slo-done\"/>");
    let xml = entity(IDP, &role("IDPSSODescriptor", &format!("{}{both}", idp_content())))
        .replace(
            "IDPSSODescriptor ",
            "IDPSSODescriptor WantAuthnRequestsSigned=\"true\" validUntil=\"2026-12-01T00:00:00Z\" ",
        )
        .replace("EntityDescriptor ", "EntityDescriptor validUntil=\"2026-11-30T00:00:00Z\" ");
    let metadata = parse(&xml).unwrap();
    let redirect = metadata.logout_redirect.unwrap();
    assert_eq!(redirect.location.as_str(), "https://idp.example/slo?a=b&c");
    assert_eq!(redirect.for_responses(), &redirect.location);
    let post = metadata.logout_post.unwrap();
    assert_eq!(post.location.as_str(), "https://idp.example/slo-post");
    assert_eq!(post.for_responses().as_str(), "https://idp.example/slo-done");
    assert!(metadata.want_authn_requests_signed);
    // The earliest that applies.
    assert_eq!(metadata.valid_until, Some(Timestamp::parse("2026-11-30T00:00:00Z").unwrap()));

    for address in ["javascript:alert(1)", "", "//idp.example/slo", "https://user@idp.example/"] {
        let service = service("SingleLogoutService", POST, address);
        let content = format!("{}{service}", idp_content());
        refused(&entity(IDP, &role("IDPSSODescriptor", &content)), |error| matches!(error, MetadataError::Address(_)));
    }
    let elsewhere = role("SPSSODescriptor", &both);
    let xml = entity(IDP, &format!("{elsewhere}{}", role("IDPSSODescriptor", &idp_content())));
    assert_eq!(parse(&xml).unwrap().logout_post, None);
}
