//! The form that a browser posts to the ACS URL (SAML Bindings 2.0 §3.5.4).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use crate::rejection::Rejection;

/// The largest body that is read.
pub const MAX_FORM_BYTES: usize = 256 * 1024;

/// The one SAMLResponse of a form. RelayState is not kept: what comes back is ignored.
#[derive(Debug)]
pub struct AcsForm {
    saml_response: Vec<u8>,
}

impl AcsForm {
    /// # Errors
    /// Another content type, a query, a body over [`MAX_FORM_BYTES`], anything but exactly one
    /// SAMLResponse, two RelayStates, or a parameter of another binding.
    pub fn parse(content_type: Option<&str>, query: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        if body.len() > MAX_FORM_BYTES {
            return Err(Rejection::FormTooLarge { limit: MAX_FORM_BYTES });
        }
        let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Rejection::FormContentType { seen: media_type.chars().take(100).collect() });
        }
        if query.is_some_and(|query| !query.is_empty()) {
            return Err(Rejection::FormQueryNotEmpty);
        }
        let mut saml_response = None;
        let mut relay_states = 0_u8;
        let mut rest = Some(body);
        while let Some(pairs) = rest {
            let end_of_pair = find(b'&', pairs).unwrap_or(pairs.len());
            let (pair, after) = pairs.split_at_checked(end_of_pair).unwrap_or_default();
            rest = after.strip_prefix(b"&");
            let end_of_name = find(b'=', pair).unwrap_or(pair.len());
            let (name, value) = pair.split_at_checked(end_of_name).unwrap_or_default();
            let value = value.strip_prefix(b"=").unwrap_or_default();
            match decode_name(name)?.as_ref() {
                b"SAMLResponse" => {
                    if saml_response.replace(decode(value)?).is_some() {
                        return Err(Rejection::SamlResponseRepeated);
                    }
                }
                b"RelayState" => {
                    relay_states = relay_states.saturating_add(1);
                    if relay_states > 1 {
                        return Err(Rejection::SamlResponseRepeated);
                    }
                }
                name => refuse_other_bindings(name)?,
            }
        }
        let saml_response = saml_response.ok_or(Rejection::SamlResponseMissing)?;
        Ok(Self { saml_response })
    }

    /// As if a form had held it.
    pub(crate) fn of_saml_response(value: &[u8]) -> Self {
        Self { saml_response: value.to_vec() }
    }

    pub(crate) fn saml_response(&self) -> &[u8] {
        &self.saml_response
    }
}

/// Parameters of HTTP-Redirect, HTTP-Artifact and requests: their presence beside a SAMLResponse is
/// how bindings are confused (CVE-2025-27773, CVE-2025-31335).
fn refuse_other_bindings(name: &[u8]) -> Result<(), Rejection> {
    for forbidden in ["SAMLRequest", "SAMLart", "SigAlg", "Signature", "SAMLEncoding"] {
        if name.eq_ignore_ascii_case(forbidden.as_bytes()) {
            return Err(Rejection::FormParameterUnexpected { name: forbidden });
        }
    }
    Ok(())
}

/// The URL standard's decoding of a form, but strict: an escape that is none is refused and not kept. A
/// SAMLResponse is most of a login's bytes, and this is several times as fast as the general decoder.
pub(crate) fn decode(encoded: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some(at) = next_escape(rest) {
        let (before, after) = rest.split_at_checked(at).unwrap_or_default();
        decoded.extend_from_slice(before);
        let (byte, length) = escape(after)?;
        decoded.push(byte);
        rest = after.get(length..).unwrap_or_default();
    }
    decoded.extend_from_slice(rest);
    Ok(decoded)
}

/// Names without escapes, as all are that mean something, are not copied: a form may hold thousands of others.
fn decode_name(encoded: &[u8]) -> Result<Cow<'_, [u8]>, Rejection> {
    if encoded.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return decode(encoded).map(Cow::Owned);
    }
    Ok(Cow::Borrowed(encoded))
}

/// As `memchr`, which costs several times the pair where pairs are short.
fn find(wanted: u8, bytes: &[u8]) -> Option<usize> {
    let (near, far) = bytes.split_at_checked(8).unwrap_or((bytes, &[]));
    near.iter().position(|byte| *byte == wanted).or_else(|| memchr(wanted, far).map(|at| near.len() + at))
}

