//! Statements of contracts of every kind: a changed number in any line of one is found.
#![allow(clippy::unwrap_used, missing_docs)]

mod checking;
mod world;

use checking::every_change_is_found;
use gruve_ledger::{Account, Entry, post};
use gruve_market::{
    ActKind, ChainBlock, Choice, FppsAsset, FppsConfig, MarketConfig, PaymentDispute, PlanConfig,
    PlanKind, PlanLife, PriceSourceConfig, ReserveFrom, Result, Scheme, Unprofitable,
};
use gruve_statement::document::Line;
use gruve_statement::{SignedTerms, Statement};
use gruve_store::testing::on_sqlite;
use gruve_store::transact;
use gruve_units::{AccountId, Asset, Bps, Clock, ContractId, Hashes, Hashrate};
use world::{BITS, FIRST, MATURITY, World, btc, lane, someone};

const REWARD: i64 = 5_000_000_000;
/// Half a block's work an epoch.
const RATE: u64 = (1 << 19) / world::EPOCH_SECS;

type Papers = (SignedTerms, Statement);

async fn papers(w: &World, who: AccountId, id: ContractId) -> Papers {
    w.assert_all_sound().await;
    let page = w.market.statement(who, id, None, 999).await.unwrap();
    (w.market.signed_terms(who, id).await.unwrap(), page)
}

/// Runs a story and changes every number of what it leaves.
fn told<F: Future<Output = Papers>>(
    config: &MarketConfig,
    story: impl Fn(World) -> F + Send + Sync,
) -> Statement {
    let kept = std::sync::Mutex::new(None);
    on_sqlite(|store| async {
        let w = World::with(store, config.clone()).await;
        *kept.lock().unwrap() = Some(story(w).await);
    });
    let (terms, page) = kept.into_inner().unwrap().unwrap();
    let (tried, facts) = every_change_is_found(&terms, &page);
    assert!(tried > 100 && facts < tried, "{tried} {facts}");
    page
}

fn count(page: &Statement, is: fn(&Line) -> bool) -> usize {
    page.lines.iter().filter(|l| is(&l.line)).count()
}

async fn chain_to(w: &World, from: u64, to: u64) {
    for height in from..=to {
        let block = ChainBlock {
            height,
            hash: [u8::try_from(height % 251).unwrap(); 32],
            time: height,
            bits: Some(BITS),
            work: Hashes(1 << 20),
            names_uncles: false,
            subsidy: REWARD,
            fees: i64::try_from(height % 7).unwrap() * 1_000_003,
        };
        let market = &w.market;
        transact!(w.store, tx -> Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &block).await
        })
        .unwrap();
    }
}

async fn pays(w: &World, height: u64) {
    let hash = w.find_block(height);
    w.see(hash, height, REWARD).await;
    w.height(height + MATURITY).await;
}

fn scheme(scheme: Scheme) -> PlanConfig {
    let figures = FppsAsset {
        asset: Asset::Btc,
        fee_window_blocks: 10,
        fee_cap_minor: 5_000_000,
        depth_blocks: 2,
    };
    let is_fpps = scheme == Scheme::Fpps;
    PlanConfig {
        scheme,
        fpps: is_fpps.then(|| FppsConfig { ruin_ppm: 100_000, assets: vec![figures] }),
        fee_bps: Bps::new(1_000).unwrap(),
        maintenance_minor_per_th_day: 50_000_000_000_000,
        ..world::plan()
    }
}

async fn fill_reserve(w: &World, minor: i64) {
    let (from, to) = (Account::ChainHot, Account::OperatorRevenue);
    let entry = Entry::transfer("earned", "test", w.clock.now(), from, to, btc(minor));
    let market = &w.market;
    transact!(w.store, tx -> Result<_> => {
        post(tx, &entry).await?;
        market.fpps_capital(tx, "first", btc(minor), ReserveFrom::Revenue).await
    })
    .unwrap();
}

