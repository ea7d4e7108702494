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
    pub(super) outcome: Outcome,
}

impl Mode {
    /// Whether it is about our own keys, which not every version of samlgate has a use for.
    pub(super) fn needs_keys(&self) -> bool {
        self.signed_requests || self.encryption.is_some()
    }

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
        let wants = self.wants.map_or_else(|| "default `sign`".to_owned(), |wants| format!("`sign: {wants}`"));
        match self.outcome {
            Outcome::Admitted => format!("{requests}signs {signs}{sealed}, {wants}: admitted"),
            Outcome::Refused(code) => format!("{requests}signs {signs}{sealed}, {wants}: refused, {code}"),
        }
    }
}

const BOTH: Mode = Mode {
    name: "both",
    signs: Sign::Both,
    wants: None,
    encryption: None,
    signed_requests: false,
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
