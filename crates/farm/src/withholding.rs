//! Whether somebody keeps found blocks back: blocks against share work, and the tail of the shares' hashes.
//!
//! A share of class *k* is a hash below 2^(256−k). Honest hashes know no more of it: a share reaches level *y* > *k*
//! with probability 2^(k−y), whoever made it. So
//! - **blocks**: work that should have found λ blocks finds *n* with Poisson's probabilities; the chance of so few is
//!   `P(X ≤ n)`;
//! - **tail**: of shares with classes *k*, some Σ 2^(k−y) reach level *y*. Whoever drops what reaches his cut has none
//!   above it; where the cut lies below the network's, this tells far sooner than blocks do. The count is a sum of
//!   independent chances; as long as it lies at least one below its mean, Poisson's tail is the larger
//!   (W. Hoeffding, 1956), so the test errs towards silence. Levels are looked at together: the smallest chance times
//!   their number.
//!
//! A finding is a chance below `α / tests`: whatever is looked at, honest miners raise an alarm with probability α at most
//! (Bonferroni). One look has this rate; who looks every day and remembers every alarm looks more often.
//!
//! Statistics, in floats: nothing here decides an amount. What it can see in farms of what size is [`power`]'s to say.

use gruve_units::Class;

/// The highest level looked at: of 2^128 hashes no farm has made.
const LEVELS: usize = 129;

/// Shares by how good their hashes were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// Shares of each class.
    classes: Box<[u64; LEVELS]>,
    /// Shares that reached each level and no higher one.
    reached: Box<[u64; LEVELS]>,
}

impl Default for Tail {
    fn default() -> Self {
        Tail { classes: Box::new([0; LEVELS]), reached: Box::new([0; LEVELS]) }
    }
}

/// What somebody's work and blocks were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Worked {
    /// Blocks that his work should have found.
    pub expected: f64,
    /// Blocks that he found.
    pub found: u64,
    /// His shares' hashes, where they were counted.
    pub tail: Tail,
}

/// How likely an honest miner does as badly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chances {
    /// So few blocks.
    pub blocks: f64,
    /// So thin a tail at its thinnest level, all levels considered; 1 where there are too few shares.
    pub tail: f64,
    /// That level.
    pub level: Option<u8>,
}

impl Tail {
    /// One more share, and how many hashes, as a power of two, its own was the best of: the number of leading zero
    /// bits of the hash as a number.
    pub fn add(&mut self, class: Class, zeros: u8) {
        let class = usize::from(class.k()).min(LEVELS - 1);
        // A share is at least of its class; what says otherwise is counted as just that.
        let level = usize::from(zeros).clamp(class, LEVELS - 1);
        self.classes[class] += 1;
        self.reached[level] += 1;
    }

    /// Both together.
    pub fn merge(&mut self, other: &Tail) {
        for (to, more) in self.classes.iter_mut().zip(other.classes.iter()) {
            *to += more;
        }
        for (to, more) in self.reached.iter_mut().zip(other.reached.iter()) {
            *to += more;
        }
    }

    /// As stored: for each level that has any, its number (1), shares of that class (8), shares that reached it (8).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (level, (class, reached)) in (0u8..).zip(self.classes.iter().zip(self.reached.iter())) {
            if *class > 0 || *reached > 0 {
                out.push(level);
                out.extend(class.to_be_bytes());
                out.extend(reached.to_be_bytes());
            }
        }
        out
    }

    /// From what was stored; `None` when it is something else.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Tail> {
        let (all, rest) = bytes.as_chunks::<17>();
        let mut tail = Tail::default();
        for one in all {
            let level = usize::from(one[0]);
            let (class, reached) = (one[1..9].try_into().ok()?, one[9..].try_into().ok()?);
            *tail.classes.get_mut(level)? = u64::from_be_bytes(class);
            *tail.reached.get_mut(level)? = u64::from_be_bytes(reached);
        }
        rest.is_empty().then_some(tail)
    }

    /// Shares in it.
    #[must_use]
    pub fn shares(&self) -> u64 {
        self.classes.iter().sum()
    }

    /// The chance of so thin a tail, and its thinnest level.
    #[must_use]
    pub fn chance(&self) -> (f64, Option<u8>) {
        let (mut least, mut at, mut levels) = (1.0f64, None, 0u32);
        let (mut expected, mut above) = (0.0f64, self.shares());
        let mut below = 0u64;
        for level in 0..LEVELS {
            // Of shares whose class is below this level, so many should have reached it, and so many did.
            if level > 0 {
                expected = (expected + as_float(self.classes[level - 1])) / 2.0;
                above -= self.reached[level - 1];
                below += self.classes[level - 1];
            }
            let own: u64 = self.classes[level..].iter().sum();
            if below == 0 || expected < EXPECTED_MIN {
                continue;
            }
            levels += 1;
            let count = above.saturating_sub(own);
            let chance =
                if as_float(count) <= expected - 1.0 { at_most(count, expected) } else { 1.0 };
            if chance < least {
                (least, at) = (chance, u8::try_from(level).ok());
            }
        }
        ((least * f64::from(levels.max(1))).min(1.0), at)
    }
}

