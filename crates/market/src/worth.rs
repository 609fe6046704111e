//! What a hash of an epoch earned, by the rewards whose windows hold that epoch.
//!
//! A reward pays `minor · p / 8` for units `p` in its window ([`crate::pplns`]). Work that was not done has no
//! units in any window; what it would have earned is what each unit of its epoch got: for every credited
//! reward whose window reaches back to the epoch, the reward's eighth, times the part of the epoch that lies in
//! the window. (That the work itself would have pushed older work out of the window a little earlier is
//! left out, in its favour.)

use crate::book::Book;
use crate::pplns::WINDOW_UNITS;
use crate::units::{ONE_BLOCK, units_of};
use crate::{MarketError, Result, life_sql};
use gruve_store::{Tx, params};
use gruve_units::{Accrual, Asset, EpochNumber, Hashes, mul_div_floor};
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// Epochs' totals read at once.
const PAGE: u32 = 1_000;

/// What one block's units of an epoch earned, for one transaction.
pub(crate) struct Worth {
    closing: EpochNumber,
    known: BTreeMap<(Asset, EpochNumber), Option<EpochWorth>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EpochWorth {
    /// The network's target in it.
    bits: u32,
    /// Minor units in fixed point (2^-64) that one block's units of it earned.
    per_block: u128,
    /// Whether nothing can come any more.
    is_final: bool,
}

/// The epochs after one, to where windows reach it no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct After {
    /// The epoch's own units.
    own: u128,
    /// For each later epoch, all units from the one after ours to and with it.
    sums: Vec<(EpochNumber, u128)>,
}

impl After {
    /// The part of the epoch (2^64: all) in the window of a reward that ends before `end`.
    fn part(&self, end: EpochNumber) -> u128 {
        let newer = self.sums.iter().rev().find(|(e, _)| *e < end).map_or(0, |(_, sum)| *sum);
        let room = WINDOW_UNITS.saturating_sub(newer);
        if self.own == 0 {
            return if room > 0 { ONE_BLOCK } else { 0 };
        }
        mul_div_floor(ONE_BLOCK, room.min(self.own), self.own).map_or(0, |(part, _)| part)
    }

    /// The last epoch before which a window may end and still reach ours; `None` while it is not closed.
    fn last(&self) -> Option<EpochNumber> {
        self.sums.iter().find(|(_, sum)| *sum >= WINDOW_UNITS).map(|(e, _)| *e)
    }
}

/// What one block's units earned of these rewards: `Σ ⌊minor · part / 8⌋`. Pure.
fn per_block(after: &After, rewards: &[(i64, EpochNumber)]) -> Result<u128> {
    let overflow = || MarketError::Overflow("what an epoch earned");
    let mut sum = 0u128;
    for (minor, end) in rewards {
        let minor = u128::try_from(*minor).map_err(|_| overflow())?;
        let (paid, _) = mul_div_floor(minor, after.part(*end), 8).map_err(|_| overflow())?;
        sum = sum.checked_add(paid).ok_or_else(overflow)?;
    }
    Ok(sum)
}

impl Worth {
    pub(crate) fn new(closing: EpochNumber) -> Worth {
        Worth { closing, known: BTreeMap::new() }
    }

    /// The network's target in an epoch and what one block's units of it earned, once its worth was asked for.
    pub(crate) fn figures(&self, book: Book<'_>, epoch: EpochNumber) -> Option<(u32, u128)> {
        let found = self.known.get(&(book.asset, epoch)).copied().flatten()?;
        Some((found.bits, found.per_block))
    }

    pub(crate) fn closing(&self) -> EpochNumber {
        self.closing
    }

    /// What work of an epoch earned so far, and whether nothing can come any more.
    pub(crate) async fn of(
        &mut self,
        tx: &mut Tx,
        book: Book<'_>,
        epoch: EpochNumber,
        work: Hashes,
    ) -> Result<(Accrual, bool)> {
        let key = (book.asset, epoch);
        let found = match self.known.get(&key) {
            Some(found) => *found,
            None => {
                let found = read(tx, book, epoch, self.closing).await?;
                self.known.insert(key, found);
                found
            }
        };
        // Without a job there was nothing to earn.
        let Some(w) = found else { return Ok((Accrual::ZERO, true)) };
        let product = U256::from(units_of(work, w.bits)?) * U256::from(w.per_block);
        let earned = u128::try_from(product >> 64usize);
        Ok((Accrual(earned.map_err(|_| MarketError::Overflow("what work earned"))?), w.is_final))
    }
}

