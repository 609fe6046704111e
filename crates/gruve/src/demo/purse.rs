//! The customer's own wallets: those of the development chains' nodes, which are nothing to the house.

use super::api::Rpc;
use gruve_chain::eth::wei;
use gruve_units::{Amount, Asset};
use ruint::aliases::U256;
use serde_json::{Value, json};

/// Why a wallet did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum PurseError {
    /// The node's answer.
    #[error("{0}: {1}")]
    Node(&'static str, String),
    /// An answer that makes no sense.
    #[error("{0} answers something else than {1}")]
    Shape(&'static str, &'static str),
}

/// What its node speaks.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Bitcoin Core's RPC.
    Coins,
    /// Ethereum's.
    Accounts,
}

/// A wallet of one asset.
#[derive(Clone)]
pub struct Purse {
    /// Of what.
    pub asset: Asset,
    node: Rpc,
    speech: Speech,
}

impl Purse {
    /// The wallet in a node.
    pub fn new(asset: Asset, node: Rpc, speech: Speech) -> Purse {
        Purse { asset, node, speech }
    }

    async fn call(&self, method: &'static str, params: Value) -> Result<Value, PurseError> {
        let answer = self.node.call(method, params).await;
        answer.map_err(|e| PurseError::Node(method, e.to_string()))
    }

    async fn text(&self, method: &'static str, params: Value) -> Result<String, PurseError> {
        let answer = self.call(method, params).await?;
        answer.as_str().map(str::to_owned).ok_or(PurseError::Shape(method, "a text"))
    }

    /// Pays; gives the transaction's id.
    ///
    /// # Errors
    /// When the node refuses or does not answer.
    pub async fn pay(&self, address: &str, amount: Amount) -> Result<String, PurseError> {
        if self.speech == Speech::Coins {
            let decimal = serde_json::from_str::<Value>(&amount.decimal());
            let decimal = decimal.map_err(|_| PurseError::Shape("the amount", "a number"))?;
            return self.text("sendtoaddress", json!([address, decimal])).await;
        }
        let own = self.call("eth_accounts", json!([])).await?;
        let value = wei::from_gwei(amount.minor).unwrap_or_default();
        let order = json!([{ "from": own[0], "to": address, "value": format!("{value:#x}") }]);
        self.text("eth_sendTransaction", order).await
    }

    /// An address that nothing was paid to yet.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn new_address(&self) -> Result<String, PurseError> {
        let method = match self.speech {
            Speech::Coins => "getnewaddress",
            Speech::Accounts => "personal_newAccount",
        };
        self.text(method, json!([])).await
    }

    /// What an address of this wallet has received in blocks, from which nothing was sent.
    ///
    /// # Errors
    /// When the node does not answer, or what came is no whole number of minor units.
    pub async fn received(&self, address: &str) -> Result<Amount, PurseError> {
        if self.speech == Speech::Coins {
            let method = "getreceivedbyaddress";
            let got = self.call(method, json!([address, 1])).await?;
            let amount = Amount::parse_decimal(self.asset, &got.to_string());
            return amount.map_err(|_| PurseError::Shape(method, "an amount"));
        }
        let method = "eth_getBalance";
        let text = self.text(method, json!([address, "latest"])).await?;
        let wei = text.strip_prefix("0x").and_then(|digits| U256::from_str_radix(digits, 16).ok());
        let wei = wei.ok_or(PurseError::Shape(method, "a number"))?;
        match wei::split(wei) {
            Some((minor, 0)) => Ok(Amount::new(self.asset, minor)),
            _ => Err(PurseError::Shape(method, "whole gwei, which are all that the house pays")),
        }
    }
}
