//! Makes and signs SAML responses as an IdP does, as plain functions: no server, and nothing of saml-core.
//!
//! A [`ResponseSpec`] says what the response contains; [`ResponseSpec::issue`] writes and signs it. The
//! values are written as given, right or wrong, so that a test can issue whatever a verifier must refuse.

mod encrypt;
mod key;
pub mod logout;
mod sign;
pub mod wrapping;
pub mod xml;

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use time::{Duration, OffsetDateTime};

pub use encrypt::{Change, ContentCipher, Encryption, KeyPlace, KeyTransport};
pub use key::{KeyKind, SigningKey, test_keys};
pub use sign::{Canonicalization, KeyInfo, verifies_enveloped};

use sign::Signer;
use xml::{Element, Namespace, Scope};

const SAMLP: Namespace = Namespace { prefix: "samlp", uri: "urn:oasis:names:tc:SAML:2.0:protocol" };
const SAML: Namespace = Namespace { prefix: "saml", uri: "urn:oasis:names:tc:SAML:2.0:assertion" };
const XSI: Namespace = Namespace { prefix: "xsi", uri: "http://www.w3.org/2001/XMLSchema-instance" };

const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";
const PASSWORD_PROTECTED: &str = "urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport";
const BASIC: &str = "urn:oasis:names:tc:SAML:2.0:attrname-format:basic";

pub const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
pub const RESPONDER: &str = "urn:oasis:names:tc:SAML:2.0:status:Responder";
pub const REQUEST_DENIED: &str = "urn:oasis:names:tc:SAML:2.0:status:RequestDenied";
/// JumpCloud's default NameID format: it does say 1.0.
pub const UNSPECIFIED_1_0: &str = "urn:oasis:names:tc:SAML:1.0:nameid-format:unspecified";

/// What JumpCloud calls "Sign": the two booleans signAssertion and signResponse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sign {
    Neither,
    /// JumpCloud's default.
    Assertion,
    Response,
    Both,
}

impl Sign {
    pub const ALL: [Self; 4] = [Self::Neither, Self::Assertion, Self::Response, Self::Both];

    fn assertion(self) -> bool {
        matches!(self, Self::Assertion | Self::Both)
    }

    fn response(self) -> bool {
        matches!(self, Self::Response | Self::Both)
    }
}

#[derive(Debug, Clone)]
pub struct Status {
    pub code: String,
    pub nested_code: Option<String>,
    pub message: Option<String>,
}

impl Status {
    pub fn success() -> Self {
        Self { code: SUCCESS.to_owned(), nested_code: None, message: None }
    }

    pub fn denied(message: &str) -> Self {
        Self {
            code: RESPONDER.to_owned(),
            nested_code: Some(REQUEST_DENIED.to_owned()),
            message: Some(message.to_owned()),
        }
    }

    fn is_success(&self) -> bool {
        self.code == SUCCESS
    }
}

/// Changes the final XML, after signing.
pub type Tamper = Box<dyn Fn(String) -> String + Send + Sync>;

/// What a response says. Every field may be changed before [`ResponseSpec::issue`].
pub struct ResponseSpec {
    /// Random where absent, and so for `assertion_id`.
    pub response_id: Option<String>,
    pub assertion_id: Option<String>,
    pub response_issuer: Option<String>,
    pub assertion_issuer: String,
    pub response_issue_instant: OffsetDateTime,
    pub assertion_issue_instant: OffsetDateTime,
    pub destination: Option<String>,
    /// InResponseTo of the Response.
    pub in_response_to: Option<String>,
    pub status: Status,

    pub name_id: Option<String>,
    pub name_id_format: Option<String>,
    pub name_qualifier: Option<String>,
    pub sp_name_qualifier: Option<String>,
    pub sp_provided_id: Option<String>,
    pub confirmation_method: String,
    pub recipient: Option<String>,
    /// InResponseTo of the SubjectConfirmationData.
    pub confirmation_in_response_to: Option<String>,
    pub confirmation_not_before: Option<OffsetDateTime>,
    pub confirmation_not_on_or_after: Option<OffsetDateTime>,

    /// One AudienceRestriction with these; none at all where empty.
    pub audiences: Vec<String>,
    pub conditions_not_before: Option<OffsetDateTime>,
    pub conditions_not_on_or_after: Option<OffsetDateTime>,

    pub authn_instant: OffsetDateTime,
    pub session_index: Option<String>,
    pub session_not_on_or_after: Option<OffsetDateTime>,

