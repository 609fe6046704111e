//! A forecast in plain sentences.

use super::past::Past;
use super::{AssetForecast, Given, Outcome};
use gruve_units::{Amount, Asset};

fn amount(asset: Asset, minor: i64) -> String {
    Amount::new(asset, minor).to_string()
}

/// What the futures say, and what the model leaves out.
pub(super) fn words(
    given: &Given,
    assets: &[AssetForecast],
    per_mille: Option<u32>,
    expects_loss: Option<bool>,
    outcome: Option<&Outcome>,
) -> Vec<String> {
    let mut words: Vec<String> = assets
        .iter()
        .map(|a| {
            format!(
                "After all fees: {} on average; nine futures in ten bring {} to {}.",
                amount(a.asset, a.expected_minor),
                amount(a.asset, a.low_minor),
                amount(a.asset, a.high_minor)
            )
        })
        .collect();
    match (expects_loss, per_mille) {
        (Some(is_loss), Some(p)) if given.running.is_some() => words.push(running(is_loss, p)),
        (Some(true), Some(p)) => words.push(format!(
            "You should expect to lose money: the price of {} comes back in {}.{} % of the futures only.",
            amount(given.price.asset, given.price.minor),
            p / 10,
            p % 10
        )),
        (Some(false), Some(p)) => words.push(format!(
            "By this model the average brings more than the price of {}, which comes back in {}.{} % of the futures.",
            amount(given.price.asset, given.price.minor),
            p / 10,
            p % 10
        )),
        _ => words.push(unknown(given)),
    }
    if let Some(o) = outcome.filter(|_| given.running.is_some()) {
        words.push(format!(
            "Earnings less all that is paid: {} on average; nine futures in ten end between {} and {}.",
            amount(o.asset, o.expected_minor),
            amount(o.asset, o.low_minor),
            amount(o.asset, o.high_minor)
        ));
    }
    if given.upkeep_usd_micro_per_th_day > 0 && given.usd_micro.is_none() {
        words.push(
            "Upkeep in dollars is not in it: no price is recorded. It brings less than that."
                .into(),
        );
    }
    words
}

/// From so many times as wide as its past on an interval is said to tell little.
const TELLS_LITTLE: f64 = 2.0;

/// What the model does and leaves out; `learnt` is how many times as widely difficulty moves in it as it did.
pub(super) fn model(given: &Given, learnt: Option<f64>) -> Vec<String> {
    let mut words = vec![if given.is_of_another() {
        "The model: this coin has no kept history. Difficulty and price move as unsteadily as Litecoin's, \
         the most unsteady that is kept, and on average neither rise nor fall; subsidy, fees and this lane's hashrate stay as they \
         are now, and blocks are found by chance. Rising difficulty brings less."
            .to_owned()
    } else if let Some((of, day)) = given.past.and_then(Past::kept) {
        format!(
            "The model: difficulty and price move as in stretches of four years of the kept history of {of}, the last up to {day}; \
             subsidy, fees and this lane's hashrate stay as they are now, and blocks are found by chance. Halvings to come bring less."
        )
    } else {
        "The model: difficulty, fees and this lane's hashrate stay as they are now, and blocks are found by chance. \
         Difficulty has mostly risen in the past, which brings less."
            .to_owned()
    }];
    if let Some(times) = learnt {
        words.push(format!(
            "Difficulty moves {times:.1} times as widely in it as it did in those years: for a term as long as this one so much \
             was needed to hold what came."
        ));
    }
    if learnt.is_some_and(|times| times >= TELLS_LITTLE) {
        words.push(
            "An interval as wide as this one tells little, and nothing here knows more: do not count on its middle."
                .into(),
        );
    }
    words
}

/// Of what is paid along the way.
fn running(is_loss: bool, per_mille: u32) -> String {
    let (whole, tenth) = (per_mille / 10, per_mille % 10);
    if is_loss {
        format!(
            "You should expect to lose money: in {whole}.{tenth} % of the futures only it earns what is paid for it."
        )
    } else {
        format!(
            "By this model the average earns more than is paid for it; so do {whole}.{tenth} % of the futures."
        )
    }
}

/// Why nobody can say whether it comes back, and what is missing.
fn unknown(given: &Given) -> String {
    let missing = given.without_price();
    if missing.is_empty() {
        return "The price is in another asset than is earned: whether it comes back depends on their prices."
            .into();
    }
    let names: Vec<&str> = missing.iter().map(|a| a.code()).collect();
    format!(
        "Nobody can say here whether the price comes back: no price in dollars is recorded of {}. The operator would have \
         to name a source for it.",
        names.join(", ")
    )
}
