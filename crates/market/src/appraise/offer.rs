//! An offer of hashpower, whoever makes it.

use super::{AppraiseError, history::exact};
use gruve_statement::terms::{
    FORMAT, FORMAT_1, FeeRule, MaintenanceRule, SIGNED_FORMAT, SchemeRule, UnprofitableRule,
    UsdMaintenanceRule,
};
use gruve_statement::{SignedTerms, Terms};
use gruve_units::{Asset, Hashrate};
use serde::Deserialize;
use serde_json::Value;

/// Days that a term may have: ten years.
pub const TERM_DAYS_MAX: u32 = 3_660;
/// Bytes that an offer's text may have.
pub const BYTES_MAX: u64 = 1 << 20;

/// What is bought, for what, and under which rules. Money in micro-dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Its name, for the reader.
    pub name: String,
    /// The coin it mines.
    pub asset: Asset,
    /// The hashrate bought.
    pub hashrate: Hashrate,
    /// What is paid at the beginning.
    pub price: Price,
    /// Fee a TH and day, maintenance and energy together, micro-dollars; owed for each day it mines.
    pub fee_usd_per_th_day: u64,
    /// Fee a TH and day in minor units of the coin it mines.
    pub fee_minor_per_th_day: u64,
    /// Of the earnings, before other fees, in basis points.
    pub service_bps: u32,
    /// Part of the time that it mines, in basis points.
    pub uptime_bps: u32,
    /// Days it runs; `None` until further notice.
    pub term_days: Option<u32>,
    /// Days between payment and the first hash.
    pub starts_after_days: u32,
    /// What happens on days whose earnings do not cover the fee.
    pub unprofitable: Unprofitable,
    /// Of each day's net earnings after break-even, the operator's part in basis points.
    pub operator_share_after_break_even_bps: u32,
    /// Least amount that can be withdrawn, minor units. What stays below it at the end is never received.
    pub minimum_payout: u64,
}

/// What is paid at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// Micro-dollars.
    Usd(u64),
    /// Minor units of the coin that it mines, turned into dollars at the day's price.
    Coin(u64),
}

/// What happens on days whose earnings do not cover the fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "rule", rename_all = "snake_case", deny_unknown_fields)]
pub enum Unprofitable {
    /// It mines on; the fee takes all earnings and the rest of it is the operator's loss.
    Run,
    /// It rests, and the term stands still meanwhile.
    Pause,
    /// As `run`, but after so many such days in a row the contract is over for good.
    End {
        /// Days in a row.
        after_days: u32,
    },
    /// It mines on and the customer owes what the earnings do not cover.
    Debt,
}

/// An offer as people write it; decimals are strings, so that none is rounded on the way.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    format: String,
    name: String,
    coin: String,
    hashrate: String,
    price_usd: Option<String>,
    price_coin: Option<String>,
    #[serde(default)]
    fee_usd_per_th_day: Option<String>,
    #[serde(default)]
    energy: Option<Energy>,
    #[serde(default)]
    service_percent: Option<String>,
    #[serde(default)]
    uptime_percent: Option<String>,
    #[serde(default)]
    term_days: Option<u32>,
    #[serde(default)]
    starts_after_days: u32,
    unprofitable: Unprofitable,
    #[serde(default)]
    operator_share_after_break_even_percent: Option<String>,
    #[serde(default)]
    minimum_payout: Option<String>,
    /// Where the terms were found; for readers.
    #[serde(default, rename = "source")]
    _source: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Energy {
    joules_per_th: String,
    usd_per_kwh: String,
}

