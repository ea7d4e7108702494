//! Files that settings name, and the settings file itself.

use std::fs;
use std::os::unix::net::UnixListener;

use crate::support::{END, Folder, MINIMAL, certificate, instead, with};

fn load(folder: &Folder) -> Result<config::Loaded, config::ConfigErrors> {
    config::load(&folder.path().join("samlgate.yaml"), std::iter::empty())
}

#[test]
fn files_are_relative_to_the_settings_file() {
    let folder = Folder::new();
    folder.write("samlgate.yaml", MINIMAL, 0o644);
    assert!(load(&folder).is_ok());
}

#[test]
fn mistakes_name_the_settings_file() {
    let folder = Folder::new();
    folder.write("samlgate.yaml", &with("listn: x"), 0o644);
    let text = load(&folder).unwrap_err().to_string();
    assert!(text.starts_with("1 mistake in ") && text.contains("samlgate.yaml\n1. listn (line 11): "), "{text}");
}

#[test]
fn a_settings_file_that_cannot_be_read_is_one_mistake() {
    let folder = Folder::new();
    assert!(load(&folder).unwrap_err().errors[0].problem.contains("cannot be read"));
    folder.write("samlgate.yaml", &with(&format!("# {}", "x".repeat(1024 * 1024))), 0o644);
    assert!(load(&folder).unwrap_err().errors[0].problem.contains("larger than 1 MiB"));
    fs::write(folder.path().join("samlgate.yaml"), b"public_url: \xff").unwrap();
    assert!(load(&folder).unwrap_err().errors[0].problem.contains("utf-8"));
}

#[test]
fn a_certificate_that_is_none_carries_its_code() {
    let folder = Folder::new();
    for text in ["", "<html>", "-----BEGIN CERTIFICATE-----\nMIIB", &certificate().1] {
        folder.write("certificate.pem", text, 0o644);
        let error = folder.only_mistake(MINIMAL);
        assert_eq!(
            (error.code, error.path.as_str()),
            (Some("certificate_unreadable"), "identity_providers[0].certificate_file")
        );
        assert!(error.to_string().contains("[certificate_unreadable]"));
    }
}

#[test]
fn certificates_are_pasted_named_or_listed() {
    let folder = Folder::new();
    let other = certificate().0;
    folder.write("other.pem", &other, 0o644);
    let pasted = folder.certificate.replace('\n', "\n      ");
    for (source, expected) in [
        ("certificate_file: [certificate.pem, other.pem]".to_owned(), 2),
        (format!("certificate: |\n      {pasted}"), 1),
        (format!("certificate: {:?}", format!("{}{other}", folder.certificate)), 2),
    ] {
        let settings = folder.accepted(&instead("certificate_file: certificate.pem", &source)).settings;
        assert_eq!(settings.identity_providers[0].certificates().len(), expected, "{source}");
    }
}

#[test]
fn two_sources_of_certificates_are_a_mistake() {
    let folder = Folder::new();
    let pasted = format!("certificate: {:?}\n    certificate_file: certificate.pem", folder.certificate);
    let error = folder.only_mistake(&instead("certificate_file: certificate.pem", &pasted));
    assert_eq!(
        (error.path.as_str(), error.cure.as_str()),
        ("identity_providers[0].certificate_file", "keep one of them")
    );
}

#[test]
fn more_than_four_certificates_are_a_mistake() {
    let folder = Folder::new();
    let many: String = (0..5).map(|_| certificate().0).collect();
    folder.write("certificate.pem", &many, 0o644);
    assert!(folder.only_mistake(MINIMAL).problem.contains("holds 5 certificates"));
}

#[test]
fn the_end_of_a_certificate_is_a_warning_and_never_a_mistake() {
    let folder = Folder::new();
    for (days_left, expected) in [
        (61, None),
        (60, Some("within 60 days")),
        (30, Some("within 30 days")),
        (8, Some("within 30 days")),
        (7, Some("within 7 days")),
        (1, Some("within 1 day,")),
        (0, Some("expired at 2030-01-01T00:00:00.000Z")),
        (-400, Some("expired")),
        (2000, Some("is not valid before")),
    ] {
        let loaded = folder.parse_at(MINIMAL, &[], END.plus_seconds(-days_left * 86_400)).unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        match expected {
            None => assert!(warnings.is_empty(), "{days_left}: {warnings:?}"),
            Some(part) => {
                assert!(warnings.len() == 1 && warnings[0].contains(part), "{days_left}: {warnings:?}");
                assert!(warnings[0].starts_with("identity_providers[0].certificate_file (line 6)"), "{warnings:?}");
            }
        }
    }
}

