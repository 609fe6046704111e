//! Owners who want their contracts to run although they do not pay: who say so, and who pay for what begins when they end.

use super::{History, RUNNING_MAX};
use gruve_market::{ContractState, Unprofitable};
use gruve_model::Input;

impl History {
    /// Somebody whose contract stands still pays for going on with it: chance alone hardly ever chooses one.
    pub(super) async fn renew_paused(&mut self) {
        let newest = self.contracts.len().min(RUNNING_MAX);
        let now = self.w.now();
        let newest = self.contracts[self.contracts.len() - newest..].to_vec();
        for (account, id) in newest {
            let life = self.w.market.contract(account, id).await.unwrap().life;
            let is_paused = life.paused_since.is_some_and(|since| since <= now);
            if !is_paused || self.kept.contains(&id) || self.keeping.below(100) >= 40 {
                continue;
            }
            let is_paid = self.renew_one(account, id).await;
            self.figures.renewed_paused += u64::from(is_paid);
        }
    }

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
            // Whoever is frozen stays with it: what was heard meanwhile is seen once that is over. Before he stands still for it nothing is.
            let now = self.w.now();
            let percent = match (keeps, view.life.paused_since, view.life.frozen_since) {
                (true, _, Some(_)) | (false, None, _) => 0,
                (true, _, None) => 25,
                (false, Some(_), Some(since)) if since > now => 0,
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