impl Offer {
    /// Reads an offer: `"format": "gruve offer 1"`, or the terms of a sale of this house, in the file that was
    /// downloaded (whose hash and signature are checked) or bare.
    ///
    /// # Errors
    /// [`AppraiseError::Offer`] with what is wrong and how it is written.
    pub fn parse(json: &str) -> Result<Offer, AppraiseError> {
        let value: Value =
            serde_json::from_str(json).map_err(|e| wrong(format!("not JSON: {e}")))?;
        match value.get("format").and_then(Value::as_str) {
            Some("gruve offer 1") => read::<Written>(value)?.offer(),
            Some(SIGNED_FORMAT) => {
                let terms = SignedTerms::parse(json).and_then(|file| file.open(None));
                of_terms(terms.map_err(|e| wrong(e.to_string()))?)
            }
            Some(FORMAT | FORMAT_1) => {
                of_terms(Terms::parse(json.as_bytes()).map_err(|e| wrong(e.to_string()))?)
            }
            Some(other) => Err(wrong(format!("format {other:?} is not known here"))),
            None => Err(wrong(r#"it must begin with "format": "gruve offer 1""#.into())),
        }
    }
}

fn wrong(why: String) -> AppraiseError {
    AppraiseError::Offer(why)
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> Result<T, AppraiseError> {
    serde_json::from_value(value).map_err(|e| wrong(e.to_string()))
}

impl Written {
    fn offer(self) -> Result<Offer, AppraiseError> {
        debug_assert_eq!(self.format, "gruve offer 1");
        let asset: Asset = self.coin.parse().map_err(|e| wrong(format!("coin: {e}")))?;
        let hashrate: Hashrate =
            self.hashrate.parse().map_err(|e| wrong(format!("hashrate: {e}")))?;
        let price = match (&self.price_usd, &self.price_coin) {
            (Some(usd), None) => Price::Usd(decimal("price_usd", usd, 6)?),
            (None, Some(coin)) => Price::Coin(decimal("price_coin", coin, asset.decimals())?),
            _ => return Err(wrong("write one of price_usd and price_coin".into())),
        };
        let mut fee = optional("fee_usd_per_th_day", self.fee_usd_per_th_day.as_deref(), 6, 0)?;
        if let Some(energy) = &self.energy {
            fee = fee.checked_add(energy.usd_per_th_day()?).ok_or_else(too_large)?;
        }
        let after = self.operator_share_after_break_even_percent.as_deref();
        let offer = Offer {
            name: self.name,
            asset,
            hashrate,
            price,
            fee_usd_per_th_day: fee,
            fee_minor_per_th_day: 0,
            service_bps: percent("service_percent", self.service_percent.as_deref(), 0)?,
            uptime_bps: percent("uptime_percent", self.uptime_percent.as_deref(), 10_000)?,
            term_days: self.term_days,
            starts_after_days: self.starts_after_days,
            unprofitable: self.unprofitable,
            operator_share_after_break_even_bps: percent(
                "operator_share_after_break_even_percent",
                after,
                0,
            )?,
            minimum_payout: optional(
                "minimum_payout",
                self.minimum_payout.as_deref(),
                asset.decimals(),
                0,
            )?,
        };
        offer.checked()
    }
}

/// A sale of this house as an offer. It earns its lane's own coin; what is merge-mined with it is left out.
fn of_terms(terms: Terms) -> Result<Offer, AppraiseError> {
    let earns = *terms.earns.first().ok_or_else(|| wrong("they earn nothing".into()))?;
    let minor = u64::try_from(terms.price.minor).map_err(|_| too_large())?;
    let price = if terms.price.asset == earns {
        Price::Coin(minor)
    } else if terms.price.asset == Asset::Usd {
        // Of a dollar a minor unit is a micro-dollar.
        Price::Usd(minor)
    } else {
        let why = format!(
            "it is paid in {} and earns {earns}: give its price in dollars, as an offer",
            terms.price.asset
        );
        return Err(wrong(why));
    };
    let term_us = u128::from(terms.epoch_us) * u128::from(terms.term_epochs);
    let term = u32::try_from(term_us.div_ceil(86_400_000_000)).map_err(|_| too_large())?;
    let FeeRule::PartOfEarnings { bps } = terms.rules.fee;
    let MaintenanceRule::PerDelivered { order } = terms.rules.maintenance;
    let dollars = terms.rules.life.as_ref().and_then(|life| life.maintenance_usd.as_ref());
    let dollars = dollars
        .map_or(0, |UsdMaintenanceRule::PerDelivered { micro_per_th_day }| *micro_per_th_day);
    let upkeep = order.iter().find(|u| u.asset == earns).map_or(0, |u| u.minor_per_th_day);
    Offer {
        name: terms.title,
        asset: earns,
        hashrate: terms.hashrate,
        price,
        fee_usd_per_th_day: dollars,
        fee_minor_per_th_day: upkeep,
        service_bps: service_bps(&terms.rules.scheme, bps),
        uptime_bps: 10_000,
        term_days: Some(term),
        starts_after_days: 0,
        unprofitable: match terms.rules.unprofitable {
            UnprofitableRule::Run => Unprofitable::Run,
            UnprofitableRule::Pause { .. } => Unprofitable::Pause,
        },
        operator_share_after_break_even_bps: 0,
        minimum_payout: 0,
    }
    .checked()
}

/// The operator's part of what the work is worth: of the earnings, and with FPPS within their price before; rounded
/// up. Pure.
fn service_bps(scheme: &SchemeRule, of_earnings: u16) -> u32 {
    const ALL: u32 = 10_000;
    let within = match scheme {
        SchemeRule::Fpps { fee_bps, .. } => u32::from(*fee_bps),
        _ => 0,
    };
    let left = ALL.saturating_sub(within) * ALL.saturating_sub(of_earnings.into());
    ALL - left / ALL
}

impl Offer {
    fn checked(self) -> Result<Offer, AppraiseError> {
        // A zettahash: more than the world has.
        const HASHRATE_MAX: Hashrate = Hashrate(1_000_000_000_000_000_000_000);
        if self.hashrate == Hashrate::ZERO || self.hashrate > HASHRATE_MAX {
            return Err(wrong(format!("hashrate must be above zero and at most {HASHRATE_MAX}")));
        }
        if self.term_days.is_some_and(|d| d == 0 || d > TERM_DAYS_MAX) {
            return Err(wrong(format!("term_days must be 1 to {TERM_DAYS_MAX}, or left out")));
        }
        if self.starts_after_days > TERM_DAYS_MAX {
            return Err(wrong(format!("starts_after_days must be at most {TERM_DAYS_MAX}")));
        }
        if matches!(self.unprofitable, Unprofitable::End { after_days: 0 }) {
            return Err(wrong("after_days must be above zero".into()));
        }
        Ok(self)
    }
}

impl Energy {
    /// `J/TH · 86,400 s / 3.6·10⁶ J = kWh` a day for one TH/s, rounded up.
    fn usd_per_th_day(&self) -> Result<u64, AppraiseError> {
        let joules = u128::from(decimal("joules_per_th", &self.joules_per_th, 3)?);
        let usd = u128::from(decimal("usd_per_kwh", &self.usd_per_kwh, 6)?);
        let fee = (joules * usd * 86_400).div_ceil(1_000 * 3_600_000);
        u64::try_from(fee).map_err(|_| too_large())
    }
}

fn too_large() -> AppraiseError {
    AppraiseError::TooLarge("a fee")
}

fn decimal(name: &str, text: &str, places: u32) -> Result<u64, AppraiseError> {
    let number = exact(text, places).map_err(|e| wrong(format!("{name}: {e}")))?;
    // Products of what is written here with a century of days must fit comfortably.
    const MAX: u128 = 1 << 60;
    u64::try_from(number)
        .ok()
        .filter(|n| u128::from(*n) <= MAX)
        .ok_or_else(|| wrong(format!("{name}: {text} is too large")))
}

fn optional(
    name: &str,
    text: Option<&str>,
    places: u32,
    otherwise: u64,
) -> Result<u64, AppraiseError> {
    text.map_or(Ok(otherwise), |t| decimal(name, t, places))
}

fn percent(name: &str, text: Option<&str>, otherwise: u32) -> Result<u32, AppraiseError> {
    let Some(text) = text else { return Ok(otherwise) };
    let bps = decimal(name, text, 2)?;
    u32::try_from(bps)
        .ok()
        .filter(|b| *b <= 10_000)
        .ok_or_else(|| wrong(format!("{name}: {text} is not a percentage from 0 to 100")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::world::{World, someone};
    use gruve_store::{Store, laws};

    /// An offer with these fields changed.
    pub(in super::super) fn offer(change: &[(&str, Value)]) -> Result<Offer, AppraiseError> {
        let mut value = serde_json::json!({
            "format": "gruve offer 1", "name": "one", "coin": "BTC", "hashrate": "1 TH/s",
            "price_usd": "100", "fee_usd_per_th_day": "0.35", "term_days": 365,
            "unprofitable": { "rule": "run" },
        });
        for (name, to) in change {
            if to.is_null() {
                value.as_object_mut().unwrap().remove(*name);
            } else {
                value[*name] = to.clone();
            }
        }
        Offer::parse(&value.to_string())
    }

    #[test]
    fn energy_is_joules_times_price() {
        // 98 J/TH at 0.05 USD/kWh: 98 · 86400 / 3.6e6 = 2.352 kWh a day, 0.1176 USD.
        let energy = serde_json::json!({ "joules_per_th": "98", "usd_per_kwh": "0.05" });
        let o = offer(&[("energy", energy), ("fee_usd_per_th_day", "0.1".into())]).unwrap();
        assert_eq!(o.fee_usd_per_th_day, 217_600);
    }

    #[test]
    fn an_offer_that_makes_no_sense_is_refused_with_the_reason() {
        let says = |change: &[(&str, Value)]| offer(change).unwrap_err().to_string();
        assert!(says(&[("coin", "XYZ".into())]).contains("coin"));
        assert!(says(&[("hashrate", "0".into())]).contains("hashrate"));
        assert!(says(&[("hashrate", "-1 TH/s".into())]).contains("hashrate"));
        assert!(says(&[("price_usd", Value::Null)]).contains("price_usd"));
        assert!(says(&[("price_coin", "1".into())]).contains("one of"));
        assert!(says(&[("price_usd", "0.0000001".into())]).contains("decimals"));
        assert!(says(&[("price_usd", "99999999999999999999".into())]).contains("too large"));
        assert!(says(&[("term_days", 0.into())]).contains("term_days"));
        assert!(says(&[("service_percent", "101".into())]).contains("percentage"));
        assert!(says(&[("surprise", 1.into())]).contains("surprise"));
        assert!(
            says(&[("unprofitable", serde_json::json!({"rule": "end", "after_days": 0}))])
                .contains("after_days")
        );
        assert!(says(&[("format", "other".into())]).contains("other"));
        assert!(Offer::parse("{").unwrap_err().to_string().contains("JSON"));
    }

    async fn terms_of_the_house_cost_what_they_say_by_every_scheme_and_in_dollars(store: Store) {
        let w = World::new(store).await;
        w.prove(1_000).await;
        let c = w.lease(someone(1), 1_000, 3).await;
        let file = w.market.signed_terms(someone(1), c).await.unwrap();
        let terms = file.open(None).unwrap();
        let own = of_terms(terms.clone()).unwrap();
        assert_eq!((own.price, own.service_bps), (Price::Coin(300), 200));
        let priced = |asset, minor| {
            let mut terms = terms.clone();
            (terms.price.asset, terms.price.minor) = (asset, minor);
            of_terms(terms)
        };
        assert_eq!(priced(Asset::Usd, 2_500_000).unwrap().price, Price::Usd(2_500_000));
        assert!(priced(Asset::Eur, 1).unwrap_err().to_string().contains("EUR"));
        let mut fpps = terms.clone();
        fpps.rules.scheme = SchemeRule::Fpps { fee_bps: 350, assets: Vec::new() };
        fpps.rules.fee = FeeRule::PartOfEarnings { bps: 0 };
        assert_eq!(of_terms(fpps).unwrap().service_bps, 350);
    }

    laws! { offers: [terms_of_the_house_cost_what_they_say_by_every_scheme_and_in_dollars] }
}
