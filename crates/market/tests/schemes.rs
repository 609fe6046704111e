//! FPPS, SOLO and PPLNS side by side on one lane, on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

mod world;

use gruve_ledger::{Account, Posted};
use gruve_market::{
    ChainBlock, FppsAsset, FppsConfig, KEPT_BLOCKS, MarketConfig, MarketError, PlanConfig,
    ReserveFrom, Result, Scheme, solo,
};
use gruve_sharelog::{BlockRecord, Owner, Record};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Accrual, Asset, Bps, ContractId, Hashes, Hashrate, Target};
use world::{BITS, FIRST, World, btc, lane, someone};

const WINDOW: u64 = 10;
const DEPTH: u64 = 2;
const FEE: u16 = 1_000;
const SUBSIDY: i64 = 1_000_000;

fn fpps_plan() -> PlanConfig {
    let terms = FppsAsset {
        asset: Asset::Btc,
        fee_window_blocks: WINDOW,
        fee_cap_minor: 50_000,
        depth_blocks: DEPTH,
    };
    PlanConfig {
        id: "fpps".into(),
        scheme: Scheme::Fpps,
        fpps: Some(FppsConfig { ruin_ppm: 100_000, assets: vec![terms] }),
        fee_bps: Bps::new(FEE).unwrap(),
        ..world::plan()
    }
}

fn config() -> MarketConfig {
    let solo = PlanConfig { id: "solo".into(), scheme: Scheme::Solo, ..world::plan() };
    MarketConfig { plans: vec![world::plan(), fpps_plan(), solo], ..world::config() }
}

/// The chain has blocks up to a height; odd ones pay a fee far above the cap.
async fn chain_to(w: &World, from: u64, to: u64) {
    chain_paying(w, from, to, SUBSIDY).await;
}

async fn chain_paying(w: &World, from: u64, to: u64, subsidy: i64) {
    for height in from..=to {
        let block = ChainBlock {
            height,
            hash: [u8::try_from(height % 251).unwrap(); 32],
            time: height,
            bits: Some(BITS),
            work: Hashes(1 << 20),
            names_uncles: false,
            subsidy,
            fees: if height % 2 == 1 { 900_000 } else { 10_000 },
        };
        let market = &w.market;
        transact!(w.store, tx -> Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &block).await
        })
        .unwrap();
    }
}

/// The average of fees before any height here: half are cut to 50,000.
const AVERAGE: i64 = 30_000;

async fn reserve(w: &World, reason: &str, minor: i64) -> Result<Posted> {
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => {
        market.fpps_capital(tx, reason, btc(minor), ReserveFrom::Revenue).await
    })
}

/// The operator has earned something and puts it into the reserve.
async fn fill_reserve(w: &World, minor: i64) {
    let entry = gruve_ledger::Entry::transfer(
        format!("earned/{minor}"),
        "test",
        w.clock_now(),
        Account::ChainHot,
        Account::OperatorRevenue,
        btc(minor),
    );
    transact!(w.store, tx => { gruve_ledger::post(tx, &entry).await }).unwrap();
    reserve(w, "first", minor).await.unwrap();
}

async fn try_buy(w: &World, account: AccountId, plan: &str, rate: u128) -> Result<ContractId> {
    let quote = w.market.quote(account, plan, Hashrate(rate), 20).await?;
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => { market.buy(tx, account, quote.id).await })
        .map(|p| p.contract)
}

async fn lease(w: &World, account: AccountId, plan: &str, rate: u128) -> ContractId {
    let contract = try_buy(w, account, plan, rate).await.unwrap();
    let price = w.view(account, contract).await.price;
    w.fund(account, price.minor).await;
    w.pay(contract).await;
    contract
}

/// A lane with a chain, a reserve, and capacity for sale. Jobs of epoch *e* are for height *e*.
async fn world(store: Store, reserve: i64) -> World {
    let w = World::with(store, config()).await;
    chain_to(&w, FIRST - 20, FIRST + 3).await;
    if reserve > 0 {
        fill_reserve(&w, reserve).await;
    }
    w.prove(20_000).await;
    chain_to(&w, FIRST + 4, FIRST + 6).await;
    w
}

/// What FPPS owes for work under one target, by the terms' own formula.
fn owed(work: u128) -> u128 {
    owed_of(work, SUBSIDY, BITS)
}

