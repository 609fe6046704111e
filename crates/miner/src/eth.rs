//! Mining Ethash and Etchash with the epoch's cache alone, some hundred hashes a second and core: slow,
//! but with nothing to prepare, which is what a reference and a demonstration need.
//!
//! It speaks NiceHash's EthereumStratum/1.0.0: the server gives each connection its own first bytes of
//! the nonce, the miner the rest, counted up over its whole life, so that no nonce is tried twice.

use crate::accepted::{AcceptedLog, AcceptedShare};
use crate::stats::Counters;
use crate::{MinerOptions, Workplace};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light_many};
use gruve_stratum::target_of_wire_difficulty;
use gruve_units::{Algorithm, Target};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, watch};

/// Hashes between two looks at the work: some tens of milliseconds, as the library interleaves them.
const BATCH: u64 = 8;

/// A line at most: a notify is some 250 bytes.
const LINE_MAX: u64 = 64 << 10;

/// Lines that wait for the session.
const LINES_MAX: usize = 64;

/// Shares sent and not answered at most; the oldest is then given up as unanswered.
const IN_FLIGHT_MAX: usize = 256;

/// The first wait before connecting again, and the longest.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// From connecting to the login's answer at most.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// How long a stopping miner waits for answers.
const FAREWELL: Duration = Duration::from_secs(3);

/// How often the rate is sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The code of a refusal for coming too late.
const STALE: i64 = 21;

/// What is mined now.
struct EthJob {
    number: u64,
    id: String,
    header: [u8; 32],
    target: Target,
    cache: Arc<LightCache>,
    part: Part,
}

/// A connection's own first bytes of the nonces.
#[derive(Clone, Debug)]
struct Part {
    text: String,
    first: u64,
    rest_bytes: usize,
}

impl Part {
    fn read(text: &str) -> Option<Part> {
        // At least two bytes are left to the miner.
        let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
        if text.len() > 12 || !text.len().is_multiple_of(2) || !is_hex {
            return None;
        }
        let bits = 4 * text.len();
        let value = if text.is_empty() { 0 } else { u64::from_str_radix(text, 16).ok()? };
        let first = if bits == 0 { 0 } else { value << (64 - bits) };
        Some(Part { text: text.to_owned(), first, rest_bytes: 8 - text.len() / 2 })
    }

    /// The `n`-th nonce of this part.
    fn nonce(&self, n: u64) -> u64 {
        let mask = u64::MAX.checked_shr(64 - 8 * u32::try_from(self.rest_bytes).unwrap_or(8));
        self.first | (n & mask.unwrap_or(u64::MAX))
    }

    /// What the miner adds to the server's bytes.
    fn rest(&self, nonce: u64) -> String {
        hex::encode(nonce.to_be_bytes().get(8 - self.rest_bytes..).unwrap_or_default())
    }
}

/// A share.
pub(crate) struct EthFound {
    job: Arc<EthJob>,
    nonce: u64,
    hash: [u8; 32],
}

/// Where the threads fetch their work.
pub(crate) struct EthBench {
    current: Mutex<Option<Arc<EthJob>>>,
    changed: Condvar,
    number: AtomicU64,
    stopped: AtomicBool,
    next: AtomicU64,
}

impl std::fmt::Debug for EthBench {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EthBench").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Workplace for EthBench {
    fn stop(&self) {
        let _current = self.lock();
        self.stopped.store(true, Ordering::SeqCst);
        self.changed.notify_all();
    }
}

