//! A session driven without sockets, works to hand it, and a CPU that mines them.

use gruve_chain::NodeWork;
use gruve_pow::ethash::EthashEpoch;
use gruve_sharelog::{BlockRecord, Owner, ShareRecord};
use gruve_stratum::eth::verify::{Caches, EpochPow, solve_many};
use gruve_stratum::eth::{EthSession, EthState, EthWork, Sessions};
use gruve_stratum::protocol::{Admitted, Protocol, Puzzle, Round, Solved, Step, Work};
use gruve_stratum::session::{CloseReason, NOT_STORED, SessionRules};
use gruve_stratum::{Authorized, Refused};
use gruve_units::{
    Algorithm, Class, Duration, EpochNumber, JobId, MachineId, SeededEntropy, Target, Timestamp,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

pub(crate) const START: i64 = 1_700_000_000;

pub(crate) fn class(k: u8) -> Class {
    Class::new(k).unwrap()
}

/// The caches of all tests: epoch 0 is made once.
pub(crate) fn caches() -> Caches {
    static CACHES: OnceLock<Caches> = OnceLock::new();
    CACHES.get_or_init(Caches::default).clone()
}

/// What epoch 0 is hashed with.
pub(crate) fn pow() -> Arc<EpochPow> {
    caches().of(EthashEpoch::new(Algorithm::Ethash, 0).unwrap()).unwrap()
}

/// A node's work at a height; the class is the block's.
pub(crate) fn node_work(header: u8, height: Option<u64>, block: Class) -> NodeWork {
    NodeWork { header_hash: [header; 32], seed_hash: [0; 32], target: block.target(), height }
}

/// No block in any test's lifetime.
pub(crate) const HARD: u8 = 60;

pub(crate) fn work(id: u64, header: u8, height: u64) -> EthWork {
    let node = node_work(header, Some(height), class(HARD));
    EthWork::new(JobId(id), EpochNumber(7), &node, Timestamp::from_secs(START), pow())
}

/// Mix digest and final hash by header and nonce.
type Hashes = HashMap<(u8, u64), ([u8; 32], [u8; 32])>;

/// A nonce with its mix digest.
pub(crate) type Solution = (u64, [u8; 32]);

/// Nonces of a header that meet one class and, where asked, not another; from `from` on. What was
/// hashed once is remembered.
pub(crate) fn mine(header: u8, from: u64, easy: u8, but_not: Option<u8>) -> Solution {
    static HASHES: OnceLock<Mutex<Hashes>> = OnceLock::new();
    let pow = pow();
    for nonce in from.. {
        let mut known = HASHES.get_or_init(Mutex::default).lock().unwrap();
        let (mix, last) = *known
            .entry((header, nonce))
            .or_insert_with(|| pow.hash_many(&[([header; 32], nonce)])[0]);
        let meets = |k: u8| Target::from_be_bytes(last) <= class(k).target();
        if meets(easy) && !but_not.is_some_and(meets) {
            return (nonce, mix);
        }
    }
    unreachable!()
}

/// Nonces that meet at least that class, different ones.
pub(crate) fn mine_some(header: u8, from: u64, k: u8, count: usize) -> Vec<Solution> {
    let mut all = Vec::new();
    let mut from = from;
    while all.len() < count {
        let one = mine(header, from, k, None);
        from = one.0 + 1;
        all.push(one);
    }
    all
}

pub(crate) fn hex32(bytes: &[u8; 32]) -> String {
    format!("0x{}", hex::encode(bytes))
}

pub(crate) fn rules() -> SessionRules {
    SessionRules::new(Algorithm::Ethash, (class(0), class(40)), class(2))
}

/// A gateway's sessions and the lane's works, without a gateway.
pub(crate) struct Hall {
    sessions: Sessions,
    pub(crate) state: Option<Arc<EthState>>,
    pub(crate) now: Timestamp,
}

impl Hall {
    pub(crate) fn new() -> Hall {
        Hall::with(rules())
    }

    pub(crate) fn with(rules: SessionRules) -> Hall {
        let sessions = Sessions::new(Arc::new(rules), &SeededEntropy::new(5));
        Hall { sessions, state: None, now: Timestamp::from_secs(START) }
    }

    pub(crate) fn connect(&self) -> Rig {
        let mut rig = Rig {
            session: self.sessions.open(self.now),
            now: self.now,
            log: Vec::new(),
            blocks: Vec::new(),
            closed: None,
            remembered: None,
            log_takes: true,
            hashes: true,
        };
        if let Some(state) = &self.state {
            rig.hear(state);
        }
        rig
    }

    /// The lane has other work.
    pub(crate) fn publish(&mut self, work: EthWork) -> Arc<EthState> {
        let work = Arc::new(work);
        let state = match &self.state {
            Some(old) => old.with(work, gruve_stratum::limits::ETH_WORKS_MAX),
            None => EthState::of(work),
        };
        self.state = Some(Arc::new(state));
        self.state.clone().unwrap()
    }
}

/// One miner and its session.
pub(crate) struct Rig {
    pub(crate) session: EthSession,
    pub(crate) now: Timestamp,
    pub(crate) log: Vec<ShareRecord>,
    pub(crate) blocks: Vec<BlockRecord>,
    pub(crate) closed: Option<CloseReason>,
    /// The class its machine had before.
    pub(crate) remembered: Option<Class>,
    pub(crate) log_takes: bool,
    /// Otherwise every hash is all ones: good at class 0 alone.
    pub(crate) hashes: bool,
}

impl Rig {
    pub(crate) fn say(&mut self, lines: &str) -> Vec<Value> {
        lines_of(&self.say_bytes(lines.as_bytes()))
    }

    /// Says lines read together; gives what comes back.
    pub(crate) fn say_bytes(&mut self, lines: &[u8]) -> String {
        let mut input = lines.to_vec();
        input.push(b'\n');
        let mut out = Vec::new();
        while !input.is_empty() && self.closed.is_none() {
            let mut round = Round::default();
            let (part, taken, step) = round.receive(&mut self.session, &input, self.now);
            input.drain(..taken);
            self.finish(&round, part, &mut out);
            match step {
                Step::Continue if taken == 0 => break,
                Step::Continue => {}
                Step::Authorize { user, password } => {
                    let outcome = if password == "wrong" {
                        Err(Refused("no \"such\" login".to_owned()))
                    } else {
                        let who = Authorized { owner: Owner::House, machine: machine(&user) };
                        Ok(Admitted { who, class: self.remembered })
                    };
                    self.session.authorized(&outcome, &password, self.now, &mut out);
                }
                Step::Close(reason) => self.closed = Some(reason),
            }
        }
        String::from_utf8(out).unwrap()
    }

    fn finish(&mut self, round: &Round, part: gruve_stratum::protocol::Part, out: &mut Vec<u8>) {
        let tries: Vec<_> = round
            .candidates
            .iter()
            .map(|c| match &c.puzzle {
                Puzzle::Ethash(work, nonce) => (Arc::clone(work), *nonce),
                Puzzle::Header(_) => panic!("not of this family"),
            })
            .collect();
        let mut outcomes = Vec::new();
        let ones = Solved { pow_hash: [0xff; 32], header: [0; 80], mix: [0; 32] };
        let solved = if self.hashes { solve_many(&tries) } else { vec![ones; tries.len()] };
        for (candidate, solved) in round.candidates.iter().zip(solved) {
            let judged = self.session.judge(candidate, &solved, self.now);
            self.blocks.extend(judged.block.map(|b| *b));
            let stored = judged.verdict.and(if self.log_takes { Ok(()) } else { Err(NOT_STORED) });
            if stored.is_ok() {
                self.log.push(candidate.share);
            }
            outcomes.push(stored);
        }
        let close = round.answer(&mut self.session, part, &outcomes, out);
        self.closed = self.closed.or(close);
        self.session.settle(self.now, out);
    }

    /// Jobs have changed; what the miner hears.
    pub(crate) fn hear(&mut self, state: &Arc<EthState>) -> Vec<Value> {
        let mut out = Vec::new();
        self.session.work(&Work::Ethash(Arc::clone(state)), self.now, &mut out);
        lines_of(&String::from_utf8(out).unwrap())
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> Vec<Value> {
        let mut out = Vec::new();
        for _ in 0..seconds {
            self.now = self.now.plus(Duration::from_secs(1));
            self.closed = self.closed.or(self.session.tick(self.now, &mut out));
        }
        lines_of(&String::from_utf8(out).unwrap())
    }

    pub(crate) fn class(&mut self) -> Class {
        self.session.standing(self.now).class
    }

    /// In NiceHash's dialect; gives the extranonce.
    pub(crate) fn nicehash(&mut self) -> u64 {
        let replies = self.say(
            "{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"t/1\",\"EthereumStratum/1.0.0\"]}\n\
             {\"id\":2,\"method\":\"mining.authorize\",\"params\":[\"w\",\"x\"]}",
        );
        u64::from_str_radix(replies[0]["result"][1].as_str().unwrap(), 16).unwrap()
    }

    /// In eth-proxy's dialect, with work.
    pub(crate) fn proxy(&mut self) -> Vec<Value> {
        self.say(
            "{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"eth_submitLogin\",\"params\":[\"w\",\"x\"]}\n\
             {\"id\":5,\"jsonrpc\":\"2.0\",\"method\":\"eth_getWork\",\"params\":[]}",
        )
    }

    /// A share in eth-proxy's dialect: the code of its reply, 0 for yes.
    pub(crate) fn submit_work(&mut self, header: u8, (nonce, mix): Solution) -> i64 {
        let (header, mix) = (hex32(&[header; 32]), hex32(&mix));
        let line = format!(
            r#"{{"id":4,"jsonrpc":"2.0","method":"eth_submitWork","params":["0x{nonce:016x}","{header}","{mix}"]}}"#
        );
        code(&self.say(&line)[0])
    }

    /// A share in NiceHash's dialect.
    pub(crate) fn submit(&mut self, job: &str, nonce: u64) -> i64 {
        let rest = nonce & 0xffff_ffff_ffff;
        let line =
            format!(r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{rest:012x}"]}}"#);
        code(&self.say(&line)[0])
    }
}

fn machine(user: &str) -> MachineId {
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(user.bytes()) {
        *to = from;
    }
    MachineId::from_bytes(id)
}

pub(crate) fn lines_of(text: &str) -> Vec<Value> {
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}"))).collect()
}

/// The code of a refusal, 0 for yes; and that the reply has the form of its dialect.
pub(crate) fn code(reply: &Value) -> i64 {
    let is_json_rpc = reply.get("jsonrpc").is_some();
    assert!(reply.get("id").is_some() && reply.get("result").is_some(), "{reply}");
    match (reply.get("error"), is_json_rpc) {
        (None, true) => {
            assert_ne!(reply["result"], Value::Bool(false), "{reply}");
            0
        }
        (Some(error), true) => {
            assert!(!error.is_null(), "ethminer hangs up on it: {reply}");
            error["code"].as_i64().unwrap()
        }
        (Some(Value::Null), false) => 0,
        (Some(error), false) => {
            assert_eq!(error.as_array().unwrap().len(), 3, "{reply}");
            error[0].as_i64().unwrap()
        }
        (None, false) => panic!("no error member: {reply}"),
    }
}
