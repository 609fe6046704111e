//! An offer of hashpower, whoever makes it.

use super::history::{exact, unmarked};
use super::{AppraiseError, Money, own};
use gruve_statement::Terms;
use gruve_statement::hosting::HostingTerms;
use gruve_statement::metered::METERED_FORMAT;
use gruve_statement::terms::{FORMAT, FORMAT_1, SIGNED_FORMAT};
use gruve_units::{Asset, Hashrate};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

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
    /// What is due for each day it mines.
    pub fees: Vec<Fee>,
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
    /// Earnings wait until they are so many minor units, with the fees that are taken out of them; at the end they are
    /// received however few they are.
    pub waits_for: u64,
}

/// An amount of money, turned into dollars at the day's price.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Price {
    /// Micro-dollars.
    Usd(u64),
    /// Minor units of the coin that is mined.
    Coin(u64),
    /// Minor units of other money.
    Other(u64, Arc<Money>),
}

/// What is due for a day of mining.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fee {
    /// How much.
    pub price: Price,
    /// For what.
    pub per: Per,
    /// Whether the buyer pays it with money of his own, whatever is earned. What is not is taken out of the day's earnings, and
    /// [`Unprofitable`] says what happens where they do not cover it.
    pub is_paid: bool,
}

/// For what a fee is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// A day's work of that rate.
    Day(Hashrate),
    /// A day, whatever is worked in it.
    AnyDay,
}

/// A terahash a second.
pub(super) const TERA: Hashrate = Hashrate(1_000_000_000_000);

impl Fee {
    /// A fee a TH and day that is taken out of the earnings.
    pub(super) fn of_work(price: Price) -> Fee {
        Fee { price, per: Per::Day(TERA), is_paid: false }
    }
}

/// What the terms leave open and their reader gives.
#[derive(Clone, Debug, Default)]
pub struct Given {
    /// The coin that is mined, for terms that name only a lane.
    pub coin: Option<Asset>,
    /// What other money is worth.
    pub worth: Vec<Money>,
}

/// An amount of whatever money, for who mines a coin.
pub(super) fn of_money(
    asset: Asset,
    minor: u64,
    mines: Asset,
    given: &Given,
) -> Result<Price, AppraiseError> {
    if asset == mines {
        return Ok(Price::Coin(minor));
    }
    if asset == Asset::Usd {
        // Of a dollar a minor unit is a micro-dollar.
        return Ok(Price::Usd(minor));
    }
    let worth = given.worth.iter().find(|m| m.asset() == asset);
    let worth = worth.ok_or_else(|| {
        wrong(format!(
            "it is paid in {asset} and earns {mines}: say what {asset} is worth in dollars (--worth)"
        ))
    })?;
    Ok(Price::Other(minor, Arc::new(worth.clone())))
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
    /// As `debt`, until after so many such days in a row the customer pays no more, which ends it for good.
    Stop {
        /// Days in a row.
        after_days: u32,
    },
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
        Offer::parse_with(json, &Given::default())
    }

    /// The same, of terms that leave something open.
    ///
    /// # Errors
    /// As [`Offer::parse`]; what is left open and not given is said.
    pub fn parse_with(json: &str, given: &Given) -> Result<Offer, AppraiseError> {
        let json = unmarked(json);
        let value: Value =
            serde_json::from_str(json).map_err(|e| wrong(format!("not JSON: {e}")))?;
        match value.get("format").and_then(Value::as_str) {
            Some("gruve offer 1") => {
                as_written(&value)?;
                read::<Written>(value)?.offer()
            }
            Some(SIGNED_FORMAT) => own::of_file(json, given),
            Some(FORMAT | FORMAT_1 | METERED_FORMAT) => {
                let terms = Terms::parse(json.as_bytes()).map_err(|e| wrong(e.to_string()))?;
                own::of_terms(terms, given)
            }
            Some(_) if HostingTerms::are_in(json) => {
                let terms =
                    HostingTerms::parse(json.as_bytes()).map_err(|e| wrong(e.to_string()))?;
                own::of_machine(&terms, given)
            }
            Some(other) => Err(wrong(format!("format {other:?} is not known here"))),
            None => Err(wrong(r#"it must begin with "format": "gruve offer 1""#.into())),
        }
    }
}

/// Members that are text, so that no decimal is rounded on the way, and those that are whole numbers of days.
const TEXTS: [&str; 10] = [
    "name",
    "coin",
    "hashrate",
    "price_usd",
    "price_coin",
    "fee_usd_per_th_day",
    "service_percent",
    "uptime_percent",
    "operator_share_after_break_even_percent",
    "minimum_payout",
];
const DAYS: [&str; 2] = ["term_days", "starts_after_days"];

/// Says by its name which member is written otherwise than the format has it.
fn as_written(offer: &Value) -> Result<(), AppraiseError> {
    for name in TEXTS {
        if let Some(other) = offer.get(name).filter(|v| !v.is_string() && !v.is_null()) {
            let text = other.to_string().replace('"', "");
            return Err(wrong(format!("{name}: write it as text, such as \"{text}\"")));
        }
    }
    for name in DAYS {
        if let Some(other) = offer.get(name).filter(|v| !v.is_u64() && !v.is_null()) {
            return Err(wrong(format!("{name}: {other} is not a whole number of days")));
        }
    }
    Ok(())
}

pub(super) fn wrong(why: String) -> AppraiseError {
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
            fees: if fee > 0 { vec![Fee::of_work(Price::Usd(fee))] } else { Vec::new() },
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
            waits_for: 0,
        };
        offer.checked()
    }
}

impl Offer {
    /// Whether anything is paid at the beginning.
    #[must_use]
    pub fn has_price(&self) -> bool {
        !matches!(self.price, Price::Usd(0) | Price::Coin(0) | Price::Other(0, _))
    }

    pub(super) fn checked(self) -> Result<Offer, AppraiseError> {
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
        let in_a_row = match self.unprofitable {
            Unprofitable::End { after_days } | Unprofitable::Stop { after_days } => after_days,
            _ => 1,
        };
        if in_a_row == 0 {
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

pub(super) fn too_large() -> AppraiseError {
    AppraiseError::TooLarge("a price or fee")
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
        assert_eq!(o.fees, [Fee::of_work(Price::Usd(217_600))]);
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
        let text = says(&[("price_usd", 5.into())]);
        assert!(text.contains("price_usd: write it as text, such as \"5\""), "{text}");
        for days in [serde_json::json!(-1), serde_json::json!(1.5), serde_json::json!("30")] {
            let said = says(&[("term_days", days)]);
            assert!(said.contains("term_days") && said.contains("whole number"), "{said}");
        }
        assert!(says(&[("price_usd", "-5".into())]).contains("price_usd: \"-5\" is below zero"));
        assert!(Offer::parse("{").unwrap_err().to_string().contains("JSON"));
    }
}
