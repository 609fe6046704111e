//! The development chain's rules against real nodes': on `litecoind`'s and `bitcoind`'s own regtest
//! chains, what one accepts the other accepts, and what one refuses the other refuses for the same
//! reason.
#![allow(clippy::unwrap_used, missing_docs)]

mod devchain_support;
mod real_node;

use bitcoin::absolute::LockTime;
use bitcoin::{Amount, Block, Transaction};
use devchain_support::wrong::{Scene, wrong_blocks};
use devchain_support::{Bench, Funds, Key, from_hex, hex_of, nowhere, payment, solve, unsolved};
use gruve_chain::devchain::{DevParams, Difficulty, POW_LIMIT_BITS};
use gruve_chain::{NetworkName, NodeError, address_for_script};
use gruve_units::{Clock, SystemClock};
use real_node::{Mweb, Program, RealNode};
use serde_json::{Value, json};

const FEE: u64 = 1_000;
/// From here on Litecoin's regtest asks for everything: BIP 34 from 500, BIP 66 from 1251, BIP 65
/// from 1351.
const ALL_RULES_HEIGHT: u32 = 1_351;

/// Two nodes on one chain.
struct Pair {
    dev: Bench,
    real: RealNode,
    key: Key,
}

impl Pair {
    /// Both with the same blocks: some mined by the real node, the others by the development
    /// chain, all paying to one key.
    async fn with_blocks(program: Program, by_real: u32, by_dev: u32) -> Pair {
        let real = RealNode::start(program, None).await;
        let genesis = real.call("getblockhash", json!([0])).await;
        let genesis = real.call("getblock", json!([genesis, 0])).await;
        let chain = program.params();
        let mut params = DevParams::new(chain.asset, chain.algorithm);
        params.network = NetworkName::Regtest;
        params.difficulty = Difficulty::Fixed { bits: POW_LIMIT_BITS };
        params.coinbase_maturity = 100;
        params.halving_interval = Some(150);
        params.premine_coins = 0;
        if program == Program::Bitcoind {
            params.relay_fee_per_kvb = 100; // its default since version 30
        }
        params.genesis = Some(hex::decode(genesis.as_str().unwrap()).unwrap());
        let pair = Pair { dev: Bench::new_at(params, SystemClock.now()), real, key: Key::new(1) };
        pair.real_mines(by_real).await;
        pair.dev_mines(by_dev).await;
        pair
    }

    fn address(&self) -> String {
        let params = self.dev.params.chain_params().unwrap();
        address_for_script(&params, self.key.wpkh().as_bytes()).unwrap()
    }

    async fn real_mines(&self, blocks: u32) {
        let hashes = self.real.call("generatetoaddress", json!([blocks, self.address()])).await;
        for hash in hashes.as_array().unwrap() {
            let block = self.real.call("getblock", json!([hash, 0])).await;
            assert_eq!(self.dev.get("submitblock", json!([block])), Value::Null, "{hash}");
        }
        self.agree().await;
    }

    async fn dev_mines(&self, blocks: u32) {
        let mined = self.dev.get("generatetoaddress", json!([blocks, self.address()]));
        for hash in mined.as_array().unwrap() {
            let block = self.dev.get("getblock", json!([hash, 0]));
            let answer = self.real.call("submitblock", json!([block])).await;
            assert_eq!(answer, Value::Null, "{hash}");
        }
        self.agree().await;
    }

    /// One tip.
    async fn agree(&self) {
        let real = self.real.call("getbestblockhash", json!([])).await;
        assert_eq!(real, json!(self.dev.tip()));
    }

    /// Submits a block to both; their answers, null, reason, or error code.
    async fn submit(&self, block: &Block) -> [String; 2] {
        let text = hex_of(block);
        let dev = match self.dev.call("submitblock", json!([text])) {
            Ok(answer) => answer.to_string(),
            Err(e) => e.code.to_string(),
        };
        let real = match self.real.rpc().call("submitblock", json!([text])).await {
            Ok(answer) => answer.to_string(),
            Err(NodeError::Rpc { code, .. }) => code.to_string(),
            Err(e) => panic!("submitblock: {e}"),
        };
        [dev, real]
    }

