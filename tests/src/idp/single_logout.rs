//! The IdP's single logout: takes logout messages, answers them, and begins logouts.

use axum::body::Bytes;
use axum::extract::RawQuery;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use time::OffsetDateTime;

use super::authn_request::{Binding, inflate, is_query_signed};
use super::server::{Form, Idp, Shared, form, session_cookie, value};
use super::settings::{IdpSettings, LogoutAnswer, User};
use super::{lock, pages};
use crate::issuer::logout::{LogoutBody, LogoutSpec, PARTIAL_LOGOUT};
use crate::issuer::xml::{Element, Namespace};
use crate::issuer::{SigningKey, random_id, test_keys, verifies_enveloped};

const SAMLP: Namespace = Namespace { prefix: "samlp", uri: "urn:oasis:names:tc:SAML:2.0:protocol" };
const SAML: Namespace = Namespace { prefix: "saml", uri: "urn:oasis:names:tc:SAML:2.0:assertion" };
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";

/// A logout message of the service provider, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoutMessage {
    pub binding: Binding,
    /// `LogoutRequest` or `LogoutResponse`.
    pub name: String,
    pub id: String,
    pub destination: Option<String>,
    pub in_response_to: Option<String>,
    pub name_id: Option<String>,
    pub session_indexes: Vec<String>,
    /// Outermost first.
    pub status: Vec<String>,
    pub relay_state: Option<String>,
    pub xml: String,
    query: Option<String>,
}

impl LogoutMessage {
    /// Whether this key signed it: the query by Redirect, the message by POST.
    pub fn is_signed_by(&self, key: &SigningKey) -> bool {
        match &self.query {
            Some(query) => is_query_signed(query, key),
            None => {
                let document = roxmltree::Document::parse(&self.xml).expect("it was read before");
                verifies_enveloped(&self.xml, &unsigned(document.root_element()), &self.id, key)
            }
        }
    }

    fn read(parameters: &Form, query: Option<String>) -> Option<Self> {
        let message = value(parameters, "SAMLRequest").or_else(|| value(parameters, "SAMLResponse"))?;
        let bytes = STANDARD.decode(message).ok()?;
        let xml = if query.is_some() { inflate(&bytes).ok()? } else { String::from_utf8(bytes).ok()? };
        let document = roxmltree::Document::parse(&xml).ok()?;
        let root = document.root_element();
        let texts = |name: &str| {
            let found = root.children().filter(|child| child.tag_name().name() == name);
            found.filter_map(|child| child.text()).map(str::to_owned).collect::<Vec<_>>()
        };
        let codes = root.descendants().filter(|node| node.tag_name().name() == "StatusCode");
        Some(Self {
            binding: if query.is_some() { Binding::Redirect } else { Binding::Post },
            name: root.tag_name().name().to_owned(),
            id: root.attribute("ID")?.to_owned(),
            destination: root.attribute("Destination").map(str::to_owned),
            in_response_to: root.attribute("InResponseTo").map(str::to_owned),
            name_id: texts("NameID").pop(),
            session_indexes: texts("SessionIndex"),
            status: codes.filter_map(|code| code.attribute("Value")).map(str::to_owned).collect(),
            relay_state: value(parameters, "RelayState").map(str::to_owned),
            query,
            xml: xml.clone(),
        })
    }
}

/// The message without its signature, written anew.
fn unsigned(node: roxmltree::Node<'_, '_>) -> Element {
    const NAMES: [&str; 7] =
        ["LogoutRequest", "LogoutResponse", "Issuer", "NameID", "SessionIndex", "Status", "StatusCode"];
    const ATTRIBUTES: [&str; 11] = [
        "ID",
        "Version",
        "IssueInstant",
        "Destination",
        "InResponseTo",
        "NotOnOrAfter",
        "Format",
        "NameQualifier",
        "SPNameQualifier",
        "SPProvidedID",
        "Value",
    ];
    let name = NAMES.into_iter().find(|name| *name == node.tag_name().name()).unwrap_or("Unknown");
    let namespace = if node.tag_name().namespace() == Some(SAML.uri) { SAML } else { SAMLP };
    let element = ATTRIBUTES
        .into_iter()
        .fold(Element::new(namespace, name), |element, name| element.optional_attribute(name, node.attribute(name)));
    let children = node.children().filter(|child| child.is_element() && child.tag_name().name() != "Signature");
    let element = element.children(children.map(unsigned));
    match node.text() {
        Some(text) => element.text(text),
        None => element,
    }
}