async fn read(
    tx: &mut Tx,
    book: Book<'_>,
    epoch: EpochNumber,
    closing: EpochNumber,
) -> Result<Option<EpochWorth>> {
    let key = params![book.id(), book.asset, epoch];
    let Some(row) = tx.fetch_optional(life_sql::BITS_AT, &key).await? else { return Ok(None) };
    let bits = row.get("network_bits")?;
    let after = read_after(tx, book, epoch).await?;
    let oldest = EpochNumber(epoch.0.saturating_add(book.lane.pplns_epochs_max));
    let last = after.last().unwrap_or(oldest).min(oldest);
    let mut rewards = Vec::new();
    let given = params![book.id(), book.asset, epoch, last];
    for row in tx.fetch_all(life_sql::CREDITED_REWARDS, &given).await? {
        rewards.push((row.get("minor")?, row.get("window_epoch")?));
    }
    let open: i64 = tx.fetch_one(life_sql::OPEN_REWARDS, &given).await?.get("n")?;
    // A block may be told of some epochs after the one in its stamp.
    let passed = last.0.saturating_add(book.lane.settle_every_epochs).saturating_add(2);
    let is_final = open == 0 && closing.0 > passed;
    Ok(Some(EpochWorth { bits, per_block: per_block(&after, &rewards)?, is_final }))
}

async fn read_after(tx: &mut Tx, book: Book<'_>, epoch: EpochNumber) -> Result<After> {
    let mut after = After::default();
    let (mut from, mut sum) = (epoch, 0u128);
    loop {
        let given = params![book.id(), book.asset, from, PAGE];
        let rows = tx.fetch_all(life_sql::UNITS_FROM, &given).await?;
        for row in &rows {
            let at: EpochNumber = row.get("epoch")?;
            let units = u128::from_be_bytes(row.get("units")?);
            from = at.next();
            if at == epoch {
                after.own = units;
                continue;
            }
            sum = sum.checked_add(units).ok_or(MarketError::Overflow("a window"))?;
            after.sums.push((at, sum));
            if sum >= WINDOW_UNITS {
                return Ok(after);
            }
        }
        if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
            return Ok(after);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(own: u128, later: &[u128]) -> After {
        let mut sum = 0;
        let sums = (11u64..).zip(later).map(|(e, units)| {
            sum += units;
            (EpochNumber(e), sum)
        });
        After { own, sums: sums.collect() }
    }

    #[test]
    fn an_epoch_counts_whole_in_part_and_then_not_at_all() {
        let a = after(ONE_BLOCK, &[4 * ONE_BLOCK, 3 * ONE_BLOCK + ONE_BLOCK / 2, ONE_BLOCK]);
        let part = |end| a.part(EpochNumber(end));
        assert_eq!((part(11), part(12), part(13)), (ONE_BLOCK, ONE_BLOCK, ONE_BLOCK / 2));
        assert_eq!((part(14), a.last()), (0, Some(EpochNumber(13))));
    }

    #[test]
    fn an_epoch_without_work_is_worth_what_its_place_in_the_window_is() {
        let a = after(0, &[4 * ONE_BLOCK, 4 * ONE_BLOCK]);
        assert_eq!((a.part(EpochNumber(12)), a.part(EpochNumber(13))), (ONE_BLOCK, 0));
    }

    #[test]
    fn a_blocks_work_earns_an_eighth_of_each_reward_in_reach() {
        let a = after(ONE_BLOCK, &[ONE_BLOCK]);
        let two = [(800, EpochNumber(11)), (1_600, EpochNumber(12))];
        assert_eq!(per_block(&a, &two).unwrap(), 300 * ONE_BLOCK);
    }
}
