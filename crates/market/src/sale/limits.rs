//! How much an account may hold without having paid.

use crate::{LaneConfig, Market, MarketError, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Hashrate, LaneId};

/// How many a question counts.
pub(super) async fn count(
    tx: &mut Tx,
    sql: &'static str,
    params: &[gruve_store::Value],
) -> Result<u32> {
    let n: i64 = tx.fetch_one(sql, params).await?.get("n")?;
    Ok(u32::try_from(n).unwrap_or(u32::MAX))
}

impl Market {
    /// Whether an account may hold so much more of a lane unpaid.
    pub(super) async fn check_free(
        &self,
        tx: &mut Tx,
        lane: &LaneConfig,
        account: AccountId,
        available: Hashrate,
        wanted: Hashrate,
    ) -> Result<()> {
        if available < wanted {
            return Err(MarketError::SoldOut { available });
        }
        if count(tx, sql::COUNT_PAID, &params![account]).await? == 0 {
            self.check_held_by_new(tx, &lane.lane, available, wanted).await?;
        }
        self.check_held_by_account(tx, &lane.lane, account, available, wanted).await
    }

    /// Whether another unpaid order may hold capacity whose account has never paid. Accounts cost nothing,
    /// so their orders together hold only a part of what would be free without them.
    async fn check_held_by_new(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        available: Hashrate,
        wanted: Hashrate,
    ) -> Result<()> {
        let mut held = 0u128;
        for row in tx.fetch_all(sql::HELD_BY_NEW, &params![lane.clone()]).await? {
            held = held.saturating_add(row.get::<Hashrate>("hashrate")?.0);
        }
        let most = self.config().unpaid_new_bps.of(available.0.saturating_add(held));
        let left = Hashrate(most.saturating_sub(held));
        if wanted > left { Err(MarketError::HeldUnpaid { available: left }) } else { Ok(()) }
    }
}
