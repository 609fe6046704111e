//! Block rewards: seen, mature, orphaned; and sharing them out.
//!
//! | event | postings | tables |
//! |---|---|---|
//! | seen | Dr chain maturing / Cr rewards | the reward, maturing |
//! | its epoch is closed | – | accruals of everyone in its window, whole reward |
//! | deep enough | Dr chain hot / Cr chain maturing | the reward, mature |
//! | mature and accrued | – | credited: its accruals wait for a settlement |
//! | orphaned while maturing | Dr rewards / Cr chain maturing | accruals reversed |
//! | orphaned when mature | what was settled comes back (customers' balances as far as they go, else the operator's loss), then Dr rewards / Cr chain hot | accruals reversed, negative settlements |
//!
//! There is one reward for each (asset, block hash) for ever. A block that comes back after being orphaned
//! begins a new *generation* of the same row: every entry's reason and every accrual names it.
//!
//! A block found under SOLO goes to its finder, whole ([`crate::solo`]), unless its coinbase has paid him already: then what came to
//! the house is the operator's. Every other is shared out over its window.
//!
//! The window of a block ends with the epoch before its stamp's. A block of which the share log has no
//! record takes the epoch of its header's time instead (not above the epoch being closed), once an epoch
//! later than the one in which it was seen is closed: by then the log would have shown it.

mod window;

pub(crate) use window::Window;

use crate::book::Book;
use crate::bulk::accruals;
use crate::bulk::pending::{self, What};
use crate::close::LaneState;
use crate::papers;
use crate::solo;
use crate::sql;
use crate::standing::StandingRow;
use crate::{Beneficiary, LaneConfig, Market, MarketError, Result, RewardSeen};
use gruve_ledger::{Account, Entry, Posting};
use gruve_store::{Row, Tx, params};
use gruve_units::{Accrual, Amount, Asset, EpochNumber, LaneId, Timestamp};

/// Beneficiaries whose accruals are reversed at once: some megabytes of rows.
const ACCRUALS_AT_ONCE: usize = 10_000;

/// Which life of which block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) block_hash: [u8; 32],
    pub(crate) generation: i64,
    pub(crate) amount: Amount,
}

impl Life {
    /// The unique reason of an entry about it.
    pub(crate) fn reason(&self, what: &str) -> String {
        let (hash, n) = (hex::encode(self.block_hash), self.generation);
        format!("market/{what}/{}/{hash}/{n}", self.amount.asset)
    }

    async fn move_coins(&self, tx: &mut Tx, m: Movement, at: Timestamp) -> Result<()> {
        let reason = self.reason(m.what);
        let entry = Entry::transfer(reason, m.kind, at, m.debit, m.credit, self.amount);
        gruve_ledger::post(tx, &entry).await?;
        Ok(())
    }
}

struct Movement {
    what: &'static str,
    kind: &'static str,
    debit: Account,
    credit: Account,
}

impl Market {
    /// A coinbase that pays the operator was connected. Doing it again does nothing; a block that had
    /// been orphaned comes back.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::WrongAsset`], [`MarketError::RewardDiffers`] and the
    /// database's.
    pub async fn reward_seen(&self, tx: &mut Tx, lane: &LaneId, seen: RewardSeen) -> Result<()> {
        let config = self.lane(lane)?;
        let amount = seen.amount;
        if !config.assets().any(|asset| asset == amount.asset) || amount.minor <= 0 {
            return Err(MarketError::WrongAsset { lane: lane.clone(), amount });
        }
        let now = self.now();
        let epoch = config.epoch_rule.at(now);
        let key = params![amount.asset, seen.block_hash];
        let mut generation = 0;
        if let Some(row) = tx.fetch_optional(sql::REWARD, &key).await? {
            let same = row.get::<i64>("minor")? == amount.minor
                && row.get::<u64>("height")? == seen.height
                && row.get::<LaneId>("lane")? == *lane;
            if !same {
                let mut shown = seen.block_hash;
                shown.reverse();
                return Err(MarketError::RewardDiffers { block: hex::encode(shown) });
            }
            if row.get::<String>("state")? != "orphaned" {
                return Ok(());
            }
            generation = row.get::<i64>("generation")? + 1;
            let given = params![amount.asset, seen.block_hash, epoch];
            tx.execute(sql::REINSTATE_REWARD, &given).await?;
        } else {
            let row = params![
                amount.asset,
                seen.block_hash,
                lane.clone(),
                seen.height,
                amount.minor,
                seen.block_time,
                epoch
            ];
            tx.execute(sql::INSERT_REWARD, &row).await?;
        }
        let life = Life { block_hash: seen.block_hash, generation, amount };
        let movement = Movement {
            what: "reward",
            kind: "market-reward",
            debit: Account::ChainMaturing,
            credit: Account::Rewards(lane.clone()),
        };
        life.move_coins(tx, movement, now).await
    }

