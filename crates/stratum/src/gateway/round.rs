//! A round: many connections' messages received together, hashed together, written to the log in
//! one append, answered with one write each.
//!
//! Fair: a visit is one read and a bounded number of candidates, a round a bounded number of
//! candidates; who has more comes again in the next round, after all others that wait. Who has brought no
//! good work comes after those who have, with a bounded part of the round ([`super::turns`]). The work
//! of one round is therefore bounded, whoever floods.
//!
//! Where shares are answered after the sync (`durability = "fsync"`) a round with good shares is held
//! until the disk has them: its connections rest, all others go on, and what they send meanwhile is
//! synced together in the next sync.

use super::connection::{Ended, Taken, Waiting};
use super::guarded::caught;
use super::hashers::Parcel;
use super::known::Trust;
use super::serving::{Command, Loop};
use super::slab::Key;
use super::solving::Solver;
use crate::limits;
use crate::protocol::{
    Candidate, Part, Protocol as _, Round, Solved, Step, aux_in, block_in, is_own,
};
use crate::session::reply::NOT_OWN;
use crate::session::{CloseReason, NOT_STORED, Refusal, SEALED};
use gruve_sharelog::{Durability, LogError, Position};
use gruve_units::{Algorithm, Timestamp};
use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// One read at most: some hundred shares.
const READ_BYTES: usize = 16 << 10;

/// An output buffer that has grown beyond this (a large job) is given back.
const OUTPUT_KEEP_BYTES: usize = 256 << 10;

/// One connection's visit.
struct Visit {
    key: Key,
    part: Part,
    /// Bytes it took.
    taken: usize,
    /// When they were seen: see [`super::connection::Connection`].
    seen_us: u32,
    step: Step,
}

/// What was received together, and what became of it.
#[derive(Default)]
struct Batch {
    round: Round,
    visits: Vec<Visit>,
    /// One for each candidate of the round.
    outcomes: Vec<Result<(), Refusal>>,
}

/// A batch whose answers wait for the disk.
pub(super) struct Held {
    ticket: u64,
    batch: Batch,
    began: Instant,
}

/// The loop's memory for a round, kept from round to round.
pub(super) struct Desk {
    raw: Box<[u8]>,
    input: Vec<u8>,
    batch: Batch,
    solver: Solver,
    solved: Vec<Solved>,
    stored: Vec<bool>,
    pub(super) out: Vec<u8>,
    pub(super) wire: Vec<u8>,
}

impl Desk {
    pub(super) fn new(algorithm: Algorithm) -> Desk {
        Desk {
            raw: vec![0; READ_BYTES].into(),
            input: Vec::new(),
            batch: Batch::default(),
            solver: Solver::new(algorithm),
            solved: Vec::new(),
            stored: Vec::new(),
            out: Vec::new(),
            wire: Vec::new(),
        }
    }
}

impl Loop {
    /// Visits those that are ready, as many as a round holds.
    pub(super) fn round(&mut self, now: Timestamp) {
        if self.ready.is_empty() {
            return;
        }
        let mut batch = std::mem::take(&mut self.desk.batch);
        let Batch { round, visits, .. } = &mut batch;
        round.clear();
        visits.clear();
        let mut left = self.ready.begin();
        while let Some((key, each)) = self.ready.next(round.candidates.len(), &mut left) {
            let connection = self.connections.get_mut(key);
            let is_open = connection.as_ref().is_none_or(|c| c.transport.is_open());
            round.each_max = match connection {
                // Where hashing is slow others do not wait for one's parcel.
                Some(connection) if self.shared.hashers.are_wanted() => connection.hashes_max(),
                _ => each,
            };
            self.desk.input.clear();
            visits.extend(self.visit(key, now, round));
            left.spend(self.desk.input.len(), !is_open);
        }
        for refusal in round.refused.drain(..) {
            self.shared.tally.refuse(refusal);
        }
        let mut solved = std::mem::take(&mut self.desk.solved);
        solved.clear();
        self.solve(round, visits, &mut solved);
        self.desk.batch = self.finish(batch, &solved, now).unwrap_or_default();
        self.desk.solved = solved;
        if std::mem::take(&mut self.has_urgent) {
            // Where one processor does all, the next round would be made first.
            (self.give_way)();
        }
    }

