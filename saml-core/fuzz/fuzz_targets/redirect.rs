//! A logout message by HTTP-Redirect: the raw query; compressed bytes, and a message, that carry a good signature.

#![no_main]

use issuer::logout::deflate;
use known::{IDP, SLO, SP, at, signed_query};
use libfuzzer_sys::fuzz_target;
use saml_core::{LogoutMessage, VerifiedLogout};

fuzz_target!(|input: &[u8]| {
    let _ = verify(input);
    let _ = verify(&signed_query(input));
    let Ok(VerifiedLogout::Request(request)) = verify(&signed_query(&deflate(input))) else { return };
    assert!(request.relay_state().is_none());
    assert!(!request.name_id().value.is_empty());
    if cfg!(feature = "planted-panic") && request.name_id().value != "ada@example.com" {
        panic!("planted");
    }
});

fn verify(query: &[u8]) -> Result<VerifiedLogout, saml_core::Rejection> {
    LogoutMessage::from_query(query)?.verify(&[&IDP], &SP, &SLO, at())
}
