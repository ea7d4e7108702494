//! What an issuer signs and encrypts, what the gateway asks for, and what must come of it: the rows of the table.

use serde::Serialize;

use crate::issuer::Sign;

/// What the issuer does to the assertion after signing it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encryption {
    /// AES-GCM, the key under RSA-OAEP.
    Gcm,
    /// Whatever cipher the issuer takes by itself.
    AsShipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Admitted,
    Refused(&'static str),
}

/// How logout messages travel, ours and the issuer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Binding {
    Redirect,
    Post,
}

impl Binding {
    /// As the settings call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Redirect => "redirect",
            Self::Post => "post",
        }
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Redirect => "HTTP-Redirect",
            Self::Post => "HTTP-POST",
        }
    }

    pub(super) fn urn(self) -> String {
        format!("urn:oasis:names:tc:SAML:2.0:bindings:{}", self.title())
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Mode {
    /// A name for files and for the issuer's own list of service providers.
    pub(super) name: &'static str,
    pub(super) signs: Sign,
    /// The gateway's `sign`; its default where there is none.
    pub(super) wants: Option<&'static str>,
    pub(super) encryption: Option<Encryption>,
    /// Whether our requests are signed, and the issuer insists on it.
    pub(super) signed_requests: bool,
    /// A row about single logout, by this binding.
    pub(super) logout: Option<Binding>,
    /// What the issuer is not able to do, where the row shows what it does in its stead.
    pub(super) cannot: Option<&'static str>,
    pub(super) outcome: Outcome,
}

impl Mode {
    pub(super) fn claim(&self) -> String {
        let signs = match self.signs {
            Sign::Assertion => "the assertion alone",
            Sign::Response => "the response alone",
            Sign::Both => "assertion and response",
            Sign::Neither => "nothing",
        };
        let sealed = match self.encryption {
            None => "",
            Some(Encryption::Gcm) => ", encrypted by AES-GCM",
            Some(Encryption::AsShipped) => ", encrypted as the issuer does by itself",
        };
        let requests = if self.signed_requests { "answers signed requests only, " } else { "" };
        let cannot = self.cannot.map_or_else(String::new, |cannot| format!("cannot {cannot}: "));
        let wants = self.wants.map_or_else(|| "default `sign`".to_owned(), |wants| format!("`sign: {wants}`"));
        match self.outcome {
            Outcome::Admitted => format!("{cannot}{requests}signs {signs}{sealed}, {wants}: admitted"),
            Outcome::Refused(code) => format!("{cannot}{requests}signs {signs}{sealed}, {wants}: refused, {code}"),
        }
    }
}

const BOTH: Mode = Mode {
    name: "both",
    signs: Sign::Both,
    wants: None,
    encryption: None,
    signed_requests: false,
    logout: None,
    cannot: None,
    outcome: Outcome::Admitted,
};

/// The rows that every issuer must answer.
pub(super) const PLAIN: [Mode; 4] = [
    BOTH,
    Mode { name: "assertion", signs: Sign::Assertion, wants: Some("assertion"), ..BOTH },
    Mode { name: "response", signs: Sign::Response, wants: Some("response"), ..BOTH },
    Mode { name: "mismatch", signs: Sign::Assertion, outcome: Outcome::Refused("response_not_signed"), ..BOTH },
];

pub(super) const SIGNED_REQUESTS: Mode = Mode { name: "requests", signed_requests: true, ..BOTH };

/// For issuers that have single logout.
pub(super) const LOGOUT: [Mode; 2] = [
    Mode { name: "logout-redirect", logout: Some(Binding::Redirect), ..BOTH },
    Mode { name: "logout-post", logout: Some(Binding::Post), ..BOTH },
];

/// For issuers that can do AES-GCM.
pub(super) const SEALED: [Mode; 2] = [
    Mode { name: "sealed", encryption: Some(Encryption::Gcm), ..BOTH },
    Mode {
        name: "sealed-response",
        signs: Sign::Response,
        wants: Some("response"),
        encryption: Some(Encryption::Gcm),
        ..BOTH
    },
];

/// For issuers that take a cipher without authentication unless told otherwise.
pub(super) const SEALED_AS_SHIPPED: Mode = Mode {
    name: "sealed-cbc",
    encryption: Some(Encryption::AsShipped),
    outcome: Outcome::Refused("encryption_algorithm_forbidden"),
    ..BOTH
};
