//! Responses made to cost much and to be refused: each as large as an accepted one, in bytes of the XML or,
//! where the cost lies before it, of the form.

use aws_lc_rs::digest::{SHA256, digest};
use issuer::{Issued, ResponseSpec, SigningKey, test_keys};

use crate::floor::{signed_info, text_of};
use crate::login::{GROUPS, issued, spec};

pub struct Hostile {
    pub name: &'static str,
    pub body: String,
    /// How it must be refused: a document refused for another reason measures something else.
    pub code: &'static str,
}

const ASSERTION_END: &str = "</saml:AttributeStatement></saml:Assertion>";

/// Every worst case of `size` bytes, against a gate that pins `key`.
pub fn all(key: &SigningKey, size: usize) -> Vec<Hostile> {
    let accepted = issued(key, size);
    [late(key, size, &accepted), well_shaped(key, size), misshapen(size), forms(key, &accepted)]
        .into_iter()
        .flatten()
        .collect()
}

/// They pass as much as a stranger's response can before something fails.
fn late(key: &SigningKey, size: usize, accepted: &Issued) -> Vec<Hostile> {
    let pinned_certificate = key.certificate_base64();
    let stranger = test_keys::stranger();
    let by_stranger = issued(stranger, size);
    let disguised = by_stranger.xml.replace(&stranger.certificate_base64(), &pinned_certificate);
    let sized = |mut spec: ResponseSpec| {
        spec.padded_to = Some(size);
        spec.issue(key).xml
    };
    let mut without_email = spec(&GROUPS);
    without_email.attributes.retain(|(name, _)| name != "email");
    let mut ended = spec(&GROUPS);
    ended.session_not_on_or_after = Some(ended.authn_instant);
    vec![
        of(
            "a digest that differs at the last byte",
            accepted.xml.replacen(ASSERTION_END, " </saml:AttributeStatement></saml:Assertion>", 1),
            "digest_mismatch",
        ),
        of(
            "the Assertion's digest differs, the Response's does not",
            with_assertion_changed(key, accepted),
            "digest_mismatch",
        ),
        of(
            "the Response's digest differs, the Assertion's does not",
            accepted.xml.replacen("</samlp:Status>", " </samlp:Status>", 1),
            "digest_mismatch",
        ),
        of("eight prefixes in each PrefixList", with_prefix_lists(&accepted.xml), "signature_invalid"),
        of("a stranger's key", by_stranger.xml, "signed_by_unknown_key"),
        of("a stranger's key beside the pinned certificate", disguised, "signature_invalid"),
        of("an ended session, the last check of the policy", sized(ended), "idp_session_ended"),
        of("no e-mail, the last claim", sized(without_email), "email_missing"),
        of("a byte after the root", format!("{}x", &accepted.xml), "xml_malformed"),
        of("a comment after the root", format!("{}<!---->", &accepted.xml), "xml_comment_forbidden"),
    ]
}

/// Changed before the Response was signed: the IdP's key is asked for both signatures, and both are good.
fn with_assertion_changed(key: &SigningKey, accepted: &Issued) -> String {
    let signature = accepted.response_signature.as_deref().expect("signed");
    let changed = accepted.xml.replacen(ASSERTION_END, " </saml:AttributeStatement></saml:Assertion>", 1);
    let digested = digest(&SHA256, changed.replacen(signature, "", 1).as_bytes());
    let resigned = signature.replacen(text_of(signature, "DigestValue"), &base64(digested.as_ref()), 1);
    let value = base64(key.sign(signed_info(&resigned).as_bytes()));
    let resigned = resigned.replacen(text_of(&resigned, "SignatureValue"), &value, 1);
    changed.replacen(signature, &resigned, 1)
}

fn with_prefix_lists(xml: &str) -> String {
    const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
    let list = format!(
        "\"><e:InclusiveNamespaces xmlns:e=\"{EXCLUSIVE}\" PrefixList=\"ds saml samlp e #default x y z\"></e:InclusiveNamespaces></ds:"
    );
    xml.replace(&format!("{EXCLUSIVE}\"></ds:"), &format!("{EXCLUSIVE}{list}"))
}

