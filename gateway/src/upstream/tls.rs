//! TLS to the servers of an upstream: what we trust, what we show, and why a handshake failed.
//!
//! There is no way to leave out the verification of certificate and name. Pingora turns it off where the server's name is
//! empty, so a name that is none is refused here.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use config::{TlsFiles, Upstream, UpstreamTls};
use pingora::protocols::tls::CaType;
use pingora::tls::{CertificateDer, ClientConfig, PrivateKeyDer, RootCertStore, ServerName};
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{CertKey, WrappedX509, parse_x509};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// Files that `check` has seen and that TLS cannot use.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}; {cure}", self.path())]
pub struct UpstreamTlsError {
    upstream: String,
    key: &'static str,
    pub problem: String,
    pub cure: &'static str,
}

impl UpstreamTlsError {
    fn of(upstream: &Upstream, (key, problem, cure): Failed) -> Self {
        Self { upstream: upstream.name.clone(), key, problem, cure }
    }

    /// Where the mistake stands in the settings.
    pub fn path(&self) -> String {
        format!("upstreams.{}.tls.{}", self.upstream, self.key)
    }
}

/// Whom we trust and what we show, for all servers of an upstream.
pub(super) struct Credentials {
    server_name: Option<String>,
    /// The system's where absent.
    authorities: Option<Arc<CaType>>,
    client: Option<Arc<CertKey>>,
}

impl Credentials {
    /// `None` for plain http.
    pub(super) fn load(upstream: &Upstream) -> Result<Option<Self>, UpstreamTlsError> {
        let loaded = upstream.tls.as_ref().map(Self::of).transpose();
        loaded.map_err(|failed| UpstreamTlsError::of(upstream, failed))
    }

    fn of(tls: &UpstreamTls) -> Result<Self, Failed> {
        pingora::tls::install_default_crypto_provider();
        Ok(Self {
            server_name: tls.server_name.clone(),
            authorities: tls.ca_file.as_deref().map(authorities).transpose()?,
            client: tls.client.as_ref().map(client).transpose()?,
        })
    }

    /// What the certificate of the server at `host` must hold.
    pub(super) fn name_of(&self, upstream: &Upstream, host: &str) -> Result<String, UpstreamTlsError> {
        let name = self.server_name.as_deref().unwrap_or(host);
        match ServerName::try_from(name) {
            Ok(_) => Ok(name.to_owned()),
            Err(error) => {
                let problem = format!("{name:?} is no name that can be verified: {error}");
                let cure = "write the name that the servers' certificates hold";
                Err(UpstreamTlsError::of(upstream, ("server_name", problem, cure)))
            }
        }
    }

    pub(super) fn dress(&self, peer: &mut HttpPeer) {
        peer.options.ca.clone_from(&self.authorities);
        peer.client_cert_key.clone_from(&self.client);
    }
}

/// The key in the settings, what is wrong, and the cure.
type Failed = (&'static str, String, &'static str);

fn authorities(path: &Path) -> Result<Arc<CaType>, Failed> {
    let failed =
        |problem| ("ca_file", problem, "give the certificates of your authorities, as PEM and with nothing else");
    let certificates = certificates(path).map_err(failed)?;
    let mut trusted = RootCertStore::empty();
    for certificate in &certificates {
        let anchor = trusted.add(CertificateDer::from(certificate.as_slice()));
        anchor.map_err(|error| failed(format!("{} cannot be trusted: {error}", path.display())))?;
    }
    Ok(certificates.into_iter().map(|der| WrappedX509::new(der, parse_x509)).collect())
}

fn client(files: &TlsFiles) -> Result<Arc<CertKey>, Failed> {
    let cure = "give a certificate, its intermediates and its key, each as PEM; the key without a password";
    let failed = |problem| ("client_certificate_file", problem, cure);
    let chain = certificates(&files.certificate_file).map_err(failed)?;
    let key = private_key(&files.key_file).map_err(|problem| ("client_key_file", problem, cure))?;
    let presented = chain.iter().map(|der| CertificateDer::from(der.clone())).collect();
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_client_auth_cert(presented, key.clone_key())
        .map_err(|error| failed(format!("the certificate and the key do not fit together: {error}")))?;
    Ok(Arc::new(CertKey::new(chain, key.secret_der().to_vec())))
}

/// In the form that Pingora reads again at each connection, and panics where it cannot.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let keys = blocks(path)?;
    let key = keys.into_iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
    let key = key.ok_or_else(|| format!("{} holds no private key", path.display()))?;
    PrivateKeyDer::try_from(key.into_contents())
        .map_err(|_| format!("{} holds a private key of a kind that is not known", path.display()))
}

/// Each as DER that Pingora can read, which panics where it cannot.
fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let shown = path.display();
    let mut certificates = Vec::new();
    for block in blocks(path)? {
        if block.tag() != "CERTIFICATE" {
            return Err(format!("{shown} holds something that is no certificate"));
        }
        let certificate = block.into_contents();
        match X509Certificate::from_der(&certificate) {
            Ok(([], _)) => certificates.push(certificate),
            _ => return Err(format!("{shown} holds a certificate that cannot be read")),
        }
    }
    if certificates.is_empty() {
        return Err(format!("{shown} holds no certificate"));
    }
    Ok(certificates)
}

