//! Leaving and coming back: sockets and sessions for the program that takes this one's place.
//!
//! Connections are set aside between two messages: nothing more is read, what was read is
//! answered, and then socket, session and unread bytes are given away together. Bytes that arrive
//! meanwhile wait in the kernel. Connections that cannot go on (encrypted ones, whose keys do not
//! leave the process, and slow readers) are closed; what they had accepted is in the log.
//!
//! What has been taken is hashed first: any share may solve a block, and nobody hashes it again.

use super::connection::{Connection, Ended, Waiting};
use super::guarded::Guarded;
use super::serving::Loop;
use super::slab::Key;
use crate::limits;
use crate::protocol::{Notice, Protocol as _};
use crate::session::Session;
use crate::transport::Transport;
use gruve_units::Timestamp;
use serde::{Deserialize, Serialize};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// How long logins under way may take before their connection is closed; for shares see
/// [`limits::HASHED_OUT_MAX`].
pub(super) const LEAVING_MAX: Duration = Duration::from_secs(2);

/// What miners read that have to connect again.
const RESTARTING: &str = "Gruve restarts: please connect again";

/// A connection set aside: its socket, and what to do with it.
#[derive(Debug)]
pub struct KeptConnection {
    /// The miner's socket.
    pub socket: TcpStream,
    /// The session; only another gateway can read it.
    pub paper: Vec<u8>,
}

/// What a gateway leaves behind.
#[derive(Debug, Default)]
pub struct HandOver {
    /// The listening sockets, in the order of the options.
    pub listeners: Vec<TcpListener>,
    /// Miners that go on.
    pub connections: Vec<KeptConnection>,
    /// Where the next gateway goes on to count, so that no extranonce is given twice.
    pub next_extranonce: u32,
}

/// What one loop leaves.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub(super) listeners: Vec<TcpListener>,
    pub(super) connections: Vec<KeptConnection>,
}

/// How long what is under way may still take where a loop is about to end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    logins: Instant,
    shares: Instant,
}

impl Patience {
    /// Of a loop that was asked at that moment.
    pub(super) fn from(asked: Instant) -> Patience {
        Patience { logins: asked + LEAVING_MAX, shares: asked + limits::HASHED_OUT_MAX }
    }

    /// Whether nothing more is waited for, though it is not done.
    pub(super) fn is_over(self, now: Instant, has_shares: bool) -> bool {
        now >= if has_shares { self.shares } else { self.logins }
    }
}

/// A loop that is asked to leave.
pub(super) struct Leaving {
    to: mpsc::Sender<Left>,
    patience: Patience,
}

impl Leaving {
    pub(super) fn new(to: mpsc::Sender<Left>, asked: Instant) -> Leaving {
        Leaving { to, patience: Patience::from(asked) }
    }
}

#[derive(Serialize, Deserialize)]
struct Paper {
    peer: SocketAddr,
    connected_at: Timestamp,
    partial: Box<[u8]>,
    session: Vec<u8>,
}

impl Loop {
    /// Whether everything under way has ended, or must.
    pub(super) fn may_leave(&mut self) -> bool {
        let Some(leaving) = &self.leaving else { return false };
        let patience = leaving.patience;
        patience.is_over(Instant::now(), self.has_shares_out())
            || (self.parcels_out == 0
                && self.connections.values_mut().all(|c| c.waiting == Waiting::No))
    }

    /// Whether shares that were taken are hashed or synced still.
    pub(super) fn has_shares_out(&self) -> bool {
        self.parcels_out > 0 || !self.held.is_empty()
    }

    /// The last of what came: connections that were dealt to this loop, and hashes, for which there is no more time.
    pub(super) fn end_hashing(&mut self, now: Timestamp) {
        if self.parcels_out > 0 {
            tracing::warn!(
                parcels = self.parcels_out,
                "shares are left unhashed: it took too long"
            );
            self.shared.hashers.end();
        }
        self.take_last(now);
    }

