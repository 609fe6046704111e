//! A chain in memory, independent of the code under test: it decides what is valid, verifies every
//! signature, and is asked at the end who was paid how often.

use bitcoin::hashes::Hash;
use bitcoin::secp256k1::{Message, PublicKey, Secp256k1, VerifyOnly, ecdsa};
use bitcoin::sighash::{EcdsaSighashType, SighashCache};
use bitcoin::{Amount, ScriptBuf, Transaction};
use gruve_chain::{LeanBlock, LeanOutput, LeanTx, SendOutcome};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

pub type OutPoint = ([u8; 32], u32);

/// A reproducible source of choices (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
struct State {
    /// Place is height.
    blocks: Vec<LeanBlock>,
    /// The chain as it was before the newest reorganisation: what an answer under way may still say.
    earlier: Vec<LeanBlock>,
    mempool: Vec<LeanTx>,
    serial: u64,
    /// Transactions as they are written, by id: those of the house, and of who pays it.
    bytes: BTreeMap<[u8; 32], Vec<u8>>,
    /// Every transaction of the house that was ever accepted, by what it spends.
    spenders: BTreeMap<OutPoint, BTreeSet<[u8; 32]>>,
}

pub struct FakeChain {
    state: Mutex<State>,
    secp: Secp256k1<VerifyOnly>,
    maturity: u64,
}

/// Inputs that begin so come from elsewhere and always exist.
const ELSEWHERE: u8 = 0xee;

