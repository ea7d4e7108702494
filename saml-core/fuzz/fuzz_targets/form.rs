//! The posted form: what is taken is what the form decoder of the URL standard reads, and base64 is strict.

#![no_main]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use libfuzzer_sys::fuzz_target;
use saml_core::{AcsForm, UnverifiedResponse};

fuzz_target!(|body: &[u8]| {
    let Ok(form) = AcsForm::parse(Some("application/x-www-form-urlencoded"), None, body) else { return };
    let mut values = form_urlencoded::parse(body).filter(|(name, _)| name == "SAMLResponse");
    let value = values.next().expect("the other decoder finds the field too").1;
    assert!(values.next().is_none(), "a repeated SAMLResponse was taken");
    let Ok(decoded) = form.decoded() else { return };
    let compact: String = value.chars().filter(|character| !matches!(character, '\r' | '\n' | ' ')).collect();
    assert_eq!(STANDARD.decode(compact).expect("the other decoder reads it"), decoded);
    if UnverifiedResponse::from_form(&form).is_ok()
        && cfg!(feature = "planted-panic")
        && body.windows(3).any(|window| window[0] == b'%' && window[1..].iter().any(u8::is_ascii_lowercase))
    {
        panic!("planted");
    }
});
