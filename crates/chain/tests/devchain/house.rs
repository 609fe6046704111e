//! The house's own client and jobs against the development chain.

use crate::devchain_support::open;
use gruve_chain::devchain::DevParams;
use gruve_chain::{Job, JobSpec, Node, RpcNode, SubmitOutcome};
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Asset, Class, EpochNumber, Hashes, JobId};
use std::net::TcpListener;
use std::sync::Arc;

#[tokio::test]
async fn the_houses_client_mines_on_it_for_every_coin() {
    let coins = [
        (Asset::Btc, Algorithm::Sha256d),
        (Asset::Ltc, Algorithm::Scrypt),
        (Asset::Doge, Algorithm::Scrypt),
    ];
    for (asset, algorithm) in coins {
        let dir = tempfile::tempdir().unwrap();
        let mut params = DevParams::new(asset, algorithm).with_start_work(Hashes(8));
        params.premine_coins = 1;
        let (chain, _) = open(dir.path(), params.clone());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = chain.serve(listener, "user", "secret").unwrap();
        let chain_params = params.chain_params().unwrap();
        let node = RpcNode::new(&server.url(), "user", "secret", chain_params).unwrap();
        node.check_chain().await.unwrap();
        let first = params.premine_blocks() + 1;
        for height in first..first + 3 {
            let template = node.template(None).await.unwrap();
            let pay_to = vec![(vec![0x51], template.coinbase_value)];
            let spec = JobSpec {
                id: JobId(1),
                epoch: EpochNumber(3),
                checkpoint_epoch: EpochNumber(1),
                commitment: [0xc0; 32],
                tag: b"/gruve/".to_vec(),
                pay_to,
                extranonce_len: 12,
            };
            let job = Job::build(Arc::new(template), spec).unwrap();
            let class = Class::new(1).unwrap();
            let extranonce = [9u8; 12];
            let header = (0..)
                .map(|nonce| job.header(class, &extranonce, job.version(), job.ntime(), nonce))
                .find(|h| job.network_target().is_met_by(&pow_hash(algorithm, h)))
                .unwrap();
            let block = job.block(class, &extranonce, &header);
            assert_eq!(node.submit_block(&block).await.unwrap(), SubmitOutcome::Accepted);
            assert_eq!(node.submit_block(&block).await.unwrap(), SubmitOutcome::Duplicate);
            let tip = node.tip().await.unwrap();
            assert_eq!(tip.height, u64::from(height));
            assert_eq!(node.block(&tip.hash).await.unwrap(), block);
        }
        server.stop().await;
    }
}
