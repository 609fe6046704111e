//! Sharing a block out over its window. Contracts are gone through in the order of their ids, as many at once as are held in
//! some megabytes, each time with all epochs of the window.

mod rows;

use super::{Life, beneficiary};
use crate::book::Book;
use crate::bulk::pending::{self, What};
use crate::bulk::{accruals, lines};
use crate::pplns::{Cut, Filling, Reward, WINDOW_UNITS, both};
use crate::sql;
use crate::sums::Sums;
use crate::{Beneficiary, MarketError, Result};
use gruve_store::{Tx, params};
use gruve_units::{Accrual, Asset, ContractId, EpochNumber};
use std::collections::BTreeMap;

/// Rows of a window read at once. In the unit tests so few that there are several pages.
#[cfg(not(test))]
const PAGE: u32 = 20_000;
#[cfg(test)]
const PAGE: u32 = 3;

/// Contracts' units that are held at once, in the window's whole epochs and at its edge: some ten megabytes. In the unit tests so
/// few that every window is gone through in several goes.
#[cfg(not(test))]
const HELD_MAX: usize = 200_000;
#[cfg(test)]
const HELD_MAX: usize = 5;

/// The epochs over which a block is shared out, as their totals say.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// The oldest one.
    pub(crate) first: Option<EpochNumber>,
    /// Its units.
    pub(crate) first_units: u128,
    /// How many of them count, where not all do.
    take: Option<u128>,
    /// The units of all later ones together.
    pub(crate) after_units: u128,
    /// Units missing to a full one.
    missing: u128,
}

fn overflow() -> MarketError {
    MarketError::Overflow("the units of a window")
}

/// The window before an epoch, not further back than `oldest`.
pub(super) async fn find(
    tx: &mut Tx,
    book: Book<'_>,
    before: EpochNumber,
    oldest: EpochNumber,
) -> Result<Window> {
    let mut filling = Filling::new(WINDOW_UNITS);
    let (mut before, mut window) = (before, Window::default());
    loop {
        let given = params![book.id(), book.asset, before, oldest, 1_000_u32];
        let rows = tx.fetch_all(sql::UNIT_TOTALS, &given).await?;
        for row in &rows {
            before = row.get("epoch")?;
            let total = u128::from_be_bytes(row.get("units")?);
            let after = window.after_units.checked_add(window.first_units);
            window.after_units = after.ok_or_else(overflow)?;
            (window.first, window.first_units) = (Some(before), total);
            if let Some(Cut { boundary: Some((_, take)), .. }) = filling.take(before, total) {
                window.take = Some(take);
                return Ok(window);
            }
        }
        if rows.len() < 1_000 {
            window.missing = filling.underfilled().missing;
            return Ok(window);
        }
    }
}

/// Parts of a reward on their way to those they are for, in the order of beneficiaries.
pub(super) struct Parts {
    accruals: accruals::Writing,
    pending: pending::Adding,
}

impl Parts {
    pub(super) fn of(book: Book<'_>, life: Life) -> Parts {
        let pending = pending::Adding::of(book, What::Accrued);
        Parts { accruals: accruals::Writing::of(life), pending }
    }

    pub(super) async fn give(&mut self, tx: &mut Tx, part: accruals::Part) -> Result<()> {
        if part.1 > Accrual::ZERO {
            self.accruals.push(tx, part).await?;
            self.pending.push(tx, part).await?;
        }
        Ok(())
    }

    pub(super) async fn finish(self, tx: &mut Tx) -> Result<()> {
        self.accruals.finish(tx).await?;
        self.pending.finish(tx).await
    }
}