    /// One read of one connection, into the round. `None` when there is nothing to answer now.
    fn visit(&mut self, key: Key, now: Timestamp, round: &mut Round) -> Option<Visit> {
        let connection = self.connections.get_mut(key)?;
        connection.queued = false;
        if !connection.is_ready() {
            return None;
        }
        if connection.behind
            && connection.may_be_told()
            && let Some(work) = self.work.clone()
        {
            self.give(key, &work, now);
        }
        let mut raw = std::mem::take(&mut self.desk.raw);
        let read = self.read(key, &mut raw);
        self.desk.raw = raw;
        if let Err(ended) = read {
            self.close(key, &ended);
            return None;
        }
        let visit = if self.shared.hashers.are_wanted() {
            self.receive_apart(key, now, round)
        } else {
            Some(self.receive(key, now, round)?)
        };
        self.enqueue(key);
        visit
    }

    /// What is unread, half said and new of a connection, into the desk's input.
    fn read(&mut self, key: Key, raw: &mut [u8]) -> Result<(), Ended> {
        let input = &mut self.desk.input;
        input.clear();
        let Some(connection) = self.connections.get_mut(key) else { return Ok(()) };
        input.extend_from_slice(&std::mem::take(&mut connection.partial));
        // What is there already comes first, so that it cannot pile up.
        if !connection.readable
            || connection.muted
            || (connection.stuffed && input.len() > limits::LINE_BYTES_MAX)
        {
            return Ok(());
        }
        match connection.read(raw) {
            Taken::Over(ended) => Err(ended),
            Taken::Nothing => Ok(()),
            Taken::Bytes(n) => {
                self.shared.tally.bytes_in.fetch_add(n as u64, Ordering::Relaxed);
                let wire = &mut self.desk.wire;
                wire.clear();
                let each = self.shared.per_address_max;
                let taken = connection.take_in(&raw[..n], input, wire, each);
                // An alert may say what was wrong.
                connection.send_raw(wire)?;
                taken
            }
        }
    }

    /// Lets the session receive the input, and keeps what it left.
    fn receive(&mut self, key: Key, now: Timestamp, round: &mut Round) -> Option<Visit> {
        let connection = self.connections.get_mut(key)?;
        let input = &self.desk.input;
        let (part, taken, step) = round.receive(&mut connection.session, input, now);
        let rest = input.get(taken..).unwrap_or_default();
        let count = part.candidates.1 - part.candidates.0;
        let is_full = count >= round.each_max;
        connection.taken = u8::try_from(count).unwrap_or(u8::MAX);
        connection.stuffed =
            !rest.is_empty() && (is_full || matches!(step, Step::Authorize { .. }));
        connection.partial = rest.into();
        if matches!(step, Step::Authorize { .. }) {
            connection.waiting = Waiting::ForLogin;
        }
        Some(Visit { key, part, taken, seen_us: connection.seen_us, step })
    }

    /// The same where hashing is slow: candidates go away in a parcel of their own.
    fn receive_apart(&mut self, key: Key, now: Timestamp, round: &mut Round) -> Option<Visit> {
        let (text, notes) = (round.text.len(), round.notes.len());
        let (candidates, refused) = (round.candidates.len(), round.refused.len());
        let visit = self.receive(key, now, round)?;
        let connection = self.connections.get_mut(key)?;
        let refused = round.refused.get(refused..).unwrap_or_default();
        refused.iter().for_each(|refusal| connection.note_refused(*refusal));
        if visit.part.candidates.0 == visit.part.candidates.1 {
            return Some(visit);
        }
        let mut own = Round {
            text: round.text.split_off(text),
            candidates: round.candidates.split_off(candidates),
            notes: round.notes.split_off(notes),
            ..Round::default()
        };
        for candidate in &mut own.candidates {
            candidate.reply_at -= text;
            candidate.note = (candidate.note.0 - notes, candidate.note.1 - notes);
        }
        let part = Part { text: (0, own.text.len()), candidates: (0, own.candidates.len()) };
        let connection = self.connections.get_mut(key)?;
        connection.waiting = Waiting::ForHashes;
        let (is_proven, is_new) = (connection.is_proven(), connection.is_new());
        let (from, is_unheard) = (connection.seat.address(), connection.is_unheard());
        // Who has brought something since is judged by that: a hash that is a share, sent late again and again, is not bad.
        let trust = if is_unheard { self.trust(&own.candidates, from, now) } else { None };
        self.has_urgent |= is_proven || trust.is_some();
        // It may wait long for its first turn.
        let solved = Vec::new();
        let post = self.parcel_home();
        let Visit { taken, seen_us, step, .. } = visit;
        let fault = None;
        let round = own;
        let parcel = Parcel {
            key,
            is_proven,
            is_new,
            trust,
            from,
            round,
            part,
            taken,
            seen_us,
            step,
            solved,
            fault,
            post,
        };
        self.parcels_out += 1;
        self.shared.hashers.take(parcel);
        None
    }

