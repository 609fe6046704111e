//! Threads for hashes that take long: scrypt, Ethash. The connection rests meanwhile, all others
//! go on.
//!
//! Fair: each connection has at most one parcel here, and parcels take turns of a few hashes: first
//! addresses with each other, then the parcels of one address. So a single share waits for a few hashes of
//! each other address and never for a whole flood, from however many connections. Those of connections
//! that have brought more good than bad go first, with the first of machines that are known ([`super::known`]), also between
//! the hashes of a turn that has begun; of all others together every fourth turn is, so that
//! strangers with a handful of bad shares each cost who mines a quarter and not minutes. What is whose turn says [`queue`].
//!
//! Side by side: most miners hand in one share at a time, and the processor makes eight or twelve hashes in little more time
//! than one. So a turn takes from as many parcels of one line as it has room for.
//!
//! A parcel whose cache is not there yet (Ethash, at the border of an epoch) is set aside, and no thread
//! waits with it.

mod queue;

use super::guarded::caught;
use super::known::Trust;
use super::serving::{Command, Post};
use super::slab::Key;
use super::solving::Solver;
use crate::protocol::{Candidate, Part, Puzzle, Round, Solved, Step};
use gruve_units::Algorithm;
use queue::{Queue, Rank};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// Hashes in one turn: what the processor does side by side.
fn hashes_in_a_turn(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Scrypt => 12,
        _ => 8,
    }
}

/// Steps of a turn of others (Ethash: 64 in all) between two offers of the processor: some half a millisecond.
const STEPS_BEFORE_OTHERS_YIELD: u32 = 8;

/// One connection's candidates, on their way through the pool.
pub(super) struct Parcel {
    /// Whose.
    pub(super) key: Key,
    /// Whether most of what it has brought was good work.
    pub(super) is_proven: bool,
    /// Whether nothing was known of it when it brought this.
    pub(super) is_new: bool,
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

#[derive(Default)]
struct Pool {
    queue: Mutex<Queue>,
    bell: Condvar,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first parcel of the next turn, waited for, and whose turn it is; `None` when it is over.
    fn next(&self) -> Option<(Rank, Parcel)> {
        let mut queue = self.lock();
        loop {
            if queue.is_stopped {
                return None;
            }
            if let Some(next) = queue.pop() {
                return Some(next);
            }
            queue = self.bell.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Puts a parcel into its line; gives it back where all is over.
    fn put(&self, parcel: Parcel) -> Option<Parcel> {
        let rest = self.lock().push(parcel);
        self.bell.notify_one();
        rest
    }
}

/// The pool; its threads end when it is dropped.
pub(super) struct Hashers {
    pool: Option<Arc<Pool>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Hashers {
    /// None for an algorithm that is hashed at once.
    pub(super) fn start(algorithm: Algorithm, threads: usize) -> std::io::Result<Hashers> {
        if algorithm == Algorithm::Sha256d {
            return Ok(Hashers { pool: None, threads: Mutex::default() });
        }
        let pool = Arc::new(Pool::default());
        let hashers = Hashers { pool: Some(Arc::clone(&pool)), threads: Mutex::default() };
        for n in 0..threads.max(1) {
            let give_way = Box::new(std::thread::yield_now);
            let worker = Worker { pool: Arc::clone(&pool), algorithm, give_way };
            let thread = std::thread::Builder::new().name(format!("stratum-hash-{n}"));
            hashers.lock_threads().push(thread.spawn(move || worker.run())?);
        }
        Ok(hashers)
    }

    /// Whether candidates are to be brought here.
    pub(super) fn are_wanted(&self) -> bool {
        self.pool.is_some()
    }

    /// Candidates that wait for a turn.
    pub(super) fn waiting(&self) -> usize {
        let Some(pool) = &self.pool else { return 0 };
        pool.lock().all().map(Parcel::left).sum()
    }

    /// Whoever mines goes before all others from now on: little time is left.
    pub(super) fn hurry(&self) {
        if let Some(pool) = &self.pool {
            pool.lock().hurry();
        }
    }

    /// Ends hashing. When this returns, all parcels of which something was hashed have been sent back, whole or not: any
    /// hash may be a block's. Takes no longer than the turns that have begun.
    pub(super) fn end(&self) {
        let Some(pool) = &self.pool else { return };
        // Held until all have ended, so that whoever asks meanwhile waits for them, too.
        let mut threads = self.lock_threads();
        let waiting = pool.lock().stop();
        pool.bell.notify_all();
        waiting.into_iter().filter(|p| !p.solved.is_empty()).for_each(Parcel::send_back);
        for thread in threads.drain(..) {
            // One that panicked has ended, too.
            let _ = thread.join();
        }
    }

    fn lock_threads(&self) -> MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a parcel; it comes back as [`Command::Hashed`].
    pub(super) fn take(&self, parcel: Parcel) {
        if let Some(pool) = &self.pool {
            // Where all is over its loop ends as well.
            let _ = pool.put(parcel);
        }
    }
}

impl Drop for Hashers {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            let _ = pool.lock().stop();
            pool.bell.notify_all();
        }
    }
}

impl Parcel {
    /// Back to its loop, if that is there.
    fn send_back(self) {
        let post = self.post.clone();
        post.send(Command::Hashed(Box::new(self)));
    }

