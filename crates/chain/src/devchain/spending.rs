//! What the built-in wallet owns, and how it pays: coins from the chain and the mempool, real
//! transactions, the same acceptance as everyone's.

use super::check::value_of;
use super::connect::Coin;
use super::mempool::fee_for;
use super::state::State;
use super::wallet::OWN_INDEX;
use bitcoin::absolute::LockTime;
use bitcoin::transaction::Version;
use bitcoin::{Amount, OutPoint, ScriptBuf, Sequence, Transaction, TxIn, TxOut, Witness};

/// Most coins in one payment: half of a standard transaction's weight.
const MAX_INPUTS: usize = 700;
/// Virtual bytes of an input spending P2WPKH and P2PKH with the longest low-S signature, and of
/// all else in a payment with two outputs, rounded up.
const WITNESS_INPUT_VBYTES: u64 = 69;
const LEGACY_INPUT_VBYTES: u64 = 149;
const REST_VBYTES: u64 = 11 + 2 * 43;

impl State {
    /// An output of a waiting transaction, as a coin of the next block.
    pub(crate) fn unconfirmed_output(&self, point: &OutPoint) -> Option<Coin> {
        let out = self.pool.output(point)?.clone();
        Some(Coin { out, height: self.chain.height() + 1, coinbase: false })
    }

    /// Whether an output is a coinbase's that the next block may not spend yet.
    pub(crate) fn is_immature(&self, point: &OutPoint) -> bool {
        self.chain.coins.get(point).is_some_and(|coin| {
            let depth = (self.chain.height() + 1).saturating_sub(coin.height);
            coin.coinbase && depth < self.chain.params.coinbase_maturity
        })
    }

    /// Whether a script is the one the wallet's change goes to.
    pub(crate) fn is_change(&self, script: &ScriptBuf) -> bool {
        *script == self.wallet.script(OWN_INDEX)
    }

    /// The wallet's spendable coins at least so deep; unconfirmed ones (depth 0) only where the
    /// wallet itself made them. Largest first.
    pub(crate) fn own_coins(&self, least_depth: i64) -> Vec<(OutPoint, TxOut)> {
        let mut found = Vec::new();
        for script in self.wallet.scripts() {
            for receipt in self.chain.receipts(script) {
                let depth = i64::from(self.chain.height() - receipt.height) + 1;
                let point = receipt.point;
                let Some(coin) = self.chain.coins.get(&point) else { continue };
                if depth >= least_depth
                    && self.pool.spender(&point).is_none()
                    && !self.is_immature(&point)
                {
                    found.push((point, coin.out.clone()));
                }
            }
        }
        if least_depth <= 0 {
            for entry in self.pool.iter() {
                let own = entry.tx.input.iter().all(|input| self.is_own(&input.previous_output));
                for (vout, out) in (0u32..).zip(&entry.tx.output) {
                    let point = OutPoint { txid: entry.txid, vout };
                    let free = self.pool.spender(&point).is_none();
                    if own && free && self.wallet.owns(&out.script_pubkey) {
                        found.push((point, out.clone()));
                    }
                }
            }
        }
        found.sort_by(|(pa, a), (pb, b)| value_of(b).cmp(&value_of(a)).then(pa.cmp(pb)));
        found
    }

    /// Whether the output spent by a waiting transaction was the wallet's.
    fn is_own(&self, point: &OutPoint) -> bool {
        let confirmed = self.chain.coins.get(point).map(|coin| &coin.out);
        confirmed
            .or_else(|| self.pool.output(point))
            .is_some_and(|out| self.wallet.owns(&out.script_pubkey))
    }

    /// A signed payment of `amount` to `to`; `None` when the wallet has too little. Confirmed
    /// coins go first, so that chains of unconfirmed ones stay short.
    pub(crate) fn pay(&self, to: ScriptBuf, amount: i64) -> Option<Transaction> {
        let mut coins = self.own_coins(1);
        coins.extend(
            self.own_coins(0).into_iter().filter(|(p, _)| !self.chain.coins.contains_key(p)),
        );
        let params = &self.chain.params;
        let input_size = if params.segwit { WITNESS_INPUT_VBYTES } else { LEGACY_INPUT_VBYTES };
        let change_script = self.wallet.script(OWN_INDEX);
        let mut chosen: Vec<(OutPoint, TxOut)> = Vec::new();
        let mut total = 0i64;
        for coin in coins.into_iter().take(MAX_INPUTS) {
            total = total.saturating_add(value_of(&coin.1));
            chosen.push(coin);
            let vsize = REST_VBYTES + input_size * chosen.len() as u64;
            let fee = fee_for(params.wallet_fee_per_kvb, vsize);
            let Some(change) = total.checked_sub(amount).and_then(|r| r.checked_sub(fee)) else {
                continue;
            };
            if change < 0 {
                continue;
            }
            return self.finish(&chosen, to, amount, change_script, change);
        }
        None
    }

    fn finish(
        &self,
        chosen: &[(OutPoint, TxOut)],
        to: ScriptBuf,
        amount: i64,
        change_script: ScriptBuf,
        change: i64,
    ) -> Option<Transaction> {
        let pay = |value: i64, script_pubkey: ScriptBuf| {
            let value = Amount::from_sat(u64::try_from(value).ok()?);
            Some(TxOut { value, script_pubkey })
        };
        let mut output = vec![pay(amount, to)?];
        // Change not worth its keeping goes to the miner: a thousandth of a Dogecoin, or ten
        // times what a relaying node calls dust.
        let least = if self.chain.params.segwit { 3_000 } else { 100_000 };
        if change >= least {
            output.push(pay(change, change_script)?);
        }
        let input = chosen.iter().map(|(previous_output, _)| TxIn {
            previous_output: *previous_output,
            script_sig: ScriptBuf::new(),
            sequence: Sequence::ENABLE_LOCKTIME_NO_RBF,
            witness: Witness::new(),
        });
        let tx = Transaction {
            version: Version::TWO,
            lock_time: LockTime::ZERO,
            input: input.collect(),
            output,
        };
        let spent: Vec<TxOut> = chosen.iter().map(|(_, out)| out.clone()).collect();
        self.wallet.sign(tx, &spent)
    }
}
