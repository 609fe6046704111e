//! What is fixed in each active contract.
//!
//! A contract's row is wide (its terms stand in it), and a close needs half of its columns of every contract.
//! They do not change from a contract's first closed epoch to its end, so they stand here a second time, tens of
//! contracts to a row. A contract is *enrolled* by the close that makes it active and struck off by the one that
//! ends it; its row says whether it is (`enrolled`). One that runs and is not (not begun, or from before there was
//! a roll) is read from its row. What of an active contract's row changes outside of a close stands in columns
//! of its life, and is read from there ([`sql::LIVED`]).
//!
//! Only pages with a change are written. `gruve admin audit` holds the roll against the rows.

mod form;

use super::{ROLL_PAGE, sql};
use crate::contract::Contract;
use crate::{MarketError, Result};
pub(crate) use form::Commons;
use form::{is_same, write_page};
use gruve_store::{Batch, Row, Tx, params};
use gruve_units::{ContractId, Hashes, LaneId};

/// Pages read at once: some four megabytes. In the unit tests so few that everything is read in several goes.
#[cfg(not(test))]
const PAGES_AT_ONCE: u32 = 2_000;
#[cfg(test)]
const PAGES_AT_ONCE: u32 = 2;

/// All enrolled contracts of a lane, sorted by id, with what of their life their rows say.
pub(crate) async fn read(tx: &mut Tx, lane: &LaneId) -> Result<Vec<Contract>> {
    let mut all = Vec::new();
    let mut commons = Commons::of(lane);
    let mut after: Option<Vec<u8>> = Some(Vec::new());
    while let Some(first) = after.take() {
        let given = params![lane.clone(), first, PAGES_AT_ONCE];
        let rows = tx.fetch_all(sql::ROLL_PAGES, &given).await?;
        for row in &rows {
            commons.read_page(&row.get::<Vec<u8>>("body")?, |c| all.push(c))?;
        }
        if let (Some(last), true) = (rows.last(), rows.len() == PAGES_AT_ONCE as usize) {
            after = Some(last.get("first")?);
        }
    }
    let mut pages = crate::pages::Pages::by_id(sql::LIVED, &params![lane.clone()]);
    while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            let id: ContractId = row.get("id")?;
            let at = all.binary_search_by_key(&id, |c: &Contract| c.id);
            let at = at.map_err(|_| missing())?;
            live(&mut all[at], row)?;
        }
    }
    Ok(all)
}

/// The enrolled contracts that come after one in the order of ids, `most` at most, with what of their life their rows say. The
/// roll may be changed between two calls.
pub(crate) async fn after(
    tx: &mut Tx,
    commons: &mut Commons,
    after: Option<ContractId>,
    most: usize,
) -> Result<Vec<Contract>> {
    let lane = commons.lane.clone();
    let mut some: Vec<Contract> = Vec::new();
    let is_beyond = |c: &Contract| after.is_none_or(|id| c.id > id);
    // The page on which it stands, of which the end is wanted.
    if let Some(id) = after
        && let Some(row) = tx.fetch_optional(sql::ROLL_PAGE, &params![lane.clone(), id]).await?
    {
        commons.read_page(&row.get::<Vec<u8>>("body")?, |c| {
            some.extend(is_beyond(&c).then_some(c));
        })?;
    }
    let mut next = Some(after.map_or_else(Vec::new, |id| id.to_bytes().to_vec()));
    while let (Some(first), true) = (next.take(), some.len() < most) {
        let pages = (most - some.len()).div_ceil(ROLL_PAGE);
        let pages = u32::try_from(pages).unwrap_or(PAGES_AT_ONCE).min(PAGES_AT_ONCE);
        let rows = tx.fetch_all(sql::ROLL_PAGES, &params![lane.clone(), first, pages]).await?;
        for row in &rows {
            commons.read_page(&row.get::<Vec<u8>>("body")?, |c| some.push(c))?;
        }
        if let (Some(last), true) = (rows.last(), rows.len() == pages as usize) {
            next = Some(last.get("first")?);
        }
    }
    some.truncate(most);
    let Some(last) = some.last().map(|c| c.id) else { return Ok(some) };
    let begin = after.map_or_else(Vec::new, |id| id.to_bytes().to_vec());
    for row in tx.fetch_all(sql::LIVED_WITHIN, &params![lane, begin, last]).await? {
        let id: ContractId = row.get("id")?;
        let at = some.binary_search_by_key(&id, |c: &Contract| c.id);
        live(&mut some[at.map_err(|_| missing())?], &row)?;
    }
    Ok(some)
}

fn live(c: &mut Contract, row: &Row) -> Result<()> {
    c.life.compensated = row.get::<Option<Hashes>>("compensated")?.unwrap_or_default();
    c.life.undecided = row.get::<Option<Hashes>>("undecided")?.unwrap_or_default();
    c.life.paused_epochs = row.get("paused_epochs")?;
    c.life.paused_since = row.get("paused_since")?;
    Ok(())
}

