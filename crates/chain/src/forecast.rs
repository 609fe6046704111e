//! When a chain's difficulty changes next, and to what: the chain's own rule where all it depends on has
//! happened, and an estimate with its bounds where it has not. Pure.
//!
//! *Estimate.* In a period of Bitcoin's kind with `n` intervals over that took `t` seconds and `k` to
//! come, the whole is expected to take `t + t·k/n`: the pace so far goes on. Bounds are two standard
//! deviations of what is left, when blocks come at random at a steady pace that is itself known from
//! those `n` only: `2·(t/n)·√(k + k²/n)` seconds either way. Early in a period they are wide, as they
//! should be; machines switched on or off are not foreseen at all. Floats have no part in it.

use crate::ChainParams;
use crate::figures::BlockFacts;
use crate::params::{Hardness, Period, Retarget};

/// The next change of a chain's difficulty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextDifficulty {
    /// The first height with it.
    pub height: u64,
    /// As expected.
    pub expected: Hardness,
    /// The easiest within the bounds.
    pub easiest: Hardness,
    /// The hardest within the bounds.
    pub hardest: Hardness,
    /// Whether it is decided: all three are the same then.
    pub is_decided: bool,
}

impl NextDifficulty {
    const fn decided(height: u64, hardness: Hardness) -> Self {
        NextDifficulty {
            height,
            expected: hardness,
            easiest: hardness,
            hardest: hardness,
            is_decided: true,
        }
    }
}

/// What can be said of the next change after `tip`, from the blocks that are known; `None` where the
/// chain's rule is not known here or too little is known of its blocks.
#[must_use]
pub fn next_difficulty(
    params: &ChainParams,
    tip: &BlockFacts,
    blocks: &[BlockFacts],
) -> Option<NextDifficulty> {
    let next = tip.height.checked_add(1)?;
    let time_at = |height| blocks.iter().find(|b| b.height == height).map(|b| b.time);
    match params.retarget {
        Retarget::Elsewhere => None,
        Retarget::Never => Some(NextDifficulty::decided(next, tip.hardness)),
        Retarget::Every(period) if period.first_of(next).is_none() => {
            within_period(params, &period, tip, blocks)
        }
        Retarget::Every(_) | Retarget::Digishield { .. } => {
            let first_time = match params.retarget.looks_back_to(next) {
                Some(height) => Some(time_at(height)?),
                None => None,
            };
            let hardness = params.retarget.next(&tip.header(), first_time, 0)?;
            Some(NextDifficulty::decided(next, hardness))
        }
        Retarget::Ethash { .. } => {
            // It depends on the next block's own time: at once, as intended, or four times as late
            // (which one block of fifty is).
            let after = |secs: u64| {
                params.retarget.next(&tip.header(), None, tip.time.saturating_add(secs))
            };
            Some(NextDifficulty {
                height: next,
                expected: after(params.spacing_secs)?,
                easiest: after(params.spacing_secs.saturating_mul(4))?,
                hardest: after(1)?,
                is_decided: false,
            })
        }
    }
}

