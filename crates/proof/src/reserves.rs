//! What the house shows to have: coins and accounts, with signatures of whoever can spend them.
//!
//! What is signed names the log and its head, the statement, the asset, the block at which the holdings stood, and the
//! holdings' hash: a signature is good for one statement of one operator, and an old one cannot be shown again. A
//! signature shows that a key was at hand, not whose it is; coins borrowed for the hour of a statement are there.
//! Whether the outputs stood unspent at that block is asked of a node of the reader's own.
//!
//! ```text
//! file    = "GRUVRSV1" ‖ statement (8) ‖ head: size (8), root (32) ‖ number of assets (1) ‖ assets, ascending by name
//! asset   = length, name ‖ shown (1): 1 coins, 2 accounts ‖ height (8) ‖ block (32) ‖ number of holders (4) ‖ holders
//! holder  = length, script or 20 bytes of address ‖ length (2), signature ‖ holding;   ascending by script
//! holding = number (4) and coins, ascending: txid (32), place (4), value (8);   of an account its balance (16)
//! ```

use crate::bip322::{self, Bip322Error, Signed};
use crate::funds::{AssetFunds, FundsEntry, ShownBy, read_name};
use crate::wire::{Wire, WireError};
use crate::{Hash, sha256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::Script;
use bitcoin::secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use bitcoin::secp256k1::{Message, Secp256k1};
use sha3::{Digest as _, Keccak256};
use std::collections::BTreeSet;

const MAGIC: [u8; 8] = *b"GRUVRSV1";
/// Bytes of a file at most: some 700,000 coins. A reader holds it in memory.
pub const FILE_MAX: usize = 32 << 20;
/// Holders of an asset at most; each costs a check of a signature.
pub const HOLDERS_MAX: usize = 1 << 16;
/// Bytes of a script at most: standard ones have up to 42.
const SCRIPT_MAX: usize = 75;
const ADDRESS_BYTES: usize = 20;

/// An output of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Coin {
    /// The transaction, in internal byte order.
    pub txid: Hash,
    /// The output's place in it.
    pub vout: u32,
    /// Minor units.
    pub value: u64,
}

/// What a holder has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holding {
    /// Outputs of its script, ascending.
    Coins(Vec<Coin>),
    /// The balance of an account, in minor units.
    Account(u128),
}

/// A script or account, with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The script, or the account's 20 bytes.
    pub of: Vec<u8>,
    /// BIP-322 in base64, or 65 bytes in hex; empty while it is not signed.
    pub signature: String,
    /// What it has.
    pub holding: Holding,
}

/// An asset's holdings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetReserves {
    /// The asset's name.
    pub asset: String,
    /// How they are shown.
    pub shown: ShownBy,
    /// At which block they stood.
    pub height: u64,
    /// Its hash: of chains of coins in internal byte order, of account chains as they write it.
    pub block: Hash,
    /// The holders, ascending.
    pub holders: Vec<Holder>,
}

/// All holdings of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reserves {
    /// The statement.
    pub statement: u64,
    /// Entries of the log that was signed last.
    pub head_size: u64,
    /// Its root.
    pub head_root: Hash,
    /// The assets, ascending by name.
    pub assets: Vec<AssetReserves>,
}

