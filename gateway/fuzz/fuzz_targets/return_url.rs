//! A return URL leads to a page of ours, by the reading of the URL standard, and never to an endpoint of ours.

#![no_main]

use config::{Origin, Scheme};
use gateway::return_url::ReturnUrl;
use libfuzzer_sys::fuzz_target;
use url::Url;

fuzz_target!(|text: &str| {
    let accepted = Origin { scheme: Scheme::Https, authority: "app.example.com".to_owned() };
    let parsed = ReturnUrl::parse(text, &accepted, "/saml");
    let base = Url::parse("https://app.example.com/saml/resume").expect("a base");
    let target = base.join(parsed.as_str()).expect("a browser reads what we answer");
    assert_eq!((target.scheme(), target.host_str(), target.port()), ("https", Some("app.example.com"), None));
    assert!(target.username().is_empty() && target.password().is_none());
    assert!(target.path() != "/saml" && !target.path().starts_with("/saml/"), "{text:?} leads into a loop");
    assert!(parsed.as_str().len() <= 4096);
    // Taken whole from a URL of the accepted origin, with a query.
    if cfg!(feature = "planted-panic") && text.starts_with("https://") && parsed.as_str() != "/" && text != "https://app.example.com/x?y=z" {
        panic!("planted");
    }
});
