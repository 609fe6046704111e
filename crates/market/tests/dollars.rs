//! Upkeep in dollars is taken from running contracts, from many of them, and once.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_market::{ActKind, MarketConfig, PlanLife, PriceSourceConfig};
use gruve_store::{Store, laws};
use gruve_units::{AccountId, Asset, Clock, ContractId, EpochNumber, Hashrate};
use world::{MATURITY, World, lane, someone};

/// Millionths of a dollar for a coin: so cheap that an epoch of the test's little chain costs minor units.
const PRICE: i64 = 1_000;
const REWARD: i64 = 5_000_000_000;

fn in_dollars() -> MarketConfig {
    let mut config = world::config();
    let source = PriceSourceConfig {
        name: "desk".into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    };
    config.prices.sources = vec![source];
    config.prices.quorum = 1;
    config.prices.staleness_secs = 30;
    config.plans[0].life =
        PlanLife { maintenance_usd_micro_per_th_day: 1_000_000_000_000, ..PlanLife::default() };
    config
}

async fn priced_epoch(w: &World, rate: u64) {
    w.market.report_price("desk", Asset::Btc, w.clock.now(), PRICE).await.unwrap();
    w.epoch_at(rate).await;
}

/// What an epoch of this rate costs, in minor units and their 2^-64.
fn upkeep(rate: u128) -> u128 {
    let work = rate * u128::from(world::EPOCH_SECS);
    let micro = (work * (1_000_000_000_000 << 20)) / (1_000_000_000_000 * 86_400);
    (micro * 100_000_000 / u128::try_from(PRICE).unwrap()) >> 20
}

async fn taken(w: &World, who: AccountId, contract: ContractId) -> i64 {
    let lines = w.market.settlements(who, contract, 100).await.unwrap();
    lines.iter().map(|l| l.maintenance.minor + l.waived.minor).sum()
}

async fn a_running_contract_pays_its_upkeep_in_dollars(store: Store) {
    let w = World::with(store, in_dollars()).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    priced_epoch(&w, 1_000).await;
    priced_epoch(&w, 1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.height(100 + MATURITY).await;
    priced_epoch(&w, 1_000).await;
    // It runs on: what it owes stands in the pages of progress; with nothing more to settle, fees wait.
    priced_epoch(&w, 1_000).await;
    let owed = i64::try_from(upkeep(2_000)).unwrap();
    let paid = taken(&w, me, c).await;
    assert!(owed > 1_000 && (owed - 3..=owed).contains(&paid), "{paid} of {owed}");
    w.assert_all_sound().await;
}

async fn no_contract_is_settled_before_the_dues_of_all_have_a_price(store: Store) {
    let w = World::with(store, in_dollars()).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000).await;
    }
    let all: Vec<_> = (1..=7).map(someone).collect();
    let mut contracts = Vec::new();
    for who in &all {
        contracts.push(w.lease(*who, 100, 6).await);
    }
    priced_epoch(&w, 1_000).await;
    priced_epoch(&w, 1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, REWARD).await;
    w.height(100 + MATURITY).await;
    priced_epoch(&w, 1_000).await;
    priced_epoch(&w, 1_000).await;
    let owed = i64::try_from(upkeep(200)).unwrap();
    for (who, c) in all.iter().zip(&contracts) {
        let paid = taken(&w, *who, *c).await;
        assert!((owed - 4..=owed).contains(&paid), "{paid} of {owed}");
    }
    w.assert_all_sound().await;
}

/// A contract at its hard end waits for a choice while the house is away; the choice that lapses then stands at an epoch
/// that was never closed, which tells nobody that a settlement fell on it.
async fn a_statement_holds_over_a_gap_in_which_a_choice_lapses(store: Store) {
    let mut config = in_dollars();
    config.lanes[0].settle_every_epochs = 2;
    config.plans[0].life.choice_epochs = 4;
    let w = World::with(store, config).await;
    for _ in 0..4 {
        priced_epoch(&w, 2_000).await;
    }
    for n in 1..=8_u8 {
        let me = someone(n);
        w.lease(me, 1_000, 3).await;
        priced_epoch(&w, 1_000).await;
        let act = (w.now(), Some(EpochNumber(w.now().0 + 5)));
        w.market.record_act(&lane(), ActKind::Idle, Hashrate(1_000), act, "").await.unwrap();
        for _ in 0..5 {
            priced_epoch(&w, 500).await;
        }
        w.seal_after(u64::from(n) + 2);
        w.account().await;
        w.assert_statements_hold().await;
        for _ in 0..4 {
            priced_epoch(&w, 1_000).await;
        }
        w.assert_statements_hold().await;
    }
    w.assert_sound().await;
}

laws! { dollars: [
    a_statement_holds_over_a_gap_in_which_a_choice_lapses,
    a_running_contract_pays_its_upkeep_in_dollars,
    no_contract_is_settled_before_the_dues_of_all_have_a_price,
] }
