//! One number in the database changed by hand: the audit finds it.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_market::{MarketConfig, MarketError, PlanConfig, PlanKind, Result};
use gruve_sharelog::Owner;
use gruve_store::{Store, params, testing, transact};
use gruve_units::{Bps, Hashrate};
use std::collections::BTreeMap;
use world::{World, lane, someone};

fn config() -> MarketConfig {
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        maintenance_minor_per_th_day: 50_000_000,
        ..world::plan()
    };
    let lease = PlanConfig { maintenance_minor_per_th_day: 70_000_000, ..world::plan() };
    let mut config = world::config();
    config.lanes[0].outside_fee_bps = Bps::new(137).unwrap();
    MarketConfig { plans: vec![lease, meter], ..config }
}

/// Leases that run, that are completed and that were refunded, one that was not paid, a meter, machines of somebody's
/// own, and blocks: mature, maturing, and one that left the chain after it was settled.
async fn lived(store: Store) -> World {
    let w = World::with(store, config()).await;
    w.prove(10_000).await;
    w.lease(someone(1), 2_000, 3).await;
    w.lease(someone(2), 3_000, 20).await;
    w.fund(someone(3), 100_000).await;
    let market = &w.market;
    let meter = transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, someone(3), "meter", Hashrate(1_000), None).await
    });
    meter.unwrap();
    let epoch = async |rate| {
        w.work(Owner::Account(someone(4)), 10, 3);
        w.epoch_at(rate).await;
    };
    for n in 0..8_u64 {
        if n % 2 == 0 {
            let block = w.find_block(100 + n);
            w.see(block, 100 + n, 5_000_000_000 + i64::try_from(n).unwrap()).await;
        }
        if n == 2 {
            // It will not be delivered.
            w.lease(someone(5), 1_000, 3).await;
        }
        epoch(if (2..7).contains(&n) { 4_001 } else { 10_000 }).await;
    }
    let block = w.find_block(200);
    w.see(block, 200, 4_999_999_999).await;
    epoch(10_000).await;
    w.height(206).await;
    epoch(10_000).await;
    epoch(10_000).await;
    w.orphan(block).await;
    let open = w.find_block(207);
    w.see(open, 207, 5_100_000_000).await;
    epoch(10_000).await;
    w.buy(someone(6), 1_000, 3).await.unwrap();
    w.assert_all_sound().await;
    w
}

/// How many findings there are, with what stands in a transaction.
async fn findings(w: &World, tx: &mut gruve_store::Tx) -> usize {
    let audited = async {
        let mut n = w.market.audit_tables(tx).await?.len();
        let sums = w.market.reconciliation(tx).await?;
        n += sums.assets.iter().map(|a| a.differences.len()).sum::<usize>();
        n += w.market.audit_log_in(tx, &lane(), &w.log).await?.findings.len();
        if n == 0 {
            n += w.market.audit_contracts(tx).await?.findings.len();
        }
        Ok::<_, MarketError>(n)
    };
    // What cannot be read is found, too.
    audited.await.unwrap_or(1)
}

/// What a change by hand of is not found, and why that is.
const NOT_FOUND: &[(&str, &str)] = &[];

/// On SQLite alone, whose catalogue is asked for the columns; what audits compare is the same on both.
#[test]
fn a_number_changed_by_hand_is_found() {
    testing::on_sqlite(every_change_is_found);
}

async fn every_change_is_found(store: Store) {
    let w = lived(store).await;
    let mut tx = w.store.read().await.unwrap();
    assert_eq!(findings(&w, &mut tx).await, 0);
    const COLUMNS: &str = "SELECT m.name AS tab, c.name AS col, c.type AS type FROM sqlite_master m
        JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name LIKE 'market%'
        AND c.type IN ('INTEGER', 'BLOB') ORDER BY m.name, c.cid";
    let columns = tx.fetch_all(COLUMNS, &[]).await.unwrap();
    drop(tx);
    let (mut tried, mut missed) = (0, BTreeMap::new());
    for row in columns {
        let (table, column, kind): (String, String, String) =
            (row.get("tab").unwrap(), row.get("col").unwrap(), row.get("type").unwrap());
        let to = if kind == "INTEGER" {
            format!("{column} + 1")
        } else {
            // Another last byte.
            format!(
                "CAST(substr({column}, 1, length({column}) - 1) || \
                 CASE substr({column}, -1) WHEN x'7b' THEN x'7c' ELSE x'7b' END AS BLOB)"
            )
        };
        for end in ["MIN", "MAX"] {
            let sql = format!(
                "UPDATE {table} SET {column} = {to} WHERE rowid = \
                 (SELECT {end}(rowid) FROM {table} WHERE {column} IS NOT NULL)"
            );
            let sql: &'static str = Box::leak(sql.into_boxed_str());
            let found: Result<usize> = transact!(w.store, tx -> Result<usize> => {
                match tx.execute(sql, &params![]).await {
                    // Keys and triggers refuse it.
                    Err(_) => Err(MarketError::BadPrice("refused")),
                    Ok(0) => Err(MarketError::BadPrice("no row")),
                    Ok(_) => match findings(&w, tx).await {
                        0 => Err(MarketError::Broken("not found".into())),
                        _ => Err(MarketError::BadPrice("found")),
                    },
                }
            });
            tried += 1;
            if matches!(found, Err(MarketError::Broken(_))) {
                *missed.entry(format!("{table}.{column}")).or_insert(0) += 1;
            }
        }
    }
    let known = |name: &str| NOT_FOUND.iter().any(|(known, _)| *known == name);
    let unknown: Vec<_> = missed.keys().filter(|name| !known(name)).collect();
    assert!(unknown.is_empty(), "of {tried} changes these are not found: {unknown:#?}");
    let mended: Vec<_> = NOT_FOUND.iter().filter(|(n, _)| !missed.contains_key(*n)).collect();
    assert!(mended.is_empty(), "these are found now: {mended:#?}");
    assert!(tried > 300, "{tried}");
}
