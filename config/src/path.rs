//! Where in the settings a value stands.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Key(String),
    /// The second occurrence of a key in one map; shown like the first.
    Repeated(String),
    Index(usize),
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

impl Path {
    pub(crate) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    pub(crate) fn repeated(&self, key: &str) -> Self {
        self.with(Step::Repeated(key.to_owned()))
    }

    pub(crate) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.0
    }

    /// The name that the value has in a sentence on how to write it.
    pub(crate) fn last_key(&self) -> &str {
        self.0.iter().rev().find_map(Step::name).unwrap_or_default()
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl Step {
    fn name(&self) -> Option<&str> {
        match self {
            Self::Key(key) | Self::Repeated(key) => Some(key),
            Self::Index(_) => None,
        }
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) | Step::Repeated(key) => {
                    if position > 0 {
                        f.write_str(".")?;
                    }
                    if is_plain(key) { f.write_str(key)? } else { write!(f, "{:?}", short(key))? }
                }
            }
        }
        Ok(())
    }
}

fn is_plain(key: &str) -> bool {
    !key.is_empty() && key.len() <= MAX_SHOWN && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-<".contains(&b))
}

const MAX_SHOWN: usize = 80;

/// Cut so that one value cannot bury the message around it.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
