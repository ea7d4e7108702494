//! The policy's conditions, every one of them asked, of what was verified.

use super::super::policy::{self, BearerCondition, Condition, Context, Expected};
use super::super::shape::Confirmation;
use super::super::unverified::InResponseTo;
use super::super::verified::Verified;
use super::facts::{Fact, Facts};
use super::step::Walk;
use crate::rejection::Rejection;
use crate::xml::{Attr, NodeId};

pub(super) fn walk(walk: &mut Walk, verified: &Verified<'_>, facts: &Facts, answers: InResponseTo<'_>) {
    let solicited = answers != InResponseTo::Unsolicited;
    let request = facts.sent_request();
    // Where the request is not known, what needs it is not asked.
    let expected = match &request {
        Some(request) if solicited => Expected::AnswerTo(request),
        _ => Expected::Unsolicited,
    };
    let context = Context::new(verified, &expected, &facts.sp, facts.now);
    let view = View { verified, facts, context: &context, solicited };
    for condition in Condition::ALL {
        match condition {
            Condition::Bearer => view.bearer(walk),
            other => view.condition(walk, other),
        }
    }
}

/// Where nothing is verified, what would be wanting all the same: it is asked for once and not twice.
pub(super) fn name_unknown(walk: &mut Walk, facts: &Facts, answers: InResponseTo<'_>) {
    let asked = |fact: &Fact| *fact != Fact::RequestId || answers != InResponseTo::Unsolicited;
    let of_all = Condition::ALL.map(|condition| (name(condition), needed(condition)));
    let of_bearer = BearerCondition::ALL.map(|condition| (bearer_name(condition), bearer_needed(condition)));
    for (check, fact) in of_all.into_iter().chain(of_bearer) {
        if let Some(fact) = fact.filter(asked).filter(|fact| facts.lack(*fact)) {
            walk.lacking(check, fact, None);
        }
    }
}

struct View<'a> {
    verified: &'a Verified<'a>,
    facts: &'a Facts,
    context: &'a Context<'a>,
    solicited: bool,
}

impl View<'_> {
    fn condition(&self, walk: &mut Walk, condition: Condition) {
        let check = name(condition);
        let (seen, wanted) = self.described(condition);
        if condition == Condition::AuthenticatedAnew {
            return walk.not_applicable(check, FORCE_AUTHN);
        }
        if condition == Condition::ResponseAnswers && !self.solicited {
            return walk.judged(check, condition.ask(self.context), seen, "none".to_owned());
        }
        match needed(condition).filter(|fact| self.facts.lack(*fact)) {
            Some(fact) => walk.lacking(check, fact, seen),
            None => walk.judged(check, condition.ask(self.context), seen, wanted),
        }
    }

    /// Of the confirmation that meets everything that can be asked, else of the first, as the verifier has it.
    fn bearer(&self, walk: &mut Walk) {
        let mut bearers = policy::bearers(self.verified);
        let Some(first) = bearers.next() else {
            return walk.refused("bearer", &Rejection::BearerMissing, self.methods(), BEARER_WANTED.to_owned());
        };
        let meets_all = |confirmation: &&Confirmation| {
            let mut asked = BearerCondition::ALL.into_iter().filter(|condition| self.can_ask(*condition));
            asked.all(|condition| condition.ask(self.context, confirmation).is_ok())
        };
        let confirmation = std::iter::once(first).chain(bearers).find(meets_all).unwrap_or(first);
        walk.passed("bearer", self.methods(), BEARER_WANTED.to_owned());
        for condition in BearerCondition::ALL {
            let check = bearer_name(condition);
            let (seen, wanted) = self.bearer_described(condition, confirmation.data);
            match bearer_needed(condition).filter(|fact| self.facts.lack(*fact)) {
                _ if condition == BearerCondition::Answers && !self.solicited => {
                    walk.not_applicable(check, UNSOLICITED);
                }
                Some(fact) => walk.lacking(check, fact, seen),
                None => walk.judged(check, condition.ask(self.context, confirmation), seen, wanted),
            }
        }
    }

    fn can_ask(&self, condition: BearerCondition) -> bool {
        let answers_nothing = condition == BearerCondition::Answers && !self.solicited;
        !answers_nothing && bearer_needed(condition).is_none_or(|fact| !self.facts.lack(fact))
    }

    fn described(&self, condition: Condition) -> (Option<String>, Option<String>) {
        let Verified { document, assertion, response, .. } = self.verified;
        let sp = &self.facts.sp;
        match condition {
            Condition::Issuers => {
                let of_assertion = document.text_only(assertion.issuer).unwrap_or_default();
                let of_response = response.issuer.as_deref().unwrap_or("none");
                let seen = format!("Assertion: {of_assertion}; Response: {of_response}");
                (Some(seen), Some(self.verified.idp.entity_id().to_string()))
            }
            Condition::Destination => (or_none(response.destination.as_deref()), Some(sp.acs_url.to_string())),
            Condition::IssueInstant => {
                let of_assertion = self.text(assertion.node, Attr::IssueInstant);
                let seen = format!("Assertion: {of_assertion}; Response: {}", response.issue_instant);
                (Some(seen), Some(format!("not after {} by more than {} s", self.facts.now, sp.skew_seconds)))
            }
            Condition::Conditions => {
                let start = self.text(assertion.conditions, Attr::NotBefore);
                let end = self.text(assertion.conditions, Attr::NotOnOrAfter);
                let wanted = format!("{} within, give or take {} s", self.facts.now, sp.skew_seconds);
                (Some(format!("NotBefore {start}, NotOnOrAfter {end}")), Some(wanted))
            }
            Condition::Audience => {
                let audiences = assertion.audiences.iter().flatten().filter_map(|node| document.text_only(*node));
                let seen: Vec<&str> = audiences.take(16).collect();
                let seen = if seen.is_empty() { "none".to_owned() } else { seen.join(", ") };
                (Some(seen), Some(sp.entity_id.to_string()))
            }
            Condition::ResponseAnswers => (or_none(response.in_response_to.as_deref()), self.request()),
            Condition::Bearer => (Some(self.methods()), Some(BEARER_WANTED.to_owned())),
            Condition::AuthenticatedAnew => (None, None),
            Condition::Sessions => {
                let ends = assertion
                    .authn_statements
                    .iter()
                    .filter_map(|node| document.attribute(*node, Attr::SessionNotOnOrAfter));
                let ends: Vec<&str> = ends.collect();
                let seen = if ends.is_empty() { "none".to_owned() } else { ends.join(", ") };
                (Some(seen), Some(format!("after {}", self.facts.now)))
            }
        }
    }

    fn bearer_described(&self, condition: BearerCondition, data: NodeId) -> (Option<String>, Option<String>) {
        let Verified { document, assertion, response, .. } = self.verified;
        let (now, skew) = (self.facts.now, self.facts.sp.skew_seconds);
        match condition {
            BearerCondition::Recipient => {
                (or_none(document.attribute(data, Attr::Recipient)), Some(self.facts.sp.acs_url.to_string()))
            }
            BearerCondition::Answers => {
                let own = document.attribute(data, Attr::InResponseTo);
                let of_response = response.in_response_to.as_deref().filter(|_| response.signed);
                (or_none(own.or(of_response)), self.request())
            }
            BearerCondition::NotBefore => (
                or_none(document.attribute(data, Attr::NotBefore)),
                Some(format!("none, or not after {now} by more than {skew} s")),
            ),
            BearerCondition::NotOnOrAfter => {
                let issued = self.text(assertion.node, Attr::IssueInstant);
                let wanted =
                    format!("after {now}, give or take {skew} s; at most 10 minutes after IssueInstant {issued}");
                (or_none(document.attribute(data, Attr::NotOnOrAfter)), Some(wanted))
            }
        }
    }

    fn methods(&self) -> String {
        let Verified { document, assertion, .. } = self.verified;
        let method = |confirmation: &Confirmation| document.attribute(confirmation.node, Attr::Method);
        let methods: Vec<&str> = assertion.confirmations.iter().filter_map(method).collect();
        methods.join(", ")
    }

    fn request(&self) -> Option<String> {
        self.facts.request.as_ref().map(ToString::to_string)
    }

    fn text(&self, node: NodeId, attr: Attr) -> &str {
        self.verified.document.attribute(node, attr).unwrap_or("none")
    }
}

