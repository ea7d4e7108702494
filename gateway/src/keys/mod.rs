//! Every secret of our own, read once. Nothing else opens `keys_dir`.

mod files;
mod rotation;
mod saml;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use config::{Settings, StoreSettings};
use saml_core::{DecryptionKeys, IdpId, KeyFileError, KeyPemError};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::session::RandomError;
use files::{Age, Ages};

pub use files::KeyName;
pub use rotation::{Rotate, Rotation, Step};
pub use saml::SamlKeys;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("key file {path} cannot be read: see that it exists and belongs to the user samlgate runs as")]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("key file {path} cannot be written: see that keys_dir exists and can be written to")]
    Unwritable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("key file {path} has the mode {mode:04o}: others may read or change it; run `chmod 600 {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error("key file {path} does not hold {wanted}: make a new one with `samlgate keys generate`")]
    Malformed { path: PathBuf, wanted: &'static str },
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("the system could not make a key")]
    Generation,
    #[error("key file {path}: {source}")]
    KeyPair {
        path: PathBuf,
        #[source]
        source: KeyFileError,
    },
    #[error("key file {path}: {source}")]
    Decryption {
        path: PathBuf,
        #[source]
        source: KeyPemError,
    },
    #[error(
        "a store that is shared needs the key {name} in `keys_dir`, the same for every replica: run `samlgate keys generate`"
    )]
    NotShared { name: &'static str },
    #[error("key file {path} is missing, and others of its name are there: give back the current one")]
    NoCurrent { path: PathBuf },
    #[error(
        "key file {path} is missing, so there is nothing to rotate: name the right directory, or run `samlgate keys generate`"
    )]
    NothingToRotate { path: PathBuf },
    #[error(
        "`sign_requests` or `single_logout` asks for the key sp-signing, and keys_dir has none: run `samlgate keys generate`"
    )]
    NoSigningKey,
}

/// Something an operator should know, though the gateway runs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyWarning {
    #[error(
        "key `{name}` is made in memory and is gone after a restart: run `samlgate keys generate` and set keys_dir"
    )]
    MadeInMemory { name: &'static str },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Secret,
    P256,
}

/// One key in its three ages. No `Debug`, no `Clone`; wiped when dropped.
pub struct KeyRing {
    current: Key,
    previous: Option<Key>,
    next: Option<Key>,
}

/// 32 random bytes, or a P-256 key in PKCS#8 DER.
pub struct Key(Zeroizing<Vec<u8>>);

impl Key {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl KeyRing {
    /// Of this process alone, and gone with it.
    ///
    /// # Errors
    /// The random source failed.
    pub(crate) fn made() -> Result<Self, KeyError> {
        Ok(Self::new(make(Kind::Secret)?, None, None))
    }

    /// Half way through a rotation the previous key is still the current one: nothing is looked for, or published, twice.
    fn new(current: Key, previous: Option<Key>, next: Option<Key>) -> Self {
        let is_another = |key: &Key| !bool::from(key.bytes().ct_eq(current.bytes()));
        let (previous, next) = (previous.filter(is_another), next.filter(is_another));
        Self { current, previous, next }
    }

    pub(crate) fn current(&self) -> &Key {
        &self.current
    }

    /// Current first, for that is what most of what is checked was made with.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Key> {
        [Some(&self.current), self.previous.as_ref(), self.next.as_ref()].into_iter().flatten()
    }
}

pub struct Keys {
    /// What references in logs are made with.
    index: hmac::Key,
    /// Of stores that others can look into; not there where there is none.
    store: Option<StoreKeys>,
    jwt: KeyRing,
    saml: SamlKeys,
}

/// `seal` encrypts what a store keeps, `index` hides what it finds things by.
#[derive(Clone)]
pub struct StoreKeys {
    pub(crate) seal: Arc<KeyRing>,
    pub(crate) index: Arc<KeyRing>,
}

#[cfg(feature = "test-support")]
impl StoreKeys {
    /// Of nobody else, and gone with this value.
    ///
    /// # Errors
    /// The random source failed.
    pub fn made() -> Result<Self, KeyError> {
        Ok(Self { seal: Arc::new(KeyRing::made()?), index: Arc::new(KeyRing::made()?) })
    }
}