    /// A block was connected whose coinbase pays others than the operator. Should the share log know it as one of a customer's
    /// own machines under SOLO, its finder has been paid, and what came to the house is its fee. Before
    /// [`Market::reward_seen`], where the house has a part of it; doing it again does nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`] and the database's.
    pub async fn paid_beside(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
        block_hash: &[u8; 32],
    ) -> Result<()> {
        let given = params![asset, *block_hash, self.lane(lane)?.lane.clone()];
        tx.execute(sql::PUT_BESIDE, &given).await?;
        Ok(())
    }

    /// Such a block was disconnected. After [`Market::reward_orphaned`].
    ///
    /// # Errors
    /// As [`Market::paid_beside`].
    pub async fn beside_orphaned(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
        block_hash: &[u8; 32],
    ) -> Result<()> {
        let given = params![asset, *block_hash, self.lane(lane)?.lane.clone()];
        tx.execute(sql::DELETE_BESIDE, &given).await?;
        Ok(())
    }

    /// The lane's own chain stands at `height`: rewards with the chain's number of blocks above them
    /// mature.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`] and the database's.
    pub async fn chain_height(&self, tx: &mut Tx, lane: &LaneId, height: u64) -> Result<()> {
        self.chain_height_of(tx, lane, self.lane(lane)?.asset, height).await
    }

    /// The same of any chain that the lane mines.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`], [`MarketError::WrongAsset`] and the database's.
    pub async fn chain_height_of(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        asset: Asset,
        height: u64,
    ) -> Result<()> {
        let book = self.book(lane, asset)?;
        let Some(deep) = height.checked_sub(book.maturity) else { return Ok(()) };
        let now = self.now();
        for row in tx.fetch_all(sql::DEEP_REWARDS, &params![lane.clone(), asset, deep]).await? {
            let life = life(&row, book)?;
            tx.execute(sql::MATURE_REWARD, &params![asset, life.block_hash]).await?;
            let movement = Movement {
                what: "mature",
                kind: "market-mature",
                debit: Account::ChainHot,
                credit: Account::ChainMaturing,
            };
            life.move_coins(tx, movement, now).await?;
        }
        Ok(())
    }

    /// The block at a height of the lane's chain was disconnected, and with it all that it paid (on
    /// account chains also uncles of ours that it names).
    ///
    /// # Errors
    /// As [`Market::reward_orphaned`].
    pub async fn rewards_orphaned_at(&self, tx: &mut Tx, lane: &LaneId, height: u64) -> Result<()> {
        for row in tx.fetch_all(sql::REWARDS_AT, &params![lane.clone(), height]).await? {
            self.reward_orphaned(tx, lane, &row.get("block_hash")?).await?;
        }
        Ok(())
    }

    /// A block of any chain of the lane was disconnected. Unknown blocks and those already orphaned do
    /// nothing.
    ///
    /// # Errors
    /// [`MarketError::UnknownLane`] and the database's.
    pub async fn reward_orphaned(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        block_hash: &[u8; 32],
    ) -> Result<()> {
        for book in self.lane(lane)?.books() {
            self.reward_orphaned_of(tx, book, block_hash).await?;
        }
        Ok(())
    }