const BEARER_WANTED: &str = "a SubjectConfirmation of the method urn:oasis:names:tc:SAML:2.0:cm:bearer";
const UNSOLICITED: &str = "the response answers no request";
const FORCE_AUTHN: &str = "state of the gateway: when ForceAuthn was asked for stands in the pending login";

fn or_none(seen: Option<&str>) -> Option<String> {
    Some(seen.unwrap_or("none").to_owned())
}

fn name(condition: Condition) -> &'static str {
    match condition {
        Condition::Issuers => "issuer",
        Condition::Destination => "destination",
        Condition::IssueInstant => "issue_instant",
        Condition::Conditions => "conditions",
        Condition::Audience => "audience",
        Condition::ResponseAnswers => "in_response_to",
        Condition::Bearer => "bearer",
        Condition::AuthenticatedAnew => "authenticated_anew",
        Condition::Sessions => "session_end",
    }
}

fn needed(condition: Condition) -> Option<Fact> {
    match condition {
        Condition::Issuers => Some(Fact::IdpEntityId),
        Condition::Destination => Some(Fact::AcsUrl),
        Condition::Audience => Some(Fact::Audience),
        Condition::ResponseAnswers => Some(Fact::RequestId),
        Condition::IssueInstant
        | Condition::Conditions
        | Condition::Bearer
        | Condition::AuthenticatedAnew
        | Condition::Sessions => None,
    }
}

fn bearer_name(condition: BearerCondition) -> &'static str {
    match condition {
        BearerCondition::Recipient => "bearer.recipient",
        BearerCondition::Answers => "bearer.in_response_to",
        BearerCondition::NotBefore => "bearer.not_before",
        BearerCondition::NotOnOrAfter => "bearer.not_on_or_after",
    }
}

fn bearer_needed(condition: BearerCondition) -> Option<Fact> {
    match condition {
        BearerCondition::Recipient => Some(Fact::AcsUrl),
        BearerCondition::Answers => Some(Fact::RequestId),
        BearerCondition::NotBefore | BearerCondition::NotOnOrAfter => None,
    }
}
