//! The smallest parts of a document: characters of names, URIs, references.

use memchr::memchr;

pub(super) fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// RFC 3986 §3.1: a scheme, a colon, and then only characters that a URI may hold. Relative namespace
/// names are what made libxml2's canonicalization fail silently (CVE-2025-66568, CVE-2025-66578).
pub(super) fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && uri.bytes().all(|byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^')
        })
}

/// What stands behind an `&`: the character and the length up to and with the `;`.
pub(super) fn reference(after: &str) -> Option<(char, usize)> {
    // `&` and nine more are the ten characters that a reference may have.
    let window = after.as_bytes().get(..9).unwrap_or(after.as_bytes());
    let length = memchr(b';', window)?;
    let character = match after.get(..length)? {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        name => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
            if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|character| is_xml_char(*character))?
        }
    };
    Some((character, length + 1))
}

/// XML 1.0 §2.2 `Char`.
fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
