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
const NOT_FOUND: &[(&str, &str)] = &[
    // Keys of pages: one that leads to its contracts still is as good; one that does not is found.
    ("market_accrual_pages.first", PAGE_KEY),
    ("market_line_pages.first", PAGE_KEY),
    ("market_progress.first", PAGE_KEY),
    ("market_roll.first", PAGE_KEY),
    // Told by the chain or the log, and shown; nothing that is booked is computed from them again.
    ("market_epochs.closed_at", FACT),
    ("market_epochs.height", FACT),
    ("market_epochs.house_squares", FACT),
    ("market_epochs.network_bits", FACT),
    ("market_epochs.skipped", FACT),
    ("market_found.accepted", FACT),
    ("market_found.found_at", FACT),
    ("market_rewards.block_time", FACT),
    ("market_rewards.seen_epoch", FACT),
    ("market_windows.height", FACT),
    ("market_windows.network_bits", FACT),
    ("market_contracts.ended_epoch", FACT),
    ("market_contracts.paid_at", FACT),
    ("market_contracts.quote", FACT),
    ("market_holds.plan_version", FACT),
    ("market_settlements.at", FACT),
    ("market_settlements.from_epoch", FACT),
    ("market_settlements.to_epoch", FACT),
    ("market_metered.is_low", FACT),
    ("market_metered.low_epochs", FACT),
    // Whoever has the published record finds them: `gruve verify`.
    ("market_epochs.allocation_root", PUBLIC),
    ("market_epochs.checkpoint", PUBLIC),
    // Where the log is read on: what is left out or counted twice is found with the next epoch.
    ("market_lanes.cursor_offset", NEXT),
    ("market_lanes.cursor_segment", NEXT),
    ("market_capacity.version", NEXT),
    // Found wherever work of a contract is in it; the first and the last of this lane's have none.
    ("market_lives.accrued_epoch", ELSEWHERE),
    ("market_lives.after_units", ELSEWHERE),
    ("market_lives.before_epoch", ELSEWHERE),
    ("market_lives.credited_epoch", ELSEWHERE),
    ("market_lives.first_epoch", ELSEWHERE),
    ("market_lives.first_units", ELSEWHERE),
    ("market_lives.reversed_at", ELSEWHERE),
    ("market_lives.reversed_epoch", ELSEWHERE),
    ("market_sums.entitled", ELSEWHERE),
    ("market_sums.epoch", ELSEWHERE),
    ("market_sums.house_units", ELSEWHERE),
    ("market_take_backs.beneficiary", ELSEWHERE),
    ("market_take_backs.block_hash", ELSEWHERE),
    ("market_take_backs.generation", ELSEWHERE),
    ("market_take_backs.kind", ELSEWHERE),
    ("market_take_backs.number", ELSEWHERE),
    ("market_holds.epoch", ELSEWHERE),
    ("market_holds.cap", ELSEWHERE),
    ("market_holds.delivered", ELSEWHERE),
    ("market_holds.price_hashrate", ELSEWHERE),
    ("market_holds.price_minor", ELSEWHERE),
    ("market_standings.fee_carry", ELSEWHERE),
    ("market_contracts.short_since", ELSEWHERE),
    // What was offered and told, not what was sold: that stands in signed terms.
    ("market_forecasts.body", TOLD),
    ("market_forecasts.made_at", TOLD),
    ("market_forecasts.quote", TOLD),
    ("market_notices.about", TOLD),
    ("market_notices.account", TOLD),
    ("market_notices.at", TOLD),
    ("market_notices.contract", TOLD),
    ("market_notices.letter", TOLD),
    ("market_plans.body", TOLD),
    ("market_plans.stored_at", TOLD),
    ("market_plans.version", TOLD),
    ("market_quotes.account", TOLD),
    ("market_quotes.created_at", TOLD),
    ("market_quotes.epoch_work", TOLD),
    ("market_quotes.expires_at", TOLD),
    ("market_quotes.hashrate", TOLD),
    ("market_quotes.id", TOLD),
    ("market_quotes.job_bits", TOLD),
    ("market_quotes.plan_version", TOLD),
    ("market_quotes.price_minor", TOLD),
    ("market_quotes.term_epochs", TOLD),
    ("market_quotes.used", TOLD),
    ("market_quotes.work", TOLD),
    // The height by which a block matures: the wallet's own rows are held against the node.
    ("market_rewards.height", CHAIN),
    ("market_rewards.window_epoch", CHAIN),
    // Without the facts of a pause there is no statement, and so there is none of a pause that is made up.
    ("market_contracts.paused_epochs", UNKEPT),
    // Of an order that nobody has paid.
    ("market_contracts.account", UNPAID),
];

const PAGE_KEY: &str = "a key that still leads to the page";
const FACT: &str = "a fact that is shown";
const PUBLIC: &str = "in the published record";
const NEXT: &str = "found with the next epoch";
const ELSEWHERE: &str = "found where a contract's work is in it";
const TOLD: &str = "what was offered or told";
const CHAIN: &str = "what the chain says";
const UNKEPT: &str = "what was not kept when it happened";
const UNPAID: &str = "nothing was paid";

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
    let found: Vec<_> = NOT_FOUND.iter().filter(|(n, _)| !missed.contains_key(*n)).collect();
    assert!(found.is_empty(), "these are found by now, and stand among what cannot be: {found:?}");
    assert!(tried > 300, "{tried}");
}

#[test]
fn a_contract_that_was_paid_and_taken_back_is_no_difference() {
    testing::on_sqlite(async |store| {
        let w = World::new(store).await;
        w.prove(10_000).await;
        let (me, market) = (someone(1), &w.market);
        let c = w.lease(me, 500, 3).await;
        transact!(w.store, tx -> Result<_> => { market.cancel(tx, me, c).await }).unwrap();
        w.epoch_at(10_000).await;
        let mut tx = w.store.read().await.unwrap();
        let audit = market.audit_contracts(&mut tx).await.unwrap();
        assert_eq!(audit.findings, Vec::<String>::new());
    });
}
