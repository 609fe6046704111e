//! Futures made of stretches of a past. Pure.
//!
//! A stretch is so many steps of the past in a row, from a random one; price and difficulty move in it as they did then.
//! Then comes the next stretch. So a future knows no trend but what the past had.

use super::drawing::SplitMix64;

/// How price and difficulty moved from step to step, natural logarithms, and how stretches are made of that.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stretches {
    moves: Vec<(f64, f64)>,
    /// Steps of a stretch.
    length: usize,
    /// What is added in each step of a stretch, where something is.
    mended: Vec<(f64, f64)>,
}

/// The means over all stretches, up to a step of them, as parts of what they begin with.
#[derive(Clone, Copy)]
struct Means {
    price: f64,
    /// Of what the same work earns, which goes with one over difficulty.
    coins: f64,
    /// Of what that is worth.
    value: f64,
}

impl Stretches {
    /// Of the steps between these prices and difficulties; none when they are fewer than two stretches or no numbers.
    pub(crate) fn of(steps: &[(f64, f64)], length: usize) -> Option<Stretches> {
        let moves: Vec<_> =
            steps.windows(2).map(|w| ((w[1].0 / w[0].0).ln(), (w[1].1 / w[0].1).ln())).collect();
        let is_sound = moves.iter().all(|(p, d)| p.is_finite() && d.is_finite());
        let is_long = length > 0 && moves.len() >= 2 * length;
        (is_sound && is_long).then_some(Stretches { moves, length, mended: Vec::new() })
    }

    fn mended(&self) -> impl Iterator<Item = (f64, f64)> {
        self.mended.iter().copied().chain(std::iter::repeat((0.0, 0.0)))
    }

    /// One of them.
    pub(crate) fn draw(&self, random: &mut SplitMix64) -> impl Iterator<Item = (f64, f64)> {
        let starts = (self.moves.len() - self.length + 1) as u64;
        let at = random.below(starts) as usize;
        let moves = self.moves.iter().skip(at).take(self.length);
        moves.zip(self.mended()).map(|((p, d), (dp, dd))| (p + dp, d + dd))
    }

    /// For each step of a stretch.
    fn means(&self) -> Vec<Means> {
        let mut all = vec![Means { price: 0.0, coins: 0.0, value: 0.0 }; self.length];
        for stretch in self.moves.windows(self.length) {
            let (mut price, mut difficulty) = (0.0, 0.0);
            for (((p, d), (dp, dd)), mean) in stretch.iter().zip(self.mended()).zip(&mut all) {
                (price, difficulty) = (price + p + dp, difficulty + d + dd);
                mean.price += f64::exp(price);
                mean.coins += f64::exp(-difficulty);
                mean.value += f64::exp(price - difficulty);
            }
        }
        let count = (self.moves.len() - self.length + 1) as f64;
        for mean in &mut all {
            *mean = Means {
                price: mean.price / count,
                coins: mean.coins / count,
                value: mean.value / count,
            };
        }
        all
    }

    /// Adds so much up to each step of a stretch.
    fn mend(mut self, sums: impl Iterator<Item = (f64, f64)>) -> Stretches {
        let mut before = (0.0, 0.0);
        let steps = self.mended().zip(sums).map(|(was, sum)| {
            let step = (was.0 + sum.0 - before.0, was.1 + sum.1 - before.1);
            before = sum;
            step
        });
        let mended = steps.collect();
        self.mended = mended;
        self
    }

    /// The same without a trend: over all futures the mean of the price, and of the coins that the same work earns, stay
    /// what they are now, step by step. What is left is how far futures lie apart.
    #[must_use]
    pub(crate) fn without_trend(self) -> Stretches {
        let means = self.means();
        self.mend(means.into_iter().map(|m| (-m.price.ln(), m.coins.ln())))
    }

    /// The same with difficulty's moves so many times as wide; over all futures the means of the coins that the same work
    /// earns and of what they are worth stay what they are, step by step.
    #[must_use]
    pub(crate) fn widened(self, times: f64) -> Stretches {
        let before = self.means();
        let moves = self.moves.iter().map(|(p, d)| (*p, d * times)).collect();
        let wide = Stretches { moves, mended: Vec::new(), ..self };
        let now = wide.means();
        let sums: Vec<(f64, f64)> = (before.iter().zip(&now))
            .map(|(before, now)| {
                let difficulty = (now.coins / before.coins).ln();
                ((before.value / now.value).ln() + difficulty, difficulty)
            })
            .collect();
        wide.mend(sums.into_iter())
    }

    /// How far the moves of a whole stretch lie apart, of price and of difficulty: the deviations.
    #[cfg(test)]
    pub(crate) fn apart(&self) -> (f64, f64) {
        let sums = self.moves.windows(self.length);
        let sums = sums.map(|s| s.iter().fold((0.0, 0.0), |(p, d), m| (p + m.0, d + m.1)));
        let all: Vec<(f64, f64)> = sums.collect();
        let of = |pick: fn(&(f64, f64)) -> f64| {
            let mean = all.iter().map(pick).sum::<f64>() / all.len() as f64;
            (all.iter().map(|x| (pick(x) - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt()
        };
        (of(|x| x.0), of(|x| x.1))
    }
}
