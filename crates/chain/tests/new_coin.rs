//! Adding a coin of a known algorithm is one entry: a coin that does not exist, its entry, and what it
//! gives. Nothing but the entry is written for it here; the node is a development chain with its rules.
#![allow(clippy::unwrap_used, missing_docs)]

mod devchain_support;

use async_trait::async_trait;
use devchain_support::open;
use gruve_chain::devchain::DevParams;
use gruve_chain::follow::{Options, Progress, Start};
use gruve_chain::params::{Hardness, HeaderFacts, Period, Retarget};
use gruve_chain::{
    AddressForm, BlockRef, ChainParams, ChainSink, FollowedBlock, Follower, Job, JobSpec,
    NetworkName, Node, RpcNode, SinkError, SubmitOutcome, SubsidyRule, address_for_script,
    params_for, script_for_address,
};
use gruve_pow::pow_hash;
use gruve_units::{Algorithm, Asset, Class, EpochNumber, Hashes, JobId};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// Testcoin: scrypt, a block a minute, 100 coins halved every thousand blocks, a new target every 60
/// blocks. Its asset would be a variant of its own; here it borrows Litecoin's code and unit.
const TESTCOIN: fn() -> ChainParams = || ChainParams {
    algorithm: Algorithm::Scrypt,
    network: NetworkName::Dev,
    address: AddressForm::Script { bech32_hrp: Some("tstc"), p2pkh_version: 65, p2sh_version: 66 },
    slip44: 1_000_000,
    uri_scheme: "testcoin",
    coinbase_maturity: 7,
    confirmations: 3,
    spacing_secs: 60,
    gbt_rules: &["segwit"],
    segwit: true,
    mweb: false,
    auxpow: None,
    subsidy_rule: SubsidyRule::Halving { initial: 10_000_000_000, interval: 1_000 },
    retarget: Retarget::Every(Period {
        blocks: 60,
        span_secs: 3_600,
        is_whole: true,
        limit_bits: 0x207f_ffff,
        eases: false,
    }),
    genesis: &[],
    landmark: None,
    ..params_for(Asset::Ltc, NetworkName::Dev).unwrap()
};

fn our_script() -> Vec<u8> {
    [&[0, 20][..], &[0x51; 20]].concat()
}

#[test]
fn its_addresses_subsidies_and_targets_follow_from_the_entry() {
    let coin = TESTCOIN();
    let address = address_for_script(&coin, &our_script()).unwrap();
    assert!(address.starts_with("tstc1"), "{address}");
    assert_eq!(script_for_address(&coin, &address).unwrap(), our_script());
    let elsewhere = params_for(Asset::Btc, NetworkName::Mainnet).unwrap();
    assert!(script_for_address(&elsewhere, &address).is_err());
    assert_eq!(coin.subsidy(999), Some(10_000_000_000));
    assert_eq!(coin.subsidy(1_000), Some(5_000_000_000));
    let hardness = Hardness::Bits(0x1e0f_fff0);
    let parent = HeaderFacts { height: 119, time: 7_200, hardness, names_uncles: false };
    assert_eq!(coin.retarget.looks_back_to(120), Some(59));
    let halved = coin.retarget.next(&parent, Some(5_400), 0);
    assert_eq!(halved, Some(Hardness::Bits(0x1e07_fff8)), "half the time, half the target");
}

/// What a follower was told.
#[derive(Default)]
struct Told(Mutex<Vec<FollowedBlock>>);

#[async_trait]
impl ChainSink for Told {
    async fn known(&self, limit: usize) -> Result<Vec<BlockRef>, SinkError> {
        let told = self.0.lock().unwrap();
        Ok(told.iter().rev().take(limit).map(FollowedBlock::to_ref).collect())
    }

    async fn connect(&self, block: &FollowedBlock) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(block.clone());
        Ok(())
    }

    async fn disconnect(&self, _: &BlockRef) -> Result<(), SinkError> {
        self.0.lock().unwrap().pop();
        Ok(())
    }
}

#[tokio::test]
async fn its_blocks_are_made_accepted_and_followed_with_the_entry_alone() {
    let coin = TESTCOIN();
    let dir = tempfile::tempdir().unwrap();
    let mut rules = DevParams::new(coin.asset, coin.algorithm).with_start_work(Hashes(8));
    (rules.subsidy, rules.halving_interval, rules.premine_coins) = (10_000_000_000, Some(1_000), 0);
    let (chain, _) = open(dir.path(), rules);
    let server = chain.serve(TcpListener::bind("127.0.0.1:0").unwrap(), "u", "p").unwrap();
    let node = Arc::new(RpcNode::new(&server.url(), "u", "p", coin).unwrap());
    node.check_chain().await.unwrap();
    let told = Arc::new(Told::default());
    let options = Options { start: Start::Height(1), ..Options::for_chain(&coin) };
    let follower = Follower::new(node.clone(), coin, told.clone(), options);
    let class = Class::new(1).unwrap();
    for height in 1..=3 {
        let template = node.template(None).await.unwrap();
        assert_eq!(Some(template.coinbase_value), coin.subsidy(height));
        let spec = JobSpec {
            id: JobId(1),
            epoch: EpochNumber(3),
            checkpoint_epoch: EpochNumber(1),
            commitment: [0xc0; 32],
            tag: b"/gruve/".to_vec(),
            pay_to: vec![(our_script(), template.coinbase_value)],
            extranonce_len: 12,
        };
        let job = Job::build(Arc::new(template), spec).unwrap();
        let header = (0..)
            .map(|nonce| job.header(class, &[9; 12], job.version(), job.ntime(), nonce))
            .find(|h| job.network_target().is_met_by(&pow_hash(coin.algorithm, h)));
        let block = job.block(class, &[9; 12], &header.unwrap());
        assert_eq!(node.submit_block(&block).await.unwrap(), SubmitOutcome::Accepted);
        assert!(matches!(follower.step().await.unwrap(), Progress::Connected(_)));
    }
    let paid: Vec<_> =
        told.0.lock().unwrap().iter().map(|b| b.block.txs[0].outputs[0].value).collect();
    assert_eq!(paid, [10_000_000_000; 3]);
    server.stop().await;
}
