//! The figures of a lane that a quote's forecast is drawn from, and the forecasts as they were shown.

use crate::foretell::past::Past;
use crate::foretell::{ChainNow, Given, QuoteForecast, Running, SCENARIOS, foretell};
use crate::sale::Capacity;
use crate::{Market, MarketError, Plan, Quote, Result, sql};
use gruve_store::{Tx, params, statements};
use gruve_units::{AccountId, Amount, Asset, ContractId, Hashrate, Target, Timestamp};

/// Blocks whose fees are averaged: a day of Bitcoin's.
const FEE_BLOCKS: u32 = 144;

statements! {
    INSERT_FORECAST = "INSERT INTO market_forecasts (quote, made_at, body) VALUES ($1, $2, $3)";
    /// Of quotes that are deleted for being old.
    DELETE_OLD_FORECASTS = "DELETE FROM market_forecasts WHERE quote IN (SELECT id FROM market_quotes
        WHERE account = $1 AND expires_at <= $2 AND used = 0)";
    FORECAST_OF = "SELECT f.body AS body FROM market_forecasts f JOIN market_contracts c
        ON c.quote = f.quote WHERE c.id = $1 AND c.account = $2";
    /// A whole block's: of one that paid its finder the house has a fee.
    LAST_REWARD = "SELECT minor FROM market_rewards r WHERE lane = $1 AND asset = $2
        AND state IN ('maturing', 'mature') AND NOT EXISTS (SELECT 1 FROM market_beside o
        WHERE o.asset = r.asset AND o.block_hash = r.block_hash) ORDER BY height DESC LIMIT 1";
}

impl Market {
    /// What a quote may earn; `None` while the lane has no job or no block is known of one of its chains.
    pub(crate) async fn foretold(
        &self,
        plan: &Plan,
        quote: &Quote,
    ) -> Result<Option<QuoteForecast>> {
        let random = gruve_statement::terms::hash(&quote.id.to_bytes());
        let asked = Asked {
            hashrate: quote.hashrate,
            term_us: u128::from(plan.epoch_us) * u128::from(quote.term_epochs),
            price: quote.price,
            running: None,
            seed: random.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b)),
        };
        self.drawn(plan, asked).await
    }

    /// The futures of what is asked.
    pub(crate) async fn drawn(&self, plan: &Plan, asked: Asked) -> Result<Option<QuoteForecast>> {
        let mut tx = self.store().read().await?;
        let given = self.given(&mut tx, plan, asked).await?;
        tx.rollback().await?;
        let Some(given) = given else { return Ok(None) };
        // Some milliseconds of drawing: not on the threads that serve others.
        let drawn = tokio::task::spawn_blocking(move || foretell(given)).await;
        drawn.map_err(|e| MarketError::Broken(format!("drawing a forecast: {e}")))
    }

    async fn given(&self, tx: &mut Tx, plan: &Plan, asked: Asked) -> Result<Option<Given>> {
        let lane = self.lane(&plan.lane)?;
        let capacity = Capacity::read(tx, lane).await?;
        let mut chains = Vec::new();
        for book in lane.books() {
            let key = params![book.id(), book.asset];
            let Some(job) = tx.fetch_optional(sql::LAST_JOB, &key).await? else { return Ok(None) };
            let target = Target::from_compact(job.get("network_bits")?);
            let reward = reward(tx, &key).await?;
            let (Some(target), Some(reward)) = (target, reward) else { return Ok(None) };
            let also = plan.maintenance_also.iter().find(|(asset, _)| *asset == book.asset);
            let own = (book.asset == plan.asset).then_some(plan.maintenance_minor_per_th_day);
            chains.push(ChainNow {
                asset: book.asset,
                block_hashes: target.expected_hashes().0.to_string(),
                reward_minor: reward,
                upkeep_minor_per_th_day: own.or(also.map(|(_, fee)| *fee)).unwrap_or(0),
            });
        }
        let running = match asked.running {
            Some((paid, is_waived)) => Some(Running {
                money: paid.into(),
                usd_micro: self.money_now(tx, paid.asset).await?,
                is_waived,
            }),
            None => None,
        };
        Ok(Some(Given {
            lane_hashrate: capacity.hashrate.0.to_string(),
            hashrate: asked.hashrate.0.to_string(),
            term_secs: u64::try_from(asked.term_us / 1_000_000).unwrap_or(u64::MAX).max(1),
            fee_bps: plan.fee_bps.get(),
            chains,
            price: asked.price.into(),
            past: Some(Past::drawn_for(plan.asset)),
            usd_micro: self.price_now(tx, plan.asset).await?,
            upkeep_usd_micro_per_th_day: plan.life.maintenance_usd_micro_per_th_day,
            seed: asked.seed.to_string(),
            scenarios: SCENARIOS,
            scheme: plan.scheme,
            pay_usd_micro: self.money_now(tx, asked.price.asset).await?,
            running,
        }))
    }

    /// The recorded price of money that is not dollars.
    async fn money_now(&self, tx: &mut Tx, asset: Asset) -> Result<Option<i64>> {
        if asset == Asset::Usd { Ok(None) } else { self.price_now(tx, asset).await }
    }

    /// What was foretold when a contract was bought, as it was shown then.
    ///
    /// # Errors
    /// The database's.
    pub async fn forecast_of(
        &self,
        account: AccountId,
        contract: ContractId,
    ) -> Result<Option<QuoteForecast>> {
        let mut tx = self.store().read().await?;
        let row = tx.fetch_optional(FORECAST_OF, &params![contract, account]).await?;
        tx.rollback().await?;
        let Some(row) = row else { return Ok(None) };
        let body: Vec<u8> = row.get("body")?;
        let value: serde_json::Value = serde_json::from_slice(&body).map_err(|e| unread(&e))?;
        serde_json::from_value(value).map(Some).map_err(|e| unread(&e))
    }
}

