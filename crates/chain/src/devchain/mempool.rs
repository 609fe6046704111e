//! Transactions waiting for a block. The policy is Core's in outline: a least fee, final, no
//! conflicts (no replacement), short chains of unconfirmed parents, a bounded size. What is here
//! can all stand in the next block.
//!
//! It is not persisted: a restart forgets it.

use super::check::{MAX_BLOCK_WEIGHT, check_transaction, is_final, value_of};
use super::connect::{Coin, Coins, Place, check_spend};
use super::reject::Reject;
use super::script::Strictness;
use bitcoin::{OutPoint, Transaction, Txid, Wtxid};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The heaviest transaction relayed (Core's `MAX_STANDARD_TX_WEIGHT`).
const MAX_TX_WEIGHT: u64 = 400_000;
/// The smallest transaction relayed without its witness (CVE-2017-12842).
const MIN_TX_BYTES: usize = 65;
/// The most weighed signature operations in a relayed transaction: a fifth of a block's.
const MAX_TX_SIGOPS_COST: usize = 16_000;
/// The longest chain of unconfirmed transactions, up or down, itself counted (Core's limit).
pub(crate) const MAX_CHAIN: usize = 25;
/// Weight of all transactions together: five full blocks, some 100 MB of memory at worst.
pub(crate) const MAX_POOL_WEIGHT: u64 = 5 * MAX_BLOCK_WEIGHT as u64;

/// A waiting transaction.
#[derive(Clone, Debug)]
pub(crate) struct PoolEntry {
    /// It.
    pub(crate) tx: Transaction,
    /// Its id.
    pub(crate) txid: Txid,
    /// Its id with witness.
    pub(crate) wtxid: Wtxid,
    /// What it pays to the miner.
    pub(crate) fee: i64,
    /// Its weight.
    pub(crate) weight: u64,
    /// Its weighed signature operations.
    pub(crate) sigops: usize,
    /// When it came, in seconds.
    pub(crate) time: i64,
    /// The height of the tip when it came.
    pub(crate) height: u32,
    /// Its place in the order of arrival; parents come before children.
    pub(crate) sequence: u64,
    /// Parents that wait as well.
    pub(crate) parents: Vec<Txid>,
}

impl PoolEntry {
    /// Virtual size: a quarter of the weight, rounded up.
    #[must_use]
    pub(crate) const fn vsize(&self) -> u64 {
        self.weight.div_ceil(4)
    }
}

/// Why a transaction was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PoolRefusal {
    /// It spends outputs that are not there: they may be spent, or not seen yet.
    MissingInputs,
    /// It breaks a rule.
    Rule(Reject),
}

impl From<Reject> for PoolRefusal {
    fn from(reject: Reject) -> Self {
        PoolRefusal::Rule(reject)
    }
}

/// The waiting transactions.
#[derive(Default)]
pub(crate) struct Mempool {
    entries: HashMap<Txid, PoolEntry>,
    by_sequence: BTreeMap<u64, Txid>,
    spent_by: HashMap<OutPoint, Txid>,
    weight: u64,
    next_sequence: u64,
}

impl Mempool {
    /// The waiting transaction with an id.
    #[must_use]
    pub(crate) fn get(&self, txid: &Txid) -> Option<&PoolEntry> {
        self.entries.get(txid)
    }

