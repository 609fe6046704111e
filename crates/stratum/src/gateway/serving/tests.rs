//! A loop driven by hand: what it does in a round, and at its end.

use super::*;
use crate::eth::verify::tests::{finish, unready};
use crate::gateway::GatewayOptions;
use crate::gateway::connection::Waiting;
use crate::gateway::guarded::Guarded;
use crate::gateway::handover::LEAVING_MAX;
use crate::gateway::hashers::Parcel;
use crate::gateway::hashers::tests::{bytes, of_epoch, parcel};
use crate::gateway::solving::tests::candidates;
use crate::machines::{Authorized, Refused};
use crate::protocol::{Admitted, Candidate, Judged, Protocol, Round, Solved, Standing, Step};
use crate::protocol::{aux_in, block_in};
use crate::session::{Refusal, STALE, reply};
use crate::transport::Transport;
use gruve_sharelog::{BlockRecord, Options, ShareLog};
use gruve_units::{Algorithm, Class, Clock, LaneId, MachineId, SeededEntropy, SystemClock};
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

/// A loop's letter box without the loop.
pub(in super::super) fn post() -> (Poll, Post, mpsc::Receiver<Command>) {
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), WAKE).unwrap());
    let (commands, received) = mpsc::channel();
    (poll, Post { commands, waker }, received)
}

/// The longest id of a request.
const NOTE: [u8; limits::ID_BYTES_MAX] = [b'1'; limits::ID_BYTES_MAX];

/// Takes each line for a share, of which it says what becomes.
struct Foretold {
    candidate: Candidate,
    verdicts: VecDeque<Result<(), Refusal>>,
    counts: (u64, u64),
}

impl Foretold {
    fn line(&mut self, line: &[u8], round: &mut Round) {
        let verdict = match line {
            b"good" => Ok(()),
            b"late" => Err(STALE),
            b"bad" => Err(reply::LOW),
            // These two are not hashed.
            b"unknown" => return self.refuse(reply::NO_SUCH_JOB, round),
            b"malformed" => return self.refuse(reply::SHAPE, round),
            other => panic!("{other:?}"),
        };
        self.verdicts.push_back(verdict);
        let from = round.notes.len();
        round.notes.extend_from_slice(&NOTE);
        let note = (from, round.notes.len());
        let reply_at = round.text.len();
        round.candidates.push(Candidate { reply_at, note, ..self.candidate.clone() });
    }

    fn refuse(&mut self, refusal: Refusal, round: &mut Round) {
        round.refused.push(refusal);
        self.counts.1 += 1;
    }
}

impl Protocol for Foretold {
    fn receive(&mut self, input: &[u8], _: Timestamp, round: &mut Round) -> (usize, Step) {
        let (before, mut taken) = (round.candidates.len(), 0);
        while round.candidates.len() - before < round.each_max
            && let Some(end) = memchr::memchr(b'\n', &input[taken..])
        {
            self.line(&input[taken..taken + end], round);
            taken += end + 1;
        }
        (taken, Step::Continue)
    }

    fn authorized(
        &mut self,
        _: &Result<Admitted, Refused>,
        _: &str,
        _: Timestamp,
        _: &mut Vec<u8>,
    ) {
    }

    fn work(&mut self, _: &Work, _: Timestamp, _: &mut Vec<u8>) {}

    fn judge(&mut self, candidate: &Candidate, solved: &Solved, _: Timestamp) -> Judged {
        let verdict = self.verdicts.pop_front().unwrap();
        let (block, aux) = (block_in(candidate, solved), aux_in(candidate, solved));
        Judged { verdict, block, aux }
    }

    fn answer(
        &mut self,
        _: &Candidate,
        _: &[u8],
        outcome: Result<(), Refusal>,
        _: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        let (accepted, refused) = self.counts;
        self.counts = match outcome {
            Ok(()) => (accepted + 1, refused),
            Err(_) => (accepted, refused + 1),
        };
        None
    }

    fn settle(&mut self, _: Timestamp, _: &mut Vec<u8>) {}

    fn tick(&mut self, _: Timestamp, _: &mut Vec<u8>) -> Option<CloseReason> {
        None
    }

