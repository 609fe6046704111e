//! Three connections of an Ethash lane at once, in whatever dialects, on one set of works.
//!
//! What must hold: no panic; everything said is a line of JSON; requests are answered once and in
//! order; over all connections and dialects a nonce counts once for a header, at one class; what
//! is accepted is in the log and nothing else.

use crate::input::Input;
use crate::jobs::{self, class};
use gruve_chain::NodeWork;
use gruve_pow::ethash::EthashEpoch;
use gruve_sharelog::{Owner, ShareRecord};
use gruve_stratum::eth::verify::{Caches, EpochPow, Sizes};
use gruve_stratum::eth::{EthSession, EthState, EthWork, Sessions};
use gruve_stratum::protocol::{
    Admitted, Candidate, Protocol as _, Puzzle, Round, Solved, Step, Work,
};
use gruve_stratum::session::{CloseReason, NOT_STORED, SEALED, SessionRules};
use gruve_stratum::{Authorized, Refused, limits};
use gruve_units::{Algorithm, Duration, EpochNumber, JobId, SeededEntropy, Timestamp};
use serde_json::Value;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, OnceLock};

const STEPS_MAX: usize = 300;
const MINERS: usize = 3;
const OUT_BYTES_MAX: usize = 256 << 10;
const START: Timestamp = Timestamp::from_secs(1_700_000_000);

/// Header hashes there are.
const HEADERS: usize = 3;

struct Miner {
    session: EthSession,
    unread: Vec<u8>,
    asking: Option<(String, String)>,
    owed: VecDeque<String>,
    closed: Option<CloseReason>,
    jobs: Vec<String>,
    accepted: u64,
    counted: u64,
}

struct Hall {
    sessions: Sessions,
    state: Option<Arc<EthState>>,
    now: Timestamp,
    log_says: Result<(), gruve_stratum::session::Refusal>,
    /// What hashes come to: class 0 alone, every class, or by their last bit.
    luck: u8,
    counted: HashSet<([u8; 32], u64)>,
    headers: HashMap<JobId, [u8; 32]>,
    next_id: u64,
}

fn pow() -> Arc<EpochPow> {
    static POW: OnceLock<Arc<EpochPow>> = OnceLock::new();
    let make = || {
        let caches = Caches::of_sizes(Sizes { items: 509, pages: 1021 }, None);
        caches.of(EthashEpoch::new(Algorithm::Ethash, 0).expect("an epoch")).expect("room")
    };
    Arc::clone(POW.get_or_init(make))
}

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let rules = SessionRules::new(Algorithm::Ethash, (class(0), class(40)), class(2));
    let mut hall = Hall {
        sessions: Sessions::new(Arc::new(rules), &SeededEntropy::new(5)),
        state: None,
        now: START,
        log_says: Ok(()),
        luck: 1,
        counted: HashSet::new(),
        headers: HashMap::new(),
        next_id: 0,
    };
    let mut miners: Vec<Miner> = (0..MINERS).map(|_| hall.connect()).collect();
    let mut next_work = 0;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let n = input.below(MINERS);
        let miner = &mut miners[n];
        match input.below(14) {
            0..=3 => hall.submit(miner, &mut input),
            4 | 5 => hall.request(miner, &mut input),
            6 => {
                miner.unread.extend_from_slice(input.bytes());
                miner.unread.push(b'\n');
                // What it is, nobody knows.
                hall.visit_all(miner);
                miner.owed.clear();
            }
            7 | 8 => hall.visit_all(miner),
            9 => {
                hall.publish(next_work, &mut input, &mut miners);
                next_work += 1;
            }
            10 => hall.wait(input.byte(), input.below(4) == 0, &mut miners),
            11 => match input.below(2) {
                0 => hall.log_says = input.pick(&[Ok(()), Err(SEALED), Err(NOT_STORED)]),
                _ => hall.luck = input.byte() % 3,
            },
            12 => hall.look_up(miner, input.flag()),
            _ => {
                *miner = hall.connect();
                hall.give(miner);
            }
        }
    }
    for miner in &mut miners {
        hall.visit_all(miner);
        if miner.closed.is_none() {
            assert!(miner.owed.is_empty(), "no reply to {:?}", miner.owed);
            assert_eq!(miner.session.counts().0, miner.counted, "reported and counted");
            assert!(miner.accepted <= miner.counted, "answered and counted");
        }
    }
}

impl Hall {
    fn connect(&self) -> Miner {
        Miner {
            session: self.sessions.open(self.now),
            unread: Vec::new(),
            asking: None,
            owed: VecDeque::new(),
            closed: None,
            jobs: Vec::new(),
            accepted: 0,
            counted: 0,
        }
    }

