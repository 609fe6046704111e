//! Which of the algorithm's epochs a work is of.

use gruve_chain::NodeWork;
use gruve_pow::ethash::{EthashEpoch, EthashError};
use gruve_units::{Algorithm, Blame, Blamed};

/// The block from which Ethereum Classic counts epochs of 60,000 blocks (ECIP-1099).
const CLASSIC_ETCHASH_FROM: u64 = 11_700_000;

/// How a chain cuts its blocks into the algorithm's epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochForm {
    /// The first block of Etchash; none for a chain that stays with Ethash.
    etchash_from: Option<u64>,
}

/// A work that cannot be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EpochFault {
    /// The node's block and seed do not belong together under this form.
    #[error(
        "the node's seed is not that of block {height} in {algorithm}: is the lane of another chain?"
    )]
    OtherSeed {
        /// The node's block.
        height: u64,
        /// By the form.
        algorithm: Algorithm,
    },
    /// No known epoch has the seed, and the node does not say the block.
    #[error("the node's seed is of no known epoch")]
    UnknownSeed,
    /// An epoch beyond those served.
    #[error(transparent)]
    Epoch(#[from] EthashError),
}

impl Blamed for EpochFault {
    fn blame(&self) -> Blame {
        match self {
            EpochFault::OtherSeed { .. } | EpochFault::UnknownSeed => Blame::Fatal,
            EpochFault::Epoch(e) => e.blame(),
        }
    }
}

impl EpochForm {
    /// 30,000 blocks for ever.
    pub const ETHASH: EpochForm = EpochForm { etchash_from: None };

    /// Ethereum Classic's main net.
    pub const CLASSIC: EpochForm = EpochForm { etchash_from: Some(CLASSIC_ETCHASH_FROM) };

    /// 60,000 blocks from this block on, 30,000 before.
    #[must_use]
    pub const fn etchash_from(block: u64) -> EpochForm {
        EpochForm { etchash_from: Some(block) }
    }

    /// What the lane says it hashes.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        if self.etchash_from.is_some() { Algorithm::Etchash } else { Algorithm::Ethash }
    }

    fn algorithm_at(self, block: u64) -> Algorithm {
        match self.etchash_from {
            Some(from) if block >= from => Algorithm::Etchash,
            _ => Algorithm::Ethash,
        }
    }

    /// The epoch of a work: by its block where the node says it (the seed must agree), else by its
    /// seed. `last` is the last answer and its seed, so that these are not made again each time.
    ///
    /// # Errors
    /// When block and seed disagree, or neither says a known epoch.
    pub fn epoch_of(
        self,
        work: &NodeWork,
        last: &mut Option<(EthashEpoch, [u8; 32])>,
    ) -> Result<EthashEpoch, EpochFault> {
        let known = last.filter(|(_, seed)| *seed == work.seed_hash);
        let epoch = match (work.height, known) {
            (Some(height), known) => {
                let algorithm = self.algorithm_at(height);
                let epoch = EthashEpoch::of_block(algorithm, height)?;
                let agrees =
                    known.is_some_and(|(e, _)| e == epoch) || epoch.seed_hash() == work.seed_hash;
                if !agrees {
                    return Err(EpochFault::OtherSeed { height, algorithm });
                }
                epoch
            }
            (None, Some((epoch, _))) => epoch,
            (None, None) => self.of_seed(&work.seed_hash).ok_or(EpochFault::UnknownSeed)?,
        };
        *last = Some((epoch, work.seed_hash));
        Ok(epoch)
    }

    /// By the seed alone. An Etchash seed is Ethash's of twice the epoch; what tells them apart is
    /// whether that epoch has blocks from the change on.
    fn of_seed(self, seed: &[u8; 32]) -> Option<EthashEpoch> {
        if let Some(from) = self.etchash_from
            && let Some(epoch) = EthashEpoch::of_seed(Algorithm::Etchash, seed)
            && let Some(length) = EthashEpoch::length(Algorithm::Etchash)
            && (u64::from(epoch.number()) + 1) * length > from
        {
            return Some(epoch);
        }
        EthashEpoch::of_seed(Algorithm::Ethash, seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_units::Target;

    fn work(seed_hash: [u8; 32], height: Option<u64>) -> NodeWork {
        NodeWork { header_hash: [1; 32], seed_hash, target: Target::MAX, height }
    }

    fn epoch(algorithm: Algorithm, number: u64) -> EthashEpoch {
        EthashEpoch::new(algorithm, number).unwrap()
    }

    #[test]
    fn classic_changes_its_epochs_at_the_block_of_ecip_1099() {
        let form = EpochForm::CLASSIC;
        for (height, want) in [
            (11_699_999, epoch(Algorithm::Ethash, 389)),
            (11_700_000, epoch(Algorithm::Etchash, 195)),
            (22_020_000, epoch(Algorithm::Etchash, 367)),
        ] {
            let of = |height| form.epoch_of(&work(want.seed_hash(), height), &mut None);
            assert_eq!(of(Some(height)), Ok(want));
            assert_eq!(of(None), Ok(want), "by its seed alone");
        }
    }

    #[test]
    fn a_seed_of_another_chain_is_refused() {
        let seed = epoch(Algorithm::Ethash, 734).seed_hash();
        // The same block in Ethash.
        assert_eq!(
            EpochForm::CLASSIC
                .epoch_of(&work(seed, Some(22_020_000)), &mut None)
                .map(EthashEpoch::number),
            Ok(367)
        );
        let ethash = EpochForm::ETHASH.epoch_of(&work(seed, Some(22_020_000)), &mut None);
        assert_eq!(ethash, Ok(epoch(Algorithm::Ethash, 734)));
        let wrong = epoch(Algorithm::Ethash, 733).seed_hash();
        assert!(matches!(
            EpochForm::CLASSIC.epoch_of(&work(wrong, Some(22_020_000)), &mut None),
            Err(EpochFault::OtherSeed { .. })
        ));
        assert_eq!(
            EpochForm::ETHASH.epoch_of(&work([9; 32], None), &mut None),
            Err(EpochFault::UnknownSeed)
        );
        assert!(matches!(
            EpochForm::ETHASH.epoch_of(&work([9; 32], Some(u64::MAX)), &mut None),
            Err(EpochFault::Epoch(_))
        ));
    }

    #[test]
    fn the_last_answer_is_not_believed_for_another_block() {
        let form = EpochForm::ETHASH;
        let first = epoch(Algorithm::Ethash, 1);
        let mut last = None;
        assert_eq!(form.epoch_of(&work(first.seed_hash(), Some(30_000)), &mut last), Ok(first));
        assert!(form.epoch_of(&work(first.seed_hash(), Some(60_000)), &mut last).is_err());
    }
}