/// The keys that assertions are decrypted with, for who needs no others.
///
/// # Errors
/// A key file that others can read, or that holds no key with its certificate.
pub fn decryption_keys(settings: &Settings) -> Result<Arc<DecryptionKeys>, KeyError> {
    let saml = settings.keys_dir.as_deref().map_or_else(|| Ok(SamlKeys::default()), SamlKeys::load)?;
    Ok(Arc::clone(saml.decryption()))
}

impl Keys {
    /// With the memory store a missing key is made in memory, and that is warned of.
    ///
    /// # Errors
    /// A key file that others can read, that cannot be read, or that holds no key.
    pub fn load(settings: &Settings) -> Result<(Self, Vec<KeyWarning>), KeyError> {
        let directory = settings.keys_dir.as_deref();
        let mut warnings = Vec::new();
        let ages = |name: KeyName, kind: Kind| match directory {
            Some(directory) => Ages::read(directory, name, |path, text| parse(path, &text, kind)),
            None => Ok(Ages::none()),
        };
        let mut ring = |name: KeyName, kind: Kind| -> Result<KeyRing, KeyError> {
            let Ages { current, previous, next } = ages(name, kind)?;
            let current = match current {
                Some(key) => key,
                None => {
                    warnings.push(KeyWarning::MadeInMemory { name: name.as_str() });
                    make(kind)?
                }
            };
            Ok(KeyRing::new(current, previous, next))
        };
        let index_ring = ring(KeyName::Index, Kind::Secret)?;
        let index = hmac::Key::new(hmac::HMAC_SHA256, index_ring.current.bytes());
        let store = match settings.session.store {
            StoreSettings::Redis(_) | StoreSettings::Sealed { .. } => {
                let seal = ring(KeyName::Seal, Kind::Secret)?;
                Some(StoreKeys { seal: Arc::new(seal), index: Arc::new(index_ring) })
            }
            StoreSettings::Memory => {
                // Not used: it is read so that a bad file is found now, and not made.
                ages(KeyName::Seal, Kind::Secret)?;
                None
            }
        };
        let jwt = ring(KeyName::Jwt, Kind::P256)?;
        if let (Some(_), Some(KeyWarning::MadeInMemory { name })) = (&store, warnings.first()) {
            return Err(KeyError::NotShared { name });
        }
        let saml = directory.map_or_else(|| Ok(SamlKeys::default()), SamlKeys::load)?;
        let signs =
            settings.single_logout().is_some() || settings.identity_providers.iter().any(|idp| idp.sign_requests);
        if saml.signing().is_none() && signs {
            return Err(KeyError::NoSigningKey);
        }
        Ok((Self { index, store, jwt, saml }, warnings))
    }

