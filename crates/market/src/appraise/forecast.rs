//! What an offer may earn from the history's last day on: many futures, drawn from the past.
//!
//! # The model
//! A future is made of stretches of the past: [`Model::stretch_days`] days in a row, from a random day of the last
//! [`Model::past_days`], give how price and difficulty moved together from day to day; then the next stretch, until
//! the offer's time is over. Difficulty's moves are as many times as wide as such futures would have had to be so far
//! ([`crate::foretell::widths`], learnt of the same history). Fees of a block stay at the mean of the last 90 days. The subsidy halves 1,458 days
//! (210,000 blocks of ten minutes, and 840,000 of two and a half) after the last halving that the history shows.
//! Each future is then held against the offer by the same arithmetic as the past ([`super::backtest`]).
//!
//! The random numbers are SplitMix64 from the stated seed, so that anybody who has history, offer and seed gets the
//! same figures. The model knows no trend but what the past had, and a past that was kind makes it kind:
//! it is an interval to hold hopes against, not a promise. Floats stand here and nowhere else in an appraisal, since
//! a future is drawn and not counted.

#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a drawn price or difficulty, clamped beforehand; nobody is paid by it"
)]

use super::history::{Day, History};
use super::summary::quantile;
use super::{AppraiseError, Date, Offer, Outcome, backtest};
use crate::foretell::drawing::SplitMix64;
use crate::foretell::stretches::Stretches;
use crate::foretell::widths::Widths;
use serde::Serialize;

/// How futures are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Model {
    /// How many futures; at most [`Model::SCENARIOS_MAX`].
    pub scenarios: u32,
    /// Days in a row that a stretch takes from the past.
    pub stretch_days: u32,
    /// How far back stretches are taken from.
    pub past_days: u32,
    /// Where the random numbers begin.
    pub seed: u64,
    /// How long an offer without a term is followed.
    pub open_ended_days: u32,
}

impl Model {
    /// More futures make no figure better that is shown.
    pub const SCENARIOS_MAX: u32 = 100_000;
}

impl Default for Model {
    /// A thousand futures in stretches of a quarter (six changes of difficulty) from the last four years (one halving).
    fn default() -> Model {
        Model {
            scenarios: 1_000,
            stretch_days: 91,
            past_days: 1_461,
            seed: 1,
            open_ended_days: 1_826,
        }
    }
}

/// What the futures come to. Money in micro-dollars, coins in minor units; the five numbers are the 5th, 25th, 50th,
/// 75th and 95th hundredth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forecast {
    /// How they were drawn.
    pub model: Model,
    /// How many times as wide as in the past difficulty moves in them, in thousandths, so that such futures would have held
    /// what came; `None` where the history is too short to learn it.
    pub widened_per_mille: Option<u32>,
    /// The day of purchase: the history's last.
    pub bought: Date,
    /// What is paid.
    pub paid_usd: i128,
    /// What is paid along the way with money of the buyer's own, in the mean.
    pub mean_along_usd: i128,
    /// Coins received.
    pub received: [u128; 5],
    /// What came back when sold daily.
    pub returned_usd: [i128; 5],
    /// The mean of what came back.
    pub mean_returned_usd: i128,
    /// Futures in which the buyer got back what was paid, in thousandths.
    pub money_back_per_mille: u32,
    /// Days to break-even in the middle one of those that reach it.
    pub break_even_days: Option<i32>,
}

impl Forecast {
    /// Whether the buyer should expect to lose money: the mean future returns less than is paid.
    #[must_use]
    pub fn expects_loss(&self) -> bool {
        self.mean_returned_usd < self.paid_usd
    }
}

/// Draws futures for an offer that is bought on the history's last day.
///
/// # Errors
/// When the history is shorter than two stretches or another coin's, or when the model's numbers are out of range.
pub fn forecast(offer: &Offer, history: &History, model: Model) -> Result<Forecast, AppraiseError> {
    let past = Past::of(history, model)?;
    let term =
        offer.term_days.unwrap_or(model.open_ended_days).saturating_add(offer.starts_after_days);
    // A pausing contract lasts longer than its term; twice that is followed.
    let days = term.saturating_mul(2).min(super::offer::TERM_DAYS_MAX);
    let days = if offer.unprofitable == super::Unprofitable::Pause {
        days
    } else {
        term.saturating_add(1)
    };
    let learnt = learnt(history, term);
    let past = match learnt {
        Some(times) => Past { stretches: past.stretches.widened(times), ..past },
        None => past,
    };
    let mut random = SplitMix64(model.seed);
    let outcomes = (0..model.scenarios)
        .map(|_| {
            let future = past.future(history, days as usize, &mut random);
            backtest(offer, &future)?.buy(future.first())
        })
        .collect::<Result<Vec<Outcome>, _>>()?;
    Ok(taken_together(model, learnt, history.last(), &outcomes))
}

