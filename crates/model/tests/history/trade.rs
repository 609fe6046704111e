//! What customers, and owners of machines, do.

use super::lane::model_terms;
use super::{History, RUNNING_MAX};
use crate::observed::ASSETS;
use crate::world::{lane, someone};
use gruve_ledger::{Account, Entry, post};
use gruve_market::{ActKind, Choice, PlanConfig, Purchase, Result, Scheme};
use gruve_model::{Act, Input};
use gruve_store::transact;
use gruve_units::{AccountId, Amount, Clock, ContractId, EpochNumber, Hashrate};

/// The plans that are asked for, each as often as it stands here.
const ASKED: [usize; 10] = [0, 1, 1, 2, 3, 4, 4, 5, 5, 5];
/// While FPPS can be had.
const ASKED_FAT: [usize; 10] = [0, 1, 2, 2, 2, 3, 4, 5, 5, 5];

impl History {
    pub(super) async fn fund(&mut self, account: AccountId, asset: usize, minor: u64) {
        self.number += 1;
        let amount = Amount::new(ASSETS[asset], i64::try_from(minor).unwrap());
        let (from, to) = (Account::ChainHot, Account::CustomerAvailable(account));
        let reason = format!("in/{}", self.number);
        let entry = Entry::transfer(reason, "pay-in", self.w.clock.now(), from, to, amount);
        transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
        self.inputs.push(Input::Funded(account.to_bytes(), asset, minor));
    }

    pub(super) async fn sell(&mut self) {
        let account = someone(u8::try_from(self.below(4)).unwrap());
        // What cannot be sold in every season is asked for most in its own.
        let ask = if self.is_fat() { ASKED_FAT } else { ASKED };
        let which = ask[usize::try_from(self.below(ask.len() as u64)).unwrap()];
        let plan = self.w.market.config().plans[which].clone();
        // Few rates, so that remainders tie.
        let rate = [300, 300, 900, 1_800][usize::try_from(self.below(4)).unwrap()];
        let terms = &plan.terms_epochs;
        let term = terms[usize::try_from(self.below(terms.len() as u64)).unwrap()];
        let market = self.w.market.clone();
        let Ok(quote) = market.quote(account, &plan.id, Hashrate(rate), term).await else {
            self.figures.refused += 1;
            return;
        };
        let bought = transact!(self.w.store, tx -> Result<_> => {
            market.buy(tx, account, quote.id).await
        });
        let Ok(bought) = bought else {
            self.figures.refused += 1;
            return;
        };
        self.order(account, &plan, rate, term, bought).await;
    }

    /// What becomes of an order: nearly always it is paid; whether it is.
    async fn order(
        &mut self,
        account: AccountId,
        plan: &PlanConfig,
        rate: u128,
        term: u64,
        bought: Purchase,
    ) -> bool {
        let market = self.w.market.clone();
        let (id, price) = (bought.contract, u64::try_from(bought.due.minor).unwrap());
        let terms = model_terms(plan, rate, term);
        let asset = terms.price_asset;
        self.inputs.push(Input::Bought(id.to_bytes(), account.to_bytes(), terms));
        if let Some(other) = self.renews.take() {
            self.inputs.push(Input::Follows(id.to_bytes(), other.to_bytes()));
        }
        self.contracts.push((account, id));
        self.figures.contracts += 1;
        self.figures.fpps += u64::from(plan.scheme == Scheme::Fpps);
        let is_paid = self.chance(85);
        if is_paid {
            self.fund(account, asset, price).await;
            self.w.pay(id).await;
            self.inputs.push(Input::Paid(id.to_bytes(), self.w.now().0));
        } else {
            transact!(self.w.store, tx -> Result<_> => { market.invoice_expired(tx, id).await })
                .unwrap();
            self.inputs.push(Input::Expired(id.to_bytes()));
        }
        is_paid
    }

    /// Customers, and owners of machines, take out what they can.
    pub(super) async fn withdraw(&mut self) {
        for n in [0, 1, 2, 3, 100] {
            let asset = usize::from(self.chance(50));
            let account = Account::CustomerAvailable(someone(n));
            let most =
                self.holds(&account, asset).await.min(self.holds(&Account::ChainHot, asset).await);
            let Ok(most @ 1..) = u64::try_from(most) else { continue };
            if self.chance(15) {
                let minor = if self.chance(50) { most } else { 1 + self.below(most) };
                self.number += 1;
                let amount = Amount::new(ASSETS[asset], i64::try_from(minor).unwrap());
                let reason = format!("out/{}", self.number);
                let to = Account::ChainHot;
                let entry =
                    Entry::transfer(reason, "payout", self.w.clock.now(), account, to, amount);
                transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
                self.inputs.push(Input::Withdrew(someone(n).to_bytes(), asset, minor));
                self.figures.withdrawals += 1;
            }
        }
    }

