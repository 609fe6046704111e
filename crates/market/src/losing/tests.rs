use super::*;
use crate::pages::ROWS;
use crate::rules::PlanLife;
use crate::world::{self, World, config, lane, someone};
use crate::{
    ChainBlock, LetterLine, MarketConfig, PaymentDispute, PlanConfig, PriceSourceConfig,
    Told as Said,
};
use gruve_store::{Store, laws, transact};
use gruve_units::{AccountId, Clock as _, Hashes};

/// What a block of the test's chain pays.
const REWARD: i64 = 5_000_000_000;
/// Minor units that a TH·day earns where a block takes 2^60 hashes: `⌊5·10^9 · 8.64·10^16 / 2^60⌋`.
const PAYS: i64 = 374_700_270;

/// A block of the chain that earnings are reckoned by.
async fn chain_pays(w: &World, height: u64, work: Hashes) {
    let hash = [u8::try_from(height).unwrap(); 32];
    let block = ChainBlock {
        height,
        hash,
        time: 1,
        bits: None,
        work,
        names_uncles: false,
        subsidy: REWARD,
        fees: 0,
    };
    let market = &w.market;
    transact!(w.store, tx -> Result<()> => {
        market.chain_block(tx, &lane(), Asset::Btc, &block).await
    })
    .unwrap();
}

/// A plan that runs on and takes no part of what is earned, for so much maintenance in coins and dollars.
fn running(coins: u64, dollars: u64) -> PlanConfig {
    let life =
        PlanLife { maintenance_usd_micro_per_th_day: dollars * 1_000_000, ..PlanLife::default() };
    assert_eq!((life.unprofitable, life.hysteresis_bps.get()), (Unprofitable::Run, 500));
    let fee_bps = Bps::ZERO;
    PlanConfig { fee_bps, maintenance_minor_per_th_day: coins, life, ..world::plan() }
}

/// The house with a price of Bitcoin's and plans that cost a million dollars for a TH·day of its little chain.
fn in_dollars() -> MarketConfig {
    let mut config = config();
    config.prices.staleness_secs = 30;
    config.prices.sources = vec![PriceSourceConfig {
        name: "desk".into(),
        asset: Asset::Btc,
        url: None,
        pointer: String::new(),
    }];
    config.plans = vec![running(0, 1_000_000)];
    config
}

async fn priced_epoch(w: &World, dollars: i64) -> EpochNumber {
    let now = w.clock.now();
    w.market.report_price("desk", Asset::Btc, now, dollars * 1_000_000).await.unwrap();
    w.epoch_at(100_000).await
}

/// What a letter written now would say of contracts.
async fn written(w: &World, account: AccountId) -> Vec<LetterLine> {
    let market = &w.market;
    let letter =
        transact!(w.store, tx -> Result<_> => { market.take_letter(tx, account, 100).await });
    letter.unwrap().lines
}

async fn kinds(w: &World, account: AccountId) -> Vec<NoticeKind> {
    let lines = written(w, account).await;
    let kind = |line: &LetterLine| match line.told {
        Said::Lease(kind) => Some(kind),
        Said::Metered(_) => None,
    };
    lines.iter().filter_map(kind).collect()
}

fn usd(micro: i64) -> Amount {
    Amount::new(Asset::Usd, micro)
}