pub(super) fn request_for(settings: &IdpSettings, user: &User, now: OffsetDateTime) -> LogoutSpec {
    let name_id = user.property(&settings.subject_field).unwrap_or_default();
    LogoutSpec::request(&settings.idp_entity_id, &settings.single_logout.sp_slo_url, name_id, now)
}

pub(super) async fn by_redirect(idp: Idp, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    take(&idp, &form(query.as_bytes()), Some(query), &headers)
}

pub(super) async fn by_post(idp: Idp, headers: HeaderMap, body: Bytes) -> Response {
    take(&idp, &form(&body), None, &headers)
}

fn take(idp: &Shared, parameters: &Form, query: Option<String>, headers: &HeaderMap) -> Response {
    let Some(message) = LogoutMessage::read(parameters, query) else {
        return pages::problem(StatusCode::BAD_REQUEST, "The logout message cannot be read", "");
    };
    lock(&idp.logout_messages).push(message.clone());
    end_session(idp, headers);
    if message.name == "LogoutResponse" {
        return pages::signed_out();
    }
    answer(idp, &message)
}

fn end_session(idp: &Shared, headers: &HeaderMap) {
    if let Some(session) = session_cookie(headers) {
        lock(&idp.sessions).remove(&session);
    }
}

fn answer(idp: &Shared, request: &LogoutMessage) -> Response {
    let settings = idp.settings();
    let (entity_id, slo_url) = (&settings.idp_entity_id, &settings.single_logout.sp_slo_url);
    let mut spec = LogoutSpec::response(entity_id, slo_url, &request.id, OffsetDateTime::now_utc());
    let LogoutBody::Response { in_response_to, status } = &mut spec.body else { unreachable!("it is a response") };
    match settings.single_logout.answer {
        LogoutAnswer::Silence => return pages::signed_out(),
        LogoutAnswer::Partial => *status = vec![SUCCESS, PARTIAL_LOGOUT],
        LogoutAnswer::Denied => *status = vec![RESPONDER],
        LogoutAnswer::ToAnotherRequest => *in_response_to = Some(random_id()),
        LogoutAnswer::Success | LogoutAnswer::Unsigned | LogoutAnswer::SignedByStranger => {}
    }
    send(idp, &settings, &spec, request.relay_state.as_deref())
}

/// Sends the browser to the service provider with a LogoutRequest for who is signed in.
pub(super) async fn begin(idp: Idp, headers: HeaderMap) -> Response {
    let settings = idp.settings();
    let Some(user) = idp.signed_in(&headers) else {
        return pages::problem(StatusCode::FORBIDDEN, "Nobody is signed in here", "");
    };
    send(&idp, &settings, &request_for(&settings, user, OffsetDateTime::now_utc()), Some("idp-relay-state"))
}

fn send(idp: &Shared, settings: &IdpSettings, spec: &LogoutSpec, relay_state: Option<&str>) -> Response {
    let own = lock(&idp.signs_with).clone();
    let answer = settings.single_logout.answer;
    let key = if answer == LogoutAnswer::SignedByStranger { test_keys::stranger() } else { &own };
    let slo_url = &settings.single_logout.sp_slo_url;
    if settings.single_logout.by_post {
        let xml = if answer == LogoutAnswer::Unsigned { spec.unsigned() } else { spec.signed(key) };
        return pages::post_message(slo_url, spec.parameter(), &STANDARD.encode(xml), relay_state);
    }
    let mut query = spec.query(relay_state, key);
    if answer == LogoutAnswer::Unsigned {
        query.parameters.retain(|(name, _)| !matches!(*name, "SigAlg" | "Signature"));
    }
    Redirect::to(&format!("{slo_url}?{}", query.text())).into_response()
}
