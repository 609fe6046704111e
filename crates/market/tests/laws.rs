//! What the market promises, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::Account;
use gruve_market::{
    BULK_MIGRATIONS, BlockState, CHAIN_MIGRATIONS, ChainBlock, ContractState, KEPT_BLOCKS,
    METERED_MIGRATIONS, MIGRATIONS, Market, MarketError, PAGE_MIGRATIONS, Paid, PlanConfig,
};
use gruve_sharelog::Owner;
use gruve_store::{Store, laws, matches_on_both_engines, transact};
use gruve_units::{Accrual, Asset, Blame, Blamed, EpochNumber, Hashes, Hashrate, SeededEntropy};
use std::sync::Arc;
use world::{World, btc, lane, plan, refused, someone};

/// An epoch's work at a rate of one hash per second.
const EPOCH: u128 = world::EPOCH_SECS as u128;

#[test]
fn the_tables_are_the_same_on_both_engines() {
    let own = CHAIN_MIGRATIONS.iter().chain(PAGE_MIGRATIONS).chain(METERED_MIGRATIONS);
    let own = own.chain(BULK_MIGRATIONS);
    for m in MIGRATIONS.iter().chain(own) {
        matches_on_both_engines(m).unwrap();
    }
}

async fn racing_buyers_never_oversell(store: Store) {
    let w = Arc::new(World::new(store).await);
    w.prove(1_450).await;
    let mut quotes = Vec::new();
    for n in 0..50u8 {
        let account = someone(n);
        let quote = w.market.quote(account, "lease", Hashrate(100), 3).await.unwrap();
        quotes.push((account, quote.id));
    }
    let buyers: Vec<_> = quotes
        .into_iter()
        .map(|(account, quote)| {
            let w = w.clone();
            tokio::spawn(async move {
                let market = w.market.clone();
                transact!(w.store, tx -> gruve_market::Result<_> => {
                    market.buy(tx, account, quote).await
                })
            })
        })
        .collect();
    let mut sold = 0;
    for buyer in buyers {
        match buyer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(MarketError::SoldOut { available }) => assert_eq!(available, Hashrate(50)),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(sold, 14);
    let stats = w.market.lane_stats().await.unwrap();
    assert_eq!((stats[0].sold, stats[0].available), (Hashrate(1_400), Hashrate(50)));
    w.assert_sound().await;
}

async fn a_lease_is_bought_paid_delivered_and_completed(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.buy(me, 500, 3).await.unwrap();
    assert_eq!(w.state(me, c).await, ContractState::AwaitingPayment);
    let price = w.view(me, c).await.price;
    assert_eq!(price, btc(86_400 * 5 * 30 / 86_400));
    w.fund(me, price.minor + 7).await;
    let first = w.now().next();
    assert_eq!(w.pay(c).await, Paid::Starts(first));
    assert_eq!(w.pay(c).await, Paid::Already);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 7);
    assert_eq!(w.holds(&Account::PrepaidWork(c)).await, price.minor);

    w.epoch_at(1_000).await;
    assert_eq!(w.state(me, c).await, ContractState::Starting);
    assert_eq!(w.view(me, c).await.delivered, Hashes::ZERO);
    for n in 1..=3u64 {
        w.epoch_at(1_000).await;
        let view = w.view(me, c).await;
        assert_eq!(view.delivered, Hashes(500 * EPOCH * u128::from(n)));
        assert_eq!((view.shortfall, view.epochs.len() as u64), (Hashes::ZERO, n));
        let earned = price.minor * i64::try_from(n).unwrap() / 3;
        assert_eq!(w.holds(&Account::PrepaidWork(c)).await, price.minor - earned);
    }
    let view = w.view(me, c).await;
    assert_eq!(view.state, ContractState::Completed);
    assert_eq!(view.terms_hash, sha(&w.market.terms(me, c).await.unwrap()));
    assert_eq!(w.market.lane_stats().await.unwrap()[0].sold, Hashrate::ZERO);
    w.epoch_at(1_000).await;
    assert_eq!(w.view(me, c).await.epochs.len(), 3);
    w.assert_all_sound().await;
}

fn sha(bytes: &[u8]) -> [u8; 32] {
    gruve_market::terms::hash(bytes)
}