    async fn reward_orphaned_of(
        &self,
        tx: &mut Tx,
        book: Book<'_>,
        block_hash: &[u8; 32],
    ) -> Result<()> {
        let (lane, asset) = (&book.lane.lane, book.asset);
        let key = params![asset, *block_hash];
        let Some(row) = tx.fetch_optional(sql::REWARD, &key).await? else { return Ok(()) };
        let state: String = row.get("state")?;
        if state == "orphaned" || row.get::<LaneId>("lane")? != *lane {
            return Ok(());
        }
        let life = Life {
            block_hash: *block_hash,
            generation: row.get("generation")?,
            amount: Amount::new(asset, row.get("minor")?),
        };
        let now = self.now();
        if row.get::<bool>("accrued")? {
            self.reverse_accruals(tx, book, life, row.get("credited")?, now).await?;
            let closed = LaneState::read(tx, lane).await?.closed;
            papers::reverse_life(tx, life, closed, now).await?;
        }
        tx.execute(sql::ORPHAN_REWARD, &key).await?;
        if state == "mature" {
            return give_up_coins(tx, lane, life, now).await;
        }
        let movement = Movement {
            what: "orphan",
            kind: "market-orphan",
            debit: Account::Rewards(lane.clone()),
            credit: Account::ChainMaturing,
        };
        life.move_coins(tx, movement, now).await
    }

    async fn reverse_accruals(
        &self,
        tx: &mut Tx,
        book: Book<'_>,
        life: Life,
        was_credited: bool,
        now: Timestamp,
    ) -> Result<()> {
        // Below, standings are written as they then are.
        pending::fold(tx, book).await?;
        let mut reading = accruals::Reading::of(life);
        while let Some(some) = reading.next(tx).await? {
            for parts in some.chunks(ACCRUALS_AT_ONCE) {
                let mut rows = standings_of(tx, book, parts).await?;
                for (row, (_, amount)) in rows.iter_mut().zip(parts) {
                    row.reverse(*amount, was_credited)?;
                    if was_credited {
                        crate::settlement::take_back(tx, book, life, row, now).await?;
                    }
                }
                StandingRow::put_all(tx, book, &rows).await?;
            }
        }
        let given = params![life.amount.asset, life.block_hash, life.generation, now];
        tx.execute(sql::REVERSE_OLD_ACCRUALS, &given).await?;
        Ok(())
    }
}

/// The coins of a mature block are gone. Payouts that spent them were disconnected before, so the wallet
/// holds them; should it not, the difference is shown as owed by the reorganisation, and nothing stops.
async fn give_up_coins(tx: &mut Tx, lane: &LaneId, life: Life, now: Timestamp) -> Result<()> {
    let asset = life.amount.asset;
    let hot = gruve_ledger::balance(tx, &Account::ChainHot, asset).await?.minor;
    let gone = life.amount.minor.min(hot.max(0));
    let short = life.amount.minor - gone;
    if short > 0 {
        tracing::error!(%asset, short, "an orphaned block's coins are not in the hot wallet's books");
    }
    let postings = vec![
        Posting::debit(Account::Rewards(lane.clone()), life.amount),
        Posting::credit(Account::ChainHot, Amount::new(asset, gone)),
        Posting::credit(Account::Clearing("reorganisation".into()), Amount::new(asset, short)),
    ];
    let entry = Entry { reason: life.reason("orphan"), kind: "market-orphan", at: now, postings };
    gruve_ledger::post(tx, &entry).await?;
    Ok(())
}

fn life(row: &Row, book: Book<'_>) -> Result<Life> {
    Ok(Life {
        block_hash: row.get("block_hash")?,
        generation: row.get("generation")?,
        amount: Amount::new(book.asset, row.get("minor")?),
    })
}

