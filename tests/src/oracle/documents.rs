//! Folders of documents: those that the suite had signed, and responses of real issuers with the facts of the login.

use std::path::{Path, PathBuf};

use saml_core::Sign;
use serde::Deserialize;

use super::facts::Facts;
use super::judge::{Case, Expected, Trust};

/// Signers that write what we refuse by a rule of our own.
const REFUSED: [(&str, &str); 2] = [
    // With a PrefixList, it writes InclusiveNamespaces into the enveloped transform too.
    ("xml-crypto PrefixList", "shape_forbidden"),
    // It binds the prefix of the Signature to a second namespace.
    ("java ECKeyValue", "xml_namespace_forbidden"),
];

/// Every `ORIGIN-NUMBER.xml` of the folder, signed by our test keys.
pub fn generated(folder: &Path) -> Vec<Case> {
    let case = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        let (origin, _) = name.rsplit_once('-')?;
        let refused = REFUSED.iter().find(|(signer, _)| *signer == origin);
        let expected = refused.map_or(Expected::Accepted, |(_, code)| Expected::Refused(code));
        let xml = std::fs::read(&path).ok()?;
        Some(Case { origin: origin.to_owned(), name, xml, trust: Trust::TestKeys, expected })
    };
    files(folder, "xml").filter_map(case).collect()
}

/// Every `NAME.facts.json` of the folder and the `NAME.xml` beside it, as `tests/issuers/run` writes them.
/// Encrypted responses are left out: neither judge has our key.
pub fn stated(folder: &Path) -> Vec<Case> {
    let case = |path: PathBuf| {
        let json = std::fs::read(&path).expect("the facts can be read");
        let written: Written = serde_json::from_slice(&json).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        if !written.encryption.is_null() {
            return None;
        }
        let name = path.file_name()?.to_str()?.trim_end_matches(".facts.json").to_owned();
        let xml = std::fs::read(path.with_file_name(format!("{name}.xml"))).expect("a response beside its facts");
        let origin = format!("{} {}", written.issuer, written.issuer_version);
        let admitted = written.outcome == "admitted";
        let expected = if admitted { Expected::Accepted } else { Expected::Anything };
        Some(Case { origin, name, xml, trust: Trust::Stated(Box::new(written.stated())), expected })
    };
    files(folder, "json").filter_map(case).collect()
}

fn files(folder: &Path, extension: &str) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|found| found == extension));
    files.sort();
    files.into_iter()
}

#[derive(Deserialize)]
struct Written {
    issuer: String,
    issuer_version: String,
    sign: String,
    encryption: serde_json::Value,
    outcome: serde_json::Value,
    idp_entity_id: String,
    idp_certificate: String,
    sp_entity_id: String,
    acs_url: String,
    request_id: String,
    at: String,
    person: Person,
}

#[derive(Deserialize)]
struct Person {
    email: String,
}

impl Written {
    fn stated(self) -> Stated {
        let sign = match &*self.sign {
            "assertion_and_response" => Sign::AssertionAndResponse,
            "response" => Sign::Response,
            "assertion" => Sign::Assertion,
            _ => Sign::Any,
        };
        Stated {
            certificate: self.idp_certificate,
            sign,
            email: self.person.email,
            issuer: self.idp_entity_id,
            recipient: self.acs_url,
            audience: self.sp_entity_id,
            request: self.request_id,
            at: self.at,
        }
    }
}

/// The facts of a login that took place.
#[derive(Debug, Clone)]
pub struct Stated {
    pub(super) certificate: String,
    pub(super) sign: Sign,
    pub(super) email: String,
    issuer: String,
    recipient: String,
    audience: String,
    request: String,
    at: String,
}

impl Stated {
    pub(super) fn instead_of(&self, read: Facts) -> Facts {
        Facts {
            issuer: self.issuer.clone(),
            recipient: self.recipient.clone(),
            audience: self.audience.clone(),
            request: self.request.clone(),
            issued: self.at.clone(),
            ..read
        }
    }
}
