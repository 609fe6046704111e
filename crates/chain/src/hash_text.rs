//! Hashes as text: reversed hexadecimal, as every node and explorer writes them.

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

#[cfg(test)]
mod tests {
    use super::*;

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
