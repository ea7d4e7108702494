//! Cookie headers, one a line: reading and stripping never panic, and what is stripped holds nothing of ours.

#![no_main]

use gateway::session::{CookieScope, Credential, Stripped, strip_own};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let headers: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let own = CookieScope::Host.read_own(headers.iter().copied());
    if matches!(own.session, Credential::Good(_)) {
        // Exactly one pair of that name, whatever stands around it.
        let name = b"__Host-samlgate=";
        let found = input.windows(name.len()).filter(|window| *window == name).count();
        assert!(found >= 1);
        if cfg!(feature = "planted-panic") && matches!(own.login, Credential::Good(_)) && headers.len() > 1 {
            panic!("planted");
        }
    }
    let stripped: Vec<Vec<u8>> = headers
        .iter()
        .filter_map(|header| match strip_own(header) {
            Stripped::Unchanged => Some(header.to_vec()),
            Stripped::Rest(rest) => Some(rest),
            Stripped::Nothing => None,
        })
        .collect();
    let again = CookieScope::Host.read_own(stripped.iter().map(Vec::as_slice));
    assert!(matches!(again.session, Credential::None), "a stripped header still offers a session");
    assert!(matches!(again.login, Credential::None), "a stripped header still offers a login");
    for header in &stripped {
        assert_eq!(strip_own(header), Stripped::Unchanged, "stripping twice strips more");
    }
});
