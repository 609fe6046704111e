//! How connections come in: accepted, counted, dealt out, logged in.

use super::connection::{Connection, Ended, Waiting};
use super::guarded::Guarded;
use super::registry::Seat;
use super::serving::{Command, Loop, Shared};
use super::slab::Key;
use super::tally::{Kind, LoginOutcome};
use super::{ListenKind, Listening};
use crate::limits;
use crate::machines::Refused;
use crate::protocol::{Admitted, Protocol};
use crate::proxy::TrustedNetworks;
use crate::session::Session;
use crate::transport::{Transport, TransportError};
use crate::v2;
use gruve_units::Timestamp;
use mio::Interest;
use mio::net::{TcpListener, TcpStream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The pause after a failed accept (usually: no file handles left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a login may be looked up.
const AUTHORIZE_MAX: Duration = Duration::from_secs(15);

/// A connection to be served.
pub(super) struct Arrival {
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    kind: ListenKind,
    /// The listener's number.
    door: u16,
    /// It begins with a proxy's header.
    is_proxied: bool,
}

/// A listening socket.
pub(super) struct Listener {
    pub(super) socket: TcpListener,
    kind: ListenKind,
    proxies: Option<TrustedNetworks>,
    /// There may be connections to accept.
    pub(super) waiting: bool,
}

impl Listener {
    pub(super) fn new(listening: Listening) -> std::io::Result<Listener> {
        listening.listener.set_nonblocking(true)?;
        // Connections take the buffer's size from here.
        let size = limits::SEND_BUFFER_BYTES;
        rustix::net::sockopt::set_socket_send_buffer_size(&listening.listener, size)?;
        // Longer than the standard library's, for storms; the kernel has its own bound.
        rustix::net::listen(&listening.listener, limits::BACKLOG)?;
        let socket = TcpListener::from_std(listening.listener);
        let Listening { kind, proxies, .. } = listening;
        Ok(Listener { socket, kind, proxies, waiting: true })
    }

    pub(super) fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Loop {
    /// Takes some of the connections that wait.
    pub(super) fn accept(&mut self, now: Timestamp) {
        if self.accept_from.is_some_and(|from| Instant::now() < from) {
            return;
        }
        self.accept_from = None;
        let mut left = limits::ACCEPTS_PER_ROUND_MAX;
        for n in 0..self.listeners.len() {
            while left > 0 && self.listeners[n].waiting {
                left -= 1;
                match self.listeners[n].socket.accept() {
                    Ok((stream, peer)) => self.seat(stream, peer, n, now),
                    Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {
                        self.listeners[n].waiting = false;
                    }
                    Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a miner's connection");
                        self.accept_from = Some(Instant::now() + ACCEPT_PAUSE);
                        return;
                    }
                }
            }
        }
    }

    fn seat(&mut self, stream: TcpStream, peer: SocketAddr, listener: usize, now: Timestamp) {
        let Shared { registry, all_max, per_address_max, .. } = &*self.shared;
        let Listener { kind, proxies, .. } = &self.listeners[listener];
        let seat = match proxies {
            None => registry.seat(peer.ip(), *all_max, *per_address_max, now),
            Some(proxies) => match proxies.admit(peer.ip()) {
                Ok(()) => registry.seat_behind(*all_max),
                Err(error) => {
                    tracing::debug!(%peer, %error, "a connection is not taken");
                    registry.turn_away("proxy");
                    None
                }
            },
        };
        let Some(seat) = seat else { return };
        // There are a few listeners.
        let door = u16::try_from(listener).unwrap_or(0);
        let arrival =
            Arrival { stream, peer, seat, kind: kind.clone(), door, is_proxied: proxies.is_some() };
        self.next = (self.next + 1) % self.all.len().max(1);
        match self.all.get(self.next) {
            // One that has left serves nobody any more.
            Some(other) if self.next != self.number => {
                if let Err(Command::Serve(arrival)) = other.offer(Command::Serve(arrival)) {
                    self.serve(arrival, now);
                }
            }
            _ => self.serve(arrival, now),
        }
    }

    /// Begins to serve a connection that was dealt to this loop.
    pub(super) fn serve(&mut self, arrival: Arrival, now: Timestamp) {
        let Arrival { stream, peer, seat, kind, door, is_proxied } = arrival;
        // Shares and replies are small and wanted at once; without it they only come later.
        let _ = stream.set_nodelay(true);
        let (mut session, transport) = match self.shared.open(&kind, now) {
            Ok((session, transport)) => (Guarded::Sound(session), transport),
            Err(error) => {
                tracing::warn!(%peer, %error, "a miner's connection cannot be served");
                return;
            }
        };
        if let Some(work) = &self.work {
            session.work(work, now, &mut self.desk.out);
            self.desk.out.clear();
        }
        let mut connection = Connection::new(stream, peer, seat, session, transport, now);
        connection.kind = Kind::of(&kind);
        connection.jobs = self.jobs_change;
        connection.door = door;
        connection.header = is_proxied.then(Vec::new);
        self.register(connection);
    }

    /// Gives a connection its place and its events.
    pub(super) fn register(&mut self, connection: Connection) -> Option<Key> {
        self.shared.tally.open(connection.kind);
        let key = self.connections.insert(connection);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let stream = self.connections.get_mut(key)?.stream();
        if let Err(e) = self.poll.registry().register(stream, key.to_token(), interest) {
            self.close(key, &Ended::Broken(e));
            return None;
        }
        Some(key)
    }

    /// Has a login looked up; the answer comes as a command.
    pub(super) fn look_up(&mut self, key: Key, user: String, password: String) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        connection.waiting = Waiting::ForLogin;
        connection.charge_login();
        let (shared, post) = (Arc::clone(&self.shared), self.own.clone());
        self.shared.runtime.spawn(async move {
            let _permit = shared.logins.acquire().await;
            let (asking, given) = (Arc::clone(&shared), password.clone());
            // In a task of its own: whatever happens to it, the connection gets an answer.
            let asked = tokio::spawn(async move {
                asking.machines.authorize(asking.lane.id(), &user, &given).await
            });
            let outcome = match tokio::time::timeout(AUTHORIZE_MAX, asked).await {
                Ok(Ok(outcome)) => {
                    if outcome.is_err() {
                        shared.tally.login(LoginOutcome::Refused);
                    }
                    outcome
                }
                _ => {
                    shared.tally.login(LoginOutcome::Failed);
                    Err(Refused("the login could not be checked: try again".into()))
                }
            };
            let outcome = outcome.map(|who| {
                let class = shared.classes.get(who.machine, shared.clock.now());
                Admitted { who, class }
            });
            post.send(Command::LoggedIn { key, outcome, password });
        });
    }

    /// A login was looked up.
    pub(super) fn logged_in(
        &mut self,
        key: Key,
        mut outcome: Result<Admitted, Refused>,
        password: &str,
        now: Timestamp,
    ) {
        let Some(connection) = self.connections.get_mut(key) else { return };
        if let Ok(admitted) = &outcome {
            if connection.seat.claim(admitted.who.owner, self.shared.per_account_max) {
                self.shared.tally.login(LoginOutcome::Accepted);
            } else {
                self.shared.tally.login(LoginOutcome::AccountFull);
                outcome = Err(Refused("too many connections of this account".into()));
            }
        }
        connection.waiting = Waiting::No;
        connection.is_in |= outcome.is_ok();
        let mut out = std::mem::take(&mut self.desk.out);
        connection.session.authorized(&outcome, password, now, &mut out);
        self.deliver(key, &mut out);
        self.desk.out = out;
        self.enqueue(key);
    }
}

impl Shared {
    /// A session and what stands between it and the socket.
    fn open(
        &self,
        kind: &ListenKind,
        now: Timestamp,
    ) -> Result<(Box<dyn Protocol>, Transport), TransportError> {
        let transport = match kind {
            ListenKind::V1 => Transport::Plain,
            ListenKind::V1Tls(tls) => Transport::tls(tls)?,
            ListenKind::V2(noise) => {
                let session = v2::Session::new(Arc::clone(&self.rules), now);
                return Ok((Box::new(session), Transport::noise(Arc::clone(noise))));
            }
            #[cfg(test)]
            ListenKind::Planted(make) => return Ok((make(now), Transport::Plain)),
        };
        if let Some(sessions) = &self.ethash {
            return Ok((Box::new(sessions.open(now)), transport));
        }
        let session = Session::new(Arc::clone(&self.rules), self.rules.prefixes.next(), now);
        Ok((Box::new(session), transport))
    }
}