    /// Sends a transaction to both; id, or code and words.
    async fn send(&self, tx: &Transaction) -> [Result<String, (i64, String)>; 2] {
        let dev = self.dev.send(tx).map(|id| id.to_string());
        let dev = dev.map_err(|e| (i64::from(e.code), e.message));
        let real = match self.real.rpc().call("sendrawtransaction", json!([hex_of(tx)])).await {
            Ok(id) => Ok(id.to_string()),
            Err(NodeError::Rpc { code, message, .. }) => Err((code, message)),
            Err(e) => panic!("sendrawtransaction: {e}"),
        };
        [dev, real]
    }

    /// Puts transactions into a block on both.
    async fn confirm(&self, txs: &[Transaction]) -> Block {
        let block = self.dev.block(&self.key.wpkh(), txs);
        assert_eq!(self.submit(&block).await, ["null", "null"]);
        self.agree().await;
        block
    }

    fn coin(&self, height: u32) -> Funds {
        Funds::mined(&self.dev.block_at(height))
    }
}

async fn wrong_blocks_are_refused_for_the_same_reasons(program: Program) {
    let pair = Pair::with_blocks(program, 700, ALL_RULES_HEIGHT - 700 + 10).await;
    let key = &pair.key;
    let spent = pair.coin(1);
    let early = key.pay(&spent, &key.wpkh(), FEE);
    pair.confirm(std::slice::from_ref(&early)).await;
    let tip = pair.dev.tip();
    let height = pair.dev.chain.height() + 1;
    let payments =
        [key.pay(&pair.coin(2), &key.wpkh(), FEE), key.pay(&pair.coin(3), &key.pkh(), FEE)];
    let good = pair.dev.block(&key.wpkh(), &payments);
    let header = pair.dev.get("getblockheader", json!([tip]));
    let scene = Scene {
        params: &pair.dev.params,
        key,
        good: &good,
        height,
        fee: FEE,
        median_time: u32::try_from(header["mediantime"].as_u64().unwrap()).unwrap(),
        now: pair.dev.now(),
        coin: &pair.coin(4),
        young: &Funds::of(&early, 0),
        immature: &pair.coin(height - 50),
        spent: &spent,
    };
    for wrong in wrong_blocks(&scene) {
        // Node versions name script failures differently; the fault in the brackets is the same.
        let [dev, real] = pair.submit(&wrong.block).await.map(|reason| {
            match reason.split_once("script-verify-flag") {
                Some((_, words)) => words[words.find('(').unwrap()..].to_owned(),
                None => reason,
            }
        });
        assert_eq!(dev, real, "{} (expected {})", wrong.why, wrong.reason);
        pair.agree().await;
    }
    assert_eq!(pair.submit(&good).await, ["null", "null"]);
    assert_eq!(pair.submit(&good).await, ["\"duplicate\"", "\"duplicate\""]);
    pair.agree().await;

    // Known bad, standing on bad, and not a block at all.
    let mut greedy = pair.dev.block(&key.wpkh(), &[]);
    greedy.txdata[0].output[0].value = Amount::from_sat(50 * 100_000_000);
    devchain_support::set_root(&mut greedy);
    solve(&mut greedy, &pair.dev.params);
    assert_eq!(pair.submit(&greedy).await, ["\"bad-cb-amount\""; 2]);
    assert_eq!(pair.submit(&greedy).await, ["\"duplicate-invalid\""; 2]);
    let mut child = greedy.clone();
    child.header.prev_blockhash = greedy.block_hash();
    solve(&mut child, &pair.dev.params);
    assert_eq!(pair.submit(&child).await, ["\"bad-prevblk\""; 2]);
    let mut empty = good.clone();
    empty.txdata.clear();
    let newer = Program::Bitcoind == program;
    let reason = if newer { "\"bad-txnmrklroot\"" } else { "-22" };
    assert_eq!(
        pair.submit(&empty).await,
        ["-22", reason],
        "no block at all, in older words or newer"
    );
}

