//! A transaction from an address of ours that nothing explains turns out to be the house's own: a payout, or a
//! sweep, that a life made which this database has forgotten.
//!
//! It must not know who says so.

use super::blocks::cost_account;
use super::plan::own_tx;
use super::sql;
use super::wallet::{AccountWallet, HOT, stored};
use crate::blocks::Standing;
use crate::books::Draft;
use crate::spends::batch_row;
use crate::strangers::{Explained, payout_explained_by};
use crate::{Result, Treasury, TreasuryError};
use gruve_chain::eth::{EthAddress, EthTransaction, wei};
use gruve_ledger::Account;
use gruve_store::{Tx, params};
use gruve_units::PayoutId;
use ruint::aliases::U256;

/// Bytes of a stored form: sender, nonce, recipient, wei, and the minor units that left us.
const FORM_LEN: usize = 20 + 8 + 20 + 32 + 8;

/// What must be kept of a transaction to explain it later; one without a recipient pays nobody.
pub(super) fn form_of(t: &EthTransaction, gone: i64) -> Vec<u8> {
    let to = t.to.unwrap_or(EthAddress([0; 20]));
    let mut form = Vec::with_capacity(FORM_LEN);
    form.extend_from_slice(&t.from.0);
    form.extend_from_slice(&t.nonce.to_be_bytes());
    form.extend_from_slice(&to.0);
    form.extend_from_slice(&stored(&t.value));
    form.extend_from_slice(&gone.to_be_bytes());
    form
}

struct Form {
    sender: EthAddress,
    nonce: u64,
    to: EthAddress,
    wei: U256,
    gone: i64,
}

fn read_form(bytes: &[u8]) -> Option<Form> {
    let (sender, rest) = bytes.split_first_chunk::<20>()?;
    let (nonce, rest) = rest.split_first_chunk::<8>()?;
    let (to, rest) = rest.split_first_chunk::<20>()?;
    let (value, rest) = rest.split_first_chunk::<32>()?;
    let gone = rest.try_into().ok().map(i64::from_be_bytes)?;
    Some(Form {
        sender: EthAddress(*sender),
        nonce: u64::from_be_bytes(*nonce),
        to: EthAddress(*to),
        wei: U256::from_be_bytes(*value),
        gone,
    })
}

/// Whom a stored form pays from the hot address beside the cold one, and how much.
pub(crate) fn paid_by(wallet: &AccountWallet, form: &[u8]) -> Option<(EthAddress, i64)> {
    let seen = read_form(form)?;
    let is_cold = wallet.cold.as_ref().is_some_and(|c| c.script == seen.to.0);
    let (moved, _) = wei::split(seen.wei)?;
    (seen.sender == wallet.hot && moved > 0 && !is_cold).then_some((seen.to, moved))
}

impl Treasury {
    /// As [`Treasury::explain`] says, on an account chain.
    pub(crate) async fn explain_account(
        &self,
        tx: &mut Tx,
        wallet: &AccountWallet,
        standing: &Standing,
        txid: [u8; 32],
        form: &[u8],
    ) -> Result<Explained> {
        let asset = wallet.asset;
        let seen = read_form(form).ok_or(TreasuryError::Damaged("a stored form"))?;
        // Sweeps of pay-ins lose their fee only: a person may accept that.
        let moved = wei::split(seen.wei).map_or(0, |(minor, _)| minor);
        if seen.sender != wallet.hot || moved == 0 {
            return Err(TreasuryError::Unexplained);
        }
        let is_cold = wallet.cold.as_ref().is_some_and(|c| c.script == seen.to.0);
        let matched = if is_cold {
            None
        } else {
            let matched = payout_explained_by(tx, asset, &seen.to.0, moved, &[]).await?;
            Some(matched.ok_or(TreasuryError::Unexplained)?)
        };
        let mut plans: Vec<[u8; 16]> = matched.iter().filter_map(|m| m.batch).collect();
        let key = params![asset, seen.sender.0, seen.nonce];
        if let Some(row) = tx.fetch_optional(sql::TX_OF_NONCE, &key).await? {
            plans.push(row.get("batch")?);
        }
        plans.sort_unstable();
        plans.dedup();
        for plan in plans {
            if own_tx(tx, plan).await?.state != "funded" {
                return Err(TreasuryError::Unexplained);
            }
            self.give_up_nonce(tx, asset, plan).await?;
            self.void_batch(tx, asset, plan, self.now()).await?;
        }
        tx.execute(sql::DELETE_HOLE, &key).await?;
        let fee = seen.gone.saturating_sub(moved);
        let operator = matched.as_ref().map_or(fee, |m| seen.gone - m.amount);
        if fee < 0 || operator < 0 {
            return Err(TreasuryError::Unexplained);
        }
        Draft::new(asset)
            .debit(Account::ChainHot, seen.gone)
            .credit(cost_account(true), seen.gone)
            .post(
                tx,
                "treasury-explained",
                standing.output_reason("explained", &txid, 0),
                standing.now,
            )
            .await?;
        tx.execute(sql::DELETE_COST, &params![asset, txid]).await?;
        let batch = PayoutId::new(self.now(), self.0.entropy.as_ref()).to_bytes();
        let values = params![batch, asset, form, fee, operator, standing.now];
        tx.execute(crate::sql::INSERT_BATCH, &values).await?;
        let (keychain, index) = HOT;
        let kind = if is_cold { "cold" } else { "payout" };
        let price = fee / transfer_gas();
        let values = params![
            batch,
            asset,
            seen.sender.0,
            keychain.number(),
            index,
            seen.nonce,
            kind,
            seen.to.0,
            price,
            stored(&seen.wei)
        ];
        tx.execute(sql::INSERT_TX, &values).await?;
        let values = params![asset, txid, batch, price, stored(&seen.wei), standing.now];
        tx.execute(sql::INSERT_FORM, &values).await?;
        if is_cold {
            let values = params![batch, asset, "sweep", moved, &seen.to.0[..]];
            tx.execute(crate::sql::INSERT_MOVE, &values).await?;
        }
        let payouts: Vec<_> = matched.into_iter().collect();
        self.made_by(tx, standing, batch, &payouts).await?;
        let batch = batch_row(tx, batch).await?;
        let payouts = self.confirm_batch(tx, standing, &batch, txid).await?;
        Ok(Explained { payouts, swept: if is_cold { moved } else { 0 } })
    }
}

const fn transfer_gas() -> i64 {
    gruve_chain::eth::TRANSFER_GAS.cast_signed()
}
