//! Section B: parsers, namespaces and canonical forms that two programs see differently.

use super::forge::{
    EXCLUSIVE, Signing, base, canonical_of, digest_base64, draft, element, evil, evil_assertion, issued, sign,
    signature, without_signature,
};
use super::held::{test, text};
use super::parties::{ADA, ASSERTION_ID, EVE, spec};
use super::{Case, Gain, Proof, Row, case, row};
use crate::weak::{SAML, Wanted, Weakness as W};

const AS_EVE: Gain = Gain::Identity(EVE);
/// Whom the attacker, who has an account of his own, wants to be taken for.
const ADMIN: &str = "admin@example.com";
const AS_ADMIN: Gain = Gain::Identity(ADMIN);
const SIGNED: Wanted = Wanted::Assertion;

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("20", "comment truncation", vec![comment("in the NameID and the address").into()]),
        row("21", "comment in DigestValue", vec![comment_in_digest().into()]),
        row(
            "22",
            "two parsers: DOCTYPE and CDATA",
            vec![section("an Assertion in a CDATA section").into(), entity_text().into()],
        ),
        row(
            "23",
            "`xml:xmlns` taken for a declaration",
            vec![
                xml_xmlns("an Assertion that one parser sees", "", "shape_forbidden").into(),
                xml_xmlns(
                    "on the root too",
                    " xml:xmlns=\"urn:oasis:names:tc:SAML:2.0:assertion\"",
                    "xml_attribute_forbidden",
                )
                .into(),
            ],
        ),
        row("24", "void canonicalization", vec![void().into()]),
        row("25", "attribute pollution", vec![polluted("a namespaced ID").into()]),
        row(
            "26",
            "namespace confusion",
            vec![
                rebound(
                    "a prefix of another namespace",
                    "urn:evil:2.0",
                    W::PrefixComparison,
                    "xml_namespace_forbidden",
                )
                .into(),
                look_alike().into(),
            ],
        ),
        row(
            "27",
            "round trips through a serialiser",
            vec![
                double_colon().into(),
                text(
                    "saml-core/src/response/signature.rs",
                    "is_canonical_form(&document, &info.transform)",
                    "what was digested must canonicalize to itself",
                )
                .into(),
            ],
        ),
        row("28", "IDs by entity", vec![entity_id().into()]),
        row("29", "what is not well-formed", vec![several_roots().into()]),
        row("30", "encodings", encodings()),
        row(
            "31",
            "references and white space normalised differently",
            vec![
                signed_for("a CR behind the address", &format!("{ADMIN}\r"), "email_invalid", W::TrimsValues).into(),
                test("saml-core/src/xml/canonical/tests.rs", "escapes_as_the_recommendation_shows").into(),
                test("issuer/src/xml.rs", "escapes_as_canonical_xml_writes_it").into(),
            ],
        ),
        row(
            "32",
            "order and inheritance in canonical forms",
            vec![
                test(
                    "saml-core/src/xml/canonical/tests.rs",
                    "attributes_are_sorted_by_namespace_name_and_not_by_prefix",
                )
                .into(),
                test("saml-core/src/xml/canonical/tests.rs", "inclusive_form_takes_every_namespace_in_scope").into(),
                test("saml-core/src/xml/canonical/tests.rs", "exclusive_form_does_not_depend_on_the_surroundings")
                    .into(),
            ],
        ),
        row("33", "PrefixList under the signature", vec![prefix_list().into()]),
        row(
            "34",
            "canonicalization with comments",
            vec![
                with_comments(
                    "a comment that is signed",
                    &format!("{ADMIN}<!---->.evil.example"),
                    "xml_comment_forbidden",
                    AS_ADMIN,
                )
                .into(),
                with_comments("no comment at all", ADA, "canonicalization_forbidden", Gain::Login).into(),
            ],
        ),
        row(
            "35",
            "parsed, serialised and parsed again",
            vec![unescaped("middleware that writes CDATA as markup").into()],
        ),
        row(
            "36",
            "identities by Unicode",
            vec![
                signed_for("full-width letters", "\u{ff41}dmin@example.com", "email_invalid", W::FoldsUnicode).into(),
                signed_for("a character of no width", "ad\u{200b}min@example.com", "email_invalid", W::DropsInvisible)
                    .into(),
                signed_for("two `@`", &format!("{ADMIN}@evil.example"), "email_invalid", W::SplitsAddress).into(),
            ],
        ),
    ]
}

