//! Merge-mining through an encrypted channel: what a V2 miner finds for the auxiliary chain is sent there.

use crate::client::class;
use crate::node::{FakeMachines, all_records, gateway_options};
use crate::proxy::Proxy;
use crate::tcp::{Client, listening};
use crate::two_chains::{chain, lane, merged_job, taken};
use gruve_pow::HeaderScanner;
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_stratum::Gateway;
use gruve_units::{Algorithm, Asset};
use std::sync::Arc;

/// Mines until the log holds records that satisfy.
async fn mine(
    (mut client, mut proxy): (Client, Proxy),
    log: &ShareLog,
    wanted: impl Fn(&[Record]) -> bool,
) {
    let (mut nonce, mut sequence) = (0, 0);
    while !wanted(&all_records(log)) {
        let work = proxy.active(1);
        let target = class(proxy.class(1)).target();
        let mut found = Vec::new();
        let header = work.header(0).try_into().unwrap();
        HeaderScanner::new(Algorithm::Scrypt, header).scan(nonce, 32, &target, &mut found);
        nonce += 32;
        assert!(nonce < 1 << 20, "nothing was found");
        for (nonce, _) in found {
            sequence += 1;
            client.say(&work.submit(sequence, nonce).0).await;
            loop {
                let heard = client.hear().await;
                // Refused or not: the job may have become stale meanwhile.
                let is_answer = matches!(heard.word(), "accepted" | "refused");
                proxy.hear(&[heard]);
                if is_answer {
                    break;
                }
            }
        }
    }
}

#[tokio::test]
async fn a_channel_s_shares_find_blocks_of_both_chains() {
    let dir = tempfile::tempdir().unwrap();
    let (ltc, _ltc_server, parent) = chain(dir.path(), Asset::Ltc, 256);
    let (doge, _doge_server, aux) = chain(dir.path(), Asset::Doge, 32);
    let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
    let work = lane(parent, aux, &log);
    merged_job(&work).await;
    let mut options = gateway_options();
    (options.class_range, options.start_class) = ((class(0), class(40)), class(3));
    // What the client of these tests asks for.
    options.version_mask = Some(0x1fff_e000);
    let (key, listening) = listening();
    options.listeners = vec![listening];
    let gateway = Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
    let before = (ltc.height(), doge.height());
    let client = Client::working(gateway.address(), &key).await;
    mine(client, &log, |all| taken(all, true) >= 2 && taken(all, false) >= 1).await;
    gateway.shutdown().await;
    work.stop().await;
    assert!(ltc.height() > before.0 && doge.height() >= before.1 + 2);
    // Each auxiliary block was solved by a share of the channel that is in the log as well.
    let records = all_records(&log);
    for record in &records {
        if let Record::AuxBlock(block) = record {
            assert_eq!(block.asset, Asset::Doge);
            assert!(records.contains(&Record::Share(block.found.share)), "{:?}", block.found.share);
        }
    }
}
