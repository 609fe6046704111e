//! Lies that the chain itself shows: the reader has its headers, or knows where rewards may go.

use crate::world::{CLASS, Closing, Files, World, closing, header, mine};
use gruve_proof::record::RecordJob;
use gruve_proof::share::{self, Canonical};
use gruve_proof::verify::{Headers, Options};
use gruve_units::{Duration, Hashrate, Target};
use std::collections::{BTreeMap, BTreeSet};

/// Length of the world's epochs, seconds.
const LENGTH: u64 = 600;
/// Seconds from block to block.
const SPACING: u64 = 600;
/// How far off the time of a block may be, seconds.
const SLACK: u64 = gruve_proof::verify::MEDIAN_SLACK_SECS;
/// The first header is of epoch 2, block *n* is found halfway through epoch 2 + *n*.
const FIRST: u64 = 2;

/// The chain's target, and that of the world's jobs.
const BITS: u32 = 0x1f7f_ffff;

/// Forty headers, and their hashes.
fn chain() -> (Headers, Vec<[u8; 32]>) {
    chain_of(BITS)
}

fn chain_of(bits: u32) -> (Headers, Vec<[u8; 32]>) {
    let (mut bytes, mut hashes, mut prev) = (Vec::new(), Vec::new(), [0; 32]);
    for n in 0..40 {
        let mut header = [0; 80];
        let time = u32::try_from(FIRST * LENGTH + n * SPACING + LENGTH / 2).unwrap();
        header[4..36].copy_from_slice(&prev);
        header[68..72].copy_from_slice(&time.to_le_bytes());
        header[72..76].copy_from_slice(&bits.to_le_bytes());
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
fn an_hours_mining_on_one_block_published_as_ten_minutes_is_told_by_when_it_is_seen() {
    // The block was the tip in the epoch, and mining on it went on for fifty minutes more. No header shows that.
    let files = twelve(&[tip(12); 6]);
    let lane = files.verify(&options()).unwrap().lanes.remove(0);
    assert_eq!((lane.dated_shares, lane.hashrate_at_least), (Some(lane.shares), None));
    let seen = |secs: u64| Options { now_us: Some(secs * 1_000_000), ..options() };
    let work = lane.house_work;
    let over = |secs| Some(Hashrate::of(work, Duration::from_secs(secs)));
    assert_eq!(Some(lane.hashrate), over(3 * LENGTH));
    // As long as the epochs were, at least; then for as long as it may have taken, from a quarter of an hour before the first block.
    let begun = 10 * LENGTH + LENGTH / 2 - SLACK;
    for (read, secs) in [(0, 3 * LENGTH), (13, 13 * LENGTH - begun), (18, 18 * LENGTH - begun)] {
        let lane = files.verify(&seen(read * LENGTH)).unwrap().lanes.remove(0);
        assert_eq!(lane.hashrate_at_least, over(secs), "read at {read}");
    }
    let said = files.verify(&seen(18 * LENGTH)).unwrap().to_string();
    assert!(said.contains("and done until a witness saw it or you read it"), "{said}");
}

#[test]
fn an_hours_mining_on_the_blocks_around_ten_minutes_shows_no_more_than_an_hours_rate() {
    // Each of these tips may have stood in the epoch: clocks are a quarter of an hour off, and nobody knows which way.
    let mut w = World::new();
    let c = on(&mut w, 20, &(17..23).map(tip).collect::<Vec<_>>());
    w.close(&c);
    let files = w.publish();
    let over = |work, secs| Some(Hashrate::of(work, Duration::from_secs(secs)));
    let lane = files.verify(&options()).unwrap().lanes.remove(0);
    let work = lane.house_work;
    assert_eq!((lane.shares, lane.dated_shares), (12, Some(12)));
    assert_eq!(Some(lane.hashrate), over(work, LENGTH), "as its epoch says");
    let begun = 17 * LENGTH + LENGTH / 2 - SLACK;
    let ended = 23 * LENGTH + LENGTH / 2 + SLACK;
    assert_eq!(lane.dated_hashrate, over(work, ended - begun), "as the chain says");
    // What was seen was done by then.
    let seen = 21 * LENGTH;
    let lane = files.verify(&Options { now_us: Some(seen * 1_000_000), ..options() });
    let lane = lane.unwrap().lanes.remove(0);
    let both = (lane.dated_hashrate, lane.hashrate_at_least);
    assert_eq!(both, (over(work, seen - begun), over(work, seen - begun)));
    // Without headers there is nothing but the epoch's own date, and the verdict says so.
    let said = files.verify(&Options { now_us: Some(seen * 1_000_000), ..Options::default() });
    let said = said.unwrap().to_string();
    assert!(said.contains("if it was begun when its epochs say"), "{said}");
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

/// Epochs in the midst of the headers' time, 13 of ten minutes, each on the tip that somebody says.
fn midst(tip: impl Fn(u64) -> [u8; 32]) -> Files {
    let mut w = World::new();
    for epoch in 16..29 {
        let c = on(&mut w, epoch, &[tip(epoch)]);
        w.close(&c);
    }
    w.publish()
}

#[test]
fn a_private_chain_of_blocks_that_are_on_no_other() {
    assert_eq!(midst(tip).lie(&options()), "none");
    let own = |epoch| [u8::try_from(epoch).unwrap(); 32];
    assert_eq!(midst(own).lie(&options()), "not-on-the-chain");
    assert_eq!(midst(own).lie(&Options::default()), "none", "without headers nobody sees it");
}

#[test]
fn a_private_chain_published_as_late_work() {
    let mut w = World::new();
    for epoch in 16..29u64 {
        let mut c = on(&mut w, epoch, &[tip(epoch)]);
        let late = on(&mut w, epoch - 1, &[[u8::try_from(epoch).unwrap(); 32]; 2]);
        c.jobs.extend(late.jobs);
        c.sections.extend(late.sections);
        c.contracts.clear();
        w.close(&c);
    }
    assert_eq!(w.publish().lie(&options()), "not-on-the-chain");
}

#[test]
fn a_tip_that_was_lost_later_is_no_lie_and_dates_nothing() {
    let lost = |epoch| if epoch == 20 { [9; 32] } else { tip(epoch) };
    let lane = &midst(lost).verify(&options()).unwrap().lanes[0];
    assert_eq!((lane.shares, lane.dated_shares), (26, Some(24)));
    assert!(lane.dated_hashrate <= Some(lane.hashrate));
}

#[test]
fn the_last_block_of_the_headers_is_not_the_tip_for_ever() {
    let mut w = World::new();
    let last = *chain().1.last().unwrap();
    // Found in epoch 41; nobody knows whether it still was the tip four hours later.
    for epoch in [42, 66] {
        let c = on(&mut w, epoch, &[last]);
        w.close(&c);
    }
    let lane = &w.publish().verify(&options()).unwrap().lanes[0];
    assert_eq!((lane.shares, lane.dated_shares), (4, Some(2)));
}

/// An epoch on the tip of its time, of a job with these bits.
fn with_target(w: &mut World, epoch: u64, bits: u32) -> Closing {
    let mut job = w.job(epoch);
    (job.prev_hash, job.bits) = (tip(epoch), bits);
    let shares = mine(&job, CLASS, 0..2, None);
    closing(epoch, vec![job], shares)
}

#[test]
fn good_luck_by_a_harder_target_than_the_chains() {
    let mut w = World::new();
    let c = with_target(&mut w, 20, 0x1d00_ffff);
    w.close(&c);
    assert_eq!(w.publish().lie(&options()), "other-target");
    assert_eq!(w.publish().lie(&Options::default()), "none", "without headers nobody sees it");
}

#[test]
fn blocks_that_are_not_on_the_chain_are_told() {
    // Every other share of class 6 makes one.
    const EASY: u32 = 0x2002_0000;
    let (headers, hashes) = chain_of(EASY);
    let mut w = World::new();
    let mut job = w.job(20);
    (job.bits, job.prev_hash) = (EASY, hashes[usize::try_from(20 - FIRST).unwrap()]);
    let shares = mine(&job, CLASS, 0..16, None);
    w.close(&closing(20, vec![job], shares));
    let headers = BTreeMap::from([("btc".parse().unwrap(), headers)]);
    let verdict = w.publish().verify(&Options { headers, ..Options::default() }).unwrap();
    let lane = &verdict.lanes[0];
    assert!(lane.found_blocks > 0 && lane.blocks_on_chain == Some(0), "{verdict}");
    let said = format!("{} blocks that its shares made are not on the chain", lane.found_blocks);
    assert!(verdict.remarks.iter().any(|r| r.contains(&said)), "{verdict}");
}

#[test]
fn blocks_kept_back_show_as_luck_that_few_honest_farms_have() {
    // Every other share of class 6 makes a block.
    const EASY: u32 = 0x2002_0000;
    let target = Target::from_compact(EASY).unwrap();
    let lane = |keeps_back: bool| {
        let mut w = World::new();
        let job = RecordJob { bits: EASY, ..w.job(20) };
        let is_block = |s: &Canonical| {
            let nonce = u32::from_be_bytes(s[26..30].try_into().unwrap());
            let header = header(&job, CLASS, share::extranonce(s), nonce);
            target.is_met_by(&gruve_pow::sha256d(&header))
        };
        let mut shares = mine(&job, CLASS, 0..60, None);
        shares.retain(|s| !(keeps_back && is_block(s)));
        w.close(&closing(20, vec![job], shares));
        let verdict = w.publish().verify(&Options::default()).unwrap();
        let is_told = verdict.remarks.iter().any(|r| r.contains("ask where the others went"));
        let said = verdict.to_string();
        let lane = verdict.lanes.into_iter().next().unwrap();
        let chance = lane.chance_of_so_few.unwrap();
        assert!(said.contains(&format!("(as few in {:.1} % of honest farms)", chance * 100.0)));
        (lane.found_blocks, chance, is_told)
    };
    let (found, chance, is_told) = lane(false);
    assert!((20..40).contains(&found) && (0.01..0.99).contains(&chance) && !is_told, "{chance}");
    let (found, chance, is_told) = lane(true);
    assert!(found == 0 && chance < 1e-4 && is_told, "{chance}");
}

#[test]
fn luck_by_blocks_of_an_easier_target_than_the_chains() {
    let mut w = World::new();
    let c = with_target(&mut w, 20, 0x207f_ffff);
    w.close(&c);
    assert_eq!(w.publish().lie(&options()), "other-target");
    // Its classes are harder than a block.
    let lane = &w.publish().verify(&Options::default()).unwrap().lanes[0];
    assert_eq!((lane.hides_blocks, lane.luck), (2, None));
    let verdict = w.publish().verify(&Options::default()).unwrap();
    assert!(verdict.not_proven.iter().any(|n| n.contains("targets in its jobs")), "{verdict}");
}

#[test]
fn an_epoch_that_has_not_begun() {
    // Epoch 12 begins two hours after 1970.
    let at = |secs: u64| Options { now_us: Some(secs * 1_000_000), ..Options::default() };
    let files = World::honest().publish();
    assert_eq!(files.lie(&at(0)), "none", "clocks are not that good");
    let mut w = World::honest();
    let c = w.epoch(13);
    w.close(&c);
    assert_eq!(w.publish().lie(&at(0)), "not-yet");
    assert_eq!(w.publish().lie(&at(600)), "none");
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
