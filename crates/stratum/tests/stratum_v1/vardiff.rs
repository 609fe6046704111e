//! The difficulty control on simulated machines.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // simulated time and chance

use crate::miner::class;
use gruve_stratum::vardiff::Vardiff;
use gruve_units::{Class, Duration, Entropy as _, SeededEntropy, Timestamp};

/// A machine behind a line: shares come at random (a Poisson process), no faster than the line
/// carries.
struct Machine {
    hashes_per_second: f64,
    entropy: SeededEntropy,
    now: f64,
    next_share: f64,
    control: Vardiff,
    /// A change reaches the machine only after this long.
    latency: f64,
    pending: Option<(f64, Class)>,
    class: Class,
    shares: u64,
    changes: u32,
}

impl Machine {
    fn new(hashes_per_second: f64, start: Class, interval: Duration, seed: u64) -> Machine {
        let range = (class(0), class(80));
        let mut machine = Machine {
            hashes_per_second,
            entropy: SeededEntropy::new(seed),
            now: 0.0,
            next_share: 0.0,
            control: Vardiff::new(range, start, interval, Timestamp(0)),
            latency: 0.15,
            pending: None,
            class: start,
            shares: 0,
            changes: 0,
        };
        machine.draw();
        machine
    }

    fn draw(&mut self) {
        let mut bytes = [0; 4];
        self.entropy.fill(&mut bytes);
        let uniform = (f64::from(u32::from_be_bytes(bytes)) + 0.5) / 4_294_967_296.0;
        let mean = 2f64.powi(i32::from(self.class.k())) / self.hashes_per_second;
        // The line carries 2,000 shares a second.
        self.next_share = self.now + (-uniform.ln() * mean).max(0.0005);
    }

    fn stamp(&self) -> Timestamp {
        Timestamp((self.now * 1e6).round() as i64)
    }

    fn run_until(&mut self, end: f64) {
        while self.now < end {
            let tick = (self.now + 1.0).floor();
            let arrives = self.pending.map_or(f64::INFINITY, |(at, _)| at);
            let next = self.next_share.min(tick).min(arrives);
            self.now = next;
            if next >= arrives {
                self.class = self.pending.take().unwrap().1;
                self.draw();
            } else if next >= self.next_share {
                self.control.share(self.class, self.stamp());
                self.shares += 1;
                self.draw();
            }
            if let Some(class) = self.control.decide(self.stamp()) {
                self.control.applied(class, self.stamp());
                self.pending = Some((self.now + self.latency, class));
                self.changes += 1;
            }
        }
    }

    /// Bits by which the class misses one share an interval.
    fn off(&self, interval: Duration) -> f64 {
        let ideal = (self.hashes_per_second * interval.as_secs_f64()).log2().max(0.0);
        f64::from(self.control.class().k()) - ideal
    }
}

/// Uniform draws for choosing cases: always the same, so that chance cannot fail a build.
struct Draws(SeededEntropy);

impl Draws {
    fn between(&self, low: f64, high: f64) -> f64 {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        low + (high - low) * f64::from(u32::from_be_bytes(bytes)) / 4_294_967_296.0
    }
}

