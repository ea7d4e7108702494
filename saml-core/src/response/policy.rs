//! What a verified Assertion must say to be a login here and now (SAML Profiles 2.0 §4.1.4.3, stricter).

use super::shape::Confirmation;
use super::verified::Verified;
use crate::ids::EntityId;
use crate::rejection::{Rejection, shortened};
use crate::request::{Authentication, SentRequest};
use crate::time::Timestamp;
use crate::trust::ServiceProvider;
use crate::xml::{Attr, NodeId};

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// However long an IdP says that its assertion may be delivered, it is taken this long after it was issued.
const MAX_BEARER_SECONDS: i64 = 600;

/// The largest skew that the settings allow; a claim is kept as if it were set.
const MAX_SKEW_SECONDS: i64 = 300;

/// How times are judged: one reading of the clock and the allowed skew.
#[derive(Clone, Copy)]
struct Clock {
    now: Timestamp,
    skew_seconds: i64,
}

impl Clock {
    /// # Errors
    /// `end` has come.
    fn before(self, what: &'static str, end: Timestamp) -> Result<(), Rejection> {
        let last = end.plus_seconds(self.skew_seconds);
        if self.now < last {
            return Ok(());
        }
        let late_seconds = self.now.unix_seconds().saturating_sub(last.unix_seconds());
        Err(Rejection::AssertionExpired { what, seen: end, now: self.now, late_seconds })
    }

    /// # Errors
    /// `start` has not come.
    fn not_before(self, what: &'static str, start: Timestamp) -> Result<(), Rejection> {
        let first = start.plus_seconds(-self.skew_seconds);
        if self.now >= first {
            return Ok(());
        }
        let early_seconds = first.unix_seconds().saturating_sub(self.now.unix_seconds());
        Err(Rejection::AssertionNotYetValid { what, seen: start, now: self.now, early_seconds })
    }
}

/// What a response must answer.
pub(super) enum Expected<'a> {
    AnswerTo(&'a SentRequest),
    /// Nothing: the IdP began the login.
    Unsolicited,
}

/// What the policy found besides that everything holds.
pub(super) struct Validity {
    pub(super) session_not_on_or_after: Option<Timestamp>,
    /// The last moment at which this assertion could be accepted, at the largest skew.
    pub(super) replay_until: Timestamp,
}

/// What a check may look at.
pub(super) struct Context<'a> {
    verified: &'a Verified<'a>,
    expected: &'a Expected<'a>,
    sp: &'a ServiceProvider,
    clock: Clock,
}

impl<'a> Context<'a> {
    pub(super) fn new(
        verified: &'a Verified<'a>,
        expected: &'a Expected<'a>,
        sp: &'a ServiceProvider,
        now: Timestamp,
    ) -> Self {
        let clock = Clock { now, skew_seconds: i64::from(sp.skew_seconds).min(MAX_SKEW_SECONDS) };
        Self { verified, expected, sp, clock }
    }
}

/// The conditions, in the order in which they are asked. [`check`] stops at the first that does not
/// hold; an explanation asks them all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Issuers,
    Destination,
    IssueInstant,
    Conditions,
    Audience,
    ResponseAnswers,
    /// One and the same SubjectConfirmation meets every [`BearerCondition`].
    Bearer,
    AuthenticatedAnew,
    Sessions,
}

impl Condition {
    pub(super) const ALL: [Self; 9] = [
        Self::Issuers,
        Self::Destination,
        Self::IssueInstant,
        Self::Conditions,
        Self::Audience,
        Self::ResponseAnswers,
        Self::Bearer,
        Self::AuthenticatedAnew,
        Self::Sessions,
    ];

    /// # Errors
    /// It does not hold.
    pub(super) fn ask(self, context: &Context<'_>) -> Result<(), Rejection> {
        let Context { verified, expected, sp, clock } = context;
        match self {
            Self::Issuers => issuers(verified, verified.idp.entity_id()),
            Self::Destination => destination(verified, sp),
            Self::IssueInstant => issue_instant(verified, *clock),
            Self::Conditions => conditions(verified, *clock),
            Self::Audience => audience(verified, &sp.entity_id),
            Self::ResponseAnswers => response_answers(verified, expected),
            Self::Bearer => bearer(context),
            Self::AuthenticatedAnew => authenticated_anew(verified, expected, *clock),
            Self::Sessions => sessions(verified, clock.now).map(drop),
        }
    }
}

/// What one bearer SubjectConfirmation must say, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BearerCondition {
    Recipient,
    Answers,
    NotBefore,
    NotOnOrAfter,
}

impl BearerCondition {
    pub(super) const ALL: [Self; 4] = [Self::Recipient, Self::Answers, Self::NotBefore, Self::NotOnOrAfter];

    /// # Errors
    /// It does not hold for `confirmation`.
    pub(super) fn ask(self, context: &Context<'_>, confirmation: &Confirmation) -> Result<(), Rejection> {
        let Context { verified, expected, sp, clock } = context;
        let data = confirmation.data;
        match self {
            Self::Recipient => bearer_recipient(verified, data, sp),
            Self::Answers => bearer_answers(verified, data, expected),
            Self::NotBefore => bearer_not_before(verified, data, *clock),
            Self::NotOnOrAfter => bearer_not_on_or_after(verified, data, *clock),
        }
    }
}