#[test]
fn a_changed_number_of_an_fpps_statement_is_found() {
    let config = MarketConfig { plans: vec![scheme(Scheme::Fpps)], ..world::config() };
    let page = told(&config, async |w: World| {
        chain_to(&w, FIRST - 20, FIRST + 6).await;
        fill_reserve(&w, 200_000_000_000).await;
        w.prove(RATE).await;
        let c = w.lease(someone(1), 13_000, 3).await;
        w.lease(someone(2), 9_000, 6).await;
        for _ in 0..3 {
            w.epoch_at(RATE).await;
        }
        chain_to(&w, FIRST + 7, FIRST + 30).await;
        w.epoch_at(9_000).await;
        w.epoch_at(RATE).await;
        papers(&w, someone(1), c).await
    });
    assert!(count(&page, |l| matches!(l, Line::Priced(_))) > 2);
    assert!(count(&page, |l| matches!(l, Line::Settlement(_))) > 0);
}

#[test]
fn a_changed_number_of_a_solo_statement_is_found() {
    let config = MarketConfig { plans: vec![scheme(Scheme::Solo)], ..world::config() };
    let page = told(&config, async |w: World| {
        w.prove(RATE).await;
        let c = w.lease(someone(1), 26_000, 6).await;
        w.lease(someone(2), 13_000, 6).await;
        w.epoch_at(RATE).await;
        for height in 100..106 {
            pays(&w, height).await;
            w.epoch_at(RATE).await;
        }
        papers(&w, someone(1), c).await
    });
    assert!(count(&page, |l| matches!(l, Line::Found(_))) > 1);
}

#[test]
fn a_changed_number_of_a_usage_statement_is_found() {
    let meter = PlanConfig {
        id: "meter".into(),
        kind: PlanKind::Metered,
        terms_epochs: Vec::new(),
        extension_epochs: None,
        low_balance_epochs: Some(3),
        price_minor: 86_407,
        ..scheme(Scheme::Pplns)
    };
    let config = MarketConfig { plans: vec![world::plan(), meter], ..world::config() };
    let page = told(&config, async |w: World| {
        w.prove(RATE).await;
        w.lease(someone(2), 20_000, 6).await;
        w.fund(someone(1), 10_000).await;
        let market = &w.market;
        let started = transact!(w.store, tx -> Result<_> => {
            market.start_metered(tx, someone(1), "meter", Hashrate(13_000), None).await
        });
        let c = started.unwrap().contract;
        for (height, rate) in [(100, RATE), (101, 24_001), (102, RATE), (103, 0), (104, RATE)] {
            pays(&w, height).await;
            w.epoch_at(rate).await;
        }
        // An epoch that is never closed, with a hold: nothing is delivered in it.
        w.seal_after(20);
        w.account().await;
        w.epoch_at(RATE).await;
        w.epoch_at(RATE).await;
        transact!(w.store, tx -> Result<_> => { market.end_metered(tx, someone(1), c).await })
            .unwrap();
        for _ in 0..3 {
            w.epoch_at(RATE).await;
        }
        papers(&w, someone(1), c).await
    });
    assert!(count(&page, |l| matches!(l, Line::Usage(_))) > 5);
    let used: i64 = page.hours.iter().filter_map(|h| h.used).map(|u| u.charged_minor).sum();
    assert_eq!(used, page.closing.charged_minor);
    assert!(used > 0 && page.days.iter().any(|d| d.used.is_some()));
}

/// A plan that costs dollars and pauses.
fn costly() -> MarketConfig {
    let mut config = world::config();
    config.prices.sources = vec![PriceSourceConfig {
        name: "desk".into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    }];
    config.prices.staleness_secs = 30;
    config.plans[0].life = PlanLife {
        unprofitable: Unprofitable::Pause,
        hysteresis_bps: Bps::new(500).unwrap(),
        notice_epochs: 1,
        maintenance_usd_micro_per_th_day: 1_000_000_000_000,
        energy_usd_micro_per_th_day: 400_000_000_000,
        choice_epochs: 3,
        minimum_payout_minor: 0,
    };
    config
}

/// An epoch with a price at its beginning, in millionths of a dollar for a coin.
async fn priced(w: &World, rate: u64, micro: i64) {
    w.market.report_price("desk", Asset::Btc, w.clock.now(), micro).await.unwrap();
    w.epoch_at(rate).await;
}

