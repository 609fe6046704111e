//! One thread's loop: what happened on the sockets, what others ask, what time brings; then a round.
//!
//! Nothing here waits but for the poll: logins are looked up on the runtime and slow hashes made on
//! threads of their own; both come back as a [`Command`] with the key of the connection, which
//! means nothing any more if the connection has gone.

mod commands;
mod jobs;

use commands::Look;
pub(super) use commands::{Command, Post};

use super::arriving::Listener;
use super::connection::{Connection, Ended};
use super::handover::{Leaving, Patience};
use super::hashers::Hashers;
use super::known::Known;
use super::registry::Registry;
use super::round::{Desk, Held};
use super::slab::{Key, Slab};
use super::tally::Tally;
use super::turns::Turns;
use crate::limits;
use crate::machines::Machines;
use crate::protocol::{Lane, Notice, Protocol as _, Work};
use crate::session::{CloseReason, SessionRules};
use crate::start_classes::StartClasses;
use gruve_units::{Clock, Timestamp};
use jobs::Giving;
use mio::{Events, Interest, Poll, Token, Waker};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// Every connection is looked after about once a second, a fiftieth of them at a time: half a microsecond
/// each, so that of twenty thousand nobody waits longer than for a round.
const TICK: Duration = Duration::from_millis(20);
const TICKS_A_SECOND: usize = 50;

/// Events taken from the kernel at a time; more stay there.
const EVENTS: usize = 1024;

/// How often a loop that leaves looks whether all is done.
const LEAVING_LOOK: Duration = Duration::from_millis(5);

/// What miners read when the gateway stops.
const STOPPING: &str = "Gruve stops";

const WAKE: Token = Token(usize::MAX);

/// The listeners' tokens count down from here; keys never come this far.
const LISTENERS: usize = usize::MAX - 1;

/// What all connections of a gateway share.
pub(super) struct Shared {
    pub(super) rules: Arc<SessionRules>,
    pub(super) registry: Arc<Registry>,
    /// Where hashing is slow.
    pub(super) known: Arc<Known>,
    pub(super) tally: Tally,
    pub(super) hashers: Hashers,
    pub(super) lane: Arc<dyn Lane>,
    pub(super) machines: Arc<dyn Machines>,
    pub(super) classes: Arc<StartClasses>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) runtime: tokio::runtime::Handle,
    /// One permit a login being looked up.
    pub(super) logins: Arc<Semaphore>,
    /// Where the lane is of the Ethash family.
    pub(super) ethash: Option<crate::eth::Sessions>,
    /// Where the operator says that each listener is reached.
    pub(super) doors: Vec<Option<(Arc<str>, u16)>>,
    pub(super) all_max: usize,
    pub(super) per_address_max: usize,
    pub(super) per_account_max: usize,
    pub(super) write_max: Duration,
    /// The second in which a failing log was last complained about.
    pub(super) complained_at: AtomicI64,
}

/// One thread's loop.
pub(super) struct Loop {
    pub(super) shared: Arc<Shared>,
    pub(super) poll: Poll,
    pub(super) own: Post,
    commands: mpsc::Receiver<Command>,
    /// This loop's number among them.
    pub(super) number: usize,
    pub(super) all: Vec<Post>,
    pub(super) next: usize,
    pub(super) listeners: Vec<Listener>,
    /// No accepting before.
    pub(super) accept_from: Option<Instant>,
    pub(super) connections: Slab<Connection>,
    /// Who is to be visited, in turn.
    pub(super) ready: Turns,
    jobs: watch::Receiver<Option<Work>>,
    pub(super) work: Option<Work>,
    /// Numbers the changes of jobs.
    pub(super) jobs_change: u32,
    /// How far the newest jobs have been given, while they are.
    giving: Option<Giving>,
    /// When those jobs were made; `None` when what is given is no new job.
    giving_since: Option<Instant>,
    begun: Instant,
    /// When this turn of the loop began.
    pub(super) turned_at: Instant,
    ticked_at: Instant,
    tick_from: usize,
    /// Asked to leave: nothing new is begun.
    pub(super) leaving: Option<Leaving>,
    /// Asked to end, and how soon: what is being hashed may be a block, and who sent what is being synced is to
    /// hear of it.
    pub(super) stopping: Option<Patience>,
    /// Parcels in the hashing threads.
    pub(super) parcels_out: usize,
    /// Of who mines, one went there in this round.
    pub(super) has_urgent: bool,
    /// Lets others have this processor.
    pub(super) give_way: Box<dyn Fn() + Send>,
    /// Who wants to see the sessions, in turn.
    looks: VecDeque<Look>,
    pub(super) desk: Desk,
    /// Rounds whose shares are being synced, oldest first.
    pub(super) held: VecDeque<Held>,
    /// Numbers them.
    pub(super) next_ticket: u64,
}

