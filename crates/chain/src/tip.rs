//! What a node tells of a new block at once, and the block without transactions that can be built on
//! it before the node has made a template.
//!
//! A node has validated the new tip when it tells of it, and then needs tenths of a second to choose
//! transactions for the next block. Machines that work on meanwhile on the old tip work for nothing.
//! A block with nothing but a coinbase follows from the header of the tip and from the chain's rules:
//! it pays the subsidy and no fees, and is valid whatever the memory pool holds.
//!
//! Promises: no block is foreseen where any of its parts is a guess: not where the target changes with
//! it, not where its content is prescribed, not where the subsidy is drawn at random, and not after a
//! template so old that the rules may have changed since.

use crate::template::witness_commitment_script;
use crate::{BlockRef, ChainParams, Template};
use gruve_units::Duration;

/// How many blocks the tip may be past the last template's own tip. A node that was away for longer
/// comes back with a template of its own; within so few blocks no version bit and no commitment
/// becomes due without notice.
pub const BLOCKS_SINCE_TEMPLATE_MAX: u64 = 6;

/// A new best block, as the node tells it before any template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TipNotice {
    /// Height and hash.
    pub tip: BlockRef,
    /// Its compact target.
    pub bits: u32,
    /// Its median time past, seconds: the next block's time must be above it.
    pub median_time: u32,
}

impl Template {
    /// The block without transactions on a new tip: version and commitments as in `self`, the last
    /// whole template, which is `age` old; `None` where it is not foreseeable.
    #[must_use]
    pub fn empty_on(
        &self,
        notice: &TipNotice,
        age: Duration,
        params: &ChainParams,
    ) -> Option<Template> {
        let height = notice.tip.height.checked_add(1)?;
        let is_recent = height.abs_diff(self.height) <= BLOCKS_SINCE_TEMPLATE_MAX;
        if !params.foresees_blocks() || self.mweb.is_some() || !is_recent {
            return None;
        }
        let min_time = notice.median_time.checked_add(1)?;
        let age_secs = u32::try_from(age.as_secs()).unwrap_or(u32::MAX);
        Some(Template {
            height,
            prev_hash: notice.tip.hash,
            version: self.version,
            bits: params.bits_at(height, notice.bits)?,
            min_time,
            // By the node's clock, which is what judges the block.
            cur_time: self.cur_time.saturating_add(age_secs).max(min_time),
            coinbase_value: params.subsidy(height)?,
            txs: Vec::new(),
            witness_commitment: self
                .witness_commitment
                .as_ref()
                .map(|_| witness_commitment_script(&[])),
            mweb: None,
            longpoll_id: None,
        })
    }

    /// The block it stands on.
    #[must_use]
    pub fn tip(&self) -> BlockRef {
        BlockRef { height: self.height.saturating_sub(1), hash: self.prev_hash }
    }
}