#[test]
fn a_changed_number_of_a_paused_or_compensated_statement_is_found() {
    let page = told(&costly(), async |w: World| {
        let chain = |pays| ChainBlock {
            height: 1,
            hash: [1; 32],
            time: 1,
            bits: None,
            work: Hashes(1 << 20),
            names_uncles: false,
            subsidy: pays,
            fees: 0,
        };
        let market = &w.market;
        let block = chain(REWARD / 100);
        transact!(w.store, tx -> Result<()> => {
            market.chain_block(tx, &lane(), Asset::Btc, &block).await
        })
        .unwrap();
        // What a TH·day earns is some 4·10^18 minor units here, and it costs a million dollars.
        let (dear, cheap) = (1_000_000, 1);
        for _ in 0..4 {
            priced(&w, RATE, dear).await;
        }
        let me = someone(1);
        let c = w.lease(me, 13_000, 20).await;
        priced(&w, RATE, dear).await;
        pays(&w, 100).await;
        // Idled by his own record: part is chosen as earnings, part lapses.
        let act = async |rate| {
            let span = (w.now(), Some(w.now().next()));
            let note = "cheap hashes";
            w.market.record_act(&lane(), ActKind::Idle, Hashrate(rate), span, note).await.unwrap();
        };
        act(9_000).await;
        let short = w.now();
        priced(&w, 10_001, dear).await;
        w.market.choose(me, c, short, Choice::Earnings).await.unwrap();
        act(2_000).await;
        priced(&w, 9_000, dear).await;
        pays(&w, 101).await;
        for _ in 0..2 {
            priced(&w, RATE, dear).await;
        }
        // It does not pay any more, is paused, and the house works on.
        for n in 0..5 {
            if n == 3 {
                pays(&w, 102).await;
            }
            priced(&w, RATE, cheap).await;
        }
        for _ in 0..18 {
            priced(&w, RATE, dear).await;
        }
        papers(&w, me, c).await
    });
    let counts = [
        count(&page, |l| matches!(l, Line::Aside(_))),
        count(&page, |l| matches!(l, Line::Judgement(_))),
        count(&page, |l| matches!(l, Line::Choice(_))),
        count(&page, |l| matches!(l, Line::Owed(_))),
        count(&page, |l| matches!(l, Line::Decision(_))),
        count(&page, |l| matches!(l, Line::Pause(_))),
        count(&page, |l| matches!(l, Line::Dollars(_))),
        count(&page, |l| matches!(l, Line::End(_))),
    ];
    assert!(counts.iter().all(|n| *n > 0), "{counts:?}: {:#?}", page.lines);
}

#[test]
fn a_changed_number_of_a_frozen_or_charged_back_statement_is_found() {
    let config = MarketConfig { plans: vec![scheme(Scheme::Pplns)], ..world::config() };
    // More than what was not delivered, and less.
    for lost in [1_000_000_000, 5] {
        let page = told(&config, move |w: World| async move {
            w.prove(RATE).await;
            let me = someone(1);
            let c = w.lease(me, 13_000, 20).await;
            let says = async |cause: &str, word: PaymentDispute| {
                let market = &w.market;
                let said = transact!(w.store, tx -> Result<_> => {
                    market.payment_disputed(tx, c, cause, word).await
                });
                said.unwrap();
            };
            for n in 0..4 {
                w.epoch_at(RATE).await;
                pays(&w, 100 + n).await;
            }
            says("dp_1", PaymentDispute::Open).await;
            for _ in 0..3 {
                w.epoch_at(RATE).await;
            }
            pays(&w, 110).await;
            says("dp_1", PaymentDispute::Won).await;
            for _ in 0..3 {
                w.epoch_at(RATE).await;
            }
            says("dp_2", PaymentDispute::Open).await;
            w.epoch_at(RATE).await;
            says("dp_2", PaymentDispute::Lost(btc(lost))).await;
            for _ in 0..MATURITY + 2 {
                w.epoch_at(RATE).await;
            }
            papers(&w, me, c).await
        });
        assert_eq!(count(&page, |l| matches!(l, Line::Freeze(_))), 2, "{:#?}", page.lines);
        let ended = |l: &Line| matches!(l, Line::End(e) if e.charged_back.is_some());
        assert_eq!(count(&page, ended), 1);
    }
}
