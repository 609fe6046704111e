use super::*;

fn given() -> Given {
    Given {
        lane_hashrate: "1000000".into(),
        hashrate: "100000".into(),
        term_secs: 86_400,
        fee_bps: 200,
        chains: vec![ChainNow {
            asset: Asset::Btc,
            // Some 864 blocks in the term.
            block_hashes: "100000000".into(),
            reward_minor: 1_000_000,
            upkeep_minor_per_th_day: 0,
        }],
        price: Money { asset: Asset::Btc, minor: 80_000_000 },
        past: None,
        usd_micro: None,
        upkeep_usd_micro_per_th_day: 0,
        seed: "7".into(),
        scenarios: 400,
        scheme: Scheme::Pplns,
        pay_usd_micro: None,
        running: None,
    }
}

#[test]
fn the_mean_is_work_times_reward_less_the_fee() {
    let f = foretell(given()).unwrap();
    // 86.4 blocks' work of one coin each, less two in a hundred.
    let expected = f.assets[0].expected_minor;
    assert!((expected - 84_672_000).abs() < 1_000_000, "{expected}");
    assert!(f.assets[0].low_minor < expected && expected < f.assets[0].high_minor);
    assert_eq!(f.expects_loss, Some(false));
    assert!(f.break_even_per_mille.unwrap() > 500);
    assert!(f.break_even_secs.unwrap() > 60_000);
}

#[test]
fn a_year_of_the_past_brings_less_than_a_year_as_it_is_and_less_surely() {
    let year = Given { term_secs: 31_536_000, scenarios: 200, ..given() };
    let still = foretell(year.clone()).unwrap();
    let moved = foretell(Given { past: Some(Asset::Btc), ..year.clone() }).unwrap();
    assert_eq!((still.model.as_str(), moved.model.as_str()), (MODEL_STILL, MODEL));
    let (a, b) = (&still.assets[0], &moved.assets[0]);
    // Difficulty rose by some 60 % a year.
    assert!(b.expected_minor < a.expected_minor * 9 / 10, "{b:?} {a:?}");
    assert!(b.high_minor - b.low_minor > 3 * (a.high_minor - a.low_minor), "{b:?} {a:?}");
    assert_eq!(moved, foretell(Given { past: Some(Asset::Btc), ..year }).unwrap());
}

#[test]
fn a_coin_without_a_past_is_foretold_as_unsteadily_as_the_most_unsteady_and_no_better_on_average() {
    let mut year = Given { term_secs: 31_536_000, scenarios: 500, ..given() };
    year.chains[0].asset = Asset::Etc;
    year.price.asset = Asset::Etc;
    let still = foretell(year.clone()).unwrap();
    let of_another = Some(past::Past::drawn_for(Asset::Etc));
    let f = foretell(Given { past: of_another, ..year }).unwrap();
    assert_eq!((f.model.as_str(), still.model.as_str()), (MODEL_OF_ANOTHER, MODEL_STILL));
    let (a, b) = (&still.assets[0], &f.assets[0]);
    assert!(b.high_minor - b.low_minor > 10 * (a.high_minor - a.low_minor), "{b:?} {a:?}");
    let part = b.expected_minor * 100 / a.expected_minor;
    assert!((80..=120).contains(&part), "{b:?} {a:?}");
    assert!(f.words.iter().any(|w| w.contains("no kept history")), "{:?}", f.words);
}

#[test]
fn how_much_wider_than_the_past_a_forecast_is_is_said_and_of_a_very_wide_one_that_it_tells_little()
{
    let said = |of: Asset, weeks: u64, past: Asset| {
        let mut given = Given { term_secs: weeks * 604_800, scenarios: 20, ..given() };
        (given.chains[0].asset, given.price.asset, given.past) = (of, of, Some(past));
        foretell(given).unwrap().words.join(" ")
    };
    // As docs/statements.md has them.
    for (of, weeks, times, is_wide) in [
        (Asset::Btc, 4, "1.4", false),
        (Asset::Btc, 52, "1.8", false),
        (Asset::Ltc, 4, "1.6", false),
        (Asset::Ltc, 13, "2.0", true),
        (Asset::Ltc, 52, "4.5", true),
        (Asset::Ltc, 200, "4.5", true),
    ] {
        let words = said(of, weeks, of);
        assert!(words.contains(&format!("moves {times} times as widely")), "{of} {weeks}: {words}");
        assert_eq!(words.contains("tells little"), is_wide, "{of} {weeks}: {words}");
        assert!(words.contains(&format!("the kept history of {of}")), "{words}");
    }
    assert!(said(Asset::Ltc, 4, Asset::Ltc).contains("up to 2020-05-01"));
    let of_another = said(Asset::Etc, 52, past::Past::drawn_for(Asset::Etc));
    assert!(
        of_another.contains("4.5 times") && of_another.contains("tells little"),
        "{of_another}"
    );
    let still = foretell(given()).unwrap().words.join(" ");
    assert!(!still.contains("times as widely"), "{still}");
}

