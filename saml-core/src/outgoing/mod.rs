//! Messages of ours: written in canonical form by construction, signed with our own key, carried by
//! HTTP-Redirect or HTTP-POST.
//!
//! Nothing here canonicalizes: what is written is what a verifier will digest.

mod binding;
mod certificate;
mod key;
mod message;
mod signature;
mod xml;

pub use binding::PostForm;
pub(crate) use binding::{Parameter, post_form, redirect_url, signed_redirect_url};
pub use certificate::OwnCertificate;
pub use key::{KeyFileError, SigningKey};
pub(crate) use message::{Header, Message};
pub use signature::{Signer, SigningError};
pub(crate) use xml::{DS, Element, SAML};
