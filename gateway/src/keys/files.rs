//! How keys lie in `keys_dir`: `<name>.<age>`, one key a file, read and written nowhere else.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{KeyError, Kind, encode, make, parse, saml};

/// A key file holds one key; anything longer is something else.
const MAX_FILE_BYTES: u64 = 16 * 1024;
/// In the names of files that are not yet what they will be.
const UNFINISHED: &str = ".tmp.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyName {
    Seal,
    Index,
    Jwt,
    SpSigning,
    SpDecryption,
}

#[derive(Clone, Copy)]
pub(super) enum Age {
    Current,
    Previous,
    Next,
}

impl KeyName {
    pub const ALL: [Self; 5] = [Self::Seal, Self::Index, Self::Jwt, Self::SpSigning, Self::SpDecryption];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Seal => "seal",
            Self::Index => "index",
            Self::Jwt => "jwt",
            Self::SpSigning => "sp-signing",
            Self::SpDecryption => "sp-decryption",
        }
    }

    pub(super) fn path(self, directory: &Path, age: Age) -> PathBuf {
        let age = match age {
            Age::Current => "current",
            Age::Previous => "previous",
            Age::Next => "next",
        };
        directory.join(format!("{}.{age}", self.as_str()))
    }

    /// What the file of a new key holds.
    pub(super) fn make(self) -> Result<Zeroizing<String>, KeyError> {
        let own = |kind| make(kind).map(|key| encode(&key, kind));
        match self {
            Self::Seal | Self::Index => own(Kind::Secret),
            Self::Jwt => own(Kind::P256),
            Self::SpSigning | Self::SpDecryption => saml::make(self),
        }
    }

    /// An error unless it is what the gateway would load.
    pub(super) fn check(self, path: &Path, text: &str) -> Result<(), KeyError> {
        match self {
            Self::Seal | Self::Index => parse(path, text, Kind::Secret).map(drop),
            Self::Jwt => parse(path, text, Kind::P256).map(drop),
            Self::SpSigning => saml::signing_key(path, text).map(drop),
            Self::SpDecryption => saml::decryption_key(path, text).map(drop),
        }
    }
}

pub(super) struct Ages<K> {
    pub(super) current: Option<K>,
    pub(super) previous: Option<K>,
    pub(super) next: Option<K>,
}

impl<K> Ages<K> {
    pub(super) fn none() -> Self {
        Self { current: None, previous: None, next: None }
    }

    /// Where there are others, there is a current one: a key that one process made would come in its place.
    pub(super) fn read(
        directory: &Path,
        name: KeyName,
        parse: impl Fn(&Path, Zeroizing<String>) -> Result<K, KeyError>,
    ) -> Result<Self, KeyError> {
        let read = |age: Age| {
            let path = name.path(directory, age);
            read_text(&path)?.map(|text| parse(&path, text)).transpose()
        };
        let ages = Self { current: read(Age::Current)?, previous: read(Age::Previous)?, next: read(Age::Next)? };
        if ages.current.is_none() && (ages.previous.is_some() || ages.next.is_some()) {
            return Err(KeyError::NoCurrent { path: name.path(directory, Age::Current) });
        }
        Ok(ages)
    }
}

/// Nothing where there is no such file.
fn read_text(path: &Path) -> Result<Option<Zeroizing<String>>, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    // Mode and content come from one open file, so that it cannot be exchanged in between.
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
    };
    let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
    // Its group may read: Kubernetes gives secrets to a process that is not root only so (fsGroup).
    if mode & 0o027 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::new());
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
    Ok(Some(text))
}

fn unwritable(path: &Path) -> impl Fn(io::Error) -> KeyError {
    move |source| KeyError::Unwritable { path: path.to_owned(), source }
}

/// Writes a file that is not there.
pub(super) fn create(path: &Path, text: &str) -> Result<(), KeyError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(unwritable(path))
}

/// Who may read a key: its owner, and its group where that may read the key that is there.
#[derive(Clone, Copy)]
pub(super) struct Access {
    owner: u32,
    group: u32,
    mode: u32,
}

impl Access {
    pub(super) fn of(path: &Path) -> Result<Self, KeyError> {
        let found = fs::metadata(path).map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })?;
        Ok(Self { owner: found.uid(), group: found.gid(), mode: 0o600 | found.mode() & 0o040 })
    }

    /// An administrator rotates the keys of a gateway that runs as somebody else, who must still be able to read them.
    fn give(self, file: &File) -> io::Result<()> {
        let found = file.metadata()?;
        if (found.uid(), found.gid()) != (self.owner, self.group) {
            fchown(file, Some(self.owner), Some(self.group))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode))
    }
}

/// Puts a whole file where there may be another. Whoever reads meanwhile, or after a crash, finds the one or the other.
pub(super) fn put(path: &Path, text: &str, access: Access) -> Result<(), KeyError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Of this process alone: of two at once, one may fail, and neither writes into the other's file.
    let unfinished = path.with_file_name(format!(".{name}{UNFINISHED}{}", std::process::id()));
    let put = || {
        create(&unfinished, text)?;
        let give = || access.give(&OpenOptions::new().write(true).open(&unfinished)?);
        give().and_then(|()| fs::rename(&unfinished, path)).map_err(unwritable(path))
    };
    put().inspect_err(|_| {
        // The first problem is the one to tell.
        let _ = fs::remove_file(&unfinished);
    })
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), KeyError> {
    fs::rename(from, to).map_err(unwritable(to))
}

/// Nothing is done where there is no such file.
pub(super) fn remove(path: &Path) -> Result<(), KeyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unwritable(path)(error)),
        _ => Ok(()),
    }
}

/// Removes what a process that was killed had begun to write.
pub(super) fn remove_unfinished(directory: &Path, name: KeyName) -> Result<(), KeyError> {
    let beginning = format!(".{}.", name.as_str());
    for entry in fs::read_dir(directory).map_err(unwritable(directory))? {
        let entry = entry.map_err(unwritable(directory))?;
        let file = entry.file_name();
        let is_unfinished = file.to_str().is_some_and(|file| file.starts_with(&beginning) && file.contains(UNFINISHED));
        if is_unfinished {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// What was done to the names in it outlives a loss of power from here on.
pub(super) fn settle(directory: &Path) -> Result<(), KeyError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(unwritable(directory))
}
