//! A machine that finds shares at random, at the end of a line, in simulated time: what stands behind a session of V1 or a
//! channel of V2, which decide when it hears of another class.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // simulated time and chance

use crate::jobs::{NTIME, class};
use gruve_stratum::protocol::Solved;
use gruve_stratum::session::SessionRules;
use gruve_units::{Algorithm, Class, Duration, Entropy as _, SeededEntropy, Timestamp};
use std::collections::VecDeque;

/// A network on which no class of these machines is a block: class 78.
pub(crate) const NETWORK: u32 = 0x1703_31db;

/// From the session to the machine, and until it works by it.
const LATENCY_SECS: f64 = 0.15;

/// One connection's session, and what a gateway does around it.
pub(crate) trait Pool {
    /// Hands in a share of a work given before; whether it was taken, which only a bound on memory may prevent.
    fn submit(&mut self, work: usize, now: Timestamp) -> bool;
    /// A second has passed.
    fn tick(&mut self, now: Timestamp);
    /// The lane has another job on the same block.
    fn refresh(&mut self, now: Timestamp);
    /// The last work that was given, and its class.
    fn newest(&self) -> (usize, Class);
    /// The connection ends, and its machine makes another: it begins at the class that was found out, as a gateway remembers it. Works
    /// are numbered anew.
    fn reconnect(&mut self, now: Timestamp);
    /// How often the lane has other work.
    fn refresh_secs(&self) -> f64 {
        30.0
    }
}

pub(crate) fn rules(start: Class, interval: Duration) -> SessionRules {
    let mut rules = SessionRules::new(Algorithm::Sha256d, (class(0), class(78)), start);
    rules.share_interval = interval;
    rules
}

/// The hash of a share that just meets its class, and is no block.
pub(crate) fn solved(class: Class) -> Solved {
    let mut pow_hash = class.target().to_be_bytes();
    pow_hash.reverse();
    Solved { pow_hash, header: [0; 80], mix: [0; 32] }
}

pub(crate) fn stamp(seconds: f64) -> Timestamp {
    Timestamp(i64::from(NTIME) * 1_000_000 + (seconds * 1e6).round() as i64)
}

pub(crate) struct Machine<P> {
    pub(crate) pool: P,
    pub(crate) hashes_per_second: f64,
    interval: f64,
    dice: SeededEntropy,
    pub(crate) now: f64,
    next_share: f64,
    refreshed: f64,
    /// What it works on, and what is under way to it.
    work: (usize, Class),
    coming: VecDeque<(f64, (usize, Class))>,
    pub(crate) shares: u64,
    pub(crate) changes: u32,
    /// Nothing gets through before this; then all at once.
    stalled_until: f64,
    held_up: Vec<(usize, Class)>,
    /// Hashes that it has made, and those that its shares were credited with; the sum of the squares of the latter.
    hashed: f64,
    credited: f64,
    squares: f64,
}

impl<P: Pool> Machine<P> {
    /// Connected at second zero; the lane's next job comes at a time of its own.
    pub(crate) fn new(pool: P, hashes_per_second: f64, interval: Duration, seed: u64) -> Self {
        let mut machine = Machine {
            work: pool.newest(),
            pool,
            hashes_per_second,
            interval: interval.as_secs_f64(),
            dice: SeededEntropy::new(seed),
            now: 0.0,
            next_share: 0.0,
            refreshed: 0.0,
            coming: VecDeque::new(),
            shares: 0,
            changes: 0,
            stalled_until: 0.0,
            held_up: Vec::new(),
            hashed: 0.0,
            credited: 0.0,
            squares: 0.0,
        };
        machine.refreshed = -machine.pool.refresh_secs() * machine.chance();
        machine.draw();
        machine
    }

    /// Between zero and one, and neither.
    fn chance(&self) -> f64 {
        let mut bytes = [0; 4];
        self.dice.fill(&mut bytes);
        (f64::from(u32::from_be_bytes(bytes)) + 0.5) / 4_294_967_296.0
    }

    pub(crate) fn draw(&mut self) {
        let mean = 2f64.powi(i32::from(self.work.1.k())) / self.hashes_per_second;
        // The line carries 2,000 shares a second.
        self.next_share = self.now + (-self.chance().ln() * mean).max(0.0005);
    }

