//! What a miner asks, line by line: the dialect, logins, work, wishes.

use super::EthSession;
use crate::agents;
use crate::difficulty::class_of_wire_difficulty;
use crate::eth::dialect::{self, Dialect, Form};
use crate::eth::extranonce::Extranonce1;
use crate::limits;
use crate::protocol::{Round, Step};
use crate::session::handshake::{is_login, printable};
use crate::session::request::{self, Line, Params, Request};
use crate::session::{CloseReason, Refusal, reply};
use gruve_units::{Class, Hashrate, Timestamp};
use serde::Deserialize;
use std::borrow::Cow;

/// What NiceHash's dialect is called in `mining.subscribe`.
const NICEHASH: &str = "EthereumStratum/1.0.0";
/// What every version of it begins with.
const ETHEREUM_STRATUM: &str = "EthereumStratum/";

const HTTP_ANSWER: &str = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n\
    Connection: close\r\n\r\nThis port speaks Stratum for Ethash.\n";

const NO_WORK: Refusal = Refusal::new(21, "no work yet");
const NO_NONCES: Refusal = Refusal::new(20, "all extranonces are out");
const OTHER_VERSION: Refusal = Refusal::new(20, "only EthereumStratum/1.0.0 is spoken here");

impl EthSession {
    pub(super) fn line(&mut self, line: &[u8], now: Timestamp, round: &mut Round) -> Step {
        self.last_line_at = now;
        match request::read(line) {
            Line::Empty | Line::Answer(_) => Step::Continue,
            Line::Http => {
                round.text.extend_from_slice(HTTP_ANSWER.as_bytes());
                Step::Close(CloseReason::Http)
            }
            Line::Bad => {
                self.bad_lines += 1;
                if self.bad_lines >= limits::BAD_LINES_MAX {
                    Step::Close(CloseReason::BadLines)
                } else {
                    Step::Continue
                }
            }
            Line::Request(request) => self.request(&request, line, now, round),
        }
    }

    fn request(
        &mut self,
        request: &Request<'_>,
        line: &[u8],
        now: Timestamp,
        round: &mut Round,
    ) -> Step {
        let method = request.method.as_ref();
        let form = Form::of(method);
        match method {
            "mining.submit" | "eth_submitWork" => return self.submit(request, line, now, round),
            "mining.authorize" => return self.log_in(request, None, &mut round.text),
            "eth_submitLogin" => {
                self.dialect.get_or_insert(Dialect::EthProxy);
                return self.log_in(request, worker_of(line).as_deref(), &mut round.text);
            }
            "mining.subscribe" => self.subscribe(request, now, &mut round.text),
            "eth_getWork" => self.get_work(request, now, &mut round.text),
            "eth_submitHashrate" => self.hashrate(request, &mut round.text),
            "mining.extranonce.subscribe" => form.ok(&mut round.text, request.id, "true"),
            "mining.suggest_difficulty" => {
                if let Some(d) = Params::read(&request.params).and_then(|p| p.number(0)) {
                    self.wish(d);
                }
                form.ok(&mut round.text, request.id, "true");
            }
            "mining.ping" => form.ok(&mut round.text, request.id, "\"pong\""),
            "pong" | "mining.pong" => {}
            _ if request.is_notification() => {}
            // Also `mining.hello`: a miner of EthereumStratum/2.0.0 then tries 1.0.0.
            _ => form.refused(&mut round.text, request.id, "null", reply::UNKNOWN_METHOD),
        }
        Step::Continue
    }