async fn both_change_branches_together(program: Program) {
    let pair = Pair::with_blocks(program, 60, 60).await;
    let fork = pair.dev.block_at(114);
    let mut template = pair.dev.template();
    let mut below = fork;
    for step in 1..=7u32 {
        template["previousblockhash"] = below.block_hash().to_string().into();
        template["height"] = (114 + step).into();
        template["curtime"] = (below.header.time + 1).into();
        template["coinbasevalue"] = pair.dev.params.subsidy.into();
        let mut block = unsolved(&template, &pair.key.pkh(), Vec::new());
        solve(&mut block, &pair.dev.params);
        let expected = if step < 7 { "\"inconclusive\"" } else { "null" };
        assert_eq!(pair.submit(&block).await, [expected; 2], "block {step} of the branch");
        pair.agree().await;
        below = block;
    }
    assert_eq!(pair.dev.tip(), below.block_hash().to_string());
    pair.real_mines(2).await;
}

/// Chains of payments between the kinds of output that the development chain knows, in blocks that it
/// chose and ordered by itself.
async fn blocks_that_the_development_chain_fills_are_taken(program: Program) {
    let pair = Pair::with_blocks(program, 100, 10).await;
    let key = &pair.key;
    for round in 1..=30 {
        let mut coins = vec![pair.coin(round)];
        let mut sent = 0;
        for step in 0..4u64 {
            let mut made = Vec::new();
            for coin in &coins {
                // More for the later ones, so that they pull the earlier along.
                let mut tx = payment(coin, &key.pkh(), FEE * (step + 1));
                let half = tx.output[0].value / 2;
                tx.output[0].value -= half;
                let script_pubkey = key.wpkh();
                tx.output.push(bitcoin::TxOut { value: half, script_pubkey });
                let tx = key.sign(tx, std::slice::from_ref(&coin.out));
                pair.dev.send(&tx).unwrap();
                made.extend([Funds::of(&tx, 0), Funds::of(&tx, 1)]);
                sent += 1;
            }
            coins = made;
        }
        pair.dev_mines(1).await;
        let height = pair.dev.chain.height();
        assert_eq!(pair.dev.block_at(height).txdata.len(), sent + 1, "at {height}");
    }
    pair.real_mines(1).await;
}

async fn transactions_are_taken_and_refused_alike(program: Program) {
    let pair = Pair::with_blocks(program, 110, 5).await;
    let key = &pair.key;
    let to = key.wpkh();
    let coin = pair.coin(1);
    let waiting = key.pay(&pair.coin(2), &to, FEE);
    let [dev, real] = pair.send(&waiting).await;
    assert!(dev.is_ok() && dev == real, "{dev:?} {real:?}");
    let unknown = Funds { point: nowhere(), out: coin.out.clone() };
    let changed = |change: &dyn Fn(&mut Transaction)| {
        let mut tx = payment(&coin, &to, FEE);
        change(&mut tx);
        key.sign(tx, std::slice::from_ref(&coin.out))
    };
    let cases = [
        key.pay(&unknown, &to, FEE),
        key.pay(&coin, &to, 10),
        key.pay(&coin, &to, 100_000_000),
        key.pay(&pair.coin(110), &to, FEE),
        changed(&|tx| tx.version.0 = 9),
        changed(&|tx| tx.lock_time = LockTime::from_consensus(200)),
        changed(&|tx| tx.input[0].sequence = bitcoin::Sequence(200)),
        changed(&|tx| tx.output[0].script_pubkey = vec![0x51].into()),
        changed(&|tx| tx.output[0].value = Amount::from_sat(1)),
        changed(&|tx| tx.output[0].value = Amount::from_sat(5_100_000_000)),
        changed(&|tx| tx.output.clear()),
        changed(&|tx| tx.output[0].value = Amount::from_sat(u64::MAX)),
    ];
    let mut differences = Vec::new();
    for tx in &cases {
        let [dev, real] = pair.send(tx).await;
        assert!(dev.is_err(), "taken: {tx:?}");
        // Newer nodes add to some reasons: "dust" became "dust, tx with dust output must be 0-fee".
        let first =
            |(code, words): (i64, String)| (code, words.split(", tx ").next().map(str::to_owned));
        let [dev, real] = [dev, real].map(|answer| answer.map_err(first));
        if dev != real {
            differences.push((dev, real));
        }
    }
    assert!(differences.is_empty(), "{differences:#?}");
    // Newer nodes let a transaction be replaced by one that pays more; for no more, none does.
    let conflict = key.pay(&pair.coin(2), &key.pkh(), FEE);
    let [dev, real] = pair.send(&conflict).await;
    assert_eq!(dev, Err((-26, "txn-mempool-conflict".into())));
    assert_eq!(real.unwrap_err().0, -26);
    // Old and new nodes word these differently; what is wrong inside the brackets is one.
    let mut forged = key.pay(&coin, &to, FEE);
    forged.output[0].value = Amount::from_sat(5_000);
    let bare = payment(&coin, &to, FEE);
    let theft = Key::new(9).pay(&coin, &to, FEE);
    for tx in [forged, bare, theft] {
        let fault = |answer: Result<String, (i64, String)>| {
            let (code, words) = answer.unwrap_err();
            let inside = words.split_once('(').unwrap().1.split("), input").next().unwrap();
            (code, inside.trim_end_matches(')').to_owned())
        };
        let [dev, real] = pair.send(&tx).await;
        assert_eq!(fault(dev), fault(real));
    }
    let confirmed = key.pay(&pair.coin(3), &to, FEE);
    pair.confirm(std::slice::from_ref(&confirmed)).await;
    let [dev, real] = pair.send(&confirmed).await;
    assert_eq!((dev.unwrap_err().0, real.unwrap_err().0), (-27, -27));
    let [dev, real] = pair.send(&key.pay(&coin, &key.pkh(), FEE)).await;
    assert!(dev.is_ok() && dev == real, "{dev:?} {real:?}");
}

