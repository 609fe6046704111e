//! The whole line on the development chain, over its RPC, for every coin.

use crate::gateway::{connect, next_job};
use crate::miner::class;
use crate::node::{FakeMachines, all_records, gateway_options, lane_options, soon};
use gruve_chain::RpcNode;
use gruve_chain::devchain::{DevChain, DevParams};
use gruve_pow::HeaderScanner;
use gruve_sharelog::{Options, Record, ShareLog};
use gruve_stratum::{Gateway, LaneWork, target_of_wire_difficulty};
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use std::net::TcpListener;
use std::sync::Arc;

const BLOCKS: usize = 3;

#[tokio::test]
async fn blocks_are_mined_for_every_coin() {
    for (asset, algorithm) in [
        (Asset::Btc, Algorithm::Sha256d),
        (Asset::Ltc, Algorithm::Scrypt),
        (Asset::Doge, Algorithm::Scrypt),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let params = DevParams::new(asset, algorithm).with_start_work(Hashes(64));
        let clock = Arc::new(SystemClock);
        let entropy = Arc::new(SystemEntropy);
        let chain = DevChain::open(dir.path(), params.clone(), clock.clone(), entropy).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = chain.serve(listener, "user", "secret").unwrap();
        let chain_params = params.chain_params().unwrap();
        let node = RpcNode::new(&server.url(), "user", "secret", chain_params).unwrap();

        let log = ShareLog::open(dir.path().join("log"), Options::default()).unwrap();
        let work = LaneWork::start(lane_options(Arc::new(node), &log, clock)).unwrap();
        let mut options = gateway_options();
        (options.class_range, options.start_class) = ((class(0), class(40)), class(2));
        let gateway =
            Gateway::start(options, Arc::new(work.clone()), Arc::new(FakeMachines)).unwrap();
        let (client, mut events) = connect(gateway.address(), "house.m1").await;
        assert_eq!(client.version_mask() != 0, algorithm == Algorithm::Sha256d);

        let start = chain.height() as usize;
        let (mut accepted, mut extranonce2) = (0, 0u64);
        let mut job = next_job(&mut events).await;
        while (chain.height() as usize) < start + BLOCKS {
            if let Some(gruve_stratum::client::Event::Job(newer)) = events.try_next() {
                job = newer;
            }
            extranonce2 += 1;
            let en2 = extranonce2.to_be_bytes();
            let target = target_of_wire_difficulty(algorithm, job.difficulty).unwrap();
            let header = job.header(&en2, job.version, job.ntime, 0);
            let mut found = Vec::new();
            HeaderScanner::new(algorithm, header).scan(0, 32, &target, &mut found);
            for (nonce, _) in found {
                let reply = soon(client.submit(&job.id, &en2, job.ntime, nonce, None)).await;
                accepted += usize::from(reply.unwrap().is_accepted());
            }
            assert!(extranonce2 < 100_000, "{asset}: no block");
        }
        gateway.shutdown().await;
        work.stop().await;
        let records = all_records(&log);
        let count = |wanted: fn(&Record) -> bool| records.iter().filter(|r| wanted(r)).count();
        assert_eq!(count(|r| matches!(r, Record::Share(_))), accepted);
        let taken = count(|r| matches!(r, Record::BlockOutcome { accepted: true, .. }));
        assert!(taken >= BLOCKS, "{asset}: {taken}");
        assert_eq!(count(|r| matches!(r, Record::BlockOutcome { accepted: false, .. })), 0);
        server.stop().await;
    }
}