async fn missed_work_is_delivered_later_and_from_surplus_first(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.epoch_at(400).await; // 600 short
    assert_eq!(w.view(me, c).await.shortfall, Hashes(600 * EPOCH));
    w.epoch_at(2_000).await; // at most half as much again
    let view = w.view(me, c).await;
    assert_eq!(view.epochs[0].made_good, Hashes(500 * EPOCH));
    assert_eq!(view.shortfall, Hashes(100 * EPOCH));
    w.epoch_at(1_000).await;
    assert_eq!(w.state(me, c).await, ContractState::Active);
    w.epoch_at(1_000).await; // the first epoch of its extension: 100 are left
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.delivered), (ContractState::Completed, view.bought));
    assert_eq!(view.epochs[0].delivered, Hashes(100 * EPOCH));
    w.assert_all_sound().await;
}

async fn what_is_not_delivered_by_the_hard_end_is_refunded(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    for _ in 0..6 {
        assert!(matches!(w.state(me, c).await, ContractState::Starting | ContractState::Active));
        w.epoch_at(100).await;
    }
    let view = w.view(me, c).await;
    assert_eq!((view.state, view.delivered), (ContractState::Refunded, Hashes(600 * EPOCH)));
    // 300 for 3,000 hashrate·epochs, a fifth delivered.
    assert_eq!((view.price, view.refunded), (btc(300), btc(240)));
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 240);
    assert_eq!(w.holds(&Account::PrepaidWork(c)).await, 0);
    assert_eq!(w.market.lane_stats().await.unwrap()[0].sold, Hashrate::ZERO);
    w.assert_all_sound().await;
}

async fn an_unpaid_contract_gives_its_capacity_back(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.buy(me, 1_000, 3).await.unwrap();
    let other = refused(w.buy(someone(2), 100, 3).await);
    assert!(matches!(other, MarketError::SoldOut { .. }) && other.blame() == Blame::Rejected);
    for _ in 0..2 {
        transact!(w.store, tx -> gruve_market::Result<_> => { w.market.invoice_expired(tx, c).await })
            .unwrap();
    }
    assert_eq!(w.state(me, c).await, ContractState::Expired);
    w.fund(me, 1_000).await;
    assert_eq!(w.pay(c).await, Paid::LeftInBalance);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 1_000);
    w.buy(someone(2), 1_000, 3).await.unwrap();
    w.assert_sound().await;
}

async fn throw_away_accounts_hold_a_part_of_what_is_free_and_known_customers_buy_the_rest(
    store: Store,
) {
    let unpaid_new_bps = gruve_market::UNPAID_NEW_BPS;
    let config = gruve_market::MarketConfig { unpaid_new_bps, ..crate::world::config() };
    let w = World::with(store, config).await;
    w.prove(10_000).await;
    // A customer who has paid before, with a contract of 2,000: 8,000 are free.
    let known = someone(1);
    w.lease(known, 2_000, 3).await;
    let mut held = Vec::new();
    let refused_now = loop {
        let next = someone(u8::try_from(held.len()).unwrap() + 10);
        match w.buy(next, 500, 3).await {
            Ok(c) => held.push(c),
            Err(e) => break e,
        }
    };
    assert_eq!(held.len(), 12, "three quarters of what is free");
    let none = MarketError::HeldUnpaid { available: Hashrate::ZERO };
    assert_eq!(refused_now.to_string(), none.to_string());
    assert_eq!(refused_now.blame(), Blame::Rejected);
    // Who has paid before is not held up, by account or by share.
    for _ in 0..2 {
        w.buy(known, 1_000, 3).await.unwrap();
    }
    // One of them pays: what it holds is sold, and the others' part is of what is still free.
    let owner = someone(10);
    w.fund(owner, 1_000_000).await;
    assert!(matches!(w.pay(held[0]).await, Paid::Starts(_)));
    w.assert_sound().await;
}

