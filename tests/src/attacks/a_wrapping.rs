//! Section A: signature wrapping.

use super::forge::{
    Signing, base, denied, digest_base64, draft, edited, element, evil, evil_assertion, insert, issued, logout_request,
    metadata, sign, signature, without_signature,
};
use super::held::text;
use super::parties::{ADA, ASSERTION_ID, EVE, OTHER_REQUEST, REQUEST, RESPONSE_ID, key, spec};
use super::{Case, Gain, Proof, Row, case, row};
use crate::issuer::Sign;
use crate::issuer::wrapping::WRAPPINGS;
use crate::weak::{Wanted, Weakness as W};

const AS_EVE: Gain = Gain::Identity(EVE);

pub(super) fn rows() -> Vec<Row> {
    vec![
        row("1", "XSW1: original Response inside the Signature", vec![wrapped("XSW1", W::LooksUpIds)]),
        row("2", "XSW2: original Response before a detached Signature", vec![wrapped("XSW2", W::LooksUpIds)]),
        row("3", "XSW3: forged Assertion before the signed one", vec![wrapped("XSW3", W::LooksUpIds)]),
        row("4", "XSW4: signed Assertion inside the forged one", vec![wrapped("XSW4", W::LooksUpIds)]),
        row("5", "XSW5: signature in the forged Assertion, original at the end", vec![wrapped("XSW5", W::LooksUpIds)]),
        row("6", "XSW6: original inside the Signature of the forged one", vec![wrapped("XSW6", W::LooksUpIds)]),
        row("7", "XSW7: forged Assertion of the same ID in Extensions", vec![wrapped("XSW7", W::ReadsFirstAnywhere)]),
        row("8", "XSW8: original inside ds:Object", vec![wrapped("XSW8", W::LooksUpIds)]),
        row("9", "XSW9: a second SignedInfo", vec![second_signed_info().into()]),
        row(
            "10",
            "unsigned Assertion after the signed one",
            vec![wrapped("forged assertion after", W::ReadsLastAnywhere)],
        ),
        row("11", "first Assertion is read", vec![first_assertion().into(), wrapped("XSW3", W::ReadsFirstAnywhere)]),
        row("12", "signed block hidden in an extension point", hidden()),
        row("13", "reuse of any document that the IdP signed", reused()),
        row(
            "14",
            "XPath `//` selectors, position instead of reference",
            vec![digest_anywhere().into(), signature_by_position().into()],
        ),
        row(
            "15",
            "verified here, read there",
            vec![
                unsigned_parts("a statement in an Object", "ds:Object").into(),
                unsigned_parts("a statement in a KeyInfo", "ds:KeyInfo").into(),
                text(
                    "saml-core/src/response/verified.rs",
                    "compile_fail",
                    "type, with a doc test that an outsider cannot make one",
                )
                .into(),
            ],
        ),
        row("16", "several References, one of them checked", several_references()),
        row("17", "two elements of one ID", vec![one_id().into()]),
        row("18", "unsigned ancestor", vec![unsigned_answer(W::TrustsUnsignedResponse).into()]),
        row("19", "encrypted wrapping", super::f_encryption::wrapping()),
        row("19b", "decoy Signature on a signed error Response", vec![decoy().into()]),
    ]
}

/// One of the wrappings of SAML Raider, over a response of the issuer.
fn wrapped(name: &str, fooled: W) -> Proof {
    let wrapping = WRAPPINGS.iter().find(|wrapping| wrapping.name == name).expect("the wrapping is known");
    let wanted = if wrapping.sign == Sign::Response { Wanted::Response } else { Wanted::Assertion };
    let issued = spec().sign(wrapping.sign).issue(key());
    let attack = wrapping.attack(&issued, ADA, EVE);
    case(name, wanted, (issued.xml, attack), "shape_forbidden", fooled, AS_EVE).into()
}

fn second_signed_info() -> Case {
    let control = base(Wanted::Assertion);
    let forged = evil(&without_signature(&control));
    let real = signature(&control);
    let info = element(real, "ds:SignedInfo");
    let canonical = super::forge::canonical_of(&forged, ASSERTION_ID, super::forge::EXCLUSIVE);
    let digest = digest_base64("", canonical.as_bytes());
    let old = element(info, "ds:DigestValue");
    let second = info.replacen(old, &format!("<ds:DigestValue>{digest}</ds:DigestValue>"), 1);
    let both = real.replacen(info, &format!("{info}{second}"), 1);
    let attack = evil(&control.replacen(real, "", 1));
    let place = attack.find("<saml:Assertion").and_then(|at| Some(at + attack[at..].find("</saml:Issuer>")? + 14));
    let attack = insert(&attack, place.expect("the Assertion has an Issuer"), &both);
    case(
        "digest in a second SignedInfo",
        Wanted::Assertion,
        (control, attack),
        "shape_forbidden",
        W::SecondSignedInfo,
        AS_EVE,
    )
}

