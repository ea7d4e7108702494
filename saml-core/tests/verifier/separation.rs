//! Several IdPs: none can name the users of another.

use issuer::ResponseSpec;
use saml_core::{IdpId, Sign, TrustedIdp};

use crate::parties::{accept_by, good, idp, key};

fn with(name: &'static str, value: &str) -> ResponseSpec {
    let mut spec = good();
    spec.attributes.retain(|(other, _)| other != name);
    spec.attribute(name, &[value])
}

fn verdict(spec: &ResponseSpec, idp: &TrustedIdp) -> Result<(), &'static str> {
    accept_by(&spec.issue(key()).xml, idp).map(drop).map_err(|rejection| rejection.code())
}

#[test]
fn an_idp_speaks_for_its_email_domains_and_no_other() {
    let anybodys = idp(&[key()], Sign::Any);
    let of_two = idp(&[key()], Sign::Any).speaking_for(vec!["example.com".to_owned(), "Example.org".to_owned()]);
    let of_none = idp(&[key()], Sign::Any).speaking_for(Vec::new());
    for (email, wanted) in [
        ("ada@example.com", Ok(())),
        ("ada@EXAMPLE.com", Ok(())),
        ("ada@example.org", Ok(())),
        ("ada@sub.example.com", Err("email_not_of_this_idp")),
        ("ada@badexample.com", Err("email_not_of_this_idp")),
        ("ada@com", Err("email_not_of_this_idp")),
        ("ada@example.com.evil.example", Err("email_not_of_this_idp")),
        ("example.com@evil.example", Err("email_not_of_this_idp")),
    ] {
        let spec = with("email", email);
        assert_eq!(verdict(&spec, &anybodys), Ok(()), "{email}");
        assert_eq!(verdict(&spec, &of_two), wanted, "{email}");
        assert_eq!(verdict(&spec, &of_none), Err("email_not_of_this_idp"), "{email}");
    }
    let spec = with("email", "ada@evil@example.com");
    assert_eq!(verdict(&spec, &of_two), Err("email_invalid"));
}

#[test]
fn no_unique_id_looks_like_one_of_another_idp() {
    let first = idp(&[key()], Sign::Any);
    let others = ["okta", "partner"].map(|id| IdpId::parse(id).unwrap()).to_vec();
    let beside_others = idp(&[key()], Sign::Any).reserving(others);
    for (unique_id, wanted) in [
        ("5f3c0de5f3c0de5f3c0de5f3", Ok(())),
        ("okta", Ok(())),
        ("oktas:1", Ok(())),
        ("urn:okta:1", Ok(())),
        ("okta:1", Err("unique_id_invalid")),
        ("okta:", Err("unique_id_invalid")),
        ("OKTA:1", Err("unique_id_invalid")),
        ("partner:okta:1", Err("unique_id_invalid")),
    ] {
        let spec = with("sub", unique_id);
        assert_eq!(verdict(&spec, &first), Ok(()), "{unique_id}");
        assert_eq!(verdict(&spec, &beside_others), wanted, "{unique_id}");
    }
}
