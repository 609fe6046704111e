//! What a share counts, once, and at which class.

use crate::rig::{HARD, Hall, class, mine, mine_some, node_work, pow, rules, work};
use gruve_stratum::eth::EthWork;
use gruve_stratum::limits;
use gruve_stratum::session::CloseReason;
use gruve_units::{EpochNumber, JobId, Timestamp};

fn job(id: u64, k: u8) -> String {
    format!("{id:016x}{k:02x}")
}

#[test]
fn a_nonce_counts_once_for_a_header_whoever_sends_it_in_whatever_dialect() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x21, 100));
    let (mut first, mut second, mut third) = (hall.connect(), hall.connect(), hall.connect());
    first.proxy();
    second.proxy();
    let part = third.nicehash();
    let share = mine(0x21, 0, 2, None);
    assert_eq!(first.submit_work(0x21, share), 0);
    assert_eq!(second.submit_work(0x21, share), 22);
    assert_eq!(first.submit_work(0x21, share), 22);
    // The same for nonces of a NiceHash connection's part.
    let share = mine(0x21, part << 48, 2, None);
    assert_eq!(third.submit(&job(1, 2), share.0), 0);
    assert_eq!(first.submit_work(0x21, share), 22);
    assert_eq!((first.log.len(), second.log.len(), third.log.len()), (1, 0, 1));
}

#[test]
fn the_same_nonce_twice_in_one_read_counts_once() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x22, 100));
    let mut rig = hall.connect();
    rig.nicehash();
    let part = {
        let mut other = hall.connect();
        other.nicehash() - 1
    };
    let (nonce, _) = mine(0x22, part << 48, 2, None);
    let line = format!(
        r#"{{"id":4,"method":"mining.submit","params":["w","{}","{:012x}"]}}"#,
        job(1, 2),
        nonce & 0xffff_ffff_ffff
    );
    let heard = rig.say(&format!("{line}\n{line}\n{line}"));
    let codes: Vec<i64> = heard.iter().map(crate::rig::code).collect();
    assert_eq!(codes, [0, 22, 22]);
    assert_eq!(rig.log.len(), 1);
}

/// What a miner says who wants class 5.
const WISH: &str = r#"{"id":2,"method":"mining.authorize","params":["w","d=0.00000001"]}"#;

/// Whoever could choose a nonce's class after hashing it would be paid for his luck twice.
#[test]
fn nobody_chooses_a_nonces_class_after_he_has_hashed_it() {
    let mut hall = Hall::new();
    let mut own = hall.connect();
    // This connection has its part at class 5 …
    own.say(WISH);
    let part = own.nicehash();
    let state = hall.publish(work(1, 0x23, 100));
    own.hear(&state);
    assert_eq!(own.class(), class(5));
    // … and a second one of the same miner is free to send any nonce, at class 2.
    let mut free = hall.connect();
    free.proxy();
    assert_eq!(free.class(), class(2));
    let weak = mine(0x23, part << 48, 2, Some(5));
    assert_eq!(free.submit_work(0x23, weak), 23, "in that part a share is of class 5");
    let strong = mine(0x23, part << 48, 5, None);
    assert_eq!(free.submit_work(0x23, strong), 0);
    assert_eq!(free.log[0].class, class(5));
    assert_eq!(own.submit(&job(1, 5), strong.0), 22);
}

