//! Payments of contracts that are disputed, told twice, and settled either way.

use super::{History, RUNNING_MAX, Random};
use gruve_market::{ContractState, PaymentDispute, Result};
use gruve_model::{Input, Word};
use gruve_store::transact;
use gruve_units::{AccountId, Amount, ContractId};

/// Disputes that are not settled, with their numbers.
pub(super) struct Disputes {
    random: Random,
    number: u64,
    open: Vec<(AccountId, ContractId, u64)>,
    /// One about a contract that stood still for its plan before, which is won once its owner wants it to run.
    paused: Option<(AccountId, ContractId, u64)>,
}

impl Disputes {
    pub(super) fn new(seed: u64) -> Disputes {
        Disputes { random: Random(seed ^ 0xd15b_07ed), number: 0, open: Vec::new(), paused: None }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.below(100) < percent
    }
}

impl History {
    /// A contract that is paused, frozen meanwhile, and thawed soon after its owner has said that it is to run: chance alone hardly ever
    /// puts the three in this order.
    pub(super) async fn dispute_paused(&mut self) {
        if let Some((account, id, number)) = self.disputes.paused.take() {
            if self.kept.contains(&id) {
                self.figures.thawed += 1;
                self.say(id, number, PaymentDispute::Won, Word::Stands).await;
            } else if self.disputes.chance(15) {
                self.settle(account, id, number).await;
            } else {
                self.disputes.paused = Some((account, id, number));
            }
            return;
        }
        let newest = self.contracts.len().min(RUNNING_MAX);
        let now = self.w.now();
        let newest = self.contracts[self.contracts.len() - newest..].to_vec();
        for (account, id) in newest {
            let view = self.w.market.contract(account, id).await.unwrap();
            let is_paused = view.life.paused_since.is_some_and(|since| since <= now);
            let is_free = view.life.frozen_since.is_none() && !self.kept.contains(&id);
            if view.state == ContractState::Active
                && is_paused
                && is_free
                && self.disputes.chance(20)
            {
                self.disputes.number += 1;
                let number = self.disputes.number;
                self.figures.disputed += 1;
                self.say(id, number, PaymentDispute::Open, Word::Disputed).await;
                self.disputes.paused = Some((account, id, number));
                return;
            }
        }
    }

    pub(super) async fn dispute(&mut self) {
        for (account, id, number) in std::mem::take(&mut self.disputes.open) {
            if self.disputes.chance(20) {
                self.settle(account, id, number).await;
            } else {
                self.disputes.open.push((account, id, number));
            }
        }
        if self.contracts.is_empty() || !self.disputes.chance(18) {
            return;
        }
        // One of the newest: the others have ended long ago.
        let newest = self.contracts.len().min(RUNNING_MAX) as u64;
        let back = usize::try_from(self.disputes.random.below(newest)).unwrap();
        let (account, id) = self.contracts[self.contracts.len() - 1 - back];
        self.disputes.number += 1;
        let number = self.disputes.number;
        let state = self.w.market.contract(account, id).await.unwrap().state;
        if matches!(state, ContractState::Starting | ContractState::Active) {
            self.figures.disputed += 1;
        }
        if self.disputes.chance(25) {
            // Nobody told that it was opened.
            self.settle(account, id, number).await;
            return;
        }
        self.say(id, number, PaymentDispute::Open, Word::Disputed).await;
        self.disputes.open.push((account, id, number));
    }

    async fn settle(&mut self, account: AccountId, id: ContractId, number: u64) {
        let view = self.w.market.contract(account, id).await.unwrap();
        let runs = matches!(view.state, ContractState::Starting | ContractState::Active);
        if self.disputes.chance(50) {
            self.figures.thawed += u64::from(runs);
            self.say(id, number, PaymentDispute::Won, Word::Stands).await;
        } else {
            self.figures.charged_back += u64::from(runs);
            let most = u64::try_from(view.price.minor).unwrap();
            // Nothing, a part, or all of it.
            let lost = match self.disputes.random.below(3) {
                0 => 0,
                1 => self.disputes.random.below(most + 1),
                _ => most,
            };
            let amount = Amount::new(view.price.asset, i64::try_from(lost).unwrap());
            self.say(id, number, PaymentDispute::Lost(amount), Word::Lost(lost)).await;
        }
    }

    /// Says it to the market, now and then twice.
    async fn say(&mut self, id: ContractId, number: u64, word: PaymentDispute, same: Word) {
        let cause = format!("dp_{number}");
        for _ in 0..1 + u64::from(self.disputes.chance(30)) {
            let market = self.w.market.clone();
            transact!(self.w.store, tx -> Result<_> => {
                market.payment_disputed(tx, id, &cause, word).await
            })
            .unwrap();
        }
        self.inputs.push(Input::Payment(id.to_bytes(), number, same, self.w.now().0));
    }
}
