//! BIP-322: a message signed by whoever could spend an output's script.
//!
//! Two transactions that no chain takes stand for the message: `to_spend` pays nothing to the script and holds the
//! message's hash, `to_sign` spends it as the script demands. What is understood: `pkh`, `wpkh` (also inside `sh`),
//! the key path of `tr`, and `wsh` of plain multisig; everything else is [`Bip322Error::Inconclusive`], as the BIP
//! says of a reader without a script interpreter. Signatures may begin with `smp` or `ful`, as newer texts of the BIP
//! write them, or with neither.
//!
//! Pure. Must not know addresses of any coin: scripts are what is signed for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bitcoin::absolute::LockTime;
use bitcoin::consensus::encode::deserialize;
use bitcoin::hashes::{Hash as _, HashEngine as _, sha256};
use bitcoin::opcodes::all::{OP_CHECKMULTISIG, OP_PUSHNUM_1, OP_PUSHNUM_16, OP_RETURN};
use bitcoin::script::{Builder, Instruction, PushBytesBuf};
use bitcoin::secp256k1::{Message, Secp256k1, VerifyOnly};
use bitcoin::sighash::{EcdsaSighashType, Prevouts, SighashCache, TapSighashType};
use bitcoin::transaction::Version;
use bitcoin::{
    Amount, OutPoint, PublicKey, Script, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Txid,
    Witness, XOnlyPublicKey, ecdsa, taproot,
};

/// Characters of a signature at most: fifteen keys of a multisig with their signatures.
pub const SIGNATURE_CHARS_MAX: usize = 8_192;

/// Why a signature is not good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Bip322Error {
    /// Not of one of the forms.
    #[error("not a BIP-322 signature: {0}")]
    Malformed(&'static str),
    /// It is another script's or another message's.
    #[error("not this script's signature of this message")]
    Invalid,
    /// The script is one that this reader does not understand.
    #[error("the script is of a kind that cannot be checked here")]
    Inconclusive,
}

/// A good signature's conditions: zeros unless its signer set them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The lock time of `to_sign`.
    pub lock_time: u32,
    /// The sequence number of its first input.
    pub sequence: u32,
}

/// The tagged hash of a message.
#[must_use]
pub fn message_hash(message: &[u8]) -> [u8; 32] {
    let tag = sha256::Hash::hash(b"BIP0322-signed-message").to_byte_array();
    let mut engine = sha256::Hash::engine();
    for part in [&tag[..], &tag, message] {
        engine.input(part);
    }
    sha256::Hash::from_engine(engine).to_byte_array()
}

/// The transaction that holds the message.
#[must_use]
pub fn to_spend(script: &Script, message: &[u8]) -> Transaction {
    let script_sig = Builder::new().push_int(0).push_slice(message_hash(message)).into_script();
    Transaction {
        version: Version(0),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(Txid::all_zeros(), u32::MAX),
            script_sig,
            sequence: Sequence::ZERO,
            witness: Witness::new(),
        }],
        output: vec![TxOut { value: Amount::ZERO, script_pubkey: script.to_owned() }],
    }
}

/// The transaction that is to be signed, without its signature.
#[must_use]
pub fn to_sign(script: &Script, message: &[u8]) -> Transaction {
    Transaction {
        version: Version(0),
        lock_time: LockTime::ZERO,
        input: vec![TxIn {
            previous_output: OutPoint::new(to_spend(script, message).compute_txid(), 0),
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ZERO,
            witness: Witness::new(),
        }],
        output: vec![TxOut {
            value: Amount::ZERO,
            script_pubkey: Builder::new().push_opcode(OP_RETURN).into_script(),
        }],
    }
}

/// Checks a signature in base64.
///
/// # Errors
/// [`Bip322Error`].
pub fn verify(script: &Script, message: &[u8], signature: &str) -> Result<Signed, Bip322Error> {
    let signed = read(script, message, signature)?;
    let expected = to_sign(script, message);
    let input = match signed.input.as_slice() {
        [one] => one,
        // Further inputs are a proof of funds: outputs that this reader cannot look up.
        _ => return Err(Bip322Error::Inconclusive),
    };
    if input.previous_output != expected.input[0].previous_output {
        return Err(Bip322Error::Invalid);
    }
    if signed.output != expected.output {
        return Err(Bip322Error::Malformed("it has other outputs than an empty one"));
    }
    if !matches!(signed.version, Version(0 | 2)) {
        return Err(Bip322Error::Inconclusive);
    }
    Check { tx: &signed, script, secp: Secp256k1::verification_only() }.input()?;
    Ok(Signed {
        lock_time: signed.lock_time.to_consensus_u32(),
        sequence: input.sequence.to_consensus_u32(),
    })
}

