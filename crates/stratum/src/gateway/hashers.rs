//! Threads for hashes that take long: scrypt, Ethash. The connection rests meanwhile, all others
//! go on.
//!
//! Fair: each connection has at most one parcel here, and parcels take turns of a few hashes: first
//! addresses with each other, then the parcels of one address. So a single share waits for a few hashes of
//! each other address and never for a whole flood, from however many connections. Those of connections
//! that have brought more good than bad go first, with the first of machines that are known ([`super::known`]); of all others together every fourth turn is, so that
//! strangers with a handful of bad shares each cost who mines a quarter and not minutes.
//!
//! A parcel whose cache is not there yet (Ethash, at the border of an epoch) is set aside, and no thread
//! waits with it.

use super::guarded::caught;
use super::known::Trust;
use super::serving::{Command, Post};
use super::slab::Key;
use super::solving;
use crate::protocol::{Candidate, Part, Puzzle, Round, Solved, Step};
use gruve_units::Algorithm;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Hashes of one parcel in one turn: what the processor does side by side.
const TURN: usize = 8;

/// Of so many turns one is for those who have not brought good work.
const TURNS_FOR_ONE_OF_OTHERS: u8 = 4;

/// One connection's candidates, on their way through the pool.
pub(super) struct Parcel {
    /// Whose.
    pub(super) key: Key,
    /// Whether most of what it has brought was good work.
    pub(super) is_proven: bool,
    /// It has brought nothing yet, and is of a machine that has: see [`super::known`].
    pub(super) trust: Option<Trust>,
    /// The address it came from, where that is known.
    pub(super) from: Option<IpAddr>,
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

/// Parcels, address by address in turn.
#[derive(Default)]
struct Line {
    order: VecDeque<Option<IpAddr>>,
    /// Those of each address in the order; none is empty.
    of: HashMap<Option<IpAddr>, VecDeque<Parcel>>,
}

impl Line {
    fn push(&mut self, parcel: Parcel) {
        let from = parcel.from;
        let own = self.of.entry(from).or_default();
        if own.is_empty() {
            self.order.push_back(from);
        }
        own.push_back(parcel);
    }

    fn pop(&mut self) -> Option<Parcel> {
        let from = self.order.pop_front()?;
        let own = self.of.get_mut(&from)?;
        let parcel = own.pop_front();
        if own.is_empty() {
            self.of.remove(&from);
        } else {
            self.order.push_back(from);
        }
        parcel
    }

    fn all(&self) -> impl Iterator<Item = &Parcel> {
        self.of.values().flatten()
    }
}

#[derive(Default)]
struct Queue {
    proven: Line,
    others: Line,
    /// Turns since one was the others'.
    turns: u8,
    stopped: bool,
}

impl Queue {
    fn push(&mut self, parcel: Parcel) {
        // Where all is over nobody takes it out again.
        if !self.stopped {
            let is_first = parcel.is_proven || parcel.trust.is_some();
            let line = if is_first { &mut self.proven } else { &mut self.others };
            line.push(parcel);
        }
    }

    fn pop(&mut self) -> Option<Parcel> {
        self.turns += 1;
        if self.turns < TURNS_FOR_ONE_OF_OTHERS
            && let Some(parcel) = self.proven.pop()
        {
            return Some(parcel);
        }
        self.turns = 0;
        self.others.pop().or_else(|| self.proven.pop())
    }
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
            if let Some(parcel) = queue.pop() {
                return Some(parcel);
            }
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn put(&self, parcel: Parcel) {
        self.lock().push(parcel);
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
        let queue = pool.lock();
        queue.proven.all().chain(queue.others.all()).map(left).sum()
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
            (queue.proven, queue.others) = (Line::default(), Line::default());
            pool.bell.notify_all();
        }
    }
}