/// The same claims on both programs.
macro_rules! on_both {
    ($($claim:ident),+) => {
        mod litecoind {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(super::Mweb::Never.into()).await;
            })+
        }
        mod bitcoind {
            $(#[tokio::test]
            async fn $claim() {
                super::$claim(super::Program::Bitcoind).await;
            })+
        }
    };
}

on_both!(
    wrong_blocks_are_refused_for_the_same_reasons,
    both_change_branches_together,
    blocks_that_the_development_chain_fills_are_taken,
    transactions_are_taken_and_refused_alike
);

/// On `litecoind` alone: the `bitcoind` of the tests has no wallet.
#[tokio::test]
async fn each_signs_what_the_other_takes() {
    let pair = Pair::with_blocks(Mweb::Never.into(), 60, 60).await;
    pair.real.make_wallet().await;
    let script = |address: &str| {
        let params = pair.dev.params.chain_params().unwrap();
        bitcoin::ScriptBuf::from_bytes(gruve_chain::script_for_address(&params, address).unwrap())
    };
    let kinds = ["bech32", "legacy"];
    let mut funding = Vec::new();
    for (kind, height) in kinds.into_iter().zip(1..) {
        let address = pair.real.new_address(kind).await;
        funding.push(pair.key.pay(&pair.coin(height), &script(&address), FEE));
    }
    let own = pair.dev.get("getnewaddress", json!([]));
    let own = own.as_str().unwrap();
    funding.push(pair.key.pay(&pair.coin(3), &script(own), FEE));
    pair.confirm(&funding).await;

    let sent = pair.dev.get("sendtoaddress", json!([pair.address(), 1.5]));
    let raw = pair.dev.get("getrawtransaction", json!([sent]));
    assert_eq!(pair.real.call("sendrawtransaction", json!([raw])).await, sent);

    // More than one coin holds, so that both kinds of input are signed.
    let sent = pair.real.call("sendtoaddress", json!([own, 75])).await;
    let raw = pair.real.call("getrawtransaction", json!([sent])).await;
    let tx: Transaction = from_hex(raw.as_str().unwrap());
    assert_eq!(tx.input.iter().filter(|i| i.witness.is_empty()).count(), 1);
    assert_eq!(tx.input.iter().filter(|i| !i.witness.is_empty()).count(), 1);
    assert_eq!(pair.dev.get("sendrawtransaction", json!([raw])), sent);
    let block = pair.confirm(&[]).await;
    assert_eq!(block.txdata.len(), 3);
    assert_eq!(pair.dev.get("getreceivedbyaddress", json!([own])).to_string(), "124.99999000");
}