    /// Takes its answers of a turn. No more memory than for these: the parcel may wait long for the next.
    fn take(&mut self, solved: &mut std::vec::IntoIter<Solved>) {
        let count = self.left().min(solved.len());
        self.solved.reserve_exact(count);
        self.solved.extend(solved.take(count));
    }

    /// Candidates that are still to be hashed.
    pub(super) fn left(&self) -> usize {
        self.part.candidates.1 - self.part.candidates.0 - self.solved.len()
    }

    /// Those of them that a turn with so much room takes.
    fn next(&self, room: usize) -> &[Candidate] {
        let from = self.part.candidates.0 + self.solved.len();
        &self.round.candidates[from..from + self.left().min(room)]
    }
}

/// One of the threads.
struct Worker {
    pool: Arc<Pool>,
    algorithm: Algorithm,
    /// Lets others have this processor.
    give_way: Box<dyn Fn() + Send>,
}

impl Worker {
    fn run(&self) {
        let mut solver = Solver::new(self.algorithm);
        while let Some((rank, parcel)) = self.pool.next() {
            self.turn(&mut solver, rank, parcel);
        }
    }

    /// One turn, which begins with this parcel. Between the hashes of others come those of who mines.
    ///
    /// Where one processor does all, what receives and answers has it in between, too: the system alone would let it wait until a
    /// whole slice of some milliseconds is over, and so a share before and after it is hashed.
    fn turn(&self, solver: &mut Solver, rank: Rank, parcel: Parcel) {
        let mut parcels = self.gather(rank, parcel);
        let mut steps = 0;
        let mut between = || {
            if rank == Rank::First {
                return;
            }
            steps += 1;
            if rank == Rank::Other && steps % STEPS_BEFORE_OTHERS_YIELD == 0 {
                (self.give_way)();
            }
            let urgent = self.pool.lock().pop_between();
            if let Some(urgent) = urgent {
                self.turn(&mut Solver::new(self.algorithm), Rank::First, urgent);
            }
        };
        self.hash(solver, &mut parcels, &mut between);
        for parcel in parcels {
            let rest = if parcel.left() > 0 && parcel.fault.is_none() {
                self.pool.put(parcel)
            } else {
                Some(parcel)
            };
            rest.into_iter().for_each(Parcel::send_back);
        }
        (self.give_way)();
    }

    /// This parcel and as many more of its line as fill a turn.
    fn gather(&self, rank: Rank, parcel: Parcel) -> Vec<Parcel> {
        let (mut parcels, mut next) = (Vec::new(), Some(parcel));
        let mut room = hashes_in_a_turn(self.algorithm);
        while let Some(parcel) = next {
            if let Some(parcel) = self.set_aside(parcel) {
                room = room.saturating_sub(parcel.left());
                parcels.push(parcel);
            }
            next = if room > 0 { self.pool.lock().pop_more(rank) } else { None };
        }
        parcels
    }

    /// Hashes what a turn takes of these. Should that panic, of each alone: whose it is, is told so, and nobody else.
    fn hash(&self, solver: &mut Solver, parcels: &mut [Parcel], between: &mut dyn FnMut()) {
        let mut solved = Vec::new();
        // A thread that ended would leave all who wait for it waiting.
        let hashed = caught(|| {
            let mut room = hashes_in_a_turn(self.algorithm);
            let mut next: Vec<&Candidate> = Vec::with_capacity(room);
            for parcel in &*parcels {
                next.extend(parcel.next(room));
                room = hashes_in_a_turn(self.algorithm) - next.len();
            }
            solver.solve_between(&next, &mut solved, between);
        });
        if let Err(words) = hashed {
            *solver = Solver::new(self.algorithm);
            return match parcels {
                [one] => one.fault = Some(words),
                several => several
                    .iter_mut()
                    .for_each(|one| self.hash(solver, std::slice::from_mut(one), &mut || {})),
            };
        }
        let mut solved = solved.into_iter();
        parcels.iter_mut().for_each(|parcel| parcel.take(&mut solved));
    }

