//! Reading a series from its first byte to its last.

use super::{FIGURES, MAGIC, SUMS, SeriesOf, take_number};
use crate::Hash;
use crate::log::Entry;
use crate::merkle::{PrunedTree, leaf_hash};
use crate::note::{Checkpoint, NOTE_BYTES_MAX, NoteKey};
use crate::receipt::{ReceiptError, Shown};
use crate::sold::{self, KIND_MAX, Node, Private, SoldLeaf, Sums};
use crate::tiles::{ENTRIES_MAX, ENTRY_MAX};
use crate::wire::{Wire, WireError};
use gruve_units::{ContractId, EpochNumber, LaneId};
use std::io::Read;

/// Why a series shows nothing.
#[derive(Debug, thiserror::Error)]
pub enum SeriesError {
    /// Its bytes are not of the form.
    #[error("not a series of receipts: {0}")]
    Wire(#[from] WireError),
    /// A step of a receipt does not hold.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
}

/// A receipt of a series. That its entry stands in the log is known when the series has come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InSeries {
    /// The entry's place in the log.
    pub entry_index: u64,
    /// The hash of its leaf there.
    pub entry_leaf: Hash,
    /// The contract's leaf.
    pub leaf: SoldLeaf,
    /// What it holds of money.
    pub private: Private,
    /// What the receipt shows.
    pub shown: Shown,
}

/// Reads one.
#[derive(Debug)]
pub struct SeriesReader<R> {
    wire: Wire<R>,
    of: SeriesOf,
    head: Checkpoint,
    tree: PrunedTree,
    /// The first place that the next receipt's entry may have.
    at: u64,
    before: Vec<u128>,
    last: Option<(LaneId, EpochNumber)>,
    is_over: bool,
}

impl<R: Read> SeriesReader<R> {
    /// Reads what stands before the receipts. `key` says by which key a head must be signed; `None` refuses it.
    ///
    /// # Errors
    /// When it is not of the form, or the head not signed.
    pub fn open(
        from: R,
        key: impl FnOnce(&str) -> Option<NoteKey>,
    ) -> Result<SeriesReader<R>, SeriesError> {
        const IN: &str = "what all receipts have in common";
        let mut wire = Wire::new(from);
        if wire.array::<8>(IN)? != MAGIC {
            return malformed("not a series of receipts of this version");
        }
        let len = usize::from(wire.u16(IN)?);
        if len > NOTE_BYTES_MAX {
            return malformed("too long a head");
        }
        let checkpoint = text(wire.bytes(len, IN)?)?;
        let of = SeriesOf {
            checkpoint,
            contract: ContractId::from_bytes(wire.array(IN)?),
            kind: wire.u8(IN)?,
            nonce: wire.array(IN)?,
            terms: wire.array(IN)?,
            refund_asset: {
                let len = usize::from(wire.u8(IN)?);
                text(wire.bytes(len, IN)?)?
            },
        };
        if of.kind > KIND_MAX {
            return malformed("a contract of no known kind");
        }
        let head = key(&of.checkpoint).and_then(|k| Checkpoint::open(&of.checkpoint, &k).ok());
        let Some(head) = head else { return Err(ReceiptError::NotSigned.into()) };
        if head.size > ENTRIES_MAX {
            return malformed("an impossible number of entries");
        }
        let tree = PrunedTree::new(head.size);
        let (before, last) = (Vec::new(), None);
        Ok(SeriesReader { wire, of, head, tree, at: 0, before, last, is_over: false })
    }

    /// What its receipts have in common.
    pub const fn of(&self) -> &SeriesOf {
        &self.of
    }

