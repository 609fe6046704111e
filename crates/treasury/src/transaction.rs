//! Building and signing transactions.
//!
//! Promises: the same plan always gives the same bytes (inputs and outputs in BIP 69 order,
//! signatures by RFC 6979), so that signing twice after a crash cannot make two payments. It must
//! not know databases or nodes.

use crate::keys::{KeyError, Keychain, ScriptForm, WalletKeys};
use bitcoin::absolute::LockTime;
use bitcoin::hashes::Hash;
use bitcoin::script::PushBytesBuf;
use bitcoin::secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid, Witness};

/// One of our coins, with what is needed to spend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coin {
    /// Transaction that made it, internal byte order.
    pub txid: [u8; 32],
    /// Which of its outputs.
    pub vout: u32,
    /// Minor units.
    pub value: i64,
    /// Whose key.
    pub keychain: Keychain,
    /// Which key.
    pub index: u32,
}

impl Coin {
    pub(crate) fn outpoint(&self) -> OutPoint {
        OutPoint { txid: Txid::from_byte_array(self.txid), vout: self.vout }
    }
}

/// Why a transaction could not be built, read or signed. Each means a bug or damage, not a bad
/// payout: plans are made by this room.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// A value is negative.
    #[error("a negative value in a transaction")]
    NegativeValue,
    /// Stored bytes are no transaction.
    #[error("stored bytes are no transaction")]
    Malformed,
    /// The coins at hand are not the ones the plan spends.
    #[error("the coins at hand are not the ones the plan spends")]
    OtherCoins,
    /// A key could not be derived.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The message could not be made.
    #[error("sighash: {0}")]
    Sighash(String),
}

/// An unsigned transaction over `coins` to `outputs` (script, value).
///
/// Inputs signal replaceability (BIP 125), so that a later fee bump stays possible.
///
/// # Errors
/// When a value is negative.
pub fn build(coins: &[Coin], outputs: &[(Vec<u8>, i64)]) -> Result<Transaction, TransactionError> {
    let mut input: Vec<TxIn> = coins
        .iter()
        .map(|coin| TxIn {
            previous_output: coin.outpoint(),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_RBF_NO_LOCKTIME,
            witness: Witness::new(),
        })
        .collect();
    // BIP 69 sorts by the id as written, that is reversed.
    input.sort_by_key(|i| {
        let mut txid = i.previous_output.txid.to_byte_array();
        txid.reverse();
        (txid, i.previous_output.vout)
    });
    let mut output = Vec::with_capacity(outputs.len());
    for (script, value) in outputs {
        let value = u64::try_from(*value).map_err(|_| TransactionError::NegativeValue)?;
        output.push(TxOut {
            value: Amount::from_sat(value),
            script_pubkey: ScriptBuf::from_bytes(script.clone()),
        });
    }
    output.sort_by(|a, b| {
        (a.value, a.script_pubkey.as_bytes()).cmp(&(b.value, b.script_pubkey.as_bytes()))
    });
    Ok(Transaction { version: Version::TWO, lock_time: LockTime::ZERO, input, output })
}

/// The transaction's bytes.
#[must_use]
pub fn to_bytes(transaction: &Transaction) -> Vec<u8> {
    bitcoin::consensus::serialize(transaction)
}

/// A transaction from stored bytes.
///
/// # Errors
/// When they are none.
pub fn from_bytes(bytes: &[u8]) -> Result<Transaction, TransactionError> {
    bitcoin::consensus::deserialize(bytes).map_err(|_| TransactionError::Malformed)
}

/// Signs every input of `plan`, whose coins are `coins` in any order.
///
/// # Errors
/// When a coin is missing or a key cannot be derived.
pub fn sign(
    plan: &Transaction,
    coins: &[Coin],
    keys: &WalletKeys,
) -> Result<Transaction, TransactionError> {
    if plan.input.len() != coins.len() {
        return Err(TransactionError::OtherCoins);
    }
    let mut signed = plan.clone();
    let mut cache = SighashCache::new(plan);
    for at in 0..plan.input.len() {
        let coin = coin_at(plan, at, coins)?;
        let message = message_at(&mut cache, at, coin, keys)?;
        let (signature, key) = signature(keys, coin, &message)?;
        put_signature(&mut signed.input[at], keys.form(), &signature, &key)?;
    }
    Ok(signed)
}

/// The coin that an input of a plan spends.
pub(crate) fn coin_at<'a>(
    plan: &Transaction,
    at: usize,
    coins: &'a [Coin],
) -> Result<&'a Coin, TransactionError> {
    let spent = plan.input[at].previous_output;
    coins.iter().find(|c| c.outpoint() == spent).ok_or(TransactionError::OtherCoins)
}

