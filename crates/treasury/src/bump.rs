//! A transaction that waits too long is signed again with a higher fee: the same coins, the same payments, less
//! change (BIP 125).
//!
//! Promises: each form spends all coins of the one before, so only one can confirm, and each pays every
//! payout to the unit what the first did; the operator bears what is added. The fee never passes the
//! policy's ceiling. Which form confirmed is found by what it spends and pays, and the books get its fee.

use crate::moves::promised;
use crate::select::Rate;
use crate::spends::{batch_row, payments_of};
use crate::strangers::is_locked;
use crate::transaction;
use crate::treasury::Wallet;
use crate::{Result, Treasury, TreasuryError, sql};
use bitcoin::Transaction;
use bitcoin::hashes::Hash;
use gruve_ledger::{Account, balance};
use gruve_store::{Tx, params, transact};

/// A transaction's outputs, as scripts and values.
fn outputs_of(plan: &Transaction) -> Result<Vec<(Vec<u8>, i64)>> {
    let read = |o: &bitcoin::TxOut| {
        let value = i64::try_from(o.value.to_sat());
        let value = value.map_err(|_| TreasuryError::Damaged("a value above what there is"))?;
        Ok((o.script_pubkey.to_bytes(), value))
    };
    plan.output.iter().map(read).collect()
}

/// What a transaction pays: scripts and minor units.
type Outputs = Vec<(Vec<u8>, i64)>;

/// The outputs of the next form and its fee; `None` where the change cannot bear it.
///
/// A form must pay more than the one before by at least what relaying it costs (BIP 125, rule 4), and as much as
/// the network asks.
fn next_form(
    mut outputs: Outputs,
    change: usize,
    fee: i64,
    weight: u64,
    (rate, step, ceiling): (Rate, Rate, Rate),
    dust: i64,
) -> Option<(Outputs, i64)> {
    let least = fee.saturating_add(step.fee(weight));
    let wanted = rate.fee(weight).max(least);
    let most = ceiling.fee(weight);
    if wanted > most {
        return None;
    }
    let left = outputs[change].1 - (wanted - fee);
    if left >= dust {
        outputs[change].1 = left;
        return Some((outputs, wanted));
    }
    // Without change the whole of it goes to the network, if that is not too much.
    let (_, all) = outputs.remove(change);
    let given = fee.saturating_add(all);
    (given >= least && given <= most && !outputs.is_empty()).then_some((outputs, given))
}

impl Treasury {
    /// Signs a transaction that has waited long enough once more with a higher fee; whether it did.
    pub(crate) async fn bump(&self, wallet: &Wallet, batch: [u8; 16], rate: Rate) -> Result<bool> {
        let bumped = transact!(self.0.store, tx -> Result<bool> => {
            let bumped = self.bump_in(tx, wallet, batch, rate).await?;
            self.passing("signed again, before commit")?;
            Ok(bumped)
        })?;
        self.passing("signed again, after commit")?;
        Ok(bumped)
    }

    async fn bump_in(
        &self,
        tx: &mut Tx,
        wallet: &Wallet,
        batch: [u8; 16],
        rate: Rate,
    ) -> Result<bool> {
        let (asset, now) = (wallet.asset(), self.now());
        let row = batch_row(tx, batch).await?;
        let Some(signed) =
            row.signed_tx.clone().filter(|_| row.state == "signed" || row.state == "broadcast")
        else {
            return Ok(false);
        };
        if is_locked(tx, asset).await? {
            return Ok(false);
        }
        let weight = transaction::from_bytes(&signed)?.weight().to_wu();
        if rate.fee(weight) <= row.fee {
            return Ok(false);
        }
        let plan = transaction::from_bytes(&row.unsigned_tx)?;
        let (coins, _) = self.coins_of(tx, &row, &plan).await?;
        if coins.len() != plan.input.len() {
            return Ok(false);
        }
        let outputs = outputs_of(&plan)?;
        let mut payments = payments_of(tx, batch).await?;
        let returns = |o: &(Vec<u8>, i64)| match payments.iter().position(|p| p == o) {
            Some(at) => {
                payments.swap_remove(at);
                false
            }
            None => true,
        };
        let Some(change) = outputs.iter().position(returns) else { return Ok(false) };
        let rates = (rate, wallet.policy.rate_floor, wallet.policy.rate_ceiling);
        let dust = wallet.policy.dust(&outputs[change].0);
        // What the newest form pays, not what the books last heard of: a reorganisation may have taken an earlier
        // form out of the chain.
        let paid =
            coins.iter().map(|c| c.value).sum::<i64>() - outputs.iter().map(|o| o.1).sum::<i64>();
        let next = next_form(outputs, change, paid, weight, rates, dust);
        let Some((outputs, fee)) = next else { return Ok(false) };
        let extra = fee - row.fee;
        let hot = balance(tx, &Account::ChainHot, asset).await?.minor;
        if hot.saturating_sub(promised(tx, asset).await?) < extra {
            return Ok(false);
        }
        let plan = transaction::build(&coins, &outputs)?;
        if wallet.keys.is_watching() {
            let fees = (fee, row.operator_fee + extra);
            self.order_form(tx, wallet, batch, &plan, fees).await?;
            // Nothing new is signed yet.
            return Ok(false);
        }
        let signed = transaction::sign(&plan, &coins, &wallet.keys)?;
        let txid = signed.compute_txid().to_byte_array();
        let (unsigned, signed) = (transaction::to_bytes(&plan), transaction::to_bytes(&signed));
        let values = params![batch, unsigned, signed, txid, fee, row.operator_fee + extra];
        if tx.execute(sql::SIGN_AGAIN, &values).await? != 1 {
            return Ok(false);
        }
        tx.execute(sql::INSERT_FORM, &params![batch, txid, fee, now]).await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEIGHT: u64 = 4_000;

    fn form(change: i64, fee: i64, rate: i64) -> Option<(i64, usize)> {
        let outputs = vec![(vec![1], 50_000), (vec![2], change)];
        let rates = (Rate(rate), Rate(1_000), Rate(20_000));
        let next = next_form(outputs, 1, fee, WEIGHT, rates, 294);
        next.map(|(outputs, fee)| {
            assert_eq!(outputs[0], (vec![1], 50_000), "a payment changed");
            let sum: i64 = outputs.iter().map(|o| o.1).sum();
            assert_eq!(sum + fee, 50_000 + change + 1_000, "a unit was made or lost");
            (fee, outputs.len())
        })
    }

    #[test]
    fn a_next_form_pays_what_the_network_asks_out_of_the_change() {
        assert_eq!(form(30_000, 1_000, 5_000), Some((5_000, 2)));
    }

    #[test]
    fn it_pays_for_its_own_relaying_at_least() {
        assert_eq!(form(30_000, 1_000, 1_001), Some((2_000, 2)));
    }

    #[test]
    fn it_never_passes_the_ceiling() {
        assert_eq!(form(30_000, 1_000, 20_001), None);
    }

    #[test]
    fn change_too_small_for_an_output_is_given_whole_or_nothing_changes() {
        assert_eq!(form(4_100, 1_000, 5_000), Some((5_100, 1)));
        assert_eq!(form(800, 1_000, 5_000), None);
    }
}