#[test]
fn any_machine_from_any_start_is_right_within_a_minute_and_stays_there() {
    let draws = Draws(SeededEntropy::new(2026));
    let (mut swings, mut worst, mut unlucky) = (0, 0, 0);
    for case in 0..400 {
        // 1 kH/s to 1 PH/s, from far too easy to far too hard.
        let rate = 10f64.powf(draws.between(3.0, 15.0));
        let start = class(draws.between(0.0, 71.0) as u8);
        let interval = Duration::from_secs(draws.between(2.0, 9.0) as u64);
        let mut machine = Machine::new(rate, start, interval, case);
        let mut nearest = f64::INFINITY;
        for tenth in 1..=600 {
            machine.run_until(f64::from(tenth) / 10.0);
            nearest = nearest.min(machine.off(interval).abs());
        }
        let what =
            format!("case {case}: {rate:.0} H/s from class {start}, a share in {interval:?}");
        // A machine two bits too slow sends some three shares in this minute: luck plays its part.
        assert!(nearest <= 3.0, "{what}: {nearest} bits off at best within a minute");
        unlucky += u32::from(nearest > 1.5);
        machine.run_until(240.0);
        // An hour: it settles and does not swing.
        let (shares, changes) = (machine.shares, machine.changes);
        machine.run_until(3840.0);
        let per_interval = (machine.shares - shares) as f64 / (3600.0 / interval.as_secs_f64());
        assert!((0.35..2.8).contains(&per_interval), "{what}: {per_interval} shares an interval");
        assert!(machine.off(interval).abs() <= 2.0, "{what}: {}", machine.off(interval));
        swings += machine.changes - changes;
        worst = worst.max(machine.changes - changes);
    }
    assert!(unlucky <= 12, "{unlucky} of 400 were more than 1.5 bits off for a whole minute");
    assert!(worst <= 8, "{worst} changes in an hour");
    assert!(swings <= 400, "{swings} changes in 400 machine hours");
}

#[test]
fn a_machine_that_slows_down_or_speeds_up_is_followed_within_minutes() {
    let draws = Draws(SeededEntropy::new(7));
    for case in 0..200 {
        let rate = 10f64.powf(draws.between(5.0, 13.0));
        let factor = [0.001, 0.1, 10.0, 1000.0][case as usize % 4];
        let interval = Duration::from_secs(5);
        let mut machine = Machine::new(rate, class(30), interval, case);
        machine.run_until(300.0);
        machine.hashes_per_second *= factor;
        machine.draw();
        machine.run_until(600.0);
        let off = machine.off(interval);
        assert!(off.abs() <= 3.0, "case {case}: {rate:.0} H/s times {factor}: {off} bits");
    }
}

#[test]
fn a_silent_machine_is_eased_to_the_bottom_and_found_again_when_it_returns() {
    let interval = Duration::from_secs(5);
    let mut machine = Machine::new(1e12, class(42), interval, 1);
    machine.run_until(120.0);
    machine.hashes_per_second = 1e-9;
    machine.draw();
    machine.run_until(400.0);
    assert_eq!(machine.control.class(), class(0));
    machine.hashes_per_second = 1e12;
    machine.draw();
    machine.run_until(430.0);
    assert!(machine.off(interval).abs() <= 2.5, "{}", machine.off(interval));
}

#[test]
fn a_burst_after_a_stall_costs_a_minute_at_most() {
    let interval = Duration::from_secs(5);
    let at = |secs: f64| Timestamp((secs * 1e6) as i64);
    let mut control = Vardiff::new((class(0), class(80)), class(40), interval, at(0.0));
    // Forty shares held up somewhere arrive at once, right after the start.
    for _ in 0..40 {
        control.share(class(40), at(0.001));
        if let Some(class) = control.decide(at(0.001)) {
            control.applied(class, at(0.001));
        }
    }
    let mut seconds = 0.0;
    while control.class() > class(41) {
        seconds += 1.0;
        if let Some(class) = control.decide(at(seconds)) {
            control.applied(class, at(seconds));
        }
    }
    assert!(seconds <= 60.0, "{seconds}");
}

#[test]
fn the_class_never_leaves_its_range() {
    let range = (class(10), class(20));
    let mut control = Vardiff::new(range, class(70), Duration::from_secs(5), Timestamp(0));
    assert_eq!(control.class(), class(20));
    for n in 0..1000 {
        control.share(class(20), Timestamp(n));
        assert_eq!(control.decide(Timestamp(n)), None);
    }
    for s in 1..1000 {
        let at = Timestamp::from_secs(s);
        if let Some(class) = control.decide(at) {
            assert!(class >= range.0 && class <= range.1);
            control.applied(class, at);
        }
    }
    assert_eq!(control.class(), class(10));
}