/// The change at the end of the period that the next block is in.
fn within_period(
    params: &ChainParams,
    period: &Period,
    tip: &BlockFacts,
    blocks: &[BlockFacts],
) -> Option<NextDifficulty> {
    let Hardness::Bits(bits) = tip.hardness else { return None };
    if period.eases {
        return None;
    }
    let height = (tip.height / period.blocks.max(1)).checked_add(1)?.checked_mul(period.blocks)?;
    let first = period.first_of(height)?;
    let all = period.intervals(height);
    // The whole period where it is known, otherwise what is known of it.
    let since =
        blocks.iter().filter(|b| (first..tip.height).contains(&b.height)).min_by_key(|b| b.height);
    let bits_after = |secs: u64| period.after(bits, secs).map(Hardness::Bits);
    let Some(since) = since else {
        let expected = all.saturating_mul(params.spacing_secs);
        return Some(NextDifficulty {
            height,
            expected: bits_after(expected)?,
            easiest: bits_after(u64::MAX)?,
            hardest: bits_after(0)?,
            is_decided: false,
        });
    };
    let over = u128::from(tip.height - since.height);
    let to_come = u128::from(all).saturating_sub(over);
    let took = u128::from(tip.time.saturating_sub(since.time));
    let whole = took.saturating_add(took.saturating_mul(to_come) / over);
    // 2·(t/n)·√(k + k²/n) = √(4·t²·(k·n + k²) / n³): one root, at the end.
    let spread = took.saturating_mul(took).saturating_mul(4);
    let spread =
        spread.saturating_mul(to_come.saturating_mul(over + to_come)) / (over * over * over);
    let bound = spread.isqrt();
    let secs = |span: u128| u64::try_from(span).unwrap_or(u64::MAX);
    Some(NextDifficulty {
        height,
        expected: bits_after(secs(whole))?,
        easiest: bits_after(secs(whole.saturating_add(bound)))?,
        hardest: bits_after(secs(whole.saturating_sub(bound)))?,
        is_decided: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{NetworkName, params_for};
    use gruve_units::{Asset, Entropy, SeededEntropy};

    const BITS: u32 = 0x1705_3894;

    fn block(height: u64, time: u64, hardness: Hardness) -> BlockFacts {
        let hash = [0; 32];
        BlockFacts { height, hash, time, hardness, names_uncles: false, subsidy: 0, fees: 0 }
    }

    fn bitcoin(heights: std::ops::RangeInclusive<u64>, spacing: u64) -> Vec<BlockFacts> {
        heights.map(|h| block(h, 1_700_000_000 + h * spacing, Hardness::Bits(BITS))).collect()
    }

    fn work(hardness: Hardness) -> u128 {
        hardness.work().unwrap().0
    }

    #[test]
    fn a_steady_pace_is_expected_to_go_on() {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let blocks = bitcoin(403_200..=404_207, 540);
        let next = next_difficulty(&params, blocks.last().unwrap(), &blocks).unwrap();
        assert_eq!((next.height, next.is_decided), (405_216, false));
        // 600/540, and one interval of 2016 that does not count.
        let exact = params.retarget.next(
            &block(405_215, 2_015 * 540, Hardness::Bits(BITS)).header(),
            Some(0),
            0,
        );
        assert_eq!(Some(next.expected), exact);
        assert!(work(next.easiest) < work(next.expected));
        assert!(work(next.expected) < work(next.hardest));
        // Half-way the bounds are 2·540·√(1008 + 1008²/1007) = some 48,500 s of 1,088,100.
        let ratio = work(next.hardest) * 1_000 / work(next.easiest);
        assert!((1_080..1_110).contains(&ratio), "{ratio}");
    }

    #[test]
    fn the_change_of_the_very_next_block_is_decided() {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let blocks = bitcoin(403_200..=405_215, 540);
        let next = next_difficulty(&params, blocks.last().unwrap(), &blocks).unwrap();
        assert!(next.is_decided);
        assert_eq!((next.height, next.expected), (405_216, next.hardest));
        let unknown = &blocks[1..];
        assert_eq!(next_difficulty(&params, unknown.last().unwrap(), unknown), None);
    }

    #[test]
    fn at_the_start_of_a_period_nothing_is_known_but_the_chains_bounds() {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let blocks = bitcoin(403_200..=403_200, 540);
        let next = next_difficulty(&params, &blocks[0], &blocks).unwrap();
        let ratio = |a, b| work(a) * 100 / work(b);
        assert!((399..=401).contains(&ratio(next.hardest, next.expected)));
        assert!((399..=401).contains(&ratio(next.expected, next.easiest)));
    }

    #[test]
    fn dogecoins_next_target_is_decided_and_other_rules_say_what_they_can() {
        let doge = params_for(Asset::Doge, NetworkName::Mainnet).unwrap();
        let blocks = [
            block(145_000, 1_395_094_679, Hardness::Bits(0x1b49_9dfd)),
            block(144_999, 1_395_094_427, Hardness::Bits(0x1b49_9dfd)),
        ];
        let next = next_difficulty(&doge, &blocks[0], &blocks).unwrap();
        assert_eq!((next.height, next.expected), (145_001, Hardness::Bits(0x1b67_1062)));
        assert!(next.is_decided);
        let regtest = params_for(Asset::Btc, NetworkName::Regtest).unwrap();
        let one = [block(5, 9, Hardness::Bits(0x207f_ffff))];
        assert_eq!(next_difficulty(&regtest, &one[0], &one).unwrap().expected, one[0].hardness);
        let dev = params_for(Asset::Btc, NetworkName::Dev).unwrap();
        assert_eq!(next_difficulty(&dev, &one[0], &one), None);
        let etc = params_for(Asset::Etc, NetworkName::Mainnet).unwrap();
        let tip = block(20_000_000, 1_700_000_000, Hardness::Difficulty(2_048_000_000_000));
        let next = next_difficulty(&etc, &tip, &[tip]).unwrap();
        assert_eq!(next.expected, tip.hardness, "13 seconds leave it");
        assert_eq!(work(next.hardest), 2_049_000_000_000);
        assert_eq!(work(next.easiest), 2_048_000_000_000 - 4 * 1_000_000_000);
    }

    /// Blocks at random at a steady pace: the truth is within the bounds about as often as two standard
    /// deviations say (95 of 100).
    #[test]
    fn the_bounds_hold_the_truth_as_often_as_they_say() {
        let params = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
        let entropy = SeededEntropy::new(11);
        let exponential = || {
            let mut bytes = [0u8; 4];
            entropy.fill(&mut bytes);
            -((f64::from(u32::from_le_bytes(bytes)) + 1.0) / 4_294_967_297.0).ln()
        };
        let (rounds, mut within) = (400, 0);
        for round in 0..rounds {
            let (mut time, mut blocks) = (1_700_000_000.0, Vec::new());
            for height in 403_200..=405_215_u64 {
                #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                blocks.push(block(height, time as u64, Hardness::Bits(BITS)));
                time += 560.0 * exponential();
            }
            let truth = next_difficulty(&params, blocks.last().unwrap(), &blocks).unwrap();
            let seen = &blocks[..200 + round * 4];
            let next = next_difficulty(&params, seen.last().unwrap(), seen).unwrap();
            let bounds = work(next.easiest)..=work(next.hardest);
            within += usize::from(bounds.contains(&work(truth.expected)));
        }
        assert!((365..=398).contains(&within), "{within} of {rounds}");
    }
}
