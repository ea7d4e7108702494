//! The machines of a route, from its `tokens_file`.

use config::TokenHash;

use crate::support::{Folder, with_first_route};

const HASH: &str = "sha256:ab01000000000000000000000000000000000000000000000000000000000cde";

fn route(access: &str) -> String {
    with_first_route(&format!("{{ path_prefix: /x, access: {access}, upstream: app, tokens_file: tokens.yaml }}"))
}

fn folder(tokens: &str) -> Folder {
    let folder = Folder::new();
    folder.write("tokens.yaml", tokens, 0o644);
    folder
}

fn entry(text: &str) -> String {
    format!("tokens:\n  - {{ {text} }}\n")
}

fn good() -> String {
    entry(&format!("name: ci, hash: '{HASH}', groups: [engineers], expires: '2027-01-31T00:00:00Z'"))
}

#[test]
fn machines_have_names_groups_and_an_end() {
    let loaded = folder(&good()).accepted(&route("signed_in"));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let [machine] = loaded.settings.routes[0].machines.as_slice() else { panic!("one machine") };
    assert_eq!((machine.name.as_str(), machine.groups.as_slice()), ("ci", ["engineers".to_owned()].as_slice()));
    assert_eq!((machine.token.to_string().as_str(), TokenHash::parse(HASH)), (HASH, Some(machine.token)));
    assert_eq!(machine.expires.to_string(), "2027-01-31T00:00:00.000Z");
    assert!(loaded.settings.routes[1].machines.is_empty());
}

#[test]
fn mistakes_in_the_file_are_told_with_their_place() {
    for (tokens, part) in [
        ("tokens: [", "is no YAML"),
        ("", "tokens is missing"),
        ("tokens:\n  - { name: ci }\n", "tokens.yaml, line 2: tokens[0].hash is missing"),
        (&entry("name: c i, hash: x, expires: y"), "no name of a machine"),
        (&entry("name: ci, hash: 'sha256:ab', expires: y"), "no hash of a token"),
        (&entry(&format!("name: ci, hash: '{HASH}', expires: tomorrow")), "\"tomorrow\" and is no time"),
        (&entry(&format!("name: ci, hash: '{HASH}', expires: '2027-01-31T00:00:00Z', group: x")), "group"),
        (&good().replace("tokens:\n", &good()), "listed twice"),
    ] {
        let errors = folder(tokens).refused(&route("signed_in"));
        let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert!(errors.iter().all(|error| error.path == "routes[0].tokens_file" && error.line.is_some()), "{said:?}");
        assert!(said.iter().any(|line| line.contains(part)), "{part:?} is not in {said:?}");
    }
    let missing = Folder::new().only_mistake(&route("signed_in"));
    assert!(missing.problem.contains("cannot be read"), "{missing}");
}

#[test]
fn a_token_in_the_place_of_its_hash_is_not_shown() {
    let errors = folder(&entry("name: ci, hash: samlgate_secret, expires: '2027-01-31T00:00:00Z'"));
    let said = errors.refused(&route("signed_in")).to_string();
    assert!(said.contains("never the token itself") && !said.contains("secret"), "{said}");
}

#[test]
fn warns_of_tokens_that_admit_nobody() {
    let warned = |tokens: &str, access: &str| {
        let warnings = folder(tokens).accepted(&route(access)).warnings;
        let [warning] = warnings.as_slice() else { panic!("{warnings:?}") };
        assert_eq!(warning.path, "routes[0].tokens_file");
        warning.problem.clone()
    };
    assert!(warned(&good(), "public").contains("public route"));
    assert!(warned(&good(), "{ emails: [a@example.com] }").contains("addresses alone"));
    assert!(warned(&good().replace("2027", "2024"), "signed_in").contains("is over"));
}

#[test]
fn the_names_of_machines_are_no_idps() {
    let yaml = crate::support::MINIMAL.replace("id: jumpcloud\n", "id: machine\n");
    assert!(Folder::new().only_mistake(&yaml).problem.contains("machines"), "reserved");
}