/// What the IdP signs for an attacker of that address, and the control for Ada.
fn signed_for(name: &str, address: &str, code: &'static str, fooled: W) -> Case {
    let attack = issued(SIGNED, |spec| {
        spec.attributes.iter_mut().filter(|(name, _)| name == "email").for_each(|(_, values)| {
            *values = vec![address.to_owned()];
        });
    });
    case(name, SIGNED, (base(SIGNED), attack), code, fooled, AS_ADMIN)
}

/// The attacker's own account is `admin@example.com.evil.example`.
fn comment(name: &str) -> Case {
    let whole = format!("{ADMIN}.evil.example");
    let signed = issued(SIGNED, |spec| {
        spec.name_id = Some(whole.clone());
        spec.attributes[0].1 = vec![whole.clone()];
    });
    let attack = signed.replace(&whole, &format!("{ADMIN}<!---->.evil.example"));
    case(name, SIGNED, (base(SIGNED), attack), "xml_comment_forbidden", W::FirstTextNode, AS_ADMIN)
}

fn comment_in_digest() -> Case {
    let control = base(SIGNED);
    let forged = evil(&without_signature(&control));
    let digest = digest_base64("", canonical_of(&forged, ASSERTION_ID, EXCLUSIVE).as_bytes());
    let attack = evil(&control).replacen("<ds:DigestValue>", &format!("<ds:DigestValue><!--{digest}-->"), 1);
    case(
        "a forged digest as a comment",
        SIGNED,
        (control, attack),
        "xml_comment_forbidden",
        W::DigestFromFirstNode,
        AS_EVE,
    )
}

/// The unsigned StatusMessage holds, in text, what another reader takes for markup.
fn section(name: &str) -> Case {
    let control = base(SIGNED);
    let forged = evil_assertion(element(&control, "saml:Assertion"));
    let message = format!("<samlp:StatusMessage><![CDATA[{forged}]]></samlp:StatusMessage></samlp:Status>");
    let attack = control.replacen("</samlp:Status>", &message, 1);
    case(name, SIGNED, (control, attack), "xml_cdata_forbidden", W::TextReader, AS_EVE)
}

/// To who reads markup in it, the section ends the Response's Status and begins an Assertion of its own; the
/// signed one is then hidden in the rest.
fn unescaped(name: &str) -> Case {
    let control = base(SIGNED);
    let forged = evil_assertion(element(&control, "saml:Assertion"));
    let message = format!(
        "<samlp:StatusMessage><![CDATA[</samlp:StatusMessage></samlp:Status>{forged}<samlp:Status><samlp:StatusMessage>]]></samlp:StatusMessage></samlp:Status>"
    );
    let attack = control.replacen("</samlp:Status>", &message, 1);
    case(name, SIGNED, (control, attack), "xml_cdata_forbidden", W::UnescapesSections, AS_EVE)
}

fn entity_text() -> Case {
    let control = base(SIGNED);
    let quoted = evil_assertion(element(&control, "saml:Assertion"));
    let attack = format!("<!DOCTYPE r [<!ENTITY e '{}'>]>{control}", quoted.replace('\'', "&#39;"));
    case(
        "an Assertion in an entity of the DOCTYPE",
        SIGNED,
        (control, attack),
        "xml_doctype_forbidden",
        W::TextReader,
        AS_EVE,
    )
}

