//! A second verifier for what the first has accepted: samael, on libxml2 and xmlsec, which share no code with ours.
//!
//! It is shown nothing else, and it is given only the certificates that verified. The limits on age and skew are
//! ours, a little wider, for it reads the clock by itself and later; which request is answered, ours has
//! checked with the pending login. What counts is that it verifies and reads the same person.
//!
//! One difference is none: samael's reader cuts the white space around a value, so both are compared without it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use samael::crypto::AllowedSignatureAlgorithm;
use samael::key_info::{KeyInfo, X509Data};
use samael::metadata::{EntityDescriptor, IdpSsoDescriptor, KeyDescriptor};
use samael::schema::Assertion;
use samael::service_provider::{ServiceProvider, ServiceProviderBuilder};
use saml_core::{AcceptedLogin, AcsForm, Certificate, TrustedIdp};

/// What the second verifier may take for true.
#[derive(Debug, Clone)]
pub struct Terms<'a> {
    pub idp_entity_id: &'a str,
    pub sp_entity_id: &'a str,
    pub acs_url: &'a str,
    /// How old a Response and an Assertion may be.
    pub max_age: Duration,
    pub skew: Duration,
}

/// Why the two verifiers do not agree. No value stands in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    #[error("no certificate is left that verified the response")]
    NoKey,
    #[error("the second verifier cannot be set up: {problem}")]
    Setup { problem: String },
    #[error("the second verifier refuses the response: {problem}")]
    Refused { problem: String },
    #[error("the second verifier reads another NameID")]
    NameId,
    #[error("the second verifier reads {read} attribute values where ours reads {ours}")]
    Count { ours: usize, read: usize },
    #[error("the second verifier reads attribute value {number} differently, of {name:?}")]
    Value { number: usize, name: String },
}

/// Who somebody is, as far as both verifiers can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub name_id: Option<String>,
    /// Each value with its Name, in order.
    pub attributes: Vec<(String, String)>,
}

impl Reading {
    pub fn of(login: &AcceptedLogin) -> Self {
        let name_id = login.identity().name_id.as_ref();
        Self::trimmed(name_id.map(|name_id| name_id.value.as_str()), login.attribute_values())
    }

    fn of_samael(assertion: &Assertion) -> Self {
        let name_id = assertion.subject.as_ref().and_then(|subject| subject.name_id.as_ref());
        let attributes = assertion.attribute_statements.iter().flatten().flat_map(|statement| &statement.attributes);
        let values = attributes.flat_map(|attribute| {
            let name = attribute.name.as_deref().unwrap_or_default();
            attribute.values.iter().filter_map(move |value| Some((name, value.value.as_deref()?)))
        });
        Self::trimmed(name_id.map(|name_id| name_id.value.as_str()), values)
    }

    /// Without white space around values, and without values that are empty then.
    fn trimmed<'a>(name_id: Option<&str>, attributes: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let trim = |text: &str| text.trim_matches([' ', '\t', '\r', '\n']).to_owned();
        let attributes = attributes.map(|(name, value)| (name.to_owned(), trim(value)));
        Self {
            name_id: name_id.map(trim).filter(|name_id| !name_id.is_empty()),
            attributes: attributes.filter(|(_, value)| !value.is_empty()).collect(),
        }
    }

    /// # Errors
    /// The first thing in which `second` differs.
    pub fn compare(&self, second: &Self) -> Result<(), Difference> {
        if self.name_id != second.name_id {
            return Err(Difference::NameId);
        }
        let pairs = self.attributes.iter().zip(&second.attributes);
        if let Some((number, (ours, _))) = pairs.enumerate().find(|(_, (ours, read))| ours != read) {
            return Err(Difference::Value { number: number + 1, name: ours.0.clone() });
        }
        match (self.attributes.len(), second.attributes.len()) {
            (ours, read) if ours != read => Err(Difference::Count { ours, read }),
            _ => Ok(()),
        }
    }
}

/// How old saml-core lets an Assertion be, besides the skew.
const MAX_AGE: Duration = Duration::from_secs(600);

/// Between our reading of the clock and samael's the store was asked twice.
const SLACK: Duration = Duration::from_secs(60);

/// Has the second verifier judge what `login` was read from. `idp` is who was trusted when ours accepted it.
///
/// # Errors
/// They do not agree.
pub fn of_login(
    login: &AcceptedLogin,
    form: &AcsForm,
    idp: &TrustedIdp,
    sp: &saml_core::ServiceProvider,
) -> Result<(), Difference> {
    let refused = |problem: &dyn std::fmt::Display| Difference::Refused { problem: problem.to_string() };
    let xml = form.decoded().map_err(|rejection| refused(&rejection))?;
    let skew = Duration::from_secs(sp.skew_seconds.into()) + SLACK;
    let terms = Terms {
        idp_entity_id: idp.entity_id().as_str(),
        sp_entity_id: sp.entity_id.as_str(),
        acs_url: sp.acs_url.as_str(),
        max_age: MAX_AGE + skew,
        skew,
    };
    confirm(login, idp.certificates(), &xml, &terms)
}

/// Has the second verifier judge `xml`, the bytes that ours took `login` from.
///
/// # Errors
/// They do not agree.
pub fn confirm(login: &AcceptedLogin, pinned: &[Certificate], xml: &[u8], terms: &Terms<'_>) -> Result<(), Difference> {
    let verified = login.verified_with();
    let certificates: Option<Vec<&Certificate>> = verified
        .map(|fingerprint| pinned.iter().find(|certificate| certificate.fingerprint() == fingerprint))
        .collect();
    let certificates: Vec<&[u8]> = certificates.iter().flatten().map(|certificate| certificate.der()).collect();
    Reading::of(login).compare(&read(xml, &certificates, terms)?)
}

