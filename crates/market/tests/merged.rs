//! A lane that earns several assets: each with its own window, maturity, settlements and reconciliation.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::{Account, balance};
use gruve_market::{
    AuxConfig, BlockState, MaintenanceIn, MarketConfig, MarketError, Result, RewardSeen,
};
use gruve_sharelog::{AuxBlockRecord, AuxChainRecord, AuxJobRecord, BlockRecord, Owner, Record};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Amount, Asset, Clock, Target};
use world::{BITS, MATURITY, World, btc, job_id, lane, someone};

/// The merge-mined chain is 16 times as easy: about 2^16 hashes a block.
const DOGE_BITS: u32 = 0x1f00_ffff;
const DOGE_MATURITY: u64 = MATURITY + 3;

fn doge(minor: i64) -> Amount {
    Amount::new(Asset::Doge, minor)
}

fn both() -> MarketConfig {
    let mut config = world::config();
    config.lanes[0].aux = vec![AuxConfig { asset: Asset::Doge, coinbase_maturity: DOGE_MATURITY }];
    config
}

/// The running epoch's job is merge-mined from now on.
fn merge(w: &World) {
    let epoch = w.now();
    let chain = AuxChainRecord {
        asset: Asset::Doge,
        chain_id: 98,
        block_hash: [7; 32],
        bits: DOGE_BITS,
        height: epoch.0 + 5_000,
        index: 0,
        branch: vec![],
    };
    let record = AuxJobRecord { job: job_id(epoch, BITS), epoch, chains: vec![chain] };
    w.log.append(&[Record::AuxJob(record)]).unwrap();
}

async fn merged_epochs(w: &World, count: u32, rate: u64) {
    for _ in 0..count {
        merge(w);
        w.epoch_at(rate).await;
    }
}

/// A block of the merge-mined chain, found in the running epoch.
fn find_doge(w: &World, n: u8, height: u64) -> [u8; 32] {
    let share = w.share(w.now(), Owner::House, 16, BITS);
    let block_hash = [n; 32];
    let found = BlockRecord { share, block_hash, height, block: vec![1; 200] };
    w.log.append(&[Record::AuxBlock(AuxBlockRecord { asset: Asset::Doge, found })]).unwrap();
    let outcome = Record::BlockOutcome { block_hash, accepted: true, at: w.clock.now() };
    w.log.append(&[outcome]).unwrap();
    block_hash
}

async fn see_doge(w: &World, block_hash: [u8; 32], height: u64, minor: i64) {
    let seen = RewardSeen { block_hash, height, amount: doge(minor), block_time: w.clock.now() };
    transact!(w.store, tx -> Result<_> => {
        w.market.reward_seen(tx, &lane(), seen).await?;
        w.market.chain_height_of(tx, &lane(), Asset::Doge, height).await
    })
    .unwrap();
}

async fn doge_height(w: &World, height: u64) {
    transact!(w.store, tx -> Result<_> => {
        w.market.chain_height_of(tx, &lane(), Asset::Doge, height).await
    })
    .unwrap();
}

async fn has(w: &World, account: AccountId, asset: Asset) -> i64 {
    let mut tx = w.store.read().await.unwrap();
    balance(&mut tx, &Account::CustomerAvailable(account), asset).await.unwrap().minor
}

