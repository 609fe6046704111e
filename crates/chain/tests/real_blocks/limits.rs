//! Blocks of ours at the limits of a block: as much as may be is taken, one more is not.

use crate::locks::{Coin, Lock};
use crate::mine::{self, Mine, coins_of};
use crate::real_node::{Program, RealNode};
use crate::traffic::Traffic;
use bitcoin::hashes::Hash;
use bitcoin::{Amount, Block, ScriptBuf, Transaction, TxOut};
use gruve_chain::template::witness_commitment_script;
use gruve_chain::{Job, Node, SubmitOutcome, Template, TemplateTx};

const FEE: u64 = 1_000;
const WEIGHT_MAX: u64 = 4_000_000;
/// In operations outside witnesses, which count four each.
const SIGOPS_MAX: usize = 20_000;

async fn mine_with_coins(arguments: &[&str]) -> Mine {
    let real = RealNode::start_with(Program::Bitcoind, None, arguments).await;
    let mine = Mine::new(Program::Bitcoind, real);
    mine.generate(110).await;
    mine
}

/// The node's template with one transaction more, which it was never told of.
fn with(template: &Template, tx: &Transaction) -> Template {
    let mut template = template.clone();
    template.txs.push(TemplateTx {
        data: bitcoin::consensus::serialize(tx),
        txid: tx.compute_txid().to_byte_array(),
        wtxid: tx.compute_wtxid().to_byte_array(),
    });
    let ids: Vec<_> = template.txs.iter().map(|tx| tx.wtxid).collect();
    template.witness_commitment = Some(witness_commitment_script(&ids));
    template
}

/// A job that pays to as many as a coinbase has room for.
fn job(mine: &Mine, template: Template) -> Job {
    let one = mine.holder.script(Lock::P2pkh).into_bytes();
    let mut pay_to = vec![(one, 0); 19];
    pay_to[0].1 = template.coinbase_value;
    mine::job(template, pay_to)
}

fn block(mine: &Mine, template: Template) -> (Vec<u8>, Block) {
    let bytes = mine::solve(&job(mine, template), &mine.params);
    let block = bitcoin::consensus::deserialize(&bytes).unwrap();
    (bytes, block)
}

async fn verdict(mine: &Mine, block: &[u8]) -> SubmitOutcome {
    mine.node.submit_block(block).await.unwrap()
}

#[tokio::test]
async fn four_million_units_are_taken_and_not_one_more() {
    let mut mine = mine_with_coins(&[]).await;
    // Coins with nearly a block's weight to be shown when they are spent, each a byte more.
    let sizes = [0, 1, 2, 3, 4].map(|more| Lock::Data(3_970_000 + more));
    let mut outputs: Vec<_> =
        sizes.iter().map(|lock| mine.holder.output(*lock, 900_000_000)).collect();
    outputs.push(mine.holder.output(Lock::P2wpkh, 500_000_000 - FEE));
    let made = mine.holder.spend(&[mine.coinbase(1).await], outputs);
    mine.send(&made).await;
    mine.mine(&[Lock::P2wpkh]).await;
    let template = mine.node.template(None).await.unwrap();
    let coins: Vec<Coin> = coins_of(&made, &sizes);
    // What is missing to the limit is filled with data outside the witness, four units a byte, and
    // the last units by the choice of the coin.
    let filled = |coin: &Coin, bytes: usize| {
        let out = mine.holder.output(Lock::P2wpkh, coin.out.value.to_sat() - FEE);
        let outputs = vec![out, mine::data_output(bytes)];
        let tx = mine.holder.spend(std::slice::from_ref(coin), outputs);
        let (bytes, parsed) = block(&mine, with(&template, &tx));
        (bytes, parsed.weight().to_wu())
    };
    let missing = WEIGHT_MAX - filled(&coins[0], 300).1;
    let bytes = 300 + usize::try_from(missing / 4).unwrap();
    let last = usize::try_from(missing % 4).unwrap();
    let ((full, weight), (over, too_much)) =
        (filled(&coins[last], bytes), filled(&coins[last + 1], bytes));
    assert_eq!((weight, too_much), (WEIGHT_MAX, WEIGHT_MAX + 1));
    assert_eq!(verdict(&mine, &over).await, SubmitOutcome::Rejected("bad-blk-weight".into()));
    assert_eq!(verdict(&mine, &full).await, SubmitOutcome::Accepted);
}

#[tokio::test]
async fn eighty_thousand_operations_are_taken_and_not_one_more() {
    let mine = mine_with_coins(&[]).await;
    let template = mine.node.template(None).await.unwrap();
    let coin = mine.coinbase(1).await;
    let checks = |n: usize| {
        let script_pubkey = ScriptBuf::from_bytes(vec![0xac; n]);
        let costly = TxOut { value: Amount::ZERO, script_pubkey };
        let rest = mine.holder.output(Lock::TaprootKey, coin.out.value.to_sat() - FEE);
        mine.holder.spend(std::slice::from_ref(&coin), vec![costly, rest])
    };
    let cost = |block: &Block| -> usize {
        let value = coin.out.clone();
        block.txdata.iter().map(|tx| tx.total_sigop_cost(|_| Some(value.clone()))).sum()
    };
    // The input's own signature counts one and not four.
    let others = cost(&block(&mine, with(&template, &checks(0))).1);
    let room = (4 * SIGOPS_MAX - others) / 4;
    let (over, parsed) = block(&mine, with(&template, &checks(room + 1)));
    assert!(cost(&parsed) > 4 * SIGOPS_MAX);
    assert_eq!(verdict(&mine, &over).await, SubmitOutcome::Rejected("bad-blk-sigops".into()));
    let (full, parsed) = block(&mine, with(&template, &checks(room)));
    assert!(cost(&parsed) > 4 * SIGOPS_MAX - 4, "{}", cost(&parsed));
    assert_eq!(verdict(&mine, &full).await, SubmitOutcome::Accepted);
}

/// The node is set to keep the least room that it can: more fees for it, none for nineteen payees.
#[tokio::test]
async fn a_full_template_of_a_node_that_keeps_little_room_is_mined_with_a_large_coinbase() {
    let mut mine = mine_with_coins(&["-blockreservedweight=2000", "-maxmempool=50"]).await;
    let mut traffic = Traffic::default();
    let coins = [mine.coinbase(1).await, mine.coinbase(2).await, mine.coinbase(3).await];
    traffic.usual(&mut mine, &coins[..2], &Lock::USUAL).await;
    mine.mine(&[Lock::P2wpkh]).await;
    traffic.confirm();
    traffic.usual(&mut mine, &coins[2..], &Lock::USUAL).await;
    mine.mine(&[Lock::P2wpkh]).await;
    traffic.confirm();
    traffic.large_witnesses(&mut mine, &[380_000; 10]).await;
    // Cheap ones, that the node fills the block up with to its last units.
    traffic.crowd(&mut mine, 600).await;
    mine.mine(&[Lock::P2wpkh]).await;
    traffic.confirm();
    traffic.send_next(&mut mine).await;
    let offered =
        mine.real.call("getblocktemplate", serde_json::json!([{"rules": ["segwit"]}])).await;
    let template = mine.node.template(None).await.unwrap();
    let offered = offered["transactions"].as_array().unwrap().len();
    assert!(template.txs.len() < offered, "{offered} fit");
    let (full, parsed) = block(&mine, template);
    assert!(parsed.weight().to_wu() > WEIGHT_MAX - 2_000);
    assert_eq!(verdict(&mine, &full).await, SubmitOutcome::Accepted);
}
