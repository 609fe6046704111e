//! `[conversion]`: coins that pay what is priced in another currency.

use super::{Fault, Span};
use gruve_market::PriceRules;
use gruve_units::{Asset, Bps, Duration};
use gruve_web::ConversionRules;
use serde::Deserialize;

/// The most that is added to an amount: above it somebody has mistaken the unit.
const SPREAD_BPS_MAX: u16 = 2_000;
/// No block may come for some minutes on any chain that is served.
const LOCK_MIN: Duration = Duration::from_secs(5 * 60);
/// A price of yesterday is nobody's.
const LOCK_MAX: Duration = Duration::from_secs(24 * 3_600);

/// `[conversion]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConversionConfig {
    /// What is added to the amount.
    pub spread_bps: Bps,
    /// How long a rate counts, at most as long as the invoice is open.
    #[serde(default = "default_lock")]
    pub lock: Span,
}

fn default_lock() -> Span {
    Span(Duration::from_secs(3_600))
}

impl ConversionConfig {
    /// As the pages know it.
    #[must_use]
    pub const fn rules(&self) -> ConversionRules {
        ConversionRules { spread: self.spread_bps, lock: self.lock.0 }
    }
}

/// The currencies of banks' money whose price can be known: plans may be priced in them though only coins pay.
pub(crate) fn currencies(set: Option<&ConversionConfig>, prices: &PriceRules) -> Vec<Asset> {
    let known = |a: &Asset| *a == Asset::Usd || !prices.names(*a).is_empty() && prices.covers(*a);
    let all = Asset::ALL.into_iter().filter(|a| a.is_fiat());
    all.filter(|a| set.is_some() && known(a)).collect()
}

/// What is wrong with it.
pub(super) fn faults(set: Option<&ConversionConfig>, prices: &PriceRules) -> Vec<Fault> {
    let Some(set) = set else { return Vec::new() };
    let checks = [
        (
            "conversion.spread_bps",
            set.spread_bps.get() <= SPREAD_BPS_MAX,
            "write hundredths of a percent, 0 to 2,000",
        ),
        (
            "conversion.lock",
            (LOCK_MIN..=LOCK_MAX).contains(&set.lock.0),
            "write five minutes to a day: payments must be in a block by then",
        ),
        (
            "conversion",
            Asset::ALL.into_iter().any(|a| !a.is_fiat() && !prices.names(a).is_empty()),
            "it needs the prices of coins: name a quorum of [[prices.source]]",
        ),
    ];
    let wrong = checks.into_iter().filter(|(_, holds, _)| !holds);
    wrong.map(|(place, _, what)| Fault { place: place.to_owned(), what: what.to_owned() }).collect()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SAMPLE};
    use std::path::Path;

    const SOURCES: &str = "[prices]\n[[prices.source]]\nname = \"a\"\nasset = \"BTC\"\n";
    const EUR: &str = "[[prices.source]]\nname = \"a\"\nasset = \"EUR\"\n";

    fn faults(text: &str) -> Vec<String> {
        let read = Config::parse(text, Path::new("/base"));
        read.err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    fn with(section: &str) -> Vec<String> {
        faults(&format!("{SAMPLE}\n{SOURCES}[conversion]\n{section}"))
    }

    #[test]
    fn rates_have_a_spread_and_a_time_within_bounds_and_need_prices() {
        assert_eq!(with("spread_bps = 0"), Vec::<String>::new());
        assert_eq!(with("spread_bps = 2000\nlock = \"24h\""), Vec::<String>::new());
        let one = |section: &str, place: &str| {
            let found = with(section);
            assert!(found.len() == 1 && found[0].contains(place), "{section}: {found:?}");
        };
        one("spread_bps = 2001", "conversion.spread_bps");
        one("spread_bps = 100\nlock = \"4m\"", "conversion.lock");
        one("spread_bps = 100\nlock = \"2d\"", "conversion.lock");
        one("lock = \"1h\"", "spread_bps");
        let found = faults(&format!("{SAMPLE}\n[conversion]\nspread_bps = 100"));
        assert!(found.len() == 1 && found[0].contains("[[prices.source]]"), "{found:?}");
    }

    #[test]
    fn a_plan_may_be_priced_in_what_only_coins_pay() {
        let plan = |currency: &str| {
            let priced = format!("[[plan]]\npay_asset = \"{currency}\"\n");
            SAMPLE.replacen("[[plan]]\n", &priced, 1)
        };
        let section = "[conversion]\nspread_bps = 100\n";
        for (currency, sources, is_right) in
            [("EUR", EUR, true), ("EUR", "", false), ("USD", "", true)]
        {
            let text = format!("{}\n{SOURCES}{sources}{section}", plan(currency));
            let found = faults(&text);
            assert_eq!(found.is_empty(), is_right, "{currency}: {found:?}");
        }
        assert_eq!(faults(&format!("{}\n{SOURCES}", plan("USD"))).len(), 1);
    }
}
