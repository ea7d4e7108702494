//! An accepted login: a verified Assertion that meets the policy and carries the claims.

use aws_lc_rs::digest;

use super::claimed;
use super::policy::{self, Expected};
use super::shape::AttributeShape;
use super::verified::Verified;
use crate::claims::Identity;
use crate::ids::IdpId;
use crate::rejection::Rejection;
use crate::request::SentRequest;
use crate::time::Timestamp;
use crate::trust::{Fingerprint, ServiceProvider};
use crate::xml::{Attr, Document};

/// Who signed in, at which IdP, until when. To be claimed once, under its [`ReplayKey`], before it
/// becomes a session.
///
/// Nobody outside can make one, and it cannot be copied:
///
/// ```compile_fail
/// fn twice(login: saml_core::AcceptedLogin) -> [saml_core::AcceptedLogin; 2] {
///     [login.clone(), login]
/// }
/// ```
#[derive(Debug)]
pub struct AcceptedLogin {
    identity: Identity,
    idp: IdpId,
    assertion_id: String,
    session_indexes: Vec<String>,
    session_not_on_or_after: Option<Timestamp>,
    replay_key: ReplayKey,
    replay_until: Timestamp,
    signed_with: Fingerprint,
    response_signed_with: Option<Fingerprint>,
    /// What was verified, and where its attributes stand.
    document: Document,
    attributes: Vec<AttributeShape>,
}

/// SHA-256 over the length-prefixed IdP id and assertion ID, or the ID of a LogoutRequest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 32]);

impl ReplayKey {
    fn of(idp: &IdpId, assertion_id: &str) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [idp.as_str(), assertion_id] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    /// No assertion has such a key: a colon is not of the letters of an ID.
    pub(crate) fn of_logout_request(idp: &IdpId, id: &str) -> Self {
        Self::of(idp, &format!("logout:{id}"))
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl Verified<'_> {
    /// Asks whether the Assertion is meant for us, answers `request`, holds `now`, and says who somebody is.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn accept(
        self,
        request: &SentRequest,
        sp: &ServiceProvider,
        now: Timestamp,
    ) -> Result<AcceptedLogin, Rejection> {
        self.accept_as(&Expected::AnswerTo(request), sp, now)
    }

    /// As [`Self::accept`], of a response that answers no request: the IdP began the login
    /// (SAML Profiles 2.0 §4.1.5). Nothing ties it to a browser, so the settings must allow it for this
    /// IdP, and a response that names a request, even an empty one, is none of these.
    ///
    /// # Errors
    /// The settings do not allow it, an InResponseTo stands anywhere, or a condition does not hold.
    pub fn accept_unsolicited(self, sp: &ServiceProvider, now: Timestamp) -> Result<AcceptedLogin, Rejection> {
        if !self.idp.may_initiate() {
            return Err(Rejection::UnsolicitedResponse);
        }
        self.accept_as(&Expected::Unsolicited, sp, now)
    }

    fn accept_as(
        self,
        expected: &Expected<'_>,
        sp: &ServiceProvider,
        now: Timestamp,
    ) -> Result<AcceptedLogin, Rejection> {
        let validity = policy::check(&self, expected, sp, now)?;
        let identity = claimed::identity(&self)?;
        let idp = self.idp.id();
        let statements = self.assertion.authn_statements.iter();
        let session_indexes = statements
            .filter_map(|statement| self.document.attribute(*statement, Attr::SessionIndex))
            .map(str::to_owned)
            .collect();
        Ok(AcceptedLogin {
            identity,
            idp: idp.clone(),
            session_indexes,
            session_not_on_or_after: validity.session_not_on_or_after,
            replay_key: ReplayKey::of(idp, &self.assertion.id),
            replay_until: validity.replay_until,
            assertion_id: self.assertion.id,
            signed_with: self.signed_with,
            response_signed_with: self.response.signed_with,
            document: self.document,
            attributes: self.assertion.attributes,
        })
    }
}

impl AcceptedLogin {
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    pub fn idp(&self) -> &IdpId {
        &self.idp
    }

    pub fn assertion_id(&self) -> &str {
        &self.assertion_id
    }

    /// By which the IdP may end the session; usually one.
    pub fn session_indexes(&self) -> &[String] {
        &self.session_indexes
    }

    /// The IdP's end of the session, if it names one.
    pub fn session_not_on_or_after(&self) -> Option<Timestamp> {
        self.session_not_on_or_after
    }

    pub fn replay_key(&self) -> &ReplayKey {
        &self.replay_key
    }

    /// The claim must be kept until then.
    pub fn replay_until(&self) -> Timestamp {
        self.replay_until
    }

    /// The certificate whose key made the signature, for the audit.
    pub fn signed_with(&self) -> Fingerprint {
        self.signed_with
    }

    /// The certificates whose keys made the signatures, each once: a second opinion is to trust no other.
    pub fn verified_with(&self) -> impl Iterator<Item = Fingerprint> {
        let other = self.response_signed_with.filter(|other| *other != self.signed_with);
        std::iter::once(self.signed_with).chain(other)
    }

    /// Each value that is not empty, with the Name of its Attribute, in the order of the verified Assertion:
    /// what a second opinion must read too.
    pub fn attribute_values(&self) -> impl Iterator<Item = (&str, &str)> {
        claimed::attribute_values(&self.document, &self.attributes)
    }
}
