use super::super::{Day, Money, offer::tests::offer};
use super::*;
use gruve_units::Hashrate;
use proptest::prelude::*;
use serde_json::json;

fn first() -> Date {
    Date::new(2020, 1, 1).unwrap()
}

/// Days at difficulty 2^16·65535 (a block is 2^64 hashes), ten coins a block.
fn history(prices: &[u64]) -> History {
    let difficulty = (65_535u128 << 16) * DIFFICULTY_SCALE;
    let day = |p: &u64| Day { price: p * 1_000_000, difficulty, subsidy: 10_0000_0000, fees: None };
    History::from_days(Asset::Btc, first(), prices.iter().map(day).collect())
}

/// 2^64/86400 H/s, rounded up: one block a day, a hair more.
const BLOCK_A_DAY: &str = "213503982334602";

fn buy(change: &[(&str, serde_json::Value)], prices: &[u64]) -> Outcome {
    let mut all = vec![("hashrate", json!(BLOCK_A_DAY)), ("fee_usd_per_th_day", json!("0"))];
    all.extend(change.iter().cloned());
    let offer = offer(&all).unwrap();
    backtest(&offer, &history(prices)).unwrap().buy(first()).unwrap()
}

#[test]
fn a_block_a_day_earns_a_blocks_reward_a_day() {
    let o = buy(&[("price_usd", json!("25")), ("term_days", json!(3))], &[1, 2, 3, 4]);
    assert_eq!(o.mined, 30_0000_0000);
    assert_eq!(o.received, 30_0000_0000);
    assert_eq!(o.ended, Ended::Term);
    assert_eq!((o.days_mined, o.until), (3, first().plus(2)));
    assert_eq!(o.sold_daily_usd, 60_000_000, "10 coins at 1, at 2 and at 3");
    assert_eq!(o.held_usd, 90_000_000, "30 coins at 3");
    assert_eq!(o.instead, 25_0000_0000);
    assert_eq!(o.break_even, Some(first().plus(1)), "10 + 20 dollars cover 25");
    assert_eq!(o.returned_per_mille(), Some(2_400));
}

#[test]
fn fees_take_at_most_the_earnings_unless_the_terms_say_debt() {
    // The fee is 42.7 dollars a day; ten coins are worth 10, then 100, then 10.
    let fee = ("fee_usd_per_th_day", json!("0.2"));
    let prices = [1, 10, 1];
    let run = buy(&[fee.clone(), ("term_days", json!(3))], &prices);
    assert_eq!((run.days_mined, run.days_unprofitable), (3, 2));
    assert!(run.sold_daily_usd > 57_000_000 && run.sold_daily_usd < 57_400_000);
    let debt = buy(
        &[fee.clone(), ("term_days", json!(3)), ("unprofitable", json!({"rule": "debt"}))],
        &prices,
    );
    assert!(debt.sold_daily_usd < run.sold_daily_usd - 65_000_000);
    let end =
        buy(&[fee.clone(), ("unprofitable", json!({"rule": "end", "after_days": 1}))], &prices);
    assert_eq!((end.ended, end.days_mined, end.received), (Ended::Unprofitable, 1, 0));
    let pause =
        buy(&[fee, ("term_days", json!(1)), ("unprofitable", json!({"rule": "pause"}))], &prices);
    assert_eq!((pause.ended, pause.days_mined), (Ended::Term, 1));
    assert_eq!(pause.until, first().plus(1), "the term stood still on the first day");
}

#[test]
fn what_stays_below_the_least_payout_is_never_received() {
    let o = buy(&[("term_days", json!(2)), ("minimum_payout", json!("20.1"))], &[5, 5, 5]);
    assert_eq!((o.mined, o.received, o.sold_daily_usd, o.break_even), (20_0000_0000, 0, 0, None));
}

#[test]
fn after_break_even_the_operator_takes_its_share_of_what_is_left() {
    let o = buy(
        &[
            ("price_usd", json!("10")),
            ("term_days", json!(3)),
            ("operator_share_after_break_even_percent", json!("40")),
        ],
        &[1, 1, 1],
    );
    assert_eq!(o.received, 22_0000_0000, "ten whole, then six and six");
}

#[test]
fn a_purchase_that_the_history_does_not_see_end_is_said_to_run() {
    let o = buy(&[("term_days", json!(5))], &[1, 1]);
    assert_eq!((o.ended, o.days_mined), (Ended::Runs, 2));
    let offer = offer(&[]).unwrap();
    let test = backtest(&offer, &history(&[1])).map_err(|e| e.to_string()).unwrap();
    assert!(matches!(test.buy(first().plus(1)), Err(AppraiseError::OutOfHistory { .. })));
    assert!(matches!(test.buy(first().plus(-1)), Err(AppraiseError::OutOfHistory { .. })));
}