fn xml_xmlns(name: &str, on_root: &str, code: &'static str) -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let forged = evil_assertion(&assertion).replace("saml:", "").replacen(
        "<Assertion",
        &format!("<Assertion xml:xmlns=\"{SAML}\""),
        1,
    );
    let attack = control.replacen(&assertion, &format!("{forged}{assertion}"), 1);
    let attack = attack.replacen("<samlp:Response", &format!("<samlp:Response{on_root}"), 1);
    case(name, SIGNED, (control, attack), code, W::XmlPrefixedXmlns, AS_EVE)
}

/// An IdP on the same library signed the digest of nothing; any content has that digest there.
fn void() -> Case {
    let nothing = digest_base64("", b"");
    let signed =
        sign(&evil(&draft(&spec())), ASSERTION_ID, &Signing { digest_value: Some(nothing), ..Signing::default() });
    let attack = signed.replacen("<saml:Subject>", "<saml:Subject xmlns:ns=\"1\">", 1);
    case(
        "a relative namespace and the digest of nothing",
        SIGNED,
        (base(SIGNED), attack),
        "xml_namespace_forbidden",
        W::EmptyDigest,
        AS_EVE,
    )
}

/// The forged Assertion has an ID of its own and, for who reads local names, that of the signed one.
fn polluted(name: &str) -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let original = without_signature(&assertion);
    let real =
        signature(&assertion).replace("</ds:Signature>", &format!("<ds:Object>{original}</ds:Object></ds:Signature>"));
    let forged = evil_assertion(&assertion)
        .replacen("ID=\"_evil-0001\"", &format!("ID=\"_evil-0001\" samlp:ID=\"{ASSERTION_ID}\""), 1)
        .replacen("</saml:Issuer>", &format!("</saml:Issuer>{real}"), 1);
    let attack = control.replacen(&assertion, &forged, 1);
    case(name, SIGNED, (control, attack), "xml_attribute_forbidden", W::NamespaceBlindAttributes, AS_EVE)
}

fn rebound(name: &str, uri: &str, fooled: W, code: &'static str) -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let forged =
        evil_assertion(&assertion).replacen("<saml:Assertion", &format!("<saml:Assertion xmlns:saml=\"{uri}\""), 1);
    let attack = control.replacen(&assertion, &format!("{forged}{assertion}"), 1);
    case(name, SIGNED, (control, attack), code, fooled, AS_EVE)
}

fn look_alike() -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let forged = evil_assertion(&assertion).replace("saml:", "look:").replacen(
        "<look:Assertion",
        "<look:Assertion xmlns:look=\"urn:oasis:names:tc:SAML:2.0:assertion#\"",
        1,
    );
    let attack = control.replacen(&assertion, &format!("{forged}{assertion}"), 1);
    case("a namespace that looks like it", SIGNED, (control, attack), "shape_forbidden", W::LocalNames, AS_EVE)
}

fn double_colon() -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let forged = evil_assertion(&assertion).replacen("<saml:Assertion", "<saml::Assertion", 1).replacen(
        "</saml:Assertion>",
        "</saml::Assertion>",
        1,
    );
    let attack = control.replacen(&assertion, &format!("{forged}{assertion}"), 1);
    case("a name with two colons", SIGNED, (control, attack), "xml_malformed", W::DoubleColon, AS_EVE)
}

/// Before expansion the ID of the forged one is no ID; after it, it is that of the signed one.
fn entity_id() -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let original = without_signature(&assertion);
    let real =
        signature(&assertion).replace("</ds:Signature>", &format!("<ds:Object>{original}</ds:Object></ds:Signature>"));
    let forged = evil_assertion(&assertion).replacen("ID=\"_evil-0001\"", "ID=\"&x;\"", 1).replacen(
        "</saml:Issuer>",
        &format!("</saml:Issuer>{real}"),
        1,
    );
    let attack = format!("<!DOCTYPE r [<!ENTITY x \"{ASSERTION_ID}\">]>{}", control.replacen(&assertion, &forged, 1));
    case("ID=\"&x;\"", SIGNED, (control, attack), "xml_doctype_forbidden", W::EntityIds, AS_EVE)
}