/// Gives everyone his part of a block's reward.
pub(super) async fn share_out(
    tx: &mut Tx,
    book: Book<'_>,
    (window, before): (Window, EpochNumber),
    reward_minor: i64,
    parts: &mut Parts,
) -> Result<()> {
    // Without an edge nothing is taken of it.
    let (take, total) = (window.take.unwrap_or(0), window.first_units.max(1));
    let mut reward = Reward::over(reward_minor, take, total, window.missing, WINDOW_UNITS)?;
    let mut rows = BTreeMap::new();
    if let Some(first) = window.first {
        let reading = Reading { book, first, before, edge: window.take.is_some().then_some(first) };
        rows = reading.rows(tx).await?;
        if let Some((whole, piece)) = rows.remove(&Beneficiary::Operator) {
            parts.give(tx, (Beneficiary::Operator, reward.part(whole, piece)?)).await?;
        }
        let mut start = None;
        loop {
            let (some, end) = reading.contracts(tx, start).await?;
            let mut given = Vec::new();
            both(&some.whole, &some.pieces, |who, whole, piece| {
                given.push((who, reward.part(whole, piece)?));
                Ok(())
            })?;
            for part in given {
                parts.give(tx, part).await?;
            }
            start = end;
            if start.is_none() {
                break;
            }
        }
    }
    let mut last = Vec::new();
    for (who, (whole, piece)) in rows {
        last.push((who, reward.part(whole, piece)?));
    }
    last.push((Beneficiary::WindowReserve, reward.unfilled));
    last.push((Beneficiary::Remainder, reward.remainder()?));
    last.sort_unstable_by_key(|(who, _)| *who);
    for part in last {
        parts.give(tx, part).await?;
    }
    Ok(())
}

/// Units in the window's whole epochs and in the one at its edge.
type Rows = BTreeMap<Beneficiary, (u128, u128)>;

/// Some contracts' units.
struct Units {
    whole: Vec<crate::sums::Piece>,
    pieces: Vec<crate::sums::Piece>,
}

/// What is read of a window.
#[derive(Clone, Copy)]
struct Reading<'a> {
    book: Book<'a>,
    first: EpochNumber,
    before: EpochNumber,
    /// The epoch of which a part counts.
    edge: Option<EpochNumber>,
}

impl Reading<'_> {
    /// The units of all but contracts.
    async fn rows(&self, tx: &mut Tx) -> Result<Rows> {
        let mut all = Rows::new();
        let (mut after, mut kind, mut id) =
            (i64::try_from(self.first.0).unwrap_or(i64::MAX) - 1, i64::MAX, vec![0xff_u8; 16]);
        loop {
            let (lane, asset) = (self.book.id(), self.book.asset);
            let given = params![lane, asset, self.before, after, kind, id.clone(), PAGE];
            let rows = tx.fetch_all(sql::UNITS, &given).await?;
            for row in &rows {
                (after, kind, id) = (row.get("epoch")?, row.get("kind")?, row.get("beneficiary")?);
                let units = u128::from_be_bytes(row.get("units")?);
                let (whole, piece) = all.entry(beneficiary(row)?).or_default();
                let is_edge = self.edge == Some(row.get::<EpochNumber>("epoch")?);
                let sum = if is_edge { piece } else { whole };
                *sum = sum.checked_add(units).ok_or_else(overflow)?;
            }
            if rows.len() < usize::try_from(PAGE).unwrap_or(usize::MAX) {
                return Ok(all);
            }
        }
    }

    /// The units of some contracts from an id on, and where the next ones begin.
    async fn contracts(
        &self,
        tx: &mut Tx,
        start: Option<ContractId>,
    ) -> Result<(Units, Option<ContractId>)> {
        let mut some = Held::of(start);
        let epochs = (self.first, self.before);
        let mut reading = lines::Within::of(&self.book.lane.lane, epochs, start);
        while let Some(lines) = reading.next(tx, some.end).await? {
            for (at, line) in lines {
                let of =
                    |(asset, units): &(Asset, u128)| (*asset == self.book.asset).then_some(*units);
                let units = line.units.iter().find_map(of).unwrap_or(0);
                some.add(line.contract, units, self.edge == Some(at))?;
            }
            some.cut();
        }
        let mut reading = rows::Within::of(self.book, epochs, start);
        while let Some(rows) = reading.next(tx, some.end).await? {
            for (at, id, units) in rows {
                some.add(id, units, self.edge == Some(at))?;
            }
            some.cut();
        }
        Ok((Units { whole: some.whole.finish(), pieces: some.pieces.finish() }, some.end))
    }
}

/// Contracts' units as they are added up: of those from one on, as far as not too many are held.
struct Held {
    start: Option<ContractId>,
    end: Option<ContractId>,
    whole: Sums,
    pieces: Sums,
}

impl Held {
    fn of(start: Option<ContractId>) -> Held {
        Held { start, end: None, whole: Sums::default(), pieces: Sums::default() }
    }

    fn add(&mut self, id: ContractId, units: u128, is_edge: bool) -> Result<()> {
        let is_before = self.start.is_some_and(|start| id < start);
        if is_before || self.end.is_some_and(|end| id >= end) {
            return Ok(());
        }
        let sums = if is_edge { &mut self.pieces } else { &mut self.whole };
        sums.add(Beneficiary::Contract(id), units).ok_or_else(overflow)
    }

