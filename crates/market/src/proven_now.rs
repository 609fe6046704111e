//! What an account's running contracts, leases and metered ones, got in the last closed epoch, lane by lane, as a rate, and
//! how sure that is.
//!
//! Work is counted exactly; the hashrate behind it is not known exactly, because shares come by chance: the lane's work *W* of
//! an epoch has the standard deviation `√Σw²`, and a contract's part of it the same part of that. Two of them on either side
//! hold the rate in nineteen cases of twenty.
//!
//! Bound: a lane's leases are read in the order of their ids, and a page of lines serves all of them that stand in it.

use crate::bulk::lines;
use crate::{Market, Result, sql};
use gruve_store::{Tx, params, statements};
use gruve_units::{AccountId, ContractId, EpochNumber, Hashes, Hashrate, LaneId};
use ruint::aliases::U256;
use std::collections::BTreeMap;

statements! {
    RUNNING_OF_ACCOUNT = "SELECT id, lane, hashrate FROM market_contracts
        WHERE account = $1 AND state = 'active' ORDER BY lane, id";
    /// Metered contracts that work or would, and what the last closed epoch of their lane brought them.
    METERED_OF_ACCOUNT = "SELECT m.lane AS lane, m.hashrate AS hashrate, h.delivered AS delivered
        FROM market_metered m JOIN market_lanes l ON l.lane = m.lane
        LEFT JOIN market_holds h ON h.contract = m.id AND h.epoch = l.closed_epoch AND h.is_open = 0
        WHERE m.account = $1 AND m.state IN ('active', 'ending') ORDER BY m.lane, m.id";
    WORK_OF_EPOCH = "SELECT house_work, house_squares FROM market_epochs WHERE lane = $1 AND epoch = $2";
    /// The page that a contract's line stands in, if it has one.
    LINE_PAGE = "SELECT body FROM market_line_pages WHERE lane = $1 AND epoch = $2 AND first <= $3
        ORDER BY first DESC LIMIT 1";
}

/// An account's running contracts on a lane, leases and metered ones, summed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenNow {
    /// Which lane.
    pub lane: LaneId,
    /// How many run.
    pub contracts: u64,
    /// The rate bought, or asked for by the meter.
    pub bought: Hashrate,
    /// What the last closed epoch brought, as a rate.
    pub got: Hashrate,
    /// How far off that may be on either side: two standard deviations.
    pub spread: Hashrate,
}

/// `⌈got · 2·√squares / work⌉`, never above what was got.
fn spread(got: Hashes, work: Hashes, squares: U256) -> Hashes {
    if work == Hashes::ZERO {
        return Hashes::ZERO;
    }
    let four = squares.saturating_mul(U256::from(4u8));
    let root = four.root(2);
    let deviation = if root.saturating_mul(root) < four { root + U256::from(1u8) } else { root };
    let part = U256::from(got.0).saturating_mul(deviation).div_ceil(U256::from(work.0));
    Hashes(u128::try_from(part).unwrap_or(u128::MAX).min(got.0))
}

/// What some contracts of a lane got in an epoch; their ids are sorted.
async fn got_of(
    tx: &mut Tx,
    lane: &LaneId,
    epoch: EpochNumber,
    ids: &[ContractId],
) -> Result<Hashes> {
    let (mut sum, mut page): (u128, BTreeMap<ContractId, Hashes>) = (0, BTreeMap::new());
    let mut last = None;
    for id in ids {
        if last.is_none_or(|l| *id > l) {
            page.clear();
            let given = params![lane.clone(), epoch, *id];
            if let Some(row) = tx.fetch_optional(LINE_PAGE, &given).await? {
                lines::read_page(&row.get::<Vec<u8>>("body")?, |line| {
                    page.insert(line.contract, line.delivered);
                    Ok(())
                })?;
            }
            last = page.last_key_value().map(|(id, _)| *id);
        }
        sum = sum.saturating_add(page.get(id).map_or(0, |got| got.0));
    }
    Ok(Hashes(sum))
}

/// What runs on a lane.
#[derive(Default)]
struct Running {
    contracts: u64,
    bought: u128,
    leases: Vec<ContractId>,
    by_the_meter: u128,
}

/// What runs of an account, by lane; leases in the order of their ids.
async fn running(tx: &mut Tx, account: AccountId) -> Result<BTreeMap<LaneId, Running>> {
    let mut lanes: BTreeMap<LaneId, Running> = BTreeMap::new();
    for row in tx.fetch_all(RUNNING_OF_ACCOUNT, &params![account]).await? {
        let of = lanes.entry(row.get("lane")?).or_default();
        of.contracts += 1;
        of.bought = of.bought.saturating_add(row.get::<Hashrate>("hashrate")?.0);
        of.leases.push(row.get("id")?);
    }
    for row in tx.fetch_all(METERED_OF_ACCOUNT, &params![account]).await? {
        let of = lanes.entry(row.get("lane")?).or_default();
        of.contracts += 1;
        of.bought = of.bought.saturating_add(row.get::<Hashrate>("hashrate")?.0);
        let delivered = row.get::<Option<Hashes>>("delivered")?.unwrap_or(Hashes::ZERO);
        of.by_the_meter = of.by_the_meter.saturating_add(delivered.0);
    }
    Ok(lanes)
}

impl Market {
    /// What an account's running contracts got in the last closed epoch, by lane.
    ///
    /// # Errors
    /// [`crate::MarketError::UnknownLane`]; the database's.
    pub async fn proven_now(&self, account: AccountId) -> Result<Vec<ProvenNow>> {
        let mut tx = self.store().read().await?;
        let lanes = running(&mut tx, account).await?;
        let mut all = Vec::with_capacity(lanes.len());
        for (lane, of) in lanes {
            let length = self.lane(&lane)?.epoch_rule.length();
            let row = tx.fetch_one(sql::LANE, &params![lane.clone()]).await?;
            let closed: Option<EpochNumber> = row.get("closed_epoch")?;
            let (mut got, mut off) = (Hashes::ZERO, Hashes::ZERO);
            if let Some(epoch) = closed
                && let Some(row) =
                    tx.fetch_optional(WORK_OF_EPOCH, &params![lane.clone(), epoch]).await?
            {
                got = got_of(&mut tx, &lane, epoch, &of.leases).await?;
                got = Hashes(got.0.saturating_add(of.by_the_meter));
                let squares = U256::from_be_bytes(row.get::<[u8; 32]>("house_squares")?);
                off = spread(got, row.get("house_work")?, squares);
            }
            all.push(ProvenNow {
                lane,
                contracts: of.contracts,
                bought: Hashrate(of.bought),
                got: Hashrate::of(got, length),
                spread: Hashrate::of(off, length),
            });
        }
        tx.rollback().await?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws};

    #[test]
    fn a_hundred_equal_shares_are_a_fifth_off_at_most_and_one_says_nothing() {
        let of = |shares: u128, got: u128| {
            let squares = crate::capacity::square(Hashes(1 << 20)) * U256::from(shares);
            spread(Hashes(got), Hashes(shares << 20), squares)
        };
        assert_eq!(of(100, 1_000), Hashes(200));
        assert_eq!(of(1, 1_000), Hashes(1_000));
        assert_eq!(of(10_000, 1_000_000), Hashes(20_000));
        assert_eq!(spread(Hashes(5), Hashes::ZERO, U256::from(9u8)), Hashes::ZERO);
    }

    async fn every_statement_prepares(store: Store) {
        let w = crate::world::World::new(store).await;
        prepare_all(&w.store, STATEMENTS).await;
    }

    laws! { statements: [every_statement_prepares] }
}
