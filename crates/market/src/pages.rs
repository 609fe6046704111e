//! Reading tables that grow with the number of customers: page by page, by key.

use crate::Result;
use gruve_store::{FETCH_ROWS_MAX, Row, Tx, Value, params};

/// Rows of a page: a tenth of what the store gives at once, and in the widest table (contracts) some ten
/// megabytes. In the unit tests so few that every list there has several pages.
#[cfg(not(test))]
pub(crate) const ROWS: u32 = 10_000;
#[cfg(test)]
pub(crate) const ROWS: u32 = 3;

const _: () = assert!((ROWS as usize) < FETCH_ROWS_MAX);

#[derive(Clone, Copy)]
enum Key {
    Beneficiary,
    Id,
}

impl Key {
    fn of(self, row: &Row) -> Result<Vec<Value>> {
        Ok(match self {
            Key::Beneficiary => {
                params![row.get::<i64>("kind")?, row.get::<Vec<u8>>("beneficiary")?].to_vec()
            }
            Key::Id => params![row.get::<Vec<u8>>("id")?].to_vec(),
        })
    }
}

/// The rows of a statement, a page at a time. Its last parameters are the key after which a page begins
/// and the most rows of it; it must sort by that key. Rows may change between two pages, but not their keys.
pub(crate) struct Pages {
    sql: &'static str,
    /// The statement's parameters before the key's.
    given: Vec<Value>,
    key: Key,
    /// Rows of a page.
    rows: u32,
    /// The key of the last row; `None` after the last page.
    after: Option<Vec<Value>>,
}

impl Pages {
    /// Sorted by `(kind, beneficiary)`.
    pub(crate) fn by_beneficiary(sql: &'static str, given: &[Value]) -> Pages {
        // Kinds begin with 0.
        let before = params![-1_i64, Vec::<u8>::new()].to_vec();
        Pages { sql, given: given.to_vec(), key: Key::Beneficiary, rows: ROWS, after: Some(before) }
    }

    /// Sorted by `id`.
    pub(crate) fn by_id(sql: &'static str, given: &[Value]) -> Pages {
        // No bytes come before all others.
        let before = params![Vec::<u8>::new()].to_vec();
        Pages { sql, given: given.to_vec(), key: Key::Id, rows: ROWS, after: Some(before) }
    }

    /// With so many rows a page, [`ROWS`] at most.
    pub(crate) fn of(self, rows: u32) -> Pages {
        Pages { rows: rows.clamp(1, ROWS), ..self }
    }

