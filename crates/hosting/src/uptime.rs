//! How long a machine was up in an epoch, by what its shares prove. Pure, in whole numbers.
//!
//! | the terms' rule | an epoch is up |
//! |---|---|
//! | [`LEVEL_RULE`](gruve_statement::hosting::LEVEL_RULE) | for `⌊length × min(half, work + luck) / half⌋`, and no longer than its length less the time that the machine itself claimed under half its nameplate |
//! | [`LEVEL_RULE_1`], of contracts from before | for its length less that time, if its shares prove any work in it |
//!
//! `half` is half of what the nameplate does in an epoch, `work` what the machine's shares prove in it, and
//! `luck = ⌊√(9 × ⌊half × squares / work⌋)⌋`: three standard deviations of what shares of these sizes (`squares` is
//! the sum of the squares of their work) prove of a machine that does just `half`. Where nothing is proven it is down.
//!
//! So a machine that does its nameplate is never down by chance (below one epoch in 10⁹, from eleven expected
//! shares an epoch on; with fewer, a single share is enough), one that stands still for most of an epoch is down
//! for the part that is missing, and a single share is worth what it proves. A cut line to the site costs the operator
//! nothing while the machine works; a machine that claims and proves nothing is down.

use gruve_farm::Proof;
use gruve_statement::hosting::{HostingTerms, LEVEL_RULE_1};
use gruve_units::{Duration, Hashrate, mul_div_floor};

/// When a machine is up, as a contract's terms say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Uptime {
    /// [`LEVEL_RULE`](gruve_statement::hosting::LEVEL_RULE).
    ByWork {
        /// What its maker promises.
        nameplate: Hashrate,
    },
    /// [`LEVEL_RULE_1`].
    AnyWork,
}

impl Uptime {
    /// As these terms have it: nothing is measured otherwise than it was agreed.
    #[must_use]
    pub fn of(terms: &HostingTerms) -> Uptime {
        match terms.service_level_rule.as_str() {
            LEVEL_RULE_1 => Uptime::AnyWork,
            _ => Uptime::ByWork { nameplate: terms.nameplate },
        }
    }

    /// For how many microseconds a machine was up in an epoch of `length_us`, in which it claimed under half its
    /// nameplate for `down_us`.
    #[must_use]
    pub fn up_us(self, length_us: u64, proof: &Proof, down_us: u64) -> u64 {
        if proof.work.0 == 0 {
            return 0;
        }
        let proven = match self {
            Uptime::AnyWork => length_us,
            Uptime::ByWork { nameplate } => by_work(length_us, proof, nameplate),
        };
        proven.min(length_us.saturating_sub(down_us))
    }
}

