//! What difficulty, price and fees were, day by day.

use super::{AppraiseError, Date};
use gruve_units::Asset;

/// Days that a history may have: a century.
pub const DAYS_MAX: usize = 36_600;
/// Bytes that a history's text may have.
pub const BYTES_MAX: u64 = 16 << 20;
/// Difficulty is kept in parts of this.
pub const DIFFICULTY_SCALE: u128 = 1_000_000;

/// One day of a coin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// Micro-dollars a coin.
    pub price: u64,
    /// Difficulty in parts of [`DIFFICULTY_SCALE`]; difficulty one is target `0xffff · 2^208`
    /// for SHA-256d chains and for scrypt chains alike, as their nodes say it.
    pub difficulty: u128,
    /// Minor units that a block makes anew.
    pub subsidy: u64,
    /// Minor units of fees in an average block; `None` where nobody wrote them down.
    pub fees: Option<u64>,
}

/// Consecutive days of one coin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    asset: Asset,
    first: Date,
    days: Vec<Day>,
}

/// Columns that a line may have, by name.
struct Columns {
    date: usize,
    price: usize,
    difficulty: usize,
    fees: Option<usize>,
    subsidy: Option<usize>,
    issuance: Option<usize>,
}

impl History {
    /// A history of days that are known already.
    #[must_use]
    pub fn from_days(asset: Asset, first: Date, days: Vec<Day>) -> History {
        History { asset, first, days }
    }

    /// Reads a CSV with a line of names: `date`, `price_usd`, `difficulty`, and where known
    /// `fees_btc` / `fees_ltc` (of the whole day), `subsidy_btc_per_block` or `issuance_ltc` (of the whole
    /// day). Other columns are passed over. A day that is missing is filled with the day before it, at most
    /// seven in a row.
    ///
    /// # Errors
    /// [`AppraiseError::History`] with the line.
    pub fn parse(asset: Asset, csv: &str) -> Result<History, AppraiseError> {
        let wrong = |line: usize, why: String| AppraiseError::History { line: line + 1, why };
        let mut lines = unmarked(csv).lines().enumerate().filter(|(_, l)| !l.trim().is_empty());
        let (_, head) = lines.next().ok_or_else(|| wrong(0, "it is empty".into()))?;
        let columns = Columns::find(asset, head).map_err(|why| wrong(0, why))?;
        let (mut first, mut days) = (None, Vec::new());
        for (at, line) in lines {
            let (date, day) = columns.day(asset, line).map_err(|why| wrong(at, why))?;
            let from = *first.get_or_insert(date);
            push_day(from, &mut days, date, day).map_err(|why| wrong(at, why))?;
        }
        let first = first.ok_or_else(|| wrong(0, "it has no days".into()))?;
        Ok(History { asset, first, days })
    }

    /// The coin.
    #[must_use]
    pub fn asset(&self) -> Asset {
        self.asset
    }

    /// The first day.
    #[must_use]
    pub fn first(&self) -> Date {
        self.first
    }

    /// The last day.
    #[must_use]
    pub fn last(&self) -> Date {
        self.first.plus(i32::try_from(self.days.len()).unwrap_or(i32::MAX).saturating_sub(1))
    }

    /// A day, if the history knows it.
    #[must_use]
    pub fn day(&self, date: Date) -> Option<&Day> {
        usize::try_from(date.since(self.first)).ok().and_then(|i| self.days.get(i))
    }

    /// All days, oldest first.
    #[must_use]
    pub fn days(&self) -> &[Day] {
        &self.days
    }
}

/// The next of some days that begin with `first`; days that are missing between are as the one before, at most seven.
pub(super) fn push_day<T: Copy>(
    first: Date,
    days: &mut Vec<T>,
    date: Date,
    day: T,
) -> Result<(), String> {
    const GAP_MAX: i32 = 7;
    if let Some(before) = days.last().copied() {
        let last = first.plus(i32::try_from(days.len()).unwrap_or(i32::MAX).saturating_sub(1));
        let gap = date.since(last);
        if gap < 1 {
            return Err(format!("{date} does not come after {last}"));
        }
        if gap > GAP_MAX + 1 {
            return Err(format!("{} days are missing before {date}", gap - 1));
        }
        for _ in 1..gap {
            days.push(before);
        }
    }
    days.push(day);
    if days.len() > DAYS_MAX {
        return Err(format!("more than {DAYS_MAX} days"));
    }
    Ok(())
}

