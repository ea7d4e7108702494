//! What is signed, and by whom. Each Signature is verified by one function of the verifier; which part
//! of it refused is told by the code.

use super::super::shape::{AssertionShape, ResponseContent};
use super::super::signature_shape::SignatureShape;
use super::super::unverified::UnverifiedResponse;
use super::super::verified::{Verified, refuse_missing_signatures, verify_assertion};
use super::facts::{Fact, Facts};
use super::step::Walk;
use crate::rejection::Rejection;
use crate::trust::{Certificate, Fingerprint, HashAlgorithm, KeyFamily, Sign, TrustedIdp};
use crate::xml::Document;
use crate::xml::canonical::Method;

/// The checks of one Signature, in order.
struct Names {
    element: &'static str,
    reference: &'static str,
    value: &'static str,
    key: &'static str,
    digest: &'static str,
    canonical_form: &'static str,
}

const RESPONSE: Names = Names {
    element: "Response",
    reference: "response_signature.reference",
    value: "response_signature.value",
    key: "response_signature.key",
    digest: "response_signature.digest",
    canonical_form: "response_signature.canonical_form",
};

const ASSERTION: Names = Names {
    element: "Assertion",
    reference: "assertion_signature.reference",
    value: "assertion_signature.value",
    key: "assertion_signature.key",
    digest: "assertion_signature.digest",
    canonical_form: "assertion_signature.canonical_form",
};

impl Names {
    fn all(&self) -> [&'static str; 5] {
        [self.reference, self.value, self.key, self.digest, self.canonical_form]
    }

    /// Where a signature's verification ended.
    fn place(&self, rejection: &Rejection) -> &'static str {
        match rejection.code() {
            "signature_reference_mismatch" => self.reference,
            "signature_value_invalid" => self.value,
            "signed_by_unknown_key" | "signature_invalid" | "signed_info_mismatch" => self.key,
            "digest_mismatch" => self.digest,
            // What was digested is parsed again, and must have the shape it had.
            _ => self.canonical_form,
        }
    }
}

/// The Assertion as it was signed, also where something that `sign` wants is not signed: what is wrong
/// besides can then be said too.
pub(super) fn walk<'a>(walk: &mut Walk, response: &UnverifiedResponse, facts: &'a Facts) -> Option<Verified<'a>> {
    match &response.shape.content {
        ResponseContent::Plain(assertion) => plain(walk, response, assertion, facts),
        ResponseContent::Encrypted(_) => encrypted(walk, response, facts),
    }
}

fn plain<'a>(
    walk: &mut Walk,
    response: &UnverifiedResponse,
    assertion: &AssertionShape,
    facts: &'a Facts,
) -> Option<Verified<'a>> {
    let shape = &response.shape;
    signed(walk, shape.signature.is_some(), assertion.signature.is_some(), facts.sign);
    let Some(idp) = &facts.idp else {
        for (names, present) in [(&RESPONSE, shape.signature.is_some()), (&ASSERTION, assertion.signature.is_some())] {
            if !present {
                absent(walk, names);
            }
        }
        walk.not_applicable("decryption", NOT_ENCRYPTED);
        walk.stop_for(Fact::Certificate);
        return None;
    };
    response_signature(walk, response, idp);
    walk.not_applicable("decryption", NOT_ENCRYPTED);
    assertion_signature(walk, &response.document, assertion, idp);
    believed(walk, response.verify_signatures(assertion, idp))
}

const NOT_ENCRYPTED: &str = "the assertion is not encrypted";

/// In the order that encryption brings: the Response's signature, the decryption, then what is signed inside.
fn encrypted<'a>(walk: &mut Walk, response: &UnverifiedResponse, facts: &'a Facts) -> Option<Verified<'a>> {
    const WANTED: &str = "an assertion that one of our keys decrypts, inside a signed Response";
    if facts.keys.is_empty() {
        walk.refused("decryption", &Rejection::EncryptionUnsupported, "no decryption key", WANTED);
    }
    let Some(idp) = &facts.idp else {
        walk.stop_for(Fact::Certificate);
        return None;
    };
    let holds = response_signature(walk, response, idp);
    if facts.keys.is_empty() {
        walk.stop("the assertion is encrypted, and there is no key to decrypt it with");
        return None;
    }
    if !holds {
        walk.stop("nothing is decrypted whose Response is not signed by a pinned key");
        return None;
    }
    let decrypted = match response.decrypt(idp, &facts.keys) {
        Ok(decrypted) => decrypted,
        Err(rejection) => {
            walk.refused("decryption", &rejection, None, WANTED);
            walk.stop("what is encrypted could not be read");
            return None;
        }
    };
    walk.passed("decryption", "one Assertion", WANTED);
    signed(walk, true, decrypted.assertion.signature.is_some(), facts.sign);
    assertion_signature(walk, &decrypted.document, &decrypted.assertion, idp);
    believed(walk, decrypted.verify(idp))
}

fn believed<'a>(walk: &mut Walk, verified: Result<Verified<'a>, Rejection>) -> Option<Verified<'a>> {
    if verified.is_err() {
        walk.stop("nothing is verified: a signature is missing or bad");
    }
    verified.ok()
}

fn response_signature(walk: &mut Walk, response: &UnverifiedResponse, idp: &TrustedIdp) -> bool {
    one(walk, &RESPONSE, response.shape.signature.as_ref(), &response.shape.id, idp, |idp| {
        Ok(response.verify_response(idp.certificates())?.map(|(signed, _)| signed.signed_with))
    })
}

