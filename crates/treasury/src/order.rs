//! What is asked of a signer elsewhere, and what it gives back: PSBTs (BIP 174), without any I/O.
//!
//! | side | does |
//! |---|---|
//! | the house | [`request`]: the planned transaction, what its inputs spend, whose keys; [`accept`]: takes signatures |
//! | the signer | [`read`]: what a request would do; [`answer`]: signs it |
//!
//! Promises: of an answer nothing is taken but signatures, each checked against the house's own plan, coin and key, so
//! that whatever else was changed in it changes nothing. The signer believes nothing but its keys and the previous
//! transactions, whose ids are hashes: values, and so the fee, cannot be lied about (`non_witness_utxo`, also for
//! SegWit inputs), and an output counts as the wallet's own only where the signer's keys make its script.
//! It must not know databases, nodes or files.

use crate::keys::{KeyError, Keychain, ScriptForm, WalletKeys};
use crate::select::Rate;
use crate::transaction::{self, Coin, TransactionError, coin_at, message_at, put_signature};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::absolute::LockTime;
use bitcoin::bip32::KeySource;
use bitcoin::ecdsa::Signature;
use bitcoin::hashes::Hash as _;
use bitcoin::psbt::Psbt;
use bitcoin::secp256k1::PublicKey;
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::transaction::Version;
use bitcoin::{ScriptBuf, Sequence, Transaction, TxOut, Txid};
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a PSBT at most: 200 inputs, each with a previous transaction as large as nodes relay.
pub const PSBT_BYTES_MAX: usize = 24 << 20;

/// The highest number of a change address that the signer takes for its wallet's own: a hundred transactions a day for
/// 27 years. Coins sent back to a number of a thousand millions would be as good as gone, for nobody looks for them
/// there, and whoever has broken into the house could sell the number.
pub const CHANGE_INDEX_MAX: u32 = 1_000_000;

/// What is wrong with a request or an answer.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// Not a PSBT.
    #[error("it is no PSBT: {0}")]
    Unreadable(String),
    /// An answer to something else.
    #[error("it signs another transaction than the one that was ordered")]
    Another,
    /// An input without a signature of its key.
    #[error("input {0} is not signed")]
    Unsigned(usize),
    /// A signature that is not one.
    #[error("the signature of input {0} is not right")]
    BadSignature(usize),
    /// A signature over less than everything.
    #[error("the signature of input {0} leaves parts of the transaction open")]
    Open(usize),
    /// A request that is not to be signed.
    #[error("not signed: {0}")]
    Refused(String),
    /// The plan itself.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The keys.
    #[error(transparent)]
    Key(#[from] KeyError),
}

fn refused(why: impl Into<String>) -> OrderError {
    OrderError::Refused(why.into())
}

/// A request: `plan` spends `coins`, made by the transactions `previous`; `returns` says which of its outputs come back
/// to which change address.
///
/// # Errors
/// When a coin or its transaction is missing.
pub fn request(
    plan: &Transaction,
    coins: &[Coin],
    previous: &BTreeMap<[u8; 32], Transaction>,
    returns: &[(usize, u32)],
    keys: &WalletKeys,
) -> Result<Vec<u8>, OrderError> {
    let psbt = Psbt::from_unsigned_tx(plan.clone());
    let mut psbt = psbt.map_err(|e| OrderError::Unreadable(e.to_string()))?;
    for at in 0..plan.input.len() {
        let coin = coin_at(plan, at, coins)?;
        let made_by = previous.get(&coin.txid).ok_or(TransactionError::OtherCoins)?;
        let spent = spent_of(made_by, &coin.txid, coin.vout).ok_or(TransactionError::OtherCoins)?;
        let script = keys.script(coin.keychain, coin.index)?;
        if spent.script_pubkey != script
            || Some(spent.value.to_sat()) != u64::try_from(coin.value).ok()
        {
            return Err(TransactionError::OtherCoins.into());
        }
        let input = &mut psbt.inputs[at];
        if keys.form() == ScriptForm::Wpkh {
            input.witness_utxo = Some(spent.clone());
        }
        input.non_witness_utxo = Some(made_by.clone());
        input.sighash_type = Some(EcdsaSighashType::All.into());
        let (key, source) = key_at(keys, coin.keychain, coin.index)?;
        input.bip32_derivation.insert(key, source);
    }
    for &(at, index) in returns {
        let (key, source) = key_at(keys, Keychain::Change, index)?;
        let output = psbt.outputs.get_mut(at).ok_or(TransactionError::Malformed)?;
        output.bip32_derivation.insert(key, source);
    }
    Ok(psbt.serialize())
}