async fn an_account_that_never_paid_has_two_unpaid_orders_at_most(store: Store) {
    let w = World::new(store).await;
    w.prove(10_000).await;
    let me = someone(1);
    for _ in 0..2 {
        w.buy(me, 100, 3).await.unwrap();
    }
    let refused = refused(w.buy(me, 100, 3).await);
    assert!(matches!(refused, MarketError::TooMany { limit: 2, .. }), "{refused}");
    w.lease(someone(2), 100, 3).await;
    for _ in 0..5 {
        w.buy(someone(2), 100, 3).await.unwrap();
    }
    w.assert_sound().await;
}

async fn quotes_stand_once_for_their_owner_and_for_a_while(store: Store) {
    let w = World::new(store).await;
    w.prove(10_000).await;
    let me = someone(1);
    let quote = w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap().id;
    let buy = async |account| transact!(w.store, tx -> gruve_market::Result<_> => { w.market.buy(tx, account, quote).await });
    assert!(matches!(buy(someone(2)).await, Err(MarketError::UnknownQuote)));
    buy(me).await.unwrap();
    assert!(matches!(buy(me).await, Err(MarketError::QuoteUsed)));
    let late = w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap();
    w.clock.set(late.expires);
    let outcome = transact!(w.store, tx -> gruve_market::Result<_> => { w.market.buy(tx, me, late.id).await });
    assert!(matches!(outcome, Err(MarketError::QuoteExpired)));
    for (rate, term) in [(50, 3), (150, 3), (2_000_000, 3), (100, 4)] {
        assert_eq!(
            refused(w.market.quote(me, "lease", Hashrate(rate), term).await).blame(),
            Blame::Rejected
        );
    }
    assert!(matches!(
        w.market.quote(me, "no", Hashrate(100), 3).await,
        Err(MarketError::UnknownPlan)
    ));
    w.lease(me, 100, 3).await;
    for _ in 0..4 {
        w.buy(me, 100, 3).await.unwrap();
    }
    assert!(matches!(refused(w.buy(me, 100, 3).await), MarketError::TooMany { limit: 5, .. }));
    for _ in 0..19 {
        w.market.quote(me, "lease", Hashrate(100), 3).await.unwrap();
    }
    let many = w.market.quote(me, "lease", Hashrate(100), 3).await;
    assert!(matches!(refused(many), MarketError::TooMany { limit: 20, .. }));
    w.assert_sound().await;
}

async fn a_changed_plan_is_a_new_version_and_voids_its_quotes(store: Store) {
    let w = World::new(store.clone()).await;
    w.prove(1_000).await;
    let quote = w.market.quote(someone(1), "lease", Hashrate(100), 3).await.unwrap();
    let again = |plans: Vec<PlanConfig>| {
        let config = gruve_market::MarketConfig { plans, ..world::config() };
        Market::new(store.clone(), w.clock.clone(), Arc::new(SeededEntropy::new(9)), config)
            .unwrap()
    };
    let same = again(vec![plan()]);
    same.prepare().await.unwrap();
    assert_eq!(same.plans()[0].version, 1);
    let dearer = again(vec![PlanConfig { price_minor: 100_000, ..plan() }]);
    dearer.prepare().await.unwrap();
    assert_eq!(dearer.plans()[0].version, 2);
    let outcome = transact!(store, tx -> gruve_market::Result<_> => { dearer.buy(tx, someone(1), quote.id).await });
    assert!(matches!(outcome, Err(MarketError::QuoteExpired)));
}

/// An epoch of exactly this many blocks' worth of house work (the network target is a little above 2^20).
async fn blocks_of_work(w: &World, class: u8, count: u32) {
    w.work(Owner::House, class, count);
    w.seal();
    w.account().await;
}

