//! One connection after the other: jobs in, shares out, answers counted.

use crate::accepted::{AcceptedLog, AcceptedShare};
use crate::stats::Counters;
use crate::work::{Bench, Found, Work};
use gruve_pow::sha256d;
use gruve_stratum::client::{
    Client, ClientError, ClientJob, ConnectOptions, Event, Events, Reply, connect,
};
use gruve_stratum::target_of_wire_difficulty;
use gruve_units::{Algorithm, Clock};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// The first wait before connecting again, and the longest. Doubling between: a server that
/// restarts is back within a second or two, one that is down is not hammered.
const BACK_OFF_MIN: Duration = Duration::from_millis(250);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// A connection that stood this long was a good one: the next wait is the first again.
const GOOD_AFTER: Duration = Duration::from_secs(10);

/// Shares sent and not answered at most; then new ones wait in the queue.
const IN_FLIGHT_MAX: usize = 64;

/// The version bits one would like to roll: those that BIP 320 leaves to miners.
const VERSION_MASK: u32 = 0x1fff_e000;

/// How long a stopping miner waits for answers.
const FAREWELL: Duration = Duration::from_secs(3);

/// How often the rate is sampled.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The code of a refusal for coming too late.
const STALE: i64 = 21;

/// What the connecting task needs.
pub(crate) struct Session {
    pub(crate) address: String,
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) bench: Arc<Bench>,
    pub(crate) log: Option<AcceptedLog>,
    pub(crate) stop: watch::Receiver<bool>,
}

/// Which works are worth submitting on this connection.
#[derive(Clone, Copy, Debug)]
struct Worth {
    /// Works before this one are worthless: another connection's, or dropped by a clean job.
    first: u64,
    /// The number of the next work.
    next: u64,
}

type Answers = JoinSet<(Found, Result<Reply, ClientError>)>;

impl Session {
    /// Connects and mines until told to stop.
    pub(crate) async fn run(mut self, mut shares: mpsc::Receiver<Found>) {
        let mut worth = Worth { first: 1, next: 1 };
        let mut back_off = BACK_OFF_MIN;
        let mut asks_to_roll = true;
        let mut stop = self.stop.clone();
        while !*stop.borrow() {
            let mut options = ConnectOptions::new(
                &self.address,
                &self.user,
                &self.password,
                concat!("gruve-miner/", env!("CARGO_PKG_VERSION")),
            );
            options.timeout = Duration::from_secs(10);
            options.version_mask = asks_to_roll.then_some(VERSION_MASK);
            let connected = tokio::select! {
                c = connect(&options) => c,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            let why = match connected {
                Err(e) => {
                    // Some servers close on a question they do not know: the next time without it.
                    asks_to_roll = !asks_to_roll || !matches!(e, ClientError::Closed);
                    e.to_string()
                }
                Ok((client, events)) => {
                    tracing::info!(address = self.address, user = self.user, "connected");
                    self.counters.note(|s| {
                        s.connected = true;
                        s.connections += 1;
                    });
                    let since = Instant::now();
                    let why = self.serve(&client, events, &mut shares, &mut worth).await;
                    self.bench.set(None);
                    if since.elapsed() >= GOOD_AFTER {
                        back_off = BACK_OFF_MIN;
                    }
                    why
                }
            };
            worth.first = worth.next;
            self.counters.note(|s| {
                s.connected = false;
                s.last_error = Some(why.clone());
            });
            // Without the threads, which end with the miner, there is nothing to connect for.
            if *stop.borrow() || shares.is_closed() {
                break;
            }
            tracing::warn!(address = self.address, why, "not connected");
            if !self.wait(back_off, &mut shares, worth).await {
                break;
            }
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
        self.bench.set(None);
    }

    /// Waits before connecting again, dropping shares of the lost connection so that no mining
    /// thread waits for them to go. False when told to stop.
    async fn wait(
        &mut self,
        span: Duration,
        shares: &mut mpsc::Receiver<Found>,
        worth: Worth,
    ) -> bool {
        let until = Instant::now() + span;
        let mut stop = self.stop.clone();
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                _ = stop.wait_for(|stop| *stop) => return false,
                found = shares.recv() => match found {
                    None => return false,
                    Some(found) => debug_assert!(found.take.work.number < worth.first),
                },
            }
            self.counters.note(|s| s.stale += 1);
        }
    }