    /// Gives a parcel back that can be hashed; others come into the pool again when their cache is there.
    fn set_aside(&self, parcel: Parcel) -> Option<Parcel> {
        let unready = |c: &Candidate| match &c.puzzle {
            Puzzle::Ethash(work, _) if !work.pow().is_ready() => Some(Arc::clone(work.pow())),
            _ => None,
        };
        let from = parcel.part.candidates.0 + parcel.solved.len();
        let to = from + parcel.left().min(hashes_in_a_turn(self.algorithm));
        let next = parcel.round.candidates.get(from..to).unwrap_or_default();
        let Some(pow) = next.iter().find_map(unready) else { return Some(parcel) };
        // Whoever may do it has it, once.
        let kept = Arc::new(Mutex::new(Some(parcel)));
        let (pool, own) = (Arc::clone(&self.pool), Arc::clone(&kept));
        let take = |kept: &Mutex<Option<Parcel>>| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).take()
        };
        let then = move || {
            if let Some(parcel) = take(&own) {
                pool.put(parcel).into_iter().for_each(Parcel::send_back);
            }
        };
        pow.when_ready(Box::new(then)).and_then(|_| take(&kept))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::serving::tests::post;
    use super::super::slab::Slab;
    use super::*;
    use crate::eth::EthWork;
    use crate::eth::verify::EpochPow;
    use crate::eth::verify::tests::{finish, unready};
    use crate::gateway::solving::tests::candidates;
    use gruve_chain::NodeWork;
    use gruve_units::{EpochNumber, JobId, Target, Timestamp};
    use std::cell::RefCell;
    use std::sync::mpsc::Receiver;
    use std::time::Duration;

