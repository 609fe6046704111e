//! Transactions of ours that pay no customer: what is above the hot wallet's cap goes to the operator's cold
//! address, and many small coins become one while fees are low.
//!
//! A move is a batch like a payout's, without payouts: planned, signed, sent and confirmed by the same steps,
//! so that a crash anywhere sends the same bytes again and nothing twice. One of each kind is under way at a
//! time. Promises: what pending payouts need stays; the network's fee is the operator's and is booked as such
//! when a block has it; what was moved is booked as cold then, and not before.

use crate::blocks::{Standing, newest};
use crate::books::Draft;
use crate::funding::read_coin;
use crate::keys::Keychain;
use crate::select::{INPUTS_MAX, Wish, choose, output_weight};
use crate::strangers::is_locked;
use crate::transaction::{self, Coin};
use crate::treasury::Wallet;
use crate::{Rate, Result, Treasury, sql};
use bdk_coin_select::{TX_FIXED_FIELD_WEIGHT, TXIN_BASE_WEIGHT};
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params, transact};
use gruve_units::{Asset, PayoutId};

/// When the hot wallet gives coins to a cold address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPolicy {
    /// The cold address; its keys are not this house's.
    pub address: String,
    /// What it is on the chain: an output script, or an account's twenty bytes.
    pub script: Vec<u8>,
    /// The hot wallet's cap, minor units beside what pending payouts need: above it a sweep is made.
    pub above: i64,
    /// What a sweep leaves, minor units beside what pending payouts need.
    pub keep: i64,
}

/// When many small coins are made one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatherPolicy {
    /// From so many spendable coins.
    pub coins_min: u32,
    /// Only while the network asks for no more than this.
    pub rate_max: Rate,
}

/// Coins gathered at once: 100 inputs are some 7 kB, signed in a blink and relayed everywhere.
const GATHER_MAX: u32 = 100;

/// Coins looked at for a sweep, the largest first.
const COINS_MAX: u32 = 500;

/// Rounds in which a sweep's amount is lowered by its own fee.
const ROUNDS_MAX: u32 = 4;

/// What open transactions will take from the hot account: payouts, moves, and fees of the operator's.
pub(crate) async fn promised(tx: &mut Tx, asset: Asset) -> Result<i64> {
    let in_flight = balance(tx, &Account::PayoutsInFlight, asset).await?.minor;
    let row = tx.fetch_one(sql::OPEN_COSTS, &params![asset]).await?;
    Ok(in_flight.saturating_add(row.get("minor")?))
}

/// What payouts that wait will need.
pub(crate) async fn pending(tx: &mut Tx, asset: Asset) -> Result<i64> {
    Ok(tx.fetch_one(sql::PENDING_PAYOUTS, &params![asset]).await?.get("minor")?)
}

pub(crate) async fn is_under_way(tx: &mut Tx, asset: Asset, kind: &'static str) -> Result<bool> {
    Ok(tx.fetch_optional(sql::OPEN_MOVE, &params![asset, kind]).await?.is_some())
}

impl SweepPolicy {
    /// What is to be swept of `free` beside `pending`; `None` below the cap.
    pub(crate) fn surplus(&self, free: i64, pending: i64) -> Option<i64> {
        let own = free.saturating_sub(pending);
        (own > self.above).then(|| own.saturating_sub(self.keep)).filter(|s| *s > 0)
    }
}

/// A move ready to be stored.
struct Move {
    kind: &'static str,
    amount: i64,
    script: Option<Vec<u8>>,
    coins: Vec<Coin>,
    outputs: Vec<(Vec<u8>, i64)>,
    fee: i64,
}

impl Treasury {
    /// Plans a sweep, or a gathering, where the operator wants one; gives its id.
    pub(crate) async fn plan_move(&self, wallet: &Wallet, rate: Rate) -> Result<Option<[u8; 16]>> {
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        let planned = transact!(self.0.store, tx -> Result<bool> => {
            if is_locked(tx, wallet.asset()).await? {
                return Ok(false);
            }
            let mut planned = self.sweep(tx, wallet, rate).await?;
            if planned.is_none() {
                planned = self.gathering(tx, wallet, rate).await?;
            }
            let Some(planned) = planned else { return Ok(false) };
            self.store_move(tx, wallet.asset(), batch, &planned).await?;
            self.passing("move planned, before commit")?;
            Ok(true)
        })?;
        self.passing("move planned, after commit")?;
        Ok(planned.then_some(batch))
    }

