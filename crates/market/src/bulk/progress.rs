//! How far each running contract's delivery is.
//!
//! These are the only figures of a contract that every epoch changes, so they stand by themselves. An epoch's
//! close reads them all and writes them all anew, some pages at a time ([`Rewriting`]); what stands here goes before the same columns of the
//! contract's own row, which nobody but a close may change once its first epoch is closed. A contract that
//! is found here and does not run any more gets its figures back into its row.
//!
//! # A page's bytes
//! | bytes | what |
//! |---|---|
//! | 1 | form, 1 |
//! | until the end, for each contract | 16 bytes of id; numbers (see `coding`): delivered; maintenance due; 0 or the epoch since when it is short, and one; minor units of the price recognised |

use super::coding::{Reader, broken, put};
use super::{PAGE, sql};
use crate::Result;
use gruve_store::{Batch, Tx, params};
use gruve_units::{Accrual, ContractId, EpochNumber, Hashes, LaneId};
use std::collections::VecDeque;

const FORM: u8 = 1;

/// Pages read at once: a megabyte as bytes and some three as they are read. In the unit tests so few that everything is read in several goes.
#[cfg(not(test))]
const PAGES_AT_ONCE: u32 = 500;
#[cfg(test)]
const PAGES_AT_ONCE: u32 = 2;

/// How far a contract's delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) contract: ContractId,
    pub(crate) delivered: Hashes,
    pub(crate) maintenance_due: Accrual,
    pub(crate) short_since: Option<EpochNumber>,
    /// Minor units of the price, never negative.
    pub(crate) recognised: i64,
}

fn put_one(body: &mut Vec<u8>, p: &Progress) -> Result<()> {
    body.extend(p.contract.to_bytes());
    put(body, p.delivered.0);
    put(body, p.maintenance_due.0);
    put(body, p.short_since.map_or(0, |e| u128::from(e.0) + 1));
    put(body, u128::try_from(p.recognised).map_err(|_| broken())?);
    Ok(())
}

fn read_page(body: &[u8]) -> Result<Vec<Progress>> {
    let mut r = Reader::new(body);
    let [form] = r.bytes()?;
    if form != FORM {
        return Err(broken());
    }
    let mut all = Vec::with_capacity(PAGE);
    while !r.is_at_end() {
        all.push(Progress {
            contract: ContractId::from_bytes(r.bytes()?),
            delivered: Hashes(r.number()?),
            maintenance_due: Accrual(r.number()?),
            short_since: match r.number()? {
                0 => None,
                n => Some(EpochNumber(u64::try_from(n - 1).map_err(|_| broken())?)),
            },
            recognised: r.small()?,
        });
    }
    Ok(all)
}

/// The page, in the order of its contracts' ids, on which the progress of one contract stands if it has any.
pub(crate) async fn page_of(
    tx: &mut Tx,
    lane: &LaneId,
    contract: ContractId,
) -> Result<Vec<Progress>> {
    let row = tx.fetch_optional(sql::PROGRESS_PAGE, &params![lane.clone(), contract]).await?;
    row.map_or_else(|| Ok(Vec::new()), |row| read_page(&row.get::<Vec<u8>>("body")?))
}

/// The progress of one contract, if it has any here.
pub(crate) async fn of_contract(
    tx: &mut Tx,
    lane: &LaneId,
    contract: ContractId,
) -> Result<Option<Progress>> {
    let page = page_of(tx, lane, contract).await?;
    Ok(page.into_iter().find(|p| p.contract == contract))
}

fn write_page(page: &[Progress]) -> Result<Vec<u8>> {
    let mut body = vec![FORM];
    for p in page {
        put_one(&mut body, p)?;
    }
    Ok(body)
}

/// The progress of a lane's contracts in the order of their ids, as far as contracts are asked for.
pub(crate) struct Reading {
    lane: LaneId,
    /// The last contract that was read, after which the next page begins: what is written anew meanwhile stands
    /// before it.
    after: Option<Vec<u8>>,
    ahead: VecDeque<Progress>,
    /// Those that were passed over: their contracts do not run any more.
    left: Vec<Progress>,
    /// Whether pages go once they are read.
    removes: bool,
}

impl Reading {
    pub(crate) fn of(lane: &LaneId) -> Reading {
        let (ahead, left) = (VecDeque::new(), Vec::new());
        Reading { lane: lane.clone(), after: Some(Vec::new()), ahead, left, removes: false }
    }

    async fn fill(&mut self, tx: &mut Tx) -> Result<()> {
        while self.ahead.is_empty() {
            let Some(after) = self.after.take() else { return Ok(()) };
            let given = params![self.lane.clone(), after.clone(), PAGES_AT_ONCE];
            let rows = tx.fetch_all(sql::PROGRESS_PAGES, &given).await?;
            for row in &rows {
                self.ahead.extend(read_page(&row.get::<Vec<u8>>("body")?)?);
            }
            let Some(last) = rows.last() else { return Ok(()) };
            if self.removes {
                let given = params![self.lane.clone(), after, last.get::<Vec<u8>>("first")?];
                tx.execute(sql::DELETE_PROGRESS, &given).await?;
            }
            if rows.len() == PAGES_AT_ONCE as usize {
                let last = self.ahead.back().map(|p| p.contract.to_bytes().to_vec());
                self.after = Some(last.ok_or_else(broken)?);
            }
        }
        Ok(())
    }