    fn counts(&mut self) -> (u64, u64) {
        self.counts
    }

    fn standing(&mut self, now: Timestamp) -> Standing {
        Guarded::Broken("".into()).standing(now)
    }
}

/// A lane without jobs, which keeps the blocks that are found.
struct Bare {
    id: LaneId,
    algorithm: Algorithm,
    log: ShareLog,
    jobs: watch::Receiver<Option<Work>>,
    blocks: Mutex<Vec<BlockRecord>>,
}

impl Lane for Bare {
    fn id(&self) -> &LaneId {
        &self.id
    }

    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn jobs(&self) -> watch::Receiver<Option<Work>> {
        self.jobs.clone()
    }

    fn share_log(&self) -> &ShareLog {
        &self.log
    }

    fn found(&self, block: BlockRecord) {
        self.blocks.lock().unwrap().push(block);
    }
}

#[async_trait::async_trait]
impl Machines for Bare {
    async fn authorize(&self, _: &LaneId, _: &str, _: &str) -> Result<Authorized, Refused> {
        Err(Refused("nobody".to_owned()))
    }
}

/// A clock that counts how often it is asked: once in each turn of a loop.
#[derive(Default)]
struct Asked(AtomicUsize);

impl Clock for Asked {
    fn now(&self) -> Timestamp {
        self.0.fetch_add(1, Ordering::SeqCst);
        SystemClock.now()
    }
}

/// A loop and what stands around it.
struct House {
    own: Loop,
    lane: Arc<Bare>,
    clock: Arc<Asked>,
    /// How often the loop has let others have the processor.
    given_way: Arc<AtomicUsize>,
    _dir: tempfile::TempDir,
}

impl House {
    fn open(algorithm: Algorithm) -> House {
        let dir = tempfile::tempdir().unwrap();
        let log = ShareLog::open(dir.path(), Options::default()).unwrap();
        let (id, blocks) = ("lane".parse().unwrap(), Mutex::default());
        let jobs = watch::Sender::new(None).subscribe();
        let lane = Arc::new(Bare { id, algorithm, log, jobs, blocks });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (clock, entropy) = (Arc::new(Asked::default()), Arc::new(SeededEntropy::new(1)));
        let range = (Class::ZERO, Class::ZERO);
        let mut options = GatewayOptions::new(listener, range, Class::ZERO, clock.clone(), entropy);
        options.hash_threads = 1;
        let shared = options.share(lane.clone(), lane.clone()).unwrap();
        let mut own = Loop::new(Arc::new(shared)).unwrap();
        let given_way = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&given_way);
        own.give_way = Box::new(move || {
            count.fetch_add(1, Ordering::Relaxed);
        });
        House { own, lane, clock, given_way, _dir: dir }
    }

    fn now(&self) -> Timestamp {
        self.own.shared.clock.now()
    }

    /// A connection, all of whose shares are like this one.
    fn connect(&mut self, candidate: Candidate) -> (Key, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let other = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let now = self.now();
        let seat = self.own.shared.registry.seat(peer.ip(), 100, 100, now).unwrap();
        let session = Foretold { candidate, verdicts: VecDeque::new(), counts: (0, 0) };
        let session = Guarded::Sound(Box::new(session));
        let stream = mio::net::TcpStream::from_std(stream);
        let connection = Connection::new(stream, peer, seat, session, Transport::Plain, now);
        (self.own.register(connection).unwrap(), other)
    }

    fn connection(&mut self, key: Key) -> &mut Connection {
        self.own.connections.get_mut(key).unwrap()
    }

    /// Each of these says its lines, in one round; nothing is waited for.
    fn round(&mut self, said: &mut [(Key, &mut TcpStream, &str)]) {
        for (key, peer, lines) in said {
            peer.write_all(lines.as_bytes()).unwrap();
            let mut events = Events::with_capacity(8);
            let begun = Instant::now();
            while !self.connection(*key).readable {
                assert!(begun.elapsed() < Duration::from_secs(30), "nothing came");
                self.own.poll.poll(&mut events, Some(Duration::from_secs(1))).unwrap();
                events.iter().for_each(|event| self.own.note(event));
            }
            self.own.enqueue(*key);
        }
        let now = self.now();
        self.own.round(now);
    }

    /// Until nothing is being hashed.
    fn settle(&mut self) {
        let begun = Instant::now();
        while self.own.parcels_out > 0 {
            assert!(begun.elapsed() < Duration::from_secs(60), "not hashed");
            let mut events = Events::with_capacity(8);
            self.own.poll.poll(&mut events, Some(Duration::from_secs(1))).unwrap();
            let now = self.now();
            self.own.obey(now);
        }
    }

    fn given_way(&self) -> usize {
        self.given_way.load(Ordering::Relaxed)
    }

    fn blocks(&self) -> usize {
        self.lane.blocks.lock().unwrap().len()
    }
}

