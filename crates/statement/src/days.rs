//! Lines by day. Pure.

use crate::document::{Big, Day, DayAsset, Line, Used, date};
use gruve_units::{Asset, Hashes};
use std::collections::BTreeMap;

/// Microseconds of a day.
const DAY_US: u128 = 86_400_000_000;

/// Microseconds of an hour.
const HOUR_US: u128 = 3_600_000_000;

/// What each hour's lines come to, in the same way.
///
/// # Errors
/// When a sum does not fit.
pub fn by_hour<'a>(
    epoch_us: u64,
    earns: &[Asset],
    lines: impl Iterator<Item = &'a Line>,
) -> Result<Vec<Day>, String> {
    let mut hours = by_span(epoch_us, HOUR_US, earns, lines)?;
    for h in &mut hours {
        h.date = format!("{} {:02}h", date(h.day / 24), h.day % 24);
    }
    Ok(hours)
}

/// What each day's lines come to, by the beginning of the epoch that a line names.
///
/// # Errors
/// When a sum does not fit.
pub fn by_day<'a>(
    epoch_us: u64,
    earns: &[Asset],
    lines: impl Iterator<Item = &'a Line>,
) -> Result<Vec<Day>, String> {
    let mut days = by_span(epoch_us, DAY_US, earns, lines)?;
    for d in &mut days {
        d.date = date(d.day);
    }
    Ok(days)
}

/// By number of the span; dates are not filled in.
fn by_span<'a>(
    epoch_us: u64,
    span_us: u128,
    earns: &[Asset],
    lines: impl Iterator<Item = &'a Line>,
) -> Result<Vec<Day>, String> {
    let mut spans: BTreeMap<u64, Day> = BTreeMap::new();
    for line in lines {
        let n = u128::from(line.epoch()) * u128::from(epoch_us) / span_us;
        let n = u64::try_from(n).map_err(|_| "a day does not fit".to_owned())?;
        let into = spans.entry(n).or_insert_with(|| empty(n, earns));
        add(into, line).ok_or_else(|| format!("the sums at epoch {} do not fit", line.epoch()))?;
    }
    Ok(spans.into_values().collect())
}

fn empty(day: u64, earns: &[Asset]) -> Day {
    let none = |asset: &Asset| DayAsset {
        asset: *asset,
        accrued: Big(0),
        reversed: Big(0),
        gross_minor: 0,
        fee_minor: 0,
        maintenance_minor: 0,
        waived_minor: 0,
        net_minor: 0,
        owed_paid_minor: 0,
    };
    Day {
        day,
        date: String::new(),
        epochs: 0,
        entitled: Hashes::ZERO,
        delivered: Hashes::ZERO,
        assets: earns.iter().map(none).collect(),
        used: None,
    }
}

/// Adds a line; `None` when a sum does not fit. An asset that the terms do not name is found elsewhere.
fn add(day: &mut Day, line: &Line) -> Option<()> {
    let plus = |to: &mut i64, more: i64| to.checked_add(more).map(|sum| *to = sum);
    let wide = |to: &mut Big, more: Big| to.0.checked_add(more.0).map(|sum| *to = Big(sum));
    let of =
        |assets: &mut Vec<DayAsset>, asset: Asset| assets.iter().position(|a| a.asset == asset);
    match line {
        Line::Epoch(l) => {
            day.epochs += 1;
            day.entitled = day.entitled.checked_add(l.entitled)?;
            day.delivered = day.delivered.checked_add(l.delivered)?;
        }
        Line::Accrual(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                wide(&mut day.assets[i].accrued, l.accrual)?;
            }
        }
        Line::Reversal(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                wide(&mut day.assets[i].reversed, l.accrual)?;
            }
        }
        Line::Settlement(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                let a = &mut day.assets[i];
                plus(&mut a.gross_minor, l.gross_minor)?;
                plus(&mut a.fee_minor, l.fee_minor)?;
                plus(&mut a.maintenance_minor, l.maintenance_minor)?;
                plus(&mut a.waived_minor, l.waived_minor)?;
                plus(&mut a.net_minor, l.net_minor)?;
            }
        }
        Line::TakeBack(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                let a = &mut day.assets[i];
                plus(&mut a.gross_minor, l.gross_minor.checked_neg()?)?;
                plus(&mut a.fee_minor, l.fee_minor.checked_neg()?)?;
                plus(&mut a.net_minor, l.net_minor.checked_neg()?)?;
            }
        }
        Line::Usage(l) => {
            day.epochs += 1;
            day.entitled = day.entitled.checked_add(l.entitled)?;
            day.delivered = day.delivered.checked_add(l.delivered)?;
            let price = l.price_minor;
            let used = day.used.get_or_insert(Used {
                price_least_minor: price,
                price_most_minor: price,
                price_hashrate: l.price_hashrate,
                charged_minor: 0,
            });
            used.price_least_minor = used.price_least_minor.min(price);
            used.price_most_minor = used.price_most_minor.max(price);
            used.price_hashrate = l.price_hashrate;
            plus(&mut used.charged_minor, l.charged_minor)?;
        }
        Line::Priced(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                wide(&mut day.assets[i].accrued, l.earned)?;
            }
        }
        Line::Found(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                wide(&mut day.assets[i].accrued, l.accrual)?;
            }
        }
        Line::Owed(l) => {
            if let Some(i) = of(&mut day.assets, l.asset) {
                plus(&mut day.assets[i].owed_paid_minor, l.paid_minor)?;
            }
        }
        Line::End(_)
        | Line::Meter(_)
        | Line::Credit(_)
        | Line::Aside(_)
        | Line::Judgement(_)
        | Line::Choice(_)
        | Line::Decision(_)
        | Line::Pause(_)
        | Line::Freeze(_)
        | Line::Dollars(_) => {}
    }
    Some(())
}
