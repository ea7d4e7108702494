//! Documents of our own issuer, in all the variety that it has.

use std::path::Path;

use time::OffsetDateTime;

use super::random::Random;
use crate::issuer::{Canonicalization, KeyInfo, ResponseSpec, Sign, test_keys};

const IDP: &str = "jumpcloud-samlgate";
const SP: &str = "https://app.example.com/saml/metadata";
const ACS: &str = "https://app.example.com/saml/acs";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
const NOW: i64 = 1_795_445_071;

const VALUES: [&str; 12] = [
    "plain",
    "Łukasz Żółć",
    "田中 花子",
    "🦀",
    "a & b",
    "1 < 2 > 0",
    "\"quoted\" 'single'",
    "]] >",
    "line one\nline two",
    "tab\there",
    "carriage\rreturn",
    "",
];

/// Writes `count` responses into `folder`.
///
/// # Errors
/// A file cannot be written.
pub fn issue(folder: &Path, count: u64) -> std::io::Result<()> {
    for seed in 0..count {
        std::fs::write(folder.join(format!("ours-{seed:04}.xml")), response(seed))?;
    }
    Ok(())
}

fn response(seed: u64) -> String {
    let mut random = Random::new(seed);
    let now = OffsetDateTime::from_unix_timestamp(NOW).expect("the moment is a date");
    let name_id = random.pick(&["ada@example.com", "Łucja & Co", "花子", "a<b>"]);
    let mut spec = ResponseSpec::new(IDP, SP, ACS, name_id, now).in_response_to(REQUEST);
    spec = spec.sign([Sign::Assertion, Sign::Response, Sign::Both][random.below(3)]);
    let mut attributes = vec![("email", vec!["ada@example.com"]), ("sub", vec!["5f3c0de5f3c0de5f3c0de5f3"])];
    attributes.push(("memberOf", ["admins", "staff", "Ärzte & Co"][..random.below(4)].to_vec()));
    for name in ["note", "title", "note", "a&b\"<"] {
        if random.chance(50) {
            attributes.push((name, (0..random.below(4)).map(|_| random.pick(&VALUES)).collect()));
        }
    }
    random.shuffle(&mut attributes);
    for (name, values) in &attributes {
        spec = spec.attribute(name, values);
    }
    if random.chance(50) {
        spec.value_type = Some("xs:string".to_owned());
    }
    if random.chance(50) {
        spec.canonicalization = Canonicalization::Inclusive;
    }
    if random.chance(30) {
        spec.key_info = KeyInfo::Absent;
    }
    if random.chance(30) {
        spec.session_not_on_or_after = Some(now + time::Duration::hours(8));
    }
    spec.issue([test_keys::rsa_2048(), test_keys::rsa_4096(), test_keys::p256()][random.below(3)]).xml
}