    /// Leaves the later half of them to the next time, when there are too many.
    fn cut(&mut self) {
        while self.whole.len() + self.pieces.len() > HELD_MAX {
            let is_whole = self.whole.len() > self.pieces.len();
            let more = if is_whole { &mut self.whole } else { &mut self.pieces };
            let Some(who @ Beneficiary::Contract(id)) = more.middle() else { return };
            self.end = Some(id);
            self.whole.end_before(who);
            self.pieces.end_before(who);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, lane, someone};
    use gruve_store::{Store, laws, transact};
    use gruve_units::Amount;

    /// All units of the epochs from `first` on: in whole epochs, and at the edge.
    async fn at_once(tx: &mut Tx, reading: Reading<'_>) -> Rows {
        let mut all = reading.rows(tx).await.unwrap();
        let (lane, edge) = (&reading.book.lane.lane, reading.edge);
        let add = |at, line: lines::Line| {
            let (whole, piece) = all.entry(Beneficiary::Contract(line.contract)).or_default();
            *(if edge == Some(at) { piece } else { whole }) += line.units[0].1;
            Ok(())
        };
        lines::of_epochs(tx, lane, reading.first, reading.before, add).await.unwrap();
        all
    }

    async fn everyone_gets_what_he_would_if_all_were_held(store: Store) {
        let w = World::new(store).await;
        w.prove(1_000_000).await;
        for n in 0..17 {
            w.lease(someone(n), 10_000, 20).await;
        }
        w.epoch_at(100_000).await;
        let first = w.now();
        for n in 0..6 {
            w.epoch_at(100_000 + n * 30_000).await;
        }
        let config = w.market.config().lanes[0].clone();
        let book = config.books().next().unwrap();
        // Full ones, of whose oldest epoch more or less counts, and one that is not.
        let full = w.now();
        for (n, (before, part)) in
            (0_u8..).zip([(full, 1), (full, 3), (EpochNumber(first.0 + 2), 1)])
        {
            let outcome = transact!(w.store, tx -> Result<()> => {
                let found = find(tx, book, before, first).await?;
                assert_eq!(found.take.is_some(), before == full);
                let first = found.first.unwrap();
                let window = Window { take: found.take.map(|take| take / part), ..found };
                let reading = Reading { book, first, before, edge: window.take.map(|_| first) };
                let rows = at_once(tx, reading).await;
                let sum = |of: fn(&(u128, u128)) -> u128| rows.values().map(of).sum::<u128>();
                assert!(rows.len() > 3 * HELD_MAX, "{}", rows.len());
                let total = found.first_units + found.after_units;
                assert_eq!(sum(|(whole, piece)| whole + piece), total);

                let amount = Amount::new(book.asset, i64::MAX - i64::from(n));
                let life = Life { block_hash: [n; 32], generation: 0, amount };
                let mut parts = Parts::of(book, life);
                let minor = amount.minor;
                share_out(tx, book, (window, before), minor, &mut parts).await?;
                parts.finish(tx).await?;

                let (edge, missing) = (found.first_units, found.missing);
                let mut reward =
                    Reward::over(minor, window.take.unwrap_or(0), edge, missing, WINDOW_UNITS)?;
                let mut want = BTreeMap::new();
                for (who, (whole, piece)) in rows {
                    want.insert(who, reward.part(whole, piece)?);
                }
                want.insert(Beneficiary::WindowReserve, reward.unfilled);
                want.insert(Beneficiary::Remainder, reward.remainder()?);
                want.retain(|_, part| *part > Accrual::ZERO);
                let (mut got, mut reading) = (Vec::new(), accruals::Reading::of(life));
                while let Some(some) = reading.next(tx).await? {
                    got.extend(some);
                }
                assert_eq!(got, want.into_iter().collect::<Vec<_>>());
                // What is pending is put back, so that the next one begins anew.
                let pending = pending::all(tx, &lane(), book.asset).await?;
                let pending: Vec<_> = pending.into_iter().map(|(who, p)| (who, p.accrued)).collect();
                assert_eq!(pending, got);
                pending::clear(tx, book).await
            });
            outcome.unwrap();
        }
    }

    laws! { window: [everyone_gets_what_he_would_if_all_were_held] }
}
