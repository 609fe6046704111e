//! Merge-mining through the gateway: two development chains, one stream of work.

use crate::gateway::{connect, next_job};
use crate::miner::{FIRST, HARD, Miner, NTIME, class, template};
use crate::node::{FakeMachines, all_records, gateway_options, record, soon};
use crate::two_chains::{chain, lane, merged_job, serve, taken};
use gruve_chain::auxpow::{AuxBlock, AuxWork};
use gruve_chain::{Job, JobSpec, Template};
use gruve_pow::HeaderScanner;
use gruve_sharelog::{Options, Position, Record, ShareLog};
use gruve_stratum::client::Event;
use gruve_stratum::{Gateway, LiveJob, target_of_wire_difficulty};
use gruve_units::{Algorithm, Asset, EpochNumber, JobId};
use std::sync::Arc;

/// Mines until the log holds a record that satisfies.
async fn mine(gateway: &Gateway, log: &ShareLog, mut wanted: impl FnMut(&[Record]) -> bool) {
    let (client, mut events) = connect(gateway.address(), "house.m1").await;
    let mut job = next_job(&mut events).await;
    let mut extranonce2 = 0u64;
    while !wanted(&all_records(log)) {
        while let Some(event) = events.try_next() {
            if let Event::Job(newer) = event {
                job = newer;
            }
        }
        extranonce2 += 1;
        let en2 = extranonce2.to_be_bytes();
        let target = target_of_wire_difficulty(Algorithm::Scrypt, job.difficulty).unwrap();
        let header = job.header(&en2, job.version, job.ntime, 0);
        let mut found = Vec::new();
        HeaderScanner::new(Algorithm::Scrypt, header).scan(0, 16, &target, &mut found);
        for (nonce, _) in found {
            // Refused or not: the job may have become stale meanwhile.
            let _ = soon(client.submit(&job.id, &en2, job.ntime, nonce, None)).await.unwrap();
        }
        assert!(extranonce2 < 100_000, "nothing was found");
    }
}

#[tokio::test]
async fn one_stream_of_work_finds_blocks_of_both_chains() {
    let dir = tempfile::tempdir().unwrap();
    let (ltc, _ltc_server, parent) = chain(dir.path(), Asset::Ltc, 256);
    let (doge, _doge_server, aux) = chain(dir.path(), Asset::Doge, 32);
    let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
    let work = lane(parent, aux, &log);
    merged_job(&work).await;
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(40)), class(3));
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
    let before = (ltc.height(), doge.height());
    mine(&gateway, &log, |all| taken(all, true) >= 3 && taken(all, false) >= 1).await;
    gateway.shutdown().await;
    work.stop().await;
    assert!(ltc.height() > before.0 && doge.height() >= before.1 + 3);
    let records = all_records(&log);
    // Each job that is merge-mined says for what, right behind its own record.
    for (n, record) in records.iter().enumerate() {
        let Record::AuxJob(aux) = record else { continue };
        let Record::Job(job) = &records[n - 1] else { panic!("{n}") };
        assert_eq!((aux.job, aux.epoch), (job.job, job.epoch));
        assert_eq!((aux.chains[0].asset, aux.chains[0].chain_id), (Asset::Doge, 98));
    }
    // No auxiliary block stands twice, however many shares solved it.
    let mut hashes: Vec<_> = records
        .iter()
        .filter_map(|r| if let Record::AuxBlock(b) = r { Some(b.found.block_hash) } else { None })
        .collect();
    let all = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), all);
}

#[tokio::test]
async fn an_auxiliary_block_is_journalled_first_and_sent_again_after_a_crash() {
    let dir = tempfile::tempdir().unwrap();
    let (ltc, ltc_server, parent) = chain(dir.path(), Asset::Ltc, 1 << 30);
    let (doge, doge_server, aux) = chain(dir.path(), Asset::Doge, 32);
    let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
    let work = lane(parent, aux, &log);
    merged_job(&work).await;
    // The chain lives, but nobody can reach it.
    doge_server.stop().await;
    let before = doge.height();
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(40)), class(3));
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
    mine(&gateway, &log, |all| all.iter().any(|r| matches!(r, Record::AuxBlock(_)))).await;
    gateway.shutdown().await;
    work.stop().await;
    drop(work);
    ltc_server.stop().await;
    assert_eq!(log.unconfirmed_aux_blocks().unwrap().len(), 1);
    assert_eq!((log.unconfirmed_blocks().unwrap().len(), doge.height()), (0, before));

    let (_ltc_server, parent) = serve(&ltc, Asset::Ltc, 1 << 30);
    let (_doge_server, aux) = serve(&doge, Asset::Doge, 32);
    let work = lane(parent, aux, &log);
    let outcome = |r: &Record| matches!(r, Record::BlockOutcome { .. });
    let record = record(&log, &mut log.reader(Position::START), outcome).await;
    assert!(matches!(record, Record::BlockOutcome { accepted: true, .. }), "{record:?}");
    assert_eq!(doge.height(), before + 1);
    assert!(log.unconfirmed_aux_blocks().unwrap().is_empty());
    work.stop().await;
}

/// An extranonce 2 that would be a second tag in a job that has one.
pub(crate) const SECOND_TAG: &str = "00fabe6d6d000000";

/// A job that is merge-mined.
pub(crate) fn tagged_job(template: Template) -> Arc<LiveJob> {
    let spec = JobSpec {
        id: JobId(FIRST),
        epoch: EpochNumber(7),
        checkpoint_epoch: EpochNumber(5),
        commitment: [0xcd; 32],
        tag: FIRST.to_be_bytes().to_vec(),
        pay_to: vec![(vec![0x51], template.coinbase_value)],
        extranonce_len: 12,
    };
    let block = AuxBlock {
        asset: Asset::Doge,
        chain_id: 98,
        hash: [3; 32],
        prev_hash: [2; 32],
        bits: HARD,
        height: 5,
        value: 1,
    };
    let aux = Some(Arc::new(AuxWork::of(vec![block]).unwrap()));
    Arc::new(LiveJob::new(Job::build_merged(Arc::new(template), Vec::new(), spec, aux).unwrap()))
}

#[test]
fn an_extranonce_that_makes_a_second_tag_is_refused() {
    let submit = |miner: &mut Miner, extranonce2: &str| {
        let job = format!("{FIRST:016x}00");
        let line = format!(
            r#"{{"id":4,"method":"mining.submit","params":["w","{job}","{extranonce2}","{NTIME:08x}","00000001"]}}"#
        );
        miner.say(&line).remove(0)
    };
    let mut miner = Miner::working();
    // The same job without a tag of its own: any extranonce will do.
    assert_eq!(submit(&mut miner, SECOND_TAG)["result"], true);
    let mut miner = Miner::connect(crate::miner::rules());
    miner.say(r#"{"id":1,"method":"mining.subscribe","params":["test/1"]}"#);
    miner.say(r#"{"id":2,"method":"mining.authorize","params":["w","x"]}"#);
    miner.work(tagged_job(template(1, HARD)));
    let refused = submit(&mut miner, SECOND_TAG);
    assert_eq!(refused["error"][1], "the extranonce holds a merge-mining tag", "{refused}");
    assert_eq!(submit(&mut miner, "00fabe6d6e000000")["result"], true);
}
