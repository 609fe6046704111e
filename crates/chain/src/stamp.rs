//! The stamp: the zero-value coinbase output that binds work to operator, lane, epoch and class.
//!
//! Its script is `OP_RETURN` and one push of 38 bytes: `"gruv"`, version 1, the 32-byte
//! commitment, the class. The class is the script's last byte, so that one job serves every
//! class by changing a single byte. Writing it is this room's part; finding and judging it is
//! the verifier's, which knows nothing of this room.
//!
//! A block of the Ethash family has no such output: there it is the 32 bytes of `extraData` ([`extra_words`]).

use crate::script::OP_RETURN;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gruve_units::Class;

/// First bytes of the push.
pub const TAG: [u8; 4] = *b"gruv";
/// The version of this form.
pub const VERSION: u8 = 1;
/// Bytes in the push: tag, version, commitment, class.
pub const PUSH_BYTES: usize = 4 + 1 + 32 + 1;
/// Bytes in the script: `OP_RETURN`, the push's length, the push.
pub const SCRIPT_BYTES: usize = 2 + PUSH_BYTES;

/// The output script of a stamp.
#[must_use]
pub fn output_script(commitment: &[u8; 32], class: Class) -> [u8; SCRIPT_BYTES] {
    let mut script = [0u8; SCRIPT_BYTES];
    script[0] = OP_RETURN;
    script[1] = 38; // PUSH_BYTES, which is its own opcode
    script[2..6].copy_from_slice(&TAG);
    script[6] = VERSION;
    script[7..39].copy_from_slice(commitment);
    script[39] = class.k();
    script
}

/// Bytes of the commitment that `extraData` holds.
const EXTRA_HOLDS: usize = 24;

/// The stamp as the words of a block: the first 24 bytes of the commitment in base64, which are 32 letters. Text, because
/// nodes take nothing else (`miner_setExtra`).
#[must_use]
pub fn extra_words(commitment: &[u8; 32]) -> String {
    STANDARD.encode(&commitment[..EXTRA_HOLDS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_block_are_as_many_as_it_may_have() {
        assert_eq!(extra_words(&[0xfb; 32]), "+/v7".repeat(8));
    }

    #[test]
    fn the_class_is_the_last_byte_and_nothing_else_changes_with_it() {
        let [low, high] = [3, 77].map(|k| output_script(&[0xcd; 32], Class::new(k).unwrap()));
        assert_eq!(
            hex::encode(low),
            format!("6a26{}01{}03", hex::encode(b"gruv"), "cd".repeat(32))
        );
        assert_eq!(low[..SCRIPT_BYTES - 1], high[..SCRIPT_BYTES - 1]);
        assert_eq!(high[SCRIPT_BYTES - 1], 77);
        assert_eq!(usize::from(low[1]), PUSH_BYTES);
    }
}