/// Of what a forecast is wanted.
pub(crate) struct Asked {
    /// Of what rate.
    pub(crate) hashrate: Hashrate,
    /// Over what time.
    pub(crate) term_us: u128,
    /// What is paid at the start.
    pub(crate) price: Amount,
    /// What is paid along the way over the whole time, and whether it is waived where nothing is earned.
    pub(crate) running: Option<(Amount, bool)>,
    /// Where the random numbers begin.
    pub(crate) seed: u64,
}

fn unread(e: &serde_json::Error) -> MarketError {
    MarketError::Broken(format!("a stored forecast: {e}"))
}

/// What a block pays now: the newest one's subsidy and the average fees of the last; where no chain is followed, what the
/// last own block paid.
async fn reward(tx: &mut Tx, key: &[gruve_store::Value; 2]) -> Result<Option<i64>> {
    let [lane, asset] = key.clone();
    let blocks = tx.fetch_all(sql::CHAIN_BLOCKS, &[lane, asset, FEE_BLOCKS.into()]).await?;
    let Some(newest) = blocks.first() else {
        let last = tx.fetch_optional(LAST_REWARD, key).await?;
        return Ok(last.map(|row| row.get("minor")).transpose()?);
    };
    let mut fees = 0i128;
    for block in &blocks {
        fees += i128::from(block.get::<i64>("fees")?);
    }
    let average = fees / i128::try_from(blocks.len()).unwrap_or(1);
    let subsidy: i64 = newest.get("subsidy")?;
    Ok(Some(subsidy.saturating_add(i64::try_from(average).unwrap_or(0))))
}

/// Writes down what was shown with a quote.
pub(crate) async fn write_forecast(tx: &mut Tx, quote: &Quote, now: Timestamp) -> Result<()> {
    tx.execute(DELETE_OLD_FORECASTS, &params![quote.account, now]).await?;
    let Some(forecast) = &quote.forecast else { return Ok(()) };
    let body = serde_json::to_vec(forecast).map_err(|e| unread(&e))?;
    tx.execute(INSERT_FORECAST, &params![quote.id, now, body]).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::STATEMENTS;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
