//! Who an epoch was sold to: every contract with a claim becomes a leaf of the sold tree. Leaves go into files as contracts are gone
//! through; of the tree a node for some hundred of them is held.

use super::{RecordSink, nonce};
use crate::allocate::Share;
use crate::contract::Contract;
use crate::metered::MeterSold;
use crate::settle::earned_of_price;
use crate::{ContractState, LaneConfig, Market, MarketError, Result};
use gruve_proof::sold::{self, Node, Private, SoldLeaf, SoldWriter, Sums};
use gruve_proof::summary::FileRef;
use gruve_store::Tx;
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, Hashrate, LaneId};
use std::fs::File;
use std::io::{self, BufWriter};
use std::sync::Arc;

/// The kind of a leaf: a lease.
const LEASE: u8 = 0;
/// A metered contract.
const METERED: u8 = 1;

/// What an epoch was to a contract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SoldTo {
    contract: ContractId,
    kind: u8,
    hashrate: Hashrate,
    entitled: Hashes,
    allocated: Hashes,
    owed: Hashes,
    terms: [u8; 32],
    units: u128,
    refund_minor: i64,
    refund_asset: Asset,
}

/// A lease as it is after the epoch, with what it got in it and its units of the lane's own asset.
pub(crate) fn lease(c: &Contract, share: Option<Share>, units: u128) -> Result<SoldTo> {
    // What was refunded is owed no more, whatever was delivered.
    let is_over = c.state != ContractState::Active;
    let owed = if is_over { Hashes::ZERO } else { c.work.saturating_sub(c.given()) };
    let earned = earned_of_price(c.price.minor, c.given(), c.work)?;
    Ok(SoldTo {
        contract: c.id,
        kind: LEASE,
        hashrate: c.hashrate,
        entitled: share.map_or(Hashes::ZERO, |s| s.entitled),
        allocated: share.map_or(Hashes::ZERO, |s| s.allocated),
        owed,
        terms: c.terms_hash,
        units,
        refund_minor: if is_over { 0 } else { c.price.minor.saturating_sub(earned) },
        refund_asset: c.price.asset,
    })
}

/// A metered contract, if it holds capacity. What it pays for is charged afterwards, so nothing is owed to it.
pub(crate) fn metered(c: &MeterSold, share: Option<Share>, units: u128) -> Option<SoldTo> {
    (c.holds_capacity || share.is_some()).then(|| SoldTo {
        contract: c.id,
        kind: METERED,
        hashrate: c.hashrate,
        entitled: share.map_or(Hashes::ZERO, |s| s.entitled),
        allocated: share.map_or(Hashes::ZERO, |s| s.allocated),
        owed: Hashes::ZERO,
        terms: c.terms,
        units,
        refund_minor: 0,
        refund_asset: c.pay_asset,
    })
}

/// A sold tree, stored.
pub(super) struct SoldOf {
    pub(super) contracts: u64,
    pub(super) root: Node,
    pub(super) file: FileRef,
}

/// A sold tree on its way.
pub(crate) struct SoldTree {
    sink: Arc<dyn RecordSink>,
    secret: [u8; 32],
    lane: LaneId,
    epoch: EpochNumber,
    nonces: nonce::Reading,
    writer: SoldWriter<BufWriter<File>>,
}

fn not_written(e: &io::Error) -> MarketError {
    match e.kind() {
        io::ErrorKind::InvalidData => {
            MarketError::Overflow("a sum of the sold tree, or a contract twice")
        }
        _ => MarketError::NotPublished(e.to_string()),
    }
}

impl Market {
    /// The sold tree of an epoch; none where nothing is published.
    pub(crate) fn sold_tree(
        &self,
        lane: &LaneConfig,
        epoch: EpochNumber,
    ) -> Result<Option<SoldTree>> {
        let Some(sink) = self.record_sink().cloned() else { return Ok(None) };
        let scratch = || sink.scratch().map(BufWriter::new).map_err(MarketError::NotPublished);
        let writer = SoldWriter::new(&lane.lane, epoch, scratch()?, scratch()?);
        let (writer, secret) = (writer.map_err(|e| not_written(&e))?, sink.secret());
        let (lane, nonces) = (lane.lane.clone(), nonce::Reading::of(lane));
        Ok(Some(SoldTree { sink, secret, lane, epoch, nonces, writer }))
    }
}

impl SoldTree {
    /// Adds a contract, in the order of their ids.
    pub(crate) async fn push(&mut self, tx: &mut Tx, s: &SoldTo) -> Result<()> {
        let salt = sold::salt(&self.secret, &self.lane, self.epoch, s.contract);
        let nonce = self.nonces.find(tx, s.contract).await?;
        let pushed = self.writer.push(&s.leaf(salt, nonce), s.units, s.refund_minor);
        pushed.map_err(|e| not_written(&e))
    }
}

/// Stores a tree: not on the threads that serve others, because files of a hundred megabytes take their time.
pub(super) async fn store(tree: Option<SoldTree>) -> Result<SoldOf> {
    let Some(SoldTree { sink, writer, .. }) = tree else {
        return Ok(SoldOf { contracts: 0, root: Node::empty(), file: FileRef::default() });
    };
    let stored = tokio::task::spawn_blocking(move || -> Result<SoldOf> {
        let files = writer.finish().map_err(|e| not_written(&e))?;
        let whole = |file: BufWriter<File>| file.into_inner().map_err(|e| not_written(e.error()));
        let file = sink.put_from(&mut whole(files.sold)?).map_err(MarketError::NotPublished)?;
        sink.keep_from(&file, &mut whole(files.kept)?).map_err(MarketError::NotPublished)?;
        Ok(SoldOf { contracts: files.contracts, root: files.root, file })
    });
    stored.await.map_err(|e| MarketError::Broken(format!("building a sold tree: {e}")))?
}

impl SoldTo {
    /// The operator's own contracts come after all others: they have a claim on what is left for them and no more, so that
    /// everybody can see that nobody else's part was given to somebody.
    pub(crate) fn of_operator(mut self, is_operators: bool) -> SoldTo {
        if is_operators {
            self.entitled = self.entitled.min(self.allocated);
        }
        self
    }

    fn leaf(&self, salt: [u8; 32], nonce: [u8; 32]) -> SoldLeaf {
        let private = Private {
            salt,
            nonce,
            terms: self.terms,
            units: self.units,
            refund_minor: self.refund_minor,
            refund_asset: self.refund_asset.to_string(),
        };
        SoldLeaf {
            contract: self.contract,
            kind: self.kind,
            sums: Sums {
                hashrate: self.hashrate.0,
                allocated: self.allocated.0,
                owed: self.owed.0,
            },
            entitled: self.entitled.0,
            private: private.hash(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sold(n: u8, entitled: u128, allocated: u128) -> SoldTo {
        SoldTo {
            contract: ContractId::from_bytes([n; 16]),
            kind: LEASE,
            hashrate: Hashrate(1),
            entitled: Hashes(entitled),
            allocated: Hashes(allocated),
            owed: Hashes::ZERO,
            terms: [0; 32],
            units: 0,
            refund_minor: 0,
            refund_asset: Asset::Btc,
        }
    }

    #[test]
    fn the_operators_own_have_a_claim_on_what_is_left_and_no_more() {
        // His second made a shortfall good, which is above its claim.
        let all = [sold(1, 9, 4), sold(2, 9, 0), sold(3, 9, 11), sold(4, 9, 9)];
        let own = all.map(|s| s.of_operator(s.contract > all[0].contract));
        assert_eq!(own.map(|s| s.entitled.0), [9, 0, 9, 9]);
    }
}
