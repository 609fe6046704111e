//! Clients that mean no good: slow, silent, deaf, loud, endless, repeating, senseless, restless, too diligent; and those that
//! make a server work for encryption that never begins.
//!
//! One thread with the lowest priority, on whatever core has time, so that honest generator and server
//! are not slowed by the swarm's own work, but by what it asks of the server. A client that the server closes comes again at once, with a
//! bound on new connections a second. All come from the address of the honest ones: where somebody
//! mines nobody is banned, so nothing but the server's own patience is between them.

use crate::BenchError;
use crate::child::Doors;
use crate::connection::{Connection, JobCache, Phase, Seen};
use crate::eth::EthDialect;
use crate::fleet::FleetOptions;
use crate::mix::Kind;
use crate::sockets::{self, now_ns};
use crate::wire::Outcome;
use mio::{Events, Interest, Poll, Token};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// New connections a second at most, all attackers together: more would measure this machine's network
/// stack.
const RECONNECTS_PER_SECOND_MAX: u64 = 1_000;

/// Bytes that an attacker has ready to send: more than a socket takes at once.
const READY_BYTES: usize = 64 << 10;

/// A line without end is this long: what the largest careless buffer takes.
const LONG_LINE_BYTES: u64 = 16 << 20;

/// How often a slow one says a byte.
const SLOW_EVERY_NS: u64 = 200_000_000;

/// Submits whose answers a flood does not wait for.
const FLOOD_UNANSWERED_MAX: usize = 10_000;

/// On an Ethash lane the nonces of attackers are not those of the honest, who count from zero.
const FIRST_NUMBER: usize = 0x8000;

/// Shares and lines queued in one go.
const TOGETHER: usize = 256;

/// Bytes read at once.
const READ_BYTES: usize = 64 << 10;

/// A kind of attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attack {
    /// Says a login byte by byte.
    SlowLoris,
    /// Connects and says nothing.
    HalfOpen,
    /// Logs in, asks without end and reads nothing.
    NeverRead,
    /// Logs in and sends shares of no job as fast as they are taken.
    Flood,
    /// Sends 16 MB without a newline.
    LongLine,
    /// Logs in and sends one good share again and again.
    Duplicates,
    /// Sends lines of nonsense.
    Garbage,
    /// Connects and closes.
    Churn,
    /// Logs in and sends good shares as fast as they are taken: at the easiest class every hash is one.
    GoodFlood,
    /// Begins TLS, which costs the server a signature, and comes again.
    TlsHandshakes,
    /// Begins TLS and goes on with records of nonsense.
    TlsGarbage,
    /// Begins V2's encryption, which costs the server a signature, and comes again.
    V2Handshakes,
    /// Begins V2's encryption and goes on with nonsense.
    V2Garbage,
    /// Logs in to an Ethash lane and sends shares that no hash was spent on: each costs the server one.
    Worthless,
    /// Logs in to an Ethash lane and tells hashrates without end.
    Rates,
}

/// A server's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Plain,
    Tls,
    V2,
}

impl Attack {
    /// All of them.
    pub const ALL: [Attack; 15] = [
        Attack::SlowLoris,
        Attack::HalfOpen,
        Attack::NeverRead,
        Attack::Flood,
        Attack::LongLine,
        Attack::Duplicates,
        Attack::Garbage,
        Attack::Churn,
        Attack::GoodFlood,
        Attack::TlsHandshakes,
        Attack::TlsGarbage,
        Attack::V2Handshakes,
        Attack::V2Garbage,
        Attack::Worthless,
        Attack::Rates,
    ];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Attack::SlowLoris => "slow-loris",
            Attack::HalfOpen => "half-open",
            Attack::NeverRead => "never-read",
            Attack::Flood => "flood",
            Attack::LongLine => "long-line",
            Attack::Duplicates => "duplicates",
            Attack::Garbage => "garbage",
            Attack::Churn => "churn",
            Attack::GoodFlood => "good-flood",
            Attack::TlsHandshakes => "tls-handshakes",
            Attack::TlsGarbage => "tls-garbage",
            Attack::V2Handshakes => "v2-handshakes",
            Attack::V2Garbage => "v2-garbage",
            Attack::Worthless => "worthless",
            Attack::Rates => "rates",
        }
    }

    const fn door(self) -> Door {
        match self {
            Attack::TlsHandshakes | Attack::TlsGarbage => Door::Tls,
            Attack::V2Handshakes | Attack::V2Garbage => Door::V2,
            _ => Door::Plain,
        }
    }

    /// Whether there is such an attack on a lane of the Ethash family, or of others.
    const fn is_of(self, is_ethash: bool) -> bool {
        match self {
            Attack::Worthless | Attack::Rates => is_ethash,
            // Good shares there cost who sends them as much as who takes them.
            Attack::GoodFlood => !is_ethash,
            _ => true,
        }
    }

    /// Where it strikes, if the server has such a port.
    pub(crate) fn target(self, fleet: &FleetOptions, doors: Doors) -> Option<SocketAddr> {
        if !self.is_of(fleet.is_ethash) {
            return None;
        }
        let plain = fleet.target;
        match self.door() {
            Door::Plain => Some(plain),
            Door::Tls => doors.tls,
            Door::V2 => doors.v2,
        }
    }

    const fn logs_in(self) -> bool {
        matches!(
            self,
            Attack::NeverRead
                | Attack::Flood
                | Attack::Duplicates
                | Attack::GoodFlood
                | Attack::Worthless
                | Attack::Rates
        )
    }
}

