//! Sequences of what can happen to a Stratum V1 connection: requests, jobs, time, logins, a log
//! that fails, restarts, another connection.
//!
//! What must hold: each request with an id has exactly one reply, in order; a share is *accepted*
//! if and only if it is in the log, once, for a job that this miner was given, at that job's class;
//! a block is sent once; nothing is remembered of connections that are gone.

use crate::input::Input;
use crate::jobs::{Luck, NTIME, job};
use crate::ledger::Counted;
use crate::v1_rig::{LOG_SAYS, Rig, submit_line};
use gruve_stratum::seen::SeenBudget;
use std::sync::Arc;

/// Steps of one input, so that none runs for seconds.
const STEPS_MAX: usize = 400;

/// Requests that are always answered.
const REQUESTS: [&str; 14] = [
    r#"{"id":ID,"method":"mining.subscribe","params":["test/1",null]}"#,
    r#"{"id":ID,"method":"mining.authorize","params":["w","x"]}"#,
    r#"{"id":ID,"method":"mining.authorize","params":["v2","d=4,md=0.000001"]}"#,
    r#"{"id":ID,"method":"mining.authorize","params":["w","wrong"]}"#,
    r#"{"id":ID,"method":"mining.authorize","params":["..","x"]}"#,
    r#"{"id":ID,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"ffffffff"}]}"#,
    r#"{"id":ID,"method":"mining.configure","params":[["version-rolling","minimum-difficulty"],{"version-rolling.mask":"00ff0000","minimum-difficulty.value":1e-9}]}"#,
    r#"{"id":ID,"method":"mining.suggest_difficulty","params":[0.00000001]}"#,
    r#"{"id":ID,"method":"mining.suggest_difficulty","params":[1e300]}"#,
    r#"{"id":ID,"method":"mining.suggest_target","params":["00000000ffff0000000000000000000000000000000000000000000000000000"]}"#,
    r#"{"id":ID,"method":"mining.extranonce.subscribe","params":[]}"#,
    r#"{"id":ID,"method":"mining.ping"}"#,
    r#"{"id":ID,"method":"no.such.method","params":{}}"#,
    r#"{"id":ID,"method":"mining.submit","params":null}"#,
];

/// Lines that are not answered.
const SILENT: [&str; 5] = [
    r#"{"id":null,"method":"mining.suggest_difficulty","params":[0.001]}"#,
    r#"{"id":7,"result":"pong","error":null}"#,
    "",
    "\r",
    "not json",
];

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    // Small bounds are reached in short sequences.
    let seen = Arc::new(if input.flag() { SeenBudget::new(4, 16) } else { SeenBudget::default() });
    let mut counted = Counted::default();
    let (mut next_job, mut next_id, mut connections) = (0, 0, 1);
    let mut rig = Rig::connect(&seen, connections, Rig::start());
    if input.flag() {
        rig.begin(job(next_job, &mut input), &mut counted);
        next_job += 1;
    }
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        match input.below(16) {
            0..=5 => submit(&mut rig, &mut input, &mut next_id),
            6 | 7 => {
                next_id += 1;
                let line = input.pick(&REQUESTS).replace("ID", &next_id.to_string());
                rig.ask(&line, &next_id.to_string());
            }
            8 => {
                rig.say(input.pick(&SILENT).as_bytes());
                rig.say(b"\n");
            }
            9 => drop(rig.visit(usize::from(input.u16()), &mut counted)),
            10 => {
                rig.visit_all(&mut counted);
                rig.check_answered();
            }
            11 => {
                rig.publish(job(next_job, &mut input));
                next_job += 1;
            }
            12 => rig.wait(u64::from(input.byte()), input.below(4) == 0),
            13 => match input.below(3) {
                0 => rig.log_says = input.pick(&LOG_SAYS),
                1 => rig.luck = input.pick(&Luck::ALL),
                _ => drop(rig.look_up(input.flag())),
            },
            14 => {
                rig.restart();
                if input.flag()
                    && let Some(work) = rig.work.clone()
                {
                    rig.take(work);
                }
            }
            _ => {
                // Another connection takes its place; the jobs go on.
                let (work, now) = (rig.work.take(), rig.now);
                drop(rig);
                assert_eq!(seen.held(), 0, "remembered of a connection that is gone");
                connections += 1;
                rig = Rig::connect(&seen, connections, now);
                if let Some(work) = work {
                    rig.take(work);
                }
            }
        }
    }
    rig.visit_all(&mut counted);
    rig.check_answered();
    drop(rig);
    assert_eq!(seen.held(), 0, "remembered of a connection that is gone");
}

/// A share, good or bad, perhaps one that was there before.
fn submit(rig: &mut Rig, input: &mut Input<'_>, next_id: &mut u64) {
    *next_id += 1;
    let id = format!("\"share{next_id}\"");
    let newest = rig.given.last().cloned();
    let user = input.pick(&["w", "w", "w", "v2", "nobody", ""]);
    let job = match input.below(8) {
        0..=4 => newest.unwrap_or_default(),
        5 => {
            let n = input.below(rig.given.len());
            rig.given.get(n).cloned().unwrap_or_default()
        }
        6 => {
            // Another class of the newest job.
            let name = newest.unwrap_or_default();
            format!("{}{:02x}", name.get(..16).unwrap_or_default(), rig.class().k() ^ input.byte())
        }
        _ => hex::encode(input.take(9)),
    };
    let en2 = match input.below(4) {
        0 => hex::encode(input.take(8)),
        1 => "00000000000000AB".to_owned(),
        2 => "00000000000000ab".to_owned(),
        _ => format!("{:016x}", input.below(3)),
    };
    let ntime = match input.below(4) {
        0 => NTIME.wrapping_add(input.u32()),
        _ => NTIME + 255 + u32::try_from(input.below(3)).unwrap_or(0),
    };
    let ntime = format!("{ntime:08x}");
    let nonce = format!("{:08x}", input.below(6));
    let bits = match input.below(5) {
        0 => Some(format!("{:08x}", input.u32())),
        1 => Some("00002000".to_owned()),
        2 => Some("00000000".to_owned()),
        _ => None,
    };
    let line = submit_line(input, &id, [user, &job, &en2, &ntime, &nonce], bits.as_deref());
    rig.ask(&line, &id);
}
