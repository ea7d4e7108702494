//! Logout messages as an IdP writes and signs them, right or wrong, by both bindings.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

use super::sign::{Canonicalization, KeyInfo, Signer};
use super::xml::{Element, Scope};
use super::{SAML, SAMLP, SUCCESS, SigningKey, instant, random_id};

pub const PARTIAL_LOGOUT: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

/// What a logout message says. Every field may be changed before it is issued.
#[derive(Debug, Clone)]
pub struct LogoutSpec {
    pub id: String,
    pub issuer: String,
    pub destination: Option<String>,
    pub issue_instant: OffsetDateTime,
    pub body: LogoutBody,
}

#[derive(Debug, Clone)]
pub enum LogoutBody {
    Request {
        name_id: String,
        name_qualifier: Option<String>,
        sp_name_qualifier: Option<String>,
        format: Option<String>,
        session_indexes: Vec<String>,
        not_on_or_after: Option<OffsetDateTime>,
        reason: Option<String>,
    },
    Response {
        in_response_to: Option<String>,
        /// Outermost first.
        status: Vec<&'static str>,
    },
}

/// The parameters of a signed redirect, as they stand in the query.
#[derive(Debug, Clone)]
pub struct Query {
    pub parameters: Vec<(&'static str, String)>,
}

impl LogoutSpec {
    pub fn request(idp_entity_id: &str, slo_url: &str, name_id: &str, now: OffsetDateTime) -> Self {
        let body = LogoutBody::Request {
            name_id: name_id.to_owned(),
            name_qualifier: None,
            sp_name_qualifier: None,
            format: None,
            session_indexes: Vec::new(),
            not_on_or_after: None,
            reason: None,
        };
        Self::of(idp_entity_id, slo_url, now, body)
    }

    pub fn response(idp_entity_id: &str, slo_url: &str, in_response_to: &str, now: OffsetDateTime) -> Self {
        let body = LogoutBody::Response { in_response_to: Some(in_response_to.to_owned()), status: vec![SUCCESS] };
        Self::of(idp_entity_id, slo_url, now, body)
    }

    fn of(idp_entity_id: &str, slo_url: &str, now: OffsetDateTime, body: LogoutBody) -> Self {
        Self {
            id: random_id(),
            issuer: idp_entity_id.to_owned(),
            destination: Some(slo_url.to_owned()),
            issue_instant: now,
            body,
        }
    }

    /// `SAMLRequest` or `SAMLResponse`.
    pub fn parameter(&self) -> &'static str {
        match self.body {
            LogoutBody::Request { .. } => "SAMLRequest",
            LogoutBody::Response { .. } => "SAMLResponse",
        }
    }

    pub fn unsigned(&self) -> String {
        self.element().exclusive()
    }

    /// With an enveloped signature, as HTTP-POST carries it.
    pub fn signed(&self, key: &SigningKey) -> String {
        let element = self.element();
        let signer = Signer { key, canonicalization: Canonicalization::Exclusive, key_info: KeyInfo::Certificate };
        let signature = signer.signature(&element, &self.id, &Scope::new());
        element.with_child_at(1, signature).exclusive()
    }

    /// As HTTP-Redirect carries it.
    pub fn query(&self, relay_state: Option<&str>, key: &SigningKey) -> Query {
        Query::signed(self.parameter(), self.unsigned().as_bytes(), relay_state, key)
    }

    fn element(&self) -> Element {
        let name = match self.body {
            LogoutBody::Request { .. } => "LogoutRequest",
            LogoutBody::Response { .. } => "LogoutResponse",
        };
        let root = Element::new(SAMLP, name)
            .attribute("ID", &self.id)
            .attribute("Version", "2.0")
            .attribute("IssueInstant", instant(self.issue_instant))
            .optional_attribute("Destination", self.destination.as_deref());
        let issuer = Element::new(SAML, "Issuer").text(&self.issuer);
        match &self.body {
            LogoutBody::Request {
                name_id,
                name_qualifier,
                sp_name_qualifier,
                format,
                session_indexes,
                not_on_or_after,
                reason,
            } => {
                let name_id = Element::new(SAML, "NameID")
                    .optional_attribute("Format", format.as_deref())
                    .optional_attribute("NameQualifier", name_qualifier.as_deref())
                    .optional_attribute("SPNameQualifier", sp_name_qualifier.as_deref())
                    .text(name_id);
                root.optional_attribute("NotOnOrAfter", not_on_or_after.map(instant))
                    .optional_attribute("Reason", reason.as_deref())
                    .child(issuer)
                    .child(name_id)
                    .children(session_indexes.iter().map(|index| Element::new(SAMLP, "SessionIndex").text(index)))
            }
            LogoutBody::Response { in_response_to, status } => {
                let code = |inner: Option<Element>, value: &&str| {
                    let code = Element::new(SAMLP, "StatusCode").attribute("Value", *value);
                    Some(code.children(inner))
                };
                root.optional_attribute("InResponseTo", in_response_to.as_deref())
                    .child(issuer)
                    .child(Element::new(SAMLP, "Status").children(status.iter().rev().fold(None, code)))
            }
        }
    }
}

impl Query {
    /// Any message under any name, signed as HTTP-Redirect has it.
    pub fn signed(parameter: &'static str, xml: &[u8], relay_state: Option<&str>, key: &SigningKey) -> Self {
        Self::signed_raw(parameter, &STANDARD.encode(deflate(xml)), relay_state, key)
    }

    /// As [`Query::signed`], of what stands in place of the base64.
    pub fn signed_raw(parameter: &'static str, message: &str, relay_state: Option<&str>, key: &SigningKey) -> Self {
        let mut parameters = vec![(parameter, escape(message))];
        parameters.extend(relay_state.map(|relay_state| ("RelayState", escape(relay_state))));
        parameters.push(("SigAlg", escape(key.signature_algorithm())));
        let mut query = Self { parameters };
        let signature = STANDARD.encode(key.sign(query.text().as_bytes()));
        query.parameters.push(("Signature", escape(&signature)));
        query
    }

    pub fn text(&self) -> String {
        let pairs: Vec<String> = self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        pairs.join("&")
    }
}

pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("a Vec takes everything");
    encoder.finish().expect("a Vec takes everything")
}

fn escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
