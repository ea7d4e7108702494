//! Who somebody is: each claim from its configured source, and nothing in it that could deceive.

use issuer::ResponseSpec;
use saml_core::{ClaimNames, ClaimSource, Identity, Rejection, Sign, TrustedIdp};

use crate::parties::{accept_by, good, idp, idp_with_claims, key};

const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
const PERSISTENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";

fn usual() -> TrustedIdp {
    idp(&[key()], Sign::AssertionAndResponse)
}

fn asking(change: impl FnOnce(&mut ClaimNames)) -> TrustedIdp {
    let mut names = ClaimNames::default();
    change(&mut names);
    idp_with_claims(names)
}

fn identity(spec: &ResponseSpec, idp: &TrustedIdp) -> Result<Identity, Rejection> {
    accept_by(&spec.issue(key()).xml, idp).map(|login| login.identity().clone())
}

#[track_caller]
fn refused(spec: &ResponseSpec, idp: &TrustedIdp, code: &str) {
    assert_eq!(identity(spec, idp).map(drop).map_err(|rejection| rejection.code()), Err(code));
}

fn with(name: &str, values: &[&str]) -> ResponseSpec {
    let mut spec = good();
    spec.attributes.retain(|(other, _)| other != name);
    spec.attribute(name, values)
}

#[test]
fn the_unique_id_comes_from_the_name_id_only_where_the_settings_say_so() {
    let by_name_id = asking(|names| names.unique_id = ClaimSource::NameId);
    let mut spec = good();
    spec.name_id = Some("u-1".to_owned());
    spec.name_id_format = Some(PERSISTENT.to_owned());
    assert_eq!(identity(&spec, &by_name_id).unwrap().unique_id, "u-1");
    assert_eq!(identity(&spec, &usual()).unwrap().unique_id, "5f3c0de5f3c0de5f3c0de5f3");
    // A transient NameID is another at each login, which is no matter where it is not read.
    spec.name_id_format = Some(TRANSIENT.to_owned());
    refused(&spec, &by_name_id, "unique_id_invalid");
    assert_eq!(identity(&spec, &usual()).unwrap().unique_id, "5f3c0de5f3c0de5f3c0de5f3");
    spec.name_id = None;
    refused(&spec, &by_name_id, "unique_id_missing");
    spec.name_id = Some(String::new());
    refused(&spec, &by_name_id, "unique_id_missing");
    assert_eq!(identity(&spec, &usual()).unwrap().name_id, None);
}

#[test]
fn the_email_comes_from_the_name_id_only_where_the_settings_say_so() {
    let by_name_id = asking(|names| names.email = ClaimSource::NameId);
    let mut spec = good();
    spec.name_id = Some("grace@example.org".to_owned());
    assert_eq!(identity(&spec, &by_name_id).unwrap().email, "grace@example.org");
    assert_eq!(identity(&spec, &usual()).unwrap().email, "ada@example.com");
    spec.name_id = Some("grace".to_owned());
    refused(&spec, &by_name_id, "email_invalid");
    spec.name_id = None;
    refused(&spec, &by_name_id, "email_missing");
}

#[test]
fn a_username_is_read_where_one_is_configured() {
    let named = asking(|names| names.username = Some("uid".to_owned()));
    let spec = with("uid", &["ada"]);
    assert_eq!(identity(&spec, &named).unwrap().username.as_deref(), Some("ada"));
    assert_eq!(identity(&spec, &usual()).unwrap().username, None);
    assert_eq!(identity(&good(), &named).unwrap().username, None);
    refused(&with("uid", &["a\tda"]), &named, "claim_invalid");
    refused(&with("uid", &["ada", "eve"]), &named, "claim_ambiguous");
}

#[test]
fn every_claim_is_asked_for_controls() {
    for name in ["firstname", "lastname", "memberOf"] {
        for value in ["a\tb", "a\u{7f}b", "a\u{80}b", "a\u{9f}b"] {
            refused(&with(name, &["plain", value][usize::from(name != "memberOf")..]), &usual(), "claim_invalid");
        }
        // What deceives in an identifier may stand in a name: nothing is decided by it.
        assert!(identity(&with(name, &["a\u{200d}b\u{a0}"]), &usual()).is_ok());
    }
    let spec = with("firstname", &["Ada"]).attribute("lastname", &["Lovelace"]);
    let identity = identity(&spec, &usual()).unwrap();
    assert_eq!(identity.first_name.as_deref(), Some("Ada"));
    assert_eq!(identity.last_name.as_deref(), Some("Lovelace"));
}