fn owed_of(work: u128, subsidy: i64, bits: u32) -> u128 {
    let n = Target::from_compact(bits).unwrap().expected_hashes().0;
    let worth = u128::try_from(subsidy + AVERAGE).unwrap();
    let above = ruint::aliases::U512::from(work * worth * u128::from(10_000 - FEE)) << 64usize;
    u128::try_from(above / ruint::aliases::U512::from(n * 10_000)).unwrap()
}

async fn fpps_pays_expectation_without_a_block_and_the_reserve_carries_it(store: Store) {
    let w = world(store, 100_000_000).await;
    let me = someone(1);
    let c = lease(&w, me, "fpps", 10_000).await;
    w.epoch_at(20_000).await;
    let before = w.holds(&Account::FppsReserve).await;
    w.epoch_at(20_000).await;
    // Two blocks must lie above the height of its jobs first; nothing is guessed.
    let lines = w.market.fpps_lines(me, c, 10).await.unwrap();
    assert_eq!((lines.len(), lines[0].earned, lines[0].work), (1, None, Hashes(100_000)));
    assert_eq!(w.view(me, c).await.earned, Accrual::ZERO);
    let epoch = lines[0].epoch;
    chain_to(&w, FIRST + 7, epoch.0 + DEPTH).await;
    w.epoch_at(0).await;
    let exact = owed(100_000);
    let line = *w.market.fpps_lines(me, c, 10).await.unwrap().last().unwrap();
    assert_eq!((line.epoch, line.earned), (epoch, Some(Accrual(exact))));
    let whole = i64::try_from(exact >> 64).unwrap();
    assert!(whole > 80_000, "{whole}");
    let view = w.view(me, c).await;
    assert_eq!(
        (view.earned, view.settled.minor, view.credited.minor),
        (Accrual(exact), whole, whole)
    );
    assert_eq!(w.holds(&Account::FppsReserve).await, before - whole);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, whole);
    let price = w.market.fpps_prices(&lane(), Asset::Btc, epoch).await.unwrap()[0];
    assert_eq!((price.subsidy, price.fee_average, price.job.height), (SUBSIDY, AVERAGE, epoch.0));
    assert_eq!(price.job.work, Hashes(200_000));
    w.assert_all_sound().await;
    // A found block pays the reserve for the work that it has paid; and an orphan is its own.
    let hash = w.find_block(200);
    w.see(hash, 200, SUBSIDY).await;
    w.epoch_at(0).await;
    w.height(300).await;
    let before = w.holds(&Account::FppsReserve).await;
    w.epoch_at(0).await;
    let after = w.holds(&Account::FppsReserve).await;
    assert!(after > before + 5_000, "{before} {after}");
    assert_eq!(w.view(me, c).await.settled.minor, whole);
    w.orphan(hash).await;
    assert_eq!(w.holds(&Account::FppsReserve).await, before);
    assert_eq!(w.view(me, c).await.settled.minor, whole);
    w.assert_all_sound().await;
}

async fn fpps_across_a_retarget_and_a_halving_pays_each_epoch_by_its_own_whoever_bought_when(
    store: Store,
) {
    let w = world(store, 100_000_000).await;
    let (early, late, harder) = (someone(1), someone(2), 0x1e07_ffff);
    let before = lease(&w, early, "fpps", 10_000).await;
    w.epoch_at(20_000).await;
    for _ in 0..2 {
        w.epoch_at(20_000).await;
    }
    // From the next epoch's height on a block pays half, and costs twice the work.
    let halved = w.now();
    assert_eq!(halved.0, FIRST + 7);
    let hard_epoch = async || {
        let epoch = w.now();
        w.job(epoch, harder);
        let work = 20_000 * world::EPOCH_SECS;
        for k in (0..64u8).filter(|k| work >> k & 1 == 1) {
            w.work_in(epoch, Owner::House, k, 1, harder);
        }
        w.seal();
        w.account().await;
    };
    chain_paying(&w, halved.0, halved.0 + 1, SUBSIDY / 2).await;
    hard_epoch().await;
    let after = lease(&w, late, "fpps", 5_000).await;
    for _ in 0..2 {
        hard_epoch().await;
    }
    chain_paying(&w, halved.0 + 2, w.now().0 + DEPTH, SUBSIDY / 2).await;
    w.epoch_at(0).await;
    let lines = async |who, c| {
        let mut all = w.market.fpps_lines(who, c, 20).await.unwrap();
        all.retain(|l| l.work > Hashes::ZERO);
        all.sort_by_key(|l| l.epoch);
        all
    };
    let (of_early, of_late) = (lines(early, before).await, lines(late, after).await);
    assert!(
        of_early.iter().any(|l| l.epoch < halved) && of_early.iter().any(|l| l.epoch >= halved)
    );
    assert!(!of_late.is_empty() && of_late.iter().all(|l| l.epoch > halved));
    for l in of_early.iter().chain(&of_late) {
        let (subsidy, bits) =
            if l.epoch < halved { (SUBSIDY, BITS) } else { (SUBSIDY / 2, harder) };
        assert_eq!(l.earned, Some(Accrual(owed_of(l.work.0, subsidy, bits))), "{}", l.epoch);
    }
    w.assert_all_sound().await;
}

