//! Wrong blocks of ours, one for every rule, each beside the good one that it was made from.

use crate::devchain_support::wrong::{Scene, wrong_block};
use crate::devchain_support::{
    Funds, Key, commitment_output, set_commitment, set_root, solve as search,
};
use crate::locks::{Coin, Lock};
use crate::mine::{self, Mine, coins_of, value_of};
use crate::real_node::{Program, RealNode};
use bitcoin::absolute::LockTime;
use bitcoin::{Block, Script, ScriptBuf, Sequence, Transaction, TxOut, Witness};
use gruve_chain::devchain::DevParams;
use gruve_chain::{Job, Node, SubmitOutcome, Template};
use gruve_units::{Algorithm, Asset, Clock, SystemClock};
use serde_json::json;

const FEE: u64 = 1_000;
/// Until then no coin of the tests opens.
const FAR: u32 = 400_000_000;

/// A wrong block and the node's word on it.
struct Case {
    why: &'static str,
    reason: String,
    block: Vec<u8>,
}

/// What wrong blocks are made from.
struct Stage {
    mine: Mine,
    params: DevParams,
    key: Key,
    /// Coins that good blocks leave alone: one of each lock.
    coins: Vec<Coin>,
    /// Another such coin, of a coinbase.
    idle: Funds,
    /// Spent by a transaction whose coin is still there.
    spent: Funds,
    /// Made by the tip.
    young: Coin,
}

impl Stage {
    async fn set() -> Stage {
        let real = RealNode::start(Program::Bitcoind, None).await;
        let mut mine = Mine::new(Program::Bitcoind, real);
        mine.generate(300).await;
        let key = Key::new(1);
        let funds = |coin: &Coin| Funds { point: coin.point, out: coin.out.clone() };
        let spent = funds(&mine.coinbase(1).await);
        mine.send(&key.pay(&spent, &key.wpkh(), FEE)).await;
        let until = Lock::Until(LockTime::from_consensus(FAR));
        let locks = [&Lock::USUAL[..], &[until, Lock::After(Sequence::from_height(60_000))]];
        let locks = locks.concat();
        let part = 5_000_000_000 / u64::try_from(locks.len()).unwrap() - FEE;
        let outputs = locks.iter().map(|lock| mine.holder.output(*lock, part)).collect();
        let tx = mine.holder.spend(&[mine.coinbase(2).await], outputs);
        mine.send(&tx).await;
        mine.mine(&[Lock::P2wpkh]).await;
        let coins = coins_of(&tx, &locks);
        let idle = funds(&mine.coinbase(4).await);
        let young = coins[0].clone();
        let params = DevParams::new(Asset::Btc, Algorithm::Sha256d);
        Stage { mine, params, key, coins, idle, spent, young }
    }

    /// Two payments, and a job on the template with them.
    async fn next(&mut self, round: usize) -> (Job, Vec<u8>) {
        let first = u64::try_from(2 * round + 5).unwrap();
        let mut paid = Vec::new();
        for height in [first, first + 1] {
            let coin = self.mine.coinbase(height).await;
            let out = self.mine.holder.output(Lock::P2wpkh, coin.out.value.to_sat() - FEE);
            let tx = self.mine.holder.spend(&[coin], vec![out]);
            self.mine.send(&tx).await;
            paid.extend(coins_of(&tx, &[Lock::P2wpkh]));
        }
        let job = self.mine.job(&[Lock::P2wpkh]).await;
        self.young = paid.swap_remove(0);
        let block = mine::solve(&job, &self.mine.params);
        (job, block)
    }

    async fn submit(&self, block: &[u8]) -> SubmitOutcome {
        self.mine.node.submit_block(block).await.unwrap()
    }

