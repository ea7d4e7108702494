//! `samlgate explain`, as a person runs it on what a browser's developer tools gave them.

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::issuer::{Encryption, Issued, ResponseSpec, Sign, test_keys};
use serde_json::Value;
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::support::{key_file, samlgate};

const IDP: &str = "jumpcloud-samlgate";
const SP: &str = "https://app.example.com/saml/metadata";
const ACS: &str = "https://app.example.com/saml/acs";
const REQUEST: &str = "_0123456789abcdef0123456789abcdef01234567";
const AT: &str = "2026-11-23T14:44:31Z";

const SETTINGS: &str = "\
public_url: https://app.example.com
identity_providers:
  - id: jumpcloud
    entity_id: jumpcloud-samlgate
    sso_url: https://sso.jumpcloud.com/saml2/samlgate
    certificate_file: certificate.pem
upstreams:
  app: { servers: ['127.0.0.1:3000'] }
routes:
  - { path_prefix: /, access: signed_in, upstream: app }
";

fn good() -> ResponseSpec {
    let now = OffsetDateTime::from_unix_timestamp(1_795_445_071).unwrap();
    ResponseSpec::new(IDP, SP, ACS, "ada@example.com", now).in_response_to(REQUEST).sign(Sign::Both).claims(
        "ada@example.com",
        "5f3c0de5f3c0de5f3c0de5f3",
        &["admins", "staff"],
    )
}

fn issued() -> Issued {
    good().issue(test_keys::rsa_2048())
}

/// A folder with the IdP's certificate, and the facts that go with it.
struct Desk {
    folder: TempDir,
}

struct Output {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Output {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}", self.stdout))
    }

    /// The one step of that name.
    fn step(&self, check: &str) -> Value {
        let json = self.json();
        let steps = json["steps"].as_array().unwrap().clone();
        steps.into_iter().find(|step| step["check"] == check).unwrap_or_else(|| panic!("no step {check}: {json}"))
    }
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("certificate.pem"), test_keys::rsa_2048().certificate_pem()).unwrap();
        Self { folder }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = samlgate().command([&["explain"], arguments].concat());
        let command = command.as_std_mut().current_dir(self.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Who refuses its arguments reads no input.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let output = Output { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
        assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
        for secret in ["PRIVATE KEY", &test_keys::rsa_2048().certificate_base64()[..40]] {
            assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret), "{secret}");
        }
        output
    }

    /// With every fact given by a flag.
    fn explain(&self, input: &[u8], more: &[&str]) -> Output {
        let facts = [
            "--idp-certificate",
            "certificate.pem",
            "--idp-entity-id",
            IDP,
            "--audience",
            SP,
            "--acs-url",
            ACS,
            "--request-id",
            REQUEST,
            "--at",
            AT,
        ];
        self.run(&[&facts, more].concat(), input)
    }

    #[track_caller]
    fn refused(&self, input: &[u8], code: &str) -> Output {
        let output = self.explain(input, &["--json"]);
        let json = output.json();
        assert_eq!(output.code, Some(1), "{json}");
        assert_eq!(
            (&json["accepted"], &json["refusal"], &json["identity"]),
            (&false.into(), &code.into(), &Value::Null)
        );
        output
    }

    #[track_caller]
    fn unusable(&self, input: &[u8], words: &str) {
        let output = self.explain(input, &[]);
        assert_eq!(output.code, Some(2), "{}", output.stdout);
        assert!(output.stderr.contains(words), "{words}: {}", output.stderr);
        let output = self.explain(input, &["--json"]);
        let json = output.json();
        assert_eq!(output.code, Some(2), "{json}");
        assert_eq!((&json["accepted"], &json["identity"]), (&false.into(), &Value::Null));
    }
}