async fn who_runs_at_a_loss_is_written_to_once_when_it_begins_and_once_when_it_is_over(
    store: Store,
) {
    let w = World::with(store, in_dollars()).await;
    chain_pays(&w, 1, Hashes(1 << 60)).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000_000).await;
    }
    let me = someone(1);
    let c = w.lease(me, 10_000, 20).await;
    priced_epoch(&w, 1_000_000).await;
    assert_eq!(kinds(&w, me).await, [], "it pays");
    // What was recorded one settlement ago counts. At 266,880 dollars it would earn just what it costs: within five percent of
    // that nothing changes, from either side.
    assert_eq!(w.market.losing_plans().await.unwrap(), []);
    priced_epoch(&w, 260_000).await;
    priced_epoch(&w, 275_000).await;
    priced_epoch(&w, 1).await;
    assert_eq!(kinds(&w, me).await, [], "within the hysteresis of what paid");
    let began = priced_epoch(&w, 1).await;
    let lines = written(&w, me).await;
    assert_eq!((lines.len(), lines[0].told), (1, Said::Lease(NoticeKind::Losing)));
    assert_eq!(lines[0].detail, "A TH·day earns 3.747002 USD and costs 1000000.000000 USD.");
    let plans = w.market.losing_plans().await.unwrap();
    assert_eq!(plans.len(), 1);
    assert_eq!((plans[0].plan.as_str(), plans[0].contracts, plans[0].since), ("lease", 1, began));
    assert_eq!(plans[0].now.unwrap().earns, usd(3_747_002));
    for dollars in [1, 260_000, 275_000, 260_000, 275_000, 1_000_000] {
        priced_epoch(&w, dollars).await;
        assert_eq!(kinds(&w, me).await, [], "the same, or within the hysteresis of a loss");
    }
    let over = priced_epoch(&w, 275_000).await;
    assert_eq!(kinds(&w, me).await, [NoticeKind::EarnsAgain]);
    assert_eq!(w.market.losing_plans().await.unwrap(), []);
    priced_epoch(&w, 260_000).await;
    priced_epoch(&w, 1).await;
    assert_eq!(kinds(&w, me).await, []);
    let again = priced_epoch(&w, 1).await;
    assert_eq!(kinds(&w, me).await, [NoticeKind::Losing], "another stretch, another letter");
    let stretches = w.market.losing_stretches(c, None, 10).await.unwrap();
    let from: Vec<_> = stretches.iter().map(|s| (s.from, s.until)).collect();
    assert_eq!(from, [(again, None), (began, Some(over))], "newest first");
    let older = w.market.losing_stretches(c, Some(again), 10).await.unwrap();
    assert_eq!(older, stretches[1..], "page by page");
    let was = stretches[1].over.unwrap();
    assert_eq!((was.earns, was.costs), (usd(3_747_002_708_109), usd(1_000_000_000_000)));
    // It was never paused, nor ended for it.
    let view = w.view(me, c).await;
    assert_eq!((view.life.paused_since, view.state), (None, crate::ContractState::Active));
    assert!(w.market.pause_decisions(c, 10).await.unwrap().is_empty());
    w.assert_all_sound().await;
}

async fn a_fee_in_coins_is_held_against_coins_and_needs_no_price(store: Store) {
    let mut config = config();
    config.plans = vec![running(400_000_000, 0)];
    let w = World::with(store, config).await;
    w.prove(10_000).await;
    let me = someone(1);
    let c = w.lease(me, 1_000, 20).await;
    w.epoch_at(10_000).await;
    assert_eq!(kinds(&w, me).await, [], "nothing is known of the chain");
    chain_pays(&w, 1, Hashes(1 << 60)).await;
    w.epoch_at(10_000).await;
    let lines = written(&w, me).await;
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].detail, "A TH·day earns 3.74700270 BTC and costs 4.00000000 BTC.");
    // A block takes a fifth less work than before: a TH·day earns 4.68.
    chain_pays(&w, 2, Hashes((1 << 60) / 5 * 4)).await;
    w.epoch_at(10_000).await;
    assert_eq!(kinds(&w, me).await, [NoticeKind::EarnsAgain]);
    let stretch = w.market.losing_stretches(c, None, 1).await.unwrap().remove(0);
    assert_eq!(stretch.began.earns, Amount::new(Asset::Btc, PAYS));
    assert_eq!(stretch.began.price_instant, None);
}

/// Two plans, of which one loses, and more contracts than stand on some pages; some end meanwhile.
async fn everyone_is_told_on_whatever_page_and_who_has_ended_loses_no_more(store: Store) {
    let mut config = in_dollars();
    let mut dear = running(0, 1_000_000);
    dear.id = "dear".into();
    config.plans = vec![running(0, 500_000), dear];
    let w = World::with(store, config).await;
    chain_pays(&w, 1, Hashes(1 << 60)).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000_000).await;
    }
    let customers = 2 * u8::try_from(ROWS).unwrap() + 2;
    let mut all = Vec::new();
    for n in 1..=customers {
        let (plan, term) = (["lease", "dear"][usize::from(n % 2)], [3, 20][usize::from(n % 4 / 2)]);
        let quote = w.market.quote(someone(n), plan, gruve_units::Hashrate(1_000), term).await;
        let (quote, market) = (quote.unwrap(), &w.market);
        w.fund(someone(n), quote.price.minor).await;
        let bought = transact!(w.store, tx -> Result<_> => {
            market.buy(tx, someone(n), quote.id).await
        });
        let c = bought.unwrap().contract;
        w.pay(c).await;
        all.push((someone(n), c, plan, term));
    }
    // A coin for 200,000 dollars pays the one and not the other.
    for _ in 0..2 {
        priced_epoch(&w, 200_000).await;
    }
    for (who, c, plan, _) in &all {
        let told = kinds(&w, *who).await;
        let expected: &[_] = if *plan == "dear" { &[NoticeKind::Losing] } else { &[] };
        let told: Vec<_> = told.into_iter().filter(|k| *k != NoticeKind::EndNear).collect();
        assert_eq!(told, expected, "{c}");
    }
    let dear = all.iter().filter(|(_, _, plan, _)| *plan == "dear");
    let losing = w.market.losing_plans().await.unwrap();
    assert_eq!((losing.len(), losing[0].plan.as_str()), (1, "dear"));
    assert_eq!(losing[0].contracts, dear.clone().count() as u64);
    // The short ones come to their ends, and nobody is told of them any more.
    for _ in 0..4 {
        priced_epoch(&w, 200_000).await;
    }
    let long = dear.clone().filter(|(.., term)| *term == 20).count() as u64;
    assert!(long > 0 && long < losing[0].contracts);
    assert_eq!(w.market.losing_plans().await.unwrap()[0].contracts, long);
    for _ in 0..2 {
        priced_epoch(&w, 1_000_000).await;
    }
    for (who, c, _, term) in dear {
        let stretch = w.market.losing_stretches(*c, None, 10).await.unwrap();
        assert_eq!((stretch.len(), stretch[0].over.is_some()), (1, *term == 20));
        assert!(stretch[0].until.is_some());
        let told = kinds(&w, *who).await;
        assert_eq!(told.contains(&NoticeKind::EarnsAgain), *term == 20, "{c}");
    }
    assert_eq!(w.market.losing_plans().await.unwrap(), []);
}

