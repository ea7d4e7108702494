//! Every reason for which a person or a request is turned away: the one list of codes of the gateway.

use saml_core::Rejection;

/// A decision against a request, never an error of ours alone. Each has a stable code.
#[derive(Debug)]
pub enum Refusal {
    Saml(Rejection),
}
