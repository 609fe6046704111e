//! One connection: its socket, what it has half said, what it has not yet taken.
//!
//! An idle one owns no buffers. The bound on what waits for a slow reader is one visit's replies:
//! nothing more is read and no job is given until they are written, and one that takes longer than
//! [`crate::limits::WRITE_MAX`] ends the connection.

use super::guarded::{Guarded, caught};
use super::registry::Seat;
use super::tally::Kind;
use super::turns::Standing;
use crate::limits;
use crate::proxy::{self, ProxyError, ProxyHeader};
use crate::session::{CloseReason, Refusal};
use crate::transport::{Transport, TransportError};
use gruve_units::Timestamp;
use mio::net::TcpStream;
use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr};
use std::time::Instant;

/// Why a connection ended.
#[derive(Debug)]
pub(super) enum Ended {
    ByPeer,
    ByUs(CloseReason),
    Broken(std::io::Error),
    Garbled(TransportError),
    Proxied(ProxyError),
    Crowded,
    Unproven,
    Shutdown,
}

impl Ended {
    /// Whether only a broken or hostile machine ends so: see [`super::registry`].
    pub(super) fn is_hostile(&self) -> bool {
        matches!(
            self,
            Ended::Garbled(_)
                | Ended::ByUs(
                    CloseReason::BadLines
                        | CloseReason::LongLine
                        | CloseReason::BadShares
                        | CloseReason::Logins
                        // A bug of ours; who meets it again and again is kept off it.
                        | CloseReason::Fault
                )
        )
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ended::ByPeer => f.write_str("the miner closed it"),
            Ended::ByUs(reason) => write!(f, "closed: {reason:?}"),
            Ended::Broken(e) => write!(f, "broken: {e}"),
            Ended::Garbled(e) => write!(f, "garbled: {e}"),
            Ended::Proxied(e) => write!(f, "{e}"),
            Ended::Crowded => f.write_str("too many connections from its address"),
            Ended::Unproven => f.write_str("no accepted share, and others need its place"),
            Ended::Shutdown => f.write_str("the gateway stops"),
        }
    }
}

/// What a connection waits for, besides its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waiting {
    /// Nothing.
    No,
    /// A login being looked up.
    ForLogin,
    /// Candidates being hashed elsewhere.
    ForHashes,
    /// Its shares being synced.
    ForSync,
}

/// Bytes that the socket would not take yet.
struct Unsent {
    bytes: Vec<u8>,
    since: Instant,
}

/// What a read gave.
pub(super) enum Taken {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now.
    Nothing,
    /// Nothing ever again.
    Over(Ended),
}

