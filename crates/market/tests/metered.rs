//! Metered contracts, alone and beside leases under every scheme, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::Account;
use gruve_market::metered::{MeteredState, NoticeKind, Period, Started};
use gruve_market::{
    ChainBlock, FppsAsset, FppsConfig, HeldPlan, MarketConfig, MarketError, PlanConfig, PlanKind,
    ReserveFrom, Result, Scheme,
};
use gruve_sharelog::Owner;
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Asset, Bps, ContractId, Hashes, Hashrate, Timestamp};
use world::{BITS, FIRST, World, btc, lane, someone};

const EPOCH: u128 = world::EPOCH_SECS as u128;
/// An epoch of 1,000 H/s costs this, exactly: 86,400 for 100 H/s and a day.
const COST: i64 = 100;

fn plan() -> PlanConfig {
    PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        ..world::plan()
    }
}

fn config() -> MarketConfig {
    MarketConfig { plans: vec![world::plan(), plan()], ..world::config() }
}

async fn start(w: &World, account: AccountId, rate: u128) -> Result<Started> {
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, account, "meter", Hashrate(rate), None).await
    })
}

async fn end(w: &World, account: AccountId, id: ContractId) -> MeteredState {
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.end_metered(tx, account, id).await }).unwrap()
}

async fn has(w: &World, account: AccountId) -> (i64, i64) {
    let available = w.holds(&Account::CustomerAvailable(account)).await;
    (available, w.holds(&Account::CustomerHeld(account)).await)
}

async fn sold(w: &World) -> u128 {
    w.market.lane_stats().await.unwrap()[0].sold.0
}

async fn work_is_held_for_charged_and_released(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    let low = start(&w, me, 1_000).await;
    assert!(matches!(low, Err(MarketError::BalanceTooLow { .. })));
    assert_eq!((sold(&w).await, w.market.metered_contracts(me).await.unwrap().len()), (0, 0));
    w.fund(me, 1_000).await;
    let started = start(&w, me, 1_000).await.unwrap();
    assert_eq!((started.first_epoch, started.held), (w.now().next(), btc(COST)));
    assert_eq!((has(&w, me).await, sold(&w).await), ((900, 100), 1_000));
    // The epoch it was started in is not its own.
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.delivered, view.charged, view.held), (Hashes::ZERO, btc(0), btc(200)));
    // Half the work: half the price, and the rest comes back.
    w.epoch_at(500).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes(500 * EPOCH), btc(50)));
    assert_eq!(has(&w, me).await, (1_000 - 50 - 200, 200));
    assert_eq!(view.state, MeteredState::Active);
    w.assert_all_sound().await;
    // More than its rate is never given.
    w.epoch_at(5_000).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes(1_500 * EPOCH), btc(150)));
    // Ended: what is held for the epoch to come is back at once, the running one is the last.
    assert_eq!(end(&w, me, started.contract).await, MeteredState::Ending);
    assert_eq!((has(&w, me).await, sold(&w).await), ((750, 100), 1_000));
    assert_eq!(end(&w, me, started.contract).await, MeteredState::Ending);
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.state, view.charged, view.held), (MeteredState::Ended, btc(250), btc(0)));
    assert_eq!((has(&w, me).await, sold(&w).await), ((750, 0), 0));
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, started.contract).await.unwrap().charged, btc(250));
    assert_eq!(w.holds(&Account::OperatorRevenue).await, 250);
    w.assert_all_sound().await;
}

async fn no_more_work_is_given_than_is_held_for_and_none_without(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 230).await;
    let c = start(&w, me, 1_000).await.unwrap().contract;
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, c).await.unwrap();
    assert!(view.is_low && view.notices[0].kind == NoticeKind::Low);
    w.epoch_at(1_000).await; // 100 of 230; 30 are left to hold
    assert_eq!(has(&w, me).await, (0, 130));
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().charged, btc(200));
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, c).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes(2_300 * EPOCH), btc(230)));
    assert_eq!((view.state, view.notices[0].kind), (MeteredState::Stopped, NoticeKind::Stopped));
    assert_eq!((has(&w, me).await, sold(&w).await), ((0, 0), 0));
    w.epoch_at(1_000).await;
    w.assert_sound().await;
    // Topped up: it goes on at a border, not in the running epoch.
    w.fund(me, 1_000).await;
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, c).await.unwrap();
    assert_eq!((view.state, view.notices[0].kind), (MeteredState::Active, NoticeKind::Resumed));
    assert_eq!((view.delivered, sold(&w).await), (Hashes(2_300 * EPOCH), 1_000));
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().delivered, Hashes(2_300 * EPOCH));
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().delivered, Hashes(3_300 * EPOCH));
    w.assert_all_sound().await;
}

