//! Shares a second, and how long an answer takes.
//!
//! Two ways to send: *closed*, each connection keeps so many submits without an answer and sends the
//! next when one comes, which finds the greatest rate; or *paced*, submits leave at a given rate,
//! round the connections in turn, whether or not the server keeps up, and each is timed from when it
//! *should* have left, so that a server that stalls cannot hide it.

use crate::BenchError;
use crate::connection::{Connection, Phase, Seen};
use crate::fleet::{Driver, Fleet, FleetOptions, nanos};
use crate::histogram::{Histogram, Quantiles};
use crate::mix::{Dealer, Kind, Mix};
use crate::sockets::{self, now_ns};
use crate::wire::Outcome;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long answers may take after the last submit.
const DRAIN_MAX: Duration = Duration::from_secs(30);

/// Mining ahead that takes longer than this is announced.
const MINING_TOLD_FROM_SECS: f64 = 5.0;

/// How to send shares.
#[derive(Clone, Debug)]
pub struct SubmitOptions {
    /// Who connects, and as whom.
    pub fleet: FleetOptions,
    /// How many.
    pub clients: usize,
    /// Submits without an answer on each connection, in closed mode.
    pub in_flight: usize,
    /// Submits a second over all connections; closed mode if `None`.
    pub rate: Option<u64>,
    /// Sent, but not counted into the rate.
    pub warmup: Duration,
    /// What is counted.
    pub duration: Duration,
    /// Which kinds.
    pub mix: Mix,
    /// Shares mined for each client before the run, where shares have to be mined.
    pub ahead: usize,
}

/// What a run found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SubmitReport {
    /// Connections.
    pub clients: usize,
    /// Submits without an answer on each; absent when paced.
    pub in_flight: Option<usize>,
    /// Submits a second that were asked for; absent when closed.
    pub rate_asked: Option<u64>,
    /// Seconds that were counted.
    pub seconds: f64,
    /// Answers a second within them, whatever they say.
    pub answers_per_second: f64,
    /// Shares acknowledged a second within them.
    pub accepted_per_second: f64,
    /// Submit to answer, within them.
    pub latency: Quantiles,
    /// Of these, submits that left before any share of their connection was acknowledged: a server may take who has brought nothing
    /// for a stranger.
    pub latency_first: Quantiles,
    /// Of these, all others.
    pub latency_later: Quantiles,
    /// Of it, how late the same submits left because the generator could not send them when they were due; at a
    /// given rate alone. What of the answers' time is the server's is the rest.
    pub late: Option<Quantiles>,
    /// Over the whole run, warm-up and end included, by what was sent: how many, and how answered.
    pub answers: BTreeMap<&'static str, KindReport>,
    /// Shares acknowledged over the whole run: what the server's log must hold.
    pub acknowledged: u64,
    /// Answers that say other than they should.
    pub unexpected: u64,
    /// Answers before those of earlier submits of the same connection.
    pub out_of_order: u64,
    /// Answers to nothing that was asked.
    pub strays: u64,
    /// Submits without any answer at the end.
    pub unanswered: u64,
    /// Connections that were closed on us.
    pub closed: usize,
    /// Why, from the first.
    pub closed_because: Option<String>,
    /// The part of the counted time in which the generator's thread was at work. A generator that
    /// never rests in closed mode may be the limit itself (paced, it never rests).
    pub generator_busy: f64,
    /// Hashes tried for shares that had to be mined while the run was on: above zero the generator was the limit.
    pub mined_late: u64,
}

/// How one kind of submit was answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindReport {
    /// Sent.
    pub sent: u64,
    /// Answered `true`.
    pub accepted: u64,
    /// Answered with an error, by its code (0: without one).
    pub refused: BTreeMap<i64, u64>,
}

impl SubmitReport {
    /// Whether every answer came, in order, and said what it should.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.unexpected + self.out_of_order + self.strays + self.unanswered == 0 && self.closed == 0
    }
}

/// Sends shares as the options say.
///
/// # Errors
/// When the clients do not come to have jobs, or the mix cannot be made at the server's difficulty.
pub fn submit(options: &SubmitOptions) -> Result<SubmitReport, BenchError> {
    submit_and_tell(options, || {})
}

