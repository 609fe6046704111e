//! How figures are written for people: amounts, work, hashrates, times.
//!
//! Every figure keeps its unit and, for amounts, all its decimals; nothing is rounded silently
//! except where the exact figure stands in the element's title. Times are UTC. Marks, dates and words
//! are those of the spoken language ([`crate::words`]); what programs read is written elsewhere.

use crate::words::{counted, filled, spoken, t as word, text};
use gruve_units::{Amount, Asset, Duration, EpochNumber, EpochRule, Hashes, Hashrate, Timestamp};
use maud::{Markup, html};

/// A decimal figure as the spoken language writes it, its thousands in groups.
pub(crate) fn local(figure: &str) -> String {
    let locale = &spoken().locale;
    let (number, unit) = figure.find(' ').map_or((figure, ""), |at| figure.split_at(at));
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |n| ("−", n));
    let (whole, fraction) = number.split_once('.').map_or((number, None), |(w, f)| (w, Some(f)));
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) {
        return figure.to_owned();
    }
    let fraction = fraction.map(|f| format!("{}{f}", locale.decimal)).unwrap_or_default();
    format!("{sign}{}{fraction}{unit}", in_threes(whole, locale.group))
}

/// A figure as it was typed, with a point: a decimal comma is taken where it can mean nothing else. Spaces
/// between groups of three digits are left out. What stands behind the figure (a unit) stays.
///
/// # Errors
/// A sentence for who typed it, when the figure could mean two things.
pub(crate) fn typed_figure(text: &str) -> Result<String, String> {
    let text = text.trim();
    let is_part = |c: char| c.is_ascii_digit() || ".,'’".contains(c) || is_space(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (figure, unit) = text.split_at(end);
    let (figure, gap) = figure.split_at(figure.trim_end_matches(is_space).len());
    let unclear = || {
        Err(word("Write the figure with one decimal mark and no marks between thousands.")
            .to_owned())
    };
    let marks: Vec<(usize, char)> =
        figure.char_indices().filter(|(_, c)| ".,'’".contains(*c)).collect();
    let (whole, fraction) = match marks[..] {
        [] => (figure, None),
        [(at, mark)] if mark == '.' || mark == ',' => {
            (&figure[..at], Some((mark, &figure[at + 1..])))
        }
        _ => return unclear(),
    };
    let groups: Vec<&str> = whole.split(is_space).collect();
    let (first, rest) = groups.split_first().unwrap_or((&"", &[]));
    if !rest.is_empty()
        && (first.is_empty() || first.len() > 3 || rest.iter().any(|g| g.len() != 3))
    {
        return unclear();
    }
    let whole = groups.concat();
    let Some((mark, fraction)) = fraction else { return Ok(format!("{whole}{gap}{unit}")) };
    // Three digits behind the mark that is not this language's own may as well be thousands.
    let own = spoken().locale.decimal;
    let is_thousands = fraction.len() == 3 && (1..=3).contains(&whole.len()) && whole != "0";
    let may_be_meant = mark == own || !is_thousands || (own == ',' && !rest.is_empty());
    if fraction.contains(is_space) || !may_be_meant {
        return unclear();
    }
    Ok(format!("{whole}.{fraction}{gap}{unit}"))
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\u{2009}')
}

/// An amount with all decimals and its ticker; a currency's without the zeros beyond its cents.
pub(crate) fn amount(a: Amount) -> Markup {
    let decimal = a.decimal();
    let shown = if a.asset.is_fiat() { to_cents(&decimal) } else { decimal.as_str() };
    html! { span.amount.zero[a.minor == 0] { span.num { (local(shown)) } " " span.unit { (a.asset.code()) } } }
}

/// A figure without its last zeros, but with two decimals where it has as many.
fn to_cents(decimal: &str) -> &str {
    let least = decimal.find('.').map_or(decimal.len(), |at| (at + 3).min(decimal.len()));
    let end = decimal.trim_end_matches('0').len().max(least);
    decimal.get(..end).unwrap_or(decimal)
}

/// Work in the unit that fits, three significant figures: `4.29 GH`.
pub(crate) fn work_text(w: Hashes) -> String {
    let rate = Hashrate(w.0).to_string();
    local(rate.strip_suffix("/s").unwrap_or(&rate))
}

/// Work, the exact count of hashes in the title.
pub(crate) fn work(w: Hashes) -> Markup {
    html! { span.num title=(text!("{n} hashes", n = grouped(w.0))) { (work_text(w)) } }
}

/// A hashrate, the exact figure in the title.
pub(crate) fn rate(r: Hashrate) -> Markup {
    html! { span.num title=(text!("{n} hashes per second", n = grouped(r.0))) { (rate_text(r)) } }
}

/// A hashrate in the unit that fits: `1.25 MH/s`.
pub(crate) fn rate_text(r: Hashrate) -> String {
    local(&r.to_string())
}

/// A hashrate exactly, in the largest unit that needs at most three decimals: what a form may be
/// filled with.
pub(crate) fn exact_rate(r: Hashrate) -> String {
    const UNITS: [(&str, u128); 7] = [
        ("EH/s", 1_000_000_000_000_000_000),
        ("PH/s", 1_000_000_000_000_000),
        ("TH/s", 1_000_000_000_000),
        ("GH/s", 1_000_000_000),
        ("MH/s", 1_000_000),
        ("kH/s", 1_000),
        ("H/s", 1),
    ];
    let fits = |unit: u128| r.0 >= unit && r.0.is_multiple_of((unit / 1000).max(1));
    let (name, unit) = UNITS.into_iter().find(|(_, u)| fits(*u)).unwrap_or(("H/s", 1));
    let (whole, milli) = (r.0 / unit, (r.0 % unit) / (unit / 1000).max(1));
    if milli == 0 {
        return format!("{whole} {name}");
    }
    format!("{whole}.{}", format!("{milli:03}").trim_end_matches('0')) + " " + name
}

/// An amount without its trailing zeros, where room is short and the whole stands nearby.
pub(crate) fn short_amount(a: Amount) -> String {
    let decimal = a.decimal();
    let short = decimal.trim_end_matches('0').trim_end_matches('.');
    local(&format!("{short} {}", a.asset))
}

/// Digits in groups of three, divided by narrow spaces.
pub(crate) fn grouped(v: u128) -> String {
    in_threes(&v.to_string(), spoken().locale.group)
}

fn in_threes(digits: &str, mark: char) -> String {
    let mut out = String::with_capacity(digits.len() * 2);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(mark);
        }
        out.push(c);
    }
    out
}

