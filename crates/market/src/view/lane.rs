//! What a lane shows everybody.

use gruve_units::{Algorithm, Amount, Asset, EpochNumber, Hashes, Hashrate, LaneId, Timestamp};
use std::fmt;
use std::str::FromStr;

/// A lane in numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneStats {
    /// The lane.
    pub lane: LaneId,
    /// What it earns.
    pub asset: Asset,
    /// What its machines compute.
    pub algorithm: Algorithm,
    /// Length of an epoch in microseconds.
    pub epoch_us: u64,
    /// All work over the capacity window as a rate.
    pub hashrate: Hashrate,
    /// The house's part of it.
    pub house_hashrate: Hashrate,
    /// What of the house's rate is proven with the stated confidence.
    pub proven_capacity: Hashrate,
    /// Under contract or held for one.
    pub sold: Hashrate,
    /// Left for sale: proven capacity less the reserve less what is sold.
    pub available: Hashrate,
    /// Sold beyond what may be sold now: above zero after capacity fell. Nothing is sold meanwhile.
    pub oversold: Hashrate,
    /// The last closed epoch.
    pub last_closed: Option<EpochNumber>,
    /// The network's target by the last job, compact form.
    pub network_bits: Option<u32>,
    /// The height of the last job.
    pub height: Option<u64>,
    /// Shares counted in closed epochs.
    pub shares: u64,
    /// Blocks of its own chain found that were not orphaned or refused.
    pub blocks_found: u64,
    /// The chains that are merge-mined with it.
    pub aux: Vec<AuxStats>,
}

/// A merge-mined chain in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuxStats {
    /// What its blocks pay.
    pub asset: Asset,
    /// The chain's target by the last job, compact form.
    pub network_bits: Option<u32>,
    /// The height of the last job.
    pub height: Option<u64>,
    /// Blocks found that were not orphaned or refused.
    pub blocks_found: u64,
}

/// Where a found block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockState {
    /// Sent; its reward has not been seen on the chain.
    Found,
    /// The node refused it.
    Refused,
    /// On the chain, its reward may not be spent yet.
    Maturing,
    /// On the chain, its reward may be spent.
    Mature,
    /// Not on the chain: it left it, or another block was there before it.
    Orphaned,
    /// On the chain, and it paid the owner of the machine that found it: nothing of it came to the house.
    PaidOwner,
}

/// A block the lane found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlockView {
    /// The lane.
    pub lane: LaneId,
    /// Of which chain it is.
    pub asset: Asset,
    /// Its hash, internal byte order.
    pub block_hash: [u8; 32],
    /// Its height.
    pub height: u64,
    /// The epoch in its stamp; the header time's epoch where the log has no record of it.
    pub epoch: EpochNumber,
    /// When it was found (by the log) or what its header says.
    pub at: Timestamp,
    /// Where it stands.
    pub state: BlockState,
    /// Of one that is orphaned: the block that has its height, while the chain's newest blocks reach back so far.
    pub lost_to: Option<[u8; 32]>,
    /// What it pays.
    pub reward: Option<Amount>,
    /// The height at which its reward may be spent.
    pub matures_at: u64,
}

/// A closed epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochView {
    /// The lane.
    pub lane: LaneId,
    /// The epoch.
    pub epoch: EpochNumber,
    /// When it began.
    pub start: Timestamp,
    /// When it was closed.
    pub closed_at: Timestamp,
    /// Epochs before it that had no work and have no row.
    pub skipped: u64,
    /// Shares counted.
    pub shares: u64,
    /// The house's work.
    pub house_work: Hashes,
    /// Work of hosted and outside machines.
    pub other_work: Hashes,
    /// The house's work that contracts got.
    pub allocated: Hashes,
    /// The rest of the house's work: the operator's.
    pub surplus: Hashes,
    /// All work as a rate.
    pub hashrate: Hashrate,
    /// Root over the shares.
    pub share_root: [u8; 32],
    /// The checkpoint.
    pub checkpoint: [u8; 32],
}

/// Where a block stands among a lane's: later ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockPlace {
    pub(crate) at: Timestamp,
    pub(crate) height: u64,
    pub(crate) hash: [u8; 32],
}

impl BlockPlace {
    /// Before all blocks; the database counts no further.
    pub(crate) const FIRST: BlockPlace =
        BlockPlace { at: Timestamp(i64::MAX), height: u64::MAX >> 1, hash: [0xff; 32] };

    /// Behind this one stand only blocks of earlier instants.
    #[must_use]
    pub const fn first_of_instant(self) -> BlockPlace {
        BlockPlace { height: 0, hash: [0; 32], ..self }
    }

    /// Behind this one stand all blocks of its instant too.
    #[must_use]
    pub const fn last_of_instant(self) -> BlockPlace {
        BlockPlace { at: self.at, ..BlockPlace::FIRST }
    }
}

impl fmt::Display for BlockPlace {
    /// As it is read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at.0, self.height, hex::encode(self.hash))
    }
}

impl FromStr for BlockPlace {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(' ');
        let mut part = || parts.next().ok_or(());
        let at = Timestamp(part()?.parse().map_err(drop)?);
        let height = part()?.parse::<u64>().map_err(drop)?;
        let mut hash = [0; 32];
        hex::decode_to_slice(part()?, &mut hash).map_err(drop)?;
        Ok(BlockPlace { at, height: height.min(Self::FIRST.height), hash })
    }
}

impl BlockView {
    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> BlockPlace {
        BlockPlace { at: self.at, height: self.height, hash: self.block_hash }
    }
}
