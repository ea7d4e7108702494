//! What somebody captured, recognised: the response may stand in a form, a URL, a JSON string, or alone.
//!
//! Only wrappings that the capture itself brought are taken off. What the gateway would have been sent goes
//! to the verifier as it is, with its faults.

use std::fmt;
use std::io;

use percent_encoding::percent_decode_str;
use saml_core::explain::Captured;

use super::unpack::{Unpacked, root_name, starts_as_xml, unpacked, utf16, without_mark};

/// The response in it, and what it was found in.
#[derive(Debug)]
pub(super) struct Capture {
    kind: Kind,
    bytes: Vec<u8>,
    /// For people: what was taken for the response.
    pub(super) seen: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Form,
    Base64,
    Xml,
}

impl Capture {
    fn new(kind: Kind, bytes: &[u8], seen: &str) -> Self {
        Self { kind, bytes: bytes.to_vec(), seen: seen.to_owned() }
    }

    fn saved_as(mut self, how: &str) -> Self {
        self.seen = format!("{}, {how}", self.seen);
        self
    }

    pub(super) fn captured(&self) -> Captured<'_> {
        match self.kind {
            Kind::Form => Captured::Form(&self.bytes),
            Kind::Base64 => Captured::Base64(&self.bytes),
            Kind::Xml => Captured::Xml(&self.bytes),
        }
    }
}

/// Why there is nothing to explain.
#[derive(Debug)]
pub(super) enum Unusable {
    Unreadable { file: String, error: io::Error },
    Empty,
    WebPage { with_response: bool },
    Compressed { how: &'static str },
    NoXml,
}

const HOW: &str = "Capture the field SAMLResponse: in the browser's developer tools, Network tab with \"Preserve log\", sign \
                   in, choose the POST to the ACS URL (/saml/acs), Payload (Firefox: Request), and copy its value.";

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => write!(f, "{file} cannot be read: {error}"),
            Self::Empty => write!(f, "the input is empty. {HOW}"),
            Self::WebPage { with_response: false } => {
                write!(f, "the input is a web page, such as a sign-in page, and holds no SAMLResponse. {HOW}")
            }
            Self::WebPage { with_response: true } => write!(
                f,
                "the input is a web page: the IdP's form that posts the response. Give the `value` of its field SAMLResponse \
                 alone. Or: {HOW}"
            ),
            Self::Compressed { how } => {
                write!(f, "the input is compressed with {how}: unpack it and give what is in it")
            }
            Self::NoXml => write!(f, "the input holds no XML, neither plain, nor in base64, nor in a form. {HOW}"),
        }
    }
}

/// # Errors
/// It is empty, or no XML is in it.
pub(super) fn recognise(bytes: &[u8]) -> Result<Capture, Unusable> {
    if let Some(text) = utf16(bytes) {
        return if starts_as_xml(text.as_bytes()) {
            xml(bytes, &text)
        } else {
            recognise_text(&text).map(|capture| capture.saved_as("in a file in UTF-16"))
        };
    }
    let trimmed = bytes.trim_ascii();
    for (magic, how) in [(&[0x1f, 0x8b][..], "gzip"), (b"PK\x03\x04", "zip"), (b"\x28\xb5\x2f\xfd", "zstd")] {
        if bytes.starts_with(magic) {
            return Err(Unusable::Compressed { how });
        }
    }
    if starts_as_xml(trimmed) && is_text(trimmed) {
        return xml(trimmed, &String::from_utf8_lossy(trimmed));
    }
    match std::str::from_utf8(without_mark(trimmed).trim_ascii()) {
        Ok(text) => recognise_text(text),
        Err(_) => Err(Unusable::NoXml),
    }
}

/// Text of any character set that extends ASCII; other bytes may begin with `<` by chance.
fn is_text(bytes: &[u8]) -> bool {
    let start = bytes.get(..512).unwrap_or(bytes);
    std::str::from_utf8(bytes).is_ok() || !start.iter().any(|byte| *byte < 0x20 && !byte.is_ascii_whitespace())
}

/// How web pages and pieces of them begin.
const PAGE: [&str; 13] =
    ["!doctype html", "html", "head", "body", "title", "meta", "link", "script", "style", "div", "form", "p", "table"];

fn xml(bytes: &[u8], text: &str) -> Result<Capture, Unusable> {
    let root = root_name(text);
    if PAGE.contains(&&*root.to_ascii_lowercase()) {
        return Err(Unusable::WebPage { with_response: text.contains("SAMLResponse") });
    }
    Ok(Capture::new(Kind::Xml, bytes, "XML"))
}

