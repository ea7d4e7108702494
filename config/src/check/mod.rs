//! What makes a single value right: addresses, paths, header names, files, and the guess at a misspelt key.

mod address;
mod domain;
mod file;
mod header;
mod nearest;
mod route_path;

pub(crate) use address::{authority, certificate_name, network, origin, redis_server, server, socket};
pub(crate) use domain::{cookie_domain, is_of_domain};
pub use file::EXPIRY_WARNING_DAYS;
pub(crate) use file::{
    CertificateSource, appended_file, authorities, certificates, client_certificate, holds_decryption_key, keys_dir,
    metadata, missing_shared_keys, password, revocations_file, socket_file, tls_certificate, tls_key,
};
pub(crate) use header::header_name;
pub(crate) use nearest::nearest;
pub(crate) use route_path::{
    endpoint_prefix, health_path, normalised_prefix, rewrite_prefix, route_path, same_site_path,
};

use saml_core::IdError;

/// What is wrong with a value, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) problem: String,
    pub(crate) cure: String,
}

impl Fault {
    pub(crate) fn new(problem: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { problem: problem.into(), cure: cure.into() }
    }
}

impl From<IdError> for Fault {
    /// The value stands beside the path already.
    fn from(error: IdError) -> Self {
        match error {
            IdError::Empty { cure, .. } => Self::new("is empty", cure),
            IdError::TooLong { length, limit, .. } => {
                Self::new(format!("is {length} bytes long"), format!("write at most {limit} bytes"))
            }
            IdError::Malformed { problem, cure, .. } => Self::new(format!("is refused: {problem}"), cure),
        }
    }
}
