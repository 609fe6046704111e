//! What the operator may keep of what owners' machines earn.
//!
//! The fee stands in a contract's signed terms ([`gruve_statement::hosting::EARNINGS_RULE`]), so that one that is raised later
//! concerns later contracts alone. An account's machines on a lane earn together, whichever of them did the work: of several
//! contracts the lowest fee counts for all of it. It goes on counting for a while after a contract's end, because windows pay
//! for its work then.

use crate::service::Hosting;
use crate::{ARREARS_MAX, Result, sql};
use gruve_store::{Tx, params};
use gruve_units::{AccountId, Bps, LaneId, Timestamp};
use std::collections::BTreeMap;

impl Hosting {
    /// The most that may be kept of what accounts' own machines earn on a lane, where they have agreed on it.
    ///
    /// # Errors
    /// The farm's for a lane that is not there; the database's.
    pub async fn agreed_fees(
        &self,
        tx: &mut Tx,
        lane: &LaneId,
        now: Timestamp,
    ) -> Result<BTreeMap<AccountId, Bps>> {
        let ended_since = self.farm.rule(lane)?.at(now.minus(ARREARS_MAX));
        let rows = tx.fetch_all(sql::AGREED_FEES, &params![lane.clone(), ended_since]).await?;
        rows.iter().map(|row| Ok((row.get("account")?, row.get("bps")?))).collect()
    }
}
