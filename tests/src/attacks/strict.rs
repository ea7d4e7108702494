//! The verifier under test, asked the same questions as the weak ones. The only place that calls it.

use saml_core::{
    AcceptedLogin, AcsForm, DecryptionKeys, Rejection, SentRequest, ServiceProvider, TrustedIdp, UnverifiedResponse,
};

use super::parties::{Setting, request, service_provider, timestamp};
use crate::weak::{Login, Message};

/// The parties of a setting, made once.
pub struct Strict {
    idp: TrustedIdp,
    keys: DecryptionKeys,
    sp: ServiceProvider,
    request: SentRequest,
}

impl Strict {
    pub fn of(setting: &Setting) -> Self {
        Self { idp: setting.idp(), keys: setting.decryption_keys(), sp: service_provider(), request: request() }
    }

    /// # Errors
    /// It is no login.
    pub fn accept(&self, response: &UnverifiedResponse) -> Result<AcceptedLogin, Rejection> {
        response.verify(&self.idp, &self.keys)?.accept(&self.request, &self.sp, timestamp())
    }

    /// # Errors
    /// It is no login.
    pub fn accept_xml(&self, xml: impl Into<Vec<u8>>) -> Result<AcceptedLogin, Rejection> {
        self.accept(&UnverifiedResponse::from_xml(xml.into())?)
    }
}

/// # Errors
/// The code of the refusal.
pub fn judge(setting: &Setting, message: &Message) -> Result<Login, &'static str> {
    let response = match message {
        Message::Xml(xml) => UnverifiedResponse::from_xml(xml.clone()),
        Message::Post { content_type, query, body } => AcsForm::parse(Some(content_type), query.as_deref(), body)
            .and_then(|form| UnverifiedResponse::from_form(&form)),
    };
    let login = response.and_then(|response| Strict::of(setting).accept(&response));
    login.map(|login| seen(&login)).map_err(|rejection| rejection.code())
}

pub fn seen(login: &AcceptedLogin) -> Login {
    let identity = login.identity();
    Login {
        email: identity.email.clone(),
        unique_id: identity.unique_id.clone(),
        groups: identity.groups.clone(),
        assertion_id: login.assertion_id().to_owned(),
        session_end: login.session_not_on_or_after().map(saml_core::Timestamp::unix_seconds),
    }
}
