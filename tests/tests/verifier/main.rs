//! The verifier against an issuer that shares no code with it: every refusal stands beside the same
//! document, untouched, accepted.

mod accepts;
mod bits;
mod parties;
mod refuses;
mod wrapping;
