//! The JSON forms that several methods share: amounts, difficulties, scripts, transactions.

use crate::address_for_script;
use crate::devchain::connect::Coin;
use crate::devchain::params::DevParams;
use bitcoin::opcodes::Opcode;
use bitcoin::script::Instruction;
use bitcoin::{CompactTarget, OutPoint, Script, Transaction};
use gruve_units::{Algorithm, Amount, Target};
use serde_json::{Map, Number, Value, json};
use std::str::FromStr;

/// Looks up a coin that a transaction spends, for its fee.
pub(crate) type LookUp<'a> = &'a dyn Fn(&OutPoint) -> Option<Coin>;

/// Minor units as a number of whole coins with all decimals.
pub(crate) fn coins(params: &DevParams, minor: i64) -> Value {
    let decimal = Amount::new(params.asset, minor).decimal();
    Number::from_str(&decimal).map_or(Value::Null, Value::Number)
}

/// A compact target's difficulty, in the unit all of these nodes use, whatever their algorithm.
pub(crate) fn difficulty(bits: CompactTarget) -> f64 {
    Target::from_compact(bits.to_consensus())
        .map_or(0.0, |target| target.difficulty(Algorithm::Sha256d))
}

/// A compact target written out.
pub(crate) fn target_hex(bits: u32) -> String {
    Target::from_compact(bits).map_or_else(String::new, |t| hex::encode(t.to_be_bytes()))
}

/// Chain work as 64 digits.
pub(crate) fn work_hex(work: u128) -> String {
    format!("{work:064x}")
}

/// A script as Core writes it: pushes of up to four bytes as numbers, others in hexadecimal.
pub(crate) fn asm(script: &Script) -> String {
    let mut words = Vec::new();
    for instruction in script.instructions() {
        words.push(match instruction {
            Ok(Instruction::PushBytes(push)) if push.is_empty() => "0".to_owned(),
            Ok(Instruction::PushBytes(push)) if push.len() <= 4 => {
                bitcoin::script::read_scriptint_non_minimal(push.as_bytes())
                    .map_or_else(|_| hex::encode(push.as_bytes()), |n| n.to_string())
            }
            Ok(Instruction::PushBytes(push)) => hex::encode(push.as_bytes()),
            Ok(Instruction::Op(op)) => opcode_name(op),
            Err(_) => {
                words.push("[error]".to_owned());
                break;
            }
        });
    }
    words.join(" ")
}

fn opcode_name(op: Opcode) -> String {
    match op.to_u8() {
        0x4f => "-1".to_owned(),
        0xb1 => "OP_CHECKLOCKTIMEVERIFY".to_owned(),
        0xb2 => "OP_CHECKSEQUENCEVERIFY".to_owned(),
        number @ 0x51..=0x60 => (number - 0x50).to_string(),
        _ => op.to_string(),
    }
}

/// Core's name for the form of an output script.
fn form(script: &Script) -> &'static str {
    if script.is_p2pk() {
        "pubkey"
    } else if script.is_p2pkh() {
        "pubkeyhash"
    } else if script.is_p2sh() {
        "scripthash"
    } else if script.is_p2wpkh() {
        "witness_v0_keyhash"
    } else if script.is_p2wsh() {
        "witness_v0_scripthash"
    } else if script.is_p2tr() {
        "witness_v1_taproot"
    } else if script.is_witness_program() {
        "witness_unknown"
    } else if script.is_op_return() {
        "nulldata"
    } else if script.is_multisig() {
        "multisig"
    } else {
        "nonstandard"
    }
}

/// An output script.
pub(crate) fn script_pub_key(params: &DevParams, script: &Script) -> Value {
    let address =
        params.chain_params().ok().and_then(|chain| address_for_script(&chain, script.as_bytes()));
    let mut object = Map::new();
    object.insert("asm".into(), asm(script).into());
    let descriptor = match &address {
        Some(address) => format!("addr({address})"),
        None => format!("raw({})", hex::encode(script.as_bytes())),
    };
    object.insert("desc".into(), with_checksum(&descriptor).into());
    object.insert("hex".into(), hex::encode(script.as_bytes()).into());
    if let Some(address) = address {
        object.insert("address".into(), address.into());
    }
    object.insert("type".into(), form(script).into());
    Value::Object(object)
}

