//! Hexadecimal as Stratum V1 writes it, read strictly: the exact length, digits only, either
//! case. (Lenient readers let one share in twice under two spellings.)

/// Exactly `N` bytes from `2 N` hex digits.
pub(crate) fn array<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    into(text, &mut out).then_some(out)
}

/// Fills `out` from exactly twice as many hex digits.
pub(crate) fn into(text: &str, out: &mut [u8]) -> bool {
    hex::decode_to_slice(text, out).is_ok()
}

/// A 32-bit number from exactly eight hex digits.
pub(crate) fn word(text: &str) -> Option<u32> {
    array(text).map(u32::from_be_bytes)
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
    }
}