pub(super) struct Connection {
    stream: TcpStream,
    pub(super) session: Guarded,
    pub(super) transport: Transport,
    pub(super) seat: Seat,
    pub(super) peer: SocketAddr,
    pub(super) kind: Kind,
    /// When what is to be read was seen, microseconds of the loop's life (they wrap).
    pub(super) seen_us: u32,
    /// Which of the listeners it came in by.
    pub(super) door: u16,
    /// What there is of the proxy's header, while it is awaited.
    pub(super) header: Option<Vec<u8>>,
    pub(super) connected_at: Timestamp,
    /// Counts already in the totals.
    pub(super) told: (u64, u64),
    /// What was read and is not yet a whole message, or not yet looked at.
    pub(super) partial: Box<[u8]>,
    unsent: Option<Box<Unsent>>,
    /// To be closed once everything is sent.
    pub(super) closing: Option<CloseReason>,
    pub(super) waiting: Waiting,
    /// The socket may have bytes.
    pub(super) readable: bool,
    /// The other side has closed: read until the end, whatever the lengths say.
    pub(super) hung_up: bool,
    /// There may be whole messages in `partial`.
    pub(super) stuffed: bool,
    /// Candidates of its last visit.
    pub(super) taken: u8,
    /// It stands in the line of those to be visited.
    pub(super) queued: bool,
    /// Which change of jobs was given to it last, or missed by it.
    pub(super) jobs: u32,
    /// It missed a change of jobs.
    pub(super) behind: bool,
    /// A login of its was let in.
    pub(super) is_in: bool,
    /// Logins that it has asked for.
    pub(super) logins: u16,
    /// It has sent too much that brought nothing, and is not read for now.
    pub(super) muted: bool,
    /// Shares that may still be hashed for nothing before it is no newcomer any more: see
    /// [`limits::NEWCOMERS_HASHES_IN_VAIN_MAX`].
    in_vain: u8,
    /// Bytes it may still send without bringing a share; below zero once it was too many.
    credit: i64,
    /// When its credit was last raised, microseconds of the loop's life (they wrap).
    refilled_us: u32,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        seat: Seat,
        session: Guarded,
        transport: Transport,
        now: Timestamp,
    ) -> Connection {
        Connection {
            stream,
            session,
            transport,
            seat,
            peer,
            kind: Kind::V1,
            seen_us: 0,
            door: 0,
            header: None,
            connected_at: now,
            told: (0, 0),
            partial: Box::default(),
            unsent: None,
            closing: None,
            waiting: Waiting::No,
            readable: false,
            hung_up: false,
            stuffed: false,
            taken: 0,
            queued: false,
            jobs: 0,
            behind: false,
            is_in: false,
            logins: 0,
            muted: false,
            in_vain: limits::NEWCOMERS_HASHES_IN_VAIN_MAX,
            credit: i64::from(limits::FRUITLESS_BYTES_MAX),
            refilled_us: 0,
        }
    }

    /// Charges for what it sent, less what its accepted shares were worth.
    pub(super) fn charge(&mut self, bytes: usize, accepted: u64) {
        let worth = accepted.saturating_mul(u64::from(limits::SHARE_LINE_BYTES));
        let cost = (bytes as u64).saturating_sub(worth);
        self.credit = self.credit.saturating_sub(i64::try_from(cost).unwrap_or(i64::MAX));
        self.muted = self.credit < 0;
    }

    /// It asks for one more login: beyond as many as can be in force that is not for nothing.
    pub(super) fn charge_login(&mut self) {
        let free =
            if self.kind == Kind::V2 { limits::V2_CHANNELS_MAX } else { limits::WORKERS_MAX };
        self.logins = self.logins.saturating_add(1);
        if usize::from(self.logins) > free {
            self.charge(limits::LOGIN_COST_BYTES, 0);
        }
    }

    /// Time has passed: it may send more, by as much as has passed and for a second at the most.
    pub(super) fn refill(&mut self, now_us: u32) {
        let passed = now_us.wrapping_sub(self.refilled_us).min(1_000_000);
        self.refilled_us = now_us;
        let more = u64::from(limits::FRUITLESS_BYTES_PER_SECOND) * u64::from(passed) / 1_000_000;
        let credit = self.credit.saturating_add_unsigned(more);
        self.credit = credit.min(i64::from(limits::FRUITLESS_BYTES_MAX));
        self.muted = self.credit < 0;
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether nothing is to be read or given for now.
    pub(super) fn rests(&self) -> bool {
        self.waiting != Waiting::No || self.unsent.is_some() || self.closing.is_some()
    }

    /// Whether the session may say something unasked.
    pub(super) fn may_be_told(&self) -> bool {
        !self.rests() && self.transport.is_open()
    }

    /// Whether most of what it has brought so far was good work.
    pub(super) fn is_proven(&self) -> bool {
        let (accepted, rejected) = self.told;
        accepted > 0 && accepted >= rejected
    }

    /// Whether no share of it was answered yet.
    pub(super) fn is_unheard(&self) -> bool {
        self.told == (0, 0)
    }

    /// Whether nothing is known of it yet: it has brought neither good nor bad work, and few hashes were made for what
    /// is neither.
    pub(super) fn is_new(&self) -> bool {
        self.in_vain > 0
    }

    /// It was another program's, where it has brought something.
    pub(super) fn end_newness(&mut self) {
        self.in_vain = 0;
    }

    /// A share of it was refused before it was hashed: late or sent twice that has cost nothing.
    pub(super) fn note_refused(&mut self, refusal: Refusal) {
        if refusal.is_bad() {
            self.end_newness();
        }
    }

    /// A share of it was hashed.
    pub(super) fn note_hashed(&mut self, outcome: Result<(), Refusal>) {
        self.in_vain = match outcome {
            Err(refusal) if !refusal.is_bad() => self.in_vain.saturating_sub(1),
            _ => 0,
        };
    }

    /// Shares that one visit takes where hashing is slow.
    pub(super) fn hashes_max(&self) -> usize {
        if self.is_proven() {
            limits::CANDIDATES_PER_VISIT_MAX
        } else {
            limits::OTHERS_HASHES_PER_VISIT_MAX
        }
    }

    /// Whose turn it is in.
    pub(super) fn standing(&self) -> Standing {
        Standing::after(self.is_proven(), self.taken.into())
    }

    /// Whether there is something to do for it.
    pub(super) fn is_ready(&self) -> bool {
        ((self.readable || self.stuffed) && !self.rests() && !self.muted)
            || (self.behind && self.may_be_told())
    }

    /// One read at most.
    pub(super) fn read(&mut self, buf: &mut [u8]) -> Taken {
        match self.stream.read(buf) {
            Ok(0) => Taken::Over(Ended::ByPeer),
            Ok(n) => {
                // Less than asked for: the socket is empty, and the next bytes bring an event.
                self.readable = n == buf.len() || self.hung_up;
                Taken::Bytes(n)
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Taken::Nothing
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => Taken::Nothing,
            Err(e) => Taken::Over(Ended::Broken(e)),
        }
    }

    /// Takes new bytes off the wire into `input`, and into `wire` what the transport answers.
    pub(super) fn take_in(
        &mut self,
        raw: &[u8],
        input: &mut Vec<u8>,
        wire: &mut Vec<u8>,
        per_address_max: usize,
    ) -> Result<(), Ended> {
        let Some(header) = &mut self.header else {
            return self.open(raw, input, wire);
        };
        header.extend_from_slice(raw);
        let (length, source) = match proxy::read(header).map_err(Ended::Proxied)? {
            ProxyHeader::Incomplete => return Ok(()),
            ProxyHeader::Whole { length, source } => (length, source),
        };
        self.peer = source.unwrap_or(self.peer);
        if !self.seat.come_from(self.peer.ip(), per_address_max, self.connected_at) {
            return Err(Ended::Crowded);
        }
        let read = self.header.take().unwrap_or_default();
        self.open(&read[length..], input, wire)
    }

    /// Decrypts. A bug in there breaks this connection and no other.
    fn open(&mut self, raw: &[u8], input: &mut Vec<u8>, wire: &mut Vec<u8>) -> Result<(), Ended> {
        match caught(|| self.transport.open(raw, input, wire)) {
            Ok(opened) => opened.map_err(Ended::Garbled),
            Err(words) => {
                self.session.break_off(words);
                Err(Ended::ByUs(CloseReason::Fault))
            }
        }
    }

    /// Encrypts and sends, or keeps what the socket does not take. `wire` is lent for its memory.
    pub(super) fn send(&mut self, plain: &[u8], wire: &mut Vec<u8>) -> Result<(), Ended> {
        if plain.is_empty() {
            return Ok(());
        }
        if matches!(self.transport, Transport::Plain) {
            return self.send_raw(plain);
        }
        wire.clear();
        match caught(|| self.transport.seal(plain, wire)) {
            Ok(sealed) => sealed.map_err(Ended::Garbled)?,
            Err(words) => {
                self.session.break_off(words);
                return Err(Ended::ByUs(CloseReason::Fault));
            }
        }
        self.send_raw(wire)
    }

    /// Sends bytes as they are.
    pub(super) fn send_raw(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        if bytes.is_empty() {
            return Ok(());
        }
        if let Some(unsent) = &mut self.unsent {
            if unsent.bytes.len() + bytes.len() > limits::UNSENT_BYTES_MAX {
                return Err(Ended::ByUs(CloseReason::SlowReader));
            }
            unsent.bytes.extend_from_slice(bytes);
            return Ok(());
        }
        let sent = write(&mut self.stream, bytes)?;
        if sent < bytes.len() {
            let bytes = bytes[sent..].to_vec();
            self.unsent = Some(Box::new(Unsent { bytes, since: Instant::now() }));
        }
        Ok(())
    }

    /// Sends more of what is unsent; whether all is sent.
    pub(super) fn flush(&mut self) -> Result<bool, Ended> {
        let Some(unsent) = &mut self.unsent else { return Ok(true) };
        let sent = write(&mut self.stream, &unsent.bytes)?;
        if sent == unsent.bytes.len() {
            self.unsent = None;
            return Ok(true);
        }
        unsent.bytes.drain(..sent);
        Ok(false)
    }

    /// How long bytes have been waiting for the other side to read.
    pub(super) fn unsent_since(&self) -> Option<Instant> {
        self.unsent.as_ref().map(|u| u.since)
    }

    /// Says that no more will come. The peer may be gone already.
    pub(super) fn shut(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// Writes until everything is written or the socket is full.
fn write(stream: &mut TcpStream, bytes: &[u8]) -> Result<usize, Ended> {
    let mut sent = 0;
    while sent < bytes.len() {
        match stream.write(&bytes[sent..]) {
            Ok(0) => return Err(Ended::ByPeer),
            Ok(n) => sent += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => return Err(Ended::Broken(e)),
        }
    }
    Ok(sent)
}

#[cfg(test)]
mod tests {
    use super::super::registry::Registry;
    use super::*;
    use crate::session::{Session, SessionRules};
    use gruve_units::{Algorithm, Class};
    use std::sync::Arc;

    /// A connection, and the other end that never reads.
    fn connection() -> (Connection, std::net::TcpStream) {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let other = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let now = Timestamp::from_secs(1_700_000_000);
        let registry = Arc::new(Registry::default());
        let seat = registry.seat(peer.ip(), 1, 1, now).unwrap();
        let class = Class::new(4).unwrap();
        let rules = SessionRules::new(Algorithm::Sha256d, (class, class), class);
        let session = Session::new(Arc::new(rules), [0; 4], now);
        let session = Guarded::Sound(Box::new(session));
        let stream = TcpStream::from_std(stream);
        (Connection::new(stream, peer, seat, session, Transport::Plain, now), other)
    }

    #[test]
    fn what_waits_for_a_slow_reader_is_bounded() {
        let (mut connection, _other) = connection();
        let piece = vec![b'x'; 100_000];
        let mut wire = Vec::new();
        while connection.unsent_since().is_none() {
            connection.send(&piece, &mut wire).unwrap();
        }
        assert!(connection.rests(), "nothing more is read");
        let mut kept = 0;
        let ended = loop {
            match connection.send(&piece, &mut wire) {
                Ok(()) => kept += piece.len(),
                Err(ended) => break ended,
            }
        };
        assert!(matches!(ended, Ended::ByUs(CloseReason::SlowReader)));
        assert!(kept <= limits::UNSENT_BYTES_MAX);
    }

    #[test]
    fn who_brings_nothing_is_muted_and_who_brings_shares_never() {
        let (mut connection, _other) = connection();
        for _ in 0..100_000 {
            connection.charge(64 * 120, 64);
            assert!(!connection.muted);
        }
        let mut lines = 0;
        while !connection.muted {
            connection.charge(100, 0);
            lines += 1;
        }
        assert!((2000..4000).contains(&lines), "{lines}");
        connection.refill(1_000_000);
        assert!(!connection.muted, "for a while");
    }

    #[test]
    fn what_may_be_sent_for_nothing_grows_with_time_and_not_with_how_often_it_is_looked_at() {
        let second = i64::from(limits::FRUITLESS_BYTES_PER_SECOND);
        for looks in [1, 25, 50] {
            let (mut connection, _other) = connection();
            // The count of microseconds wraps on the way.
            let from = u32::MAX - 300_000;
            connection.refill(from);
            connection.charge(limits::FRUITLESS_BYTES_MAX as usize + 100_000, 0);
            let before = connection.credit;
            for look in 1..=looks {
                connection.refill(from.wrapping_add(1_000_000 / looks * look));
            }
            let grown = connection.credit - before;
            assert!((second - i64::from(looks)..=second).contains(&grown), "{looks}: {grown}");
        }
    }

    #[test]
    fn logins_beyond_all_that_can_be_in_force_cost_as_lines_that_bring_nothing() {
        for (kind, free) in [(Kind::V1, limits::WORKERS_MAX), (Kind::V2, limits::V2_CHANNELS_MAX)] {
            let (mut connection, _other) = connection();
            connection.kind = kind;
            (0..free).for_each(|_| connection.charge_login());
            assert_eq!(connection.credit, i64::from(limits::FRUITLESS_BYTES_MAX), "{kind:?}");
            let mut more = 0;
            while !connection.muted {
                connection.charge_login();
                more += 1;
            }
            assert!(more <= 65, "{kind:?}: {more}");
            connection.refill(1_000_000);
            assert!(!connection.muted, "four a second");
            (0..5).for_each(|_| connection.charge_login());
            assert!(connection.muted);
        }
    }

    #[test]
    fn an_idle_miner_costs_less_than_two_kilobytes() {
        // The connection and its session, the 24 jobs that live, a login with its name, what the
        // miner calls itself, and 16 bytes of the allocator for each of six pieces.
        let jobs = 24 * 24;
        let login = size_of::<crate::session::Worker>() + limits::USER_BYTES_MAX / 2;
        let bytes = size_of::<Connection>()
            + size_of::<Session>()
            + jobs
            + login
            + limits::AGENT_BYTES_MAX
            + 6 * 16;
        assert!(bytes <= 2048, "{bytes}");
    }
}
