//! Random numbers, how far a lane gets, and what one future brings. Pure.

use super::STEPS;
use super::past::Path;
use crate::Scheme;
use crate::pplns::WINDOW_BLOCKS;

/// Steele, Lea, Flood: *Fast Splittable Pseudorandom Number Generators* (2014).
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Above zero, at most one.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A number below `n`; the bias of the high product is below 2^-50 for any past.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    /// Poisson with that mean: by products of uniforms; above thirty by the normal distribution of the same mean
    /// and spread.
    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 30.0 {
            let (a, b) = (self.unit(), self.unit());
            let normal = (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos();
            return (mean + normal * mean.sqrt()).round().max(0.0);
        }
        let (limit, mut product, mut n) = ((-mean).exp(), self.unit(), 0.0);
        while product > limit {
            product *= self.unit();
            n += 1.0;
        }
        n
    }
}

/// One coin's numbers, as the drawing needs them.
pub(super) struct Coin {
    pub(super) reward: f64,
    pub(super) upkeep: f64,
    /// Seconds the lane takes for a block's work at today's difficulty.
    pub(super) seconds_per_unit: f64,
}

/// When the lane is how far, in units of a block's work at the difficulty of the time.
pub(super) struct Progress {
    /// Units after each step of the term, beginning with none.
    units: Vec<f64>,
    step_secs: f64,
    /// What a unit takes after the term.
    last_secs: f64,
}

impl Progress {
    pub(super) fn of(coin: &Coin, path: &Path, term_secs: f64) -> Progress {
        let step_secs = term_secs / f64::from(STEPS);
        let (mut sum, mut units) = (0.0, vec![0.0]);
        for k in 0..STEPS {
            let (_, difficulty) = path.at((f64::from(k) + 0.5) * step_secs);
            sum += step_secs / (coin.seconds_per_unit * difficulty);
            units.push(sum);
        }
        let (_, difficulty) = path.at(term_secs);
        Progress { units, step_secs, last_secs: coin.seconds_per_unit * difficulty }
    }

    fn all(&self) -> f64 {
        self.units.last().copied().unwrap_or(0.0)
    }

    /// Seconds until so many units are done.
    fn secs(&self, units: f64) -> f64 {
        let n = self.units.partition_point(|u| *u <= units);
        match (n.checked_sub(1).and_then(|i| self.units.get(i)), self.units.get(n)) {
            (Some(a), Some(b)) => (n as f64 - 1.0 + (units - a) / (b - a)) * self.step_secs,
            _ => {
                let term = (self.units.len() as f64 - 1.0) * self.step_secs;
                term + (units - self.all()).max(0.0) * self.last_secs
            }
        }
    }
}

/// What one future brings of a coin before upkeep, step by step: seconds since the start and the sum then. Under PPLNS
/// a block pays the last eight blocks' work; under SOLO the contract's own blocks are its own whole; under FPPS work is
/// paid at its expectation.
pub(super) fn future(
    coin: &Coin,
    progress: &Progress,
    (share, fee, scheme): (f64, f64, Scheme),
    random: &mut SplitMix64,
    path: &mut Vec<(f64, f64)>,
) {
    path.clear();
    let (window, units) = (WINDOW_BLOCKS as f64, progress.all());
    let step = (units + window) / f64::from(STEPS);
    let mut earned = 0.0;
    for k in 0..STEPS {
        // Of this step the part within the term.
        let within = ((units - f64::from(k) * step) / step).clamp(0.0, 1.0);
        let blocks = match scheme {
            Scheme::Pplns => {
                let t = (f64::from(k) + 0.5) * step;
                let own = share * (t.min(units) - (t - window).max(0.0)).max(0.0);
                random.poisson(step) * own / window
            }
            Scheme::Solo => random.poisson(step * within * share),
            Scheme::Fpps => step * within * share,
        };
        earned += blocks * coin.reward * (1.0 - fee);
        path.push((progress.secs(f64::from(k + 1) * step), earned));
    }
}
