//! Section C: what signatures cover, by which key and by which algorithm.

use aws_lc_rs::hmac;

use super::forge::{
    EXCLUSIVE, Signing, base, canonical_of, digest_base64, draft, element, evil, insert, issued, sign,
    without_signature,
};
use super::held::{test, text};
use super::parties::{ASSERTION_ID, EVE, OTHER_REQUEST, REQUEST, RESPONSE_ID, key, spec};
use super::{Case, Gain, Proof, Row, case, row, tampered};
use crate::issuer::test_keys;
use crate::weak::{Message, Wanted, Weakness as W};

const AS_EVE: Gain = Gain::Identity(EVE);
const SIGNED: Wanted = Wanted::Assertion;
const ENVELOPED: &str =
    "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";

pub(super) fn rows() -> Vec<Row> {
    vec![
        row(
            "37",
            "signature stripping",
            vec![
                stripped(Wanted::Both).into(),
                stripped(Wanted::Any).into(),
                test("saml-core/tests/certificates.rs", "an_idp_has_one_to_four_different_keys").into(),
            ],
        ),
        row("38", "selective stripping", vec![selectively_stripped().into()]),
        row(
            "39",
            "certificate faking, trust in KeyInfo",
            vec![
                by_stranger("the attacker's own certificate", None, "signed_by_unknown_key", W::KeyFromKeyInfo).into(),
                by_stranger(
                    "the pinned certificate beside the attacker's signature",
                    Some(key().certificate_base64()),
                    "signature_invalid",
                    W::CertificateIsEnough,
                )
                .into(),
            ],
        ),
        row("40", "HMAC with the public key", vec![hmac_with_public_key().into()]),
        row("41", "HMAC truncation", vec![hmac_truncated().into()]),
        row(
            "42",
            "SHA-1",
            vec![
                sha1_signature().into(),
                forged(
                    "a SHA-1 digest under a SHA-256 signature",
                    "digest_algorithm_forbidden",
                    W::Sha1,
                    Gain::Login,
                    |signing| {
                        signing.digest_method = "http://www.w3.org/2000/09/xmldsig#sha1";
                    },
                )
                .into(),
            ],
        ),
        row(
            "43",
            "weak or odd keys",
            vec![
                test("tests/tests/verifier/attacks.rs", "a_weak_or_odd_key_is_not_pinned").into(),
                text(
                    "saml-core/src/trust/key.rs",
                    "const MIN_RSA_BITS: usize = 2048;",
                    "RSA keys below 2048 bits are no keys",
                )
                .into(),
                text(
                    "saml-core/src/trust/key.rs",
                    "exponent >= 65_537 && exponent % 2 == 1",
                    "exponents below 65537 are refused",
                )
                .into(),
            ],
        ),
        row(
            "44",
            "lenient signature values",
            vec![
                ecdsa("ECDSA in DER", "signature_invalid", W::DerSignature, Gain::Login).into(),
                ecdsa("r = s = 0", "signature_invalid", W::PsychicSignature, AS_EVE).into(),
                text(
                    "saml-core/src/trust/key.rs",
                    "if signature_value.len() != self.signature_length()",
                    "a value has the length of its key, then aws-lc verifies it",
                )
                .into(),
            ],
        ),
        row(
            "45",
            "-1 is not true",
            vec![
                error_is_true().into(),
                text(
                    "saml-core/src/response/verified.rs",
                    "Result<Verified<'a>, Rejection>",
                    "type: success is a value that holds the verified bytes",
                )
                .into(),
            ],
        ),
        row(
            "46",
            "empty or missing URI",
            vec![
                by_uri("an empty URI", "URI=\"\"", "signature_reference_mismatch", W::EmptyUri).into(),
                missing_uri().into(),
            ],
        ),
        row("47", "XPointer, escapes and URLs in a Reference", uris()),
        row("48", "XSLT transforms", vec![xslt().into()]),
        row(
            "49",
            "XPath and base64 transforms",
            vec![
                xpath("all but the attributes", "not(ancestor-or-self::saml:AttributeStatement)").into(),
                xpath("nothing at all", "false()").into(),
                forged("an unknown transform", "transform_forbidden", W::IgnoresTransforms, Gain::Login, |signing| {
                    signing.transforms = Some(transforms(
                        "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#base64\"></ds:Transform>",
                    ));
                })
                .into(),
            ],
        ),
        row(
            "50",
            "thousands of transforms and references",
            vec![many("transforms", "transform_forbidden").into(), many("references", "shape_forbidden").into()],
        ),
        row(
            "51",
            "RetrievalMethod",
            vec![
                retrieval("to a URL", "http://169.254.169.254/key", Gain::Fetch("http://169.254.169.254/key")).into(),
                retrieval("to itself", "#_key-info", Gain::Work(100_000)).into(),
            ],
        ),
        row("52", "a signature over nothing useful", vec![over_key_info().into(), manifest().into()]),
        row(
            "53",
            "comparison of digests",
            vec![
                prefix_digest().into(),
                text(
                    "saml-core/src/response/signature.rs",
                    "digested.as_ref().ct_eq(&digest_value)",
                    "compared in constant time, whole",
                )
                .into(),
            ],
        ),
        row("54", "lenient base64", base64()),
    ]
}