    /// One `saml:Attribute` for each entry, so a Name that is repeated here is repeated in the response.
    pub attributes: Vec<(String, Vec<String>)>,
    /// `xsi:type` of each AttributeValue, such as `xs:string`.
    pub value_type: Option<String>,
    /// Fills an attribute `padding` until the XML has this many bytes.
    pub padded_to: Option<usize>,

    /// After the Assertion is signed, before the Response is.
    pub encrypt: Option<Encryption>,
    pub sign: Sign,
    pub canonicalization: Canonicalization,
    pub key_info: KeyInfo,
    pub tamper: Option<Tamper>,
}

/// A response as it was issued. `assertion` and the signatures are parts of `xml` as it was before `tamper`.
#[derive(Debug, Clone)]
pub struct Issued {
    pub xml: String,
    pub response_id: String,
    pub assertion_id: String,
    /// The Assertion element with its Signature, if it has one; no part of `xml` where it is encrypted.
    pub assertion: Option<String>,
    pub encrypted_assertion: Option<String>,
    pub assertion_signature: Option<String>,
    pub response_signature: Option<String>,
}

impl Issued {
    /// As the form field `SAMLResponse` carries it.
    pub fn base64(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(&self.xml)
    }

    /// The body of the POST to the ACS, `application/x-www-form-urlencoded`.
    pub fn form_body(&self, relay_state: Option<&str>) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("SAMLResponse", &self.base64());
        if let Some(relay_state) = relay_state {
            form.append_pair("RelayState", relay_state);
        }
        form.finish()
    }
}

impl ResponseSpec {
    /// What JumpCloud would answer at `now` to the request `in_response_to`, or unsolicited without one:
    /// only the assertion is signed, and the user is `name_id` without any attribute.
    pub fn new(idp_entity_id: &str, sp_entity_id: &str, acs_url: &str, name_id: &str, now: OffsetDateTime) -> Self {
        let lifetime = Duration::minutes(5);
        Self {
            response_id: None,
            assertion_id: None,
            response_issuer: Some(idp_entity_id.to_owned()),
            assertion_issuer: idp_entity_id.to_owned(),
            response_issue_instant: now,
            assertion_issue_instant: now,
            destination: Some(acs_url.to_owned()),
            in_response_to: None,
            status: Status::success(),
            name_id: Some(name_id.to_owned()),
            name_id_format: Some(UNSPECIFIED_1_0.to_owned()),
            name_qualifier: None,
            sp_name_qualifier: None,
            sp_provided_id: None,
            confirmation_method: BEARER.to_owned(),
            recipient: Some(acs_url.to_owned()),
            confirmation_in_response_to: None,
            confirmation_not_before: None,
            confirmation_not_on_or_after: Some(now + lifetime),
            audiences: vec![sp_entity_id.to_owned()],
            conditions_not_before: Some(now),
            conditions_not_on_or_after: Some(now + lifetime),
            authn_instant: now,
            session_index: Some(random_id()),
            session_not_on_or_after: None,
            attributes: Vec::new(),
            value_type: None,
            padded_to: None,
            encrypt: None,
            sign: Sign::Assertion,
            canonicalization: Canonicalization::Exclusive,
            key_info: KeyInfo::Certificate,
            tamper: None,
        }
    }

    /// Sets InResponseTo in both places.
    pub fn in_response_to(mut self, request_id: &str) -> Self {
        self.in_response_to = Some(request_id.to_owned());
        self.confirmation_in_response_to = Some(request_id.to_owned());
        self
    }

    pub fn sign(mut self, sign: Sign) -> Self {
        self.sign = sign;
        self
    }

    pub fn encrypt(mut self, encryption: Encryption) -> Self {
        self.encrypt = Some(encryption);
        self
    }

    pub fn attribute(mut self, name: &str, values: &[&str]) -> Self {
        self.attributes.push((name.to_owned(), values.iter().map(|&value| value.to_owned()).collect()));
        self
    }

    /// The attribute statement that the gateway's default claims ask for.
    pub fn claims(self, email: &str, unique_id: &str, groups: &[&str]) -> Self {
        let with_person = self.attribute("email", &[email]).attribute("sub", &[unique_id]);
        if groups.is_empty() { with_person } else { with_person.attribute("memberOf", groups) }
    }

    pub fn tamper(mut self, tamper: impl Fn(String) -> String + Send + Sync + 'static) -> Self {
        self.tamper = Some(Box::new(tamper));
        self
    }