    /// The `n`th case of all that there are.
    async fn case(&self, n: usize, job: &Job, good: &[u8], young: &Coin) -> Option<Case> {
        let block: Block = bitcoin::consensus::deserialize(good).unwrap();
        let height = u32::try_from(job.height()).unwrap();
        let immature = self.mine.coinbase(job.height() - 50).await;
        let funds = |coin: &Coin| Funds { point: coin.point, out: coin.out.clone() };
        let info = self.mine.real.call("getblockchaininfo", json!([])).await;
        let scene = Scene {
            params: &self.params,
            key: &self.key,
            good: &block,
            height,
            fee: FEE,
            median_time: u32::try_from(info["mediantime"].as_u64().unwrap()).unwrap(),
            now: SystemClock.now().secs(),
            coin: &self.idle,
            young: &funds(young),
            immature: &funds(&immature),
            spent: &self.spent,
        };
        if let Some(wrong) = wrong_block(&scene, n) {
            let block = bitcoin::consensus::serialize(&wrong.block);
            let reason = wrong.reason.replace("mandatory-script", "block-script");
            return Some(Case { why: wrong.why, reason, block });
        }
        let shared = (0..).take_while(|n| wrong_block(&scene, *n).is_some()).count();
        let of_ours = self.misread_templates(job);
        if n - shared < of_ours.len() {
            return of_ours.into_iter().nth(n - shared);
        }
        self.with_transactions(&block).into_iter().nth(n - shared - of_ours.len())
    }

    /// What our own jobs would be if templates were misread.
    fn misread_templates(&self, job: &Job) -> Vec<Case> {
        let case = |reason: &str, why, change: &dyn Fn(&mut Template)| {
            let mut template = Template::clone(job.template());
            change(&mut template);
            let pay_to = vec![(job.pay_to()[0].0.clone(), template.coinbase_value)];
            let block = mine::solve(&mine::job(template, pay_to), &self.mine.params);
            Case { why, reason: reason.to_owned(), block }
        };
        vec![
            case("bad-cb-amount", "one minor unit more", &|t| t.coinbase_value += 1),
            case("bad-cb-height", "the height before", &|t| t.height -= 1),
            case("bad-witness-merkle-match", "another commitment", &|t| {
                t.witness_commitment.as_mut().unwrap()[20] ^= 1;
            }),
            case("unexpected-witness", "no commitment", &|t| t.witness_commitment = None),
            case("time-too-old", "a second too early", &|t| {
                t.min_time -= 1;
                t.cur_time = t.min_time;
            }),
            case("prev-blk-not-found", "a block that never was", &|t| t.prev_hash = [9; 32]),
            case("bad-diffbits", "another target", &|t| t.bits = 0x207f_fffe),
            case("bad-txnmrklroot", "two ids exchanged", &|t| {
                let id = t.txs[0].txid;
                t.txs[0].txid = std::mem::replace(&mut t.txs[1].txid, id);
            }),
            case("bad-cb-amount", "a transaction left out", &|t| {
                t.txs.pop();
                let ids: Vec<_> = t.txs.iter().map(|tx| tx.wtxid).collect();
                let script = gruve_chain::template::witness_commitment_script(&ids);
                t.witness_commitment = Some(script);
            }),
        ]
    }

    fn coin(&self, lock: Lock) -> Coin {
        let is_it =
            |coin: &&Coin| std::mem::discriminant(&coin.lock) == std::mem::discriminant(&lock);
        self.coins.iter().find(is_it).unwrap().clone()
    }

