//! What a quote was given on, and whether that still holds when it is bought.
//!
//! A quote is a free option for as long as it stands. Its price must therefore not outlive what it was made
//! of: the network's difficulty (by the last closed epoch's job, and by the newest block that the chain's
//! follower told of) and the coin's recorded price. Either moving by more than the stated bound voids it.

use crate::life_sql;
use crate::{LaneConfig, Market, MarketError, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Asset, Bps, ContractId, Hashes, Hashrate, LaneId, QuoteId, Target};

/// See the module. What is not known is not compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    job_bits: Option<u32>,
    chain_work: Option<Hashes>,
    price: Option<i64>,
}

impl Marks {
    /// As things are now.
    pub(crate) async fn now(tx: &mut Tx, market: &Market, lane: &LaneConfig) -> Result<Marks> {
        let key = params![lane.lane.clone(), lane.asset];
        let job = tx.fetch_optional(sql::LAST_JOB, &key).await?;
        let chain = tx.fetch_optional(life_sql::NEWEST_CHAIN_WORK, &key).await?;
        Ok(Marks {
            job_bits: job.map(|row| row.get("network_bits")).transpose()?,
            chain_work: chain.map(|row| row.get("work")).transpose()?,
            price: market.price_now(tx, lane.asset).await?,
        })
    }

    pub(crate) async fn store(
        self,
        tx: &mut Tx,
        quote: QuoteId,
        renews: Option<ContractId>,
    ) -> Result<()> {
        let given = params![quote, self.job_bits, self.chain_work, self.price, renews];
        tx.execute(life_sql::MARK_QUOTE, &given).await?;
        Ok(())
    }

    /// A quote's, and the contract it would follow.
    pub(crate) async fn of(tx: &mut Tx, quote: QuoteId) -> Result<(Marks, Option<ContractId>)> {
        let row = tx.fetch_one(life_sql::QUOTE_MARKS, &params![quote]).await?;
        let marks = Marks {
            job_bits: row.get("job_bits")?,
            chain_work: row.get("chain_work")?,
            price: row.get("price_usd_micro")?,
        };
        Ok((marks, row.get("renews")?))
    }

    /// What has changed too much between these and `now`.
    fn void(self, now: Marks, difficulty: Bps, price: Bps) -> Option<&'static str> {
        let hashes = |bits: Option<u32>| {
            bits.and_then(Target::from_compact).map(|target| target.expected_hashes().0)
        };
        let work = |work: Option<Hashes>| work.map(|w| w.0);
        let micro = |price: Option<i64>| price.and_then(|p| u128::try_from(p).ok());
        if moved(hashes(self.job_bits), hashes(now.job_bits), difficulty)
            || moved(work(self.chain_work), work(now.chain_work), difficulty)
        {
            return Some("the network's difficulty");
        }
        moved(micro(self.price), micro(now.price), price).then_some("the coin's price")
    }
}

/// Whether a figure moved by more than `bound` of what it was. What was not known then or is not known now has
/// not moved; a price that has gone stale is looked at where it is needed.
fn moved(then: Option<u128>, now: Option<u128>, bound: Bps) -> bool {
    let (Some(then), Some(now)) = (then, now) else { return false };
    then.abs_diff(now) > bound.of(then)
}

impl Market {
    /// Refuses a quote that was given on other figures than today's.
    pub(crate) async fn check_marks(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        quote: QuoteId,
    ) -> Result<Option<ContractId>> {
        let (then, renews) = Marks::of(tx, quote).await?;
        let now = Marks::now(tx, self, lane).await?;
        let bound = self.config().quotes.price_bps;
        match then.void(now, lane.quote_difficulty_bps, bound) {
            Some(what) => Err(MarketError::QuoteVoid { what }),
            None => Ok(renews),
        }
    }

    /// Whether an account's unpaid orders may hold `wanted` more of a lane: all that it has open together hold
    /// a stated part of what would be free without them.
    pub(crate) async fn check_held_by_account(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        account: AccountId,
        available: Hashrate,
        wanted: Hashrate,
    ) -> Result<()> {
        let mut held = 0u128;
        let given = params![lane.clone(), account];
        for row in tx.fetch_all(life_sql::HELD_BY_ACCOUNT, &given).await? {
            held = held.saturating_add(row.get::<Hashrate>("hashrate")?.0);
        }
        let most = self.config().quotes.held_per_account_bps;
        let left = Hashrate(most.of(available.0.saturating_add(held)).saturating_sub(held));
        if wanted > left { Err(MarketError::HeldByYou { available: left }) } else { Ok(()) }
    }

    /// The coin's recorded price that stands now: of the newest instant within the staleness limit.
    pub(crate) async fn price_now(&self, tx: &mut Tx, asset: Asset) -> Result<Option<i64>> {
        let (now, rules) = (self.now(), &self.config().prices);
        let given = params![asset, gruve_units::Timestamp(now.0.saturating_add(1))];
        let Some(row) = tx.fetch_optional(life_sql::PRICE_BEFORE, &given).await? else {
            return Ok(None);
        };
        let is_fresh = row.get::<gruve_units::Timestamp>("instant")? > now.minus(rules.staleness());
        Ok(if is_fresh { Some(row.get("usd_micro")?) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bps(n: u16) -> Bps {
        Bps::new(n).unwrap()
    }

    #[test]
    fn a_bound_of_nothing_bears_no_change_and_two_percent_bear_two_percent() {
        assert!(!moved(Some(100), Some(100), Bps::ZERO) && moved(Some(100), Some(101), Bps::ZERO));
        assert!(!moved(Some(100), Some(98), bps(200)) && moved(Some(100), Some(97), bps(200)));
        assert!(!moved(None, Some(5), Bps::ZERO) && !moved(Some(5), None, Bps::ZERO));
    }

    #[test]
    fn either_view_of_the_chain_voids_a_quote_and_the_price_does_by_its_own_bound() {
        let then = Marks {
            job_bits: Some(0x1d00_ffff),
            chain_work: Some(Hashes(1 << 32)),
            price: Some(1_000_000),
        };
        let void = |now: Marks| then.void(now, Bps::ZERO, bps(200));
        assert_eq!(void(then), None);
        assert!(void(Marks { job_bits: Some(0x1d00_fffe), ..then }).is_some());
        assert!(void(Marks { chain_work: Some(Hashes((1 << 32) + 1)), ..then }).is_some());
        assert_eq!(void(Marks { price: Some(1_020_000), ..then }), None);
        assert_eq!(void(Marks { price: Some(979_999), ..then }), Some("the coin's price"));
    }
}
