//! Writing a series, receipt by receipt.

use super::{MAGIC, SeriesOf, push_number};
use crate::Hash;
use crate::merkle::between;
use crate::note::Checkpoint;
use crate::receipt::Receipt;
use crate::tiles::ENTRY_MAX;
use crate::wire::WireError;

/// Writes one. The caller takes what is in `out` away whenever he likes.
#[derive(Clone, Debug)]
pub struct SeriesWriter {
    of: SeriesOf,
    /// Entries of the log that the head signs.
    size: u64,
    /// The first place of the log that was not told of yet.
    at: u64,
    /// The numbers of the receipt before.
    before: Vec<u128>,
}

const fn refused<T>(why: &'static str) -> Result<T, WireError> {
    Err(WireError::Malformed(why))
}

impl SeriesWriter {
    /// Begins.
    ///
    /// # Errors
    /// When the head is none, or something is too long to be written.
    pub fn begin(of: SeriesOf, out: &mut Vec<u8>) -> Result<SeriesWriter, WireError> {
        let Ok(head) = Checkpoint::read(&of.checkpoint) else { return refused("not a head") };
        let note = u16::try_from(of.checkpoint.len());
        let asset = u8::try_from(of.refund_asset.len());
        let (Ok(note), Ok(asset)) = (note, asset) else { return refused("too long a text") };
        out.extend(MAGIC);
        out.extend(note.to_be_bytes());
        out.extend(of.checkpoint.as_bytes());
        out.extend(of.contract.to_bytes());
        out.push(of.kind);
        out.extend(of.nonce);
        out.extend(of.terms);
        out.push(asset);
        out.extend(of.refund_asset.as_bytes());
        Ok(SeriesWriter { of, size: head.size, at: 0, before: Vec::new() })
    }

    /// Entries of the log that the head signs: of later ones nothing can be told.
    #[must_use]
    pub const fn log_size(&self) -> u64 {
        self.size
    }

    /// Adds a receipt. `node` knows the roots over so many leaves of the log from a place on.
    ///
    /// # Errors
    /// When it is of another contract, not behind the one before, or not in this head's log; or `node` does not know.
    pub fn push(
        &mut self,
        one: &Receipt,
        node: impl FnMut(u64, u64) -> Option<Hash>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        if SeriesOf::receipt(one, &self.of.checkpoint) != self.of {
            return refused("the receipt of another contract");
        }
        let Ok(entry) = hex::decode(&one.entry) else { return refused("an entry that is not hex") };
        let len = u16::try_from(entry.len()).ok().filter(|_| entry.len() <= ENTRY_MAX);
        let Some(len) = len else { return refused("an entry that is too long") };
        self.go_to(one.entry_index, node, out)?;
        out.extend(len.to_be_bytes());
        out.extend(entry);
        let mut numbers = vec![
            one.leaf_index.into(),
            one.work.hashrate,
            one.work.allocated,
            one.work.owed,
            one.entitled,
            one.private.units,
            i128::from(one.private.refund_minor).cast_unsigned(),
        ];
        let figures = numbers.len();
        for s in &one.sold_proof {
            numbers.extend([s.sums.hashrate, s.sums.allocated, s.sums.owed]);
        }
        let before = |n: usize| self.before.get(n).copied().unwrap_or_default();
        for (n, number) in numbers.iter().enumerate() {
            push_number(out, *number, before(n));
            if n + 1 == figures {
                out.extend(one.private.salt);
            }
            if n >= figures && (n - figures) % super::SUMS == 2 {
                out.extend(one.sold_proof[(n - figures) / super::SUMS].hash);
            }
        }
        self.before = numbers;
        self.at = one.entry_index + 1;
        Ok(())
    }

    /// Ends the series.
    ///
    /// # Errors
    /// When `node` does not know a root.
    pub fn end(
        mut self,
        node: impl FnMut(u64, u64) -> Option<Hash>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        self.go_to(self.size, node, out)
    }

    fn go_to(
        &mut self,
        place: u64,
        mut node: impl FnMut(u64, u64) -> Option<Hash>,
        out: &mut Vec<u8>,
    ) -> Result<(), WireError> {
        let Some(written) = u32::try_from(place).ok().filter(|_| self.at <= place) else {
            return refused("receipts that are not in the order of the log");
        };
        if place > self.size {
            return refused("a receipt of an epoch behind the head");
        }
        out.extend(written.to_be_bytes());
        for (from, leaves) in between(self.size, self.at, place) {
            let Some(root) = node(from, leaves) else { return refused("a log without its nodes") };
            out.extend(root);
        }
        Ok(())
    }
}
