//! Base64 as messages carry it: the standard alphabet and canonical padding (RFC 4648 §3.5), with white
//! space of the caller's choice in between.
//!
//! A SAMLResponse is the largest thing that a login decodes, hence the vector code of `base64-simd`. It
//! refuses what the strict decoder of `base64` refuses, which a test compares.

/// `None` for anything but canonical base64, once the white space is out.
pub(crate) fn decode(encoded: &[u8], is_white_space: impl Fn(u8) -> bool) -> Option<Vec<u8>> {
    if let Ok(decoded) = base64_simd::STANDARD.decode_to_vec(encoded) {
        return Some(decoded);
    }
    let compact = without(encoded, is_white_space);
    if compact.len() == encoded.len() {
        return None;
    }
    base64_simd::STANDARD.decode_to_vec(compact).ok()
}

/// Every byte is written, and overwritten by the next one where it is white space: no branch to mispredict,
/// however the white space is strewn.
fn without(encoded: &[u8], is_white_space: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut compact = vec![0; encoded.len()];
    let mut length = 0;
    for byte in encoded {
        if let Some(place) = compact.get_mut(length) {
            *place = *byte;
        }
        length += usize::from(!is_white_space(*byte));
    }
    compact.truncate(length);
    compact
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn is_space(byte: u8) -> bool {
        matches!(byte, b' ' | b'\n')
    }

    #[track_caller]
    fn check(encoded: &[u8]) {
        let compact: Vec<u8> = encoded.iter().copied().filter(|byte| !is_space(*byte)).collect();
        assert_eq!(decode(encoded, is_space), STANDARD.decode(compact).ok(), "{}", encoded.escape_ascii());
    }

    #[test]
    fn agrees_with_the_strict_decoder_on_every_ending() {
        let alphabet = b"AQgwBR+/=-_ \n\r\t%\0\x80\xff";
        for prefix in ["", "QUJD", &"QUJD".repeat(8), &"QUJD".repeat(40)] {
            check(prefix.as_bytes());
            for one in alphabet {
                for other in alphabet {
                    for third in alphabet {
                        check(&[prefix.as_bytes(), &[*one, *other, *third]].concat());
                        check(&[prefix.as_bytes(), &[b'Q', *one, *other, *third]].concat());
                        check(&[prefix.as_bytes(), &[*one, *other, *third, b'=']].concat());
                    }
                }
            }
        }
    }

    #[test]
    fn refuses_every_other_byte_at_every_place_of_a_vector() {
        let encoded = STANDARD.encode([0x5a; 120]).into_bytes();
        for place in 0..encoded.len() {
            for byte in 0..=u8::MAX {
                let mut damaged = encoded.clone();
                damaged[place] = byte;
                check(&damaged);
            }
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_strict_decoder(
            octets in proptest::collection::vec(any::<u8>(), 0..400),
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
            spaces in proptest::collection::vec(any::<prop::sample::Index>(), 0..3),
            cut in 0_usize..4,
        ) {
            let mut encoded = STANDARD.encode(octets).into_bytes();
            if !encoded.is_empty() {
                damage.iter().for_each(|(place, byte)| { let at = place.index(encoded.len()); encoded[at] = *byte; });
                encoded.truncate(encoded.len() - cut);
            }
            spaces.iter().for_each(|place| { let at = place.index(encoded.len() + 1); encoded.insert(at, b'\n'); });
            check(&encoded);
        }
    }
}
