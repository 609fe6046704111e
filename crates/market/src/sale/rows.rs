//! The rows of quotes and of contracts that were just bought.

use crate::contract::write_also;
use crate::scheme::write_fpps;
use crate::terms::{self, Sale};
use crate::{ContractState, MarketError, Plan, Quote, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, Amount, Asset, Hashes, Hashrate, QuoteId, Timestamp};

/// A quote's row.
pub(super) struct QuoteRow {
    pub(super) plan: String,
    pub(super) plan_version: u32,
    pub(super) hashrate: Hashrate,
    pub(super) term: u64,
    pub(super) sale: Sale,
    pub(super) expires: Timestamp,
    pub(super) used: bool,
}

/// The quote of that id.
pub(super) async fn find_quote(tx: &mut Tx, account: AccountId, id: QuoteId) -> Result<QuoteRow> {
    let row = tx.fetch_optional(sql::QUOTE, &params![id, account]).await?;
    let row = row.ok_or(MarketError::UnknownQuote)?;
    let price = Amount::new(row.get::<Asset>("price_asset")?, row.get("price_minor")?);
    Ok(QuoteRow {
        plan: row.get("plan")?,
        plan_version: row.get("plan_version")?,
        hashrate: row.get("hashrate")?,
        term: row.get("term_epochs")?,
        sale: Sale { epoch_work: row.get("epoch_work")?, work: row.get("work")?, price },
        expires: row.get("expires_at")?,
        used: row.get("used")?,
    })
}

/// Stores a quote.
pub(super) async fn insert_quote(tx: &mut Tx, q: &Quote, sale: &Sale) -> Result<()> {
    let row = params![
        q.id,
        q.account,
        q.plan.as_str(),
        q.plan_version,
        q.hashrate,
        q.term_epochs,
        sale.epoch_work,
        q.work,
        q.price.asset,
        q.price.minor,
        q.created,
        q.expires
    ];
    tx.execute(sql::INSERT_QUOTE, &row).await?;
    Ok(())
}

/// Writes the contract; the hash of its terms.
pub(super) async fn insert_contract(
    tx: &mut Tx,
    account: AccountId,
    quote: QuoteId,
    plan: &Plan,
    agreed: &terms::Agreed<'_>,
) -> Result<[u8; 32]> {
    let terms = terms::canonical(plan, agreed)?;
    let hash = terms::hash(&terms);
    let row = params![
        agreed.contract,
        account,
        quote,
        plan.id.as_str(),
        plan.version,
        plan.title.as_str(),
        plan.lane.clone(),
        plan.asset,
        plan.epoch_us,
        agreed.hashrate,
        agreed.term_epochs,
        plan.extension_epochs,
        plan.catch_up_bps,
        agreed.sale.epoch_work,
        agreed.sale.work,
        agreed.sale.price.asset,
        agreed.sale.price.minor,
        plan.fee_bps,
        plan.maintenance_minor_per_th_day,
        terms,
        hash,
        ContractState::AwaitingPayment.name(),
        agreed.at,
        Hashes::ZERO,
        Accrual::ZERO,
        write_also(&plan.maintenance_also),
        plan.scheme.name(),
        write_fpps(&plan.fpps)
    ];
    tx.execute(sql::INSERT_CONTRACT, &row).await?;
    Ok(hash)
}