/// `part` of `whole` in percent with one decimal, rounded down; a dash when there is no whole.
pub(crate) fn percent(part: u128, whole: u128) -> String {
    match gruve_units::mul_div_floor(part, 1000, whole) {
        Ok((permille, _)) => local(&format!("{}.{} %", permille / 10, permille % 10)),
        Err(_) => "–".to_owned(),
    }
}

/// Year, month, day of a count of days since 1970-01-01 (the proleptic Gregorian calendar; after
/// Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, day)
}

/// RFC 3339 in UTC with whole seconds: `2026-11-21T01:25:29Z`.
pub(crate) fn rfc3339(t: Timestamp) -> String {
    let (date, clock) = date_and_clock(t);
    format!("{date}T{clock}Z")
}

fn date_and_clock(t: Timestamp) -> (String, String) {
    let secs = t.secs();
    let (y, m, d) = civil(secs.div_euclid(86_400));
    let s = secs.rem_euclid(86_400);
    (format!("{y:04}-{m:02}-{d:02}"), format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60))
}

/// A time for people, to the second: `2026-11-21 01:25:29 UTC`. Where room is short it breaks
/// between date and clock, never before its zone.
pub(crate) fn time(t: Timestamp) -> Markup {
    html! { time datetime=(rfc3339(t)) { (time_text(t)) } }
}

/// The same as plain text.
pub(crate) fn time_text(t: Timestamp) -> String {
    let values = [("date", date_text(t)), ("clock", clock_text(t))];
    filled(&spoken().locale.time, &values)
}

/// Only the day of a time.
pub(crate) fn date_text(t: Timestamp) -> String {
    let (y, m, d) = civil(t.secs().div_euclid(86_400));
    civil_text(y, m, d)
}

/// A day that is written as `2026-11-21`; anything else as it is.
pub(crate) fn day_text(iso: &str) -> String {
    let parts: Vec<i64> = iso.split('-').filter_map(|p| p.parse().ok()).collect();
    match parts[..] {
        [y, m, d] => civil_text(y, m, d),
        _ => iso.to_owned(),
    }
}

fn civil_text(y: i64, m: i64, d: i64) -> String {
    let locale = &spoken().locale;
    let month = usize::try_from(m - 1).ok().and_then(|m| locale.months.get(m));
    let values = [
        ("y", format!("{y:04}")),
        ("m", format!("{m:02}")),
        ("d", format!("{d:02}")),
        ("day", d.to_string()),
        ("month", month.cloned().unwrap_or_default()),
    ];
    filled(&locale.date, &values)
}

/// Only the clock of a time, as axis labels want it.
pub(crate) fn clock_text(t: Timestamp) -> String {
    let s = t.secs().rem_euclid(86_400);
    let two = |v: i64| format!("{v:02}");
    let values = [("h", two(s / 3600)), ("min", two(s / 60 % 60)), ("s", two(s % 60))];
    filled(&spoken().locale.clock, &values)
}

