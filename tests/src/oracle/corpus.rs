//! The responses of the public corpus: plain, in base64, or as a form.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::judge::{Case, Expected, Trust};

/// Every file below `folder` that is a Response in one of those dresses.
pub fn corpus(folder: &Path) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let mut entries: Vec<_> =
            std::fs::read_dir(next).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                folders.push(path);
            } else if let Some(xml) = std::fs::read(&path).ok().and_then(|bytes| response(&bytes)) {
                let name = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
                let (trust, expected) = (Trust::Carried, Expected::Anything);
                cases.push(Case { origin: "corpus".to_owned(), name, xml, trust, expected });
            }
        }
    }
    cases
}

fn response(bytes: &[u8]) -> Option<Vec<u8>> {
    let text = bytes.trim_ascii();
    let form =
        form_urlencoded::parse(text).find(|(name, _)| name == "SAMLResponse").map(|(_, value)| value.into_owned());
    let text = form.as_deref().map_or(text, str::as_bytes);
    let xml = if text.starts_with(b"<") {
        text.to_vec()
    } else {
        let compact: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        STANDARD.decode(compact).ok()?
    };
    let head = String::from_utf8_lossy(&xml).into_owned();
    (head.contains(":Response") || head.contains("<Response")).then_some(xml)
}