fn transforms(more: &str) -> String {
    format!("{ENVELOPED}{more}<ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>")
}

/// Ada's response, signed by the IdP in a way that it must not.
fn forged(name: &str, code: &'static str, fooled: W, gain: Gain, change: impl FnOnce(&mut Signing<'_>)) -> Case {
    let mut signing = Signing::default();
    change(&mut signing);
    case(name, SIGNED, (base(SIGNED), sign(&draft(&spec()), ASSERTION_ID, &signing)), code, fooled, gain)
}

fn stripped(wanted: Wanted) -> Case {
    let attack = evil(&draft(&spec()));
    let name = if wanted == Wanted::Both { "both wanted, none there" } else { "any wanted, none there" };
    case(name, wanted, (base(wanted), attack), "not_signed", W::NoSignatureIsFine, AS_EVE)
}

/// The Response's signature is taken away, and the Response then answers another request.
fn selectively_stripped() -> Case {
    let stolen = issued(Wanted::Both, |spec| {
        spec.confirmation_in_response_to = None;
        spec.in_response_to = Some(OTHER_REQUEST.to_owned());
    });
    let attack = without_signature(&stolen).replacen(OTHER_REQUEST, REQUEST, 1);
    case(
        "the Response's signature is gone",
        Wanted::Both,
        (base(Wanted::Both), attack),
        "response_not_signed",
        W::OneSignatureIsEnough,
        Gain::Login,
    )
}

fn by_stranger(name: &str, certificate: Option<String>, code: &'static str, fooled: W) -> Case {
    let key_info = certificate.map(|certificate| {
        format!(
            "<ds:KeyInfo><ds:X509Data><ds:X509Certificate>{certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
        )
    });
    let signing = Signing { key: test_keys::stranger(), key_info, ..Signing::default() };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &signing);
    case(name, SIGNED, (base(SIGNED), attack), code, fooled, AS_EVE)
}

const HMAC: &str = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256";

fn hmac_with_public_key() -> Case {
    let value = |message: &[u8]| {
        let public = hmac::Key::new(hmac::HMAC_SHA256, key().certificate_pem().as_bytes());
        hmac::sign(&public, message).as_ref().to_vec()
    };
    let signing = Signing { signature_method: Some(HMAC), value: Some(&value), ..Signing::default() };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &signing);
    case(
        "hmac-sha256 keyed with the certificate",
        SIGNED,
        (base(SIGNED), attack),
        "signature_algorithm_forbidden",
        W::HmacWithPublicKey,
        AS_EVE,
    )
}