    /// Decides the dialect, once. A later one is answered as the first.
    fn subscribe(&mut self, request: &Request<'_>, now: Timestamp, out: &mut Vec<u8>) {
        let params = Params::read(&request.params);
        let text = |i| params.as_ref().and_then(|p| p.text(i)).unwrap_or_default();
        let (agent, version) = (text(0), text(1));
        if version.starts_with(ETHEREUM_STRATUM) && version != NICEHASH && self.dialect.is_none() {
            reply::refused(out, request.id, "null", OTHER_VERSION);
            return;
        }
        self.agent = printable(&agent);
        let known = agents::easiest_class(&self.rules.agents, &self.agent, self.rules.algorithm);
        let (easiest, hardest) = self.rules.class_range;
        self.easiest = known.map_or(easiest, |class| class.clamp(easiest, hardest));
        self.raise_floor(self.floor);
        let spoken = if version == NICEHASH { Dialect::NiceHash } else { Dialect::Stratum };
        let part = self.extranonce.as_ref().map(Extranonce1::to_hex);
        match (*self.dialect.get_or_insert(spoken), part) {
            (Dialect::NiceHash, Some(part)) => {
                let result = format!(r#"[["mining.notify","{part}","{NICEHASH}"],"{part}"]"#);
                reply::ok(out, request.id, &result);
            }
            (Dialect::NiceHash, None) => {
                self.dialect = None;
                reply::refused(out, request.id, "null", NO_NONCES);
            }
            (Dialect::Stratum | Dialect::EthProxy, _) => reply::ok(out, request.id, "true"),
        }
        self.plan();
        self.give(now, out);
    }

    /// `mining.authorize` and `eth_submitLogin`: the driver looks the login up; until then no other
    /// line is read. A `worker` beside a login without a dot is the machine's name.
    fn log_in(&mut self, request: &Request<'_>, worker: Option<&str>, out: &mut Vec<u8>) -> Step {
        let form = Form::of(&request.method);
        let params = Params::read(&request.params);
        let text = |i| params.as_ref().and_then(|p| p.text(i)).unwrap_or_default();
        let (user, password) = (with_worker(&text(0), worker), text(1));
        if self.workers.len() >= limits::WORKERS_MAX
            && !self.workers.iter().any(|w| *w.user == *user)
        {
            form.refused(out, request.id, "false", reply::TOO_MANY_LOGINS);
            return Step::Continue;
        }
        if !is_login(&user) || password.len() > limits::PASSWORD_BYTES_MAX {
            form.refused(out, request.id, "false", reply::UNAUTHORISED);
            self.refused_logins += 1;
            return if self.refused_logins > limits::LOGINS_REFUSED_MAX {
                Step::Close(CloseReason::Logins)
            } else {
                Step::Continue
            };
        }
        if self.refused_logins >= limits::LOGINS_REFUSED_MAX {
            return Step::Close(CloseReason::Logins);
        }
        self.asking = Some((request.id.to_owned(), form, user.clone()));
        Step::Authorize { user, password: password.into_owned() }
    }

    /// `d=1,md=1`: a difficulty to begin with and the easiest wanted, in units of 2^32 hashes.
    pub(super) fn wishes_in(&mut self, password: &str) {
        for (name, value) in password.split(',').filter_map(|w| w.split_once('=')) {
            let Ok(value) = value.trim().parse::<f64>() else { continue };
            match name.trim() {
                "d" => self.wish(value),
                "md" => self.set_floor(value),
                _ => {}
            }
        }
    }

    /// Heeded until the first share: after that the control knows better.
    fn wish(&mut self, difficulty: f64) {
        let range = (self.floor, self.hardest());
        let class = class_of_wire_difficulty(self.rules.algorithm, difficulty, range);
        if let Some(class) = class.filter(|_| self.accepted == 0) {
            self.want(class);
        }
    }

    fn set_floor(&mut self, difficulty: f64) {
        let range = (self.rules.class_range.0, self.hardest());
        if let Some(class) = class_of_wire_difficulty(self.rules.algorithm, difficulty, range) {
            self.raise_floor(class);
        }
    }

    /// Bounds the class from below by a wish and by what the miner can use.
    fn raise_floor(&mut self, wish: Class) {
        let hardest = self.hardest();
        self.floor = wish.max(self.easiest);
        let floor = self.floor.min(hardest);
        self.vardiff.set_range((floor, hardest));
        self.want(self.wanted.max(floor));
    }

    /// `eth_getWork`: the newest work, at the class that this session has it.
    fn get_work(&mut self, request: &Request<'_>, now: Timestamp, out: &mut Vec<u8>) {
        if self.dialect != Some(Dialect::EthProxy) || self.workers.is_empty() {
            Form::JsonRpc.refused(out, request.id, "null", reply::UNAUTHORISED);
            return;
        }
        let Some(state) = self.state.clone() else {
            Form::JsonRpc.refused(out, request.id, "null", NO_WORK);
            return;
        };
        self.asked_for_work = true;
        let class = self.take(&state, now).unwrap_or_else(|| self.class_of(&state.current));
        let result = dialect::get_work_result(&state.current, class);
        Form::JsonRpc.ok(out, request.id, &result);
    }

    /// `eth_submitHashrate`: noted. What counts is what shares prove.
    fn hashrate(&mut self, request: &Request<'_>, out: &mut Vec<u8>) {
        let rate =
            Params::read(&request.params).and_then(|p| p.text(0)).and_then(|t| dialect::rate(&t));
        match rate {
            Some(rate) => {
                self.reported = Some(Hashrate(rate));
                Form::JsonRpc.ok(out, request.id, "true");
            }
            None => Form::JsonRpc.refused(out, request.id, "false", reply::SHAPE),
        }
    }
}

/// The `worker` beside method and parameters, if it is a text.
pub(in super::super) fn worker_of(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Rig<'a> {
        #[serde(borrow, default)]
        worker: Option<Cow<'a, str>>,
    }
    let rig: Rig<'_> = serde_json::from_slice(line.trim_ascii()).ok()?;
    rig.worker.map(Cow::into_owned).filter(|w| !w.is_empty())
}

/// A login of an account without a machine's name gets the worker's.
pub(in super::super) fn with_worker(user: &str, worker: Option<&str>) -> String {
    match worker {
        Some(worker) if !user.is_empty() && !user.contains('.') => format!("{user}.{worker}"),
        _ => user.to_owned(),
    }
}
