//! SOLO: a found block belongs to its finder, whole.
//!
//! An owner's machine that finds a block has found it for its owner. The house's machines work for all
//! contracts at once; which of them a block is for is decided by the block alone: its hash, hashed once more,
//! is a place in the epoch's house work, and SOLO contracts stand there first, by id, each with as many hashes
//! as it got. A place behind them belongs to everybody else together: the block is then shared by PPLNS.
//!
//! Nobody chooses the place: it follows from a hash that costs a block's work to make again, and an operator
//! who drops an unwelcome block drops the reward. It is a fraction of the work and not a remainder, so that a
//! share more or less in the epoch moves every border a little and no place at will.
//!
//! Work under SOLO stands in no PPLNS window: its own blocks never come there either.

use crate::book::Book;
use crate::bulk;
use crate::pages::Pages;
use crate::scheme_sql as sql;
use crate::{Beneficiary, LaneConfig, Market, MarketError, Result, Scheme};
use gruve_store::{Batch, Row, Tx, params};
use gruve_units::{AccountId, EpochNumber, Hashes, LaneId, MachineId};
use ruint::Uint;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What is hashed before a block's hash.
const TAG: &[u8] = b"gruve solo 1";

/// The place of a block in an epoch's house work, below it: `⌊SHA-256(tag ‖ hash) · done / 2^256⌋`, hash and
/// digest as big-endian numbers of their bytes in internal order.
#[must_use]
pub fn place(block_hash: &[u8; 32], done: Hashes) -> Hashes {
    let digest: [u8; 32] =
        Sha256::new().chain_update(TAG).chain_update(block_hash).finalize().into();
    let wide = Uint::<384, 6>::from_be_bytes::<48>({
        let mut bytes = [0; 48];
        bytes[16..].copy_from_slice(&digest);
        bytes
    });
    let at: Uint<384, 6> = (wide * Uint::<384, 6>::from(done.0)) >> 256;
    // Below `done`, which fits.
    Hashes(u128::try_from(at).unwrap_or(0))
}

/// Who of those standing first has the place; `None` when it is behind them.
#[must_use]
pub fn finder<T: Copy>(place: Hashes, standing: &[(T, Hashes)]) -> Option<T> {
    let mut before = Before::default();
    standing.iter().find(|(_, work)| before.pass(place, *work)).map(|(who, _)| *who)
}

/// The work of those who stand before somebody.
#[derive(Default)]
struct Before(u128);

impl Before {
    /// Goes past the next one; whether the place is his, and nobody's before.
    fn pass(&mut self, place: Hashes, work: Hashes) -> bool {
        self.0 = self.0.saturating_add(work.0);
        place.0 < self.0
    }
}

/// The owners whose own machines' blocks are their own in this epoch, of those who worked in it.
pub(crate) async fn owners(
    tx: &mut Tx,
    lane: &LaneConfig,
    epoch: EpochNumber,
    worked: &BTreeMap<Option<AccountId>, Hashes>,
) -> Result<BTreeMap<AccountId, Hashes>> {
    let mut solo = BTreeMap::new();
    let mut pages = Pages::by_id(sql::SOLO_OWNERS, &params![lane.lane.clone(), epoch]);
    while let Some(rows) = pages.next(tx).await? {
        for row in rows {
            let account: AccountId = row.get("id")?;
            if let Some(work) = worked.get(&Some(account)) {
                solo.insert(account, *work);
            }
        }
    }
    Ok(solo)
}

/// Stores whose work of an epoch is SOLO's, one after the other.
pub(crate) struct Recording {
    lane: LaneId,
    epoch: EpochNumber,
    rows: Batch,
}

impl Recording {
    pub(crate) fn of(lane: &LaneConfig, epoch: EpochNumber) -> Recording {
        let rows = Batch::new(&bulk::sql::INSERT_SOLO);
        Recording { lane: lane.lane.clone(), epoch, rows }
    }

