use super::*;
use crate::house::files::Holding;
use gruve_chain::devchain::{DevChain, DevParams};
use gruve_store::transact;
use gruve_treasury::TreasuryError;
use gruve_units::{Algorithm, Amount, Asset, Bps, SystemClock, SystemEntropy, Timestamp};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

fn config(folder: &Path, port: u16) -> Config {
    let text = format!(
        r#"
[house]
name = "House"
origin = "house.example/log"
data = "house"
[[lane]]
id = "btc"
asset = "BTC"
network = "dev"
[lane.node]
url = "http://127.0.0.1:{port}"
user = "gruve"
password = "secret"
[lane.stratum]
listen = "127.0.0.1:0"
"#
    );
    Config::parse(&text, folder).unwrap()
}

/// What was written of a block at the chain's beginning that the chain does not have.
fn gone(lane: &LaneConfig) -> OwnBlock {
    OwnBlock {
        lane: lane.id.clone(),
        block_hash: [9; 32],
        height: 0,
        at: Timestamp(0),
        vout: 0,
        address: String::new(),
        amount: Amount::new(Asset::Btc, 1),
        house: 1,
        whole: 2,
        part: None,
        fee: Some(gruve_hosting::BlockFee { bps: Bps::ZERO, least: 0 }),
        is_orphaned: false,
    }
}

/// The house follows a block at the chain's beginning.
async fn follow(parts: &Parts, block: &LeanBlock) {
    transact!(parts.store, tx -> Result<(), TreasuryError> => {
        parts.treasury.connect_block(tx, Asset::Btc, 0, block).await.map(drop)
    })
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_block_that_was_replaced_while_the_house_stood_still_is_not_compared() {
    let dir = tempfile::tempdir().unwrap();
    let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
    let params = DevParams::new(Asset::Btc, Algorithm::Sha256d);
    let folder = dir.path().join("chain");
    fs::create_dir_all(&folder).unwrap();
    let chain = DevChain::open(&folder, params, clock.clone(), entropy.clone()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let _chain = chain.serve(listener, "gruve", "secret").unwrap();
    let config = config(dir.path(), port);
    let lane = &config.lanes[0];
    let parts = Parts::begin(&config, Holding::Alone, clock, entropy).await.unwrap();
    let params = nodes::chain_params(lane).unwrap();
    let node = BlockChain { node: parts.nodes[&lane.id].clone(), params };
    let there = node.block_hash(0).await.unwrap().unwrap();
    let (first, _) = node.block(&BlockRef { height: 0, hash: there }).await.unwrap();
    let block = gone(lane);
    let looked = async || {
        let followed = {
            let mut tx = parts.store.read().await.unwrap();
            parts.treasury.known_blocks(&mut tx, params.asset, 1).await.unwrap()
        };
        on_chain(&parts, lane, params, &block, followed.first()).await
    };

    // The house has followed a block that its node no longer has.
    let mut ours = first.block.clone();
    ours.hash = block.block_hash;
    follow(&parts, &ours).await;
    let why = looked().await.unwrap_err();
    assert!(why.contains("reorganised"), "{why}");

    // Once it has followed its node, what it has written is wrong.
    transact!(parts.store, tx -> Result<(), TreasuryError> => {
        let at = BlockRef { height: 0, hash: ours.hash };
        parts.treasury.disconnect_block(tx, Asset::Btc, &at).await.map(drop)
    })
    .unwrap();
    follow(&parts, &first.block).await;
    let what = looked().await.unwrap().unwrap_err();
    assert!(what.contains("at height 0 the chain has"), "{what}");
}
