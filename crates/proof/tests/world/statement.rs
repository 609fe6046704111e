//! A statement of funds, honest until told otherwise, signed by whoever holds what it shows.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, missing_docs)]

use crate::world::{ORIGIN, World};
use bitcoin::secp256k1::{Message, Secp256k1, SecretKey};
use bitcoin::{Address, CompressedPublicKey, Network, PrivateKey};
use gruve_proof::funds::{AssetFunds, FundsEntry, ShownBy};
use gruve_proof::liabilities::{self, Built, Of, Owed, Whose};
use gruve_proof::publish::data_path;
use gruve_proof::reserves::{AssetReserves, Coin, Holder, Holding, Reserves, account_digest};
use gruve_proof::summary::FileRef;
use gruve_units::AccountId;
use sha2::{Digest as _, Sha256};
use sha3::Keccak256;

pub const SECRET: [u8; 32] = [5; 32];

pub fn customer(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

pub fn key(n: u8) -> SecretKey {
    SecretKey::from_slice(&[n; 32]).unwrap()
}

pub fn public(n: u8) -> bitcoin::secp256k1::PublicKey {
    key(n).public_key(&Secp256k1::new())
}

pub fn address(n: u8) -> Address {
    Address::p2wpkh(&CompressedPublicKey(public(n)), Network::Bitcoin)
}

pub fn account(n: u8) -> Vec<u8> {
    Keccak256::digest(&public(n).serialize_uncompressed()[1..])[12..].to_vec()
}

pub fn coin(n: u8, value: u64) -> Coin {
    Coin { txid: [n; 32], vout: u32::from(n), value }
}

/// A statement before it is signed; a liar changes what he likes.
pub struct Statement {
    pub entry: FundsEntry,
    pub reserves: Reserves,
    pub owed: Built,
}

/// Customers are owed 600 in BTC and 50 in ETC; 700 and 60 are there.
pub fn statement(w: &World, number: u64) -> Statement {
    let of = |asset| Of { statement: number, asset };
    let debts: Vec<_> = (1..4u8)
        .map(|n| {
            (
                Whose::Customer(customer(n)),
                Owed { available: u128::from(n) * 100, ..Owed::default() },
            )
        })
        .collect();
    let owed = liabilities::build(&of("BTC"), &SECRET, &debts).unwrap();
    let one = [(Whose::Customer(customer(1)), Owed { held: 50, ..Owed::default() })];
    let etc = liabilities::build(&of("ETC"), &SECRET, &one).unwrap();
    let holder = |n: u8, coins: Vec<Coin>| Holder {
        of: address(n).script_pubkey().into_bytes(),
        signature: String::new(),
        holding: Holding::Coins(coins),
    };
    let mut holders =
        vec![holder(1, vec![coin(1, 100), coin(2, 200)]), holder(2, vec![coin(3, 400)])];
    holders.sort_by(|a, b| a.of.cmp(&b.of));
    let of_account =
        Holder { of: account(3), signature: String::new(), holding: Holding::Account(60) };
    let asset = |asset: &str, shown, holders| AssetReserves {
        asset: asset.into(),
        shown,
        height: 900,
        block: [7; 32],
        holders,
    };
    let head = w.checkpoint();
    Statement {
        reserves: Reserves {
            statement: number,
            head_size: head.size,
            head_root: head.root,
            assets: vec![
                asset("BTC", ShownBy::Coins, holders),
                asset("ETC", ShownBy::Accounts, vec![of_account]),
            ],
        },
        entry: FundsEntry {
            statement: number,
            at_us: 1_000 * number,
            reserves: FileRef::default(),
            assets: vec![
                funds("BTC", &owed, ShownBy::Coins, 700),
                funds("ETC", &etc, ShownBy::Accounts, 60),
                funds(
                    "EUR",
                    &liabilities::build(&of("EUR"), &SECRET, &one).unwrap(),
                    ShownBy::Nothing,
                    0,
                ),
            ],
        },
        owed,
    }
}

pub fn funds(asset: &str, built: &Built, shown: ShownBy, reserves: u128) -> AssetFunds {
    AssetFunds { asset: asset.into(), owed: built.root, leaves: built.leaves, shown, reserves }
}

pub fn sign(s: &mut Statement) {
    for at in 0..s.reserves.assets.len() {
        let message = s.reserves.message(ORIGIN, &s.reserves.assets[at]);
        for h in &mut s.reserves.assets[at].holders {
            h.signature = match h.holding {
                Holding::Account(_) => {
                    let digest = Message::from_digest(account_digest(&message));
                    let signed = Secp256k1::new().sign_ecdsa_recoverable(&digest, &key(3));
                    let (id, compact) = signed.serialize_compact();
                    let last = 27 + u8::try_from(id.to_i32()).unwrap();
                    format!("0x{}{last:02x}", hex::encode(compact))
                }
                Holding::Coins(_) => {
                    let n =
                        (1..9).find(|n| address(*n).script_pubkey().as_bytes() == h.of).unwrap();
                    let wif = PrivateKey::new(key(n), Network::Bitcoin).to_wif();
                    let text = address(n).to_string();
                    bip322::sign_simple_encoded(&text, &message, &[wif], None).unwrap()
                }
            };
        }
    }
}

pub fn log(w: &mut World, s: &mut Statement) {
    let bytes = s.reserves.to_bytes();
    let hash: [u8; 32] = Sha256::digest(&bytes).into();
    s.entry.reserves = FileRef { hash, bytes: bytes.len() as u64 };
    w.data.insert(data_path(&hash), bytes);
    w.entries.push(s.entry.canonical());
}