#[test]
fn a_price_in_dollars_comes_back_by_the_coins_price_and_upkeep_in_dollars_is_taken() {
    // 84.67 coins of a million minor units, of 10^8: 0.8467 coins at 100 dollars.
    let price = |minor| Money { asset: Asset::Usd, minor };
    let at = |minor, fee: u64| Given {
        price: price(minor),
        usd_micro: Some(100_000_000),
        upkeep_usd_micro_per_th_day: fee,
        ..given()
    };
    let cheap = foretell(at(80_000_000, 0)).unwrap();
    assert_eq!(cheap.expects_loss, Some(false));
    assert!(cheap.break_even_per_mille.unwrap() > 500);
    let dear = foretell(at(90_000_000, 0)).unwrap();
    assert_eq!(dear.expects_loss, Some(true));
    // 10^-7 TH·days cost ten dollars.
    let fee = foretell(at(80_000_000, 100_000_000_000_000)).unwrap();
    assert_eq!(fee.expects_loss, Some(true));
    let less = cheap.assets[0].expected_minor - fee.assets[0].expected_minor;
    assert!((less - 10_000_000).abs() < 100_000, "{less}");
    let unknown = foretell(Given { usd_micro: None, ..at(80_000_000, 1) }).unwrap();
    assert_eq!(unknown.expects_loss, None);
    assert!(unknown.words.iter().any(|w| w.contains("no price is recorded")));
}

#[test]
fn a_price_above_the_mean_is_said_to_lose_money() {
    let dear = Given { price: Money { asset: Asset::Btc, minor: 100_000_000 }, ..given() };
    let f = foretell(dear).unwrap();
    assert_eq!(f.expects_loss, Some(true));
    assert!(f.words.iter().any(|w| w.starts_with("You should expect to lose money")));
    assert!(f.break_even_per_mille.unwrap() < 50);
}

#[test]
fn the_same_seed_gives_the_same_forecast_and_another_one_another() {
    assert_eq!(foretell(given()), foretell(given()));
    let other = foretell(Given { seed: "8".into(), ..given() }).unwrap();
    assert_ne!(other.assets, foretell(given()).unwrap().assets);
}

#[test]
fn upkeep_is_taken_and_goes_on_to_the_next_coin() {
    let mut two = given();
    let th_days = 1e5 / 1e12;
    // The whole upkeep is twice what the first coin brings.
    two.chains[0].upkeep_minor_per_th_day = (170_000_000.0 / th_days) as u64;
    let second = ChainNow { asset: Asset::Doge, ..two.chains[0].clone() };
    two.chains
        .push(ChainNow { upkeep_minor_per_th_day: (100_000_000.0 / th_days) as u64, ..second });
    let f = foretell(two).unwrap();
    assert!(f.assets[0].expected_minor < 1_000_000, "{:?}", f.assets);
    let rest = f.assets[1].expected_minor;
    assert!((rest - 34_700_000).abs() < 4_000_000, "{rest}");
}

#[test]
fn what_makes_no_model_gives_no_forecast() {
    let none = |change: fn(&mut Given)| {
        let mut g = given();
        change(&mut g);
        foretell(g).is_none()
    };
    assert!(none(|g| g.chains.clear()));
    assert!(none(|g| g.chains[0].block_hashes = "0".into()));
    assert!(none(|g| g.hashrate = "-1".into()));
    assert!(none(|g| g.term_secs = 0));
    let elsewhere = Given { price: Money { asset: Asset::Usd, minor: 5 }, ..given() };
    let f = foretell(elsewhere).unwrap();
    assert_eq!((f.expects_loss, f.break_even_per_mille), (None, None));
}