async fn a_frozen_contract_is_told_when_it_goes_on_and_one_that_pauses_is_not_told_this(
    store: Store,
) {
    let mut config = in_dollars();
    let mut pauses = running(0, 1_000_000);
    (pauses.id, pauses.life.unprofitable) = ("pauses".into(), Unprofitable::Pause);
    config.plans.push(pauses);
    let w = World::with(store, config).await;
    chain_pays(&w, 1, Hashes(1 << 60)).await;
    for _ in 0..4 {
        priced_epoch(&w, 1_000_000).await;
    }
    let (me, other, market) = (someone(1), someone(2), &w.market);
    let c = w.lease(me, 1_000, 20).await;
    let quote = market.quote(other, "pauses", gruve_units::Hashrate(1_000), 20).await.unwrap();
    w.fund(other, quote.price.minor).await;
    let bought = transact!(w.store, tx -> Result<_> => { market.buy(tx, other, quote.id).await });
    w.pay(bought.unwrap().contract).await;
    let say = async |word: PaymentDispute| {
        let said = transact!(w.store, tx -> Result<_> => {
            market.payment_disputed(tx, c, "dp_1", word).await
        });
        said.unwrap();
    };
    priced_epoch(&w, 1_000_000).await;
    say(PaymentDispute::Open).await;
    for _ in 0..4 {
        priced_epoch(&w, 1).await;
    }
    assert_eq!(kinds(&w, me).await, [], "it neither runs nor earns");
    assert_eq!(kinds(&w, other).await, [NoticeKind::PauseAhead]);
    say(PaymentDispute::Won).await;
    for _ in 0..2 {
        priced_epoch(&w, 1).await;
    }
    assert_eq!(kinds(&w, me).await, [NoticeKind::Losing]);
}

#[test]
fn figures_finer_than_a_minor_unit_decide() {
    // A hundred minor units and a half are earned, a hundred cost: with no hysteresis that pays.
    let seen = Seen { asset: Asset::Btc, pays: 100 * PARTS + PARTS / 2, price: None };
    let rates = |coins| Rates { fee_bps: 0, coins, dollars: 0, hysteresis_bps: 0 };
    let verdict = |coins| seen.figures(rates(coins)).unwrap().unwrap().1;
    assert_eq!(verdict(100), Verdict::Pays);
    assert_eq!(verdict(101), Verdict::DoesNotPay);
    // The plan's fee is taken first: of 100.5 a hundredth leaves 99.495.
    let fee = Rates { fee_bps: 100, ..rates(100) };
    assert_eq!(seen.figures(fee).unwrap().unwrap().1, Verdict::DoesNotPay);
    // Half a minor unit of a coin for a hundred million dollars is half a dollar, and more than forty cents.
    let price = Some((Timestamp(0), 100_000_000_000_000));
    let dear = Seen { asset: Asset::Btc, pays: PARTS / 2, price };
    let cents = Rates { dollars: 400_000, ..rates(0) };
    assert_eq!(dear.figures(cents).unwrap().unwrap().1, Verdict::Pays);
    let dollars = Rates { dollars: 1, ..rates(0) };
    assert_eq!(seen.figures(dollars).unwrap(), None, "no price, no word");
}

laws! { losing: [
    who_runs_at_a_loss_is_written_to_once_when_it_begins_and_once_when_it_is_over,
    a_fee_in_coins_is_held_against_coins_and_needs_no_price,
    everyone_is_told_on_whatever_page_and_who_has_ended_loses_no_more,
    a_frozen_contract_is_told_when_it_goes_on_and_one_that_pauses_is_not_told_this,
] }