/// A share of a machine by scrypt.
fn share_of(machine: u8) -> Candidate {
    let mut candidate = candidates(1).remove(0);
    candidate.share.machine = MachineId::from_bytes([machine; 16]);
    candidate
}

#[tokio::test]
async fn the_hashing_threads_have_the_processor_at_once_for_who_mines_and_not_for_strangers() {
    let mut house = House::open(Algorithm::Scrypt);
    let (first, mut a) = house.connect(share_of(1));
    let (second, mut b) = house.connect(share_of(2));
    house.round(&mut [(first, &mut a, "good\n"), (second, &mut b, "bad\n")]);
    assert_eq!(house.given_way(), 0, "nothing is known of either");
    house.settle();
    house.round(&mut [(second, &mut b, "good\n")]);
    assert_eq!(house.given_way(), 0, "it has brought bad work");
    house.settle();
    house.round(&mut [(first, &mut a, "good\n")]);
    assert_eq!(house.given_way(), 1, "it mines");
    house.settle();
    // A new connection of that machine, and one of a machine that nobody knows.
    let (again, mut c) = house.connect(share_of(1));
    let (stranger, mut d) = house.connect(share_of(3));
    house.round(&mut [(stranger, &mut d, "good\n")]);
    assert_eq!(house.given_way(), 1);
    house.round(&mut [(again, &mut c, "good\n")]);
    assert_eq!(house.given_way(), 2, "it mined here before");
    house.settle();
    house.round(&mut [(first, &mut a, "good\n"), (again, &mut c, "good\n")]);
    assert_eq!(house.given_way(), 3, "once in a round");
    house.settle();
    house.round(&mut []);
    assert_eq!(house.given_way(), 3);
}

#[tokio::test]
async fn a_newcomer_is_one_until_its_work_was_good_or_bad_or_a_few_hashes_for_nothing() {
    let late = usize::from(limits::NEWCOMERS_HASHES_IN_VAIN_MAX);
    let few = "late\n".repeat(late - 1);
    let many = "late\n".repeat(late);
    for (said, is_new) in [
        ("", true),
        // What a machine that comes again has of its last connection: refused without a hash.
        ("unknown\n".repeat(30).as_str(), true),
        (few.as_str(), true),
        (many.as_str(), false),
        ("late\nbad\n", false),
        ("late\ngood\n", false),
        ("bad\n", false),
        ("good\n", false),
        ("malformed\n", false),
        ("unknown\nmalformed\n", false),
    ] {
        let mut house = House::open(Algorithm::Scrypt);
        let (key, mut peer) = house.connect(share_of(1));
        if !said.is_empty() {
            house.round(&mut [(key, &mut peer, said)]);
        }
        house.settle();
        assert_eq!(house.connection(key).is_new(), is_new, "{said:?}");
        let is_unheard = house.connection(key).is_unheard();
        assert_eq!(is_unheard, said.is_empty(), "trust in its machine ends with the first answer");
    }
}

