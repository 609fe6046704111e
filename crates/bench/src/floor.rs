//! The floor: the least that a server of Stratum V1 can do with a share, on one thread.
//!
//! It reads, parses, hashes (coinbase, branch, header), compares with the target and answers. It
//! keeps no log, no duplicates, no difficulty control and no limits: **it is a yardstick, not a
//! server.** What a real gateway takes beyond it is the price of what the floor leaves out, so
//! the ratio of the two says more about a gateway than shares a second on an unknown machine.
//!
//! Written plainly, as fast as plain code is: one system call to read and one to write for all that
//! a connection has sent, no allocation for a share, the coinbase's beginning hashed once. Do not
//! improve it: figures of different versions are compared by it.

use crate::BenchError;
use crate::child::Control;
use crate::floor_line::{self, unhex};
use crate::sockets::now_ns;
use crate::template::template;
use gruve_chain::{Job, JobSpec};
use gruve_units::{Class, Clock, Duration, EpochNumber, JobId, SystemClock, Target};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::time::Instant;

/// Jobs that shares may be of.
const JOBS: usize = 24;
/// Lines longer than this are not read to their end.
const LINE_BYTES_MAX: usize = 16 << 10;
const READ_BYTES: usize = 64 << 10;
const EXTRANONCE2_BYTES: usize = 8;
const LISTENER: Token = Token(usize::MAX);
/// The token of commands from the process that started this one.
const COMMANDS: Token = Token(usize::MAX - 1);

/// How a floor server is set up.
#[derive(Clone, Copy, Debug)]
pub struct FloorOptions {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The class of all its jobs.
    pub class: Class,
    /// How often all clients are given a job.
    pub refresh: Duration,
}

struct FloorJob {
    name: String,
    version: u32,
    prev_hash: [u8; 32],
    bits: u32,
    /// The coinbase up to the extranonce, hashed.
    beginning: Sha256,
    suffix: Vec<u8>,
    branch: Vec<[u8; 32]>,
    notify: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    extranonce1: [u8; 4],
    partial: Vec<u8>,
    out: Vec<u8>,
    is_mining: bool,
}

/// Serves until told to stop.
///
/// # Errors
/// When the address cannot be listened on, or the system refuses to tell of events.
pub fn run(options: FloorOptions, mut control: Control) -> Result<(), BenchError> {
    let floor = Floor::new(options)?;
    control.listening(floor.address()?);
    floor.run(&mut control)
}

struct Floor {
    options: FloorOptions,
    target: Target,
    poll: Poll,
    listener: TcpListener,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    connected: u32,
    jobs: Vec<FloorJob>,
    jobs_made: u64,
    accepted: u64,
    buf: Vec<u8>,
    due: Instant,
}