    /// Coins opened wrongly, and more that no single transaction is to blame for.
    fn with_transactions(&self, good: &Block) -> Vec<Case> {
        let holder = &self.mine.holder;
        let mend = |why, reason: String, change: &dyn Fn(&mut Block)| {
            let mut block = good.clone();
            change(&mut block);
            set_root(&mut block);
            search(&mut block, &self.params);
            Case { why, reason, block: bitcoin::consensus::serialize(&block) }
        };
        let opened = |lock, why, fault: &str, change: &dyn Fn(&mut Transaction)| {
            let coin = self.coin(lock);
            let out = holder.output(Lock::P2wpkh, coin.out.value.to_sat() - FEE);
            let mut tx = holder.spend(&[coin], vec![out]);
            change(&mut tx);
            mend(why, format!("block-script-verify-flag-failed ({fault})"), &|block| {
                block.txdata.push(tx.clone());
                set_commitment(block);
            })
        };
        let until = Lock::Until(LockTime::ZERO);
        let after = Lock::After(Sequence::ZERO);
        let witness = |tx: &mut Transaction, change: &dyn Fn(&mut Vec<Vec<u8>>)| {
            let mut items = tx.input[0].witness.to_vec();
            change(&mut items);
            tx.input[0].witness = Witness::from_slice(&items);
        };
        vec![
            opened(Lock::P2pk, "a signature of another transaction", NOT_TRUE, &|tx| {
                tx.output[0].value = bitcoin::Amount::from_sat(FEE);
            }),
            opened(
                Lock::P2pkh,
                "a signature that is no DER",
                "Non-canonical DER signature",
                &|tx| {
                    let mut script = tx.input[0].script_sig.to_bytes();
                    script[1] ^= 1;
                    tx.input[0].script_sig = script.into();
                },
            ),
            opened(Lock::BareMultisig, "a dummy that is not empty", DUMMY, &|tx| {
                let mut script = vec![0x51];
                script.extend_from_slice(&tx.input[0].script_sig.as_bytes()[1..]);
                tx.input[0].script_sig = script.into();
            }),
            opened(Lock::P2shMultisig, "another script than the hash's", NOT_TRUE, &|tx| {
                let script = tx.input[0].script_sig.to_bytes();
                tx.input[0].script_sig = [&script[..script.len() - 1], &[0xad]].concat().into();
            }),
            opened(Lock::P2wpkh, "a script where none may be", EMPTY_SCRIPT_SIG, &|tx| {
                tx.input[0].script_sig = ScriptBuf::from_bytes(vec![0x51]);
            }),
            opened(Lock::P2wsh, "one signature for two", STACK, &|tx| {
                witness(tx, &|items| drop(items.remove(1)));
            }),
            opened(Lock::P2wsh, "another script than the hash's", MISMATCH, &|tx| {
                witness(tx, &|items| items[3][0] = 0x51);
            }),
            opened(Lock::P2shP2wpkh, "no witness", MISMATCH, &|tx| {
                tx.input[0].witness.clear();
            }),
            opened(Lock::P2pkh, "a witness that nothing asks for", UNASKED_WITNESS, &|tx| {
                tx.input[0].witness.push([1]);
            }),
            opened(Lock::TaprootKey, "a signature with one bit changed", SCHNORR, &|tx| {
                witness(tx, &|items| items[0][40] ^= 1);
            }),
            opened(Lock::TaprootScript, "a leaf that is not in the tree", MISMATCH, &|tx| {
                witness(tx, &|items| items[2].push(0x61));
            }),
            opened(Lock::TaprootScript, "one signature for two", NOT_TRUE, &|tx| {
                witness(tx, &|items| items[0].clear());
            }),
            opened(until, "before its time (BIP 65)", LOCKTIME, &|tx| {
                tx.lock_time = LockTime::ZERO;
            }),
            opened(after, "before its age (BIP 112)", LOCKTIME, &|tx| {
                tx.input[0].sequence = Sequence::from_height(0);
            }),
            mend("no coinbase", "bad-cb-missing".to_owned(), &|block| {
                block.txdata.remove(0);
            }),
            mend("a coinbase script of one byte", "bad-cb-length".to_owned(), &|block| {
                block.txdata[0].input[0].script_sig = vec![0x51].into();
            }),
            mend("a child before its parent", MISSING.to_owned(), &|block| {
                let [parent, child] = self.family();
                block.txdata.extend([child, parent]);
                set_commitment(block);
            }),
            mend("a later commitment", "bad-witness-merkle-match".to_owned(), &|block| {
                let mut second = commitment_output(block).clone();
                let mut script = second.script_pubkey.to_bytes();
                script[30] ^= 1;
                second.script_pubkey = script.into();
                block.txdata[0].output.push(second);
            }),
            mend("20,001 operations by P2SH", "bad-blk-sigops".to_owned(), &|block| {
                block.txdata.extend(self.costly());
                set_commitment(block);
            }),
        ]
    }

    /// A payment and another that spends it.
    fn family(&self) -> [Transaction; 2] {
        let holder = &self.mine.holder;
        let pay = |coin: Coin| {
            let out = holder.output(Lock::P2wpkh, coin.out.value.to_sat() - FEE);
            holder.spend(&[coin], vec![out])
        };
        let parent = pay(self.coin(Lock::P2wpkh));
        let child = pay(coins_of(&parent, &[Lock::P2wpkh]).remove(0));
        [parent, child]
    }