fn hmac_truncated() -> Case {
    let signing = Signing {
        signature_method: Some(HMAC),
        method_content: "<ds:HMACOutputLength>0</ds:HMACOutputLength>",
        value: Some(&|_| vec![0]),
        ..Signing::default()
    };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &signing);
    case("HMACOutputLength 0", SIGNED, (base(SIGNED), attack), "shape_forbidden", W::HmacTruncated, AS_EVE)
}

/// Made by `attacks sha1` with OpenSSL: aws-lc signs no SHA-1.
fn sha1_signature() -> Case {
    let attack = include_str!("../../attacks/rsa-sha1.xml").trim_end();
    case("rsa-sha1", SIGNED, (base(SIGNED), attack), "signature_algorithm_forbidden", W::Sha1, Gain::Login)
}

/// The document of the case `rsa-sha1`, made anew.
pub fn sha1_by_openssl() -> String {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let value = |message: &[u8]| {
        let key = concat!(env!("CARGO_MANIFEST_DIR"), "/keys/test-rsa-2048.pem");
        let mut openssl = Command::new("openssl")
            .args(["dgst", "-sha1", "-sign", key])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("openssl runs");
        openssl.stdin.take().expect("it is piped").write_all(message).expect("it reads");
        openssl.wait_with_output().expect("it ends").stdout
    };
    let signing = Signing {
        signature_method: Some("http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        value: Some(&value),
        ..Signing::default()
    };
    sign(&draft(&spec()), ASSERTION_ID, &signing)
}

fn ecdsa(name: &str, code: &'static str, fooled: W, gain: Gain) -> Case {
    let good = Signing { key: test_keys::p256(), ..Signing::default() };
    let control = sign(&draft(&spec()), ASSERTION_ID, &good);
    let attack = match fooled {
        W::DerSignature => {
            let value = |message: &[u8]| der(&test_keys::p256().sign(message));
            sign(&draft(&spec()), ASSERTION_ID, &Signing { value: Some(&value), ..good })
        }
        _ => sign(&evil(&draft(&spec())), ASSERTION_ID, &Signing { value: Some(&|_| vec![0; 64]), ..good }),
    };
    case(name, SIGNED, (control, attack), code, fooled, gain).with(|setting| setting.key = test_keys::p256())
}

/// r||s of P-256 as a DER sequence of two integers.
fn der(fixed: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| {
        let digits = &half[half.iter().position(|byte| *byte != 0).unwrap_or(31)..];
        let sign = usize::from(digits[0] >= 0x80);
        [vec![2, (digits.len() + sign) as u8], vec![0; sign], digits.to_vec()].concat()
    };
    let body = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [vec![0x30, body.len() as u8], body].concat()
}

fn error_is_true() -> Case {
    let signing = Signing { value: Some(&|_| vec![1; 3]), ..Signing::default() };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &signing);
    case("a value of three bytes", SIGNED, (base(SIGNED), attack), "signature_invalid", W::ErrorIsTrue, AS_EVE)
}

/// The whole Response, referred to in another way.
fn by_uri(name: &str, uri: &str, code: &'static str, fooled: W) -> Case {
    let signing = Signing { uri: Some(uri.to_owned()), ..Signing::default() };
    let attack = sign(&draft(&spec()), RESPONSE_ID, &signing);
    case(name, Wanted::Response, (base(Wanted::Response), attack), code, fooled, Gain::Login)
}

fn missing_uri() -> Case {
    let signing = Signing { uri: Some(String::new()), ..Signing::default() };
    let attack = evil(&sign(&draft(&spec()), ASSERTION_ID, &signing));
    case("no URI", SIGNED, (base(SIGNED), attack), "shape_forbidden", W::MissingUri, AS_EVE)
}

