//! Bytes as a Stratum V1 miner's lines, read in pieces.
//!
//! What must hold: no panic; everything said is a whole line of JSON, a message or a reply; the
//! quick reader of shares and the reader of all JSON understand the same: a session that is told
//! every line with a tab in it, which the quick one does not know, says the same.

use crate::input::Input;
use crate::jobs::{Luck, job};
use crate::ledger::Counted;
use crate::v1_rig::Rig;
use gruve_stratum::seen::SeenBudget;
use std::sync::Arc;

/// Names in seeds that stand for what a session was given: the newest job, an extranonce.
const JOB: &[u8] = b"$JOB";

/// See the module.
pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (working, piece, luck) = (input.flag(), input.byte(), input.pick(&Luck::ALL));
    let seen = Arc::new(SeenBudget::default());
    let mut heard = Vec::new();
    for slow in [false, true] {
        let mut input = input;
        let mut counted = Counted::default();
        let mut rig = Rig::connect(&seen, 7, Rig::start());
        rig.luck = luck;
        if working {
            rig.begin(job(1, &mut Input::new(&[])), &mut counted);
        }
        let name = rig.given.last().cloned().unwrap_or_default();
        let text = replaced(input.rest(), JOB, name.as_bytes());
        let mut all = Vec::new();
        for line in text.split_inclusive(|b| *b == b'\n') {
            let line = if slow { unusual(line) } else { line.to_vec() };
            if piece == 0 || slow {
                rig.say(&line);
            } else {
                for part in line.chunks(usize::from(piece)) {
                    rig.say(part);
                    all.extend(rig.visit(usize::MAX, &mut counted));
                }
            }
            all.extend(rig.visit_all(&mut counted));
        }
        rig.wait(3, false);
        heard.push((all, counted.shares(), rig.closed));
    }
    assert_eq!(heard[0], heard[1], "two readers of one line differ");
    assert_eq!(seen.held(), 0, "remembered of a connection that is gone");
}

/// The same line to a reader of JSON.
fn unusual(line: &[u8]) -> Vec<u8> {
    let start = line.iter().position(|b| !b.is_ascii_whitespace()).unwrap_or(0);
    match line.get(start) {
        Some(b'{') if line.len() < 16_000 => [&line[..=start], b"\t", &line[start + 1..]].concat(),
        _ => line.to_vec(),
    }
}

fn replaced(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.windows(what.len()).position(|w| w == what) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(by);
        rest = &rest[at + what.len()..];
    }
    out.extend_from_slice(rest);
    out
}
