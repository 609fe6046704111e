//! What a customer has at this moment, apart from the lists: for the overview's page and its call.

use crate::failure::Failure;
use crate::figures::OwnMachine;
use crate::hosted::hosting_failure;
use crate::pages::earnings::{self, Lately};
use crate::state::AppState;
use gruve_hosting::HostedProven;
use gruve_market::metered::{MeteredState, MeteredView};
use gruve_market::{ContractState, ContractView, ProvenNow};
use gruve_units::{AccountId, Amount, LaneId, Timestamp};
use std::collections::BTreeSet;

/// See the module.
pub(crate) struct Overview {
    /// What leases and metered contracts got in the last closed epoch, by lane.
    pub(crate) rates: Vec<ProvenNow>,
    /// What the account's hosted machines proved in the last epoch that is wholly counted, by lane.
    pub(crate) hosted_rates: Vec<HostedProven>,
    /// Credited for work of any kind since the account was opened, fees off.
    pub(crate) earned: Vec<Amount>,
    /// The same of the last day, week and month.
    pub(crate) lately: Lately,
    /// Leases and metered contracts that work.
    pub(crate) running: usize,
    /// All of them that were ever bought or started, of those that were read.
    pub(crate) contracts: usize,
    /// When the next settlement of any of them or of a machine, hosted or connected, is due.
    pub(crate) next_settlement: Option<Timestamp>,
    /// The account's own machines that are connected.
    pub(crate) machines: Vec<OwnMachine>,
}

impl AppState {
    /// What the account has now; its contracts were read already.
    pub(crate) async fn overview(
        &self,
        account: AccountId,
        leases: &[ContractView],
        metered: &[MeteredView],
    ) -> Result<Overview, Failure> {
        let machines = self.machines_of(account).await?;
        let hosted_rates = self.hosting().proven_now(account).await;
        let hosted_rates = hosted_rates.map_err(|e| hosting_failure(&e))?;
        let is_running = |c: &&ContractView| c.state == ContractState::Active;
        let works =
            |m: &&MeteredView| matches!(m.state, MeteredState::Active | MeteredState::Ending);
        let lanes: BTreeSet<&LaneId> = leases
            .iter()
            .filter(is_running)
            .map(|c| &c.lane)
            .chain(metered.iter().filter(works).map(|m| &m.lane))
            .chain(machines.iter().map(|m| &m.lane))
            .chain(hosted_rates.iter().map(|hosted| &hosted.lane))
            .collect();
        Ok(Overview {
            rates: self.market().proven_now(account).await?,
            earned: self.market().earned_in_all(account).await?,
            lately: earnings::lately(self, account).await?,
            running: leases.iter().filter(is_running).count()
                + metered.iter().filter(works).count(),
            contracts: leases.len() + metered.len(),
            next_settlement: lanes.into_iter().filter_map(|l| self.next_settlement(l)).min(),
            machines,
            hosted_rates,
        })
    }
}