async fn a_reward_is_shared_out_settled_and_reconciles(store: Store) {
    let w = World::new(store).await;
    let (me, outsider) = (someone(1), someone(2));
    // Four epochs of a little under one block's work each, a quarter of it an outsider's.
    for _ in 0..4 {
        w.work(Owner::House, 17, 6);
        w.work(Owner::Account(outsider), 17, 2);
        w.seal();
        w.account().await;
    }
    let rate = (6 << 17) / world::EPOCH_SECS;
    let c = w.lease(me, u128::from(rate / 200 * 100), 3).await;
    blocks_of_work(&w, 17, 6).await;
    blocks_of_work(&w, 17, 6).await;
    let hash = w.find_block(100);
    // What is worked in the block's own epoch is after it.
    w.work(Owner::Account(someone(3)), 20, 30);
    w.see(hash, 100, 8_000_000).await;
    w.assert_sound().await;
    assert_eq!(w.holds(&Account::ChainMaturing).await, 8_000_000);
    w.seal();
    w.account().await;
    w.assert_sound().await;

    let view = w.view(me, c).await;
    // One epoch of half the house's 0.75 blocks, in a window of eight: 46,875 parts per million.
    let (earned, _) = view.earned.split().unwrap();
    assert!((374_000..=376_000).contains(&earned), "{earned}");
    assert_eq!((view.settled, view.maturing), (btc(0), btc(earned)));
    assert_eq!(w.market.maturing(me).await.unwrap(), [btc(earned)]);
    assert_eq!(w.market.maturing(someone(3)).await.unwrap(), []);
    let (theirs, _) = view.earned.split().unwrap();
    assert!(theirs > 0);

    w.height(104).await;
    w.epoch_at(0).await;
    assert_eq!(w.view(me, c).await.settled, btc(0));
    w.height(105).await;
    assert_eq!(w.holds(&Account::ChainMaturing).await, 0);
    w.assert_sound().await;
    w.epoch_at(0).await;
    let view = w.view(me, c).await;
    let fee = earned * 200 / 10_000;
    assert_eq!((view.settled, view.credited), (btc(earned), btc(earned - fee)));
    let refund = w.view(me, c).await.refunded.minor;
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, earned - fee + refund);
    let lines = w.market.settlements(me, c, 10).await.unwrap();
    assert_eq!((lines.len(), lines[0].net, lines[0].fee), (1, btc(earned - fee), btc(fee)));
    // An account's own machines: a block's worth of two in eight, less one percent.
    let outside = w.holds(&Account::CustomerAvailable(outsider)).await;
    assert!((985_000..=995_000).contains(&outside), "{outside}");
    let r = w.market.reconciliation(&mut w.store.read().await.unwrap()).await.unwrap();
    let a = &r.assets[0];
    assert_eq!((a.block_rewards, a.maturing), (btc(8_000_000), btc(0)));
    assert_eq!(a.customers, btc(outside + earned - fee));
    // 5.5 of eight blocks' work (and a little less) were there.
    assert!((2_500_000..=2_500_100).contains(&a.window_reserve.minor), "{a:?}");
    assert!((0..=2).contains(&a.remainder.minor));
    assert_eq!(w.market.blocks(&lane(), 10).await.unwrap()[0].state, BlockState::Mature);
    w.assert_all_sound().await;
}

async fn an_orphan_before_maturity_leaves_no_trace_in_balances(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, 5_000_000_000).await;
    w.epoch_at(1_000).await;
    assert!(w.view(me, c).await.earned > Accrual::ZERO);
    for _ in 0..2 {
        w.orphan(hash).await;
        w.orphan([9; 32]).await;
    }
    assert_eq!(w.view(me, c).await.earned, Accrual::ZERO);
    assert_eq!(w.holds(&Account::ChainMaturing).await, 0);
    assert_eq!(w.holds(&Account::Rewards(lane())).await, 0);
    assert_eq!(w.market.blocks(&lane(), 10).await.unwrap()[0].state, BlockState::Orphaned);
    w.assert_sound().await;
    // It comes back, and is shared out as before.
    w.see(hash, 100, 5_000_000_000).await;
    w.epoch_at(0).await;
    assert!(w.view(me, c).await.earned > Accrual::ZERO);
    w.height(200).await;
    w.epoch_at(0).await;
    assert!(w.view(me, c).await.credited.minor > 0);
    w.assert_all_sound().await;
}

async fn nothing_of_a_lane_is_settled_while_its_chain_is_not_followed(store: Store) {
    let w = World::new(store).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 3).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, 5_000_000_000).await;
    w.epoch_at(1_000).await;
    w.height(200).await;
    w.market.hold_settlements(&lane(), true);
    w.epoch_at(0).await;
    assert_eq!(w.view(me, c).await.credited.minor, 0, "it waits");
    w.market.hold_settlements(&lane(), false);
    w.epoch_at(0).await;
    assert!(w.view(me, c).await.credited.minor > 0, "and is settled next");
    w.assert_all_sound().await;
}

