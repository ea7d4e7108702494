//! Our own LogoutRequest and LogoutResponse. There is no unsigned one (SDP-SP26, SDP-SP27).

use super::verified::LogoutOutcome;
use crate::ids::{IdpSloUrl, RequestId};
use crate::name_id::NameId;
use crate::outgoing::{
    Element, Header, Message, Parameter, PostForm, SAML, Signer, SigningError, post_form, signed_redirect_url,
};
use crate::time::Timestamp;
use crate::trust::ServiceProvider;

const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";
const PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

/// How long an IdP may take our request for good.
const LIFE_SECONDS: i64 = 300;

/// Asks the IdP to end its own session and those at other services (SAML Profiles 2.0 §4.4.4.1).
#[derive(Debug, Clone, Copy)]
pub struct LogoutRequest<'a> {
    pub id: &'a RequestId,
    pub issue_instant: Timestamp,
    /// `location` of the IdP's SingleLogoutService.
    pub destination: &'a IdpSloUrl,
    pub sp: &'a ServiceProvider,
    /// As the assertion had it, with every attribute (SAML Core 2.0 §3.7.3.2).
    pub name_id: &'a NameId,
    /// Those of the session that ends here.
    pub session_indexes: &'a [String],
}

/// Tells the IdP what came of its LogoutRequest (SAML Profiles 2.0 §4.4.4.2).
#[derive(Debug, Clone, Copy)]
pub struct LogoutResponse<'a> {
    pub id: &'a RequestId,
    pub issue_instant: Timestamp,
    /// [`for_responses`](crate::SingleLogoutService::for_responses) of the IdP's SingleLogoutService.
    pub destination: &'a IdpSloUrl,
    pub sp: &'a ServiceProvider,
    /// The ID of the verified request.
    pub in_response_to: &'a str,
    /// The status of a failure is not sent: what went wrong here is no matter of the IdP's.
    pub outcome: &'a LogoutOutcome,
}

impl LogoutRequest<'_> {
    /// # Errors
    /// The key does not sign.
    pub fn redirect_url(&self, relay_state: Option<&str>, signer: &Signer<'_>) -> Result<String, SigningError> {
        let xml = self.message().unsigned();
        signed_redirect_url(self.destination.as_str(), Parameter::SamlRequest, &xml, relay_state, signer)
    }

    /// # Errors
    /// The key does not sign.
    pub fn post_form(&self, relay_state: Option<&str>, signer: &Signer<'_>) -> Result<PostForm, SigningError> {
        let xml = self.message().signed(signer)?;
        Ok(post_form(self.destination.as_str(), Parameter::SamlRequest, &xml, relay_state))
    }

    fn message(&self) -> Message<'_> {
        let header = header(self.id, self.issue_instant, self.destination, self.sp);
        let end = self.issue_instant.plus_seconds(LIFE_SECONDS).to_string();
        let root = Element::new("samlp:LogoutRequest").attribute("NotOnOrAfter", &end);
        let name_id = Element::new("saml:NameID")
            .declaring(SAML)
            .optional_attribute("Format", self.name_id.format.as_deref())
            .optional_attribute("NameQualifier", self.name_id.name_qualifier.as_deref())
            .optional_attribute("SPNameQualifier", self.name_id.sp_name_qualifier.as_deref())
            .optional_attribute("SPProvidedID", self.name_id.sp_provided_id.as_deref())
            .text(&self.name_id.value);
        let index = |index: &String| Element::new("samlp:SessionIndex").text(index);
        let content: Vec<Element> = std::iter::once(name_id).chain(self.session_indexes.iter().map(index)).collect();
        Message::new(&header, root, &content)
    }
}

impl LogoutResponse<'_> {
    /// # Errors
    /// The key does not sign.
    pub fn redirect_url(&self, relay_state: Option<&str>, signer: &Signer<'_>) -> Result<String, SigningError> {
        let xml = self.message().unsigned();
        signed_redirect_url(self.destination.as_str(), Parameter::SamlResponse, &xml, relay_state, signer)
    }

    /// # Errors
    /// The key does not sign.
    pub fn post_form(&self, relay_state: Option<&str>, signer: &Signer<'_>) -> Result<PostForm, SigningError> {
        let xml = self.message().signed(signer)?;
        Ok(post_form(self.destination.as_str(), Parameter::SamlResponse, &xml, relay_state))
    }

    fn message(&self) -> Message<'_> {
        let header = header(self.id, self.issue_instant, self.destination, self.sp);
        let root = Element::new("samlp:LogoutResponse").attribute("InResponseTo", self.in_response_to);
        let code = |value| Element::new("samlp:StatusCode").attribute("Value", value);
        let code = match self.outcome {
            LogoutOutcome::Complete => code(SUCCESS),
            LogoutOutcome::Partial => code(SUCCESS).child(&code(PARTIAL_LOGOUT)),
            LogoutOutcome::Failed { .. } => code(RESPONDER),
        };
        Message::new(&header, root, &[Element::new("samlp:Status").child(&code)])
    }
}

fn header<'a>(
    id: &'a RequestId,
    issue_instant: Timestamp,
    destination: &'a IdpSloUrl,
    sp: &'a ServiceProvider,
) -> Header<'a> {
    Header { id, issue_instant, destination: destination.as_str(), issuer: &sp.entity_id }
}
