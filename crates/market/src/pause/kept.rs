//! Contracts whose owners have them run although they do not pay: who said so, and who has paid for a renewal ([`crate::renew`]).

use crate::pages::Pages;
use crate::{Result, life_sql};
use gruve_store::{Tx, params};
use gruve_units::{ContractId, LaneId};
use std::collections::VecDeque;

/// Those of a lane, read a page at a time as far as contracts are asked for.
pub(crate) struct Kept {
    pages: Pages,
    ahead: VecDeque<ContractId>,
}

impl Kept {
    pub(crate) fn of(lane: &LaneId) -> Kept {
        let pages = Pages::by_id(life_sql::KEPT_RUNNING, &params![lane.clone()]);
        Kept { pages, ahead: VecDeque::new() }
    }

    /// Whether a contract is one of them; contracts must be asked for in the order of their ids.
    pub(crate) async fn has(&mut self, tx: &mut Tx, id: ContractId) -> Result<bool> {
        loop {
            while self.ahead.front().is_some_and(|kept| *kept < id) {
                self.ahead.pop_front();
            }
            if let Some(kept) = self.ahead.front() {
                return Ok(*kept == id);
            }
            let Some(rows) = self.pages.next(tx).await? else { return Ok(false) };
            for row in &rows {
                self.ahead.push_back(row.get("id")?);
            }
        }
    }
}