fn uris() -> Vec<Proof> {
    let mut proofs: Vec<Proof> = [
        ("the root by XPointer", "URI=\"#xpointer(/)\"".to_owned()),
        ("the ID by XPointer", format!("URI=\"#xpointer(id('{RESPONSE_ID}'))\"")),
        ("the ID with an escape", format!("URI=\"#%5f{}\"", &RESPONSE_ID[1..])),
    ]
    .into_iter()
    .map(|(name, uri)| by_uri(name, &uri, "signature_reference_mismatch", W::FollowsUris).into())
    .collect();
    for url in ["http://169.254.169.254/latest", "file:///etc/passwd", "cid:attachment"] {
        let to = format!("URI=\"{url}\"");
        let from = format!("URI=\"#{ASSERTION_ID}\"");
        proofs.push(
            tampered(url, SIGNED, (&from, &to), "signature_reference_mismatch", W::FollowsUris, Gain::Fetch(url))
                .into(),
        );
    }
    proofs
}

fn xslt() -> Case {
    let loops = "<xsl:for-each select=\"//node()\">".repeat(4) + &"</xsl:for-each>".repeat(4);
    let stylesheet = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"><xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\"><xsl:template match=\"/\">{loops}</xsl:template></xsl:stylesheet></ds:Transform>"
    );
    let signing =
        Signing { transforms: Some(transforms(&stylesheet)), key: test_keys::stranger(), ..Signing::default() };
    let attack = sign(&draft(&spec()), ASSERTION_ID, &signing);
    case(
        "loops in loops, signed by nobody",
        SIGNED,
        (base(SIGNED), attack),
        "transform_forbidden",
        W::RunsXslt,
        Gain::Work(1_000_000_000),
    )
}

/// The IdP signs what an XPath leaves; the rest is the attacker's.
fn xpath(name: &str, expression: &str) -> Case {
    let unsigned = draft(&spec());
    let signed_part = match expression {
        "false()" => String::new(),
        _ => {
            let canonical = canonical_of(&unsigned, ASSERTION_ID, EXCLUSIVE);
            canonical.replacen(element(&canonical, "saml:AttributeStatement"), "", 1)
        }
    };
    let transform = format!(
        "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>{expression}</ds:XPath></ds:Transform>"
    );
    let signing = Signing {
        transforms: Some(transforms(&transform)),
        digest_value: Some(digest_base64("", signed_part.as_bytes())),
        ..Signing::default()
    };
    let whole = sign(&unsigned, ASSERTION_ID, &signing);
    let statement = element(&whole, "saml:AttributeStatement").to_owned();
    let attack = whole.replacen(&statement, &evil(&statement), 1);
    case(name, SIGNED, (base(SIGNED), attack), "transform_forbidden", W::RunsXPath, AS_EVE)
}

fn many(what: &str, code: &'static str) -> Case {
    let control = base(SIGNED);
    let attack = match what {
        "transforms" => {
            let more = format!("<ds:Transform Algorithm=\"{EXCLUSIVE}\"></ds:Transform>").repeat(500);
            control.replacen("</ds:Transforms>", &format!("{more}</ds:Transforms>"), 1)
        }
        _ => {
            let reference = element(&control, "ds:Reference").to_owned();
            control.replacen(&reference, &reference.repeat(250), 1)
        }
    };
    let name = format!("hundreds of {what}");
    case(&name, SIGNED, (control, attack), code, W::TransformsFirst, Gain::Work(300_000))
}

/// KeyInfo is read by nobody, and what points elsewhere has no place in it.
fn retrieval(name: &str, uri: &str, gain: Gain) -> Case {
    let control = base(SIGNED);
    let old = element(&control, "ds:KeyInfo").to_owned();
    let new =
        format!("<ds:KeyInfo Id=\"_key-info\"><ds:RetrievalMethod URI=\"{uri}\"></ds:RetrievalMethod></ds:KeyInfo>");
    let attack = control.replacen(&old, &new, 1);
    case(name, SIGNED, (control, attack), "shape_forbidden", W::FollowsRetrievalMethod, gain)
}

