//! Merge-mined blocks on the chain: how a proof stands in their bytes, whether it holds, and the blocks that
//! were given out for it.
//!
//! As Dogecoin Core does, the chain forgets the blocks it gave out when its tip changes, takes a block of its
//! own work as well (the version then says that no proof follows), and wants its own id in the version.

use super::params::DevParams;
use super::reject::Reject;
use crate::auxpow::{AuxProof, VERSION_AUXPOW, chain_id};
use crate::wire::Reader;
use bitcoin::block::{Header, Version};
use bitcoin::{Block, BlockHash, ScriptBuf};
use gruve_units::Target;

/// Blocks given out and not forgotten: a few addresses, a new one whenever the next target or, after a while,
/// the waiting transactions are others. About a kilobyte each with what they hold.
const OFFERS_MAX: usize = 64;
/// How long transactions wait to get into a block that is given out already, seconds.
const RENEW_SECS: u32 = 10;

fn version(header: &Header) -> u32 {
    u32::from_ne_bytes(header.version.to_consensus().to_ne_bytes())
}

/// Whether a header says that a proof follows it.
fn announces_proof(header: &Header, params: &DevParams) -> bool {
    params.aux_chain_id.is_some() && version(header) & VERSION_AUXPOW != 0
}

/// A block and its proof, where it has one; `None` for bytes that are none.
pub(crate) fn decode(bytes: &[u8], params: &DevParams) -> Option<(Block, Option<AuxProof>)> {
    use bitcoin::consensus::deserialize;
    let header: Header = deserialize(bytes.get(..80)?).ok()?;
    if !announces_proof(&header, params) {
        return Some((deserialize(bytes).ok()?, None));
    }
    let mut r = Reader::new(bytes.get(80..)?);
    let proof = AuxProof::read(&mut r).ok()?;
    let bare = [&bytes[..80], &bytes[80 + r.position()..]].concat();
    Some((deserialize(&bare).ok()?, Some(proof)))
}

/// A block's bytes, its proof after the header.
pub(crate) fn encode(block: &Block, proof: Option<&AuxProof>) -> Vec<u8> {
    let mut bytes = bitcoin::consensus::serialize(block);
    if let Some(proof) = proof {
        bytes.splice(80..80, proof.to_bytes());
    }
    bytes
}

/// Whether a header has its work: its own, or a parent's by a proof.
pub(crate) fn check_work(
    header: &Header,
    proof: Option<&AuxProof>,
    params: &DevParams,
) -> Result<(), Reject> {
    let high_hash = |why: &str| Reject::with("high-hash", why.into());
    let Some(id) = params.aux_chain_id.map(u32::from) else {
        return if super::check::has_work(header, params) {
            Ok(())
        } else {
            Err(high_hash("proof of work failed"))
        };
    };
    if chain_id(version(header)) != id {
        return Err(high_hash("block does not have our chain ID"));
    }
    match (proof, announces_proof(header, params)) {
        (None, false) if super::check::has_work(header, params) => Ok(()),
        (None, false) => Err(high_hash("proof of work failed")),
        (None, true) => Err(high_hash("no auxpow on block with auxpow version")),
        (Some(_), false) => Err(high_hash("auxpow on block with non-auxpow version")),
        (Some(proof), true) => {
            let hash = gruve_pow::sha256d(&super::check::header_bytes(header));
            proof.check(&hash, id, true).map_err(|fault| high_hash(&fault.to_string()))?;
            let met = Target::from_compact(header.bits.to_consensus()).is_some_and(|target| {
                let found = gruve_pow::pow_hash(params.algorithm, &proof.parent_header);
                target <= super::params::pow_limit() && target.is_met_by(&found)
            });
            if met { Ok(()) } else { Err(high_hash("AUX proof of work failed")) }
        }
    }
}

/// A block given out to be merge-mined.
#[derive(Clone)]
pub(crate) struct Offer {
    pay_to: ScriptBuf,
    pub(crate) height: u32,
    pub(crate) block: Block,
    pool_changes: u64,
}

/// The blocks given out on the present tip, oldest first.
#[derive(Default)]
pub(crate) struct Offers(Vec<Offer>);

impl Offers {
    /// The tip has changed.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// The block of this hash.
    pub(crate) fn find(&self, hash: &BlockHash) -> Option<&Offer> {
        self.0.iter().find(|offer| offer.block.block_hash() == *hash)
    }

    /// The newest block that pays to a script, if it is still the one to mine.
    pub(crate) fn newest(&self, pay_to: &ScriptBuf, next: &NextOffer) -> Option<&Offer> {
        self.0.iter().rev().find(|offer| offer.pay_to == *pay_to).filter(|offer| {
            let age = next.time.saturating_sub(offer.block.header.time);
            offer.block.header.bits.to_consensus() == next.bits
                && (offer.pool_changes == next.pool_changes || age < RENEW_SECS)
        })
    }

    /// One more; the oldest beyond the limit is forgotten.
    pub(crate) fn add(&mut self, pay_to: ScriptBuf, height: u32, block: Block, pool_changes: u64) {
        if self.0.len() >= OFFERS_MAX {
            self.0.remove(0);
        }
        self.0.push(Offer { pay_to, height, block, pool_changes });
    }
}

/// What the next block given out would be like.
pub(crate) struct NextOffer {
    pub(crate) time: u32,
    pub(crate) bits: u32,
    pub(crate) pool_changes: u64,
}

/// The version with the bit that announces a proof.
pub(crate) fn with_proof(version: Version) -> Version {
    Version::from_consensus(version.to_consensus() | 0x100)
}
