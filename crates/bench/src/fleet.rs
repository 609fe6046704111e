//! The generator's loop: one thread, all connections, readiness by the system's own means (epoll on
//! Linux).
//!
//! A connection is read, answered and written before the next one is looked at, as thousands of
//! separate miners would do it: reading all first and writing afterwards would let the server idle
//! in between.

use crate::connection::{Connection, JobCache, Phase, Seen};
use crate::eth::EthDialect;
use crate::v2::V2Options;
use crate::{BenchError, sockets};
use mio::{Events, Interest, Poll, Token};
use std::net::SocketAddr;
use std::time::Duration;

/// Connections whose handshake may be under way at once: fewer than servers queue.
const OPENING_MAX: usize = 256;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// Who connects, and as whom.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// The server.
    pub target: SocketAddr,
    /// The login; `{n}` becomes the connection's number.
    pub user: String,
    /// The password.
    pub password: String,
    /// To loopback, connections come from 127.0.0.x, from this x on: two generators on one machine
    /// should not share them.
    pub first_source: u8,
    /// How to speak V2; V1 if `None`.
    pub v2: Option<V2Options>,
    /// Whether the server's lane is of the Ethash family; connections then speak its dialects in turn.
    pub is_ethash: bool,
}

/// What is done with what connections see.
pub(crate) trait Driver {
    /// Something was seen; may queue submits.
    fn seen(&mut self, connection: &mut Connection, seen: Seen);
}

/// All connections of the generator.
pub(crate) struct Fleet {
    options: FleetOptions,
    poll: Poll,
    events: Option<Events>,
    pub(crate) connections: Vec<Connection>,
    jobs: JobCache,
    buf: Vec<u8>,
    /// Connections not yet through with connecting and logging in.
    opening: usize,
    closed: usize,
}

impl Fleet {
    pub(crate) fn new(options: FleetOptions) -> Result<Fleet, BenchError> {
        Ok(Fleet {
            options,
            poll: Poll::new().map_err(BenchError::Poll)?,
            events: Some(Events::with_capacity(1024)),
            connections: Vec::new(),
            jobs: JobCache::default(),
            buf: vec![0; READ_BYTES],
            opening: 0,
            closed: 0,
        })
    }

    /// Begins one more connection.
    pub(crate) fn open_one(&mut self) -> Result<(), BenchError> {
        let number = self.connections.len();
        let target = self.options.target;
        let failed = |source| BenchError::Connect { target, number, source };
        let mut stream =
            sockets::connect(target, self.options.first_source, number).map_err(failed)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(number), interest).map_err(failed)?;
        let user = self.options.user.replace("{n}", &number.to_string());
        let password = self.options.password.clone();
        let connection = Connection::new(number, stream, user, password);
        self.connections.push(match self.options.v2 {
            Some(v2) => connection.of_v2(v2),
            None if self.options.is_ethash => connection.of_eth(EthDialect::of(number), number),
            None => connection,
        });
        self.opening += 1;
        Ok(())
    }

    /// Connections that were closed.
    pub(crate) fn closed(&self) -> usize {
        self.closed
    }

    /// Whether more may be begun now.
    pub(crate) fn may_open(&self) -> bool {
        self.opening < OPENING_MAX
    }

    /// Opens until there are this many and all have a job.
    ///
    /// # Errors
    /// [`BenchError::NotReady`] when that does not happen in time, with the reason a connection
    /// gave.
    pub(crate) fn open(
        &mut self,
        count: usize,
        driver: &mut impl Driver,
    ) -> Result<(), BenchError> {
        let deadline = sockets::now_ns() + nanos(open_max(count));
        loop {
            while self.connections.len() < count && self.may_open() {
                self.open_one()?;
            }
            self.turn(Duration::from_millis(50), driver)?;
            let ready = self.ready();
            if ready == count {
                return Ok(());
            }
            if self.closed > 0 || sockets::now_ns() > deadline {
                let why = self.connections.iter().find_map(|c| c.ended.clone());
                let why = why.unwrap_or_else(|| "no job in time".to_owned());
                return Err(BenchError::NotReady { ready, wanted: count, why });
            }
        }
    }

    /// Connections that have a job.
    pub(crate) fn ready(&self) -> usize {
        self.connections.iter().filter(|c| c.phase == Phase::Ready).count()
    }

    /// Waits for what happens, at most this long, and handles all of it.
    pub(crate) fn turn(
        &mut self,
        timeout: Duration,
        driver: &mut impl Driver,
    ) -> Result<(), BenchError> {
        let Some(mut events) = self.events.take() else { return Ok(()) };
        let polled = self.poll.poll(&mut events, Some(timeout));
        if let Err(e) = polled
            && e.kind() != std::io::ErrorKind::Interrupted
        {
            return Err(BenchError::Poll(e));
        }
        for event in &events {
            let Some(connection) = self.connections.get_mut(event.token().0) else { continue };
            let before = connection.phase;
            if before == Phase::Closed {
                continue;
            }
            if before == Phase::Connecting && event.is_writable() {
                connection.connected();
            }
            if event.is_readable() && connection.phase != Phase::Connecting {
                let to_the_end = event.is_read_closed() || event.is_error();
                connection.receive(&mut self.buf, to_the_end, &mut self.jobs, |c, seen| {
                    driver.seen(c, seen);
                });
            }
            connection.flush();
            let is_open = |p| matches!(p, Phase::Ready | Phase::Closed);
            if !is_open(before) && is_open(connection.phase) {
                self.opening -= 1;
            }
            if connection.phase == Phase::Closed {
                self.closed += 1;
            }
        }
        self.events = Some(events);
        Ok(())
    }
}

/// How long so many clients may take to connect and have a job: a minute, and longer where that
/// would be more than five hundred a second.
fn open_max(clients: usize) -> Duration {
    Duration::from_secs(60 + clients as u64 / 500)
}

/// A duration in nanoseconds.
pub(crate) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
