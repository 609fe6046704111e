//! Transactions of all usual kinds, round by round: every round is one block.

use crate::locks::{Coin, Holder, Lock};
use crate::mine::{Mine, coins_of, data_output, value_of};
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, Sequence, Transaction, TxOut};
use serde_json::json;

pub const FEE: u64 = 20_000;
/// What each split-off coin is worth.
const PART: u64 = 1_000_000;
/// Transactions that hang on each other: older nodes take 25 at the most.
const CHAIN: usize = 25;

/// What goes from block to block.
#[derive(Default)]
pub struct Traffic {
    /// Confirmed P2WPKH coins.
    cash: Vec<Coin>,
    /// Confirmed coins of the other locks.
    split: Vec<Coin>,
    /// For the next block.
    next: Vec<Transaction>,
    /// Locked in time.
    locked: Vec<Locked>,
    /// Made in this round, with the locks of their outputs.
    made: Vec<(Transaction, Vec<Lock>)>,
    /// Whether this round's coins are spent one by one.
    is_single: bool,
    /// Locks of coins spent so far.
    pub opened: Vec<Lock>,
    /// Transactions that the node refused because their time had not come.
    pub too_early: usize,
}

struct Locked {
    tx: Transaction,
    lock: Lock,
}

impl Traffic {
    /// The largest.
    fn cash(&mut self) -> Coin {
        self.cash.sort_by_key(|coin| coin.out.value);
        self.cash.pop().expect("more is mined than spent")
    }

    /// The round's block is there: what was made in it may be spent.
    pub fn confirm(&mut self) {
        for (tx, locks) in std::mem::take(&mut self.made) {
            for coin in coins_of(&tx, &locks) {
                if coin.lock == Lock::P2wpkh { &mut self.cash } else { &mut self.split }.push(coin);
            }
        }
    }

    pub fn is_done(&self) -> bool {
        self.locked.is_empty() && self.next.is_empty()
    }

    /// What every round has: coins that matured become one of each lock; those of the round before
    /// are spent, together or one by one.
    pub async fn usual(&mut self, mine: &mut Mine, matured: &[Coin], locks: &[Lock]) {
        let holder = Holder::new();
        let old = std::mem::take(&mut self.split);
        self.opened.extend(matured.iter().chain(&old).map(|coin| coin.lock));
        let mut outputs: Vec<_> = locks.iter().map(|lock| holder.output(*lock, PART)).collect();
        let parts = PART * u64::try_from(locks.len()).unwrap();
        outputs.push(holder.output(Lock::P2wpkh, value_of(matured) - parts - FEE));
        let split = holder.spend(matured, outputs);
        mine.send(&split).await;
        self.made.push((split, [locks, &[Lock::P2wpkh]].concat()));
        self.is_single = !self.is_single;
        for coins in old.chunks(if self.is_single { 1 } else { old.len().max(1) }) {
            let out = holder.output(Lock::P2wpkh, value_of(coins) - FEE);
            let sweep = holder.spend(coins, vec![out]);
            mine.send(&sweep).await;
            self.made.push((sweep, vec![Lock::P2wpkh]));
        }
        self.send_next(mine).await;
        for locked in std::mem::take(&mut self.locked) {
            if let Some(why) = mine.refusal(&locked.tx).await {
                assert!(why.contains("non-final") || why.contains("non-BIP68-final"), "{why}");
                self.too_early += 1;
                self.locked.push(locked);
            } else {
                mine.expected.push(locked.tx.compute_txid());
                self.opened.push(locked.lock);
            }
        }
    }

    /// What was left for this block.
    pub async fn send_next(&mut self, mine: &mut Mine) {
        for tx in std::mem::take(&mut self.next) {
            mine.send(&tx).await;
        }
    }

    /// A payment is replaced by one that pays more; only the second is mined.
    pub async fn replacement(&mut self, mine: &mut Mine) {
        let (holder, coin) = (Holder::new(), self.cash());
        let pay = |lock, fee| {
            let out = holder.output(lock, coin.out.value.to_sat() - fee);
            holder.spend(std::slice::from_ref(&coin), vec![out])
        };
        let first = pay(Lock::P2pkh, FEE);
        mine.send(&first).await;
        mine.expected.pop();
        let second = pay(Lock::P2wpkh, 3 * FEE);
        mine.send(&second).await;
        assert!(mine.refusal(&first).await.is_some(), "both are there");
        self.made.push((second, vec![Lock::P2wpkh]));
    }

    /// Each spends the one before; the first pays nearly nothing, the last for all.
    pub async fn chain(&mut self, mine: &mut Mine, least_fee: u64) {
        let holder = Holder::new();
        let mut coin = self.cash();
        for step in 1..=CHAIN {
            let fee = if step == CHAIN { 40 * FEE } else { least_fee };
            let out = holder.output(Lock::P2wpkh, coin.out.value.to_sat() - fee);
            let tx = holder.spend(&[coin], vec![out]);
            mine.send(&tx).await;
            coin = coins_of(&tx, &[Lock::P2wpkh]).remove(0);
            if step == CHAIN {
                self.made.push((tx, vec![Lock::P2wpkh]));
            }
        }
    }