impl FakeChain {
    pub fn new(maturity: u64) -> FakeChain {
        let chain =
            FakeChain { state: Mutex::default(), secp: Secp256k1::verification_only(), maturity };
        chain.mine(&[0x51], |_| true);
        chain
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn height(&self) -> u64 {
        self.lock().blocks.len() as u64 - 1
    }

    pub fn block(&self, height: u64) -> Option<LeanBlock> {
        self.lock().blocks.get(usize::try_from(height).unwrap()).cloned()
    }

    /// The hash at a height as it was told before the newest reorganisation.
    pub fn earlier_hash(&self, height: u64) -> Option<[u8; 32]> {
        self.lock().earlier.get(usize::try_from(height).unwrap()).map(|b| b.hash)
    }

    /// A block by its hash: nodes keep those that a reorganisation has left behind.
    pub fn block_of(&self, hash: &[u8; 32]) -> Option<LeanBlock> {
        let s = self.lock();
        s.blocks.iter().chain(&s.earlier).find(|b| b.hash == *hash).cloned()
    }

    /// A block as nodes write it, with those of its transactions whose bytes are known.
    pub fn block_bytes(&self, hash: &[u8; 32]) -> Option<Vec<u8>> {
        let s = self.lock();
        let block = s.blocks.iter().find(|b| b.hash == *hash)?;
        let known: Vec<&Vec<u8>> = block.txs.iter().filter_map(|t| s.bytes.get(&t.txid)).collect();
        let count = bitcoin::VarInt::from(known.len());
        let ids = known.iter().map(|t| {
            let made: Transaction = bitcoin::consensus::deserialize(t).unwrap();
            made.compute_txid().to_raw_hash()
        });
        let root = bitcoin::merkle_tree::calculate_root(ids).unwrap();
        let mut bytes = vec![0; 80];
        bytes[36..68].copy_from_slice(root.as_byte_array());
        bytes.extend(bitcoin::consensus::serialize(&count));
        known.into_iter().for_each(|t| bytes.extend(t));
        Some(bytes)
    }

    /// Somebody elsewhere pays `value` to `script`; waits for a block. Gives the transaction's id.
    pub fn pay(&self, script: &[u8], value: i64) -> [u8; 32] {
        self.pay_all(&[(script.to_vec(), value)])
    }

    /// The same with several outputs.
    pub fn pay_all(&self, outputs: &[(Vec<u8>, i64)]) -> [u8; 32] {
        let mut s = self.lock();
        s.serial += 1;
        let mut from = [ELSEWHERE; 32];
        from[24..].copy_from_slice(&s.serial.to_be_bytes());
        let made = Transaction {
            version: bitcoin::transaction::Version::TWO,
            lock_time: bitcoin::absolute::LockTime::ZERO,
            input: vec![bitcoin::TxIn {
                previous_output: bitcoin::OutPoint::new(bitcoin::Txid::from_byte_array(from), 0),
                ..bitcoin::TxIn::default()
            }],
            output: outputs
                .iter()
                .map(|(script, value)| bitcoin::TxOut {
                    value: Amount::from_sat(u64::try_from(*value).unwrap()),
                    script_pubkey: ScriptBuf::from_bytes(script.clone()),
                })
                .collect(),
        };
        let txid = made.compute_txid().to_byte_array();
        s.bytes.insert(txid, bitcoin::consensus::serialize(&made));
        let outputs = outputs
            .iter()
            .map(|(script, value)| LeanOutput { value: *value, script: script.clone() })
            .collect();
        let inputs = vec![(from, 0)];
        s.mempool.push(LeanTx { txid, coinbase: false, hogex: false, inputs, outputs });
        txid
    }

    /// A payment that was forgotten is heard of again.
    pub fn pay_again(&self, script: &[u8], value: i64, txid: [u8; 32]) -> [u8; 32] {
        let made = self.pay(script, value);
        let mut s = self.lock();
        let tx = s.mempool.iter_mut().find(|t| t.txid == made).unwrap();
        tx.txid = txid;
        txid
    }

    /// Somebody has our keys: spends a coin of ours elsewhere, in the next block.
    pub fn steal(&self, coin: OutPoint) {
        self.spend(vec![coin], &[(vec![0x51], 1)]);
    }

    /// Somebody has our keys: spends coins of ours as he likes, in the next block.
    pub fn spend(&self, inputs: Vec<OutPoint>, outputs: &[(Vec<u8>, i64)]) {
        let mut s = self.lock();
        s.serial += 1;
        let mut txid = [0xcc; 32];
        txid[24..].copy_from_slice(&s.serial.to_be_bytes());
        let output =
            |(script, value): &(Vec<u8>, i64)| LeanOutput { value: *value, script: script.clone() };
        let outputs = outputs.iter().map(output).collect();
        // Before anything else that spends them.
        let tx = LeanTx { txid, coinbase: false, hogex: false, inputs, outputs };
        s.mempool.insert(0, tx);
    }

    /// Ids of all that waits.
    pub fn waiting_ids(&self) -> Vec<[u8; 32]> {
        self.lock().mempool.iter().map(|t| t.txid).collect()
    }

    /// A waiting transaction as it is written.
    pub fn waiting_bytes(&self, txid: &[u8; 32]) -> Option<Vec<u8>> {
        let s = self.lock();
        let waits = s.mempool.iter().any(|t| t.txid == *txid);
        s.bytes.get(txid).filter(|_| waits).cloned()
    }

    /// Forgets a waiting transaction, as when its sender has replaced it by another.
    pub fn forget(&self, txid: &[u8; 32]) {
        self.lock().mempool.retain(|t| t.txid != *txid);
    }

    /// Forgets all that waits.
    pub fn forget_all(&self) {
        self.lock().mempool.clear();
    }

    /// A block on the tip with the waiting transactions that are valid and wanted.
    pub fn mine(&self, coinbase_script: &[u8], mut wanted: impl FnMut(&LeanTx) -> bool) {
        let mut s = self.lock();
        s.serial += 1;
        let height = s.blocks.len() as u64;
        let mut coins = coins(&s.blocks);
        let made = coinbase(s.serial, coinbase_script);
        let txid = made.compute_txid().to_byte_array();
        s.bytes.insert(txid, bitcoin::consensus::serialize(&made));
        let outputs = vec![LeanOutput { value: 5_000_000_000, script: coinbase_script.to_vec() }];
        let inputs = vec![([0; 32], u32::MAX)];
        let mut txs = vec![LeanTx { txid, coinbase: true, hogex: false, inputs, outputs }];
        let waiting = std::mem::take(&mut s.mempool);
        for tx in waiting {
            let valid = tx.inputs.iter().all(|i| {
                i.0[0] == ELSEWHERE && !spent_elsewhere(&s.blocks, &txs, i)
                    || coins.get(i).is_some_and(|c| {
                        c.coinbase_height.is_none_or(|h| h + self.maturity <= height)
                    })
            });
            if valid && wanted(&tx) {
                for input in &tx.inputs {
                    coins.remove(input);
                }
                add_coins(&mut coins, &tx, height);
                txs.push(tx);
            } else {
                s.mempool.push(tx);
            }
        }
        let mut hash = [0xb0; 32];
        hash[24..].copy_from_slice(&s.serial.to_be_bytes());
        let prev = s.blocks.last().map_or([0; 32], |b| b.hash);
        let time = 1_700_000_000 + u32::try_from(height).unwrap() * 600;
        s.blocks.push(LeanBlock { header: [0; 80], hash, prev, time, bits: 0x207f_ffff, txs });
    }

    /// Takes the newest `depth` blocks away; what was in them waits again, before all others.
    pub fn rewind(&self, depth: u64) {
        let mut s = self.lock();
        let depth = usize::try_from(depth).unwrap();
        let keep = s.blocks.len().saturating_sub(depth).max(1);
        s.earlier = s.blocks.clone();
        let gone = s.blocks.split_off(keep);
        let mut waiting: Vec<LeanTx> =
            gone.into_iter().flat_map(|b| b.txs).filter(|t| !t.coinbase).collect();
        waiting.append(&mut s.mempool);
        s.mempool = waiting;
    }

    /// What a node does with a transaction sent to it.
    pub fn send(&self, bytes: &[u8]) -> SendOutcome {
        let tx: Transaction = bitcoin::consensus::deserialize(bytes).unwrap();
        let txid = tx.compute_txid().to_byte_array();
        let mut s = self.lock();
        let known = s.blocks.iter().flat_map(|b| &b.txs).chain(&s.mempool).any(|t| t.txid == txid);
        if known {
            return SendOutcome::AlreadyKnown;
        }
        let coins = coins(&s.blocks);
        let mut sum = 0;
        for (at, input) in tx.input.iter().enumerate() {
            let outpoint = (input.previous_output.txid.to_byte_array(), input.previous_output.vout);
            let Some(coin) = coins.get(&outpoint) else {
                return SendOutcome::Rejected("bad-txns-inputs-missingorspent".into());
            };
            self.verify(&tx, at, coin);
            sum += coin.value;
        }
        let lean = lean(&tx);
        let paid: i64 = lean.outputs.iter().map(|o| o.value).sum();
        assert!(sum > paid, "a transaction without a fee");
        assert!(tx.weight().to_wu() <= 400_000, "a transaction no node relays");
        // BIP 125: a replacement pays for what it replaces, and for its own relaying.
        let mut replaced = 0;
        for other in s.mempool.iter().filter(|t| conflicts(t, &lean)) {
            let had: i64 = other.inputs.iter().filter_map(|i| coins.get(i)).map(|c| c.value).sum();
            replaced += had - other.outputs.iter().map(|o| o.value).sum::<i64>();
        }
        let relayed = i64::try_from(tx.weight().to_wu().div_ceil(4)).unwrap();
        if s.mempool.iter().any(|t| conflicts(t, &lean)) && sum - paid < replaced + relayed {
            return SendOutcome::Rejected("insufficient fee, rejecting replacement".into());
        }
        s.mempool.retain(|t| !conflicts(t, &lean));
        for input in &lean.inputs {
            s.spenders.entry(*input).or_default().insert(txid);
        }
        s.bytes.insert(txid, bytes.to_vec());
        s.mempool.push(lean);
        SendOutcome::Accepted
    }

    /// Checks a signature as the network does: version 0 witness public key hash only.
    fn verify(&self, tx: &Transaction, at: usize, coin: &Coin) {
        let script = ScriptBuf::from_bytes(coin.script.clone());
        let witness = &tx.input[at].witness;
        let public = PublicKey::from_slice(&witness[1]).unwrap();
        let hash = bitcoin::PublicKey::new(public).wpubkey_hash().unwrap();
        assert_eq!(script, ScriptBuf::new_p2wpkh(&hash), "another key's coin");
        let (kind, der) = witness[0].split_last().unwrap();
        assert_eq!(*kind, 1);
        let value = Amount::from_sat(u64::try_from(coin.value).unwrap());
        let digest = SighashCache::new(tx)
            .p2wpkh_signature_hash(at, &script, value, EcdsaSighashType::All)
            .unwrap();
        let signature = ecdsa::Signature::from_der(der).unwrap();
        let message = Message::from_digest(digest.to_byte_array());
        self.secp.verify_ecdsa(&message, &signature, &public).unwrap();
    }

    /// Every payment to a script in the best chain: id, value, height.
    pub fn payments_to(&self, script: &[u8]) -> Vec<([u8; 32], i64, u64)> {
        let s = self.lock();
        let mut payments = Vec::new();
        for (height, block) in s.blocks.iter().enumerate() {
            for tx in &block.txs {
                for output in tx.outputs.iter().filter(|o| o.script == script) {
                    payments.push((tx.txid, output.value, height as u64));
                }
            }
        }
        payments
    }

    /// Unspent outputs of the best chain whose script is in `scripts`.
    pub fn unspent(&self, scripts: &BTreeSet<Vec<u8>>) -> i64 {
        let coins = coins(&self.lock().blocks);
        coins.values().filter(|c| scripts.contains(&c.script)).map(|c| c.value).sum()
    }

    /// The same one by one: where each is, its value, and the height of its block.
    pub fn coins_of(&self, scripts: &BTreeSet<Vec<u8>>) -> Vec<(OutPoint, i64, u64)> {
        let s = self.lock();
        let unspent = coins(&s.blocks);
        let mut found = Vec::new();
        for (height, tx) in
            s.blocks.iter().enumerate().flat_map(|(h, b)| b.txs.iter().map(move |t| (h, t)))
        {
            for vout in 0..u32::try_from(tx.outputs.len()).unwrap() {
                let point = (tx.txid, vout);
                if let Some(coin) = unspent.get(&point).filter(|c| scripts.contains(&c.script)) {
                    found.push((point, coin.value, height as u64));
                }
            }
        }
        found
    }

    /// What an output of the best chain holds, if no block spends it.
    pub fn value_of(&self, point: &OutPoint) -> Option<i64> {
        coins(&self.lock().blocks).get(point).map(|c| c.value)
    }

    /// Whether neither a block nor what waits spends an output of a block.
    pub fn is_unspent(&self, point: &OutPoint) -> bool {
        let s = self.lock();
        let is_there = coins(&s.blocks).contains_key(point);
        is_there && !s.mempool.iter().any(|t| t.inputs.contains(point))
    }

    /// What the transactions of the best chain that pay to `script` left to the network.
    pub fn fee_of(&self, txid: &[u8; 32]) -> i64 {
        let s = self.lock();
        let all = || s.blocks.iter().flat_map(|b| &b.txs);
        let tx = all().find(|t| t.txid == *txid).unwrap();
        let value = |i: &OutPoint| {
            let made = all().find(|t| t.txid == i.0).unwrap();
            made.outputs[usize::try_from(i.1).unwrap()].value
        };
        let paid: i64 = tx.outputs.iter().map(|o| o.value).sum();
        tx.inputs.iter().map(value).sum::<i64>() - paid
    }

    /// Transactions waiting for a block.
    pub fn waiting(&self) -> usize {
        self.lock().mempool.len()
    }

    /// Waiting transactions that pay to `script`.
    pub fn ids_waiting_for(&self, script: &[u8]) -> Vec<[u8; 32]> {
        let s = self.lock();
        let pays = |t: &&LeanTx| t.outputs.iter().any(|o| o.script == script);
        s.mempool.iter().filter(pays).map(|t| t.txid).collect()
    }

    /// What the waiting transactions spend.
    pub fn waiting_inputs(&self) -> Vec<OutPoint> {
        self.lock().mempool.iter().flat_map(|t| t.inputs.clone()).collect()
    }

    /// Transactions that pay to `script`, in the best chain or waiting.
    pub fn ids_paying(&self, script: &[u8]) -> BTreeSet<[u8; 32]> {
        let s = self.lock();
        let all = s.blocks.iter().flat_map(|b| &b.txs).chain(&s.mempool);
        all.filter(|t| t.outputs.iter().any(|o| o.script == script)).map(|t| t.txid).collect()
    }
}

/// A coinbase; no two are the same.
fn coinbase(serial: u64, script: &[u8]) -> Transaction {
    Transaction {
        version: bitcoin::transaction::Version::TWO,
        lock_time: bitcoin::absolute::LockTime::ZERO,
        input: vec![bitcoin::TxIn {
            script_sig: bitcoin::script::Builder::new()
                .push_slice(serial.to_be_bytes())
                .into_script(),
            ..bitcoin::TxIn::default()
        }],
        output: vec![bitcoin::TxOut {
            value: Amount::from_sat(5_000_000_000),
            script_pubkey: ScriptBuf::from_bytes(script.to_vec()),
        }],
    }
}

/// Whether two transactions spend a coin in common.
fn conflicts(one: &LeanTx, other: &LeanTx) -> bool {
    one.inputs.iter().any(|i| other.inputs.contains(i))
}

struct Coin {
    value: i64,
    script: Vec<u8>,
    coinbase_height: Option<u64>,
}

fn add_coins(coins: &mut BTreeMap<OutPoint, Coin>, tx: &LeanTx, height: u64) {
    for (vout, output) in tx.outputs.iter().enumerate() {
        let coinbase_height = tx.coinbase.then_some(height);
        let coin = Coin { value: output.value, script: output.script.clone(), coinbase_height };
        coins.insert((tx.txid, u32::try_from(vout).unwrap()), coin);
    }
}

fn coins(blocks: &[LeanBlock]) -> BTreeMap<OutPoint, Coin> {
    let mut coins = BTreeMap::new();
    for (height, block) in blocks.iter().enumerate() {
        for tx in &block.txs {
            for input in &tx.inputs {
                coins.remove(input);
            }
            add_coins(&mut coins, tx, height as u64);
        }
    }
    coins
}

fn spent_elsewhere(blocks: &[LeanBlock], now: &[LeanTx], input: &OutPoint) -> bool {
    blocks.iter().flat_map(|b| &b.txs).chain(now).any(|t| t.inputs.contains(input))
}

fn lean(tx: &Transaction) -> LeanTx {
    LeanTx {
        txid: tx.compute_txid().to_byte_array(),
        coinbase: false,
        hogex: false,
        inputs: tx
            .input
            .iter()
            .map(|i| (i.previous_output.txid.to_byte_array(), i.previous_output.vout))
            .collect(),
        outputs: tx
            .output
            .iter()
            .map(|o| LeanOutput {
                value: i64::try_from(o.value.to_sat()).unwrap(),
                script: o.script_pubkey.to_bytes(),
            })
            .collect(),
    }
}