/// Why reserves are not shown.
#[derive(Debug, thiserror::Error)]
pub enum ReservesError {
    /// Not of the form.
    #[error("not a file of reserves: {0}")]
    Form(#[from] WireError),
    /// They are not those of the statement.
    #[error("not the reserves of this statement: {0}")]
    Other(&'static str),
    /// A signature is not good.
    #[error("{asset}: holder {holder}: {why}")]
    Signature {
        /// The asset.
        asset: String,
        /// Script or account, hex.
        holder: String,
        /// Why.
        why: Bip322Error,
    },
}

/// What a file has shown so far, under whatever names of assets.
#[derive(Default)]
struct Seen {
    coins: BTreeSet<(Hash, u32)>,
    /// With the block at which each stood.
    accounts: BTreeSet<(Hash, Vec<u8>)>,
}

impl AssetReserves {
    /// All of it; `None` when it does not fit.
    #[must_use]
    pub fn sum(&self) -> Option<u128> {
        self.holders.iter().try_fold(0u128, |sum, h| match &h.holding {
            Holding::Coins(coins) => {
                coins.iter().try_fold(sum, |sum, c| sum.checked_add(u128::from(c.value)))
            }
            Holding::Account(balance) => sum.checked_add(*balance),
        })
    }

    fn write(&self, out: &mut Vec<u8>, signatures: bool) {
        out.push(u8::try_from(self.asset.len()).unwrap_or(u8::MAX));
        out.extend(self.asset.as_bytes());
        out.push(self.shown.number());
        out.extend(self.height.to_be_bytes());
        out.extend(self.block);
        out.extend(u32::try_from(self.holders.len()).unwrap_or(u32::MAX).to_be_bytes());
        for h in &self.holders {
            out.push(u8::try_from(h.of.len()).unwrap_or(u8::MAX));
            out.extend(&h.of);
            if signatures {
                out.extend(u16::try_from(h.signature.len()).unwrap_or(u16::MAX).to_be_bytes());
                out.extend(h.signature.as_bytes());
            }
            match &h.holding {
                Holding::Coins(coins) => {
                    out.extend(u32::try_from(coins.len()).unwrap_or(u32::MAX).to_be_bytes());
                    for c in coins {
                        out.extend(c.txid);
                        out.extend(c.vout.to_be_bytes());
                        out.extend(c.value.to_be_bytes());
                    }
                }
                Holding::Account(balance) => out.extend(balance.to_be_bytes()),
            }
        }
    }

    fn read(w: &mut Wire<&[u8]>) -> Result<AssetReserves, WireError> {
        let malformed = |what| Err(WireError::Malformed(what));
        let asset = read_name(w)?;
        let shown = ShownBy::from_number(w.u8("an asset")?);
        let Some(shown @ (ShownBy::Coins | ShownBy::Accounts)) = shown else {
            return malformed("reserves of no known kind");
        };
        let (height, block) = (w.u64("a block")?, w.array("a block")?);
        let count = w.u32("the holders")? as usize;
        if count > HOLDERS_MAX {
            return malformed("too many holders");
        }
        let mut holders: Vec<Holder> = Vec::new();
        for _ in 0..count {
            let len = usize::from(w.u8("a holder")?);
            let fits = match shown {
                ShownBy::Accounts => len == ADDRESS_BYTES,
                _ => (1..=SCRIPT_MAX).contains(&len),
            };
            if !fits {
                return malformed("a holder of another size");
            }
            let of = w.bytes(len, "a holder")?;
            if holders.last().is_some_and(|last| last.of >= of) {
                return malformed("holders that do not ascend");
            }
            let len = usize::from(w.u16("a signature")?);
            if len > bip322::SIGNATURE_CHARS_MAX {
                return malformed("a signature that is too long");
            }
            let signature = String::from_utf8(w.bytes(len, "a signature")?);
            let signature =
                signature.map_err(|_| WireError::Malformed("a signature that is no text"))?;
            let holding = match shown {
                ShownBy::Accounts => Holding::Account(w.u128("a balance")?),
                _ => Holding::Coins(read_coins(w)?),
            };
            holders.push(Holder { of, signature, holding });
        }
        Ok(AssetReserves { asset, shown, height, block, holders })
    }
}

fn read_coins(w: &mut Wire<&[u8]>) -> Result<Vec<Coin>, WireError> {
    let count = w.u32("the coins")? as usize;
    if count == 0 || count > FILE_MAX / 44 {
        return Err(WireError::Malformed("a holder of nothing, or of too much"));
    }
    let mut coins: Vec<Coin> = Vec::new();
    for _ in 0..count {
        let coin =
            Coin { txid: w.array("a coin")?, vout: w.u32("a coin")?, value: w.u64("a coin")? };
        if coins.last().is_some_and(|l| (l.txid, l.vout) >= (coin.txid, coin.vout)) {
            return Err(WireError::Malformed("coins that do not ascend"));
        }
        coins.push(coin);
    }
    Ok(coins)
}

impl Reserves {
    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        out.extend(self.statement.to_be_bytes());
        out.extend(self.head_size.to_be_bytes());
        out.extend(self.head_root);
        out.push(u8::try_from(self.assets.len()).unwrap_or(u8::MAX));
        for asset in &self.assets {
            asset.write(&mut out, true);
        }
        out
    }

    /// From a file.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(bytes: &[u8]) -> Result<Reserves, WireError> {
        if bytes.len() > FILE_MAX {
            return Err(WireError::Malformed("a file that is too long"));
        }
        let mut w = Wire::new(bytes);
        if w.array("the head")? != MAGIC {
            return Err(WireError::Malformed("another kind of file"));
        }
        let (statement, head_size) = (w.u64("the head")?, w.u64("the head")?);
        let head_root = w.array("the head")?;
        let mut assets: Vec<AssetReserves> = Vec::new();
        for _ in 0..w.u8("the assets")? {
            let asset = AssetReserves::read(&mut w)?;
            if assets.last().is_some_and(|last| last.asset >= asset.asset) {
                return Err(WireError::Malformed("assets that do not ascend"));
            }
            assets.push(asset);
        }
        w.end()?;
        Ok(Reserves { statement, head_size, head_root, assets })
    }

