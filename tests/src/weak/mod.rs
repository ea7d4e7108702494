//! Verifiers that are wrong on purpose, for tests alone.
//!
//! A SAML verifier written independently of saml-core: roxmltree, a plain canonicalization, aws-lc-rs.
//! Without a [`Weakness`] it is sound, slow and forgiving of nothing that matters; with one, it has that one
//! hole. An attack proves something only if the verifier with its hole lets it in.

pub mod canonical;
mod encryption;
mod form;
mod identity;
mod policy;
mod reading;
mod signature;
mod transforms;
mod value;
mod verifier;
mod weakness;

pub use form::Message;
pub use verifier::judge;
pub use weakness::Weakness;

pub const SAML: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
pub const SAMLP: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
pub const XENC: &str = "http://www.w3.org/2001/04/xmlenc#";

/// What must be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wanted {
    Both,
    Response,
    Assertion,
    Any,
}

impl Wanted {
    pub const ALL: [Self; 4] = [Self::Both, Self::Response, Self::Assertion, Self::Any];
}

/// Whom a weak verifier trusts, and what it awaits.
#[derive(Debug, Clone)]
pub struct Trust {
    /// PEM, of the one IdP that was asked.
    pub certificate: String,
    /// PEM, of another IdP that this service provider has.
    pub other_certificate: String,
    /// PKCS#8 PEM of the RSA key that assertions are encrypted to.
    pub decryption_key: String,
    pub idp: String,
    pub sp: String,
    pub acs: String,
    pub request: String,
    pub now: i64,
    pub wanted: Wanted,
}

/// Who is let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    pub email: String,
    pub unique_id: String,
    pub groups: Vec<String>,
    pub assertion_id: String,
    pub session_end: Option<i64>,
}

/// What judging a message did besides.
#[derive(Debug, Clone, Default)]
pub struct Effects {
    /// URLs that were fetched.
    pub fetched: Vec<String>,
    /// Bytes made, elements visited or rounds run by order of the message.
    pub work: u64,
}

#[derive(Debug)]
pub struct Verdict {
    pub login: Result<Login, String>,
    pub effects: Effects,
}