/// Enrols contracts and strikes others off; both sorted by id. Their rows are the caller's.
pub(crate) async fn change(
    tx: &mut Tx,
    lane: &LaneId,
    joined: Vec<&Contract>,
    left: Vec<ContractId>,
) -> Result<()> {
    let (mut joined, mut left) = (joined.into_iter().peekable(), left.into_iter().peekable());
    let mut to =
        Pages { lane, page: Vec::with_capacity(ROLL_PAGE), batch: Batch::new(&sql::INSERT_ROLL) };
    let mut commons = Commons::of(lane);
    loop {
        let next = [joined.peek().map(|c| c.id), left.peek().copied()];
        let Some(first) = next.into_iter().flatten().min() else { break };
        // The page that it stands on or would, and where the next one begins.
        let here = tx.fetch_optional(sql::ROLL_PAGE, &params![lane.clone(), first]).await?;
        let mut after = next_page(tx, lane, first).await?;
        let mut members = Vec::new();
        if let Some(row) = here {
            take_page(tx, &mut commons, &row, &mut members).await?;
        }
        let end = after.as_ref().map(|row| row.get::<ContractId>("first")).transpose()?;
        let is_here = |id: ContractId| end.is_none_or(|end| id < end);
        while let Some(id) = left.next_if(|id| is_here(*id)) {
            let at = members.binary_search_by_key(&id, |c| c.id).map_err(|_| missing())?;
            members.remove(at);
        }
        let mut members = members.into_iter().peekable();
        loop {
            let joins = joined.peek().map(|c| c.id).filter(|id| is_here(*id));
            let next = match (members.peek(), joins) {
                (Some(c), Some(id)) if c.id < id => members.next(),
                (Some(_), None) => members.next(),
                (_, Some(_)) => joined.next().cloned(),
                (None, None) => break,
            };
            to.page.extend(next);
            if to.page.len() == ROLL_PAGE {
                to.write(tx).await?;
            }
        }
        // What has become short goes together with what follows, unless that changes by itself.
        let changes = [joined.peek().map(|c| c.id), left.peek().copied()];
        let changes = changes.into_iter().flatten().min();
        if let (1..SHORT, Some(row)) = (to.page.len(), after.take()) {
            let beyond = next_page(tx, lane, row.get("first")?).await?;
            let end = beyond.map(|row| row.get::<ContractId>("first")).transpose()?;
            if changes.is_none_or(|id| end.is_some_and(|end| id >= end)) {
                let mut more = Vec::new();
                take_page(tx, &mut commons, &row, &mut more).await?;
                for c in more {
                    to.page.push(c);
                    if to.page.len() == ROLL_PAGE {
                        to.write(tx).await?;
                    }
                }
            }
        }
        to.write(tx).await?;
    }
    to.batch.finish(tx).await?;
    Ok(())
}

/// A page with fewer is put together with the next when it is written anyway.
const SHORT: usize = ROLL_PAGE / 2;

fn missing() -> MarketError {
    MarketError::Broken("the roll lacks a contract".into())
}

/// Pages on their way.
struct Pages<'a> {
    lane: &'a LaneId,
    page: Vec<Contract>,
    batch: Batch,
}

impl Pages<'_> {
    async fn write(&mut self, tx: &mut Tx) -> Result<()> {
        let Some(first) = self.page.first() else { return Ok(()) };
        let row = params![self.lane.clone(), first.id, write_page(&self.page)];
        self.page.clear();
        self.batch.push(tx, row).await?;
        Ok(())
    }
}

/// Holds the roll against the contracts' rows; each finding is a sentence.
pub(crate) async fn audit(tx: &mut Tx, lane: &LaneId) -> Result<Vec<String>> {
    let mut findings = Vec::new();
    let mut roll = read(tx, lane).await?.into_iter().peekable();
    let mut find = |id: ContractId, what: &str| {
        findings.push(format!("lane {lane}: contract {id} {what}"));
    };
    let mut pages = crate::pages::Pages::by_id(crate::sql::ENROLLED, &params![lane.clone()]);
    while let Some(rows) = pages.next(tx).await? {
        for row in &rows {
            let c = Contract::read(row)?;
            while let Some(other) = roll.next_if(|other| other.id < c.id) {
                find(other.id, "is on the roll and should not be");
            }
            match roll.next_if(|other| other.id == c.id) {
                None => find(c.id, "is not on the roll"),
                // What is fixed in both, as it would be written.
                Some(other) if !is_same(&other, &c) => {
                    find(c.id, "is another on the roll");
                }
                Some(_) => {}
            }
        }
    }
    for other in roll {
        find(other.id, "is on the roll and should not be");
    }
    Ok(findings)
}

async fn next_page(tx: &mut Tx, lane: &LaneId, id: ContractId) -> Result<Option<Row>> {
    Ok(tx.fetch_optional(sql::NEXT_ROLL_PAGE, &params![lane.clone(), id]).await?)
}

/// Reads a page and removes it.
async fn take_page(
    tx: &mut Tx,
    commons: &mut Commons,
    row: &Row,
    members: &mut Vec<Contract>,
) -> Result<()> {
    commons.read_page(&row.get::<Vec<u8>>("body")?, |c| members.push(c))?;
    let given = params![commons.lane.clone(), row.get::<Vec<u8>>("first")?];
    tx.execute(sql::DELETE_ROLL_PAGE, &given).await?;
    Ok(())
}

#[cfg(test)]
mod tests;
