//! A miner's firmware as bytes on a socket: says exactly what it is told to, hears what comes.
//!
//! Blocking, with a deadline on each read; the gateway runs on threads of its own.

use crate::gateway::mine;
pub(crate) use crate::line::{Line, encrypted, socket};
use crate::miner::method;
use gruve_stratum::client::ClientJob;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;

/// The firmware.
pub(crate) struct Peer {
    line: BufReader<Box<dyn Line>>,
    pub(crate) user: String,
    pub(crate) extranonce1: Vec<u8>,
    pub(crate) extranonce2_size: usize,
    pub(crate) difficulty: f64,
    pub(crate) job: Option<ClientJob>,
}

impl Peer {
    pub(crate) fn over(line: impl Line + 'static) -> Peer {
        Peer {
            line: BufReader::new(Box::new(line)),
            user: "house.m1".to_owned(),
            extranonce1: Vec::new(),
            extranonce2_size: 0,
            difficulty: 0.0,
            job: None,
        }
    }

    pub(crate) fn connect(address: SocketAddr) -> Peer {
        Peer::over(socket(address))
    }

    pub(crate) fn say(&mut self, line: &str) {
        self.say_bytes(line.as_bytes());
        self.say_bytes(b"\n");
    }

    pub(crate) fn say_bytes(&mut self, bytes: &[u8]) {
        self.line.get_mut().write_all(bytes).unwrap();
        self.line.get_mut().flush().unwrap();
    }

    /// The next line; `None` when the connection has ended.
    pub(crate) fn try_hear(&mut self) -> Option<Value> {
        let mut text = String::new();
        match self.line.read_line(&mut text) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
            Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => return None,
            Err(e) => panic!("{e}"),
        }
        let line: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        self.note(&line);
        Some(line)
    }

    pub(crate) fn hear(&mut self) -> Value {
        self.try_hear().expect("the connection ended")
    }

    fn note(&mut self, line: &Value) {
        let params = &line["params"];
        match method(line) {
            "mining.set_difficulty" => self.difficulty = params[0].as_f64().unwrap(),
            "mining.set_extranonce" => {
                self.extranonce1 = hex::decode(params[0].as_str().unwrap()).unwrap();
                self.extranonce2_size = usize::try_from(params[1].as_u64().unwrap()).unwrap();
            }
            "mining.notify" => {
                let mut job = ClientJob::from_notify(params.as_array().unwrap()).unwrap();
                job.extranonce1.clone_from(&self.extranonce1);
                job.extranonce2_size = self.extranonce2_size;
                job.difficulty = self.difficulty;
                self.job = Some(job);
            }
            _ => {}
        }
    }

    /// Hears until a line has this id; gives it and what came before.
    pub(crate) fn reply(&mut self, id: &Value) -> (Value, Vec<Value>) {
        let mut before = Vec::new();
        loop {
            let line = self.hear();
            if method(&line).is_empty() && &line["id"] == id {
                return (line, before);
            }
            before.push(line);
        }
    }

    /// Says a request and hears its reply.
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        let id = serde_json::from_str::<Value>(line).unwrap()["id"].clone();
        self.say(line);
        self.reply(&id).0
    }

    /// Hears until there is a message of this method.
    pub(crate) fn until(&mut self, wanted: &str) -> Value {
        loop {
            let line = self.hear();
            if method(&line) == wanted {
                return line;
            }
        }
    }

    pub(crate) fn subscribe(&mut self, params: &Value) -> Value {
        let reply =
            self.ask(&json!({"id": 1, "method": "mining.subscribe", "params": params}).to_string());
        self.extranonce1 = hex::decode(reply["result"][1].as_str().unwrap()).unwrap();
        self.extranonce2_size = usize::try_from(reply["result"][2].as_u64().unwrap()).unwrap();
        reply
    }

    pub(crate) fn authorize(&mut self, user: &str, password: &str) -> Value {
        self.user = user.to_owned();
        let params = json!([user, password]);
        self.ask(&json!({"id": 2, "method": "mining.authorize", "params": params}).to_string())
    }

    /// Subscribed, authorised, with a job.
    pub(crate) fn begin(&mut self, user: &str) {
        self.subscribe(&json!(["test/1"]));
        assert_eq!(self.authorize(user, "x")["result"], true);
        self.until("mining.notify");
    }

    /// The line of a share that is good for the job at hand: the first nonce from `extranonce2` on.
    pub(crate) fn share(&self, id: &Value, extranonce2: u64) -> (String, u32) {
        let job = self.job.as_ref().unwrap();
        let (en2, nonce) =
            (extranonce2..).find_map(|en2| Some((en2, *mine(job, en2, 4096).first()?))).unwrap();
        (self.submit(id, &format!("{en2:016x}"), job.ntime, nonce, ""), nonce)
    }

    /// A submit of these fields for the job at hand; `more` is appended to the parameters as it is.
    pub(crate) fn submit(
        &self,
        id: &Value,
        en2: &str,
        ntime: u32,
        nonce: u32,
        more: &str,
    ) -> String {
        let (user, job) = (&self.user, &self.job.as_ref().unwrap().id);
        format!(
            r#"{{"id":{id},"method":"mining.submit","params":["{user}","{job}","{en2}","{ntime:08x}","{nonce:08x}"{more}]}}"#
        )
    }

    /// Submits a good share and hears that it is accepted.
    pub(crate) fn earn(&mut self, extranonce2: u64) {
        let id = json!(1_000 + extranonce2);
        let (line, _) = self.share(&id, extranonce2);
        self.say(&line);
        let (reply, _) = self.reply(&id);
        assert_eq!(reply["result"], true, "{reply}");
    }

    /// Whether the other side closes, whatever it says before.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut buf = [0; 4096];
        loop {
            match self.line.get_mut().read(&mut buf) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return !matches!(e.kind(), std::io::ErrorKind::WouldBlock),
            }
        }
    }
}
