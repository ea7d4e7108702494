//! Single logout: off unless said, and complete where it is on.

use std::fs;

use config::{Binding, LogoutService, SingleLogout};
use saml_core::IdpSloUrl;

use crate::metadata;
use crate::support::{Folder, instead, with_idp};

fn folder() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("keys")).unwrap();
    folder.write("keys/sp-signing.current", "for whoever loads it to judge", 0o600);
    folder
}

fn with(setting: &str) -> String {
    with_idp(&format!("single_logout: {setting}")) + "keys_dir: keys\n"
}

fn at(binding: Binding, url: &str, response_url: &str) -> SingleLogout {
    let address = |text| IdpSloUrl::parse(text).unwrap();
    SingleLogout::At(LogoutService { binding, url: address(url), response_url: address(response_url) })
}

fn read(folder: &Folder, yaml: &str) -> SingleLogout {
    folder.accepted(yaml).settings.identity_providers.remove(0).single_logout
}

const METADATA: &str = "    sso_url: https://idp.example/sso\n    single_logout: metadata\n";

fn service(binding: &str, location: &str, more: &str) -> String {
    let binding = format!("urn:oasis:names:tc:SAML:2.0:bindings:{binding}");
    format!("<md:SingleLogoutService Binding=\"{binding}\" Location=\"{location}\"{more}/>")
}

#[test]
fn it_is_off_unless_said() {
    let settings = Folder::new().accepted(&with_idp("sign: response")).settings;
    assert_eq!(settings.identity_providers[0].single_logout, SingleLogout::Off);
    assert!(settings.single_logout().is_none());
}

#[test]
fn the_address_stands_in_the_settings() {
    let folder = folder();
    let yaml = with("{ url: https://idp.example/slo }");
    assert_eq!(read(&folder, &yaml), at(Binding::Redirect, "https://idp.example/slo", "https://idp.example/slo"));
    let settings = folder.accepted(&yaml).settings;
    assert_eq!(settings.single_logout().unwrap().as_str(), "https://app.example.com/saml/slo");
    assert_eq!(
        read(&folder, &with("{ url: https://idp.example/slo, response_url: https://idp.example/done, binding: post }")),
        at(Binding::Post, "https://idp.example/slo", "https://idp.example/done")
    );
}

#[test]
fn or_in_the_metadata_by_redirect_where_it_can() {
    let (redirect, post) = (
        service("HTTP-Redirect", "https://idp.example/r", " ResponseLocation=\"https://idp.example/rr\""),
        service("HTTP-POST", "https://idp.example/p", ""),
    );
    let yaml = metadata::settings(METADATA) + "keys_dir: keys\n";
    let with = |services: &str| {
        let folder = folder();
        let text = metadata::metadata(&folder, "", &[]);
        folder.write(
            "metadata.xml",
            &text.replace("</md:IDPSSODescriptor>", &format!("{services}</md:IDPSSODescriptor>")),
            0o644,
        );
        folder
    };
    let read = |services: &str| read(&with(services), &yaml);
    let by_redirect = at(Binding::Redirect, "https://idp.example/r", "https://idp.example/rr");
    assert_eq!(read(&format!("{post}{redirect}")), by_redirect);
    assert_eq!(read(&post), at(Binding::Post, "https://idp.example/p", "https://idp.example/p"));
    let error = with("").only_mistake(&yaml);
    assert_eq!(error.path, "identity_providers[0].single_logout");
    assert!(error.problem.contains("declares no SingleLogoutService") && error.cure.contains("JumpCloud has none"));
}

#[test]
fn fetched_metadata_says_it_later() {
    let fetched = "metadata_url: https://idp.example/metadata\n    new_keys: accept\n    single_logout: metadata";
    let yaml = instead("certificate_file: certificate.pem", fetched) + "keys_dir: keys\n";
    assert_eq!(read(&folder(), &yaml), SingleLogout::Fetched);
}

#[test]
fn what_is_missing_or_wrong_is_said() {
    for (setting, path, said) in [
        ("metadata", "single_logout", "write `single_logout: { url: https://idp.example/slo }`"),
        ("metdata", "single_logout", "metadata"),
        ("{ binding: post }", "single_logout.url", "missing"),
        ("{ url: idp.example }", "single_logout.url", "http"),
        ("{ url: https://idp.example/slo, binding: soap }", "single_logout.binding", "redirect"),
        ("{ url: https://idp.example/slo, response_url: x }", "single_logout.response_url", "http"),
        ("{ url: https://idp.example/slo, key: x }", "single_logout.key", ""),
    ] {
        let error = folder().only_mistake(&with(setting));
        assert_eq!(error.path, format!("identity_providers[0].{path}"), "{error}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said}: {error}");
    }
    let error = Folder::new().only_mistake(&with_idp("single_logout: { url: https://idp.example/slo }"));
    assert_eq!(error.path, "identity_providers[0].single_logout");
    assert!(error.cure.contains("samlgate keys generate"), "{error}");
    let warnings = folder().accepted(&with("{ url: http://idp.example/slo }")).warnings;
    assert_eq!(
        warnings.iter().map(|warning| warning.path.as_str()).collect::<Vec<_>>(),
        ["identity_providers[0].single_logout.url"]
    );
    assert!(folder().accepted(&with("{ url: http://127.0.0.1:1/slo }")).warnings.is_empty());
}
