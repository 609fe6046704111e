//! What others ask of a loop, and how they reach it.

use super::Loop;
use crate::gateway::SessionInfo;
use crate::gateway::arriving::Arrival;
use crate::gateway::handover::{KeptConnection, Leaving, Left, Patience};
use crate::gateway::hashers::Parcel;
use crate::gateway::slab::Key;
use crate::limits;
use crate::machines::Refused;
use crate::protocol::{Admitted, Notice, Protocol as _};
use gruve_sharelog::LogError;
use gruve_units::Timestamp;
use mio::Waker;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Instant;

/// What a loop is asked to do by others.
pub(in super::super) enum Command {
    /// Serve this connection.
    Serve(Arrival),
    /// A login was looked up.
    LoggedIn { key: Key, outcome: Result<Admitted, Refused>, password: String },
    /// Candidates were hashed.
    Hashed(Box<Parcel>),
    /// A round's shares are on the disk, or will never be.
    Synced { ticket: u64, outcome: Result<(), LogError> },
    /// Tell the sessions.
    Snapshot(mpsc::Sender<Vec<SessionInfo>>),
    /// Say something to all, or to those of one login; and to how many it was said.
    Tell { text: Arc<str>, to: Option<Arc<str>>, told: mpsc::Sender<usize> },
    /// Go on with this connection of an earlier program.
    Resume(KeptConnection),
    /// Set everything aside and end.
    Leave(mpsc::Sender<Left>),
    /// End everything.
    Stop,
}

/// Somebody who wants to see the sessions, and how many places he has been shown.
pub(in super::super) struct Look {
    answer: mpsc::Sender<Vec<SessionInfo>>,
    at: usize,
}

/// How others reach a loop.
#[derive(Clone)]
pub(in super::super) struct Post {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) waker: Arc<Waker>,
}

impl Post {
    /// A loop that has ended needs no commands.
    pub(in super::super) fn send(&self, command: Command) {
        let _ = self.offer(command);
    }

    /// Gives a command back to who can obey it himself, if the loop has ended.
    #[allow(clippy::result_large_err)]
    pub(in super::super) fn offer(&self, command: Command) -> Result<(), Command> {
        self.commands.send(command).map_err(|mpsc::SendError(command)| command)?;
        self.wake();
        Ok(())
    }

    pub(in super::super) fn wake(&self) {
        if let Err(error) = self.waker.wake() {
            tracing::error!(%error, "a gateway's loop cannot be woken");
        }
    }
}

impl Loop {
    pub(super) fn obey(&mut self, now: Timestamp) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Serve(arrival) => self.serve(arrival, now),
                Command::LoggedIn { key, outcome, password } => {
                    self.logged_in(key, outcome, &password, now);
                }
                Command::Hashed(parcel) => self.hashed(*parcel, now),
                Command::Synced { ticket, outcome } => self.synced(ticket, &outcome, now),
                Command::Snapshot(answer) => self.looks.push_back(Look { answer, at: 0 }),
                Command::Tell { text, to, told } => {
                    // Whoever asked may have stopped waiting.
                    let _ = told.send(self.tell_those(&text, to.as_deref(), now));
                }
                Command::Resume(kept) => self.resume(kept, now),
                Command::Leave(to) => {
                    self.shared.hashers.hurry();
                    self.leaving = Some(Leaving::new(to, Instant::now()));
                }
                Command::Stop => {
                    self.shared.hashers.hurry();
                    self.stopping = Some(Patience::from(Instant::now()));
                }
            }
        }
    }

    /// Takes up connections that were dealt to this loop while it left, and what was hashed meanwhile.
    pub(in super::super) fn take_last(&mut self, now: Timestamp) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Serve(arrival) => self.serve(arrival, now),
                Command::Hashed(parcel) => self.hashed(*parcel, now),
                _ => {}
            }
        }
    }

    /// Tells the next some hundred sessions to who has asked for them longest: all at once would keep
    /// shares waiting, milliseconds for thousands.
    pub(super) fn show(&mut self, now: Timestamp) {
        let Some(mut look) = self.looks.pop_front() else { return };
        let to = self.connections.places().min(look.at + limits::SESSIONS_TOLD_PER_ROUND_MAX);
        // Whoever asked may have stopped waiting.
        let is_heard = look.answer.send(self.sessions(look.at..to, now)).is_ok();
        look.at = to;
        if is_heard && to < self.connections.places() {
            self.looks.push_front(look);
        }
    }

    fn sessions(&mut self, places: Range<usize>, now: Timestamp) -> Vec<SessionInfo> {
        let lane = self.shared.lane.id();
        let mut all = Vec::new();
        for place in places {
            let Some(key) = self.connections.at(place) else { continue };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let standing = connection.session.standing(now);
            let Some(who) = standing.who else { continue };
            all.push(SessionInfo {
                lane: lane.clone(),
                machine: who.machine,
                owner: who.owner,
                user: standing.user,
                peer: connection.peer,
                user_agent: standing.agent,
                class: standing.class,
                connected_at: connection.connected_at,
                last_share_at: standing.last_share_at,
                accepted: standing.accepted,
                rejected: standing.rejected,
                hashrate_estimate: standing.hashrate,
            });
        }
        all
    }

    /// Says something to all miners, or to those of one login; gives to how many.
    fn tell_those(&mut self, text: &Arc<str>, to: Option<&str>, now: Timestamp) -> usize {
        let notice = Notice::Message(Arc::clone(text));
        let mut count = 0;
        for place in 0..self.connections.places() {
            let Some(key) = self.connections.at(place) else { continue };
            let Some(connection) = self.connections.get_mut(key) else { continue };
            let is_meant = to.is_none_or(|to| connection.session.standing(now).user == to);
            count += usize::from(is_meant && self.tell_one(key, &notice));
        }
        count
    }
}
