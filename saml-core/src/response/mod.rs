use crate::*;
#[derive(Debug)]
pub struct UnverifiedResponse {}
#[derive(Debug)]
pub struct Verified {}
#[derive(Debug)]
pub struct AcceptedLogin {
    identity: Identity,
    idp: IdpId,
    replay_key: ReplayKey,
    until: Timestamp,
    fingerprint: Fingerprint,
}
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey([u8; 32]);
impl ReplayKey {
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InResponseTo<'a> {
    Request(&'a str),
    Unsolicited,
}
impl UnverifiedResponse {
    pub fn from_form(_form: AcsForm) -> Result<Self, Rejection> {
        Err(Rejection::NotSigned)
    }
    pub fn from_xml(_xml: &[u8]) -> Result<Self, Rejection> {
        Err(Rejection::NotSigned)
    }
    pub fn in_response_to(&self) -> InResponseTo<'_> {
        InResponseTo::Unsolicited
    }
    pub fn verify(&self, _idp: &TrustedIdp) -> Result<Verified, Rejection> {
        Err(Rejection::NotSigned)
    }
}
impl Verified {
    pub fn accept(
        self,
        _request: &RequestId,
        _idp: &TrustedIdp,
        _sp: &ServiceProvider,
        _now: Timestamp,
    ) -> Result<AcceptedLogin, Rejection> {
        Err(Rejection::NotSigned)
    }
}
impl AcceptedLogin {
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
    pub fn idp(&self) -> &IdpId {
        &self.idp
    }
    pub fn replay_key(&self) -> &ReplayKey {
        &self.replay_key
    }
    pub fn replay_until(&self) -> Timestamp {
        self.until
    }
    pub fn session_not_on_or_after(&self) -> Option<Timestamp> {
        None
    }
    pub fn session_index(&self) -> Option<&str> {
        None
    }
    pub fn assertion_id(&self) -> &str {
        ""
    }
    pub fn signed_with(&self) -> Fingerprint {
        self.fingerprint
    }
}