/// An offer of a block a day with fees of its own.
fn with_fees(change: &[(&str, serde_json::Value)], fees: Vec<Fee>, prices: &[u64]) -> Outcome {
    let free = [("hashrate", json!(BLOCK_A_DAY)), ("fee_usd_per_th_day", json!("0"))];
    let all: Vec<_> = free.into_iter().chain(change.iter().cloned()).collect();
    let offer = Offer { fees, ..offer(&all).unwrap() };
    backtest(&offer, &history(prices)).unwrap().buy(first()).unwrap()
}

fn paid(price: Price, per: Per) -> Vec<Fee> {
    vec![Fee { price, per, is_paid: true }]
}

#[test]
fn what_is_paid_along_the_way_comes_from_the_buyers_own_money_and_is_held_against_what_is_earned() {
    let none = [("price_usd", json!("0")), ("term_days", json!(3))];
    // Ten coins a day, at 1, 2 and 3 dollars: 60; 25 dollars a day are paid.
    let day = || paid(Price::Usd(25_000_000), Per::AnyDay);
    let o = with_fees(&none, day(), &[1, 2, 3]);
    assert_eq!((o.paid_usd, o.along_usd, o.received), (0, 75_000_000, 30_0000_0000));
    assert_eq!((o.sold_daily_usd, o.held_usd), (-15_000_000, 15_000_000));
    assert_eq!((o.days_unprofitable, o.returned_per_mille()), (2, Some(800)));
    // 25 coins, then 12.5, then 8.333….
    assert_eq!((o.instead, o.break_even, o.money_back()), (45_8333_3333, None, false));
    // The same by the work that is done, and in the coin itself: five coins a day.
    let rate = Hashrate(BLOCK_A_DAY.parse().unwrap());
    assert_eq!(with_fees(&none, paid(Price::Usd(25_000_000), Per::Day(rate)), &[1, 2, 3]), o);
    let coins = with_fees(&none, paid(Price::Coin(5_0000_0000), Per::AnyDay), &[1, 2, 3]);
    assert_eq!((coins.along_usd, coins.instead), (30_000_000, 15_0000_0000));
    assert_eq!(coins.returned_per_mille(), Some(2_000));
    // Something paid at the beginning comes back by what is left.
    let paid_at_first = [("price_usd", json!("20")), ("term_days", json!(3))];
    let machine = with_fees(&paid_at_first, paid(Price::Usd(10_000_000), Per::AnyDay), &[1, 2, 3]);
    assert_eq!((machine.sold_daily_usd, machine.break_even), (30_000_000, Some(first().plus(2))));
}

#[test]
fn other_money_counts_at_its_own_price_of_the_day_and_one_before_it_has_one_is_refused() {
    let euro = Money::daily(Asset::Eur, "date,price_usd\n2020-01-01,2\n2020-01-02,3\n").unwrap();
    let euro = std::sync::Arc::new(euro);
    let none = [("price_usd", json!("0")), ("term_days", json!(3))];
    let fee = paid(Price::Other(1_500_000, euro.clone()), Per::AnyDay);
    let o = with_fees(&none, fee, &[1, 1, 1]);
    assert_eq!(o.along_usd, 3_000_000 + 4_500_000 + 4_500_000, "the last price stays");
    let with_price = |prices: &[u64], from: Date| {
        let all = [("hashrate", json!(BLOCK_A_DAY)), ("fee_usd_per_th_day", json!("0"))];
        let offer = Offer { price: Price::Other(7_000_001, euro.clone()), ..offer(&all).unwrap() };
        let days = history(prices).days().to_vec();
        let past = History::from_days(Asset::Btc, from, days);
        backtest(&offer, &past).unwrap().buy(from)
    };
    assert_eq!(with_price(&[1], first()).unwrap().paid_usd, 14_000_002);
    assert_eq!(with_price(&[1], first().plus(1)).unwrap().paid_usd, 21_000_003);
    let early = with_price(&[1], first().plus(-1)).unwrap_err().to_string();
    assert!(early.contains("2020-01-01"), "{early}");
}

