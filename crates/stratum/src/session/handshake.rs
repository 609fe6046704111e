//! Everything a miner says before and beside shares: subscribe, authorise, configure, wishes.

use super::answer_if_asked;
use super::reply;
use super::request::{Params, Request};
use super::{CloseReason, Session, SessionRules, Worker};
use crate::agents;
use crate::difficulty::class_of_wire_difficulty;
use crate::hexes;
use crate::limits;
use crate::machines::Refused;
use crate::notify::read_wire_id;
use crate::protocol::{Admitted, Round, Step};
use gruve_units::{Class, Target, Timestamp};
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Arc;

impl Session {
    /// `mining.subscribe`, in every known shape: parameters may be missing, null, or anything. The
    /// session that a miner names as its last one is not taken up: its shares are not remembered. A
    /// second subscribe is answered alike and changes nothing but the name, where it has one.
    pub(super) fn subscribe(&mut self, request: &Request<'_>, now: Timestamp, out: &mut Vec<u8>) {
        if let Some(agent) = Params::read(&request.params).and_then(|p| p.text(0)) {
            self.call(&printable(&agent));
        }
        let own = hex::encode(self.extranonce1.prefix);
        let size = limits::EXTRANONCE2_BYTES;
        let result = format!(
            r#"[[["mining.set_difficulty","{own}"],["mining.notify","{own}"]],"{own}",{size}]"#
        );
        reply::ok(out, request.id, &result);
        self.subscribed = true;
        self.give(now, out);
        self.ask_version(out);
    }

    /// The miner has said what it is.
    pub(super) fn call(&mut self, agent: &str) {
        self.agent = agent.into();
        self.easiest = self.easiest_for(agent);
        self.raise_floor(self.floor);
    }

    /// The easiest class for miners of a name.
    pub(super) fn easiest_for(&self, agent: &str) -> Class {
        let SessionRules { agents, algorithm, class_range, .. } = &*self.rules;
        let known = agents::easiest_class(agents, agent, *algorithm);
        known.map_or(class_range.0, |class| class.clamp(class_range.0, class_range.1))
    }

    /// Bounds the class from below by a wish and by what the miner can use.
    fn raise_floor(&mut self, wish: Class) {
        let hardest = self.hardest();
        self.floor = wish.max(self.easiest);
        let floor = self.floor.min(hardest);
        self.vardiff.set_range((floor, hardest));
        self.wanted = self.wanted.max(floor);
    }

    /// `mining.authorize`: the driver looks the login up; until then no other line is read.
    pub(super) fn authorize(&mut self, request: &Request<'_>, round: &mut Round) -> Step {
        let params = Params::read(&request.params);
        let text = |i| params.as_ref().and_then(|p| p.text(i)).unwrap_or_default();
        let (user, password) = (text(0), text(1));
        if self.workers.len() >= limits::WORKERS_MAX
            && !self.workers.iter().any(|w| *w.user == *user)
        {
            // A proxy in front of more machines than that is no guesser, and those that are in go on.
            reply::refused(&mut round.text, request.id, "false", reply::TOO_MANY_LOGINS);
            return Step::Continue;
        }
        if !is_login(&user) || password.len() > limits::PASSWORD_BYTES_MAX {
            reply::refused(&mut round.text, request.id, "false", reply::UNAUTHORISED);
            self.refused_logins += 1;
            return self.after_login();
        }
        if self.refused_logins >= limits::LOGINS_REFUSED_MAX {
            return Step::Close(CloseReason::Logins);
        }
        self.asking = Some(Box::new((request.id.to_owned(), user.clone().into_owned())));
        Step::Authorize { user: user.into_owned(), password: password.into_owned() }
    }

    fn after_login(&self) -> Step {
        if self.refused_logins > limits::LOGINS_REFUSED_MAX {
            Step::Close(CloseReason::Logins)
        } else {
            Step::Continue
        }
    }

