//! Lies that the chain itself shows: the reader has its headers, or knows where rewards may go.

use crate::world::{CLASS, Closing, Files, World, closing, mine};
use gruve_proof::verify::{Headers, Options};
use std::collections::{BTreeMap, BTreeSet};

/// Length of the world's epochs, seconds.
const LENGTH: u64 = 600;
/// Seconds from block to block.
const SPACING: u64 = 600;
/// The first header is of epoch 2, block *n* is found halfway through epoch 2 + *n*.
const FIRST: u64 = 2;

/// Forty headers, and their hashes.
fn chain() -> (Headers, Vec<[u8; 32]>) {
    let (mut bytes, mut hashes, mut prev) = (Vec::new(), Vec::new(), [0; 32]);
    for n in 0..40 {
        let mut header = [0; 80];
        let time = u32::try_from(FIRST * LENGTH + n * SPACING + LENGTH / 2).unwrap();
        header[4..36].copy_from_slice(&prev);
        header[68..72].copy_from_slice(&time.to_le_bytes());
        prev = gruve_pow::sha256d(&header);
        bytes.extend(header);
        hashes.push(prev);
    }
    (Headers::parse(&bytes).unwrap(), hashes)
}

/// The tip in the middle of an epoch.
fn tip(epoch: u64) -> [u8; 32] {
    chain().1[usize::try_from(epoch - FIRST).unwrap()]
}

fn options() -> Options {
    let headers = BTreeMap::from([("btc".parse().unwrap(), chain().0)]);
    Options { headers, ..Options::default() }
}

/// An epoch whose jobs build on these blocks.
fn on(w: &mut World, epoch: u64, tips: &[[u8; 32]]) -> Closing {
    let (mut jobs, mut shares) = (Vec::new(), Vec::new());
    for tip in tips {
        let mut job = w.job(epoch);
        job.prev_hash = *tip;
        shares.extend(mine(&job, CLASS, 0..2, None));
        jobs.push(job);
    }
    closing(epoch, jobs, shares)
}

/// Epochs 10 and 11 with jobs on the tips of their time, and 12 on these.
fn twelve(tips: &[[u8; 32]]) -> Files {
    let mut w = World::new();
    for epoch in 10..12 {
        let c = on(&mut w, epoch, &[tip(epoch)]);
        w.close(&c);
    }
    let c = on(&mut w, 12, tips);
    w.close(&c);
    w.publish()
}

#[test]
fn work_on_the_tips_of_its_time_is_dated() {
    let verdict = twelve(&[tip(11), tip(12)]).verify(&options()).unwrap();
    assert_eq!(verdict.lanes[0].dated_shares, Some(verdict.lanes[0].shares));
}

#[test]
fn a_share_on_a_block_that_was_no_longer_the_tip() {
    assert_eq!(twelve(&[tip(12), tip(8)]).lie(&options()), "not-the-tip");
}

#[test]
fn a_share_on_a_block_that_was_not_there_yet() {
    assert_eq!(twelve(&[tip(12), tip(15)]).lie(&options()), "not-the-tip");
}

#[test]
fn an_hours_mining_published_as_ten_minutes() {
    // From half an hour before the epoch's middle to half an hour after it.
    let tips: Vec<_> = (9..16).map(tip).collect();
    assert_eq!(twelve(&tips).lie(&options()), "not-the-tip");
}

#[test]
fn a_private_chain_of_epochs_released_later_builds_on_blocks_of_another_time() {
    // Mined in the time of epochs 10 to 12, published as 20 to 22.
    let mut w = World::new();
    for epoch in 20..23 {
        let c = on(&mut w, epoch, &[tip(epoch - 10)]);
        w.close(&c);
    }
    assert_eq!(w.publish().lie(&options()), "not-the-tip");
}

#[test]
fn a_reward_sent_to_an_unpublished_place() {
    let files = World::honest().publish();
    let verdict = files.verify(&Options::default()).unwrap();
    let mut known: BTreeSet<Vec<u8>> =
        verdict.lanes[0].destinations.iter().map(|d| hex::decode(d).unwrap()).collect();
    let options = |known: &BTreeSet<Vec<u8>>| Options {
        destinations: BTreeMap::from([("btc".parse().unwrap(), known.clone())]),
        ..Options::default()
    };
    assert_eq!(files.lie(&options(&known)), "none");
    known.pop_first();
    assert_eq!(files.lie(&options(&known)), "paid-elsewhere");
}
