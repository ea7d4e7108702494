//! The certificate of the public listener, which a reload may replace while connections are made.

use std::sync::Arc;

use arc_swap::ArcSwap;
use config::TlsFiles;
use pingora::listeners::tls::TlsSettings;
use pingora::tls::sign::CertifiedKey;
use pingora::tls::{ClientHello, ResolvesServerCert, ServerConfig, load_certs_and_key_files};
use saml_core::{Certificate, Timestamp};

/// Why the listener cannot use its files.
#[derive(Debug, thiserror::Error)]
#[error("`tls` cannot be used: {problem}")]
pub struct TlsError {
    problem: String,
}

#[derive(Debug)]
pub struct LiveCertificate(ArcSwap<CertifiedKey>);

impl LiveCertificate {
    /// # Errors
    /// A file is missing or unreadable, or the key is of another certificate.
    pub fn read(files: &TlsFiles) -> Result<Self, TlsError> {
        certified_key(files).map(|key| Self(ArcSwap::from_pointee(key)))
    }

    /// New connections get the certificate that the files hold by now.
    pub fn replace(&self, by: Self) {
        self.0.store(by.0.into_inner());
    }

    /// When it ends, of one that this reads.
    pub fn not_after(&self) -> Option<Timestamp> {
        let own = self.0.load();
        let certificates = Certificate::parse_all(own.cert.first()?).ok()?;
        certificates.first().map(Certificate::not_after)
    }

    /// HTTP/2 and HTTP/1.1, by ALPN (RFC 7301).
    ///
    /// # Errors
    /// As [`LiveCertificate::read`].
    pub fn settings(self: &Arc<Self>, files: &TlsFiles) -> Result<TlsSettings, TlsError> {
        let (certificate, key) = names(files);
        let mut settings = TlsSettings::intermediate(&certificate, &key)
            .map_err(|error| TlsError { problem: format!("{certificate} and {key}: {}", error.etype().as_str()) })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Self>::clone(self);
        settings.set_cert_resolver(resolver);
        settings.enable_h2();
        Ok(settings)
    }
}

impl ResolvesServerCert for LiveCertificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

fn names(files: &TlsFiles) -> (String, String) {
    (files.certificate_file.display().to_string(), files.key_file.display().to_string())
}

fn certified_key(files: &TlsFiles) -> Result<CertifiedKey, TlsError> {
    let failed = |problem: String| TlsError { problem };
    let (certificate, key) = names(files);
    pingora::tls::install_default_crypto_provider();
    let (chain, private_key) = load_certs_and_key_files(&certificate, &key)
        .map_err(|error| failed(format!("{certificate} or {key} cannot be read: {}", error.etype().as_str())))?
        .ok_or_else(|| failed(format!("{certificate} holds no certificate or {key} no key")))?;
    let provider = Arc::clone(ServerConfig::builder().crypto_provider());
    CertifiedKey::from_der(chain, private_key, &provider)
        .map_err(|error| failed(format!("{certificate} and {key} do not fit together: {error}")))
}