    /// The answer to [`Step::Authorize`]; `password` once more for the wishes in it (`d=`, `md=`).
    pub(super) fn logged_in(
        &mut self,
        outcome: &Result<Admitted, Refused>,
        password: &str,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let Some((id, user)) = self.asking.take().map(|a| *a) else { return };
        match outcome {
            Ok(admitted) => {
                reply::ok(out, &id, "true");
                self.workers.retain(|w| *w.user != *user);
                if self.workers.is_empty()
                    && let Some(class) = admitted.class
                {
                    self.begin_at(class);
                }
                self.workers.reserve_exact(1);
                self.workers.push(Worker { user: user.into(), who: admitted.who });
                self.wishes_in(password);
                self.give(now, out);
                self.ask_version(out);
            }
            Err(Refused(why)) => {
                self.refused_logins += 1;
                let why = serde_json::to_string(why).unwrap_or_else(|_| "\"\"".to_owned());
                let line = format!("{{\"id\":{id},\"result\":false,\"error\":[24,{why},null]}}\n");
                out.extend_from_slice(line.as_bytes());
            }
        }
        self.last_line_at = now;
    }

    /// The class its machine had when it was last seen; wishes come after and win.
    fn begin_at(&mut self, class: Class) {
        if self.told.is_none() && !self.wished {
            self.wanted = class.clamp(self.floor.min(self.hardest()), self.hardest());
            self.trusted = Some(self.wanted);
        }
    }

    /// `d=1024,md=16`: a difficulty to begin with and the easiest wanted.
    fn wishes_in(&mut self, password: &str) {
        for wish in password.split(',') {
            let Some((name, value)) = wish.split_once('=') else { continue };
            let Ok(value) = value.trim().parse::<f64>() else { continue };
            match name.trim() {
                "d" => self.wish(value),
                "md" => self.set_floor(value),
                _ => {}
            }
        }
    }

    /// A difficulty to begin with. Heeded until the first share: after that the control knows
    /// better.
    fn wish(&mut self, difficulty: f64) {
        let range = (self.floor, self.hardest());
        let class = class_of_wire_difficulty(self.rules.algorithm, difficulty, range);
        if let Some(class) = class.filter(|_| self.accepted == 0) {
            self.wanted = class;
            self.wished = true;
        }
    }

    fn set_floor(&mut self, difficulty: f64) {
        let range = (self.rules.class_range.0, self.hardest());
        let class = class_of_wire_difficulty(self.rules.algorithm, difficulty, range);
        if let Some(class) = class {
            self.raise_floor(class);
        }
    }

    fn hardest(&self) -> Class {
        let network = self.work.as_ref().map_or(self.rules.class_range.1, |w| w.class_max());
        self.rules.class_range.1.min(network)
    }