async fn a_stopped_contract_waits_while_its_rate_is_sold_to_others(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 100).await;
    let c = start(&w, me, 1_000).await.unwrap().contract;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().state, MeteredState::Stopped);
    w.lease(someone(2), 500, 20).await;
    w.fund(me, 1_000).await;
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().state, MeteredState::Stopped);
    assert_eq!(end(&w, me, c).await, MeteredState::Ended);
    assert_eq!((has(&w, me).await, sold(&w).await), ((1_000, 0), 500));
    w.assert_all_sound().await;
}

async fn an_epochs_price_is_that_of_its_hold(store: Store) {
    let w = World::with(store.clone(), config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 10_000).await;
    let c = start(&w, me, 1_000).await.unwrap().contract;
    w.epoch_at(1_000).await;
    // Twice the price from now on: what is held already stays at the old one.
    let dearer = PlanConfig { price_minor: 172_800, ..plan() };
    let again = World::with_log_of(&w, MarketConfig { plans: vec![dearer], ..config() }).await;
    again.epoch_at(1_000).await;
    assert_eq!(again.market.metered(me, c).await.unwrap().charged, btc(100));
    again.epoch_at(1_000).await;
    assert_eq!(again.market.metered(me, c).await.unwrap().charged, btc(200));
    again.epoch_at(1_000).await;
    assert_eq!(again.market.metered(me, c).await.unwrap().charged, btc(400));
    let all = (Timestamp(0), Timestamp(i64::MAX));
    let day = again.market.metered_usage(me, c, all, Period::Day).await.unwrap();
    let (charged, work) =
        day.iter().fold((0, 0), |(c, w), l| (c + l.charged.minor, w + l.delivered.0));
    assert_eq!((charged, work), (400, 3_000 * EPOCH));
    assert_eq!((day[0].price_minor.1, day.last().unwrap().price_minor.0), (172_800, 86_400));
    let epochs = again.market.metered_usage(me, c, all, Period::Epoch).await.unwrap();
    assert!(epochs.len() >= 3 && epochs.iter().all(|l| l.epochs.0 == l.epochs.1));
    again.assert_all_sound().await;
}

async fn a_usage_statement_has_all_that_was_earned_also_after_the_end(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 1_000).await;
    let c = start(&w, me, 1_000).await.unwrap().contract;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, 5_000_000).await;
    end(&w, me, c).await;
    for _ in 0..3 {
        w.epoch_at(1_000).await;
    }
    assert_eq!(w.market.metered(me, c).await.unwrap().state, MeteredState::Ended);
    // Days later it matures.
    w.seal_after(3 * 8_640);
    w.account().await;
    w.height(100 + world::MATURITY).await;
    w.epoch_at(1_000).await;
    let credited = w.holds(&Account::CustomerAvailable(me)).await - 1_000
        + w.market.metered(me, c).await.unwrap().charged.minor;
    assert!(credited > 0);
    for period in [Period::Epoch, Period::Hour, Period::Day] {
        let all = (Timestamp(0), Timestamp(i64::MAX));
        let lines = w.market.metered_usage(me, c, all, period).await.unwrap();
        let net: i64 = lines.iter().flat_map(|l| l.earnings.values()).map(|s| s.net_minor).sum();
        assert_eq!(net, credited, "{period:?}");
        // Nothing was used in the period in which it was settled.
        assert_eq!((lines[0].closed, lines[0].delivered), (0, Hashes::ZERO));
        let before = (Timestamp(0), lines[0].from);
        let lines = w.market.metered_usage(me, c, before, period).await.unwrap();
        assert!(lines.iter().all(|l| l.earnings.is_empty()));
    }
    w.assert_all_sound().await;
}

async fn the_same_request_starts_one_contract_and_nobody_else_sees_it(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 1_000).await;
    let market = &w.market;
    let ask = async |rate: u128| {
        transact!(w.store, tx -> Result<_> => {
            market.start_metered(tx, me, "meter", Hashrate(rate), Some("k")).await
        })
    };
    let first = ask(100).await.unwrap();
    assert_eq!(ask(100).await.unwrap(), first);
    assert!(matches!(ask(200).await, Err(MarketError::KeyReused)));
    assert_eq!((has(&w, me).await, sold(&w).await), ((990, 10), 100));
    let other = w.market.metered(someone(2), first.contract).await;
    assert!(matches!(other, Err(MarketError::UnknownContract)));
    let refused = transact!(w.store, tx -> Result<_> => {
        market.end_metered(tx, someone(2), first.contract).await
    });
    assert!(matches!(refused, Err(MarketError::UnknownContract)));
    assert!(matches!(start(&w, me, 50).await, Err(MarketError::HashrateNotOffered { .. })));
    assert!(matches!(start(&w, me, 1_000).await, Err(MarketError::SoldOut { .. })));
    let lease = transact!(w.store, tx -> Result<_> => {
        market.start_metered(tx, me, "lease", Hashrate(100), None).await
    });
    assert!(matches!(lease, Err(MarketError::UnknownPlan)));
    let quote = w.market.quote(me, "meter", Hashrate(100), 3).await;
    assert!(matches!(quote, Err(MarketError::TermNotOffered)));
    w.assert_all_sound().await;
}