fn first_assertion() -> Case {
    let control = base(Wanted::Assertion);
    let assertion = element(&control, "saml:Assertion").to_owned();
    let attack = control.replacen(&assertion, &format!("{}{assertion}", evil_assertion(&assertion)), 1);
    case(
        "a forged Assertion before the signed one",
        Wanted::Assertion,
        (control, attack),
        "shape_forbidden",
        W::LooksUpIds,
        AS_EVE,
    )
}

/// The signed Assertion goes into a place that SAML leaves open, a forged one takes its own.
fn hidden() -> Vec<Proof> {
    let control = base(Wanted::Assertion);
    let signed = element(&control, "saml:Assertion").to_owned();
    let forged = evil_assertion(&signed);
    let hide = |name: &str, from: &str, to: &str| -> Proof {
        let outside = control.replacen(&signed, &forged, 1);
        assert!(outside.contains(from), "{from}");
        let attack = outside.replacen(from, &to.replace("HIDDEN", &signed), 1);
        case(name, Wanted::Assertion, (control.clone(), attack), "shape_forbidden", W::LooksUpIds, AS_EVE).into()
    };
    let issuer_end = "</saml:Issuer><saml:Subject>";
    vec![
        hide("Extensions", "<samlp:Status>", "<samlp:Extensions>HIDDEN</samlp:Extensions><samlp:Status>"),
        hide("StatusDetail", "</samlp:Status>", "<samlp:StatusDetail>HIDDEN</samlp:StatusDetail></samlp:Status>"),
        hide("Advice", "</saml:Conditions>", "</saml:Conditions><saml:Advice>HIDDEN</saml:Advice>"),
        hide("SubjectConfirmationData", "</saml:SubjectConfirmationData>", "HIDDEN</saml:SubjectConfirmationData>"),
        hide("AttributeValue", "staff</saml:AttributeValue>", "HIDDEN</saml:AttributeValue>"),
        hide(
            "ds:Object",
            issuer_end,
            "</saml:Issuer><ds:Signature><ds:Object>HIDDEN</ds:Object></ds:Signature><saml:Subject>",
        ),
        hide(
            "KeyInfo",
            issuer_end,
            "</saml:Issuer><ds:Signature><ds:KeyInfo>HIDDEN</ds:KeyInfo></ds:Signature><saml:Subject>",
        ),
    ]
}

/// A document that the IdP signed for another purpose, carried along under a forged Assertion.
fn reused() -> Vec<Proof> {
    let control = base(Wanted::Assertion);
    let forged = evil_assertion(element(&control, "saml:Assertion"));
    let carried = |name: &str, document: String| -> Proof {
        let attack = control.replacen(element(&control, "saml:Assertion"), &forged, 1);
        let extensions = format!("<samlp:Extensions>{document}</samlp:Extensions><samlp:Status>");
        let attack = attack.replacen("<samlp:Status>", &extensions, 1);
        case(name, Wanted::Assertion, (control.clone(), attack), "shape_forbidden", W::LooksUpIds, AS_EVE).into()
    };
    let mut proofs = vec![
        carried("signed metadata", metadata()),
        carried("a signed error Response", denied()),
        carried("a signed LogoutRequest", logout_request()),
    ];
    // The signature of another document stands where that of the Response belongs, over what it signed.
    let response = base(Wanted::Response);
    let unsigned = evil(&without_signature(&response));
    let foreign = metadata();
    let moved = signature(&foreign)
        .replace("</ds:Signature>", &format!("<ds:Object>{}</ds:Object></ds:Signature>", without_signature(&foreign)));
    let attack = unsigned.replacen("<samlp:Status>", &format!("{moved}<samlp:Status>"), 1);
    proofs.push(
        case(
            "the signature of the metadata in the Response",
            Wanted::Response,
            (response, attack),
            "shape_forbidden",
            W::LooksUpIds,
            AS_EVE,
        )
        .into(),
    );
    proofs
}

fn digest_anywhere() -> Case {
    let control = base(Wanted::Assertion);
    let forged = evil(&control);
    let canonical =
        super::forge::canonical_of(&evil(&without_signature(&control)), ASSERTION_ID, super::forge::EXCLUSIVE);
    let digest = digest_base64("", canonical.as_bytes());
    let detail =
        format!("<samlp:StatusDetail><ds:DigestValue>{digest}</ds:DigestValue></samlp:StatusDetail></samlp:Status>");
    let attack = forged.replacen("</samlp:Status>", &detail, 1);
    case(
        "a forged digest in StatusDetail",
        Wanted::Assertion,
        (control, attack),
        "shape_forbidden",
        W::DigestAnywhere,
        AS_EVE,
    )
}

