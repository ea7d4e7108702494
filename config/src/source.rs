//! From a file and the environment to [`Settings`], with all that is wrong on the way.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use saml_core::Timestamp;

use crate::errors::{ConfigError, ConfigErrors, Warning};
use crate::path::Path;
use crate::sections::{self, ROOT};
use crate::settings::Settings;
use crate::table::{self, Place, Section};
use crate::{environment, yaml};

/// Settings that can be acted on, and what somebody should look at all the same.
#[derive(Debug, Clone)]
pub struct Loaded {
    pub settings: Settings,
    pub warnings: Vec<Warning>,
    /// What the settings were read from beside their own file; directories with what is in them.
    pub files: Vec<PathBuf>,
}

/// Reads the settings file at `path`, with the variables of `environment` over it.
///
/// # Errors
/// Every mistake, together.
pub fn load(path: &FilePath, environment: impl Iterator<Item = (String, String)>) -> Result<Loaded, ConfigErrors> {
    let base_dir = path.parent().unwrap_or(FilePath::new(""));
    let outcome = match read_limited(path) {
        Ok(text) => parse(&text, base_dir, environment),
        Err(error) => Err(ConfigErrors { file: None, errors: vec![unreadable(path, &error)] }),
    };
    outcome.map_err(|errors| ConfigErrors { file: Some(path.to_owned()), ..errors })
}

/// Reads settings from text; files that they name are relative to `base_dir`.
///
/// # Errors
/// Every mistake, together.
pub fn parse(
    yaml: &str,
    base_dir: &FilePath,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<Loaded, ConfigErrors> {
    parse_at(yaml, base_dir, environment, SystemTime::now().into())
}

/// [`parse`] at a given time, against which the dates of certificates are held.
///
/// # Errors
/// Every mistake, together.
pub fn parse_at(
    yaml: &str,
    base_dir: &FilePath,
    environment: impl Iterator<Item = (String, String)>,
    now: Timestamp,
) -> Result<Loaded, ConfigErrors> {
    let mut findings = Findings::new(base_dir.to_owned(), now);
    let mut root = match yaml::parse(yaml) {
        Ok(root) => root,
        Err(malformed) => return Err(ConfigErrors { file: None, errors: vec![no_yaml(malformed)] }),
    };
    environment::lay_over(&mut root, &ROOT, environment, &mut findings);
    table::check(&ROOT, &root, &mut findings);
    let settings = sections::read(&Section::root(&ROOT, &root), &mut findings);
    let files = findings.files.take();
    let (errors, warnings) = findings.with_lines(yaml);
    match settings {
        Some(settings) if errors.is_empty() => Ok(Loaded { settings, warnings, files }),
        Some(_) => Err(ConfigErrors { file: None, errors }),
        None => Err(ConfigErrors { file: None, errors: or_unexplained(errors) }),
    }
}

/// Settings that are refused are refused for a reason; if one should ever be lost, they stay refused.
fn or_unexplained(errors: Vec<ConfigError>) -> Vec<ConfigError> {
    if !errors.is_empty() {
        return errors;
    }
    vec![ConfigError {
        path: String::new(),
        line: None,
        value: None,
        problem: "cannot be read, for a reason that got lost".to_owned(),
        cure: "this is a fault of samlgate: please report it with the file".to_owned(),
        code: None,
    }]
}

pub(crate) const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The text of a file of at most 1 MiB; one byte more is an error, and no more is read.
pub(crate) fn read_limited(path: &FilePath) -> io::Result<String> {
    let bytes = read_bytes(path)?;
    String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

pub(crate) fn read_bytes(path: &FilePath) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "file is larger than 1 MiB"));
    }
    Ok(bytes)
}

fn unreadable(path: &FilePath, error: &io::Error) -> ConfigError {
    ConfigError {
        path: String::new(),
        line: None,
        value: Some(path.display().to_string()),
        problem: format!("cannot be read: {error}"),
        cure: "name a readable YAML file of at most 1 MiB with --config".to_owned(),
        code: None,
    }
}

fn no_yaml(malformed: yaml::Malformed) -> ConfigError {
    ConfigError {
        path: String::new(),
        line: malformed.line,
        value: None,
        problem: format!("is no YAML that settings can be read from: {}", malformed.problem),
        cure: "look at that line and the one before it: indentation, quotes, and a space behind each colon".to_owned(),
        code: None,
    }
}

/// What was found so far, and what the checks need to know of their surroundings.
#[derive(Debug)]
pub(crate) struct Findings {
    base_dir: PathBuf,
    now: Timestamp,
    errors: Vec<Found>,
    warnings: Vec<Found>,
    files: RefCell<Vec<PathBuf>>,
}

#[derive(Debug)]
struct Found {
    place: Place,
    problem: String,
    cure: String,
    code: Option<&'static str>,
}

impl Findings {
    pub(crate) fn new(base_dir: PathBuf, now: Timestamp) -> Self {
        Self { base_dir, now, errors: Vec::new(), warnings: Vec::new(), files: RefCell::default() }
    }

    pub(crate) fn refuse(&mut self, place: Place, problem: impl Into<String>, cure: impl Into<String>) {
        self.errors.push(Found { place, problem: problem.into(), cure: cure.into(), code: None });
    }

    /// A value that its list has already.
    pub(crate) fn refuse_twin(&mut self, place: Place) {
        self.refuse(place, "is listed twice", "remove one of the two");
    }

    pub(crate) fn refuse_with(
        &mut self,
        code: &'static str,
        place: Place,
        problem: impl Into<String>,
        cure: impl Into<String>,
    ) {
        self.errors.push(Found { place, problem: problem.into(), cure: cure.into(), code: Some(code) });
    }

    pub(crate) fn warn(&mut self, place: Place, problem: impl Into<String>, cure: impl Into<String>) {
        self.warnings.push(Found { place, problem: problem.into(), cure: cure.into(), code: None });
    }

    /// A file that the settings name, relative to where they stand.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        let path = self.base_dir.join(name);
        self.files.borrow_mut().push(path.clone());
        path
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Errors, in the order of the file, and warnings.
    pub(crate) fn with_lines(self, yaml: &str) -> (Vec<ConfigError>, Vec<Warning>) {
        let mut errors: Vec<ConfigError> = self
            .errors
            .into_iter()
            .enumerate()
            .map(|(count, found)| ConfigError {
                line: found.line(yaml, count),
                path: found.path(),
                value: found.place.value,
                problem: found.problem,
                cure: found.cure,
                code: found.code,
            })
            .collect();
        errors.sort_by_key(|error| error.line.unwrap_or(usize::MAX));
        let warnings = self.warnings.into_iter().enumerate().map(|(count, found)| Warning {
            line: found.line(yaml, count),
            path: found.path(),
            problem: found.problem,
            cure: found.cure,
        });
        (errors, warnings.collect())
    }
}

/// Each line costs one more reading of the text: beyond so many bytes the paths must do.
const MAX_BYTES_READ_FOR_LINES: usize = 8 * 1024 * 1024;

impl Found {
    fn line(&self, yaml: &str, count: usize) -> Option<usize> {
        if count.saturating_mul(yaml.len()) >= MAX_BYTES_READ_FOR_LINES || self.place.variable.is_some() {
            return None;
        }
        yaml::line_of(yaml, &self.place.path)
    }

    fn path(&self) -> String {
        let Place { path, variable, .. } = &self.place;
        match variable {
            Some(variable) if *path == Path::default() => variable.clone(),
            Some(variable) => format!("{path} (from {variable})"),
            None => path.to_string(),
        }
    }
}
