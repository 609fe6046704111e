//! Every lie that the record's form allows, played by a liar who names his files and signs his log himself; what the
//! verifier calls it, and what the second one says of it (`tests/python/verify.py`). One test a lie, so that taking its
//! check away fails a test that names it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../world/statement.rs"]
mod statement;
#[path = "../world/mod.rs"]
mod world;

/// A test a lie: its name, what our verifier calls it, words of what the second says, the liar's files.
macro_rules! lies {
    ($($name:ident: $lie:literal, $second:literal, $files:expr;)*) => {$(
        #[test]
        fn $name() {
            crate::told($lie, $second, &$files);
        }
    )*};
}

mod accepted;
mod bits;
mod chain;
mod ethash;
mod forms;
mod good;
mod history;
mod log;
mod merged;
mod named;
mod places;
mod receipts;
mod series;
mod shares;
mod stamps;
mod sums;

use gruve_proof::record::RecordJob;
use gruve_proof::stamp;
use gruve_proof::verify::Options;
use gruve_units::{Class, EpochNumber};
use world::{CLASS, Closing, Files, World, closing, mine};

fn told(lie: &str, second: &str, files: &Files) {
    assert_eq!(files.lie(&Options::default()), lie);
    let said = files.second();
    let is_told = said.starts_with("no ") && said.contains(second);
    assert!(is_told && !second.is_empty(), "not {second:?}: {said}");
}

/// Honest epochs 10 and 11, and a 12 that the liar closes.
fn world(lie: impl FnOnce(&mut World) -> Closing) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let honest = w.epoch(epoch);
        w.close(&honest);
    }
    let closing = lie(&mut w);
    w.close(&closing);
    w.publish()
}

/// The liar changes an epoch that is otherwise honest.
fn changed(change: impl FnOnce(&mut World, &mut Closing)) -> Files {
    world(|w| {
        let mut c = w.epoch(12);
        change(w, &mut c);
        c
    })
}

/// Epoch 12 of one job, with shares of it.
fn of(job: RecordJob) -> Closing {
    let shares = mine(&job, CLASS, 0..2, None);
    closing(12, vec![job], shares)
}

/// Epoch 12 of one job with these stamps.
fn of_job(w: &mut World, stamps: &[Vec<u8>], checkpoint: u64, script: &[u8]) -> Closing {
    let job = w.job_with(12, EpochNumber(checkpoint), script, stamps);
    of(job)
}

fn script(commitment: &[u8; 32]) -> Vec<u8> {
    stamp::output_script(commitment, Class::ZERO)
}