async fn a_chain_keeps_its_newest_blocks_and_forgets_those_that_left_it(store: Store) {
    let w = World::new(store).await;
    let block = |height: u64, fork: u8| ChainBlock {
        height,
        hash: [fork; 32],
        time: 1_700_000_000 + height,
        bits: (fork == 0).then_some(0x1d00_ffff),
        work: Hashes(1 << 100),
        names_uncles: fork > 0,
        subsidy: 50,
        fees: i64::from(fork),
    };
    let connect = async |b: ChainBlock| {
        let market = w.market.clone();
        let told = transact!(w.store, tx -> gruve_market::Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &b).await
        });
        told.unwrap();
    };
    for height in [1, 2, 3, 4] {
        connect(block(height, 0)).await;
    }
    connect(block(3, 1)).await;
    let now = w.market.chain_blocks(&lane(), Asset::Btc, 10).await.unwrap();
    assert_eq!(now, [block(3, 1), block(2, 0), block(1, 0)], "newest first, the fork gone");
    let market = w.market.clone();
    let cut = transact!(w.store, tx -> gruve_market::Result<()> => {
        market.chain_cut(tx, &lane(), Asset::Btc, 3).await
    });
    cut.unwrap();
    connect(block(2 + KEPT_BLOCKS, 0)).await;
    let now = w.market.chain_blocks(&lane(), Asset::Btc, u64::MAX).await.unwrap();
    assert_eq!(now, [block(2 + KEPT_BLOCKS, 0)], "older ones are not kept");
    assert!(w.market.chain_blocks(&lane(), Asset::Ltc, 10).await.unwrap().is_empty());
}

async fn an_orphan_after_maturity_never_breaks_a_floor(store: Store) {
    let w = World::new(store).await;
    for _ in 0..4 {
        blocks_of_work(&w, 18, 10).await;
    }
    let (me, frugal) = (someone(1), someone(2));
    let rate = (5u64 << 18) / world::EPOCH_SECS / 100 * 100;
    let c = w.lease(me, rate.into(), 3).await;
    let d = w.lease(frugal, rate.into(), 3).await;
    for _ in 0..4 {
        blocks_of_work(&w, 18, 10).await;
    }
    let hash = w.find_block(100);
    w.see(hash, 100, 1_000_000).await;
    w.height(105).await;
    blocks_of_work(&w, 18, 10).await;
    let credited = w.view(me, c).await.credited.minor;
    assert!(credited > 300_000, "{credited}");
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, credited);
    w.withdraw(me, credited - 10).await;
    let hot = w.holds(&Account::ChainHot).await;
    // The payout's coins come back to the wallet when its block is disconnected; here they stay gone.
    w.orphan(hash).await;
    w.orphan(hash).await;
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 0);
    assert_eq!(w.holds(&Account::CustomerAvailable(frugal)).await, 0);
    assert_eq!(w.holds(&Account::Loss).await, credited - 10);
    assert_eq!(w.holds(&Account::ChainHot).await, (hot - 1_000_000).max(0));
    for (who, id) in [(me, c), (frugal, d)] {
        let view = w.view(who, id).await;
        assert_eq!((view.earned, view.settled, view.credited), (Accrual::ZERO, btc(0), btc(0)));
    }
    w.assert_all_sound().await;
    // It may even come back once more.
    w.see(hash, 100, 1_000_000).await;
    w.height(105).await;
    blocks_of_work(&w, 18, 10).await;
    assert_eq!(w.view(me, c).await.credited.minor, credited);
    w.assert_all_sound().await;
}

async fn a_block_the_log_does_not_know_takes_the_epoch_of_its_header(store: Store) {
    let w = World::new(store).await;
    let outsider = someone(2);
    w.work(Owner::Account(outsider), 20, 4);
    w.seal();
    w.account().await;
    w.see([7; 32], 100, 800).await;
    // Not before the epoch after the one it was seen in: the log might still name it.
    w.epoch_at(0).await;
    assert_eq!(w.market.maturing(outsider).await.unwrap(), []);
    w.epoch_at(0).await;
    let open = w.market.maturing(outsider).await.unwrap();
    assert!((390..=400).contains(&open[0].minor), "{open:?}");
    let blocks = w.market.blocks(&lane(), 10).await.unwrap();
    assert_eq!((blocks.len(), blocks[0].epoch), (1, EpochNumber(world::FIRST + 1)));
    assert_eq!(blocks[0].state, BlockState::Maturing);
    w.assert_all_sound().await;
}

