//! What running contracts owe, gone through beside the settlement: a page of them is held, and what stays due is written behind
//! it.

use crate::bulk::progress::{Progress, Rewriting};
use crate::contract::{Contract, Running};
use crate::{ContractState, Result};
use gruve_store::Tx;
use gruve_units::{Asset, Bps, ContractId, EpochNumber, LaneId};
use std::sync::Arc;

/// What a settlement knows of a running contract: a hundred bytes or so.
#[derive(Clone, Debug)]
pub(super) struct Owing {
    /// What is due of its maintenance stands there.
    pub(super) progress: Progress,
    pub(super) fee: Bps,
    /// The assets that maintenance is taken from, with the whole fee in each; the same for all of a plan.
    pub(super) order: Arc<[(Asset, u64)]>,
    pub(super) start: Option<EpochNumber>,
    pub(super) minimum: u64,
}

impl Owing {
    pub(super) const fn id(&self) -> ContractId {
        self.progress.contract
    }

    /// Of a contract; `before` is another one, nearly always of the same plan.
    fn of(c: &Contract, before: Option<&Owing>) -> Owing {
        let order = c.maintenance_order();
        let order = match before {
            Some(o) if *o.order == *order => o.order.clone(),
            _ => order.into(),
        };
        Owing {
            progress: c.progress(),
            fee: c.fee,
            order,
            start: c.start,
            minimum: c.life.rules.minimum_payout_minor,
        }
    }
}

/// A lane's running contracts in the order of their ids, each page of them read, settled and written before the next.
pub(super) struct Owings {
    running: Running,
    progress: Rewriting,
}

impl Owings {
    pub(super) fn of(lane: &LaneId) -> Owings {
        Owings { running: Running::of(lane), progress: Rewriting::of(lane) }
    }

    /// The next ones; `None` after the last.
    pub(super) async fn next(&mut self, tx: &mut Tx) -> Result<Option<Vec<Owing>>> {
        let Some(some) = self.running.next(tx, self.progress.reading()).await? else {
            return Ok(None);
        };
        let mut page: Vec<Owing> = Vec::with_capacity(some.len());
        for c in some.iter().filter(|c| c.state == ContractState::Active) {
            let owing = Owing::of(c, page.last());
            page.push(owing);
        }
        Ok(Some(page))
    }

    /// Writes down what stays due of those that were given last.
    pub(super) async fn put(&mut self, tx: &mut Tx, page: Vec<Owing>) -> Result<()> {
        for owing in page {
            self.progress.push(tx, owing.progress).await?;
        }
        self.progress.give_back(tx).await
    }

    pub(super) async fn finish(self, tx: &mut Tx) -> Result<()> {
        self.progress.finish(tx).await
    }
}
