//! The difficulty control of one session. Pure: shares and the time in, a class out.
//!
//! It estimates the machine's rate from how many shares of the class in force came in how long, and
//! asks for another class when the estimate is off by more than chance explains. The thresholds are
//! the same in bits (powers of two) as the classes; the standard error of an estimate from *n*
//! shares is about `1.44/√n` bits.
//!
//! | rule | when | false alarm |
//! |---|---|---|
//! | far off | 8 shares, at least 2.25 bits | 3.4 standard errors beyond the rounding |
//! | off | 16 shares, at least 1.75 bits | 3.5 |
//! | drift | 64 shares, at least 1.2 bits; then a new window | 3.9 |
//! | searching | the same at 1.5, 1.25 and 1 bit, until a whole window has passed without a change | |
//! | slow | at most *n* of 0 to 7 shares in `12 + 2.4 n` intervals: easier by what that says | 10^−5 for each share |
//! | never heard | fewer than three shares at this class yet, and none for three intervals (10 s at most): 3, 6, 12, … bits easier | a few bits at the start, soon mended |
//!
//! Shares of earlier classes still under way are not counted: few hard ones after a decrease would
//! look like a flood.

use gruve_units::{Class, Duration, Timestamp};

/// Estimates never assume less time than this has passed: a burst after a network stall says
/// little about the rate. A machine 2^30 too fast for its class is still caught in three rounds.
const ELAPSED_MIN: Duration = Duration::from_millis(250);

/// The "never heard" steps wait three intervals, but never longer than this: four steps (45 bits)
/// and an estimate must fit into the promised minute.
const UNHEARD_WAIT_MAX: Duration = Duration::from_secs(10);

/// From this many shares of a class on its machine counts as heard: one alone may be luck at a
/// class far too hard.
const HEARD: u32 = 3;

/// See the table in the module's documentation: shares and bits.
const CHECKS: [(u32, f64); 3] = [(8, 2.25), (16, 1.75), (WINDOW, 1.2)];

/// The same while the class is still being found: quick rather than calm.
const CHECKS_SEARCHING: [(u32, f64); 3] = [(8, 1.5), (16, 1.25), (WINDOW, 1.0)];

/// Shares after which a new window begins.
const WINDOW: u32 = 64;

/// Intervals without any share that are too many (see the table).
const PATIENCE: f64 = 12.0;

/// The same while the class is still being found.
const PATIENCE_SEARCHING: f64 = 8.0;

/// Share times remembered for the "slow" rule.
const TIMES: usize = 8;

/// One session's control.
#[derive(Clone, Debug)]
pub struct Vardiff {
    range: (Class, Class),
    class: Class,
    interval: Duration,
    window_start: Timestamp,
    window_shares: u32,
    /// When this class came into force, or its last "never heard" step.
    since: Timestamp,
    /// The last shares' times, the newest first.
    times: [Timestamp; TIMES],
    /// How many of them there are.
    timed: usize,
    heard: bool,
    /// Whether a whole window has passed without a change.
    settled: bool,
    unheard_step: u8,
    due: bool,
}

impl Vardiff {
    /// A control that aims at one share an `interval`, beginning at `start` clamped into `range`.
    #[must_use]
    pub fn new(range: (Class, Class), start: Class, interval: Duration, now: Timestamp) -> Vardiff {
        let range = (range.0.min(range.1), range.1);
        Vardiff {
            range,
            class: start.clamp(range.0, range.1),
            interval: interval.max(Duration::from_millis(1)),
            window_start: now,
            window_shares: 0,
            since: now,
            times: [now; TIMES],
            timed: 0,
            heard: false,
            settled: false,
            unheard_step: 3,
            due: false,
        }
    }

    /// The class in force.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// Other bounds; gives the class that they allow.
    pub fn set_range(&mut self, range: (Class, Class)) -> Class {
        self.range = (range.0.min(range.1), range.1);
        self.class.clamp(self.range.0, self.range.1)
    }