async fn a_reward_is_taken_once_and_as_first_reported(store: Store) {
    let w = World::new(store).await;
    w.see([7; 32], 100, 800).await;
    w.see([7; 32], 100, 800).await;
    assert_eq!(w.holds(&Account::Rewards(lane())).await, 800);
    let see = async |minor, height| {
        let amount = btc(minor);
        let seen = gruve_market::RewardSeen {
            block_hash: [7; 32],
            height,
            amount,
            block_time: world::start_of(1),
        };
        transact!(w.store, tx -> gruve_market::Result<_> => { w.market.reward_seen(tx, &lane(), seen).await })
    };
    assert!(matches!(see(801, 100).await, Err(MarketError::RewardDiffers { .. })));
    assert!(matches!(see(800, 101).await, Err(MarketError::RewardDiffers { .. })));
    assert!(matches!(see(-1, 100).await, Err(MarketError::WrongAsset { .. })));
    w.assert_all_sound().await;
}

async fn all_that_a_block_paid_goes_with_it(store: Store) {
    let w = World::new(store).await;
    for (name, height) in [(1, 100), (2, 101), (3, 101)] {
        w.see([name; 32], height, 800).await;
    }
    let market = &w.market;
    for _ in 0..2 {
        transact!(w.store, tx -> gruve_market::Result<_> => {
            market.rewards_orphaned_at(tx, &lane(), 101).await
        })
        .unwrap();
    }
    assert_eq!(w.holds(&Account::Rewards(lane())).await, 800);
    w.assert_all_sound().await;
}

async fn maintenance_is_taken_from_earnings_only(store: Store) {
    let mut config = world::config();
    // A hundred minor units a hash: far above what is earned.
    config.plans[0].maintenance_minor_per_th_day = 8_640_000_000_000_000_000;
    let w = World::with(store, config).await;
    w.prove(1_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 6).await;
    w.epoch_at(1_000).await;
    w.epoch_at(1_000).await;
    let hash = w.find_block(100);
    w.see(hash, 100, 1_000_000).await;
    w.height(105).await;
    w.epoch_at(1_000).await;
    let view = w.view(me, c).await;
    let line = &w.market.settlements(me, c, 1).await.unwrap()[0];
    assert!(view.settled.minor > 0);
    assert_eq!((view.credited, line.net), (btc(0), btc(0)));
    assert_eq!(line.fee.minor + line.maintenance.minor, line.gross.minor);
    assert!(line.waived.minor > 0);
    w.assert_all_sound().await;
}

laws! {
    market: [
        nothing_of_a_lane_is_settled_while_its_chain_is_not_followed,
        a_chain_keeps_its_newest_blocks_and_forgets_those_that_left_it,
        racing_buyers_never_oversell,
        a_lease_is_bought_paid_delivered_and_completed,
        missed_work_is_delivered_later_and_from_surplus_first,
        what_is_not_delivered_by_the_hard_end_is_refunded,
        an_unpaid_contract_gives_its_capacity_back,
        throw_away_accounts_hold_a_part_of_what_is_free_and_known_customers_buy_the_rest,
        an_account_that_never_paid_has_two_unpaid_orders_at_most,
        quotes_stand_once_for_their_owner_and_for_a_while,
        a_changed_plan_is_a_new_version_and_voids_its_quotes,
        a_reward_is_shared_out_settled_and_reconciles,
        an_orphan_before_maturity_leaves_no_trace_in_balances,
        an_orphan_after_maturity_never_breaks_a_floor,
        a_block_the_log_does_not_know_takes_the_epoch_of_its_header,
        a_reward_is_taken_once_and_as_first_reported,
        all_that_a_block_paid_goes_with_it,
        maintenance_is_taken_from_earnings_only,
    ]
}