#[test]
fn a_price_in_euro_comes_back_by_two_recorded_prices_and_without_one_is_said_to_be_unknown() {
    // 0.8467 coins at 100 dollars, a euro at 1.25 dollars: 67.7 euro.
    let at = |minor, euro| {
        let price = Money { asset: Asset::Eur, minor };
        let dollars = Some(100_000_000);
        foretell(Given { price, usd_micro: dollars, pay_usd_micro: euro, ..given() }).unwrap()
    };
    let unit = Asset::Eur.unit();
    let cheap = at(60 * unit, Some(1_250_000));
    assert_eq!(cheap.expects_loss, Some(false));
    let left = cheap.outcome.unwrap();
    assert!((left.expected_minor - unit * 774 / 100).abs() < unit, "{left:?}");
    assert!(left.low_minor < left.expected_minor && left.expected_minor < left.high_minor);
    assert_eq!(at(75 * unit, Some(1_250_000)).expects_loss, Some(true));
    let unknown = at(60 * unit, None);
    assert_eq!((unknown.expects_loss, unknown.outcome), (None, None));
    assert!(unknown.words.iter().any(|w| w.contains("is recorded of EUR.")), "{unknown:?}");
    let neither = foretell(Given { price: Money { asset: Asset::Eur, minor: unit }, ..given() });
    assert!(neither.unwrap().words.iter().any(|w| w.contains("recorded of BTC, EUR.")));
}

#[test]
fn what_is_paid_along_the_way_is_held_against_what_is_earned() {
    let along = |asset, minor, is_waived| {
        let running = Running { money: Money { asset, minor }, usd_micro: None, is_waived };
        let price = Money { asset, minor: 0 };
        let dollars = Some(100_000_000);
        foretell(Given { running: Some(running), price, usd_micro: dollars, ..given() }).unwrap()
    };
    // 84.67 dollars' worth is earned; in coins the same.
    for asset in [Asset::Usd, Asset::Btc] {
        let (less, more) = (80_000_000, 90_000_000);
        let cheap = along(asset, less, false);
        assert_eq!(cheap.expects_loss, Some(false), "{asset}");
        assert!(cheap.break_even_per_mille.unwrap() > 500 && cheap.break_even_secs.is_none());
        let left = cheap.outcome.unwrap().expected_minor;
        assert!((left - 4_672_000).abs() < 1_000_000, "{asset} {left}");
        let dear = along(asset, more, false);
        assert_eq!(dear.expects_loss, Some(true), "{asset}");
        assert!(dear.words.iter().any(|w| w.starts_with("You should expect to lose money: in")));
        let waived = along(asset, more, true);
        assert!(waived.outcome.unwrap().low_minor >= 0, "nothing is owed beyond the earnings");
    }
    // A machine that is paid for at the start and costs half of what it earns comes back within the term.
    let running = Running {
        money: Money { asset: Asset::Btc, minor: 40_000_000 },
        usd_micro: None,
        is_waived: false,
    };
    let price = Money { asset: Asset::Btc, minor: 20_000_000 };
    let machine = foretell(Given { running: Some(running), price, ..given() }).unwrap();
    assert_eq!((machine.expects_loss, machine.break_even_per_mille), (Some(false), Some(1_000)));
    let half = machine.break_even_secs.unwrap();
    assert!((20_000..70_000).contains(&half), "{half}");
}

#[test]
fn schemes_have_the_same_mean_and_not_the_same_luck() {
    let by = |scheme| foretell(Given { scheme, ..given() }).unwrap().assets.remove(0);
    let all = [Scheme::Fpps, Scheme::Pplns, Scheme::Solo].map(by);
    let width = all.each_ref().map(|a| a.high_minor - a.low_minor);
    for a in &all {
        assert!((a.expected_minor - 84_672_000).abs() < 2_000_000, "{all:?}");
        assert!((a.fee_minor - 1_728_000).abs() < 60_000, "{a:?}");
    }
    assert_eq!(width[0], 0);
    assert!(width[1] > 0 && width[2] > 2 * width[1], "{width:?}");
}

#[test]
fn rare_blocks_are_luck_and_the_interval_says_so() {
    let mut rare = given();
    rare.chains[0].block_hashes = "1000000000000000".into();
    let f = foretell(rare).unwrap();
    assert_eq!(f.assets[0].low_minor, f.assets[0].low_minor.max(0));
    assert!(f.assets[0].high_minor <= 1_000_000);
}