    pub(super) fn suggest_difficulty(
        &mut self,
        request: &Request<'_>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        if let Some(d) = Params::read(&request.params).and_then(|p| p.number(0)) {
            self.wish(d);
        }
        answer_if_asked(request, "true", out);
        self.give(now, out);
    }

    pub(super) fn suggest_target(
        &mut self,
        request: &Request<'_>,
        now: Timestamp,
        out: &mut Vec<u8>,
    ) {
        let target = Params::read(&request.params).and_then(|p| p.text(0));
        if let Some(bytes) = target.and_then(|t| hexes::array::<32>(&t)) {
            let class = Class::not_harder_than(Target::from_be_bytes(bytes));
            self.wish(class.wire_difficulty(self.rules.algorithm));
        }
        answer_if_asked(request, "true", out);
        self.give(now, out);
    }

    /// `mining.get_transactions`: of the newest job, once, where they fit on a line that any miner
    /// reads. What is longer is refused and said to be.
    pub(super) fn get_transactions(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        // In the method's own brackets the name has no quotes, and is no JSON.
        let bare = request.params.trim_matches(['[', ']', '"', ' ']);
        let named = Params::read(&request.params).and_then(|p| p.text(0));
        let named = named.as_deref().unwrap_or(bare);
        let work = self.work.as_ref().filter(|_| self.may_be_given());
        let job = work.map(|work| Arc::clone(self.newest_of(work)));
        let id = read_wire_id(named.as_bytes()).map(|(job, ..)| job);
        let Some(job) = job.filter(|j| id == Some(j.job().id())) else {
            reply::refused(out, request.id, "null", reply::NO_SUCH_JOB);
            return;
        };
        let txs = &job.job().template().txs;
        let chars: usize = txs.iter().map(|tx| 2 * tx.data.len() + 3).sum();
        if chars > limits::TRANSACTIONS_CHARS_MAX || std::mem::replace(&mut self.listed, true) {
            reply::refused(out, request.id, "null", reply::TOO_LONG);
            return;
        }
        let list: Vec<String> =
            txs.iter().map(|tx| format!("\"{}\"", hex::encode(&tx.data))).collect();
        reply::ok(out, request.id, &format!("[{}]", list.join(",")));
    }

    /// `mining.configure` (BIP 310). Unknown extensions are answered `false`.
    pub(super) fn configure(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let params = Params::read(&request.params);
        let list = |i| params.as_ref().and_then(|p| p.raw(i)).map(serde_json::from_str::<Value>);
        let (Some(Ok(Value::Array(extensions))), options) = (list(0), list(1)) else {
            reply::refused(out, request.id, "null", reply::SHAPE);
            return;
        };
        let options = options.and_then(Result::ok).unwrap_or(Value::Null);
        let mut result = String::from("{");
        let mut answered = HashSet::new();
        let names = extensions.iter().filter_map(Value::as_str);
        // No name twice in one object: readers differ in which they take.
        for name in names.filter(|name| answered.insert(*name)) {
            if result.len() > 1 {
                result.push(',');
            }
            match name {
                "version-rolling" => self.version_rolling(&options, &mut result),
                "minimum-difficulty" => {
                    let value = options.get("minimum-difficulty.value").and_then(Value::as_f64);
                    value.into_iter().for_each(|d| self.set_floor(d));
                    let _ = write!(result, r#""minimum-difficulty":{}"#, value.is_some());
                }
                "subscribe-extranonce" | "info" => {
                    self.takes_extranonces |= name == "subscribe-extranonce";
                    let _ = write!(result, r#""{name}":true"#);
                }
                _ => {
                    let name = serde_json::to_string(name).unwrap_or_else(|_| "\"\"".to_owned());
                    let _ = write!(result, "{name}:false");
                }
            }
        }
        result.push('}');
        reply::ok(out, request.id, &result);
    }

    /// The mask is what both sides allow; a missing one asks for all bits, a malformed one for
    /// none. The minimum number of bits, required by the BIP, is left out by cgminer and ESP-Miner.
    fn version_rolling(&mut self, options: &Value, result: &mut String) {
        let asked = match options.get("version-rolling.mask") {
            None | Some(Value::Null) => u32::MAX,
            Some(mask) => mask.as_str().and_then(hexes::word).unwrap_or(0),
        };
        let min_bits = options.get("version-rolling.min-bit-count").and_then(Value::as_u64);
        let mask = asked & self.rules.version_mask;
        if mask == 0 || u64::from(mask.count_ones()) < min_bits.unwrap_or(0) {
            self.version_mask = 0;
            result.push_str(r#""version-rolling":false"#);
        } else {
            self.version_mask = mask;
            let _ = write!(result, r#""version-rolling":true,"version-rolling.mask":"{mask:08x}""#);
        }
    }
}

/// A login that may be looked up: not empty, not long, no control or invisible direction
/// characters, nothing that means something in a path. What the names are is the house's affair.
pub(crate) fn is_login(user: &str) -> bool {
    let forbidden = |c: char| {
        c.is_control()
            || matches!(c, '/' | '\\' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    !user.is_empty()
        && user.len() <= limits::USER_BYTES_MAX
        && !user.starts_with(['.', '_'])
        && !user.contains("..")
        && !user.contains(forbidden)
}

/// What is kept of a name somebody gave itself.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .filter(|c| c.is_ascii_graphic() || *c == ' ')
        .take(limits::AGENT_BYTES_MAX)
        .collect()
}
