//! What a miner's protocol is to the gateway: one connection's session, without any I/O.
//!
//! The gateway works in *rounds*, many connections at a time:
//!
//! | phase | who | what |
//! |---|---|---|
//! | receive | session | whole messages off the input; replies as text, shares as [`Candidate`]s |
//! | hash | gateway | all candidates of the round together, in the processor's lanes |
//! | judge | session | what each candidate is; a block leaves before anything else is done |
//! | store | gateway | the good shares of all connections in one append to the log |
//! | answer | session | one reply a candidate, put where it belongs in the text |
//! | settle | session | difficulty may change: `set_difficulty` and a fresh job, together |
//! | send | gateway | each connection's bytes in one write |
//!
//! Replies keep the order of their requests, and none says *accepted* before the share is in the
//! log. Where hashing is slow (scrypt, Ethash) the connection rests until its candidates are
//! hashed elsewhere, and all others go on.
//!
//! Must not know: sockets, encryption, threads.

use crate::machines::{Authorized, Refused};
use crate::session::{CloseReason, Refusal};
use crate::work::LiveJob;
use crate::{eth, limits, merged, work};
use gruve_pow::sha256d;
use gruve_sharelog::{AuxBlockRecord, BlockRecord, Owner, ShareRecord};
use gruve_units::{Class, Hashrate, MachineId, Timestamp};
use std::fmt;
use std::sync::Arc;

/// A lane's jobs at one moment.
#[derive(Clone, Debug)]
pub enum Work {
    /// Of a chain whose blocks have 80-byte headers.
    Header(Arc<work::WorkState>),
    /// Of the Ethash family.
    Ethash(Arc<eth::EthState>),
}

impl Work {
    /// When the newest job was made, where that is known.
    pub(crate) fn made(&self) -> Option<std::time::Instant> {
        match self {
            Work::Header(state) => Some(state.current.made()),
            Work::Ethash(_) => None,
        }
    }

    /// The same with one more job closed; `None` when only the newest is open, or where jobs are not
    /// closed so.
    pub(crate) fn with_oldest_closed(&self) -> Option<Work> {
        match self {
            Work::Header(state) => Some(Work::Header(Arc::new(state.with_oldest_closed()?))),
            Work::Ethash(_) => None,
        }
    }
}

/// What the sessions of one round have given, one connection after the other. Owned by the
/// gateway and kept for its capacity, so that an idle session has no buffers.
#[derive(Debug)]
pub struct Round {
    /// Replies, without those that wait for candidates.
    pub text: Vec<u8>,
    /// Shares to be hashed, in the order they came.
    pub candidates: Vec<Candidate>,
    /// What sessions keep for their answers: request ids and the like.
    pub notes: Vec<u8>,
    /// Shares that were refused at once, whose answers stand in the text: to be counted.
    pub refused: Vec<Refusal>,
    /// Candidates that a session may add when it receives.
    pub each_max: usize,
}

impl Default for Round {
    fn default() -> Self {
        Round {
            text: Vec::new(),
            candidates: Vec::new(),
            notes: Vec::new(),
            refused: Vec::new(),
            each_max: limits::CANDIDATES_PER_VISIT_MAX,
        }
    }
}

/// One connection's part of a round: where its text and its candidates begin and end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Within [`Round::text`].
    pub text: (usize, usize),
    /// Within [`Round::candidates`].
    pub candidates: (usize, usize),
}

impl Round {
    /// Begins anew, with the same memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.candidates.clear();
        self.notes.clear();
        self.refused.clear();
    }

    /// Lets a session receive; gives its part, how many bytes it took, and its step.
    pub fn receive(
        &mut self,
        session: &mut dyn Protocol,
        input: &[u8],
        now: Timestamp,
    ) -> (Part, usize, Step) {
        let (text, candidates) = (self.text.len(), self.candidates.len());
        let (taken, step) = session.receive(input, now, self);
        let part =
            Part { text: (text, self.text.len()), candidates: (candidates, self.candidates.len()) };
        (part, taken, step)
    }

    /// Writes a part's replies to `out`, in the order of their requests: the text with the answers
    /// where they belong. `outcomes` has one entry for each candidate of the part.
    pub fn answer(
        &self,
        session: &mut dyn Protocol,
        part: Part,
        outcomes: &[Result<(), Refusal>],
        out: &mut Vec<u8>,
    ) -> Option<CloseReason> {
        let mut close = None;
        let mut done = part.text.0;
        let candidates = &self.candidates[part.candidates.0..part.candidates.1];
        debug_assert_eq!(candidates.len(), outcomes.len(), "each candidate has its outcome");
        for (candidate, outcome) in candidates.iter().zip(outcomes) {
            out.extend_from_slice(&self.text[done..candidate.reply_at]);
            done = candidate.reply_at;
            let note = &self.notes[candidate.note.0..candidate.note.1];
            close = close.or(session.answer(candidate, note, *outcome, out));
        }
        out.extend_from_slice(&self.text[done..part.text.1]);
        close
    }
}

