//! Real offers on the real past of a coin: what is known to have happened to them must come out.

#![allow(clippy::unwrap_used)]

use gruve_market::appraise::{Date, Ended, History, Model, Offer, backtest, forecast, summarise};
use gruve_units::Asset;
use serde_json::{Value, json};

fn history(asset: Asset, name: &str) -> History {
    let path = format!("{}/../../testdata/market/{name}", env!("CARGO_MANIFEST_DIR"));
    History::parse(asset, &std::fs::read_to_string(path).unwrap()).unwrap()
}

fn bitcoin() -> History {
    history(Asset::Btc, "btc-daily-2010-2026.csv")
}

fn offer(name: &str, change: &[(&str, Value)]) -> Offer {
    let path = format!("{}/../../docs/offers/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    for (field, to) in change {
        value[*field] = to.clone();
    }
    Offer::parse(&value.to_string()).unwrap()
}

fn day(text: &str) -> Date {
    text.parse().unwrap()
}

/// The service said on 20 July 2018 that its SHA-256 contracts had lost money for 28 days in a row.
#[test]
fn the_offer_that_ended_in_july_2018_ends_in_july_2018() {
    let (offer, past) = (offer("hashflare-2017", &[]), bitcoin());
    let bought = backtest(&offer, &past).unwrap().buy(day("2017-12-01")).unwrap();
    assert_eq!(bought.ended, Ended::Unprofitable);
    assert!(bought.until >= day("2018-07-01") && bought.until <= day("2018-07-31"), "{bought:?}");
    assert!(!bought.money_back());
    // The least payout was raised above what a terahash ever earned: nothing could be withdrawn.
    assert_eq!((bought.received, bought.sold_daily_usd), (0, 0));
}

/// Its notice to customers with open-ended contracts is of 16 August 2018, sixty days after the fee
/// passed the earnings.
#[test]
fn the_offer_with_sixty_days_of_grace_ends_within_weeks_of_its_notice() {
    let (offer, past) = (offer("genesis-2017", &[]), bitcoin());
    let bought = backtest(&offer, &past).unwrap().buy(day("2017-06-01")).unwrap();
    assert_eq!(bought.ended, Ended::Unprofitable);
    let from_notice = bought.until.since(day("2018-08-16"));
    assert!((-45..=120).contains(&from_notice), "{bought:?}");
}

/// The history carries hash prices that others computed: ours are theirs.
#[test]
fn a_terahashs_day_earns_what_the_published_hashprice_says() {
    let past = bitcoin();
    let free = [
        ("fee_usd_per_th_day", json!("0")),
        ("term_days", json!(1)),
        ("minimum_payout", json!("0")),
    ];
    let offer = offer("hashflare-2017", &free);
    let test = backtest(&offer, &past).unwrap();
    let path =
        format!("{}/../../testdata/market/btc-daily-2010-2026.csv", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut held = 0;
    for line in text.lines().skip(1) {
        let f: Vec<&str> = line.split(',').collect();
        let Ok(with_fees) = f[7].parse::<f64>() else { continue };
        let ours = test.buy(day(f[0])).unwrap().sold_daily_usd;
        #[expect(clippy::cast_precision_loss, reason = "compared with a published figure")]
        let ours = ours as f64 / 1e6;
        // A satoshi and a micro-dollar at most, 1.5e-5 for the two readings of difficulty one, and rounded inputs.
        assert!(
            (ours - with_fees).abs() <= with_fees * 1e-4 + 2e-6,
            "{}: {ours} {with_fees}",
            f[0]
        );
        held += 1;
    }
    assert!(held > 4_000, "{held}");
}

#[test]
fn litecoins_past_is_read_with_its_issuance() {
    let past = history(Asset::Ltc, "ltc-daily-2011-2020.csv");
    assert_eq!(past.day(day("2014-01-01")).unwrap().subsidy, 50_0000_0000);
    assert_eq!(past.day(day("2016-01-01")).unwrap().subsidy, 25_0000_0000);
    assert_eq!(past.day(day("2020-01-01")).unwrap().subsidy, 12_5000_0000);
}

#[test]
fn a_buyer_of_every_day_is_counted_once_and_the_forecast_is_reproducible() {
    let (offer, past) = (offer("hashflare-2017", &[("minimum_payout", json!("0"))]), bitcoin());
    let all = backtest(&offer, &past).unwrap().buy_each(past.first(), past.last()).unwrap();
    let summary = summarise(&all, false);
    assert_eq!(summary.counted + summary.running, all.len());
    assert_eq!(all.len(), past.days().len());
    let model = Model { scenarios: 100, ..Model::default() };
    let first = forecast(&offer, &past, model).unwrap();
    assert_eq!(first, forecast(&offer, &past, model).unwrap());
    assert!(first.expects_loss(), "220 dollars for a terahash in 2026: {first:?}");
    assert_eq!(first.money_back_per_mille, 0);
}

#[test]
fn every_offer_that_is_kept_can_be_held_against_the_past() {
    let past = bitcoin();
    let folder = format!("{}/../../docs/offers", env!("CARGO_MANIFEST_DIR"));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let name = name.strip_suffix(".json").unwrap().to_owned();
        let bought = backtest(&offer(&name, &[]), &past).unwrap().buy(day("2021-10-01")).unwrap();
        assert!(bought.paid_usd > 0 && bought.mined > 0, "{name}: {bought:?}");
        names.push(name);
    }
    names.sort();
    // docs/appraise.md names them.
    let docs = format!("{}/../../docs/appraise.md", env!("CARGO_MANIFEST_DIR"));
    let docs = std::fs::read_to_string(docs).unwrap();
    let unnamed: Vec<_> = names.iter().filter(|n| !docs.contains(&format!("`{n}.json`"))).collect();
    assert!(unnamed.is_empty() && names.len() >= 6, "{unnamed:?} {names:?}");
}

/// Its electricity is paid beforehand; who pays it no more after some days at a loss loses the hashrate fee.
#[test]
fn a_plan_whose_electricity_is_not_paid_any_more_ends_and_its_price_is_lost() {
    let past = bitcoin();
    let classic = offer("bitdeer-classic", &[]);
    let dear = offer(
        "bitdeer-classic",
        &[("energy", json!({"joules_per_th": "60", "usd_per_kwh": "0.3"}))],
    );
    let from = day("2022-05-01");
    let paid = backtest(&classic, &past).unwrap().buy(from).unwrap();
    let left = backtest(&dear, &past).unwrap().buy(from).unwrap();
    assert_eq!((paid.ended, paid.days_mined), (Ended::Term, 360));
    assert_eq!(left.ended, Ended::Unprofitable);
    assert!(left.days_mined < 360 && !left.money_back(), "{left:?}");
}