/// Inside the grammar, the Response's signature good, so that all of it is canonicalized and digested.
fn well_shaped(key: &SigningKey, size: usize) -> Vec<Hostile> {
    let base = spec(&GROUPS).issue(key).xml;
    let room = size.saturating_sub(base.len());
    let attribute = |content: String| {
        let element = format!("<saml:Attribute Name=\"f\">{content}</saml:Attribute>{ASSERTION_END}");
        base.replacen(ASSERTION_END, &element, 1)
    };
    let value = |unit: &str| {
        let text = unit.repeat((room / unit.len()).min(3_000));
        fill(room.saturating_sub(60), 3_800, |_| format!("<saml:AttributeValue>{text}</saml:AttributeValue>"))
    };
    let key_info = |content: String| {
        let at = base.rfind("</ds:KeyInfo>").expect("the Assertion's KeyInfo");
        format!("{}{content}{}", &base[..at], &base[at..])
    };
    let cases = [
        ("references everywhere, longer when written", attribute(value("&#38;"))),
        ("references everywhere, shorter when written", attribute(value("&#x10FFFF;"))),
        ("escapes everywhere", attribute(value("&gt;"))),
        (
            "one huge text",
            attribute(format!("<saml:AttributeValue>{}</saml:AttributeValue>", "x".repeat(room.min(65_000)))),
        ),
        ("line ends everywhere", attribute(value("\r\n"))),
        ("empty elements that grow", attribute(fill(room, 3_800, |_| "<saml:AttributeValue/>".to_owned()))),
        ("elements without values", format_attributes(&base, room, |n| format!("<saml:Attribute Name='{n}'/>"))),
        (
            "attributes out of order",
            format_attributes(&base, room, |n| {
                format!("<saml:Attribute NameFormat='a'  Name='{n}' FriendlyName='b'/>")
            }),
        ),
        (
            "an attribute value full of references",
            format_attributes(&base, room, |n| {
                format!("<saml:Attribute Name=\"{n}{}\"/>", "&#9;".repeat(900.min(room / 8)))
            }),
        ),
        (
            "a flood of attributes in the KeyInfo",
            key_info(fill(room, 60, |n| format!("<ds:P{}/>", attributes_of(n, |k| format!("{:02}", 23 - k))))),
        ),
        (
            "namespaces in the KeyInfo",
            key_info(fill(room, 60, |_| {
                format!("<ds:P{}/>", (0..12).map(|k| format!(" xmlns:n{k}='u:{k}'")).collect::<String>())
            })),
        ),
    ];
    let ids = key_info(fill(room, 3_800, |n| format!("<ds:P Id='{n}'/>")));
    // A small one has no room for more than a KeyInfo may hold.
    let code = if ids.matches("<ds:P").count() > 62 { "shape_forbidden" } else { "digest_mismatch" };
    let flood = of("a flood of IDs in the KeyInfo", ids, code);
    cases.map(|(name, xml)| of(name, xml, "digest_mismatch")).into_iter().chain([flood]).collect()
}

fn format_attributes(base: &str, room: usize, unit: impl Fn(usize) -> String) -> String {
    base.replacen(ASSERTION_END, &format!("{}{ASSERTION_END}", fill(room, 3_800, unit)), 1)
}

/// Well-formed or nearly, and outside the grammar.
fn misshapen(size: usize) -> Vec<Hostile> {
    let room = size - 80;
    let root = |content: String| {
        format!("<p:Response xmlns:p=\"urn:oasis:names:tc:SAML:2.0:protocol\">{content}</p:Response>")
    };
    let nested = |_| format!("{}{}", "<a>".repeat(14), "</a>".repeat(14));
    let many = |name: &dyn Fn(usize) -> String| root(fill(room, 330, |n| format!("<a{}/>", attributes_of(n, name))));
    vec![
        of("elements", root(fill(room, 3_900, |_| "<a/>".to_owned())), "shape_forbidden"),
        of(
            "too many elements",
            root(fill(room, 40_000, |_| "<a/>".to_owned())),
            if size > 20_000 { "xml_limit_exceeded" } else { "shape_forbidden" },
        ),
        of(
            "too many attributes",
            root(fill(room, 3_900, |n| format!("<a{}/>", attributes_of(n, |k| format!("a{k}"))))),
            if size > 100_000 { "xml_limit_exceeded" } else { "shape_forbidden" },
        ),
        of("texts between elements", root(fill(room, 3_900, |_| "<a/>b".to_owned())), "shape_forbidden"),
        of("nesting to the limit", root(fill(room, 270, nested)), "shape_forbidden"),
        of("attributes of short names", many(&|k| format!("{}", char::from(b'a' + k as u8))), "shape_forbidden"),
        of("attributes of names alike", many(&|k| format!("abcdefgh{k:02}")), "shape_forbidden"),
        of(
            "attributes of long values",
            root(fill(room, 3_900, |_| format!("<a b='{}'/>", "x".repeat(4_000.min(room / 2))))),
            "shape_forbidden",
        ),
        of(
            "namespaces",
            root(fill(room, 530, |_| {
                format!("<a{}/>", (0..15).map(|k| format!(" xmlns:n{k}='u:{k}'")).collect::<String>())
            })),
            "shape_forbidden",
        ),
        of(
            "attributes of namespaces",
            root(fill(room, 330, |_| {
                format!(
                    "<a xmlns:n='u:n' xmlns:m='u:n'{}/>",
                    (0..22).map(|k| format!(" n:a{k}=''")).collect::<String>()
                )
            })),
            "shape_forbidden",
        ),
        of(
            "a tag that does not end",
            format!("{}<a b='", root(fill(room, 3_900, |_| "<a/>".to_owned())).trim_end_matches("</p:Response>")),
            "xml_malformed",
        ),
        of("a name that does not end", format!("<{}", "a".repeat(room)), "xml_limit_exceeded"),
        of("white space", format!("{}<a/>", " ".repeat(room)), "shape_forbidden"),
    ]
}

