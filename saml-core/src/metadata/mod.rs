//! Metadata (SAML Metadata 2.0): an IdP's, from which keys and addresses are taken, how newer metadata takes
//! its place, and our own.

mod idp;
mod refresh;
mod sp;

pub use idp::{IdpMetadata, MetadataError, SingleLogoutService};
pub use refresh::{
    Held, IdpService, NewKeys, RefreshError, RefreshWarning, Refreshed, metadata_past_valid_until, refresh_metadata,
};
pub use sp::SpMetadata;

const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";
const POST: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST";