async fn what_no_meter_sells_is_refused_and_holds_nothing(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 1_000_000).await;
    for rate in [0, 1, 99, 101, 1 << 100, u128::MAX] {
        let e = start(&w, me, rate).await.unwrap_err();
        assert!(matches!(e, MarketError::HashrateNotOffered { .. }), "{rate}: {e}");
    }
    assert!(matches!(start(&w, me, 1_000_000).await, Err(MarketError::SoldOut { .. })));
    assert_eq!((has(&w, me).await, sold(&w).await), ((1_000_000, 0), 0));
    assert!(w.market.metered_contracts(me).await.unwrap().is_empty());
    // A clock that goes back starts nothing in an epoch that is closed.
    let closed = w.market.lane_stats().await.unwrap()[0].last_closed.unwrap();
    w.clock.set(world::start_of(closed.0 - 2));
    let started = start(&w, me, 1_000).await.unwrap();
    assert!(started.first_epoch > closed.next(), "the running epoch has begun");
    w.clock.set(world::start_of(w.now().0));
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes::ZERO, btc(0)));
    w.epoch_at(1_000).await;
    let view = w.market.metered(me, started.contract).await.unwrap();
    assert_eq!((view.delivered, view.charged), (Hashes(1_000 * EPOCH), btc(COST)));
    w.assert_all_sound().await;
}

async fn the_fraction_of_one_minor_unit_is_nobodys_gain(store: Store) {
    let mut config = config();
    config.plans[1].price_minor = 3_000;
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 3).await;
    // 0.35 minor units an epoch, held for as a whole one.
    let started = start(&w, me, 100).await.unwrap();
    assert_eq!((started.held, has(&w, me).await), (btc(1), (2, 1)));
    let charged = async || w.market.metered(me, started.contract).await.unwrap().charged.minor;
    w.epoch_at(1_000).await;
    for minor in [0, 0, 1, 1] {
        w.epoch_at(1_000).await;
        assert_eq!(charged().await, minor);
    }
    end(&w, me, started.contract).await;
    w.epoch_at(1_000).await;
    // Five epochs, 1.74: what was not whole at the end is not charged.
    assert_eq!((charged().await, has(&w, me).await), (1, (2, 0)));
    assert_eq!(w.holds(&Account::OperatorRevenue).await, 1);
    w.assert_all_sound().await;
}

async fn after_downtime_nothing_is_charged_that_was_not_held_for(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let me = someone(1);
    w.fund(me, 1_000).await;
    let c = start(&w, me, 1_000).await.unwrap().contract;
    w.epoch_at(1_000).await;
    w.house_rate(1_000);
    // The house is away for a while; then one epoch with work but without a hold.
    w.seal_after(30);
    w.account().await;
    let view = w.market.metered(me, c).await.unwrap();
    assert_eq!((view.charged, view.delivered), (btc(100), Hashes(1_000 * EPOCH)));
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().charged, btc(100), "no hold, no hashes");
    w.epoch_at(1_000).await;
    assert_eq!(w.market.metered(me, c).await.unwrap().charged, btc(200));
    w.assert_all_sound().await;
}

/// Hours and days are those of UTC, in which none is missing or there twice.
async fn usage_by_the_hour_is_whole_when_the_clocks_are_changed(store: Store) {
    let w = World::with(store, config()).await;
    let rule = w.market.lane(&lane()).unwrap().epoch_rule;
    let me = someone(1);
    w.fund(me, 10_000).await;
    // 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC, the changes in Europe.
    for change in [1_774_746_000, 1_792_890_000] {
        let at = Timestamp::from_secs(change);
        w.seal_after(rule.at(at).0 - 7 - w.now().0);
        w.account().await;
        w.prove(1_000).await;
        let c = start(&w, me, 1_000).await.unwrap().contract;
        for _ in 0..5 {
            w.epoch_at(1_000).await;
        }
        assert_eq!(end(&w, me, c).await, MeteredState::Ending);
        w.epoch_at(1_000).await;
        let all = (Timestamp(0), Timestamp(i64::MAX));
        let hours = w.market.metered_usage(me, c, all, Period::Hour).await.unwrap();
        let of: Vec<_> = hours.iter().map(|l| (l.from, l.charged)).collect();
        let before = Timestamp::from_secs(change - 3_600);
        assert_eq!(of, [(at, btc(3 * COST)), (before, btc(2 * COST))]);
        let days = w.market.metered_usage(me, c, all, Period::Day).await.unwrap();
        let of: Vec<_> = days.iter().map(|l| (l.from, l.charged)).collect();
        assert_eq!(of, [(before, btc(5 * COST))], "one day");
    }
    w.assert_all_sound().await;
}