impl std::str::FromStr for Attack {
    type Err = String;

    fn from_str(text: &str) -> Result<Attack, String> {
        Attack::ALL.into_iter().find(|a| a.name() == text).ok_or_else(|| {
            let all: Vec<_> = Attack::ALL.iter().map(|a| a.name()).collect();
            format!("no attack {text:?}: {}", all.join(", "))
        })
    }
}

/// What one kind did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AttackReport {
    /// Connections begun.
    pub connections: u64,
    /// Of these, closed or refused by the server.
    pub closed: u64,
    /// Bytes that the server's system took.
    pub bytes: u64,
    /// Handshakes that the server answered.
    pub answered: u64,
    /// Good answers to shares.
    pub accepted: u64,
    /// Refusals.
    pub refused: u64,
}

/// A swarm.
pub(crate) struct Swarm {
    options: FleetOptions,
    doors: Doors,
    poll: Poll,
    attackers: Vec<Attacker>,
    jobs: JobCache,
    buf: Vec<u8>,
    begun_ns: u64,
    connections: u64,
    pub(crate) report: BTreeMap<&'static str, AttackReport>,
}

struct Attacker {
    attack: Attack,
    connection: Connection,
    may_write: bool,
    /// Not before.
    next_ns: u64,
    sent: u64,
    /// Bytes that came back, on an encrypted port.
    heard: u64,
    /// Its share is out.
    has_shared: bool,
}

impl Swarm {
    /// `each` of every kind.
    ///
    /// # Errors
    /// When connections cannot be begun.
    pub(crate) fn new(
        options: FleetOptions,
        doors: Doors,
        attacks: &[Attack],
        each: usize,
    ) -> Result<Swarm, BenchError> {
        let mut swarm = Swarm {
            options,
            doors,
            poll: Poll::new().map_err(BenchError::Poll)?,
            attackers: Vec::new(),
            jobs: JobCache::default(),
            buf: vec![0; READ_BYTES],
            begun_ns: now_ns(),
            connections: 0,
            report: attacks.iter().map(|a| (a.name(), AttackReport::default())).collect(),
        };
        for _ in 0..each {
            for attack in attacks {
                let attacker = swarm.attacker(*attack, swarm.attackers.len())?;
                swarm.attackers.push(attacker);
            }
        }
        Ok(swarm)
    }

    /// Attacks until told to end.
    ///
    /// # Errors
    /// When the system does not give what the loop needs.
    pub(crate) fn run(&mut self, over: &AtomicBool) -> Result<(), BenchError> {
        sockets::yield_to_others();
        sockets::run_on_any_core();
        let mut events = Events::with_capacity(1024);
        while !over.load(Ordering::Relaxed) {
            let polled = self.poll.poll(&mut events, Some(Duration::from_millis(2)));
            if let Err(e) = polled
                && e.kind() != ErrorKind::Interrupted
            {
                return Err(BenchError::Poll(e));
            }
            for event in &events {
                self.happened(event);
            }
            let now = now_ns();
            for place in 0..self.attackers.len() {
                self.strike(place, now)?;
            }
        }
        Ok(())
    }