fn several_roots() -> Case {
    let control = base(SIGNED);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let forged = control.replacen(&assertion, &evil_assertion(&assertion), 1);
    let attack = format!("{forged}{control}");
    case("a forged root before the signed one", SIGNED, (control, attack), "xml_malformed", W::SeveralRoots, AS_EVE)
}

fn encodings() -> Vec<Proof> {
    let control = base(SIGNED);
    let forged = evil_assertion(element(&control, "saml:Assertion"));
    let with_message = |message: Vec<u8>| {
        let at = control.find("</samlp:Status>").expect("there is a Status");
        let mut attack = control.as_bytes()[..at].to_vec();
        attack.extend(b"<samlp:StatusMessage>");
        attack.extend(message);
        attack.extend(b"</samlp:StatusMessage>");
        attack.extend(&control.as_bytes()[at..]);
        attack
    };
    let utf7 = forged.replace('<', "+ADw-").replace('>', "+AD4-").replace('"', "+ACI-");
    let mut declared = b"<?xml version=\"1.0\" encoding=\"UTF-7\"?>".to_vec();
    declared.extend(with_message(utf7.into_bytes()));
    let overlong = |byte: u8| {
        if matches!(byte, b'<' | b'>' | b'"') { vec![0xc0 | (byte >> 6), 0x80 | (byte & 0x3f)] } else { vec![byte] }
    };
    let overlong = with_message(forged.bytes().flat_map(overlong).collect());
    let nul = "\u{f8ff}";
    let signed = issued(SIGNED, |spec| spec.attributes[0].1 = vec![format!("{ADMIN}{nul}.evil.example")]);
    let with_nul = {
        // The IdP signs octets, a NUL among them.
        let draft = signed.replacen(signature(&signed), "", 1);
        let canonical = canonical_of(&draft, ASSERTION_ID, EXCLUSIVE).replace(nul, "\0");
        let digest = digest_base64("", canonical.as_bytes());
        sign(&draft, ASSERTION_ID, &Signing { digest_value: Some(digest), ..Signing::default() }).replace(nul, "\0")
    };
    vec![
        case(
            "declared as UTF-7, which another reader obeys",
            SIGNED,
            (control.clone(), declared),
            "xml_declaration_invalid",
            W::DeclaredEncoding,
            AS_EVE,
        )
        .into(),
        case("overlong UTF-8", SIGNED, (control.clone(), overlong), "xml_not_utf8", W::OverlongUtf8, AS_EVE).into(),
        case("NUL in the address", SIGNED, (control, with_nul), "xml_character_forbidden", W::CutsAtNul, AS_ADMIN)
            .into(),
    ]
}

fn prefix_list() -> Case {
    let control = base(SIGNED);
    let forged = evil(&without_signature(&control));
    let digest = digest_base64("", canonical_of(&forged, ASSERTION_ID, EXCLUSIVE).as_bytes());
    let real = evil(&control);
    let old = element(&real, "ds:DigestValue").to_owned();
    let attack = real
        .replacen(&old, &format!("<ds:DigestValue>{digest}</ds:DigestValue>"), 1)
        .replacen(
            "></ds:CanonicalizationMethod>",
            "><ec:InclusiveNamespaces xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"saml\"></ec:InclusiveNamespaces></ds:CanonicalizationMethod>",
            1,
        );
    case(
        "a PrefixList and a digest that nobody signed",
        SIGNED,
        (control, attack),
        "signature_invalid",
        W::DigestOnly,
        AS_EVE,
    )
}

fn with_comments(name: &str, address: &str, code: &'static str, gain: Gain) -> Case {
    let method = "http://www.w3.org/2001/10/xml-exc-c14n#WithComments";
    let draft =
        draft(&spec()).replace(&format!(">{ADA}</saml:AttributeValue>"), &format!(">{address}</saml:AttributeValue>"));
    let attack = sign(&draft, ASSERTION_ID, &Signing { canonicalization: method, ..Signing::default() });
    case(name, SIGNED, (base(SIGNED), attack), code, W::CommentsCanonical, gain)
}
