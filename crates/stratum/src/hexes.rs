//! Hexadecimal as Stratum V1 writes it, read strictly: the exact length, digits only, either
//! case. (Lenient readers let one share in twice under two spellings.)

/// What each byte is worth as a digit; above 15 for those that are none.
const DIGITS: [u8; 256] = {
    let mut digits = [0xff; 256];
    let mut n = 0;
    while n < 16 {
        digits[b"0123456789abcdef"[n as usize] as usize] = n;
        digits[b"0123456789ABCDEF"[n as usize] as usize] = n;
        n += 1;
    }
    digits
};

/// Exactly `N` bytes from `2 N` hex digits.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    into(text, &mut out).then_some(out)
}

/// The same from a text's bytes.
pub(crate) fn array_of<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut out = [0; N];
    read(text, &mut out).then_some(out)
}

/// Fills `out` from exactly twice as many hex digits.
pub(crate) fn into(text: &str, out: &mut [u8]) -> bool {
    read(text.as_bytes(), out)
}

fn read(text: &[u8], out: &mut [u8]) -> bool {
    let (pairs, odd) = text.as_chunks::<2>();
    if pairs.len() != out.len() || !odd.is_empty() {
        return false;
    }
    let mut seen = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low & 0xf;
    }
    seen <= 0xf
}

/// A 32-bit number from exactly eight hex digits.
pub(crate) fn word(text: &str) -> Option<u32> {
    word_of(text.as_bytes())
}

/// The same from a text's bytes.
pub(crate) fn word_of(text: &[u8]) -> Option<u32> {
    array_of(text).map(u32::from_be_bytes)
}

/// A previous block hash between header order and the wire's: each 4-byte word reversed. Its own
/// inverse.
pub(crate) fn swap_words(hash: &[u8; 32]) -> [u8; 32] {
    let mut out = *hash;
    for word in out.chunks_exact_mut(4) {
        word.reverse();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_hex_of_either_case_is_read() {
        assert_eq!(word("dEADbeef"), Some(0xdead_beef));
        for bad in ["", "dead", "0xdeadbe", "deadbeef0", "zzzzzzzz", " eadbeef", "０１２３４５６７"]
        {
            assert_eq!(word(bad), None, "{bad:?}");
        }
        for byte in 0..=0xffu8 {
            for spelling in [format!("{byte:02x}"), format!("{byte:02X}")] {
                assert_eq!(array::<1>(&spelling), Some([byte]));
            }
            let text = String::from_utf8_lossy(&[byte, b'0']).into_owned();
            assert_eq!(array::<1>(&text).is_some(), byte.is_ascii_hexdigit(), "{byte}");
        }
    }
}