/// He knows the header by another connection, and his part by the reply to `mining.subscribe`.
#[test]
fn a_part_given_out_while_there_is_a_header_has_the_free_class_until_the_next() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x24, 100));
    let mut own = hall.connect();
    own.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#);
    own.say(r#"{"id":3,"method":"mining.suggest_difficulty","params":[0.00000001]}"#);
    own.say(WISH);
    assert_eq!(own.class(), class(2));
    own.say(r#"{"id":3,"method":"mining.suggest_difficulty","params":[0.000000004]}"#);
    assert!(own.wait(60).is_empty());
    assert_eq!(own.class(), class(2), "of this header it stays");
    own.say(r#"{"id":3,"method":"mining.suggest_difficulty","params":[0.00000001]}"#);
    let state = hall.publish(work(2, 0x25, 101));
    own.hear(&state);
    assert_eq!(own.class(), class(5), "nobody had hashed the next one");
}

/// Too hard a class is as settled as too easy a one, or he would walk down to his luckiest nonce.
#[test]
fn neither_silence_nor_a_wish_lowers_a_class_for_the_header_that_is_there() {
    let mut hall = Hall::new();
    let mut rig = hall.connect();
    rig.say(WISH);
    let part = rig.nicehash();
    let state = hall.publish(work(1, 0x26, 100));
    rig.hear(&state);
    assert_eq!(rig.class(), class(5));
    rig.say(r#"{"id":3,"method":"mining.suggest_difficulty","params":[0.000000001]}"#);
    assert!(rig.wait(60).is_empty());
    assert_eq!(rig.class(), class(5));
    let weak = mine(0x26, part << 48, 2, Some(5));
    assert_eq!(rig.submit(&job(1, 5), weak.0), 23);
    let state = hall.publish(work(2, 0x27, 100));
    let heard = rig.hear(&state);
    assert!(rig.class() < class(5), "eased with the next header");
    assert_eq!(heard[1]["params"][3], true, "and the older job is to be left");
    // A job's name says a class; no other than the one given is a job.
    let strong = mine(0x26, part << 48, 5, None);
    assert_eq!(rig.submit(&job(1, 6), strong.0), 21);
    assert_eq!(rig.submit(&job(1, 5), strong.0), 0);
    assert_eq!(rig.log[0].class, class(5), "the older header keeps its class");
}

/// A connection hears late when it does not read, waits for hashes or for its login: what it wished
/// and hashed meanwhile must not matter.
#[test]
fn who_hears_of_a_header_late_has_the_class_that_was_settled_when_the_first_heard_of_it() {
    let mut hall = Hall::new();
    let (mut first, mut late, mut silent) = (hall.connect(), hall.connect(), hall.connect());
    late.say(WISH);
    let part = late.nicehash();
    silent.say(r#"{"id":1,"method":"mining.subscribe","params":["t/1","EthereumStratum/1.0.0"]}"#);
    let state = hall.publish(work(1, 0x36, 100));
    first.hear(&state);
    first.proxy();
    // Its part is of class 5 for everybody, though it has not heard: the weak nonces do not count by
    // another connection.
    let weak = mine(0x36, part << 48, 2, Some(5));
    assert_eq!(first.submit_work(0x36, weak), 23);
    late.say(r#"{"id":3,"method":"mining.suggest_difficulty","params":[0.000000001]}"#);
    late.hear(&state);
    assert_eq!(late.class(), class(5));
    // And who had subscribed only cannot log in for another class.
    silent.hear(&state);
    silent.say(WISH);
    assert_eq!(silent.class(), class(2));
}

#[test]
fn a_part_keeps_its_class_for_a_header_when_its_connection_goes_away() {
    let mut hall = Hall::new();
    let mut own = hall.connect();
    own.say(WISH);
    let part = own.nicehash();
    let state = hall.publish(work(1, 0x37, 100));
    own.hear(&state);
    drop(own);
    let mut free = hall.connect();
    free.proxy();
    assert_eq!(free.submit_work(0x37, mine(0x37, part << 48, 2, Some(5))), 23);
    let state = hall.publish(work(2, 0x38, 101));
    free.hear(&state);
    assert_eq!(free.submit_work(0x38, mine(0x38, part << 48, 2, Some(5))), 0, "nobody's now");
}

#[test]
fn free_dialects_keep_the_lanes_class_however_many_shares_come() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x28, 100));
    let mut rig = hall.connect();
    rig.proxy();
    for share in mine_some(0x28, 0, 2, 70) {
        assert_eq!(rig.submit_work(0x28, share), 0);
    }
    let state = hall.publish(work(2, 0x29, 101));
    rig.hear(&state);
    assert_eq!(rig.class(), class(2));
    rig.wait(300);
    assert_eq!(rig.class(), class(2));
}

#[test]
fn a_nicehash_miner_too_fast_for_its_class_gets_a_harder_one_with_the_next_header() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x2a, 100));
    let mut rig = hall.connect();
    let part = rig.nicehash();
    for share in mine_some(0x2a, part << 48, 2, 20) {
        assert_eq!(rig.submit(&job(1, 2), share.0), 0);
    }
    assert_eq!(rig.class(), class(2), "not within a header");
    let state = hall.publish(work(2, 0x2b, 101));
    let heard = rig.hear(&state);
    assert_eq!(heard[0]["method"], "mining.set_difficulty");
    assert!(rig.class() > class(2));
}

#[test]
fn an_epoch_border_changes_what_a_share_counts_in_and_nothing_that_a_miner_sees() {
    let mut hall = Hall::new();
    let first = work(1, 0x2c, 100);
    hall.publish(first.clone());
    let mut rig = hall.connect();
    rig.proxy();
    let shares = mine_some(0x2c, 0, 2, 2);
    assert_eq!(rig.submit_work(0x2c, shares[0]), 0);
    let state = hall.publish(first.restated(JobId(2), EpochNumber(8), Timestamp(0)));
    assert!(rig.hear(&state).is_empty());
    assert_eq!(rig.submit_work(0x2c, shares[0]), 22, "the same hash is not new in a new epoch");
    assert_eq!(rig.submit_work(0x2c, shares[1]), 0);
    let counted: Vec<_> = rig.log.iter().map(|s| (s.job.0, s.epoch.0)).collect();
    assert_eq!(counted, [(1, 7), (2, 8)]);
}

#[test]
fn shares_of_an_older_header_count_while_its_height_does() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x2d, 100));
    let mut rig = hall.connect();
    rig.proxy();
    let shares = mine_some(0x2d, 0, 2, 2);
    let state = hall.publish(work(2, 0x2e, 100));
    rig.hear(&state);
    assert_eq!(rig.submit_work(0x2d, shares[0]), 0, "the node only remade its block");
    let state = hall.publish(work(3, 0x2f, 101));
    rig.hear(&state);
    assert_eq!(rig.submit_work(0x2d, shares[1]), 21);
    // Where the node does not say the height every other header is another block.
    let node = node_work(0x30, None, class(HARD));
    let state = hall.publish(EthWork::new(JobId(4), EpochNumber(7), &node, Timestamp(0), pow()));
    rig.hear(&state);
    assert_eq!(rig.submit_work(0x2f, mine(0x2f, 0, 2, None)), 21);
}