    /// Somebody got or did so much.
    pub(crate) async fn push(&mut self, tx: &mut Tx, who: Beneficiary, work: Hashes) -> Result<()> {
        if work > Hashes::ZERO {
            let (kind, id) = who.columns();
            let row = params![self.lane.clone(), self.epoch, kind, id, work];
            self.rows.push(tx, row).await?;
        }
        Ok(())
    }

    /// Stores the owners' own, and what is left.
    pub(crate) async fn finish(
        mut self,
        tx: &mut Tx,
        owners: &BTreeMap<AccountId, Hashes>,
    ) -> Result<()> {
        for (account, work) in owners {
            self.push(tx, Beneficiary::Account(*account), *work).await?;
        }
        self.rows.finish(tx).await?;
        Ok(())
    }
}

/// Whose a block's reward of this epoch is; `None` when it is shared. Of a block that paid its finder in the coinbase itself what
/// came to the house is its fee.
pub(crate) async fn finder_of(
    tx: &mut Tx,
    book: Book<'_>,
    block_hash: &[u8; 32],
    epoch: EpochNumber,
) -> Result<Option<Beneficiary>> {
    let found = tx.fetch_optional(sql::FOUND_BY, &params![book.id(), *block_hash]).await?;
    // A block that the log does not know has no finder that could be shown.
    let Some(found) = found else { return Ok(None) };
    let owner: Vec<u8> = found.get("owner")?;
    if let Ok(owner) = <[u8; 16]>::try_from(owner) {
        let who = Beneficiary::Account(AccountId::from_bytes(owner));
        let (kind, id) = who.columns();
        let given = params![book.id(), epoch, kind, id];
        if tx.fetch_optional(sql::SOLO, &given).await?.is_none() {
            return Ok(None);
        }
        let given = params![book.asset, *block_hash, book.id()];
        let is_fee = tx.fetch_optional(crate::sql::BESIDE, &given).await?.is_some();
        return Ok(Some(if is_fee { Beneficiary::Operator } else { who }));
    }
    let row = tx.fetch_optional(sql::HOUSE_WORK, &params![book.id(), epoch]).await?;
    let Some(row) = row else { return Ok(None) };
    let (place, mut before) = (place(block_hash, row.get("house_work")?), Before::default());
    let mut pages = Pages::by_beneficiary(sql::SOLO_FROM, &params![book.id(), epoch]);
    while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            let who = crate::reward::beneficiary(row)?;
            if matches!(who, Beneficiary::Contract(_)) && before.pass(place, row.get("work")?) {
                return Ok(Some(who));
            }
        }
    }
    Ok(None)
}

impl Market {
    /// By which scheme an account's own machines on a lane earn, from the next epoch border on; that epoch.
    /// FPPS is not to be had for own machines.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::SchemeNotOffered`] and the database's.
    pub async fn set_own_scheme(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lane: &LaneId,
        scheme: Scheme,
    ) -> Result<EpochNumber> {
        let config = self.lane(lane)?;
        if scheme == Scheme::Fpps {
            return Err(MarketError::SchemeNotOffered);
        }
        let closed = crate::close::LaneState::read(tx, lane).await?.closed;
        let next = config.epoch_rule.at(self.now()).next();
        let from = closed.map_or(next, |last| next.max(last.next()));
        let row = params![lane.clone(), account, from, scheme.name()];
        tx.execute(sql::PUT_OWN_SCHEME, &row).await?;
        Ok(from)
    }

    /// Who found a block by the share log of closed epochs, the house without an account, and with which machine; within
    /// the caller's transaction.
    ///
    /// # Errors
    /// The database's.
    pub async fn finder(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        block_hash: &[u8; 32],
    ) -> Result<Option<(Option<AccountId>, MachineId)>> {
        let row = tx.fetch_optional(sql::FOUND_BY, &params![lane.clone(), *block_hash]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((owner_of(&row)?, row.get("machine")?)))
    }

