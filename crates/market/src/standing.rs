//! A beneficiary's running totals on a lane, asset by asset.

use crate::book::Book;
use crate::bulk;
use crate::bulk::pending::{self, Pending};
use crate::reward::beneficiary;
use crate::settle::Standing;
use crate::sql;
use crate::{Beneficiary, MarketError, Result};
use gruve_store::{Batch, Row, Tx, Value, params};
use gruve_units::{AccountId, Accrual, ContractId, EpochNumber};
use std::collections::HashMap;

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
    /// Whether the table has a row of it.
    is_stored: bool,
    /// What of it stands beside the row ([`pending`]): it cannot be written as it is.
    has_pending: bool,
    /// What stood beside the row is in it now and has to be written.
    pub(crate) is_taken_in: bool,
}

impl StandingRow {
    /// The row, or an empty one for a beneficiary that never had anything.
    pub(crate) async fn find(tx: &mut Tx, book: Book<'_>, who: Beneficiary) -> Result<StandingRow> {
        let (kind, id) = who.columns();
        let row =
            tx.fetch_optional(sql::STANDING, &params![book.id(), book.asset, kind, id]).await?;
        let mut found = match row {
            Some(row) => StandingRow::read(&row, who)?,
            None => StandingRow::empty(who, account_of(tx, who).await?),
        };
        found.take(pending::of(tx, book, who).await?)?;
        Ok(found)
    }

    const fn empty(who: Beneficiary, account: Option<AccountId>) -> StandingRow {
        StandingRow {
            who,
            account,
            accrued: Accrual::ZERO,
            standing: Standing { matured: Accrual::ZERO, settled: 0, net: 0, fee_carry: 0 },
            settlements: 0,
            settled_to: None,
            is_stored: false,
            has_pending: false,
            is_taken_in: false,
        }
    }

    fn read(row: &Row, who: Beneficiary) -> Result<StandingRow> {
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
            is_stored: true,
            has_pending: false,
            is_taken_in: false,
        })
    }

    /// The rows of many, in the order given, empty ones for those that never had anything.
    pub(crate) async fn find_all(
        tx: &mut Tx,
        book: Book<'_>,
        everyone: &[Beneficiary],
    ) -> Result<Vec<StandingRow>> {
        let mut given = Vec::with_capacity(everyone.len() * 4);
        for who in everyone {
            let (kind, id) = who.columns();
            given.extend(params![book.id(), book.asset, kind, id]);
        }
        let mut found = HashMap::with_capacity(everyone.len());
        for row in tx.fetch_many(&bulk::sql::STANDINGS, given).await? {
            let who = beneficiary(&row)?;
            found.insert(who, StandingRow::read(&row, who)?);
        }
        let contract = |who: &Beneficiary| match who {
            Beneficiary::Contract(id) | Beneficiary::Fpps(id) if !found.contains_key(who) => {
                Some(Value::from(*id))
            }
            _ => None,
        };
        let mut owners: HashMap<ContractId, AccountId> = HashMap::new();
        let new = everyone.iter().filter_map(contract).collect();
        for row in tx.fetch_many(&bulk::sql::OWNERS, new).await? {
            owners.insert(row.get("id")?, row.get("account")?);
        }
        let mut rows = Vec::with_capacity(everyone.len());
        for who in everyone {
            rows.push(match (found.remove(who), who) {
                (Some(row), _) => row,
                (None, Beneficiary::Contract(id) | Beneficiary::Fpps(id)) => {
                    let owner = owners.get(id).ok_or(MarketError::UnknownContract)?;
                    StandingRow::empty(*who, Some(*owner))
                }
                (None, Beneficiary::Account(id)) => StandingRow::empty(*who, Some(*id)),
                (None, _) => StandingRow::empty(*who, None),
            });
        }
        let mut pending = pending::of_many(tx, book, everyone).await?;
        for row in &mut rows {
            row.take(pending.remove(&row.who).unwrap_or_default())?;
        }
        Ok(rows)
    }

    /// The same for whoever writes those with something pending, and forgets what is pending of all at the end
    /// ([`pending::clear`]).
    pub(crate) async fn take_all(
        tx: &mut Tx,
        book: Book<'_>,
        everyone: &[Beneficiary],
    ) -> Result<Vec<StandingRow>> {
        let mut rows = StandingRow::find_all(tx, book, everyone).await?;
        for row in &mut rows {
            row.is_taken_in = std::mem::take(&mut row.has_pending);
        }
        Ok(rows)
    }

    /// Stores it.
    #[cfg(test)]
    pub(crate) async fn put(&self, tx: &mut Tx, book: Book<'_>) -> Result<()> {
        StandingRow::put_all(tx, book, std::slice::from_ref(self)).await
    }

    /// Adds what stands beside the row.
    fn take(&mut self, pending: Pending) -> Result<()> {
        if !pending.is_nothing() {
            self.accrue(pending.accrued)?;
            self.mature(pending.matured)?;
            self.has_pending = true;
        }
        Ok(())
    }

    fn columns(&self, book: Book<'_>) -> Result<[Value; 13]> {
        let (kind, id) = self.who.columns();
        let s = &self.standing;
        let (waiting, _) = s.unsettled()?;
        Ok(params![
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
        ])
    }

    /// Stores many, each beneficiary once.
    pub(crate) async fn put_all(tx: &mut Tx, book: Book<'_>, rows: &[StandingRow]) -> Result<()> {
        let mut new = Batch::new(&bulk::sql::INSERT_STANDINGS);
        let mut old = Batch::new(&bulk::sql::UPDATE_STANDINGS);
        for row in rows {
            if row.has_pending {
                return Err(MarketError::Broken("a standing was written that is not whole".into()));
            }
            let given = row.columns(book)?;
            let batch = if row.is_stored { &mut old } else { &mut new };
            batch.push(tx, given).await?;
        }
        new.finish(tx).await?;
        old.finish(tx).await?;
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
            Some(crate::parties::owner_of(tx, c).await?)
        }
        Beneficiary::Operator
        | Beneficiary::WindowReserve
        | Beneficiary::Remainder
        | Beneficiary::FppsReserve => None,
    })
}
