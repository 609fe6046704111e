//! Sequences on a Stratum V2 connection, inside its encryption: frames good and bad, jobs, time,
//! logins, a log that fails.
//!
//! What must hold: what is said decrypts to whole frames; no share is acknowledged that is not in
//! the log, none is in it twice, and each is of a job that its connection was given, at that job's
//! class; no two channels have one extranonce prefix; nothing is remembered of a connection that
//! is gone.

use crate::input::Input;
use crate::jobs::{self, Luck, NTIME, class, job};
use crate::ledger::Counted;
use crate::secret::{HEADER, Tunnel, length};
use crate::v1_rig::{LOG_SAYS, LogSays};
use gruve_sharelog::Owner;
use gruve_stratum::protocol::{Admitted, Candidate, Protocol as _, Round, Step, Work};
use gruve_stratum::seen::SeenBudget;
use gruve_stratum::session::{CloseReason, SessionRules};
use gruve_stratum::v2::Session;
use gruve_stratum::{Authorized, Refused, WorkState, limits};
use gruve_units::{Algorithm, Duration, Timestamp};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

const STEPS_MAX: usize = 200;

/// What a visit may say: 64 refusals, or a job for each of some channels.
const OUT_BYTES_MAX: usize = 1 << 20;

struct Rig {
    tunnel: Tunnel,
    session: Session,
    now: Timestamp,
    work: Option<WorkState>,
    /// Decrypted and not yet taken.
    unread: Vec<u8>,
    asking: Option<(String, String)>,
    closed: Option<CloseReason>,
    log_says: LogSays,
    luck: Luck,
    channels: Vec<u32>,
    jobs: Vec<u32>,
    prefixes: HashSet<Vec<u8>>,
    /// How often each channel was given the newest job.
    times: HashMap<u32, usize>,
    acknowledged: u64,
    refused: u64,
    counted: u64,
    submitted: u64,
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let seen = Arc::new(if input.flag() { SeenBudget::new(4, 16) } else { SeenBudget::default() });
    let mut rules = SessionRules::new(Algorithm::Sha256d, (class(0), class(40)), class(0));
    rules.seen = Arc::clone(&seen);
    let now = Timestamp::from_secs(i64::from(NTIME));
    let mut rig = Rig {
        tunnel: Tunnel::open(1),
        session: Session::new(Arc::new(rules), now),
        now,
        work: None,
        unread: Vec::new(),
        asking: None,
        closed: None,
        log_says: Ok(()),
        luck: Luck::Real,
        channels: Vec::new(),
        jobs: Vec::new(),
        prefixes: HashSet::new(),
        times: HashMap::new(),
        acknowledged: 0,
        refused: 0,
        counted: 0,
        submitted: 0,
    };
    let mut counted = Counted::default();
    let mut next_job = 0;
    if input.flag() {
        let flags = input.byte() & 7;
        rig.say(&setup(flags));
        rig.publish(next_job, &mut input);
        next_job += 1;
        rig.visit_all(&mut counted);
    }
    for _ in 0..STEPS_MAX {
        if input.is_empty() || rig.closed.is_some() {
            break;
        }
        match input.below(16) {
            0..=4 => rig.submit(&mut input),
            5 | 6 => rig.say(&open(&mut input)),
            7 => {
                let frame = other(&mut input, &rig.channels);
                rig.say(&frame);
            }
            8 => {
                let payload = input.bytes();
                let kind = input.byte();
                rig.say(&frame(u16::from(input.flag()) << 15, kind, payload));
            }
            9 => rig.visit(usize::from(input.u16()), &mut counted),
            10 | 11 => rig.visit_all(&mut counted),
            12 => {
                rig.publish(next_job, &mut input);
                next_job += 1;
            }
            13 => rig.wait(input.byte(), input.below(4) == 0),
            14 => match input.below(3) {
                0 => rig.log_says = input.pick(&LOG_SAYS),
                1 => rig.luck = input.pick(&Luck::ALL),
                _ => rig.look_up(input.flag()),
            },
            _ => rig.say(&setup(input.byte())),
        }
    }
    rig.visit_all(&mut counted);
    assert!(rig.acknowledged <= rig.counted, "more acknowledged than stored");
    assert!(rig.acknowledged + rig.refused <= rig.submitted, "more answers than shares");
    assert_eq!(rig.session.counts().0, rig.counted);
    drop(rig);
    assert_eq!(seen.held(), 0, "remembered of a connection that is gone");
}

impl Rig {
    /// A frame goes through the encryption.
    fn say(&mut self, frame: &[u8]) {
        if self.closed.is_some() {
            return;
        }
        self.submitted += u64::from(matches!(frame[2], 0x1a | 0x1b));
        let wire = self.tunnel.seal(frame);
        let mut answer = Vec::new();
        let opened = self.tunnel.server.open(&wire, &mut self.unread, &mut answer);
        assert!(answer.is_empty());
        if opened.is_err() {
            assert!(frame.len() > limits::V2_FRAME_BYTES_MAX, "{opened:?}");
            self.closed = Some(CloseReason::LongLine);
        }
    }

