//! The verifier against an issuer that shares no code with it: every refusal stands beside the same
//! document, untouched, accepted.

mod accepts;
mod bits;
mod captures;
mod claims;
mod encryption;
mod encryption_wrapping;
mod explains;
mod growth;
mod login;
mod logout;
mod metadata;
mod name_id;
mod parties;
mod refuses;
mod requests;
mod separation;
mod shapes;
mod sign_in_anew;
mod unsolicited;
mod wrapping;
