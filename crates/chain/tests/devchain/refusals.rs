//! Every rule has a block that breaks it alone, and is refused for it.

use crate::devchain_support::wrong::{Scene, wrong_blocks};
use crate::devchain_support::{Bench, Funds, Key, hex_of, payment, set_root, solve};
use serde_json::json;

const FEE: u64 = 1_000;

#[test]
fn every_wrong_block_is_refused_for_its_reason_and_the_good_one_is_accepted() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(0, &key);
    let blocks: Vec<_> = (0..12).map(|_| bench.mine(&key.wpkh(), &[])).collect();
    let coins: Vec<Funds> = blocks.iter().map(Funds::mined).collect();
    let early = key.pay(&coins[0], &key.wpkh(), FEE);
    bench.mine(&key.wpkh(), std::slice::from_ref(&early));
    let tip = bench.tip();
    let payments = [key.pay(&coins[1], &key.wpkh(), FEE), key.pay(&coins[2], &key.pkh(), FEE)];
    let good = bench.block(&key.wpkh(), &payments);
    let header = bench.get("getblockheader", json!([tip]));
    let scene = Scene {
        params: &bench.params,
        key: &key,
        good: &good,
        height: 14,
        fee: FEE,
        median_time: u32::try_from(header["mediantime"].as_u64().unwrap()).unwrap(),
        now: bench.now(),
        coin: &coins[3],
        young: &Funds::of(&early, 0),
        immature: &coins[11],
        spent: &coins[0],
    };
    for wrong in wrong_blocks(&scene) {
        let reason = bench.submit(&wrong.block).unwrap_or_else(|| panic!("taken: {}", wrong.why));
        assert!(reason.starts_with(wrong.reason), "{}: {reason}", wrong.why);
        assert_eq!(bench.tip(), tip, "{}", wrong.why);
    }
    assert_eq!(bench.submit(&good), None);
    assert_eq!(bench.tip(), good.block_hash().to_string());
}

#[test]
fn a_block_is_known_when_it_comes_again() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(3, &key);
    let mut overpaid = bench.block(&key.wpkh(), &[]);
    overpaid.txdata[0].output[0].value = bitcoin::Amount::from_sat(51 * 100_000_000);
    set_root(&mut overpaid);
    solve(&mut overpaid, &bench.params);
    assert_eq!(bench.submit(&overpaid).as_deref(), Some("bad-cb-amount"));
    assert_eq!(bench.submit(&overpaid).as_deref(), Some("duplicate-invalid"));
    let mut child = overpaid.clone();
    child.header.prev_blockhash = overpaid.block_hash();
    solve(&mut child, &bench.params);
    assert_eq!(bench.submit(&child).as_deref(), Some("bad-prevblk"));
    let good = bench.mine(&key.wpkh(), &[]);
    assert_eq!(bench.submit(&good).as_deref(), Some("duplicate"));
}

#[test]
fn a_coinbase_sent_without_its_witness_is_completed() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(2, &key);
    let mut block = bench.block(&key.wpkh(), &[]);
    block.txdata[0].input[0].witness.clear();
    assert_eq!(bench.submit(&block), None);
    let kept = bench.get("getblock", json!([block.block_hash().to_string(), 2]));
    assert_eq!(kept["tx"][0]["vin"][0]["txinwitness"], json!(["00".repeat(32)]));
}

#[test]
fn bytes_that_are_no_block_are_an_error_and_not_a_reason() {
    let bench = Bench::with_blocks(1, &Key::new(1));
    let whole = hex_of(&bench.block(&Key::new(1).wpkh(), &[]));
    let mut headless: bitcoin::Block = crate::devchain_support::from_hex(&whole);
    headless.txdata.clear();
    for text in
        ["", "00", "zz", &whole[..whole.len() - 2], &format!("{whole}00"), &hex_of(&headless)]
    {
        let error = bench.call("submitblock", json!([text])).unwrap_err();
        assert_eq!(error.code, -22, "{text}: {error}");
    }
    assert_eq!(bench.get("submitblock", json!([whole])), json!(null));
}

#[test]
fn a_coinbase_is_spendable_exactly_at_its_maturity() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(0, &key);
    let coin = Funds::mined(&bench.mine(&key.wpkh(), &[]));
    let spend = key.pay(&coin, &key.wpkh(), FEE);
    while bench.chain.height() < bench.params.coinbase_maturity {
        let early = bench.block(&key.wpkh(), std::slice::from_ref(&spend));
        let reason = bench.submit(&early);
        assert_eq!(reason.as_deref(), Some("bad-txns-premature-spend-of-coinbase"));
        assert_eq!(bench.send(&spend).unwrap_err().code, -26);
        // Another second, so that the block that follows is another.
        bench.clock.advance(gruve_units::Duration::from_secs(1));
        bench.mine(&key.pkh(), &[]);
    }
    bench.mine(&key.wpkh(), &[spend]);
}

#[test]
fn outputs_of_other_kinds_can_be_made_but_not_spent() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(8, &key);
    let block = bench.get("getblockhash", json!([1]));
    let first: bitcoin::Block = crate::devchain_support::from_hex(
        bench.get("getblock", json!([block, 0])).as_str().unwrap(),
    );
    let script =
        bitcoin::ScriptBuf::new_p2wsh(&bitcoin::Script::from_bytes(&[0x51]).wscript_hash());
    let lock = key.pay(&Funds::mined(&first), &script, FEE);
    bench.send(&lock).unwrap();
    bench.mine(&key.wpkh(), &[]);
    let mut unlock = payment(&Funds::of(&lock, 0), &key.wpkh(), FEE);
    unlock.input[0].witness.push([0x51]);
    let error = bench.send(&unlock).unwrap_err();
    assert_eq!(error.code, -26);
    assert!(error.message.contains("spends only P2WPKH and P2PKH"), "{error}");
}
