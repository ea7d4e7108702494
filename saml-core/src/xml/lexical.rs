//! The smallest parts of a document: characters of names, URIs, references.

/// What a name, and what a URI may hold, by byte: names are the most of a tag.
const CLASSES: [u8; 256] = classes();
const IN_NAME: u8 = 1;
const IN_URI: u8 = 2;

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut byte = 0_u8;
    while byte < 0x80 {
        let in_name = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let in_uri =
            byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'`' | b'{'..=b'}' | b'['..=b'^' | b'&');
        #[expect(clippy::indexing_slicing, reason = "a mistake would not compile")]
        {
            classes[byte as usize] = in_name as u8 * IN_NAME + in_uri as u8 * IN_URI;
        }
        byte += 1;
    }
    classes
}

fn is_of(class: u8, byte: u8) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|classes| classes & class != 0)
}

/// How many bytes at the beginning may stand in a name. Eight at a time, for names are short but many.
#[inline]
pub(super) fn name_length(bytes: &[u8]) -> usize {
    let (chunks, rest) = bytes.as_chunks::<8>();
    let mut length = 0;
    for chunk in chunks {
        let outside = !in_name(u64::from_le_bytes(*chunk)) & HIGH_BITS;
        if outside != 0 {
            return length + (outside.trailing_zeros() / 8) as usize;
        }
        length += 8;
    }
    length + rest.iter().position(|byte| !is_of(IN_NAME, *byte)).unwrap_or(rest.len())
}

const HIGH_BITS: u64 = each(0x80);

const fn each(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The high bit of each byte says whether the byte may stand in a name; the other bits say nothing.
fn in_name(bytes: u64) -> u64 {
    let low = bytes & !HIGH_BITS;
    // Of a byte without its high bit and a number up to 0x80, the difference does not borrow from the next byte.
    let from = |bytes: u64, first: u8| (bytes | HIGH_BITS) - each(first);
    let among = |bytes: u64, first: u8, last: u8| from(bytes, first) & !from(bytes, last + 1);
    let letters = among(low | each(0x20), b'a', b'z');
    let others = among(low, b'0', b'9') | among(low, b'-', b'.') | among(low, b'_', b'_');
    (letters | others) & !bytes
}

/// As `==`, which calls `memcmp`. That costs more than the few bytes of a name, and of two empty slices at no address
/// a hundred times more: it loads from there all the same, masked, and the processor has to suppress the fault.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    one.len() == other.len() && begins_with(one, other)
}

/// As `starts_with`: see [`same`]. The two pieces that are compared may overlap.
#[inline]
pub(super) fn begins_with(bytes: &[u8], beginning: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..beginning.len()) else { return false };
    match beginning.len() {
        0..4 => bytes.iter().zip(beginning).all(|(one, other)| one == other),
        4..8 => {
            bytes.first_chunk::<4>() == beginning.first_chunk() && bytes.last_chunk::<4>() == beginning.last_chunk()
        }
        8..=16 => {
            bytes.first_chunk::<8>() == beginning.first_chunk() && bytes.last_chunk::<8>() == beginning.last_chunk()
        }
        17..=32 => {
            bytes.first_chunk::<16>() == beginning.first_chunk() && bytes.last_chunk::<16>() == beginning.last_chunk()
        }
        _ => bytes == beginning,
    }
}

/// RFC 3986 §3: a scheme, a colon, and then only what a URI may hold where it may hold it. What libxml2 does not read as
/// a URI made its canonicalization fail silently (CVE-2025-66568, CVE-2025-66578), so a name is refused that could be
/// read in two ways: it has no `&`, which libxml2 writes as it is, no brackets, one fragment, and a port of digits.
pub(super) fn is_absolute(uri: &str) -> bool {
    let Some((scheme, rest)) = uri.split_once(':') else { return false };
    scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        && !rest.is_empty()
        && uri.bytes().all(|byte| is_of(IN_URI, byte))
        && uri.bytes().filter(|byte| *byte == b'#').count() <= 1
        && rest
            .split('%')
            .skip(1)
            .all(|after| after.len() >= 2 && after.bytes().take(2).all(|digit| digit.is_ascii_hexdigit()))
        && rest.strip_prefix("//").is_none_or(is_authority)
}

/// RFC 3986 §3.2: whatever stands before the path; a port has one to five digits.
fn is_authority(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match authority.split_once(':') {
        None => !authority.is_empty(),
        Some((host, port)) => {
            !host.is_empty() && (1..=5).contains(&port.len()) && port.bytes().all(|digit| digit.is_ascii_digit())
        }
    }
}

