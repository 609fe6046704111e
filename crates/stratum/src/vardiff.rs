//! The difficulty control of one session. Pure: shares and the time in, a class out.
//!
//! A machine's shares are a Poisson process, so what there is to know about its rate is how many
//! shares came (*n*) and how much time at which class it took them: time at a class one bit harder
//! counts half. The estimate `n / time` therefore goes on through changes of class, and its
//! standard error is about `1.44/√n` bits.
//!
//! | phase | how |
//! |---|---|
//! | searching | aims at four shares an interval (one in 0.75 s at least), to learn quickly |
//! | – silence | nothing at a class for 3 s (5 s at the start): 3, 6, 12, … bits easier |
//! | – flood | from the fourth share at a class on: three bits or more too fast, up by what that says |
//! | – waiting | for a moment at which a harder class can be given (Ethash: the next header): by what the flood says until then |
//! | – end | 24 shares, or 30 s and four shares: to the class of one share an interval |
//! | settled | two running sums, one for *too fast* and one for *too slow* (Page's CUSUM): an excess of 28 shares over 2.3 times the rate wanted, or a lack of 7.2 below 0.45 times it |
//! | – alarm | searching anew, from what came since the sum began to rise |
//! | – drift | half a bit off and 3.75 standard errors more, from the last 128 to 256 shares |
//! | trusted | a class remembered from the last time: settled, and searching after 6 intervals of silence |
//!
//! Nothing swings: a machine halfway between two classes is half a bit off in either and moves on
//! 0.9 bits or more. A burst after a stall finds the sum for *too fast* at zero, so that 28 shares at
//! once are borne. Shares of earlier classes still under way are not counted.
//!
//! False alarms, from simulation (the tests hold the bounds): 1.5 bits off after the first minute,
//! one machine in a thousand; in the first hour 0.14 changes a machine; later, in the middle of its
//! class, three false alarms in 480 hours, each over within half a minute.

use gruve_units::{Class, Duration, Timestamp};

/// While searching a share is wanted this many times an interval…
const SEARCH_TIMES: f64 = 4.0;

/// …and at least once in this many seconds, so that 24 of them fit into half a minute even where
/// the class is two bits too hard.
const SEARCH_INTERVAL_MAX: f64 = 0.75;

/// Seconds without a share before the class is eased, while nothing is known.
const SILENCE: f64 = 3.0;

/// The same from the first job on: a machine takes a while to begin.
const SILENCE_AT_START: f64 = 5.0;

/// The first step after silence, in bits; each next is twice the last.
const FIRST_STEP: u8 = 3;

/// Shares before a flood is believed, and the bits that make it one.
const FLOOD: (u32, f64) = (4, 3.0);

/// Rates are never estimated from less time than this, in seconds: a packet may hold many shares.
const ELAPSED_MIN: f64 = 0.05;

/// Shares that end a search: a standard error of 0.3 bits.
const ENOUGH: f64 = 24.0;

/// Seconds after which fewer will do, and how many.
const LONG_ENOUGH: (f64, f64) = (30.0, 4.0);

/// Too fast: times the wanted rate, and the excess of shares over it, half of it credit.
const FAST: (f64, f64) = (2.3, 28.0);

/// Too slow: times the wanted rate, and the lack of shares below it.
const SLOW: (f64, f64) = (0.45, 7.2);

/// The bits that make a drift: this, and so many standard errors more.
const DRIFT: (f64, f64) = (0.5, 3.75);

/// Shares that count for the estimate; above it the older half is forgotten.
const SHARES_MAX: f64 = 256.0;

/// Wanted shares that must have been missed before a search eases: this many, and so many more for
/// each that came.
const LACK: (f64, f64) = (8.0, 2.4);

/// Intervals of silence that a remembered class is believed.
const TRUSTED_SILENCE: f64 = 6.0;

/// Seconds that pass at once: ticks come every second, what is beyond this is a clock that jumped.
const PASS_MAX: f64 = 10.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The next silence's step, and whether anything was ever heard.
    Searching {
        step: u8,
        heard: bool,
    },
    /// Remembered from the last time, and nothing heard yet.
    Trusted,
    Settled,
}

/// What came in how long, in the class in force.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    shares: f64,
    seconds: f64,
}

impl Tally {
    /// The same at a class this many bits harder.
    fn harder(self, bits: i32) -> Tally {
        Tally { seconds: self.seconds * 2f64.powi(bits), ..self }
    }

    /// Bits by which shares come faster than one an `interval`.
    fn off(self, interval: f64) -> f64 {
        (self.shares * interval / self.seconds.max(ELAPSED_MIN)).log2()
    }
}