    fn attacker(&mut self, attack: Attack, place: usize) -> Result<Attacker, BenchError> {
        let target = attack.target(&self.options, self.doors).ok_or_else(|| {
            BenchError::Options(format!("the server has no port for the attack {}", attack.name()))
        })?;
        let failed = |source| BenchError::Connect { target, number: place, source };
        let mut stream = sockets::connect(target, self.options.first_source, 0).map_err(failed)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(place), interest).map_err(failed)?;
        self.connections += 1;
        self.note(attack, |r| r.connections += 1);
        let user = self.options.user.replace("{n}", &place.to_string());
        let connection = Connection::new(place, stream, user, self.options.password.clone());
        let connection = if self.options.is_ethash && attack.logs_in() {
            connection.of_eth(EthDialect::of(place), FIRST_NUMBER + place)
        } else {
            connection
        };
        Ok(Attacker {
            attack,
            connection,
            may_write: false,
            next_ns: 0,
            sent: 0,
            heard: 0,
            has_shared: false,
        })
    }

    fn note(&mut self, attack: Attack, how: impl FnOnce(&mut AttackReport)) {
        how(self.report.entry(attack.name()).or_default());
    }

    fn happened(&mut self, event: &mio::event::Event) {
        let Some(attacker) = self.attackers.get_mut(event.token().0) else { return };
        let connection = &mut attacker.connection;
        if event.is_writable() {
            attacker.may_write = true;
            if connection.phase == Phase::Connecting {
                if attacker.attack.logs_in() {
                    connection.connected();
                } else if connection.stream.peer_addr().is_ok() {
                    connection.phase = Phase::Handshake;
                }
            }
        }
        if attacker.attack.door() != Door::Plain {
            return self.heard_of_encrypted(event);
        }
        let is_deaf = attacker.attack == Attack::NeverRead && connection.phase == Phase::Ready;
        if event.is_readable() && connection.phase != Phase::Connecting && !is_deaf {
            let (mut accepted, mut refused) = (0, 0);
            let to_the_end = event.is_read_closed() || event.is_error();
            connection.receive(&mut self.buf, to_the_end, &mut self.jobs, |_, seen| {
                if let Seen::Answer { reply, .. } = seen {
                    match reply.outcome {
                        Outcome::Accepted => accepted += 1,
                        Outcome::Refused(_) => refused += 1,
                    }
                }
            });
            let attack = attacker.attack;
            self.note(attack, |r| {
                r.accepted += accepted;
                r.refused += refused;
            });
        } else if event.is_error() || event.is_read_closed() {
            connection.close("closed");
        }
    }

    /// What comes on an encrypted port is counted and not understood.
    fn heard_of_encrypted(&mut self, event: &mio::event::Event) {
        let Some(attacker) = self.attackers.get_mut(event.token().0) else { return };
        let (attack, before) = (attacker.attack, attacker.heard);
        let connection = &mut attacker.connection;
        while event.is_readable() {
            match connection.stream.read(&mut self.buf) {
                Ok(0) => connection.close("the server closed it"),
                Ok(count) => {
                    attacker.heard += count as u64;
                    continue;
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) => connection.close(format!("broken: {e}")),
            }
            break;
        }
        if event.is_error() || event.is_write_closed() {
            connection.close("closed");
        }
        let is_answered = before == 0 && attacker.heard > 0;
        self.note(attack, |r| r.answered += u64::from(is_answered));
    }

    /// Lets one do what it does, or come again.
    fn strike(&mut self, place: usize, now: u64) -> Result<(), BenchError> {
        let attacker = &mut self.attackers[place];
        if attacker.connection.phase == Phase::Closed {
            return self.come_again(place, now, true);
        }
        attacker.prepare(now);
        if attacker.may_write && !attacker.connection.out.is_empty() {
            let before = attacker.connection.out.len();
            attacker.connection.flush();
            let sent = (before - attacker.connection.out.len()) as u64;
            attacker.sent += sent;
            attacker.may_write = attacker.connection.out.is_empty();
            let attack = attacker.attack;
            self.note(attack, |r| r.bytes += sent);
        }
        let attacker = &self.attackers[place];
        let is_done = attacker.connection.phase != Phase::Connecting
            && match attacker.attack {
                Attack::Churn => attacker.sent > 0,
                Attack::TlsHandshakes | Attack::V2Handshakes => attacker.heard > 0,
                _ => false,
            };
        if is_done { self.come_again(place, now, false) } else { Ok(()) }
    }

    fn come_again(&mut self, place: usize, now: u64, by_server: bool) -> Result<(), BenchError> {
        let allowed = (now - self.begun_ns) / 1_000_000 * RECONNECTS_PER_SECOND_MAX / 1_000 + 1_000;
        if self.connections >= allowed {
            return Ok(());
        }
        let attack = self.attackers[place].attack;
        if by_server {
            self.note(attack, |r| r.closed += 1);
        }
        let next = self.attacker(attack, place)?;
        // The old socket closes here.
        self.attackers[place] = next;
        Ok(())
    }
}

