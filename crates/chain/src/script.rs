//! The few pieces of script that are built here.

/// `OP_RETURN`: an output that nobody can spend.
pub const OP_RETURN: u8 = 0x6a;

/// The longest push a single length byte can carry.
pub const MAX_SHORT_PUSH: usize = 75;

/// The block height as the coinbase script must begin with it (BIP 34 as Bitcoin Core compares
/// it: a minimally encoded push, with `OP_0` to `OP_16` for the first seventeen heights).
#[must_use]
pub fn height_push(height: u64) -> Vec<u8> {
    match u8::try_from(height) {
        Ok(0) => return vec![0],
        Ok(small @ 1..=16) => return vec![0x50 + small],
        _ => {}
    }
    let mut number: Vec<u8> = height.to_le_bytes().to_vec();
    while number.last() == Some(&0) {
        number.pop();
    }
    if number.last().is_some_and(|top| top & 0x80 != 0) {
        number.push(0); // otherwise it would read as negative
    }
    // At most nine bytes, so the length is its own opcode.
    let length = u8::try_from(number.len()).unwrap_or(9);
    let mut script = vec![length];
    script.append(&mut number);
    script
}

/// The height a coinbase script begins with; `None` when it does not begin with one.
#[must_use]
pub fn read_height(script: &[u8]) -> Option<u64> {
    let (&first, rest) = script.split_first()?;
    match first {
        0 => Some(0),
        0x51..=0x60 => Some(u64::from(first - 0x50)),
        1..=8 => {
            let number = rest.get(..usize::from(first))?;
            let mut bytes = [0u8; 8];
            bytes[..number.len()].copy_from_slice(number);
            let height = u64::from_le_bytes(bytes);
            let negative = number.last().is_some_and(|top| top & 0x80 != 0);
            (!negative && height_push(height) == script[..=usize::from(first)]).then_some(height)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn heights_are_pushed_as_bitcoin_core_pushes_them() {
        for (height, script) in [
            (0, "00"),
            (1, "51"),
            (16, "60"),
            (17, "0111"),
            (127, "017f"),
            (128, "028000"),
            (255, "02ff00"),
            (256, "020001"),
            (32_768, "03008000"),
            (900_000, "03a0bb0d"),
            (8_388_608, "0400008000"),
        ] {
            assert_eq!(hex::encode(height_push(height)), script, "height {height}");
        }
    }

    proptest! {
        #[test]
        fn heights_survive_writing_and_reading(height in 0u64..(1 << 62), tail: Vec<u8>) {
            for height in [height, height >> 30, height >> 45, height >> 56] {
                let mut script = height_push(height);
                script.extend_from_slice(&tail);
                prop_assert_eq!(read_height(&script), Some(height));
            }
        }

        #[test]
        fn reading_a_height_never_panics(script: Vec<u8>) {
            let _ = read_height(&script);
        }
    }
}
