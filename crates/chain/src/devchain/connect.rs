//! Rules that need coins: what a block does to the set of unspent outputs, and whether it may.
//! Pure: [`connect`] reads the coins and gives the effects; applying and undoing them is the
//! caller's. Order and reasons are those of Core's `CheckTxInputs` and `ConnectBlock`.

use super::check::{MAX_BLOCK_SIGOPS_COST, value_of, value_out};
use super::params::DevParams;
use super::reject::Reject;
use super::script::{Strictness, verify_input};
use bitcoin::sighash::SighashCache;
use bitcoin::{Block, OutPoint, Transaction, TxOut};
use std::collections::{HashMap, HashSet};

/// An unspent output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    /// The output.
    pub out: TxOut,
    /// The height of its block; for an output in the mempool, the height of the next block.
    pub height: u32,
    /// Whether a coinbase made it.
    pub coinbase: bool,
}

/// All unspent outputs.
pub type Coins = HashMap<OutPoint, Coin>;

/// What a block does to the coins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    /// Coins from before the block that are gone after it.
    pub spent: Vec<(OutPoint, Coin)>,
    /// Coins of the block that are there after it.
    pub created: Vec<(OutPoint, Coin)>,
    /// The fees its transactions pay.
    pub fees: i64,
}

impl Effects {
    /// Makes the change.
    pub fn apply(&self, coins: &mut Coins) {
        for (point, _) in &self.spent {
            coins.remove(point);
        }
        coins.extend(self.created.iter().cloned());
    }

    /// Takes the change back.
    pub fn undo(&self, coins: &mut Coins) {
        for (point, _) in &self.created {
            coins.remove(point);
        }
        coins.extend(self.spent.iter().cloned());
    }
}

/// Where a block or a transaction is to stand.
pub struct Place<'a> {
    /// The rules.
    pub params: &'a DevParams,
    /// The height of the (next) block.
    pub height: u32,
    /// The median time of its parent and the ten before.
    pub median_time: u32,
    /// The same for the parent of the block at a height of the active chain (BIP 68).
    pub median_time_before: &'a dyn Fn(u32) -> u32,
}

/// What an accepted transaction's inputs amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Inputs less outputs.
    pub fee: i64,
    /// Weighed signature operations.
    pub sigops: usize,
}

/// Whether one output can never be spent, so that it is not kept.
fn is_unspendable(out: &TxOut) -> bool {
    out.script_pubkey.is_op_return() || out.script_pubkey.len() > 10_000
}

/// The relative locks of BIP 68.
fn sequence_locks_hold(tx: &Transaction, spent: &[Coin], place: &Place<'_>) -> bool {
    const DISABLED: u32 = 1 << 31;
    const IN_TIME: u32 = 1 << 22;
    // Core compares the version as an unsigned number.
    if u32::from_ne_bytes(tx.version.0.to_ne_bytes()) < 2 {
        return true;
    }
    tx.input.iter().zip(spent).all(|(input, coin)| {
        let sequence = input.sequence.to_consensus_u32();
        let span = sequence & 0xffff;
        if sequence & DISABLED != 0 {
            true
        } else if sequence & IN_TIME != 0 {
            let from = i64::from((place.median_time_before)(coin.height));
            i64::from(place.median_time) > from + (i64::from(span) << 9) - 1
        } else {
            i64::from(place.height) > i64::from(coin.height) + i64::from(span) - 1
        }
    })
}

/// Whole coins as Core's `FormatMoney` writes them: at least two decimals, no more than needed.
fn in_coins(params: &DevParams, minor: i64) -> String {
    let mut text = gruve_units::Amount::new(params.asset, minor).decimal();
    let least = text.find('.').map_or(text.len(), |point| point + 3);
    while text.len() > least && text.ends_with('0') {
        text.pop();
    }
    text
}