    /// A parcel came back.
    pub(super) fn hashed(&mut self, parcel: Parcel, now: Timestamp) {
        self.parcels_out = self.parcels_out.saturating_sub(1);
        let is_whole = parcel.left() == 0;
        let Parcel { key, from, trust, round, part, taken, seen_us, step, solved, fault, .. } =
            parcel;
        // Whether or not it has stayed to hear of it.
        if let Some(from) = from {
            for (Candidate { share, .. }, solved) in round.candidates.iter().zip(&solved) {
                if !share.class.target().is_met_by(&solved.pow_hash) {
                    self.shared.known.bad(share.machine, from);
                }
            }
        }
        // What is known now is known before more is taken on trust.
        drop(trust);
        let is_there = self.connections.get_mut(key).is_some();
        if !is_there || !is_whole || fault.is_some() {
            // Nobody judges them, but a block leaves.
            let all = round.candidates.iter().zip(&solved);
            all.for_each(|(candidate, solved)| self.send_found(candidate, solved));
        }
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(words) = fault {
            connection.session.break_off(words);
            return self.close(key, &Ended::ByUs(CloseReason::Fault));
        }
        if !is_whole {
            // This loop ends, and the connection with it.
            return;
        }
        connection.waiting = Waiting::No;
        let visits = vec![Visit { key, part, taken, seen_us, step }];
        self.finish(Batch { round, visits, outcomes: Vec::new() }, &solved, now);
        self.enqueue(key);
    }

    /// Judges, stores, answers, sends; `None` when the answers wait for the disk.
    fn finish(&mut self, mut batch: Batch, solved: &[Solved], now: Timestamp) -> Option<Batch> {
        let Batch { round, visits, outcomes } = &mut batch;
        outcomes.clear();
        self.assign(round);
        self.judge(round, visits, solved, now, outcomes);
        let began = Instant::now();
        let must_sync = self.store(round, outcomes);
        self.get_to_know(round, visits, outcomes, now);
        if let Some(end) = must_sync {
            self.hold(batch, began, end, now);
            return None;
        }
        self.answer(&mut batch, now, |_| true);
        Some(batch)
    }

    /// Of whom shares are that nothing is known of by their connection: a machine that is known, if they are all of it.
    fn trust(
        &self,
        candidates: &[Candidate],
        from: Option<IpAddr>,
        now: Timestamp,
    ) -> Option<Trust> {
        let machine = candidates.first()?.share.machine;
        let is_one = candidates.iter().all(|c| c.share.machine == machine);
        from.filter(|_| is_one)
            .and_then(|from| self.shared.known.trust(machine, from, candidates.len(), now))
    }

    /// Who has brought a good share where hashing is slow is no stranger when it comes again.
    fn get_to_know(
        &mut self,
        round: &Round,
        visits: &[Visit],
        outcomes: &[Result<(), Refusal>],
        now: Timestamp,
    ) {
        if !self.shared.hashers.are_wanted() {
            return;
        }
        for visit in visits {
            let (from, to) = visit.part.candidates;
            let Some(connection) = self.connections.get_mut(visit.key) else { continue };
            for (candidate, outcome) in round.candidates[from..to].iter().zip(&outcomes[from..to]) {
                connection.note_hashed(*outcome);
                if let (Ok(()), Some(address)) = (outcome, connection.seat.address()) {
                    self.shared.known.good(candidate.share.machine, address, now);
                }
            }
        }
    }