#[test]
fn a_value_said_twice_is_said_once_and_two_values_are_none() {
    let twice = with("firstname", &["Ada", "Ada"]).attribute("firstname", &["Ada"]);
    assert_eq!(identity(&twice, &usual()).unwrap().first_name.as_deref(), Some("Ada"));
    for (name, values) in [
        ("firstname", ["Ada", "Eve"]),
        ("lastname", ["A", "E"]),
        ("email", ["ada@example.com", "eve@example.com"]),
        ("sub", ["1", "2"]),
    ] {
        refused(&with(name, &values), &usual(), "claim_ambiguous");
        refused(&with(name, &values[..1]).attribute(name, &values[1..]), &usual(), "claim_ambiguous");
        assert!(identity(&with(name, &values[..1]), &usual()).is_ok());
    }
}

#[test]
fn repeated_attributes_are_merged_and_empty_values_are_missing_ones() {
    let spec = with("memberOf", &["b", "", "a"]).attribute("memberOf", &["c", "a"]).attribute("other", &["", "x"]);
    let identity = identity(&spec.attribute("none", &["", ""]), &usual()).unwrap();
    assert_eq!(identity.groups, ["b", "a", "c", "a"]);
    let attributes: Vec<(&str, Vec<&str>)> = identity
        .attributes
        .iter()
        .map(|(name, values)| (name.as_str(), values.iter().map(String::as_str).collect()))
        .collect();
    assert_eq!(
        attributes,
        [
            ("email", vec!["ada@example.com"]),
            ("sub", vec!["5f3c0de5f3c0de5f3c0de5f3"]),
            ("memberOf", vec!["b", "a", "c", "a"]),
            ("other", vec!["x"]),
        ]
    );
}

#[test]
fn a_missing_claim_is_refused_with_the_names_that_did_arrive() {
    let long = "n".repeat(200);
    let mut spec = with("sub", &[""]).attribute(&long, &["x"]);
    spec.attributes.retain(|(name, _)| name != "memberOf");
    match identity(&spec, &usual()) {
        Err(Rejection::UniqueIdMissing { wanted, arrived }) => {
            assert_eq!(wanted, "sub");
            assert_eq!(arrived, ["email", &long[..128]]);
        }
        other => panic!("{other:?}"),
    }
    let mut many = with("email", &[""]);
    for number in 0..100 {
        many = many.attribute(&format!("a{number}"), &["x"]);
    }
    match identity(&many, &usual()) {
        Err(Rejection::EmailMissing { wanted, arrived }) => {
            assert_eq!(wanted, "email");
            assert_eq!(arrived.len(), 64);
            assert_eq!(arrived[..3], ["sub", "memberOf", "a0"]);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_identifier_has_at_most_256_characters() {
    for character in ["x", "\u{e4}"] {
        assert_eq!(identity(&with("sub", &[&character.repeat(256)]), &usual()).unwrap().unique_id.chars().count(), 256);
        refused(&with("sub", &[&character.repeat(257)]), &usual(), "unique_id_invalid");
    }
    let email = |length: usize| format!("{}@example.com", "a".repeat(length - "@example.com".len()));
    assert!(identity(&with("email", &[&email(256)]), &usual()).is_ok());
    refused(&with("email", &[&email(257)]), &usual(), "email_invalid");
}

#[test]
fn nothing_invisible_stands_in_an_identifier() {
    for (first, last) in [
        (0x09, 0x0a),
        (0x7f, 0x9f),
        (0xad, 0xad),
        (0x34f, 0x34f),
        (0x61c, 0x61c),
        (0x115f, 0x1160),
        (0x17b4, 0x17b5),
        (0x180b, 0x180f),
        (0x200b, 0x200f),
        (0x2028, 0x202e),
        (0x2060, 0x206f),
        (0x3164, 0x3164),
        (0xfe00, 0xfe0f),
        (0xfeff, 0xfeff),
        (0xffa0, 0xffa0),
        (0xfff0, 0xfff8),
        (0x1bca0, 0x1bca3),
        (0x1d173, 0x1d17a),
        (0xe0000, 0xe0fff),
    ] {
        for code in [first, last] {
            let character = char::from_u32(code).unwrap();
            refused(&with("sub", &[&format!("a{character}b")]), &usual(), "unique_id_invalid");
        }
    }
    for visible in ["a\u{ac}b", "a\u{ae}b", "a\u{200a}b", "a b", "\u{2010}", "\u{ff}"] {
        assert_eq!(identity(&with("sub", &[visible]), &usual()).unwrap().unique_id, visible);
    }
    for outside in [" a", "a ", "\u{a0}a", "a\u{3000}"] {
        refused(&with("sub", &[outside]), &usual(), "unique_id_invalid");
        let mut spec = good();
        spec.name_id = Some(outside.to_owned());
        refused(&spec, &usual(), "name_id_invalid");
    }
}