async fn a_contract_earns_every_asset_of_its_lane_each_by_its_own_difficulty(store: Store) {
    let w = World::with(store, both()).await;
    // 2^18 hashes an epoch: a quarter of a block of the lane's own chain, four of the other's.
    let rate = (1 << 18) / world::EPOCH_SECS + 1;
    merged_epochs(&w, 4, rate).await;
    let me = someone(1);
    let c = w.lease(me, 13_000, 20).await;
    merged_epochs(&w, 6, rate).await;
    merge(&w);
    let (own, other) = (w.find_block(100), find_doge(&w, 9, 5_000));
    w.see(own, 100, 800_000_000).await;
    see_doge(&w, other, 5_000, 800_000_000).await;
    merged_epochs(&w, 1, rate).await;
    w.assert_sound().await;

    let view = w.view(me, c).await;
    let [first, second] = &view.earnings[..] else { panic!("{:?}", view.earnings) };
    assert_eq!((first.asset, second.asset), (Asset::Btc, Asset::Doge));
    assert_eq!((view.asset, view.earned), (Asset::Btc, first.earned));
    // The lane's own window of eight blocks is not full: a part of it, as before. The other's holds the
    // last two epochs, of which the contract had about half the work.
    let whole = |e: &gruve_market::Earnings| e.earned.split().unwrap().0;
    let units = |bits: u32, epochs: u128, rate: u128| {
        let expected = Target::from_compact(bits).unwrap().expected_hashes().0;
        i64::try_from(800_000_000 * 10 * rate * epochs / expected / 8).unwrap()
    };
    let close = |a: i64, b: i64| assert!((a - b).abs() <= b / 1_000 + 2, "{a} {b}");
    // It began an epoch after it was paid: five of the six are its.
    close(whole(first), units(BITS, 5, 13_000));
    close(whole(second), 800_000_000 * 13_000 / i64::try_from(rate).unwrap());
    assert_eq!((first.settled.minor, second.settled.minor), (0, 0), "both still mature");

    // Each matures by its own chain's rule.
    w.height(100 + MATURITY).await;
    doge_height(&w, 5_000 + MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    assert!(has(&w, me, Asset::Btc).await > 0);
    assert_eq!(has(&w, me, Asset::Doge).await, 0);
    doge_height(&w, 5_000 + DOGE_MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    let view = w.view(me, c).await;
    let second = view.earnings[1];
    assert_eq!(second.settled.minor, whole(&second));
    assert_eq!(second.credited, doge(second.settled.minor - second.settled.minor * 2 / 100));
    assert_eq!(has(&w, me, Asset::Doge).await, second.credited.minor);
    let lines = w.market.settlements(me, c, 100).await.unwrap();
    let of = |asset| lines.iter().filter(|l| l.net.asset == asset).count();
    assert_eq!((of(Asset::Btc), of(Asset::Doge)), (1, 1));
    let maturing = w.market.maturing(me).await.unwrap();
    assert_eq!(maturing.iter().map(|a| a.asset).collect::<Vec<_>>(), [Asset::Btc, Asset::Doge]);
    w.assert_all_sound().await;

    let stats = &w.market.lane_stats().await.unwrap()[0];
    assert_eq!((stats.blocks_found, stats.aux[0].blocks_found), (1, 1));
    assert_eq!(stats.aux[0].network_bits, Some(DOGE_BITS));
    let blocks = w.market.blocks(&lane(), 10).await.unwrap();
    let doge_block = blocks.iter().find(|b| b.asset == Asset::Doge).unwrap();
    assert_eq!((doge_block.block_hash, doge_block.state), (other, BlockState::Mature));
    assert_eq!(doge_block.matures_at, 5_000 + DOGE_MATURITY);
    assert_eq!(doge_block.reward, Some(doge(800_000_000)));
}

async fn work_that_was_not_merge_mined_earns_nothing_of_the_other_asset(store: Store) {
    let w = World::with(store, both()).await;
    let rate = (1 << 18) / world::EPOCH_SECS + 1;
    merged_epochs(&w, 2, rate).await;
    // The auxiliary node is away for an epoch, in which somebody else does most of the work.
    let stranger = someone(5);
    w.work(Owner::Account(stranger), 20, 3);
    w.epoch_at(rate).await;
    merge(&w);
    let block = find_doge(&w, 9, 5_000);
    see_doge(&w, block, 5_000, 1_000_000).await;
    merged_epochs(&w, 1, rate).await;
    doge_height(&w, 5_000 + DOGE_MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    assert_eq!(has(&w, stranger, Asset::Doge).await, 0);
    w.assert_all_sound().await;
}

async fn an_orphan_of_one_chain_takes_nothing_of_the_other_asset_back(store: Store) {
    let w = World::with(store, both()).await;
    let rate = (1 << 18) / world::EPOCH_SECS + 1;
    let me = someone(3);
    merge(&w);
    w.work(Owner::Account(me), 18, 4);
    merged_epochs(&w, 1, rate).await;
    merge(&w);
    let (own, other) = (w.find_block(100), find_doge(&w, 9, 5_000));
    w.see(own, 100, 500_000).await;
    see_doge(&w, other, 5_000, 700_000).await;
    merged_epochs(&w, 1, rate).await;
    w.height(100 + MATURITY).await;
    doge_height(&w, 5_000 + DOGE_MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    let before = has(&w, me, Asset::Btc).await;
    assert!(before > 0 && has(&w, me, Asset::Doge).await > 0);
    w.orphan(other).await;
    assert_eq!(has(&w, me, Asset::Doge).await, 0);
    assert_eq!(has(&w, me, Asset::Btc).await, before);
    w.assert_all_sound().await;
    // It comes back, and pays once more.
    see_doge(&w, other, 5_000, 700_000).await;
    merged_epochs(&w, 1, rate).await;
    doge_height(&w, 5_000 + DOGE_MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    assert!(has(&w, me, Asset::Doge).await > 0);
    w.assert_all_sound().await;
}

async fn maintenance_is_taken_from_the_next_asset_where_the_first_does_not_cover_it(store: Store) {
    let mut config = both();
    config.plans[0].maintenance_minor_per_th_day = 500_000_000_000_000;
    config.plans[0].maintenance_also =
        vec![MaintenanceIn { asset: Asset::Doge, minor_per_th_day: 1_000_000_000_000_000 }];
    let w = World::with(store, config).await;
    let rate = (1 << 18) / world::EPOCH_SECS + 1;
    merged_epochs(&w, 4, rate).await;
    let me = someone(1);
    let c = w.lease(me, 13_000, 20).await;
    merged_epochs(&w, 3, rate).await;
    merge(&w);
    // Only the other chain's block: nothing of the lane's own asset is settled.
    let block = find_doge(&w, 9, 5_000);
    see_doge(&w, block, 5_000, 800_000_000).await;
    merged_epochs(&w, 1, rate).await;
    doge_height(&w, 5_000 + DOGE_MATURITY).await;
    merged_epochs(&w, 1, rate).await;
    let lines = w.market.settlements(me, c, 10).await.unwrap();
    assert_eq!(lines.len(), 1);
    let line = &lines[0];
    // Four or five epochs of 130,000 hashes at 10^15 for each 8.64 * 10^16.
    let epochs = i64::try_from(w.view(me, c).await.epochs.len()).unwrap();
    let most = epochs * 130_000 * 1_000 / 86_400;
    assert_eq!(line.gross.asset, Asset::Doge);
    assert!((most - 4..=most).contains(&line.maintenance.minor), "{line:?} {most}");
    assert_eq!(line.waived.minor, 0);
    assert_eq!(line.gross.minor, line.fee.minor + line.maintenance.minor + line.net.minor);
    w.assert_all_sound().await;
}

async fn a_reward_of_an_asset_that_the_lane_does_not_earn_is_refused(store: Store) {
    let w = World::new(store).await;
    let seen =
        RewardSeen { block_hash: [1; 32], height: 5, amount: doge(5), block_time: w.clock.now() };
    let refused = transact!(w.store, tx -> Result<_> => {
        w.market.reward_seen(tx, &lane(), seen).await
    });
    assert!(matches!(refused, Err(MarketError::WrongAsset { .. })));
    assert_eq!(btc(1).asset, Asset::Btc);
}

laws! { merged: [
    a_contract_earns_every_asset_of_its_lane_each_by_its_own_difficulty,
    work_that_was_not_merge_mined_earns_nothing_of_the_other_asset,
    an_orphan_of_one_chain_takes_nothing_of_the_other_asset_back,
    maintenance_is_taken_from_the_next_asset_where_the_first_does_not_cover_it,
    a_reward_of_an_asset_that_the_lane_does_not_earn_is_refused
] }

/// A database from before, with rows of a lane that earned one asset.
async fn rows_from_before_are_the_lanes_own_coins(store: Store) {
    store.migrate("ledger", gruve_ledger::MIGRATIONS).await.unwrap();
    store.migrate("market", &gruve_market::MIGRATIONS[..1]).await.unwrap();
    let insert = "INSERT INTO market_standings (lane, kind, beneficiary, account, accrued, matured,
        settled_minor, net_minor, fee_carry, waiting_minor, settlements, settled_to)
        VALUES ('btc', 2, $1, $1, $2, $2, 0, 0, 0, 0, 0, NULL)";
    let (who, accrued) = (someone(4), gruve_units::Accrual::from_minor(7).unwrap());
    transact!(store, tx -> Result<()> => {
        tx.execute(insert, &gruve_store::params![who, accrued]).await?;
        Ok(())
    })
    .unwrap();
    let w = World::with(store, both()).await;
    assert_eq!(w.market.maturing(who).await.unwrap(), [btc(7)]);
}

laws! { before: [rows_from_before_are_the_lanes_own_coins] }