async fn fpps_prices_what_waited_however_far_the_chain_has_gone_on_meanwhile(store: Store) {
    let w = world(store, 100_000_000).await;
    let me = someone(1);
    let c = lease(&w, me, "fpps", 10_000).await;
    w.epoch_at(20_000).await;
    let worked = w.epoch_at(20_000).await;
    chain_to(&w, FIRST + 7, worked.0).await;
    assert_eq!(w.market.fpps_lines(me, c, 10).await.unwrap()[0].earned, None);
    // Nobody closes an epoch while the follower catches up with what came in days.
    let far = worked.0 + KEPT_BLOCKS + 50;
    chain_to(&w, far, far).await;
    w.epoch_at(0).await;
    let lines = w.market.fpps_lines(me, c, 10).await.unwrap();
    let line = lines.iter().find(|l| l.epoch == worked).unwrap();
    assert_eq!(line.earned, Some(Accrual(owed(100_000))));
    // What nothing waits for is forgotten as ever.
    chain_to(&w, far + 1, far + 1).await;
    let oldest = w.market.chain_blocks(&lane(), Asset::Btc, KEPT_BLOCKS).await.unwrap();
    assert_eq!(oldest.iter().map(|b| b.height).collect::<Vec<_>>(), [far + 1, far]);
    w.assert_all_sound().await;
}

async fn fpps_is_not_sold_below_its_floor_nor_without_figures(store: Store) {
    let w = World::with(store, config()).await;
    w.prove(20_000).await;
    let me = someone(1);
    let refused = |e: MarketError| e.to_string();
    let e = try_buy(&w, me, "fpps", 100).await.unwrap_err();
    assert!(matches!(e, MarketError::FppsFigures { known: 0, wanted: WINDOW, .. }), "{e}");
    chain_to(&w, 500, 500 + WINDOW - 1).await;
    let e = try_buy(&w, me, "fpps", 100).await.unwrap_err();
    assert!(matches!(e, MarketError::FppsFigures { known: 9, .. }), "{e}");
    chain_to(&w, 500 + WINDOW, 500 + WINDOW).await;
    let e = try_buy(&w, me, "fpps", 100).await.unwrap_err();
    assert!(matches!(e, MarketError::FppsReserve { .. }), "{}", refused(e));
    // 10.73 blocks for a chance of a tenth and a fee of a tenth, and four more, of 1,030,000 each.
    let status = async || {
        let market = &w.market;
        let mut tx = w.store.read().await.unwrap();
        market.fpps_status(&mut tx, &lane()).await.unwrap().remove(0)
    };
    let floor = status().await.plans[0].floor_minor.unwrap();
    assert!((15_100_000..15_250_000).contains(&floor), "{floor}");
    fill_reserve(&w, floor - 1).await;
    assert!(!status().await.plans[0].is_sold);
    assert!(try_buy(&w, me, "fpps", 100).await.is_err());
    let quote = {
        let entry = gruve_ledger::Entry::transfer(
            "earned/again",
            "test",
            w.clock_now(),
            Account::ChainHot,
            Account::OperatorRevenue,
            btc(1),
        );
        transact!(w.store, tx => { gruve_ledger::post(tx, &entry).await }).unwrap();
        assert_eq!(reserve(&w, "more", 1).await.unwrap(), Posted::New);
        assert_eq!(reserve(&w, "more", 1).await.unwrap(), Posted::Already);
        assert!(reserve(&w, "more", 2).await.is_err());
        assert!(reserve(&w, "too-much", 1).await.is_err());
        assert!(status().await.plans[0].is_sold);
        w.market.quote(me, "fpps", Hashrate(100), 20).await.unwrap()
    };
    // Between quote and sale the operator takes a minor unit out: the sale itself looks again.
    reserve(&w, "out", -1).await.unwrap();
    let market = &w.market;
    let sold = transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote.id).await });
    assert!(matches!(sold, Err(MarketError::FppsReserve { .. })));
    reserve(&w, "in", 1).await.unwrap();
    transact!(w.store, tx -> Result<_> => { market.buy(tx, me, quote.id).await }).unwrap();
    w.assert_all_sound().await;
}

