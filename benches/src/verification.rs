//! One login's verification and its floor, for the benches that set something beside them.

use std::hint::black_box;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::issuer::{Issued, ResponseSpec, Sign as Signed, SigningKey};
use saml_core::{
    AcceptedLogin, AcsForm, AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKeys, EntityId, IdpId,
    RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};
use time::OffsetDateTime;

pub const IDP: &str = "jumpcloud-samlgate";
pub const SP: &str = "https://app.example.com/saml/metadata";
pub const ACS: &str = "https://app.example.com/saml/acs";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
const NOW: i64 = 1_795_445_071;

/// A response with both signatures, padded to `bytes`.
pub fn issued(key: &SigningKey, bytes: usize) -> Issued {
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("the moment is a date");
    let mut spec = ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now)
        .in_response_to(REQUEST)
        .sign(Signed::Both)
        .claims("ada@example.com", "5f3c0de5f3c0de5f3c0de5f3", &["admins", "staff", "engineering", "on-call"]);
    spec.padded_to = Some(bytes);
    spec.issue(key)
}

/// From the body of the form to the accepted login.
pub struct Login {
    body: String,
    idp: TrustedIdp,
    sp: ServiceProvider,
    request: SentRequest,
}

impl Login {
    pub fn of(issued: &Issued, key: &SigningKey) -> Self {
        let certificates = Certificate::parse_all(key.certificate_pem().as_bytes()).expect("a certificate");
        let (id, entity_id) = (IdpId::parse("jumpcloud").expect("an id"), EntityId::parse(IDP).expect("an entity ID"));
        Self {
            body: issued.form_body(Some("relay")),
            idp: TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, ClaimNames::default())
                .expect("one key"),
            sp: ServiceProvider {
                entity_id: EntityId::parse(SP).expect("an entity ID"),
                acs_url: AcsUrl::parse(ACS).expect("an ACS URL"),
                skew_seconds: 180,
            },
            request: SentRequest {
                id: RequestId::parse(REQUEST).expect("a request ID"),
                authentication: Authentication::Any,
            },
        }
    }

    pub fn verify(&self) -> AcceptedLogin {
        let form = AcsForm::parse(Some("application/x-www-form-urlencoded"), None, self.body.as_bytes());
        let response = UnverifiedResponse::from_form(&form.expect("a form")).expect("a response");
        let verified = response.verify(&self.idp, &DecryptionKeys::none()).expect("it verifies");
        verified.accept(&self.request, &self.sp, Timestamp::from_unix(NOW, 0)).expect("it is accepted")
    }
}

/// What no verifier can do without: two signatures over two SignedInfos, two digests.
pub struct Floor {
    key: ParsedPublicKey,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
    digested: Vec<Vec<u8>>,
}

impl Floor {
    pub fn of(issued: &Issued, key: &SigningKey) -> Self {
        let pkcs8: String = key.key_pem().lines().filter(|line| !line.starts_with("-----")).collect();
        let key_pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(pkcs8).expect("base64")).expect("an RSA key");
        let signatures = [&issued.response_signature, &issued.assertion_signature]
            .map(|signature| signature.as_deref().expect("both are signed"));
        let signed = signatures.map(|signature| {
            // Canonical SignedInfo has the namespace declaration that stands on the Signature.
            let declared = "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">";
            let info =
                format!("{declared}{}</ds:SignedInfo>", between(signature, "<ds:SignedInfo>", "</ds:SignedInfo>"));
            let value = between(signature, "<ds:SignatureValue>", "</ds:SignatureValue>");
            (info.into_bytes(), STANDARD.decode(value).expect("base64"))
        });
        let assertion = issued.assertion.as_deref().expect("an Assertion").replacen(signatures[1], "", 1);
        let response = issued.xml.replacen(signatures[0], "", 1);
        let floor = Self {
            key: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key_pair.public_key()).expect("a key"),
            signed: signed.to_vec(),
            digested: vec![response.into_bytes(), assertion.into_bytes()],
        };
        // A floor that does other work than the verifier would prove nothing.
        for (element, (info, _)) in floor.digested.iter().zip(&floor.signed) {
            let value = STANDARD.encode(digest(&SHA256, element));
            assert!(String::from_utf8_lossy(info).contains(&value), "the floor digests what was digested");
        }
        floor
    }

    pub fn run(&self) {
        for (info, value) in &self.signed {
            self.key.verify_sig(black_box(info), black_box(value)).expect("it verifies");
        }
        for element in &self.digested {
            black_box(digest(&SHA256, black_box(element)));
        }
    }
}

fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    text.split(from).nth(1).and_then(|rest| rest.split(to).next()).expect("both ends are there")
}