    /// A parent without fee and its child, which pays for both through an anchor worth nothing
    /// (BIP 431 transactions, sent as a package).
    pub async fn anchored(&mut self, mine: &mut Mine) {
        let (holder, paid) = (Holder::new(), self.cash());
        let three = Version(3);
        let value = paid.out.value.to_sat();
        let outputs = vec![holder.output(Lock::P2wpkh, value), holder.output(Lock::Anchor, 0)];
        let parent = holder.spend_as(three, &[paid], outputs);
        let anchor = coins_of(&parent, &[Lock::P2wpkh, Lock::Anchor]).remove(1);
        let fee = self.cash();
        let out = holder.output(Lock::P2wpkh, fee.out.value.to_sat() - FEE);
        let child = holder.spend_as(three, &[anchor, fee], vec![out]);
        let package = [&parent, &child].map(bitcoin::consensus::encode::serialize_hex);
        let answer = mine.real.call("submitpackage", json!([package])).await;
        assert_eq!(answer["package_msg"], "success", "{answer}");
        mine.expected.extend([&parent, &child].map(Transaction::compute_txid));
        self.made.push((parent, vec![Lock::P2wpkh]));
        self.made.push((child, vec![Lock::P2wpkh]));
    }

    /// Coins that open at a height, at a time, and with an age in blocks and in time. `time` is the
    /// median of the last blocks; without it the two by height only.
    pub async fn timelocks(&mut self, mine: &mut Mine, height: u32, time: Option<u32>) {
        let (holder, coin) = (Holder::new(), self.cash());
        let mut locks = vec![
            Lock::Until(LockTime::from_height(height + 3).unwrap()),
            Lock::After(Sequence::from_height(3)),
        ];
        if let Some(time) = time {
            locks.push(Lock::Until(LockTime::from_time(time + 3_000).unwrap()));
            locks.push(Lock::After(Sequence::from_512_second_intervals(4)));
        }
        let mut outputs: Vec<_> = locks.iter().map(|lock| holder.output(*lock, PART)).collect();
        let parts = PART * u64::try_from(locks.len()).unwrap();
        outputs.push(holder.output(Lock::P2wpkh, coin.out.value.to_sat() - parts - FEE));
        let tx = holder.spend(&[coin], outputs);
        mine.send(&tx).await;
        for coin in coins_of(&tx, &locks) {
            let (lock, out) = (coin.lock, holder.output(Lock::P2wpkh, PART - FEE));
            self.locked.push(Locked { tx: holder.spend(&[coin], vec![out]), lock });
        }
        let all = [&locks[..], &[Lock::P2wpkh]].concat();
        let change = coins_of(&tx, &all).pop().unwrap();
        self.next.push(holder.spend(
            std::slice::from_ref(&change),
            vec![holder.output(Lock::P2wpkh, change.out.value.to_sat() - FEE)],
        ));
    }

    /// Outputs that nobody can spend, of so many bytes each.
    pub async fn data(&mut self, mine: &mut Mine, bytes: &[usize]) {
        let (holder, coin) = (Holder::new(), self.cash());
        let mut outputs: Vec<_> = bytes.iter().map(|n| data_output(*n)).collect();
        let fee = FEE + u64::try_from(bytes.iter().sum::<usize>()).unwrap();
        outputs.insert(0, holder.output(Lock::P2wpkh, coin.out.value.to_sat() - fee));
        let tx = holder.spend(&[coin], outputs);
        mine.send(&tx).await;
        self.made.push((tx, vec![Lock::P2wpkh]));
    }

    /// For the next block: transactions with so many bytes each in their witness.
    pub async fn large_witnesses(&mut self, mine: &mut Mine, bytes: &[usize]) {
        let (holder, coin) = (Holder::new(), self.cash());
        let locks: Vec<Lock> = bytes.iter().map(|n| Lock::Data(*n)).collect();
        let mut outputs: Vec<_> = locks.iter().map(|lock| holder.output(*lock, PART)).collect();
        let parts = PART * u64::try_from(locks.len()).unwrap();
        outputs.push(holder.output(Lock::P2wpkh, coin.out.value.to_sat() - parts - FEE));
        let tx = holder.spend(&[coin], outputs);
        mine.send(&tx).await;
        for coin in coins_of(&tx, &locks) {
            self.opened.push(coin.lock);
            let out = holder.output(Lock::P2wpkh, PART / 2);
            self.next.push(holder.spend(&[coin], vec![out]));
        }
    }

    /// Transactions of 190 outputs that count twenty signature operations each.
    pub async fn sigops(&mut self, mine: &mut Mine, txs: usize) {
        let holder = Holder::new();
        for _ in 0..txs {
            let coin = self.cash();
            let costly = holder.output(Lock::BareMultisig, 2_000);
            let mut outputs = vec![costly; 190];
            let rest = coin.out.value.to_sat() - 190 * 2_000 - 10 * FEE;
            outputs.push(TxOut {
                value: Amount::from_sat(rest),
                script_pubkey: holder.script(Lock::P2wpkh),
            });
            mine.send(&holder.spend(&[coin], outputs)).await;
        }
    }

    /// For the next block: so many payments that do not hang on each other.
    pub async fn crowd(&mut self, mine: &mut Mine, payments: usize) {
        let holder = Holder::new();
        let outputs = vec![holder.output(Lock::P2pkh, PART / 10); payments];
        let coin = self.cash();
        let mut all = outputs;
        let parts = PART / 10 * u64::try_from(payments).unwrap();
        all.push(holder.output(Lock::P2wpkh, coin.out.value.to_sat() - parts - FEE));
        let made = holder.spend(&[coin], all);
        mine.send(&made).await;
        for coin in coins_of(&made, &vec![Lock::P2pkh; payments]) {
            let out = holder.output(Lock::P2wpkh, PART / 10 - 400);
            self.next.push(holder.spend(&[coin], vec![out]));
        }
    }
}