#[test]
fn a_good_response_is_accepted_in_every_form_that_it_can_be_captured_in() {
    let desk = Desk::new();
    let issued = issued();
    let base64 = issued.base64();
    let form = issued.form_body(Some("relay state"));
    let wrapped: String =
        base64.as_bytes().chunks(76).map(|line| format!("{}\r\n", std::str::from_utf8(line).unwrap())).collect();
    let value = form_urlencoded::byte_serialize(base64.as_bytes()).collect::<String>();
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(form.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let har = serde_json::json!({ "log": { "entries": [{ "request": { "postData": { "text": form } } }] } });
    let params =
        serde_json::json!([{ "name": "RelayState", "value": "x" }, { "name": "SAMLResponse", "value": base64 }]);
    for input in [
        issued.xml.clone().into_bytes(),
        format!("\r\n{}\r\n", issued.xml).into_bytes(),
        base64.clone().into_bytes(),
        format!("{base64}\n").into_bytes(),
        format!("{base64}\r\n").into_bytes(),
        format!("\u{feff}{base64}").into_bytes(),
        wrapped.into_bytes(),
        value.into_bytes(),
        form.clone().into_bytes(),
        format!("{form}\n").into_bytes(),
        format!("first=1&RelayState=x&SAMLResponse={}", form.split(['=', '&']).nth(1).unwrap()).into_bytes(),
        format!("SAMLResponse={base64}").into_bytes(),
        format!("RelayState: x\nSAMLResponse: {base64}\n").into_bytes(),
        format!("curl 'https://app.example.com/saml/acs' --data-raw '{form}'").into_bytes(),
        utf16,
        serde_json::to_vec(&form).unwrap(),
        serde_json::to_vec(&base64).unwrap(),
        serde_json::to_vec(&issued.xml).unwrap(),
        serde_json::to_vec(&har).unwrap(),
        serde_json::to_vec(&params).unwrap(),
    ] {
        let shown = String::from_utf8_lossy(&input[..input.len().min(80)]).into_owned();
        let output = desk.explain(&input, &["--json"]);
        assert_eq!(output.code, Some(0), "{shown}: {}{}", output.stdout, output.stderr);
        let json = output.json();
        assert_eq!((&json["accepted"], &json["refusal"]), (&true.into(), &Value::Null));
        assert_eq!(
            json["identity"],
            serde_json::json!({
                "name_id": "ada@example.com",
                "unique_id": "5f3c0de5f3c0de5f3c0de5f3",
                "email": "ada@example.com",
                "first_name": null,
                "last_name": null,
                "groups": ["admins", "staff"],
                "attributes": {
                    "email": ["ada@example.com"],
                    "sub": ["5f3c0de5f3c0de5f3c0de5f3"],
                    "memberOf": ["admins", "staff"],
                },
            })
        );
        let outcomes: Vec<&str> =
            json["steps"].as_array().unwrap().iter().map(|s| s["outcome"].as_str().unwrap()).collect();
        assert!(outcomes.iter().all(|outcome| matches!(*outcome, "passed" | "not_applicable")), "{json}");
        for state in ["pending_login", "browser_binding", "claim"] {
            assert_eq!(output.step(state)["outcome"], "not_applicable");
        }
    }
    let members: Vec<String> =
        desk.explain(base64.as_bytes(), &["--json"]).json().as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["accepted", "identity", "refusal", "steps"]);
}

#[test]
fn a_file_a_dash_and_nothing_are_the_three_ways_in() {
    let desk = Desk::new();
    let base64 = issued().base64();
    std::fs::write(desk.path().join("response.txt"), &base64).unwrap();
    assert_eq!(desk.explain(b"", &["response.txt"]).code, Some(0));
    assert_eq!(desk.explain(base64.as_bytes(), &["-"]).code, Some(0));
    assert_eq!(desk.explain(base64.as_bytes(), &[]).code, Some(0));
    for (file, words) in [("missing.txt", "missing.txt cannot be read"), (".", "cannot be read")] {
        let output = desk.explain(b"", &[file]);
        assert_eq!(output.code, Some(2));
        assert!(output.stderr.contains(words), "{}", output.stderr);
    }
}