impl Floor {
    /// Listens; nothing is served before [`Floor::run`].
    fn new(options: FloorOptions) -> Result<Floor, BenchError> {
        let failed = |source| BenchError::Listen { address: options.listen, source };
        let mut listener = TcpListener::bind(options.listen).map_err(failed)?;
        let poll = Poll::new().map_err(BenchError::Poll)?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).map_err(failed)?;
        let mut floor = Floor {
            target: options.class.target(),
            options,
            poll,
            listener,
            clients: Vec::new(),
            free: Vec::new(),
            connected: 0,
            jobs: Vec::new(),
            jobs_made: 0,
            accepted: 0,
            buf: vec![0; READ_BYTES],
            due: Instant::now(),
        };
        floor.new_job()?;
        Ok(floor)
    }

    fn address(&self) -> Result<SocketAddr, BenchError> {
        let listen = self.options.listen;
        self.listener.local_addr().map_err(|source| BenchError::Listen { address: listen, source })
    }

    fn run(mut self, control: &mut Control) -> Result<(), BenchError> {
        let waker = mio::Waker::new(self.poll.registry(), COMMANDS).map_err(BenchError::Poll)?;
        control.wake_by(waker);
        let mut events = Events::with_capacity(1024);
        loop {
            let wait = self.due.saturating_duration_since(Instant::now());
            match self.poll.poll(&mut events, Some(wait)) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => {
                    return Err(BenchError::Poll(e));
                }
                _ => {}
            }
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(),
                    COMMANDS => {
                        if !self.obey(control)? {
                            return Ok(());
                        }
                    }
                    Token(n) => self.serve(n, event.is_read_closed() || event.is_error()),
                }
            }
            if self.due <= Instant::now() {
                self.give_job()?;
            }
        }
    }

    /// Obeys commands that wait; false when told to stop.
    fn obey(&mut self, control: &mut Control) -> Result<bool, BenchError> {
        while let Some(command) = control.next_command() {
            match command.as_str() {
                "job" => {
                    let at = now_ns();
                    self.give_job()?;
                    control.answer(at);
                }
                "count" => control.answer(self.accepted),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    fn new_job(&mut self) -> Result<(), BenchError> {
        self.jobs_made += 1;
        let time = u32::try_from(SystemClock.now().secs()).unwrap_or(u32::MAX);
        let job = FloorJob::build(self.jobs_made, time, self.options.class)?;
        if self.jobs.len() == JOBS {
            self.jobs.remove(0);
        }
        self.jobs.push(job);
        self.due = Instant::now() + self.options.refresh;
        Ok(())
    }

    /// A new job for everybody.
    fn give_job(&mut self) -> Result<(), BenchError> {
        self.new_job()?;
        let Some(job) = self.jobs.last() else { return Ok(()) };
        for client in self.clients.iter_mut().flatten().filter(|c| c.is_mining) {
            client.out.extend_from_slice(&job.notify);
            // One that fails is found when it is read.
            let _ = client.flush();
        }
        Ok(())
    }

    fn accept(&mut self) {
        while let Ok((mut stream, _)) = self.listener.accept() {
            let number = self.free.pop().unwrap_or(self.clients.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            // One that is gone already is let go of.
            let _ = stream.set_nodelay(true);
            if self.poll.registry().register(&mut stream, Token(number), interest).is_err() {
                self.free.push(number);
                continue;
            }
            self.connected += 1;
            let extranonce1 = self.connected.to_be_bytes();
            let (partial, out) = (Vec::new(), Vec::new());
            let client = Client { stream, extranonce1, partial, out, is_mining: false };
            match self.clients.get_mut(number) {
                Some(place) => *place = Some(client),
                None => self.clients.push(Some(client)),
            }
        }
    }

    fn serve(&mut self, number: usize, to_the_end: bool) {
        let Some(client) = self.clients.get_mut(number).and_then(Option::as_mut) else { return };
        let mut bench =
            Bench { jobs: &self.jobs, target: self.target, accepted: &mut self.accepted };
        if client.receive(&mut self.buf, to_the_end, &mut bench).is_err() || client.flush().is_err()
        {
            self.clients[number] = None;
            self.free.push(number);
        }
    }
}

/// What shares are checked against.
struct Bench<'a> {
    jobs: &'a [FloorJob],
    target: Target,
    accepted: &'a mut u64,
}

impl Client {
    fn receive(
        &mut self,
        buf: &mut [u8],
        to_the_end: bool,
        bench: &mut Bench<'_>,
    ) -> io::Result<()> {
        loop {
            let count = match self.stream.read(buf) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Err(e),
            };
            self.take(&buf[..count], bench)?;
            // A short read has emptied the socket; what comes later makes an event again.
            if count < buf.len() && !to_the_end {
                return Ok(());
            }
        }
    }

    fn take(&mut self, received: &[u8], bench: &mut Bench<'_>) -> io::Result<()> {
        let mut joined = Vec::new();
        let mut bytes = received;
        if !self.partial.is_empty() {
            joined.append(&mut self.partial);
            joined.extend_from_slice(received);
            bytes = &joined;
        }
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.line(&bytes[..end], bench);
            bytes = &bytes[end + 1..];
        }
        if bytes.len() > LINE_BYTES_MAX {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.partial.extend_from_slice(bytes);
        Ok(())
    }

    fn line(&mut self, line: &[u8], bench: &mut Bench<'_>) {
        let Some(request) = floor_line::read(line) else { return };
        match request.method {
            b"mining.submit" => {
                let answer = bench.submit(self.extranonce1, &request.params);
                self.reply(request.id, answer.err().unwrap_or(TRUE));
            }
            b"mining.subscribe" => {
                let own = hex::encode(self.extranonce1);
                let result = format!(
                    "\"result\":[[[\"mining.notify\",\"{own}\"]],\"{own}\",{EXTRANONCE2_BYTES}],\
                     \"error\":null"
                );
                self.reply(request.id, result.as_bytes());
            }
            b"mining.authorize" => {
                self.reply(request.id, TRUE);
                if let Some(job) = bench.jobs.last() {
                    let k = bench.target.0.leading_zeros();
                    let class = u8::try_from(k).ok().and_then(Class::new).unwrap_or(Class::ZERO);
                    let d = class.wire_difficulty(gruve_units::Algorithm::Sha256d);
                    let line = format!(
                        "{{\"id\":null,\"method\":\"mining.set_difficulty\",\"params\":[{d}]}}\n"
                    );
                    self.out.extend_from_slice(line.as_bytes());
                    self.out.extend_from_slice(&job.notify);
                    self.is_mining = true;
                }
            }
            _ => self.reply(request.id, OTHER),
        }
    }

    fn reply(&mut self, id: &[u8], what: &[u8]) {
        self.out.extend_from_slice(b"{\"id\":");
        self.out.extend_from_slice(id);
        self.out.push(b',');
        self.out.extend_from_slice(what);
        self.out.extend_from_slice(b"}\n");
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            match self.stream.write(&self.out) {
                Ok(count) if count == self.out.len() => self.out.clear(),
                Ok(count) => drop(self.out.drain(..count)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}

const TRUE: &[u8] = b"\"result\":true,\"error\":null";
const OTHER: &[u8] = b"\"result\":false,\"error\":[20,\"not understood\",null]";
const STALE: &[u8] = b"\"result\":false,\"error\":[21,\"no such job\",null]";
const LOW: &[u8] = b"\"result\":false,\"error\":[23,\"low difficulty\",null]";

impl Bench<'_> {
    /// Checks a share: nothing when it is good, else what to answer.
    fn submit(&mut self, extranonce1: [u8; 4], params: &[&[u8]; 6]) -> Result<(), &'static [u8]> {
        let [_, job, extranonce2, ntime, nonce, _] = params;
        let job = self.jobs.iter().rev().find(|j| j.name.as_bytes() == *job).ok_or(STALE)?;
        let extranonce2: [u8; EXTRANONCE2_BYTES] = unhex(extranonce2).ok_or(OTHER)?;
        let ntime = u32::from_be_bytes(unhex(ntime).ok_or(OTHER)?);
        let nonce = u32::from_be_bytes(unhex(nonce).ok_or(OTHER)?);
        let mut coinbase = job.beginning.clone();
        coinbase.update(extranonce1);
        coinbase.update(extranonce2);
        coinbase.update(&job.suffix);
        let mut root: [u8; 32] = Sha256::digest(coinbase.finalize()).into();
        let mut pair = [0; 64];
        for sibling in &job.branch {
            pair[..32].copy_from_slice(&root);
            pair[32..].copy_from_slice(sibling);
            root = Sha256::digest(Sha256::digest(pair)).into();
        }
        let mut header = [0; 80];
        header[..4].copy_from_slice(&job.version.to_le_bytes());
        header[4..36].copy_from_slice(&job.prev_hash);
        header[36..68].copy_from_slice(&root);
        header[68..72].copy_from_slice(&ntime.to_le_bytes());
        header[72..76].copy_from_slice(&job.bits.to_le_bytes());
        header[76..].copy_from_slice(&nonce.to_le_bytes());
        let hash: [u8; 32] = Sha256::digest(Sha256::digest(header)).into();
        if !self.target.is_met_by(&hash) {
            return Err(LOW);
        }
        *self.accepted += 1;
        Ok(())
    }
}

impl FloorJob {
    /// A job of the same shape as the gateway's.
    fn build(number: u64, time: u32, class: Class) -> Result<FloorJob, BenchError> {
        let template = template(number, time);
        let spec = JobSpec {
            id: JobId(number),
            epoch: EpochNumber(2),
            checkpoint_epoch: EpochNumber(0),
            commitment: [0xcd; 32],
            tag: [&b"/gruve bench/"[..], &number.to_be_bytes()].concat(),
            pay_to: vec![(vec![0x51], template.coinbase_value)],
            extranonce_len: 4 + EXTRANONCE2_BYTES,
        };
        let job = Job::build(template.into(), spec).map_err(BenchError::Job)?;
        let name = format!("{number:016x}{:02x}", class.k());
        let suffix = job.coinbase_suffix(class);
        Ok(FloorJob {
            notify: notify(&job, &name, &suffix).into_bytes(),
            name,
            version: job.version(),
            prev_hash: *job.prev_hash(),
            bits: job.bits(),
            beginning: Sha256::new_with_prefix(job.coinbase_prefix()),
            suffix,
            branch: job.branch().to_vec(),
        })
    }
}

fn notify(job: &Job, name: &str, suffix: &[u8]) -> String {
    let mut prev_hash = *job.prev_hash();
    prev_hash.chunks_exact_mut(4).for_each(<[u8]>::reverse);
    let branch: Vec<_> = job.branch().iter().map(|s| format!("\"{}\"", hex::encode(s))).collect();
    let mut line = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        line,
        "{{\"id\":null,\"method\":\"mining.notify\",\"params\":[\"{name}\",\"{}\",\"{}\",\"{}\",[{}],\
         \"{:08x}\",\"{:08x}\",\"{:08x}\",false]}}",
        hex::encode(prev_hash),
        hex::encode(job.coinbase_prefix()),
        hex::encode(suffix),
        branch.join(","),
        job.version(),
        job.bits(),
        job.ntime(),
    );
    line
}
