//! A directory with a certificate, and the smallest settings that are right.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use config::{ConfigError, ConfigErrors, Loaded};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use saml_core::Timestamp;
use tempfile::TempDir;

pub(crate) const MINIMAL: &str = "\
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

/// 2025-06-01T00:00:00Z, well inside the life of the certificate.
pub(crate) const NOW: Timestamp = Timestamp::from_unix(1_748_736_000, 0);
/// 2030-01-01T00:00:00Z, when the certificate ends.
pub(crate) const END: Timestamp = Timestamp::from_unix(1_893_456_000, 0);

pub(crate) struct Folder {
    dir: TempDir,
    pub(crate) certificate: String,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap(), certificate: certificate().0 };
        folder.write("certificate.pem", &folder.certificate, 0o644);
        folder
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    pub(crate) fn parse_at(
        &self,
        yaml: &str,
        variables: &[(&str, &str)],
        now: Timestamp,
    ) -> Result<Loaded, ConfigErrors> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        config::parse_at(yaml, self.path(), variables, now)
    }

    pub(crate) fn parse(&self, yaml: &str) -> Result<Loaded, ConfigErrors> {
        self.parse_at(yaml, &[], NOW)
    }

    pub(crate) fn accepted(&self, yaml: &str) -> Loaded {
        self.parse(yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"))
    }

    pub(crate) fn refused(&self, yaml: &str) -> ConfigErrors {
        match self.parse(yaml) {
            Ok(_) => panic!("accepted:\n{yaml}"),
            Err(errors) => errors,
        }
    }

    pub(crate) fn only_mistake(&self, yaml: &str) -> ConfigError {
        let errors = self.refused(yaml);
        assert_eq!(errors.len(), 1, "{errors}\n{yaml}");
        errors.errors[0].clone()
    }
}

/// A certificate that ends at [`END`], and its key, as PEM.
pub(crate) fn certificate() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["idp.example".to_owned()]).unwrap();
    params.not_before = date_time_ymd(2025, 1, 1);
    params.not_after = date_time_ymd(2030, 1, 1);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

/// [`MINIMAL`] with more at the end.
pub(crate) fn with(more: &str) -> String {
    format!("{MINIMAL}{more}\n")
}

pub(crate) fn with_idp(more: &str) -> String {
    let line = "    certificate_file: certificate.pem\n";
    MINIMAL.replace(line, &format!("{line}    {more}\n"))
}

pub(crate) fn with_first_route(route: &str) -> String {
    MINIMAL.replace("routes:\n", &format!("routes:\n  - {route}\n"))
}

pub(crate) fn instead(old: &str, new: &str) -> String {
    assert!(MINIMAL.contains(old), "{old}");
    MINIMAL.replace(old, new)
}
