//! What money is worth that an offer is paid in, and that is neither dollars nor the coin it mines.

use super::history::{exact, fixed, no_column, push_day, unmarked};
use super::{AppraiseError, Date};
use gruve_units::Asset;

/// A money's price in dollars, as the reader of an offer gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Money {
    asset: Asset,
    worth: Worth,
}

/// Micro-dollars for a whole one.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Worth {
    Always(u64),
    Daily { first: Date, days: Vec<u64> },
}

impl Money {
    /// Money whose price is taken to be the same on all days: dollars for a whole one, a decimal number.
    ///
    /// # Errors
    /// [`AppraiseError::Offer`] when that is no price.
    pub fn always(asset: Asset, usd: &str) -> Result<Money, AppraiseError> {
        let micro = exact(usd, 6).and_then(price).map_err(|e| wrong(asset, &e))?;
        Ok(Money { asset, worth: Worth::Always(micro) })
    }

    /// Money with a price for each day: a CSV with a line of names, of which `date` and `price_usd` are read. Missing days
    /// are filled as a history's; after the last day its price stays.
    ///
    /// # Errors
    /// [`AppraiseError::History`] with the line.
    pub fn daily(asset: Asset, csv: &str) -> Result<Money, AppraiseError> {
        let wrong = |line: usize, why: String| AppraiseError::History { line: line + 1, why };
        let mut lines = unmarked(csv).lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let (_, head) = lines.next().ok_or_else(|| wrong(0, "it is empty".into()))?;
        let names: Vec<&str> = head.trim().split(',').map(str::trim).collect();
        let find = |name: &str| {
            let at = names.iter().position(|n| *n == name);
            at.ok_or_else(|| wrong(0, no_column(name, &names)))
        };
        let (date, usd) = (find("date")?, find("price_usd")?);
        let mut first = None;
        let mut days = Vec::new();
        for (at, line) in lines {
            let fields: Vec<&str> = line.trim().split(',').map(str::trim).collect();
            let field = |i: usize| fields.get(i).copied().unwrap_or("");
            let read = || -> Result<(Date, u64), String> {
                Ok((field(date).parse()?, fixed(field(usd), 6).and_then(price)?))
            };
            let (day, micro) = read().map_err(|why| wrong(at, why))?;
            let from = *first.get_or_insert(day);
            push_day(from, &mut days, day, micro).map_err(|why| wrong(at, why))?;
        }
        let first = first.ok_or_else(|| wrong(0, "it has no days".into()))?;
        Ok(Money { asset, worth: Worth::Daily { first, days } })
    }

    /// Which money.
    #[must_use]
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// Micro-dollars for a whole one on a day.
    ///
    /// # Errors
    /// [`AppraiseError::Offer`] before the first day that is known.
    pub fn usd_micro(&self, day: Date) -> Result<u64, AppraiseError> {
        match &self.worth {
            Worth::Always(micro) => Ok(*micro),
            Worth::Daily { first, days } => {
                let at = usize::try_from(day.since(*first)).ok();
                let known = at.and_then(|i| days.get(i).or(days.last()));
                known.copied().ok_or_else(|| {
                    let why = format!("what {} is worth is known from {first} on only", self.asset);
                    AppraiseError::Offer(why)
                })
            }
        }
    }
}

fn wrong(asset: Asset, why: &str) -> AppraiseError {
    AppraiseError::Offer(format!("what {asset} is worth: {why}"))
}

/// More than a billion dollars for one is no price of anything.
fn price(micro: u128) -> Result<u64, String> {
    const MAX: u128 = 1_000_000_000_000_000;
    u64::try_from(micro)
        .ok()
        .filter(|m| *m > 0 && u128::from(*m) <= MAX)
        .ok_or_else(|| "a price must be above zero and at most a billion dollars".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn money_is_worth_what_its_day_says_and_after_the_last_one_what_that_says() {
        let csv = "date,other,price_usd\n2024-01-01,x,1.1\n2024-01-03,,1.2\n";
        let euro = Money::daily(Asset::Eur, csv).unwrap();
        let at = |text| euro.usd_micro(day(text));
        assert_eq!(at("2024-01-01"), Ok(1_100_000));
        assert_eq!(at("2024-01-02"), Ok(1_100_000), "the day before it");
        assert_eq!(at("2024-01-03"), Ok(1_200_000));
        assert_eq!(at("2030-01-01"), Ok(1_200_000));
        assert!(at("2023-12-31").unwrap_err().to_string().contains("2024-01-01"));
        let always = Money::always(Asset::Eur, "1.0845").unwrap();
        assert_eq!(always.usd_micro(day("1999-01-01")), Ok(1_084_500));
    }

    #[test]
    fn what_is_no_price_is_refused() {
        for text in ["0", "-1", "x", "1.0000001", "1e3", "99999999999"] {
            assert!(Money::always(Asset::Eur, text).is_err(), "{text}");
        }
        let line = |text: &str| match Money::daily(Asset::Eur, text).unwrap_err() {
            AppraiseError::History { line, .. } => line,
            other => panic!("{other}"),
        };
        assert_eq!(line(""), 1);
        assert_eq!(line("date,price\n2024-01-01,1\n"), 1);
        assert_eq!(line("date,price_usd\n"), 1);
        assert_eq!(line("date,price_usd\n2024-01-01,0\n"), 2);
        assert_eq!(line("date,price_usd\n2024-01-01,1\n2024-01-01,1\n"), 3);
        assert_eq!(line("date,price_usd\n2024-01-01,1\n2024-02-01,1\n"), 3);
    }
}