#[test]
fn tls_files_are_a_certificate_and_a_key_of_its_owner_alone() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    folder.write("tls.crt", &certificate, 0o644);
    let tls = with("tls: { certificate_file: tls.crt, key_file: tls.key }");

    assert!(folder.only_mistake(&tls).problem.contains("cannot be read"));
    folder.write("tls.key", &certificate, 0o600);
    assert!(folder.only_mistake(&tls).problem.contains("no PEM private key"));
    folder.write("tls.key", &key.replace("PRIVATE", "ENCRYPTED PRIVATE"), 0o600);
    assert!(folder.only_mistake(&tls).problem.contains("under a password"));
    for mode in [0o644, 0o604, 0o620] {
        folder.write("tls.key", &key, mode);
        let error = folder.only_mistake(&tls);
        assert!(error.path == "tls.key_file" && error.cure.contains("chmod 600"), "{error}");
    }
    folder.write("tls.key", &key, 0o600);
    assert_eq!(folder.accepted(&tls).settings.tls.unwrap().key_file, folder.path().join("tls.key"));

    folder.write("tls.crt", &key, 0o644);
    let error = folder.only_mistake(&tls);
    assert!(
        error.path == "tls.certificate_file" && error.problem.contains("private key and no certificate"),
        "{error}"
    );
}

#[test]
fn files_of_an_upstream_are_certificates_and_a_key_of_its_owner_alone() {
    let folder = Folder::new();
    let (certificate, key) = certificate();
    let yaml = instead(
        "{ servers: ['127.0.0.1:3000'] }",
        "{ servers: ['app:1'], tls: { ca_file: ca.pem, client_certificate_file: c.crt, client_key_file: c.key } }",
    );
    let right = [("ca.pem", &certificate, 0o644), ("c.crt", &certificate, 0o644), ("c.key", &key, 0o600)];
    let write_right = || right.iter().for_each(|(name, text, mode)| folder.write(name, text, *mode));
    write_right();
    let tls = folder.accepted(&yaml).settings.upstreams[0].tls.clone().unwrap();
    assert_eq!((tls.server_name, tls.ca_file), (None, Some(folder.path().join("ca.pem"))));
    assert_eq!(tls.client.unwrap().key_file, folder.path().join("c.key"));
    for (name, text, mode, path, said) in [
        ("ca.pem", key.as_str(), 0o600, "ca_file", "a private key and no certificate"),
        ("ca.pem", "", 0o644, "ca_file", "no PEM certificate"),
        ("c.crt", key.as_str(), 0o600, "client_certificate_file", "a private key and no certificate"),
        ("c.key", certificate.as_str(), 0o600, "client_key_file", "no PEM private key"),
        ("c.key", key.as_str(), 0o644, "client_key_file", "others can read"),
    ] {
        write_right();
        folder.write(name, text, mode);
        let error = folder.only_mistake(&yaml);
        assert_eq!(error.path, format!("upstreams.app.tls.{path}"), "{error}");
        assert!(error.problem.contains(said), "{error}");
    }
}

#[test]
fn keys_that_others_can_read_are_a_mistake() {
    let folder = Folder::new();
    let yaml = with("keys_dir: .");
    folder.write("jwt.current", "secret", 0o600);
    assert!(folder.parse(&yaml).is_ok());
    folder.write("jwt.previous", "secret", 0o644);
    let error = folder.only_mistake(&yaml);
    assert!(error.path == "keys_dir" && error.problem.contains("jwt.previous has mode 0644"), "{error}");
}

#[test]
fn a_control_socket_has_a_directory_and_a_short_path() {
    let folder = Folder::new();
    let socket = |path: &str| with(&format!("control_socket: {path}"));
    let expected = Some(folder.path().join("control.sock"));
    assert_eq!(folder.accepted(&socket("control.sock")).settings.control_socket, expected);
    let _bound = UnixListener::bind(folder.path().join("control.sock")).unwrap();
    assert_eq!(folder.accepted(&socket("control.sock")).settings.control_socket, expected);
    let longest = format!("{}/", folder.path().display());
    let longest = format!("{longest}{}", "x".repeat(100 - longest.len()));
    folder.accepted(&socket(&longest));
    for (path, said) in [
        (format!("{longest}x").as_str(), "is 101 bytes long"),
        ("gone/control.sock", "create its directory"),
        ("certificate.pem/control.sock", "lies in"),
        ("certificate.pem", "no socket"),
        (".", "no socket"),
    ] {
        let error = folder.only_mistake(&socket(path));
        assert_eq!(error.path, "control_socket", "{error}");
        assert!(format!("{} / {}", error.problem, error.cure).contains(said), "{said}: {error}");
    }
}

#[cfg(feature = "second-opinion")]
#[test]
fn refuses_a_second_opinion_beside_a_decryption_key() {
    let folder = Folder::new();
    folder.write("samlgate.yaml", &with("second_opinion: true\nkeys_dir: ."), 0o644);
    assert!(load(&folder).unwrap().settings.second_opinion);
    folder.write("sp-decryption.next", "a key", 0o600);
    let text = load(&folder).unwrap_err().to_string();
    assert!(text.contains("second_opinion (line 11) is \"true\": stands beside a decryption key"), "{text}");
}
