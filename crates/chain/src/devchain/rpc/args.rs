//! Arguments and errors of a call.

use crate::devchain::error::DevChainError;
use bitcoin::hashes::Hash;
use bitcoin::{BlockHash, Transaction, Txid};
use gruve_units::{Amount, Asset};
use serde_json::Value;

/// An error of a call, with Core's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// Core's code (`rpc/protocol.h`).
    pub code: i32,
    /// Core's words.
    pub message: String,
}

impl RpcError {
    /// Something else went wrong.
    pub(crate) const MISC: i32 = -1;
    /// An argument is of the wrong type.
    pub(crate) const TYPE: i32 = -3;
    /// An address or key (also: an unknown block or transaction) is invalid.
    pub(crate) const ADDRESS_OR_KEY: i32 = -5;
    /// The wallet has too little.
    pub(crate) const FUNDS: i32 = -6;
    /// An argument is out of its range.
    pub(crate) const PARAMETER: i32 = -8;
    /// The wallet has given out all its addresses.
    pub(crate) const KEYPOOL: i32 = -12;
    /// What was sent does not decode.
    pub(crate) const DECODE: i32 = -22;
    /// A transaction cannot be taken.
    pub(crate) const VERIFY: i32 = -25;
    /// A transaction breaks a rule.
    pub(crate) const REJECTED: i32 = -26;
    /// A transaction is in a block already.
    pub(crate) const ALREADY_IN_CHAIN: i32 = -27;
    /// The request is no call.
    pub(crate) const INVALID_REQUEST: i32 = -32600;
    /// The chain itself failed.
    pub(crate) const INTERNAL: i32 = -32603;
    /// The request is no JSON.
    pub(crate) const PARSE: i32 = -32700;
    /// There is no such method.
    pub(crate) const NO_METHOD: i32 = -32601;

    pub(crate) fn new(code: i32, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into() }
    }

    pub(crate) fn method_not_found() -> RpcError {
        RpcError::new(Self::NO_METHOD, "Method not found")
    }
}

impl From<DevChainError> for RpcError {
    fn from(error: DevChainError) -> Self {
        tracing::error!(%error, "the development chain failed");
        RpcError::new(Self::INTERNAL, error.to_string())
    }
}

/// A call's arguments by position.
pub(crate) struct Args(Vec<Value>);

impl Args {
    /// Reads arguments given by position or by name.
    pub(crate) fn read(params: &Value, names: &[&str]) -> Result<Args, RpcError> {
        match params {
            Value::Null => Ok(Args(Vec::new())),
            Value::Array(values) if values.len() <= names.len() => Ok(Args(values.clone())),
            Value::Array(_) => {
                Err(RpcError::new(RpcError::MISC, format!("usage: {}", names.join(" "))))
            }
            Value::Object(named) => {
                let mut values = vec![Value::Null; names.len()];
                for (name, value) in named {
                    let Some(place) = names.iter().position(|n| n == name) else {
                        let message = format!("Unknown named parameter {name}");
                        return Err(RpcError::new(RpcError::PARAMETER, message));
                    };
                    values[place] = value.clone();
                }
                Ok(Args(values))
            }
            _ => {
                let message = "Params must be an array or object";
                Err(RpcError::new(RpcError::INVALID_REQUEST, message))
            }
        }
    }

    /// An argument; null counts as absent.
    pub(crate) fn get(&self, place: usize) -> Option<&Value> {
        self.0.get(place).filter(|v| !v.is_null())
    }

    pub(crate) fn need(&self, place: usize) -> Result<&Value, RpcError> {
        self.get(place).ok_or_else(|| {
            RpcError::new(RpcError::MISC, format!("argument {} is missing", place + 1))
        })
    }

    pub(crate) fn text(&self, place: usize) -> Result<&str, RpcError> {
        self.need(place)?.as_str().ok_or_else(|| wrong_type("string"))
    }

    pub(crate) fn number(&self, place: usize) -> Result<Option<i64>, RpcError> {
        self.get(place).map(|v| v.as_i64().ok_or_else(|| wrong_type("number"))).transpose()
    }

    /// A yes or no, also given as a number.
    pub(crate) fn flag(&self, place: usize, default: bool) -> Result<bool, RpcError> {
        match self.get(place) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(*b),
            Some(v) => v.as_i64().map(|n| n != 0).ok_or_else(|| wrong_type("bool")),
        }
    }

    /// How much detail is asked for: a number, or a bool for 0 and 1.
    pub(crate) fn verbosity(&self, place: usize, default: i64) -> Result<i64, RpcError> {
        match self.get(place) {
            None => Ok(default),
            Some(Value::Bool(b)) => Ok(i64::from(*b)),
            Some(v) => v.as_i64().ok_or_else(|| wrong_type("number")),
        }
    }

    pub(crate) fn block_hash(&self, place: usize) -> Result<BlockHash, RpcError> {
        hash(self.text(place)?, "blockhash").map(BlockHash::from_byte_array)
    }

    pub(crate) fn txid(&self, place: usize) -> Result<Txid, RpcError> {
        hash(self.text(place)?, "parameter 1").map(Txid::from_byte_array)
    }

    /// An amount of whole coins, as a number or a text.
    pub(crate) fn amount(&self, place: usize, asset: Asset) -> Result<i64, RpcError> {
        let text = match self.need(place)? {
            Value::Number(n) => n.to_string(),
            Value::String(s) => s.clone(),
            _ => return Err(RpcError::new(RpcError::TYPE, "Amount is not a number or string")),
        };
        let amount = Amount::parse_decimal(asset, &text)
            .map_err(|_| RpcError::new(RpcError::TYPE, "Invalid amount"))?;
        if amount.minor < 0 {
            return Err(RpcError::new(RpcError::TYPE, "Amount out of range"));
        }
        Ok(amount.minor)
    }
}

fn wrong_type(wanted: &str) -> RpcError {
    RpcError::new(
        RpcError::TYPE,
        format!("JSON value of this type is not of expected type {wanted}"),
    )
}

/// A hash in text, as internal bytes.
fn hash(text: &str, what: &str) -> Result<[u8; 32], RpcError> {
    crate::hash_from_text(text).ok_or_else(|| {
        let shown: String = text.chars().take(64).collect();
        let message = if text.len() == 64 {
            format!("{what} must be hexadecimal string (not '{shown}')")
        } else {
            format!("{what} must be of length 64 (not {}, for '{shown}')", text.len())
        };
        RpcError::new(RpcError::PARAMETER, message)
    })
}

/// A transaction in hexadecimal.
pub(crate) fn transaction(text: &str) -> Result<Transaction, RpcError> {
    let failed = || {
        let message = "TX decode failed. Make sure the tx has at least one input.";
        RpcError::new(RpcError::DECODE, message)
    };
    let bytes = hex::decode(text).map_err(|_| failed())?;
    bitcoin::consensus::deserialize(&bytes).map_err(|_| failed())
}