    fn publish(&mut self, id: u64, input: &mut Input<'_>, miners: &mut [Miner]) {
        let header = [u8::try_from(0x41 + input.below(HEADERS)).unwrap(); 32];
        let target = class(input.pick(&[60, 60, 4, 0])).target();
        let height = input.flag().then(|| 100 + u64::from(input.byte()));
        let node = NodeWork { header_hash: header, seed_hash: [0; 32], target, height };
        let (number, epoch) = (JobId(id), EpochNumber(7 + id / 8));
        // A header that lives under an earlier number goes on under it.
        let known = self.state.as_ref().and_then(|s| s.on_header(&header)).cloned();
        let work = match known {
            Some(known) => known.restated(number, epoch, self.now),
            None if self.headers.values().any(|h| *h == header) => return,
            None => EthWork::new(number, epoch, &node, self.now, pow()),
        };
        self.headers.insert(number, header);
        let state = match &self.state {
            Some(old) => old.with(Arc::new(work), 4),
            None => EthState::of(Arc::new(work)),
        };
        self.state = Some(Arc::new(state));
        for miner in miners {
            self.give(miner);
        }
    }

    fn give(&self, miner: &mut Miner) {
        let Some(state) = self.state.as_ref().filter(|_| miner.closed.is_none()) else { return };
        let mut out = Vec::new();
        miner.session.work(&Work::Ethash(Arc::clone(state)), self.now, &mut out);
        miner.hear(&out);
    }

    fn visit_all(&mut self, miner: &mut Miner) {
        loop {
            let before = miner.unread.len();
            self.look_up(miner, false);
            self.visit(miner);
            if miner.closed.is_some() || (miner.unread.len() == before && miner.asking.is_none()) {
                return;
            }
        }
    }

    fn visit(&mut self, miner: &mut Miner) {
        if miner.closed.is_some() || miner.asking.is_some() {
            return;
        }
        let mut round = Round::default();
        let (part, taken, step) = round.receive(&mut miner.session, &miner.unread, self.now);
        assert!(round.candidates.len() <= limits::CANDIDATES_PER_VISIT_MAX);
        miner.unread.drain(..taken);
        let mut outcomes = Vec::new();
        for candidate in &round.candidates {
            let solved = self.solve(candidate);
            let judged = miner.session.judge(candidate, &solved, self.now);
            let outcome = judged.verdict.and(self.log_says);
            if outcome.is_ok() {
                self.count(miner, &candidate.share, &solved);
            }
            outcomes.push(outcome);
        }
        let mut out = Vec::new();
        let close = round.answer(&mut miner.session, part, &outcomes, &mut out);
        miner.closed = miner.closed.or(close);
        match step {
            Step::Continue => {}
            Step::Close(reason) => miner.closed = Some(reason),
            Step::Authorize { user, password } => miner.asking = Some((user, password)),
        }
        if miner.asking.is_none() {
            miner.session.settle(self.now, &mut out);
        }
        miner.hear(&out);
    }

    fn solve(&self, candidate: &Candidate) -> Solved {
        let Puzzle::Ethash(_, nonce) = &candidate.puzzle else { panic!("{candidate:?}") };
        let byte = match self.luck {
            0 => 0xff,
            1 => 0,
            _ => {
                if nonce & 1 == 0 {
                    0
                } else {
                    0xff
                }
            }
        };
        Solved { pow_hash: [byte; 32], header: [0; 80], mix: [0x77; 32] }
    }

    fn count(&mut self, miner: &mut Miner, share: &ShareRecord, solved: &Solved) {
        let nonce = u64::from_be_bytes(share.extranonce.as_slice().try_into().unwrap());
        let header = self.headers[&share.job];
        assert!(self.counted.insert((header, nonce)), "counted twice: {share:?}");
        assert!(share.class.target().is_met_by(&solved.pow_hash), "too easy: {share:?}");
        miner.counted += 1;
    }

    fn look_up(&self, miner: &mut Miner, refuse: bool) {
        let Some((user, password)) = miner.asking.take() else { return };
        let outcome = if refuse || password == "wrong" {
            Err(Refused("no \"such\" login".to_owned()))
        } else {
            let who = Authorized { owner: Owner::House, machine: jobs::machine(&user) };
            Ok(Admitted { who, class: (user.len() % 3 == 2).then_some(class(5)) })
        };
        let mut out = Vec::new();
        miner.session.authorized(&outcome, &password, self.now, &mut out);
        miner.hear(&out);
    }