/// What costs before there is any XML, each as long as the form of an accepted response.
fn forms(key: &SigningKey, accepted: &Issued) -> Vec<Hostile> {
    let length = accepted.form_body(None).len();
    let refused = |size: usize| {
        let issued = issued(key, size);
        issued.xml.replacen(ASSERTION_END, " </saml:AttributeStatement></saml:Assertion>", 1)
    };
    let small = base64(refused(length * 3 / 4 / 3));
    // As large as it must be, where half is less than a response can have, and white space for the rest.
    let half: String = base64(refused(length * 3 / 4 / 2)).chars().map(form_escaped).collect();
    let spare = length.saturating_sub("SAMLResponse=".len() + half.len());
    let each = |encoded: &str, write: &dyn Fn(char) -> String| encoded.chars().map(write).collect::<String>();
    vec![
        Hostile {
            name: "every byte percent-encoded",
            body: format!("SAMLResponse={}", each(&small, &|c| format!("%{:02x}", c as u32))),
            code: "digest_mismatch",
        },
        Hostile {
            name: "base64 full of white space",
            body: format!("SAMLResponse={}", spaced(&half, spare)),
            code: "digest_mismatch",
        },
        Hostile {
            name: "base64 with a bad last character",
            body: format!("SAMLResponse={}!", "A".repeat(length - 14)),
            code: "base64_invalid",
        },
        Hostile {
            name: "base64 of noise",
            body: format!("SAMLResponse={}", "kZ8x".repeat((length - 13) / 4)),
            code: "xml_not_utf8",
        },
        Hostile {
            name: "parameters",
            body: format!("{}SAMLResponse=AAAA", "a&".repeat((length - 17) / 2)),
            code: "xml_character_forbidden",
        },
    ]
}

fn form_escaped(character: char) -> String {
    if character.is_ascii_alphanumeric() { character.to_string() } else { format!("%{:02X}", character as u32) }
}

fn attributes_of(_: usize, name: impl Fn(usize) -> String) -> String {
    (0..24).map(|at| format!(" a{}=''", name(at))).collect()
}

/// Units until `room` is full or there are `most`, then text.
/// `spare` spaces, each behind a character that is no part of an escape.
fn spaced(form: &str, spare: usize) -> String {
    let (mut spaced, mut left, mut escape) = (String::with_capacity(form.len() + spare), spare, 0);
    for character in form.chars() {
        spaced.push(character);
        escape = if character == '%' { 2_usize } else { escape.saturating_sub(1) };
        if left > 0 && escape == 0 {
            spaced.push('+');
            left -= 1;
        }
    }
    spaced
}

fn fill(room: usize, most: usize, unit: impl Fn(usize) -> String) -> String {
    let mut filled = String::with_capacity(room);
    for at in 0..most {
        let next = unit(at);
        if filled.len() + next.len() > room {
            break;
        }
        filled.push_str(&next);
    }
    filled
}

fn of(name: &'static str, xml: String, code: &'static str) -> Hostile {
    let form: String = base64(&xml).chars().map(form_escaped).collect();
    Hostile { name, body: format!("SAMLResponse={form}"), code }
}

fn base64(octets: impl AsRef<[u8]>) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(octets)
}
