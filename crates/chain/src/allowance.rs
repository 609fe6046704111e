//! What a peer that talks unasked may say: so much at once, and so much each second from then on.

use tokio::time::Instant;

/// What is left of it.
#[derive(Debug)]
pub(crate) struct Allowance {
    left: (f64, f64),
    burst: (f64, f64),
    each_second: (f64, f64),
    at: Instant,
}

impl Allowance {
    /// Pieces and bytes.
    pub(crate) fn new(burst: (f64, f64), each_second: (f64, f64)) -> Allowance {
        Allowance { left: burst, burst, each_second, at: Instant::now() }
    }

    /// Whether another piece of so many bytes is within it.
    pub(crate) fn allows(&mut self, bytes: u64) -> bool {
        let seconds = self.at.elapsed().as_secs_f64();
        self.at = Instant::now();
        self.allows_after(seconds, bytes)
    }

    #[expect(clippy::cast_precision_loss, reason = "a bound on a rate")]
    fn allows_after(&mut self, seconds: f64, bytes: u64) -> bool {
        let grown = |left: f64, each: f64, most: f64| (left + each * seconds).min(most);
        self.left.0 = grown(self.left.0, self.each_second.0, self.burst.0) - 1.0;
        self.left.1 = grown(self.left.1, self.each_second.1, self.burst.1) - bytes as f64;
        self.left.0 >= 0.0 && self.left.1 >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_pass_and_a_flood_is_not() {
        let mut allowance = Allowance::new((3.0, 100.0), (2.0, 10.0));
        let mut after = |seconds: f64, bytes: u64| allowance.allows_after(seconds, bytes);
        assert_eq!([0; 4].map(|n| after(0.0, n)), [true, true, true, false]);
        assert_eq!([2.5, 0.0, 0.0, 0.0].map(|s| after(s, 0)), [true, true, true, false]);
        let mut allowance = Allowance::new((9.0, 100.0), (9.0, 10.0));
        assert!(allowance.allows_after(0.0, 100) && !allowance.allows_after(0.0, 1));
        assert!(allowance.allows_after(1.0, 9));
    }
}