impl Loop {
    pub(super) fn new(shared: Arc<Shared>) -> std::io::Result<Loop> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let (sender, commands) = mpsc::channel();
        let desk = Desk::new(shared.lane.algorithm());
        let mut jobs = shared.lane.jobs();
        jobs.mark_changed();
        Ok(Loop {
            own: Post { commands: sender, waker },
            jobs,
            shared,
            poll,
            commands,
            number: 0,
            all: Vec::new(),
            next: 0,
            listeners: Vec::new(),
            accept_from: None,
            connections: Slab::new(),
            ready: Turns::default(),
            work: None,
            jobs_change: 0,
            giving: None,
            giving_since: None,
            begun: Instant::now(),
            turned_at: Instant::now(),
            ticked_at: Instant::now(),
            tick_from: 0,
            leaving: None,
            stopping: None,
            parcels_out: 0,
            has_urgent: false,
            give_way: Box::new(std::thread::yield_now),
            looks: VecDeque::new(),
            desk,
            held: VecDeque::new(),
            next_ticket: 0,
        })
    }

    pub(super) fn post(&self) -> Post {
        self.own.clone()
    }

    pub(super) fn deal_to(&mut self, number: usize, all: Vec<Post>) {
        (self.number, self.next, self.all) = (number, number, all);
    }

    pub(super) fn listen(&mut self, listeners: Vec<Listener>) -> std::io::Result<()> {
        for (n, mut listener) in listeners.into_iter().enumerate() {
            let token = Token(LISTENERS - n);
            self.poll.registry().register(&mut listener.socket, token, Interest::READABLE)?;
            self.listeners.push(listener);
        }
        Ok(())
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) {
        // Blocks are sent by tasks of the runtime.
        let runtime = self.shared.runtime.clone();
        let _entered = runtime.enter();
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.shared.tally.worked(self.number, self.turned_at.elapsed());
            if let Err(error) = self.poll.poll(&mut events, Some(self.may_sleep()))
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                tracing::error!(%error, "a gateway's loop cannot poll: it ends");
                break;
            }
            self.turned_at = Instant::now();
            for event in &events {
                self.note(event);
            }
            let now = self.shared.clock.now();
            self.take_jobs();
            self.obey(now);
            if let Some(patience) = self.stopping {
                let has_shares = self.has_shares_out();
                if !has_shares || patience.is_over(Instant::now(), has_shares) {
                    self.end_hashing(now);
                    break;
                }
                continue;
            }
            if self.leaving.is_some() {
                if self.may_leave() {
                    return self.leave();
                }
                continue;
            }
            self.give_jobs(now);
            self.round(now);
            self.accept(now);
            self.show(now);
            self.tick(now);
        }
        for place in 0..self.connections.places() {
            if let Some(key) = self.connections.at(place) {
                self.tell_one(key, &Notice::Message(STOPPING.into()));
                self.close(key, &Ended::Shutdown);
            }
        }
    }

    fn may_sleep(&self) -> Duration {
        if self.leaving.is_some() || self.stopping.is_some() {
            return LEAVING_LOOK;
        }
        let busy = !self.ready.is_empty()
            || self.giving.is_some()
            || !self.looks.is_empty()
            || (self.accept_from.is_none() && self.listeners.iter().any(|l| l.waiting));
        if busy { Duration::ZERO } else { TICK.saturating_sub(self.ticked_at.elapsed()) }
    }

    fn note(&mut self, event: &mio::event::Event) {
        let token = event.token();
        if token == WAKE {
            return;
        }
        if let Some(listener) =
            LISTENERS.checked_sub(token.0).and_then(|n| self.listeners.get_mut(n))
        {
            listener.waiting = true;
            return;
        }
        let key = Key::of_token(token);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if event.is_readable() || event.is_read_closed() || event.is_error() {
            connection.readable = true;
            connection.hung_up |= event.is_read_closed() || event.is_error();
        }
        if event.is_writable() && connection.unsent_since().is_some() {
            let flushed = connection.flush();
            self.after_flush(key, flushed);
        }
        self.enqueue(key);
    }

    fn after_flush(&mut self, key: Key, flushed: Result<bool, Ended>) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        match (flushed, connection.closing) {
            (Err(ended), _) => self.close(key, &ended),
            (Ok(true), Some(reason)) => self.close(key, &Ended::ByUs(reason)),
            (Ok(_), _) => {}
        }
    }

    /// Puts a connection in the line, if there is something to do for it.
    pub(super) fn enqueue(&mut self, key: Key) {
        if let Some(connection) = self.connections.get_mut(key)
            && !connection.queued
            && connection.is_ready()
        {
            connection.queued = true;
            connection.seen_us = micros(self.begun, self.turned_at);
            self.ready.push(key, connection.standing());
        }
    }

    /// Ends a connection.
    pub(super) fn close(&mut self, key: Key, ended: &Ended) {
        let now = self.shared.clock.now();
        let Some(connection) = self.connections.get_mut(key) else { return };
        self.shared.remember(connection, true, now);
        let Some(mut connection) = self.connections.remove(key) else { return };
        self.shared.tally.end(connection.kind, ended);
        if let Some(fault) = connection.session.fault() {
            self.shared.registry.note_fault();
            tracing::error!(lane = %self.shared.lane.id(), peer = %connection.peer, fault,
                "a bug in Gruve ended a miner's connection; no other is hurt; please report it");
        }
        tracing::debug!(peer = %connection.peer, %ended, "a miner's connection ended");
        if ended.is_hostile() {
            connection.seat.mark(now);
        }
        let mut wire = std::mem::take(&mut self.desk.wire);
        wire.clear();
        connection.transport.close(&mut wire);
        // The peer may be gone already.
        let _ = connection.send_raw(&wire);
        self.desk.wire = wire;
        connection.shut();
        let _ = self.poll.registry().deregister(connection.stream());
    }

    /// Sends what is in `out`, which is given back empty; ends the connection where that fails.
    pub(super) fn deliver(&mut self, key: Key, out: &mut Vec<u8>) {
        self.shared.tally.bytes_out.fetch_add(out.len() as u64, Ordering::Relaxed);
        if let Some(connection) = self.connections.get_mut(key) {
            let sent = connection.send(out, &mut self.desk.wire);
            match sent {
                Err(ended) => self.close(key, &ended),
                Ok(()) if connection.session.fault().is_some() => {
                    self.close(key, &Ended::ByUs(CloseReason::Fault));
                }
                Ok(()) => {}
            }
        }
        out.clear();
    }

    /// Says something to one miner, where it may be said; whether it was.
    pub(super) fn tell_one(&mut self, key: Key, notice: &Notice) -> bool {
        let Some(connection) = self.connections.get_mut(key) else { return false };
        if !connection.may_be_told() {
            return false;
        }
        let mut out = std::mem::take(&mut self.desk.out);
        connection.session.tell(notice, &mut out);
        let is_told = !out.is_empty();
        self.deliver(key, &mut out);
        self.desk.out = out;
        is_told
    }

    /// Closes once everything is sent.
    pub(super) fn close_after(&mut self, key: Key, reason: CloseReason) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if connection.unsent_since().is_none() {
            self.close(key, &Ended::ByUs(reason));
        } else {
            connection.closing = Some(reason);
        }
    }

    /// Lets time pass for the next fiftieth of the connections.
    fn tick(&mut self, now: Timestamp) {
        if self.ticked_at.elapsed() < TICK {
            return;
        }
        self.ticked_at = Instant::now();
        let places = self.connections.places();
        for _ in 0..places.div_ceil(TICKS_A_SECOND) {
            let place = self.tick_from;
            self.tick_from = (place + 1) % places;
            if let Some(key) = self.connections.at(place) {
                self.tick_one(key, now);
            }
        }
        self.tick_from %= places.max(1);
    }

    fn tick_one(&mut self, key: Key, now: Timestamp) {
        let now_us = micros(self.begun, self.turned_at);
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Some(since) = connection.unsent_since() {
            if since.elapsed() > self.shared.write_max {
                self.close(key, &Ended::ByUs(CloseReason::SlowReader));
            }
            return;
        }
        connection.refill(now_us);
        if connection.rests() {
            return;
        }
        let Shared { all_max, per_account_max, per_address_max, rules, .. } = &*self.shared;
        let patience = if connection.is_in { limits::UNPROVEN_MAX } else { rules.handshake_max };
        if now.since(connection.connected_at) > patience
            && connection.seat.crowds(*all_max, *per_account_max, *per_address_max)
        {
            return self.close(key, &Ended::Unproven);
        }
        self.shared.remember(connection, false, now);
        let mut out = std::mem::take(&mut self.desk.out);
        let close = connection.session.tick(now, &mut out);
        self.deliver(key, &mut out);
        self.desk.out = out;
        match close {
            Some(reason) => self.close_after(key, reason),
            // It may have been muted.
            None => self.enqueue(key),
        }
    }

    /// Counts what a session has accepted and refused since the last time.
    pub(super) fn count(&mut self, key: Key, bytes: usize) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        let (accepted, rejected) = connection.session.counts();
        let (before_accepted, before_rejected) = connection.told;
        connection.told = (accepted, rejected);
        // A session that broke counts nothing any more.
        let accepted = accepted.saturating_sub(before_accepted);
        connection.charge(bytes, accepted);
        if accepted > 0 {
            connection.seat.mines();
        }
        self.shared.registry.count(accepted, rejected.saturating_sub(before_rejected));
    }

    /// How long ago that was.
    pub(super) fn since(&self, seen_us: u32) -> Duration {
        let now = micros(self.begun, Instant::now());
        Duration::from_micros(u64::from(now.wrapping_sub(seen_us)))
    }

    pub(super) fn parcel_home(&self) -> Post {
        self.own.clone()
    }
}

/// Microseconds from one moment to another; they wrap after 71 minutes.
fn micros(from: Instant, to: Instant) -> u32 {
    let all = to.saturating_duration_since(from).as_micros();
    u32::try_from(all & u128::from(u32::MAX)).unwrap_or(0)
}

impl Shared {
    /// Keeps what was found out about machines for the next time they connect: what is new, or all.
    fn remember(&self, connection: &mut Connection, all: bool, now: Timestamp) {
        connection.session.found(all, &mut |machine, class| {
            self.classes.note(machine, class, now);
        });
    }
}

#[cfg(test)]
pub(super) mod tests;