    /// Mines on one connection until it ends; says why it ended.
    async fn serve(
        &mut self,
        client: &Client,
        mut events: Events,
        shares: &mut mpsc::Receiver<Found>,
        worth: &mut Worth,
    ) -> String {
        let mut answers = Answers::new();
        let mut tick = tokio::time::interval(SAMPLE_EVERY);
        let mut stop = self.stop.clone();
        let mut version_mask = client.version_mask();
        let mut latest = None;
        let why = loop {
            tokio::select! {
                // Jobs first: a share of a dropped job is then not sent.
                biased;
                _ = stop.wait_for(|stop| *stop) => break "stopped".to_owned(),
                event = events.next() => match event {
                    Event::Job(job) => {
                        latest = Some(Arc::clone(&job));
                        self.take_up(job, version_mask, worth);
                    }
                    Event::VersionMask(mask) => {
                        version_mask = mask & VERSION_MASK;
                        if let Some(job) = &latest {
                            self.take_up(Arc::clone(job), version_mask, worth);
                        }
                    }
                    Event::Difficulty(d) => self.counters.note(|s| s.difficulty = Some(d)),
                    Event::Message(words) => tracing::info!(words, "the server says"),
                    Event::Extranonce { .. } => {}
                    Event::Disconnected(why) => break why,
                },
                Some(answer) = answers.join_next() => self.count(answer.ok()),
                found = shares.recv(), if answers.len() < IN_FLIGHT_MAX => match found {
                    None => break "the mining threads are gone".to_owned(),
                    Some(found) => self.submit(found, client, *worth, &mut answers),
                },
                _ = tick.tick() => self.counters.sample(),
            }
        };
        self.bench.set(None);
        // What was sent may still be answered, above all when it is we who stop.
        let farewell = Instant::now() + FAREWELL;
        while let Ok(Some(answer)) = tokio::time::timeout_at(farewell, answers.join_next()).await {
            self.count(answer.ok());
        }
        let lost = u64::try_from(answers.len()).unwrap_or(u64::MAX);
        self.counters.note(|s| s.unanswered += lost);
        why
    }

    /// Puts a job before the mining threads.
    fn take_up(&self, job: Arc<ClientJob>, version_mask: u32, worth: &mut Worth) {
        let Some(target) = target_of_wire_difficulty(self.algorithm, job.difficulty) else {
            tracing::warn!(difficulty = job.difficulty, "a job of no possible difficulty");
            return;
        };
        let number = worth.next;
        worth.next += 1;
        if job.clean {
            worth.first = number;
        }
        self.bench.set(Some(Arc::new(Work { number, job, target, version_mask })));
    }

    fn submit(&self, found: Found, client: &Client, worth: Worth, answers: &mut Answers) {
        if found.take.work.number < worth.first {
            self.counters.note(|s| s.stale += 1);
            return;
        }
        let client = client.clone();
        answers.spawn(async move {
            let take = &found.take;
            let (job, en2) = (&take.work.job, &take.extranonce2);
            let bits = (take.work.version_mask != 0).then_some(take.version_bits);
            let reply = client.submit(&job.id, en2, take.ntime, found.nonce, bits).await;
            (found, reply)
        });
    }

    /// Counts an answer; an accepted share goes into the log. `None`: the submission was cut off.
    fn count(&mut self, answer: Option<(Found, Result<Reply, ClientError>)>) {
        match answer {
            Some((found, Ok(Reply::Accepted))) => {
                self.counters.note(|s| s.accepted += 1);
                self.write_down(&found);
            }
            Some((_, Ok(Reply::Rejected { code, message }))) => {
                tracing::debug!(code, message, "share refused");
                self.counters.note(|s| {
                    let counter = if code == STALE { &mut s.stale } else { &mut s.rejected };
                    *counter += 1;
                    s.last_error = Some(format!("share refused: {code} {message}"));
                });
            }
            Some((_, Err(_))) | None => self.counters.note(|s| s.unanswered += 1),
        }
    }

    fn write_down(&mut self, found: &Found) {
        let Some(log) = &mut self.log else { return };
        let (take, job) = (&found.take, &found.take.work.job);
        let mut hash = sha256d(&take.header(found.nonce));
        hash.reverse();
        let line = AcceptedShare {
            job_id: job.id.clone(),
            extranonce1: hex::encode(&job.extranonce1),
            extranonce2: hex::encode(&take.extranonce2),
            ntime: format!("{:08x}", take.ntime),
            nonce: format!("{:08x}", found.nonce),
            version: format!("{:08x}", take.version()),
            block_hash: hex::encode(hash),
            at: self.clock.now(),
        };
        if let Err(e) = log.append(&line) {
            tracing::error!("cannot write the accepted log: {e}");
            self.counters.note(|s| s.last_error = Some(format!("the accepted log: {e}")));
        }
    }
}
