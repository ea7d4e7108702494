//! Looks, leniently, for XML in what somebody captured: encoded, compressed, in another character set. What
//! the verifier says of it is another matter.

use std::io::Read;

use base64::Engine;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Where in base64 there is XML.
pub(super) enum Unpacked {
    Plain(Vec<u8>),
    Deflated(Vec<u8>),
    Twice,
}

/// Looks, leniently, whether there is XML in `text`. What the verifier says of it is another matter.
pub(super) fn unpacked(text: &str) -> Option<Unpacked> {
    let bytes = lenient(text)?;
    if starts_as_xml(&bytes) || utf16(&bytes).is_some_and(|text| starts_as_xml(text.as_bytes())) {
        return Some(Unpacked::Plain(bytes));
    }
    if let Some(xml) = inflated(&bytes).filter(|xml| starts_as_xml(xml)) {
        return Some(Unpacked::Deflated(xml));
    }
    let inner = lenient(std::str::from_utf8(&bytes).ok()?)?;
    starts_as_xml(&inner).then_some(Unpacked::Twice)
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Base64 of either alphabet with a few faults; `None` where the text is not of that kind at all.
fn lenient(text: &str) -> Option<Vec<u8>> {
    let visible = || text.bytes().filter(|byte| !byte.is_ascii_whitespace());
    let mut digits: Vec<u8> = visible()
        .filter_map(|byte| match byte {
            b'-' => Some(b'+'),
            b'_' => Some(b'/'),
            b'+' | b'/' => Some(byte),
            byte => byte.is_ascii_alphanumeric().then_some(byte),
        })
        .collect();
    let others = visible().filter(|byte| *byte != b'=').count().saturating_sub(digits.len());
    if digits.len() < 4 || others > digits.len() / 20 {
        return None;
    }
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(&digits).ok()
}

/// With its byte order mark or without, as editors and shells of Windows save text.
pub(super) fn utf16(bytes: &[u8]) -> Option<String> {
    let (little, rest) = match bytes {
        [0xff, 0xfe, rest @ ..] => (true, rest),
        [0xfe, 0xff, rest @ ..] => (false, rest),
        [first, 0, ..] if first.is_ascii_graphic() => (true, bytes),
        [0, second, ..] if second.is_ascii_graphic() => (false, bytes),
        _ => return None,
    };
    let units = rest.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok());
    let units: Vec<u16> =
        units.map(|pair| if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }).collect();
    String::from_utf16(&units).ok()
}

pub(super) fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}

pub(super) fn starts_as_xml(bytes: &[u8]) -> bool {
    let text = without_mark(bytes).trim_ascii_start();
    matches!(text, [b'<', next, ..] if next.is_ascii_alphabetic() || matches!(next, b'_' | b'?' | b'!'))
}

/// The name of the first tag, or of the document type; prologue and comments are passed over.
pub(super) fn root_name(text: &str) -> String {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let (end, length) = if rest.starts_with("<?") {
            ("?>", 2)
        } else if rest.starts_with("<!--") {
            ("-->", 3)
        } else {
            break;
        };
        let Some(at) = rest.find(end) else { break };
        rest = rest.get(at.saturating_add(length)..).unwrap_or_default().trim_start();
    }
    let rest = rest.strip_prefix('<').unwrap_or_default();
    let is_end = |character: char| character.is_whitespace() || matches!(character, '/' | '>');
    let mut words = rest.split(is_end).filter(|word| !word.is_empty());
    match words.next().unwrap_or_default() {
        declaration if declaration.eq_ignore_ascii_case("!doctype") => {
            format!("{declaration} {}", words.next().unwrap_or_default())
        }
        name => name.to_owned(),
    }
}

/// What is inflated at most.
const MAX_BYTES: u64 = 256 * 1024;

/// Messages by HTTP-Redirect are deflated (SAML Bindings 2.0 §3.4.4.1); a body may be compressed otherwise.
///
/// By the first method that gives anything.
fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let gzip = bytes.starts_with(&[0x1f, 0x8b]);
    let zlib = bytes.first() == Some(&0x78);
    let mut tries: [(bool, Box<dyn Read + '_>); 3] = [
        (gzip, Box::new(GzDecoder::new(bytes))),
        (zlib, Box::new(ZlibDecoder::new(bytes))),
        (true, Box::new(DeflateDecoder::new(bytes))),
    ];
    tries.iter_mut().filter(|(fits, _)| *fits).find_map(|(_, reader)| {
        let mut text = Vec::new();
        reader.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        (!text.is_empty()).then_some(text)
    })
}