/// # Errors
/// The first condition that does not hold.
pub(super) fn check(
    verified: &Verified<'_>,
    expected: &Expected<'_>,
    sp: &ServiceProvider,
    now: Timestamp,
) -> Result<Validity, Rejection> {
    let context = Context::new(verified, expected, sp, now);
    for condition in Condition::ALL {
        condition.ask(&context)?;
    }
    Ok(Validity {
        session_not_on_or_after: sessions(verified, now)?,
        replay_until: issued(verified)?.plus_seconds(MAX_BEARER_SECONDS + MAX_SKEW_SECONDS + 1),
    })
}

fn issuers(verified: &Verified<'_>, wanted: &EntityId) -> Result<(), Rejection> {
    let mismatch = |element, seen: &str| Rejection::IssuerMismatch {
        element,
        seen: shortened(seen),
        wanted: wanted.as_str().to_owned(),
    };
    let assertion = verified.document.text_only(verified.assertion.issuer).unwrap_or_default();
    if assertion != wanted.as_str() {
        return Err(mismatch("Assertion", assertion));
    }
    match &verified.response.issuer {
        Some(seen) if seen != wanted.as_str() => Err(mismatch("Response", seen)),
        None if verified.response.signed => Err(Rejection::IssuerMissing),
        _ => Ok(()),
    }
}

fn destination(verified: &Verified<'_>, sp: &ServiceProvider) -> Result<(), Rejection> {
    let wanted = sp.acs_url.as_str();
    match &verified.response.destination {
        Some(seen) if seen != wanted => {
            Err(Rejection::DestinationMismatch { seen: shortened(seen), wanted: wanted.to_owned() })
        }
        None if verified.response.signed => Err(Rejection::DestinationMissing { wanted: wanted.to_owned() }),
        _ => Ok(()),
    }
}

fn issue_instant(verified: &Verified<'_>, clock: Clock) -> Result<(), Rejection> {
    let response = parse("IssueInstant of the Response", &verified.response.issue_instant)?;
    clock.not_before("IssueInstant of the Response", response)?;
    clock.not_before("IssueInstant of the Assertion", issued(verified)?)
}

fn issued(verified: &Verified<'_>) -> Result<Timestamp, Rejection> {
    required_time(verified, verified.assertion.node, Attr::IssueInstant, "IssueInstant of the Assertion")
}

fn conditions(verified: &Verified<'_>, clock: Clock) -> Result<(), Rejection> {
    let node = verified.assertion.conditions;
    if let Some(start) = time(verified, node, Attr::NotBefore, "NotBefore of the Conditions")? {
        clock.not_before("NotBefore of the Conditions", start)?;
    }
    let what = "NotOnOrAfter of the Conditions";
    clock.before(what, required_time(verified, node, Attr::NotOnOrAfter, what)?)
}

/// SAML Core 2.0 §2.5.1.4: every AudienceRestriction must name us.
fn audience(verified: &Verified<'_>, wanted: &EntityId) -> Result<(), Rejection> {
    let restrictions = &verified.assertion.audiences;
    if restrictions.is_empty() {
        return Err(Rejection::AudienceMissing { wanted: wanted.as_str().to_owned() });
    }
    for restriction in restrictions {
        let named = |audience: &NodeId| verified.document.text_only(*audience) == Some(wanted.as_str());
        if !restriction.iter().any(named) {
            let seen =
                restriction.iter().filter_map(|node| verified.document.text_only(*node)).map(shortened).collect();
            return Err(Rejection::AudienceMismatch { seen, wanted: wanted.as_str().to_owned() });
        }
    }
    Ok(())
}

fn response_answers(verified: &Verified<'_>, expected: &Expected<'_>) -> Result<(), Rejection> {
    let response = verified.response.in_response_to.as_deref();
    match expected {
        Expected::AnswerTo(request) => match response {
            Some(seen) if seen != request.id.as_str() => Err(Rejection::InResponseToMismatch { element: "Response" }),
            _ => Ok(()),
        },
        // SAML Profiles 2.0 §4.1.5: it must not be present, and that holds for an empty one too.
        Expected::Unsolicited => {
            let named = |confirmation: &Confirmation| {
                verified.document.attribute(confirmation.data, Attr::InResponseTo).is_some()
            };
            let anywhere = response.is_some() || verified.assertion.confirmations.iter().any(named);
            if anywhere { Err(Rejection::InResponseToUnexpected) } else { Ok(()) }
        }
    }
}

/// One and the same bearer confirmation must meet everything. The reason given is that of the first.
fn bearer(context: &Context<'_>) -> Result<(), Rejection> {
    let mut first = None;
    for confirmation in bearers(context.verified) {
        match BearerCondition::ALL.into_iter().try_for_each(|condition| condition.ask(context, confirmation)) {
            Ok(()) => return Ok(()),
            Err(rejection) => first = first.or(Some(rejection)),
        }
    }
    Err(first.unwrap_or(Rejection::BearerMissing))
}

