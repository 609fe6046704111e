//! The test for withheld blocks over all miners of a lane: see [`crate::withholding`] for what it rests on.

use crate::luck::{Luck, Miner};
use crate::withholding::{Chances, blocks_needed, threshold};
use crate::{Farm, Result};
use gruve_units::LaneId;

/// The chance that is wanted of finding whoever keeps blocks back, where [`Judgement`] says what that takes.
const FOUND: f64 = 0.9;

/// What is to be said of one miner.
#[derive(Clone, Debug, PartialEq)]
pub struct Judged {
    /// Who.
    pub miner: Miner,
    /// Shares looked at.
    pub shares: u64,
    /// Blocks that the work should have found.
    pub expected: f64,
    /// Blocks that it found.
    pub found: u64,
    /// How likely an honest miner does as badly.
    pub chances: Chances,
    /// Whether that is too unlikely.
    pub is_finding: bool,
}

/// What is to be said of a lane.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// Chances below this are findings.
    pub below: f64,
    /// Blocks' worth of work from which on whoever keeps all his blocks back is found nine times in ten, by blocks alone.
    pub needed_for_all: Option<f64>,
    /// The same of whoever keeps half of them.
    pub needed_for_half: Option<f64>,
    /// Everybody, the most suspicious first.
    pub miners: Vec<Judged>,
}

/// Judges everybody at this rate of false alarms for all together.
#[must_use]
pub fn judge(luck: &[(Miner, Luck)], alpha: f64) -> Judgement {
    let below = threshold(luck.len(), alpha);
    let one = |(miner, luck): &(Miner, Luck)| {
        let worked = luck.worked();
        let chances = worked.chances();
        Judged {
            miner: *miner,
            shares: worked.tail.shares(),
            expected: worked.expected,
            found: worked.found,
            chances,
            is_finding: chances.blocks < below || chances.tail < below,
        }
    };
    let mut miners: Vec<Judged> = luck.iter().map(one).collect();
    let least = |m: &Judged| m.chances.blocks.min(m.chances.tail);
    miners.sort_by(|a, b| least(a).total_cmp(&least(b)));
    Judgement {
        below,
        needed_for_all: blocks_needed(1.0, below, FOUND),
        needed_for_half: blocks_needed(0.5, below, FOUND),
        miners,
    }
}

impl Farm {
    /// Judges everybody on a lane at this rate of false alarms for all together.
    ///
    /// # Errors
    /// The database's.
    pub async fn judgement(&self, lane: &LaneId, alpha: f64) -> Result<Judgement> {
        Ok(judge(&self.luck(lane).await?, alpha))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::MachineId;

    #[test]
    fn the_most_suspicious_stands_first_and_is_a_finding_only_below_the_threshold_of_all() {
        let of = |n: u8, blocks: u128, found| {
            let luck = Luck { expected: blocks << 64, found, ..Luck::default() };
            (Miner::Machine(MachineId::from_bytes([n; 16])), luck)
        };
        let all = [of(1, 20, 20), of(2, 20, 0), of(3, 3, 0)];
        let said = judge(&all, 0.01);
        let order: Vec<_> = said.miners.iter().map(|m| (m.found, m.is_finding)).collect();
        assert_eq!(order, [(0, true), (0, false), (20, false)]);
        assert_eq!(said.miners[0].miner, all[1].0);
        assert!((said.below - 0.01 / 6.0).abs() < 1e-12, "two tests of each of three");
        assert!(said.needed_for_all < said.needed_for_half);
    }
}