    /// The next page; `None` after the last one.
    pub(crate) async fn next(&mut self, tx: &mut Tx) -> Result<Option<Vec<Row>>> {
        let Some(after) = self.after.take() else { return Ok(None) };
        let mut given = self.given.clone();
        given.extend(after);
        given.push(Value::from(self.rows));
        let rows = tx.fetch_all(self.sql, &given).await?;
        if let (Some(last), true) = (rows.last(), rows.len() == self.rows as usize) {
            self.after = Some(self.key.of(last)?);
        }
        Ok(Some(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::ROWS;
    use crate::Beneficiary;
    use crate::bulk::ACCRUALS_PAGE;
    use crate::contract::Contract;
    use crate::world::{World, config, lane, someone};
    use gruve_ledger::Account;
    use gruve_sharelog::Owner;
    use gruve_store::{Store, laws, transact};
    use gruve_units::Accrual;

    async fn count(w: &World, sql: &'static str) -> i64 {
        let mut tx = w.store.read().await.unwrap();
        tx.fetch_one(sql, &[]).await.unwrap().get("n").unwrap()
    }

    /// Running contracts one by one: pages that are full, and those one row more or less.
    async fn nobody_is_lost_or_paid_twice_between_pages(store: Store) {
        let mut config = config();
        config.unpaid_per_account_max = 100;
        let w = World::with(store, config).await;
        w.prove(1_000_000).await;
        let mut contracts = Vec::new();
        let rows = u8::try_from(ROWS).unwrap();
        for n in 0..=2 * rows {
            contracts.push(w.lease(someone(n), 10_000, 20).await);
            let mut tx = w.store.read().await.unwrap();
            let running = Contract::running(&mut tx, &lane()).await.unwrap();
            let mut sorted = contracts.clone();
            sorted.sort_unstable();
            assert_eq!(running.iter().map(|c| c.id).collect::<Vec<_>>(), sorted);
        }
        for n in 100..100 + 2 * rows {
            w.work(Owner::Account(someone(n)), 17, 1);
        }
        w.epoch_at(100_000).await;
        w.epoch_at(100_000).await;
        let block = w.find_block(100);
        w.see(block, 100, 5_000_000_000).await;
        w.epoch_at(100_000).await;
        // Also the operator and what truncation left over.
        let everyone = "SELECT COUNT(*) AS n FROM market_accrual_pages";
        let everyone = count(&w, everyone).await * i64::try_from(ACCRUALS_PAGE).unwrap();
        assert!(everyone > i64::from(4 * rows), "{everyone}");
        w.assert_sound().await;
        w.height(200).await;
        w.epoch_at(100_000).await;
        for (n, c) in (0..).zip(&contracts) {
            let view = w.view(someone(n), *c).await;
            assert_eq!(view.settled.minor, view.earned.split().unwrap().0);
            assert!(view.settled.minor > 0, "{}", Beneficiary::Contract(*c).key());
        }
        for n in 100..100 + 2 * rows {
            assert!(w.holds(&Account::CustomerAvailable(someone(n))).await > 0);
        }
        let waiting = "SELECT COUNT(*) AS n FROM market_standings WHERE waiting_minor > 0";
        assert_eq!(count(&w, waiting).await, 0);
        w.assert_sound().await;
        w.orphan(block).await;
        let reversed = "SELECT COUNT(*) AS n FROM market_lives WHERE reversed_at IS NOT NULL";
        assert_eq!(count(&w, reversed).await, 1);
        for (n, c) in (0..).zip(&contracts) {
            let view = w.view(someone(n), *c).await;
            assert_eq!((view.earned, view.settled.minor), (Accrual::ZERO, 0));
        }
        w.assert_all_sound().await;
    }

    /// What waits, what is kept running and who earns solo, each more than a page.
    async fn whoever_stands_on_a_later_page_counts(store: Store) {
        let mut config = config();
        config.prices.quorum = 1;
        config.prices.sources = vec![crate::PriceSourceConfig {
            name: "desk".into(),
            asset: gruve_units::Asset::Btc,
            url: None,
            pointer: String::new(),
        }];
        config.plans[0].life.unprofitable = crate::rules::Unprofitable::Pause;
        config.plans[0].life.maintenance_usd_micro_per_th_day = 1;
        let w = World::with(store, config).await;
        w.prove(1_000_000).await;
        let rows = u8::try_from(ROWS).unwrap();
        let everyone: Vec<_> = (1..=2 * rows + 1).map(someone).collect();
        let mut worked = std::collections::BTreeMap::new();
        let market = &w.market;
        for who in &everyone {
            let c = w.lease(*who, 10_000, 3).await;
            market.keep_running(*who, c, true).await.unwrap();
            transact!(w.store, tx -> crate::Result<_> => {
                market.set_own_scheme(tx, *who, &lane(), crate::Scheme::Solo).await
            })
            .unwrap();
            worked.insert(Some(*who), gruve_units::Hashes(1));
        }
        w.epoch_at(100_000).await;
        w.epoch_at(100_000).await;
        for who in &everyone {
            let c = market.contracts(*who).await.unwrap()[0].id;
            let quote = market.quote_renewal(*who, c, 3).await.unwrap();
            transact!(w.store, tx -> crate::Result<_> => { market.buy(tx, *who, quote.id).await })
                .unwrap();
        }
        let mut tx = w.store.read().await.unwrap();
        let config = market.lane(&lane()).unwrap();
        let all = everyone.len();
        let (mut kept, mut ids) = (crate::pause::Kept::of(&lane()), Vec::new());
        for who in &everyone {
            // Each has another beside it, which is not kept.
            ids.extend(market.contracts(*who).await.unwrap().iter().map(|c| (c.id, c.life.renews)));
        }
        ids.sort_unstable();
        assert_eq!(ids.len(), 2 * all);
        let followed = crate::renew::followers(&mut tx, ids.iter().map(|(id, _)| *id)).await;
        assert_eq!(followed.unwrap().len(), all);
        for (id, renews) in ids {
            assert_eq!(kept.has(&mut tx, id).await.unwrap(), renews.is_none());
        }
        let solo = crate::solo::owners(&mut tx, config, w.now(), &worked).await.unwrap();
        assert_eq!(solo.len(), all);
    }

    laws! {
        pages: [nobody_is_lost_or_paid_twice_between_pages, whoever_stands_on_a_later_page_counts]
    }
}