/// The same; `at_measuring` is called when what is counted begins.
pub(crate) fn submit_and_tell(
    options: &SubmitOptions,
    at_measuring: impl FnOnce() + 'static,
) -> Result<SubmitReport, BenchError> {
    if options.clients == 0 || (options.in_flight == 0 && options.rate.is_none()) {
        return Err(BenchError::Options("a run needs clients, and submits in flight".to_owned()));
    }
    let mut fleet = Fleet::new(options.fleet.clone())?;
    let mut pump = Pump::new(options);
    pump.at_measuring = Some(Box::new(at_measuring));
    fleet.open(options.clients, &mut pump)?;
    mine_ahead(&mut fleet, options)?;
    let hashes_before = hashes(&fleet);
    pump.phase = Sending::Warmup;
    let begun = now_ns();
    let measured_from = begun + nanos(options.warmup);
    let end = measured_from + nanos(options.duration);
    match options.rate {
        Some(rate) => pump.run_paced(&mut fleet, rate, begun, measured_from, end)?,
        None => pump.run_closed(&mut fleet, measured_from, end)?,
    }
    let measured_to = now_ns();
    let busy_ns = sockets::thread_cpu_ns() - pump.cpu_before_ns;
    pump.phase = Sending::Draining;
    let deadline = measured_to + nanos(DRAIN_MAX);
    while unanswered(&fleet) > 0 && now_ns() < deadline {
        fleet.turn(Duration::from_millis(20), &mut pump)?;
    }
    let mined_late = hashes(&fleet) - hashes_before;
    let mut report = pump.report(options, &fleet, measured_to - measured_from);
    report.mined_late = mined_late;
    report.generator_busy = part(busy_ns, measured_to - measured_from);
    Ok(report)
}

#[allow(clippy::cast_precision_loss)] // for display
fn part(of: u64, whole: u64) -> f64 {
    of as f64 / whole.max(1) as f64
}

fn open_connections(fleet: &Fleet) -> impl Iterator<Item = &Connection> {
    fleet.connections.iter().filter(|c| c.phase != Phase::Closed)
}

fn unanswered(fleet: &Fleet) -> u64 {
    open_connections(fleet).map(|c| c.pending.len() as u64).sum()
}

/// Hashes tried for shares so far.
fn hashes(fleet: &Fleet) -> u64 {
    fleet.connections.iter().map(Connection::hashes).sum()
}

/// Mines what the run needs, where the server's difficulty is not trivial.
fn mine_ahead(fleet: &mut Fleet, options: &SubmitOptions) -> Result<(), BenchError> {
    let mut with_work = fleet.connections.iter();
    let Some((first, expected)) = with_work.find_map(|c| Some((c, c.expected_hashes()?))) else {
        return Ok(());
    };
    if !first.has_low() {
        return if options.mix.has(Kind::Low) {
            let why = "at this difficulty every hash is a share, so none can be low: have the \
                       server hand out a higher one";
            Err(BenchError::Options(why.to_owned()))
        } else {
            Ok(())
        };
    }
    let total = expected.saturating_mul((options.clients * options.ahead) as u128);
    tell_mining_time(total, &mut fleet.connections)?;
    let low = if options.mix.has(Kind::Low) { options.ahead } else { 0 };
    for connection in &mut fleet.connections {
        connection.mine(options.ahead, low);
    }
    Ok(())
}