    /// The contract's progress; contracts must be asked for in the order of their ids.
    pub(crate) async fn find(&mut self, tx: &mut Tx, id: ContractId) -> Result<Option<Progress>> {
        loop {
            if self.ahead.is_empty() {
                self.fill(tx).await?;
            }
            match self.ahead.front() {
                Some(p) if p.contract < id => self.left.extend(self.ahead.pop_front()),
                Some(p) if p.contract == id => return Ok(self.ahead.pop_front()),
                _ => return Ok(None),
            }
        }
    }

    /// Those of contracts that were not asked for.
    pub(crate) async fn rest(mut self, tx: &mut Tx) -> Result<Vec<Progress>> {
        loop {
            self.left.extend(self.ahead.drain(..));
            self.fill(tx).await?;
            if self.ahead.is_empty() {
                return Ok(self.left);
            }
        }
    }
}

/// Puts progress into the contracts' own rows.
pub(crate) async fn flush(tx: &mut Tx, all: &[Progress]) -> Result<()> {
    let mut batch = Batch::new(&sql::FLUSH_PROGRESS);
    for p in all {
        let row = params![p.contract, p.delivered, p.short_since, p.maintenance_due, p.recognised];
        batch.push(tx, row).await?;
    }
    batch.finish(tx).await?;
    Ok(())
}

/// A lane's progress that is read and written anew behind what was read, in the order of ids.
pub(crate) struct Rewriting {
    reading: Reading,
    page: Vec<Progress>,
    batch: Batch,
}

impl Rewriting {
    pub(crate) fn of(lane: &LaneId) -> Rewriting {
        let reading = Reading { removes: true, ..Reading::of(lane) };
        let batch = Batch::new(&sql::INSERT_PROGRESS);
        Rewriting { reading, page: Vec::with_capacity(PAGE), batch }
    }

    /// Where a contract's delivery was; contracts must be asked for in the order of their ids, and what is found of
    /// contracts in between goes back into their rows.
    pub(crate) fn reading(&mut self) -> &mut Reading {
        &mut self.reading
    }

    /// The next one, whosever it is.
    pub(crate) async fn next(&mut self, tx: &mut Tx) -> Result<Option<Progress>> {
        if self.reading.ahead.is_empty() {
            self.reading.fill(tx).await?;
        }
        Ok(self.reading.ahead.pop_front())
    }

    /// Writes a contract's progress; only of contracts that were asked for.
    pub(crate) async fn push(&mut self, tx: &mut Tx, p: Progress) -> Result<()> {
        self.page.push(p);
        if self.page.len() == PAGE { self.end_page(tx).await } else { Ok(()) }
    }

    async fn end_page(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(first) = self.page.first() else { return Ok(()) };
        let row = params![self.reading.lane.clone(), first.contract, write_page(&self.page)?];
        self.page.clear();
        self.batch.push(tx, row).await?;
        Ok(())
    }

    /// Puts what was passed over so far into its contracts' rows: whatever made a contract stop running outside of a close
    /// knew its row alone.
    pub(crate) async fn give_back(&mut self, tx: &mut Tx) -> Result<()> {
        flush(tx, &std::mem::take(&mut self.reading.left)).await
    }

    /// Writes what is left.
    pub(crate) async fn finish(mut self, tx: &mut Tx) -> Result<()> {
        self.end_page(tx).await?;
        let left = self.reading.rest(tx).await?;
        self.batch.finish(tx).await?;
        flush(tx, &left).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, lane};
    use gruve_store::{Store, laws, transact};

    fn progress(n: u8) -> Progress {
        Progress {
            contract: ContractId::from_bytes([n; 16]),
            delivered: Hashes(u128::from(n) << 70),
            maintenance_due: Accrual(u128::MAX - u128::from(n)),
            short_since: (!n.is_multiple_of(2)).then_some(EpochNumber(n.into())),
            recognised: i64::MAX - i64::from(n),
        }
    }

    async fn contracts_that_do_not_run_any_more_are_left_over(store: Store) {
        let w = World::new(store).await;
        let all = u8::try_from(PAGE * 3 + 2).unwrap();
        let outcome = transact!(w.store, tx -> Result<()> => {
            // Done again, nothing of before is left.
            for _ in 0..2 {
                let mut to = Rewriting::of(&lane());
                for n in (0..all).map(|n| n * 2) {
                    to.reading().find(tx, ContractId::from_bytes([n; 16])).await?;
                    to.push(tx, progress(n)).await?;
                }
                to.finish(tx).await?;
            }
            let mut reading = Reading::of(&lane());
            // All but every third, and some that have none.
            for n in (0..all * 2).filter(|n| n % 3 > 0) {
                let found = reading.find(tx, ContractId::from_bytes([n; 16])).await?;
                assert_eq!(found, (n % 2 == 0).then(|| progress(n)));
            }
            let left = reading.rest(tx).await?;
            let want: Vec<_> =
                (0..all).map(|n| n * 2).filter(|n| n % 3 == 0).map(progress).collect();
            assert_eq!(left, want);
            Ok(())
        });
        outcome.unwrap();
    }

    laws! { progress: [
        contracts_that_do_not_run_any_more_are_left_over,
    ] }
}