#[test]
fn an_assertion_only_response_is_refused_with_what_to_click_in_jumpcloud() {
    let desk = Desk::new();
    let base64 = good().sign(Sign::Assertion).issue(test_keys::rsa_2048()).base64();
    let output = desk.refused(base64.as_bytes(), "response_not_signed");
    let step = output.step("signed");
    assert_eq!((&step["outcome"], &step["code"]), (&"refused".into(), &"response_not_signed".into()));
    assert!(step["cure"].as_str().unwrap().contains("set Sign to \"Assertion and Response\""), "{step}");
    // What was signed was verified all the same, so nothing else is wrong.
    assert_eq!(output.step("audience")["outcome"], "passed");
    let text = desk.explain(base64.as_bytes(), &[]).stdout;
    assert!(text.contains("REFUSED: response_not_signed") && text.contains("Assertion and Response"), "{text}");
    assert!(!text.contains("ada@example.com"), "{text}");
    assert_eq!(desk.explain(base64.as_bytes(), &["--sign", "assertion"]).code, Some(0));
    assert_eq!(desk.explain(base64.as_bytes(), &["--sign", "any"]).code, Some(0));
}

#[test]
fn a_response_by_another_key_shows_both_fingerprints() {
    let desk = Desk::new();
    let fingerprint =
        |pem: &str| saml_core::Certificate::parse_all(pem.as_bytes()).unwrap()[0].fingerprint().to_string();
    let offered = fingerprint(test_keys::stranger().certificate_pem());
    let pinned = fingerprint(test_keys::rsa_2048().certificate_pem());
    let output = desk.refused(good().issue(test_keys::stranger()).base64().as_bytes(), "signed_by_unknown_key");
    let step = output.step("response_signature.key");
    assert!(step["seen"].as_str().unwrap().contains(&offered), "{step}");
    assert!(step["wanted"].as_str().unwrap().contains(&pinned), "{step}");
    assert!(step["cure"].as_str().unwrap().contains("Download Certificate"), "{step}");
    assert_eq!(output.step("audience")["outcome"], "not_run");
    // With the stranger's certificate beside it, it is the other key of a rollover.
    std::fs::write(desk.path().join("new.pem"), test_keys::stranger().certificate_pem()).unwrap();
    let both = desk.explain(good().issue(test_keys::stranger()).base64().as_bytes(), &["--idp-certificate", "new.pem"]);
    assert_eq!(both.code, Some(0), "{}", both.stdout);
}

#[test]
fn a_wrong_audience_names_the_field_and_both_values() {
    let desk = Desk::new();
    let mut spec = good();
    spec.audiences = vec!["https://wrong.example/".to_owned()];
    let output = desk.refused(spec.issue(test_keys::rsa_2048()).base64().as_bytes(), "audience_mismatch");
    let step = output.step("audience");
    assert_eq!((&step["seen"], &step["wanted"]), (&"https://wrong.example/".into(), &SP.into()));
    assert!(step["cure"].as_str().unwrap().contains("SP Entity ID"), "{step}");
    // The same, because the fact is wrong and not the response.
    let output = desk.explain(issued().base64().as_bytes(), &["--audience", "https://other.example/"]);
    assert_eq!(output.code, Some(2), "a flag given twice: {}", output.stdout);
}

#[test]
fn what_is_no_response_is_said_to_be_what_it_is() {
    let desk = Desk::new();
    let page = "<!DOCTYPE html>\n<html><head><title>JumpCloud</title></head><body><form>Sign in</form></body></html>";
    desk.unusable(page.as_bytes(), "web page");
    desk.unusable(b"<!-- saved --><HTML><body/></HTML>", "web page");
    let form = "<html><body><form method=post><input name=\"SAMLResponse\" value=\"PHNhbWw\"/></form></body></html>";
    desk.unusable(form.as_bytes(), "the IdP's form");
    desk.unusable(b"", "empty");
    desk.unusable(b" \r\n\t\n", "empty");
    desk.unusable(b"\xff\xfe", "empty");
    desk.unusable(b"SAMLResponse=", "no XML");
    desk.unusable(b"hello, world", "no XML");
    desk.unusable(b"aGVsbG8sIHdvcmxk", "no XML");
    desk.unusable(b"{\"a\": 1}", "no XML");
    desk.unusable(b"\x1f\x8b\x08\0\0\0\0\0\0\x03", "gzip");
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let random: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    })
    .take(128 * 1024)
    .collect();
    desk.unusable(&random, "no XML");
    desk.unusable(STANDARD.encode(&random).as_bytes(), "no XML");
}

