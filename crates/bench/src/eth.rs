//! One miner of the Ethash family as the generator has it, in each of its dialects.
//!
//! Nonces are honest: below the target they are looked for with the light cache, ahead of the run. Epoch 0 alone is known,
//! because a cache of any other takes longer to make than a run.

use crate::wire::{AUTHORIZE_ID, Outcome, Reply, SUBSCRIBE_ID};
use gruve_pow::ethash::{EthashEpoch, LightCache, hash_light_many};
use gruve_stratum::target_of_wire_difficulty;
use gruve_units::{Algorithm, Target};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::OnceLock;

/// Hashed side by side.
const TOGETHER: usize = 8;

/// Nonces without a part of their own begin so: those parts are the last that a server gives.
const NO_PART: u64 = 0xff << 56;

/// How a miner speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EthDialect {
    /// `EthereumStratum/1.0.0`.
    NiceHash,
    /// `mining.notify` with header, seed and target.
    Stratum,
    /// `eth_submitLogin`, `eth_getWork`, `eth_submitWork`.
    Proxy,
}

impl EthDialect {
    /// All of them in turn.
    #[must_use]
    pub const fn of(number: usize) -> EthDialect {
        match number % 3 {
            0 => EthDialect::NiceHash,
            1 => EthDialect::Stratum,
            _ => EthDialect::Proxy,
        }
    }
}

/// A nonce, and the mix digest that its hash went through.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Solution {
    nonce: u64,
    mix: [u8; 32],
}

/// What to say of a share that is no good one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EthForm {
    Right,
    /// Of work that there never was.
    Stale,
    /// A nonce that is a byte short.
    Malformed,
}

/// What a line from the server means.
#[derive(Debug)]
pub(crate) enum EthHeard {
    /// The login is through.
    In,
    Work,
    Reply(Reply),
    Nothing,
    Bad(String),
}

/// One connection's miner.
pub(crate) struct EthMiner {
    dialect: EthDialect,
    /// NiceHash's part of the nonce, in hex.
    part: String,
    /// Where the nonces begin that are nobody else's.
    own: u64,
    next: u64,
    job: String,
    header: Option<[u8; 32]>,
    target: Option<Target>,
    good: VecDeque<Solution>,
    low: VecDeque<Solution>,
    last_good: Option<Solution>,
    pub(crate) hashes: u64,
}

fn epoch_0() -> Option<&'static LightCache> {
    static CACHE: OnceLock<Option<LightCache>> = OnceLock::new();
    let made = || EthashEpoch::new(Algorithm::Ethash, 0).ok().map(LightCache::new);
    CACHE.get_or_init(made).as_ref()
}

impl EthMiner {
    /// The `number`th, of a run that began then: its nonces are those of no other run.
    pub(crate) fn new(dialect: EthDialect, number: usize, began_ns: u64) -> EthMiner {
        let number = number as u64 & 0xffff;
        EthMiner {
            dialect,
            part: String::new(),
            own: NO_PART | number << 40,
            // Of the forty bits left the upper twenty are the run's.
            next: (began_ns >> 20 & 0xf_ffff) << 20,
            job: String::new(),
            header: None,
            target: None,
            good: VecDeque::new(),
            low: VecDeque::new(),
            last_good: None,
            hashes: 0,
        }
    }

    pub(crate) fn log_in(&self, user: &str, password: &str, out: &mut Vec<u8>) {
        let agent = concat!("gruve-bench/", env!("CARGO_PKG_VERSION"));
        let (subscribe, login) = (SUBSCRIBE_ID, AUTHORIZE_ID);
        let lines = match self.dialect {
            EthDialect::NiceHash => [
                json!({"id": subscribe, "method": "mining.subscribe", "params": [agent, "EthereumStratum/1.0.0"]}),
                json!({"id": login, "method": "mining.authorize", "params": [user, password]}),
            ],
            EthDialect::Stratum => [
                json!({"id": subscribe, "method": "mining.subscribe", "params": [agent]}),
                json!({"id": login, "method": "mining.authorize", "params": [user, password]}),
            ],
            EthDialect::Proxy => [
                json!({"id": login, "jsonrpc": "2.0", "method": "eth_submitLogin", "params": [user, password]}),
                json!({"id": subscribe, "jsonrpc": "2.0", "method": "eth_getWork", "params": []}),
            ],
        };
        lines.iter().for_each(|line| out.extend_from_slice(format!("{line}\n").as_bytes()));
    }