    /// A parcel of these candidates.
    pub(in super::super) fn parcel(key: Key, post: &Post, candidates: Vec<Candidate>) -> Parcel {
        let part = Part { text: (0, 0), candidates: (0, candidates.len()) };
        let round = Round { candidates, ..Round::default() };
        Parcel {
            key,
            is_proven: false,
            is_new: false,
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
        hashed_now(commands.recv_timeout(Duration::from_secs(60)).unwrap())
    }

    fn hashed_now(command: Command) -> Parcel {
        let Command::Hashed(parcel) = command else { panic!("no parcel that was hashed") };
        *parcel
    }

    /// Whether it is of one who mines, and how many of its hashes were made.
    fn solved_of(command: Command) -> (bool, usize) {
        let parcel = hashed_now(command);
        (parcel.is_proven, parcel.solved.len())
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

    /// Shares of works of this epoch of the algorithm, each of which solves a block.
    pub(in super::super) fn of_epoch(pow: &Arc<EpochPow>, count: u64) -> Vec<Candidate> {
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

    /// What a parcel costs in memory, with its place in a queue that may have room for as many more.
    pub(in super::super) fn bytes(parcel: &Parcel) -> usize {
        let Round { text, candidates, notes, refused, .. } = &parcel.round;
        let own = candidates.capacity() * size_of::<Candidate>() + notes.capacity();
        let answers = parcel.solved.capacity() * size_of::<Solved>();
        assert_eq!((text.capacity(), refused.capacity()), (0, 0), "nothing else was said");
        2 * size_of::<Parcel>() + own + answers
    }

    #[test]
    fn a_parcel_owns_no_room_for_answers_before_it_has_them() {
        let (_poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        let mut solver = Solver::new(worker.algorithm);
        let mut next = Some(parcel(20));
        for expected in [8, 16] {
            worker.turn(&mut solver, Rank::Other, next.take().unwrap());
            let (_, waiting) = worker.pool.lock().pop().unwrap();
            assert_eq!((waiting.solved.len(), waiting.solved.capacity()), (expected, expected));
            next = Some(waiting);
        }
        worker.turn(&mut solver, Rank::Other, next.unwrap());
        let whole = hashed_now(commands.try_recv().unwrap());
        assert_eq!((whole.solved.len(), whole.solved.capacity()), (20, 20));
    }

    #[test]
    fn where_hashing_ends_what_was_hashed_of_a_parcel_comes_back_and_nothing_is_begun() {
        let (_poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        let hashers = Hashers { pool: Some(Arc::clone(&worker.pool)), threads: Mutex::default() };
        let mut solver = Solver::new(worker.algorithm);
        worker.turn(&mut solver, Rank::Other, parcel(20));
        hashers.take(parcel(3));
        hashers.end();
        // A turn that had begun when it ended.
        worker.turn(&mut solver, Rank::Other, parcel(9));
        hashers.take(parcel(1));
        let back: Vec<_> = commands.try_iter().map(solved_of).collect();
        assert_eq!(back, [(false, 8), (false, 8)]);
        assert_eq!(hashers.waiting(), 0);
    }

    /// A worker whose turns are taken by hand, on a cache that is there, and parcels for it.
    fn by_hand(post: &Post) -> (Worker, impl FnMut(u64) -> Parcel + use<>) {
        let pow = unready(0);
        finish(&pow);
        let (mut keys, post) = (Slab::new(), post.clone());
        let make = move |count| parcel(keys.insert(()), &post, of_epoch(&pow, count));
        let give_way = Box::new(|| {});
        (Worker { pool: Arc::default(), algorithm: Algorithm::Ethash, give_way }, make)
    }

    /// What happens while the processor is others'.
    #[derive(Debug, PartialEq, Eq)]
    enum Seen {
        /// A share of one who mines came in.
        Came,
        /// Of one who mines a share was answered.
        Answered,
        /// Of a stranger all shares were.
        StrangerAnswered,
    }

    use Seen::{Answered, Came, StrangerAnswered};

    /// A worker on a machine with one processor: answers leave, and so many shares of one who mines come in, only where it
    /// gives way; and what is seen there.
    fn on_one_processor(shares: u64) -> (Worker, impl FnMut(u64) -> Parcel, Receiver<Seen>) {
        let (poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        let to_come = (0..shares).map(|_| Parcel { is_proven: true, ..parcel(1) });
        let to_come = RefCell::new(to_come.collect::<Vec<_>>());
        let (see, seen) = std::sync::mpsc::channel();
        let pool = Arc::clone(&worker.pool);
        let give_way = move || {
            let _kept_for_its_waker = &poll;
            for (mines, _) in commands.try_iter().map(solved_of) {
                see.send(if mines { Answered } else { StrangerAnswered }).unwrap();
            }
            if let Some(share) = to_come.borrow_mut().pop() {
                see.send(Came).unwrap();
                assert!(pool.put(share).is_none());
            }
        };
        (Worker { give_way: Box::new(give_way), ..worker }, parcel, seen)
    }

    #[test]
    fn what_comes_while_a_strangers_turn_is_hashed_is_answered_before_that_turn_is_over() {
        let (worker, mut parcel, seen) = on_one_processor(2);
        let stranger = parcel(8);
        worker.turn(&mut Solver::new(worker.algorithm), Rank::Other, stranger);
        let order: Vec<_> = seen.try_iter().collect();
        assert_eq!(order, [Came, Answered, Came, Answered, StrangerAnswered]);
    }

    #[test]
    fn what_was_hashed_is_answered_before_the_next_turn_begins() {
        for rank in [Rank::First, Rank::Newcomer, Rank::Other] {
            let (worker, mut parcel, seen) = on_one_processor(0);
            let one = Parcel { is_proven: rank == Rank::First, ..parcel(1) };
            worker.turn(&mut Solver::new(worker.algorithm), rank, one);
            let expected = if rank == Rank::First { Answered } else { StrangerAnswered };
            assert_eq!(seen.try_iter().collect::<Vec<_>>(), [expected], "{rank:?}");
        }
    }

    #[test]
    fn who_mines_goes_between_the_hashes_of_strangers_and_three_times_in_one_turn_of_theirs() {
        let (_poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        for _ in 0..5 {
            assert!(worker.pool.put(Parcel { is_proven: true, ..parcel(8) }).is_none());
        }
        let stranger = parcel(8);
        worker.turn(&mut Solver::new(worker.algorithm), Rank::Other, stranger);
        let back: Vec<_> = commands.try_iter().map(solved_of).collect();
        assert_eq!(back, [(true, 8), (true, 8), (true, 8), (false, 8)]);
        assert_eq!(worker.pool.lock().all().count(), 2);
    }

    #[test]
    fn single_shares_of_many_connections_are_hashed_side_by_side_in_one_turn() {
        let (_poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        for _ in 0..9 {
            assert!(worker.pool.put(parcel(1)).is_none());
        }
        let (rank, first) = worker.pool.next().unwrap();
        worker.turn(&mut Solver::new(worker.algorithm), rank, first);
        assert_eq!(commands.try_iter().map(solved_of).collect::<Vec<_>>(), [(false, 1); 8]);
        assert_eq!(worker.pool.lock().all().count(), 1);
    }

    #[test]
    fn a_panic_in_a_turn_of_several_is_the_fault_of_one_and_the_others_have_their_hashes() {
        let (_poll, post, commands) = post();
        let (worker, mut parcel) = by_hand(&post);
        for count in [1, 0, 2] {
            // One candidate at least, whether there is one or not.
            let part = Part { text: (0, 0), candidates: (0, count.max(1)) };
            assert!(worker.pool.put(Parcel { part, ..parcel(count as u64) }).is_none());
        }
        let (rank, first) = worker.pool.next().unwrap();
        worker.turn(&mut Solver::new(worker.algorithm), rank, first);
        let back = commands.try_iter().map(hashed_now);
        let back: Vec<_> = back.map(|p| (p.fault.is_some(), p.solved.len())).collect();
        assert_eq!(back, [(false, 1), (true, 0), (false, 2)]);
    }
}