/// What is signed for an input of a plan: everything in it (`SIGHASH_ALL`).
pub(crate) fn message_at(
    cache: &mut SighashCache<&Transaction>,
    at: usize,
    coin: &Coin,
    keys: &WalletKeys,
) -> Result<Message, TransactionError> {
    let sighash = |e: &dyn std::fmt::Display| TransactionError::Sighash(e.to_string());
    let script = keys.script(coin.keychain, coin.index)?;
    let digest = match keys.form() {
        ScriptForm::Wpkh => {
            let value = u64::try_from(coin.value).map_err(|_| TransactionError::NegativeValue)?;
            let value = Amount::from_sat(value);
            let hash = cache.p2wpkh_signature_hash(at, &script, value, EcdsaSighashType::All);
            hash.map_err(|e| sighash(&e))?.to_byte_array()
        }
        ScriptForm::Pkh => {
            let hash = cache.legacy_signature_hash(at, &script, EcdsaSighashType::All.to_u32());
            hash.map_err(|e| sighash(&e))?.to_byte_array()
        }
    };
    Ok(Message::from_digest(digest))
}

/// Puts a signature where the chain looks for it.
pub(crate) fn put_signature(
    input: &mut TxIn,
    form: ScriptForm,
    signature: &bitcoin::ecdsa::Signature,
    key: &PublicKey,
) -> Result<(), TransactionError> {
    match form {
        ScriptForm::Wpkh => input.witness = Witness::p2wpkh(signature, key),
        ScriptForm::Pkh => {
            let push = PushBytesBuf::try_from(signature.to_vec())
                .map_err(|e| TransactionError::Sighash(e.to_string()))?;
            let builder = ScriptBuf::builder().push_slice(push);
            input.script_sig = builder.push_key(&bitcoin::PublicKey::new(*key)).into_script();
        }
    }
    Ok(())
}