    /// Keeps a batch until the log is synced to `end`; who has no share in it is answered at once.
    fn hold(&mut self, mut batch: Batch, began: Instant, end: Position, now: Timestamp) {
        self.answer(&mut batch, now, |visit| visit.part.candidates.0 == visit.part.candidates.1);
        for visit in &batch.visits {
            if let Some(connection) = self.connections.get_mut(visit.key) {
                connection.waiting = Waiting::ForSync;
            }
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.held.push_back(Held { ticket, batch, began });
        let (log, post) = (self.shared.lane.share_log().clone(), self.own.clone());
        self.shared.runtime.spawn(async move {
            let outcome = log.synced(end).await;
            post.send(Command::Synced { ticket, outcome });
        });
    }

    /// A held batch's shares are on the disk, or the log has failed.
    pub(super) fn synced(&mut self, ticket: u64, outcome: &Result<(), LogError>, now: Timestamp) {
        let Some(place) = self.held.iter().position(|h| h.ticket == ticket) else { return };
        let Some(Held { mut batch, began, .. }) = self.held.remove(place) else { return };
        self.shared.tally.append(began.elapsed());
        if let Err(error) = outcome {
            self.complain(error);
            batch.outcomes.iter_mut().filter(|o| o.is_ok()).for_each(|o| *o = Err(NOT_STORED));
        }
        for visit in &batch.visits {
            if let Some(connection) = self.connections.get_mut(visit.key)
                && connection.waiting == Waiting::ForSync
            {
                connection.waiting = Waiting::No;
            }
        }
        self.answer(&mut batch, now, |_| true);
    }

    /// Answers and sends what is for these visits, and takes them out of the batch.
    fn answer(&mut self, batch: &mut Batch, now: Timestamp, which: impl Fn(&Visit) -> bool) {
        let Batch { round, visits, outcomes } = batch;
        let mut out = std::mem::take(&mut self.desk.out);
        for visit in visits.extract_if(.., |visit| which(visit)) {
            let Visit { key, part, taken, seen_us, step } = visit;
            self.tell(&outcomes[part.candidates.0..part.candidates.1]);
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let session = &mut connection.session;
            let own = &outcomes[part.candidates.0..part.candidates.1];
            let mut close = round.answer(session, part, own, &mut out);
            if let Step::Close(reason) = step {
                close = Some(reason);
            }
            // Nothing may come between a login and its answer.
            if !matches!(step, Step::Authorize { .. }) {
                session.settle(now, &mut out);
            }
            self.deliver(key, &mut out);
            if !own.is_empty() {
                self.shared.tally.answer(self.since(seen_us), own.len());
            }
            self.count(key, taken);
            match (step, close) {
                (_, Some(reason)) => self.close_after(key, reason),
                (Step::Authorize { user, password }, None) => self.look_up(key, user, password),
                _ => self.enqueue(key),
            }
        }
        out.shrink_to(OUTPUT_KEEP_BYTES);
        self.desk.out = out;
    }

    /// Gives the shares of machines that have changed hands to their owner in the job's epoch.
    fn assign(&self, round: &mut Round) {
        let machines = &self.shared.machines;
        if !machines.owners_change() {
            return;
        }
        for share in round.candidates.iter_mut().map(|c| &mut c.share) {
            share.owner = machines.owner_in(share.machine, share.epoch, share.owner);
        }
    }

    /// What each candidate is; blocks leave at once.
    fn judge(
        &mut self,
        round: &Round,
        visits: &[Visit],
        solved: &[Solved],
        now: Timestamp,
        outcomes: &mut Vec<Result<(), Refusal>>,
    ) {
        for visit in visits {
            let (from, to) = visit.part.candidates;
            let Some(connection) = self.connections.get_mut(visit.key) else {
                // It left while its shares were hashed: as if they had not come, but for a block.
                for (candidate, solved) in round.candidates[from..to].iter().zip(&solved[from..to])
                {
                    self.send_found(candidate, solved);
                    outcomes.push(Err(NOT_STORED));
                }
                continue;
            };
            for (candidate, solved) in round.candidates[from..to].iter().zip(&solved[from..to]) {
                let judged = connection.session.judge(candidate, solved, now);
                if let Some(block) = judged.block {
                    self.shared.lane.found(*block);
                }
                judged.aux.into_iter().for_each(|block| self.shared.lane.found_aux(block));
                let own = if is_own(candidate) { Ok(()) } else { Err(NOT_OWN) };
                outcomes.push(judged.verdict.and(own));
            }
        }
    }

    /// Sends what is a block in a share that nobody judges any more.
    fn send_found(&self, candidate: &Candidate, solved: &Solved) {
        if let Some(block) = block_in(candidate, solved) {
            self.shared.lane.found(*block);
        }
        let aux = aux_in(candidate, solved);
        aux.into_iter().for_each(|block| self.shared.lane.found_aux(block));
    }

    /// Hashes a round's candidates. Should that panic, each connection's alone: whose it is, is broken
    /// off, and nobody else's shares are lost.
    fn solve(&mut self, round: &Round, visits: &[Visit], solved: &mut Vec<Solved>) {
        let solver = &mut self.desk.solver;
        if caught(|| solver.solve(&round.candidates, solved)).is_ok() {
            return;
        }
        solved.clear();
        for visit in visits {
            let (from, to) = visit.part.candidates;
            self.desk.solver = Solver::new(self.shared.lane.algorithm());
            let solver = &mut self.desk.solver;
            if let Err(words) = caught(|| solver.solve(&round.candidates[from..to], solved)) {
                solved.truncate(from);
                solved.resize(to, Solved::NOTHING);
                if let Some(connection) = self.connections.get_mut(visit.key) {
                    connection.session.break_off(words);
                }
            }
        }
    }

    /// Writes the good shares of the round to the log; gives the place up to which it must be synced
    /// before they may be answered.
    fn store(&mut self, round: &Round, outcomes: &mut [Result<(), Refusal>]) -> Option<Position> {
        if !outcomes.is_empty() {
            self.shared.tally.round(outcomes.len());
        }
        let good = || {
            let all = round.candidates.iter().zip(outcomes.iter());
            all.filter(|(_, outcome)| outcome.is_ok()).map(|(candidate, _)| &candidate.share)
        };
        good().next()?;
        let begun = Instant::now();
        let log = self.shared.lane.share_log();
        let stored = &mut self.desk.stored;
        let written = log.append_shares(good(), stored);
        let waits = log.durability() == Durability::Fsync && stored.contains(&true);
        if !waits {
            self.shared.tally.append(begun.elapsed());
        }
        if let Err(error) = &written {
            self.complain(error);
        }
        let mut answers = self.desk.stored.iter();
        for outcome in outcomes.iter_mut().filter(|o| o.is_ok()) {
            *outcome = match (&written, answers.next()) {
                (Ok(_), Some(true)) => Ok(()),
                (Ok(_), Some(false)) => Err(SEALED),
                _ => Err(NOT_STORED),
            };
        }
        written.ok().filter(|_| waits)
    }

    /// Counts what became of a round's shares.
    fn tell(&self, outcomes: &[Result<(), Refusal>]) {
        let tally = &self.shared.tally;
        let mut accepted = 0;
        for outcome in outcomes {
            match outcome {
                Ok(()) => accepted += 1,
                Err(refusal) => tally.refuse(*refusal),
            }
        }
        if accepted > 0 {
            tally.accept(accepted);
        }
    }

    /// Once a second for all connections together: a full disk must not fill another with
    /// complaints.
    fn complain(&self, error: &LogError) {
        let second = self.shared.clock.now().secs();
        if self.shared.complained_at.swap(second, Ordering::Relaxed) != second {
            tracing::error!(%error, "shares are refused: the log cannot take them");
        }
    }
}