/// Checks a transaction that is no coinbase against the coins it spends, in the order of its
/// inputs.
///
/// # Errors
/// Core's reason.
pub fn check_spend(
    tx: &Transaction,
    spent: &[Coin],
    place: &Place<'_>,
    strictness: Strictness,
) -> Result<Checked, Reject> {
    let params = place.params;
    let mut value_in = 0i64;
    for coin in spent {
        let depth = place.height.saturating_sub(coin.height);
        if coin.coinbase && depth < params.coinbase_maturity {
            let detail = format!("tried to spend coinbase at depth {depth}");
            return Err(Reject::with("bad-txns-premature-spend-of-coinbase", detail));
        }
        value_in = value_in.saturating_add(value_of(&coin.out));
        if value_in > params.max_money {
            return Err(Reject::new("bad-txns-inputvalues-outofrange"));
        }
    }
    let value_out = value_out(tx);
    if value_in < value_out {
        let (given, asked) = (in_coins(params, value_in), in_coins(params, value_out));
        let detail = format!("value in ({given}) < value out ({asked})");
        return Err(Reject::with("bad-txns-in-belowout", detail));
    }
    if !sequence_locks_hold(tx, spent, place) {
        return Err(match strictness {
            Strictness::Consensus => Reject::new("bad-txns-nonfinal"),
            Strictness::Relay => Reject::new("non-BIP68-final"),
        });
    }
    let mut cache = SighashCache::new(tx);
    for (index, coin) in spent.iter().enumerate() {
        verify_input(tx, &mut cache, index, &coin.out, strictness, params.segwit).map_err(
            |fault| Reject::said(format!("mandatory-script-verify-flag-failed ({fault})")),
        )?;
    }
    let by_point: HashMap<OutPoint, &TxOut> =
        tx.input.iter().map(|i| i.previous_output).zip(spent.iter().map(|c| &c.out)).collect();
    let sigops = tx.total_sigop_cost(|point| by_point.get(point).map(|out| (*out).clone()));
    Ok(Checked { fee: value_in - value_out, sigops })
}

/// What connecting `block` at `place` does to `coins`. The block has passed
/// [`super::check::check_block`] and [`super::check::check_block_at`].
///
/// # Errors
/// Core's reason.
pub fn connect(block: &Block, coins: &Coins, place: &Place<'_>) -> Result<Effects, Reject> {
    let mut made = Coins::new();
    let mut order: Vec<OutPoint> = Vec::new();
    let mut gone: HashSet<OutPoint> = HashSet::new();
    let mut effects = Effects::default();
    let mut sigops = 0usize;
    for tx in &block.txdata {
        let txid = tx.compute_txid();
        if (0u32..).zip(&tx.output).any(|(vout, _)| coins.contains_key(&OutPoint { txid, vout })) {
            let detail = "tried to overwrite transaction".into();
            return Err(Reject::with("bad-txns-BIP30", detail));
        }
    }
    for tx in &block.txdata {
        let coinbase = tx.is_coinbase();
        if coinbase {
            sigops += tx.total_sigop_cost(|_| None);
        } else {
            let mut spent = Vec::with_capacity(tx.input.len());
            for input in &tx.input {
                let point = input.previous_output;
                let before = coins.get(&point).filter(|_| !gone.contains(&point));
                let Some(coin) = made.get(&point).or(before) else {
                    let detail = "inputs missing/spent".into();
                    return Err(Reject::with("bad-txns-inputs-missingorspent", detail));
                };
                spent.push(coin.clone());
            }
            let checked = check_spend(tx, &spent, place, Strictness::Consensus)?;
            sigops += checked.sigops;
            effects.fees = effects.fees.saturating_add(checked.fee);
            if effects.fees > place.params.max_money {
                return Err(Reject::new("bad-txns-accumulated-fee-outofrange"));
            }
            for (input, coin) in tx.input.iter().zip(spent) {
                let point = input.previous_output;
                if made.remove(&point).is_none() {
                    gone.insert(point);
                    effects.spent.push((point, coin));
                }
            }
        }
        if sigops > MAX_BLOCK_SIGOPS_COST {
            return Err(Reject::with("bad-blk-sigops", "too many sigops".into()));
        }
        let txid = tx.compute_txid();
        for (out, vout) in tx.output.iter().zip(0u32..) {
            let point = OutPoint { txid, vout };
            if !is_unspendable(out) {
                made.insert(point, Coin { out: out.clone(), height: place.height, coinbase });
                order.push(point);
            }
        }
    }
    let allowed = place.params.subsidy_at(place.height).saturating_add(effects.fees);
    let taken = block.txdata.first().map_or(0, value_out);
    if taken > allowed {
        let detail = format!("coinbase pays too much (actual={taken} vs limit={allowed})");
        return Err(Reject::with("bad-cb-amount", detail));
    }
    effects.created =
        order.into_iter().filter_map(|point| made.remove(&point).map(|c| (point, c))).collect();
    Ok(effects)
}