    /// What every holder of an asset signs.
    #[must_use]
    pub fn message(&self, origin: &str, asset: &AssetReserves) -> String {
        let mut holdings = Vec::new();
        asset.write(&mut holdings, false);
        let mut block = asset.block;
        if asset.shown == ShownBy::Coins {
            block.reverse();
        }
        format!(
            "gruve reserves 1\nlog {origin} {} {}\nstatement {}\nasset {}\nblock {} {}\nholdings {}",
            self.head_size,
            STANDARD.encode(self.head_root),
            self.statement,
            asset.asset,
            asset.height,
            hex::encode(block),
            hex::encode(sha256(&[&holdings])),
        )
    }

    /// Checks that these are the reserves that a statement names, and every signature. What is left to ask is whether
    /// the head is one of the log's, and a node, whether the holdings stood there at the block.
    ///
    /// # Errors
    /// The first step that does not hold.
    pub fn check(&self, origin: &str, entry: &FundsEntry) -> Result<(), ReservesError> {
        if self.statement != entry.statement {
            return Err(ReservesError::Other("they are another's"));
        }
        let named: Vec<&AssetFunds> =
            entry.assets.iter().filter(|a| a.shown != ShownBy::Nothing).collect();
        if named.len() != self.assets.len() {
            return Err(ReservesError::Other("other assets"));
        }
        // Two names of one asset must not show one coin or account twice.
        let mut seen = Seen::default();
        for (asset, named) in self.assets.iter().zip(named) {
            if (&asset.asset, asset.shown) != (&named.asset, named.shown) {
                return Err(ReservesError::Other("other assets"));
            }
            if asset.sum() != Some(named.reserves) {
                return Err(ReservesError::Other("another sum"));
            }
            self.check_asset(origin, asset, &mut seen)?;
        }
        Ok(())
    }

    fn check_asset(
        &self,
        origin: &str,
        asset: &AssetReserves,
        seen: &mut Seen,
    ) -> Result<(), ReservesError> {
        let message = self.message(origin, asset);
        for h in &asset.holders {
            if let Holding::Coins(coins) = &h.holding
                && !coins.iter().all(|c| seen.coins.insert((c.txid, c.vout)))
            {
                return Err(ReservesError::Other("a coin counted twice"));
            }
            // One address may have accounts on many chains, and a block is of one chain.
            if let Holding::Account(_) = &h.holding
                && !seen.accounts.insert((asset.block, h.of.clone()))
            {
                return Err(ReservesError::Other("an account counted twice"));
            }
            h.check(&message).map_err(|why| ReservesError::Signature {
                asset: asset.asset.clone(),
                holder: hex::encode(&h.of),
                why,
            })?;
        }
        Ok(())
    }
}

impl Holder {
    /// Checks its signature of a message.
    ///
    /// # Errors
    /// [`Bip322Error`].
    pub fn check(&self, message: &str) -> Result<(), Bip322Error> {
        match &self.holding {
            Holding::Account(_) => account_signed(&self.of, message, &self.signature),
            Holding::Coins(_) => {
                let script = Script::from_bytes(&self.of);
                let signed = bip322::verify(script, message.as_bytes(), &self.signature)?;
                // Coins that are locked for some time are not at hand.
                match signed {
                    Signed { lock_time: 0, sequence: 0 } => Ok(()),
                    _ => Err(Bip322Error::Inconclusive),
                }
            }
        }
    }
}

/// What an account's key signs of a message, as wallets do (`personal_sign`, EIP-191).
#[must_use]
pub fn account_digest(message: &str) -> Hash {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n");
    hasher.update(message.len().to_string());
    hasher.update(message);
    hasher.finalize().into()
}

fn account_signed(address: &[u8], message: &str, signature: &str) -> Result<(), Bip322Error> {
    let text = signature.strip_prefix("0x").unwrap_or(signature);
    let bytes = hex::decode(text).map_err(|_| Bip322Error::Malformed("not hex"))?;
    let [compact @ .., v] = bytes.as_slice() else {
        return Err(Bip322Error::Malformed("empty"));
    };
    let id = match v {
        0 | 27 => 0,
        1 | 28 => 1,
        _ => return Err(Bip322Error::Malformed("no recovery number")),
    };
    let id = RecoveryId::from_i32(id).map_err(|_| Bip322Error::Invalid)?;
    let signature = RecoverableSignature::from_compact(compact, id)
        .map_err(|_| Bip322Error::Malformed("not 65 bytes"))?;
    let digest = Message::from_digest(account_digest(message));
    let key = Secp256k1::verification_only()
        .recover_ecdsa(&digest, &signature)
        .map_err(|_| Bip322Error::Invalid)?;
    let hash: Hash = Keccak256::digest(&key.serialize_uncompressed()[1..]).into();
    if hash[12..] == *address { Ok(()) } else { Err(Bip322Error::Invalid) }
}
