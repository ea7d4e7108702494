//! The IdP, the service provider and the moment that the documents of this suite are made for.

use issuer::{Encryption, ResponseSpec, Sign as Signed, SigningKey, test_keys};
use saml_core::{
    AcceptedLogin, AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKey, DecryptionKeys, EntityId, IdpId,
    Rejection, RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};
use time::OffsetDateTime;

pub(crate) const IDP: &str = "jumpcloud-samlgate";
pub(crate) const SP: &str = "https://app.example.com/saml/metadata";
pub(crate) const ACS: &str = "https://app.example.com/saml/acs";
pub(crate) const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
pub(crate) const NOW: i64 = 1_795_445_071;

pub(crate) fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).unwrap()
}

/// A response that is accepted with `sign: assertion_and_response`.
pub(crate) fn good() -> ResponseSpec {
    ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now()).in_response_to(REQUEST).sign(Signed::Both).claims(
        "ada@example.com",
        "5f3c0de5f3c0de5f3c0de5f3",
        &["admins", "staff"],
    )
}

pub(crate) fn key() -> &'static SigningKey {
    test_keys::rsa_2048()
}

pub(crate) fn idp(keys: &[&SigningKey], sign: Sign) -> TrustedIdp {
    let pem: String = keys.iter().map(|key| key.certificate_pem()).collect();
    let certificates = Certificate::parse_all(pem.as_bytes()).unwrap();
    let entity_id = EntityId::parse(IDP).unwrap();
    TrustedIdp::new(IdpId::parse("jumpcloud").unwrap(), entity_id, certificates, sign, ClaimNames::default()).unwrap()
}

pub(crate) fn idp_with_claims(names: ClaimNames) -> TrustedIdp {
    let certificates = Certificate::parse_all(key().certificate_pem().as_bytes()).unwrap();
    let (id, entity_id) = (IdpId::parse("jumpcloud").unwrap(), EntityId::parse(IDP).unwrap());
    TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, names).unwrap()
}

pub(crate) fn service_provider() -> ServiceProvider {
    ServiceProvider { entity_id: EntityId::parse(SP).unwrap(), acs_url: AcsUrl::parse(ACS).unwrap(), skew_seconds: 180 }
}

pub(crate) fn request() -> SentRequest {
    SentRequest { id: RequestId::parse(REQUEST).unwrap(), authentication: Authentication::Any }
}

pub(crate) fn accept_by(xml: &str, idp: &TrustedIdp) -> Result<AcceptedLogin, Rejection> {
    accept_with(xml, idp, &DecryptionKeys::none())
}

pub(crate) fn accept_with(xml: &str, idp: &TrustedIdp, keys: &DecryptionKeys) -> Result<AcceptedLogin, Rejection> {
    let response = UnverifiedResponse::from_xml(xml.as_bytes().to_vec())?;
    response.verify(idp, keys)?.accept(&request(), &service_provider(), Timestamp::from_unix(NOW, 0))
}

pub(crate) fn decryption_key(key: &SigningKey) -> DecryptionKey {
    DecryptionKey::from_pem(key.key_pem().as_bytes()).unwrap()
}

pub(crate) fn decryption_keys() -> DecryptionKeys {
    DecryptionKeys::new(decryption_key(test_keys::decryption()), None, None)
}

pub(crate) fn accept(xml: &str, sign: Sign) -> Result<AcceptedLogin, Rejection> {
    accept_by(xml, &idp(&[key()], sign))
}

/// The code of the refusal, or who was let in.
pub(crate) fn verdict(xml: &str, sign: Sign) -> Result<String, &'static str> {
    crate::explains::assert_agreement(xml, &idp(&[key()], sign), DecryptionKeys::none());
    accept(xml, sign).map(|login| login.identity().email.clone()).map_err(|rejection| rejection.code())
}

#[track_caller]
pub(crate) fn assert_refused(xml: &str, sign: Sign, code: &str) {
    assert_eq!(verdict(xml, sign), Err(code), "{xml}");
}

#[track_caller]
pub(crate) fn assert_accepted(xml: &str, sign: Sign) {
    assert_eq!(verdict(xml, sign), Ok("ada@example.com".to_owned()), "{xml}");
}

/// A login by an Assertion that was changed before it was signed: it is encrypted in a signed Response, for
/// whatever stands in there is signed. The code of a refusal of the plaintext is that of its reason.
pub(crate) fn try_edited(change: impl Fn(String) -> String + Send + Sync + 'static) -> Result<AcceptedLogin, String> {
    let mut encryption = Encryption::to(test_keys::decryption());
    encryption.plaintext = Some(Box::new(move |text| {
        let changed = change(text.clone());
        assert_ne!(changed, text, "nothing was changed");
        changed
    }));
    let xml = good().encrypt(encryption).sign(Signed::Response).issue(key()).xml;
    let idp = idp(&[key()], Sign::Response);
    crate::explains::assert_agreement(&xml, &idp, decryption_keys());
    accept_with(&xml, &idp, &decryption_keys()).map_err(|rejection| match &rejection {
        Rejection::DecryptionFailed { problem } => {
            let reason = problem.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
            reason.map_or(problem.as_str(), |(code, _)| code).to_owned()
        }
        other => other.code().to_owned(),
    })
}

#[track_caller]
pub(crate) fn edited(change: impl Fn(String) -> String + Send + Sync + 'static) -> AcceptedLogin {
    try_edited(change).unwrap()
}

#[track_caller]
pub(crate) fn accepted_when_edited(change: impl Fn(String) -> String + Send + Sync + 'static) {
    assert_eq!(edited(change).identity().email, "ada@example.com");
}

#[track_caller]
pub(crate) fn refused_when_edited(change: impl Fn(String) -> String + Send + Sync + 'static, code: &str) {
    assert_eq!(try_edited(change).map(drop), Err(code.to_owned()));
}