/// Where less than this many are expected even none is no news: e^−5 is 0.7 %.
const EXPECTED_MIN: f64 = 5.0;

impl Worked {
    /// How likely an honest miner does as badly.
    #[must_use]
    pub fn chances(&self) -> Chances {
        let (tail, level) = self.tail.chance();
        Chances { blocks: at_most(self.found, self.expected), tail, level }
    }
}

impl Chances {
    /// Whether it is a finding among `looked_at` miners (each with two tests) at false-alarm rate `alpha`.
    #[must_use]
    pub fn is_finding(&self, looked_at: usize, alpha: f64) -> bool {
        let each = threshold(looked_at, alpha);
        self.blocks < each || self.tail < each
    }
}

/// What each test must be below.
#[must_use]
pub fn threshold(looked_at: usize, alpha: f64) -> f64 {
    alpha / as_float(2 * looked_at.max(1) as u64)
}

/// `P(X ≤ n)` of a Poisson variable with this mean.
#[must_use]
pub fn at_most(n: u64, mean: f64) -> f64 {
    // Nothing was expected, or not a number: nothing can be said.
    if mean.is_nan() || mean <= 0.0 {
        return 1.0;
    }
    let count = as_float(n);
    if count > mean + 40.0 * mean.sqrt() + 40.0 {
        return 1.0;
    }
    let last = (count * mean.ln() - mean - ln_factorial(n)).exp();
    let (mut sum, mut term) = (last, last);
    for i in (1..=n).rev() {
        term *= as_float(i) / mean;
        sum += term;
        // Below the mean terms shrink at least as fast as a geometric row.
        if term < sum * 1e-17 && as_float(i) < mean {
            break;
        }
    }
    sum.min(1.0)
}

/// The chance that the block test at `threshold` finds somebody who keeps back the part `withheld` of his blocks and
/// whose work should find `expected`.
#[must_use]
pub fn power(expected: f64, withheld: f64, threshold: f64) -> f64 {
    let Some(most) = most_found(expected, threshold) else { return 0.0 };
    let rest = expected * (1.0 - withheld.clamp(0.0, 1.0));
    if rest > 0.0 { at_most(most, rest) } else { 1.0 }
}

/// Blocks of which the work must be worth that many before the block test finds this with the chance `wanted`; `None`
/// beyond a million.
#[must_use]
pub fn blocks_needed(withheld: f64, threshold: f64, wanted: f64) -> Option<f64> {
    let (mut low, mut high) = (0.0, 1.0);
    while power(high, withheld, threshold) < wanted {
        (low, high) = (high, high * 2.0);
        if high > 1e6 {
            return None;
        }
    }
    // Power rises in saw-teeth, because blocks are whole; the width of a tooth is what this is off by.
    for _ in 0..40 {
        let middle = f64::midpoint(low, high);
        if power(middle, withheld, threshold) < wanted { low = middle } else { high = middle }
    }
    Some(high)
}

/// The most blocks that are still a finding; `None` when not even none is.
fn most_found(expected: f64, threshold: f64) -> Option<u64> {
    if at_most(0, expected) >= threshold {
        return None;
    }
    let (mut low, mut high) = (0u64, 1u64);
    while at_most(high, expected) < threshold {
        (low, high) = (high, high * 2);
    }
    while low + 1 < high {
        let middle = low.midpoint(high);
        if at_most(middle, expected) < threshold { low = middle } else { high = middle }
    }
    Some(low)
}

/// Counts are far below 2^53 here.
#[allow(clippy::cast_precision_loss)]
const fn as_float(n: u64) -> f64 {
    n as f64
}

/// ln n!, by Stirling's series from ten on (error below 10⁻¹²).
fn ln_factorial(n: u64) -> f64 {
    if n < 10 {
        return (2..=n).map(|i| as_float(i).ln()).sum();
    }
    let x = as_float(n) + 1.0;
    let row = 1.0 / (12.0 * x) - 1.0 / (360.0 * x.powi(3)) + 1.0 / (1260.0 * x.powi(5));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + row
}

#[cfg(test)]
mod tests;