fn recognise_text(text: &str) -> Result<Capture, Unusable> {
    let text = text.trim_matches(|character: char| character.is_whitespace() || matches!(character, '\0' | '\u{feff}'));
    if text.is_empty() {
        return Err(Unusable::Empty);
    }
    if text.starts_with(['"', '{', '['])
        && let Some(found) = serde_json::from_str(text).ok().and_then(|value| in_json(&value))
    {
        let plain = found.trim();
        let inner = if starts_as_xml(plain.as_bytes()) { xml(plain.as_bytes(), plain) } else { of_one_line(plain) };
        return inner.map(|capture| capture.saved_as("in a JSON text"));
    }
    of_one_line(text)
}

/// A string that is the response or holds it, in whatever a JSON text is.
fn in_json(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => values.iter().find_map(in_json_with_name),
        Value::Object(_) => in_json_with_name(value),
        _ => None,
    }
}

/// As browsers' HAR has it: `postData.text` with the form, or `{"name": "SAMLResponse", "value": ...}`.
fn in_json_with_name(value: &serde_json::Value) -> Option<String> {
    use serde_json::Value;
    match value {
        Value::String(text) => text.contains("SAMLResponse=").then(|| text.clone()),
        Value::Array(values) => values.iter().find_map(in_json_with_name),
        Value::Object(members) => {
            let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
            let named = (text("name").as_deref() == Some("SAMLResponse")).then(|| text("value")).flatten();
            named.or_else(|| text("SAMLResponse")).or_else(|| members.values().find_map(in_json_with_name))
        }
        _ => None,
    }
}

fn of_one_line(text: &str) -> Result<Capture, Unusable> {
    let found = without_escapes(text);
    if found.is_ok() || !text.contains('%') {
        return found;
    }
    // Encoded for a URL once more than the form is.
    let decoded = percent_decode_str(text).decode_utf8_lossy();
    let outcome = if starts_as_xml(decoded.as_bytes()) {
        xml(decoded.as_bytes(), &decoded)
    } else if decoded.contains("SAMLResponse") {
        without_escapes(&decoded)
    } else {
        Err(Unusable::NoXml)
    };
    outcome.map(|capture| capture.saved_as("percent-encoded"))
}

fn without_escapes(text: &str) -> Result<Capture, Unusable> {
    let query = if text.starts_with("http://") || text.starts_with("https://") {
        text.split_once('?').map(|(_, query)| query.split('#').next().unwrap_or_default())
    } else {
        None
    };
    if let Some(capture) = form_body(query.unwrap_or(text)) {
        return capture.map(|capture| if query.is_some() { capture.saved_as("in a URL") } else { capture });
    }
    if let Some(value) = field_in(text) {
        return base64_or_encoded(value).map(|capture| capture.saved_as("found after the word SAMLResponse"));
    }
    base64_or_encoded(text)
}

/// `None` where it is no form with a message in it.
fn form_body(text: &str) -> Option<Result<Capture, Unusable>> {
    let is_body = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'{' | b'}');
    if !text.bytes().all(is_body) {
        return None;
    }
    let fields = form_urlencoded::parse(text.as_bytes());
    let mut responses = fields.filter(|(name, _)| name == "SAMLResponse").peekable();
    if responses.peek().is_none() {
        let (_, value) = fields.into_iter().find(|(name, _)| name == "SAMLRequest")?;
        return Some(request(&value));
    }
    if !responses.any(|(_, value)| unpacked(&value.replace(' ', "+")).is_some()) {
        return Some(Err(Unusable::NoXml));
    }
    if let Some(value) = decoded_already(text) {
        let seen = "a form, not percent-encoded: its field was taken as it stands";
        return Some(Ok(Capture::new(Kind::Base64, value.as_bytes(), seen)));
    }
    Some(Ok(Capture::new(Kind::Form, text.as_bytes(), "a form body")))
}

/// What we send to the IdP, captured in the place of its answer. It is shown what is in it.
fn request(value: &str) -> Result<Capture, Unusable> {
    match unpacked(&value.replace(' ', "+")) {
        Some(Unpacked::Plain(xml) | Unpacked::Deflated(xml)) => {
            Ok(Capture::new(Kind::Xml, &xml, "the field SAMLRequest; it was unpacked"))
        }
        Some(Unpacked::Twice) | None => Err(Unusable::NoXml),
    }
}

