//! What an explanation is given: the response as somebody captured it, and what is known of both sides.

use std::sync::Arc;

use crate::ids::RequestId;
use crate::request::{Authentication, SentRequest};
use crate::time::Timestamp;
use crate::trust::{DecryptionKeys, ServiceProvider, Sign, TrustedIdp};

/// A response in the form in which it was found.
#[derive(Debug, Clone, Copy)]
pub enum Captured<'a> {
    /// The body of the POST to the ACS.
    Form(&'a [u8]),
    /// The value of the field SAMLResponse.
    Base64(&'a [u8]),
    /// What that value decodes to.
    Xml(&'a [u8]),
}

/// Something without which a check cannot be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    Certificate,
    IdpEntityId,
    Audience,
    AcsUrl,
    RequestId,
}

impl Fact {
    /// The flag that gives it.
    pub fn flag(self) -> &'static str {
        match self {
            Self::Certificate => "--idp-certificate",
            Self::IdpEntityId => "--idp-entity-id",
            Self::Audience => "--audience",
            Self::AcsUrl => "--acs-url",
            Self::RequestId => "--request-id",
        }
    }

    /// What it is, for people.
    pub fn description(self) -> &'static str {
        match self {
            Self::Certificate => "the IdP's certificate",
            Self::IdpEntityId => "the IdP's entity ID",
            Self::Audience => "our own entity ID, JumpCloud's SP Entity ID",
            Self::AcsUrl => "our ACS URL",
            Self::RequestId => "the ID of the AuthnRequest that the response answers",
        }
    }
}

/// What is known of both sides.
#[derive(Debug)]
pub struct Facts {
    /// `None` where no certificate is known.
    pub idp: Option<TrustedIdp>,
    pub sign: Sign,
    pub sp: ServiceProvider,
    /// For assertions that are encrypted.
    pub keys: Arc<DecryptionKeys>,
    /// It stands for the pending login.
    pub request: Option<RequestId>,
    pub now: Timestamp,
    /// Entity IDs and addresses that are not known. What stands in their place is compared with nothing.
    pub unknown: Vec<Fact>,
}

impl Facts {
    pub(super) fn idp_may_initiate(&self) -> bool {
        self.idp.as_ref().is_some_and(TrustedIdp::may_initiate)
    }

    /// Whether ForceAuthn was asked for is state of the gateway, and not asked here.
    pub(super) fn sent_request(&self) -> Option<SentRequest> {
        let id = self.request.clone()?;
        Some(SentRequest { id, authentication: Authentication::Any })
    }

    pub(super) fn lack(&self, fact: Fact) -> bool {
        match fact {
            Fact::Certificate => self.idp.is_none(),
            Fact::RequestId => self.request.is_none(),
            Fact::IdpEntityId | Fact::Audience | Fact::AcsUrl => self.unknown.contains(&fact),
        }
    }
}
