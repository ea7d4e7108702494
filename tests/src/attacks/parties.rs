//! The IdP, the service provider, the person and the attacker of every case, at one moment.

use std::sync::Arc;

use saml_core::{
    AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKey, DecryptionKeys, EntityId, IdpId, RequestId,
    SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp,
};
use time::OffsetDateTime;

use crate::issuer::{self, ResponseSpec, SigningKey, test_keys};
use crate::weak::{Trust, Wanted};

pub const IDP: &str = "jumpcloud-samlgate";
pub const SP: &str = "https://app.example.com/saml/metadata";
pub const ACS: &str = "https://app.example.com/saml/acs";
pub const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
/// A request of somebody else's browser.
pub const OTHER_REQUEST: &str = "_89abcdef0123456789abcdef0123456789abcdef";
pub const NOW: i64 = 1_795_445_071;

pub const RESPONSE_ID: &str = "_response-0001";
pub const ASSERTION_ID: &str = "_assertion-0001";

/// Whom the IdP signed for.
pub const ADA: &str = "ada@example.com";
pub const ADA_ID: &str = "5f3c0de5f3c0de5f3c0de5f3";
/// Whom the attacker wants to be.
pub const EVE: &str = "eve@example.com";
pub const EVE_ID: &str = "e0e0e0e0e0e0e0e0e0e0e0e0";

pub fn now() -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(NOW).expect("NOW is a time")
}

/// What the IdP says of Ada, unsigned.
pub fn spec() -> ResponseSpec {
    let mut spec = ResponseSpec::new(IDP, SP, ACS, ADA, now())
        .in_response_to(REQUEST)
        .sign(issuer::Sign::Neither)
        .claims(ADA, ADA_ID, &["admins", "staff"]);
    spec.response_id = Some(RESPONSE_ID.to_owned());
    spec.assertion_id = Some(ASSERTION_ID.to_owned());
    spec.session_index = Some("_session-0001".to_owned());
    spec
}

pub fn key() -> &'static Arc<SigningKey> {
    test_keys::rsa_2048()
}

/// How a verifier is set for a case.
#[derive(Clone)]
pub struct Setting {
    pub wanted: Wanted,
    pub key: &'static Arc<SigningKey>,
    /// Where the unique id comes from.
    pub unique_id: &'static str,
}

impl Setting {
    pub fn of(wanted: Wanted) -> Self {
        Self { wanted, key: key(), unique_id: "sub" }
    }

    pub fn trust(&self) -> Trust {
        Trust {
            certificate: self.key.certificate_pem().to_owned(),
            other_certificate: test_keys::stranger().certificate_pem().to_owned(),
            decryption_key: test_keys::rsa_4096().key_pem().to_owned(),
            idp: IDP.to_owned(),
            sp: SP.to_owned(),
            acs: ACS.to_owned(),
            request: REQUEST.to_owned(),
            now: NOW,
            wanted: self.wanted,
        }
    }

    pub fn decryption_keys(&self) -> DecryptionKeys {
        let key = DecryptionKey::from_pem(test_keys::rsa_4096().key_pem().as_bytes()).expect("it is a key");
        DecryptionKeys::new(key, None, None)
    }

    pub fn idp(&self) -> TrustedIdp {
        let sign = match self.wanted {
            Wanted::Both => Sign::AssertionAndResponse,
            Wanted::Response => Sign::Response,
            Wanted::Assertion => Sign::Assertion,
            Wanted::Any => Sign::Any,
        };
        let certificates = Certificate::parse_all(self.key.certificate_pem().as_bytes()).expect("it is a certificate");
        let claims = ClaimNames { unique_id: saml_core::ClaimSource::parse(self.unique_id), ..ClaimNames::default() };
        let id = IdpId::parse("jumpcloud").expect("it is an id");
        let entity_id = EntityId::parse(IDP).expect("it is an entity ID");
        TrustedIdp::new(id, entity_id, certificates, sign, claims).expect("there is one key")
    }
}

pub fn service_provider() -> ServiceProvider {
    ServiceProvider {
        entity_id: EntityId::parse(SP).expect("it is an entity ID"),
        acs_url: AcsUrl::parse(ACS).expect("it is a URL"),
        skew_seconds: 180,
    }
}

pub fn request() -> SentRequest {
    SentRequest { id: RequestId::parse(REQUEST).expect("it is a request ID"), authentication: Authentication::Any }
}

pub fn timestamp() -> Timestamp {
    Timestamp::from_unix(NOW, 0)
}