/// `to_sign` with its signature, from the text of any form.
fn read(script: &Script, message: &[u8], text: &str) -> Result<Transaction, Bip322Error> {
    use Bip322Error::Malformed;
    if text.len() > SIGNATURE_CHARS_MAX {
        return Err(Malformed("too long"));
    }
    let decoded = |text: &str| STANDARD.decode(text).map_err(|_| Malformed("not base64"));
    let simple = |bytes: &[u8]| -> Result<Transaction, Bip322Error> {
        let witness: Witness = deserialize(bytes).map_err(|_| Malformed("no witness stack"))?;
        let mut tx = to_sign(script, message);
        if script.is_p2sh() {
            tx.input[0].script_sig = wrapped(&witness).ok_or(Bip322Error::Invalid)?;
        }
        tx.input[0].witness = witness;
        Ok(tx)
    };
    let full = |bytes: &[u8]| deserialize(bytes).map_err(|_| Malformed("no transaction"));
    if let Some(rest) = text.strip_prefix("smp") {
        simple(&decoded(rest)?)
    } else if let Some(rest) = text.strip_prefix("ful") {
        full(&decoded(rest)?)
    } else if text.starts_with("pof") {
        Err(Bip322Error::Inconclusive)
    } else {
        let bytes = decoded(text)?;
        if bytes.is_empty() {
            return Err(Malformed("empty"));
        }
        full(&bytes).or_else(|_| simple(&bytes))
    }
}

/// What a simple signature's script must be when it stands for `sh(wpkh(…))`: its key is in the witness.
fn wrapped(witness: &Witness) -> Option<ScriptBuf> {
    let key = PublicKey::from_slice(witness.nth(1)?).ok()?;
    let redeem = ScriptBuf::new_p2wpkh(&key.wpubkey_hash().ok()?);
    let push = PushBytesBuf::try_from(redeem.into_bytes()).ok()?;
    Some(Builder::new().push_slice(push).into_script())
}

struct Check<'a> {
    tx: &'a Transaction,
    script: &'a Script,
    secp: Secp256k1<VerifyOnly>,
}