/// What the second verifier reads, trusting `certificates` (DER) alone.
///
/// # Errors
/// It refuses `xml`; or there is no certificate, for without one samael verifies nothing and accepts.
pub fn read(xml: &[u8], certificates: &[&[u8]], terms: &Terms<'_>) -> Result<Reading, Difference> {
    if certificates.is_empty() {
        return Err(Difference::NoKey);
    }
    let refused = |problem: &dyn std::fmt::Display| Difference::Refused { problem: problem.to_string() };
    let text = std::str::from_utf8(xml).map_err(|error| refused(&error))?;
    let samael = samael(certificates, terms)?;
    let assertion = samael.parse_xml_response(text, None).map_err(|error| refused(&error))?;
    Ok(Reading::of_samael(&assertion))
}

fn samael(certificates: &[&[u8]], terms: &Terms<'_>) -> Result<ServiceProvider, Difference> {
    let setup = |problem: &dyn std::fmt::Display| Difference::Setup { problem: problem.to_string() };
    let duration = |duration| chrono::Duration::from_std(duration).map_err(|error| setup(&error));
    ServiceProviderBuilder::default()
        .entity_id(terms.sp_entity_id.to_owned())
        .acs_url(terms.acs_url.to_owned())
        .idp_metadata(metadata(certificates, terms.idp_entity_id))
        // Ours has compared InResponseTo; samael asks for it in places where ours knows it from others.
        .allow_idp_initiated(true)
        .max_issue_delay(duration(terms.max_age)?)
        .max_clock_skew(duration(terms.skew)?)
        .allowed_signature_algorithms(ALGORITHMS.to_vec())
        .build()
        .map_err(|error| setup(&error))
}

const ALGORITHMS: [AllowedSignatureAlgorithm; 6] = [
    AllowedSignatureAlgorithm::RsaSha256,
    AllowedSignatureAlgorithm::RsaSha384,
    AllowedSignatureAlgorithm::RsaSha512,
    AllowedSignatureAlgorithm::EcdsaSha256,
    AllowedSignatureAlgorithm::EcdsaSha384,
    AllowedSignatureAlgorithm::EcdsaSha512,
];

fn metadata(certificates: &[&[u8]], entity_id: &str) -> EntityDescriptor {
    let signing = |der: &&[u8]| KeyDescriptor {
        key_use: Some("signing".to_owned()),
        key_info: KeyInfo { id: None, x509_data: Some(X509Data { certificates: vec![STANDARD.encode(der)] }) },
        encryption_methods: None,
    };
    let idp = IdpSsoDescriptor {
        id: None,
        valid_until: None,
        cache_duration: None,
        protocol_support_enumeration: None,
        error_url: None,
        signature: None,
        key_descriptors: certificates.iter().map(signing).collect(),
        organization: None,
        contact_people: Vec::new(),
        artifact_resolution_service: Vec::new(),
        single_logout_services: Vec::new(),
        manage_name_id_services: Vec::new(),
        name_id_formats: Vec::new(),
        want_authn_requests_signed: None,
        single_sign_on_services: Vec::new(),
        name_id_mapping_services: Vec::new(),
        assertion_id_request_services: Vec::new(),
        attribute_profiles: Vec::new(),
        attributes: Vec::new(),
    };
    EntityDescriptor {
        entity_id: Some(entity_id.to_owned()),
        idp_sso_descriptors: Some(vec![idp]),
        ..EntityDescriptor::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(name_id: Option<&str>, attributes: &[(&str, &str)]) -> Reading {
        Reading::trimmed(name_id, attributes.iter().copied())
    }

    #[track_caller]
    fn check(second: &Reading, expected: Result<(), Difference>) {
        let ours = reading(Some("ada"), &[("email", "ada@example.com"), ("memberOf", "admins"), ("memberOf", "staff")]);
        assert_eq!(ours.compare(second), expected);
    }

    #[test]
    fn agrees_only_on_the_same_name_id_and_the_same_ordered_values() {
        let [email, admins, staff] = [("email", "ada@example.com"), ("memberOf", "admins"), ("memberOf", "staff")];
        let value = |number, name: &str| Err(Difference::Value { number, name: name.to_owned() });
        check(&reading(Some("ada"), &[email, admins, staff]), Ok(()));
        check(&reading(Some(" ada\n"), &[email, admins, ("memberOf", "\tstaff "), ("empty", " ")]), Ok(()));
        check(&reading(Some("Ada"), &[email, admins, staff]), Err(Difference::NameId));
        check(&reading(None, &[email, admins, staff]), Err(Difference::NameId));
        check(&reading(Some("ada"), &[email, staff, admins]), value(2, "memberOf"));
        check(&reading(Some("ada"), &[("mail", email.1), admins, staff]), value(1, "email"));
        check(&reading(Some("ada"), &[email, admins]), Err(Difference::Count { ours: 3, read: 2 }));
        let more = [email, admins, staff, ("memberOf", "root")];
        check(&reading(Some("ada"), &more), Err(Difference::Count { ours: 3, read: 4 }));
    }

    #[test]
    fn refuses_without_a_key_for_samael_would_then_verify_nothing() {
        let terms = Terms {
            idp_entity_id: "idp",
            sp_entity_id: "sp",
            acs_url: "https://app.example.com/saml/acs",
            max_age: Duration::from_secs(600),
            skew: Duration::from_secs(180),
        };
        assert_eq!(read(b"<Response/>", &[], &terms), Err(Difference::NoKey));
    }
}
