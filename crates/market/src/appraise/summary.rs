//! What all buyers of an offer got, taken together.

use super::{Date, Ended, Outcome};
use serde::Serialize;

/// Many purchases of one offer, a purchase a day. Only those that ended are counted; an offer without a
/// term counts every purchase, as far as the history goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Purchases counted.
    pub counted: usize,
    /// Purchases that still ran when the history ended.
    pub running: usize,
    /// Of those counted, whose buyers got back what they paid or more.
    pub money_back: usize,
    /// Of those counted, who received more coins than the money would have bought at once.
    pub better_than_coins: usize,
    /// Of those counted, ended by the rule for unprofitable days.
    pub ended_unprofitable: usize,
    /// Thousandths of the price (where nothing is paid at the beginning, of what was paid along) that came back: the worst, a tenth, the median, nine tenths, the best.
    pub returned_per_mille: Option<[i64; 5]>,
    /// The day of purchase that did worst, and best.
    pub worst_and_best: Option<(Date, Date)>,
    /// Days to break-even of those that reached it: the median.
    pub break_even_days: Option<i32>,
}

/// Takes purchases together. `open_ended` says that the offer has no term.
#[must_use]
pub fn summarise(outcomes: &[Outcome], open_ended: bool) -> Summary {
    let (counted, running): (Vec<&Outcome>, Vec<&Outcome>) =
        outcomes.iter().partition(|o| open_ended || o.ended != Ended::Runs);
    let mut ranked: Vec<(i64, Date)> =
        counted.iter().filter_map(|o| Some((o.returned_per_mille()?, o.bought))).collect();
    ranked.sort_unstable();
    let mut waits: Vec<i32> =
        counted.iter().filter_map(|o| Some(o.break_even?.since(o.bought))).collect();
    waits.sort_unstable();
    let count = |holds: fn(&Outcome) -> bool| counted.iter().filter(|o| holds(o)).count();
    Summary {
        counted: counted.len(),
        running: running.len(),
        money_back: count(Outcome::money_back),
        better_than_coins: count(|o| o.received > o.instead),
        ended_unprofitable: count(|o| o.ended == Ended::Unprofitable),
        returned_per_mille: quantile(&ranked, 0)
            .map(|_| [0, 100, 500, 900, 1_000].map(|q| quantile(&ranked, q).map_or(0, |(r, _)| r))),
        worst_and_best: ranked.first().zip(ranked.last()).map(|(w, b)| (w.1, b.1)),
        break_even_days: quantile(&waits, 500),
    }
}

/// The value below which so many thousandths of a sorted list stand (nearest rank).
pub(super) fn quantile<T: Copy>(sorted: &[T], per_mille: usize) -> Option<T> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last * per_mille + 500) / 1_000).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(day: i32, returned: i128, ended: Ended) -> Outcome {
        let bought = Date::new(2020, 1, 1).unwrap().plus(day);
        Outcome {
            bought,
            until: bought.plus(10),
            ended,
            days_mined: 10,
            days_unprofitable: 0,
            paid_usd: 1_000,
            along_usd: 0,
            mined: 0,
            received: 1,
            sold_daily_usd: returned,
            held_usd: 0,
            instead: 1,
            break_even: (returned >= 1_000).then(|| bought.plus(5)),
        }
    }

    #[test]
    fn purchases_still_running_are_not_counted_as_ended() {
        let all = [
            outcome(0, 100, Ended::Term),
            outcome(1, 2_000, Ended::Term),
            outcome(2, 400, Ended::Unprofitable),
            outcome(3, 9_000, Ended::Runs),
        ];
        let s = summarise(&all, false);
        assert_eq!((s.counted, s.running, s.money_back, s.ended_unprofitable), (3, 1, 1, 1));
        assert_eq!(s.returned_per_mille, Some([100, 100, 400, 2_000, 2_000]));
        assert_eq!(s.worst_and_best, Some((all[0].bought, all[1].bought)));
        assert_eq!(s.break_even_days, Some(5));
        assert_eq!(summarise(&all, true).counted, 4);
    }

    #[test]
    fn nothing_bought_is_no_figure() {
        let s = summarise(&[], false);
        assert_eq!((s.counted, s.returned_per_mille, s.worst_and_best), (0, None, None));
    }
}
