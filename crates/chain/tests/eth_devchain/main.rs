//! The account development chain by its public face: work, transfers, branches, its file.
#![allow(clippy::unwrap_used, clippy::needless_pass_by_value, missing_docs)]

mod branches;
mod transfers;
mod work;

use gruve_chain::devchain::eth::{EthDevChain, EthDevParams, EthDifficulty};
use gruve_chain::eth::reward::RewardRule;
use gruve_chain::eth::{EthAddress, LegacyTx, SignedTx};
use gruve_units::{ManualClock, SeededEntropy, Timestamp};
use ruint::aliases::U256;
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

pub const GWEI: u64 = 1_000_000_000;
pub const COIN: u64 = 1_000_000_000_000_000_000;

/// A chain in a folder of its own, on which every nonce is good.
pub struct Rig {
    pub dir: TempDir,
    pub clock: Arc<ManualClock>,
    pub params: EthDevParams,
    pub chain: EthDevChain,
}

impl Rig {
    pub fn easy() -> Rig {
        Rig::with(EthDevParams { difficulty: EthDifficulty::fixed(1), ..EthDevParams::classic() })
    }

    pub fn with(params: EthDevParams) -> Rig {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(Timestamp::from_secs(1_700_000_000)));
        let chain = open(&dir, &clock, &params);
        Rig { dir, clock, params, chain }
    }

    pub fn reopen(self) -> Rig {
        let Rig { dir, clock, params, chain } = self;
        drop(chain);
        let chain = open(&dir, &clock, &params);
        Rig { dir, clock, params, chain }
    }

    pub fn call(&self, method: &str, params: Value) -> Value {
        self.chain.call(method, &params).unwrap()
    }

    pub fn refusal(&self, method: &str, params: Value) -> String {
        self.chain.call(method, &params).unwrap_err().message
    }

    pub fn balance(&self, address: &EthAddress) -> U256 {
        wide(&self.call("eth_getBalance", json!([address.to_string(), "latest"])))
    }

    pub fn tip(&self) -> Value {
        self.call("eth_getBlockByNumber", json!(["latest", true]))
    }

    /// Has the wallet pay, and gives the transaction's hash.
    pub fn pay(&self, to: &EthAddress, wei: u64) -> String {
        let from = self.chain.wallet_address().to_string();
        let order = json!({ "from": from, "to": to.to_string(), "value": format!("{wei:#x}") });
        self.call("eth_sendTransaction", json!([order])).as_str().unwrap().to_owned()
    }

    pub fn send(&self, signed: &SignedTx) -> Result<Value, String> {
        let raw = format!("0x{}", hex::encode(&signed.raw));
        self.chain.call("eth_sendRawTransaction", &json!([raw])).map_err(|e| e.message)
    }
}

fn open(dir: &TempDir, clock: &Arc<ManualClock>, params: &EthDevParams) -> EthDevChain {
    EthDevChain::open(dir.path(), params.clone(), clock.clone(), &SeededEntropy::new(7)).unwrap()
}

pub fn wide(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}

pub fn someone(n: u8) -> EthAddress {
    EthAddress([n; 20])
}

pub fn key(n: u8) -> bitcoin::secp256k1::SecretKey {
    bitcoin::secp256k1::SecretKey::from_slice(&[n; 32]).unwrap()
}

/// A transfer of coins' wei by key `n` at twice the lowest price.
pub fn transfer(n: u8, nonce: u64, to: EthAddress, wei: u64) -> SignedTx {
    LegacyTx::transfer(nonce, to, U256::from(wei), U256::from(2 * GWEI)).sign(61, &key(n))
}

pub fn address_of(n: u8) -> EthAddress {
    transfer(n, 0, someone(1), 0).sender
}

pub const CLASSIC: RewardRule = RewardRule::CLASSIC;