/// All kinds and schemes side by side.
fn mixed() -> MarketConfig {
    let assets = vec![FppsAsset {
        asset: Asset::Btc,
        fee_window_blocks: 5,
        fee_cap_minor: 1_000,
        depth_blocks: 1,
    }];
    let fpps = Some(FppsConfig { ruin_ppm: 100_000, assets });
    let fee = Bps::new(1_000).unwrap();
    let with = |p: PlanConfig, id: &str, scheme| PlanConfig { id: id.into(), scheme, ..p };
    let fpps_of = |p: PlanConfig, id: &str| PlanConfig {
        fpps: fpps.clone(),
        fee_bps: fee,
        ..with(p, id, Scheme::Fpps)
    };
    let mut config = config();
    config.lanes[0].settle_every_epochs = 2;
    for p in &mut config.plans {
        p.maintenance_minor_per_th_day = 50_000_000_000_000;
    }
    let plans = [
        fpps_of(config.plans[0].clone(), "lease-fpps"),
        with(config.plans[0].clone(), "lease-solo", Scheme::Solo),
        fpps_of(config.plans[1].clone(), "meter-fpps"),
        with(config.plans[1].clone(), "meter-solo", Scheme::Solo),
    ];
    config.plans.extend(plans);
    config
}

async fn everything_side_by_side_adds_up(store: Store) {
    let w = World::with(store, mixed()).await;
    let market = &w.market;
    let chain = async |height: u64| {
        let block = ChainBlock {
            height,
            hash: [u8::try_from(height % 251).unwrap(); 32],
            time: height,
            bits: Some(BITS),
            work: Hashes(1 << 20),
            names_uncles: false,
            subsidy: 1_000_000,
            fees: i64::try_from(height % 7).unwrap() * 400,
        };
        transact!(w.store, tx -> Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &block).await
        })
        .unwrap();
    };
    for height in FIRST - 9..FIRST {
        chain(height).await;
    }
    let earned = gruve_ledger::Entry::transfer(
        "earned",
        "test",
        w.clock_now(),
        Account::ChainHot,
        Account::OperatorRevenue,
        btc(50_000_000),
    );
    transact!(w.store, tx => { gruve_ledger::post(tx, &earned).await }).unwrap();
    transact!(w.store, tx -> Result<_> => {
        market.fpps_capital(tx, "first", btc(50_000_000), ReserveFrom::Revenue).await
    })
    .unwrap();
    w.prove(50_000).await;
    let (mut leases, mut meters) = (Vec::new(), Vec::new());
    for (n, plan) in ["lease", "lease-fpps", "lease-solo"].into_iter().enumerate() {
        let account = someone(u8::try_from(n).unwrap() + 1);
        let quote = w.market.quote(account, plan, Hashrate(5_000), 20).await.unwrap();
        let bought =
            transact!(w.store, tx -> Result<_> => { market.buy(tx, account, quote.id).await });
        let bought = bought.unwrap();
        w.fund(account, bought.due.minor).await;
        w.pay(bought.contract).await;
        leases.push((account, bought.contract));
    }
    for (n, plan) in ["meter", "meter-fpps", "meter-solo"].into_iter().enumerate() {
        let account = someone(u8::try_from(n).unwrap() + 11);
        w.fund(account, 2_500).await;
        let started = transact!(w.store, tx -> Result<_> => {
            market.start_metered(tx, account, plan, Hashrate(5_000), None).await
        });
        meters.push((account, started.unwrap().contract));
    }
    let mut height = 100;
    for round in 0..14u64 {
        chain(FIRST + round).await;
        w.work(Owner::Account(someone(30)), 14, 3);
        // Now and then too little for everybody.
        let rate = if round % 3 == 0 { 12_345 } else { 50_000 };
        if round % 2 == 1 {
            let hash = w.find_block(height);
            w.see(hash, height, 1_000_000 + i64::try_from(round).unwrap()).await;
            if round % 4 == 3 {
                w.height(height + 10).await;
            }
            w.epoch_at(rate).await;
            if round == 9 {
                w.orphan(hash).await;
            }
            height += 1;
        } else {
            w.epoch_at(rate).await;
        }
        w.assert_sound().await;
        let epochs = w.market.epochs(&lane(), 1).await.unwrap();
        assert_eq!(epochs[0].allocated.0 + epochs[0].surplus.0, epochs[0].house_work.0);
    }
    w.assert_all_sound().await;
    // Each earned as its scheme says; the metered ones were charged for exactly what they got.
    for (account, id) in &meters {
        let view = w.market.metered(*account, *id).await.unwrap();
        let exact = view.delivered.0 * 86_400 / (100 * 86_400);
        let exact = i64::try_from(exact).unwrap();
        // Fractions of 2^-64 are rounded down in each epoch.
        assert!((exact - 1..=exact).contains(&view.charged.minor), "{view:?}");
        assert!(view.delivered.0 > 5_000 * EPOCH, "{view:?}");
    }
    let fpps = w.market.metered(meters[1].0, meters[1].1).await.unwrap();
    assert!(fpps.earnings[0].settled.minor > 100_000, "{fpps:?}");
    assert!(w.view(leases[1].0, leases[1].1).await.settled.minor > 100_000);
    assert!(w.view(leases[0].0, leases[0].1).await.earned.split().unwrap().0 > 0);
    let pplns = w.market.metered(meters[0].0, meters[0].1).await.unwrap();
    assert!(pplns.earnings[0].earned.split().unwrap().0 > 0, "{pplns:?}");
}

