//! Mistakes and warnings, and how they read.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// One mistake: where, what stands there, what is wrong with it and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ConfigError {
    /// Such as `identity_providers[0].sign`, or the name of a variable; empty where the file as a whole is meant.
    pub path: String,
    pub line: Option<usize>,
    /// Absent where nothing stands there, and where it might be a secret.
    pub value: Option<String>,
    pub problem: String,
    pub cure: String,
    /// The code of `docs/refusals.md`, where the mistake has one.
    pub code: Option<&'static str>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.path, self.line)?;
        if let Some(value) = &self.value {
            write!(f, " is {value:?}")?;
        }
        write!(f, ": {}", self.problem)?;
        if let Some(code) = self.code {
            write!(f, " [{code}]")?;
        }
        write!(f, "\n   {}", self.cure)
    }
}

/// Settings that work and that somebody should look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    pub path: String,
    pub line: Option<usize>,
    pub problem: String,
    pub cure: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, &self.path, self.line)?;
        write!(f, ": {}\n   {}", self.problem, self.cure)
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, path: &str, line: Option<usize>) -> fmt::Result {
    f.write_str(if path.is_empty() { "settings" } else { path })?;
    line.map_or(Ok(()), |line| write!(f, " (line {line})"))
}

/// All mistakes of one reading, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
pub struct ConfigErrors {
    /// Absent where the settings did not come from a file.
    pub file: Option<PathBuf>,
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }

    pub fn iter(&self) -> std::slice::Iter<'_, ConfigError> {
        self.errors.iter()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.errors.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {noun}", self.errors.len())?;
        if let Some(file) = &self.file {
            write!(f, " in {}", file.display())?;
        }
        for (number, error) in self.errors.iter().enumerate() {
            write!(f, "\n{}. {error}", number + 1)?;
        }
        Ok(())
    }
}

impl<'a> IntoIterator for &'a ConfigErrors {
    type Item = &'a ConfigError;
    type IntoIter = std::slice::Iter<'a, ConfigError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