/// How much wider than the past futures of so many days must lie, learnt of every seventh day of a history.
fn learnt(history: &History, days: u32) -> Option<f64> {
    const DAY_SECS: f64 = 86_400.0;
    let days_of_weeks = history.days().iter().rev().step_by(7).rev();
    let weeks: Vec<(f64, f64)> =
        days_of_weeks.map(|d| (d.price as f64, d.difficulty as f64)).collect();
    let secs = f64::from(days) * DAY_SECS;
    Widths::known_for(&weeks, secs).at(secs)
}

fn taken_together(
    model: Model,
    learnt: Option<f64>,
    bought: Date,
    outcomes: &[Outcome],
) -> Forecast {
    let sorted = |mut v: Vec<i128>| {
        v.sort_unstable();
        [50, 250, 500, 750, 950].map(|q| quantile(&v, q).unwrap_or(0))
    };
    let count = i128::try_from(outcomes.len().max(1)).unwrap_or(1);
    let mut waits: Vec<i32> =
        outcomes.iter().filter_map(|o| Some(o.break_even?.since(o.bought))).collect();
    waits.sort_unstable();
    let back = outcomes.iter().filter(|o| o.money_back()).count() as u64;
    let returned: Vec<i128> = outcomes.iter().map(|o| o.sold_daily_usd).collect();
    let received =
        outcomes.iter().map(|o| i128::try_from(o.received).unwrap_or(i128::MAX)).collect();
    Forecast {
        model,
        widened_per_mille: learnt.map(|times| (times * 1_000.0).round() as u32),
        bought,
        paid_usd: outcomes.first().map_or(0, |o| o.paid_usd),
        mean_along_usd: outcomes.iter().map(|o| o.along_usd).sum::<i128>() / count,
        received: sorted(received).map(i128::unsigned_abs),
        mean_returned_usd: returned.iter().sum::<i128>() / count,
        returned_usd: sorted(returned),
        money_back_per_mille: u32::try_from(back * 1_000 / outcomes.len().max(1) as u64)
            .unwrap_or(0),
        break_even_days: quantile(&waits, 500),
    }
}

/// How price and difficulty moved from day to day, and what else a future begins with.
struct Past {
    stretches: Stretches,
    fees: u64,
    /// Days since the last halving.
    halved_ago: Option<usize>,
}

/// 210,000 blocks of 600 s, and 840,000 of 150 s, in days.
const HALVING_DAYS: usize = 1_458;

impl Past {
    fn of(history: &History, model: Model) -> Result<Past, AppraiseError> {
        let wrong = |asked: &str| AppraiseError::OutOfHistory {
            first: history.first(),
            last: history.last(),
            asked: asked.to_owned(),
        };
        if model.scenarios == 0 || model.scenarios > Model::SCENARIOS_MAX {
            return Err(wrong(&format!("scenarios must be 1 to {}", Model::SCENARIOS_MAX)));
        }
        let days = history.days();
        let kept = days.len().min(model.past_days as usize + 1);
        let recent = days.get(days.len() - kept..).unwrap_or_default();
        let stretch = model.stretch_days as usize;
        if stretch == 0 || recent.len() < 2 * stretch + 1 {
            return Err(wrong("a forecast needs at least two stretches of it"));
        }
        let steps: Vec<(f64, f64)> =
            recent.iter().map(|d| (d.price as f64, d.difficulty as f64)).collect();
        let stretches = Stretches::of(&steps, stretch)
            .ok_or_else(|| wrong("a forecast needs at least two stretches of it"))?;
        let known: Vec<u64> = days.iter().rev().take(90).filter_map(|d| d.fees).collect();
        let fees = known.iter().sum::<u64>() / (known.len().max(1) as u64);
        let halved_ago =
            days.windows(2).rev().position(|w| matches!(w, [a, b] if a.subsidy >= 2 * b.subsidy));
        Ok(Past { stretches, fees, halved_ago })
    }

