//! A chain's figures for pages and programs.

use crate::api::Money;
use crate::money::local;
use crate::openapi::answers;
use crate::words::{say, t, text};
use gruve_chain::NetworkFigures;
use gruve_chain::params::Hardness;
use gruve_units::{Amount, Asset};
use maud::{Markup, html};

/// Millionths as a decimal.
fn micro_text(micro: u128) -> String {
    format!("{}.{:06}", micro / 1_000_000, micro % 1_000_000)
}

fn work(hardness: Hardness) -> Option<String> {
    hardness.work().map(|w| w.to_string())
}

answers! {
    /// Figures of a public chain, computed from the blocks that the lane's node has.
    struct ChainFigures {
        /// The newest block.
        height: u64,
        /// Hashes that a block at its difficulty takes on average, as text.
        work_per_block: String,
        /// New coins of the next block.
        subsidy: Money,
        /// What blocks of about a day brought in fees.
        fees: FeeFigures,
        /// Minor units that a TH/s earns in a day, before fees and luck, as text.
        hashprice_minor_per_th_day: String,
        /// Null where the chain's rule is not known, or too little of its blocks.
        next_difficulty: Option<NextDifficulty>,
    }

    /// Fees of blocks.
    struct FeeFigures {
        /// The first block.
        from: u64,
        /// The block before which it ends.
        until: u64,
        /// How many of them are known.
        blocks: u64,
        /// Whether that is all of them.
        is_whole: bool,
        /// Of all of them.
        total: Money,
        /// Of a block, rounded down.
        average: Money,
        /// The same, where a block's fees count up to `cap`.
        capped_average: Money,
        /// The subsidy.
        cap: Money,
    }

    /// The difficulty after the next change.
    struct NextDifficulty {
        /// From which block on.
        height: u64,
        /// In how many blocks.
        blocks: u64,
        /// Whether everything that it depends on has happened.
        is_decided: bool,
        /// If the pace so far goes on.
        work_per_block: Option<String>,
        /// Two standard deviations of chance below.
        work_per_block_min: Option<String>,
        /// And above.
        work_per_block_max: Option<String>,
    }
}

/// As programs get it.
pub(crate) fn figures(asset: Asset, n: &NetworkFigures) -> ChainFigures {
    let coins = |minor| crate::api::amount(Amount::new(asset, minor));
    ChainFigures {
        height: n.tip.height,
        work_per_block: n.work.to_string(),
        subsidy: coins(n.subsidy),
        fees: FeeFigures {
            from: n.fees.from,
            until: n.fees.until,
            blocks: n.fees.blocks,
            is_whole: n.fees.is_whole(),
            total: coins(n.fees.total),
            average: coins(n.fees.average),
            capped_average: coins(n.fees.capped),
            cap: coins(n.fees.cap),
        },
        hashprice_minor_per_th_day: micro_text(n.hashprice_micro),
        next_difficulty: n.next.map(|next| NextDifficulty {
            height: next.height,
            blocks: next.height.saturating_sub(n.tip.height),
            is_decided: next.is_decided,
            work_per_block: work(next.expected),
            work_per_block_min: work(next.easiest),
            work_per_block_max: work(next.hardest),
        }),
    }
}

/// Change of the work of a block in tenths of a per cent.
fn change(now: u128, then: Hardness) -> Option<i128> {
    let (now, then) = (i128::try_from(now).ok()?, i128::try_from(then.work()?.0).ok()?);
    (then.checked_sub(now)?.checked_mul(1_000)?).checked_div(now)
}

fn change_text(tenths: i128) -> String {
    let sign = if tenths < 0 { '−' } else { '+' };
    let tenths = tenths.unsigned_abs();
    format!("{sign}{}", local(&format!("{}.{} %", tenths / 10, tenths % 10)))
}

