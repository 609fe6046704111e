//! Lines by day. Pure.

use crate::document::{Big, Day, DayAsset, Line, date};
use gruve_units::{Asset, Hashes};
use std::collections::BTreeMap;

/// Microseconds of a day.
const DAY_US: u128 = 86_400_000_000;

/// What each day's lines come to, by the beginning of the epoch that a line names.
///
/// # Errors
/// When a sum does not fit.
pub fn by_day<'a>(
    epoch_us: u64,
    earns: &[Asset],
    lines: impl Iterator<Item = &'a Line>,
) -> Result<Vec<Day>, String> {
    let mut days: BTreeMap<u64, Day> = BTreeMap::new();
    for line in lines {
        let day = u128::from(line.epoch()) * u128::from(epoch_us) / DAY_US;
        let day = u64::try_from(day).map_err(|_| "a day does not fit".to_owned())?;
        let into = days.entry(day).or_insert_with(|| empty(day, earns));
        add(into, line).ok_or_else(|| format!("the sums of {} do not fit", date(day)))?;
    }
    Ok(days.into_values().collect())
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
    };
    Day {
        day,
        date: date(day),
        epochs: 0,
        entitled: Hashes::ZERO,
        delivered: Hashes::ZERO,
        assets: earns.iter().map(none).collect(),
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
        Line::End(_) | Line::Credit(_) => {}
    }
    Some(())
}