async fn the_track_record_counts_what_was_held_for_and_what_was_worked(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(1_000).await;
    let (me, you) = (someone(1), someone(2));
    w.fund(me, 10_000).await;
    w.fund(you, 10_000).await;
    let c = start(&w, me, 600).await.unwrap().contract;
    start(&w, you, 400).await.unwrap();
    w.epoch_at(1_000).await;
    // Half of what was held for, then nothing, then all.
    for rate in [500, 0, 1_000] {
        w.epoch_at(rate).await;
    }
    end(&w, me, c).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let t = w.market.metered_track("meter", &lane()).await.unwrap();
    assert_eq!((t.started, t.running, t.stopped, t.ended), (2, 1, 0, 1));
    let (mine, yours) = (EPOCH * 600, EPOCH * 400);
    // Of me four epochs, of you five: what is held for the next is open.
    assert_eq!((t.epochs, t.epochs_worked), (9, 7));
    assert_eq!(t.sold, Hashes(4 * mine + 5 * yours));
    assert_eq!(t.delivered, Hashes(EPOCH * 500 + 2 * mine + 3 * yours));
    assert_eq!(t.charged.len(), 1);
    assert_eq!(w.market.metered_track("nothing", &lane()).await.unwrap().started, 0);
    assert_eq!(w.market.metered_lane("meter").await.unwrap(), Some(lane()));
    assert_eq!(w.market.metered_lane("nothing").await.unwrap(), None);
    // On a lane that is not configured any more whoever got work may speak of the plan, and nobody else.
    w.fund(someone(3), 10_000).await;
    let unworked = start(&w, someone(3), 100).await.unwrap().contract;
    let gone = MarketConfig { lanes: Vec::new(), plans: Vec::new(), ..config() };
    let later = World::with_log_of(&w, gone).await;
    let plan = later.market.held_plan(me, c).await.unwrap();
    assert_eq!(plan, Some(HeldPlan { plan: "meter".into(), is_metered: true }));
    assert_eq!(later.market.held_plan(someone(3), unworked).await.unwrap(), None);
    assert_eq!(later.market.metered_lane("meter").await.unwrap(), None);
}

laws! {
    metered: [
        the_track_record_counts_what_was_held_for_and_what_was_worked,
        work_is_held_for_charged_and_released,
        no_more_work_is_given_than_is_held_for_and_none_without,
        a_stopped_contract_waits_while_its_rate_is_sold_to_others,
        an_epochs_price_is_that_of_its_hold,
        a_usage_statement_has_all_that_was_earned_also_after_the_end,
        the_same_request_starts_one_contract_and_nobody_else_sees_it,
        what_no_meter_sells_is_refused_and_holds_nothing,
        the_fraction_of_one_minor_unit_is_nobodys_gain,
        usage_by_the_hour_is_whole_when_the_clocks_are_changed,
        after_downtime_nothing_is_charged_that_was_not_held_for,
        everything_side_by_side_adds_up,
    ]
}
