//! The client's receiving half: lines in, events and replies out.

use super::{ClientJob, Event};
use crate::hexes;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::{mpsc, oneshot};

/// A line at most: a notify has a coinbase (100 kB at the very most on any chain, in hex) and 32
/// siblings; more than 256 KiB is an attack.
const LINE_MAX: u64 = 256 << 10;

/// Extranonces beyond this do not fit a coinbase script with a height.
const EXTRANONCE_MAX: usize = 32;

/// Who waits for which reply.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) waiting: HashMap<u64, oneshot::Sender<RawReply>>,
    pub(super) subscribe_id: Option<u64>,
}

/// A reply as it came.
#[derive(Clone, Debug)]
pub(super) struct RawReply {
    pub(super) result: Value,
    pub(super) error: Value,
}

impl RawReply {
    pub(super) fn code(&self) -> i64 {
        let code = self.error.get(0).or_else(|| self.error.get("code"));
        code.and_then(Value::as_i64).unwrap_or(20)
    }

    pub(super) fn reason(&self) -> String {
        let text = self.error.get(1).or_else(|| self.error.get("message")).unwrap_or(&self.error);
        text.as_str().unwrap_or("no reason given").chars().take(200).collect()
    }
}

/// What applies to the jobs to come.
struct InForce {
    difficulty: f64,
    extranonce1: Vec<u8>,
    extranonce2_size: usize,
}

pub(super) async fn run(
    read: OwnedReadHalf,
    events: mpsc::Sender<Event>,
    pending: Arc<Mutex<Pending>>,
) {
    let why = read_all(read, &events, &pending).await;
    // Whoever waits for a reply learns that none comes.
    pending.lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
    let _ = events.send(Event::Disconnected(why)).await;
}

async fn read_all(
    read: OwnedReadHalf,
    events: &mpsc::Sender<Event>,
    pending: &Mutex<Pending>,
) -> String {
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    let mut force = InForce { difficulty: 1.0, extranonce1: Vec::new(), extranonce2_size: 0 };
    loop {
        line.clear();
        match (&mut read).take(LINE_MAX).read_until(b'\n', &mut line).await {
            Err(e) => return e.to_string(),
            Ok(0) => return "the server closed the connection".to_owned(),
            Ok(_) if line.last() != Some(&b'\n') => {
                return "the server sent a line without end".to_owned();
            }
            Ok(_) => {}
        }
        let Ok(message) = serde_json::from_slice::<Value>(&line) else {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            return "the server sent a line that is not JSON".to_owned();
        };
        match take(&message, &mut force, pending) {
            Ok(Some(event)) => {
                let end = matches!(event, Event::Disconnected(_));
                if events.send(event).await.is_err() || end {
                    return "closed".to_owned();
                }
            }
            Ok(None) => {}
            Err(why) => return why.to_owned(),
        }
    }
}

fn take(
    message: &Value,
    force: &mut InForce,
    pending: &Mutex<Pending>,
) -> Result<Option<Event>, &'static str> {
    let Some(method) = message.get("method").and_then(Value::as_str) else {
        return take_reply(message, force, pending).map(|()| None);
    };
    let params = message.get("params").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let first = params.first();
    Ok(match method {
        "mining.notify" => {
            let mut job = ClientJob::from_notify(params)?;
            job.difficulty = force.difficulty;
            job.extranonce1.clone_from(&force.extranonce1);
            job.extranonce2_size = force.extranonce2_size;
            Some(Event::Job(Arc::new(job)))
        }
        "mining.set_difficulty" => {
            let d = first
                .and_then(Value::as_f64)
                .filter(|d| d.is_finite() && *d > 0.0)
                .ok_or("mining.set_difficulty without a difficulty")?;
            force.difficulty = d;
            Some(Event::Difficulty(d))
        }
        "mining.set_extranonce" => {
            extranonce(first, params.get(1), force)?;
            Some(Event::Extranonce {
                extranonce1: force.extranonce1.clone(),
                extranonce2_size: force.extranonce2_size,
            })
        }
        "mining.set_version_mask" => {
            let mask = first.and_then(Value::as_str).and_then(hexes::word);
            Some(Event::VersionMask(mask.ok_or("mining.set_version_mask without a mask")?))
        }
        "client.show_message" => {
            let words = first.and_then(Value::as_str).unwrap_or_default();
            Some(Event::Message(words.chars().take(200).collect()))
        }
        "client.reconnect" => {
            Some(Event::Disconnected("the server asked to connect again".to_owned()))
        }
        _ => None,
    })
}

fn take_reply(
    message: &Value,
    force: &mut InForce,
    pending: &Mutex<Pending>,
) -> Result<(), &'static str> {
    let Some(id) = message.get("id").and_then(Value::as_u64) else { return Ok(()) };
    let result = message.get("result").cloned().unwrap_or(Value::Null);
    let error = message.get("error").cloned().unwrap_or(Value::Null);
    let mut pending = pending.lock().unwrap_or_else(PoisonError::into_inner);
    if pending.subscribe_id == Some(id) {
        extranonce(result.get(1), result.get(2), force)?;
        pending.subscribe_id = None;
    }
    if let Some(tell) = pending.waiting.remove(&id) {
        // Whoever asked may have given up.
        let _ = tell.send(RawReply { result, error });
    }
    Ok(())
}

fn extranonce(
    first: Option<&Value>,
    size: Option<&Value>,
    force: &mut InForce,
) -> Result<(), &'static str> {
    let first = first
        .and_then(Value::as_str)
        .and_then(|t| hex::decode(t).ok())
        .filter(|b| b.len() <= EXTRANONCE_MAX)
        .ok_or("an extranonce that is not hex")?;
    force.extranonce2_size = size
        .and_then(Value::as_u64)
        .and_then(|s| usize::try_from(s).ok())
        .filter(|s| (1..=EXTRANONCE_MAX).contains(s))
        .ok_or("an extranonce 2 of an impossible size")?;
    force.extranonce1 = first;
    Ok(())
}
