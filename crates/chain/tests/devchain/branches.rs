//! Reorganisations.

use crate::devchain_support::{Bench, Funds, Key, solve, unsolved};
use crate::file::{picture, reopen};
use bitcoin::{Block, ScriptBuf, Transaction};
use gruve_units::Duration;
use proptest::prelude::*;
use serde_json::json;

/// Blocks on top of a parent that need not be the tip.
fn branch(
    bench: &Bench,
    parent: &Block,
    first_height: u32,
    count: u32,
    to: &ScriptBuf,
) -> Vec<Block> {
    let mut template = bench.template();
    let mut blocks: Vec<Block> = Vec::new();
    for offset in 0..count {
        let below = blocks.last().unwrap_or(parent);
        template["previousblockhash"] = below.block_hash().to_string().into();
        template["height"] = (first_height + offset).into();
        template["curtime"] = (below.header.time + 1).into();
        template["coinbasevalue"] = bench.params.subsidy.into();
        let mut block = unsolved(&template, to, Vec::new());
        solve(&mut block, &bench.params);
        blocks.push(block);
    }
    blocks
}

fn balance(bench: &Bench, point: &Funds) -> bool {
    let args = json!([point.point.txid.to_string(), point.point.vout, false]);
    !bench.get("gettxout", args).is_null()
}

#[test]
fn a_reorganisation_of_six_swaps_coins_and_returns_transactions() {
    let (alice, bob) = (Key::new(1), Key::new(2));
    let bench = Bench::with_blocks(0, &alice);
    let common: Vec<Block> = (0..8).map(|_| bench.mine(&alice.wpkh(), &[])).collect();
    let coin = Funds::mined(&common[0]);
    let paid = alice.pay(&coin, &bob.wpkh(), 1_000);
    let paid_on = bob.pay(&Funds::of(&paid, 0), &bob.pkh(), 1_000);
    let confirmed: Vec<Transaction> = vec![paid.clone(), paid_on.clone()];
    let mut old = vec![bench.mine(&alice.wpkh(), &confirmed)];
    old.extend((0..5).map(|_| bench.mine(&alice.wpkh(), &[])));
    assert!(!balance(&bench, &coin) && balance(&bench, &Funds::of(&paid_on, 0)));
    // The other branch takes Alice's change of mind: the same coin, paid to herself.
    let other = branch(&bench, &common[7], 9, 7, &bob.wpkh());
    for block in &other[..6] {
        assert_eq!(bench.submit(block).as_deref(), Some("inconclusive"));
        assert_eq!(bench.tip(), old[5].block_hash().to_string(), "the first seen of equals stays");
    }
    assert_eq!(bench.submit(&other[6]), None);
    assert_eq!(bench.tip(), other[6].block_hash().to_string());
    assert_eq!(bench.chain.height(), 15);
    // The coin is back, the branch's coinbases are there and the old ones gone.
    assert!(balance(&bench, &coin) && !balance(&bench, &Funds::of(&paid_on, 0)));
    assert!(balance(&bench, &Funds::mined(&other[0])) && !balance(&bench, &Funds::mined(&old[0])));
    let ids: Vec<String> = confirmed.iter().map(|tx| tx.compute_txid().to_string()).collect();
    assert_eq!(bench.mempool(), ids, "parents before children");
    let header = bench.get("getblockheader", json!([old[0].block_hash().to_string()]));
    assert_eq!(header["confirmations"], -1);
    // And they are mined again.
    bench.mine(&bob.wpkh(), &[]);
    assert!(bench.mempool().is_empty() && !balance(&bench, &coin));
}

#[test]
fn a_better_branch_with_a_bad_block_in_it_is_left_where_it_breaks() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(4, &key);
    let fork: Block = crate::devchain_support::from_hex(
        bench.get("getblock", json!([bench.tip(), 0])).as_str().unwrap(),
    );
    let main: Vec<Block> = (0..2).map(|_| bench.mine(&key.wpkh(), &[])).collect();
    let mut template = bench.template();
    template["previousblockhash"] = fork.block_hash().to_string().into();
    template["height"] = 5.into();
    template["curtime"] = (fork.header.time + 1).into();
    template["coinbasevalue"] = (bench.params.subsidy + 1).into();
    let mut greedy = unsolved(&template, &key.pkh(), Vec::new());
    solve(&mut greedy, &bench.params);
    let rest = branch(&bench, &greedy, 6, 3, &key.pkh());
    assert_eq!(bench.submit(&greedy).as_deref(), Some("inconclusive"), "not looked at yet");
    assert_eq!(bench.submit(&rest[0]).as_deref(), Some("inconclusive"));
    assert_eq!(bench.submit(&rest[1]).as_deref(), Some("inconclusive"), "the fault is below it");
    assert_eq!(bench.tip(), main[1].block_hash().to_string());
    assert_eq!(bench.submit(&rest[2]).as_deref(), Some("bad-prevblk"));
    assert_eq!(bench.submit(&greedy).as_deref(), Some("duplicate-invalid"));
    bench.mine(&key.wpkh(), &[]);
}