    pub(crate) fn run_until(&mut self, end: f64) {
        while self.now < end {
            let tick = (self.now + 1.0).floor();
            let refresh = self.refreshed + self.pool.refresh_secs();
            let arrives = self.coming.front().map_or(f64::INFINITY, |(at, _)| *at);
            let next = self.next_share.min(tick).min(refresh).min(arrives);
            if self.next_share.is_finite() {
                self.hashed += self.hashes_per_second * (next - self.now);
            }
            self.now = next;
            let now = stamp(self.now);
            if self.now >= arrives {
                self.work = self.coming.pop_front().unwrap().1;
                self.draw();
            } else if self.now >= refresh {
                self.refreshed = refresh;
                self.pool.refresh(now);
            } else if self.now >= self.next_share {
                self.shares += 1;
                self.held_up.push(self.work);
                self.draw();
            } else {
                self.pool.tick(now);
            }
            if self.now >= self.stalled_until {
                self.hand_in(now);
            }
            let last = self.coming.back().map_or(self.work, |(_, work)| *work);
            let newest = self.pool.newest();
            if newest.0 != last.0 {
                self.changes += u32::from(newest.1 != last.1);
                self.coming.push_back((self.now + LATENCY_SECS, newest));
            }
        }
    }

    fn hand_in(&mut self, now: Timestamp) {
        for (work, class) in std::mem::take(&mut self.held_up) {
            if self.pool.submit(work, now) {
                let hashes = 2f64.powi(i32::from(class.k()));
                self.credited += hashes;
                self.squares += hashes * hashes;
            }
        }
    }

    /// Connects anew: until it has heard of work it does nothing.
    fn reconnect(&mut self) {
        let before = self.pool.newest().1;
        self.pool.reconnect(stamp(self.now));
        let newest = self.pool.newest();
        self.changes += u32::from(newest.1 != before);
        self.next_share = f64::INFINITY;
        self.work = newest;
        self.coming = [(self.now + LATENCY_SECS, newest)].into();
    }

    /// Bits by which the class that it was given last misses one share an interval.
    pub(crate) fn off(&self) -> f64 {
        let ideal = (self.hashes_per_second * self.interval).log2().max(0.0);
        f64::from(self.pool.newest().1.k()) - ideal
    }
}

/// Machines of 1 kH/s to 1 PH/s, from classes far too easy to far too hard, at usual intervals: always the same.
pub(crate) fn any(case: u64) -> (f64, Class, Duration) {
    let dice = SeededEntropy::new(1_000_000 + case);
    let between = |low: f64, high: f64| {
        let mut bytes = [0; 4];
        dice.fill(&mut bytes);
        low + (high - low) * f64::from(u32::from_be_bytes(bytes)) / 4_294_967_296.0
    };
    let rate = 10f64.powf(between(3.0, 15.0));
    let start = class(between(0.0, 71.0) as u8);
    (rate, start, Duration::from_secs(between(2.0, 16.0) as u64))
}

/// Of so many machines, how many are more than one and a half bits off after one, one and a half, two and three minutes.
pub(crate) fn off_after<P: Pool>(cases: u64, connect: impl Fn(Class, Duration) -> P) -> [u32; 4] {
    let mut off = [0; 4];
    for case in 0..cases {
        let (rate, start, interval) = any(case);
        let mut machine = Machine::new(connect(start, interval), rate, interval, case);
        for (count, until) in off.iter_mut().zip([60.0, 90.0, 120.0, 180.0]) {
            machine.run_until(until);
            *count += u32::from(machine.off().abs() > 1.5);
        }
    }
    off
}

/// The same of machines that become a thousand or ten times slower or faster after five minutes: three minutes later, three and a half
/// and four.
pub(crate) fn off_after_a_change<P: Pool>(
    cases: u64,
    connect: impl Fn(Class, Duration) -> P,
) -> [u32; 3] {
    let mut off = [0; 3];
    let interval = Duration::from_secs(5);
    for case in 0..cases {
        let rate = any(case).0.clamp(1e6, 1e12);
        let mut machine = Machine::new(connect(class(30), interval), rate, interval, case);
        machine.run_until(300.0);
        machine.hashes_per_second *= [0.001, 0.1, 10.0, 1000.0][case as usize % 4];
        machine.draw();
        for (count, until) in off.iter_mut().zip([480.0, 510.0, 540.0]) {
            machine.run_until(until);
            *count += u32::from(machine.off().abs() > 1.5);
        }
    }
    off
}