fn signature(
    keys: &WalletKeys,
    coin: &Coin,
    message: &Message,
) -> Result<(bitcoin::ecdsa::Signature, PublicKey), KeyError> {
    let make = |secp: &Secp256k1<All>, secret: &SecretKey, public: &PublicKey| {
        (secp.sign_ecdsa_low_r(message, secret), *public)
    };
    let (signature, public) = keys.with_secret_key(coin.keychain, coin.index, make)?;
    let sighash_type = EcdsaSighashType::All;
    Ok((bitcoin::ecdsa::Signature { signature, sighash_type }, public))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use bitcoin::secp256k1::ecdsa;
    use gruve_units::Asset;

    fn coins() -> Vec<Coin> {
        (0..5u8)
            .map(|i| Coin {
                txid: [200 - i; 32],
                vout: u32::from(i % 2),
                value: 100_000 + i64::from(i),
                keychain: Keychain::ALL[usize::from(i) % 4],
                index: u32::from(i) * 3,
            })
            .collect()
    }

    /// The digest BIP 143 defines, written out from its text.
    fn bip143_digest(tx: &Transaction, at: usize, script: &[u8], value: i64) -> [u8; 32] {
        let sha256d = |b: &[u8]| bitcoin::hashes::sha256d::Hash::hash(b).to_byte_array();
        let outpoint = |i: &TxIn| {
            [&i.previous_output.txid.to_byte_array()[..], &i.previous_output.vout.to_le_bytes()]
                .concat()
        };
        let prevouts: Vec<u8> = tx.input.iter().flat_map(outpoint).collect();
        let sequences: Vec<u8> = tx.input.iter().flat_map(|i| i.sequence.0.to_le_bytes()).collect();
        let outputs: Vec<u8> = tx.output.iter().flat_map(bitcoin::consensus::serialize).collect();
        let script_code = [&[0x19, 0x76, 0xa9, 0x14], &script[2..22], &[0x88, 0xac]].concat();
        let mut all = Vec::new();
        all.extend(2u32.to_le_bytes());
        all.extend(sha256d(&prevouts));
        all.extend(sha256d(&sequences));
        all.extend(outpoint(&tx.input[at]));
        all.extend(script_code);
        all.extend(value.to_le_bytes());
        all.extend(tx.input[at].sequence.0.to_le_bytes());
        all.extend(sha256d(&outputs));
        all.extend(0u32.to_le_bytes());
        all.extend(1u32.to_le_bytes());
        sha256d(&all)
    }

    #[test]
    fn every_witness_signature_verifies_against_bip143() {
        let keys = WalletKeys::new(&Seed::from_bytes([5; 32]), Asset::Btc, ScriptForm::Wpkh, false)
            .unwrap();
        let coins = coins();
        let plan = build(&coins, &[(vec![0x51], 40_000), (vec![0; 22], 200_000)]).unwrap();
        let signed = sign(&plan, &coins, &keys).unwrap();
        assert_eq!(signed.compute_txid(), plan.compute_txid());
        let secp = Secp256k1::verification_only();
        for (at, input) in signed.input.iter().enumerate() {
            let coin = coins.iter().find(|c| c.outpoint() == input.previous_output).unwrap();
            let script = keys.script(coin.keychain, coin.index).unwrap();
            let public = PublicKey::from_slice(&input.witness[1]).unwrap();
            let hash = bitcoin::PublicKey::new(public).wpubkey_hash().unwrap();
            assert_eq!(script, ScriptBuf::new_p2wpkh(&hash));
            let (kind, der) = input.witness[0].split_last().unwrap();
            assert_eq!(*kind, 1);
            let digest = bip143_digest(&plan, at, script.as_bytes(), coin.value);
            let signature = ecdsa::Signature::from_der(der).unwrap();
            secp.verify_ecdsa(&Message::from_digest(digest), &signature, &public).unwrap();
            let wrong = bip143_digest(&plan, at, script.as_bytes(), coin.value + 1);
            assert!(secp.verify_ecdsa(&Message::from_digest(wrong), &signature, &public).is_err());
        }
    }

    #[test]
    fn every_legacy_signature_verifies() {
        let keys = WalletKeys::new(&Seed::from_bytes([5; 32]), Asset::Doge, ScriptForm::Pkh, false)
            .unwrap();
        let coins = coins();
        let plan = build(&coins, &[(vec![0x51], 40_000)]).unwrap();
        let signed = sign(&plan, &coins, &keys).unwrap();
        let secp = Secp256k1::verification_only();
        for (at, input) in signed.input.iter().enumerate() {
            let coin = coins.iter().find(|c| c.outpoint() == input.previous_output).unwrap();
            let script = keys.script(coin.keychain, coin.index).unwrap();
            let pushes: Vec<Vec<u8>> = input
                .script_sig
                .instructions()
                .map(|i| i.unwrap().push_bytes().unwrap().as_bytes().to_vec())
                .collect();
            let public = PublicKey::from_slice(&pushes[1]).unwrap();
            let hash = bitcoin::PublicKey::new(public).pubkey_hash();
            assert_eq!(script, ScriptBuf::new_p2pkh(&hash));
            // The legacy digest: the transaction with this input's script set, others empty.
            let mut bare = plan.clone();
            bare.input[at].script_sig = script.clone();
            let mut bytes = bitcoin::consensus::serialize(&bare);
            bytes.extend(1u32.to_le_bytes());
            let digest = bitcoin::hashes::sha256d::Hash::hash(&bytes).to_byte_array();
            let signature = ecdsa::Signature::from_der(&pushes[0][..pushes[0].len() - 1]).unwrap();
            secp.verify_ecdsa(&Message::from_digest(digest), &signature, &public).unwrap();
        }
    }

    #[test]
    fn the_same_plan_gives_the_same_bytes_however_it_is_listed() {
        let keys = WalletKeys::new(&Seed::from_bytes([5; 32]), Asset::Btc, ScriptForm::Wpkh, false)
            .unwrap();
        let mut coins = coins();
        let mut outputs = vec![(vec![1; 22], 5), (vec![0; 22], 5), (vec![3; 22], 4)];
        let one = sign(&build(&coins, &outputs).unwrap(), &coins, &keys).unwrap();
        coins.reverse();
        outputs.reverse();
        let two = sign(&build(&coins, &outputs).unwrap(), &coins, &keys).unwrap();
        assert_eq!(to_bytes(&one), to_bytes(&two));
        assert_eq!(from_bytes(&to_bytes(&one)).unwrap(), one);
    }

    #[test]
    fn the_estimated_weight_is_never_below_the_real_one() {
        for (asset, form) in [(Asset::Btc, ScriptForm::Wpkh), (Asset::Doge, ScriptForm::Pkh)] {
            let keys = WalletKeys::new(&Seed::from_bytes([8; 32]), asset, form, false).unwrap();
            let coins = coins();
            let values: Vec<i64> = coins.iter().map(|c| c.value).collect();
            let change = keys.script(Keychain::Change, 0).unwrap();
            let costs = crate::select::Costs {
                rate: crate::select::Rate(4000), // one minor unit a weight unit
                satisfaction_weight: keys.satisfaction_weight_max(),
                segwit: form == ScriptForm::Wpkh,
                change_script_len: change.len(),
                change_min: 546,
            };
            let wish = crate::select::Wish { amount: 450_000, fee_max: 90_000, script_len: 22 };
            let choice = crate::select::choose(&values, &[wish], &costs).unwrap();
            let outputs = [
                (vec![0; 22], wish.amount - choice.shares[0]),
                (change.to_bytes(), choice.change.unwrap()),
            ];
            let used: Vec<Coin> = choice.inputs.iter().map(|&i| coins[i]).collect();
            let signed = sign(&build(&used, &outputs).unwrap(), &used, &keys).unwrap();
            let real = i64::try_from(signed.weight().to_wu()).unwrap();
            assert!(real <= choice.fee && choice.fee <= real + 60, "{real} {}", choice.fee);
        }
    }
}
