//! What is generated from the tables, and the example.

use std::fs;
use std::path::PathBuf;

use crate::support::Folder;

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// `UPDATE_DOCS=1 cargo test -p config` writes it.
#[test]
fn committed_reference_is_up_to_date() {
    let path = docs().join("configuration.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, config::reference()).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == config::reference(), "run UPDATE_DOCS=1 cargo test -p config, and commit {}", path.display());
}

#[test]
fn example_loads_without_a_warning() {
    let example = fs::read_to_string(docs().join("samlgate.example.yaml")).unwrap();
    let loaded = Folder::new().accepted(&example);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.settings.routes.len(), 4);
}

#[test]
fn schema_describes_every_key_of_the_example_and_no_later_one() {
    let schema = config::json_schema();
    let example = fs::read_to_string(docs().join("samlgate.example.yaml")).unwrap();
    for line in example.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase())) {
        let key = line.split(':').next().unwrap();
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert!(schema["properties"]["branding"].is_null());
    assert_eq!(schema["additionalProperties"], false);
    let stores = &schema["properties"]["session"]["properties"]["store"]["enum"];
    assert_eq!(*stores, serde_json::json!(["memory", "redis", "sealed"]));
    assert_eq!(schema["required"], serde_json::json!(["public_url", "identity_providers", "routes"]));
    let idp = &schema["properties"]["identity_providers"]["items"];
    assert_eq!(idp["properties"]["certificate_file"]["oneOf"][1]["type"], "array");
    assert_eq!(schema["properties"]["routes"]["items"]["properties"]["access"]["oneOf"][0]["enum"][1], "signed_in");
}

/// The sentence of the reference holds: each listed variable sets its key.
#[test]
fn every_variable_of_the_reference_is_known() {
    let reference = config::reference();
    let names: Vec<&str> =
        reference.lines().filter_map(|line| line.strip_prefix("- `SAMLGATE_")?.strip_suffix('`')).collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let variable = (format!("SAMLGATE_{name}"), "\u{1}".to_owned());
        let errors = config::parse("", &docs(), std::iter::once(variable.clone())).unwrap_err();
        let from = format!("(from {})", variable.0);
        assert!(errors.iter().any(|error| error.path.ends_with(&from)), "{errors}");
    }
}
