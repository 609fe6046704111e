//! An epoch's summary: one entry of the public log, and the chain of checkpoints.
//!
//! The bytes are defined in `docs/record-format.md`: the second form, and the third of entries that also name the places
//! to which later jobs may pay. `checkpoint = SHA-256("gruve checkpoint 1\0" ‖ summary)`; each
//! summary holds the one before, and stamps of later work hold it: rewriting an epoch needs its work again. Epochs
//! between a summary and the one before it had no work: they count as zero and have no summary of their own.

use crate::sold::{Node, Sums};
use crate::sum_tree::SumNode;
use crate::wire::{Wire, WireError};
use crate::{Hash, sha256};
use gruve_units::{Algorithm, EpochNumber, Hashes, LaneId};

pub use crate::epoch::{AllocationLeaf, GENESIS};

const MAGIC: &[u8; 14] = b"gruve epoch 2\0";
const WITH_PLACES: &[u8; 14] = b"gruve epoch 3\0";

/// A published file, named by its hash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileRef {
    /// SHA-256 of its bytes.
    pub hash: Hash,
    /// How many bytes.
    pub bytes: u64,
}

/// What later epochs are bound to before they begin: rules that nobody may choose afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// The lowest class of shares.
    pub class_min: u8,
    /// The highest.
    pub class_max: u8,
    /// Which shares are opened: those whose hash reaches 2^this, each counted as so many hashes if its class is lower;
    /// 0 opens all.
    pub opened: u8,
}

impl Rules {
    fn are_possible(&self) -> bool {
        let most = gruve_units::Class::MAX;
        self.class_min <= self.class_max && self.class_max <= most && self.opened <= most
    }
}

impl Default for Rules {
    fn default() -> Self {
        Rules { class_min: 0, class_max: gruve_units::Class::MAX, opened: 0 }
    }
}

/// What an epoch comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochSummary {
    /// The lane.
    pub lane: LaneId,
    /// What it hashes.
    pub algorithm: Algorithm,
    /// Whether its shares are in a record that proves them; lanes whose jobs carry no stamp are *unproven*.
    pub is_proven: bool,
    /// The epoch.
    pub epoch: EpochNumber,
    /// The epoch closed before it; 0 for the first.
    pub prev_epoch: EpochNumber,
    /// That epoch's checkpoint; [`GENESIS`] for the first.
    pub prev_checkpoint: Hash,
    /// Length of the lane's epochs, microseconds.
    pub length_us: u64,
    /// Number of shares.
    pub shares: u64,
    /// The house's work.
    pub house_work: Hashes,
    /// Work of hosted and outside machines.
    pub other_work: Hashes,
    /// Root over the shares.
    pub share_root: Hash,
    /// Root over who got the work; its sum is all of it.
    pub allocation_root: SumNode,
    /// The house's work that no contract got.
    pub surplus: Hashes,
    /// Contracts in the sold tree.
    pub contracts: u64,
    /// Root of the sold tree.
    pub sold_root: Node,
    /// The record; nothing when the epoch is unproven.
    pub record: FileRef,
    /// The sold tree's file.
    pub sold: FileRef,
    /// What jobs are bound to whose stamp holds this entry's checkpoint.
    pub rules: Rules,
    /// The file of the places to which these jobs may pay ([`crate::places`]); nothing binds none.
    pub places: FileRef,
}

const fn algorithm_byte(a: Algorithm) -> u8 {
    match a {
        Algorithm::Sha256d => 0,
        Algorithm::Scrypt => 1,
        Algorithm::Ethash => 2,
        Algorithm::Etchash => 3,
    }
}

