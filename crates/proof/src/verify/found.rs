//! What checking an epoch's shares found out beside that they hold: what there is to tell of luck, dates and places.

use super::dating::Span;
use super::destinations::Destinations;
use crate::aux::AuxBlock;
use crate::record::{Block, RecordHeader};
use gruve_units::{Class, EpochNumber, Hashes, Target};
use std::collections::BTreeMap;

/// What checking an epoch found out.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Shares by class.
    pub(super) classes: BTreeMap<u8, u64>,
    /// Shares of late sections.
    pub(super) late: u64,
    /// The earliest epoch of these.
    pub(super) late_from: Option<EpochNumber>,
    /// Shares that stand for others which are not opened.
    pub(super) sampled: u64,
    /// Blocks that should have been found, by the work and the network's targets.
    pub(super) expected_blocks: f64,
    /// How many blocks were solved, and how many of them the chain has.
    pub(super) solved: u64,
    pub(super) on_chain: u64,
    /// Shares whose block was the chain's tip in their epoch, and their work.
    pub(super) dated: u64,
    pub(super) dated_work: Hashes,
    /// Between what times these were made, by the blocks that they are on.
    pub(super) dated_span: Option<Span>,
    /// Shares whose job held an older checkpoint than it could have, or one of long before.
    pub(super) loosely_dated: u64,
    /// Shares whose job held none: of the log's first epochs.
    pub(super) unbegun: u64,
    /// Scripts that a block would have paid.
    pub(super) destinations: Destinations,
    /// Bytes of the record.
    pub(super) record_bytes: u64,
    /// Other chains' blocks, by chain and coin: found, and expected by the targets that the operator says.
    pub(super) aux: BTreeMap<(u32, String), (u64, f64)>,
    /// Shares of jobs that commit to other chains' blocks and do not say which.
    pub(super) hides_aux: u64,
    /// Shares that count at a class harder than a block of a chain that they were for: blocks among the hashes that do not reach
    /// it stand in no record.
    pub(super) hides_blocks: u64,
    /// Shares of jobs for which no places of rewards had been published.
    pub(super) unbound: u64,
    /// Shares whose block would have paid the machine's owner itself.
    pub(super) to_owners: u64,
}

/// The blocks of other chains that a block of shares is for.
pub(super) fn of_job<'a>(header: &'a RecordHeader, block: &Block) -> &'a [AuxBlock] {
    header.jobs.get(block.job).map_or(&[], |j| &j.aux)
}

/// Whether a hash that makes a block of this target would stand among shares that count at this class, whatever it is above.
pub(super) fn shows_blocks(counted: Class, bits: u32) -> bool {
    Target::from_compact(bits).is_some_and(|block| counted.target().0 >= block.0)
}

impl Found {
    /// Counts the blocks that this work should have found. Floats: they decide nothing.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn expect(
        &mut self,
        header: &RecordHeader,
        block: &Block,
        counted: Class,
        is_of_chain: bool,
    ) {
        let work = counted.work().0 as f64 * block.shares.len() as f64;
        let blocks = |bits: u32| {
            let target = Target::from_compact(bits);
            let per_block = target.map_or(Hashes(u128::MAX), Target::expected_hashes);
            work / per_block.0 as f64
        };
        let own = header.jobs.get(block.job).map_or(0, |j| j.bits);
        let mut hides = !shows_blocks(counted, own);
        if is_of_chain && !hides {
            self.expected_blocks += blocks(own);
        }
        for other in of_job(header, block) {
            let shows = shows_blocks(counted, other.bits);
            hides |= !shows;
            let of = self.aux.entry((other.chain_id, other.coin.clone())).or_default();
            of.1 += if shows { blocks(other.bits) } else { 0.0 };
        }
        self.hides_blocks += if hides { block.shares.len() as u64 } else { 0 };
    }
}