#[test]
fn earnings_below_the_minimum_wait_are_sold_when_they_come_and_all_come_at_the_end() {
    let with = |waits_for: u64, term: u32, prices: &[u64]| {
        let free = [
            ("hashrate", json!(BLOCK_A_DAY)),
            ("fee_usd_per_th_day", json!("0")),
            ("term_days", json!(term)),
        ];
        let offer = Offer { waits_for, ..offer(&free).unwrap() };
        backtest(&offer, &history(prices)).unwrap().buy(first()).unwrap()
    };
    let prices = [1, 2, 3, 4, 5];
    let at_once = with(0, 3, &prices);
    assert_eq!((at_once.received, at_once.sold_daily_usd), (30_0000_0000, 60_000_000));
    // Twenty coins come on the second day at 2, the last ten at the end at 3.
    let waits = with(15_0000_0000, 3, &prices);
    assert_eq!((waits.received, waits.sold_daily_usd), (30_0000_0000, 70_000_000));
    // Running still, what waits is not received.
    let runs = with(15_0000_0000, 9, &prices);
    assert_eq!((runs.ended, runs.received, runs.mined), (Ended::Runs, 40_0000_0000, 50_0000_0000));
}

#[test]
fn fees_wait_with_the_earnings_that_they_are_taken_out_of() {
    // Fifteen dollars a day are due: more than the first day's ten coins are worth, and one of the second day's.
    let fee = Fee { price: Price::Usd(15_000_000), per: Per::AnyDay, is_paid: false };
    let with = |waits_for, prices: &[u64]| {
        let run = [("hashrate", json!(BLOCK_A_DAY)), ("term_days", json!(2))];
        let offer = Offer { waits_for, fees: vec![fee.clone()], ..offer(&run).unwrap() };
        backtest(&offer, &history(prices)).unwrap().buy(first()).unwrap()
    };
    assert_eq!(with(0, &[1, 15]).received, 9_0000_0000);
    assert_eq!(with(20_0000_0000, &[1, 15]).received, 4_0000_0000);
}

#[test]
fn who_stops_paying_owes_until_then_and_has_nothing_after() {
    let stop = ("unprofitable", json!({"rule": "stop", "after_days": 2}));
    let fee = ("fee_usd_per_th_day", json!("0.2"));
    let o = buy(&[stop, fee], &[10, 1, 1, 10]);
    assert_eq!((o.ended, o.days_mined), (Ended::Unprofitable, 3));
    // 42.7 dollars a day: 57.3 are left of the first day, 32.7 are owed on each of the others.
    assert!((-8_400_000..-7_900_000).contains(&o.sold_daily_usd), "{o:?}");
}

#[test]
fn a_days_earnings_stand_beside_what_it_costs() {
    let none = [("hashrate", json!(BLOCK_A_DAY)), ("fee_usd_per_th_day", json!("0"))];
    let rate = Hashrate(BLOCK_A_DAY.parse().unwrap());
    let fees = paid(Price::Usd(25_000_000), Per::Day(rate));
    let offer = Offer { fees, ..offer(&none).unwrap() };
    let past = history(&[1, 2, 3]);
    let test = backtest(&offer, &past).unwrap();
    let along = test.along(first(), first().plus(2)).unwrap();
    assert_eq!((along.days, along.days_covered), (3, 1));
    // A 213.5th of 20 and of 25 dollars.
    assert_eq!((along.earned_usd[1], along.cost_usd[1]), (93_675, 117_093));
    assert_eq!((along.last_earned_usd, along.last_cost_usd), (140_512, 117_093));
    assert!(test.along(first(), first().plus(3)).is_err());
    assert!(test.along(first().plus(1), first()).is_err());
}

proptest! {
    #[test]
    fn a_buyer_never_receives_more_than_was_mined_nor_less_for_a_lower_fee(
        prices in proptest::collection::vec(1u64..100_000, 1..60),
        fee in 0u32..5_000, more in 1u32..5_000, service in 0u32..100,
        rule in 0usize..4, start in 0u32..5,
    ) {
        let rule = [json!({"rule": "run"}), json!({"rule": "pause"}),
            json!({"rule": "end", "after_days": 3}), json!({"rule": "debt"})][rule].clone();
        let with = |fee: u32| buy(&[
            ("fee_usd_per_th_day", json!(format!("{}.{:03}", fee / 1000, fee % 1000))),
            ("service_percent", json!(service.to_string())), ("unprofitable", rule.clone()),
            ("starts_after_days", json!(start)), ("term_days", json!(30)),
        ], &prices);
        let (low, high) = (with(fee), with(fee + more));
        prop_assert!(low.received <= low.mined);
        prop_assert!(low.held_usd <= i128::MAX / 2);
        if rule["rule"] == "run" || rule["rule"] == "debt" {
            prop_assert!(high.received <= low.received);
            prop_assert!(high.sold_daily_usd <= low.sold_daily_usd);
        }
    }
}
