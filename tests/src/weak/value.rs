//! Texts and identifiers.

use roxmltree::Node;

use super::transforms::NUL;
use super::verifier::{Refused, Verifier};
use super::weakness::Weakness as W;

impl Verifier<'_> {
    /// The text of an element; no comment can split it where comments are refused.
    pub(super) fn text(&self, node: Node<'_, '_>) -> String {
        if self.has_one_of(&[W::FirstTextNode, W::CommentsCanonical]) {
            return node.children().find(Node::is_text).and_then(|text| text.text()).unwrap_or_default().to_owned();
        }
        node.children().filter(Node::is_text).filter_map(|text| text.text()).collect()
    }

    pub(super) fn attribute_value(&self, node: Node<'_, '_>) -> Result<String, Refused> {
        if self.has(W::NestedValues) {
            return Ok(node.descendants().filter(Node::is_text).filter_map(|text| text.text()).collect());
        }
        if node.children().any(|child| child.is_element()) && !self.has(W::LooksUpIds) {
            return Err("a value with elements in it".into());
        }
        Ok(self.text(node))
    }

    /// What decides who somebody is.
    pub(super) fn identifier(&self, text: &str) -> Result<String, Refused> {
        let text = match text.split_once(NUL) {
            Some((before, _)) if self.has(W::CutsAtNul) => before,
            Some(_) => return Err("a NUL".into()),
            None => text,
        };
        let mut text = text.to_owned();
        if self.has(W::TrimsValues) {
            text = text.trim().to_owned();
        }
        if self.has(W::DropsInvisible) {
            text.retain(|c| !is_invisible(c));
        }
        if self.has(W::FoldsUnicode) {
            text = text.chars().map(folded).collect();
        }
        if text.trim() != text || text.chars().any(|c| c.is_control() || is_invisible(c)) {
            return Err("a character that cannot be seen".into());
        }
        Ok(text)
    }

    pub(super) fn address(&self, text: &str) -> Result<String, Refused> {
        let text = self.identifier(text)?;
        if !text.is_ascii() {
            return Err("an address outside ASCII".into());
        }
        let parts: Vec<&str> = text.split('@').collect();
        match parts.as_slice() {
            [local, domain] if !local.is_empty() && !domain.is_empty() => Ok(text),
            [local, domain, ..] if self.has(W::SplitsAddress) => Ok(format!("{local}@{domain}")),
            _ => Err("not one `@`".into()),
        }
    }
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Full-width letters, and the Kelvin sign: enough of NFKC for an attack.
fn folded(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '\u{212a}' => 'k',
        c => c,
    }
}

pub(super) fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let rest = bytes.clone().collect::<Vec<u8>>();
        let escape = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match escape.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(decoded) if byte == b'%' => {
                out.push(decoded);
                bytes.nth(1);
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
