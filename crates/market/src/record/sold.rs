//! Who an epoch was sold to: every contract with a claim becomes a leaf of the sold tree.

use super::nonce;
use crate::allocate::{Allocation, Share};
use crate::contract::Contract;
use crate::metered::MeteredEpoch;
use crate::settle::earned_of_price;
use crate::{Beneficiary, ContractState, Market, MarketError, Result};
use gruve_proof::sold::{self, Node, Private, SoldLeaf, SoldWriter, Sums};
use gruve_proof::summary::FileRef;
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, Hashrate, LaneId};
use std::collections::{BTreeMap, BTreeSet};

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

type Units = BTreeMap<Beneficiary, u128>;

fn units_of(units: &Units, contract: ContractId) -> u128 {
    units.get(&Beneficiary::Contract(contract)).copied().unwrap_or(0)
}

/// Leases as they are after the epoch, with what they got in it and its units of the lane's own asset.
pub(crate) fn leases<'a>(
    of: impl Iterator<Item = (&'a Contract, Option<Share>, u128)>,
) -> Result<Vec<SoldTo>> {
    let one = |(c, share, units): (&Contract, Option<Share>, u128)| -> Result<SoldTo> {
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
    };
    of.map(one).collect()
}

/// Metered contracts that hold capacity. What they pay for is charged afterwards, so nothing is owed to them.
pub(crate) fn metered(epoch: &MeteredEpoch, allocation: &Allocation, units: &Units) -> Vec<SoldTo> {
    let shares = &allocation.shares;
    let share = |id| shares.binary_search_by_key(&id, |s| s.contract).ok().map(|at| shares[at]);
    let all = epoch.sold().iter().map(|c| (c, share(c.id)));
    let has_claim = all.filter(|(c, share)| c.holds_capacity || share.is_some());
    has_claim
        .map(|(c, share)| SoldTo {
            contract: c.id,
            kind: METERED,
            hashrate: c.hashrate,
            entitled: share.map_or(Hashes::ZERO, |s| s.entitled),
            allocated: share.map_or(Hashes::ZERO, |s| s.allocated),
            owed: Hashes::ZERO,
            terms: c.terms,
            units: units_of(units, c.id),
            refund_minor: 0,
            refund_asset: c.pay_asset,
        })
        .collect()
}

/// The operator's own contracts come after all others: they have a claim on what is left for them and no more, so that
/// everybody can see that nobody else's part was given to somebody.
pub(crate) fn operators_last(sold: &mut [SoldTo], operators: &BTreeSet<ContractId>) {
    for one in sold.iter_mut().filter(|s| operators.contains(&s.contract)) {
        one.entitled = one.entitled.min(one.allocated);
    }
}

/// A sold tree, stored.
pub(super) struct SoldOf {
    pub(super) contracts: u64,
    pub(super) root: Node,
    pub(super) file: FileRef,
}

impl Market {
    /// Builds and stores the tree: not on the threads that serve others, because a million leaves take seconds.
    pub(super) async fn sold_tree(
        &self,
        lane: &LaneId,
        epoch: EpochNumber,
        mut all: Vec<SoldTo>,
        nonces: BTreeMap<ContractId, [u8; 32]>,
    ) -> Result<SoldOf> {
        let Some(sink) = self.record_sink().cloned() else {
            return Ok(SoldOf { contracts: 0, root: Node::empty(), file: FileRef::default() });
        };
        let lane = lane.clone();
        let built = tokio::task::spawn_blocking(move || -> Result<SoldOf> {
            all.sort_unstable_by_key(|s| s.contract.to_bytes());
            let secret = sink.secret();
            let mut writer = SoldWriter::new(&lane, epoch, all.len());
            let wrong = || MarketError::Overflow("a sum of the sold tree, or a contract twice");
            for s in &all {
                let salt = sold::salt(&secret, &lane, epoch, s.contract);
                let nonce = nonces.get(&s.contract).copied().unwrap_or(nonce::NONE);
                let leaf = s.leaf(salt, nonce);
                writer.push(&leaf, s.units, s.refund_minor).ok_or_else(wrong)?;
            }
            let files = writer.finish().ok_or_else(wrong)?;
            let file = sink.put(&files.sold).map_err(MarketError::NotPublished)?;
            sink.keep(&file, &files.kept).map_err(MarketError::NotPublished)?;
            Ok(SoldOf { contracts: files.contracts, root: files.root, file })
        });
        built.await.map_err(|e| MarketError::Broken(format!("building a sold tree: {e}")))?
    }
}

impl SoldTo {
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
        let mut all = [sold(1, 9, 4), sold(2, 9, 0), sold(3, 9, 11), sold(4, 9, 9)];
        let own = all[1..].iter().map(|s| s.contract).collect();
        operators_last(&mut all, &own);
        assert_eq!(all.map(|s| s.entitled.0), [9, 0, 9, 9]);
    }
}