/// The IdP's key signed a KeyInfo; the Signature stands in a forged Assertion.
fn over_key_info() -> Case {
    let control = base(SIGNED);
    let unsigned = evil(&draft(&spec()));
    let info = "<ds:KeyInfo Id=\"_key-info\"><ds:KeyName>idp</ds:KeyName></ds:KeyInfo>";
    // The digest of the KeyInfo as it stands in the Signature.
    let lone = insert(&unsigned, unsigned.find("<saml:Subject>").expect("there is a Subject"), info);
    let digest = digest_base64("", canonical_of(&lone, "_key-info", EXCLUSIVE).as_bytes());
    let signing = Signing {
        uri: Some("URI=\"#_key-info\"".to_owned()),
        digest_value: Some(digest),
        key_info: Some(info.to_owned()),
        ..Signing::default()
    };
    let attack = sign(&unsigned, ASSERTION_ID, &signing);
    case("over its own KeyInfo", SIGNED, (control, attack), "signature_reference_mismatch", W::AnySignedElement, AS_EVE)
}

fn manifest() -> Case {
    let control = base(SIGNED);
    let unsigned = evil(&draft(&spec()));
    let object = "<ds:Object Id=\"_object\"><ds:Manifest></ds:Manifest></ds:Object>";
    let lone = insert(&unsigned, unsigned.find("<saml:Subject>").expect("there is a Subject"), object);
    let digest = digest_base64("", canonical_of(&lone, "_object", EXCLUSIVE).as_bytes());
    let signing = Signing {
        uri: Some("URI=\"#_object\"".to_owned()),
        digest_value: Some(digest),
        key_info: Some(object.to_owned()),
        ..Signing::default()
    };
    let attack = sign(&unsigned, ASSERTION_ID, &signing);
    case("over a Manifest in an Object", SIGNED, (control, attack), "shape_forbidden", W::AnySignedElement, AS_EVE)
}

fn prefix_digest() -> Case {
    let signing = Signing { digest_value: Some(String::new()), ..Signing::default() };
    let attack = sign(&evil(&draft(&spec())), ASSERTION_ID, &signing);
    case("an empty DigestValue", SIGNED, (base(SIGNED), attack), "digest_mismatch", W::PrefixDigest, AS_EVE)
}

fn base64() -> Vec<Proof> {
    use base64::Engine as _;
    // One byte of padding, so that there are trailing bits.
    let mut xml = base(SIGNED);
    while xml.len() % 3 != 2 {
        xml.push('\n');
    }
    let encoded = base64::engine::general_purpose::STANDARD.encode(&xml);
    let message = |text: &str| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("SAMLResponse", text);
        Message::form(form.finish())
    };
    let of_form = |name: &str, text: String| -> Proof {
        case(name, SIGNED, (xml.clone(), xml.clone()), "base64_invalid", W::LenientBase64, Gain::Login)
            .posted(message(&encoded), message(&text))
            .into()
    };
    let unpadded = encoded.trim_end_matches('=');
    let (head, last) = unpadded.split_at(unpadded.len() - 1);
    // The last letter carries two bits that must be zero.
    let dirty = char::from(last.as_bytes()[0] + 1);
    let value = element(&xml, "ds:SignatureValue").to_owned();
    let loose = value.replacen("</ds:", "!</ds:", 1);
    vec![
        of_form("no padding", unpadded.to_owned()),
        of_form("bits behind the end", format!("{head}{dirty}=")),
        of_form("characters outside the alphabet", format!("{}*{}", &encoded[..8], &encoded[8..])),
        case(
            "a stray character in SignatureValue",
            SIGNED,
            (xml.clone(), xml.replacen(&value, &loose, 1)),
            "signature_value_invalid",
            W::LenientBase64,
            Gain::Login,
        )
        .into(),
    ]
}