#[tokio::test]
async fn what_waits_to_be_hashed_of_one_connection_is_bounded_in_shares_and_in_bytes() {
    let pow = unready(0);
    finish(&pow);
    let mut house = House::open(Algorithm::Ethash);
    let (key, mut peer) = house.connect(of_epoch(&pow, 1).remove(0));
    let lines = "good\n".repeat(limits::CANDIDATES_PER_VISIT_MAX + 1);
    for (told, shares, most) in [
        ((0, 0), limits::OTHERS_HASHES_PER_VISIT_MAX, limits::OTHERS_HASHING_BYTES_MAX),
        ((1, 2), limits::OTHERS_HASHES_PER_VISIT_MAX, limits::OTHERS_HASHING_BYTES_MAX),
        ((2, 2), limits::CANDIDATES_PER_VISIT_MAX, limits::HASHING_BYTES_MAX),
    ] {
        house.connection(key).told = told;
        house.connection(key).waiting = Waiting::No;
        house.round(&mut [(key, &mut peer, &lines)]);
        let Ok(Command::Hashed(parcel)) = house.own.commands.recv_timeout(LONG) else { panic!() };
        let Parcel { round, solved, .. } = &*parcel;
        assert_eq!((round.candidates.len(), solved.len()), (shares, shares), "{told:?}");
        assert!(bytes(&parcel) <= most, "{} of {most}: {told:?}", bytes(&parcel));
        assert!(bytes(&parcel) > most / 2, "the bound says something: {}", bytes(&parcel));
    }
}

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(60);

fn long_ago(ago: Duration) -> Instant {
    Instant::now().checked_sub(ago).unwrap()
}

#[tokio::test]
async fn a_loop_that_leaves_waits_longer_for_hashes_than_for_logins_and_their_blocks_leave() {
    let pow = unready(0);
    let mut house = House::open(Algorithm::Ethash);
    let (key, mut peer) = house.connect(of_epoch(&pow, 1).remove(0));
    let (login, _other) = house.connect(of_epoch(&pow, 1).remove(0));
    house.connection(login).waiting = Waiting::ForLogin;
    house.round(&mut [(key, &mut peer, "good\n")]);
    let (to, left) = mpsc::channel();
    house.own.leaving = Some(Leaving::new(to.clone(), Instant::now()));
    assert!(!house.own.may_leave(), "both are waited for");
    house.own.leaving = Some(Leaving::new(to.clone(), long_ago(LEAVING_MAX)));
    assert!(!house.own.may_leave(), "its share may be a block");
    finish(&pow);
    house.settle();
    assert_eq!(house.blocks(), 1);
    assert!(house.own.may_leave(), "for a login so long and no longer");
    house.own.leave();
    assert!(left.try_recv().is_ok());
}

#[tokio::test]
async fn a_loop_that_stops_waits_as_long_for_hashes() {
    let pow = unready(0);
    let mut house = House::open(Algorithm::Ethash);
    let (key, mut peer) = house.connect(of_epoch(&pow, 1).remove(0));
    house.round(&mut [(key, &mut peer, "good\n")]);
    let House { mut own, lane, clock, _dir, .. } = house;
    own.stopping = Some(Patience::from(long_ago(LEAVING_MAX)));
    let from = clock.0.load(Ordering::SeqCst);
    let running = std::thread::spawn(move || own.run());
    // Some turns later it is still there.
    while !running.is_finished() && clock.0.load(Ordering::SeqCst) < from + 5 {
        std::thread::yield_now();
    }
    finish(&pow);
    running.join().unwrap();
    assert_eq!(lane.blocks.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_hashing_took_too_long_the_blocks_among_what_was_hashed_leave_all_the_same() {
    let pow = unready(0);
    let mut house = House::open(Algorithm::Ethash);
    let (key, mut peer) = house.connect(of_epoch(&pow, 1).remove(0));
    house.round(&mut [(key, &mut peer, "good\ngood\n")]);
    let (to, left) = mpsc::channel();
    house.own.leaving = Some(Leaving::new(to, long_ago(limits::HASHED_OUT_MAX)));
    assert!(house.own.may_leave(), "a cache that takes for ever holds nobody up");
    // Of three shares of its two were hashed when the time was over: it came back when nobody looked any more.
    let post = house.own.parcel_home();
    let mut half = parcel(key, &post, of_epoch(&pow, 3));
    half.solved = vec![Solved { pow_hash: [0; 32], ..Solved::NOTHING }; 2];
    post.send(Command::Hashed(Box::new(half)));
    house.own.leave();
    assert_eq!(house.blocks(), 2);
    assert!(left.try_recv().unwrap().connections.is_empty(), "who is not answered is not kept");
}