/// Shares out every reward whose epoch is closed, and credits those that are mature. `closed` is the epoch
/// being closed.
pub(crate) async fn accrue_and_credit(
    tx: &mut Tx,
    book: Book<'_>,
    closed: EpochNumber,
) -> Result<()> {
    for row in tx.fetch_all(sql::UNACCRUED, &params![book.id(), book.asset]).await? {
        if let Some(epoch) = stamp_epoch(&row, book.lane, closed)? {
            accrue(tx, book, life(&row, book)?, epoch, closed).await?;
        }
    }
    for row in tx.fetch_all(sql::UNCREDITED, &params![book.id(), book.asset]).await? {
        let life = Life {
            block_hash: row.get("block_hash")?,
            generation: row.get("generation")?,
            amount: Amount::zero(book.asset),
        };
        let mut adding = pending::Adding::of(book, What::Matured);
        let mut reading = accruals::Reading::of(life);
        while let Some(parts) = reading.next(tx).await? {
            for part in parts {
                adding.push(tx, part).await?;
            }
        }
        adding.finish(tx).await?;
        tx.execute(sql::SET_CREDITED, &params![book.asset, life.block_hash]).await?;
        papers::credit_life(tx, life, closed).await?;
    }
    Ok(())
}

/// The epoch before which a reward's window ends; `None` while it cannot be known or is not closed.
fn stamp_epoch(row: &Row, lane: &LaneConfig, closed: EpochNumber) -> Result<Option<EpochNumber>> {
    if let Some(before) = row.get::<Option<EpochNumber>>("window_epoch")? {
        return Ok(Some(before));
    }
    if let Some(found) = row.get::<Option<EpochNumber>>("found_epoch")? {
        return Ok((found <= closed).then_some(found));
    }
    let by_header = lane.epoch_rule.at(row.get("block_time")?).min(closed);
    Ok((row.get::<EpochNumber>("seen_epoch")? < closed).then_some(by_header))
}

async fn accrue(
    tx: &mut Tx,
    book: Book<'_>,
    life: Life,
    epoch: EpochNumber,
    closed: EpochNumber,
) -> Result<()> {
    let mut parts = window::Parts::of(book, life);
    match solo::finder_of(tx, book, &life.block_hash, epoch).await? {
        Some(finder) => {
            let whole = Accrual::from_minor(life.amount.minor);
            let whole = whole.ok_or_else(|| MarketError::Broken("a negative reward".into()))?;
            // Statements say when it was given, credited and taken back; it has no window.
            papers::write_life(tx, book, life, epoch, Window::default(), closed).await?;
            parts.give(tx, (finder, whole)).await?;
        }
        None => {
            let oldest = epoch.back(book.lane.pplns_epochs_max);
            let window = window::find(tx, book, epoch, oldest).await?;
            papers::write_life(tx, book, life, epoch, window, closed).await?;
            window::share_out(tx, book, (window, epoch), life.amount.minor, &mut parts).await?;
        }
    }
    parts.finish(tx).await?;
    tx.execute(sql::SET_ACCRUED, &params![book.asset, life.block_hash, epoch]).await?;
    Ok(())
}

pub(crate) fn beneficiary(row: &Row) -> Result<Beneficiary> {
    Beneficiary::from_columns(row.get("kind")?, row.get("beneficiary")?)
        .ok_or_else(|| MarketError::Broken("a beneficiary of an unknown kind".into()))
}

/// An accrual as three columns that the database can add up.
pub(crate) fn columns(amount: Accrual) -> Result<[i64; 3]> {
    let (minor, fraction) = amount.split().map_err(|_| MarketError::Overflow("an accrual"))?;
    let half = |v: u128| i64::try_from(v & 0xffff_ffff).unwrap_or(0);
    Ok([minor, half(fraction.0 >> 32), half(fraction.0)])
}

/// The accrual in three columns.
pub(crate) fn from_columns(minor: i64, high: i64, low: i64) -> Option<Accrual> {
    let value = (i128::from(minor) << 64) + (i128::from(high) << 32) + i128::from(low);
    u128::try_from(value).ok().map(Accrual)
}

/// The standings of these beneficiaries, in this order.
async fn standings_of(
    tx: &mut Tx,
    book: Book<'_>,
    parts: &[(Beneficiary, Accrual)],
) -> Result<Vec<StandingRow>> {
    let everyone: Vec<Beneficiary> = parts.iter().map(|(who, _)| *who).collect();
    StandingRow::find_all(tx, book, &everyone).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_accrual_survives_its_three_columns(v in 0u128..1 << 127) {
            let [a, b, c] = columns(Accrual(v)).unwrap();
            prop_assert_eq!(from_columns(a, b, c), Some(Accrual(v)));
        }
    }
}
