//! What owners of contracts are written of, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod prices;
mod world;

use gruve_market::metered::{self, MeteredState};
use gruve_market::{
    ChainBlock, Letter, MarketConfig, MarketError, NoticeKind, PlanConfig, PlanKind, PlanLife,
    Result, Told, Unprofitable,
};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Asset, Bps, ContractId, Hashes, Hashrate};
use prices::{REWARD, price, priced};
use world::{World, lane, someone};

/// A meter, and a lease that costs dollars and is paused where it does not pay.
fn config() -> MarketConfig {
    let mut config = priced();
    config.plans[0].life = PlanLife {
        unprofitable: Unprofitable::Pause,
        hysteresis_bps: Bps::new(500).unwrap(),
        notice_epochs: 2,
        maintenance_usd_micro_per_th_day: 1_000_000_000_000,
        energy_usd_micro_per_th_day: 0,
        choice_epochs: 144,
        minimum_payout_minor: 0,
    };
    config.plans.push(PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..world::plan()
    });
    config
}

async fn meter(w: &World, account: AccountId) -> ContractId {
    let market = &w.market;
    let started = transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, account, "meter", Hashrate(1_000), None).await
    });
    started.unwrap().contract
}

async fn take(w: &World, account: AccountId, lines_max: u32) -> Letter {
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.take_letter(tx, account, lines_max).await })
        .unwrap()
}

/// What the account is written of now, all of it.
async fn written(w: &World, account: AccountId) -> Vec<(ContractId, Told)> {
    let letter = take(w, account, 100).await;
    assert_eq!(letter.more, 0);
    letter.lines.into_iter().map(|line| (line.contract, line.told)).collect()
}

async fn to_write_to(w: &World) -> Vec<AccountId> {
    w.market.accounts_to_write_to(100).await.unwrap().into_iter().collect()
}

async fn a_meter_that_runs_dry_is_written_of_before_at_the_stop_and_when_it_goes_on(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    // An epoch costs 100: two are paid for, and a part of a third.
    w.fund(me, 230).await;
    let c = meter(&w, me).await;
    assert!(to_write_to(&w).await.is_empty());
    w.epoch_at(1_000).await;
    assert_eq!(to_write_to(&w).await, [me]);
    assert_eq!(written(&w, me).await, [(c, Told::Metered(metered::NoticeKind::Low))]);
    assert!(to_write_to(&w).await.is_empty() && written(&w, me).await.is_empty(), "told once");
    for _ in 0..3 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(w.market.metered(me, c).await.unwrap().state, MeteredState::Stopped);
    assert_eq!(written(&w, me).await, [(c, Told::Metered(metered::NoticeKind::Stopped))]);
    w.fund(me, 1_000).await;
    w.epoch_at(1_000).await;
    assert_eq!(written(&w, me).await, [(c, Told::Metered(metered::NoticeKind::Resumed))]);
    // That it ends is what its owner wants.
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.end_metered(tx, me, c).await }).unwrap();
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let over = w.market.metered(me, c).await.unwrap();
    assert_eq!(over.notices[0].kind, metered::NoticeKind::Ended);
    assert!(to_write_to(&w).await.is_empty());
    w.assert_sound().await;
}

/// One block of the chain that a TH·day's earnings are reckoned by.
async fn chain_pays(w: &World) {
    let block = ChainBlock {
        height: 1,
        hash: [1; 32],
        time: 1,
        bits: None,
        work: Hashes(1 << 60),
        names_uncles: false,
        subsidy: REWARD,
        fees: 0,
    };
    transact!(w.store, tx -> Result<()> => {
        w.market.chain_block(tx, &lane(), Asset::Btc, &block).await
    })
    .unwrap();
}

async fn a_pause_is_written_of_before_it_comes_when_it_does_and_when_it_ends(store: Store) {
    let w = World::with(store, config()).await;
    chain_pays(&w).await;
    let epoch = async |dollars: i64| {
        price(&w, dollars).await;
        w.epoch_at(1_000).await;
    };
    for _ in 0..4 {
        epoch(1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 1_000, 20).await;
    epoch(1_000_000).await;
    assert!(to_write_to(&w).await.is_empty());
    // What was recorded one settlement ago decides; then two epochs' notice.
    let mut told = Vec::new();
    for dollars in [1, 1, 1, 1, 1, 1_000_000, 1_000_000, 1_000_000] {
        epoch(dollars).await;
        let kinds = written(&w, me).await;
        assert!(kinds.iter().all(|(id, _)| *id == c), "{kinds:?}");
        told.push(kinds.into_iter().map(|(_, told)| told).collect::<Vec<_>>());
    }
    let lease = |kind| vec![Told::Lease(kind)];
    let nothing = Vec::new();
    let at = told.iter().position(|now| *now == lease(NoticeKind::PauseAhead)).unwrap();
    let paused = told.iter().position(|now| *now == lease(NoticeKind::Paused)).unwrap();
    assert!(at < paused, "before it comes: {told:?}");
    let resumed = told.iter().position(|now| *now == lease(NoticeKind::Resumed)).unwrap();
    assert!(paused < resumed, "{told:?}");
    assert_eq!(told.iter().filter(|now| **now != nothing).count(), 3, "each once: {told:?}");
    w.assert_sound().await;
}

async fn a_lease_that_comes_to_its_end_is_written_of(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 20).await;
    let mut all = Vec::new();
    for _ in 0..21 {
        w.epoch_at(1_000).await;
        all.extend(written(&w, me).await);
    }
    assert_eq!(all, [(c, Told::Lease(NoticeKind::EndNear))]);
}

async fn a_letter_has_so_many_lines_counts_the_rest_and_is_taken_with_what_writes_it(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(10_000).await;
    let (me, other) = (someone(1), someone(2));
    // A lease that is near its end in its first epoch.
    w.lease(me, 1_000, 3).await;
    w.epoch_at(10_000).await;
    // Three meters at 100 an epoch: what is left after the next holds is low for each of them.
    w.fund(me, 610).await;
    w.fund(other, 230).await;
    for _ in 0..3 {
        meter(&w, me).await;
    }
    let his = meter(&w, other).await;
    w.epoch_at(10_000).await;
    assert_eq!(to_write_to(&w).await, [me, other]);
    assert_eq!(w.market.accounts_to_write_to(1).await.unwrap().len(), 1, "as many as asked for");
    // Whoever cannot write it leaves it where it is.
    let market = &w.market;
    let failed = transact!(w.store, tx -> Result<()> => {
        assert_eq!(market.take_letter(tx, me, 20).await?.lines.len(), 4);
        Err(MarketError::BadPrice("no letter"))
    });
    assert!(failed.is_err());
    let letter = take(&w, me, 2).await;
    assert_eq!((letter.lines.len(), letter.more), (2, 2), "of whatever kinds");
    assert_eq!(take(&w, me, 2).await, Letter::default(), "with the rest of it");
    assert_eq!(written(&w, other).await, [(his, Told::Metered(metered::NoticeKind::Low))]);
}

laws! { letters: [
    a_meter_that_runs_dry_is_written_of_before_at_the_stop_and_when_it_goes_on,
    a_pause_is_written_of_before_it_comes_when_it_does_and_when_it_ends,
    a_lease_that_comes_to_its_end_is_written_of,
    a_letter_has_so_many_lines_counts_the_rest_and_is_taken_with_what_writes_it,
] }
