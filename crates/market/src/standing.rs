//! A beneficiary's running totals on a lane, asset by asset.

use crate::book::Book;
use crate::settle::Standing;
use crate::sql;
use crate::{Beneficiary, MarketError, Result};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Accrual, EpochNumber};

/// A standing's row.
#[derive(Clone, Debug)]
pub(crate) struct StandingRow {
    pub(crate) who: Beneficiary,
    pub(crate) account: Option<AccountId>,
    /// Everything accrued from blocks on the chain, mature or not.
    pub(crate) accrued: Accrual,
    pub(crate) standing: Standing,
    pub(crate) settlements: u64,
    pub(crate) settled_to: Option<EpochNumber>,
}

impl StandingRow {
    /// The row, or an empty one for a beneficiary that never had anything.
    pub(crate) async fn find(tx: &mut Tx, book: Book<'_>, who: Beneficiary) -> Result<StandingRow> {
        let (kind, id) = who.columns();
        let row =
            tx.fetch_optional(sql::STANDING, &params![book.id(), book.asset, kind, id]).await?;
        let Some(row) = row else {
            return Ok(StandingRow {
                who,
                account: account_of(tx, who).await?,
                accrued: Accrual::ZERO,
                standing: Standing::default(),
                settlements: 0,
                settled_to: None,
            });
        };
        Ok(StandingRow {
            who,
            account: row.get("account")?,
            accrued: row.get("accrued")?,
            standing: Standing {
                matured: row.get("matured")?,
                settled: row.get("settled_minor")?,
                net: row.get("net_minor")?,
                fee_carry: row.get("fee_carry")?,
            },
            settlements: row.get("settlements")?,
            settled_to: row.get("settled_to")?,
        })
    }

    /// Stores it.
    pub(crate) async fn put(&self, tx: &mut Tx, book: Book<'_>) -> Result<()> {
        let (kind, id) = self.who.columns();
        let s = &self.standing;
        let (waiting, _) = s.unsettled()?;
        let row = params![
            book.id(),
            book.asset,
            kind,
            id,
            self.account,
            self.accrued,
            s.matured,
            s.settled,
            s.net,
            s.fee_carry,
            waiting,
            self.settlements,
            self.settled_to
        ];
        tx.execute(sql::PUT_STANDING, &row).await?;
        Ok(())
    }

    /// Adds to what is accrued.
    pub(crate) fn accrue(&mut self, amount: Accrual) -> Result<()> {
        let sum = self.accrued.checked_add(amount);
        self.accrued = sum.ok_or(MarketError::Overflow("all earnings of a beneficiary"))?;
        Ok(())
    }

    /// Adds to what is mature.
    pub(crate) fn mature(&mut self, amount: Accrual) -> Result<()> {
        let sum = self.standing.matured.checked_add(amount);
        self.standing.matured =
            sum.ok_or(MarketError::Overflow("all earnings of a beneficiary"))?;
        Ok(())
    }

    /// Takes a reversed accrual out again.
    pub(crate) fn reverse(&mut self, amount: Accrual, was_credited: bool) -> Result<()> {
        let broken = || MarketError::Broken("more was reversed than accrued".into());
        self.accrued = self.accrued.checked_sub(amount).ok_or_else(broken)?;
        if was_credited {
            let matured = self.standing.matured.checked_sub(amount);
            self.standing.matured = matured.ok_or_else(broken)?;
        }
        Ok(())
    }
}

/// Whose balance a beneficiary's earnings go to.
async fn account_of(tx: &mut Tx, who: Beneficiary) -> Result<Option<AccountId>> {
    Ok(match who {
        Beneficiary::Account(a) => Some(a),
        Beneficiary::Contract(c) | Beneficiary::Fpps(c) => {
            Some(crate::parties::terms_of(tx, c).await?.account)
        }
        Beneficiary::Operator
        | Beneficiary::WindowReserve
        | Beneficiary::Remainder
        | Beneficiary::FppsReserve => None,
    })
}
