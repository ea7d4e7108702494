//! The verification, walked aloud: each check with what was seen, what was wanted and what to do.
//!
//! It walks the verifier and is none itself. Reading, signatures, conditions and claims are the very
//! functions through which a login goes; here each outcome is written down, and the walk goes on where
//! more can be said. Who somebody is comes from an [`AcceptedLogin`](super::AcceptedLogin) alone.

mod claims;
mod conditions;
mod facts;
mod reading;
mod signatures;
mod step;

pub use facts::{Captured, Fact, Facts};
pub use step::{Outcome, Step};

use super::unverified::{InResponseTo, UnverifiedResponse};
use crate::claims::Identity;
use crate::rejection::Rejection;
use step::Walk;

/// Every check, in the order in which the verifier asks.
pub const CHECKS: [&str; 48] = [
    "form",
    "base64",
    "size",
    "bytes",
    "xml",
    "message",
    "shape",
    "algorithms",
    "status",
    "encryption",
    "ids",
    "request",
    "signed",
    "response_signature.reference",
    "response_signature.value",
    "response_signature.key",
    "response_signature.digest",
    "response_signature.canonical_form",
    "decryption",
    "assertion_signature.reference",
    "assertion_signature.value",
    "assertion_signature.key",
    "assertion_signature.digest",
    "assertion_signature.canonical_form",
    "issuer",
    "destination",
    "issue_instant",
    "conditions",
    "audience",
    "in_response_to",
    "bearer",
    "bearer.recipient",
    "bearer.in_response_to",
    "bearer.not_before",
    "bearer.not_on_or_after",
    "authenticated_anew",
    "session_end",
    "name_id",
    "unique_id",
    "email",
    "username",
    "groups",
    "first_name",
    "last_name",
    "pending_login",
    "browser_binding",
    "claim",
    "verdict",
];

/// What came of a walk.
#[derive(Debug)]
pub struct Explanation {
    identity: Option<Identity>,
    refusal: Option<&'static str>,
    steps: Vec<Step>,
}

impl Explanation {
    /// The verifier accepts the response, and no fact was wanting.
    pub fn is_accepted(&self) -> bool {
        self.identity.is_some()
    }

    /// The code of the first refusal: the one that the gateway gives.
    pub fn refusal(&self) -> Option<&'static str> {
        self.refusal
    }

    /// Who signed in, only if accepted.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Facts for want of which a check was not run, each once.
    pub fn missing_facts(&self) -> Vec<Fact> {
        let mut missing = Vec::new();
        for fact in self.steps.iter().filter_map(|step| step.missing_fact) {
            if !missing.contains(&fact) {
                missing.push(fact);
            }
        }
        missing
    }
}

/// Walks `captured` through the verification with the `facts` that are known.
pub fn explain(captured: &Captured<'_>, facts: &Facts) -> Explanation {
    let mut walk = Walk::default();
    let response = reading::walk(&mut walk, captured);
    if let Some(response) = &response {
        request(&mut walk, response, facts);
        let verified = signatures::walk(&mut walk, response, facts);
        match &verified {
            Some(verified) => {
                conditions::walk(&mut walk, verified, facts, response.in_response_to());
                claims::walk(&mut walk, verified);
            }
            None => conditions::name_unknown(&mut walk, facts, response.in_response_to()),
        }
    }
    state(&mut walk);
    let identity = response.and_then(|response| verdict(&mut walk, &response, facts));
    let refusal = walk.refusal();
    Explanation { identity, refusal, steps: walk.finish(&CHECKS) }
}

/// What tells a response that answers nothing from one that answers a request of ours. Which one is compared
/// once it is verified.
fn request(walk: &mut Walk, response: &UnverifiedResponse, facts: &Facts) {
    const WANTED: &str = "that the response names the one request that it answers";
    match response.in_response_to() {
        InResponseTo::Request(seen) => walk.passed("request", seen, WANTED),
        InResponseTo::Unsolicited if facts.idp_may_initiate() => {
            walk.passed("request", "none", "none: the settings let this identity provider begin logins");
        }
        InResponseTo::Unsolicited => walk.refused("request", &Rejection::UnsolicitedResponse, "none", WANTED),
    }
}

/// What needs the gateway's store, and cannot be asked of a captured response.
fn state(walk: &mut Walk) {
    walk.not_applicable("pending_login", "state of the gateway: the request ID that is given stands for it");
    walk.not_applicable("browser_binding", "state of the gateway: a captured response comes from no browser");
    walk.not_applicable("claim", "state of the gateway: nothing is claimed, so nothing is used up");
}

/// The last word is the verifier's own, on the whole: what was walked through above can refuse and never grant.
fn verdict(walk: &mut Walk, response: &UnverifiedResponse, facts: &Facts) -> Option<Identity> {
    if walk.refusal().is_some() || walk.lacks_a_fact() {
        walk.not_run("verdict", "the checks above do not all pass");
        return None;
    }
    let idp = facts.idp.as_ref()?;
    let verified = response.verify(idp, &facts.keys);
    let login = match (response.in_response_to(), facts.sent_request()) {
        (InResponseTo::Unsolicited, _) => verified.and_then(|it| it.accept_unsolicited(&facts.sp, facts.now)),
        (InResponseTo::Request(_), Some(request)) => verified.and_then(|it| it.accept(&request, &facts.sp, facts.now)),
        (InResponseTo::Request(_), None) => return None,
    };
    match login {
        Ok(login) => {
            walk.passed("verdict", "every check passes", "the same, asked of the verifier as a whole");
            Some(login.identity().clone())
        }
        Err(rejection) => {
            walk.refused("verdict", &rejection, None, None);
            None
        }
    }
}