    /// An owner of machines changes by which scheme they earn.
    pub(super) async fn own_schemes(&mut self) {
        if self.chance(6) {
            let (account, solo) = (someone(100 + u8::from(self.chance(50))), self.chance(60));
            let scheme = if solo { Scheme::Solo } else { Scheme::Pplns };
            let market = self.w.market.clone();
            let from = transact!(self.w.store, tx -> Result<_> => {
                market.set_own_scheme(tx, account, &lane(), scheme).await
            });
            self.inputs.push(Input::OwnScheme(account.to_bytes(), from.unwrap().0, solo));
        }
    }

    /// Somebody goes on with what he has, without a gap.
    pub(super) async fn renew(&mut self) {
        if self.contracts.is_empty() || !self.chance(40) {
            return;
        }
        // One of the newest: the others have ended long ago.
        let newest = self.contracts.len().min(RUNNING_MAX) as u64;
        let at = self.contracts.len() - 1 - usize::try_from(self.below(newest)).unwrap();
        let (account, id) = self.contracts[at];
        self.renew_one(account, id).await;
    }

    /// Whether it was renewed, and that paid.
    pub(super) async fn renew_one(&mut self, account: AccountId, id: ContractId) -> bool {
        let view = self.w.market.contract(account, id).await.unwrap();
        let plan =
            self.w.market.config().plans.iter().find(|p| p.id == view.plan).cloned().unwrap();
        let terms = &plan.terms_epochs;
        let term = terms[usize::try_from(self.below(terms.len() as u64)).unwrap()];
        let market = self.w.market.clone();
        let Ok(quote) = market.quote_renewal(account, id, term).await else {
            self.figures.refused += 1;
            return false;
        };
        let bought = transact!(self.w.store, tx -> Result<_> => {
            market.buy(tx, account, quote.id).await
        });
        let Ok(bought) = bought else {
            self.figures.refused += 1;
            return false;
        };
        self.renews = Some(id);
        self.figures.renewed += 1;
        self.order(account, &plan, view.hashrate.0, term, bought).await
    }

    /// The operator idles machines for some epochs, by his own record.
    pub(super) async fn act(&mut self) {
        if !self.chance(12) {
            return;
        }
        let rate = [150, 700, 9_000][usize::try_from(self.below(3)).unwrap()];
        let from = self.w.now();
        let until = EpochNumber(from.0 + 1 + self.below(5));
        let what = if self.chance(50) { ActKind::Idle } else { ActKind::Move };
        let span = (from, Some(until));
        self.w.market.record_act(&lane(), what, Hashrate(rate), span, "").await.unwrap();
        self.inputs.push(Input::Acts(Act { from: from.0, until: until.0, hashrate: rate }));
    }

    /// Whoever missed work by the operator's doing chooses, or leaves it.
    pub(super) async fn choose(&mut self) {
        let sql = "SELECT contract, epoch FROM market_owed WHERE state = 'undecided'
            ORDER BY contract, epoch";
        let mut tx = self.w.store.read().await.unwrap();
        let rows = tx.fetch_all(sql, &[]).await.unwrap();
        tx.rollback().await.unwrap();
        for row in rows {
            let (id, epoch): (ContractId, EpochNumber) =
                (row.get("contract").unwrap(), row.get("epoch").unwrap());
            if !self.told.contains(&(id, epoch)) {
                self.told.insert((id, epoch));
                self.figures.caused += 1;
            }
            let choice = match self.below(6) {
                0 | 1 => Choice::Earnings,
                2 => Choice::Later,
                _ => continue,
            };
            let (account, _) = *self.contracts.iter().find(|(_, c)| *c == id).unwrap();
            self.w.market.choose(account, id, epoch, choice).await.unwrap();
            let earnings = choice == Choice::Earnings;
            self.figures.compensated += u64::from(earnings);
            self.inputs.push(Input::Chose(id.to_bytes(), epoch.0, earnings));
        }
    }
}
