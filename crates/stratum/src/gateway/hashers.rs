//! Threads for hashes that take long: scrypt, Ethash. The connection rests meanwhile, all others
//! go on.
//!
//! Fair: each connection has at most one parcel here, and parcels take turns of a few hashes, so a
//! single share waits for a few hashes of each other connection and never for a whole flood.

use super::guarded::caught;
use super::serving::{Command, Post};
use super::slab::Key;
use super::solving;
use crate::protocol::{Part, Round, Solved, Step};
use gruve_units::Algorithm;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Hashes of one parcel in one turn: what the processor does side by side.
const TURN: usize = 8;

/// One connection's candidates, on their way through the pool.
pub(super) struct Parcel {
    /// Whose.
    pub(super) key: Key,
    /// Its part of a round, alone.
    pub(super) round: Round,
    pub(super) part: Part,
    /// Bytes they came in.
    pub(super) taken: usize,
    /// When they were seen: see [`super::connection::Connection`].
    pub(super) seen_us: u32,
    /// What comes after its answers.
    pub(super) step: Step,
    /// The answers so far, in order.
    pub(super) solved: Vec<Solved>,
    /// Hashing it has panicked, with these words: there are no more answers.
    pub(super) fault: Option<Box<str>>,
    pub(super) post: Post,
}

#[derive(Default)]
struct Queue {
    parcels: VecDeque<Parcel>,
    stopped: bool,
}

#[derive(Default)]
struct Pool {
    queue: Mutex<Queue>,
    bell: Condvar,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next parcel in turn; `None` when it is over.
    fn next(&self) -> Option<Parcel> {
        let mut queue = self.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(parcel) = queue.parcels.pop_front() {
                return Some(parcel);
            }
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, parcel: Parcel) {
        self.lock().parcels.push_back(parcel);
        self.bell.notify_one();
    }
}

/// The pool; its threads end when it is dropped.
pub(super) struct Hashers {
    pool: Option<Arc<Pool>>,
}

impl Hashers {
    /// None for an algorithm that is hashed at once.
    pub(super) fn start(algorithm: Algorithm, threads: usize) -> std::io::Result<Hashers> {
        if algorithm == Algorithm::Sha256d {
            return Ok(Hashers { pool: None });
        }
        let pool = Arc::new(Pool::default());
        let hashers = Hashers { pool: Some(Arc::clone(&pool)) };
        for n in 0..threads.max(1) {
            let pool = Arc::clone(&pool);
            std::thread::Builder::new()
                .name(format!("stratum-hash-{n}"))
                .spawn(move || work(&pool, algorithm))?;
        }
        Ok(hashers)
    }

    /// Whether candidates are to be brought here.
    pub(super) fn are_wanted(&self) -> bool {
        self.pool.is_some()
    }

    /// Candidates that wait or are in their turn.
    pub(super) fn waiting(&self) -> usize {
        let Some(pool) = &self.pool else { return 0 };
        let left = |p: &Parcel| p.part.candidates.1 - p.part.candidates.0 - p.solved.len();
        pool.lock().parcels.iter().map(left).sum()
    }

    /// Takes a parcel; it comes back as [`Command::Hashed`].
    pub(super) fn take(&self, parcel: Parcel) {
        if let Some(pool) = &self.pool {
            pool.put(parcel);
        }
    }
}

impl Drop for Hashers {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            let mut queue = pool.lock();
            queue.stopped = true;
            queue.parcels.clear();
            pool.bell.notify_all();
        }
    }
}

fn work(pool: &Pool, algorithm: Algorithm) {
    let mut solver = solving::Solver::new(algorithm);
    while let Some(mut parcel) = pool.next() {
        let from = parcel.part.candidates.0 + parcel.solved.len();
        let to = parcel.part.candidates.1.min(from + TURN);
        let Parcel { round, solved, .. } = &mut parcel;
        // A thread that ended would leave all who wait for it waiting.
        if let Err(words) = caught(|| solver.solve(&round.candidates[from..to], solved)) {
            solver = solving::Solver::new(algorithm);
            parcel.fault = Some(words);
        }
        if to < parcel.part.candidates.1 && parcel.fault.is_none() {
            pool.put(parcel);
        } else {
            let post = parcel.post.clone();
            post.send(Command::Hashed(Box::new(parcel)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::serving::tests::post;
    use super::super::slab::Slab;
    use super::*;
    use crate::gateway::solving::tests::candidates;
    use std::time::Duration;

    #[test]
    fn one_share_waits_for_a_few_of_others_and_not_for_a_whole_flood() {
        let (_poll, post, commands) = post();
        let hashers = Hashers::start(Algorithm::Scrypt, 1).unwrap();
        let mut keys = Slab::new();
        let mut parcel = |count: usize| {
            let round = Round { candidates: candidates(count), ..Round::default() };
            Parcel {
                key: keys.insert(()),
                round,
                part: Part { text: (0, 0), candidates: (0, count) },
                taken: 0,
                seen_us: 0,
                step: Step::Continue,
                solved: Vec::new(),
                fault: None,
                post: post.clone(),
            }
        };
        let (flood, single) = (parcel(640), parcel(1));
        let single_key = single.key;
        hashers.take(flood);
        hashers.take(single);
        let mut order = Vec::new();
        for _ in 0..2 {
            let Ok(Command::Hashed(parcel)) = commands.recv_timeout(Duration::from_secs(60)) else {
                panic!("a parcel did not come back");
            };
            assert_eq!(parcel.solved.len(), parcel.round.candidates.len());
            order.push(parcel.key);
        }
        assert_eq!(order[0], single_key);
    }

    #[test]
    fn a_panic_in_hashing_comes_back_as_the_fault_of_its_parcel_and_the_thread_goes_on() {
        let (_poll, post, commands) = post();
        let hashers = Hashers::start(Algorithm::Scrypt, 1).unwrap();
        let mut keys = Slab::new();
        for count in [0, 1] {
            let round = Round { candidates: candidates(count), ..Round::default() };
            hashers.take(Parcel {
                key: keys.insert(()),
                round,
                // One candidate, whether there is one or not.
                part: Part { text: (0, 0), candidates: (0, 1) },
                taken: 0,
                seen_us: 0,
                step: Step::Continue,
                solved: Vec::new(),
                fault: None,
                post: post.clone(),
            });
            let Ok(Command::Hashed(parcel)) = commands.recv_timeout(Duration::from_secs(60)) else {
                panic!("a parcel did not come back");
            };
            assert_eq!((parcel.fault.is_some(), parcel.solved.len()), (count == 0, count));
        }
    }
}
