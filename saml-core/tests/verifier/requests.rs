//! Our own signed AuthnRequests, as an IdP that shares no code with us verifies them.

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use issuer::xml::{Element, Namespace};
use issuer::{SigningKey as IssuerKey, test_keys, verifies_enveloped};
use saml_core::{AuthnRequest, KeyFileError, RequestId, ServiceProvider, Signer, SigningKey, SsoUrl, Timestamp};

use crate::parties::{ACS, NOW, REQUEST, SP, service_provider};

const SAMLP: Namespace = Namespace { prefix: "samlp", uri: "urn:oasis:names:tc:SAML:2.0:protocol" };
const SAML: Namespace = Namespace { prefix: "saml", uri: "urn:oasis:names:tc:SAML:2.0:assertion" };
const SSO: &str = "https://idp.example/sso?tenant=a&b=c";

pub(crate) fn own(key: &IssuerKey) -> SigningKey {
    SigningKey::from_pem(&format!("{}{}", key.key_pem(), key.certificate_pem())).unwrap()
}

struct Request {
    id: RequestId,
    sso_url: SsoUrl,
    sp: ServiceProvider,
}

impl Request {
    fn new() -> Self {
        Self { id: RequestId::parse(REQUEST).unwrap(), sso_url: SsoUrl::parse(SSO).unwrap(), sp: service_provider() }
    }

    fn message(&self, force_authn: bool) -> AuthnRequest<'_> {
        let issue_instant = Timestamp::from_unix(NOW, 0);
        AuthnRequest { id: &self.id, issue_instant, sso_url: &self.sso_url, sp: &self.sp, force_authn }
    }
}

fn expected(force_authn: bool) -> Element {
    Element::new(SAMLP, "AuthnRequest")
        .attribute("ID", REQUEST)
        .attribute("Version", "2.0")
        .attribute("IssueInstant", Timestamp::from_unix(NOW, 0).to_string())
        .attribute("Destination", SSO)
        .attribute("ProtocolBinding", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
        .attribute("AssertionConsumerServiceURL", ACS)
        .optional_attribute("ForceAuthn", force_authn.then_some("true"))
        .child(Element::new(SAML, "Issuer").text(SP))
}

const KEYS: [fn() -> &'static std::sync::Arc<IssuerKey>; 3] =
    [test_keys::rsa_2048, test_keys::rsa_4096, test_keys::p256];

#[test]
fn a_redirect_is_signed_over_the_octets_that_travel() {
    for key in KEYS.map(|key| key()) {
        let (own, random, request) = (own(key), SystemRandom::new(), Request::new());
        let signer = Signer { key: &own, random: &random };
        let url = request.message(false).signed_redirect_url("r/+ &=", &signer).unwrap();
        let query = url.strip_prefix(&format!("{SSO}&")).unwrap();
        let (signed, signature) = query.split_once("&Signature=").unwrap();
        let signature: String = form_urlencoded::parse(signature.as_bytes()).map(|(value, _)| value).collect();
        assert!(key.verifies(signed.as_bytes(), &STANDARD.decode(signature).unwrap()), "{url}");

        let pairs: Vec<(String, String)> = form_urlencoded::parse(signed.as_bytes()).into_owned().collect();
        let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["SAMLRequest", "RelayState", "SigAlg"]);
        assert_eq!((pairs[1].1.as_str(), pairs[2].1.as_str()), ("r/+ &=", key.signature_algorithm()));
        // By Redirect the message itself carries no Signature.
        assert!(!request.message(false).to_xml().contains("Signature"));
    }
}

#[test]
fn a_posted_request_holds_an_enveloped_signature() {
    for key in KEYS.map(|key| key()) {
        for force_authn in [false, true] {
            let (own, random, request) = (own(key), SystemRandom::new(), Request::new());
            let signer = Signer { key: &own, random: &random };
            let form = request.message(force_authn).signed_post_form("r", &signer).unwrap();
            assert_eq!((form.action.as_str(), form.field), (SSO, "SAMLRequest"));
            let xml = String::from_utf8(STANDARD.decode(&form.message).unwrap()).unwrap();
            assert!(verifies_enveloped(&xml, &expected(force_authn), REQUEST, key), "{xml}");
            // The control of the check itself.
            assert!(!verifies_enveloped(&xml, &expected(!force_authn), REQUEST, key));
            assert!(!verifies_enveloped(&xml, &expected(force_authn), REQUEST, test_keys::stranger()));
        }
    }
}

fn refusal(pem: &str) -> KeyFileError {
    SigningKey::from_pem(pem).unwrap_err()
}

#[test]
fn a_key_file_holds_one_key_and_its_certificate() {
    let (key, other) = (test_keys::rsa_2048(), test_keys::stranger());
    let (pem, certificate) = (key.key_pem(), key.certificate_pem());
    for good in [
        format!("{pem}{certificate}"),
        format!("{certificate}{pem}"),
        format!("# samlgate sp-signing\r\n{}", format!("{pem}\n{certificate}").replace('\n', "\r\n")),
    ] {
        let own = SigningKey::from_pem(&good).unwrap();
        assert_eq!(own.certificate().base64(), key.certificate_base64());
        assert_eq!(own.certificate().key_description(), "RSA 2048");
        assert_eq!(
            format!("{own:?}"),
            format!("SigningKey {{ certificate: {}, .. }}", own.certificate().fingerprint())
        );
    }
    assert_eq!(refusal(""), KeyFileError::KeyCount { found: 0 });
    assert_eq!(refusal("junk"), KeyFileError::KeyCount { found: 0 });
    assert_eq!(refusal(certificate), KeyFileError::KeyCount { found: 0 });
    assert_eq!(refusal(&format!("{pem}{pem}{certificate}")), KeyFileError::KeyCount { found: 2 });
    assert_eq!(refusal(pem), KeyFileError::CertificateCount { found: 0 });
    assert_eq!(refusal(&format!("{pem}{certificate}{certificate}")), KeyFileError::CertificateCount { found: 2 });
    assert_eq!(refusal(&format!("{pem}{}", other.certificate_pem())), KeyFileError::CertificateOfOtherKey);
    let encrypted = pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    assert_eq!(refusal(&format!("{encrypted}{certificate}")), KeyFileError::Encrypted);
    let public = pem.replace("PRIVATE KEY", "PUBLIC KEY");
    let label = "PUBLIC KEY".to_owned();
    assert_eq!(refusal(&format!("{public}{certificate}")), KeyFileError::OtherBlock { label });
    let unreadable = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(refusal(&format!("{pem}{unreadable}")), KeyFileError::Certificate(_)));
    assert_eq!(
        refusal(&format!("{pem}{}", &certificate[..certificate.len() - 30])),
        KeyFileError::CertificateCount { found: 0 }
    );
    let damaged = pem.replacen("MII", "MIJ", 1);
    assert_eq!(refusal(&format!("{damaged}{certificate}")), KeyFileError::KeyUnusable);
}
