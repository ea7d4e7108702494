//! From the form to a response of the right shape. That is one function of the verifier; which check
//! refused is told by the code.

use std::fmt;

use super::super::shape::ResponseContent;
use super::super::unverified::{UnverifiedResponse, decode};
use super::facts::Captured;
use super::step::Walk;
use crate::form::AcsForm;
use crate::rejection::Rejection;
use crate::xml::{Attr, Comments, Document, Limits, Tag, XmlText, parse};

/// The checks of this part, in order, each with the codes that it gives. A code that is not here is of `shape`.
const READING: [(&str, &[&str]); 12] = [
    (
        "form",
        &[
            "form_content_type",
            "form_query_not_empty",
            "form_too_large",
            "form_parameter_unexpected",
            "form_malformed",
            "saml_response_missing",
            "saml_response_repeated",
        ],
    ),
    ("base64", &["base64_invalid"]),
    ("size", &["response_too_large"]),
    ("bytes", &["xml_not_utf8", "xml_character_forbidden", "xml_declaration_invalid"]),
    (
        "xml",
        &[
            "xml_doctype_forbidden",
            "xml_comment_forbidden",
            "xml_cdata_forbidden",
            "xml_processing_instruction_forbidden",
            "xml_malformed",
            "xml_entity_forbidden",
            "xml_limit_exceeded",
            "xml_namespace_forbidden",
        ],
    ),
    ("message", &[]),
    ("shape", &["shape_forbidden", "xml_attribute_forbidden"]),
    (
        "algorithms",
        &[
            "signature_algorithm_forbidden",
            "digest_algorithm_forbidden",
            "canonicalization_forbidden",
            "transform_forbidden",
        ],
    ),
    ("status", &["idp_denied"]),
    ("encryption", &["encryption_algorithm_forbidden"]),
    ("ids", &["id_invalid", "id_duplicate"]),
    ("request", &["in_response_to_conflict"]),
];

const STOPPED: &str = "the response was refused before this could be read";

pub(super) fn walk(walk: &mut Walk, captured: &Captured<'_>) -> Option<UnverifiedResponse> {
    not_captured(walk, captured);
    let outcome = read(captured);
    let rejection = match outcome {
        Ok(response) => {
            for (check, _) in READING.iter().filter(|(check, _)| *check != "request") {
                let (seen, wanted) = described(check, captured, Some(&response));
                pass(walk, check, seen, wanted);
            }
            return Some(response);
        }
        Err(rejection) => rejection,
    };
    let refused = place(&rejection, captured);
    for (check, _) in READING.iter().take_while(|(check, _)| *check != refused) {
        if *check == "shape" && refused == "algorithms" {
            walk.not_run("shape", "a forbidden algorithm stands before its end");
            continue;
        }
        let (seen, wanted) = described(check, captured, None);
        pass(walk, check, seen, wanted);
    }
    refuse(walk, refused, &rejection, captured);
    walk.stop(STOPPED);
    None
}

fn read(captured: &Captured<'_>) -> Result<UnverifiedResponse, Rejection> {
    match captured {
        Captured::Form(body) => UnverifiedResponse::from_form(&parse_form(body)?),
        Captured::Base64(text) => UnverifiedResponse::from_form(&AcsForm::of_saml_response(text)),
        Captured::Xml(xml) => UnverifiedResponse::from_xml(xml.to_vec()),
    }
}

fn parse_form(body: &[u8]) -> Result<AcsForm, Rejection> {
    AcsForm::parse(Some("application/x-www-form-urlencoded"), None, body)
}

/// Layers that were taken off before the capture.
fn not_captured(walk: &mut Walk, captured: &Captured<'_>) {
    if !matches!(captured, Captured::Form(_)) {
        walk.not_applicable("form", "the form around the response was not captured");
    }
    if matches!(captured, Captured::Xml(_)) {
        walk.not_applicable("base64", "the response was decoded before");
    }
}

fn pass(walk: &mut Walk, check: &'static str, seen: Option<String>, wanted: Option<String>) {
    if !walk.has(check) {
        walk.passed(check, seen, wanted);
    }
}

fn place(rejection: &Rejection, captured: &Captured<'_>) -> &'static str {
    let code = rejection.code();
    let found = READING.iter().find(|(_, codes)| codes.contains(&code));
    match found.map_or("shape", |(check, _)| check) {
        "shape" if root(captured).is_some_and(|root| root.tag != Tag::Response) => "message",
        check => check,
    }
}

fn refuse(walk: &mut Walk, check: &'static str, rejection: &Rejection, captured: &Captured<'_>) {
    let (seen, wanted) = match check {
        "base64" => (base64_problem(captured), Some("the standard alphabet, canonical padding".to_owned())),
        _ => described(check, captured, None),
    };
    walk.refused(check, rejection, seen, wanted);
    let other = root(captured).filter(|root| root.tag != Tag::Response);
    match (check, other) {
        (_, Some(other)) => walk.cure(other_message(&other.name)),
        ("base64", None) => walk.cure(
            "copy the value of SAMLResponse whole, as the browser sent it; if that is what the IdP sent, it must use the \
             standard alphabet of base64 and its padding",
        ),
        _ => {}
    }
}

/// What somebody captured instead of a Response.
fn other_message(root: &str) -> &'static str {
    match root.rsplit(':').next().unwrap_or_default() {
        "AuthnRequest" => {
            "this is a SAMLRequest, what we send to the IdP, and not its answer: capture the field SAMLResponse of the \
             POST to the ACS URL"
        }
        "EntityDescriptor" | "EntitiesDescriptor" => {
            "this is metadata and not a response; it belongs under `metadata_file`. Capture the field SAMLResponse of the \
             POST to the ACS URL"
        }
        "LogoutRequest" | "LogoutResponse" => {
            "this is a message of single logout and not the answer to a sign-in: capture the field SAMLResponse of the POST \
             to the ACS URL"
        }
        "Assertion" => "this is an Assertion without its Response: give the whole SAMLResponse",
        _ => "this is XML of another kind: capture the field SAMLResponse of the POST to the ACS URL",
    }
}