    /// Understands a line.
    pub(crate) fn line(&mut self, line: &[u8]) -> EthHeard {
        let Ok(Value::Object(message)) = serde_json::from_slice(line) else {
            return EthHeard::Bad("the server does not speak Stratum".to_owned());
        };
        let none = Vec::new();
        if let Some(method) = message.get("method").and_then(Value::as_str) {
            let params = message.get("params").and_then(Value::as_array).unwrap_or(&none);
            return self.told(method, params);
        }
        let Some(id) = message.get("id").and_then(Value::as_u64) else { return EthHeard::Nothing };
        let result = message.get("result").unwrap_or(&Value::Null);
        match (id, result.as_array().map(Vec::as_slice)) {
            // Work that was asked for, or pushed.
            (0 | SUBSCRIBE_ID, Some([header, seed, target, ..]))
                if self.dialect == EthDialect::Proxy =>
            {
                self.work([header, header, seed], hash_of(target))
            }
            (SUBSCRIBE_ID, Some([_, part])) if self.dialect == EthDialect::NiceHash => {
                self.take_part(part)
            }
            (SUBSCRIBE_ID, _) => EthHeard::Nothing,
            (AUTHORIZE_ID, _) if *result == Value::Bool(true) => EthHeard::In,
            (AUTHORIZE_ID, _) => EthHeard::Bad("the login was refused".to_owned()),
            _ => {
                let error = message.get("error").unwrap_or(&Value::Null);
                let is_good = *result == Value::Bool(true) && error.is_null();
                let code = || crate::wire::code(error);
                let outcome = if is_good { Outcome::Accepted } else { Outcome::Refused(code()) };
                EthHeard::Reply(Reply { id, outcome })
            }
        }
    }

    fn told(&mut self, method: &str, params: &[Value]) -> EthHeard {
        match (method, params) {
            ("mining.set_difficulty", [d, ..]) => {
                let target =
                    d.as_f64().and_then(|d| target_of_wire_difficulty(Algorithm::Ethash, d));
                self.set_target(target);
                EthHeard::Nothing
            }
            ("mining.set_extranonce", [part, ..]) => self.take_part(part),
            ("mining.notify", [job, seed, header, ..]) if self.dialect == EthDialect::NiceHash => {
                let target = self.target;
                self.work([job, header, seed], target)
            }
            ("mining.notify", [job, header, seed, target, ..]) => {
                self.work([job, header, seed], hash_of(target))
            }
            _ => EthHeard::Nothing,
        }
    }

    fn take_part(&mut self, part: &Value) -> EthHeard {
        let part = part.as_str().unwrap_or_default();
        let bits = u32::try_from(4 * part.len()).unwrap_or(u32::MAX);
        match u64::from_str_radix(part, 16) {
            Ok(number) if (4..=24).contains(&bits) => {
                self.part = part.to_owned();
                self.own = number << (64 - bits);
                EthHeard::Nothing
            }
            _ => EthHeard::Bad("a part of the nonce that is none".to_owned()),
        }
    }

    fn set_target(&mut self, target: Option<Target>) {
        if self.target != target {
            self.target = target;
            self.good.clear();
            self.low.clear();
        }
    }

    fn work(&mut self, [job, header, seed]: [&Value; 3], target: Option<Target>) -> EthHeard {
        let bytes = |v: &Value| hash_of(v).map(Target::to_be_bytes);
        let (Some(header), Some(seed), Some(_)) = (bytes(header), bytes(seed), target) else {
            return EthHeard::Bad("work that cannot be read".to_owned());
        };
        if seed != [0; 32] {
            return EthHeard::Bad("work of another epoch than the first".to_owned());
        }
        if self.header != Some(header) {
            self.good.clear();
            self.low.clear();
            self.last_good = None;
        }
        self.set_target(target);
        (self.header, self.job) = (Some(header), job.as_str().unwrap_or_default().to_owned());
        EthHeard::Work
    }

    /// Hashes expected for one share.
    pub(crate) fn expected_hashes(&self) -> u128 {
        self.target.map_or(1, |t| t.expected_hashes().0)
    }

    /// Mines until there are so many good and so many low solutions.
    pub(crate) fn mine(&mut self, good: usize, low: usize) {
        while (self.good.len() < good || self.low.len() < low) && self.hash_some() {}
    }

