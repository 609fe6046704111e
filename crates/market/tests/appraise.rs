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
