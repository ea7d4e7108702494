//! The keys of our SAML messages: `sp-signing` signs what we send, `sp-decryption` opens what is encrypted for us.
//! Two keys, for where one serves two purposes, the weakness of one is the weakness of the other.
//!
//! Each file is PEM and holds a private key and the certificate in which IdPs learn its public half.

use std::path::Path;
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use saml_core::{DecryptionKey, DecryptionKeys, KeyPemError, OwnCertificate, SigningKey};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::KeyError;
use super::files::{Ages, KeyName};

/// Nothing of it is there where `keys_dir` holds no such files.
#[derive(Default)]
pub struct SamlKeys {
    signing: Option<SigningKey>,
    signing_next: Option<SigningKey>,
    decryption: Arc<DecryptionKeys>,
    /// Of the current key, then of the next: an IdP is told a key before it is needed.
    encryption_certificates: Vec<OwnCertificate>,
}

impl SamlKeys {
    /// # Errors
    /// A file that others can read, or that does not hold a key with its certificate.
    pub(super) fn load(directory: &Path) -> Result<Self, KeyError> {
        let signing = Ages::read(directory, KeyName::SpSigning, |path, text| signing_key(path, &text))?;
        let decryption = Ages::read(directory, KeyName::SpDecryption, |path, text| decryption_key(path, &text))?;
        let mut encryption_certificates = Vec::new();
        let mut key_of = |pair: (DecryptionKey, OwnCertificate)| {
            encryption_certificates.push(pair.1);
            pair.0
        };
        let (current, next) = (decryption.current.map(&mut key_of), decryption.next.map(&mut key_of));
        let decryption = match current {
            Some(current) => DecryptionKeys::new(current, decryption.previous.map(|(key, _)| key), next),
            None => DecryptionKeys::none(),
        };
        Ok(Self {
            signing: signing.current,
            signing_next: signing.next,
            decryption: Arc::new(decryption),
            encryption_certificates,
        })
    }

    pub fn signing(&self) -> Option<&SigningKey> {
        self.signing.as_ref()
    }

    /// What IdPs are told: the current key, then the next one.
    pub fn signing_certificates(&self) -> Vec<&OwnCertificate> {
        [&self.signing, &self.signing_next].into_iter().flatten().map(SigningKey::certificate).collect()
    }

    pub fn decryption(&self) -> &Arc<DecryptionKeys> {
        &self.decryption
    }

    pub fn encryption_certificates(&self) -> Vec<&OwnCertificate> {
        self.encryption_certificates.iter().collect()
    }
}

pub(super) fn signing_key(path: &Path, text: &str) -> Result<SigningKey, KeyError> {
    SigningKey::from_pem(text).map_err(|source| KeyError::KeyPair { path: path.to_owned(), source })
}

/// The file has the form of a signing key's, and its key is RSA.
pub(super) fn decryption_key(path: &Path, text: &str) -> Result<(DecryptionKey, OwnCertificate), KeyError> {
    let certificate = signing_key(path, text)?.certificate().clone();
    let refuse = |source| KeyError::Decryption { path: path.to_owned(), source };
    let blocks = pem::parse_many(text).map_err(|_| refuse(KeyPemError::NotPem))?;
    let private = blocks.into_iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
    let private = Zeroizing::new(pem::encode(&private.ok_or_else(|| refuse(KeyPemError::NotPem))?));
    let key = DecryptionKey::from_pem(private.as_bytes()).map_err(refuse)?;
    Ok((key, certificate))
}

/// A new RSA-3072 key with a self-signed certificate. Its end means nothing to us; some IdPs warn of it.
pub(super) fn make(name: KeyName) -> Result<Zeroizing<String>, KeyError> {
    let failed = |_: rcgen::Error| KeyError::Generation;
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072).map_err(failed)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, format!("samlgate {}", name.as_str()));
    let mut params = CertificateParams::default();
    params.distinguished_name = subject;
    params.not_before = OffsetDateTime::now_utc() - Duration::DAY;
    params.not_after = params.not_before + 10 * 365 * Duration::DAY;
    let certificate = params.self_signed(&pair).map_err(failed)?.pem();
    let private = Zeroizing::new(pair.serialize_pem());
    Ok(Zeroizing::new(format!("{}{certificate}", *private)))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::OnceLock;

    use saml_core::KeyFileError;

    use super::*;

    /// Making one takes a while.
    fn pem_text() -> &'static str {
        static TEXT: OnceLock<String> = OnceLock::new();
        TEXT.get_or_init(|| make(KeyName::SpSigning).unwrap().to_string())
    }

    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = directory.path().join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        directory
    }

    fn refused(files: &[(&str, &str)]) -> KeyError {
        SamlKeys::load(directory(files).path()).err().unwrap()
    }

    #[test]
    fn what_is_made_can_be_read_as_either_key() {
        let directory = directory(&[("sp-signing.current", pem_text()), ("sp-decryption.current", pem_text())]);
        let keys = SamlKeys::load(directory.path()).unwrap();
        assert_eq!(keys.signing().unwrap().certificate().key_description(), "RSA 3072");
        assert_eq!((keys.signing_certificates().len(), keys.encryption_certificates().len()), (1, 1));
        assert_eq!(keys.decryption().all().count(), 1);
    }

    #[test]
    fn three_ages_decrypt_and_two_are_told() {
        let files = ["current", "previous", "next"].map(|age| format!("sp-decryption.{age}"));
        let directory = directory(&files.each_ref().map(|name| (name.as_str(), pem_text())));
        let keys = SamlKeys::load(directory.path()).unwrap();
        assert_eq!((keys.decryption().all().count(), keys.encryption_certificates().len()), (3, 2));
        assert!(keys.signing().is_none());
    }

    #[test]
    fn a_directory_without_them_has_none() {
        let keys = SamlKeys::load(directory(&[]).path()).unwrap();
        assert!(keys.signing().is_none() && keys.decryption().current().is_none());
        assert!(keys.signing_certificates().is_empty() && keys.encryption_certificates().is_empty());
    }

    #[test]
    fn refuses_what_is_no_key_with_its_certificate() {
        let key_alone = pem_text().split_inclusive("-----END PRIVATE KEY-----\n").next().unwrap();
        for name in ["sp-signing.current", "sp-decryption.current", "sp-signing.next"] {
            let mut files = vec![(name, key_alone)];
            if name.ends_with("next") {
                files.push(("sp-signing.current", pem_text()));
            }
            let source = match refused(&files) {
                KeyError::KeyPair { source, .. } => source,
                other => panic!("{other}"),
            };
            assert_eq!(source, KeyFileError::CertificateCount { found: 0 }, "{name}");
        }
        assert!(matches!(refused(&[("sp-signing.previous", pem_text())]), KeyError::NoCurrent { .. }));
    }

    #[test]
    fn a_decryption_key_is_rsa() {
        let pair = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&pair).unwrap().pem();
        let text = format!("{}{certificate}", pair.serialize_pem());
        assert!(matches!(refused(&[("sp-decryption.current", &text)]), KeyError::Decryption { .. }));
        assert!(SamlKeys::load(directory(&[("sp-signing.current", &text)]).path()).is_ok(), "but it signs");
    }
}
