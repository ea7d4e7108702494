//! One login's verification, from the form field to the accepted login, beside its floor: the bare RSA
//! verifications with parsed keys and the digests of exactly the digested bytes.

use std::hint::black_box;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{KeyPair, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use benches::{medians_side_by_side, print_ratio};
use criterion::{Criterion, criterion_group};
use harness::issuer::{Issued, ResponseSpec, Sign as Signed, SigningKey, test_keys};
use saml_core::{
    AcceptedLogin, AcsForm, AcsUrl, Authentication, Certificate, ClaimNames, DecryptionKeys, EntityId, IdpId,
    RequestId, SentRequest, ServiceProvider, Sign, Timestamp, TrustedIdp, UnverifiedResponse,
};
use time::OffsetDateTime;

const IDP: &str = "jumpcloud-samlgate";
const SP: &str = "https://app.example.com/saml/metadata";
const ACS: &str = "https://app.example.com/saml/acs";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
const NOW: i64 = 1_795_445_071;
const RESPONSE_BYTES: usize = 8 * 1024;

struct Login {
    body: String,
    idp: TrustedIdp,
    sp: ServiceProvider,
    request: SentRequest,
}

fn issued(key: &SigningKey) -> Issued {
    let now = OffsetDateTime::from_unix_timestamp(NOW).unwrap();
    let mut spec = ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now)
        .in_response_to(REQUEST)
        .sign(Signed::Both)
        .claims("ada@example.com", "5f3c0de5f3c0de5f3c0de5f3", &["admins", "staff", "engineering", "on-call"]);
    if spec.issue(key).xml.len() < RESPONSE_BYTES {
        spec.padded_to = Some(RESPONSE_BYTES);
    }
    spec.issue(key)
}

impl Login {
    fn of(issued: &Issued, key: &SigningKey) -> Self {
        let certificates = Certificate::parse_all(key.certificate_pem().as_bytes()).unwrap();
        let (id, entity_id) = (IdpId::parse("jumpcloud").unwrap(), EntityId::parse(IDP).unwrap());
        Self {
            body: issued.form_body(Some("relay")),
            idp: TrustedIdp::new(id, entity_id, certificates, Sign::AssertionAndResponse, ClaimNames::default())
                .unwrap(),
            sp: ServiceProvider {
                entity_id: EntityId::parse(SP).unwrap(),
                acs_url: AcsUrl::parse(ACS).unwrap(),
                skew_seconds: 180,
            },
            request: SentRequest { id: RequestId::parse(REQUEST).unwrap(), authentication: Authentication::Any },
        }
    }

    fn verify(&self) -> AcceptedLogin {
        let form = AcsForm::parse(Some("application/x-www-form-urlencoded"), None, self.body.as_bytes()).unwrap();
        let response = UnverifiedResponse::from_form(&form).unwrap();
        let verified = response.verify(&self.idp, &DecryptionKeys::none()).unwrap();
        verified.accept(&self.request, &self.sp, Timestamp::from_unix(NOW, 0)).unwrap()
    }
}

/// What no verifier can do without: two signatures over two SignedInfos, two digests.
struct Floor {
    key: ParsedPublicKey,
    signed: Vec<(Vec<u8>, Vec<u8>)>,
    digested: Vec<Vec<u8>>,
}

impl Floor {
    fn of(issued: &Issued, key: &SigningKey) -> Self {
        let pkcs8: String = key.key_pem().lines().filter(|line| !line.starts_with("-----")).collect();
        let key_pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(pkcs8).unwrap()).unwrap();
        let between = |text: &str, from: &str, to: &str| {
            let start = text.find(from).unwrap();
            text[start..start + text[start..].find(to).unwrap() + to.len()].to_owned()
        };
        let signatures =
            [issued.response_signature.as_deref().unwrap(), issued.assertion_signature.as_deref().unwrap()];
        let signed = signatures.map(|signature| {
            // Canonical SignedInfo has the namespace declaration that stands on the Signature.
            let info = between(signature, "<ds:SignedInfo>", "</ds:SignedInfo>");
            let info =
                info.replacen("<ds:SignedInfo>", "<ds:SignedInfo xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\">", 1);
            let value = between(signature, "<ds:SignatureValue>", "</ds:SignatureValue>");
            let value = value.trim_start_matches("<ds:SignatureValue>").trim_end_matches("</ds:SignatureValue>");
            (info.into_bytes(), STANDARD.decode(value).unwrap())
        });
        let assertion = issued.assertion.as_deref().unwrap().replacen(signatures[1], "", 1);
        let response = issued.xml.replacen(signatures[0], "", 1);
        let floor = Self {
            key: ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key_pair.public_key()).unwrap(),
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

    fn run(&self) {
        for (info, value) in &self.signed {
            self.key.verify_sig(black_box(info), black_box(value)).unwrap();
        }
        for element in &self.digested {
            black_box(digest(&SHA256, black_box(element)));
        }
    }
}

type NamedKey = (&'static str, fn() -> &'static Arc<SigningKey>);

const KEYS: [NamedKey; 2] = [("rsa2048", test_keys::rsa_2048), ("rsa4096", test_keys::rsa_4096)];

fn verify_response(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verify_response");
    for (name, key) in KEYS {
        let issued = issued(key());
        let (login, floor) = (Login::of(&issued, key()), Floor::of(&issued, key()));
        group.bench_function(name, |bencher| bencher.iter(|| black_box(login.verify())));
        group.bench_function(format!("{name}/floor"), |bencher| bencher.iter(|| floor.run()));
    }
    group.finish();
}

criterion_group!(benches, verify_response);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    for (name, key) in KEYS {
        let issued = issued(key());
        let (login, floor) = (Login::of(&issued, key()), Floor::of(&issued, key()));
        let (work, bare) = medians_side_by_side(|| drop(black_box(login.verify())), || floor.run());
        print_ratio(&format!("verify_response {name}"), &format!(" ({} bytes)", issued.xml.len()), work, bare);
    }
}