/// The Assertion's Signature is moved up into the Response, which it does not cover.
fn signature_by_position() -> Case {
    let control = base(Wanted::Response);
    let other = base(Wanted::Assertion);
    let assertion = without_signature(element(&other, "saml:Assertion"));
    let both = format!("{}{assertion}", evil_assertion(&assertion));
    let moved = signature(&other).to_owned();
    let attack = without_signature(&other).replacen(&assertion, &both, 1).replacen(
        "<samlp:Status>",
        &format!("{moved}<samlp:Status>"),
        1,
    );
    case(
        "the Assertion's Signature as the Response's",
        Wanted::Response,
        (control, attack),
        "shape_forbidden",
        W::SignatureByPosition,
        AS_EVE,
    )
}

/// What stands inside an enveloped Signature is signed by nobody.
fn unsigned_parts(name: &str, container: &str) -> Case {
    let control = base(Wanted::Assertion);
    let statement = evil(element(&control, "saml:AttributeStatement"));
    let attack = match container {
        "ds:Object" => {
            control.replacen("</ds:Signature>", &format!("<ds:Object>{statement}</ds:Object></ds:Signature>"), 1)
        }
        _ => control.replacen("</ds:KeyInfo>", &format!("{statement}</ds:KeyInfo>"), 1),
    };
    case(name, Wanted::Assertion, (control, attack), "shape_forbidden", W::ReadsUnverifiedTree, AS_EVE)
}

/// The IdP signed two references; one is checked, the element of the other is altered.
fn several_references() -> Vec<Proof> {
    let other = |id: &str, digest: &str| {
        format!(
            "<ds:Reference URI=\"#{id}\"><ds:Transforms><ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform><ds:Transform Algorithm=\"{}\"></ds:Transform></ds:Transforms><ds:DigestMethod Algorithm=\"http://www.w3.org/2001/04/xmlenc#sha256\"></ds:DigestMethod><ds:DigestValue>{digest}</ds:DigestValue></ds:Reference>",
            super::forge::EXCLUSIVE
        )
    };
    let unsigned = draft(&spec());
    let forged = evil(&unsigned);
    // Only the checked one of the two holds for the forged text.
    let good = digest_base64("", super::forge::canonical_of(&forged, ASSERTION_ID, super::forge::EXCLUSIVE).as_bytes());
    let stale =
        digest_base64("", super::forge::canonical_of(&unsigned, ASSERTION_ID, super::forge::EXCLUSIVE).as_bytes());
    let attack = |before: bool| {
        let mut signing = Signing { digest_value: Some(good.clone()), ..Signing::default() };
        if before {
            signing.references_before = other(ASSERTION_ID, &stale);
        } else {
            signing.references_behind = other(ASSERTION_ID, &stale);
        }
        sign(&forged, ASSERTION_ID, &signing)
    };
    vec![
        case(
            "the first of two",
            Wanted::Assertion,
            (base(Wanted::Assertion), attack(false)),
            "shape_forbidden",
            W::FirstReferenceOnly,
            AS_EVE,
        )
        .into(),
        case(
            "the last of two",
            Wanted::Assertion,
            (base(Wanted::Assertion), attack(true)),
            "shape_forbidden",
            W::LastReferenceOnly,
            AS_EVE,
        )
        .into(),
    ]
}

/// The Response takes the ID of the signed Assertion, and with it its signature: it then says to whom it answers.
fn one_id() -> Case {
    let answered = issued(Wanted::Assertion, |spec| spec.confirmation_in_response_to = None);
    let moved = signature(&answered).to_owned();
    let attack = without_signature(&answered).replacen(RESPONSE_ID, ASSERTION_ID, 1).replacen(
        "<samlp:Status>",
        &format!("{moved}<samlp:Status>"),
        1,
    );
    case(
        "Response and Assertion",
        Wanted::Response,
        (base(Wanted::Response), attack),
        "id_duplicate",
        W::LooksUpLastOfOneId,
        Gain::Login,
    )
}

/// An assertion that does not say what it answers; the unsigned Response around it does.
pub(super) fn unsigned_answer(fooled: W) -> Case {
    let stolen = issued(Wanted::Assertion, |spec| {
        spec.confirmation_in_response_to = None;
        spec.in_response_to = Some(OTHER_REQUEST.to_owned());
    });
    let attack = stolen.replacen(OTHER_REQUEST, REQUEST, 1);
    case(
        "InResponseTo on the unsigned Response alone",
        Wanted::Assertion,
        (base(Wanted::Assertion), attack),
        "in_response_to_missing",
        fooled,
        Gain::Login,
    )
}

fn decoy() -> Case {
    let error = denied();
    let forged = evil_assertion(element(&edited(Wanted::Assertion, |xml| xml), "saml:Assertion"));
    let real = signature(&error).to_owned();
    let decoy = real.replace("</ds:Signature>", &format!("<ds:Object>{forged}</ds:Object></ds:Signature>"));
    let attack = error.replacen(&real, &format!("{real}{decoy}"), 1);
    case(
        "a forged Assertion in the Object of the second",
        Wanted::Response,
        (base(Wanted::Response), attack),
        "shape_forbidden",
        W::StripsEverySignature,
        AS_EVE,
    )
}