    /// Tries a few nonces; whether it could.
    pub(crate) fn hash_some(&mut self) -> bool {
        let (Some(header), Some(target), Some(cache)) = (self.header, self.target, epoch_0())
        else {
            return false;
        };
        let tries: Vec<_> = (0..TOGETHER).map(|_| (header, self.nonce())).collect();
        self.hashes += tries.len() as u64;
        for ((_, nonce), (mix, last)) in tries.iter().zip(hash_light_many(cache, &tries)) {
            let solution = Solution { nonce: *nonce, mix };
            let is_good = Target::from_be_bytes(last) <= target;
            if is_good { &mut self.good } else { &mut self.low }.push_back(solution);
        }
        true
    }

    fn nonce(&mut self) -> u64 {
        self.next += 1;
        self.own | self.next & 0xff_ffff_ffff
    }

    /// The next good one, or one that was sent already.
    pub(crate) fn good(&mut self, again: bool) -> Option<Solution> {
        if let Some(last) = self.last_good.filter(|_| again) {
            return Some(last);
        }
        self.mine(1, 0);
        self.last_good = self.good.pop_front();
        self.last_good
    }

    pub(crate) fn low(&mut self) -> Option<Solution> {
        self.mine(0, 1);
        self.low.pop_front()
    }

    pub(crate) fn has_work(&self) -> bool {
        self.header.is_some()
    }

    pub(crate) fn has_shared(&self) -> bool {
        self.last_good.is_some()
    }

    /// A nonce that nothing was hashed for; zeros for a mix claim nothing, so that it has to be hashed to be known.
    pub(crate) fn unhashed(&mut self) -> Solution {
        Solution { nonce: self.nonce(), mix: [0; 32] }
    }

    /// Queues a share.
    pub(crate) fn submit(
        &self,
        id: u64,
        user: &str,
        share: Solution,
        form: EthForm,
        out: &mut Vec<u8>,
    ) {
        let short = usize::from(form == EthForm::Malformed) * 2;
        let header = match form {
            EthForm::Stale => [0xee; 32],
            _ => self.header.unwrap_or_default(),
        };
        let (header, mix) = (hex::encode(header), hex::encode(share.mix));
        let nonce = format!("{:016x}", share.nonce);
        let line = match self.dialect {
            EthDialect::NiceHash => {
                let rest = nonce.get(self.part.len() + short..).unwrap_or_default();
                let job = if form == EthForm::Stale { "00000000000000ee02" } else { &self.job };
                json!({"id": id, "method": "mining.submit", "params": [user, job, rest]})
            }
            EthDialect::Stratum => {
                let nonce = format!("0x{}", &nonce[short..]);
                let (whole, mix) = (format!("0x{header}"), format!("0x{mix}"));
                json!({"id": id, "method": "mining.submit", "params": [user, header, nonce, whole, mix]})
            }
            EthDialect::Proxy => {
                let params =
                    [format!("0x{}", &nonce[short..]), format!("0x{header}"), format!("0x{mix}")];
                json!({"id": id, "jsonrpc": "2.0", "method": "eth_submitWork", "params": params})
            }
        };
        out.extend_from_slice(format!("{line}\n").as_bytes());
    }
}

/// A hash or a target, with or without `0x`.
fn hash_of(value: &Value) -> Option<Target> {
    let text = value.as_str()?;
    let digits = text.strip_prefix("0x").unwrap_or(text);
    Some(Target::from_be_bytes(hex::decode(digits).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_miners_and_no_two_runs_try_the_same_nonce() {
        let mut seen = std::collections::HashSet::new();
        for began_ns in [1 << 40, (1 << 40) + (1 << 20)] {
            for number in 0..3 {
                let mut miner = EthMiner::new(EthDialect::Proxy, number, began_ns);
                assert!((0..1_000).all(|_| seen.insert(miner.nonce())));
            }
        }
        let mut buyer = EthMiner::new(EthDialect::NiceHash, 7, 1);
        assert!(matches!(buyer.take_part(&json!("080c")), EthHeard::Nothing));
        assert_eq!(buyer.nonce() >> 48, 0x080c, "within its part");
        assert!(matches!(buyer.take_part(&json!("08090a0b")), EthHeard::Bad(_)));
    }
}