    fn visit_all(&mut self, counted: &mut Counted) {
        loop {
            let before = self.unread.len();
            self.look_up(false);
            self.visit(usize::MAX, counted);
            if self.closed.is_some() || (self.unread.len() == before && self.asking.is_none()) {
                return;
            }
        }
    }

    fn visit(&mut self, most: usize, counted: &mut Counted) {
        if self.closed.is_some() || self.asking.is_some() {
            return;
        }
        let mut round = Round::default();
        let input = &self.unread[..most.min(self.unread.len())];
        let (part, taken, step) = round.receive(&mut self.session, input, self.now);
        assert!(taken <= input.len());
        assert!(round.candidates.len() <= limits::CANDIDATES_PER_VISIT_MAX);
        self.unread.drain(..taken);
        let mut outcomes = Vec::new();
        for candidate in &round.candidates {
            outcomes.push(self.judge(candidate, counted));
        }
        let mut out = Vec::new();
        let close = round.answer(&mut self.session, part, &outcomes, &mut out);
        self.closed = self.closed.or(close);
        match step {
            Step::Continue => {}
            Step::Close(reason) => self.closed = Some(reason),
            Step::Authorize { user, password } => self.asking = Some((user, password)),
        }
        self.session.settle(self.now, &mut out);
        self.hear(&out);
    }

    fn judge(&mut self, candidate: &Candidate, counted: &mut Counted) -> LogSays {
        let solved = self.luck.solve(candidate);
        let judged = self.session.judge(candidate, &solved, self.now);
        let is_stored = judged.verdict.is_ok() && self.log_says.is_ok();
        if let Some(block) = &judged.block
            && (judged.verdict.is_err() || is_stored)
            && judged.verdict != Err(gruve_stratum::session::NO_SUCH_JOB)
        {
            counted.send(block);
        }
        judged.verdict.and(self.log_says)?;
        let share = &candidate.share;
        assert!(share.class.target().is_met_by(&solved.pow_hash), "too easy: {share:?}");
        let prefix = &share.extranonce.as_slice()[..4];
        assert!(self.prefixes.contains(prefix), "nobody has the prefix {prefix:?}");
        counted.count(share);
        self.counted += 1;
        Ok(())
    }

    fn look_up(&mut self, refuse: bool) {
        let Some((user, password)) = self.asking.take() else { return };
        let outcome = if refuse {
            Err(Refused("no".to_owned()))
        } else {
            let who = Authorized { owner: Owner::House, machine: jobs::machine(&user) };
            Ok(Admitted { who, class: (user.len() % 3 == 2).then_some(class(3)) })
        };
        let mut out = Vec::new();
        self.session.authorized(&outcome, &password, self.now, &mut out);
        self.hear(&out);
    }

    /// What is said goes through the encryption, and is taken apart.
    fn hear(&mut self, out: &[u8]) {
        assert!(out.len() <= OUT_BYTES_MAX, "{} bytes out", out.len());
        let mut wire = Vec::new();
        self.tunnel.server.seal(out, &mut wire).expect("whole frames");
        let plain = self.tunnel.unseal(&wire);
        assert_eq!(plain, out);
        let mut rest = &plain[..];
        while !rest.is_empty() {
            let (front, after) = rest.split_at(HEADER + length(rest));
            rest = after;
            self.understand(front[2], &front[HEADER..]);
        }
    }

    fn understand(&mut self, kind: u8, payload: &[u8]) {
        let word = |at: usize| u32::from_le_bytes(payload[at..at + 4].try_into().unwrap());
        match kind {
            // A channel: its number; standard ones say target, then the prefix; extended ones also
            // how many bytes they roll.
            0x11 | 0x14 => {
                self.channels.push(word(4));
                let at = if kind == 0x11 { 40 } else { 42 };
                self.new_prefix(&payload[at..]);
            }
            0x15 => {
                self.jobs.push(word(4));
                let times = self.times.entry(word(0)).or_default();
                *times += 1;
                assert!(*times <= limits::GIVEN_PER_JOB_MAX, "channel {} without end", word(0));
            }
            0x1f => self.jobs.push(word(4)),
            0x19 => self.new_prefix(&payload[4..]),
            0x1c => self.acknowledged += u64::from(word(8)),
            0x1d => self.refused += 1,
            0x00..=0x04 | 0x12 | 0x17 | 0x20 | 0x21 | 0x24 | 0x25 => {}
            other => panic!("a message of type {other:#x}"),
        }
    }