/// Changes of class of so many machines within an hour after their first four minutes; each sends the shares wanted.
pub(crate) fn changes_in_an_hour<P: Pool>(
    cases: u64,
    connect: impl Fn(Class, Duration) -> P,
) -> u32 {
    let mut changes = 0;
    for case in 0..cases {
        let (rate, start, interval) = any(case);
        let mut machine = Machine::new(connect(start, interval), rate, interval, case);
        machine.run_until(240.0);
        let before = (machine.shares, machine.changes);
        machine.run_until(3840.0);
        let part = (machine.shares - before.0) as f64 * interval.as_secs_f64() / 3600.0;
        assert!((0.4..2.5).contains(&part), "case {case}: {part} of the shares wanted");
        changes += machine.changes - before.1;
    }
    changes
}

/// Changes of class upon so many stalls: of a machine in the middle of its class nothing gets through for nine intervals, then all at
/// once.
pub(crate) fn changes_after_stalls<P: Pool>(
    cases: u64,
    connect: impl Fn(Class, Duration) -> P,
) -> u32 {
    let interval = Duration::from_secs(5);
    let mut changes = 0;
    for case in 0..cases {
        let pool = connect(class(38), interval);
        let mut machine = Machine::new(pool, 2f64.powi(38) / 5.0, interval, case);
        machine.run_until(600.0);
        if machine.pool.newest().1 != class(38) {
            continue; // A bit off by chance, and may move now.
        }
        let before = machine.changes;
        machine.stalled_until = machine.now + 45.0;
        machine.run_until(720.0);
        changes += machine.changes - before;
    }
    changes
}

/// Of so many machines that are off for five minutes and come on again on the same connection: how many are not at the easiest class
/// at the end of the silence, and how many are more than one and a half bits off a minute after it, and two.
pub(crate) fn off_after_silence<P: Pool>(
    cases: u64,
    connect: impl Fn(Class, Duration) -> P,
) -> [u32; 3] {
    let interval = Duration::from_secs(5);
    let mut off = [0; 3];
    for case in 0..cases {
        let rate = any(case).0.clamp(1e6, 1e12);
        let mut machine = Machine::new(connect(class(30), interval), rate, interval, case);
        machine.run_until(180.0);
        machine.hashes_per_second = 1e-9;
        machine.draw();
        machine.run_until(480.0);
        off[0] += u32::from(machine.pool.newest().1 != class(0));
        machine.hashes_per_second = rate;
        machine.draw();
        for (count, until) in off[1..].iter_mut().zip([540.0, 600.0]) {
            machine.run_until(until);
            *count += u32::from(machine.off().abs() > 1.5);
        }
    }
    off
}

/// What becomes of a machine that connects anew again and again.
#[derive(Debug)]
pub(crate) struct Reconnecting {
    /// Standard errors by which it was credited more than it has hashed.
    pub(crate) beyond: f64,
    /// Changes of class.
    pub(crate) changes: u32,
    /// How far its class was off at the end of a connection, at the most.
    pub(crate) worst: f64,
}

/// Two hours of one that does so every so many seconds.
pub(crate) fn reconnecting<P: Pool>(
    every: f64,
    connect: impl Fn(Class, Duration) -> P,
) -> Reconnecting {
    let interval = Duration::from_secs(5);
    let rate = 2f64.powf(40.3);
    let mut machine = Machine::new(connect(class(38), interval), rate, interval, every as u64);
    machine.run_until(120.0);
    let (from, changes) = (machine.now, machine.changes);
    (machine.hashed, machine.credited, machine.squares) = (0.0, 0.0, 0.0);
    let mut worst = 0.0f64;
    while machine.now < from + 2.0 * 3600.0 {
        machine.run_until(machine.now + every);
        worst = worst.max(machine.off().abs());
        machine.reconnect();
    }
    Reconnecting {
        beyond: (machine.credited - machine.hashed) / machine.squares.sqrt(),
        changes: machine.changes - changes,
        worst,
    }
}