#[test]
fn xml_of_another_kind_is_refused_by_name() {
    let desk = Desk::new();
    let request =
        "<samlp:AuthnRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_1\" Version=\"2.0\"/>";
    let deflated = {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(request.as_bytes()).unwrap();
        STANDARD.encode(encoder.finish().unwrap())
    };
    let encoded: String = form_urlencoded::byte_serialize(deflated.as_bytes()).collect();
    for input in [
        request.to_owned(),
        STANDARD.encode(request),
        deflated.clone(),
        encoded.clone(),
        format!("SAMLRequest={encoded}&RelayState=x"),
        format!("https://sso.jumpcloud.com/saml2/samlgate?SAMLRequest={encoded}"),
        format!(
            "SAMLRequest={}",
            form_urlencoded::byte_serialize(STANDARD.encode(request).as_bytes()).collect::<String>()
        ),
    ] {
        let output = desk.explain(input.as_bytes(), &["--json"]);
        assert_eq!(output.code, Some(1), "{input}: {}{}", output.stdout, output.stderr);
        assert!(output.stdout.contains("SAMLRequest") && output.stdout.contains("not its answer"), "{}", output.stdout);
        assert!(!output.json()["refusal"].is_null());
    }
    let metadata =
        "<?xml version=\"1.0\"?><!-- ours --><md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\"/>";
    let output = desk.explain(metadata.as_bytes(), &[]);
    assert_eq!(output.code, Some(1));
    assert!(output.stdout.contains("metadata"), "{}", output.stdout);
}