fn assertion_signature(walk: &mut Walk, document: &Document, assertion: &AssertionShape, idp: &TrustedIdp) {
    one(walk, &ASSERTION, assertion.signature.as_ref(), &assertion.id, idp, |idp| {
        Ok(verify_assertion(document, assertion, idp.certificates())?.map(|(signed, _)| signed.signed_with))
    });
}

fn signed(walk: &mut Walk, response: bool, assertion: bool, sign: Sign) {
    let outcome = refuse_missing_signatures(sign, response, assertion);
    walk.judged("signed", outcome, what_is_signed(response, assertion), wanted(sign));
}

fn what_is_signed(response: bool, assertion: bool) -> &'static str {
    match (response, assertion) {
        (true, true) => "Assertion and Response",
        (true, false) => "the Response",
        (false, true) => "the Assertion",
        (false, false) => "nothing",
    }
}

fn wanted(sign: Sign) -> &'static str {
    match sign {
        Sign::AssertionAndResponse => "Assertion and Response (`sign: assertion_and_response`)",
        Sign::Response => "the Response (`sign: response`)",
        Sign::Assertion => "the Assertion (`sign: assertion`)",
        Sign::Any => "the Assertion or the Response (`sign: any`)",
    }
}

fn absent(walk: &mut Walk, names: &Names) {
    for check in names.all() {
        walk.not_applicable(check, &format!("the {} has no Signature of its own", names.element));
    }
}

/// Whether nothing is wrong with it, present or not.
fn one(
    walk: &mut Walk,
    names: &Names,
    signature: Option<&SignatureShape>,
    id: &str,
    idp: &TrustedIdp,
    verify: impl FnOnce(&TrustedIdp) -> Result<Option<Fingerprint>, Rejection>,
) -> bool {
    let Some(signature) = signature else {
        absent(walk, names);
        return true;
    };
    let outcome = verify(idp);
    let refused = outcome.as_ref().err().map(|rejection| (names.place(rejection), rejection));
    let signer = outcome.as_ref().ok().copied().flatten();
    let mut ended = false;
    for check in names.all() {
        let (seen, wanted) = described(names, check, signature, id, idp, signer);
        match refused {
            _ if ended => walk.not_run(check, "the check before it does not pass"),
            Some((place, rejection)) if place == check => {
                walk.refused(check, rejection, seen_when_refused(rejection).or(seen), wanted);
                ended = true;
            }
            _ => walk.passed(check, seen, wanted),
        }
    }
    !ended
}

fn seen_when_refused(rejection: &Rejection) -> Option<String> {
    match rejection {
        Rejection::SignedByUnknownKey { offered, .. } => Some(format!("certificate offered: {offered}")),
        Rejection::SignatureInvalid { pinned } => Some(format!("certificate named: {pinned}")),
        Rejection::DigestMismatch { .. } => Some("another digest".to_owned()),
        _ => None,
    }
}

fn described(
    names: &Names,
    check: &str,
    signature: &SignatureShape,
    id: &str,
    idp: &TrustedIdp,
    signer: Option<Fingerprint>,
) -> (Option<String>, Option<String>) {
    let info = &signature.info;
    if check == names.reference {
        return (Some(info.reference_uri.clone()), Some(format!("#{id}")));
    }
    if check == names.value {
        return (None, Some("canonical base64".to_owned()));
    }
    if check == names.key {
        let pinned: Vec<String> =
            idp.certificates().iter().map(Certificate::fingerprint).map(|found| found.to_string()).collect();
        let algorithm = algorithm(info.signature_method);
        let seen = match signer {
            Some(signer) => format!("{algorithm} by {signer}"),
            None => algorithm.to_owned(),
        };
        return (Some(seen), Some(format!("the key of {}", pinned.join(" or "))));
    }
    if check == names.digest {
        return (
            Some(format!("{} of the {}", hash(info.digest_method), names.element)),
            Some("what was signed".to_owned()),
        );
    }
    let method = match &info.transform {
        Method::Exclusive { .. } => "exclusive",
        Method::Inclusive => "inclusive",
    };
    (Some(format!("{method} canonicalization")), Some("what was digested reads as itself".to_owned()))
}

fn algorithm((family, hash): (KeyFamily, HashAlgorithm)) -> &'static str {
    match (family, hash) {
        (KeyFamily::Rsa, HashAlgorithm::Sha256) => "RSA-SHA256",
        (KeyFamily::Rsa, HashAlgorithm::Sha384) => "RSA-SHA384",
        (KeyFamily::Rsa, HashAlgorithm::Sha512) => "RSA-SHA512",
        (KeyFamily::Ecdsa, HashAlgorithm::Sha256) => "ECDSA-SHA256",
        (KeyFamily::Ecdsa, HashAlgorithm::Sha384) => "ECDSA-SHA384",
        (KeyFamily::Ecdsa, HashAlgorithm::Sha512) => "ECDSA-SHA512",
    }
}

fn hash(hash: HashAlgorithm) -> &'static str {
    match hash {
        HashAlgorithm::Sha256 => "SHA-256",
        HashAlgorithm::Sha384 => "SHA-384",
        HashAlgorithm::Sha512 => "SHA-512",
    }
}