/// A browser writes `+` as `%2B`. A value with `+` and no escape was decoded by whatever showed it.
fn decoded_already(text: &str) -> Option<&str> {
    let mut values = text.split('&').filter_map(|pair| pair.strip_prefix("SAMLResponse="));
    let (value, none) = (values.next()?, values.next());
    (none.is_none() && value.contains('+') && !value.contains('%')).then_some(value)
}

/// The value behind the word SAMLResponse, as developer tools show it or a command line holds it.
fn field_in(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("SAMLResponse")?;
    let rest = rest.trim_start_matches(|character: char| {
        character.is_whitespace() || matches!(character, ':' | '=' | '"' | '\'' | '\\')
    });
    let is_value = |character: char| character.is_ascii_alphanumeric() || "+/=%-_".contains(character);
    let end = rest.find(|character: char| !is_value(character)).unwrap_or(rest.len());
    rest.get(..end).filter(|value| !value.is_empty())
}

fn base64_or_encoded(text: &str) -> Result<Capture, Unusable> {
    let encoded = text.contains('%');
    let form = format!("SAMLResponse={}", text.split_ascii_whitespace().collect::<String>());
    let decoded = form_urlencoded::parse(form.as_bytes()).next().map(|(_, value)| value.replace(' ', "+"));
    let value = decoded.as_deref().filter(|_| encoded).unwrap_or(text);
    let seen = match unpacked(value).ok_or(Unusable::NoXml)? {
        Unpacked::Plain(_) => "base64",
        Unpacked::Twice => "base64 of base64",
        Unpacked::Deflated(xml) if is_response(&xml) => {
            "base64 of compressed XML, as HTTP-Redirect carries it; a response comes by HTTP-POST, uncompressed"
        }
        Unpacked::Deflated(xml) => {
            let seen = "base64 of compressed XML, as HTTP-Redirect carries it; it was unpacked";
            return Ok(Capture::new(Kind::Xml, &xml, seen));
        }
    };
    if encoded {
        return Ok(Capture::new(Kind::Form, form.as_bytes(), seen).saved_as("percent-encoded"));
    }
    Ok(Capture::new(Kind::Base64, text.as_bytes(), seen))
}

fn is_response(xml: &[u8]) -> bool {
    root_name(&String::from_utf8_lossy(xml)).rsplit(':').next() == Some("Response")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use saml_core::explain::{CHECKS, Facts, explain};
    use saml_core::{AcsUrl, DecryptionKeys, EntityId, ServiceProvider, Sign, Timestamp};

    use super::*;

    fn facts() -> Facts {
        let sp = ServiceProvider {
            entity_id: EntityId::parse("sp").unwrap(),
            acs_url: AcsUrl::parse("https://app.example.com/saml/acs").unwrap(),
            skew_seconds: 180,
        };
        let (keys, now) = (DecryptionKeys::none().into(), Timestamp::from_unix(0, 0));
        Facts { idp: None, sign: Sign::Any, sp, keys, request: None, now, unknown: Vec::new() }
    }

    /// Pieces that captures are made of, in any order.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"SAMLResponse=".to_vec()),
            Just(b"SAMLRequest=".to_vec()),
            Just(b"PHNhbWxwOlJlc3BvbnNlPg==".to_vec()),
            Just(b"PHNhbWxw%2BOlJl%3D".to_vec()),
            Just(b"%".to_vec()),
            Just(b"&".to_vec()),
            Just(b"\"".to_vec()),
            Just(b"{\"name\":\"SAMLResponse\",\"value\":".to_vec()),
            Just(b"<samlp:Response xmlns:samlp='urn:oasis:names:tc:SAML:2.0:protocol'>".to_vec()),
            Just(b"<!DOCTYPE html>".to_vec()),
            Just(b"<!-- ".to_vec()),
            Just(b"<?xml ".to_vec()),
            Just(b"https://a.example/?".to_vec()),
            Just(b"\xff\xfe".to_vec()),
            Just(b"\xef\xbb\xbf".to_vec()),
            Just(b"\x1f\x8b\x08\0".to_vec()),
            any::<Vec<u8>>(),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn whatever_comes_in_is_explained_or_said_to_be_nothing(bytes in pieces()) {
            if let Ok(capture) = recognise(&bytes) {
                let explanation = explain(&capture.captured(), &facts());
                prop_assert!(!explanation.is_accepted());
                prop_assert_eq!(explanation.steps().len(), CHECKS.len());
            }
        }
    }
}