fn key_at(
    keys: &WalletKeys,
    keychain: Keychain,
    index: u32,
) -> Result<(PublicKey, KeySource), KeyError> {
    Ok((keys.public_key(keychain, index)?, keys.source(keychain, index)?))
}

/// The output of a transaction that has this id.
fn spent_of<'a>(made_by: &'a Transaction, txid: &[u8; 32], vout: u32) -> Option<&'a TxOut> {
    let is_it = made_by.compute_txid().to_byte_array() == *txid;
    usize::try_from(vout).ok().filter(|_| is_it).and_then(|at| made_by.output.get(at))
}

/// A PSBT as bytes or as Base64.
fn parse(bytes: &[u8]) -> Result<Psbt, OrderError> {
    let said = |e: &dyn std::fmt::Display| OrderError::Unreadable(e.to_string());
    if bytes.len() > PSBT_BYTES_MAX {
        return Err(OrderError::Unreadable("it is too large".to_owned()));
    }
    if bytes.starts_with(b"psbt\xff") {
        return Psbt::deserialize(bytes).map_err(|e| said(&e));
    }
    let text: Vec<u8> = bytes.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
    Psbt::deserialize(&STANDARD.decode(text).map_err(|e| said(&e))?).map_err(|e| said(&e))
}

/// The signed transaction of an answer: the house's own plan with the answer's signatures, each of them checked.
///
/// # Errors
/// What is wrong with the answer.
pub fn accept(
    plan: &Transaction,
    coins: &[Coin],
    keys: &WalletKeys,
    answer: &[u8],
) -> Result<Transaction, OrderError> {
    let psbt = parse(answer)?;
    if psbt.unsigned_tx != *plan {
        return Err(OrderError::Another);
    }
    let mut signed = plan.clone();
    let mut cache = SighashCache::new(plan);
    for at in 0..plan.input.len() {
        let coin = coin_at(plan, at, coins)?;
        let key = keys.public_key(coin.keychain, coin.index)?;
        let signature = signature_in(&psbt, at, &key).ok_or(OrderError::Unsigned(at))?;
        if signature.sighash_type != EcdsaSighashType::All {
            return Err(OrderError::Open(at));
        }
        let message = message_at(&mut cache, at, coin, keys)?;
        // The library takes the lower of the two forms of a signature only, as nodes do.
        let is_right = keys.secp().verify_ecdsa(&message, &signature.signature, &key);
        is_right.map_err(|_| OrderError::BadSignature(at))?;
        put_signature(&mut signed.input[at], keys.form(), &signature, &key)?;
    }
    Ok(signed)
}

/// The signature of a key, from where signers leave it: among others, or in the finished input.
fn signature_in(psbt: &Psbt, at: usize, key: &PublicKey) -> Option<Signature> {
    let input = psbt.inputs.get(at)?;
    if let Some(signature) = input.partial_sigs.get(&bitcoin::PublicKey::new(*key)) {
        return Some(*signature);
    }
    let (signature, by) = match (&input.final_script_witness, &input.final_script_sig) {
        (Some(witness), _) if witness.len() == 2 => {
            (witness.nth(0)?.to_vec(), witness.nth(1)?.to_vec())
        }
        (None, Some(script)) => {
            let mut pushes = script
                .instructions()
                .map(|i| i.ok().and_then(|i| i.push_bytes().map(|b| b.as_bytes().to_vec())));
            (pushes.next()??, pushes.next()??)
        }
        _ => return None,
    };
    let is_by_key = by == key.serialize();
    Signature::from_slice(&signature).ok().filter(|_| is_by_key)
}

/// What a request would do, as the signer finds it out for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its id before it is signed, internal byte order.
    pub id: [u8; 32],
    /// What it pays to others: scripts and minor units.
    pub payments: Vec<(Vec<u8>, i64)>,
    /// What it spends of the wallet's.
    pub spent: i64,
    /// How many coins that is.
    pub inputs: usize,
    /// What returns to the wallet.
    pub change: i64,
    /// What the network gets.
    pub fee: i64,
    /// The same for a thousand virtual bytes, once it is signed; rounded up.
    pub rate: Rate,
}