#[test]
fn a_capture_that_is_damaged_says_how() {
    let desk = Desk::new();
    let issued = issued();
    let base64 = issued.base64();
    let url_safe = base64.replace('+', "-").replace('/', "_");
    assert!(url_safe != base64);
    let step = desk.refused(url_safe.as_bytes(), "base64_invalid").step("base64");
    assert!(step["seen"].as_str().unwrap().contains("URL-safe"), "{step}");
    let cut = &base64[..base64.len() / 8 * 4 + 2];
    let step = desk.refused(cut.as_bytes(), "base64_invalid").step("base64");
    assert!(step["seen"].as_str().unwrap().contains("cut off"), "{step}");
    desk.refused(&issued.xml.as_bytes()[..issued.xml.len() / 2], "xml_malformed");
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(issued.xml.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let step = desk.refused(&utf16, "xml_not_utf8").step("bytes");
    assert!(step["seen"].as_str().unwrap().contains("UTF-16"), "{step}");
    let step = desk.refused(format!("\u{feff}{}", issued.xml).as_bytes(), "xml_not_utf8").step("bytes");
    assert!(step["seen"].as_str().unwrap().contains("byte order mark"), "{step}");
    let form = issued.form_body(None);
    desk.refused(format!("{form}&{form}").as_bytes(), "saml_response_repeated");
    desk.refused(format!("{form}&SigAlg=x").as_bytes(), "form_parameter_unexpected");
    let mut large = good();
    large.padded_to = Some(150 * 1024);
    desk.refused(large.issue(test_keys::rsa_2048()).base64().as_bytes(), "response_too_large");
    large.padded_to = Some(2 * 1024 * 1024);
    desk.refused(large.issue(test_keys::rsa_2048()).xml.as_bytes(), "response_too_large");
    desk.refused(large.issue(test_keys::rsa_2048()).form_body(None).as_bytes(), "form_too_large");
}

#[test]
fn a_missing_fact_is_named_and_accepts_nothing() {
    let desk = Desk::new();
    let all = [
        ("--idp-certificate", "certificate.pem"),
        ("--idp-entity-id", IDP),
        ("--audience", SP),
        ("--acs-url", ACS),
        ("--request-id", REQUEST),
        ("--at", AT),
    ];
    let base64 = issued().base64();
    for (missing, _) in &all[..5] {
        let given: Vec<&str> =
            all.iter().filter(|(flag, _)| flag != missing).flat_map(|(flag, value)| [*flag, *value]).collect();
        let output = desk.run(&[&given[..], &["--json"]].concat(), base64.as_bytes());
        let json = output.json();
        assert_eq!(output.code, Some(1), "{json}");
        assert_eq!((&json["accepted"], &json["identity"]), (&false.into(), &Value::Null));
        let named = json["steps"].as_array().unwrap().iter().filter(|step| step["missing_fact"] == *missing);
        assert!(named.clone().count() > 0 && named.clone().all(|step| step["outcome"] == "not_run"), "{json}");
        let text = desk.run(&given, base64.as_bytes()).stdout;
        assert!(text.contains("NOT DECIDED") && text.contains(&format!("Missing: {missing}")), "{text}");
    }
    let output = desk.run(&[], base64.as_bytes());
    assert_eq!(output.code, Some(1));
    for (flag, _) in &all[..5] {
        assert!(output.stdout.contains(flag), "{}", output.stdout);
    }
}

#[test]
fn settings_give_the_facts_and_flags_go_before_them() {
    let desk = Desk::new();
    std::fs::write(desk.path().join("samlgate.yaml"), SETTINGS).unwrap();
    let base64 = issued().base64();
    let explain = |more: &[&str]| {
        let arguments = ["--config", "samlgate.yaml", "--request-id", REQUEST, "--at", AT];
        desk.run(&[&arguments, more].concat(), base64.as_bytes())
    };
    let output = explain(&[]);
    assert_eq!(output.code, Some(0), "{}{}", output.stdout, output.stderr);
    assert!(output.stdout.contains("ACCEPTED") && output.stdout.contains("ada@example.com"), "{}", output.stdout);
    assert_eq!(explain(&["--idp", "jumpcloud"]).code, Some(0));
    assert_eq!(explain(&["--idp", "okta"]).code, Some(2));
    let output = explain(&["--audience", "https://other.example/", "--json"]);
    assert_eq!((output.code, &output.json()["refusal"]), (Some(1), &"audience_mismatch".into()));
    let broken = SETTINGS.replace("upstream: app }", "upstream: nothing }");
    std::fs::write(desk.path().join("samlgate.yaml"), broken).unwrap();
    let output = explain(&[]);
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("nothing"), "{}", output.stderr);
}

#[test]
fn an_encrypted_assertion_is_opened_with_the_keys_of_the_settings() {
    use std::os::unix::fs::PermissionsExt as _;

    let desk = Desk::new();
    let keys = desk.path().join("keys");
    std::fs::create_dir(&keys).unwrap();
    let key = keys.join("sp-decryption.current");
    std::fs::write(&key, key_file(test_keys::decryption())).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(desk.path().join("keyless.yaml"), SETTINGS).unwrap();
    std::fs::write(desk.path().join("samlgate.yaml"), format!("keys_dir: keys\n{SETTINGS}")).unwrap();
    let explain = |settings: &str, recipient| {
        let encrypted = good().encrypt(Encryption::to(recipient)).issue(test_keys::rsa_2048()).base64();
        let arguments = ["--config", settings, "--request-id", REQUEST, "--at", AT, "--json"];
        let output = desk.run(&arguments, encrypted.as_bytes());
        assert!(!output.stdout.contains("PRIVATE"), "{}", output.stdout);
        (output.code, output.json()["refusal"].as_str().map(str::to_owned))
    };
    assert_eq!(explain("samlgate.yaml", test_keys::decryption()), (Some(0), None));
    let refused = |code: &str| (Some(1), Some(code.to_owned()));
    assert_eq!(explain("samlgate.yaml", test_keys::stranger()), refused("decryption_failed"));
    assert_eq!(explain("keyless.yaml", test_keys::decryption()), refused("encryption_unsupported"));
}

