//! May this input spend that output? Real signature checks for the two kinds of output the
//! development chain can spend: P2WPKH (BIP 143) and P2PKH. Everything else is refused by name
//! rather than let through. The faults are worded as Core's `ScriptErrorString`.
//!
//! Stricter than consensus in small things (one form of public key in P2WPKH, known hash types,
//! exactly two pushes in P2PKH), never laxer.

use bitcoin::hashes::Hash;
use bitcoin::hashes::hash160;
use bitcoin::script::Instruction;
use bitcoin::secp256k1::{All, Message, Secp256k1};
use bitcoin::sighash::SighashCache;
use bitcoin::{PublicKey, Script, Transaction, TxOut, ecdsa};
use std::borrow::Cow;
use std::sync::LazyLock;

/// Tables for signing and verifying, made once.
pub(crate) static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// Rules for blocks, or the stricter ones for the mempool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// What a block may hold.
    Consensus,
    /// What is relayed: also low S and minimal pushes.
    Relay,
}

/// Why an input may not spend its output.
pub type ScriptFault = Cow<'static, str>;

const EQUALVERIFY: &str = "Script failed an OP_EQUALVERIFY operation";
const BAD_SIGNATURE: &str = "Script evaluated without error but finished with a false/empty top \
                             stack element";
const NOT_NULL: &str = "Signature must be zero for failed CHECK(MULTI)SIG operation";
const BAD_STACK: &str = "Operation not valid with the current stack size";

/// Checks input `index` of `tx`, for which `cache` was made, against the output it spends.
///
/// # Errors
/// What is wrong with the input's scripts, in Core's words.
pub fn verify_input(
    tx: &Transaction,
    cache: &mut SighashCache<&Transaction>,
    index: usize,
    spent: &TxOut,
    strictness: Strictness,
    segwit: bool,
) -> Result<(), ScriptFault> {
    let Some(input) = tx.input.get(index) else { return Err("no such input".into()) };
    let script = spent.script_pubkey.as_script();
    if segwit && script.is_p2wpkh() {
        if !input.script_sig.is_empty() {
            return Err("Witness requires empty scriptSig".into());
        }
        let (Some(signature), Some(key), 2) =
            (input.witness.nth(0), input.witness.nth(1), input.witness.len())
        else {
            return Err("Witness program hash mismatch".into());
        };
        if key.len() != 33 {
            return Err("Using non-compressed keys in segwit".into());
        }
        let signature = read_signature(signature, strictness)?;
        let key = read_key(key, &script.as_bytes()[2..22])?;
        let hash = cache
            .p2wpkh_signature_hash(index, script, spent.value, signature.sighash_type)
            .map_err(|e| ScriptFault::from(e.to_string()))?;
        verify(Message::from_digest(hash.to_byte_array()), &signature, &key, strictness)
    } else if script.is_p2pkh() {
        if !input.witness.is_empty() {
            return Err("Witness provided for non-witness script".into());
        }
        let [signature, key] = two_pushes(&input.script_sig, strictness)?;
        let signature = read_signature(signature, strictness)?;
        let key = read_key(key, &script.as_bytes()[3..23])?;
        let hash = cache
            .legacy_signature_hash(index, script, signature.sighash_type.to_u32())
            .map_err(|e| ScriptFault::from(e.to_string()))?;
        verify(Message::from_digest(hash.to_byte_array()), &signature, &key, strictness)
    } else {
        Err("this development chain spends only P2WPKH and P2PKH outputs".into())
    }
}

fn two_pushes(script_sig: &Script, strictness: Strictness) -> Result<[&[u8]; 2], ScriptFault> {
    let mut pushes = [&[][..]; 2];
    let mut count = 0;
    let minimal = strictness == Strictness::Relay;
    let instructions =
        if minimal { script_sig.instructions_minimal() } else { script_sig.instructions() };
    for instruction in instructions {
        let Ok(Instruction::PushBytes(push)) = instruction else {
            return Err("Only push operators allowed in signatures".into());
        };
        let Some(place) = pushes.get_mut(count) else {
            return Err("Stack size must be exactly one after execution".into());
        };
        *place = push.as_bytes();
        count += 1;
    }
    if count == 2 { Ok(pushes) } else { Err(BAD_STACK.into()) }
}

fn read_signature(bytes: &[u8], strictness: Strictness) -> Result<ecdsa::Signature, ScriptFault> {
    if bytes.is_empty() {
        return Err(BAD_SIGNATURE.into());
    }
    let mut signature = ecdsa::Signature::from_slice(bytes).map_err(|e| match e {
        ecdsa::Error::SighashType(_) => "Signature hash type missing or not understood",
        _ => "Non-canonical DER signature",
    })?;
    let given = signature.signature;
    signature.signature.normalize_s();
    if strictness == Strictness::Relay && signature.signature != given {
        return Err("Non-canonical signature: S value is unnecessarily high".into());
    }
    Ok(signature)
}

fn read_key(bytes: &[u8], expected_hash: &[u8]) -> Result<PublicKey, ScriptFault> {
    if hash160::Hash::hash(bytes).as_byte_array() != expected_hash {
        return Err(EQUALVERIFY.into());
    }
    PublicKey::from_slice(bytes)
        .map_err(|_| "Public key is neither compressed or uncompressed".into())
}

fn verify(
    message: Message,
    signature: &ecdsa::Signature,
    key: &PublicKey,
    strictness: Strictness,
) -> Result<(), ScriptFault> {
    CURVE.verify_ecdsa(&message, &signature.signature, &key.inner).map_err(|_| match strictness {
        Strictness::Relay => NOT_NULL.into(),
        Strictness::Consensus => BAD_SIGNATURE.into(),
    })
}
