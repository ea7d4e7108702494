//! `samlgate check` and `samlgate keys generate`, as a person runs them.

use harness::issuer::test_keys;

use crate::support::{key_file, samlgate};

struct Output {
    code: Option<i32>,
    text: String,
}

fn run(folder: &std::path::Path, arguments: &[&str]) -> Output {
    let output = samlgate().command(arguments).as_std_mut().current_dir(folder).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Output { code: output.status.code(), text }
}

const FIVE_MISTAKES: &str = "\
public_url: http://a.example
listne: 0.0.0.0:8080
identity_providers:
  - id: jumpcloud
    entity_id: jumpcloud-samlgate
    sso_url: sso.jumpcloud.com/saml2/samlgate
    certificate_file: missing.pem
upstreams:
  app: { servers: ['127.0.0.1:3000'] }
routes:
  - { path_prefix: /, access: signed_in, upstream: ap }
";

#[test]
fn five_mistakes_are_reported_together_with_their_cures() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("samlgate.yaml"), FIVE_MISTAKES).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.code, Some(1), "{}", output.text);
    for part in [
        "5 mistakes",
        "public_url",
        "https",
        "listne",
        "listen",
        "sso_url",
        "certificate_file",
        "missing.pem",
        "upstream",
        "app",
    ] {
        assert!(output.text.contains(part), "{part}: {}", output.text);
    }
    for number in 1..=5 {
        assert!(output.text.contains(&format!("{number}. ")), "{}", output.text);
    }
    assert!(!output.text.contains("6. "));
    let json = run(folder.path(), &["check", "--json"]);
    assert_eq!(json.code, Some(1));
    let value: serde_json::Value = serde_json::from_str(json.text.trim()).unwrap();
    assert_eq!(value["errors"].as_array().map(Vec::len), Some(5), "{value}");
}

#[test]
fn good_settings_pass_and_say_what_to_enter_in_jumpcloud() {
    let folder = tempfile::tempdir().unwrap();
    let good = FIVE_MISTAKES
        .replace("http://a.example", "https://app.example.com")
        .replace("listne", "listen")
        .replace("sso.jumpcloud.com", "https://sso.jumpcloud.com")
        .replace("missing.pem", "certificate.pem")
        .replace("upstream: ap ", "upstream: app ");
    std::fs::write(folder.path().join("samlgate.yaml"), good).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), test_keys::rsa_4096().certificate_pem()).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.code, Some(0), "{}", output.text);
    assert!(output.text.contains("https://app.example.com/saml/acs"), "{}", output.text);
    assert!(output.text.contains("https://app.example.com/saml/metadata"), "{}", output.text);
}

#[test]
fn an_authority_that_no_upstream_can_be_held_against_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let yaml = FIVE_MISTAKES
        .replace("http://a.example", "https://app.example.com")
        .replace("listne", "listen")
        .replace("sso.jumpcloud.com", "https://sso.jumpcloud.com")
        .replace("missing.pem", "certificate.pem")
        .replace("upstream: ap ", "upstream: app ")
        .replace("3000'] }", "3000'], tls: { ca_file: ca.pem } }");
    std::fs::write(folder.path().join("samlgate.yaml"), yaml).unwrap();
    std::fs::write(folder.path().join("certificate.pem"), test_keys::rsa_4096().certificate_pem()).unwrap();
    let ca = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(folder.path().join("ca.pem"), ca).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.code, Some(1), "{}", output.text);
    assert!(output.text.contains("1. upstreams.app.tls.ca_file: "), "{}", output.text);
}

#[test]
fn settings_of_later_versions_are_refused_as_such() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("samlgate.yaml"),
        format!("{FIVE_MISTAKES}branding: {{ name: x }}\nsession: {{ store: sealed }}\n"),
    )
    .unwrap();
    let output = run(folder.path(), &["check"]);
    assert!(output.text.contains("7 mistakes") && output.text.contains("not in this version"), "{}", output.text);
}

#[test]
fn a_missing_file_is_said_and_not_panicked_about() {
    let folder = tempfile::tempdir().unwrap();
    for command in ["check", "run"] {
        let output = run(folder.path(), &[command]);
        assert_eq!(output.code, Some(1), "{}", output.text);
        assert!(output.text.contains("samlgate.yaml") && !output.text.contains("panicked"), "{}", output.text);
    }
}

#[test]
fn keys_are_written_for_their_owner_alone_and_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    let output = run(folder.path(), &["keys", "generate", "--dir", "keys"]);
    assert_eq!(output.code, Some(0), "{}", output.text);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("keys")).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert!(names.contains(&"seal.current".to_owned()) && names.contains(&"jwt.current".to_owned()), "{names:?}");
    let before = std::fs::read(folder.path().join("keys/seal.current")).unwrap();
    run(folder.path(), &["keys", "generate", "--dir", "keys"]);
    assert_eq!(std::fs::read(folder.path().join("keys/seal.current")).unwrap(), before);
}

#[test]
fn help_and_version_answer() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &["--help"][..],
        &["run", "--help"],
        &["check", "--help"],
        &["keys", "--help"],
        &["keys", "generate", "--help"],
        &["keys", "rotate", "--help"],
        &["version"],
        &["--version"],
    ] {
        let output = run(folder.path(), arguments);
        assert_eq!(output.code, Some(0), "{arguments:?}: {}", output.text);
        assert!(!output.text.is_empty());
    }
    assert_ne!(run(folder.path(), &["explane"]).code, Some(0));
}

#[test]
fn single_logout_needs_a_key_and_check_says_what_to_enter() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("certificate.pem"), test_keys::rsa_2048().certificate_pem()).unwrap();
    let settings = "\
public_url: https://app.example.com
keys_dir: keys
identity_providers:
  - id: okta
    entity_id: https://idp.example
    sso_url: https://idp.example/sso
    certificate_file: certificate.pem
    single_logout: { url: https://idp.example/slo }
upstreams:
  app: { servers: ['127.0.0.1:3000'] }
routes:
  - { path_prefix: /, access: signed_in, upstream: app }
";
    std::fs::write(path("samlgate.yaml"), settings).unwrap();
    std::fs::create_dir(path("keys")).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.code, Some(1), "{}", output.text);
    assert!(output.text.contains("single_logout") && output.text.contains("samlgate keys generate"), "{}", output.text);
    std::fs::write(path("keys/sp-signing.current"), key_file(test_keys::p256())).unwrap();
    let owner_alone = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path("keys/sp-signing.current"), owner_alone).unwrap();
    let output = run(folder.path(), &["check"]);
    assert_eq!(output.code, Some(0), "{}", output.text);
    assert!(output.text.contains("SLO URL        https://app.example.com/saml/slo"), "{}", output.text);
}