    /// Gives everything away that can go on, and closes the rest.
    pub(super) fn leave(&mut self) {
        let Some(leaving) = self.leaving.take() else { return };
        let mut left = Left { listeners: self.release_listeners(), ..Left::default() };
        self.end_hashing(self.shared.clock.now());
        for place in 0..self.connections.places() {
            let Some(key) = self.connections.at(place) else { continue };
            let Some(paper) = self.connections.get_mut(key).and_then(paper) else {
                self.send_back(key, place);
                continue;
            };
            left.connections.extend(self.release(key).map(|s| KeptConnection { socket: s, paper }));
        }
        // Whoever asked may have stopped waiting: then all of it closes.
        let _ = leaving.to.send(left);
    }

    /// Closes a connection that cannot be kept, and asks its miner to come back to the same place.
    fn send_back(&mut self, key: Key, place: usize) {
        if let Some(connection) = self.connections.get_mut(key) {
            let to = self.shared.doors.get(usize::from(connection.door)).cloned().flatten();
            // They come one after the other, or the new program would meet all at once.
            let after_secs = 1 + u32::try_from(place).unwrap_or(0) % limits::COME_BACK_SPREAD_SECS;
            self.tell_one(key, &Notice::Message(RESTARTING.into()));
            self.tell_one(key, &Notice::ComeBack { to, after_secs });
        }
        self.close(key, &Ended::Shutdown);
    }

    /// Takes a connection's socket out of the loop, open as it is.
    fn release(&mut self, key: Key) -> Option<TcpStream> {
        let mut connection = self.connections.remove(key)?;
        self.poll.registry().deregister(connection.stream()).ok()?;
        Some(to_std(connection.into_stream()))
    }

    /// Takes the listening sockets out of the loop.
    fn release_listeners(&mut self) -> Vec<TcpListener> {
        let mut all = Vec::new();
        for mut listener in self.listeners.drain(..) {
            // What cannot be taken out of a poll that ends is out of it anyway.
            let _ = self.poll.registry().deregister(&mut listener.socket);
            all.push(to_std(listener.socket));
        }
        all
    }

    /// Goes on with a connection of an earlier program.
    pub(super) fn resume(&mut self, kept: KeptConnection, now: Timestamp) {
        let Ok(paper) = postcard::from_bytes::<Paper>(&kept.paper) else {
            tracing::warn!("a connection's papers cannot be read: it is closed");
            return;
        };
        let rules = Arc::clone(&self.shared.rules);
        let Some(session) = Session::resume(rules, &paper.session, now) else {
            tracing::warn!(peer = %paper.peer, "a session's papers cannot be read: it is closed");
            return;
        };
        let Some(mut seat) = self.shared.registry.seat(
            paper.peer.ip(),
            self.shared.all_max,
            self.shared.per_address_max,
            now,
        ) else {
            return;
        };
        let each = self.shared.per_account_max;
        if !session.owners().all(|owner| seat.claim(owner, each)) {
            return;
        }
        let stream = mio::net::TcpStream::from_std(kept.socket);
        let mut connection = Connection::new(
            stream,
            paper.peer,
            seat,
            Guarded::Sound(Box::new(session)),
            Transport::Plain,
            paper.connected_at,
        );
        connection.told = connection.session.counts();
        if connection.told != (0, 0) {
            connection.end_newness();
        }
        if connection.told.0 > 0 {
            connection.seat.mines();
        }
        connection.is_in = connection.session.standing(now).who.is_some();
        connection.stuffed = !paper.partial.is_empty();
        connection.partial = paper.partial;
        // It may have sent something while nobody listened.
        connection.readable = true;
        connection.behind = self.work.is_some();
        if let Some(key) = self.register(connection) {
            self.enqueue(key);
        }
    }
}

/// The papers of a connection that can go on.
fn paper(connection: &mut Connection) -> Option<Vec<u8>> {
    if connection.rests()
        || connection.header.is_some()
        || !matches!(connection.transport, Transport::Plain)
    {
        return None;
    }
    let paper = Paper {
        peer: connection.peer,
        connected_at: connection.connected_at,
        partial: connection.partial.clone(),
        session: connection.session.keep()?,
    };
    postcard::to_allocvec(&paper).ok()
}

/// A socket of the loop as one of the standard library.
fn to_std<T: From<OwnedFd>>(socket: impl Into<OwnedFd>) -> T {
    T::from(socket.into())
}