/// One session's control.
#[derive(Clone, Debug)]
pub struct Vardiff {
    range: (Class, Class),
    class: Class,
    phase: Phase,
    /// Seconds.
    interval: f64,
    /// When this phase began.
    phase_at: Timestamp,
    /// When this class came into force, or its last step after silence.
    since: Timestamp,
    /// Up to when time was counted.
    counted: Timestamp,
    /// Shares at this class alone, and when the first came.
    here: u32,
    first_here: Timestamp,
    /// All that still counts.
    all: Tally,
    /// The sums, in shares.
    fast: f64,
    slow: f64,
    /// What came since the sums last began to rise.
    fast_from: Tally,
    slow_from: Tally,
}

impl Vardiff {
    /// A control that aims at one share an `interval`, beginning at `start` clamped into `range`.
    #[must_use]
    pub fn new(range: (Class, Class), start: Class, interval: Duration, now: Timestamp) -> Vardiff {
        let range = (range.0.min(range.1), range.1);
        Vardiff {
            range,
            class: start.clamp(range.0, range.1),
            phase: Phase::Searching { step: FIRST_STEP, heard: false },
            interval: interval.max(Duration::from_millis(1)).as_secs_f64(),
            phase_at: now,
            since: now,
            counted: now,
            here: 0,
            first_here: now,
            all: Tally::default(),
            fast: 0.0,
            slow: 0.0,
            fast_from: Tally::default(),
            slow_from: Tally::default(),
        }
    }

    /// The class in force.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The class in force if it was found out: worth remembering for the next time.
    #[must_use]
    pub fn found(&self) -> Option<Class> {
        (self.phase == Phase::Settled).then_some(self.class)
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
        self.pass(now);
        if self.here == 0 {
            self.first_here = now;
        }
        self.here = self.here.saturating_add(1);
        self.all.shares += 1.0;
        match &mut self.phase {
            Phase::Searching { step, heard } => (*step, *heard) = (FIRST_STEP, true),
            Phase::Trusted => self.phase = Phase::Settled,
            Phase::Settled => {}
        }
        self.fast_from.shares += 1.0;
        self.slow_from.shares += 1.0;
        self.fast += 1.0;
        self.slow -= 1.0;
        if self.slow <= 0.0 {
            (self.slow, self.slow_from) = (0.0, Tally::default());
        }
    }

    /// Lets time pass for everything that is counted.
    fn pass(&mut self, now: Timestamp) {
        let seconds = now.since(self.counted).as_secs_f64().min(PASS_MAX);
        self.counted = now;
        for tally in [&mut self.all, &mut self.fast_from, &mut self.slow_from] {
            tally.seconds += seconds;
        }
        self.slow += SLOW.0 * seconds / self.interval;
        self.fast -= FAST.0 * seconds / self.interval;
        if self.fast <= 0.0 {
            (self.fast, self.fast_from) = (0.0, Tally::default());
        }
    }

    /// The class to go to, if another than the one in force. Until [`Vardiff::applied`] the answer
    /// may be given again.
    pub fn decide(&mut self, now: Timestamp) -> Option<Class> {
        self.pass(now);
        let bits = match self.phase {
            Phase::Searching { step, heard } => self.search(step, heard, now),
            Phase::Trusted if self.silence(now) >= TRUSTED_SILENCE * self.interval => {
                self.search_anew(now);
                Some(-i32::from(FIRST_STEP))
            }
            Phase::Trusted => None,
            Phase::Settled => self.watch(now),
        }?;
        self.harder_by(bits)
    }

    /// The class to go to in place of `wanted`, a harder one that was decided and has to wait until it can be
    /// given (Ethash: for the next header), if the flood that has come meanwhile says more than the four shares
    /// upon which it was decided.
    pub fn revise(&mut self, wanted: Class, now: Timestamp) -> Option<Class> {
        self.pass(now);
        let is_searching = matches!(self.phase, Phase::Searching { .. });
        if !is_searching || self.here < FLOOD.0 {
            return None;
        }
        self.harder_by(round(self.flood(now))).filter(|class| *class > wanted)
    }

    /// Bits by which shares come too fast for a search, measured from the first one at this class, so that the way
    /// there does not count.
    fn flood(&self, now: Timestamp) -> f64 {
        let flood = Tally {
            shares: f64::from(self.here.saturating_sub(1)),
            seconds: now.since(self.first_here).as_secs_f64(),
        };
        flood.off(self.search_interval())
    }