/// Names of hashrates, each a thousandth of the one before.
const RATES: [&str; 5] = ["TH/s", "GH/s", "MH/s", "kH/s", "H/s"];
/// Coins a day above which a smaller hashrate reads better.
const COINS_MAX: u128 = 1_000;
/// Minor units from which coins read better.
const MINOR_MAX: u128 = 1_000_000;

/// A hashprice at a hashrate that earns something one can picture: of a small chain a terahash earns
/// more coins than there are.
fn hashprice_text(asset: Asset, micro_per_th: u128) -> String {
    let most = COINS_MAX * u128::from(asset.unit().unsigned_abs()) * 1_000_000;
    let (mut micro, mut rates) = (micro_per_th, RATES.iter());
    let mut rate = rates.next();
    while micro >= most
        && let Some(smaller) = rates.next()
    {
        (micro, rate) = (micro / 1_000, Some(smaller));
    }
    let rate = rate.copied().unwrap_or_default();
    match i64::try_from(micro / 1_000_000) {
        Ok(minor) if micro >= MINOR_MAX * 1_000_000 => {
            let amount = local(&Amount::new(asset, minor).to_string());
            text!("{amount} a {rate}", amount = amount, rate = rate)
        }
        _ => text!("{n} minor units a {rate}", n = local(&micro_text(micro)), rate = rate),
    }
}

/// Rows of a list of figures.
pub(crate) fn rows(asset: Asset, n: &NetworkFigures) -> Markup {
    let coins = |minor| local(&Amount::new(asset, minor).to_string());
    let changes = n.next.and_then(|next| {
        let of = |h| change(n.work.0, h);
        Some((next, of(next.expected)?, of(next.easiest)?, of(next.hardest)?))
    });
    let counted_fees = text!(
        "blocks {from} to {until}, {blocks} of them known; each counted up to {cap}",
        from = n.fees.from,
        until = n.fees.until - 1,
        blocks = n.fees.blocks,
        cap = coins(n.fees.cap)
    );
    html! {
        div { dt { (t("A block creates")) } dd { (coins(n.subsidy)) } }
        div { dt { (t("Fees, average")) } dd title=(counted_fees) { (coins(n.fees.capped)) } }
        div { dt { (t("Hashprice")) } dd title=(t("before fees and luck, at today's difficulty")) {
            (say!("{price} and day", price = hashprice_text(asset, n.hashprice_micro)))
        } }
        @if let Some((next, expected, easiest, hardest)) = changes {
            div { dt { (t("Next difficulty")) } dd {
                @if next.is_decided {
                    (say!("{change} at block {height}", change = change_text(expected), height = next.height))
                } @else {
                    (say!("{change} ({least} to {most}) at block {height}", change = change_text(expected),
                        least = change_text(easiest), most = change_text(hardest), height = next.height))
                }
            } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hashprice_is_told_for_a_hashrate_that_earns_something_one_can_picture() {
        let of = |asset, micro| hashprice_text(asset, micro);
        assert_eq!(of(Asset::Btc, 62_863_314), "62.863314 minor units a TH/s");
        assert_eq!(of(Asset::Etc, 59_000_000_000_000_000), "59.000000000 ETC a TH/s");
        let small = 1_542_858_492_857_142_857_142_857_142_857;
        assert_eq!(of(Asset::Etc, small), "1\u{202f}542.858492857 ETC a H/s");
        let most = "340 282 366 920 938 463 463.374607".replace(' ', "\u{202f}");
        assert_eq!(of(Asset::Ltc, u128::MAX), format!("{most} minor units a H/s"));
    }

    #[test]
    fn changes_and_prices_are_written_without_floats() {
        assert_eq!(change_text(-7), "−0.7 %");
        assert_eq!(change_text(3_000), "+300.0 %");
        assert_eq!(micro_text(62_863_314), "62.863314");
        assert_eq!(change(1_000, Hardness::Difficulty(1_025)), Some(25));
        assert_eq!(change(0, Hardness::Difficulty(1)), None);
    }
}
