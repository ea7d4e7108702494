//! The proof by attack: the table of attacks, transplants, bits. The verifier's own suite is beside it, in
//! `saml-core/tests/verifier`.

mod attacks;
mod bits;
mod transplant;
