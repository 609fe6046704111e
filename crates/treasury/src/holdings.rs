//! What the wallets hold, output by output, and messages signed with their keys: for showing reserves.
//!
//! Promises: what is listed stood at the newest block connected; a message is signed over two transactions that no
//! chain takes (BIP-322), or as wallets of account chains sign text (EIP-191), so that no signature made here can move
//! a coin. Must not know what the messages say.

use crate::account::AccountKeys;
use crate::blocks::newest;
use crate::keys::{Keychain, ScriptForm, WalletKeys};
use crate::transaction::{Coin, sign};
use crate::{Result, Treasury, TreasuryError, sql};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::serialize;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use bitcoin::opcodes::all::OP_RETURN;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};
use gruve_chain::eth::{keccak256, wei};
use gruve_store::{Tx, params};
use gruve_units::Asset;
use ruint::aliases::U256;
use std::collections::BTreeMap;

/// An unspent output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldCoin {
    /// Its transaction, in internal byte order.
    pub txid: [u8; 32],
    /// Which of its outputs.
    pub vout: u32,
    /// Minor units.
    pub value: u64,
}

/// What one of our keys holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The script, or the account's 20 bytes.
    pub of: Vec<u8>,
    /// Whose key.
    pub keychain: Keychain,
    /// Which key.
    pub index: u32,
    /// Its outputs by id and place; none of an account.
    pub coins: Vec<HeldCoin>,
    /// An account's balance, in whole minor units.
    pub balance: u64,
}

/// What a wallet holds at a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// The block's height.
    pub height: u64,
    /// Its hash, as the follower knows it.
    pub block: [u8; 32],
    /// By script, those with nothing left out.
    pub parts: Vec<Holding>,
}

impl Treasury {
    /// What the wallet of an asset holds; `None` before its first block.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`]; the database's.
    pub async fn holdings(&self, tx: &mut Tx, asset: Asset) -> Result<Option<Holdings>> {
        let parts = if self.is_account_chain(asset) {
            self.account_parts(tx, asset).await?
        } else {
            self.coin_parts(tx, asset).await?
        };
        let Some((at, _)) = newest(tx, asset).await? else { return Ok(None) };
        Ok(Some(Holdings { height: at.height, block: at.hash, parts }))
    }

    /// What an address is on its chain: an output script, or an account's twenty bytes.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`], [`TreasuryError::Address`], [`TreasuryError::Account`].
    pub fn script_of(&self, asset: Asset, address: &str) -> Result<Vec<u8>> {
        if self.is_account_chain(asset) {
            let parsed = address.parse::<gruve_chain::eth::EthAddress>();
            return Ok(parsed.map_err(|why| TreasuryError::Account { asset, why })?.0.to_vec());
        }
        let parsed = gruve_chain::script_for_address(&self.wallet(asset)?.params, address);
        parsed.map_err(|why| TreasuryError::Address { asset, why })
    }

    /// Whether an asset's wallet is one of accounts.
    #[must_use]
    pub fn is_account_chain(&self, asset: Asset) -> bool {
        self.account_wallet(asset).is_ok()
    }

    async fn coin_parts(&self, tx: &mut Tx, asset: Asset) -> Result<Vec<Holding>> {
        let keys = &self.wallet(asset)?.keys;
        let mut parts: BTreeMap<(Keychain, u32), Vec<HeldCoin>> = BTreeMap::new();
        for row in tx.fetch_all(sql::UNSPENT, &params![asset]).await? {
            let keychain = Keychain::from_number(row.get("keychain")?)
                .ok_or(TreasuryError::Damaged("a coin of no keychain of ours"))?;
            let coin = HeldCoin {
                txid: row.get("txid")?,
                vout: row.get("vout")?,
                value: row.get("value")?,
            };
            parts.entry((keychain, row.get("key_index")?)).or_default().push(coin);
        }
        let mut all = Vec::with_capacity(parts.len());
        for ((keychain, index), coins) in parts {
            let of = keys.script(keychain, index)?.into_bytes();
            all.push(Holding { of, keychain, index, coins, balance: 0 });
        }
        all.sort_by(|a, b| a.of.cmp(&b.of));
        Ok(all)
    }

    async fn account_parts(&self, tx: &mut Tx, asset: Asset) -> Result<Vec<Holding>> {
        let mut all = Vec::new();
        for row in tx.fetch_all(sql::ACCOUNTS_HELD, &params![asset]).await? {
            let keychain = Keychain::from_number(row.get("keychain")?)
                .ok_or(TreasuryError::Damaged("an account of no keychain of ours"))?;
            let held = U256::from_be_bytes(row.get::<[u8; 32]>("wei")?);
            let gwei = wei::split(held).map(|(gwei, _)| u64::try_from(gwei));
            let Some(Ok(balance)) = gwei else {
                return Err(TreasuryError::Damaged("an account that holds more than there is"));
            };
            if balance > 0 {
                let (of, index) = (row.get("address")?, row.get("key_index")?);
                all.push(Holding { of, keychain, index, coins: Vec::new(), balance });
            }
        }
        Ok(all)
    }

