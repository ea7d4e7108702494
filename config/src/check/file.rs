//! Files that the settings name: certificates, metadata, TLS files, passwords, the directory of keys, the control socket.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path as FilePath;

use saml_core::{Certificate, EntityId, IdpMetadata, Timestamp};

use super::Fault;
use crate::settings::ExpiredCertificates;
use crate::source::{Findings, read_bytes};
use crate::table::Place;

/// Where JumpCloud keeps the file.
const IDP_CERTIFICATE: &str = "JumpCloud: SSO Applications, your application, SSO tab, IDP Certificate Valid, Download Certificate; \
                               give that file's whole content";
const UNREADABLE: &str = "certificate_unreadable";

fn read(path: &FilePath) -> Result<Vec<u8>, Fault> {
    read_bytes(path).map_err(|error| {
        let cure = match error.kind() {
            io::ErrorKind::NotFound => "create the file or correct the name; it is relative to the settings file",
            io::ErrorKind::PermissionDenied => "let the user that samlgate runs as read it",
            _ => "name a regular file of at most 1 MiB",
        };
        Fault::new(format!("cannot be read from {}: {error}", path.display()), cure)
    })
}

/// The IdP certificates in a file, or in the text that stands in the settings.
pub(crate) fn certificates(
    source: CertificateSource<'_>,
    expired: ExpiredCertificates,
    place: Place,
    findings: &mut Findings,
) -> Vec<Certificate> {
    let parsed = match source {
        CertificateSource::Text(text) => Certificate::parse_all(text.as_bytes()),
        CertificateSource::File(name) => match read(&findings.file(name)) {
            Ok(bytes) => Certificate::parse_all(&bytes),
            Err(fault) => {
                findings.refuse_with(UNREADABLE, place, fault.problem, fault.cure);
                return Vec::new();
            }
        },
    };
    match parsed {
        Ok(certificates) => {
            for certificate in &certificates {
                warn_of_expiry(certificate, expired, &place, findings);
            }
            certificates
        }
        Err(error) => {
            findings.refuse_with(error.code(), place, error.to_string(), IDP_CERTIFICATE);
            Vec::new()
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum CertificateSource<'s> {
    Text(&'s str),
    File(&'s str),
}

/// The days before expiry on which JumpCloud writes to its administrators.
pub const EXPIRY_WARNING_DAYS: [i64; 4] = [1, 7, 30, 60];

/// A warning only: a pinned key is trusted for being pinned, and JumpCloud may sign past the date.
fn warn_of_expiry(certificate: &Certificate, expired: ExpiredCertificates, place: &Place, findings: &mut Findings) {
    let (now, end) = (findings.now(), certificate.not_after());
    let name = format!("the certificate {}", certificate.fingerprint());
    let cure = "JumpCloud: SSO tab, IDP Certificate Valid, Regenerate certificate and Download Certificate; pin the new one beside the old until it signs";
    if certificate.not_before() > now {
        let problem = format!("{name} is not valid before {}", certificate.not_before());
        findings.warn(place.clone(), problem, "check the clock of this machine and whether this is the right file");
    }
    if end <= now {
        let consequence = match expired {
            ExpiredCertificates::Accept => "it is still accepted",
            ExpiredCertificates::Refuse => "logins signed with its key are refused",
        };
        findings.warn(place.clone(), format!("{name} expired at {end}; {consequence}"), cure);
    } else if let Some(days) = EXPIRY_WARNING_DAYS.into_iter().find(|days| end <= now.plus_seconds(days * 86_400)) {
        let unit = if days == 1 { "day" } else { "days" };
        findings.warn(place.clone(), format!("{name} expires within {days} {unit}, at {end}"), cure);
    }
}

pub(crate) fn metadata(
    name: &str,
    entity_id: &EntityId,
    expired: ExpiredCertificates,
    place: Place,
    findings: &mut Findings,
) -> Option<IdpMetadata> {
    let path = findings.file(name);
    let cure = "JumpCloud: SSO tab, Export Metadata; give that file, and its entityID as `entity_id`";
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(fault) => {
            findings.refuse(place, fault.problem, fault.cure);
            return None;
        }
    };
    let metadata = match IdpMetadata::parse(&bytes, entity_id) {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.refuse(place, error.to_string(), cure);
            return None;
        }
    };
    if metadata.valid_until.is_some_and(|until: Timestamp| until <= findings.now()) {
        findings.warn(place.clone(), "the metadata is past its validUntil; it is still accepted", cure);
    }
    for certificate in &metadata.certificates {
        warn_of_expiry(certificate, expired, &place, findings);
    }
    Some(metadata)
}

/// Which PEM blocks a file holds; what they contain is for the TLS library to judge.
pub(crate) fn tls_certificate(path: &FilePath) -> Result<(), Fault> {
    holds_certificate(path, "name the PEM file with the server's certificate, then its intermediates")
}

/// What we show to a server that asks who we are.
pub(crate) fn client_certificate(path: &FilePath) -> Result<(), Fault> {
    holds_certificate(path, "name the PEM file with the certificate that samlgate shows, then its intermediates")
}

/// Certificate authorities of somebody's own.
pub(crate) fn authorities(path: &FilePath) -> Result<(), Fault> {
    holds_certificate(path, "name the PEM file with the certificates of your authorities")
}

fn holds_certificate(path: &FilePath, cure: &str) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    if text.contains("-----BEGIN CERTIFICATE-----") {
        return Ok(());
    }
    let problem = if text.contains("PRIVATE KEY-----") {
        "holds a private key and no certificate"
    } else {
        "holds no PEM certificate"
    };
    Err(Fault::new(problem, cure))
}

pub(crate) fn tls_key(path: &FilePath) -> Result<(), Fault> {
    let text = String::from_utf8_lossy(&read(path)?).into_owned();
    let cure = "name the PEM file with the private key that belongs to the certificate, without a password";
    if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED") {
        return Err(Fault::new("holds a private key under a password", cure));
    }
    let kinds = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];
    if !kinds.iter().any(|kind| text.contains(&format!("-----BEGIN {kind}-----"))) {
        return Err(Fault::new("holds no PEM private key", cure));
    }
    not_for_others(path, "private key")
}