    fn harder_by(&self, bits: i32) -> Option<Class> {
        let k = (i32::from(self.class.k()) + bits)
            .clamp(i32::from(self.range.0.k()), i32::from(self.range.1.k()));
        let class = u8::try_from(k).ok().and_then(Class::new)?;
        (class != self.class).then_some(class)
    }

    fn silence(&self, now: Timestamp) -> f64 {
        now.since(self.since).as_secs_f64()
    }

    fn search_interval(&self) -> f64 {
        (self.interval / SEARCH_TIMES).min(SEARCH_INTERVAL_MAX)
    }

    fn search(&mut self, step: u8, heard: bool, now: Timestamp) -> Option<i32> {
        let searched = now.since(self.phase_at).as_secs_f64();
        if self.all.shares >= ENOUGH
            || (searched >= LONG_ENOUGH.0 && self.all.shares >= LONG_ENOUGH.1)
        {
            let off = self.all.off(self.interval);
            self.settle(now);
            return Some(round(off));
        }
        if self.here == 0 {
            let wait =
                if heard || self.phase_at != self.since { SILENCE } else { SILENCE_AT_START };
            if self.silence(now) < wait {
                return None;
            }
            self.phase = Phase::Searching { step: step.saturating_mul(2).min(Class::MAX), heard };
            self.since = now;
            return Some(-i32::from(step));
        }
        let off = self.flood(now);
        if self.here >= FLOOD.0 && off >= FLOOD.1 {
            return Some(round(off));
        }
        let here = Tally { shares: f64::from(self.here), seconds: self.silence(now) };
        let wanted = here.seconds / self.search_interval();
        (wanted >= LACK.0 + LACK.1 * here.shares).then(|| round(here.off(self.search_interval())))
    }

    fn settle(&mut self, now: Timestamp) {
        self.phase = Phase::Settled;
        self.phase_at = now;
        self.begin_sums();
    }

    fn begin_sums(&mut self) {
        (self.fast, self.slow) = (0.0, 0.0);
        (self.fast_from, self.slow_from) = (Tally::default(), Tally::default());
    }

    fn search_anew(&mut self, now: Timestamp) {
        self.phase = Phase::Searching { step: FIRST_STEP, heard: true };
        self.phase_at = now;
        self.all = Tally::default();
        self.begin_sums();
    }

    fn watch(&mut self, now: Timestamp) -> Option<i32> {
        let excess = if self.fast >= FAST.1 {
            self.fast_from
        } else if self.slow >= SLOW.1 {
            self.slow_from
        } else {
            return self.drift();
        };
        let wall = if self.fast >= FAST.1 { self.range.1 } else { self.range.0 };
        if self.class == wall {
            // As right as may be.
            self.begin_sums();
            return None;
        }
        // Nothing at all is taken for one share, about to come.
        let least = Tally { shares: excess.shares.max(1.0), ..excess };
        self.search_anew(now);
        Some(round(least.off(self.search_interval())))
    }

    fn drift(&mut self) -> Option<i32> {
        if self.all.shares < ENOUGH {
            return None;
        }
        let off = self.all.off(self.interval);
        let error = std::f64::consts::LOG2_E / self.all.shares.sqrt();
        if self.all.shares >= SHARES_MAX {
            self.all = Tally { shares: self.all.shares / 2.0, seconds: self.all.seconds / 2.0 };
        }
        (off.abs() >= DRIFT.0 + DRIFT.1 * error).then(|| round(off))
    }

    /// The first job was sent, at this class.
    pub fn begin(&mut self, class: Class, now: Timestamp) {
        self.phase_at = now;
        self.all = Tally::default();
        self.start(class, now);
    }

    /// The same, at the class that this machine had the last time.
    pub fn begin_trusted(&mut self, class: Class, now: Timestamp) {
        self.phase = Phase::Trusted;
        self.begin(class, now);
    }

    /// A job of this class was sent: what comes from here on is judged anew.
    pub fn applied(&mut self, class: Class, now: Timestamp) {
        if class == self.class {
            return;
        }
        self.pass(now);
        let bits = i32::from(class.k()) - i32::from(self.class.k());
        // What came at a class far off says little: the line may have held it up.
        let is_near = bits.abs() <= 3;
        self.all = if is_near { self.all.harder(bits) } else { Tally::default() };
        self.start(class, now);
    }

    fn start(&mut self, class: Class, now: Timestamp) {
        self.class = class;
        self.since = now;
        self.counted = now;
        self.here = 0;
        self.begin_sums();
    }
}

/// To the nearest integer; estimates lie within ±100 bits.
#[allow(clippy::cast_possible_truncation)]
fn round(bits: f64) -> i32 {
    bits.clamp(-100.0, 100.0).round() as i32
}
