//! The journal's hash chain.

use crate::entry::Line;
use gruve_units::Timestamp;
use sha2::{Digest, Sha256};

/// The hash before the first entry.
pub const GENESIS: [u8; 32] = [0; 32];

/// The table through which every new entry passes: whoever has it alone ([`gruve_store::Tx::alone_in`]) posts alone.
pub const HEAD_TABLE: &str = "ledger_head";

/// Sets these hashes apart from all others.
const DOMAIN: &[u8] = b"gruve ledger entry 1";

/// The hash of an entry: SHA-256 over
///
/// | bytes | what |
/// |---|---|
/// | 20 | `gruve ledger entry 1` in ASCII |
/// | 32 | the hash of the entry before, zeros before the first |
/// | 8 | the entry's number |
/// | 8 | when it happened: microseconds since 1970 |
/// | 2 + n | length and bytes of the reason |
/// | 2 + n | length and bytes of the kind |
/// | 4 | number of postings |
/// | for each posting, ordered by account, asset and amount: | |
/// | 2 + n | length and bytes of the account's key |
/// | 2 + n | length and bytes of the asset's code |
/// | 8 | minor units, two's complement, debits positive |
///
/// All numbers are big-endian. Asset order is that of [`gruve_units::Asset::ALL`].
#[must_use]
pub fn entry_hash<'a>(
    before: &[u8; 32],
    seq: i64,
    at: Timestamp,
    reason: &str,
    kind: &str,
    postings: impl ExactSizeIterator<Item = (&'a str, &'a str, i64)>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(DOMAIN);
    hash.update(before);
    hash.update(seq.to_be_bytes());
    hash.update(at.0.to_be_bytes());
    text(&mut hash, reason);
    text(&mut hash, kind);
    hash.update(u32::try_from(postings.len()).unwrap_or(u32::MAX).to_be_bytes());
    for (account, asset, minor) in postings {
        text(&mut hash, account);
        text(&mut hash, asset);
        hash.update(minor.to_be_bytes());
    }
    hash.finalize().into()
}

fn text(hash: &mut Sha256, t: &str) {
    // Texts of the journal are far shorter; a longer one, found only in damaged books, gets a length
    // that no honest entry has.
    hash.update(u16::try_from(t.len()).unwrap_or(u16::MAX).to_be_bytes());
    hash.update(t.as_bytes());
}

pub(crate) fn hash_lines(
    before: &[u8; 32],
    seq: i64,
    at: Timestamp,
    reason: &str,
    kind: &str,
    lines: &[Line],
) -> [u8; 32] {
    let postings = lines.iter().map(|l| (l.account.as_str(), l.asset.code(), l.minor));
    entry_hash(before, seq, at, reason, kind, postings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_a_known_entry_does_not_change() {
        // The bytes of the table above, written out by hand.
        let mut bytes = b"gruve ledger entry 1".to_vec();
        bytes.extend([0xab; 32]);
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 7]);
        bytes.extend([0, 0, 0, 0, 0, 0, 1, 0]);
        bytes.extend(b"\x00\x03r:1");
        bytes.extend(b"\x00\x01k");
        bytes.extend([0, 0, 0, 2]);
        bytes.extend(b"\x00\x07capital\x00\x03BTC");
        bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe]);
        bytes.extend(b"\x00\x09chain.hot\x00\x03BTC");
        bytes.extend([0, 0, 0, 0, 0, 0, 0, 2]);
        let want: [u8; 32] = Sha256::digest(&bytes).into();
        let postings = [("capital", "BTC", -2), ("chain.hot", "BTC", 2)];
        let got = entry_hash(&[0xab; 32], 7, Timestamp(256), "r:1", "k", postings.into_iter());
        assert_eq!(got, want);
    }
}