    async fn sweep(&self, tx: &mut Tx, wallet: &Wallet, rate: Rate) -> Result<Option<Move>> {
        let asset = wallet.asset();
        let Some(policy) = &wallet.sweep else { return Ok(None) };
        if is_under_way(tx, asset, "sweep").await? {
            return Ok(None);
        }
        let Some((top, _)) = newest(tx, asset).await? else { return Ok(None) };
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        let free = hot.saturating_sub(promised(tx, asset).await?);
        // Most steps end here, before the waiting payouts are summed.
        if free <= policy.above {
            return Ok(None);
        }
        let Some(surplus) = policy.surplus(free, pending(tx, asset).await?) else {
            return Ok(None);
        };
        let rows = tx.fetch_all(sql::SPENDABLE, &params![asset, top.height, COINS_MAX]).await?;
        let coins: Vec<Coin> = rows.iter().map(read_coin).collect::<Result<_>>()?;
        let values: Vec<i64> = coins.iter().map(|c| c.value).collect();
        let spendable: i64 = values.iter().take(INPUTS_MAX).sum();
        let costs = wallet.costs(rate, &wallet.fixed[0].1);
        let dust = wallet.policy.dust(&policy.script);
        let mut amount = surplus.min(spendable);
        for _ in 0..ROUNDS_MAX {
            if amount < dust {
                return Ok(None);
            }
            let wish = Wish { amount, fee_max: 0, script_len: policy.script.len() };
            match choose(&values, &[wish], &costs) {
                Ok(c) if amount + c.operator_fee <= surplus => {
                    let mut outputs = vec![(policy.script.clone(), amount)];
                    if let Some(change) = c.change {
                        let (_, script) = self.new_address(tx, asset, Keychain::Change).await?;
                        outputs.push((script, change));
                    }
                    let coins = c.inputs.iter().map(|&i| coins[i]).collect();
                    let (kind, script) = ("sweep", Some(policy.script.clone()));
                    return Ok(Some(Move { kind, amount, script, coins, outputs, fee: c.fee }));
                }
                Ok(c) => amount -= c.operator_fee,
                Err(short) => amount -= short.missing,
            }
        }
        Ok(None)
    }

    async fn gathering(&self, tx: &mut Tx, wallet: &Wallet, rate: Rate) -> Result<Option<Move>> {
        let asset = wallet.asset();
        let Some(policy) = wallet.gather.filter(|p| rate <= p.rate_max) else { return Ok(None) };
        // Payouts need the coins more.
        if is_under_way(tx, asset, "gather").await? || pending(tx, asset).await? > 0 {
            return Ok(None);
        }
        let Some((top, _)) = newest(tx, asset).await? else { return Ok(None) };
        let key = params![asset, top.height];
        let count: u32 = tx.fetch_one(sql::COUNT_SPENDABLE, &key).await?.get("n")?;
        if count < policy.coins_min.max(2) {
            return Ok(None);
        }
        let input = TXIN_BASE_WEIGHT + wallet.keys.satisfaction_weight_max();
        let values = params![asset, top.height, rate.fee(input), GATHER_MAX];
        let rows = tx.fetch_all(sql::SMALLEST, &values).await?;
        let coins: Vec<Coin> = rows.iter().map(read_coin).collect::<Result<_>>()?;
        if coins.len() < 2 {
            return Ok(None);
        }
        let script_len = wallet.fixed[0].1.len();
        let weight =
            TX_FIXED_FIELD_WEIGHT + 8 + 2 + input * coins.len() as u64 + output_weight(script_len);
        let fee = rate.fee(weight);
        let left = coins.iter().map(|c| c.value).sum::<i64>() - fee;
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        let free = hot.saturating_sub(promised(tx, asset).await?);
        if left < wallet.policy.dust(&wallet.fixed[0].1) || free < fee {
            return Ok(None);
        }
        let (_, script) = self.new_address(tx, asset, Keychain::Change).await?;
        let outputs = vec![(script, left)];
        Ok(Some(Move { kind: "gather", amount: 0, script: None, coins, outputs, fee }))
    }

    async fn store_move(&self, tx: &mut Tx, asset: Asset, batch: [u8; 16], m: &Move) -> Result<()> {
        let plan = transaction::to_bytes(&transaction::build(&m.coins, &m.outputs)?);
        let values = params![batch, asset, plan, m.fee, m.fee, self.now()];
        tx.execute(sql::INSERT_BATCH, &values).await?;
        reserve(tx, asset, batch, &m.coins).await?;
        let values = params![batch, asset, m.kind, m.amount, m.script.as_deref()];
        tx.execute(sql::INSERT_MOVE, &values).await?;
        Ok(())
    }

    /// Books what a move of a block took to the cold address, or takes it back.
    pub(crate) async fn book_move(
        &self,
        tx: &mut Tx,
        standing: &Standing,
        batch: [u8; 16],
        is_undone: bool,
    ) -> Result<()> {
        let Some(row) = tx.fetch_optional(sql::MOVE, &params![batch]).await? else {
            return Ok(());
        };
        let amount: i64 = row.get("amount")?;
        if amount == 0 {
            return Ok(());
        }
        let (from, to, kind) = if is_undone {
            (Account::ChainCold, Account::ChainHot, "treasury-swept-undone")
        } else {
            (Account::ChainHot, Account::ChainCold, "treasury-swept")
        };
        let what = if is_undone { "swept-undone" } else { "swept" };
        Draft::new(standing.asset)
            .debit(to, amount)
            .credit(from, amount)
            .post(tx, kind, standing.reason(what, &hex::encode(batch)), standing.now)
            .await
    }
}

/// Reserves coins for a transaction of ours.
pub(crate) async fn reserve(
    tx: &mut Tx,
    asset: Asset,
    batch: [u8; 16],
    coins: &[Coin],
) -> Result<()> {
    for coin in coins {
        let keychain = coin.keychain.number();
        let values = params![asset, coin.txid, coin.vout, coin.value, keychain, coin.index, batch];
        tx.execute(sql::RESERVE, &values).await?;
    }
    Ok(())
}
