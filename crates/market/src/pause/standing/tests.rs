use super::*;
use crate::rules::Unprofitable;
use crate::world::{EPOCH_SECS, World, config, lane, someone};
use crate::{ChainBlock, PaymentDispute, PriceSourceConfig};
use gruve_store::{Store, laws, transact};
use gruve_units::{Asset, Clock as _};

/// Dollars for a coin, at a time at which a contract costs some.
async fn price(w: &World, dollars: i64) {
    let now = w.clock.now();
    w.market.report_price("desk", Asset::Btc, now, dollars * 1_000_000).await.unwrap();
}

/// A house whose plan pauses, and how a price of a dollar makes it.
async fn house(store: Store) -> World {
    let mut config = config();
    config.prices.quorum = 1;
    config.prices.staleness_secs = 30;
    config.prices.sources = vec![PriceSourceConfig {
        name: "desk".into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    }];
    config.plans[0].life.unprofitable = Unprofitable::Pause;
    config.plans[0].life.notice_epochs = 1;
    config.plans[0].life.maintenance_usd_micro_per_th_day = 1_000_000_000_000;
    let w = World::with(store, config).await;
    let block = ChainBlock {
        height: 1,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(1 << 60),
        names_uncles: false,
        subsidy: 5_000_000_000,
        fees: 0,
    };
    let market = &w.market;
    transact!(w.store, tx -> Result<()> => {
        market.chain_block(tx, &lane(), Asset::Btc, &block).await
    })
    .unwrap();
    w
}

async fn priced_epoch(w: &World, rate: u64) -> EpochNumber {
    price(w, 1).await;
    w.epoch_at(rate).await
}

/// Some pages of paused contracts, of which every third is kept running and one frozen: none is forgotten, and none counts twice.
async fn everyone_who_is_paused_counts_once_whatever_page_he_stands_on(store: Store) {
    let w = house(store).await;
    w.prove(100_000).await;
    let customers = 2 * u8::try_from(ROWS).unwrap() + 1;
    let mut all = Vec::new();
    for n in 1..=customers {
        all.push((someone(n), w.lease(someone(n), 10_000, 20).await));
    }
    // Decided at the end of the second, told of for one more.
    for _ in 0..2 {
        priced_epoch(&w, 100_000).await;
    }
    all.sort_by_key(|(_, id)| *id);
    // He is among those who will want to run.
    let (frozen, others) = (all[3], [&all[..3], &all[4..]].concat());
    let (market, id) = (&w.market, frozen.1);
    transact!(w.store, tx -> Result<_> => {
        market.payment_disputed(tx, id, "dp_1", PaymentDispute::Open).await
    })
    .unwrap();
    priced_epoch(&w, 100_000).await;
    for (who, c) in &all {
        assert_eq!(w.view(*who, *c).await.life.paused_since, Some(w.now()));
    }
    priced_epoch(&w, 100_000).await;
    // All stand still now. Some say that they want to run.
    let keeps = |n: usize| n.is_multiple_of(3);
    for (n, (who, c)) in all.iter().enumerate() {
        if keeps(n) {
            market.keep_running(*who, *c, true).await.unwrap();
        }
    }
    let before = w.market.owed(others[0].0, others[0].1, 10).await.unwrap().len();
    let epoch = priced_epoch(&w, 35_000).await;
    // What the house did, shared by all but the frozen one, whose rates are the same.
    let part = 35_000 * u128::from(EPOCH_SECS) / others.len() as u128;
    for (n, (who, c)) in all.iter().enumerate() {
        let owed = w.market.owed(*who, *c, 10).await.unwrap();
        let view = w.view(*who, *c).await;
        assert_eq!(view.life.paused_since.is_none(), keeps(n), "{n}");
        assert_eq!(view.delivered.0, view.bought.0 / 10, "two epochs of {n}");
        if *c == frozen.1 {
            assert_eq!(owed, []);
            continue;
        }
        assert_eq!(owed.len(), before + 1);
        assert_eq!((owed[0].epoch, owed[0].hashes), (epoch, Hashes(part)), "{n}");
        let told = w.market.notices(*who, Some(*c), 20).await.unwrap();
        let of = |kind| told.iter().filter(|t| t.kind == kind).count();
        assert_eq!((of(NoticeKind::Paused), of(NoticeKind::Resumed)), (1, usize::from(keeps(n))));
    }
    // Whoever runs gets work again, and the decisions of the next settlement are about everybody.
    priced_epoch(&w, 100_000).await;
    for (n, (who, c)) in all.iter().enumerate() {
        let view = w.view(*who, *c).await;
        let runs = keeps(n) && *c != frozen.1;
        assert_eq!(view.delivered > Hashes(view.bought.0 / 10), runs, "{n}");
        let decisions = market.pause_decisions(*c, 1).await.unwrap();
        let decided = decisions[0].decision.as_str();
        assert_eq!(decided, if keeps(n) { "override" } else { "pause" }, "{n}");
    }
    w.assert_all_sound().await;
}

laws! { paused: [everyone_who_is_paused_counts_once_whatever_page_he_stands_on] }
