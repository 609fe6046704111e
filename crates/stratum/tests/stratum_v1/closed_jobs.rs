//! Jobs that the bounds on memory have closed: their shares count no more, and their blocks are sent.

use crate::miner::*;
use crate::node::{BITS, FakeNode, House, all_records, gateway_options, record};
use crate::peer::Peer;
use gruve_sharelog::{Position, Record};
use gruve_stratum::WorkState;
use gruve_stratum::protocol::{Lane as _, Protocol as _, Work};
use gruve_units::SystemClock;
use std::sync::Arc;

/// Closes the oldest job for all sessions, as a gateway does.
pub(crate) fn close_oldest(miner: &mut Miner) {
    let work: WorkState = miner.work.as_ref().unwrap().with_oldest_closed().unwrap();
    let mut out = Vec::new();
    miner.session.work(&Work::Header(Arc::new(work)), miner.now, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "", "miners notice nothing");
}

/// Submits nonces until one has solved a block; gives it with the reply's code.
fn solve_block(miner: &mut Miner, id: &str, from: u32) -> (u32, i64) {
    let before = miner.blocks.len();
    for nonce in from..from + 200 {
        let code = code(&miner.submit(id, EN2, NTIME, nonce));
        if miner.blocks.len() > before {
            return (nonce, code);
        }
    }
    panic!("no block in 200 tries, every other being one");
}

#[test]
fn a_block_found_on_a_job_that_memory_closed_is_sent_and_no_share_of_it_counts() {
    let mut miner = Miner::working();
    miner.work(job(2, template(9, EASY)));
    let old = miner.job_id();
    assert_eq!(code(&miner.submit(&old, EN2, NTIME, 1)), 0);
    let (mut counted, sent) = (miner.log.len(), miner.blocks.len());
    miner.work(job(3, template(9, EASY)));
    // Job 1, of another block, is the oldest; then job 2.
    close_oldest(&mut miner);
    let (nonce, heard) = solve_block(&mut miner, &old, 100);
    assert_eq!(heard, 0, "job 2 is still open");
    counted = miner.log.len().max(counted);
    let both = miner.work.as_ref().unwrap().with_oldest_closed().unwrap();
    miner.work = Some(both);
    close_oldest(&mut miner);
    let (after, heard) = solve_block(&mut miner, &old, 1_000);
    assert_eq!(heard, 21, "it counts as no share");
    assert_eq!(code(&miner.submit(&old, EN2, NTIME, after)), 22, "and is sent once");
    assert_eq!(miner.log.len(), counted);
    assert_eq!(miner.blocks.len(), sent + 2);
    assert_ne!(nonce, after);
    // Another template on the same block: closed is closed, for this session.
    miner.work = miner.work.take().map(|w| WorkState { closed: 0, ..w });
    miner.work(job(4, template(9, EASY)));
    assert_eq!(code(&miner.submit(&old, EN2, NTIME, 1)), 21, "what was forgotten counts once only");
    assert_eq!(code(&miner.submit(&miner.job_id(), EN2, NTIME, 1)), 0, "the newest is open");
}

#[test]
fn the_newest_job_is_never_closed() {
    let mut miner = Miner::working();
    miner.work(job(2, template(1, HARD)));
    let work = miner.work.clone().unwrap().with_oldest_closed().unwrap();
    assert!(work.with_oldest_closed().is_none());
    assert!(work.is_closed(work.live[0].job().id()) && !work.is_closed(work.current.job().id()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_block_found_twice_is_journalled_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = FakeNode::with(Arc::new(SystemClock), true, BITS);
    let house = House::open_on(node, dir.path(), gateway_options());
    let mut peer = Peer::connect(house.gateway.address());
    peer.begin("house.m1");
    let mut extranonce2 = 0;
    let mut reader = house.log.reader(Position::START);
    let found = loop {
        peer.earn(extranonce2);
        extranonce2 += 1 << 20;
        if house.work.blocks_found() > 0 {
            break record(&house.log, &mut reader, |r| matches!(r, Record::Block(_))).await;
        }
    };
    let Record::Block(block) = found else { unreachable!() };
    house.work.found(block.clone());
    house.work.found(block);
    let all = all_records(&house.log);
    assert_eq!(all.iter().filter(|r| matches!(r, Record::Block(_))).count(), 1);
    assert_eq!(house.work.blocks_found(), 1);
}
