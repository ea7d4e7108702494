//! Certificates of applications that speak TLS, and of those who may ask them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use time::{Duration, OffsetDateTime};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

/// A certificate authority of a test's own.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate with its key, both as PEM.
pub struct Issued {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority can be made"))
    }

    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// For these DNS names and addresses, valid now.
    pub fn issue(&self, names: &[&str]) -> Issued {
        self.issue_until(names, OffsetDateTime::now_utc() + Duration::days(1))
    }

    pub fn issue_until(&self, names: &[&str], end: OffsetDateTime) -> Issued {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names are names");
        params.not_before = OffsetDateTime::now_utc() - Duration::days(30);
        params.not_after = end;
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("a certificate can be signed");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// Who asks must show a certificate of this authority.
    pub fn wanted_by(&self, server: &Issued, protocols: &[&str]) -> Arc<ServerConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority is one");
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), default_provider().into());
        server.config_with(Some(verifier), protocols)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Issued {
    /// A server that shows this certificate, and offers these protocols by ALPN.
    pub fn config(&self, protocols: &[&str]) -> Arc<ServerConfig> {
        self.config_with(None, protocols)
    }

    fn config_with(
        &self,
        clients: Option<tokio_rustls::rustls::server::ClientCertVerifierBuilder>,
        protocols: &[&str],
    ) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .expect("the provider has them");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(clients.build().expect("there is an authority")),
        };
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("it is PEM");
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("it is PEM");
        let mut config = builder.with_single_cert(vec![certificate], key).expect("they fit together");
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        config.into()
    }
}
