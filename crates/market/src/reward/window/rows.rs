//! Contracts' units in a window that stand in rows of their own (those of metered ones), as they are read.

use super::PAGE;
use crate::book::Book;
use crate::sql;
use crate::{MarketError, Result};
use gruve_store::{Tx, params};
use gruve_units::{ContractId, EpochNumber};

/// A contract's units of an epoch.
pub(super) type UnitsOf = (EpochNumber, ContractId, u128);

/// The units of the epochs `from..before`, of contracts from an id on: one epoch after the other, some rows at a time.
pub(super) struct Within<'a> {
    book: Book<'a>,
    before: EpochNumber,
    start: Option<ContractId>,
    /// The epoch that is read, or the last one that was.
    epoch: i64,
    /// From which id on, while an epoch is read.
    from: Option<Vec<u8>>,
}

impl<'a> Within<'a> {
    pub(super) fn of(
        book: Book<'a>,
        (from, before): (EpochNumber, EpochNumber),
        start: Option<ContractId>,
    ) -> Within<'a> {
        let epoch = i64::try_from(from.0).unwrap_or(i64::MAX) - 1;
        Within { book, before, start, epoch, from: None }
    }

    /// Some more of them, all below `end`; `None` after the last.
    pub(super) async fn next(
        &mut self,
        tx: &mut Tx,
        end: Option<ContractId>,
    ) -> Result<Option<Vec<UnitsOf>>> {
        let (lane, asset) = (self.book.id(), self.book.asset);
        let from = match self.from.take() {
            Some(from) => from,
            None => {
                let given = params![lane.clone(), asset, self.epoch, self.before];
                let Some(row) = tx.fetch_optional(sql::NEXT_CONTRACT_UNITS, &given).await? else {
                    return Ok(None);
                };
                self.epoch = row.get("epoch")?;
                self.start.map_or_else(Vec::new, |id| id.to_bytes().to_vec())
            }
        };
        let end = end.map_or_else(|| vec![0xff; 17], |id| id.to_bytes().to_vec());
        let given = params![lane, asset, self.epoch, from, end, PAGE];
        let rows = tx.fetch_all(sql::CONTRACT_UNITS, &given).await?;
        if let (Some(last), true) = (rows.last(), rows.len() == PAGE as usize) {
            // The first key that comes after it.
            let mut next: Vec<u8> = last.get("beneficiary")?;
            next.push(0);
            self.from = Some(next);
        }
        let at = u64::try_from(self.epoch).map(EpochNumber);
        let at = at.map_err(|_| MarketError::Broken("units of a negative epoch".into()))?;
        let one = |row: &gruve_store::Row| {
            Ok((at, row.get("beneficiary")?, u128::from_be_bytes(row.get("units")?)))
        };
        rows.iter().map(one).collect::<Result<_>>().map(Some)
    }
}
