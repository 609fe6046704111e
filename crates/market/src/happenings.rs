//! What happens in a contract's life beside delivery, written down when it happens as the lines of its statement.
//!
//! Its tables are only added to, and nothing that decides reads them: a statement could not find again, long
//! afterwards, in which closing an epoch was priced or what a unit of work had earned until a payment.

use crate::book::Book;
use crate::scheme_sql;
use crate::{MarketError, Result};
use gruve_statement::document::Line;
use gruve_store::{Migration, Tx, params, statements};
use gruve_units::{ContractId, EpochNumber};
use std::collections::BTreeSet;

/// The tables of happenings, counted by themselves.
pub const HAPPENING_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "happenings",
    sqlite: include_str!("../migrations/0001_happenings.sqlite.sql"),
    postgres: include_str!("../migrations/0001_happenings.postgres.sql"),
}];

/// Lines of one contract that are read at most: what one question may give.
pub(crate) const HAPPENINGS_MAX: u32 = 99_999;
/// Open epochs that are held against those after pricing: as many as one close looks at.
const OPEN_MAX: u32 = 300;

statements! {
    INSERT_HAPPENING = "INSERT INTO market_happenings (contract, number, body)
        SELECT $1, COALESCE(MAX(number), 0) + 1, $2 FROM market_happenings WHERE contract = $1";
    HAPPENINGS = "SELECT body FROM market_happenings WHERE contract = $1 ORDER BY number LIMIT $2";
    PUT_PAUSE = "INSERT INTO market_pauses (contract, from_epoch, to_epoch, epochs)
        VALUES ($1, $2, $3, $4) ON CONFLICT (contract, from_epoch) DO UPDATE SET
        to_epoch = excluded.to_epoch, epochs = market_pauses.epochs + excluded.epochs";
    PAUSES = "SELECT from_epoch, to_epoch, epochs FROM market_pauses
        WHERE contract = $1 ORDER BY from_epoch LIMIT $2";
    INSERT_PRICED = "INSERT INTO market_fpps_priced (lane, asset, epoch, priced_epoch)
        VALUES ($1, $2, $3, $4)";
    INSERT_LIMIT = "INSERT INTO market_fpps_limits (lane, asset, epoch, due_minor, there_minor)
        VALUES ($1, $2, $3, $4, $5)";
}

/// Writes a line down.
pub(crate) async fn note(tx: &mut Tx, contract: ContractId, line: &Line) -> Result<()> {
    let body = serde_json::to_vec(line).map_err(|e| MarketError::Broken(e.to_string()))?;
    tx.execute(INSERT_HAPPENING, &params![contract, body]).await?;
    Ok(())
}

/// All lines of a contract, in the order in which they were written.
pub(crate) async fn of(tx: &mut Tx, contract: ContractId) -> Result<Vec<Line>> {
    let rows = tx.fetch_all(HAPPENINGS, &params![contract, HAPPENINGS_MAX]).await?;
    if rows.len() >= HAPPENINGS_MAX as usize {
        return Err(MarketError::NoStatement("more happened to it than can be written"));
    }
    let mut lines = Vec::with_capacity(rows.len());
    for row in &rows {
        let body: Vec<u8> = row.get("body")?;
        let unread = |e: serde_json::Error| MarketError::Broken(format!("a happening: {e}"));
        // By way of a value: numbers inside tagged objects are read so.
        let value: serde_json::Value = serde_json::from_slice(&body).map_err(unread)?;
        lines.push(serde_json::from_value(value).map_err(unread)?);
    }
    Ok(lines)
}

/// A contract's clock stood still in an epoch and those skipped before it.
pub(crate) async fn note_pause(
    tx: &mut Tx,
    contract: ContractId,
    (from, to): (EpochNumber, EpochNumber),
    epochs: u64,
) -> Result<()> {
    tx.execute(PUT_PAUSE, &params![contract, from, to, epochs]).await?;
    Ok(())
}

/// An asset's FPPS epochs that are open, oldest first.
pub(crate) async fn open_fpps(tx: &mut Tx, book: Book<'_>) -> Result<BTreeSet<EpochNumber>> {
    let given = params![book.id(), book.asset, OPEN_MAX];
    let rows = tx.fetch_all(scheme_sql::OPEN_FPPS_EPOCHS, &given).await?;
    rows.iter().map(|row| Ok(row.get("epoch")?)).collect()
}

/// Writes down which of them are open no more.
pub(crate) async fn note_priced(
    tx: &mut Tx,
    book: Book<'_>,
    before: &BTreeSet<EpochNumber>,
    closing: EpochNumber,
) -> Result<()> {
    if before.is_empty() {
        return Ok(());
    }
    let after = open_fpps(tx, book).await?;
    for epoch in before.difference(&after) {
        let given = params![book.id(), book.asset, *epoch, closing];
        tx.execute(INSERT_PRICED, &given).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{HAPPENING_MIGRATIONS, STATEMENTS};
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws, matches_on_both_engines};

    async fn every_statement_prepares(store: Store) {
        store.migrate("market_happenings", HAPPENING_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
    }

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in HAPPENING_MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    laws! { statements: [every_statement_prepares] }
}