impl Attacker {
    /// Puts what is to be said next into the connection's output.
    fn prepare(&mut self, now: u64) {
        let connection = &mut self.connection;
        if !connection.out.is_empty() || connection.phase == Phase::Connecting {
            return;
        }
        match self.attack {
            Attack::HalfOpen => {}
            Attack::SlowLoris => {
                if now >= self.next_ns {
                    self.next_ns = now + SLOW_EVERY_NS;
                    let line = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[";
                    let place = usize::try_from(self.sent).unwrap_or(0) % line.len();
                    connection.out.push(line[place]);
                }
            }
            Attack::LongLine => {
                if self.sent < LONG_LINE_BYTES {
                    connection.out.resize(READY_BYTES, b'[');
                }
            }
            Attack::Garbage => connection.out.extend(b"\xff\x00}{\"method\"\n".repeat(4096)),
            Attack::Churn => connection.out.push(b'{'),
            Attack::NeverRead if connection.phase == Phase::Ready => {
                let line = b"{\"id\":7,\"method\":\"mining.ping\",\"params\":[]}\n";
                connection.out.extend(line.repeat(READY_BYTES / line.len()));
            }
            Attack::Flood if connection.phase == Phase::Ready => {
                for _ in 0..TOGETHER {
                    if connection.pending.len() < FLOOD_UNANSWERED_MAX {
                        connection.submit(Kind::Stale, now);
                    }
                }
            }
            Attack::Duplicates if connection.phase == Phase::Ready => {
                let first = if self.has_shared { Kind::Duplicate } else { Kind::Accepted };
                self.has_shared = true;
                connection.submit(first, now);
                for _ in 0..TOGETHER {
                    if connection.pending.len() < FLOOD_UNANSWERED_MAX {
                        connection.submit(Kind::Duplicate, now);
                    }
                }
            }
            Attack::GoodFlood if connection.phase == Phase::Ready => {
                for _ in 0..TOGETHER {
                    if connection.pending.len() < FLOOD_UNANSWERED_MAX {
                        connection.submit(Kind::Accepted, now);
                    }
                }
            }
            Attack::Worthless if connection.phase == Phase::Ready => {
                for _ in 0..TOGETHER {
                    if connection.pending.len() < FLOOD_UNANSWERED_MAX {
                        connection.submit_unhashed(now);
                    }
                }
            }
            Attack::Rates if connection.phase == Phase::Ready => {
                let line = b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitHashrate\",\"params\":[\"0xffffffff\",\"0x1\"]}\n";
                connection.out.extend(line.repeat(TOGETHER));
            }
            Attack::TlsHandshakes | Attack::TlsGarbage if self.sent == 0 => {
                connection.out.extend(client_hello(now));
            }
            Attack::V2Handshakes | Attack::V2Garbage if self.sent == 0 => {
                connection.out.extend(ephemeral_key(now));
            }
            Attack::TlsGarbage if self.heard > 0 => {
                // Records that say they are encrypted.
                let record = [&[0x17, 3, 3, 1, 0][..], &[0x5a; 256]].concat();
                connection.out.extend(record.repeat(READY_BYTES / record.len()));
            }
            Attack::V2Garbage if self.heard > 0 => connection.out.resize(READY_BYTES, 0x5a),
            Attack::NeverRead
            | Attack::Flood
            | Attack::Duplicates
            | Attack::GoodFlood
            | Attack::Worthless
            | Attack::Rates
            | Attack::TlsHandshakes
            | Attack::TlsGarbage
            | Attack::V2Handshakes
            | Attack::V2Garbage => {}
        }
    }
}

/// 64 bytes, another's each time: every such text is a key of V2's handshake (BIP 324's encoding).
fn ephemeral_key(now: u64) -> Vec<u8> {
    now.to_le_bytes().repeat(8)
}

/// The first message of TLS 1.3 (RFC 8446, 4.1.2), as short as servers answer it.
fn client_hello(now: u64) -> Vec<u8> {
    let random = now.to_le_bytes().repeat(4);
    let extension = |kind: u16, body: &[u8]| -> Vec<u8> {
        let length = u16::try_from(body.len()).unwrap_or(0).to_be_bytes();
        [&kind.to_be_bytes()[..], &length, body].concat()
    };
    let extensions = [
        // Versions: 1.3. Groups: x25519. Signatures: ECDSA P-256, Ed25519, RSA-PSS. A share of the group.
        extension(43, &[2, 3, 4]),
        extension(10, &[0, 2, 0, 0x1d]),
        extension(13, &[0, 6, 4, 3, 8, 7, 8, 4]),
        extension(51, &[&[0, 36, 0, 0x1d, 0, 32][..], &random].concat()),
    ]
    .concat();
    let extensions_length = u16::try_from(extensions.len()).unwrap_or(0).to_be_bytes();
    let body = [
        &[3, 3][..],
        &random,
        // No session; AES-128-GCM and ChaCha20-Poly1305; no compression.
        &[0, 0, 4, 0x13, 1, 0x13, 3, 1, 0],
        &extensions_length,
        &extensions,
    ]
    .concat();
    let length = u16::try_from(body.len()).unwrap_or(0);
    let record = (length + 4).to_be_bytes();
    [&[0x16, 3, 1][..], &record, &[1, 0], &length.to_be_bytes(), &body].concat()
}