    /// All, oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &PoolEntry> {
        self.by_sequence.values().filter_map(|txid| self.entries.get(txid))
    }

    /// How many wait.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Their virtual size.
    #[must_use]
    pub(crate) fn vsize(&self) -> u64 {
        self.iter().map(PoolEntry::vsize).sum()
    }

    /// Which waiting transaction spends an output.
    #[must_use]
    pub(crate) fn spender(&self, point: &OutPoint) -> Option<Txid> {
        self.spent_by.get(point).copied()
    }

    /// An output of a waiting transaction.
    #[must_use]
    pub(crate) fn output(&self, point: &OutPoint) -> Option<&bitcoin::TxOut> {
        self.entries.get(&point.txid)?.tx.output.get(usize::try_from(point.vout).ok()?)
    }

    /// A transaction's waiting ancestors, itself left out.
    #[must_use]
    pub(crate) fn ancestors(&self, parents: &[Txid]) -> HashSet<Txid> {
        self.closure(parents, |entry| entry.parents.clone())
    }

    /// A transaction's waiting descendants, itself left out.
    #[must_use]
    pub(crate) fn descendants(&self, txid: &Txid) -> HashSet<Txid> {
        self.closure(&self.children(txid), |entry| self.children(&entry.txid))
    }

    /// The waiting transactions that spend outputs of one.
    #[must_use]
    pub(crate) fn children(&self, txid: &Txid) -> Vec<Txid> {
        let Some(entry) = self.entries.get(txid) else { return Vec::new() };
        let mut found: Vec<Txid> = (0u32..)
            .zip(&entry.tx.output)
            .filter_map(|(vout, _)| self.spender(&OutPoint { txid: *txid, vout }))
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    fn closure(&self, from: &[Txid], next: impl Fn(&PoolEntry) -> Vec<Txid>) -> HashSet<Txid> {
        let mut seen = HashSet::new();
        let mut pending = from.to_vec();
        while let Some(txid) = pending.pop() {
            if let Some(entry) = self.entries.get(&txid).filter(|_| seen.insert(txid)) {
                pending.extend(next(entry));
            }
        }
        seen
    }

    /// Whether a transaction may wait for the next block at `place`; gives its entry.
    ///
    /// # Errors
    /// What stands against it, in Core's words and order.
    pub(crate) fn check(
        &self,
        tx: Transaction,
        coins: &Coins,
        place: &Place<'_>,
        now: i64,
    ) -> Result<PoolEntry, PoolRefusal> {
        let params = place.params;
        check_transaction(&tx, params)?;
        if tx.is_coinbase() {
            return Err(Reject::new("coinbase").into());
        }
        check_standard(&tx, place)?;
        if !is_final(&tx, place.height, place.median_time) {
            return Err(Reject::new("non-final").into());
        }
        let txid = tx.compute_txid();
        let wtxid = tx.compute_wtxid();
        if let Some(known) = self.entries.get(&txid) {
            let same = known.wtxid == wtxid;
            return Err(Reject::new(if same {
                "txn-already-in-mempool"
            } else {
                "txn-same-nonwitness-data-in-mempool"
            })
            .into());
        }
        if tx.input.iter().any(|i| self.spent_by.contains_key(&i.previous_output)) {
            return Err(Reject::new("txn-mempool-conflict").into());
        }
        let mut spent = Vec::with_capacity(tx.input.len());
        let mut parents = Vec::new();
        for input in &tx.input {
            let point = &input.previous_output;
            if let Some(coin) = coins.get(point) {
                spent.push(coin.clone());
            } else if let Some(out) = self.output(point) {
                spent.push(Coin { out: out.clone(), height: place.height, coinbase: false });
                parents.push(point.txid);
            } else {
                return Err(PoolRefusal::MissingInputs);
            }
        }
        parents.sort_unstable();
        parents.dedup();
        let weight = tx.weight().to_wu();
        let checked = check_spend(&tx, &spent, place, Strictness::Relay)?;
        if checked.sigops > MAX_TX_SIGOPS_COST {
            return Err(Reject::new("bad-txns-too-many-sigops").into());
        }
        let least = fee_for(params.relay_fee_per_kvb, weight.div_ceil(4));
        if checked.fee < least {
            let detail = format!("{} < {least}", checked.fee);
            return Err(Reject::with("min relay fee not met", detail).into());
        }
        let ancestors = self.ancestors(&parents);
        let too_long = ancestors.len() + 1 > MAX_CHAIN
            || ancestors.iter().any(|a| self.descendants(a).len() + 2 > MAX_CHAIN);
        if too_long {
            let detail = format!("more than {MAX_CHAIN} unconfirmed in a chain");
            return Err(Reject::with("too-long-mempool-chain", detail).into());
        }
        if self.weight + weight > MAX_POOL_WEIGHT {
            return Err(Reject::new("mempool full").into());
        }
        Ok(PoolEntry {
            fee: checked.fee,
            sigops: checked.sigops,
            weight,
            time: now,
            height: place.height.saturating_sub(1),
            sequence: self.next_sequence,
            parents,
            txid,
            wtxid,
            tx,
        })
    }

    /// Adds an entry that [`Mempool::check`] gave and nothing has changed since.
    pub(crate) fn add(&mut self, entry: PoolEntry) {
        for input in &entry.tx.input {
            self.spent_by.insert(input.previous_output, entry.txid);
        }
        self.weight += entry.weight;
        self.next_sequence = self.next_sequence.max(entry.sequence + 1);
        self.by_sequence.insert(entry.sequence, entry.txid);
        self.entries.insert(entry.txid, entry);
    }

    /// Drops what a block on the tip has confirmed, and what conflicts with it.
    pub(crate) fn confirmed(&mut self, txs: &[Transaction]) {
        for tx in txs {
            self.remove(&tx.compute_txid());
        }
        for tx in txs {
            for input in &tx.input {
                if let Some(loser) = self.spender(&input.previous_output) {
                    for child in self.descendants(&loser) {
                        self.remove(&child);
                    }
                    self.remove(&loser);
                }
            }
        }
        // Confirmed parents are no longer waited for.
        let gone: HashSet<Txid> = txs.iter().map(Transaction::compute_txid).collect();
        for entry in self.entries.values_mut() {
            entry.parents.retain(|parent| !gone.contains(parent));
        }
    }

    /// Empties it, giving the transactions with the times they came, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<(Transaction, i64)> {
        let order: Vec<Txid> = self.by_sequence.values().copied().collect();
        self.by_sequence.clear();
        self.spent_by.clear();
        self.weight = 0;
        order.iter().filter_map(|id| self.entries.remove(id)).map(|e| (e.tx, e.time)).collect()
    }

    fn remove(&mut self, txid: &Txid) {
        let Some(entry) = self.entries.remove(txid) else { return };
        for input in &entry.tx.input {
            self.spent_by.remove(&input.previous_output);
        }
        self.by_sequence.remove(&entry.sequence);
        self.weight -= entry.weight;
    }
}

