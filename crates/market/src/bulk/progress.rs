//! How far each running contract's delivery is.
//!
//! These are the only figures of a contract that every epoch changes, so they stand by themselves. An epoch's
//! close reads them all and writes them all anew; what stands here goes before the same columns of the
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

/// Pages read at once: some four megabytes. In the unit tests so few that everything is read in several goes.
#[cfg(not(test))]
const PAGES_AT_ONCE: u32 = 2_000;
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

/// The progress of one contract, if it has any here.
pub(crate) async fn of_contract(
    tx: &mut Tx,
    lane: &LaneId,
    contract: ContractId,
) -> Result<Option<Progress>> {
    let row = tx.fetch_optional(sql::PROGRESS_PAGE, &params![lane.clone(), contract]).await?;
    let Some(row) = row else { return Ok(None) };
    let page = read_page(&row.get::<Vec<u8>>("body")?)?;
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
    after: Option<Vec<u8>>,
    ahead: VecDeque<Progress>,
    /// Those that were passed over: their contracts do not run any more.
    left: Vec<Progress>,
}

impl Reading {
    pub(crate) fn of(lane: &LaneId) -> Reading {
        let (ahead, left) = (VecDeque::new(), Vec::new());
        Reading { lane: lane.clone(), after: Some(Vec::new()), ahead, left }
    }

    async fn fill(&mut self, tx: &mut Tx) -> Result<()> {
        while self.ahead.is_empty() {
            let Some(after) = self.after.take() else { return Ok(()) };
            let given = params![self.lane.clone(), after, PAGES_AT_ONCE];
            let rows = tx.fetch_all(sql::PROGRESS_PAGES, &given).await?;
            for row in &rows {
                self.ahead.extend(read_page(&row.get::<Vec<u8>>("body")?)?);
            }
            if let (Some(last), true) = (rows.last(), rows.len() == PAGES_AT_ONCE as usize) {
                self.after = Some(last.get("first")?);
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

/// Writes a lane's progress anew; `all` must be sorted by id.
pub(crate) async fn replace(
    tx: &mut Tx,
    lane: &LaneId,
    all: impl Iterator<Item = Progress>,
) -> Result<()> {
    tx.execute(sql::CLEAR_PROGRESS, &params![lane.clone()]).await?;
    let mut batch = Batch::new(&sql::INSERT_PROGRESS);
    let mut page = Vec::with_capacity(PAGE);
    let mut all = all.peekable();
    while let Some(p) = all.next() {
        page.push(p);
        if page.len() == PAGE || all.peek().is_none() {
            let row = params![lane.clone(), page[0].contract, write_page(&page)?];
            batch.push(tx, row).await?;
            page.clear();
        }
    }
    batch.finish(tx).await?;
    Ok(())
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
            replace(tx, &lane(), (0..all).map(|n| progress(n * 2))).await?;
            // Done again, nothing of before is left.
            replace(tx, &lane(), (0..all).map(|n| progress(n * 2))).await?;
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
