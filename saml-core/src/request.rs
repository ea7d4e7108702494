//! What is remembered of an AuthnRequest until its answer comes.

use crate::ids::RequestId;
use crate::time::Timestamp;

/// The request that a response must answer, as the pending login kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentRequest {
    pub id: RequestId,
    pub authentication: Authentication,
}

/// How fresh the sign-in at the IdP must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authentication {
    /// An older session at the IdP serves.
    Any,
    /// ForceAuthn was asked for (SAML Core 2.0 §3.4.1): nobody's AuthnInstant may be earlier.
    Since(Timestamp),
}