fn blocks(path: &Path) -> Result<Vec<pem::Pem>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    pem::parse_many(bytes).map_err(|_| format!("{} is no PEM", path.display()))
}

/// Why a handshake with a server failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    Expired,
    NotYetValid,
    OtherName,
    UnknownIssuer,
    /// Anything else that is wrong with the certificate.
    BadCertificate,
    /// The server refused us, or the certificate that we showed or did not show.
    RefusedUs,
    /// It speaks no TLS, or none that we speak.
    Broken,
}

/// rustls' words, each behind what comes before it; Pingora keeps no more of the error than its text.
const CERTIFICATE: &str = "invalid peer certificate: ";
const ALERT: &str = "received fatal alert: ";
const OF_CERTIFICATES: [(&str, TlsFault); 6] = [
    ("certificate expired", TlsFault::Expired),
    ("certificate not valid yet", TlsFault::NotYetValid),
    ("certificate not valid for name", TlsFault::OtherName),
    ("NotValidForName", TlsFault::OtherName),
    ("UnknownIssuer", TlsFault::UnknownIssuer),
    // An authority of the same name with another key: an older one, or a pretended one.
    ("BadSignature", TlsFault::UnknownIssuer),
];

impl TlsFault {
    /// From the text of an error. Names that a certificate holds stand in it as well, behind what is looked for.
    pub fn of(text: &str) -> Self {
        if let Some((_, said)) = text.split_once(CERTIFICATE) {
            let known = OF_CERTIFICATES.iter().find(|(words, _)| said.starts_with(words));
            return known.map_or(Self::BadCertificate, |(_, fault)| *fault);
        }
        if text.contains(ALERT) { Self::RefusedUs } else { Self::Broken }
    }

    pub const fn cure(self) -> &'static str {
        match self {
            Self::Expired => "renew the certificate of that server, and see that the clock of this machine is right",
            Self::NotYetValid => "see that the clocks of this machine and of that server are right",
            Self::OtherName => {
                "write the name that the server's certificate holds as `tls.server_name` of the upstream, or give the server a \
                 certificate for the name that `servers` has"
            }
            Self::UnknownIssuer => {
                "name the authority that issued the server's certificate as `tls.ca_file` of the upstream, and have the server \
                 send its intermediates"
            }
            Self::BadCertificate => {
                "give that server a certificate that is made for servers, of a key of today's strength"
            }
            Self::RefusedUs => {
                "see the server's log: it may want a certificate of us, `tls.client_certificate_file` of the upstream, or another"
            }
            Self::Broken => {
                "see that the server speaks TLS 1.2 or 1.3 at that port; for plain http remove `tls` of the upstream"
            }
        }
    }
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its certificate has expired",
            Self::NotYetValid => "its certificate is not valid yet",
            Self::OtherName => "its certificate is for another name",
            Self::UnknownIssuer => "its certificate was issued by nobody whom we trust",
            Self::BadCertificate => "its certificate is not acceptable",
            Self::RefusedUs => "it broke off the TLS handshake",
            Self::Broken => "the TLS handshake failed",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pingora::tls::{CertificateError, RusTlsError, UnixTime};

    use super::*;

    fn fault(error: CertificateError) -> TlsFault {
        let error = RusTlsError::InvalidCertificate(error);
        TlsFault::of(&format!("Fail to connect context: TLS connect() failed: {error}, SNI: app cause: x"))
    }

    #[test]
    fn reads_what_rustls_says_of_a_certificate() {
        let (early, late) =
            (UnixTime::since_unix_epoch(Duration::from_secs(1)), UnixTime::since_unix_epoch(Duration::from_secs(2)));
        assert_eq!(fault(CertificateError::ExpiredContext { time: late, not_after: early }), TlsFault::Expired);
        assert_eq!(
            fault(CertificateError::NotValidYetContext { time: early, not_before: late }),
            TlsFault::NotYetValid
        );
        assert_eq!(fault(CertificateError::UnknownIssuer), TlsFault::UnknownIssuer);
        assert_eq!(fault(CertificateError::BadSignature), TlsFault::UnknownIssuer);
        assert_eq!(fault(CertificateError::BadEncoding), TlsFault::BadCertificate);
        assert_eq!(fault(CertificateError::NotValidForName), TlsFault::OtherName);
    }

    #[test]
    fn names_in_a_certificate_say_nothing() {
        let presented = vec!["invalid peer certificate: certificate expired".to_owned()];
        let expected = ServerName::try_from("app").unwrap();
        assert_eq!(fault(CertificateError::NotValidForNameContext { expected, presented }), TlsFault::OtherName);
    }

    #[test]
    fn what_is_no_certificate_is_told_apart_by_alerts() {
        assert_eq!(TlsFault::of("received fatal alert: CertificateRequired"), TlsFault::RefusedUs);
        assert_eq!(TlsFault::of("received corrupt message of type InvalidContentType"), TlsFault::Broken);
    }
}
