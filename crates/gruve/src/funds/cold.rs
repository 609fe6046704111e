//! Holdings under keys that this house does not have, and their signatures: what is exchanged with whoever signs.

use gruve_proof::reserves::{Coin, HOLDERS_MAX, Holder, Holding, Reserves};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Bytes of such a file at most.
const FILE_MAX: u64 = 64 << 20;

/// An output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ColdCoin {
    /// As explorers write it.
    txid: String,
    vout: u32,
    /// Minor units.
    value: u64,
}

/// A script or account kept elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColdHolder {
    pub(super) asset: String,
    /// The script in hex; of account chains the address.
    of: String,
    #[serde(default)]
    coins: Vec<ColdCoin>,
    /// An account's balance in minor units.
    balance: Option<u64>,
}

impl ColdHolder {
    /// Unsigned.
    pub(super) fn holder(&self) -> Result<Holder, String> {
        let text = self.of.strip_prefix("0x").unwrap_or(&self.of);
        let of =
            hex::decode(text).map_err(|_| format!("{}: {:?} is not hex", self.asset, self.of))?;
        let holding = match (self.balance, self.coins.is_empty()) {
            (Some(balance), true) => Holding::Account(u128::from(balance)),
            (None, false) => Holding::Coins(self.sorted()?),
            _ => return Err(format!("{}: {}: write coins or a balance", self.asset, self.of)),
        };
        Ok(Holder { of, signature: String::new(), holding })
    }

    fn sorted(&self) -> Result<Vec<Coin>, String> {
        let mut coins = Vec::with_capacity(self.coins.len());
        for c in &self.coins {
            let mut txid = [0; 32];
            hex::decode_to_slice(&c.txid, &mut txid).map_err(|_| format!("{:?}: no id", c.txid))?;
            txid.reverse();
            coins.push(Coin { txid, vout: c.vout, value: c.value });
        }
        coins.sort_unstable();
        Ok(coins)
    }
}

/// What somebody is to sign, and then his signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToSign {
    pub(crate) asset: String,
    /// Script or account, hex.
    pub(crate) of: String,
    /// The message, as it is to be signed.
    pub(crate) message: String,
    /// Empty until it is signed.
    #[serde(default)]
    pub(crate) signature: String,
}

/// Holdings from a file.
pub(super) fn read(path: &Path) -> Result<Vec<ColdHolder>, String> {
    let holders: Vec<ColdHolder> = json(path)?;
    match holders.len() <= HOLDERS_MAX {
        true => Ok(holders),
        false => Err(format!("{}: more than {HOLDERS_MAX} holders", path.display())),
    }
}

/// What is not signed yet.
pub(super) fn unsigned(reserves: &Reserves, origin: &str) -> Vec<ToSign> {
    let mut all = Vec::new();
    for asset in &reserves.assets {
        let message = reserves.message(origin, asset);
        for h in asset.holders.iter().filter(|h| h.signature.is_empty()) {
            all.push(ToSign {
                asset: asset.asset.clone(),
                of: hex::encode(&h.of),
                message: message.clone(),
                signature: String::new(),
            });
        }
    }
    all
}

/// Fills signatures in; each is checked at once, so that a wrong one is named.
pub(super) fn fill_in(reserves: &mut Reserves, origin: &str, path: &Path) -> Result<(), String> {
    let signed: Vec<ToSign> = json(path)?;
    for s in signed.iter().filter(|s| !s.signature.is_empty()) {
        let place = reserves.assets.iter().position(|a| a.asset == s.asset);
        let found = place.and_then(|at| {
            let message = reserves.message(origin, &reserves.assets[at]);
            let holders = &mut reserves.assets[at].holders;
            let holder = holders.iter_mut().find(|h| hex::encode(&h.of) == s.of)?;
            Some((message, holder))
        });
        let Some((message, holder)) = found else {
            return Err(format!("{}: {} is not of the draft", s.asset, s.of));
        };
        holder.signature.clone_from(&s.signature);
        holder.check(&message).map_err(|e| format!("{}: {}: {e}", s.asset, s.of))?;
    }
    Ok(())
}

/// A file of JSON, no longer than such files are.
pub(crate) fn json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, String> {
    let about = std::fs::metadata(path).map_err(super::at(path))?;
    if about.len() > FILE_MAX {
        return Err(format!("{}: longer than {FILE_MAX} bytes", path.display()));
    }
    let text = std::fs::read_to_string(path).map_err(super::at(path))?;
    serde_json::from_str(&text).map_err(|e| format!("{}: {e}", path.display()))
}