impl Columns {
    fn find(asset: Asset, head: &str) -> Result<Columns, String> {
        let names: Vec<&str> = head.trim().split(',').map(str::trim).collect();
        let code = asset.code().to_ascii_lowercase();
        let find = |name: &str| names.iter().position(|n| *n == name);
        let must = |name: &str| find(name).ok_or_else(|| no_column(name, &names));
        let columns = Columns {
            date: must("date")?,
            price: must("price_usd")?,
            difficulty: must("difficulty")?,
            fees: find(&format!("fees_{code}")),
            subsidy: find(&format!("subsidy_{code}_per_block")),
            issuance: find(&format!("issuance_{code}")),
        };
        if columns.subsidy.is_none() && columns.issuance.is_none() {
            return Err(format!(
                "it does not say what a block of {asset} makes: there is neither subsidy_{code}_per_block nor \
                 issuance_{code}. Is it another coin's history?"
            ));
        }
        Ok(columns)
    }

    fn day(&self, asset: Asset, line: &str) -> Result<(Date, Day), String> {
        let fields: Vec<&str> = line.trim().split(',').collect();
        let field = |i: usize| fields.get(i).copied().unwrap_or("").trim();
        let date: Date = field(self.date).parse()?;
        let figure = |name: &str, at: usize, places: u32| {
            fixed(field(at), places).map_err(|why| format!("{name}: {why}"))
        };
        let price = figure("price_usd", self.price, 6)?;
        let difficulty = figure("difficulty", self.difficulty, 6)?;
        let decimals = asset.decimals();
        let per_day = blocks_a_day(asset);
        let subsidy = match (self.subsidy, self.issuance) {
            (Some(i), _) => figure("what a block makes", i, decimals)?,
            // The day's number of blocks is luck; what each of them made is one of few steps.
            (None, Some(i)) => {
                nearest_step(asset, figure("what a day makes", i, decimals)? / per_day)
            }
            (None, None) => 0,
        };
        let fees = match self.fees.filter(|i| !field(*i).is_empty()) {
            None => None,
            Some(i) => Some(figure("fees", i, decimals)? / per_day),
        };
        if price == 0 || difficulty == 0 || subsidy == 0 {
            return Err(format!("price, difficulty and subsidy of {date} must be above zero"));
        }
        let small =
            |v: u128, what: &str| u64::try_from(v).map_err(|_| format!("{what} is too large"));
        let day = Day {
            price: small(price, "the price")?,
            difficulty,
            subsidy: small(subsidy, "the subsidy")?,
            fees: fees.map(|f| small(f, "the fees")).transpose()?,
        };
        Ok((date, day))
    }
}

