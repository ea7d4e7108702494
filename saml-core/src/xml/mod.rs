//! XML as SAML messages need it and no more.

pub(crate) mod escape;