    /// A message signed by one of our keys: BIP-322 (`smp…` or `ful…`), of account chains 65 bytes in hex.
    ///
    /// # Errors
    /// [`TreasuryError::NoWallet`]; when the key cannot be derived.
    pub fn sign_message(
        &self,
        asset: Asset,
        keychain: Keychain,
        index: u32,
        message: &str,
    ) -> Result<String> {
        match self.account_wallet(asset) {
            Ok(wallet) => account_signature(&wallet.keys, keychain, index, message),
            Err(_) => script_signature(&self.wallet(asset)?.keys, keychain, index, message),
        }
    }
}

/// A message signed by one of an account chain's keys, as wallets sign text (EIP-191): 65 bytes in hex.
///
/// # Errors
/// When the key cannot be derived.
pub fn account_signature(
    keys: &AccountKeys,
    keychain: Keychain,
    index: u32,
    message: &str,
) -> Result<String> {
    let begin = format!("\u{19}Ethereum Signed Message:\n{}", message.len());
    let digest = keccak256(&[begin.as_bytes(), message.as_bytes()].concat());
    Ok(hex::encode(keys.sign_digest(keychain, index, digest)?))
}

/// A message signed by one of a wallet's keys (BIP-322: `smp…`, or `ful…` without SegWit).
///
/// # Errors
/// When the key is elsewhere, or the index past 2^31.
pub fn script_signature(
    keys: &WalletKeys,
    keychain: Keychain,
    index: u32,
    message: &str,
) -> Result<String> {
    let script = keys.script(keychain, index)?;
    let (spent, plan) = message_transactions(script, message.as_bytes());
    let coin = Coin { txid: spent, vout: 0, value: 0, keychain, index };
    let signed = sign(&plan, &[coin], keys)?;
    Ok(match keys.form() {
        ScriptForm::Wpkh => format!("smp{}", STANDARD.encode(serialize(&signed.input[0].witness))),
        ScriptForm::Pkh => format!("ful{}", STANDARD.encode(serialize(&signed))),
    })
}

/// BIP-322's two transactions: the id of the one that holds the message, and the one to be signed.
fn message_transactions(script: ScriptBuf, message: &[u8]) -> ([u8; 32], Transaction) {
    let tag = sha256::Hash::hash(b"BIP0322-signed-message");
    let mut engine = sha256::Hash::engine();
    engine.input(tag.as_byte_array());
    engine.input(tag.as_byte_array());
    engine.input(message);
    let hash = sha256::Hash::from_engine(engine).to_byte_array();
    let tx = |previous_output, script_sig, script_pubkey| Transaction {
        version: Version(0),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output,
            script_sig,
            sequence: Sequence::ZERO,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Amount::ZERO, script_pubkey }],
    };
    let says = ScriptBuf::builder().push_int(0).push_slice(hash).into_script();
    let nothing = OutPoint::new(Txid::all_zeros(), u32::MAX);
    let spent = tx(nothing, says, script).compute_txid();
    let returns = ScriptBuf::builder().push_opcode(OP_RETURN).into_script();
    (spent.to_byte_array(), tx(OutPoint::new(spent, 0), ScriptBuf::new(), returns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;
    use gruve_proof::reserves::{Holder, Holding};

    const TEXT: &str = "gruve reserves 1\nof two lines";

    #[test]
    fn what_our_keys_sign_is_what_a_verifier_takes_for_that_script_and_message() {
        let seed = Seed::from_bytes([9; 32]);
        for (asset, form) in [(Asset::Btc, ScriptForm::Wpkh), (Asset::Doge, ScriptForm::Pkh)] {
            let keys = WalletKeys::new(&seed, asset, form, false).unwrap();
            for keychain in Keychain::ALL {
                for index in [0, 1, 77] {
                    let signature = script_signature(&keys, keychain, index, TEXT).unwrap();
                    let of = keys.script(keychain, index).unwrap().into_bytes();
                    let holder = Holder { of, signature, holding: Holding::Coins(Vec::new()) };
                    assert_eq!(holder.check(TEXT), Ok(()), "{asset} {keychain:?} {index}");
                    assert!(holder.check("another").is_err());
                    let of = keys.script(keychain, index + 1).unwrap().into_bytes();
                    assert!(Holder { of, ..holder }.check(TEXT).is_err());
                }
            }
        }
    }

    #[test]
    fn what_an_accounts_key_signs_is_the_accounts() {
        let keys = AccountKeys::new(&Seed::from_bytes([9; 32]), Asset::Etc, false).unwrap();
        for index in 0..8 {
            let signature = account_signature(&keys, Keychain::Capital, index, TEXT).unwrap();
            let of = keys.address(Keychain::Capital, index).unwrap().0.to_vec();
            let holder = Holder { of, signature, holding: Holding::Account(5) };
            assert_eq!(holder.check(TEXT), Ok(()), "{index}");
            assert!(holder.check("another").is_err());
        }
    }
}