    /// The next receipt; `None` behind the last, when all entries stand in the log that the head signs. Before that none
    /// of them is shown to.
    ///
    /// # Errors
    /// The step that does not hold.
    pub fn next_receipt(&mut self) -> Result<Option<InSeries>, SeriesError> {
        const IN: &str = "a receipt";
        if self.is_over {
            return Ok(None);
        }
        let Self { wire, tree, head, .. } = self;
        let place = u64::from(wire.u32(IN)?);
        if place < self.at || place > head.size {
            return malformed("receipts that are not in the order of the log");
        }
        tree.skip_to(place, || wire.array(IN))?;
        if place == head.size {
            wire.end()?;
            self.is_over = true;
            return match self.tree.root() == Some(self.head.root) {
                true => Ok(None),
                false => Err(ReceiptError::NotInLog.into()),
            };
        }
        self.at = place + 1;
        self.receipt(place).map(Some)
    }

    fn receipt(&mut self, entry_index: u64) -> Result<InSeries, SeriesError> {
        const IN: &str = "a receipt";
        let wire = &mut self.wire;
        let len = usize::from(wire.u16(IN)?);
        if len > ENTRY_MAX {
            return malformed("too long an entry");
        }
        let entry = wire.bytes(len, IN)?;
        let entry_leaf = leaf_hash(&entry);
        self.tree.show(entry_leaf);
        let Ok(Entry::Epoch(s)) = Entry::parse(&entry) else {
            return malformed("not an epoch's entry");
        };
        let follows = self.last.as_ref().is_none_or(|(l, e)| *l == s.lane && *e < s.epoch);
        if !follows {
            return malformed("receipts of two lanes, or not in the order of epochs");
        }
        let mut numbers = Vec::with_capacity(self.before.len());
        let before = |n: usize| self.before.get(n).copied().unwrap_or_default();
        for n in 0..FIGURES {
            numbers.push(take_number(wire, before(n))?);
        }
        let [place, hashrate, allocated, owed, entitled, units, refund] = numbers[..] else {
            return malformed("not so many numbers");
        };
        let salt = wire.array(IN)?;
        let index = u64::try_from(place).ok();
        let siblings = index.and_then(|i| Some((i, sold::siblings(s.contracts, i)?)));
        let Some((index, siblings)) = siblings else {
            return malformed("a place outside the sold tree");
        };
        let mut proof = Vec::with_capacity(siblings);
        for n in 0..siblings {
            let at = FIGURES + n * SUMS;
            for part in 0..SUMS {
                numbers.push(take_number(wire, before(at + part))?);
            }
            let [hashrate, allocated, owed] = numbers[at..] else {
                return malformed("not so many numbers");
            };
            proof.push(Node { sums: Sums { hashrate, allocated, owed }, hash: wire.array(IN)? });
        }
        let Ok(refund_minor) = i64::try_from(refund.cast_signed()) else {
            return malformed("money that does not fit");
        };
        let private = Private {
            salt,
            nonce: self.of.nonce,
            terms: self.of.terms,
            units,
            refund_minor,
            refund_asset: self.of.refund_asset.clone(),
        };
        let leaf = SoldLeaf {
            contract: self.of.contract,
            kind: self.of.kind,
            sums: Sums { hashrate, allocated, owed },
            entitled,
            private: private.hash(),
        };
        if sold::climb(s.contracts, index, &leaf.node(), &proof) != Some(s.sold_root) {
            return Err(ReceiptError::NotSold.into());
        }
        self.before = numbers;
        self.last = Some((s.lane.clone(), s.epoch));
        let shown = Shown {
            lane: s.lane.clone(),
            epoch: s.epoch,
            is_proven: s.is_proven,
            log_size: self.head.size,
            log_root: self.head.root,
            all: s.sold_root.sums,
            contracts: s.contracts,
        };
        Ok(InSeries { entry_index, entry_leaf, leaf, private, shown })
    }
}

const fn malformed<T>(why: &'static str) -> Result<T, SeriesError> {
    Err(SeriesError::Wire(WireError::Malformed(why)))
}

fn text(bytes: Vec<u8>) -> Result<String, SeriesError> {
    String::from_utf8(bytes).or_else(|_| malformed("bytes that are no text"))
}
