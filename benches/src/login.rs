//! A login of a chosen size by a chosen key, and its verification from the form body on.

use issuer::{Issued, ResponseSpec, Sign as Signed, SigningKey};
use saml_core::{
    AcceptedLogin, AcsForm, AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKeys, EntityId, IdpId,
    Rejection, RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};
use time::OffsetDateTime;

pub const IDP: &str = "jumpcloud-samlgate";
pub const SP: &str = "https://app.example.com/saml/metadata";
pub const ACS: &str = "https://app.example.com/saml/acs";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
const NOW: i64 = 1_795_445_071;

pub const GROUPS: [&str; 4] = ["admins", "staff", "engineering", "on-call"];

/// What JumpCloud would send for a user of these groups, with both signatures.
pub fn spec(groups: &[&str]) -> ResponseSpec {
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("a time");
    ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now).in_response_to(REQUEST).sign(Signed::Both).claims(
        "ada@example.com",
        "5f3c0de5f3c0de5f3c0de5f3",
        groups,
    )
}

/// As [`spec`], of a user in `count` groups of names as long as real ones.
pub fn with_groups(count: usize) -> ResponseSpec {
    let groups: Vec<String> = (0..count).map(|group| format!("Team {group:03} of the engineers")).collect();
    spec(&groups.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A response of `size` bytes whose user is in as many groups as fit, which is what makes real ones large.
pub fn full_of_groups(key: &SigningKey, size: usize) -> Issued {
    let length = |count: usize| with_groups(count).issue(key).xml.len();
    let (few, each) = (length(10), (length(110) - length(10)) / 100);
    let mut spec = with_groups(10 + size.saturating_sub(few + 200) / (each + 1));
    spec.padded_to = Some(size);
    spec.issue(key)
}

/// A response of `size` bytes; as small as it gets where that is smaller.
pub fn issued(key: &SigningKey, size: usize) -> Issued {
    let mut spec = spec(&GROUPS);
    if spec.issue(key).xml.len() + 200 < size {
        spec.padded_to = Some(size);
    }
    spec.issue(key)
}

/// All that a verification goes by, with one pinned key.
pub struct Gate {
    idp: TrustedIdp,
    sp: ServiceProvider,
    request: SentRequest,
    decryption: DecryptionKeys,
}

impl Gate {
    pub fn pinning(key: &SigningKey) -> Self {
        let certificates = Certificate::parse_all(key.certificate_pem().as_bytes()).expect("a certificate");
        let id = IdpId::parse("jumpcloud").expect("an id");
        let entity_id = EntityId::parse(IDP).expect("an entity ID");
        Self {
            idp: TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, ClaimNames::default())
                .expect("an IdP"),
            sp: ServiceProvider {
                entity_id: EntityId::parse(SP).expect("an entity ID"),
                acs_url: AcsUrl::parse(ACS).expect("an ACS URL"),
                skew_seconds: 180,
            },
            request: SentRequest {
                id: RequestId::parse(REQUEST).expect("a request ID"),
                authentication: Authentication::Any,
            },
            decryption: DecryptionKeys::none(),
        }
    }

    /// Everything from the form body to the accepted login.
    ///
    /// # Errors
    /// The verifier's.
    #[inline(never)]
    pub fn verify(&self, body: &[u8]) -> Result<AcceptedLogin, Rejection> {
        let form = AcsForm::parse(Some("application/x-www-form-urlencoded"), None, body)?;
        let response = UnverifiedResponse::from_form(&form)?;
        let verified = response.verify(&self.idp, &self.decryption)?;
        verified.accept(&self.request, &self.sp, Timestamp::from_unix(NOW, 0))
    }
}