/// The fee for a virtual size at a rate per 1000, rounded up.
#[must_use]
pub(crate) fn fee_for(per_kvb: i64, vsize: u64) -> i64 {
    let size = i64::try_from(vsize).unwrap_or(i64::MAX);
    per_kvb.saturating_mul(size).saturating_add(999) / 1000
}

/// Core's `IsStandardTx`, in the parts that matter to a payer: versions, sizes, dust, one data
/// output.
fn check_standard(tx: &Transaction, place: &Place<'_>) -> Result<(), Reject> {
    if !(1..=2).contains(&tx.version.0) {
        return Err(Reject::new("version"));
    }
    if tx.weight().to_wu() > MAX_TX_WEIGHT {
        return Err(Reject::new("tx-size"));
    }
    for input in &tx.input {
        if input.script_sig.len() > 1650 {
            return Err(Reject::new("scriptsig-size"));
        }
        if !input.script_sig.is_push_only() {
            return Err(Reject::new("scriptsig-not-pushonly"));
        }
    }
    let mut data_outputs = 0;
    for out in &tx.output {
        let script = &out.script_pubkey;
        if script.is_op_return() {
            data_outputs += 1;
            if script.len() > 83
                || !bitcoin::Script::from_bytes(&script.as_bytes()[1..]).is_push_only()
            {
                return Err(Reject::new("scriptpubkey"));
            }
            continue;
        }
        let standard = script.is_p2pkh()
            || script.is_p2sh()
            || script.is_p2pk()
            || script.is_multisig()
            || script.is_witness_program();
        if !standard {
            return Err(Reject::new("scriptpubkey"));
        }
        let dust = if place.params.segwit {
            // Core's rule at three times its relay fee of 1000 per kvB.
            i64::try_from(script.minimal_non_dust().to_sat()).unwrap_or(i64::MAX)
        } else {
            // Dogecoin's hard dust limit: a thousandth of a coin.
            100_000
        };
        if value_of(out) < dust {
            return Err(Reject::new("dust"));
        }
    }
    if data_outputs > 1 {
        return Err(Reject::new("multi-op-return"));
    }
    if tx.base_size() < MIN_TX_BYTES {
        return Err(Reject::new("tx-size-small"));
    }
    Ok(())
}