/// What stands behind an `&`: the character and the length up to and with the `;`.
pub(super) fn reference(after: &[u8]) -> Option<(char, usize)> {
    match after {
        [b'l', b't', b';', ..] => Some(('<', 3)),
        [b'g', b't', b';', ..] => Some(('>', 3)),
        [b'a', b'm', b'p', b';', ..] => Some(('&', 4)),
        [b'a', b'p', b'o', b's', b';', ..] => Some(('\'', 5)),
        [b'q', b'u', b'o', b't', b';', ..] => Some(('"', 5)),
        [b'#', b'x', digits @ ..] => numeric(digits, 16, 6).map(|(character, length)| (character, length + 2)),
        [b'#', digits @ ..] => numeric(digits, 10, 7).map(|(character, length)| (character, length + 1)),
        _ => None,
    }
}

/// The number up to a `;`. With at most `most` digits a whole reference has the ten characters that it may have.
fn numeric(digits: &[u8], radix: u32, most: usize) -> Option<(char, usize)> {
    let mut number = 0;
    for (at, byte) in digits.iter().enumerate().take(most + 1) {
        if *byte == b';' {
            let character = char::from_u32(number).filter(|character| at > 0 && is_xml_char(*character))?;
            return Some((character, at + 1));
        }
        number = number * radix + char::from(*byte).to_digit(radix)?;
    }
    None
}

/// XML 1.0 §2.2 `Char`.
fn is_xml_char(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_ends_at_the_first_byte_that_is_none_of_its() {
        for byte in 0..=u8::MAX {
            let stands = byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
            assert_eq!(name_length(&[b'a', byte, b'a']), if stands { 3 } else { 1 }, "{byte:#x}");
            for length in 1..20 {
                for place in 0..length {
                    let mut name = vec![b'a'; length];
                    name[place] = byte;
                    assert_eq!(
                        name_length(&name),
                        if stands { length } else { place },
                        "{byte:#x} at {place} of {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_comparison_sees_a_difference_at_every_place_of_every_length() {
        let name: Vec<u8> = (b'0'..).take(40).collect();
        for length in 0..=name.len() {
            let name = name.get(..length).unwrap();
            assert!(same(name, name));
            assert!(begins_with(&[name, b"x"].concat(), name) && !begins_with(name, &[name, b"x"].concat()));
            assert!(!same(&[name, b"x"].concat(), name) && !same(name, &[name, b"x"].concat()));
            for place in 0..length {
                let mut other = name.to_vec();
                other[place] ^= 1;
                assert!(!same(name, &other) && !begins_with(&other, name), "{place} of {length}");
            }
        }
    }

    #[test]
    fn a_namespace_name_is_a_uri_that_can_be_read_in_one_way() {
        for good in [
            "u:x",
            "urn:oasis:names:tc:SAML:2.0:profiles:attribute:X500",
            "http://schemas.xmlsoap.org/ws/2009/09/identity/claims",
            "http://a:80/b?c=d#e",
            "http://a",
            "u:%41b",
        ] {
            assert!(is_absolute(good), "{good}");
        }
        for bad in [
            "",
            "x",
            ":x",
            "u:",
            "1:x",
            "u x:y",
            "u:a&b",
            "u:a b",
            "u:[",
            "u:]",
            "u:^",
            "u:\\",
            "u:{",
            "u:|",
            "u:}",
            "u:<",
            "u:\"",
            "u:`",
            "u:%",
            "u:%4",
            "u:%zz",
            "u:%4z",
            "u:a#b#c",
            "http://a:b/",
            "http://a:/",
            "http://:80/",
            "http:///a",
            "http://a:123456/",
            "http://[::1]/",
            "u:\u{e4}",
        ] {
            assert!(!is_absolute(bad), "{bad}");
        }
    }

    #[test]
    fn a_reference_has_at_most_ten_characters() {
        assert_eq!(reference(b"#x10FFFF;"), Some(('\u{10ffff}', 9)));
        assert_eq!(reference(b"#x010FFFF;"), None);
        assert_eq!(reference(b"#0000065;"), Some(('A', 9)));
        assert_eq!(reference(b"#00000065;"), None);
        assert_eq!(reference(b"#1114112;"), None);
        for none in
            ["", "#;", "#x;", "#X41;", "lt", "LT;", "#x41", "#+65;", "#x+41;", "#6a;", "nbsp;", "#xD800;", "#0;"]
        {
            assert_eq!(reference(none.as_bytes()), None, "{none}");
        }
    }
}
