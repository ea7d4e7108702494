//! How a response arrives: the form, base64, the size, and what may be asked of it before it is verified.

use issuer::ResponseSpec;
use saml_core::{AcsForm, InResponseTo, Rejection, Sign, UnverifiedResponse};

use crate::parties::{IDP, REQUEST, assert_accepted, good, key};

const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
const LARGEST: usize = 128 * 1024;

fn from_form(body: &str) -> Result<UnverifiedResponse, Rejection> {
    UnverifiedResponse::from_form(&AcsForm::parse(FORM, None, body.as_bytes())?)
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('+', "%2B").replace('\n', "%0A").replace('\r', "%0D").replace('\t', "%09")
}

#[test]
fn a_form_holds_the_response_in_base64() {
    let issued = good().issue(key());
    let form = AcsForm::parse(FORM, None, issued.form_body(None).as_bytes()).unwrap();
    assert_eq!(form.decoded().unwrap(), issued.xml.as_bytes());
    let response = UnverifiedResponse::from_form(&form).unwrap();
    assert_eq!(response.in_response_to(), InResponseTo::Request(REQUEST));
    let base64 = issued.base64();
    let broken = base64.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
    for line_end in ["\n", "\r\n", " ", " \r\n "] {
        let body = format!("SAMLResponse={}", escaped(&broken.join(line_end)));
        assert!(from_form(&body).is_ok(), "{line_end:?}");
    }
    let refused = |value: &str| from_form(&format!("SAMLResponse={}", escaped(value))).map(drop).map_err(|r| r.code());
    assert_eq!(refused(&base64), Ok(()));
    for value in
        ["", &broken.join("\t"), &format!("{base64}="), &base64[..base64.len() - 1], &base64.replacen('P', "-", 1)]
    {
        assert_eq!(refused(value), Err("base64_invalid"));
    }
}

#[test]
fn the_largest_response_is_read_and_one_byte_more_is_not() {
    let sized = |size: usize| {
        let mut spec = good();
        spec.padded_to = Some(size);
        let xml = spec.issue(key()).xml;
        assert_eq!(xml.len(), size);
        xml
    };
    assert_accepted(&sized(LARGEST - 1), Sign::AssertionAndResponse);
    assert_accepted(&sized(LARGEST), Sign::AssertionAndResponse);
    for size in [LARGEST + 1, LARGEST + 2] {
        let refused = UnverifiedResponse::from_xml(sized(size).into_bytes()).map(drop);
        assert_eq!(refused, Err(Rejection::ResponseTooLarge { size, limit: LARGEST }));
    }
}

#[test]
fn the_issuer_that_is_claimed_is_that_of_the_response() {
    let claimed = |change: fn(&mut ResponseSpec)| {
        let mut spec = good();
        change(&mut spec);
        let response = UnverifiedResponse::from_xml(spec.issue(key()).xml.into_bytes()).unwrap();
        response.claimed_issuer().map(str::to_owned)
    };
    assert_eq!(claimed(|spec| spec.assertion_issuer = "of the Assertion".to_owned()).as_deref(), Some(IDP));
    assert_eq!(claimed(|spec| spec.response_issuer = Some("other".to_owned())).as_deref(), Some("other"));
    assert_eq!(claimed(|spec| spec.response_issuer = None), None);
}
