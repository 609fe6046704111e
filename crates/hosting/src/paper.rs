//! What an owner takes home: the signed terms, and the statement of all bills, which `gruve statement check` recomputes.

use crate::billing::{Bill, read_bill};
use crate::contract::Contract;
use crate::in_block::OwnBlock;
use crate::service::Hosting;
use crate::{HostingError, Result, sql};
use gruve_statement::SignedTerms;
use gruve_statement::document::Big;
use gruve_statement::hosting::{
    BillLine, BlockLine, HOSTING_BILLS_MAX, HOSTING_BLOCKS_MAX, HOSTING_STATEMENT, HostingEnd,
    HostingPosition, HostingStatement,
};
use gruve_store::{Tx, params};
use gruve_units::{ContractId, EpochNumber};

impl Hosting {
    /// The terms of a contract as the operator signed them when it was accepted; an offer's are signed now.
    ///
    /// # Errors
    /// [`HostingError::Broken`].
    pub fn signed_terms(&self, c: &Contract) -> Result<SignedTerms> {
        let signed = c.signed.unwrap_or_else(|| {
            let signature = gruve_statement::terms::sign(&self.signer, &c.terms_hash);
            (self.signer.verifying_key().to_bytes(), signature)
        });
        let file = SignedTerms::new(c.id, c.terms_bytes.clone(), Some(signed));
        file.map_err(|_| HostingError::Broken("terms that are no text"))
    }

    /// A page of a contract's statement: the bills from one number on, 500 at most. Not given out if it ends elsewhere
    /// than the books.
    ///
    /// # Errors
    /// [`HostingError::NotNow`] for an offer, [`HostingError::Broken`] where lines do not follow from the terms.
    pub async fn statement(&self, c: &Contract, from_bill: i64) -> Result<HostingStatement> {
        let start = c.from.ok_or(HostingError::NotNow(c.state.name()))?;
        let mut tx = self.store.read().await?;
        self.statement_in(&mut tx, c, start, from_bill, Vec::new()).await
    }

    /// The same with blocks that the machine found and that paid the owner themselves, on the page that is the last: the newest
    /// first, at most [`HOSTING_BLOCKS_MAX`]. Whether the machine found them is for whoever knows the share log.
    ///
    /// # Errors
    /// As [`Hosting::statement`].
    pub async fn statement_with(
        &self,
        c: &Contract,
        from_bill: i64,
        blocks: impl Iterator<Item = &OwnBlock>,
    ) -> Result<HostingStatement> {
        let start = c.from.ok_or(HostingError::NotNow(c.state.name()))?;
        let blocks = blocks.take(HOSTING_BLOCKS_MAX).map(block).collect();
        let mut tx = self.store.read().await?;
        self.statement_in(&mut tx, c, start, from_bill, blocks).await
    }

    /// [`Hosting::statement`] within a transaction, of a contract that began with `start`.
    pub(crate) async fn statement_in(
        &self,
        tx: &mut Tx,
        c: &Contract,
        start: EpochNumber,
        from_bill: i64,
        blocks: Vec<BlockLine>,
    ) -> Result<HostingStatement> {
        let epoch_us = self.farm.rule(&c.lane)?.length_us;
        let terms = c.agreed()?;
        // One reading of books that a bill is written to meanwhile.
        let row = tx.fetch_optional(sql::CONTRACT, &params![c.id]).await?;
        let now = Contract::read(&row.ok_or(HostingError::NoContract)?)?;
        let mut opening = HostingPosition::begin(start.0);
        let mut lines = Vec::new();
        let mut closing = opening;
        loop {
            let page = bills_after(tx, c.id, closing.bills).await?;
            for line in page.iter().map(line) {
                let taken = closing.take(&terms, epoch_us, &line);
                taken.map_err(|_| HostingError::Broken("a bill that does not follow"))?;
                if line.number < from_bill {
                    opening = closing;
                } else {
                    lines.push(line);
                }
                if lines.len() == HOSTING_BILLS_MAX {
                    break;
                }
            }
            if page.is_empty() || lines.len() == HOSTING_BILLS_MAX {
                break;
            }
        }
        let is_all = closing.bills >= now.bills;
        if is_all && (closing.arrears_minor, closing.bills) != (now.arrears, now.bills) {
            return Err(HostingError::Broken("bills that end elsewhere than the contract"));
        }
        let page = HostingStatement {
            format: HOSTING_STATEMENT.to_owned(),
            contract: c.id,
            terms_sha256: hex::encode(c.terms_hash),
            epoch_us,
            start_epoch: start.0,
            end_epoch: now.until.map(|e| e.0),
            ended: ended(&now),
            opening,
            bills: lines,
            closing,
            next_bill: (!is_all).then_some(closing.bills + 1),
            blocks: if is_all { blocks } else { Vec::new() },
            operator_key: None,
            signature: None,
        };
        page.signed(&self.signer).map_err(|_| HostingError::Broken("a page that cannot be written"))
    }
}

/// That somebody ended it.
fn ended(c: &Contract) -> Option<HostingEnd> {
    let (by, at, back_minor) = c.ended?;
    let epoch = c.until?;
    let epochs_left = c.term_end.map_or(0, |end| end.0.saturating_sub(epoch.0));
    Some(HostingEnd { by, at_us: at.0, epoch: epoch.0, epochs_left, back_minor })
}

async fn bills_after(tx: &mut Tx, contract: ContractId, number: i64) -> Result<Vec<Bill>> {
    let limit = i64::try_from(HOSTING_BILLS_MAX).unwrap_or(i64::MAX);
    let rows = tx.fetch_all(sql::BILLS_AFTER, &params![contract, number, limit]).await?;
    rows.iter().map(read_bill).collect()
}

fn line(b: &Bill) -> BillLine {
    BillLine {
        number: b.number,
        at_us: b.at.0,
        from_epoch: b.from.0,
        until_epoch: b.until.0,
        energy_uj: Big(b.span.energy_uj.into()),
        span_us: b.span.span_us,
        up_us: b.span.up_us,
        energy_minor: b.energy,
        fee_minor: b.fee,
        credit_minor: b.credit,
        due_minor: b.due,
        paid_minor: b.paid,
        waived_minor: b.waived,
        arrears_minor: b.arrears,
    }
}

fn block(b: &OwnBlock) -> BlockLine {
    let mut shown = b.block_hash;
    shown.reverse();
    BlockLine {
        block: hex::encode(shown),
        height: b.height,
        at_us: b.at.0,
        output: b.vout,
        address: b.address.clone(),
        whole_minor: b.whole,
        fee_bps: b.fee.map(|f| f.bps.get()),
        fee_least_minor: b.fee.map_or(0, |f| f.least),
        house_minor: b.house,
        amount_minor: b.amount.minor,
        part: b.part.clone(),
        is_orphaned: b.is_orphaned,
    }
}