async fn a_used_up_reserve_pays_everybody_alike_and_owes_the_rest(store: Store) {
    let w = world(store, 100_000_000).await;
    let (me, you) = (someone(1), someone(2));
    let (c, d) = (lease(&w, me, "fpps", 10_000).await, lease(&w, you, "fpps", 5_000).await);
    w.epoch_at(20_000).await;
    // Sold; then the operator takes all out but 60,000, and has spent what it had earned.
    let has = w.holds(&Account::FppsReserve).await;
    reserve(&w, "out", 60_000 - has).await.unwrap();
    let revenue = w.holds(&Account::OperatorRevenue).await;
    let entry = gruve_ledger::Entry::transfer(
        "spent",
        "test",
        w.clock_now(),
        Account::OperatorRevenue,
        Account::ChainHot,
        btc(revenue),
    );
    transact!(w.store, tx => { gruve_ledger::post(tx, &entry).await }).unwrap();
    w.epoch_at(20_000).await;
    chain_to(&w, FIRST + 7, FIRST + 20).await;
    w.epoch_at(0).await;
    let (a, b) = (w.view(me, c).await, w.view(you, d).await);
    assert!(a.earned.split().unwrap().0 > 80_000);
    // A lease's price is earned as it is delivered: revenue pays too, as far as there was any.
    let paid = a.settled.minor + b.settled.minor;
    assert!((60_000..100_000).contains(&paid), "{paid}");
    assert!(
        (a.settled.minor - 2 * b.settled.minor).abs() <= 2,
        "{} {}",
        a.settled.minor,
        b.settled.minor
    );
    assert!(w.holds(&Account::FppsReserve).await <= 1);
    assert!(w.holds(&Account::OperatorRevenue).await >= 0);
    w.assert_all_sound().await;
    // New coins pay what is owed, before anything else can be taken out.
    fill_reserve_again(&w, 1_000_000).await;
    let e = reserve(&w, "run", -950_000).await.unwrap_err();
    assert!(matches!(e, MarketError::FppsCapital(_)), "{e}");
    w.epoch_at(0).await;
    assert_eq!(w.view(me, c).await.settled.minor, a.earned.split().unwrap().0);
    w.assert_all_sound().await;
}

async fn fill_reserve_again(w: &World, minor: i64) {
    let entry = gruve_ledger::Entry::transfer(
        "earned/new",
        "test",
        w.clock_now(),
        Account::ChainHot,
        Account::OperatorRevenue,
        btc(minor),
    );
    transact!(w.store, tx => { gruve_ledger::post(tx, &entry).await }).unwrap();
    reserve(w, "new", minor).await.unwrap();
}

/// A block of the house whose place is among the first `part` thousandths of the work, or behind them.
fn find_at(w: &World, is_within: bool, part: u128, height: u64) -> [u8; 32] {
    let hash = (0..10_000u32)
        .map(|n| {
            let mut hash = [9; 32];
            hash[..4].copy_from_slice(&n.to_be_bytes());
            hash[4..12].copy_from_slice(&height.to_be_bytes());
            hash
        })
        .find(|hash| (solo::place(hash, Hashes(1_000)).0 < part) == is_within)
        .unwrap();
    let share = w.share(w.now(), Owner::House, 0, BITS);
    let found = BlockRecord { share, block_hash: hash, height, block: vec![0; 100] };
    w.log.append(&[Record::Block(found)]).unwrap();
    hash
}