/// Says how long mining will take when that is long; refuses what would take a day.
fn tell_mining_time(total: u128, connections: &mut [Connection]) -> Result<(), BenchError> {
    let Some(first) = connections.first_mut() else { return Ok(()) };
    // Ethash's cache is made for the first.
    first.scan_for_speed();
    let begun = now_ns();
    let tried = first.scan_for_speed();
    #[allow(clippy::cast_precision_loss)] // for display
    let seconds = total as f64 * (now_ns() - begun) as f64 / 1e9 / tried.max(1) as f64;
    if seconds > 24.0 * 3600.0 {
        return Err(BenchError::Options(format!(
            "at the server's difficulty the shares would take {:.0} hours to mine: have it hand out \
             a lower one, or take fewer clients or a smaller --ahead",
            seconds / 3600.0
        )));
    }
    if seconds > MINING_TOLD_FROM_SECS {
        eprintln!("mining {total} hashes' worth of shares first: about {seconds:.0} s");
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    /// Connecting and mining: nothing is sent.
    Not,
    Warmup,
    Measured,
    Draining,
}

/// Sends and counts.
struct Pump {
    phase: Sending,
    /// Who wants to know when measuring begins.
    at_measuring: Option<Box<dyn FnOnce()>>,
    /// The thread's processor time when measuring began.
    cpu_before_ns: u64,
    is_closed_mode: bool,
    in_flight: usize,
    dealer: Dealer,
    /// Submits of connections that have brought nothing yet.
    first: Histogram,
    /// All others.
    later: Histogram,
    /// How late submits left at a given rate.
    late: Histogram,
    answered: u64,
    accepted: u64,
    unexpected: u64,
    out_of_order: u64,
    strays: u64,
    kinds: [KindReport; 5],
}

impl Driver for Pump {
    fn seen(&mut self, connection: &mut Connection, seen: Seen) {
        match seen {
            Seen::Answer { pending, reply, in_order } => {
                let is_measured = self.phase == Sending::Measured;
                let kind = &mut self.kinds[pending.kind as usize];
                let code = match reply.outcome {
                    Outcome::Accepted => {
                        kind.accepted += 1;
                        self.accepted += u64::from(is_measured);
                        None
                    }
                    Outcome::Refused(code) => {
                        *kind.refused.entry(code).or_insert(0) += 1;
                        Some(code)
                    }
                };
                self.unexpected += u64::from(code != pending.kind.code());
                self.out_of_order += u64::from(!in_order);
                if is_measured {
                    self.answered += 1;
                    let times = if pending.is_first { &mut self.first } else { &mut self.later };
                    times.record(connection.heard_ns.saturating_sub(pending.sent_ns));
                    self.late.record(pending.late_ns);
                }
                if self.is_closed_mode && self.phase != Sending::Draining {
                    self.send(connection, connection.heard_ns);
                }
            }
            Seen::Stray => self.strays += 1,
            Seen::Job => {}
        }
    }
}

impl Pump {
    fn new(options: &SubmitOptions) -> Pump {
        Pump {
            phase: Sending::Not,
            at_measuring: None,
            cpu_before_ns: 0,
            is_closed_mode: options.rate.is_none(),
            in_flight: options.in_flight,
            dealer: Dealer::new(options.mix),
            first: Histogram::default(),
            later: Histogram::default(),
            late: Histogram::default(),
            answered: 0,
            accepted: 0,
            unexpected: 0,
            out_of_order: 0,
            strays: 0,
            kinds: std::array::from_fn(|_| KindReport::default()),
        }
    }

    fn send(&mut self, connection: &mut Connection, at_ns: u64) {
        let kind = self.dealer.next();
        if let Some(sent) = connection.submit(kind, at_ns) {
            self.kinds[sent as usize].sent += 1;
        }
    }

    fn begin_to_measure(&mut self, is_time: bool) {
        if self.phase == Sending::Warmup && is_time {
            self.phase = Sending::Measured;
            self.cpu_before_ns = sockets::thread_cpu_ns();
            if let Some(tell) = self.at_measuring.take() {
                tell();
            }
        }
    }

    fn run_closed(
        &mut self,
        fleet: &mut Fleet,
        measured_from: u64,
        end: u64,
    ) -> Result<(), BenchError> {
        for connection in &mut fleet.connections {
            for _ in 0..self.in_flight {
                self.send(connection, now_ns());
            }
            connection.flush();
        }
        loop {
            let now = now_ns();
            if now >= end {
                return Ok(());
            }
            self.begin_to_measure(now >= measured_from);
            fleet.turn(Duration::from_millis(10), self)?;
        }
    }

    fn run_paced(
        &mut self,
        fleet: &mut Fleet,
        rate: u64,
        begun: u64,
        measured_from: u64,
        end: u64,
    ) -> Result<(), BenchError> {
        let (mut sent, mut next) = (0u64, 0);
        let due_at = |n: u64| {
            let offset = u128::from(n) * 1_000_000_000 / u128::from(rate.max(1));
            begun + u64::try_from(offset).unwrap_or(u64::MAX / 2)
        };
        loop {
            let now = now_ns();
            if now >= end {
                return Ok(());
            }
            self.begin_to_measure(now >= measured_from);
            if due_at(sent) <= now {
                let count = fleet.connections.len();
                let connection = &mut fleet.connections[next];
                next = (next + 1) % count;
                self.send(connection, due_at(sent));
                if let Some(pending) = connection.pending.back_mut() {
                    pending.late_ns = now - due_at(sent);
                }
                connection.flush();
                sent += 1;
                // Answers are looked at between submits, however far behind.
                fleet.turn(Duration::ZERO, self)?;
            } else {
                let wait = Duration::from_nanos(due_at(sent) - now);
                // The system waits in milliseconds; what is shorter is spun.
                let wait = if wait < Duration::from_millis(2) { Duration::ZERO } else { wait / 2 };
                fleet.turn(wait, self)?;
            }
        }
    }

    #[allow(clippy::cast_precision_loss)] // counts for display
    fn report(self, options: &SubmitOptions, fleet: &Fleet, span_ns: u64) -> SubmitReport {
        let seconds = span_ns as f64 / 1e9;
        let answers = Kind::ALL.into_iter().zip(self.kinds.iter());
        SubmitReport {
            clients: options.clients,
            in_flight: options.rate.is_none().then_some(options.in_flight),
            rate_asked: options.rate,
            seconds,
            answers_per_second: self.answered as f64 / seconds,
            accepted_per_second: self.accepted as f64 / seconds,
            latency: self.first.clone().with(&self.later).quantiles(),
            latency_first: self.first.quantiles(),
            latency_later: self.later.quantiles(),
            late: options.rate.map(|_| self.late.quantiles()),
            acknowledged: self.kinds.iter().map(|k| k.accepted).sum(),
            answers: answers
                .filter(|(_, k)| k.sent > 0)
                .map(|(kind, k)| (kind.name(), k.clone()))
                .collect(),
            unexpected: self.unexpected,
            out_of_order: self.out_of_order,
            strays: self.strays,
            unanswered: fleet.connections.iter().map(|c| c.pending.len() as u64).sum(),
            closed: fleet.closed(),
            closed_because: fleet.connections.iter().find_map(|c| c.ended.clone()),
            generator_busy: 0.0,
            mined_late: 0,
        }
    }
}