impl Check<'_> {
    fn input(&self) -> Result<(), Bip322Error> {
        let input = &self.tx.input[0];
        let witness: Vec<&[u8]> = input.witness.iter().collect();
        if self.script.is_p2pkh() {
            return if witness.is_empty() { self.pkh(&input.script_sig) } else { invalid() };
        }
        if self.script.is_p2sh() {
            let redeem = single_push(&input.script_sig).ok_or(Bip322Error::Invalid)?;
            if redeem.to_p2sh() != *self.script {
                return invalid();
            }
            return match redeem.is_p2wpkh() {
                true => self.wpkh(&redeem, &witness),
                false => Err(Bip322Error::Inconclusive),
            };
        }
        if !input.script_sig.is_empty() {
            return invalid();
        }
        if self.script.is_p2wpkh() {
            self.wpkh(self.script, &witness)
        } else if self.script.is_p2wsh() {
            self.wsh(&witness)
        } else if self.script.is_p2tr() {
            self.tr(&witness)
        } else {
            Err(Bip322Error::Inconclusive)
        }
    }

    fn ecdsa(&self, hash: [u8; 32], signature: &[u8], key: &PublicKey) -> Result<(), Bip322Error> {
        let own = ecdsa::Signature::from_slice(signature).map_err(|_| Bip322Error::Invalid)?;
        // One form of one signature: strict DER, and all of the transaction is signed. A high S fails below.
        if own.sighash_type != EcdsaSighashType::All || own.to_vec() != signature {
            return invalid();
        }
        let message = Message::from_digest(hash);
        self.secp
            .verify_ecdsa(&message, &own.signature, &key.inner)
            .map_err(|_| Bip322Error::Invalid)
    }

    fn pkh(&self, script_sig: &Script) -> Result<(), Bip322Error> {
        let pushes = pushes(script_sig).ok_or(Bip322Error::Invalid)?;
        let [signature, key] = pushes.as_slice() else { return invalid() };
        let key = PublicKey::from_slice(key).map_err(|_| Bip322Error::Invalid)?;
        if ScriptBuf::new_p2pkh(&key.pubkey_hash()) != *self.script {
            return invalid();
        }
        let hash = SighashCache::new(self.tx)
            .legacy_signature_hash(0, self.script, EcdsaSighashType::All.to_u32())
            .map_err(|_| Bip322Error::Invalid)?;
        self.ecdsa(hash.to_byte_array(), signature, &key)
    }

    fn wpkh(&self, program: &Script, witness: &[&[u8]]) -> Result<(), Bip322Error> {
        let [signature, key] = witness else { return invalid() };
        let key = PublicKey::from_slice(key).map_err(|_| Bip322Error::Invalid)?;
        // Witness programs take compressed keys only.
        let own = key.wpubkey_hash().map_err(|_| Bip322Error::Invalid)?;
        if ScriptBuf::new_p2wpkh(&own) != *program {
            return invalid();
        }
        let hash = SighashCache::new(self.tx)
            .p2wpkh_signature_hash(0, program, Amount::ZERO, EcdsaSighashType::All)
            .map_err(|_| Bip322Error::Invalid)?;
        self.ecdsa(hash.to_byte_array(), signature, &key)
    }

    fn tr(&self, witness: &[&[u8]]) -> Result<(), Bip322Error> {
        // More than a signature is a script path, or an annex.
        let [signature] = witness else { return Err(Bip322Error::Inconclusive) };
        let own = taproot::Signature::from_slice(signature).map_err(|_| Bip322Error::Invalid)?;
        if !matches!(own.sighash_type, TapSighashType::Default | TapSighashType::All) {
            return invalid();
        }
        let key = XOnlyPublicKey::from_slice(&self.script.as_bytes()[2..])
            .map_err(|_| Bip322Error::Invalid)?;
        let spent = [TxOut { value: Amount::ZERO, script_pubkey: self.script.to_owned() }];
        let hash = SighashCache::new(self.tx)
            .taproot_key_spend_signature_hash(0, &Prevouts::All(&spent), own.sighash_type)
            .map_err(|_| Bip322Error::Invalid)?;
        let message = Message::from_digest(hash.to_byte_array());
        self.secp.verify_schnorr(&own.signature, &message, &key).map_err(|_| Bip322Error::Invalid)
    }

    fn wsh(&self, witness: &[&[u8]]) -> Result<(), Bip322Error> {
        let Some((script, stack)) = witness.split_last() else { return invalid() };
        let script = Script::from_bytes(script);
        if script.to_p2wsh() != *self.script {
            return invalid();
        }
        let (need, keys) = multisig(script).ok_or(Bip322Error::Inconclusive)?;
        // OP_CHECKMULTISIG takes one element too many; it must be empty.
        let Some((extra, signatures)) = stack.split_first() else { return invalid() };
        if !extra.is_empty() || signatures.len() != need {
            return invalid();
        }
        let hash = SighashCache::new(self.tx)
            .p2wsh_signature_hash(0, script, Amount::ZERO, EcdsaSighashType::All)
            .map_err(|_| Bip322Error::Invalid)?;
        // Signatures stand in the order of their keys.
        let mut rest = keys.iter();
        let all = signatures
            .iter()
            .all(|s| rest.any(|key| self.ecdsa(hash.to_byte_array(), s, key).is_ok()));
        if all { Ok(()) } else { invalid() }
    }
}

const fn invalid<T>() -> Result<T, Bip322Error> {
    Err(Bip322Error::Invalid)
}

/// What a script pushes, when it does nothing else and in the shortest way.
fn pushes(script: &Script) -> Option<Vec<&[u8]>> {
    script
        .instructions_minimal()
        .map(|i| match i {
            Ok(Instruction::PushBytes(bytes)) => Some(bytes.as_bytes()),
            _ => None,
        })
        .collect()
}

fn single_push(script: &Script) -> Option<ScriptBuf> {
    match pushes(script)?.as_slice() {
        [one] => Some(ScriptBuf::from_bytes(one.to_vec())),
        _ => None,
    }
}

/// How many signatures by which keys: `m key… n OP_CHECKMULTISIG`.
fn multisig(script: &Script) -> Option<(usize, Vec<PublicKey>)> {
    let number = |i: &Instruction<'_>| match i {
        Instruction::Op(op)
            if (OP_PUSHNUM_1.to_u8()..=OP_PUSHNUM_16.to_u8()).contains(&op.to_u8()) =>
        {
            Some(usize::from(op.to_u8() - OP_PUSHNUM_1.to_u8() + 1))
        }
        _ => None,
    };
    let all: Vec<_> = script.instructions_minimal().collect::<Result<_, _>>().ok()?;
    let [need, keys @ .., count, Instruction::Op(OP_CHECKMULTISIG)] = all.as_slice() else {
        return None;
    };
    let (need, count) = (number(need)?, number(count)?);
    let key = |i: &Instruction<'_>| match i {
        Instruction::PushBytes(b) => {
            PublicKey::from_slice(b.as_bytes()).ok().filter(|k| k.compressed)
        }
        Instruction::Op(_) => None,
    };
    let keys: Vec<PublicKey> = keys.iter().map(key).collect::<Option<_>>()?;
    (keys.len() == count && need <= count).then_some((need, keys))
}
