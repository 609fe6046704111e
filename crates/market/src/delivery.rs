//! How far a contract's delivery is: a lease is a quantity of work, not of time.
//!
//! A contract buys `epoch work × term` hashes. By the end of its *i*-th epoch it should have got
//! `min(i, term) × epoch work`; what is missing is its open shortfall. Epochs that were never closed
//! count like any other, so that downtime is owed too. After the term it goes on at the bought rate
//! until all is delivered or its hard end comes.

use crate::MarketError;
use gruve_units::{EpochNumber, Hashes, mul_div_floor};

/// What a contract needs to know of itself to be allocated work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its first epoch.
    pub start: EpochNumber,
    /// The term in epochs.
    pub term: u64,
    /// Epochs after the term in which it is still delivered.
    pub extension: u64,
    /// Work of one epoch at the bought rate.
    pub epoch_work: Hashes,
    /// Work delivered so far.
    pub delivered: Hashes,
    /// How far above the rate shortfalls may be made good, in basis points of it.
    pub catch_up_bps: u32,
}

/// What a contract may get in an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What it should get of this epoch's work.
    pub entitled: Hashes,
    /// Open shortfall that may be made good in this epoch, if there is surplus.
    pub catch_up: Hashes,
}

impl Delivery {
    /// Work bought: epoch work times term.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn bought(&self) -> Result<Hashes, MarketError> {
        self.times(self.term)
    }

    fn times(&self, epochs: u64) -> Result<Hashes, MarketError> {
        let all = self.epoch_work.0.checked_mul(u128::from(epochs));
        all.map(Hashes).ok_or(MarketError::Overflow("the work of a contract"))
    }

    /// What should have been delivered by the end of `epoch`.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn due_by(&self, epoch: EpochNumber) -> Result<Hashes, MarketError> {
        let passed = epoch.next().0.saturating_sub(self.start.0);
        self.times(passed.min(self.term))
    }

    /// The open shortfall at the end of `epoch`.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn shortfall(&self, epoch: EpochNumber) -> Result<Hashes, MarketError> {
        Ok(self.due_by(epoch)?.saturating_sub(self.delivered))
    }

    /// The epoch before which everything must have been delivered.
    #[must_use]
    pub const fn hard_end(&self) -> EpochNumber {
        EpochNumber(self.start.0.saturating_add(self.term).saturating_add(self.extension))
    }

    /// What it may get in `epoch`: nothing before its start and from its hard end on.
    ///
    /// # Errors
    /// [`MarketError::Overflow`].
    pub fn claim(&self, epoch: EpochNumber) -> Result<Claim, MarketError> {
        if epoch < self.start || epoch >= self.hard_end() {
            return Ok(Claim { entitled: Hashes::ZERO, catch_up: Hashes::ZERO });
        }
        let undelivered = self.bought()?.saturating_sub(self.delivered);
        let entitled = self.epoch_work.min(undelivered);
        let short = self.shortfall(epoch)?.saturating_sub(entitled);
        let (above, _) = mul_div_floor(self.epoch_work.0, self.catch_up_bps.into(), 10_000)
            .map_err(|_| MarketError::Overflow("the catch-up of a contract"))?;
        Ok(Claim { entitled, catch_up: short.min(Hashes(above)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lease(delivered: u128) -> Delivery {
        Delivery {
            start: EpochNumber(10),
            term: 4,
            extension: 2,
            epoch_work: Hashes(100),
            delivered: Hashes(delivered),
            catch_up_bps: 5_000,
        }
    }

    fn claim(delivered: u128, epoch: u64) -> (u128, u128) {
        let c = lease(delivered).claim(EpochNumber(epoch)).unwrap();
        (c.entitled.0, c.catch_up.0)
    }

    #[test]
    fn a_contract_is_entitled_to_its_rate_from_start_to_hard_end() {
        assert_eq!(claim(0, 9), (0, 0));
        assert_eq!(claim(0, 10), (100, 0));
        assert_eq!(claim(100, 11), (100, 0));
        assert_eq!(claim(0, 16), (0, 0));
    }

    #[test]
    fn shortfall_is_made_good_up_to_the_plans_rate_only() {
        assert_eq!(claim(0, 11), (100, 50));
        assert_eq!(claim(80, 11), (100, 20));
    }

    #[test]
    fn missed_epochs_are_owed() {
        assert_eq!(lease(100).shortfall(EpochNumber(12)).unwrap(), Hashes(200));
    }

    #[test]
    fn after_the_term_it_goes_on_at_its_rate_until_all_is_delivered() {
        assert_eq!(claim(370, 14), (30, 0));
        assert_eq!(claim(100, 14), (100, 50));
        assert_eq!(claim(400, 14), (0, 0));
    }

    proptest! {
        #[test]
        fn a_claim_never_passes_what_was_bought(d in 0u128..500, e in 0u64..30, bps in 0u32..1_000_000) {
            let lease = Delivery { catch_up_bps: bps, ..lease(d.min(400)) };
            let c = lease.claim(EpochNumber(e)).unwrap();
            prop_assert!(lease.delivered.0 + c.entitled.0 + c.catch_up.0 <= 400);
        }
    }
}