impl EthBench {
    pub(crate) fn new() -> EthBench {
        EthBench {
            current: Mutex::new(None),
            changed: Condvar::new(),
            number: AtomicU64::new(0),
            stopped: AtomicBool::new(false),
            next: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<EthJob>>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, job: Option<Arc<EthJob>>) {
        let mut current = self.lock();
        self.number.store(job.as_ref().map_or(0, |j| j.number), Ordering::SeqCst);
        *current = job;
        self.changed.notify_all();
    }

    /// Waits for work; `None` when the miner stops.
    fn take(&self) -> Option<Arc<EthJob>> {
        let mut current = self.lock();
        loop {
            if self.stopped.load(Ordering::SeqCst) {
                return None;
            }
            if let Some(job) = &*current {
                return Some(Arc::clone(job));
            }
            current = self.changed.wait(current).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn is_current(&self, job: &EthJob) -> bool {
        self.number.load(Ordering::Relaxed) == job.number && !self.stopped.load(Ordering::Relaxed)
    }

    /// Waits until `until`, or until the miner stops.
    fn rest_until(&self, until: Instant) {
        let mut current = self.lock();
        while !self.stopped.load(Ordering::SeqCst) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(current, left);
            current = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Mines until the bench is stopped. `limit` is in hashes a second.
pub(crate) fn mine(
    bench: &EthBench,
    counters: &Counters,
    limit: Option<u64>,
    found: &mpsc::Sender<EthFound>,
) {
    if limit == Some(0) {
        return;
    }
    // Under a limit in steps of a tenth of a second at most.
    let batch = limit.map_or(BATCH, |limit| (limit / 10).clamp(1, BATCH));
    let mut due = Instant::now();
    while let Some(job) = bench.take() {
        while bench.is_current(&job) {
            let from = bench.next.fetch_add(batch, Ordering::Relaxed);
            let tries: Vec<_> =
                (0..batch).map(|n| (job.header, job.part.nonce(from.wrapping_add(n)))).collect();
            let hashes = hash_light_many(&job.cache, &tries);
            counters.add_hashes(u32::try_from(batch).unwrap_or(1));
            for ((_, nonce), (_, hash)) in tries.iter().zip(hashes) {
                let is_share = Target::from_be_bytes(hash).0 <= job.target.0;
                let share = EthFound { job: Arc::clone(&job), nonce: *nonce, hash };
                if is_share && found.blocking_send(share).is_err() {
                    return;
                }
            }
            if let Some(limit) = limit {
                let now = Instant::now();
                let step = Duration::from_nanos(batch * 1_000_000_000 / limit);
                // What was lost is caught up for a fifth of a second at most.
                due = due.max(now.checked_sub(Duration::from_millis(200)).unwrap_or(now)) + step;
                bench.rest_until(due);
            }
        }
    }
}

/// What the connecting task needs.
pub(crate) struct EthSession {
    pub(crate) address: String,
    pub(crate) options: MinerOptions,
    pub(crate) counters: Arc<Counters>,
    pub(crate) bench: Arc<EthBench>,
    pub(crate) log: Option<AcceptedLog>,
    pub(crate) stop: watch::Receiver<bool>,
    pub(crate) jobs: u64,
    pub(crate) cache: Option<([u8; 32], Arc<LightCache>)>,
}

/// One connection.
struct Line {
    lines: mpsc::Receiver<Value>,
    write: OwnedWriteHalf,
    part: Part,
    target: Target,
    next_id: u64,
    open: HashMap<u64, EthFound>,
    /// Jobs before this one are worthless.
    first: u64,
}

impl EthSession {
    /// Connects and mines until told to stop.
    pub(crate) async fn run(mut self, mut shares: mpsc::Receiver<EthFound>) {
        let mut stop = self.stop.clone();
        let mut back_off = BACK_OFF_MIN;
        while !*stop.borrow() {
            let connected = tokio::select! {
                c = tokio::time::timeout(HANDSHAKE_MAX, self.connect()) => c,
                () = told_to(&mut stop) => break,
            };
            let why = match connected {
                Err(_) => "no answer to the login".to_owned(),
                Ok(Err(why)) => why,
                Ok(Ok(line)) => {
                    self.counters.note(|s| {
                        s.connected = true;
                        s.connections += 1;
                    });
                    back_off = BACK_OFF_MIN;
                    self.serve(line, &mut shares).await
                }
            };
            self.bench.set(None);
            self.counters.note(|s| {
                s.connected = false;
                s.last_error = Some(why.clone());
            });
            // Without the threads, which end with the miner, there is nothing to connect for.
            if *stop.borrow() || shares.is_closed() {
                break;
            }
            tracing::warn!(address = self.address, why, "not connected");
            let until = tokio::time::Instant::now() + back_off;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    () = told_to(&mut stop) => return,
                    Some(_) = shares.recv() => self.counters.note(|s| s.stale += 1),
                }
            }
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }

    async fn connect(&self) -> Result<Line, String> {
        let stream = TcpStream::connect(&self.address).await.map_err(|e| e.to_string())?;
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        let (read, write) = stream.into_split();
        let (out, lines) = mpsc::channel(LINES_MAX);
        tokio::spawn(read_lines(read, out));
        let part = Part { text: String::new(), first: 0, rest_bytes: 8 };
        let (open, target) = (HashMap::new(), Target::MAX);
        let mut line = Line { lines, write, part, target, next_id: 3, open, first: self.jobs + 1 };
        let agent = concat!("gruve-miner/", env!("CARGO_PKG_VERSION"));
        line.send(1, "mining.subscribe", &json!([agent, "EthereumStratum/1.0.0"])).await?;
        let answer = line.answer(1).await?;
        let part = answer.get(1).and_then(Value::as_str).and_then(Part::read);
        line.part = part.ok_or("the server does not speak EthereumStratum/1.0.0")?;
        Ok(line)
    }

    /// Mines on one connection until it ends; says why it ended.
    async fn serve(&mut self, mut line: Line, shares: &mut mpsc::Receiver<EthFound>) -> String {
        let login = json!([self.options.user, self.options.password]);
        if let Err(why) = line.send(2, "mining.authorize", &login).await {
            return why;
        }
        let mut stop = self.stop.clone();
        let mut tick = tokio::time::interval(SAMPLE_EVERY);
        let why = loop {
            let step = tokio::select! {
                biased;
                () = told_to(&mut stop) => break "stopped".to_owned(),
                said = line.lines.recv() => match said {
                    None => Err("the connection is closed".to_owned()),
                    Some(said) => self.heard(&mut line, &said).await,
                },
                found = shares.recv() => match found {
                    None => Err("the mining threads are gone".to_owned()),
                    Some(found) => self.submit(&mut line, found).await,
                },
                _ = tick.tick() => {
                    self.counters.sample();
                    Ok(())
                }
            };
            if let Err(why) = step {
                break why;
            }
        };
        self.bench.set(None);
        let farewell = tokio::time::Instant::now() + FAREWELL;
        while !line.open.is_empty() {
            match tokio::time::timeout_at(farewell, line.lines.recv()).await {
                Ok(Some(said)) => self.answered(&mut line, &said),
                _ => break,
            }
        }
        let lost = u64::try_from(line.open.len()).unwrap_or(u64::MAX);
        self.counters.note(|s| s.unanswered += lost);
        why
    }

    async fn heard(&mut self, line: &mut Line, said: &Value) -> Result<(), String> {
        let params = &said["params"];
        match said["method"].as_str() {
            None if said["id"].as_u64() == Some(2) => {
                if said["result"] != Value::Bool(true) {
                    return Err(format!("the login is refused: {}", words(said)));
                }
            }
            None => self.answered(line, said),
            Some("mining.set_difficulty") => {
                let d = params[0].as_f64();
                let target = d.and_then(|d| target_of_wire_difficulty(self.options.algorithm, d));
                line.target = target.ok_or("a difficulty that cannot be")?;
                self.counters.note(|s| s.difficulty = d);
            }
            Some("mining.set_extranonce") => {
                let part = params[0].as_str().and_then(Part::read);
                line.part = part.ok_or("an extranonce that cannot be")?;
            }
            Some("mining.notify") => self.take_up(line, params).await?,
            Some(_) => {}
        }
        Ok(())
    }

    /// Puts a job before the mining threads, once its epoch's cache is there.
    async fn take_up(&mut self, line: &mut Line, params: &Value) -> Result<(), String> {
        let hash = |n: usize| params[n].as_str().and_then(hash_of);
        let (Some(id), Some(seed), Some(header)) = (params[0].as_str(), hash(1), hash(2)) else {
            return Err("work that cannot be read".to_owned());
        };
        let cache = self.cache_of(seed).await?;
        self.jobs += 1;
        if params[3].as_bool().unwrap_or(true) {
            line.first = self.jobs;
        }
        self.bench.set(Some(Arc::new(EthJob {
            number: self.jobs,
            id: id.to_owned(),
            header,
            target: line.target,
            cache,
            part: line.part.clone(),
        })));
        Ok(())
    }

    async fn cache_of(&mut self, seed: [u8; 32]) -> Result<Arc<LightCache>, String> {
        if let Some((of, cache)) = &self.cache
            && *of == seed
        {
            return Ok(Arc::clone(cache));
        }
        self.bench.set(None);
        let algorithm = self.options.algorithm;
        let made = tokio::task::spawn_blocking(move || {
            EthashEpoch::of_seed(algorithm, &seed).map(|epoch| Arc::new(LightCache::new(epoch)))
        });
        let made = made.await.map_err(|e| e.to_string())?;
        let cache = made.ok_or("work of an unknown epoch: another algorithm?")?;
        self.cache = Some((seed, Arc::clone(&cache)));
        Ok(cache)
    }

    async fn submit(&self, line: &mut Line, found: EthFound) -> Result<(), String> {
        if found.job.number < line.first {
            self.counters.note(|s| s.stale += 1);
            return Ok(());
        }
        let id = line.next_id;
        line.next_id += 1;
        let rest = found.job.part.rest(found.nonce);
        let params = json!([self.options.user, found.job.id, rest]);
        if line.open.len() >= IN_FLIGHT_MAX {
            return Err("the server answers no shares".to_owned());
        }
        line.open.insert(id, found);
        line.send(id, "mining.submit", &params).await
    }

    /// Counts the answer to a share; an accepted one goes into the log.
    fn answered(&mut self, line: &mut Line, said: &Value) {
        let Some(found) = said["id"].as_u64().and_then(|id| line.open.remove(&id)) else { return };
        if said["result"] == Value::Bool(true) {
            self.counters.note(|s| s.accepted += 1);
            self.write_down(&found);
            return;
        }
        let code = said["error"][0].as_i64().or_else(|| said["error"]["code"].as_i64());
        let why = words(said);
        self.counters.note(|s| {
            let counter = if code == Some(STALE) { &mut s.stale } else { &mut s.rejected };
            *counter += 1;
            s.last_error = Some(format!("share refused: {why}"));
        });
    }

    fn write_down(&mut self, found: &EthFound) {
        let Some(log) = &mut self.log else { return };
        let share = AcceptedShare {
            job_id: found.job.id.clone(),
            extranonce1: found.job.part.text.clone(),
            extranonce2: found.job.part.rest(found.nonce),
            ntime: String::new(),
            nonce: format!("{:016x}", found.nonce),
            version: String::new(),
            block_hash: hex::encode(found.hash),
            at: self.options.clock.now(),
        };
        if let Err(e) = log.append(&share) {
            tracing::error!("cannot write the accepted log: {e}");
            self.counters.note(|s| s.last_error = Some(format!("the accepted log: {e}")));
        }
    }
}

impl Line {
    async fn send(&mut self, id: u64, method: &str, params: &Value) -> Result<(), String> {
        let mut text = json!({ "id": id, "method": method, "params": params }).to_string();
        text.push('\n');
        self.write.write_all(text.as_bytes()).await.map_err(|e| e.to_string())
    }

    /// The result of the call `id`; what comes before it is not looked at.
    async fn answer(&mut self, id: u64) -> Result<Value, String> {
        while let Some(said) = self.lines.recv().await {
            if said["id"].as_u64() == Some(id) {
                return match said["error"] {
                    Value::Null => Ok(said["result"].clone()),
                    _ => Err(words(&said)),
                };
            }
        }
        Err("the connection is closed".to_owned())
    }
}

/// Waits until the miner is to stop.
async fn told_to(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn read_lines(read: OwnedReadHalf, out: mpsc::Sender<Value>) {
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut read).take(LINE_MAX).read_until(b'\n', &mut line).await {
            Ok(n) if n > 0 && line.ends_with(b"\n") => {}
            // The end, an error, or a line without end.
            _ => return,
        }
        let Ok(value) = serde_json::from_slice::<Value>(&line) else { return };
        if out.send(value).await.is_err() {
            return;
        }
    }
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut hash).ok()?;
    Some(hash)
}

/// A server's reason, shortened.
fn words(said: &Value) -> String {
    let error = &said["error"];
    let text = error.get(1).or_else(|| error.get("message")).unwrap_or(error);
    text.as_str().map_or_else(|| text.to_string(), str::to_owned).chars().take(200).collect()
}

/// Whether this module computes it.
pub(crate) const fn computes(algorithm: Algorithm) -> bool {
    matches!(algorithm, Algorithm::Ethash | Algorithm::Etchash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_begins_with_the_servers_bytes_and_ends_with_the_miners() {
        let part = Part::read("ab12").unwrap();
        let nonce = part.nonce(0x0102_0304_0506);
        assert_eq!(nonce, 0xab12_0102_0304_0506);
        assert_eq!(part.rest(nonce), "010203040506");
        assert_eq!(part.nonce(u64::MAX), 0xab12_ffff_ffff_ffff);
        let whole = Part::read("").unwrap();
        assert_eq!((whole.nonce(7), whole.rest(7).len()), (7, 16));
        for bad in ["a", "zz", "00000000000000", "+1"] {
            assert!(Part::read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_is_told_in_words_however_it_is_written() {
        assert_eq!(words(&json!({ "error": [21, "stale", null] })), "stale");
        assert_eq!(words(&json!({ "error": { "code": 1, "message": "no" } })), "no");
        assert_eq!(words(&json!({})), "null");
    }
}
