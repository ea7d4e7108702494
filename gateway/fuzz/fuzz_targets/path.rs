//! A stranger's path: nothing but the plain public routes is ever forwarded, however it is spelled.

#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use gateway::decide::{ClientKind, Decision, Policy, RequestFacts, decide};
use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use saml_core::Timestamp;

const SETTINGS: &str = include_str!("settings.yaml");

static POLICY: LazyLock<Policy> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    Policy::from_settings(&config::parse(SETTINGS, &folder, std::iter::empty()).expect("settings").settings)
});

fuzz_target!(|path: &str| {
    let facts = RequestFacts {
        method: "GET",
        authority: "app.example.com",
        path,
        client: ClientKind::Background,
        upgrade_origin: None,
    };
    if let Decision::Forward(permit) = decide(&POLICY, &facts, None, Timestamp::from_unix(1_800_000_000, 0)) {
        assert!(permit.identity().is_none());
        assert!(permit.route() <= 1, "a stranger reached the route {} by {path:?}", permit.route());
        let raw = path.split('?').next().unwrap_or_default();
        let text = percent_decode_str(raw).decode_utf8().expect("a public path is text");
        assert!(matches!(&*text, "/healthz" | "/public") || text.starts_with("/public/"), "{path:?} was taken as public");
        assert!(!text.contains('\\') && !text.contains("//"), "{path:?}");
        assert!(text.split('/').all(|segment| !matches!(segment, "." | "..")), "{path:?}");
        if cfg!(feature = "planted-panic") && text.starts_with("/public/") && raw.contains('%') && raw != "/public/%61" {
            panic!("planted");
        }
    }
});