impl Shown {
    /// What leaves the wallet: payments and fee.
    #[must_use]
    pub fn leaves(&self) -> i64 {
        self.spent.saturating_sub(self.change)
    }
}

/// Reads a request with the signer's own keys.
///
/// # Errors
/// [`OrderError::Refused`] where it is not to be signed whatever the limits are.
pub fn read(request: &[u8], keys: &WalletKeys) -> Result<Shown, OrderError> {
    take_apart(&parse(request)?, keys).map(|(shown, _)| shown)
}

/// Signs a request: the same PSBT, finished.
///
/// # Errors
/// As [`read`]; when the keys are elsewhere.
pub fn answer(request: &[u8], keys: &WalletKeys) -> Result<Vec<u8>, OrderError> {
    let mut psbt = parse(request)?;
    let (_, coins) = take_apart(&psbt, keys)?;
    let signed = transaction::sign(&psbt.unsigned_tx, &coins, keys)?;
    for (input, signed) in psbt.inputs.iter_mut().zip(signed.input) {
        input.partial_sigs.clear();
        input.final_script_witness = (!signed.witness.is_empty()).then_some(signed.witness);
        input.final_script_sig = (!signed.script_sig.is_empty()).then_some(signed.script_sig);
    }
    Ok(psbt.serialize())
}

fn minor(value: bitcoin::Amount) -> Result<i64, OrderError> {
    i64::try_from(value.to_sat()).map_err(|_| refused("a value is above what there can be"))
}

fn take_apart(psbt: &Psbt, keys: &WalletKeys) -> Result<(Shown, Vec<Coin>), OrderError> {
    let plan = &psbt.unsigned_tx;
    if plan.version != Version::TWO || plan.lock_time != LockTime::ZERO {
        return Err(refused("it has another version or a lock time"));
    }
    let (mut coins, mut seen) = (Vec::new(), BTreeSet::<(Txid, u32)>::new());
    let (mut spent, mut change, mut paid) = (0_i64, 0_i64, 0_i64);
    let sum =
        |a: i64, b: i64| a.checked_add(b).ok_or_else(|| refused("it moves more than there is"));
    for (input, facts) in plan.input.iter().zip(&psbt.inputs) {
        let point = input.previous_output;
        if !seen.insert((point.txid, point.vout))
            || input.sequence != Sequence::ENABLE_RBF_NO_LOCKTIME
        {
            return Err(refused("an input stands twice in it, or waits for a time"));
        }
        if facts.sighash_type.is_some_and(|t| t != EcdsaSighashType::All.into()) {
            return Err(refused("a signature is asked for that leaves parts open"));
        }
        let made_by = facts.non_witness_utxo.as_ref();
        let made_by = made_by.ok_or_else(|| refused("a coin comes without its transaction"))?;
        let txid = point.txid.to_byte_array();
        let coin = spent_of(made_by, &txid, point.vout)
            .ok_or_else(|| refused("a coin comes with another's transaction"))?;
        if facts.witness_utxo.as_ref().is_some_and(|said| said != coin) {
            return Err(refused("a coin is said to be worth something else than it is"));
        }
        let place = own_place(&facts.bip32_derivation, &coin.script_pubkey, keys)?;
        let (keychain, index) = place.ok_or_else(|| refused("a coin is not this wallet's"))?;
        let value = minor(coin.value)?;
        spent = sum(spent, value)?;
        coins.push(Coin { txid, vout: point.vout, value, keychain, index });
    }
    let mut payments = Vec::new();
    for (output, facts) in plan.output.iter().zip(&psbt.outputs) {
        let value = minor(output.value)?;
        match own_place(&facts.bip32_derivation, &output.script_pubkey, keys)? {
            Some((Keychain::Change, index)) if index > CHANGE_INDEX_MAX => {
                return Err(refused(format!("its change goes to address {index} of the wallet")));
            }
            Some((Keychain::Change, _)) => change = sum(change, value)?,
            _ => {
                paid = sum(paid, value)?;
                payments.push((output.script_pubkey.to_bytes(), value));
            }
        }
    }
    let fee =
        spent - change.checked_add(paid).ok_or_else(|| refused("it pays more than there is"))?;
    if fee < 0 || coins.is_empty() {
        return Err(refused("it pays more than it spends"));
    }
    let satisfied = keys.satisfaction_weight_max() * coins.len() as u64 + 2;
    let size = i64::try_from((plan.weight().to_wu() + satisfied).div_ceil(4)).unwrap_or(i64::MAX);
    let rate = Rate(fee.saturating_mul(1_000).saturating_add(size - 1) / size.max(1));
    let id = plan.compute_txid().to_byte_array();
    Ok((Shown { id, payments, spent, inputs: coins.len(), change, fee, rate }, coins))
}