/// A descriptor with its checksum (BIP 380).
fn with_checksum(descriptor: &str) -> String {
    const INPUT: &str = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~\
                         ijklmnopqrstuvwxyzABCDEFGH`#\"\\ ";
    const OUTPUT: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    const GENERATOR: [u64; 5] =
        [0xf5_dee5_1989, 0xa9_fdca_3312, 0x1b_ab10_e32d, 0x37_06b1_677a, 0x64_4d62_6ffd];
    let step = |sum: u64, value: u64| {
        let top = sum >> 35;
        let mut next = ((sum & 0x7_ffff_ffff) << 5) ^ value;
        for (bit, generator) in GENERATOR.iter().enumerate() {
            if (top >> bit) & 1 != 0 {
                next ^= generator;
            }
        }
        next
    };
    let (mut sum, mut group, mut count) = (1u64, 0u64, 0);
    for character in descriptor.chars() {
        let Some(position) = INPUT.find(character) else { return descriptor.to_owned() };
        let position = position as u64;
        sum = step(sum, position & 31);
        group = group * 3 + (position >> 5);
        count += 1;
        if count == 3 {
            sum = step(sum, group);
            (group, count) = (0, 0);
        }
    }
    if count > 0 {
        sum = step(sum, group);
    }
    for _ in 0..8 {
        sum = step(sum, 0);
    }
    sum ^= 1;
    let digits = (0..8).map(|j| {
        let digit = usize::try_from((sum >> (5 * (7 - j))) & 31).unwrap_or(0);
        char::from(OUTPUT[digit])
    });
    format!("{descriptor}#{}", digits.collect::<String>())
}

/// A transaction, as `getrawtransaction` and `getblock` show it; `spent` looks up the coins it
/// spends, for its fee.
pub(crate) fn transaction(
    params: &DevParams,
    tx: &Transaction,
    spent: Option<LookUp<'_>>,
) -> Map<String, Value> {
    let mut object = Map::new();
    let vin: Vec<Value> = tx.input.iter().map(|input| vin(input, tx.is_coinbase())).collect();
    let vout: Vec<Value> = (0u32..)
        .zip(&tx.output)
        .map(|(n, out)| {
            json!({
                "value": coins(params, crate::devchain::check::value_of(out)),
                "n": n,
                "scriptPubKey": script_pub_key(params, &out.script_pubkey),
            })
        })
        .collect();
    object.insert("txid".into(), tx.compute_txid().to_string().into());
    object.insert("hash".into(), tx.compute_wtxid().to_string().into());
    object.insert("version".into(), tx.version.0.into());
    object.insert("size".into(), tx.total_size().into());
    object.insert("vsize".into(), tx.vsize().into());
    object.insert("weight".into(), tx.weight().to_wu().into());
    object.insert("locktime".into(), tx.lock_time.to_consensus_u32().into());
    object.insert("vin".into(), vin.into());
    object.insert("vout".into(), vout.into());
    if let Some(fee) = spent.and_then(|spent| fee_of(tx, spent)) {
        object.insert("fee".into(), coins(params, fee));
    }
    object.insert("hex".into(), bitcoin::consensus::encode::serialize_hex(tx).into());
    object
}

/// What a transaction pays to the miner, if all it spends is known.
pub(crate) fn fee_of(tx: &Transaction, spent: LookUp<'_>) -> Option<i64> {
    if tx.is_coinbase() {
        return None;
    }
    let mut value_in = 0i64;
    for input in &tx.input {
        let coin = spent(&input.previous_output)?;
        value_in = value_in.checked_add(crate::devchain::check::value_of(&coin.out))?;
    }
    value_in.checked_sub(crate::devchain::check::value_out(tx))
}

fn vin(input: &bitcoin::TxIn, coinbase: bool) -> Value {
    let mut object = Map::new();
    let script = hex::encode(input.script_sig.as_bytes());
    if coinbase {
        object.insert("coinbase".into(), script.into());
    } else {
        object.insert("txid".into(), input.previous_output.txid.to_string().into());
        object.insert("vout".into(), input.previous_output.vout.into());
        object.insert("scriptSig".into(), json!({ "asm": asm(&input.script_sig), "hex": script }));
    }
    if !input.witness.is_empty() {
        let items: Vec<String> = input.witness.iter().map(hex::encode).collect();
        object.insert("txinwitness".into(), items.into());
    }
    object.insert("sequence".into(), input.sequence.to_consensus_u32().into());
    Value::Object(object)
}
