//! For whom an Assertion is meant, and when.

use roxmltree::Node;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::SAML;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const SKEW: i64 = 180;

impl Verifier<'_> {
    /// Gives the end of the session.
    pub(super) fn policy(
        &self,
        assertion: Node<'_, '_>,
        response: Node<'_, '_>,
        response_signed: bool,
    ) -> Result<Option<i64>, Refused> {
        self.issuers(assertion, response)?;
        if response.attribute("Destination").is_some_and(|seen| seen != self.trust.acs)
            && !self.has(W::NoDestinationCheck)
        {
            return Err("another Destination".into());
        }
        let conditions = self.child(assertion, SAML, "Conditions").ok_or("no Conditions")?;
        self.window(conditions, true)?;
        self.audiences(conditions)?;
        self.not_issued_in_the_future(assertion)?;
        self.confirmations(assertion, response, response_signed)?;
        self.session_end(assertion)
    }

    fn issuers(&self, assertion: Node<'_, '_>, response: Node<'_, '_>) -> Result<(), Refused> {
        if self.has_one_of(&[W::NoIssuerCheck, W::AnyIdpsKey]) {
            return Ok(());
        }
        for (node, mandatory) in [(assertion, true), (response, false)] {
            match self.child(node, SAML, "Issuer").map(|issuer| self.text(issuer)) {
                Some(name) if name == self.trust.idp => {}
                None if !mandatory => {}
                _ => return Err("another Issuer".into()),
            }
        }
        Ok(())
    }

    fn audiences(&self, conditions: Node<'_, '_>) -> Result<(), Refused> {
        if self.has(W::NoAudienceCheck) {
            return Ok(());
        }
        let known = ["AudienceRestriction", "OneTimeUse", "ProxyRestriction"];
        let unknown = |node: Node<'_, '_>| !known.contains(&node.tag_name().name());
        if conditions.children().any(|node| node.is_element() && unknown(node)) && !self.has(W::UnknownConditions) {
            return Err("an unknown condition".into());
        }
        let names_us = |restriction: Node<'_, '_>| {
            self.children(restriction, SAML, "Audience").any(|audience| self.text(audience) == self.trust.sp)
        };
        let mut restrictions = self.children(conditions, SAML, "AudienceRestriction").map(names_us).peekable();
        let present = restrictions.peek().is_some();
        let meant = match self.has(W::AudiencesOred) {
            true => restrictions.any(|named| named),
            false => restrictions.all(|named| named),
        };
        if present && meant { Ok(()) } else { Err("another audience".into()) }
    }

    fn confirmations(&self, assertion: Node<'_, '_>, response: Node<'_, '_>, signed: bool) -> Result<(), Refused> {
        let subject = self.child(assertion, SAML, "Subject").ok_or("no Subject")?;
        let any_method = self.has(W::AnyConfirmationMethod);
        let data: Vec<_> = self
            .children(subject, SAML, "SubjectConfirmation")
            .filter(|node| any_method || node.attribute("Method") == Some(BEARER))
            .filter_map(|node| self.child(node, SAML, "SubjectConfirmationData"))
            .collect();
        let conditions: [&dyn Fn(Node<'_, '_>) -> bool; 3] = [
            &|data| self.has(W::NoRecipientCheck) || data.attribute("Recipient") == Some(self.trust.acs.as_str()),
            &|data| self.window(data, true).is_ok(),
            &|data| self.answers(data, response, signed),
        ];
        let met = match self.has(W::AcrossConfirmations) {
            true => conditions.iter().all(|holds| data.iter().any(|data| holds(*data))),
            false => data.iter().any(|data| conditions.iter().all(|holds| holds(*data))),
        };
        if met { Ok(()) } else { Err("no confirmation meets everything".into()) }
    }

    fn answers(&self, data: Node<'_, '_>, response: Node<'_, '_>, signed: bool) -> bool {
        if self.has(W::NoRequestCheck) {
            return true;
        }
        let of_response = response.attribute("InResponseTo");
        if of_response.is_some_and(|id| id != self.trust.request) {
            return false;
        }
        match data.attribute("InResponseTo").or(of_response.filter(|_| signed)) {
            Some(id) => id == self.trust.request,
            None => self.has(W::AllowsUnsolicited) && of_response.is_none(),
        }
    }

    // ---- Times

    fn window(&self, node: Node<'_, '_>, end_is_mandatory: bool) -> Result<(), Refused> {
        if self.has(W::NoTimeCheck) {
            return Ok(());
        }
        if let Some(start) = self.time(node, "NotBefore")?
            && self.trust.now < start - SKEW
        {
            return Err("not yet valid".into());
        }
        match self.time(node, "NotOnOrAfter")? {
            Some(end) if self.trust.now < end + SKEW => Ok(()),
            None if self.has(W::LenientTime) || !end_is_mandatory => Ok(()),
            _ => Err("expired".into()),
        }
    }

    /// A bearer is good for ten minutes at most.
    fn not_issued_in_the_future(&self, assertion: Node<'_, '_>) -> Result<(), Refused> {
        if self.has(W::NoTimeCheck) {
            return Ok(());
        }
        let issued = self.time(assertion, "IssueInstant")?.ok_or("no IssueInstant")?;
        let late = self.trust.now >= issued + 600 + SKEW && !self.has(W::LenientTime);
        if issued > self.trust.now + SKEW || late { Err("issued at another time".into()) } else { Ok(()) }
    }

    fn session_end(&self, assertion: Node<'_, '_>) -> Result<Option<i64>, Refused> {
        if self.has(W::IgnoresSessionEnd) {
            return Ok(None);
        }
        let mut earliest = None;
        for statement in self.children(assertion, SAML, "AuthnStatement") {
            let Some(end) = self.time(statement, "SessionNotOnOrAfter")? else { continue };
            if end <= self.trust.now && !self.has(W::NoTimeCheck) {
                return Err("the session is over".into());
            }
            earliest = Some(earliest.map_or(end, |earlier: i64| earlier.min(end)));
        }
        Ok(earliest)
    }

    fn time(&self, node: Node<'_, '_>, name: &str) -> Result<Option<i64>, Refused> {
        let Some(text) = node.attribute(name) else { return Ok(None) };
        let parsed =
            OffsetDateTime::parse(text, &Rfc3339).ok().filter(|_| text.ends_with('Z') && !text.contains(":60"));
        match parsed {
            Some(time) => Ok(Some(time.unix_timestamp())),
            // What cannot be read is taken for a time far away.
            None if self.has(W::LenientTime) => Ok(if name == "NotBefore" { None } else { Some(i64::MAX / 2) }),
            None => Err("no time".into()),
        }
    }
}