fn described(
    check: &str,
    captured: &Captured<'_>,
    response: Option<&UnverifiedResponse>,
) -> (Option<String>, Option<String>) {
    let wanted = |text: &str| Some(text.to_owned());
    match check {
        "form" => (None, wanted("one SAMLResponse, and no parameter of another binding")),
        "base64" => (None, wanted("the standard alphabet, canonical padding")),
        "size" => (xml_of(captured).map(|xml| format!("{} bytes", xml.len())), wanted("at most 131072 bytes")),
        "bytes" => (xml_of(captured).map(|xml| encoding(&xml)), wanted("UTF-8 without a byte order mark")),
        "xml" => (
            response.map(|response| {
                let elements = response.document.descendants(Document::ROOT).count();
                format!("{} elements", elements.saturating_add(1))
            }),
            wanted("well-formed, without DOCTYPE, comments, CDATA and processing instructions"),
        ),
        "message" => (root(captured).map(|root| root.to_string()), wanted("a Response of SAML 2.0")),
        "shape" => (None, wanted("the Web Browser SSO profile's elements, and nothing else")),
        "algorithms" => (None, wanted("RSA or ECDSA with SHA-256, SHA-384 or SHA-512")),
        "status" => (response.map(|_| "Success".to_owned()), wanted("Success")),
        "encryption" => (
            response.map(|response| match response.shape.content {
                ResponseContent::Plain(_) => "not encrypted".to_owned(),
                ResponseContent::Encrypted(_) => "an encrypted assertion".to_owned(),
            }),
            wanted("not encrypted, or by AES-GCM with RSA-OAEP"),
        ),
        "ids" => (None, wanted("each ID well-formed, and used once")),
        _ => (None, None),
    }
}

struct Root {
    tag: Tag,
    name: String,
    /// For a SAMLRequest, what `--request-id` wants.
    id: Option<String>,
}

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "{} with the ID {id}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

fn root(captured: &Captured<'_>) -> Option<Root> {
    let xml = xml_of(captured)?;
    // Of metadata a byte order mark, comments and more length are forgiven, so that it is called metadata.
    let text = XmlText::admit(xml.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&xml).to_vec()).ok()?;
    let document = parse(text, &Limits::METADATA, Comments::Skip).ok()?;
    Some(Root {
        tag: document.tag(Document::ROOT),
        name: document.written_name(Document::ROOT).to_owned(),
        id: document.attribute(Document::ROOT, Attr::IdUpper).map(str::to_owned),
    })
}

fn xml_of(captured: &Captured<'_>) -> Option<Vec<u8>> {
    match captured {
        Captured::Form(body) => decode(parse_form(body).ok()?.saml_response()).ok(),
        Captured::Base64(text) => decode(text).ok(),
        Captured::Xml(xml) => Some(xml.to_vec()),
    }
}

fn encoding(xml: &[u8]) -> String {
    let seen = match xml {
        [0xef, 0xbb, 0xbf, ..] => "UTF-8 with a byte order mark",
        [0xff, 0xfe, ..] | [b'<', 0, ..] => "UTF-16, little-endian",
        [0xfe, 0xff, ..] | [0, b'<', ..] => "UTF-16, big-endian",
        [0x1f, 0x8b, ..] => "compressed with gzip",
        xml if std::str::from_utf8(xml).is_ok() => "UTF-8",
        _ => "no UTF-8; compressed, or of another encoding",
    };
    seen.to_owned()
}

fn base64_problem(captured: &Captured<'_>) -> Option<String> {
    let form;
    let text = match captured {
        Captured::Form(body) => {
            form = parse_form(body).ok()?;
            form.saml_response()
        }
        Captured::Base64(text) => text,
        Captured::Xml(_) => return None,
    };
    let is_base64 =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\r' | b'\n' | b' ');
    let length = text.iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b' ')).count();
    Some(match text.iter().enumerate().find(|(_, byte)| !is_base64(byte)) {
        Some((at, b'-' | b'_')) => format!("the URL-safe alphabet: `-` or `_` at character {at}"),
        Some((at, b'%')) => format!("a percent sign at character {at}: it is encoded for a URL once more"),
        Some((at, byte)) => format!("byte 0x{byte:02x} at character {at}, which is not of the alphabet"),
        None if length % 4 != 0 => {
            format!("{length} characters, no multiple of four: the padding is missing, or the end was cut off")
        }
        None => "padding in the middle, or bits after the end".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_that_is_placed_exists_and_is_placed_once() {
        let known: Vec<&str> = Rejection::catalogue().iter().map(|(code, _)| *code).collect();
        let mut placed: Vec<&str> = READING.iter().flat_map(|(_, codes)| codes.iter().copied()).collect();
        assert!(placed.iter().all(|code| known.contains(code)), "{placed:?}");
        let count = placed.len();
        placed.sort_unstable();
        placed.dedup();
        assert_eq!(placed.len(), count);
    }
}