async fn a_solo_contract_gets_the_blocks_at_its_place_whole_and_no_others(store: Store) {
    let w = world(store, 0).await;
    let (me, other) = (someone(1), someone(2));
    let c = lease(&w, me, "solo", 10_000).await;
    let d = lease(&w, other, "lease", 5_000).await;
    w.epoch_at(20_000).await;
    w.epoch_at(20_000).await;
    // Half of the house's work is the SOLO contract's.
    let mine = find_at(&w, true, 490, 100);
    let ours = find_at(&w, false, 510, 101);
    w.see(mine, 100, 700_000).await;
    w.see(ours, 101, 800_000).await;
    w.epoch_at(20_000).await;
    let earned = async |who, id| w.view(who, id).await.earned;
    assert_eq!(earned(me, c).await, Accrual::from_minor(700_000).unwrap());
    let shared = earned(other, d).await.split().unwrap().0;
    // An epoch of 50,000 hashes in a window of 2^23.
    assert!((4_700..4_800).contains(&shared), "{shared}");
    w.assert_all_sound().await;
    w.height(200).await;
    w.epoch_at(0).await;
    let fee = 14_000;
    assert_eq!(w.view(me, c).await.credited.minor, 700_000 - fee);
    w.withdraw(me, 700_000 - fee).await;
    // The block goes: what was withdrawn is the operator's loss.
    w.orphan(mine).await;
    assert_eq!(earned(me, c).await, Accrual::ZERO);
    assert_eq!(w.holds(&Account::Loss).await, 700_000 - fee);
    assert_eq!(w.holds(&Account::CustomerAvailable(me)).await, 0);
    w.assert_all_sound().await;
    // It comes back, to the same finder.
    w.see(mine, 100, 700_000).await;
    w.height(200).await;
    w.epoch_at(0).await;
    assert_eq!(earned(me, c).await, Accrual::from_minor(700_000).unwrap());
    w.assert_all_sound().await;
}

async fn an_owner_may_keep_the_blocks_of_its_own_machines(store: Store) {
    let w = World::with(store, config()).await;
    let (me, other) = (someone(1), someone(2));
    let choose = async |scheme| {
        let market = &w.market;
        transact!(w.store, tx -> Result<_> => {
            market.set_own_scheme(tx, me, &lane(), scheme).await
        })
    };
    assert!(matches!(choose(Scheme::Fpps).await, Err(MarketError::SchemeNotOffered)));
    let from = choose(Scheme::Solo).await.unwrap();
    assert_eq!(from, w.now().next());
    assert_eq!(w.market.own_scheme(me, &lane()).await.unwrap(), (Scheme::Solo, Some(from)));
    let both = |w: &World| {
        w.work(Owner::Account(me), 18, 4);
        w.work(Owner::Account(other), 18, 4);
    };
    let find = |owner: AccountId, n: u8| {
        let share = w.share(w.now(), Owner::Account(owner), 0, BITS);
        let found = BlockRecord { share, block_hash: [n; 32], height: u64::from(n), block: vec![] };
        w.log.append(&[Record::Block(found)]).unwrap();
    };
    // A block of the epoch in which it chose is still everybody's.
    both(&w);
    find(me, 1);
    w.epoch_at(0).await;
    w.see([1; 32], 1, 80_000).await;
    both(&w);
    find(me, 2);
    find(other, 3);
    w.see([2; 32], 2, 160_000).await;
    w.see([3; 32], 3, 800_000).await;
    w.epoch_at(0).await;
    let open = async |who| w.market.maturing(who).await.unwrap().first().map_or(0, |a| a.minor);
    // Block 3 is shared out over the first epoch's work, before its own: a block's work each in it.
    let (mine, theirs) = (open(me).await, open(other).await);
    assert!((259_000..=260_000).contains(&mine), "{mine}");
    assert!((99_000..=100_000).contains(&theirs), "{theirs}");
    // The work done under SOLO stands in no window.
    find(other, 4);
    w.see([4; 32], 4, 800_000).await;
    w.epoch_at(0).await;
    let (again, more) = (open(me).await - mine, open(other).await - theirs);
    assert!((99_000..=100_000).contains(&again), "{again}");
    assert!((199_000..=200_000).contains(&more), "{more}");
    w.assert_all_sound().await;
}

laws! {
    schemes: [
        fpps_pays_expectation_without_a_block_and_the_reserve_carries_it,
        fpps_across_a_retarget_and_a_halving_pays_each_epoch_by_its_own_whoever_bought_when,
        fpps_prices_what_waited_however_far_the_chain_has_gone_on_meanwhile,
    fpps_is_not_sold_below_its_floor_nor_without_figures,
        a_used_up_reserve_pays_everybody_alike_and_owes_the_rest,
        a_solo_contract_gets_the_blocks_at_its_place_whole_and_no_others,
        an_owner_may_keep_the_blocks_of_its_own_machines,
    ]
}
