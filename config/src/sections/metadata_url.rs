//! Metadata by URL: where it lies, and which of the keys in it are believed.

use std::path::PathBuf;
use std::time::Duration;

use saml_core::{Fingerprint, NewKeys, SsoUrl};
use url::Url;

use super::accept;
use crate::check::{self, Fault};
use crate::settings::MetadataSource;
use crate::source::Findings;
use crate::table::{Choices, Kind, Section, seconds};

/// Settings that have a meaning beside `metadata_url` alone.
const COMPANIONS: [&str; 4] = ["trusted_keys", "new_keys", "metadata_refresh", "metadata_ca_file"];

pub(super) const REFRESH: Kind = Kind::Duration { min: seconds(5 * 60), max: seconds(7 * 24 * 60 * 60) };
const DEFAULT_REFRESH: Duration = seconds(60 * 60);

pub(super) static NEW_KEYS: Choices = Choices { values: &["accept"], later: &[] };

/// `None` where something is wrong with it, which was reported.
pub(super) fn read(section: &Section<'_>, sso_url: Option<SsoUrl>, findings: &mut Findings) -> Option<MetadataSource> {
    let url = section.text("metadata_url").and_then(|text| {
        let outcome = metadata_url(text);
        accept(outcome, || section.place("metadata_url"), findings)
    });
    let new_keys = new_keys(section, findings);
    let ca_file = ca_file(section, findings);
    let complete = ca_file.is_some() || !section.has("metadata_ca_file");
    let refresh = section.duration("metadata_refresh").unwrap_or(DEFAULT_REFRESH);
    let source = MetadataSource { url: url?, new_keys: new_keys?, refresh, ca_file, sso_url };
    complete.then_some(source)
}

/// What stands there for metadata by URL, and there is none.
pub(super) fn refuse_companions(section: &Section<'_>, findings: &mut Findings) {
    for key in COMPANIONS.into_iter().filter(|key| section.has(key)) {
        let problem = "has a meaning only beside `metadata_url`";
        findings.refuse(section.place(key), problem, "remove it; the certificates in the settings are all pinned");
    }
}

/// Whoever can change what we read there could add a key of their own.
fn metadata_url(text: &str) -> Result<Url, Fault> {
    let cure = "write an https address such as `https://idp.example/metadata`";
    let url = Url::parse(text).map_err(|error| Fault::new(format!("is no address: {error}"), cure))?;
    let host = url.host_str().unwrap_or_default();
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(Fault::new("holds a user name, a password or a fragment", cure));
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if matches!(host, "localhost" | "127.0.0.1" | "[::1]") => Ok(url),
        "http" => Err(Fault::new("is plain http: whoever sits between could name keys of their own", cure)),
        _ => Err(Fault::new("begins with neither https:// nor http://", cure)),
    }
}

fn new_keys(section: &Section<'_>, findings: &mut Findings) -> Option<NewKeys> {
    match (section.has("trusted_keys"), section.choice("new_keys")) {
        (true, None) => {
            let keys = trusted_keys(section, findings)?;
            (!keys.is_empty()).then_some(NewKeys::Listed(keys))
        }
        (true, Some(_)) => {
            let cure = "keep `trusted_keys`, so that a key which you do not know is held until you add it";
            findings.refuse(section.place("new_keys"), "stands beside `trusted_keys` and would void it", cure);
            None
        }
        (false, Some(_)) => Some(NewKeys::Accept),
        (false, None) => {
            if !section.has("new_keys") {
                let cure = "write `trusted_keys: [\"sha256:...\"]` with the fingerprints of the IdP's signing certificates, asked of \
                            its administrators (`openssl x509 -noout -fingerprint -sha256 -in certificate.pem` shows one); or \
                            `new_keys: accept`, to trust whatever that server says from now on";
                let problem = "is missing: who is to say which of the keys at `metadata_url` are the IdP's";
                findings.refuse(section.place("trusted_keys"), problem, cure);
            }
            None
        }
    }
}

fn trusted_keys(section: &Section<'_>, findings: &mut Findings) -> Option<Vec<Fingerprint>> {
    let mut keys: Vec<Fingerprint> = Vec::new();
    let mut complete = true;
    for (index, text) in section.texts("trusted_keys") {
        let place = || section.place_in_list("trusted_keys", index);
        match Fingerprint::parse(text) {
            Ok(key) if keys.contains(&key) => {
                findings.refuse_twin(place());
                complete = false;
            }
            Ok(key) => keys.push(key),
            Err(_) => {
                let cure = "write `sha256:` and the 64 hexadecimal digits that `openssl x509 -noout -fingerprint -sha256` shows";
                findings.refuse(place(), "is no SHA-256 fingerprint", cure);
                complete = false;
            }
        }
    }
    complete.then_some(keys)
}

fn ca_file(section: &Section<'_>, findings: &mut Findings) -> Option<PathBuf> {
    let path = findings.file(section.text("metadata_ca_file")?);
    let outcome = check::authorities(&path);
    accept(outcome, || section.place("metadata_ca_file"), findings).map(|()| path)
}