    /// A future of so many days after the history's last, which it begins with.
    fn future(&self, history: &History, days: usize, random: &mut SplitMix64) -> History {
        let now = history.days().last().copied().unwrap_or(Day {
            price: 1,
            difficulty: 1,
            subsidy: 1,
            fees: None,
        });
        let (mut price, mut difficulty) = (now.price as f64, now.difficulty as f64);
        let mut future = Vec::with_capacity(days + 1);
        future.push(now);
        while future.len() <= days {
            for (p, d) in self.stretches.draw(random) {
                // A coin is worth a millionth of a dollar to a billion of them; difficulty stays above one.
                price = (price * p.exp()).clamp(1.0, 1e15);
                difficulty = (difficulty * d.exp()).clamp(1e6, 1e30);
                let subsidy = self.subsidy(now.subsidy, future.len());
                let fees = Some(self.fees);
                future.push(Day {
                    price: price as u64,
                    difficulty: difficulty as u128,
                    subsidy,
                    fees,
                });
            }
        }
        future.truncate(days + 1);
        History::from_days(history.asset(), history.last(), future)
    }

    fn subsidy(&self, now: u64, in_days: usize) -> u64 {
        let halvings = self.halved_ago.map_or(0, |ago| (ago + in_days) / HALVING_DAYS);
        now.checked_shr(u32::try_from(halvings).unwrap_or(64)).unwrap_or(0).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::offer::tests::offer;
    use super::*;
    use gruve_units::Asset;
    use serde_json::json;

    fn history(days: usize, price: impl Fn(usize) -> u64) -> History {
        let day = |i| Day {
            price: price(i),
            difficulty: 10u128.pow(19),
            subsidy: 3_1250_0000,
            fees: Some(1_000_000),
        };
        History::from_days(Asset::Btc, Date::new(2022, 1, 1).unwrap(), (0..days).map(day).collect())
    }

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut r = SplitMix64(1_234_567);
        let first: Vec<u64> = (0..3).map(|_| r.next()).collect();
        assert_eq!(first, [6457827717110365317, 3203168211198807973, 9817491932198370423]);
    }

    #[test]
    fn a_past_in_which_nothing_moved_has_one_future() {
        let h = history(400, |_| 60_000_000_000);
        let o = offer(&[("term_days", json!(100)), ("price_usd", json!("1"))]).unwrap();
        let f = forecast(&o, &h, Model { scenarios: 20, ..Model::default() }).unwrap();
        assert_eq!(f.returned_usd[0], f.returned_usd[4]);
        let past = backtest(&o, &h).unwrap().buy(h.first()).unwrap();
        assert_eq!(f.received[2], past.received, "the future is the past");
    }

    #[test]
    fn the_same_seed_gives_the_same_futures_and_another_seed_others() {
        let h = history(900, |i| 50_000_000_000 + (i as u64 * 7_919 % 1_000) * 10_000_000);
        let o = offer(&[("term_days", json!(200))]).unwrap();
        let with =
            |seed| forecast(&o, &h, Model { scenarios: 50, seed, ..Model::default() }).unwrap();
        assert_eq!(with(7), with(7));
        assert_ne!(with(7).returned_usd, with(8).returned_usd);
        let f = with(7);
        assert!(f.returned_usd.is_sorted() && f.returned_usd[0] < f.returned_usd[4]);
    }

    #[test]
    fn the_subsidy_halves_when_its_time_has_come() {
        let mut days: Vec<Day> = history(1_400, |_| 1_000_000).days().to_vec();
        for d in &mut days[..100] {
            d.subsidy *= 2;
        }
        let h = History::from_days(Asset::Btc, Date::new(2022, 1, 1).unwrap(), days);
        let past = Past::of(&h, Model::default()).unwrap();
        let future = past.future(&h, 400, &mut SplitMix64(1));
        let halved = future.days().iter().position(|d| d.subsidy == 1_5625_0000).unwrap();
        // The history's last day is the 1,300th with the new subsidy.
        assert_eq!(1_299 + halved, HALVING_DAYS);
    }

    #[test]
    fn a_history_too_short_to_draw_from_is_refused() {
        let o = offer(&[]).unwrap();
        assert!(forecast(&o, &history(100, |_| 1_000_000), Model::default()).is_err());
        let none = Model { scenarios: 0, ..Model::default() };
        assert!(forecast(&o, &history(900, |_| 1_000_000), none).is_err());
    }
}