    fn wait(&mut self, seconds: u8, back: bool, miners: &mut [Miner]) {
        if back {
            self.now = self.now.minus(Duration::from_secs(u64::from(seconds)));
            return;
        }
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            for miner in miners.iter_mut().filter(|m| m.closed.is_none()) {
                let mut out = Vec::new();
                miner.closed = miner.session.tick(self.now, &mut out);
                miner.hear(&out);
            }
        }
    }

    /// A request that is always answered.
    fn request(&mut self, miner: &mut Miner, input: &mut Input<'_>) {
        const REQUESTS: [&str; 14] = [
            r#"{"id":ID,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#,
            r#"{"id":ID,"method":"mining.subscribe","params":["t/1","EthereumStratum/2.0.0"]}"#,
            r#"{"id":ID,"method":"mining.subscribe","params":["BzMiner/1",null]}"#,
            r#"{"id":ID,"method":"mining.authorize","params":["w","x"]}"#,
            r#"{"id":ID,"method":"mining.authorize","params":["v2","d=0.0000001,md=1e-9"]}"#,
            r#"{"id":ID,"method":"mining.authorize","params":["w","wrong"]}"#,
            r#"{"id":ID,"jsonrpc":"2.0","method":"eth_submitLogin","params":["w","x"],"worker":"r"}"#,
            r#"{"id":ID,"jsonrpc":"2.0","method":"eth_submitLogin","params":["","x"]}"#,
            r#"{"id":ID,"jsonrpc":"2.0","method":"eth_getWork","params":[]}"#,
            r#"{"id":ID,"jsonrpc":"2.0","method":"eth_submitHashrate","params":["0x500000","0x00"]}"#,
            r#"{"id":ID,"method":"mining.extranonce.subscribe","params":[]}"#,
            r#"{"id":ID,"method":"mining.suggest_difficulty","params":[0.000001]}"#,
            r#"{"id":ID,"method":"mining.hello","params":{}}"#,
            r#"{"id":ID,"method":"mining.submit","params":[]}"#,
        ];
        self.next_id += 1;
        let id = self.next_id.to_string();
        let line = input.pick(&REQUESTS).replace("ID", &id);
        miner.ask(&line, id);
    }

    fn submit(&mut self, miner: &mut Miner, input: &mut Input<'_>) {
        self.next_id += 1;
        let id = format!("\"share{}\"", self.next_id);
        let user = input.pick(&["w", "w", "v2", "w.r", "nobody"]);
        let newest = miner.jobs.len().wrapping_sub(1 + input.below(3));
        let job = miner.jobs.get(newest).cloned().unwrap_or_else(|| hex::encode(input.take(9)));
        let header = hex::encode([u8::try_from(0x41 + input.below(HEADERS)).unwrap(); 32]);
        // Few nonces, in one another's parts.
        let nonce = u64::from(input.byte() % 4) << 48 | u64::from(input.byte() % 6);
        let mix = input.pick(&["00", "77", "ff"]).repeat(32);
        let prefix = input.pick(&["0x", ""]);
        let line = match input.below(4) {
            0 => format!(
                r#"{{"id":{id},"jsonrpc":"2.0","method":"eth_submitWork","params":["{prefix}{nonce:016x}","{prefix}{header}","0x{mix}"],"worker":"r"}}"#
            ),
            1 => {
                let digits = 2 * input.pick(&[6, 6, 5, 8]);
                let nonce = nonce & 0xffff_ffff_ffff;
                format!(
                    r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{nonce:0digits$X}"]}}"#
                )
            }
            2 => format!(
                r#"{{"id":{id},"method":"mining.submit","params":["{user}","{header}","{prefix}{nonce:016X}","0x{header}","0x{mix}"]}}"#
            ),
            _ => format!(
                r#"{{"id":{id},"method":"mining.submit","params":["{user}","{header}","0x{nonce:016x}"]}}"#
            ),
        };
        miner.ask(&line, id);
    }
}

impl Miner {
    fn ask(&mut self, line: &str, id: String) {
        self.owed.push_back(id);
        self.unread.extend_from_slice(line.as_bytes());
        self.unread.push(b'\n');
    }

    fn hear(&mut self, out: &[u8]) {
        assert!(out.len() <= OUT_BYTES_MAX, "{} bytes out", out.len());
        let text = std::str::from_utf8(out).expect("UTF-8");
        assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text:?}");
        if self.closed == Some(CloseReason::Http) {
            return;
        }
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
            if value.get("method").is_some() {
                if value["method"] == "mining.notify" {
                    self.jobs.push(value["params"][0].as_str().expect("a name").to_owned());
                }
                continue;
            }
            let id = value.get("id").unwrap_or_else(|| panic!("no id: {line}"));
            // Work that is pushed to eth-proxy's miners has this id.
            if *id == 0 && value.get("jsonrpc").is_some() && value["result"].is_array() {
                continue;
            }
            let is_json_rpc = value.get("jsonrpc").is_some();
            assert!(value.get("result").is_some(), "{line}");
            match value.get("error") {
                None => assert!(is_json_rpc, "no error member: {line}"),
                Some(Value::Null) => assert!(!is_json_rpc, "ethminer hangs up on it: {line}"),
                Some(error) => assert_eq!(error.is_object(), is_json_rpc, "{line}"),
            }
            let is_share = id.as_str().is_some_and(|id| id.starts_with("share"));
            self.accepted += u64::from(is_share && value["result"] == Value::Bool(true));
            if let Some(owed) = self.owed.pop_front() {
                assert_eq!(id.to_string(), owed, "the next reply is owed to another");
            }
        }
    }
}
