//! A logout message as a stranger sent it, and its verification.

use super::query::{MAX_MESSAGE_BYTES, MAX_RELAY_STATE_BYTES, SignedQuery, invalid};
use super::shape::{self, LogoutShape};
use super::verified::VerifiedLogout;
use crate::form::{MAX_FORM_BYTES, decode};
use crate::ids::SloUrl;
use crate::outgoing::Parameter;
use crate::rejection::{Rejection, shortened};
use crate::response::grammar::refused;
use crate::response::shape::check_ids;
use crate::response::signature::{self, Parent};
use crate::time::Timestamp;
use crate::trust::{ServiceProvider, TrustedIdp};
use crate::xml::{Comments, Document, Limits, XmlText, parse};

/// A LogoutRequest or LogoutResponse of which nothing is known. Nothing can be read from it.
#[derive(Debug)]
pub struct LogoutMessage(Carried);

#[derive(Debug)]
enum Carried {
    /// Not inflated before its signature holds.
    Redirect(SignedQuery),
    Post(Box<Posted>),
}

#[derive(Debug)]
struct Posted {
    parameter: Parameter,
    relay_state: Option<String>,
    document: Document,
    shape: LogoutShape,
}

impl LogoutMessage {
    /// A message by HTTP-Redirect. `query` is what stands behind the `?`, as it came: the signature is over
    /// these octets.
    ///
    /// # Errors
    /// Anything but the parameters of the binding, each once, with a signature.
    pub fn from_query(query: &[u8]) -> Result<Self, Rejection> {
        SignedQuery::parse(query).map(Carried::Redirect).map(Self)
    }

    /// A message by HTTP-POST.
    ///
    /// # Errors
    /// Another content type, a query beside it, anything but one message, or one outside the grammar.
    pub fn from_form(content_type: Option<&str>, query: Option<&str>, body: &[u8]) -> Result<Self, Rejection> {
        let (parameter, message, relay_state) = form(content_type, query, body)?;
        let compact: Vec<u8> = message.into_iter().filter(|byte| !matches!(byte, b'\r' | b'\n' | b' ')).collect();
        let xml = super::query::base64(&compact)?;
        let document = document(xml)?;
        let shape = shape::message(&document, parameter)?;
        if shape.signature.is_none() {
            return Err(Rejection::LogoutNotSigned);
        }
        Ok(Self(Carried::Post(Box::new(Posted { parameter, relay_state, document, shape }))))
    }

    /// Verifies the signature, with the keys of `idps` alone, and whether the message is for us, of this hour
    /// and from the IdP whose key signed it.
    ///
    /// # Errors
    /// The first condition that does not hold.
    pub fn verify(
        self,
        idps: &[&TrustedIdp],
        sp: &ServiceProvider,
        slo_url: &SloUrl,
        now: Timestamp,
    ) -> Result<VerifiedLogout, Rejection> {
        let (signers, document, shape, relay_state) = match self.0 {
            Carried::Redirect(query) => {
                let signers = query.signers(idps)?;
                let document = document(query.inflate()?)?;
                let shape = shape::message(&document, query.parameter)?;
                // SAML Bindings 2.0 §3.4.4.1: the message's own Signature is removed.
                if shape.signature.is_some() {
                    let problem = "by HTTP-Redirect the query is signed, and not the message";
                    return Err(refused(&document, Document::ROOT, problem));
                }
                (signers, document, shape, query.relay_state)
            }
            Carried::Post(posted) => {
                let idp = issued_by(&posted.shape, idps)?;
                let (document, shape) = posted.verified_by(idp)?;
                (vec![idp], document, shape, posted.relay_state)
            }
        };
        let idp = issued_by(&shape, &signers)?;
        VerifiedLogout::of(idp, &document, shape, relay_state, sp, slo_url, now)
    }
}

impl Posted {
    /// The message as its digested bytes say it.
    fn verified_by(&self, idp: &TrustedIdp) -> Result<(Document, LogoutShape), Rejection> {
        let signature = self.shape.signature.as_ref().ok_or(Rejection::LogoutNotSigned)?;
        let name = match self.parameter {
            Parameter::SamlRequest => "LogoutRequest",
            Parameter::SamlResponse => "LogoutResponse",
        };
        let parent = Parent { node: Document::ROOT, id: &self.shape.id, name };
        let signed = signature::verify(&self.document, &parent, signature, idp.certificates())?;
        let shape = shape::message(&signed.document, self.parameter)?;
        Ok((signed.document, shape))
    }
}

fn issued_by<'a>(shape: &LogoutShape, idps: &[&'a TrustedIdp]) -> Result<&'a TrustedIdp, Rejection> {
    let found = idps.iter().copied().find(|idp| idp.entity_id().as_str() == shape.issuer);
    found.ok_or_else(|| Rejection::LogoutIssuerMismatch { seen: shortened(&shape.issuer) })
}

fn document(xml: Vec<u8>) -> Result<Document, Rejection> {
    if xml.len() > MAX_MESSAGE_BYTES {
        return Err(Rejection::LogoutMessageTooLarge { limit: MAX_MESSAGE_BYTES });
    }
    let document = parse(XmlText::admit(xml)?, &Limits::RESPONSE, Comments::Refuse)?;
    check_ids(&[&document])?;
    Ok(document)
}

type Form = (Parameter, Vec<u8>, Option<String>);

/// As strict as the form of the ACS, for either of the two fields.
fn form(content_type: Option<&str>, query: Option<&str>, body: &[u8]) -> Result<Form, Rejection> {
    if body.len() > MAX_FORM_BYTES {
        return Err(Rejection::FormTooLarge { limit: MAX_FORM_BYTES });
    }
    let media_type = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        return Err(Rejection::FormContentType { seen: media_type.chars().take(100).collect() });
    }
    if query.is_some_and(|query| !query.is_empty()) {
        return Err(Rejection::FormQueryNotEmpty);
    }
    let (mut message, mut relay_state) = (None, None);
    for pair in body.split(|byte| *byte == b'&') {
        let end_of_name = memchr::memchr(b'=', pair).ok_or_else(|| invalid("one has no value"))?;
        let (name, value) = pair.split_at_checked(end_of_name).unwrap_or_default();
        let value = decode(value.strip_prefix(b"=").unwrap_or_default())?;
        let again = match decode(name)?.as_slice() {
            b"SAMLRequest" => message.replace((Parameter::SamlRequest, value)).is_some(),
            b"SAMLResponse" => message.replace((Parameter::SamlResponse, value)).is_some(),
            b"RelayState" => relay_state.replace(value).is_some(),
            _ => return Err(invalid("there is one that has no place")),
        };
        if again {
            return Err(invalid("one stands twice, or both messages do"));
        }
    }
    let (parameter, message) = message.ok_or_else(|| invalid("there is neither SAMLRequest nor SAMLResponse"))?;
    let relay_state = relay_state.map(String::from_utf8).transpose().map_err(|_| invalid("RelayState is not text"))?;
    if relay_state.as_ref().is_some_and(|relay_state| relay_state.len() > MAX_RELAY_STATE_BYTES) {
        return Err(invalid("RelayState is too long"));
    }
    Ok((parameter, message, relay_state))
}
