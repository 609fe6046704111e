//! Somebody else's wallet on a real node: the node's own where it has one, else a key.
#![allow(clippy::unwrap_used, unreachable_pub, missing_docs)]

use crate::devchain_support::{Funds, Key, from_hex, hex_of, payment};
use crate::real_node::{Program, RealNode};
use bitcoin::{ScriptBuf, TxOut};
use gruve_chain::{ChainParams, address_for_script, script_for_address};
use gruve_units::{Amount, Asset};
use serde_json::{Value, json};

/// What a payment by key pays the network.
const FEE_MINOR: u64 = 10_000;

pub enum Purse {
    Node,
    Key(Box<(Key, ChainParams)>),
}

impl Purse {
    pub async fn new(program: Program, node: &RealNode) -> Purse {
        if program == Program::Bitcoind {
            return Purse::Key(Box::new((Key::new(1), program.params())));
        }
        node.make_wallet().await;
        Purse::Node
    }

    /// Mines the first coin that can be spent.
    pub async fn fill(&self, node: &RealNode) {
        let own = match self {
            Purse::Node => node.new_address("bech32").await,
            Purse::Key(own) => address_for_script(&own.1, own.0.wpkh().as_bytes()).unwrap(),
        };
        node.generate(101, &own).await;
    }

    /// Pays once: the key has one coin.
    pub async fn pay(&self, node: &RealNode, address: &str, amount: Amount) {
        let Purse::Key(own) = self else {
            let decimal: Value = serde_json::from_str(&amount.decimal()).unwrap();
            node.call("sendtoaddress", json!([address, decimal])).await;
            return;
        };
        let (key, params) = &**own;
        let hash = node.call("getblockhash", json!([1])).await;
        let block = node.call("getblock", json!([hash, 0])).await;
        let coin = Funds::mined(&from_hex(block.as_str().unwrap()));
        let to = ScriptBuf::from_bytes(script_for_address(params, address).unwrap());
        let mut tx = payment(&coin, &to, FEE_MINOR);
        let whole = tx.output[0].value;
        tx.output[0].value = bitcoin::Amount::from_sat(u64::try_from(amount.minor).unwrap());
        let change = whole - tx.output[0].value;
        tx.output.push(TxOut { value: change, script_pubkey: key.wpkh() });
        let tx = key.sign(tx, std::slice::from_ref(&coin.out));
        node.call("sendrawtransaction", json!([hex_of(&tx)])).await;
    }

    /// An address that nothing was paid to yet.
    pub async fn new_address(&self, node: &RealNode) -> String {
        match self {
            Purse::Node => node.new_address("bech32").await,
            Purse::Key(own) => address_for_script(&own.1, Key::new(2).wpkh().as_bytes()).unwrap(),
        }
    }

    /// What an address has received in blocks.
    pub async fn received(&self, node: &RealNode, address: &str, asset: Asset) -> Amount {
        let decimal = match self {
            Purse::Node => node.call("getreceivedbyaddress", json!([address, 1])).await,
            Purse::Key(..) => {
                let what = json!(["start", [format!("addr({address})")]]);
                node.call("scantxoutset", what).await["total_amount"].clone()
            }
        };
        Amount::parse_decimal(asset, &decimal.to_string()).unwrap()
    }
}
