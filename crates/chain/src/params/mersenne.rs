//! The random numbers of Dogecoin's first blocks: MT19937 (Matsumoto and Nishimura, 1998) and an even
//! draw from a range as Boost 1.4x and later makes it from such a generator.
//!
//! Consensus, not chance: the numbers are for recomputing what blocks were worth, never for secrets.

const WORDS: usize = 624;
const MIDDLE: usize = 397;

/// The generator.
pub(super) struct Mersenne {
    state: [u32; WORDS],
    at: usize,
}

impl Mersenne {
    /// Seeded with one word.
    pub(super) fn new(seed: u32) -> Self {
        let mut state = [0; WORDS];
        state[0] = seed;
        let mut before = seed;
        for (i, word) in (1_u32..).zip(state.iter_mut().skip(1)) {
            before = (before ^ (before >> 30)).wrapping_mul(1_812_433_253).wrapping_add(i);
            *word = before;
        }
        Mersenne { state, at: WORDS }
    }

    fn twist(&mut self) {
        for i in 0..WORDS {
            let joined =
                (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ (joined >> 1) ^ odd;
        }
        self.at = 0;
    }

    /// The next 32 bits.
    pub(super) fn next(&mut self) -> u32 {
        if self.at >= WORDS {
            self.twist();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// A number between `low` and `high`, both included, all equally likely; `low` when the range
    /// is empty.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        let Some(range) = high.checked_sub(low).filter(|&r| r > 0) else { return low };
        let Some(count) = range.checked_add(1) else { return self.next() };
        let mut bucket = u32::MAX / count;
        if u32::MAX % count == range {
            bucket += 1;
        }
        loop {
            let drawn = self.next() / bucket;
            if drawn <= range {
                return low + drawn;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_the_published_one() {
        // The ten-thousandth number of the default seed (C++ standard, [rand.predef]).
        let mut generator = Mersenne::new(5489);
        let last = (0..10_000).map(|_| generator.next()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn a_draw_stays_in_its_range() {
        let mut generator = Mersenne::new(1);
        for (low, high) in [(1, 1), (5, 4), (0, 1), (1, 999_999), (0, u32::MAX), (7, u32::MAX)] {
            for _ in 0..100 {
                let drawn = generator.between(low, high);
                assert!(drawn >= low && drawn <= high.max(low), "{low}..={high}: {drawn}");
            }
        }
    }
}
