//! What is written down so that a customer can recompute a contract without the house: signatures under terms,
//! and the facts of epochs and blocks that statements rest on.
//!
//! Its tables are numbered by themselves and only added to; nothing that decides reads them.

use crate::book::Book;
use crate::reward::{Life, Window};
use crate::standing::StandingRow;
use crate::{Market, MarketError, Result};
use ed25519_dalek::{Signer as _, SigningKey};
use gruve_statement::Statement;
use gruve_store::{Migration, Tx, params, statements};
use gruve_units::{Asset, ContractId, EpochNumber, Hashes, LaneId, Timestamp};

/// The tables of papers, counted by themselves.
pub const PAPER_MIGRATIONS: &[Migration] = &[Migration {
    number: 1,
    name: "papers",
    sqlite: include_str!("../migrations/0001_papers.sqlite.sql"),
    postgres: include_str!("../migrations/0001_papers.postgres.sql"),
}];

statements! {
    INSERT_SIGNED = "INSERT INTO market_signed (contract, operator_key, signature) VALUES ($1, $2, $3)";
    SIGNED = "SELECT operator_key, signature FROM market_signed WHERE contract = $1";
    INSERT_SUMS = "INSERT INTO market_sums (lane, asset, epoch, entitled, house_units)
        VALUES ($1, $2, $3, $4, $5)";
    INSERT_LIFE = "INSERT INTO market_lives (asset, block_hash, generation, lane, before_epoch,
        first_epoch, first_units, after_units, accrued_epoch)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    CREDIT_LIFE = "UPDATE market_lives SET credited_epoch = $4
        WHERE asset = $1 AND block_hash = $2 AND generation = $3";
    REVERSE_LIFE = "UPDATE market_lives SET reversed_epoch = $4, reversed_at = $5
        WHERE asset = $1 AND block_hash = $2 AND generation = $3";
    INSERT_TAKE_BACK = "INSERT INTO market_take_backs
        (lane, asset, kind, beneficiary, number, block_hash, generation)
        VALUES ($1, $2, $3, $4, $5, $6, $7)";
}

impl Market {
    /// The key by which terms are signed from now on. Called once, when the house is opened; a market without one
    /// sells unsigned, which only tests do.
    pub fn sign_terms_with(&self, key: SigningKey) {
        // A second call changes nothing: one house has one operator.
        let _ = self.inner.terms_key.set(key);
    }

    /// Signs the terms of a sale.
    pub(crate) async fn write_signature(
        &self,
        tx: &mut Tx,
        contract: ContractId,
        terms_hash: &[u8; 32],
    ) -> Result<()> {
        let Some(key) = self.inner.terms_key.get() else { return Ok(()) };
        let signature = gruve_statement::terms::sign(key, terms_hash);
        let row = params![contract, key.verifying_key().to_bytes(), signature];
        tx.execute(INSERT_SIGNED, &row).await?;
        Ok(())
    }
}

impl Market {
    /// The key that signs pages now.
    pub(crate) fn terms_key(&self) -> Option<[u8; 32]> {
        self.inner.terms_key.get().map(|key| key.verifying_key().to_bytes())
    }

    /// Signs a page of a statement.
    pub(crate) fn sign_statement(&self, page: &mut Statement) -> Result<()> {
        let Some(key) = self.inner.terms_key.get() else { return Ok(()) };
        let message = page.signed_message().map_err(|e| MarketError::Broken(e.to_string()))?;
        page.operator_key = Some(hex::encode(key.verifying_key().to_bytes()));
        page.signature = Some(hex::encode(key.sign(&message).to_bytes()));
        Ok(())
    }
}

/// The key and signature under a contract's terms.
pub(crate) async fn signature(
    tx: &mut Tx,
    contract: ContractId,
) -> Result<Option<([u8; 32], [u8; 64])>> {
    let row = tx.fetch_optional(SIGNED, &params![contract]).await?;
    row.map(|r| Ok((r.get("operator_key")?, r.get("signature")?))).transpose()
}

/// Writes what an epoch's sharing out of one asset rests on.
pub(crate) async fn write_sums(
    tx: &mut Tx,
    lane: &LaneId,
    asset: Asset,
    epoch: EpochNumber,
    entitled: Hashes,
    house_units: u128,
) -> Result<()> {
    let row = params![lane.clone(), asset, epoch, entitled, house_units.to_be_bytes()];
    tx.execute(INSERT_SUMS, &row).await?;
    Ok(())
}

/// Writes the window over which a block was shared out in the closing of `closed`.
pub(crate) async fn write_life(
    tx: &mut Tx,
    book: Book<'_>,
    life: Life,
    before: EpochNumber,
    window: Window,
    closed: EpochNumber,
) -> Result<()> {
    let row = params![
        book.asset,
        life.block_hash,
        life.generation,
        book.id(),
        before,
        window.first,
        window.first_units.to_be_bytes(),
        window.after_units.to_be_bytes(),
        closed
    ];
    tx.execute(INSERT_LIFE, &row).await?;
    Ok(())
}

/// A block's accruals were credited in the closing of `closed`.
pub(crate) async fn credit_life(tx: &mut Tx, life: Life, closed: EpochNumber) -> Result<()> {
    let given = params![life.amount.asset, life.block_hash, life.generation, closed];
    tx.execute(CREDIT_LIFE, &given).await?;
    Ok(())
}

/// A block's accruals were reversed after the closing of `closed`.
pub(crate) async fn reverse_life(
    tx: &mut Tx,
    life: Life,
    closed: Option<EpochNumber>,
    at: Timestamp,
) -> Result<()> {
    let given = params![life.amount.asset, life.block_hash, life.generation, closed, at];
    tx.execute(REVERSE_LIFE, &given).await?;
    Ok(())
}

/// The last settlement of a beneficiary takes back what a block had paid.
pub(crate) async fn write_take_back(
    tx: &mut Tx,
    book: Book<'_>,
    row: &StandingRow,
    life: Life,
) -> Result<()> {
    let (kind, id) = row.who.columns();
    let given =
        params![book.id(), book.asset, kind, id, row.settlements, life.block_hash, life.generation];
    tx.execute(INSERT_TAKE_BACK, &given).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{PAPER_MIGRATIONS, STATEMENTS};
    use gruve_store::testing::prepare_all;
    use gruve_store::{Store, laws, matches_on_both_engines};

    async fn every_statement_prepares(store: Store) {
        store.migrate("market", crate::MIGRATIONS).await.unwrap();
        store.migrate("market_papers", PAPER_MIGRATIONS).await.unwrap();
        prepare_all(&store, STATEMENTS).await;
    }

    #[test]
    fn both_engines_get_the_same_tables() {
        for m in PAPER_MIGRATIONS {
            matches_on_both_engines(m).unwrap();
        }
    }

    laws! { statements: [every_statement_prepares] }
}
