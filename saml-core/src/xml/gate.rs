//! The byte gate: what it lets through is UTF-8, of XML 1.0 characters, with line ends normalised, and
//! begins behind the XML declaration.

use memchr::{memchr, memmem};

use super::canonical::CanonicalBytes;
use crate::rejection::Rejection;

/// Text that passed the gate.
#[derive(Debug)]
pub(crate) struct XmlText {
    text: String,
    /// Length of the XML declaration.
    start: usize,
}

impl XmlText {
    /// # Errors
    /// Anything but UTF-8 without a byte order mark, a character that XML 1.0 §2.2 forbids, or a
    /// declaration of another version or encoding.
    pub(crate) fn admit(bytes: Vec<u8>) -> Result<Self, Rejection> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(Rejection::XmlNotUtf8 { offset: 0 });
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| Rejection::XmlNotUtf8 { offset: error.utf8_error().valid_up_to() })?;
        refuse_forbidden_characters(&text)?;
        let text = normalise_line_ends(text);
        let start = declaration_length(&text)?;
        Ok(Self { text, start })
    }

    /// Canonical bytes need no gate. They are made of pieces of admitted text, of references to characters
    /// that the parser allowed, and of markup; a CR stands in them only as `&#xD;`, and they begin with a tag.
    pub(crate) fn canonical(bytes: CanonicalBytes) -> Self {
        Self { text: bytes.into_string(), start: 0 }
    }

    pub(crate) fn start(&self) -> usize {
        self.start
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }
}

/// XML 1.0 §2.2 `Char`. What is left to check in UTF-8 are the C0 controls, U+FFFE and U+FFFF.
fn refuse_forbidden_characters(text: &str) -> Result<(), Rejection> {
    let bytes = text.as_bytes();
    // Without an early exit the compiler turns this into vector code.
    let any = |is: fn(u8) -> bool| bytes.iter().fold(false, |found, byte| found | is(*byte));
    if any(|byte| byte < 0x20) && any(is_forbidden_control) {
        let offset = bytes.iter().position(|byte| is_forbidden_control(*byte)).unwrap_or_default();
        return Err(Rejection::XmlCharacterForbidden { offset });
    }
    if !text.is_ascii() {
        for noncharacter in ["\u{fffe}", "\u{ffff}"] {
            if let Some(offset) = memmem::find(bytes, noncharacter.as_bytes()) {
                return Err(Rejection::XmlCharacterForbidden { offset });
            }
        }
    }
    Ok(())
}

fn is_forbidden_control(byte: u8) -> bool {
    byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r')
}

/// XML 1.0 §2.11: CR LF and CR become LF.
fn normalise_line_ends(text: String) -> String {
    if memchr(b'\r', text.as_bytes()).is_none() {
        return text;
    }
    text.replace("\r\n", "\n").replace('\r', "\n")
}

/// XML 1.0 §2.8 `XMLDecl`, with version 1.0 and UTF-8.
fn declaration_length(text: &str) -> Result<usize, Rejection> {
    let Some(rest) = text.strip_prefix("<?xml") else {
        return Ok(0);
    };
    let rest = declaration_rest(rest).ok_or(Rejection::XmlDeclarationInvalid)?;
    Ok(text.len() - rest.len())
}

fn declaration_rest(rest: &str) -> Option<&str> {
    let (version, mut rest) = pseudo_attribute(rest, "version")?;
    if version != "1.0" {
        return None;
    }
    if let Some((encoding, after)) = pseudo_attribute(rest, "encoding") {
        if !encoding.eq_ignore_ascii_case("UTF-8") {
            return None;
        }
        rest = after;
    }
    if let Some((standalone, after)) = pseudo_attribute(rest, "standalone") {
        if !matches!(standalone, "yes" | "no") {
            return None;
        }
        rest = after;
    }
    rest.trim_start_matches(is_space).strip_prefix("?>")
}

fn pseudo_attribute<'a>(rest: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let trimmed = rest.trim_start_matches(is_space);
    if trimmed.len() == rest.len() {
        return None;
    }
    let value =
        trimmed.strip_prefix(name)?.trim_start_matches(is_space).strip_prefix('=')?.trim_start_matches(is_space);
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
    value.strip_prefix(quote)?.split_once(quote)
}

fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<&str, &str>) {
        let seen = XmlText::admit(bytes.to_vec());
        let seen = seen.as_ref().map(|text| text.text.get(text.start..).unwrap()).map_err(Rejection::code);
        assert_eq!(seen, expected);
    }

    #[test]
    fn admits_utf8_with_or_without_a_declaration() {
        check(b"<a/>", Ok("<a/>"));
        check("<a>\u{e4}\u{10ffff}\u{7f}</a>".as_bytes(), Ok("<a>\u{e4}\u{10ffff}\u{7f}</a>"));
        check(b"<?xml version='1.0'?><a/>", Ok("<a/>"));
        check(b"<?xml version=\"1.0\" encoding=\"utf-8\" standalone='no' ?>\r\n<a/>", Ok("\n<a/>"));
        check(b"<a>\r\n\r</a>", Ok("<a>\n\n</a>"));
    }

    #[test]
    fn refuses_other_encodings_versions_and_characters() {
        check(b"\xef\xbb\xbf<a/>", Err("xml_not_utf8"));
        check(b"\xff\xfe<\0a\0", Err("xml_not_utf8"));
        check(b"<a>\xc0\x80</a>", Err("xml_not_utf8"));
        check(b"<a>\xed\xa0\x80</a>", Err("xml_not_utf8"));
        check(b"<a>\0</a>", Err("xml_character_forbidden"));
        check(b"<a>\x0b</a>", Err("xml_character_forbidden"));
        check("<a>\u{ffff}</a>".as_bytes(), Err("xml_character_forbidden"));
        check("<a>\u{fffe}</a>".as_bytes(), Err("xml_character_forbidden"));
        for declaration in [
            "<?xml?>",
            "<?xml version='1.1'?>",
            "<?xml version='1.0' encoding='UTF-16'?>",
            "<?xml version='1.0' encoding='ISO-8859-1'?>",
            "<?xml version='1.0' standalone='maybe'?>",
            "<?xml encoding='UTF-8'?>",
            "<?xml version='1.0' encoding='UTF-8' x='y'?>",
            "<?xml version='1.0'",
            "<?xmlversion='1.0'?>",
            "<?xml version='1.0'encoding='UTF-8'?>",
            "<?xml-stylesheet href='x'?>",
        ] {
            check(format!("{declaration}<a/>").as_bytes(), Err("xml_declaration_invalid"));
        }
    }
}