    fn new_prefix(&mut self, text: &[u8]) {
        // All of a standard channel's extranonce, of an extended one's what it does not roll.
        assert!(matches!(text[0], 4 | 12), "{} bytes", text[0]);
        let prefix = text[1..5].to_vec();
        assert!(self.prefixes.insert(prefix), "two channels with one prefix");
    }

    fn publish(&mut self, id: u64, input: &mut Input<'_>) {
        let job = job(id, input);
        let work = match &self.work {
            Some(work) => work.with(job, 6),
            None => WorkState::of(Algorithm::Sha256d, job),
        };
        self.work = Some(work.clone());
        self.times.clear();
        if self.closed.is_none() {
            let mut out = Vec::new();
            self.session.work(&Work::Header(Arc::new(work)), self.now, &mut out);
            self.hear(&out);
        }
    }

    fn wait(&mut self, seconds: u8, back: bool) {
        if back {
            self.now = self.now.minus(Duration::from_secs(u64::from(seconds)));
            return;
        }
        for _ in 0..seconds {
            if self.closed.is_some() {
                return;
            }
            self.now = self.now.plus(Duration::from_secs(1));
            let mut out = Vec::new();
            self.closed = self.session.tick(self.now, &mut out);
            self.hear(&out);
        }
    }

    fn submit(&mut self, input: &mut Input<'_>) {
        let of = |known: &[u32], input: &mut Input<'_>| {
            let n = input.byte();
            let from_newest = known.iter().rev().nth(usize::from(n) % known.len().max(1));
            if n == 0xff { u32::from(n) } else { from_newest.copied().unwrap_or(0) }
        };
        let (channel, job) = (of(&self.channels, input), of(&self.jobs, input));
        let ntime = NTIME + 255 + u32::from(input.byte());
        let version = match input.below(3) {
            0 => 0x2000_0000,
            1 => 0x2000_2000,
            _ => input.u32(),
        };
        let nonce = u32::from(input.byte() % 6);
        let sequence = u32::try_from(self.submitted).unwrap();
        let fields = [channel, sequence, job, nonce, ntime, version];
        let mut payload: Vec<u8> = fields.iter().flat_map(|f| f.to_le_bytes()).collect();
        let kind = if input.flag() {
            let bytes = input.pick(&[8, 8, 8, 4, 0, 12]);
            payload.push(bytes);
            payload.extend((0..bytes).map(|i| input.byte() & u8::from(i == 0)));
            0x1b
        } else {
            0x1a
        };
        self.say(&frame(0x8000, kind, &payload));
    }
}

fn frame(extension: u16, kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = payload.len().to_le_bytes();
    [&extension.to_le_bytes()[..], &[kind], &length[..3], payload].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat()
}

fn setup(flags: u8) -> Vec<u8> {
    let mut payload = vec![flags >> 6, 2, 0, 2, 0, flags & 7, 0, 0, 0];
    payload.extend(text("localhost"));
    payload.extend([0x0d, 0x05]);
    for part in ["Maker", "M1", "1.0", "abc"] {
        payload.extend(text(part));
    }
    frame(0, 0x00, &payload)
}

/// A target of a class, least significant byte first.
fn target(input: &mut Input<'_>) -> [u8; 32] {
    let mut bytes = class(input.byte() % 64).target().to_be_bytes();
    bytes.reverse();
    bytes
}

const RATES: [f32; 8] = [0.0, 1.0, 1e6, 1e12, 1e30, -1.0, f32::NAN, f32::INFINITY];

fn open(input: &mut Input<'_>) -> Vec<u8> {
    let extended = input.flag();
    let mut payload = u32::from(input.byte()).to_le_bytes().to_vec();
    payload.extend(text(input.pick(&["w", "v2", "account.machine", "nobody", "", "..", "x;d=1"])));
    payload.extend(input.pick(&RATES).to_le_bytes());
    payload.extend(target(input));
    if extended {
        payload.extend([input.pick(&[0, 4, 8, 9]), 0]);
    }
    frame(0, if extended { 0x13 } else { 0x10 }, &payload)
}

/// Update, close, custom work, extensions.
fn other(input: &mut Input<'_>, channels: &[u32]) -> Vec<u8> {
    let n = input.below(channels.len() + 2);
    let channel = channels.get(n).copied().unwrap_or(u32::try_from(n).unwrap());
    let mut payload = channel.to_le_bytes().to_vec();
    match input.below(4) {
        0 | 1 => {
            payload.extend(input.pick(&RATES).to_le_bytes());
            payload.extend(target(input));
            frame(0x8000, 0x16, &payload)
        }
        2 => {
            payload.extend(text("bye"));
            frame(0x8000, 0x18, &payload)
        }
        _ => frame(1, 0, &[1, 0, 2, 0, input.byte(), 0, 2, 0]),
    }
}