#[test]
fn wrong_flags_are_said_and_end_with_two() {
    let desk = Desk::new();
    std::fs::write(desk.path().join("cut.pem"), "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    for (arguments, words) in [
        (&["--sign", "both"][..], "assertion_and_response"),
        (&["--at", "yesterday"], "2026-11-23T14:44:31Z"),
        (&["--acs-url", "app.example.com"], "https://"),
        (&["--request-id", "a b"], "letters"),
        (&["--idp-certificate", "missing.pem"], "missing.pem"),
        (&["--idp-certificate", "cut.pem"], "truncated"),
        (&["--idp", "jumpcloud"], "--config"),
        (&["--config", "missing.yaml"], "missing.yaml"),
        (&["--frobnicate"], "--frobnicate"),
    ] {
        let output = desk.run(arguments, issued().base64().as_bytes());
        assert_eq!(output.code, Some(2), "{arguments:?}: {}", output.stdout);
        assert!(output.stderr.contains(words), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn times_are_judged_as_of_then_in_any_time_zone() {
    let desk = Desk::new();
    let base64 = issued().base64();
    let at = |time: &str| {
        let facts =
            ["--idp-certificate", "certificate.pem", "--idp-entity-id", IDP, "--audience", SP, "--acs-url", ACS];
        desk.run(&[&facts[..], &["--request-id", REQUEST, "--json", "--at", time]].concat(), base64.as_bytes())
    };
    assert_eq!(at("2026-11-23T15:44:31+01:00").code, Some(0));
    assert_eq!(at("2026-11-23T14:44:31.5Z").code, Some(0));
    let late = at("2026-11-23T15:44:31Z");
    assert_eq!((late.code, &late.json()["refusal"]), (Some(1), &"assertion_expired".into()));
    let early = at("2026-11-23T13:44:31Z");
    assert_eq!((early.code, &early.json()["refusal"]), (Some(1), &"assertion_not_yet_valid".into()));
}

/// Group names are a stranger's text, and a terminal obeys what it is told.
#[test]
fn what_a_stranger_wrote_reaches_no_terminal_as_it_is() {
    let desk = Desk::new();
    let mut spec = good();
    spec.audiences = vec!["https://evil.example/\u{9b}31m\u{202e}\u{200b}".to_owned()];
    let base64 = spec.issue(test_keys::rsa_2048()).base64();
    for flag in [&[][..], &["--json"]] {
        let output = desk.explain(base64.as_bytes(), flag);
        assert_eq!(output.code, Some(1));
        assert!(output.stdout.contains("evil.example"), "{}", output.stdout);
        let strange =
            |character: char| character != '\n' && (character.is_control() || "\u{202e}\u{200b}".contains(character));
        assert!(!output.stdout.contains(strange), "{:?}", output.stdout);
    }
}

/// Whatever comes in, the answer is one of three, and never a panic.
#[test]
fn every_damage_to_a_capture_is_explained() {
    let desk = Desk::new();
    let issued = issued();
    let mut state = 7_u32;
    let mut random = |limit: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % limit
    };
    for source in [issued.xml.into_bytes(), good().issue(test_keys::rsa_2048()).form_body(Some("x")).into_bytes()] {
        for _ in 0..40 {
            let mut input = source.clone();
            for _ in 0..=random(3) {
                let at = random(input.len());
                match random(4) {
                    0 => input[at] = random(256) as u8,
                    1 => input.truncate(at + 1),
                    2 => input.insert(at, random(256) as u8),
                    _ => drop(input.drain(..at)),
                }
            }
            let output = desk.explain(&input, &["--json"]);
            assert!(matches!(output.code, Some(0..=2)), "{:?}: {}", output.code, output.stderr);
            assert_eq!(output.json()["accepted"], output.code == Some(0));
        }
    }
}