/// A share that has passed every check but its hash.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where in [`Round::text`] its answer belongs.
    pub reply_at: usize,
    /// What the session kept for the answer, within [`Round::notes`].
    pub note: (usize, usize),
    /// What is to be hashed.
    pub puzzle: Puzzle,
    /// How it will stand in the log if it is good.
    pub share: ShareRecord,
}

/// What is to be hashed; the rest stands in the share.
#[derive(Clone, Debug)]
pub enum Puzzle {
    /// The header of this job with the share's class, extranonce, version, time and nonce.
    Header(Arc<LiveJob>),
    /// This work's header hash with the nonce.
    Ethash(Arc<eth::EthWork>, u64),
}

/// The answer to a [`Puzzle`].
#[derive(Clone, Copy, Debug)]
pub struct Solved {
    /// The proof-of-work hash, internal byte order.
    pub pow_hash: [u8; 32],
    /// The header that was hashed; zero for Ethash.
    pub header: [u8; 80],
    /// Ethash's mix digest; zero elsewhere.
    pub mix: [u8; 32],
}

impl Solved {
    /// Of what cannot be hashed: all ones meet no target but the easiest.
    pub const NOTHING: Solved = Solved { pow_hash: [0xff; 32], header: [0; 80], mix: [0; 32] };
}

/// Whether a share may count under its job: work for a block that pays one owner counts for no other, nor for the house.
pub(crate) fn is_own(candidate: &Candidate) -> bool {
    match &candidate.puzzle {
        Puzzle::Header(live) => {
            live.payee().is_none_or(|payee| candidate.share.owner == Owner::Account(payee))
        }
        Puzzle::Ethash(..) => true,
    }
}

/// The block that a hashed candidate solves, if it does: whatever else is to be said of the share, and
/// whatever is still known of its job by the session.
#[must_use]
pub(crate) fn block_in(candidate: &Candidate, solved: &Solved) -> Option<Box<BlockRecord>> {
    let share = candidate.share;
    match &candidate.puzzle {
        Puzzle::Header(live) => {
            let job = live.job();
            let is_block = job.network_target().is_met_by(&solved.pow_hash);
            is_block.then(|| {
                Box::new(BlockRecord {
                    share,
                    block_hash: sha256d(&solved.header),
                    height: job.height(),
                    block: job.block(share.class, share.extranonce.as_slice(), &solved.header),
                })
            })
        }
        Puzzle::Ethash(work, nonce) => {
            let is_block = work.network_target.is_met_by(&solved.pow_hash);
            is_block.then(|| Box::new(work.solution(*nonce, share, solved)))
        }
    }
}

/// The auxiliary blocks that a hashed candidate solves.
pub(crate) fn aux_in(candidate: &Candidate, solved: &Solved) -> Vec<AuxBlockRecord> {
    match &candidate.puzzle {
        Puzzle::Header(live) => merged::solved(live.job(), &candidate.share, solved),
        Puzzle::Ethash(..) => Vec::new(),
    }
}

/// What is said to a miner unasked, beside work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A word to whoever watches the machine.
    Message(Arc<str>),
    /// This server leaves, and can be reached again where the miner found it: come back after so many
    /// seconds.
    ComeBack {
        /// The host and port that the operator published for this listener; `None` where none is
        /// known. Never anywhere else: who can send miners away could steal their work.
        to: Option<(Arc<str>, u16)>,
        /// Different for each connection, so that not all come at once.
        after_secs: u32,
    },
}

/// What a candidate is.
#[derive(Debug)]
pub struct Judged {
    /// Whether it goes into the log.
    pub verdict: Result<(), Refusal>,
    /// Whether it solves a block: journalled and sent whatever the verdict.
    pub block: Option<Box<BlockRecord>>,
    /// The auxiliary blocks it solves; likewise.
    pub aux: Vec<AuxBlockRecord>,
}