/// A text without the mark of its encoding that some programs for tables write before it.
pub(super) fn unmarked(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// That a column is missing, and what was found in its place.
pub(super) fn no_column(name: &str, names: &[&str]) -> String {
    let there: String = names.join(", ").chars().take(200).collect();
    format!(
        "there is no column {name}: commas part the columns, and the first line names them. It says: {there}"
    )
}

/// Blocks that a chain steers to in a day.
#[must_use]
pub fn blocks_a_day(asset: Asset) -> u128 {
    match asset {
        Asset::Ltc => 576,
        Asset::Doge => 1_440,
        Asset::Etc | Asset::Eth => 6_646,
        _ => 144,
    }
}

/// Of the subsidies `first / 2^k`, the nearest by ratio.
fn nearest_step(asset: Asset, minor: u128) -> u128 {
    let mut step = 50 * u128::from(asset.unit().unsigned_abs());
    // Halfway between two steps by ratio: step / √2.
    while step > 1 && minor * 1_000 < step * 707 {
        step /= 2;
    }
    step
}

/// A decimal number in parts of `10^-places`, what is finer cut off. Published data have exponents (`1E-7`).
pub(super) fn fixed(text: &str, places: u32) -> Result<u128, String> {
    let bad = || format!("{text:?} is not a number");
    let Some((number, exponent)) = text.split_once(['e', 'E']) else { return plain(text, places) };
    let exponent: i32 = exponent.parse().map_err(|_| bad())?;
    let places = i32::try_from(places).map_err(|_| bad())?;
    if !(-40..=20).contains(&exponent) {
        return Err(bad());
    }
    // Digits below the last place that is kept are read too, and cut off afterwards.
    let shifted = places + exponent;
    match u32::try_from(shifted) {
        Ok(shifted) => plain(number, shifted),
        Err(_) => Ok(plain(number, 0)? / 10u128.pow(shifted.unsigned_abs())),
    }
}

fn plain(text: &str, places: u32) -> Result<u128, String> {
    let bad = || match text.strip_prefix('-') {
        Some(_) => format!("{text:?} is below zero"),
        None => format!("{text:?} is not a number such as 12.5"),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || whole.len() > 20 || !digits(whole) || !digits(fraction) {
        return Err(bad());
    }
    let places = places as usize;
    let kept = &fraction[..fraction.len().min(places)];
    let number = format!("{whole}{kept:0<places$}");
    number.parse().map_err(|_| bad())
}

/// A decimal number in parts of `10^-places`; for what people write, nothing is cut off.
pub(super) fn exact(text: &str, places: u32) -> Result<u128, String> {
    if text.contains(['e', 'E']) {
        return Err(format!("{text:?}: write it without an exponent"));
    }
    let fraction = text.split_once('.').map_or("", |(_, f)| f);
    if fraction.len() > places as usize || text.ends_with('.') {
        return Err(format!("{text:?} has more than {places} decimals"));
    }
    fixed(text, places)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BTC: &str = "date,price_usd,difficulty,fees_btc,fees_source,subsidy_btc_per_block\n\
        2018-07-18,7378.75,5178671069072.25,28.8,x,12.5\n\
        2018-07-20,7500,5178671069072.25,,,12.5\n";

    #[test]
    fn a_missing_day_is_filled_with_the_one_before() {
        let h = History::parse(Asset::Btc, BTC).unwrap();
        assert_eq!(
            (h.first().to_string(), h.last().to_string()),
            ("2018-07-18".into(), "2018-07-20".into())
        );
        let day = h.day("2018-07-19".parse().unwrap()).unwrap();
        assert_eq!(day.price, 7_378_750_000);
        assert_eq!(day.difficulty, 5_178_671_069_072_250_000);
        assert_eq!((day.subsidy, day.fees), (1_250_000_000, Some(20_000_000)));
        assert_eq!(h.day("2018-07-20".parse().unwrap()).unwrap().fees, None);
        assert_eq!(h.day("2018-07-21".parse().unwrap()), None);
    }

    #[test]
    fn a_history_that_makes_no_sense_is_refused_with_its_line() {
        let line = |text: &str| match History::parse(Asset::Btc, text).unwrap_err() {
            AppraiseError::History { line, .. } => line,
            other => panic!("{other}"),
        };
        let head = BTC.lines().next().unwrap();
        assert_eq!(line(""), 1);
        assert_eq!(line("date,price_usd\n"), 1);
        assert_eq!(line(head), 1);
        assert_eq!(line(&format!("{head}\n2018-07-18,x,1,1,,1\n")), 2);
        assert_eq!(line(&format!("{head}\n2018-07-18,0,1,1,,1\n")), 2);
        assert_eq!(line(&format!("{head}\n2018-07-18,1,1,1,,1\n2018-07-18,1,1,1,,1\n")), 3);
        assert_eq!(line(&format!("{head}\n2018-07-18,1,1,1,,1\n2018-08-18,1,1,1,,1\n")), 3);
        assert_eq!(line(&format!("{head}\n2018-07-18,-1,1,1,,1\n")), 2);
        assert_eq!(line(&format!("{head}\n2018-07-18,1e99,1,1,,1\n")), 2);
        assert_eq!(line(&format!("{head}\n2018-07-18,e3,1,1,,1\n")), 2);
    }

    #[test]
    fn what_is_wrong_with_a_history_is_said_so_that_it_can_be_mended() {
        let why = |text: &str| History::parse(Asset::Btc, text).unwrap_err().to_string();
        let head = BTC.lines().next().unwrap();
        let line = |line: &str| why(&format!("{head}\n{line}\n"));
        let says = |said: String, parts: &[&str]| {
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        };
        says(why(&BTC.replace(',', ";")), &["no column date", "commas", "date;price_usd"]);
        says(why(&BTC.replace("_btc", "_ltc")), &["subsidy_btc_per_block", "another coin"]);
        says(line("2018-07-18,x,1,1,,1"), &["line 2", "price_usd", "\"x\"", "such as 12.5"]);
        says(line("2018-07-18,1,,1,,1"), &["line 2", "difficulty"]);
        says(line("2018-07-18,1,1,-1,,1"), &["line 2", "fees", "below zero"]);
        says(line("2018-07-18,1,1,1,,"), &["line 2", "what a block makes"]);
    }

    #[test]
    fn a_mark_of_encoding_and_other_ends_of_lines_change_nothing() {
        let plain = History::parse(Asset::Btc, BTC).unwrap();
        let other = format!("\u{feff}{}", BTC.replace('\n', "\r\n"));
        assert_eq!(History::parse(Asset::Btc, &other).unwrap(), plain);
    }

    #[test]
    fn exponents_of_published_data_are_read() {
        assert_eq!(fixed("1E-7", 8), Ok(10));
        assert_eq!(fixed("1.25e3", 6), Ok(1_250_000_000));
        assert_eq!(fixed("9.99E-7", 6), Ok(0));
        assert_eq!(fixed("12.5E-12", 8), Ok(0));
        assert!(exact("1e3", 6).is_err());
    }

    #[test]
    fn a_days_issuance_leads_to_the_subsidy_whatever_the_luck() {
        assert_eq!(nearest_step(Asset::Ltc, 3_710_000_000_000 / 576), 5_000_000_000);
        assert_eq!(nearest_step(Asset::Ltc, 686_250_000_000 / 576), 1_250_000_000);
        assert_eq!(nearest_step(Asset::Ltc, 1_100_000_000_000 / 576), 2_500_000_000);
    }
}