fn by_work(length_us: u64, proof: &Proof, nameplate: Hashrate) -> u64 {
    let half = nameplate.work_in(Duration::from_micros(length_us)).0 / 2;
    if proof.work.0 >= half {
        return length_us;
    }
    // What does not fit is luck without a bound.
    let spread = mul_div_floor(half, proof.squares, proof.work.0);
    let variance = spread.map_or(u128::MAX, |(whole, _)| whole.saturating_mul(9));
    let done = proof.work.0.saturating_add(variance.isqrt()).min(half);
    // At most the length.
    let up = mul_div_floor(length_us.into(), done, half).map_or(length_us.into(), |(up, _)| up);
    u64::try_from(up).unwrap_or(length_us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gruve_farm::MachineOwner;
    use gruve_units::Class;
    use proptest::prelude::*;

    const LENGTH_US: u64 = 600_000_000;
    const CLASS: u8 = 40;

    fn shares(n: u64) -> Proof {
        let mut proof = Proof::none(MachineOwner::House);
        (0..n).for_each(|_| proof.add(Class::new(CLASS).unwrap()));
        proof
    }

    /// Of a machine that is expected to find so many shares in an epoch.
    fn by_work(expected: u128) -> Uptime {
        // Rounded up, so that half of it is no less than half of the shares.
        Uptime::ByWork { nameplate: Hashrate((expected << CLASS).div_ceil(600)) }
    }

    #[test]
    fn a_single_share_is_worth_what_it_proves() {
        // One of sixty that half the nameplate finds, and three deviations of 7.7.
        let up = by_work(120).up_us(LENGTH_US, &shares(1), 0);
        assert!((LENGTH_US * 40 / 100..LENGTH_US * 41 / 100).contains(&up), "{up}");
        let up = by_work(10_000).up_us(LENGTH_US, &shares(1), 0);
        assert!(up < LENGTH_US * 5 / 100, "{up}");
        assert_eq!(Uptime::AnyWork.up_us(LENGTH_US, &shares(1), 0), LENGTH_US, "as it was agreed");
        // With some ten expected at half, one share more or less says nothing.
        assert_eq!(by_work(20).up_us(LENGTH_US, &shares(1), 0), LENGTH_US);
        assert_eq!(by_work(120).up_us(LENGTH_US, &shares(0), 0), 0);
    }

    #[test]
    fn half_the_nameplate_is_up_and_a_quarter_of_the_time_is_about_half_of_that() {
        assert_eq!(by_work(10_000).up_us(LENGTH_US, &shares(5_000), 0), LENGTH_US);
        // Three deviations of 71 below half.
        assert_eq!(by_work(10_000).up_us(LENGTH_US, &shares(4_789), 0), LENGTH_US);
        assert!(by_work(10_000).up_us(LENGTH_US, &shares(4_780), 0) < LENGTH_US);
        let up = by_work(10_000).up_us(LENGTH_US, &shares(2_500), 0);
        assert!((LENGTH_US / 2..LENGTH_US * 55 / 100).contains(&up), "{up}");
        // It says itself that it stood still for three quarters: that is no longer counted a second time.
        assert_eq!(by_work(10_000).up_us(LENGTH_US, &shares(2_500), 450_000_000), 150_000_000);
    }

    /// `SplitMix64`.
    struct Random(u64);

    impl Random {
        fn part(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / f64::from(u32::MAX)
        }

        /// How many shares come where `mean` are expected.
        fn poisson(&mut self, mean: f64) -> u64 {
            let (mut left, mut n) = (mean, 0);
            loop {
                left += self.part().max(1e-12).ln();
                if left < 0.0 {
                    return n;
                }
                n += 1;
            }
        }
    }

    #[test]
    fn an_honest_machine_is_not_down_by_chance() {
        let mut random = Random(20_261_122);
        for expected in [24_u32, 60, 120] {
            for _ in 0..4_000 {
                let found = shares(random.poisson(expected.into()));
                let up = by_work(expected.into()).up_us(LENGTH_US, &found, 0);
                assert_eq!(up, LENGTH_US, "{} of {expected}", found.shares);
            }
        }
    }

    proptest! {
        #[test]
        fn more_shares_are_never_less_time_and_never_more_than_there_is(
            expected in 1u128..100_000, n in 0u64..2_000, length_us in 1_000_000u64..1 << 42, down_us in 0u64..1 << 43,
        ) {
            let up = |n| by_work(expected).up_us(length_us, &shares(n), down_us);
            prop_assert!(up(n) <= up(n + 1));
            prop_assert!(up(n) <= length_us.saturating_sub(down_us));
            prop_assert!(up(n) <= Uptime::AnyWork.up_us(length_us, &shares(n), down_us), "never better than any work");
        }

        #[test]
        fn no_figures_are_too_large(work in 0u128.., squares in 0u128.., nameplate in 0u128..1 << 100, length_us in 0u64..1 << 50) {
            let proof = Proof { work: gruve_units::Hashes(work), squares, ..Proof::none(MachineOwner::House) };
            let up = Uptime::ByWork { nameplate: Hashrate(nameplate) }.up_us(length_us, &proof, 0);
            prop_assert!(up <= length_us);
        }
    }
}