/// One line of text, its end not counted.
pub(crate) fn password(path: &FilePath) -> Result<(), Fault> {
    let cure = "write the password into it, on one line and with nothing else";
    let bytes = read(path)?;
    let Ok(text) = str::from_utf8(&bytes) else { return Err(Fault::new("holds what is no UTF-8 text", cure)) };
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    if line.is_empty() {
        return Err(Fault::new("holds no password", cure));
    }
    if line.contains(['\n', '\r']) {
        return Err(Fault::new("holds more than one line", cure));
    }
    not_for_others(path, "password")
}

/// Whoever can read it learns who was signed out; whoever can write it signs people out, and in nobody.
pub(crate) fn revocations_file(path: &FilePath) -> Result<(), Fault> {
    let cure = "create it, empty, where every process reads it; it must be a file and not a directory";
    match fs::File::open(path).and_then(|file| file.metadata()) {
        Ok(found) if found.is_file() => Ok(()),
        Ok(_) => Err(Fault::new(format!("{} is no file", path.display()), cure)),
        Err(error) => Err(Fault::new(format!("cannot be opened at {}: {error}", path.display()), cure)),
    }
}

const KEY_NAMES: [&str; 5] = ["seal", "index", "jwt", "sp-signing", "sp-decryption"];
const KEY_AGES: [&str; 3] = ["current", "previous", "next"];

pub(crate) fn keys_dir(path: &FilePath) -> Result<(), Fault> {
    let cure = "create the directory, and run `samlgate keys generate` to fill it";
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Fault::new(format!("{} is no directory", path.display()), cure)),
        Err(error) => return Err(Fault::new(format!("cannot be opened at {}: {error}", path.display()), cure)),
    }
    for name in KEY_NAMES {
        for age in KEY_AGES {
            let key = path.join(format!("{name}.{age}"));
            if key.exists() {
                not_for_others(&key, "private key")?;
            }
        }
    }
    Ok(())
}

pub(crate) fn holds_decryption_key(keys_dir: &std::path::Path) -> bool {
    KEY_AGES.iter().any(|age| keys_dir.join(format!("sp-decryption.{age}")).exists())
}

const SHARED_KEYS: [&str; 3] = ["seal.current", "index.current", "jwt.current"];

/// The keys that are not there, of those that every process must have which shares a store with others.
pub(crate) fn missing_shared_keys(keys_dir: Option<&FilePath>) -> Vec<&'static str> {
    let is_there = |name: &str| keys_dir.is_some_and(|keys_dir| keys_dir.join(name).exists());
    SHARED_KEYS.into_iter().filter(|name| !is_there(name)).collect()
}

/// `sun_path` of unix(7) has room for 107 bytes; some are left for the name under which the socket is first made.
const MAX_SOCKET_BYTES: usize = 100;

/// A Unix socket that is to be made: its directory is there, and nothing else in its place.
pub(crate) fn socket_file(path: &FilePath) -> Result<(), Fault> {
    let (shown, length) = (path.display(), path.as_os_str().as_bytes().len());
    if length > MAX_SOCKET_BYTES {
        let problem =
            format!("is {length} bytes long as {shown}, and the system takes little more than {MAX_SOCKET_BYTES}");
        return Err(Fault::new(problem, "write a shorter path, such as `/run/samlgate/control.sock`"));
    }
    let cure = "create its directory, or correct the path; it is relative to the settings file";
    let directory = path.parent().filter(|directory| *directory != FilePath::new("")).unwrap_or(FilePath::new("."));
    match fs::metadata(directory) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return Err(Fault::new(format!("lies in {}, which is no directory", directory.display()), cure)),
        Err(error) => {
            let problem = format!("lies in {}, which cannot be opened: {error}", directory.display());
            return Err(Fault::new(problem, cure));
        }
    }
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let cure = "name a path where nothing is, such as `/run/samlgate/control.sock`";
            Err(Fault::new(format!("is the path of something that is no socket: {shown}"), cure))
        }
        _ => Ok(()),
    }
}

/// One that is made where it is not there.
pub(crate) fn appended_file(path: &FilePath) -> Result<(), Fault> {
    let shown = path.display();
    if path.is_dir() {
        return Err(Fault::new(format!("is a directory: {shown}"), "name a file in it"));
    }
    match path.parent().filter(|directory| *directory != FilePath::new("")).map(fs::metadata) {
        None | Some(Ok(_)) => Ok(()),
        Some(Err(error)) => {
            Err(Fault::new(format!("lies where nothing can be written: {shown}: {error}"), "create its directory"))
        }
    }
}

/// A secret that others can read is nobody's secret. Its group may read it, for that is how Kubernetes hands a
/// Secret to a process that is not root.
fn not_for_others(path: &FilePath, secret: &str) -> Result<(), Fault> {
    let shown = path.display();
    let mode = fs::metadata(path)
        .map_err(|error| Fault::new(format!("cannot look at {shown}: {error}"), "make it readable to samlgate"))?
        .permissions()
        .mode();
    if mode & 0o027 == 0 {
        return Ok(());
    }
    let problem = format!("{shown} has mode {:04o}: others can read or change the {secret}", mode & 0o7777);
    Err(Fault::new(problem, format!("run `chmod 600 {shown}`")))
}
