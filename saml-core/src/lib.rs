//! The SAML 2.0 service provider of samlgate.
//!
//! Bytes, keys and a time go in; an accepted login or a [`Rejection`] comes out. The crate opens no
//! socket or file, reads no clock or environment and draws no randomness.
//!
//! It never looks anything up by ID, never follows a reference, never reads a key from a message, and
//! never reads identity from bytes whose digest was not verified. Proof is carried by types:
//! [`UnverifiedResponse`] becomes [`Verified`] becomes [`AcceptedLogin`], and nobody outside can build
//! the last two.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, clippy::string_slice)
)]

#[cfg(all(feature = "danger-accept-any-signature", not(debug_assertions)))]
compile_error!("danger-accept-any-signature is for tests and never in a release build");

mod authn_request;
mod base64_text;
mod claims;
mod form;
mod ids;
mod logout;
mod metadata;
mod name_id;
mod outgoing;
mod rejection;
mod request;
mod response;
#[cfg(feature = "test-support")]
pub mod test_support;
mod time;
mod trust;
mod xml;

pub use authn_request::AuthnRequest;
pub use claims::{ClaimNames, ClaimSource, Identity};
pub use form::{AcsForm, MAX_FORM_BYTES};
pub use ids::{AcsUrl, EntityId, IdError, IdpId, IdpSloUrl, RequestId, SloUrl, SsoUrl};
pub use logout::{
    LogoutMessage, LogoutOutcome, LogoutRequest, LogoutResponse, NamedSessions, VerifiedLogout, VerifiedLogoutRequest,
    VerifiedLogoutResponse,
};
pub use metadata::{
    Held, IdpMetadata, IdpService, MetadataError, NewKeys, RefreshError, RefreshWarning, Refreshed,
    SingleLogoutService, SpMetadata, metadata_past_valid_until, refresh_metadata,
};
pub use name_id::NameId;
pub use outgoing::{KeyFileError, OwnCertificate, PostForm, Signer, SigningError, SigningKey};
pub use rejection::{Offered, Rejection};
pub use request::{Authentication, SentRequest};
pub use response::{AcceptedLogin, InResponseTo, ReplayKey, UnverifiedResponse, Verified};
pub use time::{TimeError, Timestamp};
pub use trust::{
    Certificate, CertificateError, DecryptionKey, DecryptionKeys, Fingerprint, FingerprintError, KeyPemError,
    ServiceProvider, Sign, TrustError, TrustedIdp,
};

/// The verification, walked aloud, for `samlgate explain`.
pub mod explain {
    pub use crate::response::explain::{CHECKS, Captured, Explanation, Fact, Facts, Outcome, Step, explain};
}