fn work(pool: &Arc<Pool>, algorithm: Algorithm) {
    let mut solver = solving::Solver::new(algorithm);
    while let Some(parcel) = pool.next() {
        let Some(mut parcel) = set_aside(pool, parcel) else { continue };
        let (from, to) = turn(&parcel);
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

/// Which of a parcel's candidates are hashed in its next turn.
fn turn(parcel: &Parcel) -> (usize, usize) {
    let from = parcel.part.candidates.0 + parcel.solved.len();
    (from, parcel.part.candidates.1.min(from + TURN))
}

/// Gives a parcel back that can be hashed; others come into the pool again when their cache is there.
fn set_aside(pool: &Arc<Pool>, parcel: Parcel) -> Option<Parcel> {
    let (from, to) = turn(&parcel);
    let unready = |c: &Candidate| match &c.puzzle {
        Puzzle::Ethash(work, _) if !work.pow().is_ready() => Some(Arc::clone(work.pow())),
        _ => None,
    };
    let next = parcel.round.candidates.get(from..to).unwrap_or_default();
    let Some(pow) = next.iter().find_map(unready) else { return Some(parcel) };
    // Whoever may do it has it, once.
    let kept = Arc::new(Mutex::new(Some(parcel)));
    let (pool, own) = (Arc::clone(pool), Arc::clone(&kept));
    let take =
        |kept: &Mutex<Option<Parcel>>| kept.lock().unwrap_or_else(PoisonError::into_inner).take();
    let then = move || {
        if let Some(parcel) = take(&own) {
            pool.put(parcel);
        }
    };
    pow.when_ready(Box::new(then)).and_then(|_| take(&kept))
}

#[cfg(test)]
mod tests {
    use super::super::serving::tests::post;
    use super::super::slab::Slab;
    use super::*;
    use crate::eth::EthWork;
    use crate::eth::verify::EpochPow;
    use crate::eth::verify::tests::{finish, unready};
    use crate::gateway::solving::tests::candidates;
    use gruve_chain::NodeWork;
    use gruve_units::{EpochNumber, JobId, Target, Timestamp};
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    /// A parcel of these candidates.
    fn parcel(key: Key, post: &Post, candidates: Vec<Candidate>) -> Parcel {
        let part = Part { text: (0, 0), candidates: (0, candidates.len()) };
        let round = Round { candidates, ..Round::default() };
        Parcel {
            key,
            is_proven: false,
            trust: None,
            from: None,
            round,
            part,
            taken: 0,
            seen_us: 0,
            step: Step::Continue,
            solved: Vec::new(),
            fault: None,
            post: post.clone(),
        }
    }

    fn hashed(commands: &Receiver<Command>) -> Parcel {
        let Ok(Command::Hashed(parcel)) = commands.recv_timeout(Duration::from_secs(60)) else {
            panic!("a parcel did not come back");
        };
        *parcel
    }

    #[test]
    fn one_share_waits_for_a_few_of_others_and_not_for_a_whole_flood() {
        let (_poll, post, commands) = post();
        let hashers = Hashers::start(Algorithm::Scrypt, 1).unwrap();
        let mut keys = Slab::new();
        let mut parcel = |count| parcel(keys.insert(()), &post, candidates(count));
        let (flood, single) = (parcel(640), parcel(1));
        let single_key = single.key;
        hashers.take(flood);
        hashers.take(single);
        let order = [hashed(&commands), hashed(&commands)];
        assert!(order.iter().all(|p| p.solved.len() == p.round.candidates.len()));
        assert_eq!(order[0].key, single_key);
    }

    #[test]
    fn who_brings_good_work_waits_for_one_strangers_turn_in_four_and_strangers_have_theirs() {
        let (_poll, post, _commands) = post();
        let mut keys = Slab::new();
        let mut queue = Queue::default();
        let mut push = |queue: &mut Queue, is_proven| {
            let parcel = parcel(keys.insert(()), &post, candidates(1));
            queue.push(Parcel { is_proven, ..parcel });
        };
        (0..100).for_each(|_| push(&mut queue, false));
        (0..9).for_each(|_| push(&mut queue, true));
        let order: Vec<bool> =
            std::iter::from_fn(|| queue.pop()).take(14).map(|p| p.is_proven).collect();
        let (yes, no) = (true, false);
        let expected = [yes, yes, yes, no, yes, yes, yes, no, yes, yes, yes, no, no, no];
        assert_eq!(order, expected);
        queue.stopped = true;
        let left = queue.others.all().count();
        push(&mut queue, false);
        assert_eq!(queue.others.all().count(), left, "where all is over nothing is kept");
    }

    /// At the easiest class good work costs next to nothing: thousands of connections may bring it.
    #[test]
    fn an_address_with_a_thousand_connections_has_one_turn_in_two_beside_another() {
        let (_poll, post, _commands) = post();
        let mut keys = Slab::new();
        let mut line = Line::default();
        let mut push = |line: &mut Line, from: [u8; 4]| {
            let parcel = parcel(keys.insert(()), &post, candidates(1));
            line.push(Parcel { from: Some(from.into()), ..parcel });
        };
        let (flood, honest) = ([192, 0, 2, 1], [192, 0, 2, 2]);
        (0..1000).for_each(|_| push(&mut line, flood));
        (0..3).for_each(|_| push(&mut line, honest));
        let order: Vec<_> = std::iter::from_fn(|| line.pop()).map(|p| p.from.unwrap()).collect();
        let expected = [flood, honest, flood, honest, flood, honest, flood, flood];
        assert_eq!(order[..8], expected.map(IpAddr::from));
        assert_eq!(order.len(), 1003);
        assert!(line.of.is_empty() && line.order.is_empty(), "nothing is kept of who has gone");
    }

    /// Shares of works of this epoch of the algorithm.
    fn of_epoch(pow: &Arc<EpochPow>, count: u64) -> Vec<Candidate> {
        let node = NodeWork {
            header_hash: [3; 32],
            seed_hash: pow.epoch().seed_hash(),
            target: Target::MAX,
            height: None,
        };
        let work = EthWork::new(JobId(1), EpochNumber(1), &node, Timestamp(0), Arc::clone(pow));
        let work = Arc::new(work);
        let mut all = candidates(usize::try_from(count).unwrap());
        for (candidate, nonce) in all.iter_mut().zip(0..) {
            candidate.puzzle = Puzzle::Ethash(Arc::clone(&work), nonce);
        }
        all
    }

    #[test]
    fn shares_of_an_epoch_whose_cache_is_being_made_keep_no_thread_from_others() {
        let (_poll, post, commands) = post();
        let hashers = Hashers::start(Algorithm::Ethash, 1).unwrap();
        let (next, now) = (unready(1), unready(0));
        finish(&now);
        let mut keys = Slab::new();
        let early: Vec<_> =
            (0..3).map(|_| parcel(keys.insert(()), &post, of_epoch(&next, 20))).collect();
        let early_keys: Vec<_> = early.iter().map(|p| p.key).collect();
        early.into_iter().for_each(|p| hashers.take(p));
        // They came first, and their cache is not there: all others go on.
        for _ in 0..5 {
            let other = parcel(keys.insert(()), &post, of_epoch(&now, 9));
            let key = other.key;
            hashers.take(other);
            let back = hashed(&commands);
            assert_eq!((back.key, back.solved.len()), (key, 9));
        }
        finish(&next);
        let mut late: Vec<_> = (0..3).map(|_| hashed(&commands)).collect();
        late.sort_by_key(|p| early_keys.iter().position(|key| *key == p.key));
        assert_eq!(late.iter().map(|p| p.key).collect::<Vec<_>>(), early_keys);
        assert!(late.iter().all(|p| p.solved.len() == 20), "waited for, not refused");
    }

    #[test]
    fn a_panic_in_hashing_comes_back_as_the_fault_of_its_parcel_and_the_thread_goes_on() {
        let (_poll, post, commands) = post();
        let hashers = Hashers::start(Algorithm::Scrypt, 1).unwrap();
        let mut keys = Slab::new();
        for count in [0, 1] {
            let parcel = parcel(keys.insert(()), &post, candidates(count));
            // One candidate, whether there is one or not.
            let part = Part { text: (0, 0), candidates: (0, 1) };
            hashers.take(Parcel { part, ..parcel });
            let back = hashed(&commands);
            assert_eq!((back.fault.is_some(), back.solved.len()), (count == 0, count));
        }
    }
}