    /// An accepted share, with the class it was issued at.
    pub fn share(&mut self, class: Class, now: Timestamp) {
        if class != self.class {
            return;
        }
        self.window_shares = self.window_shares.saturating_add(1);
        self.times.rotate_right(1);
        self.times[0] = now;
        self.timed = (self.timed + 1).min(TIMES);
        self.heard |= self.window_shares >= HEARD;
        self.unheard_step = 3;
        self.due = true;
    }

    /// The class to go to, if another than the one in force. Until [`Vardiff::applied`] the answer
    /// may be given again.
    pub fn decide(&mut self, now: Timestamp) -> Option<Class> {
        let bits = if std::mem::take(&mut self.due) { self.by_rate(now) } else { None };
        let bits =
            bits.or_else(|| if self.heard { self.by_slowness(now) } else { self.by_silence(now) })?;
        let k = (i32::from(self.class.k()) + bits)
            .clamp(i32::from(self.range.0.k()), i32::from(self.range.1.k()));
        let class = u8::try_from(k).ok().and_then(Class::new)?;
        (class != self.class).then_some(class)
    }

    /// The first job was sent, at this class.
    pub fn begin(&mut self, class: Class, now: Timestamp) {
        self.start(class, now);
    }

    /// A job of this class was sent: what comes from here on is judged anew.
    pub fn applied(&mut self, class: Class, now: Timestamp) {
        if class == self.class {
            return;
        }
        // A leap upwards is a guess until shares of the new class have come.
        self.heard &= class.k() <= self.class.k().saturating_add(2);
        self.settled &= class.k().abs_diff(self.class.k()) <= 2;
        self.start(class, now);
    }

    fn start(&mut self, class: Class, now: Timestamp) {
        self.class = class;
        self.since = now;
        self.timed = 0;
        self.new_window(now);
    }

    fn new_window(&mut self, now: Timestamp) {
        self.window_start = now;
        self.window_shares = 0;
        self.due = false;
    }

    fn by_rate(&mut self, now: Timestamp) -> Option<i32> {
        let shares = self.window_shares;
        let checks = if self.settled { CHECKS } else { CHECKS_SEARCHING };
        let (_, threshold) = checks.into_iter().find(|(n, _)| *n == shares)?;
        let elapsed = now.since(self.window_start).max(ELAPSED_MIN);
        // Bits by which shares come too fast. A float: it chooses a class, never an amount.
        let off = (f64::from(shares) * self.interval.as_secs_f64() / elapsed.as_secs_f64()).log2();
        let is_off = off.abs() >= threshold;
        if shares >= WINDOW {
            self.settled |= !is_off;
            self.new_window(now);
        }
        is_off.then(|| round(off))
    }

    /// Few shares in a long time, at any of several lengths.
    fn by_slowness(&mut self, now: Timestamp) -> Option<i32> {
        let interval = self.interval.as_secs_f64();
        let patience = if self.settled { PATIENCE } else { PATIENCE_SEARCHING };
        let mut few = 0.0;
        for n in 0..=self.timed.min(TIMES - 1) {
            let from = if n < self.timed { self.times[n] } else { self.since };
            let expected = now.since(from).as_secs_f64() / interval;
            if expected >= patience + 2.4 * few {
                // Nothing at all: what comes next is a guess again.
                self.heard &= n > 0;
                return Some(round(((few + 1.0) / expected).log2().ceil()));
            }
            few += 1.0;
        }
        None
    }

    fn by_silence(&mut self, now: Timestamp) -> Option<i32> {
        let from = if self.timed > 0 { self.times[0] } else { self.since };
        if now.since(from) < self.interval.saturating_mul(3).min(UNHEARD_WAIT_MAX) {
            return None;
        }
        let step = self.unheard_step;
        self.unheard_step = step.saturating_mul(2).min(Class::MAX);
        self.start(self.class, now);
        Some(-i32::from(step))
    }
}

/// To the nearest integer; estimates lie within ±100 bits.
#[allow(clippy::cast_possible_truncation)]
fn round(bits: f64) -> i32 {
    bits.clamp(-100.0, 100.0).round() as i32
}
