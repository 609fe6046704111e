//! Owners who want their contracts to run although they do not pay.

use super::{History, RUNNING_MAX};
use gruve_market::{ContractState, Unprofitable};
use gruve_model::Input;

impl History {
    /// Now and then somebody whose contract is or will be paused says so, most often one who is frozen as well, and some take it back.
    pub(super) async fn keep_running(&mut self) {
        let newest = self.contracts.len().min(RUNNING_MAX);
        for (account, id) in self.contracts[self.contracts.len() - newest..].iter().copied() {
            let view = self.w.market.contract(account, id).await.unwrap();
            let pauses = view.life.rules.unprofitable == Unprofitable::Pause;
            let runs = matches!(view.state, ContractState::Starting | ContractState::Active);
            if !pauses || !runs {
                continue;
            }
            let keeps = self.kept.contains(&id);
            // Whoever is frozen stays with it: what was heard meanwhile is seen once that is over.
            let percent = match (keeps, view.life.paused_since, view.life.frozen_since) {
                (true, _, Some(_)) | (false, None, _) => 0,
                (true, _, None) => 25,
                (false, Some(_), Some(_)) => 75,
                (false, Some(_), None) => 8,
            };
            if self.keeping.below(100) >= percent {
                continue;
            }
            self.w.market.keep_running(account, id, !keeps).await.unwrap();
            self.inputs.push(Input::Keeps(id.to_bytes(), !keeps, self.w.now().0));
            if keeps {
                self.kept.remove(&id);
            } else {
                self.kept.insert(id);
                self.figures.kept += 1;
            }
        }
    }
}