    /// Whether stores that keep something under our keys find it again.
    pub fn stores_alike(&self, other: &Self) -> bool {
        let is_same = |one: &KeyRing, other: &KeyRing| one.all().map(Key::bytes).eq(other.all().map(Key::bytes));
        match (&self.store, &other.store) {
            (Some(one), Some(other)) => is_same(&one.seal, &other.seal) && is_same(&one.index, &other.index),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    /// How logs name a person: the same for the same person, and nothing that leads back without the key.
    pub fn user_ref(&self, idp: &IdpId, unique_id: &str) -> String {
        let mut context = hmac::Context::with_key(&self.index);
        // An IdP id holds no NUL, so the two parts cannot be shifted against each other.
        for part in [b"user\0".as_slice(), idp.as_str().as_bytes(), b"\0", unique_id.as_bytes()] {
            context.update(part);
        }
        let tag = context.sign();
        URL_SAFE_NO_PAD.encode(tag.as_ref().first_chunk::<12>().map_or(&[][..], |short| short))
    }

    pub fn store(&self) -> Option<&StoreKeys> {
        self.store.as_ref()
    }

    pub fn jwt(&self) -> &KeyRing {
        &self.jwt
    }

    pub fn saml(&self) -> &SamlKeys {
        &self.saml
    }
}

/// Writes what is missing of the current keys, readable by their owner alone, and says what it wrote. A key that is there is never overwritten.
///
/// # Errors
/// A file or the directory cannot be written.
pub fn generate(directory: &Path) -> Result<Vec<PathBuf>, KeyError> {
    let unwritable = |source| KeyError::Unwritable { path: directory.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
    let mut written = Vec::new();
    for name in KeyName::ALL {
        let path = name.path(directory, Age::Current);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        files::create(&path, &name.make()?)?;
        written.push(path);
    }
    Ok(written)
}

fn make(kind: Kind) -> Result<Key, KeyError> {
    let random = SystemRandom::new();
    match kind {
        Kind::Secret => {
            let mut bytes = Zeroizing::new(vec![0; 32]);
            random.fill(&mut bytes).map_err(|aws_lc_rs::error::Unspecified| RandomError)?;
            Ok(Key(bytes))
        }
        Kind::P256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map(|document| Key(Zeroizing::new(document.as_ref().to_vec())))
            .map_err(|aws_lc_rs::error::Unspecified| KeyError::Generation),
    }
}

fn encode(key: &Key, kind: Kind) -> Zeroizing<String> {
    Zeroizing::new(match kind {
        Kind::Secret => format!("{}\n", STANDARD.encode(key.bytes())),
        Kind::P256 => {
            let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
            pem::encode_config(&pem::Pem::new("PRIVATE KEY", key.bytes()), config)
        }
    })
}

fn parse(path: &Path, text: &str, kind: Kind) -> Result<Key, KeyError> {
    let wanted = match kind {
        Kind::Secret => "32 bytes in base64 or hexadecimal",
        Kind::P256 => "a P-256 private key as PKCS#8 PEM",
    };
    decode(text.trim(), kind).ok_or_else(|| KeyError::Malformed { path: path.to_owned(), wanted })
}

fn decode(text: &str, kind: Kind) -> Option<Key> {
    match kind {
        Kind::Secret => {
            let bytes = Zeroizing::new(match text.len() {
                64 => decode_hex(text)?,
                _ => STANDARD.decode(text).ok()?,
            });
            (bytes.len() == 32).then_some(Key(bytes))
        }
        Kind::P256 => {
            let document = pem::parse(text).ok().filter(|document| document.tag() == "PRIVATE KEY")?;
            let key = Key(Zeroizing::new(document.into_contents()));
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.bytes()).ok()?;
            Some(key)
        }
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(digit(high)? << 4 | digit(low)?),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing;

    fn settings(directory: &Path) -> Settings {
        Settings { keys_dir: Some(directory.to_owned()), ..testing::settings() }
    }

    fn idp(id: &str) -> IdpId {
        IdpId::parse(id).unwrap()
    }

    fn write(path: &Path, text: &str, mode: u32) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn generated_keys_are_for_their_owner_alone_and_load_again() {
        let directory = tempfile::tempdir().unwrap();
        let keys_dir = directory.path().join("keys");
        let written = generate(&keys_dir).unwrap();
        let names = ["seal", "index", "jwt", "sp-signing", "sp-decryption"];
        assert_eq!(written, names.map(|name| keys_dir.join(format!("{name}.current"))));
        for path in &written {
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let (first, warnings) = Keys::load(&settings(&keys_dir)).unwrap();
        let (second, _) = Keys::load(&settings(&keys_dir)).unwrap();
        assert_eq!(warnings, []);
        let idp = idp("jumpcloud");
        assert_eq!(first.user_ref(&idp, "5f3c"), second.user_ref(&idp, "5f3c"));
        assert_eq!(first.jwt.current.bytes(), second.jwt.current.bytes());
    }

    #[test]
    fn a_key_that_is_there_is_never_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("seal.current"), "precious", 0o600);
        let written = generate(directory.path()).unwrap();
        assert_eq!(written.len(), 4);
        assert_eq!(fs::read_to_string(directory.path().join("seal.current")).unwrap(), "precious");
        assert_eq!(generate(directory.path()).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn refuses_a_key_file_that_others_can_read() {
        for (mode, refused) in
            [(0o600, false), (0o400, false), (0o440, false), (0o644, true), (0o604, true), (0o660, true)]
        {
            let directory = tempfile::tempdir().unwrap();
            let key = make(Kind::P256).unwrap();
            write(&directory.path().join("jwt.current"), &encode(&key, Kind::P256), mode);
            let exposed = matches!(Keys::load(&settings(directory.path())), Err(KeyError::Exposed { .. }));
            assert_eq!(exposed, refused, "{mode:o}");
        }
    }

    #[test]
    fn refuses_a_file_that_holds_no_key() {
        let rsa = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n";
        for (name, text) in [
            ("seal.previous", "short"),
            ("index.current", ""),
            ("index.current", "zz00000000000000000000000000000000000000000000000000000000000000"),
            ("jwt.next", "AAAA"),
            ("jwt.current", rsa),
        ] {
            let directory = tempfile::tempdir().unwrap();
            write(&directory.path().join(name), text, 0o600);
            let problem = Keys::load(&settings(directory.path())).err().unwrap();
            assert!(matches!(&problem, KeyError::Malformed { .. }), "{name}: {problem}");
            assert!(text.is_empty() || !problem.to_string().contains(text));
        }
    }

    #[test]
    fn hexadecimal_is_read_as_well() {
        let directory = tempfile::tempdir().unwrap();
        write(&directory.path().join("index.current"), &"0a".repeat(32), 0o600);
        let (by_hex, _) = Keys::load(&settings(directory.path())).unwrap();
        write(&directory.path().join("index.current"), &STANDARD.encode([10; 32]), 0o600);
        let (by_base64, _) = Keys::load(&settings(directory.path())).unwrap();
        assert_eq!(by_hex.user_ref(&idp("a"), "b"), by_base64.user_ref(&idp("a"), "b"));
    }

    #[test]
    fn keys_made_in_memory_are_warned_of() {
        let (_, warnings) = Keys::load(&testing::settings()).unwrap();
        assert_eq!(warnings, ["index", "jwt"].map(|name| KeyWarning::MadeInMemory { name }));
    }

    #[test]
    fn a_shared_store_has_no_key_that_one_process_made() {
        let directory = tempfile::tempdir().unwrap();
        let mut shared = settings(directory.path());
        shared.session.store = StoreSettings::Redis(testing::redis());
        generate(directory.path()).unwrap();
        assert!(Keys::load(&shared).unwrap().0.store().is_some());
        for name in ["seal", "index", "jwt"] {
            let file = directory.path().join(format!("{name}.current"));
            let text = fs::read_to_string(&file).unwrap();
            fs::remove_file(&file).unwrap();
            let refused = Keys::load(&shared).err();
            assert!(matches!(refused, Some(KeyError::NotShared { name: told }) if told == name), "{name}");
            write(&file, &text, 0o600);
        }
    }

    #[test]
    fn a_current_key_that_was_lost_is_not_made_in_memory() {
        for name in KeyName::ALL {
            let directory = tempfile::tempdir().unwrap();
            write(&directory.path().join(format!("{}.next", name.as_str())), &name.make().unwrap(), 0o600);
            let refused = Keys::load(&settings(directory.path())).err();
            assert!(matches!(refused, Some(KeyError::NoCurrent { .. })), "{}", name.as_str());
        }
    }

    #[test]
    fn user_ref_tells_people_apart_and_shows_nothing() {
        let (keys, _) = Keys::load(&testing::settings()).unwrap();
        let reference = keys.user_ref(&idp("a"), "bc");
        assert_eq!(reference.len(), 16);
        assert_ne!(reference, keys.user_ref(&idp("ab"), "c"));
        assert_ne!(reference, keys.user_ref(&idp("b"), "bc"));
        let (others, _) = Keys::load(&testing::settings()).unwrap();
        assert_ne!(reference, others.user_ref(&idp("a"), "bc"));
    }
}