impl EpochSummary {
    /// The canonical bytes.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let lane = self.lane.as_str().as_bytes();
        let mut out = Vec::with_capacity(520 + lane.len());
        let has_places = self.places != FileRef::default();
        out.extend(if has_places { WITH_PLACES } else { MAGIC });
        // A lane's name has at most 16 bytes by its type.
        out.push(u8::try_from(lane.len()).unwrap_or(u8::MAX));
        out.extend(lane);
        out.extend([algorithm_byte(self.algorithm), self.is_proven.into()]);
        out.extend(self.epoch.0.to_be_bytes());
        out.extend(self.prev_epoch.0.to_be_bytes());
        out.extend(self.prev_checkpoint);
        out.extend(self.length_us.to_be_bytes());
        out.extend(self.shares.to_be_bytes());
        out.extend(self.house_work.to_be_bytes());
        out.extend(self.other_work.to_be_bytes());
        out.extend(self.share_root);
        out.extend(self.allocation_root.sum.to_be_bytes());
        out.extend(self.allocation_root.hash);
        out.extend(self.surplus.to_be_bytes());
        out.extend(self.contracts.to_be_bytes());
        out.extend(self.sold_root.sums.to_bytes());
        out.extend(self.sold_root.hash);
        for file in [self.record, self.sold] {
            out.extend(file.hash);
            out.extend(file.bytes.to_be_bytes());
        }
        out.extend([self.rules.class_min, self.rules.class_max, self.rules.opened]);
        if has_places {
            out.extend(self.places.hash);
            out.extend(self.places.bytes.to_be_bytes());
        }
        out
    }

    /// From canonical bytes; `None` when they are no summary.
    ///
    /// # Errors
    /// When they begin as one and are not.
    pub fn parse(bytes: &[u8]) -> Result<Option<EpochSummary>, WireError> {
        const IN: &str = "an epoch's summary";
        let (rest, has_places) = match bytes.strip_prefix(WITH_PLACES.as_slice()) {
            Some(rest) => (rest, true),
            None => match bytes.strip_prefix(MAGIC.as_slice()) {
                Some(rest) => (rest, false),
                None => return Ok(None),
            },
        };
        let mut w = Wire::new(rest);
        let len = usize::from(w.u8(IN)?);
        let lane = String::from_utf8(w.bytes(len, IN)?).ok().and_then(|l| l.parse().ok());
        let lane = lane.ok_or(WireError::Malformed("not the name of a lane"))?;
        let algorithm = match w.u8(IN)? {
            0 => Algorithm::Sha256d,
            1 => Algorithm::Scrypt,
            2 => Algorithm::Ethash,
            3 => Algorithm::Etchash,
            _ => return Err(WireError::Malformed("an unknown algorithm")),
        };
        let is_proven = match w.u8(IN)? {
            0 => false,
            1 => true,
            _ => return Err(WireError::Malformed("neither proven nor unproven")),
        };
        let summary = EpochSummary {
            lane,
            algorithm,
            is_proven,
            epoch: EpochNumber(w.u64(IN)?),
            prev_epoch: EpochNumber(w.u64(IN)?),
            prev_checkpoint: w.array(IN)?,
            length_us: w.u64(IN)?,
            shares: w.u64(IN)?,
            house_work: Hashes(w.u128(IN)?),
            other_work: Hashes(w.u128(IN)?),
            share_root: w.array(IN)?,
            allocation_root: SumNode { sum: w.u128(IN)?, hash: w.array(IN)? },
            surplus: Hashes(w.u128(IN)?),
            contracts: w.u64(IN)?,
            sold_root: Node {
                sums: Sums { hashrate: w.u128(IN)?, allocated: w.u128(IN)?, owed: w.u128(IN)? },
                hash: w.array(IN)?,
            },
            record: FileRef { hash: w.array(IN)?, bytes: w.u64(IN)? },
            sold: FileRef { hash: w.array(IN)?, bytes: w.u64(IN)? },
            rules: Rules { class_min: w.u8(IN)?, class_max: w.u8(IN)?, opened: w.u8(IN)? },
            places: match has_places {
                true => FileRef { hash: w.array(IN)?, bytes: w.u64(IN)? },
                false => FileRef::default(),
            },
        };
        w.end()?;
        if has_places && summary.places.bytes == 0 {
            return Err(WireError::Malformed("a form with places that names none"));
        }
        summary.is_possible()?;
        Ok(Some(summary))
    }

    /// Refuses what no lane can have, whatever its shares.
    fn is_possible(&self) -> Result<(), WireError> {
        if self.length_us == 0 {
            return Err(WireError::Malformed("epochs without a length"));
        }
        if !self.rules.are_possible() {
            return Err(WireError::Malformed("bounds of classes or a threshold that cannot be"));
        }
        Ok(())
    }

    /// The checkpoint: what the next summaries and, two epochs later, the stamps commit to.
    #[must_use]
    pub fn checkpoint(&self) -> Hash {
        checkpoint_of(&self.canonical())
    }
}

/// The checkpoint of an entry of the log, from its bytes.
#[must_use]
pub fn checkpoint_of(entry: &[u8]) -> Hash {
    sha256(&[b"gruve checkpoint 1\0", entry])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary() -> EpochSummary {
        EpochSummary {
            lane: "btc".parse().unwrap(),
            algorithm: Algorithm::Sha256d,
            is_proven: true,
            epoch: EpochNumber(10),
            prev_epoch: EpochNumber(9),
            prev_checkpoint: [1; 32],
            length_us: 600_000_000,
            shares: 3,
            house_work: Hashes(48),
            other_work: Hashes(16),
            share_root: [2; 32],
            allocation_root: SumNode { sum: 64, hash: [3; 32] },
            surplus: Hashes(8),
            contracts: 1,
            sold_root: Node { sums: Sums { hashrate: 1, allocated: 40, owed: 2 }, hash: [4; 32] },
            record: FileRef { hash: [5; 32], bytes: 100 },
            sold: FileRef { hash: [6; 32], bytes: 200 },
            rules: Rules::default(),
            places: FileRef::default(),
        }
    }

    #[test]
    fn every_changed_bit_is_refused_or_changes_summary_and_checkpoint() {
        every_bit_counts(&summary());
        let places = FileRef { hash: [7; 32], bytes: 80 };
        every_bit_counts(&EpochSummary { places, ..summary() });
    }

    #[test]
    fn what_names_no_places_has_the_form_that_it_always_had() {
        let named = EpochSummary { places: FileRef { hash: [7; 32], bytes: 80 }, ..summary() };
        let (plain, named) = (summary().canonical(), named.canonical());
        assert_eq!((&plain[..14], plain.len() + 40), (&MAGIC[..], named.len()));
        assert_eq!((&named[..14], &plain[14..]), (&WITH_PLACES[..], &named[14..plain.len()]));
        let none = [&WITH_PLACES[..], &plain[14..], &[0; 40]].concat();
        assert!(EpochSummary::parse(&none).is_err());
    }

    fn every_bit_counts(s: &EpochSummary) {
        let bytes = s.canonical();
        assert_eq!(EpochSummary::parse(&bytes).unwrap().as_ref(), Some(s));
        for at in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[at / 8] ^= 1 << (at % 8);
            if let Ok(Some(other)) = EpochSummary::parse(&changed) {
                assert_eq!(other.canonical(), changed, "one form");
                assert_ne!(other.checkpoint(), s.checkpoint());
            }
        }
        for cut in 14..bytes.len() {
            assert!(EpochSummary::parse(&bytes[..cut]).is_err());
        }
        assert!(EpochSummary::parse(&[bytes, vec![0]].concat()).is_err());
    }
}
