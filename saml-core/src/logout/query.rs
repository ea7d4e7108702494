//! The query of a signed HTTP-Redirect message (SAML Bindings 2.0 §3.4.4.1), held as the octets that came.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::{Decompress, FlushDecompress, Status};

use crate::form::decode;
use crate::outgoing::Parameter;
use crate::rejection::Rejection;
use crate::response::signature_shape::signature_method;
use crate::trust::TrustedIdp;

const MAX_QUERY_BYTES: usize = 64 * 1024;

/// The largest message that is inflated.
pub(super) const MAX_MESSAGE_BYTES: usize = 64 * 1024;

/// SAML Bindings 2.0 §3.4.3 has 80 bytes; there are IdPs that send more.
pub(super) const MAX_RELAY_STATE_BYTES: usize = 1024;

/// Each parameter at most once, its value as it came.
#[derive(Debug)]
pub(super) struct SignedQuery {
    pub(super) parameter: Parameter,
    message: Vec<u8>,
    pub(super) relay_state: Option<String>,
    sig_alg: String,
    signature: Vec<u8>,
    /// The octets that the signature covers.
    signed: Vec<u8>,
}

impl SignedQuery {
    /// Names are compared as they came, so that no escape makes a second one of the same meaning.
    ///
    /// # Errors
    /// A parameter twice, one that has no place, or one missing.
    pub(super) fn parse(query: &[u8]) -> Result<Self, Rejection> {
        if query.len() > MAX_QUERY_BYTES {
            return Err(Rejection::LogoutMessageTooLarge { limit: MAX_QUERY_BYTES });
        }
        let (mut request, mut response, mut relay_state, mut sig_alg, mut signature) = (None, None, None, None, None);
        for pair in query.split(|byte| *byte == b'&') {
            let end_of_name = memchr::memchr(b'=', pair).ok_or_else(|| invalid("one has no value"))?;
            let (name, value) = pair.split_at_checked(end_of_name).unwrap_or_default();
            let slot = match name {
                b"SAMLRequest" => &mut request,
                b"SAMLResponse" => &mut response,
                b"RelayState" => &mut relay_state,
                b"SigAlg" => &mut sig_alg,
                b"Signature" => &mut signature,
                _ => return Err(invalid("there is one that has no place")),
            };
            if slot.replace(value.strip_prefix(b"=").unwrap_or_default()).is_some() {
                return Err(invalid("one stands twice"));
            }
        }
        let (parameter, message) = match (request, response) {
            (Some(message), None) => (Parameter::SamlRequest, message),
            (None, Some(message)) => (Parameter::SamlResponse, message),
            (None, None) => return Err(invalid("there is neither SAMLRequest nor SAMLResponse")),
            (Some(_), Some(_)) => return Err(invalid("there are both SAMLRequest and SAMLResponse")),
        };
        let (Some(sig_alg), Some(signature)) = (sig_alg, signature) else { return Err(Rejection::LogoutNotSigned) };
        Ok(Self {
            parameter,
            message: decode(message)?,
            relay_state: relay_state.map(self::relay_state).transpose()?,
            sig_alg: String::from_utf8(decode(sig_alg)?).map_err(|_| invalid("SigAlg is not text"))?,
            signature: base64(&decode(signature)?)?,
            signed: signed_octets(parameter, message, relay_state, sig_alg),
        })
    }

    /// The IdPs of which a pinned key made the signature. Usually one; with shared keys the Issuer decides.
    ///
    /// # Errors
    /// An algorithm that is not listed, or no such IdP.
    pub(super) fn signers<'a>(&self, idps: &[&'a TrustedIdp]) -> Result<Vec<&'a TrustedIdp>, Rejection> {
        let (family, hash) = signature_method(&self.sig_alg)?;
        let signed_by = |idp: &&TrustedIdp| {
            idp.certificates().iter().any(|certificate| {
                let key = certificate.key();
                key.family() == family && key.verifies(hash, &self.signed, &self.signature)
            })
        };
        let signers: Vec<&TrustedIdp> = idps.iter().copied().filter(signed_by).collect();
        if signers.is_empty() { Err(Rejection::LogoutSignatureInvalid) } else { Ok(signers) }
    }

    /// The message's XML. To be asked for only once the signature holds.
    pub(super) fn inflate(&self) -> Result<Vec<u8>, Rejection> {
        inflate(&base64(&self.message)?)
    }
}

/// The order is the standard's, whatever order the parameters came in; the values are the octets that came.
fn signed_octets(parameter: Parameter, message: &[u8], relay_state: Option<&[u8]>, sig_alg: &[u8]) -> Vec<u8> {
    let mut signed = [parameter.name().as_bytes(), b"=", message].concat();
    for (name, value) in [(&b"&RelayState="[..], relay_state), (b"&SigAlg=", Some(sig_alg))] {
        if let Some(value) = value {
            signed.extend_from_slice(name);
            signed.extend_from_slice(value);
        }
    }
    signed
}

fn relay_state(value: &[u8]) -> Result<String, Rejection> {
    let value = String::from_utf8(decode(value)?).map_err(|_| invalid("RelayState is not text"))?;
    if value.len() > MAX_RELAY_STATE_BYTES { Err(invalid("RelayState is too long")) } else { Ok(value) }
}

/// The standard alphabet and canonical padding, and nothing between.
pub(super) fn base64(text: &[u8]) -> Result<Vec<u8>, Rejection> {
    STANDARD.decode(text).map_err(|_| invalid("one is not canonical base64"))
}

/// RFC 1951, to the end and not beyond. What is written is bounded before it is written.
fn inflate(deflated: &[u8]) -> Result<Vec<u8>, Rejection> {
    let mut inflated = Vec::with_capacity(MAX_MESSAGE_BYTES);
    let mut stream = Decompress::new(false);
    let status = stream
        .decompress_vec(deflated, &mut inflated, FlushDecompress::Finish)
        .map_err(|_| Rejection::LogoutDeflateInvalid)?;
    match status {
        Status::StreamEnd if stream.total_in() == deflated.len() as u64 => Ok(inflated),
        Status::Ok | Status::BufError if inflated.len() == inflated.capacity() => {
            Err(Rejection::LogoutMessageTooLarge { limit: MAX_MESSAGE_BYTES })
        }
        _ => Err(Rejection::LogoutDeflateInvalid),
    }
}

pub(super) fn invalid(problem: &'static str) -> Rejection {
    Rejection::LogoutParametersInvalid { problem }
}