/// A late share is an honest machine's, and a hash made for nothing nobody's, whenever it comes.
#[test]
fn a_hash_that_is_no_share_is_bad_also_where_it_comes_late() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x36, 100));
    let mut rig = hall.connect();
    rig.proxy();
    let good = mine_some(0x36, 0, 2, 8);
    let is_bad = |nonce: &u64| good.iter().all(|share| share.0 != *nonce);
    let bad = (0..good[7].0).find(is_bad).unwrap();
    let state = hall.publish(work(2, 0x37, 101));
    rig.hear(&state);
    assert_eq!(rig.submit_work(0x36, good[0]), 21);
    let mut sent = 0;
    while rig.closed.is_none() {
        assert_eq!(rig.submit_work(0x36, (bad, [0; 32])), 23);
        sent += 1;
    }
    assert_eq!((rig.closed, sent), (Some(CloseReason::BadShares), limits::BAD_SHARES_MAX));
}

#[test]
fn a_solution_is_sent_once_even_when_its_share_comes_late() {
    let mut hall = Hall::new();
    let node = node_work(0x31, Some(100), class(3));
    hall.publish(EthWork::new(JobId(1), EpochNumber(7), &node, Timestamp(0), pow()));
    let (mut rig, mut other) = (hall.connect(), hall.connect());
    rig.proxy();
    other.proxy();
    let solutions = mine_some(0x31, 0, 3, 2);
    assert_eq!(rig.submit_work(0x31, solutions[0]), 0);
    let block = &rig.blocks[0];
    let (nonce, mix) = solutions[0];
    let bytes = [&nonce.to_be_bytes()[..], &[0x31; 32], &mix].concat();
    assert_eq!((block.block.as_slice(), block.height), (bytes.as_slice(), 100));
    let mut pow_hash = pow().hash_many(&[([0x31; 32], nonce)])[0].1;
    pow_hash.reverse();
    assert_eq!(block.block_hash, pow_hash);
    let state = hall.publish(work(2, 0x32, 101));
    rig.hear(&state);
    other.hear(&state);
    assert_eq!(rig.submit_work(0x31, solutions[1]), 21);
    assert_eq!(rig.blocks.len(), 2, "an uncle, perhaps");
    assert_eq!(other.submit_work(0x31, solutions[1]), 22);
    assert_eq!(rig.submit_work(0x31, solutions[0]), 22);
    assert_eq!((rig.blocks.len(), other.blocks.len(), rig.log.len()), (2, 0, 1));
}

#[test]
fn a_share_that_could_not_be_stored_may_be_sent_again() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x33, 100));
    let mut rig = hall.connect();
    rig.proxy();
    let share = mine(0x33, 0, 2, None);
    rig.log_takes = false;
    assert_eq!(rig.submit_work(0x33, share), 20);
    rig.log_takes = true;
    assert_eq!(rig.submit_work(0x33, share), 0);
    assert_eq!(rig.log.len(), 1);
}

#[test]
fn one_miner_cannot_use_up_what_all_have_together() {
    // Every hash is a share here, so that reaching the bound takes no luck.
    let mut all_shares = rules();
    all_shares.start_class = class(0);
    let mut hall = Hall::with(all_shares);
    hall.publish(work(1, 0x34, 100));
    let (mut greedy, mut other) = (hall.connect(), hall.connect());
    (greedy.hashes, other.hashes) = (false, false);
    greedy.proxy();
    other.proxy();
    for nonce in 0..limits::ETH_SHARES_PER_WORK_MAX as u64 {
        assert_eq!(greedy.submit_work(0x34, (nonce, [0; 32])), 0);
    }
    assert_eq!(greedy.submit_work(0x34, (1 << 40, [0; 32])), 20);
    assert_eq!(other.submit_work(0x34, (1 << 40, [0; 32])), 0);
    assert!(greedy.closed.is_none(), "an honest machine may be that fast");
}

#[test]
fn a_headers_work_that_has_gone_is_not_found() {
    let mut hall = Hall::new();
    hall.publish(work(1, 0x35, 100));
    let mut rig = hall.connect();
    rig.proxy();
    for n in 0..limits::ETH_WORKS_MAX as u64 {
        let header = 0x80 + u8::try_from(n).unwrap();
        let state = hall.publish(work(2 + n, header, 101 + n));
        rig.hear(&state);
    }
    assert_eq!(rig.submit_work(0x35, mine(0x35, 0, 2, None)), 21);
    // A header that this session was not given is no job of it either.
    let mut late = hall.connect();
    late.proxy();
    let header = 0x80;
    assert_eq!(late.submit_work(header, (7, [0; 32])), 21);
}