    pub fn issue(&self, key: &SigningKey) -> Issued {
        let response_id = self.response_id.clone().unwrap_or_else(random_id);
        let assertion_id = self.assertion_id.clone().unwrap_or_else(random_id);
        let writer = Writer {
            spec: self,
            signer: Signer { key, canonicalization: self.canonicalization, key_info: self.key_info },
            response_id: &response_id,
            assertion_id: &assertion_id,
        };
        let mut issued = match self.padded_to {
            None => writer.response(&[]),
            Some(size) => {
                let smallest = writer.response(&padding_values(Some(0))).xml.len();
                let missing = size.checked_sub(smallest);
                // Base64 makes four bytes of three, so the size is met within a few bytes only.
                let missing = if self.encrypt.is_some() { missing.map(|bytes| bytes / 4 * 3) } else { missing };
                writer.response(&padding_values(missing))
            }
        };
        if let Some(tamper) = &self.tamper {
            issued.xml = tamper(issued.xml);
        }
        issued
    }
}

/// Values of an attribute that together make a response `missing` bytes longer than one empty value does.
fn padding_values(missing: Option<usize>) -> Vec<String> {
    const VALUE: usize = 1024;
    const TAGS: usize = "<saml:AttributeValue></saml:AttributeValue>".len();
    let missing = missing.expect("padded_to is at least the size without padding");
    let mut values = vec!["p".repeat(missing % (VALUE + TAGS))];
    values.resize(1 + missing / (VALUE + TAGS), "p".repeat(VALUE));
    values
}

/// Writes one response; everything random is fixed, so that it can be written twice.
struct Writer<'a> {
    spec: &'a ResponseSpec,
    signer: Signer<'a>,
    response_id: &'a str,
    assertion_id: &'a str,
}

impl Writer<'_> {
    fn response(&self, padding: &[String]) -> Issued {
        let spec = self.spec;
        let unsigned = Element::new(SAMLP, "Response")
            .attribute("ID", self.response_id)
            .attribute("Version", "2.0")
            .attribute("IssueInstant", instant(spec.response_issue_instant))
            .optional_attribute("Destination", spec.destination.as_deref())
            .optional_attribute("InResponseTo", spec.in_response_to.as_deref());
        let scope = match &spec.encrypt {
            Some(_) => Scope::new(),
            None => unsigned.scope_for_children(&Scope::new()),
        };
        let (assertion, assertion_signature) = match spec.status.is_success() {
            true => {
                let (assertion, signature) = self.assertion(padding, &scope);
                (Some(assertion), signature)
            }
            false => (None, None),
        };
        let encrypted = spec.encrypt.as_ref().zip(assertion.as_ref()).map(|(how, assertion)| how.encrypt(assertion));
        let issuer = spec.response_issuer.as_deref().map(|name| Element::new(SAML, "Issuer").text(name));
        let place_of_signature = usize::from(issuer.is_some());
        let unsigned = unsigned
            .children(issuer)
            .child(status(&spec.status))
            .children(encrypted.clone().or_else(|| assertion.clone()));

        let signature = spec.sign.response().then(|| self.signer.signature(&unsigned, self.response_id, &Scope::new()));
        let response = match &signature {
            Some(signature) => unsigned.with_child_at(place_of_signature, signature.clone()),
            None => unsigned,
        };
        Issued {
            xml: response.exclusive(),
            response_id: self.response_id.to_owned(),
            assertion_id: self.assertion_id.to_owned(),
            assertion: assertion.map(|assertion| assertion.exclusive()),
            encrypted_assertion: encrypted.map(|encrypted| encrypted.exclusive()),
            assertion_signature: assertion_signature.map(|signature| signature.exclusive()),
            response_signature: signature.map(|signature| signature.exclusive()),
        }
    }

    fn assertion(&self, padding: &[String], scope: &Scope) -> (Element, Option<Element>) {
        let spec = self.spec;
        let unsigned = Element::new(SAML, "Assertion")
            .attribute("ID", self.assertion_id)
            .attribute("Version", "2.0")
            .attribute("IssueInstant", instant(spec.assertion_issue_instant))
            .child(Element::new(SAML, "Issuer").text(&spec.assertion_issuer))
            .child(subject(spec))
            .child(conditions(spec))
            .child(authn_statement(spec))
            .children(attribute_statement(spec, padding));
        if !spec.sign.assertion() {
            return (unsigned, None);
        }
        let signature = self.signer.signature(&unsigned, self.assertion_id, scope);
        (unsigned.with_child_at(1, signature.clone()), Some(signature))
    }
}

