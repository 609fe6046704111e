//! What the operator does with the reserves that FPPS is paid from.

use super::History;
use crate::observed::ASSETS;
use gruve_ledger::{Account, Entry, balance, post};
use gruve_market::{ReserveFrom, Result};
use gruve_model::Input;
use gruve_store::transact;
use gruve_units::{Amount, Clock};

/// More than the plans' floors.
const PLENTY: i64 = 50_000_000;
/// Less than what the epochs between two settlements are paid.
const LITTLE: i64 = 40_000;

impl History {
    pub(super) async fn capital(&mut self, asset: usize, minor: i64) -> bool {
        self.number += 1;
        let (market, reason) = (self.w.market.clone(), format!("r{}", self.number));
        let amount = Amount::new(ASSETS[asset], minor);
        let moved = transact!(self.w.store, tx -> Result<_> => {
            market.fpps_capital(tx, &reason, amount, ReserveFrom::Revenue).await
        });
        if moved.is_ok() {
            self.inputs.push(Input::Reserve(asset, minor));
        }
        moved.is_ok()
    }

    /// The operator earns something elsewhere and puts it into the reserve.
    pub(super) async fn fill_reserve(&mut self, asset: usize) {
        self.number += 1;
        let minor = 100_000_000;
        let (from, to) = (Account::ChainHot, Account::OperatorRevenue);
        let (reason, at) = (format!("earned/{}", self.number), self.w.clock.now());
        let amount = Amount::new(ASSETS[asset], minor);
        let entry = Entry::transfer(reason, "test", at, from, to, amount);
        transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
        self.inputs.push(Input::Earned(asset, 100_000_000));
        // What he owes from elsewhere may be more than that: then it stays there.
        self.capital(asset, minor).await;
    }

    /// The operator fills the reserves, or takes out of them what he may, by the season: FPPS is sold only while both are full, which
    /// hardly ever happened when each was filled and emptied by chance.
    pub(super) async fn reserves(&mut self) {
        for asset in 0..2 {
            let there = self.holds(&Account::FppsReserve, asset).await;
            if self.is_fat() {
                if there < PLENTY {
                    self.fill_reserve(asset).await;
                }
                continue;
            }
            let left = i64::try_from(self.below(LITTLE.unsigned_abs())).unwrap();
            if there > left && self.chance(50) {
                self.capital(asset, left - there).await;
            }
            let is_low = self.holds(&Account::FppsReserve, asset).await < LITTLE;
            if is_low && self.chance(70) {
                self.bleed(asset).await;
            }
        }
    }

    /// He takes his earnings home, so that he cannot help a reserve that is used up.
    pub(super) async fn bleed(&mut self, asset: usize) {
        let there = self
            .holds(&Account::OperatorRevenue, asset)
            .await
            .min(self.holds(&Account::ChainHot, asset).await);
        if there > 0 {
            self.number += 1;
            let (from, to) = (Account::OperatorRevenue, Account::ChainHot);
            let (reason, at) = (format!("home/{}", self.number), self.w.clock.now());
            let amount = Amount::new(ASSETS[asset], there);
            let entry = Entry::transfer(reason, "test", at, from, to, amount);
            transact!(self.w.store, tx => { post(tx, &entry).await }).unwrap();
            self.inputs.push(Input::TookHome(asset, u64::try_from(there).unwrap()));
        }
    }

    pub(super) async fn holds(&self, account: &Account, asset: usize) -> i64 {
        let mut tx = self.w.store.read().await.unwrap();
        balance(&mut tx, account, ASSETS[asset]).await.unwrap().minor
    }
}