/// Escapes side by side need no search, which would cost several times the escape.
fn next_escape(rest: &[u8]) -> Option<usize> {
    match rest {
        [b'%' | b'+', ..] => Some(0),
        [_, b'%' | b'+', ..] => Some(1),
        [_, _, b'%' | b'+', ..] => Some(2),
        _ => memchr2(b'%', b'+', rest),
    }
}

/// What the escape at the beginning of `rest` stands for, and its length.
fn escape(rest: &[u8]) -> Result<(u8, usize), Rejection> {
    match rest {
        [b'+', ..] => Ok((b' ', 1)),
        [b'%', high, low, ..] => match (hex(*high), hex(*low)) {
            (Some(high), Some(low)) => Ok((high << 4 | low, 3)),
            _ => Err(Rejection::FormMalformed),
        },
        _ => Err(Rejection::FormMalformed),
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    #[track_caller]
    fn check(content_type: Option<&str>, query: Option<&str>, body: &str, expected: Result<&str, &str>) {
        let form = AcsForm::parse(content_type, query, body.as_bytes());
        let seen =
            form.as_ref().map(|form| std::str::from_utf8(form.saml_response()).unwrap()).map_err(Rejection::code);
        assert_eq!(seen, expected, "{}", body.get(..100).unwrap_or(body));
    }

    #[test]
    fn takes_the_one_saml_response() {
        check(Some(FORM), None, "SAMLResponse=PGE%2BCg%3D%3D&RelayState=x", Ok("PGE+Cg=="));
        check(Some(FORM), None, "%53AMLResponse=a+b%0D%0a&&x", Ok("a b\r\n"));
        check(Some("Application/X-WWW-Form-Urlencoded; charset=UTF-8"), Some(""), "other=1&SAMLResponse=a", Ok("a"));
    }

    proptest! {
        #[test]
        fn decodes_like_one_that_goes_byte_by_byte(encoded in "([a-zA-Z0-9=]{0,12}(%[0-9a-fA-F]{2}|\\+|%[0-9g]?|\u{e4})?){0,12}") {
            prop_assert_eq!(decode(encoded.as_bytes()).ok(), byte_by_byte(encoded.as_bytes()));
        }
    }

    fn byte_by_byte(encoded: &[u8]) -> Option<Vec<u8>> {
        Some(match encoded {
            [] => Vec::new(),
            [b'%', high, low, rest @ ..] => {
                let digits = [*high, *low].map(|digit| char::from(digit).to_digit(16));
                let [high, low] = [digits[0]?, digits[1]?];
                [vec![u8::try_from(high * 16 + low).unwrap()], byte_by_byte(rest)?].concat()
            }
            [b'%', ..] => return None,
            [b'+', rest @ ..] => [vec![b' '], byte_by_byte(rest)?].concat(),
            [byte, rest @ ..] => [vec![*byte], byte_by_byte(rest)?].concat(),
        })
    }

    #[test]
    fn refuses_everything_else() {
        check(None, None, "SAMLResponse=a", Err("form_content_type"));
        check(Some("multipart/form-data"), None, "SAMLResponse=a", Err("form_content_type"));
        check(Some(FORM), Some("SAMLResponse=a"), "SAMLResponse=a", Err("form_query_not_empty"));
        check(Some(FORM), None, "", Err("saml_response_missing"));
        check(Some(FORM), None, "samlresponse=a", Err("saml_response_missing"));
        check(Some(FORM), None, "SAMLResponse=a&SAMLResponse=a", Err("saml_response_repeated"));
        check(Some(FORM), None, "SAMLResponse=a&RelayState=b&RelayState=b", Err("saml_response_repeated"));
        for name in ["SAMLRequest", "SAMLart", "SigAlg", "Signature", "SAMLEncoding", "samlrequest"] {
            check(Some(FORM), None, &format!("SAMLResponse=a&{name}=b"), Err("form_parameter_unexpected"));
        }
        for damaged in
            ["SAMLResponse=%", "SAMLResponse=%2", "SAMLResponse=%zz", "SAMLResponse=a&%=b", "SAMLResponse=%+1"]
        {
            check(Some(FORM), None, damaged, Err("form_malformed"));
        }
        check(Some(FORM), None, &format!("SAMLResponse={}", "a".repeat(MAX_FORM_BYTES)), Err("form_too_large"));
    }
}