    /// Who found a block and in which epoch, as [`Market::finder`].
    ///
    /// # Errors
    /// The database's.
    pub async fn found(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        block_hash: &[u8; 32],
    ) -> Result<Option<(Option<AccountId>, EpochNumber)>> {
        let row = tx.fetch_optional(sql::FOUND_BY, &params![lane.clone(), *block_hash]).await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some((owner_of(&row)?, row.get("epoch")?)))
    }

    /// By which scheme an account's own machines earn, and since which epoch; one chosen for a later epoch
    /// included.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`] and the database's.
    pub async fn own_scheme(
        &self,
        account: AccountId,
        lane: &LaneId,
    ) -> Result<(Scheme, Option<EpochNumber>)> {
        let mut tx = self.store().read().await?;
        let found = self.own_scheme_in(&mut tx, account, lane).await?;
        tx.rollback().await?;
        Ok(found)
    }

    /// [`Market::own_scheme`] within the caller's transaction.
    ///
    /// # Errors
    /// As [`Market::own_scheme`].
    pub async fn own_scheme_in(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lane: &LaneId,
    ) -> Result<(Scheme, Option<EpochNumber>)> {
        self.own_scheme_at(tx, account, lane, EpochNumber(i64::MAX.unsigned_abs())).await
    }

    /// By which scheme an account's own machines earn in an epoch, within the caller's transaction; since which. What it is in
    /// an epoch that has begun stays so.
    ///
    /// # Errors
    /// As [`Market::own_scheme`].
    pub async fn own_scheme_at(
        &self,
        tx: &mut Tx,
        account: AccountId,
        lane: &LaneId,
        epoch: EpochNumber,
    ) -> Result<(Scheme, Option<EpochNumber>)> {
        self.lane(lane)?;
        let given = params![lane.clone(), account, epoch];
        match tx.fetch_optional(sql::OWN_SCHEME, &given).await? {
            Some(r) => {
                Ok((Scheme::stored(&r.get::<String>("scheme")?)?, Some(r.get("from_epoch")?)))
            }
            None => Ok((Scheme::Pplns, None)),
        }
    }
}

/// Whose machine found a block, the house's without an account.
fn owner_of(row: &Row) -> Result<Option<AccountId>> {
    let owner = <[u8; 16]>::try_from(row.get::<Vec<u8>>("owner")?).ok();
    Ok(owner.map(AccountId::from_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_place_is_decided_by_the_block_and_below_the_work() {
        assert_eq!(place(&[0; 32], Hashes::ZERO), Hashes::ZERO);
        assert_eq!(place(&[0; 32], Hashes(1)), Hashes::ZERO);
        assert_ne!(place(&[1; 32], Hashes(1 << 100)), place(&[2; 32], Hashes(1 << 100)));
    }

    #[test]
    fn places_fall_on_everybody_in_proportion() {
        let standing = [('a', Hashes(250_000)), ('b', Hashes(500_000))];
        let mut got = [0u32; 3];
        for n in 0..4_000u32 {
            let mut hash = [0; 32];
            hash[..4].copy_from_slice(&n.to_le_bytes());
            match finder(place(&hash, Hashes(1_000_000)), &standing) {
                Some('a') => got[0] += 1,
                Some(_) => got[1] += 1,
                None => got[2] += 1,
            }
        }
        // Of 4,000: 1,000, 2,000, 1,000, four deviations of some 30 around them.
        assert!(got[0].abs_diff(1_000) < 120 && got[1].abs_diff(2_000) < 130, "{got:?}");
        assert!(got[2].abs_diff(1_000) < 120, "{got:?}");
    }

    proptest! {
        #[test]
        fn a_little_more_work_moves_a_place_a_little(hash: [u8; 32], done in 1u128..1 << 100, more in 0u128..1 << 60) {
            let (a, b) = (place(&hash, Hashes(done)), place(&hash, Hashes(done + more)));
            prop_assert!(a.0 < done);
            prop_assert!(a <= b && b.0 - a.0 <= more + 1);
        }
    }
}
