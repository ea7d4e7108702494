//! Our two logout messages, ready to leave. Pure: randomness and time are given.

use config::{Binding, LogoutService};
use saml_core::{
    LogoutOutcome, LogoutRequest, LogoutResponse, RequestId, ServiceProvider, Signer, SigningError, Timestamp,
    VerifiedLogoutRequest,
};

use crate::login::{Departure, Entropy};
use crate::session::IdpSession;

/// What a message of ours is made from.
pub struct Sender<'a> {
    pub service: &'a LogoutService,
    pub sp: &'a ServiceProvider,
    pub signer: &'a Signer<'a>,
    pub entropy: Entropy,
    pub now: Timestamp,
}

impl Sender<'_> {
    /// Asks the IdP to end its session and those at other applications (SAML Profiles 2.0 §4.4.4.1).
    ///
    /// # Errors
    /// The key does not sign.
    pub fn ask(&self, session: &IdpSession) -> Result<(RequestId, Departure), SigningError> {
        let id = RequestId::from_random(self.entropy.request_id);
        // What comes back is ignored, as with logins.
        let relay_state: String = self.entropy.relay_state.iter().map(|byte| format!("{byte:02x}")).collect();
        let request = LogoutRequest {
            id: &id,
            issue_instant: self.now,
            destination: &self.service.url,
            sp: self.sp,
            name_id: &session.name_id,
            session_indexes: &session.session_indexes,
        };
        let departure = match self.service.binding {
            Binding::Redirect => Departure::Redirect(request.redirect_url(Some(&relay_state), self.signer)?),
            Binding::Post => Departure::Post(request.post_form(Some(&relay_state), self.signer)?),
        };
        Ok((id, departure))
    }

    /// Tells the IdP that no session of that name is left.
    ///
    /// # Errors
    /// The key does not sign.
    pub fn answer(&self, request: &VerifiedLogoutRequest) -> Result<Departure, SigningError> {
        let id = RequestId::from_random(self.entropy.request_id);
        let response = LogoutResponse {
            id: &id,
            issue_instant: self.now,
            destination: &self.service.response_url,
            sp: self.sp,
            in_response_to: request.id(),
            outcome: &LogoutOutcome::Complete,
        };
        let relay_state = request.relay_state();
        Ok(match self.service.binding {
            Binding::Redirect => Departure::Redirect(response.redirect_url(relay_state, self.signer)?),
            Binding::Post => Departure::Post(response.post_form(relay_state, self.signer)?),
        })
    }
}
