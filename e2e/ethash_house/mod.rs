//! A house with one lane of the Ethash family, its folder made before the first start, so that the node
//! can be told whom to pay.
#![allow(dead_code, clippy::unwrap_used, unreachable_pub, missing_docs)]

use crate::support::{Running, free_ports, tail, until};
use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDifficulty};
use gruve_chain::eth::{AccountNode as _, EthAddress, EthRpcNode, EthRpcOptions};
use gruve_treasury::{AccountKeys, Keychain, Seed};
use gruve_units::{Algorithm, Asset, SystemClock, SystemEntropy};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub const PASSWORD: &str = "0123456789abcdef0123";
pub const MINUTES: Duration = Duration::from_secs(240);
/// The chain's number, and what its blocks pay: neither is a known chain's.
pub const CHAIN_ID: u64 = 77_001;
pub const REWARD_WEI: u128 = 2_000_000_000_000_000_000;
pub const DIFFICULTY: u64 = 64;

/// The house's folder.
pub struct Place {
    dir: tempfile::TempDir,
    pub base: u16,
    pub algorithm: Algorithm,
    pub pays: EthAddress,
    maturity: u64,
}

impl Place {
    /// Whose rewards mature two blocks deep.
    pub fn new(algorithm: Algorithm) -> Place {
        Place::maturing(algorithm, 2)
    }

    pub fn maturing(algorithm: Algorithm, maturity: u64) -> Place {
        let dir = tempfile::tempdir().unwrap();
        let house = dir.path().join("house");
        std::fs::DirBuilder::new().mode(0o700).create(&house).unwrap();
        let seed = Seed::open_or_create(&house.join("wallet.seed"), &SystemEntropy).unwrap();
        let keys = AccountKeys::new(&seed, Asset::Etc, false).unwrap();
        let pays = keys.address(Keychain::Capital, 0).unwrap();
        let place = Place { dir, base: free_ports(3), algorithm, pays, maturity };
        std::fs::write(place.path("gruve.toml"), place.config()).unwrap();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.base + 2)
    }

    fn config(&self) -> String {
        let (http, stratum, node) = (self.base, self.base + 1, self.url());
        let (algorithm, maturity) = (self.algorithm.name(), self.maturity);
        format!(
            r#"
[house]
name = "Ethash house"
origin = "ethash.gruve.example/log"
data = "house"
machine_password = "{PASSWORD}"
[http]
listen = "127.0.0.1:{http}"
[accounts]
payout_delay = "0s"
[[lane]]
id = "eth-class"
asset = "ETC"
network = "dev"
maturity = {maturity}
confirmations = 1
epoch = "2s"
grace = "500ms"
capacity_epochs = 5
settle_every = 1
[lane.node]
url = "{node}"
[lane.ethash]
name = "Test chain"
chain_id = {CHAIN_ID}
algorithm = "{algorithm}"
block_reward_wei = "{REWARD_WEI}"
[lane.stratum]
listen = "127.0.0.1:{stratum}"
class_min = 2
class_max = 20
class_start = 4
share_interval = "500ms"
[[site]]
name = "hall"
[[site.machine]]
name = "rack1"
lane = "eth-class"
nameplate = "500 H/s"
"#
        )
    }

    pub fn fail(&self, why: &str) -> ! {
        panic!(
            "{why}\n--- house\n{}\n--- miner\n{}\n--- node\n{}",
            tail(&self.path("house.log")),
            tail(&self.path("miner.log")),
            tail(&self.path("node.log"))
        );
    }

    pub fn node(&self) -> EthRpcNode {
        // The node makes the epoch's cache at the first seal: seconds, on a busy machine many.
        let options = EthRpcOptions { timeout: MINUTES, ..EthRpcOptions::default() };
        EthRpcNode::new(&self.url(), None, options).unwrap()
    }

    pub fn house(&self) -> Running {
        let config = self.path("gruve.toml");
        Running::start(&["serve", "--config", config.to_str().unwrap()], &self.path("house.log"))
    }

    pub fn miner(&self) -> Running {
        self.miner_with(&[])
    }

    pub fn miner_with(&self, more: &[&str]) -> Running {
        let url = format!("stratum+tcp://127.0.0.1:{}", self.base + 1);
        let algorithm = self.algorithm.name();
        let args = ["miner", "--url", &url, "--user", "house.rack1", "--password", PASSWORD];
        let how = ["--algorithm", algorithm, "--threads", "1"];
        Running::start(&[&args[..], &how[..], more].concat(), &self.path("miner.log"))
    }

    /// Mines until the chain has so many blocks more.
    pub async fn mine(&self, node: &EthRpcNode, blocks: u64) -> u64 {
        let from = node.height().await.unwrap();
        let miner = self.miner();
        until("the chain has grown", MINUTES, async || {
            node.height().await.ok().filter(|h| *h >= from + blocks)
        })
        .await
        .unwrap_or_else(|e| self.fail(&e));
        let miner = miner.stop().await;
        assert!(miner.success(), "{miner}");
        node.height().await.unwrap()
    }

    /// A development chain that pays the house, with blocks of [`DIFFICULTY`].
    pub fn dev_chain(&self) -> EthDevChain {
        let params = EthDevParams {
            chain_id: CHAIN_ID,
            difficulty: EthDifficulty::fixed(DIFFICULTY),
            reward: gruve_chain::eth::RewardRule {
                first: ruint::aliases::U256::from(REWARD_WEI),
                era_blocks: None,
            },
            ..EthDevParams::classic()
        };
        let clock = Arc::new(SystemClock);
        let chain = EthDevChain::open(&self.path("chain"), params, clock, &SystemEntropy).unwrap();
        chain.pay_blocks_to(self.pays);
        chain
    }

    pub fn node_listener(&self) -> std::net::TcpListener {
        std::net::TcpListener::bind(("127.0.0.1", self.base + 2)).unwrap()
    }
}