/// Which of the wallet's addresses a script is, by what is said of its key.
fn own_place(
    said: &BTreeMap<PublicKey, KeySource>,
    script: &ScriptBuf,
    keys: &WalletKeys,
) -> Result<Option<(Keychain, u32)>, OrderError> {
    for source in said.values() {
        if let Some((keychain, index)) = keys.place_of(source)
            && keys.script(keychain, index)? == *script
        {
            return Ok(Some((keychain, index)));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;
    use bitcoin::{Amount, OutPoint, TxIn};
    use gruve_units::Asset;

    struct Case {
        keys: WalletKeys,
        watching: WalletKeys,
        plan: Transaction,
        coins: Vec<Coin>,
        previous: BTreeMap<[u8; 32], Transaction>,
        psbt: Vec<u8>,
    }

    fn case(form: ScriptForm) -> Case {
        let asset = if form == ScriptForm::Wpkh { Asset::Btc } else { Asset::Doge };
        let keys = WalletKeys::new(&Seed::from_bytes([5; 32]), asset, form, false).unwrap();
        let watching = WalletKeys::watching(&keys.account_key(), form, false).unwrap();
        let (mut coins, mut previous) = (Vec::new(), BTreeMap::new());
        for index in 0..3_u32 {
            let keychain = Keychain::ALL[index as usize];
            let value = 100_000 + u64::from(index);
            let made_by = Transaction {
                version: Version::ONE,
                lock_time: LockTime::ZERO,
                input: vec![TxIn {
                    previous_output: OutPoint::new(Txid::from_byte_array([7; 32]), index),
                    ..TxIn::default()
                }],
                output: vec![
                    TxOut { value: Amount::from_sat(5), script_pubkey: ScriptBuf::new() },
                    TxOut {
                        value: Amount::from_sat(value),
                        script_pubkey: keys.script(keychain, index).unwrap(),
                    },
                ],
            };
            let txid = made_by.compute_txid().to_byte_array();
            let value = i64::try_from(value).unwrap();
            coins.push(Coin { txid, vout: 1, value, keychain, index });
            previous.insert(txid, made_by);
        }
        let change = keys.script(Keychain::Change, 9).unwrap().into_bytes();
        let outputs = [(vec![0x51; 22], 200_000), (change.clone(), 90_000)];
        let plan = transaction::build(&coins, &outputs).unwrap();
        let at = plan.output.iter().position(|o| o.script_pubkey.as_bytes() == change).unwrap();
        let psbt = request(&plan, &coins, &previous, &[(at, 9)], &watching).unwrap();
        Case { keys, watching, plan, coins, previous, psbt }
    }

    fn changed(psbt: &[u8], change: impl FnOnce(&mut Psbt)) -> Vec<u8> {
        let mut psbt = Psbt::deserialize(psbt).unwrap();
        change(&mut psbt);
        psbt.serialize()
    }

    #[test]
    fn what_is_ordered_is_shown_signed_and_accepted() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let c = case(form);
            let shown = read(&c.psbt, &c.keys).unwrap();
            assert_eq!(shown.payments, [(vec![0x51; 22], 200_000)]);
            assert_eq!((shown.spent, shown.change, shown.fee), (300_003, 90_000, 10_003));
            assert_eq!(shown.leaves(), 210_003);
            let signed = answer(&c.psbt, &c.keys).unwrap();
            let direct = transaction::sign(&c.plan, &c.coins, &c.keys).unwrap();
            assert_eq!(accept(&c.plan, &c.coins, &c.watching, &signed).unwrap(), direct);
            let text = STANDARD.encode(&signed);
            assert_eq!(accept(&c.plan, &c.coins, &c.watching, text.as_bytes()).unwrap(), direct);
            // As other signers leave it: signatures beside, nothing finished.
            let beside = changed(&signed, |p| {
                for (at, coin) in
                    (0..p.inputs.len()).map(|at| (at, *coin_at(&c.plan, at, &c.coins).unwrap()))
                {
                    let key = c.keys.public_key(coin.keychain, coin.index).unwrap();
                    let signature = signature_in(p, at, &key).unwrap();
                    p.inputs[at].final_script_witness = None;
                    p.inputs[at].final_script_sig = None;
                    p.inputs[at].partial_sigs.insert(bitcoin::PublicKey::new(key), signature);
                }
            });
            assert_eq!(accept(&c.plan, &c.coins, &c.watching, &beside).unwrap(), direct);
            // The fee that is shown is the fee that is paid, and its rate is not below the real one.
            let size = i64::try_from(direct.vsize()).unwrap();
            assert!(shown.rate.0 <= 10_003 * 1000 / size && shown.rate.0 > 10_003 * 900 / size);
        }
    }

    #[test]
    fn an_answer_to_anything_else_is_not_accepted() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let c = case(form);
            let signed = answer(&c.psbt, &c.keys).unwrap();
            let take = |bytes: &[u8]| accept(&c.plan, &c.coins, &c.watching, bytes).unwrap_err();
            assert!(matches!(take(b"junk"), OrderError::Unreadable(_)));
            assert!(matches!(take(&c.psbt), OrderError::Unsigned(0)));
            let changes: [fn(&mut Psbt); 5] = [
                |p| p.unsigned_tx.output[0].value = Amount::from_sat(1),
                |p| p.unsigned_tx.output[0].script_pubkey = ScriptBuf::from_bytes(vec![0x52; 22]),
                |p| p.unsigned_tx.input[0].sequence = Sequence::MAX,
                |p| p.unsigned_tx.lock_time = LockTime::from_consensus(1),
                |p| p.unsigned_tx.version = Version::ONE,
            ];
            for change in changes {
                assert!(matches!(take(&changed(&signed, change)), OrderError::Another));
            }
            // One input's signature in place of another's.
            let swapped = changed(&signed, |p| {
                let other = p.inputs[1].clone();
                p.inputs[0].final_script_witness = other.final_script_witness;
                p.inputs[0].final_script_sig = other.final_script_sig;
            });
            assert!(matches!(take(&swapped), OrderError::Unsigned(0)));
            // A right key with the signature of another transaction.
            let mut other_plan = c.plan.clone();
            other_plan.output[0].value = Amount::from_sat(1_000);
            let other = transaction::sign(&other_plan, &c.coins, &c.keys).unwrap();
            let forged = changed(&signed, |p| {
                let input = other.input[0].clone();
                let (w, s) = (input.witness, input.script_sig);
                p.inputs[0].final_script_witness = (!w.is_empty()).then_some(w);
                p.inputs[0].final_script_sig = (!s.is_empty()).then_some(s);
            });
            assert!(matches!(take(&forged), OrderError::BadSignature(0)));
            // A signature that leaves the outputs open.
            let open = changed(&signed, |p| {
                let coin = *coin_at(&c.plan, 0, &c.coins).unwrap();
                let key = c.keys.public_key(coin.keychain, coin.index).unwrap();
                let mut signature = signature_in(p, 0, &key).unwrap();
                signature.sighash_type = EcdsaSighashType::None;
                p.inputs[0].partial_sigs.insert(bitcoin::PublicKey::new(key), signature);
            });
            assert!(matches!(take(&open), OrderError::Open(0)));
        }
    }

    #[test]
    fn a_signer_is_not_lied_to() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let c = case(form);
            let refuses = |bytes: &[u8], why: &str| {
                let told = answer(bytes, &c.keys).unwrap_err();
                assert!(matches!(told, OrderError::Refused(_)), "{why}: {told}");
            };
            // The fee: a previous transaction that makes a coin smaller has another id.
            let smaller = changed(&c.psbt, |p| {
                let made_by = p.inputs[0].non_witness_utxo.as_mut().unwrap();
                made_by.output[1].value = Amount::from_sat(50);
                p.inputs[0].witness_utxo = None;
            });
            refuses(&smaller, "another's transaction");
            refuses(&changed(&c.psbt, |p| p.inputs[0].non_witness_utxo = None), "none");
            let said = changed(&c.psbt, |p| {
                let script_pubkey = ScriptBuf::new();
                p.inputs[0].witness_utxo =
                    Some(TxOut { value: Amount::from_sat(1), script_pubkey });
            });
            refuses(&said, "two values");
            refuses(&changed(&c.psbt, |p| p.inputs[0].bip32_derivation.clear()), "not ours");
            let open = EcdsaSighashType::None;
            refuses(&changed(&c.psbt, |p| p.inputs[0].sighash_type = Some(open.into())), "open");
            let twice = changed(&c.psbt, |p| {
                p.unsigned_tx.input[1] = p.unsigned_tx.input[0].clone();
                p.inputs[1] = p.inputs[0].clone();
            });
            refuses(&twice, "twice");
            for change in [
                (|p| p.unsigned_tx.lock_time = LockTime::from_consensus(1)) as fn(&mut Psbt),
                |p| p.unsigned_tx.version = Version::ONE,
                |p| p.unsigned_tx.input[0].sequence = Sequence::MAX,
            ] {
                refuses(&changed(&c.psbt, change), "not a form of the house's");
            }
            let more = |p: &mut Psbt| p.unsigned_tx.output[0].value = Amount::from_sat(10_000_000);
            refuses(&changed(&c.psbt, more), "more than it spends");
            let large = answer(&vec![b' '; PSBT_BYTES_MAX + 1], &c.keys);
            assert!(matches!(large, Err(OrderError::Unreadable(why)) if why == "it is too large"));
            // A stranger's output said to be change counts as what it is: a payment.
            let stolen = changed(&c.psbt, |p| {
                let own = p.outputs.iter().find(|o| !o.bip32_derivation.is_empty()).unwrap();
                let said = own.bip32_derivation.clone();
                p.outputs.iter_mut().for_each(|o| o.bip32_derivation = said.clone());
            });
            let shown = read(&stolen, &c.keys).unwrap();
            assert_eq!((shown.change, shown.payments.len()), (90_000, 1));
            // Another signer's keys find nothing of theirs in it.
            let seed = Seed::from_bytes([6; 32]);
            let asset = if form == ScriptForm::Wpkh { Asset::Btc } else { Asset::Doge };
            let other = WalletKeys::new(&seed, asset, form, false).unwrap();
            assert!(read(&c.psbt, &other).is_err());
            assert!(answer(&c.psbt, &c.watching).is_err(), "without secrets");
            assert_eq!(c.previous.len(), 3);
        }
    }

    #[test]
    fn a_coin_that_is_worth_something_else_than_the_tables_say_is_not_ordered() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let c = case(form);
            for at in 0..c.coins.len() {
                let mut coins = c.coins.clone();
                coins[at].value += 1;
                let told = request(&c.plan, &coins, &c.previous, &[], &c.watching);
                assert!(told.is_err(), "{at}");
                let mut coins = c.coins.clone();
                coins[at].index += 1;
                let told = request(&c.plan, &coins, &c.previous, &[], &c.watching);
                assert!(told.is_err(), "another address {at}");
            }
        }
    }

    /// Known from wallets in hardware: nothing leaves, and only the thief knows where it is.
    #[test]
    fn change_to_an_address_that_nobody_would_look_for_is_refused() {
        for form in [ScriptForm::Wpkh, ScriptForm::Pkh] {
            let c = case(form);
            let far = [CHANGE_INDEX_MAX + 1, (1 << 31) - 1].map(|index| (index, true));
            for (index, is_refused) in [(CHANGE_INDEX_MAX, false)].into_iter().chain(far) {
                let change = c.keys.script(Keychain::Change, index).unwrap().into_bytes();
                let outputs = [(vec![0x51; 22], 200_000), (change.clone(), 90_000)];
                let plan = transaction::build(&c.coins, &outputs).unwrap();
                let is_change = |o: &TxOut| o.script_pubkey.as_bytes() == change;
                let at = plan.output.iter().position(is_change).unwrap();
                let psbt = request(&plan, &c.coins, &c.previous, &[(at, index)], &c.watching);
                let told = answer(&psbt.unwrap(), &c.keys);
                assert_eq!(matches!(told, Err(OrderError::Refused(_))), is_refused, "{index}");
            }
        }
    }
}