/// A length of time in at most two units: `30 days`, `1 h 10 min`, `8 s`.
pub(crate) fn span_text(d: Duration) -> String {
    let s = d.as_secs();
    if s == 0 {
        return format!("{} ms", d.subsec_millis());
    }
    let days = |n: u64| counted!("{n} day", "{n} days", n);
    let two = |a: String, b: u64, unit: &str| {
        if b == 0 { a } else { format!("{a} {b} {unit}") }
    };
    match s {
        86_400.. => two(days(s / 86_400), s % 86_400 / 3600, word("h")),
        3600.. => two(format!("{} {}", s / 3600, word("h")), s % 3600 / 60, "min"),
        60.. => two(format!("{} min", s / 60), s % 60, "s"),
        _ => format!("{s} s"),
    }
}

/// A term of epochs with what that is in time.
pub(crate) fn term_text(epochs: u64, rule: EpochRule) -> String {
    let total = rule.length().saturating_mul(u32::try_from(epochs).unwrap_or(u32::MAX));
    format!("{} ({})", span_text(total), counted!("{n} epoch", "{n} epochs", epochs))
}

/// An epoch by number, its time of beginning in the title.
pub(crate) fn epoch(e: EpochNumber, rule: EpochRule) -> Markup {
    html! { span.num title=(text!("from {start} to {end}", start = time_text(rule.start(e)), end = time_text(rule.end(e)))) { (e) } }
}

/// A coin's or currency's name.
pub(crate) const fn asset_name(asset: Asset) -> &'static str {
    asset.name()
}

/// A hash in internal byte order as block explorers write it.
pub(crate) fn shown_hash(internal: &[u8; 32]) -> String {
    let mut bytes = *internal;
    bytes.reverse();
    hex::encode(bytes)
}

/// Middle of a long hash cut out; the whole stands in the title and is read out.
pub(crate) fn short_hash(hash: &str) -> Markup {
    let tail = hash.len().saturating_sub(8);
    match (hash.get(..8), hash.get(tail..)) {
        (Some(a), Some(b)) if hash.len() > 20 => {
            html! { code.hash title=(hash) { (a) "…" (b) } }
        }
        _ => html! { code.hash { (hash) } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(rfc3339(Timestamp::from_secs(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(Timestamp::from_secs(1_795_224_329)), "2026-11-21T01:25:29Z");
        assert_eq!(rfc3339(Timestamp::from_secs(951_782_400)), "2000-02-29T00:00:00Z");
        assert_eq!(rfc3339(Timestamp::from_secs(-1)), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn work_is_written_without_a_time() {
        assert_eq!(work_text(Hashes(1 << 32)), "4.29 GH");
        assert_eq!(work_text(Hashes(0)), "0 H");
    }

    #[test]
    fn an_exact_rate_reads_back_as_itself() {
        for v in [1, 999, 1_000, 1_500, 12_345, 240_000, 1_234_567, 100_000_000_000_000] {
            let text = exact_rate(Hashrate(v));
            assert_eq!(text.parse::<Hashrate>().unwrap(), Hashrate(v), "{text}");
        }
        assert_eq!(exact_rate(Hashrate(1_250_000)), "1.25 MH/s");
        assert_eq!(exact_rate(Hashrate(12_345)), "12.345 kH/s");
    }

    #[test]
    fn short_amounts_lose_only_zeros() {
        assert_eq!(short_amount(Amount::new(Asset::Btc, 2_000_000_000)), "20 BTC");
        assert_eq!(short_amount(Amount::new(Asset::Btc, 1)), "0.00000001 BTC");
        assert_eq!(short_amount(Amount::zero(Asset::Btc)), "0 BTC");
    }

    #[test]
    fn currencies_are_written_to_the_cent_and_finer_where_they_are_finer() {
        for (minor, shown) in [
            (21_600_000_000, "21\u{202f}600.00"),
            (500_000, "0.50"),
            (75_000, "0.075"),
            (-1_234_567, "−1.234567"),
            (0, "0.00"),
        ] {
            let text = amount(Amount::new(Asset::Eur, minor)).into_string();
            assert!(text.contains(&format!("<span class=\"num\">{shown}</span>")), "{text}");
        }
        let coin = amount(Amount::new(Asset::Btc, 200_000_000)).into_string();
        assert!(coin.contains(">2.00000000<"), "{coin}");
    }

    #[test]
    fn long_numbers_are_grouped() {
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(grouped(12), "12");
        assert_eq!(local("2691.09828146 DOGE"), "2\u{202f}691.09828146 DOGE");
        assert_eq!(local("-39.34"), "−39.34");
        assert_eq!(local("0.5 TH/s"), "0.5 TH/s");
    }

    #[test]
    fn spans_read_like_speech() {
        assert_eq!(span_text(Duration::from_secs(8)), "8 s");
        assert_eq!(span_text(Duration::from_secs(4200)), "1 h 10 min");
        assert_eq!(span_text(Duration::from_secs(30 * 86_400)), "30 days");
    }

    #[test]
    fn percentages_never_divide_by_zero() {
        assert_eq!(percent(1, 0), "–");
        assert_eq!(percent(1, 3), "33.3 %");
    }
}