/// The confirmations of the method bearer; others are ignored.
pub(super) fn bearers<'a>(verified: &'a Verified<'_>) -> impl Iterator<Item = &'a Confirmation> {
    let method = |confirmation: &&Confirmation| verified.document.attribute(confirmation.node, Attr::Method);
    verified.assertion.confirmations.iter().filter(move |confirmation| method(confirmation) == Some(BEARER))
}

fn bearer_recipient(verified: &Verified<'_>, data: NodeId, sp: &ServiceProvider) -> Result<(), Rejection> {
    let recipient = verified.document.attribute(data, Attr::Recipient);
    let recipient = recipient.ok_or(Rejection::BearerIncomplete { missing: "Recipient" })?;
    if recipient == sp.acs_url.as_str() {
        return Ok(());
    }
    Err(Rejection::RecipientMismatch { seen: shortened(recipient), wanted: sp.acs_url.as_str().to_owned() })
}

fn bearer_not_before(verified: &Verified<'_>, data: NodeId, clock: Clock) -> Result<(), Rejection> {
    match time(verified, data, Attr::NotBefore, "NotBefore of the bearer")? {
        Some(start) => clock.not_before("NotBefore of the bearer", start),
        None => Ok(()),
    }
}

fn bearer_not_on_or_after(verified: &Verified<'_>, data: NodeId, clock: Clock) -> Result<(), Rejection> {
    let end = time(verified, data, Attr::NotOnOrAfter, "NotOnOrAfter of the bearer")?;
    let end = end.ok_or(Rejection::BearerIncomplete { missing: "NotOnOrAfter" })?;
    let latest = issued(verified)?.plus_seconds(MAX_BEARER_SECONDS);
    if latest < end {
        return clock.before("ten minutes after IssueInstant of the Assertion", latest);
    }
    clock.before("NotOnOrAfter of the bearer", end)
}

fn bearer_answers(verified: &Verified<'_>, data: NodeId, expected: &Expected<'_>) -> Result<(), Rejection> {
    // That an unsolicited response names no request was asked before.
    let Expected::AnswerTo(request) = expected else { return Ok(()) };
    let answers = match verified.document.attribute(data, Attr::InResponseTo) {
        Some(seen) => Some(seen),
        // An unsigned Response cannot say which request it answers (CVE-2026-49284).
        None if verified.response.signed => verified.response.in_response_to.as_deref(),
        None => None,
    };
    if answers.ok_or(Rejection::InResponseToMissing)? != request.id.as_str() {
        return Err(Rejection::InResponseToMismatch { element: "SubjectConfirmationData" });
    }
    Ok(())
}

/// Where ForceAuthn was asked for, every AuthnStatement must tell of a sign-in since then.
fn authenticated_anew(verified: &Verified<'_>, expected: &Expected<'_>, clock: Clock) -> Result<(), Rejection> {
    let Expected::AnswerTo(SentRequest { authentication: Authentication::Since(wanted), .. }) = expected else {
        return Ok(());
    };
    let earliest = wanted.plus_seconds(-clock.skew_seconds);
    for statement in &verified.assertion.authn_statements {
        let seen = required_time(verified, *statement, Attr::AuthnInstant, "AuthnInstant")?;
        if seen < earliest {
            return Err(Rejection::AuthnTooOld { seen, wanted: *wanted });
        }
    }
    Ok(())
}

/// The earliest SessionNotOnOrAfter.
fn sessions(verified: &Verified<'_>, now: Timestamp) -> Result<Option<Timestamp>, Rejection> {
    let mut earliest = None;
    for statement in &verified.assertion.authn_statements {
        required_time(verified, *statement, Attr::AuthnInstant, "AuthnInstant")?;
        let Some(end) = time(verified, *statement, Attr::SessionNotOnOrAfter, "SessionNotOnOrAfter")? else { continue };
        if end <= now {
            return Err(Rejection::IdpSessionEnded { seen: end, now });
        }
        earliest = Some(earliest.map_or(end, |earlier: Timestamp| earlier.min(end)));
    }
    Ok(earliest)
}

fn time(verified: &Verified<'_>, node: NodeId, attr: Attr, what: &'static str) -> Result<Option<Timestamp>, Rejection> {
    verified.document.attribute(node, attr).map(|text| parse(what, text)).transpose()
}

/// The shape has asked for the attribute; an absent one reads as empty, which is no time.
fn required_time(
    verified: &Verified<'_>,
    node: NodeId,
    attr: Attr,
    what: &'static str,
) -> Result<Timestamp, Rejection> {
    parse(what, verified.document.attribute(node, attr).unwrap_or_default())
}

fn parse(what: &'static str, text: &str) -> Result<Timestamp, Rejection> {
    Timestamp::parse(text).map_err(|_| Rejection::TimeInvalid { what, seen: shortened(text) })
}