    /// Makes and spends coins whose signature operations show only in what spends them: 20 for each
    /// of 1,001 inputs.
    fn costly(&self) -> [Transaction; 2] {
        let holder = &self.mine.holder;
        let redeem = Script::from_bytes(&[0x63, 0xae, 0x68, 0x51]); // IF CHECKMULTISIG ENDIF 1
        let coin = self.coin(Lock::P2wpkh);
        let part = TxOut { script_pubkey: redeem.to_p2sh(), value: bitcoin::Amount::from_sat(1) };
        let made = holder.spend(&[coin], vec![part; 1_001]);
        let mut spent = made.clone();
        spent.input = (0..1_001)
            .map(|vout| bitcoin::TxIn {
                previous_output: bitcoin::OutPoint { txid: made.compute_txid(), vout },
                script_sig: vec![0, 4, 0x63, 0xae, 0x68, 0x51].into(),
                sequence: Sequence::MAX,
                witness: Witness::new(),
            })
            .collect();
        spent.output.truncate(1);
        [made, spent]
    }
}

const NOT_TRUE: &str = "Script evaluated without error but finished with a false/empty top stack \
                        element";
const DUMMY: &str = "Dummy CHECKMULTISIG argument must be zero";
const EMPTY_SCRIPT_SIG: &str = "Witness requires empty scriptSig";
const STACK: &str = "Operation not valid with the current stack size";
const MISMATCH: &str = "Witness program hash mismatch";
const UNASKED_WITNESS: &str = "Witness provided for non-witness script";
const SCHNORR: &str = "Invalid Schnorr signature";
const LOCKTIME: &str = "Locktime requirement not satisfied";
const MISSING: &str = "bad-txns-inputs-missingorspent";

#[tokio::test]
async fn every_wrong_block_is_refused_for_its_reason_beside_a_good_one() {
    let mut stage = Stage::set().await;
    let mut faults = Vec::new();
    let mut cases = 0;
    loop {
        let young = stage.young.clone();
        let (job, good) = stage.next(cases).await;
        let tip = stage.mine.node.tip().await.unwrap();
        let Some(case) = stage.case(cases, &job, &good, &young).await else { break };
        let outcome = stage.submit(&case.block).await;
        if outcome != SubmitOutcome::Rejected(case.reason.clone()) {
            faults.push(format!("{} ({}): {outcome:?}", case.why, case.reason));
        }
        assert_eq!(stage.mine.node.tip().await.unwrap(), tip, "{} was taken", case.why);
        assert_eq!(stage.submit(&good).await, SubmitOutcome::Accepted, "after {}", case.why);
        assert_eq!(stage.mine.node.tip().await.unwrap().height, job.height());
        assert_eq!(stage.submit(&good).await, SubmitOutcome::Duplicate);
        stage.mine.expected.clear();
        cases += 1;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(cases, 65, "none is left out");
}

#[tokio::test]
async fn a_refused_block_is_refused_again_and_so_is_what_stands_on_it() {
    let mut stage = Stage::set().await;
    let (job, good) = stage.next(0).await;
    let mut greedy = Template::clone(job.template());
    greedy.coinbase_value += 1;
    let pay_to = vec![(job.pay_to()[0].0.clone(), greedy.coinbase_value)];
    let wrong = mine::solve(&mine::job(greedy.clone(), pay_to.clone()), &stage.mine.params);
    let refused = |why: &str| SubmitOutcome::Rejected(why.to_owned());
    assert_eq!(stage.submit(&wrong).await, refused("bad-cb-amount"));
    assert_eq!(stage.submit(&wrong).await, refused("duplicate-invalid"));
    let mut child = greedy;
    child.prev_hash = gruve_pow::sha256d(&wrong[..80]);
    child.height += 1;
    child.min_time += 1;
    let child = mine::solve(&mine::job(child, pay_to), &stage.mine.params);
    assert_eq!(stage.submit(&child).await, refused("bad-prevblk"));
    for cut in [0, 79, 80, 100, good.len() - 1] {
        assert_eq!(stage.submit(&good[..cut]).await, refused("Block decode failed"), "{cut}");
    }
    assert_eq!(stage.submit(&good).await, SubmitOutcome::Accepted);
    assert_eq!(value_of(std::slice::from_ref(&stage.young)), 5_000_000_000 - FEE);
}