fn status(status: &Status) -> Element {
    let nested = status.nested_code.as_deref().map(|code| Element::new(SAMLP, "StatusCode").attribute("Value", code));
    let message = status.message.as_deref().map(|message| Element::new(SAMLP, "StatusMessage").text(message));
    Element::new(SAMLP, "Status")
        .child(Element::new(SAMLP, "StatusCode").attribute("Value", &status.code).children(nested))
        .children(message)
}

fn subject(spec: &ResponseSpec) -> Element {
    let name_id = spec.name_id.as_deref().map(|name_id| {
        Element::new(SAML, "NameID")
            .optional_attribute("Format", spec.name_id_format.as_deref())
            .optional_attribute("NameQualifier", spec.name_qualifier.as_deref())
            .optional_attribute("SPNameQualifier", spec.sp_name_qualifier.as_deref())
            .optional_attribute("SPProvidedID", spec.sp_provided_id.as_deref())
            .text(name_id)
    });
    let data = Element::new(SAML, "SubjectConfirmationData")
        .optional_attribute("InResponseTo", spec.confirmation_in_response_to.as_deref())
        .optional_attribute("NotBefore", spec.confirmation_not_before.map(instant))
        .optional_attribute("NotOnOrAfter", spec.confirmation_not_on_or_after.map(instant))
        .optional_attribute("Recipient", spec.recipient.as_deref());
    let confirmation =
        Element::new(SAML, "SubjectConfirmation").attribute("Method", &spec.confirmation_method).child(data);
    Element::new(SAML, "Subject").children(name_id).child(confirmation)
}

fn conditions(spec: &ResponseSpec) -> Element {
    let audiences = spec.audiences.iter().map(|audience| Element::new(SAML, "Audience").text(audience));
    let restriction =
        (!spec.audiences.is_empty()).then(|| Element::new(SAML, "AudienceRestriction").children(audiences));
    Element::new(SAML, "Conditions")
        .optional_attribute("NotBefore", spec.conditions_not_before.map(instant))
        .optional_attribute("NotOnOrAfter", spec.conditions_not_on_or_after.map(instant))
        .children(restriction)
}

fn authn_statement(spec: &ResponseSpec) -> Element {
    let class = Element::new(SAML, "AuthnContextClassRef").text(PASSWORD_PROTECTED);
    Element::new(SAML, "AuthnStatement")
        .attribute("AuthnInstant", instant(spec.authn_instant))
        .optional_attribute("SessionIndex", spec.session_index.as_deref())
        .optional_attribute("SessionNotOnOrAfter", spec.session_not_on_or_after.map(instant))
        .child(Element::new(SAML, "AuthnContext").child(class))
}

fn attribute_statement(spec: &ResponseSpec, padding: &[String]) -> Option<Element> {
    let padding = (!padding.is_empty()).then(|| attribute("padding", padding, None));
    let attributes: Vec<_> = spec
        .attributes
        .iter()
        .map(|(name, values)| attribute(name, values, spec.value_type.as_deref()))
        .chain(padding)
        .collect();
    (!attributes.is_empty()).then(|| Element::new(SAML, "AttributeStatement").children(attributes))
}

fn attribute(name: &str, values: &[String], value_type: Option<&str>) -> Element {
    let values = values.iter().map(|value| {
        let element = Element::new(SAML, "AttributeValue").text(value);
        match value_type {
            Some(value_type) => element.qualified_attribute(XSI, "type", value_type),
            None => element,
        }
    });
    Element::new(SAML, "Attribute").attribute("Name", name).attribute("NameFormat", BASIC).children(values)
}

/// SAML Core 2.0 §1.3.3: UTC, in the lexical form of xs:dateTime.
fn instant(time: OffsetDateTime) -> String {
    let utc = time.to_offset(time::UtcOffset::UTC);
    let (hour, minute, second, milli) = (utc.hour(), utc.minute(), utc.second(), utc.millisecond());
    format!("{}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", utc.date())
}

/// 160 random bits as an NCName.
pub fn random_id() -> String {
    format!("_{}", random_hex(20))
}

/// `bytes` random bytes in lower-case hex.
pub fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    SystemRandom::new().fill(&mut random).expect("the system has randomness");
    random.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
