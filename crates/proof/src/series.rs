//! A series: the receipts of one contract, of one epoch or of a year, under one signed head.
//!
//! What a [`Receipt`] repeats stands here once: the head, what is the contract's in all epochs, each hash of the log. Numbers are
//! differences to the receipt before. It shows what the receipts show, and no less: every entry stands in the log that the head
//! signs, every leaf in its epoch's sold tree. `docs/record-format.md` has the bytes.
//!
//! Written and read receipt by receipt, in memory of one of them and a hash for each level of the log.

mod read;
mod write;

pub use read::{InSeries, SeriesError, SeriesReader};
pub use write::SeriesWriter;

use crate::Hash;
use crate::receipt::Receipt;
use crate::wire::{Wire, WireError};
use gruve_units::ContractId;
use std::io::Read;

/// The first bytes of the file.
pub const MAGIC: [u8; 8] = *b"GRUVRCP1";

/// What all receipts of a series have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesOf {
    /// The signed head that they lead to.
    pub checkpoint: String,
    /// The contract.
    pub contract: ContractId,
    /// What kind: 0 a lease, 1 a metered contract.
    pub kind: u8,
    /// The customer's own, zeros when none was given.
    pub nonce: Hash,
    /// The hash of the contract's terms.
    pub terms: Hash,
    /// What a refund would be in.
    pub refund_asset: String,
}

impl SeriesOf {
    /// Of receipts like this one, under a head that may be newer than its own.
    #[must_use]
    pub fn receipt(one: &Receipt, checkpoint: &str) -> SeriesOf {
        SeriesOf {
            checkpoint: checkpoint.to_owned(),
            contract: one.contract,
            kind: one.kind,
            nonce: one.private.nonce,
            terms: one.private.terms,
            refund_asset: one.private.refund_asset.clone(),
        }
    }
}

/// Numbers of a receipt before those of its siblings: place in the sold tree, hashrate, allocated, owed, entitled, units, refund.
const FIGURES: usize = 7;
/// Sums of a sibling.
const SUMS: usize = 3;

/// Writes a number as its difference to another modulo 2^128, small ones of either sign short: length in bytes, and these.
fn push_number(out: &mut Vec<u8>, now: u128, before: u128) {
    let difference = now.wrapping_sub(before);
    let is_negative = difference >> 127 == 1;
    let coded = if is_negative { (!difference << 1) | 1 } else { difference << 1 };
    let bytes = coded.to_be_bytes();
    let bytes = &bytes[coded.leading_zeros() as usize / 8..];
    // At most 16.
    out.push(u8::try_from(bytes.len()).unwrap_or(u8::MAX));
    out.extend(bytes);
}

/// Reads what [`push_number`] writes, in that form alone.
fn take_number<R: Read>(w: &mut Wire<R>, before: u128) -> Result<u128, WireError> {
    const IN: &str = "a number";
    let len = usize::from(w.u8(IN)?);
    let mut bytes = [0; 16];
    let Some(from) = bytes.len().checked_sub(len) else {
        return Err(WireError::Malformed("a number that does not fit"));
    };
    w.fill(&mut bytes[from..], IN)?;
    if bytes.get(from) == Some(&0) {
        return Err(WireError::Malformed("a number that is longer than it needs"));
    }
    let coded = u128::from_be_bytes(bytes);
    let difference = if coded & 1 == 1 { !(coded >> 1) } else { coded >> 1 };
    Ok(before.wrapping_add(difference))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(now: u128, before: u128) -> Vec<u8> {
        let mut out = Vec::new();
        push_number(&mut out, now, before);
        out
    }

    proptest! {
        #[test]
        fn every_number_beside_every_other_has_one_form(now: u128, before: u128, near in 0u128..300) {
            for now in [now, before.wrapping_add(near), before.wrapping_sub(near), 0, u128::MAX] {
                let bytes = number(now, before);
                let mut w = Wire::new(bytes.as_slice());
                prop_assert_eq!(take_number(&mut w, before).unwrap(), now);
                prop_assert!(w.end().is_ok());
                // The same with a zero before it.
                let longer = [&[bytes[0] + 1, 0], &bytes[1..]].concat();
                prop_assert!(take_number(&mut Wire::new(longer.as_slice()), before).is_err());
            }
        }
    }

    #[test]
    fn small_steps_are_short_and_long_lengths_are_refused() {
        assert_eq!(number(5, 5), [0]);
        assert_eq!(number(6, 5), [1, 2]);
        assert_eq!(number(4, 5), [1, 1]);
        assert_eq!(number(0, u128::MAX), [1, 2]);
        for len in 17..=255 {
            let absurd = [&[len][..], &[1; 300]].concat();
            assert!(take_number(&mut Wire::new(absurd.as_slice()), 0).is_err());
        }
    }
}
