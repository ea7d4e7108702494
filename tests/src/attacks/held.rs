//! What answers a row that is no refusable document, and whether it is really there.

use std::path::Path;

/// A test, or a line of the sources.
#[derive(Debug, Clone)]
pub enum Held {
    /// A test function of that name in that file.
    Test { file: &'static str, function: &'static str },
    /// A lint, a type or a call, by the text that the file must hold, with what it does.
    Text { file: &'static str, text: &'static str, says: &'static str },
}

pub(super) fn test(file: &'static str, function: &'static str) -> Held {
    Held::Test { file, function }
}

pub(super) fn text(file: &'static str, text: &'static str, says: &'static str) -> Held {
    Held::Text { file, text, says }
}

impl Held {
    pub fn name(&self) -> String {
        match self {
            Self::Test { file, function } => format!("test `{function}` in `{file}`"),
            Self::Text { file, text, says } => format!("{says}: `{text}` in `{file}`"),
        }
    }

    /// # Errors
    /// The file, the test in it, or the text is missing.
    pub fn check(&self) -> Result<(), String> {
        let (Self::Test { file, .. } | Self::Text { file, .. }) = self;
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let source = std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        match self {
            Self::Test { function, .. } if is_test(&source, function) => Ok(()),
            Self::Test { function, .. } => Err(format!("{file} holds no test {function}")),
            Self::Text { text, .. } if source.contains(text) => Ok(()),
            Self::Text { text, .. } => Err(format!("{file} does not hold {text:?}")),
        }
    }
}

/// Whether the function stands there with a test attribute above it, and none that skips it.
fn is_test(source: &str, function: &str) -> bool {
    let Some(at) = source.find(&format!("fn {function}(")) else { return false };
    let line = source[..at].rfind('\n').map_or(0, |end| end + 1);
    let above: Vec<&str> = source[..line].lines().rev().take_while(|line| line.trim().starts_with("#[")).collect();
    let is = |part: &str| above.iter().any(|line| line.trim().starts_with(part));
    (is("#[test]") || is("#[tokio::test")) && !is(concat!("#[", "ignore"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_that_runs_counts() {
        assert!(is_test("#[test]\nfn a() {}", "a"));
        assert!(is_test("    #[tokio::test]\n    async fn a() {}", "a"));
        assert!(!is_test("fn a() {}", "a"));
        assert!(!is_test(concat!("#[test]\n#[", "ignore]\nfn a() {}"), "a"));
        assert!(!is_test("#[test]\nfn ab() {}", "a"));
        assert!(text("saml-core/src/lib.rs", "no such text", "").check().is_err());
        assert!(test("no/such/file.rs", "a").check().is_err());
    }
}
