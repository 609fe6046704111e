//! Two development chains, merge-mined through one lane.

use crate::node::{lane_options, soon};
use gruve_chain::auxpow::AuxGroup;
use gruve_chain::devchain::{DevChain, DevParams, DevServer};
use gruve_chain::{RpcNode, address_for_script};
use gruve_sharelog::{Record, ShareLog};
use gruve_stratum::{AuxChain, LaneWork};
use gruve_units::{Algorithm, Asset, Hashes, SystemClock, SystemEntropy};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

/// A chain with a block in so many hashes, and its server.
pub(crate) fn chain(dir: &Path, asset: Asset, work: u128) -> (DevChain, DevServer, RpcNode) {
    let params = DevParams::new(asset, Algorithm::Scrypt).with_start_work(Hashes(work));
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let dir = dir.join(asset.code());
    let chain = DevChain::open(&dir, params, clock, entropy).unwrap();
    let (server, node) = serve(&chain, asset, work);
    (chain, server, node)
}

pub(crate) fn serve(chain: &DevChain, asset: Asset, work: u128) -> (DevServer, RpcNode) {
    let params = DevParams::new(asset, Algorithm::Scrypt).with_start_work(Hashes(work));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = chain.serve(listener, "user", "secret").unwrap();
    let node = RpcNode::new(&server.url(), "user", "secret", params.chain_params().unwrap());
    (server, node.unwrap())
}

pub(crate) fn lane(parent: RpcNode, doge: RpcNode, log: &ShareLog) -> LaneWork {
    let params = DevParams::new(Asset::Doge, Algorithm::Scrypt).chain_params().unwrap();
    let script = [&[0x76, 0xa9, 20][..], &[5; 20], &[0x88, 0xac]].concat();
    let nodes = Arc::new(AuxGroup::new(vec![("doge".to_owned(), Arc::new(doge) as _)]));
    let mut options = lane_options(Arc::new(parent), log, Arc::new(SystemClock));
    options.aux = vec![AuxChain {
        asset: Asset::Doge,
        nodes,
        pay_to: address_for_script(&params, &script).unwrap(),
    }];
    LaneWork::start(options).unwrap()
}

/// Waits for a job with an auxiliary block.
pub(crate) async fn merged_job(work: &LaneWork) {
    let mut jobs = work.jobs();
    let merged = jobs.wait_for(|s| s.as_ref().is_some_and(|s| s.current.job().aux().is_some()));
    soon(merged).await.unwrap();
}

/// Blocks of one chain or the other that its node took.
pub(crate) fn taken(records: &[Record], is_aux: bool) -> usize {
    let is_taken = |hash: &[u8; 32]| {
        records.iter().any(|r| {
            matches!(r, Record::BlockOutcome { block_hash, accepted: true, .. } if block_hash == hash)
        })
    };
    let of = |r: &&Record| match r {
        Record::AuxBlock(b) => is_aux && is_taken(&b.found.block_hash),
        Record::Block(b) => !is_aux && is_taken(&b.block_hash),
        _ => false,
    };
    records.iter().filter(of).count()
}
