//! How a message of ours leaves: in the query of a redirect, or in a form that the browser posts.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::signature::{Signer, SigningError};

/// The name under which a message travels by both bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parameter {
    SamlRequest,
    SamlResponse,
}

impl Parameter {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::SamlRequest => "SAMLRequest",
            Self::SamlResponse => "SAMLResponse",
        }
    }
}

/// The fields of a form that the browser posts to the IdP (SAML Bindings 2.0 §3.5.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostForm {
    pub action: String,
    /// `SAMLRequest` or `SAMLResponse`: the name of the field that holds the message.
    pub field: &'static str,
    pub message: String,
    pub relay_state: Option<String>,
}

pub(crate) fn post_form(action: &str, parameter: Parameter, xml: &str, relay_state: Option<&str>) -> PostForm {
    PostForm {
        action: action.to_owned(),
        field: parameter.name(),
        message: STANDARD.encode(xml),
        relay_state: relay_state.map(str::to_owned),
    }
}

/// The address to send the browser to by HTTP-Redirect (SAML Bindings 2.0 §3.4.4.1): DEFLATE, base64,
/// URL-encoding. A query that the address already has is kept.
pub(crate) fn redirect_url(address: &str, parameter: Parameter, xml: &str, relay_state: Option<&str>) -> String {
    with_query(address, &query(parameter, xml, relay_state))
}

/// As [`redirect_url`], with SigAlg and Signature. What is signed are the very octets that travel.
pub(crate) fn signed_redirect_url(
    address: &str,
    parameter: Parameter,
    xml: &str,
    relay_state: Option<&str>,
    signer: &Signer<'_>,
) -> Result<String, SigningError> {
    let mut query = form_urlencoded::Serializer::new(query(parameter, xml, relay_state));
    query.append_pair("SigAlg", signer.key.signature_method());
    let query = query.finish();
    let signature = STANDARD.encode(signer.sign(query.as_bytes())?);
    let signed = form_urlencoded::Serializer::new(query).append_pair("Signature", &signature).finish();
    Ok(with_query(address, &signed))
}

fn query(parameter: Parameter, xml: &str, relay_state: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair(parameter.name(), &STANDARD.encode(deflate(xml.as_bytes())));
    if let Some(relay_state) = relay_state {
        query.append_pair("RelayState", relay_state);
    }
    query.finish()
}

fn with_query(address: &str, query: &str) -> String {
    let separator = if address.contains('?') { '&' } else { '?' };
    format!("{address}{separator}{query}")
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::with_capacity(bytes.len()), Compression::default());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