#[test]
fn invalidating_and_reconsidering_go_there_and_back() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(10, &key);
    let before = bench.tip();
    let coins = bench.get("getblockcount", json!([]));
    let fifth = bench.get("getblockhash", json!([5]));
    bench.get("invalidateblock", json!([fifth]));
    assert_eq!(bench.chain.height(), 4);
    let tips = bench.get("getchaintips", json!([]));
    let status: Vec<&str> =
        tips.as_array().unwrap().iter().map(|t| t["status"].as_str().unwrap()).collect();
    assert_eq!(status, ["invalid", "active"]);
    bench.clock.advance(gruve_units::Duration::from_secs(5));
    let other = bench.mine(&key.pkh(), &[]);
    bench.get("reconsiderblock", json!([fifth]));
    assert_eq!((bench.tip(), bench.get("getblockcount", json!([]))), (before, coins));
    let header = bench.get("getblockheader", json!([other.block_hash().to_string()]));
    assert_eq!(header["confirmations"], -1);
}

#[test]
fn transactions_whose_coins_are_gone_with_their_branch_are_dropped() {
    let key = Key::new(1);
    let bench = Bench::with_blocks(5, &key);
    let young = Funds::mined(&bench.mine(&key.wpkh(), &[]));
    let sixth = bench.tip();
    for _ in 0..5 {
        bench.mine(&key.wpkh(), &[]);
    }
    bench.send(&key.pay(&young, &key.wpkh(), 1_000)).unwrap();
    assert_eq!(bench.mempool().len(), 1);
    bench.get("invalidateblock", json!([sixth]));
    assert!(bench.mempool().is_empty());
}

/// What an operator and a wallet may do to a chain.
#[derive(Clone, Debug)]
enum Step {
    Mine,
    Pay,
    Invalidate(u32),
    ReconsiderAll,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Mine),
        2 => Just(Step::Pay),
        1 => (1u32..40).prop_map(Step::Invalidate),
        1 => Just(Step::ReconsiderAll),
    ];
    prop::collection::vec(step, 1..40)
}

/// The sum of everything unspent, in minor units.
fn unspent(bench: &Bench) -> i64 {
    let mut sum = 0;
    for height in 0..=bench.chain.height() {
        for tx in bench.block_at(height).txdata {
            for n in 0..tx.output.len() {
                let args = json!([tx.compute_txid().to_string(), n, false]);
                let value = bench.get("gettxout", args)["value"].to_string();
                if value != "null" {
                    sum += gruve_units::Amount::parse_decimal(bench.params.asset, &value)
                        .unwrap()
                        .minor;
                }
            }
        }
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_no_coin_appears_or_vanishes_and_the_file_tells_the_same(steps in steps()) {
        let bench = Bench::new(crate::devchain_support::easy_params());
        let own = bench.get("getnewaddress", json!([]));
        bench.get("generatetoaddress", json!([8, own]));
        let mut invalidated = Vec::new();
        for step in steps {
            bench.clock.advance(Duration::from_secs(7));
            match step {
                Step::Mine => {
                    bench.get("generatetoaddress", json!([1, own]));
                }
                Step::Pay => {
                    // May fail: all coins young, or waiting already.
                    let _ = bench.call("sendtoaddress", json!([own, "1.5"]));
                }
                Step::Invalidate(height) if height <= bench.chain.height() => {
                    let hash = bench.get("getblockhash", json!([height]));
                    bench.get("invalidateblock", json!([hash]));
                    invalidated.push(hash);
                }
                Step::Invalidate(_) => {}
                Step::ReconsiderAll => {
                    for hash in invalidated.drain(..) {
                        bench.get("reconsiderblock", json!([hash]));
                    }
                }
            }
            prop_assert_eq!(
                unspent(&bench),
                i64::from(bench.chain.height()) * bench.params.subsidy
            );
        }
        // Waiting payments are not in the file.
        while !bench.mempool().is_empty() {
            bench.get("generatetoaddress", json!([1, own]));
        }
        let before = picture(&bench.chain);
        let (dir, params) = (bench.dir, bench.params);
        drop(bench.chain);
        let again = reopen(dir.path(), params).unwrap();
        prop_assert!(picture(&again) == before, "the reopened chain is another");
    }
}
