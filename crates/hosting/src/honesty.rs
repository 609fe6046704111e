//! What a machine claims beside what its shares prove. Pure; nothing here decides an amount.
//!
//! # The interval
//! A machine of hashrate *h* finds shares as a Poisson process. Of work *W* = Σ *w* with Σ *w*² = *Q* the number of
//! shares that count is *n* = *W*² / *Q* (the number itself where all are of one class), and the work that *n*
//! stands for lies in `n + z²/2 ± z·√(n + z²/4)` parts of *W*/*n* with *z* = 1.96: 95 in 100 of such intervals hold
//! what the machine truly did.
//!
//! # The test
//! Let *C* be the work claimed over some epochs, less [`TOLERANCE_PERCENT`] for stale shares, restarts and
//! rounding, and *m* the work of the hardest share. If the machine truly did *C*, the chance that its shares
//! prove *W* or less is at most `exp(−(C/m)·(1 − r + r·ln r))`, *r* = *W*/*C* (the Chernoff bound of a Poisson
//! variable; shares of lower classes only make it smaller). It is flagged when that is below one in 10⁹. A
//! machine looked at 144 times a day is so flagged wrongly less than once in 19,000 years; one that claims twice
//! what it does is flagged as soon as it claims the work of 170 shares.

use gruve_farm::Proof;
use gruve_units::Hashes;

/// Percent of the claim that an honest machine may lose between its chips and our log.
pub const TOLERANCE_PERCENT: u128 = 5;

/// The logarithm of the chance of a false alarm at one look: one in 10⁹.
pub const FALSE_ALARM_LN: f64 = -20.723;

/// What a claim is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing was claimed.
    NoClaim,
    /// The proof does not speak against the claim.
    Consistent,
    /// The machine claims more than it does.
    ClaimsTooMuch,
}

impl Verdict {
    /// The stable word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::NoClaim => "no-claim",
            Verdict::Consistent => "consistent",
            Verdict::ClaimsTooMuch => "claims-too-much",
        }
    }
}

#[allow(clippy::cast_precision_loss)] // For a chance and an interval, no amount.
const fn float(n: u128) -> f64 {
    n as f64
}

/// The logarithm of (a bound of) the chance that a machine which does `claimed` proves `work` or less, by shares
/// of at most `largest` work each.
#[must_use]
pub fn chance_ln(claimed: Hashes, work: Hashes, largest: Hashes) -> f64 {
    if work >= claimed || largest == Hashes::ZERO {
        return 0.0;
    }
    let ratio = float(work.0) / float(claimed.0);
    let r_ln_r = if ratio > 0.0 { ratio * ratio.ln() } else { 0.0 };
    -(float(claimed.0) / float(largest.0)) * (1.0 - ratio + r_ln_r)
}

/// Holds a claim against a proof. `class_if_none` is the work of a share of the class that the machine would
/// have been given, for one that proves nothing at all.
#[must_use]
pub fn judge(claimed: Hashes, proof: &Proof, class_if_none: Hashes) -> Verdict {
    let fair = Hashes(claimed.0 / 100 * (100 - TOLERANCE_PERCENT));
    if fair == Hashes::ZERO {
        return Verdict::NoClaim;
    }
    let largest = match proof.shares {
        0 => class_if_none,
        _ => Hashes(1u128.checked_shl(u32::from(proof.largest)).unwrap_or(u128::MAX)),
    };
    match chance_ln(fair, proof.work, largest) {
        ln if ln < FALSE_ALARM_LN => Verdict::ClaimsTooMuch,
        _ => Verdict::Consistent,
    }
}

/// The interval that holds what was truly done, 95 times in 100.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // For show.
pub fn interval(proof: &Proof) -> (Hashes, Hashes) {
    const Z: f64 = 1.96;
    if proof.shares == 0 || proof.squares == 0 {
        return (Hashes::ZERO, Hashes::ZERO);
    }
    let work = float(proof.work.0);
    let n = work * work / float(proof.squares);
    let (middle, half) = (n + Z * Z / 2.0, Z * (n + Z * Z / 4.0).sqrt());
    let each = work / n;
    (Hashes(((middle - half).max(0.0) * each) as u128), Hashes(((middle + half) * each) as u128))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_farm::MachineOwner;
    use gruve_units::Class;

    const CLASS: u8 = 40;

    fn shares(n: u64) -> Proof {
        let mut proof = Proof::none(MachineOwner::House);
        (0..n).for_each(|_| proof.add(Class::new(CLASS).unwrap()));
        proof
    }

    fn work_of(shares: u128) -> Hashes {
        Hashes(shares << CLASS)
    }

    #[test]
    fn twice_the_hashrate_is_found_out_after_170_claimed_shares_and_not_by_chance() {
        let one = work_of(1);
        assert_eq!(judge(work_of(170), &shares(85), one), Verdict::ClaimsTooMuch);
        assert_eq!(judge(work_of(40), &shares(20), one), Verdict::Consistent, "too early to say");
        assert_eq!(judge(work_of(1_000), &shares(1_000), one), Verdict::Consistent);
        // Four standard deviations below, and the tolerance: still chance.
        assert_eq!(judge(work_of(1_000), &shares(870), one), Verdict::Consistent);
        assert_eq!(judge(work_of(30), &shares(0), one), Verdict::ClaimsTooMuch, "proves nothing");
        assert_eq!(judge(work_of(10), &shares(0), one), Verdict::Consistent);
        assert_eq!(judge(Hashes::ZERO, &shares(3), one), Verdict::NoClaim);
    }

    /// The bound is held against the exact sum of the Poisson probabilities.
    #[test]
    fn the_chance_is_never_stated_smaller_than_it_is() {
        for mean in [1u32, 5, 20, 100, 400] {
            let (lambda, mut term, mut sum) = (f64::from(mean), (-f64::from(mean)).exp(), 0.0);
            for k in 0..mean {
                sum += term;
                let bound = chance_ln(work_of(mean.into()), work_of(k.into()), work_of(1));
                assert!(bound >= f64::ln(sum) - 1e-9, "{k} of {mean}");
                term *= lambda / f64::from(k + 1);
            }
        }
    }

    #[test]
    fn the_interval_holds_what_was_proven_and_narrows_with_more_shares() {
        let width = |n: u64| {
            let (low, high) = interval(&shares(n));
            assert!(low < work_of(n.into()) && work_of(n.into()) < high);
            float(high.0 - low.0) / float(work_of(n.into()).0)
        };
        assert!(width(10_000) < 0.04 && width(100) > 0.3);
        assert_eq!(interval(&shares(0)), (Hashes::ZERO, Hashes::ZERO));
    }
}
