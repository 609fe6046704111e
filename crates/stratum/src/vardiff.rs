//! The difficulty control of one session. Pure: shares and the time in, a class out.
//!
//! It estimates the machine's rate from how many shares of the class in force came in how long, and
//! asks for another class when the estimate is off by more than chance explains. The thresholds are
//! the same in bits (powers of two) as the classes; the standard error of an estimate from *n* shares
//! is about `1.44/√n` bits.
//!
//! | rule | when | false alarm |
//! |---|---|---|
//! | far off | 8 shares, at least 2 bits | 2.9 standard errors beyond the rounding |
//! | off | 16 shares, at least 1.5 bits | 2.8 |
//! | drift | 48 shares, at least 1 bit; then a new window | 2.4 |
//! | silence | no share for ten intervals: three bits easier | e^−10 for each share |
//! | never heard | nothing at this class yet: 3, 6, 12, … bits easier every two intervals (10 s at most) | |
//!
//! Shares of earlier classes still under way are not counted: few hard ones after a decrease would
//! look like a flood.

use gruve_units::{Class, Duration, Timestamp};

/// Estimates never assume less time than this has passed: a burst after a network stall says
/// little about the rate. A machine 2^30 too fast for its class is still caught in three rounds.
const ELAPSED_MIN: Duration = Duration::from_millis(250);

/// The "never heard" steps wait two intervals, but never longer than this: three steps (21 bits) and the last one of
/// estimation must fit into the promised minute.
const UNHEARD_WAIT_MAX: Duration = Duration::from_secs(10);

/// See the table in the module's documentation: shares and bits.
const CHECKS: [(u32, f64); 3] = [(8, 2.0), (16, 1.5), (48, 1.0)];

/// Intervals without a share that count as silence.
const SILENCE_INTERVALS: u32 = 10;

/// One session's control.
#[derive(Clone, Debug)]
pub struct Vardiff {
    range: (Class, Class),
    class: Class,
    interval: Duration,
    window_start: Timestamp,
    window_shares: u32,
    last_share: Timestamp,
    /// Whether a share of a class near this one has been seen.
    heard: bool,
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
            last_share: now,
            heard: false,
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
        self.last_share = now;
        self.heard = true;
        self.unheard_step = 3;
        self.due = true;
    }

    /// The class to go to, if another than the one in force. Until [`Vardiff::applied`] the answer may
    /// be given again.
    pub fn decide(&mut self, now: Timestamp) -> Option<Class> {
        let bits = if std::mem::take(&mut self.due) { self.by_rate(now) } else { None };
        let bits = bits.or_else(|| self.by_silence(now))?;
        let k = (i32::from(self.class.k()) + bits)
            .clamp(i32::from(self.range.0.k()), i32::from(self.range.1.k()));
        let class = u8::try_from(k).ok().and_then(Class::new)?;
        (class != self.class).then_some(class)
    }

    /// The first job was sent, at this class.
    pub fn begin(&mut self, class: Class, now: Timestamp) {
        self.class = class;
        self.new_window(now);
    }

    /// A job of this class was sent: what comes from here on is judged anew.
    pub fn applied(&mut self, class: Class, now: Timestamp) {
        if class == self.class {
            return;
        }
        // A leap upwards is a guess until a share of the new class has come.
        if class.k() > self.class.k().saturating_add(2) {
            self.heard = false;
        }
        self.class = class;
        self.new_window(now);
    }

    fn new_window(&mut self, now: Timestamp) {
        self.window_start = now;
        self.window_shares = 0;
        self.last_share = now;
        self.due = false;
    }

    fn by_rate(&mut self, now: Timestamp) -> Option<i32> {
        let shares = self.window_shares;
        let (_, threshold) = CHECKS.into_iter().find(|(n, _)| *n == shares)?;
        let elapsed = now.since(self.window_start).max(ELAPSED_MIN);
        // Bits by which shares come too fast. A float: it chooses a class, never an amount.
        let off = (f64::from(shares) * self.interval.as_secs_f64() / elapsed.as_secs_f64()).log2();
        if shares == CHECKS[CHECKS.len() - 1].0 {
            self.new_window(now);
        }
        (off.abs() >= threshold).then(|| round(off))
    }

    fn by_silence(&mut self, now: Timestamp) -> Option<i32> {
        let silent = now.since(self.last_share);
        if self.heard {
            if silent < self.interval.saturating_mul(SILENCE_INTERVALS) {
                return None;
            }
            self.heard = false;
            self.new_window(now);
            return Some(-3);
        }
        if silent < self.interval.saturating_mul(2).min(UNHEARD_WAIT_MAX) {
            return None;
        }
        let step = self.unheard_step;
        self.unheard_step = step.saturating_mul(2).min(Class::MAX);
        self.new_window(now);
        Some(-i32::from(step))
    }
}

/// To the nearest integer; estimates lie within ±100 bits.
#[allow(clippy::cast_possible_truncation)]
fn round(bits: f64) -> i32 {
    bits.clamp(-100.0, 100.0).round() as i32
}
