//! The waiting transactions.

use crate::devchain_support::{Bench, Funds, Key, from_hex, hex_of, nowhere, payment};
use bitcoin::absolute::LockTime;
use bitcoin::{Amount, Block, ScriptBuf, Transaction};
use serde_json::json;

fn bench(key: &Key) -> (Bench, Vec<Funds>) {
    let bench = Bench::with_blocks(0, key);
    let coins = (0..12).map(|_| Funds::mined(&bench.mine(&key.wpkh(), &[]))).collect();
    (bench, coins)
}

#[test]
fn every_wrong_transaction_is_refused_with_cores_code_and_words() {
    let key = Key::new(1);
    let (bench, coins) = bench(&key);
    let to = key.wpkh();
    let sign = |tx: Transaction| key.sign(tx, std::slice::from_ref(&coins[0].out));
    let changed = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = payment(&coins[0], &to, 1_000);
        change(&mut tx);
        sign(tx)
    };
    let waiting = key.pay(&coins[1], &to, 1_000);
    bench.send(&waiting).unwrap();
    let mined: Block = from_hex(bench.get("getblock", json!([bench.tip(), 0])).as_str().unwrap());
    let unknown = Funds { point: nowhere(), out: coins[0].out.clone() };
    let mut forged = key.pay(&coins[0], &to, 1_000);
    forged.output[0].value = Amount::from_sat(5_000);
    let cases: Vec<(Transaction, i32, &str)> = vec![
        (key.pay(&unknown, &to, 1_000), -25, "bad-txns-inputs-missingorspent"),
        (key.pay(&coins[1], &key.pkh(), 2_000), -26, "txn-mempool-conflict"),
        (key.pay(&coins[0], &to, 10), -26, "min relay fee not met, 10 < 110"),
        (key.pay(&coins[0], &to, 100_000_000), -25, "Fee exceeds maximum configured by user"),
        (key.pay(&coins[11], &to, 1_000), -26, "bad-txns-premature-spend-of-coinbase, tried to"),
        (forged, -26, "mandatory-script-verify-flag-failed (Signature must be zero"),
        (mined.txdata[0].clone(), -27, "Transaction outputs already in utxo set"),
        (changed(&|tx| tx.version.0 = 9), -26, "version"),
        (changed(&|tx| tx.lock_time = LockTime::from_consensus(13)), -26, "non-final"),
        (changed(&|tx| tx.input[0].sequence = bitcoin::Sequence(200)), -26, "non-BIP68-final"),
        (changed(&|tx| tx.output[0].script_pubkey = vec![0x51].into()), -26, "scriptpubkey"),
        (changed(&|tx| tx.output[0].value = Amount::from_sat(200)), -26, "dust"),
        (
            changed(&|tx| tx.output[0].value = Amount::from_sat(51 * 100_000_000)),
            -26,
            "bad-txns-in-belowout, value in (50.00) < value out (51.00)",
        ),
        (
            changed(&|tx| tx.output[0].script_pubkey = ScriptBuf::new_op_return([])),
            -26,
            "tx-size-small",
        ),
    ];
    for (tx, code, words) in cases {
        let error = bench.send(&tx).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.message.starts_with(words), "{error}");
        let tested = bench.get("testmempoolaccept", json!([[hex_of(&tx)]]));
        assert_eq!(tested[0]["allowed"], false, "{words}");
    }
    assert_eq!(bench.mempool(), [waiting.compute_txid().to_string()]);
    for control in [key.pay(&coins[0], &to, 110), key.pay(&coins[2], &key.pkh(), 1_000)] {
        let tested = bench.get("testmempoolaccept", json!([[hex_of(&control)]]));
        assert_eq!(tested[0]["allowed"], true, "{tested}");
        assert_eq!(bench.send(&control).unwrap(), json!(control.compute_txid().to_string()));
        bench.send(&control).unwrap();
    }
    assert_eq!(bench.call("sendrawtransaction", json!(["0102"])).unwrap_err().code, -22);
}

#[test]
fn both_kinds_of_output_are_spent_by_their_keys_alone() {
    let (key, thief) = (Key::new(1), Key::new(2));
    let (bench, coins) = bench(&key);
    let to_hash = key.pay(&coins[0], &key.pkh(), 1_000);
    bench.send(&to_hash).unwrap();
    bench.mine(&thief.wpkh(), &[]);
    for coin in [&coins[1], &Funds::of(&to_hash, 0)] {
        let stolen = thief.pay(coin, &thief.wpkh(), 1_000);
        let error = bench.send(&stolen).unwrap_err();
        assert!(error.message.contains("OP_EQUALVERIFY"), "{error}");
        bench.send(&key.pay(coin, &thief.wpkh(), 1_000)).unwrap();
    }
}

#[test]
fn a_payment_in_a_block_drops_the_other_one_and_all_that_hang_on_it() {
    let key = Key::new(1);
    let (bench, coins) = bench(&key);
    let first = key.pay(&coins[0], &key.wpkh(), 1_000);
    let second = key.pay(&Funds::of(&first, 0), &key.wpkh(), 1_000);
    let bystander = key.pay(&coins[1], &key.wpkh(), 1_000);
    for tx in [&first, &second, &bystander] {
        bench.send(tx).unwrap();
    }
    let rival = key.pay(&coins[0], &key.pkh(), 5_000);
    bench.mine(&key.wpkh(), &[rival]);
    assert_eq!(bench.mempool(), [bystander.compute_txid().to_string()]);
}

#[test]
fn the_template_takes_the_best_payers_with_their_parents_first() {
    let key = Key::new(1);
    let (bench, coins) = bench(&key);
    let parent = key.pay(&coins[0], &key.wpkh(), 500);
    let child = key.pay(&Funds::of(&parent, 0), &key.wpkh(), 90_000);
    let rich = key.pay(&coins[1], &key.wpkh(), 20_000);
    for tx in [&parent, &child, &rich] {
        bench.send(tx).unwrap();
    }
    let template = bench.template();
    let txs = template["transactions"].as_array().unwrap();
    let ids: Vec<&str> = txs.iter().map(|tx| tx["txid"].as_str().unwrap()).collect();
    let id = |tx: &Transaction| tx.compute_txid().to_string();
    assert_eq!(ids, [id(&rich), id(&parent), id(&child)]);
    assert_eq!(txs[2]["depends"], json!([2]));
    assert_eq!(template["coinbasevalue"], 50 * 100_000_000i64 + 110_500);
    let entry = bench.get("getmempoolentry", json!([id(&child)]));
    assert_eq!(entry["ancestorcount"], 2);
    assert_eq!(entry["depends"], json!([id(&parent)]));
    assert_eq!(entry["fees"]["ancestor"].to_string(), "0.00090500");
    let block = bench.mine(&key.wpkh(), &[]);
    assert_eq!(block.txdata.len(), 4);
    assert!(bench.mempool().is_empty());
}

#[test]
fn chains_of_waiting_transactions_are_at_most_twenty_five_long() {
    let key = Key::new(1);
    let (bench, coins) = bench(&key);
    let mut coin = coins[0].clone();
    for length in 1..=26 {
        let tx = key.pay(&coin, &key.wpkh(), 1_000);
        let sent = bench.send(&tx);
        if length <= 25 {
            sent.unwrap();
        } else {
            let error = sent.unwrap_err();
            assert!(error.message.starts_with("too-long-mempool-chain"), "{error}");
        }
        coin = Funds::of(&tx, 0);
    }
}
