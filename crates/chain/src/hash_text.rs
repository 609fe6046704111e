//! Hashes as text: reversed hexadecimal, as every node and explorer writes them. And hexadecimal by
//! the megabyte, as templates hold it.

/// Text of a hash: 64 lower-case hex digits, bytes reversed.
#[must_use]
pub fn hash_to_text(hash: &[u8; 32]) -> String {
    let mut reversed = *hash;
    reversed.reverse();
    hex::encode(reversed)
}

/// A hash from its text; `None` unless it is exactly 64 hex digits.
#[must_use]
pub fn hash_from_text(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0u8; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    hash.reverse();
    Some(hash)
}

/// The value of a hexadecimal digit; [`NO_DIGIT`] of everything else.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0u8;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

/// Bytes from their hexadecimal text; `None` unless it is an even number of digits. A table and one
/// check at the end, in place of a decision at every digit.
pub(crate) fn bytes_from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut seen = 0;
    let bytes = pairs
        .iter()
        .map(|pair| {
            let (high, low) = (DIGITS[usize::from(pair[0])], DIGITS[usize::from(pair[1])]);
            seen |= high | low;
            high << 4 | low & 0xf
        })
        .collect();
    // Digits are below sixteen, so any higher bit is that of something else.
    (rest.is_empty() && seen < 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_the_hex_crate_reads_them() {
        let every: String = (0..=255u8).map(|b| format!("{b:02x}")).collect();
        for text in [&every, &every.to_uppercase(), "", "0", "abc", "0g", "g0", "é0", "0x11", " 11"]
        {
            assert_eq!(bytes_from_hex(text), hex::decode(text).ok(), "{text:?}");
        }
        for odd in 0..=255u8 {
            if let Ok(text) = std::str::from_utf8(&[b'1', odd]) {
                assert_eq!(bytes_from_hex(text), hex::decode(text).ok(), "{text:?}");
            }
        }
    }

    #[test]
    fn text_is_reversed_and_exact_in_length() {
        let mut hash = [0u8; 32];
        hash[0] = 0xab;
        let text = hash_to_text(&hash);
        assert!(text.ends_with("ab") && text.starts_with("0000"));
        assert_eq!(hash_from_text(&text), Some(hash));
        assert_eq!(hash_from_text(&text[2..]), None);
        assert_eq!(hash_from_text(&format!("{text}00")), None);
        assert_eq!(hash_from_text(&text.replace('a', "g")), None);
    }
}
