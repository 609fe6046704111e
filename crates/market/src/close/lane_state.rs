//! How far a lane is.

use crate::{MarketError, Result, sql};
use gruve_sharelog::Position;
use gruve_store::{Tx, params};
use gruve_units::{EpochNumber, LaneId};

/// How far a lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LaneState {
    pub(crate) closed: Option<EpochNumber>,
    pub(crate) checkpoint: [u8; 32],
    pub(crate) cursor: Position,
    pub(crate) shares: u64,
}

impl LaneState {
    pub(crate) async fn read(tx: &mut Tx, lane: &LaneId) -> Result<LaneState> {
        let row = tx.fetch_one(sql::LANE, &params![lane.clone()]).await?;
        let cursor = Position::from_i64s(row.get("cursor_segment")?, row.get("cursor_offset")?);
        Ok(LaneState {
            closed: row.get("closed_epoch")?,
            checkpoint: row.get("checkpoint")?,
            cursor: cursor
                .ok_or_else(|| MarketError::Broken("a negative cursor of a share log".into()))?,
            shares: row.get("shares")?,
        })
    }
}