impl Judged {
    /// Neither a share nor a block.
    #[must_use]
    pub const fn refused(refusal: Refusal) -> Judged {
        Judged { verdict: Err(refusal), block: None, aux: Vec::new() }
    }
}

/// What the gateway must do before the next message of this connection.
pub enum Step {
    /// Nothing.
    Continue,
    /// Look the login up, then call [`Protocol::authorized`]; until then nothing is received.
    Authorize {
        /// The login.
        user: String,
        /// The password; not to be logged.
        password: String,
    },
    /// Send what there is and close.
    Close(CloseReason),
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Continue => f.write_str("Continue"),
            Step::Authorize { user, .. } => write!(f, "Authorize {{ user: {user:?} }}"),
            Step::Close(reason) => write!(f, "Close({reason:?})"),
        }
    }
}

/// A login that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Whose work it does.
    pub who: Authorized,
    /// The class its machine had when it was last seen.
    pub class: Option<Class>,
}

/// A session as the gateway reports it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// The first login; `None` before it.
    pub who: Option<Authorized>,
    /// Its name.
    pub user: String,
    /// What the miner calls itself, printable.
    pub agent: String,
    /// The class in force.
    pub class: Class,
    /// Shares accepted.
    pub accepted: u64,
    /// Shares refused.
    pub rejected: u64,
    /// When the last share was accepted.
    pub last_share_at: Option<Timestamp>,
    /// The rate over the last ten minutes.
    pub hashrate: Hashrate,
}

/// One connection's session. No bytes make it panic; its memory is bounded by [`crate::limits`].
pub trait Protocol: Send {
    /// Takes whole messages off the front of `input`, in order, until none is whole, it has added
    /// [`Round::each_max`] candidates or one asks for a step. Gives how many bytes it took.
    fn receive(&mut self, input: &[u8], now: Timestamp, round: &mut Round) -> (usize, Step);

    /// The answer to [`Step::Authorize`]; `password` once more for the wishes in it.
    fn authorized(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        password: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    );

    /// Jobs have come or gone: gives the newest to the miner if it may have one.
    fn work(&mut self, work: &Work, now: Timestamp, out: &mut Vec<u8>);

    /// A candidate of this session was hashed; called in the order they were given.
    fn judge(&mut self, candidate: &Candidate, solved: &Solved, now: Timestamp) -> Judged;

    /// What became of a candidate, in order: `Ok` when the share is in the log. Writes the reply.
    fn answer(
        &mut self,
        candidate: &Candidate,
        note: &[u8],
        outcome: Result<(), Refusal>,
        out: &mut Vec<u8>,
    ) -> Option<CloseReason>;

    /// All candidates of this connection are answered.
    fn settle(&mut self, now: Timestamp, out: &mut Vec<u8>);

    /// Time has passed: called about every second.
    fn tick(&mut self, now: Timestamp, out: &mut Vec<u8>) -> Option<CloseReason>;

    /// Something is to be said unasked. Where the protocol has no words for it, nothing is.
    fn tell(&mut self, _notice: &Notice, _out: &mut Vec<u8>) {}

    /// Shares accepted and refused.
    fn counts(&mut self) -> (u64, u64);

    /// Notes the machines whose class was found out since this was last asked (or of `all` of them):
    /// worth remembering for the next time. Called about every second, and at the end.
    fn found(&mut self, _all: bool, _note: &mut dyn FnMut(MachineId, Class)) {}

    /// The session as bytes, for the program that takes this one's place on a graceful restart;
    /// `None` where it cannot go on: then the connection is closed, and the miner comes again.
    fn keep(&self) -> Option<Vec<u8>> {
        None
    }

    /// How it stands.
    fn standing(&mut self, now: Timestamp) -> Standing;
}

/// What the gateway needs of a lane.
pub trait Lane: Send + Sync {
    /// The lane's name.
    fn id(&self) -> &gruve_units::LaneId;
    /// What is hashed.
    fn algorithm(&self) -> gruve_units::Algorithm;
    /// The jobs as they change; `None` until there is the first.
    fn jobs(&self) -> tokio::sync::watch::Receiver<Option<Work>>;
    /// The lane's log.
    fn share_log(&self) -> &gruve_sharelog::ShareLog;
    /// A block was found: journals it and sends it.
    fn found(&self, block: BlockRecord);
    /// A block of an auxiliary chain was found: journals it and sends it. A lane that is not merge-mined never
    /// hears of one.
    fn found_aux(&self, block: AuxBlockRecord) {
        let _ = block;
    }
}
