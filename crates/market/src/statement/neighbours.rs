//! Lines of neighbouring contracts, read together.
//!
//! For: the audit, which writes the statement of every contract. Contracts stand on pages in the order of their ids, some tens on
//! one; asked for one by one, each page would be read and taken apart once for each of them.

use super::STATEMENT_EPOCHS_MAX;
use crate::Result;
use crate::bulk::lines::{self, LineOf};
use gruve_store::Tx;
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::collections::BTreeMap;

/// Lines held at most: some thirty megabytes. What is longer by itself is read by itself.
const LINES_MAX: u64 = 1 << 17;

/// A contract and the epochs in which it may have lines, the last not among them.
pub(crate) type Span = (ContractId, EpochNumber, EpochNumber);

/// The lines of some contracts, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Neighbours(BTreeMap<ContractId, Vec<LineOf>>);

impl Neighbours {
    /// How many of these, which ascend, are read together: as many as may be held, and one at least.
    pub(crate) fn together(all: &[Span]) -> usize {
        let mut held = 0u64;
        let fits = |(_, from, before): &&Span| {
            held = held.saturating_add(before.0.saturating_sub(from.0));
            held <= LINES_MAX
        };
        all.iter().take_while(fits).count().max(1)
    }

    /// The lines of contracts that ascend; nothing of one that has more than may be held.
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneId, of: &[Span]) -> Result<Neighbours> {
        const _: () = assert!(LINES_MAX < STATEMENT_EPOCHS_MAX as u64);
        let mut near = Neighbours::default();
        let (Some((least, ..)), Some((greatest, ..))) = (of.first(), of.last()) else {
            return Ok(near);
        };
        if of.iter().any(|(_, from, before)| before.0.saturating_sub(from.0) > LINES_MAX) {
            return Ok(near);
        }
        let spans: BTreeMap<_, _> =
            of.iter().map(|(id, from, before)| (*id, *from..*before)).collect();
        near.0.extend(spans.keys().map(|id| (*id, Vec::new())));
        let with_lines = || spans.values().filter(|span| !span.is_empty());
        let (Some(from), Some(before)) =
            (with_lines().map(|s| s.start).min(), with_lines().map(|s| s.end).max())
        else {
            return Ok(near);
        };
        let epochs = (from, before);
        lines::of_neighbours(tx, lane, (*least, *greatest), epochs, |epoch, line| {
            let is_its = spans.get(&line.contract).is_some_and(|span| span.contains(&epoch));
            if let Some(own) = near.0.get_mut(&line.contract).filter(|_| is_its) {
                own.push((epoch, line));
            }
        })
        .await?;
        Ok(near)
    }

    /// A contract's; `None` when it was not read with them.
    pub(super) fn of(&self, id: ContractId) -> Option<&[LineOf]> {
        self.0.get(&id).map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_read_together_as_may_be_held() {
        let of = |epochs: u64| {
            (ContractId::from_bytes([1; 16]), EpochNumber(7), EpochNumber(7 + epochs))
        };
        for (spans, together) in [
            (vec![of(1); 5], 5),
            (vec![of(LINES_MAX / 2), of(LINES_MAX / 2), of(1)], 2),
            (vec![of(LINES_MAX), of(0), of(1)], 2),
            (vec![of(LINES_MAX + 1), of(1)], 1),
            (vec![of(1), of(u64::MAX - 7), of(1)], 1),
        ] {
            assert_eq!(Neighbours::together(&spans), together, "{spans:?}");
        }
    }
}
